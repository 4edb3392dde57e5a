// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include "core_script.hpp"
#include "log.hpp"
#include "model.hpp"
#include "report_text.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace simulation {

/// A core with subscribers and connections. It does what it is told, writes down what happens, and holds all
/// of it against the model.
class world final : public pusher::observer {
public:
    struct subscriber {
        command::kind what{};
        bool alive = true;
        test::recorder_ptr handler;
        test::peer_ptr queue;
        effects seen;

        [[nodiscard]] pusher::detail::subscriber_base& base() const {
            return handler ? static_cast<pusher::detail::subscriber_base&>(*handler) : *queue;
        }
        [[nodiscard]] bool linked() const { return queue && queue->to; }
        [[nodiscard]] bool blocked() const { return linked() && queue->link.blocked(); }
    };

    explicit world(pusher::detail::core_params p)
        : params_(with_clocks(std::move(p))),
          core_(
              params_, [](void* self) { ++static_cast<world*>(self)->asked_; }, this),
          model_(params_) {
        for (const auto& f : forms) {
            encodings_.emplace_back(f.mark);
            encodings_.back().longest = f.longest;
            encodings_.back().silent = f.silent;
        }
        core_.observe(this);
    }

    /// Does one thing, also from inside a handler. \throws mismatch when it is done from outside
    outcome perform(const command& c);

    std::function<bool()> at_call; ///< inside a handler: performs more, and says whether it throws
    bool print = false;

    [[nodiscard]] const std::deque<subscriber>& all() const { return all_; }
    [[nodiscard]] const pusher::detail::core& core() const { return core_; }
    [[nodiscard]] const model& expected() const { return model_; }
    [[nodiscard]] bool asked() const { return asked_ != 0; } ///< for the end of the turn
    [[nodiscard]] bool inside() const { return depth_ != 0; }

    // ---- what the core says

    void at_publish(const pusher::message& m, const pusher::receipt& r) override {
        announced_[m.sequence()] = r.matched;
    }
    void
    at_drop(const pusher::subscriber_info& who, std::string_view topic, pusher::drop_cause why) override {
        static constexpr const char* names[] = {" overflow",      " trimmed",   " disconnected",
                                                " undeliverable", " conflated", " expired"};
        seen_of(who.id).drops.push_back(std::string(topic) + names[static_cast<std::size_t>(why)]);
    }
    void at_gap(const pusher::subscriber_info& who, const pusher::gap& g) override {
        seen_of(who.id).gaps.push_back(test::text_of(g));
    }
    void at_handler_threw(const pusher::subscriber_info&, std::string_view, std::exception_ptr) override {
        ++threw_;
    }

private:
    using kind = command::kind;

    static pusher::detail::core_params with_clocks(pusher::detail::core_params p) {
        test::virtual_clock::reset();
        p.wall = &test::virtual_clock::wall_now;
        p.steady = &test::virtual_clock::steady_now;
        return p;
    }

    effects& seen_of(std::uint64_t id) {
        for (auto& s : all_)
            if (s.base().id == id)
                return s.seen;
        throw std::logic_error("the observer was told of a stranger");
    }
    void note(const std::string& text) const {
        if (!print)
            return;
        std::printf("%*s%s\n", static_cast<int>(2 * depth_), "", text.c_str());
        std::fflush(stdout);
    }
    entry& log(entry::kind what) {
        log_.emplace_back();
        log_.back().what = what;
        return log_.back();
    }
    /// Notices that the core has ended the turn by itself.
    void look_for_early_end() {
        if (std::exchange(may_end_turn_, false) && core_.counters().turns != turns_) {
            note("(the turn ended)");
            log(entry::kind::early);
        }
    }
    void called(entry::kind how, std::size_t user, std::uint64_t sequence, bool may_throw);
    void add(const command& c);
    void attach(const command& c);
    void publish(const command& c, outcome& o);
    void subscribe(const command& c, outcome& o);
    void take(std::size_t user, outcome& o);
    void check();
    void check_reports();

