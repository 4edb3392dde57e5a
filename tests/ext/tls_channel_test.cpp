// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "faulty_socket.hpp"
#include "tls_support.hpp"

#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <functional>

// Two TLS channels that talk to each other, on one thread: the promises of `channel`, one by one.

using namespace test;
using namespace std::chrono_literals;

namespace {

/// Who uses a channel, as a test wants it.
class recorder final : public pusher::channel_user {
public:
    explicit recorder(pusher::channel_ptr c) : channel(std::move(c)) {
        channel->set_user(this);
        call([&] { channel->read(); });
    }
    ~recorder() { channel->close(); }

    /// Sends all of it, as the channel takes it.
    void send(std::string_view text) {
        unsent += text;
        flush();
    }
    void flush() {
        call([&] { unsent.erase(0, channel->write({unsent.data(), unsent.size()})); });
    }

    /// Channels report from the event loop, never from inside a call.
    template <class F>
    void call(F f) {
        inside = true;
        f();
        inside = false;
    }

    bool at_bytes(std::span<char> bytes) override {
        CHECK_FALSE(inside);
        CHECK_FALSE(end);
        received.append(bytes.data(), bytes.size());
        ++reads;
        if (on_bytes)
            on_bytes();
        return !paused;
    }
    void at_writable() override {
        CHECK_FALSE(inside);
        CHECK_FALSE(end);
        ++writables;
        flush();
        if (unsent.empty() && on_sent)
            on_sent();
    }
    void at_end(error_code ec) override {
        CHECK_FALSE(inside);
        CHECK_FALSE(end);
        end = ec;
        if (on_end)
            on_end();
    }

    pusher::channel_ptr channel;
    std::string unsent;
    std::string received;
    std::optional<error_code> end;
    std::function<void()> on_bytes;
    std::function<void()> on_sent;
    std::function<void()> on_end;
    int reads = 0;
    int writables = 0;
    bool paused = false;
    bool inside = false;
};

/// Two ends, the server's and the client's.
struct two_ends {
    // Without a deadline for the handshake the event loop ends as soon as the channels do.
    explicit two_ends(pusher::tls_channel_timeouts t = {0s, 10s}) : timeouts(t) {
        asio::local::stream_protocol::socket a(io);
        asio::local::stream_protocol::socket b(io);
        asio::local::connect_pair(a, b);
        // So that a test needs few bytes to fill them.
        for (auto* const s : {&a, &b})
            s->set_option(asio::socket_base::send_buffer_size(16 * 1024));
        near = std::move(a);
        far = std::move(b);
    }

    void connect() {
        server.emplace(make(std::move(near), *server_side, ssl::stream_base::server));
        client.emplace(make(std::move(far), client_side, ssl::stream_base::client));
    }

    pusher::channel_ptr
    make(pusher::stream_socket s, ssl::context& c, ssl::stream_base::handshake_type role) {
        return pusher::tls_channel::start(pusher::tls_stream(std::move(s), c), services, role, timeouts);
    }

    template <class F>
    void run_until(F done) {
        while (!done() && io.run_one() != 0) {
        }
        CHECK(done());
    }

    std::shared_ptr<ssl::context> server_side = server_context();
    ssl::context client_side = client_context();
    pusher::tls_channel_timeouts timeouts;
    asio::io_context io;
    std::shared_ptr<pusher::services> services = std::make_shared<pusher::services>(io.get_executor());
    pusher::stream_socket near{io};
    pusher::stream_socket far{io};
    std::optional<recorder> server;
    std::optional<recorder> client;
};

std::string pattern(std::size_t size) {
    std::string text(size, 0);
    for (std::size_t i = 0; i != size; ++i)
        text[i] = static_cast<char>(i * 2654435761U >> 11);
    return text;
}

} // namespace

