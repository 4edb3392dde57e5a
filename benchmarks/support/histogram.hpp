// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

/// Counts of 64-bit values in buckets that are at most 1/64 of the value wide.
class histogram {
public:
    void add(std::uint64_t value) noexcept {
        ++bucket_[index(value)];
        ++count_;
        max_ = std::max(max_, value);
    }

    void clear() noexcept {
        std::fill(bucket_.begin(), bucket_.end(), 0);
        count_ = max_ = 0;
    }

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint64_t max() const noexcept { return max_; }

    /// The value below or at which `part` (0 to 1) of all values lie.
    [[nodiscard]] std::uint64_t quantile(double part) const noexcept {
        const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i != bucket_.size(); ++i) {
            seen += bucket_[i];
            if (seen > wanted)
                return std::min(upper(i), max_);
        }
        return max_;
    }

private:
    static constexpr unsigned bits = 6; // 64 buckets for each power of two

    static std::size_t index(std::uint64_t value) noexcept {
        if (value < (1U << bits))
            return static_cast<std::size_t>(value);
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - bits;
        return (static_cast<std::size_t>(shift) << bits) + static_cast<std::size_t>(value >> shift);
    }

    static std::uint64_t upper(std::size_t i) noexcept {
        if (i < (2U << bits))
            return i;
        const auto shift = (i >> bits) - 1;
        return ((static_cast<std::uint64_t>(i) - (shift << bits) + 1) << shift) - 1;
    }

    std::vector<std::uint64_t> bucket_ = std::vector<std::uint64_t>((64 - bits + 1) << bits);
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
};

} // namespace bench
