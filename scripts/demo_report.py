"""What the demonstration shows at its end, and whether that is as it should be.

The truth about the cast is known here and to nobody else: not to the exchanges, and not to the registry.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from daxa_client import CountBucket, Reason
from daxa_client.texts import reason
from daxa_core.model import Level
from demo_market import GROUPS, OWN, RING, Customer

Known = dict[str, dict[str, Any]]
"""What each exchange's gateway knows at the end."""


def levels_of(everyone: list[Customer], known: Known, *groups: str) -> Counter[str]:
    return Counter(Level(known[one.exchange]["keys"][one.key]["level"]).name for one in everyone if one.group in groups)


def told(levels: Counter[str]) -> str:
    return ", ".join(f"{levels[level]} {level}" for level in Level.__members__ if levels[level])


def faults(everyone: list[Customer], known: Known) -> list[str]:
    """What is not as it should be."""
    found = []
    for one in everyone:
        now = known[one.exchange]["keys"][one.key]
        level = Level(now["level"]).name
        if one.group == RING and now["level"] < Level.WARN:
            found.append(f"the ring's key at {one.exchange} ({one.person}) is only {level}")
        # MONITOR restricts nothing and nobody is told; who shares his server with himself alone has to be CLEAR.
        if one.group != RING and now["level"] >= (Level.MONITOR if one.group == OWN else Level.WARN):
            found.append(f"{one.person}'s key at {one.exchange}, who is honest, is {level}")
        if now["restricted"] is not None and now["last order"] != (not now["restricted"]):
            found.append(
                f"{one.person}'s last order at {one.exchange} went {'through' if now['last order'] else 'nowhere'}"
            )
        if now["last cancel"] != 1:
            found.append(f"{one.person} could not cancel at {one.exchange}")
    restricted = {one.exchange for one in everyone if known[one.exchange]["keys"][one.key]["restricted"]}
    if not restricted:
        found.append("no gateway was asked to block anything")
    found += [f"{exchange} told the registry nothing of what it blocked" for exchange in restricted
              if not known[exchange]["receipts"]]  # fmt: skip
    return found


WORDED = 4
"""Reasons to each side that are told in words."""


def in_words(reasons: list[list[Any]], score: float) -> list[str]:
    """What speaks most for and against, as a member is told it, each with what it adds; the rest in one line."""
    ranked = sorted(reasons, key=lambda one: -one[1])
    speaking = [one for one in ranked[:WORDED] if one[1] > 0] + [one for one in ranked[-WORDED:] if one[1] < 0]
    lines = [f"{added:+6.2f}  {reason(Reason(code, added, CountBucket[count]))}" for code, added, count in speaking]
    lines.append(f"{score - sum(added for _, added, _ in speaking):+6.2f}  everything else together")
    return lines


def report(everyone: list[Customer], known: Known, refusal: str) -> None:
    console = Console(highlight=False)
    table = Table(title="What each exchange was told of its own keys", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("exchange", no_wrap=True)
    for column in (
        "keys",
        "of the\nring",
        "found",
        "honest,\naccused",
        "orders\nsent",
        "let\nthrough",
        "reports\nreceipted",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for exchange, knows in sorted(known.items()):
        here = [one for one in everyone if one.exchange == exchange]
        ring = [one for one in here if one.group == RING]
        at_warn = {one.key for one in here if knows["keys"][one.key]["level"] >= Level.WARN}
        numbers = (
            len(here), len(ring), sum(one.key in at_warn for one in ring), len(at_warn - {one.key for one in ring}),
            sum(one.sent for one in here), sum(knows["keys"][one.key]["placed"] for one in here), knows["receipts"],
        )  # fmt: skip
        table.add_row(exchange, *map(str, numbers))
    console.print(table)
    table = Table(title="Who they are in truth", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in ("who", "keys", "verdicts now", "orders sent", "let through"):
        left = column in ("who", "verdicts now")
        table.add_column(column, justify="left" if left else "right", no_wrap=column != "verdicts now")
    for group, who in GROUPS.items():
        them = [one for one in everyone if one.group == group]
        placed = sum(known[one.exchange]["keys"][one.key]["placed"] for one in them)
        verdicts = told(levels_of(everyone, known, group))
        table.add_row(who, str(len(them)), verdicts, str(sum(one.sent for one in them)), str(placed))
    console.print(table)

    def height(one: Customer) -> tuple[int, float]:
        now = known[one.exchange]["keys"][one.key]
        return now["level"], now["score"]

    worst = max(everyone, key=height)
    now = known[worst.exchange]["keys"][worst.key]
    console.print(
        f"[bold]One verdict in words.[/bold] {worst.exchange} was told {Level(now['level']).name} for its key {worst.key[:6]}…"
        f" ({worst.person}). Its score of {now['score']:.2f} is the sum of:"
    )
    for line in in_words(now["reasons"], now["score"]):
        console.print("   " + line, markup=False)
    if refusal:
        console.print(
            "\n[bold]What a bot of the ring was told by its exchange,[/bold] when it sent a new order; cancelling still works:"
        )
        console.print("   " + refusal, markup=False)
