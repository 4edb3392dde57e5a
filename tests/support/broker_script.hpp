// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker.hpp>
#include <pusher/testing/memory_peer.hpp>
#include <pusher/testing/memory_transport.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A broker with peers that are connected by memory: what it does with sessions, whatever the transport. The
// event loop runs when a test says so.

namespace test {

using texts = std::vector<std::string>;

/// Sessions by why they ended: `broker_stats::closed`.
using reasons = decltype(pusher::broker_stats::closed);

/// What a hub says, in short: `t=1`, with history `t@5=1`; `!t 3`; `ok 7`, `ok 7 matched 2`; `fail 7 why`;
/// `close 1001 why`, and `, retry` if there is a hint.
inline std::string brief(std::string_view line) {
    const auto o = boost::json::parse({line.data(), line.size()}).as_object();
    auto text = [](const boost::json::value& v) { return std::string(v.as_string()); };
    if (const auto* const status = o.if_contains("status")) {
        auto s = text(*status);
        if (const auto id = text(o.at("request_id")); !id.empty())
            s += " " + id;
        if (s.starts_with("fail"))
            return s + " " + text(o.at("error_message"));
        if (const auto* const r = o.if_contains("receipt"))
            s += " matched " + boost::json::serialize(r->at("matched"));
        if (const auto* const r = o.if_contains("recovered"))
            s += r->as_bool() ? " recovered" : " not recovered";
        return s;
    }
    if (const auto* const c = o.if_contains("close"))
        return "close " + boost::json::serialize(c->at("code")) + " " + text(c->at("reason")) +
               (c->as_object().contains("retry") ? ", retry" : "");
    if (const auto* const g = o.if_contains("gap"))
        return "!" + text(o.at("topic")) + " " + boost::json::serialize(g->at("count"));
    auto s = text(o.at("topic"));
    if (const auto* const offset = o.at("meta").as_object().if_contains("offset"))
        s += "@" + boost::json::serialize(*offset);
    return s + "=" + text(o.at("payload"));
}

class broker_script {
public:
    using broker_type = pusher::broker<pusher::testing::memory>;

    explicit broker_script(pusher::broker_params p = {}, const pusher::link_limits& limits = {})
        : broker(context, std::move(p)) {
        broker.listen(pusher::testing::memory_params{&port, limits});
    }

    /// A broker that does not listen yet.
    struct not_listening_tag {};
    static constexpr not_listening_tag not_listening{};
    broker_script(pusher::broker_params p, not_listening_tag /*unused*/) : broker(context, std::move(p)) {}

    /// Runs until nothing is left to do but to wait.
    void run() {
        context.restart();
        context.poll();
    }
    /// Runs until something has happened that takes time.
    template <class F>
    void run_until(F&& happened) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        run();
        while (!happened()) {
            context.restart();
            context.run_one_until(deadline);
            if (std::chrono::steady_clock::now() > deadline)
                throw std::runtime_error("what should happen has not");
        }
    }
    boost::asio::io_context context{1};
    pusher::testing::memory_port port;
    broker_type broker;
};

/// A peer at the other end of a connection, which speaks lines.
template <class Script>
class basic_client {
public:
    /// \param room bytes that may be on their way to it.
    explicit basic_client(Script& s, std::size_t room = 64 * 1024) : peer(connect(s, room)), script_(&s) {
        s.run();
    }

    /// `params` without its braces, such as `"topic":"t"`.
    void send(std::string_view action, std::string_view params = {}, std::string_view id = {}) {
        peer.send(
            R"({"action":")" + std::string(action) + R"(","request_id":")" + std::string(id) +
            R"(","params":{)" + std::string(params) + "}}\n");
    }
    void subscribe(std::string_view topic) { send("subscribe", R"("topic":")" + std::string(topic) + '"'); }
    void publish(std::string_view topic, std::string_view payload) {
        send(
            "publish", R"("topic":")" + std::string(topic) + R"(","payload":")" + std::string(payload) + '"');
    }
    /// What it gets, once everything is done that can be done now, since the last call.
    texts heard() {
        script_->run();
        texts got;
        for (const auto& line : peer.take_lines())
            got.push_back(brief(line));
        return got;
    }
    [[nodiscard]] bool ended() const noexcept { return peer.ended().has_value(); }

    /// Ends the connection too, after the hub has: only then is the session over.
    void leave() {
        peer.close();
        script_->run();
    }

    pusher::testing::memory_peer peer;

private:
    static pusher::channel_ptr connect(Script& s, std::size_t room) {
        pusher::testing::memory_channel_params far;
        far.room = room;
        far.peer = "somewhere";
        return s.port.connect({}, far);
    }

    Script* script_;
};

using client = basic_client<broker_script>;

} // namespace test
