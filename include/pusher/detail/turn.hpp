// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/run.hpp>
#include <pusher/detail/topic_table.hpp>

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// A run that takes messages in the current turn, and for whom they are.
struct open_run {
    /// For the messages of one type: the slice of those who asked for this type alone, and how many
    /// subscribers a message has. It holds while membership does not change, and then the run is closed.
    struct plan {
        std::string type;
        std::uint32_t slice; ///< `turn::none` if nobody asked for this type alone
        std::size_t matched;
        std::size_t catching = not_counted; ///< how many more will have it from history

        static constexpr std::size_t not_counted = static_cast<std::size_t>(-1);
    };

    run_ptr messages;
    topic_state* topic;        ///< null once the run is closed
    std::uint32_t dense;       ///< the slice of those who take all; `turn::none` if there are none
    std::size_t dense_matched; ///< how many those are
    boost::container::small_vector<plan, 1> plans; ///< mostly there is one type, and none
};

/// What was published since the last flush: a log of messages in publish order, and for each subscriber that
/// has something to get, a list of slices of it. Nothing here owns or is owned by a session, and nothing is
/// counted per message and subscriber: a session that keeps up costs one list entry per run and one write.
class turn {
public:
    static constexpr std::uint32_t none = 0xFFFFFFFFU;

    /// Messages of a run: all, or (sparse) those at the given places in the log.
    struct slice {
        std::uint32_t run;
        bool dense;
        std::vector<std::uint32_t> picks;
    };

    /// One subscriber's entry: a slice, or a reply of its own.
    struct node {
        static constexpr std::uint32_t no_echo_bit = 0x80000000U;
        static constexpr std::uint32_t reply_bit = 0x40000000U;
        static constexpr std::uint32_t index_mask = 0x3FFFFFFFU;

        std::uint32_t what;
        std::uint32_t next; ///< 1 + index; 0: the end

        [[nodiscard]] bool is_reply() const noexcept { return (what & reply_bit) != 0; }
        [[nodiscard]] bool no_echo() const noexcept { return (what & no_echo_bit) != 0; }
        [[nodiscard]] std::uint32_t index() const noexcept { return what & index_mask; }
    };

    /// Bytes for one subscriber, after the first `after` messages of the log.
    struct reply {
        std::uint32_t after;
        std::uint32_t begin;
        std::uint32_t end;
    };

    /// A message in the log.
    struct place {
        std::uint32_t run;
        std::uint32_t index;
    };

