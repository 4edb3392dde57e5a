// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "system.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

/// Measurements within one process, of contestants that take turns: a machine drifts by more than they
/// differ.
namespace bench {

/// Does some operations, and says how many.
using contestant = std::function<std::uint64_t()>;

/// Lets each have a number of short slices of time, in turn. \return nanoseconds of an operation of each
inline std::vector<double>
take_turns(const std::vector<contestant>& all, std::uint64_t slices, std::uint64_t nanoseconds) {
    std::vector<std::uint64_t> took(all.size());
    std::vector<std::uint64_t> done(all.size());
    for (std::uint64_t n = 0; n != slices * all.size(); ++n) {
        const auto i =
            static_cast<std::size_t>((n + n / all.size()) % all.size()); // another goes first each time
        all[i]();                                                        // its memory is in the cache
        const auto began = steady_ns();
        auto now = began;
        for (; now < began + nanoseconds; now = steady_ns())
            done[i] += all[i]();
        took[i] += now - began;
    }
    std::vector<double> each;
    for (std::size_t i = 0; i != all.size(); ++i)
        each.push_back(static_cast<double>(took[i]) / static_cast<double>(done[i]));
    return each;
}

/// The figures of several repetitions.
class figures {
public:
    void add(double value) {
        last_ = value;
        values_.insert(std::upper_bound(values_.begin(), values_.end(), value), value);
    }
    [[nodiscard]] double last() const noexcept { return last_; }
    [[nodiscard]] double median() const { return values_[values_.size() / 2]; }

    /// The median, with the lowest and the highest.
    [[nodiscard]] std::string text(int digits = 0) const {
        char room[96];
        std::snprintf(
            room, sizeof room, "%.*f (%.*f–%.*f)", digits, median(), digits, values_.front(), digits,
            values_.back());
        return room;
    }

private:
    std::vector<double> values_; ///< sorted
    double last_ = 0;
};

} // namespace bench
