// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/detail/http_origin.hpp>

#include "catch.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace pusher::detail;
using namespace std::string_view_literals;
using list = std::vector<std::string>;

constexpr bool plain = false;
constexpr bool tls = true;

TEST_CASE("http_origin: no Origin is no browser, and passes", "[http_origin]") {
    CHECK(origin_allowed(std::nullopt, "example.com", plain));
    CHECK(origin_allowed(std::nullopt, "", tls));
    // An empty header is a header.
    CHECK_FALSE(origin_allowed("", "example.com", plain));
    CHECK_FALSE(origin_allowed("", "", plain));
}

TEST_CASE("http_origin: the same host", "[http_origin]") {
    struct row {
        std::string_view origin;
        std::string_view host;
        bool on_plain;
        bool on_tls;
    };
    const row rows[] = {
        {"http://example.com", "example.com", true, false},
        {"https://example.com", "example.com", true, true}, // plain: behind a proxy that ends TLS
        {"http://example.com:8080", "example.com:8080", true, false},
        {"https://example.com:8443", "example.com:8443", true, true},
        {"http://127.0.0.1:8080", "127.0.0.1:8080", true, false},
        {"http://localhost:8080", "localhost:8080", true, false},
        {"http://[::1]:8080", "[::1]:8080", true, false},
        {"https://[2001:db8::1]", "[2001:DB8::1]", true, true},
        {"http://my_host-1.example", "my_host-1.example", true, false},
        // Default ports, said on either side.
        {"http://example.com", "example.com:80", true, false},
        {"http://example.com:80", "example.com", true, false},
        {"https://example.com", "example.com:443", true, true},
        {"https://example.com:443", "example.com", true, true},
        {"https://example.com", "example.com:80", false, false},
        {"http://example.com", "example.com:443", false, false},
        {"http://example.com:443", "example.com", false, false},
        {"https://example.com:80", "example.com", false, false},
        // Case.
        {"HTTP://Example.COM", "eXample.com", true, false},
        // Another port or host is another origin.
        {"http://example.com:8080", "example.com:8081", false, false},
        {"http://example.com:8080", "example.com", false, false},
        {"http://example.com", "example.com:8080", false, false},
        {"http://localhost:8080", "127.0.0.1:8080", false, false},
        {"http://[::1]:8080", "[::2]:8080", false, false},
        {"http://www.example.com", "example.com", false, false},
        {"http://example.com", "www.example.com", false, false},
        {"http://example.com.evil.net", "example.com", false, false},
        {"http://evil.net", "example.com", false, false},
        {"http://notexample.com", "example.com", false, false},
        {"http://example.com.", "example.com", false, false},
    };
    for (const auto& r : rows) {
        CAPTURE(r.origin, r.host);
        CHECK(origin_allowed(r.origin, r.host, plain) == r.on_plain);
        CHECK(origin_allowed(r.origin, r.host, tls) == r.on_tls);
    }
}

TEST_CASE("http_origin: what no browser writes is foreign, even if the Host says the same", "[http_origin]") {
    const std::string_view authorities[] = {
        "",
        ":80",
        "example.com:",
        "example.com:0",
        "example.com:080",
        "example.com:65536",
        "example.com:99999",
        "example.com:100000",
        "example.com:18446744073709551696", // 80 modulo 2^64
        "example.com:-80",
        "example.com:+80",
        "example.com:80 ",
        "example.com:8a",
        "example.com:80:80",
        "example.com/",
        "example.com/path",
        "example.com?x",
        "example.com#x",
        "example.com\\",
        "example.com,evil.net",
        "example.com evil.net",
        " example.com",
        "example.com ",
        "example.com\t",
        "example.com\r\n",
        "example.com\0"sv,
        "example.com\0.evil.net"sv,
        "user@example.com",
        "user:password@example.com",
        "evil.net:80@example.com",
        "*",
        "*.example.com",
        "ex%61mple.com",
        "ex\xC3\xA4mple.com",
        "example\xE3\x80\x82"
        "com",
        "http://example.com",
        "[",
        "]",
        "[]",
        "[]:80",
        "[::1",
        "[::1]x",
        "[::1]80",
        "[::1]:",
        "[::1]:0",
        "[::1]]",
        "[[::1]]",
        "[::1%25eth0]",
        "[g::1]",
        "::1",
    };
    for (const auto authority : authorities) {
        CAPTURE(std::string(authority));
        CHECK_FALSE(parse_host_port(authority));
        for (const std::string scheme : {"http://", "https://"}) {
            const auto origin = scheme + std::string(authority);
            CHECK_FALSE(origin_allowed(origin, authority, plain));
            CHECK_FALSE(origin_allowed(origin, authority, tls));
            CHECK_FALSE(origin_allowed(origin, "example.com", plain));
            CHECK_FALSE(origin_allowed("http://example.com", authority, plain));
        }
    }
}

