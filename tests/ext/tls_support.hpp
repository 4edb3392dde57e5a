// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "hub_thread.hpp"

#include <pusher/ext/tls.hpp>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

// Certificates made on the spot, and clients that speak TLS and block.

namespace test {

namespace ssl = boost::asio::ssl;

/// A certificate and its key, in PEM.
struct identity {
    std::string certificate;
    std::string key;
};

namespace detail {

template <auto Free>
struct freed_by {
    template <class T>
    void operator()(T* p) const noexcept {
        Free(p);
    }
};
template <class T, auto Free>
using owned = std::unique_ptr<T, freed_by<Free>>;

using key_ptr = owned<EVP_PKEY, &EVP_PKEY_free>;
using certificate_ptr = owned<X509, &X509_free>;
using bio_ptr = owned<BIO, &BIO_free_all>;

inline void good(bool done) {
    if (!done)
        throw std::runtime_error("OpenSSL failed to make a certificate");
}

inline std::string text_of(BIO* bio) {
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

inline key_ptr make_key() {
    const owned<EVP_PKEY_CTX, &EVP_PKEY_CTX_free> maker(EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nullptr));
    EVP_PKEY* key = nullptr;
    good(
        EVP_PKEY_keygen_init(maker.get()) == 1 &&
        EVP_PKEY_CTX_set_ec_paramgen_curve_nid(maker.get(), NID_X9_62_prime256v1) == 1 &&
        EVP_PKEY_keygen(maker.get(), &key) == 1);
    return key_ptr(key);
}

inline void add_extension(X509* certificate, int nid, const char* value) {
    const owned<X509_EXTENSION, &X509_EXTENSION_free> e(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
    good(e && X509_add_ext(certificate, e.get(), -1) == 1);
}

} // namespace detail

/// \param issuer who signs it; null: it signs itself, and can sign others.
/// \param password what the key is encrypted with; empty: it is not. \param hosts whose it is.
inline identity make_identity(
    const std::string& name, const identity* issuer = nullptr, const std::string& password = {},
    const char* hosts = "IP:127.0.0.1,DNS:localhost") {
    using namespace detail;
    const auto key = make_key();
    const certificate_ptr c(X509_new());
    static long serial = 1;
    good(
        X509_set_version(c.get(), 2) == 1 &&
        ASN1_INTEGER_set(X509_get_serialNumber(c.get()), serial++) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(c.get()), -60) &&
        X509_gmtime_adj(X509_getm_notAfter(c.get()), 3600) && X509_set_pubkey(c.get(), key.get()) == 1);
    const auto* const text = reinterpret_cast<const unsigned char*>(name.c_str());
    auto* const subject = X509_get_subject_name(c.get());
    good(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1);
    add_extension(c.get(), NID_subject_alt_name, hosts);
    if (issuer) {
        const bio_ptr from(BIO_new_mem_buf(issuer->certificate.data(), -1));
        const certificate_ptr ca(PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr));
        const bio_ptr key_from(BIO_new_mem_buf(issuer->key.data(), -1));
        const key_ptr ca_key(PEM_read_bio_PrivateKey(key_from.get(), nullptr, nullptr, nullptr));
        good(
            ca && ca_key && X509_set_issuer_name(c.get(), X509_get_subject_name(ca.get())) == 1 &&
            X509_sign(c.get(), ca_key.get(), EVP_sha256()) > 0);
    } else {
        add_extension(c.get(), NID_basic_constraints, "critical,CA:TRUE");
        good(X509_set_issuer_name(c.get(), subject) == 1 && X509_sign(c.get(), key.get(), EVP_sha256()) > 0);
    }
    const bio_ptr out(BIO_new(BIO_s_mem()));
    const bio_ptr key_out(BIO_new(BIO_s_mem()));
    const auto* const cipher = password.empty() ? nullptr : EVP_aes_128_cbc();
    good(
        PEM_write_bio_X509(out.get(), c.get()) == 1 &&
        PEM_write_bio_PrivateKey(
            key_out.get(), key.get(), cipher, reinterpret_cast<const unsigned char*>(password.data()),
            static_cast<int>(password.size()), nullptr, nullptr) == 1);
    return {text_of(out.get()), text_of(key_out.get())};
}

/// The authority that the tests trust, and the server's certificate from it.
inline const identity& authority() {
    static const identity one = make_identity("the authority");
    return one;
}
inline const identity& server_identity() {
    static const identity one = make_identity("localhost", &authority());
    return one;
}
inline std::shared_ptr<ssl::context> server_context(pusher::tls_params p = {}) {
    p.certificate = server_identity().certificate;
    p.key = server_identity().key;
    return pusher::make_tls_context(p);
}

/// A client's context: it trusts the authority.
inline ssl::context client_context(const identity* own = nullptr) {
    ssl::context c(ssl::context::tls_client);
    c.add_certificate_authority(asio::buffer(authority().certificate));
    c.set_verify_mode(ssl::verify_peer);
    if (own) {
        c.use_certificate_chain(asio::buffer(own->certificate));
        c.use_private_key(asio::buffer(own->key), ssl::context::pem);
    }
    return c;
}

/// A client of lines over TLS.
class tls_line_client : public line_client<ssl::stream<tcp::socket>> {
public:
    tls_line_client(asio::io_context& io, std::uint16_t port, ssl::context& context, int receive_buffer = 0)
        : line_client(connect(io, port, receive_buffer), context) {
        stream.handshake(ssl::stream_base::client);
    }

    void subscribe(const std::string& topic) {
        request("subscribe", "{\"topic\":\"" + topic + "\"}");
        if (const auto reply = line(); reply.find("\"status\":\"ok\"") == reply.npos)
            throw std::runtime_error(reply);
    }
};

/// A WebSocket client over TLS.
class wss_client {
public:
    wss_client(asio::io_context& io, std::uint16_t port, ssl::context& context, int receive_buffer = 0)
        : stream(connect(io, port, receive_buffer), context) {
        stream.next_layer().handshake(ssl::stream_base::client);
        stream.handshake("127.0.0.1:" + std::to_string(port), "/ws");
        stream.text(true);
    }

    void request(const std::string& action, const std::string& params) {
        stream.write(
            asio::buffer("{\"request_id\":\"r\",\"action\":\"" + action + "\",\"params\":" + params + "}"));
    }

    std::string message() {
        std::string text;
        auto buffer = asio::dynamic_buffer(text);
        stream.read(buffer);
        return text;
    }

    void subscribe(const std::string& topic) {
        request("subscribe", "{\"topic\":\"" + topic + "\"}");
        if (const auto reply = message(); reply.find("\"status\":\"ok\"") == reply.npos)
            throw std::runtime_error(reply);
    }

    boost::beast::websocket::stream<ssl::stream<tcp::socket>> stream;
};

} // namespace test
