// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "net_peers.hpp"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <string>
#include <vector>

// HTTP as bytes: requests that are none, several on one connection, bodies, origins, and the host's own
// routes.

using namespace test;
using namespace std::chrono_literals;

namespace {

using strings = std::vector<std::string>;

struct fixture {
    explicit fixture(pusher::http_params p = {}, pusher::broker_params b = {})
        : hub(std::move(b)),
          port(hub.listen(p)) {}

    raw_peer peer(int receive_buffer = 0) { return {io, port, receive_buffer}; }

    /// The answer to one request, on a connection of its own.
    http_answer ask(const std::string& request) {
        auto p = peer();
        p.try_send(request);
        return answer_of(p, request.starts_with("HEAD"));
    }
    pusher::broker_stats stats() {
        return hub.on([](auto& h) { return h.stats(); });
    }

    asio::io_context io;
    hub_thread hub;
    std::uint16_t port;
};

std::string request(
    const std::string& line, const strings& headers = {}, const std::string& body = {},
    const std::string& version = "1.1") {
    auto text = line + " HTTP/" + version + "\r\nHost: hub.example:8080\r\n";
    for (const auto& h : headers)
        text += h + "\r\n";
    if (!body.empty() || line.starts_with("POST"))
        text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return text + "\r\n" + body;
}

std::string post(const std::string& body) { return request("POST /publish", {}, body); }

bool is_error(const http_answer& a) {
    return a["Content-Type"] == "application/json" &&
           !boost::json::parse(a.body).as_object().at("error").as_string().empty();
}

} // namespace

