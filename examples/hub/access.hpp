// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "options.hpp"

#include <pusher/broker_params.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace hub {

/// Knows users by their tokens: the broker's authentication hook.
class access {
public:
    explicit access(std::vector<token> tokens) : tokens_(std::move(tokens)) {}

    /// Who shows no token yet may do so by the action `auth`.
    [[nodiscard]] pusher::authentication_result judge(const pusher::authentication_request& request) const;

private:
    std::vector<token> tokens_;
};

/// The secret of `Authorization: Bearer SECRET`, or of `?token=SECRET`; empty: there is none.
std::string secret_of(const pusher::http_request& request);

} // namespace hub
