// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The paths that messages take, each to be run a number of times under a tool that counts instructions, as
// counts.py does with `valgrind --tool=callgrind --toggle-collect=counted_calls`. Nothing here depends on
// time or chance but for the seeds of hash tables.

#include <pusher/broker.hpp>
#include <pusher/dialect/native_encoding.hpp>
#include <pusher/dialect/native_request.hpp>
#include <pusher/dialect/websocket_decoder.hpp>
#include <pusher/testing/memory_transport.hpp>

#include "support/options.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/version.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gnu/libc-version.h>

/// What is called inside is counted.
extern "C" [[gnu::noinline]] void counted_calls(const std::function<void()>& f, std::uint64_t times) {
    for (std::uint64_t i = 0; i != times; ++i)
        f();
}

namespace {

namespace asio = boost::asio;
using namespace bench;

void require(bool expected, const char* what) {
    if (!expected)
        throw std::runtime_error(what);
}

const std::string& payload() {
    static const std::string text(128, 'x');
    return text;
}

pusher::broker_params fixed_clock() {
    return {.clock = [] { return pusher::wall_time(std::chrono::hours(500'000)); }};
}

/// A path: what is called, and in its destructor what must have come of it.
struct path {
    path() = default;
    path(const path&) = delete;
    path& operator=(const path&) = delete;
    virtual ~path() = default;

    virtual void call() = 0;
    /// \param calls so many there were
    virtual void check(std::uint64_t calls) = 0;
};

// ---- in process

class publishing final : public path {
public:
    publishing(std::size_t topics, std::size_t handlers, std::size_t filters) {
        for (std::size_t i = 0; i != topics; ++i) {
            topics_.push_back("device/" + std::to_string(i) + "/state");
            for (std::size_t h = 0; h != handlers; ++h)
                subscriptions_.push_back(
                    broker_.subscribe(topics_.back(), [this](const pusher::message&) { ++heard_; }));
        }
        const pusher::subscribe_options filter{.match = pusher::match_mode::filter};
        for (std::size_t i = 0; i != filters; ++i)
            subscriptions_.push_back(broker_.subscribe(
                "+/" + std::to_string(i) + "/alarm", [this](const pusher::message&) { ++heard_; }, filter));
        expected_ = handlers;
    }

    void call() override {
        broker_.publish(topics_[next_], payload());
        next_ = next_ + 1 == topics_.size() ? 0 : next_ + 1;
    }
    void check(std::uint64_t calls) override {
        require(heard_ == calls * expected_, "handlers were not called once for each message");
    }

private:
    asio::io_context context_{1};
    pusher::broker<> broker_{context_, fixed_clock()};
    std::vector<std::string> topics_;
    std::vector<pusher::subscription> subscriptions_;
    std::size_t next_ = 0;
    std::uint64_t heard_ = 0;
    std::uint64_t expected_ = 0;
};

class posting final : public path {
public:
    void call() override {
        for (int i = 0; i != 32; ++i)
            broker_.post_publish("device/1/state", payload());
        context_.restart();
        context_.poll();
    }
    void check(std::uint64_t calls) override { require(heard_ == calls * 32, "not all was published"); }

private:
    asio::io_context context_{1};
    pusher::broker<> broker_{context_, fixed_clock()};
    std::uint64_t heard_ = 0;
    pusher::subscription subscription_ =
        broker_.subscribe("device/1/state", [this](const pusher::message&) { ++heard_; });
};

class subscribing final : public path {
public:
    subscribing() {
        for (int i = 0; i != 9; ++i) {
            others_.push_back(broker_.make_subscriber());
            others_.back().subscribe("device/1/state");
        }
        others_.push_back(broker_.make_subscriber());
    }

    void call() override {
        others_.back().subscribe("device/1/state"); // one of ten
        others_.back().subscribe("device/2/state"); // the only one
        others_.back().unsubscribe("device/1/state");
        others_.back().unsubscribe("device/2/state");
    }
    void check(std::uint64_t) override {
        require(broker_.stats().subscriptions == 9 && broker_.stats().topics == 1, "a subscription is left");
    }

private:
    asio::io_context context_{1};
    pusher::broker<> broker_{context_, fixed_clock()};
    std::vector<pusher::subscriber> others_;
};

// ---- sessions

/// A peer that looks at nothing.
class quiet_peer final : private pusher::channel_user {
public:
    explicit quiet_peer(pusher::channel_ptr c) : channel_(std::move(c)) {
        channel_->set_user(this);
        channel_->read();
    }
    quiet_peer(const quiet_peer&) = delete;
    quiet_peer& operator=(const quiet_peer&) = delete;
    ~quiet_peer() { channel_->close(); }

    void send(std::string_view text) {
        require(channel_->write({text.data(), text.size()}) == text.size(), "there is no room");
    }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    bool at_bytes(std::span<char> bytes) override {
        bytes_ += bytes.size();
        return true;
    }
    void at_writable() override {}
    void at_end(pusher::error_code) override {}

    pusher::channel_ptr channel_;
    std::uint64_t bytes_ = 0;
};

/// A turn of the event loop that brings messages, and what the transport in memory does with them.
class flushing final : public path {
public:
    /// \param messages of a turn, each to the next topic
    flushing(std::size_t sessions, std::size_t topics, std::size_t messages, pusher::broker_params params)
        : broker_(context_, std::move(params)),
          messages_(messages) {
        broker_.listen(pusher::testing::memory_params{&port_});
        for (std::size_t i = 0; i != sessions; ++i)
            peers_.push_back(std::make_unique<quiet_peer>(port_.connect()));
        for (std::size_t i = 0; i != topics; ++i)
            topics_.push_back("device/" + std::to_string(i) + "/state");
        // One session takes all, or each topic has a session.
        for (std::size_t i = 0; i != std::max(sessions, topics); ++i)
            peers_[i * sessions / std::max(sessions, topics)]->send(
                R"({"action":"subscribe","params":{"topic":")" + topics_[i % topics] + "\"}}\n");
        run();
        require(broker_.stats().subscriptions == std::max(sessions, topics), "not all have subscribed");
        before_ = bytes();
        each_ = std::max(sessions, topics) / topics;
    }

    void call() override {
        for (std::size_t i = 0; i != messages_; ++i) {
            broker_.publish(topics_[next_], payload());
            next_ = next_ + 1 == topics_.size() ? 0 : next_ + 1;
        }
        run();
    }
    void check(std::uint64_t calls) override {
        require(broker_.stats().delivered == calls * messages_ * each_, "not all was delivered");
        require(bytes() - before_ > calls * messages_ * each_ * payload().size(), "peers have not got it");
    }

private:
    void run() {
        context_.restart();
        context_.poll();
    }
    [[nodiscard]] std::uint64_t bytes() const {
        std::uint64_t all = 0;
        for (const auto& p : peers_)
            all += p->bytes();
        return all;
    }

    asio::io_context context_{1};
    pusher::testing::memory_port port_;
    pusher::broker<pusher::testing::memory> broker_;
    std::size_t messages_;
    std::vector<std::string> topics_;
    std::vector<std::unique_ptr<quiet_peer>> peers_;
    std::size_t next_ = 0;
    std::uint64_t before_ = 0;
    std::uint64_t each_ = 0;
};

// ---- dialects

template <class Encoding>
class encoding final : public path {
public:
    encoding() {
        fields_.topic = "device/1/state";
        fields_.payload = payload();
        fields_.sequence = 1'000'000;
        fields_.sequence_epoch = 0x0123456789ABCDEF;
        fields_.receive_time = pusher::wall_time(std::chrono::hours(500'000));
        fields_.position = pusher::topic_position{0xFEDCBA9876543210, 1000};
    }

    void call() override {
        bytes_.clear();
        encoding_.push(pusher::message(fields_), bytes_);
    }
    void check(std::uint64_t) override {
        require(bytes_.find(payload()) != std::string::npos, "the payload is not there");
    }

private:
    Encoding encoding_;
    pusher::message::fields fields_;
    std::string bytes_;
};

class parsing final : public path {
public:
    void call() override {
        pusher::native_request out;
        failed_ = failed_ || decoder_.decode(text_, out) || out.publish.payload.size() != payload().size();
    }
    void check(std::uint64_t) override { require(!failed_, "a request was not understood"); }

private:
    std::string text_ =
        R"({"request_id":"r-1","action":"publish","params":{"topic":"device/1/state","payload":")" +
        payload() + R"("}})";
    pusher::native_decoder decoder_;
    bool failed_ = false;
};

class unframing final : public path {
public:
    unframing() {
        constexpr std::array<char, 4> mask{0x12, 0x34, 0x56, 0x78};
        frame_ = {static_cast<char>(0x81), static_cast<char>(0xFE), 0, static_cast<char>(payload().size())};
        frame_.append(mask.data(), mask.size());
        for (std::size_t i = 0; i != payload().size(); ++i)
            frame_.push_back(static_cast<char>(payload()[i] ^ mask[i % 4]));
        bytes_ = frame_;
    }

    void call() override {
        std::memcpy(bytes_.data(), frame_.data(), frame_.size()); // it is unmasked in place
        decoder_.feed(bytes_, limits_, *this);
    }
    void check(std::uint64_t calls) override { require(messages_ == calls, "a frame was not understood"); }

    void on_message(const pusher::websocket_message& m) { messages_ += m.payload == payload() ? 1 : 0; }
    void on_ping(std::string_view) {}
    void on_pong(std::string_view) {}
    void on_close(std::uint16_t, std::string_view) {}

private:
    std::string frame_;
    std::string bytes_;
    pusher::websocket_limits limits_;
    pusher::websocket_decoder<pusher::websocket_role::server> decoder_;
    std::uint64_t messages_ = 0;
};

// ---- all of them

struct entry {
    const char* name;
    const char* what;
    std::uint64_t times; ///< enough for what happens now and then
    std::function<std::unique_ptr<path>()> make;
};

template <class Path, class... Arguments>
std::function<std::unique_ptr<path>()> with(const Arguments&... a) {
    return [a...] { return std::make_unique<Path>(a...); };
}

const std::vector<entry>& paths() {
    static const std::vector<entry> all{
        {"publish_1", "publish to 1 handler", 10'000, with<publishing>(1, 1, 0)},
        {"publish_1000", "publish to 1000 handlers", 200, with<publishing>(1, 1000, 0)},
        {"publish_topics", "publish to the next of 10,000 topics, 1 handler", 10'000,
         with<publishing>(10'000, 1, 0)},
        {"publish_filters", "publish to 1 handler, beside 1000 filters", 10'000,
         with<publishing>(1, 1, 1000)},
        {"post_publish", "post_publish 32 messages, and publish them to 1 handler", 300, with<posting>()},
        {"subscribe", "subscribe and unsubscribe two topics", 3000, with<subscribing>()},
        {"encode_line", "encode a push, a line", 3000, with<encoding<pusher::native_line_encoding>>()},
        {"encode_websocket", "encode a push, a WebSocket frame", 3000,
         with<encoding<pusher::native_websocket_encoding>>()},
        {"parse", "parse a publish request", 3000, with<parsing>()},
        {"parse_websocket", "parse a WebSocket frame", 3000, with<unframing>()},
        {"flush", "flush 1 message to 100 sessions", 300, with<flushing>(100, 1, 1, fixed_clock())},
        {"flush_run", "flush 32 messages of a topic to 100 sessions", 100,
         with<flushing>(100, 1, 32, fixed_clock())},
        {"flush_topics", "flush 32 messages of 32 topics to 1 session of 10", 300,
         with<flushing>(10, 320, 32, fixed_clock())},
    };
    return all;
}

/// A line for each thing that counts depend on, besides the library.
void about() {
    std::printf("compiler=" __VERSION__ "\nboost=" BOOST_LIB_VERSION "\nlibc=%s\n", gnu_get_libc_version());
    std::printf("standard_library=%ld\n", static_cast<long>(__GLIBCXX__));
#if defined(__clang__)
    std::puts("build=Clang");
#elif !defined(__OPTIMIZE__) || !defined(NDEBUG)
    std::puts("build=not optimized");
#elif defined(PUSHER_SEPARATE_COMPILATION)
    std::puts("build=separate compilation");
#elif !defined(__x86_64__)
    std::puts("build=another processor");
#else
    std::puts("build=optimized, header-only, x86-64");
#endif
}

constexpr const char* usage = "counts --about | --list | --path NAME [--times N]\n"
                              "  --about  what the counts depend on\n"
                              "  --list   the paths: name, calls, what it is\n"
                              "  --path   the one to take\n"
                              "  --times  how often, and once as often before it is counted\n";

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    const bool asks = given.flag("--about");
    const bool lists = given.flag("--list");
    const auto name = given.text("--path", "");
    auto times = given.number("--times", 0);
    given.done();
    if (asks)
        about();
    if (lists)
        for (const auto& p : paths())
            std::printf("%s %llu %s\n", p.name, static_cast<unsigned long long>(p.times), p.what);
    if (asks || lists)
        return 0;
    for (const auto& p : paths())
        if (name == p.name)
            try {
                times = times == 0 ? p.times : times;
                const auto taken = p.make();
                for (std::uint64_t i = 0; i != times; ++i) // what is kept for the next time is there
                    taken->call();
                counted_calls([&] { taken->call(); }, times);
                taken->check(2 * times);
                std::printf("%llu\n", static_cast<unsigned long long>(times));
                return 0;
            } catch (const std::exception& e) {
                std::fprintf(stderr, "counts: %s: %s\n", p.name, e.what());
                return 1;
            }
    given.fail("there is no such path: ", name);
}
