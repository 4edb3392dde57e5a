// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Subscribers with a handler: what the callback hub promises, and what it left open.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace test;
using pusher::errc;
using pusher::message;

TEST_CASE("core: one to one, to a group, and to everyone", "[core]") {
    core_script s;
    texts log;
    std::vector<recorder_ptr> users;
    for (const std::string name : {"100", "101", "102"}) {
        auto u = s.handler(
            [&log, name](const message& m) { log.push_back(name + " got " + std::string(m.payload())); });
        s.subscribe(u, "userid_" + name);
        s.subscribe(u, "*");
        users.push_back(u);
    }
    s.subscribe(users[0], "topic_a");
    s.subscribe(users[1], "topic_a");

    CHECK(s.publish("userid_100", "to one").matched == 1);
    CHECK(s.publish("topic_a", "to a group").matched == 2);
    CHECK(s.publish("*", "to everyone").matched == 3);
    CHECK(s.publish("userid_103", "to nobody").matched == 0);
    CHECK(
        log == texts{
                   "100 got to one", "100 got to a group", "101 got to a group", "100 got to everyone",
                   "101 got to everyone", "102 got to everyone"});
    CHECK(s.asked == 0); // nothing waits for the end of the turn
}

TEST_CASE("core: a subscriber is one, however often it subscribes", "[core]") {
    core_script s;
    auto a = s.handler();
    s.subscribe(a, "t");
    s.subscribe(a, "t");
    CHECK(s.core.subscriptions() == 1);

    SECTION("twice to one topic") {
        CHECK(s.publish("t", "1").matched == 1);
        CHECK(a->take() == texts{"t=1"});
        CHECK(s.unsubscribe(a, "t"));
        CHECK_FALSE(s.unsubscribe(a, "t"));
        CHECK(s.publish("t", "2").matched == 0);
        CHECK(a->take().empty());
    }
    SECTION("by topic, type and filters") {
        core_script::options typed;
        typed.type = "x";
        s.subscribe(a, "t", typed);
        s.subscribe_filter(a, "+");
        s.subscribe_filter(a, "#");
        s.subscribe_filter(a, "#", typed);
        CHECK(s.publish("t", "1", "x").matched == 1);
        CHECK(s.publish("t", "2").matched == 1);
        CHECK(a->take() == texts{"t:x=1", "t=2"});
    }
}

TEST_CASE("core: `*` is an ordinary topic", "[core]") {
    core_script s;
    auto a = s.handler();
    s.subscribe(a, "*");
    CHECK(s.publish("topic_a", "1").matched == 0);
    CHECK(s.publish("*", "2").matched == 1);
    CHECK(a->take() == texts{"*=2"});
}

TEST_CASE("core: what nobody wants leaves nothing behind", "[core]") {
    core_script s;
    auto a = s.handler();
    auto p = s.session();
    core_script::options typed;
    typed.type = "x";
    for (const auto& who : {pusher::detail::subscriber_ptr(a), pusher::detail::subscriber_ptr(p)}) {
        s.subscribe(who, "t");
        s.subscribe(who, "t", typed);
        s.subscribe(who, "only/typed", typed);
        s.subscribe_filter(who, "a/+/c");
        s.subscribe_filter(who, "a/+/c/#", typed);
    }
    CHECK(s.core.topics() == 2);
    CHECK(s.core.filters() == 2);
    CHECK(s.core.subscriptions() == 10);
    s.publish("other", "1");
    CHECK(s.core.topics() == 2);

    for (const auto& who : {pusher::detail::subscriber_ptr(p), pusher::detail::subscriber_ptr(a)}) {
        CHECK(s.unsubscribe(who, "t"));
        CHECK(s.unsubscribe(who, "t", "x"));
        CHECK(s.unsubscribe(who, "only/typed", "x"));
        CHECK(s.unsubscribe_filter(who, "a/+/c"));
        CHECK(s.unsubscribe_filter(who, "a/+/c/#", "x"));
    }
    CHECK(s.core.topics() == 0);
    CHECK(s.core.filters() == 0);
    CHECK(s.core.subscriptions() == 0);
    CHECK_FALSE(s.core.find_topic("t"));
    CHECK(s.asked == 0);

    // A topic that only a filter's subscriber wanted has state until the turn ends.
    s.subscribe_filter(p, "#");
    s.publish("passing", "1");
    CHECK(s.core.topics() == 1);
    s.turn();
    CHECK(s.core.topics() == 0);
    CHECK(p->link.frames() == texts{"passing=1"});
}

