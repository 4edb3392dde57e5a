// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/recent_ids.hpp>
#include <pusher/error.hpp>
#include <pusher/message.hpp>
#include <pusher/publish_options.hpp>
#include <pusher/topic.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// A message as it is in a record: its own fields, and what is not seen from outside.
struct stored_message {
    std::uint64_t order = 0; ///< grows over all topics, and over all lives of the broker
    message::fields fields;  ///< type, key, id, headers and payload
    std::chrono::milliseconds ttl{0};
    id_owner by;           ///< whose the id is
    bool everyone = false; ///< it was broadcast
};

/// What a store keeps for messages that were published to one topic together.
///
/// The format's version, when they were accepted (nanoseconds since 1970, eight bytes, the highest first),
/// the first order number; then for each message how much its order number is above the one before, flags,
/// sizes, and the bytes. Numbers without a size are in groups of seven bits, the lowest first, with the
/// eighth bit set in all but the last.
namespace record_format {

inline constexpr unsigned char version = 1;
inline constexpr std::uint64_t max_order = std::uint64_t{1} << 62;
inline constexpr std::uint64_t max_time = 7'258'118'400'000'000'000U; ///< the year 2200

inline constexpr unsigned owner_bits = 3; ///< `id_owner::kind`
inline constexpr unsigned everyone_bit = 4;
inline constexpr unsigned ttl_bit = 8;
inline constexpr unsigned headers_bit = 16;
inline constexpr unsigned all_bits = 31;

inline void put_eight(std::string& to, std::uint64_t n) {
    for (int shift = 56; shift >= 0; shift -= 8)
        to += static_cast<char>(n >> shift & 0xFF);
}

inline std::uint64_t take_eight(std::string_view eight) noexcept {
    std::uint64_t n = 0;
    for (const char c : eight.substr(0, 8))
        n = n << 8 | static_cast<unsigned char>(c);
    return n;
}

inline void put(std::string& to, std::uint64_t n) {
    for (; n >= 0x80; n >>= 7)
        to += static_cast<char>((n & 0x7F) | 0x80);
    to += static_cast<char>(n);
}

} // namespace record_format

class record_writer {
public:
    record_writer(wall_time received, std::uint64_t first_order) : order_(first_order) {
        using namespace std::chrono;
        const auto since = duration_cast<nanoseconds>(received.time_since_epoch()).count();
        const auto ns = since < 0 ? 0 : static_cast<std::uint64_t>(since);
        bytes_ += static_cast<char>(record_format::version);
        record_format::put_eight(bytes_, ns < record_format::max_time ? ns : record_format::max_time);
        record_format::put(bytes_, first_order);
    }

    /// \param m of a larger order than the one before.
    void add(const stored_message& m) {
        using namespace record_format;
        const auto& f = m.fields;
        put(bytes_, m.order - std::exchange(order_, m.order));
        auto flags = static_cast<unsigned>(m.by.what);
        flags |= m.everyone ? everyone_bit : 0;
        flags |= m.ttl.count() != 0 ? ttl_bit : 0;
        flags |= f.headers.empty() ? 0 : headers_bit;
        bytes_ += static_cast<char>(flags);
        if (m.ttl.count() != 0)
            put(bytes_, static_cast<std::uint64_t>(m.ttl.count()));
        for (const auto text : {f.type, f.key, f.id, f.payload})
            put_text(text);
        if (!f.headers.empty()) {
            put(bytes_, f.headers.size());
            for (const auto& h : f.headers) {
                put_text(h.name);
                put_text(h.value);
            }
        }
        if (m.by.what == id_owner::kind::user)
            put_text(m.by.uid);
        ++count_;
    }

    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] std::string take() noexcept { return std::move(bytes_); }

private:
    void put_text(std::string_view text) {
        record_format::put(bytes_, text.size());
        bytes_.append(text);
    }

    std::string bytes_;
    std::uint64_t order_;
    std::uint32_t count_ = 0;
};

