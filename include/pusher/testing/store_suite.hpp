// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/store/store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// \file
/// What every `store` must do, as a suite of cases for a test of any framework:
///
///     for (const auto& c : pusher::testing::store_cases())
///         c.run({.make = [](const auto& executor, const std::string& place) { return …; }});
///
/// A case that returns has passed; else it throws a `store_breach` that says what is wrong. It knows a store
/// by its interface alone: what a particular one does when its disk is full is for tests of its own.

namespace pusher::inline v0::testing {

/// What a store did against the contract of `store`.
class store_breach : public std::runtime_error {
public:
    using runtime_error::runtime_error;
};

/// The stores to test.
struct store_suite_params {
    /// Makes a store on an executor, which is not opened yet. The same place again, after the store that was
    /// there is destroyed: one that finds what that one held. A new place: one that finds nothing. A place is
    /// a short name of letters and digits. It is called once or more by each case.
    std::function<std::unique_ptr<store>(const boost::asio::any_io_executor&, const std::string& place)> make;

    /// How long the suite waits for a handler.
    std::chrono::milliseconds deadline{20'000};

    /// Bytes of the largest record that is tried.
    std::size_t large_record = 8 * 1024 * 1024;

    /// Called again and again while the suite waits, for stores that do nothing until they are told to.
    std::function<void()> pump = {};
};

/// One case of the suite.
struct store_case {
    std::string_view name;
    void (*run)(const store_suite_params&);
};

namespace detail {

/// A store under test, on an event loop that runs while it is waited for.
class store_bench {
public:
    /// \param place of this case alone.
    store_bench(const store_suite_params& p, std::string place) : params_(p), place_(std::move(place)) {}
    store_bench(const store_bench&) = delete;
    store_bench& operator=(const store_bench&) = delete;
    ~store_bench() { end(); }

    [[noreturn]] static void fail(const std::string& what) { throw store_breach(what); }
    static void require(bool good, const std::string& what) {
        if (!good)
            fail(what);
    }
    static void require_equal(std::uint64_t is, std::uint64_t wanted, const std::string& what) {
        require(is == wanted, what + " is " + std::to_string(is) + " and not " + std::to_string(wanted));
    }

    store& operator*() { return *store_; }
    store* operator->() { return store_.get(); }

    /// Makes the store and opens it. What it holds is in the order of names.
    store_contents open() {
        require(!store_, "opened twice");
        store_ = params_.make(context_.get_executor(), place_);
        require(store_ != nullptr, "make returned no store");
        std::optional<std::pair<error_code, store_contents>> got;
        store_->open([&](error_code ec, store_contents c) {
            require(!got, "the handler of open is called twice");
            got.emplace(ec, std::move(c));
        });
        wait([&] { return got.has_value(); }, "open");
        require(!got->first, "open fails with '" + got->first.message() + "'");
        std::sort(got->second.logs.begin(), got->second.logs.end(), [](const auto& a, const auto& b) {
            return a.name < b.name;
        });
        for (std::size_t i = 1; i < got->second.values.size(); ++i)
            require(
                got->second.values[i - 1].first < got->second.values[i].first,
                "the values that open tells are not in the order of their keys' bytes");
        return std::move(got->second);
    }

    void end() noexcept {
        if (store_)
            store_->close();
        store_.reset();
    }

    /// Ends the store, and makes one in the same place.
    store_contents reopen() {
        end();
        return open();
    }

    error_code try_commit(store_batch batch) {
        std::optional<error_code> got;
        store_->commit(std::move(batch), [&](error_code ec) {
            require(!got, "the handler of a commit is called twice");
            got = ec;
        });
        wait([&] { return got.has_value(); }, "a commit");
        return *got;
    }

    void commit(store_batch batch) {
        const auto ec = try_commit(std::move(batch));
        require(!ec, "a commit fails with '" + ec.message() + "'");
    }

    /// Commits what one call makes: `commit([](store_batch& b) { … })`.
    template <class F>
        requires std::invocable<F&, store_batch&>
    void commit(F make) {
        store_batch batch;
        make(batch);
        commit(std::move(batch));
    }

