// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/testing/fail_count.hpp>
#include <pusher/transport/socket_channel.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>

#include <cstddef>
#include <utility>

namespace test {

/// A socket one of whose reads and writes fails: what TLS is put around to see it fail everywhere.
class faulty_socket {
public:
    using executor_type = pusher::stream_socket::executor_type;
    using lowest_layer_type = pusher::stream_socket::lowest_layer_type;

    faulty_socket(pusher::stream_socket s, pusher::testing::fail_count& faults)
        : socket_(std::move(s)),
          faults_(&faults) {}

    executor_type get_executor() { return socket_.get_executor(); }
    lowest_layer_type& lowest_layer() { return socket_.lowest_layer(); }
    const lowest_layer_type& lowest_layer() const { return socket_.lowest_layer(); }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, void(pusher::error_code, std::size_t)>(
            [this](auto handler, const Buffers& b) {
                if (const auto ec = faults_->next())
                    boost::asio::post(
                        get_executor(), boost::asio::append(std::move(handler), ec, std::size_t{0}));
                else
                    socket_.async_read_some(b, std::move(handler));
            },
            token, buffers);
    }

    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, void(pusher::error_code, std::size_t)>(
            [this](auto handler, const Buffers& b) {
                if (const auto ec = faults_->next())
                    boost::asio::post(
                        get_executor(), boost::asio::append(std::move(handler), ec, std::size_t{0}));
                else
                    socket_.async_write_some(b, std::move(handler));
            },
            token, buffers);
    }

private:
    pusher::stream_socket socket_;
    pusher::testing::fail_count* faults_;
};

} // namespace test
