// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/engine.hpp>
#include <pusher/client/error.hpp>
#include <pusher/client/event.hpp>
#include <pusher/client/params.hpp>
#include <pusher/subscribe_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/execution_context.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

/// A client of a hub, in the native dialect, over TCP, a Unix-domain socket or WebSocket, with or without
/// TLS.
///
/// ```cpp
/// pusher::client c(context, {.url = "ws://127.0.0.1:8080/ws"});
/// c.async_run(detached);
/// co_await c.async_subscribe("news", use_awaitable);
/// for (;;) {
///     const auto event = co_await c.async_receive(use_awaitable);
///     if (const auto* const m = std::get_if<pusher::pinned_message>(&event))
///         std::cout << (*m)->payload() << std::endl;
/// }
/// ```
///
/// `async_run` connects, and connects again whenever the connection is lost: after a growing delay, part of
/// it random, or when the hub asked to come back. On each connection it authenticates, subscribes to
/// everything anew, and resumes every exact topic with history after the last message that it received. What
/// could not be made good is told by `async_receive`, in the place where it is missing; a message is never
/// given twice over a resume.
///
/// Being kicked is such a loss of a connection (`client_disconnected` with code 1008): the client comes back
/// after its delay. Who is not wanted has to be refused, by the hub's `authenticate`, or with 1008 before the
/// connection can be used: that ends `async_run` with `errc::refused`. A program that takes a kick for the
/// end calls `close`.
///
/// What is asked for without a connection waits for one, within `client_params::request_timeout`. A request
/// that was sent and not answered when the connection breaks: a publish completes with
/// `client_errc::connection_lost`, and is not repeated; a subscribe is asked for again; an unsubscribe is
/// done.
///
/// Messages wait in a bounded inbox. When it is full, the client stops reading from its socket, until
/// `async_receive` has emptied half of it. Replies come over the same connection, so whoever subscribes must
/// receive, or its requests will time out. The hub goes on according to its overflow policy: what it drops
/// comes as a `client_gap`, and if it closes the connection, the resume brings the rest. While the inbox is
/// full no new connection is made.
///
/// It works on one serial executor: that of a context run by one thread, or a strand. All functions, and
/// cancellation, must be on it; several clients may have several. Nothing here blocks, owns a thread or calls
/// `run()`; a name is looked up in the thread that Asio has for this.
///
/// Movable. Destroying it with operations outstanding is safe: they complete with `errc::closed`, publishes
/// that were sent with `client_errc::connection_lost`. The hub is told, if that needs no waiting; for a
/// certain goodbye call `close`, and wait for `async_run`.
class client {
public:
    using executor_type = boost::asio::any_io_executor;

    /// \param executor a serial one: of a context that one thread runs, or a strand.
    /// \throws std::invalid_argument if a parameter is out of its range.
    client(const executor_type& executor, client_params params, client_environment environment = {})
        : engine_(
              std::make_shared<detail::client_engine>(executor, std::move(params), std::move(environment))) {}

    /// \param context must be run by one thread only.
    template <class Context>
        requires std::derived_from<Context, boost::asio::execution_context>
    client(Context& context, client_params params, client_environment environment = {})
        : client(executor_type(context.get_executor()), std::move(params), std::move(environment)) {}

    client(client&&) noexcept = default;
    client& operator=(client&& other) noexcept {
        if (this != &other) {
            if (engine_)
                engine_->shut();
            engine_ = std::move(other.engine_);
        }
        return *this;
    }
    ~client() {
        if (engine_)
            engine_->shut();
    }

    [[nodiscard]] executor_type get_executor() const noexcept { return engine_->executor(); }

    /// Whether requests are sent at once: there is a connection, authenticated if there is a token.
    [[nodiscard]] bool connected() const noexcept { return engine_->connected(); }

    /// What the hub called the latest session.
    [[nodiscard]] const std::string& session() const noexcept { return engine_->session(); }

