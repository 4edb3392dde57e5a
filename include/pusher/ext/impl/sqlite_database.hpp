// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/ext/sqlite_database.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <thread>

namespace pusher::inline v0::detail {

namespace sqlite {

inline constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

/// What one sweep deletes at most, so that no commit waits long for it.
inline constexpr std::size_t records_per_sweep = 256;
inline constexpr std::size_t bytes_per_sweep = 1024 * 1024;

/// What a commit deletes beyond as many records as it adds.
inline constexpr std::size_t records_beside_commit = 64;

/// When the write-ahead log is moved into the file; as SQLite has it by default.
inline constexpr int long_wal_pages = 1000;

inline constexpr const char* statements[] = {
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "INSERT INTO logs(id, name, meta, first, next) VALUES(?1, ?2, ?3, 1, 1)",
    "UPDATE logs SET first = ?2, next = ?3 WHERE id = ?1",
    "DELETE FROM logs WHERE id = ?1",
    "INSERT INTO erased(log) VALUES(?1)",
    "DELETE FROM erased WHERE log = ?1",
    "INSERT INTO records(log, first, count, bytes) VALUES(?1, ?2, ?3, ?4)",
    "SELECT first, count, length(bytes) FROM records WHERE log = ?1 ORDER BY first LIMIT ?2",
    "DELETE FROM records WHERE log = ?1 AND first <= ?2",
    "INSERT INTO entries(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    "DELETE FROM entries WHERE key = ?1",
    "SELECT first, count, bytes FROM records WHERE log = ?1 AND first >= "
    "coalesce((SELECT first FROM records WHERE log = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1), 0) "
    "ORDER BY first",
};

inline std::uint64_t number_at(sqlite3_stmt* s, int column) noexcept {
    return static_cast<std::uint64_t>(sqlite3_column_int64(s, column));
}

inline std::string bytes_at(sqlite3_stmt* s, int column) {
    const auto* const data = static_cast<const char*>(sqlite3_column_blob(s, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(s, column));
    if (!data && size != 0)
        throw std::bad_alloc();
    return data ? std::string(data, size) : std::string();
}

/// So that the next element is put in without an allocation, which could fail.
template <class T>
void make_room(std::vector<T>& v) {
    if (v.size() == v.capacity())
        v.reserve(2 * v.size() + 8);
}

/// While another process has the file.
struct patience {
    const std::atomic<bool>& stop;
    std::chrono::steady_clock::time_point end;

    static int wait(void* self, int) {
        const auto& p = *static_cast<const patience*>(self);
        if (p.stop || std::chrono::steady_clock::now() >= p.end)
            return 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return 1;
    }
};

} // namespace sqlite

PUSHER_DECL std::span<const sqlite_database::migration> sqlite_database::migrations() noexcept {
    static constexpr migration steps[] = {
        // `next` is what the last record of a log says, if that is more: an append need not write it.
        // Records of a log whose `id` is in `erased` are still to be deleted. Records lie in the order in
        // which they came, so that a transaction with many logs fills few pages, and `by_log` finds them.
        "CREATE TABLE logs(id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, meta BLOB NOT NULL,"
        " first INTEGER NOT NULL, next INTEGER NOT NULL);"
        "CREATE TABLE erased(log INTEGER PRIMARY KEY);"
        "CREATE TABLE records(id INTEGER PRIMARY KEY, log INTEGER NOT NULL, first INTEGER NOT NULL,"
        " count INTEGER NOT NULL, bytes BLOB NOT NULL);"
        "CREATE INDEX by_log ON records(log, first, count);"
        "CREATE TABLE entries(key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;",
    };
    return steps;
}

PUSHER_DECL sqlite_database::sqlite_database(sqlite_params p, std::span<const migration> steps)
    : params_(std::move(p)),
      steps_(steps) {
    params_.check();
    if (params_.file.starts_with(':') || params_.file.starts_with("file:")) // SQLite's own kinds of names
        params_.file.insert(0, "./");
}

PUSHER_DECL sqlite_database::~sqlite_database() = default;

// --- what SQLite is asked ----------------------------------------------------------------------------------

PUSHER_DECL error_code sqlite_database::error() const noexcept {
    auto* const d = database_.get();
    const auto code = sqlite3_extended_errcode(d);
    int system = sqlite3_system_errno(d);
    // It is not told for what fails in a COMMIT, but the file has it.
    sqlite3_file* wal = nullptr;
    if (system == 0 && (code & 0xff) == SQLITE_IOERR &&
        sqlite3_file_control(d, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK && wal &&
        wal->pMethods)
        wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &system);
    return sqlite_error(code, system);
}

PUSHER_DECL error_code sqlite_database::run(const char* sql) const noexcept {
    return sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK ? error_code()
                                                                                      : error();
}

PUSHER_DECL error_code sqlite_database::number(const char* sql, std::int64_t& into) const noexcept {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql, -1, &raw, nullptr) != SQLITE_OK)
        return error();
    const statement_ptr s(raw);
    if (sqlite3_step(raw) != SQLITE_ROW)
        return error();
    into = sqlite3_column_int64(raw, 0);
    return {};
}

