// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace hub {

/// A number, and what follows it. \throws std::invalid_argument
std::pair<std::uint32_t, std::string_view> to_number(const std::string& text);

/// Such as 500ms, 2s, 1m, 3h or 7d. \throws std::invalid_argument
std::chrono::milliseconds to_time(const std::string& text);

} // namespace hub
