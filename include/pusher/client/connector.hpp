// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/environment.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/socket_channel.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// Makes a channel of a connected socket, to speak TLS through it (`ext/tls.hpp`). The channel takes no bytes
/// until its handshake is done, and reports a failed one with `at_end`; the client's connect timeout bounds
/// it, and ends it with `close`. What it throws counts as an attempt that has failed.
using client_channel_factory =
    std::function<channel_ptr(stream_socket, const client_url&, const std::shared_ptr<services>&)>;

namespace detail {

/// Real time.
class steady_client_clock final : public client_clock {
public:
    explicit steady_client_clock(const boost::asio::any_io_executor& executor) : timer_(executor) {}

    [[nodiscard]] time_point now() const override { return std::chrono::steady_clock::now(); }

    void wait(time_point when, std::function<void()> f) override {
        timer_.expires_at(when);
        timer_.async_wait([f = std::move(f)](error_code ec) {
            if (!ec)
                f();
        });
    }
    void cancel() noexcept override {
        try {
            timer_.cancel();
        } catch (...) { // it may throw in theory, by its signature
        }
    }

private:
    boost::asio::steady_timer timer_;
};

/// Connects sockets. A name's addresses are tried one after another, beginning with another one each attempt,
/// so that one that swallows everything does not hide the others for ever.
class socket_connector final : public client_connector,
                               public std::enable_shared_from_this<socket_connector> {
public:
    socket_connector(std::shared_ptr<services> s, client_channel_factory secure)
        : services_(std::move(s)),
          secure_(std::move(secure)),
          resolver_(services_->executor()) {}

    void connect(
        const client_url& url, std::size_t attempt,
        std::function<void(error_code, channel_ptr)> done) override {
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

    void cancel() noexcept override {
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

private:
    using endpoint = boost::asio::generic::stream_protocol::endpoint;

    void try_next() {
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

    void connected() {
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

    channel_ptr make_channel() {
        auto socket = std::move(*socket_);
        socket_.reset();
        return url_.secure ? secure_(std::move(socket), url_, services_)
                           : channel_ptr(new socket_channel(std::move(socket), services_));
    }

    /// From the event loop, even if it could be said at once.
    void finish(error_code ec, channel_ptr c) {
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

    std::shared_ptr<services> services_;
    client_channel_factory secure_;
    boost::asio::ip::tcp::resolver resolver_;
    client_url url_;
    std::function<void(error_code, channel_ptr)> done_;
    std::vector<endpoint> endpoints_;
    std::size_t next_ = 0;
    std::optional<stream_socket> socket_;
    error_code last_error_;
    std::size_t run_ = 0; ///< what belongs to an earlier one is too late
};

} // namespace detail
} // namespace pusher::inline v0
