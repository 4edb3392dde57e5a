// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "control.hpp"
#include "dialects.hpp"
#include "histogram.hpp"
#include "inflater.hpp"
#include "system.hpp"
#include "websocket.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

struct fleet_params {
    std::uint16_t port = 0;         ///< of the sessions
    std::uint16_t control_port = 0; ///< of the control connection; 0: the same
    std::string dialect = "raw";
    std::uint64_t sessions = 1000; ///< that read
    std::uint64_t stuck = 0;       ///< that subscribe and then never read
    std::uint64_t topics = 1;
    std::uint64_t per_session = 1; ///< topics that each session subscribes to
    bool block = false;            ///< session i takes the i-th block of topics, else a random choice
    std::uint64_t sources = 0;     ///< local addresses 127.0.1.1 and so on; 0: the system's choice
    bool deflate = false;          ///< WebSockets agree to permessage-deflate
    int rcvbuf = 0;
    int stuck_rcvbuf = 0;
    int patience_ms = 5000; ///< how long nothing may come before it is given up
};

/// What one group of sessions got in a run.
struct tally {
    std::uint64_t received = 0;  ///< messages
    std::uint64_t announced = 0; ///< messages that gap markers stand for
    std::uint64_t disorder = 0;  ///< duplicates, or out of order
    std::uint64_t foreign = 0;   ///< of a topic that was not subscribed to
    std::uint64_t bad = 0;       ///< wrong length or content
    std::uint64_t closed = 0;    ///< sessions that the server closed
    std::uint64_t bytes = 0;     ///< of all that came, framing included
    std::uint64_t expected = 0;

    [[nodiscard]] bool complete() const noexcept { return received + announced >= expected; }
    [[nodiscard]] bool correct() const noexcept {
        return received + announced == expected && disorder + foreign + bad + closed == 0;
    }
};

struct run_result {
    std::string done; ///< the server's answer
    std::uint64_t first_ns = 0;
    std::uint64_t last_ns = 0;
    tally readers, stuck;
};

/// At a time: no more than any server's backlog takes (mosquitto's is 100).
inline constexpr std::uint64_t max_handshakes = 64;

