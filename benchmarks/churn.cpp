// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What subscribing and unsubscribing costs, in time and memory, with very many subscriptions, and whether all
// of it is given back; beside a bare hash map of vectors. And what a publish costs beside very many filters.
// Subscribers are those of the library in process: what a session has besides is in `sessions`.

#include <pusher/broker.hpp>

#include "support/heap_watch.hpp"
#include "support/options.hpp"
#include "support/turns.hpp"

#include <boost/asio/io_context.hpp>

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using namespace bench;

struct plan {
    std::uint64_t topics;
    std::uint64_t subscriptions;
    std::uint64_t each; ///< subscriptions of a subscriber
    std::uint64_t filters;
    std::uint64_t repeat;
};

std::string topic_name(std::uint64_t i) { return "device/" + std::to_string(i) + "/state"; }

/// What the process holds.
struct memory {
    double heap;
    double pss;

    static memory now() {
        double bytes = 0;
        for (const auto& c : heap_watch::live())
            bytes += static_cast<double>(c.bytes);
        return {bytes, static_cast<double>(process_memory(::getpid()).pss)};
    }
    [[nodiscard]] memory since(const memory& before, std::uint64_t count) const {
        const auto n = static_cast<double>(count);
        return {(heap - before.heap) / n, (pss - before.pss) / n};
    }
};

template <class F>
double nanoseconds_each(std::uint64_t count, F&& f) {
    const auto began = steady_ns();
    for (std::uint64_t i = 0; i != count; ++i)
        f(i);
    return static_cast<double>(steady_ns() - began) / static_cast<double>(count);
}

// ---- who can be subscribed

/// Subscribers with many subscriptions each, as sessions have them.
class queues {
public:
    explicit queues(const plan& p) : plan_(p) {
        for (std::uint64_t i = 0; i < p.subscriptions; i += p.each)
            subscribers_.push_back(broker_.make_subscriber());
    }

    void subscribe(std::uint64_t i, const std::string& topic) {
        subscribers_[i / plan_.each].subscribe(topic);
    }
    void unsubscribe(std::uint64_t i, const std::string& topic) {
        if (!subscribers_[i / plan_.each].unsubscribe(topic))
            throw std::runtime_error("there was no subscription");
    }
    [[nodiscard]] bool has(std::uint64_t subscriptions, std::uint64_t topics) const {
        return broker_.stats().subscriptions == subscriptions && broker_.stats().topics == topics;
    }

private:
    const plan& plan_;
    boost::asio::io_context context_{1};
    pusher::broker<> broker_{context_};
    std::vector<pusher::subscriber> subscribers_;
};

/// A handler for each subscription.
class handlers {
public:
    explicit handlers(const plan& p) : subscriptions_(p.subscriptions) {}

    void subscribe(std::uint64_t i, const std::string& topic) {
        subscriptions_[i] = broker_.subscribe(topic, [this](const pusher::message&) { ++heard_; });
    }
    void unsubscribe(std::uint64_t i, const std::string&) { subscriptions_[i].unsubscribe(); }
    [[nodiscard]] bool has(std::uint64_t subscriptions, std::uint64_t topics) const {
        return broker_.stats().subscriptions == subscriptions && broker_.stats().topics == topics;
    }

private:
    boost::asio::io_context context_{1};
    pusher::broker<> broker_{context_};
    std::uint64_t heard_ = 0;
    std::vector<pusher::subscription> subscriptions_;
};

/// What one would write without a library.
class bare {
public:
    explicit bare(const plan&) {}

    void subscribe(std::uint64_t i, const std::string& topic) {
        topics_[topic].emplace_back(i, [this](std::string_view) { ++heard_; });
        ++count_;
    }
    void unsubscribe(std::uint64_t i, const std::string& topic) {
        const auto found = topics_.find(topic);
        auto& list = found->second;
        const auto at = std::find_if(list.begin(), list.end(), [&](const auto& e) { return e.first == i; });
        std::swap(*at, list.back());
        list.pop_back();
        --count_;
        if (list.empty())
            topics_.erase(found);
    }
    [[nodiscard]] bool has(std::uint64_t subscriptions, std::uint64_t topics) const {
        return count_ == subscriptions && topics_.size() == topics;
    }

private:
    using handler = std::function<void(std::string_view)>;

