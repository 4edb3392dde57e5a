// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/http_connection.hpp>

#include <string>
#include <string_view>

namespace hub {

/// Serves the page at `/`: what the HTTP listener does not know itself.
class web {
public:
    /// \param page HTML with its own content security policy in a `meta` element. It must stay valid.
    explicit web(std::string_view page);

    /// \return false: there is nothing at this path.
    bool answer(const pusher::http_connection_ptr& connection) const;

private:
    std::string_view page_;
    std::string policy_; ///< as a header too, which also says who may frame the page: nobody
};

} // namespace hub
