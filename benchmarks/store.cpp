// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// How many records a second a sqlite_store commits for a number of committers, each of which commits its next
// record when its last is safe; beside what SQLite does with the same records in the same tables in a plain
// loop, one transaction for all of them, and beside a file to which the same bytes are appended and flushed.
// And how many messages a second a broker publishes through it, each to a history of its own, by as many
// publishers that each wait for their last. All take turns, since disks drift.

#include <pusher/broker.hpp>
#include <pusher/ext/sqlite_store.hpp>

#include "support/options.hpp"
#include "support/system.hpp"

#include <boost/asio/io_context.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace {

using namespace bench;
namespace fs = std::filesystem;

struct plan {
    std::uint64_t bytes;
    std::uint64_t nanoseconds; ///< of one measurement
    std::string folder;
};

/// Who commits what at a time.
struct load {
    std::uint64_t committers;
    std::uint64_t records; ///< of each batch
};

void good(pusher::error_code ec) {
    if (ec)
        throw std::runtime_error("the store: " + ec.message());
}

void good(int code, sqlite3* database) {
    if (code != SQLITE_OK && code != SQLITE_DONE)
        throw std::runtime_error(std::string("SQLite: ") + sqlite3_errmsg(database));
}

double per_second(std::uint64_t records, std::uint64_t began) {
    return static_cast<double>(records) * 1e9 / static_cast<double>(steady_ns() - began);
}

/// Each has a log of its own.
class committers {
public:
    committers(const plan& p, const load& l, const std::string& file)
        : plan_(p),
          load_(l),
          store_(context_.get_executor(), {.file = file}),
          next_(l.committers, 1) {}

    double run() {
        store_.open([&](pusher::error_code ec, const pusher::store_contents&) { good(ec); });
        context_.run();
        pusher::store_batch logs;
        for (std::uint64_t i = 0; i != load_.committers; ++i)
            logs.create_log(name(i), "");
        store_.commit(std::move(logs), [](pusher::error_code ec) { good(ec); });
        context_.restart();
        context_.run();
        const auto began = steady_ns();
        end_ = began + plan_.nanoseconds;
        for (std::uint64_t i = 0; i != load_.committers; ++i)
            commit(i);
        context_.restart();
        context_.run();
        return per_second(done_, began);
    }

private:
    static std::string name(std::uint64_t i) { return "topic/" + std::to_string(i); }

    void commit(std::uint64_t i) {
        pusher::store_batch b;
        for (std::uint64_t n = 0; n != load_.records; ++n)
            b.append(name(i), {next_[i]++, 1, std::string(plan_.bytes, 'x')});
        store_.commit(std::move(b), [this, i](pusher::error_code ec) {
            good(ec);
            done_ += load_.records;
            if (steady_ns() < end_)
                commit(i);
        });
    }

    const plan& plan_;
    const load& load_;
    boost::asio::io_context context_{1};
    pusher::sqlite_store store_;
    std::vector<std::uint64_t> next_; ///< of each log
    std::uint64_t end_ = 0;
    std::uint64_t done_ = 0;
};

/// The store makes the tables, and the loop inserts into them.
double plain_sqlite(const plan& p, const load& l, const std::string& file) {
    {
        boost::asio::io_context context;
        pusher::sqlite_store store(context.get_executor(), {.file = file});
        store.open([](pusher::error_code ec, const pusher::store_contents&) { good(ec); });
        context.run();
    }
    struct closer {
        void operator()(sqlite3* d) const noexcept { sqlite3_close(d); }
        void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
    };
    sqlite3* raw = nullptr;
    check(sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr), "open");
    const std::unique_ptr<sqlite3, closer> database(raw);
    const auto run = [&](const char* sql) { good(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr), raw); };
    run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "PRAGMA cache_size = -8000");
    const auto prepare = [&](const char* sql) {
        sqlite3_stmt* s = nullptr;
        good(sqlite3_prepare_v2(raw, sql, -1, &s, nullptr), raw);
        return std::unique_ptr<sqlite3_stmt, closer>(s);
    };
    const auto step = [&](sqlite3_stmt* s) {
        good(sqlite3_step(s), raw);
        sqlite3_reset(s);
    };
    const auto begin = prepare("BEGIN IMMEDIATE");
    const auto insert = prepare("INSERT INTO records(log, first, count, bytes) VALUES(?1, ?2, 1, ?3)");
    const auto commit = prepare("COMMIT");
    const std::string bytes(p.bytes, 'x');
    std::vector<std::int64_t> next(l.committers, 1);
    std::uint64_t done = 0;
    const auto began = steady_ns();
    while (steady_ns() < began + p.nanoseconds) {
        step(begin.get());
        for (std::uint64_t i = 0; i != l.committers; ++i)
            for (std::uint64_t n = 0; n != l.records; ++n) {
                sqlite3_bind_int64(insert.get(), 1, static_cast<std::int64_t>(i) + 1);
                sqlite3_bind_int64(insert.get(), 2, next[i]++);
                sqlite3_bind_blob64(insert.get(), 3, bytes.data(), bytes.size(), SQLITE_STATIC);
                step(insert.get());
            }
        step(commit.get());
        done += l.committers * l.records;
    }
    return per_second(done, began);
}

