// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/detail/timer_queue.hpp>

#include "catch.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using namespace pusher::detail;
using namespace std::chrono_literals;
using duration = timer_queue::duration;
using time_point = timer_queue::time_point;

constexpr time_point start{1'000'000s};

struct named : timer_node {
    explicit named(int n) : name(n) {}
    int name;
};

/// The names that fire by `now`, in order.
std::vector<int> fired(timer_queue& queue, time_point now) {
    std::vector<int> names;
    queue.advance(now, [&](timer_node& node) { names.push_back(static_cast<named&>(node).name); });
    return names;
}

using names = std::vector<int>;

TEST_CASE("timer_queue: a node is at most 24 bytes and knows its kind", "[timer_queue]") {
    STATIC_REQUIRE(sizeof(timer_node) <= 24);
    CHECK(timer_node().kind() == 0);
    CHECK(timer_node(65535).kind() == 65535);
    timer_queue queue(100ms, start);
    timer_node node(7);
    queue.arm(node, time_point::max());
    CHECK(node.kind() == 7);
}

TEST_CASE("timer_queue: fires in the tick after the deadline, never before it", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named a(1);
    queue.arm(a, start + 250ms);
    CHECK(a.armed());
    CHECK(fired(queue, start).empty());
    CHECK(fired(queue, start + 250ms - 1ns).empty());
    CHECK(fired(queue, start + 300ms - 1ns).empty());
    CHECK(fired(queue, start + 300ms) == names{1});
    CHECK_FALSE(a.armed());
    CHECK(queue.empty());
    CHECK(fired(queue, start + 24h).empty());
}

TEST_CASE("timer_queue: a deadline on a boundary fires at the boundary", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named a(1);
    named b(2);
    queue.arm(a, start + 300ms);
    queue.arm(b, start + 300ms + 1ns);
    CHECK(fired(queue, start + 300ms - 1ns).empty());
    CHECK(fired(queue, start + 300ms) == names{1});
    CHECK(fired(queue, start + 400ms - 1ns).empty());
    CHECK(fired(queue, start + 400ms) == names{2});
}

TEST_CASE("timer_queue: times before the clock's zero are times like others", "[timer_queue]") {
    timer_queue queue(100ms, time_point(-10s));
    named a(1);
    named b(2);
    named c(3);
    queue.arm(a, time_point(-200ms));
    queue.arm(b, time_point(-150ms));
    queue.arm(c, time_point(0s));
    CHECK(queue.next_deadline() <= time_point(-200ms));
    CHECK(fired(queue, time_point(-200ms - 1ns)).empty());
    CHECK(fired(queue, time_point(-200ms)) == names{1});
    CHECK(fired(queue, time_point(-100ms - 1ns)).empty());
    CHECK(fired(queue, time_point(-100ms)) == names{2});
    CHECK(fired(queue, time_point(-1ns)).empty());
    CHECK(fired(queue, time_point(0s)) == names{3});
}

TEST_CASE(
    "timer_queue: order is by tick, then by arming, however far apart they were armed", "[timer_queue]") {
    timer_queue queue(100ms, start);
    std::deque<named> nodes;
    for (int i = 0; i != 6; ++i)
        nodes.emplace_back(i);
    queue.arm(nodes[0], start + 1h);
    queue.arm(nodes[1], start + 1s);
    queue.arm(nodes[2], start + 10min);
    CHECK(fired(queue, start + 30s) == names{1});
    queue.arm(nodes[3], start + 1h); // the tick of 0, met from nearer
    queue.arm(nodes[4], start + 1h - 100ms);
    CHECK(fired(queue, start + 59min + 58s) == names{2});
    queue.arm(nodes[5], start + 1h);
    CHECK(fired(queue, start + 2h) == names{4, 0, 3, 5});
}

TEST_CASE("timer_queue: a deadline in the past fires next, in the order of arming", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named a(1);
    named b(2);
    named c(3);
    CHECK(fired(queue, start + 10s).empty());
    queue.arm(c, start + 10s + 1ns);
    queue.arm(a, start + 5s);
    queue.arm(b, time_point::min());
    CHECK(queue.next_deadline() <= start + 10s);
    CHECK(fired(queue, start + 10s) == names{1, 2}); // the same time again
    CHECK(fired(queue, start + 11s) == names{3});
}

