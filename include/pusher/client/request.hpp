// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/environment.hpp>
#include <pusher/client/event.hpp>
#include <pusher/client/subscriptions.hpp>
#include <pusher/detail/pending_op.hpp>
#include <pusher/error.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0::detail {

using client_run_op = pending_op<>;
using client_receive_op = pending_op<client_event>;
using client_subscribe_op = pending_op<client_subscribe_result>;
using client_unsubscribe_op = pending_op<>;
using client_publish_op = pending_op<client_publish_result>;

/// One request of a client, from its beginning to its answer.
struct client_request {
    enum class kind : unsigned char {
        hello,
        auth,
        restore, ///< a subscription on a new connection
        subscribe,
        unsubscribe,
        publish,
        acknowledge
    };

    kind what;
    std::uint64_t id = 0;
    std::string text{}; ///< what is sent; of a publish only until then
    client_clock::time_point deadline = client_clock::time_point::max();

    // Who waits for it; at most one of them.
    std::shared_ptr<client_subscribe_op> subscribe{};
    std::shared_ptr<client_unsubscribe_op> unsubscribe{};
    std::shared_ptr<client_publish_op> publish{};

    std::unique_ptr<client_subscription> subscription{}; ///< of all but publish
    std::size_t history = 0;                             ///< of subscribe
    std::optional<topic_position> resume{};              ///< of restore and subscribe
    bool incomplete = false;   ///< of restore: the hub has no history any more to resume from
    bool unsubscribed = false; ///< of subscribe: by a request that follows
    bool undo = false;         ///< of subscribe: if it comes to nothing, the one before is to be undone

    /// Whether the user began it.
    [[nodiscard]] bool of_user() const noexcept { return subscribe || unsubscribe || publish; }

    /// Whether it is not to be sent, since the user waits for it no more. What is unsubscribed stays so.
    [[nodiscard]] bool abandoned() const noexcept {
        return (subscribe && subscribe->done()) || (publish && publish->done());
    }

    [[nodiscard]] bool is(kind k, const client_subscription_name& name) const noexcept {
        return what == k && subscription && subscription->name() == name;
    }

    void complete(error_code ec, std::string_view reason = {}) {
        if (subscribe)
            subscribe->complete(ec, {{}, {}, std::string(reason)});
        if (unsubscribe)
            unsubscribe->complete(ec);
        if (publish)
            publish->complete(ec, {0, {}, std::string(reason)});
    }
};

/// Takes what `which` picks out of a queue, and hands each to `f`. The others keep their order.
template <class Predicate, class F>
void take_out(std::deque<client_request>& queue, Predicate which, F f) {
    auto to = queue.begin();
    for (auto at = queue.begin(); at != queue.end(); ++at) {
        if (which(std::as_const(*at))) {
            f(*at);
            continue;
        }
        if (to != at)
            *to = std::move(*at);
        ++to;
    }
    queue.erase(to, queue.end());
}

} // namespace pusher::inline v0::detail
