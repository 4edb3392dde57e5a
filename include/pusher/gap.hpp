// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/message.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace pusher::inline v0 {

/// Tells a subscriber that it missed messages of a topic that its subscriptions matched.
struct gap {
    /// The first and last missed place in the topic's history; what lies between was not all missed if
    /// `last - first + 1` exceeds `count`. With `count` 0, what was missed is in it.
    struct range {
        std::uint64_t first = 0;
        std::uint64_t last = 0;

        friend bool operator==(const range&, const range&) = default;
    };

    std::string_view topic;
    std::uint64_t count = 0;      ///< missed messages, exactly; 0: some, and nobody knows how many
    std::optional<range> offsets; ///< only on a topic with history, where it is known
};

} // namespace pusher::inline v0
