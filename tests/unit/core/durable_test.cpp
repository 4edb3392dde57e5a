// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Durable subscriptions: they wait for their subscriber.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <chrono>
#include <string>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;

namespace {

pusher::detail::core_params with_history_of_h(std::size_t messages = 100) {
    pusher::detail::core_params p;
    p.history_for = [messages](std::string_view topic) {
        return pusher::history_params{topic.starts_with('h') ? messages : 0};
    };
    p.acknowledgement = {64, 1s};
    return p;
}

peer_ptr join(core_script& s, std::string_view uid) {
    auto p = s.session();
    p->remote = true;
    s.core.bind(*p, uid);
    return p;
}

pusher::subscribe_options durable(std::string_view name, std::string_view type = {}) {
    pusher::subscribe_options o;
    o.acknowledge = true;
    o.durable = name;
    o.type = type;
    return o;
}

void publish(core_script& s, std::string_view topic, int from, int to) {
    for (int n = from; n <= to; ++n)
        s.publish(topic, std::to_string(n));
    s.settle();
}

void acknowledge(core_script& s, const peer_ptr& p, std::uint64_t offset, std::string_view topic = "h") {
    error_code ec;
    s.core.acknowledge(*p, topic, offset, ec);
    CHECK(!ec);
    s.settle();
}

void leave(core_script& s, const peer_ptr& p) {
    s.core.remove(*p);
    s.settle();
}

void pass(core_script& s, std::chrono::milliseconds time) {
    virtual_clock::advance(time);
    s.core.run_due();
    s.settle();
}

texts positions(core_script& s) {
    texts found;
    s.core.for_each_durable([&](const pusher::detail::durable_cursor& c) {
        found.push_back(
            std::string(c.of->uid.view()) + "/" + std::string(c.of->name.view()) + " " +
            std::string(c.topic.view()) + ":" + std::string(c.type.view()) + " " + std::to_string(c.offset) +
            (c.reader ? " held" : ""));
    });
    std::sort(found.begin(), found.end());
    return found;
}

error_code refusal(core_script& s, const peer_ptr& p, const pusher::subscribe_options& o) {
    error_code ec;
    s.core.subscribe(*p, "h", o, ec);
    return ec;
}

} // namespace

TEST_CASE("durable: it goes on after what was acknowledged", "[core]") {
    core_script s(with_history_of_h());
    auto ann = join(s, "ann");
    publish(s, "h", 1, 2);
    const auto first = s.subscribe(ann, "h", durable("d"));
    CHECK(!first.recovered);
    publish(s, "h", 3, 5);
    CHECK(ann->link.frames() == texts{"h@3=3", "h@4=4", "h@5=5"});
    acknowledge(s, ann, 4);
    leave(s, ann);
    CHECK(positions(s) == texts{"ann/d h: 4"});
    publish(s, "h", 6, 7);
    auto again = join(s, "ann");
    CHECK(s.subscribe(again, "h", durable("d")).recovered == true);
    s.publish("h", "8");
    s.settle();
    CHECK(again->link.frames() == texts{"~h@5=5", "h@6=6", "h@7=7", "h@8=8"});
    acknowledge(s, again, 8);
    CHECK(positions(s) == texts{"ann/d h: 8 held"});
}

TEST_CASE("durable: names are of one identity, and hold several topics and types", "[core]") {
    core_script s(with_history_of_h());
    auto ann = join(s, "ann");
    auto bob = join(s, "bob");
    s.subscribe(ann, "h", durable("d"));
    s.subscribe(ann, "h2", durable("d", "x"));
    s.subscribe(bob, "h", durable("d"));
    s.settle();
    CHECK(positions(s) == texts{"ann/d h2:x 0 held", "ann/d h: 0 held", "bob/d h: 0 held"});
    CHECK(ann->taken_over == 0);
    leave(s, ann);
    s.publish("h2", "1");
    s.publish("h2", "2", "x");
    s.settle();
    auto again = join(s, "ann");
    s.subscribe(again, "h2", durable("d", "x"));
    s.settle();
    CHECK(again->link.frames() == texts{"h2:x@2=2"});
    CHECK(positions(s) == texts{"ann/d h2:x 0 held", "ann/d h: 0", "bob/d h: 0 held"});
}

