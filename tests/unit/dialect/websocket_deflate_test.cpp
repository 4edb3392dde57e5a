// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/native_encoding.hpp>
#include <pusher/dialect/websocket_deflate.hpp>

#include "catch.hpp"
#include "websocket_script.hpp"

#include <boost/beast/zlib/inflate_stream.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// permessage-deflate without a socket: what is agreed to, what is sent, and what is made of what comes.

using namespace test;
using namespace std::string_literals;
using pusher::answer_deflate_offers;
using pusher::websocket_deflater;
using pusher::websocket_inflater;
using result = pusher::websocket_inflater::result;

namespace {

constexpr const char* alone = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The window that is agreed to; 0: none.
int window_of(const std::string& offers) {
    const auto a = answer_deflate_offers(offers);
    CAPTURE(offers);
    CHECK(a.text.empty() == (a.window_bits == 0));
    return a.window_bits;
}

/// Text that is alike near and far.
std::string prose(std::size_t size, unsigned seed = 1) {
    std::string text;
    for (unsigned n = seed; text.size() < size; n = n * 1103515245U + 12345U)
        text += R"({"price":)" + std::to_string(n >> 16) + R"(,"name":"somebody"})";
    text.resize(size);
    return text;
}

/// What nothing can be made of.
std::string noise(std::size_t size) {
    std::string text;
    for (std::uint64_t n = 88172645463325252U; text.size() < size;) {
        n ^= n << 13;
        n ^= n >> 7;
        n ^= n << 17;
        text += static_cast<char>(n >> 32 & 0xFF);
    }
    return text;
}

std::string bytes(std::initializer_list<int> list) {
    std::string text;
    for (const int b : list)
        text += static_cast<char>(b);
    return text;
}

struct outcome {
    result what;
    std::string text;
    friend bool operator==(const outcome&, const outcome&) = default;
};

std::ostream& operator<<(std::ostream& out, const outcome& o) {
    return out << static_cast<int>(o.what) << ' ' << o.text.substr(0, 100);
}

outcome inflated(websocket_inflater& in, std::string_view payload, std::size_t limit = 1 << 20) {
    outcome o{result::done, "what was there before"};
    o.what = in.inflate(payload, limit, o.text);
    CHECK(o.text.size() <= limit + 1);
    CHECK(o.text.capacity() <= std::max<std::size_t>(limit + 1, 15)); // of the string itself
    if (o.what != result::done)
        o.text.clear();
    return o;
}
outcome inflated(std::string_view payload, std::size_t limit = 1 << 20) {
    websocket_inflater in;
    return inflated(in, payload, limit);
}

const outcome invalid{result::invalid, ""};
const outcome too_large{result::too_large, ""};
outcome done(std::string text) { return {result::done, std::move(text)}; }

/// Decompresses as somebody does who has agreed to a small window, and nothing beyond it.
std::string inflated_within(int window_bits, std::string payload) {
    payload += bytes({0, 0, 0xFF, 0xFF});
    boost::beast::zlib::inflate_stream in;
    in.reset(window_bits);
    boost::beast::zlib::z_params z;
    z.next_in = payload.data();
    z.avail_in = payload.size();
    std::string text;
    for (;;) {
        char room[100];
        z.next_out = room;
        z.avail_out = sizeof room;
        boost::system::error_code ec;
        in.write(z, boost::beast::zlib::Flush::sync, ec);
        text.append(room, sizeof room - z.avail_out);
        if (ec == boost::beast::zlib::error::need_buffers)
            return text;
        if (ec)
            throw std::runtime_error(ec.message());
    }
}

} // namespace

