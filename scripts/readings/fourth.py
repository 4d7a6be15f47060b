"""Synthetic API traffic of five exchanges, with ground truth, seen as an investigator of lent accounts sees it.

A world is drawn from a seed. People hold accounts, run programs on computers, phones and servers, and live behind
addresses of real kinds of networks. Operators borrow keys one after the other, groups pass a key around, and finders of
a leaked dump try it; around them are the many innocent arrangements that look alike. All rates are drawn anew for each
seed from the tables below. Activity is kept in columns (hour, key, exchange, address, device, kind, count), which are
merged, sorted and yielded at the end.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Cell = Ints | int
Floats = npt.NDArray[np.float64]

EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
EXCHANGE_WEIGHT = (0.44, 0.30, 0.12, 0.08, 0.06)
ALLOWLIST_USE = (0.95, 0.75, 0.60, 0.45, 0.40)  # share of an exchange's keys that have registered addresses
FIELDS = ("ts", "exchange", "key", "account", "holder", "ip", "device", "count", "kind")
KINDS = ("use", "auth_fail", "allowlist")
USE, FAIL, ALLOW = range(3)
EPOCH = 1_767_225_600  # 1 January 2026, 00:00 UTC
KST = 9
CHUNK = 50_000
UNKNOWN_HOLDERS = (0.10, 0.60)  # between which an exchange's share of accounts without holder is drawn
SPIKES_A_DAY = 0.35  # hours that wake everybody
OUTAGES_A_DAY = 0.08  # for each exchange


def numbers(text: str) -> dict[str, tuple[float, ...]]:
    """A table of names, each followed by its numbers, separated by commas."""
    return {name: tuple(map(float, rest)) for name, *rest in map(str.split, text.split(","))}


# The first two octets, or the first 32 bits, of blocks that such networks really announce.
NETWORK_TEXT = """
    home 14.36 14.52 59.10 112.148 112.170 118.32 119.194 121.134 121.160 124.49 175.193 175.209 180.64 180.224
    182.216 183.96 1.228 1.237 58.122 61.78 116.36 122.32 125.128 210.178 211.201 218.38 218.52 220.72 221.138
    222.110 1.214, home6 2001:e60 2001:270 2001:2d8, mobile 39.7 110.70 118.235 175.223 211.246 223.38 223.39
    223.62 203.226 106.101 106.102 117.111 211.36, mobile6 2001:e60 2001:2d8 2001:4430, office 106.243 106.247
    112.216 115.93 118.131 121.189 175.198 211.106 211.221 220.117 61.33 1.209 203.229 203.252 147.46 143.248
    163.152 165.132, cloud 3.34 3.35 3.36 3.38 13.124 13.125 13.209 15.164 15.165 43.200 43.201 43.202 52.78 52.79
    54.180 34.64 34.22 35.216 129.154 140.238 146.56 158.247 141.164 101.101 110.165 175.45 223.130 49.50 20.194
    20.196 52.231 4.217, abroad 65.108 135.181 128.199 139.162 172.104 45.76 45.32 167.99 51.79 13.228 18.176,
    hosting 112.175 183.111 211.110 114.207 115.68 27.102 45.115 121.78, vpn 89.187 146.70 156.146 185.213 193.29
"""
NETWORKS = {name: blocks for name, *blocks in map(str.split, NETWORK_TEXT.split(","))}
IPV6_SHARE = 0.14
PHONE_ADDRESSES = 8  # behind which a phone appears
# (user agent, versions oldest first, weight, application protocol in the JA4); the TLS builds are shared.
CLIENTS: tuple[tuple[str, tuple[str, ...], float, str], ...] = (
    ("python-requests/{}", ("2.25.1", "2.28.2", "2.31.0", "2.32.3"), 30, "h1"),
    ("Python/{}", ("3.8 aiohttp/3.8.1", "3.10 aiohttp/3.8.6", "3.11 aiohttp/3.9.5", "3.12 aiohttp/3.10.5"), 13, "h1"),
    ("python-httpx/{}", ("0.23.3", "0.25.2", "0.27.0"), 5, "h1"),
    ("axios/{}", ("0.21.4", "0.27.2", "1.6.8", "1.7.7"), 10, "h1"),
    ("node-fetch/1.0 (+https://github.com/bitinn/node-fetch) v{}", ("14", "16", "18"), 5, "h1"),
    ("undici/{}", ("5.28.4", "6.19.8"), 4, "h2"),
    ("okhttp/{}", ("3.14.9", "4.9.3", "4.12.0"), 7, "h2"),
    ("Java-http-client/{}", ("11.0.20", "17.0.9", "21.0.2"), 4, "h2"),
    ("Go-http-client/{}", ("1.1", "2.0"), 6, "h2"),
    ("RestSharp/{}", ("106.11.7.0", "110.2.0.0"), 3, "h1"),
    ("reqwest/{}", ("0.11.27", "0.12.5"), 2, "h2"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/{}.0.0.0", ("124", "126", "128"), 6, "h2"),
)
TLS_BUILDS = ("1811", "1812", "1713", "3112", "1516")
TLS_WEIGHT = (0.40, 0.25, 0.17, 0.12, 0.06)
PHONE_AGENTS = ("okhttp/4.12.0", "okhttp/4.9.3", "CoinFolio/5.{} CFNetwork/1494 Darwin/23.4.0", "Dart/3.3 (dart:io)")
OWN_NAMES = ("autotrade", "grid", "coinbot", "arb", "rebal", "trader", "quant", "kimchi", "signal", "mm")
DIURNAL = (5, 3, 2, 1, 1, 1, 2, 4, 8, 11, 9, 7, 7, 8, 7, 6, 6, 6, 6, 7, 8, 10, 10, 8)  # by the hour in Korea

# Shares of the innocent and of the guilty keys; each is multiplied by a log-normal factor for each seed.
INNOCENT = numbers("""
    home 18, own_server 14, roaming 16, carrier_nat 10, popular_stack 5, office 3, campus 2, platform_declared 8,
    platform_large 5, platform_small 0.35, class_image 0.1, team_image 0.08, power_user 0.05, household_one 0.45,
    household_each 2.5, shared_hosting 2.5, nat_gateway 2.5, faas 1.8, renumbered_daily 2.5, renumbered_weekly 3
