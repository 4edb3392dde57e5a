// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include "log.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What the core promises, in the plainest terms: a list of everything that was published, a list of
// subscriptions for each subscriber, and a queue of what waits. No runs, no slices, no groups, no bitmaps:
// whom a message is for is found out by asking every subscription, and a message is written by itself.

namespace simulation {

struct mismatch : std::runtime_error {
    using runtime_error::runtime_error;
};

inline void require(bool holds, const std::string& what) {
    if (!holds)
        throw mismatch(what);
}

inline std::vector<std::string_view> levels_of(std::string_view text) {
    std::vector<std::string_view> levels;
    for (;;) {
        const auto end = text.find('/');
        levels.push_back(text.substr(0, end));
        if (end == text.npos)
            return levels;
        text.remove_prefix(end + 1);
    }
}

/// MQTT 5.0, section 4.7.
inline bool filter_matches(std::string_view filter, std::string_view topic) {
    const auto f = levels_of(filter);
    const auto t = levels_of(topic);
    if (topic[0] == '$' && (f[0] == "+" || f[0] == "#"))
        return false;
    for (std::size_t i = 0; i != f.size(); ++i) {
        if (f[i] == "#")
            return true;
        if (i >= t.size() || (f[i] != "+" && f[i] != t[i]))
            return false;
    }
    return f.size() == t.size();
}

class model {
public:
    explicit model(const pusher::detail::core_params& p) : params_(p) {}

    /// Goes through what the core was told and did in a step. Afterwards `expected` says what must have come
    /// of it. \throws mismatch
    void step(const std::vector<entry>& log) {
        log_ = &log;
        at_ = 0;
        while (at_ != log.size())
            run();
    }

    /// Of a subscriber, since the step began.
    effects& expected(std::size_t n) { return users_[n].out; }
    /// Whether the end of a turn must have been asked for.
    [[nodiscard]] bool wants_flush() const { return touched_ || !catchups_.empty(); }
    /// By sequence, of each message whose turn has ended since the last call.
    std::map<std::uint64_t, due_report> take_reports() { return std::exchange(reports_, {}); }
    [[nodiscard]] const pusher::detail::core_counters& counters() const { return counters_; }
    [[nodiscard]] std::size_t subscriptions() const {
        std::size_t n = 0;
        for (const auto& u : users_)
            n += u.subs.size();
        return n;
    }
    [[nodiscard]] std::size_t filters() const {
        std::set<std::string> texts;
        for (const auto& u : users_)
            for (const auto& s : u.subs)
                if (s.match == pusher::match_mode::filter)
                    texts.insert(s.text);
        return texts.size();
    }
    /// Those with history, and those that somebody is subscribed to. Within a turn there may be more.
    [[nodiscard]] std::size_t topics() const {
        std::set<std::string> texts;
        for (const auto& p : pasts_)
            texts.insert(p.first);
        for (const auto& u : users_)
            for (const auto& s : u.subs)
                if (s.match == pusher::match_mode::exact)
                    texts.insert(s.text);
        return texts.size();
    }
    [[nodiscard]] std::size_t pressured() const {
        return static_cast<std::size_t>(std::count_if(
            users_.begin(), users_.end(), [](const user& u) { return u.full() && !u.excused; }));
    }
    [[nodiscard]] bool within_turn() const { return touched_; }
    [[nodiscard]] std::size_t waiting(std::size_t n) const { return users_[n].messages(); }
    [[nodiscard]] std::size_t waiting_bytes(std::size_t n) const { return users_[n].bytes; }
    [[nodiscard]] bool catching(std::size_t n) const { return users_[n].catching; }
    [[nodiscard]] std::size_t untold(std::size_t n) const { return users_[n].gaps.size(); }

private:
    using kind = command::kind;
    using policy = pusher::overflow_policy;
    static constexpr std::uint64_t ended = static_cast<std::uint64_t>(-1);

    struct posted {
        std::string topic;
        std::string type;
        std::string key;
        std::string id;
        std::string payload;
        std::chrono::milliseconds ttl;
        std::size_t publisher;
        bool addressed;       ///< to subscribers that were listed
        std::uint64_t offset; ///< 0: not in a history
        pusher::detail::steady_time when;

