// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/stored_record.hpp>

#include "require.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// Input: how many messages should be in the record, in one byte, and the record.

using namespace pusher;
using namespace pusher::detail;

namespace {

struct kept {
    stored_message message;
    std::vector<header> headers;
};

bool same(const kept& a, const kept& b) {
    const auto& f = a.message.fields;
    const auto& g = b.message.fields;
    bool equal = a.message.order == b.message.order && a.message.ttl == b.message.ttl &&
                 a.message.by.what == b.message.by.what && a.message.by.uid == b.message.by.uid &&
                 a.message.everyone == b.message.everyone && f.type == g.type && f.key == g.key &&
                 f.id == g.id && f.payload == g.payload && a.headers.size() == b.headers.size();
    for (std::size_t i = 0; equal && i != a.headers.size(); ++i)
        equal = a.headers[i].name == b.headers[i].name && a.headers[i].value == b.headers[i].value;
    return equal;
}

std::vector<kept> all_of(record_reader& reader) {
    std::vector<kept> all;
    stored_message m;
    while (reader.next(m))
        all.push_back({m, {m.fields.headers.begin(), m.fields.headers.end()}});
    return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    record_reader reader(bytes, data[0]);
    const auto all = all_of(reader);
    require(all.size() <= data[0], "no more messages than there should be");
    std::uint64_t order = 0;
    for (const auto& k : all) {
        const auto& m = k.message;
        require(&k == &all.front() || m.order > order, "the order grows");
        order = m.order;
        require(order <= record_format::max_order, "and not without end");
        require(m.fields.type.empty() || is_valid_type(m.fields.type), "a type is one");
        require(m.fields.key.size() <= 255 && m.fields.id.size() <= 255, "key and id have their limits");
        require(m.ttl.count() >= 0 && m.ttl <= max_ttl, "the time to live has its limits");
    }
    if (reader.error())
        return 0;
    require(all.size() == data[0], "without an error all messages are there");
    if (all.empty())
        return 0;

    // Written anew, it says the same.
    record_writer writer(reader.received(), all.front().message.order);
    for (const auto& k : all) {
        auto m = k.message;
        m.fields.headers = k.headers;
        writer.add(m);
    }
    require(writer.count() == all.size(), "the writer counts");
    const auto again = writer.take();
    record_reader second(again, data[0]);
    const auto read = all_of(second);
    require(!second.error() && second.received() == reader.received(), "what was written can be read");
    require(read.size() == all.size(), "all of it");
    for (std::size_t i = 0; i != all.size(); ++i)
        require(same(all[i], read[i]), "and means the same");
    return 0;
}
