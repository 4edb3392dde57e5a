// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// How fast a broker sends datagrams to its UDP subscribers, beside a bare loop over `sendto`.
//
// Both take turns in one thread, each with one socket that is not connected, and send datagrams of the same
// size to the same 1000 sockets of this process over the loopback, in the same order: all of a turn to the
// first, then all to the second. The bare loop knows the addresses beforehand, and encodes each message once.
// Nobody reads: what does not fit into a receiver's buffer, which is soon full, is dropped by the kernel, of
// both alike. The bare loop runs a second time with a socket that an epoll watches, as that of everybody must
// be who also hears subscribers: the kernel then looks after each datagram whether somebody waits for room.
// So what is measured is sending alone, and less of it than a network would take. Whether all was
// sent is checked by the kernel's own counter.

#include <pusher/broker.hpp>

#include "support/control.hpp"
#include "support/native.hpp"
#include "support/options.hpp"
#include "support/system.hpp"
#include "support/turns.hpp"

#include <boost/asio/io_context.hpp>

#include <sys/epoll.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace bench;

/// Datagrams that this machine has sent.
std::uint64_t sent_by_kernel() {
    const auto text = read_proc("/proc/net/snmp");
    const auto find = [&text](std::string_view word) { return text.find(word); };
    // Two lines: names, then numbers.
    const auto names = find("\nUdp: ");
    const auto numbers = text.find("\nUdp: ", names + 1);
    if (names == text.npos || numbers == text.npos)
        throw std::runtime_error("there is no /proc/net/snmp");
    const auto word = text.find(" OutDatagrams", names);
    std::size_t at = numbers;
    for (auto space = text.find(' ', names); space <= word; space = text.find(' ', space + 1))
        at = text.find(' ', at + 1);
    std::uint64_t value = 0;
    std::from_chars(text.data() + at + 1, text.data() + text.size(), value);
    return value;
}

