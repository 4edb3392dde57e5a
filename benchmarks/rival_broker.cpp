// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A broker that somebody else wrote, as a server under test: this starts it, publishes to it through a
// connection of its own, and answers the control protocol for it. Flow control is by what comes back: one
// more connection subscribes to everything, and when it has got all of a turn, the next is published. So the
// broker gets K messages at a time, as others publish K in a turn.

#include "support/control.hpp"
#include "support/dialects.hpp"
#include "support/options.hpp"
#include "support/system.hpp"
#include "support/websocket.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace bench;

constexpr std::uint64_t patience_ns = 10'000'000'000; // to start, and to bring what was published

unique_fd tcp_socket() {
    return unique_fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
}

unique_fd listening() {
    auto fd = tcp_socket();
    const auto at = ipv4(INADDR_LOOPBACK, 0);
    check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), "bind");
    check(::listen(fd.get(), 16), "listen");
    return fd;
}

std::uint16_t port_of(const unique_fd& fd) {
    sockaddr_in at{};
    socklen_t size = sizeof at;
    check(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size), "getsockname");
    return ntohs(at.sin_port);
}

/// A connection, and what came on it that is not dealt with yet.
struct peer {
    unique_fd fd;
    std::string in;

    void send(std::string_view bytes) const {
        while (!bytes.empty())
            bytes.remove_prefix(static_cast<std::size_t>(
                check(static_cast<int>(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL)), "send")));
    }
    /// False at the end.
    bool receive() {
        static std::array<char, 256 * 1024> buffer;
        const auto n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (n > 0)
            in.append(buffer.data(), static_cast<std::size_t>(n));
        return n > 0;
    }
};

