// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/detail/core.hpp>
#include <pusher/detail/message_content.hpp>
#include <pusher/detail/stored_record.hpp>
#include <pusher/store/store.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// What was published to topics whose histories are kept in a store, and waits for it.
///
/// One batch is on its way to the store at a time; what comes meanwhile, and all of one turn of the event
/// loop, is the next. An offset is given when the batch is put together, and when the store has committed it
/// the core publishes the messages. So nobody sees an offset that a crash could give to another message.
///
/// It is driven like the core: it asks `schedule` for one call of `work` from the event loop, and what stores
/// report is dealt with there, never from inside a store.
class journal final : public store_keeper {
public:
    using schedule_function = void (*)(void*);
    using answer = std::function<void(const receipt&)>;

    struct params {
        std::size_t messages = 65'536;
        std::size_t bytes = 64 * 1024 * 1024;
        std::size_t batch_messages = 4096;
        std::size_t batch_bytes = 1024 * 1024; ///< a batch is over when it has come to that
        std::size_t read_bytes = 1024 * 1024;  ///< asked for at a time
    };

    struct counts {
        std::uint64_t batches = 0; ///< committed
        std::uint64_t errors = 0;  ///< batches that were not
    };

    journal(core& c, const params& p, schedule_function on_pending, void* context)
        : core_(&c),
          params_(p),
          schedule_(on_pending),
          context_(context) {}
    journal(const journal&) = delete;
    journal& operator=(const journal&) = delete;
    ~journal() { close_store(); }

    void observe(observer* o) noexcept { observer_ = o; }

    // ---- opening: impl/journal_open.hpp

    /// Restores what is in the store. On an error nothing was opened, and another may be.
    /// \param done called from `work`, unless `stop` comes first: then by that.
    void open(std::unique_ptr<store> from, std::function<void(error_code)> done);
    /// Gives up opening, and tells nobody.
    void abandon() noexcept;

    [[nodiscard]] bool opening() const noexcept { return opening_ != nullptr; }
    [[nodiscard]] bool is_open() const noexcept { return state_ == state::open; }
    [[nodiscard]] bool stopped() const noexcept { return state_ == state::stopped; }

    // ---- publishing: impl/journal.hpp

    /// Accepts a message for a topic that `core::kept_in_store`.
    /// \param by whose the id is; null: as `o.publisher` says.
    /// \param everyone it is broadcast. \param done may be empty. \param report as for `core::publish`.
    /// \return `pending`: `done` will be called once, with what became of it. Else that is known already: it
    /// was refused, or published before.
    receipt publish(
        std::string_view topic, std::string_view payload, const publish_options& o, const id_owner* by,
        bool everyone, answer done, report_function report = {});

    /// \param done called once, from `work` or by `stop`: the store has what the core has changed until now,
    /// or the batch with it failed, and it is tried again with the next.
    void when_stored(std::function<void(error_code)> done) {
        value_waiters_.push_back(std::move(done));
        trim_now_ = true;
        if (!in_flight_ && !working_)
            schedule();
    }

    /// Goes on, from the event loop.
    void work();
    /// The next `work` removes from the store what has left the histories, though nothing is published.
    void trim_now() {
        if (state_ == state::open && has_trims()) {
            trim_now_ = true;
            schedule();
        }
    }
    /// Everything that waits is told `stopped`, and the store is closed.
    void stop();

    /// Whether something is to be changed in the store that nobody waits for.
    [[nodiscard]] bool has_trims() const noexcept {
        return !dirty_.empty() || !erased_.empty() || !values_.empty() || !value_waiters_.empty();
    }
    [[nodiscard]] bool idle() const noexcept {
        return waiting_messages_ == 0 && !in_flight_ && value_waiters_.empty();
    }
    [[nodiscard]] std::size_t waiting_messages() const noexcept { return waiting_messages_; }
    [[nodiscard]] std::size_t waiting_bytes() const noexcept { return waiting_bytes_; }
    [[nodiscard]] const counts& numbers() const noexcept { return counts_; }

private:
    enum class state : std::uint8_t { closed, opening, open, stopped };