class measurement {
public:
    measurement(std::uint64_t subscribers, std::size_t bytes) : payload_(bytes, 'x') {
        raise_descriptor_limit();
        pusher::udp_params udp;
        udp.lease = std::chrono::hours(1); // nobody renews it
        udp.sessions_per_address = 1'000'000;
        port_ = broker_.listen(udp).port();
        bare_ = unique_fd(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
        watched_ =
            unique_fd(check(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
        epoll_ = unique_fd(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
        epoll_event event{};
        event.events = EPOLLIN | EPOLLET;
        check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watched_.get(), &event), "epoll_ctl");
        while (receivers_.size() != subscribers)
            subscribe();
        if (broker_.stats().subscriptions != subscribers)
            throw std::runtime_error("not all are subscribed");
    }

    /// The datagrams that a message becomes, of both, are of one size.
    void compare() {
        empty_first();
        publish(1);
        const auto ours = receive();
        sequence_ = sequence_of(ours) - 1;
        send(bare_, 1);
        const auto bare = receive();
        if (ours.size() != bare.size() || ours.find(payload_) == ours.npos)
            throw std::runtime_error("the datagrams are not alike:\n" + ours + '\n' + bare);
        size_ = ours.size();
    }

    void run(std::uint64_t per_turn, std::uint64_t repeat, std::uint64_t millis) {
        figures broker, bare, ratio, watched, watched_ratio;
        for (std::uint64_t i = 0; i != repeat; ++i) {
            const auto sent = sent_by_kernel();
            sent_ = 0;
            const auto each = take_turns(
                {[&] { return publish(per_turn); }, [&] { return send(bare_, per_turn); },
                 [&] { return send(watched_, per_turn); }},
                10, millis * 100'000);
            if (const auto really = sent_by_kernel() - sent; really < sent_)
                throw std::runtime_error("not all was sent: " + std::to_string(really));
            broker.add(1e6 / each[0]);
            bare.add(1e6 / each[1]);
            ratio.add(each[1] / each[0]);
            watched.add(1e6 / each[2]);
            watched_ratio.add(each[2] / each[0]);
        }
        std::printf(
            "| %llu | %s | %s · **%s** | %s · **%s** |\n", static_cast<unsigned long long>(per_turn),
            broker.text().c_str(), bare.text().c_str(), ratio.text(3).c_str(), watched.text().c_str(),
            watched_ratio.text(3).c_str());
        std::fflush(stdout);
        const auto stats = broker_.stats();
        if (stats.dropped_overflow + stats.dropped_undeliverable + stats.dropped_disconnected != 0)
            throw std::runtime_error("the broker has dropped messages");
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    void subscribe() {
        auto& fd = receivers_.emplace_back(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
        auto at = ipv4(INADDR_LOOPBACK, 0);
        check(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), "bind");
        socklen_t size = sizeof at;
        check(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size), "getsockname");
        addresses_.push_back(at);

        const auto request = native::subscribe_request("t0");
        const auto challenge = ask(fd, request);
        static constexpr std::string_view label = R"("cookie":")";
        const auto cookie = challenge.find(label) + label.size();
        if (cookie < label.size() ||
            ask(fd, request.substr(0, request.size() - 1) + R"(,"cookie":")" +
                        challenge.substr(cookie, challenge.find('"', cookie) - cookie) + "\"}")
                    .find(R"("status":"ok")") == std::string::npos)
            throw std::runtime_error("not subscribed: " + challenge);
    }

    std::string ask(const unique_fd& fd, const std::string& request) {
        const auto to = ipv4(INADDR_LOOPBACK, port_);
        check(
            static_cast<int>(::sendto(
                fd.get(), request.data(), request.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                sizeof to)),
            "sendto");
        for (const auto until = steady_ns() + 5'000'000'000U; steady_ns() < until;) {
            context_.poll();
            if (auto answer = take(fd); !answer.empty())
                return answer;
        }
        throw std::runtime_error("no answer");
    }

    static std::string take(const unique_fd& fd) {
        std::array<char, 2048> room;
        const auto n = ::recv(fd.get(), room.data(), room.size(), MSG_DONTWAIT);
        return n > 0 ? std::string(room.data(), static_cast<std::size_t>(n)) : std::string();
    }

    void empty_first() const {
        while (!take(receivers_.front()).empty()) {
        }
    }

    [[nodiscard]] std::string receive() const {
        auto datagram = take(receivers_.front());
        if (datagram.empty())
            throw std::runtime_error("nothing came");
        return datagram;
    }

    static std::uint64_t sequence_of(std::string_view push) {
        const auto id = push.find(R"("message_id":")");
        const auto dash = push.find('-', id);
        std::uint64_t value = 0;
        std::from_chars(push.data() + dash + 1, push.data() + push.size(), value);
        return value;
    }

    std::uint64_t publish(std::uint64_t count) {
        for (std::uint64_t i = 0; i != count; ++i)
            broker_.publish("t0", payload_);
        context_.poll();
        return counted(count);
    }

    std::uint64_t send(const unique_fd& from, std::uint64_t count) {
        turn_.resize(count);
        for (auto& datagram : turn_) {
            datagram.clear();
            native::append_push(datagram, "t0", payload_, ++sequence_);
        }
        for (const auto& to : addresses_)
            for (const auto& datagram : turn_)
                check(
                    static_cast<int>(::sendto(
                        from.get(), datagram.data(), datagram.size(), 0,
                        reinterpret_cast<const sockaddr*>(&to), sizeof to)),
                    "sendto");
        return counted(count);
    }

    std::uint64_t counted(std::uint64_t count) noexcept {
        sent_ += count * addresses_.size();
        return count * addresses_.size();
    }

    asio::io_context context_{1};
    pusher::broker<pusher::transport::udp> broker_{context_};
    std::uint16_t port_ = 0;
    std::string payload_;
    std::vector<unique_fd> receivers_;
    std::vector<sockaddr_in> addresses_;
    unique_fd bare_, watched_, epoll_;
    std::vector<std::string> turn_;
    std::uint64_t sequence_ = 0;
    std::uint64_t sent_ = 0;
    std::size_t size_ = 0;
};

constexpr const char* usage = "udp [--subscribers N] [--bytes B] [--repeat R] [--millis MS]\n"
                              "  --subscribers  sockets that are sent to (1000)\n"
                              "  --bytes        payload (128)\n"
                              "  --repeat       repetitions (3)\n"
                              "  --millis       for each and in each of them (700)\n";

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    const auto subscribers = given.number("--subscribers", 1000, 1);
    const auto bytes = given.number("--bytes", 128);
    const auto repeat = given.number("--repeat", 3, 1);
    const auto millis = given.number("--millis", 700, 1);
    given.done();
    try {
        measurement m(subscribers, bytes);
        m.compare();
        std::printf(
            "| datagrams of %zu B to %llu UDP subscribers, messages in a turn | the broker, thousands a "
            "second "
            "| a loop over sendto, and the broker's ratio to it | the same, watched by epoll "
            "|\n|---|---|---|---|\n",
            m.size(), static_cast<unsigned long long>(subscribers));
        for (const std::uint64_t per_turn : {1U, 32U})
            m.run(per_turn, repeat, millis);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "udp: %s\n", e.what());
        return 1;
    }
}