    /// Connects, and keeps connected until `close`, cancellation, or an error that would only repeat itself.
    /// Subscriptions and waiting requests outlive it: it may be called again.
    ///
    /// \param token completes with `void(error_code)`. Success: after `close`. Errors: `refused`, or another
    /// one that `condition::denied` stands for: the hub does not want this token, or this client;
    /// `message_too_large`: a message of the hub is over `client_params::message_bytes`, and would come
    /// again; `client_errc::already_running`; `closed`: after `close`, or the client was destroyed;
    /// `operation_aborted`. Everything else that goes wrong is no reason to give up, and is told by
    /// `async_receive`.
    ///
    /// Cancellation, of any kind: ends the connection at once, with a goodbye if that needs no waiting.
    template <class CompletionToken>
    auto async_run(CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code)>(
            [](auto handler, engine_ptr engine) {
                const auto op = detail::client_run_op::start(std::move(handler), engine->executor());
                cancel_by(engine, op, [](auto& e, auto& o, auto) { e.cancel_run(o); });
                engine->run(op);
            },
            token, engine_);
    }

    /// Subscribes to a topic or filter, on this connection and all that follow. The same (text, type, match)
    /// again replaces the options.
    ///
    /// \param topic,options their bytes are copied when the operation begins. With `history` or `resume` the
    /// replay follows in `async_receive`. With `acknowledge`, a message is acknowledged when `async_receive`
    /// is called for the next.
    /// \param token completes with `void(error_code, client_subscribe_result)`. Errors: `invalid_topic`,
    /// `invalid_filter`, `invalid_type`, `unsupported`, `too_many_subscriptions`, `queue_full` (limits of
    /// `client_params`), `forbidden`, `no_history` and others that the hub refuses with,
    /// `client_errc::rejected` for a reason without an error of its own (`client_subscribe_result::reason`
    /// has the text in any case); `client_errc::not_sent`: there was no connection within `request_timeout`;
    /// `client_errc::no_answer`: there was one, and no answer within that time; `closed`;
    /// `operation_aborted`: cancelled, or unsubscribed before it was sent. After an error nothing has
    /// changed; after `no_answer` that may take a moment.
    ///
    /// So without a hub it fails with `not_sent`, and the connection that comes after that knows nothing of
    /// it: a program that may start before its hub asks again. Once it has succeeded, no time without a hub
    /// ends it.
    ///
    /// Cancellation: total. A subscribe that the hub has got by then is undone.
    template <class CompletionToken>
    auto async_subscribe(std::string_view topic, const subscribe_options& options, CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code, client_subscribe_result)>(
            [](auto handler, engine_ptr engine, std::string_view t, const subscribe_options& o) {
                engine->subscribe(
                    detail::client_subscribe_op::start(std::move(handler), engine->executor()), t, o);
            },
            token, engine_, topic, options);
    }

    template <class CompletionToken>
    auto async_subscribe(std::string_view topic, CompletionToken&& token) {
        return async_subscribe(topic, subscribe_options(), std::forward<CompletionToken>(token));
    }

    /// Ends one subscription; one that is not there is no error. From now on it is not asked for again,
    /// whatever becomes of this operation. Messages that arrived before are still received.
    ///
    /// \param topic,options what it was subscribed with: `match` and `type` count. Copied when the operation
    /// begins.
    /// \param token completes with `void(error_code)`; without a connection at once. Errors: `queue_full` and
    /// `message_too_large`: nothing has changed; `client_errc::no_answer`, `closed`, `operation_aborted`:
    /// messages may come until the hub has got it, which it will.
    ///
    /// Cancellation, of any kind: the subscription ends all the same.
    template <class CompletionToken>
    auto
    async_unsubscribe(std::string_view topic, const subscribe_options& options, CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code)>(
            [](auto handler, engine_ptr engine, std::string_view t, const subscribe_options& o) {
                engine->unsubscribe(
                    detail::client_unsubscribe_op::start(std::move(handler), engine->executor()), t, o.type,
                    o.match);
            },
            token, engine_, topic, options);
    }

    template <class CompletionToken>
    auto async_unsubscribe(std::string_view topic, CompletionToken&& token) {
        return async_unsubscribe(topic, subscribe_options(), std::forward<CompletionToken>(token));
    }

    /// Publishes a message, once at most.
    ///
    /// \param topic,payload,options their bytes are copied when the operation begins. The payload is UTF-8.
    /// \param token completes with `void(error_code, client_publish_result)` when the hub has answered.
    /// Errors: `invalid_topic`, `invalid_type`, `invalid_utf8`, `invalid_message` (key or id over 255 bytes,
    /// a ttl out of its range), `message_too_large` (the hub's limit), `queue_full` (limits of
    /// `client_params`), `closed`, `client_errc::not_sent` (no connection in time): it was not published.
    /// `forbidden` and others that the hub refuses with, `client_errc::rejected`: neither;
    /// `client_publish_result::reason` has the text. `client_errc::connection_lost`,
    /// `client_errc::no_answer`: nobody knows
    /// (`client_condition::outcome_unknown`); publish again with the same `id` if the hub remembers ids
    /// (`broker_params::idempotency`), or subscribers tell by it. `operation_aborted`: cancelled.
    ///
    /// Cancellation: total until it is sent; then terminal and partial end the wait, and nobody knows.
    template <class CompletionToken>
    auto async_publish(
        std::string_view topic, std::string_view payload, const client_publish_options& options,
        CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code, client_publish_result)>(
            [](auto handler, engine_ptr engine, std::string_view t, std::string_view p,
               const client_publish_options& o) {
                const auto op = detail::client_publish_op::start(std::move(handler), engine->executor());
                cancel_by(engine, op, [](auto& e, auto& what, auto how) { e.cancel_publish(what, how); });
                engine->publish(op, t, p, o);
            },
            token, engine_, topic, payload, options);
    }

    template <class CompletionToken>
    auto async_publish(std::string_view topic, std::string_view payload, CompletionToken&& token) {
        return async_publish(topic, payload, client_publish_options(), std::forward<CompletionToken>(token));
    }

    /// Takes what comes next: a message, a gap marker, or what there is to say of the connection. All in
    /// order.
    ///
    /// A client that never subscribes need not call it. One receive may be outstanding.
    ///
    /// \param token completes with `void(error_code, client_event)`. Errors: `receive_pending`: another one
    /// is outstanding; `closed`: after `close`, when nothing is left, or the client was destroyed;
    /// `operation_aborted`: cancelled. It also waits while `async_run` is not running.
    ///
    /// Cancellation: total. Nothing is lost; the next receive takes it.
    template <class CompletionToken>
    auto async_receive(CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code, client_event)>(
            [](auto handler, engine_ptr engine) {
                engine->receive(detail::client_receive_op::start(std::move(handler), engine->executor()));
            },
            token, engine_);
    }

    /// Ends for good: a goodbye to the hub, after what has been sent so far, and `async_run` completes when
    /// the hub has answered it, or after `client_params::close_timeout`. Nothing is received any more; what
    /// was received before can still be taken. Requests that were not sent complete with `closed`, those not
    /// answered with `client_errc::connection_lost`.
    void close() { engine_->close(); }

    /// Authenticates with another token, from the next connection on; to take over before the old one
    /// expires. \throws std::invalid_argument if it is over 16 KiB or not UTF-8.
    void set_token(std::string token) { engine_->set_token(std::move(token)); }

private:
    using engine_ptr = std::shared_ptr<detail::client_engine>;

    /// Lets the engine cancel an operation, which by itself would complete and do no more.
    template <class Op, class F>
    static void cancel_by(const engine_ptr& engine, const std::shared_ptr<Op>& op, F f) {
        op->on_cancel([weak_engine = std::weak_ptr(engine), weak_op = std::weak_ptr(op),
                       f](boost::asio::cancellation_type how) {
            const auto e = weak_engine.lock();
            const auto o = weak_op.lock();
            if (e && o)
                f(*e, *o, how);
        });
    }

    engine_ptr engine_;
};

} // namespace pusher::inline v0
