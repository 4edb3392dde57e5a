#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Measures servers against each other and against the raw limit, and prints Markdown tables.

Each measurement starts a server of its own, pinned to one core, and the load generator on another. All servers take
turns within a repetition, since a machine drifts by more than they differ; ratios are taken to the raw limit of the
same repetition, and are what to trust. Figures are medians, with the lowest and highest beside them. The default set
takes less than ten minutes: where a machine is too slow for that, repetitions are left out, and it is said.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time

from suite.compiling import print_compiling
from suite.measure import measure
from suite.plots import write_plots
from suite.report import Report, order_of
from suite.servers import KNOWN, Missing, cores
from suite.works import CORE_SERVERS, DEFAULT, FULL, QUICK, WITH_HISTORY, chosen

LOADED = ["fan-out", "topics", "dialects", "native", "deflate", "history", "latency", "connect", "idle", "heartbeats",
          "stuck"]  # with the load generator
# Programs of their own, and what they are told: of `{repeat}` and `{millis}`.
ALONE = {
    "transports": ["sessions", "--sessions", "10000"],
    "publish": ["publish", "--repeat", "{repeat}"],
    "churn": ["churn", "--repeat", "{repeat}"],
    "replay": ["replay", "--repeat", "{repeat}"],
    "udp": ["udp", "--repeat", "{repeat}", "--millis", "{millis}"],
    "group": ["group", "--repetitions", "{repeat}", "--millis", "{millis}"],
    "store": ["store", "--repeat", "{repeat}", "--millis", "{millis}"],
}
PARTS = [*LOADED, *ALONE, "compile"]
ONLY_FULL = ["group"]  # beside works that are of that tier

