// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/detail/core_params.hpp>
#include <pusher/detail/durable.hpp>
#include <pusher/detail/filter_table.hpp>
#include <pusher/detail/keepers.hpp>
#include <pusher/detail/merged_frames.hpp>
#include <pusher/detail/message_content.hpp>
#include <pusher/detail/recent_ids.hpp>
#include <pusher/detail/reporting.hpp>
#include <pusher/detail/run_pool.hpp>
#include <pusher/detail/stored_state.hpp>
#include <pusher/detail/subscriber.hpp>
#include <pusher/detail/timer_queue.hpp>
#include <pusher/detail/topic_table.hpp>
#include <pusher/detail/turn.hpp>
#include <pusher/error.hpp>
#include <pusher/failure_policy.hpp>
#include <pusher/observer.hpp>
#include <pusher/publish_options.hpp>
#include <pusher/subscribe_options.hpp>
#include <pusher/topic_policy.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// Whether a ladder keeps messages for users who are not here.
inline bool parks(const failure_ladder& l) noexcept {
    return std::any_of(l.rungs().begin(), l.rungs().end(), [](const failure::rung& r) {
        return std::holds_alternative<failure::persist>(r);
    });
}

/// Topics, subscriptions and fan-out: everything that a broker does between its sockets, without any.
///
/// It is driven: `publish` only notes what is for whom, and asks `schedule` for one call of `flush` when the
/// event loop's turn ends. Not thread safe. Handlers may call it from inside; sinks may not.
class core {
public:
    using schedule_function = void (*)(void*);

    core(core_params p, schedule_function on_pending, void* context)
        : params_(std::move(p)),
          schedule_(on_pending),
          context_(context),
          topics_(params_.hash_seed),
          filters_(params_.hash_seed),
          recent_ids_(params_.idempotency, params_.hash_seed),
          has_ladders_(!params_.on_failure.empty() || any_ladder(params_.topic_policies)) {
        slots_.push_back(nullptr); // slot 0 is nobody
        turn_.make_slots(1);
    }
    core(const core&) = delete;
    core& operator=(const core&) = delete;
    ~core() { clear(); }

    void observe(observer* o) noexcept { observer_ = o; }

    // ---- subscribers and subscriptions: impl/core_subscribers.hpp, core_subscribe.hpp

    void add(const subscriber_ptr& s);
    /// Ends all its subscriptions. What was queued for it is lost and counted; flush first to avoid that.
    void remove(subscriber_base& s);
    void bind(subscriber_base& s, std::string_view uid);

    /// \param resume_after also replays what was published after this sequence, where there is history.
    subscribe_result subscribe(
        subscriber_base& s, std::string_view text, const subscribe_options& o, error_code& ec,
        std::optional<std::uint64_t> resume_after = {});
    [[nodiscard]] bool keeps_history(std::string_view topic) const noexcept {
        const auto* const t = topics_.find(topic);
        return t && t->past();
    }
    /// Tells a subscriber that it missed messages of a topic, or filter, nobody knows how many.
    void tell_unknown_gap(subscriber_base& s, std::string_view topic) {
        tell_gap(s, {shared_text(topic), 0, 0, 0, 0});
    }
    /// Whether there is just this subscription.
    [[nodiscard]] bool subscribed(
        const subscriber_base& s, std::string_view text, std::string_view type, match_mode match) const {
        const auto* const g = find_group(text, type, match);
        return g && find_sub(s, *g);
    }
    /// \return false if there was no such subscription.
    bool unsubscribe(subscriber_base& s, std::string_view text, std::string_view type, match_mode match);
    void unsubscribe_all(subscriber_base& s);

    [[nodiscard]] subscriber_base* find(std::uint64_t id) const noexcept {
        const auto slot = static_cast<std::size_t>(id & slot_mask);
        return slot < slots_.size() && slots_[slot] && slots_[slot]->id == id ? slots_[slot].get() : nullptr;
    }
    template <class F>
    void for_each_subscriber(F&& f) const;
    template <class F>
    void for_each_of_uid(std::string_view uid, F&& f) const;
    /// Each subscriber of a topic once, those of matching filters and of single types included.
    template <class F>
    void for_each_subscriber_of(std::string_view topic, F&& f) const;

    // ---- publishing: impl/core_publish.hpp

    /// \param by whose the id is, if `o.publisher` does not say.
    /// \param stored it was admitted by `enter_topic`, and is in the store.
    /// \param report taken, and called when the turn is over, if the message was published now: there was no
    /// error, and it was not `repeated`.
    receipt publish(
        std::string_view topic, std::string_view payload, const publish_options& o, const id_owner* by,
        const stored_at* stored = nullptr, report_function* report = nullptr) {
        return publish(topics_.find(topic), topic, payload, o, by, stored, report);
    }
    receipt publish(std::string_view topic, std::string_view payload, const publish_options& o = {});
    receipt broadcast(
        std::string_view label, std::string_view payload, const publish_options& o = {},
        const id_owner* by = nullptr, const stored_at* stored = nullptr, report_function* report = nullptr);
    receipt push_to(
        std::string_view uid, std::string_view label, std::string_view payload, const publish_options& o = {},
        report_function* report = nullptr, const stored_at* stored = nullptr);
    /// Why that would not be published.
    [[nodiscard]] error_code
    may_publish(std::string_view topic, std::string_view payload, const publish_options& o) const {
        return check(topics_.find(topic), topic, payload, o);
    }
    /// Tells all who wait for a report that there is none.
    void abandon_reports(error_code ec);