    std::uint64_t count_ = 0;
    std::uint64_t heard_ = 0;
    std::unordered_map<std::string, std::vector<std::pair<std::uint64_t, handler>>> topics_;
};

// ---- subscriptions

struct result {
    double first_ns, first_heap, first_pss; ///< of a topic with one subscription
    double more_ns, more_heap, more_pss;    ///< of each further subscription
    double change_ns;                       ///< an unsubscribe and a subscribe, anywhere
    double end_ns;                          ///< an unsubscribe, until none is left
    double grown;                           ///< by the changes, bytes in all
    double again;                           ///< by all of it a second time, bytes in all
};

void check(bool expected) {
    if (!expected)
        throw std::runtime_error("subscriptions do not add up");
}

template <class Who>
result churn(const plan& p) {
    std::vector<std::string> topics;
    for (std::uint64_t i = 0; i != p.topics; ++i)
        topics.push_back(topic_name(i));
    std::mt19937_64 random(1);
    std::shuffle(topics.begin(), topics.end(), random);
    std::vector<std::uint32_t> order(p.subscriptions);
    for (std::uint32_t i = 0; i != order.size(); ++i)
        order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    const auto topic_of = [&](std::uint64_t i) -> const std::string& { return topics[i % topics.size()]; };

    Who who(p);
    result r{};
    double left = 0; // when none was left
    for (int round = 0; round != 2; ++round) {
        auto before = memory::now();
        r.first_ns = nanoseconds_each(p.topics, [&](auto i) { who.subscribe(i, topic_of(i)); });
        auto now = memory::now();
        if (round == 0)
            r.first_heap = now.since(before, p.topics).heap, r.first_pss = now.since(before, p.topics).pss;
        const auto more = p.subscriptions - p.topics;
        before = now;
        r.more_ns =
            nanoseconds_each(more, [&](auto i) { who.subscribe(p.topics + i, topic_of(p.topics + i)); });
        now = memory::now();
        if (round == 0)
            r.more_heap = now.since(before, more).heap, r.more_pss = now.since(before, more).pss;
        check(who.has(p.subscriptions, p.topics));
        before = now;
        r.change_ns = nanoseconds_each(p.subscriptions, [&](auto n) {
            const auto i = order[n];
            who.unsubscribe(i, topic_of(i));
            who.subscribe(i, topic_of(i));
        });
        check(who.has(p.subscriptions, p.topics));
        r.grown = memory::now().heap - before.heap;
        r.end_ns =
            nanoseconds_each(p.subscriptions, [&](auto n) { who.unsubscribe(order[n], topic_of(order[n])); });
        check(who.has(0, 0));
        const auto heap = memory::now().heap;
        r.again = heap - left;
        left = heap;
    }
    return r;
}

template <class Who>
void print_churn(const char* name, const plan& p) {
    const auto r = churn<Who>(p);
    std::printf(
        "| %s: %llu on %llu | %.0f B (PSS %.0f), %.0f ns | %.0f B (PSS %.0f), %.0f ns | %.0f ns | %.0f ns | "
        "%+.1f B "
        "| %+.1f B |\n",
        name, static_cast<unsigned long long>(p.subscriptions), static_cast<unsigned long long>(p.topics),
        r.first_heap, r.first_pss, r.first_ns, r.more_heap, r.more_pss, r.more_ns, r.change_ns, r.end_ns,
        r.grown / static_cast<double>(p.subscriptions), r.again / static_cast<double>(p.subscriptions));
}

// ---- filters

/// A broker with one handler on the topic that is published to, and filters.
class filtered {
public:
    filtered(const plan& p, const char* before, const char* behind) {
        const auto heard = [this](const pusher::message&) { ++heard_; };
        subscriptions_.push_back(broker_.subscribe("device/1/state", heard));
        if (!behind)
            return;
        for (std::uint64_t i = 0; i != p.filters; ++i)
            subscriptions_.push_back(broker_.subscribe(
                before + std::to_string(i) + behind, heard, {.match = pusher::match_mode::filter}));
    }

