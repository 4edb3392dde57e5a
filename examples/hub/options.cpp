// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "options.hpp"

#include "number.hpp"

#include <pusher/topic.hpp>
#include <pusher/version.hpp>

#include <CLI/CLI.hpp>

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <utility>

namespace hub {

namespace {

constexpr const char* description = R"(A publish/subscribe hub for TCP, UDP, WebSocket and server-sent events.

It prints a line for each address that it listens at, such as `listening http 127.0.0.1:8080`, and serves a
page to try it with at http://127.0.0.1:8080/. SIGINT and SIGTERM end it in good order.

An address is HOST:PORT, where port 0 takes a free one, or `off`. A token's secret is shown by the header
`Authorization: Bearer SECRET`, by `?token=SECRET`, or by the action `auth`.
)";

/// `HOST:PORT` or `[HOST]:PORT`. \throws CLI::ValidationError
address to_address(const std::string& option, const std::string& text) {
    const auto wrong = [&](const std::string& why) {
        return CLI::ValidationError(option + ": '" + text + "' " + why);
    };
    const auto colon = text.rfind(':');
    if (colon == text.npos)
        throw wrong("is neither HOST:PORT, such as 127.0.0.1:8080, nor off");
    auto host = text.substr(0, colon);
    const bool brackets = host.size() > 1 && host.front() == '[' && host.back() == ']';
    if (brackets)
        host = host.substr(1, host.size() - 2);
    else if (host.find(':') != host.npos)
        throw wrong("is not an address: write IPv6 as [::1]:8080");
    if (host == "localhost")
        host = "127.0.0.1";
    boost::system::error_code ec;
    const auto ip = boost::asio::ip::make_address(host, ec);
    if (ec || ip.is_v6() != brackets)
        throw wrong("does not begin with an IP address");
    address a{host, 0};
    const auto end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, a.port);
    if (parsed.ec != std::errc() || parsed.ptr != end)
        throw wrong("does not end with a port, 0 to 65535");
    return a;
}

/// Adds an option for an address, which `off` takes away.
void add_address(
    CLI::App& app, const std::string& name, std::optional<address>& out, const std::string& what) {
    const auto standard = out ? out->host + ':' + std::to_string(out->port) : std::string("off");
    app.add_option_function<std::string>(
           name,
           [&out, name](const std::string& text) {
               if (text == "off")
                   out.reset();
               else
                   out = to_address(name, text);
           },
           what)
        ->type_name("HOST:PORT")
        ->default_str(standard);
}

/// The secret may hold `=`, as base64 does; the user's name may not. \throws CLI::ValidationError
token to_token(const std::string& text) {
    const auto equals = text.rfind('=');
    if (equals == text.npos || equals == 0 || equals + 1 == text.size())
        throw CLI::ValidationError("--token: not SECRET=UID"); // without the text: it may be a secret
    return {text.substr(0, equals), text.substr(equals + 1)};
}

std::string policy_names() {
    std::string names;
    for (const auto name : pusher::overflow_policy_names)
        names.append(names.empty() ? "" : ", ").append(name);
    return names;
}

/// A policy for all, or for the topics of a filter. \throws CLI::ValidationError
void add_overflow(const std::string& text, options& out) {
    const auto equals = text.rfind('=');
    const auto name = equals == text.npos ? text : text.substr(equals + 1);
    const auto policy = pusher::to_overflow_policy(name);
    if (!policy)
        throw CLI::ValidationError("--overflow: '" + name + "' is none of " + policy_names());
    if (equals == text.npos) {
        out.overflow = *policy;
        return;
    }
    const auto filter = text.substr(0, equals);
    if (!pusher::is_valid_filter(filter))
        throw CLI::ValidationError("--overflow: '" + filter + "' is not a filter");
    out.topic_policies.push_back({filter, policy});
}

/// \throws CLI::ValidationError
void add_ladder(const std::string& text, options& out) {
    try {
        auto added = to_ladder(text);
        for (const auto& l : out.on_failure)
            if (l.filter == added.filter)
                throw std::invalid_argument(
                    "there is a second one for " + (l.filter.empty() ? "all topics" : "'" + l.filter + "'"));
        out.on_failure.push_back(std::move(added));
    } catch (const std::invalid_argument& e) {
        throw CLI::ValidationError(std::string("--on-failure: ") + e.what());
    }
}

