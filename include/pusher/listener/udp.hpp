// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/config.hpp>
#include <pusher/detail/require.hpp>
#include <pusher/detail/udp_cookie.hpp>
#include <pusher/dialect/native_request.hpp>
#include <pusher/listener.hpp>

#include <boost/asio/ip/udp.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

namespace detail {
class address_counter;
class udp_port;
} // namespace detail

/// Listens for the native dialect on UDP: one JSON object per datagram, no order promised.
///
/// A peer first gets a cookie, which its datagrams must carry from then on: so nobody can subscribe somebody
/// else, or have this broker flood an address that did not ask.
struct udp_params {
    std::string address = "127.0.0.1"; ///< an IP address
    std::uint16_t port = 0;            ///< 0: any that is free
    /// Several may listen there, and the kernel gives all datagrams of one peer to one of them
    /// (SO_REUSEPORT): all must say so.
    bool shared = false;

    /// A session ends when its peer has sent nothing for that long; 1 s to 1 h.
    std::chrono::milliseconds lease = std::chrono::seconds(30);

    /// How long a cookie is good at least; up to twice that. 100 ms to 1 h.
    std::chrono::milliseconds cookie_lifetime = std::chrono::seconds(30);

    /// Largest push, in bytes; a larger one is not sent at all, which counts as lost. 512 to 65,507.
    std::size_t datagram_bytes = 1200;

    /// Largest request, in bytes; 64 to 65,507.
    std::size_t request_bytes = 16 * 1024;

    /// Sessions from one IPv4 address, or one IPv6 /64 network; 1 to 1,000,000,000.
    std::size_t sessions_per_address = 1024;

    /// \throws std::invalid_argument
    void check() const {
        using namespace std::chrono_literals;
        detail::require(lease >= 1s && lease <= 1h, "udp_params: lease is not 1 s to 1 h");
        detail::require(
            cookie_lifetime >= 100ms && cookie_lifetime <= 1h,
            "udp_params: cookie_lifetime is not 100 ms to 1 h");
        detail::require(
            datagram_bytes >= 512 && datagram_bytes <= 65'507,
            "udp_params: datagram_bytes is not 512 to 65,507");
        detail::require(
            request_bytes >= 64 && request_bytes <= 65'507, "udp_params: request_bytes is not 64 to 65,507");
        detail::require(
            sessions_per_address >= 1 && sessions_per_address <= 1'000'000'000,
            "udp_params: sessions_per_address is not 1 to 1,000,000,000");
    }
};

/// See `broker::listen`.
class udp_listener final : public listener_base {
public:
    udp_listener(broker_core& b, const udp_params& p);

    ~udp_listener() override;

    /// The transport's way to start, called by `broker::listen`.
    /// \param ec why it cannot listen at that address.
    /// \throws std::invalid_argument if a parameter is out of its range.
    static std::shared_ptr<listener_base> start(broker_core& b, const udp_params& p, error_code& ec);

    /// Sessions go on over the same socket, which is closed when the last has ended.
    void stop() noexcept override;
    bool drained() override;
    void abort() noexcept override;

    [[nodiscard]] std::uint16_t port() const noexcept override;
    [[nodiscard]] std::string local_endpoint() const override;

private:
    using endpoint = boost::asio::ip::udp::endpoint;

    void received(const endpoint& from, std::string_view text);

    /// For strangers never longer than what drew it, so that nothing can be amplified by it.
    void challenge(const endpoint& to, std::size_t drawn_by, bool known, std::string_view cookie);

    broker_core* broker_;
    udp_params params_;
    std::shared_ptr<detail::udp_port> port_;
    detail::cookie_jar cookies_;
    std::shared_ptr<detail::address_counter> addresses_;
    native_decoder decoder_;
    std::string challenge_;
    bool stopped_ = false;
};

namespace transport {

/// The native dialect over UDP.
struct udp {
    using params = udp_params;
    using listener = udp_listener;
};

} // namespace transport

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/impl/udp_listener.hpp>
#endif
