// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>
#include <utility>

// Counts what code does instead of how long it takes, which depends on the machine and on who else uses it.
// The compiler calls the counter in each basic block (`-fsanitize-coverage=trace-pc`, set in
// tests/CMakeLists.txt).

namespace test {

struct work {
    std::uint64_t blocks = 0;      ///< basic blocks that were run
    std::uint64_t allocations = 0; ///< by `operator new`
    std::int64_t bytes = 0;        ///< that they take, less what was given back; with 8 for each block
};

/// Since the program began.
work work_so_far() noexcept;

/// What `f` does.
template <class F>
work work_of(F&& f) {
    const auto before = work_so_far();
    std::forward<F>(f)();
    const auto after = work_so_far();
    return {after.blocks - before.blocks, after.allocations - before.allocations, after.bytes - before.bytes};
}

} // namespace test