    // ---- one of several brokers: impl/core_replica.hpp

    /// From now on; before anything is subscribed to or published.
    /// \param self,of its place among the cores, no two of which give a subscriber the same id.
    void join(interest_keeper* k, std::uint32_t self, std::size_t of) noexcept {
        interest_ = k;
        serial_ = self;
        serial_step_ = of;
    }
    [[nodiscard]] bool has_user(std::string_view uid) const noexcept { return uids_.contains(uid); }
    /// Holds a topic whose history is kept here, and copied to others. \return null: there may be no more.
    topic_state* hold_topic(std::string_view topic);
    /// \param first offset of the oldest message that is kept
    [[nodiscard]] replica begin_replica(
        std::string_view topic, const history_params& keep, std::uint64_t epoch, std::uint64_t first) const;
    void add_to(replica& r, message::fields m, const stored_at& at, std::chrono::milliseconds ttl);
    /// From now on the topic has that history. \return false: there may be no more topics.
    bool install(replica r);
    /// \return false: not yet, since somebody still reads it.
    bool drop_replica(std::string_view topic);
    /// Messages that another broker has published have not come here: whoever they were for is told.
    /// \param first,last their offsets; 0: they have none.
    void lose_relayed(
        std::string_view topic, std::uint64_t count, std::uint64_t first = 0, std::uint64_t last = 0);
    /// The same of what was for all subscribers of a uid; empty: for everybody.
    /// \param others only those who do not subscribe to the label, as a topic
    void
    lose_addressed(std::string_view uid, std::string_view label, std::uint64_t count, bool others = false);

    // ---- histories that a store keeps too: impl/core_store.hpp

    /// From now on what `history_params::durable` asks for counts; null: not any more.
    void keep_in(store_keeper* k) noexcept { keeper_ = k; }
    [[nodiscard]] bool kept_in_store(std::string_view topic);
    /// The topic of a message that is to be stored and then published, held until `leave_topic`. Null: it is
    /// refused, as the receipt says, or was published before.
    topic_state* enter_topic(
        std::string_view topic, std::string_view payload, const publish_options& o,
        const std::optional<recent_ids::name>& id, receipt& result);
    void leave_topic(topic_state& t);
    /// What a publish is remembered by; nothing: it is not.
    std::optional<recent_ids::name>
    id_name(recent_ids::audience whom, std::string_view topic, std::string_view id, const id_owner& by) {
        if (!recent_ids_.enabled() || id.empty())
            return std::nullopt;
        return recent_ids_.name_of(whom, topic, {}, id, by);
    }
    /// Whose ids those of a publisher are; what its views view may go with the publisher.
    [[nodiscard]] id_owner owner_of(std::uint64_t publisher) const noexcept;

    /// A history of an earlier life. \return null: there may be no more topics.
    topic_state*
    restore_topic(std::string_view name, const history_params& keep, std::uint64_t epoch, std::uint64_t next);
    [[nodiscard]] run_ptr restore_run(topic_state& t, const stored_at& at);
    /// The next message of the newest run. Its sequence is larger than those before.
    void
    restore_message(topic_state& t, run& r, message::fields m, std::chrono::milliseconds ttl, bool first);
    /// What was restored is whole; new messages get sequences from there on.
    void restored(std::uint64_t sequence) noexcept { sequence_ = std::max(sequence_, sequence); }
    void restore_id(const recent_ids::name& id, const receipt& r, steady_time when) {
        recent_ids_.remember(id, r, when);
    }
    [[nodiscard]] std::chrono::milliseconds remembers_ids_for() const noexcept {
        return recent_ids_.enabled() ? params_.idempotency.age : std::chrono::milliseconds(-1);
    }
    void count_repeat() noexcept { ++counters_.repeated; }
    /// What was kept by a key, once all histories are restored. \return why it is none.
    error_code restore_value(std::string_view key, std::string_view value);
    /// The sequence that a message had which is kept by a key; 0: the value is of something else.
    [[nodiscard]] static std::uint64_t sequence_of_value(std::string_view key, std::string_view value);
    /// Takes it all back.
    void forget_restored();
    /// Nothing may be subscribed to while histories are being restored.
    void restoring(bool on) noexcept { restoring_ = on; }
    [[nodiscard]] stored_at now() const { return {params_.wall(), params_.steady()}; }
    [[nodiscard]] history_params history_of(std::string_view topic);
    [[nodiscard]] bool dispatching() const noexcept { return dispatching_; }
    /// Frees memory if messages take too much.
    void enforce_memory();

    // ---- acknowledgements: impl/core_acknowledge.hpp

    /// A subscriber has dealt with a topic's messages up to that offset.
    /// \param ec `not_found`: no subscription of it acknowledges there; `invalid_message`: it was not sent.
    void acknowledge(subscriber_base& s, std::string_view topic, std::uint64_t offset, error_code& ec);

    // ---- failed deliveries: impl/core_failure.hpp (ladders), core_mailbox.hpp, core_returned.hpp,
    // core_held.hpp (handlers)

    /// Does what is due: late acknowledgements, and the steps of failure ladders.
    void run_due();
    /// The broker ends: what waits for its user to come back waits no longer, and goes up its ladder.
    void end_waiting();
    /// When something may be due: call `run_due` then. `max`: nothing is waited for.
    [[nodiscard]] steady_time next_due() const noexcept { return due_.next_deadline(); }

