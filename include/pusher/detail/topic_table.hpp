// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/group.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/text_hash.hpp>

#include <boost/unordered/unordered_flat_set.hpp>

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// A topic that has subscribers, a history, or messages in the current turn. No other topic has any state.
/// Its name is behind it, in the same block of memory: a table makes them.
struct topic_state : pattern {
    [[nodiscard]] std::string_view text() const noexcept { return shared_text::view_behind(this + 1); }
    [[nodiscard]] shared_text name() const noexcept { return shared_text::behind(this + 1); }

    /// Null: no history is kept of it.
    [[nodiscard]] topic_past* past() const noexcept {
        const auto* const few = handlers.beside();
        return few ? few->past.get() : nullptr;
    }
    /// \return the one before
    std::unique_ptr<topic_past> set_past(std::unique_ptr<topic_past> p) {
        if (!p && !past())
            return nullptr;
        auto old = std::exchange(handlers.make_beside().past, std::move(p));
        handlers.give_back();
        return old;
    }

    /// Who is catching up; null: nobody.
    [[nodiscard]] const std::vector<cursor*>* cursors() const noexcept {
        const auto* const p = past();
        return p ? p->cursors.get() : nullptr;
    }
    [[nodiscard]] bool unused() const noexcept {
        const auto* const p = past();
        return (!p || p->unwritten()) && unused_but_for_its_past();
    }
    [[nodiscard]] bool unused_but_for_its_past() const noexcept {
        return no_subscribers() && open == no_run && pins == 0 && !cursors();
    }

private:
    friend class topic_table;

    topic_state() noexcept : pattern(kind::topic) {}
    ~topic_state() = default;
};

/// Finds topics by name, in a time that does not depend on how many there are.
class topic_table {
public:
    explicit topic_table(std::uint64_t seed) : topics_(0, hash{text_hash(seed)}) {}

    [[nodiscard]] topic_state* find(std::string_view name) const noexcept {
        const auto found = topics_.find(name);
        return found == topics_.end() ? nullptr : found->get();
    }

    topic_state& add(std::string_view name) {
        owned t(::new (::operator new(sizeof(topic_state) + shared_text::room_for(name))) topic_state);
        shared_text::put_behind(t.get() + 1, name);
        return **topics_.insert(std::move(t)).first;
    }

    void remove(const topic_state& t) noexcept { topics_.erase(topics_.find(t.text())); }

    [[nodiscard]] std::size_t size() const noexcept { return topics_.size(); }

    template <class F>
    void for_each(F&& f) const {
        for (const auto& t : topics_)
            f(*t);
    }

private:
    struct deleter {
        void operator()(topic_state* t) const noexcept {
            t->~topic_state();
            shared_text::leave_behind(t + 1, sizeof(topic_state));
        }
    };
    using owned = std::unique_ptr<topic_state, deleter>;

    static std::string_view text_of(std::string_view text) noexcept { return text; }
    static std::string_view text_of(const owned& t) noexcept { return t->text(); }

    struct hash {
        using is_transparent = void;
        template <class T>
        [[nodiscard]] std::size_t operator()(const T& t) const noexcept {
            return of_text(text_of(t));
        }
        text_hash of_text;
    };
    struct equal {
        using is_transparent = void;
        template <class T, class U>
        [[nodiscard]] bool operator()(const T& a, const U& b) const noexcept {
            const auto x = text_of(a);
            const auto y = text_of(b);
            return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size()) == 0;
        }
    };

    boost::unordered_flat_set<owned, hash, equal> topics_;
};

} // namespace pusher::inline v0::detail
