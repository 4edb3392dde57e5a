// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker.hpp>
#include <pusher/testing/memory_channel.hpp>
#include <pusher/transport/line_link.hpp>

#include <boost/asio/error.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace pusher::inline v0::testing {

class memory_listener;

/// Where peers connect to a memory listener. It must outlive the broker that listens at it.
class memory_port {
public:
    memory_port() = default;
    memory_port(const memory_port&) = delete;
    memory_port& operator=(const memory_port&) = delete;

    /// Connects to whoever listens here.
    ///
    /// \param near what the returned end is like. \param far what the broker's end is like.
    /// \return null if nobody listens.
    memory_channel_ptr connect(memory_channel_params near = {}, memory_channel_params far = {}) {
        return listener_ ? connect_(std::move(near), std::move(far)) : nullptr;
    }

private:
    friend class memory_listener;

    memory_listener* listener_ = nullptr;
    std::function<memory_channel_ptr(memory_channel_params, memory_channel_params)> connect_;
};

/// Listens for the native dialect, line by line, from peers in the same process.
struct memory_params {
    memory_port* port = nullptr; ///< must be set, and have no listener
    link_limits limits{};
};

/// See `broker::listen`.
class memory_listener final : public listener_base {
public:
    memory_listener(broker_core& b, const memory_params& p) : port_(p.port) {
        port_->listener_ = this;
        port_->connect_ = [&b, limits = std::make_shared<const link_limits>(p.limits)](
                              memory_channel_params near, memory_channel_params far) -> memory_channel_ptr {
            auto ends = memory_channel::connect(b.get_executor(), std::move(near), std::move(far));
            b.accept(std::make_unique<line_link>(std::move(ends.second), b.io(), limits));
            return ends.first;
        };
    }
    ~memory_listener() override { memory_listener::stop(); }

    static std::shared_ptr<listener_base> start(broker_core& b, const memory_params& p, error_code& ec) {
        p.limits.check();
        if (!p.port)
            throw std::invalid_argument("memory_params: port is null");
        if (p.port->listener_) {
            ec = boost::asio::error::address_in_use;
            return nullptr;
        }
        return std::make_shared<memory_listener>(b, p);
    }

    void stop() noexcept override {
        if (port_->listener_ == this)
            port_->listener_ = nullptr;
    }
    [[nodiscard]] std::uint16_t port() const noexcept override { return 0; }
    [[nodiscard]] std::string local_endpoint() const override { return "memory"; }

private:
    memory_port* port_;
};

/// The native dialect between two ends in one process.
struct memory {
    using params = memory_params;
    using listener = memory_listener;
};

} // namespace pusher::inline v0::testing
