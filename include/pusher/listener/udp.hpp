// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/detail/udp_cookie.hpp>
#include <pusher/dialect/native_request.hpp>
#include <pusher/listener.hpp>
#include <pusher/listener/stream_listener.hpp>
#include <pusher/transport/udp_link.hpp>

#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

/// Listens for the native dialect on UDP: one JSON object per datagram, no order promised.
///
/// A peer first gets a cookie, which its datagrams must carry from then on: so nobody can subscribe somebody
/// else, or have this broker flood an address that did not ask.
struct udp_params {
    std::string address = "127.0.0.1"; ///< an IP address
    std::uint16_t port = 0;            ///< 0: any that is free

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
    udp_listener(broker_core& b, const udp_params& p)
        : broker_(&b),
          params_(p),
          port_(std::make_shared<detail::udp_port>(b.io(), detail::random_bits())),
          cookies_({detail::random_bits(), detail::random_bits()}, p.cookie_lifetime),
          addresses_(std::make_shared<detail::address_counter>(
              detail::siphash_key{detail::random_bits(), detail::random_bits()},
              static_cast<std::uint32_t>(p.sessions_per_address))) {}

    ~udp_listener() override { port_->close(); }

    /// The transport's way to start, called by `broker::listen`.
    /// \param ec why it cannot listen at that address.
    /// \throws std::invalid_argument if a parameter is out of its range.
    static std::shared_ptr<listener_base> start(broker_core& b, const udp_params& p, error_code& ec) {
        p.check();
        auto l = std::make_shared<udp_listener>(b, p);
        const auto ip = boost::asio::ip::make_address(p.address, ec);
        if (!ec)
            l->port_->open({ip, p.port}, ec);
        if (ec)
            return nullptr;
        l->port_->run(
            [self = l.get()](const auto& from, std::string_view text) { self->received(from, text); });
        return l;
    }

    /// Sessions go on over the same socket, which is closed when the last has ended.
    void stop() noexcept override {
        stopped_ = true;
        port_->close_when_unused();
    }
    bool drained() override { return port_->unused(); }
    void abort() noexcept override { port_->close(); }

    [[nodiscard]] std::uint16_t port() const noexcept override {
        try {
            return port_->local_endpoint().port();
        } catch (...) {
            return 0;
        }
    }
    [[nodiscard]] std::string local_endpoint() const override {
        const auto e = port_->local_endpoint();
        const auto address = e.address().to_string();
        return (e.address().is_v6() ? '[' + address + ']' : address) + ':' + std::to_string(e.port());
    }

private:
    using endpoint = detail::udp_port::endpoint;

    void received(const endpoint& from, std::string_view text) {
        const auto address = detail::address_bytes(from.address());
        const auto bytes = detail::counted_address::bytes(address);
        const auto now = services::now();
        native_request r;
        native_limits limits;
        limits.request = params_.request_bytes;
        // Its faults, if any, are the session's to tell, and only to a peer that has shown its address.
        const bool bad = decoder_.decode(text, r, limits).failed();
        const auto cookie = bad && r.cookie.empty() ? detail::find_cookie(text) : r.cookie;
        auto* l = port_->find(from);
        if (!cookies_.valid(cookie, bytes, from.port(), now)) {
            // A session that still uses the cookie it had is told the new one, also in answer to a ping that
            // is a few bytes shorter: nobody else knows that cookie.
            const bool known = l && l->used_cookie(cookie);
            return challenge(from, text.size(), known, cookies_.make(bytes, from.port(), now).view());
        }
        if (!l) {
            if (stopped_ || !addresses_->try_add(bytes))
                return broker_->refused("udp");
            auto created = std::make_unique<udp_link>(
                port_, from, params_.datagram_bytes, params_.request_bytes, params_.lease);
            created->keep(std::make_shared<detail::counted_address>(addresses_, address));
            l = created.get();
            broker_->accept(std::move(created));
            if (port_->find(from) != l)
                return; // refused at once
        }
        l->uses_cookie(cookie);
        l->received(text);
    }

    /// For strangers never longer than what drew it, so that nothing can be amplified by it.
    void challenge(const endpoint& to, std::size_t drawn_by, bool known, std::string_view cookie) {
        challenge_.clear();
        append_native_challenge(challenge_, cookie);
        if (known || challenge_.size() <= drawn_by)
            port_->send(to, challenge_, nullptr);
    }

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
