// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstdint>
#include <string>

namespace pusher::inline v0 {

/// Where a stream listener listens.
struct stream_address {
    /// An IP address, such as `127.0.0.1`, `::` or `0.0.0.0`; or `unix:` and a path.
    std::string address = "127.0.0.1";

    /// 0: any that is free. Without meaning for Unix sockets.
    std::uint16_t port = 0;

    /// Several may listen there, each in its own thread or process, and the kernel gives each connection to
    /// one of them (SO_REUSEPORT): all must say so. Not for Unix sockets.
    bool shared = false;
};

} // namespace pusher::inline v0
