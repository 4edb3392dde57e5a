// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/channel.hpp>
#include <pusher/transport/link_limits.hpp>
#include <pusher/transport/services.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/version.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

namespace pusher::inline v0 {

using http_request = boost::beast::http::request<boost::beast::http::string_body>;
using http_response = boost::beast::http::response<boost::beast::http::string_body>;

class http_connection;
using http_connection_ptr = boost::intrusive_ptr<http_connection>;

/// Who answers the requests of HTTP connections.
class http_owner {
public:
    /// A complete request. It must be answered, now or later, by `respond` or by `release`.
    virtual void at_request(const http_connection_ptr& c) = 0;

    /// What came was no request, or none in time or within the limits, and is being answered so.
    virtual void at_bad_request() = 0;

    /// The connection is over, and will not be used again.
    virtual void at_http_end(http_connection& c) = 0;

protected:
    ~http_owner() = default;
};

/// One HTTP/1.1 connection (RFC 9112), until it ends or becomes a WebSocket or an event stream: one request
/// after another, bounded in size and time. Beast parses and serializes.
class http_connection final
    : public boost::intrusive_ref_counter<http_connection, boost::thread_unsafe_counter>,
      private channel_user,
      private timeout {
public:
    /// Largest header of a request, in bytes.
    static constexpr std::uint32_t header_limit = 16 * 1024;

    http_connection(
        channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits,
        http_owner& owner, std::size_t body_limit)
        : channel_(std::move(c)),
          services_(std::move(s)),
          limits_(std::move(limits)),
          owner_(&owner),
          body_limit_(body_limit) {
        channel_->set_user(this);
    }

    ~http_connection() {
        if (channel_)
            channel_->close();
    }

    /// Begins with bytes that were read before.
    void start(std::string leftover = {}) {
        in_ = std::move(leftover);
        next_request();
        if (!parse())
            return;
        channel_->read();
    }

    /// Begins with a request that somebody else read, and the bytes that came after it.
    /// \param more whether another request may follow; else the connection ends with the answer.
    void start(http_request request, std::string leftover, bool more) {
        in_ = std::move(leftover);
        keep_alive_ = more && request.keep_alive();
        request_ = std::move(request);
        in_request_ = true;
        owner_->at_request(this);
    }

    /// The current request.
    [[nodiscard]] const http_request& request() const noexcept { return request_; }
    [[nodiscard]] http_request& request() noexcept { return request_; }
    [[nodiscard]] std::string peer() const { return channel_ ? channel_->peer() : std::string(); }
    [[nodiscard]] bool secure() const noexcept { return channel_ && channel_->secure(); }

    /// Whether the current request can still be answered.
    [[nodiscard]] bool open() const noexcept { return in_request_ && channel_ && !closing_; }

    /// Answers the current request. Without effect once the connection is over.
    void respond(http_response r) {
        if (!open())
            return;
        in_request_ = false;
        keep_alive_ = keep_alive_ && r.keep_alive() && !draining_;
        r.version(request_.version());
        r.keep_alive(keep_alive_);
        r.prepare_payload();
        const bool head = request_.method() == boost::beast::http::verb::head;
        // RFC 9110, section 8.6; nor does HEAD know how long what it leaves out would be.
        if (r.result() == boost::beast::http::status::no_content || (head && r.body().empty()))
            r.erase(boost::beast::http::field::content_length);
        std::ostringstream
            text; // its header once, a body that is there already: the simple way is fast enough
        if (head) {
            http_response::header_type& header = r;
            text << header;
        } else {
            text << r;
        }
        send(std::move(text).str());
    }

    /// Answers 503 unless somebody else answers, or `release`s the connection, in time.
    void expect_answer(std::chrono::milliseconds in) { services_->arm(*this, services::now() + in); }

    /// Gives the connection up to become something else. What the peer sent beyond the request goes along.
    std::pair<channel_ptr, std::string> release() {
        services::cancel(*this);
        in_request_ = false;
        channel_->set_user(nullptr);
        auto channel = std::exchange(channel_, nullptr);
        owner_->at_http_end(*this);
        return {std::move(channel), std::move(in_)};
    }

    /// Ends the connection as soon as the request that is being read or answered, if any, has its answer.
    void drain() {
        draining_ = true;
        if (closing_) // not for as long as a peer likes
            services_->arm(*this, services::now() + linger());
        else if (!in_request_ && out_.empty() && parser_ && in_.empty() && !parser_->got_some())
            end();
    }

    /// Ends the connection at once and tells nobody.
    void abort() noexcept {
        services::cancel(*this);
        in_request_ = false;
        closing_ = true;
        if (channel_)
            channel_->close();
    }

private:
    using parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

    void next_request() {
        parser_.emplace();
        parser_->eager(true);
        parser_->header_limit(header_limit);
        parser_->body_limit(body_limit_);
        continued_ = false;
        services_->arm(*this, services::now() + limits_->handshake_timeout);
    }

    /// \return whether more bytes are needed.
    bool parse() {
        while (!in_.empty()) {
            error_code ec;
            const auto used = parser_->put(boost::asio::buffer(in_), ec);
            in_.erase(0, used);
            if (ec == boost::beast::http::error::need_more) {
                // What a body brings is used at once. What waits for its end is the header, or the header of
                // a chunk, or trailers, for which Beast has no limit.
                if (in_.size() > header_limit)
                    return refuse(boost::beast::http::error::header_limit);
                break;
            }
            if (ec)
                return refuse(ec);
            if (parser_->is_done())
                break;
        }
        if (parser_->is_header_done() && !well_framed())
            return refuse(boost::beast::http::error::bad_transfer_encoding);
        if (parser_->is_header_done() && !continued_ && !parser_->is_done() &&
            parser_->get().version() >= 11 &&
            boost::beast::iequals(parser_->get()[boost::beast::http::field::expect], "100-continue")) {
            continued_ = true;
            out_ += "HTTP/1.1 100 Continue\r\n\r\n";
            flush();
        }
        if (!parser_->is_done())
            return true;
        services::cancel(*this);
        keep_alive_ = parser_->get().keep_alive();
        request_ = parser_->release();
        parser_.reset();
        in_request_ = true;
        const http_connection_ptr keep(this);
        owner_->at_request(keep);
        return false;
    }

    /// Whether all who read the request agree where it ends (RFC 9112, section 6.3): or what one of them
    /// takes for the body is the next request for another.
    [[nodiscard]] bool well_framed() const {
        namespace http = boost::beast::http;
        const auto& request = parser_->get();
        return request.find(http::field::transfer_encoding) == request.end() ||
               (parser_->chunked() && request.version() >= 11 &&
                request.find(http::field::content_length) == request.end());
    }

    bool refuse(error_code ec) {
        namespace http = boost::beast::http;
        auto status = http::status::bad_request;
        if (ec == http::error::header_limit)
            status = http::status::request_header_fields_too_large;
        else if (ec == http::error::body_limit)
            status = http::status::payload_too_large;
        give_up_request();
        http_response r(status, 11);
        r.set(http::field::content_type, "application/json");
        r.body() = R"({"error":")" + ec.message() + R"("})";
        respond(std::move(r));
        return false;
    }

    bool at_bytes(std::span<char> bytes) override {
        if (closing_)
            return true; // thrown away until the peer has closed
        in_.append(bytes.data(), bytes.size());
        if (in_request_) // pipelined: not read on before the answer
            return in_.size() <= header_limit;
        const http_connection_ptr keep(this);
        return parse() && channel_;
    }

    void at_writable() override { flush(); }

    void at_end(error_code) override { end(); }

    void at_timeout() override {
        namespace http = boost::beast::http;
        if (in_request_ && !closing_) {
            keep_alive_ = false; // an answer that comes too late must not find another request here
            http_response r(http::status::service_unavailable, request_.version());
            r.set(http::field::content_type, "application/json");
            r.body() = R"({"error":"there was no answer in time"})";
            return respond(std::move(r));
        }
        if (closing_ || !out_.empty() || !parser_ || (in_.empty() && !parser_->got_some()))
            return end();
        give_up_request();
        respond(http_response(http::status::request_timeout, 11));
    }

    /// What came is no request, or only half of one: it gets an answer, and the connection ends with it.
    void give_up_request() {
        parser_.reset();
        keep_alive_ = false;
        in_request_ = true;
        request_ = {};
        request_.version(11);
        owner_->at_bad_request();
    }

    void send(std::string text) {
        out_ += text;
        services_->arm(*this, services::now() + limits_->write_timeout);
        flush();
    }

    void flush() {
        if (!channel_)
            return;
        const auto taken = channel_->write({out_.data(), out_.size()});
        out_.erase(0, taken);
        if (taken != 0 && !out_.empty() && !parser_) // slow, but not stuck
            services_->arm(*this, services::now() + limits_->write_timeout);
        if (!out_.empty() || in_request_ || parser_)
            return;
        if (!keep_alive_ || draining_) {
            closing_ = true;
            channel_->shutdown();
            services_->arm(*this, services::now() + (draining_ ? linger() : limits_->close_timeout));
            channel_->read();
            return;
        }
        next_request();
        // From the event loop, so that pipelined requests neither recurse nor starve others.
        services_->post([self = http_connection_ptr(this)] {
            if (self->channel_ && !self->closing_ && self->parser_ && self->parse())
                self->channel_->read();
        });
    }

    /// How long a peer is waited for that only has to close.
    [[nodiscard]] std::chrono::milliseconds linger() const noexcept {
        return std::min<std::chrono::milliseconds>(limits_->close_timeout, std::chrono::milliseconds(500));
    }

    void end() {
        services::cancel(*this);
        in_request_ = false;
        closing_ = true;
        if (channel_)
            channel_->close();
        owner_->at_http_end(*this);
    }

    channel_ptr channel_;
    std::shared_ptr<services> services_;
    std::shared_ptr<const link_limits> limits_;
    http_owner* owner_;
    std::size_t body_limit_;
    std::optional<parser> parser_;
    http_request request_;
    std::string in_;  ///< read, and not parsed yet
    std::string out_; ///< to be written
    bool in_request_ = false;
    bool keep_alive_ = true;
    bool continued_ = false;
    bool draining_ = false;
    bool closing_ = false;
};

} // namespace pusher::inline v0
