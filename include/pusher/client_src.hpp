// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// \file
/// The bodies of the client: see `<pusher/src.hpp>`.

#if defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/client/impl/connection.hpp>
#include <pusher/client/impl/connector.hpp>
#include <pusher/client/impl/engine_life.hpp>
#include <pusher/client/impl/engine_requests.hpp>
#include <pusher/client/impl/framing.hpp>
#include <pusher/client/impl/inbox.hpp>
#include <pusher/client/impl/subscriptions.hpp>
#include <pusher/client/impl/websocket_framing.hpp>
#endif
