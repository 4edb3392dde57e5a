// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <string>
#include <string_view>

namespace bench {

/// `--name value` pairs of a command line; anything wrong is told on stderr and ends the program with 2.
class options {
public:
    options(int argc, char** argv, const char* usage) : usage_(usage) {
        for (int i = 1; i < argc; ++i) {
            const std::string_view name = argv[i];
            if (!name.starts_with("--"))
                fail("not an option: ", name);
            if (name == "--help") {
                std::fputs(usage_, stdout);
                std::exit(0);
            }
            const bool has_value = i + 1 < argc && !std::string_view(argv[i + 1]).starts_with("--");
            given_[std::string(name)] = has_value ? argv[++i] : "";
        }
    }

    std::string text(const std::string& name, std::string otherwise) {
        auto found = given_.extract(name);
        return found.empty() ? otherwise : found.mapped();
    }

    std::uint64_t number(
        const std::string& name, std::uint64_t otherwise, std::uint64_t least = 0,
        std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
        const auto found = given_.extract(name);
        if (found.empty())
            return otherwise;
        const auto& digits = found.mapped();
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc{} || end != digits.data() + digits.size())
            fail("not a number: ", name + " " + digits);
        if (value < least || value > most)
            fail("out of its range: ", name + " " + digits);
        return value;
    }

    std::uint16_t port(const std::string& name) {
        return static_cast<std::uint16_t>(number(name, 0, 0, 65'535));
    }

    bool flag(const std::string& name) { return !given_.extract(name).empty(); }

    /// To be called last: what nobody asked for is an error.
    void done() {
        if (!given_.empty())
            fail("unknown option: ", given_.begin()->first);
    }

    [[noreturn]] void fail(std::string_view what, std::string_view detail) const {
        std::fprintf(
            stderr, "%.*s%.*s\n%s", static_cast<int>(what.size()), what.data(),
            static_cast<int>(detail.size()), detail.data(), usage_);
        std::exit(2);
    }

private:
    const char* usage_;
    std::map<std::string, std::string> given_;
};

} // namespace bench
