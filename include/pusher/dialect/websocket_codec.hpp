// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// \file
/// The frame layer of WebSocket (RFC 6455), for servers and clients: a decoder and an encoder without I/O.
/// The handshake is Beast's; sockets, timers and the closing handshake are the transport's.

#include <pusher/dialect/websocket_decoder.hpp>
#include <pusher/dialect/websocket_encoder.hpp>
#include <pusher/dialect/websocket_frame.hpp>
