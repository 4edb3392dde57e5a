// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/stats.hpp>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <string>

namespace pusher::inline v0 {

/// The statistics as a JSON object, as `GET /stats` gives them: numbers, and two objects of numbers.
inline std::string stats_json(const broker_stats& s) {
    namespace json = boost::json;
    json::object transports;
    for (const auto& [name, t] : s.transports)
        transports[name] = json::object{
            {"accepted", t.accepted},
            {"refused", t.refused},
            {"sessions", t.sessions},
            {"requests", t.requests},
            {"bad_requests", t.bad_requests},
            {"closed_by_peer", t.closed_by_peer},
            {"closed_by_error", t.closed_by_error},
            {"challenged", t.challenged}};
    json::object closed;
    for (const auto& [why, count] : s.closed)
        closed[why] = count;
    const auto total_dropped = s.dropped_overflow + s.dropped_trimmed + s.dropped_disconnected +
                               s.dropped_undeliverable + s.dropped_conflated + s.dropped_expired +
                               s.dropped_memory + s.dropped_failed;
    const json::object all{// what matters most comes first: pages show it in this order
                           {"sessions", s.sessions},
                           {"subscriptions", s.subscriptions},
                           {"topics", s.topics},
                           {"filters", s.filters},
                           {"slow_sessions", s.slow_sessions},
                           {"published", s.published},
                           {"delivered", s.delivered},
                           {"dropped", total_dropped},
                           {"gaps", s.gaps},
                           {"redelivered", s.redelivered},
                           {"retried", s.retried},
                           {"parked_messages", s.parked_messages},
                           {"parked", s.parked},
                           {"returned", s.returned},
                           {"dead_letter_messages", s.dead_letter_messages},
                           {"durable_subscriptions", s.durable_subscriptions},
                           {"dead_letters", s.dead_letters},
                           {"dead_letters_lost", s.dead_letters_lost},
                           {"storing", s.storing},
                           {"store_errors", s.store_errors},
                           {"store_batches", s.store_batches},
                           {"relayed", s.relayed},
                           {"relay_received", s.relay_received},
                           {"relay_batches", s.relay_batches},
                           {"relay_dropped", s.relay_dropped},
                           {"memory_bytes", s.memory_bytes},
                           {"published_bytes", s.published_bytes},
                           {"repeated_publishes", s.repeated_publishes},
                           {"handler_exceptions", s.handler_exceptions},
                           {"accept_errors", s.accept_errors},
                           {"turns", s.turns},
                           {"dropped_overflow", s.dropped_overflow},
                           {"dropped_trimmed", s.dropped_trimmed},
                           {"dropped_disconnected", s.dropped_disconnected},
                           {"dropped_undeliverable", s.dropped_undeliverable},
                           {"dropped_conflated", s.dropped_conflated},
                           {"dropped_expired", s.dropped_expired},
                           {"dropped_memory", s.dropped_memory},
                           {"dropped_failed", s.dropped_failed},
                           {"transports", std::move(transports)},
                           {"closed", std::move(closed)}};
    return json::serialize(all);
}

} // namespace pusher::inline v0
