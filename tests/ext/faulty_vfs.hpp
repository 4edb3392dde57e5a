// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// A file system for SQLite in which one operation fails, or all from then on, and of which one can tell what
// a power failure would leave.

namespace test {

/// SQLite's own file system, but for that: the one for all that is opened while this is there.
class faulty_vfs {
public:
    /// What fails.
    enum class what : std::uint8_t {
        device, ///< each in its own way
        space,  ///< writing, as if the disk were full
    };

    faulty_vfs() : real_(sqlite3_vfs_find(nullptr)) {
        vfs_ = *real_;
        vfs_.iVersion = 1;
        vfs_.zName = "faulty";
        vfs_.pAppData = this;
        vfs_.szOsFile = static_cast<int>(sizeof(file)) + real_->szOsFile;
        vfs_.xOpen = &open;
        vfs_.xDelete = [](sqlite3_vfs* v, const char* name, int sync) {
            auto& self = of(v);
            if (self.fails(SQLITE_IOERR_DELETE))
                return self.code();
            self.disk_.erase(name);
            return self.real_->xDelete(self.real_, name, sync);
        };
        vfs_.xAccess = [](sqlite3_vfs* v, const char* name, int flags, int* result) {
            auto& self = of(v);
            return self.fails(SQLITE_IOERR_ACCESS) ? self.code()
                                                   : self.real_->xAccess(self.real_, name, flags, result);
        };
        if (sqlite3_vfs_register(&vfs_, 1) != SQLITE_OK)
            throw std::runtime_error("sqlite3_vfs_register");
    }
    faulty_vfs(const faulty_vfs&) = delete;
    faulty_vfs& operator=(const faulty_vfs&) = delete;
    ~faulty_vfs() {
        sqlite3_vfs_unregister(&vfs_);
        sqlite3_vfs_register(real_, 1);
    }

    /// The operation after `n` others fails; with `for_good` all from that one on.
    void fail_after(std::uint64_t n, what w, bool for_good) {
        what_ = w;
        for_good_ = for_good;
        failed_ = false;
        left_ = n;
        armed_ = true;
    }
    void heal() { armed_ = false; }

    [[nodiscard]] bool failed() const noexcept { return failed_; }

    /// Keeps account of what was flushed, and calls `f` before each operation that changes a file.
    void watch(std::function<void()> f) {
        disk_.clear();
        watcher_ = std::move(f);
    }

    /// Files by name, as a power failure just now might leave them: what was not flushed is there or not,
    /// each write for itself, or in part.
    template <class Random>
    [[nodiscard]] std::map<std::string, std::string> after_power_failure(Random& random) const {
        std::map<std::string, std::string> image;
        for (const auto& [name, f] : disk_) {
            auto bytes = f.flushed;
            for (const auto& c : f.unflushed)
                if (const auto luck = random() % 4; luck != 0)
                    c.make(bytes, luck == 1 ? random() % (c.bytes.size() / 512 + 1) * 512 : c.bytes.size());
            image[name] = std::move(bytes);
        }
        return image;
    }

private:
    struct file {
        sqlite3_file base;
        faulty_vfs* vfs;
        const char* name;   ///< null: of a temporary file
        sqlite3_file* real; ///< in the bytes that follow
    };

    /// A write, or a truncation if there are no bytes.
    struct change {
        std::size_t at;
        std::string bytes;

        void make(std::string& to, std::size_t part) const {
            if (bytes.empty()) {
                to.resize(at);
                return;
            }
            to.resize(std::max(to.size(), at + part));
            to.replace(at, part, bytes, 0, part);
        }
    };
    struct disk_file {
        std::string flushed;
        std::vector<change> unflushed;
    };

    void changes(const file& f, std::size_t at, std::string bytes) {
        if (!watcher_ || !f.name)
            return;
        watcher_();
        disk_[f.name].unflushed.push_back({at, std::move(bytes)});
    }
    void flushes(const file& f) {
        if (!watcher_ || !f.name)
            return;
        watcher_();
        auto& d = disk_[f.name];
        for (const auto& c : std::exchange(d.unflushed, {}))
            c.make(d.flushed, c.bytes.size());
    }

    static faulty_vfs& of(sqlite3_vfs* v) { return *static_cast<faulty_vfs*>(v->pAppData); }
    static file& of(sqlite3_file* f) { return *reinterpret_cast<file*>(f); }

