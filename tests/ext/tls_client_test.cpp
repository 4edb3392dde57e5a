// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "tls_support.hpp"

#include <pusher/ext/tls_client.hpp>

#include <boost/asio/use_future.hpp>

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

    /// Runs until a future is ready.
    template <class Future>
    auto wait(Future f) {
        while (f.wait_for(0s) != std::future_status::ready) {
            io.restart();
            REQUIRE(io.run_one_for(20s) != 0);
        }
        return f.get();
    }

    /// The next event of that kind; what comes before is passed over.
    template <class Event>
    Event next() {
        for (;;) {
            auto e = wait(client.async_receive(asio::use_future));
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
    const auto url = GENERATE_COPY(
        "tls://127.0.0.1:" + lines, "wss://127.0.0.1:" + web + "/ws", "wss://localhost:" + web + "/ws",
        "tls://localhost:" + lines);
    CAPTURE(url);
    waiting_client c(params(url, pusher::tls_client(trusting())));
    c.wait(c.client.async_subscribe("t", asio::use_future));
    const auto r = c.wait(c.client.async_publish("t", "one", asio::use_future));
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
    while (!c.ended) {
        c.io.restart();
        REQUIRE(c.io.run_one_for(20s) != 0);
    }
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
        CHECK(holds(ec.message(), "certificate verify failed"));
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
            const auto ec =
                error_of("tls://" + std::string(host) + ":" + wrong, pusher::tls_client(trusting()));
            CHECK(holds(ec.message(), "certificate verify failed"));
        }
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
    SECTION("a server that says nothing") {
        asio::io_context io;
        tcp::acceptor silent(io, {tcp::v4(), 0});
        auto p = params(
            "tls://127.0.0.1:" + std::to_string(silent.local_endpoint().port()),
            pusher::tls_client(trusting()));
        p.connect_timeout = 100ms;
        waiting_client c(std::move(p));
        CHECK(c.next<pusher::client_disconnected>().error);
    }
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
    c.wait(c.client.async_subscribe("t", asio::use_future));
    CHECK_FALSE(c.client.session().empty());

    waiting_client without(params("tls://127.0.0.1:" + port, pusher::tls_client(trusting())));
    const auto ec = without.next<pusher::client_disconnected>().error;
    CHECK(ec.category() == asio::error::get_ssl_category());
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
