// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The raw limit: what a machine can do at most, by a bare epoll loop with nothing that a real broker needs
// around it. The frames that a topic gets in a turn are one contiguous log, and a session on one topic is
// sent the log itself with one `send` per turn. A session on several topics gets copies in a buffer of its
// own, which is a baseline, not a limit.

#include "support/control.hpp"
#include "support/native.hpp"
#include "support/options.hpp"
#include "support/system.hpp"
#include "support/websocket.hpp"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using namespace bench;

using slot = std::uint32_t;

/// What a session speaks: `raw`, `native` and `control` are on WebSocket, `events` is a response of HTTP that
/// never ends, `lines` and `frames` are on TCP itself.
enum class kind : unsigned char { handshake, control, raw, native, events, lines, frames };

constexpr std::array dialects{kind::raw, kind::native, kind::events, kind::lines, kind::frames};

constexpr std::size_t place_of(kind k) noexcept {
    return static_cast<std::size_t>(k) - static_cast<std::size_t>(dialects.front());
}

/// The frames of one topic for one dialect, back to the slowest session that still needs them.
struct run {
    std::string bytes;         // begins with a whole frame
    std::uint64_t base = 0;    // position of the first byte since the topic was made
    std::vector<slot> readers; // on this topic alone: they are sent `bytes` itself
    std::vector<slot> copiers; // on several topics
    bool touched = false;

    [[nodiscard]] bool wanted() const noexcept { return !readers.empty() || !copiers.empty(); }
    [[nodiscard]] std::uint64_t end() const noexcept { return base + bytes.size(); }
};

struct topic {
    std::string name;
    std::array<run, dialects.size()> runs;

    run& of(kind k) noexcept { return runs[place_of(k)]; }
};

void append_length(std::string& out, std::size_t size) {
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>(size >> shift & 0xFF);
}

/// The size of the first message of the raw dialect on TCP, with its length; 0 while that is not complete.
std::size_t framed_size(std::string_view input) noexcept {
    if (input.size() < 4)
        return 0;
    std::size_t size = 0;
    for (std::size_t i = 0; i != 4; ++i)
        size = size << 8 | static_cast<unsigned char>(input[i]);
    return 4 + size;
}

/// The size of the first frame of a run; 0 at its end.
std::size_t first_frame(kind k, std::string_view bytes) noexcept {
    if (bytes.empty())
        return 0;
    if (k == kind::events)
        return bytes.find("\n\n") + 2;
    if (k == kind::lines)
        return bytes.find('\n') + 1;
    if (k == kind::frames)
        return framed_size(bytes);
    websocket::frame_head head;
    websocket::read_head(bytes.data(), bytes.size(), head);
    return head.size + static_cast<std::size_t>(head.payload);
}

struct session {
    std::uint64_t position = 0; // in the run of the only topic
    std::string in;
    std::string out; // goes before what is left of the run
    std::size_t sent = 0;
    std::vector<topic*> topics;
    unique_fd fd;
    slot blocked_at = 0; // in the list of blocked sessions
    kind what = kind::handshake;
    bool blocked = false;
    bool touched = false;
    bool counted = false; // as a session
    bool dead = false;
};

