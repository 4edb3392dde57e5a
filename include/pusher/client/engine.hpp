// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/backoff.hpp>
#include <pusher/client/connection.hpp>
#include <pusher/client/error.hpp>
#include <pusher/client/inbox.hpp>
#include <pusher/client/params.hpp>
#include <pusher/client/random.hpp>
#include <pusher/client/request.hpp>
#include <pusher/client/subscriptions.hpp>
#include <pusher/config.hpp>
#include <pusher/dialect/native_reply.hpp>
#include <pusher/dialect/native_request_encode.hpp>
#include <pusher/subscribe_options.hpp>
#include <pusher/transport/services.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace pusher::inline v0 {

/// What may go with a payload. Holds views only: they must be valid until the operation has begun.
struct client_publish_options {
    /// A sub-key of the topic. At most 255 bytes.
    std::string_view type{};

    /// Which messages replace one another when a subscriber conflates. At most 255 bytes.
    std::string_view key{};

    /// The publisher's own name for the message, passed on as its `message_id`. At most 255 bytes. A hub that
    /// remembers ids does not publish it again while it does: see `client_publish_result::repeated`.
    std::string_view id{};

    /// How long the message is worth delivering; zero: it does not expire. Up to 100 days.
    std::chrono::milliseconds ttl{0};
};

namespace detail {

/// What a client does, behind its handle.
///
/// It never calls the user from inside: operations complete through their executors. So nothing changes under
/// its feet but by what it does itself.
class client_engine final : public std::enable_shared_from_this<client_engine>,
                            private client_connection_user {
public:
    /// \throws std::invalid_argument
    client_engine(const boost::asio::any_io_executor& executor, client_params p, client_environment e);

    [[nodiscard]] const boost::asio::any_io_executor& executor() const noexcept {
        return services_->executor();
    }

    void run(std::shared_ptr<client_run_op> op);
    void cancel_run(const client_run_op& op);
    void
    subscribe(std::shared_ptr<client_subscribe_op> op, std::string_view topic, const subscribe_options& o);
    void unsubscribe(
        std::shared_ptr<client_unsubscribe_op> op, std::string_view topic, std::string_view type,
        match_mode match);
    void publish(
        std::shared_ptr<client_publish_op> op, std::string_view topic, std::string_view payload,
        const client_publish_options& o);
    void cancel_publish(client_publish_op& op, boost::asio::cancellation_type how);
    void receive(std::shared_ptr<client_receive_op> op);

    /// Ends in good order.
    void close();

    /// Ends at once: the client is being destroyed.
    void shut() noexcept;

    void set_token(std::string token);
    [[nodiscard]] bool connected() const noexcept { return phase_ == phase::open; }
    [[nodiscard]] const std::string& session() const noexcept { return session_; }

private:
    using time_point = client_clock::time_point;
    using milliseconds = std::chrono::milliseconds;

    enum class phase : unsigned char {
        idle,       ///< `async_run` is not running
        waiting,    ///< to connect again
        connecting, ///< until the conversation is open
        greeting,   ///< hello, and authentication
        open,
        closing ///< the goodbye is on its way
    };

    // client_connection_user
    void at_connected() override;
    void at_heard() override;
    bool at_message(std::string_view text) override;
    void at_room() override { pump(); }
    void at_lost(client_end end) override { broken(std::move(end)); }

    // impl/engine_life.hpp
    void attempt();
    void dialled(error_code ec, channel_ptr c);
    void opened();
    void lose(client_end end);
    void broken(client_end end);
    void stop(error_code run_result, client_disconnected why);
    void end_run(error_code ec);
    void tick();
    void expire(time_point now);
    void watch(time_point now);
    [[nodiscard]] milliseconds ping_interval() const noexcept;
    void arm(time_point when);
    void rearm();
    void schedule();
    void turn();
    void hand_over();

    // impl/engine_requests.hpp
    [[nodiscard]] client_request make(client_request::kind what);
    void send_now(client_request r, native_request& text);
    [[nodiscard]] error_code admit(std::size_t size);
    [[nodiscard]] bool has_room_for(const client_subscription_name& name);
    void enqueue(client_request r);
    void forget(client_request& r) noexcept;
    void restore(client_subscription& s, bool incomplete);
    void pump();
    void settle(bool keep_unsent, error_code unsent_error);
    void drop_unsent_subscribes(std::deque<client_request>& from, const client_subscription_name& name);
    bool answer(const native_incoming& in);
    void greeted(client_request& r, const native_incoming& in);
    void undo(const client_subscription& s);
    void acknowledge(client_subscription& s);
    void handled();
    void subscribed(client_request& r, const native_reply& reply);
    void restored(client_request& r, const native_reply& reply);

    client_params params_;
    client_url url_;
    std::shared_ptr<services> services_;
    std::shared_ptr<client_clock> clock_;
    std::shared_ptr<client_connector> connector_;
    client_random random_;
    client_backoff backoff_;
    client_subscriptions subscriptions_;
    client_inbox inbox_;
    native_reply_decoder decoder_;
    native_incoming incoming_;

    std::shared_ptr<client_run_op> run_;
    std::shared_ptr<client_receive_op> receiver_;
    std::optional<pinned_message> received_; ///< by the user, who has not asked for the next yet
    std::shared_ptr<client_connection> connection_;

    std::deque<client_request> unsent_;
    std::deque<client_request> sent_; ///< in the order in which they are answered
    std::size_t user_requests_ = 0;   ///< in both
    std::size_t request_bytes_ = 0;   ///< of their texts
    std::uint64_t last_id_ = 0;

    std::string session_;
    milliseconds heartbeat_{0};   ///< the hub's longest patience; 0: endless
    std::size_t max_request_ = 0; ///< the hub's limit; 0: not known

    time_point phase_deadline_ = time_point::max();
    time_point armed_ = time_point::max();
    time_point open_since_{};
    time_point heard_{};
    time_point said_{};
    time_point pinged_{};
    std::optional<time_point> asked_; ///< the first ping since the hub was heard
    std::size_t attempts_ = 0;
    phase phase_ = phase::idle;
    bool was_open_ = false;  ///< on some connection
    bool held_back_ = false; ///< waits for `async_receive` before it connects again
    bool scheduled_ = false;
    bool closed_ = false;
    bool shut_ = false;
};

} // namespace detail
} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/client/impl/engine_life.hpp>
#include <pusher/client/impl/engine_requests.hpp>
#endif
