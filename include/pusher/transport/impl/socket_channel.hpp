// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/socket_channel.hpp>

namespace pusher::inline v0 {

PUSHER_DECL socket_channel::socket_channel(stream_socket socket, std::shared_ptr<services> s)
    : services_(std::move(s)),
      socket_(detail::socket_executor(*services_)) {
    error_code ec;
    const auto protocol = socket.local_endpoint(ec).protocol();
    const auto handle = socket.release(ec);
    if (!ec)
        socket_.assign(protocol, handle, ec);
    if (!ec)
        socket_.non_blocking(true, ec);
}

PUSHER_DECL std::size_t socket_channel::write(std::span<const char> bytes) noexcept {
    if (failed_ || waits_to_write_)
        return 0;
    std::size_t done = 0;
    while (done != bytes.size()) {
        error_code ec;
        const auto n = socket_.write_some(boost::asio::buffer(bytes.data() + done, bytes.size() - done), ec);
        done += n;
        if (!ec && done == bytes.size())
            break;
        if (ec && ec != boost::asio::error::would_block && ec != boost::asio::error::try_again) {
            fail(ec);
            break;
        }
        // A short write means that the socket's buffer is full: trying again would only cost a call.
        wait_to_write();
        break;
    }
    return done;
}

PUSHER_DECL void socket_channel::read() {
    if (reads_ || read_all_ || failed_)
        return;
    reads_ = true;
    wait_to_read();
}

PUSHER_DECL void socket_channel::shutdown() noexcept {
    error_code ignored;
    socket_.shutdown(boost::asio::socket_base::shutdown_send, ignored);
}

PUSHER_DECL void socket_channel::close() noexcept {
    set_user(nullptr);
    failed_ = true;
    error_code ignored;
    socket_.close(ignored);
}

PUSHER_DECL std::string socket_channel::peer() const {
    error_code ec;
    const auto e = socket_.remote_endpoint(ec);
    return ec ? std::string("?") : detail::endpoint_text(e);
}

PUSHER_DECL void socket_channel::wait_to_read() {
    auto wait = [self = self_ptr(this)](error_code ec) {
        if (self->user())
            self->readable(ec);
    };
    socket_.async_wait(
        boost::asio::socket_base::wait_read,
        boost::asio::bind_allocator(detail::plain_allocator<void>(), std::move(wait)));
}

PUSHER_DECL void socket_channel::readable(error_code ec) {
    const auto room = services_->read_buffer();
    std::size_t n = 0;
    if (!ec)
        n = socket_.read_some(boost::asio::buffer(room.data(), room.size()), ec);
    if (ec == boost::asio::error::would_block || ec == boost::asio::error::try_again)
        return wait_to_read();
    if (ec) {
        const bool over = ec == boost::asio::error::eof;
        (over ? read_all_ : failed_) = true;
        user()->at_end(over ? error_code(errc::peer_closed) : ec);
        return;
    }
    // The connection may get another user inside, who begins to read by itself.
    reads_ = false;
    if (user()->at_bytes(room.subspan(0, n)) && user())
        read();
}

PUSHER_DECL void socket_channel::wait_to_write() noexcept {
    waits_to_write_ = true;
    socket_.async_wait(boost::asio::socket_base::wait_write, [self = self_ptr(this)](error_code ec) {
        self->waits_to_write_ = false;
        if (!self->user() || self->failed_)
            return;
        if (ec)
            return self->fail(ec);
        self->user()->at_writable();
    });
}

PUSHER_DECL void socket_channel::fail(error_code ec) noexcept {
    failed_ = true;
    services_->post([self = self_ptr(this), ec] {
        if (self->user())
            self->user()->at_end(ec);
    });
}

} // namespace pusher::inline v0
