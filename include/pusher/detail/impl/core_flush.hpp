// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <bit>

namespace pusher::inline v0::detail {

PUSHER_DECL void core::flush() {
    scheduled_ = false;
    end_turn();
    if (dispatching_) // called from inside a handler; others must not be called within it
        return;
    forget_expired(8);
    offer();
    run_catchups();
    enforce_memory();
    if (!reports_.empty())
        finish_reports();
    if (!catchups_.empty() || !turn_.empty())
        schedule();
}

/// Whether something that was published in the turn has expired in it: the host was busy.
PUSHER_DECL bool core::turn_is_stale() {
    const auto& runs = turn_.runs();
    const auto may_expire = [](const open_run& r) { return r.messages->may_expire(0); };
    if (std::none_of(runs.begin(), runs.end(), may_expire))
        return false;
    const auto now = params_.steady();
    return std::any_of(
        runs.begin(), runs.end(), [&](const open_run& r) { return r.messages->any_expired(now); });
}

/// Writes what the turn brought. No handler runs inside, and no link calls back.
PUSHER_DECL void core::end_turn() {
    if (turn_.empty() || flushing_)
        return;
    const scoped_flag guard(flushing_);
    merged_.clear(); // of a turn that an encoding of the host's has ended by an exception
    refused_.clear();
    for (auto& r : turn_.runs())
        if (auto* const t = r.topic) {
            close_run(*t);
            release(*t); // it may have had state for this turn only
        }
    stale_ = turn_is_stale();
    if (!reports_.empty())
        before_reported();
    const auto touched = turn_.touched().size();
    for (std::size_t i = 0; i != touched; ++i) {
        const auto slot = turn_.touched()[i];
        const auto head = turn_.take(slot);
        if (head != 0 && slots_[slot])
            deliver_turn(static_cast<queue_subscriber&>(*slots_[slot]), head);
    }
    for (auto& r : turn_.runs()) {
        if (r.messages->use_count() == 1) {
            runs_.give_back(std::move(r.messages));
            continue;
        }
        // A run that nobody but a history keeps has no need of its encoded form, nor of room to grow.
        if (r.messages->use_count() == 2 && r.messages->in_history())
            r.messages->forget_encoded();
        r.messages->shrink();
    }
    turn_.clear();
    merged_.clear();
    free_slots_.insert(free_slots_.end(), left_slots_.begin(), left_slots_.end());
    left_slots_.clear();
    ++counters_.turns;
    enforce_memory();
    if (!reports_.empty())
        after_reported();
}

/// Works out which messages of the turn's log, and which replies, are for one session.
/// \return false if there is nothing but what its cursors will bring.
PUSHER_DECL bool core::select(queue_subscriber& s, std::uint32_t head) {
    const auto words = turn_.bitmap_words();
    selection_.assign(words, 0);
    selected_replies_.clear();
    bool any = false;
    for (auto link = head; link != 0;) {
        const auto& n = turn_.node_at(link);
        link = n.next;
        if (n.is_reply()) {
            selected_replies_.push_back(n.index());
            continue;
        }
        const auto& slice = turn_.slice_at(n.index());
        if (const auto& r = *turn_.run_at(slice.run).messages;
            s.catching && (r.in_history() || !r.addressed())) {
            const auto* const t = topics_.find(r.topic().view());
            if (t && s.catching->covers(t, r.at(0).sequence))
                continue;
        }
        any = true;
        const auto* const bits = turn_.bitmap(n.index());
        const bool leave_out_own = n.no_echo() && s.published_this_turn;
        for (std::size_t w = 0; w != words; ++w) {
            auto word = bits[w];
            if (leave_out_own)
                for (auto left = word; left != 0; left &= left - 1) {
                    const auto& at = turn_.log_at(w * 64 + static_cast<std::size_t>(std::countr_zero(left)));
                    if (turn_.run_at(at.run).messages->at(at.index).publisher == s.id)
                        word &= ~(left & (~left + 1));
                }
            selection_[w] |= word;
        }
    }
    std::reverse(selected_replies_.begin(), selected_replies_.end()); // the newest node comes first in a list
    return any || !selected_replies_.empty();
}

/// Calls for each selected message, and for each reply where its place among them is, until one returns
/// false.
/// \param at where to begin, and afterwards where to go on.
template <class OnMessage, class OnReply>
void core::for_each_selected(OnMessage&& on_message, OnReply&& on_reply, selected_place& at) {
    const auto replies_before = [&](std::size_t place) {
        while (at.reply != selected_replies_.size()) {
            const auto& r = turn_.reply_at(selected_replies_[at.reply]);
            if (r.after > place)
                return true;
            ++at.reply;
            if (!on_reply(turn_.reply_text(r)))
                return false;
        }
        return true;
    };
    for (; at.word != selection_.size(); ++at.word, at.left = selected_place::all)
        while (const auto left = selection_[at.word] & at.left) {
            const auto place = at.word * 64 + static_cast<std::size_t>(std::countr_zero(left));
            if (!replies_before(place))
                return;
            at.left = left & (left - 1);
            const auto& message = turn_.log_at(place);
            if (!on_message(turn_.run_at(message.run).messages, message.index))
                return;
        }
    replies_before(turn_.messages());
}

template <class OnMessage, class OnReply>
void core::for_each_selected(OnMessage&& on_message, OnReply&& on_reply) {
    selected_place begin;
    for_each_selected(std::forward<OnMessage>(on_message), std::forward<OnReply>(on_reply), begin);
}

PUSHER_DECL void core::deliver_turn(queue_subscriber& s, std::uint32_t head) {
    if (s.overflowed)
        return forget_turn(s, head, drop_cause::disconnected);
    const auto& first = turn_.node_at(head);
    const bool waits = !s.to || s.blocked || (s.box && !s.box->empty()) || stale_ || s.mail_waits;
    const bool plain = first.next == 0 && !first.is_reply() && !s.catching && !s.mail_waits &&
                       !(first.no_echo() && s.published_this_turn) && turn_.slice_at(first.index()).dense;
    if (plain) {
        const auto& r = turn_.run_at(turn_.slice_at(first.index()).run).messages;
        if (waits)
            box_of(s).add(r, 0, static_cast<std::uint32_t>(r->size()));
        else
            write_slice(s, r);
    } else if (select(s, head)) {
        if (waits)
            park_selected(s, 0);
        else
            write_selected(s);
    }
    s.published_this_turn = false;
    if (waits)
        drain(s); // what only waited to be tried
    if (!s.to)
        s.at_queued(); // as with a connection, limits are judged on what is left then
    if (!s.box)
        return;
    enforce_limits(s, *s.limits, drop_cause::overflow);
    if (s.box)
        s.box->copy_out();
    update_pressure(s);
}

/// The usual case: all that a session gets is one run. Its bytes go out as they are.
PUSHER_DECL void core::write_slice(queue_subscriber& s, const run_ptr& r) {
    const auto& encoded = r->encode(*s.as, params_.sequence_epoch);
    if (encoded.has_holes) {
        box_of(s).add(r, 0, static_cast<std::uint32_t>(r->size()));
        drain(s);
        return;
    }
    const bool ends_wanted = s.to->wants_ends();
    const auto taken = s.to->write(
        encoded.bytes,
        ends_wanted ? std::span<const std::uint32_t>(encoded.ends) : std::span<const std::uint32_t>());
    if (ends_wanted)
        for (const auto i : s.to->refused())
            refused(s, r, i);
    if (taken == encoded.bytes.size()) {
        counters_.delivered += r->size();
        return;
    }
    s.blocked = true;
    const auto next = static_cast<std::uint32_t>(
        std::upper_bound(encoded.ends.begin(), encoded.ends.end(), static_cast<std::uint32_t>(taken)) -
        encoded.ends.begin());
    auto& box = box_of(s);
    auto from = next;
    if (encoded.begin_of(next) != taken) { // the frame is cut
        box.set_rest(
            r, next, static_cast<std::uint32_t>(taken) - encoded.begin_of(next), *s.as,
            params_.sequence_epoch);
        ++from;
    }
    counters_.delivered += from;
    box.add(r, from, static_cast<std::uint32_t>(r->size()));
}

/// The connection took a message, and the network refused it.
PUSHER_DECL void core::refused(queue_subscriber& s, const run_ptr& r, std::uint32_t index) {
    --counters_.delivered;
    if (auto g = cannot_send(s, r, index, failure_cause::send_failed))
        tell_gap(s, std::move(*g));
}

/// A message cannot go over this connection. \return what to tell of it, if it is lost.
PUSHER_DECL std::optional<pending_gap>
core::cannot_send(queue_subscriber& s, const run_ptr& r, std::uint32_t index, failure_cause why) {
    if (has_ladders_ && fail(s, r, index, why))
        return std::nullopt;
    count_drop(
        s, *r, index, why == failure_cause::undeliverable ? drop_cause::undeliverable : drop_cause::failed);
    return gap_of(*r, index);
}

/// Puts together what is selected, until so much is there. Less: that is all, or a message follows that the
/// encoding cannot carry.
PUSHER_DECL void core::merge_selected(const encoding& as, std::size_t bytes) {
    auto& m = merged_;
    if (m.bytes.size() >= bytes || m.hole)
        return;
    const auto go_on = [&] {
        m.ends.push_back(static_cast<std::uint32_t>(m.bytes.size()));
        return m.bytes.size() < bytes;
    };
    for_each_selected(
        [&](const run_ptr& r, std::uint32_t index) {
            const auto frame = r->encode(as, params_.sequence_epoch).frame(index);
            m.hole = frame.empty();
            m.bytes.append(frame);
            return !m.hole && go_on();
        },
        [&](std::string_view reply) {
            m.bytes.append(reply);
            return go_on();
        },
        m.next);
}

/// Several runs or replies: merged by publish order, and written in pieces of bounded size.
PUSHER_DECL void core::write_selected(queue_subscriber& s) {
    auto& m = merged_;
    // Sessions that have the same topics get the same bytes.
    if (m.as != s.as || m.selection != selection_ || m.with_replies || !selected_replies_.empty())
        m.begin(*s.as, selection_, !selected_replies_.empty());
    const bool ends_wanted = s.to->wants_ends();
    std::size_t done = 0;  // frames that the connection has, whole
    std::size_t cut = 0;   // bytes that it has of the next
    std::size_t begin = 0; // of the next piece
    bool blocked = false;
    while (!blocked) {
        merge_selected(*s.as, begin + scratch::write_size);
        const auto first = m.ends.begin() + static_cast<std::ptrdiff_t>(done);
        if (first == m.ends.end())
            break;
        const auto last = std::min(
            std::lower_bound(first, m.ends.end(), static_cast<std::uint32_t>(begin + scratch::write_size)),
            m.ends.end() - 1);
        const auto piece = std::string_view(m.bytes).substr(begin, *last - begin);
        room_.ends.clear();
        if (ends_wanted)
            for (auto end = first; end <= last; ++end)
                room_.ends.push_back(static_cast<std::uint32_t>(*end - begin));
        const auto taken = s.to->write(piece, room_.ends);
        if (ends_wanted)
            for (const auto i : s.to->refused())
                refused_.push_back(done + i);
        blocked = taken != piece.size();
        const auto next =
            blocked ? std::upper_bound(first, last, static_cast<std::uint32_t>(begin + taken)) : last + 1;
        done = static_cast<std::size_t>(next - m.ends.begin());
        cut = blocked ? begin + taken - (done == 0 ? 0 : m.ends[done - 1]) : 0;
        begin = *last;
    }
    if (!refused_.empty()) {
        std::size_t frame = 0;
        const auto count = [&] { return std::binary_search(refused_.begin(), refused_.end(), frame++); };
        for_each_selected(
            [&](const run_ptr& r, std::uint32_t index) {
                if (count())
                    refused(s, r, index);
                return frame <= refused_.back();
            },
            [&](std::string_view) { return count(), frame <= refused_.back(); });
        refused_.clear();
    }
    if (!blocked && !m.hole) {
        counters_.delivered += m.ends.size() - selected_replies_.size();
        return;
    }
    s.blocked = blocked;
    park_selected(s, done, cut);
    drain(s); // does nothing if it is blocked
}

/// Queues what is selected, but for the first `skip` frames, which the connection has, and the first `cut`
/// bytes of the next.
PUSHER_DECL void core::park_selected(queue_subscriber& s, std::size_t skip, std::size_t cut) {
    auto& box = box_of(s);
    if (s.mail_waits) {
        // What answers come first, the one to its subscribe above all, and then what was kept for it.
        for (const auto i : std::exchange(selected_replies_, {}))
            box.add_reply(turn_.reply_text(turn_.reply_at(i)));
        deliver_mail(s);
    }
    for_each_selected(
        [&](const run_ptr& r, std::uint32_t index) {
            if (skip == 0 && cut == 0) {
                box.add(r, index);
                return true;
            }
            ++counters_.delivered;
            if (skip != 0)
                --skip;
            else
                box.set_rest(
                    r, index, static_cast<std::uint32_t>(std::exchange(cut, 0)), *s.as,
                    params_.sequence_epoch);
            return true;
        },
        [&](std::string_view reply) {
            if (skip != 0)
                --skip;
            else if (cut != 0)
                box.set_rest(reply.substr(std::exchange(cut, 0)));
            else
                box.add_reply(reply);
            return true;
        });
}

PUSHER_DECL void core::count_drop(drop_cause why) {
    switch (why) {
    case drop_cause::overflow: ++counters_.dropped; break;
    case drop_cause::trimmed: ++counters_.dropped_trimmed; break;
    case drop_cause::disconnected: ++counters_.dropped_disconnected; break;
    case drop_cause::undeliverable: ++counters_.dropped_undeliverable; break;
    case drop_cause::conflated: ++counters_.dropped_conflated; break;
    case drop_cause::expired: ++counters_.dropped_expired; break;
    case drop_cause::memory: ++counters_.dropped_memory; break;
    case drop_cause::failed: ++counters_.dropped_failed; break;
    }
}

/// \param why what is not spilled or conflated is dropped.
PUSHER_DECL void core::enforce_limits(queue_subscriber& s, const outbox_params& limits, drop_cause why) {
    auto& box = *s.box;
    if (!box.over(limits))
        return;
    if (box.may_expire()) // what nobody wants any more must not push out what somebody does
        box.expire(params_.steady(), lose(s, drop_cause::expired));
    while (!s.overflowed && box.over(limits)) {
        const auto dropped = lose(s, why);
        // The arriving message's own policy decides; what arrived last is at the end.
        const auto newest = box.newest();
        if (!newest.first)
            break; // all that waits is to be acknowledged: it is little, and does not give way
        switch (policy_for(s, *newest.first, newest.second, s.limits->overflow)) {
        case overflow_policy::drop_oldest: box.drop_oldest(dropped); break;
        case overflow_policy::drop_newest: box.drop_newest(dropped); break;
        case overflow_policy::disconnect: overflow(s); break;
        case overflow_policy::conflate:
            box.conflate(
                params_.hash_seed,
                [&](const run& r, std::uint32_t index) {
                    return policy_for(s, r, index, s.limits->overflow) == overflow_policy::conflate;
                },
                lose(s, drop_cause::conflated));
            // It walks over all that waits: that must not come with every message.
            while (box.nearly_over(limits) && box.drop_oldest(dropped)) {
            }
            if (box.over(limits))
                box.drop_oldest(dropped);
            break;
        case overflow_policy::spill:
            if (!spill_newest(s))
                box.drop_newest(dropped);
            break;
        }
    }
    // With room again it may read on, and if nothing is left nobody's taking will make it.
    if (!s.overflowed && !s.to && s.catching)
        schedule_catchup(s);
}

PUSHER_DECL void core::overflow(queue_subscriber& s) {
    s.overflowed = true;
    // The peer has the beginning of this frame: without the rest it would not understand the goodbye.
    auto rest = s.box ? s.box->take_rest() : outbox::cut_frame();
    forget_queued(s, drop_cause::disconnected);
    if (!rest.empty())
        box_of(s).set_rest(std::move(rest));
    s.at_overflow();
}

/// Counts what a session leaves behind. \param failed its connection was lost: that is for failure ladders.
PUSHER_DECL void core::forget_queued(queue_subscriber& s, drop_cause why, bool failed) {
    failed = failed && has_ladders_ && !s.overflowed; // an overflow is no failure
    if (failed)
        fail_sent(s);
    // What is in flight has been dealt with, unless it is not there any more.
    const auto in_flight = [&](const run& r, std::uint32_t index) {
        return failed && s.catching && r.in_history() &&
               std::any_of(s.catching->cursors.begin(), s.catching->cursors.end(), [&](const auto& c) {
                   const auto offset = r.offset_of(index);
                   return c->sent && c->topic->text() == r.topic().view() &&
                          offset >= c->topic->past()->first_offset() && c->sent->contains(offset) &&
                          (c->durable || !ladder_for(s, r.topic().view(), r.type_of(index)).empty());
               });
    };
    if (s.box) {
        s.box->drop_all([&](const run_ptr& r, std::uint32_t index, outbox::handling as) {
            if (as == outbox::handling::returned) // it has never left its mailbox
                return;
            if (as != outbox::handling::plain && in_flight(*r, index))
                return note(s, *r, index, reporting::fate::parked); // or another of its uid gets it
            if (!(failed && fail(s, r, index, failure_cause::disconnected)))
                count_drop(s, *r, index, why);
        });
        s.box.reset();
    }
    if (!flushing_)
        if (const auto head = turn_.take(s.slot); head != 0)
            forget_turn(s, head, why, failed);
    update_pressure(s);
}

/// The same for what it has not been given yet.
PUSHER_DECL void core::forget_turn(queue_subscriber& s, std::uint32_t head, drop_cause why, bool failed) {
    if (select(s, head))
        for_each_selected(
            [&](const run_ptr& r, std::uint32_t index) {
                if (!(failed && fail(s, r, index, failure_cause::disconnected)))
                    count_drop(s, *r, index, why);
                return true;
            },
            [](std::string_view) { return true; });
}

PUSHER_DECL void core::update_pressure(queue_subscriber& s) noexcept {
    if (s.box)
        s.box->recount();
    const bool full =
        s.box && (s.box->messages() > s.limits->messages / 2 || s.box->bytes() > s.limits->bytes / 2);
    if (!full)
        s.excused = false;
    const bool now = full && !s.excused;
    if (now != s.pressured) {
        s.pressured = now;
        pressured_ = now ? pressured_ + 1 : pressured_ - 1;
    }
}

PUSHER_DECL void core::forget_progress() noexcept {
    for (const auto& s : slots_)
        if (s)
            s->progressed = false;
}

PUSHER_DECL void core::excuse_stalled() noexcept {
    for (const auto& s : slots_)
        if (s && s->pressured && !s->progressed) {
            s->excused = true;
            update_pressure(static_cast<queue_subscriber&>(*s));
        }
}

PUSHER_DECL void core::reply(queue_subscriber& s, std::string_view frame) {
    if (s.overflowed)
        return;
    turn_.give_reply(s.slot, frame);
    if (turn_.reply_bytes() >= params_.turn_bytes)
        end_turn();
    schedule();
}

PUSHER_DECL void core::attach(queue_subscriber& s, const encoding& as, sink& to) {
    if (s.to)
        detach(s);
    s.as = &as;
    s.to = &to;
    s.blocked = false;
    if ((s.box && !s.box->empty()) || s.catching)
        schedule_catchup(s);
}

PUSHER_DECL void core::detach(queue_subscriber& s) {
    s.to = nullptr;
    s.blocked = false;
    turn_.forget_replies(s.slot);
    if (s.box) {
        s.box->forget_rest();
        s.box->forget_replies();
    }
}

PUSHER_DECL void core::writable(queue_subscriber& s) {
    s.blocked = false;
    s.progressed = true;
    s.excused = false;
    if (drain(s) && s.catching)
        schedule_catchup(s);
    watch_memory();
}

/// Writes what waits. \return whether nothing waits any more.
PUSHER_DECL bool core::drain(queue_subscriber& s) {
    if (!s.to || s.blocked)
        return false;
    if (!s.box)
        return true;
    if (s.box->may_expire())
        s.box->expire(params_.steady(), lose(s, drop_cause::expired));
    counters_.delivered += s.box->drain(
        *s.as, *s.to, params_.sequence_epoch, room_, [&](const gap& g) { observe_gap(s, g); },
        [&](const run_ptr& r, std::uint32_t index, outbox::handling as,
            failure_cause why) -> std::optional<pending_gap> {
            if (as == outbox::handling::returned) {
                if (auto* const p = returned_parcel(s, *r, index))
                    cannot_get(s, *p);
                return std::nullopt;
            }
            if (as != outbox::handling::plain && why == failure_cause::send_failed) {
                note(s, *r, index, reporting::fate::again);
                return std::nullopt; // it will not be acknowledged
            }
            forget_sent(s, *r, index);
            return cannot_send(s, r, index, why);
        },
        [&](const run& r, std::uint32_t index) { taken(s, r, index); });
    s.blocked = !s.box->empty();
    if (!s.blocked)
        s.box.reset();
    update_pressure(s);
    return !s.blocked;
}

} // namespace pusher::inline v0::detail
