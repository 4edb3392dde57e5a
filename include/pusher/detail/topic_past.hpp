// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/history.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace pusher::inline v0::detail {

struct cursor;

/// A topic's history, and who is catching up from it.
struct topic_past : history {
    using history::history;

    std::uint64_t held = 0; ///< for `core::next_to_read`: marks topics of which nothing new may come
    bool aging = false;     ///< in the list of those whose history has an age limit
    std::unique_ptr<std::vector<cursor*>> cursors;
};

} // namespace pusher::inline v0::detail
