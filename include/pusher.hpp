// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// \file
/// Everything that needs Boost's headers and nothing else. `<pusher/broker.hpp>` is enough for most.
// Written by `./dev format`.

#include <pusher/broker.hpp>
#include <pusher/broker_core.hpp>
#include <pusher/broker_params.hpp>
#include <pusher/close_reason.hpp>
#include <pusher/dialect/json_reader.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/dialect/native_encoding.hpp>
#include <pusher/dialect/native_http.hpp>
#include <pusher/dialect/native_params.hpp>
#include <pusher/dialect/native_reply.hpp>
#include <pusher/dialect/native_request.hpp>
#include <pusher/dialect/native_request_encode.hpp>
#include <pusher/dialect/sse_encode.hpp>
#include <pusher/dialect/websocket_codec.hpp>
#include <pusher/dialect/websocket_decoder.hpp>
#include <pusher/dialect/websocket_encoder.hpp>
#include <pusher/dialect/websocket_frame.hpp>
#include <pusher/error.hpp>
#include <pusher/gap.hpp>
#include <pusher/history_params.hpp>
#include <pusher/listener.hpp>
#include <pusher/listener/http.hpp>
#include <pusher/listener/stream_listener.hpp>
#include <pusher/listener/tcp.hpp>
#include <pusher/listener/udp.hpp>
#include <pusher/message.hpp>
#include <pusher/observer.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/publish_options.hpp>
#include <pusher/stats.hpp>
#include <pusher/store/memory_store.hpp>
#include <pusher/subscribe_options.hpp>
#include <pusher/subscription.hpp>
#include <pusher/topic.hpp>
#include <pusher/transport/acceptor.hpp>
#include <pusher/transport/channel.hpp>
#include <pusher/transport/http_connection.hpp>
#include <pusher/transport/line_link.hpp>
#include <pusher/transport/link.hpp>
#include <pusher/transport/link_limits.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/socket_channel.hpp>
#include <pusher/transport/sse_link.hpp>
#include <pusher/transport/stream_link.hpp>
#include <pusher/transport/udp_link.hpp>
#include <pusher/transport/websocket_link.hpp>
#include <pusher/version.hpp>
