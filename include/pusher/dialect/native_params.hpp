// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/utf8.hpp>
#include <pusher/detail/wire_id.hpp>
#include <pusher/dialect/json_reader.hpp>
#include <pusher/error.hpp>
#include <pusher/message.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/publish_options.hpp>
#include <pusher/topic.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// The parameters of the native dialect's requests: what they are, and how they are read and checked.

namespace pusher::inline v0 {

/// What a request may measure.
struct native_limits {
    std::size_t request = 64 * 1024; ///< bytes; at least 1
    std::size_t depth = 32;       ///< arrays and objects within each other, the outermost included; 1 to 64
    std::size_t publishes = 1024; ///< messages in one body of `POST /publish`; at least 1
};

struct native_subscribe {
    std::string_view topic; ///< or filter
    std::string_view type;  ///< empty: all types
    match_mode match = match_mode::exact;
    std::optional<topic_position> resume;
    std::uint64_t history = 0; ///< this many of the last messages
    bool ack = false;
    std::optional<overflow_policy> overflow;
    std::string_view durable; ///< empty: not durable
    bool echo = true;
};

struct native_publish {
    std::string_view topic;
    std::string_view type;
    std::string_view payload; ///< a string's value, or any other value's exact source text
    std::string_view key;     ///< at most 255 bytes, as the id
    std::string_view id;
    std::optional<std::uint64_t> ttl; ///< milliseconds; 0: it does not expire

    /// Only if it is not refused.
    [[nodiscard]] std::chrono::milliseconds time_to_live() const noexcept {
        return std::chrono::milliseconds(ttl.value_or(0));
    }
};

struct native_ack {
    std::string_view topic;
    std::uint64_t offset = 0;
};

/// See `native_refusal(const native_request&)`.
[[nodiscard]] inline std::string_view native_refusal(const native_subscribe& s) noexcept {
    if (s.ack && s.match == match_mode::filter)
        return "params.ack needs an exact topic: what is acknowledged is an offset in one topic";
    if (s.ack && s.overflow && drops(*s.overflow))
        return "params.ack goes with the overflow \"spill\" or \"disconnect\" only: nothing of it is dropped";
    if (!s.durable.empty() && !s.ack)
        return "params.durable needs params.ack: it goes on after what was acknowledged";
    if (s.resume && s.match == match_mode::filter)
        return "params.resume needs an exact topic: an offset counts within one topic";
    if (s.history != 0 && s.match == match_mode::filter)
        return "params.history needs an exact topic: it is kept for one topic";
    if (s.resume && s.history != 0)
        return "params.resume and params.history exclude each other";
    return {};
}

/// See `native_refusal(const native_request&)`.
[[nodiscard]] inline std::string_view native_refusal(const native_publish& p) noexcept {
    return p.ttl && *p.ttl > static_cast<std::uint64_t>(max_ttl.count())
               ? "params.ttl is over 8640000000: that is 100 days in milliseconds"
               : std::string_view();
}

namespace detail {

[[nodiscard]] inline std::string_view kind_name(json_kind kind) noexcept {
    switch (kind) {
    case json_kind::null: return "null";
    case json_kind::boolean: return "a boolean";
    case json_kind::number: return "a number";
    case json_kind::string: return "a string";
    case json_kind::array: return "an array";
    case json_kind::object: return "an object";
    case json_kind::absent: break;
    }
    return "nothing";
}

/// What keeps `text` from being a name, to go after the field's; empty: nothing.
[[nodiscard]] inline std::string_view name_fault(std::string_view text) noexcept {
    if (text.size() > max_topic_size)
        return "is longer than 255 bytes";
    if (is_name(text))
        return {};
    return is_valid_utf8(text) ? "holds a control character" : "is not valid UTF-8";
}

[[nodiscard]] inline std::string_view topic_fault(std::string_view text, match_mode match) noexcept {
    if (match == match_mode::filter ? is_valid_filter(text) : is_valid_topic(text))
        return {};
    if (text.empty())
        return "must not be empty";
    const auto fault = name_fault(text);
    return !fault.empty() ? fault
                          : "is not a filter: + and # must stand alone between slashes, # only at the end, "
                            "at most 32 levels";
}

[[nodiscard]] inline std::string_view type_fault(std::string_view text) noexcept {
    if (is_valid_type(text))
        return {};
    const auto fault = name_fault(text);
    return !fault.empty() ? fault : "must not begin with \"pusher.\"";
}

/// Where text that is not UTF-8 stops being it.
[[nodiscard]] inline std::size_t first_invalid_utf8(std::string_view text) noexcept {
    utf8_validator v;
    for (std::size_t i = 0; i != text.size(); ++i)
        if (!v.feed(text.substr(i, 1)))
            return i;
    return text.size();
}

/// At most 64 bytes of what a peer sent, cut at a character, for quoting it in an error message.
[[nodiscard]] inline std::string_view clipped(std::string_view text) noexcept {
    std::size_t size = std::min<std::size_t>(text.size(), 64);
    while (size != text.size() && size != 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80)
        --size;
    return text.substr(0, size);
}

/// The fields of `params`, of all actions.
struct native_field {
    enum index : std::size_t {
        topic,
        type,
        match,
        resume,
        history,
        ack,
        overflow,
        durable,
        echo,
        payload,
        key,
        id,
        ttl,
        token,
        offset,
        named, ///< so many are fields of `params` itself
        resume_epoch = named,
        resume_offset,
        count
    };
    static constexpr std::array<std::string_view, count> names{
        "topic",   "type", "match", "resume", "history", "ack",    "overflow",     "durable",      "echo",
        "payload", "key",  "id",    "ttl",    "token",   "offset", "resume.epoch", "resume.offset"};

