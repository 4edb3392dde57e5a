// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "localhost.hpp"
#include "tls_support.hpp"

#include <pusher/ext/tls_client.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/use_future.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <variant>

// The library's own client over TLS.

using namespace test;
using namespace std::chrono_literals;

namespace {

/// A client that runs on the calling thread while that waits for something.
class waiting_client {
public:
    explicit waiting_client(pusher::client_params p) : client(io, std::move(p)) {
        client.async_run([this](error_code ec) { ended = ec; });
    }

    /// A completion token: what `wait` wants. It completes in the context, which wakes up whoever runs that;
    /// a plain `use_future` would complete in a thread of the system's.
    auto token() { return asio::bind_executor(io, asio::use_future); }

    /// Runs until a future is ready.
    template <class Future>
    auto wait(Future f) {
        until([&] { return f.wait_for(0s) == std::future_status::ready; });
        return f.get();
    }

    /// Runs until something is so.
    template <class F>
    void until(F f) {
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        while (!f()) {
            io.restart();
            io.run_one_until(deadline);
            REQUIRE(std::chrono::steady_clock::now() < deadline);
        }
    }

    /// The next event of that kind; what comes before is passed over.
    template <class Event>
    Event next() {
        for (;;) {
            auto e = wait(client.async_receive(token()));
            if (auto* const found = std::get_if<Event>(&e))
                return std::move(*found);
        }
    }

    asio::io_context io;
    pusher::client client;
    std::optional<error_code> ended;
};

pusher::client_params params(const std::string& url, pusher::client_channel_factory secure) {
    pusher::client_params p;
    p.url = url;
    p.backoff_min = 1ms;
    p.backoff_max = 20ms;
    p.secure = std::move(secure);
    return p;
}

pusher::tls_client_params trusting() { return {.authorities = authority().certificate}; }

} // namespace

