// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The load generator: opens sessions to a server under test, has it publish, checks that each message comes
// once and in order on each subscription, and prints one line of JSON per run. benchmarks/README.md describes
// protocol and options.

#include "support/control.hpp"
#include "support/fleet.hpp"
#include "support/histogram.hpp"
#include "support/options.hpp"
#include "support/system.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bench;

constexpr const char* usage =
    "load --port P [options]\n"
    "what is opened:\n"
    "  --mode run|idle|connect idle only opens sessions, and reports the server's memory; connect opens "
    "them\n"
    "                          as fast as they are taken, and reports the rate (run)\n"
    "  --control-port P        the control connection goes there (--port)\n"
    "  --dialect NAME          raw: subscribe by URL on /raw, native: by request on /ws, events: "
    "server-sent\n"
    "                          ones; on TCP itself lines: native, frames: raw; and faye, socketio, "
    "centrifuge,\n"
    "                          nats, redis, mqtt (raw)\n"
    "  --sessions N            sessions that read (1000)\n"
    "  --stuck S               further sessions that subscribe and never read (0)\n"
    "  --topics M              topics t0 to t<M-1>; message i goes to topic i mod M (1)\n"
    "  --topics-per-session D  subscriptions of each session (1)\n"
    "  --assign random|block   which topics: a random choice, or the next D of all (random)\n"
    "  --sources A             connect from A addresses, 127.0.1.1 and so on; 0: the system's choice (0)\n"
    "  --deflate               WebSockets offer permessage-deflate, and must get it\n"
    "  --rcvbuf BYTES          SO_RCVBUF of readers; 0: the system's choice (0)\n"
    "  --stuck-rcvbuf BYTES    SO_RCVBUF of stuck sessions (0)\n"
    "what is published:\n"
    "  --per-turn K            messages for each turn of the server's event loop (1)\n"
    "  --bytes B               payload, at least 16, where it is text 32 (128)\n"
    "  --fill letter|json      what it consists of; json only in raw and frames (letter)\n"
    "  --turns T               end after T turns; 0: no limit (0)\n"
    "  --millis MS             end after that time; 0: no limit (2000 unless --turns is given)\n"
    "  --rate R                turns per second; 0: as fast as flow control allows (0)\n"
    "  --overflow wait|drop    what a server without a policy of its own does with slow sessions\n"
    "                          (wait; drop with --stuck)\n"
    "how it is measured:\n"
    "  --repeat N              runs on the same sessions, a line of JSON each (1)\n"
    "  --warm-up MS            an unreported run before (200)\n"
    "  --drain-stuck           after the run, read all that the stuck sessions are due\n"
    "  --patience MS           give up when nothing has come for so long (5000)\n"
    "  --server-pid PID[,PID]  report the CPU time and memory of these processes together\n"
    "  --watch MS              mode idle: also report the server's CPU time while they do nothing for so "
    "long\n"
    "                          (0)\n"
    "  --hold                  mode idle: keep the sessions until stdin ends\n";

/// One JSON object, field by field.
class json_line {
public:
    json_line& add(std::string_view name, std::uint64_t value) { return put(name, std::to_string(value)); }
    json_line& add(std::string_view name, double value) {
        char text[40];
        std::snprintf(text, sizeof text, "%.3f", value);
        return put(name, text);
    }
    json_line& add(std::string_view name, const char* value) {
        return put(name, '"' + std::string(value) + '"');
    }
    json_line& flag(std::string_view name, bool value) { return put(name, value ? "true" : "false"); }
    json_line& add(std::string_view name, const json_line& value) {
        return put(name, '{' + value.text_ + '}');
    }

    void print() const {
        std::printf("{%s}\n", text_.c_str());
        std::fflush(stdout);
    }

private:
    json_line& put(std::string_view name, const std::string& value) {
        text_ += text_.empty() ? "\"" : ",\"";
        text_ += name;
        text_ += "\":" + value;
        return *this;
    }

    std::string text_;
};

/// CPU time of all concerned, to see who was the bottleneck.
struct cpu_times {
    std::uint64_t wall = steady_ns();
    std::uint64_t load = process_cpu_ns(::getpid());
    std::uint64_t server = 0;
    std::uint64_t machine = machine_busy_ns();

