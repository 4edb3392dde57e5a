// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/gap_list.hpp>
#include <pusher/detail/run.hpp>
#include <pusher/detail/text_hash.hpp>
#include <pusher/encoding.hpp>
#include <pusher/observer.hpp>
#include <pusher/overflow_policy.hpp>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// Room in which the frames of one write are put together; one for all sessions.
struct scratch {
    /// Enough for one write; more would only raise the wait of the sessions behind.
    static constexpr std::size_t write_size = 64 * 1024;

    /// What a stretch of `bytes` is, while an outbox puts a write together.
    struct frame {
        enum class kind : std::uint8_t { queued, gap } what;
        std::uint32_t end;
        std::uint32_t gap_index;
    };

    std::string bytes;
    std::string again; ///< one frame
    std::vector<std::uint32_t> ends;
    std::vector<frame> frames;
    std::vector<header> headers;
};

/// What waits for a session that could not be written to: the rest of a cut frame, then slices of runs and
/// the session's own replies, in the order of delivery, and the gaps it must be told of.
///
/// It exists only while something waits.
class outbox {
public:
    explicit outbox(memory_account_ptr account = {}) noexcept : own_(std::move(account)) {}

    /// How a message is to be dealt with.
    enum class handling : std::uint8_t {
        plain,
        acknowledged, ///< the subscriber will acknowledge it: it does not give way to others
        again,        ///< the same, and it is marked as sent before
        returned      ///< failed before, and marked so: it has a bound of its own, and gives way to nothing
    };

    /// Adds a message, or counts it on to the last slice.
    void add(const run_ptr& r, std::uint32_t index, handling as = handling::plain) {
        if (!slices_.empty() && slices_.back().messages == r && slices_.back().to == index &&
            slices_.back().as == as)
            ++slices_.back().to;
        else
            push(r, index, index + 1, as);
        ++messages_;
        bytes_ += r->at(index).size();
        if (as == handling::returned) {
            ++returned_messages_;
            returned_bytes_ += r->at(index).size();
        }
        note_expiry(*r, index, index + 1);
    }

    void add(const run_ptr& r, std::uint32_t from, std::uint32_t to) {
        if (from == to)
            return;
        push(r, from, to);
        messages_ += to - from;
        for (auto i = from; i != to; ++i)
            bytes_ += r->at(i).size();
        note_expiry(*r, from, to);
    }

    /// Adds one frame of the session's own: a reply.
    void add_reply(std::string_view reply) {
        slices_.push_back({nullptr, 0, static_cast<std::uint32_t>(reply.size()), 0, handling::plain});
        replies_.append(reply);
    }

    /// A frame of which the connection has a part: the other part goes before everything else.
    struct cut_frame {
        run_ptr messages; ///< of a message; null: `own`
        const encoding* as = nullptr;
        std::uint64_t sequence_epoch = 0;
        std::uint32_t index = 0;
        std::uint32_t taken = 0;
        std::string own{};

        [[nodiscard]] bool empty() const noexcept { return !messages && own.empty(); }
        [[nodiscard]] std::string_view rest() const {
            return messages ? messages->encode(*as, sequence_epoch).frame(index).substr(taken)
                            : std::string_view(own);
        }
    };

    /// What the connection has not taken of a frame of the session's own.
    void set_rest(std::string_view bytes) {
        cut_ = {};
        cut_.own.assign(bytes);
    }
    void set_rest(cut_frame c) noexcept { cut_ = std::move(c); }

    /// The same of a message. Its bytes stay those that all share, unless little is left of much.
    void set_rest(
        const run_ptr& r, std::uint32_t index, std::uint32_t taken, const encoding& as, std::uint64_t epoch) {
        const auto left = r->encode(as, epoch).frame(index).substr(taken);
        if (left.size() < r->held() / 4)
            set_rest(left);
        else
            cut_ = {r, &as, epoch, index, taken, {}};
    }

    void add_gap(pending_gap g) { gaps_.add(std::move(g)); }

    [[nodiscard]] cut_frame take_rest() noexcept { return std::exchange(cut_, {}); }

    /// Forgets the cut frame: the connection that had the other part of it is gone.
    void forget_rest() noexcept { cut_ = {}; }

    /// Forgets replies too: they answer requests of a connection that is gone.
    void forget_replies() {
        std::erase_if(slices_, [](const slice& s) { return !s.messages; });
        replies_.clear();
        replies_taken_ = 0;
    }

