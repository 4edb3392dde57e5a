// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace pusher::inline v0 {

/// Whether WebSocket messages are compressed for clients that offer it (permessage-deflate, RFC 7692).
///
/// A push is compressed once for all who agreed to the same, and each by itself ("no context takeover"), so
/// that a session keeps nothing for it. It costs the event loop's time instead, for every message, which is
/// why it is off by default; and where one message holds both a secret and what somebody else has chosen, its
/// length tells of how much they are alike, encrypted or not (as CRIME and BREACH have it). Secrets in other
/// messages are not touched.
struct deflate_params {
    bool enabled = false;

    /// Messages of fewer bytes, as they are on the wire otherwise, are sent as they are. 0 to 4 GiB - 1.
    std::size_t threshold = 1024;

    /// From 1, the fastest, to 9, the smallest.
    int level = 6;

    /// \throws std::invalid_argument
    void check() const {
        if (threshold > std::numeric_limits<std::uint32_t>::max())
            throw std::invalid_argument("deflate_params: threshold is over 4 GiB");
        if (level < 1 || level > 9)
            throw std::invalid_argument("deflate_params: level is not 1 to 9");
    }
};

} // namespace pusher::inline v0
