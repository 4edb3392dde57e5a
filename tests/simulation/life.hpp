// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>
#include <pusher/detail/journal.hpp>

#include <utility>

namespace test {

/// A program with a broker and a store, until it crashes.
struct life {
    life(const pusher::detail::core_params& p, const pusher::detail::journal::params& limits)
        : middle(
              p, [](void* self) { static_cast<life*>(self)->flush_asked = true; }, this),
          log(middle, limits, [](void* self) { static_cast<life*>(self)->work_asked = true; }, this) {}
    ~life() { middle.clear(); }

    /// Does what the event loop would do now. \return whether there was anything
    bool turn() {
        bool any = false;
        if (std::exchange(flush_asked, false)) {
            middle.flush();
            any = true;
        }
        if (std::exchange(work_asked, false)) {
            log.work();
            any = true;
        }
        return any;
    }

    bool flush_asked = false; // before the core: it may ask while it is destroyed
    bool work_asked = false;
    pusher::detail::core middle;
    pusher::detail::journal log;
};

} // namespace test
