// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/gap.hpp>
#include <pusher/message.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/subscribe_options.hpp>
#include <pusher/topic.hpp>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0::detail {

/// What names a subscription: subscribing to the same again replaces its options.
struct client_subscription_name {
    match_mode match = match_mode::exact;
    std::string_view topic; ///< or filter
    std::string_view type;

    // Exact ones come first, and those of one topic next to each other: see `client_subscriptions`.
    friend auto operator<=>(const client_subscription_name&, const client_subscription_name&) = default;
};

/// One subscription that a client keeps up.
struct client_subscription {
    std::string topic;
    std::string type;
    match_mode match = match_mode::exact;
    bool echo = true;
    std::optional<overflow_policy> overflow{};

    /// Everything up to here has been received, or was never asked for; only of exact topics with history.
    std::optional<topic_position> position{};

    /// Where it began: what is later, and not later than `position`, has been received.
    std::optional<topic_position> begin{};

    /// At least once: what the user has dealt with is acknowledged, one request at a time.
    bool acknowledge = false;
    std::string durable{};          ///< the hub keeps where it is, by this name
    std::uint64_t handled = 0;      ///< offset up to which all was dealt with; in the epoch of `position`
    std::uint64_t acknowledged = 0; ///< offset that the hub was told
    bool acknowledging = false;     ///< and has not answered yet

    /// It is asked for anew on a new connection, and not answered yet.
    bool restoring = false;

    [[nodiscard]] bool must_acknowledge() const noexcept {
        return acknowledge && !acknowledging && !restoring && handled > acknowledged;
    }
    [[nodiscard]] client_subscription_name name() const noexcept { return {match, topic, type}; }
};

/// The subscriptions that a client keeps up over its connections, and how far each has come. It decides, for
/// what comes, whether it is new.
///
/// A map in the order of names: on a new connection exact topics are asked for before filters, so that the
/// hub replays a topic before a filter brings what is live of it.
class client_subscriptions {
public:
    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }

    [[nodiscard]] client_subscription* find(const client_subscription_name& name) noexcept;

    /// The hub has accepted a subscription.
    ///
    /// \param asked without positions. \param result what the hub said of history.
    void
    add(client_subscription asked, std::size_t history, const std::optional<topic_position>& resume,
        const std::optional<topic_position>& newest);

    void remove(const client_subscription_name& name) noexcept;

    /// There is a new connection: all are to be asked for again. Calls `f` with each.
    template <class F>
    void restore(F&& f) {
        for (auto& [name, s] : all_) {
            s->restoring = true;
            f(*s);
        }
    }

    /// The hub has accepted a subscription on a new connection.
    static void restored(client_subscription& s, bool recovered, const std::optional<topic_position>& newest);

    /// Whether a message is to be given to the user: not if it is known to have been, nor if a resume that is
    /// under way brings it again, in its order.
    [[nodiscard]] bool
    accept(std::string_view topic, std::string_view type, const std::optional<topic_position>& position);

    /// The user has dealt with a message. Calls `f` with each subscription that has to say so to the hub.
    template <class F>
    void handled(const message& m, F&& f) {
        if (!m.position())
            return;
        for_exact(m.topic(), [&](client_subscription& s) {
            if (!s.acknowledge || (!s.type.empty() && s.type != m.type()) || !s.position ||
                s.position->epoch != m.position()->epoch)
                return;
            s.handled = std::max(s.handled, m.position()->offset);
            if (s.must_acknowledge())
                f(s);
        });
    }

    /// Messages were lost on the way here, and the user is told: no resume is to bring them, as far as that
    /// can be said without losing others.
    void skip(const gap& g);

private:
    /// After which place the first message will be.
    static std::optional<topic_position> begins(
        std::size_t history, const std::optional<topic_position>& resume,
        const std::optional<topic_position>& newest);

    template <class F>
    void for_exact(std::string_view topic, F&& f) {
        for (auto at = all_.lower_bound({match_mode::exact, topic, {}});
             at != all_.end() && at->first.match == match_mode::exact && at->first.topic == topic; ++at)
            f(*at->second);
    }

    std::map<client_subscription_name, std::unique_ptr<client_subscription>> all_;
};

} // namespace pusher::inline v0::detail

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/client/impl/subscriptions.hpp>
#endif
