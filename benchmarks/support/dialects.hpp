// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "control.hpp"
#include "native.hpp"
#include "system.hpp"
#include "websocket.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the load generator speaks with the servers under test: the client's side of each protocol, as far as
/// subscribing and receiving go, and for brokers publishing too.
namespace bench {

/// What was found at the beginning of a session's input.
struct step {
    enum kind : unsigned char {
        incomplete, ///< there is more to come before anything can be said
        other,      ///< nothing that matters
        greeted,    ///< the server knows the client, as `text`: it may subscribe now
        subscribed, ///< `count` subscriptions are confirmed
        refused,    ///< the server says no
        delivery,   ///< a message with the payload `text`
        gap,        ///< `count` messages were lost
        bad,        ///< something that no server may send
    };

    kind what = incomplete;
    std::size_t used = 0; ///< bytes of input that are dealt with
    std::string_view text;
    std::uint64_t count = 0;
};

using topic_names = std::vector<std::string>;

/// Strings that the functions return, or append to `say`, go to the server as they are. Those that read look
/// at one message of a WebSocket, or at a stream of bytes.
class dialect {
public:
    dialect() = default;
    dialect(const dialect&) = delete;
    dialect& operator=(const dialect&) = delete;
    virtual ~dialect() = default;

    /// Payloads that follow have this size.
    void expect(std::size_t bytes) noexcept { bytes_ = bytes; }

    [[nodiscard]] virtual bench::stamp stamp() const noexcept { return stamp::binary; }

    /// What a WebSocket's upgrade asks for; empty: the protocol is on TCP itself.
    [[nodiscard]] virtual std::string target(const topic_names&) const { return {}; }
    /// What a client says first, after an upgrade if there is one.
    [[nodiscard]] virtual std::string hello(const topic_names&) const { return {}; }
    /// What a client says when it has been greeted, as `id`.
    [[nodiscard]] virtual std::string subscribe(const topic_names&, std::string_view /*id*/) const {
        return {};
    }
    /// Subscriptions that the server confirms, of `topics`.
    [[nodiscard]] virtual std::size_t confirmed(std::size_t topics) const noexcept { return topics; }

    virtual step next(std::string_view input, unsigned char opcode, std::string& say) = 0;

    /// A subscription to all that anybody publishes.
    [[nodiscard]] virtual std::string hello_all() const { throw std::logic_error("this is no broker's"); }
    virtual void
    append_publish(std::string& /*out*/, std::string_view /*topic*/, std::string_view /*payload*/) const {
        throw std::logic_error("this is no broker's");
    }

protected:
    std::size_t bytes_ = 0;
};

namespace dialects {

inline bool has(std::string_view text, std::string_view part) noexcept {
    return text.find(part) != text.npos;
}

/// Topics in the URL, payloads as they are.
class raw final : public dialect {
public:
    std::string target(const topic_names& topics) const override {
        std::string out = "/raw";
        for (const auto& name : topics)
            out += (out.size() == 4 ? "?topic=" : "&topic=") + name;
        return out;
    }
    std::size_t confirmed(std::size_t) const noexcept override { return 0; }
    step next(std::string_view input, unsigned char opcode, std::string&) override {
        if (opcode == websocket::binary)
            return {step::delivery, input.size(), input, 0};
        if (has(input, R"("gap")"))
            return {step::gap, input.size(), {}, number_after(input, R"("count")")};
        return {step::bad, input.size(), {}, 0};
    }
};

/// JSON in which a label comes right before a payload, that is a string without escapes.
class json : public dialect {
public:
    explicit json(std::string_view label) : label_(label) {}
    bench::stamp stamp() const noexcept final { return stamp::hex; }

protected:
    static std::string message(std::string_view text) {
        std::string out;
        websocket::append_frame(out, websocket::text, text, true);
        return out;
    }
    static step whole(step::kind what, std::string_view input, std::uint64_t count = 0) noexcept {
        return {what, input.size(), {}, count};
    }

