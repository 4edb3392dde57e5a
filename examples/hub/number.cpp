// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "number.hpp"

#include <charconv>
#include <stdexcept>
#include <system_error>

namespace hub {

std::pair<std::uint32_t, std::string_view> to_number(const std::string& text) {
    std::uint32_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec != std::errc())
        throw std::invalid_argument("'" + text + "' does not begin with a number");
    return {number, {parsed.ptr, static_cast<std::size_t>(end - parsed.ptr)}};
}

std::chrono::milliseconds to_time(const std::string& text) {
    using std::chrono::milliseconds;
    const auto [number, unit] = to_number(text);
    for (const auto& [name, length] :
         {std::pair("ms", milliseconds(1)), std::pair("s", milliseconds(1000)),
          std::pair("m", milliseconds(60'000)), std::pair("h", milliseconds(3'600'000)),
          std::pair("d", milliseconds(86'400'000))})
        if (unit == name)
            return number * length;
    throw std::invalid_argument("'" + text + "' is not a time, such as 500ms, 2s, 1m, 3h or 7d");
}

} // namespace hub
