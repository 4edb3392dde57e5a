// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// \file
/// The bodies of the broker, its listeners and links: see `<pusher/src.hpp>`.

#if defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/detail/impl/core_acknowledge.hpp>
#include <pusher/detail/impl/core_catchup.hpp>
#include <pusher/detail/impl/core_durable.hpp>
#include <pusher/detail/impl/core_failure.hpp>
#include <pusher/detail/impl/core_flush.hpp>
#include <pusher/detail/impl/core_held.hpp>
#include <pusher/detail/impl/core_mailbox.hpp>
#include <pusher/detail/impl/core_memory.hpp>
#include <pusher/detail/impl/core_publish.hpp>
#include <pusher/detail/impl/core_replica.hpp>
#include <pusher/detail/impl/core_report.hpp>
#include <pusher/detail/impl/core_returned.hpp>
#include <pusher/detail/impl/core_state.hpp>
#include <pusher/detail/impl/core_store.hpp>
#include <pusher/detail/impl/core_subscribe.hpp>
#include <pusher/detail/impl/core_subscribers.hpp>
#include <pusher/detail/impl/journal.hpp>
#include <pusher/detail/impl/journal_open.hpp>
#include <pusher/dialect/impl/websocket_deflate.hpp>
#include <pusher/impl/broker_core.hpp>
#include <pusher/impl/broker_relay.hpp>
#include <pusher/impl/broker_report.hpp>
#include <pusher/impl/broker_store.hpp>
#include <pusher/impl/http_events.hpp>
#include <pusher/impl/http_listener.hpp>
#include <pusher/impl/http_publish.hpp>
#include <pusher/impl/http_websocket.hpp>
#include <pusher/impl/local_backplane.hpp>
#include <pusher/impl/native_requests.hpp>
#include <pusher/impl/raw_requests.hpp>
#include <pusher/impl/relay.hpp>
#include <pusher/impl/relay_followers.hpp>
#include <pusher/impl/relay_history.hpp>
#include <pusher/impl/session.hpp>
#include <pusher/impl/stream_listener.hpp>
#include <pusher/impl/tcp_listener.hpp>
#include <pusher/impl/udp_listener.hpp>
#include <pusher/transport/impl/acceptor.hpp>
#include <pusher/transport/impl/http_connection.hpp>
#include <pusher/transport/impl/line_link.hpp>
#include <pusher/transport/impl/raw_link.hpp>
#include <pusher/transport/impl/services.hpp>
#include <pusher/transport/impl/socket_channel.hpp>
#include <pusher/transport/impl/sse_link.hpp>
#include <pusher/transport/impl/stream_link.hpp>
#include <pusher/transport/impl/udp_link.hpp>
#include <pusher/transport/impl/websocket_link.hpp>
#endif