TEST_CASE("permessage-deflate: what is agreed to", "[websocket]") {
    CHECK(answer_deflate_offers("permessage-deflate").text == alone);
    CHECK(answer_deflate_offers("permessage-deflate; client_max_window_bits").text == alone); // Chromium, ws
    CHECK(
        answer_deflate_offers("permessage-deflate; server_max_window_bits=12; client_max_window_bits=12")
            .text == alone + "; server_max_window_bits=12"s);
    CHECK(answer_deflate_offers("").text.empty());

    SECTION("every set of the four parameters, in every order") {
        struct choice {
            const char* text;
            bool good;
            int window;
        };
        const std::vector<choice> server_bits{
            {"", true, 15},
            {"server_max_window_bits=15", true, 15},
            {"server_max_window_bits=14", true, 12},
            {"server_max_window_bits=13", true, 12},
            {"server_max_window_bits=12", true, 12},
            {"server_max_window_bits=11", true, 9},
            {"server_max_window_bits=10", true, 9},
            {"server_max_window_bits=9", true, 9},
            {"server_max_window_bits=8", false, 0},
            {"server_max_window_bits=7", false, 0},
            {"server_max_window_bits=16", false, 0},
            {"server_max_window_bits=0", false, 0},
            {"server_max_window_bits=09", false, 0},
            {"server_max_window_bits=010", false, 0},
            {"server_max_window_bits=-9", false, 0},
            {"server_max_window_bits=1", false, 0},
            {"server_max_window_bits=100", false, 0},
            {"server_max_window_bits=ten", false, 0},
            {"server_max_window_bits=\"10\"", true, 9},
            {"server_max_window_bits=\"1\\0\"", true, 9},
            {"server_max_window_bits", false, 0},
            {"Server_Max_Window_Bits=10", false, 0},
            {"server_max_window_bits=10; server_max_window_bits=10", false, 0}};
        const std::vector<choice> client_bits{
            {"", true, 0},
            {"client_max_window_bits", true, 0},
            {"client_max_window_bits=8", true, 0},
            {"client_max_window_bits=15", true, 0},
            {"client_max_window_bits=16", false, 0},
            {"client_max_window_bits=07", false, 0},
            {"client_max_window_bits; client_max_window_bits", false, 0}};
        const std::vector<choice> server_alone{
            {"", true, 0},
            {"server_no_context_takeover", true, 0},
            {"server_no_context_takeover=1", false, 0},
            {"server_no_context_takeover; server_no_context_takeover", false, 0}};
        const std::vector<choice> client_alone{
            {"", true, 0},
            {"client_no_context_takeover", true, 0},
            {"client_no_context_takeover=true", false, 0},
            {"client_no_context_takeover; client_no_context_takeover", false, 0}};
        const std::vector<choice> unknown{{"", true, 0}, {"x", false, 0}, {"x=1", false, 0}};
        std::size_t rows = 0;
        for (const auto& a : server_bits)
            for (const auto& b : client_bits)
                for (const auto& c : server_alone)
                    for (const auto& d : client_alone)
                        for (const auto& e : unknown) {
                            std::vector<std::string> named;
                            for (const auto* const x : {&a, &b, &c, &d, &e})
                                if (*x->text)
                                    named.emplace_back(x->text);
                            std::string offer = "permessage-deflate";
                            for (const auto& n : named)
                                offer += "; " + n;
                            std::string turned = "permessage-deflate";
                            for (auto n = named.rbegin(); n != named.rend(); ++n)
                                turned += " ;\t" + *n;
                            const bool good = a.good && b.good && c.good && d.good && e.good;
                            std::string want;
                            if (good) {
                                want = alone;
                                if (*a.text)
                                    want += "; server_max_window_bits=" + std::to_string(a.window);
                            }
                            ++rows;
                            // One assertion of Catch per row would take most of the time.
                            for (const auto& o : {offer, turned}) {
                                const auto answer = answer_deflate_offers(o);
                                if (answer.text != want || answer.window_bits != (good ? a.window : 0)) {
                                    CAPTURE(o);
                                    CHECK(answer.text == want);
                                    CHECK(answer.window_bits == (good ? a.window : 0));
                                }
                            }
                        }
        CHECK(rows == 23 * 7 * 4 * 4 * 3);
    }
    SECTION("the first offer that can be kept") {
        CHECK(window_of("permessage-deflate; server_max_window_bits=10, permessage-deflate") == 9);
        CHECK(window_of("permessage-deflate; server_max_window_bits=8, permessage-deflate") == 15);
        CHECK(window_of("permessage-deflate; x, permessage-deflate; server_max_window_bits=12") == 12);
        CHECK(window_of("permessage-bzip2; a=b; c=\"d\", other,permessage-deflate") == 15);
        CHECK(window_of("permessage-deflate; x=\"quoted\",,\t, permessage-deflate ,") == 15);
        CHECK(window_of("permessage-deflate; x, other") == 0);
        CHECK(window_of("x-webkit-deflate-frame") == 0);
        CHECK(window_of("permessage-deflated") == 0);
        CHECK(window_of("Permessage-Deflate") == 0);
    }
    SECTION("what breaks the header's grammar, and nothing after it") {
        for (const auto* const wrong :
             {"permessage-deflate;", "permessage-deflate; ;",
              "permessage-deflate; =", "permessage-deflate; a=", "permessage-deflate; a=\"",
              "permessage-deflate; a=\"b", "permessage-deflate; a=\"\"", "permessage-deflate; a=\"b c\"",
              "permessage-deflate; a=\"b\\", "permessage-deflate x", "permessage-deflate; a b",
              "permessage-deflate; a=b c", "permessage-deflate; a=\"b\"c", "permessage-deflate = 1", "=", ";",
              "\"permessage-deflate\"", "@", "permessage-deflate; a\x01"}) {
            CHECK(window_of(wrong) == 0);
            CHECK(window_of(wrong + ", permessage-deflate"s) == 0);
            CHECK(window_of("permessage-deflate, "s + wrong) == 15);
        }
    }
}

