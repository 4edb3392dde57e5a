// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pusher::inline v0::detail {

/// A seeded hash of texts that peers choose, so that they cannot choose them to collide. Multiply and fold,
/// as wyhash does it; not a cryptographic promise, but nothing can be prepared without the seed.
class text_hash {
public:
    using is_avalanching = void;
    using is_transparent = void;

    text_hash() noexcept = default;
    explicit text_hash(std::uint64_t seed) noexcept : seed_(seed) {}

    [[nodiscard]] std::size_t operator()(std::string_view text) const noexcept {
        std::uint64_t h = seed_ ^ fold(text.size() ^ 0xA0761D6478BD642FU, 0xE7037ED1A0B428DBU);
        const char* at = text.data();
        std::size_t left = text.size();
        for (; left > 16; at += 16, left -= 16)
            h = fold(read(at, 8) ^ h, read(at + 8, 8) ^ 0x8EBC6AF09C88C6E3U);
        const std::uint64_t a = read(at, left < 8 ? left : 8);
        const std::uint64_t b = left > 8 ? read(at + 8, left - 8) : 0;
        return fold(a ^ h, b ^ seed_ ^ 0x589965CC75374CC3U);
    }

private:
    static std::uint64_t read(const char* at, std::size_t n) noexcept {
        if (n == 8)
            return load<std::uint64_t>(at);
        if (n >= 4) // they overlap
            return std::uint64_t{load<std::uint32_t>(at)} << 32 | load<std::uint32_t>(at + n - 4);
        if (n == 0)
            return 0;
        const auto octet = [at](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(at[i])}; };
        return octet(0) << 16 | octet(n / 2) << 8 | octet(n - 1);
    }
    template <class T>
    static T load(const char* at) noexcept {
        T v;
        std::memcpy(&v, at, sizeof v);
        return v;
    }

    static std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
        // The 128-bit product by four 32-bit ones would be portable; every supported compiler has the wide
        // type.
        __extension__ using wide = unsigned __int128;
        const wide product = static_cast<wide>(a) * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    }

    std::uint64_t seed_ = 0;
};

} // namespace pusher::inline v0::detail
