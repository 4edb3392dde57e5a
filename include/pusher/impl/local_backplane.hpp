// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/local_backplane.hpp>
#include <pusher/detail/random_bits.hpp>
#include <pusher/detail/relayed_content.hpp>

#include <boost/asio/post.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <algorithm>
#include <bit>
#include <iterator>

namespace pusher::inline v0::detail {

// ---- batches

PUSHER_DECL std::size_t relay_batch::bytes_of(const relayed& r) noexcept {
    return sizeof(entry) + r.topic.size() + r.uid.size() + packed_size(content_of(r));
}

PUSHER_DECL void relay_batch::add(const relayed& r) {
    const auto begin = bytes_.size();
    bytes_.append(r.topic).append(r.uid);
    entries_.push_back(
        {r, begin, static_cast<std::uint32_t>(r.uid.size()), static_cast<std::uint8_t>(r.topic.size()),
         pack<std::uint8_t>(bytes_, content_of(r))});
}

PUSHER_DECL relayed relay_batch::view(std::size_t i, std::vector<header>& headers) const {
    const auto& e = entries_[i];
    relayed r;
    static_cast<relay_facts&>(r) = e.facts;
    auto rest = std::string_view(bytes_).substr(e.begin);
    r.topic = rest.substr(0, e.topic_size);
    r.uid = rest.substr(e.topic_size, e.uid_size);
    message::fields content;
    unpack(rest.substr(std::size_t{e.topic_size} + e.uid_size), e.sizes, content, headers);
    set_content(r, content);
    return r;
}

// ---- the group

PUSHER_DECL local_group::local_group(
    const std::vector<boost::asio::any_io_executor>& executors, std::size_t messages, std::size_t bytes,
    std::chrono::milliseconds copies)
    : most_messages(messages),
      most_bytes(bytes),
      copies_stay(copies),
      seed(random_bits()) {
    for (const auto& e : executors) {
        inboxes.push_back(std::make_shared<inbox>());
        inboxes.back()->executor = e;
    }
}

PUSHER_DECL local_backplane::local_backplane(std::shared_ptr<local_group> g, std::uint32_t self)
    : group_(std::move(g)),
      self_(self),
      out_(group_->inboxes.size()),
      topics_(0, text_hash(group_->seed)),
      users_(0, text_hash(group_->seed)),
      filters_(group_->seed) {}

PUSHER_DECL void local_backplane::join(member& m) {
    member_ = &m;
    own().owner = this;
}

PUSHER_DECL void local_backplane::wake(const std::shared_ptr<inbox>& in) {
    if (in->closed || std::exchange(in->scheduled, true))
        return;
    // Under the lock: whoever closes the inbox may destroy what the executor belongs to.
    boost::asio::post(in->executor, [in] {
        if (in->owner)
            in->owner->take();
    });
}

PUSHER_DECL void local_backplane::leave() noexcept {
    if (std::exchange(left_, true))
        return;
    std::vector<inbox::item> unread;
    auto& in = own();
    in.owner = nullptr;
    {
        const std::lock_guard lock(in.mutex);
        in.closed = true;
        in.gone = true;
        unread.swap(in.items);
        in.changes.clear();
        in.executor = {};
    }
    for (std::uint32_t i = 0; i != out_.size(); ++i) {
        if (i == self_ || !member_)
            continue;
        relayed r;
        r.what = relay_kind::left;
        send(i, r);
        put(i);
    }
    member_ = nullptr;
}

// ---- interest

PUSHER_DECL void local_backplane::announce(interest what, std::string_view text, bool begins) {
    if (left_)
        return;
    for (std::uint32_t i = 0; i != group_->inboxes.size(); ++i) {
        if (i == self_)
            continue;
        const auto& in = group_->inboxes[i];
        const std::lock_guard lock(in->mutex);
        if (in->closed)
            continue;
        in->changes.push_back({self_, what, begins, std::string(text)});
        in->changed.store(true, std::memory_order_release);
        if (in->changes.size() >= local_group::most_changes)
            wake(in);
        if (in->changes.size() >= in->too_many_changes)
            leave_out_undone(*in);
    }
}

/// Nobody has looked for long. Of several changes of one interest only the last one counts. Under its lock.
PUSHER_DECL void local_backplane::leave_out_undone(inbox& in) {
    auto& all = in.changes;
    boost::unordered_flat_set<std::string> seen;
    std::vector<local_group::change> last;
    for (auto c = all.rbegin(); c != all.rend(); ++c)
        if (seen.insert(std::to_string(c->who) + ' ' + static_cast<char>(c->what) + c->text).second)
            last.push_back(std::move(*c));
    all.assign(std::make_move_iterator(last.rbegin()), std::make_move_iterator(last.rend()));
    in.too_many_changes = std::max(local_group::most_changes, 2 * all.size());
}

PUSHER_DECL void local_backplane::apply_changes() {
    auto& in = own();
    if (!in.changed.load(std::memory_order_acquire))
        return;
    std::vector<local_group::change> changes;
    {
        const std::lock_guard lock(in.mutex);
        changes.swap(in.changes);
        in.too_many_changes = local_group::most_changes;
        in.changed.store(false, std::memory_order_relaxed);
    }
    for (const auto& c : changes)
        switch (c.what) {
        case interest::topic:
            apply(topics_, c);
            if (!c.begins && member_)
                member_->at_unsubscribed(c.who, c.text);
            break;
        case interest::user: apply(users_, c); break;
        case interest::filter: apply_filter(c); break;
        }
}

PUSHER_DECL void local_backplane::apply(audiences& to, const local_group::change& c) {
    if (c.begins) {
        to[c.text] |= bit_of(c.who);
        return;
    }
    const auto found = to.find(c.text);
    if (found != to.end() && (found->second &= ~bit_of(c.who)) == 0)
        to.erase(found);
}

PUSHER_DECL void local_backplane::apply_filter(const local_group::change& c) {
    auto* node = filters_.find(c.text);
    if (!c.begins) {
        if (!node || node->id == filter_node::unregistered ||
            (filter_members_[node->id] &= ~bit_of(c.who)) != 0)
            return;
        free_filters_.push_back(node->id);
        node->id = filter_node::unregistered;
        node->members.clear();
        filters_.lost_subscribers();
        filters_.remove_unused(*node);
        return;
    }
    if (!node)
        node = &filters_.add(c.text);
    if (node->id == filter_node::unregistered) {
        if (free_filters_.empty()) {
            free_filters_.push_back(static_cast<std::uint32_t>(filter_members_.size()));
            filter_members_.push_back(0);
        }
        node->id = free_filters_.back();
        free_filters_.pop_back();
        node->members.push_back({0, 0}); // so that it is found
        filters_.gained_subscribers();
    }
    filter_members_[node->id] |= bit_of(c.who);
}

PUSHER_DECL backplane::members local_backplane::audience(std::string_view topic) {
    apply_changes();
    members all = 0;
    if (!topics_.empty())
        if (const auto found = topics_.find(topic); found != topics_.end())
            all = found->second;
    if (!filters_.empty()) {
        matched_.clear();
        filters_.match(topic, matched_);
        for (const auto* const f : matched_)
            all |= filter_members_[f->id];
    }
    return all;
}

PUSHER_DECL backplane::members local_backplane::subscribers(std::string_view topic) {
    apply_changes();
    const auto found = topics_.find(topic);
    return found == topics_.end() ? 0 : found->second;
}

PUSHER_DECL backplane::members local_backplane::users(std::string_view uid) {
    apply_changes();
    const auto found = users_.find(uid);
    return found == users_.end() ? 0 : found->second;
}

// ---- sending

PUSHER_DECL bool
local_backplane::has_room(const inbox& in, const outgoing& out, std::size_t bytes) const noexcept {
    const auto waits = out.batch ? out.batch->size() : 0;
    const auto waiting_bytes = out.batch ? out.batch->bytes() : 0;
    // What is larger than the limit goes alone.
    const auto all = in.bytes.load(std::memory_order_relaxed) + waiting_bytes;
    return in.messages.load(std::memory_order_relaxed) + waits < group_->most_messages &&
           (all == 0 || all + bytes <= group_->most_bytes);
}

PUSHER_DECL backplane::outcome local_backplane::send(std::uint32_t to, const relayed& r) {
    auto& in = *group_->inboxes[to];
    auto& out = out_[to];
    if (in.gone.load(std::memory_order_relaxed))
        return outcome::gone;
    if (r.overflow != relay_overflow::exceed) {
        const bool room = has_room(in, out, relay_batch::bytes_of(r));
        if (room && !out.lost.empty())
            tell_lost(to);
        if (!room) {
            if (r.overflow == relay_overflow::refuse)
                return outcome::full;
            // No topic or uid has a line break.
            auto name = std::string(r.topic);
            if (r.what != relay_kind::message)
                name.append("\n").append(r.uid);
            auto& l = out.lost.try_emplace(std::move(name), loss{r.what, 0, r.position, 0}).first->second;
            ++l.count;
            l.last = r.position.offset;
            ++counts_.dropped;
            return outcome::full;
        }
    }
    if (!out.batch)
        out.batch = std::make_unique<relay_batch>();
    out.batch->add(r);
    if (out.batch->size() >= batch_messages || out.batch->bytes() >= batch_bytes)
        put(to);
    return outcome::sent;
}

PUSHER_DECL bool local_backplane::half_empty(std::uint32_t to) const noexcept {
    const auto& in = *group_->inboxes[to];
    const auto& batch = out_[to].batch;
    return in.messages.load(std::memory_order_relaxed) + (batch ? batch->size() : 0) <=
               group_->most_messages / 2 &&
           in.bytes.load(std::memory_order_relaxed) + (batch ? batch->bytes() : 0) <= group_->most_bytes / 2;
}

/// What could not be handed over goes before what follows it.
PUSHER_DECL void local_backplane::tell_lost(std::uint32_t to) {
    auto& out = out_[to];
    if (!out.batch)
        out.batch = std::make_unique<relay_batch>();
    for (const auto& [name, l] : out.lost) {
        const auto end = std::min(name.find('\n'), name.size());
        relayed r;
        r.what = relay_kind::lost;
        r.everyone = l.what == relay_kind::broadcast;
        r.topic = std::string_view(name).substr(0, end);
        r.uid = std::string_view(name).substr(std::min(end + 1, name.size()));
        r.count = l.count;
        r.position = l.first;
        r.number = l.last;
        out.batch->add(r);
    }
    out.lost.clear();
}

/// Puts what there is into the other's inbox.
PUSHER_DECL void local_backplane::put(std::uint32_t to) {
    auto& out = out_[to];
    if (!out.batch || out.batch->empty())
        return;
    const auto& in = group_->inboxes[to];
    const std::lock_guard lock(in->mutex);
    if (in->closed)
        return out.batch->clear();
    in->messages.fetch_add(out.batch->size(), std::memory_order_relaxed);
    in->bytes.fetch_add(out.batch->bytes(), std::memory_order_relaxed);
    in->items.push_back({self_, std::move(out.batch)});
    if (!in->spare.empty()) {
        out.batch = std::move(in->spare.back());
        in->spare.pop_back();
    }
    wake(in);
}

PUSHER_DECL void local_backplane::hand_over() {
    for (std::uint32_t i = 0; i != out_.size(); ++i) {
        auto& out = out_[i];
        if (group_->inboxes[i]->gone.load(std::memory_order_relaxed))
            out.lost.clear();
        if (!out.lost.empty()) {
            put(i);
            if (has_room(*group_->inboxes[i], out, 0))
                tell_lost(i);
            else
                wait_for_room();
        }
        put(i);
    }
}

// ---- what comes

PUSHER_DECL void local_backplane::take() {
    auto& in = own();
    bool room = false;
    {
        const std::lock_guard lock(in.mutex);
        in.scheduled = false;
        room = std::exchange(in.room, false);
        for (auto& item : in.items)
            arrived_.push_back(std::move(item));
        in.items.clear();
        for (auto& b : emptied_)
            if (in.spare.size() < most_spare)
                in.spare.push_back(std::move(b));
        emptied_.clear();
    }
    apply_changes();
    std::size_t done = 0;
    while (!arrived_.empty() && done < most_taken) {
        auto& first = arrived_.front();
        for (; next_ != first.batch->size() && done < most_taken; ++next_, ++done) {
            member_->at_relayed(first.from, first.batch->view(next_, headers_));
            if (left_) // a handler has stopped the broker
                return;
        }
        if (next_ != first.batch->size())
            break;
        next_ = 0;
        ++counts_.batches;
        in.messages.fetch_sub(first.batch->size(), std::memory_order_relaxed);
        in.bytes.fetch_sub(first.batch->bytes(), std::memory_order_relaxed);
        in.taken.fetch_add(1, std::memory_order_relaxed);
        first.batch->clear();
        emptied_.push_back(std::move(first.batch));
        arrived_.pop_front();
    }
    members waiting = 0;
    {
        const std::lock_guard lock(in.mutex);
        if (!arrived_.empty())
            wake(group_->inboxes[self_]);
        if (!over_half(in))
            waiting = std::exchange(in.waiting, 0);
    }
    for (; waiting != 0; waiting &= waiting - 1) {
        const auto& other = group_->inboxes[static_cast<std::size_t>(std::countr_zero(waiting))];
        const std::lock_guard lock(other->mutex);
        other->room = true;
        wake(other);
    }
    member_->at_relayed_all();
    if (room && !left_)
        member_->at_room();
}

// ---- flow control

PUSHER_DECL bool local_backplane::writable() const noexcept {
    if (left_)
        return true;
    for (std::size_t i = 0; i != out_.size(); ++i) {
        const auto& in = *group_->inboxes[i];
        if (i == self_ || in.gone.load(std::memory_order_relaxed))
            continue;
        if (out_[i].batch && !out_[i].batch->empty())
            return false;
        const bool excused = out_[i].excused && in.taken.load(std::memory_order_relaxed) == out_[i].seen;
        if (!excused && over_half(in))
            return false;
    }
    return true;
}

PUSHER_DECL void local_backplane::wait_for_room() {
    bool waits = false;
    for (std::uint32_t i = 0; i != out_.size(); ++i) {
        auto& in = *group_->inboxes[i];
        if (i == self_)
            continue;
        const std::lock_guard lock(in.mutex);
        // While it is that full it has something to deal with, and looks for who waits after that.
        if (in.closed || !over_half(in))
            continue;
        in.waiting |= bit_of(self_);
        waits = true;
    }
    if (!waits)
        found_room();
}

PUSHER_DECL void local_backplane::wait_for(std::uint32_t to) {
    {
        auto& in = *group_->inboxes[to];
        const std::lock_guard lock(in.mutex);
        if (!in.closed && over_half(in)) {
            in.waiting |= bit_of(self_);
            return;
        }
    }
    found_room(); // what is not handed over yet fills it
}

PUSHER_DECL void local_backplane::found_room() {
    const auto& mine = group_->inboxes[self_];
    const std::lock_guard lock(mine->mutex);
    mine->room = true;
    wake(mine);
}

PUSHER_DECL void local_backplane::forget_progress() noexcept {
    for (std::size_t i = 0; i != out_.size(); ++i)
        out_[i].seen = group_->inboxes[i]->taken.load(std::memory_order_relaxed);
}

PUSHER_DECL void local_backplane::excuse_stalled() noexcept {
    for (std::size_t i = 0; i != out_.size(); ++i)
        out_[i].excused = group_->inboxes[i]->taken.load(std::memory_order_relaxed) == out_[i].seen;
}

} // namespace pusher::inline v0::detail
