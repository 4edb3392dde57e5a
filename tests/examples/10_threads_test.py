#!/usr/bin/env python3
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Several threads behind one port."""

import json
import urllib.request

from support import PATIENCE, Events, Server, main


def one_port(program):
    """whoever listens gets everything once and in order, whichever thread has taken its connection"""
    with Server(program, "0", "3") as server:
        listeners = [Events(server.connect("http"), "topic=chat") for _ in range(12)]
        for n in range(20):
            server.publish("chat", str(n))
        for events in listeners:
            assert [events.receive() for _ in range(20)] == [("message", str(n)) for n in range(20)]
        with urllib.request.urlopen(f"http://{server.at['http']}/stats", timeout=PATIENCE) as answer:
            stats = json.load(answer)
        assert stats["sessions"] == 12 and stats["published"] == 20 and stats["delivered"] == 240, stats
        server.process.terminate()
        for events in listeners:
            assert events.receive()[0] == "pusher.close"
        assert server.wait() == 0
        for events in listeners:
            events.close()


if __name__ == "__main__":
    main([one_port])
