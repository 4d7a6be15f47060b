"""Synthetic API traffic of five Korean exchanges, with ground truth.

People own accounts, accounts own keys, and keys run somewhere. Where a key is and which client it uses are *timelines*,
arrays with one entry for each hour, so that renumbering, roaming, proxies and client upgrades are all the same thing;
when it acts is an array of flags. A group (a company, a course, a service, a household) is a row of a table, and so is
the way in which an operator runs the keys that he borrowed. Proportions, sizes and schedules are drawn for every seed.
"""

from __future__ import annotations

import base64
import ipaddress
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Timeline = NDArray[np.int32]  # for each hour: an index of an address or of a client
Flags = NDArray[np.bool_]  # for each hour: does it act?
Record = dict[str, Any]
Range = tuple[float, float]

START = 1_790_553_600  # a Monday, midnight UTC
KST = 9
EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
MARKET_SHARE = np.array((0.46, 0.28, 0.12, 0.08, 0.06))
ALLOWLIST_USE = (0.9, 0.6, 0.45, 0.4, 0.3)  # share of the keys whose owner registered addresses
FIELDS = ("ts", "exchange", "key", "account", "holder", "ip", "device", "count", "kind")
KINDS = ("use", "auth_fail", "allowlist")
USE, FAIL, LIST = range(3)
NO_DEVICE = -1
LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
KEY_LENGTH = (40, 48, 36, 43, 36)  # 36: a UUID

NETWORKS = {
    "home": "121.128.0.0/10 175.192.0.0/10 211.192.0.0/11 1.224.0.0/11 58.120.0.0/13 112.144.0.0/12",
    "home6": "2001:e60:8000::/36 2001:2d8:e000::/36 2001:4430:4000::/36",
    "kt": "39.7.0.0/16 110.70.0.0/16 175.223.0.0/16",
    "sk": "223.38.0.0/16 223.62.0.0/16 203.226.192.0/18",
    "lg": "106.101.0.0/16 117.111.0.0/16 211.36.128.0/18",
    "office": "211.32.0.0/12 210.92.0.0/14 61.32.0.0/13 203.248.0.0/15",
    "campus": "147.46.0.0/16 143.248.0.0/16 141.223.0.0/16 165.132.0.0/16 163.152.0.0/16",
    "aws": "13.124.0.0/15 13.209.0.0/16 15.164.0.0/15 3.34.0.0/15 43.200.0.0/14 54.180.0.0/15",
    "vps": "141.164.32.0/19 158.247.192.0/18 49.50.160.0/20 101.101.208.0/20 34.64.0.0/14 139.162.64.0/18",
    "abroad": "65.108.0.0/15 95.216.0.0/15 159.89.192.0/18 45.76.0.0/16 188.166.176.0/20",
}
SERVERS = ("aws", "vps")
# user agent, its versions, popularity
FAMILIES = (
    ("python-requests/{}", "2.32.3 2.31.0 2.32.5 2.28.2 2.25.1", 30.0),
    ("Python/3.11 aiohttp/{}", "3.9.5 3.10.11 3.8.6 3.12.15", 13.0),
    ("axios/{}", "1.7.9 1.6.8 0.27.2 1.11.0", 12.0),
    ("python-httpx/{}", "0.27.2 0.28.1 0.25.0", 5.0),
    ("Go-http-client/{}", "1.1 2.0", 9.0),
    ("okhttp/{}", "4.12.0 4.9.3 5.1.0", 7.0),
    ("node-fetch/{}", "1.0 3.3.2", 6.0),
    ("Java-http-client/{}", "17.0.12 21.0.4 11.0.24", 5.0),
    ("reqwest/{}", "0.12.9 0.11.27", 3.0),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/{} Safari/537.36", "138.0.0.0 140.0.0.0", 4.0),
)
BUILDS = ("t13d1812h1", "t13d1810h1", "t13d3112h2", "t13d1516h2", "t12d2808h1")
BOT_NAMES = ("autotrader", "gridbot", "coinmate", "rebal", "kimp", "dca", "scalper", "follow", "quant", "trade-api")
STYLES = {
    "sessions": 0.32,
    "cron": 0.19,
    "always": 0.08,
    "reactive": 0.16,
    "rare": 0.19,
    "follow": 0.06,
}  # how keys act
CHANNELS = 15  # public signals that people follow with programs of their own


