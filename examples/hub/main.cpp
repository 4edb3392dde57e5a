// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The hub: a broker that is ready to run. It listens at addresses given on the command line, serves a page to
// try it with, and ends in good order.
//
//   hub                                          # then open http://127.0.0.1:8080/
//   hub --http 0.0.0.0:80 --tcp off --udp off --history 100 --token s3cret=alice
//   hub --help

#include "access.hpp"
#include "log.hpp"
#include "options.hpp"
#include "page.hpp"
#include "web.hpp"

#include <pusher/broker_group.hpp>
#include <pusher/ext/sqlite_store.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using hub::log_level;

/// What cannot be done at all: its text is for the user.
struct failure {
    std::string text;
};

pusher::broker_params params_of(const hub::options& o, hub::log& log) {
    pusher::broker_params p;
    p.history.messages = o.history;
    p.idempotency.messages = o.idempotency;
    p.outbox.messages = o.outbox;
    p.outbox.bytes = std::clamp<std::size_t>(o.outbox * 4096, 1 << 20, 1 << 30);
    // What waits for a session has room where it is kept for its user.
    p.parking.messages = std::max(p.parking.messages, p.outbox.messages);
    p.parking.bytes = std::max(p.parking.bytes, p.outbox.bytes);
    p.parking.ttl = o.parked_for;
    p.acknowledgement = {o.ack_window, o.ack_timeout};
    p.durable.expiry = o.durable_for;
    p.memory_bytes = std::max<std::size_t>((o.memory_mib << 20) / o.threads, 1 << 20); // each its part
    p.outbox.overflow = o.overflow;
    p.topic_policies = o.topic_policies;
    for (const auto& l : o.on_failure) {
        auto ladder = hub::to_failure_ladder(l, [&log](const pusher::failed_delivery& f) { log.alarm(f); });
        if (l.filter.empty())
            p.on_failure = std::move(ladder);
        else
            p.topic_policies.push_back({.filter = l.filter, .on_failure = std::move(ladder)});
    }
    p.observer = &log;
    if (!o.tokens.empty())
        p.authenticate = [access = hub::access(o.tokens)](
                             const pusher::authentication_request& request,
                             const pusher::authentication_answer& answer) { answer(access.judge(request)); };
    return p;
}

class program {
public:
    explicit program(const hub::options& o)
        : options_(o),
          log_(o.log_level),
          web_(hub::page_html),
          contexts_(o.threads),
          brokers_(contexts_, params_of(o, log_)),
          signals_(contexts_.front(), SIGINT, SIGTERM) {}

    void run() {
        if (options_.store_file.empty())
            listen();
        else
            open_store();
        await_signal();
        // A broker without a listener of its own works for the others, for as long as there are any.
        for (auto& c : contexts_)
            work_.emplace_back(c.get_executor());
        std::vector<std::jthread> threads;
        for (std::size_t i = 1; i != contexts_.size(); ++i)
            threads.emplace_back([&c = contexts_[i]] { c.run(); });
        contexts_.front().run();
        threads.clear();
        log_.write(log_level::info, "the end");
    }

private:
    /// It listens when the histories of its last life are there.
    void open_store() {
        auto store = std::make_unique<pusher::sqlite_store>(
            contexts_.front().get_executor(), pusher::sqlite_params{.file = options_.store_file});
        brokers_[0].async_open(std::move(store), [this](pusher::error_code ec) {
            if (ec == pusher::errc::stopped)
                return; // by a signal
            if (ec)
                throw failure{"cannot open the store " + options_.store_file + ": " + ec.message()};
            listen();
        });
    }

    /// Says where it listens when it listens everywhere.
    void listen() {
        std::string lines;
        const auto add = [&](const std::string& kind, const std::string& where, const auto& params) {
            pusher::error_code ec;
            std::string at = where;
            if (kind == "unix") // which cannot be shared: all of its sessions are in one thread
                brokers_[0].listen(params, ec);
            else if (const auto l = brokers_.listen(params, ec))
                at = l.local_endpoint();
            if (ec)
                throw failure{"cannot listen at " + kind + ' ' + where + ": " + ec.message()};
            lines += "listening " + kind + ' ' + at + '\n';
        };
        const auto text = [](const hub::address& a) {
            const auto host = a.host.find(':') == a.host.npos ? a.host : '[' + a.host + ']';
            return host + ':' + std::to_string(a.port);
        };
        if (const auto& a = options_.http)
            add("http", text(*a),
                pusher::http_params{
                    .listen = pusher::stream_address{a->host, a->port},
                    .deflate = {.enabled = options_.deflate},
                    .handler = [this](const auto& connection) { return web_.answer(connection); }});
        if (const auto& a = options_.tcp)
            add("tcp", text(*a), pusher::tcp_params{.listen = {a->host, a->port}});
        if (const auto& a = options_.raw)
            add("raw", text(*a),
                pusher::tcp_params{.listen = {a->host, a->port}, .dialect = pusher::dialect::raw});
        if (const auto& a = options_.udp)
            add("udp", text(*a), pusher::udp_params{.address = a->host, .port = a->port});
        if (const auto& path = options_.unix_path; !path.empty())
            add("unix", path, pusher::tcp_params{.listen = {.address = "unix:" + path}});
        std::cout << lines << std::flush;
    }

    /// The first signal drains, a second one does not wait for that.
    void await_signal() {
        signals_.async_wait([this](pusher::error_code ec, int) {
            if (ec)
                return;
            if (brokers_[0].stopped())
                return brokers_.cancel();
            log_.write(log_level::info, "draining: once more to stop at once, and lose what is queued");
            // Longer than a link waits for the answer to its goodbye.
            brokers_.async_drain(std::chrono::seconds(10), [this](pusher::error_code drained) {
                if (drained)
                    log_.write(log_level::warning, "the drain was not complete: " + drained.message());
                signals_.cancel();
                work_.clear();
            });
            await_signal();
        });
    }

    hub::options options_;
    hub::log log_;
    hub::web web_;
    std::deque<boost::asio::io_context> contexts_; ///< each with a thread, and a broker of its own
    std::vector<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
    pusher::broker_group<pusher::transport::all> brokers_;
    boost::asio::signal_set signals_;
};

/// Each session is a file descriptor; the usual 1024 are few.
void raise_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        hub::options options;
        if (const auto status = hub::parse(argc, argv, options))
            return *status;
        raise_file_limit();
        std::signal(SIGXFSZ, SIG_IGN); // a file that may not grow is a full disk: the store says so
        program(options).run();
        return 0;
    } catch (const failure& f) {
        std::cerr << "hub: " << f.text << '\n';
        return 2;
    } catch (const std::exception& e) {
        std::cerr << "hub: " << e.what() << '\n';
        return 1;
    }
}