    struct entry {
        topic_state* topic; ///< held
        pinned_message message;
        std::chrono::milliseconds ttl;
        std::uint64_t publisher;
        id_owner::kind owner;
        std::string uid;
        bool everyone;
        std::size_t size;
        std::optional<recent_ids::name> id{};
        answer done{};
        report_function report{};
        std::vector<answer> repeats{}; ///< of those who published its id again meanwhile

        [[nodiscard]] id_owner by() const noexcept { return {owner, uid}; }
    };
    using entry_ptr = std::unique_ptr<entry>;
    using value_waiters = std::vector<std::function<void(error_code)>>;

    struct name_hash {
        std::size_t operator()(const recent_ids::name& n) const noexcept {
            return static_cast<std::size_t>(n.low);
        }
    };

    /// Restoring one log after the other.
    struct restoring {
        struct known_id {
            std::uint64_t order;
            recent_ids::name name;
            receipt what;
            steady_time when;
        };

        std::function<void(error_code)> done;
        bool reported = false; ///< the store has, and it was not dealt with yet
        error_code error{};
        store_contents contents{};
        std::vector<store_record> records{};
        std::size_t next_log = 0;
        topic_state* topic = nullptr; ///< that is being read
        std::uint64_t next = 0;       ///< item of it
        std::uint64_t last_order = 0; ///< in it
        bool first = false;           ///< nothing of it was read yet
        std::uint64_t largest_order = 0;
        std::uint64_t sequence = 0; ///< of what is kept and in no history, at most; histories come behind
        std::vector<known_id> ids{};
    };

    void schedule() {
        if (!scheduled_) {
            scheduled_ = true;
            schedule_(context_);
        }
    }
    static std::string log_of(std::string_view topic) { return 'h' + std::string(topic); }
    static std::string meta_of(std::uint64_t epoch);

    void at_trim(topic_state& t) override;
    void at_forget(const topic_state& t) override;
    void at_value(std::string key, std::optional<std::string> value, bool soon) override;
    [[nodiscard]] bool waits(const std::string& key) const override { return values_.contains(key); }

    void commit_next();
    void settle(error_code ec);
    void give_up(entry& e, error_code ec);
    void publish(entry& e);
    void answer_all(entry& e, const receipt& r);
    static void tell(const value_waiters& all, error_code ec);
    void close_store() noexcept;

    void open_on();
    error_code begin_log(const store_log& log);
    error_code take_records();
    error_code restore(const store_record& r);
    void opened(error_code ec);

    core* core_;
    params params_;
    schedule_function schedule_;
    void* context_;
    observer* observer_ = nullptr;
    std::unique_ptr<store> store_;
    std::unique_ptr<restoring> opening_;
    state state_ = state::closed;

    std::deque<entry_ptr> waiting_;
    std::vector<entry_ptr> batch_; ///< with the store, or being published
    wall_time batch_received_{};
    steady_time batch_born_{};
    std::vector<shared_text> batch_trims_;
    std::size_t batch_erased_ = 0;
    boost::unordered_flat_map<recent_ids::name, entry*, name_hash> ids_; ///< of what waits
    std::size_t waiting_messages_ = 0;                                   ///< of both, with repeats
    std::size_t waiting_bytes_ = 0;
    std::vector<shared_text> dirty_;  ///< topics
    std::vector<std::string> erased_; ///< logs
    using changed_values = boost::unordered_flat_map<std::string, std::optional<std::string>>;
    changed_values values_;       ///< by key, the latest
    changed_values batch_values_; ///< those that the store has
    value_waiters value_waiters_;
    value_waiters batch_value_waiters_; ///< for the values that the store has
    std::uint64_t next_order_ = 1;
    std::optional<error_code> result_; ///< of the batch
    counts counts_;
    bool in_flight_ = false;
    bool scheduled_ = false;
    bool working_ = false;
    bool trim_now_ = false;
};

} // namespace pusher::inline v0::detail

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/detail/impl/journal.hpp>
#include <pusher/detail/impl/journal_open.hpp>
#endif
