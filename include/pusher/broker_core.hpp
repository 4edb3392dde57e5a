// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/backplane.hpp>
#include <pusher/broker_params.hpp>
#include <pusher/config.hpp>
#include <pusher/dead_letter.hpp>
#include <pusher/delivery_report.hpp>
#include <pusher/detail/address_counter.hpp>
#include <pusher/detail/core.hpp>
#include <pusher/detail/handed_over_op.hpp>
#include <pusher/detail/journal.hpp>
#include <pusher/detail/pending_op.hpp>
#include <pusher/detail/posted_batch.hpp>
#include <pusher/detail/raw_session.hpp>
#include <pusher/detail/session.hpp>
#include <pusher/dialect/native_encoding.hpp>
#include <pusher/dialect/native_http.hpp>
#include <pusher/dialect/native_request.hpp>
#include <pusher/dialect/raw_encoding.hpp>
#include <pusher/dialect/websocket_deflate.hpp>
#include <pusher/listener.hpp>
#include <pusher/stats.hpp>
#include <pusher/subscription.hpp>
#include <pusher/transport/link.hpp>
#include <pusher/transport/services.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

namespace detail {
class relay;
}

/// A session as the host sees it. Views are valid during the call that gives it.
struct session_info {
    std::uint64_t id = 0;
    std::string_view uid; ///< empty: anonymous
    std::string_view peer;
    std::string_view transport;
    std::size_t subscriptions = 0;
    std::size_t queued_messages = 0;
    std::size_t queued_bytes = 0;
};

/// A durable subscription as the host sees it. Views are valid during the call that gives it.
struct durable_info {
    std::string_view uid;
    std::string_view name;
    std::string_view topic;
    std::string_view type;
    topic_position acknowledged; ///< up to there
    bool held = false;           ///< its subscriber is here
};

/// The broker without its transports: subscribe, publish, sessions, statistics.
///
/// It works on one serial executor: that of a context run by one thread, or a strand. All functions must be
/// called on it, but for those marked *any thread*. Nothing here blocks, owns a thread, or calls `run()`. A
/// broker without listeners keeps no work outstanding, and publishing in process needs no running context.
///
/// Destroying it with sessions and operations outstanding is safe, outside its own handlers and hooks:
/// sockets are closed, and operations complete with `errc::stopped`, a drain among them; `async_run` with
/// success.
///
/// Handlers and hooks must not run the event loop themselves (`poll`, `run_one` and so on): another request
/// would be handled in the middle of the one that called them. With a strand as its executor they may, since
/// what is the broker's waits then until they return.
class broker_core {
public:
    /// \throws std::invalid_argument if a parameter is out of its range.
    broker_core(const boost::asio::any_io_executor& executor, broker_params params);
    broker_core(const broker_core&) = delete;
    broker_core& operator=(const broker_core&) = delete;
    ~broker_core();

    [[nodiscard]] const boost::asio::any_io_executor& get_executor() const noexcept {
        return services_->executor();
    }
    [[nodiscard]] const broker_params& params() const noexcept { return params_; }

    // ---- the store

    /// Opens a store for the histories of topics whose `history_params` say `durable`, and restores what it
    /// has: topics with their epochs and offsets, and the ids of their messages that are remembered still
    /// (`idempotency`; their repeats are told of no subscribers). Messages get new sequences, in their old
    /// order. Histories that the host does not want kept any more are erased from it.
    ///
    /// From then on a message for such a topic is stored first, and published when the store has committed
    /// it, after `publish` has returned. Messages for such topics keep the order of their calls; what is for
    /// other topics may be published before one that is being stored.
    ///
    /// It must be the first thing that the broker does: before anything is published, subscribed to, or
    /// listened to; and while it is under way these fail with `errc::unsupported`.
    ///
    /// \param s is closed when the broker is stopped or destroyed.
    /// \param token completes with `void(error_code)`. Errors: `unsupported` (too late, or a second store),
    /// `too_many_topics` (`broker_params::topics`), `stopped`, `operation_aborted`, and those of the store
    /// and its data: `condition::store_unavailable`. After an error nothing was opened or restored, and it
    /// may be tried again; without a store the broker works with histories in memory.
    /// Cancellation: total; to be asked for on the broker's executor.
    template <class CompletionToken>
    auto async_open(std::unique_ptr<store> s, CompletionToken&& token);