class server {
public:
    server(std::uint16_t port, std::uint64_t window, std::uint64_t outbox, int sndbuf)
        : window_(window),
          outbox_(outbox),
          sndbuf_(sndbuf) {
        epoll_ = unique_fd(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
        timer_ = unique_fd(check(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd"));
        watch(timer_.get(), EPOLLIN, timer_key);
        const auto http = listen(port, kind::handshake);
        const auto lines = listen(0, kind::lines);
        announce(http, lines, listen(0, kind::frames));
    }

    [[noreturn]] void serve() {
        std::vector<epoll_event> events(1024);
        for (;;) {
            const int timeout = job_ && may_publish() ? 0 : -1;
            const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
            if (n < 0 && errno != EINTR)
                check(n, "epoll_wait");
            for (int i = 0; i < n; ++i)
                handle(events[static_cast<std::size_t>(i)]);
            reap();
            if (job_ && may_publish())
                turn();
        }
    }

private:
    /// A listener's key is less by the kind of its sessions.
    static constexpr std::uint64_t listener_key = ~std::uint64_t{0};
    static constexpr std::uint64_t timer_key = listener_key - 256;

    std::uint16_t listen(std::uint16_t port, kind sessions) {
        unique_fd fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
        set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
        auto at = ipv4(INADDR_LOOPBACK, port);
        check(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), "bind");
        check(::listen(fd.get(), SOMAXCONN), "listen");
        socklen_t size = sizeof at;
        check(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size), "getsockname");
        watch(fd.get(), EPOLLIN, listener_key - static_cast<std::uint64_t>(sessions));
        listeners_[static_cast<std::size_t>(sessions)] = std::move(fd);
        return ntohs(at.sin_port);
    }

    void watch(int fd, std::uint32_t what, std::uint64_t key) {
        epoll_event event{};
        event.events = what;
        event.data.u64 = key;
        check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }

    void handle(const epoll_event& event) {
        if (event.data.u64 > timer_key)
            return accept(static_cast<kind>(listener_key - event.data.u64));
        if (event.data.u64 == timer_key) {
            std::uint64_t expired = 0;
            timer_armed_ = ::read(timer_.get(), &expired, sizeof expired) <= 0 && timer_armed_;
            return;
        }
        const auto at = static_cast<slot>(event.data.u64);
        auto& s = sessions_[at];
        if ((event.events & EPOLLOUT) != 0 && s.blocked) {
            unblock(s);
            flush(at);
        }
        if ((event.events & ~std::uint32_t{EPOLLOUT}) != 0)
            receive(at);
    }

    // ---- sessions

    void accept(kind what) {
        const auto listener = listeners_[static_cast<std::size_t>(what)].get();
        for (;;) {
            unique_fd fd(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!fd) {
                if (errno == EAGAIN || errno == ECONNABORTED)
                    return;
                check(-1, "accept");
            }
            set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
            if (sndbuf_ != 0)
                set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, sndbuf_, "SO_SNDBUF");
            slot at = static_cast<slot>(sessions_.size());
            if (free_.empty()) {
                sessions_.emplace_back();
            } else {
                at = free_.back();
                free_.pop_back();
            }
            // Edge triggered: neither a blocked session nor a drained one costs an epoll_ctl.
            watch(fd.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, at);
            sessions_[at].fd = std::move(fd);
            sessions_[at].what = what;
            if (what == kind::lines)
                count(sessions_[at]);
        }
    }

    void count(session& s) noexcept {
        s.counted = true;
        ++open_;
    }

    void kill(slot at) {
        if (!std::exchange(sessions_[at].dead, true))
            dead_.push_back(at);
    }

    void reap() {
        for (const auto at : dead_) {
            auto& s = sessions_[at];
            for (auto* t : s.topics) {
                std::erase(t->of(s.what).readers, at);
                std::erase(t->of(s.what).copiers, at);
            }
            subscriptions_ -= s.topics.size();
            open_ -= s.counted ? 1U : 0U;
            if (s.blocked)
                unblock(s);
            if (job_ && job_owner_ == at)
                job_.reset();
            s = session{};
            free_.push_back(at);
        }
        dead_.clear();
    }

    void subscribe(slot at, std::string_view name) {
        auto& s = sessions_[at];
        auto [found, fresh] = topic_by_name_.try_emplace(std::string(name), nullptr);
        if (fresh) {
            found->second = &topics_.emplace_back();
            found->second->name = name;
        }
        auto* t = found->second;
        if (std::find(s.topics.begin(), s.topics.end(), t) != s.topics.end())
            return;
        s.topics.push_back(t);
        ++subscriptions_;
        auto& r = t->of(s.what);
        if (s.topics.size() == 1) {
            r.readers.push_back(at);
            s.position = r.end();
            return;
        }
        if (s.topics.size() == 2) { // what it has not had of the first topic becomes its own
            auto& first = s.topics.front()->of(s.what);
            s.out.append(first.bytes, s.position - first.base);
            std::erase(first.readers, at);
            first.copiers.push_back(at);
        }
        r.copiers.push_back(at);
    }

    // ---- input

    void receive(slot at) {
        auto& s = sessions_[at];
        for (;;) {
            const auto n = ::recv(s.fd.get(), buffer_.data(), buffer_.size(), 0);
            if (n < 0 && errno == EAGAIN)
                break;
            if (n <= 0)
                return kill(at);
            s.in.append(buffer_.data(), static_cast<std::size_t>(n));
            if (static_cast<std::size_t>(n) < buffer_.size())
                break;
        }
        if (s.what == kind::handshake && !shake_hands(at))
            return;
        const auto used = s.what == kind::lines    ? read_lines(at)
                          : s.what == kind::frames ? read_query(at)
                          : s.what == kind::events ? s.in.size()
                                                   : read_frames(at);
        s.in.erase(0, used);
        if (s.in.empty())
            std::string().swap(s.in);
    }