TEST_CASE("TLS client: a conversation, and a reconnect") {
    hub_thread hub(pusher::broker_params{.history = {.messages = 100}, .retry_after = 1ms});
    const auto lines =
        std::to_string(hub.listen(pusher::tcp_params{.channel = pusher::tls(server_context())}));
    const auto web =
        std::to_string(hub.listen(pusher::http_params{.channel = pusher::tls(server_context())}));
    // Generated once for all runs, each of which has ports of its own.
    const std::string host =
        GENERATE("tls://127.0.0.1:", "wss://127.0.0.1:", "wss://localhost:", "tls://localhost:");
    if (holds(host, "localhost") && !test::localhost_is_known())
        return;
    const auto url = host.starts_with("wss") ? host + web + "/ws" : host + lines;
    CAPTURE(url);
    waiting_client c(params(url, pusher::tls_client(trusting())));
    c.wait(c.client.async_subscribe("t", c.token()));
    const auto r = c.wait(c.client.async_publish("t", "one", c.token()));
    CHECK(r.matched == 1);
    CHECK(c.next<pusher::pinned_message>()->payload() == "one");
    const std::string large(900'000, 'l');
    hub.publish("t", large);
    CHECK(c.next<pusher::pinned_message>()->payload() == large);

    hub.on([](auto& h) { h.for_each_session([&](const auto& s) { h.kick(s.id, "restart"); }); });
    const auto down = c.next<pusher::client_disconnected>();
    CHECK(down.error == pusher::errc::peer_closed);
    CHECK(down.reason == "restart");
    hub.publish("t", "meanwhile");
    CHECK(c.next<pusher::client_connected>().again);
    CHECK(c.next<pusher::pinned_message>()->payload() == "meanwhile");

    c.client.close();
    c.until([&] { return c.ended.has_value(); });
    CHECK_FALSE(*c.ended);
    hub.until_sessions(0);
}

TEST_CASE("TLS client: hubs that are not trusted") {
    hub_thread hub;
    const auto port =
        std::to_string(hub.listen(pusher::tcp_params{.channel = pusher::tls(server_context())}));
    const auto error_of = [&](const std::string& url, pusher::client_channel_factory secure) {
        waiting_client c(params(url, std::move(secure)));
        return c.next<pusher::client_disconnected>().error;
    };

    SECTION("an authority that is not known") {
        const auto other = make_identity("another authority");
        const auto ec =
            error_of("tls://127.0.0.1:" + port, pusher::tls_client({.authorities = other.certificate}));
        CHECK(ec.category() == pusher::tls_verify_category());
        CHECK(ec.message() == "certificate verify failed: unable to get local issuer certificate");
    }
    SECTION("this system's authorities do not know it either") {
        CHECK(holds(error_of("tls://127.0.0.1:" + port, pusher::tls_client()).message(), "verify failed"));
    }
    SECTION("a certificate for somebody else") {
        const auto elsewhere = make_identity("elsewhere", &authority(), {}, "DNS:elsewhere.example");
        const auto context =
            pusher::make_tls_context({.certificate = elsewhere.certificate, .key = elsewhere.key});
        const auto wrong = std::to_string(hub.listen(pusher::tcp_params{.channel = pusher::tls(context)}));
        for (const char* host : {"127.0.0.1", "localhost"}) {
            if (*host == 'l' && !test::localhost_is_known())
                continue;
            const auto ec =
                error_of("tls://" + std::string(host) + ":" + wrong, pusher::tls_client(trusting()));
            CHECK(
                ec.message() == "certificate verify failed: " +
                                    std::string(*host == 'l' ? "hostname mismatch" : "IP address mismatch"));
        }
    }
    SECTION("a certificate that has the name only where it does not count") {
        if (!test::localhost_is_known())
            return;
        const auto old = make_identity("localhost", &authority(), {}, "IP:127.0.0.1");
        const auto context = pusher::make_tls_context({.certificate = old.certificate, .key = old.key});
        const auto named = std::to_string(hub.listen(pusher::tcp_params{.channel = pusher::tls(context)}));
        const auto ec = error_of("tls://localhost:" + named, pusher::tls_client(trusting()));
        CHECK(ec.message() == "certificate verify failed: hostname mismatch");
    }
    SECTION("a context of the host's own that verifies nothing is made to") {
        const auto careless = std::make_shared<ssl::context>(ssl::context::tls_client);
        CHECK(holds(
            error_of("tls://127.0.0.1:" + port, pusher::tls_client(careless)).message(), "verify failed"));
    }
    SECTION("a server that speaks no TLS") {
        const auto plain = std::to_string(hub.listen(pusher::http_params{}));
        const auto ec = error_of("wss://127.0.0.1:" + plain + "/ws", pusher::tls_client(trusting()));
        CHECK(ec.category() == asio::error::get_ssl_category());
    }
    SECTION("a factory of the host's own that throws") {
        const auto ec = error_of("tls://127.0.0.1:" + port, [](auto&&...) -> pusher::channel_ptr {
            throw std::runtime_error("no certificate today");
        });
        CHECK(ec == pusher::errc::handler_threw);
    }
}

TEST_CASE("TLS client: a server that says nothing") {
    asio::io_context server_io;
    tcp::acceptor silent(server_io, {asio::ip::address_v4::loopback(), 0});
    auto p = params(
        "tls://127.0.0.1:" + std::to_string(silent.local_endpoint().port()), pusher::tls_client(trusting()));
    SECTION("in time") {
        p.connect_timeout = 100ms;
        waiting_client c(std::move(p));
        for (int i = 0; i != 3; ++i) {
            const auto down = c.next<pusher::client_disconnected>();
            CHECK(down.error == pusher::errc::handshake_timeout);
            CHECK(down.retry_in.has_value());
        }
    }
    // The client has sent what begins the handshake.
    const auto begun = [&](waiting_client& c) {
        auto s = silent.accept();
        s.non_blocking(true);
        char byte = 0;
        c.until([&] {
            error_code ec;
            return s.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, ec) == 1;
        });
        return s;
    };
    SECTION("and the client closes") {
        p.close_timeout = 50ms;
        waiting_client c(std::move(p));
        const auto s = begun(c);
        c.client.close();
        c.until([&] { return c.ended.has_value(); });
        CHECK_FALSE(*c.ended);
    }
    SECTION("and the client is destroyed") {
        asio::io_context io;
        std::optional<pusher::client> c(std::in_place, io, p);
        std::optional<error_code> ended;
        c->async_run([&](error_code ec) { ended = ec; });
        auto s = silent.accept();
        s.non_blocking(true);
        char byte = 0;
        error_code nothing_yet;
        while (s.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, nothing_yet) != 1)
            REQUIRE(io.run_one_for(10s) == 1);
        c.reset();
        io.run_for(10s);
        CHECK(io.stopped()); // nothing is left behind
        REQUIRE(ended.has_value());
        CHECK(*ended == pusher::errc::closed);
    }
}

