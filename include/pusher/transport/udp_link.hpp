// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
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
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

    udp_port(std::shared_ptr<services> s, std::uint64_t seed);

    void open(const endpoint& where, bool shared, error_code& ec);

    /// \param received called with each datagram, which is valid and may be changed until it returns.
    void run(std::function<void(const endpoint&, std::string_view)> received);

    void close() noexcept;

    /// Closes as soon as there is no peer.
    void close_when_unused() noexcept;
    [[nodiscard]] bool unused() const noexcept { return peers_.empty(); }

    [[nodiscard]] const std::shared_ptr<services>& io() const noexcept { return services_; }
    [[nodiscard]] endpoint local_endpoint() const;
    [[nodiscard]] udp_link* find(const endpoint& peer) const noexcept;
    void add(const endpoint& peer, udp_link& l) { peers_.emplace(peer, &l); }
    void remove(const endpoint& peer, udp_link& l) noexcept;

    /// Sends one datagram, if that can be done at once.
    void send(const endpoint& to, std::string_view datagram) noexcept;
    /// Sends datagrams of one link, one after the other, until the socket takes no more: then its
    /// `at_writable` follows.
    /// \param ends where each ends in `bytes`; the empty ones are passed over.
    /// \param refused gets the places of those that the network refuses, which can never go.
    /// \return how many are done with
    std::size_t send(
        const endpoint& to, std::span<const char> bytes, std::span<const std::uint32_t> ends, udp_link& waits,
        std::vector<std::uint32_t>& refused) noexcept;

private:
    static constexpr int datagrams_per_turn = 64;

    static constexpr std::size_t most_at_once = 64;

    struct attempt {
        std::size_t sent;
        error_code error; ///< of the first that was not, if it was tried
    };
    /// \param ends of at least one and not more than `most_at_once`, none of them empty.
    attempt try_send(
        const endpoint& to, std::span<const char> bytes, std::size_t begin,
        std::span<const std::uint32_t> ends) noexcept;

    void wait_to_read();

    void readable();

    void wait_to_write() noexcept;

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
        std::size_t datagram_limit, std::size_t requests_limit, std::chrono::milliseconds lease);

    ~udp_link() override { leave(); }

    /// A datagram of the peer.
    void received(std::string_view text);

    std::size_t write(std::span<const char> bytes, std::span<const std::uint32_t> ends) noexcept override;
    [[nodiscard]] bool wants_ends() const noexcept override { return true; }
    [[nodiscard]] std::span<const std::uint32_t> refused() const noexcept override { return refused_; }

    void writable() override;

    void resume() override;

    void close(const close_reason& reason, std::optional<std::chrono::milliseconds> retry) override;

    void abort() noexcept override { leave(); }

    [[nodiscard]] framing frames() const noexcept override { return framing::datagram; }
    [[nodiscard]] std::string_view transport() const noexcept override { return "udp"; }
    [[nodiscard]] std::size_t frame_limit() const noexcept override { return datagram_limit_; }
    [[nodiscard]] std::size_t request_limit() const noexcept override { return request_limit_; }
    [[nodiscard]] std::chrono::milliseconds longest_silence() const noexcept override { return lease_; }
    [[nodiscard]] std::string peer() const override;

    /// The cookie that its datagrams carry.
    void uses_cookie(std::string_view cookie) noexcept { cookie.copy(cookie_.data(), cookie_.size()); }
    [[nodiscard]] bool used_cookie(std::string_view cookie) const noexcept;

    /// Keeps something for as long as the session lasts.
    void keep(std::shared_ptr<void> something) noexcept { kept_ = std::move(something); }

private:
    static constexpr std::size_t max_held = 16;

    void renew() noexcept { heard_ = services::now(); }

    void leave() noexcept;

    void at_timeout() override;

    std::shared_ptr<detail::udp_port> port_;
    detail::udp_port::endpoint peer_;
    std::size_t datagram_limit_;
    std::size_t request_limit_;
    std::chrono::milliseconds lease_;
    services::time_point heard_;
    std::deque<std::string> held_;
    std::vector<std::uint32_t> refused_; ///< of the last write
    close_reason reason_;
    std::shared_ptr<void> kept_;
    std::array<char, detail::udp_cookie::size> cookie_{};
    bool ready_ = false;
    bool blocked_ = false;
    bool closed_ = false;
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/udp_link.hpp>
#endif
