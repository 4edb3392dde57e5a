// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>
#include <pusher/detail/pending_op.hpp>
#include <pusher/detail/subscriber.hpp>
#include <pusher/error.hpp>
#include <pusher/gap.hpp>
#include <pusher/message.hpp>
#include <pusher/subscribe_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

class broker_core;

/// What `subscribe` and `make_subscriber` take: called with each message, on the broker's executor. It may
/// throw: that is counted and observed, and others still get the message.
template <class F>
concept message_handler = std::invocable<F&, const message&>;

/// What `subscriber::async_receive` completes with.
struct delivery {
    /// Empty only beside an error.
    std::optional<pinned_message> message;

    /// Messages that this subscriber lost since its delivery before: its outbox was full, or they left the
    /// history before it came to them. A gap of unknown number (`gap::count` 0) counts as one.
    /// `subscriber::on_gap` tells of which topics.
    std::uint64_t missed = 0;
};

namespace detail {

template <class F>
class callback_subscriber final : public handler_subscriber {
public:
    template <class G>
    explicit callback_subscriber(G&& f) : handler_subscriber(&call),
                                          handler_(std::forward<G>(f)) {}

private:
    static void call(handler_subscriber& s, const message& m) {
        static_cast<callback_subscriber&>(s).handler_(m);
    }

    F handler_;
};

/// A subscriber whose messages wait until `async_receive` takes them.
class receive_subscriber final : public queue_subscriber {
public:
    receive_subscriber(const outbox_params& l, const boost::asio::any_io_executor& ex)
        : queue_subscriber(l),
          executor(ex) {}

    void at_queued() override {
        if (waiting)
            hand_over();
    }
    /// `async_receive` will find out, and say so.
    void at_overflow() override { end(errc::overflow); }
    void at_taken_over() override { end(errc::taken_over); }

    void end(error_code ec) {
        if (const auto op = std::exchange(waiting, nullptr))
            op->complete(ec, delivery{{}, std::exchange(missed, 0)});
    }

    void receive(std::shared_ptr<pending_op<delivery>> op) {
        if (waiting && !waiting->done())
            return op->complete(errc::receive_pending, {});
        if (overflowed)
            return op->complete(errc::overflow, delivery{{}, std::exchange(missed, 0)});
        if (!owner)
            return op->complete(closed ? errc::closed : errc::stopped, {});
        waiting = std::move(op);
        hand_over();
    }

    void hand_over() {
        if (waiting->done()) { // cancelled; what is queued stays for the next
            waiting = nullptr;
            return;
        }
        std::optional<pinned_message> next;
        std::vector<pending_gap> gaps;
        owner->take(
            *this, [&](const message& m) { next = m.pin(); },
            [&](const gap& g) {
                missed += g.count == 0 ? 1 : g.count;
                if (on_gap)
                    gaps.push_back(pending_gap::of(g));
            });
        if (!gaps.empty())
            tell(std::move(gaps));
        if (next)
            std::exchange(waiting, nullptr)
                ->complete({}, delivery{std::move(next), std::exchange(missed, 0)});
    }

    /// From the event loop, ahead of the completion: this may be in the middle of a turn's delivery.
    void tell(std::vector<pending_gap> gaps) {
        boost::asio::post(
            executor, [self = boost::intrusive_ptr<receive_subscriber>(this), gaps = std::move(gaps)] {
                for (const auto& g : gaps) {
                    const auto f = self->on_gap; // it may be replaced, and the subscriber closed, inside
                    if (!f || !self->owner)
                        return;
                    try {
                        f(g.view());
                    } catch (...) {
                        if (self->owner)
                            self->owner->handler_threw(self->info(), g.topic.view());
                    }
                }
            });
    }

    boost::asio::any_io_executor executor;
    std::shared_ptr<pending_op<delivery>> waiting;
    std::function<void(const gap&)> on_gap;
    std::uint64_t missed = 0;
    bool closed = false; ///< by its user, and not by the broker's end
};

} // namespace detail

/// One subscription of one handler; ends when this is destroyed. It may outlive the broker.
///
/// Movable, not thread safe: use it on the broker's executor. After `unsubscribe`, or its destruction, the
/// handler is never called again, and is destroyed; inside a handler, its own or another's, that is allowed
/// too, and it is destroyed when all who get the message were called, or before.
class [[nodiscard]] subscription {
public:
    subscription() noexcept = default;
    subscription(subscription&& other) noexcept = default;
    subscription& operator=(subscription&& other) noexcept {
        if (this != &other) {
            unsubscribe();
            subscriber_ = std::move(other.subscriber_);
            result_ = other.result_;
        }
        return *this;
    }
    ~subscription() { unsubscribe(); }

    void unsubscribe() noexcept {
        if (const auto s = std::exchange(subscriber_, nullptr); s && s->owner)
            s->owner->remove(*s);
    }

    /// Whether messages may still come.
    [[nodiscard]] bool active() const noexcept { return subscriber_ && subscriber_->owner; }

    /// Where it began in the topic's history, and whether a resume found all that was missed.
    [[nodiscard]] const subscribe_result& result() const noexcept { return result_; }

    /// Called when messages were lost that the history should have brought, before what follows them.
    void on_gap(std::function<void(const gap&)> f) {
        if (subscriber_)
            static_cast<detail::handler_subscriber&>(*subscriber_).on_gap =
                std::make_unique<std::function<void(const gap&)>>(std::move(f));
    }

private:
    friend class broker_core;
    subscription(detail::subscriber_ptr s, const subscribe_result& r) noexcept
        : subscriber_(std::move(s)),
          result_(r) {}

