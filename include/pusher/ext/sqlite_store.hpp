// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/ext/sqlite_error.hpp>
#include <pusher/ext/sqlite_params.hpp>
#include <pusher/store/store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace pusher::inline v0 {

namespace detail {
class sqlite_worker;
} // namespace detail

/// A store in a file of SQLite: one file, one broker.
///
/// It has a thread of its own, the one exception to the rule that the library owns none: SQLite blocks, and a
/// broker must not. The thread begins with `open` and ends with `close`, which waits until what the disk is
/// just doing is done. What waits for the disk meanwhile is committed together, with one flush.
///
/// Handlers are called on the executor that it was made with, never from inside the function that they were
/// given to, and those of commits in the order of the calls. While any of them is outstanding the executor
/// has work. The executor's context must outlive the store, and be one to which other threads may post.
///
/// Not thread safe: its functions are called on that executor, or while nothing runs there.
///
/// Errors: those of `store`; what else SQLite reports has `sqlite_category`. After a failed `open` everything
/// fails with its error. After any other failure the next batch is tried, so that the store goes on when the
/// cause has gone. See docs/stores.md for what each failure does.
class sqlite_store final : public store {
public:
    using params = sqlite_params;

    /// Touches nothing yet. \throws std::invalid_argument if a parameter is out of range.
    sqlite_store(const boost::asio::any_io_executor& executor, const sqlite_params& p);

    /// The same as `close`.
    ~sqlite_store() override;

    void open(open_handler done) override;
    void commit(store_batch batch, commit_handler done) override;
    void read(std::string log, std::uint64_t from, std::size_t most_bytes, read_handler done) override;
    void close() noexcept override;

private:
    std::shared_ptr<detail::sqlite_worker> worker_; ///< null when closed
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/ext/impl/sqlite_store.hpp>
#endif
