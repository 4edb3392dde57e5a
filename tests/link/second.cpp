// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "every_header.hpp"

const void* category_in_second();

const void* category_in_second() { return &pusher::pusher_category(); }
