#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""The native dialect on standard input and output: pipes, files, a reader that is slow or gone, and the end."""

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import tempfile

from support import PATIENCE, Lines, Peer, main


class Child(Peer):
    """The program, and this side of its input and output."""

    def __init__(self, program):
        super().__init__()
        self.process = subprocess.Popen(
            [program, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = self.says()
        assert said.startswith("listening tcp "), said
        self.tcp = said.split()[2]
        assert self.says() == "accepted pipe stdin"

    def says(self):
        return self.process.stderr.readline().decode().rstrip("\n")

    def connect(self):
        host, port = self.tcp.rsplit(":", 1)
        return Lines(socket.create_connection((host, int(port)), PATIENCE))

    def send(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def end(self):
        return self.process.wait(PATIENCE)


def a_peer_like_others(program):
    """who speaks through pipes and who speaks over TCP hear each other; the end of the input ends the program"""
    with Child(program) as child:
        child.ask("subscribe", topic="chat")
        other = child.connect()
        assert child.says().startswith("accepted tcp 127.0.0.1:")
        other.ask("subscribe", topic="chat")
        for who in (child, other):
            assert who.ask("publish", topic="chat", payload="hello")["receipt"]["matched"] == 2
            assert [peer.push()["payload"] for peer in (child, other)] == ["hello", "hello"]
        child.process.stdin.close()
        assert child.says().startswith("closed pipe")
        assert other.receive()["close"]["code"] == 1001 and other.receive() is None
        other.close()
        assert child.receive() is None
        assert child.end() == 0


def signals(program):
    """SIGTERM: a goodbye on stdout, its end, status 0"""
    with Child(program) as child:
        child.ask("ping")
        child.process.send_signal(signal.SIGTERM)
        assert child.receive()["close"]["code"] == 1001
        assert child.receive() is None, "nothing follows the goodbye"
        child.process.stdin.close()
        assert child.end() == 0


def in_a_shell(program):
    """echo … | 5_own_transport, input and output from and to files, and no output at all"""
    requests = b'{"action":"ping"}\nnonsense\n{"action":"publish","params":{"topic":"chat","payload":"x"}}\n'

    def check(output):
        replies = [json.loads(line) for line in output.splitlines()]
        assert [r["status"] for r in replies] == ["ok", "fail", "ok"], replies

    piped = subprocess.run([program, "0"], input=requests, capture_output=True, timeout=PATIENCE)
    assert piped.returncode == 0
    check(piped.stdout)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as got:
        given.write(requests)
        given.seek(0)
        filed = subprocess.run([program, "0"], stdin=given, stdout=got, stderr=subprocess.PIPE, timeout=PATIENCE)
        assert filed.returncode == 0, filed
        got.seek(0)
        check(got.read())
    closed = subprocess.run(["sh", "-c", '"$0" 0 <&-', program], capture_output=True, timeout=PATIENCE)
    assert closed.returncode == 2 and b"Bad file descriptor" in closed.stderr, closed


def slow_reader(program):
    """who does not read loses messages, is told how many, and stops nobody"""
    with Child(program) as child:
        child.ask("subscribe", topic="flood")
        other = child.connect()
        count, payload = 2000, "x" * 2000
        for _ in range(count):
            assert other.ask("publish", topic="flood", payload=payload)["receipt"]["matched"] == 1
        other.ask("publish", topic="flood", payload="last")
        received = missed = 0
        while (m := child.receive()).get("payload") != "last":
            if "gap" in m:
                missed += m["gap"]["count"]
            else:
                assert m["payload"] == payload
                received += 1
        assert missed > 0 and received + missed == count, (received, missed)
        child.ask("ping")
        other.close()


def reader_gone(program):
    """a reader that has gone ends the session, and with it the program, not by a signal"""
    with Child(program) as child:
        child.process.stdout.close()
        child.send('{"action":"ping"}')
        assert child.says() == "closed pipe: Broken pipe"
        assert child.end() == 0


def terminal(program):
    """on a terminal, which is blocking again afterwards"""
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen([program, "0"], stdin=slave, stdout=slave, stderr=subprocess.PIPE)
        os.write(master, b'{"action":"ping"}\n')
        with open(os.dup(master), "rb") as screen:
            assert json.loads(screen.readline())["action"] == "ping"  # the echo
            assert json.loads(screen.readline())["status"] == "ok"
            assert fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
            os.write(master, b"\x04")  # Ctrl-D
            assert process.wait(PATIENCE) == 0
        assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
        process.stderr.close()
    finally:
        os.close(master)
        os.close(slave)


if __name__ == "__main__":
    main([a_peer_like_others, signals, in_a_shell, slow_reader, reader_gone, terminal])
