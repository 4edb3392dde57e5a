// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstddef>
#include <new>

namespace pusher::inline v0::detail {

/// Gives what is asked for, and not more. Asio's own way is to keep the blocks of operations that ended for
/// the next ones, also for smaller ones: good for what ends soon, and a waste for an operation that waits for
/// as long as a session lasts.
template <class T>
struct plain_allocator {
    using value_type = T;

    plain_allocator() noexcept = default;
    template <class U>
    plain_allocator(const plain_allocator<U>&) noexcept {} // NOLINT(google-explicit-constructor)

    [[nodiscard]] T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T))); }
    void deallocate(T* p, std::size_t) noexcept { ::operator delete(p); }

    friend bool operator==(const plain_allocator&, const plain_allocator&) noexcept { return true; }
};

} // namespace pusher::inline v0::detail
