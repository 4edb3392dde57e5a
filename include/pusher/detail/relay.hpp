// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/backplane.hpp>
#include <pusher/config.hpp>
#include <pusher/detail/core.hpp>
#include <pusher/transport/services.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// What a broker has to do with the other brokers of its group.
///
/// A topic without history is published where its publisher is, and handed to the brokers that are
/// interested. A topic with history has a home, which orders and numbers its messages; what is published
/// elsewhere is sent there first. A broker with subscribers of such a topic has a copy of its history, which
/// begins with what the home has, and goes on with what the home publishes. A broker that has no room for
/// more falls behind, and is sent the rest from the history when it has.
class relay final : public interest_keeper, private backplane::member, private timeout {
public:
    using kind = interest_keeper::kind;
    using answer = std::function<void(const receipt&)>;

    enum class audience : std::uint8_t { topic, everyone, user };

    /// What the broker does for it.
    struct host {
        std::function<void()> at_room; ///< publishers that wait may go on
        std::function<void(std::string_view, std::string_view)>
            kick; ///< the sessions of a uid, with a reason
    };

    relay(
        core& c, std::shared_ptr<services> io, std::unique_ptr<backplane> plane, history_params keep,
        std::function<history_params(std::string_view)> keep_for, observer* o, host h);
    relay(const relay&) = delete;
    relay& operator=(const relay&) = delete;
    ~relay() { leave(); }

    /// Nothing comes any more, and what waits for another broker is told `stopped`.
    void leave();

    // ---- publishing

    /// Whether that is published by another broker first: a topic with history.
    [[nodiscard]] bool elsewhere(std::string_view topic) const {
        return has_histories_ && plane_->home_of(topic) != plane_->self() && has_history(topic);
    }
    /// \param uid of whom, with `audience::user` \param by whose the id is; null: as `o.publisher` says
    /// \param done called once if the receipt says `pending`; may be empty
    /// \param report as for `core::publish`
    receipt publish(
        audience whom, std::string_view uid, std::string_view topic, std::string_view payload,
        const publish_options& o, const id_owner* by, answer done, report_function report);
    /// Sessions of a uid at other brokers.
    void kick(std::string_view uid, std::string_view reason);

    // ---- histories of other brokers

    /// Whether a subscribe to that topic has to wait for its history.
    [[nodiscard]] bool must_fetch(std::string_view topic) const {
        if (!elsewhere(topic))
            return false;
        const auto* const t = core_->find_topic(topic);
        return !t || !t->past();
    }
    /// Gets copies of topics' histories, of those that are kept elsewhere. They stay for as long as there are
    /// subscribers.
    /// \param done called when all are here, or with why one is not: the next turn may be without them
    void fetch(const std::vector<std::string>& topics, std::function<void(error_code)> done);

    // ---- flow control, and the end

    [[nodiscard]] bool writable() const noexcept { return plane_->writable() && !outruns_; }
    void wait_for_room() { plane_->wait_for_room(); }
    [[nodiscard]] backplane& plane() noexcept { return *plane_; }
    /// Asks the others to deal with everything that was sent to them; what they have sent comes before that.
    void sync();
    /// Whether they have, and have got all that they lacked.
    [[nodiscard]] bool synced() const noexcept {
        return syncing_ == 0 &&
               std::all_of(behind_.begin(), behind_.end(), [](std::size_t n) { return n == 0; });
    }

    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
    [[nodiscard]] backplane::counts numbers() const noexcept {
        auto n = plane_->numbers();
        n.dropped += forgotten_;
        return n;
    }

private:
    /// A request that another broker has not answered.
    struct request {
        std::uint32_t to;
        answer done;
        report_function report;
        std::size_t matched = 0; ///< subscribers here, when the message has come back
    };
    struct fetching {
        std::vector<std::function<void(error_code)>> waiting;
    };
    /// A message that a handler has published while another was.
    struct nested {
        audience whom;
        std::string uid;
        pinned_message message;
        relay_facts facts;
        backplane::members to;
    };
    struct origin {
        std::uint32_t broker;
        std::uint64_t publisher;
        std::uint64_t number;
    };
    using texts = boost::unordered_flat_map<std::string, bool, text_hash, std::equal_to<>>;

