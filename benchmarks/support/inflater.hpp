// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/beast/zlib/inflate_stream.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace bench {

/// Makes compressed WebSocket messages what they were, each by itself (RFC 7692, no context takeover).
///
/// Many sessions get the same message, so what has been seen lately is looked up: otherwise the generator
/// would be the narrow place, and not the server.
class inflater {
public:
    /// \return the message, good until the next call; nothing if it is damaged.
    std::optional<std::string_view> operator()(std::string_view compressed) {
        if (const auto found = seen_.find(compressed); found != seen_.end())
            return found->second;
        auto plain = inflate(compressed);
        if (!plain)
            return std::nullopt;
        if (seen_.size() == most)
            seen_.clear();
        return seen_.emplace(compressed, *std::move(plain)).first->second;
    }

private:
    static constexpr std::size_t most = 4096;

    struct hash : std::hash<std::string_view> {
        using is_transparent = void;
    };

    std::optional<std::string> inflate(std::string_view compressed) {
        namespace zlib = boost::beast::zlib;
        std::string in(compressed);
        in.append("\0\0\xff\xff", 4);
        stream_.reset(15);
        zlib::z_params z;
        z.next_in = in.data();
        z.avail_in = in.size();
        std::string out;
        for (;;) {
            std::array<char, 16 * 1024> room;
            z.next_out = room.data();
            z.avail_out = room.size();
            boost::beast::error_code ec;
            stream_.write(z, zlib::Flush::sync, ec);
            out.append(room.data(), room.size() - z.avail_out);
            if (ec && ec != zlib::error::need_buffers)
                return std::nullopt;
            if (z.avail_out != 0)
                return z.avail_in == 0 ? std::optional(std::move(out)) : std::nullopt;
        }
    }

    boost::beast::zlib::inflate_stream stream_;
    std::unordered_map<std::string, std::string, hash, std::equal_to<>> seen_;
};

} // namespace bench