    /// Whether a store is open: until the broker is stopped.
    [[nodiscard]] bool has_store() const noexcept { return journal_ && journal_->is_open(); }

    // ---- one of several brokers

    /// Makes it one of the brokers that a backplane joins; `broker_group` does that for those of one process,
    /// and says what is different then.
    ///
    /// It must be the first thing that the broker does: before anything is published, subscribed to, or
    /// listened to. The backplane is left when the broker is stopped or destroyed.
    ///
    /// \throws std::invalid_argument if it is too late, a store is or is being opened, or a failure ladder of
    /// the parameters has `failure::persist`, which a group has not.
    void join(std::unique_ptr<backplane> plane);

    /// For groups: what `GET /stats` shows, if it is not this broker's numbers alone.
    /// \param gather calls what it is given with them, on this broker's executor, now or later.
    void show_stats_of(std::function<void(std::function<void(const broker_stats&)>)> gather) {
        gather_stats_ = std::move(gather);
    }
    /// For groups: called once, when the broker is stopped or destroyed, with its last numbers. It must not
    /// call the broker.
    void tell_last_stats(std::function<void(const broker_stats&)> tell) {
        tell_last_stats_ = std::move(tell);
    }

    /// Gets what a topic's history has so far from the broker that keeps it, for a subscribe in process that
    /// wants some of it. It stays for as long as there are subscribers here: subscribe when this completes.
    /// Completes as well where there is nothing to be got: outside of groups, say.
    ///
    /// \param token completes with `void(error_code)`. Errors: `too_many_topics`, `stopped`,
    /// `operation_aborted`. Cancellation: total.
    template <class CompletionToken>
    auto async_fetch_history(std::string_view topic, CompletionToken&& token);

    /// Calls `f(broker_core*)` from the event loop, with null if the broker is gone by then. *Any thread.*
    /// The executor's context must not have been destroyed.
    template <std::invocable<broker_core*> F>
    void post(F f);

    // ---- subscribers in process

    /// Calls `handler` with each message of a topic or filter, inside `publish`, in publish order.
    ///
    /// A publish made by a handler waits until all handlers of the one before were called. A handler sees
    /// what is published after it subscribed; the history it asked for comes from the event loop.
    ///
    /// \param ec `invalid_topic`, `invalid_filter`, `invalid_type`, `no_history`, `unsupported` (history of a
    /// filter, or a store is being opened), `too_many_topics`, `stopped`. On an error the subscription is not
    /// active.
    template <message_handler F>
    subscription
    subscribe(std::string_view text, F handler, const subscribe_options& options, error_code& ec) {
        detail::subscriber_ptr s(new detail::callback_subscriber<F>(std::move(handler)));
        s->listed = false; // it asked for a topic, not for what is sent to everyone
        return start(std::move(s), text, options, ec);
    }

    /// The same. \throws boost::system::system_error
    template <message_handler F>
    subscription subscribe(std::string_view text, F handler, const subscribe_options& options = {}) {
        error_code ec;
        auto s = subscribe(text, std::move(handler), options, ec);
        if (ec)
            throw boost::system::system_error(ec, "subscribe");
        return s;
    }

    /// An identity in process whose handler is called as with `subscribe`. Broadcasts reach it too.
    template <message_handler F>
    subscriber make_subscriber(F handler) {
        detail::subscriber_ptr s(new detail::callback_subscriber<F>(std::move(handler)));
        add(s);
        return subscriber(std::move(s), get_executor());
    }

    /// An identity in process that takes its messages by `subscriber::async_receive`.
    subscriber make_subscriber();

    // ---- publishing

