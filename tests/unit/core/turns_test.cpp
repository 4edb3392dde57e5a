// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What sessions are written at the end of a turn, and in which order.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace test;

TEST_CASE("turn: nothing is written before its end, and one write carries it", "[core]") {
    core_script s;
    auto a = s.session();
    auto b = s.session();
    s.subscribe(a, "t");
    s.subscribe(b, "t");
    for (auto payload : {"1", "2", "3"})
        CHECK(s.publish("t", payload).matched == 2);
    CHECK(s.asked == 1);
    CHECK(s.core.turn_pending());
    CHECK(s.core.has_pending(*a));
    CHECK(a->link.writes == 0);
    s.turn();
    CHECK_FALSE(s.core.turn_pending());
    CHECK_FALSE(s.core.has_pending(*a));
    for (const auto& p : {a, b}) {
        CHECK(p->link.writes == 1);
        CHECK(p->link.frames() == texts{"t=1", "t=2", "t=3"});
        CHECK_FALSE(p->box);
    }
    CHECK(s.lines.pushed == 3); // once for all
    CHECK(s.core.counters().delivered == 6);
    CHECK(s.core.counters().turns == 1);
    CHECK(s.asked == 0);
}

TEST_CASE("turn: publish order is kept across topics, types and filters", "[core]") {
    core_script s;
    auto a = s.session();
    core_script::options typed;
    typed.type = "x";
    s.subscribe(a, "t");
    s.subscribe(a, "u", typed);
    s.subscribe_filter(a, "f/+");
    s.publish("t", "1");
    s.publish("u", "2", "x");
    s.publish("f/a", "3");
    s.publish("u", "not for it");
    s.publish("u", "not for it", "y");
    s.publish("t", "4", "z");
    s.publish("f/b", "5");
    s.publish("f/a", "6", "x");
    s.publish("other", "not for it");
    s.publish("u", "7", "x");
    s.turn();
    CHECK(a->link.frames() == texts{"t=1", "u:x=2", "f/a=3", "t:z=4", "f/b=5", "f/a:x=6", "u:x=7"});
    CHECK(a->link.writes == 1);
}

TEST_CASE("turn: one copy per subscriber, however many subscriptions match", "[core]") {
    core_script s;
    auto a = s.session();
    core_script::options typed;
    typed.type = "x";
    s.subscribe(a, "t");
    s.subscribe(a, "t", typed);
    s.subscribe_filter(a, "t", typed);
    s.subscribe_filter(a, "+");
    s.subscribe_filter(a, "#", typed);
    CHECK(s.publish("t", "1", "x").matched == 1);
    CHECK(s.publish("t", "2").matched == 1);
    CHECK(s.publish("t", "3", "y").matched == 1);
    CHECK(s.publish("t", "4", "x").matched == 1);
    s.turn();
    CHECK(a->link.frames() == texts{"t:x=1", "t=2", "t:y=3", "t:x=4"});

    SECTION("with types alone") {
        s.unsubscribe(a, "t");
        s.unsubscribe_filter(a, "+");
        CHECK(s.publish("t", "5", "x").matched == 1);
        CHECK(s.publish("t", "6").matched == 0);
        CHECK(s.publish("t", "7", "x").matched == 1);
        s.turn();
        CHECK(a->link.frames() == texts{"t:x=5", "t:x=7"});
    }
}

TEST_CASE("turn: matched counts subscribers of every kind", "[core]") {
    core_script s;
    core_script::options x;
    x.type = "x";
    auto a = s.session();
    auto b = s.session();
    auto c = s.session();
    auto h = s.handler();
    s.subscribe(a, "t");
    s.subscribe(b, "t", x);
    s.subscribe_filter(b, "#", x);
    s.subscribe_filter(c, "#");
    s.subscribe(h, "t", x);
    CHECK(s.publish("t", "1", "x").matched == 4);
    CHECK(s.publish("t", "2").matched == 2);
    CHECK(s.publish("t", "3", "y").matched == 2);
    CHECK(s.publish("u", "4", "x").matched == 2);
    CHECK(s.publish("t", "5", "x").matched == 4); // the run has plans for several types by now
    CHECK(s.publish("t", "6").matched == 2);
    s.turn();
    CHECK(b->link.frames() == texts{"t:x=1", "u:x=4", "t:x=5"});
}

