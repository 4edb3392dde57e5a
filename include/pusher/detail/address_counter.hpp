// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/siphash.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pusher::inline v0::detail {

/// Whom a limit per address means: one IPv4 address, or one IPv6 /64, since that is what a single customer is
/// given. An IPv4 peer of a dual-stack socket (`::ffff:a.b.c.d`) is that IPv4 address.
struct address_group {
    std::array<unsigned char, 8> prefix{};
    bool is_v6 = false;

    /// `address`: 4 or 16 bytes in network order.
    [[nodiscard]] static address_group of(std::span<const unsigned char> address) noexcept {
        static constexpr std::array<unsigned char, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
        assert(address.size() == 4 || address.size() == 16);
        address_group group;
        if (address.size() == 16 && std::equal(mapped.begin(), mapped.end(), address.begin()))
            address = address.subspan(12);
        group.is_v6 = address.size() == 16;
        std::copy_n(address.begin(), std::min<std::size_t>(address.size(), 8), group.prefix.begin());
        return group;
    }

    friend bool operator==(const address_group&, const address_group&) = default;
};

/// Counts the connections of each address group and keeps them within a limit. Its size follows the groups
/// that have connections now, not those that ever had.
class address_counter {
public:
    /// `key`: random, so that peers cannot choose addresses whose hashes collide.
    address_counter(siphash_key key, std::uint32_t limit) : counts_(0, hash{key}), limit_(limit) {}

    /// Counts one more connection, unless the group is at the limit. Every true wants one `remove`.
    [[nodiscard]] bool try_add(std::span<const unsigned char> address) {
        if (limit_ == 0)
            return false;
        shrink();
        auto& count = counts_.try_emplace(address_group::of(address), 0U).first->second;
        if (count >= limit_)
            return false;
        ++count;
        return true;
    }

    void remove(std::span<const unsigned char> address) noexcept { remove(address_group::of(address)); }

    void remove(const address_group& group) noexcept {
        const auto at = counts_.find(group);
        assert(at != counts_.end());
        if (at != counts_.end() && --at->second == 0)
            counts_.erase(at);
    }

    [[nodiscard]] std::uint32_t count(std::span<const unsigned char> address) const noexcept {
        const auto at = counts_.find(address_group::of(address));
        return at == counts_.end() ? 0 : at->second;
    }

    /// How many groups have connections.
    [[nodiscard]] std::size_t size() const noexcept { return counts_.size(); }

    /// How many groups there is memory for.
    [[nodiscard]] std::size_t capacity() const noexcept { return counts_.bucket_count(); }

    [[nodiscard]] std::uint32_t limit() const noexcept { return limit_; }

    /// Takes effect for connections to come.
    void limit(std::uint32_t value) noexcept { limit_ = value; }

private:
    struct hash {
        using is_avalanching = void;
        siphash_key key;

        [[nodiscard]] std::size_t operator()(const address_group& group) const noexcept {
            // Of two different keys, so that an IPv4 address and an IPv6 prefix of the same bytes part ways.
            const siphash_key k{key.low, key.high ^ (group.is_v6 ? 1U : 0U)};
            return static_cast<std::size_t>(siphash(k, group.prefix));
        }
    };

    /// The map keeps its memory when elements leave: give it back after a flood. Here and not in `remove`,
    /// which may not throw; the factor keeps it rare.
    void shrink() {
        if (counts_.bucket_count() > 256 && counts_.size() < counts_.bucket_count() / 16)
            counts_.rehash(counts_.size() * 4);
    }

    boost::unordered_flat_map<address_group, std::uint32_t, hash> counts_;
    std::uint32_t limit_;
};

} // namespace pusher::inline v0::detail
