// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/message.hpp>
#include <pusher/observer.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace pusher::inline v0 {

/// A delivery that failed, as the rungs of a ladder see it. Valid during the call.
struct failed_delivery {
    const message& what;
    subscriber_info who; ///< as it was then; it may be gone
    failure_cause why;
    std::uint32_t attempts = 1;     ///< that failed so far
    std::exception_ptr exception{}; ///< with `failure_cause::handler_threw`
    std::uint64_t suppressed = 0;   ///< alarms of this rung that came too soon after the one before it
};

/// The rungs of a `failure_ladder`.
namespace failure {

/// Tries again. A handler is called again. What was not acknowledged is sent again. What a lost connection
/// did not take, or its connection cannot carry or has lost, waits for the subscriber's uid to come back:
/// nobody but the peer can make that attempt, so each lasts as long as its delay; who has no uid skips the
/// rung. Meanwhile what follows for the same subscriber is held, so that order is kept. To the granularity of
/// a broker's timers, a tenth of a second.
struct retry {
    std::uint32_t attempts = 3;                                ///< 1 to 1,000
    std::chrono::milliseconds delay = std::chrono::seconds(1); ///< before the first; 1 ms to 24 h
    double backoff = 2.0; ///< each delay is that many times the one before, up to 24 h; 1 to 100
    double jitter = 0.2;  ///< a delay is spread evenly by this part of it, up and down; 0 to 1
};

/// Tells the host, and goes on to the next rung. Called from the event loop; it may call the broker.
struct alarm {
    std::function<void(const failed_delivery&)> callback;

    /// At most one call in that time; those that were not made are told by the next. 0 to 24 h.
    std::chrono::milliseconds interval = std::chrono::seconds(1);
};

/// Keeps the message for the subscriber's uid, until it comes back and subscribes to it: `parking_params`.
/// Where nobody can come back for it (no uid, or a handler, which is here and throws), it becomes a dead
/// letter. Nothing follows this rung.
struct persist {};

/// The message is lost to the subscriber: counted, observed, and told by a gap marker if it is still here.
/// Nothing follows this rung.
struct drop {};

/// What a rung of the host's own has decided.
struct verdict {
    enum class kind : std::uint8_t { next, settled, again };

    kind what;
    std::chrono::milliseconds delay{0};
};

/// Goes on to the next rung.
[[nodiscard]] constexpr verdict next() noexcept { return {verdict::kind::next}; }
/// The host has dealt with it: it counts as neither delivered nor lost.
[[nodiscard]] constexpr verdict settled() noexcept { return {verdict::kind::settled}; }
/// Tries again after a delay, as `retry` does, and asks this rung again if that fails too. Without a uid to
/// wait for it is as `next`.
[[nodiscard]] constexpr verdict again(std::chrono::milliseconds delay) noexcept {
    return {verdict::kind::again, delay};
}

/// A rung of the host's own. Called from the event loop; it may call the broker. If it throws, that is
/// counted and observed, and the next rung follows.
struct decide {
    std::function<verdict(const failed_delivery&)> callback;
};

using rung = std::variant<retry, alarm, persist, drop, decide>;

} // namespace failure

/// What happens when a delivery has failed, rung by rung: such as
/// `failure_ladder(failure::retry{}, failure::alarm{tell_me}, failure::persist{})`.
///
/// A ladder without rungs is the default: what failed is lost and counted, as by `failure::drop`, but for
/// subscriptions that acknowledge: these are sent again what is late, until they acknowledge it. What comes
/// to the end of a ladder that ends with neither `persist` nor `drop` becomes a dead letter.
///
/// Copies share the rungs, which do not change. Its callbacks run on the executor of the broker that uses it.
class failure_ladder {
public:
    failure_ladder() noexcept = default;

    /// \throws std::invalid_argument for a rung that cannot work, or one that nothing can come to.
    template <class First, class... Others>
        requires(
            std::constructible_from<failure::rung, First> &&
            (std::constructible_from<failure::rung, Others> && ...) &&
            !std::same_as<std::remove_cvref_t<First>, failure_ladder> &&
            !std::same_as<std::remove_cvref_t<First>, std::vector<failure::rung>>)
    explicit failure_ladder(First first, Others... others)
        : failure_ladder(std::vector<failure::rung>{
              failure::rung(std::move(first)), failure::rung(std::move(others))...}) {}

    /// The same, for a ladder that is put together at run time.
    explicit failure_ladder(std::vector<failure::rung> rungs) {
        if (rungs.empty())
            return;
        check(rungs);
        rungs_ = std::make_shared<const std::vector<failure::rung>>(std::move(rungs));
    }

    [[nodiscard]] bool empty() const noexcept { return !rungs_; }
    [[nodiscard]] std::span<const failure::rung> rungs() const noexcept {
        return rungs_ ? std::span<const failure::rung>(*rungs_) : std::span<const failure::rung>();
    }

private:
    static void check(const std::vector<failure::rung>& rungs);
    [[noreturn]] static void refuse(std::size_t place, const char* why) {
        throw std::invalid_argument("failure_ladder: rung " + std::to_string(place + 1) + " " + why);
    }

    std::shared_ptr<const std::vector<failure::rung>> rungs_;
};

inline void failure_ladder::check(const std::vector<failure::rung>& rungs) {
    using namespace std::chrono_literals;
    constexpr std::size_t most = 16;
    if (rungs.size() > most)
        throw std::invalid_argument("failure_ladder: more than 16 rungs");
    for (std::size_t i = 0; i != rungs.size(); ++i) {
        const auto& rung = rungs[i];
        if (const auto* const r = std::get_if<failure::retry>(&rung)) {
            if (r->attempts < 1 || r->attempts > 1000)
                refuse(i, "(retry): attempts is not 1 to 1,000");
            if (r->delay < 1ms || r->delay > 24h)
                refuse(i, "(retry): delay is not 1 ms to 24 h");
            if (!(r->backoff >= 1 && r->backoff <= 100))
                refuse(i, "(retry): backoff is not 1 to 100");
            if (!(r->jitter >= 0 && r->jitter <= 1))
                refuse(i, "(retry): jitter is not 0 to 1");
        } else if (const auto* const a = std::get_if<failure::alarm>(&rung)) {
            if (!a->callback)
                refuse(i, "(alarm) has no callback");
            if (a->interval < 0ms || a->interval > 24h)
                refuse(i, "(alarm): interval is not 0 to 24 h");
        } else if (const auto* const d = std::get_if<failure::decide>(&rung)) {
            if (!d->callback)
                refuse(i, "(decide) has no callback");
        } else if (i + 1 != rungs.size()) {
            refuse(
                i, std::holds_alternative<failure::drop>(rung) ? "(drop) leaves nothing for the next"
                                                               : "(persist) leaves nothing for the next");
        }
    }
}

} // namespace pusher::inline v0