TEST_CASE("turn: a subscription sees what is sequenced after its birth and before its death", "[core]") {
    core_script s;
    auto a = s.session();
    auto b = s.session();
    s.subscribe(a, "t");
    SECTION("of a topic") {
        s.publish("t", "1");
        s.subscribe(b, "t");
        s.publish("t", "2");
        CHECK(s.unsubscribe(a, "t"));
        s.publish("t", "3");
        s.subscribe(a, "t");
        CHECK(s.unsubscribe(b, "t"));
        s.publish("t", "4");
        s.turn();
        CHECK(a->link.frames() == texts{"t=1", "t=2", "t=4"});
        CHECK(b->link.frames() == texts{"t=2", "t=3"});
    }
    SECTION("of a filter") {
        s.publish("t", "1");
        s.publish("u", "2");
        s.subscribe_filter(b, "+");
        s.publish("t", "3");
        s.publish("u", "4");
        CHECK(s.unsubscribe_filter(b, "+"));
        s.publish("t", "5");
        s.publish("u", "6");
        s.turn();
        CHECK(a->link.frames() == texts{"t=1", "t=3", "t=5"});
        CHECK(b->link.frames() == texts{"t=3", "u=4"});
        CHECK(s.core.topics() == 1);
    }
    SECTION("of a type") {
        core_script::options x;
        x.type = "x";
        s.publish("t", "1", "x");
        s.subscribe(b, "t", x);
        s.publish("t", "2", "x");
        s.publish("t", "3");
        CHECK(s.unsubscribe(b, "t", "x"));
        s.publish("t", "4", "x");
        s.turn();
        CHECK(a->link.frames() == texts{"t:x=1", "t:x=2", "t=3", "t:x=4"});
        CHECK(b->link.frames() == texts{"t:x=2"});
    }
    SECTION("of everybody") {
        s.publish("t", "1");
        CHECK(s.unsubscribe(a, "t"));
        CHECK(s.publish("t", "2").matched == 0);
        s.turn();
        CHECK(a->link.frames() == texts{"t=1"});
        CHECK(s.core.topics() == 0);
    }
}

TEST_CASE("turn: who leaves takes nothing from the others, and its place can be taken at once", "[core]") {
    recording_observer seen;
    core_script s;
    s.core.observe(&seen);
    auto a = s.session();
    auto b = s.session();
    for (const auto& p : {a, b}) {
        s.subscribe(p, "t");
        s.subscribe(p, "u");
    }
    s.publish("t", "1");
    s.publish("u", "2");
    s.core.reply(*a, "reply\n");
    s.core.remove(*a);
    CHECK(s.core.counters().dropped_disconnected == 2);
    auto c = s.session();
    auto d = s.session();
    s.subscribe(c, "t");
    s.publish("t", "3");
    s.publish("u", "4");
    for (int n = 0; n != 100; ++n) // past one word of the bitmaps that were made when it left
        s.publish("u", "more");
    s.core.remove(*d);
    s.publish("t", "5");
    s.turn();
    CHECK(a->link.frames().empty());
    CHECK(c->link.frames() == texts{"t=3", "t=5"});
    const auto got = b->link.frames();
    REQUIRE(got.size() == 105);
    CHECK(texts(got.begin(), got.begin() + 4) == texts{"t=1", "u=2", "t=3", "u=4"});
    CHECK(got.back() == "t=5");
    s.core.remove(*b);
    s.core.remove(*c);
    CHECK(s.core.topics() == 0);
    // Left places are used again once the turn is over.
    const auto highest = std::max({a->slot, b->slot, c->slot, d->slot});
    for (int n = 0; n != 3; ++n)
        CHECK(s.session()->slot <= highest);
}