    /// Publishes to everyone who subscribed. Handlers in process are called before it returns; what is for
    /// sessions is written at the end of this turn of the event loop, together with what else the turn
    /// brings.
    ///
    /// Where the topic's history is kept in a store, it is handed to the store, and published when it is
    /// there: the receipt says `pending`. If the store fails it never is, and the observer is told.
    /// `async_publish` tells what became of it.
    ///
    /// \return the receipt; with an error nothing was published.
    receipt publish(std::string_view topic, std::string_view payload, const publish_options& options = {});

    /// Publishes to every session and subscriber there is, whatever it subscribed to, under the topic
    /// `label`; into the history of `label` too, if it keeps one.
    receipt broadcast(std::string_view label, std::string_view payload, const publish_options& options = {});

    /// Publishes to all sessions and subscribers of one uid, under the topic `label`, and into no history. If
    /// there are none, that is a delivery that failed: see `broker_params::on_failure`.
    receipt push_to(
        std::string_view uid, std::string_view label, std::string_view payload,
        const publish_options& options = {});

    /// Hands a message over to be published from the event loop. *Any thread.* Messages of one thread keep
    /// their order. The options' bytes are copied. What then cannot be published is told to
    /// `observer::at_error`.
    /// \return false if `posted_messages` or `posted_bytes` are reached, or the broker has stopped.
    bool post_publish(std::string_view topic, std::string_view payload, const publish_options& options = {});

    /// Publishes from the event loop, and tells what became of it. *Any thread.* Where the topic's history is
    /// kept in a store, success means that it is there.
    ///
    /// \param topic,payload,options their bytes must be valid until it completes.
    /// \param token completes with `void(error_code, receipt)`; the error is the receipt's own. With one of
    /// the store (`condition::store_unavailable`) it was not published; with `stopped`, after `cancel`, it
    /// may be in the store or not. Cancellation: total, until it is published or given to the store; to be
    /// asked for where the handler runs.
    template <class CompletionToken>
    auto async_publish(
        std::string_view topic, std::string_view payload, const publish_options& options,
        CompletionToken&& token);

    /// `async_publish` with a delivery report: it completes at the end of the turn of the event loop in which
    /// the message was published, when every connection has been tried once. *Any thread.* Where the topic's
    /// history is kept in a store, that is the turn in which it was found to be there.
    ///
    /// It takes a list of all for whom the message is, which `async_publish` does without.
    ///
    /// \param topic,payload,options their bytes must be valid until it completes.
    /// \param token completes with `void(error_code, delivery_report)`. Errors as for `async_publish`, with
    /// which nothing was published; but if the report has a sequence with `stopped`, the message was
    /// published, and `cancel` came before the end of the turn. Cancellation: as for `async_publish`.
    template <class CompletionToken>
    auto async_publish_report(
        std::string_view topic, std::string_view payload, const publish_options& options,
        CompletionToken&& token);

    /// `broadcast`, and the same.
    template <class CompletionToken>
    auto async_broadcast_report(
        std::string_view label, std::string_view payload, const publish_options& options,
        CompletionToken&& token);

    /// `push_to`, and the same.
    template <class CompletionToken>
    auto async_push_report(
        std::string_view uid, std::string_view label, std::string_view payload,
        const publish_options& options, CompletionToken&& token);

    /// Whether `async_wait_writable` would complete at once.
    [[nodiscard]] bool writable() const noexcept;

    /// Flow control for publishers: waits until the messages published so far are written, those for a store
    /// but for half of what may wait there, and few sessions (`tolerated_slow_sessions`) are over half of
    /// their outbox; not longer than `slow_session_patience` for sessions that take nothing.
    ///
    /// \param token completes with `void(error_code)`. Errors: `stopped`, `operation_aborted`.
    /// Cancellation: total.
    template <class CompletionToken>
    auto async_wait_writable(CompletionToken&& token);

    // ---- sessions

