// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// What takes long in most of pusher's headers.
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
