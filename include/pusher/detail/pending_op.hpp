// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <memory>
#include <utility>

namespace pusher::inline v0::detail {

/// An asynchronous operation that something else will complete, or its cancellation slot. It counts as work
/// of the handler's executor, and completes through it, never from inside the call that completes it.
template <class... Results>
class pending_op {
public:
    using handler_type = boost::asio::any_completion_handler<void(error_code, Results...)>;

    // Only ever constructed in place: the handler's own move assignment does not end in Boost 1.81.
    template <class Handler>
    pending_op(Handler&& handler, boost::asio::any_io_executor work)
        : handler_(std::forward<Handler>(handler)),
          work_(std::move(work)) {}

    template <class Handler>
    static std::shared_ptr<pending_op>
    start(Handler&& handler, const boost::asio::any_io_executor& fallback) {
        boost::asio::any_io_executor work = boost::asio::prefer(
            boost::asio::any_io_executor(boost::asio::get_associated_executor(handler, fallback)),
            boost::asio::execution::outstanding_work.tracked);
        const auto op = std::make_shared<pending_op>(std::forward<Handler>(handler), std::move(work));
        // Nothing has been taken for it yet, so that every kind of cancellation is a total one.
        op->on_cancel([weak = std::weak_ptr(op)](boost::asio::cancellation_type) {
            if (const auto self = weak.lock())
                self->complete(boost::asio::error::operation_aborted, Results()...);
        });
        return op;
    }

    /// Calls `f(kind of cancellation)` instead of completing when it is cancelled. `f` must not own this.
    template <class F>
    void on_cancel(F f) {
        // The erased handler's own slot: it has taken over that of the handler inside.
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (!slot.is_connected())
            return;
        slot.assign([f = std::move(f)](boost::asio::cancellation_type type) {
            if (type == boost::asio::cancellation_type::none)
                return;
            // Completing destroys what is being called.
            const auto call = f; // NOLINT(performance-unnecessary-copy-initialization)
            call(type);
        });
    }

    [[nodiscard]] bool done() const noexcept { return !handler_; }

    void complete(error_code ec, Results... results) {
        if (!handler_)
            return;
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected())
            slot.clear();
        auto handler = std::move(handler_);
        handler_ = nullptr;
        auto work = std::move(work_);
        boost::asio::post(
            work, [handler = std::move(handler), ec, ... result = std::move(results)]() mutable {
                std::move(handler)(ec, std::move(result)...);
            });
    }

private:
    handler_type handler_;
    boost::asio::any_io_executor work_;
};

} // namespace pusher::inline v0::detail