    /// Ends a session, or all sessions of a uid, with a reason that the peer is told. That happens at the end
    /// of the event loop's turn: until then it is listed, and what is published in the same turn, also after
    /// this call, still goes to it; `boost::asio::post` what it must not get. What its connection does not
    /// take then is lost. Peers that reconnect by themselves come back, unless `broker_params::authenticate`
    /// refuses them then.
    /// \return how many there were.
    std::size_t kick(std::uint64_t session_id, std::string_view reason = "kicked");
    std::size_t kick_uid(std::string_view uid, std::string_view reason = "kicked");

    /// Calls `f(const session_info&)` for each session; of a uid alone, if one is given. `f` must not change
    /// anything.
    template <std::invocable<const session_info&> F>
    void for_each_session(F&& f, std::string_view uid = {}) const;

    /// Calls `f(const subscriber_info&)` for each that a message of the topic would go to. `f` must not
    /// change anything.
    template <std::invocable<const subscriber_info&> F>
    void for_each_subscriber(std::string_view topic, F&& f) const;

    // ---- durable subscriptions

    /// Calls `f(const durable_info&)` for each, in no order. `f` must not change anything.
    template <std::invocable<const durable_info&> F>
    void for_each_durable(F&& f) const;

    /// Ends the durable subscriptions of a name. A session that holds them stays subscribed, until it ends.
    /// What was parked for the name alone is forgotten with them.
    /// \return how many there were.
    std::size_t remove_durable(std::string_view uid, std::string_view name) {
        return core_.remove_durable(uid, name);
    }

    // ---- deliveries that failed

    /// Calls `f(const parked_message&)` for each message that is kept for a uid, in publish order. `f` must
    /// not change anything.
    template <std::invocable<const parked_message&> F>
    void for_each_parked(std::string_view uid, F&& f) const;

    /// Calls `f(uid, messages, bytes)` for each uid for which something is kept, in no order.
    template <std::invocable<std::string_view, std::size_t, std::size_t> F>
    void for_each_parked_user(F&& f) const {
        core_.for_each_mailbox(std::forward<F>(f));
    }

    /// Offers what is parked for a uid to all of its sessions that are here, those too that could not get it
    /// before. \param topic empty: of all topics. \return how many messages there are; they stay parked until
    /// one takes them.
    std::size_t requeue_parked(std::string_view uid, std::string_view topic = {}) {
        return core_.requeue_parked(uid, topic);
    }

    /// Forgets what is parked for a uid, but for what is on its way. \param topic empty: of all topics.
    /// \return how many messages it was.
    std::size_t purge_parked(std::string_view uid, std::string_view topic = {}) {
        return core_.purge_parked(uid, topic);
    }

    /// Calls `f(const dead_letter&)` for each message that failure ladders gave up on, oldest first. `f` must
    /// not change anything.
    template <std::invocable<const dead_letter&> F>
    void for_each_dead_letter(F&& f) const;

    /// Takes a dead letter back: a handler is called with it again; for a uid it is parked, and goes to those
    /// of its sessions that are here.
    /// \return false: there is no such letter, or nobody it could go to; nothing has changed.
    bool requeue_dead_letter(std::uint64_t number) {
        error_code ec;
        core_.requeue_dead_letter(number, ec);
        return !ec;
    }

    /// Forgets one dead letter, or, without a number, all. \return how many it was.
    std::size_t purge_dead_letters(std::uint64_t number = 0) { return core_.purge_dead_letters(number); }

    [[nodiscard]] broker_stats stats() const;

    // ---- the broker's life

    /// Completes when the broker is stopped: by `cancel`, at the end of `async_drain`, by its destruction, or
    /// by its own cancellation. Any number may wait.
    /// \param token completes with `void(error_code)`: success, also if the broker is stopped already; or
    /// `operation_aborted` when it was cancelled itself; that stops the broker.
    template <class CompletionToken>
    auto async_run(CompletionToken&& token);

    /// Stops at once: listeners and sessions are closed, operations complete with `errc::stopped`. Handlers
    /// stay subscribed, and publishing in process goes on working, but for topics that are kept in a store:
    /// it is closed.
    void cancel();

