#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Compiles the README's program as it stands there, runs it, and does with it what the README does.

Usage: readme_test.py ROOT COMPILER [ARGUMENT...]

Only the ports are replaced, by free ones. Whatever says which package to install says the same.
"""
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading

DEADLINE = 120


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def packages_in(path):
    """The packages of Boost that a file says to install."""
    return set(re.findall(r"\blibboost[\w.+-]*-dev\b", path.read_text()))


def check_packages(root):
    wanted = packages_in(root / "dev")
    assert len(wanted) == 1, f"./dev installs several packages of Boost: {wanted}"
    for name in ["README.md", "docs/tutorial.md", "include/pusher/version.hpp", "cmake/pusherDependencies.cmake"]:
        found = packages_in(root / name)
        assert found == wanted, f"{name} names {found}; ./dev installs {wanted}, and that is what works"


def main():
    root = pathlib.Path(sys.argv[1])
    compiler = sys.argv[2:]
    check_packages(root)
    readme = (root / "README.md").read_text()
    program = re.search(r"```cpp\n(.*?)```", readme, re.S).group(1)
    lines = len(program.splitlines())
    assert lines <= 25, f"the README's program has {lines} lines; 25 are promised"

    http, tcp = free_port(), free_port()
    program = program.replace("8080", str(http)).replace("9000", str(tcp))
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "main.cpp")
        source.write_text(program)
        binary = pathlib.Path(folder, "main")
        subprocess.run([*compiler, f"-I{root / 'include'}", str(source), "-o", str(binary), "-pthread"], check=True,
                       timeout=DEADLINE)
        running = subprocess.Popen([str(binary)], stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(DEADLINE, running.kill)
        watchdog.start()
        try:
            assert running.stdout.readline() == "greetings: hello\n"
            events = subprocess.Popen(["curl", "-sN", f"http://127.0.0.1:{http}/events?topic=greetings&last_event_id=0"],
                                      stdout=subprocess.PIPE, text=True)
            seen = []
            while "data: hello" not in seen:  # the history: the stream is open
                line = events.stdout.readline()
                assert line, f"the events ended: {seen}"
                seen.append(line.rstrip("\n"))
            reply = subprocess.run(
                ["nc", "-N", "127.0.0.1", str(tcp)], capture_output=True, text=True, timeout=DEADLINE, check=True,
                input='{"action":"publish","params":{"topic":"greetings","payload":"from TCP"}}\n')
            assert '"status":"ok"' in reply.stdout, reply.stdout
            assert running.stdout.readline() == "greetings: from TCP\n"
            receipt = subprocess.run(
                ["curl", "-s", "-d", '{"topic":"greetings","payload":"goodbye"}', f"http://127.0.0.1:{http}/publish"],
                capture_output=True, text=True, timeout=DEADLINE, check=True)
            assert '"matched":2' in receipt.stdout, receipt.stdout
            assert running.stdout.readline() == "greetings: goodbye\n"
            rest = events.stdout.read()
            assert "data: from TCP" in rest and "data: goodbye" in rest and "event: pusher.close" in rest, rest
            assert running.wait(DEADLINE) == 0
        finally:
            watchdog.cancel()
            running.kill()
    print("the README's program does what the README says")


main()