TEST_CASE("core: leaving removes every subscription, and only its own", "[core]") {
    core_script s;
    auto a = s.handler();
    auto b = s.handler();
    for (const auto& who : {a, b}) {
        s.subscribe(who, "t");
        s.subscribe(who, "u");
        s.subscribe_filter(who, "#");
    }
    s.core.remove(*a);
    CHECK_FALSE(a->owner);
    CHECK(s.core.subscriptions() == 3);
    CHECK(s.publish("t", "1").matched == 1);
    CHECK(a->take().empty());
    CHECK(b->take() == texts{"t=1"});
    s.core.remove(*b);
    CHECK(s.core.topics() == 0);
    CHECK(s.core.filters() == 0);
}

TEST_CASE("core: a handler that throws is counted, and the others get the message", "[core]") {
    recording_observer seen;
    core_script s;
    s.core.observe(&seen);
    auto a = s.handler();
    auto b = s.handler([](const message&) { throw std::runtime_error("broken"); });
    auto c = s.handler();
    for (const auto& who : {a, b, c})
        s.subscribe(who, "t");
    CHECK(s.publish("t", "1").matched == 3);
    CHECK(s.publish("t", "2").matched == 3); // it is called again
    CHECK(a->take() == texts{"t=1", "t=2"});
    CHECK(b->take() == texts{"t=1", "t=2"});
    CHECK(c->take() == texts{"t=1", "t=2"});
    CHECK(s.core.counters().handler_exceptions == 2);
    CHECK(s.core.counters().delivered == 4);
    CHECK(
        seen.take() ==
        texts{"threw t broken", "publish t=1 matched 3", "threw t broken", "publish t=2 matched 3"});

    SECTION("what is not an exception object too, and one that is thrown while the message is last held") {
        b->on_message = [&](const message&) {
            s.core.remove(*b);
            throw 42;
        };
        CHECK(s.publish("t", "3").matched == 3);
        CHECK(c->take() == texts{"t=3"});
        CHECK(s.publish("t", "4").matched == 2);
        CHECK(s.core.counters().handler_exceptions == 3);
    }
}

TEST_CASE("core: a handler added during a publish sees only later ones", "[core]") {
    core_script s;
    auto late = s.handler();
    auto a = s.handler([&](const message&) {
        s.subscribe(late, "t");
        core_script::options typed;
        typed.type = "x";
        s.subscribe(late, "t", typed);
        s.subscribe_filter(late, "#");
    });
    s.subscribe(a, "t");
    CHECK(s.publish("t", "1", "x").matched == 1);
    CHECK(late->take().empty());
    CHECK(s.publish("t", "2", "x").matched == 2);
    CHECK(late->take() == texts{"t:x=2"});
}

