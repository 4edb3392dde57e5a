#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Counts the instructions of the paths in counts.cpp with callgrind, and compares them with those in counts.json.

Usage: counts.py PROGRAMS [--record] [--only NAME,...] (PROGRAMS: the folder with the built benchmarks)

Fails if a path takes over 5 % more than recorded. Counts depend on the compiler, Boost and the C library: with others
than the recorded ones nothing is compared, and nothing fails. `--record` writes counts.json anew.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

RECORDED = pathlib.Path(__file__).with_name("counts.json")
TOLERANCE = 0.05

# One choice of the C library's functions on all machines, whatever their processors have besides.
PLAIN = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM"}


def output_of(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def about(program):
    return dict(line.split("=", 1) for line in output_of([program, "--about"]).splitlines())


def paths(program):
    """Name -> what it is, and how often to take it."""
    lines = (line.split(" ", 2) for line in output_of([program, "--list"]).splitlines())
    return {name: (what, int(times)) for name, times, what in lines}


def count(program, name, times):
    """Instructions of one call."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=counted_calls", f"--callgrind-out-file={folder}/out",
             program, "--path", name],
            env={**os.environ, **PLAIN}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    found = re.search(r"^==\d+== Collected : (\d+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found:
        sys.exit(f"counts.py: {name} cannot be counted:\n{done.stdout}")
    return round(int(found.group(1)) / times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", help="the folder with the built benchmarks")
    parser.add_argument("--record", action="store_true", help="write counts.json anew")
    parser.add_argument("--only", default="", help="some paths, by name; nothing is compared with what is missing")
    arguments = parser.parse_args()
    program = os.path.join(arguments.programs, "counts")
    if not os.access(program, os.X_OK):
        parser.error(f"{program} is not there: build it first")
    built = about(program)
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"about": None, "paths": {}}
    if built != recorded["about"] and not arguments.record:
        print(f"counts.py: not compared: recorded with {recorded['about']}, and this is {built}")
        return 0
    if built != recorded["about"] and arguments.only:
        parser.error("what is recorded is of another compiler or library: record all paths")
    all_paths = paths(program)
    for name in arguments.only.split(",") if arguments.only else []:
        if name not in all_paths:
            parser.error(f"there is no path {name}; there are {', '.join(all_paths)}")
    names = arguments.only.split(",") if arguments.only else list(all_paths)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(names, pool.map(lambda n: count(program, n, all_paths[n][1]), names)))

    failed = False
    better = False
    print("| instructions | | recorded |\n|---|---|---|")
    for name in names:
        before = recorded["paths"].get(name)
        verdict = "not recorded"
        if before:
            change = counts[name] / before - 1
            verdict = f"{before:,} ({change:+.1%})"
            if change > TOLERANCE and not arguments.record:
                verdict += " **slower**"
                failed = True
            better = better or change < -TOLERANCE
        elif not arguments.record:
            failed = True
        print(f"| {all_paths[name][0]} | {counts[name]:,} | {verdict} |")
    gone = sorted(recorded["paths"].keys() - all_paths.keys())

    if arguments.record:
        kept = {name: recorded["paths"][name] for name in all_paths if name in recorded["paths"]}
        RECORDED.write_text(json.dumps({"about": built, "paths": {**kept, **counts}}, indent=4) + "\n")
        print(f"counts.py: {RECORDED.name} is written")
        return 0
    if failed or gone:
        print(f"counts.py: over {TOLERANCE:.0%} more than {RECORDED.name} has, or not the paths that it has"
              f"{': ' + ', '.join(gone) if gone else ''}. If it has to be so: counts.py {arguments.programs} --record")
        return 1
    if better:
        print(f"counts.py: over {TOLERANCE:.0%} less somewhere: record it, so that it stays so")
    return 0


if __name__ == "__main__":
    sys.exit(main())
