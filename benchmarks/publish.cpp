// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What a publish in process costs, beside a bare loop over the `std::function`s that a hash map has for the
// topic: once `std::unordered_map`, once `boost::unordered_flat_map`, both with std::hash. All take turns in
// slices of some milliseconds; the handlers are the same, and every call is counted.

#include <pusher/broker.hpp>

#include "support/options.hpp"
#include "support/turns.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using namespace bench;

struct plan {
    std::uint64_t bytes;
    std::uint64_t repeat;
    std::uint64_t slices;
    std::uint64_t nanoseconds; ///< of a slice
};

// ---- the bare loop

/// As much of a message as a handler here looks at.
struct bare_message {
    std::string_view topic;
    std::string_view payload;
};

using bare_handlers = std::vector<std::function<void(const bare_message&)>>;

struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
        return std::hash<std::string_view>()(text);
    }
};

template <class Map>
struct bare {
    // Not inlined, as the broker's is not.
    [[gnu::noinline]] std::size_t publish(std::string_view topic, std::string_view payload) const {
        const auto found = topics.find(topic);
        if (found == topics.end())
            return 0;
        const bare_message m{topic, payload};
        for (const auto& f : found->second)
            f(m);
        return found->second.size();
    }

    Map topics;
};

using bare_std = bare<std::unordered_map<std::string, bare_handlers, text_hash, std::equal_to<>>>;
using bare_flat = bare<boost::unordered_flat_map<std::string, bare_handlers, text_hash, std::equal_to<>>>;

// ---- one work for all

struct work {
    const char* name;
    std::size_t topics;
    std::size_t handlers; ///< of each topic
    double target;        ///< of the ratio; 0: none
};

class contest {
public:
    contest(const plan& p, const work& w) : plan_(p), work_(w), payload_(p.bytes, 'x') {
        for (std::size_t i = 0; i != w.topics; ++i)
            topics_.push_back("device/" + std::to_string(i) + "/state");
        // In an order of its own: neighbours in memory are not published to one after another.
        std::shuffle(topics_.begin(), topics_.end(), std::mt19937_64(1));
        auto each = topics_;
        std::shuffle(each.begin(), each.end(), std::mt19937_64(2));
        for (const auto& topic : each)
            for (std::size_t i = 0; i != w.handlers; ++i) {
                subscriptions_.push_back(broker_.subscribe(
                    topic, [&heard = heard_[0]](const pusher::message& m) { heard += m.payload().size(); }));
                const auto listen = [](std::uint64_t& heard) {
                    return [&heard](const bare_message& m) { heard += m.payload.size(); };
                };
                std_.topics[topic].emplace_back(listen(heard_[1]));
                flat_.topics[topic].emplace_back(listen(heard_[2]));
            }
        batch_ = std::max<std::size_t>(1, 1000 / w.handlers);
    }

    /// \return nanoseconds of a publish: ours, std, flat
    std::vector<double> run() {
        const std::vector<contestant> all{
            [this] { return publish(0, [this](auto t) { return broker_.publish(t, payload_).matched; }); },
            [this] { return publish(1, [this](auto t) { return std_.publish(t, payload_); }); },
            [this] { return publish(2, [this](auto t) { return flat_.publish(t, payload_); }); }};
        auto took = take_turns(all, plan_.slices, plan_.nanoseconds);
        for (std::size_t i = 0; i != heard_.size(); ++i)
            if (heard_[i] != matched_[i] * payload_.size() || heard_[i] == 0)
                throw std::runtime_error("the handlers have not heard all");
        return took;
    }

private:
    template <class F>
    std::uint64_t publish(std::size_t whose, F&& f) {
        for (std::size_t i = 0; i != batch_; ++i) {
            auto& next = next_[whose];
            matched_[whose] += f(std::string_view(topics_[next]));
            next = next + 1 == topics_.size() ? 0 : next + 1;
        }
        return batch_;
    }

    const plan& plan_;
    const work& work_;
    std::string payload_;
    std::vector<std::string> topics_;
    std::size_t batch_ = 1;
    std::array<std::size_t, 3> next_{};
    std::array<std::uint64_t, 3> matched_{};
    std::array<std::uint64_t, 3> heard_{}; ///< bytes
    boost::asio::io_context context_{1};
    pusher::broker<> broker_{context_};
    bare_std std_;
    bare_flat flat_;
    std::vector<pusher::subscription> subscriptions_;
};

