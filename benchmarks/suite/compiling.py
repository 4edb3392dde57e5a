# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""How long small programs take to compile, and how large they are."""
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from suite.report import show, table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASELINE = "a server of Beast alone"
PROGRAMS = {
    BASELINE: "benchmarks/compile/beast_server.cpp",
    "pusher, in process: examples/1_hello": "examples/1_hello.cpp",
    "pusher, the same server: examples/3_websocket": "examples/3_websocket.cpp",
}


def compiler():
    names = [os.environ.get("CXX", ""), "g++-12", "g++", "c++"]
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


def print_compiling(repeat):
    """As a user without ccache or precompiled headers would: one command from source to program, -O2."""
    cxx = compiler()
    if not cxx:
        print("Skipped: compile, there is no C++ compiler.\n")
        return True
    seconds, sizes = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeat):
            for name, source in PROGRAMS.items():
                out = os.path.join(folder, "program")
                begin = time.monotonic()
                done = subprocess.run([cxx, "-std=c++20", "-O2", "-I", os.path.join(ROOT, "include"),
                                       os.path.join(ROOT, source), "-o", out, "-pthread"],
                                      capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    print(f"Failed: compile, {name}: {done.stderr.splitlines()[:1]}\n")
                    return False
                seconds.setdefault(name, []).append(time.monotonic() - begin)
                subprocess.run(["strip", out], check=False)
                sizes[name] = os.path.getsize(out)
    print(f"**Compile time and size of small programs** ({os.path.basename(cxx)} -O2, header-only, stripped)\n")
    rows = []
    for name, times in seconds.items():
        ratio = statistics.median([a / b for a, b in zip(times, seconds[BASELINE])])
        more = "" if name == BASELINE else f" · **{ratio:.2f}**"
        size = "" if name == BASELINE else f" · **{sizes[name] / sizes[BASELINE]:.2f}**"
        rows.append([name, show(times) + more, f"{sizes[name] / 1024:,.0f}{size}"])
    table(["program", "seconds", "KiB"], rows)
    return True
