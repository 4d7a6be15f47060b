"""What a simulated world is asked to be, and every rate that it draws.

``WorldSpec`` is what a caller asks for. ``Rates`` holds the numbers that make one world unlike another: crowd sizes,
schedules, holder coverage, renumbering, the evasions of the guilty. Each rate has a value for the three named worlds
and a range for ``random`` worlds, so that a model fitted over many random worlds does not learn one world's
constants. Refused with ``ValueError`` naming the field: a share outside 0..1, fewer than 50 keys, less than one day,
an unknown world, pattern or exchange.

>>> draw_rates(WorldSpec(seed=1, world="tame")).ring_cohesion > 0.8
True
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
WORLDS = ("tame", "field", "wild", "hard", "random")
# Addresses that a key's allow-list may name; Korbit's and Gopax's lists are voluntary.
ALLOWLIST_ROOM = (10, 5, 5, 20, 20)
ALLOWLIST_MANDATORY = (True, True, True, False, False)


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """One world. ``holders`` is the share of accounts whose holder is known (None: drawn per exchange, 0: none known
    at all).

    ``patterns`` keeps only the named ones; a side, guilty or innocent, of which none is named keeps all of its own.
    ``poison`` names a member that invents holders in lockstep on its victims' addresses.
    """

    seed: int = 0
    keys: int = 20_000
    days: int = 14
    world: str = "wild"
    holders: float | None = None
    innocent: float = 0.978
    patterns: tuple[str, ...] | None = None
    poison: str | None = None

    def __post_init__(self) -> None:
        """Refuses what no world can be, naming the field."""
        if self.keys < 50:
            raise ValueError(f"keys: at least 50, not {self.keys}")
        if not 1 <= self.days <= 366:
            raise ValueError(f"days: 1 to 366, not {self.days}")
        if self.world not in WORLDS:
            raise ValueError(f"world: one of {', '.join(WORLDS)}, not {self.world!r}")
        for name in ("holders", "innocent"):
            share = getattr(self, name)
            if share is not None and not 0.0 <= share <= 1.0:
                raise ValueError(f"{name}: a share between 0 and 1, not {share}")
        if self.poison is not None and self.poison not in EXCHANGES:
            raise ValueError(f"poison: one of {', '.join(EXCHANGES)}, not {self.poison!r}")


def dial(
    tame: float, wild: float, hard: float, low: float, high: float, calm: tuple[float, float] | None = None
) -> Any:
    """One rate: its value in each named world, and the range that ``random`` worlds draw it from.

    ``field`` worlds draw from ``calm``, or where there is none between ``tame`` and ``wild``.
    """
    calm = calm or (min(tame, wild), max(tame, wild))
    return field(metadata={"tame": tame, "wild": wild, "hard": hard, "low": low, "high": high, "calm": calm})


@dataclass(frozen=True, slots=True)
class Rates:
    """The drawn numbers of one world. Shares lie in 0..1; a ratio of ``high`` to ``low`` past 5 is drawn on a log
    scale."""

    # -- people, accounts, keys
    holder_missing: float = dial(
        0.15, 0.3, 0.5, 0.05, 0.65, calm=(0.1, 0.6)
    )  # mean over exchanges; each exchange draws its own around it
    holder_lapse: float = dial(0.0, 0.02, 0.05, 0.0, 0.12)  # sightings of a known holder that lack it all the same
    market_skew: float = dial(1.0, 1.0, 0.8, 0.0, 1.4)  # how unequal the exchanges are; 0 is equal
    second_key: float = dial(0.03, 0.06, 0.1, 0.0, 0.2)  # an account has another key
    newborn: float = dial(0.03, 0.08, 0.12, 0.0, 0.25)  # keys issued inside the window
    leaver: float = dial(0.03, 0.06, 0.1, 0.0, 0.2)  # keys that stop being used inside the window
    expired: float = dial(0.01, 0.025, 0.05, 0.0, 0.08)  # keys that expire inside the window, or before it
    # -- when
    volume: float = dial(0.8, 0.8, 0.8, 0.25, 1.3)  # scales how many hours are active
    always_on: float = dial(0.2, 0.22, 0.22, 0.05, 0.5)  # share of bots that run around the clock
    volatile_per_day: float = dial(1.0, 2.0, 3.0, 0.2, 6.0)
    volatile_wake: float = dial(0.1, 0.35, 0.55, 0.02, 0.85)  # share of bots that wake at volatile hours
    nine_am: float = dial(0.05, 0.1, 0.15, 0.01, 0.35)  # bots of the daily candle, which turns at 09:00 in Korea
    outages_per_week: float = dial(0.3, 1.0, 2.0, 0.0, 5.0)
    # -- stacks
    stock_stacks: float = dial(120, 150, 90, 25, 500)
    stack_zipf: float = dial(0.9, 1.05, 1.25, 0.6, 1.7)
    custom_stack: float = dial(0.12, 0.1, 0.06, 0.01, 0.3)  # people with a client of their own
    upgrade: float = dial(0.05, 0.12, 0.2, 0.0, 0.4)  # clients upgraded within a fortnight
    device_missing: float = dial(0.0, 0.02, 0.06, 0.0, 0.15)
    # -- where
    ipv6_home: float = dial(0.1, 0.15, 0.2, 0.0, 0.5)
    ipv6_mobile: float = dial(0.3, 0.4, 0.5, 0.0, 0.85)
    ipv6_cloud: float = dial(0.02, 0.05, 0.08, 0.0, 0.25)
    home_static: float = dial(0.75, 0.6, 0.4, 0.1, 0.9)  # homes that keep their address all through
    pool_slack: float = dial(4.0, 1.6, 1.15, 1.04, 12.0)  # addresses per subscriber of a renumbering pool
    cloud_density: float = dial(6, 14, 30, 2, 80)  # customers per /24 of a cheap cloud
    home_density: float = dial(1.5, 2.5, 5, 1, 14)
    server_share: float = dial(0.45, 0.5, 0.5, 0.2, 0.8)  # single users whose bot runs on a server
    nat_addresses: float = dial(24, 12, 6, 2, 60)  # IPv4 addresses of one carrier's NAT
    nat_stickiness: float = dial(8, 4, 2, 1, 30)  # hours a phone keeps one of them
    crowd_size: float = dial(1.0, 1.0, 1.0, 0.3, 3.0)  # scales companies, campuses, egresses
    platform_small: float = dial(
        0.7, 1.0, 1.3, 0.3, 3.0, calm=(0.1, 0.6)
    )  # weight of small bot services among innocents
    lookalikes: float = dial(
        0.6, 1.0, 1.8, 0.3, 3.0, calm=(0.1, 0.6)
    )  # weight of classes, power users, one-computer households
    class_homework: float = dial(0.9, 0.65, 0.35, 0.1, 1.0)  # students also seen at home
    class_daily: float = dial(0.5, 0.25, 0.1, 0.0, 1.0, calm=(0.2, 1.0))  # courses that meet daily, at the same hours
    platform_lull: float = dial(
        0.1, 0.3, 0.6, 0.0, 0.9, calm=(0.0, 0.2)
    )  # bot services that stop and start for everybody at once
    household_sync: float = dial(
        0.2, 0.5, 0.8, 0.0, 1.0, calm=(0.0, 0.4)
    )  # how alike the hours in a one-computer household are
    # -- mistakes
    wrong_exchange: float = dial(0.004, 0.012, 0.03, 0.0, 0.06)
    clock_error: float = dial(0.005, 0.02, 0.04, 0.0, 0.08)
    allowlist_report: float = dial(0.95, 0.8, 0.6, 0.0, 1.0)  # lists that the exchange reports
    allowlist_fail: float = dial(0.2, 0.5, 0.8, 0.0, 1.0)  # address changes that begin with a refusal
    allowlist_spare: float = dial(0.1, 0.2, 0.3, 0.0, 0.6)  # lists with an address that is never used
    # -- rings
    ring_cohesion: float = dial(0.92, 0.82, 0.65, 0.4, 0.98)  # a key takes part in a session of its operator
    ring_shuffle: float = dial(0.02, 0.08, 0.2, 0.0, 0.35)  # key hours outside its operator's sessions
    ring_multi: float = dial(0.5, 0.35, 0.2, 0.0, 0.8)  # a lender lends at another exchange too
    ring_holder: float = dial(0.03, 0.1, 0.25, 0.0, 0.4)  # holders who go on, in rings that are not about that
    ring_before: float = dial(0.3, 0.3, 0.2, 0.0, 0.7)  # lenders who used the key themselves before
    ring_joins: float = dial(0.3, 0.4, 0.3, 0.0, 0.9)  # rings whose keys arrive one by one
    ring_own: float = dial(0.4, 0.3, 0.3, 0.0, 0.7)  # operators with a key of their own on the server
    ring_stock: float = dial(0.4, 0.6, 0.8, 0.1, 1.0)  # rings on a stock client rather than one of their own
    ring_declared: float = dial(0.9, 0.75, 0.5, 0.0, 1.0)  # lenders' lists that the exchange reports
    ring_weight: float = dial(1.0, 1.0, 1.0, 0.4, 2.5)  # rings among the guilty
    shared_weight: float = dial(1.0, 1.0, 1.0, 0.3, 2.5)
    leak_weight: float = dial(1.0, 1.0, 1.0, 0.3, 2.5)
    # -- shared and leaked keys
    sharer_host: float = dial(0.6, 0.4, 0.2, 0.0, 0.8)  # sharers with a key of their own
    shared_together: float = dial(0.5, 0.35, 0.15, 0.0, 0.8)  # sharers in the same hours
    leak_everywhere: float = dial(0.85, 0.75, 0.65, 0.4, 0.95)  # leaked keys also tried where they were never issued
    leak_accepted: float = dial(0.5, 0.3, 0.15, 0.0, 0.7)


def draw_rates(spec: WorldSpec) -> Rates:
    """The rates of a world: near the named world's values (a tenth up or down), or anywhere in range for ``random``."""
    rng = np.random.default_rng([spec.seed, 0xDA7A])
    values: dict[str, float] = {}
    for rate in fields(Rates):
        meta = rate.metadata
        low, high = float(meta["low"]), float(meta["high"])
        if spec.world == "random":
            values[rate.name] = _between(low, high, float(rng.random()))
        elif spec.world == "field":
            values[rate.name] = _between(*meta["calm"], float(rng.random()))
        else:
            near = float(meta[spec.world]) * math.exp(float(rng.normal(0, 0.1)))
            values[rate.name] = min(max(near, low), high)
    return Rates(**values)