TEST_CASE("turn: echo", "[core]") {
    core_script s;
    core_script::options quiet;
    quiet.echo = false;
    auto a = s.session();
    auto b = s.session();
    s.subscribe(a, "t", quiet);
    s.subscribe(b, "t");
    SECTION("its own publishes are left out, wherever they are in the turn") {
        CHECK(s.publish("t", "1", {}, a->id).matched == 1);
        CHECK(s.publish("t", "2").matched == 2);
        CHECK(s.publish("t", "3", {}, b->id).matched == 2);
        CHECK(s.publish("t", "4", {}, a->id).matched == 1);
        s.turn();
        CHECK(a->link.frames() == texts{"t=2", "t=3"});
        CHECK(b->link.frames() == texts{"t=1", "t=2", "t=3", "t=4"});
        s.publish("t", "5");
        s.turn();
        CHECK(a->link.frames() == texts{"t=5"});
    }
    SECTION("nothing else in the turn") {
        CHECK(s.publish("t", "1", {}, a->id).matched == 1);
        s.turn();
        CHECK(a->link.writes == 0);
    }
    SECTION("unless another subscription wants them") {
        s.subscribe_filter(a, "+");
        CHECK(s.publish("t", "1", {}, a->id).matched == 2);
        s.turn();
        CHECK(a->link.frames() == texts{"t=1"});
    }
    SECTION("while it waits in an outbox too") {
        a->link.room = 0;
        s.publish("t", "0");
        s.turn();
        s.publish("t", "1", {}, a->id);
        s.publish("t", "2");
        s.turn();
        s.publish("t", "3", {}, a->id);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"t=0", "t=2"});
    }
    SECTION("options change within the turn") {
        s.publish("t", "1", {}, a->id);
        s.subscribe(a, "t");
        s.publish("t", "2", {}, a->id);
        s.subscribe(a, "t", quiet);
        s.publish("t", "3", {}, a->id);
        s.turn();
        CHECK(a->link.frames() == texts{"t=2"});
    }
    SECTION("of a type") {
        auto typed = quiet;
        typed.type = "x";
        s.unsubscribe(a, "t");
        s.subscribe(a, "t", typed);
        CHECK(s.publish("t", "1", "x", a->id).matched == 1);
        CHECK(s.publish("t", "2", "x").matched == 2);
        s.turn();
        CHECK(a->link.frames() == texts{"t:x=2"});
    }
}

