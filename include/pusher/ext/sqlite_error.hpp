// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <boost/system/error_category.hpp>

#include <sqlite3.h>

#include <cerrno>
#include <string>

namespace pusher::inline v0 {

namespace detail {

class sqlite_error_category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "pusher.sqlite"; }
    std::string message(int value) const override {
        return std::string("SQLite: ") + sqlite3_errstr(value) + " (" + std::to_string(value) + ")";
    }
    boost::system::error_condition default_error_condition(int) const noexcept override {
        return make_error_condition(condition::store_unavailable);
    }
};

inline constexpr sqlite_error_category sqlite_error_category_instance{};

} // namespace detail

/// The category of SQLite's own extended result codes, as far as `errc` has none for them. They all compare
/// equal to `condition::store_unavailable`.
inline const boost::system::error_category& sqlite_category() noexcept {
    return detail::sqlite_error_category_instance;
}

namespace detail {

/// \param code an extended result code. \param system `errno` behind it, or 0.
inline error_code sqlite_error(int code, int system) noexcept {
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return {};
    case SQLITE_FULL: return errc::store_full;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return errc::store_locked;
    case SQLITE_CORRUPT: return errc::store_corrupt;
    case SQLITE_NOTADB: return errc::store_foreign;
    case SQLITE_READONLY:
    case SQLITE_PERM: return errc::store_read_only;
    case SQLITE_IOERR:
        if (system == ENOSPC || system == EDQUOT || system == EFBIG)
            return errc::store_full;
        if (system == EROFS)
            return errc::store_read_only;
        break;
    case SQLITE_CANTOPEN:
        if (system == EACCES || system == EPERM || system == EROFS)
            return errc::store_read_only;
        if (system == ENOSPC || system == EDQUOT)
            return errc::store_full;
        break;
    default: break;
    }
    return {code, sqlite_category()};
}

} // namespace detail

} // namespace pusher::inline v0
