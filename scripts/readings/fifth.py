"""Synthetic API traffic of five Korean crypto exchanges, with ground truth.

The view is that of a network engineer: people sit behind lines (home subscriptions that are renumbered, phones behind
carrier NAT, office and campus egress, cloud servers, hubs that many share), run clients that are upgraded now and then,
and follow rhythms (daily habits, timers at the candle's close, signals in volatile hours). A line and a client have an
entry for every hour, a rhythm is a mask over the hours; every pattern, innocent or guilty, is a way of joining persons,
keys, lines, clients and rhythms. Rates, proportions and sizes are drawn once per seed, widely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Person = list[tuple[str, str | None]]  # the account at each exchange, and the holder if known there

EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
EXCHANGE_SHARE = np.array([0.46, 0.30, 0.11, 0.07, 0.06])
KEY_LENGTH = (40, 48, 36, 43, 36)
KINDS = ("use", "auth_fail", "allowlist")
USE, FAIL, ALLOW = range(3)
START = 1_780_272_000  # Monday, 1 June 2026, 00:00 UTC
KST = 9
RENUMBERING_HOUR = 19  # 04:00 in Korea: leases end and access routers are maintained
ALPHABET = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
# fmt: off
# How awake people are, by hour of the day in Korea.
DAYTIME = np.array([5, 3, 2, 1, 1, 1, 2, 4, 7, 11, 9, 8, 8, 8, 8, 8, 8, 8, 8, 9, 11, 12, 11, 8]) / 6.75
# First two octets, or the IPv6 prefix, from which the addresses of a kind of network are drawn.
NETWORKS = {
    "home": "14.33 14.52 59.5 61.74 112.150 112.169 118.37 119.64 121.133 121.165 125.129 175.113 175.197 180.65 "
    "182.215 210.106 211.58 218.146 220.76 220.118 221.140 222.106 1.231 1.241 58.122 58.230 110.11 114.205",
    "phone": "39.7 110.70 118.235 175.223 223.38 223.39 223.62 106.101 106.102 117.111 211.246",
    "office": "1.209 1.214 27.101 61.33 61.42 106.241 106.250 112.216 112.220 115.93 121.254 123.142 203.236 211.192",
    "campus": "128.134 134.75 141.223 143.248 147.46 147.47 163.152 165.132 165.194 166.104 168.131 203.252 210.107",
    "cloud": "3.34 3.35 3.36 3.37 3.38 3.39 13.124 13.125 13.209 15.164 15.165 43.200 43.201 43.202 52.78 52.79 54.180 "
    "34.64 20.194 52.231 101.101 110.165 49.50 223.130 141.164 158.247 140.238 129.154 146.56 13.114 54.168",
    "vpn": "45.76 45.112 103.5 103.125 141.164 146.70 156.146 158.247 185.213",
    "home6": "2001:e60 2001:2d8 2406:5900", "phone6": "2001:e60 2001:2d8 2001:4430", "cloud6": "2406:da12"}
# Ciphers, extensions, ALPN, and how many builds of the runtime are met in the field.
RUNTIMES = {
    "openssl": (17, 10, "h1", 5), "async": (17, 9, "00", 4), "node": (52, 12, "h1", 3), "go": (13, 11, "h2", 3),
    "java": (31, 12, "h2", 3), "dotnet": (20, 9, "h2", 3), "rustls": (10, 9, "h2", 2), "curl": (30, 13, "h2", 3),
    "chrome": (15, 16, "h2", 2)}
# User agent, TLS runtime, versions from old to new, weight.
CLIENTS = (
    ("python-requests/{}", "openssl", "2.28.2 2.31.0 2.32.3 2.32.4", 30), ("ccxt/{}", "node", "4.2.80 4.3.98", 4),
    ("Python/3.11 aiohttp/{}", "async", "3.8.6 3.9.5 3.10.11 3.11.18", 9), ("axios/{}", "node", "0.27.2 1.7.9", 9),
    ("python-httpx/{}", "async", "0.24.1 0.27.2 0.28.1", 5), ("okhttp/{}", "java", "3.14.9 4.9.3 4.12.0", 7),
    ("Python/3.9 websockets/{}", "async", "10.4 12.0 13.1", 3), ("node-fetch/{}", "node", "2.6.7 2.7.0 3.3.2", 4),
    ("Java-http-client/{}", "java", "11.0.22 17.0.10 21.0.4", 4), ("Go-http-client/{}", "go", "1.1 2.0", 6),
    ("Apache-HttpClient/{} (Java/17)", "java", "4.5.13 4.5.14 5.3.1", 2), ("reqwest/{}", "rustls", "0.11.27 0.12.9", 2),
    (".NET HttpClient/{}", "dotnet", "6.0 8.0 9.0", 3), ("RestSharp/{}", "dotnet", "106.15.0 110.2.0", 1.5),
    ("curl/{}", "curl", "7.81.0 8.5.0 8.9.1", 2), ("GuzzleHttp/{}", "curl", "6.5.8 7.8.1", 1.5),
    ("Faraday v{}", "openssl", "1.10.3 2.9.0", 0.6), ("freqtrade/{}", "async", "2025.11 2026.3 2026.4", 1.5),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/{} Safari/537.36", "chrome", "135.0.0.0 136.0.0.0", 3),
    ("Mozilla/5.0 (Android) Chrome/{}", "chrome", "135.0.0.0 136.0.0.0", 2), ("hummingbot/{}", "async", "2.5.0", 0.8))
WORDS = [
    "alpha", "auto", "bit", "block", "coin", "cross", "dollar", "edge", "flow", "gap", "grid", "hodl", "jump", "kimchi",
    "lab", "mint", "moon", "quant", "rapid", "scalp", "sigma", "swing", "trend", "turtle"]
# Drawn uniformly between the bounds, once for each seed.
RATES = {
    "renumbered_daily": (0.08, 0.30), "renumbered_weekly": (0.10, 0.30), "home_ipv6": (0.02, 0.12),
    "phone_ipv6": (0.15, 0.50), "own_tool": (0.03, 0.12), "upgrade": (0.05, 0.25), "listed_server": (0.35, 0.85),
    "listed_home": (0.05, 0.30), "expired": (0.03, 0.10), "expired_fails": (0.3, 0.8), "newborn": (0.08, 0.22),
    "bad_clock": (0.01, 0.05), "pasted_wrong": (0.004, 0.015), "no_holder": (0.003, 0.02),
    "no_account": (0.001, 0.005), "no_device": (0.002, 0.015), "second_place": (0.10, 0.35), "steady": (0.02, 0.08),
    "signal": (0.25, 0.50), "timer": (0.15, 0.40), "evening": (0.15, 0.40), "mood_gain": (0.4, 1.0),
    "image": (0.15, 0.5), "copying": (0.0, 0.35), "discipline": (0.06, 0.30), "follow": (0.72, 0.98),
    "lender_before": (0.2, 0.6), "lender_other": (0.1, 0.4), "operator_own": (0.3, 0.9), "operator_listed": (0.3, 0.9),
    "operator_home": (0.15, 0.4), "dump_crossed": (0.65, 0.85), "dump_accepted": (0.1, 0.45)}
# Pattern: the method of the world that makes it, share of the keys, smallest and largest group.
INNOCENT = {
    "platform_declared": ("platform", 6.0, 30, 800), "platform_large": ("platform", 3.0, 90, 500),
    "platform_small": ("platform", 0.55, 15, 59), "class_image": ("course", 0.25, 12, 40),
    "team_image": ("course", 0.22, 3, 9), "household_one": ("household", 0.5, 2, 4),
    "household_each": ("household", 3.0, 2, 4), "power_user": ("wanderer", 0.35, 1, 1),
    "company_egress": ("crowd", 4.0, 3, 40), "campus_egress": ("crowd", 2.5, 8, 80),
    "shared_hosting": ("crowd", 4.0, 5, 60), "nat_gateway": ("crowd", 3.5, 20, 160),
    "function_egress": ("crowd", 2.0, 40, 200), "roamer": ("wanderer", 8.0, 1, 1),
    "carrier_nat": ("single", 6.0, 1, 1), "own_server": ("single", 25.0, 1, 1), "home": ("single", 25.0, 1, 1)}
GUILTY = {
    "ring_plain": ("ring", 24.0, 3, 80), "ring_pool": ("ring", 11.0, 3, 80), "ring_stacks": ("ring", 7.0, 3, 30),
    "ring_staggered": ("ring", 6.0, 3, 60), "ring_residential": ("ring", 3.0, 3, 40),
    "ring_holder_active": ("ring", 8.0, 3, 60), "ring_hub": ("ring", 4.0, 3, 30),
    "shared_few": ("shared", 7.0, 3, 12), "shared_many": ("shared", 5.0, 8, 60), "shared_rare": ("shared", 3.0, 3, 6),
    "leak_server": ("leak", 12.0, 8, 60), "leak_slow": ("leak", 6.0, 5, 30), "leak_small": ("leak", 3.0, 2, 4)}
# fmt: on
SPREAD = 0.45  # of the logarithm of every pattern's share, from seed to seed
OVERSHOOT = 1.3  # by how much the last group of a pattern may exceed what the pattern lacks
KEYS_PER_OWNER = (0.72, 0.18, 0.07, 0.03)


@dataclass(slots=True)
class Key:
    """A key as one exchange sees it; account and holder are absent where that exchange never issued it."""

    exchange: int
    text: str
    account: str | None
    holder: str | None
    born: int = 0
    dead: int = 1 << 30
    pace: float = 3.0


class Stacks:
    """The client stacks (JA4 and user agent) in use, with their popularity."""

    def __init__(self, rng: np.random.Generator, own_tool: float) -> None:
        self.rng, self.own_tool = rng, own_tool
        self.names: list[str] = []
        self.newer: dict[int, int] = {}
        self.ja4: dict[str, list[str]] = {}
        for runtime, (ciphers, extensions, alpn, builds) in RUNTIMES.items():
            heads = [f"t13d{ciphers}{extensions + int(rng.integers(3)):02}{alpn}" for _ in range(builds)]
            self.ja4[runtime] = [f"{head}_{rng.bytes(6).hex()}_{rng.bytes(6).hex()}" for head in heads]
        weights: list[float] = []
        for agent, runtime, versions, weight in CLIENTS:
            popularity = weight * rng.lognormal(0, 0.4)
            for ja4 in self.ja4[runtime]:
                shares = popularity * rng.dirichlet(np.full(len(versions.split()), 0.7)) * rng.gamma(0.7)
                for place, version in enumerate(versions.split()):
                    if place:
                        self.newer[len(self.names) - 1] = len(self.names)
                    self.names.append(f"{ja4}|{agent.format(version)}")
                    weights.append(float(shares[place]) + 1e-3)
        self.cumulative = np.cumsum(weights) / sum(weights)

    def any(self, own: float | None = None) -> int:
        """A popular stack or, with a probability (by default that of ordinary people), somebody's own tool."""
        if self.rng.random() >= (self.own_tool if own is None else own):
            return int(np.searchsorted(self.cumulative, self.rng.random()))
        first, second = (WORDS[int(i)] for i in self.rng.integers(len(WORDS), size=2))
        builds = self.ja4[str(self.rng.choice(list(RUNTIMES)))]
        ja4, (major, minor) = builds[int(self.rng.integers(len(builds)))], self.rng.integers((4, 12))
        self.names.append(f"{ja4}|{first}{second}/{major}.{minor}")
        return len(self.names) - 1


