# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""How long small programs take to compile, and how large they are."""
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from suite.report import show, table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASELINE = "a server of Beast alone"
# With the bodies compiled in, as where nothing else is linked; or compiled before, once for all that is linked.
WITH_BODIES = ["-include", "pusher/src.hpp"]
APART = ["-DPUSHER_SEPARATE_COMPILATION", "-DBOOST_ASIO_SEPARATE_COMPILATION", "-DBOOST_BEAST_SEPARATE_COMPILATION"]
PROGRAMS = {
    BASELINE: ("benchmarks/compile/beast_server.cpp", []),
    "pusher, the program in README.md": ("README.md", []),
    "the same, `pusher/src.hpp` compiled before": ("README.md", APART),
}
MORE_PROGRAMS = {
    "as much as Beast's in examples/3_websocket": ("examples/3_websocket.cpp", WITH_BODIES),
    "that, `pusher/src.hpp` compiled before": ("examples/3_websocket.cpp", APART),
}


def source_of(file, folder, flags):
    """The file itself, or of a text its first program; without the bodies, where they are compiled apart."""
    path = os.path.join(ROOT, file)
    if not file.endswith(".md"):
        return path
    with open(path, encoding="utf-8") as text:
        program = text.read().split("```cpp\n")[1].split("```")[0]
    path = os.path.join(folder, "main.cpp")
    if flags is APART:
        program = re.sub(r"#include <pusher/src.hpp>.*\n", "", program)
    with open(path, "w", encoding="utf-8") as out:
        out.write(program)
    return path


def compiler():
    names = [os.environ.get("CXX", ""), "g++-12", "g++", "c++"]
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


def print_compiling(repeat, full):
    """As a user without ccache or precompiled headers would: one command from source to program, -O2."""
    cxx = compiler()
    if not cxx:
        print("Skipped: compile, there is no C++ compiler.\n")
        return True
    seconds, sizes = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        bodies = os.path.join(folder, "bodies.o")

        def compile_to(out, *what):
            done = subprocess.run([cxx, "-std=c++20", "-O2", "-I", os.path.join(ROOT, "include"), *what,
                                   "-o", out, "-pthread"], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return True
            error = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
            print(f"Failed: compile, {what[-1]}: {error}\n")
            return False

        source = os.path.join(folder, "bodies.cpp")
        with open(source, "w", encoding="utf-8") as text:
            text.write("#include <pusher/src.hpp>\n")
        if not compile_to(bodies, *APART, "-c", source):
            return False
        for _ in range(repeat):
            for name, (file, flags) in {**PROGRAMS, **(MORE_PROGRAMS if full else {})}.items():
                source = source_of(file, folder, flags)
                out = os.path.join(folder, "program")
                begin = time.monotonic()
                if not compile_to(out, *flags, *([bodies] if flags is APART else []), source):
                    return False
                took = time.monotonic() - begin
                seconds.setdefault(name, []).append(took)
                subprocess.run(["strip", out], check=False)
                sizes[name] = os.path.getsize(out)
    print(f"**Compile time and size of small programs** ({os.path.basename(cxx)} -O2, compiled and linked, stripped)\n")
    rows = []
    for name, times in seconds.items():
        ratio = statistics.median([a / b for a, b in zip(times, seconds[BASELINE])])
        more = "" if name == BASELINE else f" · **{ratio:.2f}**"
        size = "" if name == BASELINE else f" · **{sizes[name] / sizes[BASELINE]:.2f}**"
        rows.append([name, show(times) + more, f"{sizes[name] / 1024:,.0f}{size}"])
    table(["program", "seconds", "KiB"], rows)
    return True
