// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/engine.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

namespace pusher::inline v0::detail {

// ---- making requests

PUSHER_DECL client_request client_engine::make(client_request::kind what) {
    client_request r{what};
    r.id = ++last_id_;
    return r;
}

/// Sends a request of the engine's own, ahead of the user's.
PUSHER_DECL void client_engine::send_now(client_request r, native_request& text) {
    const auto id = std::to_string(r.id);
    text.request_id = id;
    append_native_request(r.text, text);
    connection_->send(r.text);
    r.text.clear();
    sent_.push_back(std::move(r));
}

/// Whether there is room for one more request of the user.
PUSHER_DECL error_code client_engine::admit(std::size_t size) {
    if (closed_)
        return errc::closed;
    if (max_request_ != 0 && size > max_request_)
        return errc::message_too_large;
    const auto fits = [&] {
        return user_requests_ < params_.requests && request_bytes_ + size <= params_.request_bytes;
    };
    if (!fits())
        take_out(
            unsent_, [](const client_request& r) { return r.abandoned(); },
            [this](client_request& r) { forget(r); });
    return fits() ? error_code() : errc::queue_full;
}

PUSHER_DECL void client_engine::enqueue(client_request r) {
    ++user_requests_;
    request_bytes_ += r.text.size();
    r.deadline = clock_->now() + params_.request_timeout;
    arm(r.deadline);
    unsent_.push_back(std::move(r));
    schedule();
}

/// A request leaves the queues.
PUSHER_DECL void client_engine::forget(client_request& r) noexcept {
    if (!r.of_user())
        return;
    --user_requests_;
    request_bytes_ -= r.text.size();
}

PUSHER_DECL native_request make_subscribe(
    std::string_view id, const client_subscription& s, std::size_t history,
    const std::optional<topic_position>& resume) {
    native_request text;
    text.request_id = id;
    text.action = native_action::subscribe;
    text.subscribe.topic = s.topic;
    text.subscribe.type = s.type;
    text.subscribe.match = s.match;
    text.subscribe.echo = s.echo;
    text.subscribe.overflow = s.overflow;
    text.subscribe.ack = s.acknowledge;
    text.subscribe.durable = s.durable;
    text.subscribe.history = history;
    text.subscribe.resume = resume;
    return text;
}

PUSHER_DECL native_request make_unsubscribe(std::string_view id, const client_subscription& s) {
    native_request text;
    text.request_id = id;
    text.action = native_action::unsubscribe;
    text.subscribe.topic = s.topic;
    text.subscribe.type = s.type;
    text.subscribe.match = s.match;
    return text;
}

/// Whether a subscription may be asked for: those that are not answered yet count as well.
PUSHER_DECL bool client_engine::has_room_for(const client_subscription_name& name) {
    if (subscriptions_.size() + user_requests_ < params_.subscriptions || subscriptions_.find(name))
        return true;
    std::set<client_subscription_name> asked;
    for (const auto* queue : {&unsent_, &sent_})
        for (const auto& r : *queue)
            if (r.what == client_request::kind::subscribe && !r.abandoned() && !r.unsubscribed &&
                !subscriptions_.find(r.subscription->name()))
                asked.insert(r.subscription->name());
    return asked.contains(name) || subscriptions_.size() + asked.size() < params_.subscriptions;
}

PUSHER_DECL void client_engine::subscribe(
    std::shared_ptr<client_subscribe_op> op, std::string_view topic, const subscribe_options& o) {
    const auto refuse = [&op](error_code ec) { op->complete(ec, {}); };
    const bool exact = o.match == match_mode::exact;
    if (exact ? !is_valid_topic(topic) : !is_valid_filter(topic))
        return refuse(exact ? errc::invalid_topic : errc::invalid_filter);
    if (!is_valid_type(o.type))
        return refuse(errc::invalid_type);
    if ((!exact && (o.history != 0 || o.resume || o.acknowledge)) || (o.history != 0 && o.resume) ||
        (o.acknowledge && o.overflow && drops(*o.overflow)) || (!o.durable.empty() && !o.acknowledge))
        return refuse(errc::unsupported);
    if (!o.durable.empty() && !is_valid_topic(o.durable))
        return refuse(errc::invalid_message);
    if (!has_room_for({o.match, topic, o.type}))
        return refuse(errc::too_many_subscriptions);

    auto r = make(client_request::kind::subscribe);
    r.subscription = std::make_unique<client_subscription>(
        client_subscription{std::string(topic), std::string(o.type), o.match, o.echo, o.overflow});
    r.subscription->acknowledge = o.acknowledge;
    r.subscription->durable = o.durable;
    r.history = o.history;
    r.resume = o.resume;
    append_native_request(r.text, make_subscribe(std::to_string(r.id), *r.subscription, o.history, o.resume));
    if (const auto ec = admit(r.text.size()))
        return refuse(ec);
    r.subscribe = std::move(op);
    enqueue(std::move(r));
}

PUSHER_DECL void client_engine::unsubscribe(
    std::shared_ptr<client_unsubscribe_op> op, std::string_view topic, std::string_view type,
    match_mode match) {
    auto r = make(client_request::kind::unsubscribe);
    r.subscription = std::make_unique<client_subscription>(
        client_subscription{std::string(topic), std::string(type), match});
    append_native_request(r.text, make_unsubscribe(std::to_string(r.id), *r.subscription));
    if (const auto ec = admit(r.text.size()))
        return op->complete(ec);
    const auto name = r.subscription->name();
    subscriptions_.remove(name);
    drop_unsent_subscribes(unsent_, name);
    for (auto& sent : sent_)
        if (sent.is(client_request::kind::subscribe, name))
            sent.unsubscribed = true;
    if (phase_ != phase::open)
        return op->complete({}); // the hub has forgotten it with the session
    r.unsubscribe = std::move(op);
    enqueue(std::move(r));
}

/// What was to be subscribed to is not any more.
PUSHER_DECL void client_engine::drop_unsent_subscribes(
    std::deque<client_request>& from, const client_subscription_name& name) {
    using kind = client_request::kind;
    take_out(
        from,
        [&name](const client_request& r) { return r.is(kind::subscribe, name) || r.is(kind::restore, name); },
        [this](client_request& r) {
            r.complete(boost::asio::error::operation_aborted);
            forget(r);
        });
}

PUSHER_DECL void client_engine::publish(
    std::shared_ptr<client_publish_op> op, std::string_view topic, std::string_view payload,
    const client_publish_options& o) {
    const auto refuse = [&op](error_code ec) { op->complete(ec, {}); };
    if (!is_valid_topic(topic))
        return refuse(errc::invalid_topic);
    if (!is_valid_type(o.type))
        return refuse(errc::invalid_type);
    if (o.key.size() > max_topic_size || o.id.size() > max_topic_size || o.ttl.count() < 0 || o.ttl > max_ttl)
        return refuse(errc::invalid_message);
    if (!is_valid_utf8(payload) || !is_valid_utf8(o.key) || !is_valid_utf8(o.id))
        return refuse(errc::invalid_utf8);
    // Before it is copied: escapes only make it longer.
    if (const auto ec = admit(payload.size()))
        return refuse(ec);

    auto r = make(client_request::kind::publish);
    const auto id = std::to_string(r.id);
    native_request text;
    text.request_id = id;
    text.action = native_action::publish;
    text.publish.topic = topic;
    text.publish.type = o.type;
    text.publish.payload = payload;
    text.publish.key = o.key;
    text.publish.id = o.id;
    if (o.ttl.count() != 0)
        text.publish.ttl = static_cast<std::uint64_t>(o.ttl.count());
    append_native_request(r.text, text);
    if (const auto ec = admit(r.text.size()))
        return refuse(ec);
    r.publish = std::move(op);
    enqueue(std::move(r));
}

PUSHER_DECL void client_engine::cancel_publish(client_publish_op& op, boost::asio::cancellation_type how) {
    using boost::asio::cancellation_type;
    const bool sent = std::any_of(
        sent_.begin(), sent_.end(), [&op](const client_request& r) { return r.publish.get() == &op; });
    // Once it is sent, nobody can say that nothing has happened.
    if (!sent ||
        (how & (cancellation_type::terminal | cancellation_type::partial)) != cancellation_type::none)
        op.complete(boost::asio::error::operation_aborted, {});
}

/// Asks for a subscription on a new connection.
PUSHER_DECL void client_engine::restore(client_subscription& s, bool incomplete) {
    auto r = make(client_request::kind::restore);
    r.subscription = std::make_unique<client_subscription>(s);
    r.incomplete = incomplete;
    // Before anything has come of a durable one, only the hub knows where it is.
    const bool hub_knows = !s.durable.empty() && s.position == s.begin;
    if (s.match == match_mode::exact && !incomplete && !hub_knows)
        r.resume = s.position;
    append_native_request(r.text, make_subscribe(std::to_string(r.id), s, 0, r.resume));
    unsent_.push_back(std::move(r));
}

// ---- sending

PUSHER_DECL void client_engine::pump() {
    if (phase_ != phase::open)
        return;
    const auto keep = connection_;
    bool any = false;
    while (!unsent_.empty() && keep->has_room()) {
        auto r = std::move(unsent_.front());
        unsent_.pop_front();
        if (r.abandoned()) {
            forget(r);
            continue;
        }
        if (max_request_ != 0 && r.text.size() > max_request_ && r.of_user()) {
            r.complete(errc::message_too_large);
            forget(r);
            continue;
        }
        keep->send(r.text);
        any = true;
        if (r.what == client_request::kind::publish) {
            request_bytes_ -= r.text.size();
            r.text = {};
        } else if (r.what == client_request::kind::restore) {
            r.deadline = clock_->now() + params_.request_timeout;
            arm(r.deadline);
        }
        sent_.push_back(std::move(r));
    }
    if (any)
        said_ = clock_->now();
    keep->flush();
    // The rest does not wait for the socket, so that nothing else would ask for it; others get their turn.
    if (!unsent_.empty() && keep->has_room())
        schedule();
}

/// The connection is gone, and its session with it: what was sent and not answered is settled.
///
/// A publish may have been done or not; it is not repeated. A subscribe whose answer did not come has brought
/// nothing yet, and the session that it was for is gone: asked for again, it is as if it had been asked only
/// then. What was to be unsubscribed is.
PUSHER_DECL void client_engine::settle(bool keep_unsent, error_code unsent_error) {
    using kind = client_request::kind;
    auto sent = std::exchange(sent_, {});
    auto unsent = std::exchange(unsent_, {});
    std::deque<client_request> kept;
    const auto end = [this](client_request& r, error_code ec) {
        r.complete(ec);
        forget(r);
    };
    for (auto* queue : {&sent, &unsent})
        for (auto& r : *queue) {
            const bool was_sent = queue == &sent;
            if (!r.of_user())
                continue; // the next connection has its own
            if (r.what == kind::unsubscribe) {
                drop_unsent_subscribes(kept, r.subscription->name());
                end(r, {});
            } else if (r.abandoned()) {
                forget(r);
            } else if (was_sent && r.what == kind::publish) {
                end(r, client_errc::connection_lost);
            } else if (keep_unsent) {
                r.undo = false;
                kept.push_back(std::move(r));
            } else {
                end(r, was_sent ? make_error_code(client_errc::connection_lost) : unsent_error);
            }
        }
    unsent_ = std::move(kept);
}

// ---- answers

PUSHER_DECL bool client_engine::at_message(std::string_view text) {
    using kind = native_incoming::kind;
    if (const auto ec = decoder_.decode(text, incoming_)) {
        client_end end;
        end.error = ec;
        end.reason = decoder_.error_message();
        end.answer = static_cast<std::uint16_t>(close_reason::code_for(ec));
        lose(std::move(end));
        return false;
    }
    switch (incoming_.what) {
    case kind::push: {
        const auto& m = incoming_.push;
        if (subscriptions_.accept(m.topic, m.type, m.position))
            inbox_.add(message(m).pin());
        break;
    }
    case kind::gap:
        subscriptions_.skip(incoming_.gap);
        inbox_.add(client_gap{std::string(incoming_.gap.topic), incoming_.gap.count, incoming_.gap.offsets});
        break;
    case kind::close: {
        client_end end;
        end.error = errc::peer_closed;
        end.code = incoming_.close.code;
        end.reason = incoming_.close.reason;
        end.retry = incoming_.close.retry;
        lose(std::move(end));
        return false;
    }
    default:
        if (incoming_.what == kind::reply && answer(incoming_))
            break;
        client_end end;
        end.error = errc::protocol_error;
        end.reason = "the hub answered what it was not asked";
        end.answer = static_cast<std::uint16_t>(close_code::protocol_error);
        lose(std::move(end));
        return false;
    }
    hand_over();
    return connection_ && !inbox_.full();
}

/// \return false if there is no such request.
PUSHER_DECL bool client_engine::answer(const native_incoming& in) {
    using kind = client_request::kind;
    const auto& reply = in.reply;
    if (reply.request_id == client_ping_id)
        return true;
    if (sent_.empty())
        return false;
    // A request that the hub could not read at all is answered without its id; answers keep their order.
    const bool unreadable = reply.request_id.empty() && !reply.ok;
    if (!unreadable && reply.request_id != std::to_string(sent_.front().id))
        return false;
    auto r = std::move(sent_.front());
    sent_.pop_front();
    forget(r);
    const auto refusal = reply.ok ? error_code() : error_of_reply(reply.error_message);
    switch (r.what) {
    case kind::hello:
    case kind::auth: greeted(r, in); break;
    case kind::restore: restored(r, reply); break;
    case kind::subscribe: subscribed(r, reply); break;
    case kind::unsubscribe:
        if (r.unsubscribe)
            r.unsubscribe->complete(refusal);
        break;
    case kind::acknowledge:
        if (auto* const s = subscriptions_.find(r.subscription->name())) {
            s->acknowledging = false;
            if (s->must_acknowledge())
                acknowledge(*s);
        }
        break;
    case kind::publish:
        if (refusal)
            r.complete(refusal, reply.error_message);
        else if (reply.receipt)
            r.publish->complete(
                {}, {reply.receipt->matched, reply.receipt->position, {}, reply.receipt->repeated});
        else
            r.publish->complete({}, {});
        break;
    }
    if (unsent_.empty() && sent_.empty())
        rearm(); // nothing keeps the clock busy for what is done
    return true;
}

PUSHER_DECL void client_engine::greeted(client_request& r, const native_incoming& in) {
    const auto& reply = in.reply;
    if (!reply.ok) {
        client_end end;
        end.error = error_of_reply(reply.error_message);
        end.reason = reply.error_message;
        end.answer = static_cast<std::uint16_t>(close_code::normal);
        end.final = r.what == client_request::kind::auth;
        if (end.final && end.error == client_errc::rejected)
            end.error = errc::refused;
        return lose(std::move(end));
    }
    if (reply.hello) {
        session_ = reply.hello->session;
        heartbeat_ = reply.hello->heartbeat;
        max_request_ = reply.hello->max_request;
    }
    if (sent_.empty())
        opened();
}

/// Ends a subscription that the hub has got, and that nobody wants.
PUSHER_DECL void client_engine::undo(const client_subscription& s) {
    auto r = make(client_request::kind::unsubscribe);
    append_native_request(r.text, make_unsubscribe(std::to_string(r.id), s));
    unsent_.push_front(std::move(r));
    schedule();
}

/// Tells the hub what the user has dealt with. One request at a time: what comes meanwhile is told by the
/// next.
PUSHER_DECL void client_engine::acknowledge(client_subscription& s) {
    s.acknowledging = true;
    s.acknowledged = s.handled;
    auto r = make(client_request::kind::acknowledge);
    r.subscription = std::make_unique<client_subscription>(client_subscription{s.topic, s.type, s.match});
    const auto id = std::to_string(r.id);
    native_request text;
    text.request_id = id;
    text.action = native_action::ack;
    text.ack = {s.topic, s.acknowledged};
    append_native_request(r.text, text);
    unsent_.push_back(std::move(r));
    schedule();
}

/// Who asks for the next message has dealt with the one before.
PUSHER_DECL void client_engine::handled() {
    if (!received_)
        return;
    const auto m = std::move(*received_);
    received_.reset();
    if (phase_ == phase::open)
        subscriptions_.handled(*m, [this](client_subscription& s) { acknowledge(s); });
    else
        subscriptions_.handled(*m, [](client_subscription&) {});
}

PUSHER_DECL void client_engine::subscribed(client_request& r, const native_reply& reply) {
    const auto name = r.subscription->name();
    auto* const known = subscriptions_.find(name);
    if (r.abandoned() && !known && !r.unsubscribed && (reply.ok || r.undo)) {
        // Nobody waits for it any more: it is undone; but not under the hands of one that follows.
        const auto next = std::find_if(sent_.begin(), sent_.end(), [&name](const client_request& other) {
            return other.is(client_request::kind::subscribe, name);
        });
        if (next != sent_.end())
            next->undo = true;
        else
            undo(*r.subscription);
        return;
    }
    if (!reply.ok) {
        if (r.undo && !r.unsubscribed)
            undo(*r.subscription);
        return r.complete(error_of_reply(reply.error_message), reply.error_message);
    }
    if (r.unsubscribed) {
        // On its way already; nothing is kept up.
    } else if (known && r.history == 0 && !r.resume) {
        // The hub has replaced the options where it was: nothing was skipped, and nothing comes again.
        known->echo = r.subscription->echo;
        known->overflow = r.subscription->overflow;
        known->acknowledge = r.subscription->acknowledge;
        known->durable = r.subscription->durable;
        if (!known->position)
            known->position = known->begin = reply.position;
    } else {
        // Where a durable one goes on, it may go on anywhere.
        const bool anywhere = !r.subscription->durable.empty() && !r.resume;
        const auto history = anywhere ? std::numeric_limits<std::size_t>::max() : r.history;
        subscriptions_.add(std::move(*r.subscription), history, r.resume, reply.position);
    }
    if (r.subscribe)
        r.subscribe->complete({}, {reply.recovered, reply.position, {}});
}

PUSHER_DECL void client_engine::restored(client_request& r, const native_reply& reply) {
    const auto name = r.subscription->name();
    auto* const s = subscriptions_.find(name);
    if (!s)
        return; // unsubscribed meanwhile
    client_unrecovered loss{s->topic, s->type, s->match, {}, {}, reply.position};
    if (!reply.ok) {
        loss.error = error_of_reply(reply.error_message);
        if (r.resume && loss.error == errc::no_history) {
            // The topic keeps no history any more: on without one.
            auto later = std::exchange(unsent_, {});
            restore(*s, true);
            for (auto& other : later)
                unsent_.push_back(std::move(other));
            return schedule();
        }
        loss.reason = reply.error_message;
        subscriptions_.remove(name);
        inbox_.add(std::move(loss));
        return;
    }
    const bool lost = r.incomplete || (r.resume && !reply.recovered.value_or(false));
    client_subscriptions::restored(*s, r.resume && !lost, reply.position);
    if (lost)
        inbox_.add(std::move(loss));
}

} // namespace pusher::inline v0::detail
