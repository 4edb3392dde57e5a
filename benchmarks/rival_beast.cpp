// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The Beast textbook pattern, after the chat-multi and advanced-server examples of Boost.Beast: a
// websocket::stream per session with the suggested timeouts and a read pending, a queue of shared strings,
// one async_write per message. Where the examples leave a choice, this takes the faster one (no strand, no
// post for each message, TCP_NODELAY).

#include "support/control.hpp"
#include "support/native.hpp"
#include "support/options.hpp"
#include "support/system.hpp"
#include "support/websocket.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using beast::error_code;

enum class kind : unsigned char { control, raw, native };

class session;

struct topic {
    std::string name;
    std::vector<session*> raw;
    std::vector<session*> native;
};

/// What the examples call the shared state: the topics with their sessions, and the publisher.
class hub {
public:
    hub(asio::io_context& context, std::uint64_t window, std::uint64_t outbox)
        : context_(context),
          timer_(context),
          window_(window),
          outbox_(outbox) {}

    topic* subscribe(std::string_view name, kind what, session* who) {
        auto& t = topics_[std::string(name)];
        if (!t)
            t = std::make_unique<topic>(topic{std::string(name), {}, {}});
        auto& list = what == kind::native ? t->native : t->raw;
        if (std::find(list.begin(), list.end(), who) != list.end())
            return nullptr;
        list.push_back(who);
        ++subscriptions_;
        return t.get();
    }

    void unsubscribe(topic* t, session* who) {
        subscriptions_ -= std::erase(t->raw, who) + std::erase(t->native, who);
    }

    void opened() noexcept { ++sessions_; }
    void closed() noexcept { --sessions_; }

    /// A session's waiting bytes went from `before` to `after`.
    void waiting(std::uint64_t before, std::uint64_t after) {
        peak_ = std::max(peak_, after);
        if (before <= window_ && after > window_)
            ++over_;
        if (before > window_ && after <= window_ && --over_ == 0 && std::exchange(stalled_, false))
            next_turn();
    }

    /// Whether a session with so much waiting is to lose the message.
    [[nodiscard]] bool refuses(std::uint64_t waiting) noexcept {
        const bool refused = job_ && job_->order().overflow == bench::overflow::drop && waiting > outbox_;
        dropped_ += refused ? 1U : 0U;
        return refused;
    }

    void command(std::string_view line, const std::shared_ptr<session>& from);

private:
    void next_turn() {
        asio::post(context_, [this] { turn(); });
    }

    void turn();
    void publish(std::uint32_t number, std::string_view payload);
    void finish();

    asio::io_context& context_;
    asio::steady_timer timer_;
    std::uint64_t window_, outbox_;
    std::unordered_map<std::string, std::unique_ptr<topic>> topics_;
    std::vector<topic*> numbered_; // the topics of the command, by number
    std::optional<bench::publish_job> job_;
    std::weak_ptr<session> owner_;
    bool stalled_ = false;
    std::uint64_t over_ = 0; // sessions with more than the window waiting
    std::uint64_t waits_ = 0, peak_ = 0, dropped_ = 0, published_ = 0;
    std::uint64_t sessions_ = 0, subscriptions_ = 0;
};

class session : public std::enable_shared_from_this<session> {
public:
    session(tcp::socket&& socket, hub& home, kind what)
        : stream_(std::move(socket)),
          home_(home),
          what_(what) {}

    ~session() {
        for (auto* t : topics_)
            home_.unsubscribe(t, this);
        if (accepted_ && what_ != kind::control)
            home_.closed();
        if (waiting_ != 0)
            home_.waiting(waiting_, 0);
    }

