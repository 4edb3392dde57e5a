#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Runs a client test against a hub of its own, or against an example.

Usage: with_hub.py [--example | --deflate] HUB ARTIFACTS PROGRAM [ARGUMENT...]

Starts HUB on free ports, runs PROGRAM with `--http URL --tcp HOST:PORT --udp HOST:PORT --history N --artifacts FOLDER`
after its arguments, and stops the hub with SIGTERM. Fails if the program does, or if the hub does not end well. With
`--deflate` the hub compresses, and the program is told `--deflate on`. An
example is given the port 0 instead of the hub's options, and listens for HTTP alone.
"""
import os
import select
import subprocess
import sys
import time

HISTORY = 100
KINDS = ["http", "tcp", "udp"]


def listening(hub, kinds):
    """Where the hub listens, by kind."""
    found = {}
    text = b""
    deadline = time.monotonic() + 30
    while set(found) < set(kinds):
        ready, _, _ = select.select([hub.stdout], [], [], max(0, deadline - time.monotonic()))
        chunk = os.read(hub.stdout.fileno(), 4096) if ready else b""
        if not chunk:
            raise RuntimeError(f"the hub did not say where it listens, only {text!r}")
        text += chunk
        for line in text.decode().split("\n")[:-1]:
            words = line.split()
            if len(words) == 3 and words[0] == "listening":
                found[words[1]] = words[2]
    return found


def main():
    arguments = sys.argv[1:]
    example = arguments[0] == "--example"
    deflate = arguments[0] == "--deflate"
    program, artifacts, *test = arguments[example or deflate:]
    kinds = ["http"] if example else KINDS
    os.makedirs(artifacts, exist_ok=True)
    free = [argument for kind in KINDS for argument in (f"--{kind}", "127.0.0.1:0")]
    options = ["0"] if example else [*free, "--history", str(HISTORY), *["--deflate"] * deflate]
    hub = subprocess.Popen([program, *options], stdout=subprocess.PIPE)
    try:
        at = listening(hub, kinds)
        where = [argument for kind in kinds for argument in (f"--{kind}", at[kind])]
        where[1] = f"http://{where[1]}"
        told = [] if example else ["--history", str(HISTORY), *["--deflate", "on"] * deflate]
        done = subprocess.run([*test, *where, *told, "--artifacts", artifacts], timeout=110)
        gone = hub.poll()
    finally:
        hub.terminate()
        try:
            status = hub.wait(20)
        except subprocess.TimeoutExpired:
            hub.kill()
            raise
    if gone is not None:
        sys.exit(f"the hub ended during the test, with status {gone}")
    if done.returncode != 0:
        sys.exit(f"the test failed with status {done.returncode}")
    if status != 0:
        sys.exit(f"after SIGTERM the hub ended with status {status}")


main()
