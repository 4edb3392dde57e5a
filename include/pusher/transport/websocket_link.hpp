// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/dialect/websocket_codec.hpp>
#include <pusher/transport/stream_link.hpp>

#include <memory>
#include <string>
#include <utility>

namespace pusher::inline v0 {

/// A WebSocket connection after its handshake (RFC 6455): a message is a text frame, or whatever frames a
/// client makes of it. Pings, pongs and close frames have their own lane, so that a client that is slow does
/// not look dead.
class websocket_link final : public stream_link {
public:
    /// \param deflate what was agreed to in the handshake.
    websocket_link(
        channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits,
        const websocket_deflate& deflate = {}, dialect speaks = dialect::native,
        framing frames = framing::websocket_text);

    [[nodiscard]] framing frames() const noexcept override { return frames_; }
    [[nodiscard]] dialect speaks() const noexcept override { return dialect_; }
    [[nodiscard]] websocket_deflate deflate() const noexcept override {
        return {threshold_, window_bits_, level_};
    }
    [[nodiscard]] std::string_view transport() const noexcept override { return "websocket"; }

private:
    /// What the decoder reports to.
    struct visitor {
        websocket_link& link;

        bool on_message(websocket_message m) {
            std::string inflated;
            if (m.compressed && !link.inflate(m.payload, inflated))
                return true;
            if (m.compressed)
                m.payload = inflated;
            // The decoder has checked text that was not compressed.
            const bool unchecked_text = m.binary ? link.dialect_ == dialect::native : m.compressed;
            if (unchecked_text && !detail::is_valid_utf8(m.payload)) {
                link.fail(close_reason::from(errc::invalid_utf8));
                return true;
            }
            return link.give(m.payload);
        }
        bool on_ping(std::string_view payload) {
            if (link.state() != phase::open)
                return true;
            if (link.control_waits()) {
                // One pong is due at a time, and it answers the latest ping (RFC 6455, section 5.5.3).
                link.late_pong_ = std::make_unique<std::string>(payload);
            } else {
                link.control([&](std::string& out) { append_frame(out, websocket_opcode::pong, payload); });
            }
            return link.count();
        }
        bool on_pong(std::string_view) { return link.count(); }
        void on_close(std::uint16_t code, std::string_view) {
            if (link.state() == phase::open)
                link.answer_close(code);
            link.finish();
        }
    };

    std::size_t feed(std::span<char> bytes) override;

    /// \return false: it is not to be looked at, and the link has said why.
    bool inflate(std::string_view payload, std::string& out);

    /// Ends it for a fault of the peer's.
    void fail(const close_reason& reason);

    void answer_close(std::uint16_t code);

    void say_goodbye(
        const close_reason& reason, std::optional<std::chrono::milliseconds> retry,
        std::string& out) override;

    void more_control() override;

    void heartbeat() override;

    /// After a fault nothing that the peer sends is looked at, its goodbye neither (RFC 6455, section 7.1.7).
    [[nodiscard]] bool awaits_goodbye() const noexcept override { return !failed_; }

    // First, where the base leaves room for them.
    bool failed_ = false;
    dialect dialect_;
    framing frames_;
    std::uint8_t window_bits_;
    std::uint16_t answered_ = 0;
    std::uint8_t level_;
    std::uint32_t threshold_;
    websocket_decoder<websocket_role::server> decoder_;
    std::unique_ptr<std::string> late_pong_;
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/websocket_link.hpp>
#endif