TEST_CASE("http_origin: malformed origins, and schemes that are not the web's", "[http_origin]") {
    const std::string_view origins[] = {
        "null",
        "NULL",
        "example.com",
        "//example.com",
        "://example.com",
        "http:example.com",
        "http:/example.com",
        "http:///example.com",
        "http//example.com",
        " http://example.com",
        "http ://example.com",
        "http://http://example.com",
        "http://example.com http://example.com",
        "http://example.com, http://example.com",
        "1http://example.com",
        "h\0ttp://example.com"sv,
        "ws://example.com",
        "wss://example.com",
        "file://example.com",
        "ftp://example.com",
        "httpx://example.com",
        "javascript://example.com",
        "chrome-extension://example.com",
        "*",
    };
    for (const auto origin : origins) {
        CAPTURE(std::string(origin));
        CHECK_FALSE(origin_allowed(origin, "example.com", plain));
        CHECK_FALSE(origin_allowed(origin, "example.com", tls));
        CHECK_FALSE(origin_allowed(origin, origin, plain));
    }
    CHECK_FALSE(origin_allowed("null", "null", plain));
    CHECK_FALSE(origin_allowed("http://" + std::string(100'000, 'a') + "/", "example.com", plain));
    CHECK_FALSE(origin_allowed(std::string(100'000, ':'), "example.com", plain));
}

TEST_CASE("http_origin: a host named null is a host, the origin null is none", "[http_origin]") {
    CHECK(origin_allowed("http://null", "null", plain));
    CHECK_FALSE(origin_allowed("null", "null:80", plain));
}

TEST_CASE("http_origin: no usable Host: only the list helps", "[http_origin]") {
    for (const auto host : {""sv, "example.com:"sv, "evil@example.com"sv}) {
        CHECK_FALSE(origin_allowed("http://example.com", host, plain));
        CHECK(origin_allowed("http://example.com", host, plain, list{"http://example.com"}));
    }
}

TEST_CASE("http_origin: the allow list compares as origins", "[http_origin]") {
    const list allowed{
        "https://app.example.com", "http://dev.example:3000", "https://Shop.Example:443",
        "capacitor://localhost", "https://[2001:db8::1]"};
    for (const auto origin :
         {"https://app.example.com", "https://app.example.com:443", "HTTPS://APP.EXAMPLE.COM",
          "http://dev.example:3000", "https://shop.example", "capacitor://localhost",
          "https://[2001:DB8::1]:443"}) {
        CAPTURE(origin);
        CHECK(origin_allowed(origin, "hub.example.net", plain, allowed));
        CHECK(origin_allowed(origin, "hub.example.net", tls, allowed)); // the list is the host's word
    }
    for (const auto origin :
         {"http://app.example.com", "https://app.example.com:444", "https://app.example.com.evil.net",
          "https://evil.net/https://app.example.com", "https://xapp.example.com", "https://example.com",
          "https://app.example.com/", "http://dev.example", "https://dev.example:3000",
          "capacitor://localhost:80", "ionic://localhost", "null", ""}) {
        CAPTURE(origin);
        CHECK_FALSE(origin_allowed(origin, "hub.example.net", plain, allowed));
    }
    // The same host passes besides.
    CHECK(origin_allowed("http://hub.example.net", "hub.example.net", plain, allowed));
}

TEST_CASE("http_origin: the star lets everything pass, and stands alone", "[http_origin]") {
    for (const auto origin : {"http://evil.net", "null", "", "garbage", "http://a/b"}) {
        CHECK(origin_allowed(origin, "example.com", tls, list{"https://a.example", "*"}));
        CHECK_FALSE(origin_allowed(origin, "example.com", tls, list{"https://*", "*.net", "**", " *"}));
    }
}

TEST_CASE("http_origin: entries that can match nothing are known as such", "[http_origin]") {
    for (const auto entry : {"*", "http://a.example", "https://a.example:8443", "capacitor://localhost"})
        CHECK(is_valid_allowed_origin(entry));
    const list bad{"://a.example",     "",        "null",       "a.example", "http://a.example/",
                   "http://*.example", "http://", "https://a b"};
    for (const auto& entry : bad) {
        CAPTURE(entry);
        CHECK_FALSE(is_valid_allowed_origin(entry));
        // Not even an origin of the same text.
        CHECK_FALSE(origin_allowed(entry, "example.com", plain, list{entry}));
    }
}

} // namespace
