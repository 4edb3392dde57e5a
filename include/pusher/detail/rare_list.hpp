// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace pusher::inline v0::detail {

/// A list that mostly has no elements: a pointer then, and else one block of memory.
template <class T>
class rare_list {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    static_assert(alignof(T) <= 8);

    struct head {
        std::uint32_t size;
        std::uint32_t capacity;
    };
    static_assert(sizeof(head) == 8);

public:
    rare_list() noexcept = default;
    rare_list(const rare_list&) = delete;
    rare_list& operator=(const rare_list&) = delete;
    ~rare_list() { reset(); }

    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return head_ ? head_->size : 0; }

    [[nodiscard]] const T* begin() const noexcept { return head_ ? elements() : nullptr; }
    [[nodiscard]] const T* end() const noexcept { return begin() + size(); }
    [[nodiscard]] T& operator[](std::size_t i) noexcept { return elements()[i]; }
    [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return elements()[i]; }
    [[nodiscard]] T& back() noexcept { return elements()[head_->size - 1]; }

    void push_back(const T& value) {
        const T copy = value; // it may be one of the list's own
        if (!head_ || head_->size == head_->capacity)
            grow();
        ::new (static_cast<void*>(elements() + head_->size)) T(copy);
        ++head_->size;
    }
    void pop_back() noexcept { --head_->size; }
    /// Forgets all but the first.
    void keep(std::size_t count) noexcept {
        if (head_)
            head_->size = static_cast<std::uint32_t>(count);
    }
    /// Forgets all, and gives the memory back.
    void reset() noexcept { ::operator delete(std::exchange(head_, nullptr)); }

private:
    [[nodiscard]] T* elements() const noexcept { return reinterpret_cast<T*>(head_ + 1); }

    void grow() {
        const auto capacity = head_ ? head_->capacity + std::max<std::uint32_t>(1, head_->capacity / 2) : 1;
        void* const room = ::operator new(sizeof(head) + std::size_t{capacity} * sizeof(T));
        auto* const moved = ::new (room) head{head_ ? head_->size : 0, capacity};
        if (head_ && head_->size != 0)
            std::memcpy(moved + 1, head_ + 1, head_->size * sizeof(T));
        reset();
        head_ = moved;
    }

    head* head_ = nullptr;
};

} // namespace pusher::inline v0::detail
