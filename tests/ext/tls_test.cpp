// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "tls_support.hpp"

#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <atomic>

// TLS as peers see it: lines, WebSocket, HTTP and server-sent events, and what goes wrong.

using namespace test;
namespace http = boost::beast::http;

namespace {

pusher::tcp_params tls_lines(pusher::tls_params p = {}) {
    return {.channel = pusher::tls(server_context(std::move(p)))};
}
pusher::http_params https(pusher::tls_params p = {}) {
    return {.channel = pusher::tls(server_context(std::move(p)))};
}

/// An HTTPS client that blocks.
struct https_client {
    https_client(asio::io_context& io, std::uint16_t to, ssl::context& context)
        : port(to),
          stream(connect(io, to), context) {
        stream.handshake(ssl::stream_base::client);
    }

    http::request<http::string_body>
    make(http::verb method, const std::string& target, std::string body = {}) const {
        http::request<http::string_body> r(method, target, 11);
        r.set(http::field::host, "127.0.0.1:" + std::to_string(port));
        r.body() = std::move(body);
        r.prepare_payload();
        return r;
    }

    http::response<http::string_body> ask(const http::request<http::string_body>& r) {
        http::write(stream, r);
        http::response<http::string_body> response;
        http::read(stream, buffer, response);
        return response;
    }

    std::uint16_t port;
    ssl::stream<tcp::socket> stream;
    boost::beast::flat_buffer buffer;
};

} // namespace

