// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A web page can make a browser send an HTTP request to any port, with a body of the page's choice. The check
// of origins is HTTP's alone, so nothing of such a request may be done.

#include "broker_script.hpp"
#include "catch.hpp"

#include <string>

using namespace test;

namespace {

constexpr std::string_view order =
    R"({"action":"publish","params":{"topic":"t","payload":"from a foreign page"}})";

std::string post(std::string_view first_line, std::string_view end) {
    std::string text(first_line);
    for (const auto line : {"Host: 127.0.0.1:9000", "Origin: http://evil.example", ""})
        (text += end) += line;
    ((text += end) += order) += '\n';
    return text;
}

} // namespace

TEST_CASE("HTTP on TCP: a request ends the session, and its body is not looked at") {
    const auto first_line = GENERATE(
        as<std::string_view>(), "POST / HTTP/1.1", "GET /a?b=c HTTP/1.1", "PRI * HTTP/2.0", "post / HTTP/1.0",
        "M-SEARCH * HTTP/1.1");
    const auto end = GENERATE(as<std::string_view>(), "\r\n", "\n");
    const bool whole = GENERATE(true, false);
    CAPTURE(first_line, whole);
    broker_script s;
    int published = 0;
    auto sub = s.broker.subscribe(
        "#", [&](const pusher::message&) { ++published; }, {.match = pusher::match_mode::filter});
    client a(s);
    if (whole) {
        a.peer.send(post(first_line, end));
    } else {
        for (const char c : post(first_line, end)) {
            a.peer.send({&c, 1});
            s.run();
        }
    }
    CHECK(
        a.heard() == texts{
                         "fail this is not HTTP but the native dialect of pusher, a JSON object per line",
                         "close 1002 protocol error"});
    CHECK(a.ended());
    CHECK(published == 0);
}

TEST_CASE("HTTP on TCP: what was asked before it is answered, what comes after it is not") {
    broker_script s;
    client a(s);
    a.peer.send("{\"action\":\"ping\",\"request_id\":\"1\"}\n" + post("GET / HTTP/1.1", "\r\n"));
    const auto heard = a.heard();
    REQUIRE(heard.size() == 3);
    CHECK(heard[0] == "ok 1");
    CHECK(heard[1].starts_with("fail this is not HTTP"));
    CHECK(heard[2] == "close 1002 protocol error");
}

TEST_CASE("HTTP on TCP: other lines that are no requests end nothing") {
    broker_script s;
    client a(s);
    for (const auto line :
         {"hello", "Host: HTTP/1.1", "GET /", "GET / HTTP/", R"({"action":"GET / HTTP/1.1"})"}) {
        a.peer.send(std::string(line) + "\n");
        const auto heard = a.heard();
        REQUIRE(heard.size() == 1);
        CHECK(heard[0].starts_with("fail"));
    }
    a.peer.send(R"({"action":"publish","request_id":"2","params":{"topic":"t","payload":"GET / HTTP/1.1"}})"
                "\n");
    CHECK(a.heard() == texts{"ok 2 matched 0"});
    CHECK_FALSE(a.ended());
}
