// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/detail/relay.hpp>

#include <exception>

namespace pusher::inline v0 {

// ---- what links report

namespace detail {

PUSHER_DECL bool session::at_message(std::string_view text) {
    if (!broker || state == phase::closing || state == phase::closed)
        return false;
    return broker->handle(*this, text);
}

PUSHER_DECL void session::at_fault(errc why, std::string_view text) {
    if (!broker || state == phase::closing || state == phase::closed)
        return;
    broker->fail(*this, native_request(), text);
    broker->close(*this, close_reason::from(why));
}

PUSHER_DECL void session::at_ending() {
    if (broker && owner)
        owner->write_turn();
}

PUSHER_DECL void session::at_writable() {
    if (!broker || !owner)
        return;
    owner->writable(*this);
    if (waits_to_read && !answering && broker->may_read(*this)) {
        waits_to_read = false;
        link->resume();
    }
    broker->check_waiters();
}

PUSHER_DECL bool session::caught_up() const noexcept {
    return !owner || (!owed && !owner->has_pending(*this));
}

PUSHER_DECL void session::at_closed(const close_reason& reason) {
    if (broker)
        broker->end(*this, ending ? *ending : reason);
}

PUSHER_DECL void session::at_overflow() {
    if (broker)
        broker->close(*this, close_reason::from(errc::overflow));
}

PUSHER_DECL void session::at_taken_over() {
    if (broker)
        broker->close(*this, close_reason::from(errc::taken_over));
}

PUSHER_DECL void session::at_deadline() {
    if (broker)
        broker->close(*this, close_reason::from(timer->why));
}

} // namespace detail

// ---- the life of a session

PUSHER_DECL transport_stats& broker_core::stats_of(std::string_view transport) {
    const auto found = transport_stats_.find(transport);
    return found != transport_stats_.end()
               ? found->second
               : transport_stats_.emplace(transport, transport_stats()).first->second;
}

PUSHER_DECL const encoding& broker_core::encoding_of(const link& l) {
    if (const auto* const own = l.own_encoding())
        return *own;
    if (l.speaks() == dialect::raw)
        switch (l.frames()) {
        case framing::websocket_binary: return raw_binary_encoding_;
        case framing::websocket_text: return raw_text_encoding_;
        default: return raw_stream_encoding_;
        }
    switch (l.frames()) {
    case framing::line: return line_encoding_;
    case framing::websocket_text: return websocket_encoding_;
    case framing::sse: return sse_encoding_;
    case framing::sse_envelope: return sse_envelope_encoding_;
    case framing::websocket_binary:
    case framing::length_prefixed:
    case framing::datagram: break;
    }
    auto& e = datagram_encodings_[l.frame_limit()];
    if (!e)
        e = std::make_unique<native_datagram_encoding>(l.frame_limit());
    return *e;
}

/// The same, compressed if the link's peer has agreed to it.
PUSHER_DECL const encoding& broker_core::encoding_for(const link& l) {
    const auto& plain = encoding_of(l);
    const auto how = l.deflate();
    if (!how)
        return plain;
    auto& e = deflate_encodings_[{&plain, how}];
    if (!e)
        e = std::make_unique<websocket_deflate_encoding>(plain, how);
    return *e;
}

/// A session that the core does not know yet.
PUSHER_DECL detail::session_ptr broker_core::make_session(std::unique_ptr<link> l) {
    const bool raw = l->speaks() == dialect::raw;
    detail::session_ptr s(
        raw ? new detail::raw_session(*this, std::move(l), params_.outbox)
            : new detail::session(*this, std::move(l), params_.outbox));
    s->remote = true;
    s->link->set_owner(s.get());
    outside_.emplace(s.get(), s);
    ++undecided_;
    return s;
}

PUSHER_DECL void broker_core::accept(std::unique_ptr<link> l) {
    const bool room = !full();
    const auto s = make_session(std::move(l));
    if (!room) // nor for asking the host
        return turn_away(*s, close_reason::from(errc::too_many_sessions));
    if (!params_.authenticate)
        return open(s, authentication_result::anonymous());
    authentication_request request;
    request.peer = s->peer;
    request.transport = s->transport();
    set_deadline(*s, params_.authentication_timeout, errc::authentication_timeout);
    start_authentication(request, [this, s](const authentication_result& who) {
        if (s->broker && s->state == detail::session::phase::open)
            open(s, who);
    });
}

/// Says goodbye to a session that was not let in.
PUSHER_DECL void broker_core::turn_away(detail::session& s, close_reason reason) {
    --undecided_;
    ++stats_of(s.transport()).refused;
    s.state = detail::session::phase::closing;
    s.ending = std::make_unique<close_reason>(std::move(reason));
    close_now(s);
}

/// Lets a session in, or says goodbye to it at once.
PUSHER_DECL void broker_core::open(const detail::session_ptr& s, const authentication_result& who) {
    if (stopping_)
        return turn_away(*s, close_reason::from(errc::stopped));
    if (session_count_ >= params_.sessions || opening())
        return turn_away(*s, close_reason::from(errc::too_many_sessions));
    if (who.what == authentication_result::kind::refused) {
        auto reason = close_reason::from(errc::refused);
        reason.text = who.text;
        return turn_away(*s, std::move(reason));
    }
    auto& numbers = stats_of(s->transport());
    --undecided_;
    outside_.erase(s.get());
    s->timer.reset();
    core_.add(s);
    core_.attach(*s, encoding_for(*s->link), *s->link);
    ++session_count_;
    ++numbers.accepted;
    ++numbers.sessions;
    if (params_.observer)
        params_.observer->at_accept(s->info());
    if (who.what == authentication_result::kind::later) {
        s->state = detail::session::phase::unauthenticated;
        s->listed = false;
        set_deadline(*s, params_.authentication_timeout, errc::authentication_timeout);
    } else {
        bind(*s, who);
    }
    s->link->resume();
}

/// Gives a session its identity, and what comes with it.
PUSHER_DECL void broker_core::bind(detail::session& s, const authentication_result& who) {
    const bool first = !std::exchange(s.bound, true);
    bool new_uid = false;
    s.state = detail::session::phase::open;
    s.listed = true;
    s.timer.reset();
    if (who.what == authentication_result::kind::identified && s.uid.view() != who.text) {
        core_.bind(s, who.text);
        new_uid = !who.text.empty();
    }
    if (who.expires) {
        const auto left = *who.expires - params_.clock();
        set_deadline(
            s, std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(left)),
            errc::authentication_timeout);
    }
    // A token that is only renewed changes nothing of what the peer has chosen since.
    for (const auto& pattern : params_.subscribe_on_bind) {
        auto topic = pattern;
        constexpr std::string_view place = "{uid}";
        const bool own = topic.find(place) != topic.npos;
        if (own ? !new_uid : !first)
            continue;
        for (auto at = topic.find(place); at != topic.npos; at = topic.find(place, at + s.uid.view().size()))
            topic.replace(at, place.size(), s.uid.view());
        if (core_.subscribed(s, topic, {}, match_mode::exact))
            continue;
        error_code ec;
        core_.subscribe(s, topic, {}, ec);
        if (ec && params_.observer)
            params_.observer->at_error(ec, "subscribe_on_bind");
    }
}

