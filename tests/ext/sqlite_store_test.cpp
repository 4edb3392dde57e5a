// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/ext/sqlite_store.hpp>
#include <pusher/testing/store_suite.hpp>

#include "catch.hpp"
#include "sqlite_support.hpp"

#include <memory>
#include <string>

// What a SQLite store is asked, and what it says.

namespace {

using namespace test;

} // namespace

TEST_CASE("sqlite store: the suite of all stores") {
    const temporary_folder folder;
    for (const auto& each : pusher::testing::store_cases()) {
        INFO(each.name);
        CHECK_NOTHROW(each.run({.make = [&](const auto& executor, const std::string& place) {
            return std::make_unique<pusher::sqlite_store>(
                executor, pusher::sqlite_params{.file = folder / place});
        }}));
    }
}
