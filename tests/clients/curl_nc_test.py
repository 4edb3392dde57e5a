#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""curl and nc as clients of the hub, as one uses them in a shell.

Usage: curl_nc_test.py --http http://HOST:PORT --tcp HOST:PORT --udp HOST:PORT
"""
import argparse
import json
import os
import select
import subprocess
import sys
import time

REPLY = 10  # seconds for anything that has to come


class Process:
    """A program whose output is read as it comes, with a deadline."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.text = ""

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def more(self):
        ready, _, _ = select.select([self.process.stdout], [], [], REPLY)
        assert ready, f"{self.process.args}: nothing came within {REPLY} s, after {self.text!r}"
        chunk = os.read(self.process.stdout.fileno(), 65536)
        assert chunk, f"{self.process.args} ended after {self.text!r}"
        self.text += chunk.decode()

    def until(self, end):
        while end not in self.text:
            self.more()
        text, self.text = self.text.split(end, 1)
        return text

    def object(self):
        """The next JSON object, whatever separates them: a line feed on TCP, nothing on UDP."""
        while True:
            try:
                value, size = json.JSONDecoder().raw_decode(self.text.lstrip())
                self.text = self.text.lstrip()[size:]
                return value
            except json.JSONDecodeError:
                self.more()

    def ask(self, action, cookie=None, **params):
        """A request, and its reply; pushes that come meanwhile are not expected."""
        self.say(json.dumps({"action": action, "params": params, **({"cookie": cookie} if cookie else {})}) + "\n")
        reply = self.object()
        assert reply.get("status") == "ok", reply
        return reply

    def end(self):
        self.process.kill()
        self.process.wait(REPLY)


def run(*arguments, say=""):
    done = subprocess.run(arguments, input=say, capture_output=True, text=True, timeout=REPLY)
    assert done.returncode == 0, (arguments, done.returncode, done.stderr)
    return done.stdout


def address(text):
    return text.rsplit(":", 1)


def everywhere(at):
    """published by curl, nc and nc -u: heard by curl -N, nc and nc -u, once each and in order"""
    topic = f"curl-nc-{os.getpid()}"
    events = Process("curl", "-sN", "-D", "-", f"{at.http}/events?topic={topic}")
    header = events.until("\r\n\r\n")
    assert " 200 " in header and "text/event-stream" in header, header
    line = Process("nc", *address(at.tcp))
    line.ask("subscribe", topic=topic)
    datagram = Process("nc", "-u", *address(at.udp))
    datagram.say(json.dumps({"action": "hello", "padding": "." * 100}) + "\n")
    challenge = datagram.object()
    assert challenge["action"] == "challenge", challenge
    cookie = challenge["cookie"]
    datagram.ask("subscribe", cookie, topic=topic)

    other = Process("nc", "-u", *address(at.udp))  # another port: another cookie
    other.say(json.dumps({"action": "publish", "cookie": cookie, "params": {"topic": topic, "payload": "forged"}}) + "\n")
    own = other.object()["cookie"]
    assert own != cookie

    sent = []
    for i in range(10):
        message = {"topic": topic, "payload": f"curl {i}"}
        receipt = json.loads(run("curl", "-s", "-d", json.dumps(message), f"{at.http}/publish"))
        assert receipt["matched"] == 3, receipt
        message["payload"] = f"nc {i}"
        request = json.dumps({"action": "publish", "params": message}) + "\n"
        reply = json.loads(run("nc", "-N", *address(at.tcp), say=request))
        assert reply["status"] == "ok" and reply["receipt"]["matched"] == 3, reply
        message["payload"] = f"nc -u {i}"
        assert other.ask("publish", own, **message)["receipt"]["matched"] == 3
        sent += [f"curl {i}", f"nc {i}", f"nc -u {i}"]
    assert [line.object()["payload"] for _ in sent] == sent
    assert [datagram.object()["payload"] for _ in sent] == sent
    heard = [events.until("\n\n").split("\n") for _ in sent]
    assert [e[-1] for e in heard] == [f"data: {payload}" for payload in sent], heard
    # Nothing comes twice: the next that comes is the next.
    run("curl", "-s", "-d", json.dumps({"topic": topic, "payload": "end"}), f"{at.http}/publish")
    assert line.object()["payload"] == "end" and datagram.object()["payload"] == "end"
    assert events.until("\n\n").endswith("data: end")

    last = heard[-1][0].removeprefix("id: ")
    resumed = Process("curl", "-sN", "-H", f"Last-Event-ID: {last}", f"{at.http}/events?topic={topic}")
    assert resumed.until("\n\n").endswith("data: end")
    for process in (events, line, datagram, other, resumed):
        process.end()


