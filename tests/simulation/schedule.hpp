// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "choices.hpp"
#include "log.hpp"
#include "model.hpp"
#include "world.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace simulation {

/// What schedules are made of: how often each kind of command comes, and what it comes upon.
struct theme {
    struct weight {
        command::kind what;
        std::size_t often;
    };

    std::vector<weight> weights;
    std::size_t steps = 150;
    std::size_t reactions = 25;    ///< percent of calls in which a handler does something
    std::size_t histories = 50;    ///< percent of seeds with histories
    std::size_t wide = 50;         ///< percent of connections that take everything
    std::size_t forms = 1;         ///< encodings, of those in `forms`
    std::size_t generous = 20;     ///< percent of outboxes that nothing fills
    std::size_t acknowledging = 0; ///< percent of subscriptions
    bool datagrams = false;
    std::size_t filling = 40; ///< the most that a payload is filled up with
    bool long_turns = false;  ///< the core ends none by itself
};

/// A schedule that a seed determines.
class schedule {
public:
    schedule(const theme& t, std::uint64_t seed, bool print)
        : theme_(t),
          random_(seed),
          world_(parameters()) {
        world_.print = print;
        world_.at_call = [this] { return react(); };
        for (const auto& w : theme_.weights)
            total_ += w.often;
    }

    /// All of it; then everybody takes what waits, and leaves. \throws mismatch
    void run() {
        for (auto what : {kind::handler, kind::session, kind::session, kind::queue})
            step(make(what));
        while (step_ < theme_.steps)
            step(choose());
        come_to_rest();
        everybody_leaves();
    }
    [[nodiscard]] std::size_t steps() const { return step_; }

private:
    using kind = command::kind;

    pusher::detail::core_params parameters();
    void limit_turns(pusher::detail::core_params& p);
    void step(const command& c) {
        ++step_;
        reactions_ = 6;
        perform(c);
    }
    void perform(const command& c) {
        const auto o = world_.perform(c);
        if (o.position)
            positions_[c.text] = *o.position;
    }
    bool react();
    command choose();
    command make(kind what);
    void fill_subscription(command& c);
    std::size_t find(bool (*fits)(const world::subscriber&));
    std::size_t room() { return random_.percent(theme_.wide) ? unlimited : random_.below(60); }
    bool acknowledge_all(std::size_t n);
    static bool at_rest(const pusher::detail::catchup& c) {
        return std::all_of(c.cursors.begin(), c.cursors.end(), [](const auto& at) {
            return at->sent && at->sent->empty() && at->next == at->topic->past()->next_offset();
        });
    }
    void come_to_rest();
    void everybody_leaves();

    const theme& theme_;
    choices random_;
    world world_;
    std::size_t total_ = 0;
    std::size_t step_ = 0;
    std::size_t reactions_ = 0; ///< left in this step
    std::uint64_t payloads_ = 0;
    std::map<std::string, pusher::topic_position> positions_;
    std::vector<command> wished_; ///< subscriptions that were asked for
};