    [[nodiscard]] bool empty() const noexcept { return log_.empty() && touched_.empty(); }
    [[nodiscard]] std::size_t messages() const noexcept { return log_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t nodes() const noexcept { return nodes_.size(); }
    [[nodiscard]] std::size_t reply_bytes() const noexcept { return reply_bytes_.size(); }

    void make_slots(std::size_t count) { heads_.resize(std::max(heads_.size(), count)); }

    std::uint32_t add_run(open_run&& r) {
        runs_.push_back(std::move(r));
        return static_cast<std::uint32_t>(runs_.size() - 1);
    }

    std::uint32_t add_slice(std::uint32_t of_run, bool dense) {
        slices_.push_back({of_run, dense, {}});
        return static_cast<std::uint32_t>(slices_.size() - 1);
    }

    /// Gives a subscriber a slice. False: it has it already.
    bool give(std::uint32_t slot, std::uint32_t slice_index, bool no_echo) {
        auto& head = heads_[slot];
        if (head != 0) {
            // A slice is given to everybody at once, so that a second time it is the newest entry.
            auto& newest = nodes_[head - 1];
            if (!newest.is_reply() && newest.index() == slice_index) {
                if (!no_echo)
                    newest.what &= ~node::no_echo_bit;
                return false;
            }
        }
        prepend(slot, slice_index | (no_echo ? node::no_echo_bit : 0));
        return true;
    }

    /// Gives a subscriber bytes of its own, to follow what was published so far.
    void give_reply(std::uint32_t slot, std::string_view bytes) {
        const auto begin = static_cast<std::uint32_t>(reply_bytes_.size());
        reply_bytes_.append(bytes);
        replies_.push_back(
            {static_cast<std::uint32_t>(log_.size()), begin,
             static_cast<std::uint32_t>(reply_bytes_.size())});
        prepend(slot, static_cast<std::uint32_t>(replies_.size() - 1) | node::reply_bit);
    }

    /// Takes back a subscriber's own bytes.
    void forget_replies(std::uint32_t slot) noexcept {
        for (auto* link = &heads_[slot]; *link != 0;) {
            auto& n = nodes_[*link - 1];
            if (n.is_reply())
                *link = n.next;
            else
                link = &n.next;
        }
    }

    /// Records a message that was just appended to a run.
    void logged(std::uint32_t run_index, std::uint32_t sparse_slice) {
        const auto& r = *runs_[run_index].messages;
        const auto index = static_cast<std::uint32_t>(r.size() - 1);
        if (sparse_slice != none)
            slices_[sparse_slice].picks.push_back(static_cast<std::uint32_t>(log_.size()));
        log_.push_back({run_index, index});
        bitmap_words_ = 0; // somebody who left in this turn may have had them made
        bytes_ += r.at(index).size();
    }

    /// Takes a subscriber's list away from it. \return the first node, as in `node::next`.
    std::uint32_t take(std::uint32_t slot) noexcept { return std::exchange(heads_[slot], 0); }

    [[nodiscard]] bool has(std::uint32_t slot) const noexcept { return heads_[slot] != 0; }
    [[nodiscard]] const std::vector<std::uint32_t>& touched() const noexcept { return touched_; }
    [[nodiscard]] const node& node_at(std::uint32_t link) const noexcept { return nodes_[link - 1]; }
    [[nodiscard]] const slice& slice_at(std::uint32_t i) const noexcept { return slices_[i]; }
    [[nodiscard]] const reply& reply_at(std::uint32_t i) const noexcept { return replies_[i]; }
    [[nodiscard]] std::string_view reply_text(const reply& r) const noexcept {
        return std::string_view(reply_bytes_).substr(r.begin, r.end - r.begin);
    }
    [[nodiscard]] const place& log_at(std::size_t i) const noexcept { return log_[i]; }
    [[nodiscard]] std::vector<open_run>& runs() noexcept { return runs_; }
    [[nodiscard]] open_run& run_at(std::uint32_t i) noexcept { return runs_[i]; }

    /// The places in the log of a slice's messages, as a bitmap.
    [[nodiscard]] const std::uint64_t* bitmap(std::uint32_t slice_index) {
        if (bitmap_words_ == 0)
            make_bitmaps();
        return bitmaps_.data() + std::size_t{slice_index} * bitmap_words_;
    }
    [[nodiscard]] std::size_t bitmap_words() const noexcept { return (log_.size() + 63) / 64; }

    /// Begins a new turn. What big turns took is given back, so that one burst does not stay in memory.
    void clear() {
        for (auto slot : touched_)
            heads_[slot] = 0;
        reset(log_);
        reset(runs_);
        reset(slices_);
        reset(nodes_);
        reset(replies_);
        reset(touched_);
        reset(bitmaps_);
        reset(reply_bytes_);
        bitmap_words_ = 0;
        bytes_ = 0;
    }

private:
    template <class Container>
    static void reset(Container& c) {
        constexpr std::size_t keep = 1024 * 1024;
        if (c.capacity() * sizeof(*c.data()) > keep)
            c = Container();
        else
            c.clear();
    }

    void prepend(std::uint32_t slot, std::uint32_t what) {
        auto& head = heads_[slot];
        if (head == 0)
            touched_.push_back(slot);
        nodes_.push_back({what, head});
        head = static_cast<std::uint32_t>(nodes_.size());
    }

    void make_bitmaps() {
        bitmap_words_ = bitmap_words();
        bitmaps_.assign(slices_.size() * bitmap_words_, 0);
        for (std::uint32_t i = 0; i != log_.size(); ++i)
            if (const auto dense = runs_[log_[i].run].dense; dense != none)
                set(dense, i);
        for (std::uint32_t s = 0; s != slices_.size(); ++s)
            for (auto i : slices_[s].picks)
                set(s, i);
    }
    void set(std::uint32_t slice_index, std::uint32_t bit) noexcept {
        bitmaps_[slice_index * bitmap_words_ + bit / 64] |= std::uint64_t{1} << (bit % 64);
    }

    std::vector<std::uint32_t> heads_;   ///< by slot: 1 + index of the newest node; 0: none
    std::vector<std::uint32_t> touched_; ///< slots that have or had a list in this turn
    std::vector<node> nodes_;
    std::vector<slice> slices_;
    std::vector<open_run> runs_;
    std::vector<place> log_;
    std::vector<reply> replies_;
    std::string reply_bytes_;
    std::vector<std::uint64_t> bitmaps_;
    std::size_t bitmap_words_ = 0; ///< 0: not made yet
    std::size_t bytes_ = 0;
};

} // namespace pusher::inline v0::detail
