# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
"""Bars as SVG, without a library: legible on light and dark pages, and where colours cannot be told apart."""
import html
import math
import os

from suite.report import cpu, rate

# Colours that differ in lightness too, and are seen on white and on black.
COLOURS = ["#8c8c8c", "#c27c0e", "#2f7ed8", "#c0504d", "#9b59b6", "#d4739a", "#1a9988", "#5aa02c", "#7a6a4f", "#4b5cc4",
           "#b08d00", "#00859b"]
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #222; } .title { font-size: 15px; font-weight: 600; }
.small { font-size: 11px; } .grid { stroke: #ccc; } .spread { stroke: #222; stroke-width: 1.5; } .page { fill: #fff; }
@media (prefers-color-scheme: dark) { text { fill: #ddd; } .grid { stroke: #444; }
.spread { stroke: #eee; } .page { fill: #16181c; } }
"""
LEFT, RIGHT, WIDTH, BAR, GAP = 110, 150, 760, 14, 12


def short(value):
    for limit, unit in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def ticks(low, high, log):
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return [10.0 ** e for e in range(first, max(last, first + 1) + 1)]
    step = 10 ** math.floor(math.log10(high / 3))
    step *= next(m for m in (1, 2, 5, 10) if high / (step * m) <= 6)
    return [step * i for i in range(math.ceil(high / step) + 1)]


def bars(title, axis, groups, series, names, log=False):
    """`groups` are titles; `series` is {name: [(median, lowest, highest) or None for each group]}; a name's place in
    `names` decides on its colour, so that it has the same in all plots."""
    values = [v for row in series.values() for v in row if v]
    if not values:
        return None
    marks = ticks(min(v[0] for v in values), max(v[0] for v in values), log)
    scale = math.log10 if log else float
    low, high = scale(marks[0]), scale(marks[-1])

    def x(value):
        value = max(scale(max(value, 1e-9)) if log else value, low)
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    def colour_of(name):
        return COLOURS[names.index(name) % len(COLOURS)]

    out, y = [], 64
    for at, group in enumerate(groups):
        rows = [(name, row[at], colour_of(name)) for name, row in series.items() if row[at]]
        if not rows:
            continue
        if group:
            out.append(f'<text x="{LEFT}" y="{y + 10}" class="small">{html.escape(group)}</text>')
            y += 18
        for name, (middle, least, most), colour in rows:
            out.append(f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{html.escape(name)}</text>')
            out.append(f'<rect x="{LEFT}" y="{y}" width="{max(x(middle) - LEFT, 1):.1f}" height="{BAR - 2}" '
                       f'fill="{colour}"><title>{html.escape(name)}: {middle:,.4g}</title></rect>')
            if most > least:  # the spread
                out.append(f'<path d="M{x(least):.1f} {y + 6}H{min(x(most), WIDTH - RIGHT):.1f}" class="spread"/>')
            out.append(f'<text x="{max(x(middle), min(x(most), WIDTH - RIGHT)) + 6:.1f}" y="{y + 11}" class="small">'
                       f'{short(middle)}</text>')
            y += BAR + 2
        y += GAP
    grid = "".join(f'<path d="M{x(m):.1f} 50V{y}" class="grid"/><text x="{x(m):.1f}" y="{y + 16}" text-anchor="middle" '
                   f'class="small">{short(m)}</text>' for m in marks)
    legend = "".join(f'<rect x="{WIDTH - RIGHT + 60}" y="{66 + 18 * i}" width="10" height="10" '
                     f'fill="{colour_of(name)}"/><text x="{WIDTH - RIGHT + 76}" y="{75 + 18 * i}" '
                     f'class="small">{html.escape(name)}</text>' for i, name in enumerate(series))
    height = max(y + 44, 90 + 18 * len(series))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" aria-label="{html.escape(title)}"><style>{STYLE}</style>'
            f'<rect class="page" width="{WIDTH}" height="{height}"/><text x="16" y="26" class="title">'
            f'{html.escape(title)}</text>{grid}{"".join(out)}{legend}<text x="{(LEFT + WIDTH - RIGHT) / 2}" '
            f'y="{y + 36}" text-anchor="middle">{html.escape(axis + (", logarithmic" if log else ""))}</text></svg>\n')


def write_plots(report, folder):
    os.makedirs(folder, exist_ok=True)

    def spread(work, server, pick):
        good = [v for v in report.values(work, server, pick) if v is not None]
        return (report.median(work, server, pick), min(good), max(good)) if good else None

    def write(name, title, axis, works, pick, log=False):
        series = {s: [spread(w, s, pick) for w in works] for s in report.taking_part(works)}
        picture = bars(title, axis, [w.name for w in works], series, report.servers, log)
        if picture:
            with open(os.path.join(folder, name + ".svg"), "w", encoding="utf-8") as file:
                file.write(picture)

    for group, works in report.groups("fan-out").items():
        name = group.replace(",", "").replace(" ", "_")
        write(f"fan_out_{name}", f"Fan-out, {group}; K messages per turn", "deliveries per second", works, rate, True)
        write(f"cpu_{name}", f"CPU time of the server, {group}; K messages per turn", "ms for a million deliveries",
              works, cpu, True)
    for number, work in enumerate(report.works("latency"), 1):
        series = {s: [spread(work, s, lambda r, q=q: r["latency_us"][q]) for q in ("p50", "p99", "p999")]
                  for s in report.taking_part([work])}
        picture = bars(f"Latency, {work.name}", "µs", ["p50", "p99", "p99.9"], series, report.servers, True)
        if picture:
            with open(os.path.join(folder, "latency.svg" if number == 1 else f"latency_{number}.svg"), "w", encoding="utf-8") as file:
                file.write(picture)
    write("connect", "New sessions per second", "sessions per second, with a subscription each",
          report.works("connect"), lambda r: r["sessions_per_second"])
    write("memory", "Memory for each idle session", "bytes of the server's own pages", report.works("idle"),
          lambda r: r["pss_per_session"], True)
