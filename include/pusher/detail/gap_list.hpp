// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/text_hash.hpp>
#include <pusher/gap.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// What a subscriber missed of one topic and was not told yet.
struct pending_gap {
    shared_text topic;
    std::uint64_t count = 0;        ///< 0: some
    std::uint64_t first_offset = 0; ///< 0: the topic has no history, or nobody knows
    std::uint64_t last_offset = 0;
    std::uint64_t first_sequence = 0; ///< of the first missed message: the marker goes before what follows it

    /// A copy of what was told to a subscriber.
    [[nodiscard]] static pending_gap of(const gap& g) {
        const auto offsets = g.offsets.value_or(gap::range{0, 0});
        return {shared_text(g.topic), g.count, offsets.first, offsets.last, 0};
    }

    /// What is not known of one of them is not known of both.
    void merge(const pending_gap& g) noexcept {
        count = count == 0 || g.count == 0 ? 0 : count + g.count;
        first_offset = std::min(first_offset, g.first_offset);
        last_offset = first_offset == 0 ? 0 : std::max(last_offset, g.last_offset);
        first_sequence = std::min(first_sequence, g.first_sequence);
    }

    [[nodiscard]] gap view() const noexcept {
        gap g{topic.view(), count, std::nullopt};
        if (first_offset != 0)
            g.offsets = gap::range{first_offset, last_offset};
        return g;
    }

    /// Whether the marker goes before a message.
    [[nodiscard]] bool before(const shared_text& other, std::uint64_t sequence) const noexcept {
        return sequence > first_sequence && (topic.same(other) || topic.view() == other.view());
    }
};

/// The gaps that one subscriber has yet to be told of, one per topic, in the order of their first loss.
class gap_list {
public:
    /// Topics with a gap of their own; the gaps of any further ones are told as one, under the topic `#`.
    static constexpr std::size_t max_topics = 1024;

    [[nodiscard]] bool empty() const noexcept { return gaps_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return gaps_.size(); }
    [[nodiscard]] const pending_gap& operator[](std::size_t i) const noexcept { return gaps_[i]; }

    void add(pending_gap g) {
        auto* found = find(g.topic);
        if (!found && gaps_.size() >= max_topics) {
            g = {shared_text("#"), g.count, 0, 0, g.first_sequence};
            found = find(g.topic);
        }
        if (!found) {
            if (index_)
                index_->emplace(g.topic.view(), static_cast<std::uint32_t>(gaps_.size()));
            gaps_.push_back(std::move(g));
            return;
        }
        found->merge(g);
    }

    /// The place of the gap of that topic whose marker goes before a message, or `size()`.
    [[nodiscard]] std::size_t before(const shared_text& topic, std::uint64_t sequence) {
        if (gaps_.empty())
            return 0;
        const auto* const found = find(topic);
        return found && found->before(topic, sequence) ? static_cast<std::size_t>(found - gaps_.data())
                                                       : gaps_.size();
    }

    pending_gap take(std::size_t i) {
        auto taken = std::move(gaps_[i]);
        gaps_.erase(gaps_.begin() + static_cast<std::ptrdiff_t>(i));
        index_.reset();
        return taken;
    }

    /// Takes out those at the given places, which must ascend.
    void erase(const std::vector<std::uint32_t>& places) {
        if (places.empty())
            return;
        std::size_t next = 0;
        std::size_t kept = 0;
        for (std::size_t i = 0; i != gaps_.size(); ++i)
            if (next != places.size() && places[next] == i)
                ++next;
            else if (kept++ != i)
                gaps_[kept - 1] = std::move(gaps_[i]);
        gaps_.resize(kept);
        index_.reset();
    }

private:
    using by_topic = boost::unordered_flat_map<std::string_view, std::uint32_t, text_hash>;

    pending_gap* find(const shared_text& topic) {
        // Most subscribers miss something of a few topics; a stuck one with a wide filter, of hundreds.
        constexpr std::size_t few = 16;
        if (gaps_.size() <= few) {
            const auto found = std::find_if(gaps_.begin(), gaps_.end(), [&](const pending_gap& g) {
                return g.topic.same(topic) || g.topic.view() == topic.view();
            });
            return found == gaps_.end() ? nullptr : &*found;
        }
        if (!index_) {
            index_ = std::make_unique<by_topic>();
            for (std::uint32_t i = 0; i != gaps_.size(); ++i)
                index_->emplace(gaps_[i].topic.view(), i);
        }
        const auto found = index_->find(topic.view());
        return found == index_->end() ? nullptr : &gaps_[found->second];
    }

    std::vector<pending_gap> gaps_;
    std::unique_ptr<by_topic> index_; ///< its keys view the gaps' texts; made anew after gaps were taken out
};

} // namespace pusher::inline v0::detail
