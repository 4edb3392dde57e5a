// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/base64.hpp>

#include "catch.hpp"

#include <cstddef>
#include <random>
#include <string>
#include <string_view>

using namespace pusher::detail;

namespace {

std::string encoded(std::string_view bytes) {
    std::string out;
    append_base64(out, bytes);
    return out;
}

} // namespace

TEST_CASE("base64: the vectors of RFC 4648", "[base64]") {
    CHECK(encoded("") == "");
    CHECK(encoded("f") == "Zg==");
    CHECK(encoded("fo") == "Zm8=");
    CHECK(encoded("foo") == "Zm9v");
    CHECK(encoded("foob") == "Zm9vYg==");
    CHECK(encoded("fooba") == "Zm9vYmE=");
    CHECK(encoded("foobar") == "Zm9vYmFy");
    CHECK(encoded("\xFB\xEF\xBE\xFF\xFF\xFF") == "++++////");
}

TEST_CASE("base64: it appends, and reads back what it wrote", "[base64]") {
    std::mt19937 random(7);
    for (std::size_t size = 0; size != 200; ++size) {
        std::string bytes(size, '\0');
        for (auto& c : bytes)
            c = static_cast<char>(random());
        std::string text = "x";
        append_base64(text, bytes);
        CHECK(text.size() == 1 + base64_size(size));
        std::string back = "y";
        REQUIRE(decode_base64(std::string_view(text).substr(1), back));
        CHECK(back == "y" + bytes);
    }
}

TEST_CASE("base64: only the one form is read", "[base64]") {
    for (const auto* text :
         {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "=", "====", "Z===", "Zg==Zg==", "Zm9v\n", "Zm 9",
          "Zm-_", "Z=g=", "\xFFm9v"}) {
        std::string out = "kept";
        CHECK_FALSE(decode_base64(text, out));
        CHECK(out == "kept");
    }
}
