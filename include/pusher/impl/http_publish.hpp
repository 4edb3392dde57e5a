// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/dialect/native_http.hpp>
#include <pusher/impl/stats_json.hpp>
#include <pusher/listener/http.hpp>

#include <deque>

namespace pusher::inline v0 {

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
