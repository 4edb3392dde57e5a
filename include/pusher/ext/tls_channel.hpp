// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/ext/tls_verify_error.hpp>
#include <pusher/transport/channel.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/socket_channel.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/ssl/stream_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/stream_traits.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// How long a TLS channel may take.
struct tls_channel_timeouts {
    std::chrono::milliseconds handshake; ///< zero: who uses the channel sees to it
    std::chrono::milliseconds close;     ///< for what was written, after `close`
};

namespace detail {

/// The socket at the bottom of a stream.
template <class Stream>
auto& socket_of(Stream& stream) noexcept {
    auto& lowest = boost::beast::get_lowest_layer(stream);
    if constexpr (requires { lowest.socket(); }) // of Beast's
        return lowest.socket();
    else
        return lowest.lowest_layer();
}

} // namespace detail

/// A TLS connection as a channel.
///
/// What is written goes through a buffer of 64 KiB, since only asynchronous writes are safe: a write that is
/// tried at once and finds the socket full leaves OpenSSL with a record that is out of the engine and not in
/// the socket, and the connection is broken. So this channel may hold that much of a slow peer's messages
/// beyond what the kernel holds; `write` takes fewer bytes than it is given when the buffer is full, and the
/// outbox's limits apply from there, as with plain sockets.
///
/// Likewise `close` leaves what was taken to be sent, for a limited time, as the kernel does for a plain
/// socket. But a peer that is behind already is cut off.
///
/// \tparam Stream of Asio's SSL streams, over anything that Beast's `get_lowest_layer` finds a socket in.
template <class Stream>
class basic_tls_channel final : public channel, private timeout {
public:
    using role = boost::asio::ssl::stream_base::handshake_type;

    /// Begins with the handshake, unless the stream has had it already.
    static channel_ptr
    start(Stream stream, std::shared_ptr<services> s, role side, const tls_channel_timeouts& timeouts) {
        const boost::intrusive_ptr<basic_tls_channel> c(
            new basic_tls_channel(std::move(stream), std::move(s), timeouts.close));
        c->shake_hands(side, timeouts.handshake);
        return c;
    }

    std::size_t write(std::span<const char> bytes) noexcept override {
        if (ended_ || shut_ || waits_to_write_)
            return 0;
        const auto n = std::min(bytes.size(), room());
        waiting_.insert(waiting_.end(), bytes.data(), bytes.data() + n);
        waits_to_write_ = n != bytes.size();
        go_on();
        return n;
    }

    void read() override {
        if (reads_ || ended_)
            return;
        reads_ = true;
        if (secured_)
            receive();
    }

    void shutdown() noexcept override {
        if (std::exchange(shut_, true))
            return;
        close_by_ = services::now() + close_timeout_;
        go_on();
    }

    void close() noexcept override {
        set_user(nullptr);
        if (broken_ || closing_)
            return;
        if (!secured_ || waits_to_write_)
            return cut();
        closing_ = true;
        // After a shutdown, a peer in good order ends its direction too. A socket that is closed before would
        // answer that with a reset, and the peer might lose what it has not read yet.
        awaits_peer_ = shut_;
        shutdown();
        // Not one of the broker's deadlines, since the broker may be gone before the last byte is.
        closing_timer_ = std::make_unique<boost::asio::steady_timer>(services_->executor(), close_by_);
        closing_timer_->async_wait([self = self_ptr(this)](error_code ec) {
            if (!ec)
                self->cut();
        });
        if (awaits_peer_)
            read();
        go_on();
    }

    [[nodiscard]] std::size_t unsent() const noexcept override {
        return capacity - room() + detail::unsent_bytes(socket(stream_), waits_to_write_);
    }

    [[nodiscard]] std::string peer() const override {
        error_code ec;
        const auto e = socket(stream_).remote_endpoint(ec);
        return ec ? std::string("?") : detail::endpoint_text(e);
    }

    [[nodiscard]] std::string peer_address() const override {
        return detail::peer_address_bytes(socket(stream_));
    }

    [[nodiscard]] bool secure() const noexcept override { return true; }

private:
    using self_ptr = boost::intrusive_ptr<basic_tls_channel>;

    /// Bytes that may wait for the socket.
    static constexpr std::size_t capacity = 64 * 1024;

    /// The largest record of TLS: what one write sends at most.
    static constexpr std::size_t record = 16 * 1024;

    basic_tls_channel(Stream stream, std::shared_ptr<services> s, std::chrono::milliseconds close_timeout)
        : stream_(std::move(stream)),
          services_(std::move(s)),
          close_timeout_(close_timeout) {}

    template <class S>
    static auto& socket(S& stream) noexcept {
        return detail::socket_of(stream);
    }

    [[nodiscard]] std::size_t room() const noexcept {
        return capacity - waiting_.size() - (sending_.size() - sent_);
    }

    void shake_hands(role side, std::chrono::milliseconds limit) {
        if (SSL_is_init_finished(stream_.native_handle())) {
            secured_ = true;
            return;
        }
        if (limit.count() != 0)
            services_->arm(*this, services::now() + limit);
        stream_.async_handshake(side, [self = self_ptr(this)](error_code ec) { self->shook_hands(ec); });
    }

    void shook_hands(error_code ec) {
        services::cancel(*this);
        if (broken_)
            return;
        if (ec)
            return fail(detail::handshake_error(stream_.native_handle(), ec));
        secured_ = true;
        go_on();
        if (reads_)
            receive();
    }

