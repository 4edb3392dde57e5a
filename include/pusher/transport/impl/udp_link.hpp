// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/share_port.hpp>
#include <pusher/transport/udp_link.hpp>

#include <array>
#include <cerrno>

namespace pusher::inline v0 {

namespace detail {

PUSHER_DECL udp_port::udp_port(std::shared_ptr<services> s, std::uint64_t seed)
    : services_(std::move(s)),
      socket_(services_->executor()),
      peers_(0, udp_endpoint_hash{seed}) {}

PUSHER_DECL void udp_port::open(const endpoint& where, bool shared, error_code& ec) {
    socket_.open(where.protocol(), ec);
    if (!ec && where.address().is_v6())
        socket_.set_option(boost::asio::ip::v6_only(true), ec);
    if (!ec && shared)
        socket_.set_option(share_port(), ec);
    if (!ec)
        socket_.bind(where, ec);
    if (!ec)
        socket_.non_blocking(true, ec);
}

PUSHER_DECL void udp_port::run(std::function<void(const endpoint&, std::string_view)> received) {
    received_ = std::move(received);
    wait_to_read();
}

PUSHER_DECL void udp_port::close() noexcept {
    closed_ = true; // `received_` may be the caller
    error_code ignored;
    socket_.close(ignored);
}

PUSHER_DECL void udp_port::close_when_unused() noexcept {
    retires_ = true;
    if (unused())
        close();
}

PUSHER_DECL udp_port::endpoint udp_port::local_endpoint() const {
    error_code ignored;
    return socket_.local_endpoint(ignored);
}

PUSHER_DECL udp_link* udp_port::find(const endpoint& peer) const noexcept {
    const auto found = peers_.find(peer);
    return found == peers_.end() ? nullptr : found->second;
}

PUSHER_DECL void udp_port::wait_to_read() {
    socket_.async_wait(boost::asio::socket_base::wait_read, [self = shared_from_this()](error_code ec) {
        if (!ec && !self->closed_)
            self->readable();
    });
}

PUSHER_DECL void udp_port::readable() {
    for (int i = 0; i != datagrams_per_turn && !closed_; ++i) {
        const auto room = services_->read_buffer();
        endpoint from;
        error_code ec;
        const auto n = socket_.receive_from(boost::asio::buffer(room.data(), room.size()), from, 0, ec);
        if (ec)
            break; // nothing more, or an earlier datagram did not reach its peer
        received_(from, {room.data(), n});
    }
    if (!closed_)
        wait_to_read();
}

} // namespace detail

PUSHER_DECL udp_link::udp_link(
    std::shared_ptr<detail::udp_port> port, const detail::udp_port::endpoint& peer,
    std::size_t datagram_limit, std::size_t requests_limit, std::chrono::milliseconds lease)
    : port_(std::move(port)),
      peer_(peer),
      datagram_limit_(datagram_limit),
      request_limit_(requests_limit),
      lease_(lease) {
    port_->add(peer_, *this);
    renew();
    port_->io()->arm(*this, heard_ + lease_);
}

PUSHER_DECL void udp_link::received(std::string_view text) {
    renew();
    if (text.size() > request_limit_)
        return owner()->at_fault(errc::message_too_large, detail::request_too_long(request_limit_));
    if (!ready_) {
        // The host is still thinking about the one before. What does not fit is lost, as UDP may.
        if (held_.size() < max_held)
            held_.emplace_back(text);
        return;
    }
    ready_ = owner()->at_message(text);
}

PUSHER_DECL std::size_t
udp_link::write(std::span<const char> bytes, std::span<const std::uint32_t> ends) noexcept {
    refused_.clear();
    if (blocked_ || closed_)
        return 0;
    const auto done = port_->send(peer_, bytes, ends, *this, refused_);
    blocked_ = done != ends.size();
    return done == 0 ? 0 : ends[done - 1];
}

PUSHER_DECL void udp_link::writable() {
    blocked_ = false;
    if (!closed_)
        owner()->at_writable();
}

PUSHER_DECL void udp_link::resume() {
    ready_ = true;
    while (ready_ && !held_.empty() && !closed_) {
        const auto text = std::move(held_.front());
        held_.pop_front();
        ready_ = owner()->at_message(text);
    }
}

PUSHER_DECL void udp_link::close(const close_reason& reason, std::optional<std::chrono::milliseconds> retry) {
    if (closed_)
        return;
    std::string goodbye;
    append_native_close(goodbye, reason, retry);
    port_->send(peer_, goodbye);
    leave();
    // Not from inside: whoever closes is not done yet.
    reason_ = reason;
    port_->io()->arm(*this, services::now());
}

PUSHER_DECL std::string udp_link::peer() const {
    const auto address = peer_.address().to_string();
    return (peer_.address().is_v6() ? '[' + address + ']' : address) + ':' + std::to_string(peer_.port());
}

PUSHER_DECL bool udp_link::used_cookie(std::string_view cookie) const noexcept {
    return cookie == std::string_view(cookie_.data(), cookie_.size());
}

PUSHER_DECL void udp_link::leave() noexcept {
    if (std::exchange(closed_, true))
        return;
    services::cancel(*this);
    port_->remove(peer_, *this);
}

PUSHER_DECL void udp_link::at_timeout() {
    if (closed_)
        return owner()->at_closed(reason_);
    if (services::now() - heard_ < lease_)
        return port_->io()->arm(*this, heard_ + lease_);
    close(close_reason::from(errc::idle_timeout), std::nullopt);
}

PUSHER_DECL void detail::udp_port::remove(const endpoint& peer, udp_link& l) noexcept {
    if (udp_waiter& waiter = l; waiter.is_linked())
        waiter.unlink();
    peers_.erase(peer);
    if (retires_ && unused())
        close();
}

PUSHER_DECL void detail::udp_port::send(const endpoint& to, std::string_view datagram) noexcept {
    const auto end = static_cast<std::uint32_t>(datagram.size());
    try_send(to, datagram, 0, {&end, 1}); // nobody waits for it
}

PUSHER_DECL std::size_t detail::udp_port::send(
    const endpoint& to, std::span<const char> bytes, std::span<const std::uint32_t> ends, udp_link& waits,
    std::vector<std::uint32_t>& refused) noexcept {
    std::size_t done = 0;
    // Once it takes no more, nobody else needs to try.
    while (done != ends.size() && !waits_to_write_) {
        const std::size_t begin = done == 0 ? 0 : ends[done - 1];
        auto next = done;
        for (auto at = begin; next != ends.size() && next - done != most_at_once && ends[next] != at; ++next)
            at = ends[next];
        if (next == done) { // an empty one
            ++done;
            continue;
        }
        const auto went = try_send(to, bytes, begin, ends.subspan(done, next - done));
        done += went.sent;
        if (went.error == boost::asio::error::would_block || went.error == boost::asio::error::try_again ||
            went.error == boost::asio::error::no_buffer_space)
            break;
        if (went.error)
            refused.push_back(static_cast<std::uint32_t>(done++));
    }
    if (done == ends.size())
        return done;
    if (udp_waiter& waiter = waits; !waiter.is_linked())
        blocked_.push_back(waiter);
    wait_to_write();
    return done;
}

PUSHER_DECL detail::udp_port::attempt detail::udp_port::try_send(
    const endpoint& to, std::span<const char> bytes, std::size_t begin,
    std::span<const std::uint32_t> ends) noexcept {
    error_code ec;
#if defined(__linux__)
    // Several in one system call, which is a good part of what a small one costs.
    if (ends.size() > 1) {
        std::array<::mmsghdr, most_at_once> messages;
        std::array<::iovec, most_at_once> parts;
        for (std::size_t i = 0; i != ends.size(); ++i) {
            parts[i] = {const_cast<char*>(bytes.data()) + begin, ends[i] - begin};
            begin = ends[i];
            messages[i] = {};
            auto& head = messages[i].msg_hdr;
            head.msg_name = const_cast<void*>(static_cast<const void*>(to.data()));
            head.msg_namelen = static_cast<::socklen_t>(to.size());
            head.msg_iov = &parts[i];
            head.msg_iovlen = 1;
        }
        const auto count = static_cast<unsigned>(ends.size());
        const int sent = ::sendmmsg(socket_.native_handle(), messages.data(), count, MSG_NOSIGNAL);
        if (sent < 0)
            ec.assign(errno, boost::asio::error::get_system_category());
        return {sent < 0 ? 0 : static_cast<std::size_t>(sent), ec};
    }
#endif
    std::size_t sent = 0;
    for (; sent != ends.size(); begin = ends[sent], ++sent) {
        socket_.send_to(boost::asio::buffer(bytes.data() + begin, ends[sent] - begin), to, 0, ec);
        if (ec)
            break;
    }
    return {sent, ec};
}

PUSHER_DECL void detail::udp_port::wait_to_write() noexcept {
    if (std::exchange(waits_to_write_, true))
        return;
    socket_.async_wait(boost::asio::socket_base::wait_write, [self = shared_from_this()](error_code ec) {
        self->waits_to_write_ = false;
        if (ec)
            return;
        // One by one, until the socket takes no more: each may go while others are served.
        while (!self->waits_to_write_ && !self->blocked_.empty()) {
            auto& next = self->blocked_.front();
            self->blocked_.pop_front();
            next.writable();
        }
    });
}

} // namespace pusher::inline v0
