// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/websocket_codec.hpp>

#include "require.hpp"

#include "../support/websocket_script.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

// The codec beside Beast's `websocket::stream`, which is proven by Autobahn: both read the same bytes, and
// each reads what the other writes. Where they are to differ, `explained` says so and why; anything else is a
// finding.
//
// Input: one byte of mode and role, one for the limit, one for the cuts; then bytes or a script, as the mode
// says.

using namespace test;
using pusher::websocket_opcode;
using pusher::websocket_role;
namespace beast = boost::beast;
namespace net = boost::asio;

namespace {

/// A stream in memory: reads come from `in`, then end of file; writes go to `out`.
class memory_stream {
public:
    using executor_type = net::io_context::executor_type;

    std::string in;
    std::string out;
    bool answer_handshake = false; ///< play the server's part in it

    executor_type get_executor() noexcept {
        static net::io_context context;
        return context.get_executor();
    }

    template <class Buffers>
    std::size_t read_some(const Buffers& buffers, boost::system::error_code& ec) {
        if (at_ == in.size()) {
            ec = net::error::eof;
            return 0;
        }
        ec = {};
        const auto size = net::buffer_copy(buffers, net::buffer(in.data() + at_, in.size() - at_));
        at_ += size;
        return size;
    }

    template <class Buffers>
    std::size_t write_some(const Buffers& buffers, boost::system::error_code& ec) {
        ec = {};
        const auto old = out.size();
        out.resize(old + net::buffer_size(buffers));
        const auto size = net::buffer_copy(net::buffer(out.data() + old, out.size() - old), buffers);
        if (answer_handshake && out.ends_with("\r\n\r\n"))
            answer();
        return size;
    }

    template <class Buffers>
    std::size_t read_some(const Buffers& buffers) {
        boost::system::error_code ec;
        const auto size = read_some(buffers, ec);
        return ec ? throw boost::system::system_error(ec) : size;
    }

    template <class Buffers>
    std::size_t write_some(const Buffers& buffers) {
        boost::system::error_code ec;
        return write_some(buffers, ec);
    }

    friend void teardown(beast::role_type, memory_stream&, boost::system::error_code& ec) { ec = {}; }

private:
    void answer() {
        const std::string_view name = "Sec-WebSocket-Key: ";
        const auto key = out.substr(out.find(name) + name.size(), 24);
        beast::websocket::detail::sec_ws_accept_type accept;
        beast::websocket::detail::make_sec_ws_accept(accept, key);
        in = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
             "upgrade\r\nSec-WebSocket-Accept: ";
        in.append(accept.data(), accept.size()) += "\r\n\r\n";
        out.clear();
        answer_handshake = false;
    }

