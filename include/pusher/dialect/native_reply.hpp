// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/base64.hpp>
#include <pusher/detail/rfc3339.hpp>
#include <pusher/detail/utf8.hpp>
#include <pusher/detail/wire_id.hpp>
#include <pusher/dialect/json_reader.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/dialect/native_params.hpp>
#include <pusher/error.hpp>
#include <pusher/gap.hpp>
#include <pusher/message.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// What a client reads in the native dialect: the other side of native_encode.hpp.

namespace pusher::inline v0 {

/// The last line of a session.
struct native_close {
    std::uint16_t code = 0;
    std::string_view reason = {};
    std::optional<std::chrono::milliseconds> retry = {}; ///< when to come back
};

/// One JSON object from the hub. All text is a view: see `native_reply_decoder`.
struct native_incoming {
    enum class kind : unsigned char { none, reply, push, gap, close, challenge };

    kind what = kind::none; ///< which of the following is filled in

    native_reply reply = {};
    int version = 0; ///< of a reply to hello: of the dialect

    /// A message that has no id of its publisher's has the hub's `<epoch>-<sequence>` as its id: a client
    /// can't tell them apart, and whoever looks for messages that came twice need not. `sequence` is not set.
    message::fields push = {};

    pusher::gap gap = {};
    native_close close = {};
    std::string_view cookie = {}; ///< of a challenge
};

/// When to come back, as the reason of a WebSocket close frame says it: `…; retry after 1500 ms`.
[[nodiscard]] inline std::optional<std::chrono::milliseconds>
native_retry_hint(std::string_view reason) noexcept {
    constexpr std::string_view before = "retry after ";
    constexpr std::string_view after = " ms";
    const auto at = reason.rfind(before);
    if (at == reason.npos || !reason.ends_with(after))
        return std::nullopt;
    reason.remove_prefix(at + before.size());
    if (reason.size() < after.size())
        return std::nullopt;
    reason.remove_suffix(after.size());
    const auto n = detail::parse_whole_number(reason);
    using rep = std::chrono::milliseconds::rep;
    if (!n || *n > static_cast<std::uint64_t>(std::numeric_limits<rep>::max()))
        return std::nullopt;
    return std::chrono::milliseconds(static_cast<rep>(*n));
}

namespace detail {

/// The fields that a hub writes, those of one object next to each other. A set of them is a mask of bits.
struct native_reply_field {
    enum index : std::size_t {
        topic,
        type,
        payload,
        encoding,
        meta,
        gap,
        request_id,
        action,
        status,
        error_message,
        timestamp,
        receipt,
        recovered,
        epoch,
        offset,
        version,
        session,
        limits,
        heartbeat,
        close,
        cookie,
        top_end,
        meta_receive_time = top_end,
        meta_message_id,
        meta_epoch,
        meta_offset,
        meta_end,
        gap_count = meta_end,
        gap_from,
        gap_to,
        gap_end,
        receipt_matched = gap_end,
        receipt_epoch,
        receipt_offset,
        receipt_repeated,
        receipt_end,
        limits_request = receipt_end,
        limits_depth,
        limits_topic,
        limits_filter_levels,
        limits_subscriptions,
        limits_outbox_messages,
        limits_outbox_bytes,
        limits_end,
        close_code = limits_end,
        close_reason,
        close_retry,
        close_end,
        count = close_end
    };

    static constexpr std::array<std::string_view, count> names{
        // one object
        "topic", "type", "payload", "encoding", "meta", "gap", "request_id", "action", "status",
        "error_message", "timestamp", "receipt", "recovered", "epoch", "offset", "version", "session",
        "limits", "heartbeat", "close", "cookie",
        // and those within it
        "meta.receive_time", "meta.message_id", "meta.epoch", "meta.offset",      //
        "gap.count", "gap.from", "gap.to",                                        //
        "receipt.matched", "receipt.epoch", "receipt.offset", "receipt.repeated", //
        "limits.request", "limits.depth", "limits.topic", "limits.filter_levels", "limits.subscriptions",
        "limits.outbox_messages", "limits.outbox_bytes", //
        "close.code", "close.reason", "close.retry"};

