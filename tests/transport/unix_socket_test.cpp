// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "hub_thread.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

// Listeners at Unix-domain sockets.

using namespace test;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace fs = std::filesystem;
using local = asio::local::stream_protocol;

namespace {

/// A folder that is there as long as this is.
class temporary_folder {
public:
    temporary_folder() {
        auto name = (fs::temp_directory_path() / "pusher-unix-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() { fs::remove_all(path); }

    [[nodiscard]] std::string file(const std::string& name) const { return (path / name).string(); }

    fs::path path;
};

pusher::stream_address at(const std::string& path) { return {.address = "unix:" + path}; }

local::socket connect_local(asio::io_context& io, const std::string& path) {
    local::socket s(io);
    s.connect(local::endpoint(path));
    return s;
}

struct local_client : line_client<local::socket> {
    local_client(asio::io_context& io, const std::string& path) : line_client(connect_local(io, path)) {}

    void subscribe(const std::string& topic) {
        request("subscribe", "{\"topic\":\"" + topic + "\"}");
        CHECK(holds(line(), "\"status\":\"ok\""));
    }
};

/// What `listen` says.
template <class Params>
error_code listen_error(hub_thread& hub, const Params& p) {
    return hub.on([&](auto& h) {
        error_code ec;
        const auto l = h.listen(p, ec);
        CHECK(bool(l) == !ec);
        return ec;
    });
}

} // namespace

TEST_CASE("Unix sockets: a peer cannot vanish unnoticed, and is given time while there is room") {
    const temporary_folder folder;
    hub_thread hub;
    hub.listen(pusher::tcp_params{
        .listen = at(folder.file("lines")),
        .limits = {.heartbeat = std::chrono::seconds(1), .write_timeout = std::chrono::seconds(1)}});
    asio::io_context io;
    local_client a(io, folder.file("lines"));
    a.subscribe("t");
    hub.publish("t", "1");
    asio::steady_timer(io, std::chrono::milliseconds(3500)).wait(); // it reads nothing
    hub.publish("t", "2");
    CHECK(payload_of(a.line()) == "1");
    CHECK(payload_of(a.line()) == "2");
    a.stream.close();
    CHECK(hub.until_closed(1).at(0) == pusher::errc::peer_closed);
}

TEST_CASE("Unix sockets: lines") {
    const temporary_folder folder;
    const auto path = folder.file("lines");
    hub_thread hub;
    const auto where = hub.on([&](auto& h) {
        const auto l = h.listen(pusher::tcp_params{.listen = at(path)});
        CHECK(l.port() == 0);
        return l.local_endpoint();
    });
    CHECK(where == "unix:" + path);
    CHECK(fs::is_socket(path));
    asio::io_context io;
    local_client a(io, path);
    a.subscribe("t");

    SECTION("publish, from another client and from the host") {
        local_client b(io, path);
        b.request("publish", R"({"topic":"t","payload":"from b"})");
        CHECK(holds(b.line(), "\"matched\":1"));
        CHECK(payload_of(a.line()) == "from b");
        hub.publish("t", "from the host");
        CHECK(payload_of(a.line()) == "from the host");
    }
    SECTION("a peer has no address, and no limit by address") {
        CHECK(hub.on([](auto& h) {
            std::string peer;
            h.for_each_session([&](const auto& s) { peer = s.peer; });
            return peer;
        }) == "unix");
        const auto narrow = folder.file("narrow");
        hub.listen(pusher::tcp_params{.listen = at(narrow), .limits = {.connections_per_address = 1}});
        local_client b(io, narrow);
        local_client c(io, narrow);
        b.subscribe("t");
        c.subscribe("t");
    }
    SECTION("a slow reader") {
        const std::string text(500'000, 'x');
        for (int i = 0; i != 20; ++i)
            hub.publish("t", text);
        hub.publish("t", "the last");
        std::size_t seen = 0;
        for (std::string payload; payload != "the last"; ++seen) {
            const auto line = a.line();
            payload = payload_of(line);
            seen += gap_of(line) - (gap_of(line) != 0 ? 1 : 0);
        }
        CHECK(seen == 21);
    }
    SECTION("ends") {
        a.stream.close();
        CHECK(hub.until_closed(1).at(0) == pusher::errc::peer_closed);
    }
    SECTION("a drain says goodbye") {
        std::promise<error_code> drained;
        hub.on([&](auto& h) {
            h.async_drain(std::chrono::seconds(20), [&](error_code ec) { drained.set_value(ec); });
        });
        CHECK(holds(a.line(), "1001"));
        error_code ec;
        a.rest(ec);
        CHECK(ec == asio::error::eof);
        a.stream.close();
        CHECK_FALSE(drained.get_future().get());
        CHECK_FALSE(fs::exists(path));
    }
}

TEST_CASE("Unix sockets: HTTP, WebSocket and server-sent events") {
    const temporary_folder folder;
    const auto path = folder.file("web");
    hub_thread hub;
    hub.listen(pusher::http_params{.listen = at(path)});
    asio::io_context io;

    beast::websocket::stream<local::socket> socket(connect_local(io, path));
    socket.handshake("localhost", "/ws");
    socket.text(true);
    socket.write(asio::buffer(std::string(R"({"action":"subscribe","params":{"topic":"t"}})")));
    beast::flat_buffer buffer;
    socket.read(buffer);
    auto events = connect_local(io, path);
    asio::write(events, asio::buffer(std::string("GET /events?topic=t HTTP/1.1\r\nHost: localhost\r\n\r\n")));
    hub.until_sessions(2);

    auto post = connect_local(io, path);
    http::request<http::string_body> request(http::verb::post, "/publish", 11);
    request.set(http::field::host, "localhost");
    request.body() = R"({"topic":"t","payload":"over a file"})";
    request.prepare_payload();
    http::write(post, request);
    beast::flat_buffer in;
    http::response<http::string_body> response;
    http::read(post, in, response);
    CHECK(response.result() == http::status::ok);
    CHECK(holds(response.body(), "\"matched\":2"));

    buffer.clear();
    socket.read(buffer);
    CHECK(payload_of(beast::buffers_to_string(buffer.data())) == "over a file");
    std::string text;
    asio::read_until(events, asio::dynamic_buffer(text), "data: over a file\n\n");
    error_code ec;
    socket.close(beast::websocket::close_code::normal, ec);
    CHECK_FALSE(ec);
}

TEST_CASE("Unix sockets: the file") {
    const temporary_folder folder;
    const auto path = folder.file("s");
    asio::io_context io;

    SECTION("is gone when the listener stops, and the place is free") {
        hub_thread hub;
        auto l = hub.on([&](auto& h) { return h.listen(pusher::tcp_params{.listen = at(path)}); });
        local_client a(io, path);
        a.subscribe("t");
        hub.on([&](auto&) { l.stop(); });
        CHECK_FALSE(fs::exists(path));
        CHECK_THROWS(connect_local(io, path));
        hub.publish("t", "sessions go on");
        CHECK(payload_of(a.line()) == "sessions go on");
        CHECK_FALSE(listen_error(hub, pusher::tcp_params{.listen = at(path)}));
        local_client b(io, path);
        b.subscribe("t");
    }
    SECTION("is gone when the broker is") {
        const bool of_http = GENERATE(true, false);
        {
            hub_thread hub;
            if (of_http)
                hub.listen(pusher::http_params{.listen = at(path)});
            else
                hub.listen(pusher::tcp_params{.listen = at(path)});
            CHECK(fs::exists(path));
        }
        CHECK_FALSE(fs::exists(path));
    }
    SECTION("of a listener that is there is in use, and stays") {
        hub_thread hub;
        hub.listen(pusher::tcp_params{.listen = at(path)});
        hub_thread other;
        CHECK(listen_error(other, pusher::tcp_params{.listen = at(path)}) == asio::error::address_in_use);
        CHECK(listen_error(other, pusher::http_params{.listen = at(path)}) == asio::error::address_in_use);
        other.stop();
        local_client a(io, path);
        a.subscribe("t");
    }
    SECTION("of a listener that accepts nothing is in use, and is not waited for") {
        local::acceptor busy(io);
        busy.open();
        busy.bind(local::endpoint(path));
        busy.listen(0);
        local::socket waiting(io);
        waiting.connect(local::endpoint(path));
        hub_thread hub;
        CHECK(listen_error(hub, pusher::tcp_params{.listen = at(path)}) == asio::error::address_in_use);
        CHECK(fs::exists(path));
    }
    SECTION("that a dead process left is replaced") {
        {
            local::acceptor dead(io);
            dead.open();
            dead.bind(local::endpoint(path));
            dead.listen();
        }
        REQUIRE(fs::is_socket(path)); // closing leaves the file
        hub_thread hub;
        CHECK_FALSE(listen_error(hub, pusher::tcp_params{.listen = at(path)}));
        local_client a(io, path);
        a.subscribe("t");
    }
    SECTION("that is no socket stays as it is") {
        std::ofstream(path) << "important";
        hub_thread hub;
        CHECK(listen_error(hub, pusher::tcp_params{.listen = at(path)}) == asio::error::address_in_use);
        hub.stop();
        std::string text;
        std::ifstream(path) >> text;
        CHECK(text == "important");
    }
    SECTION("that is a link stays too") {
        const auto target = folder.file("target");
        std::ofstream(target) << "important";
        fs::create_symlink(target, path);
        hub_thread hub;
        CHECK(listen_error(hub, pusher::tcp_params{.listen = at(path)}) == asio::error::address_in_use);
        CHECK(fs::is_symlink(path));
        CHECK(fs::exists(target));
    }
}

TEST_CASE("Unix sockets: paths that cannot be") {
    const temporary_folder folder;
    hub_thread hub;
    CHECK(listen_error(hub, pusher::tcp_params{.listen = at("")}) == asio::error::invalid_argument);
    const auto room = 107 - folder.file("").size();
    const auto longest = folder.file(std::string(room, 'x'));
    CHECK(longest.size() == 107);
    CHECK(listen_error(hub, pusher::tcp_params{.listen = at(longest + "x")}) == asio::error::name_too_long);
    CHECK_FALSE(fs::exists(longest + "x"));
    CHECK_FALSE(listen_error(hub, pusher::tcp_params{.listen = at(longest)}));
    CHECK(fs::is_socket(longest));
    asio::io_context io;
    local_client a(io, longest);
    a.subscribe("t");
    CHECK(
        listen_error(hub, pusher::tcp_params{.listen = at(folder.file("no/such"))}) ==
        boost::system::errc::no_such_file_or_directory);
    CHECK(listen_error(hub, pusher::tcp_params{.listen = at(folder.path.string())}));
    CHECK(fs::is_directory(folder.path));
}
