// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace pusher::inline v0::detail {

/// An immutable text shared by plain reference count: topics, types and uids, which outlive their first owner
/// (a run in an outbox still needs its topic's name). One allocation, eight bytes over the text itself; or
/// none, behind an object.
/// Not thread safe: it never leaves the broker's executor.
class shared_text {
public:
    shared_text() noexcept = default;

    explicit shared_text(std::string_view text)
        : shared_text(::operator new(room_for(text)), text, static_cast<std::uint32_t>(text.size())) {}

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
            free();
    }

    [[nodiscard]] std::string_view view() const noexcept {
        return block_ ? view_of(block_) : std::string_view();
    }
    [[nodiscard]] bool empty() const noexcept { return view().empty(); }

    /// Whether both are the very same text, without comparing bytes.
    [[nodiscard]] bool same(const shared_text& other) const noexcept { return block_ == other.block_; }

    // A text in one allocation with an object that is named by it: behind that. Who else has it may keep it
    // for longer than the object lives.

    /// What the text takes behind the object.
    [[nodiscard]] static std::size_t room_for(std::string_view text) noexcept {
        return sizeof(block) + text.size();
    }
    /// Writes the text to where the object ends. That counts as one reference.
    static void put_behind(void* end_of_object, std::string_view text) noexcept {
        shared_text made(end_of_object, text, static_cast<std::uint32_t>(text.size()) | behind_bit);
        made.block_ = nullptr;
    }
    [[nodiscard]] static shared_text behind(const void* end_of_object) noexcept {
        shared_text other;
        other.block_ = const_cast<block*>(static_cast<const block*>(end_of_object));
        ++other.block_->references;
        return other;
    }
    [[nodiscard]] static std::string_view view_behind(const void* end_of_object) noexcept {
        return view_of(static_cast<const block*>(end_of_object));
    }
    /// Once the object has been destroyed: frees the allocation, or leaves that to who has the text last.
    static void leave_behind(void* end_of_object, std::size_t size_of_object) noexcept {
        const auto size = static_cast<std::uint32_t>(size_of_object);
        std::memcpy(static_cast<char*>(end_of_object) - sizeof size, &size, sizeof size);
        shared_text last;
        last.block_ = static_cast<block*>(end_of_object);
    }

private:
    struct block {
        std::uint32_t references;
        std::uint32_t size; ///< the top bit: it is behind an object
    };
    static constexpr std::uint32_t behind_bit = 0x80000000U;

    shared_text(void* room, std::string_view text, std::uint32_t size) noexcept
        : block_(::new(room) block{1, size}) {
        if (!text.empty())
            std::memcpy(block_ + 1, text.data(), text.size());
    }

    [[nodiscard]] static std::string_view view_of(const block* b) noexcept {
        return {reinterpret_cast<const char*>(b + 1), b->size & ~behind_bit};
    }

    void free() noexcept {
        std::uint32_t before = 0;
        if ((block_->size & behind_bit) != 0) // the object is gone, and has left its size there
            std::memcpy(&before, reinterpret_cast<const char*>(block_) - sizeof before, sizeof before);
        ::operator delete(reinterpret_cast<char*>(block_) - before);
    }

    block* block_ = nullptr;
};

} // namespace pusher::inline v0::detail