    pusher::detail::core_params params_;
    int asked_ = 0;
    std::deque<test::text_encoding> encodings_;
    std::deque<subscriber> all_;
    pusher::detail::core core_;
    model model_;
    std::vector<entry> log_;
    std::size_t depth_ = 0;
    bool may_end_turn_ = false;
    std::uint64_t turns_ = 0;
    std::uint64_t threw_ = 0;
    std::map<std::uint64_t, std::size_t> announced_; ///< what the observer saw matched, by sequence
    bool announced_right_ = true;
    std::map<std::uint64_t, std::size_t> awaited_; ///< reports: what their receipts said, by sequence
    std::multimap<std::uint64_t, pusher::delivery_report> reports_; ///< that came in this step
};

inline outcome world::perform(const command& c) {
    note(text_of(c));
    log(entry::kind::begin).does = c;
    may_end_turn_ =
        c.what == kind::publish || c.what == kind::broadcast || c.what == kind::push || c.what == kind::reply;
    turns_ = core_.counters().turns;
    ++depth_;
    outcome o;
    switch (c.what) {
    case kind::publish:
    case kind::broadcast:
    case kind::push: publish(c, o); break;
    case kind::subscribe: subscribe(c, o); break;
    case kind::unsubscribe: o.yes = core_.unsubscribe(all_[c.user].base(), c.text, c.type, c.match); break;
    case kind::handler:
    case kind::queue:
    case kind::session: add(c); break;
    case kind::remove:
        all_[c.user].alive = false;
        core_.remove(all_[c.user].base());
        break;
    case kind::bind: core_.bind(all_[c.user].base(), c.text); break;
    case kind::attach: attach(c); break;
    case kind::detach: core_.detach(*all_[c.user].queue); break;
    case kind::room: all_[c.user].queue->link.room = c.number; break;
    case kind::writable:
        all_[c.user].queue->link.unblock(c.number);
        core_.writable(*all_[c.user].queue);
        break;
    case kind::reply: core_.reply(*all_[c.user].queue, c.text); break;
    case kind::take: take(c.user, o); break;
    case kind::flush:
        asked_ = 0;
        core_.flush();
        break;
    case kind::advance: test::virtual_clock::advance(std::chrono::milliseconds(c.number)); break;
    case kind::watch: core_.forget_progress(); break;
    case kind::excuse: core_.excuse_stalled(); break;
    case kind::acknowledge: {
        pusher::error_code ec;
        core_.acknowledge(all_[c.user].base(), c.text, c.number, ec);
        if (ec)
            o.error = ec.message();
        break;
    }
    case kind::repeat: core_.run_due(); break;
    }
    look_for_early_end();
    --depth_;
    log(entry::kind::done).result = o;
    if (depth_ == 0)
        check();
    return o;
}

inline void world::add(const command& c) {
    const auto n = all_.size();
    all_.emplace_back();
    auto& s = all_.back();
    s.what = c.what;
    if (c.what == kind::handler) {
        s.handler = test::recorder_ptr(new test::recorder);
        s.handler->on_message = [this, n](const pusher::message& m) {
            called(entry::kind::call, n, m.sequence(), true);
        };
        s.handler->when_told = [this, n](const pusher::gap&) { called(entry::kind::told, n, 0, true); };
    } else {
        s.queue = test::peer_ptr(new test::peer(c.limits));
    }
    s.base().listed = c.listed;
    s.base().remote = c.what == kind::session;
    core_.add(&s.base());
    if (c.what == kind::session) {
        auto linked = c;
        linked.user = n;
        attach(linked);
    }
}

inline void world::attach(const command& c) {
    auto& q = *all_[c.user].queue;
    q.link.unblock(c.number);
    q.link.datagrams = c.datagrams;
    core_.attach(q, encodings_[c.as], q.link);
}

