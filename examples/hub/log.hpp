// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "options.hpp"

#include <pusher/failure_policy.hpp>
#include <pusher/observer.hpp>

#include <string>

namespace hub {

/// Writes what happens to stderr, a line each.
class log final : public pusher::observer {
public:
    explicit log(log_level level) noexcept : level_(level) {}

    void write(log_level level, const std::string& text) const;

    /// What the rung `alarm` of a failure ladder does.
    void alarm(const pusher::failed_delivery& f) const;

    void at_accept(const pusher::subscriber_info& who) override;
    void at_bind(const pusher::subscriber_info& who) override;
    void
    at_subscribe(const pusher::subscriber_info& who, std::string_view topic, std::string_view type) override;
    void at_unsubscribe(
        const pusher::subscriber_info& who, std::string_view topic, std::string_view type) override;
    void at_publish(const pusher::message& m, const pusher::receipt& r) override;
    void
    at_drop(const pusher::subscriber_info& who, std::string_view topic, pusher::drop_cause cause) override;
    void at_gap(const pusher::subscriber_info& who, const pusher::gap& g) override;
    void at_park(
        const pusher::subscriber_info& who, const pusher::message& m, pusher::failure_cause cause) override;
    void at_dead_letter(
        const pusher::subscriber_info& who, const pusher::message& m, pusher::failure_cause cause) override;
    void at_close(const pusher::subscriber_info& who, const pusher::close_reason& reason) override;
    void at_error(pusher::error_code ec, std::string_view where) override;
    void at_handler_threw(
        const pusher::subscriber_info& who, std::string_view topic, std::exception_ptr e) override;

private:
    [[nodiscard]] bool wants(log_level level) const noexcept { return level <= level_; }

    log_level level_;
};

} // namespace hub