TEST_CASE("TLS client: what the hub is told to expect") {
    const auto context = pusher::make_tls_client_context();
    const auto told = [&](const char* text) {
        std::string why;
        const auto url = pusher::client_url::parse(text, why);
        REQUIRE(url.has_value());
        const std::unique_ptr<SSL, decltype(&SSL_free)> stream(SSL_new(context->native_handle()), &SSL_free);
        pusher::detail::expect_hub(stream.get(), *url);
        CHECK(SSL_get_verify_mode(stream.get()) == SSL_VERIFY_PEER);
        const char* const name = SSL_get_servername(stream.get(), TLSEXT_NAMETYPE_host_name);
        return std::string(name ? name : "");
    };
    CHECK(told("tls://hub.example:1") == "hub.example");
    CHECK(told("wss://hub.example/ws") == "hub.example");
    CHECK(told("wss://hub.example./ws") == "hub.example");
    // An address is not a name (RFC 6066, section 3).
    CHECK(told("tls://127.0.0.1:1").empty());
    CHECK(told("tls://[::1]:1").empty());
    CHECK(told("tls://[fe80::1%1]:1").empty());
}

TEST_CASE("TLS client: it shows a certificate") {
    hub_thread hub;
    const auto port = std::to_string(hub.listen(pusher::tcp_params{
        .channel = pusher::tls(server_context({.client_authorities = authority().certificate}))}));
    const auto own = make_identity("a client", &authority(), "secret");
    auto shown = trusting();
    shown.certificate = own.certificate;
    shown.key = own.key;
    shown.key_password = "secret";
    waiting_client c(params("tls://127.0.0.1:" + port, pusher::tls_client(shown)));
    c.wait(c.client.async_subscribe("t", c.token()));
    CHECK_FALSE(c.client.session().empty());

    waiting_client without(params("tls://127.0.0.1:" + port, pusher::tls_client(trusting())));
    const auto ec = without.next<pusher::client_disconnected>().error;
    CHECK(holds(ec.message(), "certificate required"));
}

TEST_CASE("tls_client_params: what is wrong is named") {
    const auto complaint = [](const pusher::tls_client_params& p) -> std::string {
        try {
            pusher::make_tls_client_context(p);
            return {};
        } catch (const std::exception& e) {
            return e.what();
        }
    };
    CHECK(complaint({}).empty());
    CHECK(complaint(trusting()).empty());
    CHECK(holds(complaint({.authorities_file = "a", .authorities = "b"}), "authorities are both set"));
    CHECK(holds(complaint({.certificate_file = "a", .certificate = "b"}), "certificate are both set"));
    CHECK(holds(complaint({.key_file = "a", .key = "b"}), "key are both set"));
    CHECK(holds(complaint({.certificate = "a"}), "a certificate and its key come together"));
    CHECK(holds(complaint({.key = "a"}), "a certificate and its key come together"));
    CHECK(holds(
        complaint({.authorities_file = "/no/such.pem"}),
        "tls_client_params: authorities_file /no/such.pem: No such file or directory"));
    CHECK(holds(
        complaint({.authorities = "nobody"}), "tls_client_params: authorities: holds no certificate in PEM"));
    CHECK_THROWS_AS(pusher::tls_client(std::shared_ptr<ssl::context>()), std::invalid_argument);
}
