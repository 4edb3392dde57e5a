// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "broker_script.hpp"

#include <pusher/broker_group.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// Several brokers in one thread, whose event loops run when a test says so, and peers that are connected to
// one of them by memory.

namespace test {

class group_script {
public:
    using group_type = pusher::broker_group<pusher::testing::memory>;

    /// One of the brokers, for its peers.
    struct seat {
        group_script* of;
        pusher::testing::memory_port port;

        void run() const { of->run(); }
    };

    explicit group_script(
        std::size_t n, const pusher::broker_params& p = {}, const pusher::group_params& limits = {})
        : contexts(n),
          seats(n),
          group(contexts, p, limits) {
        for (std::size_t i = 0; i != n; ++i) {
            seats[i].of = this;
            group[i].listen(pusher::testing::memory_params{&seats[i].port});
        }
    }
    group_script(const group_script&) = delete;
    group_script& operator=(const group_script&) = delete;

    /// Lets one broker do what it can do now. \return how much that was
    std::size_t run(std::size_t i) {
        contexts[i].restart();
        return contexts[i].poll();
    }
    /// Runs until nothing is left to do but to wait.
    void run() {
        for (bool any = true; any;) {
            any = false;
            for (std::size_t i = 0; i != contexts.size(); ++i)
                any = run(i) != 0 || any;
        }
    }

    /// A topic whose home a broker is.
    std::string topic_at(std::size_t i, const std::string& prefix = "h") {
        for (int n = 0;; ++n)
            if (auto topic = prefix + std::to_string(n); &group.home(topic) == &group[i])
                return topic;
    }

    std::deque<boost::asio::io_context> contexts;
    std::deque<seat> seats;
    group_type group;
};

using group_client = basic_client<group_script::seat>;

} // namespace test
