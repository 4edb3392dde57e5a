// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

/// Versions of TLS that are in use. Older ones are not spoken.
enum class tls_version { tls_1_2, tls_1_3 };

/// What a server shows and asks for, for `make_tls_context`. PEM is either in a file or given as text.
struct tls_params {
    /// The server's certificate, followed by those between it and its authority. One of the two must be set.
    std::string certificate_file{};
    std::string certificate{};

    /// The certificate's private key. One of the two must be set; it may be the certificate's file.
    std::string key_file{};
    std::string key{};

    /// If the key is encrypted.
    std::string key_password{};

    tls_version minimum_version = tls_version::tls_1_2;

    /// Whose signatures on clients' certificates are good. If one of the two is set, clients must show a
    /// certificate, or may, if `client_certificate_required` is false.
    std::string client_authorities_file{};
    std::string client_authorities{};
    bool client_certificate_required = true;

    /// Whether clients that ask by ALPN for `http/1.1` are told that they have it. Others do without.
    bool http = true;

    /// \throws std::invalid_argument
    void check() const {
        const auto require = [](bool good, const char* what) {
            if (!good)
                throw std::invalid_argument(what);
        };
        require(
            certificate_file.empty() != certificate.empty(),
            "tls_params: one of certificate_file and certificate must be set");
        require(key_file.empty() != key.empty(), "tls_params: one of key_file and key must be set");
        require(
            minimum_version == tls_version::tls_1_2 || minimum_version == tls_version::tls_1_3,
            "tls_params: minimum_version is not one of tls_version");
        require(
            client_authorities_file.empty() || client_authorities.empty(),
            "tls_params: client_authorities_file and client_authorities are both set");
    }
};

namespace detail {

/// PEM, and where it is from.
struct pem_source {
    std::string text;
    std::string name; ///< such as `tls_params: key`, or `tls_params: key_file /etc/key.pem`

    /// \throws boost::system::system_error if the file cannot be read.
    pem_source(std::string what, const std::string& file, const std::string& given)
        : text(given),
          name(std::move(what)) {
        if (file.empty())
            return;
        name += "_file " + file;
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(
            std::fopen(file.c_str(), "rb"), &std::fclose);
        std::array<char, 4096> piece;
        while (in && !std::feof(in.get()) && !std::ferror(in.get()))
            text.append(piece.data(), std::fread(piece.data(), 1, piece.size(), in.get()));
        if (!in || std::ferror(in.get()))
            throw boost::system::system_error(error_code(errno, boost::system::system_category()), name);
    }

    /// Says what OpenSSL found wrong.
    [[noreturn]] void fail(const char* what) const {
        const auto code = static_cast<int>(ERR_get_error());
        ERR_clear_error();
        const auto text_of = name + ": " + what;
        if (code == 0)
            throw boost::system::system_error(boost::asio::error::invalid_argument, text_of);
        throw boost::system::system_error(error_code(code, boost::asio::error::get_ssl_category()), text_of);
    }
};

struct openssl_free {
    void operator()(BIO* p) const noexcept { BIO_free_all(p); }
    void operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }
    void operator()(X509* p) const noexcept { X509_free(p); }
};
template <class T>
using openssl_ptr = std::unique_ptr<T, openssl_free>;

inline openssl_ptr<BIO> pem_reader(const pem_source& pem) {
    ERR_clear_error();
    return openssl_ptr<BIO>(BIO_new_mem_buf(pem.text.data(), static_cast<int>(pem.text.size())));
}

/// Gives OpenSSL a password; it would ask at the terminal otherwise.
struct pem_password {
    std::string_view text;
    bool asked = false;

    static int give(char* to, int size, int, void* self) {
        auto& p = *static_cast<pem_password*>(self);
        p.asked = true;
        const auto n = std::min(p.text.size(), static_cast<std::size_t>(size));
        std::memcpy(to, p.text.data(), n);
        return static_cast<int>(n);
    }
};

