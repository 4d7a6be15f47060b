"""Makes a world from its specification, and hands it out as sightings, truth and declared infrastructure.

>>> simulation = generate(WorldSpec(seed=1, keys=200, days=1))
>>> next(simulation.sightings())["kind"]
'allowlist'
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from .afterwards import befall
from .patterns import GUILTY, INNOCENT, LEAKS, PATTERNS
from .poison import Inventions
from .spec import EXCHANGES, Rates, WorldSpec, allocate, draw_rates
from .traffic import ALLOWLIST, AUTH_FAIL, KIND_NAMES, Table
from .world import World


class Sighting(TypedDict):
    """One line of the ``backtest`` format."""

    ts: int
    exchange: str
    key: str
    account: str | None
    holder: str | None
    ip: str
    device: str | None
    count: int
    kind: str


@dataclass(slots=True)
class Simulation:
    """A finished world. ``table`` holds the sightings in time order as columns; ``ts`` their times, ``holder_known``
    whether named. What a dishonest member invents is in none of the three: it is added where they are told."""

    spec: WorldSpec
    rates: Rates
    world: World
    table: Table
    ts: NDArray[np.int64]
    holder_known: NDArray[np.bool_]

    def sightings(self) -> Iterator[Sighting]:
        """The sightings in time order."""
        return (json.loads(line) for line in self.lines())

    def lines(self) -> Iterator[str]:
        """The same as JSON text, without line ends."""
        if self.spec.poison is None:
            return self._honest_lines()
        inventions = Inventions(self._honest_truth(), self.spec.poison, self.spec.seed)
        return map(json.dumps, inventions.sightings(map(json.loads, self._honest_lines())))

    def _honest_lines(self) -> Iterator[str]:
        """Put together from parts encoded once, so that millions are cheap."""
        world, table = self.world, self.table
        null = "null"
        keys = [json.dumps(k.text) for k in world.keys]
        accounts = [json.dumps(world.accounts[k.account].number) if k.account >= 0 else null for k in world.keys]
        holders = [json.dumps(world.people[k.person].holder) for k in world.keys]
        home = [k.exchange for k in world.keys]
        ips = [json.dumps(t) for t in world.book.texts]
        devices = [*(json.dumps(t) for t in world.stacks.texts), null]  # -1 finds the last
        columns = (
            self.ts,
            table.reporter,
            table.key,
            table.ip,
            table.device,
            table.count,
            table.kind,
            self.holder_known,
        )
        for ts, reporter, key, ip, device, count, kind, named in zip(*(c.tolist() for c in columns), strict=True):
            own = home[key] == reporter
            yield (
                f'{{"ts": {ts}, "exchange": "{EXCHANGES[reporter]}", "key": {keys[key]}, '
                f'"account": {accounts[key] if own else null}, "holder": {holders[key] if named else null}, '
                f'"ip": {ips[ip]}, "device": {devices[device]}, "count": {count}, "kind": "{KIND_NAMES[kind]}"}}'
            )

    def truth(self) -> Iterator[dict[str, Any]]:
        """One entry per issued key; ``seen`` says whether its exchange saw it in use or on an allow-list."""
        if self.spec.poison is None:
            return self._honest_truth()
        return iter(Inventions(self._honest_truth(), self.spec.poison, self.spec.seed).truth)

    def _honest_truth(self) -> Iterator[dict[str, Any]]:
        seen = np.zeros(len(self.world.keys), dtype=np.bool_)
        seen[self.table.key[self.table.kind != AUTH_FAIL]] = True
        for number, key in enumerate(self.world.keys):
            if key.exchange >= 0:
                yield {
                    "exchange": EXCHANGES[key.exchange],
                    "key": key.text,
                    "guilty": key.guilty,
                    "pattern": key.pattern,
                    "role": key.role,
                    "ring": key.ring,
                    "person": f"p{key.person}",
                    "seen": bool(seen[number]),
                }

    def declared(self) -> list[dict[str, Any]]:
        """Licensed infrastructure, as ``backtest --declared`` reads it."""
        book, stacks = self.world.book.texts, self.world.stacks.texts
        return [
            {"name": d.name, "ips": [book[a] for a in d.addresses], "device": stacks[d.device]}
            for d in self.world.declared
        ]

    def write(self, folder: Path) -> int:
        """Writes ``sightings.jsonl``, ``truth.jsonl`` and ``declared.json`` into a folder, which is made; how many sightings."""
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        with (folder / "sightings.jsonl").open("w", encoding="utf-8") as out:
            for count, line in enumerate(self.lines(), 1):  # noqa: B007 - the last one is how many there are
                out.write(line + "\n")
        with (folder / "truth.jsonl").open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(entry) + "\n" for entry in self.truth())
        (folder / "declared.json").write_text(json.dumps(self.declared(), indent=1) + "\n", encoding="utf-8")
        return count


def generate(spec: WorldSpec) -> Simulation:
    """The world of a specification; the same specification gives the same world, byte for byte.

    Raises ``ValueError`` naming the field when a pattern is unknown.
    """
    rates = draw_rates(spec)
    world = World(spec, rates)
    for name, quota in quotas(spec, rates).items():
        PATTERNS[name].make(world, quota)
    table = befall(world)
    rng = np.random.default_rng([spec.seed, 0x7135])
    within = rng.integers(0, 3600, size=len(table))
    # A list is declared before what it allows: first thing in its hour.
    within = np.where(table.kind == ALLOWLIST, within // 720, within)
    ts = world.clock.start + table.hour * 3600 + within
    order = np.argsort(ts, kind="stable")
    table, ts = table.where(order), ts[order]
    home = np.array([k.exchange for k in world.keys], dtype=np.int64)
    known = np.array([k.account >= 0 and world.accounts[k.account].known for k in world.keys])
    named = (home[table.key] == table.reporter) & known[table.key] & (rng.random(len(table)) >= rates.holder_lapse)
    return Simulation(spec, rates, world, table, ts, named)


def quotas(spec: WorldSpec, rates: Rates) -> dict[str, int]:
    """How many keys each pattern makes, in the order of making. Victims of leaks are made as innocents first."""
    wanted = set(spec.patterns or ())
    unknown = sorted(wanted - set(PATTERNS))
    if unknown:
        raise ValueError(f"patterns: unknown {', '.join(unknown)}; known are {', '.join(PATTERNS)}")
    rng = np.random.default_rng([spec.seed, 0x0A7A])
    spread = {"random": 0.9, "field": 0.4}.get(spec.world, 0.15)

    def side(names: tuple[str, ...], total: int) -> dict[str, int]:
        chosen = [n for n in names if n in wanted] or list(names)
        weights = {n: PATTERNS[n].share(rates) * float(np.exp(rng.normal(0, spread))) for n in chosen}
        return allocate(rng, total, weights, lambda n: PATTERNS[n].floor)

    guilty_total = round(spec.keys * (1 - spec.innocent))
    guilty = side(GUILTY, guilty_total)
    tried = sum(quota for name, quota in guilty.items() if name in LEAKS)
    innocent = side(INNOCENT, spec.keys - guilty_total + tried)
    both = innocent | guilty
    return {name: both[name] for name in PATTERNS if both.get(name)}
