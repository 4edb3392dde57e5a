// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Received + gaps = published, exactly: slow readers of random speed, whose outboxes overflow, in virtual
// time. Here the model is nothing but two numbers for each reader and topic, what was published and what the
// reader heard of, both taken from outside: from the publishes, and from the frames that its connection took.
//
// A reader that is disconnected when its outbox overflows comes back and resumes after the last message that
// it has; what has left the history meanwhile must be in the gaps that it is told.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "choices.hpp"
#include "core_script.hpp"
#include "seeds.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace simulation;
using pusher::match_mode;
using pusher::overflow_policy;

namespace {

struct wish {
    std::string text;
    match_mode match;
    std::string type;

    /// The filters are `#` and `h/+`.
    [[nodiscard]] bool is_for(const std::string& topic, const std::string& of_type) const {
        const bool fits = match == match_mode::exact ? text == topic : text == "#" || topic.starts_with("h/");
        return fits && (type.empty() || type == of_type);
    }
};

/// What a reader knows of one topic.
struct account {
    std::uint64_t published = 0; ///< for it
    std::uint64_t received = 0;
    std::uint64_t told = 0;          ///< missed, as gaps say
    std::uint64_t newest = 0;        ///< offset of the last one that it heard of
    std::set<std::uint64_t> offsets; ///< of what was published for it and not received
    std::set<std::uint64_t> in_gaps; ///< offsets that some gap covers
};

struct reader {
    test::peer_ptr session; ///< null: away
    bool takes = false;     ///< in process: there is no connection
    pusher::outbox_params limits;
    std::vector<wish> wishes;
    std::map<std::string, account> topics;
    std::uint64_t last = 0;  ///< number of the last message
    bool begun = false;      ///< its connection has a part of a frame
    bool catches_up = false; ///< topics come at different times
};

class slow_readers {
public:
    slow_readers(std::uint64_t seed, bool print, std::vector<overflow_policy> policies, bool resuming)
        : print_(print),
          resuming_(resuming),
          random_(seed),
          script_(parameters()) {
        for (auto policy : policies) {
            auto& r = readers_.emplace_back();
            r.takes = !resuming && random_.percent(20);
            r.limits.messages = random_.of<std::size_t>({1, 2, 5, 10, 40});
            r.limits.bytes = random_.of<std::size_t>({4, 12, 1000});
            r.limits.overflow = policy;
            r.catches_up = policy == overflow_policy::spill;
            come(r);
        }
    }

