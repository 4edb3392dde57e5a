// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Boost.JSON as the judge of what is JSON, and of what it says: both parsers' events, written as one text
// each.

#include <pusher/dialect/json_reader.hpp>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace json_oracle {

enum class verdict { valid, invalid, out_of_range };

struct events {
    verdict is = verdict::invalid;
    std::string text;
};

namespace json = boost::json;

class handler {
public:
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

    bool on_document_begin(boost::system::error_code&) { return true; }
    bool on_document_end(boost::system::error_code&) { return true; }
    bool on_object_begin(boost::system::error_code&) { return add("{"); }
    bool on_object_end(std::size_t, boost::system::error_code&) { return add("}"); }
    bool on_array_begin(boost::system::error_code&) { return add("["); }
    bool on_array_end(std::size_t, boost::system::error_code&) { return add("]"); }
    bool on_key_part(json::string_view s, std::size_t, boost::system::error_code&) { return keep(s); }
    bool on_key(json::string_view s, std::size_t, boost::system::error_code&) {
        return keep(s) && flush("k");
    }
    bool on_string_part(json::string_view s, std::size_t, boost::system::error_code&) { return keep(s); }
    bool on_string(json::string_view s, std::size_t, boost::system::error_code&) {
        return keep(s) && flush("s");
    }
    bool on_number_part(json::string_view s, boost::system::error_code&) { return keep(s); }
    bool on_int64(std::int64_t, json::string_view s, boost::system::error_code&) {
        return keep(s) && flush("n");
    }
    bool on_uint64(std::uint64_t, json::string_view s, boost::system::error_code&) {
        return keep(s) && flush("n");
    }
    bool on_double(double, json::string_view s, boost::system::error_code&) { return keep(s) && flush("n"); }
    bool on_bool(bool b, boost::system::error_code&) { return add(b ? "t" : "f"); }
    bool on_null(boost::system::error_code&) { return add("0"); }
    bool on_comment_part(json::string_view, boost::system::error_code&) { return true; }
    bool on_comment(json::string_view, boost::system::error_code&) { return true; }

    std::string out;

private:
    bool add(const char* event) {
        out += event;
        return true;
    }
    bool keep(json::string_view s) {
        part_.append(s.data(), s.size());
        return true;
    }
    bool flush(const char* event) {
        out += event + std::to_string(part_.size()) + ':' + part_;
        part_.clear();
        return true;
    }

    std::string part_;
};

inline events of_boost(std::string_view text, std::size_t max_depth) {
    json::parse_options options;
    options.max_depth = max_depth;
    json::basic_parser<handler> parser(options);
    boost::system::error_code ec;
    const auto taken = parser.write_some(false, text.data(), text.size(), ec);
    // Numbers that no double can hold are no fault of the text's.
    if (ec == json::error::exponent_overflow)
        return {verdict::out_of_range, {}};
    if (ec || taken != text.size())
        return {verdict::invalid, {}};
    return {verdict::valid, parser.handler().out};
}

inline void walk(pusher::json_reader& reader, std::string& out) {
    auto sized = [&out](const char* event, std::string_view s) {
        out += event + std::to_string(s.size()) + ':';
        out += s;
    };
    pusher::json_value v;
    std::string_view name;
    switch (reader.peek()) {
    case pusher::json_kind::object:
        out += '{';
        reader.enter_object();
        while (reader.next_member(name)) {
            sized("k", name);
            walk(reader, out);
        }
        out += '}';
        return;
    case pusher::json_kind::array:
        out += '[';
        reader.enter_array();
        while (reader.next_element())
            walk(reader, out);
        out += ']';
        return;
    default: break;
    }
    if (!reader.read(v))
        return;
    switch (v.kind) {
    case pusher::json_kind::string: sized("s", v.text); break;
    case pusher::json_kind::number: sized("n", v.source); break;
    case pusher::json_kind::boolean: out += v.source == "true" ? 't' : 'f'; break;
    default: out += '0'; break;
    }
}

/// What `json_reader` sees, going into every array and object.
inline events of_reader(std::string_view text, std::size_t max_depth) {
    events e;
    std::string scratch;
    pusher::json_reader reader(text, max_depth, scratch);
    walk(reader, e.text);
    e.is = reader.finish() ? verdict::valid : verdict::invalid;
    return e;
}

/// Whether `json_reader` takes the whole text without going into it.
inline bool skips(std::string_view text, std::size_t max_depth) {
    std::string scratch;
    pusher::json_reader reader(text, max_depth, scratch);
    return reader.skip() && reader.finish();
}

/// What differs between Boost.JSON and `json_reader`; empty: nothing. `text` must be UTF-8.
inline std::string difference(std::string_view text, std::size_t max_depth = 32) {
    const auto theirs = of_boost(text, max_depth);
    const auto ours = of_reader(text, max_depth);
    if (skips(text, max_depth) != (ours.is == verdict::valid))
        return "skip and read disagree";
    if (theirs.is == verdict::out_of_range)
        return {};
    if (theirs.is != ours.is)
        return theirs.is == verdict::valid ? "a valid text is refused" : "an invalid text is taken";
    if (theirs.is == verdict::valid && theirs.text != ours.text)
        return "other events: " + theirs.text + " and " + ours.text;
    return {};
}

} // namespace json_oracle