    /// Handles what is there whole; its size.
    std::size_t read_frames(slot at) {
        auto& s = sessions_[at];
        std::size_t used = 0;
        websocket::frame_head head;
        while (!s.dead && websocket::read_head(s.in.data() + used, s.in.size() - used, head) &&
               s.in.size() - used - head.size >= head.payload) {
            char* const payload = s.in.data() + used + head.size;
            if (head.masked)
                websocket::unmask(payload, head);
            frame(at, head.code, {payload, static_cast<std::size_t>(head.payload)});
            used += head.size + static_cast<std::size_t>(head.payload);
        }
        return used;
    }

    std::size_t read_lines(slot at) {
        const std::string_view in = sessions_[at].in;
        std::size_t used = 0;
        for (auto end = in.find('\n'); end != in.npos; end = in.find('\n', used)) {
            request(at, in.substr(used, end - used));
            used = end + 1;
        }
        return used;
    }

    /// The first message says what is wanted; nothing follows.
    std::size_t read_query(slot at) {
        auto& s = sessions_[at];
        const auto size = framed_size(s.in);
        if (s.counted || size == 0 || s.in.size() < size)
            return s.counted ? s.in.size() : 0;
        count(s);
        const auto query = '?' + s.in.substr(4, size - 4);
        for (const auto name : websocket::topics_of(query))
            subscribe(at, name);
        return size;
    }

    bool shake_hands(slot at) {
        auto& s = sessions_[at];
        const auto end = s.in.find("\r\n\r\n");
        if (end == s.in.npos)
            return false;
        const std::string request = s.in.substr(0, end + 2);
        s.in.erase(0, end + 4);
        static constexpr std::string_view label = "\r\nSec-WebSocket-Key: ";
        const auto key = request.find(label);
        const auto target_end = request.find(' ', 4);
        const std::string_view target = std::string_view(request).substr(4, target_end - 4);
        const auto path = websocket::path_of(target);
        if (path == "/raw")
            s.what = kind::raw;
        else if (path == "/ws")
            s.what = kind::native;
        else if (path == "/control")
            s.what = kind::control;
        else if (path == "/events" && websocket::topics_of(target).size() == 1)
            s.what = kind::events;
        if (s.what == kind::handshake || (key == request.npos && s.what != kind::events)) {
            kill(at);
            return false;
        }
        if (s.what != kind::control)
            count(s);
        if (s.what == kind::events) {
            s.out = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n";
            subscribe(at, websocket::topics_of(target).front());
            flush(at);
            return true;
        }
        const auto key_at = key + label.size();
        s.out = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Accept: " +
                websocket::answer_to(
                    std::string_view(request).substr(key_at, request.find('\r', key_at) - key_at)) +
                "\r\n\r\n";
        if (s.what == kind::raw)
            for (const auto name : websocket::topics_of(target))
                subscribe(at, name);
        flush(at);
        return true;
    }

    void frame(slot at, unsigned char code, std::string_view payload) {
        if (code == websocket::closing)
            return kill(at);
        if (code != websocket::text)
            return;
        const auto what = sessions_[at].what;
        if (what == kind::native)
            request(at, payload);
        else if (what == kind::control)
            command(at, payload);
    }

    void request(slot at, std::string_view text) {
        const auto name = native::topic_of(text);
        if (!name.empty())
            subscribe(at, name);
        reply(at, native::reply(!name.empty()));
    }

    void reply(slot at, std::string_view text) {
        auto& s = sessions_[at];
        cut(s);
        if (s.what == kind::lines)
            (s.out += text) += '\n';
        else
            websocket::append_frame(s.out, websocket::text, text);
        if (!sessions_[at].blocked)
            flush(at);
    }

    // ---- output

    static bool has_run(const session& s) noexcept { return s.topics.size() == 1; }

    static std::uint64_t backlog(const session& s) noexcept {
        return s.out.size() - s.sent + (has_run(s) ? s.topics.front()->of(s.what).end() - s.position : 0);
    }

    void block(slot at) {
        auto& s = sessions_[at];
        s.blocked = true;
        s.blocked_at = static_cast<slot>(blocked_.size());
        blocked_.push_back(at);
    }

    void unblock(session& s) {
        s.blocked = false;
        sessions_[blocked_.back()].blocked_at = s.blocked_at;
        blocked_[s.blocked_at] = blocked_.back();
        blocked_.pop_back();
    }

