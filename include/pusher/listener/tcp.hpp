// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/listener/stream_listener.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

/// Listens on TCP, or on a Unix-domain socket.
struct tcp_params {
    stream_address listen{};

    /// The native dialect: one JSON object per line. Raw: payloads behind their length.
    pusher::dialect dialect = pusher::dialect::native;

    link_limits limits{};

    /// How many connections the kernel keeps until they are accepted; at least 1.
    int backlog = 1024;

    /// Wraps each socket, such as in TLS (`ext/tls.hpp`); empty: not.
    channel_factory channel{};
};

/// See `broker::listen`.
class tcp_listener final : public stream_listener {
public:
    tcp_listener(broker_core& b, const tcp_params& p) : stream_listener(b, p.limits), dialect_(p.dialect) {
        factory_ = p.channel;
    }

    /// The transport's way to start, called by `broker::listen`.
    /// \param ec why it cannot listen at that address.
    /// \throws std::invalid_argument if a parameter is out of its range.
    static std::shared_ptr<listener_base> start(broker_core& b, const tcp_params& p, error_code& ec);

    /// Takes over a connection that somebody else accepted.
    static void adopt(
        broker_core& b, channel_ptr connection, const link_limits& limits, dialect speaks = dialect::native);

private:
    void at_channel(channel_ptr c) override;
    [[nodiscard]] std::string_view transport() const noexcept override { return "tcp"; }
    void append_goodbye(const close_reason& reason, std::string& out) const override;

    dialect dialect_;
};

namespace transport {

/// TCP and Unix-domain sockets, the native dialect or the raw one.
struct tcp {
    using params = tcp_params;
    using listener = tcp_listener;
};

} // namespace transport

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/impl/tcp_listener.hpp>
#endif
