// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/close_reason.hpp>
#include <pusher/detail/subscriber.hpp>
#include <pusher/transport/link.hpp>
#include <pusher/transport/services.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace pusher::inline v0 {
class broker_core;
}

namespace pusher::inline v0::detail {

/// A peer's identity at the broker: its subscriptions and outbox are the core's, its connection is the link.
/// Requests are handled one at a time; while an answer of the host is pending, nothing more is read. But
/// publishes may follow one that waits for the store.
class session : public link_owner, public queue_subscriber {
public:
    enum class phase : std::uint8_t {
        unauthenticated, ///< may only say hello, auth and ping
        open,
        closing, ///< ends as soon as what is queued for it, its last reply above all, was tried
        closed
    };

    /// What only some sessions need.
    struct deadline final : timeout {
        explicit deadline(session& s) noexcept : of(&s) {}
        void at_timeout() override { of->at_deadline(); }

        session* of;
        error_code why;
    };

    /// Publishes that wait for the store, and what is to be answered behind them.
    struct answers {
        static constexpr std::size_t most = 1024;

        struct one {
            bool known = false;
            std::string frame{};
        };
        std::deque<one> list;
        std::uint64_t first = 0;         ///< number of the first in the list
        std::optional<std::string> held; ///< a request that waits until all are answered
    };

    session(broker_core& b, std::unique_ptr<pusher::link> l, const outbox_params& box_limits)
        : queue_subscriber(box_limits),
          broker(&b),
          link(std::move(l)),
          peer(link->peer()) {}

    [[nodiscard]] std::string_view transport() const noexcept { return link->transport(); }
    [[nodiscard]] subscriber_info info() const override { return {id, uid.view(), peer, transport()}; }

    // link_owner, in impl/session.hpp
    bool at_message(std::string_view text) override;
    void at_fault(errc why, std::string_view text) override;
    void at_ending() override;
    void at_writable() override;
    [[nodiscard]] bool caught_up() const noexcept override;
    [[nodiscard]] bool owes_answers() const noexcept override { return owed != nullptr; }
    void at_closed(const close_reason& reason) override;
    [[nodiscard]] bool mid_frame() const noexcept override { return box && box->mid_frame(); }
    [[nodiscard]] std::string take_rest() override {
        return box ? std::string(box->take_rest().rest()) : std::string();
    }

    void at_overflow() override;
    void at_taken_over() override;
    void at_deadline();

    // The flags come first: there is room for them behind those of the base.
    phase state = phase::open;
    bool answering = false;     ///< a hook of the host has not answered yet
    bool waits_to_read = false; ///< for its replies to be taken
    bool bound = false;         ///< its automatic subscriptions were made
    broker_core* broker;        ///< null: the broker is gone
    std::unique_ptr<pusher::link> link;
    std::string peer;
    std::unique_ptr<deadline> timer;
    std::unique_ptr<close_reason> ending; ///< while closing
    std::unique_ptr<answers> owed;        ///< if there are any
};

using session_ptr = boost::intrusive_ptr<session>;

} // namespace pusher::inline v0::detail
