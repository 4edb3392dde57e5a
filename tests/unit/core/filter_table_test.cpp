// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The table of filters by itself: that it finds what a naive matcher finds, and what a walk through it costs.

#include <pusher/detail/filter_table.hpp>
#include <pusher/topic.hpp>

#include "catch.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using pusher::detail::filter_node;

namespace {

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> levels(1);
    for (const char c : text)
        if (c == '/')
            levels.emplace_back();
        else
            levels.back() += c;
    return levels;
}

bool naive_match(std::string_view filter, std::string_view topic) {
    const auto f = split(filter);
    const auto t = split(topic);
    if (topic.front() == '$' && (f[0] == "+" || f[0] == "#"))
        return false;
    for (std::size_t i = 0; i != f.size(); ++i) {
        if (f[i] == "#")
            return true;
        if (i == t.size() || (f[i] != "+" && f[i] != t[i]))
            return false;
    }
    return f.size() == t.size();
}

/// A table, used as the core uses it.
class filters {
public:
    void add(const std::string& text) {
        auto& node = table_.add(text);
        if (nodes_.emplace(text, &node).second)
            table_.gained_subscribers();
        if (node.no_subscribers())
            node.members.push_back({1, 0});
    }
    void remove(const std::string& text) {
        nodes_.at(text)->members.clear();
        release(text);
    }
    void pin(const std::string& text) { ++nodes_.at(text)->pins; }
    void unpin(const std::string& text) {
        --nodes_.at(text)->pins;
        release(text);
    }

    [[nodiscard]] std::vector<std::string> match(std::string_view topic) {
        std::vector<filter_node*> found;
        visited = table_.match(topic, found);
        std::vector<std::string> texts;
        for (const auto* const node : found)
            for (const auto& [text, known] : nodes_)
                if (known == node)
                    texts.push_back(text);
        REQUIRE(texts.size() == found.size());
        std::sort(texts.begin(), texts.end());
        return texts;
    }
    [[nodiscard]] const std::map<std::string, filter_node*>& nodes() const { return nodes_; }
    [[nodiscard]] const pusher::detail::filter_table& table() const { return table_; }

    std::size_t visited = 0; ///< nodes, by the last `match`

private:
    void release(const std::string& text) {
        auto* const node = nodes_.at(text);
        if (!node->no_subscribers() || node->pins != 0)
            return;
        nodes_.erase(text);
        table_.lost_subscribers();
        table_.remove_unused(*node);
    }

    pusher::detail::filter_table table_{42};
    std::map<std::string, filter_node*> nodes_;
};

std::size_t distinct_levels(const std::map<std::string, filter_node*>& nodes) {
    std::set<std::string> beginnings;
    for (const auto& [text, node] : nodes) {
        std::string beginning;
        for (const auto& level : split(text))
            beginnings.insert(beginning += level + '/');
    }
    return beginnings.size();
}

/// A topic of the most levels that a filter may have, and filters that all but match it.
const std::string hostile_topic = [] {
    std::string topic = "a";
    for (std::size_t n = 1; n != pusher::max_filter_levels; ++n)
        topic += "/a";
    return topic;
}();

std::string hostile_filter(std::size_t number) {
    std::string filter;
    for (std::size_t n = 0; n + 1 != pusher::max_filter_levels; ++n)
        filter += (number >> n % 20 & 1) != 0 ? "+/" : "a/";
    return filter + 'b';
}

} // namespace

