// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "catch.hpp"

#include <netdb.h>

namespace test {

/// Whether this machine knows itself as `localhost`, which a bare root directory without `/etc/hosts` does
/// not. What needs it is left out then, aloud.
inline bool localhost_is_known() {
    static const bool known = [] {
        addrinfo* found = nullptr;
        const addrinfo wanted{0, AF_INET, SOCK_STREAM, 0, 0, nullptr, nullptr, nullptr};
        const bool is = ::getaddrinfo("localhost", nullptr, &wanted, &found) == 0;
        if (is)
            ::freeaddrinfo(found);
        return is;
    }();
    if (!known)
        WARN("left out: there is no address of localhost");
    return known;
}

} // namespace test
