// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/random_bits.hpp>
#include <pusher/listener/counted_address.hpp>
#include <pusher/listener/udp.hpp>
#include <pusher/transport/udp_link.hpp>

#include <boost/asio/ip/address.hpp>

namespace pusher::inline v0 {

PUSHER_DECL udp_listener::udp_listener(broker_core& b, const udp_params& p)
    : broker_(&b),
      params_(p),
      port_(std::make_shared<detail::udp_port>(b.io(), detail::random_bits())),
      cookies_({detail::random_bits(), detail::random_bits()}, p.cookie_lifetime),
      addresses_(std::make_shared<detail::address_counter>(
          detail::siphash_key{detail::random_bits(), detail::random_bits()},
          static_cast<std::uint32_t>(p.sessions_per_address))) {}

PUSHER_DECL udp_listener::~udp_listener() { port_->close(); }

PUSHER_DECL bool udp_listener::drained() { return port_->unused(); }

PUSHER_DECL void udp_listener::abort() noexcept { port_->close(); }

PUSHER_DECL std::shared_ptr<listener_base>
udp_listener::start(broker_core& b, const udp_params& p, error_code& ec) {
    p.check();
    auto l = std::make_shared<udp_listener>(b, p);
    const auto ip = boost::asio::ip::make_address(p.address, ec);
    if (!ec)
        l->port_->open({ip, p.port}, p.shared, ec);
    if (ec)
        return nullptr;
    l->port_->run([self = l.get()](const auto& from, std::string_view text) { self->received(from, text); });
    return l;
}

PUSHER_DECL void udp_listener::stop() noexcept {
    stopped_ = true;
    port_->close_when_unused();
}

PUSHER_DECL std::uint16_t udp_listener::port() const noexcept {
    try {
        return port_->local_endpoint().port();
    } catch (...) {
        return 0;
    }
}

PUSHER_DECL std::string udp_listener::local_endpoint() const {
    const auto e = port_->local_endpoint();
    const auto address = e.address().to_string();
    return (e.address().is_v6() ? '[' + address + ']' : address) + ':' + std::to_string(e.port());
}

PUSHER_DECL void udp_listener::received(const endpoint& from, std::string_view text) {
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
        broker_->challenged("udp");
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

PUSHER_DECL void
udp_listener::challenge(const endpoint& to, std::size_t drawn_by, bool known, std::string_view cookie) {
    challenge_.clear();
    append_native_challenge(challenge_, cookie);
    if (known || challenge_.size() <= drawn_by)
        port_->send(to, challenge_);
}

} // namespace pusher::inline v0