/// `memory` or `sqlite:FILE`. \throws CLI::ValidationError
std::string to_store_file(const std::string& text) {
    constexpr std::string_view kind = "sqlite:";
    if (text == "memory")
        return {};
    if (!text.starts_with(kind) || text.size() == kind.size())
        throw CLI::ValidationError("--store: '" + text + "' is neither memory nor sqlite:FILE");
    return text.substr(kind.size());
}

/// \param range the shortest and the longest
void add_time(
    CLI::App& app, const std::string& name, std::chrono::milliseconds& out,
    std::pair<std::chrono::milliseconds, std::chrono::milliseconds> range, const std::string& by_default,
    const std::string& help) {
    app.add_option_function<std::string>(
           name,
           [&out, name, range](const std::string& text) {
               try {
                   out = to_time(text);
               } catch (const std::invalid_argument& e) {
                   throw CLI::ValidationError(name + ": " + e.what());
               }
               if (out < range.first || out > range.second)
                   throw CLI::ValidationError(name + ": '" + text + "' is too short or too long");
           },
           help)
        ->type_name("TIME")
        ->default_str(by_default);
}

/// Adds an option whose values have names.
template <class Value>
void add_choice(
    CLI::App& app, const std::string& name, Value& out,
    const std::vector<std::pair<std::string, Value>>& values, const std::string& standard,
    const std::string& what) {
    std::vector<std::string> names;
    for (const auto& [text, value] : values)
        names.push_back(text);
    const auto set = [&out, values](const std::string& chosen) {
        for (const auto& [text, value] : values)
            if (text == chosen)
                out = value;
    };
    app.add_option_function<std::string>(name, set, what)->check(CLI::IsMember(names))->default_str(standard);
}

bool spills(const options& o) {
    return o.overflow == pusher::overflow_policy::spill ||
           std::any_of(o.topic_policies.begin(), o.topic_policies.end(), [](const pusher::topic_policy& p) {
               return p.overflow == pusher::overflow_policy::spill;
           });
}

bool persists(const options& o) {
    return std::any_of(o.on_failure.begin(), o.on_failure.end(), [](const ladder& l) {
        return std::any_of(l.rungs.begin(), l.rungs.end(), [](const pusher::failure::rung& r) {
            return std::holds_alternative<pusher::failure::persist>(r);
        });
    });
}

void check_tokens(const std::vector<token>& tokens) {
    for (auto t = tokens.begin(); t != tokens.end(); ++t)
        if (std::any_of(tokens.begin(), t, [&](const token& other) { return other.secret == t->secret; }))
            throw CLI::ValidationError("--token: the secret of " + t->uid + " is there twice");
}

} // namespace

