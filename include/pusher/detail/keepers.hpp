// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/run.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/topic_table.hpp>
#include <pusher/message.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

// Who stands beside the core and is told what is to be kept elsewhere: other brokers, and a store.

namespace pusher::inline v0::detail {

/// When a message was accepted that has been in a store since, or was published by another broker.
struct stored_at {
    wall_time received;
    steady_time born;
    bool relayed = false;                     ///< by another broker, which has judged its id and counted it
    std::optional<topic_position> position{}; ///< in the history that that broker keeps
};

/// Joins a broker to others, and so is told what its subscribers want. It must not call the core from inside.
class interest_keeper {
public:
    enum class kind : std::uint8_t { topic, filter, user };

    /// The first subscription to a topic or filter, or the first of a uid, has come, or the last has gone.
    virtual void at_interest(kind what, std::string_view text, bool begins) = 0;
    /// Whether it is this broker that keeps the topic's history, if it is kept.
    [[nodiscard]] virtual bool keeps(std::string_view topic) const = 0;

protected:
    ~interest_keeper() = default;
};

/// The history of a topic that another broker keeps, while it is being copied.
struct replica {
    shared_text topic;
    std::unique_ptr<topic_past> past;
    run_ptr last{};
};

/// Keeps histories in a store, and so is told what leaves them, and what else is to be kept. It must not call
/// the core from inside.
class store_keeper {
public:
    virtual void at_trim(topic_state& t) = 0;
    virtual void at_forget(const topic_state& t) = 0;
    /// What is kept by a key has changed. \param value nothing: there is none any more. \param soon not only
    /// with what is stored next.
    virtual void at_value(std::string key, std::optional<std::string> value, bool soon) = 0;
    /// Whether the store is still to be told of a change.
    [[nodiscard]] virtual bool waits(const std::string& key) const = 0;

protected:
    ~store_keeper() = default;
};

} // namespace pusher::inline v0::detail
