// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/backplane.hpp>
#include <pusher/broker.hpp>
#include <pusher/detail/handed_over_op.hpp>
#include <pusher/detail/local_backplane.hpp>
#include <pusher/detail/require.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// Of what one broker of a group hands to another, how much may wait there.
///
/// From half of it on `writable` is false and `async_wait_writable` waits. At the limit messages without
/// history are lost to the subscribers of that other broker: they are counted
/// (`broker_stats::relay_dropped`), and told by gap markers. Those of a topic that it has a copy of follow
/// when it has room, and are lost if the history has forgotten them by then. A message that is larger goes
/// alone. A history that is copied takes turns with what is live, and no more than half of the room.
struct group_params {
    std::size_t messages = 65'536;        ///< at least 1
    std::size_t bytes = 64 * 1024 * 1024; ///< at least 1
    /// How long a broker keeps its copy of a history when nobody there subscribes to the topic any more, so
    /// that who comes and goes does not have it copied each time. At most 1,024 copies stay. 0: not at all.
    std::chrono::milliseconds copies_stay{10'000};
};

/// The listeners of all brokers of a group at one address.
class group_listener {
public:
    group_listener() = default;
    explicit group_listener(std::vector<listener> all) : all_(std::move(all)) {}

    /// The port that they share.
    [[nodiscard]] std::uint16_t port() const noexcept { return all_.empty() ? 0 : all_.front().port(); }
    [[nodiscard]] std::string local_endpoint() const {
        return all_.empty() ? std::string() : all_.front().local_endpoint();
    }
    /// False after a `listen` that failed.
    explicit operator bool() const noexcept { return !all_.empty(); }

private:
    std::vector<listener> all_;
};

namespace detail {

/// Has listeners share a port. \param port of the first of them; 0: this is the first
/// \return whether it was shared before.
template <class Params>
bool share_port_of(Params& p, std::uint16_t port, bool shared = true) {
    auto at = [port, shared](auto& where) {
        if (port != 0)
            where.port = port;
        return std::exchange(where.shared, shared);
    };
    if constexpr (requires { p.listen->shared; }) {
        return !p.listen || at(*p.listen);
    } else if constexpr (requires { p.listen.shared; }) {
        return at(p.listen);
    } else {
        static_assert(
            requires { p.shared, p.port; },
            "a group's brokers listen at one port, which these parameters cannot share");
        return at(p);
    }
}

inline void add(broker_stats& to, const broker_stats& s) {
    for (auto n :
         {&broker_stats::published,
          &broker_stats::published_bytes,
          &broker_stats::repeated_publishes,
          &broker_stats::delivered,
          &broker_stats::dropped_overflow,
          &broker_stats::dropped_trimmed,
          &broker_stats::dropped_disconnected,
          &broker_stats::dropped_undeliverable,
          &broker_stats::dropped_conflated,
          &broker_stats::dropped_expired,
          &broker_stats::dropped_memory,
          &broker_stats::dropped_failed,
          &broker_stats::gaps,
          &broker_stats::redelivered,
          &broker_stats::retried,
          &broker_stats::parked,
          &broker_stats::returned,
          &broker_stats::dead_letters,
          &broker_stats::dead_letters_lost,
          &broker_stats::handler_exceptions,
          &broker_stats::relayed,
          &broker_stats::relay_received,
          &broker_stats::relay_batches,
          &broker_stats::relay_dropped,
          &broker_stats::turns,
          &broker_stats::sessions,
          &broker_stats::subscriptions,
          &broker_stats::topics,
          &broker_stats::filters,
          &broker_stats::slow_sessions,
          &broker_stats::memory_bytes,
          &broker_stats::parked_messages,
          &broker_stats::durable_subscriptions,
          &broker_stats::dead_letter_messages,
          &broker_stats::accept_errors,
          &broker_stats::store_batches,
          &broker_stats::store_errors,
          &broker_stats::storing})
        to.*n += s.*n;
    for (const auto& [name, t] : s.transports) {
        auto& sum = to.transports[name];
        for (auto n :
             {&transport_stats::accepted, &transport_stats::refused, &transport_stats::sessions,
              &transport_stats::requests, &transport_stats::bad_requests, &transport_stats::closed_by_peer,
              &transport_stats::closed_by_error, &transport_stats::challenged})
            sum.*n += t.*n;
    }
    for (const auto& [why, count] : s.closed)
        to.closed[why] += count;
}

} // namespace detail

/// Several brokers that are as one for their peers: one for each of the host's threads, or strands.
///
/// The host owns the event loops and runs them; the group makes a broker on each, and joins them. Peers
/// connect to whichever the kernel picks, and publish and subscribe as with one broker.
///
/// **What is published** reaches every subscriber in the group. A broker is only woken for a topic, filter or
/// uid that somebody there wants, once for each turn of the broker that publishes. The order of one
/// publisher's messages to one topic is the same for everybody; order across topics, or across publishers, is
/// each broker's own, where there is no history. `receipt::matched` counts subscribers at the broker that
/// publishes. Subscribers get what any broker publishes after `subscribe` has returned, or the peer was
/// answered; it may be that others published some of it just before.
///
/// **Topics with history** have a home, one of the brokers, which orders and numbers all their messages.
/// Elsewhere the receipt says `pending`, and peers are answered when the home has published. A broker with
/// subscribers of such a topic has a copy of the history, so that resume, `history`, acknowledgements and
/// spilling work wherever a subscriber comes back; peers' subscribes wait for it. A subscribe in process that
/// wants history fails with `errc::no_history` while there is none: see `broker_core::async_fetch_history`.
/// Subscriptions by filter are live, and do not spill what their topic's home keeps elsewhere. Events
/// (server-sent) resume exactly at the broker where they were, and elsewhere where they are of one topic.
///
/// **Limits and numbers** of the parameters are each broker's own, and so are the ids that it remembers; of a
/// topic with history its home does. `observer`, hooks and `history_for` are called by all brokers, each on
/// its executor: several at a time. `history_for` must say the same to all. `observer::at_publish` is called
/// once, where a message is published.
///
/// **One that ends** leaves the others working. What it was the home of is not published any more: that fails
/// with `errc::stopped`. As with one broker, `run()` returns while there is nothing to wait for, no listener
/// above all, and what is posted later is only done when it runs again. A copy that stays is something to
/// wait for.
///
/// **Not in a group:** stores, durable subscriptions, and `failure::persist`, since nobody knows which broker
/// a user comes back to.
///
/// The functions marked *any thread* may be called from any, while the group exists. Destroy it when nothing
/// runs the executors any more, and before their contexts.
template <class Transport = transport::none, store_kind Store = memory_store>
class broker_group {
    static_assert(std::same_as<Store, memory_store>, "a group of brokers has no store");

public:
    using broker_type = broker<Transport, Store>;

