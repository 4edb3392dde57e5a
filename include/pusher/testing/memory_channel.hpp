// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/testing/fail_count.hpp>
#include <pusher/transport/channel.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace pusher::inline v0::testing {

class memory_channel;
using memory_channel_ptr = boost::intrusive_ptr<memory_channel>;

/// What a memory channel is like, seen from one end.
struct memory_channel_params {
    /// Bytes that this end may have on their way before `write` takes no more. 0: it takes nothing until
    /// `set_room` makes room.
    std::size_t room = 64 * 1024;

    /// Room that there must be before this end reports `at_writable`; at least 1. Sockets wait for a good
    /// part of their buffer, so that a slow peer is written to in larger pieces.
    std::size_t low = 1;

    /// Largest piece in which this end reads; at least 1. With 1 everything comes byte by byte.
    std::size_t piece = 64 * 1024;

    /// What this end's `peer` says.
    std::string peer = "memory";

    /// What this end's `peer_address` says.
    std::string peer_address{};

    /// Counts this end's writes and reads, and lets one of them fail; null: all succeed.
    fail_count* faults = nullptr;
};

/// One end of a connection within the process: a channel that needs no socket, for tests and for peers that
/// live in the same program.
///
/// It keeps the promises of `channel` and can be made to use every freedom these leave: short writes
/// (`room`), reads in pieces, failures. Everything it reports comes from the executor. An end that waits
/// keeps no work outstanding: `run` returns once neither end has anything to do.
///
/// Not thread safe: both ends belong to one serial executor.
class memory_channel final : public channel {
public:
    /// Two ends of one connection.
    static std::pair<memory_channel_ptr, memory_channel_ptr> connect(
        const boost::asio::any_io_executor& executor, memory_channel_params first = {},
        memory_channel_params second = {}) {
        auto w = std::make_shared<wire>();
        memory_channel_ptr a(new memory_channel(executor, w, 0, std::move(first)));
        memory_channel_ptr b(new memory_channel(executor, w, 1, std::move(second)));
        w->ends = {a.get(), b.get()};
        return {std::move(a), std::move(b)};
    }

    ~memory_channel() override { memory_channel::close(); }

    std::size_t write(std::span<const char> bytes) noexcept override {
        if (over_ || shut_ || waits_to_write_)
            return 0;
        if (const auto ec = count()) {
            fail(ec);
            return 0;
        }
        if (!other()) {
            fail(boost::asio::error::broken_pipe);
            return 0;
        }
        auto& out = outgoing().bytes;
        const auto n = std::min(bytes.size(), params_.room - std::min(params_.room, out.size()));
        try {
            out.append(bytes.data(), n);
        } catch (const std::bad_alloc&) {
            fail(boost::asio::error::no_memory);
            return 0;
        }
        waits_to_write_ = n != bytes.size();
        other()->wake();
        return n;
    }

    void read() override {
        reads_ = true;
        wake();
    }

    void shutdown() noexcept override {
        shut_ = true;
        outgoing().ended = true;
        if (other())
            other()->wake();
    }

    /// The other end still gets what was written, and then the end. But if there is something that this end
    /// has not read, the other one sees a reset and loses what was on its way: what TCP may do.
    void close() noexcept override {
        set_user(nullptr);
        over_ = true;
        if (!std::exchange(wire_->ends[index_], nullptr))
            return;
        auto* const o = other();
        outgoing().ended = true;
        if (!o)
            return;
        if (!incoming().bytes.empty() || o->waits_to_write_) {
            outgoing().bytes.clear();
            o->fail(boost::asio::error::connection_reset);
        } else {
            o->wake();
        }
    }

    [[nodiscard]] std::size_t unsent() const noexcept override { return on_their_way(); }

    [[nodiscard]] std::string peer() const override { return params_.peer; }
    [[nodiscard]] std::string peer_address() const override { return params_.peer_address; }

    /// Changes how many bytes may be on their way.
    void set_room(std::size_t room) {
        params_.room = room;
        if (room_left())
            writable_again();
    }

    /// Bytes that this end wrote and the other has not read yet.
    [[nodiscard]] std::size_t on_their_way() const noexcept { return outgoing().bytes.size(); }

    /// Breaks the connection: both ends are told, and what is on its way is lost.
    void break_with(error_code ec = boost::asio::error::connection_reset) noexcept { fail(ec); }

private:
    /// One direction.
    struct pipe {
        std::string bytes;  ///< on their way
        bool ended = false; ///< nothing comes after them
    };

    struct wire {
        std::array<memory_channel*, 2> ends{}; ///< null: closed
        std::array<pipe, 2> pipes;             ///< by who writes to it
    };

    memory_channel(
        const boost::asio::any_io_executor& executor, std::shared_ptr<wire> w, std::size_t index,
        memory_channel_params p)
        : executor_(executor),
          wire_(std::move(w)),
          index_(index),
          params_(std::move(p)) {
        params_.piece = std::max<std::size_t>(1, params_.piece);
    }

    [[nodiscard]] memory_channel* other() const noexcept { return wire_->ends[1 - index_]; }
    [[nodiscard]] pipe& outgoing() const noexcept { return wire_->pipes[index_]; }
    [[nodiscard]] pipe& incoming() const noexcept { return wire_->pipes[1 - index_]; }
    [[nodiscard]] bool room_left() const noexcept {
        const auto used = outgoing().bytes.size();
        return used < params_.room && params_.room - used >= std::min(params_.low, params_.room);
    }

    error_code count() noexcept { return params_.faults ? params_.faults->next() : error_code(); }

    template <class F>
    void later(F f) noexcept {
        boost::asio::post(executor_, [self = memory_channel_ptr(this), f] { f(*self); });
    }

    /// There may be something to read.
    void wake() noexcept {
        if (!reads_ || over_ || (incoming().bytes.empty() && !incoming().ended) ||
            std::exchange(woken_, true))
            return;
        later([](memory_channel& c) {
            c.woken_ = false;
            c.deliver();
        });
    }

    void deliver() {
        if (!reads_ || over_ || !user())
            return;
        if (const auto ec = count())
            return fail(ec);
        auto& in = incoming();
        if (in.bytes.empty()) {
            if (in.ended) {
                over_ = true;
                user()->at_end(errc::peer_closed);
            }
            return;
        }
        auto piece = in.bytes.substr(0, params_.piece);
        in.bytes.erase(0, piece.size());
        if (auto* const o = other(); o && o->room_left())
            o->writable_again();
        // The channel may get another user inside, who begins to read by itself.
        reads_ = false;
        if (user()->at_bytes(piece) && user())
            read();
    }

    void writable_again() {
        if (waits_to_write_)
            later([](memory_channel& c) {
                if (!c.waits_to_write_ || c.over_ || !c.room_left())
                    return;
                c.waits_to_write_ = false;
                if (c.user())
                    c.user()->at_writable();
            });
    }

    /// Reports the end to both sides, but not from inside a call of theirs.
    void fail(error_code ec) noexcept {
        if (over_)
            return;
        auto* const o = other();
        over_ = true;
        wire_->ends[index_] = nullptr;
        outgoing().bytes.clear();
        later([ec](memory_channel& c) {
            if (c.user())
                c.user()->at_end(ec);
        });
        if (o)
            o->fail(boost::asio::error::connection_reset);
    }

    boost::asio::any_io_executor executor_;
    std::shared_ptr<wire> wire_;
    std::size_t index_;
    memory_channel_params params_;
    bool reads_ = false;
    bool woken_ = false;
    bool waits_to_write_ = false;
    bool shut_ = false;
    bool over_ = false;
};

} // namespace pusher::inline v0::testing
