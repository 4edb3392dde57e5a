#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Checks the load generator itself: it must pass servers that deliver everything, and catch those that do not.

Usage: check_load.py PROGRAMS (the folder with the built benchmarks)

The server here is also the shortest example of the control protocol. Run with `--serve FAULT` it is only that server.
"""
import asyncio
import base64
import hashlib
import json
import os
import struct
import subprocess
import sys
import time
import urllib.parse
import zlib

FAULTS = ["none", "lose", "repeat", "swap", "damage", "truncate", "foreign", "fragment", "announce", "ping", "close"]
PACKED = ["pack", "pack damage", "pack lose", "pack break"]  # permessage-deflate


def frame(payload, opcode, final=True):
    head = bytes([opcode | (0x80 if final else 0)])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    return head + struct.pack("!BH", 126, len(payload)) + payload


class Hub:
    def __init__(self, fault):
        self.packs, self.fault = fault.startswith("pack"), fault.removeprefix("pack").strip()
        self.topics = {}  # name -> writers, with the path that says which dialect they speak
        self.sessions = 0
        self.pongs = 0

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        url = urllib.parse.urlsplit(head.split(" ")[1])
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key: "))
        digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        topics = urllib.parse.parse_qs(url.query).get("topic", [])
        self.sessions += url.path != "/control"
        for name in topics:
            self.topics.setdefault(name, []).append((writer, url.path))
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Accept: " + base64.b64encode(digest)
                     + (b"\r\nSec-WebSocket-Extensions: permessage-deflate" if self.packs else b"")
                     + b"\r\n\r\n" + self.greeting(url.path))
        try:
            while True:
                opcode, text = await self.read(reader)
                if opcode == 10:
                    self.pongs += text == b"are you there"
                elif url.path == "/control":
                    writer.write(frame((await self.command(text.decode())).encode(), 1))
                else:
                    topics, replies = self.answer(url.path, text)
                    for name in topics:
                        self.topics.setdefault(name, []).append((writer, url.path))
                    for reply in replies:
                        writer.write(frame(reply, 1))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.sessions -= url.path != "/control"
        for writers in self.topics.values():
            writers[:] = [w for w in writers if w[0] is not writer]

    def greeting(self, path):
        return b""

    def answer(self, path, text):
        """The topics that a session subscribes to, and what it is told."""
        return [json.loads(text)["params"]["topic"]], [b'{"action":"subscribe","status":"ok"}']

    def push(self, path, name, payload):
        if path == "/raw" and self.packs:
            pack = zlib.compressobj(wbits=-15)
            packed = (pack.compress(payload) + pack.flush(zlib.Z_SYNC_FLUSH))[:-4]
            return frame(packed, 2 | 0x40)
        if path == "/raw":
            return frame(payload, 2)
        return frame(b'{"topic":"%s","type":"","payload":"%s","meta":{}}' % (name.encode(), payload), 1)

    def gap(self, path, name):
        return frame(b'{"topic":"%s","gap":{"count":1}}' % name.encode(), 1)

    def keep_alive(self, path):
        return frame(b"are you there", 9)

    def fragment(self, writer, path, name, payload):
        writer.write(frame(payload[:7], 2, False) + frame(payload[7:9], 0, False) + frame(payload[9:], 0))

    @staticmethod
    async def read(reader):
        first, length = await reader.readexactly(2)
        length &= 127
        if length == 126:
            length, = struct.unpack("!H", await reader.readexactly(2))
        mask = await reader.readexactly(4)
        return first & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(await reader.readexactly(length)))

    async def command(self, line):
        if line == "count":
            return f"count sessions={self.sessions} subscriptions={sum(map(len, self.topics.values()))}"
        fields = dict(part.split("=") for part in line.split(" ")[1:])
        topics, size = int(fields["topics"]), int(fields["bytes"])
        total = int(fields["turns"]) * int(fields["per_turn"])
        begin = time.monotonic_ns()
        for i in range(total):
            words = (i, time.monotonic_ns())
            stamp = struct.pack("<QQ", *words) if fields["stamp"] == "binary" else b"%016x%016x" % words
            name = f"t{i % topics}"
            for at, (writer, path) in enumerate(self.topics.get(name, [])):
                self.send(writer, path, stamp.ljust(size, b"x"), name, i if at == 0 else -1)
            if self.fault == "foreign" and i == 9:
                stranger = next(s for s in self.topics["t0"] if s not in self.topics[name])
                self.send(*stranger, stamp.ljust(size, b"x"), "t0", -1)
            await asyncio.sleep(0)
        return f"done messages={total} turns={fields['turns']} elapsed_ns={time.monotonic_ns() - begin}"

    def send(self, writer, path, payload, name, i):
        """`i` is the message's number for the one session that meets the fault, -1 for all others."""
        def push(payload):
            return self.push(path, name, payload)
        fault = self.fault if i >= 0 else "none"
        if fault == "close" and i == 8:
            writer.close()
        elif fault in ("lose", "announce") and i == 8:
            pass
        elif fault == "announce" and i == 12:
            writer.write(self.gap(path, name) + push(payload))
        elif fault == "repeat" and i == 8:
            writer.write(push(payload) * 2)
        elif fault == "swap" and i == 8:
            self.held = push(payload)
        elif fault == "swap" and i == 12:
            writer.write(push(payload) + self.held)
        elif fault == "damage" and i == 8:
            writer.write(push(payload[:-1] + b"y"))
        elif fault == "break" and i == 8:
            writer.write(frame(b"\xff\xff", 2 | 0x40))  # of no known kind
        elif fault == "truncate" and i == 8:
            writer.write(push(payload[:-1]))
        elif fault == "fragment":
            self.fragment(writer, path, name, payload)
        elif fault == "ping" and i == 8:
            writer.write(self.keep_alive(path) + push(payload))
        else:
            writer.write(push(payload))