        [[nodiscard]] std::size_t size() const {
            return type.size() + key.size() + id.size() + payload.size();
        }
        /// At once, also to who is catching up with its topic.
        [[nodiscard]] bool handed_over() const { return addressed && offset == 0; }
        [[nodiscard]] std::string text() const {
            return topic + (type.empty() ? "" : ":" + type) +
                   (offset == 0 ? "" : "@" + std::to_string(offset)) + "=" + payload;
        }
    };

    /// The history of a topic. Messages are named by their sequence here and everywhere.
    struct past {
        pusher::history_params keep;
        std::vector<std::uint64_t> all; ///< the message with offset n is at n - 1
        std::uint64_t first = 1;        ///< offset of the oldest that is kept
        std::uint64_t trimmed = 0;      ///< the newest that is not
        std::uint64_t epoch = 0;        ///< 0: not seen yet
        std::uint64_t life = 0;         ///< how many histories had been forgotten when it began

        [[nodiscard]] std::uint64_t next() const { return all.size() + 1; }
        [[nodiscard]] std::uint64_t after(std::uint64_t sequence) const {
            auto offset = first;
            while (offset != next() && all[offset - 1] <= sequence)
                ++offset;
            return offset;
        }
    };

    struct subscription {
        std::string text;
        std::string type;
        pusher::match_mode match;
        bool echo;
        std::optional<policy> overflow;
        std::uint64_t order; ///< also its name
        std::uint64_t born;  ///< the last sequence that is not for it
        bool catching;

        [[nodiscard]] bool matches(const posted& m) const {
            return (type.empty() || type == m.type) && matches_topic(m.topic);
        }
        [[nodiscard]] bool matches_topic(const std::string& topic) const {
            return match == pusher::match_mode::exact ? text == topic : filter_matches(text, topic);
        }
    };

    /// Where a subscription that catches up is in its topic's history.
    struct cursor {
        std::string topic;
        std::string type;
        bool echo;
        std::uint64_t next; ///< offset
        std::uint64_t born;
        std::uint64_t owed;                ///< offset from which on what it does not get is a loss
        std::uint64_t subscription;        ///< its order; or `ended`: live ones rely on what is left to read
        std::uint64_t serial;              ///< grows from cursor to cursor
        bool acknowledges = false;         ///< then it never goes live
        std::vector<std::uint64_t> sent{}; ///< sequences of what is not acknowledged
        std::size_t again = 0;             ///< those from here on are to be sent again
        pusher::detail::steady_time due{}; ///< when the oldest is late

        [[nodiscard]] bool repeats() const { return again != sent.size(); }
    };

    struct gap {
        std::string topic;
        std::uint64_t count;
        std::uint64_t first; ///< offset; 0: the topic has no history
        std::uint64_t last;
        std::uint64_t from; ///< sequence of the first that is missed

        [[nodiscard]] std::string text() const {
            return "!" + topic + " " + std::to_string(count) +
                   (first == 0 ? "" : " " + std::to_string(first) + "-" + std::to_string(last));
        }
    };

    /// What waits: a message, or (with sequence 0) a reply.
    struct item {
        std::uint64_t sequence;
        std::string reply;
        bool kept = false;  ///< it is to be acknowledged, and does not give way
        bool again = false; ///< it was sent before
    };

    struct user {
        kind what;
        bool alive = true;
        bool listed;
        std::string uid;
        pusher::outbox_params limits;
        std::vector<subscription> subs;
        std::uint64_t next_order = 0;
        std::vector<cursor> cursors;
        bool catching = false;
        bool scheduled = false;
        std::uint64_t last = 0; ///< of a handler: the newest message that it was called for
        std::vector<gap> gaps;

        bool linked = false;
        std::size_t as = 0;
        bool datagrams = false;
        std::size_t room = unlimited;
        bool blocked = false;
        bool overflowed = false;
        bool given = false;     ///< something of this turn was considered for it
        std::vector<item> turn; ///< what is for it in this turn
        std::deque<item> box;
        std::string rest;        ///< of a frame that was cut
        std::size_t bytes = 0;   ///< of the messages in `box`
        bool progressed = false; ///< it took something since that was last watched
        bool excused = false;    ///< nobody waits for it
        effects out;