    struct nested {
        index parent, begin, end;
    };
    static constexpr std::array<nested, 5> objects{
        {{meta, meta_receive_time, meta_end},
         {gap, gap_count, gap_end},
         {receipt, receipt_matched, receipt_end},
         {limits, limits_request, limits_end},
         {close, close_code, close_end}}};

    static_assert(count <= 64);
    static constexpr std::uint64_t of(std::size_t f) noexcept { return std::uint64_t{1} << f; }
};

} // namespace detail

/// Decodes what the hub sends. It keeps its memory, so that in the steady state a message allocates nothing.
/// Not thread safe.
///
/// What the dialect leaves open is decided here:
/// - Unknown fields are ignored, so that a newer hub is understood; a field that is null counts as left out.
/// - A known field given twice, or of the wrong kind, makes the whole object invalid.
/// - A receive time that is not RFC 3339, or that the clock can't express, is left out: no reason to lose a
///   message.
/// - Topics are not checked: a hub knows better what its topics look like.
class native_reply_decoder {
public:
    /// Arrays and objects within each other, the outermost included; what a hub adds one day may be deep.
    static constexpr std::size_t max_depth = 32;

    /// Decodes one JSON object, without its framing.
    ///
    /// The views in `out` are valid until the next call, and as long as `text` is.
    ///
    /// \returns errc::invalid_utf8, errc::invalid_message, or errc::unsupported for a payload in an unknown
    /// encoding. Then `error_message` says what is wrong, and `out` is empty.
    /// \throws std::bad_alloc
    error_code decode(std::string_view text, native_incoming& out) {
        out = {};
        error_ = {};
        message_.clear();
        seen_ = 0;
        if (!detail::is_valid_utf8(text))
            return fail(errc::invalid_utf8, "not valid UTF-8");
        json_reader reader(text, max_depth, scratch_);
        if (reader.peek() == json_kind::object)
            read_object(reader);
        else if (reader.skip())
            fail(errc::invalid_message, "not a JSON object");
        reader.finish();
        if (reader.fault())
            fail(
                errc::invalid_message, "malformed JSON at byte ", std::to_string(reader.position()), ": ",
                reader.fault());
        if (!error_)
            interpret(out);
        if (error_)
            out = {};
        return error_;
    }

    /// What was wrong in the last call; empty if nothing was.
    [[nodiscard]] std::string_view error_message() const noexcept { return message_; }

private:
    using field = detail::native_reply_field;

    template <class... Parts>
    error_code fail(errc e, const Parts&... parts) {
        if (!error_) {
            error_ = e;
            (message_.append(std::string_view(parts)), ...);
        }
        return error_;
    }

    template <class... Parts>
    void wrong(std::size_t f, const Parts&... parts) {
        fail(errc::invalid_message, field::names[f], " ", parts...);
    }

    // ---- reading

    void read_object(json_reader& reader) {
        reader.enter_object();
        std::string_view name;
        while (reader.next_member(name)) {
            const auto f = find(name, 0, field::top_end, 0);
            const auto inside = object_at(f);
            if (inside && reader.peek() == json_kind::object && (seen_ & field::of(f)) == 0) {
                seen_ |= field::of(f);
                values_[f] = {};
                values_[f].kind = json_kind::object;
                const auto prefix = field::names[f].size() + 1;
                reader.enter_object();
                while (reader.next_member(name))
                    keep(find(name, inside->begin, inside->end, prefix), reader);
            } else {
                keep(f, reader);
            }
        }
    }

    static std::size_t
    find(std::string_view name, std::size_t begin, std::size_t end, std::size_t prefix) noexcept {
        for (auto f = begin; f != end; ++f)
            if (field::names[f].size() == prefix + name.size() && field::names[f].substr(prefix) == name)
                return f;
        return field::count;
    }

