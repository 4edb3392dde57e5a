// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "system.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

/// The control protocol between the load generator and a server under test: see benchmarks/README.md.
namespace bench {

/// How the first bytes of a payload say which message it is and when it was published.
enum class stamp : unsigned char {
    binary, ///< 16 bytes: sequence, then time, each as 8 bytes little-endian
    hex,    ///< 32 bytes: the same as 16 hexadecimal digits each, so that the payload is text
};

[[nodiscard]] constexpr std::size_t stamp_size(stamp s) noexcept { return s == stamp::binary ? 16 : 32; }

inline constexpr std::uint64_t max_message_size = 16 * 1024 * 1024;

/// What happens to a session whose unsent bytes have passed the window.
enum class overflow : unsigned char {
    wait, ///< nothing more is published until it has caught up: no message is lost
    drop, ///< it loses messages, everybody else is served: for readers that never read
};

/// What a payload consists of after its stamp.
enum class fill : unsigned char {
    letter, ///< `x`
    json,   ///< objects with numbers, of which the last letter is replaced by `x`
};

inline std::string filled(fill what, std::size_t bytes) {
    std::string out;
    std::uint32_t random = 1;
    const auto number = [&random](std::uint32_t below) {
        random = random * 1664525 + 1013904223;
        return std::to_string((random >> 8) % below);
    };
    while (what == fill::json && out.size() < bytes)
        out += R"({"symbol":"S)" + number(1000) + R"(","bid":)" + number(100) + '.' + number(100) +
               R"(,"ask":)" + number(100) + '.' + number(100) + R"(,"size":)" + number(10000) + R"(},)";
    out.resize(bytes, 'x');
    out.back() = 'x';
    return out;
}

/// The fields of a `publish` command.
struct publish_order {
    std::uint64_t topics = 1;   ///< message i goes to topic `t<i mod topics>`
    std::uint64_t per_turn = 1; ///< messages for each turn of the event loop
    std::uint64_t bytes = 128;  ///< of a payload, stamp included
    std::uint64_t turns = 0;    ///< end after so many turns; 0: no limit
    std::uint64_t millis = 0;   ///< end after so much time; 0: no limit
    std::uint64_t rate = 0;     ///< turns per second; 0: as fast as flow control allows
    bench::stamp stamp = bench::stamp::binary;
    bench::overflow overflow = bench::overflow::wait;
    bench::fill fill = bench::fill::letter;
};

inline std::string to_line(const publish_order& order) {
    const auto field = [](const char* name, std::uint64_t value) { return name + std::to_string(value); };
    return "publish" + field(" topics=", order.topics) + field(" per_turn=", order.per_turn) +
           field(" bytes=", order.bytes) + field(" turns=", order.turns) + field(" millis=", order.millis) +
           field(" rate=", order.rate) + " stamp=" + (order.stamp == stamp::hex ? "hex" : "binary") +
           " overflow=" + (order.overflow == overflow::drop ? "drop" : "wait") +
           (order.fill == fill::json ? " fill=json" : "");
}

/// The value of `name=value` in a line of space separated fields; empty if there is none.
inline std::string_view field_of(std::string_view line, std::string_view name) noexcept {
    for (auto at = line.find(name); at != line.npos; at = line.find(name, at + 1)) {
        const auto value = at + name.size();
        if (at != 0 && line[at - 1] == ' ' && value < line.size() && line[value] == '=')
            return line.substr(value + 1, line.find(' ', value) - value - 1);
    }
    return {};
}

inline std::optional<std::uint64_t> number_of(std::string_view line, std::string_view name) noexcept {
    const auto text = field_of(line, name);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

/// Reads a `publish` command; nothing if it is not one that can be carried out.
inline std::optional<publish_order> parse_publish(std::string_view line) noexcept {
    if (!line.starts_with("publish "))
        return std::nullopt;
    publish_order order;
    const auto read = [line](std::string_view name, std::uint64_t& into) {
        into = number_of(line, name).value_or(into);
    };
    read("topics", order.topics);
    read("per_turn", order.per_turn);
    read("bytes", order.bytes);
    read("turns", order.turns);
    read("millis", order.millis);
    read("rate", order.rate);
    order.stamp = field_of(line, "stamp") == "hex" ? stamp::hex : stamp::binary;
    order.fill = field_of(line, "fill") == "json" ? fill::json : fill::letter;
    order.overflow = field_of(line, "overflow") == "drop" ? overflow::drop : overflow::wait;
    if (order.topics == 0 || order.per_turn == 0 || (order.turns == 0 && order.millis == 0) ||
        order.bytes < stamp_size(order.stamp) || order.bytes > max_message_size)
        return std::nullopt;
    return order;
}

/// The publisher's side of a command: says when a turn is due, and makes its messages.
class publish_job {
public:
    explicit publish_job(const publish_order& order)
        : order_(order),
          payload_(filled(order.fill, order.bytes)),
          start_(steady_ns()) {}

    [[nodiscard]] const publish_order& order() const noexcept { return order_; }

    /// When the next turn is due, in `steady_ns`; never in the future when not paced.
    [[nodiscard]] std::uint64_t due() const noexcept {
        return order_.rate == 0 ? start_ : start_ + turns_ * 1'000'000'000U / order_.rate;
    }

    [[nodiscard]] bool finished() const noexcept {
        return (order_.turns != 0 && turns_ >= order_.turns) ||
               (order_.millis != 0 && std::max(steady_ns(), due()) - start_ >= order_.millis * 1'000'000U);
    }

    /// Calls `publish(topic number, payload)` for each message of the next turn.
    ///
    /// A paced message is stamped with the time when it was due, so that a server that falls behind cannot
    /// hide it.
    template <class Publish>
    void turn(Publish&& publish) {
        const auto time = order_.rate == 0 ? steady_ns() : due();
        for (std::uint64_t i = 0; i != order_.per_turn; ++i) {
            put(0, messages_);
            put(1, time);
            publish(static_cast<std::uint32_t>(messages_ % order_.topics), std::string_view(payload_));
            ++messages_;
        }
        ++turns_;
    }

    /// The answer when the last turn has been published.
    [[nodiscard]] std::string done(std::uint64_t waits, std::uint64_t peak, std::uint64_t dropped) const {
        return "done messages=" + std::to_string(messages_) + " turns=" + std::to_string(turns_) +
               " elapsed_ns=" + std::to_string(steady_ns() - start_) + " waits=" + std::to_string(waits) +
               " peak=" + std::to_string(peak) + " dropped=" + std::to_string(dropped);
    }

private:
    void put(std::size_t word, std::uint64_t value) noexcept {
        if (order_.stamp == stamp::binary) {
            std::memcpy(payload_.data() + word * 8, &value, 8);
            return;
        }
        for (std::size_t i = 0; i != 16; ++i)
            payload_[word * 16 + i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    }

    publish_order order_;
    std::string payload_;
    std::uint64_t start_;
    std::uint64_t turns_ = 0;
    std::uint64_t messages_ = 0;
};

inline std::string topic_name(std::uint64_t number) {
    std::string name("t");
    name += std::to_string(number);
    return name;
}

inline std::string count_line(std::uint64_t sessions, std::uint64_t subscriptions) {
    return "count sessions=" + std::to_string(sessions) + " subscriptions=" + std::to_string(subscriptions);
}

/// What every server prints once it accepts connections: the port for HTTP, and those for the dialects on TCP
/// itself if it has them.
inline void announce(std::uint16_t port, std::uint16_t lines = 0, std::uint16_t frames = 0) {
    std::printf("listening 127.0.0.1:%u", unsigned{port});
    if (lines != 0)
        std::printf(" lines=%u", unsigned{lines});
    if (frames != 0)
        std::printf(" frames=%u", unsigned{frames});
    std::puts("");
    std::fflush(stdout);
}

} // namespace bench