TEST_CASE("durable: the newest holder has it", "[core]") {
    core_script s(with_history_of_h());
    auto one = join(s, "ann");
    s.subscribe(one, "h", durable("d"));
    s.subscribe(one, "h2", durable("d"));
    s.subscribe(one, "h3");
    publish(s, "h", 1, 1);
    CHECK(one->link.frames() == texts{"h@1=1"});
    auto two = join(s, "ann");
    s.subscribe(two, "h", durable("d"));
    s.settle();
    CHECK(one->taken_over == 1);
    CHECK(two->link.frames() == texts{"~h@1=1"});
    publish(s, "h", 2, 2);
    CHECK(one->link.frames().empty());
    CHECK(two->link.frames() == texts{"h@2=2"});
    CHECK(one->subs.size() == 1); // what is not of that name stays
    error_code ec;
    s.core.acknowledge(*one, "h", 1, ec);
    CHECK(ec == errc::not_found);
    leave(s, one);
    CHECK(positions(s) == texts{"ann/d h2: 0", "ann/d h: 0 held"});
    acknowledge(s, two, 2);
    CHECK(positions(s) == texts{"ann/d h2: 0", "ann/d h: 2 held"});
}

TEST_CASE("durable: unsubscribing ends it, and so does subscribing without the name", "[core]") {
    core_script s(with_history_of_h());
    auto ann = join(s, "ann");
    s.subscribe(ann, "h", durable("d"));
    publish(s, "h", 1, 2);
    CHECK(ann->link.frames().size() == 2);
    SECTION("unsubscribe") {
        s.unsubscribe(ann, "h");
        CHECK(positions(s).empty());
    }
    SECTION("only acknowledged from now on") {
        auto o = durable("");
        s.subscribe(ann, "h", o);
        CHECK(positions(s).empty());
        publish(s, "h", 3, 3);
        CHECK(ann->link.frames() == texts{"h@3=3"});
    }
    SECTION("not even that") {
        s.subscribe(ann, "h");
        CHECK(positions(s).empty());
    }
    SECTION("another name") {
        s.subscribe(ann, "h", durable("e"));
        CHECK(positions(s) == texts{"ann/e h: 0 held"}); // with what is not acknowledged
        CHECK(ann->link.frames().empty());
    }
    SECTION("by the host; who has it stays subscribed") {
        CHECK(s.core.remove_durable("ann", "d") == 1);
        CHECK(s.core.remove_durable("ann", "d") == 0);
        publish(s, "h", 3, 3);
        CHECK(ann->link.frames() == texts{"h@3=3"});
    }
    leave(s, ann);
    CHECK(s.core.durable_subscriptions() == (positions(s).size()));
}

TEST_CASE("durable: a subscription becomes durable with what it has not acknowledged", "[core]") {
    core_script s(with_history_of_h());
    auto ann = join(s, "ann");
    auto o = durable("");
    s.subscribe(ann, "h", o);
    publish(s, "h", 1, 3);
    acknowledge(s, ann, 1);
    s.subscribe(ann, "h", durable("d"));
    s.settle();
    CHECK(ann->link.frames() == texts{"h@1=1", "h@2=2", "h@3=3"}); // once
    CHECK(positions(s) == texts{"ann/d h: 1 held"});
    // The same again changes nothing.
    s.subscribe(ann, "h", durable("d"));
    publish(s, "h", 4, 4);
    CHECK(ann->link.frames() == texts{"h@4=4"});
    leave(s, ann);
    auto again = join(s, "ann");
    s.subscribe(again, "h", durable("d"));
    s.settle();
    CHECK(again->link.frames() == texts{"~h@2=2", "~h@3=3", "~h@4=4"});
}

TEST_CASE("durable: who says where to go on does so", "[core]") {
    core_script s(with_history_of_h());
    auto ann = join(s, "ann");
    s.subscribe(ann, "h", durable("d"));
    publish(s, "h", 1, 3);
    leave(s, ann);
    auto again = join(s, "ann");
    auto o = durable("d");
    o.resume = pusher::topic_position{s.core.find_topic("h")->past()->epoch(), 2};
    s.subscribe(again, "h", o);
    s.settle();
    CHECK(again->link.frames() == texts{"~h@3=3"});
    CHECK(positions(s) == texts{"ann/d h: 0 held"}); // that it has it is no acknowledgement
    acknowledge(s, again, 3);
    CHECK(positions(s) == texts{"ann/d h: 3 held"});
    o.resume->offset = 1;
    s.subscribe(again, "h", o);
    s.settle();
    CHECK(again->link.frames() == texts{"~h@2=2", "~h@3=3"});
    CHECK(positions(s) == texts{"ann/d h: 1 held"});
}

