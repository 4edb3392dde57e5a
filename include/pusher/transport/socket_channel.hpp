// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/detail/plain_allocator.hpp>
#include <pusher/transport/channel.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/socket_executor.hpp>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace pusher::inline v0 {

/// A stream socket of any family.
using stream_socket = boost::asio::generic::stream_protocol::socket;

namespace detail {

/// An endpoint as text: `127.0.0.1:80`, `[::1]:80`, or `unix`.
inline std::string endpoint_text(const boost::asio::generic::stream_protocol::endpoint& e) {
    if (e.protocol().family() != AF_INET && e.protocol().family() != AF_INET6)
        return "unix";
    boost::asio::ip::tcp::endpoint ip;
    ip.resize(e.size());
    std::memcpy(ip.data(), e.data(), e.size());
    const auto port = ':' + std::to_string(ip.port());
    const auto address = ip.address().to_string();
    return ip.address().is_v6() ? '[' + address + ']' + port : address + port;
}

/// What every connection's socket is set to, whoever accepted it: what is written is sent at once, and the
/// kernel holds little for a peer that does not read.
/// \param send_buffer in bytes; 0: as it is.
template <class Socket>
void prepare_socket(Socket& socket, std::size_t send_buffer) noexcept {
    error_code ignored; // Unix sockets have no TCP_NODELAY
    socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    if (send_buffer != 0)
        socket.set_option(boost::asio::socket_base::send_buffer_size(static_cast<int>(send_buffer)), ignored);
}

inline std::string address_bytes(const boost::asio::ip::address& a) {
    if (a.is_v4()) {
        const auto b = a.to_v4().to_bytes();
        return {b.begin(), b.end()};
    }
    const auto b = a.to_v6().to_bytes();
    return {b.begin(), b.end()};
}

/// What the kernel holds of what was written, and the peer has not acknowledged; 0 where nobody knows.
/// \param blocked whether it takes no more. Until then a Unix socket tells nothing: it counts what its
/// buffers use besides, and its peer cannot vanish unnoticed.
template <class Socket>
std::size_t unsent_bytes(const Socket& socket, bool blocked) noexcept {
    error_code ec;
    if (!blocked && socket.local_endpoint(ec).protocol().family() == AF_UNIX)
        return 0;
    int n = 0;
#ifdef TIOCOUTQ
    // Asio includes what declares these; its `native_handle` is not const.
    if (::ioctl(const_cast<Socket&>(socket).native_handle(), TIOCOUTQ, &n) != 0)
        n = 0;
#endif
    return static_cast<std::size_t>(n);
}

/// Of the peer of a socket; empty: it has no IP address.
template <class Socket>
std::string peer_address_bytes(const Socket& socket) {
    error_code ec;
    const boost::asio::generic::stream_protocol::endpoint e = socket.remote_endpoint(ec);
    if (ec || (e.protocol().family() != AF_INET && e.protocol().family() != AF_INET6))
        return {};
    boost::asio::ip::tcp::endpoint ip;
    ip.resize(e.size());
    std::memcpy(ip.data(), e.data(), e.size());
    return address_bytes(ip.address());
}

} // namespace detail

/// A stream socket as a channel. It tries to write at once, without a buffer of its own, and waits for the
/// socket only when that fails; it reads into the buffer that all links share.
class socket_channel final : public channel {
public:
    /// Takes the socket out of `socket`, which may be of any context.
    socket_channel(stream_socket socket, std::shared_ptr<services> s);

    std::size_t write(std::span<const char> bytes) noexcept override;

    [[nodiscard]] bool half_closed() const noexcept override { return read_all_ && !failed_; }

    void read() override;

    void shutdown() noexcept override;

    void close() noexcept override;

    [[nodiscard]] std::size_t unsent() const noexcept override {
        return detail::unsent_bytes(socket_, waits_to_write_);
    }

    [[nodiscard]] std::string peer() const override;

    [[nodiscard]] std::string peer_address() const override { return detail::peer_address_bytes(socket_); }

private:
    using self_ptr = boost::intrusive_ptr<socket_channel>;

    void wait_to_read();

    void readable(error_code ec);

    void wait_to_write() noexcept;

    /// Reports the end, but not from inside a call of the user's.
    void fail(error_code ec) noexcept;

    std::shared_ptr<services> services_;
    boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, detail::socket_executor> socket_;
    bool reads_ = false;
    bool waits_to_write_ = false;
    bool read_all_ = false; ///< the peer has ended its direction
    bool failed_ = false;
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/socket_channel.hpp>
#endif
