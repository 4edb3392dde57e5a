// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/encoding.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pusher::inline v0::detail {

/// How far one is with what is selected of a turn for one session.
struct selected_place {
    static constexpr std::uint64_t all = ~std::uint64_t{0};

    std::size_t word = 0;     ///< of the selection
    std::uint64_t left = all; ///< of its bits
    std::size_t reply = 0;
};

/// What a selection of the turn's messages comes to in one encoding, as far as somebody wanted it.
///
/// It is kept until a session wants something else: where sessions have the same topics, as those of a
/// dashboard do, all but the first find here what to write.
struct merged_frames {
    const encoding* as = nullptr; ///< null: nothing is here
    std::vector<std::uint64_t> selection;
    std::string bytes;
    std::vector<std::uint32_t> ends;
    selected_place next;
    bool with_replies = false; ///< it is for one session
    bool hole = false;         ///< what follows is a message that the encoding cannot carry

    void begin(const encoding& of, const std::vector<std::uint64_t>& selected, bool for_one) {
        forget();
        as = &of;
        selection = selected;
        with_replies = for_one;
    }

    /// At the end of a turn: what a big one took is given back, so that a burst does not stay in memory.
    void clear() {
        constexpr std::size_t keep = 1024 * 1024;
        if (bytes.capacity() > keep)
            bytes = {};
        if (ends.capacity() * sizeof(ends[0]) > keep)
            ends = {};
        forget();
    }

private:
    void forget() noexcept {
        as = nullptr;
        bytes.clear();
        ends.clear();
        next = {};
        hole = with_replies = false;
    }
};

} // namespace pusher::inline v0::detail