TEST_CASE("filter table: it finds what a naive matcher finds, whatever comes and goes", "[core]") {
    const std::string levels[] = {"a", "b", "ab", "a", "b", "", "$", "$a", "+", "+", "+", "#"};
    for (unsigned seed = 1; seed != 31; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
        const auto text = [&] {
            std::string made;
            for (auto left = 1 + below(5); left != 0; --left)
                made.append(made.empty() ? "" : "/").append(levels[below(std::size(levels))]);
            return made.empty() ? "a" : made;
        };
        filters tested;
        std::set<std::string> live;
        std::vector<std::string> pinned;
        const auto any_of = [&](const std::set<std::string>& of) {
            return *std::next(of.begin(), static_cast<std::ptrdiff_t>(below(of.size())));
        };
        for (int step = 0; step != 300; ++step) {
            const auto choice = below(20);
            // Grows in the first half, shrinks in the second.
            if (choice < (step < 150 ? 10U : 3U)) {
                const auto filter = text();
                if (pusher::is_valid_filter(filter)) {
                    tested.add(filter);
                    live.insert(filter);
                }
            } else if (choice < 13 && !live.empty()) {
                const auto filter = any_of(live);
                tested.remove(filter);
                live.erase(filter);
            } else if (choice == 13 && !live.empty()) {
                pinned.push_back(any_of(live));
                tested.pin(pinned.back());
            } else if (choice == 14 && !pinned.empty()) {
                tested.unpin(pinned.back());
                pinned.pop_back();
            }

            CHECK(tested.table().size() == tested.nodes().size());
            CHECK(tested.table().levels() == distinct_levels(tested.nodes()));
            const auto topic = text();
            std::vector<std::string> expected;
            for (const auto& [filter, node] : tested.nodes()) {
                INFO(filter << " and " << topic);
                const bool matches = naive_match(filter, topic);
                REQUIRE(pusher::detail::filter_table::matches(*node, topic) == matches);
                REQUIRE(tested.table().find(filter) == node);
                if (matches && live.contains(filter))
                    expected.push_back(filter);
            }
            CAPTURE(topic);
            REQUIRE(tested.match(topic) == expected);
            REQUIRE(tested.visited <= 2 * tested.nodes().size());
            const auto other = text();
            const auto* const found = tested.table().find(other);
            REQUIRE((found && !found->no_subscribers()) == live.contains(other));
        }
        for (; !pinned.empty(); pinned.pop_back())
            tested.unpin(pinned.back());
        for (const auto& filter : live)
            tested.remove(filter);
        CHECK(tested.table().empty());
        CHECK(tested.table().levels() == 0);
        CHECK(tested.table().find("a") == nullptr);
    }
}

TEST_CASE("filter table: topics of more levels than a filter may have, and of no valid length", "[core]") {
    filters tested;
    const std::string most = hostile_topic;
    tested.add(most);
    tested.add("+" + most.substr(1));
    tested.add(most.substr(0, most.size() - 1) + "#");
    CHECK(tested.match(most).size() == 3);
    CHECK(tested.match(most + "/a").size() == 1);
    CHECK(tested.match(most + "/a/a/").size() == 1);
    CHECK(tested.match(most + "a").size() == 1);
    CHECK(tested.match(most + std::string(100'000, 'a')).size() == 1);
    CHECK(tested.match(std::string(100'000, '/')).empty());
    CHECK(tested.match("").empty());
}

TEST_CASE(
    "filter table: a walk visits fewer than two nodes for each filter that was made to be costly", "[core]") {
    constexpr std::size_t many = 1024;
    filters tested;
    for (std::size_t n = 0; n != many; ++n)
        tested.add(hostile_filter(n * 977 % many));
    REQUIRE(tested.table().size() == many);
    REQUIRE(tested.table().levels() > 20 * many); // what each publish would visit level by level
    CHECK(tested.match(hostile_topic).empty());
    CHECK(tested.visited < 2 * many);

    // Those that begin like another, at every level, leave nothing behind.
    for (std::size_t n = 0; n != many; ++n) {
        const auto filter = hostile_filter(n);
        for (auto end = filter.find('/'); end != filter.npos; end = filter.find('/', end + 1))
            tested.add(filter.substr(0, end));
    }
    CHECK(tested.match(hostile_topic).empty());
    CHECK(tested.visited > 20 * many);
    for (auto left = tested.nodes(); const auto& [filter, node] : left)
        if (split(filter).size() != pusher::max_filter_levels)
            tested.remove(filter);
    REQUIRE(tested.table().size() == many);
    CHECK(tested.match(hostile_topic).empty());
    CHECK(tested.visited < 2 * many);
}

TEST_CASE("filter table: what a topic has nothing to do with is not visited", "[core]") {
    filters tested;
    for (int n = 0; n != 10'000; ++n) {
        const auto id = std::to_string(n);
        tested.add("devices/" + id + "/+");
        tested.add("devices/" + id + "/state/#");
        tested.add(id + "/+/alarm");
    }
    CHECK(tested.match("devices/77/state") == std::vector<std::string>{"devices/77/+", "devices/77/state/#"});
    CHECK(tested.visited == 4); // `devices`, `77`, and both
    CHECK(tested.match("77/x/alarm") == std::vector<std::string>{"77/+/alarm"});
    CHECK(tested.visited == 1);
    CHECK(tested.match("rooms/77").empty());
    CHECK(tested.visited == 0);
}
