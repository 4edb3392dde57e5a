#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Measures servers against each other and against the raw limit, and prints Markdown tables.

Each measurement starts a server of its own, pinned to one core, and the load generator on another. All servers take
turns within a repetition, since a machine drifts by more than they differ; ratios are taken to the raw limit of the
same repetition, and are what to trust. Figures are medians, with the lowest and highest beside them.
"""
import argparse
import dataclasses
import json
import os
import platform
import select
import shlex
import statistics
import subprocess
import sys
import time

# The servers that are measured where their program is there; `raw` is what the others are compared with.
KNOWN = {"raw": "rival_raw", "beast": "rival_beast", "pusher": "hub_bench"}

# The part `history` measures the library against itself: histories so short that they are full and forget.
WITH_HISTORY = "pusher with history"


@dataclasses.dataclass(frozen=True)
class Work:
    part: str
    name: str
    load: str
    server: str = ""
    quick: bool = False


WORKS = [
    Work("fan-out", "K=1, 128 B", "--per-turn 1", quick=True),
    Work("fan-out", "K=32, 128 B", "--per-turn 32", quick=True),
    Work("fan-out", "K=64, 128 B", "--per-turn 64", quick=True),
    Work("fan-out", "K=32, 1 KiB", "--per-turn 32 --bytes 1024"),
    Work("fan-out", "K=32, 1 KiB, 5000 sessions", "--per-turn 32 --bytes 1024 --sessions 5000"),
    Work("fan-out", "10 of 100 topics, K=32, 128 B", "--per-turn 32 --topics 100 --topics-per-session 10"),
    Work("fan-out", "10 of 100 topics, K=256, 128 B", "--per-turn 256 --topics 100 --topics-per-session 10"),
    Work("fan-out", "all of 100 topics, K=32, 128 B", "--per-turn 32 --topics 100 --topics-per-session 100"),
    Work("fan-out", "all of 100 topics, K=100, 128 B", "--per-turn 100 --topics 100 --topics-per-session 100"),
    Work("fan-out", "100,000 topics of one subscription each, K=32, 128 B",
         "--per-turn 32 --topics 100000 --topics-per-session 100 --assign block"),
    Work("history", "K=1, 128 B", "--per-turn 1"),
    Work("history", "K=32, 128 B", "--per-turn 32", quick=True),
    Work("history", "K=64, 128 B", "--per-turn 64"),
    Work("history", "10 of 100 topics, K=256, 128 B", "--per-turn 256 --topics 100 --topics-per-session 10"),
    Work("latency", "50 messages/s, 1000 sessions, 128 B", "--rate 50", quick=True),
    Work("latency", "200 messages/s, 1000 sessions, 128 B", "--rate 200"),
    Work("idle", "one subscription", "--mode idle --sessions 10000", quick=True),
    Work("idle", "11 subscriptions",
         "--mode idle --sessions 10000 --topics 1000 --topics-per-session 11"),
    # 2 MB for each session, so that the stuck ones fill the system's buffers and then the server's own.
    Work("stuck", "1000 readers", "--sessions 1000 --rate 60 --turns 240 --bytes 8192", "--sndbuf 65536"),
    Work("stuck", "1000 readers and one that never reads",
         "--sessions 1000 --rate 60 --turns 240 --bytes 8192 --stuck 1 --stuck-rcvbuf 65536 --overflow drop",
         "--sndbuf 65536"),
    Work("stuck", "960 readers", "--sessions 960 --rate 60 --turns 240 --bytes 8192", "--sndbuf 65536"),
    Work("stuck", "960 readers and 40 that never read",
         "--sessions 960 --rate 60 --turns 240 --bytes 8192 --stuck 40 --stuck-rcvbuf 65536 --overflow drop",
         "--sndbuf 65536"),
]


def cores():
    """One core for the server and another for the generator; both the same where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core})


