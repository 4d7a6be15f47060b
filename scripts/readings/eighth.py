"""Synthetic API traffic of five Korean crypto exchanges: a market of random effects.

Nobody here is a type. Each person, place, client and group carries latent traits - activity, regularity, mobility,
care, number of machines, clock phase, nerves - drawn from wide, heavy-tailed, overlapping distributions whose
hyper-parameters are drawn anew for every seed. A pattern is a configuration of traits: a class is a crowd with a common
clock and image, a bot service a crowd with a common machine, a ring of lent keys is both with one will behind it. Rings
differ from teams, services and families jointly, never in one coordinate. Disturbances (expiry, clocks, wrong exchange,
allow-lists, upgrades, outages, volatile hours) are effects of persons and exchanges, on the guilty and innocent alike.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Row = dict[str, Any]
Place = tuple[Ints, float, int]  # the address of each hour, how often he is there, with which client
START = 1780272000  # Monday 2026-06-01 00:00 UTC
EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
KINDS, USE, FAIL, LIST = ("use", "auth_fail", "allowlist"), 0, 1, 2
NEVER = 10**6
BLOCKS: dict[str, tuple[str, ...]] = {
    "home": (
        "1.2",
        "14.3",
        "58.1",
        "59.",
        "61.7",
        "112.1",
        "114.2",
        "115.1",
        "118.3",
        "119.6",
        "121.1",
        "122.3",
        "124.5",
        "175.1",
        "180.6",
        "183.10",
        "211.1",
        "218.3",
        "220.8",
        "221.14",
        "222.11",
    ),
    "carrier": ("223.3", "223.6", "106.10", "110.7", "175.22", "117.11", "39.7", "118.23", "211.23", "27.17"),
    "office": ("210.9", "211.3", "203.24", "61.3", "121.13", "125.1", "112.21", "168.12"),
    "campus": ("147.4", "163.15", "143.24", "165.13", "115.14", "141.22", "155.23", "166.10"),
    "cloud": (
        "3.3",
        "13.12",
        "13.20",
        "15.16",
        "43.20",
        "52.7",
        "54.18",
        "34.6",
        "35.21",
        "158.24",
        "141.16",
        "64.17",
        "146.5",
        "152.6",
        "132.14",
        "27.9",
        "101.10",
        "211.18",
        "49.5",
    ),
    "vpn": ("45.7", "89.18", "146.7", "185.2", "193.2", "37.12", "5.18", "103.5", "156.14"),
    "foreign": ("139.16", "188.16", "167.9", "8.21", "47.7", "157.24", "65.2", "95.21", "51.7", "194.16", "80.7"),
}
V6 = ("2001:2d8", "2001:e60", "2406:5900", "2406:da12", "2600:1f1", "240b:c0")
LOOKALIKE = ("platform_small", "class_image", "team_image", "power_user", "household_one", "friends_server")
SHARES = {
    "single_bot": 20.0,
    "popular_stack": 9.0,
    "multi_exchange": 13.0,
    "carrier_nat": 6.0,
    "company_egress": 4.0,
    "campus_egress": 3.0,
    "platform_large": 4.0,
    "platform_large_declared": 6.0,
    "platform_small_declared": 1.2,
    "roamer": 8.0,
    "shared_hosting": 3.0,
    "nat_gateway": 2.5,
    "faas_egress": 2.5,
    "household_each": 4.5,
    "renumbering_daily": 4.0,
    "renumbering_weekly": 4.0,
    "vpn_crowd": 2.0,
    "pc_room": 1.0,
    "template_bot": 2.0,
    "mover": 2.5,
    "dormant": 3.0,
}
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


@dataclass
class Traits:
    level: float  # active hours a day
    regular: float  # chance of being a timer rather than a mood
    phase: float  # local hour of the peak
    width: float  # concentration around it
    burst: float  # spread of day effects
    nerves: float  # answer to volatile hours
    weekend: float
    mobility: float
    care: float
    stacks: int


@dataclass
class Person:
    t: Traits
    holder: str
    devices: list[int]
    upgrade: int
    accounts: dict[int, tuple[str, bool]] = field(default_factory=dict)


@dataclass
class Key:
    index: int
    exchange: int
    name: str
    who: Person
    truth: Row
    born: int
    expires: int
    clock: float
    listed: float


class World:
    def __init__(self, seed: int, keys: int, days: int, holders: bool) -> None:
        rng = self.rng = np.random.default_rng([seed, 80808])
        self.days, self.span, self.holders, self.size = days, days * 24, holders, keys
        self.hours = np.arange(self.span)
        self.local, self.saturday = (self.hours + 9) % 24, np.isin((self.hours + 9) // 24 % 7, (5, 6))
        self.keys: list[Key] = []
        self.addresses: list[str] = []
        self.known_address: dict[str, int] = {}
        self.chunks: list[tuple[Ints, Ints, Ints, Ints, Ints, Ints, Ints]] = []
        self.declared: list[Row] = []
        # hyper-parameters of this market
        self.anonymous, self.forgets = rng.uniform(0.10, 0.60, 5), rng.beta(1.2, 30, 5)
        self.blind, self.reports_lists = rng.beta(1.2, 40, 5), rng.uniform(0.35, 1.0, 5)
        self.popular = rng.dirichlet(np.array([45, 30, 12, 8, 6]) / 2 + 2)
        self.mean_level, self.sd_level = rng.normal(0.15, 0.2), rng.uniform(0.75, 1.05)
        self.timers, self.v6 = rng.uniform(0.25, 0.5), rng.uniform(0.03, 0.15)
        # habit of listing; trouble: expiry, clock, wrong exchange, list failure, upgrade
        self.lists_habit, self.trouble = rng.uniform(0.4, 0.9), rng.lognormal(0, 0.35, 5)
        calm = np.exp(np.convolve(rng.normal(0, rng.uniform(0.15, 0.35), self.span), np.ones(3) / 3, "same"))
        self.market, self.down = calm, np.zeros((5, self.span), bool)
        for _ in range(int(rng.poisson(0.35 * days)) + 1):
            at, last = int(rng.integers(self.span)), int(rng.integers(1, 5))
            calm[at : at + last] *= rng.uniform(1.5, 5.0)
        for e in np.repeat(np.arange(5), rng.poisson(0.12 * days, 5)):
            at = int(rng.integers(self.span))
            self.down[e, at : at + int(rng.integers(1, 4))] = True
        # networks
        counts = {
            "home": keys // 60 + 12,
            "carrier": 12,
            "office": keys // 150 + 6,
            "campus": 8,
            "cloud": keys // 90 + 10,
            "vpn": 6,
            "foreign": 30,
        }
        self.nets = {kind: [self.prefix(kind) for _ in range(n)] for kind, n in counts.items()}
        crowd = rng.uniform(8, 60)
        pool = max(4, int(keys * 0.5 / crowd))
        self.carrier_pool = np.array([self.address("carrier") for _ in range(pool)])
        self.vpn_exits = np.array([self.address("vpn") for _ in range(max(3, keys // 400 + int(rng.integers(3, 12))))])
        # clients: a few popular ones, a long tail, an upgrade for each
        self.devices: list[str] = []
        for i in range(260):
            self.client(agent=0 if i < 2 or i % 5 == 0 else None)
        self.upgrades: dict[int, int] = {}
        weight = 1.0 / (np.arange(260) + rng.uniform(0.5, 3)) ** rng.uniform(0.95, 1.3)
        self.device_weight = np.cumsum(weight / weight.sum())

    # --- things ---
    def prefix(self, kind: str) -> str:
        head, _, tail = str(self.rng.choice(BLOCKS[kind])).partition(".")
        second = int(tail + str(self.rng.integers(0, 6))) if len(tail) < 3 else int(tail)
        return f"{head}.{min(second, 250)}.{self.rng.integers(1, 255)}"

    def intern(self, ip: str) -> int:
        if ip not in self.known_address:
            self.known_address[ip] = len(self.addresses)
            self.addresses.append(ip)
        return self.known_address[ip]

    def address(self, kind: str, net: str | None = None) -> int:
        nets = self.nets[kind]
        return self.intern(f"{net or nets[self.die(len(nets))]}.{self.rng.integers(1, 255)}")

    def net(self, kind: str) -> str:
        return self.nets[kind][self.die(len(self.nets[kind]))]

    def hexes(self, n: int) -> str:
        return self.rng.bytes((n + 1) // 2).hex()[:n]

    def client(self, own: bool = False, agent: int | None = None) -> int:
        """A new client stack; an own one has a name that nobody else has."""
        r = self.rng
        agents = (
            "python-requests/2.3{a}.{b}",
            "Python/3.1{b} aiohttp/3.1{a}.{c}",
            "python-httpx/0.2{a}.{b}",
            "Go-http-client/2.0",
            "okhttp/4.1{a}.0",
            "axios/1.{a}.{c}",
            "Java-http-client/1{a}",
            "ccxt/4.{b}.{c}",
            "curl/8.{a}.0",
            "Apache-HttpClient/5.{b}.{a}",
            "reqwest/0.1{b}",
            "WinHttp.WinHttpRequest.5",
            "node-fetch/2.{a}.{b}",
            "Mozilla/5.0 Chrome/1{c}.0.0.0",
        )
        names = ("AutoTrade", "coinbot", "gridmaster", "kimpbot", "MoonTrader", "quantlab", "scalper", "trader", "arbi")
        habit = np.array([20, 9, 6, 5, 5, 6, 4, 8, 2, 3, 3, 2, 5, 6]) / 84
        form = agents[int(r.choice(14, p=habit)) if agent is None else agent]
        form = f"{r.choice(names)}-{self.hexes(3)}/{{a}}.{{b}}" if own else form
        agent_name = form.format(a=r.integers(0, 10), b=r.integers(0, 4), c=r.integers(18, 46))
        hello = f"t13d{r.integers(10, 32):02d}{r.integers(5, 18):02d}h{r.integers(1, 3)}"
        self.devices.append(f"{hello}_{self.hexes(12)}_{self.hexes(12)}|{agent_name}")
        return len(self.devices) - 1

    def stack(self) -> int:
        if self.rng.random() < 0.08:
            return self.client(own=True)
        return int(np.searchsorted(self.device_weight, self.rng.random() * 0.99999))

    def newer(self, device: int) -> int:
        """The client after its next upgrade: mostly the same for everybody who has it."""
        if device not in self.upgrades:
            self.upgrades[device] = self.die(260) if self.rng.random() < 0.3 else self.client()
        return self.upgrades[device]

    # --- people ---
    def traits(self) -> Traits:
        r = self.rng
        level = float(np.clip(np.exp(self.mean_level + self.sd_level * r.standard_t(5)), 0.04, 24))
        phase = (21.0, 10.0, 14.0, 2.0)[int(r.choice(4, p=[0.5, 0.2, 0.2, 0.1]))] + 2.5 * r.normal()
        regular = float(r.random() < self.timers) * r.beta(4, 1) + r.beta(1, 9) * 0.5
        return Traits(
            level,
            regular,
            phase,
            r.gamma(2.0, 0.6),
            r.gamma(2, 0.35),
            r.gamma(1.5, 0.5),
            r.lognormal(-0.1, 0.5),
            r.gamma(0.8, 0.12),
            r.beta(2.2, 1.4),
            1 + r.poisson(r.gamma(0.7, 0.5)),
        )

    def person(self, device: int | None = None, like: Traits | None = None, blend: float = 0.0) -> Person:
        """A person; `like` pulls the clock, level and regularity towards a group's by the share `blend`."""
        t = self.traits()
        if like is not None:
            t.phase += blend * (like.phase - t.phase)
            t.level = float(np.exp((1 - blend) * np.log(t.level) + blend * np.log(like.level)))
            t.regular += blend * (like.regular - t.regular)
            t.width += blend * (like.width - t.width)
        devices = [self.stack() if device is None else device] + [self.stack() for _ in range(min(t.stacks, 5) - 1)]
        often = 0.08 * self.trouble[4] * self.days / 14
        upgrade = self.die(self.span) if self.rng.random() < often else NEVER
        return Person(t, self.hexes(16), devices, upgrade)

    def active(self, t: Traits) -> Bools:
        """The hours in which somebody with these traits acts."""
        r, clock = self.rng, np.exp(t.width * np.cos((np.arange(24) - t.phase) * np.pi / 12))
        clock /= clock.mean()
        if r.random() < t.regular:
            if t.level > 8:
                mask = r.random(self.span) < r.beta(12, 1)
            elif r.random() < 0.3:
                mask = (self.hours + self.die(24)) % max(1, round(24 / t.level)) == 0
            else:
                slots = r.choice(24, size=min(24, max(1, round(t.level))), replace=False, p=clock / 24)
                mask = np.isin(self.local, slots) & self.thin(r.beta(8, 1.3))
        else:
            day = np.repeat(np.exp(r.normal(-(t.burst**2) / 2, t.burst, self.days)), 24)
            rate = 0.55 * t.level / 24 * clock[self.local] * day * self.market**t.nerves
            rate *= np.where(self.saturday, min(t.weekend, 3), 1)
            mask = r.random(self.span) < 1 - np.exp(-rate)
            for stay in (0.5, 0.45):
                mask[1:] |= mask[:-1] & (r.random(self.span - 1) < stay)
        if r.random() < 0.15:
            at = self.die(self.span)
            mask[at : at + int(r.exponential(30)) + 1] = False
        return mask

    def exchanges(self, n: int) -> list[int]:
        return [int(e) for e in self.rng.choice(5, size=min(n, 5), replace=False, p=self.popular)]

    def thin(self, share: float) -> Bools:
        return self.rng.random(self.span) < share

    def die(self, low: int, high: int | None = None) -> int:
        return int(self.rng.integers(low, high))

    def key(
        self,
        who: Person,
        exchange: int,
        pattern: str,
        role: str = "owner",
        ring: str | None = None,
        guilty: bool = False,
    ) -> Key:
        r = self.rng
        if exchange not in who.accounts:
            who.accounts[exchange] = (self.hexes(12), bool(r.random() >= self.anonymous[exchange]))
        text = self.hexes(48)
        short, dashed = text[:32], str(uuid.UUID(text[:32]))
        name = (text[:40], (text, text[:40], short)[self.die(3)], dashed, short.upper(), dashed)[exchange]
        born = self.die(self.span) if r.random() < 0.12 else 0
        expires = self.die(self.span) if r.random() < 0.02 * self.trouble[0] else NEVER
        clock = r.beta(1, 8) if r.random() < 0.04 * self.trouble[1] else 0.0
        listed = self.lists_habit * (1.0 if exchange < 3 else 0.5) * float(r.random() < self.reports_lists[exchange])
        labels = (EXCHANGES[exchange], name, guilty, pattern, role, ring)
        truth: Row = dict(zip(("exchange", "key", "guilty", "pattern", "role", "ring"), labels, strict=True))
        k = Key(len(self.keys), exchange, name, who, truth, born, expires, clock, listed)
        self.keys.append(k)
        return k

    # --- places: the address of every hour ---
    def fixed(self, kind: str) -> Ints:
        if kind == "cloud" and self.rng.random() < 0.2:
            kind = "foreign"
        return np.full(self.span, self.address(kind))

    def server(self) -> Ints:
        return self.fixed("cloud")

    def segments(self, pool: Ints, stay: float) -> Ints:
        """Addresses of the pool in turn, each for about `stay` hours."""
        change = self.rng.random(self.span) < 1 / max(stay, 1.0)
        return pool[self.rng.integers(len(pool), size=int(change.sum()) + 1)[np.cumsum(change)]]

    def home(self, stay: float | None = None) -> Ints:
        r = self.rng
        if r.random() < self.v6:
            base = f"{r.choice(V6[:3])}:{r.integers(1, 65536):x}:{r.integers(1, 65536):x}"
            tails = [":".join(self.hexes(4) for _ in range(4)) for _ in range(5)]
            pool = np.array([self.intern(str(ipaddress.ip_address(f"{base}:{tail}"))) for tail in tails])
            return self.segments(pool, 30)
        stay = float(r.lognormal(7, 1.2)) if stay is None else stay
        nets = [self.net("home") for _ in range(1 + self.die(3))]
        pool = np.array([self.address("home", nets[i % len(nets)]) for i in range(2 + int(self.span / stay))])
        if 20 < stay < 26:  # at a fixed hour of the night
            return pool[((self.hours + self.die(24)) // 24) % len(pool)]
        return self.segments(pool, stay)

    def phone(self) -> Ints:
        near = self.rng.choice(self.carrier_pool, size=min(len(self.carrier_pool), 1 + self.die(6)), replace=False)
        return self.segments(near, float(self.rng.lognormal(2.2, 0.9)))

    def vpn(self) -> Ints:
        return self.segments(self.rng.choice(self.vpn_exits, size=3), 18)

    def habits(self, who: Person, places: list[Place]) -> list[Place]:
        """What anybody may do besides: look in from home, the phone, a tunnel, try a second machine."""
        r, m = self.rng, who.t.mobility
        for line, often in ((self.home, 1.0), (self.phone, 0.6), (self.vpn, 0.15), (self.server, 0.2)):
            if r.random() < 1.2 * often * (0.1 + 2 * m):
                places.append((line(), float(r.beta(1, 6)) * (0.3 + m), who.devices[self.die(len(who.devices))]))
        return places

    # --- traffic ---
    def emit(self, k: Key, hours: Ints, address: Ints, device: Ints, count: Ints, kind: int, at: int = -1) -> None:
        n = len(hours)
        same = [np.full(n, x) for x in (k.index, kind, k.exchange if at < 0 else at)]
        self.chunks.append((hours, same[0], address, device, count, same[1], same[2]))

    def counts(self, n: int, scale: float) -> Ints:
        return 1 + np.floor(np.exp(self.rng.normal(np.log(scale), 0.9, n))).astype(np.int64)

    def use(self, k: Key, mask: Bools, places: Sequence[Place], listed: float | None = None) -> None:
        """The key acts in the hours of `mask` at the places, with whatever goes wrong then."""
        r, who, hours = self.rng, k.who, np.flatnonzero(mask & (self.hours >= k.born) & ~self.down[k.exchange])
        n = len(hours)
        if not n:
            return
        weight = np.cumsum([p[1] for p in places])
        pick = np.minimum(np.searchsorted(weight, r.random(n) * weight[-1]), len(places) - 1)
        pick = pick[np.maximum.accumulate(np.where(r.random(n) < 0.45, np.arange(n), 0))]
        address, device = np.stack([p[0] for p in places])[pick, hours], np.array([p[2] for p in places])[pick]
        if who.upgrade < self.span:
            for d in set(device.tolist()):
                device = np.where((device == d) & (hours >= who.upgrade), self.newer(d), device)
        count, ok = self.counts(n, float(np.clip(r.lognormal(2.3, 1.1), 1, 400))), hours < k.expires
        late = ~ok & (r.random(n) < r.beta(1, 2))
        self.emit(k, hours[ok], address[ok], device[ok], count[ok], USE)
        self.emit(k, hours[late], address[late], device[late], count[late], FAIL)
        moved = np.flatnonzero(np.diff(address)) + 1
        moved = moved[r.random(len(moved)) < 0.12 * self.trouble[3] * (1.3 - who.t.care)]
        bad = np.unique(np.concatenate([moved, np.flatnonzero(r.random(n) < 0.08 * k.clock)]))
        self.emit(k, hours[bad], address[bad], device[bad], self.counts(len(bad), 2), FAIL)
        if r.random() < 0.012 * self.trouble[2]:  # pasted into the wrong exchange
            at = np.sort(r.integers(n, size=self.die(1, 4)))
            other = (k.exchange + self.die(1, 5)) % 5
            self.emit(k, hours[at], address[at], device[at], self.counts(len(at), 1.5), FAIL, other)
        if r.random() < (k.listed if listed is None else listed):
            seen, first, often = np.unique(address, return_index=True, return_counts=True)
            for i in np.argsort(-often)[: self.die(1, 6)]:
                if often[i] > 1 or n < 4:
                    again = r.integers(self.span, size=int(r.poisson(0.4)))
                    at = np.append(again, max(0, int(hours[first[i]]) - self.die(0, 3)))
                    self.emit(k, at, np.full(len(at), seen[i]), np.full(len(at), -1), np.ones(len(at), np.int64), LIST)

    def live(
        self, who: Person, pattern: str, places: list[Place], n: int | None = None, mask: Bools | None = None
    ) -> list[Key]:
        """A person's own keys at n exchanges, run by one program or one hand."""
        r = self.rng
        mask = self.active(who.t) if mask is None else mask
        places, tie, made = self.habits(who, places), r.beta(5, 1.5), []
        spots = self.exchanges(n or 1 + int(r.random() < 0.2) + int(r.random() < 0.06))
        for e in spots + spots[: int(r.random() < 0.04)]:
            k = self.key(who, e, pattern)
            self.use(k, mask & self.thin(tie) if len(spots) > 1 else mask, places)
            made.append(k)
        return made

    # --- the innocent ---
    def single(self, p: str, room: int) -> None:
        """One person's own: a bot on a server, a computer at home, several exchanges at once, roaming, renumbering."""
        r = self.rng
        if p == "template_bot" and r.random() < 0.03:
            self.templates = [self.client(own=True) for _ in range(self.die(3, 9))]
        who = self.person({"popular_stack": self.die(3), "template_bot": int(r.choice(self.templates))}.get(p))
        if p == "dormant":
            who.t.level, who.t.regular = float(r.lognormal(-2.3, 0.7)), 0.0
        who.t.mobility += r.gamma(2, 0.5) * (p == "roamer")
        who.t.regular = max(who.t.regular, 0.7 * (p == "faas_egress"))
        if p in ("carrier_nat", "vpn_crowd"):
            line = self.phone() if p == "carrier_nat" else self.vpn()
        elif p.startswith("renumbering"):
            line = self.home(24.0 if p.endswith("daily") else float(r.uniform(100, 200)))
        elif p == "faas_egress":
            line = self.segments(self.functions[self.die(len(self.functions))], float(r.choice((1.0, 1.0, 3.0))))
        else:
            own = {"single_bot": 0.25, "multi_exchange": 0.3}.get(p, 0.6)
            line = self.home() if r.random() < own else self.server()
        if p == "mover":
            later = self.server() if r.random() < 0.7 else self.home()
            line = np.where(self.hours < r.integers(self.span), line, later)
        n = 2 + int(r.binomial(3, r.beta(1, 3))) if p == "multi_exchange" else None
        self.live(who, p, [(line, 1.0, who.devices[0])], n)

    def office(self, p: str, room: int) -> None:
        """Staff behind a few addresses with own machines or the house image, or tenants of one host or gateway."""
        r = self.rng
        kind, mean, most, hour = {
            "company_egress": ("office", 2.0, 200, 13),
            "campus_egress": ("campus", 3.0, 200, 16),
            "pc_room": ("home", 1.6, 60, 19),
        }.get(p, ("cloud", 2.1, 120, -1))
        n, net = int(np.clip(r.lognormal(mean, 0.9), 3, max(4, min(room, most)))), self.net(kind)
        many = 1 + int(r.poisson(n / 25)) if p != "shared_hosting" else 1
        pool = np.array([self.address(kind, net) for _ in range(many)])
        clock, image, uniform = self.traits(), self.stack(), r.beta(1, 14) * (hour >= 0)
        clock.phase = hour + 3 * r.normal()
        for _ in range(n):
            who = self.person(image if r.random() < uniform else None, clock if hour >= 0 else None, 0.6)
            who.t.regular = max(who.t.regular, r.beta(2, 2) * (hour < 0))
            places = [(self.segments(pool, 1.0 if r.random() < 0.4 else 1e4), 1.0, who.devices[0])]
            if r.random() < 0.6 * (hour >= 0):
                places.append((self.home(), float(r.lognormal(-0.7, 0.9)), who.devices[-1]))
            self.live(who, p, places)

    def platform(self, p: str, room: int) -> None:
        """A bot service: its machines, its client, its customers' settings, and signals that some of them follow."""
        r = self.rng
        n = self.die(15, 60) if "small" in p else int(np.clip(r.lognormal(5.4, 0.6), min(80, 9 + room), 9 + 1.3 * room))
        net = self.net("cloud")
        pool = np.array([self.address("cloud", net) for _ in range(1 + int(r.poisson(0.4 if n < 60 else 1 + n / 60)))])
        client = self.client(own=True) if r.random() < 0.4 else self.stack()
        mixed = self.stack() if r.random() < 0.3 else client
        signal, follow = self.active(self.person().t), r.beta(1.0, 3.5 if n < 60 else 30.0)
        if p.endswith("declared"):
            at = pool if r.random() < 0.8 else pool[: max(1, len(pool) - 1)]
            self.declared.append(
                {
                    "name": f"service-{self.hexes(4)}",
                    "ips": [self.addresses[int(i)] for i in at],
                    "device": self.devices[client] if r.random() < 0.7 else None,
                }
            )
        for _ in range(n):
            who = self.person(client if r.random() < 0.9 else mixed)
            who.t.care = 0.5 + 0.5 * who.t.care
            own = self.active(who.t)
            mask = (signal & self.thin(r.beta(3, 2.5))) | (own & self.thin(0.4)) if r.random() < follow else own
            joined = self.die(self.span) if r.random() < 0.15 else 0
            line = np.full(self.span, r.choice(pool)) if r.random() < 0.7 else self.segments(pool, 4)
            places = [(line, 1.0, who.devices[0])]
            keys = self.live(who, p, places, mask=mask & (self.hours >= joined))
            if r.random() < 0.4:
                again = [(self.home(), 1.0, self.stack())]
                for k in keys[: 1 + self.die(2)]:
                    self.use(k, self.active(who.t) & self.thin(r.beta(2, 2)), again)

    def image(self, p: str, room: int) -> None:
        """A course or a team: one image and one address in common hours, then everybody's own evenings."""
        r, school = self.rng, p == "class_image"
        n = self.die(7, 32) if school else int(np.clip(r.lognormal(1.7, 0.5), 3, 14))
        line = self.fixed(("campus", "office")[self.die(2)] if school or r.random() < 0.4 else "cloud")
        image, own, faithful = self.stack(), r.beta(1.5, 2.5), r.beta(9, 1.5)
        weekdays, start, last = r.integers(7, size=self.die(2, 7)), 9 + self.die(11), self.die(2, 5)
        lesson = np.isin((self.hours + 9) // 24 % 7, weekdays) & (self.local >= start) & (self.local < start + last)
        common = lesson if school else self.active(self.person().t)
        zeal, other = r.beta(3, 7) if school else r.beta(1.5, 6), np.roll(common, self.die(2, 30))
        for _ in range(n):
            who = self.person(image if r.random() < faithful else None)
            mask = (common if r.random() < 0.6 else other) & self.thin(r.beta(6 * zeal, 6 * (1 - zeal)))
            mask |= self.active(who.t) & self.thin(r.beta(2.5, 2))
            keys = self.live(who, p, [(line, 1.0, who.devices[0])], 1 if school else None, mask)
            if r.random() < own:
                spare = [(self.home(), 1.0, image if r.random() < 0.5 else self.stack())]
                self.use(keys[0], self.active(who.t) & self.thin(0.6), spare)

    def family(self, p: str, room: int) -> None:
        """A household or friends with a machine in common, who trade alone or together."""
        r = self.rng
        n, shared = 2 + int(r.binomial(3, 0.3 if p == "household_each" else 0.55)), p != "household_each"
        line = self.server() if p == "friends_server" else self.home()
        one, together, common = self.stack(), r.beta(1.5, 1.5), self.active(self.person().t)
        for _ in range(n):
            mask = self.active((who := self.person(one if shared and r.random() < 0.85 else None)).t)
            if shared and r.random() < together:
                mask = (common & self.thin(r.beta(4, 2))) | (mask & self.thin(1 - together))
            self.live(who, p, [(line, 1.0, who.devices[0])], mask=mask)

    def power(self, p: str, room: int) -> None:
        """Somebody with many clients on many machines."""
        r, who = self.rng, self.person()
        who.devices += [self.stack() for _ in range(2 + int(r.poisson(r.gamma(2, 1.2))))]
        who.t.level = max(who.t.level, float(r.lognormal(1.3, 0.6)))
        nets = [self.home(), self.phone()] + [self.server() for _ in range(1 + int(r.poisson(1.2)))]
        places = [(nets[self.die(len(nets))], float(r.gamma(0.8, 1)) + 0.02, d) for d in who.devices]
        for k in self.live(who, p, places):
            if r.random() < 0.6:
                self.use(k, self.active(who.t), places[::-1])

    # --- the guilty ---
    def trade(self) -> tuple[Traits, Bools]:
        """An operator's trade and hours: a timer, sessions by hand, copying a master, following the market."""
        r, t = self.rng, self.traits()
        t.level = float(np.clip(r.lognormal(1.95, 0.55), 1.2, 20))
        kind = int(r.choice(4, p=[0.12, 0.43, 0.25, 0.2]))
        t.regular, t.nerves = ((1.0, 0.0), (0.0, 0.5), (0.2, 1.0), (0.0, 2.5))[kind]
        t.burst += r.gamma(3, 0.3)
        pauses = np.cumsum(self.thin(1 / r.lognormal(3.2, 0.6))) + self.die(2)  # he stops and starts everything
        calls = r.random(self.span) < r.beta(4, 2)  # and acts only when his rule or his eye says so
        return t, self.active(t) & calls & ((pauses % 2 == 0) | (r.random() > 0.4 + 0.5 * t.regular))

    def ring(self, p: str, room: int) -> None:
        """One operator over the keys of at least three lenders."""
        r, size = self.rng, {"ring_small": (3, 5), "ring_large": (50, 100)}.get(p)
        n = int(r.integers(size[0], size[1] + 1)) if size else int(np.clip(r.lognormal(2.6, 0.5), 6, 45))
        n = max(3, min(n, max(50 if p == "ring_large" else 7, int(1.5 * room))))
        name, (t, signal) = f"ring-{len(self.keys)}", self.trade()
        signal &= self.thin(r.uniform(0.35, 1.0) if p == "ring_small" else 1.0)
        operator = self.person(self.client(own=True) if r.random() < 0.35 else None, t, 1.0)
        client, fits, at_home = operator.devices[0], r.beta(9, 1), r.random() < 0.2
        machines = 1 + int(r.poisson(0.2 + n / 100))
        servers = [self.home() if at_home else self.server() for _ in range(machines)]
        if r.random() < 0.2:
            servers = [np.where(self.hours < r.integers(self.span), s, self.server()) for s in servers]
        some = 2 + self.die(1, 2 + n // 2)
        pool = np.array([self.address("cloud" if r.random() < 0.7 else "vpn") for _ in range(some)])
        if p == "ring_residential":
            pool = np.array([self.address("home") for _ in range(int(n * r.uniform(0.15, 1.0)) + 2)])
        stay, held, stagger = float(r.lognormal(2.3, 0.9)), r.beta(9, 1.4), r.uniform(0.2, 0.5)  # held: coherence
        moonlight = r.beta(2, 2.5) if p == "ring_holder_active" else r.beta(1, 4) * 0.6
        newcomers, lists, period = r.beta(2, 2), r.beta(2, 2), int(r.choice((12, 24, 48)))
        begun = self.die(self.span) // 2 if r.random() < 0.4 else 0
        while n > 0:
            who, spots = self.person(), self.exchanges(1 + int(r.random() < 0.2))
            n -= 1
            new, engaged, lag = r.random() < newcomers, r.beta(10 * held + 1, 10 * (1 - held)), int(r.random() < 0.12)
            joined = max(begun, self.die(int(self.span * 0.7))) if r.random() < 0.3 else begun
            mask = np.roll(signal, lag) & self.thin(engaged)
            mask |= self.active(t) & self.thin((1 - held) * 0.35)
            if p == "ring_staggered":
                block = self.hours // period
                mask &= r.permutation(int(block[-1]) + 1)[block] < stagger * (block[-1] + 1)
            mine, own = self.active(who.t), [((self.home if r.random() < 0.7 else self.server)(), 1.0, who.devices[0])]
            if p in ("ring_pool", "ring_residential"):
                line = self.segments(pool if r.random() < 0.7 else r.choice(pool, size=min(3, len(pool))), stay)
            else:
                line = servers[self.die(machines)]
            device = client if p != "ring_stack_per_key" and r.random() < fits else self.stack()
            places = [(line, 1.0, device)]
            for e in spots:
                k = self.key(who, e, p, "lent", name, True)
                if new:
                    k.born = max(k.born, joined) if joined else k.born
                elif joined:
                    self.use(k, mine & (self.hours < joined), own)
                self.use(k, mask & (self.hours >= joined), places, float(r.random() < lists) * k.listed)
                if r.random() < (0.9 if p == "ring_holder_active" else 0.3):
                    self.use(k, mine & (self.hours >= joined) & self.thin(moonlight), own)
            if r.random() < 0.2:
                self.use(self.key(who, self.exchanges(1)[0], p, "lender-other", name), mine, own)
        for e in self.exchanges(self.die(0, 4)):
            k = self.key(operator, e, p, "operator-own", name)
            places = [(servers[0], 1.0, client), (self.home(), 0.2, operator.devices[-1])]
            self.use(k, signal & (self.hours >= begun) & self.thin(0.8), places)

    def shared(self, p: str, room: int) -> None:
        """One key in many hands."""
        r = self.rng
        low, high = {"key_shared_8_60": (8, 60), "key_shared_3_12": (3, 12)}.get(p, (3, 6))
        n = int(np.exp(r.uniform(np.log(low), np.log(high + 0.9)))) if high == 60 else self.die(low, high + 1)
        owner = self.person()
        k = self.key(owner, self.exchanges(1)[0], p, "shared", f"{p}-{len(self.keys)}", True)
        k.born //= 2
        same, program = r.beta(1, 5), self.stack()
        for i in range(n):
            who = owner if i == 0 else self.person(program if r.random() < same else None)
            t, u = who.t, r.random()
            t.level = float(r.lognormal(-1.9, 0.7)) if p == "key_shared_rarely" else t.level * min(0.9, 7 / n) + 0.2
            t.regular *= 0.5
            line = (self.home if u < 0.45 else self.phone if u < 0.65 else self.vpn if u > 0.9 else self.server)()
            places = [(line, 1.0 / (j + 1), d) for j, d in enumerate(who.devices)]
            since = self.die(self.span) if i and r.random() < 0.4 else 0
            self.use(k, self.active(t) & (self.hours >= since), places, None if i < 3 else 0.0)
            if i and r.random() < 0.12:
                t.level = self.traits().level
                own = self.key(who, self.exchanges(1)[0], "single_bot")
                self.use(own, self.active(t), places[:1])

    def leak(self, p: str, room: int) -> None:
        """A dump of ordinary people's keys, tried by somebody who has found it."""
        r = self.rng
        n = self.die(3, 7) if p == "leak_small_set" else int(np.clip(r.lognormal(3.0, 0.5), 8, max(9, 1.5 * room)))
        tools, wide, open_door = [self.stack() for _ in range(1 + int(r.poisson(0.4)))], r.beta(9, 3), r.beta(1, 8)
        slow, name = p == "leak_slow_scattered", f"{p}-{len(self.keys)}"
        many = max(2, int(n * r.uniform(0.3, 1.2))) if slow else 1 + int(r.poisson(0.4)) * (p == "leak_small_set")
        addresses = [self.address(("vpn", "cloud", "foreign", "home")[self.die(4)]) for _ in range(many)]
        begin = self.die(self.span)
        width = max(2, int(self.span * r.uniform(0.3, 1.0)) if slow else int(r.lognormal(2, 1)))
        for _ in range(n):
            k = self.key(who := self.person(), self.exchanges(1)[0], p, "leaked", name, True)
            if r.random() < 0.85:
                line = self.home() if r.random() < 0.5 else self.server()
                self.use(k, self.active(who.t), self.habits(who, [(line, 1.0, who.devices[0])]))
            tries = 1 + int(r.poisson(1.2 if slow else 2.0))
            at = np.sort((begin + r.integers(width, size=tries)) % self.span)
            let, broad = r.random() < open_door, r.random() < wide
            for h in at:
                where = [k.exchange] + [e for e in range(5) if broad and e != k.exchange and r.random() < 0.5]
                spot, device = np.array([int(r.choice(addresses))]), np.array([tools[self.die(len(tools))]])
                for e in where:
                    kind = USE if let and e == k.exchange else FAIL
                    self.emit(k, np.array([h]), spot, device, self.counts(1, 2), kind, e)

    # --- the market ---
    def fill(self, p: str, want: float, make: Callable[[str, int], None]) -> None:
        """Groups of pattern p until about `want` keys are there; in a small market perhaps none."""
        guilty, lone, made = p in GUILTY, p.startswith(("key", "power")), 0
        if not lone and self.rng.random() > want / (30 if p == "ring_large" else 8):
            return
        while made < want - (4.0 if guilty and not lone and p != "ring_small" and want > 8 else 0.5):
            before = len(self.keys)
            make(p, max(1, int(np.ceil(want - made))))
            made += sum(k.truth["guilty"] == guilty and k.truth["pattern"] == p for k in self.keys[before:])

    def run(self, innocent: float) -> None:
        r, n, self.templates = self.rng, self.size, [self.client(own=True) for _ in range(5)]
        self.functions = []
        for _ in range(max(1, n // 3000)):
            nets = [self.net("cloud") for _ in range(8)]
            self.functions.append(np.array([self.address("cloud", nets[i % 8]) for i in range(self.die(30, 110))]))
        calls = {"plat": self.platform, "ring": self.ring, "leak": self.leak, "key_": self.shared}
        calls |= {"power_user": self.power, "class_image": self.image, "team_image": self.image}
        calls |= dict.fromkeys(("household_one", "household_each", "friends_server"), self.family)
        calls |= dict.fromkeys(("company_egress", "campus_egress", "pc_room"), self.office)
        calls |= dict.fromkeys(("shared_hosting", "nat_gateway"), self.office)
        alike = {p: n * float(np.exp(r.uniform(np.log(0.0006), np.log(0.0038)))) for p in LOOKALIKE}
        alike["friends_server"] *= 0.5
        base = {p: share * float(r.lognormal(0, 0.4)) for p, share in SHARES.items()}
        rest = (n * 0.978 - sum(alike.values())) / sum(base.values())
        alike |= {p: share * rest for p, share in base.items()}
        evil = dict(zip(GUILTY, (n * (1 - innocent) * r.dirichlet([6.0] * len(GUILTY))).tolist(), strict=True))
        for p, want in (alike | evil).items():
            self.fill(p, want, calls.get(p[:4], calls.get(p, self.single)))

    def rows(self) -> Iterator[Row]:
        r = self.rng
        hour, key, address, device, count, kind, where = map(np.concatenate, zip(*self.chunks, strict=True))
        order = np.lexsort((kind, where, device, address, key, hour))
        columns = [c[order] for c in (hour, key, address, device, kind, where)]
        first = np.flatnonzero(np.concatenate([[True], np.any([np.diff(c) != 0 for c in columns], axis=0)]))
        total = np.add.reduceat(count[order], first)
        hour, key, address, device, kind, where = (c[first] for c in columns)
        total, stamp = np.where(kind == LIST, 1, total), START + hour * 3600 + r.integers(3600, size=len(hour))
        device = np.where(r.random(len(hour)) < self.blind[where], -1, device)
        blank, order = (r.random(len(hour)) < self.forgets[where]), np.argsort(stamp, kind="stable")
        lists = [x[order].tolist() for x in (stamp, key, address, device, total, kind, where, blank)]
        for ts, k, a, d, c, m, e, b in zip(*lists, strict=True):
            own = self.keys[k]
            account, known = own.who.accounts[own.exchange] if own.exchange == e else (None, False)
            holder = own.who.holder if known and self.holders and not b else None
            yield {
                "ts": ts,
                "exchange": EXCHANGES[e],
                "key": own.name,
                "account": account,
                "holder": holder,
                "ip": self.addresses[a],
                "device": self.devices[d] if d >= 0 else None,
                "count": c,
                "kind": KINDS[m],
            }


def market(
    seed: int, keys: int, days: int, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[Row], list[Row], list[Row]]:
    """The sightings in time order, the truth of each issued key, the declared services."""
    w = World(seed, keys, days, holders)
    w.run(innocent)
    return w.rows(), [k.truth for k in w.keys], w.declared
