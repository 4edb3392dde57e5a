// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/dialect/native_request.hpp>

#include "catch.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

/// \file
/// A world in which a client can be tested to the letter: a clock that the test moves, connections in memory,
/// and a hub that says what the test tells it to.

namespace test {

using namespace std::chrono_literals;

/// How an asynchronous operation ended, and how often.
template <class... Results>
class outcome {
public:
    auto handler() const {
        return [state = state_](pusher::error_code ec, Results... results) {
            ++state->calls;
            state->ec = ec;
            state->results = std::tuple<Results...>(std::move(results)...);
        };
    }
    [[nodiscard]] bool done() const {
        CHECK(state_->calls <= 1);
        return state_->calls != 0;
    }
    [[nodiscard]] pusher::error_code ec() const {
        REQUIRE(done());
        return state_->ec;
    }
    [[nodiscard]] const auto& get() const {
        REQUIRE(done());
        return std::get<0>(state_->results);
    }

private:
    struct state {
        int calls = 0;
        pusher::error_code ec;
        std::tuple<Results...> results;
    };
    std::shared_ptr<state> state_ = std::make_shared<state>();
};

/// A clock that stands still until it is moved.
class manual_clock final : public pusher::client_clock {
public:
    explicit manual_clock(boost::asio::any_io_executor ex) : executor_(std::move(ex)) {}

    [[nodiscard]] time_point now() const override { return now_; }

    void wait(time_point when, std::function<void()> f) override {
        when_ = when;
        f_ = std::move(f);
        ring();
    }
    void cancel() noexcept override { f_ = nullptr; }

    void advance(std::chrono::milliseconds by) {
        now_ += by;
        ring();
    }

    /// Whether somebody waits.
    [[nodiscard]] bool armed() const noexcept { return f_ != nullptr; }

private:
    void ring() {
        if (f_ && now_ >= when_)
            boost::asio::post(executor_, std::exchange(f_, nullptr));
    }

    boost::asio::any_io_executor executor_;
    time_point now_ = time_point(1000h);
    time_point when_{};
    std::function<void()> f_;
};

/// Counts what may fail, and lets one of them.
struct fault_plan {
    std::size_t steps = 0;
    std::size_t fails_at = std::numeric_limits<std::size_t>::max();

    bool fails() noexcept { return steps++ == fails_at; }
};

/// A connection in memory, of which the test is the other end.
class memory_channel final : public pusher::channel {
public:
    memory_channel(boost::asio::any_io_executor ex, std::shared_ptr<fault_plan> plan)
        : executor_(std::move(ex)),
          plan_(std::move(plan)) {}

    // the client's side

    std::size_t write(std::span<const char> bytes) noexcept override {
        if (closed || broken_)
            return 0;
        if (plan_->fails()) {
            fail(boost::asio::error::broken_pipe);
            return 0;
        }
        const auto n = std::min(bytes.size(), room);
        written.append(bytes.data(), n);
        room -= n;
        blocked_ = n != bytes.size();
        return n;
    }
    void read() override {
        reading = true;
        deliver();
    }
    void shutdown() noexcept override { shut = true; }
    void close() noexcept override {
        set_user(nullptr);
        closed = true;
    }
    [[nodiscard]] std::string peer() const override { return "memory"; }

    // the test's side

    void say(std::string_view bytes) {
        said_ += bytes;
        deliver();
    }
    /// Ends the hub's direction, after what was said.
    void end(pusher::error_code ec = pusher::errc::peer_closed) {
        ended_ = ec;
        deliver();
    }
    /// Breaks at once.
    void fail(pusher::error_code ec) {
        broken_ = true;
        boost::asio::post(executor_, [self = self_ptr(this), ec] {
            if (self->user())
                self->user()->at_end(ec);
        });
    }
    void make_room(std::size_t bytes) {
        room = bytes;
        if (!std::exchange(blocked_, false))
            return;
        boost::asio::post(executor_, [self = self_ptr(this)] {
            if (self->user() && !self->broken_)
                self->user()->at_writable();
        });
    }
    [[nodiscard]] std::size_t unread() const noexcept { return said_.size(); }

    std::string written; ///< by the client, and not taken by the test
    std::size_t room = std::numeric_limits<std::size_t>::max();
    std::size_t piece = 64 * 1024; ///< most bytes that arrive at once
    bool reading = false;
    bool shut = false;
    bool closed = false;

private:
    using self_ptr = boost::intrusive_ptr<memory_channel>;

