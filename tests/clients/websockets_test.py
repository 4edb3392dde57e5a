#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""A client of the nbio pusher, written with python3-websockets, works with our hub unchanged.

It sends nothing but what that system's protocol knows, and reads nothing but what that system's replies and pushes
have. Works with websockets 10 (Debian 12) and later. Exit code 0 or 1; 2 for wrong arguments.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import time
import traceback
import urllib.request

try:
    import websockets
except ImportError:
    # Debian's package belongs to Debian's Python, and this may have been started with another one.
    if os.path.realpath(sys.executable) == os.path.realpath("/usr/bin/python3"):
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

STEP = 15.0  # seconds for a whole step
REPLY = 5.0  # seconds for one answer

REPLY_KEYS = {"request_id", "action", "status", "error_message", "timestamp"}
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
RUN = f"test/{time.time_ns():x}"
names = 0


def fresh(name):
    global names
    names += 1
    return f"{RUN}/{names}/{name}"


class Client:
    """Replies and pushes apart, each in the order in which they came."""

    def __init__(self, socket):
        self.socket = socket
        self.replies = asyncio.Queue()
        self.pushes = asyncio.Queue()
        self.count = 0
        self.reader = asyncio.ensure_future(self.read())

    @classmethod
    async def open(cls, url):
        return cls(await asyncio.wait_for(websockets.connect(url), REPLY))

    async def read(self):
        try:
            async for text in self.socket:
                assert isinstance(text, str), "text frames only"
                message = json.loads(text)
                await (self.replies if "status" in message else self.pushes).put(message)
        except websockets.ConnectionClosed:
            pass

    async def reply(self):
        return await asyncio.wait_for(self.replies.get(), REPLY)

    async def push(self):
        return await asyncio.wait_for(self.pushes.get(), REPLY)

    async def send(self, action, topic=None, kind=None):
        self.count += 1
        request = {"request_id": f"id-{self.count}", "timestamp": int(time.time() * 1000), "action": action}
        if topic is not None:
            request["params"] = {"topic": topic, "type": kind}
        await self.socket.send(json.dumps(request))
        return request

    async def ok(self, action, topic=None, kind=None):
        request = await self.send(action, topic, kind)
        reply = await self.reply()
        assert REPLY_KEYS <= reply.keys(), reply
        assert reply["request_id"] == request["request_id"], reply
        assert reply["action"] == action, reply
        assert reply["status"] == "ok" and reply["error_message"] == "", reply
        assert abs(reply["timestamp"] - time.time() * 1000) < 3600_000, f"milliseconds since 1970: {reply}"

    async def close(self):
        await asyncio.wait_for(self.socket.close(), REPLY)
        self.reader.cancel()


def check_push(push, topic, kind, payload):
    assert {"topic", "type", "payload", "meta"} <= push.keys(), push
    assert (push["topic"], push["type"], push["payload"]) == (topic, kind, payload), push
    assert RFC3339.match(push["meta"]["receive_time"]), push
    assert isinstance(push["meta"]["message_id"], str), push


