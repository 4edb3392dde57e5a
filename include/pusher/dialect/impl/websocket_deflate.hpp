// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/dialect/websocket_deflate.hpp>
#include <pusher/dialect/websocket_encoder.hpp>

#include <boost/beast/zlib/deflate_stream.hpp>
#include <boost/beast/zlib/inflate_stream.hpp>

#include <algorithm>
#include <cassert>
#include <optional>

namespace pusher::inline v0 {

namespace detail {

/// What an empty block at the end of a message looks like; it does not travel (RFC 7692, section 7.2.1).
inline constexpr std::string_view deflate_tail{"\0\0\xFF\xFF", 4};

/// Reads `Sec-WebSocket-Extensions` (RFC 6455, section 9.1).
class extension_reader {
public:
    explicit extension_reader(std::string_view text) noexcept : rest_(text) {}

    struct parameter {
        std::string_view name;
        std::optional<std::string> value;
    };

    /// Goes to the next extension. \return its name; empty: there is none, or not in the right form.
    std::string_view extension() {
        while (skip(',')) {
        }
        return token();
    }

    /// The next parameter of this extension. \return false: there is none, or not in the right form, which
    /// `ended` tells apart.
    bool next(parameter& p) {
        if (!skip(';'))
            return false;
        p = {token(), std::nullopt};
        if (p.name.empty())
            return fail();
        if (!skip('='))
            return true;
        p.value = value();
        return p.value ? true : fail();
    }

    /// Whether the extension has been read to its end.
    [[nodiscard]] bool ended() {
        spaces();
        return !failed_ && (rest_.empty() || rest_.front() == ',');
    }

    /// Whether nothing is left.
    [[nodiscard]] bool done() const noexcept { return rest_.empty(); }

private:
    static bool is_token(char c) noexcept {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    }

    void spaces() noexcept { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
    bool skip(char c) noexcept {
        spaces();
        if (rest_.empty() || rest_.front() != c)
            return false;
        rest_.remove_prefix(1);
        return true;
    }
    std::string_view token() noexcept {
        spaces();
        const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_token);
        const auto found = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
        rest_.remove_prefix(found.size());
        return found;
    }

    /// A token, in quotes or not.
    std::optional<std::string> value() {
        if (!skip('"')) {
            const auto plain = token();
            return plain.empty() ? std::nullopt : std::optional(std::string(plain));
        }
        std::string quoted;
        while (!rest_.empty()) {
            char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"')
                return quoted.empty() ? std::nullopt : std::optional(std::move(quoted));
            if (c == '\\' && !rest_.empty()) {
                c = rest_.front();
                rest_.remove_prefix(1);
            }
            if (!is_token(c))
                break;
            quoted += c;
        }
        return std::nullopt;
    }

    bool fail() noexcept {
        failed_ = true;
        rest_ = {};
        return false;
    }

    std::string_view rest_;
    bool failed_ = false;
};

/// 8 to 15, without leading zeros; 0: it is something else.
inline std::uint8_t read_window_bits(const std::optional<std::string>& text) noexcept {
    if (!text)
        return 0;
    if (text->size() == 1)
        return *text == "8" ? 8 : *text == "9" ? 9 : 0;
    if (text->size() == 2 && text->front() == '1' && text->back() >= '0' && text->back() <= '5')
        return static_cast<std::uint8_t>(10 + (text->back() - '0'));
    return 0;
}

/// One offer: the parameters of RFC 7692, section 7.1.
struct deflate_offer {
    bool good = true;
    std::uint8_t server_bits = 0; ///< 0: not named
    bool server_alone = false;
    bool client_alone = false;
    bool client_bits = false;

    void add(const extension_reader::parameter& p) {
        const auto once = [&](bool& named, bool right) {
            good = good && right && !named;
            named = true;
        };
        bool server_named = server_bits != 0;
        if (p.name == "server_no_context_takeover") {
            once(server_alone, !p.value);
        } else if (p.name == "client_no_context_takeover") {
            once(client_alone, !p.value);
        } else if (p.name == "client_max_window_bits") {
            once(client_bits, !p.value || read_window_bits(p.value) != 0);
        } else if (p.name == "server_max_window_bits") {
            const auto bits = read_window_bits(p.value);
            once(server_named, bits != 0);
            server_bits = bits;
        } else {
            good = false;
        }
    }
};

/// Strings that grow by themselves take up to twice as much.
inline void grow_exactly(std::string& text, std::size_t size) {
    std::string larger;
    larger.reserve(size);
    larger.append(text);
    larger.resize(size);
    text.swap(larger);
}

} // namespace detail

PUSHER_DECL websocket_deflate_answer answer_deflate_offers(std::string_view offers) {
    detail::extension_reader in(offers);
    for (auto name = in.extension(); !name.empty(); name = in.extension()) {
        detail::deflate_offer offer;
        detail::extension_reader::parameter p;
        while (in.next(p))
            offer.add(p);
        if (!in.ended())
            break;
        // A window of 256 bytes is one that zlib cannot keep to.
        if (name != "permessage-deflate" || !offer.good || offer.server_bits == 8)
            continue;
        websocket_deflate_answer answer{15, std::string(websocket_deflate_offer)};
        if (offer.server_bits != 0) {
            answer.window_bits = offer.server_bits == 15 ? 15 : offer.server_bits >= 12 ? 12 : 9;
            answer.text += "; server_max_window_bits=" + std::to_string(answer.window_bits);
        }
        return answer;
    }
    return {};
}

PUSHER_DECL bool takes_deflate_offer(std::string_view answer) {
    detail::extension_reader in(answer);
    if (in.extension() != "permessage-deflate")
        return false;
    detail::deflate_offer taken; // the parameters of an answer are those of an offer
    detail::extension_reader::parameter p;
    while (in.next(p))
        taken.add(p);
    return in.ended() && in.extension().empty() && in.done() && taken.good && taken.server_alone &&
           !taken.client_bits;
}

// ---- out

/// A message that fits into a small window finds there all that it would find in a large one, and a small one
/// is made ready in a fraction of the time.
struct websocket_deflater::streams {
    using stream = boost::beast::zlib::deflate_stream;