    /// `delivery` with all up to the payload's end used, `bad` if it does not end there, or `incomplete` if
    /// there is none.
    step payload(std::string_view input) noexcept {
        // Mostly the label is where it was in the message before.
        auto at = at_ <= input.size() && input.substr(at_).starts_with(label_) ? at_ : input.find(label_);
        if (at == input.npos)
            return {};
        at_ = at;
        at += label_.size();
        if (input.size() <= at + bytes_ || input[at + bytes_] != '"')
            return {step::bad, input.size(), {}, 0};
        return {step::delivery, at + bytes_ + 1, input.substr(at, bytes_), 0};
    }

private:
    std::string_view label_;
    std::size_t at_ = 0;
};

/// The library's own.
class native : public json {
public:
    native() : json(R"("payload":")") {}
    std::string target(const topic_names&) const override { return "/ws"; }
    std::string hello(const topic_names& topics) const override {
        std::string out;
        for (const auto& name : topics)
            out += message(bench::native::subscribe_request(name));
        return out;
    }
    step next(std::string_view input, unsigned char, std::string&) override { return object(input); }

protected:
    /// One object.
    step object(std::string_view input) noexcept {
        if (auto found = payload(input); found.what != step::incomplete) {
            found.used = input.size();
            return found;
        }
        if (has(input, R"("status":"ok")"))
            return whole(step::subscribed, input, 1);
        if (has(input, R"("gap")"))
            return whole(step::gap, input, number_after(input, R"("count")"));
        return whole(has(input, R"("status":"fail")") ? step::refused : step::bad, input);
    }
};

/// The same on TCP itself, an object in each line.
class lines final : public native {
public:
    std::string target(const topic_names&) const override { return {}; }
    std::string hello(const topic_names& topics) const override {
        std::string out;
        for (const auto& name : topics)
            (out += bench::native::subscribe_request(name)) += '\n';
        return out;
    }
    step next(std::string_view input, unsigned char, std::string&) override {
        const auto end = input.find('\n');
        if (end == input.npos)
            return {};
        auto found = object(input.substr(0, end));
        found.used = end + 1;
        return found;
    }
};

/// Server-sent events: a payload as it is, or on several topics a push of the native dialect.
class events final : public json {
public:
    events() : json(R"("payload":")") {}
    std::string target(const topic_names&) const override { return {}; }
    std::string hello(const topic_names& topics) const override {
        std::string out = "GET /events";
        for (const auto& name : topics)
            out += (out.ends_with("/events") ? "?topic=" : "&topic=") + name;
        return out + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    }
    std::size_t confirmed(std::size_t) const noexcept override { return 1; }
    step next(std::string_view input, unsigned char, std::string&) override {
        if (input.starts_with("HTTP/"))
            return response(input);
        const auto end = input.find("\n\n");
        if (end == input.npos)
            return {};
        static constexpr std::string_view label = "event: message\ndata: ";
        const auto event = input.substr(0, end);
        auto found = whole(step::bad, event);
        if (event.starts_with(label) && event.size() == label.size() + bytes_)
            found = {step::delivery, 0, event.substr(label.size()), 0};
        else if (event.starts_with(label))
            found = payload(event);
        else if (event.starts_with("event: pusher.gap\n"))
            found = whole(step::gap, event, number_after(event, R"("count")"));
        else if (event.starts_with(':'))
            found = whole(step::other, event);
        if (found.what == step::incomplete)
            found.what = step::bad; // of another size, and no envelope
        found.used = end + 2;
        return found;
    }

private:
    static step response(std::string_view input) noexcept {
        const auto end = input.find("\r\n\r\n");
        if (end == input.npos)
            return {};
        const bool good = input.starts_with("HTTP/1.1 200 ") &&
                          has(input.substr(0, end), "Content-Type: text/event-stream");
        return {good ? step::subscribed : step::refused, end + 4, {}, 1};
    }
};

/// The raw dialect on TCP itself: payloads behind their length.
class frames final : public dialect {
public:
    std::string hello(const topic_names& topics) const override {
        std::string query;
        for (const auto& name : topics)
            query += (query.empty() ? "topic=" : "&topic=") + name;
        std::string out(4, '\0');
        for (std::size_t i = 0; i != 4; ++i)
            out[i] = static_cast<char>(query.size() >> (24 - 8 * i));
        return out + query;
    }
    std::size_t confirmed(std::size_t) const noexcept override { return 0; }
    step next(std::string_view input, unsigned char, std::string&) override {
        if (input.size() < 4)
            return {};
        std::size_t size = 0;
        for (std::size_t i = 0; i != 4; ++i)
            size = size << 8 | static_cast<unsigned char>(input[i]);
        const bool told = (size >> 31) != 0; // of the dialect, and no payload
        size &= 0x7FFF'FFFF;
        if (size > max_message_size)
            return {step::bad, input.size(), {}, 0};
        if (input.size() < 4 + size)
            return {};
        const auto text = input.substr(4, size);
        if (!told)
            return {step::delivery, 4 + size, text, 0};
        if (has(text, R"("gap")"))
            return {step::gap, 4 + size, {}, number_after(text, R"("count")")};
        return {size == 0 ? step::other : step::bad, 4 + size, {}, 0};
    }
};

/// Bayeux on a WebSocket, as `faye` speaks it.
class faye final : public json {
public:
    faye() : json(R"("data":")") {}
    std::string target(const topic_names&) const override { return "/bayeux"; }
    std::string hello(const topic_names&) const override {
        return message(
            R"([{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"]}])");
    }
    std::string subscribe(const topic_names& topics, std::string_view id) const override {
        std::string list;
        for (const auto& name : topics)
            list += (list.empty() ? R"([{"channel":"/meta/subscribe","clientId":")"
                                  : R"(,{"channel":"/meta/subscribe","clientId":")") +
                    std::string(id) + R"(","subscription":"/)" + name + R"("})";
        return stay(id) + message(list + ']');
    }
    step next(std::string_view input, unsigned char, std::string& say) override {
        // An array of messages: what follows a payload is its message's end, or one more message.
        if (const auto found = payload(input); found.what != step::incomplete)
            return found;
        if (!input.starts_with('['))
            return whole(step::other, input);
        if (has(input, R"("successful":false)"))
            return whole(step::refused, input);
        if (has(input, R"("/meta/handshake")"))
            return {step::greeted, input.size(), id_in(input), 0};
        if (has(input, R"("/meta/connect")")) {
            say += stay(id_in(input));
            return whole(step::other, input);
        }
        static constexpr std::string_view reply = R"("channel":"/meta/subscribe")";
        std::uint64_t replies = 0;
        for (auto at = input.find(reply); at != input.npos; at = input.find(reply, at + 1))
            ++replies;
        return whole(replies == 0 ? step::bad : step::subscribed, input, replies);
    }