TEST_CASE("timer_queue: arming again moves", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named a(1);
    queue.arm(a, start + 1s);
    queue.arm(a, start + 1h);
    CHECK(fired(queue, start + 2s).empty());
    queue.arm(a, start + 3s);
    queue.arm(a, start + 3s - 1ns); // the same tick
    CHECK(fired(queue, start + 3s) == names{1});
    queue.arm(a, start + 1s); // overdue, and then not
    queue.arm(a, start + 4s);
    CHECK(fired(queue, start + 3s).empty());
    CHECK(fired(queue, start + 4s) == names{1});
}

TEST_CASE("timer_queue: cancelled and destroyed nodes do not fire", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named a(1);
    auto b = std::make_unique<named>(2);
    named c(3);
    named overdue(4);
    queue.arm(a, start + 1s);
    queue.arm(*b, start + 1s);
    queue.arm(c, start + 1s);
    queue.arm(overdue, start - 1s);
    timer_queue::cancel(a);
    timer_queue::cancel(a); // again, without effect
    timer_queue::cancel(overdue);
    b.reset();
    CHECK_FALSE(a.armed());
    CHECK(fired(queue, start + 2s) == names{3});
    queue.arm(a, start + 3s);
    CHECK(fired(queue, start + 3s) == names{1});
}

TEST_CASE("timer_queue: nodes may outlive the queue", "[timer_queue]") {
    named a(1);
    named b(2);
    named c(3);
    {
        timer_queue queue(100ms, start);
        queue.arm(a, start + 1s);
        queue.arm(b, start - 1s);
        queue.arm(c, start + 100h);
    }
    CHECK_FALSE(a.armed());
    CHECK_FALSE(b.armed());
    CHECK_FALSE(c.armed());
}

TEST_CASE("timer_queue: empty() and next_deadline() see through cancelled nodes", "[timer_queue]") {
    timer_queue queue(100ms, start);
    CHECK(queue.empty());
    CHECK(queue.next_deadline() == time_point::max());
    named near(1);
    named far(2);
    queue.arm(near, start + 150ms);
    queue.arm(far, start + 10h);
    CHECK_FALSE(queue.empty());
    CHECK(queue.next_deadline() == start + 200ms);
    timer_queue::cancel(near);
    CHECK_FALSE(queue.empty());
    CHECK(queue.next_deadline() > start + 200ms);
    CHECK(queue.next_deadline() <= start + 10h);
    timer_queue::cancel(far);
    CHECK(queue.empty());
    CHECK(queue.next_deadline() == time_point::max());
    queue.arm(far, start);
    CHECK_FALSE(queue.empty());
    CHECK(queue.next_deadline() <= start);
}

