// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/relay.hpp>
#include <pusher/detail/relayed_content.hpp>

#include <algorithm>

namespace pusher::inline v0::detail {

PUSHER_DECL void relay::fetch(const std::vector<std::string>& topics, std::function<void(error_code)> done) {
    struct all {
        std::vector<std::string> topics{};
        std::function<void(error_code)> done;
        std::size_t left = 1;
        error_code first{};
    };
    const auto wanted = std::make_shared<all>(all{{}, std::move(done)});
    const auto came = [this, wanted](error_code ec) {
        if (!wanted->first)
            wanted->first = ec;
        if (--wanted->left != 0)
            return;
        wanted->done(wanted->first);
        for (const auto& topic : wanted->topics) {
            const auto found = held_.find(topic);
            if (found != held_.end() && --found->second == 0) {
                held_.erase(found);
                forget_unused(topic);
            }
        }
    };
    if (left_)
        return came(errc::stopped);
    for (const auto& topic : topics) {
        if (!elsewhere(topic))
            continue;
        ++held_[topic];
        wanted->topics.push_back(topic);
        ++wanted->left;
        if (must_fetch(topic))
            await_history(topic, came);
        else
            came({});
    }
    came({});
}

/// If nobody has subscribed to it. But whoever is told by a handler of its own is told after this.
PUSHER_DECL void relay::forget_unused(std::string_view topic) {
    const auto& topics = wanted_[static_cast<std::size_t>(kind::topic)];
    const auto found = topics.find(topic);
    if (!left_ && found != topics.end() && !found->second)
        io_->post([this, name = std::string(topic)] {
            ended_.emplace_back(kind::topic, name);
            schedule();
        });
}

PUSHER_DECL void relay::await_history(std::string_view topic, std::function<void(error_code)> done) {
    if (wanted_[static_cast<std::size_t>(kind::topic)].try_emplace(std::string(topic), false).second)
        plane_->announce(backplane::interest::topic, topic, true);
    const auto found = fetching_.find(topic);
    if (found != fetching_.end()) {
        found->second.waiting.push_back(std::move(done));
        return;
    }
    fetching_[std::string(topic)].waiting.push_back(std::move(done));
    ask_for_history(topic);
}

PUSHER_DECL void relay::ask_for_history(std::string_view topic) {
    fetching_.try_emplace(std::string(topic));
    relayed r;
    r.what = relay_kind::fetch;
    r.topic = topic;
    if (plane_->send(plane_->home_of(topic), r) != backplane::outcome::sent)
        io_->post([this, name = std::string(topic)] { fetched(name, errc::stopped); });
    schedule();
}

PUSHER_DECL void relay::begin_history(std::uint32_t from, const relayed& r) {
    if (r.error)
        return fetched(r.topic, r.error);
    coming_[std::string(r.topic)] = std::make_unique<coming>(coming{
        from, core_->begin_replica(r.topic, keep_of(r.topic), r.position.epoch, r.position.offset), r.count});
    if (r.count == 0)
        history_came(r.topic);
}

PUSHER_DECL void relay::add_kept(const relayed& r) {
    const auto found = coming_.find(r.topic);
    if (found == coming_.end())
        return;
    auto& c = *found->second;
    auto m = content_of(r);
    m.topic = r.topic;
    m.ttl = r.ttl;
    core_->add_to(c.what, m, {r.received, r.born}, r.ttl);
    if (--c.left == 0)
        history_came(r.topic);
}

PUSHER_DECL void relay::history_came(std::string_view topic) {
    const auto whole = coming_.find(topic);
    const auto c = std::move(whole->second);
    coming_.erase(whole);
    const auto& topics = wanted_[static_cast<std::size_t>(kind::topic)];
    const auto found = topics.find(topic);
    const bool wanted = found != topics.end() && found->second;
    const auto asked = fetching_.find(topic);
    const bool awaited = asked != fetching_.end() && !asked->second.waiting.empty();
    error_code ec;
    if (const auto* const t = core_->find_topic(topic);
        !(t && t->past()) && (wanted || awaited) && !core_->install(std::move(c->what)))
        ec = errc::too_many_topics;
    fetched(topic, ec);
}

PUSHER_DECL void relay::fetched(std::string_view topic, error_code ec) {
    const auto found = fetching_.find(topic);
    if (found == fetching_.end())
        return;
    const auto done = std::move(found->second.waiting);
    fetching_.erase(found);
    for (const auto& f : done)
        f(ec);
    forget_unused(topic);
}

/// Whether a copy that nobody subscribes to any more is kept for a while.
PUSHER_DECL bool relay::stays(std::string_view topic) {
    const auto* const t = core_->find_topic(topic);
    if (plane_->copies_stay().count() == 0 || !t || !t->past())
        return false;
    const auto until = services::now() + plane_->copies_stay();
    if (staying_.insert_or_assign(std::string(topic), until).second)
        leaving_.emplace_back(until, topic);
    io_->arm(*this, staying_.size() > most_staying ? services::now() : leaving_.front().first);
    return true;
}

PUSHER_DECL void relay::at_timeout() {
    const auto now = services::now();
    const auto later = [&](services::time_point until, std::string topic) {
        const auto place =
            std::upper_bound(leaving_.begin(), leaving_.end(), until, [](auto t, const auto& entry) {
                return t < entry.first;
            });
        leaving_.emplace(place, until, std::move(topic));
    };
    const auto too_many = [this] { return staying_.size() > most_staying; };
    for (auto n = leaving_.size(); n != 0 && (leaving_.front().first <= now || too_many()); --n) {
        auto topic = std::move(leaving_.front().second);
        leaving_.pop_front();
        const auto found = staying_.find(topic);
        if (found->second > now && !too_many()) { // somebody has come and gone meanwhile
            later(found->second, std::move(topic));
        } else if (end_copy(topic)) {
            staying_.erase(found);
        } else {
            found->second = now + std::max(plane_->copies_stay(), std::chrono::milliseconds(100));
            later(found->second, std::move(topic));
        }
    }
    if (!leaving_.empty())
        io_->arm(*this, leaving_.front().first);
    schedule();
}

/// Nobody here wants a topic that is kept elsewhere. \return false: somebody still reads the copy.
PUSHER_DECL bool relay::end_copy(std::string_view topic) {
    if (fetching_.contains(topic) || held_.contains(topic))
        return true; // whoever waits for its history may subscribe
    auto& topics = wanted_[static_cast<std::size_t>(kind::topic)];
    const auto found = topics.find(topic);
    if (found == topics.end() || found->second)
        return true;
    if (!core_->drop_replica(topic))
        return false;
    topics.erase(found);
    plane_->announce(backplane::interest::topic, topic, false);
    return true;
}

} // namespace pusher::inline v0::detail
