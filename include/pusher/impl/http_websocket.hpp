// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/sha1.hpp>
#include <pusher/impl/http_listener.hpp>
#include <pusher/listener/http.hpp>
#include <pusher/transport/websocket_link.hpp>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

namespace pusher::inline v0 {

// ---- WebSocket (RFC 6455, section 4.2)

/// \return false: it has been refused.
PUSHER_DECL bool http_listener::is_handshake(const http_connection_ptr& c) {
    namespace http = boost::beast::http;
    namespace beast = boost::beast;
    const auto& request = c->request();
    const std::string_view name = "websocket";
    if (!beast::websocket::is_upgrade(request)) {
        refuse(
            c, http::status::upgrade_required, "a WebSocket handshake is expected here", name,
            {{http::field::upgrade, "websocket"}});
        return false;
    }
    if (beast::string_view(request[http::field::sec_websocket_version]) != "13") {
        refuse(
            c, http::status::upgrade_required, "the version of WebSocket here is 13", name,
            {{http::field::upgrade, "websocket"}, {http::field::sec_websocket_version, "13"}});
        return false;
    }
    bool repeated = false;
    const auto key = detail::single_field(request, http::field::sec_websocket_key, repeated);
    if (repeated || !key || key->size() != 24 || !key->ends_with("==")) {
        refuse(c, http::status::bad_request, "Sec-WebSocket-Key is not 16 bytes of base64", name);
        return false;
    }
    return true;
}

/// Appends the header that says what was agreed to, if anything was.
PUSHER_DECL websocket_deflate
http_listener::agree_to_deflate(const http_request& r, std::string& answer) const {
    if (!params_.deflate.enabled)
        return {};
    std::string offers;
    const auto [begin, end] = r.equal_range(boost::beast::http::field::sec_websocket_extensions);
    for (auto at = begin; at != end; ++at) {
        const auto value = at->value();
        offers.append(value.data(), value.size()).append(1, ',');
    }
    const auto agreed = answer_deflate_offers(offers);
    if (agreed.window_bits == 0)
        return {};
    answer += "\r\nSec-WebSocket-Extensions: " + agreed.text;
    return {
        static_cast<std::uint32_t>(params_.deflate.threshold), agreed.window_bits,
        static_cast<std::uint8_t>(params_.deflate.level)};
}

/// Answers a handshake, and makes a session of its connection. Null: it has been refused.
PUSHER_DECL detail::session_ptr http_listener::switch_protocols(
    const http_connection_ptr& c, std::string_view subprotocol, dialect speaks, framing frames) {
    namespace http = boost::beast::http;
    if (broker().stopped() || broker().full()) {
        refuse(c, http::status::service_unavailable, "no more sessions now", "websocket");
        return nullptr;
    }
    const auto& request = c->request();
    std::string answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: ";
    const auto key = request[http::field::sec_websocket_key];
    answer += detail::websocket_accept({key.data(), key.size()});
    if (http::token_list(request[http::field::sec_websocket_protocol]).exists(subprotocol)) {
        answer += "\r\nSec-WebSocket-Protocol: ";
        answer += subprotocol;
    }
    const auto deflate = agree_to_deflate(request, answer);
    answer += "\r\nServer: pusher/" PUSHER_VERSION_STRING "\r\n\r\n";
    auto [channel, leftover] = c->release();
    auto link = std::make_unique<websocket_link>(
        std::move(channel), broker().io(), limits(), deflate, speaks, frames);
    auto& l = *link;
    auto s = broker().make_session(std::move(link));
    l.preface(std::move(answer), std::move(leftover));
    return s;
}

PUSHER_DECL void http_listener::upgrade(const http_connection_ptr& c) {
    if (!is_handshake(c))
        return;
    authenticate(c, "websocket", [this, c](const authentication_result& who) {
        if (const auto s = switch_protocols(c, "pusher.v1", dialect::native, framing::websocket_text))
            broker().open(s, who);
    });
}

/// The raw dialect: what the query asks for is authorized, and subscribed to, when the session is there, so
/// that a page gets to know why it may not: it sees the code of a close, and nothing of an HTTP response.
PUSHER_DECL void http_listener::upgrade_raw(const http_connection_ptr& c) {
    if (!is_handshake(c))
        return;
    const auto query = std::make_shared<raw_query>();
    std::string message;
    if (decode_raw_query(detail::query_of(c->request()), *query, message))
        return refuse(c, boost::beast::http::status::bad_request, message, "websocket");
    if (query->size() > broker().params().subscriptions)
        return refuse(
            c, boost::beast::http::status::bad_request,
            make_error_code(errc::too_many_subscriptions).message(), "websocket");
    authenticate(c, "websocket", [this, c, query](const authentication_result& who) {
        const auto frames = query->text ? framing::websocket_text : framing::websocket_binary;
        const auto s = switch_protocols(c, "pusher.raw", dialect::raw, frames);
        if (!s)
            return;
        broker().open(s, who);
        if (s->owner)
            broker().begin_raw(static_cast<detail::raw_session&>(*s), std::move(*query));
    });
}

} // namespace pusher::inline v0
