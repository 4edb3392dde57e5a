#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""WebSocket, an event stream and POST /publish on one port, and the clock."""

import subprocess

from support import PATIENCE, Events, Server, WebSocket, main


def one_port(program):
    """the clock ticks, and a publish arrives, on both"""
    with Server(program, "0") as server:
        socket = WebSocket(server.connect("http"))
        socket.ask("subscribe", topic="clock")
        first = int(socket.push()["payload"])
        assert int(socket.push()["payload"]) == first + 1
        socket.ask("unsubscribe", topic="clock")
        socket.pushes.clear()
        socket.ask("subscribe", topic="chat")
        events = Events(server.connect("http"), "topic=chat")
        assert events.status == 200
        assert server.publish("chat", "hello")["matched"] == 2
        assert socket.push()["payload"] == "hello" and events.receive() == ("message", "hello")
        assert WebSocket(server.connect("http"), headers=["Origin: http://elsewhere.test"]).status == 403
        server.process.terminate()
        assert socket.receive() == 1001 and events.receive()[0] == "pusher.close"
        assert server.wait() == 0
        socket.close()
        events.close()


def port_in_use(program):
    """a port that is taken: status 2, and why"""
    with Server(program, "0") as server:
        port = server.at["http"].rsplit(":", 1)[1]
        done = subprocess.run([program, port], capture_output=True, timeout=PATIENCE)
        assert done.returncode == 2 and done.stdout == b"" and b"in use" in done.stderr, done


if __name__ == "__main__":
    main([one_port, port_in_use])
