// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/message.hpp>

namespace pusher::inline v0::detail {

/// What the publisher has given, but for the topic and the time to live: what a copy is made of. Views.
[[nodiscard]] inline message::fields content_of(const message& m) noexcept {
    message::fields f;
    f.type = m.type();
    f.payload = m.payload();
    f.key = m.key();
    f.id = m.id();
    f.headers = m.headers();
    return f;
}

} // namespace pusher::inline v0::detail
