// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/websocket_framing.hpp>

namespace pusher::inline v0::detail {

PUSHER_DECL client_websocket_framing::client_websocket_framing(
    const client_url& url, const header_list& headers, client_random& random, std::size_t message_bytes,
    bool deflate)
    : url_(url),
      headers_(headers),
      random_(random),
      deflate_(deflate),
      handshake_(std::make_unique<handshake>()) {
    limits_.message_size = static_cast<std::uint32_t>(
        std::min<std::size_t>(message_bytes, std::numeric_limits<std::uint32_t>::max()));
    limits_.fragments = std::numeric_limits<std::uint16_t>::max();
}

PUSHER_DECL void client_websocket_framing::open(std::string& out, client_framing_user&) {
    handshake_->key = random_.nonce();
    out += "GET " + url_.target + " HTTP/1.1\r\nHost: " + url_.authority() +
           "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + handshake_->key +
           "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " + std::string(subprotocol) + "\r\n";
    if (deflate_)
        out.append("Sec-WebSocket-Extensions: ").append(websocket_deflate_offer).append("\r\n");
    for (const auto& [name, value] : headers_)
        out += name + ": " + value + "\r\n";
    out += "\r\n";
}

PUSHER_DECL void client_websocket_framing::text(std::string& out, std::string_view json) {
    append_masked_frame(out, websocket_opcode::text, json, random_.mask());
}

PUSHER_DECL void client_websocket_framing::ping(std::string& out) {
    append_masked_frame(out, websocket_opcode::ping, {}, random_.mask());
}

PUSHER_DECL void client_websocket_framing::pong(std::string& out, std::string_view payload) {
    append_masked_frame(out, websocket_opcode::pong, payload, random_.mask());
}

PUSHER_DECL void
client_websocket_framing::goodbye(std::string& out, std::uint16_t code, std::string_view reason) {
    if (!handshake_)
        append_masked_close_frame(out, code, reason, random_.mask());
}

PUSHER_DECL std::size_t client_websocket_framing::feed(std::span<char> bytes, client_framing_user& user) {
    if (handshake_)
        return feed_handshake(bytes, user);
    const auto result = decoder_.feed(bytes, limits_, visitor{*this, user});
    if (result.fault != websocket_fault::none)
        fail(to_close_reason(result.fault), user);
    return result.consumed;
}

PUSHER_DECL bool client_websocket_framing::inflate(std::string_view payload, client_framing_user& user) {
    std::string text;
    switch (inflater_.inflate(payload, limits_.message_size, text)) {
    case websocket_inflater::result::done: return user.at_text(text);
    case websocket_inflater::result::too_large:
        fail(to_close_reason(websocket_fault::message_too_large), user);
        break;
    case websocket_inflater::result::invalid:
        fail({close_code::invalid_data, errc::protocol_error, "invalid compressed data"}, user);
        break;
    }
    return false;
}

PUSHER_DECL void client_websocket_framing::fail(const close_reason& reason, client_framing_user& user) {
    client_end end;
    end.error = reason.error;
    end.reason = reason.text;
    end.answer = static_cast<std::uint16_t>(reason.code);
    end.final = reason.error == errc::message_too_large;
    user.at_over(std::move(end));
}

PUSHER_DECL std::size_t
client_websocket_framing::feed_handshake(std::span<char> bytes, client_framing_user& user) {
    namespace http = boost::beast::http;
    auto& h = *handshake_;
    h.head.append(bytes.data(), bytes.size());
    while (!h.head.empty() && !h.parser.is_header_done()) {
        error_code ec;
        const auto used = h.parser.put(boost::asio::buffer(h.head), ec);
        h.head.erase(0, used);
        if (ec == http::error::need_more && h.head.size() <= header_limit)
            return bytes.size();
        if (ec) {
            client_end end;
            end.error = errc::protocol_error;
            end.reason = "the answer to the WebSocket request: " + ec.message();
            user.at_over(std::move(end));
            return bytes.size();
        }
    }
    if (!h.parser.is_header_done())
        return bytes.size();
    // What is left came with the last bytes, since they completed the header.
    const auto rest = std::min(h.head.size(), bytes.size());
    bool agreed = false;
    auto end = judge(h.parser.get(), h.key, deflate_, agreed);
    if (end) {
        user.at_over(*std::move(end));
        return bytes.size();
    }
    if (agreed)
        decoder_ = websocket_decoder<websocket_role::client>(websocket_compression::negotiated);
    handshake_.reset();
    user.at_open();
    return bytes.size() - rest;
}

} // namespace pusher::inline v0::detail
