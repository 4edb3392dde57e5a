// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/delivery_report.hpp>

#include <cstddef>
#include <string>

namespace test {

inline std::string text_of(pusher::delivery_outcome what) {
    using outcome = pusher::delivery_outcome;
    switch (what) {
    case outcome::delivered: return "delivered";
    case outcome::queued: return "queued";
    case outcome::conflated: return "conflated";
    case outcome::dropped: return "dropped";
    case outcome::expired: return "expired";
    case outcome::undeliverable: return "undeliverable";
    case outcome::failed: return "failed";
    case outcome::parked: return "parked";
    }
    return "?";
}

/// How many come under any outcome.
inline std::size_t sum_of(const pusher::delivery_report& r) {
    return r.delivered + r.queued + r.conflated + r.dropped + r.expired + r.undeliverable + r.failed +
           r.parked;
}

/// `3: 1 delivered, 2 dropped; ann dropped, 1 more`.
inline std::string text_of(const pusher::delivery_report& r) {
    auto text = std::to_string(r.matched) + ":";
    const char* separator = " ";
    for (auto n = 0; n <= static_cast<int>(pusher::delivery_outcome::parked); ++n) {
        const auto what = static_cast<pusher::delivery_outcome>(n);
        if (r.count(what) == 0)
            continue;
        text += separator + std::to_string(r.count(what)) + " " + text_of(what);
        separator = ", ";
    }
    separator = "; ";
    for (const auto& f : r.failures) {
        text += separator + f.uid + " " + text_of(f.what);
        separator = ", ";
    }
    if (r.unlisted_failures != 0)
        text += separator + std::to_string(r.unlisted_failures) + " more";
    return text;
}

} // namespace test
