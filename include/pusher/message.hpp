// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// A named value that travels with a message, such as a content type or a trace id.
struct header {
    std::string_view name;
    std::string_view value;
};

/// Where a message stands in its topic's history.
///
/// Offsets count from 1 within an epoch. A new epoch means a new history: offsets of another epoch mean
/// nothing in it. A topic without history has no positions.
struct topic_position {
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0;

    friend bool operator==(const topic_position&, const topic_position&) = default;
};

/// The wall clock's time, in UTC, to the clock's own resolution.
using wall_time = std::chrono::system_clock::time_point;

/// Where the broker takes the wall clock's time from; tests give their own.
using wall_clock = wall_time (*)();

class pinned_message;

namespace detail {
struct message_access;
} // namespace detail

/// What a subscriber receives: a view of one published message.
///
/// Inside a handler it is valid until the handler returns; `pin` keeps one for longer. It is not thread safe,
/// and the bytes that it views belong to the broker.
class message {
public:
    /// The fields as plain values. The views must outlive the message.
    struct fields {
        std::string_view topic;
        std::string_view type;    ///< empty: untyped
        std::string_view payload; ///< any bytes
        std::string_view key;     ///< for conflation; empty: none
        std::string_view id;      ///< the publisher's own; empty: none
        std::span<const header> headers;
        std::uint64_t sequence = 0;             ///< the broker's publish sequence, from 1
        std::uint64_t sequence_epoch = 0;       ///< the life of the broker that `sequence` counts in
        std::optional<topic_position> position; ///< only on a topic with history
        std::optional<wall_time> receive_time;
        std::chrono::milliseconds ttl{0}; ///< how long it is worth delivering; zero: it does not expire
        bool redelivered = false;
        wall_clock clock = &std::chrono::system_clock::now; ///< asked when `receive_time` is not set
    };

    explicit message(const fields& f) noexcept : f_(f) {}

    [[nodiscard]] std::string_view topic() const noexcept { return f_.topic; }
    [[nodiscard]] std::string_view type() const noexcept { return f_.type; }
    [[nodiscard]] std::string_view payload() const noexcept { return f_.payload; }
    [[nodiscard]] std::string_view key() const noexcept { return f_.key; }
    [[nodiscard]] std::string_view id() const noexcept { return f_.id; }
    [[nodiscard]] std::span<const header> headers() const noexcept { return f_.headers; }

    /// The place in the order of everything that this broker published.
    [[nodiscard]] std::uint64_t sequence() const noexcept { return f_.sequence; }

    /// Names the life of the broker within which `sequence` counts.
    [[nodiscard]] std::uint64_t sequence_epoch() const noexcept { return f_.sequence_epoch; }

    /// The place in the topic's history, if the topic has one.
    [[nodiscard]] const std::optional<topic_position>& position() const noexcept { return f_.position; }

    /// How long it is worth delivering, from when it was published; zero: it does not expire.
    [[nodiscard]] std::chrono::milliseconds ttl() const noexcept { return f_.ttl; }

    /// Whether it was sent to this subscriber before, or tried to: it was not acknowledged in time, or its
    /// delivery had failed.
    [[nodiscard]] bool redelivered() const noexcept { return f_.redelivered; }

    /// When the broker accepted the message. A message that no one stored reads the clock when first asked.
    [[nodiscard]] wall_time receive_time() const {
        if (!f_.receive_time)
            f_.receive_time = f_.clock();
        return *f_.receive_time;
    }

    /// The first header of that name, compared byte by byte; empty if there is none.
    [[nodiscard]] std::string_view header_value(std::string_view name) const noexcept {
        for (const auto& h : f_.headers)
            if (h.name == name)
                return h.value;
        return {};
    }

    /// A copy that owns its bytes and may be kept, moved to another thread and read there.
    /// \throws std::bad_alloc
    [[nodiscard]] pinned_message pin() const;

private:
    friend struct detail::message_access;
    message() noexcept = default;

    mutable fields f_; // mutable for the clock that is read late
};

namespace detail {

/// Messages whose fields are written where they stay: a copy of what was just written, in other pieces,
/// stalls for longer than all the rest of a publish takes.
struct message_access {
    [[nodiscard]] static message make() noexcept { return message(); }
    [[nodiscard]] static message::fields& fields(message& m) noexcept { return m.f_; }
};

} // namespace detail

/// A message that owns its bytes. Copies share them; safe to read from any thread.
class pinned_message {
public:
    /// Valid as long as this object or a copy of it lives.
    [[nodiscard]] const message& get() const noexcept { return state_->view; }
    const message& operator*() const noexcept { return get(); }
    const message* operator->() const noexcept { return &get(); }

private:
    friend class message;

    struct state {
        state(std::size_t byte_count, std::size_t header_count) : view(message::fields{}) {
            bytes_.reserve(byte_count);
            headers_.reserve(header_count);
        }
        std::string_view keep(std::string_view text) {
            const auto at = bytes_.size();
            bytes_.append(text);
            return std::string_view(bytes_).substr(at);
        }
        std::string bytes_; // reserved once, so that the views stay valid
        std::vector<header> headers_;
        message view;
    };

    explicit pinned_message(std::shared_ptr<const state> s) noexcept : state_(std::move(s)) {}

    std::shared_ptr<const state> state_;
};

inline pinned_message message::pin() const {
    auto total = f_.topic.size() + f_.type.size() + f_.payload.size() + f_.key.size() + f_.id.size();
    for (const auto& h : f_.headers)
        total += h.name.size() + h.value.size();
    auto s = std::make_shared<pinned_message::state>(total, f_.headers.size());
    auto copy = f_;
    copy.topic = s->keep(f_.topic);
    copy.type = s->keep(f_.type);
    copy.payload = s->keep(f_.payload);
    copy.key = s->keep(f_.key);
    copy.id = s->keep(f_.id);
    for (const auto& h : f_.headers) {
        const auto name = s->keep(h.name);
        s->headers_.push_back({name, s->keep(h.value)});
    }
    copy.headers = s->headers_;
    copy.receive_time = receive_time();
    s->view = message(copy);
    return pinned_message(std::move(s));
}

} // namespace pusher::inline v0