class Server:
    """A server under test, for as long as it is in use."""

    def __init__(self, command, core):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=pinned(core))
        try:
            ready, _, _ = select.select([self.process.stdout], [], [], 10)
            line = self.process.stdout.readline().decode() if ready else ""
            if not line.startswith("listening "):
                raise RuntimeError(f"{command[0]} said {line!r}, and not where it listens")
            self.port = int(line.rsplit(":", 1)[1])
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def measure(load, command, work, arguments):
    """The generator's JSON object, or one with the reason why there is none."""
    server_core, load_core = cores()
    with Server(shlex.split(command) + shlex.split(work.server), server_core) as server:
        call = [load, "--port", str(server.port), "--server-pid", str(server.process.pid),
                "--dialect", arguments.dialect, *shlex.split(work.load)]
        if work.part != "idle" and "--turns" not in work.load:
            call += ["--millis", str(arguments.millis)]
        try:
            done = subprocess.run(call, capture_output=True, text=True, timeout=120 + arguments.millis / 100,
                                  preexec_fn=pinned(load_core))
        except subprocess.TimeoutExpired:
            return {"failed": "it took too long"}
    lines = done.stdout.splitlines()
    result = json.loads(lines[-1]) if lines else {}
    if done.returncode != 0:
        result["failed"] = done.stderr.strip() or f"exit status {done.returncode}"
    return result


