// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/message_content.hpp>
#include <pusher/detail/packed_message.hpp>
#include <pusher/publish_options.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// What is to be published, as copies, in large blocks: a thread that posts does not allocate what another
/// frees for each message. To be added to under a lock, it takes no longer than a small copy.
class posted_batch {
public:
    /// A message of that size, copied as `copy_of` does, is a block of its own.
    static constexpr std::size_t large = 16 * 1024;

    /// What `bytes` grows by.
    [[nodiscard]] static std::size_t
    bytes_of(std::string_view topic, std::string_view payload, const publish_options& o) noexcept {
        return topic.size() + packed_size(content_of(payload, o));
    }
    /// \param bytes as `bytes_of` has it
    [[nodiscard]] static std::string
    copy_of(std::string_view topic, std::string_view payload, const publish_options& o, std::size_t bytes) {
        std::string copy;
        copy.reserve(bytes);
        write(copy, topic, payload, o);
        return copy;
    }

    /// \param copy of a large message; empty: it is not large
    void
    add(std::string_view topic, std::string_view payload, const publish_options& o, std::size_t bytes,
        std::string&& copy) {
        const packed_sizes<std::uint32_t> sizes{
            static_cast<std::uint32_t>(payload.size()),
            static_cast<std::uint32_t>(
                bytes - topic.size() - payload.size() - o.type.size() - o.key.size() - o.id.size()),
            static_cast<std::uint32_t>(o.type.size()), static_cast<std::uint32_t>(o.key.size()),
            static_cast<std::uint32_t>(o.id.size())};
        std::string_view all;
        if (copy.empty()) {
            auto& block = room_for(bytes);
            const auto begin = block.size();
            write(block, topic, payload, o);
            all = std::string_view(block).substr(begin);
        } else {
            all = large_.emplace_back(std::move(copy));
        }
        entries_.push_back({all, topic.size(), sizes, o.publisher, o.ttl}); // last: nothing is half added
        bytes_ += bytes;
    }

    [[nodiscard]] std::size_t messages() const noexcept { return entries_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

    /// `f(topic, payload, options)`, in the order in which they were added.
    template <class F>
    void for_each(F&& f) const {
        std::vector<header> headers;
        for (const auto& e : entries_) {
            message::fields m;
            unpack(e.all.substr(e.topic_size), e.sizes, m, headers);
            f(e.all.substr(0, e.topic_size), m.payload,
              publish_options{m.type, m.key, m.id, m.headers, e.ttl, e.publisher});
        }
    }

    /// What a burst took is given back.
    void clear() {
        constexpr std::size_t keep = 16;
        if (blocks_.size() > keep)
            blocks_.resize(keep);
        for (auto& b : blocks_)
            b.clear();
        filled_ = 0;
        large_.clear();
        if (entries_.capacity() * sizeof(entry) > keep * block_size)
            std::vector<entry>().swap(entries_); // an assignment would keep the room
        else
            entries_.clear();
        bytes_ = 0;
    }

private:
    static constexpr std::size_t block_size = 64 * 1024;

    struct entry {
        std::string_view all; ///< topic first
        std::size_t topic_size;
        packed_sizes<std::uint32_t> sizes;
        std::uint64_t publisher;
        std::chrono::milliseconds ttl;
    };

    static void
    write(std::string& to, std::string_view topic, std::string_view payload, const publish_options& o) {
        to.append(topic);
        pack<std::uint32_t>(to, content_of(payload, o));
    }

    /// A block that need not move to take so much.
    std::string& room_for(std::size_t bytes) {
        if (filled_ != blocks_.size() && block_size - blocks_[filled_].size() < bytes)
            ++filled_;
        if (filled_ == blocks_.size())
            blocks_.emplace_back().reserve(block_size);
        return blocks_[filled_];
    }

    std::vector<entry> entries_;
    std::vector<std::string> blocks_; ///< their bytes stay where they are
    std::size_t filled_ = 0;          ///< blocks before the one that is being filled
    std::vector<std::string> large_;
    std::size_t bytes_ = 0;
};

} // namespace pusher::inline v0::detail
