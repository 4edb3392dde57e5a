// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/text_hash.hpp>
#include <pusher/detail/udp_cookie.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/transport/link.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/socket_channel.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

class udp_link;

namespace detail {

struct udp_endpoint_hash {
    std::uint64_t seed = 0;

    std::size_t operator()(const boost::asio::ip::udp::endpoint& e) const noexcept {
        return text_hash(seed)({reinterpret_cast<const char*>(e.data()), e.size()});
    }
};

using udp_waiter_hook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// What waits for a socket that takes no more; it leaves the queue by itself when it goes.
class udp_waiter : public udp_waiter_hook {
public:
    virtual void writable() = 0;

protected:
    ~udp_waiter() = default;
};

/// A UDP socket and the peers that have a session on it.
class udp_port : public std::enable_shared_from_this<udp_port> {
public:
    using endpoint = boost::asio::ip::udp::endpoint;

    udp_port(std::shared_ptr<services> s, std::uint64_t seed)
        : services_(std::move(s)),
          socket_(services_->executor()),
          peers_(0, udp_endpoint_hash{seed}) {}

    void open(const endpoint& where, error_code& ec) {
        socket_.open(where.protocol(), ec);
        if (!ec && where.address().is_v6())
            socket_.set_option(boost::asio::ip::v6_only(true), ec);
        if (!ec)
            socket_.bind(where, ec);
        if (!ec)
            socket_.non_blocking(true, ec);
    }

    /// \param received called with each datagram, which is valid and may be changed until it returns.
    void run(std::function<void(const endpoint&, std::string_view)> received) {
        received_ = std::move(received);
        wait_to_read();
    }

    void close() noexcept {
        closed_ = true; // `received_` may be the caller
        error_code ignored;
        socket_.close(ignored);
    }

    /// Closes as soon as there is no peer.
    void close_when_unused() noexcept {
        retires_ = true;
        if (unused())
            close();
    }
    [[nodiscard]] bool unused() const noexcept { return peers_.empty(); }

    [[nodiscard]] const std::shared_ptr<services>& io() const noexcept { return services_; }
    [[nodiscard]] endpoint local_endpoint() const {
        error_code ignored;
        return socket_.local_endpoint(ignored);
    }
    [[nodiscard]] udp_link* find(const endpoint& peer) const noexcept {
        const auto found = peers_.find(peer);
        return found == peers_.end() ? nullptr : found->second;
    }
    void add(const endpoint& peer, udp_link& l) { peers_.emplace(peer, &l); }
    inline void remove(const endpoint& peer, udp_link& l) noexcept;

    /// \return whether the datagram is gone, or can never go; if not, `at_writable` of the link follows.
    inline bool send(const endpoint& to, std::string_view datagram, udp_link* waits) noexcept;

private:
    static constexpr int datagrams_per_turn = 64;

    void wait_to_read() {
        socket_.async_wait(boost::asio::socket_base::wait_read, [self = shared_from_this()](error_code ec) {
            if (!ec && !self->closed_)
                self->readable();
        });
    }

    void readable() {
        for (int i = 0; i != datagrams_per_turn && !closed_; ++i) {
            const auto room = services_->read_buffer();
            endpoint from;
            error_code ec;
            const auto n = socket_.receive_from(boost::asio::buffer(room.data(), room.size()), from, 0, ec);
            if (ec)
                break; // nothing more, or an earlier datagram did not reach its peer
            received_(from, {room.data(), n});
        }
        if (!closed_)
            wait_to_read();
    }

    inline void wait_to_write() noexcept;

    std::shared_ptr<services> services_;
    boost::asio::ip::udp::socket socket_;
    boost::unordered_flat_map<endpoint, udp_link*, udp_endpoint_hash> peers_;
    std::function<void(const endpoint&, std::string_view)> received_;
    /// Those that wait, in the order in which they will be served.
    boost::intrusive::list<
        udp_waiter, boost::intrusive::base_hook<udp_waiter_hook>, boost::intrusive::constant_time_size<false>>
        blocked_;
    bool waits_to_write_ = false;
    bool retires_ = false;
    bool closed_ = false;
};

} // namespace detail

/// A peer that has shown that it receives at its address: a datagram is a message, and a lease that the
/// peer's datagrams renew stands for a connection.
class udp_link final : public link, public detail::udp_waiter, private timeout {
public:
    udp_link(
        std::shared_ptr<detail::udp_port> port, const detail::udp_port::endpoint& peer,
        std::size_t datagram_limit, std::size_t requests_limit, std::chrono::milliseconds lease)
        : port_(std::move(port)),
          peer_(peer),
          datagram_limit_(datagram_limit),
          request_limit_(requests_limit),
          lease_(lease) {
        port_->add(peer_, *this);
        renew();
        port_->io()->arm(*this, heard_ + lease_);
    }

    ~udp_link() override { leave(); }

    /// A datagram of the peer.
    void received(std::string_view text) {
        renew();
        if (text.size() > request_limit_)
            return owner()->at_fault(errc::message_too_large, detail::request_too_long(request_limit_));
        if (!ready_) {
            // The host is still thinking about the one before. What does not fit is lost, as UDP may.
            if (held_.size() < max_held)
                held_.emplace_back(text);
            return;
        }
        ready_ = owner()->at_message(text);
    }

