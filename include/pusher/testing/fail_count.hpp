// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <boost/asio/error.hpp>

#include <cstddef>

namespace pusher::inline v0::testing {

/// Lets one operation fail: the one after `n` others. A test runs with n = 0, 1, 2, … until `failed` says no,
/// and has then seen every operation fail once.
///
/// Not thread safe. It must outlive what counts with it.
class fail_count {
public:
    /// \param n operations that succeed first. \param ec what the one after them fails with.
    explicit fail_count(std::size_t n, error_code ec = boost::asio::error::connection_reset) noexcept
        : left_(n),
          error_(ec) {}

    /// Counts an operation. \return success, or the error that it is to fail with.
    error_code next() noexcept {
        ++operations_;
        if (failed_ || left_-- != 0)
            return {};
        failed_ = true;
        return error_;
    }

    /// Whether the failure has happened.
    [[nodiscard]] bool failed() const noexcept { return failed_; }

    /// How many operations there were.
    [[nodiscard]] std::size_t operations() const noexcept { return operations_; }

private:
    std::size_t left_;
    std::size_t operations_ = 0;
    error_code error_;
    bool failed_ = false;
};

} // namespace pusher::inline v0::testing
