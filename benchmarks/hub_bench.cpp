// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The library as a server under test: a broker with an HTTP listener as anybody would set it up, native on
// `/ws`, raw on `/raw`, server-sent events on `/events`; both dialects on TCP; and the control connection.

#include <pusher/broker.hpp>
#include <pusher/dialect/websocket_decoder.hpp>

#include "support/control.hpp"
#include "support/options.hpp"
#include "support/system.hpp"
#include "support/websocket.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using pusher::error_code;

/// A control connection.
class controller final : public pusher::channel_user {
public:
    class owner {
    public:
        /// \return the answer; empty: it comes later.
        virtual std::string command(controller& from, std::string_view line) = 0;
        virtual void gone(controller& c) = 0;

    protected:
        ~owner() = default;
    };

    controller(pusher::channel_ptr c, owner& o, std::string handshake) : channel_(std::move(c)), owner_(&o) {
        channel_->set_user(this);
        out_ = std::move(handshake);
        at_writable();
        channel_->read();
    }
    ~controller() { channel_->close(); }

    void answer(std::string_view line) {
        pusher::append_frame(out_, pusher::websocket_opcode::text, line);
        at_writable();
    }

private:
    struct visitor {
        controller& c;

        void on_message(const pusher::websocket_message& m) {
            if (const auto text = c.owner_->command(c, m.payload); !text.empty())
                c.answer(text);
        }
        void on_ping(std::string_view) {}
        void on_pong(std::string_view) {}
        void on_close(std::uint16_t, std::string_view) {}
    };

    bool at_bytes(std::span<char> bytes) override {
        decoder_.feed(bytes, pusher::websocket_limits{}, visitor{*this});
        return true;
    }
    void at_writable() override { out_.erase(0, channel_->write(out_)); }
    void at_end(error_code) override { owner_->gone(*this); }

    pusher::channel_ptr channel_;
    owner* owner_;
    pusher::websocket_decoder<pusher::websocket_role::server> decoder_;
    std::string out_;
};

class server final : public controller::owner {
public:
    server(std::uint16_t port, pusher::broker_params params, const pusher::link_limits& limits, bool deflate)
        : broker_(context_, std::move(params)),
          timer_(context_),
          signals_(context_, SIGINT, SIGTERM) {
        pusher::http_params http;
        http.listen->port = port;
        http.limits = limits;
        http.deflate.enabled = deflate;
        http.handler = [this](const pusher::http_connection_ptr& c) { return request(c); };
        pusher::tcp_params tcp{.listen = {.port = 0}, .limits = limits};
        const auto lines = broker_.listen(tcp).port();
        tcp.dialect = pusher::dialect::raw;
        const auto frames = broker_.listen(tcp).port();
        bench::announce(broker_.listen(http).port(), lines, frames);
        signals_.async_wait([this](error_code, int) { context_.stop(); });
    }

    void run() { context_.run(); }

private:
    bool request(const pusher::http_connection_ptr& c) {
        const std::string target(c->request().target());
        const auto key = c->request().find("Sec-WebSocket-Key");
        if (bench::websocket::path_of(target) != "/control" || key == c->request().end())
            return false;
        auto answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: " +
                      bench::websocket::answer_to({key->value().data(), key->value().size()}) + "\r\n\r\n";
        controls_.insert(std::make_unique<controller>(c->release().first, *this, std::move(answer)));
        return true;
    }

    std::string command(controller& from, std::string_view line) override {
        if (line == "count") {
            const auto stats = broker_.stats();
            return bench::count_line(stats.sessions, stats.subscriptions);
        }
        const auto order = bench::parse_publish(line);
        if (!order || job_)
            return job_ ? "fail busy" : "fail not a command";
        // What flow control admits may fill the other half of an outbox, and no more.
        if (order->overflow == bench::overflow::wait && order->topics == 1 &&
            order->per_turn > broker_.params().outbox.messages / 2)
            return "fail more in a turn than half of --outbox-messages";
        while (names_.size() < order->topics)
            names_.push_back(bench::topic_name(names_.size()));
        waits_ = peak_ = 0;
        dropped_before_ = dropped();
        publisher_ = &from;
        job_.emplace(*order);
        asio::post(context_, [this] { turn(); });
        return {};
    }

