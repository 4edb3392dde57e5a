#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Checks that one file does not compile, and says so in the words that it promises.

Usage: check.py COMPILER FLAG... FILE

The file holds at least one line `// expect: REGEX`; `// expect(gcc): REGEX` and `// expect(clang): REGEX` are for one
compiler only. Each must be found in what the compiler prints. Compiled with `-DCONTROL` the file holds the same use
done right and must compile: so it is the misuse that fails, and not a typing error or a missing include.
"""
import re
import subprocess
import sys


def compile_file(command):
    done = subprocess.run(
        [*command, "-fsyntax-only"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=110)
    return done.returncode, done.stdout


def main():
    *command, path = sys.argv[1:]
    version = subprocess.run([command[0], "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    compiler = "clang" if "clang" in version else "gcc"
    with open(path, encoding="utf-8") as file:
        found = re.findall(r"^// expect(?:\((\w+)\))?: (.+)$", file.read(), re.MULTILINE)
    expected = [regex for only, regex in found if only in ("", compiler)]
    if not expected:
        sys.exit(f"{path}: no line `// expect: REGEX` for {compiler}")

    status, output = compile_file([*command, "-DCONTROL", path])
    if status != 0:
        sys.exit(f"{path}: with -DCONTROL it must compile, and does not:\n{output}")
    status, output = compile_file([*command, path])
    if status == 0:
        sys.exit(f"{path}: it compiles, and must not")
    missing = [regex for regex in expected if not re.search(regex, output)]
    if missing:
        sys.exit(f"{path}: not found in the compiler's output: {missing}\n{output}")


main()