    detail::subscriber_ptr subscriber_;
    subscribe_result result_;
};

/// An identity in process: one handler, or one receiving coroutine, with any number of subscriptions. However
/// many of them match a message, it comes once. Ends when this is destroyed; may outlive the broker.
///
/// Movable, not thread safe: use it on the broker's executor.
class [[nodiscard]] subscriber {
public:
    subscriber() noexcept = default;
    subscriber(subscriber&& other) noexcept = default;
    subscriber& operator=(subscriber&& other) noexcept {
        if (this != &other) {
            close();
            executor_ = other.executor_;
            state_ = std::move(other.state_);
            receiver_ = std::move(other.receiver_);
        }
        return *this;
    }
    ~subscriber() { close(); }

    /// Ends all its subscriptions. A pending `async_receive` completes with `errc::closed`.
    void close() noexcept {
        if (const auto s = std::exchange(state_, nullptr)) {
            if (s->owner)
                s->owner->remove(*s);
            if (receiver_) {
                receiver_->closed = true;
                receiver_->end(errc::closed);
            }
        }
    }

    /// Subscribes to a topic or filter. The same (text, type, match) again replaces the options.
    ///
    /// \param ec `invalid_topic`, `invalid_filter`, `invalid_type`, `no_history`, `unsupported` (history of a
    /// filter), `too_many_topics`, `too_many_subscriptions`, `stopped`. On an error nothing has changed.
    subscribe_result subscribe(std::string_view text, const subscribe_options& options, error_code& ec) {
        if (!state_ || !state_->owner) {
            ec = errc::stopped;
            return {};
        }
        return state_->owner->subscribe(*state_, text, options, ec);
    }

    /// The same. \throws boost::system::system_error
    subscribe_result subscribe(std::string_view text, const subscribe_options& options = {}) {
        error_code ec;
        auto result = subscribe(text, options, ec);
        if (ec)
            throw boost::system::system_error(ec, "subscribe");
        return result;
    }

    /// Ends one subscription. \return false if there was none.
    bool
    unsubscribe(std::string_view text, std::string_view type = {}, match_mode match = match_mode::exact) {
        return state_ && state_->owner && state_->owner->unsubscribe(*state_, text, type, match);
    }

    /// Says that messages of a topic were dealt with, up to that offset, for subscriptions with
    /// `subscribe_options::acknowledge`.
    ///
    /// \param ec `not_found`: it has no such subscription to that topic; `invalid_message`: the message at
    /// that offset was not handed out; `stopped`.
    void acknowledge(std::string_view topic, std::uint64_t offset, error_code& ec) {
        if (!state_ || !state_->owner)
            ec = errc::stopped;
        else
            state_->owner->acknowledge(*state_, topic, offset, ec);
    }

    /// The same for a message that was received, and all before it. \throws boost::system::system_error
    void acknowledge(const message& m) {
        error_code ec;
        acknowledge(m.topic(), m.position() ? m.position()->offset : 0, ec);
        if (ec)
            throw boost::system::system_error(ec, "acknowledge");
    }

    /// Makes it one of those that `push_to(uid, …)` reaches. Empty: of nobody.
    void bind(std::string_view uid) {
        if (state_ && state_->owner)
            state_->owner->bind(*state_, uid);
    }

    /// For `publish_options::publisher`. 0 once it is closed.
    [[nodiscard]] std::uint64_t id() const noexcept { return state_ ? state_->id : 0; }
    [[nodiscard]] bool active() const noexcept { return state_ && state_->owner; }

    /// Called when messages were lost, before what follows them; for a subscriber that receives, from the
    /// event loop. It may do whatever a handler may. The gap is valid until it returns.
    void on_gap(std::function<void(const gap&)> f) {
        if (receiver_)
            receiver_->on_gap = std::move(f);
        else if (state_)
            static_cast<detail::handler_subscriber&>(*state_).on_gap =
                std::make_unique<std::function<void(const gap&)>>(std::move(f));
    }

    /// Takes the next message. Only for a subscriber that was made without a handler.
    ///
    /// Messages wait in an outbox with the broker's limits and overflow policy until they are taken, in
    /// publish order. One receive may be outstanding.
    ///
    /// \param token completes with `void(error_code, delivery)`.
    /// Errors: `receive_pending`: another one is; `closed`: this subscriber was closed; `overflow`: the
    /// outbox was full and the policy is to disconnect; `stopped`: the broker ended; `operation_aborted`:
    /// cancelled. Cancellation, of any kind, is total: no message is lost, the next receive takes it.
    template <class CompletionToken>
    auto async_receive(CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code, delivery)>(
            [](auto handler, boost::intrusive_ptr<detail::receive_subscriber> s,
               boost::asio::any_io_executor fallback) {
                auto op = detail::pending_op<delivery>::start(std::move(handler), fallback);
                if (s)
                    s->receive(std::move(op));
                else
                    op->complete(errc::closed, {});
            },
            token, receiver_, executor_);
    }

private:
    friend class broker_core;
    subscriber(
        detail::subscriber_ptr s, const boost::asio::any_io_executor& executor,
        detail::receive_subscriber* receiver = nullptr)
        : executor_(executor),
          state_(std::move(s)),
          receiver_(receiver) {}

    boost::asio::any_io_executor executor_ =
        boost::asio::system_executor(); ///< of the broker, once it has one
    detail::subscriber_ptr state_;
    boost::intrusive_ptr<detail::receive_subscriber> receiver_; ///< the same object, if it is one
};

} // namespace pusher::inline v0
