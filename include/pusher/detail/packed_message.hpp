// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/message.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pusher::inline v0::detail {

/// How long the parts of a message are whose bytes lie one after the other. `Small` is for those that are
/// short.
template <class Small>
struct packed_sizes {
    std::uint32_t payload;
    std::uint32_t headers;
    Small type;
    Small key;
    Small id;

    [[nodiscard]] std::size_t total() const noexcept {
        return std::size_t{payload} + headers + type + key + id;
    }
};

/// What `pack` appends.
[[nodiscard]] inline std::size_t packed_size(const message::fields& content) noexcept {
    auto size = content.type.size() + content.key.size() + content.id.size() + content.payload.size();
    for (const auto& h : content.headers)
        size += 8 + h.name.size() + h.value.size();
    return size;
}

/// Appends what a publisher has given, but for the topic and the time to live.
template <class Small>
packed_sizes<Small> pack(std::string& out, const message::fields& content) {
    for (const auto part : {content.type, content.key, content.id, content.payload})
        if (!part.empty())
            out.append(part);
    const auto headers_begin = out.size();
    const auto append_size = [&out](std::size_t n) {
        for (int shift = 24; shift >= 0; shift -= 8)
            out.push_back(static_cast<char>(n >> shift & 0xFF));
    };
    for (const auto& h : content.headers) {
        append_size(h.name.size());
        append_size(h.value.size());
        out.append(h.name).append(h.value);
    }
    return {
        static_cast<std::uint32_t>(content.payload.size()),
        static_cast<std::uint32_t>(out.size() - headers_begin), static_cast<Small>(content.type.size()),
        static_cast<Small>(content.key.size()), static_cast<Small>(content.id.size())};
}

/// Views of what `pack` has written at the beginning of `bytes`. \param headers where those are kept
template <class Small>
void unpack(
    std::string_view bytes, const packed_sizes<Small>& sizes, message::fields& content,
    std::vector<header>& headers) {
    const auto take = [](std::string_view& from, std::size_t n) {
        const auto part = from.substr(0, n);
        from.remove_prefix(n);
        return part;
    };
    content.type = take(bytes, sizes.type);
    content.key = take(bytes, sizes.key);
    content.id = take(bytes, sizes.id);
    content.payload = take(bytes, sizes.payload);
    if (sizes.headers == 0)
        return;
    const auto size = [](std::string_view four) {
        std::size_t n = 0;
        for (const char c : four)
            n = n << 8 | static_cast<unsigned char>(c);
        return n;
    };
    headers.clear();
    for (auto left = take(bytes, sizes.headers); !left.empty();) {
        const auto both = take(left, 8);
        const auto name = take(left, size(both.substr(0, 4)));
        headers.push_back({name, take(left, size(both.substr(4)))});
    }
    content.headers = headers;
}

} // namespace pusher::inline v0::detail
