# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""The servers that the suite knows: how each is started, or why it cannot be."""
import os
import re
import select
import shlex
import shutil
import subprocess
import tempfile
import time

RIVALS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "rivals")
PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"  # where Debian has servers


class Missing(Exception):
    """Says what is not there."""


def program(name):
    def command(programs):
        path = os.path.join(programs, name)
        if not os.access(path, os.X_OK):
            raise Missing(f"{name} is not built")
        return shlex.quote(path)
    return command


def node(script, package):
    def command(_):
        if not shutil.which("node"):
            raise Missing("there is no node")
        if not os.path.isdir(os.path.join(RIVALS, "node_modules", package)):
            raise Missing(f"the package {package} is not installed in benchmarks/rivals")
        return f"node {shlex.quote(os.path.join(RIVALS, script))}"
    return command


def broker(dialect, name, options):
    def command(programs):
        path = shutil.which(name, path=PATH)
        if not path:
            raise Missing(f"there is no {name}")
        return (program("rival_broker")(programs)
                + f" --dialect {dialect} --command {shlex.quote(shlex.quote(path) + ' ' + options)}")
    return command


# `raw` is what the others are compared with.
KNOWN = {
    "raw": program("rival_raw"),
    "beast": program("rival_beast"),
    "pusher": program("hub_bench"),
    "ws": node("ws.mjs", "ws"),
    "faye": node("faye.mjs", "faye"),
    "socket.io": node("socketio.mjs", "socket.io"),
    "nbio": program("rival_nbio"),
    "centrifuge": program("rival_centrifuge"),
    "nats": broker("nats", "nats-server", "-a 127.0.0.1 -p PORT"),
    "mosquitto": broker("mqtt", "mosquitto", f"-c {shlex.quote(os.path.join(RIVALS, 'mosquitto.conf'))} -p PORT"),
    "redis": broker("redis", "redis-server", "--bind 127.0.0.1 --port PORT --save '' --appendonly no --maxclients 20000"),
}


def cores():
    """One core for the server and another for the generator; both the same where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core})


class Server:
    """A server under test, for as long as it is in use."""

    def __init__(self, command, core):
        if not command:
            raise RuntimeError("there is no command")
        self.errors = tempfile.TemporaryFile()  # what brokers write as their log, too
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, preexec_fn=pinned(core))
        try:
            line = self.first_line(10)
            said = re.fullmatch(r"listening \S+:(\d+)((?: [^\s=]+=\S*)*)\s*", line)
            if not said:
                raise RuntimeError(f"it said {line!r}, and not where it listens; {self.last_words()}")
            self.control = said.group(1)
            fields = dict(word.split("=", 1) for word in said.group(2).split())
        except BaseException:
            self.stop()
            raise
        self.fields = fields
        self.dialect = fields.get("dialect")
        self.pids = fields.get("pids", str(self.process.pid))

    def first_line(self, seconds):
        """What it says until it ends a line, or itself, or time is up."""
        until, line = time.monotonic() + seconds, b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 1) if ready else b""
            if not more:
                break
            line += more
        return line.decode(errors="replace")

    def port(self, dialect):
        """Where sessions of that dialect go."""
        return self.fields.get(dialect, self.fields.get("sessions", self.control))

    def last_words(self):
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else "no errors"

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
