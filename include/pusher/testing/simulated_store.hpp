// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>
#include <pusher/store/store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pusher::inline v0::testing {

/// Where simulated stores keep what they keep: it survives the broker, and crashes of it.
///
///     simulated_disk disk(simulated_disk::completion::when_told);
///     broker.async_open(std::make_unique<simulated_store>(disk), …);
///     disk.step();                       // the oldest operation is done, and reported
///     disk.crash(1);                     // of what is under way one more is kept; nobody is told
///     simulated_store after(disk);       // for the next broker
///
/// Not thread safe. Its stores may outlive it.
class simulated_disk {
public:
    enum class completion {
        at_once,  ///< inside the function that asks for it
        when_told ///< by `step`
    };

    explicit simulated_disk(completion c = completion::at_once) : state_(std::make_shared<state>()) {
        state_->completes = c;
    }

    /// Operations that were asked for and are not done.
    [[nodiscard]] std::size_t outstanding() const noexcept { return state_->queue.size(); }

    /// Does the oldest of them, and reports it.
    /// \return false if there was none.
    bool step() {
        if (state_->queue.empty())
            return false;
        auto o = std::move(state_->queue.front());
        state_->queue.pop_front();
        run(*state_, std::move(o));
        return true;
    }

    /// Lets operations fail as a counter says, such as a `fail_count`: `counter->next()` is asked before
    /// each, and must outlive them. Nothing of a batch that fails is kept.
    template <class Counter>
    void fail_by(Counter* counter) {
        state_->failure = [counter] { return counter->next(); };
    }
    /// All succeed again.
    void fail_by(std::nullptr_t) noexcept { state_->failure = nullptr; }

    /// The process ends here: of the batches under way the first `kept` reach the disk, as they may, and
    /// nobody hears of any. Another store may be opened then.
    void crash(std::size_t kept = 0) {
        auto queue = std::exchange(state_->queue, {});
        for (auto& o : queue)
            if (kept != 0 && o.what == operation::kind::commit) {
                --kept;
                apply(*state_, o.batch);
            }
        state_->user = nullptr;
    }

    /// How many batches it has taken.
    [[nodiscard]] std::uint64_t commits() const noexcept { return state_->commits; }
    /// Bytes of all records.
    [[nodiscard]] std::size_t record_bytes() const noexcept {
        std::size_t bytes = 0;
        for (const auto& [name, log] : *state_->logs)
            for (const auto& r : log.records)
                bytes += r.bytes.size();
        return bytes;
    }
    /// What it holds, but for the records.
    [[nodiscard]] store_contents contents() const { return contents_of(*state_); }
    /// A log's records, to look at and to damage. Null: there is no such log.
    [[nodiscard]] std::vector<store_record>* records(const std::string& log) {
        auto& logs = own(*state_);
        const auto found = logs.find(log);
        return found == logs.end() ? nullptr : &found->second.records;
    }
    /// Changes it as a batch does.
    error_code change(const store_batch& batch) { return apply(*state_, batch); }

private:
    friend class simulated_store;

    struct log_state {
        std::string meta;
        std::uint64_t first = 1;
        std::uint64_t next = 1;
        bool begun = false; ///< there has been a record
        std::vector<store_record> records;
    };
    using log_map = std::map<std::string, log_state>;

    struct operation {
        enum class kind : std::uint8_t { open, commit, read };

        kind what;
        store_batch batch{};
        std::string log{};
        std::uint64_t from = 0;
        std::size_t most_bytes = 0;
        std::shared_ptr<const log_map> seen{}; ///< by a read: what was there when it was asked for
        store::open_handler opened{};
        store::commit_handler committed{};
        store::read_handler was_read{};
    };

    struct state {
        std::shared_ptr<log_map> logs = std::make_shared<log_map>();
        std::map<std::string, std::string> values;
        std::deque<operation> queue;
        completion completes = completion::at_once;
        std::function<error_code()> failure;
        const store* user = nullptr; ///< that has it open
        std::uint64_t commits = 0;
    };

    static log_map& own(state& s) {
        if (s.logs.use_count() > 1) // a read wants the old ones
            s.logs = std::make_shared<log_map>(*s.logs);
        return *s.logs;
    }

    static store_contents contents_of(const state& s) {
        store_contents c;
        for (const auto& [name, log] : *s.logs)
            c.logs.push_back({name, log.meta, log.first, log.next});
        c.values.assign(s.values.begin(), s.values.end());
        return c;
    }

