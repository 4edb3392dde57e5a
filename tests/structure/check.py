#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Checks the rules of the house that a compiler does not: floors, foreign includes, the umbrella header, words.

Usage: check.py ROOT [--write-umbrella]

Prints one line per breach, `file:line: what`, and exits 1 if there is any. `--write-umbrella` first writes
include/pusher.hpp anew.
"""
import fnmatch
import pathlib
import re
import subprocess
import sys

# A header includes only headers of its own floor or below. The first pattern that matches decides, so that a header
# which nobody listed is held to the strictest rule of its folder.
FLOORS = [
    ("pusher.hpp", 8),                  # everything
    ("pusher/*src.hpp", 8),             # what is compiled once
    ("pusher/testing/*", 8),            # what a user needs to test an adapter
    ("pusher/ext/*", 7),                # what needs a third-party library
    ("pusher/client*.hpp", 7),          # around the broker
    ("pusher/impl/*", 6),               # long bodies of the broker's operations
    ("pusher/backplane.hpp", 6),        # how brokers reach each other
    ("pusher/detail/local_backplane.hpp", 6),
    ("pusher/detail/relayed_content.hpp", 6),
    ("pusher/detail/relay.hpp", 6),
    ("pusher/broker*.hpp", 6),          # the broker and what only it can give
    ("pusher/listener*", 6),
    ("pusher/listener/*", 6),           # accept connections, and make sessions of them
    ("pusher/session.hpp", 6),
    ("pusher/subscriber.hpp", 6),
    ("pusher/subscription.hpp", 6),
    ("pusher/transport/*", 5),          # links: own sockets, move bytes, know nothing of topics
    ("pusher/dialect/*", 4),            # bytes in, actions and bytes out
    ("pusher/store/*", 3),
    ("pusher/detail/utf8.hpp", 1),      # what the values are made of
    ("pusher/detail/handed_over_op.hpp", 6),
    ("pusher/detail/pending_op.hpp", 6), # inside the broker, and not of the core
    ("pusher/detail/raw_session.hpp", 6),
    ("pusher/detail/session.hpp", 6),
    ("pusher/detail/journal.hpp", 3),   # between the core and a store
    ("pusher/detail/impl/journal*.hpp", 3),
    ("pusher/detail/*", 2),             # the core
    ("pusher/*", 1),                    # values
]

# What a floor and all below it may not include, and why.
BANNED_UP_TO = [
    # Beast's zlib has no I/O in it.
    (4, r"boost/(asio|process|beast(?!/zlib/))(/|\.hpp)", "Asio and Beast begin at floor 5"),
    (3, r"boost/json(/|\.hpp)", "JSON begins at floor 4"),
    (4, r"(thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token)$",
     "threads begin at floor 5"),
]
FLOOR_OF_CLOCKS = 5  # below, time comes in as an argument

# Not "Boost only": left out of pusher.hpp.
NOT_IN_UMBRELLA = ["pusher/detail/*", "pusher/impl/*", "pusher/*/impl/*", "pusher/ext/*", "pusher/testing/*", "pusher/*src.hpp"]

# Says which Boost is needed.
VERSION = "pusher/version.hpp"

# The only headers that may include headers of the operating system.
POSIX = ["pusher/detail/posix.hpp", "pusher/transport/posix.hpp", "pusher/transport/detail/posix.hpp"]

COPYRIGHT = "Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0."
WITH_COPYRIGHT = {".hpp", ".cpp", ".py", ".cmake", ".in", ".sh"}

# The brackets keep these lines from finding themselves.
WORDS = [
    (r"\b(TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b", "unfinished work belongs in an issue"),
    (r"\b(registry\.np[m]js|regis[t]ry\.yarnpkg|py[p]i\.(org|python)|files\.py[t]honhosted|deb\.deb[i]an|"
     r"center2?\.con[a]n|proxy\.gol[a]ng)\b", "packages come by name, from wherever the machine is set up to ask"),
]

SLEEP = r"\b(sleep_for|sleep_until|usleep|nanosleep|[^_a-z]sleep)\s*\("
ASSERTION = r"\b(CHECK\w*|REQUIRE\w*|STATIC_REQUIRE|static_assert|FAIL)\b"
ROOMS = ["unit", "simulation", "broker", "transport", "client", "thread_safety", "conformance", "ext",
         "cost"]
OTHER_TESTS = ["compile_fail", "consume", "fuzz", "link", "support"]

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")')


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def floor_of(header):
    return next(floor for pattern, floor in FLOORS if fnmatch.fnmatchcase(header, pattern))


def without_comments(text):
    """`text` with comments blanked out; lines stay where they are. String literals are not looked into."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group()) if m.group().startswith("/") else m.group()
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.DOTALL)


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.breaches = []
        self.files = self.list_files()
        self.headers = sorted(f[len("include/"):] for f in self.files if re.match(r"include/.*\.hpp$", f))

    def list_files(self):
        """What belongs to the project: what git has or would add; without git, everything outside build folders."""
        done = subprocess.run(
            ["git", "-c", f"safe.directory={self.root.resolve()}", "-C", str(self.root), "ls-files", "-co",
             "--exclude-standard", "-z"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode == 0:
            files = done.stdout.split("\0")
        else:
            files = [str(p.relative_to(self.root)) for p in self.root.rglob("*")]
            files = [f for f in files if not re.search(r"(^|/)(build[^/]*|node_modules|\.git|__pycache__)/", f)]
        return sorted({f for f in files if f and (self.root / f).is_file()})

    def read(self, file):
        return (self.root / file).read_text(encoding="utf-8")

    def breach(self, file, line, what):
        self.breaches.append(f"{file}:{line}: {what}")

    def includes(self, file):
        """(line number, header, whether in angle brackets) of every include in `file`."""
        for number, line in enumerate(self.read(file).splitlines(), 1):
            if found := INCLUDE.match(line):
                yield number, found[1] or found[2], bool(found[1])

    def check_header(self, header):
        file = "include/" + header
        floor = floor_of(header)
        lines = self.read(file).splitlines()
        if lines[1:2] != ["#pragma once"]:
            self.breach(file, 2, "the second line of a header is #pragma once")
        group = 0
        for number, name, angled in self.includes(file):
            if not angled:
                self.breach(file, number, "includes in headers are in angle brackets")
            if name.startswith("pusher"):
                if name not in self.headers:
                    self.breach(file, number, f"there is no <{name}>")
                elif floor_of(name) > floor:
                    self.breach(file, number, f"floor {floor} may not include <{name}> of floor {floor_of(name)}")
                this_group = 1
            elif name.startswith("boost/"):
                this_group = 2
                if re.match(r"boost/(asio|beast|mysql|redis)/.*ssl|boost/asio/ssl", name):
                    self.check_foreign(header, file, number, name)
            else:
                this_group = 3 if re.fullmatch(r"[a-z_]+", name) else 2
                if this_group == 2:
                    self.check_foreign(header, file, number, name)
            for top, pattern, why in BANNED_UP_TO:
                if floor <= top and re.match(pattern, name):
                    self.breach(file, number, f"floor {floor} may not include <{name}>: {why}")
            if "/impl/" in name:  # bodies, included at the end of their header
                continue
            if this_group < group:
                self.breach(file, number, "includes come in the order pusher, boost or third party, standard library")
            group = max(group, this_group)
        if floor < FLOOR_OF_CLOCKS:
            for number, line in enumerate(without_comments("\n".join(lines)).splitlines(), 1):
                if re.search(r"_clock::now\s*\(", line):
                    self.breach(file, number, f"floor {floor} reads a clock: time comes in as an argument")

    def reaches(self, header, wanted):
        """Whether `header` is `wanted`, or includes it through others."""
        seen, todo = set(), [header]
        while todo:
            if (current := todo.pop()) == wanted:
                return True
            if current in self.headers and current not in seen:
                seen.add(current)
                todo += [name for _, name, _ in self.includes("include/" + current)]
        return False

    def check_old_boost(self, header):
        """Before anything of Boost that an old one may lack comes the header that says which Boost is needed."""
        told = VERSION not in self.headers or header == VERSION
        for number, name, _ in self.includes("include/" + header):
            told = told or self.reaches(name, VERSION)
            if name.startswith("boost/") and not told:
                self.breach("include/" + header, number, f"<{VERSION}> goes before what is of Boost")
                return

    def check_foreign(self, header, file, number, name):
        if header.startswith("pusher/ext/") or matches(header, POSIX) and name.endswith(".h"):
            return
        self.breach(file, number, f"<{name}> is neither Boost nor standard: only include/pusher/ext/ may have it")

    def umbrella(self):
        wanted = [h for h in self.headers if h != "pusher.hpp" and not matches(h, NOT_IN_UMBRELLA)]
        lines = "".join(f"#include <{h}>\n" for h in wanted)
        return (f"// {COPYRIGHT}\n#pragma once\n\n/// \\file\n"
                "/// Everything that needs Boost's headers and nothing else. `<pusher/broker.hpp>` is enough for most.\n"
                "// Written by `./dev format`.\n\n" + lines)

    def check_umbrella(self):
        if "pusher.hpp" not in self.headers or self.read("include/pusher.hpp") != self.umbrella():
            self.breach("include/pusher.hpp", 1, "does not include every Boost-only header: run `./dev format`")

    def check_unit_test(self, file):
        """Unit tests stay light: nothing that they reach, through any header, is of the floors with Asio."""
        seen = {file}
        todo = [file]
        while todo:
            current = todo.pop()
            for number, name, _ in self.includes(current):
                if re.match(BANNED_UP_TO[0][1], name):
                    self.breach(file, 1, f"a unit test may not need Asio: {current}:{number} includes <{name}>")
                near = (pathlib.PurePosixPath(current).parent / name).as_posix()
                for candidate in ["include/" + name, near, "tests/" + name, "tests/support/" + name]:
                    if candidate in self.files and candidate not in seen:
                        seen.add(candidate)
                        todo.append(candidate)

    def check_text(self, file):
        try:
            text = self.read(file)
        except UnicodeDecodeError:
            return
        lines = text.splitlines()
        name = pathlib.PurePosixPath(file)
        if name.suffix in WITH_COPYRIGHT or name.name == "CMakeLists.txt":
            if not any(COPYRIGHT in line for line in lines[:2]):
                self.breach(file, 1, "the first line is the copyright")
        for number, line in enumerate(lines, 1):
            for pattern, why in WORDS:
                if re.search(pattern, line):
                    self.breach(file, number, f"{line.strip()[:80]!r}: {why}")
        if file.startswith("tests/") and name.suffix in {".cpp", ".hpp"}:
            code = without_comments(text)
            for number, line in enumerate(code.splitlines(), 1):
                if re.search(SLEEP, line):
                    self.breach(file, number, "a test waits for events, not for time")
            room = file.split("/")[1]
            if name.suffix == ".cpp" and room in ROOMS and not re.search(ASSERTION, code):
                self.breach(file, 1, "a test that checks nothing")
            if name.suffix == ".cpp" and room not in ROOMS + OTHER_TESTS:
                self.breach(file, 1, f"nothing builds this: {room} is no room in tests/CMakeLists.txt")

    def check(self):
        for header in self.headers:
            self.check_header(header)
            self.check_old_boost(header)
        self.check_umbrella()
        for file in self.files:
            if not file.startswith("tests/fuzz/corpus/"):
                self.check_text(file)
            if re.match(r"tests/(unit|simulation)/.*\.cpp$", file):
                self.check_unit_test(file)
        return self.breaches


def main():
    tree = Tree(sys.argv[1])
    if "--write-umbrella" in sys.argv[2:]:
        path = tree.root / "include/pusher.hpp"
        if not path.exists() or path.read_text(encoding="utf-8") != tree.umbrella():
            path.write_text(tree.umbrella(), encoding="utf-8")
        return
    breaches = tree.check()
    print("\n".join(breaches) if breaches else f"{len(tree.headers)} headers, {len(tree.files)} files: all in order")
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
