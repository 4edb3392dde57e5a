#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Writes the ctest entries of a Catch2 program: one per test case, each with a label and a deadline.

Usage: register_tests.py PROGRAM LABEL SECONDS OUTPUT

A test case with the tag [long] gets ten times the deadline. Works with Catch2 2.13 and 3, whatever characters the
names have.
"""
import pathlib
import subprocess
import sys


def run(program, *arguments):
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, timeout=120)
    return done.returncode, done.stdout


def is_catch2_2(program):
    return "--list-test-names-only" in run(program, "--help")[1]


def names(program, spec):
    """The names of the test cases that `spec` selects."""
    if is_catch2_2(program):  # the exit status is the number of tests
        _, out = run(program, "--list-test-names-only", *spec)
    else:
        status, out = run(program, "--list-tests", "--verbosity", "quiet", *spec)
        if status != 0:
            sys.exit(f"{program} cannot list its tests (exit status {status})")
    return [line for line in out.splitlines() if line]


def catch_spec(name):
    """The test specification that selects `name`."""
    special = '\\,["'
    return "".join("\\" + c if c in special else c for c in name)


def bracket(text):
    """`text` as a CMake argument that is taken as it is."""
    depth = "="
    while f"]{depth}]" in text:
        depth += "="
    return f"[{depth}[{text}]{depth}]"


def main():
    program, label, seconds, output = sys.argv[1:]
    every = names(program, [])
    if not every:
        sys.exit(f"{program} has no tests")
    long = set(names(program, ["[long]"]))
    options = "--rng-seed 1"
    if is_catch2_2(program):
        options += " --warn NoTests"  # with Catch2 3, no test is a failure anyway
    lines = []
    for name in every:
        test = bracket(f"{label}: {name}")
        timeout = int(seconds) * (10 if name in long else 1)
        lines.append(f"add_test({test} {bracket(program)} {options} {bracket(catch_spec(name))})")
        lines.append(f"set_tests_properties({test} PROPERTIES LABELS {label} TIMEOUT {timeout})")
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


main()