    void run() {
        for (int step = 0; step != 300; ++step) {
            const auto what = random_.below(100);
            if (what < 55)
                publish();
            else if (what < 75)
                turn();
            else if (what < 92)
                read(readers_[random_.below(readers_.size())], random_.below(80));
            else if (what < 95)
                change(readers_[random_.below(readers_.size())]);
            else
                pass_time();
            listen();
        }
        const auto waits = [](const reader& r) {
            return !r.session || r.session->catching || (r.session->box && !r.session->box->empty());
        };
        do {
            turn();
            for (auto& r : readers_)
                if (waits(r))
                    read(r, test::scripted_sink::unlimited);
            listen();
        } while (script_.asked != 0 || std::any_of(readers_.begin(), readers_.end(), waits));
        for (const auto& r : readers_)
            balance(r);
    }

private:
    pusher::detail::core_params parameters() {
        pusher::detail::core_params p;
        const auto messages = random_.of<std::size_t>({5, 20, 1000});
        const auto age = std::chrono::milliseconds(resuming_ ? random_.of({0, 3000}) : 0);
        p.history_for = [messages, age, all = resuming_](std::string_view topic) {
            pusher::history_params keep;
            keep.messages = all || topic.starts_with("h/") ? messages : 0;
            keep.age = age;
            return keep;
        };
        p.run_messages = random_.of<std::size_t>({1, 4, 128});
        p.memory_bytes = random_.of<std::size_t>({12'000, 100'000'000});
        return p;
    }

    void note(const std::string& text) const {
        if (print_)
            std::printf("%s\n", text.c_str());
    }
    [[nodiscard]] std::string name(const reader& r) const {
        for (std::size_t n = 0; n != readers_.size(); ++n)
            if (&readers_[n] == &r)
                return "reader " + std::to_string(n);
        return "nobody";
    }

    void publish() {
        const std::string topic = random_.of({"a", "b", "h/a", "h/b"});
        const std::string type = random_.of({"", "x", "y"});
        pusher::publish_options o;
        o.type = type;
        o.key = random_.of({"", "", "k", "l"});
        // Over a resume the loss of what has expired may be told twice.
        o.ttl = std::chrono::milliseconds(resuming_ ? 0 : random_.of({0, 0, 0, 1, 700, 2000}));
        const auto r = script_.core.publish(topic, std::to_string(++published_), o);
        require(!r.error, "it is published");
        note(
            "publish " + topic + ":" + type + "=" + std::to_string(published_) + " key " +
            std::string(o.key) + " ttl " + std::to_string(o.ttl.count()));
        std::size_t matched = 0;
        for (auto& who : readers_)
            if (std::any_of(who.wishes.begin(), who.wishes.end(), [&](const wish& w) {
                    return w.is_for(topic, type);
                })) {
                auto& a = who.topics[topic];
                ++a.published;
                if (r.position)
                    a.offsets.insert(r.position->offset);
                matched += who.session != nullptr;
            }
        require(r.matched == matched, "matched " + std::to_string(r.matched));
        if (r.position)
            epochs_[topic] = r.position->epoch;
    }

    void turn() {
        note("turn");
        script_.turn();
        require(script_.core.memory() <= script_.core.params().memory_bytes, "memory is bounded");
    }

    /// The connection takes some bytes, or the host some messages.
    void read(reader& r, std::size_t room) {
        if (!r.session)
            return come(r);
        note(name(r) + " reads " + std::to_string(room));
        if (r.takes) {
            for (const auto& text : take(r, room / 8))
                hear(r, text);
        } else if (r.session->link.blocked()) {
            script_.writable(r.session, room);
        } else {
            r.session->link.room = room;
        }
    }
    std::vector<std::string> take(reader& r, std::size_t most) {
        std::vector<std::string> got;
        for (bool more = true; more && most-- != 0;)
            more = script_.core.take(
                *r.session, [&](const pusher::message& m) { got.push_back(test::text_of(m)); },
                [&](const pusher::gap& g) { got.push_back(test::text_of(g)); });
        return got;
    }

    /// It asks for something more, or for something no longer.
    void change(reader& r) {
        if (resuming_)
            return;
        // What has been spilled goes with the subscription.
        if (!r.wishes.empty() && r.limits.overflow != overflow_policy::spill && random_.percent(50)) {
            const auto w = r.wishes.begin() + static_cast<std::ptrdiff_t>(random_.below(r.wishes.size()));
            require(script_.unsubscribe(r.session, w->text, w->type, w->match), "unsubscribe finds it");
            r.wishes.erase(w);
        } else {
            want(r);
        }
    }
    void want(reader& r) {
        wish w{random_.of({"a", "b", "h/a", "h/b"}), match_mode::exact, random_.of({"", "", "x"})};
        if (random_.percent(30))
            w = {random_.of({"#", "h/+"}), match_mode::filter, random_.of({"", "x"})};
        for (const auto& other : r.wishes)
            if (other.text == w.text && other.type == w.type)
                return;
        note(name(r) + " subscribes to " + w.text + " " + w.type);
        test::core_script::options o;
        o.match = w.match;
        o.type = w.type;
        script_.subscribe(r.session, w.text, o);
        r.wishes.push_back(w);
    }

    /// It connects; where it was before, it resumes.
    void come(reader& r) {
        note(name(r) + " comes");
        r.session = r.takes ? script_.queue(r.limits) : script_.session(r.limits);
        if (!resuming_) {
            for (int n = 0; n != 3; ++n)
                want(r);
            return;
        }
        if (r.wishes.empty()) {
            r.wishes = {{"a", match_mode::exact, ""}, {"h/a", match_mode::exact, ""}};
            for (const auto& w : r.wishes) // nothing was published before
                script_.subscribe(r.session, w.text);
            return;
        }
        r.catches_up = true;
        for (const auto& w : r.wishes) {
            test::core_script::options o;
            const auto& a = r.topics[w.text];
            if (epochs_.contains(w.text))
                o.resume = pusher::topic_position{epochs_[w.text], a.newest};
            const auto result = script_.subscribe(r.session, w.text, o);
            if (o.resume)
                note(
                    "  resumed after " + w.text + "@" + std::to_string(a.newest) +
                    (*result.recovered ? "" : ": not all is there"));
        }
    }

    void pass_time() {
        if (!script_.core.turn_pending())
            test::virtual_clock::advance(std::chrono::milliseconds(500));
    }

    /// What the connections took since the last time.
    void listen() {
        for (auto& r : readers_) {
            if (!r.session || r.takes)
                continue;
            std::set<std::string> told;
            auto begun_before = r.begun;
            for (const auto& text : r.session->link.frames()) {
                hear(r, text);
                // Who reads on from history is written to twice in a turn.
                if (text[0] == '!' && !begun_before && r.limits.overflow != overflow_policy::spill)
                    require(
                        told.insert(text.substr(0, text.find(' '))).second,
                        name(r) + ": one gap marker per topic and flush");
                begun_before = false;
            }
            r.begun = !r.session->link.bytes.empty();
            if (r.session->overflows == 0)
                continue;
            note(name(r) + " is disconnected");
            require(r.limits.overflow == overflow_policy::disconnect, "only who wants it is disconnected");
            script_.core.remove(*r.session);
            r.session = nullptr;
            r.begun = false;
        }
    }

    void hear(reader& r, const std::string& text) {
        note("  " + name(r) + " hears " + text);
        if (text[0] == '!') {
            const auto space = text.find(' ');
            auto& a = r.topics[text.substr(1, space - 1)];
            const auto count = std::stoull(text.substr(space));
            a.told += count;
            require(count != 0, name(r) + ": nothing is missed");
            const auto range = text.find(' ', space + 1);
            require(
                (range != text.npos) == (resuming_ || text[1] == 'h'),
                name(r) + ": offsets where there is history");
            if (range == text.npos)
                return;
            const auto first = std::stoull(text.substr(range));
            const auto last = std::stoull(text.substr(text.find('-') + 1));
            require(count <= last - first + 1, name(r) + ": more was missed than there is");
            require(a.offsets.contains(first) && a.offsets.contains(last), name(r) + ": it has that");
            for (auto offset = first; offset <= last; ++offset)
                a.in_gaps.insert(offset);
            if (resuming_) // it knows of these: it goes on after them
                a.newest = std::max<std::uint64_t>(a.newest, last);
            return;
        }
        const auto equals = text.find('=');
        const auto at = text.find('@');
        const auto colon = text.find(':');
        auto& a = r.topics[text.substr(0, std::min({equals, at, colon}))];
        ++a.received;
        const auto number = std::stoull(text.substr(equals + 1));
        if (at != text.npos) {
            const auto offset = std::stoull(text.substr(at + 1));
            require(offset > a.newest, name(r) + ": order within the topic");
            require(a.offsets.erase(offset) == 1, name(r) + ": it is for it, and comes once");
            a.newest = offset;
            // Whatever of it was lost by dropping the oldest, from history or by its age has been told by
            // now.
            if (r.limits.overflow == overflow_policy::drop_oldest ||
                r.limits.overflow == overflow_policy::disconnect) {
                std::uint64_t missing = 0;
                for (auto o : a.offsets)
                    missing += o < offset;
                // What has expired behind it may be among what is told.
                require(
                    resuming_ ? a.told == missing : a.told >= missing,
                    name(r) + ": told of " + std::to_string(a.told) + " missing");
            }
        }
        require(r.catches_up || number > r.last, name(r) + ": publish order");
        r.last = number;
    }

    void balance(const reader& r) const {
        for (const auto& [topic, a] : r.topics) {
            require(
                a.received + a.told == a.published, name(r) + ", " + topic + ": " +
                                                        std::to_string(a.received) + " received, " +
                                                        std::to_string(a.told) + " told to be missing, " +
                                                        std::to_string(a.published) + " published");
            for (auto offset : a.offsets)
                require(a.in_gaps.contains(offset), name(r) + ": a gap tells where what is missing was");
        }
    }

    bool print_;
    bool resuming_;
    choices random_;
    test::core_script script_;
    std::deque<reader> readers_;
    std::map<std::string, std::uint64_t> epochs_;
    std::uint64_t published_ = 0;
};

} // namespace

TEST_CASE("simulation: received + gaps = published where outboxes drop", "[simulation]") {
    const auto run = [](std::uint64_t seed, bool print) {
        using enum overflow_policy;
        slow_readers(
            seed, print, {drop_oldest, drop_oldest, drop_newest, conflate, conflate, spill, spill}, false)
            .run();
    };
    CHECK(for_each_seed("simulation: received + gaps = published where outboxes drop", 60, run) == "");
}

TEST_CASE("simulation: received + gaps = published over disconnects", "[simulation]") {
    const auto run = [](std::uint64_t seed, bool print) {
        using enum overflow_policy;
        slow_readers(seed, print, {disconnect, disconnect, disconnect, drop_oldest}, true).run();
    };
    CHECK(for_each_seed("simulation: received + gaps = published over disconnects", 60, run) == "");
}