    explicit cpu_times(const std::vector<pid_t>& pids) {
        for (const auto pid : pids)
            server += process_cpu_ns(pid);
    }
};

json_line to_json(const tally& t) {
    return json_line()
        .add("expected", t.expected)
        .add("received", t.received)
        .add("announced", t.announced)
        .add("lost", t.expected - std::min(t.expected, t.received + t.announced))
        .add("disorder", t.disorder)
        .add("foreign", t.foreign)
        .add("bad", t.bad)
        .add("closed", t.closed);
}

json_line to_json(const memory_use& memory) {
    return json_line().add("rss", memory.rss).add("pss", memory.pss);
}

class program {
public:
    program(int argc, char** argv) {
        options given(argc, argv, usage);
        params_.port = given.port("--port");
        params_.control_port = given.port("--control-port");
        params_.dialect = given.text("--dialect", "raw");
        const auto assign = given.text("--assign", "random");
        params_.sessions = given.number("--sessions", 1000);
        params_.stuck = given.number("--stuck", 0);
        params_.topics = given.number("--topics", 1, 1);
        params_.per_session = given.number("--topics-per-session", 1, 1);
        params_.sources = given.number("--sources", 0);
        params_.deflate = given.flag("--deflate");
        params_.rcvbuf = static_cast<int>(given.number("--rcvbuf", 0));
        params_.stuck_rcvbuf = static_cast<int>(given.number("--stuck-rcvbuf", 0));
        params_.patience_ms = static_cast<int>(given.number("--patience", 5000));
        const auto known = make_dialect(params_.dialect);
        params_.block = assign == "block";
        order_.topics = params_.topics;
        order_.per_turn = given.number("--per-turn", 1, 1);
        order_.bytes = given.number("--bytes", 128);
        order_.turns = given.number("--turns", 0);
        order_.millis = given.number("--millis", order_.turns == 0 ? 2000 : 0);
        order_.rate = given.number("--rate", 0);
        order_.stamp = known ? known->stamp() : stamp::binary;
        const auto fill = given.text("--fill", "letter");
        order_.fill = fill == "json" ? fill::json : fill::letter;
        watch_ = given.number("--watch", 0);
        const auto overflow = given.text("--overflow", params_.stuck == 0 ? "wait" : "drop");
        order_.overflow = overflow == "drop" ? overflow::drop : overflow::wait;
        repeat_ = given.number("--repeat", 1, 1);
        warm_up_ = given.number("--warm-up", 200);
        drain_stuck_ = given.flag("--drain-stuck");
        for (std::string list = given.text("--server-pid", ""); !list.empty();) {
            const auto end = std::min(list.find(','), list.size());
            pids_.push_back(std::atoi(list.substr(0, end).c_str()));
            list.erase(0, end + 1);
        }
        hold_ = given.flag("--hold");
        mode_ = given.text("--mode", "run");
        given.done();
        if (params_.port == 0)
            given.fail("--port is missing", "");
        if ((mode_ != "run" && mode_ != "idle" && mode_ != "connect") || !known ||
            (assign != "random" && assign != "block") || (overflow != "wait" && overflow != "drop"))
            given.fail("unknown value of: ", "--mode, --dialect, --assign or --overflow");
        if ((fill != "letter" && fill != "json") || (fill == "json" && order_.stamp != stamp::binary))
            given.fail("not with that dialect: --fill ", fill);
        if (params_.stuck != 0 && repeat_ != 1)
            given.fail("not together: ", "--stuck --repeat");
        if (!parse_publish(to_line(order_)))
            given.fail("cannot be published: ", to_line(order_));
    }

    /// Whether all was as it should be.
    bool run() {
        fleet sessions(params_);
        return mode_ == "idle" ? idle(sessions) : mode_ == "connect" ? connect(sessions) : publish(sessions);
    }

private:
    [[nodiscard]] memory_use memory() const {
        memory_use sum;
        for (const auto pid : pids_) {
            const auto part = process_memory(pid);
            sum.rss += part.rss;
            sum.pss += part.pss;
        }
        return sum;
    }

