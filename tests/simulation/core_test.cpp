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
#include "seeds.hpp"

#include <cstdint>
#include <string>

using namespace simulation;

namespace {

std::string run(const std::string& name, const theme& t, std::uint64_t seeds) {
    return for_each_seed(name, seeds, [&](std::uint64_t seed, bool print) {
        schedule s(t, seed, print);
        try {
            s.run();
        } catch (const mismatch& m) {
            throw mismatch("step " + std::to_string(s.steps()) + ": " + m.what());
        }
    });
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
    CHECK(run("simulation: handlers", t, 70) == "");
}

TEST_CASE("simulation: slow connections", "[simulation]") {
    theme t;
    t.weights = {{command::kind::publish, 50},   {command::kind::broadcast, 3},   {command::kind::push, 3},
                 {command::kind::subscribe, 16}, {command::kind::unsubscribe, 4}, {command::kind::session, 3},
                 {command::kind::queue, 1},      {command::kind::handler, 1},     {command::kind::remove, 2},
                 {command::kind::bind, 2},       {command::kind::reply, 6},       {command::kind::room, 6},
                 {command::kind::writable, 15},  {command::kind::take, 8},        {command::kind::flush, 20},
                 {command::kind::advance, 6}};
    t.histories = 20;
    t.wide = 20;
    t.datagrams = true;
    CHECK(run("simulation: slow connections", t, 70) == "");
}

TEST_CASE("simulation: histories", "[simulation]") {
    theme t;
    t.weights = {{command::kind::publish, 40},   {command::kind::broadcast, 4},   {command::kind::push, 2},
                 {command::kind::subscribe, 30}, {command::kind::unsubscribe, 8}, {command::kind::session, 3},
                 {command::kind::queue, 2},      {command::kind::handler, 3},     {command::kind::remove, 2},
                 {command::kind::reply, 3},      {command::kind::writable, 10},   {command::kind::take, 8},
                 {command::kind::flush, 20},     {command::kind::watch, 2},       {command::kind::excuse, 2},
                 {command::kind::advance, 8}};
    t.histories = 100;
    CHECK(run("simulation: histories", t, 70) == "");
}

TEST_CASE("simulation: links that come and go", "[simulation]") {
    theme t;
    t.weights = {{command::kind::publish, 40},   {command::kind::broadcast, 4},   {command::kind::push, 2},
                 {command::kind::subscribe, 16}, {command::kind::unsubscribe, 4}, {command::kind::session, 4},
                 {command::kind::handler, 1},    {command::kind::remove, 2},      {command::kind::reply, 8},
                 {command::kind::room, 6},       {command::kind::writable, 12},   {command::kind::attach, 8},
                 {command::kind::detach, 6},     {command::kind::flush, 20},      {command::kind::watch, 2},
                 {command::kind::excuse, 2},     {command::kind::advance, 2}};
    t.wide = 40;
    t.forms = 3;
    t.datagrams = true;
    CHECK(run("simulation: links that come and go", t, 70) == "");
}

TEST_CASE("simulation: at least once", "[simulation]") {
    theme t;
    t.weights = {
        {command::kind::publish, 50},     {command::kind::broadcast, 3},   {command::kind::push, 2},
        {command::kind::subscribe, 20},   {command::kind::unsubscribe, 5}, {command::kind::session, 3},
        {command::kind::queue, 3},        {command::kind::handler, 1},     {command::kind::remove, 2},
        {command::kind::reply, 3},        {command::kind::room, 3},        {command::kind::writable, 10},
        {command::kind::attach, 2},       {command::kind::detach, 2},      {command::kind::take, 10},
        {command::kind::acknowledge, 20}, {command::kind::repeat, 8},      {command::kind::flush, 20},
        {command::kind::advance, 10}};
    t.histories = 100;
    t.acknowledging = 60;
    t.forms = 3;
    t.datagrams = true;
    CHECK(run("simulation: at least once", t, 70) == "");
}

TEST_CASE("simulation: everything", "[simulation]") {
    theme t;
    t.weights = {
        {command::kind::publish, 50},    {command::kind::broadcast, 5},   {command::kind::push, 5},
        {command::kind::subscribe, 25},  {command::kind::unsubscribe, 8}, {command::kind::session, 3},
        {command::kind::queue, 2},       {command::kind::handler, 3},     {command::kind::remove, 4},
        {command::kind::bind, 3},        {command::kind::reply, 6},       {command::kind::room, 6},
        {command::kind::writable, 10},   {command::kind::attach, 3},      {command::kind::detach, 2},
        {command::kind::take, 8},        {command::kind::flush, 18},      {command::kind::advance, 5},
        {command::kind::acknowledge, 5}, {command::kind::repeat, 3}};
    t.acknowledging = 15;
    t.steps = 250;
    t.forms = 3;
    t.datagrams = true;
    CHECK(run("simulation: everything", t, 70) == "");
}

TEST_CASE("simulation: long turns and big messages", "[simulation]") {
    theme t;
    t.weights = {
        {command::kind::publish, 150},   {command::kind::broadcast, 5}, {command::kind::subscribe, 8},
        {command::kind::unsubscribe, 3}, {command::kind::session, 2},   {command::kind::remove, 1},
        {command::kind::reply, 4},       {command::kind::writable, 4},  {command::kind::flush, 2}};
    t.steps = 400;
    t.reactions = 5;
    t.generous = 50;
    t.filling = 6000;
    t.long_turns = true;
    t.datagrams = true;
    CHECK(run("simulation: long turns and big messages", t, 10) == "");
}
