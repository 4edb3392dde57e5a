// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/subscriptions.hpp>

namespace pusher::inline v0::detail {

PUSHER_DECL client_subscription* client_subscriptions::find(const client_subscription_name& name) noexcept {
    const auto found = all_.find(name);
    return found == all_.end() ? nullptr : found->second.get();
}

PUSHER_DECL void client_subscriptions::add(
    client_subscription asked, std::size_t history, const std::optional<topic_position>& resume,
    const std::optional<topic_position>& newest) {
    asked.position = begins(history, resume, newest);
    asked.begin = asked.position;
    asked.restoring = false;
    auto s = std::make_unique<client_subscription>(std::move(asked));
    const auto name = s->name(); // a view of what it names
    all_.erase(name);
    all_.emplace(name, std::move(s));
}

PUSHER_DECL void client_subscriptions::remove(const client_subscription_name& name) noexcept {
    if (const auto found = all_.find(name); found != all_.end())
        all_.erase(found);
}

PUSHER_DECL void client_subscriptions::restored(
    client_subscription& s, bool recovered, const std::optional<topic_position>& newest) {
    s.restoring = false;
    s.acknowledging = false;
    if (recovered)
        return;
    s.position = s.position ? begins(0, s.position, newest) : newest;
    s.begin = s.position;
    s.handled = s.acknowledged = 0;
}

PUSHER_DECL bool client_subscriptions::accept(
    std::string_view topic, std::string_view type, const std::optional<topic_position>& position) {
    if (!position)
        return true;
    bool comes_again = false;
    bool wanted = false;
    bool known = false;
    for_exact(topic, [&](client_subscription& s) {
        if (!s.type.empty() && s.type != type)
            return;
        if (s.restoring) {
            comes_again = comes_again || s.position;
            return;
        }
        if (!s.position || s.position->epoch != position->epoch) {
            s.begin = topic_position{position->epoch, position->offset - (position->offset != 0)};
            s.position = position;
            s.handled = s.acknowledged = 0;
            wanted = true;
        } else if (s.position->offset < position->offset) {
            s.position = position;
            wanted = true;
        } else {
            known = known || (s.begin->epoch == position->epoch && s.begin->offset < position->offset);
        }
    });
    return !known && (wanted || !comes_again);
}

PUSHER_DECL void client_subscriptions::skip(const gap& g) {
    // Where not all of a range was lost, the rest of it may still be on its way, behind this.
    if (!g.offsets || g.count != g.offsets->last - g.offsets->first + 1)
        return;
    for_exact(g.topic, [&](client_subscription& s) {
        if (!s.restoring && s.position && g.offsets->first <= s.position->offset + 1)
            s.position->offset = std::max(s.position->offset, g.offsets->last);
    });
}

PUSHER_DECL std::optional<topic_position> client_subscriptions::begins(
    std::size_t history, const std::optional<topic_position>& resume,
    const std::optional<topic_position>& newest) {
    if (!newest)
        return std::nullopt;
    auto from = *newest;
    if (resume && resume->epoch != newest->epoch)
        from.offset = 0; // all of the new history is replayed
    else if (resume)
        from.offset = std::min(resume->offset, newest->offset);
    else
        // Perhaps fewer are left; then a resume before the first has come reports a gap that is none.
        from.offset -= std::min<std::uint64_t>(history, from.offset);
    return from;
}

} // namespace pusher::inline v0::detail
