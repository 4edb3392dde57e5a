// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Filters: the rules of MQTT 5.0, section 4.7.

#include <pusher/detail/core.hpp>
#include <pusher/topic.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <string>
#include <vector>

using namespace test;

namespace {

struct rule {
    std::string filter;
    std::string topic;
    bool matches;
};

const rule rules[] = {
    // the examples of the standard
    {"sport/tennis/player1/#", "sport/tennis/player1", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
    {"sport/#", "sport", true},
    {"sport/tennis/+", "sport/tennis/player1", true},
    {"sport/tennis/+", "sport/tennis/player1/ranking", false},
    {"sport/+", "sport", false},
    {"sport/+", "sport/", true},
    {"+/+", "/finance", true},
    {"/+", "/finance", true},
    {"+", "/finance", false},
    {"#", "$SYS/monitor", false},
    {"+/monitor/Clients", "$SYS/monitor/Clients", false},
    {"$SYS/#", "$SYS/monitor", true},
    {"$SYS/#", "$SYS", true},
    {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
    // levels, empty ones too
    {"#", "a", true},
    {"#", "/", true},
    {"#", "a/b/c", true},
    {"+", "a", true},
    {"+/#", "a", true},
    {"+/#", "a/b", true},
    {"+/+/#", "a", false},
    {"+/+/#", "a/b", true},
    {"/#", "/", true},
    {"/#", "a", false},
    {"a//b", "a//b", true},
    {"a//b", "a/b", false},
    {"a/+/b", "a//b", true},
    {"a/", "a", false},
    {"a", "a/", false},
    {"a/#", "ab", false},
    {"a/#", "a/", true},
    {"a/+/c/#", "a/b/c", true},
    {"a/+/c/#", "a/b/c/d/e", true},
    {"a/+/c/#", "a/b/d", false},
    {"+/b/+", "a/b/c", true},
    {"+/b/+", "a/b", false},
    // bytes, not letters
    {"A", "a", false},
    {"\xC3\xA4/+", "\xC3\xA4/x", true},
    // `$` protects the first level alone
    {"a/#", "a/$b", true},
    {"a/+", "a/$b", true},
    {"+", "$", false},
    {"#", "$", false},
    {"$", "$", true},
    {"$/+", "$/x", true},
    // `+` and `#` in a topic are text
    {"a/+", "a/+", true},
    {"+", "+", true},
    {"+", "#", true},
    {"#", "#", true},
    {"a/#", "a/#", true},
    {"a/b", "a/+", false},
    {"*", "*", true},
    {"*", "a", false},
};

} // namespace

TEST_CASE("topics: every character but those that control", "[core]") {
    const auto utf8 = [](unsigned c) {
        const auto last = [&](unsigned shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
        if (c < 0x80)
            return std::string{static_cast<char>(c)};
        if (c < 0x800)
            return std::string{static_cast<char>(0xC0 | (c >> 6)), last(0)};
        return std::string{static_cast<char>(0xE0 | (c >> 12)), last(6), last(0)};
    };
    for (unsigned c = 0; c != 0xD800; ++c) {
        const bool good = c >= 0x20 && (c < 0x7F || c > 0x9F);
        for (const auto& text : {utf8(c), utf8(c) + "a", "a" + utf8(c), "ä" + utf8(c) + "ä"}) {
            INFO(c);
            REQUIRE(pusher::is_valid_topic(text) == good);
            REQUIRE(pusher::is_valid_type(text) == good);
            if (c != '+' && c != '#' && c != '/')
                REQUIRE(pusher::is_valid_filter("+/" + text + "/#") == good);
        }
    }
    for (const std::string text :
         {"\xC2", "\xC2\xC2\xA0", "a\xC2", "\xC2x", "\x80", "\xA0", "\xC0\xA0", "\xFF"})
        CHECK_FALSE(pusher::is_valid_topic(text));
    for (const std::string text : {"\xE0\xA0\x80", "\xC3\x82\xC2\xA0", "\xF0\x9F\x98\x80", "\xEF\xBF\xBD"})
        CHECK(pusher::is_valid_topic(text)); // bytes from 80 to 9F are not characters
}

TEST_CASE("filters: the table of rules, each filter alone", "[core]") {
    for (const auto& r : rules) {
        INFO(r.filter << " and " << r.topic);
        REQUIRE(pusher::is_valid_filter(r.filter));
        core_script s;
        auto h = s.handler();
        auto q = s.session();
        s.subscribe_filter(h, r.filter);
        s.subscribe_filter(q, r.filter);
        CHECK(s.publish(r.topic, "1").matched == (r.matches ? 2U : 0U));
        s.turn();
        CHECK(h->take().size() == (r.matches ? 1U : 0U));
        CHECK(q->link.frames().size() == (r.matches ? 1U : 0U));
        CHECK(s.core.topics() == 0);
    }
}

TEST_CASE("filters: the table of rules, all filters at once, added and removed in any order", "[core]") {
    core_script s;
    std::vector<std::pair<std::string, recorder_ptr>> subscribed;
    for (const auto& r : rules) {
        auto h = s.handler();
        s.subscribe_filter(h, r.filter);
        subscribed.emplace_back(r.filter, h);
    }
    auto check = [&] {
        for (const auto& r : rules) {
            s.publish(r.topic, "1");
            for (const auto& [filter, h] : subscribed) {
                const bool got = !h->take().empty();
                for (const auto& other : rules)
                    if (other.filter == filter && other.topic == r.topic) {
                        INFO(filter << " and " << r.topic);
                        CHECK(got == other.matches);
                    }
            }
        }
    };
    check();
    for (std::size_t step = 7; !subscribed.empty(); step = step * 5 + 3) {
        for (int n = 0; n != 10 && !subscribed.empty(); ++n) {
            const auto at = subscribed.begin() + static_cast<std::ptrdiff_t>(step % subscribed.size());
            CHECK(s.unsubscribe_filter(at->second, at->first));
            subscribed.erase(at);
        }
        check();
    }
    CHECK(s.core.filters() == 0);
    CHECK(s.core.topics() == 0);
}

TEST_CASE("filters: a filter with a text is not the topic of that text", "[core]") {
    core_script s;
    auto topic = s.handler();
    auto filter = s.handler();
    s.subscribe(topic, "a/+");
    s.subscribe_filter(filter, "a/+");
    CHECK(s.publish("a/b", "1").matched == 1);
    CHECK(s.publish("a/+", "2").matched == 2);
    CHECK(topic->take() == texts{"a/+=2"});
    CHECK(filter->take() == texts{"a/b=1", "a/+=2"});
    CHECK(s.unsubscribe(topic, "a/+"));
    CHECK(s.core.filters() == 1);
    CHECK(s.unsubscribe_filter(filter, "a/+"));
    CHECK(s.core.filters() == 0);
}

TEST_CASE("filters: a filter on the way to another has no subscribers of its own", "[core]") {
    core_script s;
    auto h = s.handler();
    s.subscribe_filter(h, "a/b/c/#");
    CHECK(s.core.filters() == 1);
    CHECK_FALSE(s.unsubscribe_filter(h, "a/b"));
    CHECK_FALSE(s.unsubscribe_filter(h, "a/b/c"));
    CHECK_FALSE(s.unsubscribe_filter(h, "a"));
    CHECK_FALSE(s.unsubscribe_filter(h, ""));
    CHECK(s.publish("a/b", "1").matched == 0);
    s.subscribe_filter(h, "a/b");
    CHECK(s.core.filters() == 2);
    CHECK(s.unsubscribe_filter(h, "a/b/c/#"));
    CHECK(s.publish("a/b", "2").matched == 1);
    CHECK(s.unsubscribe_filter(h, "a/b"));
    CHECK(s.core.filters() == 0);
}

TEST_CASE("filters: the most levels", "[core]") {
    std::string filter = "+";
    std::string topic = "a";
    for (std::size_t n = 1; n != pusher::max_filter_levels; ++n) {
        filter += "/+";
        topic += "/a";
    }
    core_script s;
    auto h = s.handler();
    auto q = s.session();
    core_script::options quiet;
    quiet.echo = false;
    s.subscribe_filter(h, filter);
    s.subscribe_filter(q, filter, quiet);
    CHECK(s.publish(topic, "1", {}, q->id).matched == 1);
    CHECK(s.publish(topic, "2").matched == 2);
    CHECK(s.publish(topic + "/a", "3").matched == 0);
    pusher::error_code ec;
    core_script::options o;
    o.match = pusher::match_mode::filter;
    s.core.subscribe(*h, filter + "/+", o, ec);
    CHECK(ec == pusher::errc::invalid_filter);
    // A topic may have more.
    CHECK(s.publish(std::string(255, '/'), "4").matched == 0);
}
