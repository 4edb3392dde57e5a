// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/failure_policy.hpp>

#include <functional>
#include <string>
#include <vector>

namespace hub {

/// What happens to deliveries that fail: to all, or to those of the topics that a filter matches.
struct ladder {
    std::string filter; ///< empty: to all
    std::vector<pusher::failure::rung> rungs;
};

/// Reads `[FILTER=]RUNG[,RUNG…]`, where a rung is `retry[:ATTEMPTS[:DELAY]]`, `alarm`, `persist` or `drop`.
/// \throws std::invalid_argument
ladder to_ladder(const std::string& text);

/// \param alarm what `alarm` does.
pusher::failure_ladder
to_failure_ladder(const ladder& l, const std::function<void(const pusher::failed_delivery&)>& alarm);

} // namespace hub
