// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/acknowledgement_params.hpp>
#include <pusher/durable_params.hpp>
#include <pusher/error.hpp>
#include <pusher/failure_policy.hpp>
#include <pusher/history_params.hpp>
#include <pusher/idempotency_params.hpp>
#include <pusher/observer.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/parking_params.hpp>
#include <pusher/topic.hpp>
#include <pusher/topic_policy.hpp>
#include <pusher/transport/http_connection.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// Asks the host who a peer is. Views are valid until the hook returns, not until it answers.
struct authentication_request {
    /// What the peer gave with `auth`; empty when it has just connected.
    std::string_view token;

    /// The request that opens a WebSocket, an event stream, or publishes; null on TCP, UDP and for `auth`.
    const http_request* http = nullptr;

    std::string_view peer;      ///< its address
    std::string_view transport; ///< such as `websocket`
};

/// The host's answer.
class authentication_result {
public:
    enum class kind { identified, anonymous, later, refused };

    /// The peer is `uid`. \param expires ends the session then; a new `auth` before moves it.
    static authentication_result
    identified(std::string uid, std::optional<std::chrono::system_clock::time_point> expires = {}) {
        return {kind::identified, std::move(uid), expires};
    }
    /// The peer may stay without a uid.
    static authentication_result anonymous() { return {kind::anonymous, {}, {}}; }
    /// Only a token will tell: until then the peer may say `hello`, `auth` and `ping`. HTTP requests and
    /// event streams, which cannot say more, are refused.
    static authentication_result later() { return {kind::later, {}, {}}; }
    /// The peer must go. \param reason told to it.
    static authentication_result refused(std::string reason = "refused") {
        return {kind::refused, std::move(reason), {}};
    }

    kind what = kind::refused;
    std::string text; ///< the uid, or the reason
    std::optional<std::chrono::system_clock::time_point> expires;

private:
    authentication_result(kind k, std::string t, std::optional<std::chrono::system_clock::time_point> e)
        : what(k),
          text(std::move(t)),
          expires(e) {}
};

/// Asks the host whether a peer may do something. Views are valid until the hook returns.
struct access_request {
    enum class kind { subscribe, publish };

    kind action;
    std::string_view topic; ///< or, if `match` says so, a filter: judge it as one, since `#` reads everything
    match_mode match = match_mode::exact;
    std::string_view type;
    std::string_view uid; ///< empty: anonymous
    std::string_view peer;
    std::string_view transport;
};

/// Gives the host's answer. Call it once, on the broker's executor, inside the hook or later, from anywhere
/// there: from a handler too, which a publish is calling. A later answer takes effect from the event loop;
/// once the session is gone it does nothing. Destroying every copy without a call is a refusal.
using authentication_answer = std::function<void(const authentication_result&)>;
using access_answer = std::function<void(bool allowed)>;

/// How a broker works. All limits are finite. Ranges are checked by the broker's constructor, which throws
/// `std::invalid_argument`.
struct broker_params {
    /// What a topic keeps of its past; by default nothing.
    history_params history{};

    /// Instead of `history`, for each topic when it first gets state. It must not call the broker.
    std::function<history_params(std::string_view topic)> history_for{};

    /// For how long ids of messages are remembered, so that what a publisher tries again is published once;
    /// by default not at all.
    idempotency_params idempotency{};

    /// Of every session and subscriber in process.
    outbox_params outbox{};

    /// Of subscriptions that acknowledge.
    acknowledgement_params acknowledgement{};

    /// What happens when a delivery fails; by default what failed is lost and counted.
    failure_ladder on_failure{};

    /// Of subscriptions that wait for their subscribers.
    durable_params durable{};

    /// What is chosen by topic, for subscriptions that do not choose for themselves: of those whose filter
    /// matches, the first that chooses. Else `outbox.overflow` and `on_failure` count.
    std::vector<topic_policy> topic_policies{};

    /// What is kept for users who are not here.
    parking_params parking{};

    /// What is kept of messages that failure ladders gave up on.
    dead_letter_params dead_letters{};

    /// Who a peer is. Without it everybody is anonymous.
    std::function<void(const authentication_request&, authentication_answer)> authenticate{};

    /// Whether a peer may subscribe or publish. Without it everybody may. Subscribers and publishes in
    /// process are not asked about.
    std::function<void(const access_request&, access_answer)> authorize{};

    /// How long a session may stay without having authenticated; 100 ms to 1 h.
    std::chrono::milliseconds authentication_timeout = std::chrono::seconds(10);

    /// Topics that every session is subscribed to when it is bound; `{uid}` stands for its uid. Those with
    /// `{uid}` are left out for anonymous sessions. Such as `{"userid_{uid}", "*"}`. Not authorized.
    std::vector<std::string> subscribe_on_bind{};

    /// Hooks; null: none. Must outlive the broker.
    pusher::observer* observer = nullptr;

    std::size_t sessions = 100'000;   ///< at once; 1 to 16,000,000
    std::size_t topics = 1'000'000;   ///< with subscribers or history, and levels of filters; at least 1
    std::size_t subscriptions = 1024; ///< of one session; at least 1
    std::size_t message_bytes = 1024 * 1024; ///< of a payload, published in process; 1 to 256 MiB

    /// Bytes that the messages in all outboxes and histories, parked ones and dead letters may take together,
    /// encoded forms and copies included; each is counted once, however many sessions it waits for. At least
    /// 1 MiB. Looked at when messages were written: past this, whoever holds the most pays first. A session
    /// or subscriber in process gives up half of what it has, as its overflow policies say; a history
    /// forgets the older half; so does what is parked for a user; and half of the dead letters go.
    /// That goes on down to seven eighths; if nothing is left that may go, sessions that are stuck in the
    /// middle of a message end as by `overflow_policy::disconnect`.
    std::size_t memory_bytes = std::size_t{1} << 30;

    std::size_t posted_messages = 65'536; ///< admitted by `post_publish` and not published yet; at least 1
    std::size_t posted_bytes = 64 * 1024 * 1024; ///< the same in bytes; 1 to 1 GiB

    /// Published to topics that are kept in a store, and not stored yet; at least 1. More is refused with
    /// `errc::queue_full`.
    std::size_t storing_messages = 65'536;
    std::size_t storing_bytes = 64 * 1024 * 1024; ///< the same in bytes, apart from `memory_bytes`; no
                                                  ///< message there may be larger

    /// Among the sessions, this part may be over half of its outbox before `async_wait_writable` waits; 0
    /// to 1.
    double tolerated_slow_sessions = 0.05;

    /// A slow session that has taken nothing for that long is not waited for any more; 1 ms to 1 h.
    std::chrono::milliseconds slow_session_patience = std::chrono::milliseconds(250);

    /// The hint when to come back that goodbyes for overload and drain carry: spread evenly between once and
    /// twice this, so that clients do not return all at once; 1 ms to 24 h.
    std::chrono::milliseconds retry_after = std::chrono::seconds(1);

    /// Where `receive_time` and reply timestamps come from.
    wall_clock clock = &std::chrono::system_clock::now;
};

} // namespace pusher::inline v0
