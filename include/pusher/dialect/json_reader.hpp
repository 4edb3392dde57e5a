// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/json_text.hpp>
#include <pusher/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace pusher::inline v0 {

enum class json_kind : unsigned char { absent, null, boolean, number, string, array, object };

/// One value of a JSON text, as it stands there.
struct json_value {
    json_kind kind = json_kind::absent;
    std::string_view source; ///< its exact source text, without the space around it
    std::string_view text;   ///< a string's value; for other kinds empty
};

/// Reads a JSON text (RFC 8259, strictly) from front to back, and gives every value's exact source text.
///
/// It exists because a payload travels byte for byte: a parser that builds values forgets how a number was
/// written and which fields were there twice. The whole text is checked, also what is skipped; the caller
/// checks that it is UTF-8. Nothing is allocated but `scratch`, once, if a string has an escape; nothing
/// recurses.
///
/// After a fault every function returns false or nothing, so it is enough to look at `fault` in the end.
class json_reader {
public:
    /// The deepest nesting that can be asked for: one bit for each level.
    static constexpr std::size_t most_levels = 64;

    /// \param scratch where strings with escapes are decoded to: what is in it is lost, and it may grow to
    /// the size of the text.
    /// \param max_depth arrays and objects within each other, 1 to 64.
    json_reader(std::string_view text, std::size_t max_depth, std::string& scratch) noexcept
        : begin_(text.data()),
          at_(begin_),
          end_(begin_ + text.size()),
          max_depth_(std::clamp<std::size_t>(max_depth, 1, most_levels)),
          scratch_(scratch) {}

    json_reader(const json_reader&) = delete;
    json_reader& operator=(const json_reader&) = delete;

    /// What the next value is, by its first character; absent where none can begin.
    [[nodiscard]] json_kind peek() noexcept {
        space();
        if (at_ == end_)
            return json_kind::absent;
        switch (*at_) {
        case '{': return json_kind::object;
        case '[': return json_kind::array;
        case '"': return json_kind::string;
        case 't':
        case 'f': return json_kind::boolean;
        case 'n': return json_kind::null;
        default: return *at_ == '-' || is_digit(*at_) ? json_kind::number : json_kind::absent;
        }
    }

    /// Takes the next value whole, arrays and objects with all that is in them.
    bool read(json_value& v) {
        if (fault_)
            return false;
        v = {};
        v.kind = peek();
        const char* const from = at_;
        switch (v.kind) {
        case json_kind::object:
        case json_kind::array: nested(); break;
        case json_kind::string: string(&v.text); break;
        default: scalar(); break;
        }
        if (fault_)
            return false;
        v.source = {from, static_cast<std::size_t>(at_ - from)};
        return true;
    }

    bool skip() noexcept {
        if (fault_)
            return false;
        switch (peek()) {
        case json_kind::object:
        case json_kind::array: nested(); break;
        case json_kind::string: string(nullptr); break;
        default: scalar(); break;
        }
        return !fault_;
    }

    /// Enters the object that `peek` announced; then `next_member` until it is false.
    bool enter_object() noexcept { return !fault_ && open(true); }

    /// Goes to the value of the object's next field. False at the object's end, which is taken, or on a
    /// fault.
    bool next_member(std::string_view& name) {
        if (!next_item('}'))
            return false;
        return member_name(&name);
    }

    /// Enters the array that `peek` announced; then `next_element` until it is false.
    bool enter_array() noexcept { return !fault_ && open(false); }

    /// Goes to the array's next element. False at the array's end, which is taken, or on a fault.
    bool next_element() noexcept { return next_item(']'); }

    /// Whether nothing but space is left.
    [[nodiscard]] bool at_end() noexcept {
        space();
        return at_ == end_;
    }

    /// Whether all is well and the text ends here; more of it is a fault.
    bool finish() noexcept {
        return !fault_ && (at_end() || fail("there is more after the end of the JSON text"));
    }

    /// What is wrong; nullptr while nothing is.
    [[nodiscard]] const char* fault() const noexcept { return fault_; }
    [[nodiscard]] bool too_deep() const noexcept { return fault_ == deep; }

