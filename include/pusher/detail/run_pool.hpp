// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/run.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// Small runs that nobody has any more, for later turns: where many topics are published to once in a turn,
/// making runs would be most of the work.
class run_pool {
public:
    [[nodiscard]] run_ptr
    make(const shared_text& topic, wall_time received, steady_time born, const memory_account_ptr& account) {
        if (spare_.empty())
            return run_ptr(new run(topic, received, born, account));
        auto r = std::move(spare_.back());
        spare_.pop_back();
        r->begin(topic, received, born);
        return r;
    }

    /// \param r which nobody else has.
    void give_back(run_ptr r) {
        constexpr std::size_t most = 256;
        constexpr std::size_t largest = 2048; // bytes
        if (spare_.size() == most || r->held() > largest)
            return;
        r->clear();
        spare_.push_back(std::move(r));
    }

private:
    std::vector<run_ptr> spare_;
};

} // namespace pusher::inline v0::detail