inline void use_certificate(boost::asio::ssl::context& context, const pem_source& pem) {
    error_code ec;
    ERR_clear_error();
    context.use_certificate_chain(boost::asio::buffer(pem.text), ec);
    if (ec)
        throw boost::system::system_error(ec, pem.name + ": holds no usable certificate in PEM");
}

inline void use_key(boost::asio::ssl::context& context, const pem_source& pem, std::string_view password) {
    const auto bio = pem_reader(pem);
    pem_password asks{password};
    const openssl_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &pem_password::give, &asks));
    if (!key && asks.asked)
        pem.fail(
            password.empty() ? "the key is encrypted, and key_password is not set"
                             : "key_password does not open the key");
    if (!key)
        pem.fail("holds no private key in PEM");
    if (SSL_CTX_use_PrivateKey(context.native_handle(), key.get()) != 1 ||
        SSL_CTX_check_private_key(context.native_handle()) != 1)
        pem.fail("the key does not belong to the certificate");
}

/// \param announced whether the peer is told whose certificates are asked for.
inline void add_authorities(SSL_CTX* context, const pem_source& pem, bool announced) {
    const auto bio = pem_reader(pem);
    auto* const store = SSL_CTX_get_cert_store(context);
    bool any = false;
    while (const openssl_ptr<X509> authority{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
        if (X509_STORE_add_cert(store, authority.get()) != 1 ||
            (announced && SSL_CTX_add_client_CA(context, authority.get()) != 1))
            pem.fail("holds a certificate that cannot be used");
        any = true;
    }
    if (!any || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        pem.fail(any ? "holds a certificate that cannot be read" : "holds no certificate in PEM");
    ERR_clear_error();
}

inline int version_number(tls_version v) noexcept {
    return v == tls_version::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

/// Chooses `http/1.1` if the client offers it.
inline int choose_http(
    SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
    unsigned int offered_size, void*) {
    static constexpr unsigned char http[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char* found = nullptr;
    if (SSL_select_next_proto(&found, size, http, sizeof http, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

} // namespace detail

/// Makes a server's context, checked in all its parts: TLS 1.2 or newer, without compression, renegotiation,
/// or sessions kept in memory (resumption by tickets works).
///
/// To renew the certificate of a server that runs, load the new one and its key into the same context, on the
/// broker's executor; connections from then on show it.
///
/// \throws std::invalid_argument if parameters contradict each other or are missing.
/// \throws boost::system::system_error if a file cannot be read, or PEM cannot be used; `what()` names it and
/// says why.
inline std::shared_ptr<boost::asio::ssl::context> make_tls_context(const tls_params& p) {
    p.check();
    auto context = std::make_shared<boost::asio::ssl::context>(boost::asio::ssl::context::tls_server);
    auto* const c = context->native_handle();
    SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_min_proto_version(c, detail::version_number(p.minimum_version));
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    detail::use_certificate(*context, {"tls_params: certificate", p.certificate_file, p.certificate});
    detail::use_key(*context, {"tls_params: key", p.key_file, p.key}, p.key_password);
    if (!p.client_authorities_file.empty() || !p.client_authorities.empty()) {
        detail::add_authorities(
            c, {"tls_params: client_authorities", p.client_authorities_file, p.client_authorities}, true);
        SSL_CTX_set_verify(
            c, SSL_VERIFY_PEER | (p.client_certificate_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
            nullptr);
        // Without a name for what its tickets are good for, a server that asks for certificates resumes
        // nothing.
        static constexpr unsigned char name[] = {'p', 'u', 's', 'h', 'e', 'r'};
        SSL_CTX_set_session_id_context(c, name, sizeof name);
    }
    if (p.http)
        SSL_CTX_set_alpn_select_cb(c, &detail::choose_http, nullptr);
    return context;
}

} // namespace pusher::inline v0
