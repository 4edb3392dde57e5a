// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/testing/fail_count.hpp>
#include <pusher/testing/simulated_store.hpp>

#include "broker_script.hpp"
#include "catch.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// A broker whose histories are in a store that does what a test says.

namespace test {

using pusher::error_code;
using pusher::receipt;
using pusher::testing::simulated_disk;
using pusher::testing::simulated_store;

inline constexpr auto told = simulated_disk::completion::when_told;

inline pusher::broker_params keeping(std::size_t messages) {
    pusher::broker_params p;
    p.history.messages = messages;
    return p;
}

/// A broker with a store on a disk, which it may share with the next.
struct stored_script : broker_script {
    explicit stored_script(simulated_disk& d, pusher::broker_params p = keeping(100))
        : broker_script(std::move(p), not_listening),
          disk(&d) {
        open();
    }

    void open() {
        broker.async_open(std::make_unique<simulated_store>(*disk), [this](error_code ec) { opened = ec; });
        settle();
        if (opened == error_code())
            broker.listen(pusher::testing::memory_params{&port, {}});
    }
    /// Until neither the broker nor the disk has anything to do.
    void settle() {
        do
            run();
        while (disk->step());
    }
    /// What became of it, once it is known.
    std::shared_ptr<std::optional<receipt>>
    publish(std::string_view topic, std::string_view payload, std::string_view id = {}) {
        auto result = std::make_shared<std::optional<receipt>>();
        auto bytes = std::make_shared<std::pair<std::string, std::string>>(topic, payload);
        auto name = std::make_shared<std::string>(id);
        pusher::publish_options o;
        o.id = *name;
        broker.async_publish(
            bytes->first, bytes->second, o, [result, bytes, name](error_code ec, const receipt& r) {
                CHECK(ec == r.error);
                *result = r;
            });
        return result;
    }
    texts all_of(const std::string& topic) {
        texts got;
        auto s = broker.subscribe(
            topic,
            [&](const pusher::message& m) {
                got.push_back(std::to_string(m.position()->offset) + "=" + std::string(m.payload()));
            },
            {.history = 1000});
        run();
        return got;
    }

    simulated_disk* disk;
    std::optional<error_code> opened;
};

/// As peers write epochs.
inline std::string hex(std::uint64_t n) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(n));
    return text;
}

inline std::uint64_t offset_of(const std::shared_ptr<std::optional<receipt>>& r) {
    return *r && (*r)->position ? (*r)->position->offset : 0;
}

} // namespace test
