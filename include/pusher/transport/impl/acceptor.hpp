// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/acceptor.hpp>

namespace pusher::inline v0 {

namespace detail {

PUSHER_DECL acceptor::acceptor(std::shared_ptr<services> s, std::size_t send_buffer)
    : services_(std::move(s)),
      acceptor_(services_->executor()),
      backoff_(services_->executor()),
      send_buffer_(send_buffer) {}

PUSHER_DECL void acceptor::open(const stream_address& where, int backlog, error_code& ec) {
    namespace asio = boost::asio;
    if (where.address.starts_with("unix:"))
        return open_path(where.address.substr(5), backlog, where.shared, ec);
    const auto ip = asio::ip::make_address(where.address, ec);
    if (ec)
        return;
    const asio::ip::tcp::endpoint e(ip, where.port);
    acceptor_.open(endpoint(e).protocol(), ec);
    if (!ec)
        acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec && where.shared)
        acceptor_.set_option(share_port(), ec);
    if (!ec && ip.is_v6())
        acceptor_.set_option(asio::ip::v6_only(true), ec);
    if (!ec)
        acceptor_.bind(e, ec);
    if (!ec)
        listen(backlog, ec);
}

PUSHER_DECL void
acceptor::run(std::function<void(stream_socket)> accepted, std::function<void(error_code)> failed) {
    accepted_ = std::move(accepted);
    failed_ = std::move(failed);
    accept();
}

PUSHER_DECL void acceptor::stop() noexcept {
    stopped_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    backoff_.cancel();
    remove_path();
}

PUSHER_DECL boost::asio::ip::tcp::endpoint acceptor::local_endpoint() const {
    boost::asio::ip::tcp::endpoint ip;
    error_code ec;
    const auto e = acceptor_.local_endpoint(ec);
    if (ec || (e.protocol().family() != AF_INET && e.protocol().family() != AF_INET6))
        return ip;
    ip.resize(e.size());
    std::memcpy(ip.data(), e.data(), e.size());
    return ip;
}

PUSHER_DECL void acceptor::open_path(const std::string& path, int backlog, bool shared, error_code& ec) {
    namespace asio = boost::asio;
    if (shared) {
        ec = asio::error::operation_not_supported;
        return;
    }
    if (path.empty() || path.size() > 107) { // sockaddr_un
        ec = path.empty() ? asio::error::make_error_code(asio::error::invalid_argument)
                          : asio::error::make_error_code(asio::error::name_too_long);
        return;
    }
    const asio::local::stream_protocol::endpoint e(path);
    // A socket that nobody listens at is left from a process that was killed. Files that are no sockets
    // refuse connections too, and stay.
    asio::local::stream_protocol::socket probe(services_->executor());
    probe.open({}, ec);
    if (ec)
        return;
    probe.non_blocking(true, ec); // nor is a listener waited for that is busy
    probe.connect(e, ec);
    if (!ec) {
        ec = asio::error::address_in_use;
        return;
    }
    const bool refused = ec == asio::error::connection_refused;
    if (refused && std::filesystem::is_socket(std::filesystem::symlink_status(path, ec)))
        ::unlink(path.c_str());
    ec = {};
    acceptor_.open(asio::local::stream_protocol(), ec);
    if (!ec)
        acceptor_.bind(e, ec);
    if (!ec) {
        path_ = path;
        listen(backlog, ec);
    }
}

PUSHER_DECL void acceptor::listen(int backlog, error_code& ec) {
    // Or Asio passes over a connection that was gone early, and waits for the next one to come while
    // others are in the backlog.
    acceptor_.set_option(boost::asio::socket_base::enable_connection_aborted(true), ec);
    if (!ec)
        acceptor_.listen(backlog, ec);
}

PUSHER_DECL void acceptor::remove_path() noexcept {
    if (!path_.empty())
        ::unlink(path_.c_str());
    path_.clear();
}

PUSHER_DECL void acceptor::accept() {
    acceptor_.async_accept([self = shared_from_this()](error_code ec, stream_socket socket) {
        if (self->stopped_)
            return;
        if (ec)
            return self->failed(ec);
        prepare_socket(socket, self->send_buffer_);
        // What fails with one connection, such as for lack of memory, must not end the listener.
        try {
            self->accepted_(std::move(socket));
        } catch (const boost::system::system_error& e) {
            ec = e.code();
        } catch (const std::bad_alloc&) {
            ec = boost::asio::error::no_memory;
        } catch (...) {
            ec = errc::handler_threw; // a channel factory of the host
        }
        if (ec && !self->stopped_)
            return self->failed(ec);
        if (!self->stopped_)
            self->accept();
    });
}

PUSHER_DECL void acceptor::failed(error_code ec) {
    failed_(ec);
    // A connection that was gone before it was accepted is no reason to wait; all else is.
    if (ec == boost::asio::error::connection_aborted)
        return accept();
    backoff_.expires_after(std::chrono::milliseconds(100));
    backoff_.async_wait([self = shared_from_this()](error_code cancelled) {
        if (!cancelled && !self->stopped_)
            self->accept();
    });
}

} // namespace detail

} // namespace pusher::inline v0