    /// \param executors of each a serial one: 1 to 64.
    /// \throws std::invalid_argument if a parameter is out of its range, or not for groups.
    explicit broker_group(
        const std::vector<boost::asio::any_io_executor>& executors, const broker_params& params = {},
        const group_params& limits = {}) {
        detail::require(
            !executors.empty() && executors.size() <= backplane::max_members,
            "broker_group: there are not 1 to 64 executors");
        detail::require(limits.messages >= 1, "group_params: messages is 0");
        detail::require(limits.bytes >= 1, "group_params: bytes is 0");
        detail::require(
            limits.copies_stay.count() >= 0 && limits.copies_stay <= std::chrono::hours(24),
            "group_params: copies_stay is not between 0 and a day");
        group_ = std::make_shared<detail::local_group>(
            executors, limits.messages, limits.bytes, limits.copies_stay);
        ended_ = std::make_shared<ended>(executors.size());
        for (const auto& e : executors) {
            const auto i = brokers_.size();
            brokers_.push_back(std::make_unique<broker_type>(e, params));
            brokers_.back()->tell_last_stats([all = ended_, i](const broker_stats& s) { all->add(i, s); });
        }
        if (executors.size() == 1) // alone it is as any other
            return;
        for (std::uint32_t i = 0; i != brokers_.size(); ++i) {
            auto& b = *brokers_[i];
            b.join(std::make_unique<detail::local_backplane>(group_, i));
            b.show_stats_of([this, &b](std::function<void(const broker_stats&)> show) {
                async_stats(boost::asio::bind_executor(
                    b.get_executor(), [show = std::move(show)](error_code ec, const broker_stats& s) {
                        if (!ec)
                            show(s);
                    }));
            });
        }
    }
    broker_group(const broker_group&) = delete;
    broker_group& operator=(const broker_group&) = delete;
    ~broker_group() = default;

    /// The same. \param contexts each to be run by one thread only.
    template <std::ranges::range Contexts>
        requires std::derived_from<
            std::remove_cvref_t<std::ranges::range_reference_t<Contexts>>, boost::asio::execution_context>
    explicit broker_group(
        Contexts& contexts, const broker_params& params = {}, const group_params& limits = {})
        : broker_group(executors_of(contexts), params, limits) {}

