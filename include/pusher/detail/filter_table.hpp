// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/group.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/text_hash.hpp>
#include <pusher/topic.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// A filter that has subscribers, or levels that several filters begin with. Levels on the way at which no
/// filter ends and none parts from the others have no node of their own: they are in the chain of the next.
struct filter_node : pattern {
    static constexpr std::uint32_t unregistered = 0xFFFFFFFFU;

    filter_node(filter_node* p, const shared_text& t, std::size_t b, std::size_t e)
        : pattern(kind::filter),
          parent(p),
          text(t),
          begin(static_cast<std::uint16_t>(b)),
          end(static_cast<std::uint16_t>(e)) {
        id = unregistered; // until it has subscribers
    }

    /// A child whose chain begins with a text; the key views that level in `keeps`.
    struct entry {
        shared_text keeps;
        std::unique_ptr<filter_node> node;
    };
    using entries = boost::unordered_flat_map<std::string_view, entry, text_hash>;

    /// All levels from the root, and those from the parent on, each with a slash behind it.
    [[nodiscard]] std::string_view levels() const noexcept { return text.view().substr(0, end); }
    [[nodiscard]] std::string_view chain() const noexcept { return levels().substr(begin); }

    [[nodiscard]] bool has_children() const noexcept { return literals || any_level || any_rest; }

    filter_node* parent;
    shared_text text; ///< of a filter that begins with its levels
    std::uint16_t begin;
    std::uint16_t end;
    std::unique_ptr<entries> literals;      ///< null: none
    std::unique_ptr<filter_node> any_level; ///< the child that begins with `+`
    std::unique_ptr<filter_node> any_rest;  ///< the child `#`
};

/// The levels of a topic: as many as a filter may have, and one more if there is one.
class topic_levels {
public:
    /// Finds the first one only, which may be all that is needed.
    explicit topic_levels(std::string_view topic) noexcept : topic_(topic) {
        begins_[0] = 0;
        find_next();
    }
    void find_all() noexcept {
        while (begins_[size_] <= topic_.size() && size_ <= max_filter_levels)
            find_next();
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
        return {topic_.data() + begins_[i], begins_[i + 1] - 1 - begins_[i]};
    }

private:
    void find_next() noexcept {
        auto i = begins_[size_];
        while (i != topic_.size() && topic_[i] != '/')
            ++i;
        begins_[++size_] = i + 1;
    }

    std::string_view topic_;
    std::size_t size_ = 0;
    std::array<std::size_t, max_filter_levels + 2> begins_; // as far as found: every publish makes one
};

/// Finds the filters that match a topic (MQTT 5.0, section 4.7) by walking both level by level. Only what
/// agrees with the topic so far is visited, however many filters there are. In the worst case all of them do:
/// then fewer than two nodes are visited for each, and its text is compared once.
class filter_table {
public:
    explicit filter_table(std::uint64_t seed) : seed_(seed), root_(nullptr, {}, 0, 0) {}

    [[nodiscard]] bool empty() const noexcept { return filters_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return filters_; }
    /// Levels of all filters, each counted once where several begin alike.
    [[nodiscard]] std::size_t levels() const noexcept { return levels_; }

    [[nodiscard]] filter_node* find(std::string_view filter) const noexcept {
        auto* at = const_cast<filter_node*>(&root_);
        while (at->end <= filter.size()) {
            const auto rest = filter.substr(at->end);
            at = child(*at, first_level(rest));
            if (!at || common_levels(at->chain(), rest) != at->chain().size())
                return nullptr;
        }
        return at;
    }

    /// The node of a filter, made if there is none. \param filter must be valid.
    filter_node& add(std::string_view filter) {
        auto* at = &root_;
        while (at->end <= filter.size()) {
            const auto rest = filter.substr(at->end);
            auto* next = child(*at, first_level(rest));
            if (!next)
                return add_leaf(*at, shared_text(std::string(filter) + '/'));
            const auto common = common_levels(next->chain(), rest);
            at = common == next->chain().size() ? next : &split(*next, common);
        }
        return *at;
    }

    /// Keeps count of the filters that have subscribers: `match` is skipped while there are none.
    void gained_subscribers() noexcept { ++filters_; }
    void lost_subscribers() noexcept { --filters_; }

    /// Removes a node that nobody uses, and every level that only led to it.
    void remove_unused(filter_node& node) noexcept {
        auto* at = &node;
        if (!node.has_children()) {
            at = node.parent;
            remove_leaf(node);
        }
        if (at->parent && at->no_subscribers() && at->pins == 0)
            join_only_child(*at);
    }

    /// Appends every filter that matches and has subscribers. A topic whose first level begins with `$` is
    /// not matched by a filter that begins with `+` or `#`. \return how many nodes were visited
    std::size_t match(std::string_view topic, std::vector<filter_node*>& out) const {
        if (empty())
            return 0;
        topic_levels levels(topic);
        return match(root_, levels, 0, out);
    }

    /// Whether one filter matches one topic.
    [[nodiscard]] static bool matches(const filter_node& filter, std::string_view topic) noexcept {
        const auto text = filter.levels();
        if (topic.starts_with('$') && (text.starts_with('+') || text.starts_with('#')))
            return false;
        topic_levels levels(topic);
        levels.find_all();
        return follow(text, levels, 0) == levels.size();
    }

private:
    static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