PUSHER_DECL void broker_core::set_deadline(detail::session& s, std::chrono::milliseconds in, errc why) {
    if (!s.timer)
        s.timer = std::make_unique<detail::session::deadline>(s);
    s.timer->why = why;
    services_->arm(*s.timer, services::now() + in);
}

/// Ends a session when the turn is over, so that what it has been sent so far goes first.
PUSHER_DECL void broker_core::close(detail::session& s, close_reason reason) {
    using phase = detail::session::phase;
    if (s.state == phase::closing || s.state == phase::closed)
        return;
    if (!s.owner && s.id == 0) { // the host has not decided about it, and need not any more
        --undecided_;
        ++stats_of(s.transport()).refused;
    }
    s.state = phase::closing;
    s.ending = std::make_unique<close_reason>(std::move(reason));
    closing_.push_back(&s);
    schedule();
}

PUSHER_DECL void broker_core::close_now(detail::session& s) {
    if (s.state != detail::session::phase::closing)
        return;
    std::optional<std::chrono::milliseconds> retry;
    if (s.ending->code == close_code::try_again_later || s.ending->code == close_code::going_away)
        retry = retry_hint();
    s.link->close(*s.ending, retry);
    if (s.owner) {
        outside_.emplace(&s, &s);
        leave(s);
    }
}

/// Takes a session from the core, with its subscriptions.
PUSHER_DECL void broker_core::leave(detail::session& s) {
    if (!s.owner)
        return;
    core_.remove(s);
    --session_count_;
    --stats_of(s.transport()).sessions;
}

