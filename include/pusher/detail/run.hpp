// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/memory_account.hpp>
#include <pusher/detail/packed_message.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/encoding.hpp>
#include <pusher/message.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

using steady_time = std::chrono::steady_clock::time_point;

/// The messages published to one topic in one turn, stored once: their bytes back to back, an index of where
/// each begins, and beside them the encoded bytes of every encoding that some session asked for.
///
/// Whoever may need it later (an outbox, a history) holds a reference; while nothing blocks nobody does.
class run : public boost::intrusive_ref_counter<run, boost::thread_unsafe_counter> {
public:
    struct entry {
        std::uint64_t sequence;
        std::uint64_t publisher; ///< id of the subscriber that published it; 0: the host
        std::uint32_t begin;
        packed_sizes<std::uint8_t> sizes;

        /// What the message is charged with in outboxes and histories.
        [[nodiscard]] std::size_t size() const noexcept { return sizes.total(); }
    };

    /// What a message takes besides its bytes.
    static constexpr std::size_t overhead = sizeof(entry);

    /// The frames of one encoding.
    struct encoded {
        const encoding* as;
        std::string bytes;
        std::vector<std::uint32_t> ends;
        bool has_holes = false; ///< some frames are empty: the transport cannot carry those messages

        [[nodiscard]] std::uint32_t begin_of(std::size_t i) const noexcept {
            return i == 0 ? 0 : ends[i - 1];
        }
        [[nodiscard]] std::string_view frame(std::size_t i) const noexcept {
            return std::string_view(bytes).substr(begin_of(i), ends[i] - begin_of(i));
        }
    };

    run(shared_text topic, wall_time received, steady_time born, memory_account_ptr account = {})
        : topic_(std::move(topic)),
          receive_time_(received),
          born_(born),
          held_(std::move(account)) {}

    /// Forgets everything but the room that its messages took.
    void clear() noexcept {
        topic_ = {};
        epoch_ = first_offset_ = 0;
        addressed_ = false;
        entries_.clear();
        bytes_.clear();
        ttls_.clear();
        for (auto& e : encoded_) {
            e.bytes.clear();
            e.ends.clear();
            e.has_holes = false;
        }
        held_.set(0);
    }

    /// Begins anew after `clear`.
    void begin(shared_text topic, wall_time received, steady_time born) noexcept {
        topic_ = std::move(topic);
        receive_time_ = received;
        born_ = born;
    }