TEST_CASE(
    "timer_queue: whoever sleeps until next_deadline() wakes seldom and fires in time", "[timer_queue]") {
    for (const duration after :
         {duration(1ns), duration(50ms), duration(5s), duration(30s), duration(120s), duration(1h),
          duration(25h), duration(10'000h)}) {
        timer_queue queue(100ms); // as if nobody had said what time it is
        named a(1);
        queue.arm(a, start + after);
        int wakes = 0;
        auto now = start;
        for (;;) {
            now = std::max(now, queue.next_deadline());
            REQUIRE(++wakes <= 9);
            if (!fired(queue, now).empty())
                break;
        }
        CAPTURE(after.count(), wakes);
        CHECK(now >= start + after);
        CHECK(now < start + after + 100ms);
    }
}

TEST_CASE("timer_queue: time that stands still or goes back harms nothing", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named a(1);
    named b(2);
    queue.arm(a, start + 1s);
    for (int i = 0; i != 10; ++i)
        CHECK(fired(queue, start).empty());
    CHECK(fired(queue, start - 1h).empty());
    CHECK(fired(queue, time_point::min()).empty());
    queue.arm(b, start + 500ms);
    CHECK(fired(queue, start + 500ms) == names{2});
    CHECK(fired(queue, start).empty());
    CHECK(fired(queue, start + 1s) == names{1});
}

TEST_CASE("timer_queue: jumps of any size, to the ends of the clock", "[timer_queue]") {
    for (const duration granularity :
         {duration(1ms), duration(100ms), duration(7'777'777ns), duration(24h)}) {
        timer_queue queue(granularity, time_point::min());
        std::deque<named> nodes;
        // Deadlines on all scales; their order is that of the numbers.
        std::vector<time_point> deadlines{time_point::min() + granularity};
        for (auto step = granularity * 2; step < duration::max() / 8; step *= 3)
            deadlines.push_back(time_point::min() + step);
        for (auto step = duration::max() / 8; step > granularity * 2; step /= 3)
            deadlines.push_back(time_point::max() - step);
        names all;
        for (std::size_t i = 0; i != deadlines.size(); ++i) {
            nodes.emplace_back(static_cast<int>(i));
            all.push_back(static_cast<int>(i));
        }
        for (std::size_t i = deadlines.size(); i-- != 0;)
            queue.arm(nodes[i], deadlines[i]);
        CHECK(fired(queue, time_point::max()) == all);
        CHECK(queue.empty());
    }
}

TEST_CASE("timer_queue: the last deadline of the clock is never reached early", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named never(1);
    queue.arm(never, time_point::max());
    CHECK(queue.next_deadline() > start);
    CHECK(fired(queue, time_point::max() - 1ns).empty());
    CHECK_FALSE(queue.empty());
    CHECK(queue.next_deadline() == time_point::max());
    queue.arm(never, time_point::min());
    CHECK(fired(queue, start) == names{1});
}

TEST_CASE("timer_queue: the granularity is checked", "[timer_queue]") {
    CHECK_THROWS_AS(timer_queue(0ms), std::invalid_argument);
    CHECK_THROWS_AS(timer_queue(-1ms), std::invalid_argument);
    CHECK_THROWS_AS(timer_queue(1ms - 1ns), std::invalid_argument);
    CHECK_NOTHROW(timer_queue(1ms));
}

TEST_CASE("timer_queue: a handler may arm its own node, and meets it in a later call", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named a(1);
    int count = 0;
    queue.arm(a, start + 1s);
    const auto again_at = [&](time_point deadline) {
        return [&queue, &count, deadline](timer_node& node) {
            ++count;
            queue.arm(node, deadline);
        };
    };
    queue.advance(start + 1s, again_at(start)); // the past: not in this call, or it would never end
    CHECK(count == 1);
    queue.advance(start + 1s, again_at(start + 2s));
    CHECK(count == 2);
    // A jump over many periods is one call to a node, however it is armed.
    queue.advance(start + 1h, again_at(start + 3s));
    CHECK(count == 3);
    queue.advance(start + 1h, again_at(start + 2h));
    CHECK(count == 4);
    CHECK(fired(queue, start + 2h - 1ns).empty());
    CHECK(fired(queue, start + 2h) == names{1});
}

TEST_CASE("timer_queue: a handler may cancel, move and destroy nodes that are due too", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named first(0);
    named cancelled(1);
    auto destroyed = std::make_unique<named>(2);
    named moved(3);
    named moved_to_past(4);
    named last(5);
    named added(6);
    for (named* n : {&first, &cancelled, destroyed.get(), &moved, &moved_to_past, &last})
        queue.arm(*n, start + 1s);
    names seen;
    queue.advance(start + 1s, [&](timer_node& node) {
        seen.push_back(static_cast<named&>(node).name);
        if (&node == &first) {
            timer_queue::cancel(cancelled);
            destroyed.reset();
            queue.arm(moved, start + 2s);
            queue.arm(moved_to_past, start);
            queue.arm(added, start + 1s);
            CHECK_FALSE(queue.empty());
        }
    });
    CHECK(seen == names{0, 5});
    CHECK(fired(queue, start + 1s) == names{4, 6});
    CHECK(fired(queue, start + 2s) == names{3});
    CHECK(queue.empty());
}

TEST_CASE("timer_queue: a handler may destroy its own node", "[timer_queue]") {
    timer_queue queue(100ms, start);
    auto a = std::make_unique<named>(1);
    named b(2);
    queue.arm(*a, start + 1s);
    queue.arm(b, start + 1s);
    int calls = 0;
    queue.advance(start + 1s, [&](timer_node&) {
        ++calls;
        a.reset();
    });
    CHECK(calls == 2);
    CHECK(queue.empty());
}

TEST_CASE("timer_queue: a handler may destroy all nodes", "[timer_queue]") {
    timer_queue queue(100ms, start);
    std::vector<std::unique_ptr<named>> nodes;
    for (int i = 0; i != 100; ++i) {
        nodes.push_back(std::make_unique<named>(i));
        queue.arm(*nodes.back(), start + (i % 3) * 10s);
    }
    int calls = 0;
    queue.advance(start + 10s, [&](timer_node&) {
        ++calls;
        nodes.clear();
    });
    CHECK(calls == 1);
    CHECK(queue.empty());
    CHECK(queue.next_deadline() == time_point::max());
}

TEST_CASE("timer_queue: a handler may advance", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named a(1);
    named b(2);
    named c(3);
    queue.arm(a, start + 1s);
    queue.arm(b, start + 1s);
    queue.arm(c, start + 2s);
    names seen;
    const auto note = [&](timer_node& node) { seen.push_back(static_cast<named&>(node).name); };
    queue.advance(start + 1s, [&](timer_node& node) {
        note(node);
        queue.advance(start + 2s, note);
    });
    CHECK(seen == names{1, 2, 3});
    CHECK(queue.empty());
}

TEST_CASE("timer_queue: when a handler throws, the rest stay due", "[timer_queue]") {
    timer_queue queue(100ms, start);
    named a(1);
    named b(2);
    named c(3);
    named late(4);
    queue.arm(a, start + 1s);
    queue.arm(b, start + 2s);
    queue.arm(c, start + 3s);
    CHECK_THROWS_AS(
        queue.advance(start + 5s, [](timer_node&) { throw std::runtime_error("handler"); }),
        std::runtime_error);
    CHECK_FALSE(a.armed());
    CHECK(b.armed());
    CHECK_FALSE(queue.empty());
    CHECK(queue.next_deadline() <= start + 5s);
    queue.arm(late, start);
    CHECK(fired(queue, start + 5s) == names{2, 3, 4});
}

TEST_CASE("timer_queue: nodes left due by a throwing handler may outlive the queue", "[timer_queue]") {
    named a(1);
    named b(2);
    {
        timer_queue queue(100ms, start);
        queue.arm(a, start);
        queue.arm(b, start);
        CHECK_THROWS_AS(queue.advance(start, [](timer_node&) { throw 1; }), int);
        CHECK(b.armed());
    }
    CHECK_FALSE(b.armed());
}

TEST_CASE(
    "timer_queue: activity that keeps moving a deadline costs nothing until it fires", "[timer_queue]") {
    // The lazy way: activity only notes the time; the node is armed anew when it fires too early.
    timer_queue queue(100ms, start);
    named idle(1);
    auto last_heard = start;
    int looks = 0;
    bool timed_out = false;
    queue.arm(idle, start + 120s);
    for (auto now = start; !timed_out; now += 100ms) {
        if (now <= start + 600s)
            last_heard = now;
        queue.advance(now, [&](timer_node& node) {
            ++looks;
            if (now >= last_heard + 120s)
                timed_out = true;
            else
                queue.arm(node, last_heard + 120s);
        });
        if (timed_out)
            CHECK(now == start + 720s);
    }
    CHECK(looks == 6);
}

// Random use against a plain list of deadlines, with everything allowed inside the handler too.
class simulation {
public:
    simulation(std::uint32_t seed, duration granularity)
        : random_(seed),
          granularity_(granularity),
          queue_(granularity, seed % 2 == 0 ? start : time_point{}) {
        for (int i = 0; i != 60; ++i)
            nodes_.push_back({std::make_unique<named>(i), time_point{}, false, 0});
    }

    void run(int steps) {
        while (steps-- != 0) {
            mutate();
            if (random_() % 3 == 0)
                advance();
            check();
        }
        // All that is left fires in the end.
        quiet_ = true;
        now_ += std::chrono::hours(24 * 365);
        step_to_now();
        check();
        CHECK(queue_.empty());
    }

private:
    struct entry {
        std::unique_ptr<named> node;
        time_point deadline;
        bool armed;
        std::uint64_t round; // the call of advance in which it was armed last
    };

    duration some_time() {
        // All scales alike, so that every level is used.
        const auto bits = 20 + random_() % 28;
        return duration(static_cast<std::int64_t>(
            (std::uint64_t{random_()} << 32 | random_()) & ((std::uint64_t{1} << bits) - 1)));
    }

    void mutate() {
        auto& e = nodes_[random_() % nodes_.size()];
        switch (random_() % 8) {
        case 0:
            timer_queue::cancel(*e.node);
            e.armed = false;
            break;
        case 1: {
            const int name = e.node->name;
            e.node = std::make_unique<named>(name);
            e.armed = false;
            break;
        }
        default:
            e.deadline = random_() % 8 == 0 ? now_ - some_time() : now_ + some_time();
            queue_.arm(*e.node, e.deadline);
            e.armed = true;
            e.round = round_;
        }
    }

    void advance() {
        switch (random_() % 6) {
        case 0: break; // time stands
        case 1:
            now_ = std::max(now_, std::min(queue_.next_deadline(), now_ + std::chrono::hours(100)));
            break;
        default: now_ += some_time();
        }
        step_to_now();
    }

    std::int64_t tick_at_or_after(time_point t) const {
        const auto g = granularity_.count();
        const auto since = t.time_since_epoch().count(); // never negative here
        return (since + g - 1) / g;
    }

    void step_to_now() {
        ++round_;
        const auto complete = now_.time_since_epoch().count() / granularity_.count();
        std::int64_t last = std::numeric_limits<std::int64_t>::min();
        queue_.advance(now_, [&](timer_node& node) {
            auto& e = nodes_[static_cast<std::size_t>(static_cast<named&>(node).name)];
            REQUIRE(e.node.get() == &node);
            REQUIRE(e.armed);
            REQUIRE(e.deadline <= now_); // never early
            REQUIRE_FALSE(node.armed());
            // Those armed late count as due when they were armed, before all that the call collects.
            const auto tick = std::max(tick_at_or_after(e.deadline), reached_);
            REQUIRE(tick >= last);
            last = tick;
            e.armed = false;
            if (!quiet_ && random_() % 2 == 0)
                mutate();
        });
        reached_ = std::max(reached_, complete);
    }

    void check() {
        auto earliest = time_point::max();
        bool any = false;
        for (const auto& e : nodes_) {
            REQUIRE(e.node->armed() == e.armed);
            if (!e.armed)
                continue;
            any = true;
            earliest = std::min(earliest, e.deadline);
            // Not late either: what is still armed has not had its tick complete, or was armed in the last
            // call or since.
            if (e.round != round_)
                REQUIRE(tick_at_or_after(e.deadline) > reached_);
        }
        REQUIRE(queue_.empty() == !any);
        if (any)
            REQUIRE(queue_.next_deadline() < std::max(earliest, now_) + granularity_);
        else
            REQUIRE(queue_.next_deadline() == time_point::max());
    }

    std::mt19937 random_;
    duration granularity_;
    timer_queue queue_;
    std::vector<entry> nodes_;
    time_point now_ = start;
    std::int64_t reached_ = std::numeric_limits<std::int64_t>::min();
    std::uint64_t round_ = 0;
    bool quiet_ = false;
};

TEST_CASE("timer_queue: random use agrees with a plain list", "[timer_queue]") {
    for (std::uint32_t seed = 1; seed != 41; ++seed) {
        CAPTURE(seed);
        simulation(
            seed, seed % 3 == 0   ? duration(1ms)
                  : seed % 3 == 1 ? duration(100ms)
                                  : duration(3'333'333ns))
            .run(1'500);
    }
}

} // namespace
