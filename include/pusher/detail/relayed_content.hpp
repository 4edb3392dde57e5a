// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/backplane.hpp>
#include <pusher/detail/message_content.hpp>

namespace pusher::inline v0::detail {

[[nodiscard]] inline message::fields content_of(const relayed& r) noexcept {
    return content_of(r.payload, {r.type, r.key, r.id, r.headers});
}

inline void set_content(relayed& r, const message::fields& content) noexcept {
    r.type = content.type;
    r.key = content.key;
    r.id = content.id;
    r.payload = content.payload;
    r.headers = content.headers;
}

} // namespace pusher::inline v0::detail
