// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Deliveries that fail: users whose connections are slow, are lost and come back, handlers that throw, and
// random ladders, in virtual time. Each message that was due to somebody must have been received, be kept for
// its user, be a dead letter, or be counted as lost: exactly once, and in order.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "choices.hpp"
#include "core_script.hpp"
#include "report_text.hpp"
#include "seeds.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace simulation;
using namespace std::chrono_literals;
using pusher::failure_ladder;
namespace failure = pusher::failure;

namespace {

/// What became of the messages of one topic that were due to one user, or handler.
struct account {
    std::set<std::uint64_t> due;
    std::set<std::uint64_t> received;
    std::uint64_t lost = 0; ///< counted as dropped
    std::uint64_t dead = 0;
    std::uint64_t settled = 0; ///< by a rung of the host
};

/// A user, with at most one session; or a handler.
struct party {
    std::string uid;
    test::peer_ptr session;
    bool acknowledges = false;
    std::set<std::string> subscribed;
    std::map<std::string, account> topics;
    std::map<std::string, std::uint64_t> newest; ///< that this session received, by topic
    std::uint64_t offset = 0;                    ///< of the last of `h`
    std::uint64_t cut = 0;                       ///< connections that were lost in the middle of a message
};

class failing_world final : public pusher::observer {
public:
    failing_world(std::uint64_t seed, bool print) : print_(print), random_(seed), script_(parameters()) {
        script_.core.observe(this);
        for (const auto* uid : {"ann", "bob", "eve", ""})
            parties_.emplace_back().uid = uid;
        parties_[2].acknowledges = true;
        for (int n = 0; n != 2; ++n) {
            auto h = script_.handler();
            h->on_message = [this, who = h.get()](const pusher::message& m) { handle(*who, m); };
            handlers_.push_back(h);
            for (const auto* topic : {"a", "b"})
                script_.subscribe(h, topic);
        }
    }

    failing_world(const failing_world&) = delete;
    failing_world& operator=(const failing_world&) = delete;
    ~failing_world() { script_.core.observe(nullptr); }

    void run() {
        for (int step = 0; step != 300; ++step) {
            auto& p = parties_[random_.below(parties_.size())];
            const auto what = random_.below(100);
            if (what < 45)
                publish();
            else if (what < 65)
                turn();
            else if (what < 80)
                read(p, random_.below(60));
            else if (what < 86)
                come(p);
            else if (what < 91)
                leave(p);
            else
                pass(random_.of({1ms, 400ms, 3000ms}));
            listen();
        }
        // Everybody comes back, and takes everything.
        calm_ = true;
        for (int round = 0; round != 40; ++round) {
            for (auto& p : parties_) {
                come(p);
                read(p, test::scripted_sink::unlimited);
            }
            turn();
            listen();
            pass(1000ms);
            listen();
        }
        for (const auto& p : parties_) {
            std::uint64_t kept = 0;
            script_.core.for_each_mailbox([&](std::string_view uid, std::size_t messages, std::size_t) {
                kept += uid == p.uid ? messages : 0;
            });
            require(kept == 0 || p.acknowledges, p.uid + " is here, and got what was kept for it");
            balance(p.uid, p.topics, p.cut + kept, p.acknowledges);
        }
        require(reports_due_ == 0, "every report has come");
        for (const auto& [id, topics] : handled_)
            balance("handler " + std::to_string(id), topics, 0, false);
    }

