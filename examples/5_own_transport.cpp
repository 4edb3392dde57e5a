// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A transport of your own, step by step: the native dialect on standard input and output. What starts this
// program (ssh, inetd, socat, a parent with two pipes) is a peer like any other, beside those on TCP.
//
//   5_own_transport [TCP_PORT]      # 9000 unless given; ends with its input, or by Ctrl-C
//
// Type a line, or let a program say it:
//
//   {"action":"subscribe","params":{"topic":"chat"}}
//   echo '{"action":"publish","params":{"topic":"chat","payload":"from a pipe"}}' | 5_own_transport 0
//
// and from another window: nc 127.0.0.1 9000

#include <pusher/broker.hpp>
#include <pusher/transport/line_link.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/system/system_error.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
using pusher::error_code;

namespace {

// Step 1: the channel. It moves bytes and knows nothing else; whatever speaks over channels (lines, HTTP,
// WebSocket) can speak over this one. There are three rules:
//
//  - `write` never waits: it takes what can be sent now, and once there is room again it calls `at_writable`.
//  - The user is called from the event loop only, never from inside a function that the user has called.
//  - After `close`, nothing is reported. What is still pending keeps the channel alive, and finds no user.

/// Two descriptors as one connection: pipes, a terminal, a serial line.
class pipe_channel final : public pusher::channel {
public:
    /// Takes both descriptors over. \throws boost::system::system_error
    pipe_channel(int in, int out, std::shared_ptr<pusher::services> s)
        : services_(std::move(s)),
          in_(services_->executor(), in),
          out_(services_->executor(), out),
          in_flags_(::fcntl(in, F_GETFL)),
          out_flags_(::fcntl(out, F_GETFL)) {
        in_.non_blocking(true);
        out_.non_blocking(true);
    }
    ~pipe_channel() override { pipe_channel::close(); }

    std::size_t write(std::span<const char> bytes) noexcept override {
        if (over_ || waits_to_write_ || !out_.is_open())
            return 0;
        error_code ec;
        const auto taken = out_.write_some(asio::buffer(bytes.data(), bytes.size()), ec);
        if (ec && ec != asio::error::would_block)
            fail(ec);
        else if (taken != bytes.size())
            wait_to_write();
        return taken;
    }

    void read() override {
        if (over_ || std::exchange(reads_, true))
            return;
        wait_to_read();
    }

    void shutdown() noexcept override { give_back(out_, out_flags_); }

    void close() noexcept override {
        set_user(nullptr);
        over_ = true;
        give_back(in_, in_flags_);
        give_back(out_, out_flags_);
    }

    [[nodiscard]] std::string peer() const override { return "stdin"; }

private:
    using self_ptr = boost::intrusive_ptr<pipe_channel>;

    void wait_to_read() {
        in_.async_wait(asio::posix::descriptor_base::wait_read, [self = self_ptr(this)](error_code ec) {
            if (self->user())
                self->readable(ec);
        });
    }

    void readable(error_code ec) {
        const auto room =
            services_->read_buffer(); // one for all channels: an idle one needs no memory for it
        std::size_t count = 0;
        if (ec == asio::error::operation_not_supported)
            ec = {}; // epoll can't wait for a file, since a file never lets one wait
        if (!ec)
            count = in_.read_some(asio::buffer(room.data(), room.size()), ec);
        if (ec == asio::error::would_block)
            return wait_to_read();
        if (ec) {
            over_ = true;
            return user()->at_end(ec == asio::error::eof ? error_code(pusher::errc::peer_closed) : ec);
        }
        reads_ = false; // whoever is the user after this call says whether to go on
        if (user()->at_bytes(room.first(count)) && user())
            read();
    }

    void wait_to_write() {
        waits_to_write_ = true;
        out_.async_wait(asio::posix::descriptor_base::wait_write, [self = self_ptr(this)](error_code ec) {
            self->waits_to_write_ = false;
            if (!self->user() || self->over_)
                return;
            if (ec)
                return self->fail(ec);
            self->user()->at_writable();
        });
    }

    /// Reports the end, but not from inside a call of the user's.
    void fail(error_code ec) {
        over_ = true;
        services_->post([self = self_ptr(this), ec] {
            if (self->user())
                self->user()->at_end(ec);
        });
    }

