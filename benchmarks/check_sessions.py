#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Checks the library with 10,000 sessions: all subscribe, each gets every message once, none takes much memory, and all
are gone in the end. What it does not look at is time.

Usage: check_sessions.py PROGRAMS (the folder with the built benchmarks)
"""
import json
import os
import resource
import subprocess
import sys
import time
import urllib.request

from check_load import Checks

SESSIONS = 10_000
DESCRIPTORS = 11_000
MOST_BYTES = 1024  # of the server's own pages (PSS), for a session that is idle; 960 to 990 were measured


def load(programs, port, server, *options):
    """The generator's exit status, its JSON object and what it complained of."""
    done = subprocess.run([os.path.join(programs, "load"), "--port", port, "--server-pid", str(server.pid),
                           "--sessions", str(SESSIONS), *options], capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def left_after(port, limit):
    """The sessions and subscriptions that the server still has when there are none any more, or time is up."""
    until = time.monotonic() + limit
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=10) as answer:
            stats = json.load(answer)
        left = stats["sessions"] + stats["subscriptions"]
        if left == 0 or time.monotonic() > until:
            return left


def main():
    programs = sys.argv[1]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < DESCRIPTORS:
        print(f"SKIPPED: {SESSIONS} sessions need {DESCRIPTORS} descriptors, and the hard limit (ulimit -Hn) is {most}")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    check = Checks()
    with subprocess.Popen([os.path.join(programs, "hub_bench")], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().split()[1].rsplit(":", 1)[1]

            status, result, errors = load(programs, port, server, "--mode", "idle")
            bytes_each = result.get("pss_per_session")
            check(f"{SESSIONS} sessions, subscribed", status == 0 and result.get("sessions") == SESSIONS,
                  (status, result, errors))
            check(f"at most {MOST_BYTES} bytes for each: {bytes_each}",
                  bytes_each is not None and 0 < bytes_each <= MOST_BYTES, result)
            left = left_after(port, 20)
            check("all gone", left == 0, left)

            status, result, errors = load(programs, port, server, "--turns", "5", "--per-turn", "3", "--warm-up", "0")
            readers = result.get("readers", {})
            check("each message to each of them, once", status == 0 and result.get("correct") is True
                  and readers.get("expected") == readers.get("received") == 15 * SESSIONS, (status, result, errors))
            left = left_after(port, 20)
            check("all gone again", left == 0, left)
        finally:
            server.terminate()
    check.end()


if __name__ == "__main__":
    main()
