// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

namespace pusher::inline v0::detail {

/// A list for what there is one of per topic, or per session: 16 bytes when empty, it grows by little, and
/// one element that is no larger than a pointer needs no memory of its own.
template <class T>
class compact_list {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

    static constexpr bool fits = sizeof(T) <= sizeof(T*) && alignof(T) <= alignof(T*);
    static constexpr std::uint32_t inside = fits ? 1 : 0; ///< elements without memory of their own

public:
    compact_list() noexcept = default;
    compact_list(const compact_list&) = delete;
    compact_list& operator=(const compact_list&) = delete;
    ~compact_list() { free(); }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    [[nodiscard]] T* begin() noexcept { return data(); }
    [[nodiscard]] T* end() noexcept { return data() + size_; }
    [[nodiscard]] const T* begin() const noexcept { return data(); }
    [[nodiscard]] const T* end() const noexcept { return data() + size_; }
    [[nodiscard]] T& operator[](std::size_t i) noexcept { return data()[i]; }
    [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data()[i]; }
    [[nodiscard]] T& back() noexcept { return data()[size_ - 1]; }
    [[nodiscard]] const T& back() const noexcept { return data()[size_ - 1]; }

    void push_back(const T& value) {
        const T copy = value; // it may be one of the list's own
        if (size_ == capacity_)
            reallocate(capacity_ == 0 ? 1 : capacity_ + std::max<std::uint32_t>(2, capacity_ / 8));
        ::new (static_cast<void*>(data() + size_)) T(copy);
        ++size_;
    }
    void pop_back() noexcept { --size_; }
    void clear() noexcept { size_ = 0; }

    /// Gives back what is not needed.
    void shrink_to_fit() {
        if (capacity_ > std::max(size_, inside))
            reallocate(std::max(size_, inside));
    }

private:
    [[nodiscard]] bool allocated() const noexcept { return capacity_ > inside; }

    [[nodiscard]] T* data() noexcept {
        return allocated() ? many_ : std::launder(reinterpret_cast<T*>(few_));
    }
    [[nodiscard]] const T* data() const noexcept {
        return allocated() ? many_ : std::launder(reinterpret_cast<const T*>(few_));
    }

    void free() noexcept {
        if (allocated())
            ::operator delete(many_);
    }

    void reallocate(std::uint32_t capacity) {
        alignas(T) std::byte few[sizeof(T)]; // where the elements are until `many_` is free
        void* const room = capacity > inside ? ::operator new(std::size_t{capacity} * sizeof(T)) : few;
        if (size_ != 0)
            std::memcpy(room, static_cast<const void*>(data()), size_ * sizeof(T));
        free();
        capacity_ = capacity;
        if (allocated())
            many_ = static_cast<T*>(room);
        else if constexpr (fits)
            std::memcpy(few_, room, size_ * sizeof(T));
    }

    union {
        T* many_ = nullptr;
        std::byte few_[sizeof(T*)];
    };
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = inside;
};

} // namespace pusher::inline v0::detail