def many_lines(at):
    """a file of requests through nc: a reply to each, also to what comes last"""
    requests = [json.dumps({"request_id": str(i), "action": "ping"}) for i in range(300)]
    replies = run("nc", "-N", *address(at.tcp), say="\n".join(requests) + "\n").splitlines()
    assert [json.loads(r)["request_id"] for r in replies] == [str(i) for i in range(300)], replies
    bad = run("nc", "-N", *address(at.tcp), say="hello?\n")
    assert json.loads(bad)["status"] == "fail", bad


def large_bodies(at):
    """a body that curl announces first, and one in chunks; one that is too large is refused"""
    body = json.dumps({"topic": "large", "payload": "x" * 200_000})
    for header in ("Expect: 100-continue", "Transfer-Encoding: chunked"):
        # Without the word to continue curl would wait for longer than the deadline.
        reply = run("curl", "-s", "--expect100-timeout", "60", "-H", header, "--data-binary", "@-",
                    f"{at.http}/publish", say=body)
        assert "matched" in json.loads(reply), reply
    status = run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect: 100-continue",
                 "--expect100-timeout", "60", "--data-binary", "@-", f"{at.http}/publish", say="x" * 1_100_000)
    assert status == "413", status


def other_ways(at):
    """HTTP/1.0, HEAD, several requests on one connection, and what is refused"""
    def status(*arguments):
        return run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *arguments)

    assert "matched" in json.loads(run("curl", "-s0", "-d", '{"topic":"a","payload":"x"}', f"{at.http}/publish"))
    head = run("curl", "-sI", f"{at.http}/events?topic=a")
    assert " 200 " in head and "text/event-stream" in head, head
    assert "Content-Length" in run("curl", "-sI", f"{at.http}/stats")
    twice = run("curl", "-s", "-w", "%{num_connects}\n", "-o", "/dev/null", f"{at.http}/stats", "-o", "/dev/null",
                f"{at.http}/stats")
    assert twice == "1\n0\n", twice
    for origin, expected in (("http://elsewhere.example", "403"), (at.http, "200")):
        for path in ("/stats", "/publish"):
            body = ["-d", '{"topic":"a","payload":"x"}'] if path == "/publish" else []
            assert status("-H", f"Origin: {origin}", *body, at.http + path) == expected, (origin, path)
    assert status("-d", "nonsense", f"{at.http}/publish") == "400"
    assert status("-X", "DELETE", f"{at.http}/stats") == "405"
    assert status(f"{at.http}/ws") == "426"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--http", "--tcp", "--udp"):
        parser.add_argument(name, required=True)
    for unused in ("--history", "--artifacts"):
        parser.add_argument(unused, help="taken as all client tests do; not needed here")
    at = parser.parse_args()
    at.http = at.http.rstrip("/")
    steps = [everywhere, many_lines, large_bodies, other_ways]
    for number, step in enumerate(steps, 1):
        began = time.monotonic()
        try:
            step(at)
        except BaseException:
            print(f"not ok {number} - {step.__doc__}", flush=True)
            raise
        print(f"ok {number} - {step.__doc__} ({(time.monotonic() - began) * 1000:.0f} ms)", flush=True)
    print(f"1..{len(steps)}")


if __name__ == "__main__":
    sys.exit(main())
