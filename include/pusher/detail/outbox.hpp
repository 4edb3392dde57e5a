// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/encoding.hpp>
#include <pusher/detail/run.hpp>
#include <pusher/gap.hpp>
#include <pusher/overflow_policy.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// Room in which the frames of one write are put together; one for all sessions.
struct scratch {
    /// Enough for one write; more would only raise the wait of the sessions behind.
    static constexpr std::size_t write_size = 64 * 1024;

    /// What a stretch of `bytes` is, while an outbox puts a write together.
    struct frame {
        enum class kind : std::uint8_t { queued, gap } what;
        std::uint32_t end;
        std::uint32_t gap_index;
    };

    std::string bytes;
    std::vector<std::uint32_t> ends;
    std::vector<frame> frames;
    std::vector<header> headers;
};

/// What a subscriber missed of one topic and was not told yet.
struct pending_gap {
    shared_text topic;
    std::uint64_t count = 0;
    std::uint64_t first_offset = 0; ///< 0: the topic has no history
    std::uint64_t last_offset = 0;
    std::uint64_t first_sequence = 0; ///< of the first missed message: the marker goes before what follows it

    [[nodiscard]] gap view() const noexcept {
        gap g{topic.view(), count, std::nullopt};
        if (first_offset != 0)
            g.offsets = gap::range{first_offset, last_offset};
        return g;
    }
};

/// What waits for a session that could not be written to: the rest of a cut frame, then slices of runs and
/// the session's own replies, in the order of delivery, and the gaps it must be told of.
///
/// It exists only while something waits.
class outbox {
public:
    /// Topics with a gap of their own; the gaps of any further ones are told as one, under the topic `#`.
    static constexpr std::size_t max_gaps = 1024;

    /// Adds a message, or counts it on to the last slice.
    void add(const run_ptr& r, std::uint32_t index) {
        if (!slices_.empty() && slices_.back().messages == r && slices_.back().to == index)
            ++slices_.back().to;
        else
            slices_.push_back({r, index, index + 1});
        ++messages_;
        bytes_ += r->at(index).size();
    }

    void add(const run_ptr& r, std::uint32_t from, std::uint32_t to) {
        if (from == to)
            return;
        slices_.push_back({r, from, to});
        messages_ += to - from;
        for (auto i = from; i != to; ++i)
            bytes_ += r->at(i).size();
    }

    /// Adds one frame of the session's own: a reply.
    void add_reply(std::string_view reply) {
        slices_.push_back({nullptr, 0, static_cast<std::uint32_t>(reply.size())});
        replies_.append(reply);
    }

    /// The part of a frame that the connection has not taken; it goes before everything else.
    void set_rest(std::string_view bytes) { rest_.assign(bytes); }

    void add_gap(const pending_gap& g) {
        auto found = std::find_if(gaps_.begin(), gaps_.end(), [&](const pending_gap& other) {
            return other.topic.same(g.topic) || other.topic.view() == g.topic.view();
        });
        if (found == gaps_.end() && gaps_.size() >= max_gaps) {
            found = std::find_if(
                gaps_.begin(), gaps_.end(), [](const auto& other) { return other.topic.view() == "#"; });
            if (found == gaps_.end()) {
                gaps_.push_back({shared_text("#"), g.count, 0, 0, g.first_sequence});
                return;
            }
            found->count += g.count;
            return;
        }
        if (found == gaps_.end()) {
            gaps_.push_back(g);
            return;
        }
        found->count += g.count;
        found->last_offset = std::max(found->last_offset, g.last_offset);
        if (found->first_offset == 0 || (g.first_offset != 0 && g.first_offset < found->first_offset))
            found->first_offset = g.first_offset;
        found->first_sequence = std::min(found->first_sequence, g.first_sequence);
    }

    [[nodiscard]] std::string take_rest() noexcept { return std::exchange(rest_, {}); }

    /// Forgets the cut frame: the connection that had the other part of it is gone.
    void forget_rest() noexcept { rest_.clear(); }

    /// Forgets replies too: they answer requests of a connection that is gone.
    void forget_replies() {
        std::erase_if(slices_, [](const slice& s) { return !s.messages; });
        replies_.clear();
    }