    /// One `send`; what was taken, and a session that did not take it all is blocked.
    std::size_t send(slot at, const char* data, std::size_t size) {
        auto& s = sessions_[at];
        const auto n = ::send(s.fd.get(), data, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            kill(at);
            return 0;
        }
        if (n < static_cast<ssize_t>(size))
            block(at);
        return n < 0 ? 0 : static_cast<std::size_t>(n);
    }

    void flush(slot at) {
        auto& s = sessions_[at];
        if (s.dead || s.blocked)
            return;
        if (s.sent != s.out.size()) {
            s.sent += send(at, s.out.data() + s.sent, s.out.size() - s.sent);
            if (s.sent != s.out.size())
                return;
            s.out.clear();
            s.sent = 0;
            if (!job_)
                std::string().swap(s.out);
        }
        if (has_run(s)) {
            const auto& r = s.topics.front()->of(s.what);
            const auto from = s.position - r.base;
            if (from != r.bytes.size())
                s.position += send(at, r.bytes.data() + from, r.bytes.size() - from);
        }
    }

    /// The start of the first whole frame at or after `offset`.
    static std::size_t
    boundary(kind k, std::string_view bytes, std::size_t offset, std::uint64_t* frames_after = nullptr) {
        std::size_t at = 0;
        std::size_t found = bytes.size();
        while (const auto size = first_frame(k, bytes.substr(at))) {
            if (at >= offset) {
                found = std::min(found, at);
                if (frames_after == nullptr)
                    break;
                ++*frames_after;
            }
            at += size;
        }
        return found;
    }

    /// Takes the rest of a frame that is half sent out of the run, so that something may follow it.
    static void cut(session& s) {
        if (!has_run(s) || s.sent != s.out.size())
            return;
        const auto& r = s.topics.front()->of(s.what);
        const auto from = static_cast<std::size_t>(s.position - r.base);
        const auto to = boundary(s.what, r.bytes, from);
        s.out.append(r.bytes, from, to - from);
        s.position = r.base + to;
    }

    void drop(session& s) {
        cut(s);
        if (!has_run(s))
            return;
        const auto& r = s.topics.front()->of(s.what);
        boundary(s.what, r.bytes, static_cast<std::size_t>(s.position - r.base), &dropped_);
        s.position = r.end();
    }

    // ---- publishing

    void command(slot at, std::string_view line) {
        if (line == "count")
            return reply(at, count_line(open_, subscriptions_));
        const auto order = parse_publish(line);
        if (!order || job_)
            return reply(at, job_ ? "fail busy" : "fail not a command");
        numbered_.assign(order->topics, nullptr);
        for (std::size_t i = 0; i != numbered_.size(); ++i)
            if (const auto found = topic_by_name_.find(topic_name(i)); found != topic_by_name_.end())
                numbered_[i] = found->second;
        waits_ = peak_ = dropped_ = 0;
        waiting_ = false;
        timer_armed_ = false;
        job_owner_ = at;
        job_.emplace(*order);
    }

