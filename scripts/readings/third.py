"""A third synthetic market: API keys of five exchanges, the innocent crowds around them, and the few that are abused.

Written from the description of the traffic alone, with a surveillance desk's view of it: a ring's keys arrive one by
one and some lenders trade on, bot shops move in lockstep because their customers bought the same signal, followers of
a tutorial look like clones, and most failed presentations are somebody's own mistake. Rates are drawn anew per seed.

A world holds tables of addresses, client stacks and keys. A pattern issues keys to people and gives each key the hours
in which it is awake, and the address and stack of each hour. `_World.run` adds what happens to everybody (outages,
expiry, drifting clocks, failures after an address change); allow-lists follow from the addresses really used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
LIST_LIMIT = (10, 5, 5, 20, 8)
LIST_MANDATORY = (True, True, True, False, False)
KINDS = ("use", "auth_fail", "allowlist")
USE, FAIL, LISTED = 0, 1, 2
MONDAY = 1_767_538_800  # 5 January 2026, 00:00 in Seoul

HABITS = ("always", "runs", "daily", "interval", "office", "evening", "night", "burst", "lazy")
HABIT_MIX = (0.11, 0.16, 0.15, 0.09, 0.11, 0.16, 0.06, 0.09, 0.07)
WINDOWS = {"office": (9, 9, 1.0, 0.1), "evening": (19, 5, 0.8, 1.0), "night": (22, 7, 1.0, 0.7)}

RANGES = {
    "home": "58.120 59.10 61.80 112.150 118.220 121.130 175.200 180.70 211.200 218.150 220.120 222.110 124.50 1.230",
    "cloud": "3.35 13.124 15.164 43.200 52.78 54.180 34.64 20.194 141.164 158.247 110.165 223.130 115.68 132.145",
    "mobile": "223.38 223.62 39.7 106.101 117.111 211.246",
    "office": "203.233 210.94 211.115 165.243 147.46 143.248 163.152 166.104",
    "vpn": "146.70 45.83 193.27 185.107 103.125 89.187",
}
RANGES6 = {"home": "2001:e60 2001:2d8", "cloud": "2406:da12 2001:19f0 2400:8902", "mobile": "2406:5900 2001:e60"}
FAMILIES = (
    "python-requests/2.{}.0",
    "Python/3.11 aiohttp/3.{}.1",
    "axios/1.{}.2",
    "okhttp/4.{}.0",
    "Go-http-client/2.0 bot/{}",
    "ccxt/4.{}.10",
    "python-httpx/0.{}.0",
    "GuzzleHttp/7.{}",
    "reqwest/0.{}",
)


@dataclass(slots=True)
class _Key:
    """One issued key, its fate, and what is remembered of its use."""

    number: int
    exchange: int
    name: str
    account: str
    holder: str | None
    pattern: str
    guilty: bool
    role: str
    ring: str | None
    rate: float
    born: int
    expires: int
    patience: float
    used: dict[int, list[int]] = field(default_factory=dict)  # address -> [hours, first hour]
    also_listed: list[int] = field(default_factory=list)


class _World:
    """The tables of one world, its rates, and the rows so far."""

    def __init__(self, seed: int, days: int, holders: bool) -> None:
        self.rng = np.random.default_rng([seed, 0x7417])
        self.size = days * 24
        self.holders = holders
        hour = np.arange(self.size) + 24 * self.n(0, 300)
        self.start = MONDAY + int(hour[0]) * 3600
        self.clock, self.weekday = hour % 24, (hour // 24) % 7
        self.keys: list[_Key] = []
        self.accounts: dict[tuple[str, int], tuple[str, str | None]] = {}
        self.rows: list[tuple[Ints, ...]] = []
        self.ips: list[str] = []
        self.taken: set[str] = set()
        self.devices: list[str] = []
        self.successor: dict[int, int] = {}
        self.release: dict[int, int] = {}
        self.sites: list[tuple[Ints, Ints]] = []
        self.crowded: list[int] = []
        self.homes: list[int] = []
        self.offices: list[int] = []
        self.declared: list[dict[str, Any]] = []
        self._draw_rates()
        self._draw_market(days)
        self._draw_stacks()
        self.cloud_blocks = [self.block("cloud") for _ in range(int(self.u(30, 250)))]
        self.exits = [self.address("vpn") for _ in range(int(self.u(8, 60)))]
        self.tutorial = [(self.popular(), self.pick(self.cloud_blocks)) for _ in range(int(self.u(1, 5)))]

    def _draw_rates(self) -> None:
        """The habits of this world's people, each from a wide range."""
        u = self.u
        self.habit_mix = self.rng.dirichlet(np.array(HABIT_MIX) * 60)
        self.share = self.rng.dirichlet(np.array([9.0, 6.0, 2.4, 1.4, 1.0]) * 2)
        self.share = (self.share + 0.02) / (self.share + 0.02).sum()
        self.gap = self.rng.uniform(0.1, 0.6, 5)
        self.row_gap, self.device_gap = u(0.002, 0.05), u(0.0, 0.02)
        self.list_cover = [u(0.45, 1.0) if must else u(0.05, 0.6) for must in LIST_MANDATORY]
        self.list_cover[self.n(0, 5)] *= u(0.0, 1.0)
        self.stale_lists, self.relist = u(0.02, 0.3), int(self.pick([0, 0, 168]))
        self.v6 = {"home": u(0.02, 0.3), "cloud": u(0.0, 0.12), "mobile": u(0.05, 0.5)}
        self.bespoke, self.upgrades = u(0.04, 0.2), u(0.03, 0.3)
        self.at_home, self.nine, self.nerves = u(0.3, 0.7), u(0.2, 0.7), u(0.2, 1.0)
        self.newcomers, self.expiry, self.drift = u(0.04, 0.2), u(0.01, 0.05), u(0.005, 0.04)
        self.mispaste, self.move_fail, self.side_stack = u(0.003, 0.02), u(0.1, 0.7), u(0.02, 0.15)
        self.more_keys, self.alike = u(0.1, 0.45), u(0.2, 0.9)
        self.hide, self.guest_known, self.lend_more = u(0.0, 0.25), u(0.1, 0.7), u(0.0, 0.25)

    def _draw_market(self, days: int) -> None:
        """Volatile hours, which wake everybody, and the outages of each exchange."""
        self.volatile = np.zeros(self.size)
        for _ in range(int(self.rng.poisson(days * self.u(0.15, 1.2)))):
            at, length = self.n(0, self.size), self.n(1, 6)
            fade = self.u(0.4, 1.0) * 0.8 ** np.arange(min(length, self.size - at))
            self.volatile[at : at + length] = np.maximum(self.volatile[at : at + length], fade)
        self.dark = np.zeros((5, self.size), dtype=bool)
        for exchange in range(5):
            for _ in range(int(self.rng.poisson(days * self.u(0.02, 0.2)))):
                at = self.n(0, self.size)
                self.dark[exchange, at : at + self.n(1, 7)] = True

    def _draw_stacks(self) -> None:
        """Client stacks: a library in a few builds and versions; a popular few carry most of the people."""
        order, slope = self.rng.permutation(len(FAMILIES)), self.u(0.8, 1.7)
        weights: list[float] = []
        for rank, family in enumerate(order):
            low, versions = self.n(3, 20), self.n(2, 6)
            release = self.n(-self.size, self.size)
            for build in range(self.n(1, 5)):
                ja4 = self.ja4()
                for version in range(versions):
                    number = len(self.devices)
                    self.devices.append(f"{ja4}|{FAMILIES[family].format(low + version)}")
                    weights.append((rank + 1) ** -slope * (build + 1) ** -1.2 * self.u(0.2, 1.0))
                    self.release[number] = release
                    if version + 1 < versions:
                        self.successor[number] = number + 1
        self.weights = np.array(weights) / sum(weights)

    def u(self, low: float, high: float) -> float:
        """A number evenly between two bounds."""
        return float(self.rng.uniform(low, high))

    def n(self, low: int, high: int) -> int:
        """A whole number from low up to, but not including, high."""
        return int(self.rng.integers(low, high))

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return bool(self.rng.random() < share)

    def pick(self, options: list[Any]) -> Any:
        """One of the options, each as likely."""
        return options[self.n(0, len(options))]

    def ja4(self) -> str:
        """A plausible TLS client fingerprint."""
        head = f"t{self.pick([12, 13, 13, 13])}d{self.n(9, 32):02d}{self.n(6, 18):02d}"
        return f"{head}{self.pick(['h1', 'h2', '00'])}_{self.rng.bytes(6).hex()}_{self.rng.bytes(6).hex()}"

    def popular(self) -> int:
        """A client stack as common as its popularity."""
        return int(self.rng.choice(len(self.weights), p=self.weights))

    def stack(self) -> int:
        """A client stack: a popular one, or a program that somebody built alone."""
        if not self.chance(self.bespoke):
            return self.popular()
        name, ja4, number = self.rng.bytes(3).hex(), self.ja4(), len(self.devices)
        self.devices += [f"{ja4}|{name}/1.{minor}" for minor in range(2)]
        self.successor[number] = number + 1
        return number

    def still(self, number: int) -> Ints:
        """The same thing in every hour."""
        return np.broadcast_to(np.int64(number), self.size)

    def device(self, number: int | None = None) -> Ints:
        """The stack of each hour; some upgrade to the next version, often in the days after a release."""
        now = self.stack() if number is None else number
        track = self.still(now)
        if now in self.successor and self.chance(self.upgrades):
            release = self.release.get(now, -1)
            at = release + int(self.rng.exponential(60)) if release >= 0 else self.n(0, self.size)
            track = np.where(np.arange(self.size) < at, now, self.successor[now])
        return track

    def block(self, kind: str) -> str:
        """A network of 256 addresses."""
        return f"{self.pick(RANGES[kind].split())}.{self.n(0, 256)}"

    def address(self, kind: str, block: str = "") -> int:
        """A new global address: in the block if one is given, else wherever its kind is found."""
        while True:
            if not block and self.chance(self.v6.get(kind, 0.0)):
                text = self._in_site(f"{self.pick(RANGES6[kind].split())}:{self.n(1, 65536):x}:{self.n(1, 65536):x}")
            else:
                near = block or (self.pick(self.cloud_blocks) if kind == "cloud" else self.block(kind))
                text = f"{near}.{self.n(1, 255)}"
                if text in self.taken and self.chance(0.1):
                    block = self.block(kind)
            if text not in self.taken and ipaddress.ip_address(text).is_global:
                return self._keep(text)

    def _in_site(self, site: str) -> str:
        tail = "".join(f":{int(x):x}" for x in self.rng.integers(1, 65536, 4))
        return str(ipaddress.IPv6Address(site + tail))

    def _keep(self, text: str) -> int:
        self.taken.add(text)
        self.ips.append(text)
        return len(self.ips) - 1

    def home(self) -> Ints:
        """The address of a household in each hour; with IPv6 the last half changes every day."""
        first = self.address("home")
        self.homes.append(first)
        if ":" not in self.ips[first]:
            return self.still(first)
        site = ":".join(ipaddress.IPv6Address(self.ips[first]).exploded.split(":")[:4])
        daily = [first] + [self._keep(self._in_site(site)) for _ in range(self.size // 24)]
        return np.repeat(np.array(daily), 24)[: self.size]

    def pool(self, kind: str, count: int) -> Ints:
        """New addresses of one owner, more or fewer of them side by side."""
        blocks = [self.pick(self.cloud_blocks) if kind == "cloud" else self.block(kind) for _ in range(1 + count // 3)]
        near = self.u(0.2, 1.0)
        return np.array(
            [self.address(kind, self.pick(blocks[:1] if self.chance(near) else blocks)) for _ in range(count)]
        )

    def site(self) -> Ints:
        """Where an ordinary person's program runs: at home or on a rented server."""
        return self.home() if self.chance(self.at_home) else self.still(self.address("cloud"))

    def habit(self, kind: str = "") -> Floats:
        """The probability of each hour that somebody with this habit uses the key in it."""
        kind = kind or str(self.rng.choice(HABITS, p=self.habit_mix))
        p, wake = np.zeros(self.size), float(self.rng.beta(1, 3)) * self.nerves
        if kind == "always":
            p[:] = self.u(0.9, 1.0)
            for _ in range(int(self.rng.poisson(1.0))):
                at = self.n(0, self.size)
                p[at : at + self.n(2, 40)] = 0
        elif kind == "runs":
            at, on, off = -self.n(0, 60), self.u(4, 40), self.u(12, 120)
            while at < self.size:
                length = 1 + int(self.rng.exponential(on))
                p[max(at, 0) : max(at + length, 0)] = 0.95
                at += length + 1 + int(self.rng.exponential(off))
        elif kind == "daily":
            first = 9 if self.chance(self.nine) else self.n(0, 24)
            times = [first, *self.rng.integers(0, 24, self.n(0, 4)).tolist()]
            p[np.isin(self.clock, times)] = self.u(0.6, 1.0)
        elif kind == "interval":
            step = int(self.pick([2, 3, 4, 6, 8, 12]))
            p[(self.clock + self.n(0, step)) % step == 0] = self.u(0.8, 1.0)
        elif kind in WINDOWS:
            start, length, work, rest = WINDOWS[kind]
            inside = (self.clock - start - self.n(-2, 3)) % 24 < length + self.n(-2, 3)
            p = np.where(self.weekday < 5, work, rest) * inside * self.u(0.2, 0.95)
        else:
            p[:] = self.u(0.004, 0.05)
            wake = self.u(0.3, 0.95) if kind == "burst" else wake
        return 1 - (1 - p) * (1 - wake * self.volatile)

    def awake(self, p: Floats) -> Ints:
        """The hours that come true of their probabilities."""
        return np.flatnonzero(self.rng.random(self.size) < p)

    def flock(self, common: Floats, alike: float, own: Floats | None = None) -> Ints:
        """The hours of one of many who follow the same hours in a degree, and otherwise their own."""
        return self.awake(np.clip(alike * common + (1 - alike) * (self.habit() if own is None else own), 0, 1))

    def happened(self, p: Floats) -> Floats:
        """Hours already drawn, for a group to follow."""
        return (self.rng.random(self.size) < p).astype(float)

    def hop(self, hours: Ints, pool: Ints, stick: float, extra: float) -> tuple[Ints, Ints]:
        """Hours and addresses of somebody who moves about in a pool, sometimes several times within an hour."""
        fresh = self.rng.random(len(hours)) > stick
        since = np.maximum.accumulate(np.where(fresh, np.arange(len(hours)), 0))
        ips = pool[self.rng.integers(len(pool), size=len(hours))][since]
        more = hours[np.flatnonzero(self.rng.random(len(hours)) < extra)]
        more = np.repeat(more, self.rng.integers(1, 3, len(more)))
        return np.concatenate([hours, more]), np.concatenate([ips, pool[self.rng.integers(len(pool), size=len(more))]])

    def person(self) -> str:
        """Somebody new, who will have at most one account at each exchange."""
        return self.rng.bytes(8).hex()

    def exchanges(self, count: int) -> list[int]:
        """Different exchanges, the larger ones more often."""
        return [int(x) for x in self.rng.choice(5, size=count, replace=False, p=self.share)]

    def issue(self, person: str, pattern: str, exchange: int = -1, ring: str | None = None, role: str = "") -> _Key:
        """A new key of that person; those of a ring and of a shared pattern are guilty, an operator's own is not."""
        exchange = self.exchanges(1)[0] if exchange < 0 else exchange
        if (person, exchange) not in self.accounts:
            known = not self.chance(self.gap[exchange]) and self.holders
            self.accounts[person, exchange] = (self.rng.bytes(6).hex(), person if known else None)
        account, holder = self.accounts[person, exchange]
        born = self.n(0, self.size) if self.chance(self.newcomers) else 0
        expires = self.n(-self.size // 3, self.size) if born == 0 and self.chance(self.expiry) else self.size
        name = self.rng.bytes(20).hex()
        guilty = not role and (ring is not None or pattern.startswith("shared_key"))
        fate = (float(np.exp(self.rng.normal(3, 1.5))), born, expires, self.u(6, 200) if expires > 0 else self.size)
        key = _Key(len(self.keys), exchange, name, account, holder, pattern, guilty, role, ring, *fate)
        self.keys.append(key)
        return key

    def issue_some(self, pattern: str, most: int) -> list[_Key]:
        """The keys of somebody new: one, or for some people a few at different exchanges."""
        count = min(most, 1 + self.n(1, 4) * self.chance(self.more_keys))
        person = self.person()
        return [self.issue(person, pattern, exchange) for exchange in self.exchanges(count)]

    def put(self, key: _Key, hours: Ints, ips: Ints, devices: Ints, kind: int, at: int = -1, rate: float = 2.0) -> None:
        """Rows as they are."""
        n = len(hours)
        counts = np.maximum(1, rate * self.rng.lognormal(0, 0.5, n)).astype(np.int64)
        ts = self.start + hours * 3600 + self.rng.integers(0, 3600, n)
        where = key.exchange if at < 0 else at
        numbers, kinds, places = (np.full(n, value) for value in (key.number, kind, where))
        self.rows.append((ts, numbers, ips, devices, counts, kinds, places))

    def run(self, key: _Key, hours: Ints, ips: Ints, devices: Ints) -> None:
        """Ordinary use of a key, with what happens to everybody on the way."""
        alive = (hours >= key.born) & ~(self.dark[key.exchange, hours] & (self.rng.random(len(hours)) < 0.9))
        alive &= hours < key.expires + key.patience
        hours, ips, devices = hours[alive], ips[alive], devices[alive]
        if not len(hours):
            return
        dead = hours >= key.expires
        self.put(key, hours[dead], ips[dead], devices[dead], FAIL, rate=key.rate)
        hours, ips, devices = hours[~dead], ips[~dead], devices[~dead]
        if not len(hours):
            return
        self.put(key, hours, ips, devices, USE, rate=key.rate)
        fresh = not key.used
        found, first, counts = np.unique(ips, return_index=True, return_counts=True)
        for ip, index, count in zip(found.tolist(), first.tolist(), counts.tolist(), strict=True):
            entry = key.used.setdefault(ip, [0, int(hours[index])])
            entry[0] += count
        moved = first[(self.rng.random(len(first)) < self.move_fail / len(first) ** 0.5) & (first > 0)]
        self.put(key, hours[moved], ips[moved], devices[moved], FAIL, rate=5)
        if fresh and self.chance(self.drift):
            spell = slice(at := self.n(0, len(hours)), at + self.n(1, 12))
            self.put(key, hours[spell], ips[spell], devices[spell], FAIL, rate=key.rate / 3)
        if fresh and self.chance(self.mispaste):
            again = np.sort(self.rng.integers(len(hours), size=self.n(1, 4)))
            other = (key.exchange + self.n(1, 5)) % 5
            self.put(key, hours[again], ips[again], devices[again], FAIL, at=other, rate=4)

    def allow_lists(self) -> None:
        """The allow-lists that exchanges report: addresses most used, those it was told to add, and stale ones."""
        for key in self.keys:
            limit = LIST_LIMIT[key.exchange]
            rare = 0.35 if len(key.used) > 2 * limit else 1.0
            if not self.chance(self.list_cover[key.exchange] * rare):
                continue
            ranked = sorted(key.used, key=lambda ip: -key.used[ip][0])
            old = [self.pick(self.homes)] if self.chance(self.stale_lists) else []
            for ip in list(dict.fromkeys(ranked[: limit - 1] + key.also_listed + old + ranked))[:limit]:
                since = max(0, key.used.get(ip, [0, key.born])[1] - int(self.rng.exponential(2)))
                when = np.arange(since, self.size, self.relist or self.size)
                self.put(key, when, np.full(len(when), ip), np.full(len(when), -1), LISTED, rate=1e-9)


Builder = Callable[[_World, int, str], int]


def _single(w: _World, left: int, pattern: str) -> int:
    """One person, one program; some try something else beside it, or are refused in trying."""
    key, place, device, p = w.issue(w.person(), pattern), w.site(), w.device(), w.habit()
    if pattern == "popular_stack":  # followers of a tutorial: its program, hosting company and nine o'clock
        stack, block = w.pick(w.tutorial)
        place = w.still(w.address("cloud", block)) if w.chance(0.6) else place
        device, p = w.device(stack), w.habit("daily") if w.chance(0.6) else p
    hours = w.awake(p)
    w.run(key, hours, place[hours], device[hours])
    if w.chance(w.side_stack):
        tries, other = w.awake(w.habit("lazy")), w.device()
        if w.chance(0.3):
            w.put(key, tries[:3], w.site()[tries[:3]], other[tries[:3]], FAIL)
        else:
            w.run(key, tries, (w.home() if w.chance(0.5) else place)[tries], other[tries])
    w.sites.append((place, device))
    return 1


def _multi_exchange(w: _World, left: int, pattern: str) -> int:
    """One person's keys at several exchanges, arbitraged together or left to programs of their own."""
    if left < 2:
        return 0
    person, place, device, p = w.person(), w.site(), w.device(), w.habit()
    common, alike = w.happened(p), float(w.rng.beta(2, 1))
    wanted = w.exchanges(min(left, int(w.rng.choice([2, 3, 4, 5], p=[0.6, 0.25, 0.1, 0.05]))))
    for exchange in wanted:
        hours = w.flock(common, alike, p)
        w.run(w.issue(person, pattern, exchange), hours, place[hours], device[hours])
    return len(wanted)


def _renumbered(w: _World, left: int, pattern: str) -> int:
    """A district whose provider hands the same addresses round among its subscribers, daily or weekly."""
    size, period = min(left, w.n(10, 90)), 24 if pattern.endswith("daily") else 168
    block = w.block("home")
    pool = np.array([w.address("home", block) for _ in range(min(int(size * w.u(1.1, 2.5)), 230))])
    turns = np.array([w.rng.permutation(pool)[:size] for _ in range(w.size // period + 2)])
    for member in range(size):
        place = np.repeat(turns[:, member], period)[w.n(0, period) :][: w.size]
        hours, device = w.awake(w.habit()), w.device()
        w.run(w.issue(w.person(), pattern), hours, place[hours], device[hours])
    return size


class _Crowd(NamedTuple):
    """What strangers behind the same doors have in common."""

    kind: str
    people: tuple[int, int]
    doors: tuple[int, int]
    stick: tuple[float, float]  # how long they keep to a door
    extra: float  # how often they use a second one within the hour, at most
    away: float  # how much they are elsewhere, at most
    alike: tuple[float, float]  # how many use the place's usual stacks
    habits: str


CROWDS = {
    "carrier_nat": _Crowd("mobile", (30, 300), (4, 70), (0.0, 0.9), 0.6, 0.8, (0.0, 0.3), ",evening"),
    "company_egress": _Crowd("office", (6, 70), (1, 5), (0.5, 1.0), 0.1, 0.6, (0.1, 0.6), "office,office,office,"),
    "campus_egress": _Crowd("office", (15, 160), (1, 17), (0.3, 1.0), 0.3, 0.8, (0.1, 0.7), "office,evening,runs,"),
    "shared_hosting": _Crowd("cloud", (4, 90), (1, 2), (1.0, 1.0), 0.0, 0.1, (0.2, 1.0), "interval,interval,daily"),
    "nat_gateway": _Crowd("cloud", (4, 90), (1, 5), (0.5, 1.0), 0.1, 0.2, (0.0, 0.6), ",runs,always"),
    "function_egress": _Crowd("cloud", (4, 90), (12, 200), (0.0, 0.6), 0.8, 0.1, (0.6, 1.0), "interval,daily,interval"),
}


def _crowd(w: _World, left: int, pattern: str) -> int:
    """Strangers behind a carrier's, company's, campus's or provider's addresses."""
    c, made = CROWDS[pattern], 0
    size, doors = min(left, w.n(*c.people)), w.pool(c.kind, w.n(*c.doors))
    usual = [w.popular() for _ in range(w.n(1, 4))]
    stick, extra, away, alike, narrow = w.u(*c.stick), w.u(0, c.extra), w.u(0, c.away), w.u(*c.alike), w.u(0.0, 1.0)
    w.crowded += doors.tolist()
    w.offices += doors.tolist() if c.kind == "office" else []
    while made < size:
        mine = w.rng.choice(doors, size=w.n(1, len(doors) + 1), replace=False) if w.chance(narrow) else doors
        device = w.device(w.pick(usual)) if w.chance(alike) else w.device()
        p, home, out = w.habit(w.pick(c.habits.split(","))), w.home(), away * w.chance(0.5)
        for key in w.issue_some(pattern, size - made):
            hours, ips = w.hop(w.awake(p), mine, stick, extra)
            w.run(key, hours, np.where(w.rng.random(len(hours)) < out, home[hours], ips), device[hours])
            made += 1
    return size


def _class_or_team(w: _World, left: int, pattern: str) -> int:
    """A course at an academy, or a team with one image: the same stack, address and hours; homework elsewhere."""
    if left < 4:
        return 0
    size, stack, block = min(left, w.n(5, 41)), w.stack(), w.block("cloud")
    days, first, length = w.rng.choice(7, size=w.n(1, 6), replace=False), w.u(8, 20), w.u(2, 8)
    lesson = np.isin(w.weekday, days) & (w.clock >= first) & (w.clock < first + length)
    team = w.happened(w.habit(w.pick(["runs", "office", "daily", "interval"])))
    common = lesson.astype(float) if w.chance(0.55) else team
    room, own_server = w.still(w.address(w.pick(["office", "home", "cloud"]))), w.chance(0.25)
    alike, homework, image = w.u(0.55, 1.0), w.u(0.0, 0.8), w.device(stack)
    for _ in range(size):
        key, device = w.issue(w.person(), pattern), image if w.chance(0.8) else w.device(stack)
        hours = w.flock(common, alike * w.u(0.7, 1.0), np.zeros(w.size))
        place = w.still(w.address("cloud", block)) if own_server else room
        w.run(key, hours, place[hours], device[hours])
        if w.chance(homework):
            hours = w.awake(w.habit(w.pick(["evening", "lazy", "daily"])) * (1 - common))
            w.run(key, hours, w.home()[hours], (device if w.chance(0.6) else w.device())[hours])
    return size


def _platform(w: _World, left: int, pattern: str) -> int:
    """A bot service: copied signals, grids that never sleep, or each customer's own strategy, from its servers."""
    if left < 5:
        return 0
    large, rng = pattern.endswith("large"), w.rng
    size, made = min(left, w.n(60, 600) if large else w.n(5, 60)), 0
    servers = w.pool("cloud", w.n(2, 40) if large else w.n(1, 5))
    w.crowded += servers.tolist() if large else []
    pinned, list_all, style, device = w.chance(0.5), w.chance(0.6), w.pick(["copy", "own", "grid"]), w.device()
    common = w.happened(w.habit(w.pick(["burst", "interval", "daily", "runs"])))
    alike, check = w.u(0.3, 0.98), w.u(0.0, 0.3)
    grid, strays, growth = w.u(0.3, 1.0), w.u(0.0, 0.35), w.u(0.0, 0.7) * w.chance(0.5)
    while made < size:
        mine = rng.choice(servers, size=1) if pinned else servers
        for key in w.issue_some(pattern, size - made):
            key.born = w.n(0, w.size) if key.expires == w.size and w.chance(growth) else key.born
            own = w.habit("always" if style == "grid" and w.chance(0.5) else "") * (grid if style == "grid" else 1.0)
            hours = w.flock(common, alike, own) if style == "copy" else w.awake(own)
            hours, ips = w.hop(hours, mine, w.u(0.0, 1.0), 0.0 if pinned else 0.1)
            w.run(key, hours, ips, device[hours])
            key.also_listed = servers.tolist() if list_all else []
            if w.chance(check):  # pasted under the wrong exchange, or before the allow-list was saved
                at = np.array([key.born])
                other = (key.exchange + w.n(0, 5)) % 5
                w.put(key, at, rng.choice(mine, size=1), device[at], FAIL, at=other)
            if w.chance(strays):
                hours = w.awake(w.habit("lazy"))
                w.run(key, hours, w.home()[hours], w.device()[hours])
            made += 1
    for _ in range(int(rng.poisson(size * w.u(0.0, 0.08)))):  # people who look in, fail the check and leave
        hour = np.array([w.n(0, w.size)])
        w.put(w.pick(w.keys), hour, rng.choice(servers, size=1), device[hour], FAIL)
    if pattern.startswith("declared"):
        named = [w.ips[ip] for ip in servers][: max(1, len(servers) - w.chance(0.2))]
        w.declared.append({"name": f"service-{rng.bytes(3).hex()}", "ips": named, "device": w.devices[int(device[-1])]})
    return size


def _household(w: _World, left: int, pattern: str) -> int:
    """Two to four people of a household, with a computer each or one together, on which one of them may run it all."""
    size = min(left, int(w.rng.choice([2, 3, 4], p=[0.65, 0.23, 0.12])))
    if size < 2:
        return 0
    home, together, device, p = w.home(), pattern == "household_together", w.device(), w.habit()
    common, alike, out = w.happened(p), w.alike * w.u(0.4, 1.1), w.u(0.0, 0.5)
    for _ in range(size):
        key, mine = w.issue(w.person(), pattern), device if together else w.device()
        hours = w.flock(common, min(alike, 1.0) if together else 0.2, p if w.chance(0.4) else None)
        place = home if w.chance(0.7) else np.where(w.rng.random(w.size) < out, w.address("mobile"), home)
        w.run(key, hours, place[hours], mine[hours])
    return size


def _roamer(w: _World, left: int, pattern: str) -> int:
    """Somebody between home, office, phone and VPN, with a laptop and perhaps a phone of another make."""
    phones = np.array([w.address("mobile") for _ in range(w.n(1, 12))])
    home, office = w.home(), w.pick(w.offices) if w.offices and w.chance(0.5) else w.address("office")
    vpns = w.rng.choice(w.exits, size=min(len(w.exits), w.n(1, 5)), replace=False)
    on_phone, on_vpn, extra = w.u(0.05, 0.6), w.u(0.0, 0.4) * w.chance(0.5), w.u(0.0, 0.5)
    laptop, phone, p = w.device(), w.device(), w.habit(w.pick(["office", "evening", "", ""]))
    two, keys = w.chance(0.5), w.issue_some(pattern, left)
    for key in keys:
        hours = w.awake(p)
        hours = np.sort(np.concatenate([hours, hours[w.rng.random(len(hours)) < extra]]))
        work = (w.weekday[hours] < 5) & (w.clock[hours] >= 9) & (w.clock[hours] < 18)
        ips, luck = np.where(work, office, home[hours]), w.rng.random(len(hours))
        moving = luck < on_phone
        ips = np.where(moving, w.hop(hours, phones, 0.5, 0.0)[1], ips)
        ips = np.where(luck > 1 - on_vpn, w.hop(hours, vpns, 0.7, 0.0)[1], ips)
        w.run(key, hours, ips, np.where(moving & two, phone[hours], laptop[hours]))
    return len(keys)


def _power_user(w: _World, left: int, pattern: str) -> int:
    """One person with many programs at once on several machines, all with the same few keys."""
    count, stacks = min(left, w.n(1, 5)), w.n(3, 11)
    places = [w.home()] + [w.still(w.address("cloud")) for _ in range(w.n(0, 7))]
    tools = [(w.device(), w.pick(places), w.habit()) for _ in range(stacks)]
    person = w.person()
    for exchange in w.exchanges(count):
        key = w.issue(person, pattern, exchange)
        for device, place, p in tools:
            if w.chance(0.7):
                hours = w.awake(p * w.u(0.3, 1.0))
                w.run(key, hours, place[hours], device[hours])
    return count


INNOCENT: dict[str, tuple[float, Builder]] = {
    "single": (40.0, _single),
    "multi_exchange": (23.0, _multi_exchange),
    "popular_stack": (4.0, _single),
    "renumbered_daily": (3.0, _renumbered),
    "renumbered_weekly": (2.5, _renumbered),
    "carrier_nat": (5.0, _crowd),
    "company_egress": (2.5, _crowd),
    "campus_egress": (1.8, _crowd),
    "class_or_team": (1.3, _class_or_team),
    "declared_platform_large": (3.0, _platform),
    "declared_platform_small": (0.6, _platform),
    "undeclared_platform_large": (1.6, _platform),
    "undeclared_platform_small": (1.2, _platform),
    "shared_hosting": (1.2, _crowd),
    "nat_gateway": (1.2, _crowd),
    "function_egress": (1.2, _crowd),
    "household_each": (2.2, _household),
    "household_together": (1.2, _household),
    "roamer": (3.5, _roamer),
    "power_user": (1.0, _power_user),
}
RINGS = ("ring_plain", "ring_pool", "ring_stack_per_key", "ring_staggered", "ring_residential", "ring_with_holder")


def _plan(w: _World, size: int, staggered: bool) -> tuple[Floats, list[Floats]]:
    """When an operator is at work, and the probability of each hour for each of the borrowed keys."""
    kinds = ["runs", "runs", "always", "office", "evening", "night", "daily", "interval", "burst"]
    session = w.happened(np.maximum(w.habit(w.pick(kinds)), w.habit(w.pick(kinds)) * w.chance(0.6)))
    while session.sum() < w.size / 8:
        session = np.maximum(session, w.happened(w.habit(w.pick(kinds))))
    if staggered:
        weekly, open_hours = w.u(2, 9), np.flatnonzero(session if session.sum() > 2 * size else np.ones(w.size))
        plans = [np.zeros(w.size) for _ in range(size)]
        for plan in plans:
            plan[w.rng.choice(open_hours, size=min(len(open_hours), 2 + int(w.rng.poisson(weekly * w.size / 168))))] = 1
        return session, plans
    cohesion, uneven, split = w.u(0.4, 1.0), w.u(0.0, 0.6), w.pick(["together", "together", "shifts", "pairs"])
    teams, turn = w.n(2, 4), int(w.pick([1, 4, 8, 24, 48]))
    pairs = [w.happened(np.full(w.size, w.u(0.2, 0.8))) for _ in range(size // 2 + 1)]
    plans = []
    for member in range(size):
        plan = session * min(1.0, cohesion * float(np.exp(w.rng.normal(0, uneven))))
        if split == "shifts":
            plan = plan * (np.arange(w.size) // turn % teams == member % teams)
        plans.append(plan * pairs[member // 2] if split == "pairs" else plan)
    return session, plans


def _servers(w: _World, pattern: str, size: int) -> Ints:
    """Where an operator works from: one machine, a pool of them, or other people's homes; some hide in a crowd."""
    if pattern == "ring_residential":
        count, known = w.n(max(4, size // 2), 12 + 3 * size), w.u(0, 0.4)
        return np.array([w.pick(w.homes) if w.chance(known) else w.address("home") for _ in range(count)])
    low, high = {"ring_pool": (3, 26), "ring_plain": (1, 2)}.get(pattern, (1, 4))
    kind = "cloud" if high > 2 else w.pick(["cloud", "cloud", "home", "office"])
    many = w.pool(kind, w.n(low, high))
    if w.chance(w.hide):
        many[0] = w.pick(w.crowded + w.exits)
    return many


def _ring(w: _World, size: int, pattern: str) -> int:
    """One operator and the keys of at least three lenders, who arrive over time and may go on trading themselves."""
    ring, rng = f"ring-{w.rng.bytes(4).hex()}", w.rng
    servers, (session, plans) = _servers(w, pattern, size), _plan(w, size, pattern == "ring_staggered")
    tools = [w.device() for _ in range(1 if w.chance(0.75) else 2)]
    stick = w.pick([0.0, 0.5, 0.95]) if len(servers) > 1 else 1.0
    divide, venue = w.chance(0.4), w.exchanges(1)[0] if w.chance(0.4) else -1
    arrival, before = w.u(0.0, 0.7) * w.chance(0.7), w.u(0.0, 0.8)
    going_on = w.u(0.7, 1.0) if pattern == "ring_with_holder" else w.u(0.0, 0.4)
    lenders: list[str] = []
    for plan in plans:
        lender = w.pick(lenders) if venue < 0 and len(lenders) >= 3 and w.chance(w.lend_more) else w.person()
        free = [x for x in range(5) if (lender, x) not in w.accounts]
        lenders += [lender] if len(free) == 5 else []
        key = w.issue(lender, pattern, w.pick(free) if len(free) in (1, 2, 3, 4) else venue, ring)
        key.born, key.expires = 0, w.size
        joined = w.n(0, int(w.size * arrival) + 1)
        hours = hours if len(hours := w.awake(plan)) > 3 else w.awake(session * 0.6)
        hours = hours[hours >= joined] if (hours >= joined).sum() > 3 else hours
        mine = rng.choice(servers, size=max(1, len(servers) // 3), replace=False) if divide else servers
        hours, ips = w.hop(hours, mine, stick, 0.15 if pattern in ("ring_pool", "ring_residential") else 0.0)
        device = w.device() if pattern == "ring_stack_per_key" else w.pick(tools)
        w.run(key, hours, ips, device[hours])
        key.also_listed = mine.tolist()
        trades_on = w.chance(going_on)
        if trades_on or (joined > 24 and w.chance(before)):
            hours = w.awake(w.habit() * w.u(0.3, 1.0))
            hours = hours if trades_on else hours[hours < joined]
            w.run(key, hours, w.site()[hours], w.device()[hours])
    operator = w.person()
    for exchange in w.exchanges(int(rng.choice([0, 1, 2, 3], p=[0.4, 0.35, 0.15, 0.1]))):
        hours, ips = w.hop(w.flock(session, w.u(0.6, 1.0)), servers, stick, 0.0)
        w.run(w.issue(operator, pattern, exchange, ring, "operator-own"), hours, ips, w.pick(tools)[hours])
    return size


def _shared_key(w: _World, pattern: str) -> int:
    """One key in several people's hands: friends, the customers of a signal room, or an heirloom seldom used."""
    low, high = {"shared_key_few": (3, 13), "shared_key_crowd": (8, 61), "shared_key_rare": (3, 7)}[pattern]
    people, rng = min(high - 1, low + int((high - low) * float(w.rng.beta(1.0, 1.8)))), w.rng
    roomy = [x for x in range(5) if LIST_LIMIT[x] >= people or not LIST_MANDATORY[x]]
    key = w.issue(w.person(), pattern, w.pick(roomy) if w.chance(0.7) else -1)
    key.born, key.expires = 0, w.size
    program, same, effort = w.stack(), w.u(0.0, 1.0), w.u(0.25, 1.0)
    for _ in range(people):
        place, device = w.pick(w.sites) if w.chance(w.guest_known) else (w.site(), w.device())
        place = w.still(w.pick(w.exits)) if w.chance(0.08) else place
        device = w.device(program) if w.chance(same) else device
        if pattern == "shared_key_rare":
            hours = np.sort(rng.integers(w.size, size=2 + int(rng.poisson(w.u(1, 6)))))
        else:
            hours = w.awake(w.habit() * (effort if pattern == "shared_key_few" else effort * 0.5))
        w.run(key, hours, place[hours], device[hours])
    return 1


def _leak(w: _World, victims: list[_Key], pattern: str) -> None:
    """A dump of keys, tried by somebody who may not know which exchange issued them; allow-lists stop most of it."""
    rng = w.rng
    if pattern == "leak_slow":
        kind = w.pick(["home", "vpn", "cloud"])
        count = int(len(victims) * w.u(1, 4)) + 3
        pool = np.array([w.address(kind) if w.chance(0.8) else w.pick(w.exits) for _ in range(count)])
        begin, span = int(w.u(0, 0.3) * w.size), int(w.u(0.4, 0.7) * w.size)
    else:
        pool = w.pool(w.pick(["cloud", "vpn"]), 1 if pattern == "leak_burst" else w.pick([1, 1, 2]))
        begin, span = int(w.u(0, 0.75) * w.size), int(w.pick([1, 3, 12, 48]))
    checker, many, blind = w.device(), w.chance(0.4) and pattern == "leak_slow", w.chance(0.75)
    theft, again, breadth = w.u(0.0, 0.5), w.u(0.0, 0.5), w.u(0.4, 1.0)
    for key in victims:
        key.pattern, key.guilty = pattern, True
        for _ in range(1 + (1 + int(rng.poisson(1.0))) * w.chance(again)):
            device = w.device() if many else checker
            hour = np.array([min(w.size - 1, begin + w.n(0, span))])
            others = [x for x in range(5) if x != key.exchange and w.chance(breadth)] if blind else []
            for at in [*others, key.exchange]:
                w.put(key, hour, rng.choice(pool, size=1), device[hour], FAIL, at=at, rate=w.pick([1, 1, 3, 8]))
            if w.chance(theft * (0.15 if LIST_MANDATORY[key.exchange] else 1.0)):
                hours = np.arange(hour[0], min(w.size, hour[0] + w.n(1, 9)))
                w.put(key, hours, rng.choice(pool, size=len(hours)), device[hours], USE, rate=20)


def _people(w: _World, total: int) -> None:
    """The innocent: each pattern's part varies from world to world, the ordinary ones remain most."""
    spread = w.u(0.2, 0.6)
    parts = {}
    for name, (base, _) in INNOCENT.items():
        parts[name] = base * float(np.exp(w.rng.normal(0, spread if base < 10 else 0.15)))
    unit = total / sum(parts.values())
    for name, part in parts.items():
        left = int(part * unit)
        while left > 0 and (made := INNOCENT[name][1](w, left, name)):
            left -= made


def _culprits(w: _World, rings: int, shared: int, leaked: int) -> None:
    """The guilty: rings of 3 to 60, shared keys, and dumps of the keys of people who did nothing wrong."""
    turn = w.n(0, 6)
    while rings >= 3:
        size = int(np.clip(np.exp(w.rng.normal(np.log(8), 0.75)), 3, 60))
        size = rings if rings - size < 3 and rings <= 60 else min(size, rings)
        rings -= _ring(w, size, RINGS[turn % 6])
        turn += w.n(1, 3)
    for _ in range(shared + rings):
        _shared_key(w, w.pick(["shared_key_few", "shared_key_crowd", "shared_key_rare"]))
    ordinary = (
        "single",
        "multi_exchange",
        "popular_stack",
        "roamer",
        *(name for name in INNOCENT if "platform" in name),
    )
    pool = [key for key in w.keys if key.pattern in ordinary and key.used]
    pool = [pool[int(i)] for i in w.rng.permutation(len(pool))[:leaked]]
    while pool:
        pattern, low, high = w.pick([("leak_burst", 8, 60), ("leak_slow", 5, 50), ("leak_small", 2, 7)])
        size, source = min(len(pool), w.n(low, high)), pool[0].pattern
        if w.chance(0.5):  # the dump of one place
            pool.sort(key=lambda key: key.pattern != source)
        _leak(w, pool[:size], pattern)
        pool = pool[size:]


def _sightings(w: _World) -> Iterator[dict[str, Any]]:
    """The rows of a world in the order of time."""
    columns = [np.concatenate(column) for column in zip(*w.rows, strict=True)]
    w.rows.clear()
    columns[3][w.rng.random(len(columns[3])) < w.device_gap] = -1
    order = np.argsort(columns[0], kind="stable")
    bare = w.rng.random(len(order)) < w.row_gap
    for begin in range(0, len(order), 65536):
        part = order[begin : begin + 65536]
        lists = [column[part].tolist() for column in columns]
        for ts, number, ip, device, count, kind, at, lacks in zip(*lists, bare[part].tolist(), strict=True):
            key = w.keys[number]
            own = at == key.exchange
            yield {
                "ts": ts,
                "exchange": EXCHANGES[at],
                "key": key.name,
                "account": key.account if own else None,
                "holder": key.holder if own and not lacks else None,
                "ip": w.ips[ip],
                "device": w.devices[device] if device >= 0 else None,
                "count": count,
                "kind": KINDS[kind],
            }


def market(
    seed: int, keys: int = 20_000, days: int = 14, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """A world: its sightings in the order of time, the truth about every issued key, and the declared bot platforms."""
    w = _World(seed, days, holders)
    guilty = round(keys * (1 - innocent))
    split = w.rng.dirichlet([40.0, 20.0, 20.0])
    rings, shared = round(guilty * split[0]), round(guilty * split[1])
    _people(w, keys - rings - shared - rings // 5)
    _culprits(w, rings, shared, guilty - rings - shared)
    while len(w.keys) < keys:
        _single(w, 1, "single")
    w.allow_lists()
    told = ("guilty", "pattern", "role", "ring")
    truth = [
        {"exchange": EXCHANGES[key.exchange], "key": key.name} | {name: getattr(key, name) for name in told}
        for key in w.keys
    ]
    return _sightings(w), truth, w.declared
