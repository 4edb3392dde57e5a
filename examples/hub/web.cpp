// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "web.hpp"

#include <pusher/version.hpp>

namespace hub {

namespace http = boost::beast::http;

web::web(std::string_view page) : page_(page), policy_("frame-ancestors 'none'") {
    constexpr std::string_view before = "http-equiv=\"Content-Security-Policy\" content=\"";
    if (auto begin = page.find(before); begin != page.npos) {
        begin += before.size();
        policy_ += "; " + std::string(page.substr(begin, page.find('"', begin) - begin));
    }
}

bool web::answer(const pusher::http_connection_ptr& connection) const {
    const auto& request = connection->request();
    const std::string_view target(request.target().data(), request.target().size());
    const auto path = target.substr(0, target.find('?'));
    if (path != "/" && path != "/favicon.ico")
        return false;

    pusher::http_response r(http::status::ok, request.version());
    r.keep_alive(request.keep_alive());
    r.set(http::field::server, "pusher/" PUSHER_VERSION_STRING);
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        r.result(http::status::method_not_allowed);
        r.set(http::field::allow, "GET, HEAD");
        r.set(http::field::content_type, "application/json");
        r.body() = R"({"error":"this is there to be read"})";
    } else if (path == "/favicon.ico") {
        r.result(http::status::no_content);
    } else {
        r.set(http::field::content_type, "text/html; charset=utf-8");
        r.set(http::field::cache_control, "no-cache");
        r.set("Content-Security-Policy", policy_);
        r.set("X-Content-Type-Options", "nosniff");
        r.set("Referrer-Policy", "no-referrer");
        r.body() = page_;
    }
    connection->respond(std::move(r));
    return true;
}

} // namespace hub
