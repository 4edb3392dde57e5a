// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/http_origin.hpp>
#include <pusher/detail/require.hpp>
#include <pusher/dialect/native_http.hpp>
#include <pusher/listener/http.hpp>

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <iterator>

namespace pusher::inline v0 {

namespace detail {

/// A header that may be there once; absent is not the same as empty.
template <class Fields>
std::optional<std::string_view>
single_field(const Fields& fields, boost::beast::http::field name, bool& repeated) {
    const auto range = fields.equal_range(name);
    repeated = range.first != range.second && std::next(range.first) != range.second;
    if (range.first == range.second)
        return std::nullopt;
    const auto value = range.first->value();
    return std::string_view(value.data(), value.size());
}

/// Whether the body is something else than it says it is, such as compressed.
PUSHER_DECL bool is_encoded(const http_request& r) {
    const auto codings = r.equal_range(boost::beast::http::field::content_encoding);
    return std::any_of(codings.first, codings.second, [](const auto& field) {
        return !field.value().empty() && !boost::beast::iequals(field.value(), "identity");
    });
}

/// The path and the query; a request as for a proxy names the server before them (RFC 9112, section 3.2.2).
PUSHER_DECL std::string_view target_of(const http_request& r) {
    std::string_view target(r.target().data(), r.target().size());
    if (const auto scheme = target.find("://"); scheme != target.npos && scheme < target.find('/')) {
        const auto path = target.find_first_of("/?", scheme + 3);
        target = path == target.npos ? "/" : target.substr(path);
    }
    return target;
}

PUSHER_DECL std::string_view query_of(const http_request& r) {
    const auto target = target_of(r);
    const auto query = target.find('?');
    return query == target.npos ? std::string_view() : target.substr(query + 1);
}

} // namespace detail

PUSHER_DECL void http_params::check() const {
    limits.check();
    deflate.check();
    detail::require(backlog >= 1, "http_params: backlog is under 1");
    detail::require(body_bytes <= 256U * 1024 * 1024, "http_params: body_bytes is over 256 MiB");
    detail::require(
        handler_timeout >= std::chrono::milliseconds(100), "http_params: handler_timeout is under 100 ms");
    for (const auto* const path : {&websocket_path, &raw_path, &events_path, &publish_path, &stats_path})
        detail::require(path->empty() || path->front() == '/', "http_params: a path does not begin with /");
    for (const auto& o : allowed_origins)
        detail::require(
            detail::is_valid_allowed_origin(o),
            "http_params: allowed_origins holds something that is no origin");
}

PUSHER_DECL http_listener::http_listener(broker_core& b, const http_params& p)
    : stream_listener(b, p.limits),
      params_(p) {
    factory_ = p.channel;
}

PUSHER_DECL std::shared_ptr<listener_base>
http_listener::start(broker_core& b, const http_params& p, error_code& ec) {
    p.check();
    auto l = std::make_shared<http_listener>(b, p);
    if (p.listen)
        l->open(*p.listen, p.backlog, ec);
    return ec ? nullptr : l;
}

PUSHER_DECL void http_listener::take(channel_ptr c, http_request request, std::string leftover) {
    add(std::move(c))->start(std::move(request), std::move(leftover), bool(params_.handler));
}

PUSHER_DECL bool http_listener::drained() {
    if (!std::exchange(draining_, true))
        for (const auto& c : connections())
            c->drain();
    return connections_.empty();
}

PUSHER_DECL void http_listener::abort() noexcept {
    for (const auto& c : connections())
        c->abort();
    connections_.clear();
}

PUSHER_DECL void http_listener::append_goodbye(const close_reason&, std::string& out) const {
    out += "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
}

PUSHER_DECL http_connection_ptr http_listener::add(channel_ptr c) {
    http_connection_ptr connection(
        new http_connection(std::move(c), broker().io(), limits(), *this, params_.body_bytes));
    connections_.emplace(connection.get(), connection);
    ++broker().stats_of("http").accepted;
    if (draining_)
        connection->drain();
    return connection;
}

PUSHER_DECL std::vector<http_connection_ptr> http_listener::connections() const {
    std::vector<http_connection_ptr> all;
    for (const auto& entry : connections_)
        all.push_back(entry.second);
    return all;
}

PUSHER_DECL void http_listener::at_http_end(http_connection& c) {
    const auto found = connections_.find(&c);
    if (found == connections_.end())
        return;
    broker().io()->destroy_later(std::move(found->second)); // it may be the caller
    connections_.erase(found);
    broker().check_waiters();
}

PUSHER_DECL http_response
http_listener::response(const http_connection& c, boost::beast::http::status status) const {
    namespace http = boost::beast::http;
    const auto& request = c.request();
    http_response r(status, request.version());
    r.keep_alive(request.keep_alive());
    r.set(http::field::server, "pusher/" PUSHER_VERSION_STRING);
    r.set(http::field::cache_control, "no-cache");
    // A foreign origin that got this far is an allowed one: the browser must be told, or the page gets
    // nothing. Where all are allowed, none may use what its visitor's cookies open.
    if (const auto origin = request.find(http::field::origin); origin != request.end()) {
        const auto& allowed = params_.allowed_origins;
        if (std::find(allowed.begin(), allowed.end(), "*") != allowed.end()) {
            r.set(http::field::access_control_allow_origin, "*");
        } else {
            r.set(http::field::access_control_allow_origin, origin->value());
            r.set(http::field::access_control_allow_credentials, "true");
            r.set(http::field::vary, "Origin");
        }
    }
    return r;
}

PUSHER_DECL void http_listener::respond_json(
    const http_connection_ptr& c, boost::beast::http::status status, std::string body) const {
    auto r = response(*c, status);
    r.set(boost::beast::http::field::content_type, "application/json");
    r.body() = std::move(body);
    c->respond(std::move(r));
}

PUSHER_DECL void http_listener::refuse(
    const http_connection_ptr& c, boost::beast::http::status status, std::string_view message,
    std::string_view transport_name,
    std::initializer_list<std::pair<boost::beast::http::field, std::string_view>> headers) {
    namespace http = boost::beast::http;
    auto& numbers = broker().stats_of(transport_name);
    ++numbers.bad_requests;
    if (status == http::status::forbidden || status == http::status::unauthorized ||
        status == http::status::service_unavailable)
        ++numbers.refused;
    auto r = response(*c, status);
    if (status == http::status::forbidden) { // perhaps for its origin
        r.erase(http::field::access_control_allow_origin);
        r.erase(http::field::access_control_allow_credentials);
    }
    if (status == http::status::service_unavailable)
        r.set(
            http::field::retry_after,
            std::to_string(std::chrono::ceil<std::chrono::seconds>(broker().retry_hint()).count()));
    r.set(http::field::content_type, "application/json");
    for (const auto& [name, value] : headers)
        r.set(name, {value.data(), value.size()});
    append_http_error(r.body(), message);
    c->respond(std::move(r));
}

PUSHER_DECL void http_listener::at_request(const http_connection_ptr& c) {
    namespace http = boost::beast::http;
    const auto& request = c->request();
    const auto target = detail::target_of(request);
    const auto path = target.substr(0, target.find('?'));
    const auto is = [&](const std::string& route) { return !route.empty() && path == route; };
    const bool ours = is(params_.websocket_path) || is(params_.raw_path) || is(params_.events_path) ||
                      is(params_.publish_path) || is(params_.stats_path);
    if (ours)
        ++broker().stats_of("http").requests;
    bool repeated = false;
    const auto host = detail::single_field(request, http::field::host, repeated);
    if (repeated || (!host && request.version() >= 11))
        return refuse(c, http::status::bad_request, "a request needs one Host");
    if (ours) {
        const auto origin = detail::single_field(request, http::field::origin, repeated);
        if (repeated ||
            !detail::origin_allowed(origin, host.value_or(""), c->secure(), params_.allowed_origins))
            return refuse(c, http::status::forbidden, "this origin is not allowed");
        if (request.method() == http::verb::options)
            return preflight(c);
    }
    const bool gets = request.method() == http::verb::get || request.method() == http::verb::head;
    if (is(params_.websocket_path))
        return upgrade(c);
    if (is(params_.raw_path))
        return upgrade_raw(c);
    if (is(params_.publish_path)) {
        if (request.method() == http::verb::post) {
            if (detail::is_encoded(request))
                return refuse(
                    c, http::status::unsupported_media_type, "bodies are taken as they are, not compressed",
                    "http", {{http::field::accept_encoding, "identity"}});
            return publish(c);
        }
        return refuse(
            c, http::status::method_not_allowed, "messages are published by POST", "http",
            {{http::field::allow, "POST, OPTIONS"}});
    }
    if (ours && !gets)
        return refuse(
            c, http::status::method_not_allowed, "this is there to be read", "http",
            {{http::field::allow, "GET, HEAD, OPTIONS"}});
    if (is(params_.events_path))
        return events(c);
    if (is(params_.stats_path))
        return stats(c);
    try {
        if (params_.handler && params_.handler(c)) {
            if (c->open())
                c->expect_answer(params_.handler_timeout);
            return;
        }
    } catch (...) {
        broker().threw({0, {}, c->peer(), "http"}, {});
        return refuse(c, http::status::internal_server_error, "the handler failed");
    }
    refuse(c, http::status::not_found, "nothing is here");
}

PUSHER_DECL void http_listener::preflight(const http_connection_ptr& c) {
    namespace http = boost::beast::http;
    auto r = response(*c, http::status::no_content);
    r.set(http::field::access_control_allow_methods, "GET, POST, OPTIONS");
    r.set(http::field::access_control_allow_headers, "Authorization, Content-Type, Last-Event-ID");
    r.set(http::field::access_control_max_age, "86400");
    c->respond(std::move(r));
}

/// Asks the host who sent a request. `done` is only called if the request may go on.
PUSHER_DECL void http_listener::authenticate(
    const http_connection_ptr& c, std::string_view transport_name, authenticated done) {
    if (!broker().params().authenticate)
        return done(authentication_result::anonymous());
    authentication_request request;
    const auto peer = c->peer();
    request.http = &c->request();
    request.peer = peer;
    request.transport = transport_name;
    c->expect_answer(broker().params().authentication_timeout);
    broker().start_authentication(
        request, [this, c, transport_name, done = std::move(done)](const authentication_result& who) {
            namespace http = boost::beast::http;
            if (!c->open())
                return;
            using kind = authentication_result::kind;
            if (who.what == kind::refused)
                return refuse(c, http::status::forbidden, who.text, transport_name);
            if (who.what == kind::later && transport_name != "websocket")
                return refuse(
                    c, http::status::unauthorized, make_error_code(errc::not_authenticated).message(),
                    transport_name);
            done(who);
        });
}

} // namespace pusher::inline v0
