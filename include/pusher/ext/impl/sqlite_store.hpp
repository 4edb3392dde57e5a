// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/ext/sqlite_database.hpp>
#include <pusher/ext/sqlite_store.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

namespace detail {

/// While this is there, signals for the process are for other threads than those that are started: SQLite's
/// calls are not interrupted, and the application's handlers run where it expects them.
class signals_elsewhere {
public:
    signals_elsewhere() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        for (const int of_the_thread : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGPROF})
            ::sigdelset(&all, of_the_thread);
        ::pthread_sigmask(SIG_BLOCK, &all, &before_);
    }
    signals_elsewhere(const signals_elsewhere&) = delete;
    signals_elsewhere& operator=(const signals_elsewhere&) = delete;
    ~signals_elsewhere() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

/// The thread of a `sqlite_store`, and the way there and back.
///
/// What is asked for in one turn of the executor is handed over at its end, so that one transaction takes all
/// of it. Handlers are made, called and destroyed on the executor's side only.
class sqlite_worker final : public std::enable_shared_from_this<sqlite_worker> {
public:
    sqlite_worker(const boost::asio::any_io_executor& executor, const sqlite_params& p)
        : executor_(executor),
          queue_bytes_(p.queue_bytes),
          database_(std::in_place, p) {}

    void open(store::open_handler done) {
        begin();
        opening_ = std::move(done);
        try {
            const signals_elsewhere blocked;
            thread_ = std::thread([this] { run(); });
        } catch (const std::system_error&) { // no thread to be had
            failed_ = errc::store_failed;
            const std::lock_guard lock(mutex_);
            done_.opened = true;
            post_delivery();
        }
    }

    void commit(store_batch batch, store::commit_handler done) {
        begin();
        const auto bytes = batch.bytes();
        commit_op op{std::move(batch), {std::move(done), {}, bytes}};
        if (waiting_bytes_ != 0 && bytes > queue_bytes_ - std::min(queue_bytes_, waiting_bytes_)) {
            op.batch = {};
            op.end.result = errc::store_full;
            op.end.bytes = 0;
        }
        waiting_bytes_ += op.end.bytes;
        fresh_.commits.push_back(std::move(op));
    }

    void read(std::string log, std::uint64_t from, std::size_t most_bytes, store::read_handler done) {
        begin();
        fresh_.reads.push_back({std::move(log), from, most_bytes, {std::move(done), {}, {}}});
    }

    void close() noexcept {
        closed_ = true;
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        wake_.notify_one();
        if (thread_.joinable())
            thread_.join();
        opening_ = nullptr;
        fresh_ = {};
        queued_ = {};
        reading_ = {};
        pending_.clear();
        done_ = {};
        work_.reset();
        database_.reset();
    }

private:
    struct commit_end {
        store::commit_handler handler;
        error_code result;
        std::size_t bytes; ///< that wait no more
    };
    struct commit_op {
        store_batch batch;
        commit_end end;
    };
    struct read_end {
        store::read_handler handler;
        error_code result;
        std::vector<store_record> records;
    };
    struct read_op {
        std::string log;
        std::uint64_t from;
        std::size_t most_bytes;
        read_end end;
    };
    struct asked {
        std::vector<commit_op> commits;
        std::vector<read_op> reads;
    };
    struct answered {
        bool opened = false;
        std::deque<commit_end> commits;
        std::deque<read_end> reads;

        [[nodiscard]] bool empty() const noexcept { return !opened && commits.empty() && reads.empty(); }
    };

    // What one transaction takes at most: it is written to memory first, and all in it wait for it.
    static constexpr std::size_t batches_per_transaction = 4096;
    static constexpr std::size_t bytes_per_transaction = 4 * 1024 * 1024;

    // --- on the executor ---

    void begin() {
        if (outstanding_++ == 0)
            work_.emplace(executor_);
        if (!std::exchange(handing_over_, true))
            boost::asio::post(executor_, [self = shared_from_this()] { self->hand_over(); });
    }

    void hand_over() {
        handing_over_ = false;
        if (closed_)
            return;
        {
            const std::lock_guard lock(mutex_);
            if (thread_.joinable()) {
                append(queued_.commits, fresh_.commits);
                append(queued_.reads, fresh_.reads);
            } else { // never opened, or without a thread
                const auto why = failed_ ? failed_ : make_error_code(errc::store_failed);
                for (auto& op : fresh_.commits) {
                    op.end.result = why;
                    done_.commits.push_back(std::move(op.end));
                }
                for (auto& op : fresh_.reads) {
                    op.end.result = why;
                    done_.reads.push_back(std::move(op.end));
                }
                if (!done_.empty())
                    post_delivery();
            }
        }
        fresh_.commits.clear();
        fresh_.reads.clear();
        wake_.notify_one();
    }

    template <class T>
    static void append(std::vector<T>& to, std::vector<T>& from) {
        if (to.empty())
            to.swap(from);
        else
            to.insert(to.end(), std::move_iterator(from.begin()), std::move_iterator(from.end()));
    }

    void deliver() {
        answered now;
        {
            const std::lock_guard lock(mutex_);
            std::swap(now, done_);
            delivering_ = false;
        }
        // What a handler that throws leaves undone is delivered in another turn.
        struct put_back {
            sqlite_worker& self;
            answered& rest;
            ~put_back() {
                if (self.closed_ || rest.empty())
                    return;
                const std::lock_guard lock(self.mutex_);
                std::move(
                    self.done_.commits.begin(), self.done_.commits.end(), std::back_inserter(rest.commits));
                std::move(self.done_.reads.begin(), self.done_.reads.end(), std::back_inserter(rest.reads));
                std::swap(self.done_, rest);
                self.post_delivery();
            }
        } guard{*this, now};
        if (std::exchange(now.opened, false) && !closed_) {
            const auto handler = std::exchange(opening_, nullptr);
            const settle s{*this};
            handler(failed_, std::move(contents_));
        }
        while (!closed_ && !now.reads.empty()) {
            const auto end = std::move(now.reads.front());
            now.reads.pop_front();
            const settle s{*this};
            end.handler(end.result, std::move(end.records));
        }
        while (!closed_ && !now.commits.empty()) {
            const auto end = std::move(now.commits.front());
            now.commits.pop_front();
            waiting_bytes_ -= end.bytes;
            const settle s{*this};
            end.handler(end.result);
        }
    }

