// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/failing.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/timer_queue.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pusher::inline v0::detail {

struct cursor;
struct durable_subscriber;

/// Where a durable subscription is in its topic's history. It outlives the subscriber that reads.
struct durable_cursor {
    durable_subscriber* of;
    shared_text topic;
    shared_text type;
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0; ///< up to there it was acknowledged
    std::uint64_t sent = 0;   ///< up to there it was sent
    cursor* reader = nullptr; ///< null: nobody is here
    bool stored = false;      ///< a store has it, or had it once
    bool fresh = false;       ///< nobody has read for it yet: whoever does begins as it wants

    [[nodiscard]] bool asks_for(std::string_view of_topic, std::string_view of_type) const noexcept {
        return topic.view() == of_topic && (type.empty() || type.view() == of_type);
    }
};

/// All durable subscriptions of one name within an identity. Its time is over when nobody has come back for
/// it.
struct durable_subscriber : timer_node {
    durable_subscriber(std::string_view u, std::string_view n)
        : timer_node(static_cast<std::uint16_t>(due_kind::durable)),
          uid(u),
          name(n) {}

    /// What it is found by.
    [[nodiscard]] static std::string key_of(std::string_view uid, std::string_view name) {
        return std::to_string(uid.size()).append(":").append(uid).append(name);
    }
    [[nodiscard]] durable_cursor* find(std::string_view topic, std::string_view type) const noexcept {
        for (const auto& c : cursors)
            if (c->topic.view() == topic && c->type.view() == type)
                return c.get();
        return nullptr;
    }

    shared_text uid;
    shared_text name;
    std::uint64_t holder = 0; ///< id of the subscriber; 0: nobody
    steady_time left{};       ///< when the last one did
    std::vector<std::unique_ptr<durable_cursor>> cursors;
};

} // namespace pusher::inline v0::detail