        [[nodiscard]] bool full() const {
            return what != kind::handler && (messages() > limits.messages / 2 || bytes > limits.bytes / 2);
        }
        /// Over its limits. \param less over what is left of them without one part in so many
        [[nodiscard]] bool over(std::size_t less) const {
            const auto most = [&](std::size_t limit) { return limit - (less == 0 ? 0 : limit / less); };
            return messages() > most(limits.messages) || bytes > most(limits.bytes);
        }
        /// Of those that may give way; or the size.
        [[nodiscard]] std::size_t first_message() const {
            return static_cast<std::size_t>(
                std::find_if(
                    box.begin(), box.end(), [](const item& i) { return i.sequence != 0 && !i.kept; }) -
                box.begin());
        }
        void took() {
            progressed = true;
            excused = false;
        }
        [[nodiscard]] std::size_t messages() const {
            return static_cast<std::size_t>(
                std::count_if(box.begin(), box.end(), [](const item& i) { return i.sequence != 0; }));
        }
    };

    struct deferred {
        std::uint64_t sequence;
        std::vector<std::size_t> audience;
    };

    /// A publish with an id.
    struct named {
        kind what;
        std::string text;
        std::string to;
        std::string id;
        std::string owner;
        pusher::detail::steady_time when;
        outcome then;       ///< what the publisher was told, but for:
        std::size_t fewest; ///< how many it matched; which of these numbers is the core's to know, until
        std::size_t most;   ///< all its handlers are done
    };

    /// What has become of a message, by subscriber; nothing: it is due.
    struct fates {
        std::map<const user*, std::optional<pusher::delivery_outcome>> of;
        std::size_t open = 0;
        bool in_turn = false;  ///< connections have not been tried
        bool deferred = false; ///< its handlers are those that were counted
    };

    // ---- the log

    [[nodiscard]] const entry& peek() const {
        require(at_ < log_->size(), "the core did less than it should have");
        return (*log_)[at_];
    }
    [[nodiscard]] bool next_is(entry::kind k) const { return at_ < log_->size() && (*log_)[at_].what == k; }
    const entry& take_entry(entry::kind k, const std::string& why) {
        require(peek().what == k, why);
        return (*log_)[at_++];
    }
    void run();
    /// What a handler did while it was called. \return whether it threw.
    bool run_call() {
        while (!next_is(entry::kind::end))
            run();
        return take_entry(entry::kind::end, "a call ends").threw;
    }

    // ---- publishing and subscribing: model_publish.hpp

    [[nodiscard]] std::string owner_of(const command& c) const;
    bool repeats(const command& c, outcome& o);
    void remember(const command& c, const outcome& o, std::size_t matched);
    named* remembered(std::uint64_t sequence);
    void settle(std::uint64_t sequence, std::size_t fewest, std::size_t most);
    past* past_of(const std::string& topic);
    posted& post(const command& c, past* p, bool addressed);
    void publish(const command& c, outcome& o);
    void publish_to(const command& c, std::vector<std::size_t> audience, bool in_history, outcome& o);
    void after_append(past* p);
    void wake(const std::string& topic);
    void
    hand_over(std::uint64_t sequence, std::vector<std::size_t> audience, std::size_t matched, outcome& o);
    std::size_t dispatch(std::uint64_t sequence, const std::vector<std::size_t>& audience);
    void run_deferred();
    bool called_for(const user& u, std::uint64_t sequence, const std::vector<std::size_t>& audience) const;
    bool matches_live(const user& u, const posted& m, std::uint64_t sequence, bool any_echo = false) const;
    bool covered(const user& u, const std::string& topic, std::uint64_t sequence) const;
    void subscribe(const command& c, outcome& o);
    std::uint64_t start_of(user& u, const command& c, past& p, outcome& o, bool& hold, std::uint64_t& owed);
    subscription* find(user& u, const command& c);
    void leave(user& u, std::uint64_t order);
    void stop_cursor(user& u, std::uint64_t order);
    void remove(user& u);
    bool over(const past& p) const;
    void trim(past& p);
    [[nodiscard]] bool in_use(const std::string& topic) const;
    void forget_unwritten();
    void forget_expired(std::size_t most);

