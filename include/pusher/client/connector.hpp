// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/environment.hpp>
#include <pusher/config.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/socket_channel.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// Makes a channel of a connected socket, to speak TLS through it (`ext/tls.hpp`). The channel takes no bytes
/// until its handshake is done, and reports a failed one with `at_end`; the client's connect timeout bounds
/// it, and ends it with `close`. What it throws counts as an attempt that has failed.
using client_channel_factory =
    std::function<channel_ptr(stream_socket, const client_url&, const std::shared_ptr<services>&)>;

namespace detail {

/// Real time.
class steady_client_clock final : public client_clock {
public:
    explicit steady_client_clock(const boost::asio::any_io_executor& executor) : timer_(executor) {}

    [[nodiscard]] time_point now() const override { return std::chrono::steady_clock::now(); }

    void wait(time_point when, std::function<void()> f) override;
    void cancel() noexcept override;

private:
    boost::asio::steady_timer timer_;
};

/// Connects sockets. A name's addresses are tried one after another, beginning with another one each attempt,
/// so that one that swallows everything does not hide the others for ever.
class socket_connector final : public client_connector,
                               public std::enable_shared_from_this<socket_connector> {
public:
    socket_connector(std::shared_ptr<services> s, client_channel_factory secure);

    void connect(
        const client_url& url, std::size_t attempt,
        std::function<void(error_code, channel_ptr)> done) override;

    void cancel() noexcept override;

private:
    using endpoint = boost::asio::generic::stream_protocol::endpoint;

    void try_next();

    void connected();

    channel_ptr make_channel();

    /// From the event loop, even if it could be said at once.
    void finish(error_code ec, channel_ptr c);

    std::shared_ptr<services> services_;
    client_channel_factory secure_;
    boost::asio::ip::tcp::resolver resolver_;
    client_url url_;
    std::function<void(error_code, channel_ptr)> done_;
    std::vector<endpoint> endpoints_;
    std::size_t next_ = 0;
    std::optional<stream_socket> socket_;
    error_code last_error_;
    std::size_t run_ = 0; ///< what belongs to an earlier one is too late
};

} // namespace detail
} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/client/impl/connector.hpp>
#endif