@dataclass(frozen=True)
class Crowd:
    """A group of innocent people who share addresses."""

    share: float  # of the innocent keys
    size: tuple[int, int]
    addresses: tuple[int, int]
    network: str
    image: Range  # how many use the group's client
    popular: float  # chance that this client is a common one
    beat: str  # what they have in common: "signal", "lesson", "desk" or "" for nothing
    fidelity: Range  # how often they act on it
    own: float  # share of their own activity that remains
    elsewhere: float  # chance that a member also trades at home
    mixed: bool = False  # now and then another of the addresses


CROWDS = {
    "company_egress": Crowd(0.05, (3, 40), (1, 2), "office", (0, 0.1), 0.9, "desk", (0.03, 0.2), 0.4, 0.4),
    "campus_egress": Crowd(0.035, (10, 90), (1, 4), "campus", (0, 0.1), 0.9, "", (0, 0), 0.6, 0.5, True),
    "class_image": Crowd(0.0035, (6, 28), (1, 1), "office", (0.6, 1), 0.7, "lesson", (0.1, 0.4), 0.5, 0.5),
    "team_image": Crowd(0.0035, (3, 10), (1, 2), "office", (0.6, 1), 0.7, "desk", (0.1, 0.36), 0.4, 0.4),
    "platform_declared": Crowd(0.07, (40, 500), (2, 12), "aws", (1, 1), 0.3, "signal", (0, 0.6), 0.8, 0.05, True),
    "platform_large": Crowd(0.06, (60, 400), (1, 8), "aws", (0.95, 1), 0.4, "signal", (0, 0.12), 1.0, 0.05, True),
    "platform_small": Crowd(0.0055, (15, 59), (1, 2), "vps", (0.85, 1), 0.5, "signal", (0, 0.3), 0.9, 0.1),
    "shared_hosting": Crowd(0.04, (5, 60), (1, 1), "vps", (0, 0.1), 0.9, "", (0, 0), 1.0, 0.2),
    "nat_gateway": Crowd(0.04, (5, 120), (1, 3), "aws", (0, 0.1), 0.9, "", (0, 0), 1.0, 0.1),
    "faas_egress": Crowd(0.04, (30, 200), (6, 30), "aws", (0.05, 0.25), 0.9, "", (0, 0), 1.0, 0.05, True),
    "household_each": Crowd(0.04, (2, 4), (1, 1), "home", (0, 0), 0.9, "", (0, 0), 0.9, 0.0),
    "household_one": Crowd(0.005, (2, 4), (1, 1), "home", (0.8, 1), 0.85, "signal", (0, 0.45), 0.7, 0.0),
}
ALONE = {"own_home": 0.15, "own_server": 0.17, "carrier_nat": 0.11, "roamer": 0.1}
ALONE |= {"renumber_daily": 0.05, "renumber_weekly": 0.04}
MANY_MACHINES = {"power_user": 0.006}
GUILTY_ROLES = ("lent", "shared", "leaked")
HUBS = ("shared_hosting", "nat_gateway", "faas_egress")


@dataclass(frozen=True)
class Scheme:
    """How an operator runs the keys that he borrowed."""

    addresses: tuple[int, int]
    share: float  # of the guilty keys
    network: str = ""  # any kind of server
    stacks: bool = False  # a client for each key
    stagger: bool = False  # a few hours a week, each key at its own time
    hub: bool = False  # among the many of a shared address
    holder: float = 0.15  # chance that the holder goes on using the key
    fidelity: Range = (0.7, 0.97)  # how often a key follows the program
    listed: Range = (0.0, 0.5)  # how many lenders' allow-lists name the operator
    hold: int = 0  # hours on one address of the pool before the next


