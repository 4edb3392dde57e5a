// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The program of every consumer: a broker with a TCP listener, a peer that publishes one line, a handler that
// gets it.
#include <pusher.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>

#if defined(WITH_TLS)
#include <pusher/ext/tls.hpp>

#include <boost/asio/ssl/context.hpp>
#endif

#if defined(WITH_SQLITE_STORE)
#include <pusher/ext/sqlite_store.hpp>
#endif

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#if defined(WITH_PART)
bool part_accepts(const char* topic);
#endif

namespace {

constexpr std::string_view line =
    R"({"action":"publish","params":{"topic":"orders/new","payload":"{\"amount\":3}"}})"
    "\n";

// The amount that arrives, by way of everything that is linked: Asio, Beast, Boost.JSON.
std::int64_t amount_received() {
    boost::asio::io_context io;
    pusher::broker<pusher::transport::all> broker(io);
    const auto listener = broker.listen(pusher::tcp_params{.listen = {"127.0.0.1", 0}});

    std::int64_t amount = 0;
    const auto subscription = broker.subscribe("orders/new", [&](const pusher::message& m) {
        amount = boost::json::parse(m.payload()).at("amount").as_int64();
        broker.cancel();
        io.stop();
    });

    boost::asio::ip::tcp::socket peer(io);
    peer.connect({boost::asio::ip::make_address("127.0.0.1"), listener.port()});
    boost::asio::write(peer, boost::asio::buffer(line));
    io.run_for(std::chrono::seconds(30));
    return amount;
}

#if defined(WITH_SQLITE_STORE)
// Whether a store can be made.
bool store_opens() {
    boost::asio::io_context io;
    const auto beside = std::filesystem::read_symlink("/proc/self/exe").string() + ".db";
    pusher::sqlite_store store(io.get_executor(), {.file = beside});
    bool opened = false;
    store.open([&](pusher::error_code ec, const pusher::store_contents&) { opened = !ec; });
    io.run_for(std::chrono::seconds(30));
    return opened;
}
#endif

} // namespace

int main() {
#if defined(WITH_PART)
    if (!part_accepts("orders/new"))
        return 1;
#endif
#if defined(WITH_TLS)
    boost::asio::ssl::context context(boost::asio::ssl::context::tls_server);
#endif
#if defined(WITH_SQLITE_STORE)
    if (!store_opens()) {
        std::puts("the store did not open");
        return 1;
    }
#endif
    if (amount_received() != 3) {
        std::puts("nothing arrived");
        return 1;
    }
    std::puts("pusher " PUSHER_VERSION_STRING " works");
    return 0;
}