    void at_timeout() override { fail(errc::handshake_timeout); }

    /// Reads into little room of its own, so that an idle connection holds no more than that: the buffer that
    /// all links share can't be kept until something comes.
    void receive() {
        stream_.async_read_some(
            boost::asio::buffer(first_bytes_),
            [self = self_ptr(this)](error_code ec, std::size_t n) { self->received(ec, n); });
    }

    void received(error_code ec, std::size_t n) {
        if (broken_)
            return;
        if (ec == boost::asio::error::eof || ec == boost::asio::ssl::error::stream_truncated) {
            // Many clients end a connection without the notice that TLS has for it. Since every request says
            // how long it is, a part of one can't pass for the whole, and nothing depends on it.
            ended_ = true;
            if (user())
                user()->at_end(errc::peer_closed);
            go_on();
            return;
        }
        if (ec)
            return fail(ec);
        const auto room = services_->read_buffer();
        std::copy_n(first_bytes_.data(), n, room.data());
        // The rest of the record is deciphered already: to take it needs neither input nor output.
        auto* const ssl = stream_.native_handle();
        if (const int more = std::min(SSL_pending(ssl), static_cast<int>(room.size() - n)); more > 0) {
            ERR_clear_error();
            n += static_cast<std::size_t>(std::max(0, SSL_read(ssl, room.data() + n, more)));
        }
        // The connection may get another user inside, who begins to read by itself.
        reads_ = false;
        if (closing_ || (user() && user()->at_bytes(room.subspan(0, n)) && user()))
            read();
    }

    /// Starts what is next in the sending direction, unless something is under way there.
    void go_on() noexcept {
        if (!secured_ || broken_ || sends_)
            return;
        if (sent_ == sending_.size()) {
            sending_ = std::exchange(waiting_, {});
            sent_ = 0;
        }
        if (!sending_.empty())
            return send();
        if (shut_ && !notified_)
            return notify();
        if (closing_ && (ended_ || !awaits_peer_))
            cut();
    }

    void send() {
        sends_ = true;
        stream_.async_write_some(
            boost::asio::buffer(sending_.data() + sent_, sending_.size() - sent_),
            [self = self_ptr(this)](error_code ec, std::size_t n) { self->sent(ec, n); });
    }

    void sent(error_code ec, std::size_t n) {
        sends_ = false;
        if (broken_)
            return;
        if (ec)
            return fail(ec);
        sent_ += n;
        go_on();
        // Not for every few bytes, since a record each would cost more than they are worth.
        if (waits_to_write_ && (room() >= record || !sends_) && user() && !ended_) {
            waits_to_write_ = false;
            user()->at_writable();
        }
    }

    /// Tells the peer that nothing more comes, by TLS's close_notify and then by TCP.
    void notify() {
        sends_ = notified_ = true;
        // SSL_shutdown would go on to wait for the peer's notice, and take what the peer still sends for an
        // error, unless it is made to believe that it has come. It is called before async_shutdown returns.
        auto* const ssl = stream_.native_handle();
        const int before = SSL_get_shutdown(ssl);
        SSL_set_shutdown(ssl, before | SSL_RECEIVED_SHUTDOWN);
        stream_.async_shutdown([self = self_ptr(this)](error_code) {
            // What is wrong with the connection is for the other direction to tell.
            self->sends_ = false;
            error_code ignored;
            socket(self->stream_).shutdown(boost::asio::socket_base::shutdown_send, ignored);
            self->go_on();
        });
        SSL_set_shutdown(ssl, before | SSL_SENT_SHUTDOWN);
    }

    /// Reports the end. Called from the event loop.
    void fail(error_code ec) {
        auto* const to = user();
        cut();
        if (to)
            to->at_end(
                ec == boost::asio::error::eof || ec == boost::asio::ssl::error::stream_truncated
                    ? make_error_code(errc::peer_closed)
                    : ec);
    }

    void cut() noexcept {
        ended_ = broken_ = true;
        services::cancel(*this);
        closing_timer_.reset();
        error_code ignored;
        socket(stream_).close(ignored);
    }

    Stream stream_;
    std::shared_ptr<services> services_;
    std::vector<char> sending_; ///< what OpenSSL is being given, `sent_` bytes of it already
    std::size_t sent_ = 0;
    std::vector<char> waiting_; ///< comes after it
    std::unique_ptr<boost::asio::steady_timer> closing_timer_;
    std::chrono::milliseconds close_timeout_;
    services::time_point close_by_;
    std::array<char, 64> first_bytes_;
    bool secured_ = false;        ///< the handshake is done
    bool reads_ = false;          ///< wants to
    bool sends_ = false;          ///< an operation is under way in that direction
    bool waits_to_write_ = false; ///< `at_writable` is due
    bool shut_ = false;           ///< nothing more will be written
    bool notified_ = false;       ///< the peer was told so
    bool closing_ = false;        ///< without a user, until all is sent
    bool awaits_peer_ = false;    ///< and until the peer's direction is over
    bool ended_ = false;          ///< the peer's direction is over
    bool broken_ = false;         ///< both are
};

/// What listeners make of an accepted socket.
using tls_stream = boost::asio::ssl::stream<stream_socket>;
using tls_channel = basic_tls_channel<tls_stream>;

} // namespace pusher::inline v0
