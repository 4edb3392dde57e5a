#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""The C++ client as a program: over each transport, through a connection that breaks, and with a hub that says no.

It talks to the hub that is built beside it.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from support import PATIENCE, Server, main

HUB = os.path.join(os.path.dirname(os.path.abspath(sys.argv[1])), "hub")


def hub(*arguments, at="127.0.0.1:0"):
    return Server(HUB, "--http", at, "--tcp", "127.0.0.1:0", "--udp", "off", *arguments, wanted=("http", "tcp"))


class Proxy:
    """Carries bytes between clients and a hub until it is told to break the connection, and refuse others."""

    def __init__(self, server):
        self.server = server
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/ws"
        self.open = threading.Event()
        self.open.set()
        self.pair = None
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if not self.open.is_set():
                near.close()
                continue
            self.pair = (near, self.server.connect("http"))
            for one, other in (self.pair, self.pair[::-1]):
                threading.Thread(target=self.copy, args=(one, other), daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass

    def cut(self):
        self.open.clear()
        for end in self.pair:
            end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self):
        self.listener.close()


class Listener:
    """The program that listens, line by line."""

    def __init__(self, program, *arguments, **environment):
        self.process = subprocess.Popen(
            [program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **environment}, text=True)
        self.timer = threading.Timer(PATIENCE * 2, self.process.kill)
        self.timer.start()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.timer.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def says(self):
        return self.process.stdout.readline().rstrip("\n")

    def until(self, text):
        """Skips failed attempts to connect."""
        while (line := self.says()).startswith("disconnected: "):
            pass
        assert line == text, (line, text)

    def ready(self, topic):
        # The connection is there before the subscription, but which is told first is not promised.
        assert {self.says(), self.says()} == {"connected", f"subscribed to {topic}"}

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        assert self.process.wait(PATIENCE) == 0


def publish(program, url, topic, *payloads, **environment):
    done = subprocess.run(
        [program, url, topic, *payloads], capture_output=True, timeout=PATIENCE, text=True,
        env={**os.environ, **environment})
    assert done.returncode == 0, done
    return done.stdout.splitlines(), done.stderr


def transports(program):
    """over WebSocket, TCP and a Unix-domain socket: what one publishes all receive; both signals end it"""
    with tempfile.TemporaryDirectory() as folder, hub("--unix", folder + "/socket") as server:
        urls = [f"ws://{server.at['http']}/ws", f"tcp://{server.at['tcp']}", f"unix:{folder}/socket"]
        with Listener(program, urls[0], "news") as a, Listener(program, urls[1], "news") as b, \
                Listener(program, urls[2], "news") as c:
            for listener in (a, b, c):
                listener.ready("news")
            for url in urls:
                assert publish(program, url, "news", "sun", "rain") == (["published to 3"] * 2, "")
                for listener in (a, b, c):
                    assert [listener.says(), listener.says()] == ["news: sun", "news: rain"]
            a.end()
            b.end(signal.SIGINT)
            c.end()


def resume(program):
    """a connection that breaks: what was published meanwhile follows, once, in order"""
    with hub("--history", "10") as server:
        proxy = Proxy(server)
        with Listener(program, proxy.url, "news") as listener:
            listener.ready("news")
            server.publish("news", "1")
            assert listener.says() == "news: 1"
            proxy.cut()
            assert listener.says().startswith("disconnected: ")
            server.publish("news", "2")
            server.publish("news", "3")
            proxy.open.set()
            listener.until("connected again")
            server.publish("news", "4")
            assert [listener.says() for _ in range(3)] == ["news: 2", "news: 3", "news: 4"]

            proxy.cut()
            assert listener.says().startswith("disconnected: ")
            for number in range(5, 20):
                server.publish("news", str(number))
            proxy.open.set()
            listener.until("connected again")
            assert listener.says() == "news: not all that was missed is there"
            assert listener.says() == "news: 5 are missing"
            assert [listener.says() for _ in range(10)] == [f"news: {number}" for number in range(10, 20)]
            listener.end()
        proxy.close()


def another_hub(program):
    """a hub that ends and begins again: its goodbye is told, and the client comes back and subscribes by itself"""
    with hub("--history", "10") as first:
        with Listener(program, f"ws://{first.at['http']}/ws", "news") as listener:
            listener.ready("news")
            first.publish("news", "1")
            assert listener.says() == "news: 1"
            assert first.stop() == 0
            first.over = True
            line = listener.says()
            assert line.startswith("disconnected: ") and "; next attempt in " in line, line
            with hub("--history", "10", at=first.at["http"]) as second:
                listener.until("connected again")
                assert listener.says() == "news: not all that was missed is there"
                second.publish("news", "2")
                assert listener.says() == "news: 2"
                listener.end()


def no_hub_yet(program):
    """nobody listens there: the client tries until somebody does, or it is ended"""
    with hub() as gone:
        at = gone.at["http"]
    with Listener(program, f"ws://{at}/ws", "news") as patient, Listener(program, f"ws://{at}/ws", "news") as other:
        for listener in (patient, other):
            line = listener.says()
            assert line.startswith("disconnected: Connection refused; next attempt in "), line
        other.end()
        assert other.process.stderr.read() == ""
        with hub(at=at) as server:
            patient.until("connected")
            assert patient.says() == "subscribed to news"
            server.publish("news", "sun")
            assert patient.says() == "news: sun"
            patient.end()


def refusals(program):
    """a token that is wrong, one that is right, a topic that cannot be, a URL that is none"""
    with hub("--token", "secret=ann") as server:
        for url in (f"ws://{server.at['http']}/ws", f"tcp://{server.at['tcp']}"):
            assert publish(program, url, "news", "x", TOKEN="secret") == (["published to 0"], "")
            wrong = subprocess.run(
                [program, url, "news"], capture_output=True, timeout=PATIENCE, text=True,
                env={**os.environ, "TOKEN": "wrong"})
            assert wrong.returncode == 1 and "does not want this client" in wrong.stderr, wrong
        out, err = publish(program, url, "", "x", TOKEN="secret")
        assert out == [] and err == "not published: invalid topic\n", (out, err)
        with Listener(program, url, "", TOKEN="secret") as listener:
            assert listener.process.wait(PATIENCE) == 0
            assert listener.process.stderr.readline() == "cannot subscribe: invalid topic\n"
    for arguments in ([], ["ws://127.0.0.1"], ["http://127.0.0.1/", "news"], ["tcp://127.0.0.1", "news"]):
        bad = subprocess.run([program, *arguments], capture_output=True, timeout=PATIENCE)
        assert bad.returncode == 2 and bad.stdout == b"" and bad.stderr != b"", bad


if __name__ == "__main__":
    main([transports, resume, another_hub, no_hub_yet, refusals])
