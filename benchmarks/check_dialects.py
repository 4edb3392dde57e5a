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


BROKERS = {"nats": Nats, "redis": Redis, "mqtt": Mqtt}
WILDCARDS = (b">", b"*", b"#")


class Broker:
    """One of the brokers; the fault meets message 8 on its way to the first subscriber. `fragment` is no fault: what
    is sent at a time ends in the middle of a message."""

    def __init__(self, speaks, fault):
        self.speaks, self.fault = speaks, fault
        self.topics = {}
        self.everything = []
        self.torn = {}  # the last bytes of what was sent

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
                self.tear(writer, push)
            elif number != 8 or fault != "lose":
                if number == 8 and fault == "truncate":
                    push = self.speaks.push(topic, False, payload[:-1])
                writer.write(push * (2 if number == 8 and fault == "repeat" else 1))
        for writer in self.everything:
            writer.write(self.speaks.push(topic, True, payload))

    def tear(self, writer, push):
        """All but three bytes at once, those a little later."""
        if writer not in self.torn:
            asyncio.get_running_loop().call_soon(self.mend, writer)
        push = self.torn.get(writer, b"") + push
        writer.write(push[:-3])
        self.torn[writer] = push[-3:]

    def mend(self, writer):
        writer.write(self.torn.pop(writer))


async def serve_broker(name, fault, port):
    server = await asyncio.start_server(Broker(BROKERS[name](), fault).serve, "127.0.0.1", port)
    await server.serve_forever()


def main():
    programs = sys.argv[1]
    check = Checks()
    expected = {"none": {}, "join": {}, "fragment": {}, "lose": {"lost": 1}, "repeat": {"disorder": 1},
                "truncate": {"bad": 1, "lost": 1}}

    def check_run(name, fault, server, *options):
        status, result, errors = run(programs, server, *TWO_TOPICS, *options)
        if fault == "refuse":
            check(f"{name}, {fault}", status == 1 and "subscribe was answered with" in errors, (status, result, errors))
            return
        counts = {k: v for k, v in (result or {}).get("readers", {}).items() if v and k not in ("expected", "received")}
        check(f"{name}, {fault}", result and counts == expected[fault] and (status == 0) == (not expected[fault]),
              (status, result, errors))

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
    elif sys.argv[1] == "--broker":
        asyncio.run(serve_broker(sys.argv[2], sys.argv[3], int(sys.argv[4])))
    else:
        main()