private:
    /// The server answers after a while, and then wants the next.
    static std::string stay(std::string_view id) {
        return message(
            R"([{"channel":"/meta/connect","connectionType":"websocket","clientId":")" + std::string(id) +
            R"("}])");
    }
    static std::string_view id_in(std::string_view input) noexcept {
        static constexpr std::string_view label = R"("clientId":")";
        const auto at = input.find(label);
        return at == input.npos
                   ? std::string_view()
                   : input.substr(at + label.size(), input.find('"', at + label.size()) - at - label.size());
    }
};

/// Engine.IO 4 on a WebSocket, and in it Socket.IO events: `["subscribe",topic]`, which is acknowledged, and
/// `["m",payload]`.
class socketio final : public json {
public:
    socketio() : json(R"(["m",")") {}
    std::string target(const topic_names&) const override { return "/socket.io/?EIO=4&transport=websocket"; }
    std::string hello(const topic_names&) const override { return message("40"); }
    std::string subscribe(const topic_names& topics, std::string_view) const override {
        std::string out;
        for (std::size_t i = 0; i != topics.size(); ++i)
            out += message("42" + std::to_string(i) + R"(["subscribe",")" + topics[i] + R"("])");
        return out;
    }
    step next(std::string_view input, unsigned char, std::string& say) override {
        if (auto found = payload(input); found.what != step::incomplete) {
            found.used = input.size();
            return found;
        }
        if (input.starts_with("40"))
            return whole(step::greeted, input);
        if (input.starts_with("43"))
            return whole(step::subscribed, input, 1);
        if (input == "2")
            say += message("3"); // a ping
        if (input == "2" || input.starts_with("0"))
            return whole(step::other, input);
        return whole(input.starts_with("44") ? step::refused : step::bad, input);
    }
};

