// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher.hpp>

bool part_accepts(const char* topic);

bool part_accepts(const char* topic) { return pusher::is_valid_topic(topic); }
