// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace pusher::inline v0 {

/// What a commit that has succeeded survives.
enum class sqlite_synchronous : std::uint8_t {
    full,   ///< a power failure, as far as the disk is honest: it is told to flush at each commit
    normal, ///< the end of the process; a power failure may take the last commits, and damages nothing
};

/// Where a `sqlite_store` is, and what it may take.
struct sqlite_params {
    /// Its path, in UTF-8. SQLite has `file-wal` beside it while it is open, which belongs to it. The folder
    /// must be there; what is not on a local disk is not safe.
    std::string file;

    sqlite_synchronous synchronous = sqlite_synchronous::full;

    /// How long `open` waits for another process to let go of the file. 0 to 60 s.
    std::chrono::milliseconds busy_timeout{5000};

    /// Bytes that the file may grow to; then commits fail with `store_full`. 1 MiB at least; 0: as the disk
    /// allows. `file-wal` comes on top of it.
    std::uint64_t file_bytes = 0;

    /// Bytes of batches that may wait for the disk; those past it fail with `store_full`. 1 MiB at least.
    std::size_t queue_bytes = 256 * 1024 * 1024;

    /// \throws std::invalid_argument
    void check() const {
        const auto require = [](bool good, const char* what) {
            if (!good)
                throw std::invalid_argument(what);
        };
        require(!file.empty(), "sqlite_params: file is empty");
        require(file.find('\0') == file.npos, "sqlite_params: file has a NUL in it");
        require(
            synchronous == sqlite_synchronous::full || synchronous == sqlite_synchronous::normal,
            "sqlite_params: synchronous is not one of sqlite_synchronous");
        require(
            busy_timeout >= std::chrono::milliseconds(0) && busy_timeout <= std::chrono::seconds(60),
            "sqlite_params: busy_timeout is not within 0 to 60 s");
        require(
            file_bytes == 0 || file_bytes >= 1024 * 1024,
            "sqlite_params: file_bytes is neither 0 nor 1 MiB or more");
        require(queue_bytes >= 1024 * 1024, "sqlite_params: queue_bytes is less than 1 MiB");
    }
};

} // namespace pusher::inline v0
