#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Several transports with authentication: tokens in every place where they may be, rights by topic, a kick."""

import json
import os
import socket
import tempfile

from support import PATIENCE, Events, Lines, Peer, Server, WebSocket, main

ANN = {"Authorization": "Bearer ann-secret"}


class Datagrams(Peer):
    """The native dialect over UDP, with the cookie that the first answer brings."""

    def __init__(self, address):
        super().__init__()
        host, port = address.rsplit(":", 1)
        self.cookie = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((host, int(port)))
        self.send('{"action":"hello","params":{"about":"a first line that is long enough"}}\n')
        challenge = self.receive()
        assert challenge["action"] == "challenge", challenge
        self.cookie = challenge["cookie"]

    def send(self, text):
        if self.cookie:
            text = json.dumps({"cookie": self.cookie, **json.loads(text)})
        self.socket.send(text.encode())

    def receive(self):
        return json.loads(self.socket.recv(65536))

    def close(self):
        self.socket.close()


class Program:
    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory()
        path = self.folder.name + "/socket"
        self.server = Server(program, "0", "0", "0", path, wanted=("http", "tcp", "udp", "unix"))

    def __enter__(self):
        self.server.__enter__()
        return self.server

    def __exit__(self, *what):
        try:
            self.server.__exit__(*what)
            assert what[0] or os.listdir(self.folder.name) == [], "the socket's file is left"
        finally:
            self.folder.cleanup()


def bobs_sessions(server):
    """Bob on every transport that has sessions, each with a token in another place."""
    peers = {
        "header": WebSocket(server.connect("http"), headers=["Authorization: Bearer bob-secret"]),
        "query": WebSocket(server.connect("http"), "/ws?a=b&token=bob-secret"),
        "cookie": WebSocket(server.connect("http"), headers=["Cookie: a=b; token=bob-secret"]),
        "action": WebSocket(server.connect("http")),
        "tcp": Lines(server.connect("tcp")),
        "udp": Datagrams(server.at["udp"]),
    }
    for name in ("action", "tcp", "udp"):
        assert peers[name].request("subscribe", topic="news/today")["status"] == "fail"
        peers[name].ask("auth", token="bob-secret")
    for peer in peers.values():
        peer.ask("ping")  # its authentication is over
    return peers


def everywhere(program):
    """a message comes to the user's own topic on every transport, wherever the token was shown"""
    with Program(program) as server:
        peers = bobs_sessions(server)
        events = Events(server.connect("http"), "topic=news/today", ["Authorization: Bearer bob-secret"])
        assert events.status == 200
        # The event stream has two topics by now, Bob's own among them.
        assert server.publish("user/bob", "hello Bob", {"Cookie": "token=ann-secret"})["matched"] == 7
        for name, peer in peers.items():
            assert peer.push()["payload"] == "hello Bob", name
            peer.ask("subscribe", topic="news/#", match="filter")
        assert server.publish("news/today", "rain", ANN)["matched"] == 7
        for name, peer in peers.items():
            assert peer.push()["payload"] == "rain", name
            peer.close()
        event, data = events.receive()
        assert "hello Bob" in data and "rain" in events.receive()[1], (event, data)
        events.close()


def rights(program):
    """who may do what: Bob, Ann, nobody, and a filter that would read everything"""
    with Program(program) as server:
        bob, ann = Lines(server.connect("tcp")), Lines(server.connect("tcp"))
        for action in ({"topic": "news/today"}, {"topic": "user/bob"}):
            assert "auth" in bob.request("subscribe", **action)["error_message"]
        bob.ask("auth", token="bob-secret")
        ann.ask("auth", token="ann-secret")
        for topic, match in [("user/ann", "exact"), ("#", "filter"), ("+/today", "filter"), ("user/+", "filter"),
                             ("news", "exact"), ("admin/kick", "exact")]:
            reply = bob.request("subscribe", topic=topic, match=match)
            assert reply["error_message"] == "forbidden", (topic, reply)
            ann.ask("subscribe", topic=topic, match=match)
        for topic in ("news/today", "admin/kick", "other"):
            assert bob.request("publish", topic=topic, payload="x")["error_message"] == "forbidden"
        bob.ask("publish", topic="user/ann", payload="hello Ann")
        assert ann.push()["payload"] == "hello Ann"
        bob.close()
        ann.close()

        body = b'{"topic":"news/today","payload":"rain"}'
        assert server.http("/publish", body)[0] == 401
        assert server.http("/publish", body, {"Authorization": "Bearer wrong"})[0] == 403
        assert server.http("/publish?token=bob-secret", body)[0] == 403, "Bob reads the news only"
        assert server.http("/publish?token=ann-secret", body)[0] == 200
        assert Events(server.connect("http"), "topic=news/today").status == 401
        assert Events(server.connect("http"), "topic=user/ann&token=bob-secret").status == 403
        wrong = Lines(server.connect("tcp"))
        assert wrong.request("auth", token="wrong")["error_message"] == "this token is not known here"
        assert wrong.receive()["close"]["code"] == 1008 and wrong.receive() is None


def kick(program):
    """whoever may open the Unix-domain socket needs no token, and ends a user's sessions on every transport"""
    with Program(program) as server:
        peers = bobs_sessions(server)
        witness = Lines(server.connect("tcp"))
        witness.ask("auth", token="ann-secret")
        operator = Lines(server.connect("unix"))
        assert operator.ask("publish", topic="admin/kick", payload="bob")["receipt"]["matched"] == 1
        for name, peer in peers.items():
            end = peer.receive()
            if isinstance(peer, WebSocket):
                assert end == 1008, (name, end)
            else:
                assert end["close"] == {**end["close"], "code": 1008, "reason": "kicked by an administrator"}, (name, end)
            peer.close()
        witness.ask("ping")


if __name__ == "__main__":
    main([everywhere, rights, kick])
