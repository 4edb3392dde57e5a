// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "tls_support.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

// The parameters of TLS, and what is said of those that are wrong.

using namespace test;

namespace {

/// What `make_tls_context` says, in the words of the exception; empty: it is content.
std::string complaint(const pusher::tls_params& p) {
    try {
        pusher::make_tls_context(p);
        return {};
    } catch (const std::invalid_argument& e) {
        return std::string("invalid: ") + e.what();
    } catch (const boost::system::system_error& e) {
        return e.what();
    }
}

/// A file that is there as long as this is.
class temporary_file {
public:
    explicit temporary_file(const std::string& text) {
        auto path = (std::filesystem::temp_directory_path() / "pusher-tls-XXXXXX").string();
        const int fd = ::mkstemp(path.data());
        REQUIRE(fd != -1);
        ::close(fd);
        name = path;
        std::ofstream(name) << text;
    }
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;
    ~temporary_file() { std::filesystem::remove(name); }

    std::string name;
};

} // namespace

TEST_CASE("tls_params: what is missing, or twice there") {
    const auto& own = server_identity();
    CHECK(complaint({}) == "invalid: tls_params: one of certificate_file and certificate must be set");
    CHECK(
        complaint({.certificate_file = "a", .certificate = "b"}) ==
        "invalid: tls_params: one of certificate_file and certificate must be set");
    CHECK(
        complaint({.certificate = own.certificate}) ==
        "invalid: tls_params: one of key_file and key must be set");
    CHECK(
        complaint({.certificate = own.certificate, .key_file = "a", .key = "b"}) ==
        "invalid: tls_params: one of key_file and key must be set");
    CHECK(
        complaint(
            {.certificate = own.certificate,
             .key = own.key,
             .client_authorities_file = "a",
             .client_authorities = "b"}) ==
        "invalid: tls_params: client_authorities_file and client_authorities are both set");
    CHECK(holds(
        complaint(
            {.certificate = own.certificate,
             .key = own.key,
             .minimum_version = static_cast<pusher::tls_version>(7)}),
        "invalid: tls_params: minimum_version"));
    CHECK_THROWS_AS(pusher::tls(std::shared_ptr<ssl::context>()), std::invalid_argument);
}

TEST_CASE("tls_params: files") {
    const auto& own = server_identity();
    const temporary_file certificate(own.certificate);
    const temporary_file key(own.key);
    const temporary_file both(own.certificate + own.key);
    const temporary_file empty("");
    CHECK(complaint({.certificate_file = certificate.name, .key_file = key.name}).empty());
    CHECK(complaint({.certificate_file = both.name, .key_file = both.name}).empty());
    CHECK(holds(
        complaint({.certificate_file = "/no/such.pem", .key_file = key.name}),
        "tls_params: certificate_file /no/such.pem: No such file or directory"));
    CHECK(holds(
        complaint({.certificate_file = "/tmp", .key_file = key.name}),
        "tls_params: certificate_file /tmp: Is a directory"));
    CHECK(holds(
        complaint({.certificate_file = certificate.name, .key_file = "/no/key.pem"}),
        "tls_params: key_file /no/key.pem: No such file or directory"));
    CHECK(holds(
        complaint({.certificate_file = empty.name, .key_file = key.name}),
        "tls_params: certificate_file " + empty.name + ": holds no usable certificate in PEM"));
    CHECK(holds(
        complaint({.certificate_file = certificate.name, .key_file = empty.name}),
        "tls_params: key_file " + empty.name + ": holds no private key in PEM"));
    const temporary_file authorities(authority().certificate + make_identity("another").certificate);
    CHECK(complaint({.certificate_file = certificate.name,
                     .key_file = key.name,
                     .client_authorities_file = authorities.name})
              .empty());
}

TEST_CASE("tls_params: PEM") {
    const auto& own = server_identity();
    const auto other = make_identity("another");
    const auto locked = make_identity("locked", nullptr, "open sesame");
    CHECK(complaint({.certificate = own.certificate, .key = own.key}).empty());
    CHECK(complaint({.certificate = own.certificate + authority().certificate, .key = own.key}).empty());
    CHECK(holds(
        complaint({.certificate = "nonsense", .key = own.key}),
        "tls_params: certificate: holds no usable certificate in PEM"));
    CHECK(holds(
        complaint({.certificate = own.key, .key = own.key}),
        "tls_params: certificate: holds no usable certificate in PEM"));
    CHECK(holds(
        complaint({.certificate = own.certificate.substr(0, 200), .key = own.key}),
        "tls_params: certificate: holds no usable certificate in PEM"));
    CHECK(holds(
        complaint({.certificate = own.certificate, .key = own.certificate}),
        "tls_params: key: holds no private key in PEM"));
    CHECK(holds(
        complaint({.certificate = own.certificate, .key = other.key}),
        "tls_params: key: the key does not belong to the certificate"));
    // A password is asked of the parameters, never at the terminal.
    CHECK(holds(
        complaint({.certificate = locked.certificate, .key = locked.key}),
        "tls_params: key: the key is encrypted, and key_password is not set"));
    CHECK(holds(
        complaint({.certificate = locked.certificate, .key = locked.key, .key_password = "guess"}),
        "tls_params: key: key_password does not open the key"));
    CHECK(complaint({.certificate = locked.certificate, .key = locked.key, .key_password = "open sesame"})
              .empty());
    CHECK(holds(
        complaint({.certificate = own.certificate, .key = own.key, .client_authorities = "nobody"}),
        "tls_params: client_authorities: holds no certificate in PEM"));
    CHECK(holds(
        complaint(
            {.certificate = own.certificate,
             .key = own.key,
             .client_authorities = authority().certificate + other.certificate.substr(0, 300)}),
        "tls_params: client_authorities: holds a certificate that cannot be read"));
    // Nothing is left behind that a later operation could take for its own.
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("tls_params: a certificate is renewed while the server runs") {
    const auto context = server_context();
    hub_thread hub;
    const auto port = hub.listen(pusher::tcp_params{.channel = pusher::tls(context)});
    asio::io_context io;
    auto trusting = client_context();
    const auto name = [&] {
        tls_line_client c(io, port, trusting);
        c.subscribe("t");
        const std::unique_ptr<X509, void (*)(X509*)> shown(
            SSL_get_peer_certificate(c.stream.native_handle()), &X509_free);
        char text[100] = {};
        X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, text, sizeof text);
        return std::string(text);
    };
    tls_line_client before(io, port, trusting);
    before.subscribe("t");
    CHECK(name() == "localhost");
    const auto renewed = make_identity("renewed", &authority());
    hub.on([&](auto&) {
        context->use_certificate_chain(asio::buffer(renewed.certificate));
        context->use_private_key(asio::buffer(renewed.key), ssl::context::pem);
    });
    CHECK(name() == "renewed");
    hub.publish("t", "still here");
    CHECK(payload_of(before.line()) == "still here");
}
