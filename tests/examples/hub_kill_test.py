#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""A hub with a store that is killed again and again, under load: nothing that was answered is lost, and nobody sees
anything twice, or anything else at the same offset.

PUSHER_SEED and PUSHER_KILLS choose other moments, and how many."""

import json
import os
import random
import socket
import tempfile
import threading
import time

from support import PATIENCE, Server, main

SEED = int(os.environ.get("PUSHER_SEED") or random.randrange(1_000_000))
KILLS = int(os.environ.get("PUSHER_KILLS") or 50)
TOPICS = ["a", "b", "c"]
WINDOW = 64  # publishes of one publisher that wait for their answers


class World:
    """What anybody has seen or was told, over all lives."""

    def __init__(self):
        self.lock = threading.Lock()
        self.epochs = {}
        self.messages = {}  # by topic and offset
        self.wrong = None
        self.address = None  # of the hub, with the number of its life; None: there is none
        self.over = False

    def saw(self, topic, epoch, offset, payload):
        with self.lock:
            if self.epochs.setdefault(topic, epoch) != epoch:
                self.fail(f"{topic} has another epoch: {epoch}, was {self.epochs[topic]}")
            before = self.messages.setdefault((topic, offset), payload)
            if before != payload:
                self.fail(f"{topic}@{offset} was {before}, is {payload}")

    def fail(self, what):
        self.wrong = self.wrong or what
        raise AssertionError(what)

    def run(self, serve):
        """Calls serve(send, lines) for each life of the hub, until all is over or wrong."""
        last = None
        while not self.over and not self.wrong:
            address = self.address
            if not address or address == last:
                time.sleep(0.001)
                continue
            last = address
            try:
                with socket.create_connection(address[:2], PATIENCE) as s:
                    s.settimeout(PATIENCE)
                    serve(s)
            except (ConnectionError, EOFError):
                pass
            except BaseException as e:
                self.wrong = self.wrong or f"{type(e).__name__}: {e}"
                raise


def lines_of(s):
    rest = b""
    while True:
        chunk = s.recv(65536)
        if not chunk:
            raise EOFError
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


class Publisher:
    """Publishes numbers, each by an id, to one topic after another; what had no answer comes again in the next life."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.next = 0
        self.unanswered = []  # in order
        self.answered = {}

    def request(self, n):
        payload = f"{self.name} {n}"
        return json.dumps({"action": "publish", "request_id": str(n),
                           "params": {"topic": TOPICS[n % len(TOPICS)], "payload": payload, "id": payload}}) + "\n"

    def serve(self, s):
        s.sendall("".join(self.request(n) for n in self.unanswered).encode())
        lines = lines_of(s)
        while not self.world.over or self.unanswered:
            if len(self.unanswered) < WINDOW and not self.world.over:
                new = range(self.next, self.next + WINDOW - len(self.unanswered))
                self.next = new.stop
                self.unanswered += new
                s.sendall("".join(self.request(n) for n in new).encode())
            reply = next(lines)
            n = int(reply["request_id"])
            if reply["status"] != "ok" or n != self.unanswered[0]:
                self.world.fail(f"{self.name} waits for the answer to {self.unanswered[0]}, and got {reply}")
            del self.unanswered[0]
            receipt = reply["receipt"]
            topic = TOPICS[n % len(TOPICS)]
            self.world.saw(topic, receipt["epoch"], receipt["offset"], f"{self.name} {n}")
            self.answered[n] = receipt["offset"]


