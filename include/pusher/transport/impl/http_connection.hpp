// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/http_connection.hpp>

namespace pusher::inline v0 {

PUSHER_DECL http_connection::http_connection(
    channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits, http_owner& owner,
    std::size_t body_limit)
    : channel_(std::move(c)),
      services_(std::move(s)),
      limits_(std::move(limits)),
      owner_(&owner),
      body_limit_(body_limit) {
    channel_->set_user(this);
}

PUSHER_DECL http_connection::~http_connection() {
    if (channel_)
        channel_->close();
}

PUSHER_DECL void http_connection::start(std::string leftover) {
    in_ = std::move(leftover);
    next_request();
    if (!parse())
        return;
    channel_->read();
}

PUSHER_DECL void http_connection::start(http_request request, std::string leftover, bool more) {
    in_ = std::move(leftover);
    keep_alive_ = more && request.keep_alive();
    request_ = std::move(request);
    in_request_ = asked_ = true;
    owner_->at_request(this);
}

PUSHER_DECL void http_connection::respond(http_response r) {
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
    std::ostringstream text; // its header once, a body that is there already: the simple way is fast enough
    if (head) {
        http_response::header_type& header = r;
        text << header;
    } else {
        text << r;
    }
    send(std::move(text).str());
}

PUSHER_DECL std::pair<channel_ptr, std::string> http_connection::release() {
    services::cancel(*this);
    in_request_ = false;
    channel_->set_user(nullptr);
    auto channel = std::exchange(channel_, nullptr);
    owner_->at_http_end(*this);
    return {std::move(channel), std::move(in_)};
}

PUSHER_DECL void http_connection::drain() {
    draining_ = true;
    if (closing_) // not for as long as a peer likes
        services_->arm(*this, services::now() + linger());
    else if (!in_request_ && out_.empty() && parser_ && in_.empty() && !parser_->got_some())
        end();
}

PUSHER_DECL void http_connection::abort() noexcept {
    services::cancel(*this);
    in_request_ = false;
    closing_ = true;
    if (channel_)
        channel_->close();
}

PUSHER_DECL void http_connection::next_request() {
    parser_.emplace();
    parser_->eager(true);
    parser_->header_limit(header_limit);
    parser_->body_limit(body_limit_);
    continued_ = false;
    empty_lines_ = 0;
    services_->arm(*this, services::now() + limits_->handshake_timeout);
}

PUSHER_DECL bool http_connection::parse() {
    if (!pass_empty_lines())
        return refuse(boost::beast::http::error::header_limit);
    while (!in_.empty()) {
        if (in_ == "\r" && !parser_->got_some()) // perhaps of another empty line
            break;
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
    if (parser_->is_header_done() && !continued_ && !parser_->is_done() && parser_->get().version() >= 11 &&
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
    in_request_ = asked_ = true;
    const http_connection_ptr keep(this);
    owner_->at_request(keep);
    return false;
}

PUSHER_DECL bool http_connection::pass_empty_lines() {
    if (parser_->got_some())
        return true;
    std::size_t at = 0;
    while (std::string_view(in_).substr(at, 2) == "\r\n")
        at += 2;
    in_.erase(0, at);
    empty_lines_ += at;
    return empty_lines_ <= header_limit;
}

PUSHER_DECL bool http_connection::well_framed() const {
    namespace http = boost::beast::http;
    const auto& request = parser_->get();
    const auto [coding, end] = request.equal_range(http::field::transfer_encoding);
    return coding == end ||
           (std::next(coding) == end && boost::beast::iequals(coding->value(), "chunked") &&
            request.version() >= 11 && request.find(http::field::content_length) == request.end());
}

PUSHER_DECL bool http_connection::refuse(error_code ec) {
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

PUSHER_DECL bool http_connection::at_bytes(std::span<char> bytes) {
    if (closing_)
        return true; // thrown away until the peer has closed
    in_.append(bytes.data(), bytes.size());
    if (in_request_) // pipelined: not read on before the answer
        return in_.size() <= header_limit;
    const http_connection_ptr keep(this);
    return parse() && channel_;
}

PUSHER_DECL void http_connection::at_end(error_code ec) {
    const http_connection_ptr keep(this);
    if (!closing_ && parser_ && (!in_.empty() || parser_->got_some()) && channel_->half_closed()) {
        refuse(boost::beast::http::error::partial_message);
        return;
    }
    if (!asked_ && ec != errc::peer_closed)
        owner_->at_failure(ec);
    end();
}

PUSHER_DECL void http_connection::at_timeout() {
    namespace http = boost::beast::http;
    if (in_request_ && !closing_) {
        keep_alive_ = false; // an answer that comes too late must not find another request here
        http_response r(http::status::service_unavailable, request_.version());
        r.set(http::field::content_type, "application/json");
        r.body() = R"({"error":"there was no answer in time"})";
        return respond(std::move(r));
    }
    if (!closing_ && !parser_ && !out_.empty() && !progress_.stuck(*channel_, true, *limits_)) {
        services_->arm(*this, progress_.next_look(*limits_));
        return;
    }
    if (closing_ || !out_.empty() || !parser_ || (in_.empty() && !parser_->got_some())) {
        if (!asked_)
            owner_->at_failure(errc::handshake_timeout);
        return end();
    }
    give_up_request();
    http_response r(http::status::request_timeout, 11);
    r.set(http::field::content_type, "application/json");
    r.body() = R"({"error":"the request did not come in time"})";
    respond(std::move(r));
}

PUSHER_DECL void http_connection::give_up_request() {
    parser_.reset();
    keep_alive_ = false;
    in_request_ = asked_ = true;
    request_ = {};
    request_.version(11);
    owner_->at_bad_request();
}

PUSHER_DECL void http_connection::send(std::string text) {
    out_ += text;
    flush();
}

PUSHER_DECL void http_connection::flush() {
    if (!channel_)
        return;
    const auto taken = channel_->write({out_.data(), out_.size()});
    out_.erase(0, taken);
    if (in_request_ || parser_) // "continue": until the whole request is there, that has a time of its own
        return;
    if (!out_.empty()) {
        progress_.block(*channel_);
        services_->arm(*this, progress_.next_look(*limits_));
        return;
    }
    if (!keep_alive_ || draining_) {
        closing_ = true;
        channel_->shutdown();
        if (channel_->half_closed())
            return end();
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

PUSHER_DECL std::chrono::milliseconds http_connection::linger() const noexcept {
    return std::min<std::chrono::milliseconds>(limits_->close_timeout, std::chrono::milliseconds(500));
}

PUSHER_DECL void http_connection::end() {
    services::cancel(*this);
    in_request_ = false;
    closing_ = true;
    if (channel_)
        channel_->close();
    owner_->at_http_end(*this);
}

} // namespace pusher::inline v0
