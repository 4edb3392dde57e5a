// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/services.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <utility>

namespace pusher::inline v0::detail {

/// The broker's executor for a socket of a channel. Each socket holds one, and so does each operation that
/// waits for it: this one is a pointer, where `any_io_executor` is seven.
///
/// For completions only: it runs them at once where it may, since they come from the very context that the
/// broker works on. Whoever uses it must keep the services.
class socket_executor {
public:
    explicit socket_executor(const services& s) noexcept : services_(&s) {}

    [[nodiscard]] boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept {
        return boost::asio::query(services_->executor(), boost::asio::execution::context);
    }

    [[nodiscard]] boost::asio::any_io_executor require(boost::asio::execution::blocking_t::never_t) const {
        return boost::asio::require(services_->executor(), boost::asio::execution::blocking.never);
    }

    template <class F>
    void execute(F&& f) const {
        // A context that is run by one thread; anything else, such as a strand, decides for itself.
        if (services_->executor().target<boost::asio::io_context::executor_type>())
            std::forward<F>(f)();
        else
            services_->executor().execute(std::forward<F>(f));
    }

    friend bool operator==(const socket_executor& a, const socket_executor& b) noexcept {
        return a.services_ == b.services_;
    }

private:
    const services* services_;
};

} // namespace pusher::inline v0::detail
