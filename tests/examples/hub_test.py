#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""The hub as a program: its options, where it listens, tokens, bad input, and its end."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time

from support import PATIENCE, Events, Lines, Server, WebSocket, main

FREE = ["--http", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--log-level", "debug"]
ALL = ("http", "tcp", "udp")


def hub(program, *arguments):
    wanted = ALL + ("unix",) if "--unix" in arguments else ALL
    return Server(program, *FREE, *arguments, wanted=wanted)


def ends_with(program, *arguments):
    done = subprocess.run(
        [program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, text=True)
    return done.returncode, done.stdout, done.stderr


def bad_options(program):
    """a bad option: what is wrong on stderr, status 2, nothing on stdout"""
    for arguments, part in [
            (["--bogus"], "--bogus"), (["extra"], "extra"), (["--http"], "--http"),
            (["--http", "8080"], "neither HOST:PORT"), (["--tcp", "127.0.0.1:65536"], "port"),
            (["--tcp", "127.0.0.1:"], "port"), (["--udp", "localhost:-1"], "port"),
            (["--http", "example.test:80"], "IP address"), (["--http", "::1:80"], "[::1]:8080"),
            (["--history", "-1"], "--history"), (["--history", "1.5"], "--history"), (["--outbox", "0"], "--outbox"),
            (["--idempotency", "-1"], "--idempotency"),
            (["--memory", "0"], "--memory"),
            (["--overflow", "explode"], "drop_oldest"),
            (["--overflow", "a/#/b=conflate"], "not a filter"), (["--overflow", "a=b=spill"], "needs --history"),
            (["--store", "disk"], "sqlite:FILE"), (["--store", "sqlite:"], "sqlite:FILE"), (["--store", "sqlite:f"], "needs --history"),
            (["--threads", "0"], "--threads"), (["--threads", "65"], "--threads"),
            (["--threads", "2", "--history", "1", "--store", "sqlite:f"], "--threads"),
            (["--threads", "2", "--on-failure", "persist"], "--threads"),
            (["--on-failure", "pray"], "retry[:ATTEMPTS[:DELAY]]"),
            (["--on-failure", "drop,retry"], "leaves nothing for the next"), (["--on-failure", "retry:0"], "attempts"),
            (["--on-failure", "retry:3:1"], "not a time"), (["--on-failure", "a/#/b=persist"], "not a filter"),
            (["--on-failure", "drop", "--on-failure", "persist"], "second one for all topics"),
            (["--parked-for", "1"], "not a time"), (["--parked-for", "101d"], "too long"),
            (["--ack-window", "0"], "--ack-window"), (["--ack-timeout", "1ms"], "too short"),
            (["--durable-for", "1w"], "not a time"),
            (["--log-level", "loud"], "warning"),
            (["--token", "nothing"], "SECRET=UID"), (["--token", "a=b", "--token", "a=c"], "twice"),
            (["--http", "off", "--tcp", "off", "--udp", "off"], "nothing to listen at")]:
        status, out, err = ends_with(program, *arguments)
        assert status == 2 and out == "" and err.startswith("hub: ") and part in err, (arguments, status, out, err)
    assert "s3cret" not in ends_with(program, "--token", "s3cret")[2], "secrets are not repeated"


def help_and_version(program):
    """--help and --version"""
    status, out, err = ends_with(program, "--help")
    assert status == 0 and err == "" and "--overflow" in out and "127.0.0.1:8080" in out
    status, out, err = ends_with(program, "--version")
    assert status == 0 and err == "" and out.startswith("hub ")


def address_in_use(program):
    """an address in use: which one on stderr, status 2; a socket file that a killed hub left is no obstacle"""
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/hub.sock"
        with hub(program, "--unix", path) as first:
            assert first.at["unix"] == path
            off = {"--http": "off", "--tcp": "off", "--udp": "off", "--unix": "off"}
            for kind in ("http", "tcp", "udp", "unix"):
                chosen = {**off, f"--{kind}": first.at[kind]}
                status, out, err = ends_with(program, *(word for pair in chosen.items() for word in pair))
                assert status == 2 and out == "", (kind, status, out)
                assert first.at[kind] in err and "in use" in err, err
            assert Lines(first.connect("unix")).ask("ping")
        assert not os.path.exists(path), "a socket file is left"
        killed = hub(program, "--unix", path)
        killed.process.kill()
        killed.wait()
        assert os.path.exists(path)
        with hub(program, "--unix", path):
            pass


def the_raw_dialect(program):
    """--raw: payloads behind their lengths, the token in the first frame; GET /raw does the same on WebSocket"""
    with hub(program, "--raw", "127.0.0.1:0", "--token", "s3cret=alice") as h:
        def frame(body):
            return len(body).to_bytes(4, "big") + body
        def heard(peer):
            head = int.from_bytes(peer.recv(4, socket.MSG_WAITALL), "big")
            return head >> 31, peer.recv(head & 0x7FFFFFFF, socket.MSG_WAITALL)
        with h.connect("raw") as stranger:
            stranger.sendall(frame(b"topic=feed"))
            control, body = heard(stranger)
            assert control and json.loads(body)["close"]["code"] == 1008, body
        with h.connect("raw") as peer:
            peer.sendall(frame(b"topic=feed&publish=feed&token=s3cret") + frame(b"\0\xff") + frame(b""))
            assert heard(peer) == (0, b"\0\xff") and heard(peer) == (0, b"")


def raw_half_closed(program):
    """a raw peer that ends its direction gets what it published, however long that takes: stored, or by another thread"""
    messages = [str(i).encode() for i in range(500)]
    sent = b"".join(len(m).to_bytes(4, "big") + m for m in [b"topic=x&publish=x", *messages])
    with tempfile.TemporaryDirectory() as folder:
        for how in (["--store", f"sqlite:{folder}/hub.db"], ["--threads", "3"]):
            with hub(program, "--raw", "127.0.0.1:0", "--history", "1000", "--outbox", "1000", *how) as h:
                with h.connect("raw") as peer:
                    peer.settimeout(PATIENCE)
                    peer.sendall(sent)
                    peer.shutdown(socket.SHUT_WR)
                    heard = b"".join(iter(lambda: peer.recv(65536), b""))
                assert heard == sent[4 + 17:], (how, len(heard), len(sent))


def the_page(program):
    """GET / is the page, with its security policy as a header; there is no icon, and nothing else"""
    with hub(program) as h:
        status, headers, body = h.http("/")
        assert status == 200 and headers["Content-Type"].startswith("text/html") and "<!DOCTYPE html>" in body
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy, policy
        status, headers, body = h.http("/favicon.ico")
        assert (status, body, headers["Content-Length"]) == (204, "", None)
        status, _, body = h.http("/", b"post")
        assert status == 405 and json.loads(body)["error"]
        assert h.http("/nowhere")[0] == 404


def threads(program):
    """--threads: whichever thread has taken a connection, all are one hub; /stats counts all; the end is in good order"""
    with hub(program, "--threads", "3", "--history", "100") as h:
        sockets = [WebSocket(h.connect("http")) for _ in range(12)]
        for socket in sockets:
            socket.ask("subscribe", topic="a")
        for i in range(20):
            sockets[i % 12].ask("publish", topic="a", payload=str(i))
        for socket in sockets:
            pushes = [socket.push() for _ in range(20)]
            assert [p["payload"] for p in pushes] == [str(i) for i in range(20)], pushes
            assert [p["meta"]["offset"] for p in pushes] == list(range(1, 21)), pushes
        for _ in range(6):
            late = WebSocket(h.connect("http"))
            late.ask("subscribe", topic="a", history=2)
            assert [late.push()["payload"] for _ in range(2)] == ["18", "19"]
            late.close()
        stats = json.loads(h.http("/stats")[2])
        assert stats["published"] == 20 and stats["transports"]["websocket"]["accepted"] == 18, stats
        h.process.terminate()
        for socket in sockets:
            assert socket.receive() == 1001
            socket.close()
        assert h.wait() == 0


def options_count(program):
    """--history and --overflow do what they say"""
    with hub(program, "--history", "2", "--outbox", "4", "--overflow", "other/#=spill", "--overflow", "fl/#=disconnect") as h:
        for i in range(3):
            h.publish("a", str(i))
        late = WebSocket(h.connect("http"))
        late.ask("subscribe", topic="a", history=10)
        assert [late.push()["payload"] for _ in range(2)] == ["1", "2"]
        late.close()
        stuck = WebSocket(h.connect("http"))
        stuck.ask("subscribe", topic="fl/ood")
        big = "x" * 30_000
        for _ in range(200):
            h.publish("fl/ood", big)
        while not isinstance(m := stuck.receive(), int):
            assert m["payload"] == big, "a gap although the policy is to disconnect"
        assert m == 1013, m


def parked(program):
    """--on-failure: what a lost connection did not take is kept for its user, and shown in /stats"""
    with hub(program, "--token", "s=ann", "--on-failure", "kept/#=persist", "--on-failure", "retry:1:10ms",
             "--outbox", "1000") as h:
        stuck = Lines(h.connect("tcp"))
        stuck.ask("auth", token="s")
        for topic in ["kept/1", "lost"]:
            stuck.ask("subscribe", topic=topic)
        publisher = Lines(h.connect("tcp"))
        publisher.ask("auth", token="s")
        count, big = 150, "x" * 20_000
        for i in range(count):
            publisher.ask("publish", topic="kept/1", payload=f"{i} {big}")
        publisher.ask("publish", topic="lost", payload="x")
        stuck.reset()
        stats = {}
        while not stats.get("parked") or not stats.get("dead_letter_messages"):
            stats = json.loads(h.http("/stats?token=s")[2])
        kept = stats["parked_messages"]
        assert 0 < kept < count and stats["dead_letters"] == 1 and stats["retried"] == 1, stats
        back = Lines(h.connect("tcp"))
        back.ask("auth", token="s")
        back.ask("subscribe", topic="kept/1")
        for i in range(count - kept, count):
            push = back.push()
            assert push["payload"].startswith(f"{i} ") and push["meta"]["redelivered"], push
        stats = json.loads(h.http("/stats?token=s")[2])
        assert stats["parked_messages"] == 0 and stats["returned"] == kept, stats


def stored(program):
    """--store: what was published is there in the next life, and who comes back goes on; a file that is no store, or is
    in use, is refused"""
    with tempfile.TemporaryDirectory() as folder:
        kept = ["--history", "10", "--store", f"sqlite:{folder}/hub.db"]
        with hub(program, *kept) as h:
            first = h.publish("a", "1")
            h.publish("a", "2")
            assert json.loads(h.http("/stats")[2])["store_batches"] == 2
            status, out, err = ends_with(program, "--tcp", "off", "--udp", "off", "--http", "127.0.0.1:0", *kept)
            assert status == 2 and out == "" and "cannot open the store" in err, (status, out, err)
        with hub(program, *kept) as h:
            third = h.publish("a", "3")
            assert (third["epoch"], third["offset"]) == (first["epoch"], 3), third
            late = WebSocket(h.connect("http"))
            reply = late.ask("subscribe", topic="a", resume={"epoch": first["epoch"], "offset": 1})
            assert reply["recovered"] is True, reply
            assert [late.push()["payload"] for _ in range(2)] == ["2", "3"]
            late.close()
        with open(folder + "/text", "w", encoding="utf-8") as text:
            text.write("no store\n" * 1000)
        status, _, err = ends_with(program, "--history", "1", "--store", f"sqlite:{folder}/text")
        assert status == 2 and "not a store" in err, (status, err)


def acknowledged(program):
    """--ack-window, --ack-timeout, --parked-for: how many wait for an acknowledgement, how long, and what is too old"""
    with hub(program, "--token", "s=ann", "--history", "10", "--ack-window", "2", "--ack-timeout", "10ms",
             "--on-failure", "persist", "--parked-for", "1ms") as h:
        line = Lines(h.connect("tcp"))
        line.ask("auth", token="s")
        line.ask("subscribe", topic="a", ack=True)
        publisher = Lines(h.connect("tcp"))
        publisher.ask("auth", token="s")
        for i in range(3):
            publisher.ask("publish", topic="a", payload=str(i))
        # The third comes when the first is given up, and nobody comes for that in time.
        assert [line.push()["payload"] for _ in range(3)] == ["0", "1", "2"]
        while json.loads(h.http("/stats?token=s")[2])["dead_letters"] != 3:
            pass
        line.close()
        publisher.close()


def published_once(program):
    """--idempotency: what was published by an id is not published again, whatever transport it comes by"""
    message = {"topic": "a", "payload": "x", "id": "1"}
    with hub(program, "--idempotency", "1") as h:
        listener = WebSocket(h.connect("http"))
        listener.ask("subscribe", topic="a")
        line = Lines(h.connect("tcp"))
        ask = {"action": "publish", "params": message}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(PATIENCE)
            host, port = h.at["udp"].rsplit(":", 1)
            udp.connect((host, int(port)))
            udp.send(json.dumps(ask).encode())
            udp.send(json.dumps({**ask, "cookie": json.loads(udp.recv(2000))["cookie"]}).encode())
            receipts = [json.loads(udp.recv(2000))["receipt"]]
        receipts += [line.ask("publish", **message)["receipt"], listener.ask("publish", **message)["receipt"],
                     json.loads(h.http("/publish", json.dumps(message).encode())[2]),
                     *json.loads(h.http("/publish", json.dumps([message, {**message, "id": "2"}, message]).encode())[2])]
        again, first = {"matched": 1, "repeated": True}, {"matched": 1}
        assert receipts == [first, again, again, again, again, first, first], receipts
        assert json.loads(h.http("/stats")[2])["repeated_publishes"] == 4
        line.close()
        listener.close()


def tokens(program):
    """with tokens only who shows one may come, and is that user; the page is for everybody"""
    with hub(program, "--token", "s3=cret=alice", "--token", "other+1=bob") as h:
        assert h.http("/")[0] == 200
        for path, body in [("/stats", None), ("/publish", b'{"topic":"a","payload":"x"}'), ("/events?topic=a", None)]:
            assert h.http(path, body)[0] == 401, path
            assert h.http(path, body, {"Authorization": "Bearer wrong"})[0] == 403, path
            assert h.http(path + ("&" if "?" in path else "?") + "token=wrong", body)[0] == 403, path
        assert h.http("/stats", headers={"Authorization": "bearer s3=cret"})[0] == 200
        assert h.http("/stats?token=s3%3dcret")[0] == 200
        assert h.publish("a", "x", {"Authorization": "Bearer other+1"})["matched"] == 0

        events = Events(h.connect("http"), "topic=a&token=other%2B1")
        assert events.status == 200
        by_header = WebSocket(h.connect("http"), headers=["Authorization: Bearer s3=cret"])
        by_query = WebSocket(h.connect("http"), "/ws?token=s3=cret")
        by_action = WebSocket(h.connect("http"))
        line = Lines(h.connect("tcp"))
        for peer in (by_action, line):
            peer.ask("hello")
            peer.ask("ping")
            for action, more in [("subscribe", {}), ("publish", {"payload": "x"})]:
                refused = peer.request(action, topic="a", **more)
                assert refused["status"] == "fail" and "auth" in refused["error_message"], refused
            peer.ask("auth", token="s3=cret")
            peer.ask("auth", token="s3=cret")
            assert peer.request("auth", token="other+1")["status"] == "fail", "another user"
        for peer in (by_header, by_query, by_action, line):
            peer.ask("subscribe", topic="a")
        assert h.publish("a", "for five", {"Authorization": "Bearer s3=cret"})["matched"] == 5
        assert events.receive() == ("message", "for five")
        for peer in (by_header, by_query, by_action, line):
            assert peer.push()["payload"] == "for five"
            peer.close()

        for path in ("/ws?token=wrong", "/ws?token=%ZZ"):
            assert WebSocket(h.connect("http"), path).status == 403
        wrong = WebSocket(h.connect("http"))
        assert wrong.request("auth", token="wrong")["status"] == "fail"
        assert wrong.receive() == 1008
        wrong = Lines(h.connect("tcp"))
        assert wrong.request("auth", token="wrong")["status"] == "fail"
        assert wrong.receive()["close"]["code"] == 1008
        assert wrong.receive() is None


def bad_input(program):
    """a hundred bad inputs on every transport: the hub answers or closes, and serves others as before"""
    ws = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
    shake = ws + b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    http = [
        b"\r\n\r\n", b"\0" * 1000, b"GET", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
        b"GET /stats HTTP/1.1\r\n\r\n", b"GET /stats HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost a\r\n\r\n", b"GET / HTTP/1.1\r\n: a\r\n\r\n", b"\xff\xfe / HTTP/1.1\r\n\r\n",
        b"GET " + b"/" * 100_000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000,
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000, b"POST /publish HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n{",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nZZ\r\n",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\xff\xfe",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n[[",
        b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + b"[" * 50_000,
        b"DELETE /publish HTTP/1.1\r\nHost: a\r\n\r\n", b"PUT /events HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS /publish HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /events?topic= HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /events?topic=%00 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /events?topic=%ff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /events?topic=%4 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /events?topic=a&type=pusher.x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /events?topic=a&match=what HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /events?topic=a%23&match=filter HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /events?" + b"topic=a&" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD /events?topic=a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", ws + b"\r\n", ws + b"Sec-WebSocket-Key: short\r\n\r\n",
        ws.replace(b"13", b"12") + b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
        ws + b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
        ws + b"Origin: http://elsewhere\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
        ws + b"Origin: null\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
        shake + b"\x81", shake + b"\x81\x02{}", shake + b"\xf1\x80\0\0\0\0", shake + b"\x83\x80\0\0\0\0",
        shake + b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", shake + b"\x89\xfe\0\x7e\0\0\0\0" + b"x" * 126,
        shake + b"\x09\x80\0\0\0\0", shake + b"\x80\x80\0\0\0\0", shake + b"\x01\x80\0\0\0\0\x81\x80\0\0\0\0",
        shake + b"\x88\x81\0\0\0\0x", shake + b"\x88\x82\0\0\0\0\x03\xed", shake + b"\x88\x84\0\0\0\0\x03\xe8\xff\xff",
        shake + b"\x81\x82\0\0\0\0\xc3\x28", shake + b"\x82\x82\0\0\0\0\xc3\x28", shake + b"\x81\x80\0\0\0\0" * 1000,
    ]
    lines = [
        b"\n", b"\0\n", b"\xff\n", b"{\n", b"}\n", b"[]\n", b"null\n", b"1\n", b'"x"\n', b"{}\n", b'{"action":1}\n',
        b'{"action":"dance"}\n', b'{"action":"subscribe"}\n', b'{"action":"subscribe","params":1}\n',
        b'{"action":"subscribe","params":{}}\n', b'{"action":"subscribe","params":{"topic":1}}\n',
        b'{"action":"subscribe","params":{"topic":""}}\n', b'{"action":"subscribe","params":{"topic":"\\u0000"}}\n',
        b'{"action":"subscribe","params":{"topic":"' + b"x" * 256 + b'"}}\n',
        b'{"action":"subscribe","params":{"topic":"a#","match":"filter"}}\n',
        b'{"action":"subscribe","params":{"topic":"' + b"a/" * 33 + b'a","match":"filter"}}\n',
        b'{"action":"subscribe","params":{"topic":"a","match":"maybe"}}\n',
        b'{"action":"subscribe","params":{"topic":"a","history":-1}}\n',
        b'{"action":"subscribe","params":{"topic":"a","history":1}}\n',
        b'{"action":"subscribe","params":{"topic":"a","resume":{}}}\n',
        b'{"action":"subscribe","params":{"topic":"a","ack":true}}\n',
        b'{"action":"subscribe","params":{"topic":"a","durable":"d"}}\n',
        b'{"action":"subscribe","params":{"topic":"a","overflow":"x"}}\n', b'{"action":"unsubscribe"}\n',
        b'{"action":"publish","params":{"topic":"a"}}\n', b'{"action":"publish","params":{"topic":"a","payload":"\\ud800"}}\n',
        b'{"action":"publish","params":{"topic":"a","payload":"x","type":"pusher.x"}}\n',
        b'{"action":"publish","params":{"topic":"a","payload":"x","ttl":-1}}\n', b'{"action":"ack"}\n',
        b'{"action":"auth"}\n', b'{"action":"auth","params":{"token":""}}\n', b'{"action":"ping"}{"action":"ping"}\n',
        b'{"request_id":1,"action":"ping"}\n', b'{"action":"ping","action":"ping"}\n', b"[" * 1000 + b"\n",
        b'{"a":' * 40 + b"1" + b"}" * 40 + b"\n", b"x" * 70_000, b"x" * 70_000 + b"\n", b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"{\"action\":\"ping\"",
    ]
    datagrams = [b"", b"x", b"{", b"{}" + b" " * 200, b"\xff" * 500, b'{"action":"ping","cookie":"nonsense"}' + b" " * 200,
                 b'{"cookie":1}' + b" " * 200, b'{"cookie":"' + b"A" * 400 + b'"}', b"x" * 20_000]
    assert len(http) + len(lines) + len(datagrams) > 100
    with hub(program) as h:
        witness = Lines(h.connect("tcp"))
        witness.ask("subscribe", topic="witness")
        for number, (kind, data) in enumerate([("http", d) for d in http] + [("tcp", d) for d in lines]):
            s = h.connect(kind)
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except ConnectionResetError:
                pass  # closed while we were still writing
            except OSError as e:
                assert not isinstance(e, socket.timeout), f"{kind}: neither an answer nor an end after {data[:80]}"
            s.close()
            if number % 10 == 0:
                assert h.publish("witness", str(number))["matched"] == 1
                assert witness.push()["payload"] == str(number)
        host, port = h.at["udp"].rsplit(":", 1)
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for data in datagrams:
            stranger.sendto(data, (host, int(port)))
        witness.ask("ping")
        deadline = time.monotonic() + PATIENCE
        while (stats := json.loads(h.http("/stats")[2]))["sessions"] != 1 and time.monotonic() < deadline:
            pass
        assert stats["sessions"] == 1, "only the witness is left"
        assert stats["transports"]["tcp"]["bad_requests"] > 30 and stats["transports"]["http"]["bad_requests"] > 10, stats


def ends_in_good_order(program):
    """SIGTERM with a hundred clients: each gets its goodbye, the end comes at once, with status 0"""
    with hub(program) as h:
        sockets = [WebSocket(h.connect("http")) for _ in range(34)]
        lines = [Lines(h.connect("tcp")) for _ in range(33)]
        streams = [Events(h.connect("http"), "topic=a") for _ in range(33)]
        for peer in sockets + lines:
            peer.ask("subscribe", topic="a")
        assert h.publish("a", "last")["matched"] == 100
        began = time.monotonic()
        h.process.terminate()
        for peer in sockets:
            assert (peer.receive()["payload"], peer.receive(), peer.receive()) == ("last", 1001, None)
        for peer in lines:
            assert peer.receive()["payload"] == "last"
            assert peer.receive()["close"]["code"] == 1001
            assert peer.receive() is None
        for peer in streams:
            assert peer.receive() == ("message", "last")
            assert peer.receive()[0] == "pusher.close"
            assert peer.receive() is None
        assert h.wait() == 0
        took = time.monotonic() - began
        assert took < 3, f"{took} s"


def interrupts(program):
    """SIGINT drains too; a second one does not wait for a client that does not answer"""
    for patient in (True, False):
        with hub(program) as h:
            mute = None if patient else WebSocket(h.connect("http"))
            h.process.send_signal(signal.SIGINT)
            if mute:
                mute.file.read(2)  # its goodbye has begun: the first signal was seen
                h.process.send_signal(signal.SIGINT)
            began = time.monotonic()
            assert h.wait() == 0
            assert time.monotonic() - began < 3


if __name__ == "__main__":
    main([bad_options, help_and_version, address_in_use, the_raw_dialect, raw_half_closed, the_page, threads, options_count, parked, acknowledged, stored, published_once, tokens, bad_input, ends_in_good_order,
          interrupts])