inline void world::publish(const command& c, outcome& o) {
    pusher::publish_options options;
    options.type = c.type;
    options.key = c.key;
    options.id = c.id;
    options.ttl = c.ttl;
    if (c.publisher != nobody)
        options.publisher = all_[c.publisher].base().id;
    pusher::detail::report_function f = [this](pusher::error_code, const pusher::delivery_report& report) {
        reports_.emplace(report.sequence, report);
    };
    auto* const report = std::stoull(c.payload) % 4 == 0 ? nullptr : &f; // some do without
    const auto r =
        c.what == kind::publish     ? core_.publish(c.text, c.payload, options, nullptr, nullptr, report)
        : c.what == kind::broadcast ? core_.broadcast(c.text, c.payload, options, nullptr, nullptr, report)
                                    : core_.push_to(c.uid, c.text, c.payload, options, report);
    if (r.error)
        o.error = r.error.message();
    if (!f)
        awaited_[r.sequence] = r.matched;
    o.matched = r.matched;
    o.sequence = r.sequence;
    o.position = r.position;
    o.repeated = r.repeated;
    if (!r.repeated)
        announced_right_ =
            announced_right_ && announced_.contains(r.sequence) && announced_[r.sequence] == r.matched;
}

inline void world::subscribe(const command& c, outcome& o) {
    pusher::subscribe_options options;
    options.match = c.match;
    options.type = c.type;
    options.echo = c.echo;
    options.overflow = c.overflow;
    options.acknowledge = c.acknowledge;
    options.history = c.history;
    options.resume = c.resume;
    pusher::error_code ec;
    const auto r = core_.subscribe(all_[c.user].base(), c.text, options, ec, c.resume_after);
    if (ec)
        o.error = ec.message();
    o.recovered = r.recovered;
    o.position = r.position;
}

inline void world::take(std::size_t user, outcome& o) {
    auto& s = all_[user];
    o.yes = core_.take(
        *s.queue,
        [&](const pusher::message& m) {
            s.seen.got.push_back(test::text_of(m));
            called(entry::kind::call, user, m.sequence(), false);
        },
        [&](const pusher::gap& g) { s.seen.got.push_back(test::text_of(g)); });
}

inline void world::called(entry::kind how, std::size_t user, std::uint64_t sequence, bool may_throw) {
    look_for_early_end();
    ++depth_;
    note(
        "#" + std::to_string(user) + (how == entry::kind::call ? " called with " : " told ") +
        std::to_string(sequence));
    auto& e = log(how);
    e.user = user;
    e.sequence = sequence;
    const bool throws = at_call && at_call() && may_throw;
    log(entry::kind::end).threw = throws;
    --depth_;
    if (throws)
        throw std::runtime_error("as the seed says");
}