class Subscriber:
    """Hears all topics, and goes on in the next life where it was."""

    def __init__(self, world):
        self.world = world
        self.at = {}  # by topic: epoch, offset

    def serve(self, s):
        for topic in TOPICS:
            params = {"topic": topic}
            if topic in self.at:
                params["resume"] = dict(zip(("epoch", "offset"), self.at[topic]))
            else:
                params["history"] = 10_000_000
            s.sendall((json.dumps({"action": "subscribe", "request_id": topic, "params": params}) + "\n").encode())
        for line in lines_of(s):
            if "status" in line:
                if line["status"] != "ok" or line.get("recovered") is False:
                    self.world.fail(f"a subscriber cannot go on: {line}")
                continue
            if "close" in line or "pusher" in line:
                continue
            if "gap" in line:
                self.world.fail(f"a subscriber misses something: {line}")
            topic, meta = line["topic"], line["meta"]
            self.world.saw(topic, meta["epoch"], meta["offset"], line["payload"])
            expected = self.at[topic][1] + 1 if topic in self.at else 1
            if meta["offset"] != expected:
                self.world.fail(f"after {topic}@{expected - 1} a subscriber got {meta['offset']}")
            self.at[topic] = meta["epoch"], meta["offset"]


def killed_again_and_again(program):
    """a hub with a store is killed again and again, under load"""
    print(f"# PUSHER_SEED={SEED} PUSHER_KILLS={KILLS}", flush=True)
    chance = random.Random(SEED)
    world = World()
    publishers = [Publisher(world, f"p{i}") for i in range(3)]
    subscribers = [Subscriber(world) for _ in range(2)]
    threads = [threading.Thread(target=world.run, args=(who.serve,), daemon=True) for who in publishers + subscribers]
    with tempfile.TemporaryDirectory() as folder:
        def start():
            return Server(
                program, "--http", "off", "--udp", "off", "--tcp", "127.0.0.1:0", "--log-level", "off",
                "--history", "1000000", "--idempotency", "100000", "--outbox", "10000", "--overflow", "spill",
                "--store", f"sqlite:{folder}/hub.db", wanted=("tcp",))

        def begin(hub, life):
            host, port = hub.at["tcp"].rsplit(":", 1)
            world.address = host, int(port), life

        for thread in threads:
            thread.start()
        for life in range(KILLS):
            hub = start()
            begin(hub, life)
            time.sleep(chance.choice([0.02, 0.1, 0.3]) * chance.random())
            world.address = None
            hub.process.kill()
            hub.process.wait()
            hub.process.stdout.close()
            assert not world.wrong, world.wrong
        with start() as hub:
            begin(hub, KILLS)
            deadline = time.monotonic() + PATIENCE
            newest = lambda topic: max((o for t, o in list(world.messages) if t == topic), default=0)
            before = [len(p.answered) for p in publishers]
            while not world.wrong and time.monotonic() < deadline and not all(
                    len(p.answered) > n for p, n in zip(publishers, before)):
                time.sleep(0.01)
            world.over = True  # publishers end when all is answered
            while not world.wrong and time.monotonic() < deadline and not (
                    all(not p.unanswered for p in publishers) and
                    all(s.at.get(t, (0, 0))[1] == newest(t) for s in subscribers for t in TOPICS)):
                time.sleep(0.01)
            assert not world.wrong, world.wrong
            # A subscriber that has seen nothing yet gets all of it.
            fresh = Subscriber(world)
            with socket.create_connection(world.address[:2], PATIENCE) as s:
                s.settimeout(PATIENCE)
                try:
                    while any(fresh.at.get(t, (0, 0))[1] != newest(t) for t in TOPICS):
                        s.settimeout(0.5)
                        fresh.serve(s)
                except TimeoutError:
                    pass
            assert all(fresh.at[t][1] == newest(t) for t in TOPICS), (fresh.at, world.epochs)
    for s in subscribers:
        assert all(s.at[t][1] == newest(t) for t in TOPICS), s.at
    for p in publishers:
        assert not p.unanswered
        there = [(o, payload) for (_, o), payload in world.messages.items() if payload.startswith(p.name + " ")]
        assert len(there) == len({payload for _, payload in there}) == p.next == len(p.answered), "each is there once"
        for i, topic in enumerate(TOPICS):
            offsets = [p.answered[n] for n in range(i, p.next, len(TOPICS))]
            assert offsets == sorted(offsets), f"{p.name} is out of order in {topic}"
    print(f"# {len(world.messages)} messages", flush=True)


main([killed_again_and_again])
