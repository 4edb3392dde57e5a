// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/require.hpp>
#include <pusher/listener/tcp.hpp>
#include <pusher/transport/line_link.hpp>
#include <pusher/transport/raw_link.hpp>

namespace pusher::inline v0 {

namespace detail {

PUSHER_DECL std::unique_ptr<link> stream_link_of(
    dialect speaks, channel_ptr c, const std::shared_ptr<services>& io,
    std::shared_ptr<const link_limits> limits) {
    if (speaks == dialect::raw)
        return std::make_unique<raw_link>(std::move(c), io, std::move(limits));
    return std::make_unique<line_link>(std::move(c), io, std::move(limits));
}

} // namespace detail

PUSHER_DECL std::shared_ptr<listener_base>
tcp_listener::start(broker_core& b, const tcp_params& p, error_code& ec) {
    p.limits.check();
    detail::require(p.backlog >= 1, "tcp_params: backlog is under 1");
    auto l = std::make_shared<tcp_listener>(b, p);
    l->open(p.listen, p.backlog, ec);
    return ec ? nullptr : l;
}

PUSHER_DECL void
tcp_listener::adopt(broker_core& b, channel_ptr connection, const link_limits& limits, dialect speaks) {
    b.accept(detail::stream_link_of(
        speaks, std::move(connection), b.io(), std::make_shared<const link_limits>(limits)));
}

PUSHER_DECL void tcp_listener::at_channel(channel_ptr c) {
    broker().accept(detail::stream_link_of(dialect_, std::move(c), broker().io(), limits()));
}

PUSHER_DECL void tcp_listener::append_goodbye(const close_reason& reason, std::string& out) const {
    if (dialect_ == dialect::raw)
        return append_raw_close(out, reason);
    append_native_close(out, reason);
    out += '\n';
}

} // namespace pusher::inline v0
