# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""What is measured, of which servers, and when it belongs to the default set."""
import dataclasses

QUICK, DEFAULT, FULL = range(3)

# A work's `who`: everybody, or the library beside the limit and the textbook, or with and without history, or beside the
# limit alone, or alone. Servers that were named on the command line take part in the first two.
ALL, CORE, SELF, LIMIT, ALONE = range(5)

CORE_SERVERS = ("raw", "beast", "pusher")
WITH_HISTORY = "pusher with history"


@dataclasses.dataclass(frozen=True)
class Work:
    part: str
    group: str  # works of one group are columns of one table
    name: str
    load: str
    tier: int = FULL
    who: int = ALL
    server: str = ""
    once: bool = False  # what does not change from one repetition to the next
    dialect: str = ""  # if it can only be measured in this one

    def takes(self, server, given=()):
        if self.who == SELF:
            return server in ("pusher", WITH_HISTORY)
        if self.who in (LIMIT, ALONE):
            return server == "pusher" or server == "raw" and self.who == LIMIT
        return server in given or server != WITH_HISTORY and (self.who == ALL or server in CORE_SERVERS)


def fan_out():
    """Every combination in the full set; by default all servers at one of them, and the core along each axis."""
    for sessions in (1000, 100, 5000):
        for size, label in ((128, "128 B"), (1024, "1 KiB"), (16384, "16 KiB")):
            for turn in (1, 16, 64):
                main = (sessions, size) == (1000, 128)
                axis = turn == 16 and (sessions == 1000 or size == 128)
                yield Work("fan-out", f"{sessions} sessions, {label}", f"K={turn}",
                           f"--per-turn {turn} --bytes {size} --sessions {sessions}", QUICK if main else FULL)
                if axis and not main:
                    yield Work("fan-out", f"{sessions} sessions, {label}", f"K={turn}",
                               f"--per-turn {turn} --bytes {size} --sessions {sessions}", DEFAULT, CORE)


def topics(name, per_turn, options, tier=FULL, who=CORE):
    return Work("topics", f"128 B, {name}", f"K={per_turn}", f"--per-turn {per_turn} {options}", tier, who)


# 2 MB for each session, so that the stuck ones fill the system's buffers and then the server's own.
def stuck(readers, more, tier=FULL, who=CORE):
    name = f"{readers} readers" + (f" and {more} that never read" if more else "")
    options = f" --stuck {more} --stuck-rcvbuf 65536 --overflow drop --drain-stuck --patience 2000" if more else ""
    return Work("stuck", "", name, f"--sessions {readers} --rate 60 --turns 240 --bytes 8192{options}", tier, who,
                "--sndbuf 65536", once=tier == DEFAULT)


def history(name, load, tier=FULL):
    return Work("history", "1000 sessions, 128 B", name, load, tier, SELF)


def dialect(name, spoken, tier=DEFAULT):
    return Work("dialects", "1000 sessions, 128 B, K=32", name, "--per-turn 32", tier, LIMIT, dialect=spoken)


# What `raw` has between the two is what the generator needs longer for the native dialect.
# Frames of the same size: 259 B are what the native dialect has around 128 B, while messages are numbered with four
# digits, as most of them are.
def same_size(name, spoken, size):
    return Work("native", "1000 sessions, K=32", name, f"--per-turn 32 --bytes {size}", DEFAULT, LIMIT, dialect=spoken)


def deflate(name, options, server=""):
    return Work("deflate", "1000 sessions, 1 KiB of JSON, K=32", name,
                f"--per-turn 32 --bytes 1024 --fill json {options}", DEFAULT, ALONE, server, dialect="raw")


WORKS = [
    *fan_out(),
    dialect("WebSocket, raw", "raw"), dialect("WebSocket, native", "native"),
    dialect("server-sent events", "events"), dialect("TCP, native", "lines"), dialect("TCP, raw", "frames"),
    same_size("raw, 259 B", "raw", 259), same_size("native, 128 B", "native", 128),
    deflate("as it is", ""), deflate("permessage-deflate", "--deflate", "--deflate"),
    topics("each on 10 of 100 topics", 32, "--topics 100 --topics-per-session 10"),
    topics("each on 10 of 100 topics", 256, "--topics 100 --topics-per-session 10", DEFAULT),
    topics("each on all of 100 topics", 32, "--topics 100 --topics-per-session 100"),
    topics("each on all of 100 topics", 100, "--topics 100 --topics-per-session 100"),
    topics("100,000 topics of one subscription each", 32,
           "--topics 100000 --topics-per-session 100 --assign block"),
    history("K=1", "--per-turn 1"),
    history("K=32", "--per-turn 32", QUICK),
    history("K=64", "--per-turn 64"),
    history("10 of 100 topics, K=256", "--per-turn 256 --topics 100 --topics-per-session 10"),
    Work("latency", "", "50 messages/s, 1000 sessions, 128 B", "--rate 50", QUICK),
    Work("latency", "", "200 messages/s, 1000 sessions, 128 B", "--rate 200"),
    Work("latency", "", "200 messages/s, 100 sessions, 128 B", "--rate 200 --sessions 100"),
    Work("connect", "2000 sessions", "one subscription each", "--mode connect --sessions 2000", QUICK),
    Work("idle", "", "one subscription", "--mode idle --sessions 10000", QUICK, once=True),
    Work("idle", "", "11 subscriptions", "--mode idle --sessions 10000 --topics 1000 --topics-per-session 11",
         who=CORE, once=True),
    # Heartbeats come every 30 seconds, so that each session has one.
    Work("heartbeats", "", "10000 sessions", "--mode idle --sessions 10000 --watch 33000", DEFAULT, ALONE, once=True,
         dialect="native"),
    stuck(960, 40, DEFAULT, ALONE),
    stuck(1000, 0), stuck(1000, 1), stuck(960, 0), stuck(960, 40),
]


def chosen(tier, parts):
    """The works of that tier, each once: one for everybody takes the place of one for the core."""
    works = {}
    for work in WORKS:
        key = (work.part, work.group, work.name)
        if work.part in parts and work.tier <= tier and (key not in works or works[key].who != ALL):
            works[key] = work
    if tier == QUICK:  # for a look at the library: the others take too long
        return [w if w.who in (SELF, LIMIT, ALONE) else dataclasses.replace(w, who=CORE) for w in works.values()]
    return list(works.values())
