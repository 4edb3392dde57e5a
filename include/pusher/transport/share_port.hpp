// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <boost/asio/basic_socket.hpp> // for what the system calls its options

#include <cstddef>

namespace pusher::inline v0::detail {

/// A socket option: several sockets may be bound to one port, if all say so.
class share_port {
public:
    template <class Protocol>
    [[nodiscard]] int level(const Protocol& /*p*/) const noexcept {
        return SOL_SOCKET;
    }
    template <class Protocol>
    [[nodiscard]] int name(const Protocol& /*p*/) const noexcept {
        return SO_REUSEPORT;
    }
    template <class Protocol>
    [[nodiscard]] const void* data(const Protocol& /*p*/) const noexcept {
        return &on_;
    }
    template <class Protocol>
    [[nodiscard]] std::size_t size(const Protocol& /*p*/) const noexcept {
        return sizeof(on_);
    }

private:
    int on_ = 1;
};

} // namespace pusher::inline v0::detail
