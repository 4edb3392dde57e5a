// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/detail/relay.hpp>
#include <pusher/detail/require.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace pusher::inline v0 {

PUSHER_DECL void broker_core::join(std::unique_ptr<backplane> plane) {
    const bool first = core_.sequence() == 0 && core_.topics() == 0 && core_.filters() == 0 &&
                       listeners_.empty() && session_count_ == 0 && outside_.empty() && !stopping_;
    detail::require(plane != nullptr, "broker_core::join: no backplane");
    detail::require(first && !relay_, "broker_core::join: the broker is in use already");
    detail::require(!journal_, "broker_core::join: the broker has a store, which a group has not");
    const auto& policies = params_.topic_policies;
    detail::require(
        !detail::parks(params_.on_failure) &&
            std::none_of(
                policies.begin(), policies.end(),
                [](const topic_policy& p) { return p.on_failure && detail::parks(*p.on_failure); }),
        "broker_core::join: a failure ladder persists, which a group does not");
    detail::relay::host h;
    h.at_room = [this] { check_waiters(); };
    h.kick = [this](std::string_view uid, std::string_view reason) { kick_here(uid, reason); };
    relay_ = std::make_unique<detail::relay>(
        core_, services_, std::move(plane), params_.history, params_.history_for, params_.observer,
        std::move(h));
    staged_ = true;
    sse_encoding_.tell_places();
    sse_envelope_encoding_.tell_places();
}

PUSHER_DECL bool broker_core::must_fetch(std::string_view topic) const {
    return relay_ && relay_->must_fetch(topic);
}

PUSHER_DECL void
broker_core::fetch_histories(const std::vector<std::string>& topics, std::function<void(error_code)> done) {
    if (relay_)
        relay_->fetch(topics, std::move(done));
    else
        done(stopping_ ? make_error_code(errc::stopped) : error_code());
}

PUSHER_DECL void broker_core::sync_others() {
    if (relay_)
        relay_->sync();
}

/// A subscription begins, and is answered, when the topic's history has come from its home.
PUSHER_DECL void broker_core::subscribe_when_fetched(
    detail::session& s, const native_request& r, const subscribe_options& options) {
    const auto wanted = std::make_shared<waiting_subscribe>(waiting_subscribe{
        answer_later(s, r), {}, {}, std::string(r.subscribe.topic), std::string(options.type), options});
    wanted->options.type = wanted->type;
    relay_->fetch({wanted->topic}, [this, wanted](error_code ec) {
        auto& to = *wanted->which.to;
        if (!to.owner || !to.owed || to.state != detail::session::phase::open)
            return; // it has left
        native_reply with;
        if (!ec)
            ec = subscribe_peer(to, wanted->topic, wanted->options, with);
        answer(wanted->which, with, ec);
    });
}

} // namespace pusher::inline v0