    /// Commits what must fail, and change nothing of what the store then tells.
    template <class F>
    void refuse(const std::string& what, F make) {
        store_batch batch;
        make(batch);
        const auto ec = try_commit(std::move(batch));
        require(static_cast<bool>(ec), "a batch succeeds with " + what);
        require(ec == condition::store_unavailable, "the error is none of a store for " + what);
    }

    std::vector<store_record>
    read(const std::string& log, std::uint64_t from, std::size_t most = std::size_t{1} << 30) {
        std::optional<std::pair<error_code, std::vector<store_record>>> got;
        store_->read(log, from, most, [&](error_code ec, std::vector<store_record> r) {
            require(!got, "the handler of a read is called twice");
            got.emplace(ec, std::move(r));
        });
        wait([&] { return got.has_value(); }, "a read");
        require(!got->first, "a read fails with '" + got->first.message() + "'");
        return std::move(got->second);
    }

    /// Reads, and wants records that begin with these items.
    void expect(
        const std::string& log, std::uint64_t from, const std::vector<std::uint64_t>& firsts,
        const std::string& what, std::size_t most = std::size_t{1} << 30) {
        const auto got = read(log, from, most);
        std::string is;
        std::string wanted;
        for (const auto& r : got)
            is += std::to_string(r.first) + " ";
        for (const auto first : firsts)
            wanted += std::to_string(first) + " ";
        require(is == wanted, what + ": reads the records at " + is + "and not those at " + wanted);
    }

    /// Runs the event loop until then.
    template <class F>
    void wait(F done, const std::string& what) {
        const auto end = std::chrono::steady_clock::now() + params_.deadline;
        while (!done()) {
            require(std::chrono::steady_clock::now() < end, "the handler of " + what + " is not called");
            if (params_.pump)
                params_.pump();
            context_.restart();
            if (params_.pump)
                context_.poll();
            else
                context_.run_one_until(end);
        }
    }

    /// Runs what is ready, and what becomes so soon.
    void run_what_is_left() {
        for (int i = 0; i != 3; ++i) {
            if (params_.pump && store_)
                params_.pump();
            context_.restart();
            context_.poll();
        }
    }