    /// `f(const parcel&)` for each message that is kept for a uid, in publish order; it must not change any.
    template <class F>
    void for_each_parcel(std::string_view uid, F&& f) const;
    /// `f(std::string_view uid, std::size_t messages, std::size_t bytes)` for each uid.
    template <class F>
    void for_each_mailbox(F&& f) const;
    /// Forgets what is kept for a uid. \param topic empty: of all topics. \return how many messages.
    std::size_t purge_parked(std::string_view uid, std::string_view topic);
    /// Offers it anew to those who are here. \return how many messages.
    std::size_t requeue_parked(std::string_view uid, std::string_view topic);
    [[nodiscard]] const std::deque<dead_entry>& dead_letters() const noexcept { return dead_letters_; }
    /// Tries to deliver a dead letter again, or parks it for its uid.
    /// \param ec `not_found`: there is no such letter, or nobody it could go to.
    void requeue_dead_letter(std::uint64_t number, error_code& ec);
    /// \param number 0: all of them. \return how many.
    std::size_t purge_dead_letters(std::uint64_t number);
    // ---- durable subscriptions: impl/core_durable.hpp

    /// `f(const durable_cursor&)` for each; it must not change any.
    template <class F>
    void for_each_durable(F&& f) const {
        for (const auto& entry : durables_)
            for (const auto& c : entry.second->cursors)
                f(std::as_const(*c));
    }
    /// Ends the durable subscriptions of a name; who holds them stays subscribed. \return how many.
    std::size_t remove_durable(std::string_view uid, std::string_view name);
    /// Makes a durable subscription that nobody reads for yet, for a store to have it first.
    /// \param ec why it could not be subscribed. \return whether the store is still to have it
    bool prepare_durable(
        const subscriber_base& s, std::string_view text, const subscribe_options& o, error_code& ec);
    /// \param stored false: it ends, if still nobody reads for it.
    void settle_durable(
        std::string_view uid, std::string_view name, std::string_view topic, std::string_view type,
        bool stored);

    [[nodiscard]] std::size_t durable_subscriptions() const noexcept { return durable_cursors_; }

    /// Messages that are kept for who is not here.
    [[nodiscard]] std::size_t parked() const noexcept { return parcels_; }

    // ---- delivery: impl/core_flush.hpp

    /// Ends the turn: writes to everybody who has something to get, and lets those who catch up read on.
    void flush();
    /// Writes what the turn brought so far, without ending the turn otherwise.
    void write_turn() { end_turn(); }
    /// Queues bytes of its own for a subscriber, in order with the messages.
    void reply(queue_subscriber& s, std::string_view frame);
    /// Gives a subscriber a connection. What waited goes out at the end of the turn.
    void attach(queue_subscriber& s, const encoding& as, sink& to);
    /// Takes the connection away: what comes is queued.
    void detach(queue_subscriber& s);
    /// The connection takes bytes again.
    void writable(queue_subscriber& s);
    /// Takes the next message, for a subscriber without a connection. False: there is none.
    template <class OnMessage, class OnGap>
    bool take(queue_subscriber& s, OnMessage&& f, OnGap&& told);
    /// Counts and observes an exception of a handler or hook, which is just being handled.
    void handler_threw(const subscriber_info& who, std::string_view topic);
    /// Whether something waits for the end of the turn.
    [[nodiscard]] bool turn_pending() const noexcept { return !turn_.empty(); }
    /// Whether something is for a subscriber that it may have and has not got yet.
    [[nodiscard]] bool has_pending(const queue_subscriber& s) const {
        bool again = false;
        return turn_.has(s.slot) || (s.box && !s.box->empty()) ||
               (s.catching && next_to_read(s, again) != nullptr);
    }

    [[nodiscard]] const core_counters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
    [[nodiscard]] const core_params& params() const noexcept { return params_; }
    /// Bytes of memory that messages take.
    [[nodiscard]] std::size_t memory() const noexcept { return account_->bytes; }
    [[nodiscard]] std::size_t topics() const noexcept { return topics_.size(); }
    [[nodiscard]] std::size_t filters() const noexcept { return filters_.size(); }
    [[nodiscard]] std::size_t subscriptions() const noexcept { return subscriptions_; }
    /// Subscribers whose outbox is over half of its limit, but for the excused ones.
    [[nodiscard]] std::size_t pressured() const noexcept { return pressured_; }
    /// Begins to watch who takes anything.
    void forget_progress() noexcept;
    /// Excuses those that took nothing since, until they do: a publisher must not wait for them for ever.
    void excuse_stalled() noexcept;
    [[nodiscard]] const topic_state* find_topic(std::string_view name) const noexcept {
        return topics_.find(name);
    }

    /// Removes every subscriber. Handles that outlive the core find it gone.
    void clear();

private:
    static constexpr std::uint64_t slot_mask = 0xFF'FFFF;

    /// A publish made by a handler: its turn comes when the handlers of the one before are done.
    struct deferred {
        pinned_message message;
        std::uint64_t publisher;
        std::vector<group*> groups; ///< pinned
        std::vector<subscriber_ptr> subscribers;
        reporting_ptr report{};
    };

    /// Policies of a subscription's own. Few have any.
    struct sub_options {
        std::optional<overflow_policy> overflow;
        failure_ladder on_failure;
        bool chooses_ladder = false;
    };

