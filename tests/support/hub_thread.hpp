// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

// A broker in a thread of its own, and clients that block.

namespace test {

namespace asio = boost::asio;
using asio::ip::tcp;
using pusher::error_code;

/// Why sessions ended, in order.
class closing_observer final : public pusher::observer {
public:
    void at_close(const pusher::subscriber_info&, const pusher::close_reason& r) override {
        reasons.push_back(r.error);
    }

    std::vector<error_code> reasons;
};

/// A broker that runs in a thread of its own. Its end waits until the event loop has nothing left to do.
class hub_thread {
public:
    using hub_type = pusher::broker<pusher::transport::all>;

    explicit hub_thread(pusher::broker_params p = {}) : work_(io_.get_executor()) {
        p.observer = &closed_;
        hub_ = std::make_unique<hub_type>(io_, std::move(p));
        thread_ = std::thread([this] { io_.run(); });
    }
    hub_thread(const hub_thread&) = delete;
    hub_thread& operator=(const hub_thread&) = delete;
    ~hub_thread() { stop(); }

    /// Runs `f(hub)` in the broker's thread.
    template <class F>
    auto on(F f) {
        std::packaged_task<std::invoke_result_t<F, hub_type&>()> task([&] { return f(*hub_); });
        auto result = task.get_future();
        asio::post(io_, [&] { task(); });
        return result.get();
    }

    /// Waits until `f(hub)` says yes in the broker's thread.
    template <class F>
    void until(F f) {
        while (!on(f))
            std::this_thread::yield();
    }

    template <class Params>
    std::uint16_t listen(const Params& p) {
        return on([&](hub_type& hub) { return hub.listen(p).port(); });
    }

    void publish(std::string_view topic, std::string_view payload) {
        on([&](hub_type& hub) { hub.publish(topic, payload); });
    }

    /// Waits until there are so many sessions.
    void until_sessions(std::size_t n) {
        until([n](hub_type& hub) { return hub.stats().sessions == n; });
    }

    /// Waits until so many sessions have ended.
    std::vector<error_code> until_closed(std::size_t n) {
        until([&](hub_type&) { return closed_.reasons.size() >= n; });
        return on([&](hub_type&) { return closed_.reasons; });
    }

    /// Destroys the broker and waits for the event loop.
    void stop() {
        if (!thread_.joinable())
            return;
        std::promise<void> gone;
        asio::post(io_, [&] {
            hub_.reset();
            work_.reset();
            gone.set_value();
        });
        gone.get_future().wait();
        thread_.join();
    }

    asio::io_context& io() { return io_; }

private:
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    closing_observer closed_;
    std::unique_ptr<hub_type> hub_;
    std::thread thread_;
};

inline tcp::socket connect(asio::io_context& io, std::uint16_t port, int receive_buffer = 0) {
    tcp::socket s(io, tcp::v4());
    if (receive_buffer != 0)
        s.set_option(asio::socket_base::receive_buffer_size(receive_buffer));
    s.connect({asio::ip::address_v4::loopback(), port});
    s.set_option(tcp::no_delay(true));
    return s;
}

/// Closes a socket so that the peer sees a reset.
template <class Socket>
void reset(Socket& s) {
    error_code ignored;
    s.set_option(asio::socket_base::linger(true, 0), ignored);
    s.close(ignored);
}

/// Talks lines over TLS, or over a plain socket, and blocks.
template <class Stream>
class line_client {
public:
    template <class... Args>
    explicit line_client(Args&&... args) : stream(std::forward<Args>(args)...) {}

    void send(std::string_view text) { asio::write(stream, asio::buffer(text)); }

    void request(const std::string& action, const std::string& params) {
        send("{\"request_id\":\"r\",\"action\":\"" + action + "\",\"params\":" + params + "}\n");
    }

    std::string line() {
        const auto n = asio::read_until(stream, asio::dynamic_buffer(in_), '\n');
        auto text = in_.substr(0, n - 1);
        in_.erase(0, n);
        return text;
    }

    /// Everything until the end.
    std::string rest(error_code& ec) {
        asio::read(stream, asio::dynamic_buffer(in_), ec);
        return std::exchange(in_, {});
    }

    Stream stream;

private:
    std::string in_;
};

inline bool holds(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

/// The payload of a push, if it is simple.
inline std::string payload_of(std::string_view push) {
    constexpr std::string_view before = "\"payload\":\"";
    const auto at = push.find(before);
    if (at == push.npos)
        return {};
    const auto begin = at + before.size();
    return std::string(push.substr(begin, push.find('"', begin) - begin));
}

/// How many messages a line tells of as lost; 0 if it is no gap marker.
inline std::size_t gap_of(std::string_view line) {
    constexpr std::string_view before = "\"gap\":{\"count\":";
    const auto at = line.find(before);
    return at == line.npos
               ? 0
               : static_cast<std::size_t>(std::stoul(std::string(line.substr(at + before.size()))));
}

} // namespace test
