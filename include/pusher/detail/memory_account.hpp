// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <cstddef>
#include <utility>

namespace pusher::inline v0::detail {

/// What one broker's messages take in memory, each charged once, however many sessions wait for it. Messages
/// that are being handed to somebody may outlive the broker, so that they keep it alive.
struct memory_account : boost::intrusive_ref_counter<memory_account, boost::thread_unsafe_counter> {
    std::size_t bytes = 0;
};

using memory_account_ptr = boost::intrusive_ptr<memory_account>;

/// One entry of an account; it goes with its owner.
class memory_charge {
public:
    /// \param to null: nobody counts.
    explicit memory_charge(memory_account_ptr to) noexcept : to_(std::move(to)) {}
    memory_charge(const memory_charge&) = delete;
    memory_charge& operator=(const memory_charge&) = delete;
    ~memory_charge() { set(0); }

    void set(std::size_t bytes) noexcept {
        if (to_)
            to_->bytes += bytes - bytes_;
        bytes_ = bytes;
    }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] const memory_account_ptr& account() const noexcept { return to_; }

private:
    memory_account_ptr to_;
    std::size_t bytes_ = 0;
};

} // namespace pusher::inline v0::detail
