// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Users with durable subscriptions and failure ladders, a store that takes its time and fails, and crashes.
// However that goes,
//
// - who has a durable subscription gets everything that was answered, at least once, in order, and once
//   within a session; after a crash it begins no later than after what it had acknowledged;
// - what the store had of parked messages, dead letters and positions is there in the next life.

#include <pusher/detail/journal.hpp>
#include <pusher/testing/simulated_store.hpp>

#include "catch.hpp"
#include "choices.hpp"
#include "core_script.hpp"
#include "life.hpp"
#include "seeds.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace simulation;
using namespace std::chrono_literals;
using pusher::error_code;
using pusher::failure_ladder;
using pusher::detail::journal;
using pusher::testing::simulated_disk;
using pusher::testing::simulated_store;
using test::life;
namespace failure = pusher::failure;

namespace {

struct failures {
    std::size_t left = 0;

    error_code next() noexcept {
        if (left == 0)
            return {};
        --left;
        return pusher::errc::store_failed;
    }
};

struct user {
    std::string uid;
    test::peer_ptr session;
    bool subscribed = false;
    std::uint64_t seen = 0;         ///< offset of the last one that this session got
    std::uint64_t acknowledged = 0; ///< that the hub took
    std::set<std::uint64_t> got;    ///< offsets
    std::set<std::string> notes;    ///< payloads of `t`
};

class users {
public:
    users(std::uint64_t seed, bool print)
        : print_(print),
          random_(seed),
          disk_(
              random_.percent(30) ? simulated_disk::completion::at_once
                                  : simulated_disk::completion::when_told) {
        test::virtual_clock::reset();
        disk_.fail_by(&failures_);
        for (const auto* uid : {"ann", "bob", "eve"})
            users_.emplace_back().uid = uid;
        parameters_.history_for = [](std::string_view topic) {
            return pusher::history_params{topic == "h" ? std::size_t{100'000} : 0};
        };
        parameters_.on_failure = random_.percent(50)
                                     ? failure_ladder(failure::persist{})
                                     : failure_ladder(failure::retry{1, 300ms, 1, 0}, failure::persist{});
        // What is not acknowledged is the durable subscription's.
        parameters_.topic_policies.push_back({.filter = "h", .on_failure = failure_ladder()});
        parameters_.parking.messages = random_.of<std::size_t>({4, 1000});
        parameters_.parking.ttl = random_.of({2'000ms, 1'000'000ms});
        parameters_.acknowledgement = {random_.of<std::size_t>({1, 5, 64}), 500ms};
        parameters_.wall = &test::virtual_clock::wall_now;
        parameters_.steady = &test::virtual_clock::steady_now;
    }

    void run() {
        begin_life();
        for (auto& u : users_) {
            come(u);
            subscribe(u);
        }
        settle(); // all are stored
        for (int step = 0; step != 400; ++step) {
            auto& u = users_[random_.below(users_.size())];
            const auto what = random_.below(100);
            if (what < 30)
                publish();
            else if (what < 55)
                turn();
            else if (what < 65)
                disk_.step();
            else if (what < 75)
                read(u, random_.below(120));
            else if (what < 80)
                come(u);
            else if (what < 84)
                subscribe(u);
            else if (what < 88)
                leave(u);
            else if (what < 95)
                pass(random_.of({1ms, 400ms, 1000ms}));
            else if (what < 97)
                failures_.left = random_.below(3);
            else if (what < 99)
                crash();
            listen();
        }
        failures_.left = 0;
        const auto all_got = [&] {
            return std::all_of(users_.begin(), users_.end(), [&](const user& u) {
                return std::includes(u.got.begin(), u.got.end(), answered_.begin(), answered_.end());
            });
        };
        for (int round = 0; round != 1000 && (round < 3 || !all_got()); ++round) {
            for (auto& u : users_) {
                come(u);
                subscribe(u);
                read(u, test::scripted_sink::unlimited);
            }
            settle();
            listen();
            pass(600ms);
        }
        for (const auto& u : users_)
            for (const auto offset : answered_)
                require(u.got.contains(offset), u.uid + " got h@" + std::to_string(offset));
    }

private:
    void note(const std::string& text) const {
        if (print_)
            std::printf("%s\n", text.c_str());
    }

    void begin_life() {
        auto p = parameters_;
        p.sequence_epoch = ++lives_;
        now_ = std::make_unique<life>(p, journal::params{});
        std::optional<error_code> opened;
        now_->log.open(std::make_unique<simulated_store>(disk_), [&](error_code ec) { opened = ec; });
        while (!opened) {
            now_->turn();
            disk_.step();
            if (opened && *opened == pusher::errc::store_failed) { // the store fails now and then
                opened.reset();
                now_->log.open(std::make_unique<simulated_store>(disk_), [&](error_code ec) { opened = ec; });
            }
        }
        require(!*opened, "it is opened: " + opened->message());
    }

    /// What the store is to have once it has all: by key, in words.
    std::map<std::string, std::string> kept() const {
        std::map<std::string, std::string> all;
        std::vector<pusher::header> headers;
        for (const auto& u : users_)
            now_->middle.for_each_parcel(u.uid, [&](const pusher::detail::parcel& p) {
                if (p.limited) // parked, or waits for its user
                    all["parked " + std::to_string(p.number)] =
                        u.uid + " " + std::string(p.messages->topic().view()) + " " +
                        std::string(p.messages->view(p.index, 1, headers).payload());
            });
        for (const auto& d : now_->middle.dead_letters())
            all["dead " + std::to_string(d.number)] =
                std::string(d.who.uid.view()) + " " +
                std::string(d.messages->view(d.index, 1, headers).payload());
        now_->middle.for_each_durable([&](const pusher::detail::durable_cursor& c) {
            all["durable " + std::string(c.of->uid.view())] = std::to_string(c.offset);
        });
        return all;
    }

    void crash() {
        const bool quiet = now_->log.idle() && !now_->log.has_trims() && disk_.outstanding() == 0;
        const auto before = kept();
        note(quiet ? "crash; the store has all" : "crash");
        for (auto& u : users_)
            forget(u);
        now_->log.stop(); // nobody is told any more
        disk_.crash(random_.below(2));
        now_.reset();
        begin_life();
        const auto after = kept();
        if (quiet)
            require(after == before, "what was stored is there: " + words(before) + " | " + words(after));
        for (const auto& u : users_)
            require(
                std::stoull(after.at("durable " + u.uid)) <= u.acknowledged,
                u.uid + ": nothing is acknowledged by a crash");
    }
    static std::string words(const std::map<std::string, std::string>& all) {
        std::string text;
        for (const auto& [key, value] : all)
            text.append(key).append("=").append(value).append("; ");
        return text;
    }

    void publish() {
        const auto payload = std::to_string(++published_);
        if (random_.percent(50)) {
            note("publish t=" + payload);
            now_->middle.publish("t", payload);
            return;
        }
        note("publish h=" + payload);
        const auto r =
            now_->log.publish("h", payload, {}, nullptr, false, [this](const pusher::receipt& got) {
                if (got.error)
                    return;
                note("  answered h@" + std::to_string(got.position->offset));
                answered_.insert(got.position->offset);
            });
        require(r.pending || r.error, "it waits");
    }

    void turn() {
        note("turn");
        now_->turn();
    }
    void settle() {
        while (now_->turn() || disk_.step()) {
        }
    }
    void pass(std::chrono::milliseconds time) {
        while (now_->middle.turn_pending())
            now_->turn();
        note("pass " + std::to_string(time.count()));
        test::virtual_clock::advance(time);
        now_->middle.run_due();
        if (random_.percent(50))
            now_->log.trim_now();
    }

    void come(user& u) {
        if (u.session)
            return;
        note(u.uid + " comes");
        u.session = test::peer_ptr(new test::peer({.messages = 100'000, .bytes = 1 << 24}));
        u.session->remote = true;
        u.session->link.room = random_.below(100);
        now_->middle.add(u.session);
        now_->middle.attach(*u.session, lines_, u.session->link);
        now_->middle.bind(*u.session, u.uid);
    }
    void subscribe(user& u) {
        if (!u.session || u.subscribed)
            return;
        note(u.uid + " subscribes");
        u.subscribed = true;
        error_code ec;
        now_->middle.subscribe(*u.session, "t", {}, ec);
        require(!ec, "it subscribes to t");
        pusher::subscribe_options o;
        o.acknowledge = true;
        o.durable = "d";
        now_->middle.subscribe(*u.session, "h", o, ec);
        require(!ec, "it subscribes to h: " + ec.message());
    }
    void leave(user& u) {
        if (!u.session)
            return;
        listen();
        note(u.uid + " is lost");
        now_->middle.remove(*u.session);
        forget(u);
    }
    static void forget(user& u) {
        u.session = nullptr;
        u.subscribed = false;
        u.seen = 0;
    }

    void read(user& u, std::size_t room) {
        if (!u.session)
            return;
        note(u.uid + " reads");
        if (u.session->link.blocked()) {
            u.session->link.unblock(room);
            now_->middle.writable(*u.session);
        } else {
            u.session->link.room = room;
        }
        listen();
        if (u.seen == 0 || !random_.percent(70))
            return;
        error_code ec;
        now_->middle.acknowledge(*u.session, "h", u.seen, ec);
        note("  acknowledges " + std::to_string(u.seen));
        require(!ec, u.uid + ": it may acknowledge what it got");
        u.acknowledged = std::max(u.acknowledged, u.seen);
    }

    void listen() {
        for (auto& u : users_) {
            if (!u.session)
                continue;
            for (const auto& text : u.session->link.frames())
                hear(u, text);
        }
    }
    void hear(user& u, const std::string& text) {
        note("  " + u.uid + " hears " + text);
        if (text[0] == '!')
            throw mismatch(u.uid + ": nothing is lost of what it is told of: " + text);
        const bool again = text[0] == '~';
        const auto at = text.find('@');
        if (at == text.npos) {
            require(u.notes.insert(text.substr(text.find('='))).second || again, "it comes once: " + text);
            return;
        }
        const auto offset = std::stoull(text.substr(at + 1));
        if (u.seen == 0) {
            require(offset <= u.acknowledged + 1, u.uid + ": it goes on where it was: " + text);
        } else if (!again) {
            require(offset == u.seen + 1, u.uid + ": in order, nothing left out: " + text);
        }
        u.seen = std::max<std::uint64_t>(u.seen, offset);
        u.got.insert(offset);
    }

    bool print_;
    choices random_;
    simulated_disk disk_;
    failures failures_;
    pusher::detail::core_params parameters_;
    test::text_encoding lines_;
    std::unique_ptr<life> now_;
    std::deque<user> users_;
    std::set<std::uint64_t> answered_;
    std::uint64_t published_ = 0;
    std::uint64_t lives_ = 0;
};

} // namespace

TEST_CASE(
    "simulation: durable subscriptions and what is kept for users, over crashes", "[simulation][store]") {
    const auto run = [](std::uint64_t seed, bool print) { users(seed, print).run(); };
    CHECK(
        for_each_seed(
            "simulation: durable subscriptions and what is kept for users, over crashes", 100, run) == "");
}
