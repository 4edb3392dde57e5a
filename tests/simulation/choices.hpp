// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace simulation {

/// Choices that a seed determines, the same with every compiler and standard library.
class choices {
public:
    explicit choices(std::uint64_t seed) : engine_(seed) {}

    /// 0 to `n` - 1.
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
    bool percent(std::size_t p) { return below(100) < p; }

    /// One of a list; also a braced one.
    template <class T, std::size_t N>
    const T& of(const T (&list)[N]) {
        return list[below(N)];
    }

private:
    std::mt19937_64 engine_;
};

} // namespace simulation
