// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/base64.hpp>
#include <pusher/detail/siphash.hpp>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace pusher::inline v0::detail {

/// Where a client's masking keys, handshake nonces and jitter come from: SipHash-2-4 of a counter, under 128
/// bits that `std::random_device` gave once.
///
/// A masking key must be such that a proxy in between, or whoever chose the payload, can't foresee it (RFC
/// 6455, section 10.3). SipHash is a keyed pseudo-random function: without its key all keys seen so far say
/// nothing about the next. A general-purpose engine such as `std::mt19937` would give itself away, and asking
/// the system for each frame would cost more than the frame.
class client_random {
public:
    /// \throws std::exception if the system has no random numbers.
    client_random() {
        std::random_device device;
        const auto word = [&device] {
            return std::uint64_t{device() & 0xFFFFFFFFU} << 32 | (device() & 0xFFFFFFFFU);
        };
        key_.low = word();
        key_.high = word();
    }

    [[nodiscard]] std::uint64_t next() noexcept {
        unsigned char bytes[8];
        const auto n = counter_++;
        for (std::size_t i = 0; i != 8; ++i)
            bytes[i] = static_cast<unsigned char>(n >> (8 * i));
        return siphash_bytes(key_, bytes, sizeof bytes);
    }

    /// A key to mask one frame with.
    [[nodiscard]] std::uint32_t mask() noexcept { return static_cast<std::uint32_t>(next() >> 32); }

    /// A `Sec-WebSocket-Key`: 16 random bytes in base64 (RFC 6455, section 4.1).
    [[nodiscard]] std::string nonce() {
        std::string bytes;
        for (const std::size_t end : {8U, 16U})
            for (auto word = next(); bytes.size() != end; word >>= 8)
                bytes += static_cast<char>(word & 0xFF);
        std::string text;
        append_base64(text, bytes);
        return text;
    }

private:
    siphash_key key_;
    std::uint64_t counter_ = 0;
};

} // namespace pusher::inline v0::detail