    /// Stops in good order: no new sessions; what waits for the store is stored, and what is queued is
    /// written; every session gets its transport's goodbye, with a hint when to come back; then all is
    /// closed.
    ///
    /// \param limit the longest it may take, at most 24 h; what is left then is cut off. With a store that
    /// may take one more second.
    /// \param token completes with `void(error_code)`: success, also when nothing is left to do; `timed_out`
    /// (`boost::asio::error`) if something had to be cut off; `errc::store_failed` if the store did not take
    /// what is left for users who are not here; `errc::stopped` if another drain is under way, which goes on,
    /// or if `cancel` or the broker's destruction came before its end; `operation_aborted` when it was
    /// cancelled itself: the broker goes on draining.
    template <class CompletionToken>
    auto async_drain(std::chrono::milliseconds limit, CompletionToken&& token);

    /// Whether `cancel` or `async_drain` was called.
    [[nodiscard]] bool stopped() const noexcept { return stopping_; }

    // ---- for transports

    /// Makes a session of a connection, for a transport of your own; the peer is authenticated first.
    void accept(std::unique_ptr<link> l);

    /// Whether a store is being opened: nothing else may begin.
    [[nodiscard]] bool opening() const noexcept { return journal_ && journal_->opening(); }

    /// Keeps a listener until it is stopped and drained, or the broker ends.
    listener add_listener(std::shared_ptr<listener_base> l) {
        std::erase_if(listeners_, [this](auto& old) {
            const bool over = old->stopped() && old->drained();
            if (over)
                services_->destroy_later(std::move(old)); // it may be the caller
            return over;
        });
        listeners_.push_back(l);
        return listener(std::move(l));
    }

    /// Whether there may be no more sessions just now.
    [[nodiscard]] bool full() const noexcept {
        return session_count_ + undecided_ >= params_.sessions || opening();
    }

    /// For transports, to count: who was turned away, challenged, failed early, or could not be accepted.
    void refused(std::string_view transport) { ++stats_of(transport).refused; }
    void challenged(std::string_view transport) { ++stats_of(transport).challenged; }
    void connection_failed(std::string_view transport, error_code why) {
        ++stats_of(transport).closed_by_error;
        ++closed_[why.message()];
    }
    void accept_failed(error_code ec) {
        ++accept_errors_;
        if (params_.observer)
            params_.observer->at_error(ec, "accept");
    }

    [[nodiscard]] const std::shared_ptr<services>& io() const noexcept { return services_; }

private:
    friend class detail::session;
    friend class detail::raw_session;
    friend class http_listener;

    template <class Answer>
    class hook_op;

    /// A history that is trimmed while nothing is published is trimmed in the store a little later.
    struct trim_timeout final : timeout {
        explicit trim_timeout(broker_core& b) noexcept : of(&b) {}
        void at_timeout() override { of->journal_->trim_now(); }

        broker_core* of;
    };

    // the store: impl/broker_store.hpp
    void open_store(std::unique_ptr<store> s, const std::shared_ptr<detail::pending_op<>>& op);
    void work_journal();
    void watch_trims();
    /// Whether that is published later, when a store or another broker has it.
    [[nodiscard]] bool published_later(std::string_view topic);
    receipt publish_then(
        std::string_view topic, std::string_view payload, const publish_options& options,
        const detail::id_owner* by, bool everyone, detail::journal::answer done,
        detail::report_function report = {});

    // other brokers: impl/broker_relay.hpp
    void
    subscribe_when_fetched(detail::session& s, const native_request& r, const subscribe_options& options);
    void fetch_histories(const std::vector<std::string>& topics, std::function<void(error_code)> done);
    std::size_t kick_here(std::string_view uid, std::string_view reason);
    void sync_others();
    [[nodiscard]] bool must_fetch(std::string_view topic) const;

    // delivery reports: impl/broker_report.hpp
    struct addressed {
        enum class kind : std::uint8_t { topic, everyone, user };

