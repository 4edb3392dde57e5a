// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Histories in a store, by random schedules: publishers, some of which try again, subscribers that come back,
// a store that takes its time and fails, and crashes in between. However that goes,
//
// - what was answered is there in the next life, at its offset, in the same epoch;
// - an offset that anybody saw, or was told, never has another message;
// - what failed was never seen, and never will be;
// - a subscriber gets all that is kept, in order, once, and is told of the rest, over crashes too.

#include <pusher/detail/journal.hpp>
#include <pusher/testing/simulated_store.hpp>

#include "catch.hpp"
#include "choices.hpp"
#include "core_script.hpp"
#include "life.hpp"
#include "model.hpp"
#include "seeds.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace simulation;
using pusher::errc;
using pusher::error_code;
using pusher::receipt;
using pusher::topic_position;
using pusher::detail::core;
using pusher::detail::journal;
using pusher::testing::simulated_disk;
using pusher::testing::simulated_store;
using test::life;

namespace {

constexpr const char* topic_names[] = {"a", "b", "c", "nobody's"};

struct shape {
    std::size_t history = 10'000;
    std::size_t memory = std::size_t{1} << 30;
    int crashes = 4; ///< in a thousand steps
    int failures = 3;
    std::chrono::milliseconds age{0};
};

/// Lets one operation fail, after some others.
struct one_failure {
    std::size_t left;

    error_code next() noexcept { return left-- == 0 ? error_code(errc::store_failed) : error_code(); }
};

/// What a publisher knows of a message that it has tried to publish.
struct attempt {
    enum class state { waiting, stored, failed, unknown };

    std::string topic;
    std::string payload;
    std::string id;
    state what = state::waiting;
    std::size_t outstanding = 0; ///< times that it was sent and not answered
    bool doubtful = false;       ///< one of them died with its process
};

struct subscriber {
    std::string topic;
    std::optional<topic_position> last; ///< got, or told of as lost
    test::recorder_ptr handler;
};

class world {
public:
    world(const shape& s, std::uint64_t seed, bool print)
        : shape_(s),
          random_(seed),
          seed_(seed),
          print_(print),
          disk_(
              random_.percent(30) ? simulated_disk::completion::at_once
                                  : simulated_disk::completion::when_told) {
        test::virtual_clock::reset();
        limits_.batch_messages = random_.of({1U, 2U, 5U, 1000U});
        limits_.read_bytes = random_.of({1U, 60U, 1U << 20});
        limits_.messages = random_.of({5U, 1000U});
        for (std::size_t i = 0; i != 4; ++i)
            subscribers_.push_back({topic_names[i % 3], {}, {}});
    }

    void run() {
        begin_life();
        for (int i = 0; i != 400; ++i)
            step();
        disk_.fail_by(nullptr);
        settle();
        if (random_.percent(50)) {
            crash();
            settle();
        }
        for (auto& s : subscribers_)
            if (!s.handler)
                subscribe(s);
        settle();
        check_all();
    }

private:
    void note(const std::string& text) const {
        if (print_) {
            std::printf("%s\n", text.c_str());
            std::fflush(stdout);
        }
    }

    void step() {
        const auto choice = static_cast<int>(random_.below(1000));
        int up_to = 0;
        const auto is = [&](int weight) { return choice < (up_to += weight); };
        if (is(shape_.crashes))
            crash();
        else if (is(shape_.failures))
            fail_later();
        else if (is(330))
            publish();
        else if (is(40))
            publish_again();
        else if (is(250))
            disk_.step();
        else if (is(30))
            come_or_go();
        else if (is(20))
            test::virtual_clock::advance(std::chrono::milliseconds(random_.below(20)));
        else if (is(10))
            now_->log.trim_now();
        else if (random_.percent(50))
            work();
        else
            flush();
    }

