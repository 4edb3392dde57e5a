// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <stdexcept>

namespace pusher::inline v0::detail {

/// \throws std::invalid_argument unless `good`.
inline void require(bool good, const char* what) {
    if (!good)
        throw std::invalid_argument(what);
}

} // namespace pusher::inline v0::detail
