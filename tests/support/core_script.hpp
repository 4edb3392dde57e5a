// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Drives the core as a broker does, without sockets and in virtual time: what is published, read and written
// is text that a test can spell out.

namespace test {

/// The core's two clocks, which stand still unless told.
struct virtual_clock {
    static inline pusher::wall_time wall{};
    static inline pusher::detail::steady_time steady{};

    static void reset() {
        wall = pusher::wall_time(std::chrono::seconds(1'700'000'000));
        steady = pusher::detail::steady_time(std::chrono::hours(1));
    }
    static void advance(std::chrono::milliseconds by) {
        wall += by;
        steady += by;
    }
    static pusher::wall_time wall_now() { return wall; }
    static pusher::detail::steady_time steady_now() { return steady; }
};

/// `topic=payload`, `topic:type=payload`, with history `topic@offset=payload`.
/// Begins with `~` if it was sent before.
inline std::string text_of(const pusher::message& m) {
    auto text = (m.redelivered() ? "~" : "") + std::string(m.topic());
    if (!m.type().empty())
        text.append(":").append(m.type());
    if (m.position())
        text.append("@").append(std::to_string(m.position()->offset));
    return text.append("=").append(m.payload());
}

/// `!topic count`, with history `!topic count first-last`.
inline std::string text_of(const pusher::gap& g) {
    auto text = "!" + std::string(g.topic) + " " + std::to_string(g.count);
    if (g.offsets)
        text += " " + std::to_string(g.offsets->first) + "-" + std::to_string(g.offsets->last);
    return text;
}

inline std::string text_of(pusher::failure_cause why) {
    switch (why) {
    case pusher::failure_cause::disconnected: return "disconnected";
    case pusher::failure_cause::not_acknowledged: return "not acknowledged";
    case pusher::failure_cause::handler_threw: return "handler threw";
    case pusher::failure_cause::undeliverable: return "undeliverable";
    case pusher::failure_cause::send_failed: return "send failed";
    case pusher::failure_cause::absent: return "absent";
    }
    return "?";
}

/// One line per frame, with a mark in front to tell one encoding from another.
class text_encoding final : public pusher::encoding {
public:
    explicit text_encoding(std::string mark = {}) : mark_(std::move(mark)) {}

    void push(const pusher::message& m, std::string& out) const override {
        ++pushed;
        if (m.payload().size() > longest)
            return;
        out.append(mark_).append(text_of(m)).append("\n");
    }
    void gap(const pusher::gap& g, std::string& out) const override {
        if (!silent)
            out.append(mark_).append(text_of(g)).append("\n");
    }

    mutable std::size_t pushed = 0;                                ///< how often a message was encoded
    bool silent = false;                                           ///< it has no way to tell of a gap
    std::size_t longest = std::numeric_limits<std::size_t>::max(); ///< payload that it can carry

private:
    std::string mark_;
};

/// A connection that takes as much as it has room for.
class scripted_sink final : public pusher::sink {
public:
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    std::size_t write(std::span<const char> data, std::span<const std::uint32_t> ends) noexcept override {
        require(!blocked_, "a sink that took less than all is not called again before it asks");
        require(!data.empty(), "there is something to write");
        require(ends.empty() || ends.back() == data.size(), "the last frame ends where the bytes end");
        require(datagrams || ends.empty(), "ends are only for who wants them");
        ++writes;
        refused_.clear();
        std::size_t taken = 0;
        if (!ends.empty()) {
            for (std::uint32_t i = 0; i != ends.size(); ++i) {
                const auto end = ends[i];
                require(end > taken, "a datagram is not empty");
                if (end - taken > room)
                    break;
                const std::string_view datagram(data.data() + taken, end - taken);
                if (!refuses.empty() && datagram.find(refuses) != datagram.npos)
                    refused_.push_back(i);
                else
                    bytes.append(datagram);
                room -= room == unlimited ? 0 : end - taken;
                taken = end;
            }
        } else {
            taken = std::min(room, data.size());
            bytes.append(data.data(), taken);
            room -= room == unlimited ? 0 : taken;
        }
        blocked_ = taken != data.size();
        return taken;
    }
    bool wants_ends() const noexcept override { return datagrams; }
    std::span<const std::uint32_t> refused() const noexcept override { return refused_; }

    void unblock(std::size_t new_room = unlimited) {
        room = new_room;
        blocked_ = false;
    }
    [[nodiscard]] bool blocked() const noexcept { return blocked_; }

    /// The frames that are complete; they are taken out.
    std::vector<std::string> frames() {
        std::vector<std::string> found;
        for (auto end = bytes.find('\n'); end != bytes.npos; end = bytes.find('\n')) {
            found.push_back(bytes.substr(0, end));
            bytes.erase(0, end + 1);
        }
        return found;
    }

    std::string bytes;
    std::size_t room = unlimited;
    std::size_t writes = 0;
    bool datagrams = false;
    std::string refuses; ///< datagrams that hold this text do not go

private:
    static void require(bool holds, const char* what) noexcept {
        if (holds)
            return;
        std::fprintf(stderr, "sink: violated: %s\n", what);
        std::abort();
    }

    std::vector<std::uint32_t> refused_;
    bool blocked_ = false;
};

using texts = std::vector<std::string>;

/// A subscriber with a handler.
class recorder final : public pusher::detail::handler_subscriber {
public:
    recorder() noexcept : handler_subscriber(&call) {}

    void deliver_gap(const pusher::gap& g) override {
        got.push_back(text_of(g));
        if (when_told)
            when_told(g);
    }
    /// What came since the last call.
    texts take() { return std::exchange(got, {}); }

    texts got;
    std::vector<std::uint64_t> sequences;
    std::function<void(const pusher::message&)> on_message;
    std::function<void(const pusher::gap&)> when_told;

private:
    static void call(handler_subscriber& s, const pusher::message& m) {
        auto& self = static_cast<recorder&>(s);
        self.got.push_back(text_of(m));
        self.sequences.push_back(m.sequence());
        if (self.on_message)
            self.on_message(m);
    }
};

/// A subscriber with an outbox, reached by a connection, or by none.
class peer final : public pusher::detail::queue_subscriber {
public:
    explicit peer(const pusher::outbox_params& l) : queue_subscriber(own_limits_), own_limits_(l) {}

    void at_queued() override { ++queued; }
    void at_overflow() override { ++overflows; }
    void at_taken_over() override { ++taken_over; }

    scripted_sink link;
    int queued = 0;
    int overflows = 0;
    int taken_over = 0;

private:
    pusher::outbox_params own_limits_;
};

using recorder_ptr = boost::intrusive_ptr<recorder>;
using peer_ptr = boost::intrusive_ptr<peer>;

/// What the observer saw, as text.
class recording_observer final : public pusher::observer {
public:
    void at_publish(const pusher::message& m, const pusher::receipt& r) override {
        seen.push_back("publish " + text_of(m) + " matched " + std::to_string(r.matched));
    }
    void at_drop(const pusher::subscriber_info&, std::string_view topic, pusher::drop_cause why) override {
        static constexpr const char* names[] = {"overflow",  "trimmed", "disconnected", "undeliverable",
                                                "conflated", "expired", "memory",       "failed"};
        seen.push_back("drop " + std::string(topic) + " " + names[static_cast<std::size_t>(why)]);
    }
    void at_park(
        const pusher::subscriber_info& who, const pusher::message& m, pusher::failure_cause why) override {
        seen.push_back("park " + text_of(m) + " for " + std::string(who.uid) + ": " + text_of(why));
    }
    void at_dead_letter(
        const pusher::subscriber_info&, const pusher::message& m, pusher::failure_cause why) override {
        seen.push_back("dead " + text_of(m) + ": " + text_of(why));
    }
    void at_gap(const pusher::subscriber_info&, const pusher::gap& g) override {
        seen.push_back("gap " + text_of(g));
    }
    void
    at_handler_threw(const pusher::subscriber_info&, std::string_view topic, std::exception_ptr e) override {
        try {
            std::rethrow_exception(e);
        } catch (const std::exception& x) {
            seen.push_back("threw " + std::string(topic) + " " + x.what());
        } catch (...) {
            seen.push_back("threw " + std::string(topic));
        }
    }
    texts take() { return std::exchange(seen, {}); }

    texts seen;
};

/// A core, and an event loop whose turns the test ends.
class core_script {
public:
    using options = pusher::subscribe_options;

    explicit core_script(pusher::detail::core_params p = {})
        : core(
              with_clocks(std::move(p)), [](void* self) { ++static_cast<core_script*>(self)->asked; }, this) {
    }

    /// Ends the turn if the core asked for it. \return whether it did.
    bool turn() {
        if (asked == 0)
            return false;
        require(asked == 1, "the end of a turn is asked for once");
        asked = 0;
        core.flush();
        return true;
    }
    /// Turns until the core has nothing more to do.
    void settle() {
        for (int n = 0; turn(); ++n)
            require(n < 100'000, "the core comes to rest");
    }

    recorder_ptr handler(std::function<void(const pusher::message&)> f = {}) {
        recorder_ptr s(new recorder);
        s->on_message = std::move(f);
        core.add(s);
        return s;
    }
    peer_ptr queue(const pusher::outbox_params& limits = {}) {
        peer_ptr s(new peer(limits));
        core.add(s);
        return s;
    }
    peer_ptr session(const pusher::outbox_params& limits = {}) {
        auto s = queue(limits);
        core.attach(*s, lines, s->link);
        return s;
    }

    pusher::subscribe_result subscribe(
        const pusher::detail::subscriber_ptr& s, std::string_view topic, const options& o = {},
        std::optional<std::uint64_t> after = {}) {
        pusher::error_code ec;
        auto result = core.subscribe(*s, topic, o, ec, after);
        if (ec)
            throw std::runtime_error("subscribe: " + ec.message());
        return result;
    }
    pusher::subscribe_result
    subscribe_filter(const pusher::detail::subscriber_ptr& s, std::string_view filter, options o = {}) {
        o.match = pusher::match_mode::filter;
        return subscribe(s, filter, o);
    }
    bool unsubscribe(
        const pusher::detail::subscriber_ptr& s, std::string_view topic, std::string_view type = {},
        pusher::match_mode match = pusher::match_mode::exact) {
        return core.unsubscribe(*s, topic, type, match);
    }
    bool unsubscribe_filter(
        const pusher::detail::subscriber_ptr& s, std::string_view filter, std::string_view type = {}) {
        return core.unsubscribe(*s, filter, type, pusher::match_mode::filter);
    }
    pusher::receipt publish(
        std::string_view topic, std::string_view payload, std::string_view type = {},
        std::uint64_t publisher = 0) {
        pusher::publish_options o;
        o.type = type;
        o.publisher = publisher;
        auto r = core.publish(topic, payload, o);
        if (r.error)
            throw std::runtime_error("publish: " + r.error.message());
        return r;
    }
    /// The connection has room again, and says so.
    void writable(const peer_ptr& s, std::size_t room = scripted_sink::unlimited) {
        s->link.unblock(room);
        core.writable(*s);
    }
    /// The connection is replaced by a new one.
    void attach(const peer_ptr& s, const text_encoding& as) {
        s->link.bytes.clear();
        s->link.unblock();
        core.attach(*s, as, s->link);
    }
    /// All that a subscriber without a connection can take now.
    texts take(const peer_ptr& s) {
        texts got;
        auto message = [&](const pusher::message& m) { got.push_back(text_of(m)); };
        auto gap = [&](const pusher::gap& g) { got.push_back(text_of(g)); };
        while (core.take(*s, message, gap)) {
        }
        return got;
    }

    int asked = 0; ///< before the core: it may ask while it is destroyed
    text_encoding lines;
    pusher::detail::core core;

private:
    static pusher::detail::core_params with_clocks(pusher::detail::core_params p) {
        virtual_clock::reset();
        p.wall = &virtual_clock::wall_now;
        p.steady = &virtual_clock::steady_now;
        return p;
    }
    static void require(bool holds, const char* what) {
        if (!holds)
            throw std::logic_error(std::string("violated: ") + what);
    }
};

/// Parameters for topics that all keep up to `messages`.
inline pusher::detail::core_params with_history(std::size_t messages) {
    pusher::detail::core_params p;
    p.history.messages = messages;
    return p;
}

} // namespace test
