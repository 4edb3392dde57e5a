// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/websocket_frame.hpp>
#include <pusher/version.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace pusher::inline v0 {

/// What a peer may ask a decoder to hold. Kept once per listener, and given to every `feed`.
struct websocket_limits {
    /// Largest message, in bytes, all its fragments together. Compressed messages count as they travel.
    std::uint32_t message_size = 64 * 1024;

    /// Most frames of one message, at least 1. Without it, empty fragments could follow each other for ever.
    std::uint16_t fragments = 1024;
};

/// Whether RSV1 may mark a message as compressed.
enum class websocket_compression : bool { none, negotiated };

/// One whole message, whatever frames it came in.
struct websocket_message {
    std::string_view payload; ///< valid until the visitor returns
    bool binary = false;      ///< else text, and valid UTF-8 unless compressed
    bool compressed = false;  ///< the payload is still to be inflated; only if compression was negotiated
};

/// What `websocket_decoder::feed` calls. `on_message`, `on_ping` and `on_pong` may return `false` to pause;
/// one that returns nothing never pauses. After `on_close` nothing else is called.
template <class T>
concept websocket_visitor =
    requires(T& visitor, const websocket_message& message, std::string_view text, std::uint16_t code) {
        visitor.on_message(message);
        visitor.on_ping(text);
        visitor.on_pong(text);
        visitor.on_close(code, text);
    };

/// How far `websocket_decoder::feed` came.
struct websocket_feed_result {
    /// How many bytes were used up. Less than all only if the visitor paused: then the rest is untouched, and
    /// is to be fed again later.
    std::size_t consumed = 0;

    /// What the peer did wrong. The connection is to be closed, as `to_close_reason` says.
    websocket_fault fault = websocket_fault::none;
};

/// Reads WebSocket frames: bytes in, messages and control frames out (RFC 6455, section 5). No I/O.
///
/// Made for many sessions that are mostly silent: it takes 32 bytes, and holds memory of its own only while a
/// message or a control frame has arrived in part; it is then at most about twice what has arrived of it,
/// never what a length field announces. A message that arrives whole is a view into the bytes that were fed.
///
/// Not thread-safe. A visitor may destroy the decoder in a callback that returns `false`, and in `on_close`:
/// `feed` touches nothing after them. When a visitor throws, or memory runs out, the exception passes through
/// `feed`; the decoder can then only be destroyed, since how far it came is lost.
template <websocket_role Role>
class websocket_decoder {
public:
    explicit websocket_decoder(websocket_compression compression = websocket_compression::none) noexcept
        : rsv1_allowed_(compression == websocket_compression::negotiated) {}

    /// Reads all of `bytes`, or up to the frame at which the visitor paused. They are unmasked in place.
    ///
    /// A fault is reported after the events that came before it, as early as the bytes show it: text that
    /// can't become valid UTF-8 inside a frame, a message that is too large with the header that says so.
    /// After a fault or a close frame everything more is consumed and ignored.
    template <class Visitor>
        requires websocket_visitor<std::remove_reference_t<Visitor>>
    websocket_feed_result feed(std::span<char> bytes, const websocket_limits& limits, Visitor&& visitor) {
        if (state_ == state::finished)
            return {bytes.size()};
        std::size_t at = 0;
        while (at != bytes.size()) {
            detail::websocket_header header;
            if (const auto fault = read_header(bytes, at, header, limits); fault != websocket_fault::none)
                return fail(bytes, fault);
            if (!header.complete)
                break;
            const auto part = read_payload(bytes, at, header);
            const bool last = done_ + part.size() == header.length;
            if (must_be_utf8(header) && !(utf8_.feed(part) && (!last || !header.fin || utf8_.complete())))
                return fail(bytes, websocket_fault::invalid_utf8);
            if (!last) {
                if (header_size_ == 0)
                    keep_header(part.data() - header.size, header.size);
                keep(part);
                done_ += static_cast<std::uint32_t>(part.size());
                break;
            }
            if (header.opcode == websocket_opcode::close)
                return {bytes.size(), finish_close(part, visitor)};
            if (!finish_frame(header, part, visitor))
                return {at};
        }
        return {at};
    }

    /// Whether a close frame or a fault was met: nothing more will be reported.
    [[nodiscard]] bool finished() const noexcept { return state_ == state::finished; }

    /// Whether all that was fed has been reported: no frame and no message is there in part.
    [[nodiscard]] bool idle() const noexcept {
        return header_size_ == 0 && (state_ == state::idle || state_ == state::finished);
    }

    /// The bytes held of a message, or of a frame, that has arrived in part.
    [[nodiscard]] std::size_t buffered() const noexcept { return header_size_ + held(); }

private:
    enum class state : std::uint8_t { idle, text, binary, finished };

    static constexpr bool masked = Role == websocket_role::server;

    /// Whether the callback wants more; nothing of `*this` may be used after one that doesn't.
    template <class F>
    static bool proceed(F&& callback) {
        if constexpr (std::is_void_v<decltype(callback())>) {
            callback();
            return true;
        } else {
            return static_cast<bool>(callback());
        }
    }

    /// Reads the header at `at`, or the rest of one that was cut, or the one whose payload was cut.
    websocket_fault read_header(
        std::span<char> bytes, std::size_t& at, detail::websocket_header& header,
        const websocket_limits& limits) {
        if (header_size_ == 0) {
            const auto available = bytes.size() - at;
            const auto fault = header.parse(bytes.data() + at, available, Role, rsv1_allowed_);
            if (fault != websocket_fault::none)
                return fault;
            if (header.complete) {
                at += header.size;
                return begin_frame(header, limits);
            }
            keep_header(bytes.data() + at, available);
            at = bytes.size();
            return websocket_fault::none;
        }
        auto fault = header.parse(header_.data(), header_size_, Role, rsv1_allowed_);
        while (fault == websocket_fault::none && !header.complete && at != bytes.size()) {
            const std::size_t old = header_size_;
            const auto more = std::min(header.size - old, bytes.size() - at);
            std::memcpy(header_.data() + old, bytes.data() + at, more);
            set_header_size(old + more);
            at += more;
            fault = header.parse(header_.data(), header_size_, Role, rsv1_allowed_);
            if (fault == websocket_fault::none && header.complete)
                fault = begin_frame(header, limits);
        }
        return fault;
    }

