// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// \file
/// Everything that needs Boost's headers and nothing else. `<pusher/broker.hpp>` is enough for most.
// Written by `./dev format`.

#include <pusher/close_reason.hpp>
#include <pusher/dialect/json_reader.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/dialect/native_http.hpp>
#include <pusher/dialect/native_params.hpp>
#include <pusher/dialect/native_request.hpp>
#include <pusher/dialect/sse_encode.hpp>
#include <pusher/dialect/websocket_codec.hpp>
#include <pusher/dialect/websocket_decoder.hpp>
#include <pusher/dialect/websocket_encoder.hpp>
#include <pusher/dialect/websocket_frame.hpp>
#include <pusher/error.hpp>
#include <pusher/gap.hpp>
#include <pusher/history_params.hpp>
#include <pusher/message.hpp>
#include <pusher/observer.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/publish_options.hpp>
#include <pusher/subscribe_options.hpp>
#include <pusher/topic.hpp>
#include <pusher/version.hpp>