    std::uint64_t publish() {
        for (int i = 0; i != 1000; ++i)
            broker_.publish("device/1/state", "21.5");
        return 1000;
    }
    [[nodiscard]] std::size_t matched() { return broker_.publish("device/1/state", "21.5").matched; }

private:
    boost::asio::io_context context_{1};
    pusher::broker<> broker_{context_};
    std::uint64_t heard_ = 0;
    std::vector<pusher::subscription> subscriptions_;
};

void print_filters(const plan& p) {
    struct shape {
        const char* name;
        const char* before;
        const char* behind;
    };
    static constexpr std::array<shape, 6> shapes{{
        {"none", "", nullptr},
        {"`other/N/#`", "other/", "/#"},
        {"`device/N/alarm/#`", "device/", "/alarm/#"},
        {"`+/N/alarm`", "+/", "/alarm"},
        {"`+/+/N`", "+/+/", ""},
        {"`device/N/+`, one of which matches", "device/", "/+"},
    }};
    std::vector<std::unique_ptr<filtered>> all;
    for (const auto& s : shapes)
        all.push_back(std::make_unique<filtered>(p, s.before, s.behind));
    std::vector<contestant> turns;
    for (auto& f : all)
        turns.emplace_back([&f] { return f->publish(); });
    std::vector<std::array<figures, 2>> seen(all.size());
    for (std::uint64_t r = 0; r != p.repeat; ++r) {
        const auto took = take_turns(turns, 10, 5'000'000);
        for (std::size_t i = 0; i != all.size(); ++i) {
            seen[i][0].add(took[i]);
            seen[i][1].add(took[i] / took[0]);
        }
    }
    for (std::size_t i = 0; i != all.size(); ++i)
        std::printf(
            "| %s | %s | %s | %zu |\n", shapes[i].name, seen[i][0].text().c_str(), seen[i][1].text(2).c_str(),
            all[i]->matched());
}

constexpr const char* usage =
    "churn [--topics N] [--subscriptions N] [--each N] [--filters N] [--repeat R]\n"
    "  --topics         that are subscribed to, at least as many as of a subscriber (100000)\n"
    "  --subscriptions  on them, at least as many (1000000)\n"
    "  --each           of a subscriber, up to 1024 (1000)\n"
    "  --filters        beside which is published (10000)\n"
    "  --repeat         repetitions of that (5)\n";

/// In a process of its own: what one leaves behind would be room for the next.
template <class F>
int apart(F&& f) {
    std::fflush(stdout);
    const auto child = bench::check(::fork(), "fork");
    if (child == 0) {
        try {
            f();
            std::fflush(stdout);
            ::_exit(0);
        } catch (const std::exception& e) {
            std::fprintf(stderr, "churn: %s\n", e.what());
            ::_exit(1);
        }
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    plan p{};
    p.each = std::clamp<std::uint64_t>(given.number("--each", 1000), 1, 1024);
    p.topics = std::max(p.each, given.number("--topics", 100'000));
    p.subscriptions = std::max(p.topics, given.number("--subscriptions", 1'000'000));
    p.filters = given.number("--filters", 10'000, 1);
    p.repeat = std::max<std::uint64_t>(1, given.number("--repeat", 5));
    given.done();
    int failed = 0;
    std::printf("**Subscriptions on topics**\n\n"
                "| | topic with one subscription | each further subscription | unsubscribe and subscribe | "
                "unsubscribe "
                "| grown by changes, each | by all of it again, each |\n|---|---|---|---|---|---|---|\n");
    auto smaller = p;
    for (const std::uint64_t part : {100, 10, 1}) {
        smaller.topics = std::max(p.each, p.topics / part);
        smaller.subscriptions = std::max(smaller.topics, p.subscriptions / part);
        failed += apart([&] { print_churn<queues>("subscribers of many", smaller); });
    }
    smaller.topics = p.each; // on which all are: whichever list is shorter is long
    failed += apart([&] { print_churn<queues>("subscribers of many", smaller); });
    failed += apart([&] { print_churn<handlers>("a handler each", p); });
    failed += apart([&] { print_churn<bare>("a bare hash map of vectors of functions", p); });
    std::printf(
        "\n**A publish to one handler, beside %llu filters**\n\n"
        "| filters | ns | to none | handlers called |\n|---|---|---|---|\n",
        static_cast<unsigned long long>(p.filters));
    failed += apart([&] { print_filters(p); });
    std::puts("");
    return failed == 0 ? 0 : 1;
}
