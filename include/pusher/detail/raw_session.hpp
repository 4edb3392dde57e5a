// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/session.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/dialect/raw_query.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace pusher::inline v0::detail {

/// A peer of the raw dialect. It says once what it wants; then its messages are payloads to be published.
class raw_session final : public session {
public:
    /// Publishes that may wait for the store before nothing more is read.
    static constexpr std::size_t most_waiting = 1024;

    using session::session;

    // in impl/raw_requests.hpp
    bool at_message(std::string_view bytes) override;
    void at_fault(errc why, std::string_view text) override;
    [[nodiscard]] bool owes_answers() const noexcept override { return waiting != 0 || begins; }

    /// What there is until all of it is done.
    struct beginning {
        raw_query query;
        std::size_t next = 0;              ///< subscription to be authorized; behind them, the publishing
        std::optional<std::string> held{}; ///< came before that
        bool fetched = false;              ///< histories that other brokers keep were asked for
    };

    bool begun = false;  ///< it has what it asked for
    bool paused = false; ///< for publishes that wait for the store
    std::uint32_t waiting = 0;
    std::unique_ptr<beginning> begins;
    shared_text publish; ///< topic of what it sends; empty: it only receives
    shared_text publish_type;
};

using raw_session_ptr = boost::intrusive_ptr<raw_session>;

} // namespace pusher::inline v0::detail
