// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "work.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

#include <malloc.h>

#if defined(__clang__)
#define PUSHER_TEST_UNCOUNTED __attribute__((no_sanitize("coverage")))
#else
#define PUSHER_TEST_UNCOUNTED __attribute__((no_sanitize_coverage))
#endif

namespace {

test::work total;

std::int64_t size_of(void* p) noexcept {
    return static_cast<std::int64_t>(::malloc_usable_size(p) + sizeof(std::size_t));
}

} // namespace

test::work test::work_so_far() noexcept { return total; }

extern "C" PUSHER_TEST_UNCOUNTED void __sanitizer_cov_trace_pc() { ++total.blocks; }

void* operator new(std::size_t size) {
    auto* const p = std::malloc(size == 0 ? 1 : size);
    if (!p)
        throw std::bad_alloc();
    ++total.allocations;
    total.bytes += size_of(p);
    return p;
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    try {
        return operator new(size);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void operator delete(void* p) noexcept {
    if (p)
        total.bytes -= size_of(p);
    std::free(p);
}

void operator delete(void* p, std::size_t) noexcept { operator delete(p); }
