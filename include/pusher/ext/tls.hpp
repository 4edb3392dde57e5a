// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/detail/require.hpp>
#include <pusher/ext/tls_channel.hpp>
#include <pusher/ext/tls_context.hpp>
#include <pusher/listener/stream_listener.hpp>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream_base.hpp>
#include <boost/beast/core/stream_traits.hpp>

#include <memory>
#include <utility>

/// \file
/// TLS for listeners, by OpenSSL: link with `pusher::tls`, or with OpenSSL's ssl and crypto.

namespace pusher::inline v0 {

/// Puts TLS around what a listener accepts: `http_params{.channel = tls(context)}` makes it `https://` and
/// `wss://`, `tcp_params{.channel = tls(context)}` speaks lines over TLS.
///
/// A connection whose handshake takes longer than `link_limits::handshake_timeout` is closed. One that fails
/// ends with `errc::handshake_failed`, or with what is wrong with the client's certificate
/// (`tls_verify_category`).
///
/// \param context of `make_tls_context`, or the host's own.
/// \throws std::invalid_argument if it is null.
inline channel_factory tls(std::shared_ptr<boost::asio::ssl::context> context) {
    detail::require(context != nullptr, "tls: context is null");
    return [context = std::move(context)](
               stream_socket socket, const std::shared_ptr<services>& s, const link_limits& limits) {
        return tls_channel::start(
            tls_stream(std::move(socket), *context), s, boost::asio::ssl::stream_base::server,
            {limits.handshake_timeout, limits.close_timeout});
    };
}

/// The same with a context of its own. \throws whatever `make_tls_context` does
inline channel_factory tls(const tls_params& params) { return tls(make_tls_context(params)); }

/// Makes a channel of a connection that the host accepted itself, for `broker::accept` and `broker::adopt`.
/// If the stream has not had its handshake yet, the channel begins with it, as the server.
///
/// \param stream on the broker's executor, with no operation pending: Asio's or Beast's SSL stream over a
/// socket or a `beast::tcp_stream`.
/// \param limits only its timeouts for handshake and close count, and its `send_buffer`.
template <class Stream>
channel_ptr make_tls_channel(Stream stream, const broker_core& broker, const link_limits& limits = {}) {
    limits.check();
    // From here on the broker's own deadlines count.
    auto& lowest = boost::beast::get_lowest_layer(stream);
    if constexpr (requires { lowest.expires_never(); })
        lowest.expires_never();
    detail::prepare_socket(detail::socket_of(stream), limits.send_buffer);
    return basic_tls_channel<Stream>::start(
        std::move(stream), broker.io(), boost::asio::ssl::stream_base::server,
        {limits.handshake_timeout, limits.close_timeout});
}

} // namespace pusher::inline v0