/// The link is gone.
PUSHER_DECL void broker_core::end(detail::session& s, const close_reason& reason) {
    if (s.state == detail::session::phase::closed)
        return;
    detail::session_ptr keep(&s);
    const bool was_refused = !s.owner && s.id == 0;
    if (was_refused && s.state == detail::session::phase::open) // it left before the host had decided
        --undecided_;
    s.state = detail::session::phase::closed;
    s.timer.reset();
    s.owed.reset();
    leave(s);
    outside_.erase(&s);
    s.broker = nullptr;
    if (!was_refused) {
        auto& numbers = stats_of(s.transport());
        ++(!reason.error || reason.error == errc::peer_closed ? numbers.closed_by_peer
                                                              : numbers.closed_by_error);
        ++closed_[reason.error ? reason.error.message() : std::string("closed by the peer")];
        if (params_.observer)
            params_.observer->at_close(s.info(), reason);
    }
    // Its link may be the caller. It goes with the connection, also where the host keeps a question about the
    // session without an answer.
    services_->destroy_later(std::pair(std::move(s.link), std::move(keep)));
    check_waiters();
}

PUSHER_DECL std::chrono::milliseconds broker_core::retry_hint() {
    random_ = random_ * 6364136223846793005U + 1442695040888963407U;
    const auto spread = static_cast<std::uint64_t>(params_.retry_after.count()) + 1;
    return params_.retry_after + std::chrono::milliseconds((random_ >> 33) % spread);
}

PUSHER_DECL std::size_t broker_core::kick(std::uint64_t session_id, std::string_view reason) {
    auto* const s = core_.find(session_id);
    if (!s || !s->remote)
        return 0;
    close(static_cast<detail::session&>(*s), {close_code::policy, errc::kicked, std::string(reason)});
    return 1;
}

PUSHER_DECL std::size_t broker_core::kick_uid(std::string_view uid, std::string_view reason) {
    if (relay_)
        relay_->kick(uid, reason);
    return kick_here(uid, reason);
}

PUSHER_DECL std::size_t broker_core::kick_here(std::string_view uid, std::string_view reason) {
    std::size_t count = 0;
    core_.for_each_of_uid(uid, [&](detail::subscriber_base& s) {
        if (s.remote)
            count += kick(s.id, reason);
    });
    return count;
}

// ---- the host's hooks

PUSHER_DECL void broker_core::threw(const subscriber_info& who, std::string_view topic) noexcept {
    core_.handler_threw(who, topic);
}

/// One question to the host. Whoever drops it without an answer has refused.
///
/// An answer inside the hook takes effect at once. A later one does from the event loop, since whoever gives
/// it may be in the middle of another request: a handler that it has called.
template <class Answer>
class broker_core::hook_op {
public:
    hook_op(const std::shared_ptr<services>& io, std::function<void(const Answer&)> done, Answer refusal)
        : io_(io),
          done_(std::move(done)),
          refusal_(std::move(refusal)) {}
    hook_op(const hook_op&) = delete;
    hook_op& operator=(const hook_op&) = delete;
    ~hook_op() { answer(refusal_); }

    void answer(const Answer& a) {
        auto done = std::exchange(done_, nullptr);
        if (!done)
            return;
        if (inside_)
            return done(a);
        if (const auto io = io_.lock())
            io->post([done = std::move(done), a] { done(a); });
    }
    void refuse() { answer(refusal_); }

    void left_hook() noexcept { inside_ = false; }

private:
    std::weak_ptr<services> io_; ///< the broker may be gone
    std::function<void(const Answer&)> done_;
    Answer refusal_;
    bool inside_ = true;
};

PUSHER_DECL void broker_core::start_authentication(
    const authentication_request& request, std::function<void(const authentication_result&)> done) {
    const auto op = std::make_shared<hook_op<authentication_result>>(
        services_, std::move(done), authentication_result::refused());
    try {
        params_.authenticate(request, [op](const authentication_result& r) { op->answer(r); });
    } catch (...) {
        threw({0, {}, request.peer, request.transport}, {});
        op->refuse();
    }
    op->left_hook();
}

PUSHER_DECL void broker_core::authorize(const access_request& request, access_answer done) {
    if (!params_.authorize)
        return done(true);
    const auto op = std::make_shared<hook_op<bool>>(services_, std::move(done), false);
    try {
        params_.authorize(request, [op](bool allowed) { op->answer(allowed); });
    } catch (...) {
        threw({0, request.uid, request.peer, request.transport}, request.topic);
        op->refuse();
    }
    op->left_hook();
}

} // namespace pusher::inline v0
