// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "ladder.hpp"

#include <pusher/acknowledgement_params.hpp>
#include <pusher/durable_params.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/parking_params.hpp>
#include <pusher/topic_policy.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hub {

struct address {
    std::string host;
    std::uint16_t port;
};

/// Whoever shows the secret is the user.
struct token {
    std::string secret;
    std::string uid;
};

enum class log_level { off, error, warning, info, debug };

/// What the command line says; without it, the defaults.
struct options {
    std::optional<address> http = address{"127.0.0.1", 8080};
    std::optional<address> tcp = address{"127.0.0.1", 9000};
    std::optional<address> raw; ///< the raw dialect on TCP
    std::optional<address> udp = address{"127.0.0.1", 9001};
    std::string unix_path; ///< empty: off
    bool deflate = false;
    std::size_t threads = 1; ///< each with a broker of its own
    std::size_t history = 0;
    std::string store_file; ///< of SQLite; empty: histories are in memory
    std::size_t idempotency = 0;
    std::size_t outbox = 256;
    std::size_t memory_mib = 1024;
    pusher::overflow_policy overflow = pusher::overflow_policy::drop_oldest;
    std::vector<pusher::topic_policy> topic_policies;
    std::vector<ladder> on_failure;
    std::chrono::milliseconds parked_for = pusher::parking_params().ttl;
    std::size_t ack_window = pusher::acknowledgement_params().window;
    std::chrono::milliseconds ack_timeout = pusher::acknowledgement_params().timeout;
    std::chrono::milliseconds durable_for = pusher::durable_params().expiry;
    std::vector<token> tokens; ///< none: everybody is anonymous, and may do everything
    hub::log_level log_level = hub::log_level::info;
};

/// Reads the command line into `out`.
/// \return the status to exit with; nothing: go on. What was wrong is on stderr.
std::optional<int> parse(int argc, const char* const* argv, options& out);

} // namespace hub
