"""docs/benchmarks.md and docs/benchmarks.svg from what ``scripts/bench scale`` measured; and what five exchanges are."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from setup_env import ROOT

COLOURS = {"SQLite": "#1f6f8b", "PostgreSQL": "#b4532a"}
KEYS_A_DAY, PLACES, HOURS_A_DAY = 200_000, 1.3, 4
"""Of five exchanges today: docs/capacity.md says where these come from."""
PEAK, GROWTH = 10, 10
KEPT_EDGES, KEPT_DAYS = 10_000_000, 30
DAYS = round(KEYS_A_DAY * GROWTH * PLACES * KEPT_DAYS / KEPT_EDGES)
"""On how many days an edge is seen, if so many are there every day and so many within retention."""
HOURS = HOURS_A_DAY * DAYS
GROWN = 100_000
"""Edges that grow so, and whose bytes are measured: as many as there are at the smallest size."""
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 300, 80, 50


def write(points: Sequence[dict[str, Any]], grown: Mapping[str, float]) -> None:
    """Both files. ``grown``: bytes of an edge that is seen in :data:`HOURS` hours, by store."""
    (ROOT / "docs/benchmarks.svg").write_text(chart(points))
    (ROOT / "docs/benchmarks.md").write_text(page(points, grown))


def page(points: Sequence[dict[str, Any]], grown: Mapping[str, float]) -> str:
    """The table, with what it was measured on."""
    largest = max(point["edges"] for point in points)
    lines = [
        f"| {p['store']} | {p['edges']:,} | {p['new']:,.0f} | {p['ring']:,.0f} | {p['stored']:,.0f} | "
        f"{_whole(p.get('floor'))} | {p['repeats']:,.0f} | "
        f"{p['bytes_an_edge']:.0f} | {p['started']:.2f} | {p['resident'] / 2**20:,.0f} |"
        for p in points
    ]
    seen = [
        f"| {p['store']} | {p['edges'] // 10:,} | {p['served']:,.0f} | {p['get_p50'] * 1e3:.1f} / {p['get_p99'] * 1e3:.1f} | "
        f"{p['match_p50'] * 1e3:.1f} / {p['match_p99'] * 1e3:.1f} | {p['stop_p50'] * 1e3:.1f} / {p['stop_p99'] * 1e3:.1f} |"
        for p in points
    ]
    told = " and ".join(f"{size:.0f} on {store}" for store, size in grown.items())
    return f"""# The registry at size

Made by `scripts/bench scale --set largest={largest} --set write=yes`; not written by hand. Measured on {os.cpu_count()} cores
({platform.machine()}, Python {platform.python_version()}), with the load on the same machine, ten edges to a subject.

| store | edges | new edges/s | rings/s | not decided/s | bare `COPY`/s | repeats/s | bytes an edge | start, s | resident, MiB |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}

Three edges of ten are on an address that some other key has too, another one each time; "rings" are edges by which every key
meets one and the same other key again, so that each has to be decided with all that is around it. Bare `COPY` is what PostgreSQL
takes of such rows with the same updates into the same tables at that size.

![New edges a second by size](benchmarks.svg)

Intake is measured at the group-commit writer, without gRPC and without checking that each fingerprint is a group element. Bytes
an edge are the whole database by the number of edges, with one hour on each. Where {GROWN:,} edges are seen in {HOURS} hours,
{HOURS_A_DAY} a day on {DAYS} days, and grow in the order of time, an edge takes {told}; what the hours add does not
depend on how many edges there are. Start-up is until `serve` listens. Resident is the most that the writer's process held, after
up to 1,600,000 of the edges were seen again: more than it keeps in mind.

## What members see

A registry process on the same databases, over mutual TLS; milliseconds, p50 / p99.

| store | subjects | new edges/s, all it takes | BatchGetVerdicts meanwhile | time to match | time to stop matching |
|---|---|---|---|---|---|
{chr(10).join(seen)}

Taken are new edges only, from two members, checked and matched. The look-ups are of ten keys. The times to match run from the
answer to a submission until another member's watcher has the verdict that it raised, and from the answer to a withdrawal until
it has the verdict that falls, at half of what the registry takes; less than nothing where the news is there before the answer.

## Five exchanges at ten times today's traffic

{KEYS_A_DAY * GROWTH:,} keys a day on {PLACES} addresses in {HOURS_A_DAY} hours each, {PEAK} times the average at the
peak, all of it as if new; {KEPT_EDGES:,} edges within retention, each in {HOURS} hours ([capacity](capacity.md)).

| store | measured at edges | sightings/s at the peak, of what it takes | disk, GiB | resident, MiB | look-up p99 then, ms |
|---|---|---|---|---|---|
{capacity(points, grown)}
"""


def capacity(points: Sequence[dict[str, Any]], grown: Mapping[str, float]) -> str:
    """What five exchanges ask at ten times today's traffic, by what each store gave at its largest size."""
    wanted = KEYS_A_DAY * PLACES * HOURS_A_DAY * GROWTH / 86_400 * PEAK
    largest = {point["store"]: point for point in sorted(points, key=lambda point: point["edges"])}
    smallest = {point["store"]: point for point in sorted(points, key=lambda point: -point["edges"])}
    hours = {store: size - smallest[store]["bytes_an_edge"] for store, size in grown.items()}
    lines = [
        f"| {store} | {p['edges']:,} | {wanted:,.0f} of {p['served']:,.0f} ({wanted / p['served']:.0%}) | "
        f"{KEPT_EDGES * (p['bytes_an_edge'] + hours[store]) / 2**30:.1f} | "
        f"{p['resident'] / 2**20:,.0f} | {p['get_p99'] * 1e3:.1f} |"
        for store, p in largest.items()
    ]
    return "\n".join(lines)


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def chart(points: Sequence[dict[str, Any]]) -> str:
    """New edges a second over the number of edges, both axes logarithmic."""
    xs = [math.log10(point["edges"]) for point in points]
    ys = [math.log10(point["new"]) for point in points]
    low_x, high_x = min(xs) - 0.1, max(xs) + 0.1
    low_y, high_y = math.floor(min(ys)), math.ceil(max(ys))

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - 20),
            HEIGHT - BOTTOM - (y - low_y) / max(high_y - low_y, 1) * (HEIGHT - BOTTOM - 30),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="18">new edges a second, by edges in the database</text>',
    ]
    for power in range(low_y, high_y + 1):
        x, y = at(low_x, power)
        parts.append(f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{WIDTH - 20}" y2="{y:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 8:.0f}" y="{y + 4:.0f}" text-anchor="end">{10**power:,}</text>')
    for edges in sorted({point["edges"] for point in points}):
        x, y = at(math.log10(edges), low_y)
        parts.append(f'<text x="{x:.0f}" y="{y + 20:.0f}" text-anchor="middle">{edges:,}</text>')
    for number, (store, colour) in enumerate(COLOURS.items()):
        own = [at(math.log10(p["edges"]), math.log10(p["new"])) for p in points if p["store"] == store]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in own)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>' for x, y in own]
        parts.append(f'<text x="{WIDTH - 110}" y="{18 + 16 * number}" fill="{colour}">{store}</text>')
    return "\n".join([*parts, "</svg>", ""])
