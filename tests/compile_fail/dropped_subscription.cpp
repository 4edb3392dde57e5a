// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A subscription that nobody keeps would end at once.
// expect: nodiscard
// expect: subscri
#include <pusher/broker.hpp>

void subscribe(pusher::broker<>& broker) {
#if defined(CONTROL)
    const auto s =
#endif
        broker.subscribe("a", [](const pusher::message&) {});
}
