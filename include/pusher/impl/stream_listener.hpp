// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/random_bits.hpp>
#include <pusher/listener/counted_address.hpp>
#include <pusher/listener/stream_listener.hpp>
#include <pusher/transport/acceptor.hpp>

#include <boost/asio/buffer.hpp>

namespace pusher::inline v0 {

PUSHER_DECL stream_listener::stream_listener(broker_core& b, const link_limits& limits)
    : broker_(&b),
      limits_(std::make_shared<const link_limits>(limits)),
      acceptor_(std::make_shared<detail::acceptor>(b.io(), limits.send_buffer)),
      addresses_(std::make_shared<detail::address_counter>(
          detail::siphash_key{detail::random_bits(), detail::random_bits()},
          static_cast<std::uint32_t>(limits.connections_per_address))) {}

PUSHER_DECL stream_listener::~stream_listener() { acceptor_->stop(); }

PUSHER_DECL void stream_listener::stop() noexcept { acceptor_->stop(); }

PUSHER_DECL void stream_listener::open(const stream_address& where, int backlog, error_code& ec) {
    acceptor_->open(where, backlog, ec);
    if (ec)
        return;
    acceptor_->run(
        [this](stream_socket socket) { accepted(std::move(socket)); },
        [this](error_code failed) { broker_->accept_failed(failed); });
}

PUSHER_DECL std::uint16_t stream_listener::port() const noexcept {
    try {
        return acceptor_->local_endpoint().port();
    } catch (...) {
        return 0;
    }
}

PUSHER_DECL std::string stream_listener::local_endpoint() const {
    if (!acceptor_->path().empty())
        return "unix:" + acceptor_->path();
    return detail::endpoint_text(detail::acceptor::endpoint(acceptor_->local_endpoint()));
}

PUSHER_DECL void stream_listener::accepted(stream_socket socket) {
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

PUSHER_DECL void stream_listener::turn_away(stream_socket socket) {
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

} // namespace pusher::inline v0