TEST_CASE("core: after unsubscribe the handler is never called again", "[core]") {
    core_script s;
    SECTION("inside its own handler") {
        recorder_ptr a = s.handler([&](const message&) { s.unsubscribe(a, "t"); });
        auto b = s.handler();
        s.subscribe(a, "t");
        s.subscribe(b, "t");
        CHECK(s.publish("t", "1").matched == 2);
        CHECK(s.publish("t", "2").matched == 1);
        CHECK(a->take() == texts{"t=1"});
        CHECK(b->take() == texts{"t=1", "t=2"});
        a->on_message = nullptr;
    }
    SECTION("by the handler called before") {
        auto b = s.handler();
        auto c = s.handler();
        auto a = s.handler([&](const message&) { s.unsubscribe(b, "t"); });
        for (const auto& who : {a, b, c})
            s.subscribe(who, "t");
        CHECK(s.publish("t", "1").matched == 2);
        CHECK(b->take().empty());
        CHECK(c->take() == texts{"t=1"});
        CHECK(s.publish("t", "2").matched == 2);
        CHECK(c->take() == texts{"t=2"});
    }
    SECTION("by the handler called after, which was moved while it left") {
        // Its place in the list changes when the blank entries go.
        auto a = s.handler();
        auto b = s.handler();
        auto c = s.handler([&](const message&) {
            s.unsubscribe(a, "t");
            s.unsubscribe(b, "t");
        });
        for (const auto& who : {a, b, c})
            s.subscribe(who, "t");
        CHECK(s.publish("t", "1").matched == 3);
        CHECK(s.publish("t", "2").matched == 1);
        CHECK(c->take() == texts{"t=1", "t=2"});
        CHECK(s.unsubscribe(c, "t"));
        CHECK(s.core.topics() == 0);
    }
    SECTION("and back again in the same publish: only later ones") {
        auto b = s.handler();
        auto a = s.handler([&](const message& m) {
            if (m.payload() == "1") {
                s.unsubscribe(b, "t");
                s.subscribe(b, "t");
            }
        });
        s.subscribe(a, "t");
        s.subscribe(b, "t");
        CHECK(s.publish("t", "1").matched == 1);
        CHECK(b->take().empty());
        CHECK(s.publish("t", "2").matched == 2);
        CHECK(b->take() == texts{"t=2"});
    }
    SECTION("everybody, inside a handler") {
        auto a = s.handler();
        auto b = s.handler();
        a->on_message = b->on_message = [&](const message&) {
            s.core.remove(*a);
            s.core.remove(*b);
        };
        s.subscribe(a, "t");
        s.subscribe(b, "t");
        CHECK(s.publish("t", "1").matched == 1);
        CHECK(a->got.size() + b->got.size() == 1);
        CHECK(s.core.topics() == 0);
    }
    SECTION("a subscriber that dies inside its own handler") {
        {
            auto a = s.handler();
            a->on_message = [&s, who = a.get()](const message&) { s.core.remove(*who); };
            s.subscribe(a, "t");
        }
        CHECK(s.publish("t", "1").matched == 1);
        CHECK(s.core.topics() == 0);
    }
}

TEST_CASE("core: who leaves while handlers are called lives until all are", "[core]") {
    core_script s;
    const auto held = std::make_shared<int>(0);
    std::vector<pusher::detail::subscriber_ptr> kept;
    recorder_ptr first = s.handler();
    recorder_ptr self = s.handler();
    recorder_ptr other = s.handler();
    recorder_ptr last = s.handler();
    for (const auto& r : {first, self, other, last})
        s.subscribe(r, "t");
    self->on_message = [&, held](const message&) {
        auto* const own = self.get();
        auto* const others = other.get();
        self = nullptr; // nobody else has them now
        other = nullptr;
        s.core.remove(*others);
        s.core.remove(*own);
        CHECK(held.use_count() == 2); // what runs is still there
    };
    last->on_message = [&](const message& m) { CHECK(held.use_count() == (m.sequence() == 1 ? 2 : 1)); };
    CHECK(s.publish("t", "1").matched == 3);
    CHECK(held.use_count() == 1);
    CHECK(s.publish("t", "2").matched == 2);
    CHECK(last->take() == texts{"t=1", "t=2"});
    CHECK(s.core.counters().delivered == 5);
}

TEST_CASE("core: a publish made by a handler queues behind the current one", "[core]") {
    core_script s;
    auto first = s.handler([&](const message& m) {
        if (m.payload() == "1") {
            CHECK(s.publish("t", "2").matched == 2);
            CHECK(s.publish("u", "3").matched == 1);
            CHECK(s.publish("v", "4").matched == 0);
        } else if (m.payload() == "2") {
            s.publish("t", "5");
        }
    });
    auto second = s.handler();
    s.subscribe(first, "t");
    s.subscribe(second, "t");
    s.subscribe(second, "u");
    const auto r = s.publish("t", "1");
    CHECK(r.matched == 2);
    CHECK(r.sequence == 1);
    CHECK(first->take() == texts{"t=1", "t=2", "t=5"});
    CHECK(second->take() == texts{"t=1", "t=2", "u=3", "t=5"});
    CHECK(second->sequences == std::vector<std::uint64_t>{1, 2, 3, 5});
}