TEST_CASE("turn: replies keep their order with messages", "[core]") {
    core_script s;
    auto a = s.session();
    s.subscribe(a, "t");
    s.subscribe(a, "u");
    auto fill = [&] {
        s.core.reply(*a, "r0\n");
        s.publish("t", "1");
        s.core.reply(*a, "r1\n");
        s.core.reply(*a, "r2\n");
        s.publish("u", "2");
        s.publish("t", "3");
        s.core.reply(*a, "r3\n");
    };
    const texts all{"r0", "t=1", "r1", "r2", "u=2", "t=3", "r3"};
    SECTION("written at once") {
        fill();
        s.turn();
        CHECK(a->link.frames() == all);
        CHECK(a->link.writes == 1);
    }
    SECTION("a reply alone") {
        s.core.reply(*a, "alone\n");
        CHECK(s.asked == 1);
        s.turn();
        CHECK(a->link.frames() == texts{"alone"});
    }
    SECTION("through an outbox") {
        a->link.room = 0;
        s.publish("t", "0");
        s.turn();
        fill();
        s.turn();
        fill();
        s.turn();
        s.writable(a);
        texts expected{"t=0"};
        expected.insert(expected.end(), all.begin(), all.end());
        expected.insert(expected.end(), all.begin(), all.end());
        CHECK(a->link.frames() == expected);
        CHECK_FALSE(a->box);
    }
    SECTION("cut at every byte, and written on in pieces of every size") {
        const std::string whole = "r0\nt=1\nr1\nr2\nu=2\nt=3\nr3\n";
        for (std::size_t room = 0; room <= whole.size(); ++room)
            for (std::size_t piece = 1; piece <= whole.size(); ++piece) {
                auto p = s.session();
                s.subscribe(p, "t");
                s.subscribe(p, "u");
                p->link.room = room;
                std::swap(a, p);
                fill();
                s.turn();
                std::swap(a, p);
                while (p->link.blocked())
                    s.writable(p, piece);
                INFO("room " << room << " piece " << piece);
                CHECK(p->link.bytes == whole);
                CHECK_FALSE(p->box);
                s.core.remove(*p);
            }
    }
    SECTION("they count as waiting, and are told apart from messages") {
        a->link.room = 0;
        s.core.reply(*a, "12345\n");
        s.turn();
        REQUIRE(a->box);
        CHECK(a->box->reply_bytes() == 6);
        CHECK(a->box->messages() == 0);
        s.writable(a, 3);
        CHECK(a->box->reply_bytes() == 0);
        CHECK(a->box->mid_frame());
        s.writable(a);
        CHECK_FALSE(a->box);
    }
}

TEST_CASE("turn: a run cut at every byte", "[core]") {
    const std::string whole = "t=1\nt=22\nt=333\n";
    for (std::size_t room = 0; room <= whole.size(); ++room)
        for (std::size_t piece = 1; piece <= whole.size(); ++piece) {
            core_script s;
            auto a = s.session();
            s.subscribe(a, "t");
            a->link.room = room;
            for (auto payload : {"1", "22", "333"})
                s.publish("t", payload);
            s.turn();
            INFO("room " << room << " piece " << piece);
            CHECK((a->box != nullptr) == (room != whole.size()));
            while (a->link.blocked())
                s.writable(a, piece);
            CHECK(a->link.bytes == whole);
            CHECK_FALSE(a->box);
            CHECK(s.core.counters().delivered == 3);
        }
}