    void run(const http::request<http::string_body>& request) {
        stream_.set_option(beast::websocket::stream_base::timeout::suggested(beast::role_type::server));
        stream_.set_option(beast::websocket::stream_base::decorator(
            [](beast::websocket::response_type& answer) { answer.set(http::field::server, "rival_beast"); }));
        stream_.binary(what_ == kind::raw);
        if (what_ == kind::raw) {
            const auto target = request.target();
            for (const auto name : bench::websocket::topics_of({target.data(), target.size()}))
                subscribe(name);
        }
        stream_.async_accept(request, beast::bind_front_handler(&session::on_accept, shared_from_this()));
    }

    void send(const std::shared_ptr<const std::string>& message) {
        if (!accepted_ || home_.refuses(waiting_))
            return;
        queue_.push_back(message);
        home_.waiting(waiting_, waiting_ + message->size());
        waiting_ += message->size();
        if (queue_.size() == 1)
            write();
    }

private:
    void subscribe(std::string_view name) {
        if (auto* t = home_.subscribe(name, what_, this))
            topics_.push_back(t);
    }

    void on_accept(error_code error) {
        if (error)
            return;
        accepted_ = true;
        if (what_ != kind::control)
            home_.opened();
        read();
    }

    void read() {
        stream_.async_read(buffer_, beast::bind_front_handler(&session::on_read, shared_from_this()));
    }

    void on_read(error_code error, std::size_t) {
        if (error)
            return;
        const std::string text = beast::buffers_to_string(buffer_.data());
        buffer_.consume(buffer_.size());
        if (what_ == kind::control) {
            home_.command(text, shared_from_this());
        } else if (what_ == kind::native) {
            const auto name = bench::native::topic_of(text);
            if (!name.empty())
                subscribe(name);
            send(std::make_shared<const std::string>(bench::native::reply(!name.empty())));
        }
        read();
    }

    void write() {
        stream_.async_write(
            asio::buffer(*queue_.front()), beast::bind_front_handler(&session::on_write, shared_from_this()));
    }

    void on_write(error_code error, std::size_t) {
        if (error)
            return;
        const auto before = waiting_;
        waiting_ -= queue_.front()->size();
        queue_.erase(queue_.begin());
        if (!queue_.empty())
            write();
        home_.waiting(before, waiting_);
    }

    beast::websocket::stream<beast::tcp_stream> stream_;
    beast::flat_buffer buffer_;
    std::vector<std::shared_ptr<const std::string>> queue_;
    std::vector<topic*> topics_;
    hub& home_;
    std::uint64_t waiting_ = 0;
    kind what_;
    bool accepted_ = false;
};

void hub::command(std::string_view line, const std::shared_ptr<session>& from) {
    const auto reply = [&from](std::string text) {
        from->send(std::make_shared<const std::string>(std::move(text)));
    };
    if (line == "count")
        return reply(bench::count_line(sessions_, subscriptions_));
    const auto order = bench::parse_publish(line);
    if (!order || job_)
        return reply(job_ ? "fail busy" : "fail not a command");
    numbered_.assign(order->topics, nullptr);
    for (std::size_t i = 0; i != numbered_.size(); ++i)
        if (const auto found = topics_.find(bench::topic_name(i)); found != topics_.end())
            numbered_[i] = found->second.get();
    waits_ = peak_ = dropped_ = 0;
    owner_ = from;
    job_.emplace(*order);
    next_turn();
}

void hub::turn() {
    if (job_->finished() || owner_.expired())
        return finish();
    const std::chrono::steady_clock::time_point due{std::chrono::nanoseconds(job_->due())};
    if (due > std::chrono::steady_clock::now()) {
        timer_.expires_at(due);
        timer_.async_wait([this](error_code) { turn(); });
        return;
    }
    if (over_ != 0 && job_->order().overflow == bench::overflow::wait) {
        ++waits_;
        stalled_ = true; // `waiting` goes on
        return;
    }
    job_->turn([this](std::uint32_t number, std::string_view payload) { publish(number, payload); });
    next_turn();
}