    void at_drop(const pusher::subscriber_info& who, std::string_view topic, pusher::drop_cause) override {
        ++account_of(who, topic).lost;
    }
    void at_dead_letter(
        const pusher::subscriber_info& who, const pusher::message& m, pusher::failure_cause) override {
        note("  dead: " + std::string(who.uid) + " " + test::text_of(m));
        ++account_of(who, m.topic()).dead;
    }

private:
    pusher::detail::core_params parameters() {
        pusher::detail::core_params p;
        p.on_failure = ladder();
        p.topic_policies.push_back({.filter = "b", .on_failure = ladder()});
        p.topic_policies.push_back({.filter = "h", .on_failure = ladder()});
        p.parking.messages = random_.of<std::size_t>({3, 20, 1000});
        p.parking.ttl = random_.of({2000ms, 100'000ms});
        p.dead_letters.messages = random_.of<std::size_t>({0, 5, 1000});
        p.acknowledgement = {random_.of<std::size_t>({1, 3, 64}), 500ms};
        p.history_for = [](std::string_view topic) {
            return pusher::history_params{topic == "h" ? std::size_t{10'000} : 0};
        };
        p.held.messages = random_.of<std::size_t>({2, 1000});
        return p;
    }

    /// Never empty: then what a handler threw at is only counted as such, and what is not acknowledged is
    /// left to a resume.
    failure_ladder ladder() {
        std::vector<failure::rung> rungs;
        for (auto left = random_.below(3); left != 0; --left)
            switch (random_.below(3)) {
            case 0:
                rungs.emplace_back(failure::retry{
                    static_cast<std::uint32_t>(random_.below(3) + 1), random_.of({1ms, 500ms}), 2,
                    random_.of({0.0, 0.5})});
                break;
            case 1:
                rungs.emplace_back(
                    failure::alarm{[this](const pusher::failed_delivery&) { disturb(); }, 0ms});
                break;
            default:
                rungs.emplace_back(failure::decide{[this](const pusher::failed_delivery& f) {
                    disturb();
                    switch (random_.below(4)) {
                    case 0: ++account_of(f.who, f.what.topic()).settled; return failure::settled();
                    case 1: return failure::again(random_.of({1ms, 700ms}));
                    default: return failure::next();
                    }
                }});
            }
        const auto end = random_.below(4);
        if (end == 0 || rungs.empty())
            rungs.emplace_back(failure::drop{});
        else if (end != 3)
            rungs.emplace_back(failure::persist{});
        return failure_ladder(std::move(rungs));
    }

    void note(const std::string& text) const {
        if (print_)
            std::printf("%s\n", text.c_str());
    }

    account& account_of(const pusher::subscriber_info& who, std::string_view topic) {
        for (const auto& h : handlers_)
            if (h->id == who.id)
                return handled_[who.id][std::string(topic)];
        for (auto& p : parties_)
            if (p.uid == who.uid)
                return p.topics[std::string(topic)];
        throw mismatch("somebody unknown");
    }

    void publish() {
        if (random_.percent(15)) {
            auto& to = parties_[random_.below(3)];
            auto f = listener();
            const auto r = script_.core.push_to(to.uid, "p", std::to_string(++published_), {}, &f);
            note("push to " + to.uid + " p=" + std::to_string(published_));
            require(r.matched == (to.session ? 1 : 0), "it is pushed to who is here");
            to.topics["p"].due.insert(published_); // also if nobody is there
            return;
        }
        publish_to(random_.of({"a", "b", "h"}));
    }
    void publish_to(const std::string& topic) {
        const auto n = ++published_;
        for (auto& p : parties_)
            if (p.session && p.subscribed.contains(topic))
                p.topics[topic].due.insert(n);
        if (topic != "h")
            for (const auto& h : handlers_)
                handled_[h->id][topic].due.insert(n);
        note("publish " + topic + "=" + std::to_string(n));
        pusher::publish_options o;
        o.ttl = random_.of({0ms, 0ms, 0ms, 900ms});
        auto f = listener();
        const auto r = script_.core.publish(topic, std::to_string(n), o, nullptr, nullptr, &f);
        require(!r.error, "it is published");
    }
    /// Looks at a report when it comes.
    pusher::detail::report_function listener() {
        ++reports_due_;
        return [this](pusher::error_code, const pusher::delivery_report& r) {
            --reports_due_;
            note("  report of " + std::to_string(r.sequence) + ", " + test::text_of(r));
            if (test::sum_of(r) != r.matched)
                wrong_ = "a report adds up: " + test::text_of(r);
        };
    }

    /// What a host does in its callbacks.
    void disturb() {
        if (!calm_ && random_.percent(20))
            publish_to("a");
    }

    void handle(const test::recorder& h, const pusher::message& m) {
        note("  handler " + std::to_string(h.id) + " is called with " + test::text_of(m));
        if (random_.percent(calm_ ? 5 : 25))
            throw 1;
        auto& a = handled_[h.id][std::string(m.topic())];
        const auto n = std::stoull(std::string(m.payload()));
        // What is thrown here is the core's to catch.
        if (!a.due.contains(n) || !a.received.insert(n).second)
            wrong_ = "a handler gets what is for it, once: " + test::text_of(m);
        if (std::exchange(handled_last_[h.id], n) > n)
            wrong_ = "a handler gets it in order: " + test::text_of(m);
    }

    void turn() {
        note("turn");
        script_.turn();
    }
    void pass(std::chrono::milliseconds time) {
        if (script_.core.turn_pending())
            script_.settle();
        note("pass " + std::to_string(time.count()));
        test::virtual_clock::advance(time);
        script_.core.run_due();
        script_.settle();
    }

    void come(party& p) {
        if (!p.session) {
            note((p.uid.empty() ? "somebody" : p.uid) + " comes");
            p.session = script_.session({.messages = 100'000, .bytes = 1 << 24});
            p.session->remote = true;
            script_.core.bind(*p.session, p.uid);
            p.session->link.room = calm_ ? test::scripted_sink::unlimited : random_.below(100);
        }
        // Its topics, in some order, and perhaps not all at once.
        std::vector<std::string> topics{"a", "b", "h"};
        if (random_.percent(50))
            std::reverse(topics.begin(), topics.end());
        for (const auto& topic : topics) {
            if (p.subscribed.contains(topic) || (!calm_ && random_.percent(30)))
                continue;
            note("  subscribes to " + topic);
            test::core_script::options o;
            o.acknowledge = p.acknowledges && topic == "h";
            script_.subscribe(p.session, topic, o);
            p.subscribed.insert(topic);
        }
    }

    void leave(party& p) {
        if (!p.session)
            return;
        listen();
        note((p.uid.empty() ? "somebody" : p.uid) + " is lost");
        if (const auto& rest = p.session->link.bytes; !rest.empty() && rest[0] != '!')
            ++p.cut;
        script_.core.remove(*p.session);
        p.session = nullptr;
        p.subscribed.clear();
        p.newest.clear();
        p.offset = 0;
    }

    void read(party& p, std::size_t room) {
        if (!p.session)
            return;
        note((p.uid.empty() ? "somebody" : p.uid) + " reads");
        if (p.session->link.blocked())
            script_.writable(p.session, room);
        else
            p.session->link.room = room;
        if (p.acknowledges && p.offset != 0 && p.subscribed.contains("h") && (calm_ || random_.percent(60))) {
            pusher::error_code ec;
            script_.core.acknowledge(*p.session, "h", p.offset, ec);
            note("  acknowledges " + std::to_string(p.offset) + " " + ec.message());
        }
    }

    /// What connections and handlers got.
    void listen() {
        for (auto& p : parties_) {
            if (!p.session)
                continue;
            for (const auto& text : p.session->link.frames())
                hear(p, text);
        }
        require(wrong_.empty(), wrong_);
    }

    void hear(party& p, const std::string& text) {
        note("  " + (p.uid.empty() ? "somebody" : p.uid) + " hears " + text);
        if (text[0] == '!')
            return;
        const bool again = text[0] == '~';
        const auto equals = text.find('=');
        const auto at = text.find('@');
        const auto topic = text.substr(again ? 1 : 0, 1);
        const auto n = std::stoull(text.substr(equals + 1));
        auto& a = p.topics[topic];
        require(a.due.contains(n), p.uid + ": it is for it");
        const bool acknowledges = p.acknowledges && topic == "h";
        const bool first = a.received.insert(n).second;
        require(first || (acknowledges && again), p.uid + ": it comes once: " + text);
        require(acknowledges || n > p.newest[topic], p.uid + ": in order: " + text);
        p.newest[topic] = std::max<std::uint64_t>(p.newest[topic], n);
        if (at != text.npos)
            p.offset = std::max<std::uint64_t>(p.offset, std::stoull(text.substr(at + 1)));
    }

    static void balance(
        const std::string& who, const std::map<std::string, account>& topics, std::uint64_t others,
        bool acknowledges) {
        account all;
        std::uint64_t due = 0;
        std::uint64_t received = 0;
        for (const auto& [topic, a] : topics) {
            due += a.due.size();
            received += a.received.size();
            all.lost += a.lost;
            all.dead += a.dead;
            all.settled += a.settled;
        }
        const auto sum = received + all.lost + all.dead + all.settled + others;
        // What is acknowledged late may have been received, and given up after that.
        require(
            acknowledges ? sum >= due : sum == due,
            who + ": " + std::to_string(due) + " due, " + std::to_string(received) + " received, " +
                std::to_string(all.lost) + " lost, " + std::to_string(all.dead) + " dead, " +
                std::to_string(all.settled) + " settled, " + std::to_string(others) + " cut or kept");
    }

    bool print_;
    bool calm_ = false;
    choices random_;
    test::core_script script_;
    std::deque<party> parties_;
    std::vector<test::recorder_ptr> handlers_;
    std::map<std::uint64_t, std::map<std::string, account>> handled_;
    std::map<std::uint64_t, std::uint64_t> handled_last_;
    std::string wrong_;
    std::uint64_t published_ = 0;
    std::uint64_t reports_due_ = 0;
};

} // namespace

TEST_CASE("simulation: deliveries that fail", "[simulation]") {
    const auto run = [](std::uint64_t seed, bool print) { failing_world(seed, print).run(); };
    CHECK(for_each_seed("simulation: deliveries that fail", 100, run) == "");
}