    void gone(controller& c) override {
        if (publisher_ == &c)
            publisher_ = nullptr;
        const auto found = std::find_if(
            controls_.begin(), controls_.end(), [&](const auto& other) { return other.get() == &c; });
        asio::post(
            context_, [gone = std::shared_ptr<controller>(controls_.extract(found).value().release())] {});
    }

    // ---- publishing

    void turn() {
        if (const auto due = job_->due(); due > bench::steady_ns()) {
            timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(due)));
            return timer_.async_wait([this](error_code ec) {
                if (!ec)
                    turn();
            });
        }
        job_->turn([this](std::uint32_t topic, std::string_view payload) {
            broker_.publish(names_[topic], payload);
        });
        asio::post(context_, [this] { flushed(); });
    }

    /// The turn is written, as far as sessions take it.
    void flushed() {
        if (job_->finished() || !publisher_)
            return finish();
        if (job_->order().overflow == bench::overflow::drop)
            return turn();
        if (!broker_.writable()) {
            ++waits_;
            broker_.for_each_session([this](const pusher::session_info& s) {
                peak_ = std::max<std::uint64_t>(peak_, s.queued_bytes);
            });
        }
        broker_.async_wait_writable([this](error_code ec) {
            if (!ec)
                turn();
        });
    }

    void finish() {
        if (const auto to = std::exchange(publisher_, nullptr))
            to->answer(job_->done(waits_, peak_, dropped() - dropped_before_));
        job_.reset();
    }

    [[nodiscard]] std::uint64_t dropped() const {
        const auto s = broker_.stats();
        return s.dropped_overflow + s.dropped_disconnected + s.dropped_undeliverable;
    }

    asio::io_context context_{1};
    pusher::broker<pusher::transport::all> broker_;
    asio::steady_timer timer_;
    asio::signal_set signals_;
    std::set<std::unique_ptr<controller>> controls_;
    std::vector<std::string> names_;
    std::optional<bench::publish_job> job_;
    controller* publisher_ = nullptr;
    std::uint64_t waits_ = 0, peak_ = 0, dropped_before_ = 0;
};

constexpr const char* usage =
    "hub_bench [--port P] [--outbox BYTES] [--outbox-messages N] [--sndbuf BYTES] [--history N]\n"
    "          [--deflate]\n"
    "  --port             port on 127.0.0.1; 0, the default, takes a free one\n"
    "  --outbox           what may wait for a session, bytes (1048576, the library's default)\n"
    "  --outbox-messages  the same in messages (256, the library's default)\n"
    "  --sndbuf           SO_SNDBUF of each session; 0 leaves it to the system (131072, the library's "
    "default)\n"
    "  --history          messages that each topic keeps (0, the library's default)\n"
    "  --deflate          compresses messages of 1 KiB and more for WebSockets that offer it\n";

} // namespace

int main(int argc, char** argv) {
    bench::options given(argc, argv, usage);
    const auto port = given.port("--port");
    pusher::broker_params params;
    pusher::link_limits limits;
    params.outbox.bytes = given.number("--outbox", params.outbox.bytes);
    params.outbox.messages = given.number("--outbox-messages", params.outbox.messages);
    limits.send_buffer = given.number("--sndbuf", limits.send_buffer);
    params.history.messages = given.number("--history", params.history.messages);
    const bool deflate = given.flag("--deflate");
    given.done();
    // `overflow=wait` promises that nothing is lost: no session may be left behind, however long it sleeps.
    params.tolerated_slow_sessions = 0;
    params.slow_session_patience = std::chrono::minutes(1);
    try {
        bench::raise_descriptor_limit();
        server(port, std::move(params), limits, deflate).run();
    } catch (const std::exception& e) {
        std::fprintf(stderr, "hub_bench: %s\n", e.what());
        return 1;
    }
}