TEST_CASE("permessage-deflate: the examples of RFC 7692, section 7.2.3", "[websocket]") {
    websocket_inflater in; // one for all: nothing is left of the one before
    const auto compressed = bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00});
    CHECK(inflated(in, compressed) == done("Hello"));
    // It reaches back into the message before, which is what was not agreed to.
    CHECK(inflated(in, bytes({0xF2, 0x00, 0x11, 0x00, 0x00})) == invalid);
    CHECK(
        inflated(in, bytes({0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00})) ==
        done("Hello"));
    CHECK(inflated(in, bytes({0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00})) == done("Hello"));
    CHECK(
        inflated(in, bytes({0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00})) ==
        done("Hello"));
    CHECK(inflated(in, bytes({0x00})) == done(""));
}

TEST_CASE("permessage-deflate: what was not compressed as agreed", "[websocket]") {
    websocket_inflater in;
    std::string whole;
    REQUIRE(websocket_deflater(15, 6).deflate(prose(3000), whole));
    CHECK(inflated(in, whole) == done(prose(3000)));
    SECTION("cut anywhere") {
        for (std::size_t n = 0; n != whole.size(); ++n)
            if (const auto o = inflated(in, std::string_view(whole).substr(0, n)); o != invalid)
                CHECK(o == invalid);
        CHECK(inflated(in, whole) == done(prose(3000)));
    }
    SECTION("something behind it") {
        CHECK(inflated(in, whole + "x") == invalid);
        CHECK(inflated(in, whole + bytes({0, 0, 0xFF, 0xFF})) == invalid); // half an empty block
        CHECK(inflated(in, whole + bytes({0, 0, 0, 0xFF, 0xFF})) == invalid);
    }
    SECTION("nothing at all") { CHECK(inflated(in, "") == invalid); }
    SECTION("noise") {
        std::size_t bad = 0;
        for (std::size_t n = 1; n != 500; ++n)
            bad += inflated(in, noise(n).substr(n / 2)) == invalid ? 1 : 0;
        CHECK(bad > 490);
    }
    SECTION("a copy from before the beginning") {
        // A fixed block, whose first code is a length of 3 and a distance of 1; and the next one's header.
        CHECK(inflated(in, bytes({0x02, 0x02, 0x00, 0x00})) == invalid);
    }
    CHECK(inflated(in, whole) == done(prose(3000)));
}