    /// \param ttl after which the message is of no use to anybody; zero: it does not expire.
    void append(
        const message::fields& m, std::uint64_t publisher,
        std::chrono::milliseconds ttl = std::chrono::milliseconds(0)) {
        if (ttl.count() != 0) {
            ttls_.resize(entries_.size());
            ttls_.push_back(ttl);
        }
        const auto begin = static_cast<std::uint32_t>(bytes_.size());
        entries_.push_back({m.sequence, publisher, begin, pack<std::uint8_t>(bytes_, m)});
        recount();
    }

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.size(); }
    /// What all of it takes in memory.
    [[nodiscard]] std::size_t held() const noexcept { return held_.bytes(); }
    /// About what the messages take in memory; not counting their encoded form.
    [[nodiscard]] std::size_t footprint() const noexcept { return bytes_.size() + size() * overhead; }
    [[nodiscard]] std::size_t footprint(std::uint32_t from, std::uint32_t to) const noexcept {
        const auto end = to == size() ? bytes_.size() : std::size_t{entries_[to].begin};
        return end - entries_[from].begin + (to - from) * overhead;
    }
    [[nodiscard]] const entry& at(std::size_t i) const noexcept { return entries_[i]; }
    [[nodiscard]] const shared_text& topic() const noexcept { return topic_; }
    [[nodiscard]] steady_time born() const noexcept { return born_; }
    [[nodiscard]] wall_time receive_time() const noexcept { return receive_time_; }

    [[nodiscard]] std::string_view type_of(std::size_t i) const noexcept {
        return std::string_view(bytes_).substr(entries_[i].begin, entries_[i].sizes.type);
    }

    [[nodiscard]] std::string_view key_of(std::size_t i) const noexcept {
        return std::string_view(bytes_).substr(
            entries_[i].begin + entries_[i].sizes.type, entries_[i].sizes.key);
    }

    /// After which time the message is of no use any more. It counts from the run's beginning.
    [[nodiscard]] steady_time expiry(std::size_t i) const noexcept {
        return i < ttls_.size() && ttls_[i].count() != 0 ? born_ + ttls_[i] : steady_time::max();
    }
    [[nodiscard]] bool expired(std::size_t i, steady_time now) const noexcept { return now > expiry(i); }
    /// Whether some message has.
    [[nodiscard]] bool any_expired(steady_time now) const noexcept {
        return std::any_of(ttls_.begin(), ttls_.end(), [&](std::chrono::milliseconds ttl) {
            return ttl.count() != 0 && now > born_ + ttl;
        });
    }
    /// Whether messages from there on may expire.
    [[nodiscard]] bool may_expire(std::size_t from) const noexcept { return from < ttls_.size(); }

    /// Numbers the run's messages in a history. Only before the first message.
    void keep_in_history(std::uint64_t epoch, std::uint64_t first_offset) noexcept {
        epoch_ = epoch;
        first_offset_ = first_offset;
    }
    /// Made for subscribers that were listed one by one, whatever they subscribe to.
    void set_addressed() noexcept { addressed_ = true; }
    [[nodiscard]] bool addressed() const noexcept { return addressed_; }
    [[nodiscard]] bool in_history() const noexcept { return first_offset_ != 0; }
    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
    [[nodiscard]] std::uint64_t first_offset() const noexcept { return first_offset_; }
    [[nodiscard]] std::uint64_t offset_of(std::size_t i) const noexcept {
        return in_history() ? first_offset_ + i : 0;
    }

    /// A view of a message; `headers` is where its header views are kept.
    [[nodiscard]] message view(
        std::size_t i, std::uint64_t sequence_epoch, std::vector<header>& headers,
        bool redelivered = false) const {
        const auto& e = entries_[i];
        auto made = message_access::make();
        auto& m = message_access::fields(made);
        unpack(std::string_view(bytes_).substr(e.begin), e.sizes, m, headers);
        m.topic = topic_.view();
        m.sequence = e.sequence;
        m.sequence_epoch = sequence_epoch;
        if (in_history())
            m.position = topic_position{epoch_, offset_of(i)};
        m.receive_time = receive_time_;
        if (i < ttls_.size())
            m.ttl = ttls_[i];
        m.redelivered = redelivered;
        return made;
    }

    /// The frames of all messages so far, encoded now if they are not yet.
    const encoded& encode(const encoding& as, std::uint64_t sequence_epoch) {
        auto& e = find(as);
        if (e.ends.size() != entries_.size()) {
            std::vector<header> headers;
            e.bytes.reserve(e.bytes.size() + bytes_.size() * 5 / 4 + (entries_.size() - e.ends.size()) * 160);
            e.ends.reserve(entries_.size());
            while (e.ends.size() != entries_.size()) {
                const auto begin = e.bytes.size();
                as.push(view(e.ends.size(), sequence_epoch, headers), e.bytes);
                e.has_holes = e.has_holes || e.bytes.size() == begin;
                e.ends.push_back(static_cast<std::uint32_t>(e.bytes.size()));
            }
            recount();
        }
        return e;
    }

    /// Whether some of its messages are encoded with all of it: that is done already, or they are a good
    /// part. Else a message that is read from a history would cost as much as all that came in its turn.
    [[nodiscard]] bool encodes_all(const encoding& as, std::size_t some) const noexcept {
        constexpr std::size_t few = 8; // who takes them in small pieces has them encoded for each
        return some > few || some * 4 >= entries_.size() ||
               std::any_of(encoded_.begin(), encoded_.end(), [&](const encoded& e) {
                   return e.as == &as && e.ends.size() == entries_.size();
               });
    }

    /// A run of its own for some of the messages.
    [[nodiscard]] boost::intrusive_ptr<run> copy(std::uint32_t from, std::uint32_t to) const {
        boost::intrusive_ptr<run> made(new run(topic_, receive_time_, born_, held_.account()));
        made->addressed_ = addressed_;
        if (in_history())
            made->keep_in_history(epoch_, offset_of(from));
        const auto begin = entries_[from].begin;
        const auto end = to == size() ? bytes_.size() : std::size_t{entries_[to].begin};
        made->bytes_.assign(bytes_, begin, end - begin);
        made->entries_.assign(
            entries_.begin() + static_cast<std::ptrdiff_t>(from),
            entries_.begin() + static_cast<std::ptrdiff_t>(to));
        for (auto& e : made->entries_)
            e.begin -= begin;
        if (from < ttls_.size())
            made->ttls_.assign(
                ttls_.begin() + static_cast<std::ptrdiff_t>(from),
                ttls_.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(to, ttls_.size())));
        made->recount();
        return made;
    }

    /// Frees what can be made again.
    void forget_encoded() noexcept {
        encoded_.clear();
        recount();
    }

    /// Gives back the room that only a growing run needs, or that was of use to another.
    void shrink() {
        encoded_.remove_if([](const encoded& e) { return e.ends.empty(); });
        entries_.shrink_to_fit();
        bytes_.shrink_to_fit();
        recount();
    }

private:
    void recount() noexcept {
        auto bytes = sizeof(run) + bytes_.capacity() + entries_.capacity() * sizeof(entry) +
                     ttls_.capacity() * sizeof(ttls_[0]);
        for (const auto& e : encoded_)
            bytes += sizeof(encoded) + e.bytes.capacity() + e.ends.capacity() * sizeof(e.ends[0]);
        held_.set(bytes);
    }

    encoded& find(const encoding& as) {
        for (auto& e : encoded_)
            if (e.as == &as)
                return e;
        encoded_.push_front({&as, {}, {}, false});
        return encoded_.front();
    }

    shared_text topic_;
    std::uint64_t epoch_ = 0;
    std::uint64_t first_offset_ = 0; ///< 0: not in a history
    bool addressed_ = false;
    wall_time receive_time_;
    steady_time born_;
    std::vector<entry> entries_;
    std::string bytes_;
    std::vector<std::chrono::milliseconds> ttls_; ///< up to the last message that has one
    std::forward_list<encoded> encoded_;          // addresses of frames stay good while others are added
    memory_charge held_;
};

using run_ptr = boost::intrusive_ptr<run>;

} // namespace pusher::inline v0::detail
