// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace pusher::inline v0::detail {

/// Validates UTF-8 piece by piece (RFC 3629: no surrogates, no overlong forms, nothing over U+10FFFF).
///
/// A sequence may be cut anywhere; `feed` is false as soon as no continuation could be valid.
class utf8_validator {
public:
    [[nodiscard]] bool feed(std::string_view text) noexcept {
        const char* at = text.data();
        const char* const end = at + text.size();
        while (at != end) {
            if (more_ == 0) {
                // Text is mostly ASCII: eight bytes at a time.
                while (end - at >= 8) {
                    std::uint64_t word;
                    std::memcpy(&word, at, 8);
                    if ((word & 0x8080808080808080U) != 0)
                        break;
                    at += 8;
                }
                if (at == end)
                    return true;
            }
            if (!step(static_cast<unsigned char>(*at++)))
                return false;
        }
        return true;
    }

    /// Whether the text may end here.
    [[nodiscard]] bool complete() const noexcept { return more_ == 0; }

    void reset() noexcept { *this = {}; }

private:
    bool step(unsigned char c) noexcept {
        if (more_ != 0) {
            if (c < low_ || c > high_)
                return false;
            low_ = 0x80;
            high_ = 0xBF;
            --more_;
            return true;
        }
        if (c < 0x80)
            return true;
        if (c < 0xC2 || c > 0xF4)
            return false;
        more_ = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
        // The first continuation byte rules out overlong forms, surrogates and values over U+10FFFF.
        if (c == 0xE0)
            low_ = 0xA0;
        else if (c == 0xED)
            high_ = 0x9F;
        else if (c == 0xF0)
            low_ = 0x90;
        else if (c == 0xF4)
            high_ = 0x8F;
        return true;
    }

    std::uint8_t more_ = 0;
    std::uint8_t low_ = 0x80;
    std::uint8_t high_ = 0xBF;
};

[[nodiscard]] inline bool is_valid_utf8(std::string_view text) noexcept {
    utf8_validator v;
    return v.feed(text) && v.complete();
}

} // namespace pusher::inline v0::detail