    std::size_t write(std::span<const char> bytes, std::span<const std::uint32_t> ends) noexcept override {
        if (blocked_ || closed_)
            return 0;
        std::size_t begin = 0;
        for (const auto end : ends) {
            if (end != begin && !port_->send(peer_, {bytes.data() + begin, end - begin}, this)) {
                blocked_ = true;
                return begin;
            }
            begin = end;
        }
        return begin;
    }
    [[nodiscard]] bool wants_ends() const noexcept override { return true; }

    void writable() override {
        blocked_ = false;
        if (!closed_)
            owner()->at_writable();
    }

    void resume() override {
        ready_ = true;
        while (ready_ && !held_.empty() && !closed_) {
            const auto text = std::move(held_.front());
            held_.pop_front();
            ready_ = owner()->at_message(text);
        }
    }

    void close(const close_reason& reason, std::optional<std::chrono::milliseconds> retry) override {
        if (closed_)
            return;
        std::string goodbye;
        append_native_close(goodbye, reason, retry);
        port_->send(peer_, goodbye, nullptr);
        leave();
        // Not from inside: whoever closes is not done yet.
        reason_ = reason;
        port_->io()->arm(*this, services::now());
    }

    void abort() noexcept override { leave(); }

    [[nodiscard]] framing frames() const noexcept override { return framing::datagram; }
    [[nodiscard]] std::string_view transport() const noexcept override { return "udp"; }
    [[nodiscard]] std::size_t frame_limit() const noexcept override { return datagram_limit_; }
    [[nodiscard]] std::size_t request_limit() const noexcept override { return request_limit_; }
    [[nodiscard]] std::chrono::milliseconds longest_silence() const noexcept override { return lease_; }
    [[nodiscard]] std::string peer() const override {
        const auto address = peer_.address().to_string();
        return (peer_.address().is_v6() ? '[' + address + ']' : address) + ':' + std::to_string(peer_.port());
    }

    /// The cookie that its datagrams carry.
    void uses_cookie(std::string_view cookie) noexcept { cookie.copy(cookie_.data(), cookie_.size()); }
    [[nodiscard]] bool used_cookie(std::string_view cookie) const noexcept {
        return cookie == std::string_view(cookie_.data(), cookie_.size());
    }

    /// Keeps something for as long as the session lasts.
    void keep(std::shared_ptr<void> something) noexcept { kept_ = std::move(something); }

private:
    static constexpr std::size_t max_held = 16;

    void renew() noexcept { heard_ = services::now(); }

    void leave() noexcept {
        if (std::exchange(closed_, true))
            return;
        services::cancel(*this);
        port_->remove(peer_, *this);
    }

    void at_timeout() override {
        if (closed_)
            return owner()->at_closed(reason_);
        if (services::now() - heard_ < lease_)
            return port_->io()->arm(*this, heard_ + lease_);
        close(close_reason::from(errc::idle_timeout), std::nullopt);
    }

    std::shared_ptr<detail::udp_port> port_;
    detail::udp_port::endpoint peer_;
    std::size_t datagram_limit_;
    std::size_t request_limit_;
    std::chrono::milliseconds lease_;
    services::time_point heard_;
    std::deque<std::string> held_;
    close_reason reason_;
    std::shared_ptr<void> kept_;
    std::array<char, detail::udp_cookie::size> cookie_{};
    bool ready_ = false;
    bool blocked_ = false;
    bool closed_ = false;
};

inline void detail::udp_port::remove(const endpoint& peer, udp_link& l) noexcept {
    if (udp_waiter& waiter = l; waiter.is_linked())
        waiter.unlink();
    peers_.erase(peer);
    if (retires_ && unused())
        close();
}

inline bool detail::udp_port::send(const endpoint& to, std::string_view datagram, udp_link* waits) noexcept {
    // Once it takes no more, nobody else needs to try.
    if (!waits_to_write_ || !waits) {
        error_code ec;
        socket_.send_to(boost::asio::buffer(datagram.data(), datagram.size()), to, 0, ec);
        if (ec != boost::asio::error::would_block && ec != boost::asio::error::try_again &&
            ec != boost::asio::error::no_buffer_space)
            return true; // a datagram that the network refuses is one that got lost on the way
    }
    if (waits && !waits->is_linked())
        blocked_.push_back(*waits);
    wait_to_write();
    return false;
}

inline void detail::udp_port::wait_to_write() noexcept {
    if (std::exchange(waits_to_write_, true))
        return;
    socket_.async_wait(boost::asio::socket_base::wait_write, [self = shared_from_this()](error_code ec) {
        self->waits_to_write_ = false;
        if (ec)
            return;
        // One by one, until the socket takes no more: each may go while others are served.
        while (!self->waits_to_write_ && !self->blocked_.empty()) {
            auto& next = self->blocked_.front();
            self->blocked_.pop_front();
            next.writable();
        }
    });
}

} // namespace pusher::inline v0