    /// A terminal is shared with the shell, which does not expect it to be non-blocking.
    static void give_back(asio::posix::stream_descriptor& descriptor, int flags) noexcept {
        if (!descriptor.is_open())
            return;
        ::fcntl(descriptor.native_handle(), F_SETFL, flags);
        error_code ignored;
        descriptor.close(ignored);
    }

    std::shared_ptr<pusher::services> services_;
    asio::posix::stream_descriptor in_;
    asio::posix::stream_descriptor out_;
    int in_flags_;
    int out_flags_;
    bool reads_ = false;
    bool waits_to_write_ = false;
    bool over_ = false;
};

// Step 2: the link. It makes whole messages of the bytes, and bytes of the messages. To speak the native
// dialect in lines is what `line_link` does already, and so it only remains to say what is different here.

class pipe_link final : public pusher::line_link {
public:
    using line_link::line_link;

    /// What observers and statistics call it.
    [[nodiscard]] std::string_view transport() const noexcept override { return "pipe"; }

private:
    /// A pipe that breaks says so. Whoever is silent may be thinking, and need not ping.
    [[nodiscard]] bool expects_traffic() const noexcept override { return false; }
};

// Step 3: the listener, which makes links and gives them to the broker. Most wait for connections; here there
// is one, and it is there from the beginning.

struct pipe_params {
    int in = -1;
    int out = -1;
    pusher::link_limits limits{};
};

class pipe_listener final : public pusher::listener_base {
public:
    static std::shared_ptr<listener_base>
    start(pusher::broker_core& broker, const pipe_params& params, error_code& ec) {
        params.limits.check();
        try {
            pusher::channel_ptr channel(new pipe_channel(params.in, params.out, broker.io()));
            broker.accept(std::make_unique<pipe_link>(
                std::move(channel), broker.io(), std::make_shared<const pusher::link_limits>(params.limits)));
            return std::make_shared<pipe_listener>();
        } catch (const boost::system::system_error& e) {
            ec = e.code();
            return nullptr;
        }
    }

    void stop() noexcept override {} // it accepts nothing as it is
    [[nodiscard]] std::uint16_t port() const noexcept override { return 0; }
    [[nodiscard]] std::string local_endpoint() const override { return "stdin"; }
};

// Step 4: the transport, which names the two for `broker<…>`.

struct pipes {
    using params = pipe_params;
    using listener = pipe_listener;
};
static_assert(pusher::transport_kind<pipes>);

/// Says who comes and goes, and drains the broker when the peer that this program was started for has gone.
class watcher final : public pusher::observer {
public:
    std::function<void()> at_pipe_end;

private:
    void at_accept(const pusher::subscriber_info& who) override {
        std::cerr << "accepted " << who.transport << ' ' << who.peer << std::endl;
    }
    void at_close(const pusher::subscriber_info& who, const pusher::close_reason& reason) override {
        std::cerr << "closed " << who.transport << ": " << reason.error.message() << std::endl;
        if (who.transport == "pipe" && at_pipe_end)
            at_pipe_end();
    }
};

/// The descriptor by another number. In its place nothing is read and printed, so that no stray `std::cout`
/// can break into the dialect. \throws boost::system::system_error
int take(int descriptor) {
    const int taken = ::dup(descriptor);
    if (taken < 0)
        throw boost::system::system_error(errno, boost::system::system_category(), "stdin or stdout");
    if (const int nothing = ::open("/dev/null", O_RDWR); nothing >= 0) {
        ::dup2(nothing, descriptor);
        ::close(nothing);
    }
    return taken;
}

} // namespace

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN); // a reader that is gone is an error of `write`, not the end of the program
    const pipe_params stdio{.in = take(STDIN_FILENO), .out = take(STDOUT_FILENO)};

    asio::io_context io;
    watcher watch;
    pusher::broker<pusher::transport::all_of<pipes, pusher::transport::tcp>> broker(io, {.observer = &watch});

    asio::signal_set signals(io, SIGINT, SIGTERM);
    const auto drain = [&] {
        broker.async_drain(std::chrono::seconds(1), [&](error_code) { signals.cancel(); });
    };
    signals.async_wait([&](error_code ec, int) {
        if (!ec)
            drain();
    });
    watch.at_pipe_end = [&] { asio::post(io, drain); }; // an observer must not call the broker from its hooks

    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9000);
    const auto listener = broker.listen(pusher::tcp_params{.listen = {.port = port}});
    std::cerr << "listening tcp " << listener.local_endpoint() << std::endl; // stdout is the peer's
    broker.listen(stdio);
    io.run();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
}