    /// Set for as long as it lives, also when an exception passes.
    struct scoped_flag {
        explicit scoped_flag(bool& f) noexcept : flag(f) { flag = true; }
        scoped_flag(const scoped_flag&) = delete;
        scoped_flag& operator=(const scoped_flag&) = delete;
        ~scoped_flag() { flag = false; }

        bool& flag;
    };

    void schedule() {
        if (!scheduled_) {
            scheduled_ = true;
            schedule_(context_);
        }
    }

    // subscriptions
    pattern* find_pattern(std::string_view text, match_mode match) const noexcept;
    group* find_group(std::string_view text, std::string_view type, match_mode match) const noexcept;
    topic_state& add_topic(std::string_view name, const history_params& keep);
    bool room_for_state();
    void forget_expired(std::size_t most);
    group& make_group(pattern& p, std::string_view type);
    void register_group(group& g);
    void release(group& g);
    void release(pattern& p);
    std::optional<std::size_t> find_sub(const subscriber_base& s, const group& g) const noexcept;
    void join(subscriber_base& s, std::size_t sub, bool no_echo);
    void change(subscriber_base& s, std::size_t sub, const subscribe_options& o);
    std::optional<std::uint64_t>
    pending_from(const subscriber_base& s, std::size_t sub, const topic_state& t) const noexcept;
    void set_options(
        subscriber_base& s, const sub_ref& ref, const std::optional<overflow_policy>& overflow,
        const failure_ladder* on_failure);
    static std::uint64_t options_key(const subscriber_base& s, const sub_ref& ref) noexcept {
        return std::uint64_t{s.slot} << 32 | ref.order;
    }
    [[nodiscard]] const sub_options* options_of(const subscriber_base& s, const sub_ref& ref) const noexcept {
        const auto found = s.has_options ? options_.find(options_key(s, ref)) : options_.end();
        return found == options_.end() ? nullptr : &found->second;
    }
    void leave_group(subscriber_base& s, std::size_t sub);
    void unlink(subscriber_base& s, std::size_t sub);
    void end_subscription(subscriber_base& s, std::size_t sub);
    static std::string_view text_of(const pattern& p);
    void tell_interest(const pattern& p, bool begins);
    void compact(group& g);
    void close_runs(const pattern& p);
    void close_run(topic_state& t);
    static pattern& pattern_of(group& g) noexcept {
        return g.what == group::kind::typed ? *static_cast<typed_group&>(g).of : static_cast<pattern&>(g);
    }
    static std::string_view type_of(const group& g) noexcept {
        return g.what == group::kind::typed ? static_cast<const typed_group&>(g).type.view()
                                            : std::string_view();
    }
    /// Whether a live subscription of `s` matches, made before the message.
    bool matches_live(
        const subscriber_base& s, std::string_view topic, std::string_view type, std::uint64_t publisher,
        std::uint64_t sequence) const;
    bool matches(const group& g, std::string_view topic, std::string_view type) const;
    overflow_policy
    policy_for(const subscriber_base& s, const run& r, std::uint32_t index, overflow_policy otherwise) const;
    const sub_ref* governing(const subscriber_base& s, std::string_view topic, std::string_view type) const;

    // publishing
    void next_stamp() {
        if (++stamp_ == 0) {
            std::fill(stamps_.begin(), stamps_.end(), 0);
            stamp_ = 1;
        }
    }
    /// A publish with an id, while ids are remembered.
    struct id_use {
        recent_ids::name name;
        steady_time when;
        std::uint64_t serial; ///< once it is published
    };
    bool repeats(receipt& result, const id_use& id);
    error_code check(
        const topic_state* t, std::string_view topic, std::string_view payload,
        const publish_options& o) const;
    /// A publish that needs no look at its options.
    [[nodiscard]] bool is_plain(std::string_view payload, const publish_options& o) const noexcept {
        return (o.type.size() | o.key.size() | o.id.size() | o.headers.size()) == 0 && o.ttl.count() == 0 &&
               payload.size() <= params_.message_bytes;
    }
    void set_fields(
        message::fields& m, std::string_view topic, std::string_view payload,
        const publish_options& o) const noexcept {
        set_content(m, payload, o);
        m.topic = topic;
        m.sequence = sequence_;
        m.sequence_epoch = params_.sequence_epoch;
        m.ttl = o.ttl;
        m.clock = params_.wall;
    }
    void append(
        topic_state& t, const message::fields& m, std::uint64_t publisher, std::chrono::milliseconds ttl,
        std::uint32_t run_index, std::uint32_t slice);
    std::uint32_t open(topic_state& t, const stored_at* stored);
    open_run::plan& plan_for(std::uint32_t run_index, std::string_view type);
    void appended_to_past(topic_state& t);
    void trim(topic_state& t);
    void pop_oldest(topic_state& t);
    void flush_if_long(std::uint32_t run_index);
    void published(const receipt& result, const message& m, reporting* reported, const stored_at* stored);
    [[nodiscard]] bool continues(const topic_state& t, const stored_at& at);
    receipt publish(
        topic_state* t, std::string_view topic, std::string_view payload, const publish_options& o,
        const id_owner* by, const stored_at* stored, report_function* report);
    [[nodiscard]] bool for_handlers_only(const topic_state& t, const publish_options& o) const noexcept;
    receipt publish_to_handlers(
        topic_state& t, std::string_view topic, std::string_view payload, const publish_options& o);
    /// How the handlers of a group are called.
    struct calling {
        std::uint64_t publisher;
        bool some; ///< not all: only who was there when it was published, and each once, and they are marked
    };
    std::size_t dispatch(
        const message& m, std::uint64_t publisher, std::span<group* const> groups,
        std::span<const subscriber_ptr> subscribers, reporting* to, bool late);
    std::size_t call_group(group& g, const message& m, const calling& how);
    static bool is_called(const handler_member& h, const message& m, const calling& how);
    void call(handler_subscriber& s, const message& m) {
        if (s.held)
            hold(s, m);
        else if (try_call(s, s.always(), m))
            ++counters_.delivered;
    }
    /// \return whether the handler has dealt with the message.
    bool try_call(handler_subscriber& s, handler_subscriber::function f, const message& m) {
        try {
            f(s, m);
            return true;
        } catch (...) {
            call_failed(s, m);
            return false;
        }
    }
    void call_failed(handler_subscriber& s, const message& m);
    bool left_to_cursor(const handler_subscriber& s, const message& m);
    void begin_calls(group& g) noexcept {
        ++g.pins;
        g.dispatching = true;
        calling_groups_ = true;
    }
    void end_calls(group& g) {
        calling_groups_ = false;
        g.dispatching = false;
        --g.pins;
        if (g.blanked || !left_now_.empty() || g.empty()) [[unlikely]]
            leave_calls(g);
    }
    void leave_calls(group& g);
    /// While the handlers of a group are called.
    struct scoped_call {
        scoped_call(core& c, group& g) noexcept : owner(c), called(g) { owner.begin_calls(called); }
        scoped_call(const scoped_call&) = delete;
        scoped_call& operator=(const scoped_call&) = delete;
        ~scoped_call() { owner.end_calls(called); }

