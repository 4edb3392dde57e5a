// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/detail/relay.hpp>

#include <memory>

namespace pusher::inline v0 {

PUSHER_DECL void broker_core::publish_reported(
    const addressed& what, const publish_options& options,
    const std::shared_ptr<detail::handed_over_op<delivery_report>>& op) {
    detail::report_function report = [op](error_code ec, const delivery_report& d) { op->complete(ec, d); };
    // What is published now gets its report from the core.
    const auto tell = [op](const receipt& r) {
        if (!r.error && !r.repeated)
            return;
        delivery_report d;
        static_cast<receipt&>(d) = r;
        op->complete(r.error, d);
    };
    receipt r;
    if (stopping_)
        r.error = errc::stopped;
    else if (what.to == addressed::kind::user && opening())
        r.error = errc::unsupported;
    else if (what.to == addressed::kind::user && relay_)
        r = relay_->publish(
            detail::relay::audience::user, what.uid, what.topic, what.payload, options, nullptr, {},
            std::move(report));
    else if (what.to == addressed::kind::user)
        r = core_.push_to(what.uid, what.topic, what.payload, options, &report);
    else
        r = publish_then(
            what.topic, what.payload, options, nullptr, what.to == addressed::kind::everyone, tell,
            std::move(report));
    if (!r.pending)
        tell(r);
}

} // namespace pusher::inline v0
