// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// HTTP connections of peers, and answers of hosts, that mean no good or come at the wrong time.

#include <pusher/broker.hpp>
#include <pusher/testing/memory_channel.hpp>
#include <pusher/testing/memory_peer.hpp>

#include "catch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace http = boost::beast::http;
using namespace std::chrono_literals;
using namespace pusher::testing;
using pusher::errc;
using pusher::error_code;

pusher::http_request get(std::string_view target) {
    pusher::http_request r(http::verb::get, {target.data(), target.size()}, 11);
    r.set(http::field::host, "here");
    return r;
}

/// A broker that is handed HTTP connections in memory. The event loop runs when a test says so.
struct script {
    explicit script(pusher::broker_params p = {}, const pusher::http_params& h = {})
        : broker(context, std::move(p)),
          params(h) {
        params.listen.reset();
        if (!params.handler) // with one, connections go on after an answer
            params.handler = [](const pusher::http_connection_ptr&) { return false; };
    }

    void run() {
        context.restart();
        context.poll();
    }
    template <class F>
    void run_until(F&& happened) {
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        run();
        while (!happened() && std::chrono::steady_clock::now() < deadline) {
            context.restart();
            context.run_one_until(deadline);
        }
        CHECK(happened());
    }
    std::unique_ptr<memory_peer> connect(pusher::http_request first) {
        auto ends = memory_channel::connect(broker.get_executor());
        auto peer = std::make_unique<memory_peer>(ends.first);
        broker.accept(pusher::channel_ptr(ends.second), std::move(first), {}, params);
        run();
        return peer;
    }
    /// A connection that is ready for a first request, byte by byte.
    std::unique_ptr<memory_peer> connect() {
        auto peer = connect(get("/stats"));
        CHECK(peer->take().starts_with("HTTP/1.1 200"));
        return peer;
    }
    std::string answer(memory_peer& peer, std::string_view bytes) {
        peer.send(bytes);
        run();
        return peer.take();
    }

    boost::asio::io_context context{1};
    pusher::broker<pusher::transport::http> broker;
    pusher::http_params params;
};

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t n = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1))
        ++n;
    return n;
}

} // namespace

TEST_CASE("http limits: memory does not follow what has no end") {
    script s;
    const auto peer = s.connect();
    const std::string head = "POST /publish HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n";
    SECTION("the header of a chunk") { CHECK(s.answer(*peer, head + "5;extension=").empty()); }
    SECTION("trailers") { CHECK(s.answer(*peer, head + "0\r\nTrailer: ").empty()); }
    std::string all;
    std::size_t sent = 0;
    for (const std::string piece(4096, 'x'); !peer->ended() && sent < 1024 * 1024; sent += piece.size())
        all += s.answer(*peer, piece);
    CHECK(all.starts_with("HTTP/1.1 431 "));
    CHECK(sent < 3 * 16 * 1024);
}