    [[nodiscard]] const store_suite_params& params() const noexcept { return params_; }

private:
    const store_suite_params& params_;
    std::string place_;
    boost::asio::io_context context_;
    std::unique_ptr<store> store_;
};

inline store_record
record_of(std::uint64_t first, std::uint32_t count, std::string bytes = std::string("bytes")) {
    return {first, count, std::move(bytes)};
}

/// A log and a value, to see whether they stay as they are.
inline void put_landmarks(store_bench& s) {
    s.commit([](store_batch& b) {
        b.create_log("landmark", "m");
        b.append("landmark", record_of(1, 2, "one"));
        b.append("landmark", record_of(3, 1, "two"));
        b.put("landmark", "v");
    });
}

inline void check_landmarks(store_bench& s, const store_contents& c, const std::string& what) {
    s.require(c.logs.size() == 1 && c.logs[0].name == "landmark", what + ": logs have changed");
    s.require_equal(c.logs[0].first, 1, what + ": first of a log");
    s.require_equal(c.logs[0].next, 4, what + ": next of a log");
    s.require(c.logs[0].meta == "m", what + ": the meta of a log has changed");
    s.require(
        c.values == std::vector<std::pair<std::string, std::string>>{{"landmark", "v"}},
        what + ": values have changed");
    s.expect("landmark", 1, {1, 3}, what);
}

inline void store_case_new(const store_suite_params& p) {
    store_bench s(p, "new");
    for (int i = 0; i != 2; ++i) {
        const auto found = i == 0 ? s.open() : s.reopen();
        s.require(found.logs.empty() && found.values.empty(), "a store in a new place is not empty");
    }
    s.expect("none", 1, {}, "a log that is not there");
}

inline void store_case_not_opened(const store_suite_params& p) {
    boost::asio::io_context context;
    p.make(context.get_executor(), "notopened").reset();
    const auto closed = p.make(context.get_executor(), "notopened");
    closed->close();
}

inline void store_case_values(const store_suite_params& p) {
    using values = std::vector<std::pair<std::string, std::string>>;
    store_bench s(p, "values");
    s.open();
    s.commit([](store_batch& b) {
        b.put("b", "1");
        b.put("a", "2");
        b.put("c", "3");
        b.erase("none");
    });
    s.require(s.reopen().values == values{{"a", "2"}, {"b", "1"}, {"c", "3"}}, "values are not found again");
    s.commit([](store_batch& b) {
        b.put("a", "4");
        b.erase("b");
        b.put("d", "5");
        b.erase("d");
        b.erase("c");
        b.put("c", "6");
        b.put("c", "7");
    });
    s.require(
        s.reopen().values == values{{"a", "4"}, {"c", "7"}},
        "values that are put, erased and put again in one batch are not what the last change says");
}

inline void store_case_any_bytes(const store_suite_params& p) {
    using namespace std::string_literals;
    store_bench s(p, "anybytes");
    s.open();
    std::string every;
    for (int i = 0; i != 256; ++i)
        every += static_cast<char>(i);
    const std::vector<std::string> texts = {""s,     "\0"s,   "\0\0"s,   "a"s,          "a\0"s,
                                            "a\0b"s, "A"s,    "a "s,     "'\";--%s\n"s, "\x7f"s,
                                            "\x80"s, "\xff"s, "\xff\0"s, "\xff\xff"s,   every};
    s.commit([&](store_batch& b) {
        for (const auto& t : texts) {
            b.create_log(t, t);
            b.append(t, record_of(1, 1, t));
            b.append(t, record_of(2, 1, t + t));
            b.put(t, t);
        }
    });
    auto sorted = texts;
    std::sort(sorted.begin(), sorted.end());
    const auto found = s.reopen();
    s.require_equal(found.logs.size(), texts.size(), "the number of logs with unusual names");
    s.require_equal(found.values.size(), texts.size(), "the number of values with unusual keys");
    for (std::size_t i = 0; i != sorted.size(); ++i) {
        s.require(found.logs[i].name == sorted[i], "a name with any bytes comes back as another");
        s.require(found.logs[i].meta == sorted[i], "a meta with any bytes comes back as another");
        s.require(
            found.values[i].first == sorted[i], "a key with any bytes comes back as another, or elsewhere");
        s.require(found.values[i].second == sorted[i], "a value with any bytes comes back as another");
        const auto records = s.read(sorted[i], 1);
        s.require(
            records.size() == 2 && records[0].bytes == sorted[i] && records[1].bytes == sorted[i] + sorted[i],
            "a record with any bytes comes back as another");
    }
}

inline void store_case_append_and_read(const store_suite_params& p) {
    store_bench s(p, "append");
    s.open();
    s.commit([](store_batch& b) { b.create_log("a", "meta"); });
    auto found = s.reopen();
    s.require(
        found.logs.size() == 1 && found.logs[0].meta == "meta", "a log without records is not found again");
    s.require_equal(found.logs[0].first, 1, "first of a log without records");
    s.require_equal(found.logs[0].next, 1, "next of a log without records");
    s.expect("a", 1, {}, "a log without records");
    s.commit([](store_batch& b) { b.append("a", record_of(1, 1, "x")); });
    s.commit([](store_batch& b) {
        b.append("a", record_of(2, 3, "y"));
        b.append("a", record_of(5, 10, ""));
    });
    s.commit([](store_batch& b) { b.append("a", record_of(15, 1, "z")); });
    for (int i = 0; i != 2; ++i) {
        const auto records = s.read("a", 1);
        s.require_equal(records.size(), 4, "the number of records");
        const std::uint32_t counts[] = {1, 3, 10, 1};
        const std::string_view bytes[] = {"x", "y", "", "z"};
        const std::uint64_t firsts[] = {1, 2, 5, 15};
        for (std::size_t n = 0; n != 4; ++n) {
            s.require_equal(records[n].first, firsts[n], "first of a record");
            s.require_equal(records[n].count, counts[n], "count of a record");
            s.require(records[n].bytes == bytes[n], "the bytes of a record are others");
        }
        found = s.reopen();
        s.require_equal(found.logs.at(0).first, 1, "first of a log");
        s.require_equal(found.logs.at(0).next, 16, "next of a log");
    }
}

inline void store_case_begin_anywhere(const store_suite_params& p) {
    store_bench s(p, "anywhere");
    s.open();
    const std::uint64_t far = (std::uint64_t{1} << 53) + 1;
    s.commit([&](store_batch& b) {
        b.create_log("a", "");
        b.append("a", record_of(far, 0xffffffff));
        b.create_log("b", "");
    });
    auto found = s.reopen();
    s.require_equal(found.logs.at(0).first, far, "first of a log that begins far out");
    s.require_equal(found.logs.at(0).next, far + 0xffffffff, "next of a log that begins far out");
    s.commit([&](store_batch& b) {
        b.append("a", record_of(far + 0xffffffff, 1));
        b.append("b", record_of(1000, 5));
    });
    s.expect("a", 1, {far, far + 0xffffffff}, "from before the first item");
    s.require_equal(s.read("a", 1).at(0).count, 0xffffffff, "count of a record");
    s.expect("a", far + 0xfffffffe, {far, far + 0xffffffff}, "from the last item of a record");
    s.expect("a", far + 0xffffffff, {far + 0xffffffff}, "from the first item of a record");
    found = s.reopen();
    s.require_equal(found.logs.at(1).first, 1000, "first of a log that was begun after reopening");
    s.require_equal(found.logs.at(1).next, 1005, "next of a log that was begun after reopening");
}

inline void store_case_positions(const store_suite_params& p) {
    store_bench s(p, "positions");
    s.open();
    s.commit([](store_batch& b) {
        b.create_log("a", "");
        b.append("a", record_of(11, 5, "0123456789"));
        b.append("a", record_of(16, 5, "0123456789"));
        b.append("a", record_of(21, 1, "0123456789"));
        b.append("a", record_of(22, 5, "0123456789"));
        b.create_log("b", ""); // logs on both sides
        b.append("b", record_of(1, 100, ""));
        b.create_log("A", "");
        b.append("A", record_of(1, 100, ""));
    });
    s.expect("a", 0, {11, 16, 21, 22}, "from item 0");
    s.expect("a", 1, {11, 16, 21, 22}, "from before the first item");
    s.expect("a", 11, {11, 16, 21, 22}, "from the first item");
    s.expect("a", 13, {11, 16, 21, 22}, "from within a record");
    s.expect("a", 15, {11, 16, 21, 22}, "from the last item of a record");
    s.expect("a", 16, {16, 21, 22}, "from the first item of a record");
    s.expect("a", 21, {21, 22}, "from the only item of a record");
    s.expect("a", 26, {22}, "from the last item");
    s.expect("a", 27, {}, "from next");
    s.expect("a", 1000, {}, "from beyond next");
    s.expect("a", ~std::uint64_t{0}, {}, "from as far as can be");
    s.expect("c", 1, {}, "a log that is not there");
    s.expect("a", 1, {11}, "0 bytes", 0);
    s.expect("a", 1, {11}, "fewer bytes than the first record has", 9);
    s.expect("a", 1, {11}, "as many bytes as the first record has", 10);
    s.expect("a", 1, {11}, "a byte less than two records have", 19);
    s.expect("a", 1, {11, 16}, "as many bytes as two records have", 20);
    s.expect("a", 17, {16, 21}, "as many bytes as two records have, from within a record", 20);
    s.expect("a", 1, {11, 16, 21, 22}, "any number of bytes", ~std::size_t{0});
}

inline void store_case_trim(const store_suite_params& p) {
    store_bench s(p, "trim");
    s.open();
    const auto trim = [&](std::uint64_t first) { s.commit([&](store_batch& b) { b.trim("a", first); }); };
    const auto span = [&](std::uint64_t first, std::uint64_t next, const std::string& what) {
        const auto found = s.reopen();
        s.require_equal(found.logs.at(0).first, first, "first of a log " + what);
        s.require_equal(found.logs.at(0).next, next, "next of a log " + what);
    };
    s.commit([](store_batch& b) {
        b.create_log("a", "");
        b.trim("a", 7);
        b.trim("none", 7);
        b.append("a", record_of(1, 10));
        b.append("a", record_of(11, 10));
        b.append("a", record_of(21, 1));
        b.append("a", record_of(22, 9));
        b.create_log("b", "");
        b.append("b", record_of(1, 10));
    });
    trim(1);
    s.expect("a", 1, {1, 11, 21, 22}, "trimmed before all");
    trim(5);
    s.expect("a", 1, {1, 11, 21, 22}, "trimmed within the first record");
    span(5, 31, "that was trimmed within a record");
    s.expect("a", 1, {1, 11, 21, 22}, "trimmed within the first record, and reopened");
    trim(3);
    span(5, 31, "that was trimmed before what is trimmed already");
    trim(10);
    s.expect("a", 1, {1, 11, 21, 22}, "trimmed to the last item of the first record");
    trim(11);
    s.expect("a", 1, {11, 21, 22}, "trimmed to the end of a record");
    s.expect("a", 5, {11, 21, 22}, "from what was trimmed");
    s.commit([](store_batch& b) {
        b.trim("a", 21);
        b.append("a", record_of(31, 1));
        b.trim("a", 22);
    });
    s.expect("a", 1, {22, 31}, "trimmed twice in a batch");
    span(22, 32, "that was trimmed and appended to in a batch");
    s.expect("a", 1, {22, 31}, "trimmed twice in a batch, and reopened");
    s.expect("b", 1, {1}, "another log than what was trimmed");
    trim(1000);
    s.expect("a", 1, {}, "trimmed of everything");
    span(32, 32, "that was trimmed of everything");
    s.refuse("a record that does not follow what was trimmed", [](store_batch& b) {
        b.append("a", record_of(1000, 1));
    });
    s.commit([](store_batch& b) { b.append("a", record_of(32, 2)); });
    s.expect("a", 1, {32}, "appended after everything was trimmed");
    span(32, 34, "that was appended to after everything was trimmed");
}

inline void store_case_trim_many(const store_suite_params& p) {
    store_bench s(p, "trimmany");
    s.open();
    s.commit([](store_batch& b) {
        b.create_log("a", "");
        for (std::uint64_t i = 0; i != 3000; ++i)
            b.append("a", record_of(2 * i + 1, 2));
    });
    s.commit([](store_batch& b) { b.trim("a", 5000); });
    s.expect("a", 1, {4999}, "thousands of records trimmed", 5);
    for (std::uint64_t i = 0; i != 50; ++i)
        s.commit([&](store_batch& b) {
            b.append("a", record_of(6001 + i, 1));
            b.trim("a", 5001 + 2 * i);
        });
    s.expect("a", 1, {5099}, "records appended and trimmed in turns", 5);
    const auto found = s.reopen();
    s.require_equal(found.logs.at(0).first, 5099, "first of a log");
    s.require_equal(found.logs.at(0).next, 6051, "next of a log");
    s.require_equal(s.read("a", 1).size(), 501, "the number of records that are left");
}

inline void store_case_erase_log(const store_suite_params& p) {
    store_bench s(p, "eraselog");
    s.open();
    s.commit([](store_batch& b) {
        b.create_log("a", "old");
        for (std::uint64_t i = 1; i != 1001; ++i)
            b.append("a", record_of(i, 1, "old"));
        b.create_log("b", "");
        b.append("b", record_of(1, 1));
    });
    s.commit([](store_batch& b) {
        b.erase_log("a");
        b.erase_log("none");
    });
    s.expect("a", 1, {}, "a log that was erased");
    s.expect("b", 1, {1}, "another log than what was erased");
    s.refuse("a record for a log that was erased", [](store_batch& b) { b.append("a", record_of(1001, 1)); });
    s.commit([](store_batch& b) { b.create_log("a", "new"); });
    s.expect("a", 1, {}, "a log that was created again");
    s.commit([](store_batch& b) { b.append("a", record_of(500, 1, "new")); });
    for (int i = 0; i != 2; ++i) {
        s.expect("a", 1, {500}, "a log that was created again");
        s.require(s.read("a", 1).at(0).bytes == "new", "a log that was created again has its old records");
        const auto found = s.reopen();
        s.require_equal(found.logs.size(), 2, "the number of logs");
        s.require(found.logs[0].meta == "new", "a log that was created again has its old meta");
        s.require_equal(found.logs[0].first, 500, "first of a log that was created again");
        s.require_equal(found.logs[0].next, 501, "next of a log that was created again");
    }
    s.commit([](store_batch& b) {
        b.append("a", record_of(501, 1));
        b.erase_log("a");
        b.create_log("a", "third");
        b.append("a", record_of(7, 1));
        b.erase_log("b");
        b.create_log("c", "");
        b.append("c", record_of(1, 1));
        b.erase_log("c");
    });
    s.expect("a", 1, {7}, "erased and created again in one batch");
    const auto found = s.reopen();
    s.require_equal(found.logs.size(), 1, "the number of logs");
    s.require(
        found.logs[0].meta == "third", "a log that was erased and created again in one batch is the old one");
    s.expect("a", 1, {7}, "erased and created again in one batch, and reopened");
}

inline void store_case_atomic(const store_suite_params& p) {
    store_bench s(p, "atomic");
    s.open();
    put_landmarks(s);
    // What is changed before the change that cannot be made.
    const auto changes = [](store_batch& b) {
        b.put("landmark", "other");
        b.put("more", "");
        b.create_log("more", "");
        b.append("more", record_of(1, 1));
        b.append("landmark", record_of(4, 1));
        b.trim("landmark", 3);
    };
    using change = void (*)(store_batch&);
    const std::pair<const char*, change> breaches[] = {
        {"a record for no log", [](store_batch& b) { b.append("none", record_of(1, 1)); }},
        {"a gap before a record", [](store_batch& b) { b.append("landmark", record_of(6, 1)); }},
        {"a record that overlaps", [](store_batch& b) { b.append("landmark", record_of(4, 2)); }},
        {"a record without items", [](store_batch& b) { b.append("landmark", record_of(5, 0)); }},
        {"a record that begins with item 0",
         [](store_batch& b) {
             b.create_log("zero", "");
             b.append("zero", record_of(0, 1));
         }},
        {"a log that is created twice", [](store_batch& b) { b.create_log("landmark", ""); }},
        {"a record for a log that it has erased",
         [](store_batch& b) {
             b.erase_log("landmark");
             b.append("landmark", record_of(5, 1));
         }},
    };
    for (const auto& [what, breach] : breaches) {
        s.refuse(what, [&](store_batch& b) {
            changes(b);
            breach(b);
            b.put("after", "");
        });
        s.expect("landmark", 1, {1, 3}, std::string("after a batch with ") + what);
        s.expect("more", 1, {}, std::string("after a batch with ") + what);
    }
    check_landmarks(s, s.reopen(), "after batches that failed");
    s.refuse("a gap, reopened", [](store_batch& b) { b.append("landmark", record_of(5, 1)); });
    s.commit(store_batch());
    s.commit(changes);
    s.expect("landmark", 1, {3, 4}, "after a batch that succeeded");
}

inline void store_case_empty_batch(const store_suite_params& p) {
    store_bench s(p, "emptybatch");
    s.open();
    s.commit(store_batch());
    put_landmarks(s);
    s.commit(store_batch());
    check_landmarks(s, s.reopen(), "after an empty batch");
}

inline void store_case_order(const store_suite_params& p) {
    constexpr std::uint64_t commits = 300;
    store_bench s(p, "order");
    s.open();
    std::uint64_t succeeded = 0;
    std::uint64_t failed = 0;
    // Each needs the one before, none waits; some among them fail, and are in nobody's way.
    for (std::uint64_t i = 0; i != commits; ++i) {
        store_batch good;
        if (i == 0)
            good.create_log("a", "");
        good.append("a", record_of(2 * i + 1, 2, std::to_string(i)));
        good.put("last", std::to_string(i));
        s->commit(std::move(good), [&](error_code ec) { ++(ec ? failed : succeeded); });
        if (i % 50 == 7) {
            store_batch bad;
            bad.put("last", "bad");
            bad.append("a", record_of(1, 1));
            s->commit(std::move(bad), [&](error_code ec) { ++(ec ? failed : succeeded); });
        }
    }
    s.wait([&] { return succeeded + failed == commits + commits / 50; }, "one of many commits");
    s.require_equal(succeeded, commits, "the number of batches that succeed, which follow one another");
    for (int i = 0; i != 2; ++i) {
        const auto records = s.read("a", 1);
        s.require_equal(records.size(), commits, "the number of records");
        for (std::size_t n = 0; n != commits; ++n)
            s.require(
                records[n].first == 2 * n + 1 && records[n].bytes == std::to_string(n),
                "records are not in the order of the commits");
        const auto found = s.reopen();
        s.require(
            found.values.at(0).second == std::to_string(commits - 1),
            "a value is not what the last commit says");
    }
}

inline void store_case_from_handlers(const store_suite_params& p) {
    store_bench s(p, "fromhandlers");
    s.open();
    s.commit([](store_batch& b) { b.create_log("a", ""); });
    std::uint64_t commits = 0;
    std::uint64_t reads = 0;
    std::string breach;
    std::function<void()> next = [&] {
        const auto number = commits + 1;
        store_batch b;
        b.append("a", record_of(number, 1));
        s->commit(std::move(b), [&, number](error_code ec) {
            if (ec)
                breach = "a commit from a handler fails";
            s->read("a", number, 1000, [&, number](error_code failed, std::vector<store_record> r) {
                if (failed || r.empty() || r.front().first != number)
                    breach = "a read from the handler of a commit does not see that commit";
                ++reads;
            });
            if (++commits != 100)
                next();
        });
    };
    next();
    s.wait(
        [&] { return !breach.empty() || (commits == 100 && reads == 100); },
        "a commit or read from a handler");
    s.require(breach.empty(), breach);
}

inline void store_case_large(const store_suite_params& p) {
    store_bench s(p, "large");
    s.open();
    std::string large(p.large_record, '\0');
    for (std::size_t i = 0; i < large.size(); ++i)
        large[i] = static_cast<char>(i * 7 + i / 251);
    s.commit([&](store_batch& b) {
        b.create_log("a", large.substr(0, large.size() / 8));
        b.append("a", record_of(1, 1, large));
        b.append("a", record_of(2, 1, "small"));
        b.append("a", record_of(3, 1, large));
        b.put("a", large.substr(0, large.size() / 4));
    });
    const auto found = s.reopen();
    s.require(
        found.logs.at(0).meta == large.substr(0, large.size() / 8), "a large meta comes back as another");
    s.require(
        found.values.at(0).second == large.substr(0, large.size() / 4),
        "a large value comes back as another");
    s.expect("a", 1, {1}, "a large record and few bytes", 1);
    s.expect("a", 1, {1, 2}, "a large record and a few bytes more", large.size() + 5);
    const auto records = s.read("a", 1);
    s.require(
        records.size() == 3 && records[0].bytes == large && records[2].bytes == large,
        "a large record comes back as another");
    s.commit([](store_batch& b) { b.trim("a", 3); });
    s.commit([](store_batch& b) { b.erase_log("a"); });
    s.expect("a", 1, {}, "a log of large records that was erased");
}

inline void store_case_many_logs(const store_suite_params& p) {
    constexpr std::size_t logs = 1000;
    store_bench s(p, "manylogs");
    s.open();
    const auto name = [](std::size_t i) { return "log/" + std::to_string(10'000 + i); };
    for (std::uint64_t round = 0; round != 3; ++round)
        s.commit([&](store_batch& b) {
            for (std::size_t i = 0; i != logs; ++i) {
                if (round == 0)
                    b.create_log(name(i), "meta" + std::to_string(i));
                if (i % 10 >= round)
                    b.append(name(i), record_of(1 + round * (i + 1), static_cast<std::uint32_t>(i + 1), "x"));
            }
            // Those whose numbers would not follow are begun anew.
            for (std::size_t i = 0; round == 0 && i < logs; i += 10) {
                b.erase_log(name(i));
                b.create_log(name(i), "again");
            }
        });
    const auto found = s.reopen();
    s.require_equal(found.logs.size(), logs, "the number of logs");
    for (std::size_t i = 0; i != logs; ++i) {
        s.require(found.logs[i].name == name(i), "one log of many is not found again");
        s.require(
            found.logs[i].meta == (i % 10 == 0 ? "again" : "meta" + std::to_string(i)),
            "one log of many has another's meta");
    }
    s.expect(name(0), 1, {}, "one log of many that was begun anew");
    s.require_equal(s.read(name(logs - 1), 1).size(), 3, "the number of records of one log of many");
}

inline void store_case_close(const store_suite_params& p) {
    store_bench s(p, "close");
    s.open();
    put_landmarks(s);
    auto held = std::make_shared<int>();
    int called = 0;
    bool closed = false;
    for (std::uint64_t i = 0; i != 20; ++i) {
        store_batch b;
        b.append("landmark", record_of(4 + i, 1));
        s->commit(std::move(b), [&, held](error_code) { called += closed ? 1 : 0; });
        s->read("landmark", 1, 1000, [&, held](error_code, std::vector<store_record>) {
            called += closed ? 1 : 0;
        });
    }
    closed = true;
    s->close();
    s.run_what_is_left();
    s.require_equal(
        static_cast<std::uint64_t>(called), 0, "the number of handlers that are called after close");
    s.end();
    s.run_what_is_left();
    s.require_equal(
        static_cast<std::uint64_t>(called), 0, "the number of handlers that are called after the end");
    s.require_equal(
        static_cast<std::uint64_t>(held.use_count()), 1,
        "the number of handlers kept after the end, and one");
    const auto found = s.open();
    const auto next = found.logs.at(0).next;
    s.require(next >= 4 && next <= 24, "a log has another end than any of its commits gave it");
    const auto records = s.read("landmark", 1);
    s.require_equal(
        records.back().first + records.back().count, next,
        "the end of the records, for a store that was closed,");
}

} // namespace detail

/// The cases, in the order in which a new store had best be made to pass them.
inline std::span<const store_case> store_cases() noexcept {
    static constexpr store_case cases[] = {
        {"a new place is empty", &detail::store_case_new},
        {"a store that was not opened can be closed", &detail::store_case_not_opened},
        {"values are put and erased", &detail::store_case_values},
        {"records are appended and read in order", &detail::store_case_append_and_read},
        {"a log begins anywhere", &detail::store_case_begin_anywhere},
        {"reads begin and end where they should", &detail::store_case_positions},
        {"trimming", &detail::store_case_trim},
        {"trimming thousands of records", &detail::store_case_trim_many},
        {"logs are erased and created again", &detail::store_case_erase_log},
        {"a batch is made as a whole or not at all", &detail::store_case_atomic},
        {"an empty batch changes nothing", &detail::store_case_empty_batch},
        {"batches are committed in order", &detail::store_case_order},
        {"handlers use the store", &detail::store_case_from_handlers},
        {"names, keys and bytes of any kind", &detail::store_case_any_bytes},
        {"large records", &detail::store_case_large},
        {"many logs", &detail::store_case_many_logs},
        {"no handler is called after close", &detail::store_case_close},
    };
    return cases;
}

/// Runs them all. \throws store_breach which names the case
inline void run_store_suite(const store_suite_params& p) {
    for (const auto& each : store_cases()) {
        try {
            each.run(p);
        } catch (const store_breach& e) {
            throw store_breach(std::string(each.name) + ": " + e.what());
        }
    }
}

} // namespace pusher::inline v0::testing
