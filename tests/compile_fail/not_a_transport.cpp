// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A transport of one's own whose listener cannot be started: the compiler says what a transport needs.
// expect: a transport needs .params. and a .listener. with .start.
// expect: transport_kind
#include <pusher/broker.hpp>

#include <boost/asio/io_context.hpp>

struct carrier_pigeon {
    struct params {};
    struct listener {
#if defined(CONTROL)
        static std::shared_ptr<pusher::listener_base>
        start(pusher::broker_core&, const params&, pusher::error_code&) {
            return nullptr;
        }
#endif
    };
};

void own(boost::asio::io_context& io) { pusher::broker<carrier_pigeon> broker(io); }