    static std::string_view first_level(std::string_view text) noexcept {
        return text.substr(0, text.find('/'));
    }
    static std::size_t count_levels(std::string_view chain) noexcept {
        return static_cast<std::size_t>(std::count(chain.begin(), chain.end(), '/'));
    }
    /// A text as if it had a slash behind each level, also the last.
    static char at(std::string_view text, std::size_t i) noexcept { return i == text.size() ? '/' : text[i]; }

    /// How much of a chain are levels that the text begins with.
    static std::size_t common_levels(std::string_view chain, std::string_view text) noexcept {
        std::size_t common = 0;
        for (std::size_t i = 0; i != chain.size() && i <= text.size() && chain[i] == at(text, i); ++i)
            if (chain[i] == '/')
                common = i + 1;
        return common;
    }

    /// Goes along a chain from a topic's level `i`. \return the level that is next, the number of levels if
    /// none is left, or `nowhere`
    static std::size_t follow(std::string_view chain, const topic_levels& topic, std::size_t i) noexcept {
        for (; !chain.empty(); ++i) {
            if (chain.front() == '#')
                return topic.size();
            if (i == topic.size())
                return nowhere;
            const auto level = topic[i];
            if (chain.front() == '+')
                chain.remove_prefix(2);
            else if (chain.starts_with(level) && chain[level.size()] == '/')
                chain.remove_prefix(level.size() + 1);
            else
                return nowhere;
        }
        return i;
    }

    static std::size_t
    match(const filter_node& from, topic_levels& topic, std::size_t i, std::vector<filter_node*>& out) {
        std::size_t visited = 0;
        const auto descend = [&](filter_node& child) {
            ++visited;
            topic.find_all();
            const auto next = follow(child.chain(), topic, i);
            if (next == nowhere)
                return;
            if (next == topic.size() && !child.no_subscribers())
                out.push_back(&child);
            if (child.has_children())
                visited += match(child, topic, next, out);
        };
        if (i != 0 || !topic[0].starts_with('$')) {
            if (auto* const rest = from.any_rest.get()) { // also where no level is left: `a/#` matches `a`
                ++visited;
                if (!rest->no_subscribers())
                    out.push_back(rest);
            }
            if (from.any_level)
                descend(*from.any_level);
        }
        if (from.literals && i != topic.size())
            if (const auto found = from.literals->find(topic[i]); found != from.literals->end())
                descend(*found->second.node);
        return visited;
    }

    static filter_node* child(const filter_node& parent, std::string_view level) noexcept {
        if (level == "+")
            return parent.any_level.get();
        if (level == "#")
            return parent.any_rest.get();
        if (!parent.literals)
            return nullptr;
        const auto found = parent.literals->find(level);
        return found == parent.literals->end() ? nullptr : found->second.node.get();
    }

    /// Where a parent keeps the child whose chain begins at `begin` of a text.
    std::unique_ptr<filter_node>&
    place(filter_node& parent, const shared_text& text, std::size_t begin) const {
        const auto level = first_level(text.view().substr(begin));
        if (level == "+")
            return parent.any_level;
        if (level == "#")
            return parent.any_rest;
        if (!parent.literals)
            parent.literals = std::make_unique<filter_node::entries>(0, text_hash(seed_));
        return parent.literals->try_emplace(level, text, nullptr).first->second.node;
    }
    std::unique_ptr<filter_node>& place(const filter_node& node) const {
        return place(*node.parent, node.text, node.begin);
    }

    filter_node& add_leaf(filter_node& parent, const shared_text& text) {
        auto leaf = std::make_unique<filter_node>(&parent, text, parent.end, text.view().size());
        auto& added = *leaf;
        place(added) = std::move(leaf);
        levels_ += count_levels(added.chain());
        return added;
    }

    void remove_leaf(filter_node& node) noexcept {
        auto& parent = *node.parent;
        levels_ -= count_levels(node.chain());
        if (parent.any_level.get() == &node)
            parent.any_level.reset();
        else if (parent.any_rest.get() == &node)
            parent.any_rest.reset();
        else
            parent.literals->erase(parent.literals->find(first_level(node.chain())));
        if (parent.literals && parent.literals->empty())
            parent.literals.reset();
    }

    /// Gives the first bytes of a chain to a node of their own. A node that others know stays where it is.
    filter_node& split(filter_node& node, std::size_t size) const {
        const auto middle = node.begin + size;
        auto made = std::make_unique<filter_node>(node.parent, node.text, node.begin, middle);
        auto& first = *made;
        auto& below = place(first, node.text, middle);
        below = std::exchange(place(node), std::move(made));
        node.parent = &first;
        node.begin = first.end;
        return first;
    }

    /// The opposite of `split`, if there is one child.
    void join_only_child(filter_node& node) const noexcept {
        const auto children = (node.literals ? node.literals->size() : 0U) + (node.any_level ? 1U : 0U) +
                              (node.any_rest ? 1U : 0U);
        if (children != 1)
            return;
        auto only = std::move(
            node.any_level  ? node.any_level
            : node.any_rest ? node.any_rest
                            : node.literals->begin()->second.node);
        only->parent = node.parent;
        only->begin = node.begin;
        place(node) = std::move(only);
    }

    std::uint64_t seed_;
    filter_node root_;
    std::size_t filters_ = 0;
    std::size_t levels_ = 0;
};

} // namespace pusher::inline v0::detail