TEST_CASE("http limits: all must agree where a request ends") {
    const auto* const head = GENERATE(
        "POST /publish HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST /publish HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        "POST /publish HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST /publish HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "POST /publish HTTP/1.1\r\nHost: here\r\n"
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /publish HTTP/1.1\r\nHost: here\r\n"
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /publish HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n",
        "POST /publish HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "POST /publish HTTP/1.0\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n");
    script s;
    const auto peer = s.connect();
    const auto answers = s.answer(*peer, std::string(head) + "GET /stats HTTP/1.1\r\nHost: here\r\n\r\n");
    INFO(head << answers);
    CHECK(answers.starts_with("HTTP/1.1 400 "));
    CHECK(count(answers, "HTTP/1.1 ") == 1); // what came behind is no request
    CHECK(peer->ended() == error_code(errc::peer_closed));
}

TEST_CASE("http limits: a body in chunks, and nothing else") {
    const auto* const coding = GENERATE("chunked", "Chunked", " CHUNKED ");
    script s;
    const auto peer = s.connect();
    CHECK(s.answer(
               *peer, std::string("POST /publish HTTP/1.1\r\nHost: here\r\nTransfer-Encoding:") + coding +
                          "\r\n\r\n1b\r\n{\"topic\":\"t\",\"payload\":\"x\"}\r\n0\r\n\r\n")
              .starts_with("HTTP/1.1 200 "));
}

TEST_CASE("http limits: empty lines before a request") {
    script s;
    const auto peer = s.connect();
    const std::string request = "GET /stats HTTP/1.1\r\nHost: here\r\n\r\n";
    SECTION("are passed over") {
        CHECK(s.answer(*peer, "\r\n" + request).starts_with("HTTP/1.1 200 "));
        CHECK(count(s.answer(*peer, "\r\n\r\n" + request + "\r\n" + request), "HTTP/1.1 200 ") == 2);
    }
    SECTION("wherever they are cut") {
        for (const auto* const part : {"\r", "\n", "\r", "\n\r", "\n"})
            CHECK(s.answer(*peer, part).empty());
        CHECK(s.answer(*peer, request).starts_with("HTTP/1.1 200 "));
    }
    SECTION("are not a request") {
        s.answer(*peer, "\r\n");
        s.broker.async_drain(10s, [](error_code) {});
        s.run();
        CHECK(peer->ended());
        CHECK(peer->take().empty());
    }
    SECTION("are that, and no half of one") {
        CHECK(s.answer(*peer, GENERATE("\n", "\r\r\n", "\r\n\r") + request).starts_with("HTTP/1.1 400 "));
        CHECK(peer->ended());
    }
    SECTION("are not very many") {
        std::string all;
        std::size_t sent = 0;
        for (; !peer->ended() && sent < 1024 * 1024; sent += 1024) {
            std::string lines;
            for (int i = 0; i != 512; ++i)
                lines += "\r\n";
            all += s.answer(*peer, lines);
        }
        CHECK(all.starts_with("HTTP/1.1 431 "));
        CHECK(sent < 2 * 16 * 1024);
    }
}

TEST_CASE("http limits: bodies are taken as they are") {
    struct row {
        const char* header;
        int status;
    };
    const auto r = GENERATE(
        row{"Content-Encoding: gzip", 415}, row{"Content-Encoding: identity, gzip", 415},
        row{"Content-Encoding: identity\r\nContent-Encoding: br", 415},
        row{"Content-Encoding: identity", 200}, row{"Content-Encoding: Identity", 200},
        row{"Content-Encoding:", 200});
    CAPTURE(r.header);
    script s;
    const auto peer = s.connect();
    const auto request = std::string("POST /publish HTTP/1.1\r\nHost: here\r\n") + r.header +
                         "\r\nContent-Length: 27\r\n\r\n{\"topic\":\"t\",\"payload\":\"x\"}";
    const auto answers = s.answer(*peer, request + "GET /stats HTTP/1.1\r\nHost: here\r\n\r\n");
    INFO(answers);
    CHECK(answers.starts_with("HTTP/1.1 " + std::to_string(r.status) + " "));
    CHECK(count(answers, "HTTP/1.1 200 ") == (r.status == 200 ? 2 : 1)); // and the next is answered
    if (r.status == 415) {
        CHECK(count(answers, "\r\nContent-Type: application/json\r\n") == 2);
        CHECK(count(answers, "\r\nAccept-Encoding: identity\r\n") == 1);
        CHECK(count(answers, R"({"error":")") == 1);
    }
    CHECK(s.broker.stats().published == (r.status == 200 ? 1 : 0));
    CHECK(s.broker.stats().transports.at("http").bad_requests == (r.status == 200 ? 0 : 1));
}

TEST_CASE("http limits: a request says to which host, also on paths of the host's own") {
    std::size_t asked = 0;
    pusher::http_params h;
    h.handler = [&](const pusher::http_connection_ptr& c) {
        ++asked;
        c->respond(pusher::http_response(http::status::ok, 11));
        return true;
    };
    const auto* const path = GENERATE("/mine", "/stats");
    script s({}, h);
    const auto peer = s.connect();
    auto status = [&](const std::string& rest) {
        return s.answer(*peer, std::string("GET ") + path + rest).substr(9, 4);
    };
    CHECK(status(" HTTP/1.1\r\n\r\n") == "400 ");
    CHECK(status(" HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == "400 ");
    CHECK(status(" HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\nHost: b\r\n\r\n") == "400 ");
    CHECK(asked == 0);
    CHECK(s.broker.stats().transports.at("http").bad_requests == 3);
    CHECK(status(" HTTP/1.1\r\nHost:\r\n\r\n") == "200 ");
    CHECK(status(" HTTP/1.1\r\nHost: a\r\n\r\n") == "200 ");
    CHECK(status(" HTTP/1.0\r\n\r\n") == "200 ");
    CHECK(asked == (path == std::string_view("/mine") ? 3 : 0));
}

TEST_CASE("http limits: a request as for a proxy") {
    script s;
    const auto peer = s.connect();
    CHECK(
        s.answer(*peer, "GET http://here/stats HTTP/1.1\r\nHost: here\r\n\r\n").starts_with("HTTP/1.1 200"));
    CHECK(s.answer(*peer, "GET http://here HTTP/1.1\r\nHost: here\r\n\r\n").starts_with("HTTP/1.1 404"));
    CHECK(s.answer(*peer, "GET /a?b=http://here/stats HTTP/1.1\r\nHost: here\r\n\r\n")
              .starts_with("HTTP/1.1 404"));
}

TEST_CASE("http limits: a host that answers too late") {
    pusher::broker_params p;
    p.authentication_timeout = 100ms;
    std::vector<pusher::authentication_answer> answers;
    std::vector<pusher::access_answer> accesses;
    std::vector<std::string> asked;
    p.authenticate = [&](const pusher::authentication_request&, pusher::authentication_answer a) {
        answers.push_back(std::move(a));
    };
    p.authorize = [&](const pusher::access_request& r, pusher::access_answer a) {
        asked.push_back(std::string(r.uid) + " " + std::string(r.topic));
        accesses.push_back(std::move(a));
    };
    script s(std::move(p));
    auto request = get("/publish");
    request.method(http::verb::post);
    request.body() = R"({"topic":"t","payload":"of alice"})";
    const auto peer = s.connect(std::move(request));
    REQUIRE(answers.size() == 1);
    SECTION("who it is") {}
    SECTION("whether it may") {
        answers[0](pusher::authentication_result::identified("alice"));
        s.run();
        REQUIRE(asked == std::vector<std::string>{"alice t"});
    }
    s.run_until([&] { return peer->ended().has_value(); });
    CHECK(peer->take().starts_with("HTTP/1.1 503 "));

    // Another request of this connection would be taken for the one that has the answer now.
    peer->send("POST /publish HTTP/1.1\r\nHost: here\r\nContent-Length: 34\r\n\r\n"
               R"({"topic":"t","payload":"of bob  "})");
    s.run();
    for (const auto& a : answers)
        a(pusher::authentication_result::identified("alice"));
    for (const auto& a : accesses)
        a(true);
    s.run();
    CHECK(answers.size() == 1);
    CHECK(asked.size() == accesses.size());
    CHECK(peer->take().empty());
    CHECK(s.broker.stats().published == 0);
}

namespace {

/// A request that publishes `a1`, `a2` and so on to the topic `t`.
pusher::http_request post(std::size_t messages) {
    auto r = get("/publish");
    r.method(http::verb::post);
    for (std::size_t n = 1; n <= messages; ++n)
        r.body() +=
            (n == 1 ? "[" : ",") + std::string(R"({"topic":"t","payload":"a)") + std::to_string(n) + R"("})";
    r.body() += "]";
    return r;
}

} // namespace

TEST_CASE("http limits: a request of many messages lets others have their turn") {
    pusher::http_params h;
    h.limits.requests_per_turn = 2;
    const bool asks = GENERATE(false, true);
    pusher::broker_params p;
    if (asks)
        p.authorize = [](const pusher::access_request&, const pusher::access_answer& a) { a(true); };
    script s(std::move(p), h);
    std::vector<std::string> order;
    const auto subscription = s.broker.subscribe("t", [&](const pusher::message& m) {
        order.emplace_back(m.payload());
        if (order.size() % 2 == 1)
            boost::asio::post(s.context, [&] { order.emplace_back("others"); });
    });
    const auto peer = s.connect(post(5));
    CHECK(order == std::vector<std::string>{"a1", "a2", "others", "a3", "a4", "others", "a5", "others"});
    const auto answer = peer->take();
    CHECK(answer.starts_with("HTTP/1.1 200 "));
    CHECK(count(answer, R"({"matched":1)") == 5);
    // The next request of the connection comes after all of it.
    order.clear();
    CHECK(s.answer(*peer, "GET /stats HTTP/1.1\r\nHost: here\r\n\r\n").starts_with("HTTP/1.1 200 "));
    CHECK(order.empty());
}

TEST_CASE("http limits: what comes between the turns of a request of many messages") {
    pusher::http_params h;
    h.limits.requests_per_turn = 2;
    auto s = std::make_unique<script>(pusher::broker_params{}, h);
    auto ends = memory_channel::connect(s->broker.get_executor());
    const auto peer = std::make_unique<memory_peer>(ends.first);
    std::optional<error_code> drained;
    std::size_t published = 0;
    std::function<void()> between;
    auto subscription = s->broker.subscribe("t", [&](const pusher::message& m) {
        ++published;
        if (m.payload() == "a2")
            between();
    });
    const auto publish = [&] {
        s->broker.accept(pusher::channel_ptr(std::move(ends.second)), post(5), {}, s->params);
        s->run();
    };
    SECTION("the connection ends") {
        between = [end = ends.first] { end->break_with(); };
        publish();
        CHECK(published == 2);
        CHECK(peer->take().empty());
    }
    SECTION("the broker is cancelled") {
        between = [&] { boost::asio::post(s->context, [&] { s->broker.cancel(); }); };
        publish();
        CHECK(published == 2);
        CHECK(peer->ended());
        CHECK(peer->take().empty());
    }
    SECTION("the broker drains") {
        between = [&] { s->broker.async_drain(10s, [&](error_code ec) { drained = ec; }); };
        publish();
        CHECK(published == 5);
        const auto answer = peer->take();
        CHECK(answer.starts_with("HTTP/1.1 200 "));
        CHECK(count(answer, R"({"matched":1)") == 5);
        INFO(answer);
        CHECK(count(answer, "Connection: close") == 1);
        peer->close();
        s->run_until([&] { return drained.has_value(); });
        CHECK(*drained == error_code());
    }
    SECTION("the broker is destroyed") {
        // With it, and then with the event loop, go what was still to come.
        between = [&] { boost::asio::post(s->context, [&] { s->context.stop(); }); };
        publish();
        CHECK(published == 2);
        s.reset();
    }
}

TEST_CASE("http limits: while a request of many messages is handled, no hook is late") {
    pusher::http_params h;
    h.limits.requests_per_turn = 1;
    pusher::broker_params p;
    p.authentication_timeout = 100ms;
    p.authenticate = [](const pusher::authentication_request&, const pusher::authentication_answer& a) {
        a(pusher::authentication_result::anonymous());
    };
    if (GENERATE(false, true))
        p.authorize = [](const pusher::access_request&, const pusher::access_answer& a) { a(true); };
    script s(std::move(p), h);
    const auto subscription = s.broker.subscribe("t", [](const pusher::message& m) {
        if (m.payload() != "a1")
            return;
        const auto end = std::chrono::steady_clock::now() + 400ms;
        while (std::chrono::steady_clock::now() < end) { // the event loop has a long turn
        }
    });
    const auto answer = s.connect(post(50))->take();
    CHECK(answer.starts_with("HTTP/1.1 200 "));
    CHECK(count(answer, R"({"matched":1)") == 50);
}

TEST_CASE("http limits: a route of the host that does not answer") {
    std::vector<pusher::http_connection_ptr> taken;
    pusher::http_params h;
    h.handler_timeout = 100ms;
    h.handler = [&](const pusher::http_connection_ptr& c) {
        taken.push_back(c);
        return true;
    };
    script s({}, h);
    const auto peer = s.connect(get("/mine"));
    s.run_until([&] { return peer->ended().has_value(); });
    CHECK(peer->take().starts_with("HTTP/1.1 503 "));
    REQUIRE(taken.size() == 1);
    CHECK_FALSE(taken[0]->open());
    taken[0]->respond(pusher::http_response(http::status::ok, 11)); // without effect
    s.run();
    CHECK(peer->take().empty());
    taken.clear(); // before the context
}

TEST_CASE("http limits: very many topics and types in one URL") {
    std::size_t asked = 0;
    std::optional<std::size_t> refused_at;
    pusher::broker_params p;
    p.subscriptions = 3000;
    p.authorize = [&](const pusher::access_request&, const pusher::access_answer& a) {
        a(++asked != refused_at);
    };
    script s(std::move(p));
    auto target = [](std::size_t topics, std::size_t types) {
        std::string t = "/events?";
        for (std::size_t i = 0; i != topics; ++i)
            t += "topic=" + std::to_string(i) + "&";
        for (std::size_t i = 0; i != types; ++i)
            t += "type=" + std::to_string(i) + "&";
        return get(t.substr(0, t.size() - 1));
    };
    CHECK(s.connect(target(61, 50))->take().starts_with("HTTP/1.1 400 "));
    CHECK(asked == 0); // the host is not bothered
    auto peer = s.connect(target(60, 50));
    CHECK(peer->take().starts_with("HTTP/1.1 200 "));
    CHECK(asked == 3000);
    CHECK(s.broker.stats().subscriptions == 3000);
    asked = 0;
    refused_at = 7;
    CHECK(s.connect(target(60, 50))->take().starts_with("HTTP/1.1 403 "));
    CHECK(asked == 7);
}

TEST_CASE("http limits: where every origin is allowed, none gets what its visitor may see") {
    pusher::http_params h;
    h.allowed_origins = GENERATE(std::vector<std::string>{"*"}, std::vector<std::string>{"https://friend"});
    script s({}, h);
    auto request = get("/stats");
    request.set(http::field::origin, "https://friend");
    const auto answer = s.connect(std::move(request))->take();
    CHECK(answer.starts_with("HTTP/1.1 200 "));
    const bool all = h.allowed_origins[0] == "*";
    CHECK(count(answer, "Access-Control-Allow-Origin: https://friend\r\n") == (all ? 0 : 1));
    CHECK(count(answer, "Access-Control-Allow-Origin: *\r\n") == (all ? 1 : 0));
    CHECK(count(answer, "Access-Control-Allow-Credentials: true\r\n") == (all ? 0 : 1));
}

TEST_CASE("http limits: an event stream too many is told when to come back") {
    pusher::broker_params p;
    p.sessions = 1;
    script s(std::move(p));
    const auto first = s.connect(get("/events?topic=a"));
    CHECK(first->take().starts_with("HTTP/1.1 200 "));
    const auto second = s.connect(get("/events?topic=a"));
    const auto text = second->take();
    INFO(text);
    CHECK(text.starts_with("HTTP/1.1 200 "));
    CHECK(count(text, "\r\n\r\n") == 1);
    CHECK(text.find("retry:") > text.find("\r\n\r\n"));
    CHECK(count(text, R"("code":1013)") == 1);
    CHECK(second->ended() == error_code(errc::peer_closed));
    CHECK(s.broker.stats().transports.at("sse").refused == 1);
    auto upgrade = get("/ws");
    upgrade.set(http::field::upgrade, "websocket");
    upgrade.set(http::field::connection, "Upgrade");
    upgrade.set(http::field::sec_websocket_version, "13");
    upgrade.set(http::field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
    const auto refused = s.connect(std::move(upgrade))->take();
    CHECK(refused.starts_with("HTTP/1.1 503 "));
    CHECK(count(refused, "\r\nRetry-After: ") == 1);
}

TEST_CASE("http limits: an event stream of a topic too many is told when to come back") {
    pusher::broker_params p;
    p.topics = 1;
    p.subscribe_on_bind = {"a"};
    p.subscriptions = 2;
    script s(std::move(p));
    auto first = s.connect(get("/events?topic=a"));
    const auto text = s.connect(get("/events?topic=b"))->take();
    INFO(text);
    CHECK(text.starts_with("HTTP/1.1 200 "));
    CHECK(count(text, "\nretry: ") == 1);
    CHECK(count(text, R"({"close":{"code":1013,"reason":"too many topics","retry":)") == 1);
    first->close();
    s.run();
    // What would be refused again is not asked to come again.
    const auto final = s.connect(get("/events?topic=a&type=x&type=y"))->take();
    INFO(final);
    CHECK(count(final, R"({"close":{"code":1008,"reason":"too many subscriptions"}})") == 1);
}

TEST_CASE("http limits: a drain lets half a request become whole") {
    script s;
    const auto idle = s.connect();
    const auto half = s.connect();
    const auto never = s.connect();
    half->send("POST /publish HTTP/1.1\r\nHost: here\r\nContent-Length: 27\r\n\r\n");
    never->send("GET /sta");
    s.run();
    std::optional<error_code> drained;
    s.broker.async_drain(100ms, [&](error_code ec) { drained = ec; });
    s.run();
    CHECK(idle->ended());
    CHECK_FALSE(half->ended());
    CHECK_FALSE(never->ended());
    CHECK(s.answer(*half, R"({"topic":"a","payload":"x"})").starts_with("HTTP/1.1 200 "));
    CHECK(half->ended());
    half->close();
    s.run_until([&] { return drained.has_value(); });
    CHECK(*drained == error_code(boost::asio::error::timed_out)); // for the one that never came
    CHECK(never->ended());
}

TEST_CASE("http limits: a drain of very many idle connections is one walk over them") {
    script s;
    std::vector<std::unique_ptr<memory_peer>> peers;
    for (int i = 0; i != 3000; ++i)
        peers.push_back(s.connect());
    std::optional<error_code> drained;
    s.broker.async_drain(10s, [&](error_code ec) { drained = ec; });
    s.run();
    REQUIRE(drained);
    CHECK_FALSE(*drained);
    for (const auto& p : peers)
        CHECK(p->ended());
}

TEST_CASE("http limits: an event stream of a filter that comes back is told of what it may have missed") {
    pusher::broker_params p;
    p.history.messages = 10;
    script s(std::move(p));
    const auto first = s.connect(get("/events?topic=%23&match=filter"));
    s.broker.publish("a", "1");
    s.run();
    auto text = first->take();
    const auto at = text.find("id: ");
    REQUIRE(at != text.npos);
    const auto id = text.substr(at + 4, text.find('\n', at) - at - 4);
    auto again = [&](const std::string& last) {
        auto r = get("/events?topic=%23&match=filter");
        r.set("Last-Event-ID", last);
        return s.connect(std::move(r))->take();
    };
    CHECK(count(again(id), "pusher.gap") == 0); // nothing has come since
    s.broker.publish("a", "2");
    s.run();
    const auto later = again(id);
    CHECK(count(later, "event: pusher.gap") == 1);
    CHECK(count(later, R"({"topic":"#","gap":{"count":0}})") == 1);
    CHECK(count(again("0123456789abcdef-7"), "event: pusher.gap") == 1);
}
