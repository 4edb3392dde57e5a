// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/stored_state.hpp>

#include "require.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Input: how long the key is, in one byte; the key, and the value.

using namespace pusher;
using namespace pusher::detail;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto key = bytes.substr(0, data[0]);
    const auto value = bytes.substr(key.size());
    if (key.empty() || value.empty())
        return 0;

    stored_durable d;
    if (d.read(key, value)) {
        require(!d.uid.empty() && is_valid_topic(d.topic) && d.epoch != 0, "what is read makes sense");
        stored_durable again;
        const auto k = d.key();
        const auto v = d.value();
        require(again.read(k, v), "what was written can be read");
        require(
            again.uid == d.uid && again.name == d.name && again.topic == d.topic && again.type == d.type &&
                again.epoch == d.epoch && again.offset == d.offset && again.sent == d.sent &&
                again.left == d.left,
            "and means the same");
    }

    stored_failure f;
    if (f.read(key, value)) {
        require(is_valid_topic(f.topic) && f.attempts != 0 && f.number != 0, "what is read makes sense");
        stored_failure again;
        const auto k = f.key(state_format::parked_key);
        const auto v = f.value();
        require(again.read(k, v), "what was written can be read");
        require(
            again.number == f.number && again.when == f.when && again.why == f.why &&
                again.attempts == f.attempts && again.uid == f.uid && again.peer == f.peer &&
                again.transport == f.transport && again.topic == f.topic && again.addressed == f.addressed &&
                again.position == f.position && again.record == f.record,
            "and means the same");
    }
    return 0;
}
