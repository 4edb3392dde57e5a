// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A visitor without on_close: the compiler names the concept and the call that is missing.
// expect: websocket_visitor
// expect: on_close
#include <pusher/dialect/websocket_decoder.hpp>

struct visitor {
    void on_message(const pusher::websocket_message&) {}
    void on_ping(std::string_view) {}
    void on_pong(std::string_view) {}
#if defined(CONTROL)
    void on_close(std::uint16_t, std::string_view) {}
#endif
};

void feed(
    pusher::websocket_decoder<pusher::websocket_role::server>& decoder, std::span<char> bytes, visitor& v) {
    static_cast<void>(decoder.feed(bytes, {}, v));
}
