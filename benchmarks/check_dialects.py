#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Checks what the load generator speaks with servers that have a protocol of their own, and rival_broker.

Usage: check_dialects.py PROGRAMS (the folder with the built benchmarks)

The servers here speak as much of each protocol as it takes, and are faulty on request.
"""
import asyncio
import json
import os
import re
import shlex
import struct
import sys

from check_load import Checks, Hub, TWO_TOPICS, frame, run, serve


class Web(Hub):
    """Those on WebSocket, told apart by the path. `join`, which is no fault, puts two messages into a frame."""

    AROUND = {"/bayeux": (b"[", b",", b"]"), "/connection/websocket": (b"", b"\n", b"\n"),
              "/socket.io/": (b"", b"", b"")}
    NAMES = ["faye", "centrifuge", "socketio"]

    def __init__(self, fault):
        super().__init__(fault)
        self.waiting = {}

    def greeting(self, path):
        return frame(b'0{"sid":"x","pingInterval":25000}', 1) if path == "/socket.io/" else b""

    def answer(self, path, text):
        good = self.fault != "refuse"
        if path == "/bayeux":
            messages = json.loads(text)
            if messages[0]["channel"] == "/meta/handshake":
                return [], [b'[{"channel":"/meta/handshake","successful":true,"clientId":"abc"}]']
            assert all(m["clientId"] == "abc" for m in messages)
            if messages[0]["channel"] == "/meta/connect":
                return [], []
            reply = b'{"channel":"/meta/subscribe","successful":%s}' % (b"true" if good else b"false")
            return [m["subscription"][1:] for m in messages], [b"[" + b",".join([reply] * len(messages)) + b"]"]
        if path == "/connection/websocket":
            commands = [command for command in map(json.loads, text.split()) if command]  # an empty one is a pong
            answers = [b"connect" if "connect" in c else b"subscribe" if good else b"error" for c in commands]
            replies = [b'{"id":%d,"%s":{}}' % (c["id"], answer) for c, answer in zip(commands, answers)]
            ping = [b"{}"] if b"connect" in answers else []
            return [c["subscribe"]["channel"] for c in commands if "subscribe" in c], [b"\n".join(replies + ping)]
        if text == b"40":
            return [], [b'40{"sid":"y"}', b"2"]
        if text == b"3":
            return [], []
        number, event = re.fullmatch(rb"42(\d+)(.*)", text).groups()
        return [json.loads(event)[1]], [b"43" + number + b"[]" if good else b'44{"message":"no"}']

    def message(self, path, name, payload):
        if path == "/bayeux":
            return b'{"channel":"/%s","data":"%s","id":"1"}' % (name.encode(), payload)
        if path == "/connection/websocket":
            return b'{"push":{"channel":"%s","pub":{"data":"%s"}}}' % (name.encode(), payload)
        return b'42["m","%s"]' % payload

    def push(self, path, name, payload):
        return self.wrapped(path, [self.message(path, name, payload)])

    def wrapped(self, path, messages):
        begin, between, end = self.AROUND[path]
        return frame(begin + between.join(messages) + end, 1)

    def send(self, writer, path, payload, name, i):
        if self.fault != "join":
            return super().send(writer, path, payload, name, i)
        mine = self.waiting.setdefault(writer, [])
        mine.append(self.message(path, name, payload))
        if len(mine) == 2:
            writer.write(self.wrapped(path, mine))
            mine.clear()


class Nats:
    greeting = b'INFO {"server_id":"x"}\r\nPING\r\n'

    async def commands(self, reader):
        while True:
            words = (await reader.readuntil(b"\r\n")).split()
            if words[0] == b"SUB":
                yield "subscribe", words[1], b""
            elif words[0] == b"PING":
                yield "say", b"", b"PONG\r\n"
            elif words[0] == b"PUB":
                yield "publish", words[1], (await reader.readexactly(int(words[2]) + 2))[:-2]
            else:
                assert words[0] in (b"CONNECT", b"PONG"), words

    def push(self, topic, _, payload):
        return b"MSG %s 1 %d\r\n%s\r\n" % (topic, len(payload), payload)

    refusal = b"-ERR 'Permissions Violation'\r\n"


class Redis:
    greeting = b""

    async def commands(self, reader):
        while True:
            items = []
            for _ in range(int((await reader.readuntil(b"\r\n"))[1:])):
                size = int((await reader.readuntil(b"\r\n"))[1:])
                items.append((await reader.readexactly(size + 2))[:-2])
            if items[0] == b"PUBLISH":
                yield "publish", items[1], items[2]
                yield "say", b"", b":1\r\n"
                continue
            for topic in items[1:]:
                yield "subscribe", topic, b""
                yield "say", b"", self.array(items[0].lower(), topic)[:-1] + b":1\r\n"

    @staticmethod
    def array(*items):
        # The dollar at the end is to be cut off, or begins one more item.
        return b"*%d\r\n" % (len(items) + 1) + b"".join(b"$%d\r\n%s\r\n" % (len(i), i) for i in items) + b"$"

    def push(self, topic, wildcard, payload):
        head = self.array(b"pmessage", b"*", topic) if wildcard else self.array(b"message", topic)
        return head + b"%d\r\n%s\r\n" % (len(payload), payload)

    refusal = b"-NOPERM no\r\n"


class Mqtt:
    greeting = b""

    async def commands(self, reader):
        while True:
            kind, = await reader.readexactly(1)
            size = shift = 0
            while True:
                byte, = await reader.readexactly(1)
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            body = await reader.readexactly(size)
            if kind == 0x10:
                yield "say", b"", b"\x20\x02\x00\x00"
            elif kind == 0x82:
                at, count = 2, 0
                while at != len(body):
                    length, = struct.unpack_from("!H", body, at)
                    yield "subscribe", body[at + 2:at + 2 + length], b""
                    at += 3 + length
                    count += 1
                yield "say", b"", b"\x90" + bytes([2 + count]) + body[:2] + b"\0" * count
            else:
                assert kind == 0x30, kind
                length, = struct.unpack_from("!H", body)
                yield "publish", body[2:2 + length], body[2 + length:]

    def push(self, topic, _, payload):
        body = struct.pack("!H", len(topic)) + topic + payload
        size = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 128, len(body) // 128])
        return b"\x30" + size + body

    refusal = b"\x90\x03\x00\x01\x80"


class Torn:
    """What is sent at a time ends in the middle of a message."""

    def __init__(self):
        self.rest = {}  # the last bytes of what was sent

    def write(self, writer, push):
        """All but three bytes at once, those a little later."""
        if writer not in self.rest:
            asyncio.get_running_loop().call_soon(self.mend, writer)
        push = self.rest.get(writer, b"") + push
        writer.write(push[:-3])
        self.rest[writer] = push[-3:]

    def mend(self, writer):
        writer.write(self.rest.pop(writer))


class Streams(Hub):
    """The library's own without WebSocket: events beside the control connection, the others on ports of their own."""

    NAMES = ["events", "lines", "frames"]

    def __init__(self, fault):
        super().__init__(fault)
        self.torn = Torn()

    async def http(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"GET /events"):
            again = asyncio.StreamReader()
            again.feed_data(head)
            asyncio.get_running_loop().create_task(self.forward(reader, again))
            return await self.serve(again, writer)
        await self.session(reader, writer, "events", head.split(b" ")[1].split(b"?")[1])

    @staticmethod
    async def forward(reader, to):
        while data := await reader.read(4096):
            to.feed_data(data)
        to.feed_eof()

    async def lines(self, reader, writer):
        await self.session(reader, writer, "lines", b"")

    async def frames(self, reader, writer):
        size, = struct.unpack("!I", await reader.readexactly(4))
        await self.session(reader, writer, "frames", await reader.readexactly(size))

    async def session(self, reader, writer, kind, query):
        self.sessions += 1
        topics = [pair.split(b"=")[1].decode() for pair in query.split(b"&") if pair]
        if kind == "events":
            status = b"404 Not Found" if self.fault == "refuse" else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: text/event-stream\r\n\r\n")
        for name in topics:
            self.topics.setdefault(name, []).append((writer, kind))
        try:
            while line := await reader.readline():
                assert kind == "lines"
                self.topics.setdefault(json.loads(line)["params"]["topic"], []).append((writer, kind))
                status = b"fail" if self.fault == "refuse" else b"ok"
                writer.write(b'{"action":"subscribe","status":"%s"}\n' % status)
        except ConnectionError:
            pass
        self.sessions -= 1
        for writers in self.topics.values():
            writers[:] = [w for w in writers if w[0] is not writer]

    def push(self, path, name, payload):
        if path == "events":
            return b"event: message\ndata: %s\n\n" % payload
        if path == "frames":
            return struct.pack("!I", len(payload)) + payload
        return b'{"topic":"%s","type":"","payload":"%s","meta":{}}\n' % (name.encode(), payload)

    def gap(self, path, name):
        gap = b'{"topic":"%s","gap":{"count":1}}' % name.encode()
        return {"events": b"event: pusher.gap\ndata: " + gap + b"\n\n", "lines": gap + b"\n",
                "frames": struct.pack("!I", len(gap) | 1 << 31) + gap}[path]

    def keep_alive(self, path):
        return {"events": b":\n\n", "lines": b"", "frames": b"\x80\0\0\0"}[path]

    def fragment(self, writer, path, name, payload):
        self.torn.write(writer, self.push(path, name, payload))