TEST_CASE("HTTP: what is no request is answered, and the connection ends") {
    fixture f({.body_bytes = 2000});
    const std::string start = "POST /publish HTTP/1.1\r\nHost: a\r\n";
    const std::vector<std::pair<std::string, int>> table{
        {"\r\n\r\nGET\r\n", 400},
        {std::string(100, '\0'), 400},
        {"\x16\x03\x01\x02\x00\x01\x00", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / HTTP/9.9\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n: a\r\n\r\n", 400},
        {"G\xc3\xa4T / HTTP/1.1\r\n\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nX: \x01\r\n\r\n", 400},
        {"GET /" + std::string(20'000, 'x'), 431},
        {"GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x'), 431},
        {start + "Content-Length: -1\r\n\r\n", 400},
        {start + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
        {start + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
        {start + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400},
        {start + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 400},
        {start + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400},
        {start + "Transfer-Encoding: gzip\r\n\r\nGET /stats HTTP/1.0\r\n\r\n", 400},
        {start + "Transfer-Encoding: chunked, gzip\r\n\r\n1\r\nx\r\n0\r\n\r\n", 400},
        {start + "Content-Length: 2001\r\n\r\n", 413},
        {start + "Content-Length: 1000000\r\n\r\n" + std::string(1'000'000, 'x'), 413},
        {start + "Transfer-Encoding: chunked\r\n\r\n800\r\n" + std::string(2048, 'x') + "\r\n", 413}};
    for (const auto& [text, status] : table) {
        CAPTURE(text.substr(0, 100));
        auto p = f.peer();
        p.try_send(text);
        const auto a = answer_of(p);
        CHECK(a.status == status);
        CHECK(is_error(a));
        CHECK(a["Connection"] == "close");
        CHECK(p.rest().empty()); // in good order, whatever was still on its way
    }
    CHECK(f.stats().transports.at("http").bad_requests == table.size());
    CHECK(f.ask(request("GET /stats")).status == 200);
}

TEST_CASE("HTTP: connections that do not get to a request in time") {
    fixture f({.limits = {.handshake_timeout = 500ms}});

    SECTION("nothing at all: the end") {
        auto p = f.peer();
        if (GENERATE(false, true))
            p.send("\r\n");
        CHECK(p.rest().empty());
        const auto s = f.stats();
        CHECK(s.transports.at("http").closed_by_error == 1);
        CHECK(s.transports.at("http").bad_requests == 0);
        CHECK(s.closed.at(pusher::make_error_code(pusher::errc::handshake_timeout).message()) == 1);
    }
    SECTION("gone without a request") {
        f.peer();
        auto p = f.peer();
        reset(p.socket);
        f.hub.until([](auto& h) { return h.stats().transports["http"].closed_by_error == 1; });
        CHECK(f.stats().closed.size() == 1); // who leaves in good order need not have asked
    }
    SECTION("byte by byte: the time is that of the whole request") {
        auto p = f.peer();
        asio::steady_timer pace(f.io);
        const auto began = std::chrono::steady_clock::now();
        p.send("GET / HTTP/1.1\r\n");
        while (p.socket.available() == 0) {
            p.try_send("X: y\r\n");
            pace.expires_after(20ms);
            pace.wait();
            REQUIRE(std::chrono::steady_clock::now() - began < 20s);
        }
        const auto a = answer_of(p);
        CHECK(a.status == 408);
        CHECK(p.rest().empty());
        CHECK(f.stats().transports.at("http").bad_requests == 1);
    }
    SECTION("a body that does not come") {
        auto p = f.peer();
        p.send("POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{");
        CHECK(answer_of(p).status == 408);
        CHECK(p.rest().empty());
        CHECK(f.stats().published == 0);
    }
    SECTION("a body that cannot come any more") {
        auto p = f.peer();
        p.send("POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{").shutdown();
        CHECK(answer_of(p).status == 400);
        CHECK(p.rest().empty());
    }
    SECTION("after an answer it waits for the next one as long") {
        auto p = f.peer();
        p.send(request("GET /stats"));
        CHECK(answer_of(p).status == 200);
        CHECK(p.rest().empty());
        CHECK(f.stats().transports.at("http").bad_requests == 0);
        CHECK(f.stats().transports.at("http").closed_by_error == 0);
        CHECK(f.stats().closed.empty());
    }
}

TEST_CASE("HTTP: one connection carries one request after another") {
    fixture f;
    auto p = f.peer();

    SECTION("each after the answer") {
        for (int i = 0; i != 3; ++i) {
            p.send(post(R"({"topic":"t","payload":"x"})"));
            CHECK(answer_of(p).body == R"({"matched":0})");
        }
        CHECK(f.stats().published == 3);
    }
    SECTION("all at once, with their answers in order") {
        std::string all;
        for (int i = 0; i != 50; ++i)
            all +=
                post(R"([{"topic":"t","payload":"x"}])") + request("GET /nowhere") + request("HEAD /stats");
        p.send(all);
        for (int i = 0; i != 50; ++i) {
            CHECK(answer_of(p).body == R"([{"matched":0}])");
            CHECK(answer_of(p).status == 404);
            const auto head = answer_of(p, true);
            CHECK(head.status == 200);
            CHECK(std::stoul(head["Content-Length"]) > 100);
        }
        CHECK(f.stats().published == 50);
    }
    SECTION("until one says close") {
        p.send(request("GET /stats", {"Connection: close"}) + request("GET /stats"));
        CHECK(answer_of(p)["Connection"] == "close");
        CHECK(p.rest().empty());
        CHECK(f.stats().transports.at("http").requests == 1);
    }
    SECTION("of HTTP/1.0: only if it asks for it") {
        p.send(request("GET /stats", {"Connection: keep-alive"}, {}, "1.0"));
        CHECK(answer_of(p)["Connection"] == "keep-alive");
        p.send("GET /stats HTTP/1.0\r\n\r\n"); // nor does it need a Host
        const auto a = answer_of(p);
        CHECK(a.status == 200);
        CHECK(a.head.starts_with("HTTP/1.0 "));
        CHECK(p.rest().empty());
    }
    SECTION("with more after the body than its length said, which is the next request") {
        p.send("POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\n"
               R"({"topic":"t","payload":"x"}}})");
        CHECK(answer_of(p).status == 200);
        CHECK(answer_of(p).status == 400);
        CHECK(p.rest().empty());
    }
}

TEST_CASE("HTTP: bodies") {
    fixture f({.body_bytes = 100'000});
    const auto message = R"({"topic":"t","payload":")" + std::string(50'000, 'x') + "\"}";
    auto p = f.peer();

    SECTION("in chunks") {
        p.send("POST /publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (const auto* const part : {R"({"topic":)", R"("t","payl)", R"(oad":1.0})"})
            p.send("9;ext=1\r\n" + std::string(part) + "\r\n");
        p.send("0\r\nTrailer: x\r\n\r\n");
        CHECK(answer_of(p).body == R"({"matched":0})");
        CHECK(f.stats().published_bytes == 3);
    }
    SECTION("that wait for a word, as curl's do") {
        const auto whole = request("POST /publish", {"Expect: 100-continue"}, message);
        const auto header = whole.substr(0, whole.find("\r\n\r\n") + 4);
        p.send(header);
        CHECK(p.until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
        p.send(message);
        CHECK(answer_of(p).status == 200);
        // Or do not wait.
        p.send(whole);
        auto a = answer_of(p);
        if (a.status == 100)
            a = answer_of(p);
        CHECK(a.body == R"({"matched":0})");
        // What is too large is not asked for.
        p.send("POST /publish HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n");
        CHECK(answer_of(p).status == 413);
        CHECK(p.rest().empty());
    }
    SECTION("of HTTP/1.0, which does not know that word") {
        const auto whole = request("POST /publish", {"Expect: 100-continue"}, message, "1.0");
        p.send(whole.substr(0, whole.size() - 1));
        auto q = f.peer();
        q.send(request("GET /stats"));
        CHECK(answer_of(q).status == 200);
        p.send("}");
        CHECK(answer_of(p).status == 200);
    }
}

TEST_CASE("HTTP: methods and paths") {
    fixture f;
    for (const auto* const path : {"/events?topic=a", "/stats"})
        for (const auto* const method : {"POST", "PUT", "DELETE", "PATCH", "TRACE"}) {
            CAPTURE(path, method);
            const auto a = f.ask(request(std::string(method) + " " + path));
            CHECK(a.status == 405);
            CHECK(a["Allow"] == "GET, HEAD, OPTIONS");
            CHECK(is_error(a));
        }
    for (const auto* const method : {"GET", "HEAD", "PUT"}) {
        const auto a = f.ask(request(std::string(method) + " /publish"));
        CHECK(a.status == 405);
        CHECK(a["Allow"] == "POST, OPTIONS");
        CHECK(std::stoul(a["Content-Length"]) > 0);
    }
    for (const auto* const path : {"/", "/nowhere", "/stats/", "/Stats", "/ws/x", "*"}) {
        CAPTURE(path);
        const auto a = f.ask(request(std::string("GET ") + path));
        CHECK(a.status == 404);
        CHECK(is_error(a));
    }
    CHECK(f.ask(request("GET /stats?x=y")).status == 200);
    CHECK(f.stats().transports.at("http").bad_requests == 10 + 3 + 6);

    SECTION("paths are the host's to choose, and to leave out") {
        fixture g({.websocket_path = "", .events_path = "/e", .publish_path = "", .stats_path = ""});
        CHECK(g.ask(request("GET /ws")).status == 404);
        CHECK(g.ask(request("GET /stats")).status == 404);
        CHECK(g.ask(post("{}")).status == 404);
        CHECK(g.ask(request("GET /events?topic=a")).status == 404);
        CHECK(g.ask(request("HEAD /e?topic=a")).status == 200);
    }
}

TEST_CASE("HTTP: a request comes from one place, to one host") {
    fixture f;
    const strings lines{"GET /ws", "GET /events?topic=a", "POST /publish", "GET /stats", "OPTIONS /publish"};
    for (const auto& line : lines) {
        CAPTURE(line);
        for (const auto* const origin :
             {"http://elsewhere", "http://hub.example", "https://hub.example:8081",
              "http://hub.example:8080/", "null", ""}) {
            CAPTURE(origin);
            const auto a = f.ask(request(line, {std::string("Origin: ") + origin}));
            CHECK(a.status == 403);
            CHECK(a["Access-Control-Allow-Origin"].empty());
            CHECK(is_error(a));
        }
        CHECK(
            f.ask(request(line, {"Origin: http://hub.example:8080", "Origin: http://hub.example:8080"}))
                .status == 403);
        CHECK(f.ask(request(line, {"Host: hub.example:8080"})).status == 400);
        CHECK(f.ask(line + " HTTP/1.1\r\n\r\n").status == 400);
        CHECK(f.ask(request(line, {"Origin: http://hub.example:8080"})).status < 500);
    }
    const auto s = f.stats();
    CHECK(s.transports.at("http").refused == lines.size() * 7);
    CHECK(s.published == 0);
    CHECK(
        f.ask(request("GET /stats", {"Origin: http://HUB.example:8080"}))["Access-Control-Allow-Origin"] ==
        "http://HUB.example:8080");
}

TEST_CASE("HTTP: allowed origins are told so") {
    fixture f({.allowed_origins = {"https://page.example"}});
    const std::string origin = "Origin: https://page.example";
    auto a = f.ask(request("POST /publish", {origin}, R"({"topic":"t","payload":"x"})"));
    CHECK(a.status == 200);
    CHECK(a["Access-Control-Allow-Origin"] == "https://page.example");
    CHECK(a["Access-Control-Allow-Credentials"] == "true");
    CHECK(a["Vary"] == "Origin");
    // A page has to see what is wrong, too.
    a = f.ask(request("POST /publish", {origin}, "x"));
    CHECK(a.status == 400);
    CHECK(a["Access-Control-Allow-Origin"] == "https://page.example");

    a = f.ask(request("OPTIONS /publish", {origin, "Access-Control-Request-Method: POST"}));
    CHECK(a.status == 204);
    CHECK(a.body.empty());
    CHECK(a["Access-Control-Allow-Origin"] == "https://page.example");
    CHECK(a["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS");
    CHECK(holds(a["Access-Control-Allow-Headers"], "Last-Event-ID"));
    CHECK(f.ask(request("OPTIONS /publish", {"Origin: https://page.example:444"})).status == 403);
    a = f.ask(request("GET /stats"));
    CHECK(a.status == 200);
    CHECK(a["Access-Control-Allow-Origin"].empty());

    auto p = f.peer();
    p.send(request("GET /events?topic=t", {origin}));
    CHECK(answer_of(p)["Access-Control-Allow-Origin"] == "https://page.example");
    fixture any({.allowed_origins = {"*"}});
    CHECK(any.ask(request("GET /stats", {"Origin: null"}))["Access-Control-Allow-Origin"] == "*");
}

TEST_CASE("HTTP: POST /publish") {
    fixture f({}, {.topics = 2, .message_bytes = 1000, .posted_messages = 10});
    const auto listens = f.hub.on([](auto& h) {
        return std::make_shared<pusher::subscription>(h.subscribe("t", [](const pusher::message&) {}));
    });
    const auto more = f.hub.on([](auto& h) {
        return std::make_shared<pusher::subscription>(h.subscribe("u", [](const pusher::message&) {}));
    });
    const std::string one = R"({"topic":"t","payload":"x"})";
    std::string many = "[" + one;
    for (int i = 0; i != 1024; ++i)
        many += "," + one;
    struct row {
        std::string body;
        int status;
        std::string reply; ///< empty: an error
    };
    const std::vector<row> table{
        {one, 200, R"({"matched":1})"},
        {R"({"topic":"nobody","payload":{"a":1.0}})", 200, R"({"matched":0})"},
        {"[]", 200, "[]"},
        {" [ " + one + " , " + one + " ] ", 200, R"([{"matched":1},{"matched":1}])"},
        {"", 400, ""},
        {"x", 400, ""},
        {"[" + one, 400, ""},
        {one + one, 400, ""},
        {"7", 400, ""},
        {"\"t\"", 400, ""},
        {"{\"topic\":\"t\",\"payload\":\"\xff\"}", 400, ""},
        {"{}", 400, ""},
        {R"({"topic":"t"})", 400, ""},
        {R"({"topic":"","payload":"x"})", 400, ""},
        {R"({"topic":")" + std::string(256, 'x') + R"(","payload":"x"})", 400, ""},
        {R"({"topic":"t","payload":"x","type":"pusher.x"})", 400, ""},
        {R"({"topic":"t","payload":"x","ttl":8640000001})", 400, ""},
        {R"({"topic":"t","topic":"t","payload":"x"})", 400, ""},
        {std::string(40, '[') + std::string(40, ']'), 400, ""},
        {R"({"topic":"t","payload":")" + std::string(1001, 'x') + "\"}", 413, ""},
        {many + "]", 413, ""}};
    std::size_t errors = 0;
    for (const auto& r : table) {
        CAPTURE(r.body.substr(0, 200));
        const auto a = f.ask(post(r.body));
        CHECK(a.status == r.status);
        CHECK(a["Content-Type"] == "application/json");
        if (r.reply.empty())
            CHECK(is_error(a));
        else
            CHECK(a.body == r.reply);
        errors += r.reply.empty() ? 1 : 0;
    }
    CHECK(f.stats().published == 4);
    CHECK(f.stats().transports.at("http").bad_requests == errors);

    // Each by itself, in order.
    const auto a = f.ask(
        post("[" + one + R"(,7,{"topic":"t"},{"topic":"t","payload":"x","ttl":8640000001},)" + one + "]"));
    CHECK(a.status == 200);
    const auto receipts = boost::json::parse(a.body).as_array();
    REQUIRE(receipts.size() == 5);
    for (std::size_t i = 0; i != 5; ++i)
        CHECK(receipts.at(i).as_object().contains(i == 0 || i == 4 ? "matched" : "error"));
    CHECK(f.stats().published == 6);
    CHECK(f.stats().transports.at("http").bad_requests == errors + 3);

    SECTION("receipts of topics with history") {
        fixture g({}, {.history = {.messages = 2}, .topics = 1});
        for (int i = 1; i != 4; ++i) {
            const auto receipt = boost::json::parse(g.ask(post(one)).body).as_object();
            CHECK(receipt.at("offset") == i);
            CHECK(receipt.at("epoch").as_string().size() == 16);
        }
        CHECK(g.ask(post(R"({"topic":"one too many","payload":"x"})")).status == 503);
    }
}

TEST_CASE("HTTP: POST /publish of what was published") {
    pusher::broker_params b;
    b.idempotency.messages = 10;
    b.authenticate = [](const pusher::authentication_request& r, const pusher::authentication_answer& a) {
        const auto uid = (*r.http)["Authorization"];
        a(uid.empty() ? pusher::authentication_result::anonymous()
                      : pusher::authentication_result::identified(std::string(uid.data(), uid.size())));
    };
    fixture f({}, std::move(b));
    const std::string one = R"({"topic":"t","payload":"x","id":"1"})";
    const std::string first = R"({"matched":0})";
    const std::string again = R"({"matched":0,"repeated":true})";
    const auto publish = [&](const std::string& body, const strings& headers = {}) {
        return f.ask(request("POST /publish", headers, body)).body;
    };
    CHECK(publish(one) == first);
    CHECK(publish(one) == again);
    CHECK(
        publish(
            R"([{"topic":"u","payload":"x","id":"1"},)" + one + R"(,{"topic":"u","payload":"","id":"1"}])") ==
        "[" + first + "," + again + "," + again + "]");
    // Whoever comes without a name does not come between users, or the host.
    CHECK(publish(one, {"Authorization: ann"}) == first);
    CHECK(publish(one, {"Authorization: bob"}) == first);
    CHECK(publish(one, {"Authorization: ann"}) == again);
    CHECK_FALSE(f.hub.on([](auto& h) { return h.publish("t", "x", {.id = "1"}).repeated; }));
    CHECK(f.stats().published == 5);
    const auto s = boost::json::parse(f.ask(request("GET /stats")).body).as_object();
    CHECK(s.at("repeated_publishes") == 4);
}

TEST_CASE("HTTP: GET /stats") {
    fixture f;
    f.ask(post(R"({"topic":"t","payload":"abc"})"));
    const auto a = f.ask(request("GET /stats"));
    CHECK(a.status == 200);
    CHECK(a["Content-Type"] == "application/json");
    CHECK(a["Cache-Control"] == "no-cache");
    const auto s = boost::json::parse(a.body).as_object();
    CHECK(s.at("published") == 1);
    CHECK(s.at("published_bytes") == 3);
    CHECK(s.at("sessions") == 0);
    CHECK(s.at("transports").at("http").at("requests") == 2);
}

TEST_CASE("HTTP: the host's own routes") {
    namespace http = boost::beast::http;
    std::vector<pusher::http_connection_ptr> held;
    pusher::http_params params;
    const auto text = [](const std::string& body) {
        pusher::http_response r(http::status::ok, 11);
        r.body() = body;
        return r;
    };
    params.handler = [&](const pusher::http_connection_ptr& c) {
        const auto target = std::string(c->request().target());
        if (target == "/now")
            c->respond(text("now " + c->request().body()));
        else if (target == "/later")
            held.push_back(c);
        else if (target == "/throws")
            throw std::runtime_error("by intent");
        else if (target == "/large")
            c->respond(text(std::string(3'000'000, 'x')));
        else
            return false;
        return true;
    };
    params.limits.write_timeout = 1s;
    fixture f(params);
    auto p = f.peer();

    SECTION("now, not at all, and with an exception") {
        p.send(
            request("POST /now", {}, "body") + request("GET /no") + request("GET /throws") +
            request("HEAD /now"));
        CHECK(answer_of(p).body == "now body");
        CHECK(answer_of(p).status == 404);
        const auto failed = answer_of(p);
        CHECK(failed.status == 500);
        CHECK(is_error(failed));
        CHECK_FALSE(holds(failed.body, "by intent"));
        CHECK(answer_of(p, true)["Content-Length"] == "4");
        // Foreign origins are the handler's own business.
        p.send(request("GET /now", {"Origin: http://elsewhere"}));
        CHECK(answer_of(p).status == 200);
    }
    SECTION("later, with the next request waiting behind") {
        p.send(request("GET /later") + request("GET /now"));
        f.hub.until([&](auto&) { return held.size() == 1; });
        CHECK(p.socket.available() == 0);
        f.hub.on([&](auto&) {
            CHECK(held[0]->open());
            held[0]->respond(text("later"));
            CHECK_FALSE(held[0]->open());
            held[0]->respond(text("twice"));
            held.clear();
        });
        CHECK(answer_of(p).body == "later");
        CHECK(answer_of(p).body == "now ");
    }
    SECTION("later, when the client has gone, or the broker") {
        p.send(request("GET /later"));
        f.hub.until([&](auto&) { return held.size() == 1; });
        reset(p.socket);
        f.hub.on([&](auto&) { held[0]->respond(text("for nobody")); });
        auto q = f.peer();
        q.send(request("GET /later"));
        f.hub.until([&](auto&) { return held.size() == 2; });
        f.hub.on([&](auto& h) {
            h.cancel();
            held[1]->respond(text("too late"));
            CHECK_FALSE(held[1]->open());
            held.clear();
        });
        error_code ec;
        CHECK(q.rest(ec).empty());
    }
    SECTION("large, to a client that is slow but takes it") {
        auto slow = f.peer(4096);
        slow.send(request("GET /large"));
        const auto head = slow.until("\r\n\r\n");
        CHECK(holds(head, "Content-Length: 3000000"));
        asio::steady_timer pace(f.io);
        const auto began = std::chrono::steady_clock::now();
        for (int i = 0; i != 30; ++i) {
            CHECK(slow.bytes(100'000) == std::string(100'000, 'x'));
            pace.expires_after(70ms);
            pace.wait();
        }
        CHECK(std::chrono::steady_clock::now() - began > 2s); // twice the write timeout
        slow.send(request("GET /now"));
        CHECK(answer_of(slow).status == 200);
    }
    SECTION("large, to a client that takes nothing") {
        auto stuck = f.peer(4096);
        stuck.send(request("GET /later"));
        f.hub.until([&](auto&) { return held.size() == 1; });
        f.hub.on([&](auto&) { held[0]->respond(text(std::string(3'000'000, 'x'))); });
        f.hub.until([&](auto&) { return held[0]->peer() == "?"; }); // its socket is closed
        f.hub.on([&](auto&) { held.clear(); });
        error_code ec;
        CHECK(stuck.rest(ec).size() < 2'900'000);
    }
}
