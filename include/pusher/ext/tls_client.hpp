// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client.hpp>
#include <pusher/ext/tls_channel.hpp>
#include <pusher/ext/tls_context.hpp>
#include <pusher/transport/socket_channel.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream_base.hpp>
#include <boost/system/system_error.hpp>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

/// \file
/// TLS for the client, by OpenSSL: `wss://` and `tls://`.

namespace pusher::inline v0 {

/// Whom a client trusts, and what it shows, for `make_tls_client_context`. PEM is either in a file or given
/// as text.
struct tls_client_params {
    /// Whose signatures on a hub's certificate are good. Neither set: the authorities of this system.
    std::string authorities_file{};
    std::string authorities{};

    /// The client's own certificate, and its private key, for hubs that ask for one.
    std::string certificate_file{};
    std::string certificate{};
    std::string key_file{};
    std::string key{};

    /// If the key is encrypted.
    std::string key_password{};

    tls_version minimum_version = tls_version::tls_1_2;

    /// \throws std::invalid_argument
    void check() const {
        const auto require = [](bool good, const char* what) {
            if (!good)
                throw std::invalid_argument(what);
        };
        require(
            authorities_file.empty() || authorities.empty(),
            "tls_client_params: authorities_file and authorities are both set");
        require(
            certificate_file.empty() || certificate.empty(),
            "tls_client_params: certificate_file and certificate are both set");
        require(key_file.empty() || key.empty(), "tls_client_params: key_file and key are both set");
        require(
            (certificate_file.empty() && certificate.empty()) == (key_file.empty() && key.empty()),
            "tls_client_params: a certificate and its key come together");
        require(
            minimum_version == tls_version::tls_1_2 || minimum_version == tls_version::tls_1_3,
            "tls_client_params: minimum_version is not one of tls_version");
    }
};

/// Makes a client's context, checked in all its parts: TLS 1.2 or newer, without compression or
/// renegotiation.
///
/// \throws std::invalid_argument if parameters contradict each other.
/// \throws boost::system::system_error if a file cannot be read, or PEM cannot be used; `what()` names it and
/// says why.
inline std::shared_ptr<boost::asio::ssl::context> make_tls_client_context(const tls_client_params& p = {}) {
    p.check();
    auto context = std::make_shared<boost::asio::ssl::context>(boost::asio::ssl::context::tls_client);
    auto* const c = context->native_handle();
    SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_min_proto_version(c, detail::version_number(p.minimum_version));
    if (p.authorities_file.empty() && p.authorities.empty())
        context->set_default_verify_paths();
    else
        detail::add_authorities(
            c, {"tls_client_params: authorities", p.authorities_file, p.authorities}, false);
    if (!p.certificate_file.empty() || !p.certificate.empty()) {
        detail::use_certificate(
            *context, {"tls_client_params: certificate", p.certificate_file, p.certificate});
        detail::use_key(*context, {"tls_client_params: key", p.key_file, p.key}, p.key_password);
    }
    return context;
}

namespace detail {

/// Whom the other side of a stream must be, and what it is told to expect.
inline void expect_hub(SSL* stream, const client_url& url) {
    SSL_set_verify(stream, SSL_VERIFY_PEER, SSL_get_verify_callback(stream));
    error_code not_an_address;
    const auto address = boost::asio::ip::make_address(url.host, not_an_address);
    auto* const who = SSL_get0_param(stream);
    bool told = false;
    if (not_an_address) {
        auto name = url.host;
        if (name.ends_with('.')) // for resolvers only (RFC 6066, section 3)
            name.pop_back();
        told = !name.empty() && X509_VERIFY_PARAM_set1_host(who, name.data(), name.size()) == 1 &&
               SSL_set_tlsext_host_name(stream, name.c_str()) == 1;
    } else {
        const auto bytes = address_bytes(address); // without the zone, which is this machine's own
        told = X509_VERIFY_PARAM_set1_ip(
                   who, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) == 1;
    }
    if (!told) // without it anybody's certificate would do
        throw boost::system::system_error(
            make_error_code(boost::asio::error::invalid_argument), "tls_client: the host's name");
    X509_VERIFY_PARAM_set_hostflags(
        who, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    static constexpr unsigned char http[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    if (url.what == client_url::kind::websocket)
        SSL_set_alpn_protos(stream, http, sizeof http);
}

} // namespace detail

/// Puts TLS around a client's connections: `client_params{.url = "wss://…", .secure = tls_client()}`.
///
/// The hub's certificate is always verified, and its `subjectAltName` must hold the name or the IP address
/// that the URL names. For a hub with a certificate of its own making, trust that one. A certificate that is
/// not accepted is a failed attempt like others; `client_disconnected` says what is wrong with it: see
/// `tls_verify_category`. `client_params::connect_timeout` bounds the handshake too.
///
/// \param context of `make_tls_client_context`, or the host's own.
/// \throws std::invalid_argument if it is null.
inline client_channel_factory tls_client(std::shared_ptr<boost::asio::ssl::context> context) {
    if (!context)
        throw std::invalid_argument("tls_client: context is null");
    return [context = std::move(context)](
               stream_socket socket, const client_url& url, const std::shared_ptr<services>& s) {
        tls_stream stream(std::move(socket), *context);
        detail::expect_hub(stream.native_handle(), url);
        return tls_channel::start(
            std::move(stream), s, boost::asio::ssl::stream_base::client,
            {std::chrono::milliseconds(0), std::chrono::seconds(2)});
    };
}

/// The same with a context of its own. \throws whatever `make_tls_client_context` does
inline client_channel_factory tls_client(const tls_client_params& params = {}) {
    return tls_client(make_tls_client_context(params));
}

} // namespace pusher::inline v0