    using set = std::uint32_t;

    template <class... Index>
    static constexpr set of(Index... f) noexcept {
        return ((set{1} << f) | ...);
    }
};

/// Reads the fields of one `params` object, then hands them out checked. The first error found stays.
///
/// They are first read and then checked, because `params` may come before the `action` that says which of its
/// fields mean something.
class native_params {
public:
    /// \param prefix goes before a field's name in error messages; it must outlive this object.
    explicit native_params(std::string_view prefix) noexcept : prefix_(prefix) {}

    void clear() noexcept {
        seen_ = 0;
        duplicate_ = field::count;
        error_ = {};
        message_.clear();
    }

    /// Reads the object that is next; a fault is the reader's.
    void read(json_reader& reader) {
        reader.enter_object();
        std::string_view name;
        while (reader.next_member(name)) {
            const auto f = find(name, 0, field::named);
            if (f == field::resume && (seen_ & field::of(f)) == 0 && reader.peek() == json_kind::object) {
                seen_ |= field::of(f);
                values_[f].kind = json_kind::object;
                reader.enter_object();
                while (reader.next_member(name))
                    keep(find(name, field::named, field::count), reader);
            } else {
                keep(f, reader);
            }
        }
    }

    [[nodiscard]] error_code error() const noexcept { return error_; }
    [[nodiscard]] std::string_view message() const noexcept { return message_; }

    /// Notes an error, unless there is one already.
    template <class... Parts>
    error_code fail(errc e, const Parts&... parts) {
        if (!error_) {
            error_ = e;
            (message_.append(std::string_view(parts)), ...);
        }
        return error_;
    }

    error_code malformed(const json_reader& reader, std::size_t max_depth) {
        const auto at = std::to_string(reader.position());
        if (reader.too_deep())
            return fail(
                errc::invalid_message, "JSON nested deeper than ", std::to_string(max_depth),
                " levels (byte ", at, ")");
        return fail(errc::invalid_message, "malformed JSON at byte ", at, ": ", reader.fault());
    }

    /// For actions without parameters.
    void nothing(std::string_view action) { only(0, action); }

    [[nodiscard]] std::string_view auth() {
        only(field::of(field::token), "auth");
        return text(field::token, required);
    }

    [[nodiscard]] native_subscribe subscribe() {
        only(of_subscribe, "subscribe");
        native_subscribe s;
        s.match = match();
        s.topic = topic(s.match);
        s.type = type();
        s.resume = resume();
        s.history = number(field::history, optional);
        s.ack = boolean(field::ack, false);
        s.overflow = overflow();
        s.durable = short_text(field::durable);
        if (has(field::durable) && s.durable.empty())
            wrong(field::durable, errc::invalid_message, "must not be empty");
        s.echo = boolean(field::echo, true);
        return s;
    }

    /// Whatever can't have been subscribed to is simply not there: only the kinds of the fields are checked.
    [[nodiscard]] native_subscribe unsubscribe() {
        only(of_subscribe, "unsubscribe");
        native_subscribe s;
        s.match = match();
        s.topic = text(field::topic, required);
        s.type = text(field::type, optional);
        return s;
    }

    [[nodiscard]] native_publish publish() {
        only(of_publish, "publish");
        native_publish p;
        p.topic = topic(match_mode::exact);
        p.type = type();
        const auto& v = values_[field::payload];
        if ((seen_ & field::of(field::payload)) == 0)
            wrong(field::payload, errc::invalid_message, "is missing");
        else
            p.payload = v.kind == json_kind::string ? v.text : v.source;
        p.key = short_text(field::key);
        p.id = short_text(field::id);
        if (has(field::ttl))
            p.ttl = number(field::ttl, optional, "a whole number from 0 to 8640000000, which is 100 days");
        return p;
    }

    [[nodiscard]] native_ack ack() {
        only(field::of(field::topic, field::offset), "ack");
        native_ack a;
        a.topic = topic(match_mode::exact);
        a.offset = number(field::offset, required);
        return a;
    }

private:
    using field = native_field;
    using field_set = native_field::set;

    static constexpr field_set of_subscribe = field::of(
        field::topic, field::type, field::match, field::resume, field::history, field::ack, field::overflow,
        field::durable, field::echo);
    static constexpr field_set of_publish =
        field::of(field::topic, field::type, field::payload, field::key, field::id, field::ttl);

    static constexpr bool required = true;
    static constexpr bool optional = false;

