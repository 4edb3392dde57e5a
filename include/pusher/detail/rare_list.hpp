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

/// What a list has beside it if it has nothing beside it.
struct nothing_beside {
    [[nodiscard]] bool empty() const noexcept { return true; }
};

/// A list that mostly has no elements, and nothing beside it either: a pointer then, and else one block of
/// memory for both.
template <class T, class Beside = nothing_beside>
class rare_list {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    static_assert(std::is_nothrow_move_assignable_v<Beside>);
    static_assert(alignof(T) <= 8 && alignof(Beside) <= 8);

    struct alignas(8) head {
        std::uint32_t size;
        std::uint32_t capacity;
        [[no_unique_address]] Beside beside;
    };
    static_assert(!std::is_empty_v<Beside> || sizeof(head) == 8);

public:
    rare_list() noexcept = default;
    rare_list(const rare_list&) = delete;
    rare_list& operator=(const rare_list&) = delete;
    ~rare_list() { replace(nullptr); }

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
            replace(make(head_ ? head_->capacity + std::max<std::uint32_t>(1, head_->capacity / 2) : 1));
        ::new (static_cast<void*>(elements() + head_->size)) T(copy);
        ++head_->size;
    }
    void pop_back() noexcept { --head_->size; }
    /// Forgets all but the first.
    void keep(std::size_t count) noexcept {
        if (head_)
            head_->size = static_cast<std::uint32_t>(count);
    }
    /// Forgets all elements, and gives their memory back.
    void reset() noexcept {
        keep(0);
        give_back();
    }

    /// Null: there is nothing, and no memory for it.
    [[nodiscard]] Beside* beside() const noexcept { return head_ ? &head_->beside : nullptr; }
    [[nodiscard]] Beside& make_beside() {
        if (!head_)
            replace(make(0));
        return head_->beside;
    }
    /// To be called when nothing is beside the list any more, or no elements are in it.
    void give_back() noexcept {
        if (!head_ || head_->size != 0)
            return;
        if (head_->beside.empty())
            replace(nullptr);
        else if (head_->capacity != 0)
            if (void* const room = ::operator new(sizeof(head), std::nothrow))
                replace(::new (room) head{0, 0, {}});
    }

private:
    [[nodiscard]] T* elements() const noexcept { return reinterpret_cast<T*>(head_ + 1); }

    static head* make(std::uint32_t capacity) {
        return ::new (::operator new(sizeof(head) + std::size_t{capacity} * sizeof(T))) head{0, capacity, {}};
    }

    /// \param with room for what is there; null: there is nothing any more.
    void replace(head* with) noexcept {
        if (head_) {
            if (with) {
                with->size = head_->size;
                with->beside = std::move(head_->beside);
                if (head_->size != 0)
                    std::memcpy(static_cast<void*>(with + 1), head_ + 1, head_->size * sizeof(T));
            }
            head_->~head();
            ::operator delete(head_);
        }
        head_ = with;
    }

    head* head_ = nullptr;
};

} // namespace pusher::inline v0::detail
