// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/http_origin.hpp>
#include <pusher/detail/require.hpp>
#include <pusher/detail/sha1.hpp>
#include <pusher/dialect/native_http.hpp>
#include <pusher/impl/stats_json.hpp>
#include <pusher/listener/http.hpp>
#include <pusher/transport/sse_link.hpp>
#include <pusher/transport/websocket_link.hpp>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <algorithm>
#include <concepts>
#include <deque>
#include <iterator>
#include <sstream>

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

/// The path and the query; a request as for a proxy names the server before them (RFC 9112, section 3.2.2).
PUSHER_DECL std::string_view target_of(const http_request& r) {
    std::string_view target(r.target().data(), r.target().size());
    if (const auto scheme = target.find("://"); scheme != target.npos && scheme < target.find('/')) {
        const auto path = target.find_first_of("/?", scheme + 3);
        target = path == target.npos ? "/" : target.substr(path);
    }
    return target;
}

} // namespace detail

PUSHER_DECL void http_params::check() const {
    limits.check();
    detail::require(backlog >= 1, "http_params: backlog is under 1");
    detail::require(body_bytes <= 256U * 1024 * 1024, "http_params: body_bytes is over 256 MiB");
    detail::require(
        handler_timeout >= std::chrono::milliseconds(100), "http_params: handler_timeout is under 100 ms");
    for (const auto* const path : {&websocket_path, &events_path, &publish_path, &stats_path})
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
    const bool ours = is(params_.websocket_path) || is(params_.events_path) || is(params_.publish_path) ||
                      is(params_.stats_path);
    if (ours) {
        ++broker().stats_of("http").requests;
        bool repeated = false;
        const auto host = detail::single_field(request, http::field::host, repeated);
        if (repeated || (!host && request.version() >= 11))
            return refuse(c, http::status::bad_request, "a request needs one Host");
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
    if (is(params_.publish_path)) {
        if (request.method() == http::verb::post)
            return publish(c);
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

// ---- WebSocket (RFC 6455, section 4.2)

PUSHER_DECL void http_listener::upgrade(const http_connection_ptr& c) {
    namespace http = boost::beast::http;
    namespace beast = boost::beast;
    const auto& request = c->request();
    const std::string_view name = "websocket";
    if (!beast::websocket::is_upgrade(request))
        return refuse(
            c, http::status::upgrade_required, "a WebSocket handshake is expected here", name,
            {{http::field::upgrade, "websocket"}});
    if (beast::string_view(request[http::field::sec_websocket_version]) != "13")
        return refuse(
            c, http::status::upgrade_required, "the version of WebSocket here is 13", name,
            {{http::field::upgrade, "websocket"}, {http::field::sec_websocket_version, "13"}});
    bool repeated = false;
    const auto key = detail::single_field(request, http::field::sec_websocket_key, repeated);
    if (repeated || !key || key->size() != 24 || !key->ends_with("=="))
        return refuse(c, http::status::bad_request, "Sec-WebSocket-Key is not 16 bytes of base64", name);

    authenticate(c, name, [this, c](const authentication_result& who) {
        if (broker().stopped() || broker().full())
            return refuse(c, http::status::service_unavailable, "no more sessions now", "websocket");
        const auto& upgraded = c->request();
        std::string answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Accept: ";
        const auto accepted_key = upgraded[http::field::sec_websocket_key];
        answer += detail::websocket_accept({accepted_key.data(), accepted_key.size()});
        if (http::token_list(upgraded[http::field::sec_websocket_protocol]).exists("pusher.v1"))
            answer += "\r\nSec-WebSocket-Protocol: pusher.v1";
        answer += "\r\nServer: pusher/" PUSHER_VERSION_STRING "\r\n\r\n";
        auto [channel, leftover] = c->release();
        auto link = std::make_unique<websocket_link>(std::move(channel), broker().io(), limits());
        auto& l = *link;
        const auto s = broker().make_session(std::move(link));
        l.preface(std::move(answer), std::move(leftover));
        broker().open(s, who);
    });
}

// ---- server-sent events (HTML standard, section 9.2)

struct http_listener::events_op {
    http_connection_ptr connection;
    authentication_result who = authentication_result::anonymous();
    native_events_query query;
    std::optional<sequence_position> resume;
    std::optional<topic_position> place; ///< the same, in the history of one of the topics
    bool resume_asked = false;
    std::size_t next = 0; ///< subscription to be authorized
    bool asking = false;  ///< inside the host's hook
    bool fetched = false; ///< histories that other brokers keep are here
    std::string peer;

    [[nodiscard]] std::size_t per_topic() const noexcept {
        return std::max<std::size_t>(1, query.types.size());
    }
    [[nodiscard]] std::size_t subscriptions() const noexcept { return query.topics.size() * per_topic(); }
};

PUSHER_DECL void http_listener::events(const http_connection_ptr& c) {
    namespace http = boost::beast::http;
    const auto op = std::make_shared<events_op>();
    op->connection = c;
    op->peer = c->peer();
    const auto target = detail::target_of(c->request());
    const auto query = target.find('?');
    std::string message;
    if (decode_events_query(
            query == target.npos ? std::string_view() : target.substr(query + 1), op->query, message))
        return refuse(c, http::status::bad_request, message, "sse");
    if (op->subscriptions() > broker().params().subscriptions)
        return refuse(
            c, http::status::bad_request, make_error_code(errc::too_many_subscriptions).message(), "sse");
    const auto header = c->request().find("Last-Event-ID");
    const auto id = header != c->request().end()
                        ? std::string_view(header->value().data(), header->value().size())
                        : std::string_view(op->query.last_event_id);
    op->resume_asked = !id.empty();
    op->resume = parse_sse_id(id);
    op->place = parse_sse_place(id);
    authenticate(c, "sse", [this, op](const authentication_result& who) {
        op->who = who;
        start_events(op);
    });
}

/// Asks about one subscription after another, then begins the stream.
PUSHER_DECL void http_listener::start_events(const std::shared_ptr<events_op>& op) {
    namespace http = boost::beast::http;
    const auto& c = op->connection;
    if (broker().params().authorize)
        while (op->next != op->subscriptions()) {
            const auto& types = op->query.types;
            const access_request access{
                access_request::kind::subscribe,
                op->query.topics[op->next / op->per_topic()],
                op->query.match,
                types.empty() ? std::string_view() : std::string_view(types[op->next % types.size()]),
                op->who.what == authentication_result::kind::identified ? std::string_view(op->who.text)
                                                                        : std::string_view(),
                op->peer,
                "sse"};
            c->expect_answer(broker().params().authentication_timeout);
            const auto asked = op->next;
            op->asking = true;
            broker().authorize(access, [this, op](bool allowed) {
                if (!op->connection->open())
                    return;
                if (!allowed)
                    return refuse(
                        op->connection, http::status::forbidden, make_error_code(errc::forbidden).message(),
                        "sse");
                ++op->next;
                if (!op->asking)
                    start_events(op);
            });
            op->asking = false;
            if (op->next == asked) // refused, or the answer comes later
                return;
        }
    if (broker().relay_ && op->query.match == match_mode::exact && !op->fetched) {
        c->expect_answer(broker().params().authentication_timeout);
        // Without one of them it begins with what is live, as far as that goes.
        return broker().fetch_histories(op->query.topics, [this, op](error_code) {
            op->fetched = true;
            if (op->connection->open())
                start_events(op);
        });
    }
    auto r = response(*c, http::status::ok);
    r.set(http::field::content_type, "text/event-stream");
    r.set("X-Accel-Buffering", "no"); // or nginx holds events back
    r.keep_alive(false);
    if (c->request().method() == http::verb::head)
        return c->respond(std::move(r));
    std::ostringstream text;
    text << r.base();

    auto [channel, leftover] = c->release();
    auto link = std::make_unique<sse_link>(std::move(channel), broker().io(), limits(), op->query.form());
    auto& l = *link;
    const auto s = broker().make_session(std::move(link));
    l.preface(std::move(text).str(), {});
    // A refusal is told in the stream, with a hint when to come back: an EventSource takes an HTTP error for
    // final.
    broker().open(s, op->who);
    if (s->owner)
        broker().subscribe_events(*s, op->query, op->resume, op->place, op->resume_asked);
}

// ---- POST /publish

struct http_listener::publish_op : std::enable_shared_from_this<publish_op> {
    publish_op(http_listener& l, const http_connection_ptr& c)
        : listener(&l),
          connection(c),
          body(std::move(c->request().body())),
          peer(c->peer()) {}

    http_listener* listener;
    http_connection_ptr connection;
    std::string body;
    std::string peer;
    std::string uid;
    native_publish_body messages;
    std::string text;
    std::optional<native_publish_reply> reply;
    boost::beast::http::status status = boost::beast::http::status::ok;

    /// What became of a message: in the order of the messages, but known when it is.
    struct outcome {
        bool known = false;
        receipt got{};
        std::string why{};
    };
    std::deque<outcome> outcomes;
    std::size_t written = 0; ///< of the outcomes, which are gone then
    bool taken = false;      ///< all messages were

    /// A message of an array that is to be stored: with the others of it, however many turns it takes to
    /// read them.
    struct held_message {
        std::size_t number;
        pinned_message message;
        std::chrono::milliseconds ttl;
    };
    std::vector<held_message> held;

    void run() {
        native_publish m;
        error_code ec;
        for (std::size_t handled = 0;; ++handled) {
            if (handled == listener->params_.limits.requests_per_turn)
                return yield();
            if (!messages.next(m, ec))
                break;
            if (ec) {
                failed(messages.error_message(), ec);
                continue;
            }
            if (const auto refusal = native_refusal(m); !refusal.empty()) {
                failed(refusal, errc::unsupported);
                continue;
            }
            if (!listener->broker().params().authorize) {
                publish(m);
                continue;
            }
            struct state {
                bool inside = true;
                std::optional<bool> allowed;
            };
            const auto shared = std::make_shared<state>();
            connection->expect_answer(listener->broker().params().authentication_timeout);
            listener->broker().authorize(
                {access_request::kind::publish, m.topic, match_mode::exact, m.type, uid, peer, "http"},
                [self = shared_from_this(), shared, m](bool allowed) {
                    shared->allowed = allowed;
                    if (shared->inside || !self->connection->open())
                        return;
                    self->judged(m, allowed); // the views of `m` are good until the next is taken
                    self->run();
                });
            shared->inside = false;
            if (!shared->allowed)
                return;
            judged(m, *shared->allowed);
        }
        taken = true;
        connection->expect_no_answer();
        for (const auto& h : std::exchange(held, {})) {
            const auto& kept = *h.message;
            publish(
                h.number, kept.topic(), kept.payload(), {kept.type(), kept.key(), kept.id(), {}, h.ttl, 0});
        }
        write_known();
    }

    /// Writes outcomes as they are known, and answers when all are.
    void write_known() {
        for (; !outcomes.empty() && outcomes.front().known; ++written) {
            const auto& o = outcomes.front();
            if (o.got.error)
                write_failure(o.why, o.got.error);
            else
                reply->receipt({o.got.matched, o.got.position, o.got.repeated});
            outcomes.pop_front();
        }
        if (!taken || !outcomes.empty())
            return;
        reply->finish();
        listener->respond_json(connection, status, std::move(text));
    }
    void became(std::size_t number, const receipt& got, std::string_view why) {
        outcomes[number - written] = {true, got, std::string(why)};
    }

    /// Others get their turn; this one goes on behind them, if somebody still waits for its answer.
    void yield() {
        connection->expect_no_answer();
        listener->broker().io()->post([self = shared_from_this()] {
            if (self->connection->open())
                self->run();
        });
    }

    void judged(const native_publish& m, bool allowed) {
        if (allowed)
            publish(m);
        else
            failed(make_error_code(errc::forbidden).message(), errc::forbidden);
    }

    void publish(const native_publish& m) {
        publish_options o;
        o.type = m.type;
        o.key = m.key;
        o.id = m.id;
        o.ttl = m.time_to_live();
        auto& b = listener->broker();
        const auto number = written + outcomes.size();
        outcomes.emplace_back();
        if (!b.journal_ || !messages.is_array() || !b.core_.kept_in_store(m.topic))
            return publish(number, m.topic, m.payload, o);
        message::fields copy;
        copy.topic = m.topic;
        copy.type = o.type;
        copy.payload = m.payload;
        copy.key = o.key;
        copy.id = o.id;
        copy.receive_time = wall_time{};
        held.push_back({number, message(copy).pin(), o.ttl});
    }

    void
    publish(std::size_t number, std::string_view topic, std::string_view payload, const publish_options& o) {
        auto& b = listener->broker();
        using kind = detail::id_owner::kind;
        const detail::id_owner by{uid.empty() ? kind::anonymous : kind::user, uid};
        const auto r =
            b.staged_
                ? b.publish_then(
                      topic, payload, o, &by, false,
                      [self = shared_from_this(), number](const receipt& later) {
                          if (!self->connection->open())
                              return; // nobody waits; what is stored stands
                          self->became(number, later, later.error ? later.error.message() : std::string());
                          self->write_known();
                      })
                : b.core_.publish(topic, payload, o, &by);
        if (!r.pending)
            became(number, r, r.error ? r.error.message() : std::string());
    }

    void failed(std::string_view why, error_code ec) {
        outcomes.emplace_back();
        receipt r;
        r.error = ec;
        became(written + outcomes.size() - 1, r, why);
    }

    void write_failure(std::string_view why, error_code ec) {
        namespace http = boost::beast::http;
        ++listener->broker().stats_of("http").bad_requests;
        reply->error(why);
        if (messages.is_array())
            return;
        status = ec == errc::forbidden           ? http::status::forbidden
                 : ec == errc::message_too_large ? http::status::payload_too_large
                 : ec == condition::limit_reached || ec == errc::stopped || ec == condition::store_unavailable
                     ? http::status::service_unavailable
                     : http::status::bad_request;
    }
};

PUSHER_DECL void http_listener::publish(const http_connection_ptr& c) {
    namespace http = boost::beast::http;
    authenticate(c, "http", [this, c](const authentication_result& who) {
        const auto op = std::make_shared<publish_op>(*this, c);
        if (who.what == authentication_result::kind::identified)
            op->uid = who.text;
        native_limits limits;
        limits.request = params_.body_bytes;
        if (const auto ec = op->messages.start(op->body, limits))
            return refuse(
                c,
                ec == errc::message_too_large ? http::status::payload_too_large : http::status::bad_request,
                op->messages.error_message());
        op->reply.emplace(op->text, op->messages.is_array());
        op->run();
    });
}

// ---- GET /stats

PUSHER_DECL void http_listener::stats(const http_connection_ptr& c) {
    authenticate(c, "http", [this, c](const authentication_result&) {
        const auto show = [this, c](const broker_stats& s) {
            if (c->open())
                respond_json(c, boost::beast::http::status::ok, stats_json(s));
        };
        if (!broker().gather_stats_)
            return show(broker().stats());
        c->expect_answer(params_.handler_timeout);
        broker().gather_stats_(show);
    });
}

} // namespace pusher::inline v0
