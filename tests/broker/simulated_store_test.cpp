// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/testing/fail_count.hpp>
#include <pusher/testing/simulated_store.hpp>
#include <pusher/testing/store_suite.hpp>

#include "catch.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

using pusher::errc;
using pusher::error_code;
using pusher::store_batch;
using pusher::testing::simulated_disk;
using pusher::testing::simulated_store;

TEST_CASE("simulated store: the suite of all stores") {
    const auto completes =
        GENERATE(simulated_disk::completion::at_once, simulated_disk::completion::when_told);
    for (const auto& each : pusher::testing::store_cases()) {
        INFO(each.name);
        std::map<std::string, simulated_disk> disks;
        CHECK_NOTHROW(each.run(
            {.make =
                 [&](const auto&, const std::string& place) {
                     return std::make_unique<simulated_store>(
                         disks.try_emplace(place, completes).first->second);
                 },
             .pump =
                 [&] {
                     for (auto& [place, disk] : disks)
                         disk.step();
                 }}));
    }
}

TEST_CASE("simulated store: operations are done when told, in order, and fail when told") {
    simulated_disk disk(simulated_disk::completion::when_told);
    simulated_store s(disk);
    std::string done;
    s.open([&](error_code ec, const pusher::store_contents&) { done += ec ? "bad " : "open "; });
    store_batch a;
    a.create_log("l", "m");
    s.commit(std::move(a), [&](error_code ec) { done += ec ? "bad " : "created "; });
    CHECK(disk.outstanding() == 2);
    CHECK(done.empty());
    pusher::testing::fail_count second(1, errc::store_full);
    disk.fail_by(&second);
    CHECK(disk.step());
    CHECK(done == "open ");
    CHECK(disk.step());
    CHECK(done == "open bad ");
    CHECK(!disk.step());
    CHECK(disk.contents().logs.empty());
}

TEST_CASE("simulated store: a crash keeps as much as it is told, and tells nobody") {
    simulated_disk disk(simulated_disk::completion::when_told);
    bool told = false;
    simulated_store s(disk);
    s.open([](error_code, const pusher::store_contents&) {});
    disk.step();
    for (const auto* const key : {"a", "b"}) {
        store_batch b;
        b.put(key, "v");
        s.commit(std::move(b), [&](error_code) { told = true; });
    }
    disk.crash(1);
    CHECK(!disk.step());
    store_batch late;
    late.put("c", "v");
    s.commit(std::move(late), [&](error_code) { told = true; });
    CHECK(!disk.step());
    simulated_store next(disk);
    std::optional<pusher::store_contents> found;
    next.open([&](error_code ec, const pusher::store_contents& c) {
        CHECK(!ec);
        found = c;
    });
    disk.step();
    REQUIRE(found);
    CHECK(found->values == std::vector<std::pair<std::string, std::string>>{{"a", "v"}});
    CHECK(!told);
}