TEST_CASE("turn: many messages go out in bounded pieces", "[core]") {
    core_script s;
    pusher::outbox_params limits;
    limits.messages = 10'000;
    limits.bytes = 100'000'000;
    auto a = s.session(limits);
    auto blocked = s.session(limits);
    const std::string big(10'000, 'x');
    texts expected;
    blocked->link.room = 0;
    for (const auto& p : {a, blocked}) {
        s.subscribe(p, "t");
        s.subscribe(p, "u");
    }
    for (int n = 0; n != 100; ++n) {
        const auto topic = n % 3 == 0 ? "t" : "u";
        s.publish(topic, big);
        expected.push_back(topic + ("=" + big));
    }
    s.settle();
    CHECK(a->link.frames() == expected);
    CHECK(a->link.writes > 10);
    s.writable(blocked);
    CHECK(blocked->link.frames() == expected);
    CHECK(blocked->link.writes > 10);
}

TEST_CASE("turn: sessions with the same topics get the same bytes, each as far as it has room", "[core]") {
    pusher::outbox_params limits;
    limits.messages = 1000;
    limits.bytes = 100'000'000;
    pusher::detail::core_params params;
    params.run_bytes = 1024 * 1024;
    core_script s(params);
    text_encoding other("o ");
    const std::string big(20'000, 'x');
    std::vector<peer_ptr> same;
    const auto session = [&](std::initializer_list<const char*> topics) {
        auto p = s.session(limits);
        for (const auto topic : topics)
            s.subscribe(p, topic);
        return p;
    };
    // Ten frames of 20,003 bytes: pieces end after four and eight.
    for (const auto room : {200'030, 0, 1, 80'011, 80'012, 80'013, 100'015, 100'016, 200'029, 200'030}) {
        same.push_back(session({"t", "u"}));
        same.back()->link.room = static_cast<std::size_t>(room);
    }
    const auto datagrams = session({"t", "u"});
    datagrams->link.datagrams = true;
    datagrams->link.refuses = "u=9";
    const auto asked = session({"t", "u"});
    const auto more = session({"t", "u", "v"});
    const auto less = session({"u"});
    const auto again = session({"t", "u"});
    const auto narrow = session({"t", "u"});
    s.attach(narrow, other);
    other.longest = 20'000;
    const auto wide = session({"t", "u"});

    texts both;
    texts all;
    texts others;
    for (char n = '0'; n <= '9'; ++n) {
        const auto topic = (n - '0') % 2 == 0 ? "t" : "u";
        const auto payload = n + big.substr(n == '5' ? 0 : 1);
        both.push_back(topic + ("=" + payload));
        if (n == '7')
            others.push_back("o !u 1");
        if (n != '5')
            others.push_back("o " + both.back());
        s.publish(topic, payload);
        if (n == '4') {
            s.core.reply(*asked, "reply\n");
            s.publish("v", "1");
        }
    }
    s.turn();
    for (const auto& p : same) {
        while (p->link.blocked())
            s.writable(p, 90'000);
        CHECK(p->link.frames() == both);
        CHECK_FALSE(p->box);
    }
    for (const auto& p : {again, wide})
        CHECK(p->link.frames() == both);
    auto expected = both;
    expected.insert(expected.begin() + 5, "reply");
    CHECK(asked->link.frames() == expected);
    expected[5] = "v=1";
    CHECK(more->link.frames() == expected);
    expected.clear();
    for (std::size_t i = 1; i < both.size(); i += 2)
        expected.push_back(both[i]);
    CHECK(less->link.frames() == expected);
    expected = both;
    expected.back() = "!u 1";
    CHECK(datagrams->link.frames() == expected);
    CHECK(narrow->link.frames() == others);
    CHECK(s.lines.pushed == 11);
}

TEST_CASE("turn: it ends early when a run or the turn is long", "[core]") {
    pusher::detail::core_params p;
    p.run_messages = 4;
    p.run_bytes = 100;
    p.turn_messages = 6;
    p.turn_bytes = 150;
    core_script s(p);
    auto a = s.session();
    s.subscribe(a, "t");
    s.subscribe_filter(a, "u/#");
    auto publish = [&](std::string_view topic, std::size_t size) {
        s.publish(topic, std::string(size, 'x'));
    };
    SECTION("messages of a run") {
        for (int n = 0; n != 4; ++n) {
            CHECK(a->link.writes == 0);
            publish("t", 1);
        }
        CHECK(a->link.writes == 1);
        publish("t", 1);
        CHECK(a->link.writes == 1);
        s.turn();
        CHECK(a->link.frames().size() == 5);
    }
    SECTION("bytes of a run") {
        publish("t", 99);
        CHECK(a->link.writes == 0);
        publish("t", 1);
        CHECK(a->link.writes == 1);
    }
    SECTION("messages of the turn") {
        for (int n = 0; n != 5; ++n)
            publish("u/" + std::to_string(n), 1);
        CHECK(a->link.writes == 0);
        publish("t", 1);
        CHECK(a->link.writes == 1);
        CHECK(a->link.frames().size() == 6);
        CHECK(s.core.topics() == 1);
    }
    SECTION("bytes of the turn") {
        publish("t", 80);
        publish("u/1", 69);
        CHECK(a->link.writes == 0);
        publish("u/1", 1);
        CHECK(a->link.writes == 1);
    }
    SECTION("bytes of replies") {
        s.core.reply(*a, std::string(149, 'x') + "\n");
        CHECK(a->link.writes == 1);
    }
    SECTION("from inside a handler, with topics that only the turn needs") {
        auto h = s.handler([&](const pusher::message& m) {
            if (m.payload() == "go")
                for (int n = 0; n != 20; ++n)
                    publish("u/" + std::to_string(n), 1);
        });
        s.subscribe(h, "t");
        s.subscribe_filter(h, "u/+");
        s.publish("t", "go");
        s.turn();
        CHECK(h->take().size() == 21);
        CHECK(a->link.frames().size() == 21);
        CHECK(s.core.topics() == 1);
    }
    SECTION("what is asked for stays one end of the turn") {
        for (int n = 0; n != 100; ++n)
            publish("t", 1);
        s.turn();
        CHECK(s.asked == 0);
        CHECK(a->link.frames().size() == 100);
    }
}

TEST_CASE("turn: each encoding is made once and goes to those who use it", "[core]") {
    core_script s;
    text_encoding other("o ");
    auto a = s.session();
    auto b = s.session();
    auto c = s.queue();
    s.attach(c, other);
    for (const auto& p : {a, b, c}) {
        s.subscribe(p, "t");
        s.subscribe(p, "u");
    }
    c->link.room = 9;
    s.publish("t", "1");
    s.publish("u", "2");
    s.publish("t", "3");
    s.turn();
    CHECK(a->link.frames() == texts{"t=1", "u=2", "t=3"});
    CHECK(b->link.frames() == texts{"t=1", "u=2", "t=3"});
    CHECK(c->link.frames() == texts{"o t=1"});
    s.writable(c);
    CHECK(c->link.frames() == texts{"o u=2", "o t=3"});
    CHECK(s.lines.pushed == 3);
    CHECK(other.pushed == 3);
}

TEST_CASE("turn: datagrams", "[core]") {
    core_script s;
    pusher::outbox_params limits;
    limits.messages = 2;
    auto a = s.session(limits);
    a->link.datagrams = true;
    s.subscribe(a, "t");
    s.subscribe(a, "u");
    s.publish("t", "1");
    s.publish("t", "2");
    s.turn();
    CHECK(a->link.frames() == texts{"t=1", "t=2"});

    // Never a part of one.
    a->link.room = 6;
    s.core.reply(*a, "r\n");
    s.publish("t", "3");
    s.publish("u", "4");
    s.turn();
    CHECK(a->link.frames() == texts{"r", "t=3"});
    for (auto payload : {"5", "6", "7"})
        s.publish("t", payload);
    s.turn();
    SECTION("gaps are datagrams too") {
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 1", "t=6", "t=7", "!u 1"});
    }
    SECTION("an encoding that cannot tell of gaps sends none") {
        s.lines.silent = true;
        s.writable(a);
        CHECK(a->link.frames() == texts{"t=6", "t=7"});
        CHECK_FALSE(a->box);
    }
    SECTION("a gap that cannot be told, and nothing else") {
        s.lines.silent = true;
        a->link.unblock();
        s.core.detach(*a);
        while (a->box->messages() != 0)
            s.core.take(*a, [](const pusher::message&) {}, [](const pusher::gap&) {});
        s.core.attach(*a, s.lines, a->link);
        s.settle();
        CHECK(a->link.frames().empty());
        CHECK_FALSE(a->box);
    }
}

TEST_CASE("turn: broadcast and push_to keep their place among other messages", "[core]") {
    core_script s;
    auto a = s.session();
    auto b = s.session();
    s.core.bind(*a, "ann");
    s.subscribe(a, "t");
    s.publish("t", "1");
    CHECK(s.core.broadcast("*", "2").matched == 2);
    s.publish("t", "3");
    CHECK(s.core.push_to("ann", "t", "4").matched == 1);
    s.publish("t", "5");
    CHECK(s.core.push_to("nobody", "t", "6").matched == 0);
    s.turn();
    CHECK(a->link.frames() == texts{"t=1", "*=2", "t=3", "t=4", "t=5"});
    CHECK(b->link.frames() == texts{"*=2"});
    CHECK(s.core.topics() == 1);
    CHECK(s.core.counters().published == 6);

    // The label's run is cut when only the turn kept the topic.
    s.subscribe_filter(b, "passing");
    s.publish("passing", "1");
    s.unsubscribe_filter(b, "passing");
    CHECK(s.core.broadcast("passing", "2").matched == 2);
    s.turn();
    CHECK(b->link.frames() == texts{"passing=1", "passing=2"});
    CHECK(s.core.topics() == 1);
}

TEST_CASE("turn: a publish from a handler is in its place for sessions", "[core]") {
    core_script s;
    auto a = s.session();
    auto h = s.handler([&](const pusher::message& m) {
        if (m.payload() == "1") {
            s.publish("u", "2");
            s.publish("t", "3");
        }
    });
    s.subscribe(h, "t");
    s.subscribe(a, "t");
    s.subscribe(a, "u");
    s.publish("t", "1");
    s.publish("t", "4");
    s.turn();
    CHECK(a->link.frames() == texts{"t=1", "u=2", "t=3", "t=4"});
}

TEST_CASE("turn: ending it inside a handler", "[core]") {
    // As a host does that runs its event loop from inside a handler.
    core_script s(with_history(10));
    auto a = s.session();
    auto reader = s.handler();
    auto h = s.handler([&](const pusher::message& m) {
        if (m.payload() != "2")
            return;
        core_script::options o;
        o.history = 10;
        s.subscribe(reader, "t", o);
        s.core.flush();
        s.asked = 0;
        CHECK(reader->got.empty()); // not called within another handler
    });
    s.subscribe(a, "t");
    s.publish("t", "1");
    s.subscribe(h, "t");
    s.publish("t", "2");
    CHECK(a->link.frames() == texts{"t@1=1", "t@2=2"});
    s.settle();
    CHECK(reader->take() == texts{"t@1=1", "t@2=2"});
}

TEST_CASE("turn: headers and metadata survive storage", "[core]") {
    core_script s;
    auto a = s.queue();
    s.subscribe(a, "t");
    const pusher::header headers[] = {{"content-type", "text/plain"}, {"", ""}, {"trace", "abc"}};
    pusher::publish_options o;
    o.type = "x";
    o.key = "k";
    o.id = "my id";
    o.headers = headers;
    o.publisher = 42;
    const auto published = virtual_clock::wall;
    CHECK(s.core.publish("t", "plain"));
    CHECK(s.core.publish("t", std::string_view("a\0b", 3), o));
    CHECK(s.core.publish("t", ""));
    virtual_clock::advance(std::chrono::seconds(5));
    s.turn();
    int n = 0;
    auto see = [&](const pusher::message& m) {
        ++n;
        CHECK(m.topic() == "t");
        CHECK(m.sequence() == static_cast<std::uint64_t>(n));
        CHECK(m.sequence_epoch() == 1);
        CHECK(m.receive_time() == published);
        CHECK_FALSE(m.position());
        if (n != 2) {
            CHECK(m.type().empty());
            CHECK(m.headers().empty());
            CHECK(m.payload() == (n == 1 ? "plain" : ""));
            return;
        }
        CHECK(m.type() == "x");
        CHECK(m.key() == "k");
        CHECK(m.id() == "my id");
        CHECK(m.payload() == std::string_view("a\0b", 3));
        REQUIRE(m.headers().size() == 3);
        CHECK(m.headers()[0].name == "content-type");
        CHECK(m.headers()[0].value == "text/plain");
        CHECK(m.headers()[1].name.empty());
        CHECK(m.header_value("trace") == "abc");
    };
    while (s.core.take(*a, see, [](const pusher::gap&) {})) {
    }
    CHECK(n == 3);
}
