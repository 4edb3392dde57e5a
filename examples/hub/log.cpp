// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "log.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace hub {

namespace {

const char* name_of(log_level level) {
    constexpr std::array names{"off", "error", "warning", "info", "debug"};
    return names[static_cast<std::size_t>(level)];
}

/// UTC, to the millisecond.
std::string time_text() {
    const auto now = std::chrono::system_clock::now();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    const auto rest = std::chrono::floor<std::chrono::milliseconds>(now - seconds).count();
    const auto time = std::chrono::system_clock::to_time_t(seconds);
    std::tm utc{};
    ::gmtime_r(&time, &utc);
    std::array<char, 32> text{};
    const auto n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    std::array<char, 16> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(rest));
    return std::string(text.data(), n) + fraction.data();
}

/// `session 7 (websocket 127.0.0.1:4711, alice)`
std::string text_of(const pusher::subscriber_info& who) {
    auto text =
        "session " + std::to_string(who.id) + " (" + std::string(who.transport) + ' ' + std::string(who.peer);
    if (!who.uid.empty())
        text += ", " + std::string(who.uid);
    return text + ')';
}

std::string text_of(std::string_view topic, std::string_view type) {
    auto text = '"' + std::string(topic) + '"';
    if (!type.empty())
        text += " type \"" + std::string(type) + '"';
    return text;
}

std::string text_of(pusher::drop_cause cause) {
    switch (cause) {
    case pusher::drop_cause::overflow: return "its outbox is full";
    case pusher::drop_cause::trimmed: return "it left the history too early";
    case pusher::drop_cause::disconnected: return "it was queued when the session ended";
    case pusher::drop_cause::undeliverable: return "the transport cannot carry it";
    case pusher::drop_cause::conflated: return "a newer one took its place";
    case pusher::drop_cause::expired: return "its time to live was over";
    case pusher::drop_cause::memory: return "memory is full";
    case pusher::drop_cause::failed: return "its delivery failed";
    }
    return "?";
}

std::string text_of(pusher::failure_cause cause) {
    switch (cause) {
    case pusher::failure_cause::disconnected: return "the connection ended first";
    case pusher::failure_cause::not_acknowledged: return "it was not acknowledged";
    case pusher::failure_cause::handler_threw: return "the handler threw";
    case pusher::failure_cause::undeliverable: return "the transport cannot carry it";
    case pusher::failure_cause::send_failed: return "the network refused it";
    case pusher::failure_cause::absent: return "nobody was there";
    }
    return "?";
}

/// A peer that leaves, or is lost, is everyday life; a session that the hub had to end is not.
bool is_everyday(const pusher::close_reason& reason) {
    return !reason.error || reason.error == pusher::errc::peer_closed ||
           reason.error == pusher::errc::stopped || reason.error == pusher::errc::idle_timeout ||
           reason.error.category() != pusher::pusher_category();
}

} // namespace

void log::write(log_level level, const std::string& text) const {
    if (!wants(level))
        return;
    const auto line = time_text() + ' ' + name_of(level) + ": " + text + '\n';
    std::fwrite(line.data(), 1, line.size(), stderr); // whole lines, also when somebody else writes there
}

void log::at_accept(const pusher::subscriber_info& who) {
    if (wants(log_level::info))
        write(log_level::info, text_of(who) + " came");
}

void log::at_bind(const pusher::subscriber_info& who) {
    if (wants(log_level::info))
        write(log_level::info, text_of(who) + " is " + std::string(who.uid));
}

void log::at_subscribe(const pusher::subscriber_info& who, std::string_view topic, std::string_view type) {
    if (wants(log_level::debug))
        write(log_level::debug, text_of(who) + " subscribed to " + text_of(topic, type));
}

void log::at_unsubscribe(const pusher::subscriber_info& who, std::string_view topic, std::string_view type) {
    if (wants(log_level::debug))
        write(log_level::debug, text_of(who) + " unsubscribed from " + text_of(topic, type));
}

void log::at_publish(const pusher::message& m, const pusher::receipt& r) {
    if (wants(log_level::debug))
        write(
            log_level::debug, "published " + std::to_string(m.payload().size()) + " bytes to " +
                                  text_of(m.topic(), m.type()) + " for " + std::to_string(r.matched));
}

void log::at_drop(const pusher::subscriber_info& who, std::string_view topic, pusher::drop_cause cause) {
    if (wants(log_level::debug))
        write(log_level::debug, text_of(who) + " lost one of " + text_of(topic, {}) + ": " + text_of(cause));
}

void log::at_gap(const pusher::subscriber_info& who, const pusher::gap& g) {
    if (wants(log_level::debug))
        write(
            log_level::debug, text_of(who) + " is told that it missed " + std::to_string(g.count) + " of " +
                                  text_of(g.topic, {}));
}

void log::at_park(const pusher::subscriber_info& who, const pusher::message& m, pusher::failure_cause cause) {
    if (wants(log_level::debug))
        write(
            log_level::debug, "one of " + text_of(m.topic(), m.type()) + " is kept for " +
                                  std::string(who.uid) + ": " + text_of(cause));
}

void log::at_dead_letter(
    const pusher::subscriber_info& who, const pusher::message& m, pusher::failure_cause cause) {
    if (wants(log_level::debug))
        write(
            log_level::debug, "one of " + text_of(m.topic(), m.type()) + " for " + text_of(who) +
                                  " is given up: " + text_of(cause));
}

void log::alarm(const pusher::failed_delivery& f) const {
    auto text = "one of " + text_of(f.what.topic(), f.what.type()) + " for " + text_of(f.who) +
                " failed: " + text_of(f.why) + "; attempts: " + std::to_string(f.attempts);
    if (f.suppressed != 0)
        text += "; and " + std::to_string(f.suppressed) + " more";
    write(log_level::error, text);
}

void log::at_close(const pusher::subscriber_info& who, const pusher::close_reason& reason) {
    const auto level = is_everyday(reason) ? log_level::info : log_level::warning;
    if (wants(level))
        write(
            level, text_of(who) + " ended: " +
                       (reason.error ? reason.error.message() : std::string("closed by the peer")));
}

void log::at_error(pusher::error_code ec, std::string_view where) {
    if (wants(log_level::error))
        write(log_level::error, std::string(where) + ": " + ec.message());
}

void log::at_handler_threw(const pusher::subscriber_info& who, std::string_view topic, std::exception_ptr e) {
    std::string what = "something";
    try {
        std::rethrow_exception(e);
    } catch (const std::exception& thrown) {
        what = thrown.what();
    } catch (...) { // NOLINT(bugprone-empty-catch): there is nothing more to say about it
    }
    write(log_level::error, "a handler for " + text_of(who) + ' ' + text_of(topic, {}) + " threw " + what);
}

} // namespace hub