    static const field::nested* object_at(std::size_t f) noexcept {
        for (const auto& o : field::objects)
            if (o.parent == f)
                return &o;
        return nullptr;
    }

    void keep(std::size_t f, json_reader& reader) {
        if (f == field::count) {
            reader.skip();
            return;
        }
        if ((seen_ & field::of(f)) != 0)
            wrong(f, "is there twice");
        seen_ |= field::of(f);
        reader.read(values_[f]);
    }

    // ---- fields

    [[nodiscard]] bool has(std::size_t f) const noexcept {
        return (seen_ & field::of(f)) != 0 && values_[f].kind != json_kind::null;
    }

    bool check(std::size_t f, json_kind kind) {
        if (!has(f))
            return false;
        if (values_[f].kind == kind)
            return true;
        wrong(f, "must be ", detail::kind_name(kind), ", not ", detail::kind_name(values_[f].kind));
        return false;
    }

    bool require(std::size_t f, json_kind kind) {
        if (!has(f)) {
            wrong(f, "is missing");
            return false;
        }
        return check(f, kind);
    }

    std::string_view text(std::size_t f) {
        return check(f, json_kind::string) ? values_[f].text : std::string_view();
    }

    std::string_view required_text(std::size_t f) {
        if (!require(f, json_kind::string))
            return {};
        if (values_[f].text.empty())
            wrong(f, "is empty");
        return values_[f].text;
    }

    std::uint64_t number(std::size_t f, std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
        if (!check(f, json_kind::number))
            return 0;
        const auto n = detail::parse_whole_number(values_[f].source);
        if (n && *n <= most)
            return *n;
        wrong(f, "must be a whole number up to ", std::to_string(most));
        return 0;
    }

    std::uint64_t required_number(std::size_t f) {
        if (!has(f))
            wrong(f, "is missing");
        return number(f);
    }

    std::size_t size(std::size_t f) {
        return static_cast<std::size_t>(number(f, std::numeric_limits<std::size_t>::max()));
    }

    std::chrono::milliseconds milliseconds(std::size_t f) {
        using rep = std::chrono::milliseconds::rep;
        return std::chrono::milliseconds(
            static_cast<rep>(number(f, static_cast<std::uint64_t>(std::numeric_limits<rep>::max()))));
    }

    /// Milliseconds since 1970, before it too.
    wall_time timestamp() {
        using namespace std::chrono;
        if (!check(field::timestamp, json_kind::number))
            return {};
        const auto source = values_[field::timestamp].source;
        std::int64_t n = 0;
        const auto [end, error] = std::from_chars(source.data(), source.data() + source.size(), n);
        const auto most = duration_cast<std::chrono::milliseconds>(wall_time::max().time_since_epoch());
        if (error != std::errc() || end != source.data() + source.size() || n > most.count() - 1 ||
            n < 1 - most.count()) {
            wrong(field::timestamp, "must be a whole number of milliseconds");
            return {};
        }
        return wall_time(duration_cast<wall_time::duration>(std::chrono::milliseconds(n)));
    }

    std::optional<topic_position> position(std::size_t epoch, std::size_t offset) {
        const bool there = check(epoch, json_kind::string);
        if (has(epoch) != has(offset))
            wrong(has(epoch) ? offset : epoch, "is missing");
        if (!there)
            return std::nullopt;
        const auto e = detail::parse_epoch(values_[epoch].text);
        if (!e)
            wrong(epoch, "must be 16 hexadecimal digits");
        return topic_position{e.value_or(0), number(offset)};
    }

    // ---- what they make

    void interpret(native_incoming& out) {
        using kind = native_incoming::kind;
        if (has(field::close)) {
            out.what = kind::close;
            read_close(out.close);
        } else if (has(field::gap)) {
            out.what = kind::gap;
            read_gap(out.gap);
        } else if (has(field::status)) {
            out.what = kind::reply;
            read_reply(out);
        } else if (has(field::payload)) {
            out.what = kind::push;
            read_push(out.push);
        } else if (has(field::cookie) && text(field::action) == "challenge") {
            out.what = kind::challenge;
            out.cookie = text(field::cookie);
        } else {
            fail(errc::invalid_message, "neither a reply nor a push, gap marker, close or challenge");
        }
    }

