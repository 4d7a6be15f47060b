"""The ninth author's market: processes, not people.

The view of an SRE of a large API gateway: what arrives is a *process*, a deployed program with a config (keys, host,
client stack, schedule, retry policy, dates of restart and upgrade).  A key's traffic is the union of the processes that
hold it; a person is only the name on its account.  So this module makes hosts (servers, home lines, phones, egresses,
proxies), runs processes on them (`Gateway.run`), and lets trouble strike where it does: hosts (downtime, clock drift,
address moves), networks (a rack or an ISP area dark for hours), exchanges (outages), deployments (upgrades) and keys
(expiry, a stale secret, pasted into the wrong exchange).  An innocent crowd is many configs behind one egress; a lent
key moved into the config of another; a shared key stands in many; a leaked one in a list that is walked through.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
When = NDArray[np.float64] | NDArray[np.bool_]
Rows = list[dict[str, object]]
Market = tuple[Iterator[dict[str, object]], Rows, Rows]
Person = tuple[str, dict[int, tuple[str, bool]]]  # holder; exchange -> account id, whether its holder is known

EPOCH = 1_780_272_000  # Monday 2026-06-01 00:00 UTC
EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
MARKET_SHARE = np.array([0.44, 0.28, 0.12, 0.09, 0.07])
USE, FAIL, ALLOW = 0, 1, 2
HABITS, PLANS = ("human", "daily", "timer", "clock", "market", "nine"), ("timer", "market", "daily", "nine", "human")
KINDS = ("use", "auth_fail", "allowlist")
ALNUM = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
HEX = np.array(list("0123456789abcdef"))
LINES = (1, 14, 27, 39, 49, 58, 59, 61, 106, 112, 115, 118, 121, 122, 125, 175, 180, 182, 183, 210, 211, 218, 220, 222)
CLOUDS = (3, 13, 15, 18, 34, 35, 43, 45, 52, 54, 64, 65, 95, 101, 103, 139, 141, 146, 152, 158, 167, 168, 203)
AGENTS = (
    "python-requests/2.{}.0",
    "python-requests/2.{}.3",
    "ccxt/4.{}.1",
    "aiohttp/3.{}.1",
    "Go-http-client/{}.1",
    "okhttp/4.{}.0",
    "Java-http-client/17.0.{}",
    "node-fetch/2.{}",
    "python-httpx/0.{}.0",
    "Mozilla/5.0 Chr/1{}.0",
    "axios/1.{}.2",
    "reqwest/0.{}",
    "GuzzleHttp/7.{}",
    "Apache-HttpClient/5.{}",
    "libcurl/8.{}",
    "upbit-client/1.{}",
    "Faraday/2.{}",
    "python-bithumb/1.0.{}",
    "Dart/3.{} (dart:io)",
    "websocket-client/1.{}",
    "Boost.Beast/3{}",
)
GUILTY = (
    "ring_plain",
    "ring_pool",
    "ring_stack_per_key",
    "ring_staggered",
    "ring_residential",
    "ring_holder_active",
    "ring_small",
    "ring_large",
    "key_shared_3_12",
    "key_shared_8_60",
    "key_shared_rarely",
    "leak_one_server",
    "leak_slow_scattered",
    "leak_small_set",
)
# innocent pattern -> lowest and highest per cent of the keys
ALONE = {
    "multi_exchange": (5, 12),
    "carrier_nat": (5, 12),
    "power_user": (0.05, 0.25),
    "vpn_habit": (1, 3),
    "renumbering_daily": (3, 8),
    "renumbering_weekly": (3, 8),
    "popular_stack": (4, 10),
    "nine_oclock_script": (2, 5),
    "roamer": (3, 8),
    "cloud_move": (1, 3),
    "key_rotation": (1, 3),
    "idle_key": (2, 5),
}
TOGETHER = {
    "platform_large": (3, 8),
    "platform_large_declared": (3, 8),
    "platform_small_declared": (0.2, 0.8),
    "platform_small": (0.1, 0.3),
    "class_image": (0.05, 0.25),
    "team_image": (0.05, 0.25),
    "household_one": (0.05, 0.2),
}
# crowds: the same, fewest and most people, per cent on a common image (drawn between), schedule, chance to roam
CROWDS = {
    "company_egress": (3, 7, 20, 220, 0, 35, "office", 0.35),
    "campus_egress": (1, 4, 20, 220, 0, 35, "", 0.35),
    "household_each": (2, 6, 2, 4, 0, 10, "", 0.3),
    "two_friends": (0.2, 0.8, 2, 2, 30, 80, "", 0.0),
    "portfolio_tracker": (1, 3, 40, 250, 100, 100, "human", 0.4),
    "pc_bang": (0.1, 0.4, 6, 30, 20, 50, "human", 0.6),
    "one_click_image": (0.5, 2, 10, 80, 60, 100, "", 0.05),
    "faas_egress": (1, 4, 40, 250, 5, 25, "", 0.05),
    "shared_hosting": (2, 5, 12, 90, 0, 15, "", 0.06),
    "nat_gateway": (1, 4, 12, 90, 0, 15, "", 0.06),
}


@dataclass
class Host:
    # where a process runs: one address, a row of them in time, or a pool; and the incidents of machine and network
    ids: Ints
    up: Bools
    drift: Bools
    edges: Ints  # hour from which ids[i] holds, unless they are a pool
    stick: int = 0  # hours for which a pool's address is kept
    fixed: bool = True  # an address that one would write into an allow-list
    deploy: int = -1  # hour in which whatever runs here is upgraded together


class Gateway:
    def __init__(self, seed: int, keys: int, days: int, innocent: float, holders: bool) -> None:
        self.rng = rng = np.random.default_rng([seed, 99])
        self.target, self.days, self.hours, self.innocent, self.holders = keys, days, 24 * days, innocent, holders
        self.clock = np.arange(self.hours)
        self.kst, self.weekend = (self.clock + 9) % 24, (self.clock + 9) // 24 % 7 >= 5
        level = np.zeros(self.hours)
        for i in range(1, self.hours):
            level[i] = 0.8 * level[i - 1] + rng.normal(0, 0.32)
        for at in rng.integers(self.hours, size=rng.poisson(0.35 * days) + 1):  # a listing, a cascade, a rumour
            level[at : at + 4] += rng.uniform(0.8, 2.6) * np.array([1, 0.7, 0.4, 0.2])[: max(0, self.hours - at)]
        self.mood = np.exp(level - level.mean())
        self.no_holder = rng.uniform(0.1, 0.6, 5)
        self.lists = rng.uniform((0.5, 0.4, 0.3, 0.15, 0.1), (0.95, 0.9, 0.8, 0.6, 0.5))  # reports of allow-lists
        self.lost_holder, self.lost_device = rng.uniform(0.005, 0.05), rng.uniform(0.0, 0.03)
        self.p_expire, self.p_paste, self.p_stale = rng.uniform((0.006, 0.004, 0.01), (0.03, 0.02, 0.05))
        self.open = np.ones((5, self.hours), np.bool_)
        for e in range(5):
            for at in rng.integers(self.hours, size=rng.poisson(days / 12)):
                self.open[e, at : at + rng.integers(1, 6)] = False
        self.ips, self.stacks, self.newer = list[str](), list[str](), list[int]()
        self.ip_id = dict[str, int]()
        self.catalogue()
        self.key_ex, self.expires, self.listed = list[int](), list[int](), list[bool]()
        self.named = list[tuple[str, str, str | None]]()  # key, account, holder
        self.truth, self.declared = Rows(), Rows()
        self.parts = list[tuple[Ints, int, Ints, Ints, Ints, int, int, int]]()
        self.configs = list[tuple[Host, int]]()  # what somebody could share, join with, or hide behind
        self.racks = [self.net(CLOUDS) for _ in range(60 + keys // 45)]
        self.areas = [self.net(LINES) for _ in range(40 + keys // 9)]
        self.dark = {net: self.n(self.hours) for net in self.racks + self.areas if rng.random() < 0.04}
        self.carriers = [self.pool(LINES, self.n(30, 160), 6) for _ in range(3)]
        self.vpns = [self.pool(CLOUDS, self.n(6, 30), 3) for _ in range(5)]

    def net(self, firsts: tuple[int, ...]) -> str:
        while True:
            head = f"{self.rng.choice(firsts)}.{self.rng.integers(1, 255)}.{self.rng.integers(1, 255)}"
            if ipaddress.ip_network(f"{head}.0/24").is_global:
                return head

    def ip(self, text: str) -> int:
        if text not in self.ip_id:
            self.ip_id[text] = len(self.ips)
            self.ips.append(text)
        return self.ip_id[text]

    def text(self, letters: NDArray[np.str_], n: int) -> str:
        return "".join(self.rng.choice(letters, n))

    def n(self, low: float, high: float | None = None) -> int:
        return int(self.rng.integers(int(low), None if high is None else int(high)))

    def pick(self, of: Sequence[T]) -> T:
        return of[int(self.rng.integers(len(of)))]

    def inside(self, net: str) -> int:
        return self.ip(f"{net}.{self.rng.integers(2, 254)}")

    def pool(self, firsts: tuple[int, ...], n: int, per_net: int) -> Ints:
        nets = [self.net(firsts) for _ in range(n // per_net + 1)]
        return np.unique([self.inside(nets[i % len(nets)]) for i in range(max(n, 2))])

    def ja4(self) -> str:
        r = self.rng
        start = f"t1{r.choice([3, 3, 2])}{r.choice(['d', 'd', 'i'])}{r.integers(12, 60)}{r.integers(8, 18):02d}"
        return f"{start}{r.choice(['h1', 'h2', '00'])}_{self.text(HEX, 12)}_{self.text(HEX, 12)}"

    def new_stack(self, agent: str, ja4: str) -> int:
        self.stacks.append(f"{ja4}|{agent}")
        self.newer.append(len(self.stacks) - 1)
        return len(self.stacks) - 1

    def catalogue(self) -> None:
        r = self.rng
        for family in r.permutation(len(AGENTS)).tolist() + r.integers(len(AGENTS), size=self.n(8, 40)).tolist():
            ja4, base = self.ja4(), self.n(1, 40)
            for v in range(self.n(2, 9)):
                ja4 = self.ja4() if r.random() < 0.25 else ja4
                s = self.new_stack(AGENTS[family].format(base + v), ja4)
                self.newer[s - 1] = s if v else self.newer[s - 1]
        self.common = r.permutation(len(self.stacks))
        weight = 1.0 / (np.arange(self.common.size) + r.uniform(1.0, 4.0)) ** r.uniform(0.9, 1.5)
        self.common_cdf = np.cumsum(weight / weight.sum())

    def bespoke(self) -> int:
        name = f"{self.pick(('trader', 'autobot', 'quant', 'mm', 'signal'))}-{self.n(1000)}/{self.n(1, 5)}.{self.n(30)}"
        return self.new_stack(name, self.ja4() if self.n(9) < 5 else self.stacks[self.popular()].split("|")[0])

    def popular(self, top: int = 0) -> int:
        return int(self.common[np.searchsorted(self.common_cdf, self.rng.random() * 0.999) % (top or self.common.size)])

    def stack(self, odd: float = 0.12) -> int:
        return self.bespoke() if self.rng.random() < odd else self.popular()

    def host(
        self, ids: Ints | list[int], edges: Ints | None = None, stick: int = 0, fixed: bool = True, trouble: float = 1.0
    ) -> Host:
        r, deploy = self.rng, self.n(self.hours) if self.rng.random() < 0.15 else -1
        up, drift = np.ones(self.hours, np.bool_), np.zeros(self.hours, np.bool_)
        for at in r.integers(self.hours, size=r.poisson(0.25 * trouble)):
            up[at : at + int(r.lognormal(1.5, 1.0)) + 1] = False
        if r.random() < 0.02 * trouble:
            at = self.n(self.hours)
            drift[at : at + r.integers(3, 40)] = True
        dark = self.dark.get(self.ips[int(ids[0])].rsplit(".", 1)[0])
        if dark is not None:
            up[dark : dark + 7] = False
        since = np.zeros(1, np.int64) if edges is None else edges
        return Host(np.asarray(ids, np.int64), up, drift, since, stick, fixed, deploy)

    def server(self, net: str | None = None, move: float = 0.05) -> Host:
        net = net or self.racks[int(len(self.racks) * self.rng.random() ** 1.6)]
        if self.rng.random() < 0.07:
            return self.host([self.ip(f"2406:da{self.n(10, 40)}:{self.n(4000):x}:{self.n(9999):x}::{self.n(2, 9)}")])
        ids = [self.inside(net), self.inside(net if self.n(2) else self.pick(self.racks))]  # may be re-created
        return self.host(ids, np.array([0, self.n(1, self.hours)])) if self.rng.random() < move else self.host(ids[:1])

    def home(self, every: float = 0.0) -> Host:
        """A home line; every: mean hours between renumberings, 0 draws it (most lines keep an address for months)."""
        r = self.rng
        every = every or float(r.choice([1e6, 900.0, 168.0, 24.0], p=[0.72, 0.14, 0.09, 0.05]))
        net, edges, step = self.pick(self.areas), [0.0, r.uniform(0, every)], every in (24.0, 168.0)
        while edges[-1] < self.hours:
            edges.append(edges[-1] + (every if step else r.exponential(every)) + r.uniform(0, 1.5))
        n = len(edges) - 1
        if r.random() < 0.13:  # one prefix, now and then another interface
            six = [f"2001:{self.n(0x2B8, 0x2D9):x}:{self.n(1, 4000):x}:{self.n(0x1000, 0xFFFF):x}" for _ in range(n)]
            ids = [self.ip(f"{x if step else six[0]}:{self.n(1, 65000):x}::{self.n(1, 65000):x}") for x in six]
        else:
            ids = [self.inside(net if r.random() < 0.7 else self.pick(self.areas)) for _ in range(n)]
        return self.host(ids, np.array(edges[:-1], np.int64), fixed=every > 100)

    def phone(self) -> Host:
        return self.host(self.rng.permutation(self.pick(self.carriers))[: self.n(2, 9)], None, self.n(1, 12), False)

    def vpn(self) -> Host:
        return self.host(self.rng.permutation(self.pick(self.vpns))[: self.n(1, 4)], None, self.n(4, 80), False)

    def place(self) -> Host:
        return self.server() if self.rng.random() < 0.5 else self.home()

    def person(self) -> Person:
        return "h" + self.text(HEX, 14), {}

    def key(
        self,
        who: Person,
        pattern: str,
        ex: int | None = None,
        role: str = "owner",
        ring: str | None = None,
        guilty: bool = False,
    ) -> int:
        r = self.rng
        e = int(np.searchsorted(np.cumsum(MARKET_SHARE), r.random() * 0.9999)) if ex is None else ex
        k = len(self.key_ex)
        if e not in who[1]:
            who[1][e] = (f"{EXCHANGES[e][:2]}{k}{self.text(HEX, 6)}", bool(r.random() >= self.no_holder[e]))
        h, name = self.text(HEX, 48), self.text(ALNUM, 40 if e < 2 else 43)
        if e in (2, 4):
            name = f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:32]}"
        elif e == 1 and r.random() < 0.5:
            name = h[: self.pick((32, 48))]
        account, known = who[1][e]
        self.key_ex.append(e)
        self.named.append((name, account, who[0] if known and self.holders else None))
        self.expires.append(self.n(self.hours) if r.random() < self.p_expire else 1 << 30)
        self.listed.append(bool(r.random() < self.lists[e]))
        row = {"exchange": EXCHANGES[e], "key": name, "guilty": guilty, "pattern": pattern, "role": role, "ring": ring}
        self.truth.append(row)
        return k

    def habit(self, kind: str = "", load: float = 1.0) -> NDArray[np.float64]:
        """Probability that a process acts in each hour: its schedule, bent by the mood of the market."""
        r, day = self.rng, np.zeros(self.hours)
        kind, bend = kind or str(r.choice(HABITS, p=[0.42, 0.18, 0.1, 0.035, 0.175, 0.09])), r.uniform(0.2, 1.0)
        if kind in ("human", "office"):
            office = kind == "office"
            centre = r.normal(14, 2) if office else r.choice([9.5, 13, 21, 23]) + r.normal(0, 1.5)
            gap = np.abs((self.kst - centre + 12) % 24 - 12) / (r.uniform(2, 4) if office else r.uniform(1.2, 4))
            rest = r.uniform(0.02, 0.3) if office else r.uniform(0.5, 1.5)
            day = np.exp(-0.5 * gap**2) * np.where(self.weekend, rest, 1.0)
            day *= load * self.days * r.lognormal(0.75, 0.5) / day.sum()
        elif kind == "daily":
            day[np.isin(self.kst, r.integers(24, size=self.n(1, 4)))] = r.uniform(0.6, 0.97)
        elif kind in ("timer", "clock"):
            every = 1 if kind == "clock" else int(r.choice([2, 3, 4, 6, 8, 12], p=[0.06, 0.1, 0.24, 0.25, 0.15, 0.2]))
            day[(self.clock + r.integers(every)) % every == 0] = r.uniform(0.7, 0.99)
        elif kind == "market":
            day, bend = np.full(self.hours, load * r.lognormal(0.4, 0.5) / 24), r.uniform(0.9, 1.8)
        else:  # nine: the volatility-breakout script of every course book, around 09:00 Korean time
            day = np.where(self.kst == 9, r.uniform(0.75, 0.98), r.uniform(0, 0.05))
        return np.asarray(1 - (1 - np.clip(day, 0, 0.985)) ** (self.mood**bend), np.float64)

    def some(self, p: float | When) -> Bools:
        """Hours drawn with that probability; hours drawn before stay as they are."""
        return np.asarray(self.rng.random(self.hours) < p, np.bool_)

    def blocks(self, hours: int, p: float) -> Bools:
        return np.repeat(self.rng.random(self.hours // hours + 1) < p, hours)[: self.hours]

    def spells(self, per_day: float, longest: int) -> Bools:
        """Irregular sessions of somebody who sits down to work: hours on which a whole config acts."""
        r, on = self.rng, np.zeros(self.hours, np.bool_)
        wake, off = r.integers(24), r.uniform(0.0, 0.4)
        for d in np.flatnonzero(r.random(self.days) >= off):
            for _ in range(r.poisson(per_day)):
                at = d * 24 + (wake + int(r.triangular(0, 7, 15))) % 24
                on[at : at + r.integers(1, longest + 1)] = True
        return on

    def span(self, young: float = 0.12, leaving: float = 0.06) -> tuple[int, int]:
        start = self.n(self.hours) if self.rng.random() < young else 0
        return start, self.n(start, self.hours) + 1 if self.rng.random() < leaving else self.hours

    def emit(self, k: int, h: Ints, ip: Ints, dev: Ints, n: Ints, kind: int, ex: int = -1, minute: int = -1) -> None:
        if h.size:
            self.parts.append((h, k, ip, dev, n, kind, self.key_ex[k] if ex < 0 else ex, minute))

    def run(
        self, k: int, host: Host, stack: int, when: When, span: tuple[int, int] | None = None, minute: int = -1
    ) -> None:
        """The process with key k on that host: its requests, and what its incidents make of them."""
        r, e = self.rng, self.key_ex[k]
        a, b = span or self.span()
        h = np.flatnonzero(self.some(when) & host.up & self.open[e])
        h = h[(h >= a) & (h < b)]
        if not h.size:
            return
        ip = host.ids[np.searchsorted(host.edges, h, "right") - 1]
        if host.stick:
            ip = host.ids[r.integers(len(host.ids), size=self.hours // host.stick + 1)[h // host.stick]]
        upgrade = host.deploy if host.deploy >= 0 else self.n(self.hours) if r.random() < 0.06 else 1 << 30
        dev = np.where(h >= upgrade, self.newer[stack], stack)
        load = r.lognormal(2.5, 1.3) * self.mood[h] ** 0.7 * r.lognormal(0, 0.4, h.size)
        count = 1 + r.poisson(np.minimum(load, r.choice([60, 600, 3000])))  # the exchange's or the client's rate limit
        bad = (host.drift[h] & (r.random(h.size) < 0.8)) | (h >= self.expires[k])
        if h[-1] >= self.expires[k] and r.random() < 0.5:  # a circuit breaker gives up after a few refusals
            keep = h < self.expires[k] + r.integers(1, 30)
            h, ip, dev, count, bad = h[keep], ip[keep], dev[keep], count[keep], bad[keep]
        if a > 0 and r.random() < self.p_stale:  # deployed with a stale secret, found after a while
            bad |= h < a + r.integers(2, 30)
        if self.listed[k] and host.fixed:
            places, first = np.unique(ip, return_index=True)
            for x, i in zip(places, first, strict=True):
                if i and not host.stick and r.random() < 0.7:  # a new address is refused until the owner has entered it
                    bad |= (ip == x) & (h < h[i] + r.integers(1, 20))
                if r.random() < (0.85 if len(places) < 5 else 0.5):
                    for at in [max(0, int(h[i]) - self.n(3))] + [self.n(h[i], self.hours)] * (r.random() < 0.2):
                        self.emit(k, np.array([at]), np.array([x]), np.array([-1]), np.array([1]), ALLOW)
        if r.random() < self.p_paste:  # pasted into the wrong exchange's field
            n = self.n(1, 4)
            self.emit(k, h[:n], ip[:n], dev[:n], 1 + count[:n] // 9, FAIL, (e + self.n(1, 5)) % 5)
        dev = np.where(r.random(h.size) < self.lost_device, -1, dev)
        minute, ok = self.n(60) if minute < 0 else minute, ~bad
        self.emit(k, h[ok], ip[ok], dev[ok], count[ok], USE, minute=minute)
        self.emit(k, h[bad], ip[bad], dev[bad], 1 + count[bad] // self.n(2, 40), FAIL, minute=minute)

    def live(self, pattern: str, host: Host, stack: int, when: When, roam: float = 0.0, minute: int = -1) -> int:
        """One innocent person with a key (now and then two) in one process, who may work from elsewhere at times."""
        r, who, k = self.rng, self.person(), 0
        for _ in range(1 + (r.random() < 0.06)):
            k = self.key(who, pattern, None if not who[1] or r.random() < 0.5 else next(iter(who[1])))
            span, on = self.span(), self.some(when)
            if r.random() < roam:
                away = self.blocks(self.pick((6, 12, 24)), r.uniform(0.1, 0.5))
                there = self.phone() if r.random() < 0.4 else self.home()
                self.run(k, there, stack if r.random() < 0.5 else self.stack(), on & away, span)
                on &= ~away
            self.run(k, host, stack, on, span, minute)
        if not host.stick:
            self.configs.append((host, stack))
        return k

    def solo(self, pattern: str) -> None:
        """One innocent person by himself."""
        r = self.rng
        if pattern == "key_rotation":
            who, host, stack, when, at = self.person(), self.place(), self.stack(), self.habit(), self.n(1, self.hours)
            self.run(self.key(who, pattern), host, stack, when, (0, at))
            second = self.key(who, pattern, next(iter(who[1])))
            self.run(second, host, stack, when, (max(0, at - self.n(30)), self.hours))
        elif pattern == "multi_exchange":
            who, host, stack, when, minute = self.person(), self.place(), self.stack(0.25), self.habit(), self.n(60)
            for ex in r.choice(5, self.n(2, 6), replace=False, p=MARKET_SHARE):
                k, own = self.key(who, pattern, int(ex)), when if r.random() < 0.6 else self.habit()
                self.run(k, host, stack if r.random() < 0.9 else self.stack(), own, None, minute)
            self.configs.append((host, stack))
        elif pattern == "roamer":  # at one place at a time, mostly the place of that part of the day
            who, when = self.person(), self.habit("human" if r.random() < 0.7 else "", 1.3)
            hosts = [self.home(), self.phone(), self.pick((self.vpn, self.server))(), self.home()][: self.n(2, 5)]
            stacks = [self.stack(0.35) for _ in range(1 + (r.random() < 0.35))]
            usual = r.integers(len(hosts), size=4)[self.kst // 6]
            at_hour = np.where(self.blocks(6, r.uniform(0.5, 0.9)), usual, self.clock // 3 * self.n(1, 99) % len(hosts))
            for _ in range(1 + (r.random() < 0.2)):
                k, span, on = self.key(who, pattern), self.span(), self.some(when)
                for i, host in enumerate(hosts):
                    self.run(k, host, stacks[min(i, len(stacks) - 1)], on & (at_hour == i), span)
        elif pattern == "power_user":  # laptop, staging, production, a tracker, a library to try: all with the same key
            who, hosts = self.person(), [self.pick((self.phone, self.vpn, self.place))() for _ in range(self.n(2, 5))]
            mine = [self.key(who, pattern) for _ in range(self.n(1, 3))]
            for _ in range(self.n(4, 10)):
                self.run(self.pick(mine), self.pick(hosts), self.stack(), self.habit("", 0.7), self.span(0.3, 0.3))
        else:
            every = {"renumbering_daily": 24.0, "renumbering_weekly": 168.0}.get(pattern)
            kind = {"nine_oclock_script": "nine", "idle_key": "human", "carrier_nat": "human"}.get(pattern, "")
            maker = {"carrier_nat": self.phone, "vpn_habit": self.vpn}.get(pattern, self.place)
            host = self.home(every) if every else self.server(None, 1.0) if pattern == "cloud_move" else maker()
            top = {"popular_stack": 4, "nine_oclock_script": 8}.get(pattern)
            when = self.habit(kind, 0.1 if pattern == "idle_key" else 1.0)
            self.live(pattern, host, self.popular(top) if top else self.stack(), when, 0.08)

    def size(self, low: int, high: int, room: int) -> int:
        low = min(low, max(room, 15))
        return max(low, min(int(np.exp(self.rng.uniform(np.log(low), np.log(high + 1)))), room))

    def crowd(self, pattern: str, room: int) -> None:
        """Configs of people who know nothing of one another, or little, behind one egress; about room keys at most."""
        r = self.rng
        _, _, low, high, least, most, kind, roam = CROWDS[pattern]
        net = self.net(LINES if pattern in ("company_egress", "campus_egress", "pc_bang") else CLOUDS)
        image, loyal, plan = self.stack(0.2), r.uniform(least, most) / 100, self.habit()
        one = (
            self.home()
            if pattern.startswith("house")
            else self.server()
            if pattern == "two_friends"
            else self.host([self.inside(net)], fixed=pattern != "pc_bang")
        )
        one.deploy = -1
        ids = np.array([self.inside(net) for _ in range(self.n(1, 5))])
        ids = self.pool(CLOUDS, self.n(16, 90), 5) if pattern == "faas_egress" else ids
        if pattern == "portfolio_tracker":
            image, plan, net = self.bespoke(), self.habit("daily"), self.pick(self.racks)
        for _ in range(self.size(low, high, room)):
            host = one
            if pattern.endswith("egress"):
                host = self.host(r.permutation(ids)[: self.n(1, 8)], None, self.n(1, 30), False, 0.3)
            elif pattern in ("one_click_image", "portfolio_tracker"):
                host = self.server(net) if pattern.startswith("one") or r.random() < 0.01 else one
            same = plan if pattern in ("two_friends", "portfolio_tracker") and r.random() < 0.3 else self.habit(kind)
            self.live(pattern, host, image if r.random() < loyal else self.stack(0.06), same, roam)

    def image(self, pattern: str, room: int) -> None:
        """People who share an egress, an image and hours: a course, a small shop, the computer in a living room."""
        r, beat, hosts = self.rng, self.spells(self.rng.uniform(0.8, 2.5), self.n(3, 5)), [self.home()]
        low, high, loyal, joined, other, roam = 3, 6, 0.9, 0.6, "human", 0.15
        if pattern == "team_image":
            low, high, loyal, joined, roam = 3, 14, 0.82, r.uniform(0.15, 0.65), 0.3
            other = self.pick(("office", "timer", "market"))
            hosts = [self.server()] if r.random() < 0.5 else hosts
        elif pattern == "class_image":
            low, high, loyal, joined, net = 8, 40, r.uniform(0.5, 1.0), 0.95, self.net(LINES)
            hosts = [self.host([self.inside(net)]) for _ in range(self.n(1, 3))]
            start, days = self.n(9, 20), r.permutation(7)[: self.n(1, 4)]
            beat = np.isin((self.clock + 9) // 24 % 7, days) & (self.kst >= start) & (self.kst < start + self.n(2, 5))
        stack = self.stack(0.4)
        for _ in range(self.size(low, high, room)):
            with_all = beat & self.blocks(24, r.uniform(0.5, 1.0)) & self.some(r.uniform(0.25, 0.85))
            mine = stack if r.random() < loyal else self.stack()
            when: When = with_all | self.some(r.uniform(0, 0.03)) if r.random() < joined else self.habit(other)
            k = self.live(pattern, self.pick(hosts), mine, when, roam)
            if pattern == "class_image" and r.random() < 0.6:  # homework
                self.run(k, self.home(), mine if r.random() < 0.6 else self.stack(), self.habit("human", 0.6) * ~beat)

    def platform(self, pattern: str, n: int) -> None:
        """A bot service: customers choose among its strategies, some of which act for all their subscribers at once."""
        r, net, small = self.rng, self.pick(self.racks), "small" in pattern
        count = 1 if small else max(1, n // self.n(40, 300))
        hosts = [self.server(net if r.random() < 0.8 else None) for _ in range(count)]
        stacks = [self.stack(0.7) for _ in range(1 if small or r.random() < 0.5 else self.n(2, 4))]
        plans = [(self.habit(self.pick(PLANS)), self.spells(1.4, 3), self.n(60)) for _ in range(self.n(1, 7))]
        herd, own = r.uniform(0.15, 0.5) if small else r.uniform(0.0, 0.2), r.uniform(0.1, 0.4)
        for _ in range(n):
            plan, alert, minute = plans[min(int(r.exponential(1.5)), len(plans) - 1)]
            u = r.random()
            if u < herd:
                plan = ((alert & self.some(r.uniform(0.3, 0.95))) | self.some(r.uniform(0, 0.06))).astype(np.float64)
            elif u > 1 - own:
                plan, minute = self.habit(), -1
            self.live(pattern, self.pick(hosts), self.pick(stacks), plan, 0.07, minute)
        if pattern.endswith("declared"):
            device = self.stacks[stacks[0]] if len(stacks) == 1 and r.random() < 0.6 else None
            self.declared.append(
                {
                    "name": f"service-{len(self.declared) + 1}",
                    "device": device,
                    "ips": sorted({self.ips[x] for host in hosts for x in host.ids}),
                }
            )

    def ring(self, pattern: str, n: int, rid: str) -> int:
        """An operator's program with lent keys in its config; a key was, or is still, in its holder's config too."""
        r = self.rng
        trade = str(r.choice(["timer", "manual", "copy", "market"], p=[0.12, 0.42, 0.24, 0.22]))
        beat = (
            self.spells(r.uniform(0.8, 2.4), 4)
            if trade == "manual"
            else self.some(self.habit("human" if trade == "copy" else trade, r.uniform(1.0, 2.5)))
        )
        odd = r.random()
        hosts = [
            self.server()
            if odd < 0.7
            else self.home()
            if odd < 0.85
            else self.vpn()
            if odd < 0.92
            else self.pick(self.configs)[0]
        ]
        if pattern == "ring_pool":
            racks = [self.pick(self.racks) for _ in range(self.n(2, 7))]
            pool = np.unique([self.inside(racks[i % len(racks)]) for i in range(self.n(3, 13))])
            hosts = [self.host(pool, stick=int(r.choice([1, 3, 12, 48])))]
        elif pattern == "ring_residential":  # exits in the living rooms of innocent customers and of others
            exits = [int(self.pick(self.configs)[0].ids[-1]) for _ in range(90)]
            exits += [self.inside(self.pick(self.areas)) for _ in range(60)]
            hosts = [self.host(r.choice(exits, self.n(3, 40)), stick=self.n(1, 60), fixed=False)]
        elif n > 20:
            hosts = [self.server() for _ in range(self.n(1, 2 + n // 15))]
        stack, minute = self.stack(0.35), self.n(60) if r.random() < 0.6 else -1
        follow, before = r.beta(8 if n > 5 else 6, 2), r.uniform(0.2, 0.9)
        fresh, noise = r.uniform(0.2, 0.8), r.uniform(0.0, 0.05)
        whitelist, operator = r.random() < 0.6, self.person()
        one_exchange = int(r.choice(5, p=MARKET_SHARE)) if r.random() < 0.4 else None
        for ex in r.choice(5, self.n(1, 4) if r.random() < 0.6 else 0, replace=False, p=MARKET_SHARE):
            k = self.key(operator, pattern, int(ex), "operator-own", rid)
            self.run(k, hosts[0], stack, beat & self.some(0.9), (0, self.hours), minute)
        for i in range(n):
            k = self.key(who := self.person(), pattern, one_exchange, "owner", rid, True)
            self.listed[k] &= whitelist
            a = self.n(int(0.75 * self.hours)) if r.random() < fresh * 0.8 else 0
            b = int(r.integers(a + 1, self.hours) + 1) if r.random() < 0.07 else self.hours
            lag = np.roll(beat, 1) if trade == "copy" and r.random() < 0.35 else beat
            on = (lag & self.some(float(np.clip(follow + r.normal(0, 0.12), 0.15, 1)))) | self.some(noise)
            if pattern == "ring_staggered":  # its turn comes in some of the operator's sessions, a few hours a week
                on = (beat & self.blocks(self.pick((6, 24)), r.uniform(0.15, 0.6))) | self.some(0.004)
            mine = stack if r.random() < 0.96 else self.newer[stack]
            mine = self.stack(0.3) if pattern == "ring_stack_per_key" else mine
            self.run(k, hosts[i % len(hosts)], mine, on, (a, b), minute)
            home, old = self.place() if r.random() < 0.8 else self.phone(), self.stack()
            habit = self.habit("human" if r.random() < 0.6 else "")
            if pattern == "ring_holder_active":
                self.run(k, home, old, habit, (0, self.hours))
            elif a and r.random() < before:
                self.run(k, home, old, habit, (0, a))
            elif r.random() < 0.12:
                self.run(k, home, old, self.habit("human", 0.15), (0, self.hours))
            if r.random() < 0.15:
                self.run(self.key(who, pattern, None, "lender-other", rid), home, old, self.habit(), (0, self.hours))
        return n

    def shared(self, pattern: str, n: int, rid: str) -> int:
        """One key in many configs: a signal room's premium key, a course teacher's, a forum post's."""
        r, k = self.rng, self.key(self.person(), pattern, guilty=True)
        low, high = {"key_shared_rarely": (3, 6), "key_shared_3_12": (4, 12)}.get(pattern, (8, 60))
        parties, script, same = self.size(low, high, high), self.stack(0.4), self.pick((0, 0, 0.3, 0.9))
        for i in range(parties):
            host, stack, when = self.place() if r.random() < 0.75 else self.phone(), self.stack(), self.habit("", 0.7)
            host, stack = self.pick(self.configs) if r.random() < 0.35 else (host, stack)
            if parties > 12 or pattern.endswith("rarely"):
                when = self.habit("human", r.uniform(0.1, 0.7) if parties > 12 else r.uniform(0.08, 0.3))
            stack = script if r.random() < same else stack
            self.run(k, host, stack, when, self.span(0.35, 0.25) if i else (0, self.hours))
        return 1

    def leak(self, pattern: str, n: int, rid: str) -> int:
        """A list of stolen keys is walked through, at their own exchange and often at the others."""
        r, slow = self.rng, pattern == "leak_slow_scattered"
        n = self.n(2, 7) if pattern == "leak_small_set" else n
        kinds = (self.server, self.vpn, self.home, self.phone)[: 4 if slow else 3 if n < 7 else 2]
        hosts = [self.pick(kinds)() for _ in range(self.n(6, 40) if slow else self.n(1, 4) if n < 7 else 1)]
        stacks = [self.stack(0.3) for _ in range(self.n(1, 4) if slow else 1)]
        full, luck, begin = r.uniform(0.3, 1.0) * (r.random() < 0.75), r.uniform(0.1, 0.6), self.n(0.8 * self.hours)
        length = self.hours - begin if slow else int(min(self.hours - begin, r.lognormal(2.0, 1.0) + 1))
        for _ in range(n):
            k = self.key(self.person(), pattern, ring=rid, guilty=True)
            if r.random() < 0.85:
                self.run(k, self.place() if r.random() < 0.8 else self.phone(), self.stack(), self.habit())
            at = begin + self.n(max(1, length))
            others = [x for x in range(5) if x != self.key_ex[k] and r.random() < full]
            for x in [self.key_ex[k], *others]:
                times = 1 + int(r.random() < 0.3 if slow else r.poisson(0.4))
                h = np.minimum(at + np.cumsum(r.poisson(6.0 if slow else 0.4, times)), self.hours - 1)
                host, dev = self.pick(hosts), self.pick(stacks)
                hit, ip = x == self.key_ex[k] and r.random() < luck, int(r.choice(host.ids))
                if not hit or r.random() < 0.85:
                    self.emit(k, h, np.full(times, ip), np.full(times, dev), 1 + r.poisson(0.5, times), FAIL, x)
                if hit:
                    go = np.unique(np.minimum(h[-1] + r.integers(0, 30, size=self.n(1, 6)), self.hours - 1))
                    self.emit(k, go, np.full(go.size, ip), np.full(go.size, dev), 1 + r.poisson(4, go.size), USE)
        return n

    def build(self) -> None:
        r = self.rng
        weight = {p: float(r.uniform(0.7, 1.3)) for p in GUILTY}
        bounds = ALONE | TOGETHER | {p: row[:2] for p, row in CROWDS.items()}
        share = {p: float(r.uniform(low, high)) for p, (low, high) in bounds.items()}
        for pattern, part in share.items():
            goal, start = max(1, round(part * self.target / max(100, 1.1 * sum(share.values())))), len(self.key_ex)
            while (left := goal - (len(self.key_ex) - start)) > 0:
                if pattern in ALONE:
                    self.solo(pattern)
                elif left < goal and left <= min(12, 0.35 * goal):
                    break
                elif pattern.startswith("platform"):
                    self.platform(pattern, self.size(*((15, 59) if "small" in pattern else (120, 700)), left))
                else:
                    (self.crowd if pattern in CROWDS else self.image)(pattern, left)
        guilty = (1 - self.innocent) * self.target
        while len(self.key_ex) < self.target - 1.25 * guilty:  # leaves room for operators' own and lenders' other keys
            self.solo("single_bot")
        made, owed = 0, 0.0
        for pattern in sorted(r.permutation(GUILTY).tolist(), key=lambda p: p == "ring_large" and guilty >= 200):
            quota, own = guilty * weight[pattern] / sum(weight.values()), 0
            owed += quota
            act: Callable[[str, int, str], int] = {"r": self.ring, "k": self.shared, "l": self.leak}[pattern[0]]
            while owed - made > 0.5 * min(3, quota) and own < quota - 1:
                low, high = {"ring_small": (3, 5), "ring_large": (50, 110)}.get(pattern, (4, 26))
                room = int(max(3, 2.2 * quota if high > 50 else quota - own + 3))
                done = act(pattern, min(room, self.size(low, high, high)), f"{pattern}-{len(self.key_ex)}")
                made, own = made + done, own + done

    def rows(self) -> Iterator[dict[str, object]]:
        r, parts = self.rng, self.parts
        sizes = np.array([p[0].size for p in parts])
        hour, ip, dev, count = np.concatenate([np.array((p[0], p[2], p[3], p[4]), np.int64) for p in parts], axis=1)
        key, kind, ex, minute = np.repeat(np.array([(p[1], *p[5:]) for p in parts]), sizes, axis=0).T
        code = (key * len(self.ips) + ip) * (len(self.stacks) + 1) + dev + 1
        code = ((code * self.hours + hour) * 3 + kind) * 5 + ex
        _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        total = np.bincount(inverse, weights=count).astype(np.int64)
        hour, ip, dev, key, kind, ex, minute = (c[first] for c in (hour, ip, dev, key, kind, ex, minute))
        total[kind == ALLOW] = 1
        late = (np.where(minute < 0, r.integers(60, size=hour.size), minute) * 60 + r.exponential(240, ex.size)) % 3600
        ts, blank = EPOCH + hour * 3600 + late.astype(np.int64), r.random(hour.size) < self.lost_holder
        devices, order = [*self.stacks, None], np.argsort(ts, kind="stable")
        for low in range(0, order.size, 65_536):
            columns = [c[order[low : low + 65_536]].tolist() for c in (ts, ex, key, ip, dev, total, kind, blank)]
            for t, e, k, x, d, c, w, gone in zip(*columns, strict=True):
                name, account, holder = self.named[k]
                own = self.key_ex[k] == e
                yield {
                    "ts": t,
                    "exchange": EXCHANGES[e],
                    "key": name,
                    "account": account if own else None,
                    "holder": holder if own and not gone else None,
                    "ip": self.ips[x],
                    "device": devices[d],
                    "count": c,
                    "kind": KINDS[w],
                }


def market(seed: int, keys: int, days: int, *, innocent: float = 0.978, holders: bool = True) -> Market:
    """Sightings in time order, the truth about every issued key, and the declared services."""
    gateway = Gateway(seed, keys, days, innocent, holders)
    gateway.build()
    return gateway.rows(), gateway.truth, gateway.declared
