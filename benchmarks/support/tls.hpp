// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/ext/tls_context.hpp>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

/// As much of TLS as a benchmark needs.
namespace bench::tls {

template <auto Free>
struct freed_by {
    template <class T>
    void operator()(T* p) const noexcept {
        Free(p);
    }
};
template <class T, auto Free>
using owned = std::unique_ptr<T, freed_by<Free>>;

inline void good(bool done, const char* what) {
    if (!done)
        throw std::runtime_error(std::string("OpenSSL: ") + what);
}

/// What a server shows: a certificate that it has signed itself, with a key on P-256.
inline pusher::tls_params self_signed() {
    const owned<EVP_PKEY_CTX, &EVP_PKEY_CTX_free> maker(EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nullptr));
    EVP_PKEY* made = nullptr;
    good(
        EVP_PKEY_keygen_init(maker.get()) == 1 &&
            EVP_PKEY_CTX_set_ec_paramgen_curve_nid(maker.get(), NID_X9_62_prime256v1) == 1 &&
            EVP_PKEY_keygen(maker.get(), &made) == 1,
        "key");
    const owned<EVP_PKEY, &EVP_PKEY_free> key(made);
    const owned<X509, &X509_free> c(X509_new());
    auto* const subject = X509_get_subject_name(c.get());
    const auto* const name = reinterpret_cast<const unsigned char*>("localhost");
    good(
        X509_set_version(c.get(), 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(c.get()), 1) == 1 &&
            X509_gmtime_adj(X509_getm_notBefore(c.get()), -60) &&
            X509_gmtime_adj(X509_getm_notAfter(c.get()), 86400) && X509_set_pubkey(c.get(), key.get()) == 1 &&
            X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) == 1 &&
            X509_set_issuer_name(c.get(), subject) == 1 && X509_sign(c.get(), key.get(), EVP_sha256()) > 0,
        "certificate");
    const auto text = [](const owned<BIO, &BIO_free_all>& bio) {
        char* data = nullptr;
        const auto size = BIO_get_mem_data(bio.get(), &data);
        return std::string(data, static_cast<std::size_t>(size));
    };
    const owned<BIO, &BIO_free_all> out(BIO_new(BIO_s_mem()));
    const owned<BIO, &BIO_free_all> key_out(BIO_new(BIO_s_mem()));
    good(
        PEM_write_bio_X509(out.get(), c.get()) == 1 &&
            PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
        "PEM");
    pusher::tls_params params;
    params.certificate = text(out);
    params.key = text(key_out);
    return params;
}

/// The client's side of a connection, on a socket that blocks and stays open when this goes.
class client {
public:
    explicit client(int fd) : ssl_(SSL_new(context())) {
        good(SSL_set_fd(ssl_.get(), fd) == 1 && SSL_connect(ssl_.get()) == 1, "handshake");
    }

    void send(std::string_view bytes) {
        good(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0, "write");
    }

    int receive(char* room, std::size_t size) { return SSL_read(ssl_.get(), room, static_cast<int>(size)); }

private:
    static SSL_CTX* context() {
        static const owned<SSL_CTX, &SSL_CTX_free> one(SSL_CTX_new(TLS_client_method()));
        return one.get();
    }

    owned<SSL, &SSL_free> ssl_;
};

} // namespace bench::tls