/// The broker's process, which ends with this one.
class broker {
public:
    broker(std::string command, std::uint16_t port) : port_(port) {
        for (auto at = command.find("PORT"); at != command.npos; at = command.find("PORT"))
            command.replace(at, 4, std::to_string(port));
        const auto parent = ::getpid();
        pid_ = check(::fork(), "fork");
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGTERM);
            if (::getppid() == parent) {
                ::dup2(STDERR_FILENO, STDOUT_FILENO); // what it says is no answer of ours
                ::execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
            }
            ::_exit(127);
        }
    }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// Once it accepts connections.
    [[nodiscard]] peer connect() const {
        const auto to = ipv4(INADDR_LOOPBACK, port_);
        for (const auto until = steady_ns() + patience_ns; steady_ns() < until; ::usleep(5'000)) {
            peer p{tcp_socket(), {}};
            if (::connect(p.fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
                set_option(p.fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
                return p;
            }
            if (::waitpid(pid_, nullptr, WNOHANG) != 0)
                throw std::runtime_error("the broker ended at once");
        }
        throw std::runtime_error("the broker does not accept connections");
    }

private:
    std::uint16_t port_;
    pid_t pid_ = 0;
};

class program {
public:
    program(
        const std::string& name, std::unique_ptr<dialect> speaks, std::string command, std::uint64_t window)
        : dialect_(std::move(speaks)),
          window_(window),
          door_(listening()),
          port_(port_of(listening())), // free again, and with some luck until the broker takes it
          broker_(std::move(command), port_),
          out_(broker_.connect()),
          back_(broker_.connect()) {
        out_.send(dialect_->hello({}));
        back_.send(dialect_->hello_all());
        std::printf(
            "listening 127.0.0.1:%u sessions=%u dialect=%s pids=%d,%d\n", unsigned{port_of(door_)},
            unsigned{port_}, name.c_str(), broker_.pid(), ::getpid());
        std::fflush(stdout);
    }

    void run() {
        for (;;) {
            std::array<pollfd, 4> fds{
                pollfd{door_.get(), POLLIN, 0}, pollfd{out_.fd.get(), POLLIN, 0},
                pollfd{back_.fd.get(), POLLIN, 0}, pollfd{control_.fd.get(), POLLIN, 0}};
            const auto wait = until_next_turn();
            const timespec left{
                static_cast<time_t>(wait / 1'000'000'000U), static_cast<long>(wait % 1'000'000'000U)};
            if (::ppoll(fds.data(), fds.size(), &left, nullptr) < 0 && errno != EINTR)
                check(-1, "ppoll");
            if (fds[0].revents != 0)
                accept();
            if (fds[1].revents != 0)
                read(out_, [](std::string_view) {});
            if (fds[2].revents != 0)
                read(back_, [this](std::string_view) { ++came_back_; });
            if (fds[3].revents != 0 && fds[0].revents == 0)
                read_control();
            if (job_)
                advance();
        }
    }

private:
    /// Reads what a connection to the broker brings.
    template <class Delivery>
    void read(peer& from, Delivery&& delivery) {
        if (!from.receive())
            throw std::runtime_error("the broker closed a connection");
        std::size_t used = 0;
        std::string say;
        while (used != from.in.size()) {
            const auto found = dialect_->next(std::string_view(from.in).substr(used), 0, say);
            if (found.what == step::incomplete)
                break;
            if (found.what == step::refused || found.what == step::bad)
                throw std::runtime_error("the broker said: " + from.in);
            if (found.what == step::delivery)
                delivery(found.text);
            used += found.used;
        }
        from.in.erase(0, used);
        from.send(say);
    }

    [[nodiscard]] std::uint64_t on_the_way() const noexcept { return sent_ - came_back_; }
    [[nodiscard]] bool admitted() const noexcept {
        return job_->order().overflow == overflow::drop || on_the_way() <= window_;
    }
    [[nodiscard]] std::uint64_t until_next_turn() const noexcept {
        const auto now = steady_ns();
        if (!job_ || !admitted() || job_->finished())
            return patience_ns;
        return std::max(now, job_->due()) - now;
    }

    void advance() {
        if (job_->finished()) {
            // The last of it may take as long as it needs, but not for ever.
            if (on_the_way() != 0 && steady_ns() < last_ns_ + patience_ns)
                return;
            say(job_->done(waits_, 0, 0));
            job_.reset();
        } else if (!admitted()) {
            waits_ += std::exchange(waiting_, true) ? 0U : 1U;
        } else if (job_->due() <= steady_ns()) {
            batch_.clear();
            job_->turn([this](std::uint32_t topic, std::string_view payload) {
                dialect_->append_publish(batch_, names_[topic], payload);
                ++sent_;
            });
            out_.send(batch_);
            last_ns_ = steady_ns();
            waiting_ = false;
        }
    }

    // ---- the control connection

    void accept() {
        control_ = {unique_fd(check(::accept(door_.get(), nullptr, nullptr), "accept")), {}};
        upgraded_ = false;
        job_.reset();
    }

    void read_control() {
        if (!control_.receive()) {
            control_ = {};
            job_.reset();
            return;
        }
        auto& in = control_.in;
        if (!upgraded_) {
            static constexpr std::string_view label = "Sec-WebSocket-Key: ";
            const auto end = in.find("\r\n\r\n");
            if (end == in.npos)
                return;
            const auto key = in.find(label) + label.size();
            control_.send(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Accept: " +
                websocket::answer_to(in.substr(key, in.find('\r', key) - key)) + "\r\n\r\n");
            in.erase(0, end + 4);
            upgraded_ = true;
        }
        websocket::frame_head head;
        while (websocket::read_head(in.data(), in.size(), head) && in.size() - head.size >= head.payload) {
            auto text = in.substr(head.size, static_cast<std::size_t>(head.payload));
            if (head.masked)
                websocket::unmask(text.data(), head);
            in.erase(0, head.size + text.size());
            if (head.code == websocket::text)
                command(text);
        }
    }

    void say(std::string_view line) const {
        std::string frame;
        websocket::append_frame(frame, websocket::text, line);
        control_.send(frame);
    }

    void command(std::string_view line) {
        if (line == "count")
            return say("count unknown");
        const auto order = parse_publish(line);
        if (!order || job_)
            return say(job_ ? "fail busy" : "fail not a command");
        while (names_.size() < order->topics)
            names_.push_back(topic_name(names_.size()));
        sent_ = came_back_ = waits_ = 0;
        waiting_ = false;
        last_ns_ = steady_ns();
        job_.emplace(*order);
    }

    std::unique_ptr<dialect> dialect_;
    std::uint64_t window_;
    unique_fd door_;
    std::uint16_t port_;
    broker broker_;
    peer out_, back_, control_;
    bool upgraded_ = false;
    std::optional<publish_job> job_;
    topic_names names_;
    std::string batch_;
    std::uint64_t sent_ = 0, came_back_ = 0, waits_ = 0, last_ns_ = 0;
    bool waiting_ = false;
};

constexpr const char* usage =
    "rival_broker --dialect nats|redis|mqtt --command COMMAND [--window MESSAGES]\n"
    "  --command  starts the broker in the foreground on 127.0.0.1, on the port that stands for PORT in it\n"
    "  --window   overflow=wait: publish the next turn while no more are on their way (128, which is when "
    "the\n"
    "             library makes a publisher wait); nor more than 512 KiB\n";

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    const auto name = given.text("--dialect", "");
    const auto command = given.text("--command", "");
    const auto window = given.number("--window", 0);
    given.done();
    auto speaks = make_dialect(name);
    if (!speaks || !speaks->target({}).empty() || command.empty())
        given.fail("needed: ", "--dialect and --command");
    try {
        raise_descriptor_limit();
        program(name, std::move(speaks), command, window).run();
    } catch (const std::exception& e) {
        std::fprintf(stderr, "rival_broker: %s\n", e.what());
        return 1;
    }
}
