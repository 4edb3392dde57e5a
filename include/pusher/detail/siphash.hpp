// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace pusher::inline v0::detail {

/// The secret of a keyed hash; random, unless a test wants the same hashes each time.
struct siphash_key {
    std::uint64_t low = 0;
    std::uint64_t high = 0;

    /// From the 16 bytes that the specification calls the key.
    [[nodiscard]] static constexpr siphash_key from(std::span<const unsigned char, 16> bytes) noexcept {
        siphash_key key;
        for (std::size_t i = 0; i != 8; ++i) {
            key.low |= std::uint64_t{bytes[i]} << (8 * i);
            key.high |= std::uint64_t{bytes[8 + i]} << (8 * i);
        }
        return key;
    }
};

struct siphash_state {
    std::uint64_t v0, v1, v2, v3;

    constexpr void round() noexcept {
        v0 += v1;
        v2 += v3;
        v1 = std::rotl(v1, 13) ^ v0;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 = std::rotl(v0, 32);
        v2 += v1;
        v0 += v3;
        v1 = std::rotl(v1, 17) ^ v2;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 = std::rotl(v2, 32);
    }

    constexpr void absorb(std::uint64_t word) noexcept {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }
};

/// SipHash-2-4 with 64 bits (Aumasson, Bernstein, 2012): a message authentication code for short inputs, and
/// a hash whose collisions nobody can prepare who lacks the key. `Byte` is `char` or `unsigned char`.
template <class Byte>
    requires(sizeof(Byte) == 1)
[[nodiscard]] constexpr std::uint64_t
siphash_bytes(siphash_key key, const Byte* at, std::size_t size) noexcept {
    siphash_state s{
        key.low ^ 0x736F6D6570736575U, key.high ^ 0x646F72616E646F6DU, key.low ^ 0x6C7967656E657261U,
        key.high ^ 0x7465646279746573U};
    // Words are little-endian on every machine. Compilers make one load of the eight bytes.
    const auto octet = [](Byte b) { return std::uint64_t{static_cast<unsigned char>(b)}; };
    std::uint64_t last = std::uint64_t{size} << 56;
    for (; size >= 8; at += 8, size -= 8)
        s.absorb(
            octet(at[0]) | octet(at[1]) << 8 | octet(at[2]) << 16 | octet(at[3]) << 24 | octet(at[4]) << 32 |
            octet(at[5]) << 40 | octet(at[6]) << 48 | octet(at[7]) << 56);
    for (std::size_t i = 0; i != size; ++i)
        last |= octet(at[i]) << (8 * i);
    s.absorb(last);
    s.v2 ^= 0xFF;
    for (int i = 0; i != 4; ++i)
        s.round();
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

[[nodiscard]] constexpr std::uint64_t siphash(siphash_key key, std::string_view text) noexcept {
    return siphash_bytes(key, text.data(), text.size());
}

[[nodiscard]] constexpr std::uint64_t
siphash(siphash_key key, std::span<const unsigned char> bytes) noexcept {
    return siphash_bytes(key, bytes.data(), bytes.size());
}

} // namespace pusher::inline v0::detail
