// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A handler that does not take a message: the compiler names the concept.
// expect: message_handler
// expect: (std::)?invocable
#include <pusher/broker.hpp>

void subscribe(pusher::broker<>& broker) {
#if defined(CONTROL)
    const auto s = broker.subscribe("a", [](const pusher::message&) {});
#else
    const auto s = broker.subscribe("a", [](std::string_view) {});
#endif
}