        kind to;
        std::string_view uid; ///< of the user
        std::string_view topic;
        std::string_view payload;
    };
    template <class CompletionToken>
    auto async_report(const addressed& what, const publish_options& options, CompletionToken&& token);
    void publish_reported(
        const addressed& what, const publish_options& options,
        const std::shared_ptr<detail::handed_over_op<delivery_report>>& op);

    // in process
    void add(const detail::subscriber_ptr& s);
    subscription
    start(detail::subscriber_ptr s, std::string_view text, const subscribe_options& options, error_code& ec);
    void schedule();
    void watch_due();
    void flush();
    void publish_posted();
    void check_waiters();
    void watch_stalled();
    void stop_accepting();
    void drain_on();
    void cut_off();
    void end_sessions();

    // sessions: impl/session.hpp
    detail::session_ptr make_session(std::unique_ptr<link> l);
    void open(const detail::session_ptr& s, const authentication_result& who);
    void turn_away(detail::session& s, close_reason reason);
    void start_authentication(
        const authentication_request& request, std::function<void(const authentication_result&)> done);
    void authorize(const access_request& request, access_answer done);
    void bind(detail::session& s, const authentication_result& who);
    void set_deadline(detail::session& s, std::chrono::milliseconds in, errc why);
    void close(detail::session& s, close_reason reason);
    void close_now(detail::session& s);
    void leave(detail::session& s);
    void end(detail::session& s, const close_reason& reason);
    void threw(const subscriber_info& who, std::string_view topic) noexcept;
    [[nodiscard]] std::chrono::milliseconds retry_hint();
    transport_stats& stats_of(std::string_view transport);
    const encoding& encoding_of(const link& l);
    const encoding& encoding_for(const link& l);

    // requests: impl/native_requests.hpp
    bool handle(detail::session& s, std::string_view text);
    bool act(detail::session& s, const native_request& r, std::string_view text);
    bool authorized(detail::session& s, const native_request& r, std::string_view text);
    void perform(detail::session& s, const native_request& r);
    bool authenticate(detail::session& s, const native_request& r);
    /// Where an answer that comes later belongs.
    struct later_answer {
        detail::session_ptr to;
        std::uint64_t number;
        std::string request_id;
        std::string action_name;
    };
    later_answer answer_later(detail::session& s, const native_request& r);
    void answer(const later_answer& which, native_reply with, error_code ec);
    error_code subscribe_peer(
        detail::session& s, std::string_view topic, const subscribe_options& o, native_reply& with);
    /// A subscribe that waits for the store, or for another broker.
    struct waiting_subscribe {
        later_answer which;
        std::string uid, name, topic, type;
        subscribe_options options; ///< views those
    };
    void subscribe_when_stored(detail::session& s, const native_request& r, const subscribe_options& options);
    void subscribe_when_stored(const std::shared_ptr<waiting_subscribe>& wanted);
    void publish_stored(detail::session& s, const native_request& r, const publish_options& o);
    void send_known(detail::session& s);
    void encode_reply(detail::session& s, const native_request& r, native_reply with);
    void reply(detail::session& s, const native_request& r, native_reply with = {});
    native_reply failure(detail::session& s, std::string_view why);
    void fail(detail::session& s, const native_request& r, std::string_view why);
    void answered(detail::session& s);
    [[nodiscard]] bool may_read(detail::session& s) const noexcept;
    void subscribe_events(
        detail::session& s, const native_events_query& query, const std::optional<sequence_position>& resume,
        const std::optional<topic_position>& place, bool resume_asked);
    native_hello hello_of(const detail::session& s, std::string& id) const;

    // the raw dialect: impl/raw_requests.hpp
    bool handle_raw(detail::raw_session& s, std::string_view bytes);
    void begin_raw(detail::raw_session& s, raw_query query);
    void go_on_raw(const detail::raw_session_ptr& s);
    void subscribe_raw(detail::raw_session& s);
    bool publish_raw(detail::raw_session& s, std::string_view payload);
    void refuse_raw(detail::raw_session& s, error_code ec, std::string_view why = {});