class Lines:
    """The address book: who has which public address in which hour."""

    def __init__(self, rng: np.random.Generator, rate: dict[str, float], keys: int, hours: int) -> None:
        self.rng, self.rate, self.hours = rng, rate, hours
        self.names: list[str] = []
        self.taken: set[str] = set()
        self.today = (np.arange(hours) + 24 - RENUMBERING_HOUR) // 24
        self.leases = np.array([self.new("home") for _ in range(keys + 50)])
        self.shuffles = [rng.permutation(len(self.leases)) for _ in range(int(self.today[-1]) + 1)]
        self.leased = 0
        self.nat = self.blocks("phone", 12, 4 + int(keys * rng.uniform(0.0005, 0.003)))
        self.vpns = self.blocks("vpn", 3, int(rng.integers(40, 120)))
        fresh = self.blocks("home", 1, int(rng.integers(150, 700)))
        self.exits = np.concatenate([fresh, rng.choice(self.leases, len(fresh) // 2)])
        self.gateways = [self.block("cloud", int(rng.integers(1, 5))) for _ in range(2 + keys // 2500)]
        self.hosts = [self.block("cloud", 1) for _ in range(2 + keys // 700)]
        self.functions = self.blocks("cloud", 6, int(rng.integers(5, 16)))

    def new(self, network: str) -> int:
        """One more address of a network."""
        return int(self.block(network, 1)[0])

    def blocks(self, network: str, size: int, count: int) -> Ints:
        """Addresses in so many blocks."""
        return np.concatenate([self.block(network, size) for _ in range(count)])

    def block(self, network: str, size: int) -> Ints:
        """Some addresses in one /24 (or one /48)."""
        prefix = str(self.rng.choice(NETWORKS[network].split()))
        if ":" in prefix:
            site = f"{prefix}:{self.rng.integers(1, 65535):x}"
            texts = [str(IPv6Address(f"{site}:{self.rng.bytes(10).hex(':', 2)}")) for _ in range(size)]
        else:
            third = self.rng.integers(256)
            texts = [f"{prefix}.{third}.{last}" for last in 1 + self.rng.permutation(254)[:size]]
            if not self.taken.isdisjoint(texts):
                return self.block(network, size)
        self.taken.update(texts)
        self.names.extend(texts)
        return np.arange(len(self.names) - size, len(self.names))

    def private(self, network: str) -> Ints:
        """An IPv6 subscription: one /64, a new interface identifier every day."""
        prefix = ":".join(self.names[self.new(network)].split(":")[:4])
        first = len(self.names)
        self.names.extend(str(IPv6Address(f"{prefix}:{self.rng.bytes(8).hex(':', 2)}")) for _ in self.shuffles)
        return np.asarray(first + self.today)

    def home(self) -> Ints:
        """A household's line: fixed for months, or renumbered every night or about every week."""
        draw, daily = self.rng.random() - self.rate["home_ipv6"], self.rate["renumbered_daily"]
        if draw < 0:
            return self.private("home6")
        if draw >= daily + self.rate["renumbered_weekly"]:
            return np.full(self.hours, self.new("home"))
        period = self.today if draw < daily else (self.today + int(self.rng.integers(7))) // 7
        self.leased = (self.leased + 1) % len(self.leases)
        table = np.array([shuffle[self.leased] for shuffle in self.shuffles])
        return np.asarray(self.leases[table[np.minimum(period, len(table) - 1)]])

    def phone(self) -> Ints:
        """A phone: carrier NAT whose egress changes every few hours, or a /64 of its own."""
        if self.rng.random() < self.rate["phone_ipv6"]:
            return self.private("phone6")
        return self.switching(self.rng.choice(self.nat, 24), int(self.rng.integers(3, 13)))

    def switching(self, addresses: Ints, every: int) -> Ints:
        """A line that takes one of the addresses at random, anew every so many hours."""
        draws = self.rng.choice(addresses, self.hours // every + 2)
        return draws[(np.arange(self.hours) + int(self.rng.integers(every))) // every]

    def server(self) -> Ints:
        """A rented server; now and then it is stopped, and comes back with another address."""
        line = np.full(self.hours, self.new("cloud6" if self.rng.random() < 0.03 else "cloud"))
        if self.rng.random() < 0.06:
            line[int(self.rng.integers(self.hours)) :] = self.new("cloud")
        return line

    def egress(self, network: str) -> Callable[[], Ints]:
        """A site's lines: one or several egress addresses, sticky or balanced, with a backup in use for some hours."""
        addresses = self.block(network, int(self.rng.choice([1, 1, 2, 4])))
        every, backup = int(self.rng.choice([1, 8, 24, 24 * 7])), self.new("office")
        begin = int(self.rng.integers(self.hours))
        end = begin + (int(self.rng.integers(2, 30)) if self.rng.random() < 0.3 else 0)
        outage = (np.arange(self.hours) >= begin) & (np.arange(self.hours) < end)
        return lambda: np.where(outage, backup, self.switching(addresses, every))


class Rhythms:
    """When keys are used: masks over the hours."""

    def __init__(self, rng: np.random.Generator, rate: dict[str, float], hours: int) -> None:
        self.rng, self.hours, self.gain = rng, hours, rate["mood_gain"]
        self.clock = (np.arange(hours) + KST) % 24
        self.weekday = (np.arange(hours) + KST) // 24 % 7
        self.mood = np.exp(rng.normal(0, 0.15, hours))
        for begin in rng.integers(hours, size=1 + rng.poisson(hours / 24 * rng.uniform(0.2, 0.7))):
            self.mood[begin : begin + int(rng.integers(2, 9))] *= rng.uniform(1.3, 4)
        self.styles = (self.steady, self.signal, self.timer, self.evening)
        shares = np.array([rate[style.__name__] for style in self.styles])
        self.shares = shares / shares.sum()

    def any(self) -> Mask:
        """The rhythm of an ordinary key."""
        return self.styles[int(self.rng.choice(len(self.styles), p=self.shares))]()

    def thin(self, mask: Mask, low: float, high: float) -> Mask:
        """A share of the hours, itself drawn between the bounds."""
        return mask & self.chance(self.rng.uniform(low, high))

    def chance(self, probability: float | Floats) -> Mask:
        """Independent hours."""
        return np.asarray(self.rng.random(self.hours) < probability)

    def day(self) -> Floats:
        """A person's day: the common one, some hours later or earlier."""
        return np.roll(DAYTIME, int(self.rng.integers(-2, 5)))[self.clock]

    def steady(self) -> Mask:
        """A bot that never sleeps, apart from crashes."""
        mask = self.chance(self.rng.uniform(0.6, 0.97))
        for begin in self.rng.integers(self.hours, size=self.rng.poisson(self.hours / 400)):
            mask[begin : begin + int(self.rng.integers(3, 40))] = False
        return mask

    def signal(self) -> Mask:
        """A bot that trades when something moves."""
        awake = self.rng.choice([0.0, 0.5, 1.0])
        level = self.rng.lognormal(-2.4, 0.7) * self.mood ** (self.gain * self.rng.uniform(0.3, 1.2))
        return self.chance(level * (1 - awake + awake * self.day()))

    def timer(self) -> Mask:
        """A script that runs every so many hours; half of them at the candle's close, which is 09:00 in Korea."""
        every = int(self.rng.choice([2, 4, 6, 8, 12, 24, 24]))
        phase = KST % every if self.rng.random() < 0.5 else int(self.rng.integers(every))
        return self.thin(self.clock % every == phase, 0.8, 1)

    def evening(self) -> Mask:
        """Somebody who sits down for a session now and then."""
        return self.sessions(self.rng.uniform(0.1, 0.9), self.rng.uniform(1, 4), self.day())

    def sessions(self, daily: float, length: float, weight: Floats | float = 1.0) -> Mask:
        """Sessions of some hours, so many a day on average, more of them in volatile hours."""
        mask = np.zeros(self.hours, bool)
        for begin in np.flatnonzero(self.chance(daily / 24 * weight * self.mood**self.gain)):
            mask[begin : begin + int(self.rng.geometric(1 / length))] = True
        return mask


class World:
    """Everything that exists for one seed: persons, keys, the truth, and the tape of what the exchanges saw."""

    def __init__(self, seed: int, keys: int, days: int, holders: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.hours = days * 24
        self.rate = {name: float(self.rng.uniform(*bounds)) for name, bounds in RATES.items()}
        self.stacks = Stacks(self.rng, self.rate["own_tool"])
        self.lines = Lines(self.rng, self.rate, keys, self.hours)
        self.rhythms = Rhythms(self.rng, self.rate, self.hours)
        self.unknown = self.rng.uniform(0.10, 0.60, len(EXCHANGES)) if holders else np.ones(len(EXCHANGES))
        self.market_share = self.rng.dirichlet(EXCHANGE_SHARE * 25)
        self.down = np.zeros((len(EXCHANGES), self.hours), bool)
        for exchange in self.rng.integers(len(EXCHANGES), size=self.rng.poisson(days / 4)):
            begin = int(self.rng.integers(self.hours))
            self.down[exchange, begin : begin + int(self.rng.integers(1, 7))] = True
        self.keys: list[Key] = []
        self.truth: list[dict[str, Any]] = []
        self.declared: list[dict[str, Any]] = []
        self.tape: list[tuple[int, int, Ints, Ints, Ints, Ints]] = []
        self.issued = {True: 0, False: 0}
        self.groups = (f"group-{number:04}" for number in count(1))

    def populate(self, patterns: dict[str, tuple[str, float, int, int]], total: int, guilty: bool) -> None:
        """Make groups of every pattern until each has about its share of the keys."""
        weights = np.array([entry[1] for entry in patterns.values()]) * self.rng.lognormal(0, SPREAD, len(patterns))
        quotas = weights / weights.sum() * total
        for (pattern, (maker, _, low, high)), quota in zip(patterns.items(), quotas, strict=True):
            goal = self.issued[guilty] + quota
            while (room := goal - self.issued[guilty]) > 0.5:
                limit = high if maker == "shared" else max(min(low, 3), min(high, int(OVERSHOOT * room) + 1))
                size = np.exp(self.rng.uniform(np.log(min(low, limit)), np.log(limit + 1)))
                getattr(self, maker)(pattern, int(size))

    def flip(self, rate: str | float) -> bool:
        """True with the given probability, or with that of a named rate."""
        return bool(self.rng.random() < (self.rate[rate] if isinstance(rate, str) else rate))

    def text(self, length: int) -> str:
        """A random text."""
        return "".join(ALPHABET[self.rng.integers(len(ALPHABET), size=length)])

    def person(self) -> Person:
        """Somebody new, with at most one account at each exchange."""
        holder, known = self.text(86) + "==", self.rng.random(len(EXCHANGES)) >= self.unknown
        return [(self.text(14).lower(), holder if there else None) for there in known]

    def exchanges(self, count: int = 1, but: int | None = None) -> list[int]:
        """Different exchanges, by market share."""
        share = self.market_share * (np.arange(len(EXCHANGES)) != but)
        return [int(e) for e in self.rng.choice(len(EXCHANGES), count, replace=False, p=share / share.sum())]

    def issue(self, person: Person, exchange: int, pattern: str, role: str = "owner", ring: str | None = None) -> int:
        """A key for the person at the exchange."""
        key = Key(exchange, self.text(KEY_LENGTH[exchange]), *person[exchange])
        key.pace = float(self.rng.lognormal(3, 1.6))
        guilty = role in ("lent", "shared", "leaked")
        if not guilty and self.flip("newborn"):
            key.born = int(self.rng.integers(self.hours))
        elif not guilty and self.flip("expired"):
            key.dead = int(self.rng.integers(self.hours))
        entry = {"exchange": EXCHANGES[exchange], "key": key.text, "guilty": guilty, "pattern": pattern}
        self.truth.append(entry | {"role": role, "ring": ring})
        self.issued[guilty] += 1
        self.keys.append(key)
        return len(self.keys) - 1

    def client(self, stack: int) -> Ints:
        """A stack over time: some are upgraded once."""
        result = np.full(self.hours, stack)
        if stack in self.stacks.newer and self.flip("upgrade"):
            result[int(self.rng.integers(self.hours)) :] = self.stacks.newer[stack]
        return result

    def record(self, key: int, hours: Ints, line: Ints, client: Ints, kind: int = USE) -> None:
        """Put the key's requests in the given hours on the tape."""
        pace = self.keys[key].pace if kind == USE else 2.0
        counts = 1 + self.rng.poisson(pace * self.rng.lognormal(0, 0.6, len(hours))) * (kind != ALLOW)
        self.tape.append((key, kind, hours, line[hours], client[hours], counts))

    def live(self, key: int, mask: Mask, line: Ints, client: Ints, listed: float = 0.0) -> None:
        """A key in somebody's hands, with all that goes wrong every day."""
        now, owned = np.flatnonzero(mask), self.keys[key]
        up = ~self.down[owned.exchange, now]
        good = now[up & (now >= owned.born) & (now < owned.dead)]
        self.record(key, good, line, client)
        late = now[(now >= owned.dead) & (now < owned.dead + int(self.rng.exponential(90)))]
        if self.flip("expired_fails"):
            self.record(key, late, line, client, FAIL)
        stumbles = self.rng.random(len(good)) < (0.12 if self.flip("bad_clock") else 0.002)
        self.record(key, good[stumbles], line, client, FAIL)
        self.record(key, now[~up & (self.rng.random(len(now)) < 0.1)], line, client, FAIL)
        if self.flip("pasted_wrong"):
            self.present(key, self.exchanges(1, owned.exchange), good[:1], line, client)
        if self.flip(listed) and len(good):
            changes = good[np.r_[True, line[good][1:] != line[good][:-1]]][:4]
            self.record(key, changes[1:], line, client, FAIL)  # until the owner registers the new address
            self.record(key, changes, line, np.full(self.hours, -1), ALLOW)

    def present(self, key: int, exchanges: Sequence[int], hours: Ints, line: Ints, client: Ints) -> None:
        """The key fails at exchanges that never issued it."""
        for exchange in exchanges:
            self.keys.append(Key(exchange, self.keys[key].text, None, None))
            self.record(len(self.keys) - 1, hours, line, client, FAIL)

    def owner(self, pattern: str, line: Ints, stack: int, beat: Mask, listed: float = 0.0, keys: int = 1) -> None:
        """A person whose keys, at one or more exchanges, all run in one place; some are also used from home."""
        person, client = self.person(), self.client(stack)
        other_place = self.lines.home() if self.flip("second_place") else None
        for exchange in self.exchanges(keys):
            key = self.issue(person, exchange, pattern)
            self.live(key, self.rhythms.thin(beat, 0.6, 1.0), line, client, listed)
            if other_place is not None:
                self.live(key, self.rhythms.sessions(0.15, 1.5, self.rhythms.day()), other_place, client)

    def customer(self, pattern: str, line: Ints, client: Ints, beat: Mask, away: str | float = "second_place") -> None:
        """Somebody whose key runs on a line and with a client that others share; some also use it on their own."""
        key = self.issue(self.person(), self.exchanges()[0], pattern)
        self.live(key, beat, line, client, self.rate["listed_home" if "household" in pattern else "listed_server"])
        if self.flip(away):
            place = self.lines.phone() if "household" in pattern else self.lines.home()
            self.live(key, self.rhythms.evening(), place, self.client(self.stacks.any()))

    def single(self, pattern: str, _: int) -> None:
        """One person with a computer at home, a rented server, or a phone."""
        lines = {"home": self.lines.home, "own_server": self.lines.server, "carrier_nat": self.lines.phone}
        listed = {"home": self.rate["listed_home"], "own_server": self.rate["listed_server"]}.get(pattern, 0.0)
        keys = 1 + int(self.rng.choice(len(KEYS_PER_OWNER), p=KEYS_PER_OWNER))
        self.owner(pattern, lines[pattern](), self.stacks.any(), self.rhythms.any(), listed, keys)

    def wanderer(self, pattern: str, _: int) -> None:
        """One person in changing places with changing tools; a power user has many, and bots that run beside."""
        places, tools, bots = [self.lines.home(), self.lines.phone(), self.lines.egress("office")()], 2, 0
        if pattern == "roamer":
            places.append(self.lines.switching(self.lines.vpns, int(self.rng.integers(4, 60))))
        else:
            places += [self.lines.server() for _ in range(int(self.rng.integers(1, 5)))]
            tools, bots = int(self.rng.integers(3, 7)), int(self.rng.integers(0, 2))
        person, kit = self.person(), [self.client(self.stacks.any()) for _ in range(tools)]
        chosen = self.rng.permutation(len(places))[: int(self.rng.integers(2, len(places) + 1))]
        awake = self.rhythms.sessions(self.rng.uniform(0.3, 1.6), 2.5, self.rhythms.day())
        where = self.lines.switching(chosen, int(self.rng.integers(4, 25)))
        for exchange in self.exchanges(1 + self.flip(0.3)):
            key = self.issue(person, exchange, pattern)
            for order, place in enumerate(chosen):
                beat = self.rhythms.thin(awake & (where == place), 0.6, 1)
                self.live(key, beat, places[place], kit[order % tools])
            for bot in range(bots):
                self.live(key, self.rhythms.signal(), places[-1 - bot % len(places)], kit[-1 - bot % tools])

    def crowd(self, pattern: str, size: int) -> None:
        """Colleagues, students, or strangers on shared hosting, behind a NAT gateway or in functions: one egress."""
        site = pattern.endswith("y_egress") or pattern.endswith("s_egress")
        place = self.lines.egress("office" if pattern == "company_egress" else "campus") if site else self.hub(pattern)
        images, imaged = [self.stacks.any(0.0) for _ in range(3)], 0.0 if site else self.rate["image"]
        for _ in range(size):
            stack = int(self.rng.choice(images)) if self.flip(imaged) else self.stacks.any()
            self.owner(pattern, place(), stack, self.rhythms.any(), 0.1)

    def hub(self, pattern: str) -> Callable[[], Ints]:
        """The lines of the tenants of a hub, whose egress addresses alternate."""
        if pattern == "function_egress":
            return lambda: self.lines.switching(self.lines.functions, 1)
        hubs = self.lines.hosts if pattern == "shared_hosting" else self.lines.gateways
        addresses = hubs[int(self.rng.integers(len(hubs)))]
        return lambda: self.lines.switching(addresses, 6)

    def platform(self, pattern: str, size: int) -> None:
        """A bot service: one stack on few servers; customers choose strategies, and some of them copy one trader."""
        small = pattern == "platform_small"
        addresses = self.lines.block("cloud", 1 if small else int(self.rng.integers(2, 9)))
        client = self.client(self.stacks.any(0.25))
        leader = self.rhythms.sessions(1.2, 3)
        copying = self.rate["copying"] * self.rng.random() * (0.5 if small else 0.05)
        if pattern == "platform_declared":
            ips, name = [self.lines.names[address] for address in addresses], f"platform-{len(self.declared) + 1:02}"
            self.declared.append({"name": name, "ips": ips, "device": self.stacks.names[client[-1]]})
        for _ in range(size):
            beat = self.rhythms.thin(leader, 0.6, 0.95) if self.flip(copying) else self.rhythms.any()
            self.customer(pattern, self.lines.switching(addresses, self.hours), client, beat)

    def course(self, pattern: str, size: int) -> None:
        """A course or a team with one image: the same address and stack, partly the same hours."""
        school = pattern == "class_image"
        line, client = self.lines.egress("campus" if school else "office")(), self.client(self.stacks.any(0.12))
        start, weekdays = int(self.rng.integers(9, 17)), self.rng.permutation(5)[: 3 if school else 5]
        busy = (self.rhythms.clock >= start) & (self.rhythms.clock < start + (3 if school else 6))
        lesson = self.rhythms.thin(busy & np.isin(self.rhythms.weekday, weekdays), 0.4, 1)
        discipline = self.rate["discipline"] * self.rng.uniform(0.2, 1.0)
        for _ in range(size):
            beat = self.rhythms.thin(lesson, 0.5 * discipline, discipline) | self.rhythms.any()
            self.customer(pattern, line, client, beat, 0.5)

    def household(self, pattern: str, size: int) -> None:
        """A family on one line, with a computer each or with one for all."""
        line, one = self.lines.home(), pattern == "household_one"
        client, powered = self.client(self.stacks.any()), self.rhythms.sessions(2, 5, self.rhythms.day())
        for _ in range(size):
            own, beat = client if one else self.client(self.stacks.any()), self.rhythms.any()
            self.customer(pattern, line, own, beat & powered if one else beat, 0.4)

    def ring(self, pattern: str, size: int) -> None:
        """An operator and the keys lent to him."""
        name, places, venues = (
            next(self.groups),
            self.ring_places(pattern),
            self.exchanges(int(self.rng.integers(1, 4))),
        )
        client, follow = self.client(self.stacks.any(0.35)), self.rate["follow"]
        master = self.rhythms.sessions(self.rng.uniform(0.5, 3), self.rng.uniform(2, 6), self.rhythms.day())
        roster = [self.rhythms.sessions(self.rng.uniform(0.25, 0.7), 2) for _ in range(1 + size // 4)]
        listed = self.rate["operator_listed"] if pattern not in ("ring_pool", "ring_residential") else 0.05
        recruiting = self.rng.choice([0.2, 0.6])
        for _ in range(size):
            shift = roster[int(self.rng.integers(len(roster)))] if pattern == "ring_staggered" else master
            stacked = pattern == "ring_stacks"
            beat = self.rhythms.thin(shift, 0.3 if stacked else follow - 0.15, 0.7 if stacked else follow)
            joined = int(self.rng.integers(self.hours * 7 // 10)) if self.flip(recruiting) else 0
            own = self.client(self.stacks.any()) if stacked else client
            person = self.person()
            key = self.issue(person, int(self.rng.choice(venues)), pattern, "lent", name)
            self.live(key, beat & (np.arange(self.hours) >= joined), places(), own, listed)
            self.lender(pattern, person, key, joined, name)
        if self.flip("operator_own"):
            key = self.issue(self.person(), venues[0], pattern, "operator-own", name)
            self.live(key, self.rhythms.thin(master, follow - 0.15, follow), places(), client, listed)

    def ring_places(self, pattern: str) -> Callable[[], Ints]:
        """From where an operator drives a key."""
        if pattern == "ring_hub":
            return self.hub(str(self.rng.choice(["shared_hosting", "nat_gateway"])))
        if pattern in ("ring_pool", "ring_residential"):
            size, every = int(self.rng.integers(4, 25)), int(self.rng.choice([1, 6, 24]))
            pool = self.lines.block("cloud", size) if self.flip(0.4) else self.lines.blocks("cloud", 1, size)
            if pattern == "ring_residential":
                pool = self.rng.choice(self.lines.exits, 5 * size)
            return lambda: self.lines.switching(pool, every)
        line = self.lines.home() if self.flip("operator_home") else self.lines.server()
        return lambda: line

    def lender(self, pattern: str, person: Person, key: int, joined: int, name: str) -> None:
        """What the holder of a lent key does with it and with other keys."""
        line, client, habit = self.lines.home(), self.client(self.stacks.any()), self.rhythms.evening()
        if pattern == "ring_holder_active":
            self.live(key, habit | self.rhythms.evening(), line, client)
        elif self.flip("lender_before"):
            self.live(key, habit & (np.arange(self.hours) < joined), line, client)
        if self.flip("lender_other"):
            other = self.issue(person, self.exchanges(1, self.keys[key].exchange)[0], pattern, "lender-other", name)
            self.live(other, self.rhythms.any(), line, client)

    def shared(self, pattern: str, size: int) -> None:
        """One key in the hands of several people; some of them have keys of their own."""
        key = self.issue(self.person(), self.exchanges()[0], pattern, "shared", next(self.groups))
        for _ in range(size):
            line, stack = self.lines.server() if self.flip(0.35) else self.lines.home(), self.stacks.any()
            beat = self.rhythms.sessions(self.rng.uniform(0.1, 0.8), 2, self.rhythms.day())
            if pattern == "shared_rare":
                beat = self.rhythms.sessions(self.rng.uniform(0.04, 0.2), 1.2)
            self.live(key, beat, line, self.client(stack))
            if self.flip(0.12):
                self.owner("shared_party", line, stack, self.rhythms.any())

    def leak(self, pattern: str, size: int) -> None:
        """A dump of other people's keys, tried one after the other."""
        name, crossed, slow = next(self.groups), self.flip("dump_crossed"), pattern == "leak_slow"
        begin = int(self.rng.integers(self.hours * (3 if slow else 8) // 10))
        span = self.hours - begin if slow else int(self.rng.integers(2, 60))
        pool = self.rng.choice(np.concatenate([self.lines.exits, self.lines.vpns]), 4 * size)
        line = self.lines.switching(pool, 1) if slow else self.lines.server()
        client = self.client(self.stacks.any(0.2))
        for _ in range(size):
            person, place = self.person(), self.lines.home() if self.flip(0.5) else self.lines.server()
            key = self.issue(person, self.exchanges()[0], pattern, "leaked", name)
            self.live(key, self.rhythms.any(), place, self.client(self.stacks.any()), self.rate["listed_server"])
            tries = begin + self.rng.integers(min(span, self.hours - begin), size=1 + self.rng.poisson(0.7))
            self.record(key, tries, line, client, USE if self.flip("dump_accepted") else FAIL)
            if crossed:
                wrong = self.exchanges(int(self.rng.integers(1, 5)), self.keys[key].exchange)
                self.present(key, wrong, np.sort(tries)[:1], line, client)

    def sightings(self) -> Iterator[dict[str, Any]]:
        """The tape in time order, one line for each key, address, client, hour and kind."""
        lengths = [len(entry[2]) for entry in self.tape]
        key, kind = (np.repeat([entry[i] for entry in self.tape], lengths) for i in (0, 1))
        hour, line, client, requests = (np.concatenate([entry[i] for entry in self.tape]) for i in (2, 3, 4, 5))
        sizes = (self.hours, len(self.keys), len(self.lines.names), len(self.stacks.names) + 1, len(KINDS))
        code = np.ravel_multi_index((hour, key, line, client + 1, kind), sizes)
        _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        totals = np.bincount(inverse, requests).astype(np.int64)
        when = START + hour[first] * 3600 + self.rng.integers(3600, size=len(first))
        without = self.rng.random((3, len(first)))
        holes = [without[i] < self.rate[name] for i, name in enumerate(("no_account", "no_holder", "no_device"))]
        for row in np.argsort(when, kind="stable"):
            source, seen = first[row], self.keys[key[first[row]]]
            stack = client[source]
            yield {
                "ts": int(when[row]),
                "exchange": EXCHANGES[seen.exchange],
                "key": seen.text,
                "account": None if holes[0][row] else seen.account,
                "holder": None if holes[1][row] else seen.holder,
                "ip": self.lines.names[line[source]],
                "device": None if holes[2][row] or stack < 0 else self.stacks.names[stack],
                "count": int(totals[row]),
                "kind": KINDS[kind[source]],
            }


def market(
    seed: int, keys: int = 20_000, days: int = 14, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Traffic of about so many issued keys over so many days: sightings in time order, truth, declared platforms."""
    world = World(seed, keys, days, holders)
    world.populate(GUILTY, round(keys * (1 - innocent)), True)
    world.populate(INNOCENT, round(keys * innocent) - world.issued[False], False)
    return world.sightings(), world.truth, world.declared
