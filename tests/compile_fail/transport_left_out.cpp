// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Listening for what the broker was not made with.
// expect: this broker's Transport has no such parameters
#include <pusher/broker.hpp>

#if defined(CONTROL)
using broker = pusher::broker<pusher::transport::all_of<pusher::transport::tcp, pusher::transport::udp>>;
#else
using broker = pusher::broker<pusher::transport::tcp>;
#endif

void listen(broker& b) { b.listen(pusher::udp_params{}); }