    [[nodiscard]] std::size_t messages() const noexcept { return messages_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t reply_bytes() const noexcept { return replies_.size() - replies_taken_; }
    [[nodiscard]] std::size_t rest_bytes() const noexcept { return rest_.size(); }
    [[nodiscard]] bool has_gaps() const noexcept { return !gaps_.empty(); }
    [[nodiscard]] bool empty() const noexcept { return slices_.empty() && gaps_.empty() && rest_.empty(); }
    [[nodiscard]] bool over(const outbox_params& limits) const noexcept {
        return messages_ > limits.messages || bytes_ > limits.bytes;
    }

    /// Takes the oldest or the newest message out. False: there is none.
    /// \param dropped called with the run and the index, before it is gone.
    template <class F>
    bool drop_oldest(F&& dropped) {
        const auto at = std::find_if(
            slices_.begin(), slices_.end(), [](const slice& s) { return s.messages != nullptr; });
        if (at == slices_.end())
            return false;
        forget_one(*at, at->from);
        dropped(*at->messages, at->from);
        if (++at->from == at->to) {
            release(*at);
            slices_.erase(at);
        }
        return true;
    }

    template <class F>
    bool drop_newest(F&& dropped) {
        const auto at = std::find_if(
            slices_.rbegin(), slices_.rend(), [](const slice& s) { return s.messages != nullptr; });
        if (at == slices_.rend())
            return false;
        forget_one(*at, at->to - 1);
        dropped(*at->messages, at->to - 1);
        if (--at->to == at->from) {
            release(*at);
            slices_.erase(std::next(at).base());
        }
        return true;
    }

    /// The message that was added last. Only if there are any.
    [[nodiscard]] std::pair<const run*, std::uint32_t> newest() const noexcept {
        const auto at = std::find_if(
            slices_.rbegin(), slices_.rend(), [](const slice& s) { return s.messages != nullptr; });
        return {at->messages.get(), at->to - 1};
    }

    /// Writes until everything is out or the connection is blocked.
    /// \param on_told called with each gap that went out.
    /// \return how many messages went out; `empty()` tells whether something is left.
    template <class OnGap>
    std::size_t drain(const encoding& as, sink& to, std::uint64_t epoch, scratch& room, OnGap&& on_told);

    /// Takes the next message out, for a subscriber in process.
    /// \param f called with the message. \param told called first with each gap that belongs before it.
    /// \return false if there is no message; then all gaps have been told.
    template <class OnMessage, class OnGap>
    bool pop(std::uint64_t epoch, std::vector<header>& headers, OnMessage&& f, OnGap&& told) {
        const auto next = slices_.empty() ? nullptr : &slices_.front();
        for (std::size_t i = 0; i < gaps_.size();) {
            if (next && !belongs_before(gaps_[i], *next)) {
                ++i;
                continue;
            }
            const auto g = std::move(gaps_[i]);
            gaps_.erase(gaps_.begin() + static_cast<std::ptrdiff_t>(i));
            told(g.view());
        }
        if (!next)
            return false;
        const auto r = next->messages;
        const auto index = next->from;
        pop_front();
        f(r->view(index, epoch, headers));
        return true;
    }

private:
    /// Messages [from, to) of a run; without a run: `to` bytes of the replies.
    struct slice {
        run_ptr messages;
        std::uint32_t from;
        std::uint32_t to;
    };

    static bool belongs_before(const pending_gap& g, const slice& s) noexcept {
        return s.messages && s.messages->at(s.from).sequence > g.first_sequence &&
               (g.topic.same(s.messages->topic()) || g.topic.view() == s.messages->topic().view());
    }

    void forget_one(const slice& s, std::uint32_t index) noexcept {
        --messages_;
        bytes_ -= s.messages->at(index).size();
    }

    /// A run that only a history still holds keeps its messages, and not their encoded form.
    static void release(slice& s) noexcept {
        if (s.messages->in_history() && s.messages->use_count() <= 2)
            s.messages->forget_encoded();
        s.messages.reset();
    }

    /// Removes the first message, or the first reply.
    void pop_front() {
        auto& s = slices_.front();
        if (!s.messages) {
            replies_taken_ += s.to;
            slices_.pop_front();
            if (replies_taken_ == replies_.size()) {
                replies_.clear();
                replies_taken_ = 0;
            }
            return;
        }
        forget_one(s, s.from);
        if (++s.from == s.to) {
            release(s);
            slices_.pop_front();
        }
    }

    using frame = scratch::frame;

    void put_gap(const encoding& as, std::size_t index, scratch& room);
    void fill(const encoding& as, std::uint64_t epoch, scratch& room);

    std::deque<slice> slices_;
    std::string replies_; ///< frames of replies back to back; those before `replies_taken_` are gone
    std::size_t replies_taken_ = 0;
    std::string rest_;
    std::vector<pending_gap> gaps_;
    std::size_t messages_ = 0;
    std::size_t bytes_ = 0;
};

inline void outbox::put_gap(const encoding& as, std::size_t index, scratch& room) {
    as.gap(gaps_[index].view(), room.bytes);
    room.frames.push_back(
        {frame::kind::gap, static_cast<std::uint32_t>(room.bytes.size()), static_cast<std::uint32_t>(index)});
}

inline void outbox::fill(const encoding& as, std::uint64_t epoch, scratch& room) {
    room.bytes.clear();
    room.frames.clear();
    std::vector<bool> told(gaps_.size());
    std::size_t reply_at = replies_taken_;
    for (const auto& s : slices_) {
        if (!s.messages) {
            room.bytes.append(replies_, reply_at, s.to);
            reply_at += s.to;
            room.frames.push_back({frame::kind::queued, static_cast<std::uint32_t>(room.bytes.size()), 0});
        } else {
            const auto& encoded = s.messages->encode(as, epoch);
            for (auto i = s.from; i != s.to; ++i) {
                if (room.bytes.size() >= scratch::write_size)
                    return;
                for (std::size_t g = 0; g != gaps_.size(); ++g)
                    if (!told[g] && belongs_before(gaps_[g], {s.messages, i, s.to})) {
                        told[g] = true;
                        put_gap(as, g, room);
                    }
                room.bytes.append(encoded.frame(i));
                room.frames.push_back(
                    {frame::kind::queued, static_cast<std::uint32_t>(room.bytes.size()), 0});
            }
        }
        if (room.bytes.size() >= scratch::write_size)
            return;
    }
    // Nothing follows that the remaining gaps could go before, so they are told now.
    for (std::size_t g = 0; g != gaps_.size(); ++g)
        if (!told[g])
            put_gap(as, g, room);
}

template <class OnGap>
std::size_t outbox::drain(const encoding& as, sink& to, std::uint64_t epoch, scratch& room, OnGap&& on_told) {
    const auto before = messages_;
    while (!empty()) {
        if (!rest_.empty()) {
            rest_.erase(0, to.write(rest_, {}));
            if (!rest_.empty())
                break;
            continue;
        }
        fill(as, epoch, room);
        room.ends.clear();
        if (to.wants_ends())
            for (const auto& f : room.frames)
                if (f.end != (room.ends.empty() ? 0 : room.ends.back()))
                    room.ends.push_back(f.end);
        const auto taken = room.bytes.empty() ? 0 : to.write(room.bytes, room.ends);

        // A frame of which the connection has a part is out of the queue: its other part is the rest.
        std::size_t begin = 0;
        std::vector<std::uint32_t> told;
        for (const auto& f : room.frames) {
            if (begin >= taken && f.end != begin)
                break;
            if (f.what == frame::kind::gap)
                told.push_back(f.gap_index);
            else
                pop_front();
            if (f.end > taken)
                rest_.assign(room.bytes, taken, f.end - taken);
            begin = f.end;
        }
        std::sort(told.begin(), told.end());
        for (auto g = told.rbegin(); g != told.rend(); ++g) {
            on_told(gaps_[*g].view());
            gaps_.erase(gaps_.begin() + *g);
        }
        if (taken != room.bytes.size())
            break;
    }
    return before - messages_;
}

} // namespace pusher::inline v0::detail
