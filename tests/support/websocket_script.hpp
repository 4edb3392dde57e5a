// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/dialect/websocket_decoder.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// \file
/// Scripts for the WebSocket decoder: frames, right and wrong, written without the encoder under test, and
/// the list of events that came of them.

namespace test {

enum class length_form { minimal, bits16, bits64 };

/// One frame, as wrong as a test wants it.
struct ws_frame {
    unsigned first = 0x81; ///< FIN, RSV1 to RSV3 and the opcode
    std::string payload{};
    length_form form = length_form::minimal;
    std::optional<std::uint64_t> announced{}; ///< a length other than the payload's
    bool wrong_mask = false;                  ///< masked where it must not be, or the other way round
    std::uint32_t key = 0x37FA213D;
};

inline std::string ws_bytes(pusher::websocket_role sender, const ws_frame& f) {
    std::string out;
    const bool masked = (sender == pusher::websocket_role::client) != f.wrong_mask;
    const std::uint64_t length = f.announced.value_or(f.payload.size());
    const auto put = [&](std::uint64_t value, int bytes) {
        for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
            out.push_back(static_cast<char>(value >> shift & 0xFF));
    };
    auto form = f.form;
    if (form == length_form::minimal && length > 125)
        form = length > 65535 ? length_form::bits64 : length_form::bits16;
    put(f.first, 1);
    const std::uint64_t mask_bit = masked ? 0x80 : 0;
    switch (form) {
    case length_form::minimal: put(mask_bit | length, 1); break;
    case length_form::bits16:
        put(mask_bit | 126, 1);
        put(length, 2);
        break;
    case length_form::bits64:
        put(mask_bit | 127, 1);
        put(length, 8);
        break;
    }
    if (!masked)
        return out + f.payload;
    put(f.key, 4);
    for (std::size_t i = 0; i != f.payload.size(); ++i)
        put(static_cast<unsigned char>(f.payload[i]) ^ (f.key >> (24 - 8 * (i % 4)) & 0xFF), 1);
    return out;
}

inline std::string ws_bytes(pusher::websocket_role sender, const std::vector<ws_frame>& frames) {
    std::string out;
    for (const auto& f : frames)
        out += ws_bytes(sender, f);
    return out;
}

/// What a decoder reported, one line each: `text:`, `binary:`, `ping:`, `pong:` with the payload, `close:`
/// with code and reason, at last `fault:` with its name.
using ws_events = std::vector<std::string>;

struct ws_recorder {
    ws_events events;
    bool pausing = false; ///< pause at each event

    bool on_message(const pusher::websocket_message& m) {
        std::string line = m.compressed ? "compressed " : "";
        line += m.binary ? "binary:" : "text:";
        return add(line.append(m.payload));
    }
    bool on_ping(std::string_view payload) { return add(std::string("ping:").append(payload)); }
    bool on_pong(std::string_view payload) { return add(std::string("pong:").append(payload)); }
    void on_close(std::uint16_t code, std::string_view reason) {
        add("close:" + std::to_string(code) + ":" + std::string(reason));
    }

private:
    bool add(std::string line) {
        events.push_back(std::move(line));
        return !pausing;
    }
};

/// How the bytes are handed to the decoder.
struct ws_setup {
    pusher::websocket_limits limits{1 << 20, 1000};
    pusher::websocket_compression compression = pusher::websocket_compression::none;
    bool pausing = false;
};

struct ws_outcome {
    ws_events events;
    std::optional<std::size_t> fault_after; ///< number of bytes fed when the fault was reported
    bool idle = true;
    bool finished = false;
    std::size_t buffered = 0;
    std::string broken; ///< a promise of `feed` itself that did not hold
};

/// Feeds `input` in pieces of at most `piece(offset)` bytes. Each piece lies in memory of exactly its size,
/// so that AddressSanitizer sees a read beyond it.
template <pusher::websocket_role Role, class Piece>
ws_outcome ws_decode(std::string_view input, const ws_setup& setup, Piece piece) {
    ws_outcome out;
    ws_recorder recorder;
    recorder.pausing = setup.pausing;
    pusher::websocket_decoder<Role> decoder(setup.compression);
    for (std::size_t at = 0; at < input.size();) {
        const auto size = std::min<std::size_t>(piece(at), input.size() - at);
        const std::unique_ptr<char[]> bytes(new char[size]);
        std::memcpy(bytes.get(), input.data() + at, size);
        const auto before = recorder.events.size();
        const auto result = decoder.feed({bytes.get(), size}, setup.limits, recorder);
        if (result.fault != pusher::websocket_fault::none) {
            recorder.events.push_back(std::string("fault:") + pusher::to_string(result.fault));
            out.fault_after = at + size;
        }
        if (result.consumed > size || (result.consumed < size && recorder.events.size() == before))
            out.broken = "consumed";
        else if (
            std::memcmp(
                bytes.get() + result.consumed, input.data() + at + result.consumed, size - result.consumed) !=
            0)
            out.broken = "bytes that were not consumed have changed";
        else if (!setup.pausing && result.consumed != size)
            out.broken = "paused by itself";
        else if (decoder.buffered() > input.size())
            out.broken = "holds more than was fed";
        else if (decoder.finished() && decoder.buffered() != 0)
            out.broken = "holds bytes after the end";
        if (!out.broken.empty())
            break;
        at += result.consumed;
    }
    out.events = recorder.events;
    out.idle = decoder.idle();
    out.finished = decoder.finished();
    out.buffered = decoder.buffered();
    return out;
}

} // namespace test
