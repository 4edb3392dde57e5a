// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "ladder.hpp"
#include "number.hpp"

#include <pusher/topic.hpp>

#include <stdexcept>
#include <string_view>
#include <utility>
#include <variant>

namespace hub {

namespace {

std::vector<std::string> parts_of(std::string_view text, char separator) {
    std::vector<std::string> parts(1);
    for (const char c : text)
        if (c == separator)
            parts.emplace_back();
        else
            parts.back() += c;
    return parts;
}

pusher::failure::rung to_rung(const std::string& text) {
    const auto parts = parts_of(text, ':');
    if (parts[0] == "retry" && parts.size() <= 3) {
        pusher::failure::retry retry;
        if (parts.size() > 1) {
            const auto [number, rest] = to_number(parts[1]);
            if (!rest.empty())
                throw std::invalid_argument("'" + parts[1] + "' is not a number of attempts");
            retry.attempts = number;
        }
        if (parts.size() > 2)
            retry.delay = to_time(parts[2]);
        return retry;
    }
    if (text == "alarm")
        return pusher::failure::alarm{};
    if (text == "persist")
        return pusher::failure::persist{};
    if (text == "drop")
        return pusher::failure::drop{};
    throw std::invalid_argument("'" + text + "' is none of retry[:ATTEMPTS[:DELAY]], alarm, persist, drop");
}

} // namespace

ladder to_ladder(const std::string& text) {
    ladder l;
    const auto equals = text.rfind('=');
    if (equals != text.npos) {
        l.filter = text.substr(0, equals);
        if (!pusher::is_valid_filter(l.filter))
            throw std::invalid_argument("'" + l.filter + "' is not a filter");
    }
    for (const auto& part : parts_of(equals == text.npos ? text : text.substr(equals + 1), ','))
        l.rungs.push_back(to_rung(part));
    to_failure_ladder(l, [](const pusher::failed_delivery&) {}); // throws if it makes no sense
    return l;
}

pusher::failure_ladder
to_failure_ladder(const ladder& l, const std::function<void(const pusher::failed_delivery&)>& alarm) {
    auto rungs = l.rungs;
    for (auto& r : rungs)
        if (auto* const a = std::get_if<pusher::failure::alarm>(&r))
            a->callback = alarm;
    return pusher::failure_ladder(std::move(rungs));
}

} // namespace hub
