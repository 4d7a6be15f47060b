"""Synthetic API traffic at crypto exchanges: one engineer's reading of how keys are used, shared, rented and stolen.

Every actor has a motive, a timetable in Korean time and infrastructure: homes, phones, offices, rented machines. The
numbers that make one world unlike another stand in tables at the top and are drawn anew for every seed, so that no two
worlds agree on how large, how even, how synchronous or how well documented their traffic is. Nothing is read or written.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
T = TypeVar("T")

EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
KEY_LENGTHS = (40, 32, 36, 64, 36)
FIELDS = ("ts", "exchange", "key", "account", "holder", "ip", "device", "count", "kind")
KINDS = ("use", "auth_fail", "allowlist")
USE, FAIL, ALLOW = range(3)
MIDNIGHT = 1_790_002_800  # in Korea, that is 15:00 UTC
ALPHABET = np.array(list(string.ascii_letters + string.digits))
HABITS = ("bot", "cron", "session", "signal", "rare")

# Shares of all keys; the rest are of pattern "single". The guilty are scaled to what the caller leaves to them.
INNOCENT = {
    "multi_exchange": 0.125, "carrier_nat": 0.05, "corporate_egress": 0.022, "campus_egress": 0.018,
    "class_image": 0.0036, "team_image": 0.0015, "platform_declared": 0.06, "platform_undeclared_large": 0.02,
    "platform_undeclared_small": 0.007, "roamer": 0.03, "power_user": 0.0032, "shared_hosting": 0.025,
    "nat_gateway": 0.022, "faas_egress": 0.015, "household_separate": 0.022, "household_shared": 0.005,
    "renumber_daily": 0.03, "renumber_weekly": 0.03, "popular_stack": 0.05,
}  # fmt: skip
GUILTY = {
    "ring_plain": 0.0031, "ring_pool": 0.0023, "ring_holder_continues": 0.0021, "ring_stack_per_key": 0.0014,
    "ring_residential": 0.0011, "ring_staggered": 0.0010, "leak_server": 0.0030, "leak_slow": 0.0015,
    "leak_small_set": 0.0010, "shared_few": 0.0032, "shared_many": 0.0016, "shared_slow": 0.0007,
}  # fmt: skip

# Chances: the odds are drawn within a factor of 1.5 of these, or of 3 for those named in UNKNOWN.
CHANCES = {
    # what happens to everybody
    "born_late": 0.16, "expires": 0.03, "clock_error": 0.03, "wrong_exchange": 0.015, "moves": 0.025, "upgrades": 0.06,
    "tinkers": 0.10, "typo": 0.012, "wakes": 0.5, "device_lost": 0.004, "goes_on_expired": 0.7, "amends_late": 0.3,
    "custom_stack": 0.14, "odd_machine": 0.12, "home_ipv6": 0.13, "mobile_ipv6": 0.3,
    # people and crowds
    "single_at_home": 0.5, "single_vpn": 0.1, "second_key": 0.06, "multi_rented": 0.6, "multi_together": 0.6,
    "multi_two_machines": 0.12, "phone_router": 0.08, "second_egress": 0.3, "also_from_home": 0.5,
    "class_lockstep": 0.17, "class_practises": 0.75, "class_keeps_image": 0.55, "class_rents": 0.12,
    "team_lockstep": 0.17, "team_market": 0.15, "household_lockstep": 0.33, "travels": 0.12, "one_tool_at_a_time": 0.3,
    "faas_behind_nat": 0.12, "hosting_stock": 0.8, "irregular_renumbering": 0.2,
    # platforms
    "near": 0.8, "pinned": 0.7, "lists_all": 0.3, "service_sync": 0.05, "service_follow": 0.3, "service_moves": 0.2,
    "service_mixed": 0.075, "service_operator": 0.5, "service_custom": 0.4, "small_second_address": 0.15,
    # rings
    "ring_hides": 0.10, "ring_round_clock": 0.08, "ring_market": 0.2, "ring_take": 0.79, "ring_arrive": 0.42,
    "ring_second_key": 0.3, "ring_operator": 0.45, "ring_holder_looks": 0.15, "ring_custom": 0.35, "ring_at_home": 0.12,
    "pool_whole": 0.6, "pool_hops_together": 0.2, "stacks_repeat": 0.2, "stagger_rota": 0.25, "exits_sticky": 0.3,
    "lender_goes_on": 0.85, "lender_makes_way": 0.2, "lender_at_home": 0.8,
    # shared and leaked keys
    "shared_recipe": 0.25, "shared_host": 0.25, "shared_at_home": 0.6, "shared_on_phone": 0.45, "shared_in_turns": 0.2,
    "sharer_joins_late": 0.5, "leak_works": 0.25, "leak_elsewhere": 0.75, "leak_reaches": 0.93, "leak_again": 0.25,
}  # fmt: skip
UNKNOWN = {
    "class_lockstep", "team_lockstep", "household_lockstep", "service_sync", "service_follow", "service_mixed",
    "lists_all", "pinned", "ring_hides", "ring_round_clock", "ring_arrive", "lender_goes_on", "shared_recipe",
    "shared_host", "leak_works", "device_lost",
}  # fmt: skip
# Amounts: drawn within a factor of 1.5.
AMOUNTS = {
    "corporate_egress": 13.5, "campus_egress": 24.5, "class_image": 16.4, "team_image": 8.5, "nat_gateway": 27.0,
    "shared_hosting": 10.0, "faas_egress": 80.0, "ring_size": 8.0, "shared_many": 26.0, "shared_few": 7.2,
    "ring_unevenness": 0.12, "ring_sessions": 1.3, "session_length": 2.5, "sessions_per_day": 1.0, "office_share": 0.27,
    "service_alike": 6.0, "service_addresses": 1.0, "pool_size": 8.0, "exit_count": 18.0, "stagger_spells": 2.0,
    "leak_breadth": 1.0, "leak_addresses": 0.9, "dead_keys": 0.9, "volatile_spells": 3.0, "requests": 24.0,
}  # fmt: skip
# How the sizes of a pattern's groups spread around its amount, and their least and most.
CROWDS = {
    "corporate_egress": (0.8, 4, 150), "campus_egress": (0.8, 4, 150), "class_image": (0.5, 7, 45),
    "team_image": (0.5, 4, 15), "nat_gateway": (0.8, 6, 150), "shared_hosting": (0.7, 3, 60),
    "faas_egress": (0.4, 40, 160), "shared_many": (0.55, 8, 60), "shared_few": (0.4, 3, 12),
}  # fmt: skip
LIBRARIES = {
    "python-requests": 18, "pyupbit": 4, "Python/aiohttp": 12, "axios": 8, "node-fetch": 4, "okhttp": 6, "ccxt": 6,
    "Java-http-client": 2, "Go-http-client": 6, "curl": 4, "PostmanRuntime": 2, "Apache-HttpClient": 2, "RestSharp": 2,
    "python-httpx": 4, "reqwest": 2, "undici": 2, "GuzzleHttp": 1, "Excel": 1, "Deno": 1, "Dart": 1,
}  # fmt: skip
# Where addresses come from: the beginnings of networks, and how many /24 of them are in use.
NETWORKS = {
    "home": ("14 58 61 112 118 121 125 175 180 183 211 218 220 221 222", 14_000),
    "cloud": ("3.34 13.124 13.209 15.164 52.78 52.79 43.201 34.64 141.164 158.247 223.130 110.165", 720),
    "office": ("27 106 203 210 211", 900),
    "campus": ("143.248 147.46 163.152 165.132 141.223 114.70 155.230", 21),
    "renumbered": ("1 49 59 116 119", 4_000),
    "vpn": ("103.125.234 146.70.120 185.213.82 37.19.205 156.146.45 84.17.34", 12),
    "skt": ("223.38", 7), "kt": ("39.7", 7), "lgu": ("106.101", 7),
}  # fmt: skip
CARRIERS = ("skt", "kt", "lgu")


class Draw:
    """The random draws of a world, and the rates that it drew once."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 77_123])
        self.chances: dict[str, float] = {}
        for name, middle in CHANCES.items():
            odds = middle / (1 - middle) * self.factor(3.0 if name in UNKNOWN else 1.5)
            self.chances[name] = odds / (1 + odds)
        self.amounts = {name: middle * self.factor(1.5) for name, middle in AMOUNTS.items()}

    def factor(self, most: float) -> float:
        return float(most ** self.rng.uniform(-1, 1))

    def chance(self, rate: str | float) -> bool:
        return bool(self.rng.random() < (self.chances[rate] if isinstance(rate, str) else rate))

    def around(self, name: str) -> float:
        """A group's own chance: the world's, half of it more or less."""
        return min(0.98, self.chances[name] * self.between(0.5, 1.5))

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self.rng.integers(low, max(low, high) + 1))

    def size(self, name: str, spread: float, low: int, high: int) -> int:
        return int(np.clip(self.amounts[name] * np.exp(self.rng.normal(0, spread)), low, high))

    def pick(self, items: Sequence[T], weights: Sequence[float] | None = None) -> T:
        if weights is None:
            return items[int(self.rng.integers(len(items)))]
        at = int(np.searchsorted(np.cumsum(weights), self.rng.random() * sum(weights), side="right"))
        return items[min(at, len(items) - 1)]

    def text(self, length: int) -> str:
        return "".join(ALPHABET[self.rng.integers(len(ALPHABET), size=length)])