    // ---- delivery: model_delivery.hpp

    void flush();
    void end_turn();
    void deliver(user& u);
    void enforce(user& u);
    policy governing(const user& u, const posted& m) const;
    void conflate(user& u);
    void drop(user& u, std::size_t i, pusher::drop_cause why);
    bool spill(user& u, std::size_t newest);
    [[nodiscard]] bool for_live(const user& u, std::uint64_t sequence) const {
        const auto& m = message(sequence);
        return m.addressed ? u.listed : matches_live(u, m, sequence);
    }
    [[nodiscard]] bool expired(const item& i) const {
        return i.sequence != 0 && expired(message(i.sequence));
    }
    [[nodiscard]] bool expired(const posted& m) const {
        return m.ttl.count() != 0 && params_.steady() - m.when > m.ttl;
    }
    void forget_sent(user& u, std::uint64_t sequence);
    void acknowledge(user& u, const command& c, outcome& o);
    void repeat_late();
    void watch(cursor& c) { c.due = params_.steady() + params_.acknowledgement.timeout; }
    bool held(const user& u, const std::string& topic) const;
    cursor* next_to_read(user& u);
    void repeat(user& u, cursor& c, std::size_t& messages, std::size_t& bytes);
    bool drain(user& u);
    std::size_t put(user& u, const std::string& frame);
    std::size_t next_gap(const user& u) const;
    void tell(user& u, std::size_t g);
    void take(user& u, outcome& o);
    void detach(user& u);
    void attach(user& u, const command& c);
    void schedule(user& u);
    void read_on(user& u);
    bool tell_gaps(user& u);
    bool wants(const user& u, const posted& m, std::uint64_t sequence) const;
    [[nodiscard]] bool asks_for(const cursor& c, const user& u, const posted& m) const {
        return c.subscription != ended && (c.type.empty() || c.type == m.type) &&
               (c.echo || m.publisher == nobody || &users_[m.publisher] != &u);
    }
    [[nodiscard]] std::string text_of(const item& i) const {
        return (i.again ? "~" : "") + message(i.sequence).text();
    }
    void report();
    /// The first that is known counts.
    void settle_fate(const user& u, std::uint64_t sequence, pusher::delivery_outcome what) {
        if (const auto f = fates_.find(sequence); f != fates_.end())
            if (const auto at = f->second.of.find(&u); at != f->second.of.end() && !at->second)
                at->second = what;
    }
    void missed(user& u, gap g);
    void add_gap(user& u, gap g);
    void lose(user& u, std::uint64_t sequence, pusher::drop_cause why);
    item pop(user& u, std::size_t i);
    [[nodiscard]] const posted& message(std::uint64_t sequence) const { return published_[sequence - 1]; }
    [[nodiscard]] gap gap_of(std::uint64_t sequence) const {
        const auto& m = message(sequence);
        return {m.topic, 1, m.offset, m.offset, sequence};
    }

    const pusher::detail::core_params& params_;
    const std::vector<entry>* log_ = nullptr;
    std::size_t at_ = 0;
    std::deque<posted> published_; // where its entries stay while it grows
    std::map<std::string, past> pasts_;
    std::vector<std::string> aging_; ///< topics whose history has an age limit
    std::size_t next_aging_ = 0;
    std::uint64_t expired_ = 0; ///< the newest message of histories that are gone
    std::uint64_t forgotten_ = 0;
    std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> epochs_; ///< by topic and life
    std::deque<user> users_;
    std::vector<std::size_t> catchups_;
    std::deque<deferred> deferred_;
    std::deque<named> named_;              ///< oldest first
    std::map<std::uint64_t, fates> fates_; ///< of messages whose turn is not over
    std::map<std::uint64_t, due_report> reports_;
    pusher::detail::core_counters counters_;
    std::uint64_t cursors_made_ = 0;
    bool dispatching_ = false;
    bool touched_ = false; ///< the turn has something
    std::size_t turn_messages_ = 0;
    std::size_t turn_bytes_ = 0;
};

} // namespace simulation

#include "model_delivery.hpp"
#include "model_publish.hpp"