    /// How many bytes were taken: after a fault, where it is.
    [[nodiscard]] std::size_t position() const noexcept { return static_cast<std::size_t>(at_ - begin_); }

private:
    static constexpr char deep[] = "nested too deeply";

    static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

    bool fail(const char* why) noexcept {
        fault_ = why;
        return false;
    }

    void space() noexcept {
        // Mostly there is none, and every character that ends it is greater.
        while (at_ != end_ && static_cast<unsigned char>(*at_) <= ' ' &&
               (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t'))
            ++at_;
    }

    bool open(bool object) noexcept {
        if (depth_ == max_depth_)
            return fail(deep);
        objects_ = objects_ << 1 | static_cast<std::uint64_t>(object);
        ++depth_;
        ++at_;
        first_ = true;
        return true;
    }

    void close() noexcept {
        objects_ >>= 1;
        --depth_;
        ++at_;
        first_ = false;
    }

    /// Takes the comma before the next item of the innermost array or object, or its end.
    bool next_item(char closing) noexcept {
        if (fault_)
            return false;
        space();
        if (at_ == end_)
            return fail("the text ends inside an array or object");
        if (*at_ == closing) {
            close();
            return false;
        }
        if (!first_) {
            if (*at_ != ',')
                return fail(closing == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
            ++at_;
        }
        first_ = false;
        return true;
    }

    bool member_name(std::string_view* name) {
        space();
        if (at_ == end_ || *at_ != '"')
            return fail("expected a field's name in quotes");
        if (!string(name))
            return false;
        space();
        if (at_ == end_ || *at_ != ':')
            return fail("expected ':' after a field's name");
        ++at_;
        return true;
    }

    /// Takes a whole array or object without keeping anything of it.
    void nested() noexcept {
        const auto outside = depth_;
        open(*at_ == '{');
        while (!fault_ && depth_ != outside) {
            const bool object = (objects_ & 1) != 0;
            if (!next_item(object ? '}' : ']'))
                continue; // its end, and on in what is around it; or a fault
            if (object && !member_name(nullptr))
                return;
            switch (peek()) {
            case json_kind::object: open(true); break;
            case json_kind::array: open(false); break;
            case json_kind::string: string(nullptr); break;
            default: scalar(); break;
            }
        }
    }

    bool scalar() noexcept {
        if (at_ == end_)
            return fail("a value is missing");
        switch (*at_) {
        case 't': return word("true");
        case 'f': return word("false");
        case 'n': return word("null");
        default: return number();
        }
    }

    bool word(std::string_view expected) noexcept {
        if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(expected))
            return fail("not a JSON value");
        at_ += expected.size();
        return true;
    }

    bool digits() noexcept {
        if (at_ == end_ || !is_digit(*at_))
            return fail("expected a digit");
        while (at_ != end_ && is_digit(*at_))
            ++at_;
        return true;
    }

    bool number() noexcept {
        if (*at_ == '-')
            ++at_;
        else if (!is_digit(*at_))
            return fail("not a JSON value");
        if (at_ != end_ && *at_ == '0')
            ++at_;
        else if (!digits())
            return false;
        if (at_ != end_ && *at_ == '.') {
            ++at_;
            if (!digits())
                return false;
        }
        if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
            ++at_;
            if (at_ != end_ && (*at_ == '+' || *at_ == '-'))
                ++at_;
            return digits();
        }
        return true;
    }

    /// Takes a string; `text`, if asked for, is its value.
    bool string(std::string_view* text) {
        const char* const from = ++at_;
        at_ = detail::find_json_special(from, end_);
        if (at_ != end_ && *at_ == '"') {
            if (text)
                *text = {from, static_cast<std::size_t>(at_ - from)};
            ++at_;
            return true;
        }
        if (!text)
            return rest_of_string<false>();
        // What is decoded is never longer than its source, so that one size is enough and all views stay
        // valid.
        const auto most = static_cast<std::size_t>(end_ - begin_);
        if (!to_) {
            if (scratch_.size() < most)
                scratch_.resize(most);
            to_ = scratch_.data();
        }
        const char* const begin = to_;
        to_ = std::copy(from, at_, to_);
        if (!rest_of_string<true>())
            return false;
        *text = {begin, static_cast<std::size_t>(to_ - begin)};
        return true;
    }

    /// Goes on at a string's first special character, or at the end of the text.
    template <bool Keep>
    bool rest_of_string() noexcept {
        for (;;) {
            if (at_ == end_)
                return fail("the text ends inside a string");
            if (*at_ == '"') {
                ++at_;
                return true;
            }
            if (*at_ != '\\')
                return fail("a control character in a string must be escaped");
            if (!escape<Keep>())
                return false;
            if constexpr (Keep)
                copy_plain();
            else
                at_ = detail::find_json_special(at_, end_);
        }
    }

    void copy_plain() noexcept {
        while (end_ - at_ >= 8) {
            std::uint64_t word;
            std::memcpy(&word, at_, 8);
            std::memcpy(to_, &word, 8); // there is room: as much as is still to be read
            const auto specials = detail::json_specials(word);
            const auto plain = specials == 0 ? 8 : detail::plain_run(at_, specials);
            at_ += plain;
            to_ += plain;
            if (specials != 0)
                return;
        }
        while (at_ != end_ && !detail::is_json_special(*at_))
            *to_++ = *at_++;
    }

    template <bool Keep>
    bool escape() noexcept {
        if (++at_ == end_)
            return fail("the text ends inside a string");
        char c = *at_;
        switch (c) {
        case '"':
        case '\\':
        case '/': break;
        case 'b': c = '\b'; break;
        case 'f': c = '\f'; break;
        case 'n': c = '\n'; break;
        case 'r': c = '\r'; break;
        case 't': c = '\t'; break;
        case 'u': ++at_; return unicode<Keep>();
        default: return fail("unknown escape in a string");
        }
        ++at_;
        if constexpr (Keep)
            *to_++ = c;
        return true;
    }

    bool hex(std::uint32_t& value) noexcept {
        value = 0;
        for (int i = 0; i != 4; ++i, ++at_) {
            if (at_ == end_)
                return fail("the text ends inside a string");
            const char c = *at_;
            const char lower = static_cast<char>(c | 0x20);
            if (!is_digit(c) && (lower < 'a' || lower > 'f'))
                return fail("expected four hexadecimal digits after \\u");
            value = value << 4 | static_cast<std::uint32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
        }
        return true;
    }

    template <bool Keep>
    bool unicode() noexcept {
        constexpr auto* half = "half a surrogate pair in a string";
        std::uint32_t value = 0;
        if (!hex(value))
            return false;
        if (value >= 0xDC00 && value <= 0xDFFF)
            return fail(half);
        if (value >= 0xD800 && value <= 0xDBFF) {
            if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u')
                return fail(half);
            at_ += 2;
            std::uint32_t low = 0;
            if (!hex(low))
                return false;
            if (low < 0xDC00 || low > 0xDFFF)
                return fail(half);
            value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
        }
        if constexpr (Keep)
            append_utf8(value);
        return true;
    }

    void append_utf8(std::uint32_t value) noexcept {
        auto add = [this](std::uint32_t byte) { *to_++ = static_cast<char>(byte); };
        auto tail = [&](unsigned shift) { add(0x80 | (value >> shift & 0x3F)); };
        if (value < 0x80) {
            add(value);
        } else if (value < 0x800) {
            add(0xC0 | value >> 6);
            tail(0);
        } else if (value < 0x10000) {
            add(0xE0 | value >> 12);
            tail(6);
            tail(0);
        } else {
            add(0xF0 | value >> 18);
            tail(12);
            tail(6);
            tail(0);
        }
    }

    const char* begin_;
    const char* at_;
    const char* end_;
    const char* fault_ = nullptr;
    std::size_t max_depth_;
    std::size_t depth_ = 0;
    std::uint64_t objects_ = 0; ///< the lowest bit: whether the innermost is an object
    bool first_ = false;        ///< no item of the innermost was taken yet
    std::string& scratch_;
    char* to_ = nullptr; ///< the end of what was decoded in `scratch_`; nullptr: nothing yet
};

} // namespace pusher::inline v0
