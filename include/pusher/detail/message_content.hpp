// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/message.hpp>
#include <pusher/publish_options.hpp>

#include <string_view>

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

inline void set_content(message::fields& f, std::string_view payload, const publish_options& o) noexcept {
    f.type = o.type;
    f.payload = payload;
    f.key = o.key;
    f.id = o.id;
    f.headers = o.headers;
}

[[nodiscard]] inline message::fields content_of(std::string_view payload, const publish_options& o) noexcept {
    message::fields f;
    set_content(f, payload, o);
    return f;
}

} // namespace pusher::inline v0::detail