TEST_CASE("core: births and deaths between a publish by a handler and its turn", "[core]") {
    core_script s;
    auto born_before = s.handler();
    auto born_after = s.handler();
    auto dies = s.handler();
    auto leaves_filter = s.handler();
    auto returns = s.handler();
    auto a = s.handler([&](const message& m) {
        if (m.payload() != "1")
            return;
        s.subscribe(born_before, "u");
        CHECK(s.publish("u", "2").matched == 4);
        s.subscribe(born_after, "u");
        s.core.remove(*dies);
        s.unsubscribe_filter(leaves_filter, "+");
        s.unsubscribe(returns, "u");
        s.subscribe(returns, "u");
    });
    s.subscribe(a, "t");
    s.subscribe(dies, "u");
    s.subscribe_filter(leaves_filter, "+");
    s.subscribe(returns, "u");
    s.publish("t", "1");
    CHECK(born_before->take() == texts{"u=2"});
    CHECK(born_after->take().empty());
    CHECK(dies->take().empty());
    CHECK(leaves_filter->take().empty());
    CHECK(returns->take().empty());
    s.publish("u", "3");
    CHECK(born_after->take() == texts{"u=3"});
    CHECK(returns->take() == texts{"u=3"});
}

TEST_CASE("core: to subscribe again only changes options, also while a publish waits", "[core]") {
    core_script s;
    recorder_ptr a = s.handler([&](const message& m) {
        if (m.payload() == "1") {
            CHECK(s.publish("t", "2").matched == 1);
            s.subscribe(a, "t");
        }
    });
    s.subscribe(a, "t");
    s.publish("t", "1");
    CHECK(a->take() == texts{"t=1", "t=2"});
    a->on_message = nullptr;
}

TEST_CASE("core: a topic lives as long as a publish to it waits", "[core]") {
    core_script s;
    auto b = s.handler();
    auto a = s.handler([&](const message&) {
        s.publish("u", "2");
        s.publish("u", "3");
        CHECK(s.unsubscribe(b, "u"));
        CHECK(s.core.topics() == 2);
    });
    s.subscribe(a, "t");
    s.subscribe(b, "u");
    s.publish("t", "1");
    CHECK(b->take().empty());
    CHECK(s.core.topics() == 1);
}

TEST_CASE("core: clear inside a handler", "[core]") {
    core_script s;
    auto b = s.handler();
    auto a = s.handler([&](const message&) {
        s.publish("u", "2");
        s.publish("filtered", "3");
        s.core.clear();
    });
    s.subscribe(a, "t");
    s.subscribe(b, "u");
    s.subscribe_filter(b, "+");
    s.publish("t", "1");
    CHECK(b->take().empty());
    CHECK(s.core.topics() == 0);
    CHECK(s.core.filters() == 0);

    // It goes on from there.
    auto c = s.handler();
    s.subscribe(c, "t");
    CHECK(s.publish("t", "4").matched == 1);
    CHECK(c->take() == texts{"t=4"});
}

TEST_CASE("core: echo", "[core]") {
    core_script s;
    core_script::options quiet;
    quiet.echo = false;
    auto a = s.handler();
    auto b = s.handler();
    s.subscribe(a, "t", quiet);
    s.subscribe(b, "t", quiet);
    CHECK(s.publish("t", "1", {}, a->id).matched == 1);
    CHECK(s.publish("t", "2").matched == 2);
    CHECK(a->take() == texts{"t=2"});
    CHECK(b->take() == texts{"t=1", "t=2"});

    // Another subscription of its own wants it.
    s.subscribe_filter(a, "#");
    CHECK(s.publish("t", "3", {}, a->id).matched == 2);
    CHECK(a->take() == texts{"t=3"});

    // Options are replaced.
    s.unsubscribe_filter(a, "#");
    s.subscribe(a, "t");
    CHECK(s.publish("t", "4", {}, a->id).matched == 2);
    s.subscribe(a, "t", quiet);
    CHECK(s.publish("t", "5", {}, a->id).matched == 1);
    CHECK(a->take() == texts{"t=4"});
}

