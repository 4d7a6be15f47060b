"""Synthetic API traffic of five Korean exchanges, with ground truth.

The traffic is built person by person, the way a gateway sees it: somebody holds accounts, a client (TLS fingerprint and
user agent) runs somewhere (at home, on a phone, on a rented server) at hours that suit its owner, and now and then
something fails. Operators of other people's keys, shared keys and leaked dumps are made of the same parts. Shares,
sizes, schedules and the spread of clients are drawn anew for each seed.
"""

import base64
import hashlib
import ipaddress
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Row = dict[str, Any]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Client = int | Ints  # a stack, or one for each hour

EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
MARKET_SHARE = (0.44, 0.29, 0.13, 0.08, 0.06)
EXCHANGES_PER_PERSON = (0.56, 0.26, 0.12, 0.04, 0.02)
UNKNOWN_HOLDERS = (0.10, 0.60)  # share of the accounts of an exchange
ALLOW_LISTED = (0.50, 0.95)  # share of the keys of an exchange
KINDS = ("use", "auth_fail", "allowlist")
USE, FAIL, ALLOW = range(3)
FIRST_MONDAY = 1_767_538_800  # Monday 5 January 2026, 00:00 in Seoul
LINE_NULLS = (0.003, 0.010, 0.006)  # lines that lack account, holder, device
KEY_LENGTHS = (40, 48, 0, 64, 0)  # hexadecimal digits, or a UUID
NO_DEVICE, MOST_AN_HOUR, CHUNK = -1, 100_000, 50_000
NETWORKS: dict[str, str] = {
    "home": "121.128.0.0/11 175.192.0.0/11 211.192.0.0/13 1.224.0.0/12 58.120.0.0/14 180.64.0.0/14 106.240.0.0/13",
    "mobile": "223.38.0.0/16 223.62.0.0/16 27.160.0.0/14 39.7.0.0/16 110.70.0.0/16 118.235.0.0/16 106.101.0.0/16",
    "office": "211.168.0.0/14 210.90.0.0/15 61.32.0.0/14 112.216.0.0/14 203.226.0.0/16 125.128.0.0/13",
    "campus": "147.46.0.0/16 143.248.0.0/16 163.152.0.0/16 165.132.0.0/16 166.104.0.0/16 115.145.0.0/16",
    "cloud": "3.34.0.0/15 3.36.0.0/14 13.124.0.0/15 15.164.0.0/15 43.200.0.0/14 52.78.0.0/15 158.247.192.0/18",
    "hosting": "183.111.0.0/16 112.175.0.0/16 222.122.0.0/16 114.207.0.0/16",
    "vpn": "146.70.0.0/16 37.120.0.0/16 185.244.208.0/22 103.125.232.0/22 45.130.136.0/22",
    "home6": "2001:e60::/32 2001:2d8::/32 2406:5900::/32",
}
BLOCKS = {name: [ipaddress.ip_network(block) for block in blocks.split()] for name, blocks in NETWORKS.items()}
# For how many keys there is one mobile cell, one way out of a company and so on
KEYS_PER = {"cell": 300, "pool": 2500, "company": 160, "campus": 600, "host": 500, "nat": 700, "vpn": 900, "isp": 900}
# TLS library, ALPN, user agent, versions in use from old to new, weight
CLIENTS: tuple[tuple[str, str, str, str, float], ...] = (
    ("openssl-cpython", "h1", "python-requests/{}", "2.25.1 2.28.2 2.31.0 2.32.3 2.32.5", 30),
    ("openssl-asyncio", "h1", "Python/3.{} aiohttp/3.9.5", "9 10 11 12", 14),
    ("openssl-ccxt", "h1", "python-requests/2.31.0 ccxt/{}", "4.1.22 4.2.85 4.3.91 4.4.60", 8),
    ("node", "h1", "axios/{}", "0.21.4 0.27.2 1.4.0 1.6.8 1.7.9", 11),
    ("node-undici", "h1", "node-fetch/{}", "1.0 2.7.0 3.3.2", 5),
    ("go", "h2", "Go-http-client/{}", "1.1 2.0", 8),
    ("jsse", "h2", "Java-http-client/{}", "11.0.22 17.0.11 21.0.3", 5),
    ("conscrypt", "h2", "okhttp/{}", "3.14.9 4.9.3 4.12.0", 6),
    ("schannel", "h1", "Mozilla/4.0 (compatible; Win32; WinHttp.WinHttpRequest.{})", "5 5.1", 3),
    ("openssl-httpx", "h2", "python-httpx/{}", "0.24.1 0.27.0 0.28.1", 4),
    ("chrome", "h2", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/{}.0.0.0 Safari/537.36", "136 138 140", 3),
)
BUILDS = {"a": 0.62, "b": 0.22, "c": 0.11, "d": 0.05}  # distributions on which the same library greets differently
BOT_WORDS = ("haru", "kimchi", "grid", "moon", "turtle", "nuri", "sigma", "delta", "volt", "auto", "maru", "trader")
HOME_MADE = (0.06, 0.20)  # share of people whose program names itself
# Shares of the innocent and of the guilty keys; each wanders from seed to seed
INNOCENT = {
    "home": 0.160, "own_server": 0.095, "carrier_nat": 0.125, "company": 0.075, "campus": 0.045, "roaming": 0.090,
    "renumbered": 0.055, "dormant": 0.050, "shared_hosting": 0.055, "nat_gateway": 0.045, "faas": 0.045,
    "platform_declared": 0.090, "platform_large": 0.060, "household_each": 0.040, "platform_small": 0.0060,
    "class_image": 0.0032, "team_image": 0.0028, "power_user": 0.0022, "household_one": 0.0028,
}  # fmt: skip
GUILTY = {
    "ring_plain": 0.25, "ring_pool": 0.06, "ring_stacks": 0.06, "ring_staggered": 0.06, "ring_residential": 0.04,
    "ring_cohabit": 0.10, "ring_allowlisted": 0.10, "ring_hub": 0.05, "shared_few": 0.05, "shared_many": 0.04,
    "shared_rarely": 0.03, "leak_server": 0.08, "leak_slow": 0.05, "leak_small": 0.03,
}  # fmt: skip
SHARE_NOISE, ODDS_NOISE = 0.40, 0.25  # sigma of the logarithms
RING_SIZES = {(3, 5): 0.36, (6, 15): 0.36, (16, 40): 0.20, (50, 80): 0.08}
HOMES = {"home": 0.62, "weekly": 0.20, "daily": 0.07, "cgnat": 0.05, "home6": 0.06}
RHYTHMS = {"daemon": 0.10, "session": 0.27, "cron": 0.16, "candle": 0.12, "signal": 0.15, "sporadic": 0.20}
OFFICE_RHYTHMS = {"office": 0.6, "daemon": 0.1, "cron": 0.3}
ROAMING_RHYTHMS = {"session": 0.4, "signal": 0.4, "daemon": 0.05, "sporadic": 0.15}
OPERATOR_RHYTHMS = {"daemon": 0.08, "session": 0.30, "burst": 0.62}
LENDER_RHYTHMS = {"session": 0.5, "signal": 0.3, "sporadic": 0.2}
PARTY_RHYTHMS = {"signal": 0.4, "session": 0.25, "sporadic": 0.35}
CRON_HOURS = {2: 0.08, 3: 0.10, 4: 0.20, 6: 0.20, 8: 0.10, 12: 0.15, 24: 0.17}
DAY_CURVE = np.array([5, 3, 2, 1, 1, 1, 2, 4, 8, 12, 10, 9, 8, 8, 8, 8, 8, 8, 9, 10, 11, 12, 11, 8]) / 12.0
ODDS = {
    "expired": 0.03, "clock": 0.03, "wrong_exchange": 0.015, "upgrade": 0.08, "crash": 0.06, "rebuilt": 0.08,
    "goes_to_office": 0.7, "has_vpn": 0.3, "power_program": 0.7, "own_image": 0.30, "known_egress": 0.7,
    "image_at_home": 0.6, "works_at_home": 0.8, "platform_stack": 0.6, "polled": 0.25,
    "new_customer": 0.12, "customer_at_home": 0.12, "operator_stack": 0.45, "operator_at_home": 0.12,
    "operator_own": 0.6, "ring_named": 0.45, "lender_before": 0.5, "lender_other": 0.3, "party_on_phone": 0.25,
    "party_own": 0.25, "tried_abroad": 0.75, "accepted": 0.12,
}  # fmt: skip
SPANS = {
    "outage": (1, 3), "storm": (1, 4), "crash": (6, 96), "clock": (20, 80), "stay_phone": (2, 20),
    "stay_function": (1, 3), "stay_pool": (1, 12), "daily": (1, 1), "weekly": (4, 8), "cell": (3, 8),
    "function": (5, 16), "household": (2, 4), "class": (12, 35), "team": (4, 12), "lesson_days": (1, 3),
    "lesson_hours": (2, 4), "lesson_start": (9, 19), "platform_ips": (1, 6), "platform_small": (15, 59),
    "power_servers": (2, 4), "power_programs": (3, 6), "turns": (3, 8), "operator_keys": (1, 2), "shared_few": (3, 12),
    "shared_many": (8, 60), "shared_rarely": (3, 6), "leak_server": (15, 60), "leak_slow": (12, 50),
    "leak_small": (3, 8), "leak_exits": (3, 14), "leak_hours": (1, 30), "abroad": (1, 4), "slip": (1, 8),
}  # fmt: skip
POOL_SLOTS, POOL_ADDRESSES = 64, 96


class Key(NamedTuple):
    """An API key as its exchange knows it."""

    exchange: int
    text: str
    account: str | None = None
    holder: str | None = None
    expires: int = 0  # hour


@dataclass
class Person:
    """Somebody with at most one account at an exchange, and the client and rate that his programs have."""

    holder: str
    stack: int
    rate: float
    exchanges: set[int] = field(default_factory=set)


class World:
    """One draw of the market: its clients, calendar, networks and people, and the lines that they leave."""

    def __init__(self, seed: int, keys: int, days: int, holders: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.seed, self.size, self.hours = seed, keys, days * 24
        self.addresses, self.devices, self.successor = list[str](), list[str](), dict[int, int]()
        self.keys, self.lines, self.truth, self.declared = list[Key](), list[Ints](), list[Row](), list[Row]()
        self.leases, self.home_seen = dict[int, list[Ints]](), self._new("home", 1).tolist()
        self.people = self.room = 0
        self.odds, self.homes = self._vary(ODDS, ODDS_NOISE), self._vary(HOMES)
        self.rhythms, self.ring_sizes = self._vary(RHYTHMS), self._vary(RING_SIZES)
        self.start = FIRST_MONDAY + self._between(0, 39) * 7 * 86_400
        self.unknown = self.rng.uniform(*UNKNOWN_HOLDERS, len(EXCHANGES)) if holders else np.ones(len(EXCHANGES))
        self.allow_listed = self.rng.uniform(*ALLOW_LISTED, len(EXCHANGES))
        self._clients()
        self._calendar()
        self._shared_networks()

    def _vary(self, table: dict[T, float], noise: float = SHARE_NOISE) -> dict[T, float]:
        return {name: value * float(self.rng.lognormal(0, noise)) for name, value in table.items()}

    def _happens(self, what: str | float) -> bool:
        return bool(self.rng.random() < (self.odds[what] if isinstance(what, str) else what))

    def _between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _span(self, name: str) -> int:
        return self._between(*SPANS[name])

    def _size(self, name: str) -> int:
        return min(self._span(name), max(SPANS[name][0], self.room))

    def _pick(self, weights: dict[T, float]) -> T:
        values = np.array(list(weights.values()))
        return list(weights)[int(self.rng.choice(len(values), p=values / values.sum()))]

    def _clients(self) -> None:
        weights: list[float] = []
        for library, alpn, agent, versions, weight in CLIENTS:
            newness = self.rng.dirichlet(np.linspace(0.6, 2.0, len(versions.split())))
            for build, share in BUILDS.items():
                for number, version in enumerate(versions.split()):
                    index = self._device(library + build, alpn, agent.format(version))
                    if number:
                        self.successor[index - 1] = index
                    weights.append(weight * share * float(newness[number] * self.rng.lognormal(0, 0.3)))
        self.popularity = np.array(weights) / sum(weights)
        self.home_made = float(self.rng.uniform(*HOME_MADE))

    def _device(self, build: str, alpn: str, agent: str) -> int:
        digest = hashlib.sha256(build.encode()).hexdigest()
        ciphers, extensions = int(digest[:2], 16) % 40 + 10, int(digest[2:4], 16) % 8 + 8
        self.devices.append(f"t13d{ciphers:02d}{extensions:02d}{alpn}_{digest[4:16]}_{digest[16:28]}|{agent}")
        return len(self.devices) - 1

    def _stack(self, home_made: float | None = None) -> int:
        if not self._happens(self.home_made if home_made is None else home_made):
            return int(self.rng.choice(len(self.popularity), p=self.popularity))
        library, alpn, *_ = CLIENTS[self._between(0, len(CLIENTS) - 2)]
        first, second = self.rng.choice(BOT_WORDS, 2, replace=False)
        agent = f"{first}{second}{self._between(1, 999)}/{self._between(0, 3)}.{self._between(0, 20)}"
        return self._device(library + self._pick(BUILDS), alpn, agent)

    def _upgraded(self, stack: int) -> Ints:
        stacks = self._fixed(stack)
        if stack in self.successor and self._happens("upgrade"):
            stacks[self._between(1, self.hours) :] = self.successor[stack]
        return stacks

    def _calendar(self) -> None:
        self.hour = np.arange(self.hours)
        self.of_day, self.day = self.hour % 24, self.hour // 24
        self.weekend, self.storm = self.day % 7 >= 5, np.zeros(self.hours)
        for _ in range(self.rng.poisson(self.hours / 24 * self.rng.uniform(0.3, 0.9))):
            self.storm[self._window("storm")] += self.rng.uniform(0.3, 1.0)
        self.outage = np.zeros((len(EXCHANGES), self.hours), dtype=bool)
        for down in self.outage:
            for _ in range(self.rng.poisson(self.hours / 24 * 0.12)):
                down[self._window("outage")] = True

    def _window(self, name: str) -> slice:
        begin = self._between(0, self.hours - 1)
        return slice(begin, begin + self._span(name))

    def _address(self, kind: str) -> int:
        block = BLOCKS[kind][self._between(0, len(BLOCKS[kind]) - 1)]
        network, host = (2**32, 2**60) if block.version == 6 else (2 ** (24 - block.prefixlen), 254)
        shift = 64 if block.version == 6 else 8
        number = (self._between(0, network - 1) << shift) | self._between(1, host)
        self.addresses.append(str(block[number]))
        return len(self.addresses) - 1

    def _new(self, network: str, count: int) -> Ints:
        return np.array([self._address(network) for _ in range(count)])

    def _neighbours(self, network: str, count: int) -> Ints:
        base, first = self.addresses[self._address(network)].rpartition(".")[0], self._between(1, 254 - count)
        self.addresses += [f"{base}.{first + number}" for number in range(count)]
        return np.arange(len(self.addresses) - count, len(self.addresses))

    def _shared_networks(self) -> None:
        many = {name: max(2, int(self.size / per * self.rng.uniform(0.7, 1.4))) for name, per in KEYS_PER.items()}
        cells = [self._neighbours("mobile", self._span("cell")) for _ in range(many["cell"])]
        functions = [self._new("cloud", self._span("function")) for _ in range(many["pool"])]
        self.companies, self.campuses = self._new("office", many["company"]), self._new("campus", many["campus"])
        self.hosts, self.gateways = self._new("hosting", many["host"]), self._new("cloud", many["nat"])
        self.vpns, self.carriers = self._new("vpn", many["vpn"]), self._new("home", many["isp"])
        self._mobile = partial(self._moving, cells, "stay_phone")
        self._function = partial(self._moving, functions, "stay_function")

    def _fixed(self, address: int) -> Ints:
        return np.full(self.hours, address, dtype=np.int64)

    def _one_of(self, addresses: Ints) -> Ints:
        rank = 1.0 / (np.arange(len(addresses)) + 3.0) ** 0.7
        return self._fixed(int(self.rng.choice(addresses, p=rank / rank.sum())))

    def _moving(self, groups: list[Ints], stay: str) -> Ints:
        low, high = SPANS[stay]
        stays = self.rng.integers(low, high + 1, self.hours)
        addresses = groups[self._between(0, len(groups) - 1)]
        return np.repeat(self.rng.choice(addresses, self.hours), stays)[: self.hours]

    def _home(self, kind: str | None = None) -> Ints:
        kind = kind or self._pick(self.homes)
        if kind == "cgnat":
            return self._one_of(self.carriers)
        leased = kind in ("daily", "weekly")
        place = self._dealt(24 * self._span(kind)) if leased else self._fixed(self._address(kind))
        self.home_seen.append(int(place[0]))
        return place

    def _dealt(self, period: int) -> Ints:
        free = self.leases.setdefault(period, [])
        if not free:
            pool, turn = self._new("home", POOL_ADDRESSES), (self.hour + self._between(0, period - 1)) // period
            shift = self.rng.integers(0, POOL_ADDRESSES, self.hours // period + 2)[turn]
            free += [pool[(slot + shift) % POOL_ADDRESSES] for slot in range(POOL_SLOTS)]
        return free.pop()

    def _server(self) -> Ints:
        place = self._fixed(self._address("cloud"))
        if self._happens("rebuilt"):
            place[self._between(0, self.hours - 1) :] = self._address("cloud")
        return place

    def _rhythm(self, kind: str | None = None) -> Mask:
        """The hours at which a program runs, of the given kind or of any."""
        kind = kind or self._pick(self.rhythms)
        if kind in ("session", "office"):
            return self._sessions(kind == "office")
        if kind == "lessons":
            begin, days = self._span("lesson_start"), self.rng.choice(6, self._span("lesson_days"), replace=False)
            return np.isin(self.day % 7, days) & np.isin(self.of_day - begin, range(self._span("lesson_hours")))
        if kind == "burst":
            return self._bursts()
        if kind == "cron":
            every = self._pick(CRON_HOURS)
            return np.asarray((self.hour + self._between(0, every - 1)) % every == 0)
        if kind == "candle":  # the daily candle closes at nine
            return self._thin(np.isin(self.of_day, [9, self._between(8, 10)]), 0.95)
        if kind == "daemon":
            return self._thin(self.hour >= 0, self.rng.uniform(0.9, 1.0))
        level = self.rng.uniform(0.04, 0.30) if kind == "signal" else self.rng.uniform(0.005, 0.05)
        return self._thin(self.hour >= 0, level * DAY_CURVE[self.of_day] * (1 + 5 * self.storm))

    def _sessions(self, office: bool) -> Mask:
        days = self.hours // 24
        begin = self.rng.normal(9 if office else self.rng.uniform(8, 21), 0.8 if office else 1.5, days)
        length = self.rng.uniform(5, 9) if office else self.rng.gamma(2.5, 2.0)
        end = begin + np.maximum(1, self.rng.normal(length, 1.5, days))
        off = self.rng.random(days) < (0.06 if office else self.rng.uniform(0.05, 0.6))
        today = (self.of_day >= begin[self.day]) & (self.of_day < end[self.day]) & ~off[self.day]
        late = (self.of_day + 24 < end[self.day - 1]) & ~off[self.day - 1] & (self.day > 0)
        active = self._thin(today | late, self.rng.uniform(0.6, 1.0))
        return active & ~self.weekend if office else active | self._thin(self.hour >= 0, 0.3 * self.storm)

    def _bursts(self) -> Mask:
        level, mean, active = self.rng.uniform(0.06, 0.35), self.rng.uniform(1.0, 4.0), np.zeros(self.hours, dtype=bool)
        chance = level / mean * (0.4 + DAY_CURVE[self.of_day]) * (1 + 2 * self.storm)
        for begin in np.flatnonzero(self.rng.random(self.hours) < chance):
            active[begin : begin + 1 + self.rng.poisson(mean - 1)] = True
        return active

    def _thin(self, active: Mask, keep: float | NDArray[np.float64]) -> Mask:
        return np.asarray(active & (self.rng.random(self.hours) < keep))

    def _person(self, stack: int | None = None) -> Person:
        self.people += 1
        holder = base64.b64encode(hashlib.sha512(f"{self.seed}/{self.people}".encode()).digest()).decode()
        return Person(holder, self._stack() if stack is None else stack, float(self.rng.lognormal(4.2, 1.5)))

    def _issue(self, person: Person, pattern: str, **what: Any) -> int:
        """A new key at an exchange where the person has none."""
        exchange = self._pick({e: share for e, share in enumerate(MARKET_SHARE) if e not in person.exchanges})
        person.exchanges.add(exchange)
        account = f"{EXCHANGES[exchange][:2]}{self._between(10**9, 10**10 - 1)}"
        holder = None if self._happens(self.unknown[exchange]) else person.holder
        expires = self._between(0, self.hours) if self._happens("expired") else self.hours
        self.keys.append(Key(exchange, self._key_text(exchange), account, holder, expires))
        entry = {"guilty": False, "pattern": pattern, "role": "holder", "ring": None} | what
        self.truth.append({"exchange": EXCHANGES[exchange], "key": self.keys[-1].text} | entry)
        return len(self.keys) - 1

    def _own_keys(self, person: Person, pattern: str) -> list[int]:
        count = 1 + int(self.rng.choice(len(EXCHANGES), p=EXCHANGES_PER_PERSON))
        return [self._issue(person, pattern) for _ in range(count)]

    def _key_text(self, exchange: int) -> str:
        digits = self.rng.bytes(32).hex()
        return digits[: KEY_LENGTHS[exchange]] if KEY_LENGTHS[exchange] else str(uuid.UUID(digits[:32]))

    def _put(self, key: int, hours: Ints, *line: Ints | int, at: int | None = None) -> None:
        """Lines of (address, stack, kind, count), reported by the key's own exchange unless another is named."""
        *grain, count = line
        at = self.keys[key].exchange if at is None else at
        self.lines.append(np.array(np.broadcast_arrays(hours, key, *grain, at, count), dtype=np.int32))

    def _register(self, key: int, address: int, hour: int = 0) -> None:
        self._put(key, np.array([hour]), address, NO_DEVICE, ALLOW, 1)

    def _use(self, key: int, active: Mask, place: Ints, stack: Client, rate: float, guarded: bool = False) -> None:
        """A key at work, with the troubles of everyday life; guarded = its allow-list must follow its address."""
        active = active.copy()
        if self._happens("crash"):
            active[self._window("crash")] = False
        hours = np.flatnonzero(active)
        if not hours.size:
            return
        stacks = self._upgraded(stack) if isinstance(stack, int) else stack
        kind = np.full(hours.size, USE)
        for change in np.flatnonzero(np.diff(place)) + 1 if guarded else ():
            noticed = int(change) + 1 + int(self.rng.exponential(10))
            kind[(hours >= change) & (hours < noticed)] = FAIL
            if noticed < self.hours:
                self._register(key, int(place[change]), noticed)
        kind[hours >= self.keys[key].expires] = FAIL
        count = np.clip(self.rng.lognormal(np.log(rate), 0.5, hours.size), 1, np.where(kind == FAIL, 60, MOST_AN_HOUR))
        self._put(key, hours, place[hours], stacks[hours], kind, count.astype(np.int64))
        self._slips(key, hours, place, stacks)

    def _slips(self, key: int, hours: Ints, place: Ints, stacks: Ints) -> None:
        """Clocks that run away, and keys pasted into the form of another exchange."""
        if self._happens("clock"):
            off = hours[np.isin(hours, self.hour[self._window("clock")]) & (self.rng.random(hours.size) < 0.5)]
            self._put(key, off, place[off], stacks[off], FAIL, self._span("slip"))
        if self._happens("wrong_exchange"):
            when = self.rng.choice(hours, min(hours.size, self._span("abroad")), replace=False)
            other = (self.keys[key].exchange + self._between(1, len(EXCHANGES) - 1)) % len(EXCHANGES)
            self._put(key, when, place[when], stacks[when], FAIL, self._span("slip"), at=other)

    def _run(self, by: Person, keys: list[int], place: Ints, active: Mask, stack: Client, named: float = 1.0) -> None:
        """Somebody's own keys in one place: one program, much the same hours; named = how likely on allow-lists."""
        for key in keys:
            guarded = self._happens(named * self.allow_listed[self.keys[key].exchange])
            if guarded:
                self._register(key, int(place[0]))
            self._use(key, self._thin(active, self.rng.uniform(0.75, 1.0)), place, stack, by.rate, guarded)

    def sightings(self) -> Iterator[Row]:
        """All lines in the order of time, those written during an outage mostly lost."""
        lines = np.concatenate(self.lines, axis=1)
        self.lines.clear()
        lost = self.outage[lines[5], lines[0]] & (lines[4] != ALLOW) & (self.rng.random(lines.shape[1]) < 0.9)
        lines = lines[:, ~lost][:, np.lexsort(lines[5::-1, ~lost])]
        lines = lines[:, np.append(True, (np.diff(lines[:6], axis=1) != 0).any(axis=0))]
        when = lines[0] * 3600 + self.rng.integers(0, 3600, lines.shape[1])
        order = np.argsort(when, kind="stable")
        for begin in range(0, order.size, CHUNK):
            part = order[begin : begin + CHUNK]
            blank = (self.rng.random((part.size, 3)) < LINE_NULLS).tolist()
            columns = ((self.start + when[part]).tolist(), *lines[1:, part].tolist(), blank)
            for ts, key, ip, stack, kind, at, count, (no_account, no_holder, no_device) in zip(*columns, strict=True):
                known = self.keys[key]
                own = known.exchange == at
                yield {
                    "ts": ts, "exchange": EXCHANGES[at], "key": known.text,
                    "account": known.account if own and not no_account else None,
                    "holder": known.holder if own and not no_holder else None,
                    "device": None if no_device or stack == NO_DEVICE else self.devices[stack],
                    "ip": self.addresses[ip], "count": count, "kind": KINDS[kind],
                }  # fmt: skip

    def _solo(self, pattern: str, place: Callable[[], Ints], rhythm: dict[str, float], named: float = 1.0) -> None:
        person = self._person()
        keys = self._own_keys(person, pattern)
        self._run(person, keys, place(), self._rhythm(self._pick(rhythm)), person.stack, named)

    def _roaming(self, pattern: str) -> None:
        """Home in the evening, the office by day, the phone in between, sometimes a VPN."""
        person, phone, office = self._person(), self._stack(), self._one_of(self.companies)
        at_work = (self.of_day >= 9) & (self.of_day < 18) & ~self.weekend & self._happens("goes_to_office")
        out = np.isin(self.of_day, [7, 8, 12, 18, 19]) | self._thin(self.hour >= 0, 0.08)
        tunnel = self._happens("has_vpn") & (self.rng.random(self.hours // 24) < 0.3)[self.day]
        where = np.where(tunnel, self._one_of(self.vpns), np.where(at_work, office, self._home()))
        where = np.where(out, self._mobile(), where)
        stacks = np.where(out, phone, self._upgraded(person.stack))
        hours = self._rhythm(self._pick(ROAMING_RHYTHMS))
        self._run(person, self._own_keys(person, pattern), where, hours, stacks, named=0.0)

    def _power_user(self, pattern: str) -> None:
        """Many programs at once: servers, home, phone, each with its own client."""
        person = self._person()
        keys = self._own_keys(person, pattern)
        places = [self._server() for _ in range(self._span("power_servers"))] + [self._home(), self._mobile()]
        for _ in range(self._span("power_programs")):
            place, stack, active = places[self._between(0, len(places) - 1)], self._stack(), self._rhythm()
            self._run(person, [k for k in keys if self._happens("power_program")], place, active, stack, named=0.5)

    def _household(self, pattern: str) -> None:
        """A family behind one line, with a computer each or with one for all."""
        together = pattern == "household_one"
        place, active, stack = self._home(), self._rhythm(), self._stack()
        for _ in range(self._span("household")):
            person = self._person(stack if together else None)
            hours = self._thin(active, self.rng.uniform(0.3, 0.8)) if together else self._rhythm()
            self._run(person, self._own_keys(person, pattern), place, hours, person.stack)

    def _group(self, pattern: str) -> None:
        """A course or a team: one image, the same hours, one way out."""
        course = pattern == "class_image"
        stack = self._stack(self.odds["own_image"])
        known = self._one_of(self.campuses if course else self.companies)
        place = known if self._happens("known_egress") else self._fixed(self._address("office"))
        together = self._rhythm("lessons" if course else "office")
        for _ in range(self._size("class" if course else "team")):
            person = self._person(stack)
            key = self._issue(person, pattern)
            alone = self._rhythm("sporadic") | self._thin(self._rhythm("session"), 0.5 if course else 0.2)
            self._use(key, self._thin(together, self.rng.uniform(0.2, 0.7)) | alone, place, stack, person.rate)
            if self._happens("works_at_home"):
                other = stack if self._happens("image_at_home") else self._stack()
                self._use(key, self._rhythm(), self._home(), other, person.rate)

    def _platform(self, pattern: str) -> None:
        """A bot service or portfolio tracker that holds its customers' keys."""
        small = pattern == "platform_small"
        ips = self._new("cloud", 1 if small else self._span("platform_ips"))
        stack = self._stack(self.odds["platform_stack"])
        client = self._upgraded(stack)
        if pattern == "platform_declared":
            name, shown = f"platform-{len(self.declared) + 1}", [self.addresses[i] for i in ips]
            self.declared.append({"name": name, "ips": shown, "device": self.devices[stack]})
        polled = self._rhythm("cron") if self._happens("polled") else None
        hints, follow = self._rhythm("burst"), self.rng.uniform(0, 0.5 if small else 0.3)
        for _ in range(self._size(pattern) if small else int(20 + self.size * self.rng.uniform(0.005, 0.03))):
            person = self._person(stack)
            since = self._between(0, self.hours) if self._happens("new_customer") else 0
            own = self._rhythm() | self._thin(hints, follow) if polled is None else polled
            keys, place = self._own_keys(person, pattern), self._fixed(int(self.rng.choice(ips)))
            self._run(person, keys, place, own & (self.hour >= since), client)
            if self._happens("customer_at_home"):
                self._run(person, keys, self._home(), self._rhythm("sporadic"), self._stack(), named=0.0)

    def _ring(self, pattern: str) -> None:
        """An operator who drives the keys of several people."""
        operator = self._person(self._stack(self.odds["operator_stack"]))
        client = self._upgraded(operator.stack)
        hours, loyal = self._rhythm(self._pick(OPERATOR_RHYTHMS)), self.rng.uniform(0.6, 0.98)
        named = self.rng.uniform(0.4, 1.0) if pattern == "ring_allowlisted" else self.odds["ring_named"]
        recruits, ring = self.rng.uniform(0.0, 0.5), f"ring-{self.people}"
        size = min(self._between(*self._pick(self.ring_sizes)), max(3, self.room))
        base, pool = self._base(pattern), self._exits(pattern, size)
        made = lenders = 0
        while made < size or lenders < 3:
            lender, lenders = self._person(), lenders + 1
            since = self._between(0, self.hours * 2 // 3) if self._happens(recruits) else 0
            keys = range(1 + self.rng.binomial(2, 0.08))
            lent = [self._issue(lender, pattern, guilty=True, role="lent", ring=ring) for _ in keys]
            for key in lent:
                active = self._turns(pattern, self._thin(hours, loyal)) & (self.hour >= since)
                stack = self._stack() if pattern == "ring_stacks" else client
                place = base if pool is None else self._moving([pool], "stay_pool")
                self._use(key, active, place, stack, operator.rate)
                if pool is None and self._happens(named):
                    self._register(key, int(base[since]), since)
            self._lender_goes_on(lender, lent, pattern, since)
            made += len(lent)
        if self._happens("operator_own"):
            keys = range(self._span("operator_keys"))
            own = [self._issue(operator, pattern, role="operator-own", ring=ring) for _ in keys]
            self._run(operator, own, base, self._thin(hours, loyal), client)

    def _turns(self, pattern: str, active: Mask) -> Mask:
        """The hours of one lent key, out of those at which the operator works."""
        if pattern == "ring_staggered":  # a few hours a week, whenever it is this key's turn
            return self._thin(self.hour >= 0, self._span("turns") / 168)
        # a container for each key restarts by itself
        return self._thin(active, 0.75) | self._rhythm("sporadic") if pattern == "ring_stacks" else active

    def _base(self, pattern: str) -> Ints:
        if pattern != "ring_hub":
            return self._home("home") if self._happens("operator_at_home") else self._server()
        shared = (*(self._one_of(them) for them in (self.hosts, self.gateways, self.vpns)), self._function())
        return shared[self._between(0, len(shared) - 1)]

    def _exits(self, pattern: str, size: int) -> Ints | None:
        if pattern == "ring_residential":
            return np.append(self._new("home", 6 * size + 10), self.rng.choice(self.home_seen, 2 * size))
        return self._new("cloud", int(6 + size * self.rng.uniform(1, 10))) if pattern == "ring_pool" else None

    def _lender_goes_on(self, lender: Person, lent: list[int], pattern: str, since: int) -> None:
        """What a lender does himself: with the lent keys, before he lent them, and with another key."""
        home, hours = self._home(), self._rhythm(self._pick(LENDER_RHYTHMS))
        if pattern == "ring_cohabit" or (since and self._happens("lender_before")):
            own = hours if pattern == "ring_cohabit" else hours & (self.hour < since)
            self._run(lender, lent, home, own, lender.stack)
        if self._happens("lender_other"):
            other = self._issue(lender, pattern, role="lender-other")
            self._run(lender, [other], home, hours, lender.stack)

    def _shared(self, pattern: str) -> None:
        """One key that goes round among people, each with his own client and line."""
        owner = self._person()
        key = self._issue(owner, pattern, guilty=True, role="shared")
        rhythms = {"sporadic": 1.0} if pattern == "shared_rarely" else PARTY_RHYTHMS
        for number in range(self._span(pattern)):
            party = self._person() if number else owner
            place = self._mobile() if self._happens("party_on_phone") else self._home()
            self._use(key, self._rhythm(self._pick(rhythms)), place, party.stack, party.rate)
            if number and self._happens("party_own"):
                self._run(party, [self._issue(party, "home", role="sharer")], place, self._rhythm(), party.stack)

    def _leak(self, pattern: str) -> None:
        """A dump of keys that somebody tries out, often at every exchange."""
        size, dump = self._size(pattern), list[int]()
        places: dict[Callable[[], Ints], float] = {self._server: 0.40, self._mobile: 0.12, self._home: 0.48}
        for person in [self._person() for _ in range(size)]:
            dump.append(self._issue(person, pattern, guilty=True, role="victim"))
            self._run(person, dump[-1:], self._pick(places)(), self._rhythm(), person.stack)
        issued = len(self.keys)  # what follows is known nowhere any more
        for exchange in self.rng.integers(0, len(EXCHANGES), int(size * self.rng.uniform(0.0, 0.6))).tolist():
            dump.append(len(self.keys))
            self.keys.append(Key(exchange, self._key_text(exchange)))
        stack, begin, exits = self._stack(), self._between(0, self.hours * 2 // 3), self._server()[:1]
        span = self._span("leak_hours")
        if pattern == "leak_slow":
            exits = np.concatenate([self._new(n, self._span("leak_exits")) for n in ("cloud", "vpn", "home")])
            span = self._between(self.hours // 6, self.hours // 3)
        abroad = self._span("abroad") if self._happens("tried_abroad") else 0
        for key in dump:
            own = self.keys[key].exchange
            others = [e for e in self.rng.permutation(len(EXCHANGES)).tolist() if e != own]
            for exchange in (own, *others[:abroad]):
                when = np.unique(np.minimum(begin + self.rng.integers(0, span, self._between(1, 2)), self.hours - 1))
                good = exchange == own and key < issued and self._happens("accepted")
                place = self.rng.choice(exits, when.size)
                self._put(key, when, place, stack, USE if good else FAIL, self._between(1, 4), at=exchange)

    def _makers(self) -> dict[str, Callable[[str], None]]:
        """Who makes a pattern, by its name or by the first word of its name."""
        solo, renumbered = partial(self._solo, rhythm=self.rhythms), {"daily": 0.4, "weekly": 0.6}
        return {
            "home": partial(solo, place=self._home), "own_server": partial(solo, place=self._server),
            "carrier_nat": partial(solo, place=self._mobile, named=0.0),
            "faas": partial(solo, place=self._function, named=0.0),
            "company": partial(solo, place=lambda: self._one_of(self.companies), rhythm=OFFICE_RHYTHMS),
            "campus": partial(solo, place=lambda: self._one_of(self.campuses)),
            "shared_hosting": partial(solo, place=lambda: self._one_of(self.hosts)),
            "nat_gateway": partial(solo, place=lambda: self._one_of(self.gateways)),
            "renumbered": partial(solo, place=lambda: self._home(self._pick(renumbered)), named=0.5),
            "dormant": partial(solo, place=self._home, rhythm={"sporadic": 1.0}),
            "roaming": self._roaming, "household": self._household, "class": self._group, "team": self._group,
            "platform": self._platform, "power": self._power_user, "ring": self._ring, "shared": self._shared,
            "leak": self._leak,
        }  # fmt: skip

    def populate(self, innocent: float) -> None:
        """Fill the market up to its size, each pattern with groups until there are keys enough."""
        makers = self._makers()
        for shares, total in ((INNOCENT, self.size * innocent), (GUILTY, self.size * (1 - innocent))):
            drawn = self._vary(shares)
            for pattern, share in drawn.items():
                goal = total * share / sum(drawn.values())
                make, made = makers.get(pattern) or makers[pattern.split("_")[0]], 0
                while made < goal and self._happens(goal - made):
                    before, self.room = len(self.truth), int(goal) - made
                    make(pattern)
                    made += sum(entry["guilty"] or shares is INNOCENT for entry in self.truth[before:])


def market(
    seed: int, keys: int = 20_000, days: int = 14, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[Row], list[Row], list[Row]]:
    """Draw a market: its sightings in the order of time, the truth of each issued key, the declared platforms."""
    world = World(seed, keys, days, holders)
    world.populate(innocent)
    return world.sightings(), world.truth, world.declared
