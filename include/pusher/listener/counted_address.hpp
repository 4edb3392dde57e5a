// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/address_counter.hpp>
#include <pusher/transport/channel.hpp>

#include <memory>
#include <span>
#include <string>
#include <utility>

namespace pusher::inline v0::detail {

/// A connection's place in the count of its address, given back when the connection goes.
class counted_address final : public channel::kept {
public:
    counted_address(std::shared_ptr<address_counter> counter, const std::string& address)
        : group_(address_group::of(bytes(address))),
          counter_(std::move(counter)) {}
    ~counted_address() override { counter_->remove(group_); }

    static std::span<const unsigned char> bytes(const std::string& address) noexcept {
        return {reinterpret_cast<const unsigned char*>(address.data()), address.size()};
    }

private:
    address_group group_; // first, where the count of references leaves room for it
    std::shared_ptr<address_counter> counter_;
};

} // namespace pusher::inline v0::detail
