// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/testing/store_suite.hpp>

#include "catch.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The suite passes a store that does what it should, and catches each of those that do one thing else.

namespace {

using pusher::errc;
using pusher::error_code;
using pusher::store_batch;
using pusher::store_record;

/// What a store in memory does wrong.
enum class fault {
    none,
    keeps_half_a_batch,
    takes_gaps,
    takes_what_has_no_log,
    takes_no_items,
    takes_a_log_twice,
    reports_another_condition,
    forgets_values,
    forgets_meta,
    forgets_next,
    forgets_first,
    begins_at_one,
    cuts_at_nul,
    ignores_case,
    trims_records_too_early,
    trims_records_too_late,
    trims_backwards,
    reads_from_the_next_record,
    reads_one_byte_more,
    reads_nothing_large,
    reads_everything,
    erases_no_records,
    erases_the_next_log_too,
    keeps_erased_values,
    values_in_no_order,
    answers_twice,
    answers_after_close,
    keeps_handlers,
    never_answers_empty_batches,
    commits_backwards,
    reads_late,
    fails_after_a_failure,
};
constexpr auto last_fault = fault::fails_after_a_failure;

/// What is kept in a place.
struct memory {
    struct log {
        std::string meta;
        std::uint64_t first = 1;
        std::uint64_t next = 1;
        std::vector<store_record> records;
    };
    std::map<std::string, log> logs;
    std::map<std::string, std::string> values;
};

class memory_store final : public pusher::store {
public:
    memory_store(const boost::asio::any_io_executor& e, std::shared_ptr<memory> m, fault f)
        : executor_(e),
          memory_(std::move(m)),
          fault_(f),
          life_(std::make_shared<life>()) {}
    ~memory_store() override { close(); }

    void open(open_handler done) override {
        pusher::store_contents found;
        for (const auto& [name, l] : memory_->logs)
            found.logs.push_back(
                {name, is(fault::forgets_meta) ? "" : l.meta, is(fault::forgets_first) ? 1 : l.first,
                 is(fault::forgets_next) && l.records.empty() ? 1 : l.next});
        if (is(fault::forgets_next))
            for (auto& [name, l] : memory_->logs)
                if (l.records.empty())
                    l.next = l.first = 1;
        if (is(fault::forgets_values))
            memory_->values.clear();
        found.values.assign(memory_->values.begin(), memory_->values.end());
        if (is(fault::values_in_no_order))
            std::reverse(found.values.begin(), found.values.end());
        later([done = std::move(done), found = std::move(found)]() mutable { done({}, std::move(found)); });
    }

    void commit(store_batch batch, commit_handler done) override {
        if (is(fault::never_answers_empty_batches) && batch.empty())
            return;
        if (is(fault::commits_backwards)) {
            backwards_.emplace_front(std::move(batch), std::move(done));
            if (backwards_.size() == 1)
                later([this] {
                    for (auto& [b, d] : std::exchange(backwards_, {}))
                        d(make(b));
                });
            return;
        }
        const auto result = make(batch);
        later([twice = is(fault::answers_twice), done = std::move(done), result] {
            done(result);
            if (twice)
                done(result);
        });
    }

    void read(std::string name, std::uint64_t from, std::size_t most, read_handler done) override {
        std::vector<store_record> got;
        const auto log = (is(fault::reads_late) ? before_ : *memory_).logs.find(key(name));
        if (log != (is(fault::reads_late) ? before_ : *memory_).logs.end()) {
            const auto& l = log->second;
            std::size_t bytes = 0;
            for (const auto& r : l.records) {
                const auto end = is(fault::reads_from_the_next_record) ? r.first + 1 : r.first + r.count;
                if (end <= std::max(from, l.first) && !is(fault::reads_everything))
                    continue;
                const auto limit =
                    is(fault::reads_one_byte_more) && most != ~std::size_t{0} ? most + 1 : most;
                if ((!got.empty() || is(fault::reads_nothing_large)) &&
                    (bytes > limit || r.bytes.size() > limit - bytes))
                    break;
                bytes += r.bytes.size();
                got.push_back(r);
            }
        }
        later([done = std::move(done), got = std::move(got)]() mutable { done({}, std::move(got)); });
    }

    void close() noexcept override {
        if (!is(fault::answers_after_close))
            life_->over = true;
        if (!is(fault::keeps_handlers))
            life_->queue.clear();
    }

private:
    struct life {
        std::deque<std::function<void()>> queue;
        bool over = false;
        std::shared_ptr<life> itself; ///< with `keeps_handlers`
    };

    [[nodiscard]] bool is(fault f) const noexcept { return fault_ == f; }

    template <class F>
    void later(F f) {
        if (is(fault::keeps_handlers))
            kept().push_back(std::make_shared<F>(f));
        if (is(fault::answers_after_close)) {
            boost::asio::post(executor_, std::move(f));
            return;
        }
        life_->queue.push_back(std::move(f));
        boost::asio::post(executor_, [l = life_] {
            if (l->over || l->queue.empty())
                return;
            const auto call = std::move(l->queue.front());
            l->queue.pop_front();
            call();
        });
    }

    static std::vector<std::shared_ptr<void>>& kept() {
        static std::vector<std::shared_ptr<void>> all;
        return all;
    }

    [[nodiscard]] std::string key(std::string name) const {
        if (is(fault::cuts_at_nul))
            name.resize(std::min(name.size(), name.find('\0')));
        if (is(fault::ignores_case) && name == "A")
            name = "a";
        return name;
    }

