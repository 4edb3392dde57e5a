// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/message.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace pusher::inline v0::detail {

/// The size of what `write_rfc3339` writes: `2026-01-31T23:59:58.123456789Z`.
inline constexpr std::size_t rfc3339_size = 30;

/// Writes a number below 100 as two digits.
inline char* write_two_digits(char* to, std::uint32_t value) noexcept {
    static constexpr auto pairs = [] {
        std::array<char, 200> all{};
        for (std::size_t i = 0; i != 100; ++i) {
            all[2 * i] = static_cast<char>('0' + i / 10);
            all[2 * i + 1] = static_cast<char>('0' + i % 10);
        }
        return all;
    }();
    std::memcpy(to, pairs.data() + 2 * value, 2);
    return to + 2;
}

/// Writes a time as RFC 3339 in UTC, always with nine digits of fraction; returns the end, 30 bytes on.
///
/// A year that four digits can't say (a clock that counts in more than nanoseconds reaches them) becomes the
/// nearest that they can.
inline char* write_rfc3339(char* to, wall_time time) noexcept {
    using namespace std::chrono;
    constexpr sys_days first = year(0) / January / 1;
    constexpr sys_days last = year(9999) / December / 31;
    // Cut towards zero, then put right: rounding down at once would overflow at the clock's very beginning.
    auto second = duration_cast<seconds>(time.time_since_epoch());
    auto rest = duration_cast<nanoseconds>(time.time_since_epoch() - second);
    if (rest.count() < 0) {
        second -= seconds(1);
        rest += seconds(1);
    }
    const auto day = floor<days>(second);
    const year_month_day date(std::clamp(sys_days(day), first, last));
    const auto of_day = static_cast<std::uint32_t>((second - day).count());
    const auto fraction = static_cast<std::uint32_t>(rest.count());

    const auto y = static_cast<std::uint32_t>(static_cast<int>(date.year()));
    to = write_two_digits(to, y / 100);
    to = write_two_digits(to, y % 100);
    *to++ = '-';
    to = write_two_digits(to, static_cast<unsigned>(date.month()));
    *to++ = '-';
    to = write_two_digits(to, static_cast<unsigned>(date.day()));
    *to++ = 'T';
    to = write_two_digits(to, of_day / 3600);
    *to++ = ':';
    to = write_two_digits(to, of_day / 60 % 60);
    *to++ = ':';
    to = write_two_digits(to, of_day % 60);
    *to++ = '.';
    *to++ = static_cast<char>('0' + fraction / 100'000'000);
    to = write_two_digits(to, fraction / 1'000'000 % 100);
    to = write_two_digits(to, fraction / 10'000 % 100);
    to = write_two_digits(to, fraction / 100 % 100);
    to = write_two_digits(to, fraction % 100);
    *to++ = 'Z';
    return to;
}

/// Reads a time in RFC 3339: any offset from UTC, any number of digits of fraction (more than nine are cut
/// off). Nothing if it is not one, or if the clock can't express it.
[[nodiscard]] inline std::optional<wall_time> parse_rfc3339(std::string_view text) noexcept {
    using namespace std::chrono;
    bool good = true;
    auto digits = [&](std::size_t n) {
        std::uint32_t value = 0;
        for (; n != 0; --n) {
            if (text.empty() || text[0] < '0' || text[0] > '9') {
                good = false;
                return 0U;
            }
            value = value * 10 + static_cast<std::uint32_t>(text[0] - '0');
            text.remove_prefix(1);
        }
        return value;
    };
    auto skip = [&](char a, char b) {
        if (text.empty() || (text[0] != a && text[0] != b))
            good = false;
        else
            text.remove_prefix(1);
    };
    const auto y = digits(4);
    skip('-', '-');
    const auto m = digits(2);
    skip('-', '-');
    const auto d = digits(2);
    skip('T', 't');
    const auto hour = digits(2);
    skip(':', ':');
    const auto minute = digits(2);
    skip(':', ':');
    const auto second = digits(2);
    std::uint32_t fraction = 0;
    if (good && text.starts_with('.')) {
        text.remove_prefix(1);
        fraction = digits(1) * 100'000'000;
        for (std::uint32_t scale = 10'000'000; !text.empty() && text[0] >= '0' && text[0] <= '9';
             scale /= 10) {
            fraction += static_cast<std::uint32_t>(text[0] - '0') * scale;
            text.remove_prefix(1);
        }
    }
    minutes offset{0};
    if (text.starts_with('+') || text.starts_with('-')) {
        const bool west = text[0] == '-';
        text.remove_prefix(1);
        const auto hours = digits(2);
        skip(':', ':');
        const auto rest = digits(2);
        good = good && hours < 24 && rest < 60;
        offset = minutes((west ? -1 : 1) * static_cast<int>(hours * 60 + rest));
    } else {
        skip('Z', 'z');
    }
    const auto date = year(static_cast<int>(y)) / month(m) / day(d);
    // 60 is a leap second, which the clock counts as the second after.
    if (!good || !text.empty() || !date.ok() || hour > 23 || minute > 59 || second > 60)
        return std::nullopt;
    const auto whole = sys_days(date) + seconds(hour * 3600 + minute * 60 + second) - offset;
    // A second short of the clock's ends, so that the fraction fits as well.
    if (whole <= floor<seconds>(wall_time::min()) + seconds(1) || whole >= floor<seconds>(wall_time::max()))
        return std::nullopt;
    return wall_time(whole.time_since_epoch()) + duration_cast<wall_time::duration>(nanoseconds(fraction));
}

} // namespace pusher::inline v0::detail