    void read_push(message::fields& m) {
        m.topic = required_text(field::topic);
        m.type = text(field::type);
        m.payload = text(field::payload);
        if (const auto encoding = text(field::encoding); encoding == "base64") {
            binary_.clear();
            if (!detail::decode_base64(m.payload, binary_))
                wrong(field::payload, "is not base64");
            m.payload = binary_;
        } else if (!encoding.empty()) {
            fail(
                errc::unsupported, "encoding \"", detail::clipped(encoding),
                "\" is unknown; known is base64");
        }
        if (!check(field::meta, json_kind::object))
            return;
        m.id = text(field::meta_message_id);
        m.position = position(field::meta_epoch, field::meta_offset);
        if (const auto time = text(field::meta_receive_time); !time.empty())
            m.receive_time = detail::parse_rfc3339(time);
    }

    void read_gap(pusher::gap& g) {
        g.topic = required_text(field::topic);
        if (!require(field::gap, json_kind::object))
            return;
        g.count = required_number(field::gap_count);
        if (has(field::gap_from) != has(field::gap_to))
            wrong(has(field::gap_from) ? field::gap_to : field::gap_from, "is missing");
        else if (has(field::gap_from))
            g.offsets = pusher::gap::range{number(field::gap_from), number(field::gap_to)};
    }

    void read_close(native_close& c) {
        if (!require(field::close, json_kind::object))
            return;
        if (!has(field::close_code))
            wrong(field::close_code, "is missing");
        c.code =
            static_cast<std::uint16_t>(number(field::close_code, std::numeric_limits<std::uint16_t>::max()));
        c.reason = text(field::close_reason);
        if (has(field::close_retry))
            c.retry = milliseconds(field::close_retry);
    }

    void read_reply(native_incoming& out) {
        auto& r = out.reply;
        const auto status = text(field::status);
        r.ok = status == "ok";
        if (!r.ok && status != "fail")
            wrong(field::status, "must be \"ok\" or \"fail\"");
        r.request_id = text(field::request_id);
        r.action = text(field::action);
        r.error_message = text(field::error_message);
        r.timestamp = timestamp();
        if (check(field::receipt, json_kind::object))
            r.receipt = native_receipt{
                required_number(field::receipt_matched),
                position(field::receipt_epoch, field::receipt_offset),
                check(field::receipt_repeated, json_kind::boolean) &&
                    values_[field::receipt_repeated].source == "true"};
        if (check(field::recovered, json_kind::boolean))
            r.recovered = values_[field::recovered].source == "true";
        r.position = position(field::epoch, field::offset);
        if (check(field::session, json_kind::string)) {
            read_hello();
            r.hello = &hello_;
        }
        out.version = static_cast<int>(
            number(field::version, static_cast<std::uint64_t>(std::numeric_limits<int>::max())));
    }

    void read_hello() {
        hello_ = {};
        hello_.session = text(field::session);
        hello_.heartbeat = milliseconds(field::heartbeat);
        if (!check(field::limits, json_kind::object))
            return;
        hello_.max_request = size(field::limits_request);
        hello_.max_depth = size(field::limits_depth);
        hello_.max_topic = size(field::limits_topic);
        hello_.max_filter_levels = size(field::limits_filter_levels);
        hello_.max_subscriptions = size(field::limits_subscriptions);
        hello_.outbox_messages = size(field::limits_outbox_messages);
        hello_.outbox_bytes = size(field::limits_outbox_bytes);
    }

    std::uint64_t seen_ = 0;
    std::array<json_value, field::count> values_{}; ///< those not in `seen_` are left from earlier
    error_code error_;
    std::string message_;
    std::string scratch_;
    std::string binary_; ///< a payload that came as base64
    native_hello hello_;
};

} // namespace pusher::inline v0
