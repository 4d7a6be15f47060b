"""Synthetic API traffic of the five Korean exchanges, as an analyst of rental and copy-trading chat rooms sees it.

The view: nothing in this market is a static shape. Guilt is a *room*: a handful of friends or a paid channel with a
trade (a timer bot, manual spoofing sessions, copied orders, hours that follow the market). Rooms recruit by word of
mouth, so keys arrive one by one; they split when people quarrel, move servers when a bill is unpaid, take holidays,
and lose members who go home. Some are careful (a stack for each key, residential exits, a few hours a week), most are
careless in at least one respect. Shared accounts are rentals: tenants come and go, and some tenants run keys of their
own from the same desk. Dumps are goods: the first buyer tries them noisily, they are resold, later buyers try them
with other tools, and the victims live anywhere, also on the bot services. Around the rooms stand honest crowds with
the very same tools: lecture rooms with one image, offices with one egress, resellers whose thirty customers share a
server, a client and a strategy, families with one computer, subscribers of public signal channels who wake in the same
minute at home. A crowd differs from a room by who decides the hours, and even that only by degree. Every rate, size
and habit is drawn per seed; the generator is a function of its arguments alone.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
START = 1780272000  # Monday 2026-06-01 00:00 UTC
EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
KINDS = ("use", "auth_fail", "allowlist")
USE, FAIL, ALLOW = 0, 1, 2
TRADES = ("timer", "manual", "market", "burst", "always")
ISP = (1, 14, 27, 39, 49, 58, 59, 61, 106, 112, 115, 118, 121, 124, 125, 175, 180, 182, 183, 210, 211, 218, 220, 222)
CLOUD = (3, 13, 15, 18, 20, 34, 35, 43, 45, 47, 51, 52, 54, 64, 101, 104, 132, 139, 141, 144, 146, 149, 152, 158, 185)
CLIENTS = (
    "python-requests/2.{}.0",
    "Python/3.11 aiohttp/3.{}.1",
    "axios/1.{}.2",
    "node-fetch/2.{}",
    "okhttp/4.{}.0",
    "Go-http-client/1.{}",
    "Java-http-client/17.0.{}",
    "ccxt/4.{}.10",
    "python-httpx/0.{}.0",
    "curl/8.{}.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/1{}.0.0.0",
    "pyupbit/0.2.{}",
    "RestSharp/11{}.0.0",
    "reqwest/0.{}",
    "GuzzleHttp/7.{}",
    "Dart/3.{} (dart:io)",
    "Apache-HttpClient/5.{} (Java/11)",
    "undici/6.{}",
    "HaasOnline/{}.2",
    "Mozilla/5.0 (Macintosh) Version/17.{} Safari/605.1.15",
)


@dataclass(slots=True)
class Person:
    """Somebody with at most one account at each exchange."""

    holder: str
    accounts: dict[int, tuple[str, bool]] = field(default_factory=dict)  # name, and whether the holder is known


@dataclass(slots=True)
class Key:
    """An issued key; ``since`` is the hour of issue (0: before the window)."""

    index: int
    exchange: int
    text: str
    owner: Person
    since: int
    listed: bool


class World:
    """Clock, networks, client stacks, people, and the log they leave."""

    def __init__(self, seed: int, keys: int, days: int, holders: bool) -> None:
        self.rng = r = np.random.default_rng([seed, keys, days, 1010])
        self.days, self.size = days, days * 24
        self.hour = np.arange(self.size, dtype=np.int64)
        self.truth, self.declared = list[dict[str, Any]](), list[dict[str, Any]]()
        self.keys, self.haunts, self.ips, self.taken = list[Key](), list[int](), list[str](), set[str]()
        self.chunks: list[tuple[Ints, ...]] = []
        self.share = r.dirichlet(np.array([45, 28, 12, 9, 6]) * r.uniform(0.5, 1.5)) * 0.91 + 0.018
        self.anonymous = r.uniform(0.10, 0.60, 5) if holders else np.ones(5)
        self.lacking, self.lists = r.uniform(0.0, 0.05, 5), r.uniform(0.25, 0.95, 5)
        self.rate = {
            name: float(r.uniform(lo, hi))
            for name, lo, hi in (
                ("expired", 0.01, 0.05),
                ("clock", 0.01, 0.05),
                ("paste", 0.005, 0.03),
                ("upgrade", 0.03, 0.15),
                ("refused", 0.3, 0.8),
                ("stray", 0.004, 0.03),
                ("move", 0.02, 0.07),
                ("custom", 0.15, 0.35),
                ("bare", 0.0, 0.02),
                ("noisy", 0.01, 0.03),
                ("zeal", 0.85, 1.35),
                ("v6", 0.03, 0.14),
            )
        }
        self.isp = [self.prefix(ISP) for _ in range(keys // 8 + 25)]
        self.cloud = [self.prefix(CLOUD) for _ in range(keys // 14 + 25)]
        weight = np.arange(1, len(self.cloud) + 1) ** -float(r.uniform(0.3, 0.8))
        self.cloud_weight = weight / weight.sum()
        self.stacks, self.family, popular = list[str](), list[int](), list[float]()
        for f, client in enumerate(r.permutation(np.array(CLIENTS))):
            first, ja4 = int(r.integers(10, 30)), [self.ja4() for _ in range(3)]
            for v in range(int(r.integers(2, 9))):
                self.stacks.append(f"{ja4[v % 3]}|{str(client).format(first + v)}")
                self.family.append(f)
                popular.append((f + 1.5) ** -float(r.uniform(0.7, 1.1)) / (v + 1.0))
        self.catalogue, self.popular = len(popular), np.array(popular) / sum(popular)
        self.climate()

    def climate(self) -> None:
        """Daily rhythm (KST), slow volatility, hours that wake everybody, and outages."""
        r, n = self.rng, self.size
        self.kst, self.workday = (self.hour + 9) % 24, (self.hour + 9) // 24 % 7 < 5
        morning, evening = np.exp(-(((self.kst - 10.0) / 3.5) ** 2)), np.exp(-(((self.kst - 21.5) / 2.6) ** 2))
        self.rhythm = 0.25 + 0.9 * morning + 1.1 * evening
        self.week = np.where(self.workday, 1.0, r.uniform(0.5, 1.0))
        level, noise = np.zeros(n), r.normal(0, r.uniform(0.15, 0.3), n)
        for h in range(1, n):
            level[h] = 0.9 * level[h - 1] + noise[h]
        self.shock, self.up = np.zeros(n, dtype=bool), np.ones((5, n), dtype=bool)
        for h in r.integers(0, n, int(r.integers(1, 4)) + self.days // 5):
            self.shock[h : h + int(r.integers(1, 4))] = True
        self.wild = np.exp(level) * np.where(self.shock, r.uniform(2.5, 5.0), 1.0)
        for e in range(5):
            for h in r.integers(0, n, r.poisson(self.days / 8)):
                self.up[e, h : h + int(r.integers(1, 4))] = False

    def when(self, trade: str | None = None, zeal: float = 1.0) -> Ints:
        """The hours in which one decider acts."""
        r, n = self.rng, self.size
        trade = trade or str(r.choice(np.array(TRADES), p=[0.34, 0.37, 0.14, 0.115, 0.035]))
        zeal *= self.rate["zeal"] * math.exp(r.normal(0, 0.35))
        if trade == "manual":
            return self.sessions(zeal * r.uniform(0.4, 1.4), r.uniform(1.2, 3.2))
        if trade == "always":
            chance = np.full(n, r.uniform(0.45, 0.98))
        elif trade == "timer":
            width, first = min(24, int(r.geometric(min(0.9, 0.38 / zeal)))), int(r.choice([0, 0, 0, *range(24)]))
            turn, every, lazy = self.hour - first, int(r.integers(3, 13)), r.random() < 0.25
            open_ = turn % 24 < width if r.random() < 0.8 else turn % every == 0
            chance = open_ * r.uniform(0.7, 0.99) * (self.workday if lazy else 1.0)
        elif trade == "market":
            chance = 0.05 * zeal * self.wild ** r.uniform(1.2, 2.4) * self.rhythm
        else:
            chance = 0.35 * zeal * self.rhythm * (r.random(self.days) < r.uniform(0.1, 0.5))[self.hour // 24]
        return np.flatnonzero(r.random(n) < chance)

    def sessions(self, per_day: float, length: float) -> Ints:
        """Sittings by hand: a person's favourite hours, more when the market moves, no two days alike."""
        r = self.rng
        shift = int(r.integers(-3, 4)) if r.random() < 0.8 else int(r.integers(0, 24))
        pull = np.roll(self.rhythm**2 * self.week, shift) * np.sqrt(self.wild)
        begin = r.choice(self.size, max(1, r.poisson(per_day * self.days)), p=pull / pull.sum())
        out = self.shock & (r.random(self.size) < 0.6) & (r.random() < 0.5)
        for b, s in zip(begin.tolist(), r.geometric(min(1.0, 1 / length), begin.size).tolist(), strict=True):
            out[b : b + s] = True
        return np.flatnonzero(out)

    def follow(self, beat: Ints, faith: float, delay: float = 0.0) -> Ints:
        """Hours of one who acts when another decides: now and then absent, now and then late."""
        mine = beat[self.rng.random(beat.size) < faith]
        late = mine + (self.rng.random(mine.size) < delay)
        return np.unique(late[late < self.size])

    def prefix(self, firsts: Sequence[int]) -> str:
        """A new network: a /24, or a /48 for some."""
        r = self.rng
        while True:
            six, a, b, c = r.random() < self.rate["v6"], int(r.choice(firsts)), r.integers(1, 255), r.integers(0, 255)
            net = f"2{0x400 + 5 * a:03x}:{b:x}{c:02x}:{r.integers(1, 0xFFFF):x}" if six else f"{a}.{b}.{c}"
            if net not in self.taken and ipaddress.ip_address(net + ("::1" if six else ".1")).is_global:
                self.taken.add(net)
                return net

    def network(self, cloud: bool = False) -> str:
        return (pool := self.cloud if cloud else self.isp)[int(self.rng.integers(len(pool)))]

    def address(self, net: str | None = None, cloud: bool = False) -> int:
        """A fresh address, in a network of the homes, of the clouds, or in a given one."""
        r = self.rng
        for attempt in range(60):
            where = net if net and attempt < 40 else self.network()
            if cloud and (net is None or attempt >= 40):
                where = self.cloud[int(r.choice(len(self.cloud), p=self.cloud_weight))]
            tail = ":".join(f"{x:x}" for x in r.integers(1, 0xFFF, 5)) if ":" in where else str(r.integers(1, 255))
            text = f"{where}:{tail}" if ":" in where else f"{where}.{tail}"
            if text not in self.taken and ipaddress.ip_address(text).is_global:
                break
        self.taken.add(text)
        self.ips.append(text)
        return len(self.ips) - 1

    def fixed(self, cloud: bool = False, net: str | None = None) -> Ints:
        """A place that keeps its address, mostly: a few move house or change the server."""
        place = np.full(self.size, self.address(net, cloud), dtype=np.int64)
        if self.rng.random() < self.rate["move"]:
            place[int(self.rng.integers(self.size)) :] = self.address(net if self.rng.random() < 0.5 else None, cloud)
        return place

    def renumbered(self, period: float) -> Ints:
        """A home whose provider gives it another address every ``period`` hours or so."""
        net, at = self.network(), int(self.rng.integers(0, max(2, int(period))))
        place = np.full(self.size, self.address(net), dtype=np.int64)
        while at < self.size:
            place[at:] = self.address(net)
            at += max(1, int(period * self.rng.uniform(0.8, 1.2)))
        return place

    def home(self) -> Ints:
        return self.fixed() if self.rng.random() < 0.7 else self.renumbered(24.0 * self.rng.uniform(2, 12))

    def desk(self) -> Ints:
        """Where an ordinary bot runs: a rented server or the home."""
        return self.fixed(cloud=True) if self.rng.random() < 0.45 else self.home()

    def mixed(self, places: Sequence[Ints], weights: Sequence[float] | None = None, sticky: float = 1.0) -> Ints:
        """Among several places, staying ``sticky`` hours at a time on average."""
        share = None if weights is None else np.array(weights) / sum(weights)
        pick = self.rng.choice(len(places), self.size, p=share)
        change = self.rng.random(self.size) < 1 / max(1.0, sticky)
        chosen: Ints = np.stack(places)[pick[np.maximum.accumulate(np.where(change, self.hour, 0))], self.hour]
        return chosen

    def ja4(self) -> str:
        r, (low, high) = self.rng, self.rng.integers(1 << 47, size=2)
        return f"t13d{r.integers(12, 32)}{r.integers(7, 17):02d}h{r.integers(1, 3)}_{low:012x}_{high:012x}"

    def stack(self, taste: str = "any") -> int:
        """A client: by popularity or somebody's own, any of the catalogue, one of the top, or a rare one."""
        r = self.rng
        if taste == "rare" or (taste == "any" and r.random() < self.rate["custom"]):
            self.stacks.append(f"{self.ja4()}|{str(r.choice(np.array(CLIENTS))).format(r.integers(3, 60))}")
            self.family.append(-1)
            return len(self.stacks) - 1
        if taste == "mid":
            return int(r.integers(self.catalogue))
        top = np.argsort(-self.popular)[:5]
        return int(r.choice(top)) if taste == "top" else int(r.choice(self.catalogue, p=self.popular))

    def client(self, base: int | None = None, upgrade: float | None = None) -> Ints:
        """A client over time, with an upgrade for some."""
        d = self.stack() if base is None else base
        out = np.full(self.size, d, dtype=np.int64)
        if self.rng.random() < (self.rate["upgrade"] if upgrade is None else upgrade):
            kin = [i for i in range(self.catalogue) if self.family[i] == self.family[d]]
            out[int(self.rng.integers(self.size)) :] = int(self.rng.choice(kin)) if kin else self.stack("rare")
        return out

    def person(self) -> Person:
        return Person(f"{int(self.rng.integers(1 << 62)):016x}")

    def issue(
        self,
        pattern: str,
        who: Person | None = None,
        *,
        exchange: int | None = None,
        since: int = 0,
        role: str = "owner",
        guilty: bool = False,
        ring: str | None = None,
    ) -> Key:
        """A new key of somebody's account, which is opened if need be."""
        r, who = self.rng, who or self.person()
        e = int(r.choice(5, p=self.share / self.share.sum())) if exchange is None else exchange
        if e not in who.accounts:
            who.accounts[e] = (f"{int(r.integers(1 << 44)):011x}", bool(r.random() >= self.anonymous[e]))
        text = "".join(f"{x:08x}" for x in r.integers(1 << 32, size=5))
        text = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}" if e in (2, 4) else text
        self.keys.append(Key(len(self.keys), e, text, who, since, bool(r.random() < self.lists[e])))
        self.truth.append({"exchange": EXCHANGES[e], "key": text, "guilty": guilty, "pattern": pattern, "role": role})
        self.truth[-1]["ring"] = ring
        return self.keys[-1]

    def log(self, k: Key, hours: Ints, ip: Ints, dev: Ints, kind: int, at: int | None = None, busy: float = 1) -> None:
        e = k.exchange if at is None else at
        alive = self.up[e, hours]
        hours, ip, dev, n = hours[alive], ip[alive], dev[alive], int(alive.sum())
        mean = busy * self.rng.gamma(1.5, 0.6, n) if kind == USE else np.full(n, 0.7 * (kind == FAIL))
        ts, count = hours * 3600 + self.rng.integers(0, 3600, n), 1 + self.rng.poisson(mean)
        self.chunks.append((ts, np.full(n, k.index), np.full(n, e), ip, dev, count, np.full(n, kind)))

    def run(
        self,
        key: Key,
        hours: Ints,
        place: Ints,
        dev: Ints,
        *,
        until: int | None = None,
        owner: bool = True,
        busy: float | None = None,
        enlist: float = 0.3,
    ) -> None:
        """One party drives a key from a place with a client: uses, and the failures of everyday life."""
        r, chance = self.rng, dict(zip(self.rate, self.rng.random(len(self.rate)), strict=True))
        happens = {name for name, x in chance.items() if x < self.rate[name]}
        hours = hours[(hours >= key.since) & (hours < (self.size if until is None else until))]
        if not hours.size:
            return
        gone = int(r.integers(hours[0], self.size)) + 1 if owner and "expired" in happens else self.size
        hours = hours[hours < gone + int(r.exponential(60)) + 1]
        bad, ip = hours >= gone, place[hours]
        if "clock" in happens:
            bad[(i := int(r.integers(bad.size))) : i + int(r.geometric(0.25))] = True
        if "paste" in happens:
            wrong = hours[: int(r.geometric(0.5))]
            self.log(key, wrong, place[wrong], dev[wrong], FAIL, int((key.exchange + r.integers(1, 5)) % 5))
        if "stray" in happens:  # tried from a place that the allow-list does not name
            t = np.repeat(r.choice(hours, 1), 1 + r.poisson(0.5))
            other = dev[t] if r.random() < 0.5 else np.full(t.size, self.stack())
            self.log(key, t, np.full(t.size, self.address()), other, FAIL)
        moved = np.flatnonzero(ip[1:] != ip[:-1]) + 1
        for m in moved.tolist() if moved.size < 6 and "refused" in happens else []:
            bad[m : m + int(r.geometric(0.5))] = True
            if key.listed:
                self.log(key, hours[m : m + 1], ip[m : m + 1], np.array([-1]), ALLOW)
        if key.listed and (key.since > 0 or r.random() < enlist):
            first = np.unique(ip[:3])
            begin = np.full(first.size, max(key.since, int(hours[0]) - 1)) if key.since else r.choice(hours, first.size)
            self.log(key, begin, first, np.full(first.size, -1), ALLOW)
        busy = math.exp(r.normal(2.2, 1.1)) if busy is None else busy * math.exp(r.normal(0, 0.4))
        self.log(key, hours[bad], ip[bad], dev[hours[bad]], FAIL)
        self.log(key, hours[~bad], ip[~bad], dev[hours[~bad]], USE, busy=busy)

    def arrival(self, old: float) -> int:
        """When somebody joins: before the window with chance ``old``, else within it."""
        return 0 if self.rng.random() < old else int(self.rng.integers(0, max(2, int(self.size * 0.8))))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The log in time order."""
        r, devices = self.rng, [*self.stacks, None]
        ts, key, e, ip, dev, count, kind = (np.concatenate([c[i] for c in self.chunks]) for i in range(7))
        order = np.argsort(ts, kind="stable")
        dev = np.where(r.random(ts.size) < self.rate["bare"], -1, dev)
        columns = (ts, key, e, ip, dev, count, kind, r.random(ts.size) < self.lacking[e])
        for t, k, x, i, d, c, how, bare in zip(*(column[order].tolist() for column in columns), strict=True):
            issued = self.keys[k]
            account, known = issued.owner.accounts[x] if issued.exchange == x else (None, False)
            holder = issued.owner.holder if known and not bare else None
            yield {
                "ts": START + t,
                "exchange": EXCHANGES[x],
                "key": issued.text,
                "account": account,
                "holder": holder,
                "ip": self.ips[i],
                "device": devices[d],
                "count": c,
                "kind": KINDS[how],
            }


def loner(w: World, n: int, name: str) -> None:
    """One person with one bot, one phone, or both; some change from home to a server, or come with a new key."""
    period = {"renumbering_daily": 24.0, "renumbering_weekly": 168.0}.get(name)
    place = w.renumbered(period) if period else w.desk()
    if name == "migrator":
        place = np.where(w.hour < int(w.rng.integers(w.size)), w.home(), w.fixed(cloud=True))
    dev = w.client(w.stack("top") if name == "popular_stack" else None)
    w.run(w.issue(name, since=w.arrival(0.88)), w.when(), place, dev)


def roamer(w: World, n: int, name: str) -> None:
    """Home, phone, office and VPN: one client or two."""
    r, main = w.rng, w.client()
    vpn = w.mixed([w.fixed(cloud=True) for _ in range(3)], None, 5)
    spots = [w.home(), w.renumbered(r.uniform(3, 30)), w.fixed(), vpn]
    place = w.mixed(spots, r.dirichlet([2, 1.2, 1, 0.5]).tolist(), r.uniform(2, 8))
    dev = main if r.random() < 0.6 else np.where(place == spots[1], w.client(), main)
    w.run(w.issue(name, since=w.arrival(0.9)), w.when(None if r.random() < 0.5 else "manual"), place, dev)


def power_user(w: World, n: int, name: str) -> None:
    """A tinkerer: several programs at once on several machines, with one or two keys."""
    r, who = w.rng, w.person()
    machines = [w.home(), *(w.fixed(cloud=bool(r.random() < 0.8)) for _ in range(int(r.integers(1, 5))))]
    for key in [w.issue(name, who) for _ in range(int(r.integers(1, n + 1)))]:
        for _ in range(int(r.integers(3, 9))):
            place = machines[int(r.integers(len(machines)))] if r.random() < 0.7 else w.desk()
            w.run(key, w.when(None, r.uniform(0.6, 2.2)), place, w.client(upgrade=0.2))


def multi(w: World, n: int, name: str) -> None:
    """One person's own keys at several exchanges, in step because one program arbitrages, or each on its own."""
    r, who, place, dev, beat = w.rng, w.person(), w.desk(), w.client(), w.when()
    together = r.random() < 0.6
    for e in r.permutation(5)[:n]:
        hours = w.follow(beat, r.uniform(0.6, 1)) if together else w.when()
        w.run(w.issue(name, who, exchange=int(e)), hours, place, dev)