    /// The rules that need more than the header itself.
    websocket_fault
    begin_frame(const detail::websocket_header& header, const websocket_limits& limits) noexcept {
        if (detail::is_control(header.opcode))
            return websocket_fault::none;
        if (header.opcode == websocket_opcode::continuation) {
            if (state_ == state::idle)
                return websocket_fault::unexpected_continuation;
        } else {
            if (state_ != state::idle)
                return websocket_fault::missing_continuation;
            state_ = header.opcode == websocket_opcode::text ? state::text : state::binary;
            compressed_ = header.rsv1;
            fragments_ = 0;
        }
        if (header.length + held() > limits.message_size)
            return websocket_fault::message_too_large;
        if (fragments_ >= limits.fragments)
            return websocket_fault::too_many_fragments;
        ++fragments_;
        return websocket_fault::none;
    }

    /// What there is of the payload, unmasked.
    std::string_view read_payload(
        std::span<char> bytes, std::size_t& at, const detail::websocket_header& header) const noexcept {
        char* const begin = bytes.data() + at;
        const auto size =
            static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size() - at, header.length - done_));
        if constexpr (masked)
            detail::apply_mask(begin, size, header.key, done_);
        at += size;
        return {begin, size};
    }

    bool must_be_utf8(const detail::websocket_header& header) const noexcept {
        return state_ == state::text && !compressed_ && !detail::is_control(header.opcode);
    }

    /// Reports what ends with this frame, if anything does. All state is settled before the visitor is
    /// called.
    template <class Visitor>
    bool finish_frame(const detail::websocket_header& header, std::string_view part, Visitor& visitor) {
        if (detail::is_control(header.opcode)) {
            control_payload store;
            const auto payload = finish_control(part, store);
            if (header.opcode == websocket_opcode::ping)
                return proceed([&] { return visitor.on_ping(payload); });
            return proceed([&] { return visitor.on_pong(payload); });
        }
        set_header_size(0);
        done_ = 0;
        if (!header.fin) {
            keep(part);
            return true;
        }
        const bool binary = state_ == state::binary;
        state_ = state::idle;
        const std::unique_ptr<std::string> whole = std::move(partial_);
        if (whole)
            whole->append(part);
        const websocket_message message{whole ? *whole : part, binary, compressed_};
        return proceed([&] { return visitor.on_message(message); });
    }

    template <class Visitor>
    websocket_fault finish_close(std::string_view part, Visitor& visitor) {
        control_payload store;
        auto payload = finish_control(part, store);
        state_ = state::finished;
        partial_.reset();
        auto code = websocket_no_status;
        if (!payload.empty()) {
            if (payload.size() == 1)
                return websocket_fault::bad_close_size;
            const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(payload[i]); };
            code = static_cast<std::uint16_t>(byte(0) << 8 | byte(1));
            payload.remove_prefix(2);
            if (!is_valid_websocket_close_code(code))
                return websocket_fault::bad_close_code;
            if (!detail::is_valid_utf8(payload))
                return websocket_fault::bad_close_reason;
        }
        visitor.on_close(code, payload);
        return websocket_fault::none;
    }

    using control_payload = std::array<char, websocket_max_control_size>;

    /// The whole payload of a control frame. What was kept of it stands behind what is kept of the message
    /// that it interrupts.
    std::string_view finish_control(std::string_view part, control_payload& store) noexcept {
        set_header_size(0);
        const std::size_t kept = std::exchange(done_, 0U);
        if (kept == 0)
            return part;
        const auto begin = partial_->size() - kept;
        partial_->copy(store.data(), kept, begin);
        part.copy(store.data() + kept, part.size());
        if (begin == 0)
            partial_.reset();
        else
            partial_->resize(begin);
        return {store.data(), kept + part.size()};
    }

    void keep(std::string_view part) {
        if (part.empty())
            return;
        if (!partial_)
            partial_ = std::make_unique<std::string>();
        partial_->append(part);
    }

    void keep_header(const char* data, std::size_t size) noexcept {
        std::memcpy(header_.data(), data, size);
        set_header_size(size);
    }

    void set_header_size(std::size_t size) noexcept { header_size_ = static_cast<std::uint8_t>(size & 0x0F); }

    std::size_t held() const noexcept { return partial_ ? partial_->size() : 0; }

    websocket_feed_result fail(std::span<char> bytes, websocket_fault fault) noexcept {
        state_ = state::finished;
        set_header_size(0);
        partial_.reset();
        return {bytes.size(), fault};
    }

    // The header is kept as it came, until its payload is complete, and read again when more arrives: that is
    // smaller than what it says.
    std::unique_ptr<std::string> partial_; // of the message, then of the control frame that interrupts it
    std::uint32_t done_ = 0;               // bytes of the current frame's payload that were taken before
    std::uint16_t fragments_ = 0;
    detail::utf8_validator utf8_;
    std::array<char, websocket_max_header_size> header_{};
    std::uint8_t header_size_ : 4 = 0; // 0: between frames
    state state_ : 2 = state::idle;
    bool compressed_ : 1 = false;
    bool rsv1_allowed_ : 1;
};

} // namespace pusher::inline v0
