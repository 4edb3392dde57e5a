// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/ext/sqlite_store.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

// A store on an event loop that runs while it is waited for, in a folder of its own.

namespace test {

namespace fs = std::filesystem;
using pusher::errc;
using pusher::error_code;
using pusher::store_batch;

/// A folder for one test, which goes with it.
class temporary_folder {
public:
    temporary_folder() {
        auto name = (fs::temp_directory_path() / "pusher-store-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw std::system_error(errno, std::generic_category(), "mkdtemp");
        path_ = name;
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }

    [[nodiscard]] const fs::path& path() const noexcept { return path_; }
    [[nodiscard]] std::string operator/(std::string_view name) const { return (path_ / name).string(); }

private:
    fs::path path_;
};

/// Calls and waits for what they report.
class sqlite_bench {
public:
    explicit sqlite_bench(pusher::sqlite_params p) : params_(std::move(p)) {}

    error_code open() {
        store_.emplace(context_.get_executor(), params_);
        std::optional<error_code> got;
        store_->open([&](error_code ec, pusher::store_contents c) {
            got = ec;
            found = std::move(c);
        });
        return wait(got);
    }
    void close() { store_.reset(); }

    error_code commit(store_batch batch) {
        std::optional<error_code> got;
        store_->commit(std::move(batch), [&](error_code ec) { got = ec; });
        return wait(got);
    }
    template <class F>
        requires std::invocable<F&, store_batch&>
    error_code commit(F make) {
        store_batch batch;
        make(batch);
        return commit(std::move(batch));
    }
    error_code put(std::string_view key, std::string_view value) {
        return commit([&](store_batch& b) { b.put(key, value); });
    }

    /// What was read last is in `records`.
    error_code read(std::string log, std::uint64_t from = 1, std::size_t most = std::size_t{1} << 30) {
        std::optional<error_code> got;
        store_->read(std::move(log), from, most, [&](error_code ec, std::vector<pusher::store_record> r) {
            got = ec;
            records = std::move(r);
        });
        return wait(got);
    }

    pusher::sqlite_store& store() { return *store_; }
    boost::asio::io_context& context() { return context_; }

    /// Runs the event loop until `got` is set.
    template <class T>
    T wait(std::optional<T>& got) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(50);
        while (!got) {
            if (std::chrono::steady_clock::now() > end)
                throw std::runtime_error("a store does not answer");
            context_.restart();
            context_.run_one_until(end);
        }
        return *got;
    }

    pusher::store_contents found;
    std::vector<pusher::store_record> records;

private:
    pusher::sqlite_params params_;
    boost::asio::io_context context_;
    std::optional<pusher::sqlite_store> store_;
};

} // namespace test
