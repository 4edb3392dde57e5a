// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/message_content.hpp>
#include <pusher/detail/packed_message.hpp>
#include <pusher/publish_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pusher::inline v0::detail {

/// What is to be published, as copies: fixed parts one after the other, and their bytes back to back, so that
/// a thread that posts does not allocate what another frees.
class posted_batch {
public:
    void add(std::string_view topic, std::string_view payload, const publish_options& o) {
        const auto begin = bytes_.size();
        bytes_.append(topic);
        const auto sizes = pack<std::uint32_t>(bytes_, content_of(payload, o));
        entries_.push_back({begin, topic.size(), sizes, o.publisher, o.ttl});
    }

    [[nodiscard]] std::size_t messages() const noexcept { return entries_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.size(); }
    /// What `bytes` grows by.
    [[nodiscard]] static std::size_t
    bytes_of(std::string_view topic, std::string_view payload, const publish_options& o) noexcept {
        return topic.size() + packed_size(content_of(payload, o));
    }

    /// `f(topic, payload, options)`, in the order in which they were added.
    template <class F>
    void for_each(F&& f) const {
        std::vector<header> headers;
        for (const auto& e : entries_) {
            const auto all = std::string_view(bytes_).substr(e.begin);
            message::fields m;
            unpack(all.substr(e.topic_size), e.sizes, m, headers);
            f(all.substr(0, e.topic_size), m.payload,
              publish_options{m.type, m.key, m.id, m.headers, e.ttl, e.publisher});
        }
    }

    /// What many or large messages took is given back.
    void clear() noexcept {
        constexpr std::size_t keep = 1024 * 1024;
        if (bytes_.capacity() > keep || entries_.capacity() * sizeof(entry) > keep) {
            *this = {};
        } else {
            bytes_.clear();
            entries_.clear();
        }
    }

private:
    struct entry {
        std::size_t begin;
        std::size_t topic_size;
        packed_sizes<std::uint32_t> sizes;
        std::uint64_t publisher;
        std::chrono::milliseconds ttl;
    };

    std::vector<entry> entries_;
    std::string bytes_;
};

} // namespace pusher::inline v0::detail
