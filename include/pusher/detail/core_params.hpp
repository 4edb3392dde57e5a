// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/acknowledgement_params.hpp>
#include <pusher/detail/run.hpp>
#include <pusher/durable_params.hpp>
#include <pusher/failure_policy.hpp>
#include <pusher/history_params.hpp>
#include <pusher/idempotency_params.hpp>
#include <pusher/message.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/parking_params.hpp>
#include <pusher/topic_policy.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace pusher::inline v0::detail {

struct core_params {
    history_params history;
    std::function<history_params(std::string_view)> history_for; ///< instead of `history`, by topic
    std::vector<topic_policy> topic_policies;
    acknowledgement_params acknowledgement;
    idempotency_params idempotency;
    failure_ladder on_failure;
    parking_params parking;
    dead_letter_params dead_letters;
    durable_params durable;
    outbox_params held;               ///< by a handler that is to be called again
    std::size_t topics = 1'000'000;   ///< with state, and levels of filters
    std::size_t subscriptions = 1024; ///< of one queue subscriber
    std::size_t message_bytes = 1024 * 1024;
    std::size_t deferred_messages = 65'536; ///< published by handlers during one dispatch
    std::size_t run_messages = 128;         ///< a longer run is flushed early
    std::size_t run_bytes = 128 * 1024;
    std::size_t turn_messages = 4096;
    std::size_t turn_bytes = 1024 * 1024;
    std::size_t memory_bytes = std::size_t{1} << 30; ///< of all outboxes and histories
    std::size_t turn_nodes = 2 * 1024 * 1024;        ///< runs, each times its subscribers; 8 bytes each
    std::uint64_t sequence_epoch = 1;                ///< names this broker's life; random in a real one
    std::uint64_t hash_seed = 0;                     ///< secret in a real one
    wall_clock wall = &std::chrono::system_clock::now;
    steady_time (*steady)() = &std::chrono::steady_clock::now;
};

} // namespace pusher::inline v0::detail