        core& owner;
        group& called;
    };
    /// The same of several.
    struct scoped_calls {
        scoped_calls(core& c, std::span<group* const> all) noexcept : owner(c), groups(all) {
            for (auto* const g : groups)
                owner.begin_calls(*g);
        }
        scoped_calls(const scoped_calls&) = delete;
        scoped_calls& operator=(const scoped_calls&) = delete;
        ~scoped_calls() {
            for (auto* const g : groups)
                owner.end_calls(*g);
            owner.reporting_ = nullptr;
        }

        core& owner;
        std::span<group* const> groups;
    };
    void tell(handler_subscriber& s, const gap& g);
    std::size_t defer(
        const message& m, std::uint64_t publisher, std::span<group* const> groups,
        std::vector<subscriber_ptr> subscribers, const reporting_ptr& report);
    void run_deferred();
    void unpin(std::span<group* const> groups);
    receipt publish_to(
        std::vector<subscriber_ptr> audience, std::string_view label, std::string_view payload,
        const publish_options& o, std::optional<std::string_view> uid, const id_owner* by,
        const stored_at* stored, report_function* report);

    // delivery
    void end_turn();
    bool turn_is_stale();
    void deliver_turn(queue_subscriber& s, std::uint32_t head);
    void write_slice(queue_subscriber& s, const run_ptr& r);
    void write_selected(queue_subscriber& s);
    void refused(queue_subscriber& s, const run_ptr& r, std::uint32_t index);
    std::optional<pending_gap>
    cannot_send(queue_subscriber& s, const run_ptr& r, std::uint32_t index, failure_cause why);
    bool select(queue_subscriber& s, std::uint32_t head);
    template <class OnMessage, class OnReply>
    void for_each_selected(OnMessage&& on_message, OnReply&& on_reply, selected_place& at);
    template <class OnMessage, class OnReply>
    void for_each_selected(OnMessage&& on_message, OnReply&& on_reply);
    void merge_selected(const encoding& as, std::size_t bytes);
    void park_selected(queue_subscriber& s, std::size_t skip, std::size_t cut = 0);
    outbox& box_of(queue_subscriber& s) {
        if (!s.box)
            s.box = std::make_unique<outbox>(account_);
        return *s.box;
    }
    run_ptr make_run(const shared_text& topic, const stored_at* stored = nullptr) {
        const auto at = stored ? *stored : now();
        return runs_.make(topic, at.received, at.born, account_);
    }
    void enforce_limits(queue_subscriber& s, const outbox_params& limits, drop_cause why);
    /// What was encoded just now takes memory too.
    void watch_memory() {
        if (account_->bytes > params_.memory_bytes)
            schedule();
    }
    bool shed(topic_state& t);
    bool shed(queue_subscriber& s);
    void count_drop(drop_cause why);
    void count_drop(const subscriber_base& s, std::string_view topic, drop_cause why) {
        count_drop(why);
        if (observer_)
            observer_->at_drop(s.info(), topic, why);
    }
    void count_drop(const subscriber_base& s, const run& r, std::uint32_t index, drop_cause why) {
        count_drop(s, r.topic().view(), why);
        if (!reports_.empty())
            note_loss(s, r.at(index).sequence, why);
    }
    /// For the outbox of `s`: counts what it drops, and notes it for a gap marker.
    auto lose(queue_subscriber& s, drop_cause why) {
        return [this, &s, why](const run& r, std::uint32_t index) {
            s.box->add_gap(gap_of(r, index));
            count_drop(s, r, index, why);
            if (why == drop_cause::expired) { // else it gave way, which these do not
                forget_sent(s, r, index);
                forget_returned(s, r, index);
            }
        };
    }
    static pending_gap gap_of(const run& r, std::uint32_t index) {
        return {r.topic(), 1, r.offset_of(index), r.offset_of(index), r.at(index).sequence};
    }
    void overflow(queue_subscriber& s);
    bool drain(queue_subscriber& s);
    void update_pressure(queue_subscriber& s) noexcept;
    void forget_queued(queue_subscriber& s, drop_cause why, bool failed = false);
    void forget_turn(queue_subscriber& s, std::uint32_t head, drop_cause why, bool failed = false);
    void observe_gap(const subscriber_base& s, const gap& g) {
        ++counters_.gaps;
        if (observer_)
            observer_->at_gap(s.info(), g);
    }

