// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstdint>
#include <random>

namespace pusher::inline v0::detail {

/// From the operating system, not to be guessed.
inline std::uint64_t random_bits() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

} // namespace pusher::inline v0::detail
