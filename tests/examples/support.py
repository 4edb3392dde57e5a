# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""What the checks of the examples share: programs that say where they listen, and plain clients without libraries."""

import base64
import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

PATIENCE = 20  # seconds for anything that has to come


def main(tests):
    """Runs tests(program) one after another; the program under test is the first argument."""
    for test in tests:
        began = time.monotonic()
        try:
            test(sys.argv[1])
        except BaseException:
            print(f"not ok - {test.__doc__}", flush=True)
            raise
        print(f"ok - {test.__doc__} ({(time.monotonic() - began) * 1000:.0f} ms)", flush=True)


class Server:
    """A program that prints `listening KIND ADDRESS` lines; ends with SIGTERM and status 0."""

    def __init__(self, program, *arguments, wanted=("http",)):
        self.process = subprocess.Popen(
            [program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.at = {}
        self.over = False
        text = b""
        deadline = time.monotonic() + PATIENCE
        while not set(wanted) <= set(self.at):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not chunk:
                self.process.kill()
                raise AssertionError(f"{program} did not say where it listens, only {text!r}")
            text += chunk
            for line in text.decode().split("\n")[:-1]:
                words = line.split()
                if len(words) == 3 and words[0] == "listening":
                    self.at[words[1]] = words[2]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.process.kill()
            self.process.wait()
            return
        if self.over:
            return
        assert self.process.poll() is None, f"it ended by itself, with status {self.process.returncode}"
        assert self.stop() == 0, f"after SIGTERM it ended with status {self.process.returncode}"

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def wait(self):
        """The status of an end that was asked for already."""
        self.over = True
        return self.process.wait(PATIENCE)

    def connect(self, kind):
        path = self.at[kind].removeprefix("unix:")
        if path.startswith("/"):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(PATIENCE)
            s.connect(path)
            return s
        host, port = self.at[kind].rsplit(":", 1)
        return socket.create_connection((host, int(port)), PATIENCE)

    def http(self, path, body=None, headers=None):
        """(status, headers, body) of a request."""
        request = urllib.request.Request(f"http://{self.at['http']}{path}", body, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as r:
                return r.status, r.headers, r.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.headers, e.read().decode()

    def publish(self, topic, payload, headers=None):
        status, _, body = self.http("/publish", json.dumps({"topic": topic, "payload": payload}).encode(), headers)
        assert status == 200, (status, body)
        return json.loads(body)


class Peer:
    """The native dialect. What is no reply is a push."""

    def __init__(self):
        self.pushes = []

    def request(self, action, **params):
        self.send(json.dumps({"action": action, "params": params}))
        return self.reply()

    def ask(self, action, **params):
        reply = self.request(action, **params)
        assert reply["status"] == "ok", reply
        return reply

    def reply(self):
        while "status" not in (m := self.receive()):
            self.pushes.append(m)
        return m

    def push(self):
        return self.pushes.pop(0) if self.pushes else self.receive()


class Lines(Peer):
    def __init__(self, connected):
        super().__init__()
        self.socket = connected
        self.file = connected.makefile("rb")

    def send(self, text):
        self.socket.sendall(text.encode() + b"\n")

    def receive(self):
        """The next object; None: the end."""
        line = self.file.readline()
        return json.loads(line) if line else None

    def close(self):
        self.file.close()
        self.socket.close()

    def reset(self):
        """Ends the connection without a goodbye, whatever is on its way."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class WebSocket(Peer):
    def __init__(self, connected, path="/ws", headers=()):
        super().__init__()
        self.socket = connected
        self.file = connected.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *headers]
        connected.sendall("\r\n".join(lines + ["", ""]).encode())
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    @staticmethod
    def frame(opcode, payload):
        size = len(payload)
        head = bytes([0x80 | opcode])
        head += bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + struct.pack(">H", size)
        return head + bytes(4) + payload  # masked with zeros

    def send(self, text):
        self.socket.sendall(self.frame(1, text.encode()))

    def receive(self):
        """The next object; the code of a close, which is answered; None: the end."""
        while head := self.file.read(2):
            size = head[1] & 0x7F
            if size >= 126:
                kind = ">H" if size == 126 else ">Q"
                size = struct.unpack(kind, self.file.read(struct.calcsize(kind)))[0]
            payload = self.file.read(size)
            opcode = head[0] & 0xF
            if opcode == 1:
                return json.loads(payload)
            if opcode == 9:
                self.socket.sendall(self.frame(10, payload))
            if opcode == 8:
                with contextlib.suppress(OSError):
                    self.socket.sendall(self.frame(8, payload[:2]))
                return struct.unpack(">H", payload[:2])[0] if payload else 1005
        return None

    def close(self):
        self.file.close()
        self.socket.close()


class Events:
    """Server-sent events, as (event, data)."""

    def __init__(self, connected, query, headers=()):
        self.socket = connected
        self.file = connected.makefile("rb")
        lines = [f"GET /events?{query} HTTP/1.1", "Host: localhost", *headers]
        connected.sendall("\r\n".join(lines + ["", ""]).encode())
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def receive(self):
        """The next event with data; None: the end."""
        event, data = "message", []
        while line := self.file.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                data.append(value)
            elif not name and data:
                return event, "\n".join(data)
        return None

    def close(self):
        self.file.close()
        self.socket.close()
