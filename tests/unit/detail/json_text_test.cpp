// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/json_text.hpp>

#include "catch.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <string_view>

using namespace pusher::detail;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

std::string json_of(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

/// What `find_json_special` must find, one byte after the other.
std::size_t first_special(std::string_view text) {
    std::size_t i = 0;
    while (i != text.size() && !is_json_special(text[i]))
        ++i;
    return i;
}

std::size_t found(std::string_view text) {
    return static_cast<std::size_t>(find_json_special(text.data(), text.data() + text.size()) - text.data());
}

} // namespace

TEST_CASE("json_text: what is escaped, and how", "[json_text]") {
    CHECK(json_of("") == R"("")");
    CHECK(json_of("plain") == R"("plain")");
    CHECK(json_of(R"(a"b\c/d)") == R"("a\"b\\c/d")");
    CHECK(json_of("\b\f\n\r\t") == R"("\b\f\n\r\t")");
    CHECK(json_of("\0\x01\x1F\x7F"sv) == "\"\\u0000\\u0001\\u001f\x7F\"");
    CHECK(json_of("grün € 😀") == "\"grün € 😀\"");
    CHECK(json_of("\xE2\x80\xA8") == "\"\xE2\x80\xA8\""); // U+2028 is no special character of JSON's
}

TEST_CASE("json_text: whatever is not UTF-8 becomes U+FFFD", "[json_text]") {
    CHECK(
        json_of("a\xFF"
                "b") == "\"a\xEF\xBF\xBD"
                        "b\"");
    CHECK(json_of("\xC3") == "\"\xEF\xBF\xBD\"");
    CHECK(json_of("\xED\xA0\x80") == "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""); // a surrogate
    CHECK(json_of("é\x80\"") == "\"é\xEF\xBF\xBD\\\"\"");
    CHECK(json_of("\xF0\x9F\x98") == "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST_CASE("json_text: a special byte is found at every place, among every other byte", "[json_text]") {
    for (int special = 0; special != 256; ++special) {
        for (const char fill :
             {'a', '!', '#', '[', ']', ' ', '\x7F', '\x80', '\xFF', '\xA2', '\xDC', '\x81'}) {
            for (std::size_t size = 1; size != 20; ++size) {
                for (std::size_t at = 0; at != size; ++at) {
                    std::string text(size, fill);
                    text[at] = static_cast<char>(special);
                    if (found(text) != first_special(text))
                        FAIL(special << " at " << at << " of " << size);
                }
            }
        }
    }
    // Two specials: the borrow of the first must not hide it behind the second.
    for (const char a : {'"', '\\', '\x1F', '\0', '\n'})
        for (const char b : {'"', '\\', '\x1F', '\0', '#', '!', ' ', ']'})
            for (std::size_t i = 0; i != 8; ++i)
                for (std::size_t j = 0; j != 8; ++j) {
                    std::string text(8, 'x');
                    text[j] = b;
                    text[i] = a;
                    CHECK(found(text) == first_special(text));
                }
}

TEST_CASE("json_text: long texts cross the writer's buffer at every place", "[json_text]") {
    for (std::size_t size = 900; size != 1100; ++size) {
        const std::string plain(size, 'x');
        CHECK(json_of(plain) == '"' + plain + '"');
        const std::string control(size, '\x01');
        std::string expected = "\"";
        for (std::size_t i = 0; i != size; ++i)
            expected += "\\u0001";
        CHECK(json_of(control) == expected + '"');
        std::string out = "before";
        json_writer w(out);
        w.raw(plain);
        w.literal("|");
        w.number(std::numeric_limits<std::uint64_t>::max());
        w.literal("|");
        w.number(std::numeric_limits<std::int64_t>::min());
        w.raw(plain + plain + plain);
        w.finish();
        CHECK(out == "before" + plain + "|18446744073709551615|-9223372036854775808" + plain + plain + plain);
    }
}

namespace {

/// A string that can't grow beyond a limit.
class limited_string {
public:
    explicit limited_string(std::size_t limit) : limit_(limit) {}
    [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }
    void resize(std::size_t size) { text_.resize(size); }
    void append(const char* from, const char* to) {
        if (text_.size() + static_cast<std::size_t>(to - from) > limit_)
            throw std::bad_alloc();
        text_.append(from, to);
    }
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
    std::size_t limit_;
    std::string text_ = "before";
};

} // namespace

TEST_CASE("json_text: if memory runs out, the string is as it was before", "[json_text]") {
    const std::string text(3000, '"');
    std::size_t limit = 6;
    for (bool threw = true; threw; ++limit) {
        limited_string out(limit);
        basic_json_writer<limited_string> w(out);
        try {
            w.string(text);
            w.finish();
            threw = false;
        } catch (const std::bad_alloc&) {
            if (out.text() != "before")
                FAIL(limit);
        }
    }
    CHECK(limit - 1 == 6 + 2 + 2 * text.size());
}
