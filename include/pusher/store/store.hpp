// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// Items of a log that were appended together, as one piece of bytes that only the broker understands.
struct store_record {
    std::uint64_t first = 0; ///< number of its first item; from 1
    std::uint32_t count = 0; ///< items; at least 1
    std::string bytes;
};

/// A log, as it is found when a store is opened.
struct store_log {
    std::string name;
    std::string meta;        ///< what it was created with
    std::uint64_t first = 1; ///< number of the oldest item that was not trimmed; `next` if there is none
    std::uint64_t next = 1;  ///< number that the next item will have; 1 if nothing was appended yet
};

/// What a store holds, but for the records.
struct store_contents {
    std::vector<store_log> logs;                             ///< in any order
    std::vector<std::pair<std::string, std::string>> values; ///< by key, in the order of the keys' bytes
};

/// Changes that a store makes in their order, all or none. Each sees those before it.
class store_batch {
public:
    struct change {
        enum class kind : std::uint8_t { create_log, append, trim, erase_log, put, erase };

        kind what;
        std::string name;        ///< of a log, or a key; any bytes
        std::string bytes;       ///< of the record, the log's meta, or the value; any bytes
        std::uint64_t first = 0; ///< of the record; with `trim`: of the oldest item that stays
        std::uint32_t count = 0; ///< of the record's items
    };

    /// A log must be created before it is appended to, once.
    void create_log(std::string_view log, std::string_view meta) {
        add({change::kind::create_log, std::string(log), std::string(meta)});
    }
    /// Items follow one another: `r.first` is the log's `next`. The first record of a log may begin anywhere;
    /// that of one which was trimmed of everything may not.
    void append(std::string_view log, store_record r) {
        add({change::kind::append, std::string(log), std::move(r.bytes), r.first, r.count});
    }
    /// Items before `first` are of no use any more. A record goes when its last item does; until then it is
    /// read as a whole. All go if `first` is beyond `next`, which stays. Nothing happens if there is none of
    /// them, or no such log.
    void trim(std::string_view log, std::uint64_t first) {
        add({change::kind::trim, std::string(log), {}, first});
    }
    /// The log goes, with its records and its meta, and can be created again. Nothing happens if there is
    /// none.
    void erase_log(std::string_view log) { add({change::kind::erase_log, std::string(log), {}}); }
    void put(std::string_view key, std::string_view value) {
        add({change::kind::put, std::string(key), std::string(value)});
    }
    /// Nothing happens if there is no such key.
    void erase(std::string_view key) { add({change::kind::erase, std::string(key), {}}); }

    [[nodiscard]] std::span<const change> changes() const noexcept { return changes_; }
    [[nodiscard]] bool empty() const noexcept { return changes_.empty(); }
    /// About what it takes in memory.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    void add(change c) {
        bytes_ += sizeof(change) + c.name.size() + c.bytes.size();
        changes_.push_back(std::move(c));
    }

    std::vector<change> changes_;
    std::size_t bytes_ = 0;
};

/// Where a broker keeps what is to outlive the process: logs of records, and values by key. One broker has a
/// store for itself.
///
/// To write one, override these functions and run `testing/store_suite.hpp` on it. Handlers are called on the
/// broker's executor, also from inside the function that was given them, and never after `close` has
/// returned. Functions are called on the broker's executor and must not block it.
///
/// Errors: `store_full`, `store_locked`, `store_corrupt`, `store_foreign`, `store_read_only`,
/// `store_failed`, or a code of the store's own that compares equal to `condition::store_unavailable`.
class store {
public:
    using open_handler = std::function<void(error_code, store_contents)>;
    using commit_handler = std::function<void(error_code)>;
    using read_handler = std::function<void(error_code, std::vector<store_record>)>;

    store() = default;
    store(const store&) = delete;
    store& operator=(const store&) = delete;
    virtual ~store() = default;

    /// Makes the store if there is none, and tells what it holds. Called once, first.
    virtual void open(open_handler done) = 0;

    /// Makes the changes of a batch. Success: they survive the process, and what else the store promises to
    /// survive. An error: none of them was made, and the next batch may be tried. Batches are committed in
    /// the order of the calls. One with a change that cannot be made (a log that is created twice, a record
    /// for no log, or that does not begin at `next`, or without items) fails as a whole: `store_failed`.
    virtual void commit(store_batch batch, commit_handler done) = 0;

    /// Reads the records of a log in order, from the one that holds the item `from`, or follows it.
    ///
    /// It sees all batches whose handler was called before it was; of those that are still being committed it
    /// may see the first few. Items that were trimmed are not read, but in a record that holds others too.
    /// \param most_bytes of all records together; the first is read whatever its size. Without a record
    /// there, or such a log, it succeeds with nothing.
    virtual void read(std::string log, std::uint64_t from, std::size_t most_bytes, read_handler done) = 0;

    /// What was not committed yet is not, or is: its handlers are not called any more. Called last; not from
    /// inside a handler.
    virtual void close() noexcept = 0;
};

} // namespace pusher::inline v0