PUSHER_DECL error_code sqlite_database::step(statement s) noexcept {
    error_code ec;
    if (sqlite3_step(use(s)) != SQLITE_DONE)
        ec = error();
    sqlite3_reset(use(s));
    return ec;
}

PUSHER_DECL void sqlite_database::bind(statement s, int at, std::string_view bytes) noexcept {
    sqlite3_bind_blob64(use(s), at, bytes.data(), bytes.size(), SQLITE_STATIC);
}

PUSHER_DECL void sqlite_database::bind(statement s, int at, std::int64_t n) noexcept {
    sqlite3_bind_int64(use(s), at, n);
}

// --- opening -----------------------------------------------------------------------------------------------

PUSHER_DECL error_code sqlite_database::open(store_contents& found, const std::atomic<bool>& stop) {
    stop_ = &stop;
    auto ec = open_file(found);
    if (ec) { // lets go of the file
        found = {};
        for (auto& s : prepared_)
            s.reset();
        database_.reset();
    }
    return ec;
}

PUSHER_DECL error_code sqlite_database::open_file(store_contents& found) {
    if (sqlite3_threadsafe() == 0) // the application may use it on another thread
        return error_code(SQLITE_MISUSE, sqlite_category());
    sqlite3* raw = nullptr;
    const auto opened = sqlite3_open_v2(
        params_.file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
        nullptr);
    database_.reset(raw);
    if (!raw)
        return error_code(SQLITE_NOMEM, sqlite_category());
    sqlite3_extended_result_codes(raw, 1);
    if (opened != SQLITE_OK)
        return error();
    if (sqlite3_db_readonly(raw, "main") == 1)
        return errc::store_read_only;
    sqlite::patience patience{*stop_, std::chrono::steady_clock::now() + params_.busy_timeout};
    sqlite3_busy_handler(raw, &sqlite::patience::wait, &patience);
    sqlite3_wal_hook( // takes the place of the automatic checkpoint
        raw,
        [](void* self, sqlite3*, const char*, int pages) {
            static_cast<sqlite_database*>(self)->wal_pages_ = pages;
            return SQLITE_OK;
        },
        this);
    // The first read takes the lock for good: one file has one broker.
    std::int64_t version = 0;
    auto ec =
        run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;");
    if (!ec)
        ec = identify(version);
    if (!ec)
        ec = use_wal();
    if (!ec)
        ec = run(
            "PRAGMA journal_size_limit = 16777216; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000;");
    if (!ec)
        ec =
            run(params_.synchronous == sqlite_synchronous::full
                    ? "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;"
                    : "PRAGMA synchronous = NORMAL;");
    if (!ec && params_.file_bytes != 0) {
        std::int64_t page_size = 0;
        ec = number("PRAGMA page_size", page_size);
        const auto pages =
            params_.file_bytes / static_cast<std::uint64_t>(std::max<std::int64_t>(page_size, 512));
        if (!ec)
            ec = run(("PRAGMA max_page_count = " + std::to_string(std::min<std::uint64_t>(pages, 0xfffffffe)))
                         .c_str());
    }
    if (!ec)
        ec = migrate(version);
    if (!ec)
        ec = prepare();
    if (!ec)
        ec = load(found);
    sqlite3_busy_handler(raw, nullptr, nullptr);
    return ec;
}

