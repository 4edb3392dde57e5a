#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""A host's own Beast server: its pages, and what it hands over to the broker."""

import base64
import http.client
import json
import os

from support import PATIENCE, Events, Server, WebSocket, main


def pages(program):
    """the host's pages, several on one connection; a visit is heard by who listens"""
    with Server(program, "0") as server:
        events = Events(server.connect("http"), "topic=visits")
        assert events.status == 200
        socket = WebSocket(server.connect("http"))
        socket.ask("subscribe", topic="visits")
        connection = http.client.HTTPConnection(server.at["http"], timeout=PATIENCE)
        for visit in ("1", "2"):
            connection.request("GET", "/")
            response = connection.getresponse()
            assert response.status == 200 and response.getheader("Content-Type").startswith("text/html")
            assert b'new EventSource("/events?topic=visits")' in response.read()
            assert not response.will_close
            assert events.receive() == ("message", visit) and socket.push()["payload"] == visit
        for method, path, status in (("GET", "/nowhere", 404), ("POST", "/", 405), ("GET", "/stats", 404)):
            connection.request(method, path)
            response = connection.getresponse()
            response.read()
            assert response.status == status, (path, response.status)
        connection.close()
        events.close()
        socket.close()


def handed_over(program):
    """a publish on a connection that had pages before: the answer is its last, and the next page comes on a new one"""
    with Server(program, "0") as server:
        socket = WebSocket(server.connect("http"))
        socket.ask("subscribe", topic="chat")
        connection = http.client.HTTPConnection(server.at["http"], timeout=PATIENCE)
        for payload in ("one", "two"):
            connection.request("GET", "/")
            connection.getresponse().read()
            connection.request("POST", "/publish", json.dumps({"topic": "chat", "payload": payload}))
            response = connection.getresponse()
            assert response.status == 200 and json.loads(response.read()) == {"matched": 1}
            assert response.will_close
            assert socket.push()["payload"] == payload
        connection.close()
        assert server.http("/publish", b"nonsense")[0] == 400
        assert WebSocket(server.connect("http"), headers=["Origin: http://elsewhere.test"]).status == 403
        socket.close()


def nothing_is_lost(program):
    """a message that came with the request for the WebSocket, in one segment, is not lost with the host's buffer"""
    with Server(program, "0") as server:
        key = base64.b64encode(os.urandom(16)).decode()
        request = f"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
                  f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        connected = server.connect("http")
        connected.sendall(request.encode() + WebSocket.frame(1, b'{"action":"ping","request_id":"early"}'))
        socket = WebSocket.__new__(WebSocket)
        socket.pushes, socket.socket, socket.file = [], connected, connected.makefile("rb")
        assert socket.file.readline().split()[1] == b"101"
        while socket.file.readline().strip():
            pass
        assert socket.reply()["request_id"] == "early"
        socket.close()


def ends(program):
    """SIGTERM: who listens is told, and connections that wait for their next request do not keep it"""
    with Server(program, "0") as server:
        events = Events(server.connect("http"), "topic=chat")
        socket = WebSocket(server.connect("http"))
        socket.ask("ping")
        idle = http.client.HTTPConnection(server.at["http"], timeout=PATIENCE)
        idle.request("GET", "/")
        idle.getresponse().read()
        server.process.terminate()
        assert events.receive()[0] == "pusher.close" and events.receive() is None
        assert socket.receive() == 1001
        assert server.wait() == 0
        for peer in (events, socket, idle):
            peer.close()


if __name__ == "__main__":
    main([pages, handed_over, nothing_is_lost, ends])
