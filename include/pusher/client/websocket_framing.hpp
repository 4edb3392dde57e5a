// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/error.hpp>
#include <pusher/client/framing.hpp>
#include <pusher/client/random.hpp>
#include <pusher/client/url.hpp>
#include <pusher/config.hpp>
#include <pusher/detail/sha1.hpp>
#include <pusher/detail/wire_id.hpp>
#include <pusher/dialect/native_reply.hpp>
#include <pusher/dialect/websocket_codec.hpp>
#include <pusher/dialect/websocket_deflate.hpp>
#include <pusher/version.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// The client's side of WebSocket (RFC 6455): the handshake, which Beast parses, then a text frame for each
/// message. Every frame is masked with a key of its own, see `client_random`.
class client_websocket_framing final : public client_framing {
public:
    using header_list = std::vector<std::pair<std::string, std::string>>;

    /// \param url,headers,random must outlive this.
    client_websocket_framing(
        const client_url& url, const header_list& headers, client_random& random, std::size_t message_bytes,
        bool deflate = false);

    void open(std::string& out, client_framing_user&) override;
    void text(std::string& out, std::string_view json) override;
    void ping(std::string& out) override;
    void pong(std::string& out, std::string_view payload) override;
    void goodbye(std::string& out, std::uint16_t code, std::string_view reason) override;

    std::size_t feed(std::span<char> bytes, client_framing_user& user) override;

private:
    static constexpr std::string_view subprotocol = "pusher.v1";

    /// Largest header of the response, in bytes.
    static constexpr std::uint32_t header_limit = 16 * 1024;

    /// What the decoder reports to.
    struct visitor {
        client_websocket_framing& framing;
        client_framing_user& user;

        bool on_message(const websocket_message& m) {
            // A text message was checked while it arrived; of another one the decoder of the dialect will.
            return m.compressed ? framing.inflate(m.payload, user) : user.at_text(m.payload);
        }
        void on_ping(std::string_view payload) { user.at_ping(payload); }
        void on_pong(std::string_view) {}
        void on_close(std::uint16_t code, std::string_view reason) {
            client_end end;
            end.error = errc::peer_closed;
            end.code = code;
            end.reason = reason;
            end.retry = native_retry_hint(reason);
            end.answer = code;
            user.at_over(std::move(end));
        }
    };

    struct handshake {
        boost::beast::http::response_parser<boost::beast::http::empty_body> parser;
        std::string key;
        std::string head; ///< arrived, and not parsed yet

        handshake() { parser.header_limit(header_limit); }
    };

    std::size_t feed_handshake(std::span<char> bytes, client_framing_user& user);
    bool inflate(std::string_view payload, client_framing_user& user);
    static void fail(const close_reason& reason, client_framing_user& user);

    /// What is wrong with the response (RFC 6455, section 4.1); nothing: it is a WebSocket now.
    template <class Response>
    static std::optional<client_end>
    judge(const Response& r, std::string_view key, bool deflate, bool& agreed) {
        namespace http = boost::beast::http;
        client_end end;
        const auto broken = [&](const char* why) {
            end.error = errc::protocol_error;
            end.reason = why;
            return end;
        };
        const auto code = r.result_int();
        if (code != 101) {
            end.reason = "HTTP " + std::to_string(code) + ' ' + std::string(r.reason());
            end.final = code == 401 || code == 403;
            end.error =
                end.final ? make_error_code(errc::refused) : make_error_code(client_errc::upgrade_refused);
            const auto after = r[http::field::retry_after];
            if (const auto seconds = parse_whole_number({after.data(), after.size()});
                seconds && *seconds <= 86'400)
                end.retry = std::chrono::seconds(static_cast<std::int64_t>(*seconds));
            return end;
        }
        if (!http::token_list(r[http::field::connection]).exists("upgrade") ||
            !boost::beast::iequals(r[http::field::upgrade], "websocket"))
            return broken("the answer to the WebSocket request upgrades to nothing");
        if (r[http::field::sec_websocket_accept] != websocket_accept(key))
            return broken("the answer to the WebSocket request has the wrong Sec-WebSocket-Accept");
        const auto extensions = r.count(http::field::sec_websocket_extensions);
        if (extensions != 0) {
            const auto answer = r[http::field::sec_websocket_extensions];
            agreed = deflate && extensions == 1 && takes_deflate_offer({answer.data(), answer.size()});
            if (!agreed)
                return broken("the server uses an extension that nobody asked for");
        }
        const auto protocol = r.find(http::field::sec_websocket_protocol);
        if (protocol != r.end() &&
            std::string_view(protocol->value().data(), protocol->value().size()) != subprotocol)
            return broken("the server uses a subprotocol that nobody asked for");
        return std::nullopt;
    }

    const client_url& url_;
    const header_list& headers_;
    client_random& random_;
    websocket_limits limits_;
    websocket_decoder<websocket_role::client> decoder_;
    websocket_inflater inflater_;
    bool deflate_;
    std::unique_ptr<handshake> handshake_; ///< null once it is done
};

} // namespace pusher::inline v0::detail

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/client/impl/websocket_framing.hpp>
#endif
