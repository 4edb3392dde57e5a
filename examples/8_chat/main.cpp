// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A chat: rooms with history, and who is there. Who enters sees the last messages; who comes back after a
// lost connection, or reloads the page, sees what was said meanwhile, once.
//
//   8_chat [PORT]     # 8080 unless given; Ctrl-C ends it
//
// Open http://127.0.0.1:8080/ in two windows, with two names. Or hear and say something without a browser. A
// token is a name and a secret; whoever comes first with a name has it until they leave:
//
//   eve='Authorization: Bearer Eve:secret'
//   curl -N -H "$eve" 'http://127.0.0.1:8080/events?topic=room/lobby&envelope=json'
//   curl -H "$eve" -d '{"topic":"room/lobby","type":"Eve","payload":"hi"}' http://127.0.0.1:8080/publish
//
// What is said is published to the room's topic, with the author's name as type, by the authors themselves:
// `authorize` sees to it that nobody uses another's name. Who is in a room is whoever subscribes to it. The
// list of them is published to a topic beside it, when it has changed, so that those who vanish leave as
// well.

#include "page.hpp"

#include <pusher/broker.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
namespace http = boost::beast::http;
using pusher::authentication_result;

namespace {

constexpr std::array<std::string_view, 3> rooms = {"lobby", "music", "support"};

/// Whether it is a topic of that kind, `room/…` or `who/…`, of a room that there is.
bool is_topic(std::string_view topic, std::string_view kind) {
    return topic.starts_with(kind) && std::ranges::find(rooms, topic.substr(kind.size())) != rooms.end();
}

/// Tells when somebody may have come or gone.
class watcher final : public pusher::observer {
public:
    std::function<void()> at_change;

private:
    void at_subscribe(const pusher::subscriber_info&, std::string_view, std::string_view) override {
        at_change();
    }
    void at_unsubscribe(const pusher::subscriber_info&, std::string_view, std::string_view) override {
        at_change();
    }
    void at_close(const pusher::subscriber_info&, const pusher::close_reason&) override { at_change(); }
};

class program {
public:
    explicit program(asio::io_context& io) : timer_(io), broker_(io, params()) {
        watcher_.at_change = [this] { look_soon(); };
    }

    pusher::listener listen(std::uint16_t port) {
        pusher::http_params p{.listen = pusher::stream_address{.port = port}, .handler = &serve};
        p.limits.request_bytes = p.body_bytes = 4096; // a message is no longer
        p.limits.heartbeat = std::chrono::seconds(3); // who does not even answer pings has left
        p.limits.idle_timeout = p.limits.write_timeout = std::chrono::seconds(10);
        return broker_.listen(p);
    }

    void end() {
        watcher_.at_change = [] {};
        timer_.cancel();
        broker_.async_drain(std::chrono::seconds(5), asio::detached);
    }

private:
    pusher::broker_params params() {
        pusher::broker_params p;
        p.observer = &watcher_;
        p.authenticate = [this](const auto& request, const auto& answer) { answer(who(request)); };
        p.authorize = [](const auto& request, const auto& answer) { answer(allowed(request)); };
        p.history_for = [](std::string_view topic) -> pusher::history_params {
            if (topic.starts_with("room/"))
                return {.messages = 200, .age = std::chrono::hours(24)};
            return {.messages = 1}; // the newest list is all that one needs
        };
        p.topic_policies = {// Whoever is slow hears it later.
                            {.filter = "room/+", .overflow = pusher::overflow_policy::spill},
                            {.filter = "who/+", .overflow = pusher::overflow_policy::conflate}};
        return p;
    }

    /// A name and a secret, which nobody else who is here with that name may have.
    authentication_result who(const pusher::authentication_request& request) {
        std::string_view token = request.token;
        if (request.http) {
            token = (*request.http)["Authorization"];
            token.remove_prefix(token.starts_with("Bearer ") ? 7 : token.size());
        }
        if (token.empty())
            return authentication_result::later(); // a page's WebSocket has no header, and says `auth`
        const std::string name(token.substr(0, token.find(':')));
        constexpr auto letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
        if (name.empty() || name.size() > 20 || name.find_first_not_of(letters) != name.npos)
            return authentication_result::refused("a name is up to 20 letters and digits");
        auto& known = tokens_[name];
        if (known != token && is_here(name))
            return authentication_result::refused("somebody else has this name");
        known = token;
        look_soon(); // perhaps the name is only used to publish, and free again after that
        return authentication_result::identified(name);
    }

    [[nodiscard]] bool is_here(std::string_view name) const {
        bool found = false;
        broker_.for_each_session([&](const auto&) { found = true; }, name);
        return found;
    }

    static bool allowed(const pusher::access_request& request) {
        if (request.action == pusher::access_request::kind::publish)
            return is_topic(request.topic, "room/") && request.type == request.uid;
        return request.match == pusher::match_mode::exact && request.type.empty() &&
               (is_topic(request.topic, "room/") || is_topic(request.topic, "who/"));
    }

    /// Not at once: an observer must not call the broker, and many may come and go together.
    void look_soon() {
        if (std::exchange(looking_, true))
            return;
        timer_.expires_after(std::chrono::milliseconds(100));
        timer_.async_wait([this](pusher::error_code ec) {
            looking_ = false;
            if (!ec)
                look();
        });
    }

    void look() {
        std::erase_if(tokens_, [this](const auto& entry) { return !is_here(entry.first); });
        for (const auto room : rooms) {
            std::set<std::string> names; // one may be here in several windows
            broker_.for_each_subscriber(
                "room/" + std::string(room), [&](const auto& who) { names.emplace(who.uid); });
            if (auto& last = names_[room]; last != names) {
                last = names;
                const boost::json::array list(names.begin(), names.end());
                broker_.publish("who/" + std::string(room), boost::json::serialize(list));
            }
        }
    }

    static bool serve(const pusher::http_connection_ptr& connection) {
        const auto& request = connection->request();
        if (request.target() != "/" || request.method() != http::verb::get)
            return false; // 404
        pusher::http_response response(http::status::ok, request.version());
        response.keep_alive(request.keep_alive());
        response.set(http::field::content_type, "text/html; charset=utf-8");
        response.set(http::field::cache_control, "no-cache");
        // The page has a policy of its own, which cannot say this.
        response.set("Content-Security-Policy", "frame-ancestors 'none'");
        response.set("X-Content-Type-Options", "nosniff");
        response.body() = chat::page_html;
        connection->respond(std::move(response));
        return true;
    }

    watcher watcher_;
    std::map<std::string, std::string> tokens_;               ///< by name, of those who are here
    std::map<std::string_view, std::set<std::string>> names_; ///< by room, as last published
    bool looking_ = false;
    asio::steady_timer timer_;
    pusher::broker<pusher::transport::http> broker_;
};

} // namespace

int main(int argc, char** argv) try {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
    asio::io_context io(1);
    asio::signal_set signals(io, SIGINT, SIGTERM);
    program chat(io);
    const auto listener = chat.listen(port);
    std::cout << "listening http " << listener.local_endpoint() << std::endl;

    signals.async_wait([&](pusher::error_code, int) { chat.end(); });
    io.run();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
}