""")
GUILTY = numbers("""
    ring_plain 17, ring_pool 10, ring_stacks 11, ring_staggered 4, ring_residential 5, ring_holder_active 6,
    ring_allowlisted 8, ring_hub 5, shared_few 8, shared_many 6, shared_slow 5, leak_burst 13, leak_slow 7, leak_small 5
""")
SPREAD_OF_SHARES = 0.4
# Sizes of groups, in people; both ends belong.
SIZES = numbers("""
    office 2 16, campus 15 70, platform_declared 60 500, platform_large 70 350, platform_small 15 59,
    class_image 8 35, team_image 3 9, household_one 2 4, household_each 2 4, shared_hosting 6 50, nat_gateway 6 40,
    faas 25 90, shared_few 3 12, shared_many 8 60, shared_slow 3 6, leak_burst 6 45, leak_slow 5 25, leak_small 2 4
""")
RING_SIZES = ((3, 5), (6, 12), (13, 30), (50, 75))
RING_WEIGHT = (0.44, 0.28, 0.17, 0.11)
RING_BLOCK = {"ring_pool": 2, "ring_residential": 8}  # hours until a key moves on to another address
RUNTIME_SHARE = {"faas": 0.7, "shared_hosting": 0.3, "nat_gateway": 0.0}  # who uses a runtime that the service offers
ATTENDANCE = (0.10, 0.70)  # share of the common hours in which a member of a course or team is there
SPARE_HOURS = (0.03, 0.30)  # share of the other opening hours in which he is

# How a program is used: all day, at fixed hours, when the market moves, or by hand.
HABITS = ("always", "fixed", "reactive", "manual")
SERVER_HABITS = (0.38, 0.27, 0.20, 0.15)
PERSON_HABITS = (0.12, 0.23, 0.20, 0.45)
OPERATOR_HABITS = ("campaign", "always", "fixed", "reactive")
OPERATOR_WEIGHT = (0.74, 0.08, 0.08, 0.10)
REQUESTS = {"always": 400.0, "fixed": 60.0, "reactive": 150.0, "manual": 25.0, "campaign": 200.0, "rare": 20.0}

# Rates that differ from world to world: the ends of a uniform distribution.
RATES = numbers("""
    no_holder_line 0.002 0.02, no_account_line 0.001 0.008, people_per_nat 18 45, upgrade 0.03 0.12,
    clock_error 0.01 0.05, expired 0.02 0.06, wrong_exchange 0.002 0.008, issued_late 0.1 0.3,
    second_device 0.01 0.06, own_client 0.15 0.35, wakes 0.05 0.35, lender_other 0.1 0.35, operator_own 0.25 0.6,
    service_client 0.3 0.6, lender_before 0.05 0.25, several_lent 0.15 0.45, tried_elsewhere 0.68 0.82,
    leak_works 0.1 0.35, sharer_own_key 0.04 0.15, signal_follower 0.01 0.12, customer_glances 0.005 0.03
