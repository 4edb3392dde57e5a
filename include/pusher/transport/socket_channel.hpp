// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/channel.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/socket_executor.hpp>

#include <boost/asio/basic_stream_socket.hpp>
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
template <class Socket>
std::size_t unsent_bytes(const Socket& socket) noexcept {
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
    socket_channel(stream_socket socket, std::shared_ptr<services> s)
        : services_(std::move(s)),
          socket_(detail::socket_executor(*services_)) {
        error_code ec;
        const auto protocol = socket.local_endpoint(ec).protocol();
        const auto handle = socket.release(ec);
        if (!ec)
            socket_.assign(protocol, handle, ec);
        if (!ec)
            socket_.non_blocking(true, ec);
    }

    std::size_t write(std::span<const char> bytes) noexcept override {
        if (failed_ || waits_to_write_)
            return 0;
        std::size_t done = 0;
        while (done != bytes.size()) {
            error_code ec;
            const auto n =
                socket_.write_some(boost::asio::buffer(bytes.data() + done, bytes.size() - done), ec);
            done += n;
            if (!ec && done == bytes.size())
                break;
            if (ec && ec != boost::asio::error::would_block && ec != boost::asio::error::try_again) {
                fail(ec);
                break;
            }
            // A short write means that the socket's buffer is full: trying again would only cost a call.
            wait_to_write();
            break;
        }
        return done;
    }

    void read() override {
        if (reads_ || failed_)
            return;
        reads_ = true;
        wait_to_read();
    }

    void shutdown() noexcept override {
        error_code ignored;
        socket_.shutdown(boost::asio::socket_base::shutdown_send, ignored);
    }

    void close() noexcept override {
        set_user(nullptr);
        failed_ = true;
        error_code ignored;
        socket_.close(ignored);
    }

    [[nodiscard]] std::size_t unsent() const noexcept override { return detail::unsent_bytes(socket_); }

    [[nodiscard]] std::string peer() const override {
        error_code ec;
        const auto e = socket_.remote_endpoint(ec);
        return ec ? std::string("?") : detail::endpoint_text(e);
    }

    [[nodiscard]] std::string peer_address() const override { return detail::peer_address_bytes(socket_); }

private:
    using self_ptr = boost::intrusive_ptr<socket_channel>;

    void wait_to_read() {
        socket_.async_wait(boost::asio::socket_base::wait_read, [self = self_ptr(this)](error_code ec) {
            if (self->user())
                self->readable(ec);
        });
    }

    void readable(error_code ec) {
        const auto room = services_->read_buffer();
        std::size_t n = 0;
        if (!ec)
            n = socket_.read_some(boost::asio::buffer(room.data(), room.size()), ec);
        if (ec == boost::asio::error::would_block || ec == boost::asio::error::try_again)
            return wait_to_read();
        if (ec) {
            failed_ = true;
            user()->at_end(ec == boost::asio::error::eof ? error_code(errc::peer_closed) : ec);
            return;
        }
        // The connection may get another user inside, who begins to read by itself.
        reads_ = false;
        if (user()->at_bytes(room.subspan(0, n)) && user())
            read();
    }

    void wait_to_write() noexcept {
        waits_to_write_ = true;
        socket_.async_wait(boost::asio::socket_base::wait_write, [self = self_ptr(this)](error_code ec) {
            self->waits_to_write_ = false;
            if (!self->user() || self->failed_)
                return;
            if (ec)
                return self->fail(ec);
            self->user()->at_writable();
        });
    }

    /// Reports the end, but not from inside a call of the user's.
    void fail(error_code ec) noexcept {
        failed_ = true;
        services_->post([self = self_ptr(this), ec] {
            if (self->user())
                self->user()->at_end(ec);
        });
    }

    std::shared_ptr<services> services_;
    boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, detail::socket_executor> socket_;
    bool reads_ = false;
    bool waits_to_write_ = false;
    bool failed_ = false;
};

} // namespace pusher::inline v0
