// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/detail/require.hpp>
#include <pusher/listener/http.hpp>
#include <pusher/listener/tcp.hpp>
#include <pusher/listener/udp.hpp>
#include <pusher/store/memory_store.hpp>
#include <pusher/transport/socket_channel.hpp>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace pusher::inline v0 {

namespace transport {

/// No transport: a broker that works within one process.
struct none {};

/// Several transports.
template <class... Transports>
struct all_of {};

/// Every transport of this library.
using all = all_of<tcp, udp, http>;

} // namespace transport

/// What a transport looks like, one of your own too: parameters, and a listener that starts with them.
///
/// `listener::start` reports by its error code why it cannot listen, and throws `std::invalid_argument` for
/// parameters out of their range. The listener hands connections to `broker_core::accept`.
template <class T>
concept transport_kind = requires(broker_core& broker, const typename T::params& params, error_code& ec) {
    { T::listener::start(broker, params, ec) } -> std::convertible_to<std::shared_ptr<listener_base>>;
};

/// What a store looks like: `memory_store`, or one that `async_open` makes of its parameters.
template <class T>
concept store_kind =
    std::same_as<T, memory_store> ||
    (std::derived_from<T, store> &&
     std::constructible_from<T, const boost::asio::any_io_executor&, const typename T::params&>);

namespace detail {

struct no_store_params {};

template <class Store>
struct params_of_store {
    using type = typename Store::params;
};
template <>
struct params_of_store<memory_store> {
    using type = no_store_params;
};

} // namespace detail

namespace detail {

template <class Transport>
struct transport_list {
    static_assert(transport_kind<Transport>, "a transport needs `params` and a `listener` with `start`");
    using type = transport::all_of<Transport>;
};
template <>
struct transport_list<transport::none> {
    using type = transport::all_of<>;
};
template <class... Transports>
struct transport_list<transport::all_of<Transports...>> {
    static_assert(
        (transport_kind<Transports> && ...), "a transport needs `params` and a `listener` with `start`");
    using type = transport::all_of<Transports...>;
};

/// The transport that has these parameters; void: none has.
template <class Params, class List>
struct transport_with {
    using type = void;
};
template <class Params, class First, class... Rest>
struct transport_with<Params, transport::all_of<First, Rest...>> {
    using type = typename std::conditional_t<
        std::same_as<typename First::params, Params>, std::type_identity<First>,
        transport_with<Params, transport::all_of<Rest...>>>::type;
};

} // namespace detail

/// A publish/subscribe broker on the application's own event loop.
///
/// \tparam Transport which kinds are compiled in: `transport::none`, one such as `transport::tcp`, several by
/// `transport::all_of<…>`, or `transport::all`.
/// \tparam Store where histories are kept.
///
/// See `broker_core` for everything that does not depend on these, threads and lifetimes too.
template <class Transport = transport::none, store_kind Store = memory_store>
class broker : public broker_core {
    using transports = typename detail::transport_list<Transport>::type;

public:
    /// \param executor a serial one: of a context that one thread runs, or a strand.
    /// \throws std::invalid_argument if a parameter is out of its range.
    explicit broker(const boost::asio::any_io_executor& executor, broker_params params = {})
        : broker_core(executor, std::move(params)) {}

    /// \param context must be run by one thread only.
    template <class Context>
        requires std::derived_from<Context, boost::asio::execution_context>
    explicit broker(Context& context, broker_params params = {})
        : broker_core(context.get_executor(), std::move(params)) {}

    /// Opens the broker's store: see `broker_core::async_open`.
    /// \throws whatever the store's constructor throws for parameters out of their range.
    template <class CompletionToken>
        requires(!std::same_as<Store, memory_store>)
    auto async_open(const typename detail::params_of_store<Store>::type& params, CompletionToken&& token) {
        return broker_core::async_open(
            std::unique_ptr<store>(new Store(get_executor(), params)), std::forward<CompletionToken>(token));
    }
    using broker_core::async_open;

