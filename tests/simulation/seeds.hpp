// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "catch.hpp"
#include "model.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PUSHER_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PUSHER_TEST_SANITIZED
#endif
#endif
#ifdef PUSHER_TEST_SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

namespace simulation {

inline std::string replay_command; ///< for the seed that is running

inline std::uint64_t number_in(const char* variable) {
    const auto* const text = std::getenv(variable);
    return text ? std::strtoull(text, nullptr, 10) : 0;
}

/// Runs a test with the seeds from 1 to `seeds`, or with those that the environment asks for, until one
/// fails.
/// \param test called with a seed, and whether to print what it does. It throws `mismatch`.
/// \return what failed, and how to replay it; empty if nothing did.
template <class F>
std::string for_each_seed(const std::string& test_name, std::uint64_t seeds, F&& test) {
#ifdef PUSHER_TEST_SANITIZED
    __sanitizer_set_death_callback([] { std::fprintf(stderr, "replay with: %s\n", replay_command.c_str()); });
#endif
    const auto one = number_in("PUSHER_SEED");
    if (const auto more = number_in("PUSHER_SEEDS"); more != 0)
        seeds = more;
    for (auto seed = one == 0 ? 1 : one; seed <= (one == 0 ? seeds : one); ++seed) {
        replay_command = "PUSHER_SEED=" + std::to_string(seed) + " simulation_tests \"" + test_name + "\"";
        INFO("replay with: " << replay_command); // for a crash
        try {
            test(seed, one != 0);
        } catch (const mismatch& m) {
            return std::string(m.what()) + "\nreplay with: " + replay_command;
        }
    }
    return {};
}

} // namespace simulation