    // delivery reports: impl/core_report.hpp
    reporting_ptr begin_report(std::string_view topic, report_function& done);
    void list_audience(reporting& of, const topic_state& t, std::string_view type, std::uint64_t publisher);
    void list_audience(reporting& of, const topic_state* t, std::span<subscriber_base* const> queues);
    static reporting::fate
    written_or_covered(const subscriber_base& s, const topic_state* t, std::uint64_t sequence) noexcept;
    void note(const subscriber_base& s, std::uint64_t sequence, reporting::fate what);
    void note(const subscriber_base& s, const run& r, std::uint32_t index, reporting::fate what) {
        if (!reports_.empty())
            note(s, r.at(index).sequence, what);
    }
    void note_absent(std::string_view uid, std::uint64_t sequence);
    void note_handler(const subscriber_base& s, std::uint64_t sequence, reporting::fate what);
    static void list_handler(reporting& of, const subscriber_base& s);
    void handlers_called(reporting& of, std::size_t count);
    void note_loss(const subscriber_base& s, std::uint64_t sequence, drop_cause why);
    [[nodiscard]] bool
    has_taken(const subscriber_base& s, std::uint64_t sequence, reporting::fate what) const;
    void note_left(const cursor& c);
    void before_reported();
    void after_reported();
    [[nodiscard]] bool waits(std::uint64_t id, std::uint64_t sequence) const;
    [[nodiscard]] bool will_read(std::uint64_t id, const reporting& r) const;
    [[nodiscard]] bool is_held(std::uint64_t id, std::uint64_t sequence) const;
    [[nodiscard]] delivery_outcome outcome_of(const reporting::delivery& d, const reporting& r) const;
    void finish_reports();

    // catching up: impl/core_catchup.hpp
    static catchup& begin_catching(subscriber_base& s);
    static void end_catching(subscriber_base& s) noexcept;
    void start_cursor(std::unique_ptr<cursor> c);
    void stop_cursor(subscriber_base& s, std::uint32_t group_id);
    std::vector<group*> stop_cursors(subscriber_base& s);
    void forget(const cursor& c);
    bool relied_on(const subscriber_base& s, const cursor& c) const;
    bool for_live(const subscriber_base& s, const run& r, std::uint32_t index) const;
    bool spill_newest(queue_subscriber& s);
    std::size_t count_catching(
        const topic_state& t, open_run::plan& plan, std::uint64_t publisher, std::uint64_t sequence);
    void schedule_catchup(subscriber_base& s);
    void run_catchups();
    bool tell_gaps(handler_subscriber& s);
    void read_on(subscriber_base& s);
    void go_live(subscriber_base& s);
    cursor* next_to_read(const subscriber_base& s, bool& again) const;
    bool reads_on(const subscriber_base& s) const;
    /// A queue is filled from history by half, so that what is live has room.
    static std::size_t most_read_into(const queue_subscriber& s) noexcept {
        return std::max<std::size_t>(1, s.limits->messages / 2);
    }
    static bool
    asks_for(const cursor& c, const subscriber_base& s, const run& r, std::uint32_t index) noexcept {
        return c.group != cursor::no_group && (c.type.empty() || c.type.view() == r.type_of(index)) &&
               !(c.no_echo && r.at(index).publisher == s.id);
    }
    bool wants(
        const subscriber_base& s, const topic_state& t, const run& r, std::uint32_t index,
        std::uint64_t offset) const;
    void tell_gap(subscriber_base& s, pending_gap g);
    void lose_to_cursor(subscriber_base& s, const run& r, std::uint32_t index, drop_cause why);
    void trimmed(topic_state& t, const history::place& p, std::uint64_t offset);

    // acknowledgements: impl/core_acknowledge.hpp
    void watch(cursor& c);
    template <class F>
    void for_repeating(subscriber_base& s, const cursor& first, F&& f);
    void sent(cursor& c, const in_flight::entry& e);
    std::optional<std::size_t> repeat(queue_subscriber& s, cursor& c);
    void forget_sent(subscriber_base& s, const run& r, std::uint32_t index);
    void late(in_flight& sent);

    // durable subscriptions: impl/core_durable.hpp
    durable_subscriber* find_durable(std::string_view uid, std::string_view name) const;
    error_code
    may_subscribe(const subscriber_base& s, std::string_view text, const subscribe_options& o) const;
    error_code
    may_be_durable(const subscriber_base& s, std::string_view text, const subscribe_options& o) const;
    void take_over(durable_subscriber& d, const subscriber_base& by);
    void read_for_durable(cursor& c, std::string_view name, std::uint64_t offset);
    void leave_durable(cursor& c);
    void note_sent(durable_cursor& d, std::uint64_t offset);
    durable_subscriber* durable_reading(
        const subscriber_base& s, std::string_view topic, std::string_view type,
        std::string_view name = {}) const noexcept;
    shared_text durable_name(const subscriber_base& s, const run& r, std::uint32_t index) const;
    durable_cursor& durable_cursor_for(
        std::string_view uid, std::string_view name, const shared_text& topic, const shared_text& type);
    std::vector<std::unique_ptr<parcel>> take_mail(const durable_cursor& d);
    durable_cursor* durable_of(const subscriber_base& s, std::size_t sub) const noexcept;
    void erase_durable(durable_cursor& d);
    std::size_t erase_durable(durable_subscriber& d);
    void expire_durable(durable_subscriber& d);

