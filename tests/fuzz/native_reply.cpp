// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/native_reply.hpp>

#include "require.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

// What must hold of any bytes that a hub sends: they are understood or refused with a reason, and what was
// understood, written by the hub's encoder, is understood again as the same.

using namespace pusher;

namespace {

std::string encode(const native_incoming& in) {
    std::string out;
    switch (in.what) {
    case native_incoming::kind::reply: append_native_reply(out, in.reply); break;
    case native_incoming::kind::push: append_native_push(out, message(in.push)); break;
    case native_incoming::kind::gap: append_native_gap(out, in.gap); break;
    case native_incoming::kind::close: {
        detail::json_writer w(out);
        detail::write_native_close(
            w, {static_cast<close_code>(in.close.code), {}, std::string(in.close.reason)}, in.close.retry);
        w.finish();
        break;
    }
    case native_incoming::kind::challenge: append_native_challenge(out, in.cookie); break;
    case native_incoming::kind::none: break;
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // Memory of exactly this size, so that AddressSanitizer sees a read beyond it.
    const std::unique_ptr<char[]> bytes(new char[size]);
    std::string_view(reinterpret_cast<const char*>(data), size).copy(bytes.get(), size);
    const std::string_view text(bytes.get(), size);

    native_reply_decoder decoder;
    native_incoming in;
    if (decoder.decode(text, in)) {
        require(in.what == native_incoming::kind::none, "a refusal leaves nothing");
        require(!decoder.error_message().empty(), "a refusal has a reason");
        return 0;
    }
    require(in.what != native_incoming::kind::none, "it is something");
    require(detail::is_valid_utf8(text), "it is UTF-8");
    // What the clock can't express is filled in by the encoder, and so must be filled in before.
    if (in.what == native_incoming::kind::push) {
        if (!in.push.receive_time)
            in.push.receive_time = wall_time();
        if (in.push.id.empty())
            in.push.id = "x";
    }
    const auto written = encode(in);
    native_reply_decoder second;
    native_incoming again;
    require(!second.decode(written, again), "what was understood can be written");
    require(encode(again) == written, "and is the same");
    return 0;
}
