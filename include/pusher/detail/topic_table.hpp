// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/group.hpp>
#include <pusher/detail/history.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/text_hash.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

struct cursor;

/// A topic that has subscribers, a history, or messages in the current turn. No other topic has any state.
struct topic_state : pattern {
    explicit topic_state(std::string_view text) : pattern(kind::topic), name(text) {}

    shared_text name;
    static constexpr std::uint32_t no_run = 0xFFFFFFFFU;

    std::uint32_t open = no_run; ///< the run of this turn that takes further messages
    std::uint64_t held = 0;      ///< for `core::next_to_read`: marks topics of which nothing new may come
    bool aging = false;          ///< in the list of those whose history has an age limit
    std::unique_ptr<history> past;
    std::unique_ptr<std::vector<cursor*>> cursors; ///< who is catching up from `past`

    [[nodiscard]] bool unused() const noexcept {
        return (!past || past->unwritten()) && unused_but_for_its_past();
    }
    [[nodiscard]] bool unused_but_for_its_past() const noexcept {
        return no_subscribers() && open == no_run && pins == 0 && !cursors;
    }
};

/// Finds topics by name, in a time that does not depend on how many there are.
class topic_table {
public:
    explicit topic_table(std::uint64_t seed) : topics_(0, text_hash(seed)) {}

    [[nodiscard]] topic_state* find(std::string_view name) const noexcept {
        const auto found = topics_.find(name);
        return found == topics_.end() ? nullptr : found->second.get();
    }

    topic_state& add(std::string_view name) {
        auto t = std::make_unique<topic_state>(name);
        auto& added = *t;
        topics_.emplace(added.name.view(), std::move(t));
        return added;
    }

    void remove(const topic_state& t) noexcept { topics_.erase(t.name.view()); }

    [[nodiscard]] std::size_t size() const noexcept { return topics_.size(); }

    template <class F>
    void for_each(F&& f) const {
        for (const auto& entry : topics_)
            f(*entry.second);
    }

private:
    /// The keys view the topics' own names.
    boost::unordered_flat_map<std::string_view, std::unique_ptr<topic_state>, text_hash> topics_;
};

} // namespace pusher::inline v0::detail
