// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/dialect/native_http.hpp>
#include <pusher/impl/http_listener.hpp>
#include <pusher/listener/http.hpp>
#include <pusher/transport/sse_link.hpp>

#include <sstream>

namespace pusher::inline v0 {

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
};

PUSHER_DECL void http_listener::events(const http_connection_ptr& c) {
    namespace http = boost::beast::http;
    const auto op = std::make_shared<events_op>();
    op->connection = c;
    op->peer = c->peer();
    std::string message;
    if (decode_events_query(detail::query_of(c->request()), op->query, message))
        return refuse(c, http::status::bad_request, message, "sse");
    if (op->query.size() > broker().params().subscriptions)
        return refuse(
            c, http::status::bad_request, make_error_code(errc::too_many_subscriptions).message(), "sse");
    const auto header = c->request().find("Last-Event-ID");
    const auto id = header != c->request().end() && !header->value().empty()
                        ? std::string_view(header->value().data(), header->value().size())
                        : std::string_view(op->query.last_event_id);
    op->resume_asked = !id.empty();
    if (const auto from = parse_sse_id(id)) {
        op->resume = from->position;
        op->place = from->place;
    }
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
        while (op->next != op->query.size()) {
            const access_request access{
                access_request::kind::subscribe,
                op->query.topic(op->next),
                op->query.match,
                op->query.type(op->next),
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

} // namespace pusher::inline v0
