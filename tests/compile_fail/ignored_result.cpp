// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A check whose answer nobody looks at is a mistake.
// expect: is_valid_topic.*nodiscard|ignoring return value.*is_valid_topic|nodiscard
#include <pusher/topic.hpp>

void check(std::string_view text) {
#if defined(CONTROL)
    if (!pusher::is_valid_topic(text))
        return;
#else
    pusher::is_valid_topic(text);
#endif
}