def crowd(w: World, n: int, name: str) -> None:
    """Strangers behind the same addresses: carrier, campus, company, hosting, gateway, functions, VPN, PC cafe."""
    r, cloud = w.rng, name in ("shared_hosting", "nat_gateway", "faas_egress", "vpn_exit")
    exits = {"carrier_nat": 6, "faas_egress": 12, "nat_gateway": 3, "campus_egress": 3, "vpn_exit": 5}.get(name, 1)
    net = w.network(cloud)
    gates = [w.fixed(cloud, net if r.random() < 0.8 else None) for _ in range(int(r.integers(1, exits + 1)))]
    shadow = r.random(2)
    if cloud and shadow[0] < 0.08 and w.haunts:  # a room hides behind the same exit
        gates[0] = np.full(w.size, w.haunts[int(shadow[1] * len(w.haunts))])
    sticky = {"faas_egress": 1.0, "carrier_nat": 6.0, "vpn_exit": 10.0}.get(name, 300.0)
    house = w.stack() if r.random() < 0.2 else None
    there = w.kst >= 15 if name == "pc_cafe" else (w.kst >= 8) & (w.kst < 19) & w.workday
    for _ in range(n):
        key, hours = w.issue(name, since=w.arrival(0.85)), w.when()
        place = w.mixed(gates, (r.dirichlet(np.full(len(gates), 0.7)) + 0.01).tolist(), sticky)
        dev = w.client(house if r.random() < 0.3 else None)
        if name in ("company_egress", "campus_egress", "pc_cafe"):
            hours = hours[there[hours] | (r.random(hours.size) < 0.5)]
            if r.random() < 0.75:
                place = np.where(there, place, w.home())
                dev = dev if r.random() < 0.6 else np.where(there, dev, w.client())
        elif name == "carrier_nat" and r.random() < 0.5:
            place = w.mixed([place, w.home()], [1, r.uniform(0.3, 2)], 8)
        w.run(key, hours, place, dev)
        if r.random() < 0.06:
            w.run(w.issue(name, key.owner), w.when(), place, dev)


