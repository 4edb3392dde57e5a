// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/client/url.hpp>
#include <pusher/detail/http_origin.hpp>

#include "require.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Input: a URL of a hub.

using namespace pusher;

namespace {

using kind = client_url::kind;

bool same(const client_url& a, const client_url& b) {
    return a.what == b.what && a.secure == b.secure && a.host == b.host && a.port == b.port &&
           a.target == b.target;
}

/// The URL written out in full.
std::string text_of(const client_url& u) {
    if (u.what == kind::local)
        return (u.target.starts_with('/') ? "unix://" : "unix:") + u.target;
    std::string text = u.what == kind::tcp ? (u.secure ? "tls://" : "tcp://") : u.secure ? "wss://" : "ws://";
    auto host = u.host;
    if (const auto zone = host.find('%'); zone != host.npos)
        host.insert(zone + 1, "25");
    text += host.find(':') == host.npos ? host : '[' + host + ']';
    return text + ':' + std::to_string(u.port) + u.target;
}

std::optional<client_url> parse(std::string_view text) {
    std::string why = "left from before";
    auto url = client_url::parse(text, why);
    require(url.has_value() == why.empty(), "what is no URL has a reason, and only that");
    return url;
}

void check(const client_url& u) {
    const auto again = parse(text_of(u));
    require(again && same(*again, u), "a URL written out is the same");
    if (u.what == kind::local) {
        require(u.host.empty() && u.port == 0 && !u.secure, "a path has no host");
        require(!u.target.empty() && u.target.size() <= 107, "a path fits into an address");
        return;
    }
    require(!u.host.empty() && u.port != 0, "there is a host and a port");
    if (u.what == kind::tcp) {
        require(u.target.empty(), "TCP has no path");
    } else {
        require(u.target.starts_with('/'), "a path begins with a slash");
        require(
            std::all_of(
                u.target.begin(), u.target.end(), [](char c) { return c > ' ' && c < 0x7F && c != '#'; }),
            "a path fits into the line of a request");
    }
    // What the hub makes of it.
    const auto authority = u.authority();
    const auto seen = detail::parse_host_port(authority);
    require(seen.has_value(), "a hub can read its Host");
    const bool v6 = u.host.find(':') != u.host.npos;
    const auto address = u.host.substr(0, u.host.find('%'));
    require(seen->host == (v6 ? '[' + address + ']' : u.host), "Host has the host, without a zone");
    require(seen->port.value_or(u.secure ? 443 : 80) == u.port, "Host has the port");
    require(!seen->port || *seen->port != (u.secure ? 443 : 80), "the usual port is not said");
    const auto origin = (u.secure ? "https://" : "http://") + authority;
    require(detail::origin_allowed(origin, authority, u.secure), "a page of the hub's own may come");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto url = parse(text);
    if (!url)
        return 0;
    check(*url);
    auto loud = std::string(text);
    std::transform(
        loud.begin(), loud.begin() + static_cast<std::ptrdiff_t>(text.find(':')), loud.begin(),
        [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    const auto other = parse(loud);
    require(other && same(*other, *url), "the scheme's case means nothing");
    require(!parse(std::string(text) + ' ') && !parse(std::string(text) + "\r\n"), "nothing may follow");
    return 0;
}
