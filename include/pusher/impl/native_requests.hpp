// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>

namespace pusher::inline v0 {

/// Handles one request of the native dialect. \return whether the next may follow.
PUSHER_DECL bool broker_core::handle(detail::session& s, std::string_view text) {
    native_request r;
    native_limits limits;
    limits.request = s.link->request_limit();
    const bool bad = bool(decoder_.decode(text, r, limits));
    if (s.owed) {
        // Further publishes wait with those that are being stored; all else waits until they are answered.
        const bool joins = !bad && r.action == native_action::publish && published_later(r.publish.topic);
        if (!joins || s.owed->list.size() >= detail::session::answers::most) {
            s.owed->held = text;
            s.answering = true;
            return false;
        }
    }
    if (bad) {
        fail(s, r, decoder_.error_message());
        return may_read(s);
    }
    if (!act(s, r, text)) {
        s.answering = true;
        return false;
    }
    return may_read(s);
}

/// Whether the session's replies leave room for another.
PUSHER_DECL bool broker_core::may_read(detail::session& s) const noexcept {
    if (s.state == detail::session::phase::closing || s.state == detail::session::phase::closed)
        return false;
    s.waits_to_read = s.box && s.box->reply_bytes() > s.limits->reply_bytes;
    return !s.waits_to_read;
}

/// A hook has answered late: the request is done, and reading goes on.
PUSHER_DECL void broker_core::answered(detail::session& s) {
    s.answering = false;
    if (may_read(s))
        s.link->resume();
}

/// \return false if the host will answer later; then `answered` follows.
PUSHER_DECL bool broker_core::act(detail::session& s, const native_request& r, std::string_view text) {
    ++stats_of(s.transport()).requests;
    if (const auto refusal = native_refusal(r); !refusal.empty()) {
        fail(s, r, refusal);
        return true;
    }
    if (s.state == detail::session::phase::unauthenticated && r.action != native_action::hello &&
        r.action != native_action::auth && r.action != native_action::ping) {
        fail(s, r, "not authenticated: send auth first");
        return true;
    }
    switch (r.action) {
    case native_action::auth: return authenticate(s, r);
    case native_action::subscribe:
    case native_action::publish:
        if (params_.authorize)
            return authorized(s, r, text);
        break;
    default: break;
    }
    perform(s, r);
    return true;
}

/// Asks the host about a subscribe or publish, and does it if it may be done.
PUSHER_DECL bool broker_core::authorized(detail::session& s, const native_request& r, std::string_view text) {
    const bool publishes = r.action == native_action::publish;
    access_request access{
        publishes ? access_request::kind::publish : access_request::kind::subscribe,
        publishes ? r.publish.topic : r.subscribe.topic,
        publishes ? match_mode::exact : r.subscribe.match,
        publishes ? r.publish.type : r.subscribe.type,
        s.uid.view(),
        s.peer,
        s.transport()};
    struct state {
        bool inside = true;
        std::optional<bool> allowed;
        std::string text; ///< of the request, if the answer comes later
    };
    const auto shared = std::make_shared<state>();
    authorize(access, [this, shared, s = detail::session_ptr(&s)](bool allowed) {
        if (shared->inside) {
            shared->allowed = allowed;
            return;
        }
        if (!s->broker || s->state != detail::session::phase::open)
            return;
        native_request again; // what it viewed is gone
        native_limits limits;
        limits.request = shared->text.size();
        decoder_.decode(shared->text, again, limits);
        if (allowed)
            perform(*s, again);
        else
            fail(*s, again, make_error_code(errc::forbidden).message());
        answered(*s);
    });
    shared->inside = false;
    if (!shared->allowed) {
        shared->text = text;
        return false;
    }
    if (s.state != detail::session::phase::open)
        return true; // the hook has ended it
    if (*shared->allowed)
        perform(s, r);
    else
        fail(s, r, make_error_code(errc::forbidden).message());
    return true;
}

PUSHER_DECL void broker_core::perform(detail::session& s, const native_request& r) {
    native_reply with;
    switch (r.action) {
    case native_action::hello: {
        std::string id;
        const auto hello = hello_of(s, id);
        with.hello = &hello;
        return reply(s, r, with);
    }
    case native_action::subscribe: {
        subscribe_options o;
        o.match = r.subscribe.match;
        o.type = r.subscribe.type;
        o.echo = r.subscribe.echo;
        o.history = static_cast<std::size_t>(r.subscribe.history);
        o.resume = r.subscribe.resume;
        o.overflow = r.subscribe.overflow;
        o.acknowledge = r.subscribe.ack;
        o.durable = r.subscribe.durable;
        if (!o.durable.empty() && s.uid.empty())
            return fail(s, r, "params.durable needs an identity: it is kept for a user");
        if (!o.durable.empty() && !is_valid_topic(o.durable))
            return fail(s, r, "params.durable holds a control character");
        if (!o.durable.empty() && relay_)
            return fail(s, r, "params.durable is not in use here: there are several brokers");
        if (o.match == match_mode::exact && must_fetch(r.subscribe.topic))
            return subscribe_when_fetched(s, r, o);
        error_code ec;
        if (!o.durable.empty() && journal_ && journal_->is_open() &&
            core_.prepare_durable(s, r.subscribe.topic, o, ec))
            return subscribe_when_stored(s, r, o);
        if (!ec)
            ec = subscribe_peer(s, r.subscribe.topic, o, with);
        return ec ? fail(s, r, ec.message()) : reply(s, r, with);
    }
    case native_action::unsubscribe:
        core_.unsubscribe(s, r.subscribe.topic, r.subscribe.type, r.subscribe.match);
        return reply(s, r);
    case native_action::publish: {
        publish_options o;
        o.type = r.publish.type;
        o.key = r.publish.key;
        o.id = r.publish.id;
        o.ttl = r.publish.time_to_live();
        o.publisher = s.id;
        if (staged_ && published_later(r.publish.topic))
            return publish_stored(s, r, o);
        const detail::session_ptr keep(&s); // a handler may kick it
        const auto receipt = staged_ ? publish_then(r.publish.topic, r.publish.payload, o, nullptr, false, {})
                                     : core_.publish(r.publish.topic, r.publish.payload, o);
        if (receipt.error)
            return fail(s, r, receipt.error.message());
        with.receipt = native_receipt{receipt.matched, receipt.position, receipt.repeated};
        return reply(s, r, with);
    }
    case native_action::ack: {
        error_code ec;
        core_.acknowledge(s, r.ack.topic, r.ack.offset, ec);
        if (ec == errc::not_found)
            return fail(s, r, "no subscription of this session to that topic acknowledges");
        if (ec)
            return fail(s, r, "that offset has not been sent");
        return reply(s, r);
    }
    default: return reply(s, r);
    }
}

/// Keeps the place of an answer that comes later, in the order of the requests.
PUSHER_DECL broker_core::later_answer broker_core::answer_later(detail::session& s, const native_request& r) {
    if (!s.owed)
        s.owed = std::make_unique<detail::session::answers>();
    s.owed->list.emplace_back();
    return {
        detail::session_ptr(&s), s.owed->first + s.owed->list.size() - 1, std::string(r.request_id),
        std::string(r.action_name)};
}

/// \param ec why it failed, or nothing
PUSHER_DECL void broker_core::answer(const later_answer& which, native_reply with, error_code ec) {
    auto& s = *which.to;
    native_request of;
    of.request_id = which.request_id;
    of.action_name = which.action_name;
    const auto why = ec ? ec.message() : std::string();
    if (ec)
        with = failure(s, why);
    encode_reply(s, of, with);
    auto& slot = s.owed->list[static_cast<std::size_t>(which.number - s.owed->first)];
    slot.frame = frame_;
    slot.known = true;
    send_known(s);
}

PUSHER_DECL error_code broker_core::subscribe_peer(
    detail::session& s, std::string_view topic, const subscribe_options& o, native_reply& with) {
    error_code ec;
    const auto result = core_.subscribe(s, topic, o, ec);
    if (ec)
        return ec;
    with.recovered = result.recovered;
    with.position = result.position;
    return {};
}

/// A new durable subscription begins, and is answered, when the store has it.
PUSHER_DECL void broker_core::subscribe_when_stored(
    detail::session& s, const native_request& r, const subscribe_options& options) {
    const auto wanted = std::make_shared<waiting_subscribe>(waiting_subscribe{
        answer_later(s, r), std::string(s.uid.view()), std::string(options.durable),
        std::string(r.subscribe.topic), std::string(options.type), options});
    wanted->options.durable = wanted->name;
    wanted->options.type = wanted->type;
    subscribe_when_stored(wanted);
}

PUSHER_DECL void broker_core::subscribe_when_stored(const std::shared_ptr<waiting_subscribe>& wanted) {
    journal_->when_stored([this, wanted](error_code ec) {
        const auto settle = [&](bool stored) {
            core_.settle_durable(wanted->uid, wanted->name, wanted->topic, wanted->type, stored);
        };
        settle(!ec);
        auto& to = *wanted->which.to;
        if (!to.owner || !to.owed || to.state != detail::session::phase::open)
            return; // it has left; what is stored waits for the next
        // Another who asked for it may have failed meanwhile, or the host removed it.
        if (!ec && core_.prepare_durable(to, wanted->topic, wanted->options, ec))
            return subscribe_when_stored(wanted);
        native_reply with;
        if (!ec)
            ec = subscribe_peer(to, wanted->topic, wanted->options, with);
        if (ec)
            settle(false);
        answer(wanted->which, with, ec);
    });
}

/// Publishes what is to be stored first, or published by another broker: it is answered then.
PUSHER_DECL void
broker_core::publish_stored(detail::session& s, const native_request& r, const publish_options& o) {
    const auto answer = [this, which = answer_later(s, r)](const receipt& got) {
        if (!which.to->owner || !which.to->owed)
            return; // it has left; the publish stands
        native_reply with;
        with.receipt = native_receipt{got.matched, got.position, got.repeated};
        this->answer(which, with, got.error);
    };
    const auto got = publish_then(r.publish.topic, r.publish.payload, o, nullptr, false, answer);
    if (!got.pending)
        answer(got);
}

/// Sends what is known of the answers that a session is owed.
PUSHER_DECL void broker_core::send_known(detail::session& s) {
    auto& list = s.owed->list;
    for (; !list.empty() && list.front().known; ++s.owed->first) {
        core_.reply(s, list.front().frame);
        list.pop_front();
    }
    if (!list.empty())
        return;
    // Not from here: who publishes may be in the middle of something.
    services_->post([this, owed = std::move(s.owed), keep = detail::session_ptr(&s)] {
        using phase = detail::session::phase;
        if (!keep->broker || keep->state == phase::closing || keep->state == phase::closed)
            return;
        if (!owed->held) {
            if (!keep->answering && !keep->waits_to_read && !keep->owed)
                keep->link->resume(); // it may wait with the end
            return;
        }
        keep->answering = false;
        if (handle(*keep, *owed->held))
            keep->link->resume();
    });
}

/// `auth`: asks the host about the token.
PUSHER_DECL bool broker_core::authenticate(detail::session& s, const native_request& r) {
    if (!params_.authenticate) {
        fail(s, r, "authentication is not in use here");
        return true;
    }
    authentication_request request;
    request.token = r.token;
    request.peer = s.peer;
    request.transport = s.transport();
    struct state {
        bool inside = true;
        bool answered = false;
    };
    const auto shared = std::make_shared<state>();
    start_authentication(
        request, [this, shared, s = detail::session_ptr(&s),
                  id = std::string(r.request_id)](const authentication_result& who) {
            if (!s->broker || s->state == detail::session::phase::closing ||
                s->state == detail::session::phase::closed)
                return;
            shared->answered = true;
            native_request of;
            of.request_id = id;
            of.action_name = "auth";
            using kind = authentication_result::kind;
            const bool other = !s->uid.empty() && (who.what != kind::identified || who.text != s->uid.view());
            if (who.what == kind::refused) {
                fail(*s, of, who.text);
                close(*s, {close_code::policy, errc::refused, who.text});
            } else if (who.what == kind::later) {
                fail(*s, of, "the token is not enough");
            } else if (other) {
                fail(*s, of, make_error_code(errc::already_bound).message());
            } else {
                bind(*s, who);
                reply(*s, of);
            }
            if (!shared->inside)
                answered(*s);
        });
    shared->inside = false;
    return shared->answered || s.state == detail::session::phase::closing;
}

/// Into `frame_`.
PUSHER_DECL void broker_core::encode_reply(detail::session& s, const native_request& r, native_reply with) {
    with.request_id = r.request_id;
    with.action = r.action_name;
    with.timestamp = params_.clock();
    json_.clear();
    frame_.clear();
    append_native_reply(json_, with);
    s.as->reply(json_, frame_);
}

PUSHER_DECL void broker_core::reply(detail::session& s, const native_request& r, native_reply with) {
    if (!s.owner)
        return;
    encode_reply(s, r, with);
    if (s.owed)
        s.owed->list.push_back({true, frame_});
    else
        core_.reply(s, frame_);
}

PUSHER_DECL native_reply broker_core::failure(detail::session& s, std::string_view why) {
    ++stats_of(s.transport()).bad_requests;
    native_reply with;
    with.ok = false;
    with.error_message = why;
    return with;
}

PUSHER_DECL void broker_core::fail(detail::session& s, const native_request& r, std::string_view why) {
    if (!s.owner)
        return;
    reply(s, r, failure(s, why));
}

/// Subscribes an event stream to all that its query names. It resumes all of it after one id: the sequence is
/// one for all topics.
PUSHER_DECL void broker_core::subscribe_events(
    detail::session& s, const native_events_query& query, const std::optional<sequence_position>& resume,
    const std::optional<topic_position>& place, bool resume_asked) {
    const bool known = resume && resume->epoch == core_.params().sequence_epoch;
    std::optional<std::uint64_t> after;
    if (resume_asked)
        after = known ? resume->sequence : 0;
    const auto subscribe = [&](std::string_view topic, std::string_view type) {
        subscribe_options o;
        o.match = query.match;
        o.type = type;
        // Sequences are each broker's own: the topic that the id is of is better resumed by its place.
        const auto* const t = place && query.match == match_mode::exact ? core_.find_topic(topic) : nullptr;
        const bool placed = t && t->past() && t->past()->epoch() == place->epoch;
        if (placed)
            o.resume = place;
        error_code ec;
        core_.subscribe(s, topic, o, ec, query.match == match_mode::exact && !placed ? after : std::nullopt);
        if (ec) {
            close(s, close_reason::from(ec));
            return false;
        }
        // An id of another life: what this life has follows, and what came before it is lost. Topics that a
        // filter matches are not replayed.
        if (placed)
            return true;
        if (resume_asked && query.match == match_mode::exact ? !known && core_.keeps_history(topic)
                                                             : after && *after != core_.sequence())
            core_.tell_unknown_gap(s, topic);
        return true;
    };
    for (const auto& topic : query.topics) {
        if (query.types.empty() && !subscribe(topic, {}))
            return;
        for (const auto& type : query.types)
            if (!subscribe(topic, type))
                return;
    }
}

PUSHER_DECL native_hello broker_core::hello_of(const detail::session& s, std::string& id) const {
    id = std::to_string(s.id);
    native_hello h;
    h.session = id;
    h.heartbeat = s.link->longest_silence();
    h.max_request = s.link->request_limit();
    h.max_depth = native_limits().depth;
    h.max_topic = max_topic_size;
    h.max_filter_levels = max_filter_levels;
    h.max_subscriptions = params_.subscriptions;
    h.outbox_messages = params_.outbox.messages;
    h.outbox_bytes = params_.outbox.bytes;
    return h;
}

} // namespace pusher::inline v0