TEST_CASE("core: types", "[core]") {
    core_script s;
    auto all = s.handler();
    auto x = s.handler();
    auto y = s.handler();
    core_script::options o;
    s.subscribe(all, "t");
    o.type = "x";
    s.subscribe(x, "t", o);
    o.type = "y";
    s.subscribe(y, "t", o);
    CHECK(s.publish("t", "1").matched == 1); // untyped: untyped subscriptions only
    CHECK(s.publish("t", "2", "x").matched == 2);
    CHECK(s.publish("t", "3", "y").matched == 2);
    CHECK(s.publish("t", "4", "z").matched == 1);
    CHECK(all->take() == texts{"t=1", "t:x=2", "t:y=3", "t:z=4"});
    CHECK(x->take() == texts{"t:x=2"});
    CHECK(y->take() == texts{"t:y=3"});
    CHECK_FALSE(s.unsubscribe(x, "t")); // removes exactly that
    CHECK_FALSE(s.unsubscribe(x, "t", "y"));
    CHECK(s.unsubscribe(x, "t", "x"));
}

TEST_CASE("core: the message that a handler sees", "[core]") {
    core_script s;
    std::optional<pusher::pinned_message> kept;
    auto a = s.handler([&](const message& m) { kept = m.pin(); });
    s.subscribe(a, "t");
    const pusher::header headers[] = {{"content-type", "text/plain"}, {"", ""}, {"trace", "abc"}};
    pusher::publish_options o;
    o.type = "x";
    o.key = "k";
    o.id = "my id";
    o.headers = headers;
    CHECK(s.core.publish("t", std::string_view("a\0b", 3), o));
    REQUIRE(kept);
    const auto& m = kept->get();
    CHECK(m.topic() == "t");
    CHECK(m.type() == "x");
    CHECK(m.key() == "k");
    CHECK(m.id() == "my id");
    CHECK(m.payload() == std::string_view("a\0b", 3));
    CHECK(m.header_value("trace") == "abc");
    CHECK(m.headers().size() == 3);
    CHECK(m.sequence() == 1);
    CHECK(m.sequence_epoch() == 1);
    CHECK_FALSE(m.position());
    CHECK(m.receive_time() == virtual_clock::wall);
}

TEST_CASE("core: broadcast and push_to reach handlers", "[core]") {
    core_script s;
    texts order;
    auto a = s.handler([&](const message&) { order.push_back("a"); });
    auto b = s.handler([&](const message&) { order.push_back("b"); });
    s.core.bind(*a, "ann");
    s.subscribe(a, "*");
    CHECK(s.core.broadcast("*", "1").matched == 2);
    CHECK(s.core.push_to("ann", "private", "2").matched == 1);
    CHECK(s.core.push_to("bob", "private", "3").matched == 0);
    CHECK(a->take() == texts{"*=1", "private=2"});
    CHECK(b->take() == texts{"*=1"});

    SECTION("from inside a handler they wait their turn") {
        a->on_message = [&](const message& m) {
            if (m.payload() == "4") {
                CHECK(s.core.broadcast("*", "5").matched == 2);
                CHECK(s.core.push_to("ann", "private", "6").matched == 1);
                s.core.remove(*b);
            }
        };
        s.publish("*", "4");
        CHECK(a->take() == texts{"*=4", "*=5", "private=6"});
        CHECK(b->take().empty());
    }
    SECTION("uids are bound, bound anew, and forgotten") {
        s.core.bind(*b, "ann");
        CHECK(s.core.push_to("ann", "p", "1").matched == 2);
        s.core.bind(*a, "carl");
        CHECK(s.core.push_to("ann", "p", "2").matched == 1);
        s.core.bind(*b, b->uid.view());
        CHECK(s.core.push_to("ann", "p", "3").matched == 1);
        s.core.remove(*b);
        CHECK(s.core.push_to("ann", "p", "4").matched == 0);
        s.core.bind(*a, {});
        CHECK(s.core.push_to("carl", "p", "5").matched == 0);
    }
    SECTION("not those that are not listed") {
        b->listed = false;
        s.core.bind(*b, "ann");
        CHECK(s.core.broadcast("*", "1").matched == 1);
        CHECK(s.core.push_to("ann", "p", "2").matched == 1);
        CHECK(b->take().empty());
    }
}