inline pusher::detail::core_params schedule::parameters() {
    pusher::detail::core_params p;
    pusher::history_params keep;
    if (random_.percent(theme_.histories)) {
        keep.messages = random_.of<std::size_t>({1, 2, 3, 5, 8, 100});
        keep.bytes = random_.of<std::size_t>({1, 50, 1'000'000});
        keep.age = std::chrono::milliseconds(random_.of({0, 0, 5000}));
    }
    const bool all = random_.percent(30);
    p.history_for = [keep, all](std::string_view topic) {
        return all || topic.starts_with('h') || topic == "*" ? keep : pusher::history_params{};
    };
    if (random_.percent(30))
        p.topic_policies = {
            {random_.of({"h", "h/#", "+"}), static_cast<pusher::overflow_policy>(random_.below(5))},
            {"#", std::nullopt},
            {random_.of({"a/+", "#"}), static_cast<pusher::overflow_policy>(random_.below(5))}};
    if (!theme_.long_turns)
        limit_turns(p);
    p.acknowledgement.window = random_.of<std::size_t>({1, 2, 5, 64});
    p.acknowledgement.timeout = std::chrono::milliseconds(random_.of({10, 1000, 5000}));
    p.subscriptions = random_.of<std::size_t>({3, 1024});
    if (random_.percent(70)) {
        p.idempotency.messages = random_.of<std::size_t>({1, 2, 5, 20, 100});
        p.idempotency.age = std::chrono::milliseconds(random_.of({1, 1000, 5000, 60'000}));
    }
    return p;
}

inline void schedule::limit_turns(pusher::detail::core_params& p) {
    p.run_messages = random_.of<std::size_t>({1, 2, 5, 128});
    p.run_bytes = random_.of<std::size_t>({60, 64 * 1024});
    p.turn_messages = random_.of<std::size_t>({3, 8, 4096});
    p.turn_bytes = random_.of<std::size_t>({100, 1024 * 1024});
}

inline command schedule::choose() {
    auto at = random_.below(total_);
    for (const auto& w : theme_.weights) {
        if (at < w.often)
            return make(w.what);
        at -= w.often;
    }
    return make(kind::publish);
}

/// One that is there and fits, or nobody.
inline std::size_t schedule::find(bool (*fits)(const world::subscriber&)) {
    std::vector<std::size_t> found;
    for (std::size_t n = 0; n != world_.all().size(); ++n)
        if (world_.all()[n].alive && fits(world_.all()[n]))
            found.push_back(n);
    return found.empty() ? nobody : found[random_.below(found.size())];
}

/// A command of that kind, or of another if there is nobody that it could be about.
inline command schedule::make(kind what) {
    static constexpr const char* topics[] = {"a", "b", "a/b", "$s/b", "h", "h", "h/b"};
    static constexpr const char* types[] = {"", "", "x", "y"};
    static constexpr const char* uids[] = {"ann", "bob"};
    command c;
    c.what = what;
    switch (what) {
    case kind::publish:
    case kind::broadcast:
    case kind::push:
        c.text = what == kind::publish ? random_.of(topics) : random_.of({"*", "h", "a"});
        c.type = random_.of(types);
        c.uid = what == kind::push ? random_.of(uids) : "";
        c.payload = std::to_string(++payloads_) +
                    std::string(random_.percent(20) ? random_.below(theme_.filling) : 0, 'x');
        if (random_.percent(30))
            c.key = random_.of({"k", "l"});
        if (random_.percent(40))
            c.id = random_.of({"1", "2", "3"});
        if (random_.percent(25))
            c.ttl = std::chrono::milliseconds(random_.of({1, 999, 1000, 5000}));
        if (random_.percent(40) && !world_.all().empty())
            c.publisher = random_.below(world_.all().size()); // it may have left
        return c;
    case kind::handler: break;
    case kind::queue:
    case kind::session:
        if (!random_.percent(theme_.generous)) {
            c.limits.messages = 1 + random_.below(8);
            c.limits.bytes = random_.of<std::size_t>({20, 60, 1'000'000});
        }
        c.limits.overflow =
            static_cast<pusher::overflow_policy>(random_.of({0, 0, 0, 1, 1, 1, 2, 3, 3, 4, 4, 4}));
        break;
    case kind::subscribe:
    case kind::unsubscribe:
    case kind::remove:
    case kind::bind:
        c.user = find([](const world::subscriber&) { return true; });
        if (what == kind::subscribe || what == kind::unsubscribe)
            fill_subscription(c);
        if (what == kind::bind)
            c.text = random_.percent(80) ? random_.of(uids) : "";
        break;
    case kind::attach:
        c.user = find([](const world::subscriber& s) { return s.what == kind::session; });
        break;
    case kind::detach:
    case kind::room:
        c.user = find([](const world::subscriber& s) { return s.linked(); });
        c.number = what == kind::room ? room() : 0;
        break;
    case kind::writable:
        c.user = find([](const world::subscriber& s) { return s.blocked(); });
        c.number = room();
        break;
    case kind::reply:
        c.user = find([](const world::subscriber& s) { return s.what == kind::session; });
        c.text = "r" + std::to_string(++payloads_) + "\n";
        break;
    case kind::take: c.user = find([](const world::subscriber& s) { return s.what == kind::queue; }); break;
    case kind::flush:
    case kind::watch:
    case kind::repeat:
    case kind::excuse: return c;
    case kind::acknowledge: {
        c.user = find([](const world::subscriber& s) { return s.queue && s.base().catching; });
        if (c.user == nobody)
            break;
        const auto& cursors = world_.all()[c.user].base().catching->cursors;
        if (cursors.empty())
            return make(kind::publish);
        const auto& at = *cursors[random_.below(cursors.size())];
        c.text = std::string(at.topic->text());
        // Mostly something that was sent.
        c.number = random_.below(static_cast<std::size_t>(at.next) + (random_.percent(5) ? 2 : 0));
        break;
    }
    case kind::advance:
        if (world_.inside() || world_.core().turn_pending()) // a turn takes no time
            c.what = kind::flush;
        else
            c.number = random_.of<std::size_t>({1, 1000, 4000, 6000});
        return c;
    }
    if (what == kind::session || what == kind::attach) {
        c.as = random_.below(theme_.forms);
        c.datagrams = theme_.datagrams && random_.percent(40);
        c.number = room();
    }
    if (what == kind::handler || what == kind::queue || what == kind::session)
        c.listed = random_.percent(85);
    else if (c.user == nobody)
        return make(kind::publish);
    return c;
}

inline void schedule::fill_subscription(command& c) {
    if (c.user == nobody)
        return;
    c.type = random_.of({"", "", "", "x", "y"});
    if (random_.percent(30)) {
        c.match = pusher::match_mode::filter;
        c.text = random_.of({"#", "+", "a/#", "+/b", "a", "$s/#", "h/#"});
    } else {
        c.text = random_.of({"a", "b", "a/b", "$s/b", "h", "h", "h/b", "*"});
    }
    // Mostly one that is or was there.
    if (!wished_.empty() && random_.percent(c.what == kind::unsubscribe ? 75 : 25)) {
        const auto& w = wished_[random_.below(wished_.size())];
        c.user = world_.all()[w.user].alive ? w.user : c.user;
        c.text = w.text;
        c.type = w.type;
        c.match = w.match;
    }
    if (c.what == kind::unsubscribe)
        return;
    wished_.push_back(c);
    c.echo = random_.percent(70);
    if (random_.percent(30))
        c.overflow = static_cast<pusher::overflow_policy>(random_.of({0, 0, 1, 1, 2, 3, 3, 4, 4}));
    if (theme_.acknowledging != 0 && random_.percent(theme_.acknowledging)) {
        c.acknowledge = true;
        if (random_.percent(80))
            c.match = pusher::match_mode::exact;
        if (random_.percent(80))
            c.overflow.reset();
    }
    const auto how = random_.below(10);
    if (how < 3)
        c.history = random_.of<std::size_t>({1, 2, 5, 100});
    if (how == 3 || how == 4 || how == 0) {
        auto at = positions_.contains(c.text) ? positions_[c.text] : pusher::topic_position{7, 3};
        at.offset = random_.below(at.offset + 2);
        if (random_.percent(10))
            ++at.epoch;
        c.resume = at;
    }
    if (how == 5)
        c.resume_after = random_.below(static_cast<std::size_t>(world_.core().sequence()) + 1);
}

/// What a handler does while it is called. \return whether it throws then
inline bool schedule::react() {
    if (reactions_ == 0 || !random_.percent(theme_.reactions))
        return false;
    --reactions_;
    for (auto n = random_.below(3); n-- != 0;)
        perform(choose());
    return random_.percent(20);
}

inline void schedule::come_to_rest() {
    for (bool busy = true; busy;) {
        busy = false;
        if (world_.asked()) {
            step(make(kind::flush));
            busy = true;
        }
        for (std::size_t n = 0; n != world_.all().size(); ++n) {
            const auto& s = world_.all()[n];
            command c;
            c.user = n;
            c.number = unlimited;
            if (!s.alive || !s.queue)
                continue;
            if (acknowledge_all(n))
                busy = true;
            if (s.blocked())
                c.what = kind::writable;
            else if (s.what == kind::session && !s.linked())
                c.what = kind::attach;
            else if (s.what == kind::queue && s.queue->box && !s.queue->box->empty())
                c.what = kind::take;
            else
                continue;
            step(c);
            busy = true;
        }
        require(step_ < theme_.steps + 100'000, "it comes to rest");
    }
    for (std::size_t n = 0; n != world_.all().size(); ++n) {
        const auto& s = world_.all()[n];
        const auto who = "subscriber " + std::to_string(n) + ": ";
        if (!s.alive || (s.queue && s.queue->overflowed))
            continue;
        require(!s.base().catching || at_rest(*s.base().catching), who + "has come to the present");
        require(!s.queue || !s.queue->box || s.queue->box->empty(), who + "nothing waits");
    }
    require(world_.core().pressured() == 0, "nobody is slow");
}

/// Acknowledges what a subscriber was sent. \return whether there was anything.
inline bool schedule::acknowledge_all(std::size_t n) {
    bool any = false;
    const auto& s = world_.all()[n];
    if (s.base().catching)
        for (std::size_t i = 0; s.base().catching && i != s.base().catching->cursors.size(); ++i) {
            const auto& at = *s.base().catching->cursors[i];
            if (!at.sent || at.sent->empty())
                continue;
            command c;
            c.what = kind::acknowledge;
            c.user = n;
            c.text = std::string(at.topic->text());
            c.number = static_cast<std::size_t>(at.next - 1);
            step(c);
            any = true;
        }
    return any;
}

inline void schedule::everybody_leaves() {
    for (std::size_t n = 0; n != world_.all().size(); ++n)
        if (world_.all()[n].alive) {
            command c;
            c.what = kind::remove;
            c.user = n;
            step(c);
        }
    while (world_.asked())
        step(make(kind::flush));
    require(world_.core().subscriptions() == 0, "no subscription is left");
    require(world_.core().filters() == 0, "no filter is left");
    require(world_.core().memory() == 0 || world_.core().topics() != 0, "nothing is held");
}

} // namespace simulation
