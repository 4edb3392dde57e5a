// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/close_reason.hpp>
#include <pusher/config.hpp>
#include <pusher/listener.hpp>
#include <pusher/transport/link_limits.hpp>
#include <pusher/transport/socket_channel.hpp>
#include <pusher/transport/stream_address.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace pusher::inline v0 {

/// Turns an accepted socket into a channel: as it is, or with TLS around it. If it throws, the connection is
/// closed, and the observer is told.
using channel_factory =
    std::function<channel_ptr(stream_socket, const std::shared_ptr<services>&, const link_limits&)>;

namespace detail {
class acceptor;
class address_counter;
} // namespace detail

/// What listeners of stream sockets have in common: accepting, the limit by address, and their life.
class stream_listener : public listener_base {
public:
    stream_listener(broker_core& b, const link_limits& limits);

    ~stream_listener() override;

    void open(const stream_address& where, int backlog, error_code& ec);

    void stop() noexcept override;
    [[nodiscard]] std::uint16_t port() const noexcept override;
    [[nodiscard]] std::string local_endpoint() const override;

    /// Of each of its connections.
    [[nodiscard]] const link_limits& link_limits_of() const noexcept { return *limits_; }

protected:
    /// A connection within the limits.
    virtual void at_channel(channel_ptr c) = 0;

    [[nodiscard]] virtual std::string_view transport() const noexcept = 0;

    /// What a connection is told that is turned away before anything else.
    virtual void append_goodbye(const close_reason&, std::string&) const {}

    [[nodiscard]] broker_core& broker() const noexcept { return *broker_; }
    [[nodiscard]] const std::shared_ptr<const link_limits>& limits() const noexcept { return limits_; }

    channel_factory factory_;

private:
    void accepted(stream_socket socket);

    /// Says why, where that is possible without waiting for anything.
    void turn_away(stream_socket socket);

    broker_core* broker_;
    std::shared_ptr<const link_limits> limits_;
    std::shared_ptr<detail::acceptor> acceptor_;
    std::shared_ptr<detail::address_counter> addresses_;
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/impl/stream_listener.hpp>
#endif