TEST_CASE("permessage-deflate: the last block of a stream does not end a message", "[websocket]") {
    const auto hello = bytes({0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00}); // ends with BFINAL
    CHECK(inflated(hello + hello + hello + bytes({0})) == done("HelloHelloHello"));
    CHECK(inflated(hello + bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00})) == done("HelloHello"));
    CHECK(inflated(bytes({0x01, 0x02, 0x00, 0xFD, 0xFF, 'a', 'b', 0x00})) == done("ab"));
    // Whoever ends it so has one byte to add (section 7.2.3.4).
    CHECK(inflated(hello) == invalid);
}

TEST_CASE("permessage-deflate: a bomb is given up at the limit", "[websocket]") {
    std::string bomb;
    REQUIRE(websocket_deflater(15, 9).deflate(std::string(5'000'000, 'x'), bomb));
    CHECK(bomb.size() < 6'000);
    websocket_inflater in;
    CHECK(inflated(in, bomb, 64 * 1024) == too_large);
    CHECK(inflated(in, bomb, 4'999'999) == too_large);
    CHECK(inflated(in, bomb, 5'000'000) == done(std::string(5'000'000, 'x')));
    SECTION("exactly") {
        for (const std::size_t size : {1U, 2U, 1023U, 1024U, 1025U, 4096U, 40'000U}) {
            std::string small;
            // What does not become shorter is stored.
            if (!websocket_deflater(15, 6).deflate(std::string(size, 'x'), small))
                small = bytes({0, static_cast<int>(size), 0, static_cast<int>(255 - size), 0xFF}) +
                        std::string(size, 'x') + bytes({0});
            CAPTURE(size);
            CHECK(inflated(in, small, size) == done(std::string(size, 'x')));
            CHECK(inflated(in, small, size - 1) == too_large);
        }
    }
}

TEST_CASE("permessage-deflate: what is compressed, is read again, whatever was agreed", "[websocket]") {
    websocket_inflater in;
    for (int bits = 9; bits <= 15; ++bits)
        for (const int level : {1, 6, 9}) {
            websocket_deflater out(bits, level);
            for (const std::size_t size : {20U, 100U, 500U, 1000U, 3833U, 3834U, 3835U, 5000U, 40'000U}) {
                CAPTURE(bits, level, size);
                const auto text = prose(size);
                std::string compressed = "before";
                if (!out.deflate(text, compressed)) {
                    CHECK(compressed == "before");
                    CHECK(size <= 100);
                    continue;
                }
                REQUIRE(compressed.starts_with("before"));
                compressed.erase(0, 6);
                CHECK(compressed.size() < size);
                if (inflated(in, compressed) != done(text))
                    FAIL("it is read as something else");
                if (inflated_within(bits, compressed) != text)
                    FAIL("it reaches beyond the window");
                // The same for the same, whatever came between.
                std::string between;
                out.deflate(prose(size / 2, 7), between);
                std::string again;
                CHECK(out.deflate(text, again));
                if (again != compressed)
                    FAIL("it is not the same again");
                again.clear();
                CHECK(websocket_deflater(bits, level).deflate(text, again));
                if (again != compressed)
                    FAIL("another one does not the same");
            }
        }
}

TEST_CASE("permessage-deflate: what does not become shorter is not compressed", "[websocket]") {
    websocket_deflater out(15, 9);
    std::string compressed = "before";
    for (const std::size_t size : {0U, 1U, 2U, 3U, 10U, 1000U, 3900U, 70'000U, 1'000'000U}) {
        CAPTURE(size);
        CHECK_FALSE(out.deflate(noise(size), compressed));
        CHECK(compressed == "before");
    }
    CHECK(out.deflate(prose(1000), compressed)); // it has not suffered
    CHECK(inflated(compressed.substr(6)) == done(prose(1000)));
}

TEST_CASE("permessage-deflate: frames", "[websocket]") {
    const pusher::native_websocket_encoding plain;
    const auto message_of = [](std::string_view payload) {
        pusher::message::fields f;
        f.topic = "t";
        f.payload = payload;
        f.sequence = 1;
        f.receive_time = pusher::wall_time{};
        return pusher::message(f);
    };
    const auto pushed = [&](const pusher::encoding& as, std::string_view payload) {
        std::string out = "before";
        as.push(message_of(payload), out);
        REQUIRE(out.starts_with("before"));
        return out.substr(6);
    };
    const auto events = [](const std::string& frames) {
        const ws_setup setup{.compression = pusher::websocket_compression::negotiated};
        const auto o = ws_decode<pusher::websocket_role::client>(
            frames, setup, [](std::size_t) { return std::numeric_limits<std::size_t>::max(); });
        CHECK(o.broken.empty());
        CHECK(o.idle);
        return o.events;
    };
    const auto json_of = [&](std::string_view payload) {
        return events(pushed(plain, payload)).at(0).substr(5);
    };
    const pusher::websocket_deflate_encoding packed(plain, {1000, 15, 6});

    for (const std::size_t size : {1000U, 5000U, 60'000U, 300'000U}) { // each form of length
        const auto frame = pushed(packed, prose(size));
        const auto plain_frame = pushed(plain, prose(size));
        CAPTURE(size);
        CHECK(frame.size() < plain_frame.size() / 2);
        const auto got = events(frame);
        REQUIRE(got.size() == 1);
        const auto mark = "compressed text:"s;
        REQUIRE(got[0].starts_with(mark));
        CHECK(inflated(got[0].substr(mark.size())) == done(json_of(prose(size))));
    }
    SECTION("short ones stay as they are") {
        std::size_t size = 900;
        while (json_of(prose(size)).size() != 1000)
            --size;
        CHECK(pushed(packed, prose(size - 1)) == pushed(plain, prose(size - 1)));
        CHECK(pushed(packed, prose(size)) != pushed(plain, prose(size)));
    }
    SECTION("so do those that would not become shorter") {
        // Each byte is alike to no other.
        std::string text;
        for (int i = 0; i != 20; ++i)
            text += static_cast<char>('A' + i);
        class bare final : public pusher::encoding {
        public:
            void push(const pusher::message& m, std::string& out) const override {
                if (!m.payload().empty())
                    append_frame(out, pusher::websocket_opcode::binary, m.payload());
            }
            void gap(const pusher::gap&, std::string&) const override {}
        };
        const bare raw;
        const pusher::websocket_deflate_encoding packed_raw(raw, {0, 15, 6});
        CHECK(pushed(packed_raw, text) == pushed(raw, text));
        CHECK(events(pushed(packed_raw, std::string(500, 'x'))).at(0).starts_with("compressed binary:"));
        CHECK(pushed(packed_raw, "").empty()); // it cannot be carried, and stays so
    }
    SECTION("gap markers and replies too") {
        const auto topic = prose(200);
        pusher::gap g;
        g.topic = topic;
        std::string a;
        std::string b;
        const pusher::websocket_deflate_encoding all(plain, {0, 15, 9});
        all.gap(g, a);
        plain.gap(g, b);
        all.reply(prose(5000), a);
        plain.reply(prose(5000), b);
        CHECK(a == b);
    }
}

TEST_CASE("permessage-deflate: parameters", "[websocket]") {
    CHECK_NOTHROW(pusher::deflate_params().check());
    CHECK_NOTHROW(pusher::deflate_params{true, 0, 1}.check());
    CHECK_NOTHROW(pusher::deflate_params{true, 0xFFFFFFFF, 9}.check());
    CHECK_THROWS_AS((pusher::deflate_params{true, 0x100000000, 9}.check()), std::invalid_argument);
    CHECK_THROWS_AS((pusher::deflate_params{true, 0, 0}.check()), std::invalid_argument);
    CHECK_THROWS_AS((pusher::deflate_params{true, 0, 10}.check()), std::invalid_argument);
}