    /// Whether the next turn is due and flow control admits it.
    bool may_publish() {
        if (job_->finished()) // only waits for its answer, which `turn` gives
            return true;
        if (const auto due = job_->due(); due > steady_ns()) {
            if (!std::exchange(timer_armed_, true)) {
                itimerspec when{};
                when.it_value.tv_sec = static_cast<time_t>(due / 1'000'000'000U);
                when.it_value.tv_nsec = static_cast<long>(due % 1'000'000'000U);
                check(::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr), "timerfd_settime");
            }
            return false;
        }
        if (job_->order().overflow == overflow::drop)
            return true;
        for (const auto at : blocked_) {
            const auto bytes = backlog(sessions_[at]);
            peak_ = std::max(peak_, bytes);
            if (bytes > window_) {
                waits_ += std::exchange(waiting_, true) ? 0U : 1U;
                return false;
            }
        }
        waiting_ = false;
        return true;
    }

    void turn() {
        if (!job_->finished()) {
            if (job_->order().overflow == overflow::drop)
                for (const auto at : blocked_)
                    if (auto& s = sessions_[at]; backlog(s) > outbox_) {
                        peak_ = std::max(peak_, backlog(s));
                        drop(s);
                    }
            job_->turn([this](std::uint32_t number, std::string_view payload) { publish(number, payload); });
            flush_turn();
        }
        if (job_->finished()) {
            const auto answer = job_->done(waits_, peak_, dropped_);
            job_.reset();
            reply(job_owner_, answer);
        }
    }

    void publish(std::uint32_t number, std::string_view payload) {
        ++published_;
        auto* const t = numbered_[number];
        if (t == nullptr)
            return;
        for (const auto k : dialects)
            if (auto& r = t->of(k); r.wanted())
                publish(r, k, t->name, payload);
    }

    void append_frame(std::string& out, kind k, std::string_view name, std::string_view payload) {
        if (k == kind::raw) {
            websocket::append_frame(out, websocket::binary, payload);
        } else if (k == kind::native) {
            push_.clear();
            native::append_push(push_, name, payload, published_);
            websocket::append_frame(out, websocket::text, push_);
        } else if (k == kind::events) {
            ((out += "event: message\ndata: ") += payload) += "\n\n";
        } else if (k == kind::lines) {
            native::append_push(out, name, payload, published_);
            out += '\n';
        } else {
            append_length(out, payload.size());
            out += payload;
        }
    }

    void publish(run& r, kind k, std::string_view name, std::string_view payload) {
        if (!std::exchange(r.touched, true))
            touched_runs_.emplace_back(&r, k);
        if (!r.readers.empty())
            append_frame(r.bytes, k, name, payload);
        if (r.copiers.empty())
            return;
        frame_.clear();
        append_frame(frame_, k, name, payload);
        for (const auto at : r.copiers) {
            auto& s = sessions_[at];
            if (s.blocked && job_->order().overflow == overflow::drop && s.out.size() - s.sent > outbox_) {
                ++dropped_;
                continue;
            }
            s.out += frame_;
            if (!std::exchange(s.touched, true))
                touched_sessions_.push_back(at);
        }
    }

    void flush_turn() {
        for (const auto& [r, k] : touched_runs_) {
            r->touched = false;
            auto slowest = r->end();
            for (const auto at : r->readers) {
                flush(at);
                slowest = std::min(slowest, sessions_[at].position);
            }
            if (slowest == r->end()) {
                r->base = slowest;
                r->bytes.clear();
            } else if (r->bytes.size() > 2 * std::max(window_, outbox_) + 1024 * 1024) {
                forget(*r, k, static_cast<std::size_t>(slowest - r->base));
            }
        }
        touched_runs_.clear();
        for (const auto at : touched_sessions_) {
            sessions_[at].touched = false;
            flush(at);
        }
        touched_sessions_.clear();
    }

    /// Forgets the frames that nobody needs any more, of which all bytes lie before `offset`.
    static void forget(run& r, kind k, std::size_t offset) {
        const std::string_view bytes = r.bytes;
        std::size_t at = 0;
        for (std::size_t size = 0; (size = first_frame(k, bytes.substr(at))) != 0 && at + size <= offset;)
            at += size;
        r.bytes.erase(0, at);
        r.base += at;
    }

    std::uint64_t window_, outbox_;
    int sndbuf_;
    unique_fd epoll_, timer_;
    std::array<unique_fd, static_cast<std::size_t>(kind::frames) + 1> listeners_; // by what speaks there
    std::deque<session> sessions_;
    std::vector<slot> free_, dead_, blocked_, touched_sessions_;
    std::vector<std::pair<run*, kind>> touched_runs_;
    std::deque<topic> topics_;
    std::unordered_map<std::string, topic*> topic_by_name_;
    std::vector<topic*> numbered_; // the topics of the command, by number
    std::optional<publish_job> job_;
    slot job_owner_ = 0;
    bool timer_armed_ = false;
    bool waiting_ = false;
    std::uint64_t waits_ = 0, peak_ = 0, dropped_ = 0, published_ = 0;
    std::uint64_t open_ = 0, subscriptions_ = 0;
    std::string push_, frame_;
    std::vector<char> buffer_ = std::vector<char>(64 * 1024);
};

constexpr const char* usage =
    "rival_raw [--port P] [--window BYTES] [--outbox BYTES] [--sndbuf BYTES]\n"
    "  --port    port on 127.0.0.1; 0, the default, takes a free one\n"
    "  --window  overflow=wait: publish the next turn once no session has more waiting (65536)\n"
    "  --outbox  overflow=drop: a session with more waiting loses messages (1048576)\n"
    "  --sndbuf  SO_SNDBUF of each session; 0, the default, leaves it to the system\n";

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    const auto port = given.port("--port");
    const auto window = given.number("--window", 64 * 1024);
    const auto outbox = given.number("--outbox", 1024 * 1024);
    const auto sndbuf = static_cast<int>(given.number("--sndbuf", 0));
    given.done();
    try {
        raise_descriptor_limit();
        server(port, window, outbox, sndbuf).serve();
    } catch (const std::exception& e) {
        std::fprintf(stderr, "rival_raw: %s\n", e.what());
        return 1;
    }
}