/// Threads that post as fast as the broker admits, and this one, which runs it.
class posting {
public:
    explicit posting(const plan& p) : payload_(p.bytes, 'x') {
        subscription_ = broker_.subscribe("device/1/state", [this](const pusher::message&) { ++heard_; });
    }

    /// \return nanoseconds of a message, from the first post to the last call of the handler
    double run(std::uint64_t messages) {
        constexpr std::uint64_t producers = 2;
        heard_ = 0;
        std::atomic<std::uint64_t> ready{0};
        std::atomic<bool> go{false};
        std::vector<std::thread> threads;
        for (std::uint64_t i = 0; i != producers; ++i)
            threads.emplace_back([&] {
                ++ready;
                while (!go)
                    std::this_thread::yield();
                for (std::uint64_t n = 0; n != messages;)
                    if (broker_.post_publish("device/1/state", payload_))
                        ++n;
                    else
                        std::this_thread::yield();
            });
        while (ready != producers)
            std::this_thread::yield();
        context_.restart(); // it was out of work
        const auto work = boost::asio::make_work_guard(context_);
        const auto began = steady_ns();
        go = true;
        while (heard_ != producers * messages)
            context_.run_one();
        const auto took = steady_ns() - began;
        for (auto& t : threads)
            t.join();
        return static_cast<double>(took) / static_cast<double>(producers * messages);
    }

private:
    std::string payload_;
    std::uint64_t heard_ = 0;
    boost::asio::io_context context_;
    pusher::broker<> broker_{context_};
    pusher::subscription subscription_;
};

std::string target_text(double target) {
    if (target == 0)
        return "";
    char room[32];
    std::snprintf(room, sizeof room, "≤ %.1f", target);
    return room;
}

void print(const char* name, const std::array<figures, 5>& f, double target) {
    std::printf(
        "| %s | %s | %s | %s | %s | %s | %s |\n", name, f[0].text(1).c_str(), f[1].text(1).c_str(),
        f[2].text(1).c_str(), f[3].text(2).c_str(), f[4].text(2).c_str(), target_text(target).c_str());
    std::fflush(stdout);
}

void measure(const plan& p) {
    static constexpr std::array<work, 5> works{{
        {"1 topic × 1 handler", 1, 1, 2.5},
        {"1 topic × 10 handlers", 1, 10, 0},
        {"1 topic × 1000 handlers", 1, 1000, 1.2},
        {"1000 topics × 1 handler", 1000, 1, 0},
        {"100,000 topics × 1 handler", 100'000, 1, 1.5},
    }};
    std::printf(
        "**A publish of %llu B in process, ns; medians of %llu repetitions**\n\n"
        "| | pusher | std::unordered_map | boost::unordered_flat_map | of std | of flat | target, of std |\n"
        "|---|---|---|---|---|---|---|\n",
        static_cast<unsigned long long>(p.bytes), static_cast<unsigned long long>(p.repeat));
    for (const auto& w : works) {
        contest c(p, w);
        std::array<figures, 5> f;
        for (std::uint64_t r = 0; r != p.repeat; ++r) {
            const auto took = c.run();
            for (std::size_t i = 0; i != 3; ++i)
                f[i].add(took[i]);
            f[3].add(took[0] / took[1]);
            f[4].add(took[0] / took[2]);
        }
        print(w.name, f, w.target);
    }
    contest bare(p, works[0]);
    posting post(p);
    std::array<figures, 5> f;
    for (std::uint64_t r = 0; r != p.repeat; ++r) {
        const auto took = bare.run();
        f[0].add(post.run(200'000));
        f[1].add(took[1]);
        f[2].add(took[2]);
        f[3].add(f[0].last() / took[1]);
        f[4].add(f[0].last() / took[2]);
    }
    print("`post_publish` by 2 threads, beside a bare publish to 1 handler", f, 10);
    std::puts("");
}

constexpr const char* usage = "publish [--bytes B] [--repeat R] [--slices S] [--millis MS]\n"
                              "  --bytes   of each payload (128)\n"
                              "  --repeat  repetitions (5)\n"
                              "  --slices  that each contestant has in a repetition (10)\n"
                              "  --millis  of each slice (10)\n";

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    const plan p{
        std::max<std::uint64_t>(1, given.number("--bytes", 128)),
        std::max<std::uint64_t>(1, given.number("--repeat", 5)),
        std::max<std::uint64_t>(1, given.number("--slices", 10)),
        given.number("--millis", 10, 1) * 1'000'000};
    given.done();
    try {
        measure(p);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "publish: %s\n", e.what());
        return 1;
    }
}