    /// What a history does not know of a message that waits to be sent.
    struct aside {
        std::uint64_t offset;
        std::uint64_t publisher; ///< at the broker that it is for
        std::uint64_t number;    ///< of that one's request
        bool everyone;           ///< it was a broadcast
        std::optional<relay_facts> reply{};
    };
    /// A broker that has not got all of a topic that it copies.
    struct follower {
        std::uint32_t who;
        std::uint64_t next; ///< offset of what is sent next
        std::uint64_t live; ///< from there on it is what was published since it asked
        std::deque<aside> asides{};
        std::uint64_t broadcasts = 0; ///< that were forgotten, and are still to be told as lost
    };
    /// A topic whose history is kept here, and copied by others.
    struct copied {
        topic_state* topic;
        backplane::members by = 0;
        std::vector<std::unique_ptr<follower>> behind{};

        [[nodiscard]] follower* find(std::uint32_t who) const noexcept {
            for (const auto& f : behind)
                if (f->who == who)
                    return f.get();
            return nullptr;
        }
    };

    // What a broker is sent in one turn of what it lacks, of one topic and of all.
    static constexpr std::size_t messages_for_one = 512;
    static constexpr std::size_t bytes_for_one = 256 * 1024;
    static constexpr std::size_t messages_for_all = 4096;
    /// Copies that stay though nobody subscribes.
    static constexpr std::size_t most_staying = 1024;

    static constexpr backplane::members bit_of(std::uint32_t who) noexcept {
        return backplane::members{1} << who;
    }
    [[nodiscard]] backplane::members others() const noexcept {
        const auto all = plane_->size() == backplane::max_members
                             ? ~backplane::members{0}
                             : bit_of(static_cast<std::uint32_t>(plane_->size())) - 1;
        return all & ~bit_of(plane_->self());
    }
    static backplane::interest interest_of(kind what) noexcept {
        return what == kind::topic    ? backplane::interest::topic
               : what == kind::filter ? backplane::interest::filter
                                      : backplane::interest::user;
    }

    // interest_keeper
    void at_interest(kind what, std::string_view text, bool begins) override;
    [[nodiscard]] bool keeps(std::string_view topic) const override {
        return plane_->home_of(topic) == plane_->self();
    }

    // backplane::member
    void at_relayed(std::uint32_t from, const relayed& r) override;
    void at_relayed_all() override { schedule(); }
    void at_room() override {
        schedule();
        host_.at_room();
    }
    void at_unsubscribed(std::uint32_t who, std::string_view topic) override;

    [[nodiscard]] history_params keep_of(std::string_view topic) const;
    [[nodiscard]] bool has_history(std::string_view topic) const;
    receipt publish_here(
        audience whom, std::string_view uid, std::string_view topic, std::string_view payload,
        const publish_options& o, const id_owner* by, report_function* report, const origin& from);
    receipt ask_home(
        audience whom, std::string_view topic, std::string_view payload, const publish_options& o,
        const id_owner* by, answer done, report_function report);
    void forward(
        audience whom, std::string_view uid, const message& m, const relay_facts& facts,
        backplane::members to);
    void forward_nested();
    [[nodiscard]] stored_at time_of(std::string_view topic, const std::optional<topic_position>& position);
    void publish_relayed(const relayed& r);
    void answer_request(std::uint32_t from, const relayed& r);
    void answered(const relayed& r);
    void at_left(std::uint32_t who);

