// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/dialect/deflate_params.hpp>
#include <pusher/encoding.hpp>
#include <pusher/version.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

/// \file
/// permessage-deflate (RFC 7692) without context takeover: each message is compressed by itself. So nobody
/// keeps anything between messages, what is compressed once is right for all who agreed to the same, and one
/// decompressor serves all.

namespace pusher::inline v0 {

/// How a session is sent messages: what it agreed to, and what its listener wants. Those for whom it is equal
/// share what is compressed.
struct websocket_deflate {
    std::uint32_t threshold = 0;  ///< shorter messages are sent as they are
    std::uint8_t window_bits = 0; ///< log2 of how far back a copy may reach; 0: nothing is compressed
    std::uint8_t level = 0;

    [[nodiscard]] explicit operator bool() const noexcept { return window_bits != 0; }
    friend auto operator<=>(const websocket_deflate&, const websocket_deflate&) = default;
};

/// The answer to a client's offers.
struct websocket_deflate_answer {
    std::uint8_t window_bits = 0; ///< 0: none was taken, and nothing is answered
    std::string text{};           ///< for `Sec-WebSocket-Extensions`
};

/// Takes the first offer that can be kept, of all that the client makes in `Sec-WebSocket-Extensions`;
/// several such headers are joined by commas. Offers of other extensions, and those with parameters that RFC
/// 7692 does not know, or not with that value, or not twice, are passed over; so is everything from the first
/// breach of the header's grammar on.
///
/// The windows that are used are of 512 bytes, 4 KiB and 32 KiB, the largest that the client allows: so
/// nothing is compressed more than three times because clients differ.
[[nodiscard]] websocket_deflate_answer answer_deflate_offers(std::string_view offers);

/// What a client offers that wants to read each message by itself.
inline constexpr std::string_view websocket_deflate_offer =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Whether a server's answer takes that offer, and nothing besides.
[[nodiscard]] bool takes_deflate_offer(std::string_view answer);

/// Compresses messages. What comes out depends on the payload and the constructor's arguments alone. Up to
/// 320 KiB, all taken when they are first needed.
class websocket_deflater {
public:
    /// \param window_bits 9 to 15. \param level 1 to 9.
    websocket_deflater(int window_bits, int level);
    websocket_deflater(const websocket_deflater&) = delete;
    websocket_deflater& operator=(const websocket_deflater&) = delete;
    ~websocket_deflater();

    /// Appends the payload of a compressed message to `out`, if that is shorter than `payload`; else nothing.
    /// \return whether it is. \param payload must not lie in `out`.
    bool deflate(std::string_view payload, std::string& out);

private:
    struct streams;

    int window_bits_;
    int level_;
    std::unique_ptr<streams> streams_;
};

/// Decompresses messages, whatever they were compressed with. About 45 KiB, taken when they are first needed.
class websocket_inflater {
public:
    enum class result : std::uint8_t { done, too_large, invalid };

    websocket_inflater();
    websocket_inflater(const websocket_inflater&) = delete;
    websocket_inflater& operator=(const websocket_inflater&) = delete;
    ~websocket_inflater();

    /// \param payload of a whole compressed message, all its fragments together.
    /// \param out is replaced by what `payload` was before; unspecified unless `done`. It never grows beyond
    /// `limit` and one byte.
    result inflate(std::string_view payload, std::size_t limit, std::string& out);

private:
    struct stream;

    std::unique_ptr<stream> stream_;
};

/// Another WebSocket encoding, with pushes compressed that are long enough and become shorter. Gap markers
/// and replies are left as they are.
class websocket_deflate_encoding final : public encoding {
public:
    /// \param plain appends one WebSocket frame, which a server does not mask, to each; it must outlive this.
    websocket_deflate_encoding(const encoding& plain, const websocket_deflate& how);

    void push(const message& m, std::string& out) const override;
    void gap(const pusher::gap& g, std::string& out) const override { plain_.gap(g, out); }
    void reply(std::string_view text, std::string& out) const override { plain_.reply(text, out); }

private:
    const encoding& plain_;
    std::uint32_t threshold_;
    mutable websocket_deflater deflater_; ///< keeps nothing from one message to the next
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/dialect/impl/websocket_deflate.hpp>
#endif
