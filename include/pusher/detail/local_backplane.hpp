// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/backplane.hpp>
#include <pusher/config.hpp>
#include <pusher/detail/filter_table.hpp>
#include <pusher/detail/packed_message.hpp>
#include <pusher/detail/text_hash.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

class local_backplane;

/// What one broker says to another in one turn: fixed parts one after the other, and their bytes back to
/// back.
class relay_batch {
public:
    void add(const relayed& r);
    void clear() noexcept {
        entries_.clear();
        bytes_.clear();
    }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    /// What it takes, its bytes' share of the limits.
    [[nodiscard]] std::size_t bytes() const noexcept {
        return bytes_.size() + entries_.size() * sizeof(entry);
    }
    static std::size_t bytes_of(const relayed& r) noexcept;

    /// \param headers room for those of the entry
    [[nodiscard]] relayed view(std::size_t i, std::vector<header>& headers) const;

private:
    struct entry {
        relay_facts facts;
        std::size_t begin;
        std::uint32_t uid_size;
        std::uint8_t topic_size;
        packed_sizes<std::uint8_t> sizes;
    };

    std::vector<entry> entries_;
    std::string bytes_;
};

/// What the brokers of one process share: of each, where the others put what is for it.
///
/// A lock is held for as long as it takes to move a few pointers, or to note a change of interest; nobody
/// waits for another's thread.
struct local_group {
    /// Changes of interest wait for the next publish; past that many they are looked at for their own sake.
    static constexpr std::size_t most_changes = 1024;

    struct change {
        std::uint32_t who;
        backplane::interest what;
        bool begins;
        std::string text;
    };

    struct inbox {
        struct item {
            std::uint32_t from;
            std::unique_ptr<relay_batch> batch;
        };

        std::mutex mutex;
        std::vector<item> items;
        std::vector<std::unique_ptr<relay_batch>> spare; ///< to be filled again
        std::vector<change> changes;                     ///< of the others' interest
        std::size_t too_many_changes = most_changes;     ///< then those that others undo are left out
        backplane::members waiting = 0;                  ///< for room here
        bool room = false; ///< there is some again, where its broker waits for it
        bool scheduled = false;
        bool closed = false;

        std::atomic<bool> changed = false;     ///< there are changes
        std::atomic<bool> gone = false;        ///< closed, read without the lock
        std::atomic<std::size_t> messages = 0; ///< not dealt with yet
        std::atomic<std::size_t> bytes = 0;
        std::atomic<std::uint64_t> taken = 0; ///< batches

        boost::asio::any_io_executor executor;
        local_backplane* owner = nullptr; ///< only used on the executor
    };

    local_group(
        const std::vector<boost::asio::any_io_executor>& executors, std::size_t messages, std::size_t bytes,
        std::chrono::milliseconds copies);

    std::vector<std::shared_ptr<inbox>> inboxes;
    std::size_t most_messages; ///< in each
    std::size_t most_bytes;
    std::chrono::milliseconds copies_stay;
    std::uint64_t seed;
};

/// The backplane of brokers in one process, each with a thread of its own. What a turn brings for another
/// broker is one batch, put into that one's inbox under a lock, with one call of its event loop.
class local_backplane final : public backplane {
public:
    local_backplane(std::shared_ptr<local_group> g, std::uint32_t self);
    ~local_backplane() override { local_backplane::leave(); }

    [[nodiscard]] std::size_t size() const noexcept override { return group_->inboxes.size(); }
    [[nodiscard]] std::uint32_t self() const noexcept override { return self_; }
    [[nodiscard]] std::uint32_t home_of(std::string_view topic) const noexcept override {
        return static_cast<std::uint32_t>(text_hash(group_->seed)(topic) % size());
    }
    void join(member& m) override;
    void leave() noexcept override;
    void announce(interest what, std::string_view text, bool begins) override;
    [[nodiscard]] members audience(std::string_view topic) override;
    [[nodiscard]] members subscribers(std::string_view topic) override;
    [[nodiscard]] members users(std::string_view uid) override;
    outcome send(std::uint32_t to, const relayed& r) override;
    [[nodiscard]] bool half_empty(std::uint32_t to) const noexcept override;
    void hand_over() override;
    [[nodiscard]] bool writable() const noexcept override;
    void wait_for_room() override;
    void wait_for(std::uint32_t to) override;
    void forget_progress() noexcept override;
    void excuse_stalled() noexcept override;
    [[nodiscard]] std::chrono::milliseconds copies_stay() const noexcept override {
        return group_->copies_stay;
    }
    [[nodiscard]] counts numbers() const noexcept override { return counts_; }

private:
    using inbox = local_group::inbox;

    /// A batch that has grown to that is handed over before the turn ends.
    static constexpr std::size_t batch_messages = 512;
    static constexpr std::size_t batch_bytes = 128 * 1024;
    static constexpr std::size_t most_spare = 16;
    /// Messages that are dealt with before others on the event loop have their turn.
    static constexpr std::size_t most_taken = 4096;
    static constexpr members bit_of(std::uint32_t who) noexcept { return members{1} << who; }

    using audiences = boost::unordered_flat_map<std::string, members, text_hash, std::equal_to<>>;

    /// What could not be handed over, of one topic.
    struct loss {
        relay_kind what = relay_kind::message;
        std::uint64_t count = 0;
        topic_position first{};
        std::uint64_t last = 0;
    };
    /// What is for another broker.
    struct outgoing {
        std::unique_ptr<relay_batch> batch;
        boost::unordered_flat_map<std::string, loss, text_hash, std::equal_to<>> lost;
        std::uint64_t seen = 0; ///< batches that it had taken when it was last looked at
        bool excused = false;
    };

    /// There is room where this broker waited for it.
    void found_room();
    /// Has the broker's event loop look into its inbox. Under its lock.
    static void wake(const std::shared_ptr<inbox>& in);
    void take();
    static void leave_out_undone(inbox& in);
    void apply_changes();
    static void apply(audiences& to, const local_group::change& c);
    void apply_filter(const local_group::change& c);
    [[nodiscard]] bool has_room(const inbox& in, const outgoing& out, std::size_t bytes) const noexcept;
    [[nodiscard]] bool over_half(const inbox& in) const noexcept {
        return in.messages.load(std::memory_order_relaxed) > group_->most_messages / 2 ||
               in.bytes.load(std::memory_order_relaxed) > group_->most_bytes / 2;
    }
    [[nodiscard]] inbox& own() const noexcept { return *group_->inboxes[self_]; }
    void tell_lost(std::uint32_t to);
    void put(std::uint32_t to);

    std::shared_ptr<local_group> group_;
    std::uint32_t self_;
    member* member_ = nullptr;
    bool left_ = false;
    std::vector<outgoing> out_;
    std::deque<inbox::item> arrived_;
    std::size_t next_ = 0; ///< entry of the first batch that arrived
    std::vector<std::unique_ptr<relay_batch>> emptied_;
    counts counts_;

    audiences topics_;
    audiences users_;
    filter_table filters_;
    std::vector<members> filter_members_; ///< by the node's id
    std::vector<std::uint32_t> free_filters_;
    std::vector<filter_node*> matched_;
    std::vector<header> headers_;
};

} // namespace pusher::inline v0::detail

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/impl/local_backplane.hpp>
#endif
