// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <boost/asio/ssl/error.hpp>
#include <boost/system/error_category.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <string>

namespace pusher::inline v0 {

namespace detail {

class tls_verify_error_category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "pusher.tls.verify"; }
    std::string message(int value) const override {
        return std::string("certificate verify failed: ") + X509_verify_cert_error_string(value);
    }
};

inline constexpr tls_verify_error_category tls_verify_error_category_instance{};

} // namespace detail

/// The category of errors that say what is wrong with the other side's certificate, in OpenSSL's own numbers:
/// `X509_V_ERR_HOSTNAME_MISMATCH` and so on.
inline const boost::system::error_category& tls_verify_category() noexcept {
    return detail::tls_verify_error_category_instance;
}

namespace detail {

/// What a handshake has failed with. OpenSSL's own error says only that a certificate was not accepted; and
/// for a server, whose peers may send anything, it is where its parser was when it gave up.
inline error_code handshake_error(const SSL* stream, error_code ec) noexcept {
    if (ec.category() != boost::asio::error::get_ssl_category())
        return ec;
    const auto why = SSL_get_verify_result(stream);
    if (why != X509_V_OK &&
        ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return {static_cast<int>(why), tls_verify_category()};
    return SSL_is_server(stream) ? make_error_code(errc::handshake_failed) : ec;
}

} // namespace detail

} // namespace pusher::inline v0
