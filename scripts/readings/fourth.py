"""A market of API traffic drawn from a description alone: people, their networks, and those who abuse keys.

The world is built bottom up. A *place* is an address for every hour, a *stack* a client for every hour, and hours of
activity come from a persistent uniform draw below an hourly probability; members of a group copy one another's draw to
a degree. Every rate is drawn per seed, so that no two worlds have the same habits. Guilty keys come first, and leave
addresses behind that innocents then live on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Life = tuple[Bools, Ints, Ints]  # whether a client runs, from where, and which one it is: one entry an hour

EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
KINDS = ("use", "auth_fail", "allowlist")
USE, FAIL, ALLOW = range(3)
EPOCH = 1_780_272_000  # a Monday, 00:00 UTC
RANGES = {  # networks as first octet, lowest and highest second octet
    "home": ((1, 208, 255), (14, 32, 63), (58, 120, 127), (59, 0, 31), (112, 144, 191), (218, 144, 159)),
    "phone": ((223, 32, 63), (117, 111, 111), (39, 7, 7), (211, 234, 234), (106, 101, 102)),
    "cloud": ((3, 34, 39), (13, 124, 125), (15, 164, 165), (43, 200, 203), (52, 78, 79), (54, 180, 180), (34, 64, 64)),
    "abroad": ((5, 9, 9), (45, 76, 77), (65, 108, 109), (95, 216, 217), (135, 181, 181), (159, 65, 65), (167, 99, 99)),
}  # fmt: skip
PREFIXES = {"home": "2406:5900", "phone": "2001:2d8", "cloud": "2406:da12", "abroad": "2a01:4f8"}
CLIENTS = (
    "python-requests/2.{}.0", "ccxt/4.{}.1 python", "axios/1.{}.2", "Python/3.{} aiohttp/3.9", "python-httpx/0.{}.0",
    "Go-http-client/{}.1", "okhttp/4.{}.0", "Java-http-client/{}.0", "node-fetch/{}.0", "curl/8.{}.0", "GuzzleHttp/{}",
    "Apache-HttpClient/5.{} (Java)", "reqwest/0.{}", "undici/{}.0", "websocket-client/1.{}", "RestSharp/{}.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/{}.0.0.0",
)  # fmt: skip
BRANDS = ("trader", "bot", "gateway", "client", "app", "mm", "engine", "quant", "runner", "hts")
DRAWN = {  # rates of a world, each drawn once a seed
    "daemons": (0.10, 0.27), "upgrades": (0.03, 0.3), "refusal": (0.1, 0.8), "strays": (0.05, 0.3), "six": (0.0, 0.3),
    "expiry": (0.005, 0.03), "skew": (0.005, 0.04), "pasted": (0.003, 0.02), "outage": (0.0, 0.006),
    "cloud": (0.25, 0.75), "several": (0.05, 0.35), "bespoke": (0.01, 0.15), "no_holder": (0.0, 0.06),
    "own_keys": (0.2, 0.9), "going_on": (0.0, 0.35), "recruits": (0.0, 0.6), "careful": (0.1, 0.6),
    "hidden": (0.0, 0.3), "phones": (0.0, 0.3), "one_program": (0.1, 0.7), "relayed": (0.0, 0.35), "known": (0.05, 0.3),
    "elsewhere": (0.65, 0.85), "accepted": (0.0, 0.35),
}  # fmt: skip
SHARES = {  # of the innocent keys, before each seed shakes them; "solo" takes what is left over
    "solo": 0.40, "multi_exchange": 0.24, "carrier_nat": 0.05, "company_egress": 0.03, "campus_egress": 0.03,
    "class_image": 0.014, "platform_declared": 0.05, "platform_undeclared_large": 0.03, "roamer": 0.035,
    "platform_undeclared_small": 0.014, "power_user": 0.012, "shared_hosting": 0.02, "nat_gateway": 0.016,
    "faas_egress": 0.014, "household_apart": 0.02, "household_together": 0.014, "renumber_daily": 0.02,
    "renumber_weekly": 0.025, "popular_stack": 0.02,
}  # fmt: skip
RINGS = ("ring_plain", "ring_pool", "ring_stack_per_key", "ring_staggered", "ring_residential", "ring_lender_active")
SHARED = ("shared_few", "shared_crowd", "shared_rarely")
LEAST = {"platform_declared": 20, "platform_undeclared_large": 60, "platform_undeclared_small": 15, "class_image": 5}
LEAKS = ("leak_one_server", "leak_slow", "leak_small_set")


@dataclass
class Key:
    """One issued key and what is true of it."""

    number: int
    exchange: int
    name: str
    account: str
    holder: str | None
    pattern: str
    guilty: bool
    ring: str | None
    rate: float
    reported: bool
    addresses: list[int] = field(default_factory=list)


class Ground:
    """Addresses, client stacks, and the columns in which sightings gather."""

    def __init__(self, seed: int, days: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.span = days * 24
        self.clock = np.arange(self.span)
        self.start = EPOCH + 86_400 * self.below(0, 120)
        self.ips: list[str] = []
        self.twin: list[int] = []  # the IPv4 address of the same host, for exchanges without IPv6
        self.taken: set[str] = set()
        self.stacks: list[str] = []
        self.successor: dict[int, int] = {}
        self.columns: list[list[Ints]] = [[] for _ in range(7)]
        self.cloud_nets = [self.new_net("cloud") for _ in range(int(self.between(60, 600)))]
        self.rates = {name: self.between(low, high) for name, (low, high) in DRAWN.items()}
        self.takes_six = self.rng.random(5) < 0.5
        self.draw_stacks()

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def size(self, low: float, high: float) -> int:
        """A whole number, log-uniform: small ones are the more frequent."""
        return round(math.exp(self.between(math.log(low), math.log(high))))

    def below(self, low: int, high: int | None = None) -> int:
        """A whole number below the one given, or from the first to below the second."""
        return int(self.rng.integers(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def may(self, rate: str) -> bool:
        return self.chance(self.rates[rate])

    def one(self, choices: Sequence[str]) -> str:
        return choices[self.below(len(choices))]

    def new_net(self, kind: str) -> str:
        first, low, high = RANGES[kind][self.below(len(RANGES[kind]))]
        return f"{first}.{self.below(low, high + 1)}.{self.below(0, 256)}"

    def add_ip(self, text: str, twin: int | None = None) -> int:
        self.taken.add(text)
        self.ips.append(text)
        self.twin.append(len(self.ips) - 1 if twin is None else twin)
        return len(self.ips) - 1

    def addresses(self, kind: str, count: int, nets: int = 1) -> Ints:
        """Unused IPv4 addresses out of so many networks of a kind; a cloud rents out the same networks to everybody."""
        cloudy = kind == "cloud"
        blocks = [self.one(self.cloud_nets) if cloudy else self.new_net(kind) for _ in range(nets)]
        found: list[int] = []
        tries = 0
        while len(found) < count:
            tries += 1
            block = blocks[len(found) % nets] if tries < 4 * count else self.new_net(kind)
            text = f"{block}.{self.below(2, 254)}"
            if text not in self.taken:
                found.append(self.add_ip(text))
        return np.array(found)

    def sixes(self, kind: str, twin: int, count: int) -> Ints:
        """IPv6 addresses of one host in one /64."""
        prefix = f"{PREFIXES[kind]}:{self.below(1, 65_535):x}:{self.below(1, 65_535):x}"
        tails = self.rng.integers(1, 65_535, size=(count, 4))
        return np.array([self.add_ip(prefix + "".join(f":{part:x}" for part in tail), twin) for tail in tails])

    def draw_stacks(self) -> None:
        weights: list[float] = []
        slope, spread = self.between(0.7, 1.6), self.below(2, 5)
        for rank, family in enumerate(self.rng.permutation(len(CLIENTS))):
            version = self.below(3, 20)
            for system in range(self.below(1, spread + 1)):
                ja4 = self.ja4()
                for age in range(self.below(2, 6)):
                    if self.chance(0.15):
                        ja4 = self.ja4()
                    self.stacks.append(f"{ja4}|{CLIENTS[family].format(version + age)}")
                    self.successor[len(self.stacks) - 2 if age else len(self.stacks) - 1] = len(self.stacks) - 1
                    share = float(self.rng.lognormal(0, 0.8))
                    weights.append(share / (1 + rank) ** slope / (1 + system) / (1 + abs(age - 2)))
        self.popular = np.argsort(np.array(weights))[::-1][:3]
        self.weights = np.cumsum(np.array(weights) / sum(weights))

    def ja4(self) -> str:
        a, b = self.rng.integers(1 << 40, 1 << 48, size=2)
        return f"t13d{self.below(10, 32)}{self.below(8, 16):02d}h{self.below(1, 3)}_{a:012x}_{b:012x}"

    def any_stack(self) -> int:
        return min(int(np.searchsorted(self.weights, self.rng.random())), len(self.weights) - 1)

    def own_stack(self, agent: str = "", ja4: str = "") -> int:
        """A client stack nobody else has, though its library is often a common one."""
        agent = agent or f"{self.one(BRANDS)}-{self.below(1 << 20):05x}/{self.below(1, 9)}.{self.below(10)}"
        common = self.stacks[self.any_stack()].split("|")[0]
        self.stacks.append(f"{ja4 or (common if self.chance(0.6) else self.ja4())}|{agent}")
        return len(self.stacks) - 1

    def reachable(self, exchange: int, place: Ints) -> Ints:
        """The addresses as this exchange sees them: the IPv4 twin where it has no IPv6."""
        if self.takes_six[exchange]:
            return place
        distinct, back = np.unique(place, return_inverse=True)
        return np.array([self.twin[ip] for ip in distinct.tolist()], dtype=np.int64)[back]

    def put(self, key: Key, hours: Ints, place: Ints, stack: Ints, kind: int, at: int = -1, rate: float = 2) -> None:
        """Append sightings of a key; places and stacks are one an hour, or one for all."""
        n = len(hours)
        at = key.exchange if at < 0 else at
        volume = np.ones(n) if kind == ALLOW else np.ceil(self.rng.lognormal(math.log(rate), 0.6, n))
        seconds = hours * 3600 + self.rng.integers(0, 3600, n)
        row = (seconds, key.number, at, self.reachable(at, place), stack, volume, kind)
        for column, values in zip(self.columns, row, strict=True):
            column.append(np.broadcast_to(np.asarray(values, dtype=np.int64), n))


class People(Ground):
    """Habits, homes, accounts and the everyday mishaps of people who trade by API."""

    def __init__(self, seed: int, days: int, holders: bool) -> None:
        super().__init__(seed, days)
        rng = self.rng
        self.keys: list[Key] = []
        self.room = self.persons = 0
        self.accounts: dict[tuple[int, int], tuple[str, str | None]] = {}
        self.names: dict[int, str] = {}
        sizes = np.array([0.44, 0.29, 0.13, 0.08, 0.06]) * rng.lognormal(0, 0.35, 5)
        self.market = sizes / sizes.sum()
        self.missing = rng.uniform(0.1, 0.6, 5) if holders else np.ones(5)
        self.device_lost = rng.uniform(0, 0.04, 5)
        self.reports = rng.uniform(0.3, 1.0, 5) * (rng.random(5) < 0.9)
        self.caps = (10, 5, 5, 20, self.below(3, 20))
        down = rng.random((5, self.span)) < self.rates["outage"]
        self.up = ~(down | np.roll(down, 1, axis=1))
        self.wake = np.zeros(self.span + 5)  # how strongly the market wakes people, by the hour
        for hour in rng.integers(0, self.span, self.below(2, 4 + days)):
            self.wake[hour : hour + 5] += self.between(0.2, 0.9) * 0.6 ** np.arange(5)
        self.wake = self.wake[: self.span]
        self.carriers = [self.addresses("phone", self.size(2, 50), 4) for _ in range(self.below(3, 9))]
        self.stickiness = rng.uniform(0.3, 0.98, len(self.carriers))
        self.vpns = [self.addresses("abroad", self.below(1, 5)) for _ in range(self.below(4, 20))]
        self.leftovers: list[tuple[Ints, int]] = []  # homes (place, stack) that guilty keys have passed through
        self.hosts: list[int] = []  # rented servers that hold a ring among strangers

    def noise(self, persistence: float) -> Floats:
        """Uniform draws that last: each hour keeps the last hour's value with this probability."""
        renewed = np.where(self.rng.random(self.span) >= persistence, self.clock, 0)
        draws: Floats = self.rng.random(self.span)[np.maximum.accumulate(renewed)]
        return draws

    def rhythm(self, kind: str = "") -> Floats:
        """Hourly probability of activity, by the sort of strategy; hours of the day are Korean ones."""
        local, weekday = (self.clock + 9) % 24, ((self.start // 86_400 + 3) + (self.clock + 9) // 24) % 7
        if not kind:
            kind = self.one(("cron", "cron", "signal", "signal", "evening", "evening", "evening", "office", "rare"))
            kind = "daemon" if self.may("daemons") else kind
        chance, keen = np.full(self.span, self.between(0.002, 0.03)), self.between(0, 0.5)
        if kind == "daemon":
            chance[:], keen = self.between(0.85, 1.0), 0.0
        elif kind == "cron":  # on the closing of candles, most often in step with the exchanges' day
            every = (2, 4, 6, 12, 24)[self.below(5)]
            phase = 0 if self.chance(0.6) else self.below(every)
            chance[self.clock % every == phase] = self.between(0.8, 1.0)
        elif kind == "signal":
            chance[:], keen = self.between(0.02, 0.25), self.between(0.5, 1.0)
        elif kind in ("evening", "office"):
            peak = self.rng.normal(21.5, 2.0) if kind == "evening" else self.rng.normal(13.0, 1.5)
            away = np.abs((local - peak + 12) % 24 - 12)
            chance += self.between(0.3, 0.95) * np.exp(-0.5 * (away / self.between(1.5, 4)) ** 2)
            chance[weekday >= 5] *= self.between(0.6, 1.5) if kind == "evening" else self.between(0.02, 0.4)
        woken: Floats = 1 - (1 - np.clip(chance, 0, 1)) * (1 - np.clip(self.wake * keen, 0, 1))
        return woken

    def awake(self, chance: Floats, group: Floats | None = None, alike: float = 0.0) -> Bools:
        """Hours of activity, a part of them by the group's draw."""
        mine = self.noise(self.between(0, 0.85))
        if group is not None:
            mine = np.where(self.rng.random(self.span) < alike, group, mine)
        return mine < chance

    def hours(self, *kinds: str) -> Bools:
        return self.awake(self.rhythm(self.one(kinds) if kinds else ""))

    def seldom(self, low: float, high: float, kind: str = "") -> Bools:
        return self.awake(self.rhythm(kind) * self.between(low, high))

    def part(self, early: float = 0.4) -> Bools:
        """The hours up to some moment, or from it on."""
        edge = self.below(self.span)
        return self.clock < edge if self.chance(early) else self.clock >= edge

    def wander(self, pool: Ints, persistence: float) -> Ints:
        place: Ints = pool[(self.noise(persistence) * len(pool)).astype(np.int64)]
        return place

    def stay(self, value: int) -> Ints:
        return np.full(self.span, value)

    def phone(self) -> Ints:
        which = self.below(len(self.carriers))
        return self.wander(self.carriers[which], float(self.stickiness[which]))

    def vpn(self) -> Ints:
        return self.wander(self.vpns[self.below(len(self.vpns))], self.between(0.3, 0.98))

    def host(self, kind: str) -> Ints:
        """One rented server, or one line at home: IPv4, or IPv6 with addresses that change daily at home."""
        four = int(self.addresses(kind, 1)[0])
        if not self.may("six"):
            return self.stay(four)
        pool = self.sixes(kind, four, self.span // 24 if kind == "home" and self.chance(0.7) else 1)
        place: Ints = pool[self.clock // 24 % len(pool)]
        return place

    def abode(self) -> Ints:
        """Where an ordinary client runs for two weeks."""
        if self.may("cloud"):
            return self.host("abroad" if self.chance(0.1) else "cloud")
        place = self.host("home")
        if self.chance(0.12):  # the line is renumbered, once
            place[self.below(self.span) :] = self.addresses("home", 1)[0]
        return place

    def line(self, stack: int | None = None) -> Ints:
        """A client for every hour, upgraded on the way by some."""
        if stack is None:
            stack = self.own_stack() if self.may("bespoke") else self.any_stack()
        held = self.stay(stack)
        if self.may("upgrades"):
            held[self.below(self.span) :] = self.successor.get(stack, stack)
        return held

    def person(self) -> int:
        self.persons += 1
        return self.persons

    def strangers(self, count: int) -> Iterator[int]:
        """So many new people, while there is room for their keys."""
        for _ in range(count):
            if self.room > 0:
                yield self.person()

    def few(self) -> int:
        """How many keys somebody in a crowd has."""
        return self.below(2, 5) if self.may("several") else 1

    def issue(self, who: int, pattern: str, exchange: int, guilty: bool = False, ring: str | None = None) -> Key:
        """Open an account at need, and issue a key to it; an innocent key in a ring is its operator's own."""
        if (who, exchange) not in self.accounts:
            person = self.names.setdefault(who, f"h{self.below(1 << 60):015x}")
            holder = None if self.chance(float(self.missing[exchange])) else person
            self.accounts[who, exchange] = (f"{EXCHANGES[exchange]}-{self.below(1 << 50):013x}", holder)
        rate, told = float(self.rng.lognormal(3.2, 1.4)), self.chance(float(self.reports[exchange]))
        owner = self.accounts[who, exchange]
        name = f"{self.below(1 << 62):016x}"
        key = Key(len(self.keys), exchange, name, *owner, pattern, guilty, ring, rate, told)
        self.keys.append(key)
        self.room -= 1
        return key

    def venues(self, count: int) -> list[int]:
        """Exchanges for so many keys of one person, the large ones likelier; a sixth key goes to one used already."""
        first = self.rng.choice(5, size=min(count, 5), replace=False, p=self.market)
        return [int(first[i % len(first)]) for i in range(count)]

    def use(self, key: Key, on: Bools, where: Ints, stack: Ints, listed: Ints | None = None) -> None:
        """Accepted calls, the allow-list behind them, and refusals where an address was not on it yet."""
        hours = np.flatnonzero(on & self.up[key.exchange])
        if not hours.size:
            return
        place = self.reachable(key.exchange, where[hours])
        self.put(key, hours, place, stack[hours], USE, rate=key.rate)
        first = np.sort(np.unique(place, return_index=True)[1])
        changes = [] if listed is None else [(int(hours[0]), self.twin[ip]) for ip in listed.tolist()]
        changes += [(int(hours[i]), int(place[i])) for i in first]
        fresh: list[tuple[int, int]] = []
        for hour, ip in changes:
            if len(key.addresses) < self.caps[key.exchange] and ip not in key.addresses:
                fresh.append((hour, ip))
                key.addresses.append(ip)
        if fresh and key.reported:
            when, what = np.array(fresh).T
            self.put(key, np.maximum(when - 1, 0), what, np.array([-1]), ALLOW)
        late = [entry for entry in fresh if entry[0] > hours[0] and self.may("refusal")]
        if late:
            when, what = np.array(late).T
            self.put(key, when, what, stack[when], FAIL)

    def mishaps(self, key: Key, on: Bools, place: Ints, stack: Ints) -> Bools:
        """Expiry that nobody notices, clocks that are off, keys pasted into the wrong exchange; returns what works."""
        active = np.flatnonzero(on)
        if active.size < 3:
            return on
        if self.may("expiry"):
            end = int(self.rng.choice(active))
            dead = active[(active >= end) & (active < end + self.between(6, 500))]
            self.put(key, dead, place[dead], stack[dead], FAIL, rate=key.rate)
            on = on & (self.clock < end)
        if self.may("skew"):
            off = active[self.rng.random(active.size) < self.between(0.03, 0.6)]
            self.put(key, off, place[off], stack[off], FAIL)
        if self.may("pasted"):
            wrong = self.rng.choice(active, min(active.size, self.size(1, 6)), replace=False)
            self.put(key, wrong, place[wrong], stack[wrong], FAIL, (key.exchange + self.below(1, 5)) % 5)
        return on

    def trade(self, who: int, pattern: str, life: Life, count: int = 1, *, listed: Ints | None = None,
              ring: str | None = None) -> list[Key]:  # fmt: skip
        """Issue innocent keys to one person and run them all by one life, each missing an hour now and then."""
        made: list[Key] = []
        on_all, place, stack = life
        drop = self.between(0, 0.3) if count > 1 else 0.0
        for exchange in self.venues(max(1, min(count, self.room))):
            key = self.issue(who, pattern, exchange, ring=ring)
            on = on_all & (self.rng.random(self.span) >= drop)
            if self.chance(0.12):  # issued, or given up, on the way
                on = on & self.part()
            self.use(key, self.mishaps(key, on, place, stack), place, stack, listed)
            if self.may("strays"):  # a look from the phone, or from behind a VPN
                away = self.phone() if self.chance(0.7) else self.vpn()
                self.use(key, self.seldom(0.02, 0.25, "evening"), away, stack if self.chance(0.4) else self.line())
            made.append(key)
        return made


class Innocent(People):
    """One method a pattern; each adds one person or one group, while there is room."""

    def solo(self) -> None:
        place, stack = self.abode(), self.any_stack()
        if self.leftovers and self.chance(0.1):  # one of those who share a key, or whose line a proxy sells
            place, stack = self.leftovers.pop(self.below(len(self.leftovers)))
        self.trade(self.person(), "solo", (self.hours(), place, self.line(stack)))

    def multi_exchange(self) -> None:
        keys = 2 + min(int(self.rng.geometric(0.55)) - 1, 5)
        self.trade(self.person(), "multi_exchange", (self.hours(), self.abode(), self.line()), keys)

    def popular_stack(self) -> None:
        """Strangers with the commonest client; some get the address that another tenant gave back."""
        place, handed, edge = self.host("cloud"), self.chance(0.5), self.below(self.span)
        for turn, who in enumerate(self.strangers(2)):
            stack = self.line(int(self.popular[min(int(self.rng.geometric(0.6)) - 1, 2)]))
            term = (self.clock < edge) if turn == 0 else (self.clock >= edge)
            life = (self.hours() & term, place, stack) if handed else (self.hours(), self.host("cloud"), stack)
            self.trade(who, "popular_stack", life)

    def crowd(self, name: str, people: int, kinds: str, place: Callable[[], Ints], stack: Callable[[], Ints]) -> None:
        """So many strangers, each by their own clock, behind what is common to them."""
        for who in self.strangers(people):
            self.trade(who, name, (self.hours(*kinds.split()), place(), stack()), self.few())

    def carrier_nat(self) -> None:
        self.crowd("carrier_nat", 20, "evening evening evening signal rare cron daemon", self.phone, self.line)

    def company_egress(self) -> None:
        pool, balanced = self.addresses("home", self.below(1, 4)), self.between(0, 0.99)
        inspected, ja4 = self.chance(0.35), self.ja4()

        def stack() -> Ints:  # a proxy that opens TLS lends everybody its own handshake
            seen = self.any_stack()
            return self.stay(self.own_stack(self.stacks[seen].split("|")[1], ja4)) if inspected else self.line(seen)

        people, kinds = self.size(4, 70), "office office office daemon signal"
        self.crowd("company_egress", people, kinds, lambda: self.wander(pool, balanced), stack)

    def campus_egress(self) -> None:
        pool, sticky = self.addresses("home", self.size(1, 24), 2), self.between(0.5, 0.99)
        people, kinds = self.size(15, 200), "evening evening evening office office rare cron daemon"
        self.crowd("campus_egress", people, kinds, lambda: self.wander(pool, sticky), self.line)

    def shared_hosting(self) -> None:
        server = self.hosts.pop() if self.hosts else int(self.addresses("cloud", 1)[0])
        kinds = "cron cron daemon signal rare"
        self.crowd("shared_hosting", self.size(4, 45), kinds, lambda: self.stay(server), self.line)

    def nat_gateway(self) -> None:
        pool, pinned = self.addresses("cloud", self.below(1, 6)), self.chance(0.5)
        image, common = self.any_stack(), self.between(0, 0.7)

        def place() -> Ints:
            return self.stay(int(self.rng.choice(pool))) if pinned else self.wander(pool, self.between(0, 0.9))

        def stack() -> Ints:
            return self.line(image if self.chance(common) else None)

        self.crowd("nat_gateway", self.size(3, 30), "daemon cron signal office evening", place, stack)

    def faas_egress(self) -> None:
        """Functions woken on the hour; each invocation leaves by whichever address is free."""
        pool, runtimes = self.addresses("cloud", self.size(12, 250), 6), [self.any_stack() for _ in range(3)]
        warm, again = self.between(0, 0.6), self.between(0, 0.6)
        for who in self.strangers(self.size(20, 120)):
            on, stack = self.hours("cron", "cron", "signal", "daemon"), self.line(runtimes[self.below(3)])
            for key in self.trade(who, "faas_egress", (on, self.wander(pool, warm), stack), self.few()):
                self.use(key, on & (self.rng.random(self.span) < again), self.wander(pool, warm), stack)

    def class_image(self) -> None:
        """A class or a team: one image, one room, the same lessons; homework at home by some."""
        room, image = self.wander(self.addresses("home", self.below(1, 3)), 0.99), self.line()
        weekly = np.zeros(24 * 7, dtype=bool)
        for slot in self.rng.integers(0, 24 * 7 // 3, self.below(2, 9)):
            weekly[slot * 3 : slot * 3 + self.below(1, 5)] = True
        lessons = weekly[self.clock % 168] if self.chance(0.6) else self.hours("office")
        attends, homework = self.between(0.5, 0.98), self.between(0, 0.7)
        alike, group = self.between(0, 0.8), self.noise(0.5)
        for who in self.strangers(self.size(5, 45)):
            on = lessons & self.awake(np.full(self.span, attends * self.between(0.7, 1.0)), group, alike)
            for key in self.trade(who, "class_image", (on, room, image), self.few() if self.chance(0.3) else 1):
                if self.chance(homework):
                    self.use(key, self.seldom(0.1, 0.8, "evening") & ~on, self.host("home"), image)

    def platform(self, name: str, customers: int, most: int) -> tuple[Ints, int]:
        """A bot service: addresses, pinned or not; strategies that wake their subscribers together, or do not."""
        pool = self.addresses("cloud", self.size(1, most), self.below(1, 4))
        stack = self.own_stack() if self.chance(0.6) else self.any_stack()
        clients = self.stay(stack)
        if self.chance(0.35):  # a release on the way
            clients[self.below(self.span) :] = self.own_stack(f"{self.stacks[stack].split('|')[1]}.1")
        manner = self.one(("pinned", "pinned", "shard", "rotating"))
        width, persistence, everything = self.below(1, 5), self.between(0, 0.99), self.chance(0.5)
        alike, busy = self.between(0, 0.8), self.between(0.1, 0.6)
        kinds = ("cron", "signal", "office", "evening", "signal")
        plans = [(self.rhythm(self.one(kinds)), self.noise(0.4)) for _ in range(self.size(1, 12))]
        for who in self.strangers(customers):
            mine = self.rng.choice(pool, min(len(pool), 1 if manner == "pinned" else width), replace=False)
            place = self.wander(pool if manner == "rotating" else mine, persistence)
            chance, group = plans[self.below(len(plans))]
            on = self.hours("daemon") if self.chance(busy) else self.awake(chance * self.between(0.3, 1), group, alike)
            if self.chance(0.25):  # subscriptions begin and end singly
                on = on & self.part()
            listed = self.rng.permutation(pool)[:25] if everything or manner == "rotating" else mine
            self.trade(who, name, (on, place, clients), self.few(), listed=listed)
        return pool, stack

    def roamer(self) -> None:
        """Home, office, phone and VPN by the hour; within an hour, two of them."""
        office = self.host("home") if self.chance(0.6) else self.phone()
        places = [self.host("home"), office, self.phone(), self.vpn()]
        local, moves, regular = (self.clock + 9) % 24, self.noise(self.between(0.4, 0.95)), self.between(0.3, 0.95)
        usual = np.where((local >= 9) & (local < 18), 1, np.where((local < 8) | (local > 19), 0, 2))
        where = np.where(moves < regular, usual, (moves * 997).astype(np.int64) % 4)
        place, stack = np.choose(where, places), self.line()
        mobile = self.line() if self.chance(0.5) else stack
        on = self.hours("evening", "evening", "office", "signal", "signal", "daemon")
        both = on & (self.rng.random(self.span) < self.between(0.02, 0.5))
        life = (on, place, np.where(where == 2, mobile, stack))
        for key in self.trade(self.person(), "roamer", life, self.few()):
            self.use(key, both, np.roll(place, -1) if self.chance(0.5) else places[2], mobile)

    def power_user(self) -> None:
        """Many clients on several machines at once, all of one person."""
        places = [self.abode() for _ in range(self.below(1, 6))]
        life = (self.hours("daemon", "signal", "evening"), places[0], self.line())
        for key in self.trade(self.person(), "power_user", life, self.size(1, 6)):
            for _ in range(self.below(2, 9)):
                self.use(key, self.seldom(0.1, 0.8), places[self.below(len(places))], self.line())

    def household(self, name: str, together: bool) -> None:
        """A family behind one line, with a computer each, or one that they share or take turns at."""
        home, shared, chance = self.host("home"), self.line(), self.rhythm()
        group, alike = self.noise(0.7), self.between(0.2, 1.0) * (1 if together else 0.4)
        for turn, who in enumerate(self.strangers((2, 2, 2, 3, 4)[self.below(5)])):
            chance = chance if together and self.chance(0.7) else self.rhythm()
            on = self.awake(chance, group, alike)
            if together and turn and self.chance(0.25):
                on = on & (self.clock // 2 % 2 == turn % 2)
            self.trade(who, name, (on, home, shared if together else self.line()), self.few())

    def renumbered(self, name: str, period: int) -> None:
        """Lines of one area that hand addresses to one another whenever their leases end."""
        people = self.size(8, 60)
        pool = self.addresses("home", int(people * self.between(1.2, 6)), self.below(2, 6))
        leases = np.array([self.rng.permutation(pool) for _ in range(self.span // period + 3)])
        for number, who in enumerate(self.strangers(people)):
            place = leases[(self.clock + self.below(period)) // period, number]
            self.trade(who, name, (self.hours(), place, self.line()), self.few())


class Guilty(Innocent):
    """Rings of borrowed keys, keys that many use, and keys that leaked."""

    rings = 0

    def ring_places(self, style: str, size: int) -> Callable[[], Ints]:
        """How an operator spreads borrowed keys over addresses."""
        kind = "cloud" if self.chance(0.7) else "abroad"
        if style == "ring_pool" and self.may("phones"):  # a rack of modems behind a carrier
            pool = self.carriers[self.below(len(self.carriers))]
        elif style == "ring_pool":
            pool = self.addresses(kind, self.size(3, 24), self.below(1, 7))
        elif style == "ring_residential":
            pool = self.addresses("home", max(3, int(size * self.between(0.3, 2.0))), size)
            self.leftovers += [(self.stay(int(ip)), self.any_stack()) for ip in pool if self.chance(0.4)]
        else:
            pool = self.addresses(kind, 2 if style == "ring_stack_per_key" and self.chance(0.4) else 1)
            if self.may("hidden"):
                self.hosts.append(int(pool[0]))
            if self.chance(0.25):  # moves house on the way
                moved = np.where(self.part(), pool[0], self.addresses("cloud", 1)[0])
                return lambda: moved
        width, sticky, pinned = self.below(1, 6), self.between(0, 0.98), self.chance(0.5)

        def place() -> Ints:
            mine = self.rng.choice(pool, 1 if pinned else min(len(pool), width), replace=False)
            return self.wander(mine if pinned or self.chance(0.8) else pool, sticky)

        return place

    def visits(self, chance: Floats, weekly: float) -> Bools:
        """A few hours a week, each key at its own ones, though all of them within the operator's day."""
        on = np.zeros(self.span, dtype=bool)
        count = max(2, round(weekly * self.span / 168))
        on[self.rng.choice(self.span, count, p=chance / chance.sum())] = True
        return on

    def ring_hours(self, style: str, size: int) -> list[Bools]:
        """How an operator splits the work: all at once, by turns, with lags, or unevenly."""
        careful, group = self.may("careful"), self.noise(self.between(0, 0.8))
        alike = self.between(0.2, 0.65) if careful else self.between(0.6, 1.0)
        chance = self.rhythm(self.one(("daemon", "office", "evening", "signal", "cron")))
        if self.chance(0.35):  # works in campaigns of some days
            chance = 0.001 + 0.999 * chance * (self.noise(0.0)[self.clock // 24] < self.between(0.3, 0.8))
        split = self.one(("together", "together" if not careful else "turns", "lag", "uneven"))
        parts, length, weekly = self.below(2, 4), self.below(1, 13), self.between(2, 8)
        result: list[Bools] = []
        for number in range(size):
            on = self.awake(chance, group, alike)
            if style == "ring_staggered":
                on = self.visits(chance, weekly)
            elif split == "turns":
                on = on & (self.clock // length % parts == number % parts)
            elif split == "lag":
                on = np.roll(on, self.below(0, 4))
            elif split == "uneven":
                on = on & (self.rng.random(self.span) < self.between(0.2, 1))
            result.append(on)
        return result

    def ring(self, style: str, size: int) -> None:
        """One operator, three or more lenders, and what the lenders go on doing themselves."""
        self.rings += 1
        ring = f"ring-{self.rings:03d}"
        place, shifts = self.ring_places(style, size), self.ring_hours(style, size)
        clients = self.line(self.own_stack() if self.chance(0.25) else None)
        targets = self.rng.choice(5, self.below(1, 6), replace=False, p=self.market).tolist()
        lenders = [self.person() for _ in range(max(3, int(size * self.between(0.4, 1.2))))]
        active = self.between(0.75, 1.0) if style == "ring_lender_active" else self.rates["going_on"]
        homes = [(self.host("home"), self.line(), self.chance(active)) for _ in lenders]
        for number, on in enumerate(shifts):
            who = number % len(lenders)
            venue = targets[(number // len(lenders) + self.below(len(targets))) % len(targets)]
            key = self.issue(lenders[who], style, venue, True, ring)
            begun = self.below(self.span * 3 // 4) if self.may("recruits") else 0
            if style == "ring_stack_per_key":
                clients = self.line(None if self.chance(0.6) else self.own_stack())
            home, own, goes_on = homes[who]
            if goes_on or (begun and self.chance(0.3)):
                self.use(key, self.seldom(0.2, 1.0) & (self.clock < (self.span if goes_on else begun)), home, own)
            on = on & (self.clock >= begun) & (self.part(1.0) if self.chance(0.1) else True)
            if on.sum() < 4:  # no key is borrowed for nothing
                on = on | ((self.clock >= begun) & (self.rng.random(self.span) < 0.05))
            where = place()
            self.use(key, self.mishaps(key, on, where, clients), where, clients)
        if self.may("own_keys"):
            own_hours = self.awake(self.rhythm(), np.where(shifts[0], 0.0, 1.0), self.between(0, 0.9))
            self.trade(self.person(), style, (own_hours, place(), clients), self.size(1, 3), ring=ring)

    def shared_key(self, style: str) -> None:
        """One key in many hands: friends, the buyers of a seat, or a few who look in seldom."""
        low, high = {"shared_few": (3, 12), "shared_crowd": (8, 60), "shared_rarely": (3, 6)}[style]
        key = self.issue(self.person(), style, self.venues(1)[0], True)
        program = self.any_stack() if self.may("one_program") else None
        relay = self.host("cloud") if self.may("relayed") else None
        busy = self.between(0.1, 1.0) if style == "shared_few" else self.between(0.03, 0.4)
        together, group = self.between(0, 0.5), self.noise(0.3)
        for _ in range(self.size(low, high)):
            place = self.phone() if self.chance(0.2) else self.abode()
            place = place if relay is None or self.chance(0.2) else relay
            stack = program if program is not None and self.chance(0.85) else self.any_stack()
            rhythm, clients = self.rhythm(), self.line(stack)
            on = self.awake(rhythm * busy * self.between(0.4, 1), group, together)
            if style == "shared_rarely":
                on = self.visits(rhythm, self.between(1, 5))
            self.use(key, self.mishaps(key, on, place, clients), place, clients)
            if place is not relay and self.may("known"):
                self.leftovers.append((place, stack))

    def leak(self, style: str, victims: list[Key]) -> None:
        """A dump being tried: where it came from is nowhere to be seen, only that strangers present it."""
        rng, slow = self.rng, style == "leak_slow"
        count = self.size(5, 50) if slow else 1 if style == "leak_one_server" else self.below(1, 3)
        kind = self.one(("abroad", "abroad", "cloud", "home") if slow else ("abroad", "abroad", "cloud"))
        pool = self.addresses(kind, count, max(1, int(count * self.between(0.2, 1))))
        if slow and self.chance(0.3):
            pool = np.concatenate([pool, self.vpns[self.below(len(self.vpns))]])
        tools = np.array([self.any_stack() for _ in range(self.below(1, 5) if slow else 1)])
        begin = self.below(self.span // 4 if slow else self.span * 4 // 5)
        window = self.span - begin if slow else self.size(1, 72) if style == "leak_one_server" else self.size(2, 150)
        for victim in victims:
            victim.guilty, victim.pattern = True, style
            others = rng.permutation([e for e in range(5) if e != victim.exchange])
            tried = others[: self.below(1, 5)].tolist() if self.may("elsewhere") else []
            if not tried or self.chance(0.9):
                tried.append(victim.exchange)
            for exchange in tried:
                hours = np.minimum(begin + rng.integers(0, window, self.size(1, 4)), self.span - 1)
                self.put(victim, hours, rng.choice(pool, len(hours)), rng.choice(tools, len(hours)), FAIL, exchange)
            if victim.exchange in tried and self.may("accepted"):
                hours = begin + window // 2 + np.arange(self.size(1, 40))
                hours = hours[hours < self.span]
                self.put(victim, hours, rng.choice(pool, 1), rng.choice(tools, 1), USE, rate=victim.rate)


def _guilty(world: Guilty, total: int) -> int:
    """Build rings and shared keys; the number of keys that are to leak is returned."""
    rng = world.rng
    left, shared = int(total * world.between(0.43, 0.57)), int(total * world.between(0.2, 0.3))
    world.room = 10**9
    styles = [RINGS[i] for i in rng.permutation(len(RINGS))]
    while left >= 3:
        size = int(np.clip(rng.lognormal(math.log(8), 0.75), 3, 60))
        size = min(left, 60) if left - size < 3 else size
        world.ring(styles.pop() if styles else world.one(RINGS), size)
        left -= size
    for style in rng.choice(SHARED, shared, p=rng.dirichlet((5, 3, 4))):
        world.shared_key(str(style))
    return total - sum(key.guilty for key in world.keys)


def _innocent(world: Guilty, keys: int) -> list[dict[str, Any]]:
    """Fill the world up with innocents; returns what the declared platforms declare."""
    shaken = {name: share * float(world.rng.lognormal(0, 0.35)) for name, share in SHARES.items()}
    total, budget = sum(shaken.values()), keys - len(world.keys)
    declared: list[dict[str, Any]] = []
    groups: dict[str, Callable[[], object]] = {
        "platform_undeclared_large": lambda: world.platform("platform_undeclared_large", world.size(60, 500), 24),
        "platform_undeclared_small": lambda: world.platform("platform_undeclared_small", world.size(15, 59), 4),
        "household_apart": lambda: world.household("household_apart", False),
        "household_together": lambda: world.household("household_together", True),
        "renumber_daily": lambda: world.renumbered("renumber_daily", 24),
        "renumber_weekly": lambda: world.renumbered("renumber_weekly", 168),
    }
    for name in [*list(SHARES)[1:], "solo"]:
        world.room = keys - len(world.keys) if name == "solo" else int(budget * shaken[name] / total)
        while world.room >= LEAST.get(name, 1):
            if name != "platform_declared":
                (groups.get(name) or getattr(world, name))()
                continue
            pool, stack = world.platform(name, world.size(40, 600), 40)
            told = pool[:-1] if len(pool) > 3 and world.chance(0.2) else pool  # a late address is not declared yet
            ips = [world.ips[ip] for ip in told.tolist()]
            declared.append({"name": f"platform-{len(declared) + 1}", "ips": ips, "device": world.stacks[stack]})
    return declared


def _leaks(world: Guilty, count: int) -> None:
    """Turn some keys of ordinary owners, and of platforms' customers, into victims; some have been lying idle."""
    sources = ("solo", "multi_exchange", "platform_declared", "platform_undeclared_large", "renumber_weekly")
    pool = [key for key in world.keys if key.pattern in sources and not key.ring]
    order = [pool[i] for i in world.rng.permutation(len(pool))]
    turn, most = world.below(4), max(4, count // 3)
    while count > 0:
        style = (*LEAKS, "leak_small_set")[turn % 4]
        size = min(count, most, world.size(3, 8) if style == "leak_small_set" else world.size(8, 50))
        if world.chance(0.3):  # this dump was taken from one sort of owner
            sort = order[-1].pattern
            order.sort(key=lambda key: key.pattern == sort)
        world.leak(style, [order.pop() for _ in range(size)])
        count, turn = count - size, turn + 1


def _sightings(world: Guilty) -> Iterator[dict[str, Any]]:
    """The columns in order of time, row by row."""
    columns = [np.concatenate(column) for column in world.columns]
    rows, exchange = len(columns[0]), columns[2]
    no_holder = world.rng.random(rows) < world.rates["no_holder"]
    no_device = world.rng.random(rows) < world.device_lost[exchange]
    columns += [no_holder.astype(np.int64), no_device.astype(np.int64)]
    for part in np.array_split(np.argsort(columns[0], kind="stable"), rows // 50_000 + 1):
        chunk = (column[part].tolist() for column in columns)
        for ts, number, e, ip, device, count, kind, unheld, bare in zip(*chunk, strict=True):
            key = world.keys[number]
            issued = key.exchange == e
            yield {
                "ts": world.start + ts,
                "exchange": EXCHANGES[e],
                "key": key.name,
                "account": key.account if issued else None,
                "holder": key.holder if issued and not unheld else None,
                "ip": world.ips[ip],
                "device": None if bare or device < 0 else world.stacks[device],
                "count": count,
                "kind": KINDS[kind],
            }


def market(
    seed: int, keys: int = 20_000, days: int = 14, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Draw one world: sightings in order of time, the truth of every issued key, and the declared platforms."""
    world = Guilty(seed, days, holders)
    leaking = _guilty(world, round(keys * (1 - innocent)))
    declared = _innocent(world, keys)
    _leaks(world, leaking)
    truth: list[dict[str, Any]] = []
    for key in world.keys:
        role = "operator-own" if key.ring and not key.guilty else ""
        entry = {"exchange": EXCHANGES[key.exchange], "key": key.name, "guilty": key.guilty, "pattern": key.pattern}
        truth.append({**entry, "role": role, "ring": key.ring})
    return _sightings(world), truth, declared