""")


@dataclass(slots=True)
class Person:
    """Somebody with accounts, a way to the internet at home and in the hand, and a preferred client."""

    holder: str
    homes: Ints
    phone: Ints
    device: int
    phone_device: int
    accounts: dict[int, str] = field(default_factory=dict)


class World:
    """Everything drawn from one seed: networks, clients, people, keys and the columns of what the exchanges see."""

    def __init__(self, seed: int, days: int, keys: int, holders: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.hours = days * 24
        self.start = EPOCH + 86_400 * int(self.rng.integers(0, 330))
        self.rate = {name: float(self.rng.uniform(low, high)) for name, (low, high) in RATES.items()}
        self.unknown = self.rng.uniform(*UNKNOWN_HOLDERS, len(EXCHANGES)) if holders else np.ones(len(EXCHANGES))
        self.truth: list[dict[str, Any]] = []
        self.issued: list[tuple[int, str]] = []
        self.holders: dict[str, str | None] = {}
        self.declared: list[dict[str, Any]] = []
        self.addresses: list[str] = []
        self.devices: list[str] = []
        self.columns: list[list[Ints]] = []
        self.market, self.spikes = self._market()
        self._catalogue()
        self.nat = self.fresh("mobile", max(6, int(keys / self.rate["people_per_nat"] / 2)))
        self.dynamic = self.fresh("home", max(40, keys // 4))
        self.desks = self.fresh("office", max(4, keys // 60))
        self.exits = self.fresh("home", max(30, keys // 150))
        self.tunnels = np.r_[self.exits, self.fresh("vpn", max(3, keys // 500))]

    def _market(self) -> tuple[Floats, Ints]:
        """How lively the market is in each hour, and the hours that wake everybody."""
        base = np.array(DIURNAL)[(np.arange(self.hours) + KST) % 24] / np.mean(DIURNAL)
        walk = np.repeat(self.rng.lognormal(0, 0.35, self.hours // 6 + 1), 6)[: self.hours]
        spikes = np.unique(self.rng.integers(0, self.hours, 1 + self.rng.poisson(self.hours / 24 * SPIKES_A_DAY)))
        lively = base**0.5 * walk
        lively[spikes] *= self.rng.uniform(2, 5, len(spikes))
        return lively, spikes

    def _catalogue(self) -> None:
        """The widespread clients: libraries in several versions, each with several TLS builds."""
        weights, newer = [], []
        for agent, versions, weight, protocol in CLIENTS:
            recent = self.rng.dirichlet(np.arange(1, len(versions) + 1))
            for build, share in zip(TLS_BUILDS, TLS_WEIGHT, strict=True):
                for place, version in enumerate(versions):
                    self.client(agent.format(version), agent[:8] + build, build, protocol)
                    weights.append(weight * share * recent[place])
                    newer.append(len(weights) - (place == len(versions) - 1))
        self.newer = np.array(newer)
        chances = np.array(weights) * self.rng.lognormal(0, 0.3, len(weights))
        self.popularity = chances / chances.sum()

    def client(self, agent: str, salt: str, build: str, protocol: str) -> int:
        """A client as the exchanges write it: the JA4 of its TLS hello, and its user agent."""
        digest = hashlib.sha256(salt.encode()).hexdigest()
        self.devices.append(f"t13d{build}{protocol}_{digest[:12]}_{digest[12:24]}|{agent}")
        return len(self.devices) - 1

    def chance(self, rate: str) -> bool:
        """Draw an event that has a rate of this world."""
        return bool(self.rng.random() < self.rate[rate])

    def between(self, ends: tuple[float, ...]) -> int:
        """An integer between the two ends, both included, the small ones more often."""
        return round(float(ends[0] * (ends[1] / ends[0]) ** self.rng.random()))

    def pick(self, things: Sequence[str]) -> str:
        """One of several texts."""
        return things[int(self.rng.integers(len(things)))]

    def fresh(self, network: str, count: int = 1, near: bool = False) -> Ints:
        """New addresses in a kind of network; near ones share a /24 or a /64."""
        stem = ""
        for _ in range(count):
            if not (near and stem):
                prefix = self.pick(NETWORKS[network])
                high, low = self.rng.integers(0, 65_536, 2).tolist()
                stem = f"{prefix}:{high:x}:{low:x}:" if ":" in prefix else f"{prefix}.{high % 256}."
            tail = self.rng.integers(4096, 65_536, 4).tolist()
            host = ":".join(f"{part:x}" for part in tail) if ":" in stem else str(tail[0] % 252 + 2)
            self.addresses.append(stem + host)
        return np.arange(len(self.addresses) - count, len(self.addresses))

    def device(self, own: float) -> int:
        """Somebody's client: his own make, with a name and a TLS build of its own, or a common one."""
        if self.rng.random() > own:
            return int(self.rng.choice(len(self.popularity), p=self.popularity))
        agent = f"{self.pick(OWN_NAMES)}/{self.rng.integers(0, 5)}.{self.rng.integers(0, 20)}"
        return self.client(agent, str(self.rng.integers(1 << 40)), self.pick(TLS_BUILDS), "h1")

    def person(self) -> Person:
        """Somebody new."""
        secret = base64.b64encode(self.rng.bytes(66)).decode()
        phone = self.rng.choice(self.nat, 3 * PHONE_ADDRESSES)
        if self.rng.random() < IPV6_SHARE:
            phone = self.fresh("mobile6", PHONE_ADDRESSES)
        home = self.fresh("home6", 3, near=True) if self.rng.random() < IPV6_SHARE else self.fresh("home")
        application = self.pick(PHONE_AGENTS).format(self.rng.integers(1, 6))
        held = self.client(application, application + str(self.rng.integers(4)), "1613", "h2")
        return Person(secret, home, phone, self.device(self.rate["own_client"]), held)

    def issue(self, who: Person, pattern: str, role: str = "holder", guilty: bool = False, ring: str = "") -> int:
        """Issue a key to somebody, if possible at an exchange where he has none yet."""
        weight = np.array([0.03 if place in who.accounts else w for place, w in enumerate(EXCHANGE_WEIGHT)])
        exchange = int(self.rng.choice(len(EXCHANGES), p=weight / weight.sum()))
        if exchange not in who.accounts:
            who.accounts[exchange] = self.rng.bytes(8).hex()
            known = self.rng.random() > self.unknown[exchange]
            self.holders[who.accounts[exchange]] = who.holder if known else None
        text = key_text(EXCHANGES[exchange], self.rng.bytes(32))
        entry = {"exchange": EXCHANGES[exchange], "key": text, "guilty": guilty, "pattern": pattern}
        self.truth.append({**entry, "role": role, "ring": ring or None})
        self.issued.append((exchange, who.accounts[exchange]))
        return len(self.issued) - 1

    def issue_some(self, who: Person, pattern: str, most: int) -> list[int]:
        """One to four keys of one person."""
        return [self.issue(who, pattern) for _ in range(min(most, 1 + int(self.rng.binomial(3, 0.18))))]

    def active(self, habit: str, first: int | None = None) -> Ints:
        """The hours in which a habit makes a program or a person work, from the first hour on."""
        if first is None:
            first = int(self.rng.integers(self.hours * 3 // 4)) if self.chance("issued_late") else 0
        hour = np.arange(self.hours)
        if habit == "always":
            works = self.rng.random(self.hours) < self.rng.uniform(0.85, 1.0)
            gap = int(self.rng.integers(self.hours))
            works[gap : gap + int(self.rng.integers(0, 30))] = False
        elif habit == "fixed":
            daily = 0 if self.rng.random() < 0.4 else int(self.rng.integers(24))  # 00:00 UTC: the new daily candle
            times = [daily, *self.rng.integers(0, 24, int(self.rng.integers(0, 4))).tolist()]
            works = np.isin(hour % 24, times) & (self.rng.random(self.hours) < 0.93)
        elif habit == "reactive":
            heat = self.market * self.rng.lognormal(0, 0.45, self.hours)
            works = heat > np.quantile(heat, self.rng.uniform(0.75, 0.95))
        elif habit == "campaign":
            works = self._sessions(self.rng.uniform(3, 11), 0.3, np.where((hour + KST) % 24 >= 8, 1.0, 0.25))
        else:
            weekly = self.rng.uniform(1, 3) if habit == "rare" else float(self.rng.lognormal(1.5, 0.7))
            works = self._sessions(weekly, 0.5, self.market)
        if habit in ("manual", "reactive", "rare"):
            works[self.spikes] |= self.rng.random(len(self.spikes)) < self.rate["wakes"]
        return hour[works & (hour >= first)]

    def _sessions(self, weekly: float, stop: float, weight: Floats) -> npt.NDArray[np.bool_]:
        works = np.zeros(self.hours, bool)
        count = 1 + int(self.rng.poisson(weekly * self.hours / 168))
        for begin in self.rng.choice(self.hours, count, p=weight / weight.sum()).tolist():
            works[begin : begin + int(self.rng.geometric(stop))] = True
        return works

    def thin(self, hours: Ints, share: float) -> Ints:
        """Some of the hours."""
        return hours[self.rng.random(len(hours)) < share]

    def habit(self, weights: Sequence[float] = PERSON_HABITS, habits: Sequence[str] = HABITS) -> str:
        """Draw a habit."""
        return habits[int(self.rng.choice(len(habits), p=weights))]

    def sticky(self, hours: Ints, pool: Ints, block: int) -> Ints:
        """An address of the pool for each hour, kept for a block of hours."""
        return pool[self.rng.integers(0, len(pool), self.hours // block + 1)[hours // block]]

    def see(self, key: int, hours: Ints, ips: Cell, devices: Cell, rate: float, kind: int = USE, at: int = -1) -> None:
        """Record presentations of a key, one for each hour, at its own exchange or at another one."""
        count = np.maximum(1, rate * self.rng.lognormal(0, 0.6, len(hours))).astype(np.int64)
        where = self.issued[key][0] if at < 0 else at
        whole = [np.broadcast_to(value, hours.shape) for value in (hours, key, where, ips, devices, kind)]
        self.columns.append([*whole, count])

    def register(self, key: int, ips: Ints, hour: int = 0, always: bool = False) -> None:
        """The owner registers addresses with the exchange, if he uses its allow-list."""
        if always or self.rng.random() < ALLOWLIST_USE[self.issued[key][0]]:
            self.see(key, np.full(len(ips), max(0, hour - 1)), ips, -1, 0, ALLOW)

    def work(self, key: int, hours: Ints, pool: Ints, device: int, habit: str, block: int = 24) -> None:
        """A program at work on one address of a pool after the other."""
        self.present(key, hours, self.sticky(hours, pool, block), np.full(len(hours), device), habit)

    def roam(self, key: int, who: Person, hours: Ints, mix: Sequence[float], habit: str) -> None:
        """Somebody at work between home, phone, office and VPN, changing every few hours."""
        desk, tunnel = self.rng.choice(self.desks), self.rng.choice(self.tunnels)
        places = self.rng.choice(4, self.hours // 3 + 1, p=mix)[hours // 3]
        home, phone = self.sticky(hours, who.homes, 24), self.sticky(hours, who.phone, 6)
        ips = np.choose(places, [home, phone, desk, tunnel])
        self.present(key, hours, ips, np.where(places == 1, who.phone_device, who.device), habit)

    def glance(self, key: int, who: Person, rate: str = "second_device") -> None:
        """Now and then the same key is also used from the phone or from home."""
        if self.chance(rate):
            self.roam(key, who, self.active("rare"), [*self.rng.permutation((1.0, 0.0)).tolist(), 0, 0], "manual")

    def present(self, key: int, hours: Ints, ips: Ints, devices: Ints, habit: str) -> None:
        """Use a key, with the everyday trouble of upgrades, wrong clocks, expiry and wrong exchanges."""
        requests = REQUESTS[habit] * float(self.rng.lognormal(0, 0.8))
        if self.chance("upgrade"):
            late = (hours > self.rng.integers(self.hours)) & (devices < len(self.newer))
            devices[late] = self.newer[devices[late]]
        if self.chance("clock_error"):
            bad = (hours % 24 == self.rng.integers(24)) & (np.arange(len(hours)) > 4)
            self.see(key, hours[bad], ips[bad], devices[bad], requests / 4, FAIL)
        other = int(self.rng.integers(len(EXCHANGES)))
        if len(hours) and self.chance("wrong_exchange") and other != self.issued[key][0]:
            once = self.rng.integers(len(hours) // 3, len(hours), 1)
            self.see(key, hours[once], ips[once], devices[once], 3, FAIL, other)
        dead = hours >= (self.rng.choice(hours) if len(hours) and self.chance("expired") else self.hours)
        self.see(key, hours[dead], ips[dead], devices[dead], requests / 8, FAIL)
        self.see(key, hours[~dead], ips[~dead], devices[~dead], requests)

    def alone(self, pattern: str, left: int) -> None:
        """One person with a few keys, at home, on the way, or on a server of his own."""
        who, served = self.person(), pattern in ("own_server", "popular_stack")
        network = "hosting" if pattern == "popular_stack" else "abroad" if self.rng.random() < 0.1 else "cloud"
        places = self.fresh(network) if served else who.homes
        habit = self.habit(SERVER_HABITS if served else PERSON_HABITS)
        who.device = int(np.argmax(self.popularity)) if pattern == "popular_stack" else who.device
        hours = self.active(habit)
        for key in self.issue_some(who, pattern, left):
            mine = self.thin(hours, self.rng.uniform(0.7, 1.0)) if self.rng.random() < 0.6 else self.active(habit)
            if pattern in ("roaming", "carrier_nat"):
                mix = self.rng.dirichlet((4, 3, 2, 0.7) if pattern == "roaming" else (2, 14, 0.4, 0.2)).tolist()
                self.roam(key, who, mine, mix, habit)
            else:
                self.work(key, mine, places, who.device, habit)
                self.register(key, places[:1])
                self.glance(key, who)

    def renumbered(self, pattern: str, left: int) -> None:
        """A line at home whose address changes every day or every week; the allow-list refuses each new one."""
        who, habit = self.person(), self.habit()
        block = 24 if pattern == "renumbered_daily" else 24 * int(self.rng.integers(5, 10))
        held = self.rng.choice(self.dynamic, self.hours // block + 1)
        for key in self.issue_some(who, pattern, left):
            hours = self.active(habit)
            ips = held[hours // block]
            self.present(key, hours, ips, np.full(len(hours), who.device), habit)
            if block > 24 and self.rng.random() < ALLOWLIST_USE[self.issued[key][0]]:
                new = np.flatnonzero(np.diff(ips)) + 1
                self.see(key, hours[new], ips[new], who.device, 8, FAIL)
                self.see(key, hours[new], ips[new], -1, 0, ALLOW)

    def power_user(self, pattern: str, left: int) -> None:
        """Somebody who runs many programs on several machines with one key or a few."""
        who = self.person()
        machines = np.r_[who.homes[:1], self.fresh("cloud", int(self.rng.integers(1, 3)))]
        own, count = self.rate["own_client"], int(self.rng.integers(2, 6))
        rigs = [(self.rng.choice(machines, 1), self.device(own)) for _ in range(count)]
        for key in self.issue_some(who, pattern, left):
            for place, device in rigs:
                habit = self.habit()
                self.work(key, self.thin(self.active(habit), 0.4), place, device, habit)
            self.roam(key, who, self.active("manual"), (0.60, 0.30, 0.05, 0.05), "manual")
            self.register(key, machines)

    def household(self, pattern: str, left: int) -> None:
        """A family behind one line, with one computer for all or one for each."""
        first, evenings, one = self.person(), self.active("manual"), pattern == "household_one"
        for _ in range(min(left, self.between(SIZES[pattern]))):
            who, habit = self.person(), self.habit((0.10, 0.20, 0.20, 0.50))
            who.homes, who.device = first.homes, first.device if one else who.device
            key = self.issue(who, pattern)
            hours = self.thin(evenings, 0.6) if one and self.rng.random() < 0.5 else self.active(habit)
            self.work(key, hours, who.homes, who.device, habit)
            self.register(key, who.homes[:1])
            self.glance(key, who)

    def workplace(self, pattern: str, left: int) -> None:
        """People of a company or a campus, each with his own computer, who leave by the same addresses."""
        egress = self.fresh("office", self.between((1, 3)) if pattern == "campus" else 1)
        for _ in range(min(left, self.between(SIZES[pattern]))):
            who, habit = self.person(), self.habit()
            key, hours = self.issue(who, pattern), self.active(habit)
            local = (hours + KST) % 24
            there = (local >= 9) & (local < 19) & (hours // 24 % 7 < 5)
            self.work(key, hours[there], egress, who.device, habit)
            self.roam(key, who, hours[~there], (0.6, 0.4, 0, 0), habit)
            self.register(key, egress)

    def crowd(self, pattern: str, left: int) -> None:
        """Strangers on one host, one gateway or one function service, where some runtimes are common."""
        size = min(left, self.between(SIZES[pattern]))
        count = {"faas": max(4, size // 3), "nat_gateway": self.between((1, 2))}.get(pattern, 1)
        egress = self.fresh("hosting" if pattern == "shared_hosting" else "cloud", count, near=True)
        runtimes = [self.device(0) for _ in range(6)]
        for _ in range(size):
            who, habit = self.person(), self.habit(SERVER_HABITS)
            if self.rng.random() < RUNTIME_SHARE[pattern]:
                who.device = runtimes[int(self.rng.integers(len(runtimes)))]
            key = self.issue(who, pattern)
            self.work(key, self.active(habit), egress, who.device, habit, 1 if pattern == "faas" else 48)
            self.register(key, egress[:3])

    def platform(self, pattern: str, left: int) -> None:
        """A service that runs bots for its customers on its own servers with its own client."""
        size = min(left, self.between(SIZES[pattern]))
        servers = self.fresh("cloud", 1 + size // int(self.rng.integers(60, 160)))
        device, strategy = self.device(self.rate["service_client"]), self.active("reactive", 0)
        if pattern == "platform_declared":
            ips, name = [self.addresses[ip] for ip in servers], f"{self.pick(OWN_NAMES)}-{len(self.declared) + 1}"
            self.declared.append({"name": name, "ips": ips, "device": self.devices[device]})
        for _ in range(size):
            who, habit = self.person(), self.habit(SERVER_HABITS)
            key, hours = self.issue(who, pattern, "customer"), self.active(habit)
            if self.chance("signal_follower"):
                hours, habit = self.thin(strategy, 0.5), "reactive"
            self.work(key, hours, self.rng.choice(servers, 1), device, habit)
            self.register(key, servers[:4])
            self.glance(key, who, "customer_glances")

    def image(self, pattern: str, left: int) -> None:
        """A course or a team that works at the same hours, behind one address, with one image."""
        hour, course = np.arange(self.hours), pattern == "class_image"
        room = self.fresh("office" if course or self.rng.random() < 0.5 else "cloud")
        device = self.device(self.rate["own_client"])
        local, weekday = (hour + KST) % 24, (hour + KST) // 24 % 7
        begin, length = int(self.rng.integers(9, 19)), int(self.rng.integers(2, 4))
        days = self.rng.choice(5, int(self.rng.integers(1, 3)) if course else 4, replace=False)
        lesson = hour[np.isin(weekday, days) & (local >= begin) & (local < begin + length)]
        opened = hour[(weekday < 6) & (local >= 9) & (local < 22)]
        for _ in range(min(left, self.between(SIZES[pattern]))):
            who = self.person()
            key = self.issue(who, pattern, "member")
            spare = self.thin(opened, self.rng.uniform(*SPARE_HOURS))
            hours = np.union1d(self.thin(lesson, self.rng.uniform(*ATTENDANCE)), spare)
            self.work(key, hours, room, device, "manual")
            habit = self.habit() if self.rng.random() < 0.8 else "rare"
            self.work(key, self.active(habit), who.homes, who.device, "manual")
            self.register(key, np.r_[room, who.homes[:1]])

    def ring(self, pattern: str, left: int) -> None:
        """An operator drives the keys of people who lent them, recruited one after the other."""
        band = RING_SIZES[int(self.rng.choice(len(RING_SIZES), p=RING_WEIGHT))]
        size, name = max(3, min(left, self.between(band))), f"ring-{len(self.issued)}"
        device, servers = self.device(self.rate["service_client"]), self._servers(pattern, size)
        habit = self.habit(OPERATOR_WEIGHT, OPERATOR_HABITS)
        plan, block, made = self.active(habit, 0), RING_BLOCK.get(pattern, 72), 0
        recruiting = self.rng.uniform(0, 0.7) * self.hours
        if self.chance("operator_own"):
            operator = self.person()
            own = self.issue(operator, pattern, "operator-own", ring=name)
            self.work(own, self.thin(plan, 0.8), servers, device, habit, block)
            self.work(own, self.active("manual"), operator.homes, operator.device, "manual")
        while made < size:
            lender = self.person()
            joined = int(self.rng.uniform(0, recruiting)) if self.rng.random() < 0.5 else 0
            for _ in range(2 if size > 5 and size - made > 1 and self.chance("several_lent") else 1):
                key, made = self.issue(lender, pattern, "lent", True, name), made + 1
                hours = self.thin(plan[plan >= joined], self.rng.uniform(0.55, 0.98))
                if pattern == "ring_staggered":
                    wanted = 1 + int(self.rng.integers(2, 6) * self.hours / 168)
                    hours = np.unique(self.rng.integers(joined, self.hours, wanted))
                mine = self.rng.choice(servers, 4) if pattern == "ring_residential" else servers
                self.work(key, hours, mine, self.device(0) if pattern == "ring_stacks" else device, habit, block)
                if pattern not in RING_BLOCK:
                    self.register(key, servers[:2], joined, always=pattern == "ring_allowlisted")
                self._lender(key, lender, pattern, joined)

    def _servers(self, pattern: str, size: int) -> Ints:
        """What an operator rents, or the hub in which he hides."""
        if pattern == "ring_pool":
            return self.fresh("cloud", int(self.rng.integers(6, 16 + size)))
        if pattern == "ring_residential":
            return self.rng.choice(self.exits, min(len(self.exits), int(self.rng.integers(8, 25))), replace=False)
        network = self.habit((0.65, 0.15, 0.10, 0.10), ("cloud", "hosting", "abroad", "home"))
        servers = self.fresh(network, 1 if pattern == "ring_hub" or self.rng.random() < 0.7 else 2)
        for _ in range(int(self.rng.integers(8, 30)) if pattern == "ring_hub" else 0):
            who, habit = self.person(), self.habit(SERVER_HABITS)
            self.work(self.issue(who, "shared_hosting"), self.active(habit), servers, who.device, habit)
        return servers

    def _lender(self, key: int, lender: Person, pattern: str, joined: int) -> None:
        """What the lender does himself: before he lent the key, beside it, and with his other keys."""
        if pattern == "ring_holder_active" or self.chance("lender_before"):
            hours, until = self.active(self.habit()), self.hours if pattern == "ring_holder_active" else joined
            self.roam(key, lender, hours[hours < until], (0.7, 0.3, 0, 0), "manual")
        if self.chance("lender_other"):
            other = self.issue(lender, "home", "lender-other")
            self.work(other, self.active(self.habit()), lender.homes, lender.device, "manual")

    def shared(self, pattern: str, _left: int) -> None:
        """One key that several people use, each from his own place with his own client."""
        people, slow = [self.person() for _ in range(self.between(SIZES[pattern]))], pattern == "shared_slow"
        key = self.issue(people[0], pattern, "shared", True)
        for who in people:
            habit = "rare" if slow else self.habit((0.05, 0.15, 0.25, 0.55))
            self.roam(key, who, self.thin(self.active(habit), 0.18 if slow else 0.6), (0.75, 0.20, 0.03, 0.02), habit)
            if who is not people[0] and self.chance("sharer_own_key"):
                self.work(self.issue(who, "home"), self.active("manual"), who.homes, who.device, "manual")

    def leak(self, pattern: str, left: int) -> None:
        """A dump of keys whose owners go on as before while a finder tries them."""
        size, name, slow = min(left, self.between(SIZES[pattern])), f"dump-{len(self.issued)}", pattern == "leak_slow"
        sources = self.fresh("home" if slow else self.habit((0.5, 0.5), ("abroad", "cloud")), size if slow else 1)
        tool, elsewhere = self.device(self.rate["own_client"]), self.chance("tried_elsewhere")
        begin = int(self.rng.integers(self.hours * 3 // 4))
        length = self.hours - begin if slow else int(self.rng.integers(1, 12))
        for _ in range(size):
            who, habit = self.person(), self.habit()
            key = self.issue(who, pattern, "leaked", True, name)
            place = self.fresh("cloud") if self.rng.random() < 0.4 else who.homes[:1]
            self.work(key, self.active(habit), place, who.device, habit)
            self.register(key, place)
            hour = min(begin + int(self.rng.integers(length)), self.hours - 1)
            self._try(key, self.rng.choice(sources, 1), tool, hour, elsewhere)

    def _try(self, key: int, source: Ints, tool: int, hour: int, elsewhere: bool) -> None:
        """Present a found key, often at several exchanges, and use it a little where it works."""
        now, later = np.array([hour]), np.arange(hour + 1, self.hours)
        for exchange in range(len(EXCHANGES)):
            if exchange != self.issued[key][0] and elsewhere and self.rng.random() < 0.6:
                self.see(key, now, source, tool, 1.5, FAIL, exchange)
        if self.chance("leak_works"):
            self.see(key, np.r_[now, self.thin(later, 0.05)], source, tool, 6)
        else:
            self.see(key, now, source, tool, 2, FAIL)

    def fill(self, shares: dict[str, tuple[float, ...]], total: int, made: Callable[[], int]) -> None:
        """Build groups of each pattern until as many more keys are made as its share of the total."""
        weight = np.array(list(shares.values()))[:, 0] * self.rng.lognormal(0, SPREAD_OF_SHARES, len(shares))
        goals = np.round(np.cumsum(weight / weight.sum()) * total).astype(int) + made()
        for pattern, goal in zip(shares, goals.tolist(), strict=True):
            build = BUILDERS.get(pattern) or BUILDERS[pattern.split("_")[0]]
            while (count := made()) < goal:
                build(self, pattern, goal - count)

    def merged(self) -> list[npt.NDArray[Any]]:
        """The columns in order of time, one line for each key, place, hour and kind, without what outages took."""
        whole = [np.concatenate(part, dtype=np.int32) for part in zip(*self.columns, strict=True)]
        lost = np.zeros((len(EXCHANGES), self.hours), bool)
        for place in range(len(EXCHANGES)):
            for _ in range(int(self.rng.poisson(self.hours / 24 * OUTAGES_A_DAY))):
                begin = int(self.rng.integers(self.hours))
                lost[place, begin : begin + int(self.rng.integers(1, 5))] = True
        kept = ~lost[whole[2], whole[0]] | (whole[5] == ALLOW) | (self.rng.random(len(whole[0])) < 0.05)
        table, count = np.stack(whole[:6])[:, kept], whole[6][kept]
        order = np.lexsort(table[::-1])
        table, count = table[:, order], count[order]
        first = np.flatnonzero(np.r_[True, np.any(table[:, 1:] != table[:, :-1], axis=0)])
        table, count = table[:, first], np.add.reduceat(count, first)
        second = table[0] * 3600 + self.rng.integers(0, 3600, len(count))
        order = np.argsort(second, kind="stable")
        return [second[order] + self.start, *table[1:, order], count[order]]

    def sightings(self) -> Iterator[dict[str, Any]]:
        """Yield what the exchanges report."""
        columns = self.merged()
        for at in range(0, len(columns[0]), CHUNK):
            part = [column[at : at + CHUNK].tolist() for column in columns]
            gaps = [self.rng.random(len(part[0])) < self.rate[gap] for gap in ("no_holder_line", "no_account_line")]
            for line in zip(*part, *(gap.tolist() for gap in gaps), strict=True):
                ts, key, where, ip, device, kind, count, no_holder, no_account = line
                issuer, account = self.issued[key]
                client = self.devices[device] if device >= 0 else None
                owner = account if issuer == where and not no_account else None
                holder = self.holders[account] if issuer == where and not no_holder else None
                who = (ts, EXCHANGES[where], self.truth[key]["key"], owner, holder)
                yield dict(zip(FIELDS, (*who, self.addresses[ip], client, count, KINDS[kind]), strict=True))


BUILDERS: dict[str, Callable[[World, str, int], None]] = {
    **dict.fromkeys(("home", "own_server", "roaming", "carrier_nat", "popular_stack"), World.alone),
    **dict.fromkeys(("office", "campus"), World.workplace),
    **dict.fromkeys(("shared_hosting", "nat_gateway", "faas"), World.crowd),
    **dict.fromkeys(("class_image", "team_image"), World.image),
    "power_user": World.power_user,
    "renumbered": World.renumbered,
    "household": World.household,
    "platform": World.platform,
    "ring": World.ring,
    "shared": World.shared,
    "leak": World.leak,
}


def key_text(exchange: str, secret: bytes) -> str:
    """A key as the exchange prints it."""
    if exchange in ("coinone", "gopax"):
        return str(uuid.UUID(bytes=secret[:16], version=4))
    if exchange == "bithumb":
        return secret[:24].hex()
    return base64.b64encode(secret, altchars=b"xQ").decode()[: 40 if exchange == "upbit" else 43]


def market(
    seed: int, keys: int = 20_000, days: int = 14, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Traffic of a world: its sightings in order of time, the truth for each issued key, and the declared platforms."""
    world = World(seed, days, keys, holders)
    world.fill(GUILTY, round(keys * (1 - innocent)), lambda: sum(entry["guilty"] for entry in world.truth))
    world.fill(INNOCENT, keys - len(world.truth), lambda: len(world.truth))
    return world.sightings(), world.truth, world.declared