TEST_CASE("tls_channel: both ways, from before the handshake on") {
    two_ends t;
    t.connect();
    CHECK(t.server->channel->secure());
    const auto size = GENERATE(as<std::size_t>(), 1, 63, 64, 65, 16'384, 16'385, 65'536, 65'537, 1'000'000);
    const auto text = pattern(size);
    t.server->send(text);
    t.client->send(text);
    t.run_until([&] { return t.client->received.size() >= size && t.server->received.size() >= size; });
    CHECK(t.client->received == text);
    CHECK(t.server->received == text);
    CHECK((t.server->writables == 0) == (size <= 65'536));
    CHECK_FALSE(t.server->end);
}

TEST_CASE("tls_channel: a peer that does not read") {
    two_ends t;
    t.connect();
    t.client->send("x");
    t.run_until([&] { return t.server->received == "x"; });
    t.client->paused = true;
    const auto text = pattern(2'000'000);
    t.server->send(text);
    CHECK(text.size() - t.server->unsent.size() == 65'536);
    t.server->call([&] { CHECK(t.server->channel->write({text.data(), 1}) == 0); });
    t.run_until([&] { return t.client->reads != 0; });
    // What is under way goes on until everything is full; then nothing happens any more.
    t.io.restart();
    while (t.io.poll() != 0)
        t.io.restart();
    const auto taken = text.size() - t.server->unsent.size();
    CHECK(taken < 400'000);
    CHECK(t.server->writables >= 1);

    SECTION("it reads on") {
        t.client->paused = false;
        t.client->call([&] { t.client->channel->read(); });
        t.run_until([&] { return t.client->received.size() == text.size(); });
        CHECK(t.client->received == text);
        CHECK(t.server->unsent.empty());
    }
    SECTION("the channel is closed: such a peer is not waited for") {
        t.server->channel->close();
        t.client->paused = false;
        t.client->call([&] { t.client->channel->read(); });
        t.run_until([&] { return t.client->end.has_value(); });
        CHECK(t.client->received.size() < text.size());
        CHECK(t.client->received == text.substr(0, t.client->received.size()));
    }
}

TEST_CASE("tls_channel: shutdown ends one direction") {
    two_ends t;
    t.connect();
    const auto text = pattern(50'000);
    t.server->send(text);
    t.server->call([&] { t.server->channel->shutdown(); });
    t.server->call([&] { t.server->channel->shutdown(); });
    CHECK(t.server->channel->write({text.data(), 1}) == 0);
    t.run_until([&] { return t.client->end.has_value(); });
    CHECK(*t.client->end == pusher::errc::peer_closed);
    CHECK(t.client->received == text);

    // The other one still works, over the very same bytes that told of the end. The client's channel takes
    // nothing after the peer's end, like that of a plain socket, so its socket is used as it is.
    CHECK_FALSE(t.server->end);
    t.client->channel->close();
    t.run_until([&] { return t.server->end.has_value(); });
    CHECK(*t.server->end == pusher::errc::peer_closed);
}

TEST_CASE("tls_channel: after a shutdown it reads on") {
    two_ends t;
    const auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(t.client_side.native_handle(), version);
    t.server.emplace(t.make(std::move(t.near), *t.server_side, ssl::stream_base::server));
    ssl::stream<pusher::stream_socket> client(std::move(t.far), t.client_side);
    bool open = false;
    client.async_handshake(ssl::stream_base::client, [&](error_code ec) { open = !ec; });
    t.run_until([&] { return open; });
    const auto text = pattern(300'000);
    std::size_t written = 0;
    // Data is on its way before, while and after the server says that it has nothing more to say.
    asio::async_write(client, asio::buffer(text), [&](error_code, std::size_t n) { written = n; });
    t.run_until([&] { return t.server->received.size() > 1000; });
    t.server->send("the last");
    t.server->call([&] { t.server->channel->shutdown(); });
    std::string got;
    error_code ended;
    asio::async_read(client, asio::dynamic_buffer(got), [&](error_code ec, std::size_t) { ended = ec; });
    t.run_until([&] { return bool(ended); });
    CHECK(ended == asio::error::eof);
    CHECK(got == "the last");
    t.run_until([&] { return written != 0; });
    CHECK(written == text.size());
    t.run_until([&] { return t.server->received.size() == text.size(); });
    CHECK(t.server->received == text);
    CHECK_FALSE(t.server->end);
    error_code said;
    bool over = false;
    client.async_shutdown([&](error_code ec) {
        said = ec;
        over = true;
    });
    t.run_until([&] { return over && t.server->end.has_value(); });
    CHECK_FALSE(said);
    CHECK(*t.server->end == pusher::errc::peer_closed);
}

TEST_CASE("tls_channel: close leaves what was taken to be sent") {
    two_ends t;
    t.connect();
    t.client->send("x");
    t.run_until([&] { return t.server->received == "x"; });
    const auto text = pattern(60'000);
    t.server->send(text);
    CHECK(t.server->unsent.empty());
    const bool in_order = GENERATE(true, false);
    if (in_order)
        t.server->channel->shutdown();
    t.server->channel->close();
    t.server->channel->close();
    t.client->on_end = [&] { t.client->channel->close(); };
    t.io.run(); // ends by itself, and not because of a deadline
    CHECK(t.client->received == text);
    REQUIRE(t.client->end);
    CHECK(*t.client->end == pusher::errc::peer_closed);
    CHECK_FALSE(t.server->end);
}

TEST_CASE("tls_channel: close has its time") {
    two_ends t({0s, 100ms});
    t.connect();
    t.client->paused = true;
    t.client->send("x");
    t.run_until([&] { return t.server->received == "x"; });
    const bool in_order = GENERATE(true, false);
    const auto before = pusher::services::now();
    const auto size = GENERATE(as<std::size_t>(), 1, 60'000);
    t.server->send(pattern(size));
    if (in_order)
        t.server->channel->shutdown();
    t.server->channel->close();
    t.io.run(); // although the client neither reads on nor closes
    CHECK(pusher::services::now() - before < 5s);
    CHECK_FALSE(t.client->end);
}

TEST_CASE("tls_channel: close during the handshake") {
    two_ends t;
    t.connect();
    const int turns = GENERATE(range(0, 12));
    for (int i = 0; i != turns; ++i)
        t.io.poll_one();
    t.server->send("a goodbye that may be too early");
    t.server->channel->close();
    t.client->on_end = [&] { t.client->channel->close(); };
    t.io.run();
    CHECK(t.client->end);
    CHECK_FALSE(t.server->end);
}

TEST_CASE("tls_channel: closed, and given to another user, from inside at_bytes") {
    two_ends t;
    t.connect();
    t.client->send("first");

    SECTION("closed") {
        t.server->on_bytes = [&] {
            t.server->send("an answer");
            t.server->channel->shutdown();
            t.server->channel->close();
        };
        t.client->on_end = [&] { t.client->channel->close(); };
        t.io.run();
        CHECK(t.server->reads == 1);
        CHECK(t.client->received == "an answer");
        CHECK(*t.client->end == pusher::errc::peer_closed);
    }
    SECTION("another user, who reads") {
        std::optional<recorder> second;
        t.server->on_bytes = [&] {
            t.server->paused = true; // the first one wants no more
            second.emplace(t.server->channel);
            CHECK(t.server->received == "first");
        };
        t.run_until([&] { return second.has_value(); });
        t.client->send("second");
        t.run_until([&] { return second->received == "second"; });
        CHECK(t.server->reads == 1);
    }
    SECTION("pausing") {
        t.server->on_bytes = [&] { t.server->paused = true; };
        t.run_until([&] { return t.server->reads == 1; });
        t.client->send("second");
        while (t.io.poll() != 0) {
        }
        CHECK(t.server->received == "first");
        t.server->call([&] { t.server->channel->read(); });
        t.server->call([&] { t.server->channel->read(); }); // the second time without effect
        t.run_until([&] { return t.server->reads == 2; });
        CHECK(t.server->received == "firstsecond");
    }
}

TEST_CASE("tls_channel: handshakes that fail") {
    SECTION("time") {
        two_ends t({150ms, 10s});
        t.server.emplace(t.make(std::move(t.near), *t.server_side, ssl::stream_base::server));
        t.server->send("never sent");
        t.run_until([&] { return t.server->end.has_value(); });
        CHECK(*t.server->end == pusher::errc::handshake_timeout);
        std::string got;
        error_code ec;
        asio::read(t.far, asio::dynamic_buffer(got), ec);
        CHECK(got.empty());
    }
    SECTION("a certificate that the client does not trust") {
        two_ends t;
        t.client_side = ssl::context(ssl::context::tls_client);
        t.client_side.set_verify_mode(ssl::verify_peer);
        t.connect();
        t.run_until([&] { return t.server->end && t.client->end; });
        CHECK(*t.server->end == pusher::errc::handshake_failed);
        CHECK(
            *t.client->end ==
            error_code(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, pusher::tls_verify_category()));
    }
    SECTION("the peer goes") {
        two_ends t;
        t.server.emplace(t.make(std::move(t.near), *t.server_side, ssl::stream_base::server));
        t.far.close();
        t.run_until([&] { return t.server->end.has_value(); });
        CHECK(*t.server->end == pusher::errc::peer_closed);
    }
}

TEST_CASE("tls_channel: the event loop goes first") {
    const int turns = GENERATE(range(0, 24));
    std::optional<two_ends> t(std::in_place);
    t->connect();
    t->server->send(pattern(200'000));
    for (int i = 0; i != turns; ++i)
        t->io.poll_one();
    if (turns % 2 == 0)
        t->server->channel->close();
    t.reset(); // the sanitizers look for what is left
    SUCCEED();
}

TEST_CASE("tls_channel: every read and write fails once") {
    using faulty_stream = ssl::stream<faulty_socket>;
    const bool server_fails = GENERATE(true, false);
    const auto text = pattern(100'000);
    bool failed = true;
    std::size_t n = 0;
    for (; failed; ++n) {
        CAPTURE(n, server_fails);
        pusher::testing::fail_count faults(n);
        pusher::testing::fail_count none(SIZE_MAX);
        two_ends t;
        const auto make = [&](pusher::stream_socket s, ssl::context& c, auto role, bool fails) {
            return pusher::basic_tls_channel<faulty_stream>::start(
                faulty_stream(faulty_socket(std::move(s), fails ? faults : none), c), t.services, role,
                t.timeouts);
        };
        t.server.emplace(make(std::move(t.near), *t.server_side, ssl::stream_base::server, server_fails));
        t.client.emplace(make(std::move(t.far), t.client_side, ssl::stream_base::client, !server_fails));
        auto& server = *t.server;
        auto& client = *t.client;
        // Each sends a lot; the server ends in good order when it has everything, and the client follows.
        server.send(text);
        client.send(text);
        server.on_bytes = [&] {
            if (server.received.size() == text.size() && server.unsent.empty())
                server.channel->shutdown();
        };
        server.on_sent = server.on_bytes;
        server.on_end = [&] { server.channel->close(); };
        client.on_end = [&] { client.channel->close(); };
        t.io.run(); // nothing hangs: both come to an end
        failed = faults.failed();
        if (!failed) {
            CHECK(server.received == text);
            CHECK(client.received == text);
        }
        REQUIRE(client.end);
        REQUIRE(server.end);
        auto& hit = server_fails ? server : client;
        auto& other = server_fails ? client : server;
        // A failure at the very end may be one that nobody needs to know of.
        if (failed && hit.received.size() != text.size())
            CHECK(*hit.end == asio::error::connection_reset);
        if (other.received.size() != text.size())
            CHECK(*other.end);
    }
    CHECK(n > 20);
}