    /// The field of that name among [from, to); `count` if there is none.
    static std::size_t find(std::string_view name, std::size_t from, std::size_t to) noexcept {
        for (auto f = from; f != to; ++f) {
            auto known = field::names[f];
            if (from != 0)
                known.remove_prefix(known.find('.') + 1);
            if (known == name)
                return f;
        }
        return field::count;
    }

    void keep(std::size_t f, json_reader& reader) {
        if (f == field::count) {
            reader.skip();
        } else if ((seen_ & field::of(f)) != 0) {
            duplicate_ = f;
            reader.skip();
        } else {
            seen_ |= field::of(f);
            reader.read(values_[f]);
        }
    }

    /// Whether the field is there. Null counts as left out.
    [[nodiscard]] bool has(std::size_t f) const noexcept {
        return (seen_ & field::of(f)) != 0 && values_[f].kind != json_kind::null;
    }

    /// Refuses every field that the action does not know. Topic and type may always be there: nbio's clients
    /// have one form of request for every action.
    void only(field_set known, std::string_view action) {
        if (duplicate_ != field::count)
            wrong(duplicate_, errc::invalid_message, "is there twice");
        known |= field::of(field::topic, field::type);
        if ((seen_ & ~known) == 0)
            return;
        for (std::size_t f = 0; f != field::named; ++f)
            if ((known & field::of(f)) == 0 && has(f))
                wrong(f, errc::unsupported, "is not a parameter of ", action);
    }

    template <class... Parts>
    void wrong(std::size_t f, errc e, const Parts&... parts) {
        fail(e, prefix_, field::names[f], " ", parts...);
    }

    /// Whether the field is there and of that kind; `expected` is what the error message asks for.
    bool check(std::size_t f, bool needed, json_kind kind, std::string_view expected) {
        if (!has(f)) {
            if (needed)
                wrong(f, errc::invalid_message, "is missing");
            return false;
        }
        if (values_[f].kind == kind)
            return true;
        wrong(f, errc::invalid_message, "must be ", expected, ", not ", kind_name(values_[f].kind));
        return false;
    }

    std::string_view text(std::size_t f, bool needed) {
        return check(f, needed, json_kind::string, "a string") ? values_[f].text : std::string_view();
    }

    std::string_view short_text(std::size_t f) {
        const auto t = text(f, optional);
        if (t.size() > max_topic_size)
            wrong(f, errc::invalid_message, "is longer than 255 bytes");
        return t;
    }

    bool boolean(std::size_t f, bool otherwise) {
        return check(f, optional, json_kind::boolean, "true or false") ? values_[f].source == "true"
                                                                       : otherwise;
    }

    std::uint64_t number(
        std::size_t f, bool needed,
        std::string_view expected = "a whole number from 0 to 18446744073709551615") {
        if (!check(f, needed, json_kind::number, expected))
            return 0;
        const auto n = parse_whole_number(values_[f].source);
        if (!n)
            wrong(f, errc::invalid_message, "must be ", expected, ", not ", clipped(values_[f].source));
        return n.value_or(0);
    }

    std::string_view topic(match_mode m) {
        const auto t = text(field::topic, required);
        if (const auto fault = topic_fault(t, m); !fault.empty())
            wrong(field::topic, m == match_mode::filter ? errc::invalid_filter : errc::invalid_topic, fault);
        return t;
    }

    std::string_view type() {
        const auto t = text(field::type, optional);
        if (const auto fault = type_fault(t); !fault.empty())
            wrong(field::type, errc::invalid_type, fault);
        return t;
    }

    match_mode match() {
        const auto m = text(field::match, optional);
        if (m == "filter")
            return match_mode::filter;
        if (has(field::match) && m != "exact")
            wrong(
                field::match, errc::invalid_message, "must be \"exact\" or \"filter\", not \"", clipped(m),
                "\"");
        return match_mode::exact;
    }

    std::optional<overflow_policy> overflow() {
        const auto o = text(field::overflow, optional);
        if (!has(field::overflow))
            return std::nullopt;
        const auto known = to_overflow_policy(o);
        if (!known)
            wrong(
                field::overflow, errc::invalid_message,
                "must be drop_oldest, drop_newest, disconnect, conflate or spill, not \"", clipped(o), "\"");
        return known;
    }

    std::optional<topic_position> resume() {
        if (!check(field::resume, optional, json_kind::object, "an object with epoch and offset"))
            return std::nullopt;
        const auto text_of_epoch = text(field::resume_epoch, required);
        const auto epoch = parse_epoch(text_of_epoch);
        if (!epoch)
            wrong(
                field::resume_epoch, errc::invalid_message,
                "must be the 16 hexadecimal digits of a push or reply, not \"", clipped(text_of_epoch), "\"");
        return topic_position{epoch.value_or(0), number(field::resume_offset, required)};
    }

    std::string_view prefix_;
    field_set seen_ = 0;
    std::size_t duplicate_ = field::count;
    std::array<json_value, field::count> values_{}; ///< those not in `seen_` are left from earlier
    error_code error_;
    std::string message_;
};

} // namespace detail
} // namespace pusher::inline v0
