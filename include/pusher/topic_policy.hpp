// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/failure_policy.hpp>
#include <pusher/overflow_policy.hpp>

#include <optional>
#include <string>

namespace pusher::inline v0 {

/// What is chosen for the topics that a filter matches, where a subscription does not choose for itself.
struct topic_policy {
    /// As in a subscription; also one topic.
    std::string filter;

    /// What happens when an outbox is full.
    std::optional<overflow_policy> overflow{};

    /// What happens when a delivery fails.
    std::optional<failure_ladder> on_failure{};
};

} // namespace pusher::inline v0