    // histories: impl/relay_history.hpp
    void begin_history(std::uint32_t from, const relayed& r);
    void add_kept(const relayed& r);
    void history_came(std::string_view topic);
    void fetched(std::string_view topic, error_code ec);
    void await_history(std::string_view topic, std::function<void(error_code)> done);
    void forget_unused(std::string_view topic);
    void ask_for_history(std::string_view topic);
    bool stays(std::string_view topic);
    bool end_copy(std::string_view topic);
    void at_timeout() override;

    // histories of this broker, for others: impl/relay_followers.hpp
    void send_history(std::uint32_t to, std::string_view topic);
    copied* begin_copy(std::uint32_t who, std::string_view topic, error_code& ec);
    follower& falls_behind(copied& c, std::uint32_t who, std::uint64_t next, std::uint64_t live);
    static void hold_back(const copied& c, follower& f, const relay_facts& facts, bool everyone);
    void announce_history(const copied& c, const follower& f);
    void bring_on();
    bool bring_on(copied& c, follower& f, std::size_t& left);
    bool lose_until(const copied& c, follower& f, std::uint64_t offset, relay_overflow overflow);
    std::size_t send_next(const copied& c, follower& f, relay_overflow overflow);
    void send_reply(const follower& f);
    void catches_up(copied& c, const follower& f);
    void release(const copied& c);
    [[nodiscard]] static bool may_be_forgotten(const copied& c, const follower& f);
    void forget_follower(std::uint32_t who);
    void abandon_followers();
    void copies_no_more(std::uint32_t who, std::string_view topic);

    void schedule();
    void work();
    void end_interests();
    void release_topics();

    core* core_;
    std::shared_ptr<services> io_;
    std::unique_ptr<backplane> plane_;
    history_params keep_;
    std::function<history_params(std::string_view)> keep_for_;
    observer* observer_;
    host host_;
    bool has_histories_;
    bool left_ = false;
    bool scheduled_ = false;

    int depth_ = 0; ///< of publishes that are under way
    std::vector<nested> nested_;
    std::optional<stored_at> now_; ///< of this turn
    std::uint64_t last_number_ = 0;
    boost::unordered_flat_map<std::uint64_t, request> requests_;
    boost::unordered_flat_map<std::string, fetching, text_hash, std::equal_to<>> fetching_;

    /// What the others know that it is wanted here; and whether it still is.
    texts wanted_[3];
    std::vector<std::pair<kind, std::string>> ended_; ///< to be told at the end of the turn
    /// Topics whose histories are kept for whoever waits for all that it has asked for.
    boost::unordered_flat_map<std::string, std::size_t, text_hash, std::equal_to<>> held_;

    /// Copies that nobody subscribes to, and when they go; in that order too.
    boost::unordered_flat_map<std::string, services::time_point, text_hash, std::equal_to<>> staying_;
    std::deque<std::pair<services::time_point, std::string>> leaving_;

    /// A history that is coming in.
    struct coming {
        std::uint32_t from;
        replica what;
        std::uint64_t left; ///< messages that have not come yet
    };
    boost::unordered_flat_map<std::string, std::unique_ptr<coming>, text_hash, std::equal_to<>> coming_;
    boost::unordered_flat_map<std::string, copied, text_hash, std::equal_to<>> copied_;
    std::vector<std::deque<std::string>> turns_; ///< by broker: topics in which it is behind, in turn
    std::vector<std::size_t> behind_;            ///< by broker: how many there are
    bool outruns_ = false;                       ///< some may be forgotten before a follower gets it
    backplane::members to_sync_ = 0;             ///< who waits for that
    std::uint64_t forgotten_ = 0;                ///< messages that a follower did not get before they were
    std::vector<header> headers_;                ///< room for those of one message
    std::vector<std::pair<std::uint32_t, std::string>> uncopied_; ///< who may not copy which topic any more
    backplane::members syncing_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t sent_ = 0;
};

} // namespace pusher::inline v0::detail

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/impl/relay.hpp>
#include <pusher/impl/relay_followers.hpp>
#include <pusher/impl/relay_history.hpp>
#endif
