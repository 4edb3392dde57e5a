// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/delivery_report.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/subscribe_options.hpp>
#include <pusher/topic.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// What is said between the world, which drives the core, and the model, which says whether the core was
// right.

namespace simulation {

inline constexpr std::size_t nobody = static_cast<std::size_t>(-1);
inline constexpr std::size_t unlimited = nobody; ///< room of a connection

/// Something that is done to the core. Subscribers have numbers, in the order of their coming.
struct command {
    enum class kind {
        publish,
        broadcast,
        push,
        subscribe,
        unsubscribe,
        handler,
        queue,
        session,
        remove,
        bind,
        attach,
        detach,
        room,
        writable,
        reply,
        take,
        flush,
        advance,
        watch,
        excuse,
        acknowledge,
        repeat
    };

    kind what{};
    std::size_t user = nobody; ///< whom it is about
    std::string text;          ///< topic, filter, label, uid or reply
    std::string type;
    std::string uid; ///< to push to
    std::string payload;
    std::string key;
    std::string id;
    std::chrono::milliseconds ttl{0};
    std::size_t publisher = nobody;
    pusher::match_mode match = pusher::match_mode::exact;
    bool echo = true;
    std::optional<pusher::overflow_policy> overflow;
    bool acknowledge = false;
    std::size_t history = 0;
    std::optional<pusher::topic_position> resume;
    std::optional<std::uint64_t> resume_after;
    std::size_t number = 0; ///< bytes of room, or milliseconds
    std::size_t as = 0;     ///< an encoding
    bool datagrams = false;
    bool listed = true;
    pusher::outbox_params limits;
};

/// What the core answered.
struct outcome {
    std::string error;
    std::size_t matched = 0;
    std::uint64_t sequence = 0;
    std::optional<pusher::topic_position> position;
    std::optional<bool> recovered;
    bool repeated = false;
    bool yes = false;
};

/// One line of the log of a step: a command, what happened inside it, and its outcome. Commands that handlers
/// make are nested in the call of the handler.
struct entry {
    enum class kind {
        begin, ///< of a command
        early, ///< the core ended the turn inside it
        call,  ///< of a handler with a message, or of who takes one
        told,  ///< a handler is told of a gap
        end,   ///< of a call
        done   ///< a command's end
    };

    kind what{};
    command does;
    outcome result;
    std::size_t user = nobody;
    std::uint64_t sequence = 0;
    bool threw = false;
};

/// What came of a step for one subscriber.
struct effects {
    std::string bytes;              ///< that its connection took
    std::vector<std::string> got;   ///< by its handler, or taken
    std::vector<std::string> drops; ///< topic and cause
    std::vector<std::string> gaps;  ///< that the observer saw
    int overflows = 0;

    friend bool operator==(const effects&, const effects&) = default;
};

/// What must have become of a message for its subscribers when its turn is over.
struct due_report {
    std::map<pusher::delivery_outcome, std::size_t> counts;
    std::size_t open = 0; ///< handlers that may have been counted too
};

/// How an encoding writes: a mark before each frame, the longest payload that it can carry, and whether it
/// has no way to tell of a gap.
struct form {
    const char* mark;
    std::size_t longest;
    bool silent;
};

inline constexpr form forms[] = {{"", 1'000'000, false}, {"o ", 12, false}, {"s ", 1'000'000, true}};

/// For the printed log.
inline std::string text_of(const command& c) {
    static constexpr const char* names[] = {
        "publish", "broadcast", "push",   "subscribe", "unsubscribe", "handler",  "queue", "session",
        "remove",  "bind",      "attach", "detach",    "room",        "writable", "reply", "take",
        "flush",   "advance",   "watch",  "excuse",    "acknowledge", "repeat"};
    std::string t = names[static_cast<std::size_t>(c.what)];
    const auto add = [&t](const std::string& name, const std::string& value) {
        t.append(" ").append(name).append(value);
    };
    if (c.user != nobody)
        add("#", std::to_string(c.user));
    if (!c.uid.empty())
        add("to ", c.uid);
    if (!c.text.empty())
        add(c.match == pusher::match_mode::filter ? "filter " : "", c.text);
    if (!c.type.empty())
        add(": ", c.type);
    if (!c.payload.empty())
        add("= ", c.payload);
    if (!c.key.empty())
        add("key ", c.key);
    if (!c.id.empty())
        add("id ", c.id);
    if (c.ttl.count() != 0)
        add("ttl ", std::to_string(c.ttl.count()));
    if (c.publisher != nobody)
        add("by #", std::to_string(c.publisher));
    if (!c.echo)
        add("no echo", "");
    if (c.overflow)
        add("policy ", std::to_string(static_cast<int>(*c.overflow)));
    if (c.acknowledge)
        add("acknowledges", "");
    if (c.history != 0)
        add("history ", std::to_string(c.history));
    if (c.resume)
        add("resume ", std::to_string(c.resume->epoch) + "@" + std::to_string(c.resume->offset));
    if (c.resume_after)
        add("after ", std::to_string(*c.resume_after));
    using kind = command::kind;
    if (c.what == kind::queue || c.what == kind::session)
        add("limits ", std::to_string(c.limits.messages) + " messages, " + std::to_string(c.limits.bytes) +
                           " bytes, policy " + std::to_string(static_cast<int>(c.limits.overflow)));
    if (c.number != 0)
        add("", c.number == unlimited ? std::string("unlimited") : std::to_string(c.number));
    if (c.datagrams)
        add("datagrams", "");
    if (!c.listed)
        add("unlisted", "");
    return t;
}

} // namespace simulation