void hub::publish(std::uint32_t number, std::string_view payload) {
    ++published_;
    const auto* const t = numbered_[number];
    if (t == nullptr)
        return;
    if (!t->raw.empty()) {
        const auto message = std::make_shared<const std::string>(payload);
        for (auto* s : t->raw)
            s->send(message);
    }
    if (!t->native.empty()) {
        std::string push;
        bench::native::append_push(push, t->name, payload, published_);
        const auto message = std::make_shared<const std::string>(std::move(push));
        for (auto* s : t->native)
            s->send(message);
    }
}

void hub::finish() {
    auto answer = job_->done(waits_, peak_, dropped_);
    job_.reset();
    if (const auto owner = owner_.lock())
        owner->send(std::make_shared<const std::string>(std::move(answer)));
}

/// Reads the upgrade request and hands the connection to a session.
class http_session : public std::enable_shared_from_this<http_session> {
public:
    http_session(tcp::socket&& socket, hub& home) : stream_(std::move(socket)), home_(home) {}

    void run() {
        parser_.emplace();
        parser_->header_limit(64 * 1024);
        stream_.expires_after(std::chrono::seconds(30));
        http::async_read(
            stream_, buffer_, *parser_,
            beast::bind_front_handler(&http_session::on_read, shared_from_this()));
    }

private:
    void on_read(error_code error, std::size_t) {
        if (error || !beast::websocket::is_upgrade(parser_->get()))
            return;
        const auto target = parser_->get().target();
        const auto path = bench::websocket::path_of({target.data(), target.size()});
        kind what{};
        if (path == "/raw")
            what = kind::raw;
        else if (path == "/ws")
            what = kind::native;
        else if (path != "/control")
            return;
        std::make_shared<session>(stream_.release_socket(), home_, what)->run(parser_->get());
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    hub& home_;
};

class listener {
public:
    listener(asio::io_context& context, std::uint16_t port, int sndbuf, hub& home)
        : acceptor_(context, tcp::endpoint(asio::ip::address_v4::loopback(), port)),
          sndbuf_(sndbuf),
          home_(home) {
        bench::announce(acceptor_.local_endpoint().port());
        accept();
    }

private:
    void accept() {
        acceptor_.async_accept([this](error_code error, tcp::socket socket) {
            if (error) {
                std::fprintf(stderr, "rival_beast: accept: %s\n", error.message().c_str());
                std::_Exit(1);
            }
            socket.set_option(tcp::no_delay(true));
            if (sndbuf_ != 0)
                socket.set_option(asio::socket_base::send_buffer_size(sndbuf_));
            std::make_shared<http_session>(std::move(socket), home_)->run();
            accept();
        });
    }

    tcp::acceptor acceptor_;
    int sndbuf_;
    hub& home_;
};

constexpr const char* usage =
    "rival_beast [--port P] [--window BYTES] [--outbox BYTES] [--sndbuf BYTES]\n"
    "  --port    port on 127.0.0.1; 0, the default, takes a free one\n"
    "  --window  overflow=wait: publish the next turn once no session has more waiting (4096)\n"
    "  --outbox  overflow=drop: a session with more waiting loses messages (1048576)\n"
    "  --sndbuf  SO_SNDBUF of each session; 0, the default, leaves it to the system\n";

} // namespace

int main(int argc, char** argv) {
    bench::options given(argc, argv, usage);
    const auto port = given.port("--port");
    const auto window = given.number("--window", 4 * 1024);
    const auto outbox = given.number("--outbox", 1024 * 1024);
    const auto sndbuf = static_cast<int>(given.number("--sndbuf", 0));
    given.done();
    try {
        bench::raise_descriptor_limit();
        asio::io_context context(1); // one thread, for ever: nothing here is taken down again
        hub home(context, window, outbox);
        listener door(context, port, sndbuf, home);
        context.run();
    } catch (const std::exception& e) {
        std::fprintf(stderr, "rival_beast: %s\n", e.what());
        return 1;
    }
}