    static constexpr int small_bits = 12;

    /// How much of its window zlib does not copy from.
    static constexpr std::size_t margin = 262;

    streams(int window_bits, int level) {
        using boost::beast::zlib::Strategy;
        large.reset(level, window_bits, window_bits > small_bits ? 8 : 6, Strategy::normal);
        small.reset(level, std::min(window_bits, small_bits), 6, Strategy::normal);
    }

    stream large;
    stream small;
};

PUSHER_DECL websocket_deflater::websocket_deflater(int window_bits, int level)
    : window_bits_(window_bits),
      level_(level) {}

PUSHER_DECL websocket_deflater::~websocket_deflater() = default;

PUSHER_DECL bool websocket_deflater::deflate(std::string_view payload, std::string& out) {
    namespace zlib = boost::beast::zlib;
    if (payload.empty())
        return false;
    if (!streams_)
        streams_ = std::make_unique<streams>(window_bits_, level_);
    const bool fits = payload.size() + streams::margin <= std::size_t{1} << streams::small_bits;
    auto& stream = fits ? streams_->small : streams_->large;
    stream.reset();
    const auto begin = out.size();
    // Room for what is worth sending, and the tail. If it is used up, the rest does not matter.
    out.resize(begin + payload.size() + detail::deflate_tail.size() - 1);
    zlib::z_params z;
    z.next_in = payload.data();
    z.avail_in = payload.size();
    z.next_out = out.data() + begin;
    z.avail_out = out.size() - begin;
    error_code ec;
    stream.write(z, zlib::Flush::sync, ec);
    const auto written = out.size() - begin - z.avail_out;
    if (ec || z.avail_out == 0) {
        out.resize(begin);
        return false;
    }
    assert(z.avail_in == 0 && std::string_view(out).substr(begin, written).ends_with(detail::deflate_tail));
    out.resize(begin + written - detail::deflate_tail.size());
    return true;
}

// ---- in

struct websocket_inflater::stream : boost::beast::zlib::inflate_stream {};

PUSHER_DECL websocket_inflater::websocket_inflater() = default;

PUSHER_DECL websocket_inflater::~websocket_inflater() = default;

PUSHER_DECL websocket_inflater::result
websocket_inflater::inflate(std::string_view payload, std::size_t limit, std::string& out) {
    namespace zlib = boost::beast::zlib;
    constexpr int largest_window = 15;
    constexpr int between_blocks = 128; // and no bit left over: where each message ends
    if (!stream_)
        stream_ = std::make_unique<stream>();
    stream_->reset(largest_window);
    const auto most = limit + 1;
    out.clear();
    detail::grow_exactly(out, std::min(most, std::max<std::size_t>(1024, payload.size() * 4)));
    zlib::z_params z;
    std::size_t done = 0;
    for (const auto part : {payload, detail::deflate_tail}) {
        z.next_in = part.data();
        z.avail_in = part.size();
        for (;;) {
            if (done == out.size()) {
                if (done == most)
                    return result::too_large;
                detail::grow_exactly(out, std::min(most, done * 2));
            }
            z.next_out = out.data() + done;
            z.avail_out = out.size() - done;
            const auto before = z.avail_in;
            error_code ec;
            stream_->write(z, zlib::Flush::sync, ec);
            if (ec == zlib::error::end_of_stream) {
                // A block that calls itself the last one ends nothing here (section 7.2.3.4). What zlib has
                // read too far goes back.
                done = out.size() - z.avail_out;
                const auto ahead = static_cast<std::size_t>(z.data_type & 63) / 8;
                const auto back = std::min(ahead, before - z.avail_in);
                z.next_in = static_cast<const char*>(z.next_in) - back;
                z.avail_in += back;
                stream_->reset(largest_window);
                if (z.avail_in == 0)
                    break;
                continue;
            }
            if (ec && ec != zlib::error::need_buffers)
                return result::invalid;
            done = out.size() - z.avail_out;
            if (z.avail_out != 0) // it has written all that there is
                break;
        }
    }
    if (done > limit)
        return result::too_large;
    if (z.data_type != between_blocks)
        return result::invalid;
    out.resize(done);
    return result::done;
}

// ---- frames

PUSHER_DECL
websocket_deflate_encoding::websocket_deflate_encoding(const encoding& plain, const websocket_deflate& how)
    : plain_(plain),
      threshold_(how.threshold),
      deflater_(how.window_bits, how.level) {}

PUSHER_DECL void websocket_deflate_encoding::push(const message& m, std::string& out) const {
    const auto begin = out.size();
    plain_.push(m, out);
    if (out.size() - begin < 2)
        return; // nothing: it cannot be carried
    const auto length = static_cast<unsigned char>(out[begin + 1]);
    const auto payload = std::string_view(out).substr(begin + (length < 126 ? 2 : length == 126 ? 4 : 10));
    std::string shorter;
    if (payload.size() < threshold_ || !deflater_.deflate(payload, shorter))
        return;
    const auto opcode = static_cast<websocket_opcode>(static_cast<unsigned char>(out[begin]) & 0x0F);
    out.resize(begin);
    append_frame(out, opcode, shorter);
    out[begin] = static_cast<char>(static_cast<unsigned char>(out[begin]) | 0x40); // RSV1: section 6
}

} // namespace pusher::inline v0
