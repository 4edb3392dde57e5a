// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/share_port.hpp>
#include <pusher/transport/socket_channel.hpp>
#include <pusher/transport/stream_address.hpp>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

namespace detail {

/// Accepts connections, one after another. Out of file descriptors or memory it waits a while instead of
/// spinning; what waits in the backlog is accepted later.
class acceptor : public std::enable_shared_from_this<acceptor> {
public:
    using endpoint = boost::asio::generic::stream_protocol::endpoint;

    acceptor(std::shared_ptr<services> s, std::size_t send_buffer);

    acceptor(const acceptor&) = delete;
    acceptor& operator=(const acceptor&) = delete;
    ~acceptor() { remove_path(); }

    /// Binds and listens.
    void open(const stream_address& where, int backlog, error_code& ec);

    /// \param accepted called with each socket, prepared; it may throw, which ends that connection.
    /// \param failed called with passing errors.
    void run(std::function<void(stream_socket)> accepted, std::function<void(error_code)> failed);

    void stop() noexcept;

    /// The address it listens at, with the port that was free; a Unix socket's is empty.
    [[nodiscard]] boost::asio::ip::tcp::endpoint local_endpoint() const;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    void open_path(const std::string& path, int backlog, bool shared, error_code& ec);

    void listen(int backlog, error_code& ec);

    void remove_path() noexcept;

    void accept();

    void failed(error_code ec);

    std::shared_ptr<services> services_;
    boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol> acceptor_;
    boost::asio::steady_timer backoff_;
    std::function<void(stream_socket)> accepted_;
    std::function<void(error_code)> failed_;
    std::string path_;
    std::size_t send_buffer_;
    bool stopped_ = false;
};

} // namespace detail

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/acceptor.hpp>
#endif
