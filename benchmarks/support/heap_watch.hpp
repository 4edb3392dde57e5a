// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

#include <malloc.h>

// Counts every block of the process by its size, by standing in for the C library's allocator; only glibc
// offers what is under it. To be included by one file of a program.

extern "C" {
void* __libc_malloc(std::size_t) noexcept;
void* __libc_memalign(std::size_t, std::size_t) noexcept;
void __libc_free(void*) noexcept;
}

namespace bench {

/// What the blocks that are live now come to.
class heap_watch {
public:
    static constexpr std::size_t step = 16;      ///< of glibc's sizes
    static constexpr std::size_t largest = 8192; ///< all larger ones are counted together

    struct counts {
        std::uint64_t blocks;
        std::uint64_t bytes; ///< with the 8 that glibc keeps before each
    };

    using table = std::array<counts, largest / step + 1>;

    static const table& live() noexcept { return live_; }

    static void* added(void* block) noexcept {
        if (block) {
            auto& c = of(block);
            ++c.blocks;
            c.bytes += size(block);
        }
        return block;
    }
    static void removed(void* block) noexcept {
        if (block) {
            auto& c = of(block);
            --c.blocks;
            c.bytes -= size(block);
        }
    }

private:
    static std::size_t size(void* block) noexcept {
        return ::malloc_usable_size(block) + sizeof(std::size_t);
    }
    static counts& of(void* block) noexcept {
        const auto index = size(block) / step;
        return live_[index < live_.size() ? index : live_.size() - 1];
    }

    static inline table live_{};
};

} // namespace bench

extern "C" {
void* malloc(std::size_t n) noexcept { return bench::heap_watch::added(__libc_malloc(n)); }
void free(void* block) noexcept {
    bench::heap_watch::removed(block);
    __libc_free(block);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
    std::size_t all = 0;
    if (__builtin_mul_overflow(n, size, &all)) {
        errno = ENOMEM;
        return nullptr;
    }
    void* const block = malloc(all);
    return block ? std::memset(block, 0, all) : nullptr;
}
void* realloc(void* block, std::size_t n) noexcept {
    void* const moved = malloc(n);
    if (moved && block) {
        const auto old = ::malloc_usable_size(block);
        std::memcpy(moved, block, old < n ? old : n);
        free(block);
    }
    return moved;
}
void* memalign(std::size_t alignment, std::size_t n) noexcept {
    return bench::heap_watch::added(__libc_memalign(alignment, n));
}
void* aligned_alloc(std::size_t alignment, std::size_t n) noexcept { return memalign(alignment, n); }
int posix_memalign(void** to, std::size_t alignment, std::size_t n) noexcept {
    *to = memalign(alignment, n);
    return *to ? 0 : ENOMEM;
}
}
