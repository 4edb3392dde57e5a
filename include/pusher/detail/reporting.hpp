// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/delivery_report.hpp>
#include <pusher/detail/shared_text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// Called once, with what a message came to. It must not call the core.
using report_function = std::function<void(error_code, const delivery_report&)>;

/// What a delivery report is made of, until the turn is over: for whom the message is, and what is known of
/// each. Whoever is not lost, and does not wait, has got it.
struct reporting {
    /// An outcome, or what it depends on.
    enum class fate : std::uint8_t {
        delivered,
        queued,
        conflated,
        dropped,
        expired,
        undeliverable,
        failed,
        parked,
        written, ///< when the turn ends
        covered, ///< the same, unless its cursor brings it
        cursor,  ///< it alone does
        waits,   ///< in an outbox
        called,  ///< a handler that will be
        counted, ///< among those who have it
        again,   ///< it is sent again when its time comes
        held     ///< behind what a handler is called with again
    };
    struct delivery {
        std::uint64_t to; ///< id
        fate what;
    };

    [[nodiscard]] static bool is_known(fate f) noexcept { return f <= fate::parked; }
    [[nodiscard]] static fate of(delivery_outcome o) noexcept { return static_cast<fate>(o); }

    [[nodiscard]] delivery* find(std::uint64_t id) noexcept {
        const auto at = place_of(id);
        return at != deliveries.end() && at->to == id ? &*at : nullptr;
    }
    void add(std::uint64_t id, fate what) { deliveries.insert(place_of(id), {id, what}); }
    /// When all are listed that are in no order.
    void sort() {
        std::sort(deliveries.begin(), deliveries.end(), [](const delivery& a, const delivery& b) {
            return a.to < b.to;
        });
    }
    /// Remembers who it was: it may be gone when the report is made.
    void name(std::uint64_t id, const shared_text& uid) {
        if (!uid.empty() && named.size() < delivery_report::most_failures)
            named.emplace_back(id, uid);
    }

    std::uint64_t sequence = 0;
    std::string topic;
    delivery_report report;
    std::vector<delivery> deliveries; ///< by id; handlers that were simply called are not among them
    std::vector<std::pair<std::uint64_t, shared_text>> named;
    std::size_t listed = 0; ///< deliveries that wait for the end of the turn
    std::size_t noted = 0;  ///< handlers of which more is known than that they were called
    bool waits_for_handlers = false;
    bool tried = false; ///< by all connections
    report_function done;

private:
    std::vector<delivery>::iterator place_of(std::uint64_t id) {
        return std::lower_bound(
            deliveries.begin(), deliveries.end(), id,
            [](const delivery& d, std::uint64_t wanted) { return d.to < wanted; });
    }
};

using reporting_ptr = std::shared_ptr<reporting>;

} // namespace pusher::inline v0::detail