double plain_file(const plan& p, const load& l, const std::string& file) {
    const unique_fd fd(check(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), "open"));
    const std::string bytes(p.bytes * l.committers * l.records, 'x');
    std::uint64_t done = 0;
    const auto began = steady_ns();
    while (steady_ns() < began + p.nanoseconds) {
        if (::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
            throw std::runtime_error("a file does not take what is written");
        check(::fdatasync(fd.get()), "fdatasync");
        done += l.committers * l.records;
    }
    return per_second(done, began);
}

double store(const plan& p, const load& l, const std::string& file) { return committers(p, l, file).run(); }

/// Publishers in the broker's process. As many again wait for theirs where a committer has several records.
class publishers {
public:
    publishers(const plan& p, const load& l, const std::string& file)
        : plan_(p),
          payload_(p.bytes, 'x'),
          broker_(
              context_, {.history = {.messages = 10'000'000, .bytes = std::size_t{1} << 30},
                         .memory_bytes = std::size_t{4} << 30}) {
        for (std::uint64_t i = 0; i != l.committers * l.records; ++i)
            topics_.push_back("topic/" + std::to_string(i / l.records));
        broker_.async_open(
            std::make_unique<pusher::sqlite_store>(
                context_.get_executor(), pusher::sqlite_params{.file = file}),
            [this](pusher::error_code ec) {
                good(ec);
                began_ = steady_ns();
                for (const auto& topic : topics_)
                    publish(topic);
            });
    }

    double run() {
        context_.run();
        return per_second(done_, began_);
    }

private:
    void publish(const std::string& topic) {
        broker_.async_publish(
            topic, payload_, {}, [this, &topic](pusher::error_code ec, const pusher::receipt&) {
                good(ec);
                ++done_;
                if (steady_ns() < began_ + plan_.nanoseconds)
                    publish(topic);
                else if (++ended_ == topics_.size())
                    broker_.cancel();
            });
    }

    const plan& plan_;
    boost::asio::io_context context_{1};
    std::string payload_;
    pusher::broker<pusher::transport::tcp> broker_;
    std::vector<std::string> topics_; ///< of each publisher
    std::uint64_t began_ = 0;
    std::uint64_t done_ = 0;
    std::size_t ended_ = 0;
};

double broker(const plan& p, const load& l, const std::string& file) { return publishers(p, l, file).run(); }

/// A folder for one measurement.
class temporary_folder {
public:
    explicit temporary_folder(const std::string& in) : path_(in + "/pusher-store-XXXXXX") {
        if (::mkdtemp(path_.data()) == nullptr)
            throw std::system_error(errno, std::generic_category(), path_);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string file() const { return path_ + "/f"; }

private:
    std::string path_;
};

struct spread {
    double middle, least, most;

    explicit spread(std::vector<double> all) {
        std::sort(all.begin(), all.end());
        middle = all[all.size() / 2];
        least = all.front();
        most = all.back();
    }
};

constexpr const char* usage = "store [--bytes B] [--millis MS] [--repeat R] [--folder F]\n"
                              "  --bytes    of each record (200)\n"
                              "  --millis   of each measurement (1000)\n"
                              "  --repeat   how often each is made; they take turns (5)\n"
                              "  --folder   on the disk to measure (that for temporary files)\n";

using measure = double (*)(const plan&, const load&, const std::string&);
constexpr std::array<measure, 4> measures = {&plain_file, &plain_sqlite, &store, &broker};
constexpr std::size_t limit = 1; ///< what the others are compared with

void run(const plan& p, std::uint64_t repeat) {
    std::printf(
        "**Records of %llu B committed, and messages published, per second, in %s; in bold the ratio to the "
        "loop**\n\n"
        "| committers × records of a batch | append, fdatasync | a loop of SQLite | sqlite_store | "
        "async_publish with it |\n|---|---|---|---|---|\n",
        static_cast<unsigned long long>(p.bytes), p.folder.c_str());
    for (const load l : {load{1, 1}, load{16, 1}, load{256, 1}, load{1, 16}, load{1, 256}}) {
        std::array<std::vector<double>, measures.size()> rates;
        for (std::uint64_t r = 0; r != repeat; ++r)
            for (std::size_t i = 0; i != measures.size(); ++i) {
                const auto which = (i + r) % measures.size();
                const temporary_folder folder(p.folder);
                rates[which].push_back(measures[which](p, l, folder.file()));
            }
        std::printf(
            "| %llu × %llu |", static_cast<unsigned long long>(l.committers),
            static_cast<unsigned long long>(l.records));
        for (std::size_t i = 0; i != measures.size(); ++i) {
            const spread s(rates[i]);
            std::printf(" %.0f (%.0f–%.0f)", s.middle, s.least, s.most);
            if (i > limit) {
                std::vector<double> ratios;
                for (std::uint64_t r = 0; r != repeat; ++r)
                    ratios.push_back(rates[i][r] / rates[limit][r]);
                const spread ratio(std::move(ratios));
                std::printf(" · **%.2f** (%.2f–%.2f)", ratio.middle, ratio.least, ratio.most);
            }
            std::printf(" |");
        }
        std::puts("");
        std::fflush(stdout);
    }
    std::puts("");
}

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    plan p{};
    p.bytes = given.number("--bytes", 200);
    p.nanoseconds = std::max<std::uint64_t>(1, given.number("--millis", 1000)) * 1'000'000;
    const auto repeat = std::max<std::uint64_t>(1, given.number("--repeat", 5));
    p.folder = given.text("--folder", fs::temp_directory_path().string());
    given.done();
    try {
        run(p, repeat);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "store: %s\n", e.what());
        return 1;
    }
}