    /// When messages that were not acknowledged are late, and failed ones take their next step.
    struct due_timeout final : timeout {
        explicit due_timeout(broker_core& b) noexcept : of(&b) {}
        void at_timeout() override {
            of->core_.run_due();
            of->watch_due();
        }

        broker_core* of;
    };

    broker_params params_;
    std::shared_ptr<services> services_;
    due_timeout due_{*this};
    trim_timeout trims_{*this};
    detail::core core_;
    std::unique_ptr<detail::journal> journal_; ///< once a store was to be opened
    std::unique_ptr<detail::relay> relay_;     ///< to the other brokers of its group
    std::function<void(std::function<void(const broker_stats&)>)> gather_stats_;
    std::function<void(const broker_stats&)> tell_last_stats_;
    bool staged_ = false;              ///< there is one of these: publishing may take longer
    std::uint64_t failed_batches_ = 0; ///< when trimming was last looked at
    /// Sessions that the core does not have: not authenticated yet, or saying goodbye.
    boost::unordered_flat_map<const detail::session*, detail::session_ptr> outside_;
    std::size_t session_count_ = 0;            ///< of the core's
    std::size_t undecided_ = 0;                ///< of the others: those that the host was asked about
    std::vector<detail::session_ptr> closing_; ///< end at the end of the turn
    std::vector<std::shared_ptr<listener_base>> listeners_;
    std::map<std::string, transport_stats, std::less<>> transport_stats_;
    std::map<std::string, std::uint64_t, std::less<>> closed_;
    std::uint64_t accept_errors_ = 0;
    std::uint64_t random_;

    native_decoder decoder_;
    native_line_encoding line_encoding_;
    native_websocket_encoding websocket_encoding_;
    native_sse_encoding sse_encoding_{sse_form::payload};
    native_sse_encoding sse_envelope_encoding_{sse_form::envelope};
    std::map<std::size_t, std::unique_ptr<native_datagram_encoding>> datagram_encodings_; ///< by limit
    raw_websocket_encoding raw_binary_encoding_{websocket_opcode::binary};
    raw_websocket_encoding raw_text_encoding_{websocket_opcode::text};
    raw_stream_encoding raw_stream_encoding_;
    std::map<std::pair<const encoding*, websocket_deflate>, std::unique_ptr<websocket_deflate_encoding>>
        deflate_encodings_;
    std::string json_;  ///< room for one reply
    std::string frame_; ///< the same, framed

    std::vector<std::shared_ptr<detail::pending_op<>>> writable_waiters_;
    std::vector<std::shared_ptr<detail::pending_op<>>> run_waiters_;
    std::shared_ptr<detail::pending_op<>> drain_waiter_;
    boost::asio::steady_timer patience_;
    boost::asio::steady_timer drain_timer_;
    bool watching_ = false;
    bool stopping_ = false;
    bool cancelled_ = false;
    bool drained_ = false;
    bool cut_off_ = false;                     ///< the drain took too long
    std::optional<std::uint64_t> last_errors_; ///< of the store, when a drain gave it what was left
    bool not_stored_ = false;                  ///< which failed
    bool drain_scheduled_ = false;

    /// What other threads hand over.
    struct inbox {
        std::mutex mutex;
        detail::posted_batch posted;
        bool scheduled = false;
        bool closed = false;
        broker_core* owner = nullptr; ///< only used on the broker's executor
    };
    std::shared_ptr<inbox> inbox_;
    detail::posted_batch spare_; ///< room for what is posted next
};

} // namespace pusher::inline v0

#include <pusher/impl/broker_core_templates.hpp>

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/impl/broker_core.hpp>
#include <pusher/impl/broker_relay.hpp>
#include <pusher/impl/broker_report.hpp>
#include <pusher/impl/broker_store.hpp>
#include <pusher/impl/native_requests.hpp>
#include <pusher/impl/raw_requests.hpp>
#include <pusher/impl/session.hpp>
#endif