class Test:
    def __init__(self, http, deflate):
        self.http = http
        self.deflate = deflate
        self.url = re.sub("^http", "ws", http) + "/ws"

    async def publish(self, topic, kind, payload):
        """The system's messages come from elsewhere (Redis, Kafka): here from POST /publish."""
        body = json.dumps({"topic": topic, "type": kind, "payload": payload}).encode()

        def post():
            with urllib.request.urlopen(urllib.request.Request(f"{self.http}/publish", body), timeout=REPLY) as r:
                return json.load(r)

        return await asyncio.get_running_loop().run_in_executor(None, post)

    async def subscribe_and_receive(self):
        """subscribe by topic and type: the reply has its five keys, the push its four, the payload is a string"""
        client, topic = await Client.open(self.url), fresh("order")
        await client.ok("subscribe", topic, "event")
        payload = '{"content":"message", "price": 1.0}'
        await self.publish(topic, "event", payload)
        check_push(await client.push(), topic, "event", payload)
        await client.close()

    async def compressed(self):
        """messages are compressed if the hub does, in both directions, and say the same"""
        client, topic = await Client.open(self.url), fresh("compressed")
        read = 0
        deliver = client.socket.data_received

        def count(data):
            nonlocal read
            read += len(data)
            deliver(data)

        client.socket.data_received = count
        protocol = getattr(client.socket, "protocol", client.socket)  # of websockets 14 and later
        names = [extension.name for extension in protocol.extensions]
        assert names == (["permessage-deflate"] if self.deflate else []), names
        await client.ok("subscribe", topic, "t")
        for size in (1, 100, 1000):
            before, payload = read, "price 1.0, name somebody; " * size
            await self.publish(topic, "t", payload)
            check_push(await client.push(), topic, "t", payload)
            assert (read - before < len(payload) / 2) == (self.deflate and size > 1), (size, read - before)
        await client.close()

    async def types_are_apart(self):
        """another type of the same topic is another group; nothing crosses over"""
        one, two, topic = await Client.open(self.url), await Client.open(self.url), fresh("quotes")
        await one.ok("subscribe", topic, "bid")
        await two.ok("subscribe", topic, "ask")
        for kind in ("ask", "bid", "last", "bid", "ask"):
            await self.publish(topic, kind, kind)
        for client, kind in ((one, "bid"), (two, "ask")):
            for _ in range(2):
                check_push(await client.push(), topic, kind, kind)
            await client.ok("ping")
            assert client.pushes.empty()
            await client.close()

    async def unsubscribe(self):
        """unsubscribe ends it, is ok for what was never subscribed to, and subscribing again works"""
        client, topic = await Client.open(self.url), fresh("topic")
        await client.ok("unsubscribe", fresh("never"), "t")
        for round_number in range(3):
            await client.ok("subscribe", topic, "t")
            await client.ok("subscribe", topic, "t")  # twice is once
            await self.publish(topic, "t", f"round {round_number}")
            check_push(await client.push(), topic, "t", f"round {round_number}")
            await client.ok("unsubscribe", topic, "t")
            await self.publish(topic, "t", "not for us")
        await client.ok("ping")
        assert client.pushes.empty()
        await client.close()

    async def ping(self):
        """ping as an action, and as a frame of the protocol"""
        client = await Client.open(self.url)
        await client.ok("ping")
        pong = await client.socket.ping()
        await asyncio.wait_for(pong, REPLY)
        await client.close()

    async def errors_are_answered(self):
        """where that system is silent, ours says what is wrong, and the connection lives"""
        client = await Client.open(self.url)
        for text in ('{"action":', '{"request_id":"x","action":"dance","params":{"topic":"a","type":"b"}}', "[]"):
            await client.socket.send(text)
            reply = await client.reply()
            assert REPLY_KEYS <= reply.keys() and reply["status"] == "fail" and reply["error_message"], reply
        await client.ok("ping")
        await client.close()

    async def order_across_topics(self):
        """one connection sees the messages of several topics in the order in which they were published"""
        client, topics = await Client.open(self.url), [fresh("a"), fresh("b"), fresh("c")]
        for topic in topics:
            await client.ok("subscribe", topic, "t")
        for i in range(60):
            await self.publish(topics[i % 3], "t", str(i))
        for i in range(60):
            check_push(await client.push(), topics[i % 3], "t", str(i))
        await client.close()

    async def many_clients(self):
        """a hundred clients of one topic each get every message once; some leave without a goodbye"""
        topic = fresh("many")
        clients = await asyncio.gather(*(Client.open(self.url) for _ in range(100)))
        await asyncio.gather(*(c.ok("subscribe", topic, "t") for c in clients))
        for c in clients[::10]:
            c.socket.transport.abort()
        stay = [c for i, c in enumerate(clients) if i % 10]
        for i in range(10):
            await self.publish(topic, "t", str(i))
        for c in stay:
            for i in range(10):
                check_push(await c.push(), topic, "t", str(i))
            assert c.pushes.empty()
        await asyncio.gather(*(c.close() for c in stay))


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http", required=True, help="http://HOST:PORT of the hub")
    parser.add_argument("--deflate", help="on: the hub compresses")
    for unused in ("--tcp", "--udp", "--history", "--artifacts"):
        parser.add_argument(unused, help="taken as all client tests do; not needed here")
    options = parser.parse_args()
    test = Test(options.http.rstrip("/"), options.deflate == "on")
    steps = [test.subscribe_and_receive, test.compressed, test.types_are_apart, test.unsubscribe, test.ping, test.errors_are_answered,
             test.order_across_topics, test.many_clients]
    for number, step in enumerate(steps, 1):
        began = time.monotonic()
        try:
            await asyncio.wait_for(step(), STEP)
        except BaseException:
            print(f"not ok {number} - {step.__doc__}", flush=True)
            raise
        print(f"ok {number} - {step.__doc__} ({(time.monotonic() - began) * 1000:.0f} ms)", flush=True)
    print(f"1..{len(steps)}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except Exception:
        traceback.print_exc()
        sys.exit(1)