async def serve_streams(fault):
    hub = Streams(fault)
    servers = [await asyncio.start_server(speak, "127.0.0.1", 0) for speak in (hub.http, hub.lines, hub.frames)]
    http, lines, frames = (server.sockets[0].getsockname()[1] for server in servers)
    print(f"listening 127.0.0.1:{http} lines={lines} frames={frames}", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


BROKERS = {"nats": Nats, "redis": Redis, "mqtt": Mqtt}
WILDCARDS = (b">", b"*", b"#")


class Broker:
    """One of the brokers; the fault meets message 8 on its way to the first subscriber. `fragment` is no fault: what
    is sent at a time ends in the middle of a message."""

    def __init__(self, speaks, fault):
        self.speaks, self.fault = speaks, fault
        self.topics = {}
        self.everything = []
        self.torn = Torn()

    async def serve(self, reader, writer):
        writer.write(self.speaks.greeting)
        try:
            async for command, topic, payload in self.speaks.commands(reader):
                if command == "say":
                    writer.write(payload)
                elif command == "publish":
                    self.publish(topic, payload)
                elif topic in WILDCARDS:
                    self.everything.append(writer)
                elif self.fault == "refuse":
                    writer.write(self.speaks.refusal)
                else:
                    self.topics.setdefault(topic, []).append(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        for writers in [self.everything, *self.topics.values()]:
            writers[:] = [w for w in writers if w is not writer]

    def publish(self, topic, payload):
        number, = struct.unpack_from("<Q", payload)
        for at, writer in enumerate(self.topics.get(topic, [])):
            fault = self.fault if at == 0 else "none"
            push = self.speaks.push(topic, False, payload)
            if self.fault == "fragment":
                self.torn.write(writer, push)
            elif number != 8 or fault != "lose":
                if number == 8 and fault == "truncate":
                    push = self.speaks.push(topic, False, payload[:-1])
                writer.write(push * (2 if number == 8 and fault == "repeat" else 1))
        for writer in self.everything:
            writer.write(self.speaks.push(topic, True, payload))


async def serve_broker(name, fault, port):
    server = await asyncio.start_server(Broker(BROKERS[name](), fault).serve, "127.0.0.1", port)
    await server.serve_forever()


def main():
    programs = sys.argv[1]
    check = Checks()
    expected = {"none": {}, "join": {}, "fragment": {}, "lose": {"lost": 1}, "repeat": {"disorder": 1},
                "truncate": {"bad": 1, "lost": 1}, "announce": {"announced": 1}, "ping": {}, "foreign": {"foreign": 1},
                "swap": {"disorder": 1, "lost": 1}, "damage": {"bad": 1, "lost": 1}}

    def check_run(name, fault, server, *options):
        status, result, errors = run(programs, server, *TWO_TOPICS, *options)
        if fault == "refuse":
            check(f"{name}, {fault}", status == 1 and "subscribe was answered with" in errors, (status, result, errors))
            return
        counts = {k: v for k, v in (result or {}).get("readers", {}).items() if v and k not in ("expected", "received")}
        good = set(expected[fault]) <= {"announced"}
        check(f"{name}, {fault}", result and counts == expected[fault] and (status == 0) == good,
              (status, result, errors))

    for name in Streams.NAMES:
        for fault in ("none", "lose", "repeat", "truncate", "fragment", "announce", "ping") + (
                ("foreign", "swap", "damage") if name == "frames" else ("refuse",)):
            topics = [] if name != "events" else ["--topics", "4", "--topics-per-session", "1"]
            check_run(name, fault, [sys.executable, __file__, "--streams", fault], "--dialect", name, *topics)
    for name in Web.NAMES:
        for fault in ("none", "lose", "repeat", "truncate", "refuse") + (() if name == "socketio" else ("join",)):
            check_run(name, fault, [sys.executable, __file__, "--serve", fault], "--dialect", name)
    for name in BROKERS:
        for fault in ("none", "lose", "repeat", "truncate", "refuse", "fragment"):
            command = f"{shlex.quote(sys.executable)} {shlex.quote(__file__)} --broker {name} {fault} PORT"
            server = [os.path.join(programs, "rival_broker"), "--dialect", name, "--command", command]
            check_run(name, fault, server, "--dialect", name)
    check.end()


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        asyncio.run(serve(Web(sys.argv[2])))
    elif sys.argv[1] == "--streams":
        asyncio.run(serve_streams(sys.argv[2]))
    elif sys.argv[1] == "--broker":
        asyncio.run(serve_broker(sys.argv[2], sys.argv[3], int(sys.argv[4])))
    else:
        main()