    error_code make(const store_batch& batch) {
        if (is(fault::fails_after_a_failure) && failed_)
            return errc::store_failed;
        before_ = *memory_;
        for (const auto& c : batch.changes())
            if (const auto ec = make(c)) {
                failed_ = true;
                if (!is(fault::keeps_half_a_batch))
                    *memory_ = before_;
                return is(fault::reports_another_condition) ? make_error_code(errc::not_found) : ec;
            }
        return {};
    }

    error_code make(const store_batch::change& c) {
        using kind = store_batch::change::kind;
        auto& logs = memory_->logs;
        const auto name = key(c.name);
        auto log = logs.find(name);
        switch (c.what) {
        case kind::create_log:
            if (log != logs.end() && !is(fault::takes_a_log_twice))
                return errc::store_failed;
            if (log == logs.end())
                logs[name].meta = c.bytes;
            return {};
        case kind::append: {
            if (log == logs.end() && is(fault::takes_what_has_no_log))
                log = logs.try_emplace(name).first;
            if (log == logs.end() || c.first == 0 || (c.count == 0 && !is(fault::takes_no_items)))
                return errc::store_failed;
            auto& l = log->second;
            if (l.next == 1 && !is(fault::begins_at_one))
                l.first = l.next = c.first;
            if (c.first != l.next && !(is(fault::takes_gaps) && c.first > l.next))
                return errc::store_failed;
            l.next = c.first + c.count;
            l.records.push_back({c.first, c.count, c.bytes});
            return {};
        }
        case kind::trim: {
            if (log == logs.end() || log->second.next == 1)
                return {};
            auto& l = log->second;
            if (c.first <= l.first && !is(fault::trims_backwards))
                return {};
            l.first = std::min(c.first, l.next);
            std::erase_if(l.records, [&](const store_record& r) {
                if (is(fault::trims_records_too_early))
                    return r.first < l.first;
                if (is(fault::trims_records_too_late))
                    return r.first + r.count < l.first;
                return r.first + r.count <= l.first;
            });
            if (is(fault::trims_records_too_late) && !l.records.empty())
                l.first = std::min(l.first, l.records.front().first);
            return {};
        }
        case kind::erase_log:
            if (log == logs.end())
                return {};
            if (is(fault::erases_no_records)) {
                erased_ = log->second.records;
                log->second = {};
                log->second.records = erased_;
                return {};
            }
            log = logs.erase(log);
            if (is(fault::erases_the_next_log_too) && log != logs.end())
                logs.erase(log);
            return {};
        case kind::put: memory_->values[key(c.name)] = c.bytes; return {};
        case kind::erase:
            if (!is(fault::keeps_erased_values))
                memory_->values.erase(name);
            return {};
        }
        return errc::store_failed;
    }

    boost::asio::any_io_executor executor_;
    std::shared_ptr<memory> memory_;
    fault fault_;
    std::shared_ptr<life> life_;
    memory before_; ///< the last batch
    std::vector<store_record> erased_;
    std::deque<std::pair<store_batch, commit_handler>> backwards_;
    bool failed_ = false;
};

/// Stores with that fault, in memory that lasts as long as this.
pusher::testing::store_suite_params stores_with(fault f) {
    auto places = std::make_shared<std::map<std::string, std::shared_ptr<memory>>>();
    return {
        .make = [places, f](const boost::asio::any_io_executor& e, const std::string& place)
            -> std::unique_ptr<pusher::store> {
            auto& m = (*places)[place];
            if (!m)
                m = std::make_shared<memory>();
            return std::make_unique<memory_store>(e, m, f);
        },
        .deadline = std::chrono::milliseconds(f == fault::never_answers_empty_batches ? 50 : 20'000),
        .large_record = 100'000};
}

} // namespace

TEST_CASE("store suite: a store that does what it should passes") {
    for (const auto& each : pusher::testing::store_cases()) {
        INFO(each.name);
        CHECK_NOTHROW(each.run(stores_with(fault::none)));
    }
    CHECK_NOTHROW(pusher::testing::run_store_suite(stores_with(fault::none)));
}

TEST_CASE("store suite: a store that does one thing else is caught, and told what it is") {
    const auto f = static_cast<fault>(GENERATE(range(1, static_cast<int>(last_fault) + 1)));
    INFO("fault " << static_cast<int>(f));
    std::string said;
    try {
        pusher::testing::run_store_suite(stores_with(f));
    } catch (const pusher::testing::store_breach& e) {
        said = e.what();
    }
    INFO(said);
    // The case, and what went wrong in it.
    CHECK(said.find(": ") != said.npos);
    if (f == fault::never_answers_empty_batches)
        CHECK(said.ends_with("the handler of a commit is not called"));
    if (f == fault::keeps_half_a_batch)
        CHECK(said.starts_with("a batch is made as a whole or not at all: after a batch with"));
    if (f == fault::reads_one_byte_more)
        CHECK(said.find("reads the records at 11 16 and not those at 11") != said.npos);
}

TEST_CASE("store suite: a store that has to be told to go on is told so") {
    auto stores = stores_with(fault::none);
    int told = 0;
    stores.pump = [&] { ++told; };
    CHECK_NOTHROW(pusher::testing::run_store_suite(stores));
    CHECK(told > 100);
}