/// Centrifuge's JSON protocol: lines in WebSocket messages.
class centrifuge final : public json {
public:
    centrifuge() : json(R"("data":")") {}
    std::string target(const topic_names&) const override { return "/connection/websocket"; }
    std::string hello(const topic_names&) const override { return message(R"({"id":1,"connect":{}})"); }
    std::string subscribe(const topic_names& topics, std::string_view) const override {
        std::string lines;
        for (std::size_t i = 0; i != topics.size(); ++i)
            lines +=
                R"({"id":)" + std::to_string(i + 2) + R"(,"subscribe":{"channel":")" + topics[i] + "\"}}\n";
        return message(lines);
    }
    step next(std::string_view input, unsigned char, std::string& say) override {
        const auto end = input.find('\n');
        const auto line = input.substr(0, end);
        auto found = payload(line);
        if (found.what == step::incomplete) {
            if (line == "{}")
                say += message("{}"); // a ping
            found.what = line == "{}" || line.empty()                        ? step::other
                         : has(line, R"("error":)")                          ? step::refused
                         : has(line, R"("connect":)")                        ? step::greeted
                         : has(line, R"("id":)") && has(line, "\"subscribe") ? step::subscribed
                                                                             : step::bad;
            found.count = 1;
        }
        found.used = end == input.npos ? input.size() : end + 1;
        return found;
    }
};

/// A line up to CR LF, without that; nothing while it is not complete.
inline bool read_line(std::string_view input, std::size_t& at, std::string_view& line) noexcept {
    const auto end = input.find("\r\n", at);
    if (end == input.npos)
        return false;
    line = input.substr(at, end - at);
    at = end + 2;
    return true;
}

inline bool read_number(std::string_view digits, std::size_t& number) noexcept {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return error == std::errc{} && end == digits.data() + digits.size() && number <= max_message_size;
}

class nats final : public dialect {
public:
    std::string hello(const topic_names& topics) const override {
        std::string out(R"(CONNECT {"verbose":false,"pedantic":false,"lang":"c++","version":"1"})"
                        "\r\n");
        for (std::size_t i = 0; i != topics.size(); ++i)
            out += "SUB " + topics[i] + ' ' + std::to_string(i + 1) + "\r\n";
        return out + "PING\r\n";
    }
    std::string hello_all() const override { return hello({">"}); }
    std::size_t confirmed(std::size_t) const noexcept override { return 1; }

    step next(std::string_view input, unsigned char, std::string& say) override {
        std::size_t at = 0;
        std::string_view line;
        if (!read_line(input, at, line))
            return {};
        if (line.starts_with("MSG ")) {
            std::size_t size = 0;
            if (!read_number(line.substr(line.rfind(' ') + 1), size))
                return {step::bad, input.size(), {}, 0};
            if (input.size() < at + size + 2)
                return {};
            return {step::delivery, at + size + 2, input.substr(at, size), 0};
        }
        if (line == "PING")
            say += "PONG\r\n";
        const auto what = line == "PONG"                                ? step::subscribed
                          : line == "PING" || line.starts_with("INFO ") ? step::other
                          : line.starts_with("-ERR")                    ? step::refused
                                                                        : step::bad;
        return {what, at, {}, 1};
    }
    void append_publish(std::string& out, std::string_view topic, std::string_view payload) const override {
        ((out += "PUB ") += topic) += ' ';
        ((out += std::to_string(payload.size())) += "\r\n") += payload;
        out += "\r\n";
    }
};

/// RESP 2.
class redis final : public dialect {
public:
    std::string hello(const topic_names& topics) const override {
        return topics.empty() ? std::string() : command("SUBSCRIBE", topics);
    }
    std::string hello_all() const override { return command("PSUBSCRIBE", {"*"}); }

    step next(std::string_view input, unsigned char, std::string&) override {
        std::size_t at = 0;
        std::size_t items = 0;
        std::string_view line;
        if (!read_line(input, at, line))
            return {};
        if (line.starts_with(':') || line.starts_with('-'))
            return {line.starts_with(':') ? step::other : step::refused, at, {}, 0};
        if (!line.starts_with('*') || !read_number(line.substr(1), items) || items < 3)
            return {step::bad, input.size(), {}, 0};
        std::string_view first, last;
        for (std::size_t i = 0; i != items; ++i) {
            if (!read_line(input, at, line))
                return {};
            if (line.starts_with('$')) {
                std::size_t size = 0;
                if (!read_number(line.substr(1), size))
                    return {step::bad, input.size(), {}, 0};
                if (input.size() < at + size + 2)
                    return {};
                last = input.substr(at, size);
                at += size + 2;
            }
            if (i == 0)
                first = last;
        }
        if (first == "message" || first == "pmessage")
            return {step::delivery, at, last, 0};
        return {first.ends_with("subscribe") ? step::subscribed : step::bad, at, {}, 1};
    }
    void append_publish(std::string& out, std::string_view topic, std::string_view payload) const override {
        out += "*3\r\n$7\r\nPUBLISH\r\n";
        append(out, topic);
        append(out, payload);
    }

private:
    static void append(std::string& out, std::string_view item) {
        ((out += '$') += std::to_string(item.size())) += "\r\n";
        (out += item) += "\r\n";
    }
    static std::string command(std::string_view name, const topic_names& items) {
        std::string out = "*" + std::to_string(items.size() + 1) + "\r\n";
        append(out, name);
        for (const auto& item : items)
            append(out, item);
        return out;
    }
};