SCHEMES = {
    "ring_plain": Scheme((1, 2), 0.2),
    "ring_pool": Scheme((6, 40), 0.07, hold=12, fidelity=(0.4, 0.9)),
    "ring_stacks": Scheme((1, 2), 0.07, stacks=True, fidelity=(0.3, 0.8)),
    "ring_staggered": Scheme((1, 2), 0.06, stagger=True),
    "ring_residential": Scheme((15, 200), 0.04, network="home", hold=8),
    "ring_holder_active": Scheme((1, 2), 0.1, holder=1.0),
    "ring_allowlisted": Scheme((1, 3), 0.1, listed=(0.7, 1.0)),
    "ring_hub": Scheme((1, 1), 0.05, hub=True),
}
RING_SIZES = {(3, 5): 0.4, (6, 14): 0.35, (15, 40): 0.19, (50, 80): 0.06}
# one key for several people: how many, share of the guilty keys, hours a week
SHARED = {
    "shared_few": ((3, 12), 0.055, (6, 40)),
    "shared_crowd": ((8, 60), 0.03, (2, 20)),
    "shared_rare": ((3, 6), 0.045, (1, 3)),
}
# a leaked dump: keys, share of the guilty keys, addresses, hours that the trial takes
DUMPS = {
    "leak_server": ((12, 60), 0.08, (1, 1), (1, 12)),
    "leak_slow": ((8, 40), 0.05, (10, 60), (72, 300)),
    "leak_small": ((3, 7), 0.03, (1, 2), (1, 24)),
}
WRONG_DUMPS = 0.75
# everyday mishaps: chance for each key
MISHAPS = {"expired": 0.02, "clock": 0.025, "pasted": 0.012, "moved": 0.02}


@dataclass
class Person:
    """Somebody with accounts; the timelines are where he is when at home and on the road."""

    holder: str
    wake: int
    home: Timeline
    stack: Timeline
    accounts: dict[int, tuple[str, str | None]]  # by exchange: its name and its holder, if known


@dataclass(frozen=True)
class Key:
    """An issued key and the hours in which it is valid."""

    exchange: int
    text: str
    account: str
    holder: str | None
    born: int
    lists: bool


