// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <chrono>
#include <cstddef>
#include <stdexcept>

namespace pusher::inline v0 {

/// What a peer may do to a connection. Every listener has its own.
struct link_limits {
    /// Largest request, in bytes; 64 to 256 MiB.
    std::size_t request_bytes = 64 * 1024;

    /// Requests of one connection, or messages of one `POST /publish`, that are handled before others get
    /// their turn; at least 1.
    std::size_t requests_per_turn = 64;

    /// Silence of the peer after which the session ends: on WebSocket, where pongs count, and on TCP, where
    /// the client pings. At least 1 s. It counts while the broker reads, not while the host has not answered.
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(120);

    /// Silence of the peer after which WebSocket sends it a ping, or a third of `idle_timeout` if that is
    /// less; and interval of SSE's comments, which keep proxies from closing the connection. At least 1 s.
    std::chrono::milliseconds heartbeat = std::chrono::seconds(30);

    /// How long a connection may take nothing of what is written to it: a peer that is slow, but steady, is
    /// not cut off. What it has taken is what its kernel acknowledged, which comes in steps of a segment (64
    /// KiB on the loopback interface) or of a sixteenth of its receive buffer, whichever is more. It is
    /// looked at eight times within this, so that the end comes up to an eighth later. At least 1 s.
    ///
    /// So a peer is found out too that has vanished without a word, on an event stream by the comments that
    /// do not reach it. As long as there is room for more in the kernel, it is only looked at when a
    /// heartbeat or this is over: such an end may take twice this, or this and `heartbeat`, whichever is
    /// more. That needs a kernel that tells what was acknowledged (Linux does); elsewhere it takes until TCP
    /// gives up, or the socket's buffer is full.
    std::chrono::milliseconds write_timeout = std::chrono::seconds(30);

    /// How long a connection may take for a handshake, or for one HTTP request. At least 100 ms.
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);

    /// How long the goodbye may take. At least 100 ms.
    std::chrono::milliseconds close_timeout = std::chrono::seconds(5);

    /// Connections from one IPv4 address, or one IPv6 /64 network; 1 to 1,000,000,000.
    std::size_t connections_per_address = 100'000;

    /// The kernel's send buffer of each connection, in bytes; 0: the system's default, which may hold
    /// megabytes for a peer that does not read, beyond the outbox and its limit. Less than 128 KiB makes
    /// messages of many KiB slower.
    std::size_t send_buffer = 128 * 1024;

    /// \throws std::invalid_argument
    void check() const {
        using namespace std::chrono_literals;
        auto require = [](bool good, const char* what) {
            if (!good)
                throw std::invalid_argument(what);
        };
        require(
            request_bytes >= 64 && request_bytes <= 256U * 1024 * 1024,
            "link_limits: request_bytes is not 64 to 256 MiB");
        require(requests_per_turn >= 1, "link_limits: requests_per_turn is 0");
        require(idle_timeout >= 1s, "link_limits: idle_timeout is under 1 s");
        require(heartbeat >= 1s, "link_limits: heartbeat is under 1 s");
        require(write_timeout >= 1s, "link_limits: write_timeout is under 1 s");
        require(handshake_timeout >= 100ms, "link_limits: handshake_timeout is under 100 ms");
        require(close_timeout >= 100ms, "link_limits: close_timeout is under 100 ms");
        require(
            connections_per_address >= 1 && connections_per_address <= 1'000'000'000,
            "link_limits: connections_per_address is not 1 to 1,000,000,000");
        require(send_buffer <= 1024U * 1024 * 1024, "link_limits: send_buffer is over 1 GiB");
    }
};

} // namespace pusher::inline v0
