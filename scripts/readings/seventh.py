"""Synthetic API traffic of the five Korean exchanges, as a market-surveillance officer sees it.

Who sits at the order gateway sees strategies before persons. A grid wakes when the price crosses a line, arbitrage when
the premium between the exchanges opens, a maker keeps shifts, a volatility-breakout script sells at 09:00 in Seoul, a
copier follows a leader some minutes late, a cost-averager buys at his hour and sleeps, a spoofer works an evening by
hand. Each strategy has a rhythm and wants a place: arbitrage a server, cost averaging a function or a service, sessions
a desk or a telephone. So persons choose strategies, strategies choose infrastructure, and an operator is a strategy
with other people's accounts under it: his keys share a driver, not necessarily an address, a client or an hour.
Strangers share drivers too (leaders, premium, volatility), which is why no one of these marks convicts anybody.
"""

from __future__ import annotations

import string
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
T = TypeVar("T")
Stack = tuple[int, int, int]  # the device before, the device after, the hour of the upgrade

START = 1780272000  # Monday 2026-06-01 00:00 UTC
EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
USE, FAIL, LIST = 0, 1, 2
KINDS = ("use", "auth_fail", "allowlist")
STRATEGIES = ("grid", "maker", "arbitrage", "copy", "dca", "rebalance", "session", "breakout", "always")
PACE = (1.0, 6.0, 3.0, 0.7, 0.15, 0.6, 1.5, 0.5, 2.0)  # orders an hour beside a grid's
PLACES = ("server", "home", "mobile", "office", "service", "function")
AFFINITY = np.array(
    [
        [20, 14, 5, 10, 25, 4],
        [14, 9, 0, 4, 2, 0],
        [20, 7, 1, 2, 3, 2],
        [9, 10, 20, 8, 24, 4],
        [6, 9, 14, 10, 26, 36],
        [12, 8, 2, 6, 10, 30],
        [3, 26, 50, 46, 2, 0],
        [14, 15, 8, 14, 8, 24],
        [5, 4, 0, 0, 2, 1],
    ],
    float,
)  # how strongly a strategy (row) wants a place (column)
HOME_NETS = (14, 58, 59, 61, 112, 114, 115, 118, 119, 121, 124, 125, 175, 182, 183, 211, 218, 220, 221, 222)
MOBILE_NETS = ((39, 7), (223, 38), (223, 62), (211, 234), (106, 101), (117, 111), (110, 70), (175, 223))
CLOUD_NETS = (
    (3, 34),
    (3, 35),
    (3, 36),
    (13, 124),
    (13, 125),
    (13, 209),
    (15, 164),
    (15, 165),
    (43, 200),
    (52, 78),
    (52, 79),
    (54, 180),
    (34, 64),
    (35, 216),
    (20, 194),
    (52, 231),
    (49, 50),
    (101, 101),
    (141, 164),
)
HOSTERS = ((183, 111), (112, 175), (211, 110), (115, 68), (45, 115), (27, 102), (121, 78), (210, 114), (139, 162))
OFFICE_NETS = ((203, 233), (210, 94), (211, 45), (203, 246), (165, 243), (168, 126), (147, 46), (143, 248), (163, 152))
AGENTS = (
    "python-requests/2.{v}",
    "pyupbit python-requests/2.{v}",
    "ccxt/4.{v} node-fetch",
    "axios/1.{v}",
    "aiohttp/3.{v}",
    "Go-http-client/2.{v}",
    "okhttp/4.{v}",
    "Java-http-client/17.{v}",
    "node-fetch/3.{v}",
    "python-httpx/0.{v}",
    "reqwest/0.{v}",
    "RestSharp/110.{v}",
    "pybithumb python-requests/2.{v}",
    "curl/8.{v}",
    "undici/6.{v}",
    "Apache-HttpClient/5.{v}",
    "GuzzleHttp/7.{v}",
    "websockets/1{v}",
    "hummingbot/2.{v}",
)
RENTED = ("cloud", "cloud", "cloud", "hoster")


@dataclass
class Plan:
    """A strategy as one actor runs it: the chance of acting in each hour, the second it fires, orders an hour."""

    p: Floats
    second: int
    rate: float


@dataclass
class Person:
    holder: str
    stack: Stack
    accounts: dict[int, tuple[str, str | None]] = field(default_factory=dict)


@dataclass
class Key:
    exchange: int
    key: str
    account: str
    holder: str | None
    guilty: bool
    birth: int
    death: int


