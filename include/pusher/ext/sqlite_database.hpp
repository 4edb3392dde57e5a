// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/ext/sqlite_error.hpp>
#include <pusher/ext/sqlite_params.hpp>
#include <pusher/store/store.hpp>

#include <sqlite3.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// The file of a `sqlite_store`, and the statements that it is used with. Everything blocks; it belongs to
/// one thread at a time.
///
/// It keeps of each log what a batch is checked with, so that an append is one statement. Records that are
/// trimmed, or whose log is erased, are out of reach at once, and deleted a few at a time: see `sweep`.
class sqlite_database {
public:
    /// The statements that change a file of version n - 1 into one of version n, for n from 1.
    using migration = const char*;

    /// "push": what `PRAGMA application_id` says of a file of ours.
    static constexpr int application_id = 0x70757368;

    /// The first makes the schema in an empty file. A released one is never changed; others are put after it.
    static std::span<const migration> migrations() noexcept;

    explicit sqlite_database(sqlite_params p, std::span<const migration> steps = migrations());
    sqlite_database(const sqlite_database&) = delete;
    sqlite_database& operator=(const sqlite_database&) = delete;
    ~sqlite_database();

    /// \param stop makes it give up early, from another thread; also later, so it must outlive this.
    error_code open(store_contents& found, const std::atomic<bool>& stop);

    /// A batch, and how it went.
    struct request {
        std::span<const store_batch::change> changes;
        error_code result{};
    };

    /// Commits all that can be in one transaction. If there is anything amiss, each has one for itself.
    void commit(std::span<request> batches);

    error_code
    read(const std::string& log, std::uint64_t from, std::size_t most_bytes, std::vector<store_record>& into);

    /// Whether there are records to delete.
    [[nodiscard]] bool littered() const noexcept { return !litter_.empty(); }

    /// Deletes some of them, in a transaction of its own.
    error_code sweep();

    /// Moves what is in the write-ahead log into the file, if it is long. Not a part of a commit, so that
    /// nobody waits for it.
    void tidy() noexcept;

private:
    enum statement : std::size_t {
        begin,
        end,
        undo,
        add_log,
        set_log,
        remove_log,
        add_erased,
        forget_erased,
        add_record,
        find_litter,
        remove_litter,
        put_entry,
        remove_entry,
        read_records,
        statements
    };

    struct closer {
        void operator()(sqlite3* d) const noexcept { sqlite3_close_v2(d); }
        void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
    };
    using statement_ptr = std::unique_ptr<sqlite3_stmt, closer>;

    struct log_state {
        std::int64_t id;
        std::uint64_t first = 1;
        std::uint64_t next = 1;    ///< 1: nothing was appended yet
        std::uint64_t born = 0;    ///< the transaction that has created it
        std::uint64_t touched = 0; ///< the last one that has changed it
        bool to_save = false;      ///< `first` and `next` are not in the file as they are here
        bool trimmed = false;      ///< there may be records to delete
        bool there = true;
    };
    using log_map = std::unordered_map<std::string, log_state>;

    /// How a log was before the transaction.
    struct before {
        log_map::value_type* log;
        log_state was;
    };

    /// Records of a log that are to be deleted: those whose items all lie before one.
    struct litter {
        std::int64_t log = 0; ///< none
        std::int64_t before = 0;
        bool erased = false;
    };

    error_code open_file(store_contents& found);
    error_code use_wal() const noexcept;
    error_code error() const noexcept;
    error_code run(const char* sql) const noexcept;
    error_code number(const char* pragma, std::int64_t& into) const noexcept;
    error_code step(statement s) noexcept;
    error_code identify(std::int64_t& version) const noexcept;
    error_code migrate(std::int64_t version) const noexcept;
    error_code prepare();
    error_code load(store_contents& found);
    error_code check_in_place() const noexcept;

    sqlite3_stmt* use(statement s) const noexcept { return prepared_[s].get(); }
    void bind(statement s, int at, std::string_view bytes) noexcept;
    void bind(statement s, int at, std::int64_t n) noexcept;

    error_code transact(std::span<const request> batches, bool sweeping);
    error_code change(std::span<const request> batches, bool sweeping);
    error_code apply(const store_batch::change& c);
    error_code apply_append(const store_batch::change& c);
    error_code save(log_map::value_type& log);
    error_code sweep_up_to(std::size_t records);
    error_code sweep(const litter& l, std::size_t& records, std::size_t& bytes, bool& more);
    error_code finish(error_code ec) noexcept;
    void touch(log_map::value_type& log);
    void restore() noexcept;

    sqlite_params params_;
    std::span<const migration> steps_;
    const std::atomic<bool>* stop_ = nullptr; ///< set by `open`
    std::unique_ptr<sqlite3, closer> database_;
    std::array<statement_ptr, statements> prepared_;
    log_map logs_;
    std::int64_t next_id_ = 1;
    std::uint64_t transaction_ = 0;
    int wal_pages_ = 0;

    // Of the transaction.
    std::vector<before> before_;
    std::vector<log_map::value_type*> added_;
    std::vector<log_map::node_type> gone_; ///< erased logs, which others of this transaction point to
    std::deque<litter> litter_;
    std::size_t litter_before_ = 0; ///< how many there were when it began
    std::size_t swept_ = 0;         ///< how many of the first are deleted
};

} // namespace pusher::inline v0::detail

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/ext/impl/sqlite_database.hpp>
#endif
