// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/close_reason.hpp>
#include <pusher/detail/address_counter.hpp>
#include <pusher/listener.hpp>
#include <pusher/transport/acceptor.hpp>
#include <pusher/transport/link_limits.hpp>

#include <boost/asio/buffer.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace pusher::inline v0 {

/// Turns an accepted socket into a channel: as it is, or with TLS around it. If it throws, the connection is
/// closed, and the observer is told.
using channel_factory =
    std::function<channel_ptr(stream_socket, const std::shared_ptr<services>&, const link_limits&)>;

namespace detail {

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

} // namespace detail

/// What listeners of stream sockets have in common: accepting, the limit by address, and their life.
class stream_listener : public listener_base {
public:
    stream_listener(broker_core& b, const link_limits& limits)
        : broker_(&b),
          limits_(std::make_shared<const link_limits>(limits)),
          acceptor_(std::make_shared<detail::acceptor>(b.io(), limits.send_buffer)),
          addresses_(std::make_shared<detail::address_counter>(
              detail::siphash_key{detail::random_bits(), detail::random_bits()},
              static_cast<std::uint32_t>(limits.connections_per_address))) {}

    ~stream_listener() override { acceptor_->stop(); }

    void open(const stream_address& where, int backlog, error_code& ec) {
        acceptor_->open(where, backlog, ec);
        if (ec)
            return;
        acceptor_->run(
            [this](stream_socket socket) { accepted(std::move(socket)); },
            [this](error_code failed) { broker_->accept_failed(failed); });
    }

    void stop() noexcept override { acceptor_->stop(); }
    [[nodiscard]] std::uint16_t port() const noexcept override {
        try {
            return acceptor_->local_endpoint().port();
        } catch (...) {
            return 0;
        }
    }
    [[nodiscard]] std::string local_endpoint() const override {
        if (!acceptor_->path().empty())
            return "unix:" + acceptor_->path();
        return detail::endpoint_text(detail::acceptor::endpoint(acceptor_->local_endpoint()));
    }

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
    void accepted(stream_socket socket) {
        // Counted first: a connection too many costs as little as can be.
        boost::intrusive_ptr<detail::counted_address> counted;
        if (const auto address = detail::peer_address_bytes(socket); !address.empty()) {
            if (!addresses_->try_add(detail::counted_address::bytes(address)))
                return turn_away(std::move(socket));
            counted = new detail::counted_address(addresses_, address);
        }
        channel_ptr c = factory_ ? factory_(std::move(socket), broker_->io(), *limits_)
                                 : channel_ptr(new socket_channel(std::move(socket), broker_->io()));
        c->keep(std::move(counted));
        at_channel(std::move(c));
    }

    /// Says why, where that is possible without waiting for anything.
    void turn_away(stream_socket socket) {
        broker_->refused(transport());
        if (factory_)
            return;
        std::string goodbye;
        append_goodbye(close_reason::from(errc::too_many_connections), goodbye);
        error_code ignored;
        socket.non_blocking(true, ignored);
        socket.send(boost::asio::buffer(goodbye), 0, ignored);
        socket.shutdown(boost::asio::socket_base::shutdown_both, ignored);
    }

    broker_core* broker_;
    std::shared_ptr<const link_limits> limits_;
    std::shared_ptr<detail::acceptor> acceptor_;
    std::shared_ptr<detail::address_counter> addresses_;
};

} // namespace pusher::inline v0
