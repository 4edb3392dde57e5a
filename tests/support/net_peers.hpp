// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "hub_thread.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/json/parse.hpp>

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Peers over sockets that send whatever a test wants, right or wrong, and block.

namespace test {

using asio::ip::udp;

/// Waits until there is something to read; a peer that nobody answers is a failure, not a test that hangs.
template <class Socket>
void wait_readable(Socket& s, int seconds = 30) {
    ::pollfd p{s.native_handle(), POLLIN, 0};
    if (::poll(&p, 1, seconds * 1000) != 1)
        throw std::runtime_error("nothing came within " + std::to_string(seconds) + " s");
}

/// A TCP connection, for bytes.
class raw_peer {
public:
    raw_peer(asio::io_context& io, std::uint16_t port, int receive_buffer = 0)
        : socket(connect(io, port, receive_buffer)) {}

    raw_peer& send(std::string_view text) {
        asio::write(socket, asio::buffer(text.data(), text.size()));
        return *this;
    }

    /// Sends text of which the other end may have heard enough before all has arrived.
    raw_peer& try_send(std::string_view text) {
        error_code ignored;
        asio::write(socket, asio::buffer(text.data(), text.size()), ignored);
        return *this;
    }

    /// Takes what comes up to and with `end`. At the end of the connection it throws.
    std::string until(std::string_view end) {
        for (std::size_t from = 0;;) {
            if (const auto at = in_.find(end, from); at != in_.npos)
                return take(at + end.size());
            from = in_.size() < end.size() ? 0 : in_.size() - end.size() + 1;
            if (const auto ec = more())
                throw boost::system::system_error(ec, "after \"" + in_ + '"');
        }
    }

    std::string bytes(std::size_t n) {
        while (in_.size() < n)
            if (const auto ec = more())
                throw boost::system::system_error(ec, "after \"" + in_ + '"');
        return take(n);
    }

    /// A line without its line feed.
    std::string line() {
        auto text = until("\n");
        text.pop_back();
        return text;
    }

    /// All that comes until the connection ends. \param ec why it does; `eof`: in good order.
    std::string rest(error_code& ec) {
        do
            ec = more();
        while (!ec);
        return std::exchange(in_, {});
    }
    /// The same, of a connection that has to end in good order.
    std::string rest() {
        error_code ec;
        auto text = rest(ec);
        if (ec != asio::error::eof)
            throw boost::system::system_error(ec, "after \"" + text + '"');
        return text;
    }

    void shutdown() { socket.shutdown(asio::socket_base::shutdown_send); }

    // The native dialect, line by line.

    void request(const std::string& action, const std::string& params = "{}", const std::string& id = "r") {
        send(R"({"request_id":")" + id + R"(","action":")" + action + R"(","params":)" + params + "}\n");
    }
    void subscribe(const std::string& topic) {
        request("subscribe", R"({"topic":")" + topic + "\"}");
        if (const auto reply = line(); !holds(reply, R"("status":"ok")"))
            throw std::runtime_error(reply);
    }

    tcp::socket socket;

private:
    error_code more() {
        wait_readable(socket);
        char room[16384];
        error_code ec;
        const auto n = socket.read_some(asio::buffer(room), ec);
        in_.append(room, n);
        return ec;
    }
    std::string take(std::size_t n) {
        auto text = in_.substr(0, n);
        in_.erase(0, n);
        return text;
    }

    std::string in_;
};

/// A response of HTTP.
struct http_answer {
    int status = 0;
    std::string head;
    std::string body;

    /// The value of a header, which is there once; empty: it is not.
    [[nodiscard]] std::string operator[](const std::string& name) const {
        const auto at = head.find("\r\n" + name + ": ");
        if (at == head.npos)
            return {};
        const auto begin = at + name.size() + 4;
        if (head.find("\r\n" + name + ": ", begin) != head.npos)
            throw std::runtime_error(name + " is there twice");
        return head.substr(begin, head.find("\r\n", begin) - begin);
    }
};

/// Reads a response with its body, if it has one that tells its length.
inline http_answer answer_of(raw_peer& p, bool to_head = false) {
    http_answer a;
    a.head = p.until("\r\n\r\n");
    if (!a.head.starts_with("HTTP/1."))
        throw std::runtime_error("no response: " + a.head);
    a.status = std::stoi(a.head.substr(9, 3));
    if (const auto length = a["Content-Length"]; !length.empty() && !to_head)
        a.body = p.bytes(std::stoul(length));
    return a;
}

/// A frame of a WebSocket peer: its first byte and its payload.
struct websocket_piece {
    unsigned first = 0;
    std::string payload;
};

/// Reads one frame, which a hub sends without a mask.
inline websocket_piece websocket_piece_of(raw_peer& p) {
    const auto head = p.bytes(2);
    auto size = static_cast<std::uint64_t>(static_cast<unsigned char>(head[1]));
    if (size > 125) {
        const auto more = p.bytes(size == 126 ? 2 : 8);
        size = 0;
        for (const char c : more)
            size = size << 8 | static_cast<unsigned char>(c);
    }
    return {static_cast<unsigned char>(head[0]), p.bytes(size)};
}

/// A peer that speaks datagrams.
class udp_peer {
public:
    udp_peer(asio::io_context& io, std::uint16_t port, const std::string& address = "127.0.0.1")
        : socket(io) {
        socket.connect({asio::ip::make_address(address), port});
    }

    void send(std::string_view datagram) { socket.send(asio::buffer(datagram.data(), datagram.size())); }

    std::string receive() {
        wait_readable(socket);
        std::string text(65'536, '\0');
        text.resize(socket.receive(asio::buffer(text)));
        return text;
    }

    /// Whether a datagram is there already.
    [[nodiscard]] bool idle() { return socket.available() == 0; }

    /// Gets the cookie.
    void shake() {
        send(R"({"action":"hello","padding":"so that an answer may be as long"})");
        cookie = cookie_of(receive());
    }

    /// A request, cookie and all.
    [[nodiscard]] std::string
    text(const std::string& action, const std::string& params = "{}", const std::string& id = "r") const {
        return R"({"cookie":")" + cookie + R"(","request_id":")" + id + R"(","action":")" + action +
               R"(","params":)" + params + "}";
    }
    void request(const std::string& action, const std::string& params = "{}", const std::string& id = "r") {
        send(text(action, params, id));
    }
    /// A request, and its reply.
    std::string
    ask(const std::string& action, const std::string& params = "{}", const std::string& id = "r") {
        request(action, params, id);
        return receive();
    }
    void subscribe(const std::string& topic) {
        if (const auto reply = ask("subscribe", R"({"topic":")" + topic + "\"}");
            !holds(reply, R"("status":"ok")"))
            throw std::runtime_error(reply);
    }

    static std::string cookie_of(const std::string& datagram) {
        const auto o = boost::json::parse(datagram).as_object();
        if (o.size() != 2 || o.at("action") != "challenge")
            throw std::runtime_error("no challenge: " + datagram);
        return std::string(o.at("cookie").as_string());
    }

    udp::socket socket;
    std::string cookie;
};

} // namespace test
