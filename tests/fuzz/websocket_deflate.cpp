// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/websocket_deflate.hpp>

#include "require.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Compressed messages, right and wrong, against a second decompressor: a slow one that can be read beside
// RFC 1951. And offers of compression.
//
// Input: one byte of what to do and with which window, one for the limit or the level; then the payload, or
// the header.

namespace {

using result = pusher::websocket_inflater::result;

/// Decompresses a message bit by bit.
class reference {
public:
    /// \param distance the largest that a copy may reach back. \param most bytes, after which it gives up.
    reference(std::string_view payload, std::size_t distance, std::size_t most)
        : bytes_(payload),
          tail_(payload.size()),
          distance_(distance),
          most_(most) {
        bytes_ += std::string_view("\0\0\xFF\xFF", 4);
        while (good && at_ != bytes_.size() * 8)
            block();
        good = good && !final_;
    }

    std::string text;
    bool good = true;    ///< it can be read to its end
    bool proper = false; ///< and ends with the empty block that did not travel, as compressors have it

private:
    void fail() { good = false; }

    unsigned bit() {
        if (at_ >= bytes_.size() * 8) {
            fail();
            return 0;
        }
        const auto b = static_cast<unsigned char>(bytes_[at_ / 8]) >> (at_ % 8) & 1;
        ++at_;
        return static_cast<unsigned>(b);
    }
    unsigned bits(unsigned n) {
        unsigned value = 0;
        for (unsigned i = 0; i != n; ++i)
            value |= bit() << i;
        return value;
    }

    void put(char c) {
        if (text.size() >= most_)
            return fail();
        text += c;
    }

    void block() {
        final_ = bit() != 0;
        proper = false;
        switch (bits(2)) {
        case 0: stored(); break;
        case 1: fixed(); break;
        case 2: dynamic(); break;
        default: fail();
        }
        if (!final_)
            return;
        // The next stream begins, which cannot reach back into this one.
        at_ = (at_ + 7) / 8 * 8;
        begin_ = text.size();
    }

    void stored() {
        at_ = (at_ + 7) / 8 * 8;
        proper = at_ == tail_ * 8;
        const auto size = bits(16);
        if (bits(16) != (~size & 0xFFFF))
            return fail();
        for (unsigned i = 0; good && i != size; ++i)
            put(static_cast<char>(bits(8)));
    }

    /// Lengths of codes by symbol, and how the codes follow from them.
    struct code {
        std::array<std::uint8_t, 320> length{};
        std::array<unsigned, 16> count{};
        std::array<unsigned, 16> first{};

        /// \return how many codes are left over; negative: there are too many.
        int prepare() {
            count.fill(0);
            for (const auto l : length)
                ++count[l];
            count[0] = 0;
            int left = 1;
            unsigned next = 0;
            for (std::size_t l = 1; l != 16; ++l) {
                left = left * 2 - static_cast<int>(count[l]);
                if (left < 0)
                    return left;
                next = (next + count[l - 1]) << 1;
                first[l] = next;
            }
            return left;
        }
        [[nodiscard]] bool usable(int left) const {
            // One code of one bit is let pass, and none at all as long as it is not used.
            unsigned longer = 0;
            for (std::size_t l = 2; l != 16; ++l)
                longer += count[l];
            return left == 0 || (left > 0 && longer == 0);
        }
    };

    unsigned symbol(const code& c) {
        unsigned value = 0;
        for (std::size_t l = 1; good && l != 16; ++l) {
            value = value << 1 | bit();
            if (value < c.first[l] || value - c.first[l] >= c.count[l])
                continue;
            auto place = value - c.first[l];
            for (unsigned s = 0; s != c.length.size(); ++s)
                if (c.length[s] == l && place-- == 0)
                    return s;
        }
        fail();
        return 0;
    }

    void fixed() {
        code literals;
        for (std::size_t s = 0; s != 288; ++s)
            literals.length[s] = s < 144 ? 8 : s < 256 ? 9 : s < 280 ? 7 : 8;
        code distances;
        for (std::size_t s = 0; s != 32; ++s)
            distances.length[s] = 5;
        literals.prepare();
        distances.prepare();
        data(literals, distances);
    }

