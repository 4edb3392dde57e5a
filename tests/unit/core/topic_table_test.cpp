// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/topic_table.hpp>

#include "catch.hpp"

#include <cstddef>
#include <string>
#include <vector>

using pusher::detail::shared_text;
using pusher::detail::topic_table;

TEST_CASE("topic_table: finds what was added and not removed") {
    topic_table table(7);
    std::vector<std::string> names{"a", std::string(255, 'x'), "a/b", "b"};
    for (int i = 0; i != 1000; ++i)
        names.push_back("topic/" + std::to_string(i));
    for (const auto& name : names) {
        REQUIRE(!table.find(name));
        auto& added = table.add(name);
        CHECK(added.text() == name);
        CHECK(table.find(name) == &added);
    }
    CHECK(table.size() == names.size());
    std::size_t seen = 0;
    table.for_each([&](const pusher::detail::topic_state& t) { seen += table.find(t.text()) == &t ? 1 : 0; });
    CHECK(seen == names.size());
    for (std::size_t i = 0; i < names.size(); i += 2)
        table.remove(*table.find(names[i]));
    for (std::size_t i = 0; i != names.size(); ++i)
        CHECK((table.find(names[i]) != nullptr) == (i % 2 == 1));
}

TEST_CASE("topic_table: a topic's name outlives it") {
    shared_text kept;
    {
        topic_table table(7);
        kept = table.add("device/1/state").name();
        auto copy = kept;
        CHECK(copy.same(kept));
        CHECK(kept.same(table.find("device/1/state")->name()));
        table.remove(*table.find("device/1/state"));
        CHECK(copy.view() == "device/1/state");
        // Another of the same name is another topic.
        CHECK(!table.add("device/1/state").name().same(kept));
    }
    CHECK(kept.view() == "device/1/state");
    CHECK(!kept.empty());
    const auto last = kept;
    kept = shared_text("else");
    CHECK(last.view() == "device/1/state");
}
