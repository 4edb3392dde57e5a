// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/json_text.hpp>
#include <pusher/dialect/native_params.hpp>
#include <pusher/error.hpp>
#include <pusher/topic.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// \file
/// Subscriptions that come with a URL: what the queries of `GET /events` and of the raw dialect have in
/// common.

namespace pusher::inline v0 {

/// A subscription to each topic with each type.
struct subscription_query {
    std::vector<std::string> topics; ///< filters if `match` says so
    std::vector<std::string> types;  ///< none: all types
    match_mode match = match_mode::exact;

    /// How many subscriptions these are.
    [[nodiscard]] std::size_t size() const noexcept {
        return topics.size() * std::max<std::size_t>(1, types.size());
    }
    [[nodiscard]] std::string_view topic(std::size_t n) const noexcept {
        return topics[n / std::max<std::size_t>(1, types.size())];
    }
    [[nodiscard]] std::string_view type(std::size_t n) const noexcept {
        return types.empty() ? std::string_view() : std::string_view(types[n % types.size()]);
    }
};

namespace detail {

/// Decodes a name or value of a query as browsers write them: `%XX`, and `+` for a space. False: a `%`
/// without two hexadecimal digits.
[[nodiscard]] inline bool decode_query_text(std::string_view text, std::string& out) {
    auto digit = [](char c) {
        const char lower = static_cast<char>(c | 0x20);
        return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    };
    out.clear();
    for (std::size_t i = 0; i != text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i] == '+' ? ' ' : text[i]);
            continue;
        }
        const int high = text.size() - i > 2 ? digit(text[i + 1]) : -1;
        const int low = text.size() - i > 2 ? digit(text[i + 2]) : -1;
        if (high < 0 || low < 0)
            return false;
        out.push_back(static_cast<char>(high << 4 | low));
        i += 2;
    }
    return true;
}

/// Whether a filter has a level that is a single space: what becomes of a `+` that was not written as `%2B`.
[[nodiscard]] inline bool has_space_level(std::string_view filter) noexcept {
    for (std::size_t at = 0; at <= filter.size();) {
        const auto end = std::min(filter.find('/', at), filter.size());
        if (filter.substr(at, end - at) == " ")
            return true;
        at = end + 1;
    }
    return false;
}

/// Reads `topic`, `type` and `match`; a dialect adds its own.
class query_decoder {
public:
    error_code decode(std::string_view query) {
        message_.clear();
        while (!query.empty()) {
            const auto end = std::min(query.find('&'), query.size());
            if (end != 0)
                if (const auto ec = parameter(query.substr(0, end)))
                    return ec;
            query.remove_prefix(std::min(end + 1, query.size()));
        }
        return check();
    }

protected:
    /// What a dialect knows besides.
    struct knowledge {
        std::string_view where;                    ///< for messages
        std::span<const std::string_view> single;  ///< parameters that may be there once
        std::span<const std::string_view> refused; ///< those that another dialect or transport knows
    };

    query_decoder(subscription_query& out, std::string& message, const knowledge& known)
        : out_(out),
          message_(message),
          known_(known),
          seen_(known.single.size() + 1) {}
    query_decoder(const query_decoder&) = delete;
    query_decoder& operator=(const query_decoder&) = delete;
    ~query_decoder() = default;

    /// One of `single`.
    virtual error_code one(std::size_t which, const std::string& value) = 0;

    /// Whether there must be a topic.
    [[nodiscard]] virtual bool needs_topic() const noexcept { return true; }

    template <class... Parts>
    error_code fail(errc e, const Parts&... parts) {
        (message_.append(std::string_view(parts)), ...);
        return e;
    }

private:
    error_code parameter(std::string_view text) {
        const auto equals = std::min(text.find('='), text.size());
        const auto raw = text.substr(std::min(equals + 1, text.size()));
        if (!decode_query_text(text.substr(0, equals), name_) || !decode_query_text(raw, value_))
            return fail(
                errc::invalid_message, "the query has a % that is not followed by two hexadecimal digits");
        if (name_ == "topic") {
            plus_ = plus_ || raw.find('+') != raw.npos;
            out_.topics.push_back(value_);
            return {};
        }
        if (name_ == "type") {
            out_.types.push_back(value_);
            return {};
        }
        for (const auto name : known_.refused)
            if (name_ == name)
                return fail(errc::unsupported, name_, " is not a parameter of ", known_.where);
        const auto& single = known_.single;
        const auto which = static_cast<std::size_t>(
            std::find(single.begin(), single.end(), std::string_view(name_)) - single.begin());
        const bool match = name_ == "match";
        if (which == single.size() && !match)
            return {};
        if (seen_[which])
            return fail(errc::invalid_message, name_, " is there twice");
        seen_[which] = true;
        return match ? match_is() : one(which, value_);
    }

    error_code match_is() {
        if (value_ != "exact" && value_ != "filter")
            return fail(
                errc::invalid_message, "match must be exact or filter, not \"", clipped(value_), "\"");
        out_.match = value_ == "filter" ? match_mode::filter : match_mode::exact;
        return {};
    }

    error_code check() {
        if (out_.topics.empty() && needs_topic())
            return fail(errc::invalid_message, "topic is missing");
        const bool filter = out_.match == match_mode::filter;
        for (const auto& t : out_.topics) {
            const auto e = filter ? errc::invalid_filter : errc::invalid_topic;
            if (const auto fault = topic_fault(t, out_.match); !fault.empty())
                return fail(e, "topic ", fault);
            if (filter && plus_ && has_space_level(t))
                return fail(e, "topic has a level that is a space: write + as %2B");
        }
        for (const auto& t : out_.types)
            if (const auto fault = type_fault(t); !fault.empty())
                return fail(errc::invalid_type, "type ", fault);
        return {};
    }

    subscription_query& out_;
    std::string& message_;
    knowledge known_;
    std::vector<bool> seen_; ///< of the single ones, and `match` behind them
    std::string name_;
    std::string value_;
    bool plus_ = false; ///< a topic was written with a `+`
};

} // namespace detail

} // namespace pusher::inline v0