async def serve(hub):
    server = await asyncio.start_server(hub.serve, "127.0.0.1", 0)
    print(f"listening 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def run(programs, server, *options):
    """The generator's exit status and its JSON object."""
    with subprocess.Popen(server, stdout=subprocess.PIPE) as process:
        try:
            _, address, *more = process.stdout.readline().decode().split()
            control = address.rsplit(":", 1)[1]
            ports = dict(field.split("=") for field in more)
            dialect = options[options.index("--dialect") + 1] if "--dialect" in options else "raw"
            port = ports.get(dialect, ports.get("sessions", control))
            done = subprocess.run([os.path.join(programs, "load"), "--port", port, "--control-port", control,
                                   "--warm-up", "0", *options],
                                  capture_output=True, text=True, timeout=60)
        finally:
            process.terminate()
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


TWO_TOPICS = ["--sessions", "10", "--topics", "4", "--topics-per-session", "2", "--turns", "20", "--per-turn", "2",
              "--patience", "500"]


class Checks:
    def __init__(self):
        self.failed = []

    def __call__(self, name, right, seen):
        print("ok  " if right else "BAD ", name)
        if not right:
            self.failed.append(name)
            print("    ", seen)

    def end(self):
        sys.exit(f"{len(self.failed)} failed: {', '.join(self.failed)}" if self.failed else 0)


def main():
    programs = sys.argv[1]
    check = Checks()

    # What the generator must count for each fault; all but one meet the first session on t0, at message 8.
    expected = {
        "none": {}, "fragment": {}, "ping": {}, "announce": {"announced": 1}, "lose": {"lost": 1},
        "repeat": {"disorder": 1}, "swap": {"disorder": 1, "lost": 1}, "damage": {"bad": 1, "lost": 1},
        "truncate": {"bad": 1, "lost": 1}, "break": {"bad": 1, "lost": 1}, "foreign": {"foreign": 1}, "close": {"closed": 1},
    }
    for fault in FAULTS:
        status, result, errors = run(programs, [sys.executable, __file__, "--serve", fault], *TWO_TOPICS)
        if fault == "close":
            # The server's answer comes before or after the end of the session.
            seen = "closed a session" in errors or (result and result["readers"]["closed"] == 1)
            check(fault, status == 1 and seen, (status, result, errors))
            continue
        counts = {k: v for k, v in (result or {}).get("readers", {}).items() if v and k not in ("expected", "received")}
        good = fault in ("none", "fragment", "ping", "announce")
        check(fault, result and counts == expected[fault] and result["correct"] == good and (status == 0) == good,
              (status, result, errors))

    for fault in ("none", "lose"):
        status, result, errors = run(
            programs, [sys.executable, __file__, "--serve", fault], "--dialect", "native", *TWO_TOPICS)
        check(f"native, {fault}", result and result["readers"]["lost"] == len(expected[fault]) == status,
              (status, result, errors))

    sizes = {}
    for fault in PACKED:
        status, result, errors = run(
            programs, [sys.executable, __file__, "--serve", fault], "--deflate", *TWO_TOPICS)
        counts = {k: v for k, v in (result or {}).get("readers", {}).items() if v and k not in ("expected", "received")}
        check(fault, result and counts == expected.get(fault.removeprefix("pack "), {}),
              (status, result, errors))
    hub = os.path.join(programs, "hub_bench")
    for name, options, small in (("hub_bench, deflate", [], True),
                                 ("hub_bench, deflate, native", ["--dialect", "native"], True),
                                 ("hub_bench, deflate, under the threshold", ["--bytes", "128"], False)):
        fill = [] if "native" in options else ["--fill", "json"]
        status, result, errors = run(programs, [hub, "--deflate"], "--deflate", "--sessions", "20", "--turns", "40",
                                     "--per-turn", "3", "--bytes", "2000", *fill, *options)
        check(name, status == 0 and result["correct"]
              and (result["received_bytes"] < 0.5 * result["bytes"] * result["readers"]["received"]) == small,
              (status, result, errors))
    status, result, errors = run(programs, [hub], "--deflate", "--sessions", "1", "--turns", "1")
    check("hub_bench does not compress unasked", status == 1 and "does not compress" in errors,
          (status, result, errors))

    for rival in ("rival_raw", "rival_beast", "hub_bench"):
        server = [os.path.join(programs, rival)]
        others = {} if rival == "rival_beast" else {
            **{dialect: ["--dialect", dialect] for dialect in ("events", "lines", "frames")},
            "lines, large": ["--dialect", "lines", "--bytes", "200000"],
            "frames, large": ["--dialect", "frames", "--bytes", "200000"],
            "events, large": ["--dialect", "events", "--bytes", "200000"],
            **{f"{d}, several topics": ["--dialect", d, "--topics", "10", "--topics-per-session", "3"]
               for d in ("events", "lines", "frames") if d != "events" or rival == "hub_bench"},
        }
        for name, options in {
                "raw": [], "native": ["--dialect", "native"], "paced": ["--rate", "100"],
                "several topics": ["--topics", "10", "--topics-per-session", "3"],
                "native, several topics": ["--topics", "10", "--topics-per-session", "3", "--dialect", "native"],
                "large": ["--bytes", "200000"], "65535": ["--bytes", "65535"], "125": ["--bytes", "125"], **others,
        }.items():
            status, result, errors = run(
                programs, server, "--sessions", "50", "--turns", "40", "--per-turn", "3", *options)
            check(f"{rival}, {name}", status == 0 and result["correct"], (status, result, errors))
            if result:
                sizes.setdefault(name, {})[rival] = result["received_bytes"]
        for name, options in {"one topic": [], "several topics": ["--topics", "2", "--topics-per-session", "2"]}.items():
            status, result, errors = run(
                programs, server + ["--sndbuf", "32768", "--outbox", "100000"], "--sessions", "20", "--stuck", "3",
                "--stuck-rcvbuf", "32768", "--turns", "400", "--rate", "1000", "--bytes", "3000", "--drain-stuck",
                "--patience", "500", *options)
            # The readers get all; what the stuck ones do not get is what the server says that it dropped, and the
            # library leaves none of it untold.
            stuck = (result or {}).get("stuck_sessions", {})
            missing = stuck["announced" if rival == "hub_bench" else "lost"] if stuck else 0
            check(f"{rival}, stuck, {name}",
                  status == 0 and result["correct"] and missing == result["flow"]["dropped"] > 0
                  and stuck["lost"] + stuck["announced"] == missing and stuck["disorder"] == 0,
                  (status, result, errors))
    # The library and its limit must send the same: not a byte more, not one less. (Beast splits large messages.)
    for name, bytes_of in sizes.items():
        if name != "events, several topics":
            check(f"as many bytes, {name}", bytes_of.get("rival_raw", 0) == bytes_of.get("hub_bench"), bytes_of)
    check.end()


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        asyncio.run(serve(Hub(sys.argv[2])))
    else:
        main()
