// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>

// A file system for SQLite in which one operation fails, or all from then on.

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
            return self.fails(SQLITE_IOERR_DELETE) ? self.code()
                                                   : self.real_->xDelete(self.real_, name, sync);
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

private:
    struct file {
        sqlite3_file base;
        faulty_vfs* vfs;
        sqlite3_file* real; ///< in the bytes that follow
    };

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
                return of(f).real->pMethods->xWrite(of(f).real, from, n, at);
            };
            m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
                auto& v = *of(f).vfs;
                return v.fails(SQLITE_IOERR_TRUNCATE) ? v.code()
                                                      : of(f).real->pMethods->xTruncate(of(f).real, size);
            };
            m.xSync = [](sqlite3_file* f, int) { // nobody pulls the plug, so nothing is flushed
                auto& v = *of(f).vfs;
                return v.fails(SQLITE_IOERR_FSYNC) ? v.code() : SQLITE_OK;
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
};

} // namespace test
