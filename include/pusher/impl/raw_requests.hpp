// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/detail/raw_session.hpp>

namespace pusher::inline v0 {

namespace detail {

PUSHER_DECL bool raw_session::at_message(std::string_view bytes) {
    if (!broker || state == phase::closing || state == phase::closed)
        return false;
    return broker->handle_raw(*this, bytes);
}

PUSHER_DECL void raw_session::at_fault(errc why, std::string_view text) {
    if (broker && state != phase::closing && state != phase::closed)
        broker->refuse_raw(*this, why, text);
}

} // namespace detail

/// A raw session has no replies: what goes wrong ends it, with the reason.
PUSHER_DECL void broker_core::refuse_raw(detail::raw_session& s, error_code ec, std::string_view why) {
    ++stats_of(s.transport()).bad_requests;
    auto reason = close_reason::from(ec);
    if (!why.empty())
        reason.text = why;
    close(s, std::move(reason));
}

/// Handles one message of a raw session. \return whether the next may follow.
PUSHER_DECL bool broker_core::handle_raw(detail::raw_session& s, std::string_view bytes) {
    if (s.begun)
        return publish_raw(s, bytes);
    if (s.begins) {
        s.begins->held = bytes;
        s.answering = true;
        return false;
    }
    ++stats_of(s.transport()).requests;
    raw_query query;
    std::string message;
    if (const auto ec = decode_raw_query(bytes, query, message))
        return refuse_raw(s, ec, message), false;
    begin_raw(s, std::move(query));
    s.answering = s.begins != nullptr;
    return !s.answering && may_read(s);
}

/// Authenticates a token, if there is one, and goes on.
PUSHER_DECL void broker_core::begin_raw(detail::raw_session& s, raw_query query) {
    if (query.size() > params_.subscriptions)
        return refuse_raw(s, errc::too_many_subscriptions);
    const detail::raw_session_ptr keep(&s);
    s.begins =
        std::make_unique<detail::raw_session::beginning>(detail::raw_session::beginning{std::move(query)});
    const auto& token = s.begins->query.token;
    if (!params_.authenticate || token.empty())
        return go_on_raw(keep);
    authentication_request request;
    request.token = token;
    request.peer = s.peer;
    request.transport = s.transport();
    start_authentication(request, [this, keep](const authentication_result& who) {
        using kind = authentication_result::kind;
        auto& to = *keep;
        if (!to.broker || to.state == detail::session::phase::closing ||
            to.state == detail::session::phase::closed)
            return;
        if (who.what == kind::refused)
            return refuse_raw(to, errc::refused, who.text);
        const bool other = !to.uid.empty() && (who.what != kind::identified || who.text != to.uid.view());
        if (other)
            return refuse_raw(to, errc::already_bound);
        if (who.what != kind::later)
            bind(to, who);
        go_on_raw(keep);
    });
}

/// Asks the host about one subscription after another, and about publishing; then it begins.
PUSHER_DECL void broker_core::go_on_raw(const detail::raw_session_ptr& s) {
    if (s->state == detail::session::phase::unauthenticated)
        return refuse_raw(*s, errc::not_authenticated);
    if (s->state != detail::session::phase::open || !s->begins)
        return;
    auto& b = *s->begins;
    const auto& q = b.query;
    const auto asks = q.size() + (q.publish.empty() ? 0 : 1);
    while (params_.authorize && b.next != asks) {
        const bool publishes = b.next == q.size();
        const access_request access{
            publishes ? access_request::kind::publish : access_request::kind::subscribe,
            publishes ? std::string_view(q.publish) : q.topic(b.next),
            publishes ? match_mode::exact : q.match,
            publishes ? std::string_view(q.publish_type) : q.type(b.next),
            s->uid.view(),
            s->peer,
            s->transport()};
        struct state {
            bool inside = true;
            bool allowed = false;
        };
        const auto shared = std::make_shared<state>();
        authorize(access, [this, s, shared](bool allowed) {
            shared->allowed = allowed;
            if (!s->broker || s->state != detail::session::phase::open || !s->begins)
                return;
            if (!allowed)
                return refuse_raw(*s, errc::forbidden);
            ++s->begins->next;
            if (!shared->inside)
                go_on_raw(s);
        });
        shared->inside = false;
        if (!shared->allowed || s->state != detail::session::phase::open)
            return; // refused, or the answer comes later
    }
    if (relay_ && q.match == match_mode::exact && !std::exchange(b.fetched, true))
        return fetch_histories(q.topics, [this, s](error_code ec) {
            if (s->broker && s->begins)
                ec ? refuse_raw(*s, ec) : go_on_raw(s);
        });
    subscribe_raw(*s);
}

PUSHER_DECL void broker_core::subscribe_raw(detail::raw_session& s) {
    const auto b = std::move(s.begins);
    const auto& q = b->query;
    subscribe_options o;
    o.match = q.match;
    o.echo = q.echo;
    o.overflow = q.overflow;
    o.history = q.history;
    for (std::size_t n = 0; n != q.size(); ++n) {
        o.type = q.type(n);
        native_reply with;
        if (const auto ec = subscribe_peer(s, q.topic(n), o, with))
            return refuse_raw(s, ec);
        if (s.state != detail::session::phase::open)
            return; // an observer has ended it
    }
    if (!q.publish.empty())
        s.publish = detail::shared_text(q.publish);
    if (!q.publish_type.empty())
        s.publish_type = detail::shared_text(q.publish_type);
    s.begun = true;
    if (!std::exchange(s.answering, false))
        return;
    // Not from here: this may be the answer of a hook, in the middle of another request.
    services_->post([this, keep = detail::raw_session_ptr(&s), held = std::move(b->held)] {
        if (!keep->broker || keep->state != detail::session::phase::open)
            return;
        if ((!held || handle_raw(*keep, *held)) && !keep->answering && may_read(*keep))
            keep->link->resume();
    });
}

PUSHER_DECL bool broker_core::publish_raw(detail::raw_session& s, std::string_view payload) {
    ++stats_of(s.transport()).requests;
    if (s.publish.empty())
        return refuse_raw(s, errc::unsupported, "this connection has not asked to publish"), false;
    publish_options o;
    o.type = s.publish_type.view();
    o.publisher = s.id;
    const detail::raw_session_ptr keep(&s); // a handler may kick it
    const auto became = [this, keep](const receipt& got) {
        if (!keep->broker)
            return;
        --keep->waiting;
        if (got.error)
            return refuse_raw(*keep, got.error);
        // It may wait with the end until all is published.
        if (!std::exchange(keep->paused, false) && keep->waiting != 0)
            return;
        keep->answering = false;
        if (may_read(*keep))
            keep->link->resume();
    };
    const auto got = publish_then(s.publish.view(), payload, o, nullptr, false, became);
    if (got.error)
        return refuse_raw(s, got.error), false;
    if (!got.pending)
        return may_read(s);
    if (++s.waiting < detail::raw_session::most_waiting)
        return may_read(s);
    s.answering = s.paused = true;
    return false;
}

} // namespace pusher::inline v0
