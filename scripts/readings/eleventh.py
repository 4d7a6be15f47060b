"""Synthetic API traffic of the five Korean exchanges, by the eleventh author: an agent-based view.

Everybody is a small state machine, stepped hour by hour (all at once): asleep, busy, watching, trading, travelling,
on holiday, changing tools, moving house, renting another server, or (machines) down. People, the programs they leave
running, operators of rings, classes, teams, services and finders of leaked keys are agents of one kind; they differ in
temperament only. A *track* ties a key to the agent who drives it, to the person whose places and tools they are, to an
address rule and to a client stack: an owner's key is driven by its owner or his machine, a lent key by an operator, a
shared key by many, a leaked key by a finder besides its owner. Traffic is what the states emit; nothing is drawn for a
pattern's sake but who drives what from where. A common market stirs everybody; rates and habits differ by world.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Rule = Callable[[Ints, int], Ints]  # hours and whose places -> addresses
START = 1780272000  # Monday 2026-06-01 00:00 UTC
EVER = 1 << 30
EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
ASLEEP, BUSY, WATCHING, TRADING, TRAVELLING, HOLIDAY, CHANGING, MOVING, RENTING, DOWN = range(10)
HOME, OFFICE, MOBILE, AWAY = range(4)
ALNUM = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
KINDS = ("use", "auth_fail", "allowlist")
CLOUD = {  # a provider's networks and its share of rented servers
    "aws": ("13.124 3.34 3.35 52.78 43.200 43.201 54.180 15.164 13.209", 30),
    "gcp": ("34.64 34.47 35.216", 9),
    "azure": ("20.196 20.200 52.231", 5),
    "naver": ("223.130 101.101 110.165", 9),
    "vultr": ("141.164 158.247", 13),
    "nhn": ("133.186 180.210", 4),
    "tokyo": ("13.230 52.68 18.178", 7),
    "contabo": ("161.97 207.180", 4),
    "hetzner": ("65.108 95.217 116.203", 4),
    "oracle": ("132.145 140.238", 8),
    "cafe24": ("183.111 222.122", 7),
}
LINE = {
    "kt": ("121.130 121.165 175.193 211.105 220.85 59.10 14.36", 42),
    "cable": ("61.83 116.120 27.35 123.111", 10),
    "skb": ("58.120 110.11 175.112 219.250", 27),
    "lgu": ("106.241 112.144 122.32 1.208 182.221", 21),
}
CELL = {"skt": ("223.38 223.39 223.62", 45), "ktm": ("39.7 175.223 110.70", 30), "lgm": ("106.101 117.111 211.234", 25)}
V6 = {"kt": "2001:e60", "skb": "2001:2d8", "lgu": "2406:5900", "aws": "2406:da12", "cell": "2001:4430"}
FAMILIES = (  # user agent, lowest version, versions in use, share
    ("python-requests/2.{}", 27, 9, 26.0),
    ("Python/3.{0} aiohttp/3.{0}.1", 8, 5, 12.0),
    ("axios/1.{}.2", 4, 8, 9.0),
    ("node-fetch/1.{}", 0, 2, 5.0),
    ("Go-http-client/{}.1", 1, 2, 8.0),
    ("okhttp/4.{}.0", 7, 6, 7.0),
    ("Java/{}.0.2", 11, 5, 4.0),
    ("Apache-HttpClient/5.{} (Java/17)", 1, 3, 3.0),
    ("reqwest/0.{}", 11, 2, 3.0),
    ("curl/8.{}.0", 1, 9, 2.0),
    ("PostmanRuntime/7.{}.0", 36, 7, 1.5),
    ("python-httpx/0.{}.0", 23, 5, 5.0),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/{}.0.0.0 Safari/537.36", 136, 9, 6.0),
    ("ccxt/4.{}", 2, 3, 4.0),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/{}.3 Safari/605.1.15", 16, 3, 2.0),
    ("Python/3.{} websockets/12.0", 9, 4, 4.0),
    ("Python-urllib/3.{}", 8, 5, 1.5),
    ("RestSharp/11{}.0.0", 0, 3, 1.5),
    ("libcurl/7.{} r-curl/5.2 httr/1.4", 80, 5, 0.5),
    ("Ruby/3.{}", 0, 4, 0.4),
)


class Cast:
    """The world's agents, keys, tracks, addresses and stacks, and the stepping of it all."""

    def __init__(self, seed: int, keys: int, days: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.H, self.days = days * 24, days
        self.agents, self.tracks, self.raw = list[tuple[Any, ...]](), list[Any](), list[tuple[int, ...]]()
        self.keys = list[tuple[int, str, str, str | None]]()
        self.accounts = dict[tuple[int, int], tuple[str, str | None]]()
        self.truth, self.declared = list[dict[str, Any]](), list[dict[str, Any]]()
        self.services, self.sibling = list[tuple[list[int], int]](), dict[int, int]()
        self.ips, self.devices, self.family = list[str](), list[str](), list[int]()
        self.unknown, self.share = rng.uniform(0.1, 0.6, 5), rng.dirichlet(np.array([18.0, 14.0, 7.0, 5.0, 3.0]))
        self.lapse, self.eager, self.listing = rng.uniform(0.005, 0.05), rng.uniform(0.8, 1.2), rng.uniform(0.55, 0.95)
        self.density = int(256 * rng.uniform(0.3, 0.8))
        weights: list[float] = []
        for number, (form, low, span, weight) in enumerate(FAMILIES):
            tls = [
                f"t13d{rng.integers(15, 60)}{rng.integers(8, 15):02d}{self.pick(('h1', 'h2', '00'))}_"
                f"{rng.bytes(6).hex()}_{rng.bytes(6).hex()}"
                for _ in range(self.between(2, 5))
            ]
            for cell, part in enumerate(rng.dirichlet(np.full(span * len(tls), 0.35))):
                self.devices.append(f"{tls[cell % len(tls)]}|{form.format(low + cell // len(tls))}")
                self.family.append(number)
                weights.append(weight * float(part * rng.lognormal(0, 0.2)))
        self.catalogue, self.popular = len(weights), np.array(weights) / sum(weights)
        self.top = np.argsort(-self.popular)[:4]
        self.cgnat = {name: [self.address(CELL[name][0]) for _ in range(3 * max(3, keys // 900))] for name in CELL}
        self.offices = [self.address(self.net(LINE)) for _ in range(max(4, keys // 30))]
        self.vpns = [self.address(CLOUD[self.pick(("vultr", "contabo", "hetzner"))][0]) for _ in range(4 + keys // 400)]
        self.homes = [self.address(self.net(LINE)) for _ in range(20)]
        level, jumpy = np.zeros(self.H), rng.uniform(0.01, 0.04)
        for hour in range(1, self.H):
            jump = rng.uniform(0.8, 2.4) if rng.random() < jumpy else 0.0
            level[hour] = 0.9 * level[hour - 1] + rng.normal(0, 0.22) + jump
        clock = (np.arange(self.H) + 9) % 24
        self.vol = np.exp(level) * (1 + 0.35 * np.cos((clock - 22) / 24 * 2 * np.pi) + 0.5 * (clock == 9))
        self.vol /= self.vol.mean()
        self.up = np.ones((5, self.H), dtype=np.bool_)
        for exchange in range(5):
            for at in rng.integers(0, self.H, rng.poisson(days / 8)):
                self.up[exchange, at : at + self.between(1, 4)] = False

    def pick(self, options: Any, p: Any = None) -> Any:
        return options[int(self.rng.choice(len(options), p=p))]

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def uni(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def near(self, mean: float, spread: float, low: float = 0.12) -> float:
        return float(np.clip(self.rng.normal(mean, spread), low, 0.98))

    def some_hours(self, share: float, block: int = 1) -> Bools:
        return np.asarray(np.repeat(self.rng.random(self.H // block + 1) < share, block)[: self.H])

    def net(self, nets: dict[str, tuple[str, int]]) -> str:
        """A provider's networks."""
        weights = np.array([weight for _, weight in nets.values()])
        return str(self.pick(tuple(nets.values()), weights / weights.sum())[0])

    def address(self, nets: str, block: int | None = None) -> int:
        block = self.between(0, self.density) if block is None else block
        self.ips.append(f"{self.pick(nets.split())}.{block}.{self.between(1, 254)}")
        return len(self.ips) - 1

    def rented(self) -> int:
        return self.address(self.net(CLOUD))

    def six(self, who: str) -> list[int]:
        """One /64 with its privacy addresses."""
        net, n = f"{V6[who]}:{self.between(1, 65535):x}:{self.between(1, 65535):x}", max(1, self.days // 3)
        self.ips += [f"{net}:{':'.join(f'{int(x):x}' for x in self.rng.integers(1, 65536, 4))}" for _ in range(n)]
        return list(range(len(self.ips) - n, len(self.ips)))

    def stack(self, own: float = 0.06) -> int:
        """A client stack as common as it is, or (a share `own`) somebody's program with a name of its own."""
        dev = int(self.rng.choice(self.catalogue, p=self.popular))
        if not self.chance(own):
            return dev
        name = self.pick(("bot", "trader", "autotrade", "grid", "arb", "mm")) + str(self.between(1, 9999))
        self.devices.append(f"{self.devices[dev].split('|')[0]}|{name}/{self.between(0, 4)}.{self.between(0, 20)}")
        return len(self.devices) - 1

    def newer(self, dev: int) -> int:
        """What a stack becomes by an upgrade."""
        if dev not in self.sibling and dev < self.catalogue:
            self.sibling[dev] = self.pick([d for d, f in enumerate(self.family) if f == self.family[dev] and d != dev])
        elif dev not in self.sibling:
            self.devices.append(self.devices[dev] + ".1")
            self.sibling[dev] = len(self.devices) - 1
        return self.sibling[dev]

    def person(self, eager: float = 1.0, office: float = 0.5, wake: float | None = None) -> int:
        rng, eager = self.rng, eager * self.eager * float(self.rng.lognormal(0, 0.6))
        wake = float(np.rint(rng.normal(7.5, 1.8))) % 24 if wake is None else wake
        watch, trade, holiday = min(0.7, 0.16 * eager), min(0.7, 0.25 * eager), self.pick((0, 0.0004, 0.0012))
        self.agents.append(
            (
                wake,
                rng.integers(13, 19),
                watch,
                trade,
                rng.uniform(0.25, 0.8),
                rng.gamma(1.5, 0.35),
                rng.random() < office,
                holiday,
                0,
                0,
                127,
                0,
            )
        )
        return len(self.agents) - 1

    def machine(self, hours: Any, weekdays: int = 127, above: float = 0.0) -> int:
        """A program that runs at these hours of the day (Korean time), on these days, when the market moves enough."""
        down, mask = self.pick((0.0005, 0.003, 0.01)), sum(1 << int(x) for x in {int(y) % 24 for y in hours})
        self.agents.append((0, 24, 0, 0, 0, 0, 0, 0, down, mask, weekdays, above))
        return len(self.agents) - 1

    def always(self, above: float = 0.0, weekdays: int = 127) -> int:
        return self.machine(range(24), weekdays, above)

    def block(self, low: int, high: int) -> Any:
        return self.between(0, 23) + np.arange(self.between(low, high))

    def program(self, long: float = 0.06) -> int:
        """Always on, on a timer, a few hours around the daily candle at nine, or when the market moves."""
        kind, days = self.rng.random(), 127 if self.chance(0.75) else 31 if self.chance(0.6) else self.between(1, 127)
        if kind < long:
            return self.always()
        if kind > 0.8:
            return self.always(self.uni(1.2, 2.8), days)
        scattered = self.rng.choice(24, self.between(1, 4), replace=False)
        daily = self.between(8, 11) + np.arange(self.between(1, 3))
        return self.machine(scattered if kind < 0.36 else daily if kind < 0.55 else self.block(2, 8), days)

    def step(self) -> None:
        """All agents, hour after hour: their states, places, and when they change tools, house and server."""
        rng, n, H, table = self.rng, len(self.agents), self.H, np.array(self.agents, dtype=np.float64).T
        wake, awake, watch, trade, stop, gain, office, holiday, down, mask, weekdays, above = table
        robot, bits, week = mask > 0, mask.astype(np.int64), weekdays.astype(np.int64)
        state = np.where(robot, ASLEEP, BUSY).astype(np.int8)
        states, places = np.empty((H, n), np.int8), np.empty((H, n), np.int8)
        self.retooled, self.moved, self.rerented = (np.full(n, H, dtype=np.int64) for _ in range(3))
        rare = (
            (self.retooled, CHANGING, 1 / (24 * rng.uniform(40, 120))),
            (self.moved, MOVING, 1 / (24 * 300)),
            (self.rerented, RENTING, 1 / (24 * rng.uniform(80, 250))),
        )
        for hour in range(H):
            day, dow, vol = (hour + 9) % 24, ((hour + 9) // 24) % 7, self.vol[hour]
            u, v = rng.random((2, n))
            lift, since, work = np.clip(1 + gain * (vol - 1), 0.2, 4.0), (day - wake) % 24, (office > 0) & (dow < 5)
            watching = np.where(u < trade * lift, TRADING, np.where(u > 0.7, BUSY, WATCHING))
            nxt = np.where(
                state == TRADING,
                np.where(u < stop, WATCHING, TRADING),
                np.where(state == WATCHING, watching, np.where(u < watch * lift, WATCHING, BUSY)),
            )
            commute, roused = work & ((since == 1) | (since == 11)) & (v < 0.8), v < 0.12 * gain * max(0.0, vol - 1.5)
            nxt = np.where(commute | (v > 0.985), TRAVELLING, nxt)
            nxt = np.where((since >= awake) & ~roused & ((state != TRADING) | (u < 0.7)), ASLEEP, nxt)
            nxt = np.where(((state == HOLIDAY) & (u > 1 / 70)) | (u < holiday), HOLIDAY, nxt)
            due = ((bits >> day & 1) == 1) & ((week >> dow & 1) == 1) & (vol > above)
            broken = np.where(state == DOWN, u > 0.15, u < down)
            nxt = np.where(robot, np.where(broken, DOWN, np.where(due, TRADING, ASLEEP)), nxt)
            for first, what, hazard in rare:
                hit = (rng.random(n) < hazard) & (first == H)
                first[hit] = hour
                nxt = np.where(hit & ~robot, what, nxt)
            states[hour] = state = np.asarray(nxt, dtype=np.int8)
            desk = np.where(work & (since > 1) & (since < 11), OFFICE, HOME)
            places[hour] = np.where(state == HOLIDAY, AWAY, np.where(state == TRAVELLING, MOBILE, desk))
        self.states, self.places = np.ascontiguousarray(states.T), np.ascontiguousarray(places.T)

    def server(self, ip: int, spare: int | None = None) -> Rule:
        return lambda h, who: np.where(h >= self.rerented[who], ip if spare is None else spare, ip)

    def pool(self, ips: list[int], hold: int = 1) -> Rule:
        """Another address of the pool every `hold` hours, at random."""
        pool, salt = np.array(ips), self.between(1, EVER)
        return lambda h, who: pool[((h // hold + salt) * 2654435761 % 4294967291 >> 7) % len(pool)]

    def house(self) -> tuple[Rule, int]:
        """Somebody's line at home: fixed for long, sometimes renumbered, sometimes IPv6."""
        if self.chance(0.09):
            net = self.six(self.pick(("kt", "skb", "lgu")))
            return self.pool(net, 24), net[0]
        ip, new = self.address(self.net(LINE)), self.address(self.net(LINE))
        self.homes.append(ip)
        if self.chance(0.12):
            return self.pool([ip, new, self.address(self.net(LINE))], self.between(40, 200)), ip
        return (lambda h, who: np.where(h >= self.moved[who], new, ip)), ip

    def phone(self) -> Rule:
        if self.chance(0.2):
            return self.pool(self.six("cell") + self.six("cell"), self.between(2, 12))
        ips = self.cgnat[self.pick(tuple(CELL), (0.45, 0.3, 0.25))]
        return self.pool(list(self.rng.choice(ips, self.between(2, 8), replace=False)), self.between(1, 8))

    def roaming(self, home: Rule | None = None, office: int | None = None, restless: float = 0.1) -> Rule:
        """Wherever the person is: home, office, under way, on holiday."""
        abroad = [self.address(self.net(LINE)), self.address(CLOUD["tokyo"][0])]
        away = self.pool(abroad, 30) if self.chance(0.8) else self.server(self.pick(self.vpns))
        desk = self.server(self.pick(self.offices) if office is None else office)
        rules = (home or self.house()[0], desk, self.phone(), away)

        def rule(h: Ints, who: int) -> Ints:
            where = self.places[who][h].astype(np.int64)
            where[self.rng.random(len(h)) < restless] = MOBILE
            return np.asarray(np.choose(where, [at(h, who) for at in rules]), dtype=np.int64)

        return rule

    def key(self, who: int, pattern: str, ex: int | None = None, role: str = "owner", ring: str | None = None) -> int:
        rng, ex = self.rng, int(self.rng.choice(5, p=self.share)) if ex is None else ex
        name = "".join(ALNUM[rng.integers(0, 62, 40 if ex < 2 else 44)])
        if ex in (2, 4):
            name = str(uuid.UUID(bytes=rng.bytes(16), version=4))
        elif ex == 1 and self.chance(0.4):
            name = rng.bytes(24 if self.chance(0.6) else 16).hex()
        if (who, ex) not in self.accounts:
            holder = f"p{(who * 2654435761 + 97) & 0xFFFFFFFF:08x}"
            self.accounts[who, ex] = (rng.bytes(6).hex(), None if self.chance(self.unknown[ex]) else holder)
        self.keys.append((ex, name, *self.accounts[who, ex]))
        self.truth.append(
            {
                "exchange": EXCHANGES[ex],
                "key": name,
                "guilty": role in ("lent", "shared", "leaked"),
                "pattern": pattern,
                "role": role,
                "ring": ring,
            }
        )
        return len(self.keys) - 1

    def track(
        self,
        key: int,
        driver: int,
        owner: int,
        at: Rule,
        dev: int,
        p: float = 0.9,
        casual: float = 0.0,
        start: int = 0,
        end: int = EVER,
        lag: int = 0,
        mask: Bools | None = None,
        listed: tuple[int, ...] = (),
        upgrades: bool = True,
    ) -> None:
        """Who drives a key (driver's states), whose places and tools they are (owner), from where, with what."""
        if mask is None and self.chance(0.3):
            mask = self.some_hours(self.uni(0.4, 0.95), 24)
        rate = float(self.rng.lognormal(2.7, 1.1))
        self.tracks.append((key, driver, owner, at, dev, rate, p, casual, start, end, lag, mask, listed, upgrades))

    def life(self, who: int, key: int, start: int = 0, end: int = EVER, p: float = 1.0) -> None:
        """An owner's use of a key: a rented server, a computer at home, by hand wherever one is, or two of these."""
        kind, dev = self.rng.random(), self.stack()
        if kind < 0.48:
            ip, spare, six = self.rented(), self.rented(), self.chance(0.03)
            at = self.pool(self.six("aws")[:1]) if six else self.server(ip, spare)
            named = () if six else (ip,)
            self.track(key, self.program(), who, at, dev, p * self.uni(0.6, 1), listed=named, start=start, end=end)
            if self.chance(0.22):  # and looks after it from home or under way
                dev = dev if self.chance(0.5) else self.stack()
                self.track(key, who, who, self.roaming(), dev, p=0.25 * p, casual=0.1, start=start, end=end)
            return
        home, ip = self.house()
        driver = self.program(0.03) if kind < 0.6 else who
        at = home if kind < 0.72 else self.roaming(home, restless=float(self.rng.beta(1, 7)))
        self.track(key, driver, who, at, dev, p=0.85 * p, casual=0.25, listed=(ip,), start=start, end=end)

    def newcomer(self) -> int:
        return self.between(0, self.H - 12) if self.chance(0.12) else 0

    def emit(self) -> list[Ints]:
        """What the tracks emit, mishaps, allow-lists; rows of ts, exchange, key, ip, dev, count, kind."""
        rng, H, n = self.rng, self.H, len(self.keys)
        out: list[Ints] = [np.array(self.raw, dtype=np.int64).reshape(-1, 7).T]
        lists: dict[int, list[tuple[int, int]]] = {}
        expired = np.where(rng.random(n) < rng.uniform(0.005, 0.02), rng.integers(0, H, n), EVER)
        skew, wrong = rng.random(n) < rng.uniform(0.01, 0.04), rng.random(n) < rng.uniform(0.004, 0.015)
        for key, driver, owner, rule, stack, rate, p, casual, start, end, lag, mask, listed, upgrades in self.tracks:
            state, ex = self.states[driver], self.keys[key][0]
            hot = (state == TRADING) | (((state == WATCHING) | (state == TRAVELLING)) & (rng.random(H) < casual))
            hot = np.roll(hot, lag) & (rng.random(H) < p) & (self.up[ex] | (rng.random(H) < 0.08))
            hot &= True if mask is None else mask
            hot[:start] = hot[min(end, H) :] = False
            h = np.flatnonzero(hot).astype(np.int64)
            h = h[h < expired[key] + rng.integers(6, 200)]
            if not (m := len(h)):
                continue
            ip, late = rule(h, owner), self.retooled[owner]
            dev = np.where(h >= late, self.newer(stack) if late < H and upgrades else stack, stack)
            ts = h * 3600 + np.clip(rng.normal(rng.uniform(0, 3000), 400, m), 0, 3599).astype(np.int64)
            count = 1 + rng.poisson(rate * rng.lognormal(0, 0.4, m))
            row, mishaps = np.stack([ts, np.full(m, ex), np.full(m, key), ip, dev, count, h >= expired[key]]), []
            if skew[key]:  # a clock runs away for some hours
                at = self.between(0, m - 1)
                mishaps.append(row[:, at : at + self.between(1, 9)].copy())
            if wrong[key]:  # pasted into the wrong exchange
                mishaps.append(row[:, : self.between(1, 3)].copy())
                mishaps[-1][1] = (ex + self.between(1, 4)) % 5
                wrong[key] = False
            changed = np.flatnonzero(np.diff(ip)) + 1
            if len(changed) and self.chance(0.3):  # the allow-list does not know the new address yet
                mishaps.append(row[:, changed[: self.between(1, 5)]].copy())
            for more in mishaps:
                more[0] += self.between(0, 300)
                more[5], more[6] = 1 + rng.poisson(3, more.shape[1]), 1
            out += [row, *mishaps]
            when = max(0, int(ts[0]) - int(rng.exponential(20000)))
            lists.setdefault(key, []).extend((address, when) for address in listed)
        for key, named in lists.items():
            ex = self.keys[key][0]
            for address, when in named[:10] if self.chance(self.listing * (1.0 if ex < 3 else 0.6)) else ():
                times = [when, *(int(x) for x in rng.integers(when, H * 3600, rng.poisson(0.25)))]
                out += [np.array([[x], [ex], [key], [address], [-1], [1], [2]]) for x in times]
        return out


# The innocent. Each makes one group of at most `room` keys.
def alone(c: Cast, pattern: str, room: int) -> None:
    who, start = c.person(), c.newcomer()
    if pattern == "key_rotated" and room > 1 and c.H > 60:
        cut, ex = c.between(20, c.H - 20), int(c.rng.choice(5, p=c.share))
        ip, dev, job = c.rented(), c.stack(), c.program()
        for begin, end in ((0, cut), (cut, c.H)):
            c.track(c.key(who, pattern, ex), job, who, c.server(ip), dev, start=begin, end=end, listed=(ip,))
        return
    key, (home, ip), dev = c.key(who, pattern), c.house(), c.stack()
    if pattern == "popular_stack":
        ip, dev = c.address(CLOUD["aws"][0], c.between(0, 40)), int(c.pick(c.top))
        c.track(key, c.program(), who, c.server(ip, c.address(CLOUD["aws"][0])), dev, start=start, listed=(ip,))
    elif pattern == "roamer":
        restless = float(c.rng.beta(2, 6))
        c.track(key, who, who, c.roaming(home, restless=restless), dev, casual=0.4, start=start, listed=(ip,))
        if c.chance(0.4):  # now and then over a VPN, seldom with another program
            own = dev if c.chance(0.7) else c.stack()
            c.track(key, who, who, c.pool([c.pick(c.vpns), c.pick(c.vpns)], 20), own, p=0.25, casual=0.1, start=start)
    elif pattern == "power_user":
        rules = [home, c.roaming(home), c.server(c.pick(c.offices)), c.phone(), c.server(c.pick(c.vpns))]
        rules += [c.server(c.rented()) for _ in range(c.between(1, 4))]
        for at in c.rng.choice(len(rules), c.between(2, 6), replace=False):
            dev = dev if c.chance(0.45) else c.stack()
            c.track(
                key,
                who if c.chance(0.5) else c.program(),
                who,
                rules[at],
                dev,
                p=c.uni(0.15, 0.8),
                casual=0.2,
                start=c.between(0, c.H // 3),
                listed=(ip,) if c.chance(0.4) else (),
            )
    else:
        c.life(who, key, start)
        if pattern == "tax_app" and c.services:
            ips, dev = c.pick(c.services)
            c.track(key, c.machine([c.between(0, 23)]), who, c.pool(ips), dev, p=0.5, upgrades=False)


def several(c: Cast, pattern: str, room: int) -> None:
    who, ip, dev, job, spread = c.person(), c.rented(), c.stack(), c.program(), c.chance(0.35)
    at = c.server(ip, c.rented()) if c.chance(0.75) else c.house()[0]
    for ex in c.rng.choice(5, min(room, c.pick((2, 2, 2, 3, 3, 4, 5))), replace=False, p=c.share):
        driver, own = c.program() if spread else job, dev if c.chance(0.85) else c.stack()
        c.track(c.key(who, pattern, int(ex)), driver, who, at, own, p=c.uni(0.5, 1), listed=(ip,))


def crowd(c: Cast, pattern: str, room: int) -> None:
    """Strangers behind the same addresses: of a carrier, employer, campus, hoster, gateway, VPN, PC room and so on."""
    low, high, fewest, most = {
        "carrier_nat": (30, 200, 1, 1),
        "company_egress": (4, 70, 1, 1),
        "campus_egress": (20, 150, 1, 4),
        "shared_hosting": (5, 60, 1, 1),
        "nat_gateway": (6, 80, 1, 3),
        "faas_egress": (30, 200, 10, 40),
        "vpn_egress": (10, 80, 1, 4),
        "pc_room": (3, 20, 1, 1),
    }[pattern]
    size, rents = int(low * (high / low) ** c.uni(0, 1)), pattern in ("shared_hosting", "nat_gateway", "faas_egress")
    block, nets = c.between(0, 200), c.net(CLOUD if rents or pattern == "vpn_egress" else LINE)
    ips = [c.address(nets, block if c.chance(0.8) else None) for _ in range(c.between(fewest, most))]
    fashion = [c.stack() for _ in range(c.between(3, 10))]
    for _ in range(min(room, size)):
        who = c.person(office=1.0 if pattern == "company_egress" else 0.3)
        key, dev, start = c.key(who, pattern), c.pick(fashion) if c.chance(0.35) else c.stack(), c.newcomer()
        if pattern == "carrier_nat":
            c.track(key, who, who, c.phone(), dev, casual=0.4, start=start)
        elif rents:
            at = c.pool(ips, 1 if pattern == "faas_egress" else 300)
            c.track(key, c.program(), who, at, dev, p=c.uni(0.5, 1), start=start, listed=tuple(ips[:3]))
        elif pattern == "company_egress":
            driver = who if c.chance(0.7) else c.machine(9 + np.arange(c.between(2, 9)), 31)
            at = c.roaming(office=ips[0], restless=0.05)
            c.track(key, driver, who, at, dev, casual=0.2, start=start, listed=(ips[0],))
        else:
            driver = who if c.chance(0.7) else c.program()
            c.track(key, driver, who, c.pool(ips, 24), dev, p=0.7, casual=0.2, start=start)
            c.track(key, who, who, c.house()[0], dev, p=0.3, casual=0.1, start=start)


def lesson(c: Cast, pattern: str, room: int) -> None:
    """A course, or a team at work: one image, one address, common hours."""
    team, online = pattern == "team_image", c.chance(0.5)  # online: at one's own hours, but for the weekly meeting
    size, image = min(room, c.between(3, 12) if team else c.between(8, 35)), c.stack(0.5)
    ip, longest = c.address(c.net(LINE if c.chance(0.6) else CLOUD)), (3, 8) if team else (2, 4)
    hours, week = c.between(9, 19) + np.arange(c.between(*longest)), 31 if team else c.pick((5, 10, 21, 42, 96, 31))
    table = c.machine(hours, week)
    keen, own, fresh = c.uni(0.15, 0.6) * (0.5 if online else 1), c.uni(0.2, 0.9), c.uni(0.6, 1.0)
    exchange = int(c.rng.choice(5, p=c.share)) if c.chance(0.6) else None
    for _ in range(size):
        who = c.person()
        key, start = c.key(who, pattern, exchange if c.chance(0.8) else None), c.newcomer()
        dev, p = image if c.chance(fresh) else c.newer(image), c.near(keen, 0.12, 0.08)
        c.track(key, table, who, c.server(ip), dev, p=p, start=start, listed=(ip,), upgrades=False)
        if c.chance(own):
            c.track(key, who, who, c.house()[0], image if c.chance(0.7) else c.stack(), p=c.uni(0.2, 0.8), casual=0.1)
        if c.chance(0.85 if team or online else 0.45):  # and leaves a program of his own running there
            c.track(key, c.program(), who, c.server(ip), image, p=0.8, upgrades=False)


def platform(c: Cast, pattern: str, room: int) -> None:
    """A bot service: customers choose a strategy and hours; all run on the service's servers with its stack."""
    large, nets, block, dev = "large" in pattern, c.net(CLOUD), c.between(0, 200), c.stack(0.7)
    size = min(room, c.between(*(100, 420) if large else (15, 59)))
    ips = [c.address(nets.split()[0], block) for _ in range(c.between(1, 5) if large else 1)]
    if pattern.endswith("declared"):
        c.services.append((ips, dev))
        device = c.devices[dev] if c.chance(0.9) else None
        c.declared.append({"name": f"service-{len(c.services)}", "ips": [c.ips[x] for x in ips], "device": device})
    strategies, canned = [c.program() for _ in range(c.between(2, 9))], c.uni(0.0, 0.15 if large else 0.35)
    for _ in range(size):
        who, start = c.person(), c.newcomer()
        key, end = c.key(who, pattern), c.between(start, c.H) if c.chance(0.06) else c.H
        at = c.server(c.pick(ips)) if c.chance(0.7) else c.pool(ips, 12)
        driver = c.pick(strategies) if c.chance(canned) else who if c.chance(0.3) else c.program()
        named = tuple(ips[:5])
        c.track(key, driver, who, at, dev, p=c.uni(0.4, 0.95), listed=named, upgrades=False, start=start, end=end)
        if c.chance(0.25):
            c.life(who, key, start, p=0.3)


def household(c: Cast, pattern: str, room: int) -> None:
    one, (home, ip), shared, computer = pattern == "household_one", c.house(), c.stack(), c.program(0.15)
    rise, together = c.between(5, 10), c.uni(0.0, 0.65)
    for _ in range(min(room, c.between(3, 5) if one and c.chance(0.75) else c.between(2, 4))):
        who = c.person(1.3, wake=(rise + c.between(-1, 2)) % 24)
        key, driver = c.key(who, pattern), computer if c.chance(together) else who
        if not one:
            c.track(key, who, who, c.roaming(home), c.stack(), casual=0.3, listed=(ip,))
            continue
        c.track(key, driver, who, home, shared, p=c.uni(0.45, 0.95), casual=0.2, listed=(ip,), upgrades=False)
        if c.chance(0.5):
            c.track(key, who, who, c.phone(), c.stack(), p=0.3)


def renumbering(c: Cast, pattern: str, room: int) -> None:
    """Lines that get another address of a common pool every day or week."""
    size, period = min(room, c.between(20, 80)), 24 if pattern.endswith("daily") else 168
    nets, phase = c.net(LINE), c.between(0, 23)
    pool = np.array([c.address(nets) for _ in range(size + c.between(1, size // 2 + 2))])
    orders = np.stack([c.rng.permutation(pool) for _ in range(c.H // period + 2)])

    def line(slot: int, late: int) -> Rule:
        return lambda h, who: orders[(h + phase + late) // period, slot]

    for slot in range(size):
        who = c.person()
        driver, at = c.program() if c.chance(0.5) else who, line(slot, c.between(0, 3) if period > 24 else 0)
        c.track(c.key(who, pattern), driver, who, at, c.stack(), casual=0.2)


# The guilty. Each makes one group of at most `room` keys and returns how many.
def ring(c: Cast, pattern: str, room: int) -> int:
    """An operator and the keys lent to him."""
    rng, H, name = c.rng, c.H, f"ring-{len(c.truth)}"
    size = max(3, min(room, c.between(*{"ring_small": (3, 5), "ring_large": (50, 80)}.get(pattern, (4, 22)))))
    trade = c.pick(("timer", "interval", "always", "manual", "copy", "market"), (0.13, 0.14, 0.06, 0.3, 0.2, 0.17))
    operator = c.person(2.5 if trade == "manual" else 1.0, 0.15, c.between(7, 14))
    hours = rng.choice(24, c.between(2, 8), replace=False) if c.chance(0.5) else c.block(2, 8)
    boss = {
        "manual": lambda: operator,
        "copy": lambda: c.program(0.2),
        "timer": lambda: c.machine(hours),
        "market": lambda: c.always(c.uni(1.1, 2.2)),
    }.get(trade, c.always)()
    common = c.some_hours(c.uni(0.6, 1.0), 24)  # days on which the operator works at all
    if trade in ("timer", "always", "copy"):  # acts when there is a signal, or somebody's order to copy
        common &= c.some_hours(c.uni(0.25, 0.85))
    elif trade == "interval":  # a job every so many hours, whatever the hour of the day
        common &= np.arange(H) % c.pick((3, 5, 7, 9, 10, 11)) < c.between(1, 2)
    nets, dev = c.net(CLOUD if c.chance(0.8) else LINE), c.stack(0.4)
    many = {"ring_pool": c.between(3, 10), "ring_large": c.between(1, 3)}.get(pattern, 2 if c.chance(0.25) else 1)
    ips, spare = [c.address(nets) if c.chance(0.5) else c.rented() for _ in range(many)], c.rented()
    residential = pattern == "ring_residential"
    if residential:  # exits are other people's lines
        ips = [c.pick(c.homes) if c.chance(0.5) else c.address(c.net(LINE)) for _ in range(c.between(6, 12 + size))]
    few, hold, turns = [dev] if c.chance(0.7) else [dev, c.stack()], c.pick((1, 4, 24)), c.between(2, 5)
    keen, listed, rest = rng.beta(7, 1.5), c.uni(0.2, 0.95), c.uni(0.75, 1.0)
    running, gradual, settled, t0 = c.chance(0.55), c.chance(0.6), c.uni(0.3, 0.9), c.between(0, H // 3)
    exchanges = rng.choice(5, 2 if c.chance(0.45) else 1, replace=False, p=c.share)
    for member in range(size):
        who = c.person()
        key = c.key(who, pattern, int(c.pick(exchanges)), "lent", name)
        since = 0 if running else min(H - 10, t0 + c.between(0, H // 3 if gradual else 8))
        own = c.stack() if pattern == "ring_stack_per_key" else c.pick(few)
        mask, driver, at = c.some_hours(rest, 24) & common, boss, c.server(ips[member % len(ips)], spare)
        if pattern == "ring_pool":
            at = c.pool(ips, hold)
        elif residential:
            mine = rng.choice(ips, min(len(ips), c.between(2, 8)), replace=False)
            at = c.pool(list(mine), c.pick((2, 8, 24, 72)))
        elif pattern == "ring_staggered":  # by turns, few hours a week
            mask = ((np.arange(H) // c.pick((2, 3, 4)) + member) % turns == 0) & c.some_hours(c.uni(0.3, 0.7))
            driver = c.machine(c.block(3, 3), c.between(1, 127)) if c.chance(0.3) else boss
        named = tuple(ips[:5]) if c.chance(listed) and not residential else ()
        lag = int(trade == "copy" and c.chance(0.3))
        c.track(key, driver, operator, at, own, p=c.near(keen, 0.1), start=since, lag=lag, mask=mask, listed=named)
        if pattern == "ring_holder_active":
            c.life(who, key, p=c.uni(0.3, 1))
        elif c.chance(settled) and since > 5:
            c.life(who, key, end=since)
        elif c.chance(0.15):  # looks at the balance now and then
            c.track(key, who, who, c.phone(), c.stack(), p=0.15)
        if c.chance(0.2):
            c.life(who, c.key(who, pattern, None, "lender-other", name))
    for _ in range(c.pick((0, 0, 1, 1, 2))):
        at = c.pool(ips, 24) if residential else c.server(ips[0], spare)
        c.track(c.key(operator, pattern, None, "operator-own", name), boss, operator, at, dev, p=keen, listed=(ips[0],))
    return size


def shared(c: Cast, pattern: str, room: int) -> int:
    """One key in many hands: a pooled account, a signal room, a key bought by several; some hold keys of their own."""
    low, high = {"key_shared_3_12": (3, 12), "key_shared_8_60": (8, 60)}.get(pattern, (3, 6))
    who, name, recipe, kept = c.person(), c.stack(), c.uni(0, 0.7), c.uni(0.0, 0.5 if high <= 12 else 0.25)
    key = c.key(who, pattern, None, "shared", f"ring-{len(c.truth)}")
    c.life(who, key, p=0.8)
    for _ in range(c.between(low, high) - 1):
        party, dev, (home, ip) = c.person(), name if c.chance(recipe) else c.stack(), c.house()
        if c.chance(0.55):
            ip = c.rented()
            home = c.server(ip)
        elif c.chance(0.4):
            home = c.roaming(home)
        mask = c.some_hours(c.uni(0.06, 0.35) if pattern == "key_shared_rarely" else c.uni(0.15, 0.9))
        c.track(
            key,
            party if c.chance(0.6) else c.program(),
            party,
            home,
            dev,
            casual=0.1,
            mask=mask,
            start=c.between(0, c.H // 2) if c.chance(0.6) else 0,
            listed=(ip,) if c.chance(0.3) else (),
        )
        if c.chance(kept):
            dev = dev if c.chance(0.7) else c.stack()
            c.track(c.key(party, "single_bot"), c.program(), party, home, dev, listed=(ip,))
    return 1


def leak(c: Cast, pattern: str, room: int) -> int:
    """A dump of keys and its finder, who tries them while their owners go on."""
    rng, H, slow, small, name = c.rng, c.H, "slow" in pattern, "small" in pattern, f"ring-{len(c.truth)}"
    size = max(1, min(room, c.between(2, 5) if small else c.between(6, 30)))
    many = c.between(8, 50) if slow else c.between(1, 2) if small else 1
    ips = [c.address(c.net(CLOUD if c.chance(0.6) else LINE)) for _ in range(many)]
    tools, works_share = [c.stack() for _ in range(c.between(1, 3) if slow else 1)], c.uni(0.1, 0.5)
    t0, pace = c.between(0, H // 4 if slow else max(1, H - 24)), H / 2 if slow else c.uni(1, 30)
    for _ in range(size):
        who = c.person()
        key = c.key(who, pattern, None, "leaked", name)
        c.life(who, key)
        own, works, start = c.keys[key][0], c.chance(works_share), t0 + c.uni(0, pace)
        strange = rng.permutation([e for e in range(5) if e != own])[: c.between(1, 3) if c.chance(0.75) else 0]
        for door in rng.permutation(np.append(strange, own)):
            for _ in range(1 + int(rng.poisson(0.4 if slow else 0.8))):
                when = int((start + rng.exponential(20 if slow else 1.5)) * 3600)
                failed = not (works and door == own)
                c.raw.append((when, int(door), key, c.pick(ips), c.pick(tools), c.between(1, 6), failed))
        if works and c.chance(0.6):
            begin = min(H - 1, int(start) + 1)
            end = begin + c.between(6, 99)
            c.track(key, c.program(0.1), who, c.pool(ips, 6), tools[0], p=0.5, start=begin, end=end)
    return size


INNOCENT: dict[str, tuple[Callable[[Cast, str, int], None], float]] = {
    "platform_large_declared": (platform, 6),
    "platform_small_declared": (platform, 1),
    "platform_large": (platform, 5),
    "single_bot": (alone, 24),
    "multi_exchange": (several, 14),
    "carrier_nat": (crowd, 6),
    "company_egress": (crowd, 6),
    "campus_egress": (crowd, 3.5),
    "roamer": (alone, 7),
    "shared_hosting": (crowd, 3),
    "nat_gateway": (crowd, 3),
    "faas_egress": (crowd, 2.5),
    "household_each": (household, 4),
    "popular_stack": (alone, 5),
    "tax_app": (alone, 1.5),
    "renumbering_daily": (renumbering, 3),
    "renumbering_weekly": (renumbering, 3),
    "vpn_egress": (crowd, 1.5),
    "pc_room": (crowd, 0.7),
    "key_rotated": (alone, 1),
}
LOOKALIKE: dict[str, Callable[[Cast, str, int], None]] = {
    "platform_small": platform,
    "class_image": lesson,
    "team_image": lesson,
    "power_user": alone,
    "household_one": household,
}
RINGS = ("plain", "pool", "stack_per_key", "staggered", "residential", "holder_active", "small", "large")
GUILTY: dict[str, Callable[[Cast, str, int], int]] = {
    **{f"ring_{kind}": ring for kind in RINGS},
    **{f"key_shared_{kind}": shared for kind in ("3_12", "8_60", "rarely")},
    **{f"leak_{kind}": leak for kind in ("one_server", "slow_scattered", "small_set")},
}


def market(
    seed: int,
    keys: int,
    days: int,
    *,
    innocent: float = 0.978,
    holders: bool = True,
) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Sightings in time order, the truth about each issued key, and the declared services."""
    c = Cast(seed, keys, days)
    rng = c.rng

    def fill(make: Callable[[Cast, str, int], None], pattern: str, budget: int) -> None:
        goal = min(len(c.keys) + budget, keys)
        while len(c.keys) < goal:
            make(c, pattern, goal - len(c.keys))

    shares = {name: weight * float(rng.lognormal(0, 0.3)) for name, (_, weight) in INNOCENT.items()}
    looks, left = {name: float(0.0005 * 6 ** rng.random()) for name in LOOKALIKE}, round(keys * (1 - innocent))
    wanted = {name: left * float(w) for name, w in zip(GUILTY, rng.dirichlet(np.full(len(GUILTY), 9.0)), strict=True)}
    wanted["ring_large"] = max(wanted["ring_large"], 45.0 if left >= 150 else 0.0)
    served = [name for name in shares if name.endswith("declared")]
    for name in served:  # first, for others use them too
        fill(platform, name, max(3, round(keys * shares[name] / sum(shares.values()))))
    while left > 0:
        name = max(wanted, key=lambda x: wanted[x])
        made = GUILTY[name](c, name, max(left, 3))
        wanted[name] -= made
        left -= made
    for name, look in looks.items():
        fill(LOOKALIKE[name], name, round(max(keys * look, 15.0 if name == "platform_small" else 1.0)))
    rest, total = max(0, keys - len(c.keys)), sum(share for name, share in shares.items() if name not in served)
    for name, (make, _) in INNOCENT.items():
        fill(make, name, 0 if name in served else round(rest * shares[name] / total))
    fill(alone, "single_bot", keys)
    c.step()
    table = np.concatenate(c.emit(), axis=1)
    table = table[:, table[0] < c.H * 3600]
    table = table[:, np.argsort(table[0], kind="stable")]
    blank, bare = rng.random((2, table.shape[1])) < np.array([[c.lapse], [0.01]])

    def sightings() -> Iterator[dict[str, Any]]:
        for row, lapse, nude in zip(table.T.tolist(), list(blank), list(bare), strict=True):
            ts, ex, key, ip, dev, count, kind = row
            issuer, name, account, holder = c.keys[key]
            native = issuer == ex
            yield {
                "ts": START + ts,
                "exchange": EXCHANGES[ex],
                "key": name,
                "account": account if native else None,
                "holder": holder if native and holders and not lapse else None,
                "ip": c.ips[ip],
                "device": None if dev < 0 or nude else c.devices[dev],
                "count": count,
                "kind": KINDS[kind],
            }

    return sightings(), c.truth, c.declared