    // what a store keeps besides histories: impl/core_state.hpp
    [[nodiscard]] steady_time steady_of(wall_time t) const;
    [[nodiscard]] wall_time wall_of(steady_time t) const;
    [[nodiscard]] stored_durable stored(const durable_cursor& c) const;
    void changed(const durable_cursor& c, bool soon);
    void erased(const durable_cursor& c);
    void store_failure(
        char kind, std::uint64_t number, const run& r, std::uint32_t index, const addressee& who,
        const failure_state& state, wall_time when);
    void forget_failure(char kind, std::uint64_t number);
    error_code restore_durable(std::string_view key, std::string_view value);
    error_code restore_failure(std::string_view key, std::string_view value);

    // failed deliveries: impl/core_failure.hpp

    /// What follows for a failed delivery.
    struct next_step {
        enum class kind : std::uint8_t { wait, park, drop, give_up, settled };

        kind what;
        std::chrono::milliseconds delay{0};
    };
    static bool any_ladder(const std::vector<topic_policy>& policies) noexcept {
        return std::any_of(policies.begin(), policies.end(), [](const topic_policy& p) {
            return p.on_failure && !p.on_failure->empty();
        });
    }
    const failure_ladder& ladder_of(std::string_view topic) const;
    const failure_ladder&
    ladder_for(const subscriber_base& s, std::string_view topic, std::string_view type) const;
    next_step climb(
        failure_state& f, const run& r, std::uint32_t index, const subscriber_info& who,
        const std::exception_ptr& exception, bool may_wait);
    void raise(const failure_ladder& of, const failure::alarm& a, failed_delivery f);
    template <class F>
    void call_host(const subscriber_info& who, std::string_view topic, F&& f);
    std::chrono::milliseconds spread(std::chrono::milliseconds delay, double jitter);

    void
    lose_late(queue_subscriber& s, cursor& c, const run_ptr& r, std::uint32_t index, next_step::kind what);
    bool fail(queue_subscriber& s, const run_ptr& r, std::uint32_t index, failure_cause why);
    bool fail_absent(
        std::string_view uid, std::string_view label, std::string_view payload, const publish_options& o,
        std::uint64_t sequence);
    void fail_sent(queue_subscriber& s);
    void fail_unread(queue_subscriber& s);
    bool
    reached_otherwise(const queue_subscriber& s, const run& r, std::uint32_t index, failure_cause why) const;
    bool cursor_has(const subscriber_base& s, const run& r, std::uint32_t index) const;
    bool cursor_brings(const subscriber_base& s, const run& r, std::uint32_t index) const;
    parcel* kept_already(const addressee& who, std::uint64_t sequence) const;
    std::unique_ptr<parcel> take(parcel& p);
    void keep(std::unique_ptr<parcel> p, steady_time due);
    void step(parcel& p);
    void park(std::unique_ptr<parcel> p);
    void bury(std::unique_ptr<parcel> p);
    void bury(dead_entry d);
    void forget_dead_letter(std::deque<dead_entry>::iterator at);
    template <class F>
    std::size_t take_parked(std::string_view uid, std::string_view topic, F&& f);
    void lose(std::unique_ptr<parcel> p, drop_cause why);
    void offer();
    void expect_mail(subscriber_base& s);
    bool is_for(const parcel& p, const subscriber_base& s) const;
    void deliver_mail(queue_subscriber& s);
    bool call_with_mail(handler_subscriber& s);
    void take_back(queue_subscriber& s);
    void come_back(parcel& p);
    void taken(subscriber_base& s, const run& r, std::uint32_t index);
    cursor* acknowledging(const subscriber_base& s, const run& r, std::uint32_t index) const noexcept;
    [[nodiscard]] bool window_is_full(const cursor& c) const noexcept {
        return c.sent && c.sent->size() + c.returned >= params_.acknowledgement.window;
    }
    void late_returned(parcel& oldest);
    void late_again(parcel& p);
    void offer_again(mailbox& box);
    [[nodiscard]] bool wanted_by_name(const dead_entry& d) const;
    void acknowledge_returned(subscriber_base& s, std::string_view topic, std::uint64_t offset);
    parcel* returned_parcel(const subscriber_base& s, const run& r, std::uint32_t index) const;
    void cannot_get(subscriber_base& s, parcel& p);
    void forget_returned(subscriber_base& s, const run& r, std::uint32_t index);
    std::uint64_t but_for_kept(
        const subscriber_base& s, const topic_state& t, const subscribe_options& o,
        std::pair<std::uint64_t, std::uint64_t>& gone) const;
    void forget_resumed(
        const subscriber_base& s, std::string_view topic, std::string_view type,
        const std::optional<topic_position>& after, std::optional<std::uint64_t> after_sequence,
        std::string_view durable);
    bool shed(mailbox& box);
    bool shed(handler_subscriber& s);
    run_ptr copy_of(const message& m) const;

