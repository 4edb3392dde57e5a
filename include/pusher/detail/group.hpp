// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/compact_list.hpp>
#include <pusher/detail/rare_list.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/text_hash.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace pusher::inline v0::detail {

class handler_subscriber;

/// A subscription of one subscriber, seen from the group: where its session's outbox is found, and where the
/// subscriber lists it, so that either end removes the other without a search.
struct member {
    static constexpr std::uint32_t no_echo_bit = 0x80000000U;

    std::uint32_t slot_and_flag; ///< the subscriber's slot; the top bit: not its own publishes
    std::uint32_t back;          ///< index in the subscriber's list of subscriptions

    [[nodiscard]] std::uint32_t slot() const noexcept { return slot_and_flag & ~no_echo_bit; }
    [[nodiscard]] bool no_echo() const noexcept { return (slot_and_flag & no_echo_bit) != 0; }
};

/// The same for a subscriber whose handler runs inside `publish`.
struct handler_member {
    static constexpr std::uint8_t no_echo_bit = 1; ///< not its own publishes
    static constexpr std::uint8_t left_bit = 2;    ///< during the dispatch that is under way

    handler_subscriber* subscriber; ///< null: it has left
    std::uint64_t born;             ///< only what is sequenced after this is for it
    std::uint32_t back;
    std::uint8_t special; ///< one look tells that it is none of these

    [[nodiscard]] bool no_echo() const noexcept { return (special & no_echo_bit) != 0; }
};

/// The subscribers of one pattern (a topic or a filter) and one type, or of all its types.
struct group {
    enum class kind : std::uint8_t { topic, filter, typed };

    explicit group(kind k) noexcept : what(k) {}
    group(const group&) = delete;
    group& operator=(const group&) = delete;

    static constexpr std::uint32_t no_run = 0xFFFFFFFFU;

    compact_list<member> members;
    rare_list<handler_member> handlers;
    std::uint32_t id = 0;        ///< index in the table of groups
    std::uint32_t open = no_run; ///< of a topic: the run of this turn that takes further messages
    // Four bytes, so that a topic with a short name takes one size less of what allocators have.
    std::uint32_t pins : 28 = 0; ///< dispatches, deferred messages and cursors that will come back to it
    kind what : 2;
    bool blanked : 1 = false;     ///< some did leave
    bool dispatching : 1 = false; ///< handlers are being called: leaving ones are blanked, not moved

    [[nodiscard]] bool has_handlers() const noexcept { return !handlers.empty(); }
    [[nodiscard]] bool empty() const noexcept { return members.empty() && !has_handlers(); }
};

struct pattern;

/// The group of one type of a pattern.
struct typed_group : group {
    typed_group(pattern& p, std::string_view t) : group(kind::typed), of(&p), type(t) {}

    pattern* of;
    shared_text type;
};

/// A topic or a filter: the group of those who take all types, and one for each type asked for.
struct pattern : group {
    using group::group;

    std::uint32_t subscriptions = 0; ///< of all types, those that catch up too

    /// By type; the keys view the groups' own texts.
    using typed_groups = boost::unordered_flat_map<std::string_view, std::unique_ptr<typed_group>, text_hash>;
    std::unique_ptr<typed_groups> typed;

    [[nodiscard]] typed_group* find_type(std::string_view type) const noexcept {
        return !typed || type.empty() ? nullptr : find_among_types(type);
    }

    [[nodiscard]] bool no_subscribers() const noexcept { return empty() && (!typed || typed->empty()); }

private:
    // Apart, so that the usual case, no types at all, is not a call.
    [[nodiscard]] typed_group* find_among_types(std::string_view type) const noexcept {
        const auto found = typed->find(type);
        return found == typed->end() ? nullptr : found->second.get();
    }
};

} // namespace pusher::inline v0::detail