    void dynamic() {
        static constexpr std::array<std::uint8_t, 19> order{16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                            11, 4,  12, 3, 13, 2, 14, 1, 15};
        const std::size_t literal_count = bits(5) + 257;
        const std::size_t distance_count = bits(5) + 1;
        const std::size_t length_count = bits(4) + 4;
        if (literal_count > 286 || distance_count > 30)
            return fail();
        code lengths;
        for (std::size_t i = 0; i != length_count; ++i)
            lengths.length[order[i]] = static_cast<std::uint8_t>(bits(3));
        if (lengths.prepare() != 0)
            return fail();
        std::array<std::uint8_t, 320> all{};
        for (std::size_t i = 0; good && i != literal_count + distance_count;) {
            const auto s = symbol(lengths);
            if (s < 16) {
                all[i++] = static_cast<std::uint8_t>(s);
                continue;
            }
            if (s == 16 && i == 0)
                return fail();
            const auto value = s == 16 ? all[i - 1] : std::uint8_t{0};
            auto times = s == 16 ? 3 + bits(2) : s == 17 ? 3 + bits(3) : 11 + bits(7);
            if (i + times > literal_count + distance_count)
                return fail();
            for (; times != 0; --times)
                all[i++] = value;
        }
        if (!good || all[256] == 0)
            return fail();
        code literals;
        code distances;
        std::copy_n(all.begin(), literal_count, literals.length.begin());
        std::copy_n(
            all.begin() + static_cast<std::ptrdiff_t>(literal_count), distance_count,
            distances.length.begin());
        if (!literals.usable(literals.prepare()) || !distances.usable(distances.prepare()))
            return fail();
        data(literals, distances);
    }

    void data(const code& literals, const code& distances) {
        static constexpr std::array<std::uint16_t, 29> lengths{3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                                               15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                                               67, 83, 99, 115, 131, 163, 195, 227, 258};
        while (good) {
            const auto s = symbol(literals);
            if (!good || s == 256)
                return;
            if (s < 256) {
                put(static_cast<char>(s));
                continue;
            }
            if (s > 285)
                return fail();
            const unsigned l = s - 257;
            auto length = lengths[l] + bits(l < 8 || l == 28 ? 0 : (l - 4) / 4);
            const auto d = symbol(distances);
            if (d > 29)
                return fail();
            const unsigned extra = d < 4 ? 0 : (d - 2) / 2;
            const std::size_t distance = (d < 4 ? d + 1 : (2U + d % 2) << extra | 1U) + bits(extra);
            if (distance > distance_ || distance > text.size() - begin_)
                return fail();
            for (; good && length != 0; --length)
                put(text[text.size() - distance]);
        }
    }

    std::string bytes_;
    std::size_t tail_;
    std::size_t distance_;
    std::size_t most_;
    std::size_t at_ = 0;    ///< in bits
    std::size_t begin_ = 0; ///< of the stream, in `text`
    bool final_ = false;
};

void read(std::string_view payload, std::size_t limit) {
    static pusher::websocket_inflater one; // for all inputs: nothing may be left of the one before
    std::string text;
    const auto got = one.inflate(payload, limit, text);
    require(text.size() <= limit + 1, "no more than the limit is held");
    const reference expected(payload, 32 * 1024, limit + 1);
    const bool larger = expected.text.size() > limit;
    switch (got) {
    case result::done:
        require(expected.good && !larger, "what is read can be read");
        require(text == expected.text, "it is read as the same");
        // Neither more nor less than that is the limit.
        require(one.inflate(payload, text.size(), text) == result::done, "the limit itself is none too many");
        require(
            text.empty() || one.inflate(payload, text.size() - 1, text) == result::too_large,
            "one less is too few");
        break;
    case result::too_large: require(larger, "what is too large is"); break;
    case result::invalid: require(!expected.good || !expected.proper, "what is proper is read"); break;
    }
}

void write(std::string text, int bits, int level) {
    // Some that compress well.
    if (level % 2 == 0)
        while (!text.empty() && text.size() < 50'000)
            text += text;
    pusher::websocket_deflater out(bits, level);
    std::string packed;
    if (!out.deflate(text, packed)) {
        require(packed.empty(), "nothing is appended");
        return;
    }
    require(packed.size() < text.size(), "it is shorter");
    const reference expected(packed, std::size_t{1} << bits, text.size());
    require(expected.good && expected.proper, "what is written is proper, and keeps to the window");
    require(expected.text == text, "and says the same");
    std::string again;
    require(out.deflate(text, again) && again == packed, "it is the same again");
    read(packed, text.size());
}

void negotiate(std::string_view header) {
    const auto a = pusher::answer_deflate_offers(header);
    require(a.text.empty() == (a.window_bits == 0), "an answer and a window");
    require(
        a.window_bits == 0 || a.window_bits == 9 || a.window_bits == 12 || a.window_bits == 15,
        "one of three windows");
    if (a.window_bits == 0)
        return;
    require(header.find("permessage-deflate") != header.npos, "it was offered");
    // Whoever is answered can be asked for that.
    const auto again = pusher::answer_deflate_offers(a.text);
    require(again.text == a.text && again.window_bits == a.window_bits, "the answer is an offer as well");
    require(
        pusher::answer_deflate_offers(std::string(header) + ", permessage-deflate").text == a.text,
        "the first counts");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2)
        return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
    switch (data[0] % 4) {
    case 0:
    case 1: read(rest, std::size_t{data[1]} << data[0] / 4 % 12); break;
    case 2: write(std::string(rest), 9 + data[0] / 4 % 7, 1 + data[1] % 9); break;
    default: negotiate(rest); break;
    }
    return 0;
}
