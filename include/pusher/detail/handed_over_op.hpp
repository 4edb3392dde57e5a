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

#include <atomic>
#include <memory>
#include <utility>

namespace pusher::inline v0::detail {

/// An asynchronous operation that is begun in one thread and done in another: as `pending_op`, but its
/// handler may run, and be cancelled, on another executor than what completes it.
///
/// Whoever claims it first settles it. The handler and its cancellation slot, which are not thread safe, are
/// touched on the handler's executor alone.
template <class... Results>
class handed_over_op : public std::enable_shared_from_this<handed_over_op<Results...>> {
public:
    // The handler is constructed in place, see `pending_op`.
    template <class Handler>
    handed_over_op(Handler&& handler, boost::asio::any_io_executor work)
        : handler_(std::forward<Handler>(handler)),
          work_(std::move(work)) {}

    template <class Handler>
    static std::shared_ptr<handed_over_op>
    start(Handler&& handler, const boost::asio::any_io_executor& fallback) {
        boost::asio::any_io_executor work = boost::asio::prefer(
            boost::asio::any_io_executor(boost::asio::get_associated_executor(handler, fallback)),
            boost::asio::execution::outstanding_work.tracked);
        const auto op = std::make_shared<handed_over_op>(std::forward<Handler>(handler), std::move(work));
        auto slot = boost::asio::get_associated_cancellation_slot(op->handler_);
        if (slot.is_connected())
            slot.assign([weak = std::weak_ptr(op)](boost::asio::cancellation_type how) {
                const auto self = weak.lock();
                if (self && how != boost::asio::cancellation_type::none && self->claim())
                    self->complete(boost::asio::error::operation_aborted, Results()...);
            });
        return op;
    }

    /// Whether the caller is the one to do it, and to call `complete`. Any thread.
    [[nodiscard]] bool claim() noexcept { return !claimed_.exchange(true); }

    /// To be called by who has claimed it, once. Any thread.
    void complete(error_code ec, Results... results) {
        // It keeps the handler's context running until `post` has returned: whose `run` has returned may
        // destroy it.
        const auto work = std::move(work_);
        boost::asio::post(
            work, [self = this->shared_from_this(), ec, ... result = std::move(results)]() mutable {
                auto slot = boost::asio::get_associated_cancellation_slot(self->handler_);
                if (slot.is_connected())
                    slot.clear();
                auto handler = std::move(self->handler_);
                std::move(handler)(ec, std::move(result)...);
            });
    }

private:
    boost::asio::any_completion_handler<void(error_code, Results...)> handler_;
    boost::asio::any_io_executor work_;
    std::atomic<bool> claimed_ = false;
};

} // namespace pusher::inline v0::detail