    static bool change(log_map& logs, const store_batch::change& c) {
        using kind = store_batch::change::kind;
        const auto found = logs.find(c.name);
        const bool known = found != logs.end();
        switch (c.what) {
        case kind::create_log: {
            log_state made;
            made.meta = c.bytes;
            return logs.try_emplace(c.name, std::move(made)).second;
        }
        case kind::append: {
            if (!known || c.count == 0 || c.first == 0)
                return false;
            auto& log = found->second;
            if (!log.begun)
                log.first = c.first;
            else if (c.first != log.next)
                return false;
            log.begun = true;
            log.next = c.first + c.count;
            log.records.push_back({c.first, c.count, c.bytes});
            return true;
        }
        case kind::trim:
            if (known) {
                auto& log = found->second;
                log.first = std::max(log.first, std::min(c.first, log.next));
                std::erase_if(
                    log.records, [&](const store_record& r) { return r.first + r.count <= log.first; });
            }
            return true;
        case kind::erase_log: logs.erase(c.name); return true;
        case kind::put:
        case kind::erase: return true;
        }
        return false;
    }

    static error_code apply(state& s, const store_batch& batch) {
        auto logs = std::make_shared<log_map>(*s.logs);
        auto values = s.values;
        for (const auto& c : batch.changes()) {
            if (!change(*logs, c))
                return errc::store_failed;
            if (c.what == store_batch::change::kind::put)
                values[c.name] = c.bytes;
            else if (c.what == store_batch::change::kind::erase)
                values.erase(c.name);
        }
        s.logs = std::move(logs);
        s.values = std::move(values);
        ++s.commits;
        return {};
    }

    static std::vector<store_record> read(const operation& o) {
        std::vector<store_record> found;
        const auto log = o.seen->find(o.log);
        if (log == o.seen->end())
            return found;
        std::size_t bytes = 0;
        for (const auto& r : log->second.records) {
            if (r.first + r.count <= o.from)
                continue;
            bytes += r.bytes.size();
            if (!found.empty() && bytes > o.most_bytes)
                break;
            found.push_back(r);
        }
        return found;
    }

    static void run(state& s, operation o) {
        auto ec = s.failure ? s.failure() : error_code();
        switch (o.what) {
        case operation::kind::open:
            if (!ec && !s.user)
                ec = errc::store_failed; // closed meanwhile
            return o.opened(ec, ec ? store_contents() : contents_of(s));
        case operation::kind::commit:
            if (!ec)
                ec = apply(s, o.batch);
            return o.committed(ec);
        case operation::kind::read: return o.was_read(ec, ec ? std::vector<store_record>() : read(o));
        }
    }

    std::shared_ptr<state> state_;
};

/// A store in memory, for tests: of the broker, and of programs with a broker. What it holds is on a
/// `simulated_disk`, which also says when operations are done, and which fail.
class simulated_store final : public store {
public:
    struct params {
        simulated_disk* disk = nullptr;
    };

    explicit simulated_store(simulated_disk& disk) : disk_(disk.state_) {}
    /// For `broker<…, simulated_store>`.
    template <class Executor>
    simulated_store(const Executor&, const params& p) : simulated_store(*p.disk) {}
    ~simulated_store() override { close(); }

    /// \param done `store_locked` if another store has the disk.
    void open(open_handler done) override {
        if (disk_->user && disk_->user != this)
            return done(errc::store_locked, {});
        disk_->user = this;
        simulated_disk::operation o{simulated_disk::operation::kind::open};
        o.opened = std::move(done);
        ask(std::move(o));
    }

    void commit(store_batch batch, commit_handler done) override {
        simulated_disk::operation o{simulated_disk::operation::kind::commit};
        o.batch = std::move(batch);
        o.committed = std::move(done);
        ask(std::move(o));
    }

    void read(std::string log, std::uint64_t from, std::size_t most_bytes, read_handler done) override {
        simulated_disk::operation o{simulated_disk::operation::kind::read};
        o.log = std::move(log);
        o.from = from;
        o.most_bytes = most_bytes;
        o.seen = disk_->logs;
        o.was_read = std::move(done);
        ask(std::move(o));
    }

    void close() noexcept override {
        if (disk_->user != this)
            return;
        disk_->user = nullptr;
        disk_->queue.clear();
    }

private:
    void ask(simulated_disk::operation o) {
        if (disk_->user != this) // the process has ended, and does not know yet
            return;
        if (disk_->completes == simulated_disk::completion::at_once)
            simulated_disk::run(*disk_, std::move(o));
        else
            disk_->queue.push_back(std::move(o));
    }

    std::shared_ptr<simulated_disk::state> disk_;
};

} // namespace pusher::inline v0::testing
