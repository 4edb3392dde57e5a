// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <boost/asio/ip/address_v6.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace pusher::inline v0 {

/// Where a hub is, and how it is spoken to.
///
/// | text | speaks |
/// |---|---|
/// | `tcp://host:port` | a JSON object per line, over TCP |
/// | `tls://host:port` | the same over TLS |
/// | `unix:/path` | the same over a Unix-domain socket |
/// | `ws://host:port/path?query` | WebSocket; port 80 unless given |
/// | `wss://host:port/path?query` | WebSocket over TLS; port 443 unless given |
struct client_url {
    enum class kind : unsigned char { tcp, local, websocket };

    kind what = kind::tcp;
    bool secure = false; ///< over TLS

    /// A name or an IP address; empty for `unix:`. IPv6 is without brackets, and with its zone, as in
    /// `fe80::1%eth0`: in the text that is `[fe80::1%25eth0]`, or the same with a bare `%`.
    std::string host;

    std::uint16_t port = 0; ///< 0 for `unix:`
    std::string target;     ///< WebSocket: path and query; `unix:`: the socket's path

    /// Reads a URL. On failure `why` says what is wrong with it.
    static std::optional<client_url> parse(std::string_view text, std::string& why) {
        client_url url;
        why.clear();
        why = url.read(text);
        return why.empty() ? std::optional(std::move(url)) : std::nullopt;
    }

    /// What the `Host` header says: without the port where that is the usual one, and without a zone, which
    /// means nothing to others (RFC 6874, section 4).
    [[nodiscard]] std::string authority() const {
        auto name = host.substr(0, host.find('%'));
        if (name.find(':') != name.npos)
            name = '[' + name + ']';
        if (port != (secure ? 443 : 80))
            name += ':' + std::to_string(port);
        return name;
    }

private:
    /// \return what is wrong; nothing if all is well.
    std::string read(std::string_view text) {
        if (!std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; }))
            return "a URL holds spaces or characters that are not ASCII; escape them";
        const auto colon = text.find(':');
        std::string scheme(text.substr(0, std::min(colon, text.size())));
        std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        });
        auto rest = colon == text.npos ? std::string_view() : text.substr(colon + 1);
        if (scheme == "unix")
            return read_path(rest);
        if (scheme == "ws" || scheme == "wss")
            what = kind::websocket;
        else if (scheme != "tcp" && scheme != "tls")
            return "a URL begins with tcp://, tls://, ws://, wss:// or unix:";
        secure = scheme == "tls" || scheme == "wss";
        if (!rest.starts_with("//"))
            return "a URL needs // after " + scheme + ':';
        rest.remove_prefix(2);
        const auto end = std::min(rest.find_first_of("/?#"), rest.size());
        target = rest.substr(end);
        if (target.find('#') != target.npos)
            return "a URL may not have a fragment";
        if (what != kind::websocket) {
            if (!target.empty() && target != "/")
                return "a URL of TCP has no path";
            target.clear();
        } else if (!target.starts_with('/')) {
            target.insert(0, 1, '/');
        }
        return read_authority(rest.substr(0, end));
    }

    std::string read_path(std::string_view path) {
        constexpr std::size_t longest = 107; // what a socket address holds on Linux
        what = kind::local;
        if (path.starts_with("//")) {
            path.remove_prefix(2);
            if (!path.starts_with('/'))
                return "unix:// is followed by an absolute path";
        }
        if (path.empty() || path.size() > longest)
            return "unix: is followed by a path of 1 to 107 bytes";
        target = path;
        return {};
    }

    /// What is in brackets.
    std::string read_address(std::string_view text) {
        const auto percent = std::min(text.find('%'), text.size());
        const auto address = text.substr(0, percent);
        error_code ec;
        boost::asio::ip::make_address_v6(address, ec);
        if (ec)
            return "only an IPv6 address stands in [ ]";
        host = address;
        if (percent == text.size())
            return {};
        auto zone = text.substr(percent + 1);
        if (zone.starts_with("25"))
            zone.remove_prefix(2); // an escaped % (RFC 6874, section 2)
        if (zone.empty() || !only(zone, name_characters))
            return "the zone of an IPv6 address is the name or number of an interface";
        host.append("%").append(zone);
        return {};
    }

    static constexpr std::string_view name_characters =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._";

    static bool only(std::string_view text, std::string_view characters) noexcept {
        return text.find_first_not_of(characters) == text.npos;
    }

    std::string read_authority(std::string_view text) {
        if (text.find('@') != text.npos)
            return "a URL may not have a user name; give a token";
        auto colon = text.rfind(':');
        if (text.starts_with('[')) {
            const auto bracket = text.find(']');
            if (bracket == text.npos || (bracket + 1 != text.size() && text[bracket + 1] != ':'))
                return "a URL's [ needs its ]";
            colon = bracket + 1 == text.size() ? text.npos : bracket + 1;
            if (auto wrong = read_address(text.substr(1, bracket - 1)); !wrong.empty())
                return wrong;
        } else {
            host = text.substr(0, std::min(colon, text.size()));
            if (host.find_first_of(":[]") != host.npos)
                return "an IPv6 address needs [ ] around it";
            if (!only(host, name_characters))
                return "a host's name is of letters, digits, '-', '.' and '_'; others are written as xn--";
        }
        if (host.empty())
            return "a URL needs a host";
        if (colon == text.npos) {
            if (what != kind::websocket)
                return "a URL of TCP needs a port";
            port = secure ? 443 : 80;
            return {};
        }
        const auto digits = text.substr(colon + 1);
        const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (error != std::errc() || stop != digits.data() + digits.size() || port == 0)
            return "a URL's port is a number from 1 to 65535";
        return {};
    }
};

} // namespace pusher::inline v0