TEST_CASE("core: limits of a publish", "[core]") {
    pusher::detail::core_params p;
    p.message_bytes = 4;
    p.deferred_messages = 2;
    p.topics = 3;
    core_script s(p);
    auto a = s.handler();
    s.subscribe(a, "t");
    pusher::publish_options o;
    CHECK(s.core.publish("", "1").error == errc::invalid_topic);
    CHECK(s.core.publish("a\nb", "1").error == errc::invalid_topic);
    CHECK(s.core.publish("\xFF", "1").error == errc::invalid_topic);
    CHECK(s.core.publish(std::string(256, 'a'), "1").error == errc::invalid_topic);
    o.type = "pusher.x";
    CHECK(s.core.publish("t", "1", o).error == errc::invalid_type);
    o = {};
    const std::string long_text(256, 'k');
    o.key = long_text;
    CHECK(s.core.publish("t", "1", o).error == errc::invalid_message);
    o = {};
    o.id = long_text;
    CHECK(s.core.publish("t", "1", o).error == errc::invalid_message);
    o = {};
    CHECK(s.core.publish("t", "12345").error == errc::message_too_large);
    const std::string big(64 * 1024, 'h');
    const pusher::header headers[] = {{"n", big}};
    o.headers = headers;
    CHECK(s.core.publish("t", "1", o).error == errc::message_too_large);
    CHECK(s.core.broadcast("", "1").error == errc::invalid_topic);
    CHECK(s.core.push_to("uid", "t", "12345").error == errc::message_too_large);
    CHECK(s.core.sequence() == 0);
    CHECK(s.core.counters().published == 0);
    CHECK(a->take().empty());
    CHECK(s.publish("t", "1234").matched == 1);
    CHECK(a->take() == texts{"t=1234"});

    SECTION("what a handler may leave to be published") {
        auto everything = s.session();
        s.subscribe_filter(everything, "#");
        a->on_message = [&](const message& m) {
            if (m.payload() != "go")
                return;
            CHECK(s.core.publish("t", "1"));
            CHECK(s.core.publish("t", "2"));
            const auto topics = s.core.topics();
            CHECK(s.core.publish("t", "3").error == errc::queue_full);
            CHECK(s.core.publish("new", "3").error == errc::queue_full);
            CHECK(s.core.broadcast("t", "3").error == errc::queue_full);
            CHECK(s.core.topics() == topics); // the refused one leaves nothing behind
        };
        s.publish("t", "go");
        CHECK(a->take() == texts{"t=go", "t=1", "t=2"});
        s.turn();
        CHECK(everything->link.frames() == texts{"t=go", "t=1", "t=2"});
    }
    SECTION("topics with state") {
        s.subscribe(a, "u");
        s.subscribe(a, "v");
        pusher::error_code ec;
        s.core.subscribe(*a, "w", {}, ec);
        CHECK(ec == errc::too_many_topics);
        CHECK(s.core.subscriptions() == 3);
        s.subscribe(a, "v");
        CHECK(s.publish("w", "1").matched == 0); // needs no state
        s.unsubscribe(a, "u");
        auto everything = s.session();
        s.subscribe_filter(everything, "#");
        CHECK(s.core.publish("w", "1").error == errc::too_many_topics);
        s.unsubscribe(a, "v");
        CHECK(s.core.publish("w", "1"));
        s.turn();
        CHECK(everything->link.frames() == texts{"w=1"});
    }
}