class World:
    """The market of one seed: its clock, its networks, its clients, and everything that acts in it."""

    def __init__(self, seed: int, keys: int, days: int) -> None:
        r = self.rng = np.random.default_rng([seed, 7, 7])
        self.size, self.days, self.h = keys, days, days * 24
        t = self.t = np.arange(self.h)
        self.kst, self.day = (t + 9) % 24, (t + 9) // 24
        self.work = (self.day % 7 < 5) & (self.kst >= 8) & (self.kst < 19)
        self.calm = self._mood()
        self.premium = np.argsort(np.argsort(np.abs(self._drift(0.75)) + 0.25 * np.log(self.calm + 0.2))) / self.h
        self.leaders = [
            r.random(self.h) < np.clip(self.u(0.05, 0.16) * self.calm ** self.u(0, 0.8), 0, 0.8) for _ in range(14)
        ]
        self.breaks = [r.random(self.h) < 0.028 * self.calm for _ in range(5)]
        self.resume = np.tile(self.t, (5, 1))  # when what was due in this hour is done: after the outage
        for e in range(5):
            for _ in range(int(r.poisson(days / 9))):
                a, b = self.n(0, self.h), self.n(1, 5)
                self.resume[e, a : a + b] = min(a + b, self.h - 1)
        self.weight = np.array([0.47, 0.28, 0.13, 0.07, 0.05]) * np.exp(r.normal(0, 0.25, 5))
        self.anonymous = r.uniform(0.10, 0.60, 5)
        self.lost_holder, self.lost_device, self.listing = self.u(0.002, 0.03), self.u(0.001, 0.02), self.u(0.4, 0.8)
        self.ips, self.devices, self.keys = list[str](), list[str](), list[Key]()
        self.rows, self.residents = list[tuple[int, int, Ints, Ints, Ints, Ints, int]](), list[tuple[Ints, Stack]]()
        self.declared, self.truth = list[dict[str, Any]](), list[dict[str, Any]]()
        self.open, self.dwellings = list[Ints](), list[Ints]()  # rooms to let; homes, where residential exits lead
        self.racks = [(*self.pick(HOSTERS), self.n(1, 250)) for _ in range(max(8, keys // 250))]
        self.carriers = [
            self.pool("mobile", max(2, int(keys / 20000 * self.n(25, 70))), tuple(net))
            for net in r.permutation(np.array(MOBILE_NETS))[:3].tolist()
        ]
        self.vpns = self.pool("hoster", max(3, int(keys / 20000 * self.n(20, 60))))
        tls = [self._ja4() for _ in range(70)]
        for i in range(260):
            self.devices.append(f"{self.pick(tls)}|{self.pick(AGENTS).format(v=self.n(10, 60))}.{i % 7}")
        self.fame = np.cumsum((np.arange(260) + self.u(1, 5)) ** -self.u(0.95, 1.3))
        self.homemade, self.clumsy = self.u(0.06, 0.2), self.u(0.6, 1.5)

    def n(self, low: float, high: float) -> int:
        return int(self.rng.integers(int(low), int(high)))

    def u(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def wide(self, low: float, high: float) -> float:
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def odds(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, seq: Sequence[T]) -> T:
        return seq[int(self.rng.integers(len(seq)))]

    def _drift(self, keep: float) -> Floats:
        x = self.rng.normal(0, 1, self.h)
        for i in range(1, self.h):
            x[i] = keep * x[i - 1] + x[i] * (1 - keep * keep) ** 0.5
        return x

    def _mood(self) -> Floats:
        x = self._drift(0.85) * self.u(0.25, 0.5)
        for _ in range(int(self.rng.poisson(self.days / 3))):  # news: everybody wakes at once
            a = self.n(0, self.h)
            x[a:] += self.u(0.7, 2.0) * np.exp(-self.t[: self.h - a] / self.u(1, 4))
        daily = 1 + 0.35 * np.exp(-(((self.kst - 9.5) / 2) ** 2)) + 0.4 * np.exp(-(((self.kst - 22.5) / 2.5) ** 2))
        return np.asarray(daily * np.exp(x) / (daily * np.exp(x)).mean())

    def address(self, kind: str, net: tuple[int, ...] = (), v6: float = 0.0) -> int:
        if v6 and self.odds(v6):
            head = "2406:da12" if kind == "cloud" else self.pick(("2001:2d8", "2001:e60", "2406:5900"))
            self.ips.append(":".join((head, *(f"{int(x):x}" for x in self.rng.integers(1, 65535, 6)))))
            return len(self.ips) - 1
        if not net and kind == "home":
            net = (self.pick(HOME_NETS), self.n(32, 63))
        elif not net:
            net = self.pick({"hoster": self.racks, "cloud": CLOUD_NETS, "office": OFFICE_NETS}.get(kind, MOBILE_NETS))
        self.ips.append(".".join(str(x) for x in (*net, *self.rng.integers(1, 255, 4 - len(net)).tolist())))
        return len(self.ips) - 1

    def pool(self, kind: str, size: int, net: tuple[int, ...] = ()) -> list[int]:
        return [self.address(kind, net) for _ in range(size)]

    def fixed(self, ip: int) -> Ints:
        return np.full(self.h, ip, np.int64)

    def hop(self, pool: list[int], hold: float, clock: bool = False) -> Ints:
        """One user's way through a pool of addresses, each held for some hours (or until the clock says so)."""
        block = (self.t + self.n(0, hold)) // int(hold) if clock else np.cumsum(self.rng.random(self.h) < 1 / hold)
        return np.asarray(pool, np.int64)[self.rng.integers(len(pool), size=int(block[-1]) + 1)][block]

    def site(self, place: str) -> Ints:
        if place == "mobile":
            near = self.rng.permutation(np.asarray(self.pick(self.carriers)))[: self.n(2, 9)]
            return self.hop(near.tolist(), self.u(3, 40))
        if place != "home":
            crowded = self.open and self.odds(0.04)
            return self.pick(self.open) if crowded else self.fixed(self.address(self.pick(RENTED), v6=0.05))
        ip = self.address("home", v6=0.12)
        site, prefix = self.fixed(ip), ":".join(self.ips[ip].split(":")[:4])
        if ":" in prefix and self.odds(0.6):  # privacy extensions: another suffix of the /64 every day
            site = len(self.ips) + self.day
            self.ips += [f"{prefix}:{self.n(1, 65536):x}::{self.n(1, 65536):x}" for _ in range(self.days + 2)]
        elif self.odds(0.12):
            site = np.where(self.t < self.n(0, self.h), ip, self.address("home"))
        self.dwellings.append(site)
        return site

    def _ja4(self) -> str:
        a, b = self.rng.integers(0, 1 << 48, 2)
        return f"t13d{self.n(10, 32)}{self.n(5, 17):02d}h{self.n(1, 3)}_{a:012x}_{b:012x}"

    def stack(self, top: int = 260, own: float | None = None) -> Stack:
        a, b = np.searchsorted(self.fame, self.rng.random(2) * self.fame[top - 1]).tolist()
        if self.odds(self.homemade if own is None else own):
            word = self.pick(("bot", "trader", "alpha", "quant", "auto", "coin", "maker", "runner"))
            self.devices.append(f"{self._ja4()}|{word}{self.n(1, 99)}/{self.n(1, 9)}.0")
            a = len(self.devices) - 1
        return (a, b, self.n(0, self.h)) if self.odds(0.07) else (a, a, 0)

    def plan(self, place: str = "server", strategy: str | None = None, own: bool = True) -> Plan:
        r, h, p = self.rng, self.h, np.zeros(self.h)
        w = AFFINITY[:, PLACES.index(place)]
        strategy = strategy or str(r.choice(STRATEGIES, p=w / w.sum()))
        second, rate = self.n(0, 1800), float(np.exp(r.normal(1.8, 0.9))) * PACE[STRATEGIES.index(strategy)]
        if strategy == "grid":
            p = np.exp(r.normal(-2.1, 0.6)) * self.calm ** self.u(0.2, 1.2)
        elif strategy == "maker":
            start, length, often = self.n(0, 24), self.n(2, 9), self.u(0.5, 0.95)
            for a in (d * 24 + start + self.n(-1, 2) for d in range(-1, self.days + 1) if self.odds(often)):
                p[max(0, a) : max(0, a + length)] = 0.92
        elif strategy == "arbitrage":
            p = np.where(self.premium > self.u(0.82, 0.96), 0.8, 0.01)
        elif strategy == "copy":
            p, second = np.where(self.pick(self.leaders), self.u(0.4, 0.95), 0.004), second + int(r.exponential(300))
        elif strategy in ("dca", "rebalance"):
            gap = self.pick((12, 24, 24, 24, 72) if strategy == "dca" else (3, 4, 4, 6, 8, 12))
            p[self.n(0, gap) % h :: gap] = self.u(0.85, 0.99)
            second = self.n(0, 20) if self.odds(0.6) else second
        elif strategy == "session":  # by hand: an hour he likes, days he feels like it, and whenever there is news
            hour, want, spread = self.pick((8, 12, 20, 21, 22, 23)), self.u(0.35, 0.95), self.u(0.5, 3)
            for d in range(self.days + 1):
                a = int(d * 24 + hour - 9 + r.normal(0, spread)) if self.odds(0.75) else self.n(0, h)
                if a >= 0 and self.odds(want):
                    p[a : a + self.n(1, 6)] = 0.9
            p = np.maximum(p, np.where(self.calm > 2.2, self.u(0, 0.5), 0.0))
        elif strategy == "breakout":
            p, second = np.where((self.kst == 9) | self.pick(self.breaks), 0.93, 0.0), self.n(0, 90)
        else:
            p = np.full(h, self.u(0.6, 0.97))
        if own and self.odds(0.25):  # a journey, an empty purse, a broken machine
            a = self.n(0, h)
            p[a : a + self.n(20, 110)] = 0
        return Plan(np.minimum(p, 0.99), second, rate)

    def hours(self, plan: Plan, keep: float = 1.0) -> Ints:
        return np.flatnonzero(self.rng.random(self.h) < plan.p * keep)

    def thin(self, hours: Ints, keep: float) -> Ints:
        return hours[self.rng.random(hours.size) < keep]

    def person(self, stack: Stack | None = None) -> Person:
        return Person(f"h{self.n(0, 1 << 60):015x}", stack or self.stack())

    def exchanges(self, n: int, beside: Sequence[int] = ()) -> list[int]:
        w = self.weight.copy()
        w[list(beside)] = 0
        return list(self.rng.choice(5, min(n, int((w > 0).sum())), replace=False, p=w / w.sum()).tolist())

    def _identifier(self, e: int) -> str:
        raw = self.rng.bytes(43)
        if e in (2, 4):
            return str(uuid.UUID(bytes=raw[:16], version=4))
        if e == 1 and raw[0] % 3:
            return raw.hex()[: 48 if raw[0] % 3 == 1 else 32]
        return "".join((string.ascii_letters + string.digits)[b % 62] for b in raw)[: 40 if e != 3 else 43]

    def issue(
        self,
        who: Person,
        pattern: str,
        e: int | None = None,
        *,
        role: str = "owner",
        guilty: bool = False,
        ring: str | None = None,
        birth: int | None = None,
    ) -> int:
        e = self.exchanges(1)[0] if e is None else e
        if e not in who.accounts:
            holder = None if self.odds(float(self.anonymous[e])) else who.holder
            who.accounts[e] = (f"{EXCHANGES[e][0]}{self.n(0, 1 << 48):012x}", holder)
        birth = birth if birth is not None else self.n(0, self.h * 0.85) if self.odds(0.15) else -1
        death = self.n(max(0, birth), self.h) + 12 if self.odds(0.06) else self.h
        self.keys.append(Key(e, self._identifier(e), *who.accounts[e], guilty, birth, death))
        self.truth.append(
            {
                "exchange": EXCHANGES[e],
                "key": self.keys[-1].key,
                "guilty": guilty,
                "pattern": pattern,
                "role": role,
                "ring": ring,
            }
        )
        return len(self.keys) - 1

    def emit(
        self, k: int, hours: Ints, site: Ints, stack: Stack | None, plan: Plan, kind: int = USE, at: int | None = None
    ) -> None:
        key, r, e = self.keys[k], self.rng, self.keys[k].exchange if at is None else at
        hours = hours[(hours >= 0) & (hours < self.h)]
        if kind == USE:
            hours = hours[(hours >= key.birth) & (hours < key.death)]
            hours = np.unique((later := self.resume[e, hours])[(later == hours) | (r.random(hours.size) < 0.4)])
        if hours.size:
            device = np.full(hours.size, -1) if stack is None else np.where(hours < stack[2], stack[0], stack[1])
            count = 1 + r.poisson(r.gamma(1.5, plan.rate * (0.7, 0.2, 0.0)[kind], hours.size))
            second = np.minimum(plan.second + r.exponential(240, hours.size).astype(np.int64), 3599)
            self.rows.append((k, e, hours * 3600 + second, site[hours], device, count, kind))

    def run(self, k: int, hours: Ints, site: Ints, stack: Stack, plan: Plan, listed: float | None = None) -> None:
        """A key at work, with everything that goes wrong with keys."""
        r, key = self.rng, self.keys[k]
        hours = hours[(hours >= key.birth) & (hours < key.death)]
        if not hours.size:
            hours = np.asarray([min(max(0, key.birth) + self.n(0, 12), self.h - 1)])
        u, bad = r.random(4) / self.clumsy, np.zeros(hours.size, bool)
        if u[0] < 0.012:  # expired, and nobody looks at the log
            bad = hours >= self.n(-self.h // 2, self.h)
        elif u[1] < 0.05:  # the clock is wrong, or a nonce repeats
            bad = r.random(hours.size) < self.pick((0.03, 0.1, 0.4))
        self.emit(k, hours[bad], site, stack, plan, FAIL)
        self.emit(k, hours[~bad], site, stack, plan)
        if u[2] < 0.008:  # pasted into the wrong exchange's settings
            self.emit(k, hours[: self.n(1, 4)], site, stack, plan, FAIL, self.exchanges(1, [key.exchange])[0])
        if self.odds(self.listing if listed is None else listed):
            again = [self.n(0, self.h)] if self.odds(0.2) else []
            self.emit(k, np.asarray([max(0, int(hours[0]) - self.n(0, 3)), *again]), site, None, plan, LIST)
        moves = np.flatnonzero(np.diff(site[hours])) + 1
        if 0 < moves.size < 12 and u[3] < 0.3:  # the new address is not on the list yet
            self.emit(k, hours[moves], site, stack, plan, FAIL)
            self.emit(k, hours[moves], site, None, plan, LIST)

    def solo(
        self,
        pattern: str,
        *,
        place: str | None = None,
        n: int = 1,
        ring: str | None = None,
        site: Ints | None = None,
        stack: Stack | None = None,
        plan: Plan | None = None,
    ) -> list[int]:
        """One person, one strategy, the place the strategy wants."""
        place = place or self.pick(("server", "server", "home", "home", "mobile", "function"))
        who, plan, site = self.person(stack), plan or self.plan(place), self.site(place) if site is None else site
        common = self.hours(plan)
        out = [self.issue(who, pattern, e, guilty=ring is not None, ring=ring) for e in self.exchanges(n)]
        for k in out:
            mine = common if n == 1 else np.union1d(self.thin(common, 0.85), self.hours(plan, 0.15))
            if self.odds(0.1):  # tries things at home, or looks after it from the telephone
                tool = self.stack() if self.odds(0.5) else who.stack
                elsewhere = self.site(self.pick(("home", "mobile")))
                self.emit(k, self.hours(self.plan("mobile", "session"), 0.4), elsewhere, tool, plan)
            self.run(k, mine, site, who.stack, plan)
        self.residents.append((site, who.stack))
        return out

    def crowd(
        self,
        pattern: str,
        n: int,
        site: Callable[[], Ints],
        place: str,
        *,
        top: int = 260,
        away: float = 0.15,
        mask: NDArray[np.bool_] | None = None,
    ) -> None:
        """Strangers behind the same addresses, each with his own strategy and client."""
        for _ in range(n):
            who, plan, here = self.person(self.stack(top)), self.plan(place), site()
            if mask is not None:
                plan.p = np.where(mask, np.minimum(plan.p * 1.6, 0.98), plan.p * 0.04)
            for k in (some := [self.issue(who, pattern, e) for e in self.exchanges(1 + self.odds(0.08))]):
                self.run(k, self.hours(plan), here, who.stack, plan)
            if self.odds(away):
                self.emit(some[0], self.hours(self.plan("home", "session")), self.site("home"), who.stack, plan)

    def platform(self, pattern: str, n: int) -> None:
        """A bot service: it sells a few strategies; customers come, pause, go, and may have traded elsewhere before."""
        r, small, kind = self.rng, n < 60, self.pick(RENTED)
        pool, new = self.pool(kind, 1 + int(r.poisson(n / (150 if self.odds(0.8) else 80)))), self.address(kind)
        app = self.stack(own=0.3 if small else 0.55)
        offer = [self.plan("service", own=False) for _ in range(self.n(1, 7) if small else self.n(8, 30))]
        signals, share = [self.hours(p) for p in offer], r.dirichlet(np.full(len(offer), 0.8 if small else 2.0))
        tuned, move = float(r.beta(*((3, 2) if small else (12, 2)))), self.n(0, self.h) if self.odds(0.15) else -1
        if pattern.endswith("declared"):
            named, ips = self.devices[app[1]] if self.odds(0.6) else None, [self.ips[i] for i in (*pool, new)]
            self.declared.append({"name": f"service-{len(self.declared) + 1}", "ips": ips, "device": named})
        for _ in range(n):
            who, j = self.person(), int(r.choice(len(offer), p=share))
            site = self.fixed(self.pick(pool)) if self.odds(0.7) else self.hop(pool, 24)
            for e in self.exchanges(1 + self.odds(0.15)):
                k = self.issue(who, pattern, e)
                plan = self.plan("service") if self.odds(tuned) else offer[j]
                hours = self.thin(signals[j], float(r.beta(3, 1.6))) if plan is offer[j] else self.hours(plan)
                for a in r.integers(self.h, size=r.poisson(0.5) * (plan is offer[j])).tolist():  # pauses
                    hours = hours[(hours < a) | (hours > a + self.n(24, 120))]
                if move >= 0:  # the service moves, and no list names the new server
                    self.emit(k, hours[hours >= move][:1], self.fixed(new), app, plan, FAIL)
                    site = np.where(self.t < move, site, new)
                came, before = self.keys[k].birth, self.hours(self.plan("home"))
                if came > 0 and self.odds(0.5):
                    self.keys[k].birth = -1
                    self.emit(k, before[before < came], self.site("home"), who.stack, plan)
                    hours = hours[hours >= came]
                elif self.odds(0.12):
                    self.emit(k, self.hours(self.plan("home", "session")), self.site("home"), who.stack, plan)
                if hours.size:
                    self.run(k, hours, site, app, plan)

    def image(self, pattern: str, n: int) -> None:
        """A course or a team: one image, one address, hours in common, hands of their own."""
        course, app, changed = pattern == "class_image", self.stack(60, 0.15), self.u(0, 0.6)
        site = self.fixed(self.address("office" if self.odds(0.6) else "cloud"))
        start, length = self.n(9, 20), self.n(2, 4) if course else self.n(6, 10)
        days = self.rng.permutation(7)[: self.n(2, 5)] if course and self.odds(0.4) else np.arange(5)
        lesson = np.isin(self.day % 7, days) & (self.kst >= start) & (self.kst < start + length)
        shared, habit = self.thin(np.flatnonzero(lesson), self.u(0.6, 1.0)), self.u(0.2, 0.6)
        for _ in range(n):
            who, tool = self.person(), self.stack(60, 0.3) if self.odds(changed) else app
            k, plan, keep = self.issue(who, pattern), self.plan("office"), self.rng.beta(8 * habit, 8 - 8 * habit)
            mine, own = self.thin(shared, keep), self.hours(plan, self.u(0.2, 1.0))
            self.run(k, np.union1d(mine, own) if self.odds(0.7) else mine, site, tool, plan)
            if self.odds(0.3):
                self.emit(k, own, self.site("home"), tool if self.odds(0.6) else who.stack, plan)

    def household(self, pattern: str, n: int) -> None:
        site, app, shared, together = self.site("home"), self.stack(), self.hours(self.plan("home")), self.u(0.1, 0.9)
        for _ in range(n):
            who, own = self.person(self.stack() if pattern == "household_each" else app), self.plan("home")
            k, mine = self.issue(who, pattern), self.hours(own)
            if pattern == "household_one":
                mine = np.union1d(self.thin(shared, together), self.thin(mine, 1 - together))
            self.run(k, mine, site, who.stack, own)
            if self.odds(0.3):
                self.emit(k, self.hours(self.plan("mobile", "session"), 0.5), self.site("mobile"), self.stack(), own)

    def roamer(self, pattern: str) -> None:
        r, who, plan = self.rng, self.person(), self.plan("mobile", "session" if self.odds(0.5) else None)
        sites = self.site("home"), self.site("mobile"), self.fixed(self.address("office")), self.hop(self.vpns, 12)
        phone, k, hours = self.stack() if self.odds(0.5) else who.stack, self.issue(who, pattern), self.hours(plan, 1.2)
        where = np.where(self.work[hours], 2, (r.random(hours.size) < self.u(0.1, 0.6)).astype(int))
        where = np.where(r.random(hours.size) < self.pick((0, 0, 0.1, 0.4)), 3, where)
        for i in np.unique(where).tolist():
            self.run(k, hours[where == i], sites[i], phone if i == 1 else who.stack, plan)

    def power(self, pattern: str) -> None:
        """One person, many strategies at once: servers, a desk, functions, each in another language."""
        who, mix = self.person(), ("server", "server", "server", "home", "mobile", "function")
        places = [self.pick(mix) for _ in range(self.n(3, 8))]
        tools = [(self.site(place), self.stack(own=0.2), self.plan(place)) for place in places]
        for e in self.exchanges(self.n(1, 5)):
            k, used = self.issue(who, pattern, e), self.u(0.4, 1.0)
            for i, (site, stack, plan) in enumerate(tools):
                if self.odds(used) or i == e % 3:
                    self.run(k, self.hours(plan), site, stack, plan)

    def tracker(self, pattern: str, n: int) -> None:
        """A portfolio and tax service that reads balances once or twice a day, beside the customers' own bots."""
        site, app = self.fixed(self.address("cloud")), self.stack(own=0.9)
        if self.odds(0.6):
            self.declared.append({"name": f"ledger-{self.n(1, 999)}", "ips": [self.ips[int(site[0])]], "device": None})
        for _ in range(n):
            plan = Plan(np.where(self.kst == self.n(0, 24), self.u(0.7, 0.99), 0.0), self.n(0, 3000), 2.0)
            self.run(self.solo(pattern)[0], self.hours(plan), site, app, plan)

    def innocent(self, name: str, room: float) -> None:
        size, n = int(self.wide(4, 45)), 1 + int(self.rng.poisson(0.6))
        if name in ("shared_hosting", "nat_gateway", "pc_bang"):
            kind = {"shared_hosting": "hoster", "nat_gateway": "cloud", "pc_bang": "home"}[name]
            here, top = self.hop(self.pool(kind, n), 200), self.pick((30, 80, 260))
            self.open.append(here)
            self.crowd(name, size, lambda: here, "home" if kind == "home" else "server", top=top)
        elif name in ("class_image", "team_image"):
            low, high = (8, 30) if name == "class_image" else (3, 10)
            self.image(name, self.n(low, min(high, max(low + 1, room * 1.3))))
        elif name.startswith("platform"):
            small, most = self.n(15, min(60, max(16, room * 1.3))), max(80, min(900, self.size / 25))
            self.platform(name, small if "small" in name else int(self.wide(70, most)))
        elif name.startswith("renumbering"):
            leases = self.pool("home", max(4, int(size * self.u(2, 8))), (self.pick(HOME_NETS), self.n(32, 63)))
            self.crowd(name, size, lambda: self.hop(leases, 24 if "daily" in name else 168, True), "home", away=0.05)
        elif name in ("company_egress", "campus_egress"):
            office, mask = self.pool("office", n), self.work if name[1] == "o" else (self.kst >= 9) | (self.kst < 2)
            self.crowd(name, size, lambda: self.hop(office, 60), "office", mask=mask, away=0.4)
        elif name == "faas_egress":
            exits = self.pool("cloud", self.n(3, 14))
            self.crowd(name, size, lambda: self.hop(exits, 2), "function", top=40)
        elif name in ("carrier_nat", "vpn_exit"):
            place = "mobile" if name == "carrier_nat" else "home"
            self.crowd(name, size, lambda: self.site(place) if place == "mobile" else self.hop(self.vpns, 9), place)
        elif name.startswith("household"):
            self.household(name, self.pick((2, 3, 3, 4, 5) if name == "household_one" else (2, 2, 2, 3, 3, 4)))
        elif name == "portfolio_tracker":
            self.tracker(name, self.n(40, max(60, min(400, self.size // 40))))
        elif name in ("roamer", "power_user"):
            (self.roamer if name == "roamer" else self.power)(name)
        elif name == "multi_exchange":
            arbitrage = self.plan("server", "arbitrage") if self.odds(0.5) else None
            self.solo(name, place=self.pick(("server", "server", "home")), n=self.n(2, 6), plan=arbitrage)
        else:
            moved = np.where(self.t < self.n(0, self.h), self.site("home"), self.site("server"))
            self.solo(
                name,
                stack=self.stack(3, 0.0) if name == "popular_stack" else None,
                plan=self.plan("server", "copy") if name == "copy_follower" else None,
                site=moved if name == "migrant" else None,
            )

    def ring(self, pattern: str, n: int, ring: str) -> None:
        """An operator's trade, and other people's accounts under it."""
        r, active, app = self.rng, pattern == "ring_holder_active", self.stack(own=0.2)
        trade = str(r.choice(STRATEGIES, p=[0.17, 0.13, 0.17, 0.25, 0.02, 0.04, 0.18, 0.04, 0]))
        base = self.hours(plan := self.plan("server", trade, own=False))
        while base.size < self.days:  # who hardly trades needs no accounts of others
            base = np.union1d(base, self.hours(self.plan("server", "session")))
        if pattern == "ring_residential":
            lent = [int(self.pick(self.dwellings)[0]) for _ in range(self.n(0, 6))]
            pool = self.pool("home", self.n(4, 6 + n)) + lent
        elif pattern == "ring_pool":
            pool = self.pool(self.pick(RENTED), self.n(3, 9)) + self.pool(self.pick(RENTED), self.n(0, 6))
        elif self.odds(0.15) and self.open:
            pool = [int(self.pick(self.open)[0])]
        else:
            pool = [int(self.site("server" if self.odds(0.8) else "home")[0]) for _ in range(1 + self.odds(0.25))]
        hold, moving = self.wide(1.5, 100), pattern in ("ring_pool", "ring_residential")
        together = self.hop(pool, hold) if self.odds(0.55) else None  # one exit for all at a time, or each its own
        keep, spread, late, turns = self.u(0.65, 0.99), self.u(3, 20), self.pick((0, 0, 0, 0.1, 0.4)), self.n(2, 6)
        early, elsewhere, listed = self.u(0.2, 0.9), self.u(0.1, 0.6), self.u(0.1, 1.0)
        stacks = [self.stack(own=0.3) for _ in range(n if self.odds(0.85) else max(3, n // 2))]
        session = np.cumsum(np.diff(base, prepend=-9) > 3)
        boss = self.person(app)
        for e in self.exchanges(self.n(1, 3) if self.odds(0.65) else 0):
            k = self.issue(boss, pattern, e, role="operator-own", ring=ring)
            self.run(k, self.thin(base, keep), self.hop(pool, hold) if together is None else together, app, plan)
        made = 0
        while made < n:
            who, own, dwelling = self.person(), self.plan("home"), self.site("home")
            joined = -1 if self.odds(early) else self.n(0, self.h * 0.7)
            places = self.exchanges(self.pick((1, 1, 1, 1, 2, 2, 3)))
            for e in places[: n - made] if made >= 3 else places[:1]:
                before = joined > 0 and self.odds(elsewhere)
                k = self.issue(who, pattern, e, guilty=True, ring=ring, birth=-1 if before else joined)
                site = self.hop(pool, hold) if moving or self.odds(0.3) else self.fixed(pool[0])
                if pattern == "ring_staggered":
                    hours = self.thin(base[(session + self.n(0, turns)) % turns == 0], 0.8)
                else:
                    hours = self.thin(base, float(r.beta(keep * spread, (1 - keep) * spread + 0.3)))
                hours = np.unique(np.minimum(hours + (r.random(hours.size) < late), self.h - 1))
                if before or active:
                    used = self.hours(own)
                    self.run(k, used if active else used[used < joined], dwelling, who.stack, own)
                if not (hours := hours[hours >= joined]).size:
                    hours = self.thin(np.arange(max(0, joined), self.h), 0.1)
                tool = stacks[made % len(stacks)] if pattern == "ring_stack_per_key" else app
                delayed = Plan(plan.p, min(3000, plan.second + int(r.exponential(120))), plan.rate)
                self.run(k, hours, site if together is None else together, tool, delayed, listed)
                made += 1
            if self.odds(0.25):
                k = self.issue(who, pattern, self.exchanges(1, places)[0], role="lender-other", ring=ring)
                self.run(k, self.hours(own), dwelling, who.stack, own)

    def shared(self, pattern: str, n: int, ring: str) -> None:
        """One key passed round: each party brings a place, a client and a strategy."""
        k = self.issue(self.person(), pattern, guilty=True, ring=ring)
        common = self.stack() if self.odds(0.2) else None  # the script was passed round with the key
        share = self.u(0.3, 1.0) * min(1, 14 / n)
        for i in range(n):
            plan, site = self.plan(place := self.pick(("server", "home", "home", "mobile"))), self.site(place)
            site, stack = self.pick(self.residents) if self.residents and self.odds(0.2) else (site, self.stack())
            hours = self.hours(plan, share if i and pattern != "key_shared_rarely" else 1.0)
            if i and pattern == "key_shared_rarely":
                hours = np.sort(self.rng.permutation(hours)[: self.n(2, 7)])
            stack = common if common is not None and self.odds(0.8) else stack
            self.run(k, hours, site, stack, plan, 0.3 if i else None)

    def leak(self, pattern: str, n: int, ring: str) -> None:
        """A dump is tried: from one server in a night, over many addresses in weeks, or only a handful of keys."""
        r, slow = self.rng, pattern == "leak_slow_scattered"
        size = max(4, int(n * self.u(0.4, 1.5))) if slow else self.n(1, 3)
        ips = [
            self.pick(self.vpns)
            if slow and self.odds(0.1)
            else self.address(self.pick(("hoster", "home" if slow else "cloud")))
            for _ in range(size)
        ]
        app, varied, start = self.stack(own=0.25), slow and self.odds(0.3), self.n(self.h * 0.1, self.h * 0.8)
        length = int(self.u(0.3, 1.0) * (self.h - start)) if slow else self.n(1, 12)
        plan, door, tried = Plan(np.zeros(self.h), self.n(0, 1500), self.u(0.3, 3)), self.u(0.02, 0.3), r.beta(4, 1.3)
        for _ in range(n):
            k = self.solo(pattern, ring=ring)[0]
            key, site, stack = self.keys[k], self.fixed(self.pick(ips)), self.stack() if varied else app
            key.birth, key.death, at = -1, self.h, start + self.n(0, length + 1)
            hours = np.unique(np.minimum(at + r.integers(0, 30 if slow else 3, 1 + int(r.poisson(0.6))), self.h - 1))
            for e in (wrong := self.exchanges(self.n(1, 5) if self.odds(tried) else 0, [key.exchange])):
                self.emit(k, np.minimum(hours[:1] + self.n(0, 2), self.h - 1), site, stack, plan, FAIL, e)
            if self.odds(door):
                self.emit(k, min(at + 1, self.h - 1) + np.flatnonzero(r.random(30) < 0.3), site, stack, plan)
            elif self.odds(0.9) or not wrong:
                self.emit(k, hours, site, stack, plan, FAIL)

    def guilty(self, pattern: str, room: float) -> None:
        ring, (low, high) = f"{pattern}-{self.n(0, 1 << 32):08x}", GUILTY[pattern][:2]
        if pattern.startswith("key_shared"):
            self.shared(pattern, int(self.wide(low, high)) if high > 20 else self.n(low, high), ring)
        else:
            do, most = self.leak if pattern.startswith("leak") else self.ring, max(low + 1, 3 * room)
            do(pattern, self.n(low, high if low >= 50 else min(high, most)), ring)

    def fill(
        self, shares: dict[str, tuple[float, int]], total: float, make: Callable[[str, float], None], wanted: bool
    ) -> None:
        """Groups until every pattern has its share; what one takes too much, the following lack."""
        carry = 0.0
        for name, (share, lump) in shares.items():
            part = 0.0 if name in LOOKALIKE else 1.0 if name == [*shares][-1] else 0.25
            due = share * total + part * carry
            while due * 6 > lump and self.odds(due / lump):
                before = len(self.keys)
                make(name, due)
                due -= sum(k.guilty == wanted for k in self.keys[before:])
            carry += (due - part * carry) * (part > 0)

    def tell(self, holders: bool) -> Iterator[dict[str, Any]]:
        length = [len(row[2]) for row in self.rows]
        key, ex, kind = (np.repeat(np.asarray([row[i] for row in self.rows]), length) for i in (0, 1, 6))
        ts, ip, device, count = (np.concatenate([row[i] for row in self.rows]) for i in (2, 3, 4, 5))
        order, lost = np.argsort(ts, kind="stable"), self.rng.random((2, ts.size))
        device, known = np.where(lost[0] < self.lost_device, -1, device), (lost[1] >= self.lost_holder) & holders
        columns = (np.asarray(c)[order].tolist() for c in (ts + START, ex, key, ip, device, count, kind, known))
        ips, devices, keys = self.ips, [*self.devices, None], self.keys
        for t, e, k, a, d, n, what, knows in zip(*columns, strict=True):
            mine = (own := keys[k]).exchange == e
            yield {
                "ts": t,
                "exchange": EXCHANGES[e],
                "key": own.key,
                "account": own.account if mine else None,
                "holder": own.holder if mine and knows else None,
                "ip": ips[a],
                "device": devices[d],
                "count": n,
                "kind": KINDS[what],
            }


# pattern: (share of the keys, keys that a group is likely to bring)
INNOCENT = {
    "platform_small": (0.0014, 20),
    "class_image": (0.001, 10),
    "team_image": (0.0008, 4),
    "power_user": (0.001, 3),
    "household_one": (0.001, 3),
    "platform_small_declared": (0.004, 40),
    "platform_large": (0.06, 200),
    "platform_large_declared": (0.06, 200),
    "portfolio_tracker": (0.005, 100),
    "company_egress": (0.05, 15),
    "campus_egress": (0.03, 15),
    "carrier_nat": (0.06, 15),
    "shared_hosting": (0.04, 15),
    "vpn_exit": (0.02, 15),
    "nat_gateway": (0.04, 15),
    "faas_egress": (0.04, 15),
    "pc_bang": (0.01, 15),
    "renumbering_daily": (0.03, 15),
    "renumbering_weekly": (0.03, 15),
    "household_each": (0.035, 2),
    "multi_exchange": (0.09, 3),
    "migrant": (0.03, 1),
    "roamer": (0.05, 1),
    "popular_stack": (0.06, 1),
    "copy_follower": (0.03, 1),
}
# pattern: (the least group, the largest, keys that a group is likely to bring)
GUILTY = {
    "ring_large": (50, 75, 40),
    "ring_pool": (5, 26, 12),
    "ring_plain": (4, 22, 10),
    "ring_staggered": (4, 22, 10),
    "ring_stack_per_key": (4, 22, 10),
    "ring_residential": (4, 22, 10),
    "ring_holder_active": (4, 22, 10),
    "leak_one_server": (8, 36, 15),
    "leak_slow_scattered": (8, 36, 15),
    "leak_small_set": (2, 6, 3),
    "ring_small": (3, 6, 3),
    "key_shared_8_60": (8, 61, 1),
    "key_shared_rarely": (3, 7, 1),
    "key_shared_3_12": (3, 13, 1),
}
LOOKALIKE = ("platform_small", "class_image", "team_image", "power_user", "household_one")


def market(
    seed: int, keys: int, days: int, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Sightings in time order, the truth on every issued key, and the licensed services that declared themselves."""
    w = World(seed, keys, days)
    common = {name: (share * float(np.exp(w.rng.normal(0, 0.35))), lump) for name, (share, lump) in INNOCENT.items()}
    common |= {name: (float(np.clip(common[name][0], 0.0006, 0.003)), common[name][1]) for name in LOOKALIKE}
    w.fill(common, keys * innocent, w.innocent, False)
    bad = np.exp(w.rng.normal(0, 0.25, len(GUILTY))) * np.where(np.arange(len(GUILTY)) == 0, 1.35, 1.0)
    parts = {name: (float(b), lump) for b, (name, (_, _, lump)) in zip(bad / bad.sum(), GUILTY.items(), strict=True)}
    w.fill(parts, keys * (1 - innocent), w.guilty, True)
    while len(w.keys) < keys:
        w.innocent("single_bot", 1)
    return w.tell(holders), w.truth, w.declared
