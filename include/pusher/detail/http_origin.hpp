// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pusher::inline v0::detail {

/// A host and port as a browser writes them.
struct host_port {
    std::string_view host; ///< with the brackets of an IPv6 address
    std::optional<std::uint16_t> port;
};

[[nodiscard]] constexpr char ascii_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return ascii_lower(x) == ascii_lower(y);
    });
}

/// Only forms that a browser sends: letters, digits, `-`, `.`, `_`, or a bracketed IPv6 address; then
/// nothing, or `:` and a port of 1 to 65535 without leading zeros. What could be read in two ways is thereby
/// refused.
[[nodiscard]] constexpr std::optional<host_port> parse_host_port(std::string_view text) noexcept {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto is_name = [&](char c) {
        const char l = ascii_lower(c);
        return is_digit(c) || (l >= 'a' && l <= 'z') || c == '-' || c == '.' || c == '_';
    };
    const auto is_v6 = [&](char c) {
        const char l = ascii_lower(c);
        return is_digit(c) || (l >= 'a' && l <= 'f') || c == ':' || c == '.';
    };

    std::size_t end = 0;
    if (text.starts_with('[')) {
        end = 1;
        while (end != text.size() && is_v6(text[end]))
            ++end;
        if (end < 3 || end == text.size() || text[end] != ']')
            return std::nullopt;
        ++end;
    } else {
        while (end != text.size() && is_name(text[end]))
            ++end;
        if (end == 0)
            return std::nullopt;
    }
    host_port result{text.substr(0, end), std::nullopt};
    auto digits = text.substr(end);
    if (digits.empty())
        return result;
    if (digits[0] != ':')
        return std::nullopt;
    digits.remove_prefix(1);
    if (digits.empty() || digits.size() > 5 || digits[0] == '0' ||
        !std::all_of(digits.begin(), digits.end(), is_digit))
        return std::nullopt;
    std::uint32_t port = 0;
    for (const char c : digits)
        port = port * 10 + static_cast<std::uint32_t>(c - '0');
    if (port > 65535)
        return std::nullopt;
    result.port = static_cast<std::uint16_t>(port);
    return result;
}

/// An origin `scheme://host[:port]`; nothing may follow, no slash either.
struct web_origin {
    std::string_view scheme;
    host_port authority;

    [[nodiscard]] static constexpr std::optional<web_origin> parse(std::string_view text) noexcept {
        const auto colon = text.find("://");
        if (colon == std::string_view::npos || colon == 0)
            return std::nullopt;
        const auto scheme = text.substr(0, colon);
        for (std::size_t i = 0; i != scheme.size(); ++i) {
            const char c = ascii_lower(scheme[i]);
            const bool letter = c >= 'a' && c <= 'z';
            if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
                return std::nullopt;
        }
        const auto authority = parse_host_port(text.substr(colon + 3));
        if (!authority)
            return std::nullopt;
        return web_origin{scheme, *authority};
    }

    /// The port said, or the scheme's; 0 for a scheme that has none.
    [[nodiscard]] constexpr std::uint16_t port() const noexcept {
        if (authority.port)
            return *authority.port;
        return equal_ignoring_case(scheme, "https") ? 443 : equal_ignoring_case(scheme, "http") ? 80 : 0;
    }

    friend constexpr bool operator==(const web_origin& a, const web_origin& b) noexcept {
        return equal_ignoring_case(a.scheme, b.scheme) &&
               equal_ignoring_case(a.authority.host, b.authority.host) && a.port() == b.port();
    }
};

/// Whether an entry of an allow list can match anything: `*`, or an origin. Say so when it is configured: an
/// entry such as `https://example.com/` (with a slash) would be without effect.
[[nodiscard]] constexpr bool is_valid_allowed_origin(std::string_view entry) noexcept {
    return entry == "*" || web_origin::parse(entry).has_value();
}

/// Whether a request may come from where its `Origin` header says.
///
/// `origin`: the header, or none if there is none: not a browser, passes. `host`: the `Host` header. `tls`:
/// whether the connection itself is TLS; a plain one may have a proxy in front that ends TLS, so there
/// `https` passes too and the port left out of `Host` is that of the origin's scheme. `allowed`: origins,
/// compared as origins are (case, default port); or `*`, which lets everything pass, `null` and malformed
/// ones included. `null` passes in no other way.
///
/// The same host is no proof against DNS rebinding, where a foreign name is made to point at this broker.
[[nodiscard]] inline bool origin_allowed(
    std::optional<std::string_view> origin, std::string_view host, bool tls,
    std::span<const std::string> allowed = {}) noexcept {
    if (!origin)
        return true;
    const auto from = web_origin::parse(*origin);
    for (const auto& entry : allowed)
        if (entry == "*" || (from && web_origin::parse(entry) == from))
            return true;
    if (!from)
        return false;
    const bool https = equal_ignoring_case(from->scheme, "https");
    if (!https && (tls || !equal_ignoring_case(from->scheme, "http")))
        return false;
    const auto to = parse_host_port(host);
    return to && *from == web_origin{from->scheme, *to};
}

} // namespace pusher::inline v0::detail
