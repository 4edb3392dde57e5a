// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The core against a model of it, by random schedules in virtual time. A schedule is determined by its seed,
// with every compiler: `PUSHER_SEED=123 simulation_tests "simulation: ..."` replays one and prints its steps,
// and `PUSHER_SEEDS=5000` runs more than the fixed number of them.
//
// world.hpp drives the core and writes down what happens, down to the bytes that each connection takes.
// model.hpp goes through the same with plain lists and says what must have come of it; after every step both
// must agree, in all that subscribers, publishers and observers can see. schedule.hpp makes up the steps.

#include "catch.hpp"
#include "log.hpp"
#include "schedule.hpp"

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

using namespace simulation;

namespace {

const char* current_theme = "";
std::uint64_t current_seed = 0;

[[maybe_unused]] void tell_seed() {
    std::fprintf(
        stderr, "replay with: PUSHER_SEED=%llu simulation_tests \"%s\"\n",
        static_cast<unsigned long long>(current_seed), current_theme);
}

std::uint64_t number_in(const char* variable) {
    const auto* const text = std::getenv(variable);
    return text ? std::strtoull(text, nullptr, 10) : 0;
}

void run(const char* name, const theme& t, std::uint64_t seeds) {
    current_theme = name;
#ifdef PUSHER_TEST_SANITIZED
    __sanitizer_set_death_callback(&tell_seed);
#endif
    const auto one = number_in("PUSHER_SEED");
    if (const auto more = number_in("PUSHER_SEEDS"); more != 0)
        seeds = more;
    for (auto seed = one == 0 ? 1 : one; seed <= (one == 0 ? seeds : one); ++seed) {
        current_seed = seed;
        INFO("replay with: PUSHER_SEED=" << seed << " simulation_tests \"" << name << "\"");
        std::string failure;
        std::size_t steps = 0;
        schedule s(t, seed, one != 0);
        try {
            s.run();
        } catch (const mismatch& m) {
            failure = m.what();
            steps = s.steps();
        }
        INFO("at step " << steps);
        REQUIRE(failure == "");
    }
}

} // namespace

TEST_CASE("simulation: handlers", "[simulation]") {
    theme t;
    t.weights = {{command::kind::publish, 30},   {command::kind::broadcast, 4},   {command::kind::push, 4},
                 {command::kind::subscribe, 20}, {command::kind::unsubscribe, 8}, {command::kind::handler, 6},
                 {command::kind::session, 2},    {command::kind::remove, 3},      {command::kind::bind, 4},
                 {command::kind::flush, 10}};
    t.reactions = 50;
    t.histories = 40;
    t.wide = 100;
    run("simulation: handlers", t, 300);
}

TEST_CASE("simulation: slow connections", "[simulation]") {
    theme t;
    t.weights = {{command::kind::publish, 50},   {command::kind::broadcast, 3},   {command::kind::push, 3},
                 {command::kind::subscribe, 16}, {command::kind::unsubscribe, 4}, {command::kind::session, 3},
                 {command::kind::queue, 1},      {command::kind::handler, 1},     {command::kind::remove, 2},
                 {command::kind::bind, 2},       {command::kind::reply, 6},       {command::kind::room, 6},
                 {command::kind::writable, 15},  {command::kind::take, 8},        {command::kind::flush, 20}};
    t.histories = 20;
    t.wide = 20;
    t.datagrams = true;
    run("simulation: slow connections", t, 300);
}

TEST_CASE("simulation: histories", "[simulation]") {
    theme t;
    t.weights = {{command::kind::publish, 40},   {command::kind::broadcast, 4},   {command::kind::push, 2},
                 {command::kind::subscribe, 30}, {command::kind::unsubscribe, 8}, {command::kind::session, 3},
                 {command::kind::queue, 2},      {command::kind::handler, 3},     {command::kind::remove, 2},
                 {command::kind::reply, 3},      {command::kind::writable, 10},   {command::kind::take, 8},
                 {command::kind::flush, 20},     {command::kind::advance, 8}};
    t.histories = 100;
    run("simulation: histories", t, 300);
}

TEST_CASE("simulation: links that come and go", "[simulation]") {
    theme t;
    t.weights = {
        {command::kind::publish, 40},   {command::kind::broadcast, 4},   {command::kind::push, 2},
        {command::kind::subscribe, 16}, {command::kind::unsubscribe, 4}, {command::kind::session, 4},
        {command::kind::handler, 1},    {command::kind::remove, 2},      {command::kind::reply, 8},
        {command::kind::room, 6},       {command::kind::writable, 12},   {command::kind::attach, 8},
        {command::kind::detach, 6},     {command::kind::flush, 20},      {command::kind::advance, 2}};
    t.wide = 40;
    t.forms = 3;
    t.datagrams = true;
    run("simulation: links that come and go", t, 300);
}

TEST_CASE("simulation: everything", "[simulation]") {
    theme t;
    t.weights = {
        {command::kind::publish, 50},   {command::kind::broadcast, 5},   {command::kind::push, 5},
        {command::kind::subscribe, 25}, {command::kind::unsubscribe, 8}, {command::kind::session, 3},
        {command::kind::queue, 2},      {command::kind::handler, 3},     {command::kind::remove, 4},
        {command::kind::bind, 3},       {command::kind::reply, 6},       {command::kind::room, 6},
        {command::kind::writable, 10},  {command::kind::attach, 3},      {command::kind::detach, 2},
        {command::kind::take, 8},       {command::kind::flush, 18},      {command::kind::advance, 5}};
    t.steps = 250;
    t.forms = 3;
    t.datagrams = true;
    run("simulation: everything", t, 300);
}
