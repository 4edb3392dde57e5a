// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/run.hpp>
#include <pusher/detail/siphash.hpp>
#include <pusher/idempotency_params.hpp>
#include <pusher/publish_options.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// Whose the id of a message is.
struct id_owner {
    enum class kind : char { host, anonymous, user };

    kind what = kind::host;
    std::string_view uid{}; ///< of a user
};

/// The receipts of the latest publishes that had an id: a ring, oldest first, in which a table finds them.
///
/// Names are kept as 128 bits of a keyed hash. Two that differ are taken for one with a probability of
/// messages / 2^128, and nobody who lacks the key can do better.
class recent_ids {
public:
    enum class audience : char { subscribers, everyone, user };

    struct name {
        std::uint64_t low = 0;
        std::uint64_t high = 0;

        friend bool operator==(const name&, const name&) = default;
    };

    /// \param seed secret
    recent_ids(const idempotency_params& keep, std::uint64_t seed) noexcept : keep_(keep), seed_(seed) {}

    [[nodiscard]] bool enabled() const noexcept { return keep_.enabled(); }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    /// What it takes in memory.
    [[nodiscard]] std::size_t footprint() const noexcept {
        return ring_.capacity() * sizeof(entry) + heads_.capacity() * sizeof(std::uint32_t);
    }

    /// \param topic,id at most 255 bytes
    /// \param to the uid that a message is pushed to
    [[nodiscard]] name name_of(
        audience whom, std::string_view topic, std::string_view to, std::string_view id, const id_owner& by) {
        // Lengths before texts, so that no two names have the same bytes.
        text_.clear();
        text_ += static_cast<char>(whom);
        text_ += static_cast<char>(by.what);
        text_ += static_cast<char>(topic.size());
        text_ += static_cast<char>(id.size());
        for (int shift = 0; shift != 64; shift += 8)
            text_ += static_cast<char>(to.size() >> shift & 0xFF);
        text_.append(topic).append(id).append(to).append(by.uid);
        return {siphash({seed_, 0x6C6F77}, text_), siphash({seed_, 0x68696768}, text_)};
    }

    /// The receipt of the newest publish of that name, if it is not too old.
    [[nodiscard]] std::optional<receipt> find(const name& n, steady_time now) const {
        for (auto at = heads_.empty() ? none : heads_[bucket(n)]; at != none; at = ring_[at].next)
            if (const auto& e = ring_[at]; e.what == n)
                return aged(e, now) ? std::nullopt : std::optional(e.what_became_of_it());
        return std::nullopt;
    }

    /// Remembers a publish; the oldest leaves if there is no room.
    /// \return what it is called for `settle`.
    std::uint64_t remember(const name& n, const receipt& r, steady_time now) {
        if (count_ == ring_.size()) {
            if (count_ == keep_.messages || (count_ != 0 && aged(ring_[first_], now)))
                forget_oldest();
            else
                grow();
        }
        const auto at = (first_ + count_) % ring_.size();
        auto& e = ring_[at];
        e = {n, now, r.sequence, 0, 0, static_cast<std::uint32_t>(r.matched), none};
        if (r.position) {
            e.epoch = r.position->epoch;
            e.offset = r.position->offset;
        }
        // The newest of a name comes first, so that one that is too old is never found before it.
        link(at);
        return first_serial_ + count_++;
    }

    /// Says how many subscribers a message was for, when all of its handlers have been called; what they
    /// published may have pushed it out by then.
    void settle(std::uint64_t serial, std::size_t matched) noexcept {
        if (serial >= first_serial_)
            ring_[(first_ + (serial - first_serial_)) % ring_.size()].matched =
                static_cast<std::uint32_t>(matched);
    }

private:
    static constexpr std::uint32_t none = 0xFFFFFFFFU;

    struct entry {
        name what;
        steady_time when;
        std::uint64_t sequence;
        std::uint64_t epoch;
        std::uint64_t offset;  ///< 0: the topic has no history
        std::uint32_t matched; ///< there are fewer than 2^24 subscribers
        std::uint32_t next;    ///< in the same bucket, or `none`

        [[nodiscard]] receipt what_became_of_it() const {
            receipt r;
            r.matched = matched;
            r.sequence = sequence;
            if (offset != 0)
                r.position = topic_position{epoch, offset};
            r.repeated = true;
            return r;
        }
    };
    static_assert(sizeof(entry) == 56, "with up to 8 bytes of the table, 64 for each as documented");

    [[nodiscard]] bool aged(const entry& e, steady_time now) const noexcept {
        return now - e.when > keep_.age;
    }
    [[nodiscard]] std::size_t bucket(const name& n) const noexcept { return n.low & (heads_.size() - 1); }

    void link(std::size_t at) noexcept {
        auto& head = heads_[bucket(ring_[at].what)];
        ring_[at].next = std::exchange(head, static_cast<std::uint32_t>(at));
    }

    void forget_oldest() noexcept {
        auto* to = &heads_[bucket(ring_[first_].what)];
        while (*to != first_)
            to = &ring_[*to].next;
        *to = ring_[first_].next;
        first_ = (first_ + 1) % ring_.size();
        ++first_serial_;
        --count_;
    }

    void grow() {
        std::vector<entry> larger(std::min(std::max<std::size_t>(16, 2 * ring_.size()), keep_.messages));
        std::vector<std::uint32_t> heads(std::bit_ceil(larger.size()), none);
        for (std::size_t i = 0; i != count_; ++i)
            larger[i] = ring_[(first_ + i) % ring_.size()];
        ring_ = std::move(larger);
        heads_ = std::move(heads);
        first_ = 0;
        for (std::size_t i = 0; i != count_; ++i)
            link(i);
    }

    idempotency_params keep_;
    std::uint64_t seed_;
    std::vector<entry> ring_;
    std::vector<std::uint32_t> heads_; ///< newest of each bucket
    std::size_t first_ = 0;            ///< the oldest
    std::size_t count_ = 0;            ///< of those that are remembered
    std::uint64_t first_serial_ = 0;   ///< of the oldest
    std::string text_;                 ///< room for one name
};

} // namespace pusher::inline v0::detail
