// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// An error is compared by name; its number means nothing.
// expect: no match for .*operator==|invalid operands to binary expression
// expect: errc
#include <pusher/error.hpp>

bool full(pusher::errc e) {
#if defined(CONTROL)
    return e == pusher::errc::queue_full;
#else
    return e == 14;
#endif
}
