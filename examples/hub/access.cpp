// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "access.hpp"

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <charconv>

namespace hub {

namespace {

/// Takes the same time wherever the difference is, so that a secret can't be guessed bit by bit.
bool same(std::string_view a, std::string_view b) {
    if (a.size() != b.size())
        return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i != a.size(); ++i)
        difference |=
            static_cast<unsigned char>(a[i]) ^ static_cast<unsigned>(static_cast<unsigned char>(b[i]));
    return difference == 0;
}

/// `%XX` becomes a byte; what is malformed stays as it is, and matches no secret.
std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i != text.size(); ++i) {
        unsigned byte = 0;
        if (text[i] == '%' && text.size() - i > 2) {
            const auto* const end = text.data() + i + 3;
            if (std::from_chars(text.data() + i + 1, end, byte, 16).ptr == end) {
                out += static_cast<char>(byte);
                i += 2;
                continue;
            }
        }
        out += text[i];
    }
    return out;
}

} // namespace

std::string secret_of(const pusher::http_request& request) {
    constexpr std::string_view scheme = "Bearer ";
    if (const auto found = request.find(boost::beast::http::field::authorization); found != request.end()) {
        const std::string_view value(found->value().data(), found->value().size());
        if (boost::beast::iequals(value.substr(0, scheme.size()), scheme))
            return std::string(value.substr(scheme.size()));
    }
    // A browser's WebSocket and EventSource can't send a header.
    std::string_view target(request.target().data(), request.target().size());
    target.remove_prefix(std::min(target.find('?'), target.size()));
    while (!target.empty()) {
        target.remove_prefix(1); // ? or &
        const auto parameter = target.substr(0, target.find('&'));
        if (parameter.starts_with("token="))
            return decoded(parameter.substr(6));
        target.remove_prefix(parameter.size());
    }
    return {};
}

pusher::authentication_result access::judge(const pusher::authentication_request& request) const {
    const auto secret = request.http ? secret_of(*request.http) : std::string(request.token);
    if (secret.empty())
        return pusher::authentication_result::later();
    for (const auto& known : tokens_)
        if (same(known.secret, secret))
            return pusher::authentication_result::identified(known.uid);
    return pusher::authentication_result::refused("this token is not known here");
}

} // namespace hub
