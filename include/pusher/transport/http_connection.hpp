// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/transport/channel.hpp>
#include <pusher/transport/link_limits.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/write_progress.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/version.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

using http_request = boost::beast::http::request<boost::beast::http::string_body>;
using http_response = boost::beast::http::response<boost::beast::http::string_body>;

namespace detail {

/// A request of any kind of body that can be read as a string, or has none.
template <class Body, class Fields>
http_request to_http_request(boost::beast::http::request<Body, Fields> r) {
    if constexpr (std::same_as<boost::beast::http::request<Body, Fields>, http_request>) {
        return r;
    } else {
        http_request to(r.method(), r.target(), r.version());
        for (const auto& field : r)
            to.insert(field.name(), field.name_string(), field.value());
        if constexpr (requires { to.body().assign(r.body().data(), r.body().size()); })
            to.body().assign(r.body().data(), r.body().size());
        return to;
    }
}

} // namespace detail

class http_connection;
using http_connection_ptr = boost::intrusive_ptr<http_connection>;

/// Who answers the requests of HTTP connections.
class http_owner {
public:
    /// A complete request. It must be answered, now or later, by `respond` or by `release`.
    virtual void at_request(const http_connection_ptr& c) = 0;

    /// What came was no request, or none in time or within the limits, and is being answered so.
    virtual void at_bad_request() = 0;

    /// The connection ends for that reason before anything was asked.
    virtual void at_failure(error_code why) = 0;

    /// The connection is over, and will not be used again.
    virtual void at_http_end(http_connection& c) = 0;

protected:
    ~http_owner() = default;
};

/// One HTTP/1.1 connection (RFC 9112), until it ends or becomes a WebSocket or an event stream: one request
/// after another, bounded in size and time. Beast parses and serializes.
class http_connection final
    : public boost::intrusive_ref_counter<http_connection, boost::thread_unsafe_counter>,
      private channel_user,
      private timeout {
public:
    /// Largest header of a request, in bytes.
    static constexpr std::uint32_t header_limit = 16 * 1024;

    http_connection(
        channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits,
        http_owner& owner, std::size_t body_limit);

    ~http_connection();

    /// Begins with bytes that were read before.
    void start(std::string leftover = {});

    /// Begins with a request that somebody else read, and the bytes that came after it.
    /// \param more whether another request may follow; else the connection ends with the answer.
    void start(http_request request, std::string leftover, bool more);

    /// The current request.
    [[nodiscard]] const http_request& request() const noexcept { return request_; }
    [[nodiscard]] http_request& request() noexcept { return request_; }
    [[nodiscard]] std::string peer() const { return channel_ ? channel_->peer() : std::string(); }
    [[nodiscard]] bool secure() const noexcept { return channel_ && channel_->secure(); }

    /// Whether the current request can still be answered.
    [[nodiscard]] bool open() const noexcept { return in_request_ && channel_ && !closing_; }

    /// Answers the current request. Without effect once the connection is over.
    void respond(http_response r);

    /// Answers 503 unless somebody else answers, or `release`s the connection, in time.
    void expect_answer(std::chrono::milliseconds in) { services_->arm(*this, services::now() + in); }

    /// Takes `expect_answer` back: nobody is waited for any more, the answer is only not ready yet.
    void expect_no_answer() noexcept { services::cancel(*this); }

    /// Gives the connection up to become something else. What the peer sent beyond the request goes along.
    std::pair<channel_ptr, std::string> release();

    /// Ends the connection as soon as the request that is being read or answered, if any, has its answer.
    void drain();

    /// Ends the connection at once and tells nobody.
    void abort() noexcept;

private:
    using parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

    void next_request();

    /// \return whether more bytes are needed.
    bool parse();

    /// Passes over empty lines before a request (RFC 9112, section 2.2).
    /// \return false: there are too many.
    bool pass_empty_lines();

    /// Whether all who read the request agree where it ends (RFC 9112, section 6.3): or what one of them
    /// takes for the body is the next request for another.
    [[nodiscard]] bool well_framed() const;

    bool refuse(error_code ec);

    bool at_bytes(std::span<char> bytes) override;

    void at_writable() override { flush(); }

    void at_end(error_code ec) override;

    void at_timeout() override;

    /// What came is no request, or only half of one: it gets an answer, and the connection ends with it.
    void give_up_request();

    void send(std::string text);

    void flush();

    /// How long a peer is waited for that only has to close.
    [[nodiscard]] std::chrono::milliseconds linger() const noexcept;

    void end();

    channel_ptr channel_;
    std::shared_ptr<services> services_;
    std::shared_ptr<const link_limits> limits_;
    http_owner* owner_;
    std::size_t body_limit_;
    std::optional<parser> parser_;
    http_request request_;
    std::size_t empty_lines_ = 0; ///< before the request, in bytes
    std::string in_;              ///< read, and not parsed yet
    std::string out_;             ///< to be written
    write_progress progress_;
    bool in_request_ = false;
    bool asked_ = false; ///< something was, if only half of it
    bool keep_alive_ = true;
    bool continued_ = false;
    bool draining_ = false;
    bool closing_ = false;
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/http_connection.hpp>
#endif