def image(w: World, n: int, name: str) -> None:
    """A course or a team: one image, one address, the timetable's hours; part of them practise at home as well."""
    r = w.rng
    place, dev = w.fixed(cloud=r.random() < 0.4), w.client(w.stack(str(r.choice(["any", "mid", "rare"]))), 0.15)
    lesson = w.when("manual", r.uniform(0.4, 1.0)) if r.random() < 0.55 else w.when("timer")
    faith, extra, practice, begin = r.uniform(0.2, 0.8), r.uniform(0, 0.6), r.uniform(0.2, 0.9), w.arrival(0.5) // 2
    for _ in range(n):
        key = w.issue(name, since=begin + int(r.integers(0, 30)) if begin else 0)
        hours = w.follow(lesson, faith * r.uniform(0.6, 1), 0.1)
        hours = np.union1d(hours, w.when("manual", r.uniform(0.3, 1))) if r.random() < practice else hours
        w.run(key, hours, place, dev)
        if r.random() < extra:
            w.run(key, w.when("manual", 0.4), w.home(), dev if r.random() < 0.5 else w.client(), owner=False)
        if name == "team_image" and r.random() < 0.4:
            w.run(key, w.when("timer", 0.6), place, dev)


def platform(w: World, n: int, name: str) -> None:
    """A bot service: servers, one client, a menu of strategies of which customers choose; some paste keys wrongly."""
    r, large, net = w.rng, "large" in name, w.network(cloud=True)
    count = max(1, n // int(r.integers(100, 260))) if large else int(r.choice([1, 1, 1, 2]))
    servers = [w.fixed(True, net if r.random() < 0.7 else None) for _ in range(count)]
    base = w.stack("rare") if r.random() < 0.75 else w.stack("mid")
    dev, pinned, obedient = w.client(base, 0.25), r.random() < 0.5, r.beta(1.3, 1.6) * (0.4 if large else 1.0)
    old, listed, up = r.uniform(0.6, 0.95), r.uniform(0.3, 1.0), r.random(w.size) > r.uniform(0, 0.03)
    trades = r.choice(["timer", "market", "manual", "market"], int(r.integers(2, 9)) + 6 * large)
    menu = [(w.when(str(trade), r.uniform(0.6, 1.6)), math.exp(r.normal(2.2, 0.8))) for trade in trades]
    if "declared" in name:
        ips = sorted({w.ips[i] for s in servers for i in s.tolist()})
        w.declared.append(
            {"name": f"service-{len(w.declared)}", "ips": ips, "device": w.stacks[base] if r.random() < 0.5 else None}
        )
    for _ in range(n):
        since, who, (beat, pace) = w.arrival(old), w.person(), menu[int(r.integers(len(menu)))]
        key = w.issue(name, who, since=since if r.random() < 0.7 else 0)
        place = servers[int(r.integers(count))] if pinned else w.mixed(servers, None, r.uniform(1, 40))
        hours = w.follow(beat, r.uniform(0.3, 1), 0.2) if r.random() < obedient else w.when()
        if since and r.random() < w.rate["noisy"]:
            t = np.array([since - 1])
            w.log(key, t, place[t], dev[t], FAIL, int((key.exchange + r.integers(1, 5)) % 5))
        hours = hours[up[hours] & (hours >= since)]
        w.run(key, hours, place, dev, enlist=listed, busy=pace if r.random() < 0.6 else None)
        if since > key.since or r.random() < 0.15:
            w.run(key, w.when("manual", 0.5), w.home(), w.client(), until=since or None, owner=False)
        if r.random() < 0.05:
            w.run(w.issue("multi_exchange", who), w.when(), w.home(), w.client())


def household(w: World, n: int, name: str) -> None:
    """A family: a computer each, or one for all; some sit down together, one may look after the others' bots."""
    r, place, dev, one = w.rng, w.home(), w.client(), name == "household_one"
    evening, close = w.when("manual", r.uniform(0.5, 1.2)), float(r.beta(1, 2.4 if one else 5))
    for key in [w.issue(name) for _ in range(n)]:
        w.run(key, np.union1d(w.follow(evening, close), w.when(None, 0.8)), place, dev if one else w.client())
        if r.random() < 0.3:
            w.run(key, w.when("manual", 0.4), w.renumbered(20), w.client(), owner=False)


def signal_room(w: World, n: int, name: str) -> None:
    """Subscribers of a public signal channel: the same hours and often the same program, each at home."""
    r, base, beat = w.rng, w.stack(), w.when("manual" if w.rng.random() < 0.5 else "market")
    for faith in [r.uniform(0.3, 0.95)] * n:
        dev = w.client(base if r.random() < 0.6 else None)
        w.run(w.issue(name, since=w.arrival(0.85)), w.follow(beat, faith * r.uniform(0.5, 1), 0.15), w.desk(), dev)


def tracker(w: World, n: int, name: str) -> None:
    """Customers of a tax or portfolio service that reads along a few times a day beside their own bot."""
    r, site, dev = w.rng, w.fixed(cloud=True), w.client(w.stack("rare"), 0.2)
    for key in [w.issue(name) for _ in range(n)]:
        w.run(key, w.when(), w.desk(), w.client())
        poll = ((w.hour - int(r.integers(24))) % int(r.choice([12, 24, 48])) == 0) & (w.hour >= w.arrival(0.7))
        w.run(key, np.flatnonzero(poll), site, dev, owner=False)


def exits(w: World, pattern: str, careful: float) -> Callable[[], Ints]:
    """How the room reaches the exchange; the closure gives a key its places."""
    r = w.rng
    if pattern in ("ring_pool", "ring_residential"):
        hired, net = pattern == "ring_pool", w.network(cloud=True) if r.random() < 0.5 else None
        pool = [w.fixed(True, net) if hired else w.home() for _ in range(int(r.integers(3, 10 if hired else 22)))]
        sticky = float(r.choice([1, 4, 24, 60])) if hired else r.uniform(3, 48)
        if r.random() < (0.4 if hired else 0.55):  # one exit for a sitting: the whole room rotates at once
            line = w.mixed(pool, None, max(4.0, sticky))
            return lambda: line
        few = len(pool) if hired or r.random() < 0.7 else int(r.integers(2, 7))
        return lambda: w.mixed([pool[int(i)] for i in r.permutation(len(pool))[:few]], None, sticky)
    base = w.fixed(cloud=r.random() < 0.8)
    if r.random() < 0.3:  # unpaid bill, or a scare: the room moves
        base = np.where(w.hour < int(r.integers(w.size)), base, w.fixed(cloud=True))
    if r.random() > 0.25 + 0.3 * careful:
        return lambda: base
    second, halves = w.fixed(cloud=True), r.random() < 0.6
    return lambda: (base if r.random() < 0.5 else second) if halves else w.mixed([base, second], None, 24)


def room(w: World, pattern: str, n: int, label: str) -> None:
    """A ring through its life: recruitment, trade, campaigns, holiday, split, turnover."""
    r = w.rng
    careful = float(r.beta(1.5, 2.5)) * (0.4 if pattern == "ring_plain" else 1.0)
    trade, zeal = str(r.choice(np.array(TRADES), p=[0.15, 0.46, 0.36, 0.0, 0.03])), r.uniform(1.3, 2.8)
    beat, by_hand = w.when(trade, zeal), w.sessions(r.uniform(1, 2.5), 3.0)
    beat = by_hand if beat.size < 2 * w.days else beat  # a trade that hardly pays: they sit down by hand
    on = np.repeat(r.random(2 * w.days) < r.uniform(0.4, 0.9), 12)
    if trade in ("timer", "always") and on[beat].sum() > w.days:  # campaigns: the bot is let run on some half-days
        beat = beat[on[beat]]
    rest = int(r.integers(w.size)) if r.random() < 0.3 else w.size
    beat = beat[(beat < rest) | (beat > rest + int(r.integers(24, 96)))]
    dev = w.client(w.stack(str(r.choice(["any", "mid", "rare", "top"], p=[0.3, 0.25, 0.33, 0.12]))), 0.2)
    faith, delay = r.uniform(0.7, 0.99) - 0.15 * careful, float(r.choice([0.0, 0.05, 0.3]))
    old, other, listed = r.uniform(0.2, 0.9), r.uniform(0.1, 0.6), r.uniform(0.1, 1.0)
    pace = math.exp(r.normal(2.2, 0.9))
    places = heir = exits(w, pattern, careful)
    split, later = w.size, beat
    if n >= 8 and r.random() < 0.3:  # they quarrel, and half go with another
        split, heir, later = int(r.integers(w.size // 4, w.size)), exits(w, "ring_plain", careful), w.when(trade, zeal)
    favourite = int(r.choice(5, p=w.share / w.share.sum()))
    loyal = 1.0 if r.random() < (0.5 if n > 6 else 0.75) else r.uniform(0, 0.6)  # many take one exchange's keys only
    who, home, own = w.person(), w.home(), w.client()
    w.haunts.append(int(places()[0]))
    for i in range(n):
        if i < 4 or r.random() > 0.12:  # else the last lender lends another key
            who, home, own = w.person(), w.home(), w.client()
        join, fresh = w.arrival(old), r.random() < 0.5
        key = w.issue(
            pattern,
            who,
            exchange=favourite if r.random() < loyal else None,
            since=join if fresh else 0,
            role="lent",
            guilty=True,
            ring=label,
        )
        hours, place = w.follow(beat, faith * r.uniform(0.8, 1), delay), places()
        if split < w.size and r.random() < 0.5:
            hours = np.concatenate([hours[hours < split], (then := w.follow(later, faith))[then >= split]])
            place = np.where(w.hour < split, place, heir())
        if pattern == "ring_staggered":  # each key a few hours a week, in step with the others or in turn
            turn = r.choice(w.size, max(1, int(w.days * r.uniform(0.5, 1.5))), replace=False)
            hours = w.follow(beat, r.uniform(0.1, 0.4)) if r.random() < 0.75 else np.sort(turn)
        hours = hours[hours >= join]
        hours = hours if hours.size > 1 else np.unique(r.integers(min(join, w.size - 4), w.size, 5))
        leave = int(r.integers(join, w.size)) if r.random() < 0.08 else None
        w.run(
            key,
            hours,
            place,
            w.client() if pattern == "ring_stack_per_key" else dev,
            until=leave,
            enlist=listed,
            busy=pace if r.random() < 0.8 else None,
        )
        if pattern == "ring_holder_active":
            w.run(key, w.when(None, r.uniform(0.5, 1.2)), home, own, owner=False)
        elif not fresh and join:
            w.run(key, w.when(), home, own, until=join, owner=False)
        elif r.random() < 0.12:
            w.run(key, w.when("manual", 0.3), home, own, owner=False)
        if r.random() < other:
            w.run(w.issue("lender_other", who, role="lender-other", ring=label), w.when(), home, own)
    for e, boss in zip(r.permutation(5)[: int(r.integers(0, 3))], [w.person()] * 2, strict=False):
        key = w.issue("operator_own", boss, exchange=int(e), role="operator-own", ring=label)
        w.run(key, w.follow(beat, r.uniform(0.5, 1)) if r.random() < 0.7 else w.when(), places(), dev)


def rental(w: World, pattern: str, key: Key, label: str) -> None:
    """An account let to many: tenants come and go; some have own keys on that desk, some use the room's client."""
    r = w.rng
    w.truth[key.index].update(guilty=True, pattern=pattern, role="shared", ring=label)
    lo, hi, zeal = {"key_shared_3_12": (2, 11, 1.3), "key_shared_8_60": (7, 59, 0.5)}.get(pattern, (2, 5, 0.6))
    tenants = max(lo, int(r.integers(lo, hi + 1) * (1 if hi < 20 else r.uniform(0.4, 1))))
    handed, beat = w.stack() if r.random() < 0.15 else None, w.when("market", 1.5)
    together, own = r.random() < 0.25, r.uniform(0.1, 0.9)
    for _ in range(tenants):
        place, dev, come = w.home() if r.random() < 0.7 else w.desk(), w.client(handed), w.arrival(0.7)
        alone = w.when("manual" if r.random() < 0.7 else None, zeal)
        hours = w.follow(beat, r.uniform(0.1, 0.5)) if together else alone
        if pattern == "key_shared_rarely":
            hours = np.sort(r.permutation(hours)[: int(r.integers(2, 4 + w.days))])
        w.run(key, hours[hours >= come], place, dev, until=come + int(r.exponential(2 * w.size)) + 24, owner=False)
        if r.random() < own / (tenants / 4):
            w.run(w.issue("sharer_own"), w.when(), place, dev)


def dump(w: World, pattern: str, victims: Sequence[Key], label: str) -> None:
    """A leaked dump on the market: a first buyer, perhaps a second; labelled with the exchange or not."""
    r, slow, elsewhere, accepted = w.rng, pattern == "leak_slow_scattered", w.rng.beta(3, 1), w.rng.beta(1, 4)
    for key in victims:
        w.truth[key.index].update(guilty=True, pattern=pattern, role="leaked", ring=label)
    for part in [1.0, r.uniform(0.3, 0.8)][: 1 + int(r.random() < 0.35)]:
        begin = int(r.integers(0, max(2, int(w.size * (0.4 if slow else 0.85)))))
        span = max(2, int((w.size - begin) * r.uniform(0.4, 1) if slow else r.exponential(30)))
        count = max(3, int(len(victims) * r.uniform(0.3, 1.5))) if slow else 1
        nets = [w.address(cloud=r.random() < 0.7) for _ in range(count)]
        tool = w.stack(str(r.choice(["any", "top", "rare"])))
        for key in [k for k in victims if r.random() < part]:
            others = r.permutation([e for e in range(5) if e != key.exchange])
            wrong = others[: int(r.integers(1, 5)) if r.random() < elsewhere else 0]
            for i in range(int(r.integers(2, 7)) if slow else 1 + int(r.poisson(0.4))):
                t = np.array([min(w.size - 1, begin + int(r.integers(span)))])
                ip, dev = np.array([nets[int(r.integers(count))]]), np.array([tool])
                for e in wrong[r.random(wrong.size) < (0.5 if slow else 1.0)]:
                    w.log(key, t, ip, dev, FAIL, int(e))
                if r.random() < accepted:
                    again = np.unique(np.minimum(t + r.integers(0, 12, 4), w.size - 1))
                    w.log(key, again, np.repeat(ip, again.size), np.repeat(dev, again.size), USE, busy=9.0)
                elif i == 0 or r.random() < 0.5:
                    w.log(key, t, ip, dev, FAIL)


HONEST: tuple[tuple[str, float, float, int, int, Callable[[World, int, str], None]], ...] = (
    # pattern, share from-to, group size from-to, builder; the look-alikes first
    ("platform_small", 0.0015, 0.004, 12, 59, platform),
    ("class_image", 0.0005, 0.0013, 8, 35, image),
    ("team_image", 0.0005, 0.0015, 3, 12, image),
    ("power_user", 0.0012, 0.0035, 1, 2, power_user),
    ("household_one", 0.0008, 0.0035, 2, 5, household),
    ("tax_tracker", 0.0005, 0.0015, 8, 60, tracker),
    ("platform_small_declared", 0.002, 0.008, 10, 59, platform),
    ("multi_exchange", 0.08, 0.16, 2, 5, multi),
    ("carrier_nat", 0.06, 0.14, 25, 250, crowd),
    ("company_egress", 0.02, 0.05, 4, 40, crowd),
    ("campus_egress", 0.01, 0.04, 20, 150, crowd),
    ("platform_large", 0.03, 0.10, 80, 500, platform),
    ("platform_large_declared", 0.04, 0.12, 80, 700, platform),
    ("roamer", 0.04, 0.09, 1, 1, roamer),
    ("shared_hosting", 0.02, 0.06, 5, 50, crowd),
    ("nat_gateway", 0.01, 0.04, 8, 80, crowd),
    ("faas_egress", 0.01, 0.04, 15, 120, crowd),
    ("vpn_exit", 0.005, 0.02, 15, 90, crowd),
    ("pc_cafe", 0.002, 0.01, 4, 30, crowd),
    ("household_each", 0.03, 0.09, 2, 4, household),
    ("renumbering_daily", 0.02, 0.06, 1, 1, loner),
    ("renumbering_weekly", 0.02, 0.06, 1, 1, loner),
    ("popular_stack", 0.03, 0.09, 1, 1, loner),
    ("migrator", 0.01, 0.03, 1, 1, loner),
    ("signal_room", 0.005, 0.02, 10, 120, signal_room),
    ("single_bot", 1.0, 1.0, 1, 1, loner),
)
SPARED = {entry[0] for entry in HONEST[:7]}
GUILTY: dict[str, tuple[int, int]] = {
    "ring_plain": (3, 25),
    "ring_pool": (4, 30),
    "ring_stack_per_key": (3, 20),
    "ring_staggered": (4, 20),
    "ring_residential": (4, 25),
    "ring_holder_active": (3, 20),
    "ring_small": (3, 5),
    "ring_large": (50, 90),
    "key_shared_3_12": (1, 1),
    "key_shared_8_60": (1, 1),
    "key_shared_rarely": (1, 1),
    "leak_one_server": (8, 60),
    "leak_slow_scattered": (6, 40),
    "leak_small_set": (3, 8),
}


def sizes(r: np.random.Generator, quota: float, lo: int, hi: int) -> Iterator[int]:
    """Group sizes that add up to about the quota (log-uniform; a remainder too small for a group is made by lot)."""
    full = quota
    while quota > 0:
        n = min(round(math.exp(r.uniform(math.log(lo), math.log(hi + 0.49)))), max(lo, int(quota * 1.3 + 1)))
        if quota < n and r.random() > quota / n and (quota < full or quota < 0.4 * n):
            return
        yield n
        quota -= n


def market(
    seed: int, keys: int, days: int, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """The sightings in time order, the truth of each issued key, and the declared bot services."""
    w = World(seed, keys, days, holders)
    r = w.rng
    weight = dict(zip(GUILTY, np.exp(r.normal(0, 0.25, len(GUILTY))).tolist(), strict=True))
    weight["ring_large"] *= 1.7
    quota = {pattern: x / sum(weight.values()) * keys * (1 - innocent) for pattern, x in weight.items()}
    shares = [math.exp(r.uniform(math.log(entry[1]), math.log(entry[2]))) for entry in HONEST]

    def groups(kind: str) -> Iterator[tuple[str, int, str]]:
        for pattern, (lo, hi) in GUILTY.items():
            if pattern == "ring_large":  # in a small world the large rings are smaller too
                hi = max(8, min(hi, int(2 * quota[pattern])))
                lo = min(lo, max(6, hi - 5))
            for i, n in enumerate(sizes(r, quota[pattern], lo, hi) if pattern.startswith(kind) else ()):
                yield pattern, n, f"{pattern}-{i}"

    def victims(n: int) -> list[Key]:
        """Keys at random, or those who stand near each other: a dump often comes from one service or one office."""
        spot, near, out = int(r.integers(len(w.keys))), r.random() < 0.4, dict[int, Key]()
        while len(out) < n:
            told = w.truth[spot]
            if not told["guilty"] and told["pattern"] not in SPARED and told["role"] == "owner":
                out[spot] = w.keys[spot]
            spot = (spot + 1 + int(r.integers(3)) if near else int(r.integers(len(w.keys)))) % len(w.keys)
        return list(out.values())

    for pattern, n, label in groups("ring"):
        room(w, pattern, n, label)
    if not w.keys:
        room(w, "ring_small", 3, "ring_small-0")
    honest, first = keys - len(w.keys), len(w.keys)
    w.rng = np.random.default_rng([seed, keys, days, 2020])  # the honest part is the same whatever the share of guilt
    for share, (pattern, _, _, lo, hi, build) in zip(shares, HONEST, strict=True):
        for n in sizes(w.rng, honest - (len(w.keys) - first) if pattern == "single_bot" else share * keys, lo, hi):
            build(w, n, pattern)
    w.rng = r
    for pattern, n, label in groups("key"):
        rental(w, pattern, victims(n)[0], label)
    for pattern, n, label in groups("leak"):
        dump(w, pattern, victims(n), label)
    return w.rows(), w.truth, w.declared
