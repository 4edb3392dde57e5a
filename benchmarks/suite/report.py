# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Results, and the Markdown tables that are made of them."""
import statistics

from suite.works import WITH_HISTORY, WORKS


def show(values, scale=1.0):
    """The median, and what it lies between."""
    def text(value):
        value /= scale
        return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2f}"
    middle = text(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({text(min(values))}–{text(max(values))})"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def rate(result):
    return result["deliveries_per_second"]


def cpu(result):
    """Milliseconds for a million deliveries."""
    return 1e9 / result["deliveries_per_cpu_second"] if result["deliveries_per_cpu_second"] else None


MOST_GROWN = 4 << 20


def grown(result):
    return result["memory_after"]["pss"] - result["memory_before"]["pss"]


def books_balance(result):
    """Whether sessions that did not read are told of all that they do not get."""
    stuck = result["stuck_sessions"]
    return (stuck["received"] + stuck["announced"] == stuck["expected"]
            and stuck["announced"] == result["flow"]["dropped"]
            and not any(stuck[wrong] for wrong in ("lost", "disorder", "foreign", "bad", "closed")))


def verdict(good):
    return "pass" if good else "**FAIL**"


def wire(result):
    """Bytes of a message, with all around it."""
    return result["received_bytes"] / result["readers"]["received"]


class Report:
    def __init__(self, servers):
        self.servers = servers
        self.results = {}  # (work, server) -> one result per repetition

    def add(self, work, server, result):
        self.results.setdefault((work, server), []).append(result)

    def good(self, work, server):
        return [r for r in self.results.get((work, server), []) if "failed" not in r and "refused" not in r]

    def values(self, work, server, pick):
        """One value per repetition that went well, None where it did not."""
        return [None if "failed" in r or "refused" in r else pick(r) for r in self.results.get((work, server), [])]

    def median(self, work, server, pick):
        good = [v for v in self.values(work, server, pick) if v is not None]
        return statistics.median(good) if good else None

    def cell(self, work, server, pick, scale=1.0, baseline=""):
        values = self.values(work, server, pick)
        good = [v for v in values if v is not None]
        if not good:
            return "failed" if any("failed" in r for r in self.results.get((work, server), [])) else "–"
        text = show(good, scale)
        pairs = zip(values, self.values(work, baseline, pick))
        ratios = [a / b for a, b in pairs if a is not None and b]
        if server != baseline and ratios:
            text += f" · **{statistics.median(ratios):.3f}**"
            if len(ratios) > 1:
                text += f" ({min(ratios):.3f}–{max(ratios):.3f})"
        return text

    def works(self, part):
        """In the order of the list, and grouped; also those that were measured in a variant."""
        done = {work for work, _ in self.results if work.part == part}
        order = [(w.group, w.name) for w in WORKS if w.part == part]
        return sorted(done, key=lambda w: order.index((w.group, w.name)))

    def groups(self, part):
        groups = {}
        for work in self.works(part):
            groups.setdefault(work.group, []).append(work)
        return groups

    def taking_part(self, works):
        return [s for s in self.servers if any((w, s) in self.results for w in works)]

    def print_part(self, part, title, columns, baseline=""):
        """A table for each group; `columns` are (name, pick, scale), each for every work of the group."""
        for number, (group, works) in enumerate(self.groups(part).items()):
            if number == 0:
                print(f"**{title}**\n")
            names = [name or w.name for w in works for name, _, _ in columns]
            rows = [[s, *(self.cell(w, s, pick, scale, baseline) for w in works for _, pick, scale in columns)]
                    for s in self.taking_part(works)]
            table([group or "server", *names], rows)

    def print_rows(self, part, title, columns):
        """One table, with a row for each work and server."""
        rows = [[w.name, s, *(self.cell(w, s, pick, scale) for _, pick, scale in columns)]
                for w in self.works(part) for s in self.taking_part([w])]
        if rows:
            print(f"**{title}**\n")
            table(["work", "server", *(name for name, _, _ in columns)], rows)

    def print_beside_first(self, part, title, columns):
        """A row for each work, and in bold the ratio to the first of its group in the same repetition."""
        rows = []
        for works in self.groups(part).values():
            for work in works:
                for server in self.taking_part([work]):
                    cells = []
                    for _, pick, scale in columns:
                        cell = self.cell(work, server, pick, scale)
                        pairs = zip(self.values(work, server, pick), self.values(works[0], server, pick))
                        ratios = [a / b for a, b in pairs if a is not None and b]
                        cells.append(cell + (f" · **{statistics.median(ratios):.3f}**"
                                             if work is not works[0] and ratios else ""))
                    rows.append([work.group, work.name, server, *cells])
        if rows:
            print(f"**{title}**\n")
            table(["sessions", "work", "server", *(name for name, _, _ in columns)], rows)

    def print_all(self):
        for part, more in (("fan-out", ""), ("topics", ", several topics")):
            self.print_part(part, f"Deliveries per second{more}, in thousands; in bold the ratio to raw in the same run",
                            [("", rate, 1000)], "raw")
            self.print_part(part, f"The server's CPU time for a million deliveries{more}, ms, which other work disturbs "
                                  "less; in bold the ratio to raw", [("", cpu, 1)], "raw")
        for title, pick, scale in (("Deliveries per second by dialect and transport, in thousands", rate, 1000),
                                   ("The server's CPU time for a million deliveries, ms", cpu, 1),
                                   ("Bytes of a message on the wire, all framing included", wire, 1)):
            self.print_part("dialects", f"{title}; in bold the ratio to raw in the same run", [("", pick, scale)],
                            "raw")
        self.print_part("history", "Deliveries per second, in thousands, where each topic keeps its last 1000 messages; "
                                   "in bold the ratio to pusher without", [("", rate, 1000)], "pusher")
        self.print_part("history", "The server's CPU time for a million deliveries, ms", [("", cpu, 1)], "pusher")
        quantiles = [("p50", lambda r: r["latency_us"]["p50"], 1), ("p99", lambda r: r["latency_us"]["p99"], 1),
                     ("p99.9", lambda r: r["latency_us"]["p999"], 1)]
        self.print_rows("latency", "Latency in µs, from when a message was due until it was read", quantiles)
        self.print_part("connect", "New sessions, with handshake and subscription",
                        [("per second", lambda r: r["sessions_per_second"], 1),
                         ("the server's CPU time for each, µs", lambda r: r["server_cpu_us_per_session"], 1)], "raw")
        self.print_part("idle", "Memory for each idle session, bytes of the server's own pages",
                        [("", lambda r: r["pss_per_session"], 1)])
        three = [("deliveries per second, in thousands", rate, 1000), ("CPU time for a million, ms", cpu, 1),
                 ("bytes of a message on the wire", wire, 1)]
        self.print_beside_first("native", "The native dialect beside the raw one with frames of the same size; in bold "
                                          "the ratio", three)
        self.print_beside_first("deflate", "With permessage-deflate and without; in bold the ratio", three)
        self.print_rows("heartbeats", "What sessions that do nothing cost, with heartbeats and default limits",
                        [("the server's CPU time, % of a core", lambda r: 100 * r["cpu"]["server"], 1),
                         ("seconds", lambda r: r["watched_seconds"], 1),
                         ("heartbeats of each session meanwhile", lambda r: r["pings_per_session"], 1)])
        self.print_rows("stuck", "Readers beside sessions that never read: the readers' latency in µs",
                        quantiles + [("the server grew by, KiB",
                                      grown, 1024),
                                     ("dropped", lambda r: r["flow"]["dropped"], 1)])
        checks = [[w.name, s, verdict(all(grown(r) <= MOST_GROWN for r in good)),
                   verdict(all(map(books_balance, good)))]
                  for w in self.works("stuck") for s in self.taking_part([w])
                  if (good := self.good(w, s)) and "stuck_sessions" in good[0]]
        if checks:
            print("**Sessions that never read, and do so after all at the end**\n")
            table(["work", "server", f"it grew by {MOST_GROWN >> 20} MiB at most",
                   "received + announced as lost = all that was published"], checks)

    def print_notes(self, wanted):
        every = [(w, s, r) for (w, s), results in self.results.items() for r in results]
        others = [r["cpu"]["others"] for _, _, r in every if "cpu" in r]
        if others:
            print(f"Other work on the machine meanwhile, in cores: {show(others)}."
                  + (" That is too much: measure again on a quiet machine." if statistics.median(others) > 0.1 else ""))
        fewer = {len(r) for (w, _), r in self.results.items() if not w.once} - {wanted}
        if fewer:
            print(f"Time was up before all {wanted} repetitions: some works have {min(fewer)}.")
        for work, server, result in every:
            where = f"{server}, {work.group + ', ' if work.group else ''}{work.name}"
            if "refused" in result:
                print(f"Refused: {where}: {result['refused']}")
            elif "failed" in result:
                print(f"Failed: {where}: {result['failed']}")
            elif result.get("saturated") == "load" or (
                    result.get("saturated") == "both" and result["drain_seconds"] > 0.1 * result["seconds"]):
                print(f"The generator may have been the bottleneck: {where}"
                      f" (generator {result['cpu']['load']:.2f}, server {result['cpu']['server']:.2f} of a core).")

    @property
    def failed(self):
        """Whether something could not be measured, or the library does not keep what it promises. Others need not."""
        kept = all(grown(r) <= MOST_GROWN and books_balance(r)
                   for w in self.works("stuck") for r in self.good(w, "pusher") if "stuck_sessions" in r)
        return not kept or any("failed" in r for results in self.results.values() for r in results)


def order_of(servers, repetition):
    """The servers take turns, and who begins changes."""
    at = repetition % len(servers) if servers else 0
    return servers[at:] + servers[:at]


__all__ = ["Report", "WITH_HISTORY", "order_of", "rate", "cpu", "show", "table"]