TEST_CASE("durable: what the history forgot meanwhile is told", "[core]") {
    core_script s(with_history_of_h(3));
    auto ann = join(s, "ann");
    s.subscribe(ann, "h", durable("d"));
    s.settle();
    leave(s, ann);
    publish(s, "h", 1, 5);
    auto again = join(s, "ann");
    CHECK(s.subscribe(again, "h", durable("d")).recovered == false);
    s.settle();
    CHECK(again->link.frames() == texts{"!h 2 1-2", "h@3=3", "h@4=4", "h@5=5"});
}

TEST_CASE("durable: it waits for as long as it may, and there are as many as may be", "[core]") {
    auto p = with_history_of_h();
    p.durable = {2, 10s};
    core_script s(p);
    auto ann = join(s, "ann");
    s.subscribe(ann, "h", durable("d"));
    s.subscribe(ann, "h2", durable("d"));
    CHECK(refusal(s, ann, durable("e")) == errc::too_many_subscriptions);
    pass(s, 20s);
    CHECK(positions(s).size() == 2); // they are held
    leave(s, ann);
    pass(s, 9999ms);
    CHECK(positions(s).size() == 2);
    auto again = join(s, "ann");
    s.subscribe(again, "h", durable("d"));
    pass(s, 20s);
    CHECK(positions(s) == texts{"ann/d h2: 0", "ann/d h: 0 held"});
    leave(s, again);
    pass(s, 10s);
    CHECK(positions(s).empty());
    CHECK(s.core.next_due() == pusher::detail::steady_time::max());
}

TEST_CASE("durable: where it cannot be", "[core]") {
    core_script s(with_history_of_h());
    auto ann = join(s, "ann");
    auto nobody = join(s, "");
    CHECK(refusal(s, nobody, durable("d")) == errc::not_authenticated);
    CHECK(refusal(s, ann, durable(std::string(256, 'x'))) == errc::invalid_message);
    CHECK(refusal(s, ann, durable("a\nb")) == errc::invalid_message);
    auto o = durable("d");
    o.acknowledge = false;
    CHECK(refusal(s, ann, o) == errc::unsupported);
    error_code ec;
    s.core.subscribe(*ann, "none", durable("d"), ec);
    CHECK(ec == errc::no_history);
    o = durable("d");
    o.match = pusher::match_mode::filter;
    s.core.subscribe(*ann, "h/#", o, ec);
    CHECK(ec == errc::unsupported);
    CHECK(s.core.durable_subscriptions() == 0);
}

TEST_CASE("durable: what is not acknowledged is the cursor's, not the mailbox's", "[core]") {
    auto p = with_history_of_h();
    p.on_failure = pusher::failure_ladder(pusher::failure::persist{});
    p.acknowledgement = {1, 1s};
    core_script s(p);
    auto ann = join(s, "ann");
    s.subscribe(ann, "h", durable("d"));
    publish(s, "h", 1, 3);
    CHECK(ann->link.frames() == texts{"h@1=1"});
    leave(s, ann);
    pass(s, 0ms);
    CHECK(s.core.parked() == 0);
    auto again = join(s, "ann");
    s.subscribe(again, "h", durable("d"));
    s.settle();
    CHECK(again->link.frames() == texts{"~h@1=1"});
}

TEST_CASE("durable: what one of several types has brought, the others do not bring again", "[core]") {
    core_script s(with_history_of_h());
    auto ann = join(s, "ann");
    s.subscribe(ann, "h", durable("d", "k"));
    s.subscribe(ann, "h", durable("d"));
    s.settle();
    leave(s, ann);
    for (const auto* type : {"k", "", "k"})
        s.publish("h", "x", type);
    s.settle();
    auto again = join(s, "ann");
    s.subscribe(again, "h", durable("d", "k"));
    s.settle();
    CHECK(again->link.frames() == texts{"h:k@1=x", "h:k@3=x"});
    s.subscribe(again, "h", durable("d"));
    s.settle();
    CHECK(again->link.frames() == texts{"h@2=x"});
    acknowledge(s, again, 3);
    CHECK(positions(s) == texts{"ann/d h: 3 held", "ann/d h:k 3 held"});
}