def _between(low: float, high: float, u: float) -> float:
    if low > 0 and high / low > 5:
        return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
    return low + u * (high - low)


def allocate(
    rng: np.random.Generator, total: int, weights: dict[str, float], floors: Callable[[str], int]
) -> dict[str, int]:
    """Splits ``total`` keys over patterns by weight; who would get less than its floor gets none, unless every
    pattern fits."""
    names = [n for n in weights if weights[n] > 0]
    if not names or total <= 0:
        return {}
    kept = list(names)
    if sum(floors(n) for n in names) > total:
        order = [str(n) for n in rng.permutation(names)]
        kept, room = [], total
        for name in order:
            if floors(name) <= room:
                kept.append(name)
                room -= floors(name)
        kept = kept or [min(names, key=floors)]
    kept.sort(key=names.index)
    base = {n: min(floors(n), total) for n in kept}
    spare = total - sum(base.values())
    if spare < 0:
        return {kept[0]: total}
    mass = sum(weights[n] for n in kept)
    # The floor counts towards the share, so a large pattern is not paid twice.
    want = {n: max(weights[n] / mass * total - base[n], 0.0) for n in kept}
    scale = spare / sum(want.values()) if sum(want.values()) > 0 else 0.0
    quota = {n: base[n] + int(want[n] * scale) for n in kept}
    quota[max(kept, key=lambda n: quota[n])] += total - sum(quota.values())
    return quota
