// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// One broker on TCP, UDP, WebSocket, server-sent events and a Unix-domain socket, which asks who each peer is
// and what it may do:
//
//   who                          may
//   Ann, token ann-secret        do everything
//   Bob, token bob-secret        read news/#, write to users, and read what is written to him
//   whoever may open the socket  do everything, without a token: the file's permissions are the
//   authentication
//
//   4_transports [HTTP_PORT [TCP_PORT [UDP_PORT [SOCKET]]]]   # 8080 9000 9001 ./4_transports.sock; Ctrl-C
//   ends it
//
// Bob listens, by an event stream with a header and by TCP with the action `auth`; each in a window of its
// own:
//
//   curl -N -H 'Authorization: Bearer bob-secret' 'http://127.0.0.1:8080/events?topic=news/today'
//   nc 127.0.0.1 9000
//   {"action":"auth","params":{"token":"bob-secret"}}
//   {"action":"subscribe","params":{"topic":"news/#","match":"filter"}}
//
// Ann publishes, with a token in the query or in a cookie, which a browser can send where it can set no
// header:
//
//   curl -d '{"topic":"news/today","payload":"rain"}' 'http://127.0.0.1:8080/publish?token=ann-secret'
//   curl -d '{"topic":"user/bob","payload":"hello Bob"}' -b token=ann-secret http://127.0.0.1:8080/publish
//
// Whoever is on this machine, and may, throws Bob out on every transport:
//
//   echo '{"action":"publish","params":{"topic":"admin/kick","payload":"bob"}}' | nc -N -U
//   ./4_transports.sock
//
// UDP wants to see that a peer is where it says: the answer to a first line of at least 48 characters has a
// cookie, which every later line carries.
//
//   nc -u 127.0.0.1 9001
//   {"action":"hello","params":{"about":"a first line that is long enough"}}
//   {"cookie":"…","action":"auth","params":{"token":"bob-secret"}}

#include <pusher/broker.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

namespace asio = boost::asio;
using pusher::authentication_result;

namespace {

const std::map<std::string, std::string, std::less<>> users = {{"ann-secret", "ann"}, {"bob-secret", "bob"}};

/// The value of a name in `a=1&b=2` or `a=1; b=2`; empty if it is not there. These tokens need no %XX.
std::string_view value_of(std::string_view name, std::string_view list, char separator) {
    while (!list.empty()) {
        auto entry = list.substr(0, list.find(separator));
        list.remove_prefix(std::min(list.size(), entry.size() + 1));
        entry.remove_prefix(std::min(entry.find_first_not_of(' '), entry.size()));
        if (entry.starts_with(name) && entry.substr(name.size()).starts_with('='))
            return entry.substr(name.size() + 1);
    }
    return {};
}

/// What an HTTP request shows: in a header, in the query, or in a cookie. A cookie comes with requests from
/// other sites too, but those the broker has refused by their origin.
std::string token_of(const pusher::http_request& request) {
    const std::string_view header = request["Authorization"];
    if (header.starts_with("Bearer "))
        return std::string(header.substr(7));
    const std::string_view target = request.target();
    std::string_view token;
    if (const auto query = target.find('?'); query != target.npos)
        token = value_of("token", target.substr(query + 1), '&');
    if (token.empty())
        token = value_of("token", request["Cookie"], ';');
    return std::string(token);
}

/// Asks the database whose token it is. The session waits for the answer; nobody else does.
asio::awaitable<void> look_up(std::string token, pusher::authentication_answer answer) {
    asio::steady_timer database(co_await asio::this_coro::executor, std::chrono::milliseconds(5));
    co_await database.async_wait(asio::use_awaitable);
    const auto found = users.find(token);
    // A token that expires would be answered with its time as well, and the session would end then.
    answer(
        found != users.end() ? authentication_result::identified(found->second)
                             : authentication_result::refused("this token is not known here"));
}

/// Who is it? Asked when a connection opens, and for each `auth`.
void authenticate(
    const asio::any_io_executor& executor, const pusher::authentication_request& request,
    const pusher::authentication_answer& answer) {
    if (request.peer == "unix")
        return answer(authentication_result::identified("operator"));
    const auto token = request.http ? token_of(*request.http) : std::string(request.token);
    if (token.empty()) // a token may come by `auth`; who can't send that, such as an event stream, is refused
        return answer(authentication_result::later());
    asio::co_spawn(executor, look_up(token, answer), asio::detached);
}

/// What may it do? Asked for each subscribe and publish. A filter is asked about as it is written: one that
/// begins with `news/` matches nothing else, but `#`, or `+/today`, must not slip through as a name that
/// looks harmless.
bool allowed(const pusher::access_request& request) {
    if (request.uid == "ann" || request.uid == "operator")
        return true;
    const bool reads = request.action == pusher::access_request::kind::subscribe;
    if (request.topic.starts_with("news/"))
        return reads;
    return !reads && request.topic.starts_with("user/");
}

} // namespace

int main(int argc, char** argv) try {
    const auto port = [&](int argument, int otherwise) {
        return static_cast<std::uint16_t>(argc > argument ? std::atoi(argv[argument]) : otherwise);
    };
    const std::string path = argc > 4 ? argv[4] : "./4_transports.sock";

    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    pusher::broker_params params;
    params.authenticate = [&](const auto& request, const auto& answer) {
        authenticate(io.get_executor(), request, answer);
    };
    params.authorize = [](const auto& request, const auto& answer) { answer(allowed(request)); };
    params.subscribe_on_bind = {
        "user/{uid}"}; // nobody has to ask for their own topic, and nobody gets another's
    pusher::broker<pusher::transport::all> broker(io, params);

    const auto show = [](std::string_view kind, const pusher::listener& listener) {
        std::cout << "listening " << kind << ' ' << listener.local_endpoint() << std::endl;
    };
    show("http", broker.listen(pusher::http_params{.listen = pusher::stream_address{.port = port(1, 8080)}}));
    show("tcp", broker.listen(pusher::tcp_params{.listen = {.port = port(2, 9000)}}));
    show("udp", broker.listen(pusher::udp_params{.port = port(3, 9001)}));
    show("unix", broker.listen(pusher::tcp_params{.listen = {.address = "unix:" + path}}));

    // What a topic does is up to its subscribers, and this program is one: who may publish here has been
    // asked.
    const auto kicks = broker.subscribe("admin/kick", [&](const pusher::message& message) {
        const auto count = broker.kick_uid(message.payload(), "kicked by an administrator");
        std::cout << "kicked " << message.payload() << ", sessions: " << count << std::endl;
    });

    signals.async_wait(
        [&](pusher::error_code, int) { broker.async_drain(std::chrono::seconds(5), asio::detached); });
    io.run();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
}
