// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/group.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/text_hash.hpp>
#include <pusher/topic.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// A filter that has subscribers, or a level on the way to one.
struct filter_node : pattern {
    static constexpr std::uint32_t unregistered = 0xFFFFFFFFU;

    filter_node(filter_node* p, std::string_view text) : pattern(kind::filter), parent(p), level(text) {
        id = unregistered; // until it has subscribers
    }

    /// The keys view the children's own levels.
    using child_map = boost::unordered_flat_map<std::string_view, std::unique_ptr<filter_node>, text_hash>;

    [[nodiscard]] filter_node* child(std::string_view text) const noexcept {
        if (!children)
            return nullptr;
        const auto found = children->find(text);
        return found == children->end() ? nullptr : found->second.get();
    }

    filter_node* parent;
    shared_text level;
    std::unique_ptr<child_map> children; ///< null: none
    filter_node* any_level = nullptr;    ///< the child `+`
    filter_node* any_rest = nullptr;     ///< the child `#`
};

/// Finds the filters that match a topic by walking both level by level (MQTT 5.0, section 4.7): the cost is
/// that of the levels, not of the number of filters.
class filter_table {
public:
    explicit filter_table(std::uint64_t seed) : seed_(seed), root_(nullptr, "") {}

    [[nodiscard]] bool empty() const noexcept { return filters_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return filters_; }
    /// Levels of all filters, each counted once where several begin alike.
    [[nodiscard]] std::size_t levels() const noexcept { return levels_; }

    [[nodiscard]] filter_node* find(std::string_view filter) const noexcept {
        const filter_node* at = &root_;
        const bool complete = for_each_level(filter, [&](std::string_view level) {
            at = at->child(level);
            return at != nullptr;
        });
        return complete ? const_cast<filter_node*>(at) : nullptr;
    }

    /// The node of a filter, made if there is none. \param filter must be valid.
    filter_node& add(std::string_view filter) {
        filter_node* at = &root_;
        for_each_level(filter, [&](std::string_view level) {
            if (auto* const found = at->child(level)) {
                at = found;
                return true;
            }
            auto child = std::make_unique<filter_node>(at, level);
            if (level == "+")
                at->any_level = child.get();
            else if (level == "#")
                at->any_rest = child.get();
            auto& added = *child;
            if (!at->children)
                at->children = std::make_unique<filter_node::child_map>(0, text_hash(seed_));
            at->children->emplace(added.level.view(), std::move(child));
            ++levels_;
            at = &added;
            return true;
        });
        return *at;
    }

    /// Keeps count of the filters that have subscribers: `match` is skipped while there are none.
    void gained_subscribers() noexcept { ++filters_; }
    void lost_subscribers() noexcept { --filters_; }

    /// Removes a node that nobody uses, and every level that only led to it.
    void remove_unused(filter_node& node) noexcept {
        auto* at = &node;
        while (at->parent && !at->children && at->no_subscribers() && at->pins == 0) {
            auto* const parent = at->parent;
            if (parent->any_level == at)
                parent->any_level = nullptr;
            else if (parent->any_rest == at)
                parent->any_rest = nullptr;
            const auto name = at->level; // the key views it
            parent->children->erase(name.view());
            if (parent->children->empty())
                parent->children.reset();
            --levels_;
            at = parent;
        }
    }

    /// Appends every filter that matches and has subscribers. A topic whose first level begins with `$` is
    /// not matched by a filter that begins with `+` or `#`.
    void match(std::string_view topic, std::vector<filter_node*>& out) const {
        if (filters_ != 0)
            match(root_, topic, topic.starts_with('$'), out);
    }

    /// Whether one filter matches one topic.
    [[nodiscard]] static bool matches(const filter_node& filter, std::string_view topic) noexcept {
        std::array<const filter_node*, max_filter_levels> levels;
        std::size_t depth = 0;
        for (const auto* at = &filter; at->parent; at = at->parent)
            levels[depth++] = at;
        if (topic.starts_with('$') && (levels[depth - 1] == levels[depth - 1]->parent->any_level ||
                                       levels[depth - 1] == levels[depth - 1]->parent->any_rest))
            return false;
        for (auto i = depth; i-- != 0;) {
            const auto level = levels[i]->level.view();
            if (level == "#")
                return true;
            const auto part = first_level(topic);
            if (level != "+" && level != part)
                return false;
            if (part.size() == topic.size())
                return i == 0 || (i == 1 && levels[0]->level.view() == "#");
            topic.remove_prefix(part.size() + 1);
        }
        return false;
    }

private:
    static std::string_view first_level(std::string_view text) noexcept {
        return text.substr(0, text.find('/'));
    }

    template <class F>
    static bool for_each_level(std::string_view text, F&& f) {
        for (;;) {
            const auto level = first_level(text);
            if (!f(level))
                return false;
            if (level.size() == text.size())
                return true;
            text.remove_prefix(level.size() + 1);
        }
    }

    static void take(filter_node* node, std::vector<filter_node*>& out) {
        if (node && !node->no_subscribers())
            out.push_back(node);
    }

    static void
    match(const filter_node& at, std::string_view rest, bool only_literal, std::vector<filter_node*>& out) {
        if (!only_literal)
            take(at.any_rest, out);
        const auto level = first_level(rest);
        const bool last = level.size() == rest.size();
        auto descend = [&](filter_node* child) {
            if (!child)
                return;
            if (!last)
                return match(*child, rest.substr(level.size() + 1), false, out);
            take(child, out);
            take(child->any_rest, out); // `a/#` matches its parent `a`
        };
        if (!only_literal)
            descend(at.any_level);
        // The level is text here, also where it reads `+` or `#`: those children match as wildcards alone.
        if (level == "+" || level == "#")
            return;
        descend(at.child(level));
    }

    std::uint64_t seed_;
    filter_node root_;
    std::size_t filters_ = 0;
    std::size_t levels_ = 0;
};

} // namespace pusher::inline v0::detail
