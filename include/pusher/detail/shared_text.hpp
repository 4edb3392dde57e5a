// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace pusher::inline v0::detail {

/// An immutable text shared by plain reference count: topics, types and uids, which outlive their first owner
/// (a run in an outbox still needs its topic's name). One allocation, eight bytes over the text itself.
/// Not thread safe: it never leaves the broker's executor.
class shared_text {
public:
    shared_text() noexcept = default;

    explicit shared_text(std::string_view text) {
        block_ = static_cast<block*>(::operator new(sizeof(block) + text.size()));
        block_->references = 1;
        block_->size = static_cast<std::uint32_t>(text.size());
        if (!text.empty())
            std::memcpy(block_ + 1, text.data(), text.size());
    }

    shared_text(const shared_text& other) noexcept : block_(other.block_) {
        if (block_)
            ++block_->references;
    }
    shared_text(shared_text&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    shared_text& operator=(shared_text other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~shared_text() {
        if (block_ && --block_->references == 0) // NOLINT(clang-analyzer-cplusplus.NewDelete): it counts
            ::operator delete(block_);
    }

    [[nodiscard]] std::string_view view() const noexcept {
        return block_ ? std::string_view(reinterpret_cast<const char*>(block_ + 1), block_->size)
                      : std::string_view();
    }
    [[nodiscard]] bool empty() const noexcept { return !block_ || block_->size == 0; }

    /// Whether both are the very same text, without comparing bytes.
    [[nodiscard]] bool same(const shared_text& other) const noexcept { return block_ == other.block_; }

private:
    struct block {
        std::uint32_t references;
        std::uint32_t size;
    };
    block* block_ = nullptr;
};

} // namespace pusher::inline v0::detail