    void work() {
        if (std::exchange(now_->work_asked, false))
            now_->log.work();
    }
    void flush() {
        if (std::exchange(now_->flush_asked, false))
            now_->middle.flush();
    }
    void settle() {
        for (int n = 0; now_->work_asked || now_->flush_asked || disk_.outstanding() != 0; ++n) {
            require(n < 100'000, "it comes to rest");
            work();
            flush();
            disk_.step();
        }
    }
    void fail_later() {
        failure_.left = random_.below(4);
        disk_.fail_by(&failure_);
    }

    // ---- lives

    void begin_life() {
        pusher::detail::core_params p;
        p.history.messages = shape_.history;
        p.history.age = shape_.age;
        p.memory_bytes = shape_.memory;
        p.idempotency = {.messages = 10'000};
        p.sequence_epoch = seed_ * 1000 + ++lives_;
        p.wall = &test::virtual_clock::wall_now;
        p.steady = &test::virtual_clock::steady_now;
        now_ = std::make_unique<life>(p, limits_);
        for (;;) {
            std::optional<error_code> opened;
            now_->log.open(std::make_unique<simulated_store>(disk_), [&](error_code ec) { opened = ec; });
            for (int n = 0; !opened; ++n) {
                require(n < 100'000, "opening ends");
                work();
                disk_.step();
            }
            if (!*opened)
                break;
            note("not opened: " + opened->message());
            require(*opened == errc::store_failed, "it opens, unless the store fails");
            require(now_->middle.topics() == 0, "nothing was opened");
        }
        check_restored();
        for (auto& s : subscribers_)
            if (random_.percent(70))
                subscribe(s);
    }

    void crash() {
        const auto kept = random_.below(disk_.outstanding() + 1);
        note("crash; kept " + std::to_string(kept));
        disk_.crash(kept);
        for (auto& a : attempts_)
            if (std::exchange(a.outstanding, 0) != 0) {
                a.doubtful = true;
                if (a.what == attempt::state::waiting)
                    a.what = attempt::state::unknown;
            }
        for (auto& s : subscribers_)
            s.handler.reset();
        now_.reset();
        begin_life();
    }

    /// What a life begins with is what was promised.
    void check_restored() {
        for (const auto& [topic, epoch_and_next] : known_) {
            const auto* const t = now_->middle.find_topic(topic);
            if (shape_.age.count() != 0 && (!t || !t->past()))
                continue; // all too old
            require(t && t->past(), "a topic that was seen is there");
            require(shape_.age.count() != 0 || t->past()->epoch() == epoch_and_next.epoch, "in its epoch");
            require(
                t->past()->epoch() != epoch_and_next.epoch ||
                    t->past()->next_offset() > epoch_and_next.offset,
                "with all that was seen");
        }
        for (const auto* const name : topic_names) {
            const auto* const t = now_->middle.find_topic(name);
            if (!t || !t->past())
                continue;
            const auto& past = *t->past();
            if (shape_.age.count() == 0 && shape_.memory > 1'000'000)
                require(
                    past.messages() == std::min<std::uint64_t>(shape_.history, past.next_offset() - 1),
                    "as much of it as is to be kept");
            std::vector<pusher::header> headers;
            for (auto o = past.first_offset(); o != past.next_offset(); ++o) {
                const auto p = past.at(o);
                const auto m = p.messages->view(p.index, 1, headers);
                require(m.position() == topic_position{past.epoch(), o}, "every message is in its place");
                saw(m.topic(), *m.position(), m.payload());
            }
        }
    }

    // ---- publishers

    void publish() {
        auto& a = attempts_.emplace_back();
        a.topic = random_.of(topic_names);
        a.payload = std::to_string(attempts_.size());
        if (random_.percent(40))
            a.id = a.payload;
        send(attempts_.size() - 1);
    }
    /// A publisher that has no good answer tries once more. Without an id that is another message.
    void publish_again() {
        if (attempts_.empty())
            return;
        const auto i = attempts_.size() - 1 - random_.below(std::min<std::size_t>(20, attempts_.size()));
        if (!attempts_[i].id.empty())
            send(i);
    }
    void send(std::size_t i) {
        const auto a = attempts_[i];
        note("publish " + a.topic + " " + a.payload);
        const auto life_now = lives_;
        const auto r = now_->log.publish(
            a.topic, a.payload, {.id = a.id}, nullptr, false, [this, i, life_now](const receipt& later) {
                require(lives_ == life_now, "no answer comes from another life");
                --attempts_[i].outstanding;
                answered(i, later);
            });
        if (!r.pending)
            return answered(i, r);
        ++attempts_[i].outstanding;
        if (attempts_[i].what != attempt::state::stored)
            attempts_[i].what = attempt::state::waiting;
    }
    void answered(std::size_t i, const receipt& r) {
        auto& a = attempts_[i];
        if (r.error) {
            note("failed " + a.payload + ": " + r.error.message());
            require(r.error == errc::store_failed || r.error == errc::queue_full, "an error that may be");
            // One that was tried before may be stored still.
            if (a.what == attempt::state::waiting && a.outstanding == 0)
                a.what = a.doubtful ? attempt::state::unknown : attempt::state::failed;
            return;
        }
        require(r.position.has_value(), "what is stored has a position");
        note("answered " + a.payload + " @" + std::to_string(r.position->offset));
        a.what = attempt::state::stored;
        saw(a.topic, *r.position, a.payload);
    }
    // ---- what is seen

    /// By a subscriber, by a publisher in its receipt, or in a history of the next life.
    void saw(std::string_view topic, const topic_position& at, std::string_view payload) {
        const auto key =
            std::string(topic) + " " + std::to_string(at.epoch) + " " + std::to_string(at.offset);
        const auto [found, added] = messages_.emplace(key, payload);
        require(
            added || found->second == payload,
            "offset " + key + " was " + found->second + ", is now " + std::string(payload));
        const auto number = std::stoul(std::string(payload)) - 1;
        const auto& a = attempts_.at(number);
        require(a.topic == topic, "a message is of its topic");
        require(a.what != attempt::state::failed, "what failed is not seen: " + a.payload);
        if (shape_.history == 10'000 && shape_.age.count() == 0 && shape_.memory > 1'000'000) {
            const auto [place, first] = places_.emplace(payload, key);
            require(first || place->second == key, "one message is published once: " + a.payload);
        }
        auto& newest = known_[std::string(topic)];
        if (at.epoch != newest.epoch || at.offset > newest.offset)
            newest = at;
    }

    // ---- subscribers

    void come_or_go() {
        auto& s = subscribers_[random_.below(subscribers_.size())];
        if (s.handler) {
            now_->middle.remove(*s.handler);
            s.handler.reset();
        } else {
            subscribe(s);
        }
    }

    void subscribe(subscriber& s) {
        s.handler.reset(new test::recorder);
        s.handler->on_message = [this, &s](const pusher::message& m) {
            require(m.position().has_value(), "a message has a position");
            const auto at = *m.position();
            saw(m.topic(), at, m.payload());
            if (s.last && s.last->epoch == at.epoch)
                require(
                    at.offset == s.last->offset + 1, "after " + std::to_string(s.last->offset) + " came " +
                                                         std::to_string(at.offset) + " of " + s.topic);
            s.last = at;
        };
        s.handler->when_told = [this, &s](const pusher::gap& g) {
            require(
                shape_.history < 10'000 || shape_.age.count() != 0 || shape_.memory < 10'000'000,
                "nothing is lost where all is kept");
            if (!g.offsets || !s.last)
                return;
            if (g.offsets->first != s.last->offset + 1) // of another epoch
                return;
            s.last->offset = g.offsets->last;
        };
        now_->middle.add(s.handler);
        pusher::subscribe_options o;
        if (s.last)
            o.resume = *s.last;
        else
            o.history = 10'000;
        error_code ec;
        const auto r = now_->middle.subscribe(*s.handler, s.topic, o, ec);
        require(!ec, "it can subscribe");
        if (s.last && r.position && r.position->epoch != s.last->epoch)
            s.last.reset();
        note("subscribe " + s.topic);
    }

    void check_all() {
        for (const auto& a : attempts_)
            require(a.what != attempt::state::waiting, "every publish is answered");
        for (const auto& s : subscribers_) {
            const auto* const t = now_->middle.find_topic(s.topic);
            require(t && t->past(), "a topic with a subscriber has a history");
            const auto next = t->past()->next_offset();
            if (t->past()->messages() == 0)
                continue;
            require(
                s.last && s.last->offset + 1 == next,
                s.topic + " ends before " + std::to_string(next) + ", a subscriber of it " +
                    (s.last ? "after " + std::to_string(s.last->offset) : std::string("before it began")));
        }
        // The store has what the histories have, and soon no more.
        if (disk_.outstanding() == 0) {
            now_->log.trim_now();
            settle();
            for (const auto& log : disk_.contents().logs) {
                const auto* const t = now_->middle.find_topic(std::string_view(log.name).substr(1));
                require(t && t->past(), "no log without a history");
                require(
                    log.first == t->past()->first_offset() && log.next == t->past()->next_offset(),
                    "a log is as long as its history");
            }
        }
    }

    shape shape_;
    choices random_;
    std::uint64_t seed_;
    bool print_;
    simulated_disk disk_;
    one_failure failure_{};
    journal::params limits_;
    std::uint64_t lives_ = 0;
    std::vector<attempt> attempts_;
    std::map<std::string, std::string> messages_; ///< by topic, epoch and offset
    std::map<std::string, std::string, std::less<>> places_;
    std::map<std::string, topic_position> known_; ///< the newest of each topic that anybody saw
    std::vector<subscriber> subscribers_;
    std::unique_ptr<life> now_;
};

std::string run(const std::string& name, const shape& s, std::uint64_t seeds) {
    return for_each_seed(name, seeds, [&](std::uint64_t seed, bool print) { world(s, seed, print).run(); });
}

} // namespace

TEST_CASE("simulation: a store that keeps all", "[simulation][store]") {
    CHECK(run("simulation: a store that keeps all", {}, 150) == "");
}

TEST_CASE("simulation: a store, without a crash", "[simulation][store]") {
    shape s;
    s.crashes = 0;
    s.failures = 20;
    CHECK(run("simulation: a store, without a crash", s, 100) == "");
}

TEST_CASE("simulation: a store with short histories", "[simulation][store]") {
    shape s;
    s.history = 5;
    s.crashes = 10;
    CHECK(run("simulation: a store with short histories", s, 150) == "");
}

TEST_CASE("simulation: a store whose messages age", "[simulation][store]") {
    shape s;
    s.age = std::chrono::milliseconds(100);
    s.crashes = 10;
    CHECK(run("simulation: a store whose messages age", s, 150) == "");
}

TEST_CASE("simulation: a store, where memory is short", "[simulation][store]") {
    shape s;
    s.memory = 8'000;
    s.crashes = 10;
    CHECK(run("simulation: a store, where memory is short", s, 100) == "");
}