    void deliver() {
        boost::asio::post(executor_, [self = self_ptr(this)] { self->give(); });
    }
    void give() {
        if (!reading || !user() || broken_)
            return;
        if (said_.empty()) {
            if (const auto ec = std::exchange(ended_, std::nullopt)) {
                broken_ = true;
                user()->at_end(*ec);
            }
            return;
        }
        if (plan_->fails())
            return fail(boost::asio::error::connection_reset);
        auto bytes = said_.substr(0, piece); // memory of its own, for AddressSanitizer
        said_.erase(0, bytes.size());
        reading = user()->at_bytes(bytes) && user();
        if (reading)
            deliver();
    }

    boost::asio::any_io_executor executor_;
    std::shared_ptr<fault_plan> plan_;
    std::string said_;
    std::optional<pusher::error_code> ended_;
    bool broken_ = false;
    bool blocked_ = false;
};

class memory_connector final : public pusher::client_connector {
public:
    memory_connector(boost::asio::any_io_executor ex, std::shared_ptr<fault_plan> plan)
        : executor_(std::move(ex)),
          plan_(std::move(plan)) {}

    void connect(
        const pusher::client_url& url, std::size_t attempt,
        std::function<void(pusher::error_code, pusher::channel_ptr)> done) override {
        last_url = url;
        attempts.push_back(attempt);
        done_ = std::move(done);
        if (plan_->fails())
            answer(boost::asio::error::connection_refused);
        else if (accepts)
            answer({});
    }
    void cancel() noexcept override {
        ++run_;
        done_ = nullptr;
    }

    /// Answers the connect that is under way.
    void answer(pusher::error_code ec) {
        boost::asio::post(executor_, [this, ec, run = run_] {
            if (run != run_ || !done_)
                return;
            const auto done = std::exchange(done_, nullptr);
            if (!ec)
                channels.emplace_back(new memory_channel(executor_, plan_));
            done(ec, ec ? pusher::channel_ptr() : pusher::channel_ptr(channels.back()));
        });
    }
    [[nodiscard]] bool connecting() const noexcept { return done_ != nullptr; }

    bool accepts = true;
    pusher::client_url last_url;
    std::vector<std::size_t> attempts;
    std::vector<boost::intrusive_ptr<memory_channel>> channels;

private:
    boost::asio::any_io_executor executor_;
    std::shared_ptr<fault_plan> plan_;
    std::function<void(pusher::error_code, pusher::channel_ptr)> done_;
    std::size_t run_ = 0;
};

/// A request as the hub sees it.
struct asked {
    std::string id, action, token, topic, type, payload, key, message_id;
    pusher::match_mode match = pusher::match_mode::exact;
    std::optional<pusher::topic_position> resume;
    std::uint64_t history = 0;
    bool echo = true;
    std::optional<pusher::overflow_policy> overflow{};
};

inline asked read_request(std::string_view text) {
    pusher::native_decoder decoder;
    pusher::native_request r;
    INFO(text);
    REQUIRE(decoder.decode(text, r) == pusher::error_code());
    asked a;
    a.id = r.request_id;
    a.action = r.action_name;
    a.token = r.token;
    const bool publishes = r.action == pusher::native_action::publish;
    a.topic = publishes ? r.publish.topic : r.subscribe.topic;
    a.type = publishes ? r.publish.type : r.subscribe.type;
    a.payload = r.publish.payload;
    a.key = r.publish.key;
    a.message_id = r.publish.id;
    a.match = r.subscribe.match;
    a.resume = r.subscribe.resume;
    a.history = r.subscribe.history;
    a.echo = r.subscribe.echo;
    a.overflow = r.subscribe.overflow;
    return a;
}

/// The client, and its world.
struct client_world {
    static pusher::client_params params() {
        pusher::client_params p;
        p.url = "tcp://hub:9000";
        p.backoff_min = 100ms;
        p.backoff_max = 10s;
        p.backoff_jitter = 0;
        p.connect_timeout = 3s;
        p.request_timeout = 5s;
        p.ping_interval = 30s;
        p.close_timeout = 1s;
        return p;
    }

    explicit client_world(pusher::client_params p = params()) {
        client.emplace(io.get_executor(), std::move(p), pusher::client_environment{clock, connector});
    }

    void run() {
        io.restart();
        io.poll();
    }
    void pass(std::chrono::milliseconds t) {
        clock->advance(t);
        run();
    }

    // ---- the hub

    [[nodiscard]] memory_channel& hub() {
        REQUIRE(!connector->channels.empty());
        return *connector->channels.back();
    }

    /// Takes the next line that the client has sent.
    std::string take_line() {
        auto& text = hub().written;
        const auto end = text.find('\n');
        REQUIRE(end != text.npos);
        auto line = text.substr(0, end);
        text.erase(0, end + 1);
        return line;
    }
    asked take_request(std::string_view action) {
        auto a = read_request(take_line());
        CHECK(a.action == action);
        return a;
    }
    [[nodiscard]] bool silent() { return hub().written.empty(); }