/// \param version of the schema; 0: the file is empty, and ours from now on.
PUSHER_DECL error_code sqlite_database::identify(std::int64_t& version) const noexcept {
    std::int64_t application = 0;
    std::int64_t objects = 0;
    if (auto ec = number("PRAGMA application_id", application))
        return ec;
    if (auto ec = number("PRAGMA user_version", version))
        return ec;
    if (auto ec = number("SELECT count(*) FROM sqlite_master", objects))
        return ec;
    const bool fresh = application == 0 && version == 0 && objects == 0;
    const bool ours =
        application == application_id && version >= 1 && version <= static_cast<std::int64_t>(steps_.size());
    return fresh || ours ? error_code() : make_error_code(errc::store_foreign);
}

PUSHER_DECL error_code sqlite_database::use_wal() const noexcept {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(database_.get(), "PRAGMA journal_mode = WAL", -1, &raw, nullptr) != SQLITE_OK)
        return error();
    const statement_ptr s(raw);
    if (sqlite3_step(raw) != SQLITE_ROW)
        return error();
    const auto* const mode = reinterpret_cast<const char*>(sqlite3_column_text(raw, 0));
    return mode && std::string_view(mode) == "wal" ? error_code() : make_error_code(errc::store_failed);
}

PUSHER_DECL error_code sqlite_database::migrate(std::int64_t version) const noexcept {
    const auto newest = static_cast<std::int64_t>(steps_.size());
    if (version == newest)
        return {};
    auto ec = run("BEGIN IMMEDIATE");
    for (auto at = version; !ec && at != newest; ++at)
        ec = run(steps_[static_cast<std::size_t>(at)]);
    std::array<char, 96> marks{};
    sqlite3_snprintf(
        static_cast<int>(marks.size()), marks.data(),
        "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", application_id,
        static_cast<int>(newest));
    if (!ec)
        ec = run(marks.data());
    if (ec && sqlite3_get_autocommit(database_.get()) == 0)
        (void)run("ROLLBACK");
    return ec;
}