class World:
    """Everything that one seed draws: networks, clients, people, keys, and the lines that they cause."""

    def __init__(self, seed: int, keys: int, days: int, holders: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.days, self.hours, self.holders = days, days * 24, holders
        self.missing = self.rng.uniform(0.1, 0.6, len(EXCHANGES))
        self.v6, self.popular = self.between((0.05, 0.3)), self.between((0.7, 0.9))
        self.styles, self.ring_sizes = self.varied(STYLES.values()), self.varied(RING_SIZES.values())
        self.mishaps = {name: share * float(self.rng.lognormal(0, 0.5)) for name, share in MISHAPS.items()}
        self.ips, self.devices, self.keys = list[str](), list[str](), list[Key]()
        self.truth, self.declared, self.hubs = list[Record](), list[Record](), list[int]()
        self.columns: list[NDArray[np.int64]] = []
        self.blocks = {name: [ipaddress.ip_network(b) for b in blocks.split()] for name, blocks in NETWORKS.items()}
        self._clients()
        self._weather()
        self.channels = [self.beat("signal") for _ in range(CHANNELS)]
        gateways = max(2, keys // int(self.rng.integers(100, 300)))
        self.carriers = [[self.address(name) for _ in range(gateways)] for name in ("kt", "sk", "lg")]
        self.exits = [self.address("abroad") for _ in range(max(3, keys // 400))]

    def _clients(self) -> None:
        self.family_of: dict[int, list[int]] = {}
        popularity: list[float] = []
        for agent, versions, weight in FAMILIES:
            builds = [self.fingerprint() for _ in range(int(self.rng.integers(2, 6)))]
            first = len(self.devices)
            self.devices.extend(f"{build}|{agent.format(version)}" for build in builds for version in versions.split())
            family = list(range(first, len(self.devices)))
            ranks = np.add.outer(np.arange(len(builds)), np.arange(len(versions.split()))).ravel() + 1
            popularity.extend(weight * self.rng.lognormal(0, 0.5, len(ranks)) / ranks**1.5)
            self.family_of.update(dict.fromkeys(family, family))
        self.catalogue = np.array(list(self.family_of))
        self.popularity = np.cumsum(popularity) / sum(popularity)

    def _weather(self) -> None:
        """Volatile hours, and the exchanges' outages."""
        self.storm = np.zeros(self.hours)
        for _ in range(self.rng.poisson(self.hours / 24 * self.rng.uniform(0.3, 1.2)) + 1):
            at = int(self.rng.integers(self.hours))
            self.storm[at : at + self.whole((1, 5))] = self.rng.uniform(0.3, 1.0)
        self.up = np.ones((len(EXCHANGES), self.hours), dtype=np.bool_)
        for exchange in self.rng.integers(len(EXCHANGES), size=self.rng.poisson(self.days / 3)):
            at = int(self.rng.integers(self.hours))
            self.up[exchange, at : at + self.whole((1, 4))] = False

    def varied(self, shares: Iterable[float]) -> NDArray[np.float64]:
        """The shares as they are in this world."""
        weights = [share * self.rng.lognormal(0, 0.4) for share in shares]
        return np.array(weights) / sum(weights)

    def between(self, bounds: Range) -> float:
        """A number between the bounds."""
        return float(self.rng.uniform(*bounds))

    def whole(self, bounds: tuple[int, int]) -> int:
        """A whole number between the bounds, both included."""
        return int(self.rng.integers(bounds[0], bounds[1] + 1))

    def chance(self, share: float) -> bool:
        """True with this chance."""
        return bool(self.rng.random() < share)

    def address(self, network: str) -> int:
        """A new address of the network."""
        block = self.blocks[network][int(self.rng.integers(len(self.blocks[network])))]
        host = int(self.rng.integers(2, min(2**62, block.num_addresses - 2)))
        if block.version == 6:
            host += int(self.rng.integers(2**28)) << 64
        self.ips.append(str(block[host]))
        return len(self.ips) - 1

    def subnet(self, network: str, count: int) -> list[int]:
        """Addresses of one tenant, in one /24."""
        first = self.address(network)
        prefix = self.ips[first].rpartition(".")[0]
        tails = self.rng.choice(np.arange(2, 254), count - 1, replace=False)
        self.ips.extend(f"{prefix}.{tail}" for tail in tails)
        return [first, *range(first + 1, first + count)]

    def steady(self, index: int) -> Timeline:
        """The same at every hour."""
        return np.full(self.hours, index, dtype=np.int32)

    def renumbered(self, period: int) -> Timeline:
        """A home line that gets another address now and then."""
        leases: NDArray[np.int64] = (np.arange(self.hours) + self.rng.integers(period)) // period
        return np.array([self.address("home") for _ in range(int(leases[-1]) + 1)], dtype=np.int32)[leases]

    def home(self) -> Timeline:
        """A home line: an address that stays, one that changes now and then, or an IPv6 prefix."""
        if not self.chance(self.v6):
            return self.steady(self.address("home")) if self.chance(0.85) else self.renumbered(24 * self.whole((5, 20)))
        prefix, first = int(ipaddress.ip_address(self.ips[self.address("home6")])) >> 64 << 64, len(self.ips)
        self.ips.extend(
            str(ipaddress.ip_address(prefix + int(n))) for n in self.rng.integers(2**62, size=self.days + 1)
        )
        return np.arange(24 * first, 24 * first + self.hours, dtype=np.int32) // 24

    def hopping(self, pool: list[int], hold: int) -> Timeline:
        """Some address of the pool, another after about `hold` hours."""
        turns: NDArray[np.int64] = (np.arange(self.hours) + self.rng.integers(hold)) // hold
        return np.array(pool, dtype=np.int32)[self.rng.integers(0, len(pool), self.hours // hold + 2)[turns]]

    def phone(self) -> Timeline:
        """A carrier's gateways, shared with many."""
        return self.hopping(self.carriers[int(self.rng.integers(3))], self.whole((2, 14)))

    def fingerprint(self) -> str:
        """What the TLS library shows."""
        return f"{self.rng.choice(BUILDS)}_{self.rng.bytes(6).hex()}_{self.rng.bytes(6).hex()}"

    def stack(self, popular: float | None = None) -> int:
        """Somebody's client: a common one, or one of his own."""
        if self.chance(self.popular if popular is None else popular):
            return int(self.catalogue[int(np.searchsorted(self.popularity, self.rng.random()))])
        build = self.devices[int(self.rng.choice(self.catalogue))].split("|")[0]
        agent = f"{self.rng.choice(BOT_NAMES)}-{self.rng.bytes(2).hex()[:3]}/{self.whole((0, 4))}.{self.whole((0, 30))}"
        self.devices.append(f"{build if self.chance(0.6) else self.fingerprint()}|{agent}")
        return len(self.devices) - 1

    def upgraded(self, stack: int, chance: float = 0.12) -> Timeline:
        """The client over time: it may be replaced by another version."""
        line = self.steady(stack)
        if self.chance(chance):
            family = self.family_of.get(stack)
            later = family[int(self.rng.integers(len(family)))] if family else self.stack(0.0)
            line[int(self.rng.integers(self.hours)) :] = later
        return line

    def activity(self, wake: int, style: str | None = None) -> Flags:
        """When somebody's program acts on its own account."""
        rng, hour = self.rng, np.arange(self.hours)
        local = (hour + KST - wake) % 24
        style = style or str(rng.choice(list(STYLES), p=self.styles))
        if style == "always":
            odds = np.full(self.hours, rng.uniform(0.9, 1.0))
        elif style == "cron":
            slots = np.zeros(24)
            slots[rng.integers(0, 24, self.whole((1, 5)))] = rng.uniform(0.7, 1.0)
            slots[9] = max(slots[9], 0.95 if self.chance(0.5) else 0.0)
            odds = slots[(hour + KST) % 24]
        elif style == "follow":
            odds = rng.uniform(0.3, 0.95) * self.channels[int(rng.integers(CHANNELS))]
        elif style == "reactive":
            odds = rng.uniform(0.01, 0.06) + rng.uniform(0.2, 0.9) * self.storm
        elif style == "rare":
            odds = np.where(local < 16, rng.uniform(0.005, 0.04), 0.0)
        else:
            centre, width = rng.uniform(2, 14), rng.uniform(1, 4)
            odds = rng.uniform(0.2, 0.8) * np.exp(-(((local - centre) / width) ** 2))
            odds *= np.where((hour + KST) // 24 % 7 >= 5, rng.uniform(0.3, 1.3), 1.0)  # at the weekend
        odds = odds + (1 - odds) * self.storm * rng.uniform(0, 0.4)
        return np.asarray(rng.random(self.hours) < odds, dtype=np.bool_)

    def beat(self, kind: str) -> Flags:
        """When a group acts together."""
        flags = np.zeros(self.hours, dtype=np.bool_)
        if kind == "signal":
            starts = self.rng.random(self.hours) < self.rng.uniform(0.8, 4) / 24
            starts |= (self.storm > 0.5) & (self.rng.random(self.hours) < 0.5)
            for shift in range(self.whole((1, 4))):
                flags[shift:] |= starts[: self.hours - shift]
        elif kind:
            lesson = (self.whole((9, 19)), self.whole((2, 4)), self.whole((1, 3)))
            opening, length, days = lesson if kind == "lesson" else (9, 9, 5)
            weekdays, local = self.rng.choice(5, days, replace=False), np.arange(self.hours) + KST
            flags = np.isin(local // 24 % 7, weekdays) & (local % 24 >= opening) & (local % 24 < opening + length)
        return flags

    def thinned(self, flags: Flags, share: float) -> Flags:
        """This share of the hours."""
        return np.asarray(flags & (self.rng.random(self.hours) < share), dtype=np.bool_)

    def person(self) -> Person:
        """Somebody new."""
        holder = base64.b64encode(self.rng.bytes(64)).decode()
        return Person(holder, self.whole((5, 12)), self.home(), self.upgraded(self.stack()), {})

    def exchanges(self, most: int) -> list[int]:
        """Where somebody has keys: mostly at one or two exchanges."""
        count = max(1, min(most, int(self.rng.geometric(0.62)), len(EXCHANGES)))
        return [int(e) for e in self.rng.choice(len(EXCHANGES), count, replace=False, p=MARKET_SHARE)]

    def issue(self, person: Person, exchange: int, pattern: str, role: str = "user", ring: str | None = None) -> int:
        """A new key of the person's account, and the truth about it."""
        if exchange not in person.accounts:
            known = self.holders and not self.chance(float(self.missing[exchange]))
            number = f"{EXCHANGES[exchange][:2]}{self.rng.integers(10**9, 10**10)}"
            person.accounts[exchange] = (number, person.holder if known else None)
        account, holder = person.accounts[exchange]
        text = "".join(self.rng.choice(LETTERS, KEY_LENGTH[exchange]))
        if KEY_LENGTH[exchange] == 36:
            text = str(uuid.UUID(bytes=self.rng.bytes(16), version=4))
        born = int(self.rng.integers(self.hours)) if self.chance(0.3 if role == "lent" else 0.1) else 0
        self.keys.append(Key(exchange, text, account, holder, born, self.chance(ALLOWLIST_USE[exchange])))
        entry = {"exchange": EXCHANGES[exchange], "key": text, "guilty": role in GUILTY_ROLES}
        self.truth.append(entry | {"pattern": pattern, "role": role, "ring": ring})
        return len(self.keys) - 1

    def emit(self, key: int, hours: NDArray[np.int64], places: Timeline, stacks: Timeline, kind: int, at: int) -> None:
        """A line for each of the hours; `at` is the exchange that reports it."""
        pace = self.rng.lognormal(2.5, 1.2) if kind == USE else 3.0
        count = np.ones(len(hours)) if kind == LIST else 1 + self.rng.poisson(pace, len(hours))
        second = START + hours * 3600 + self.rng.integers(0, 3600, len(hours))
        device = np.full(len(hours), NO_DEVICE) if kind == LIST else stacks[hours]
        lines = (second, np.full(len(hours), key), places[hours], device, count, np.full(len(hours), kind * 8 + at))
        self.columns.append(np.stack([np.asarray(c, dtype=np.int64) for c in lines]))

    def use(self, key: int, active: Flags, place: Timeline, stack: Timeline) -> None:
        """The key is used, unless it does not exist yet or the exchange is out of order."""
        issued = self.keys[key]
        active = active & self.up[issued.exchange] & (np.arange(self.hours) >= issued.born)
        self.emit(key, np.flatnonzero(active), place, stack, USE, issued.exchange)

    def register(self, key: int, place: Timeline, willing: bool = True) -> None:
        """The owner names the addresses to the exchange, unless they change too often."""
        issued, moves = self.keys[key], np.flatnonzero(np.diff(place, prepend=-1))
        if willing and issued.lists and len(moves) <= 4:
            self.emit(key, np.maximum(moves, issued.born), place, place, LIST, issued.exchange)

    def live(self, key: int, active: Flags, place: Timeline, stack: Timeline, listed: bool = True) -> None:
        """An ordinary life of a key, with the mishaps of every day."""
        issued, rng = self.keys[key], self.rng
        mishap = {name for name, share in self.mishaps.items() if self.chance(share)}
        active = active & (np.arange(self.hours) >= issued.born)
        hours = np.flatnonzero(active)
        if "expired" in mishap and len(hours):
            end = int(rng.choice(hours))
            failing = hours[(hours >= end) & (hours < end + rng.exponential(self.hours / 3))]
            self.emit(key, failing, place, stack, FAIL, issued.exchange)
            active[end:] = False
        if "clock" in mishap:
            self.emit(key, hours[rng.random(len(hours)) < rng.uniform(0.02, 0.3)], place, stack, FAIL, issued.exchange)
        if "pasted" in mishap:
            wrong = (issued.exchange + self.whole((1, 4))) % len(EXCHANGES)
            self.emit(key, hours[: self.whole((1, 4))], place, stack, FAIL, wrong)
        if "moved" in mishap and len(hours):
            late = hours[hours >= rng.choice(hours)][: self.whole((1, 10))]
            self.emit(key, late, self.home(), stack, FAIL, issued.exchange)
        self.use(key, active, place, stack)
        self.register(key, place, listed)

    def settle(self, person: Person, pattern: str, place: Timeline, stack: Timeline, active: Flags) -> list[int]:
        """The person's keys, all run by the same program or each by its own."""
        together = self.chance(0.6)
        issued = [self.issue(person, exchange, pattern) for exchange in self.exchanges(len(EXCHANGES))]
        for key in issued:
            self.live(key, self.thinned(active, 0.95) if together else self.activity(person.wake), place, stack)
        return issued


def alone(world: World, pattern: str, room: int) -> None:
    """Somebody who shares no computer with anybody."""
    person = world.person()
    place = person.home
    if pattern == "own_server":
        place = world.steady(world.address(str(world.rng.choice(SERVERS))))
    elif pattern == "carrier_nat":
        place = world.phone()
    elif pattern.startswith("renumber"):
        place = world.renumbered(24 if pattern == "renumber_daily" else 168)
    elif pattern == "roamer":
        place = roaming(world, person)
    world.settle(person, pattern, place, person.stack, world.activity(person.wake))


def roaming(world: World, person: Person) -> Timeline:
    """Home in the evening, the office by day, the phone in between, now and then a VPN."""
    local = (np.arange(world.hours) + KST - person.wake) % 24
    place = np.where((local >= 3) & (local < 12), world.address("office"), person.home)
    for other, most in ((world.phone(), 0.4), (world.hopping(world.exits, 24), 0.2)):
        place = np.where(world.rng.random(world.hours) < world.between((0, most)), other, place)
    return np.asarray(place, dtype=np.int32)


def power_user(world: World, pattern: str, room: int) -> None:
    """Several programs, several machines, the same keys."""
    person = world.person()
    for exchange in world.exchanges(room):
        key = world.issue(person, exchange, pattern)
        world.live(key, world.activity(person.wake), person.home, person.stack)
        for _ in range(world.whole((2, 6))):
            place = world.steady(world.address(str(world.rng.choice(SERVERS))))
            stack = world.upgraded(world.stack())
            world.use(key, world.thinned(world.activity(person.wake), world.between((0.3, 1))), place, stack)
            world.register(key, place)


def crowd(world: World, pattern: str, room: int) -> None:
    """A group of people on common addresses: see the table."""
    kind = CROWDS[pattern]
    size = min(int(np.exp(world.between((np.log(kind.size[0]), np.log(kind.size[1] + 1))))), 2 + room * 3 // 5)
    pool = world.subnet(kind.network, world.whole(kind.addresses))
    image, beat = world.upgraded(world.stack(kind.popular)), world.beat(kind.beat)
    share, fidelity = world.between(kind.image), world.between(kind.fidelity)
    if pattern == "platform_declared":
        ips, device = [world.ips[ip] for ip in pool], world.devices[int(image[0])]
        world.declared.append({"name": f"platform-{len(world.declared) + 1}", "ips": ips, "device": device})
    for _ in range(size):
        person = world.person()
        place = world.hopping(pool if kind.mixed else [int(world.rng.choice(pool))], 24)
        stack = image if world.chance(share) else person.stack
        active = world.thinned(world.activity(person.wake), kind.own)
        active |= world.thinned(beat, fidelity * world.between((0.7, 1)))
        keys = world.settle(person, pattern, place, stack, active)
        if world.chance(kind.elsewhere):
            for key in keys:
                world.use(key, world.thinned(world.activity(person.wake), 0.5), person.home, person.stack)
                world.register(key, person.home)
        if pattern in HUBS and world.chance(0.1):
            world.hubs.append(int(place[0]))


def ring(world: World, pattern: str, room: int) -> None:
    """An operator and the keys that he borrowed."""
    scheme, name = SCHEMES[pattern], f"ring-{len(world.keys)}"
    pool = [
        world.address(scheme.network or str(world.rng.choice(SERVERS))) for _ in range(world.whole(scheme.addresses))
    ]
    common, beat = world.upgraded(world.stack(0.6)), world.beat("signal")
    fidelity, idle, listed = world.between(scheme.fidelity), world.between((0, 0.06)), world.between(scheme.listed)
    if scheme.hub and world.hubs:
        pool = [int(world.rng.choice(world.hubs))]
    size = world.whole(list(RING_SIZES)[int(world.rng.choice(len(RING_SIZES), p=world.ring_sizes))])
    limit, lenders = len(world.keys) + max(3, min(size, room)), 0

    def drive(key: int, owner: Person | None) -> None:
        place = world.hopping(pool, scheme.hold) if scheme.hold else world.steady(pool[key % len(pool)])
        stack = world.upgraded(world.stack(0.9)) if scheme.stacks else common
        active = world.thinned(beat, fidelity) | (world.rng.random(world.hours) < idle)
        if scheme.stagger:
            active = world.rng.random(world.hours) < world.between((3, 12)) / 168
        world.live(key, active, place, stack, owner is None or world.chance(listed))
        if owner is not None and world.chance(scheme.holder):
            world.use(key, world.activity(owner.wake, "sessions"), owner.home, owner.stack)
            world.register(key, owner.home)

    while len(world.keys) < limit or lenders < 3:
        lender, lenders = world.person(), lenders + 1
        for exchange in world.exchanges(max(1, min(3, limit - len(world.keys)))):
            drive(world.issue(lender, exchange, pattern, "lent", name), lender)
        if world.chance(0.2):
            other = world.issue(lender, world.exchanges(1)[0], pattern, "lender-other", name)
            world.live(other, world.activity(lender.wake), lender.home, lender.stack)
    if world.chance(0.5):
        operator = world.person()
        for exchange in world.exchanges(3):
            drive(world.issue(operator, exchange, pattern, "operator-own", name), None)


def shared(world: World, pattern: str, room: int) -> None:
    """One key that several people use, each from where he is."""
    parties, _, weekly = SHARED[pattern]
    owner = world.person()
    key = world.issue(owner, world.exchanges(1)[0], pattern, "shared", f"share-{len(world.keys)}")
    world.live(key, world.thinned(world.activity(owner.wake), 0.5), owner.home, owner.stack)
    for _ in range(world.whole(parties) - 1):
        member = world.person()
        place = member.home if world.chance(0.7) else world.phone()
        active = world.rng.random(world.hours) < world.between(weekly) / 168
        world.use(key, active, place, member.stack)
        if world.chance(0.06):
            own = world.issue(member, world.exchanges(1)[0], pattern, "sharer-own")
            world.live(own, world.activity(member.wake), member.home, member.stack)


def leak(world: World, pattern: str, room: int) -> None:
    """A dump of keys that somebody tries, while their owners go on."""
    keys, _, addresses, duration = DUMPS[pattern]
    name, tools = f"dump-{len(world.keys)}", world.upgraded(world.stack(0.7), 0.05)
    pool = [world.address("vps" if world.chance(0.5) else "abroad") for _ in range(world.whole(addresses))]
    length = min(world.whole(duration), world.hours)
    start = world.whole((0, world.hours - length))
    wrong, accepted = world.chance(WRONG_DUMPS), world.between((0, 0.3))
    for _ in range(min(world.whole(keys), room)):
        owner = world.person()
        key = world.issue(owner, world.exchanges(1)[0], pattern, "leaked", name)
        place = world.steady(world.address("aws")) if world.chance(0.4) else owner.home
        world.live(key, world.activity(owner.wake), place, owner.stack)
        probe = world.hopping(pool, 1)
        tries = np.sort(world.rng.integers(start, start + length, world.whole((1, 3))))
        issuer = world.keys[key].exchange
        others = world.rng.permutation(np.delete(np.arange(len(EXCHANGES)), issuer))
        for target in [issuer, *others[: world.whole((1, 4)) if wrong else 0]]:
            world.emit(key, tries, probe, tools, FAIL, int(target))
        if world.chance(accepted):
            world.use(key, world.thinned(np.arange(world.hours) > tries[-1], accepted / 3), probe, tools)


def group(world: World, pattern: str, room: int) -> None:
    """Build one person, group, ring, shared key or dump, of at most about `room` keys."""
    innocent = ((ALONE, alone), (MANY_MACHINES, power_user), (CROWDS, crowd))
    for table, build in (*innocent, (SCHEMES, ring), (SHARED, shared), (DUMPS, leak)):
        if pattern in table:
            build(world, pattern, room)


def fill(world: World, shares: dict[str, float], total: int, guilty: bool) -> None:
    """Build groups until `total` keys are issued: one of every pattern, then always that which is furthest behind."""
    names = list(shares)
    lack = world.varied(shares.values()) * total
    first, done = list(world.rng.permutation(len(names))), 0
    while done < total:
        at, before = first.pop() if first else int(np.argmax(lack)), len(world.keys)
        group(world, names[at], min(total - done, 3 + int(2 * max(lack[at], 0))))
        made = sum(entry["guilty"] == guilty for entry in world.truth[before:])
        lack[at] -= made
        done += made


def sightings(world: World) -> Iterator[Record]:
    """The lines in time order."""
    table = np.concatenate(world.columns, axis=1)
    world.columns.clear()
    order = np.argsort(table[0], kind="stable")
    bare = world.rng.random((2, len(order))) < np.array([[0.01], [0.03]])
    for n, at in enumerate(order):
        ts, number, ip, device, count, code = table[:, at].tolist()
        key, kind, exchange = world.keys[number], code // 8, code % 8
        foreign = exchange != key.exchange
        account = None if foreign or bare[0, n] else key.account
        holder = None if foreign or bare[1, n] else key.holder
        client = None if device == NO_DEVICE else world.devices[device]
        line = (ts, EXCHANGES[exchange], key.text, account, holder, world.ips[ip], client, count, KINDS[kind])
        yield dict(zip(FIELDS, line, strict=True))


def market(
    seed: int, keys: int = 20_000, days: int = 14, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[Record], list[Record], list[Record]]:
    """The sightings in time order, the truth about every issued key, and the platforms that declared themselves."""
    world = World(seed, keys, days, holders)
    groups = {name: kind.share for name, kind in CROWDS.items()}
    fill(world, ALONE | MANY_MACHINES | groups, round(keys * innocent), False)
    rings = {name: scheme.share for name, scheme in SCHEMES.items()}
    others = {name: SHARED[name][1] for name in SHARED} | {name: DUMPS[name][1] for name in DUMPS}
    fill(world, rings | others, round(keys * (1 - innocent)), True)
    return sightings(world), world.truth, world.declared