    [[nodiscard]] std::size_t messages() const noexcept { return messages_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// The same without those that had failed before, which have a bound of their own.
    [[nodiscard]] std::size_t limited_messages() const noexcept { return messages_ - returned_messages_; }
    [[nodiscard]] std::size_t limited_bytes() const noexcept { return bytes_ - returned_bytes_; }
    [[nodiscard]] std::size_t reply_bytes() const noexcept { return replies_.size() - replies_taken_; }
    /// What replies take in memory, those that are gone included.
    [[nodiscard]] std::size_t reply_capacity() const noexcept { return replies_.capacity(); }
    /// Whether the connection has a part of a frame.
    [[nodiscard]] bool mid_frame() const noexcept { return !cut_.empty(); }
    [[nodiscard]] bool has_gaps() const noexcept { return !gaps_.empty(); }
    [[nodiscard]] bool empty() const noexcept { return slices_.empty() && gaps_.empty() && cut_.empty(); }
    [[nodiscard]] bool over(const outbox_params& limits) const noexcept {
        return limited_messages() > limits.messages || limited_bytes() > limits.bytes;
    }
    /// Over seven eighths of them, with more than one message.
    [[nodiscard]] bool nearly_over(const outbox_params& limits) const noexcept {
        const auto messages = limited_messages();
        return messages > 1 && (messages > limits.messages - limits.messages / 8 ||
                                limited_bytes() > limits.bytes - limits.bytes / 8);
    }

    /// Takes the oldest or the newest message out. False: there is none.
    /// \param dropped called with the run and the index, before it is gone.
    template <class F>
    bool drop_oldest(F&& dropped) {
        const auto at = std::find_if(slices_.begin(), slices_.end(), gives_way);
        if (at == slices_.end())
            return false;
        forget_one(*at, at->from);
        dropped(*at->messages, at->from);
        if (++at->from == at->to)
            erase(at);
        return true;
    }

    template <class F>
    bool drop_newest(F&& dropped) {
        const auto at = std::find_if(slices_.rbegin(), slices_.rend(), gives_way);
        if (at == slices_.rend())
            return false;
        forget_one(*at, at->to - 1);
        dropped(*at->messages, at->to - 1);
        if (--at->to == at->from)
            erase(std::next(at).base());
        return true;
    }

    /// Takes all messages out, those too that do not give way, and the replies.
    /// \param dropped called with the run, the index and the handling.
    template <class F>
    void drop_all(F&& dropped) {
        for (auto& s : slices_)
            if (s.messages) {
                for (auto i = s.from; i != s.to; ++i)
                    dropped(s.messages, i, s.as);
                release(s);
            }
        slices_.clear();
        replies_.clear();
        replies_taken_ = messages_ = bytes_ = pinned_ = returned_messages_ = returned_bytes_ = 0;
    }

    /// The message that was added last, of those that may give way. Null: there is none.
    [[nodiscard]] std::pair<const run*, std::uint32_t> newest() const noexcept {
        const auto at = std::find_if(slices_.rbegin(), slices_.rend(), gives_way);
        if (at == slices_.rend())
            return {nullptr, 0};
        return {at->messages.get(), at->to - 1};
    }

    /// Whether a message waits here that has not failed before.
    [[nodiscard]] bool holds(std::uint64_t sequence) const noexcept {
        return std::any_of(slices_.rbegin(), slices_.rend(), [&](const slice& s) {
            if (!s.messages || s.as == handling::returned)
                return false;
            auto low = s.from;
            for (auto high = s.to; low != high;) {
                const auto middle = low + (high - low) / 2;
                if (s.messages->at(middle).sequence < sequence)
                    low = middle + 1;
                else
                    high = middle;
            }
            return low != s.to && s.messages->at(low).sequence == sequence;
        });
    }

    /// Frees runs of which little is wanted here: that little is copied. A few messages of each of many runs
    /// would hold many times what the limits say.
    void copy_out() {
        if (!pins_too_much())
            return;
        // Slices of runs that alternate were charged for the same runs again and again.
        boost::unordered_flat_map<const run*, std::size_t> wanted;
        for (const auto& s : slices_)
            if (s.messages)
                wanted[s.messages.get()] += s.messages->footprint(s.from, s.to);
        charge();
        if (!pins_too_much())
            return;
        for (auto& s : slices_) {
            if (!s.messages || s.messages->footprint() <= 2 * wanted[s.messages.get()])
                continue;
            auto copy = s.messages->copy(s.from, s.to);
            release(s);
            s.messages = std::move(copy);
            s.to -= s.from;
            s.from = 0;
        }
        charge();
    }

    /// Charges what is not shared with others. After every change of what waits.
    void recount() noexcept {
        own_.set(
            sizeof(outbox) + slices_.size() * sizeof(slice) + replies_.capacity() + cut_.own.capacity() +
            gaps_.size() * sizeof(pending_gap));
    }

    /// What this outbox has a part in, each message divided by those who hold it.
    [[nodiscard]] std::size_t share() const noexcept {
        auto bytes = own_.bytes();
        const auto add = [&](const run_ptr& r) { bytes += r->held() / r->use_count(); };
        for (const auto& s : slices_)
            if (s.charge != 0)
                add(s.messages);
        if (cut_.messages)
            add(cut_.messages);
        return bytes;
    }

    /// Bytes of the runs that are held, whole.
    [[nodiscard]] std::size_t pinned() const noexcept { return pinned_; }

    /// Takes out each message for which a newer one of the same topic and key is here.
    /// \param applies called with the run and the index: whether a message may give way, and make others do
    /// so. \param dropped as above.
    template <class Applies, class Dropped>
    void conflate(std::uint64_t hash_seed, Applies&& applies, Dropped&& dropped);

    [[nodiscard]] bool may_expire() const noexcept { return next_expiry_ != steady_time::max(); }

    /// Takes out what has expired. \param dropped as above.
    template <class Dropped>
    void expire(steady_time now, Dropped&& dropped);

    /// Takes out those that had failed before.
    void forget_returned() {
        if (returned_messages_ != 0)
            take_out(
                [](const run&, std::uint32_t, handling as) { return as == handling::returned; },
                [](const run&, std::uint32_t) {});
    }

    /// When and of which life of the broker what is written is.
    struct moment {
        std::uint64_t sequence_epoch;
        steady_time now;
    };

    /// Writes until everything is out or the connection is blocked.
    /// \param on_told called with each gap that went out.
    /// \param on_failed called with the run, index and handling of each message that the encoding cannot
    /// carry, or the network refused, and with which it was; it returns the gap to tell of, if there is one.
    /// \param on_returned called with the run and index of each that had failed before and went out.
    /// \return how many messages went out; `empty()` tells whether something is left.
    template <class OnGap, class OnFailed, class OnReturned>
    std::size_t drain(
        const encoding& as, sink& to, std::uint64_t epoch, scratch& room, OnGap&& on_told,
        OnFailed&& on_failed, OnReturned&& on_returned);

    /// Takes the next message out, for a subscriber in process.
    /// \param f called with the message. \param told called first with each gap that belongs before it.
    /// \param on_expired called with the run and index of each message that has; it returns the gap.
    /// \param on_returned as in `drain`.
    /// \return false if there is no message; then all gaps have been told.
    template <class OnMessage, class OnGap, class OnExpired, class OnReturned>
    bool
    pop(const moment& at, std::vector<header>& headers, OnMessage&& f, OnGap&& told, OnExpired&& on_expired,
        OnReturned&& on_returned) {
        for (; !slices_.empty(); pop_front()) { // replies are for a connection
            const auto& s = slices_.front();
            if (s.messages && !s.messages->expired(s.from, at.now))
                break;
            if (s.messages)
                gaps_.add(on_expired(*s.messages, s.from));
        }
        const auto next = slices_.empty() ? nullptr : &slices_.front();
        if (next) {
            const auto g = gaps_.before(next->messages->topic(), next->messages->at(next->from).sequence);
            if (g != gaps_.size())
                told(gaps_.take(g).view());
        } else {
            while (!gaps_.empty())
                told(gaps_.take(0).view());
        }
        if (!next)
            return false;
        const auto r = next->messages;
        const auto index = next->from;
        const auto as = next->as;
        pop_front();
        if (as == handling::returned)
            on_returned(*r, index);
        f(r->view(index, at.sequence_epoch, headers, marked(as)));
        return true;
    }

private:
    /// Messages [from, to) of a run; without a run: `to` bytes of the replies.
    struct slice {
        run_ptr messages;
        std::uint32_t from;
        std::uint32_t to;
        std::uint32_t charge; ///< what the run holds; 0 where the slice before has the same
        handling as;
    };
    using slices = std::deque<slice>;

    [[nodiscard]] static std::uint32_t charge_of(const run& r) noexcept {
        return static_cast<std::uint32_t>(r.footprint()); // a run's places are numbers of 32 bits
    }
    /// Whether its frame is not the one that all share.
    [[nodiscard]] static bool marked(handling as) noexcept {
        return as == handling::again || as == handling::returned;
    }
    /// Whether its messages are encoded one by one: they are few, or not as others get them.
    [[nodiscard]] static bool encoded_alone(const slice& s, const encoding& as) noexcept {
        return marked(s.as) || !s.messages->encodes_all(as, s.to - s.from);
    }
    [[nodiscard]] static bool gives_way(const slice& s) noexcept {
        return s.messages && s.as == handling::plain;
    }

    [[nodiscard]] bool pins_too_much() const noexcept {
        return pinned_ > 4 * (bytes_ + messages_ * run::overhead) + 32 * 1024;
    }

    /// Charges each run that is held once.
    void charge() {
        boost::unordered_flat_set<const run*> charged;
        pinned_ = 0;
        for (auto& s : slices_) {
            s.charge = s.messages && charged.insert(s.messages.get()).second ? charge_of(*s.messages) : 0;
            pinned_ += s.charge;
        }
    }

    void push(const run_ptr& r, std::uint32_t from, std::uint32_t to, handling as = handling::plain) {
        const auto charge = !slices_.empty() && slices_.back().messages == r ? 0 : charge_of(*r);
        slices_.push_back({r, from, to, charge, as});
        pinned_ += charge;
    }

    void erase(slices::iterator at) {
        auto& s = *at;
        const auto next = std::next(at);
        if (next != slices_.end() && next->messages == s.messages)
            next->charge = s.charge;
        else
            pinned_ -= s.charge;
        release(s);
        slices_.erase(at);
    }

    void note_expiry(const run& r, std::uint32_t from, std::uint32_t to) noexcept {
        if (r.may_expire(from))
            for (auto i = from; i != to; ++i)
                next_expiry_ = std::min(next_expiry_, r.expiry(i));
    }

    /// Takes out messages, from the newest to the oldest.
    template <class Gone, class Dropped>
    void take_out(Gone&& gone, Dropped&& dropped);

    void forget_one(const slice& s, std::uint32_t index) noexcept {
        --messages_;
        bytes_ -= s.messages->at(index).size();
        if (s.as == handling::returned) {
            --returned_messages_;
            returned_bytes_ -= s.messages->at(index).size();
        }
    }

    /// A run that only a history still holds keeps its messages, and not their encoded form.
    static void release(slice& s) noexcept {
        if (s.messages->in_history() && s.messages->use_count() <= 2)
            s.messages->forget_encoded();
        s.messages.reset();
    }

    /// Removes the first message, or the first reply.
    void pop_front() {
        auto& s = slices_.front();
        if (!s.messages) {
            replies_taken_ += s.to;
            slices_.pop_front();
            // Not only once all are gone: a peer that is slow and asks on always has one waiting.
            if (replies_taken_ >= replies_.size() - replies_taken_) {
                replies_.erase(0, replies_taken_);
                replies_taken_ = 0;
            }
            return;
        }
        forget_one(s, s.from);
        if (++s.from == s.to)
            erase(slices_.begin());
    }

    using frame = scratch::frame;

    [[nodiscard]] bool continues_cut(const slice& s) const noexcept {
        return cut_.messages == s.messages && cut_.index + 1 == s.from;
    }
    std::optional<bool> write_shared(const encoding& as, sink& to, std::uint64_t epoch, std::size_t& sent);
    void put_gap(const encoding& as, std::size_t index, scratch& room);
    void fill(const encoding& as, std::uint64_t epoch, scratch& room);
    static std::string_view
    frame_of(const slice& s, std::uint32_t index, const encoding& as, std::uint64_t epoch, scratch& room);

    slices slices_;
    std::string replies_; ///< frames of replies back to back; those before `replies_taken_` are gone
    std::size_t replies_taken_ = 0;
    cut_frame cut_;
    gap_list gaps_;
    std::size_t messages_ = 0;
    std::size_t bytes_ = 0;
    std::size_t pinned_ = 0;
    std::size_t returned_messages_ = 0; ///< of `messages_`
    std::size_t returned_bytes_ = 0;    ///< of `bytes_`
    memory_charge own_;
    steady_time next_expiry_ = steady_time::max(); ///< of what is here, or of what has left since
};

} // namespace pusher::inline v0::detail

#include <pusher/detail/impl/outbox_templates.hpp>