    /// Listens at one more address, from now on. Call it any number of times, while running too.
    ///
    /// \param params of one of the broker's transports, such as `tcp_params`.
    /// \param ec why it cannot listen there; then nothing has changed. `stopped` after `cancel`;
    /// `unsupported` while a store is being opened.
    /// \throws std::invalid_argument if a parameter is out of its range.
    template <class Params>
    pusher::listener listen(const Params& params, error_code& ec) {
        using kind = typename detail::transport_with<Params, transports>::type;
        static_assert(!std::is_void_v<kind>, "this broker's Transport has no such parameters");
        ec = stopped() ? error_code(errc::stopped) : opening() ? error_code(errc::unsupported) : error_code();
        if (ec)
            return {};
        auto started = kind::listener::start(*this, params, ec);
        return ec ? pusher::listener() : add_listener(std::move(started));
    }

    /// The same. \throws boost::system::system_error
    template <class Params>
    pusher::listener listen(const Params& params) {
        error_code ec;
        auto l = listen(params, ec);
        if (ec)
            throw boost::system::system_error(ec, "listen");
        return l;
    }

    /// Takes a request over from an HTTP server of the host's own, to make a WebSocket or event stream of it,
    /// or to answer it: whatever an HTTP listener would do. The connection is the broker's from here on. It
    /// ends with the answer, since what the host serves itself can't be asked for on it; unless
    /// `http_params::handler` can answer that.
    ///
    /// \param socket connected, on the broker's executor.
    /// \param request read already. \param leftover bytes that were read after it.
    /// \param params paths, origins and limits; `listen` must not be set in it. They count when this is first
    /// called; the socket is set to its `limits.send_buffer` and TCP_NODELAY, as accepted ones are.
    template <class Body, class Fields>
    void accept(
        boost::asio::ip::tcp::socket socket, boost::beast::http::request<Body, Fields> request,
        std::string leftover = {}, const http_params& params = {.listen = std::nullopt}) {
        detail::prepare_socket(socket, handed_over(params).link_limits_of().send_buffer);
        accept(
            channel_ptr(new socket_channel(stream_socket(std::move(socket)), io())), std::move(request),
            std::move(leftover), params);
    }

    template <class Body, class Fields>
    void accept(
        boost::beast::tcp_stream stream, boost::beast::http::request<Body, Fields> request,
        std::string leftover = {}, const http_params& params = {.listen = std::nullopt}) {
        accept(stream.release_socket(), std::move(request), std::move(leftover), params);
    }

    /// The same with a connection of another kind, such as TLS (`make_tls_channel` in `ext/tls.hpp`).
    template <class Body, class Fields>
    void accept(
        channel_ptr connection, boost::beast::http::request<Body, Fields> request, std::string leftover = {},
        const http_params& params = {.listen = std::nullopt}) {
        handed_over(params).take(
            std::move(connection), detail::to_http_request(std::move(request)), std::move(leftover));
    }

    /// Takes a connected socket over, as a TCP listener would.
    /// \param socket on the broker's executor; it is set to `limits.send_buffer` and TCP_NODELAY.
    /// \param speaks see `tcp_params::dialect`.
    /// \throws std::invalid_argument if a limit is out of its range.
    void adopt(stream_socket socket, const link_limits& limits = {}, dialect speaks = dialect::native) {
        limits.check();
        detail::prepare_socket(socket, limits.send_buffer);
        adopt(channel_ptr(new socket_channel(std::move(socket), io())), limits, speaks);
    }

    /// The same with a connection of another kind, such as TLS.
    void adopt(channel_ptr connection, const link_limits& limits = {}, dialect speaks = dialect::native) {
        limits.check();
        tcp_listener::adopt(*this, std::move(connection), limits, speaks);
    }

    using broker_core::accept;

private:
    http_listener& handed_over(const http_params& params) {
        if (!handed_over_) {
            detail::require(!params.listen, "broker::accept: params.listen is set");
            params.check();
            handed_over_ = std::make_shared<http_listener>(*this, params);
            add_listener(handed_over_);
        }
        return *handed_over_;
    }

    std::shared_ptr<http_listener> handed_over_;
};

} // namespace pusher::inline v0