# tier: repetitions, publishing time of each measurement, seconds for all that needs the load generator
AMOUNTS = {QUICK: (1, 700, 60), DEFAULT: (3, 700, 200), FULL: (5, 2000, None)}


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
    tier = parser.add_mutually_exclusive_group()
    tier.add_argument("--quick", action="store_const", dest="tier", const=QUICK, default=DEFAULT,
                      help="about a minute: the library beside raw and beast, one repetition")
    tier.add_argument("--full", action="store_const", dest="tier", const=FULL,
                      help="everything, for hours: all combinations, all servers, five repetitions")
    parser.add_argument("--repeat", type=int, help="repetitions (3; quick 1, full 5)")
    parser.add_argument("--millis", type=int, help="publishing time of each measurement (700; full 2000)")
    parser.add_argument("--seconds", type=int, help="no new repetition of the load generator's parts after that "
                                                    "(200; full: no limit)")
    parser.add_argument("--dialect", choices=["raw", "native"], default="raw",
                        help="of the servers that have no protocol of their own (raw)")
    parser.add_argument("--only", help=f"parts, of {','.join(PARTS)}")
    parser.add_argument("--servers", default="", help=f"of those known, only these: {','.join(KNOWN)}")
    parser.add_argument("--server", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more server that speaks the control protocol")
    parser.add_argument("--json", metavar="FILE", help="write every single result there")
    parser.add_argument("--plots", metavar="FOLDER", help="write plots there, as SVG")
    parser.add_argument("--dry-run", action="store_true", help="only look at these options")
    arguments = parser.parse_args()
    for name, value in zip(("repeat", "millis", "seconds"), AMOUNTS[arguments.tier]):
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    arguments.parts = (arguments.only.split(",") if arguments.only is not None
                       else [p for p in PARTS if arguments.tier == FULL or p not in ONLY_FULL])
    for name in arguments.parts:
        if name not in PARTS:
            parser.error(f"unknown part: {name}")
    if arguments.repeat < 1 or arguments.millis < 1 or (arguments.seconds is not None and arguments.seconds < 1):
        parser.error("--repeat, --millis and --seconds are at least 1")
    for text in arguments.server:
        name, _, command = text.partition("=")
        if not name or not command.strip():
            parser.error(f"--server is NAME=COMMAND, and not {text}")
        if name in KNOWN or name == WITH_HISTORY:
            parser.error(f"--server: {name} is the name of another")
    for name in arguments.servers.split(",") if arguments.servers else []:
        if name not in KNOWN:
            parser.error(f"unknown server: {name}")
    try:  # better now than when all is measured
        if arguments.json and not arguments.dry_run:
            with open(arguments.json, "a", encoding="utf-8"):
                pass
        if arguments.plots and not arguments.dry_run:
            os.makedirs(arguments.plots, exist_ok=True)
    except OSError as error:
        parser.error(str(error))
    return arguments


def find_servers(arguments):
    """Name and command of the servers that can be started, and a line for each that cannot."""
    wanted = arguments.servers.split(",") if arguments.servers else list(KNOWN)
    if arguments.tier == QUICK and not arguments.servers:
        wanted = list(CORE_SERVERS)
    servers, skipped = {}, []
    for name in wanted:
        try:
            servers[name] = KNOWN[name](arguments.programs)
        except Missing as missing:
            skipped.append(f"Skipped: {name}, {missing}.")
    if "pusher" in servers:
        servers[WITH_HISTORY] = servers["pusher"] + " --history 1000"
    servers.update(given.split("=", 1) for given in arguments.server)
    return servers, skipped


def measure_all(arguments, servers, report):
    """Every repetition of every work, as far as time allows; every single result."""
    load = os.path.join(arguments.programs, "load")
    given = [text.split("=", 1)[0] for text in arguments.server]
    # Whom --servers names takes part in everything but what is the library's alone.
    given += [name for name in arguments.servers.split(",") if name]
    begin = time.monotonic()
    results = []
    works = chosen(arguments.tier, arguments.parts)
    for part in dict.fromkeys(work.part for work in works):
        if not any(work.takes(s, given) for work in works if work.part == part for s in servers):
            print(f"Skipped: {part}, none of these servers takes part in it.\n")
    for repetition in range(arguments.repeat):
        for work in works:
            late = arguments.seconds and time.monotonic() - begin > arguments.seconds
            if repetition and (work.once or late):
                continue
            for name in order_of([s for s in servers if work.takes(s, given)], repetition):
                print(f"{time.monotonic() - begin:5.0f} s  {repetition + 1}/{arguments.repeat}  "
                      f"{work.part} {work.group} {work.name}: {name}", file=sys.stderr)
                result = measure(load, servers[name], work, arguments)
                report.add(work, name, result)
                results.append({"part": work.part, "group": work.group, "work": work.name, "server": name,
                                "repetition": repetition, **result})
    return results


def run_alone(arguments):
    """The parts that are programs of their own and print their own tables: whether all went well, and how many ran."""
    good, ran = True, 0
    for part in [p for p in ALONE if p in arguments.parts]:
        name, *options = ALONE[part]
        program = os.path.join(arguments.programs, name)
        if not os.access(program, os.X_OK):
            print(f"Skipped: {part}, {name} is not built.\n")
            continue
        print(f"{part} ...", file=sys.stderr)
        sys.stdout.flush()
        options = [o.format(repeat=arguments.repeat, millis=arguments.millis) for o in options]
        good &= subprocess.run([program, *options], check=False).returncode == 0
        ran += 1
        print(flush=True)
    return good, ran


def main():
    arguments = parse()
    if arguments.dry_run:
        return
    if not os.access(os.path.join(arguments.programs, "load"), os.X_OK):
        sys.exit(f"run.py: {arguments.programs}/load is not there: build the benchmarks first")
    servers, skipped = find_servers(arguments)
    report = Report(list(servers))
    results = measure_all(arguments, servers, report)
    print(f"{machine()} {arguments.repeat} repetitions of {arguments.millis} ms, K messages published per turn.\n")
    report.print_all()
    good, ran = run_alone(arguments)
    if "compile" in arguments.parts and (arguments.tier != QUICK or arguments.only):
        good &= print_compiling(3 if arguments.tier == FULL else 1, arguments.tier == FULL)
        ran += 1
    report.print_notes(arguments.repeat)
    print("\n".join(skipped))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    if arguments.plots:
        write_plots(report, arguments.plots)
    if not results and not ran:
        sys.exit("run.py: nothing was measured")
    sys.exit(0 if good and not report.failed else 1)


if __name__ == "__main__":
    main()