    /// Memory once it has stopped changing.
    [[nodiscard]] memory_use settled_memory() const {
        auto now = memory();
        for (int i = 0; !pids_.empty() && i != 12; ++i) {
            ::usleep(250'000);
            const auto before = std::exchange(now, memory());
            if (before.rss == now.rss)
                break;
        }
        return now;
    }

    bool idle(fleet& sessions) {
        // A few sessions first, so that code and tables that are loaded once are not charged to the sessions.
        sessions.open(std::min<std::uint64_t>(8, params_.sessions));
        sessions.abort();
        sessions.await_count();
        const auto before = settled_memory();
        const auto from = steady_ns();
        sessions.open(params_.sessions);
        const auto took = steady_ns() - from;
        const auto after = settled_memory();
        const auto each = [this](std::uint64_t low, std::uint64_t high) {
            return (static_cast<double>(high) - static_cast<double>(low)) /
                   static_cast<double>(params_.sessions);
        };
        json_line line;
        describe(line, "idle");
        line.add("open_seconds", static_cast<double>(took) / 1e9);
        if (!pids_.empty())
            line.add("before", to_json(before))
                .add("after", to_json(after))
                .add("rss_per_session", each(before.rss, after.rss))
                .add("pss_per_session", each(before.pss, after.pss));
        if (watch_ != 0)
            watch(sessions, line);
        line.print();
        while (hold_ && std::getchar() != EOF) {
        }
        sessions.await_count(); // all of them are still there
        return true;
    }

    /// What sessions that do nothing cost: heartbeats, and whatever else the server does about them.
    void watch(fleet& sessions, json_line& line) {
        const auto pings = sessions.pings();
        const cpu_times before(pids_);
        sessions.idle(watch_);
        const cpu_times after(pids_);
        const auto wall = static_cast<double>(after.wall - before.wall);
        const auto share = [wall](std::uint64_t from, std::uint64_t to) {
            return static_cast<double>(to - from) / wall;
        };
        const auto load = share(before.load, after.load);
        const auto server = share(before.server, after.server);
        line.add("watched_seconds", wall / 1e9)
            .add(
                "pings_per_session",
                static_cast<double>(sessions.pings() - pings) / static_cast<double>(params_.sessions));
        json_line cpu;
        cpu.add("load", load);
        if (!pids_.empty())
            cpu.add("server", server)
                .add("others", std::max(0.0, share(before.machine, after.machine) - load - server));
        line.add("cpu", cpu);
    }

    /// Handshakes and first subscriptions, some at a time.
    bool connect(fleet& sessions) {
        for (std::uint64_t i = 0; i != repeat_ + 1; ++i) {
            // A few sessions first, for what is slow only once.
            const auto count = i == 0 ? std::min(max_handshakes, params_.sessions) : params_.sessions;
            const cpu_times before(pids_);
            sessions.hurry(count);
            const cpu_times after(pids_);
            sessions.await_count();
            sessions.abort();
            sessions.await_count();
            if (i == 0)
                continue;
            const auto wall = static_cast<double>(after.wall - before.wall);
            const auto each = static_cast<double>(count);
            const auto load = static_cast<double>(after.load - before.load);
            const auto server = static_cast<double>(after.server - before.server);
            json_line line;
            describe(line, "connect");
            line.add("seconds", wall / 1e9)
                .add("sessions_per_second", each / wall * 1e9)
                .add("load_cpu_us_per_session", load / each / 1e3);
            json_line cpu;
            cpu.add("load", load / wall);
            if (!pids_.empty()) {
                line.add("server_cpu_us_per_session", server / each / 1e3);
                cpu.add("server", server / wall);
                cpu.add(
                    "others",
                    std::max(0.0, static_cast<double>(after.machine - before.machine) - load - server) /
                        wall);
            }
            line.add("cpu", cpu);
            line.print();
        }
        return true;
    }

    bool publish(fleet& sessions) {
        sessions.open(params_.sessions);
        if (warm_up_ != 0) {
            auto order = order_;
            order.turns = 0;
            order.millis = warm_up_;
            sessions.run(order, latency_);
        }
        if (params_.stuck != 0)
            sessions.open(params_.stuck);
        bool good = true;
        for (std::uint64_t i = 0; i != repeat_ && good; ++i)
            good = measure(sessions);
        return good;
    }

    bool measure(fleet& sessions) {
        const auto memory_before = memory();
        const cpu_times before(pids_);
        auto result = sessions.run(order_, latency_);
        const cpu_times after(pids_);
        const auto memory_after = memory();
        if (drain_stuck_)
            sessions.drain_stuck(result);

        const auto seconds = static_cast<double>(result.last_ns - result.first_ns) / 1e9;
        const auto publishing = static_cast<double>(number_of(result.done, "elapsed_ns").value_or(0)) / 1e9;
        const auto wall = static_cast<double>(after.wall - before.wall);
        const auto share = [wall](std::uint64_t from, std::uint64_t to) {
            return static_cast<double>(to - from) / wall;
        };
        const auto load = share(before.load, after.load);
        const auto server = share(before.server, after.server);
        const bool good = result.readers.correct();
        // Neither gets a whole core where others are at work, so the one that got more is the narrow place.
        const bool load_full = load > 0.75 && load > server - 0.05;
        const bool server_full = server > 0.75 && server > load - 0.05;

        json_line line;
        describe(line, "run");
        line.add("per_turn", order_.per_turn)
            .add("bytes", order_.bytes)
            .add("rate", order_.rate)
            .flag("correct", good)
            .add("messages", number_of(result.done, "messages").value_or(0))
            .add("seconds", seconds)
            .add("drain_seconds", seconds - publishing)
            .add(
                "deliveries_per_second",
                static_cast<double>(result.readers.received) / std::max(seconds, 1e-9))
            .add("received_bytes", result.readers.bytes)
            .add("readers", to_json(result.readers));
        if (params_.stuck != 0)
            line.add("stuck_sessions", to_json(result.stuck));
        if (order_.rate != 0)
            line.add(
                "latency_us", json_line()
                                  .add("p50", micros(0.5))
                                  .add("p99", micros(0.99))
                                  .add("p999", micros(0.999))
                                  .add("max", static_cast<double>(latency_.max()) / 1e3));
        line.add(
            "flow", json_line()
                        .add("waits", number_of(result.done, "waits").value_or(0))
                        .add("peak", number_of(result.done, "peak").value_or(0))
                        .add("dropped", number_of(result.done, "dropped").value_or(0)));
        json_line cpu;
        cpu.add("load", load);
        if (!pids_.empty()) {
            // What neither of the two used: other work on the machine, which spoils the figures.
            const auto others = share(before.machine, after.machine) - load - server;
            cpu.add("server", server).add("others", std::max(0.0, others));
            // Less disturbed by other work than what is counted by the clock on the wall.
            line.add(
                "deliveries_per_cpu_second",
                static_cast<double>(result.readers.received) / std::max(server * wall / 1e9, 1e-9));
            line.add(
                "saturated", server_full && load_full ? "both"
                             : server_full            ? "server"
                             : load_full              ? "load"
                                                      : "none");
            line.add("memory_before", to_json(memory_before)).add("memory_after", to_json(memory_after));
        }
        line.add("cpu", cpu);
        line.print();
        if (load_full && !server_full)
            std::fputs("load: the generator, not the server, was the bottleneck\n", stderr);
        if (!good)
            std::fputs("load: messages were lost, repeated, reordered or damaged\n", stderr);
        return good;
    }

    [[nodiscard]] double micros(double part) const {
        return static_cast<double>(latency_.quantile(part)) / 1e3;
    }

    void describe(json_line& line, const char* mode) const {
        line.add("mode", mode)
            .add("dialect", params_.dialect.c_str())
            .add("sessions", params_.sessions)
            .add("stuck", params_.stuck)
            .add("topics", params_.topics)
            .add("topics_per_session", params_.per_session);
    }

    fleet_params params_;
    publish_order order_;
    histogram latency_;
    std::uint64_t repeat_ = 1;
    std::uint64_t warm_up_ = 0;
    std::uint64_t watch_ = 0; // milliseconds
    std::vector<pid_t> pids_;
    std::string mode_;
    bool hold_ = false;
    bool drain_stuck_ = false;
};

} // namespace

int main(int argc, char** argv) {
    try {
        return program(argc, argv).run() ? 0 : 1;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "load: %s\n", e.what());
        return 1;
    }
}
