#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Live quotes: what a slow line leaves out is counted exactly, and of every symbol it has the newest in the end."""

import http.client
import json
import threading

from support import PATIENCE, Events, Server, main


class Reader(threading.Thread):
    """Takes events until the stream ends."""

    def __init__(self, connected, path):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        self.connection.sock = connected
        self.connection.request("GET", path)
        self.stream = self.connection.getresponse()
        assert self.stream.status == 200
        self.first, self.last, self.received, self.missed, self.newest = None, 0, 0, 0, {}
        self.enough = threading.Event()  # much was left out
        self.goodbye = False

    def run(self):
        event = ""
        for line in self.stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                self.take(event, json.loads(value))

    def take(self, event, data):
        if event == "pusher.gap":
            self.missed += data["gap"]["count"]
            if self.missed > 5000:
                self.enough.set()
        elif event == "pusher.close":
            self.goodbye = True
        else:
            self.first = self.first or data["total"]
            assert self.last < data["total"], "in order"
            self.last = data["total"]
            self.received += 1
            assert self.newest.get(data["symbol"], 0) < data["number"]
            self.newest[data["symbol"]] = data["number"]


def slow_and_fast(program):
    """a slow line gets fewer, is told exactly how many, and ends with the same newest quotes as a fast one"""
    with Server(program, "0") as server:
        fast = Reader(server.connect("http"), "/events?topic=quotes")
        slow = Reader(server.connect("http"), "/slow")
        for reader in (fast, slow):
            reader.start()
        assert slow.enough.wait(PATIENCE)
        assert server.stop() == 0  # it drains: what is queued is sent
        for reader in (fast, slow):
            reader.join(PATIENCE)
            assert not reader.is_alive() and reader.goodbye
            assert reader.received + reader.missed == reader.last - reader.first + 1
        assert fast.missed == 0 and slow.missed > slow.received > 200
        assert slow.last == fast.last
        assert len(slow.newest) == 200 and slow.newest == fast.newest
        server.over = True


def read_only(program):
    """quotes are made by the program alone"""
    with Server(program, "0") as server:
        status, _, body = server.http("/publish", b'{"topic":"quotes","payload":"1"}')
        assert "error" in json.loads(body) and "receipt" not in body, (status, body)
        assert server.http("/nowhere")[0] == 404
        assert Events(server.connect("http"), "topic=quotes", ["Origin: http://elsewhere.test"]).status == 403
        assert server.http("/slow", headers={"Origin": "http://elsewhere.test"})[0] == 403


main([slow_and_fast, read_only])