TEST_CASE("core: limits of a subscribe", "[core]") {
    pusher::detail::core_params p;
    p.subscriptions = 2;
    core_script s(p);
    auto q = s.session();
    auto h = s.handler();
    auto error = [&](const pusher::detail::subscriber_ptr& who, std::string_view text,
                     core_script::options o) {
        pusher::error_code ec;
        s.core.subscribe(*who, text, o, ec);
        return ec;
    };
    core_script::options exact;
    core_script::options filter;
    filter.match = pusher::match_mode::filter;
    CHECK(error(q, "", exact) == errc::invalid_topic);
    CHECK(error(q, "a\x7F", exact) == errc::invalid_topic);
    CHECK(error(q, "a+", filter) == errc::invalid_filter);
    CHECK(error(q, "#/a", filter) == errc::invalid_filter);
    auto bad = exact;
    bad.type = "a\n";
    CHECK(error(q, "t", bad) == errc::invalid_type);
    bad = exact;
    bad.history = 1;
    CHECK(error(q, "t", bad) == errc::no_history);
    bad.match = pusher::match_mode::filter;
    CHECK(error(q, "t", bad) == errc::unsupported);
    bad = exact;
    bad.resume = pusher::topic_position{1, 1};
    CHECK(error(q, "t", bad) == errc::no_history);
    bad.history = 1; // one of the two
    CHECK(error(q, "t", bad) == errc::unsupported);
    CHECK(error(h, "t", bad) == errc::unsupported);
    bad.history = 0;
    bad.match = pusher::match_mode::filter;
    CHECK(error(q, "t", bad) == errc::unsupported);
    CHECK(s.core.topics() == 0);
    CHECK(s.core.filters() == 0);
    CHECK(s.core.subscriptions() == 0);

    CHECK_FALSE(error(q, "a", exact));
    CHECK_FALSE(error(q, "a/#", filter));
    CHECK(error(q, "b", exact) == errc::too_many_subscriptions);
    CHECK(error(q, "b/#", filter) == errc::too_many_subscriptions);
    CHECK_FALSE(error(q, "a", exact));
    CHECK_FALSE(error(q, "a/#", filter));
    CHECK(s.core.topics() == 1);
    CHECK(s.core.filters() == 1);
    CHECK(s.unsubscribe(q, "a"));
    CHECK_FALSE(error(q, "b", exact));

    // The host's own subscribers are not limited.
    for (auto topic : {"a", "b", "c"})
        CHECK_FALSE(error(h, topic, exact));
}

TEST_CASE("core: handles, lists and ids", "[core]") {
    core_script s;
    auto a = s.handler();
    auto q = s.session();
    CHECK(s.core.find(a->id) == a.get());
    CHECK(s.core.find(q->id) == q.get());
    CHECK_FALSE(s.core.find(0));
    CHECK_FALSE(s.core.find(a->id + (1U << 24)));
    core_script::options typed;
    typed.type = "x";
    s.subscribe(a, "t", typed);
    s.subscribe_filter(a, "#");
    s.subscribe_filter(q, "+", typed);
    std::vector<std::uint64_t> ids;
    auto list = [&](const pusher::detail::subscriber_base& x) { ids.push_back(x.id); };
    s.core.for_each_subscriber_of("t", list);
    std::sort(ids.begin(), ids.end());
    CHECK(ids == std::vector<std::uint64_t>{a->id, q->id});
    ids.clear();
    s.core.for_each_subscriber_of("t/u", list);
    CHECK(ids == std::vector<std::uint64_t>{a->id});
    ids.clear();
    s.core.for_each_subscriber(list);
    CHECK(ids == std::vector<std::uint64_t>{a->id, q->id});

    const auto old = q->id;
    s.core.remove(*q);
    CHECK_FALSE(s.core.find(old));
    auto next = s.session();
    CHECK(next->slot == 2); // taken over
    CHECK_FALSE(s.core.find(old));
    CHECK(s.core.find(next->id) == next.get());
}
