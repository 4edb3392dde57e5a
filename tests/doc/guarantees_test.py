#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Every promise in docs/guarantees.md names the test that checks it: this looks whether those tests exist.

Usage: guarantees_test.py ROOT

A promise is a list item or a row of a table; one ends with one or more links `[name of a test](../tests/file)`. Only
under "Not promised" they may be without. A test is a Catch2 test case, an entry `['name', …` of a JavaScript file, or
a function of a Python file. The other links must lead somewhere too.
"""
import pathlib
import re
import sys


def tests_in(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".cpp":
        text = re.sub(r'"\s*\n\s*"', "", text)  # a long name in several pieces
        return {n.replace('\\"', '"') for n in re.findall(r'TEST_CASE\(\s*"((?:[^"\\]|\\.)*)"', text)}
    if path.suffix == ".mjs":
        return set(re.findall(r"^\s*\['((?:[^'\\]|\\.)*)',", text, re.M))
    return set(re.findall(r"^\s*(?:async )?def (\w+)", text, re.M))


def promises_in(text):
    """(line number, promise), without what stands under "Not promised"."""
    promise, start = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## Not promised"):
            break
        begins = line.startswith("- ") or line.startswith("| ")
        if promise and (begins or not line.startswith("  ")):
            yield start, " ".join(promise)
            promise = []
        if begins or promise:
            start = start if promise else number
            promise.append(line.strip())
    if promise:
        yield start, " ".join(promise)


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    file = root / "docs/guarantees.md"
    text = file.read_text(encoding="utf-8")
    faults, found, known = [], 0, {}
    for number, line in enumerate(text.splitlines(), 1):
        for name, target in re.findall(r"\[([^\]]+)\]\(([^)#]+)(?:#[^)]*)?\)", line):
            path = (file.parent / target).resolve()
            if not path.exists():
                faults.append(f"{number}: there is no {target}")
            elif "tests/" in target:
                known.setdefault(path, tests_in(path))
                found += 1
                if name not in known[path]:
                    faults.append(f"{number}: {target} has no test '{name}'")
    for number, promise in promises_in(text):
        if "](../tests/" not in promise and not re.match(r"\|[ -]*(\||what\b)", promise):
            faults.append(f"{number}: this promise names no test: {promise[:80]}")
    for fault in faults:
        print(f"docs/guarantees.md:{fault}")
    if faults or not found:
        sys.exit(1)
    print(f"{found} references to tests, all of which exist")


main()