    bool fail_call(handler_subscriber& s, const message& m);
    holding& begin_holding(handler_subscriber& s);
    static void end_holding(handler_subscriber& s) noexcept;
    void hold(handler_subscriber& s, const message& m);
    void try_held(holding& h);
    bool call_held(handler_subscriber& s);
    void lose_held(handler_subscriber& s, std::size_t place, drop_cause why);

    core_params params_;
    memory_account_ptr account_{new memory_account};
    schedule_function schedule_;
    void* context_;
    observer* observer_ = nullptr;
    store_keeper* keeper_ = nullptr;
    interest_keeper* interest_ = nullptr;
    topic_table topics_;
    filter_table filters_;
    std::vector<group*> groups_;
    std::vector<std::uint32_t> free_groups_;
    std::vector<subscriber_ptr> slots_;
    std::vector<std::uint32_t> free_slots_;
    std::vector<std::uint32_t> left_slots_; ///< free when the turn is over
    std::vector<std::uint32_t> stamps_;     ///< by slot, for counting each subscriber once
    std::uint32_t stamp_ = 0;
    mutable std::uint64_t held_mark_ = 0; ///< of the latest look at who may read on
    boost::unordered_flat_map<std::string_view, std::pair<shared_text, std::vector<std::uint32_t>>, text_hash>
        uids_{0, text_hash(params_.hash_seed)};
    boost::unordered_flat_map<std::uint64_t, sub_options> options_; ///< by `options_key`
    turn turn_;
    run_pool runs_;
    std::deque<deferred> deferred_;
    std::vector<reporting_ptr> reports_;   ///< of this turn, in publish order
    reporting* reporting_ = nullptr;       ///< of the message that handlers are being called with
    std::size_t reported_ = 0;             ///< deliveries that are listed, and were not tried
    std::vector<subscriber_ptr> catchups_; ///< whose turn to read on comes at the next flush
    std::vector<filter_node*> matched_;    ///< room for one publish
    std::vector<group*> called_;           ///< room for one publish
    std::vector<subscriber_ptr> left_now_; ///< while handlers are called: theirs may be running
    std::vector<std::uint64_t> selection_; ///< room for one session's turn
    std::vector<std::uint32_t> selected_replies_;
    merged_frames merged_;
    std::vector<std::size_t> refused_; ///< frames of one session's turn
    scratch room_;
    core_counters counters_;
    timer_queue due_{std::chrono::milliseconds(1)};
    recent_ids recent_ids_;
    boost::unordered_flat_map<std::string_view, std::unique_ptr<mailbox>, text_hash> mailboxes_{
        0, text_hash(params_.hash_seed)}; ///< by uid; the keys view the boxes' own
    std::size_t parcels_ = 0;
    std::size_t keeps_for_ = 0;       ///< mailboxes with parcels that wait, or are parked
    std::vector<shared_text> offers_; ///< uids
    boost::unordered_flat_map<std::string, std::unique_ptr<durable_subscriber>, text_hash> durables_{
        0, text_hash(params_.hash_seed)};
    std::size_t durable_cursors_ = 0;
    std::deque<dead_entry> dead_letters_;
    std::size_t dead_letter_bytes_ = 0;
    std::uint64_t last_failure_ = 0; ///< number of a parked message or dead letter
    struct alarm_limit {
        failure_ladder of;
        steady_time next{};
        std::uint64_t suppressed = 0;
    };
    boost::unordered_flat_map<const failure::alarm*, alarm_limit> alarms_;
    std::uint64_t random_ = params_.hash_seed;
    bool has_ladders_;                   ///< some delivery may have one
    bool ending_ = false;                ///< nobody is waited for any more
    std::vector<std::uint32_t> aging_;   ///< groups of topics whose history has an age limit
    std::size_t next_aging_ = 0;         ///< whose turn it is to be looked at
    std::uint64_t expired_sequence_ = 0; ///< the newest message of those histories that are gone
    std::uint64_t forgotten_histories_ = 0;
    std::size_t open_runs_ = 0;
    std::uint64_t sequence_ = 0;
    std::uint64_t serial_ = 0; ///< of the last subscriber
    std::uint64_t serial_step_ = 1;
    std::size_t subscriptions_ = 0;
    std::size_t pressured_ = 0;
    bool restoring_ = false;
    bool scheduled_ = false;
    bool dispatching_ = false;
    bool calling_groups_ = false;
    bool flushing_ = false;
    bool stale_ = false; ///< what expired must not go out with the rest of the turn
};

} // namespace pusher::inline v0::detail

#include <pusher/detail/impl/core_templates.hpp>

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/detail/impl/core_acknowledge.hpp>
#include <pusher/detail/impl/core_catchup.hpp>
#include <pusher/detail/impl/core_durable.hpp>
#include <pusher/detail/impl/core_failure.hpp>
#include <pusher/detail/impl/core_flush.hpp>
#include <pusher/detail/impl/core_held.hpp>
#include <pusher/detail/impl/core_mailbox.hpp>
#include <pusher/detail/impl/core_memory.hpp>
#include <pusher/detail/impl/core_publish.hpp>
#include <pusher/detail/impl/core_replica.hpp>
#include <pusher/detail/impl/core_report.hpp>
#include <pusher/detail/impl/core_returned.hpp>
#include <pusher/detail/impl/core_state.hpp>
#include <pusher/detail/impl/core_store.hpp>
#include <pusher/detail/impl/core_subscribe.hpp>
#include <pusher/detail/impl/core_subscribers.hpp>
#endif
