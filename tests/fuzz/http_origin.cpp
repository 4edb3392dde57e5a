// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/http_origin.hpp>

#include "require.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Input: lines: an `Origin`, a `Host`, and the entries of an allow list.

using namespace pusher::detail;

namespace {

std::string lower(std::string_view text) {
    std::string to(text);
    std::transform(to.begin(), to.end(), to.begin(), ascii_lower);
    return to;
}

std::string upper(std::string_view text) {
    std::string to(text);
    std::transform(to.begin(), to.end(), to.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return to;
}

std::string text_of(const host_port& h) {
    return std::string(h.host) + (h.port ? ':' + std::to_string(*h.port) : std::string());
}

/// Two origins are the same if this text is; nothing if there is none.
std::string canonical(std::string_view text) {
    const auto o = web_origin::parse(text);
    return o ? lower(o->scheme) + "://" + lower(o->authority.host) + ':' + std::to_string(o->port()) : "";
}

void authority(std::string_view text) {
    const auto h = parse_host_port(text);
    for (const char c : {' ', '/', '@', '\\', ',', '\0', ':', '?', '#', '%'}) {
        require(!parse_host_port(std::string(text) + c), "nothing may follow");
        require(!parse_host_port(c + std::string(text)), "nothing may come before");
    }
    if (!h)
        return;
    require(text_of(*h) == text, "it is written in one way");
    require(!h->port || *h->port != 0, "a port is one");
    require(!h->host.empty(), "there is a host");
    const auto alone = parse_host_port(h->host);
    require(alone && alone->host == h->host && !alone->port, "a host alone is one");
    const auto louder = upper(text);
    const auto loud = parse_host_port(louder);
    require(loud && equal_ignoring_case(loud->host, h->host) && loud->port == h->port, "case means nothing");
    if (!h->port) {
        for (const int port : {1, 80, 65535}) {
            const auto longer = std::string(text) + ':' + std::to_string(port);
            const auto more = parse_host_port(longer);
            require(more && more->host == h->host && more->port == port, "a port may follow");
        }
        for (const auto* const port : {":0", ":65536", ":080", ":+8"})
            require(!parse_host_port(std::string(text) + port), "what is no port may not");
    }
}

void origin(std::string_view text) {
    const auto o = web_origin::parse(text);
    require(is_valid_allowed_origin(text) == (text == "*" || o), "an entry is an origin, or the star");
    if (!o)
        return;
    require(std::string(o->scheme) + "://" + text_of(o->authority) == text, "it is written in one way");
    require(*o == *o, "an origin is itself");
    const auto loud = upper(text);
    require(web_origin::parse(loud) == o, "case means nothing");
    require(!web_origin::parse(std::string(text) + '/'), "no slash may follow");
    if (!o->authority.port && o->port() != 0) {
        const auto said = std::string(text) + ':' + std::to_string(o->port());
        require(web_origin::parse(said) == o, "the scheme's port may be said");
    }
}

/// What `origin_allowed` says, in other words.
bool expected(
    const std::string& from, const std::string& host, bool tls, const std::vector<std::string>& allowed) {
    const auto origin = canonical(from);
    for (const auto& entry : allowed)
        if (entry == "*" || (!origin.empty() && canonical(entry) == origin))
            return true;
    return (origin.starts_with("https://") && canonical("https://" + host) == origin) ||
           (!tls && origin.starts_with("http://") && canonical("http://" + host) == origin);
}

void decision(const std::string& from, const std::string& host, const std::vector<std::string>& allowed) {
    for (const bool tls : {false, true}) {
        const auto passes = [&](const std::vector<std::string>& list) {
            return origin_allowed(from, host, tls, list);
        };
        const bool passed = passes(allowed);
        require(passed == expected(from, host, tls, allowed), "it is decided as said");
        require(!passes({}) || passed, "a list takes nothing away");
        require(!tls || !passed || origin_allowed(from, host, false, allowed), "nor does it without TLS");
        require(passes({allowed.rbegin(), allowed.rend()}) == passed, "its order means nothing");
        require(passes({"*"}), "the star lets all pass");
        require(
            passes({from}) == (from == "*" || web_origin::parse(from) || passes({})), "itself is allowed");
        require(origin_allowed(std::nullopt, host, tls, allowed), "who has no origin is no page");
        require(origin_allowed(upper(from), upper(host), tls) == passes({}), "case means nothing");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    authority(text);
    origin(text);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        lines.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    lines.resize(std::clamp<std::size_t>(lines.size(), 2, 10));
    for (const auto& line : lines) {
        authority(line);
        origin(line);
    }
    decision(lines[0], lines[1], {lines.begin() + 2, lines.end()});
    return 0;
}
