#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""The chat without its page: names by a header, history, and the list of those who are there."""

import http.client
import json

from support import Events, Server, WebSocket, main


def as_the_comment_says(program):
    """an event stream hears what is said, and is seen to be there until it ends"""
    with Server(program, "0") as server:
        eve = {"Authorization": "Bearer Eve:secret"}
        said = {"topic": "room/lobby", "type": "Eve", "payload": "hello"}
        watcher = sign_in(server, "Ann")
        watcher.ask("subscribe", topic="who/lobby", history=1)
        stream = Events(server.connect("http"), "topic=room/lobby&envelope=json", ["Authorization: Bearer Eve:secret"])
        assert stream.status == 200 and who(watcher) == ["Eve"]
        status, _, body = server.http("/publish", json.dumps(said).encode(), eve)
        assert status == 200 and json.loads(body)["matched"] == 1
        event, data = stream.receive()
        message = json.loads(data)
        assert event == "message" and message["type"] == "Eve" and message["payload"] == "hello"
        stream.close()
        assert who(watcher) == []
        watcher.ask("subscribe", topic="room/lobby", history=50)
        assert watcher.push()["payload"] == "hello"
        assert who(watcher) == ["Ann"]
        watcher.close()


def names(program):
    """a name is whose token was first, while somebody has it; then it is free"""
    with Server(program, "0") as server:
        ann = sign_in(server, "Ann")
        body = json.dumps({"topic": "room/lobby", "type": "Ann", "payload": "x"}).encode()
        for header, status in (("Bearer Ann:secret", 200), ("Bearer Ann:other", 403), ("Bearer Ann", 403),
                               ("Bearer " + "x" * 21 + ":secret", 403), ("Bearer A n:secret", 403), ("", 401)):
            assert server.http("/publish", body, {"Authorization": header} if header else {})[0] == status, header
        second = sign_in(server, "Ann")  # the same person, in another window
        second.ask("subscribe", topic="room/lobby")
        second.ask("subscribe", topic="who/lobby", history=1)
        ann.ask("subscribe", topic="room/lobby")
        assert who(second) == ["Ann"]
        ann.close()
        second.close()
        watcher = sign_in(server, "Bob")
        watcher.ask("subscribe", topic="who/lobby", history=1)
        while who(watcher):
            pass  # until the list is empty
        assert server.http("/publish", body, {"Authorization": "Bearer Ann:other"})[0] == 200
        watcher.close()


def limits(program):
    """a body over the limit is refused; the page cannot be framed, and nothing else is there"""
    with Server(program, "0") as server:
        eve = {"Authorization": "Bearer Eve:secret"}
        try:
            body = json.dumps({"topic": "room/lobby", "type": "Eve", "payload": "x" * 5000}).encode()
            assert server.http("/publish", body, eve)[0] == 413
        except (ConnectionError, http.client.HTTPException):
            pass  # it was cut off before all of it was sent
        status, headers, body = server.http("/")
        assert status == 200 and headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert "Content-Security-Policy" in body
        assert server.http("/nowhere")[0] == 404


def sign_in(server, name):
    peer = WebSocket(server.connect("http"))
    peer.ask("auth", token=f"{name}:secret")
    return peer


def who(peer):
    """The next list of those who are there."""
    while (m := peer.push())["topic"] != "who/lobby":
        pass
    return json.loads(m["payload"])


main([as_the_comment_says, names, limits])
