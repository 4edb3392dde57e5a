// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/connector.hpp>

namespace pusher::inline v0 {

namespace detail {

PUSHER_DECL void steady_client_clock::wait(time_point when, std::function<void()> f) {
    timer_.expires_at(when);
    timer_.async_wait([f = std::move(f)](error_code ec) {
        if (!ec)
            f();
    });
}

PUSHER_DECL void steady_client_clock::cancel() noexcept {
    try {
        timer_.cancel();
    } catch (...) { // it may throw in theory, by its signature
    }
}

} // namespace detail

namespace detail {

PUSHER_DECL socket_connector::socket_connector(std::shared_ptr<services> s, client_channel_factory secure)
    : services_(std::move(s)),
      secure_(std::move(secure)),
      resolver_(services_->executor()) {}

PUSHER_DECL void socket_connector::connect(
    const client_url& url, std::size_t attempt, std::function<void(error_code, channel_ptr)> done) {
    cancel();
    url_ = url;
    done_ = std::move(done);
    last_error_ = boost::asio::error::host_not_found;
    if (url.what == client_url::kind::local) {
        endpoints_.emplace_back(boost::asio::local::stream_protocol::endpoint(url.target));
        return try_next();
    }
    error_code ec;
    const auto address = boost::asio::ip::make_address(url.host, ec);
    if (!ec) {
        endpoints_.emplace_back(boost::asio::ip::tcp::endpoint(address, url.port));
        return try_next();
    }
    using boost::asio::ip::tcp;
    resolver_.async_resolve(
        url.host, std::to_string(url.port), tcp::resolver::numeric_service,
        [self = weak_from_this(), run = run_,
         attempt](error_code failed, const tcp::resolver::results_type& found) {
            const auto s = self.lock();
            if (!s || s->run_ != run)
                return;
            if (failed)
                s->last_error_ = failed;
            for (const auto& entry : found)
                s->endpoints_.emplace_back(entry.endpoint());
            if (!s->endpoints_.empty())
                std::rotate(
                    s->endpoints_.begin(),
                    s->endpoints_.begin() + static_cast<std::ptrdiff_t>(attempt % s->endpoints_.size()),
                    s->endpoints_.end());
            s->try_next();
        });
}

PUSHER_DECL void socket_connector::cancel() noexcept {
    ++run_;
    done_ = nullptr;
    next_ = 0;
    endpoints_.clear();
    socket_.reset();
    try {
        resolver_.cancel();
    } catch (...) { // it may throw in theory, by its signature
    }
}

PUSHER_DECL void socket_connector::try_next() {
    if (next_ == endpoints_.size())
        return finish(last_error_, nullptr);
    const auto to = endpoints_[next_++];
    socket_.emplace(services_->executor());
    error_code ec;
    socket_->open(to.protocol(), ec);
    if (!ec && url_.what != client_url::kind::local)
        socket_->set_option(boost::asio::ip::tcp::no_delay(true), ec);
    if (ec) {
        last_error_ = ec;
        return try_next();
    }
    socket_->async_connect(to, [self = weak_from_this(), run = run_](error_code failed) {
        const auto s = self.lock();
        if (!s || s->run_ != run)
            return;
        if (failed) {
            s->last_error_ = failed;
            return s->try_next();
        }
        s->connected();
    });
}

PUSHER_DECL void socket_connector::connected() {
    error_code ec;
    channel_ptr c;
    try {
        c = make_channel();
    } catch (const boost::system::system_error& e) {
        ec = e.code();
    } catch (...) { // the host's own factory
        ec = errc::handler_threw;
    }
    finish(ec, std::move(c));
}

PUSHER_DECL channel_ptr socket_connector::make_channel() {
    auto socket = std::move(*socket_);
    socket_.reset();
    return url_.secure ? secure_(std::move(socket), url_, services_)
                       : channel_ptr(new socket_channel(std::move(socket), services_));
}

PUSHER_DECL void socket_connector::finish(error_code ec, channel_ptr c) {
    boost::asio::post(services_->executor(), [self = weak_from_this(), run = run_, ec, c = std::move(c)] {
        const auto s = self.lock();
        if (!s || s->run_ != run) {
            if (c)
                c->close();
            return;
        }
        const auto done = std::exchange(s->done_, nullptr);
        s->cancel();
        if (done)
            done(ec, c);
    });
}

} // namespace detail

} // namespace pusher::inline v0