    /// Counts an operation. \param writes whether it takes room
    bool fails(int code, bool writes = false) {
        if (!armed_ || (what_ == what::space && !writes))
            return false;
        if (failed_ ? !for_good_ : left_ != 0) {
            if (!failed_)
                --left_;
            return false;
        }
        failed_ = true;
        code_ = what_ == what::space ? SQLITE_FULL : code;
        return true;
    }
    [[nodiscard]] int code() const noexcept { return code_; }

    static int open(sqlite3_vfs* v, const char* name, sqlite3_file* f, int flags, int* out) {
        auto& self = of(v);
        auto& mine = *new (f) file{};
        if (self.fails(SQLITE_CANTOPEN))
            return self.code();
        mine.vfs = &self;
        mine.name = name;
        mine.real = reinterpret_cast<sqlite3_file*>(&mine + 1);
        const auto code = self.real_->xOpen(self.real_, name, mine.real, flags, out);
        if (mine.real->pMethods)
            mine.base.pMethods = methods();
        return code;
    }

    static const sqlite3_io_methods* methods() {
        static const sqlite3_io_methods all = [] {
            sqlite3_io_methods m{};
            m.iVersion = 1; // no shared memory: the store has the file for itself
            m.xClose = [](sqlite3_file* f) { return of(f).real->pMethods->xClose(of(f).real); };
            m.xRead = [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
                auto& v = *of(f).vfs;
                return v.fails(SQLITE_IOERR_READ) ? v.code()
                                                  : of(f).real->pMethods->xRead(of(f).real, to, n, at);
            };
            m.xWrite = [](sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
                auto& v = *of(f).vfs;
                if (v.fails(SQLITE_IOERR_WRITE, true)) {
                    // As disks do, it has written a part.
                    of(f).real->pMethods->xWrite(of(f).real, from, n / 2, at);
                    return v.code();
                }
                v.changes(
                    of(f), static_cast<std::size_t>(at),
                    {static_cast<const char*>(from), static_cast<std::size_t>(n)});
                return of(f).real->pMethods->xWrite(of(f).real, from, n, at);
            };
            m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
                auto& v = *of(f).vfs;
                if (v.fails(SQLITE_IOERR_TRUNCATE))
                    return v.code();
                v.changes(of(f), static_cast<std::size_t>(size), {});
                return of(f).real->pMethods->xTruncate(of(f).real, size);
            };
            m.xSync = [](sqlite3_file* f, int) { // nobody pulls the plug, so nothing is flushed
                auto& v = *of(f).vfs;
                if (v.fails(SQLITE_IOERR_FSYNC))
                    return v.code();
                v.flushes(of(f));
                return SQLITE_OK;
            };
            m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
                auto& v = *of(f).vfs;
                return v.fails(SQLITE_IOERR_FSTAT) ? v.code()
                                                   : of(f).real->pMethods->xFileSize(of(f).real, size);
            };
            m.xLock = [](sqlite3_file* f, int level) {
                auto& v = *of(f).vfs;
                return v.fails(SQLITE_IOERR_LOCK) ? v.code() : of(f).real->pMethods->xLock(of(f).real, level);
            };
            m.xUnlock = [](sqlite3_file* f, int level) {
                return of(f).real->pMethods->xUnlock(of(f).real, level);
            };
            m.xCheckReservedLock = [](sqlite3_file* f, int* result) {
                return of(f).real->pMethods->xCheckReservedLock(of(f).real, result);
            };
            m.xFileControl = [](sqlite3_file* f, int op, void* arg) {
                return of(f).real->pMethods->xFileControl(of(f).real, op, arg);
            };
            m.xSectorSize = [](sqlite3_file* f) { return of(f).real->pMethods->xSectorSize(of(f).real); };
            m.xDeviceCharacteristics = [](sqlite3_file* f) {
                return of(f).real->pMethods->xDeviceCharacteristics(of(f).real);
            };
            return m;
        }();
        return &all;
    }

    sqlite3_vfs* real_;
    sqlite3_vfs vfs_{};

    // Changed by the test while the store's thread is idle or not there.
    what what_ = what::device;
    bool for_good_ = false;
    std::atomic<bool> armed_ = false;
    std::atomic<bool> failed_ = false;
    std::atomic<std::uint64_t> left_ = 0;
    int code_ = 0;

    std::function<void()> watcher_;
    std::map<std::string, disk_file> disk_;
};

} // namespace test
