// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/detail/siphash.hpp>

#include "catch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>

namespace {

using namespace pusher::detail;

// The reference key and inputs: 00 01 02 ...
constexpr auto counting = [] {
    std::array<unsigned char, 64> bytes{};
    std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(0));
    return bytes;
}();
constexpr auto reference_key = siphash_key::from(std::span(counting).first<16>());

// Of the first 0, 1, ... 63 of those bytes: the designers' reference values, made again with OpenSSL.
constexpr std::array<std::uint64_t, 64> reference{
    0x726FDB47DD0E0E31, 0x74F839C593DC67FD, 0x0D6C8009D9A94F5A, 0x85676696D7FB7E2D, 0xCF2794E0277187B7,
    0x18765564CD99A68D, 0xCBC9466E58FEE3CE, 0xAB0200F58B01D137, 0x93F5F5799A932462, 0x9E0082DF0BA9E4B0,
    0x7A5DBBC594DDB9F3, 0xF4B32F46226BADA7, 0x751E8FBC860EE5FB, 0x14EA5627C0843D90, 0xF723CA908E7AF2EE,
    0xA129CA6149BE45E5, 0x3F2ACC7F57C29BDB, 0x699AE9F52CBE4794, 0x4BC1B3F0968DD39C, 0xBB6DC91DA77961BD,
    0xBED65CF21AA2EE98, 0xD0F2CBB02E3B67C7, 0x93536795E3A33E88, 0xA80C038CCD5CCEC8, 0xB8AD50C6F649AF94,
    0xBCE192DE8A85B8EA, 0x17D835B85BBB15F3, 0x2F2E6163076BCFAD, 0xDE4DAAACA71DC9A5, 0xA6A2506687956571,
    0xAD87A3535C49EF28, 0x32D892FAD841C342, 0x7127512F72F27CCE, 0xA7F32346F95978E3, 0x12E0B01ABB051238,
    0x15E034D40FA197AE, 0x314DFFBE0815A3B4, 0x027990F029623981, 0xCADCD4E59EF40C4D, 0x9ABFD8766A33735C,
    0x0E3EA96B5304A7D0, 0xAD0C42D6FC585992, 0x187306C89BC215A9, 0xD4A60ABCF3792B95, 0xF935451DE4F21DF2,
    0xA9538F0419755787, 0xDB9ACDDFF56CA510, 0xD06C98CD5C0975EB, 0xE612A3CB9ECBA951, 0xC766E62CFCADAF96,
    0xEE64435A9752FE72, 0xA192D576B245165A, 0x0A8787BF8ECB74B2, 0x81B3E73D20B49B6F, 0x7FA8220BA3B2ECEA,
    0x245731C13CA42499, 0xB78DBFAF3A8D83BD, 0xEA1AD565322A1A0B, 0x60E61C23A3795013, 0x6606D7E446282B93,
    0x6CA4ECB15C5F91E1, 0x9F626DA15C9625F3, 0xE51B38608EF25F57, 0x958A324CEB064572};

TEST_CASE("siphash: the key is read as little-endian words", "[siphash]") {
    STATIC_REQUIRE(reference_key.low == 0x0706050403020100U);
    STATIC_REQUIRE(reference_key.high == 0x0F0E0D0C0B0A0908U);
}

TEST_CASE("siphash: the example of the paper", "[siphash]") {
    STATIC_REQUIRE(siphash(reference_key, std::span(counting).first<15>()) == 0xA129CA6149BE45E5U);
}

TEST_CASE("siphash: all reference vectors, when compiling and when running", "[siphash]") {
    constexpr bool all = [] {
        for (std::size_t n = 0; n != reference.size(); ++n)
            if (siphash(reference_key, std::span(counting).first(n)) != reference[n])
                return false;
        return true;
    }();
    STATIC_REQUIRE(all);
    for (std::size_t n = 0; n != reference.size(); ++n) {
        CAPTURE(n);
        CHECK(siphash(reference_key, std::span(counting).first(n)) == reference[n]);
    }
}

TEST_CASE("siphash: text and bytes hash alike, at any alignment", "[siphash]") {
    STATIC_REQUIRE(siphash(reference_key, std::string_view()) == reference[0]);
    for (std::size_t shift = 0; shift != 8; ++shift) {
        std::string text(shift, 'x');
        text.append(reinterpret_cast<const char*>(counting.data()), counting.size());
        for (std::size_t n = 0; n != reference.size(); ++n)
            CHECK(siphash(reference_key, std::string_view(text).substr(shift, n)) == reference[n]);
    }
}

TEST_CASE("siphash: bytes over 127 are not sign-extended", "[siphash]") {
    const std::array<unsigned char, 3> bytes{0xFF, 0x80, 0xC3};
    const std::string_view text("\xFF\x80\xC3");
    CHECK(siphash(reference_key, text) == siphash(reference_key, bytes));
}

TEST_CASE("siphash: key, length and every byte matter", "[siphash]") {
    const std::string zeros(24, '\0');
    const auto h = siphash({}, zeros);
    CHECK(siphash({1, 0}, zeros) != h);
    CHECK(siphash({0, 1}, zeros) != h);
    for (std::size_t i = 0; i != zeros.size(); ++i) {
        auto changed = zeros;
        changed[i] = 1;
        CHECK(siphash({}, changed) != h);
        CHECK(siphash({}, std::string_view(zeros).substr(0, i)) != h);
    }
}

} // namespace