/// Holds what happened against the model.
inline void world::check() {
    const auto log = std::exchange(log_, {});
    model_.step(log);
    const auto same = [](const std::string& what, std::uint64_t is, std::uint64_t due) {
        require(is == due, what + ": " + std::to_string(is) + " where it should be " + std::to_string(due));
    };
    const auto texts = [](const std::vector<std::string>& all) {
        std::string joined;
        for (const auto& t : all)
            joined += "\n    " + t;
        return joined;
    };
    for (std::size_t n = 0; n != all_.size(); ++n) {
        auto& s = all_[n];
        auto seen = std::exchange(s.seen, {});
        auto due = std::exchange(model_.expected(n), {});
        const auto who = "subscriber " + std::to_string(n) + ": ";
        if (s.handler) {
            seen.got = s.handler->take();
        } else {
            seen.bytes = std::exchange(s.queue->link.bytes, {});
            seen.overflows = std::exchange(s.queue->overflows, 0);
            require(
                seen.bytes == due.bytes,
                who + "was sent\n" + seen.bytes + "\nwhere it should be\n" + due.bytes);
            same(
                who + "overflows", static_cast<std::uint64_t>(seen.overflows),
                static_cast<std::uint64_t>(due.overflows));
            const auto* const box = s.queue->box.get();
            same(who + "waiting", box ? box->messages() : 0, model_.waiting(n));
            same(who + "bytes waiting", box ? box->bytes() : 0, model_.waiting_bytes(n));
            if (box)
                require(box->messages() <= s.queue->limits->messages, who + "more waits than its limit");
        }
        require(seen.got == due.got, who + "got" + texts(seen.got) + "\nwhere it should be" + texts(due.got));
        require(
            seen.drops == due.drops,
            who + "lost" + texts(seen.drops) + "\nwhere it should be" + texts(due.drops));
        std::sort(seen.gaps.begin(), seen.gaps.end());
        std::sort(due.gaps.begin(), due.gaps.end());
        require(
            seen.gaps == due.gaps,
            who + "the observer saw" + texts(seen.gaps) + "\nwhere it should be" + texts(due.gaps));
        if (s.alive)
            same(who + "catches up", s.base().catching != nullptr, model_.catching(n));
    }
    const auto& is = core_.counters();
    const auto& due = model_.counters();
    same("published", is.published, due.published);
    same("published_bytes", is.published_bytes, due.published_bytes);
    same("repeated", is.repeated, due.repeated);
    same("delivered", is.delivered, due.delivered);
    same("dropped", is.dropped, due.dropped);
    same("dropped_trimmed", is.dropped_trimmed, due.dropped_trimmed);
    same("dropped_disconnected", is.dropped_disconnected, due.dropped_disconnected);
    same("dropped_undeliverable", is.dropped_undeliverable, due.dropped_undeliverable);
    same("dropped_conflated", is.dropped_conflated, due.dropped_conflated);
    same("dropped_expired", is.dropped_expired, due.dropped_expired);
    same("redelivered", is.redelivered, due.redelivered);
    same("handler_exceptions", is.handler_exceptions, due.handler_exceptions);
    same("handlers that threw, seen", threw_, due.handler_exceptions);
    same("turns", is.turns, due.turns);
    same("sequence", core_.sequence(), due.published);
    same("publishes seen", announced_.size(), due.published);
    require(announced_right_, "the observer saw what the publisher was told");
    same("subscriptions", core_.subscriptions(), model_.subscriptions());
    same("filters", core_.filters(), model_.filters());
    if (!model_.within_turn())
        same("topics", core_.topics(), model_.topics());
    same("pressured", core_.pressured(), model_.pressured());
    check_reports();
    require(asked_ == 0 || asked_ == 1, "the end of a turn is asked for once");
    require(asked_ == 1 || !model_.wants_flush(), "nobody asked for the end of the turn");
    require(asked_ == 1 || awaited_.empty(), "nobody asked for the end of the turn, and a report is due");
}

inline void world::check_reports() {
    using fate = pusher::delivery_outcome;
    for (const auto& [sequence, due] : model_.take_reports()) {
        const auto waits = awaited_.find(sequence);
        if (waits == awaited_.end())
            continue;
        const auto name = "report of " + std::to_string(sequence);
        require(reports_.count(sequence) == 1, name + ": it has come, once");
        const auto r = reports_.extract(sequence).mapped();
        const auto what = name + ", " + test::text_of(r) + ": ";
        require(r.matched == waits->second, what + "it matched what the receipt said");
        require(test::sum_of(r) == r.matched, what + "it adds up");
        std::size_t open = 0;
        for (auto n = 0; n <= static_cast<int>(fate::parked); ++n) {
            const auto is = r.count(static_cast<fate>(n));
            const auto found = due.counts.find(static_cast<fate>(n));
            const auto least = found == due.counts.end() ? 0 : found->second;
            require(is >= least, what + std::to_string(least) + " " + test::text_of(static_cast<fate>(n)));
            open += is - least;
        }
        require(open <= due.open, what + "more than are due");
        require(
            r.failures.size() + r.unlisted_failures == r.matched - r.delivered - r.queued - r.conflated,
            what + "the failures");
        awaited_.erase(waits);
    }
    require(reports_.empty(), "a report came before the turn was over");
}

} // namespace simulation
