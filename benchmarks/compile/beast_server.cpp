// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What examples/3_websocket.cpp is compared with in compile time and size: everybody who connects gets the
// time each second and what others say, with Boost.Beast alone and without a thought about limits.
//
//   beast_server [PORT]

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <exception>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using beast::error_code;

class session;
using message = std::shared_ptr<const std::string>;

struct room {
    std::set<session*> members;

    void say(const std::string& text) const;
};

class session : public std::enable_shared_from_this<session> {
public:
    session(tcp::socket&& socket, room& where) : stream_(std::move(socket)), room_(where) {}
    ~session() { room_.members.erase(this); }

    void run() {
        beast::get_lowest_layer(stream_).expires_after(std::chrono::seconds(30));
        http::async_read(
            stream_.next_layer(), buffer_, request_,
            beast::bind_front_handler(&session::on_request, shared_from_this()));
    }

    void send(const message& m) {
        queue_.push_back(m);
        if (queue_.size() == 1)
            write();
    }

private:
    void on_request(error_code ec, std::size_t) {
        if (ec || !beast::websocket::is_upgrade(request_))
            return;
        beast::get_lowest_layer(stream_).expires_never();
        stream_.set_option(beast::websocket::stream_base::timeout::suggested(beast::role_type::server));
        stream_.async_accept(request_, beast::bind_front_handler(&session::on_accept, shared_from_this()));
    }

    void on_accept(error_code ec) {
        if (ec)
            return;
        room_.members.insert(this);
        buffer_.clear();
        read();
    }

    void read() {
        stream_.async_read(buffer_, beast::bind_front_handler(&session::on_read, shared_from_this()));
    }

    void on_read(error_code ec, std::size_t) {
        if (ec)
            return;
        room_.say(beast::buffers_to_string(buffer_.data()));
        buffer_.consume(buffer_.size());
        read();
    }

    void write() {
        stream_.async_write(
            asio::buffer(*queue_.front()), beast::bind_front_handler(&session::on_write, shared_from_this()));
    }

    void on_write(error_code ec, std::size_t) {
        if (ec)
            return;
        queue_.pop_front();
        if (!queue_.empty())
            write();
    }

    beast::websocket::stream<beast::tcp_stream> stream_;
    beast::flat_buffer buffer_;
    http::request<http::string_body> request_;
    std::deque<message> queue_;
    room& room_;
};

void room::say(const std::string& text) const {
    const auto m = std::make_shared<const std::string>(text);
    for (auto* member : members)
        member->send(m);
}

void accept(tcp::acceptor& door, room& where) {
    door.async_accept([&](error_code ec, tcp::socket socket) {
        if (ec)
            return;
        std::make_shared<session>(std::move(socket), where)->run();
        accept(door, where);
    });
}

void tick(asio::steady_timer& timer, room& where, int seconds) {
    timer.expires_after(std::chrono::seconds(1));
    timer.async_wait([&timer, &where, seconds](error_code ec) {
        if (ec)
            return;
        where.say(std::to_string(seconds));
        tick(timer, where, seconds + 1);
    });
}

} // namespace

int main(int argc, char** argv) try {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
    room everybody; // outlives the sessions, which the context owns
    asio::io_context io(1);
    tcp::acceptor door(io, {asio::ip::address_v4::loopback(), port});
    std::cout << "listening " << door.local_endpoint() << std::endl;
    accept(door, everybody);
    asio::steady_timer timer(io);
    tick(timer, everybody, 0);
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](error_code, int) { io.stop(); });
    io.run();
} catch (const std::exception& e) {
    std::cerr << "beast_server: " << e.what() << '\n';
    return 1;
}