/// MQTT 3.1.1, quality of service 0.
class mqtt final : public dialect {
public:
    std::string hello(const topic_names& topics) const override {
        // A clean session, no keep-alive, and a client id of the server's choice.
        auto out = packet(0x10, std::string("\0\4MQTT\4\2\0\0\0\0", 12));
        if (topics.empty())
            return out;
        std::string list("\0\1", 2);
        for (const auto& name : topics) {
            append_text(list, name);
            list += '\0';
        }
        return out + packet(0x82, list);
    }
    std::string hello_all() const override { return hello({"#"}); }
    std::size_t confirmed(std::size_t) const noexcept override { return 1; }

    step next(std::string_view input, unsigned char, std::string&) override {
        const auto byte = [input](std::size_t i) -> std::size_t {
            return static_cast<unsigned char>(input[i]);
        };
        std::size_t at = 1;
        std::size_t size = 0;
        for (unsigned shift = 0;; shift += 7) {
            if (input.size() <= at)
                return {};
            size |= (byte(at) & 0x7F) << shift;
            if ((byte(at++) & 0x80) == 0)
                break;
            if (shift == 21)
                return {step::bad, input.size(), {}, 0};
        }
        if (input.size() < at + size)
            return {};
        const auto end = at + size;
        const auto type = byte(0) >> 4;
        if (type == 3 && size >= 2 && size >= 2 + (byte(at) << 8 | byte(at + 1))) {
            at += 2 + (byte(at) << 8 | byte(at + 1));
            return {step::delivery, end, input.substr(at, end - at), 0};
        }
        if (type == 2 && size == 2)
            return {byte(at + 1) == 0 ? step::other : step::refused, end, {}, 0};
        if (type == 9 && size > 2)
            return {byte(at + 2) == 0x80 ? step::refused : step::subscribed, end, {}, 1};
        return {step::bad, end, {}, 0};
    }
    void append_publish(std::string& out, std::string_view topic, std::string_view payload) const override {
        out += '\x30';
        append_size(out, 2 + topic.size() + payload.size());
        append_text(out, topic);
        out += payload;
    }

private:
    static void append_size(std::string& out, std::size_t size) {
        for (; size > 0x7F; size >>= 7)
            out += static_cast<char>((size & 0x7F) | 0x80);
        out += static_cast<char>(size);
    }
    static void append_text(std::string& out, std::string_view text) {
        out += static_cast<char>(text.size() >> 8);
        out += static_cast<char>(text.size() & 0xFF);
        out += text;
    }
    static std::string packet(unsigned char type, std::string_view body) {
        std::string out(1, static_cast<char>(type));
        append_size(out, body.size());
        return out += body;
    }
};

} // namespace dialects

/// The dialect of that name; nothing if there is none.
inline std::unique_ptr<dialect> make_dialect(std::string_view name) {
    if (name == "raw")
        return std::make_unique<dialects::raw>();
    if (name == "native")
        return std::make_unique<dialects::native>();
    if (name == "events")
        return std::make_unique<dialects::events>();
    if (name == "lines")
        return std::make_unique<dialects::lines>();
    if (name == "frames")
        return std::make_unique<dialects::frames>();
    if (name == "faye")
        return std::make_unique<dialects::faye>();
    if (name == "socketio")
        return std::make_unique<dialects::socketio>();
    if (name == "centrifuge")
        return std::make_unique<dialects::centrifuge>();
    if (name == "nats")
        return std::make_unique<dialects::nats>();
    if (name == "redis")
        return std::make_unique<dialects::redis>();
    if (name == "mqtt")
        return std::make_unique<dialects::mqtt>();
    return nullptr;
}

} // namespace bench