TEST_CASE("TLS: lines") {
    hub_thread hub;
    const auto port = hub.listen(tls_lines());
    asio::io_context io;
    auto context = client_context();

    SECTION("subscribe and publish") {
        tls_line_client a(io, port, context);
        tls_line_client b(io, port, context);
        a.subscribe("t");
        b.request("publish", R"({"topic":"t","payload":"from b"})");
        CHECK(holds(b.line(), R"("matched":1)"));
        CHECK(payload_of(a.line()) == "from b");
        hub.publish("t", "from the host");
        CHECK(payload_of(a.line()) == "from the host");
        const auto peer = hub.on([](auto& h) {
            std::string text;
            h.for_each_session([&](const pusher::session_info& s) { text = s.peer; });
            return text;
        });
        CHECK(holds(peer, "127.0.0.1:"));
    }
    SECTION("many requests in one record, and one request in many") {
        tls_line_client a(io, port, context);
        std::string many;
        for (int i = 0; i != 1000; ++i)
            many += "{\"request_id\":\"" + std::to_string(i) + "\",\"action\":\"ping\"}\n";
        a.send(many); // the kernel takes it whole, and so do the replies
        int in_order = 0;
        for (int i = 0; i != 1000; ++i)
            in_order += holds(a.line(), "\"request_id\":\"" + std::to_string(i) + "\"") ? 1 : 0;
        CHECK(in_order == 1000);
        for (const char c : std::string("{\"action\":\"ping\",\"request_id\":\"slow\"}\n"))
            a.send({&c, 1});
        CHECK(holds(a.line(), "slow"));
    }
    SECTION("who says goodbye gets one too") {
        tls_line_client a(io, port, context);
        a.subscribe("t");
        error_code ec;
        a.stream.shutdown(ec); // waits for the broker's close_notify
        CHECK_FALSE(ec);
        CHECK(hub.until_closed(1).at(0) == pusher::errc::peer_closed);
    }
    SECTION("who ends TCP alone has closed too") {
        tls_line_client a(io, port, context);
        a.subscribe("t");
        a.stream.lowest_layer().close();
        CHECK(hub.until_closed(1).at(0) == pusher::errc::peer_closed);
    }
    SECTION("a reset is told as such") {
        tls_line_client a(io, port, context);
        a.subscribe("t");
        reset(a.stream.lowest_layer());
        CHECK(hub.until_closed(1).at(0) == asio::error::connection_reset);
    }
    SECTION("a kick says why, and ends in good order") {
        tls_line_client a(io, port, context);
        a.subscribe("t");
        hub.on([](auto& h) { h.for_each_session([&](const auto& s) { h.kick(s.id, "enough"); }); });
        CHECK(holds(a.line(), "enough"));
        error_code ec;
        CHECK(a.rest(ec).empty());
        CHECK(ec == asio::error::eof); // not stream_truncated
    }
    SECTION("a line that is too long") {
        tls_line_client a(io, port, context);
        // Little enough for the kernel to take whole: a stream is not for two threads.
        asio::write(a.stream, asio::buffer(std::string(70'000, 'x')));
        CHECK(holds(a.line(), "longer than 65536 bytes"));
        CHECK(holds(a.line(), "1009"));
    }
    SECTION("a new key in the middle of it") {
        tls_line_client a(io, port, context);
        a.subscribe("t");
        for (int i = 0; i != 5; ++i) {
            SSL_key_update(a.stream.native_handle(), SSL_KEY_UPDATE_REQUESTED);
            a.request("ping", "{}");
            CHECK(holds(a.line(), "ping"));
            hub.publish("t", std::to_string(i));
            CHECK(payload_of(a.line()) == std::to_string(i));
        }
    }
}

TEST_CASE("TLS: WebSocket") {
    hub_thread hub;
    const auto port = hub.listen(https());
    asio::io_context io;
    auto context = client_context();
    wss_client a(io, port, context);
    a.subscribe("t");

    SECTION("subscribe and publish, with every other kind of client") {
        const auto lines = hub.listen(tls_lines());
        tls_line_client b(io, lines, context);
        b.subscribe("t");
        a.request("publish", R"({"topic":"t","payload":"by a"})");
        // The push and the receipt, in whatever order.
        std::string both = a.message() + a.message();
        CHECK(holds(both, R"("matched":2)"));
        CHECK(holds(both, "by a"));
        CHECK(payload_of(b.line()) == "by a");
    }
    SECTION("large messages") {
        for (const std::size_t size : {1U, 125U, 126U, 16'384U, 65'535U, 65'536U, 200'000U, 900'000U}) {
            const std::string payload(size, 'p');
            hub.publish("t", payload);
            CHECK(payload_of(a.message()) == payload);
        }
    }
    SECTION("a ping is answered") {
        std::string answer;
        a.stream.control_callback([&](boost::beast::websocket::frame_type kind, auto payload) {
            if (kind == boost::beast::websocket::frame_type::pong)
                answer = std::string(payload.data(), payload.size());
        });
        a.stream.ping("are you there");
        a.request("ping", "{}");
        a.message();
        CHECK(answer == "are you there");
    }
    SECTION("a goodbye is answered, in TLS too") {
        error_code ec;
        a.stream.close(boost::beast::websocket::close_code::normal, ec);
        // Beast's teardown waits for close_notify.
        CHECK_FALSE(ec);
        CHECK(a.stream.reason().code == boost::beast::websocket::close_code::normal);
        hub.until_sessions(0);
        CHECK(hub.until_closed(1).at(0) == pusher::errc::peer_closed);
    }
}

TEST_CASE("TLS: HTTP") {
    hub_thread hub;
    const auto port = hub.listen(https());
    asio::io_context io;
    auto context = client_context();

    SECTION("several requests over one connection") {
        https_client c(io, port, context);
        for (int i = 0; i != 3; ++i) {
            const auto r = c.ask(c.make(http::verb::post, "/publish", R"({"topic":"t","payload":"x"})"));
            CHECK(r.result() == http::status::ok);
            CHECK(holds(r.body(), R"("matched":0)"));
        }
        auto last = c.make(http::verb::get, "/stats");
        last.keep_alive(false);
        CHECK(holds(c.ask(last).body(), R"("published":3)"));
        error_code ec;
        char byte = 0;
        asio::read(c.stream, asio::buffer(&byte, 1), ec);
        CHECK(ec == asio::error::eof);
    }
    SECTION("pipelined requests") {
        https_client c(io, port, context);
        std::string text;
        for (int i = 0; i != 20; ++i)
            text += "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n";
        asio::write(c.stream, asio::buffer(text));
        for (int i = 0; i != 20; ++i) {
            http::response<http::string_body> r;
            http::read(c.stream, c.buffer, r);
            CHECK(r.result() == http::status::ok);
        }
    }
    SECTION("a page's own origin is https") {
        https_client c(io, port, context);
        auto r = c.make(http::verb::post, "/publish", R"({"topic":"t","payload":"x"})");
        r.set(http::field::origin, "https://127.0.0.1:" + std::to_string(port));
        CHECK(c.ask(r).result() == http::status::ok);
        r.set(http::field::origin, "http://127.0.0.1:" + std::to_string(port));
        CHECK(c.ask(r).result() == http::status::forbidden);
    }
    SECTION("server-sent events") {
        https_client c(io, port, context);
        asio::write(
            c.stream, asio::buffer(std::string("GET /events?topic=t HTTP/1.1\r\nHost: localhost\r\n\r\n")));
        hub.until_sessions(1);
        hub.publish("t", "an event");
        std::string text;
        asio::read_until(c.stream, asio::dynamic_buffer(text), "data: an event\n\n");
        CHECK(holds(text, "text/event-stream"));
    }
    SECTION("a response that is larger than every buffer") {
        const std::string body(3'000'000, 'b');
        const auto own = hub.listen(pusher::http_params{
            .handler =
                [&](const pusher::http_connection_ptr& c) {
                    pusher::http_response r(http::status::ok, 11);
                    r.body() = body;
                    c->respond(std::move(r));
                    return true;
                },
            .channel = pusher::tls(server_context())});
        https_client c(io, own, context);
        http::request<http::string_body> request = c.make(http::verb::get, "/all");
        request.keep_alive(GENERATE(true, false));
        http::write(c.stream, request);
        http::response_parser<http::string_body> parser;
        parser.body_limit(boost::none);
        http::read(c.stream, c.buffer, parser);
        CHECK(parser.get().body() == body);
    }
    SECTION("ALPN") {
        const auto negotiated = [&](std::string_view offers, std::uint16_t to) {
            ssl::stream<tcp::socket> s(connect(io, to), context);
            SSL_set_alpn_protos(
                s.native_handle(), reinterpret_cast<const unsigned char*>(offers.data()),
                static_cast<unsigned>(offers.size()));
            s.handshake(ssl::stream_base::client);
            const unsigned char* name = nullptr;
            unsigned size = 0;
            SSL_get0_alpn_selected(s.native_handle(), &name, &size);
            return std::string(reinterpret_cast<const char*>(name), size);
        };
        using namespace std::literals;
        CHECK(negotiated("\2h2\10http/1.1"sv, port) == "http/1.1");
        CHECK(negotiated("\10http/1.1"sv, port) == "http/1.1");
        CHECK(negotiated("\2h2"sv, port).empty());
        const auto without = hub.listen(tls_lines({.http = false}));
        CHECK(negotiated("\10http/1.1"sv, without).empty());
    }
}

TEST_CASE("TLS: versions") {
    hub_thread hub;
    asio::io_context io;
    const auto version = [&](std::uint16_t port, int lowest, int highest) {
        auto context = client_context();
        SSL_CTX_set_security_level(context.native_handle(), 0);
        SSL_CTX_set_min_proto_version(context.native_handle(), lowest);
        SSL_CTX_set_max_proto_version(context.native_handle(), highest);
        ssl::stream<tcp::socket> s(connect(io, port), context);
        error_code ec;
        s.handshake(ssl::stream_base::client, ec);
        return ec ? std::string("none") : std::string(SSL_get_version(s.native_handle()));
    };
    const auto usual = hub.listen(tls_lines());
    CHECK(version(usual, TLS1_VERSION, TLS1_1_VERSION) == "none");
    CHECK(version(usual, TLS1_2_VERSION, TLS1_2_VERSION) == "TLSv1.2");
    CHECK(version(usual, TLS1_2_VERSION, TLS1_3_VERSION) == "TLSv1.3");
    const auto strict = hub.listen(tls_lines({.minimum_version = pusher::tls_version::tls_1_3}));
    CHECK(version(strict, TLS1_2_VERSION, TLS1_2_VERSION) == "none");
    CHECK(version(strict, TLS1_2_VERSION, TLS1_3_VERSION) == "TLSv1.3");

    SECTION("1.2 works in all it does") {
        auto context = client_context();
        SSL_CTX_set_max_proto_version(context.native_handle(), TLS1_2_VERSION);
        tls_line_client a(io, usual, context);
        a.subscribe("t");
        const std::string large(300'000, 'l');
        hub.publish("t", large);
        CHECK(payload_of(a.line()) == large);
        error_code ec;
        a.stream.shutdown(ec);
        CHECK_FALSE(ec);
    }
}

TEST_CASE("TLS: clients' certificates") {
    hub_thread hub;
    asio::io_context io;
    const auto known = make_identity("a client", &authority());
    const auto elsewhere = make_identity("another authority");
    const auto stranger = make_identity("a stranger", &elsewhere);
    const auto works = [&](std::uint16_t port, const identity* own) {
        auto context = client_context(own);
        try { // with TLS 1.3 a refusal comes after the client's part of the handshake
            tls_line_client c(io, port, context);
            c.subscribe("t");
            return true;
        } catch (const boost::system::system_error&) {
            return false;
        }
    };
    const auto required = hub.listen(tls_lines({.client_authorities = authority().certificate}));
    CHECK(works(required, &known));
    CHECK_FALSE(works(required, nullptr));
    CHECK_FALSE(works(required, &stranger));
    const auto optional = hub.listen(
        tls_lines({.client_authorities = authority().certificate, .client_certificate_required = false}));
    CHECK(works(optional, &known));
    CHECK(works(optional, nullptr));
    CHECK_FALSE(works(optional, &stranger));
}

TEST_CASE("TLS: what is no handshake") {
    const auto limits = pusher::link_limits{.handshake_timeout = std::chrono::milliseconds(200)};
    hub_thread hub;
    const bool of_lines = GENERATE(true, false);
    CAPTURE(of_lines);
    const auto port =
        of_lines
            ? hub.listen(pusher::tcp_params{.limits = limits, .channel = pusher::tls(server_context())})
            : hub.listen(pusher::http_params{.limits = limits, .channel = pusher::tls(server_context())});
    asio::io_context io;
    auto s = connect(io, port);
    error_code ec;
    std::string answer;
    const auto until_end = [&] {
        asio::read(s, asio::dynamic_buffer(answer), ec);
        CHECK(ec);
    };
    const auto until_counted = [&](pusher::errc why) {
        hub.until([&](auto& h) {
            const auto numbers = h.stats();
            const auto counted = numbers.closed.find(pusher::make_error_code(why).message());
            return counted != numbers.closed.end() && counted->second == 1 && numbers.closed.size() == 1 &&
                   numbers.transports.at(of_lines ? "tcp" : "http").closed_by_error == 1;
        });
        if (of_lines)
            CHECK(hub.until_closed(1).at(0) == why);
    };
    // A whole client hello, and what a client says in plain text.
    std::string hello;
    {
        ssl::context context(ssl::context::tls_client);
        SSL* const client = SSL_new(context.native_handle());
        BIO* const out = BIO_new(BIO_s_mem());
        SSL_set_bio(client, BIO_new(BIO_s_mem()), out);
        SSL_connect(client);
        hello = test::detail::text_of(out);
        SSL_free(client);
    }
    REQUIRE(hello.size() > 100);

    SECTION("plain HTTP") {
        asio::write(s, asio::buffer(std::string("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")));
        until_end();
        until_counted(pusher::errc::handshake_failed);
    }
    SECTION("plain lines") {
        asio::write(s, asio::buffer(std::string("{\"action\":\"ping\"}\n")));
        until_end();
        CHECK_FALSE(holds(answer, "ping"));
        until_counted(pusher::errc::handshake_failed);
    }
    SECTION("noise") {
        std::string noise(100'000, 0);
        for (std::size_t i = 0; i != noise.size(); ++i)
            noise[i] = static_cast<char>(i * 7919 >> 3);
        asio::write(s, asio::buffer(noise), ec);
        until_end();
        until_counted(pusher::errc::handshake_failed);
    }
    SECTION("nothing") {
        until_end();
        CHECK(ec == asio::error::eof);
        until_counted(pusher::errc::handshake_timeout);
    }
    SECTION("half of the client's hello") {
        asio::write(s, asio::buffer(hello.substr(0, hello.size() / 2)));
        until_end();
        until_counted(pusher::errc::handshake_timeout);
    }
    SECTION("a hello that nothing follows") {
        asio::write(s, asio::buffer(hello));
        until_end();
        CHECK(answer.size() > 500); // the server's part
        until_counted(pusher::errc::handshake_timeout);
    }
    SECTION("gone at every byte of the hello") {
        s.close();
        for (std::size_t n = 0; n < hello.size(); n += 7) {
            auto one = connect(io, port);
            asio::write(one, asio::buffer(hello.data(), n));
            if (n % 2 == 0)
                reset(one);
        }
    }
    hub.until([](auto& h) { return h.stats().sessions == 0; });
    // Others go on.
    auto context = client_context();
    if (of_lines) {
        tls_line_client good(io, port, context);
        good.subscribe("t");
    } else {
        wss_client good(io, port, context);
        good.subscribe("t");
    }
}

TEST_CASE("TLS: refused connections are told why") {
    hub_thread hub(pusher::broker_params{.sessions = 1});
    asio::io_context io;
    auto context = client_context();

    SECTION("too many sessions") {
        const auto port = hub.listen(tls_lines());
        tls_line_client first(io, port, context);
        first.subscribe("t");
        tls_line_client second(io, port, context); // it is refused before its handshake
        CHECK(holds(second.line(), "1013"));
        error_code ec;
        second.rest(ec);
        CHECK(ec == asio::error::eof);
    }
    SECTION("too many from one address") {
        auto params = tls_lines();
        params.limits.connections_per_address = 1;
        const auto port = hub.listen(params);
        tls_line_client first(io, port, context);
        first.subscribe("t");
        ssl::stream<tcp::socket> second(connect(io, port), context);
        error_code ec;
        second.handshake(ssl::stream_base::client, ec);
        CHECK(ec);
        // The place is free again once the first has gone.
        first.stream.shutdown(ec);
        hub.until_sessions(0);
        bool again = false;
        while (!again) {
            ssl::stream<tcp::socket> third(connect(io, port), context);
            third.handshake(ssl::stream_base::client, ec);
            again = !ec;
        }
        CHECK(again);
    }
}

TEST_CASE("TLS: a drain says goodbye") {
    hub_thread hub;
    const auto lines = hub.listen(tls_lines());
    const auto web = hub.listen(https());
    asio::io_context io;
    auto context = client_context();
    tls_line_client a(io, lines, context);
    a.subscribe("t");
    wss_client b(io, web, context);
    b.subscribe("t");
    https_client c(io, web, context);
    asio::write(
        c.stream, asio::buffer(std::string("GET /events?topic=t HTTP/1.1\r\nHost: localhost\r\n\r\n")));
    hub.until_sessions(3);
    https_client idle(io, web, context);
    CHECK(idle.ask(idle.make(http::verb::get, "/stats")).result() == http::status::ok);
    const std::string large(200'000, 'l');
    hub.publish("t", large);

    std::promise<error_code> drained;
    hub.on([&](auto& h) {
        h.async_drain(std::chrono::seconds(20), [&](error_code ec) { drained.set_value(ec); });
    });
    error_code ec;
    CHECK(payload_of(a.line()) == large);
    CHECK(holds(a.line(), "1001"));
    a.rest(ec);
    CHECK(ec == asio::error::eof);
    a.stream.shutdown(ec);
    CHECK_FALSE(ec);

    CHECK(payload_of(b.message()) == large);
    boost::beast::flat_buffer buffer;
    b.stream.read(buffer, ec);
    CHECK(ec == boost::beast::websocket::error::closed);
    CHECK(b.stream.reason().code == boost::beast::websocket::close_code::going_away);

    std::string events;
    asio::read(c.stream, asio::dynamic_buffer(events), ec);
    CHECK(ec == asio::error::eof);
    CHECK(holds(events, large));
    CHECK(holds(events, "1001"));
    c.stream.lowest_layer().close();

    char byte = 0;
    asio::read(idle.stream, asio::buffer(&byte, 1), ec);
    CHECK(ec == asio::error::eof);
    idle.stream.lowest_layer().close();

    CHECK_FALSE(drained.get_future().get());
}

TEST_CASE("TLS: the broker goes at any time") {
    hub_thread hub;
    const auto lines = hub.listen(tls_lines());
    const auto web = hub.listen(https());
    asio::io_context io;
    auto context = client_context();
    auto silent = connect(io, lines);
    auto silent_web = connect(io, web);
    tls_line_client a(io, lines, context);
    a.subscribe("t");
    wss_client b(io, web, context);
    b.subscribe("t");
    https_client c(io, web, context);
    tls_line_client stuck(io, lines, context, 4096);
    stuck.subscribe("t");
    const std::string large(500'000, 'l');
    hub.publish("t", large);
    if (GENERATE(true, false))
        hub.on([](auto& h) { h.cancel(); });
    hub.stop(); // and the event loop ends
    error_code ec;
    stuck.rest(ec);
    CHECK(ec);
}

TEST_CASE("TLS: on a strand of a pool of threads") {
    asio::io_context io;
    auto work = asio::make_work_guard(io);
    std::vector<std::thread> threads;
    for (int i = 0; i != 3; ++i)
        threads.emplace_back([&] { io.run(); });
    {
        auto strand = asio::make_strand(io.get_executor());
        const auto on = [&](auto f) {
            std::promise<void> done;
            asio::post(strand, [&] {
                f();
                done.set_value();
            });
            done.get_future().wait();
        };
        std::unique_ptr<pusher::broker<pusher::transport::all>> hub;
        std::uint16_t port = 0;
        on([&] {
            hub = std::make_unique<pusher::broker<pusher::transport::all>>(strand);
            port = hub->listen(tls_lines()).port();
        });
        std::vector<std::thread> clients;
        std::atomic<int> received = 0;
        for (int i = 0; i != 4; ++i)
            clients.emplace_back([&, i] {
                asio::io_context own;
                auto context = client_context();
                tls_line_client c(own, port, context);
                const auto topic = "t" + std::to_string(i);
                c.subscribe(topic);
                for (int n = 0; n != 50; ++n) {
                    const auto text = std::string(1 + static_cast<std::size_t>(n) * 997, 'x');
                    c.request("publish", "{\"topic\":\"" + topic + "\",\"payload\":\"" + text + "\"}");
                    const auto both = c.line() + c.line();
                    received += holds(both, "\"" + text + "\"") && holds(both, "receipt") ? 1 : 0;
                }
                if (i % 2 == 0) {
                    error_code ignored;
                    c.stream.shutdown(ignored);
                }
            });
        for (auto& c : clients)
            c.join();
        CHECK(received == 200);
        on([&] { hub.reset(); });
    }
    work.reset();
    for (auto& t : threads)
        t.join();
}