    void say(std::string_view line) {
        hub().say(line);
        hub().say("\n");
        run();
    }
    void reply(const asked& to, pusher::native_reply r = {}) {
        r.request_id = to.id;
        r.action = to.action;
        std::string text;
        pusher::append_native_reply(text, r);
        say(text);
    }
    void refuse(const asked& to, std::string_view why) {
        pusher::native_reply r;
        r.ok = false;
        r.error_message = why;
        reply(to, r);
    }
    void push(
        std::string_view topic, std::string_view payload, std::optional<pusher::topic_position> position = {},
        std::string_view type = {}) {
        pusher::message::fields f;
        f.topic = topic;
        f.payload = payload;
        f.type = type;
        f.position = position;
        f.receive_time = pusher::wall_time();
        std::string text;
        pusher::append_native_push(text, pusher::message(f));
        say(text);
    }
    void gap(std::string_view topic, std::uint64_t count, std::optional<pusher::gap::range> offsets = {}) {
        std::string text;
        pusher::append_native_gap(text, {topic, count, offsets});
        say(text);
    }
    void goodbye(
        pusher::close_code code, std::string reason, std::optional<std::chrono::milliseconds> retry = {}) {
        std::string text;
        pusher::append_native_close(text, {code, {}, std::move(reason)}, retry);
        say(text);
    }

    /// Answers hello, and auth if there is a token.
    void greet(
        std::string_view token = {}, std::size_t max_request = 0, std::chrono::milliseconds heartbeat = 0ms) {
        const auto hello = take_request("hello");
        std::optional<asked> auth;
        if (!token.empty()) {
            auth = take_request("auth");
            CHECK(auth->token == token);
        }
        CHECK(silent());
        pusher::native_hello h;
        const auto session = "s" + std::to_string(connector->channels.size());
        h.session = session;
        h.max_request = max_request;
        h.heartbeat = heartbeat;
        pusher::native_reply r;
        r.hello = &h;
        reply(hello, r);
        if (auth)
            reply(*auth);
    }

    // ---- the user

    /// Runs, and gets as far as an open connection.
    outcome<> start() {
        outcome<> running;
        client->async_run(running.handler());
        run();
        greet();
        REQUIRE(client->connected());
        CHECK(take_as<pusher::client_connected>().session == "s1");
        return running;
    }

    auto publish(
        std::string_view topic, std::string_view payload,
        const pusher::client_publish_options& options = {}) {
        outcome<pusher::client_publish_result> o;
        client->async_publish(topic, payload, options, o.handler());
        run();
        return o;
    }
    auto subscribe(std::string_view topic, const pusher::subscribe_options& options = {}) {
        outcome<pusher::client_subscribe_result> o;
        client->async_subscribe(topic, options, o.handler());
        run();
        return o;
    }
    auto unsubscribe(std::string_view topic, const pusher::subscribe_options& options = {}) {
        outcome<> o;
        client->async_unsubscribe(topic, options, o.handler());
        run();
        return o;
    }
    /// Subscribes, and answers for the hub.
    void subscribed(
        std::string_view topic, std::optional<pusher::topic_position> newest = {},
        const pusher::subscribe_options& options = {}) {
        const auto o = subscribe(topic, options);
        pusher::native_reply r;
        r.position = newest;
        reply(take_request("subscribe"), r);
        CHECK(o.ec() == pusher::error_code());
    }

    auto receive() {
        outcome<pusher::client_event> o;
        client->async_receive(o.handler());
        run();
        return o;
    }
    /// What comes next; it must be there.
    pusher::client_event take() {
        const auto o = receive();
        REQUIRE(o.done());
        CHECK(o.ec() == pusher::error_code());
        return o.get();
    }
    template <class Event>
    Event take_as() {
        const auto e = take();
        INFO("event " << e.index());
        REQUIRE(std::holds_alternative<Event>(e));
        return std::get<Event>(e);
    }
    std::string take_payload() { return std::string(take_as<pusher::pinned_message>()->payload()); }

    /// Whether nothing waits to be received.
    [[nodiscard]] bool nothing() {
        boost::asio::cancellation_signal signal;
        outcome<pusher::client_event> o;
        client->async_receive(boost::asio::bind_cancellation_slot(signal.slot(), o.handler()));
        run();
        if (o.done())
            return false;
        signal.emit(boost::asio::cancellation_type::total);
        run();
        return o.ec() == boost::asio::error::operation_aborted;
    }

    boost::asio::io_context io;
    std::shared_ptr<fault_plan> plan = std::make_shared<fault_plan>();
    std::shared_ptr<manual_clock> clock = std::make_shared<manual_clock>(io.get_executor());
    std::shared_ptr<memory_connector> connector = std::make_shared<memory_connector>(io.get_executor(), plan);
    std::optional<pusher::client> client;
};

} // namespace test