std::optional<int> parse(int argc, const char* const* argv, options& out) {
    CLI::App app(description, "hub");
    app.set_version_flag("--version", "hub (pusher " PUSHER_VERSION_STRING ")", "Print the version and exit");
    app.set_help_flag("-h,--help", "Print this and exit");
    add_address(app, "--http", out.http, "WebSocket, server-sent events, POST /publish, the page");
    add_address(app, "--tcp", out.tcp, "A JSON object per line");
    add_address(app, "--raw", out.raw, "As --tcp, in the raw dialect: payloads behind their lengths");
    add_address(app, "--udp", out.udp, "A JSON object per datagram");
    app.add_option_function<std::string>(
           "--unix", [&](const std::string& path) { out.unix_path = path == "off" ? std::string() : path; },
           "As --tcp, at a Unix-domain socket")
        ->type_name("PATH")
        ->default_str("off");
    app.add_flag(
        "--deflate", out.deflate,
        "Compress messages of 1 KiB and more for WebSocket clients that offer it (permessage-deflate)");
    app.add_option("--threads", out.threads, "How many threads share the sessions")
        ->check(CLI::Range(std::size_t{1}, std::size_t{64}).description(""))
        ->type_name("THREADS")
        ->default_str("1");
    app.add_option("--history", out.history, "How many messages each topic keeps for those who come later")
        ->check(CLI::Range(std::size_t{0}, std::size_t{10'000'000}).description(""))
        ->type_name("MESSAGES")
        ->default_str("0");
    app.add_option_function<std::string>(
           "--store", [&](const std::string& text) { out.store_file = to_store_file(text); },
           "Where they are kept: memory, or sqlite:FILE, which outlives the hub. Then a publish is answered, "
           "and delivered, when it is on the disk")
        ->type_name("STORE")
        ->default_str("memory");
    app.add_option(
           "--idempotency", out.idempotency,
           "Of how many messages of the last two minutes ids are remembered: what comes again by the id of "
           "one "
           "is not published again")
        ->check(CLI::Range(std::size_t{0}, std::size_t{10'000'000}).description(""))
        ->type_name("MESSAGES")
        ->default_str("0");
    app.add_option(
           "--outbox", out.outbox, "How many messages may wait for one subscriber, each of 4 KiB on average")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}).description(""))
        ->type_name("MESSAGES")
        ->default_str("256");
    app.add_option(
           "--memory", out.memory_mib, "How much all that waits, and all histories, may take together")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1'048'576}).description(""))
        ->type_name("MIB")
        ->default_str("1024");
    app.add_option_function<std::vector<std::string>>(
           "--overflow",
           [&](const std::vector<std::string>& texts) {
               for (const auto& text : texts)
                   add_overflow(text, out);
           },
           "What happens when more would have to wait: " + policy_names() +
               "; by FILTER for the topics that it matches, the first that does")
        ->type_name("[FILTER=]POLICY")
        ->default_str("drop_oldest");
    app.add_option_function<std::vector<std::string>>(
           "--on-failure",
           [&](const std::vector<std::string>& texts) {
               for (const auto& text : texts)
                   add_ladder(text, out);
           },
           "What happens to messages that a lost connection has not taken, that are not acknowledged in "
           "time, or that cannot be sent: rungs one after the other, each retry[:ATTEMPTS[:DELAY]] (wait for "
           "the user to come back; send again), alarm (a line on stderr), persist (keep it for the user, who "
           "needs a --token) or drop; by FILTER for the topics that it matches, the first that "
           "does. Without one they are lost and counted, and what is not acknowledged is sent again")
        ->type_name("[FILTER=]RUNG,…");
    add_time(
        app, "--parked-for", out.parked_for, {std::chrono::milliseconds(1), std::chrono::days(100)}, "1d",
        "How long persist keeps a message");
    app.add_option(
           "--ack-window", out.ack_window,
           "How many messages of an acknowledged subscription are sent before the first must be acknowledged")
        ->check(CLI::Range(std::size_t{1}, std::size_t{65'536}).description(""))
        ->type_name("MESSAGES")
        ->default_str("64");
    add_time(
        app, "--ack-timeout", out.ack_timeout, {std::chrono::milliseconds(10), std::chrono::days(1)}, "30s",
        "When what is not acknowledged is late");
    add_time(
        app, "--durable-for", out.durable_for, {std::chrono::seconds(1), std::chrono::days(3650)}, "7d",
        "How long a durable subscription waits for its user, who needs a --token");
    app.add_option_function<std::vector<std::string>>(
           "--token",
           [&](const std::vector<std::string>& texts) {
               for (const auto& text : texts)
                   out.tokens.push_back(to_token(text));
               check_tokens(out.tokens);
           },
           "Only who shows a SECRET may come, and is UID then; without tokens everybody may")
        ->type_name("SECRET=UID");
    add_choice<log_level>(
        app, "--log-level", out.log_level,
        {{"off", log_level::off},
         {"error", log_level::error},
         {"warning", log_level::warning},
         {"info", log_level::info},
         {"debug", log_level::debug}},
        "info", "How much is written to stderr");
    try {
        app.parse(argc, argv);
        if (!out.http && !out.tcp && !out.raw && !out.udp && out.unix_path.empty())
            throw CLI::ValidationError("there is nothing to listen at: everything is off");
        if (out.history == 0 && spills(out))
            throw CLI::ValidationError("--overflow: spill needs --history: that is where messages wait");
        if (out.history == 0 && !out.store_file.empty())
            throw CLI::ValidationError("--store: sqlite needs --history: that is what is stored");
        if (out.threads != 1 && out.idempotency != 0 && out.history == 0)
            throw CLI::ValidationError("--idempotency: with several --threads it needs --history: only then "
                                       "one thread knows all ids");
        if (out.threads != 1 && !out.store_file.empty())
            throw CLI::ValidationError("--store: sqlite does not go with several --threads");
        if (out.threads != 1 && persists(out))
            throw CLI::ValidationError("--on-failure: persist does not go with several --threads");
        return std::nullopt;
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) // --help, --version
            return app.exit(e);
        std::cerr << "hub: " << e.what() << "\nhub --help tells what there is.\n";
        return 2;
    }
}

} // namespace hub
