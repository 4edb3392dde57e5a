// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/compact_list.hpp>
#include <pusher/detail/rare_list.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/text_hash.hpp>
#include <pusher/detail/topic_past.hpp>

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

struct typed_groups;
struct typed_groups_deleter {
    void operator()(typed_groups* g) const noexcept;
};

/// What few topics and filters have, where those are kept that run inside `publish`, which few have too.
struct rare_parts {
    std::unique_ptr<typed_groups, typed_groups_deleter> typed; ///< of a topic or filter
    std::unique_ptr<topic_past> past;                          ///< of a topic

    [[nodiscard]] bool empty() const noexcept { return !typed && !past; }
};

/// The subscribers of one pattern (a topic or a filter) and one type, or of all its types.
struct group {
    enum class kind : std::uint8_t { topic, filter, typed };

    explicit group(kind k) noexcept : what(k) {}
    group(const group&) = delete;
    group& operator=(const group&) = delete;

    static constexpr std::uint32_t no_run = 0xFFFFFFFFU;

    compact_list<member> members;
    rare_list<handler_member, rare_parts> handlers;
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

/// By type; the keys view the groups' own texts.
struct typed_groups : boost::unordered_flat_map<std::string_view, std::unique_ptr<typed_group>, text_hash> {
    using unordered_flat_map::unordered_flat_map;
};

inline void typed_groups_deleter::operator()(typed_groups* g) const noexcept { delete g; }

/// A topic or a filter: the group of those who take all types, and one for each type asked for.
struct pattern : group {
    using group::group;

    std::uint32_t subscriptions = 0; ///< of all types, those that catch up too

    /// Null: nobody asks for a type.
    [[nodiscard]] typed_groups* typed() const noexcept {
        const auto* const few = handlers.beside();
        return few ? few->typed.get() : nullptr;
    }
    [[nodiscard]] typed_group* find_type(std::string_view type) const noexcept {
        auto* const among = type.empty() ? nullptr : typed();
        return among ? find_in(*among, type) : nullptr;
    }
    void add_type(std::unique_ptr<typed_group> g, std::uint64_t hash_seed) {
        auto& among = handlers.make_beside().typed;
        if (!among)
            among.reset(new typed_groups(0, text_hash(hash_seed)));
        const auto type = g->type.view();
        among->emplace(type, std::move(g));
    }
    void remove_type(const typed_group& g) noexcept {
        auto& among = handlers.beside()->typed;
        among->erase(g.type.view());
        if (!among->empty())
            return;
        among.reset();
        handlers.give_back();
    }

    [[nodiscard]] bool no_subscribers() const noexcept {
        const auto* const among = typed();
        return empty() && (!among || among->empty());
    }

private:
    // Apart, so that the usual case, no types at all, is not a call.
    [[nodiscard]] static typed_group* find_in(const typed_groups& among, std::string_view type) noexcept {
        const auto found = among.find(type);
        return found == among.end() ? nullptr : found->second.get();
    }
};

} // namespace pusher::inline v0::detail
