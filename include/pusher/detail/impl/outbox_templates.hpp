// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/outbox.hpp>

#include <algorithm>
#include <span>

namespace pusher::inline v0::detail {

// ---- writing

/// Writes the first slice, after what is left of the frame before it, from the bytes that all share: there is
/// nothing to put together. \return whether the connection took all; nothing if this is not so simple.
inline std::optional<bool>
outbox::write_shared(const encoding& as, sink& to, std::uint64_t epoch, std::size_t& sent) {
    if (slices_.empty() || !gaps_.empty() || to.wants_ends())
        return std::nullopt;
    const auto& s = slices_.front();
    if (!s.messages || encoded_alone(s, as) || !(cut_.empty() || continues_cut(s)))
        return std::nullopt;
    const auto& e = s.messages->encode(as, epoch);
    if (e.has_holes)
        return std::nullopt;
    const auto begin = cut_.empty() ? e.begin_of(s.from) : e.begin_of(cut_.index) + cut_.taken;
    const auto end = e.ends[s.to - 1];
    if (slices_.size() != 1 && end - begin < scratch::write_size / 4)
        return std::nullopt; // better together with what follows
    const auto taken =
        static_cast<std::uint32_t>(to.write(std::string_view(e.bytes).substr(begin, end - begin), {}));
    const auto upto = begin + taken;
    if (upto < e.begin_of(s.from)) {
        cut_.taken += taken;
        return false;
    }
    cut_ = {};
    const auto whole = static_cast<std::uint32_t>(
        std::upper_bound(e.ends.begin() + s.from, e.ends.begin() + s.to, upto) - e.ends.begin());
    auto gone = whole - s.from;
    if (whole != s.to && e.begin_of(whole) != upto) {
        set_rest(s.messages, whole, upto - e.begin_of(whole), as, epoch);
        ++gone;
    }
    sent += gone;
    for (; gone != 0; --gone) // `s` and `e` may go with the last
        pop_front();
    return upto == end;
}

inline void outbox::put_gap(const encoding& as, std::size_t index, scratch& room) {
    as.gap(gaps_[index].view(), room.bytes);
    room.frames.push_back(
        {frame::kind::gap, static_cast<std::uint32_t>(room.bytes.size()), static_cast<std::uint32_t>(index)});
}

/// Valid until the next call.
inline std::string_view outbox::frame_of(
    const slice& s, std::uint32_t index, const encoding& as, std::uint64_t epoch, scratch& room) {
    if (!encoded_alone(s, as))
        return s.messages->encode(as, epoch).frame(index);
    room.again.clear();
    as.push(s.messages->view(index, epoch, room.headers, marked(s.as)), room.again);
    return room.again;
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
            for (auto i = s.from; i != s.to; ++i) {
                if (room.bytes.size() >= scratch::write_size)
                    return;
                const auto bytes = frame_of(s, i, as, epoch, room);
                if (bytes.empty()) // what the encoding cannot carry is dealt with when it is the first
                    return;
                const auto g = gaps_.before(s.messages->topic(), s.messages->at(i).sequence);
                if (g != gaps_.size() && !told[g]) {
                    told[g] = true;
                    put_gap(as, g, room);
                }
                room.bytes.append(bytes);
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

template <class Gone, class Dropped>
void outbox::take_out(Gone&& gone, Dropped&& dropped) {
    slices kept;
    for (auto s = slices_.rbegin(); s != slices_.rend(); ++s) {
        if (!s->messages) {
            kept.push_front(std::move(*s));
            continue;
        }
        const auto& r = *s->messages;
        for (auto i = s->to; i-- != s->from;) {
            if (gone(r, i, s->as)) {
                forget_one(*s, i);
                dropped(r, i);
            } else if (
                !kept.empty() && kept.front().messages == s->messages && kept.front().from == i + 1 &&
                kept.front().as == s->as) {
                --kept.front().from; // what stays together stays one slice
            } else {
                kept.push_front({s->messages, i, i + 1, 0, s->as});
            }
        }
    }
    slices_.swap(kept);
    for (auto& s : kept)
        if (s.messages)
            release(s);
    charge();
}

template <class Applies, class Dropped>
void outbox::conflate(std::uint64_t hash_seed, Applies&& applies, Dropped&& dropped) {
    using name = std::pair<std::string_view, std::string_view>; // topic and key
    const auto hash = [of = text_hash(hash_seed)](const name& n) { return of(n.first) * 31 + of(n.second); };
    boost::unordered_flat_set<name, decltype(hash)> newer(0, hash);
    take_out(
        [&](const run& r, std::uint32_t i, handling as) {
            return as == handling::plain && applies(r, i) &&
                   !newer.emplace(r.topic().view(), r.key_of(i)).second;
        },
        dropped);
}

template <class Dropped>
void outbox::expire(steady_time now, Dropped&& dropped) {
    if (now <= next_expiry_)
        return;
    next_expiry_ = steady_time::max();
    take_out(
        [&](const run& r, std::uint32_t i, handling) {
            if (r.expired(i, now))
                return true;
            next_expiry_ = std::min(next_expiry_, r.expiry(i));
            return false;
        },
        dropped);
}

template <class OnGap, class OnFailed, class OnReturned>
std::size_t outbox::drain(
    const encoding& as, sink& to, std::uint64_t epoch, scratch& room, OnGap&& on_told, OnFailed&& on_failed,
    OnReturned&& on_returned) {
    std::size_t sent = 0;
    std::vector<pending_gap> lost;
    while (!empty()) {
        if (const auto all = write_shared(as, to, epoch, sent)) {
            if (!*all)
                break;
            continue;
        }
        if (!cut_.empty()) {
            const auto rest = cut_.rest();
            const auto taken = to.write(rest, {});
            if (taken != rest.size()) {
                if (cut_.messages)
                    cut_.taken += static_cast<std::uint32_t>(taken);
                else
                    cut_.own.erase(0, taken);
                break;
            }
            cut_ = {};
            continue;
        }
        for (; !slices_.empty() && slices_.front().messages; pop_front()) {
            const auto& s = slices_.front();
            if (!frame_of(s, s.from, as, epoch, room).empty())
                break;
            if (auto g = on_failed(s.messages, s.from, s.as, failure_cause::undeliverable))
                gaps_.add(std::move(*g));
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
        const auto refused =
            room.ends.empty() || taken == 0 ? std::span<const std::uint32_t>() : to.refused();
        std::size_t next_refused = 0;
        for (const auto& f : room.frames) {
            if (begin >= taken && f.end != begin)
                break;
            const bool is_message = f.what == frame::kind::queued && slices_.front().messages;
            const bool is_refused =
                next_refused != refused.size() && f.end != begin && f.end == room.ends[refused[next_refused]];
            if (is_refused) {
                ++next_refused;
                sent -= is_message ? 1 : 0;
                if (is_message)
                    if (auto g = on_failed(
                            slices_.front().messages, slices_.front().from, slices_.front().as,
                            failure_cause::send_failed))
                        lost.push_back(std::move(*g));
            } else if (is_message && slices_.front().as == handling::returned) {
                on_returned(*slices_.front().messages, slices_.front().from);
            }
            if (f.end > taken && is_message && !encoded_alone(slices_.front(), as))
                set_rest(
                    slices_.front().messages, slices_.front().from, static_cast<std::uint32_t>(taken - begin),
                    as, epoch);
            else if (f.end > taken)
                set_rest(std::string_view(room.bytes).substr(taken, f.end - taken));
            sent += is_message ? 1 : 0;
            if (f.what == frame::kind::gap)
                told.push_back(f.gap_index);
            else
                pop_front();
            begin = f.end;
        }
        std::sort(told.begin(), told.end());
        for (auto g : told)
            on_told(gaps_[g].view());
        gaps_.erase(told);
        for (auto& g : std::exchange(lost, {}))
            gaps_.add(std::move(g));
        if (taken != room.bytes.size())
            break;
    }
    return sent;
}

} // namespace pusher::inline v0::detail