    struct settle {
        sqlite_worker& self;
        ~settle() {
            if (--self.outstanding_ == 0)
                self.work_.reset();
        }
    };

    // --- on either side, with the mutex ---

    void post_delivery() {
        if (!std::exchange(delivering_, true))
            boost::asio::post(executor_, [self = shared_from_this()] { self->deliver(); });
    }

    // --- on the thread ---

    void run() {
        failed_ = open_database();
        answer([](answered& a) { a.opened = true; });
        bool tired = false; // the last sweep has failed
        while (take(tired)) {
            for (auto& op : reading_.reads) {
                op.end.result =
                    failed_ ? failed_ : database_->read(op.log, op.from, op.most_bytes, op.end.records);
                answer([&](answered& a) { a.reads.push_back(std::move(op.end)); });
            }
            reading_.reads.clear();
            if (!pending_.empty())
                tired = !commit_some() && tired;
            else if (!failed_ && database_->littered())
                tired = static_cast<bool>(database_->sweep());
            if (!failed_)
                database_->tidy();
        }
    }

    error_code open_database() {
        try {
            return database_->open(contents_, stop_);
        } catch (const std::bad_alloc&) {
            return error_code(SQLITE_NOMEM, sqlite_category());
        }
    }

    /// Waits for something to do. \return false: it is to end.
    bool take(bool tired) {
        std::unique_lock lock(mutex_);
        const auto asked_for = [&] { return stop_ || !queued_.commits.empty() || !queued_.reads.empty(); };
        if (pending_.empty()) {
            if (failed_ || !database_->littered())
                wake_.wait(lock, asked_for);
            else if (tired)
                wake_.wait_for(lock, std::chrono::seconds(1), asked_for);
        }
        std::move(queued_.commits.begin(), queued_.commits.end(), std::back_inserter(pending_));
        queued_.commits.clear();
        reading_.reads.swap(queued_.reads);
        return !stop_;
    }

    /// \return whether the first of them went well
    bool commit_some() {
        std::size_t bytes = 0;
        std::size_t taken = 0;
        requests_.clear();
        for (const auto& op : pending_) {
            if (taken == batches_per_transaction ||
                (taken != 0 &&
                 op.batch.bytes() > bytes_per_transaction - std::min(bytes, bytes_per_transaction)))
                break;
            bytes += op.batch.bytes();
            ++taken;
            if (!op.end.result)
                requests_.push_back({op.batch.changes()});
        }
        if (failed_)
            for (auto& r : requests_)
                r.result = failed_;
        else if (!requests_.empty())
            database_->commit(requests_);
        const bool good = !requests_.empty() && !requests_.front().result;
        auto request = requests_.begin();
        const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(taken);
        answer([&](answered& a) {
            for (auto op = pending_.begin(); op != end; ++op) {
                if (!op->end.result)
                    op->end.result = (request++)->result;
                a.commits.push_back(std::move(op->end));
            }
        });
        pending_.erase(pending_.begin(), end);
        return good;
    }

    template <class F>
    void answer(F f) {
        const std::lock_guard lock(mutex_);
        f(done_);
        post_delivery();
    }

    boost::asio::any_io_executor executor_;
    std::size_t queue_bytes_;

    // The executor's.
    asked fresh_;
    store::open_handler opening_;
    std::optional<boost::asio::executor_work_guard<boost::asio::any_io_executor>> work_;
    std::size_t outstanding_ = 0;
    std::size_t waiting_bytes_ = 0;
    bool handing_over_ = false;
    bool closed_ = false;

    // Of both.
    std::mutex mutex_;
    std::condition_variable wake_;
    asked queued_;
    answered done_;
    bool delivering_ = false;
    std::atomic<bool> stop_ = false; ///< changed with the mutex

    // The thread's. `failed_` and `contents_` are the executor's too once the store is open.
    error_code failed_;
    store_contents contents_;
    std::optional<sqlite_database> database_;
    asked reading_;
    std::deque<commit_op> pending_;
    std::vector<sqlite_database::request> requests_;
    std::thread thread_;
};

} // namespace detail

PUSHER_DECL
sqlite_store::sqlite_store(const boost::asio::any_io_executor& executor, const sqlite_params& p)
    : worker_(std::make_shared<detail::sqlite_worker>(executor, p)) {}

PUSHER_DECL sqlite_store::~sqlite_store() { close(); }

PUSHER_DECL void sqlite_store::open(open_handler done) {
    if (worker_)
        worker_->open(std::move(done));
}

PUSHER_DECL void sqlite_store::commit(store_batch batch, commit_handler done) {
    if (worker_)
        worker_->commit(std::move(batch), std::move(done));
}

PUSHER_DECL void
sqlite_store::read(std::string log, std::uint64_t from, std::size_t most_bytes, read_handler done) {
    if (worker_)
        worker_->read(std::move(log), from, most_bytes, std::move(done));
}

PUSHER_DECL void sqlite_store::close() noexcept {
    if (const auto worker = std::exchange(worker_, nullptr))
        worker->close();
}

} // namespace pusher::inline v0