    std::size_t at_ = 0;
};

/// Without permessage-deflate, which is not the codec's.
using beast_stream = beast::websocket::stream<memory_stream, false>;

/// Makes `ws` an open connection, at the end that `role` says.
void open(beast_stream& ws, websocket_role role) {
    auto& next = ws.next_layer();
    if (role == websocket_role::client) {
        next.answer_handshake = true;
        ws.handshake("localhost", "/");
    } else {
        beast::http::request<beast::http::string_body> request(beast::http::verb::get, "/", 11);
        request.set(beast::http::field::host, "localhost");
        request.set(beast::http::field::upgrade, "websocket");
        request.set(beast::http::field::connection, "upgrade");
        request.set(beast::http::field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
        request.set(beast::http::field::sec_websocket_version, "13");
        ws.accept(request);
        next.out.clear();
    }
}

constexpr websocket_role other(websocket_role role) {
    return role == websocket_role::server ? websocket_role::client : websocket_role::server;
}

ws_outcome decode(websocket_role role, std::string_view input, const ws_setup& setup, std::size_t seed) {
    // Small pieces of small input; of long input not too many.
    const auto most = 1 + seed % 97 + input.size() / 64;
    const auto cut = [seed, most](std::size_t at) {
        return 1 + (at * 2654435761 + seed * 40503) / 64 % most;
    };
    auto outcome = role == websocket_role::server ? ws_decode<websocket_role::server>(input, setup, cut)
                                                  : ws_decode<websocket_role::client>(input, setup, cut);
    require(outcome.broken.empty(), outcome.broken.c_str());
    return outcome;
}

struct beast_outcome {
    ws_events events; ///< as ours, but `fault:` has the close code
    bool wants_more = false;
};

/// What Beast makes of `input`. What it writes back is read by our decoder.
beast_outcome read_with_beast(websocket_role role, std::string_view input, std::uint32_t limit) {
    beast_outcome result;
    ws_events answers;
    beast_stream ws;
    open(ws, role);
    ws.next_layer().in += input;
    ws.read_message_max(limit);
    ws.control_callback([&](beast::websocket::frame_type kind, beast::string_view payload) {
        const std::string text(payload.data(), payload.size());
        if (kind == beast::websocket::frame_type::ping) {
            result.events.push_back("ping:" + text);
            answers.push_back("pong:" + text);
        } else if (kind == beast::websocket::frame_type::pong) {
            result.events.push_back("pong:" + text);
        }
    });
    for (;;) {
        beast::flat_buffer buffer;
        boost::system::error_code ec;
        ws.read(buffer, ec);
        if (!ec) {
            const std::string text(static_cast<const char*>(buffer.data().data()), buffer.size());
            result.events.push_back((ws.got_text() ? "text:" : "binary:") + text);
            continue;
        }
        using beast::websocket::error;
        if (ec == net::error::eof) {
            result.wants_more = true;
        } else if (ec == error::closed) {
            const auto& reason = ws.reason();
            const auto code = reason.code == 0 ? pusher::websocket_no_status : reason.code;
            result.events.push_back(
                "close:" + std::to_string(code) + ":" +
                std::string(reason.reason.c_str(), reason.reason.size()));
            answers.push_back("close:" + std::to_string(reason.code == 0 ? 1000 : reason.code) + ":");
        } else {
            const auto* const code = ec == error::message_too_big     ? "1009"
                                     : ec == error::bad_frame_payload ? "1007"
                                                                      : "1002";
            result.events.push_back(std::string("fault:") + code);
            answers.push_back(std::string("close:") + code + ":");
        }
        break;
    }
    // A code that Beast echoes and we don't accept is the one thing it may write that we can't read.
    const auto read = decode(other(role), ws.next_layer().out, {}, 50).events;
    const auto echoed = [&](const std::string& line) { return line.starts_with("fault:invalid close code"); };
    if (!(read.size() == answers.size() && !read.empty() && echoed(read.back())))
        require(read == answers, "what Beast answers");
    return result;
}

/// Ours, with faults by their close codes.
ws_events by_code(const ws_events& events) {
    static const auto code_of = [](const std::string& text) {
        for (int i = 0; i <= static_cast<int>(pusher::websocket_fault::too_many_fragments); ++i) {
            const auto fault = static_cast<pusher::websocket_fault>(i);
            if (text == to_string(fault))
                return static_cast<int>(to_close_reason(fault).code);
        }
        return 0;
    };
    auto result = events;
    if (!result.empty() && result.back().starts_with("fault:"))
        result.back() = "fault:" + std::to_string(code_of(result.back().substr(6)));
    return result;
}

/// The ways in which we mean to differ from Beast (1.81 to 1.88). Each is about the last of our events.
bool explained(const ws_events& ours, const ws_events& beast) {
    if (ours.empty() || beast.size() < ours.size() ||
        !std::equal(ours.begin(), ours.end() - 1, beast.begin()))
        return false;
    const std::string_view we = ours.back();
    const std::string_view it = beast[ours.size() - 1];
    // 1014 (bad gateway) is in IANA's registry; Beast's list is older.
    if (we.starts_with("close:1014:") && it == "fault:1002")
        return true;
    // Codes from 5000 have no meaning and no owner (RFC 6455, section 7.4.2); Beast takes them.
    if (we == "fault:invalid close code" && it.starts_with("close:"))
        return std::stoul(std::string(it.substr(6, it.find(':', 6) - 6))) >= 5000;
    // A reason that is not UTF-8 is invalid data, as section 8.1 has it for all text; Beast says protocol
    // error.
    if (we == "fault:close reason not UTF-8" && it == "fault:1002")
        return true;
    // A length with the top bit set breaks section 5.2, whatever the limits; to Beast it is only large.
    if (we == "fault:length over 63 bits" && it == "fault:1009")
        return true;
    // A text that stops within a character, and whose last frame is empty: Beast forgets to look and delivers
    // it.
    if (we == "fault:text not UTF-8" && it.starts_with("text:"))
        return !pusher::detail::is_valid_utf8(it.substr(5));
    return false;
}

/// Both read the same bytes.
void compare(websocket_role role, const std::string& input, std::uint32_t limit, std::size_t seed) {
    const ws_setup setup{.limits = {.message_size = limit, .fragments = 65535}};
    const auto ours = decode(role, input, setup, seed);
    auto beast = read_with_beast(role, input, limit);
    if (beast.wants_more && !ours.events.empty() && ours.events.back().starts_with("fault:") &&
        beast.events.size() < ours.events.size()) {
        // We say what is wrong with a header before all of it is there. With the rest Beast has to say the
        // same.
        beast = read_with_beast(role, input + std::string(pusher::websocket_max_header_size, '\0'), limit);
    }
    if (by_code(ours.events) == beast.events || explained(ours.events, beast.events))
        return;
    for (const auto& line : ours.events)
        std::fprintf(stderr, "ours:  %s\n", line.substr(0, 200).c_str());
    for (const auto& line : beast.events)
        std::fprintf(stderr, "Beast: %s\n", line.substr(0, 200).c_str());
    require(false, "the same as Beast");
}

/// Reads a script: numbers and texts from the fuzzer's bytes.
class script {
public:
    explicit script(std::string_view bytes) : rest_(bytes) {}

    bool empty() const { return rest_.empty(); }

    unsigned number() {
        if (rest_.empty())
            return 0;
        const auto value = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }

    std::string text(std::size_t size) {
        const std::string result(rest_.substr(0, size));
        rest_.remove_prefix(result.size());
        return result;
    }

    /// A payload of up to some 130,000 bytes.
    std::string payload() {
        const auto size = number();
        const auto text_size = size & 0x3F;
        const auto unit = text(text_size);
        static constexpr std::size_t times[] = {1, 3, 50, 2100};
        std::string result;
        for (auto i = times[size >> 6]; i != 0 && (result.empty() || total_ < 150'000); --i) {
            result += unit;
            total_ += unit.size();
        }
        return result;
    }

    /// The same as text: what is not UTF-8 becomes so.
    std::string utf8() {
        auto result = payload();
        if (!pusher::detail::is_valid_utf8(result))
            for (auto& c : result)
                c = static_cast<char>(c & 0x7F);
        return result;
    }

    std::string control() { return payload().substr(0, pusher::websocket_max_control_size); }

private:
    std::string_view rest_;
    std::size_t total_ = 0; ///< of all payloads, lest the fuzzer finds nothing but slow input
};

/// Frames, right and wrong.
std::string write_frames(websocket_role sender, std::string_view bytes) {
    std::string out;
    for (script s(bytes); !s.empty();) {
        ws_frame f{.first = s.number()};
        const auto how = s.number();
        f.form = how % 16 == 1   ? length_form::bits16
                 : how % 16 == 2 ? length_form::bits64
                                 : length_form::minimal;
        f.wrong_mask = how / 16 == 15;
        // Most frames are to be in order as far as they can, or nothing deep is ever reached.
        if (how / 16 < 12)
            f.first &= (f.first & 8) != 0 ? 0x8BU : 0x83U;
        f.payload = s.payload();
        if ((f.first & 8) != 0 && how / 16 < 12)
            f.payload.resize(std::min(f.payload.size(), pusher::websocket_max_control_size));
        if (how % 16 == 3)
            f.announced = std::uint64_t{s.number()} << (s.number() % 64);
        f.key = s.number() * 0x01000193U;
        out += ws_bytes(sender, f);
    }
    return out;
}

/// The longest beginning of `text` that a close frame holds.
std::string cut_reason(std::string text) {
    text.resize(std::min(text.size(), pusher::websocket_max_reason_size));
    while (!pusher::detail::is_valid_utf8(text))
        text.pop_back();
    return text;
}

/// Our encoder writes, Beast and our decoder read.
void write_for_beast(websocket_role sender, std::string_view bytes, std::size_t seed) {
    std::string out;
    ws_events expected;
    auto key = static_cast<std::uint32_t>(seed);
    const auto put = [&](websocket_opcode opcode, std::string_view payload, bool fin = true) {
        key = key * 1664525U + 1013904223U;
        if (sender == websocket_role::client)
            pusher::append_masked_frame(out, opcode, payload, key, fin);
        else
            pusher::append_frame(out, opcode, payload, fin);
    };
    bool closed = false;
    for (script s(bytes); !s.empty() && !closed;) {
        const auto op = s.number();
        const bool binary = (op & 0x80) != 0;
        if (op % 8 == 0) {
            const auto payload = s.control();
            put(websocket_opcode::ping, payload);
            expected.push_back("ping:" + payload);
        } else if (op % 8 == 1) {
            const auto payload = s.control();
            put(websocket_opcode::pong, payload);
            expected.push_back("pong:" + payload);
        } else if (op % 8 == 2) {
            const auto code = static_cast<std::uint16_t>(s.number() << 8 | s.number());
            const auto reason = s.utf8();
            if (sender == websocket_role::client)
                pusher::append_masked_close_frame(out, code, reason, key);
            else
                pusher::append_close_frame(out, code, reason);
            expected.push_back(
                pusher::is_valid_websocket_close_code(code)
                    ? "close:" + std::to_string(code) + ":" + cut_reason(reason)
                    : "close:1005:");
            closed = true;
        } else {
            const auto payload = binary ? s.payload() : s.utf8();
            auto opcode = binary ? websocket_opcode::binary : websocket_opcode::text;
            std::size_t at = 0;
            for (auto pieces = s.number() % 5; pieces != 0; --pieces) {
                // The last fragment is never empty, because of what `explained` says of Beast.
                const auto size =
                    std::size_t{300} * s.number() % std::max<std::size_t>(payload.size() - at, 1);
                put(opcode, std::string_view(payload).substr(at, size), false);
                opcode = websocket_opcode::continuation;
                at += size;
                put(websocket_opcode::ping, "between");
                expected.push_back("ping:between");
            }
            put(opcode, std::string_view(payload).substr(at));
            expected.push_back((binary ? "binary:" : "text:") + payload);
        }
    }
    const auto ours = decode(other(sender), out, {}, seed);
    require(ours.events == expected && ours.idle, "we read what we wrote");
    const auto beast = read_with_beast(other(sender), out, 1 << 20).events;
    require(beast == expected || explained(ours.events, beast), "Beast reads what we wrote");
}

/// Beast writes, our decoder reads.
void read_from_beast(websocket_role sender, std::string_view bytes, std::size_t seed) {
    beast_stream ws;
    open(ws, sender);
    ws_events expected;
    bool closed = false;
    for (script s(bytes); !s.empty() && !closed;) {
        const auto op = s.number();
        const bool binary = (op & 0x80) != 0;
        if (op % 8 == 0) {
            const auto payload = s.control();
            ws.ping({payload.data(), payload.size()});
            expected.push_back("ping:" + payload);
        } else if (op % 8 == 1) {
            const auto payload = s.control();
            ws.pong({payload.data(), payload.size()});
            expected.push_back("pong:" + payload);
        } else if (op % 8 == 2) {
            static constexpr std::uint16_t codes[] = {1000, 1001, 1002, 1003, 1007, 1013, 3000, 4999};
            const auto code = codes[s.number() % 8];
            const auto reason = cut_reason(s.utf8());
            boost::system::error_code ec;
            ws.close({static_cast<beast::websocket::close_code>(code), {reason.data(), reason.size()}}, ec);
            expected.push_back("close:" + std::to_string(code) + ":" + reason);
            closed = true;
        } else {
            const auto payload = binary ? s.payload() : s.utf8();
            ws.binary(binary);
            ws.auto_fragment(op % 8 < 6);
            ws.write_buffer_bytes(8 + s.number() * 16U);
            const auto cut = std::min<std::size_t>(s.number(), payload.size());
            if (op % 8 == 3) {
                ws.write_some(false, net::buffer(payload.data(), cut));
                ws.ping("between");
                ws.write_some(true, net::buffer(payload.data() + cut, payload.size() - cut));
                expected.emplace_back("ping:between");
            } else {
                ws.write(net::buffer(payload));
            }
            expected.push_back((binary ? "binary:" : "text:") + payload);
        }
    }
    const ws_setup setup{.limits = {.message_size = 1 << 20, .fragments = 65535}};
    const auto ours = decode(other(sender), ws.next_layer().out, setup, seed);
    require(ours.events == expected && ours.idle, "we read what Beast wrote");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3)
        return 0;
    const std::string input(reinterpret_cast<const char*>(data) + 3, size - 3);
    const auto role = (data[0] & 1) != 0 ? websocket_role::client : websocket_role::server;
    const std::uint32_t limit = (data[1] & 0x80) != 0 ? 1U << 20 : 1 + data[1] * 3U;
    switch (data[0] / 2 % 4) {
    case 0: compare(role, input, limit, data[2]); break;
    case 1: compare(role, write_frames(other(role), input), limit, data[2]); break;
    case 2: write_for_beast(role, input, data[2]); break;
    default: read_from_beast(role, input, data[2]); break;
    }
    return 0;
}
