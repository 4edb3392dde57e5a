// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/ext/sqlite_database.hpp>

#include "catch.hpp"
#include "faulty_vfs.hpp"
#include "sqlite_support.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

// What a SQLite store does on bad days.

namespace {

using namespace test;
using pusher::condition;
using namespace std::chrono_literals;

/// A connection of another application.
class other_connection {
public:
    explicit other_connection(const std::string& file) {
        sqlite3* raw = nullptr;
        REQUIRE(sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
        database_.reset(raw);
    }
    void run(const char* sql) {
        INFO(sql);
        CHECK(sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    }
    std::int64_t number(const char* sql) {
        sqlite3_stmt* s = nullptr;
        REQUIRE(sqlite3_prepare_v2(database_.get(), sql, -1, &s, nullptr) == SQLITE_OK);
        const auto code = sqlite3_step(s);
        const auto n = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        REQUIRE(code == SQLITE_ROW);
        return n;
    }

private:
    struct closer {
        void operator()(sqlite3* d) const { sqlite3_close(d); }
    };
    std::unique_ptr<sqlite3, closer> database_;
};

std::string contents_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write(const std::string& file, std::string_view text) {
    std::ofstream out(file, std::ios::binary);
    out << text;
    REQUIRE(out.good());
}

/// Overwrites bytes of a file in their place.
void damage(const std::string& file, std::size_t from, std::size_t size) {
    std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(from));
    const std::string noise(size, '\xa5');
    out.write(noise.data(), static_cast<std::streamsize>(noise.size()));
    REQUIRE(out.good());
}

error_code append(sqlite_bench& s, std::string_view log, std::uint64_t first, std::string bytes) {
    return s.commit([&](store_batch& b) { b.append(log, {first, 1, std::move(bytes)}); });
}

/// Appends until that fails.
error_code fill(sqlite_bench& s, std::uint64_t& next, std::size_t bytes) {
    for (int i = 0; i != 10'000; ++i) {
        if (auto ec = append(s, "a", next, std::string(bytes, 'x')))
            return ec;
        ++next;
    }
    return {};
}

/// The numbers that a log's records begin with are these, one after another.
void check_log(sqlite_bench& s, std::uint64_t first, std::uint64_t next) {
    CHECK(!s.read("a"));
    REQUIRE(s.records.size() == next - first);
    for (std::size_t i = 0; i != s.records.size(); ++i)
        CHECK(s.records[i].first == first + i);
}

/// Somebody who is not root, for whom permissions count.
class as_nobody {
public:
    as_nobody() : was_(::geteuid()) {
        if (was_ == 0)
            REQUIRE(::seteuid(65534) == 0);
    }
    as_nobody(const as_nobody&) = delete;
    as_nobody& operator=(const as_nobody&) = delete;
    ~as_nobody() {
        if (was_ == 0 && ::seteuid(was_) != 0)
            std::abort();
    }

private:
    ::uid_t was_;
};

} // namespace

// --- it cannot be opened -----------------------------------------------------------------------------------

TEST_CASE("sqlite store: parameters out of range") {
    boost::asio::io_context context;
    const auto refused = [&](pusher::sqlite_params p) {
        CHECK_THROWS_AS(pusher::sqlite_store(context.get_executor(), p), std::invalid_argument);
    };
    refused({});
    refused({.file = std::string("a\0b", 3)});
    refused({.file = "a", .synchronous = static_cast<pusher::sqlite_synchronous>(7)});
    refused({.file = "a", .busy_timeout = -1ms});
    refused({.file = "a", .busy_timeout = 61s});
    refused({.file = "a", .file_bytes = 1000});
    refused({.file = "a", .queue_bytes = 1000});
    CHECK(!fs::exists("a"));
}

TEST_CASE("sqlite store: a file of others is refused, and left as it is") {
    const temporary_folder folder;
    const auto file = folder / "f";
    SECTION("text") { write(file, std::string(5000, 'T')); }
    SECTION("a little text") { write(file, "text"); }
    SECTION("another application's database") {
        other_connection(file).run("CREATE TABLE t(a); INSERT INTO t VALUES(1);");
    }
    SECTION("another application's database, with a mark of it and without tables") {
        other_connection(file).run("PRAGMA application_id = 7;");
    }
    SECTION("another application's database, with a version and without tables") {
        other_connection(file).run("PRAGMA user_version = 1;");
    }
    SECTION("a newer version's") {
        sqlite_bench s({.file = file});
        REQUIRE(!s.open());
        s.close();
        const auto newer = "PRAGMA user_version = " +
                           std::to_string(pusher::detail::sqlite_database::migrations().size() + 1);
        other_connection(file).run(newer.c_str());
    }
    const auto before = contents_of(file);
    sqlite_bench s({.file = file});
    CHECK(s.open() == errc::store_foreign);
    CHECK(s.found.logs.empty());
    // Everything else fails in the same way.
    CHECK(s.put("a", "b") == errc::store_foreign);
    CHECK(s.read("a") == errc::store_foreign);
    CHECK(contents_of(file) == before);
    s.close();
    CHECK(contents_of(file) == before);
}

TEST_CASE("sqlite store: an empty file becomes a store") {
    const temporary_folder folder;
    write(folder / "f", "");
    sqlite_bench s({.file = folder / "f"});
    CHECK(!s.open());
    CHECK(!s.put("a", "b"));
}

TEST_CASE("sqlite store: a file that cannot be made") {
    const temporary_folder folder;
    for (const auto& file : {folder / "none/f", folder.path().string()}) {
        INFO(file);
        sqlite_bench s({.file = file});
        const auto ec = s.open();
        CHECK(ec.category() == pusher::sqlite_category());
        CHECK(ec == condition::store_unavailable);
        CHECK(ec.message().find("unable to open database file") != std::string::npos);
        CHECK(s.put("a", "b") == ec);
    }
}

TEST_CASE("sqlite store: one file has one broker") {
    const temporary_folder folder;
    const pusher::sqlite_params p{.file = folder / "f", .busy_timeout = 0ms};
    sqlite_bench first(p);
    REQUIRE(!first.open());
    sqlite_bench second(p);
    CHECK(second.open() == errc::store_locked);
    CHECK(!first.put("a", "1"));
    first.close();
    second.close();
    REQUIRE(!second.open());
    CHECK(second.found.values.size() == 1);
    CHECK(first.open() == errc::store_locked); // also before anything is written
}

TEST_CASE("sqlite store: it waits for another process to let go of the file") {
    const temporary_folder folder;
    const auto file = folder / "f";
    {
        sqlite_bench s({.file = file});
        REQUIRE(!s.open());
        REQUIRE(!s.put("a", "1"));
    }
    auto other = std::make_unique<other_connection>(file);
    other->run("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
    {
        sqlite_bench s({.file = file, .busy_timeout = 20ms});
        CHECK(s.open() == errc::store_locked);
    }
    boost::asio::io_context context;
    {
        pusher::sqlite_store s(context.get_executor(), {.file = file, .busy_timeout = 60s});
        std::optional<error_code> got;
        s.open([&](error_code ec, const pusher::store_contents&) { got = ec; });
        other.reset();
        context.run_for(50s);
        CHECK(got == error_code());
    }
    // Who is not patient can close it meanwhile.
    other = std::make_unique<other_connection>(file);
    other->run("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
    pusher::sqlite_store s(context.get_executor(), {.file = file, .busy_timeout = 60s});
    bool called = false;
    s.open([&](error_code, const pusher::store_contents&) { called = true; });
    const auto began = std::chrono::steady_clock::now();
    s.close();
    CHECK(std::chrono::steady_clock::now() - began < 20s);
    context.restart();
    context.run_for(50s);
    CHECK(!called);
}

TEST_CASE("sqlite store: files and folders that are read-only") {
    const temporary_folder folder;
    const auto file = folder / "f";
    {
        sqlite_bench s({.file = file});
        REQUIRE(!s.open());
        REQUIRE(!s.put("a", "1"));
    }
    fs::permissions(folder.path(), fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
    const auto nobody_opens = [&] {
        const as_nobody n;
        sqlite_bench s({.file = file});
        const auto ec = s.open();
        s.close();
        return ec;
    };
    SECTION("the file") {
        fs::permissions(file, fs::perms::owner_read | fs::perms::others_read, fs::perm_options::replace);
        CHECK(nobody_opens() == errc::store_read_only);
    }
    SECTION("the folder of a file that is not") {
        fs::permissions(file, fs::perms::all);
        fs::permissions(
            folder.path(), fs::perms::owner_exec | fs::perms::owner_read | fs::perms::others_exec);
        CHECK(nobody_opens() == errc::store_read_only);
        fs::permissions(folder.path(), fs::perms::owner_all);
    }
    SECTION("the folder of a file that is to be made") {
        fs::remove(file);
        fs::permissions(
            folder.path(), fs::perms::owner_exec | fs::perms::owner_read | fs::perms::others_exec);
        CHECK(nobody_opens() == errc::store_read_only);
        fs::permissions(folder.path(), fs::perms::owner_all);
    }
}

// --- it goes wrong later -----------------------------------------------------------------------------------

TEST_CASE("sqlite store: a file that has grown to its limit, and room made by trimming") {
    const temporary_folder folder;
    const auto file = folder / "f";
    sqlite_bench s({.file = file, .file_bytes = 1024 * 1024});
    REQUIRE(!s.open());
    REQUIRE(!s.commit([](store_batch& b) { b.create_log("a", ""); }));
    std::uint64_t next = 1;
    CHECK(fill(s, next, 10'000) == errc::store_full);
    CHECK(next > 50);
    check_log(s, 1, next);
    CHECK(!s.commit([&](store_batch& b) { b.trim("a", 31); }));
    CHECK(!append(s, "a", next, std::string(200'000, 'y')));
    ++next;
    CHECK(append(s, "a", next, std::string(500'000, 'y')) == errc::store_full);
    check_log(s, 31, next);
    s.close();
    CHECK(fs::file_size(file) <= 1024 * 1024);
    REQUIRE(!s.open());
    check_log(s, 31, next);
    CHECK(s.found.logs.at(0).first == 31);
    // A file that is larger than a limit which came later can be used, and does not grow.
    s.close();
    const auto size = fs::file_size(file);
    sqlite_bench tighter({.file = file, .file_bytes = 1024 * 1024});
    REQUIRE(!tighter.open());
    CHECK(!tighter.commit([&](store_batch& b) { b.erase_log("a"); }));
    CHECK(!tighter.put("a", std::string(400'000, 'y')));
    tighter.close();
    CHECK(fs::file_size(file) <= size);
}

TEST_CASE("sqlite store: a full disk, and room again") {
    const temporary_folder folder;
    sqlite_bench s({.file = folder / "f"});
    REQUIRE(!s.open());
    REQUIRE(!s.commit([](store_batch& b) { b.create_log("a", ""); }));
    std::uint64_t next = 1;
    ::rlimit was{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &was) == 0);
    const auto told = std::signal(SIGXFSZ, SIG_IGN);
    auto small = was;
    small.rlim_cur = 300'000;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    const auto full = fill(s, next, 10'000);
    const auto again = append(s, "a", next, std::string(100'000, 'x'));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &was) == 0);
    std::signal(SIGXFSZ, told);
    CHECK(full == errc::store_full);
    CHECK(again == errc::store_full);
    CHECK(next > 10);
    check_log(s, 1, next);
    CHECK(!append(s, "a", next, std::string(100'000, 'x')));
    ++next;
    check_log(s, 1, next);
    s.close();
    REQUIRE(!s.open());
    check_log(s, 1, next);
}

TEST_CASE("sqlite store: a file that is moved or deleted while it is open") {
    const temporary_folder folder;
    const auto file = folder / "f";
    sqlite_bench s({.file = file});
    REQUIRE(!s.open());
    REQUIRE(!s.put("a", "1"));
    const auto refused = [&] {
        const auto ec = s.put("b", "2");
        CHECK(ec == error_code(SQLITE_READONLY_DBMOVED, pusher::sqlite_category()));
        CHECK(ec == condition::store_unavailable);
    };
    fs::rename(file, file + ".moved");
    refused();
    write(file, ""); // another in its place
    refused();
    fs::remove(file);
    fs::rename(file + ".moved", file);
    CHECK(!s.put("c", "3"));
    s.close();
    REQUIRE(!s.open());
    CHECK(s.found.values == std::vector<std::pair<std::string, std::string>>{{"a", "1"}, {"c", "3"}});
    fs::remove(file);
    refused();
    s.close();
    REQUIRE(!s.open());
    CHECK(s.found.values.empty());
}

TEST_CASE("sqlite store: a damaged file") {
    const temporary_folder folder;
    const auto file = folder / "f";
    sqlite_bench s({.file = file});
    REQUIRE(!s.open());
    REQUIRE(!s.commit([](store_batch& b) {
        b.create_log("a", "");
        b.create_log("b", "");
        for (std::uint64_t i = 1; i != 2001; ++i)
            b.append("a", {i, 1, std::string(100, 'x')});
        b.put("k", "v");
    }));
    s.close();
    const auto size = fs::file_size(file);
    SECTION("its header") {
        damage(file, 0, 100);
        CHECK(s.open() == errc::store_foreign);
    }
    SECTION("its list of tables") {
        damage(file, 100, 3000);
        CHECK(s.open() == errc::store_corrupt);
    }
    SECTION("all but that") {
        damage(file, 4096, size - 4096);
        CHECK(s.open() == errc::store_corrupt);
        CHECK(s.put("k", "w") == errc::store_corrupt);
    }
    SECTION("cut off") {
        fs::resize_file(file, size / 2);
        CHECK(s.open() == errc::store_corrupt);
    }
    SECTION("a table is missing") {
        other_connection(file).run("DROP TABLE entries;");
        CHECK(s.open() == errc::store_corrupt);
    }
    SECTION("records in the middle") {
        damage(file, size / 2 / 4096 * 4096, 8 * 4096);
        const auto opened = s.open();
        REQUIRE(!opened);
        CHECK(s.read("a") == errc::store_corrupt);
        CHECK(s.records.empty());
        // What is whole can be used, and what is damaged can be erased.
        CHECK(!append(s, "b", 1, "x"));
        CHECK(!s.commit([](store_batch& b) { b.erase_log("a"); }));
        CHECK(!append(s, "b", 2, "x"));
        CHECK(!s.put("k", "w"));
        s.close();
        REQUIRE(!s.open());
        CHECK(s.found.logs.size() == 1);
        CHECK(s.found.logs.at(0).next == 3);
    }
}

// --- each operation fails once -----------------------------------------------------------------------------

namespace {

/// What was answered, and so has to be there.
struct answered {
    bool created = false;
    std::uint64_t first = 1;
    std::uint64_t next = 1;
    std::string value;
};

struct failing_run {
    sqlite_bench s;
    answered a;
    int errors = 0;

    explicit failing_run(const std::string& file) : s({.file = file, .busy_timeout = 0ms}) {}

    template <class F>
    bool good(F make) {
        const auto ec = s.commit(make);
        if (ec) {
            ++errors;
            CHECK(ec == condition::store_unavailable);
        }
        return !ec;
    }

    /// \param bytes of each record
    void work(std::size_t bytes, int rounds) {
        if (!a.created)
            a.created = good([](store_batch& b) { b.create_log("a", ""); });
        for (int i = 0; i != rounds; ++i) {
            const auto value = std::to_string(i);
            if (a.created && good([&](store_batch& b) {
                    b.append("a", {a.next, 1, std::string(bytes, 'x')});
                    b.put("k", value);
                })) {
                ++a.next;
                a.value = value;
            }
            if (a.created && i % 5 == 4 &&
                good([&](store_batch& b) { b.trim("a", std::max<std::uint64_t>(a.next, 3) - 2); }))
                a.first = std::max(a.first, std::max<std::uint64_t>(a.next, 3) - 2);
            const auto ec = s.read("a");
            if (ec)
                ++errors;
            else
                CHECK(s.records.size() == a.next - a.first);
        }
    }

    void check() {
        REQUIRE(s.found.logs.size() == (a.created ? 1 : 0));
        REQUIRE(s.found.values.size() == (a.value.empty() ? 0 : 1));
        if (!a.value.empty())
            CHECK(s.found.values[0].second == a.value);
        if (!a.created)
            return;
        CHECK(s.found.logs[0].next == a.next);
        CHECK(s.found.logs[0].first == a.first);
        check_log(s, a.first, a.next);
    }
};

} // namespace

TEST_CASE("sqlite store: each operation on its file fails, once or for good") {
    const auto what = GENERATE(faulty_vfs::what::device, faulty_vfs::what::space);
    const bool for_good = GENERATE(false, true);
    faulty_vfs vfs;
    int runs_with_errors = 0;
    bool failed = true;
    for (std::uint64_t n = 0; failed; ++n) {
        INFO("operation " << n << (for_good ? " and all after it" : ""));
        REQUIRE(n < 5000);
        const temporary_folder folder;
        failing_run r(folder / "f");
        vfs.fail_after(n, what, for_good);
        if (const auto ec = r.s.open()) {
            CHECK(ec == condition::store_unavailable);
            ++r.errors;
        } else {
            r.work(3000, 10);
            if (for_good) { // it goes on when the cause has gone
                const auto errors = r.errors;
                vfs.heal();
                r.work(3000, 6);
                CHECK(r.errors == errors);
                vfs.fail_after(0, what, false);
            }
        }
        r.s.close();
        failed = vfs.failed();
        vfs.heal();
        runs_with_errors += r.errors != 0 ? 1 : 0;
        REQUIRE(!r.s.open());
        r.check();
        if (for_good && n > 150) // every operation after that is like one before
            break;
    }
    CHECK(runs_with_errors > 10);
}

TEST_CASE(
    "sqlite store: operations on a long write-ahead log fail, among them those that move it into the file") {
    const auto what = GENERATE(faulty_vfs::what::device, faulty_vfs::what::space);
    faulty_vfs vfs;
    bool failed = true;
    for (std::uint64_t n = 0; failed; n += 577) {
        INFO("operation " << n);
        const temporary_folder folder;
        failing_run r(folder / "f");
        REQUIRE(!r.s.open());
        vfs.fail_after(n, what, false);
        r.work(1'000'000, 8);
        r.s.close();
        failed = vfs.failed();
        vfs.heal();
        REQUIRE(!r.s.open());
        r.check();
    }
}

// --- the power fails ---------------------------------------------------------------------------------------

TEST_CASE("sqlite store: after a power failure all is there that was answered, or all up to some commit") {
    const auto synchronous = GENERATE(pusher::sqlite_synchronous::full, pusher::sqlite_synchronous::normal);
    const std::size_t bytes = GENERATE(as<std::size_t>{}, 1000, 150'000); // the write-ahead log gets long
    const bool full = synchronous == pusher::sqlite_synchronous::full;
    constexpr std::uint64_t commits = 40;
    struct moment {
        std::map<std::string, std::string> files;
        std::uint64_t answered;
    };
    faulty_vfs vfs;
    std::vector<moment> moments;
    std::atomic<std::uint64_t> answered = 0;
    std::minstd_rand random(11);
    const temporary_folder folder;
    sqlite_bench s({.file = folder / "f", .synchronous = synchronous});
    std::uint64_t operations = 0;
    vfs.watch([&] {
        if (operations++ % (bytes == 1000 ? 5 : 211) == 0)
            moments.push_back({vfs.after_power_failure(random), answered});
    });
    REQUIRE(!s.open());
    REQUIRE(!s.commit([](store_batch& b) { b.create_log("a", ""); }));
    for (std::uint64_t i = 1; i != commits + 1; ++i) {
        REQUIRE(!s.commit([&](store_batch& b) {
            b.append("a", {i, 1, std::string(bytes, static_cast<char>(i))});
            b.put("k", std::to_string(i));
            if (i % 10 == 0)
                b.trim("a", i - 8);
        }));
        answered = i;
    }
    s.close();
    vfs.watch(nullptr);
    CHECK(moments.size() > 30);
    std::uint64_t lost = 0; // answered, and not there
    for (std::size_t m = 0; m != moments.size(); ++m) {
        INFO("moment " << m << ", when " << moments[m].answered << " commits were answered");
        const temporary_folder image;
        for (const auto& [name, content] : moments[m].files)
            write(image / fs::path(name).filename().string(), content);
        sqlite_bench after({.file = image / "f"});
        REQUIRE(!after.open());
        const auto next = after.found.logs.empty() ? 1 : after.found.logs[0].next;
        CHECK(next <= commits + 1);
        lost += moments[m].answered + 1 - std::min(moments[m].answered + 1, next);
        if (next == 1)
            continue;
        CHECK(after.found.values.at(0).second == std::to_string(next - 1));
        CHECK(after.found.logs[0].first == (next <= 10 ? 1 : (next - 1) / 10 * 10 - 8));
        check_log(after, after.found.logs[0].first, next);
        for (const auto& r : after.records)
            CHECK(r.bytes == std::string(bytes, static_cast<char>(r.first)));
        CHECK(!append(after, "a", next, "x")); // and it goes on
    }
    CHECK((lost != 0) == !full); // without flushing some is lost, or else this would show nothing
}

// --- what is in the file -----------------------------------------------------------------------------------

namespace {

/// The file, without a thread.
struct plain_database {
    explicit plain_database(
        const std::string& file, std::span<const pusher::detail::sqlite_database::migration> steps =
                                     pusher::detail::sqlite_database::migrations())
        : database({.file = file}, steps) {
        result = database.open(found, stop);
    }

    error_code commit(const store_batch& b) {
        pusher::detail::sqlite_database::request r{b.changes()};
        database.commit({&r, 1});
        return r.result;
    }

    std::atomic<bool> stop = false;
    pusher::store_contents found;
    pusher::detail::sqlite_database database;
    error_code result;
};

} // namespace

TEST_CASE("sqlite store: what is trimmed or erased is deleted a little at a time") {
    const temporary_folder folder;
    const auto file = folder / "f";
    store_batch fill_logs;
    for (const auto* const log : {"a", "b"}) {
        fill_logs.create_log(log, "");
        for (std::uint64_t i = 1; i != 3001; ++i)
            fill_logs.append(log, {i, 1, "x"});
    }
    store_batch give_up;
    give_up.erase_log("a");
    give_up.trim("b", 2001);
    {
        plain_database d(file);
        REQUIRE(!d.result);
        REQUIRE(!d.commit(fill_logs));
        CHECK(!d.database.littered());
        REQUIRE(!d.commit(give_up));
        CHECK(d.database.littered());
        for (int i = 0; i != 3; ++i)
            CHECK(!d.database.sweep());
        CHECK(d.database.littered());
    }
    const auto left = other_connection(file).number("SELECT count(*) FROM records");
    CHECK(left > 4000);
    CHECK(left < 6000);
    // Another life goes on with it.
    int sweeps = 0;
    {
        plain_database d(file);
        REQUIRE(!d.result);
        CHECK(d.found.logs.size() == 1);
        CHECK(d.database.littered());
        for (; d.database.littered() && sweeps != 100; ++sweeps)
            CHECK(!d.database.sweep());
    }
    CHECK(sweeps > 5);
    CHECK(sweeps < 20);
    {
        other_connection o(file);
        CHECK(o.number("SELECT count(*) FROM records") == 1000);
        CHECK(o.number("SELECT count(*) FROM erased") == 0);
    }
    // A commit sweeps up as much as it brings, so that nothing is left over for later.
    plain_database d(file);
    REQUIRE(!d.result);
    store_batch both;
    both.append("b", {3001, 1, "x"});
    both.trim("b", 2002);
    CHECK(!d.commit(both));
    CHECK(!d.database.littered());
}

TEST_CASE("sqlite store: large records are deleted few at a time") {
    const temporary_folder folder;
    plain_database d(folder / "f");
    REQUIRE(!d.result);
    store_batch b;
    b.create_log("a", "");
    for (std::uint64_t i = 1; i != 21; ++i)
        b.append("a", {i, 1, std::string(600'000, 'x')});
    REQUIRE(!d.commit(b));
    store_batch give_up;
    give_up.erase_log("a");
    REQUIRE(!d.commit(give_up));
    int sweeps = 0;
    for (; d.database.littered() && sweeps != 100; ++sweeps)
        CHECK(!d.database.sweep());
    CHECK(sweeps >= 8);
    CHECK(sweeps <= 12);
}

TEST_CASE("sqlite store: a file says whose it is, and of which version") {
    const temporary_folder folder;
    {
        sqlite_bench s({.file = folder / "f"});
        REQUIRE(!s.open());
    }
    other_connection o(folder / "f");
    CHECK(o.number("PRAGMA application_id") == 0x70757368);
    CHECK(o.number("PRAGMA user_version") == 1);
    CHECK(o.number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1);
}

TEST_CASE("sqlite store: a file of an older version is changed into one of this, or left as it is") {
    using pusher::detail::sqlite_database;
    const temporary_folder folder;
    const auto file = folder / "f";
    store_batch b;
    b.create_log("a", "meta");
    b.append("a", {1, 1, "x"});
    {
        plain_database d(file);
        REQUIRE(!d.commit(b));
    }
    // Versions that are to come.
    const auto now = sqlite_database::migrations();
    std::vector<sqlite_database::migration> steps(now.begin(), now.end());
    steps.push_back("CREATE TABLE more(a); INSERT INTO more SELECT count(*) FROM logs;");
    steps.push_back("ALTER TABLE more ADD COLUMN b; UPDATE more SET b = a + 1;");
    auto broken = steps;
    broken.back() = "DELETE FROM more; DELETE FROM none;";
    const auto newest = static_cast<std::int64_t>(steps.size());
    {
        plain_database d(file, broken);
        CHECK(d.result == condition::store_unavailable);
    }
    {
        other_connection o(file);
        CHECK(o.number("PRAGMA user_version") == newest - 2);
        CHECK(o.number("SELECT count(*) FROM sqlite_master WHERE name = 'more'") == 0);
    }
    for (int life = 0; life != 2; ++life) {
        plain_database d(file, steps);
        REQUIRE(!d.result);
        REQUIRE(d.found.logs.size() == 1);
        CHECK(d.found.logs[0].meta == "meta");
        CHECK(d.found.logs[0].next == 2);
    }
    {
        other_connection o(file);
        CHECK(o.number("PRAGMA user_version") == newest);
        CHECK(o.number("SELECT b FROM more") == 2);
    }
    // From nothing, all versions are gone through.
    {
        plain_database fresh(folder / "g", steps);
        CHECK(!fresh.result);
    }
    CHECK(other_connection(folder / "g").number("PRAGMA user_version") == newest);
    // What is older cannot read it.
    CHECK(plain_database(file).result == errc::store_foreign);
}