    [[nodiscard]] std::size_t size() const noexcept { return brokers_.size(); }
    /// One of the brokers, to be used on its executor.
    [[nodiscard]] broker_type& operator[](std::size_t i) noexcept { return *brokers_[i]; }
    /// The broker that keeps a topic's history, if it has one. What is published there by `post_publish` or
    /// `async_publish` takes no detour. *Any thread.*
    [[nodiscard]] broker_type& home(std::string_view topic) noexcept { return *brokers_[home_of(topic)]; }

    /// Has every broker listen at one address, from now on. Call it before the executors are run: it is not
    /// for a group that is running, where each broker's own `listen` is called on its executor, with `shared`
    /// set in the address.
    ///
    /// \param params of one of the transports. With port 0 the first broker picks one that is free. Nobody
    /// else may listen there, unless `shared` is set: then other processes may that set it too.
    /// \param ec why one cannot listen there; then none does. Unix sockets: `operation_not_supported`.
    template <class Params>
    group_listener listen(Params params, error_code& ec) {
        std::vector<listener> all;
        if (brokers_.size() != 1 && !detail::share_port_of(params, 0)) {
            // Whoever shares a port shares it with other groups too: there must be none.
            auto alone = params;
            detail::share_port_of(alone, 0, false);
            brokers_.front()->listen(alone, ec).stop();
            if (ec)
                return {};
        }
        for (const auto& b : brokers_) {
            all.push_back(b->listen(params, ec));
            if (ec) {
                for (auto& l : all)
                    l.stop();
                return {};
            }
            if (brokers_.size() != 1)
                detail::share_port_of(params, all.front().port());
        }
        return group_listener(std::move(all));
    }

    /// The same. \throws boost::system::system_error
    template <class Params>
    group_listener listen(Params params) {
        error_code ec;
        auto l = listen(std::move(params), ec);
        if (ec)
            throw boost::system::system_error(ec, "listen");
        return l;
    }

    /// `post_publish` of the topic's home: messages of one thread to one topic keep their order. If that
    /// broker has ended, of another, which can publish only what has no history. *Any thread.*
    bool post_publish(std::string_view topic, std::string_view payload, const publish_options& options = {}) {
        return from(home_of(topic)).post_publish(topic, payload, options);
    }

    /// `async_publish` of the same broker. *Any thread.*
    template <class CompletionToken>
    auto async_publish(
        std::string_view topic, std::string_view payload, const publish_options& options,
        CompletionToken&& token) {
        return from(home_of(topic))
            .async_publish(topic, payload, options, std::forward<CompletionToken>(token));
    }

    /// Ends a session, or all sessions of a uid, wherever they are: `broker_core::kick`. *Any thread.*
    void kick(std::uint64_t session_id, std::string reason = "kicked") {
        for (const auto& broker : brokers_)
            broker->post([session_id, reason](broker_core* b) {
                if (b)
                    b->kick(session_id, reason);
            });
    }
    void kick_uid(std::string uid, std::string reason = "kicked") {
        from(0).post([uid = std::move(uid), reason = std::move(reason)](broker_core* b) {
            if (b)
                b->kick_uid(uid, reason);
        });
    }

    /// Adds up the numbers of all brokers: of those that have ended, what they were then. It completes when
    /// the event loops of the others have come to it. *Any thread.*
    /// \param token completes with `void(error_code, broker_stats)`. Errors: `operation_aborted`.
    /// Cancellation: total.
    template <class CompletionToken>
    auto async_stats(CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code, broker_stats)>(
            [this](auto handler) {
                auto op =
                    detail::handed_over_op<broker_stats>::start(std::move(handler), from(0).get_executor());
                struct sum {
                    std::mutex mutex;
                    broker_stats stats;
                    std::size_t left;
                };
                const auto all = std::make_shared<sum>();
                all->left = brokers_.size();
                const auto add = [op, all](const broker_stats& s) {
                    const std::lock_guard lock(all->mutex);
                    detail::add(all->stats, s);
                    if (--all->left == 0 && op->claim())
                        op->complete({}, std::move(all->stats));
                };
                for (std::size_t i = 0; i != brokers_.size(); ++i)
                    ended_->ask(i, *brokers_[i], [add](const broker_core& b) { add(b.stats()); }, add);
            },
            token);
    }