def show(values, scale=1.0):
    """The median, and what it lies between."""
    def text(value):
        value /= scale
        return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2f}"
    middle = text(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({text(min(values))}–{text(max(values))})"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def servers_of(part, servers):
    """The names of those that take part."""
    return [s for s in servers if (s in ("pusher", WITH_HISTORY) if part == "history" else s != WITH_HISTORY)]


class Report:
    def __init__(self, servers):
        self.servers = servers
        self.results = {}  # (work, server) -> one result per repetition

    def add(self, work, server, result):
        self.results.setdefault((work, server), []).append(result)

    def values(self, work, server, pick):
        """One value per repetition that went well, None where it did not."""
        return [None if "failed" in r else pick(r) for r in self.results.get((work, server), [])]

    def cell(self, work, server, pick, scale=1.0, baseline=""):
        values = self.values(work, server, pick)
        good = [v for v in values if v is not None]
        if not good:
            return "failed" if values else "–"
        text = show(good, scale)
        pairs = zip(values, self.values(work, baseline, pick))
        ratios = [a / b for a, b in pairs if a is not None and b]
        if server != baseline and ratios:
            text += f" · **{statistics.median(ratios):.3f}**"
            if len(ratios) > 1:
                text += f" ({min(ratios):.3f}–{max(ratios):.3f})"
        return text

    def works(self, part):
        return [w for w in WORKS if w.part == part and any((w, s) in self.results for s in self.servers)]

    def print_part(self, part, title, pick, scale=1.0, baseline=""):
        servers = servers_of(part, self.servers)
        rows = [[w.name, *(self.cell(w, s, pick, scale, baseline) for s in servers)] for w in self.works(part)]
        if rows:
            print(f"**{title}**\n")
            table(["work", *servers], rows)

    def print_latency(self, part, title, extra=()):
        rows = []
        for work in self.works(part):
            for server in self.servers:
                if (work, server) in self.results:
                    picks = [lambda r, q=q: r["latency_us"][q] for q in ("p50", "p99", "p999")]
                    rows.append([work.name, server, *(self.cell(work, server, pick) for pick in picks),
                                 *(self.cell(work, server, pick, scale) for _, pick, scale in extra)])
        if rows:
            print(f"**{title}**\n")
            table(["work", "server", "p50", "p99", "p99.9", *(name for name, _, _ in extra)], rows)

    def print_all(self):
        self.print_part("fan-out", "Deliveries per second, in thousands; in bold the ratio to raw in the same run",
                        lambda r: r["deliveries_per_second"], 1000, "raw")
        self.print_part("fan-out", "The same for each second of the server's CPU time, which other work disturbs less",
                        lambda r: r["deliveries_per_cpu_second"], 1000, "raw")
        self.print_part("history", "Deliveries per second, in thousands, where each topic keeps its last 1000 messages; "
                                   "in bold the ratio to pusher without",
                        lambda r: r["deliveries_per_second"], 1000, "pusher")
        self.print_part("history", "The same for each second of the server's CPU time",
                        lambda r: r["deliveries_per_cpu_second"], 1000, "pusher")
        self.print_latency("latency", "Latency in µs, from when a message was due until it was read")
        self.print_part("idle", "Memory for each idle session, bytes of the server's own pages",
                        lambda r: r["pss_per_session"])
        self.print_latency("stuck", "Readers beside sessions that never read: the readers' latency in µs",
                           [("the server grew by, KiB",
                             lambda r: r["memory_after"]["pss"] - r["memory_before"]["pss"], 1024),
                            ("dropped", lambda r: r["flow"]["dropped"], 1)])

    def print_notes(self):
        every = [(w, s, r) for (w, s), results in self.results.items() for r in results]
        others = [r["cpu"]["others"] for _, _, r in every if "cpu" in r]
        if others:
            print(f"Other work on the machine meanwhile, in cores: {show(others)}."
                  + (" That is too much: measure again on a quiet machine." if statistics.median(others) > 0.1 else ""))
        for work, server, result in every:
            if "failed" in result:
                print(f"Failed: {server}, {work.name}: {result['failed']}")
            elif result.get("saturated") == "load" or (
                    result.get("saturated") == "both" and result["drain_seconds"] > 0.1 * result["seconds"]):
                print(f"The generator may have been the bottleneck: {server}, {work.name}"
                      f" (generator {result['cpu']['load']:.2f}, server {result['cpu']['server']:.2f} of a core).")

    @property
    def failed(self):
        return any("failed" in r for results in self.results.values() for r in results)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown CPU")
    server_core, load_core = cores()
    place = f"server on core {server_core}, generator on core {load_core}"
    if server_core == load_core:
        place = "server and generator share the only core, so the figures say little"
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}; {place}."


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", help="the folder with the built benchmarks")
    parser.add_argument("--quick", action="store_true", help="a minute: the main works, short, one repetition")
    parser.add_argument("--repeat", type=int, help="repetitions (5, quick 1)")
    parser.add_argument("--millis", type=int, help="publishing time of each measurement (2000, quick 1000)")
    parser.add_argument("--dialect", choices=["raw", "native"], default="raw")
    parser.add_argument("--only", default="", help="parts, of fan-out,history,replay,store,latency,idle,stuck")
    parser.add_argument("--servers", default="", help="of those known, only these: raw,beast,pusher")
    parser.add_argument("--server", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more server that speaks the control protocol")
    parser.add_argument("--json", metavar="FILE", help="write every single result there")
    arguments = parser.parse_args()
    arguments.repeat = arguments.repeat or (1 if arguments.quick else 5)
    arguments.millis = arguments.millis or (1000 if arguments.quick else 2000)
    return arguments


def main():
    arguments = parse()
    load = os.path.join(arguments.programs, "load")
    if not os.access(load, os.X_OK):
        sys.exit(f"run.py: {load} is not there: build the benchmarks first")
    wanted = arguments.servers.split(",") if arguments.servers else list(KNOWN)
    servers = {}
    for name in wanted:
        if name not in KNOWN:
            sys.exit(f"run.py: unknown server: {name}")
        program = os.path.join(arguments.programs, KNOWN[name])
        if os.access(program, os.X_OK):
            servers[name] = shlex.quote(program)
        elif arguments.servers:
            sys.exit(f"run.py: {program} is not there")
    if "pusher" in servers:
        servers[WITH_HISTORY] = servers["pusher"] + " --history 1000"
    servers.update(given.split("=", 1) for given in arguments.server)
    parts = (arguments.only.split(",") if arguments.only
             else ["fan-out", "history", "replay", "store", "latency", "idle", "stuck"])
    works = [w for w in WORKS
             if w.part in parts and (w.quick or not arguments.quick) and servers_of(w.part, servers)]
    report = Report(list(servers))

    begin = time.monotonic()
    raw_json = []
    for repetition in range(arguments.repeat):
        for work in works:
            names = servers_of(work.part, servers)
            for name in names[repetition % len(names):] + names[:repetition % len(names)]:
                print(f"{time.monotonic() - begin:5.0f} s  {repetition + 1}/{arguments.repeat}  {work.name}: {name}",
                      file=sys.stderr)
                result = measure(load, servers[name], work, arguments)
                report.add(work, name, result)
                raw_json.append({"work": work.name, "part": work.part, "server": name, "repetition": repetition,
                                 **result})

    print(f"{machine()} Dialect {arguments.dialect}, {arguments.repeat} repetitions of {arguments.millis} ms, "
          f"1000 sessions unless said otherwise, K messages published per turn.\n")
    report.print_all()
    alone_failed = 0  # parts that are programs of their own
    for part in ["replay", "store"]:
        program = os.path.join(arguments.programs, part)
        if part in parts and os.access(program, os.X_OK):
            sys.stdout.flush()
            call = [program, "--repeat", str(arguments.repeat)]
            if part == "store":
                call += ["--millis", str(arguments.millis)]
            alone_failed |= subprocess.run(call, check=False).returncode
    report.print_notes()
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(raw_json, file, indent=1)
    sys.exit(1 if report.failed or alone_failed else 0)


if __name__ == "__main__":
    main()