/// The load generator's sessions, all in one thread, and the control connection.
class fleet {
public:
    /// \throw if the server cannot be reached, or there is no such dialect.
    explicit fleet(const fleet_params& params)
        : params_(params),
          dialect_(make_dialect(params.dialect)),
          plan_(plan(params)) {
        raise_descriptor_limit();
        epoll_ = unique_fd(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
        connect(control_, params.control_port == 0 ? params.port : params.control_port);
        upgrade(control_, "/control");
        watch(control_, control_key);
        while (control_.state != client::ready)
            if (!pump(params_.patience_ms))
                throw std::runtime_error("no answer to the handshake of the control connection");
    }

    ~fleet() { abort(); }
    fleet(const fleet&) = delete;
    fleet& operator=(const fleet&) = delete;

    /// Sends a command and waits for its answer.
    std::string ask(std::string_view line) {
        tell(line);
        while (answers_.empty())
            if (!pump(params_.patience_ms))
                throw std::runtime_error("no answer to: " + std::string(line));
        return take_answer();
    }

    /// Opens `count` more sessions (the readers come first, then the stuck ones) and waits until the server
    /// says that all of them are subscribed.
    void open(std::uint64_t count) {
        hurry(count);
        await_count();
    }

    /// The same, as soon as the sessions themselves know that they are.
    void hurry(std::uint64_t count) {
        const auto from = clients_.size();
        ready_ = 0;
        while (ready_ != count) {
            while (clients_.size() - from != count && clients_.size() - from - ready_ < max_handshakes)
                add();
            if (ready_ == count)
                break; // nobody has to be heard of
            if (!pump(params_.patience_ms))
                throw std::runtime_error("no answer to a handshake");
            if (lost_ != 0)
                throw std::runtime_error("the server closed a session that was being opened");
        }
    }

    /// Closes all sessions abortively, so that no port lingers in TIME_WAIT.
    void abort() noexcept {
        for (auto& c : clients_) {
            const linger at_once{1, 0};
            ::setsockopt(c.fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        }
        clients_.clear();
    }

    /// Waits until the server counts exactly the sessions and subscriptions that there are.
    void await_count() {
        const auto sessions = clients_.size();
        const auto wanted = count_line(sessions, sessions * params_.per_session);
        std::string answer;
        for (const auto until = steady_ns() + static_cast<std::uint64_t>(params_.patience_ms) * 1'000'000U;
             steady_ns() < until;) {
            answer = ask("count");
            if (answer == "count unknown") {
                // The sessions that are opened have heard that they are subscribed; others are given time to
                // end.
                if (sessions == 0)
                    ::usleep(500'000);
                return;
            }
            if (number_of(answer, "sessions") == number_of(wanted, "sessions") &&
                number_of(answer, "subscriptions") == number_of(wanted, "subscriptions"))
                return;
            pump(10);
        }
        throw std::runtime_error("expected \"" + wanted + "\", the server says \"" + answer + "\"");
    }

    /// Has the server publish and checks every delivery, until all have come or nothing comes any more.
    run_result run(const publish_order& order, histogram& latency) {
        order_ = order;
        dialect_->expect(order.bytes);
        latency_ = &latency;
        latency.clear();
        tallies_ = {};
        last_ns_ = 0;
        first_ns_ = ~std::uint64_t{0};
        const auto room = 4 * order.bytes + 256 * 1024;
        if (buffer_.size() < room)
            buffer_.resize(room);
        for (auto& c : clients_)
            rewind(c);
        run_result result;
        const auto begin = steady_ns();
        tell(to_line(order));
        while (result.done.empty() || !tallies_[0].complete()) {
            const bool quiet = !pump(params_.patience_ms);
            if (result.done.empty() && !answers_.empty()) {
                result.done = take_answer();
                expect(number_of(result.done, "messages").value_or(0));
            }
            if (quiet || tallies_[0].closed != 0)
                break;
        }
        if (result.done.empty())
            throw std::runtime_error("the server fell silent, or closed a session, before it answered");
        if (!result.done.starts_with("done "))
            throw std::runtime_error("publish was answered with: " + result.done);
        result.first_ns = first_ns_ == ~std::uint64_t{0} ? begin : first_ns_;
        result.last_ns = std::max(last_ns_, result.first_ns);
        result.readers = tallies_[0];
        result.stuck = tallies_[1];
        return result;
    }

    /// Answers what is asked of sessions that do nothing.
    void idle(std::uint64_t millis) {
        const auto until = steady_ns() + millis * 1'000'000U;
        for (auto now = steady_ns(); now < until; now = steady_ns())
            pump(static_cast<int>((until - now) / 1'000'000U) + 1);
        if (lost_ != 0)
            throw std::runtime_error("the server closed a session that was idle");
    }

    /// Pings that have come.
    [[nodiscard]] std::uint64_t pings() const noexcept { return pings_; }

    /// Lets the stuck sessions read at last, until all is there or nothing comes any more.
    void drain_stuck(run_result& result) {
        for (std::size_t i = 0; i != clients_.size(); ++i)
            if (clients_[i].stuck && clients_[i].fd)
                rearm(clients_[i], i, EPOLLIN);
        while (!tallies_[1].complete() && pump(params_.patience_ms)) {
        }
        result.stuck = tallies_[1];
    }

private:
    struct client {
        enum phase : unsigned char { handshake, subscribing, ready };

        std::uint64_t next = 0; // sequence that is due next
        std::uint64_t base = 0; // of the round of topics that it lies in
        const std::uint32_t* topics = nullptr;
        std::uint32_t count = 0; // of topics
        std::uint32_t at = 0;
        std::uint32_t replies = 0; // still to come
        unique_fd fd;
        phase state = handshake;
        bool stuck = false;
        bool plain = false;   // no WebSocket
        bool split = false;   // inside a fragmented message
        bool packed = false;  // that is compressed
        std::string partial;  // a frame's beginning
        std::string assembly; // of a fragmented message
    };

    static constexpr std::uint64_t control_key = ~std::uint64_t{0};
    static constexpr std::uint64_t max_gap = std::uint64_t{1} << 32; // more cannot have been published

    /// Which topics each session takes, sorted, one session after the other.
    static std::vector<std::uint32_t> plan(const fleet_params& params) {
        const auto each = params.per_session;
        if (each == 0 || each > params.topics)
            throw std::runtime_error("topics per session must be between 1 and the number of topics");
        std::mt19937 random(1); // NOLINT: the same choice in every run
        std::vector<std::uint32_t> all(params.topics);
        std::iota(all.begin(), all.end(), 0U);
        std::vector<std::uint32_t> chosen;
        for (std::uint64_t i = 0; i != params.sessions + params.stuck; ++i) {
            const auto from = chosen.end() - chosen.begin();
            if (params.block || each == 1 || each == params.topics) {
                for (std::uint64_t j = 0; j != each; ++j)
                    chosen.push_back(static_cast<std::uint32_t>((i * each + j) % params.topics));
            } else {
                for (std::uint64_t j = 0; j != each; ++j) {
                    std::swap(all[j], all[j + random() % (params.topics - j)]);
                    chosen.push_back(all[j]);
                }
            }
            std::sort(chosen.begin() + from, chosen.end());
        }
        return chosen;
    }

    // ---- connections

    void connect(client& c, std::uint16_t port, int rcvbuf = 0, std::uint32_t source = 0) {
        c.fd = unique_fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
        if (rcvbuf != 0)
            set_option(c.fd.get(), SOL_SOCKET, SO_RCVBUF, rcvbuf, "SO_RCVBUF");
        if (source != 0) {
            set_option(c.fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, "IP_BIND_ADDRESS_NO_PORT");
            const auto from = ipv4(source, 0);
            check(::bind(c.fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from), "bind");
        }
        const auto to = ipv4(INADDR_LOOPBACK, port);
        check(::connect(c.fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
        set_option(c.fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    }

    static void upgrade(const client& c, const std::string& target, bool deflate = false) {
        send(
            c, "GET " + target +
                   " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: " +
                   std::string(websocket::client_key) + "\r\nSec-WebSocket-Version: 13\r\n" +
                   (deflate ? "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
                            : "") +
                   "\r\n");
    }

    void add() {
        const auto i = clients_.size();
        auto& c = clients_.emplace_back();
        c.stuck = i >= params_.sessions;
        c.topics = plan_.data() + i * params_.per_session;
        c.count = static_cast<std::uint32_t>(params_.per_session);
        const auto source =
            params_.sources == 0 ? 0 : 0x7F000101U + static_cast<std::uint32_t>(i % params_.sources);
        connect(c, params_.port, c.stuck ? params_.stuck_rcvbuf : params_.rcvbuf, source);
        watch(c, i);
        const auto names = names_of(c);
        if (const auto target = dialect_->target(names); !target.empty()) {
            upgrade(c, target, params_.deflate);
        } else {
            c.plain = true;
            begin(c, i, names);
        }
    }

    void watch(const client& c, std::uint64_t key) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = key;
        check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, c.fd.get(), &event), "epoll_ctl");
    }

    void rearm(const client& c, std::uint64_t key, std::uint32_t what) const {
        epoll_event event{};
        event.events = what;
        event.data.u64 = key;
        check(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, c.fd.get(), &event), "epoll_ctl");
    }

    static void send(const client& c, std::string_view bytes) {
        const auto n = ::send(c.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (check(static_cast<int>(n), "send") != static_cast<int>(bytes.size()))
            throw std::runtime_error("a request was not taken whole");
    }

    void tell(std::string_view line) const {
        std::string frame;
        websocket::append_frame(frame, websocket::text, line, true);
        send(control_, frame);
    }

    std::string take_answer() {
        auto answer = std::move(answers_.front());
        answers_.pop_front();
        return answer;
    }

    // ---- input

    /// Handles what has come; false if nothing comes for `millis`.
    bool pump(int millis) {
        std::array<epoll_event, 1024> events;
        const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), millis);
        if (n < 0 && errno != EINTR)
            check(n, "epoll_wait");
        for (int i = 0; i < n; ++i) {
            const auto key = events[static_cast<std::size_t>(i)].data.u64;
            receive(key == control_key ? control_ : clients_[key], key);
        }
        if (delivered_) {
            delivered_ = false;
            last_ns_ = steady_ns();
        }
        return n != 0;
    }

    void receive(client& c, std::uint64_t key) {
        const auto kept = c.partial.size();
        if (buffer_.size() < 2 * kept)
            buffer_.resize(2 * kept);
        std::memcpy(buffer_.data(), c.partial.data(), kept);
        const auto n = ::recv(c.fd.get(), buffer_.data() + kept, buffer_.size() - kept, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            if (key == control_key)
                throw std::runtime_error("the server closed the control connection");
            ++tallies_[c.stuck].closed;
            ++lost_;
            c.fd.reset();
            return;
        }
        if (key != control_key)
            tallies_[c.stuck].bytes += static_cast<std::uint64_t>(n);
        if (order_.rate != 0)
            now_ns_ = steady_ns();
        const std::string_view input(buffer_.data(), kept + static_cast<std::size_t>(n));
        const auto used = consume(c, key, input);
        if (used != input.size())
            c.partial.assign(input, used);
        else
            c.partial.clear();
    }

    std::size_t consume(client& c, std::uint64_t key, std::string_view input) {
        if (c.plain)
            return listen(c, key, input, 0);
        std::size_t used = 0;
        if (c.state == client::handshake) {
            const auto end = input.find("\r\n\r\n");
            if (end == input.npos)
                return 0;
            used = end + 4;
            if (!input.starts_with("HTTP/1.1 101 ") ||
                input.substr(0, end).find(websocket::client_answer) == input.npos)
                throw std::runtime_error("no upgrade: " + std::string(input.substr(0, end)));
            if (key != control_key && params_.deflate &&
                input.substr(0, end).find("permessage-deflate") == input.npos)
                throw std::runtime_error("the server does not compress");
            shaken(c, key);
        }
        websocket::frame_head head;
        while (websocket::read_head(input.data() + used, input.size() - used, head) &&
               input.size() - used - head.size >= head.payload) {
            frame(c, key, head, input.substr(used + head.size, static_cast<std::size_t>(head.payload)));
            used += head.size + static_cast<std::size_t>(head.payload);
        }
        return used;
    }

    void shaken(client& c, std::uint64_t key) {
        if (key == control_key)
            c.state = client::ready;
        else
            begin(c, key, names_of(c));
    }

    /// The dialect has the word.
    void begin(client& c, std::uint64_t key, const topic_names& names) {
        c.state = client::subscribing;
        c.replies = static_cast<std::uint32_t>(dialect_->confirmed(names.size()));
        if (const auto hello = dialect_->hello(names); !hello.empty())
            send(c, hello);
        if (c.replies == 0)
            became_ready(c, key);
    }

    [[nodiscard]] static topic_names names_of(const client& c) {
        topic_names names;
        for (std::uint32_t i = 0; i != c.count; ++i)
            names.push_back(topic_name(c.topics[i]));
        return names;
    }

    void became_ready(client& c, std::uint64_t key) {
        c.state = client::ready;
        ++ready_;
        if (c.stuck)
            rearm(c, key, 0); // errors are still told
    }

    void frame(client& c, std::uint64_t key, const websocket::frame_head& head, std::string_view payload) {
        if (head.code <= websocket::binary) {
            if (head.last && !c.split)
                return message(c, key, head.code, payload, head.compressed);
            if (!c.split) {
                c.assembly.assign(1, static_cast<char>(head.code));
                c.packed = head.compressed;
            }
            c.split = !head.last;
            c.assembly += payload;
            if (head.last)
                message(
                    c, key, static_cast<unsigned char>(c.assembly[0]), std::string_view(c.assembly).substr(1),
                    c.packed);
        } else if (head.code == websocket::ping) {
            ++pings_;
            std::string pong;
            websocket::append_frame(pong, websocket::pong, payload, true);
            send(c, pong);
        }
        // A close frame is followed by the end of the stream, which is what counts.
    }

    void message(client& c, std::uint64_t key, unsigned char code, std::string_view text, bool packed) {
        if (packed) {
            const auto plain = params_.deflate ? inflate_(text) : std::nullopt;
            if (!plain) {
                ++tallies_[c.stuck].bad;
                return;
            }
            text = *plain;
        }
        if (key == control_key)
            answers_.emplace_back(text);
        else if (listen(c, key, text, code) != text.size())
            ++tallies_[c.stuck].bad;
    }

    static std::string printable(std::string_view bytes) {
        std::string text(bytes.substr(0, 200));
        std::replace_if(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '.');
        return text;
    }

    void confirmed(client& c, std::uint64_t key, std::uint64_t count) {
        if (c.state != client::subscribing)
            return;
        c.replies -= static_cast<std::uint32_t>(std::min<std::uint64_t>(c.replies, count));
        if (c.replies == 0)
            became_ready(c, key);
    }

    /// Handles all that the dialect finds in `input`; the bytes that are done with.
    std::size_t listen(client& c, std::uint64_t key, std::string_view input, unsigned char code) {
        std::size_t used = 0;
        do {
            const auto found = dialect_->next(input.substr(used), code, say_);
            if (found.what == step::incomplete)
                break;
            used += found.used;
            switch (found.what) {
            case step::delivery: delivery(c, found.text); break;
            case step::gap:
                tallies_[c.stuck].announced += found.count;
                delivered_ = true;
                break;
            case step::greeted: say_ += dialect_->subscribe(names_of(c), found.text); break;
            case step::subscribed: confirmed(c, key, found.count); break;
            case step::refused:
            case step::bad:
                if (c.state == client::subscribing)
                    throw std::runtime_error("subscribe was answered with: " + printable(input));
                ++tallies_[c.stuck].bad;
                break;
            case step::incomplete:
            case step::other: break;
            }
            if (!say_.empty()) {
                send(c, say_);
                say_.clear();
            }
        } while (used < input.size());
        return used;
    }

    void delivery(client& c, std::string_view payload) {
        auto& sum = tallies_[c.stuck];
        std::uint64_t word[2] = {};
        if (payload.size() != order_.bytes || !read_stamp(payload, word)) {
            ++sum.bad;
            return;
        }
        const auto [sequence, time] = word;
        if (sequence != c.next && !catch_up(c, sum, sequence))
            return;
        advance(c);
        ++sum.received;
        delivered_ = true;
        if (sequence < order_.per_turn)
            first_ns_ = std::min(first_ns_, time);
        if (order_.rate != 0 && !c.stuck)
            latency_->add(now_ns_ > time ? now_ns_ - time : 0);
    }

    /// Something else than the next message came: whether it is a later one, and those between are lost.
    bool catch_up(client& c, tally& sum, std::uint64_t sequence) const noexcept {
        const auto topic = static_cast<std::uint32_t>(sequence % order_.topics);
        if (!std::binary_search(c.topics, c.topics + c.count, topic)) {
            ++sum.foreign;
            return false;
        }
        if (sequence < c.next) {
            ++sum.disorder;
            return false;
        }
        if (sequence - c.next > max_gap) {
            ++sum.bad;
            return false;
        }
        while (c.next < sequence)
            advance(c);
        return true;
    }

    bool read_stamp(std::string_view payload, std::uint64_t (&word)[2]) const noexcept {
        if (order_.stamp == stamp::binary) {
            std::memcpy(word, payload.data(), 16);
        } else {
            for (std::size_t i = 0; i != 2; ++i) {
                const char* const from = payload.data() + 16 * i;
                if (std::from_chars(from, from + 16, word[i], 16).ptr != from + 16)
                    return false;
            }
        }
        return payload.size() == stamp_size(order_.stamp) || payload.back() == 'x';
    }

    void advance(client& c) const noexcept {
        if (++c.at == c.count) {
            c.at = 0;
            c.base += order_.topics;
        }
        c.next = c.base + c.topics[c.at];
    }

    static void rewind(client& c) noexcept {
        c.base = 0;
        c.at = 0;
        c.next = c.topics[0];
    }

    /// Each session is due its share of messages 0 to `messages` - 1.
    void expect(std::uint64_t messages) {
        for (const auto& c : clients_) {
            const auto part =
                std::lower_bound(c.topics, c.topics + c.count, messages % order_.topics) - c.topics;
            tallies_[c.stuck].expected +=
                messages / order_.topics * c.count + static_cast<std::uint64_t>(part);
        }
    }

    fleet_params params_;
    std::unique_ptr<dialect> dialect_;
    std::string say_;
    std::vector<std::uint32_t> plan_;
    unique_fd epoll_;
    client control_;
    std::deque<client> clients_;
    std::deque<std::string> answers_;
    std::vector<char> buffer_ = std::vector<char>(256 * 1024);
    publish_order order_;
    histogram* latency_ = nullptr;
    std::array<tally, 2> tallies_; // readers, stuck
    std::uint64_t ready_ = 0;
    std::uint64_t lost_ = 0; // sessions that the server closed
    std::uint64_t now_ns_ = 0, first_ns_ = 0, last_ns_ = 0;
    std::uint64_t pings_ = 0;
    inflater inflate_;
    bool delivered_ = false;
};

} // namespace bench