class Timetables:
    """Who is active in which hour, by Korean time: methods return a mask over the hours of the world."""

    def __init__(self, draw: Draw, days: int) -> None:
        self.draw, self.days, self.total, self.every = draw, days, days * 24, np.arange(days * 24)
        self.of_day, self.weekday = self.every % 24, (self.every // 24 + draw.whole(0, 6)) % 7
        awake = [6, 4, 2.5, 1.5, 1, 1.2, 2, 3.5, 6, 9, 8, 7, 6.5, 7, 6.5, 6, 5.5, 5.5, 6, 7, 8.5, 9.5, 9.5, 8]
        weights = np.array(awake) ** draw.between(0.7, 1.3)
        self.awake = weights / weights.sum()
        self.prices = draw.rng.normal(0, 0.6, (7, self.total))
        for hour in range(1, self.total):
            self.prices[:, hour] += 0.8 * self.prices[:, hour - 1]
        self.prices += 0.5 * np.isin(self.of_day, (9, 10, 22, 23, 0))
        self.volatile = self.spells(1 + int(draw.rng.poisson(draw.amounts["volatile_spells"])), 1.5)
        self.outage = np.array([self.spells(int(draw.rng.poisson(1.2)), 1.0) for _ in EXCHANGES])
        self.habits: list[float] = draw.rng.dirichlet(np.array([0.17, 0.2, 0.35, 0.14, 0.14]) * 40).tolist()

    def spells(self, count: int, mean: float) -> Mask:
        mask = np.zeros(self.total, dtype=bool)
        for start in self.draw.rng.integers(self.total, size=count):
            mask[start : start + 1 + int(self.draw.rng.exponential(mean))] = True
        return mask

    def thinned(self, mask: Mask, share: float) -> Mask:
        return mask & (self.draw.rng.random(self.total) < share)

    def bot(self, up: float | None = None) -> Mask:
        running = ~self.spells(int(self.draw.rng.poisson(1.3)), 9)
        return self.thinned(running, up or self.draw.pick((1.0, 0.97, 0.85, 0.6), (0.5, 0.25, 0.15, 0.1)))

    def cron(self) -> Mask:
        often = self.draw.rng.choice(24, self.draw.whole(1, 5), replace=False, p=self.awake)
        mask = self.thinned(np.isin(self.of_day, 9 if self.draw.chance(0.35) else often), 0.94)
        return mask & (self.weekday < 5) if self.draw.chance(0.12) else mask

    def sessions(self, per_day: float | None = None, length: float | None = None, shift: int = 0) -> Mask:
        rng, amounts, mask = self.draw.rng, self.draw.amounts, self.spells(0, 0)
        per_day = per_day or amounts["sessions_per_day"] * float(np.exp(rng.normal(0, 0.5)))
        length = length or amounts["session_length"] * self.draw.between(0.5, 1.7)
        for hour in rng.choice(24, int(rng.poisson(per_day * self.days)), p=np.roll(self.awake, shift)):
            start = 24 * self.draw.whole(0, self.days - 1) + int(hour)
            mask[start : start + 1 + int(rng.exponential(length - 0.5))] = True
        return mask

    def office(self, share: float, first: int = 9, last: int = 18) -> Mask:
        return self.thinned((self.weekday < 5) & (self.of_day >= first) & (self.of_day < last), share)

    def signal(self, threshold: float | None = None) -> Mask:
        """When a strategy sees its signal in the market; several strategies watch the same factor."""
        seen = self.prices[self.draw.whole(0, 6)] + self.draw.rng.normal(0, 0.5, self.total)
        return np.asarray(seen > (threshold or self.draw.between(0.5, 1.8)))

    def rarely(self, mean: float | None = None) -> Mask:
        mask, weights = self.spells(0, 0), self.awake[self.of_day]
        count = max(1, int(self.draw.rng.poisson(mean or self.draw.between(2, 12))))
        mask[self.draw.rng.choice(self.total, count, p=weights / weights.sum())] = True
        return mask

    def staggered(self, plan: Mask, slot: int | None) -> Mask:
        """A few hours a week; on a rota the keys follow one another, otherwise each has its own hours."""
        draw, mask = self.draw, self.spells(0, 0)
        for week in range(0, self.total, 168):
            for spell in range(max(1, int(draw.rng.poisson(draw.amounts["stagger_spells"])))):
                start = week + (draw.whole(0, 163) if slot is None else (slot + 61 * spell) % 164)
                mask[start : start + draw.whole(1, 3)] = True
        return mask & (plan | self.thinned(~plan, 0.6))

    def at_least_once(self, mask: Mask, birth: int) -> Mask:
        """The mask, or one short session of a key that would otherwise never be seen."""
        if not mask[max(0, birth) :].any():
            start = self.draw.whole(max(0, birth), self.total - 1)
            mask[start : start + self.draw.whole(1, 4)] = True
        return mask


class Names:
    """Texts that are referred to by number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        if text not in self.numbers:
            self.numbers[text] = len(self.texts)
            self.texts.append(text)
        return self.numbers[text]


@dataclass
class Place:
    """The address of every hour; those an allow-list would name; those of a renumbering pool; when it moved."""

    table: Ints
    fixed: list[int]
    pool: list[int] = field(default_factory=list)
    moved: int | None = None


class Internet:
    """Networks, and client stacks: a client is the table of its stack in every hour."""

    def __init__(self, draw: Draw, every: Ints) -> None:
        self.draw, self.every, self.total = draw, every, every.size
        self.addresses, self.stacks, self.taken, self.areas = Names(), Names(), set[int](), list[list[str]]()
        self.networks = {kind: self._networks(prefixes.split(), count) for kind, (prefixes, count) in NETWORKS.items()}
        self.clouds, self.homes = self.networks["cloud"], self.networks["home"]
        self.vpns = [self._host(network) for network in self.networks["vpn"] for _ in range(draw.whole(1, 3))]
        self.carriers = [[self._host(draw.pick(self.networks[kind])) for _ in range(42)] for kind in CARRIERS]
        names = [f"{name}/{1 + n // 6}.{n // 2}" for name, variants in LIBRARIES.items() for n in range(variants)]
        stock = [self.stacks.number(f"{self._ja4()}|{name}") for name in names]
        self.stock = stock[:6] + draw.rng.permutation(stock[6:]).tolist()
        self.stock_weights = (np.arange(1.6, len(stock) + 1.6) ** -draw.between(0.9, 1.35)).tolist()

    def _networks(self, prefixes: Sequence[str], count: int) -> list[str]:
        """Networks of three bytes; the one of them that is kept for documentation is left out."""
        whole, pick = self.draw.whole, self.draw.pick
        networks = [f"{pick(prefixes)}.{whole(0, 255)}.{whole(0, 255)}".split(".")[:3] for _ in range(count)]
        return [".".join(network) for network in networks if network != ["203", "0", "113"]]

    def _host(self, network: str) -> int:
        return self.addresses.number(f"{network}.{self.draw.whole(1, 254)}")

    def _ja4(self) -> str:
        tail = self.draw.rng.bytes(12).hex()
        return f"t13d{self.draw.whole(11, 31)}{self.draw.whole(10, 16)}h{self.draw.whole(1, 2)}_{tail[:12]}_{tail[12:]}"

    def fresh(self, networks: Sequence[str]) -> int:
        """An address that nobody else rents."""
        address = self._host(self.draw.pick(networks))
        while address in self.taken:
            address = self._host(self.draw.pick(networks))
        self.taken.add(address)
        return address

    def stack(self, custom: float | None = None) -> int:
        """A stock stack by popularity, a program of one's own, or a stock library on an unusual machine."""
        if self.draw.chance("custom_stack" if custom is None else custom):
            return self.stacks.number(f"{self._ja4()}|bot-{self.draw.rng.bytes(3).hex()}/{self.draw.whole(1, 4)}")
        stock: int = self.draw.pick(self.stock, self.stock_weights)
        if self.draw.chance("odd_machine"):
            return self.stacks.number(f"{self._ja4()}|{self.stacks.texts[stock].split('|')[1]}")
        return stock

    def client(self, stack: int | None = None, upgrade: float | None = None) -> Ints:
        """One stack, or two with an upgrade in between."""
        old = self.stack() if stack is None else stack
        if not self.draw.chance("upgrades" if upgrade is None else upgrade):
            return np.broadcast_to(np.int64(old), self.total)
        new = self.stacks.number(f"{self.stacks.texts[old]}.{self.draw.whole(1, 8)}")
        if old in self.stock:
            new = self.draw.pick(self.stock, self.stock_weights)
        return np.where(self.every < self.draw.whole(0, self.total - 1), old, new)

    def static(self, address: int) -> Place:
        return Place(np.broadcast_to(np.int64(address), self.total), [address])

    def vm(self) -> Place:
        return self.static(self.fresh(self.clouds))

    def among(self, addresses: Sequence[int], spell: int) -> Place:
        """Another address of the set every so many hours."""
        turns = np.array(addresses)[self.draw.rng.integers(len(addresses), size=self.total)]
        return Place(turns[self.every // spell * spell], list(addresses) if len(addresses) <= 10 else [])

    def then(self, before: Place, after: Place, hour: int) -> Place:
        table = np.where(self.every < hour, before.table, after.table)
        return Place(table, before.fixed + after.fixed, moved=hour)

    def home(self) -> Place:
        draw = self.draw
        if not draw.chance("home_ipv6"):
            return self.static(self.fresh(self.homes))
        prefix = ":".join(f"{part:x}" for part in draw.rng.integers((0x200, 0, 0), (0xD00, 65536, 65536)))
        tails = [f"{draw.whole(1, 65535):x}:{draw.whole(1, 65535):x}" for _ in range(1 + self.total // 72)]
        private = [self.addresses.number(f"2001:{prefix}::{tail}") for tail in tails]
        return Place(np.array(private)[self.every // 72 % len(private)], private[:1])

    def mobile(self) -> Place:
        draw, carrier = self.draw, self.draw.pick(self.carriers, (0.45, 0.33, 0.22))
        first, region = draw.whole(0, 41), f"2001:e60:{draw.whole(0, 65535) & 0xFF0F:x}"
        exits = [carrier[(first + draw.whole(0, 8)) % len(carrier)] for _ in range(40)]
        if draw.chance("mobile_ipv6"):
            ends = [f"{draw.whole(0, 65535):x}:{draw.whole(1, 65535):x}" for _ in range(30)]
            exits = [self.addresses.number(f"{region}:{end}::1") for end in ends]
        return Place(np.array(exits)[self.every // 3 % len(exits)], [])

    def renumbering(self, every: int) -> Place:
        """A subscriber whose modem keeps taking another address out of the pool of its neighbourhood."""
        draw = self.draw
        if not self.areas or draw.chance(0.03):
            self.areas.append([draw.pick(self.networks["renumbered"]) for _ in range(draw.whole(1, 3))])
        area = draw.pick(self.areas)
        pool = [self._host(draw.pick(area)) for _ in range(self.total // every + 2)]
        shift = draw.whole(3, 6) if every == 24 else draw.whole(0, every - 1)
        changes = (self.every + every - shift) // every
        if draw.chance("irregular_renumbering"):
            changes = np.cumsum(draw.rng.random(self.total) < 1 / every)
        return Place(np.array(pool)[changes % len(pool)], [], pool)


class Person:
    """Somebody with accounts, a habit, and a home and a phone that exist once they are used."""

    def __init__(self, net: Internet, hours: Timetables, number: int) -> None:
        self.net, self.hours, self.number = net, hours, number
        self.accounts: dict[int, tuple[str, bool]] = {}
        self.shift = int(np.rint(hours.draw.rng.normal(0, 2)))
        self.kind = hours.draw.pick(HABITS, hours.habits)

    @cached_property
    def home(self) -> Place:
        return self.net.home()

    @cached_property
    def phone(self) -> Place:
        return self.net.mobile()

    def timetable(self, kind: str | None = None) -> Mask:
        hours = self.hours
        kinds = {"bot": hours.bot, "cron": hours.cron, "signal": hours.signal, "rare": hours.rarely}
        return kinds[kind]() if (kind := kind or self.kind) in kinds else hours.sessions(shift=self.shift)


@dataclass
class Key:
    """A key that an exchange issued, and what is true of it."""

    number: int
    exchange: int
    text: str
    owner: Person
    pattern: str
    ring: str
    role: str
    birth: int
    expires: int
    listed: bool
    wakes: bool
    rate: float
    declared: set[int] = field(default_factory=set)


class World:
    """Everybody and everything, and the traffic they have made so far."""

    def __init__(self, seed: int, days: int) -> None:
        self.draw = draw = Draw(seed)
        self.hours = Timetables(draw, days)
        self.net = Internet(draw, self.hours.every)
        self.keys: list[Key] = []
        self.parts: list[tuple[Ints, Ints, Ints, Ints, tuple[int, int, int]]] = []
        self.strays: list[tuple[int, int, str, int, int]] = []
        self.declared: list[dict[str, Any]] = []
        self.rings = self.people = self.accounts = 0
        self.popularity: Floats = draw.rng.dirichlet(np.array([0.42, 0.27, 0.13, 0.10, 0.08]) * 60)
        self.no_holder, self.lost_holder = draw.rng.uniform(0.1, 0.6, 5), draw.rng.uniform(0.005, 0.06, 5)
        odds = [middle / (1 - middle) * draw.factor(2) for middle in (0.92, 0.8, 0.55, 0.4, 0.3)]
        self.wants_list = [value / (1 + value) for value in odds]

    def person(self) -> Person:
        self.people += 1
        return Person(self.net, self.hours, self.people)

    def exchanges(self, count: int = 1, among: Sequence[int] = range(5)) -> list[int]:
        weights, count = self.popularity[list(among)], min(count, len(among))
        chosen: list[int] = self.draw.rng.choice(among, count, replace=False, p=weights / weights.sum()).tolist()
        return chosen

    def some(self, more: float = 0.18, among: Sequence[int] = range(5)) -> list[int]:
        """The exchange of a person, of some people two or three."""
        return self.exchanges(1 + int(self.draw.chance(more)) + int(self.draw.chance(more * 0.3)), among)

    def key(
        self, who: Person, exchange: int, pattern: str, birth: int | None = None, ring: str = "", role: str = ""
    ) -> Key:
        """Issues a key, and opens the account if there is none."""
        draw, total = self.draw, self.hours.total
        if exchange not in who.accounts:
            self.accounts += 1
            known = not draw.chance(self.no_holder[exchange])
            who.accounts[exchange] = (f"{EXCHANGES[exchange][:2]}{self.accounts:06d}", known)
        if birth is None:
            birth = draw.whole(0, int(total * 0.95)) if draw.chance("born_late") else -1
        expires = draw.whole(0, total - 1) if pattern not in GUILTY and draw.chance("expires") else total
        rate = float(draw.amounts["requests"] * np.exp(draw.rng.normal(0, 1.3)))
        listed, wakes = draw.chance(self.wants_list[exchange]), draw.chance("wakes") and not ring
        text, number = draw.text(KEY_LENGTHS[exchange]), len(self.keys)
        self.keys.append(Key(number, exchange, text, who, pattern, ring, role, birth, expires, listed, wakes, rate))
        return self.keys[-1]

    def emit(
        self, key: Key, hours: Ints, ips: Ints | int, stacks: Ints | int, rate: float, kind: int = FAIL, where: int = -1
    ) -> None:
        """Writes down one sighting an hour, at the address and with the stack of that hour."""
        if not hours.size:
            return
        counts = np.rint(np.exp(self.draw.rng.normal(np.log(rate), 0.6, hours.size))).astype(np.int64)
        places = np.full(hours.size, ips) if isinstance(ips, int) else ips[hours]
        clients = np.full(hours.size, stacks) if isinstance(stacks, int) else stacks[hours]
        codes = (key.number, key.exchange if where < 0 else where, kind)
        self.parts.append((hours, places, clients, np.maximum(1, counts), codes))

    def run(self, key: Key, place: Place, client: Ints, mask: Mask, noise: bool = True, lists: bool = True) -> None:
        """The key at work, with the mishaps that happen to everybody."""
        draw, every = self.draw, self.hours.every
        if key.wakes and mask.sum() > 4:
            mask = mask | self.hours.thinned(self.hours.volatile, 0.5)
        hours = np.flatnonzero(mask & (every >= key.birth) & ~self.hours.outage[key.exchange])
        if not hours.size:
            return
        if noise and len(place.fixed) == 1 and draw.chance("moves"):
            other = self.net.vm() if draw.chance(0.6) else self.net.static(self.net.fresh(self.net.homes))
            place = self.net.then(place, other, draw.whole(0, self.hours.total - 1))
        if key.listed and lists:
            for address in {*(place.fixed or place.pool[:3])[:10]} - key.declared:
                self.emit(key, np.array([max(0, key.birth)]), address, -1, 1, ALLOW)
                key.declared.add(address)
        good = hours[hours < key.expires]
        if key.listed and place.moved is not None:  # not on the list yet
            refused = (good >= place.moved) & (good < place.moved + 1 + draw.rng.exponential(8))
            self.emit(key, good[refused], place.table, client, 3)
            good = good[~refused]
        elif key.listed and place.pool and noise:
            new = good[1:][np.diff(place.table[good]) != 0]
            late = new[draw.rng.random(new.size) < draw.chances["amends_late"]]
            self.emit(key, late, place.table, client, 2)
        if noise and good.size and draw.chance("clock_error"):
            since = int(draw.rng.choice(good))
            wrong = (good >= since) & (good < since + 1 + draw.rng.exponential(8))
            self.emit(key, good[wrong], place.table, client, 3)
            good = good[~wrong] if draw.chance(0.5) else good
        self.emit(key, good, place.table, client, key.rate, USE)
        if key.expires < self.hours.total and draw.chance("goes_on_expired"):
            late = hours[(hours >= key.expires) & (hours < key.expires + draw.rng.exponential(90))]
            self.emit(key, late, place.table, client, 4)
        if noise:
            self.misplace(key, place, client, int(hours[0] if draw.chance(0.6) else draw.rng.choice(hours)))

    def misplace(self, key: Key, place: Place, client: Ints, hour: int) -> None:
        """Now and then the key is pasted into a form for another exchange, or with a character missing."""
        draw, several = self.draw, len(key.owner.accounts) > 1
        if draw.chance(draw.chances["wrong_exchange"] * (3 if several else 1)):
            other = draw.pick([e for e in (key.owner.accounts if several else range(5)) if e != key.exchange])
            tries = np.arange(hour, min(self.hours.total, hour + draw.whole(1, 3)))
            self.emit(key, tries, place.table, client, 2, where=other)
        if draw.chance("typo"):
            self.strays.append((hour, key.exchange, draw.text(36), int(place.table[hour]), int(client[hour])))

    def tinker(self, key: Key) -> None:
        """Some owners try the key by hand from the desk, once."""
        if self.draw.chance("tinkers"):
            mask = self.hours.at_least_once(self.hours.spells(0, 0), key.birth)
            client = self.net.client(self.net.stack(0))
            self.run(key, key.owner.home, client, mask, noise=False, lists=self.draw.chance(0.5))


# The actors. Each builder makes one group of at least one key; the budget is what the pattern still wants.


def ordinary(w: World, pattern: str, budget: float, who: Person | None = None, ex: int | None = None) -> Key:
    """One client at home or on a rented machine, on a phone's network, or behind a modem that renumbers."""
    draw, net, who, listed = w.draw, w.net, who or w.person(), 1.0
    habit, client, place, several = who.kind, net.client(), who.home, True
    if pattern == "carrier_nat":
        place, listed = who.phone, 0.0
        habit = draw.pick(("session", "rare", "signal", "cron"), (0.5, 0.2, 0.2, 0.1))
        habit = "bot" if draw.chance("phone_router") else habit
    elif pattern.startswith("renumber"):
        daily = pattern == "renumber_daily"
        place, listed = net.renumbering(24 if daily else 168), 0.15 if daily else 0.6
    else:
        several = False
        if pattern == "popular_stack":  # the tutorial's library at the tutorial's cheap host
            client, place = net.client(net.stock[draw.whole(0, 2)]), net.static(net.fresh(net.clouds[:120]))
        elif not draw.chance("single_at_home"):
            place = net.among(net.vpns[:3], 24) if draw.chance("single_vpn") else net.vm()
    for exchange in w.some(0.18 if several else 0.0) if ex is None else [ex]:
        key = w.key(who, exchange, pattern, -1 if pattern in GUILTY else None)
        key.listed = key.listed and draw.chance(listed)
        w.run(key, place, client, who.timetable(habit))
        if not several:
            w.tinker(key)
    if pattern == "single" and budget > 1 and draw.chance("second_key"):
        second = w.key(who, key.exchange, pattern)
        w.run(second, who.home, client if draw.chance(0.5) else net.client(), who.timetable())
    return key


def multi_exchange(w: World, pattern: str, budget: float) -> None:
    """Arbitrage, or one portfolio: everything from one machine (or a main one and a spare), mostly together."""
    draw, who, client = w.draw, w.person(), w.net.client()
    place, base, together = w.net.vm(), who.timetable(), draw.chance("multi_together")
    if draw.chance("multi_two_machines"):
        place = w.net.among([*place.fixed, *w.net.vm().fixed], draw.pick((12, 24, 72)))
    elif not draw.chance("multi_rented"):
        place = who.home
    for exchange in w.exchanges(draw.pick((2, 3, 4, 5), (0.55, 0.27, 0.12, 0.06))):
        key = w.key(who, exchange, pattern)
        mask = w.hours.thinned(base, 0.93) if together else who.timetable()
        w.run(key, place, client if draw.chance(0.85) else w.net.client(), mask)
        w.tinker(key)


def crowd(w: World, pattern: str, budget: float) -> None:
    """Strangers behind one way out: of a company, a campus, a shared host, a gateway, or of somebody's functions."""
    draw, net, functions = w.draw, w.net, pattern == "faas_egress"
    networks = net.networks[{"corporate_egress": "office", "campus_egress": "campus"}.get(pattern, "cloud")]
    inside, count = networks is not net.clouds, 1 + int(draw.chance("second_egress"))
    if not inside:
        few = functions and draw.chance("faas_behind_nat")
        count = {"nat_gateway": draw.whole(1, 4), "shared_hosting": 1}.get(pattern, draw.whole(20, 120))
        count = draw.whole(2, 5) if few else count
    addresses, spell = [net.fresh(networks) for _ in range(count)], 1 if functions else 3
    for _ in range(draw.size(pattern, *CROWDS[pattern])):
        top = 12 if functions else len(net.stock)
        stock = draw.pick(net.stock[:top], net.stock_weights[:top])
        who, client = w.person(), net.client(None if inside or not draw.chance("hosting_stock") else stock)
        place = net.static(draw.pick(addresses)) if inside or count == 1 else net.among(addresses, spell)
        for exchange in w.some(0.12):
            key = w.key(who, exchange, pattern)
            key.listed = key.listed and not functions
            mask = who.timetable("cron" if draw.chance(0.6 if functions else 0.0) else None)
            if inside and draw.chance(0.2):
                mask = w.hours.cron()
            elif pattern == "campus_egress":
                mask = who.timetable("bot" if draw.chance(0.1) else "session")
            elif inside:
                mask = w.hours.office(draw.amounts["office_share"] * draw.between(0.2, 1.8))
            w.run(key, place, client, mask)
            if inside and draw.chance("also_from_home"):
                other = client if draw.chance(0.6) else net.client()
                w.run(key, who.home, other, w.hours.sessions(0.4, 2, who.shift), noise=False)
            elif not inside:
                w.tinker(key)


def same_image(w: World, pattern: str, budget: float) -> None:
    """A course or a desk: the same image, the same hours, the same address; later from home, if at all."""
    draw, hours, team = w.draw, w.hours, pattern == "team_image"
    common = hours.office(draw.between(0.5, 0.95), draw.whole(8, 10), draw.whole(16, 19))
    if team and draw.chance("team_market"):
        common = hours.signal()
    elif not team:
        start, length = draw.pick((10, 13, 14, 19, 20)), draw.whole(2, 4)
        weekdays = draw.rng.choice(7, draw.whole(1, 3), replace=False)
        common = np.isin(hours.weekday, weekdays) & (hours.of_day >= start) & (hours.of_day < start + length)
    networks = w.net.networks["office" if team or draw.chance(0.5) else "campus"]
    place, client = w.net.static(w.net.fresh(networks)), w.net.client(w.net.stack(0.35), 0.15)
    alike, practise = draw.around("team_lockstep" if team else "class_lockstep"), draw.around("class_practises")
    keeps, rents, exchanges = draw.around("class_keeps_image"), draw.chance("class_rents"), w.exchanges(2)
    for _ in range(draw.size(pattern, *CROWDS[pattern])):
        who = w.person()
        key = w.key(who, exchanges[0] if draw.chance(0.7) else exchanges[1], pattern)
        key.wakes = False
        if draw.chance(alike):
            mine = common
        elif team or draw.chance(0.5):
            mine = hours.office(draw.between(0.1, 0.5), 9, 21)
        else:
            mine = hours.sessions(0.6, 2, who.shift)
        w.run(key, place, client if draw.chance(0.88) else w.net.client(), hours.thinned(mine, draw.between(0.4, 1)))
        if draw.chance(practise):
            own, there = client if draw.chance(keeps) else w.net.client(), w.net.vm() if rents else who.home
            w.run(key, there, own, hours.sessions(draw.between(0.1, 1.2), 2, who.shift), noise=False)


def platform(w: World, pattern: str, budget: float) -> None:
    """A bot service: customers' strategies, run on the service's machines with the service's client."""
    draw, net, hours, declared = w.draw, w.net, w.hours, pattern == "platform_declared"
    low, high = {"platform_declared": (30, 400), "platform_undeclared_large": (60, 250)}.get(pattern, (15, 58))
    size = int(np.exp(draw.between(np.log(low), np.log(max(low + 1.0, min(high, 1.3 * budget))))))
    most = draw.amounts["service_addresses"] * (7 if declared else size / 45)
    count = 1 + (int(draw.chance("small_second_address")) if low == 15 else draw.whole(0, int(most)))
    networks = [draw.pick(net.clouds)] if draw.chance("near") else net.clouds
    addresses = [net.fresh(networks) for _ in range(count)]
    stack = net.stack(draw.chances["service_custom"])
    client = net.client(stack, 0.25)
    if declared:
        shown = [net.addresses.texts[address] for address in addresses]
        name = f"platform-{len(w.declared) + 1}"
        w.declared.append({"name": name, "ips": shown, "device": net.stacks.texts[stack]})
    moves = draw.whole(0, hours.total - 1) if not declared and draw.chance("service_moves") else None
    later = [net.fresh(net.clouds) for _ in addresses]
    pinned, lists_all, sync = draw.chance("pinned"), draw.chance("lists_all"), draw.chance("service_sync")
    common, follow, mixed = w.person().timetable("cron"), draw.around("service_follow"), draw.around("service_mixed")
    common = hours.signal() if draw.chance(0.4) else common
    alike = np.array([0.38, 0.14, 0.26, 0.12, 0.1]) * draw.amounts["service_alike"] * draw.factor(3)
    habits, exchanges, until = draw.rng.dirichlet(alike).tolist(), w.exchanges(draw.whole(2, 5)), len(w.keys) + size
    while len(w.keys) < until:
        who = w.person()
        for exchange in w.some(0.2, exchanges):
            key, seat = w.key(who, exchange, pattern), draw.whole(0, count - 1)
            place = net.static(addresses[seat]) if pinned else net.among(addresses, 6)
            place.fixed = addresses if lists_all else place.fixed
            place = place if moves is None else net.then(place, net.static(later[seat]), moves)
            mask = who.timetable(draw.pick(HABITS, habits))
            if sync and draw.chance(follow):
                mask = hours.thinned(common, 0.9) | hours.thinned(mask, 0.15)
            w.run(key, place, client, mask)
            w.misplace(key, place, client, max(0, key.birth))
            if draw.chance(mixed):
                w.run(key, who.home, net.client(), hours.rarely(), noise=False)
    if draw.chance("service_operator"):
        key = w.key(w.person(), exchanges[0], pattern)
        w.run(key, net.static(addresses[0]), client, hours.bot())
        w.run(key, key.owner.home, client, hours.sessions(1, 2), noise=False)


def roamer(w: World, pattern: str, budget: float) -> None:
    """Home, phone, office and VPN in turn; some are abroad for a while, behind other people's networks."""
    draw, hours, net, who = w.draw, w.hours, w.net, w.person()
    desk, app, office = net.client(), net.client(), net.static(net.fresh(net.networks["office"]))
    vpn = net.among([draw.pick(net.vpns) for _ in range(3)], 24)
    hotel = net.among([net.fresh(net.homes) for _ in range(draw.whole(1, 3))], 48)
    leaves = draw.whole(0, hours.total - 1) if draw.chance("travels") else hours.total
    away = (hours.every >= leaves) & (hours.every < leaves + draw.whole(72, 200))
    for exchange in w.some():
        key = w.key(who, exchange, pattern)
        key.listed = key.listed and draw.chance(0.3)
        stays: list[tuple[float, Place, Ints, Mask]] = [
            (0.9, who.home, desk, hours.sessions(0.7, 2, who.shift) & ~away),
            (0.7, who.phone, desk if draw.chance(0.6) else app, hours.sessions(0.5, 1.5, who.shift)),
            (0.5, office, desk if draw.chance(0.85) else net.client(), hours.office(draw.between(0.05, 0.3)) & ~away),
            (0.3, vpn, desk, hours.sessions(0.3, 2, who.shift)),
            (1.0, hotel, desk, hours.sessions(1, 2, who.shift) & away),
        ]
        for share, place, client, mask in stays:
            if draw.chance(share):
                w.run(key, place, client, mask, noise=place is who.home)


def power_user(w: World, pattern: str, budget: float) -> None:
    """Writes own tools: many stacks at once (or one after another), at home, on rented machines, on the phone."""
    draw, every, who = w.draw, w.hours.every, w.person()
    tools = [w.net.client(w.net.stack(0.3)) for _ in range(draw.whole(3, 7))]
    machines, in_turn = [w.net.vm() for _ in range(draw.whole(1, 3))], draw.chance("one_tool_at_a_time")
    for exchange in w.exchanges(1 + int(draw.chance(0.4))):
        key = w.key(who, exchange, pattern)
        for number, tool in enumerate(tools):
            place = draw.pick((draw.pick(machines), who.home, who.phone), (0.6, 0.28, 0.12))
            mask = who.timetable(draw.pick(("bot", "session", "cron", "rare"), (0.1, 0.4, 0.2, 0.3)))
            turn = every * len(tools) // every.size == number
            w.run(key, place, tool, mask & turn if in_turn else mask, noise=False)


def household(w: World, pattern: str, budget: float) -> None:
    """A family behind one router, with a computer each or one together; one of them may run it for all."""
    draw, shared, first = w.draw, pattern == "household_shared", w.person()
    client, base, one_hand = w.net.client(), first.timetable(), draw.around("household_lockstep")
    for number in range(draw.pick((2, 3, 4, 5), (0.57, 0.27, 0.12, 0.0 if shared else 0.04))):
        who = w.person() if number else first
        mine = client if shared else w.net.client()
        for exchange in w.some(0.2):
            key, together = w.key(who, exchange, pattern), shared and draw.chance(one_hand)
            mask = w.hours.thinned(base, draw.between(0.6, 0.95)) if together else who.timetable()
            w.run(key, first.home, mine, mask)
            if not shared and draw.chance(0.25):
                w.run(key, who.phone, w.net.client(), w.hours.rarely(), noise=False)


def _ring_places(w: World, how: str, server: int) -> list[Place]:
    """The ring takes one of these places for each key that it is given."""
    draw, net = w.draw, w.net
    if how not in ("pool", "residential"):
        return [net.static(server), *(net.vm() for _ in range(int(draw.chance(0.2))))]
    if how == "pool":
        networks = [draw.pick(net.clouds)] if draw.chance(0.3) else net.clouds
        pool = [server, *(net.fresh(networks) for _ in range(draw.size("pool_size", 0.5, 2, 20)))]
        if draw.chance("pool_hops_together"):
            return [net.among(pool, draw.pick((6, 24, 72)))]
        least, most, whole = 3, 3, draw.around("pool_whole")
    else:
        pool = [net.fresh(net.homes) for _ in range(draw.size("exit_count", 0.5, 6, 60))]
        least, most, whole = (1, 2, 0.0) if draw.chance("exits_sticky") else (3, 9, 0.0)
    parts = [[draw.pick(pool) for _ in range(draw.whole(least, most))] for _ in range(60)]
    return [net.among(pool if draw.chance(whole) else part, draw.pick((1, 6, 24))) for part in parts]


def ring(w: World, pattern: str, budget: float) -> None:
    """An operator who rents accounts: recruits keep arriving, and the exchanges want the server on the allow-list."""
    draw, hours, net, how = w.draw, w.hours, w.net, pattern.removeprefix("ring_")
    size = min(draw.size("ring_size", 0.8, 3, 60), max(4, int(budget * 1.2) + 1))
    server = net.fresh(net.homes if draw.chance("ring_at_home") else net.clouds)
    places, client = _ring_places(w, how, server), net.client(net.stack(0.35), 0.2)
    per_day, length = draw.amounts["ring_sessions"] * draw.between(0.4, 1.8), draw.between(1.5, 5)
    plan = hours.sessions(per_day, length, int(draw.rng.normal(0, 5)))
    if draw.chance("ring_round_clock"):
        plan = hours.bot(1.0)
    elif draw.chance("ring_market"):
        plan = hours.signal(draw.between(0.5, 1.6))
    w.rings += 1
    name, take, arrive = f"{pattern}-{w.rings}", draw.around("ring_take"), draw.around("ring_arrive")
    uneven, again = draw.amounts["ring_unevenness"] * draw.between(0.5, 1.5), draw.chances["ring_second_key"]
    exchanges, rota, repeat = w.exchanges(draw.whole(1, 4)), draw.chance("stagger_rota"), draw.chance("stacks_repeat")
    custom = draw.chances["ring_custom"]
    stacks = [net.client(net.stack(custom), 0) for _ in range(size // 2 if repeat else 2 * size + 9)]
    made = people = 0
    while made < size or people < 3:
        who = w.person()
        people += 1
        for exchange in w.some(again, exchanges):
            birth = draw.whole(0, int(hours.total * 0.8)) if draw.chance(arrive) else -1
            key = w.key(who, exchange, pattern, birth, name)
            mask = hours.thinned(plan, take * draw.between(1 - 1.6 * uneven, 1 + 0.4 * uneven))
            if how == "staggered":
                mask = hours.staggered(plan, made * 7 if rota else None)
            key.listed = key.listed and how != "residential"
            mine = stacks[made % len(stacks)] if how == "stack_per_key" else client
            w.run(key, draw.pick(places), mine, hours.at_least_once(mask, birth))
            made += 1
            if how == "holder_continues":
                habit = draw.pick(("session", "cron", "rare", "bot"), (0.5, 0.2, 0.2, 0.1))
                own = hours.thinned(who.timetable(habit), draw.around("lender_goes_on"))
                own = hours.at_least_once(own & ~plan if draw.chance("lender_makes_way") else own, birth)
                there = who.home if draw.chance("lender_at_home") else who.phone
                w.run(key, there, net.client(), own, noise=False)
            elif draw.chance("ring_holder_looks"):
                w.run(key, who.home, net.client(), hours.rarely(3), noise=False)
    if draw.chance("ring_operator"):
        key = w.key(w.person(), exchanges[0], pattern, None, name, "operator-own")
        w.run(key, places[0], client, plan | hours.sessions(0.3))
        w.run(key, key.owner.home, net.client(), hours.sessions(0.5), noise=False)
    if how != "residential" and draw.chance("ring_hides"):  # behind a gateway that strangers use too
        for _ in range(draw.whole(5, 29)):
            key = w.key(w.person(), w.exchanges()[0], "nat_gateway")
            w.run(key, net.static(server), net.client(), key.owner.timetable())


def shared_key(w: World, pattern: str, budget: float) -> None:
    """One key that went round among friends or in a chat room; some use it in turns, most as it comes."""
    draw, hours, net = w.draw, w.hours, w.net
    key = w.key(w.person(), w.exchanges()[0], pattern, -1 if draw.chance(0.8) else None)
    key.listed = False
    parties = draw.whole(3, 6) if pattern == "shared_slow" else draw.size(pattern, *CROWDS[pattern])
    turns = draw.pick((8, 24, 48)) if draw.chance("shared_in_turns") else 0
    handed, recipe = draw.chance("shared_recipe"), net.client()
    for number in range(parties):
        who = w.person() if number else key.owner
        client = recipe if handed and draw.chance(0.8) else net.client()
        away = who.phone if draw.chance("shared_on_phone") else net.vm()
        place = who.home if draw.chance("shared_at_home") else away
        mask = hours.rarely(draw.between(1.5, 5) if pattern == "shared_slow" else draw.between(2, 10))
        if pattern == "shared_few":
            mask = who.timetable(draw.pick(("session", "cron", "rare", "bot"), (0.45, 0.15, 0.35, 0.05)))
        turn = mask & (hours.every // max(1, turns) % parties == number)
        joins = draw.whole(0, int(hours.total * 0.7)) if number and draw.chance("sharer_joins_late") else 0
        mask = turn if turns and turn.any() else mask
        w.run(key, place, client, mask & (hours.every >= joins), noise=False)
        if number and draw.chance("shared_host"):
            w.run(w.key(who, w.exchanges()[0], "single"), place, client, who.timetable())


def leak(w: World, pattern: str, budget: float) -> None:
    """A dump of keys, tried to see which still open; the holders know nothing and go on."""
    draw, net, total, slow = w.draw, w.net, w.hours.total, pattern == "leak_slow"
    count = draw.whole(2, 6) if pattern == "leak_small_set" else int(np.clip(budget, 3, draw.whole(10, 40)))
    start, span = draw.whole(0, int(total * 0.75)), draw.whole(96, 260) if slow else draw.whole(2, 48)
    many = max(5, int(count * draw.amounts["leak_addresses"] * draw.between(0.5, 1.7))) if slow else 1
    networks = [net.homes if slow and draw.chance(0.5) else net.clouds for _ in range(many)]
    addresses, stacks = [net.fresh(mine) for mine in networks], [net.stack() for _ in range(draw.whole(1, 5))]
    stacks = stacks if slow else stacks[:1]

    def attempt(key: Key, length: float = 0.0, rate: float = 2, kind: int = FAIL, where: int = -1) -> None:
        first = min(total - 1, start + draw.whole(0, span - 1))
        hours = np.arange(first, min(total, first + 1 + int(draw.rng.exponential(length))))
        w.emit(key, hours, draw.pick(addresses), draw.pick(stacks), rate, kind, where)

    for _ in range(int(count * draw.amounts["dead_keys"] * draw.between(0.2, 2))):
        hour = min(total - 1, start + draw.whole(0, span - 1))
        w.strays.append((hour, w.exchanges()[0], draw.text(36), draw.pick(addresses), draw.pick(stacks)))
    breadth, again = draw.amounts["leak_breadth"] * (2 if slow else 4), draw.chance("leak_again")
    for _ in range(count):
        key = ordinary(w, pattern, 0)
        if draw.chance(0.1):
            ordinary(w, "multi_exchange", 0, key.owner, (key.exchange + 1) % 5)
        for _ in range(draw.whole(1, 3 if slow or again else 2) if draw.chance("leak_reaches") else 0):
            attempt(key)
        others = draw.rng.permutation([exchange for exchange in range(5) if exchange != key.exchange]).tolist()
        for other in others[: draw.whole(1, round(breadth)) if draw.chance("leak_elsewhere") else 0]:
            attempt(key, where=other)
        if not key.listed and draw.chance("leak_works"):
            attempt(key, 8, key.rate, USE)


BUILDERS: dict[str, Callable[[World, str, float], Any]] = {
    "multi": multi_exchange, "carrier": ordinary, "renumber": ordinary, "popular": ordinary, "corporate": crowd,
    "campus": crowd, "faas": crowd, "nat": crowd, "class": same_image, "team": same_image, "platform": platform,
    "roamer": roamer, "power": power_user, "household": household, "ring": ring, "leak": leak, "shared": shared_key,
}  # fmt: skip


def _fill(w: World, pattern: str, wanted: float) -> int:
    """Groups of a pattern until there are about as many keys as wanted, and at least one group."""
    build = crowd if pattern == "shared_hosting" else BUILDERS[pattern.split("_")[0]]
    made = 0
    while made < wanted * 0.93 or not made:
        before = len(w.keys)
        build(w, pattern, wanted - made)
        made += sum(key.pattern == pattern and not key.role for key in w.keys[before:])
    return made


def _populate(w: World, keys: int, innocent: float) -> None:
    for pattern, share in INNOCENT.items():
        _fill(w, pattern, keys * share * w.draw.factor(1.5))
    shares, left = {p: share * w.draw.factor(1.5) for p, share in GUILTY.items()}, keys * (1 - innocent)
    for pattern in GUILTY:  # what one pattern takes too many, those after it get too few
        left -= _fill(w, pattern, left * shares[pattern] / sum(shares.values()))
        shares.pop(pattern)
    while len(w.keys) < keys:
        ordinary(w, "single", keys - len(w.keys))


def _rows(w: World) -> Ints:
    """Hour, key, reporter, address, stack, kind and count of every sighting; repetitions in an hour are added up."""
    codes = np.repeat(np.array([part[4] for part in w.parts]), [part[0].size for part in w.parts], axis=0).T
    hour, address, stack, count = (np.concatenate([part[column] for part in w.parts]) for column in range(4))
    stray = [(at, len(w.keys) + n, ex, ip, dev, FAIL, 2) for n, (at, ex, _, ip, dev) in enumerate(w.strays)]
    rows = np.stack([hour, codes[0], codes[1], address, stack, codes[2], count])
    rows = np.concatenate([rows, np.array(stray, dtype=np.int64).reshape(-1, 7).T], axis=1)
    rows = rows[:, np.lexsort(rows[5::-1])]
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(rows[:6]) != 0).any(axis=0)]))
    return np.concatenate([rows[:6, starts], np.add.reduceat(rows[6], starts)[None]])


def _sightings(w: World, holders: bool) -> Iterator[dict[str, Any]]:
    rows, rng = _rows(w), w.draw.rng
    rows[0] = MIDNIGHT + rows[0] * 3600 + rng.integers(3600, size=rows.shape[1])
    rows[4, rng.random(rows.shape[1]) < w.draw.chances["device_lost"]] = -1
    lost = rng.random(rows.shape[1]) < w.lost_holder[rows[2]]
    texts = [key.text for key in w.keys] + [stray[2] for stray in w.strays]
    issuers = np.array([key.exchange for key in w.keys] + [-1] * len(w.strays))
    accounts = [key.owner.accounts[key.exchange] for key in w.keys]
    people = [f"H{key.owner.number:06d}" for key in w.keys]
    names = [name if known and holders else None for name, (_, known) in zip(people, accounts, strict=True)]
    ips, devices = w.net.addresses.texts, [*w.net.stacks.texts, None]
    rows = np.concatenate([rows, [issuers[rows[1]] == rows[2], lost]])[:, np.argsort(rows[0], kind="stable")]
    for start in range(0, rows.shape[1], 50_000):
        for ts, key, where, ip, device, kind, count, own, bare in rows[:, start : start + 50_000].T.tolist():
            account, holder = (accounts[key][0], None if bare else names[key]) if own else (None, None)
            shown = (ts, EXCHANGES[where], texts[key], account, holder, ips[ip], devices[device], count, KINDS[kind])
            yield dict(zip(FIELDS, shown, strict=True))


def market(
    seed: int, keys: int = 20_000, days: int = 14, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """A world: its sightings in order of time, what is true of every issued key, and the declared platforms.

    `innocent` is the share of innocent keys; without `holders` no sighting names one.
    """
    world = World(seed, days)
    _populate(world, keys, innocent)
    truth = [
        {"exchange": EXCHANGES[key.exchange], "key": key.text, "guilty": key.pattern in GUILTY and not key.role}
        | {"pattern": key.pattern, "role": key.role, "ring": key.ring or None}
        for key in world.keys
    ]
    return _sightings(world, holders), truth, world.declared
