// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/run.hpp>
#include <pusher/history_params.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// The past of one topic, in memory: runs, numbered by offsets from 1 within an epoch.
///
/// Trimming takes single messages off the logical past; a run's memory goes with its last message.
class history {
public:
    /// A message in the history.
    struct place {
        run* messages;
        std::uint32_t index;
    };

    /// \param trimmed_sequence the newest message that an earlier history of the topic may have had.
    history(std::uint64_t epoch, const history_params& keep, std::uint64_t trimmed_sequence) noexcept
        : epoch_(epoch),
          keep_(keep),
          trimmed_sequence_(trimmed_sequence) {}

    /// What a store knows of it.
    struct stored_state {
        bool on = false;      ///< it is kept in a store
        bool created = false; ///< there is a log for it
        bool dirty = false;   ///< the store still has messages that are not kept here any more
    };
    stored_state stored;

    /// Before anything else: goes on where an earlier life of the broker has left it.
    void restore(std::uint64_t next) noexcept { next_ = next; }
    /// The messages before the one of that sequence are not kept any more.
    void restore_trimmed(std::uint64_t first_sequence) noexcept { trimmed_sequence_ = first_sequence - 1; }

    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
    [[nodiscard]] const history_params& params() const noexcept { return keep_; }
    /// Of the oldest message that is kept; `next_offset()` if there is none.
    [[nodiscard]] std::uint64_t first_offset() const noexcept { return next_ - count_; }
    [[nodiscard]] std::uint64_t next_offset() const noexcept { return next_; }
    [[nodiscard]] std::size_t messages() const noexcept { return count_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// About what it takes in memory.
    [[nodiscard]] std::size_t footprint() const noexcept {
        return bytes_ + count_ * run::overhead + runs_.size() * sizeof(run);
    }
    /// Whether there has never been a message.
    [[nodiscard]] bool unwritten() const noexcept { return next_ == 1; }
    /// The newest message that is not kept any more; 0: all are.
    [[nodiscard]] std::uint64_t trimmed_sequence() const noexcept { return trimmed_sequence_; }

    /// Takes an empty run, whose messages are numbered from `next_offset()` as they come.
    void open(const run_ptr& r) {
        release_last();
        r->keep_in_history(epoch_, next_);
        runs_.push_back(r);
    }

    /// Counts the message that was just appended to the newest run.
    void appended() noexcept {
        const auto& r = *runs_.back();
        bytes_ += r.at(r.size() - 1).size();
        ++count_;
        ++next_;
    }

    /// Whether the oldest message must go.
    [[nodiscard]] bool over(steady_time now) const noexcept {
        return count_ > keep_.messages || (bytes_ > keep_.bytes && count_ > 1) ||
               (keep_.age.count() > 0 && count_ != 0 && now - runs_.front()->born() > keep_.age);
    }

    [[nodiscard]] place oldest() const noexcept { return {runs_.front().get(), skip_}; }

    /// Forgets the oldest message.
    void pop_oldest() noexcept {
        const auto& e = runs_.front()->at(skip_);
        trimmed_sequence_ = e.sequence;
        bytes_ -= e.size();
        --count_;
        if (++skip_ == runs_.front()->size() && runs_.size() > 1) {
            runs_.pop_front();
            skip_ = 0;
        }
    }

    /// Gives back what a history without messages still holds: its last run, which may be open until then.
    void release_last() {
        if (count_ != 0)
            return;
        runs_.clear();
        skip_ = 0;
    }

    /// The message at an offset that is kept.
    [[nodiscard]] place at(std::uint64_t offset) const noexcept {
        // Empty runs (opened, and every message in them refused) share their offset with the next run.
        auto found =
            std::upper_bound(runs_.begin(), runs_.end(), offset, [](std::uint64_t o, const run_ptr& r) {
                return o < r->first_offset();
            });
        --found;
        return {found->get(), static_cast<std::uint32_t>(offset - (*found)->first_offset())};
    }

    /// From which offset on there are `n` messages of a type; empty: of any. Or fewer, if there are not more.
    [[nodiscard]] std::uint64_t last(std::size_t n, std::string_view type) const noexcept {
        if (type.empty())
            return next_ - std::min(n, count_);
        auto at = next_;
        for (auto r = runs_.rbegin(); r != runs_.rend() && at != first_offset(); ++r)
            for (auto i = static_cast<std::uint32_t>(at - (*r)->first_offset()); i-- != 0 && n != 0;) {
                --at;
                if ((*r)->type_of(i) == type && --n == 0)
                    return at;
                if (at == first_offset())
                    break;
            }
        return at;
    }

    /// The offset of the first kept message that was published after `sequence`.
    [[nodiscard]] std::uint64_t after_sequence(std::uint64_t sequence) const noexcept {
        std::uint64_t low = first_offset();
        std::uint64_t high = next_;
        while (low != high) {
            const auto middle = low + (high - low) / 2;
            const auto p = at(middle);
            if (p.messages->at(p.index).sequence <= sequence)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

private:
    std::uint64_t epoch_;
    history_params keep_;
    std::uint64_t trimmed_sequence_;
    std::deque<run_ptr> runs_;
    std::uint64_t next_ = 1;
    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
    std::uint32_t skip_ = 0; ///< messages of the oldest run that are gone
};

} // namespace pusher::inline v0::detail
