// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The program of every consumer: what a user would write first, with everything included.
#include <pusher.hpp>

#include <boost/json.hpp>

#if defined(WITH_TLS)
#include <openssl/crypto.h>
#endif

#include <cstdio>
#include <string>

#if defined(WITH_PART)
bool part_accepts(const char* topic);
#endif

int main() {
    const auto json = boost::json::parse(R"({"topic":"orders/new"})");
    const std::string topic(json.at("topic").as_string());
    if (!pusher::is_valid_topic(topic) || pusher::is_valid_topic("")) {
        std::puts("wrong about topics");
        return 1;
    }
#if defined(WITH_PART)
    if (!part_accepts(topic.c_str()))
        return 1;
#endif
#if defined(WITH_TLS)
    std::puts(OpenSSL_version(OPENSSL_VERSION));
#endif
    std::puts("pusher " PUSHER_VERSION_STRING " works");
    return 0;
}
