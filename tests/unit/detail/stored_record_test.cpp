// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/stored_record.hpp>

#include "catch.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

using namespace pusher;
using namespace pusher::detail;

namespace {

const wall_time then{std::chrono::seconds(1'700'000'000)};

std::string record() {
    const std::vector<header> headers{{"a", "1"}, {"", ""}};
    record_writer w(then, 1000);
    stored_message m;
    m.order = 1000;
    m.fields.payload = "plain";
    w.add(m);
    m.order = 1300; // others' were between
    m.fields.type = "type";
    m.fields.key = "key";
    m.fields.id = "id";
    m.fields.headers = headers;
    m.ttl = max_ttl;
    m.by = {id_owner::kind::user, "ann"};
    m.everyone = true;
    w.add(m);
    REQUIRE(w.count() == 2);
    return w.take();
}

/// What reading to the end comes to.
error_code read(std::string_view bytes, std::uint32_t count) {
    record_reader r(bytes, count);
    stored_message m;
    while (r.next(m)) {
    }
    return r.error();
}

} // namespace

TEST_CASE("stored record: what is written can be read", "[store]") {
    const auto bytes = record();
    record_reader r(bytes, 2);
    REQUIRE(!r.error());
    CHECK(r.received() == then);
    stored_message m;
    REQUIRE(r.next(m));
    CHECK(m.order == 1000);
    CHECK(m.fields.payload == "plain");
    CHECK(m.fields.headers.empty());
    CHECK(m.ttl.count() == 0);
    CHECK(m.by.what == id_owner::kind::host);
    CHECK(!m.everyone);
    REQUIRE(r.next(m));
    CHECK(m.order == 1300);
    CHECK(m.fields.type == "type");
    CHECK(m.fields.key == "key");
    CHECK(m.fields.id == "id");
    REQUIRE(m.fields.headers.size() == 2);
    CHECK(m.fields.headers[0].value == "1");
    CHECK(m.ttl == max_ttl);
    CHECK(m.by.what == id_owner::kind::user);
    CHECK(m.by.uid == "ann");
    CHECK(m.everyone);
    CHECK(!r.next(m));
    CHECK(!r.error());
}

TEST_CASE("stored record: damage is an error, wherever it is", "[store]") {
    const auto whole = record();
    CHECK(!read(whole, 2));
    CHECK(read(whole, 1) == errc::store_corrupt);
    CHECK(read(whole, 3) == errc::store_corrupt);
    CHECK(read(whole + 'x', 2) == errc::store_corrupt);
    for (std::size_t size = 0; size != whole.size(); ++size)
        CHECK(read(whole.substr(0, size), 2) == errc::store_corrupt);
    auto other = whole;
    other[0] = '\2';
    CHECK(read(other, 2) == errc::store_foreign);
    // A number that does not end, or is too large.
    CHECK(read(whole.substr(0, 9) + std::string(20, '\xFF'), 1) == errc::store_corrupt);
    CHECK(read(whole.substr(0, 9) + std::string(9, '\xFF') + '\1', 1) == errc::store_corrupt);
}