    /// Stops all brokers, each from its event loop: `broker_core::cancel`. *Any thread.*
    void cancel() {
        for (const auto& broker : brokers_)
            broker->post([](broker_core* b) {
                if (b)
                    b->cancel();
            });
    }

    /// Stops all brokers in good order: `broker_core::async_drain`. What was handed over before gets to its
    /// subscribers. Those that have ended are done. *Any thread.*
    /// \param token completes with `void(error_code)` when all are done: success, or the first error.
    /// Cancellation: total, of the waiting alone; the brokers go on.
    template <class CompletionToken>
    auto async_drain(std::chrono::milliseconds limit, CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code)>(
            [this, limit](auto handler) {
                auto op = detail::handed_over_op<>::start(std::move(handler), from(0).get_executor());
                struct outcome {
                    std::mutex mutex;
                    error_code first;
                    std::size_t left;
                };
                const auto all = std::make_shared<outcome>();
                all->left = brokers_.size();
                const auto done = [op, all](error_code ec) {
                    const std::lock_guard lock(all->mutex);
                    if (ec && !all->first)
                        all->first = ec;
                    if (--all->left == 0 && op->claim())
                        op->complete(all->first);
                };
                for (std::size_t i = 0; i != brokers_.size(); ++i)
                    ended_->ask(
                        i, *brokers_[i], [limit, done](broker_core& b) { b.async_drain(limit, done); },
                        [done](const broker_stats&) { done({}); });
            },
            token);
    }

private:
    template <class Contexts>
    static std::vector<boost::asio::any_io_executor> executors_of(Contexts& contexts) {
        std::vector<boost::asio::any_io_executor> all;
        for (auto& c : contexts)
            all.push_back(c.get_executor());
        return all;
    }

    /// Brokers that have been stopped, whose event loops may not run any more, and their last numbers.
    class ended {
    public:
        using answer = std::function<void(const broker_stats&)>;

        explicit ended(std::size_t brokers) : all_(brokers) {}

        void add(std::size_t i, const broker_stats& s) {
            std::vector<std::pair<claim, answer>> waiting;
            {
                const std::lock_guard lock(mutex_);
                all_[i].stats = s;
                waiting.swap(all_[i].waiting);
                bits_.fetch_or(std::uint64_t{1} << i, std::memory_order_release);
            }
            for (const auto& [first, f] : waiting)
                if (!first->exchange(true))
                    f(s);
        }
        [[nodiscard]] bool has(std::size_t i) const noexcept {
            return (bits_.load(std::memory_order_acquire) >> i & 1) != 0;
        }
        /// Asks a broker for something, which it answers on its executor, or has answered for it with its
        /// last numbers when it ends; once.
        template <class Broker, class Ask>
        void ask(std::size_t i, Broker& b, Ask&& ask_it, answer otherwise) {
            const auto first = std::make_shared<std::atomic<bool>>(false);
            std::optional<broker_stats> last;
            {
                const std::lock_guard lock(mutex_);
                last = all_[i].stats;
                if (!last) {
                    std::erase_if(all_[i].waiting, [](const auto& w) { return w.first->load(); });
                    all_[i].waiting.emplace_back(first, otherwise);
                }
            }
            if (last)
                return otherwise(*last);
            b.post([first, ask_it = std::forward<Ask>(ask_it)](broker_core* it) {
                if (it && !first->exchange(true))
                    ask_it(*it);
            });
        }

    private:
        using claim = std::shared_ptr<std::atomic<bool>>;
        struct one {
            std::optional<broker_stats> stats;
            std::vector<std::pair<claim, answer>> waiting;
        };

        std::mutex mutex_; // held for a look
        std::vector<one> all_;
        std::atomic<std::uint64_t> bits_ = 0;
    };

    /// The broker with that number, or the next that has not ended; if all have, the one with that number.
    [[nodiscard]] broker_type& from(std::size_t first) noexcept {
        for (std::size_t n = 0; n != brokers_.size(); ++n)
            if (const auto i = (first + n) % brokers_.size(); !ended_->has(i))
                return *brokers_[i];
        return *brokers_[first];
    }
    [[nodiscard]] std::size_t home_of(std::string_view topic) const noexcept {
        return detail::text_hash(group_->seed)(topic) % brokers_.size();
    }

    std::shared_ptr<ended> ended_;
    std::shared_ptr<detail::local_group> group_;
    std::vector<std::unique_ptr<broker_type>> brokers_;
};

} // namespace pusher::inline v0