PUSHER_DECL error_code sqlite_database::prepare() {
    static_assert(std::size(sqlite::statements) == statements);
    for (std::size_t i = 0; i != statements; ++i) {
        sqlite3_stmt* raw = nullptr;
        const auto code = sqlite3_prepare_v3(
            database_.get(), sqlite::statements[i], -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
        prepared_[i].reset(raw);
        if (code == SQLITE_ERROR) // a table of ours is not there
            return errc::store_corrupt;
        if (code != SQLITE_OK)
            return error();
    }
    return {};
}

PUSHER_DECL error_code sqlite_database::load(store_contents& found) {
    const auto each = [&](const char* sql, auto row) -> error_code {
        sqlite3_stmt* raw = nullptr;
        if (sqlite3_prepare_v2(database_.get(), sql, -1, &raw, nullptr) != SQLITE_OK)
            return error();
        const statement_ptr s(raw);
        for (;;) {
            const auto code = sqlite3_step(raw);
            if (code == SQLITE_DONE)
                return {};
            if (code != SQLITE_ROW)
                return error();
            if (*stop_)
                return errc::store_failed;
            if (!row(raw))
                return errc::store_corrupt;
        }
    };
    auto ec = each(
        "SELECT id, name, meta, first, next,"
        " (SELECT first + count FROM records WHERE log = logs.id ORDER BY first DESC LIMIT 1),"
        " (SELECT first + count FROM records WHERE log = logs.id ORDER BY first LIMIT 1) FROM logs ORDER BY "
        "id",
        [&](sqlite3_stmt* s) {
            using sqlite::number_at;
            log_state state{.id = sqlite3_column_int64(s, 0)};
            state.first = number_at(s, 3);
            state.next = std::max(number_at(s, 4), number_at(s, 5));
            if (state.first < 1 || state.first > state.next || state.next > sqlite::largest)
                return false;
            next_id_ = std::max(next_id_, state.id + 1);
            if (const auto oldest_ends = number_at(s, 6); oldest_ends != 0 && oldest_ends <= state.first)
                litter_.push_back({state.id, static_cast<std::int64_t>(state.first), false});
            found.logs.push_back({sqlite::bytes_at(s, 1), sqlite::bytes_at(s, 2), state.first, state.next});
            return logs_.emplace(found.logs.back().name, state).second;
        });
    if (!ec)
        ec = each("SELECT log FROM erased", [&](sqlite3_stmt* s) {
            const std::int64_t id = sqlite3_column_int64(s, 0);
            next_id_ = std::max<std::int64_t>(next_id_, id + 1);
            litter_.push_back({id, std::numeric_limits<std::int64_t>::max(), true});
            return true;
        });
    if (!ec)
        ec = each("SELECT key, value FROM entries ORDER BY key", [&](sqlite3_stmt* s) {
            found.values.emplace_back(sqlite::bytes_at(s, 0), sqlite::bytes_at(s, 1));
            return true;
        });
    return ec;
}

// --- committing --------------------------------------------------------------------------------------------

PUSHER_DECL void sqlite_database::commit(std::span<request> batches) {
    if (auto moved = check_in_place()) {
        for (auto& each : batches)
            each.result = moved;
        return;
    }
    const auto ec = transact(batches, true);
    if (!ec)
        return;
    if (ec == errc::store_full) {
        // What is in the write-ahead log takes its place on the disk twice.
        sqlite3_wal_checkpoint_v2(database_.get(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    } else if (batches.size() == 1 && ec != errc::store_corrupt) { // which the sweeping may have met
        batches.front().result = ec;
        return;
    }
    for (auto& each : batches) {
        if (*stop_) // nobody is told any more
            return;
        each.result = transact({&each, 1}, false);
    }
}

/// A file that was moved or deleted can still be written to, in vain.
PUSHER_DECL error_code sqlite_database::check_in_place() const noexcept {
    int moved = 0;
    if (sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
        moved != 0)
        return error_code(SQLITE_READONLY_DBMOVED, sqlite_category());
    return {};
}

PUSHER_DECL error_code sqlite_database::transact(std::span<const request> batches, bool sweeping) {
    ++transaction_;
    litter_before_ = litter_.size();
    try {
        auto ec = step(begin);
        if (!ec)
            ec = change(batches, sweeping);
        return finish(ec);
    } catch (const std::bad_alloc&) {
        return finish(error_code(SQLITE_NOMEM, sqlite_category()));
    }
}

PUSHER_DECL error_code sqlite_database::change(std::span<const request> batches, bool sweeping) {
    std::size_t changes = 0;
    for (const auto& batch : batches) {
        changes += batch.changes.size();
        for (const auto& c : batch.changes)
            if (auto ec = apply(c))
                return ec;
    }
    for (const auto& b : before_)
        if (auto ec = save(*b.log))
            return ec;
    for (auto* const log : added_)
        if (auto ec = save(*log))
            return ec;
    return sweeping ? sweep_up_to(changes + sqlite::records_beside_commit) : error_code();
}

/// Ends a transaction: all is as it was, if there was an error.
PUSHER_DECL error_code sqlite_database::finish(error_code ec) noexcept {
    if (!ec)
        ec = step(end);
    if (!ec) {
        litter_.erase(litter_.begin(), litter_.begin() + static_cast<std::ptrdiff_t>(swept_));
    } else {
        if (sqlite3_get_autocommit(database_.get()) == 0)
            (void)step(undo);
        restore();
    }
    swept_ = 0;
    before_.clear();
    added_.clear();
    gone_.clear();
    return ec;
}

PUSHER_DECL void sqlite_database::restore() noexcept {
    for (auto* const log : added_)
        if (log->second.there)
            logs_.erase(logs_.find(log->first));
    for (const auto& b : before_)
        b.log->second = b.was;
    for (auto& log : gone_)
        if (log.mapped().born != transaction_)
            logs_.insert(std::move(log));
    litter_.resize(litter_before_);
}

PUSHER_DECL void sqlite_database::touch(log_map::value_type& log) {
    if (log.second.touched == transaction_)
        return;
    if (log.second.born != transaction_)
        before_.push_back({&log, log.second});
    log.second.touched = transaction_;
}

PUSHER_DECL error_code sqlite_database::apply(const store_batch::change& c) {
    using kind = store_batch::change::kind;
    switch (c.what) {
    case kind::create_log: {
        sqlite::make_room(added_);
        const auto [log, fresh] = logs_.try_emplace(c.name, log_state{.id = next_id_, .born = transaction_});
        if (!fresh)
            return errc::store_failed;
        added_.push_back(&*log);
        bind(add_log, 1, next_id_++);
        bind(add_log, 2, c.name);
        bind(add_log, 3, c.bytes);
        return step(add_log);
    }
    case kind::append: return apply_append(c);
    case kind::trim: {
        const auto log = logs_.find(c.name);
        if (log == logs_.end() || c.first <= log->second.first || log->second.next == log->second.first)
            return {};
        touch(*log);
        log->second.first = std::min(c.first, log->second.next);
        log->second.to_save = log->second.trimmed = true;
        return {};
    }
    case kind::erase_log: {
        const auto log = logs_.find(c.name);
        if (log == logs_.end())
            return {};
        touch(*log);
        const auto id = log->second.id;
        const bool used = log->second.next != 1;
        sqlite::make_room(gone_);
        log->second.there = false;
        gone_.push_back(logs_.extract(log));
        bind(remove_log, 1, id);
        if (auto ec = step(remove_log); ec || !used)
            return ec;
        litter_.push_back({id, std::numeric_limits<std::int64_t>::max(), true});
        bind(add_erased, 1, id);
        return step(add_erased);
    }
    case kind::put:
        bind(put_entry, 1, c.name);
        bind(put_entry, 2, c.bytes);
        return step(put_entry);
    case kind::erase: bind(remove_entry, 1, c.name); return step(remove_entry);
    }
    return errc::store_failed;
}

PUSHER_DECL error_code sqlite_database::apply_append(const store_batch::change& c) {
    const auto log = logs_.find(c.name);
    if (log == logs_.end() || c.count == 0 || c.first == 0 || c.first > sqlite::largest - c.count)
        return errc::store_failed;
    auto& state = log->second;
    const bool begins = state.next == 1;
    if (!begins && c.first != state.next)
        return errc::store_failed;
    touch(*log);
    if (begins) {
        state.first = c.first;
        state.to_save = true;
    }
    state.next = c.first + c.count;
    bind(add_record, 1, state.id);
    bind(add_record, 2, static_cast<std::int64_t>(c.first));
    bind(add_record, 3, static_cast<std::int64_t>(c.count));
    bind(add_record, 4, c.bytes);
    return step(add_record);
}

PUSHER_DECL error_code sqlite_database::save(log_map::value_type& log) {
    auto& state = log.second;
    if (!state.to_save || !state.there)
        return {};
    if (state.trimmed)
        litter_.push_back({state.id, static_cast<std::int64_t>(state.first), false});
    state.to_save = state.trimmed = false;
    bind(set_log, 1, state.id);
    bind(set_log, 2, static_cast<std::int64_t>(state.first));
    bind(set_log, 3, static_cast<std::int64_t>(state.next));
    return step(set_log);
}

// --- deleting ----------------------------------------------------------------------------------------------

PUSHER_DECL error_code sqlite_database::sweep() {
    auto ec = check_in_place();
    ++transaction_;
    litter_before_ = litter_.size();
    if (!ec)
        ec = step(begin);
    if (!ec)
        ec = sweep_up_to(sqlite::records_per_sweep);
    return finish(ec);
}

PUSHER_DECL error_code sqlite_database::sweep_up_to(std::size_t records) {
    std::size_t bytes = sqlite::bytes_per_sweep;
    while (swept_ != litter_.size() && records != 0 && bytes != 0) {
        bool more = false;
        if (const auto ec = sweep(litter_[swept_], records, bytes, more)) {
            if (ec == errc::store_corrupt) // what is damaged is left there, and in nobody's way any more
                litter_[swept_] = {};
            return ec;
        }
        if (!more)
            ++swept_;
    }
    return {};
}

/// \param records that may be deleted; counted down, as `bytes`. \param more to delete of the same log.
PUSHER_DECL error_code
sqlite_database::sweep(const litter& l, std::size_t& records, std::size_t& bytes, bool& more) {
    auto* const s = use(find_litter);
    bind(find_litter, 1, l.log);
    bind(find_litter, 2, static_cast<std::int64_t>(records));
    std::int64_t last = -1;
    int code = SQLITE_DONE;
    bool kept = false;
    while (!kept && bytes != 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
        const auto first = sqlite3_column_int64(s, 0);
        kept = first > l.before - sqlite3_column_int64(s, 1);
        if (!kept) {
            last = first;
            --records;
            bytes -= std::min(bytes, static_cast<std::size_t>(sqlite::number_at(s, 2)));
        }
    }
    error_code ec;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        ec = error();
    sqlite3_reset(s);
    if (!ec && last >= 0) {
        bind(remove_litter, 1, l.log);
        bind(remove_litter, 2, last);
        ec = step(remove_litter);
    }
    more = !ec && !kept && (bytes == 0 || records == 0);
    if (!ec && !more && l.erased) {
        bind(forget_erased, 1, l.log);
        ec = step(forget_erased);
    }
    return ec;
}

PUSHER_DECL void sqlite_database::tidy() noexcept {
    if (wal_pages_ < sqlite::long_wal_pages)
        return;
    wal_pages_ = 0; // what fails is tried again after the next commit
    sqlite3_wal_checkpoint_v2(database_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
}

// --- reading -----------------------------------------------------------------------------------------------

PUSHER_DECL error_code sqlite_database::read(
    const std::string& log, std::uint64_t from, std::size_t most_bytes, std::vector<store_record>& into) {
    const auto found = logs_.find(log);
    if (found == logs_.end())
        return {};
    from = std::max(from, found->second.first);
    if (from >= found->second.next)
        return {};
    bind(read_records, 1, found->second.id);
    bind(read_records, 2, static_cast<std::int64_t>(from));
    std::size_t bytes = 0;
    int code = SQLITE_DONE;
    error_code ec;
    try {
        while ((code = sqlite3_step(use(read_records))) == SQLITE_ROW) {
            const auto first = sqlite::number_at(use(read_records), 0);
            const auto count = sqlite::number_at(use(read_records), 1);
            if (first + count <= from)
                continue;
            const auto size = static_cast<std::size_t>(sqlite3_column_bytes(use(read_records), 2));
            if (!into.empty() && (bytes > most_bytes || size > most_bytes - bytes))
                break;
            bytes += size;
            into.push_back(
                {first, static_cast<std::uint32_t>(count), sqlite::bytes_at(use(read_records), 2)});
        }
        if (code != SQLITE_ROW && code != SQLITE_DONE)
            ec = error();
    } catch (const std::bad_alloc&) {
        ec = error_code(SQLITE_NOMEM, sqlite_category());
    }
    sqlite3_reset(use(read_records));
    if (ec)
        into.clear();
    return ec;
}

} // namespace pusher::inline v0::detail
