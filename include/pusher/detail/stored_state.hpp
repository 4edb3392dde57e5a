// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/stored_record.hpp>
#include <pusher/message.hpp>
#include <pusher/observer.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0::detail {

/// What a store keeps by key, besides histories: a durable subscription, a message that is parked, a dead
/// letter. Each value begins with the format's version; texts begin with their size, as in a record.
namespace state_format {

inline constexpr unsigned char version = 1;
inline constexpr char durable_key = 's';
inline constexpr char parked_key = 'p';
inline constexpr char dead_key = 'd';

inline void put_text(std::string& to, std::string_view text) {
    record_format::put(to, text.size());
    to.append(text);
}
inline void put_time(std::string& to, wall_time t) {
    using namespace std::chrono;
    const auto since = duration_cast<nanoseconds>(t.time_since_epoch()).count();
    const auto ns = since < 0 ? 0 : static_cast<std::uint64_t>(since);
    record_format::put_eight(to, ns < record_format::max_time ? ns : record_format::max_time);
}

/// Takes values apart, whatever is in them. After something could not be taken, nothing can.
class reader {
public:
    explicit reader(std::string_view bytes) noexcept : rest_(bytes) {}

    [[nodiscard]] bool failed() const noexcept { return failed_; }
    /// Nothing failed, and nothing is left.
    [[nodiscard]] bool complete() const noexcept { return !failed_ && rest_.empty(); }

    unsigned char byte() noexcept {
        if (!has(1))
            return 0;
        const auto b = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        return b;
    }
    std::uint64_t eight() noexcept {
        if (!has(8))
            return 0;
        const auto n = record_format::take_eight(rest_);
        rest_.remove_prefix(8);
        return n;
    }
    std::string_view text() noexcept {
        std::uint64_t size = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto b = byte();
            if (failed_ || shift > 28) { // no text is that long
                failed_ = true;
                return {};
            }
            size |= std::uint64_t{b & 0x7FU} << shift;
            if (b < 0x80)
                break;
        }
        if (!has(size))
            return {};
        const auto t = rest_.substr(0, static_cast<std::size_t>(size));
        rest_.remove_prefix(static_cast<std::size_t>(size));
        return t;
    }
    wall_time time() noexcept {
        const auto ns = eight();
        if (ns > record_format::max_time)
            failed_ = true;
        return failed_
                   ? wall_time{}
                   : wall_time(std::chrono::duration_cast<wall_time::duration>(std::chrono::nanoseconds(ns)));
    }

private:
    bool has(std::uint64_t n) noexcept {
        failed_ = failed_ || n > rest_.size();
        return !failed_;
    }

    std::string_view rest_;
    bool failed_ = false;
};

} // namespace state_format

/// A durable subscription. \code 's' uid name topic type -> version epoch offset sent left \endcode
struct stored_durable {
    std::string_view uid;
    std::string_view name;
    std::string_view topic;
    std::string_view type;
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0;
    std::uint64_t sent = 0;
    wall_time left{}; ///< 1970: somebody has it

    [[nodiscard]] std::string key() const {
        std::string k(1, state_format::durable_key);
        for (const auto text : {uid, name, topic, type})
            state_format::put_text(k, text);
        return k;
    }
    [[nodiscard]] std::string value() const {
        std::string v(1, static_cast<char>(state_format::version));
        for (const auto n : {epoch, offset, sent})
            record_format::put_eight(v, n);
        state_format::put_time(v, left);
        return v;
    }
    /// \return false: it is damaged.
    [[nodiscard]] bool read(std::string_view key, std::string_view value) {
        state_format::reader k(key.substr(1));
        uid = k.text();
        name = k.text();
        topic = k.text();
        type = k.text();
        state_format::reader v(value.substr(1));
        epoch = v.eight();
        offset = v.eight();
        sent = v.eight();
        left = v.time();
        return k.complete() && v.complete() && !uid.empty() && is_valid_topic(name) &&
               is_valid_topic(topic) && is_valid_type(type) && epoch != 0 &&
               offset < record_format::max_order && sent < record_format::max_order;
    }
};

/// A message that failed. \code 'p' or 'd', number -> version, when, why, attempts, who, message \endcode
///
/// The message is a record of its own, since a history may forget it first; and, if it has one, a place
/// there.
struct stored_failure {
    std::uint64_t number = 0;
    wall_time when{}; ///< parked: until then; a dead letter: it was given up
    failure_cause why = failure_cause::disconnected;
    std::uint32_t attempts = 1;
    std::string_view uid;
    std::string_view peer;
    std::string_view transport;
    std::string_view durable; ///< name; empty: it is for any session of the uid
    std::string_view topic;
    bool addressed = false;
    std::optional<topic_position> position{};
    std::string_view record;

    [[nodiscard]] std::string key(char kind) const {
        std::string k(1, kind);
        record_format::put_eight(k, number);
        return k;
    }
    [[nodiscard]] std::string value() const {
        std::string v(1, static_cast<char>(state_format::version));
        state_format::put_time(v, when);
        v += static_cast<char>(why);
        record_format::put_eight(v, attempts);
        for (const auto text : {uid, peer, transport, durable, topic})
            state_format::put_text(v, text);
        v += static_cast<char>((addressed ? 1 : 0) | (position ? 2 : 0));
        if (position) {
            record_format::put_eight(v, position->epoch);
            record_format::put_eight(v, position->offset);
        }
        state_format::put_text(v, record);
        return v;
    }
    /// \return false: it is damaged.
    [[nodiscard]] bool read(std::string_view key, std::string_view value) {
        state_format::reader k(key.substr(1));
        number = k.eight();
        state_format::reader v(value.substr(1));
        when = v.time();
        const auto cause = v.byte();
        const auto tries = v.eight();
        uid = v.text();
        peer = v.text();
        transport = v.text();
        durable = v.text();
        topic = v.text();
        const auto flags = v.byte();
        position = std::nullopt;
        if ((flags & 2U) != 0) {
            position.emplace();
            position->epoch = v.eight();
            position->offset = v.eight();
        }
        record = v.text();
        why = static_cast<failure_cause>(cause);
        attempts = static_cast<std::uint32_t>(tries);
        addressed = (flags & 1U) != 0;
        return k.complete() && v.complete() && number != 0 && number < record_format::max_order &&
               cause <= static_cast<unsigned char>(failure_cause::absent) && tries >= 1 &&
               tries <= 0xFFFF'FFFFU && flags <= 3 && (durable.empty() || is_valid_topic(durable)) &&
               is_valid_topic(topic) &&
               (!position || (position->epoch != 0 && position->offset != 0 &&
                              position->offset < record_format::max_order));
    }
};

} // namespace pusher::inline v0::detail