/// Reads a record, whatever is in it.
class record_reader {
public:
    /// \param bytes must outlive what is read. \param count messages that should be in it.
    record_reader(std::string_view bytes, std::uint32_t count) : rest_(bytes), left_(count) {
        using namespace std::chrono;
        if (rest_.size() < 9) {
            fail();
        } else if (static_cast<unsigned char>(rest_.front()) != record_format::version) {
            error_ = errc::store_foreign;
        } else {
            const auto ns = record_format::take_eight(rest_.substr(1));
            rest_.remove_prefix(9);
            if (ns > record_format::max_time || !take(order_) || order_ > record_format::max_order)
                fail();
            else
                received_ = wall_time(duration_cast<wall_time::duration>(nanoseconds(ns)));
        }
    }

    [[nodiscard]] const error_code& error() const noexcept { return error_; }
    [[nodiscard]] wall_time received() const noexcept { return received_; }

    /// Takes the next message; what it views is good until the next call, its bytes for as long as the
    /// record's.
    /// \return false if there is none, or it is damaged, as `error` says.
    bool next(stored_message& m) {
        if (error_ || (left_ == 0 && rest_.empty()))
            return false;
        if (left_ == 0 || !read(m)) {
            fail();
            return false;
        }
        --left_;
        first_ = false;
        return true;
    }

private:
    void fail() noexcept { error_ = errc::store_corrupt; }

    bool take(std::uint64_t& n) noexcept {
        n = 0;
        for (unsigned shift = 0; !rest_.empty() && shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            if (shift == 63 && byte > 1)
                return false;
            n |= std::uint64_t{byte & 0x7FU} << shift;
            if (byte < 0x80)
                return true;
        }
        return false;
    }

    bool take(std::string_view& text) noexcept {
        std::uint64_t size = 0;
        if (!take(size) || size > rest_.size())
            return false;
        text = rest_.substr(0, static_cast<std::size_t>(size));
        rest_.remove_prefix(static_cast<std::size_t>(size));
        return true;
    }

    bool read(stored_message& m) {
        using namespace record_format;
        m = {};
        std::uint64_t more = 0;
        if (!take(more) || more > max_order || order_ + more > max_order || (!first_ && more == 0) ||
            (first_ && more != 0) || rest_.empty())
            return false;
        m.order = order_ += more;
        const auto flags = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        if ((flags & ~all_bits) != 0 || (flags & owner_bits) > static_cast<unsigned>(id_owner::kind::user))
            return false;
        m.by.what = static_cast<id_owner::kind>(flags & owner_bits);
        m.everyone = (flags & everyone_bit) != 0;
        std::uint64_t ttl = 0;
        if ((flags & ttl_bit) != 0 &&
            (!take(ttl) || ttl == 0 || ttl > static_cast<std::uint64_t>(max_ttl.count())))
            return false;
        m.ttl = std::chrono::milliseconds(ttl);
        auto& f = m.fields;
        if (!take(f.type) || !take(f.key) || !take(f.id) || !take(f.payload))
            return false;
        if ((!f.type.empty() && !is_valid_type(f.type)) || f.key.size() > 255 || f.id.size() > 255)
            return false;
        headers_.clear();
        std::uint64_t count = 0;
        if ((flags & headers_bit) != 0 && (!take(count) || count == 0 || count > rest_.size()))
            return false;
        for (; count != 0; --count) {
            header h;
            if (!take(h.name) || !take(h.value))
                return false;
            headers_.push_back(h);
        }
        f.headers = headers_;
        return m.by.what != id_owner::kind::user || take(m.by.uid);
    }

    std::string_view rest_;
    std::uint32_t left_;
    std::uint64_t order_ = 0;
    wall_time received_{};
    error_code error_;
    bool first_ = true;
    std::vector<header> headers_;
};

} // namespace pusher::inline v0::detail
