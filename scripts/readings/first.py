"""Synthetic API traffic of five crypto exchanges, as one engineer reads the patterns that a detector must tell apart.

`market` makes one world: the people who hold keys, where and with which client they use them hour by hour, the
operators, sharers and probers among them, and everyday mishaps. What makes one world unlike another (sizes, schedules,
habits and proportions) stands in the tables at the top and is moved by factors drawn for each seed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Series = npt.NDArray[np.int32]  # the number of an address or of a client stack, hour by hour
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
Hours = npt.NDArray[np.int64]
Pattern = Callable[["World", str], object]

EXCHANGES = ("upbit", "bithumb", "coinone", "korbit", "gopax")
MARKET_SHARES = (0.46, 0.28, 0.11, 0.09, 0.06)
SIGHTING = ("ts", "exchange", "key", "account", "holder", "ip", "device", "count", "kind")
KINDS = ("use", "auth_fail", "allowlist")
USE, FAIL, ALLOW = range(3)
MONDAY = 1793545200  # 2026-11-02 00:00 in Seoul

# fmt: off
RHYTHM = np.array([
    .62, .42, .28, .2, .16, .17, .25, .42, .7, 1, .9, .8, .72, .75, .74, .72, .7, .68, .66, .7, .8, .92, .97, .85,
])
LIBRARIES = (
    "python-requests", "ccxt/4 node-fetch", "aiohttp", "okhttp", "Go-http-client", "axios", "pyupbit requests", "httpx",
    "freqtrade ccxt", "Java-http-client", "reqwest", "undici", "curl", "RestSharp", "hummingbot aiohttp",
    "pybithumb requests", "got", "libcurl-php", "Apache-HttpClient", "R-httr",
)
GUILTY_SHARES = {  # of the guilty keys
    "ring_plain": .145, "ring_pool": .075, "ring_stacks": .075, "ring_staggered": .065, "ring_residential": .065,
    "ring_holder_uses": .075, "leak_server": .105, "leak_slow": .095, "leak_small": .05, "share_3_12": .11,
    "share_8_60": .065, "share_rare": .075,
}
SECOND_KEYS = {"platform": .02, "ring": .02, "share": 0, "class": 0, "power": .4}  # where not the world's chance
CHANCES = {
    # everywhere
    "expired": .018, "clock_error": .055, "wrong_exchange": .0055, "wrong_by_stranger": .25, "upgrade": .12,
    "lists_late": .6, "starts_late": .13, "second_key": .06, "lacks_device": .004, "two_accounts": .25,
    # addresses, stacks and hours
    "rents_server": .55, "server_moves": .05, "server_ipv6": .06, "big_cloud": .7, "home_ipv6": .12, "home_moves": .2,
    "mobile_ipv6": .25, "own_stack": .27, "rare_stack": .15, "other_stack": .12, "other_schedule": .4,
    "cron_at_nine": .65,
    # roaming, workplaces, classes and teams
    "goes_to_office": .7, "uses_vpn": .3, "phone_stack": .6, "office_stack": .07, "trades_elsewhere": .6,
    "class_on_campus": .5, "class_one_exchange": .7, "class_remote": .12, "class_one_day": .15, "team_server": .4,
    "team_tight": .25, "team_own_stack": .25, "team_trades_at_home": .6, "team_servers_apart": .12,
    # platforms
    "declared_own_stack": .9, "undeclared_own_stack": .4, "platform_declared_large_rotates": .5,
    "platform_declared_small_rotates": .05, "platform_large_rotates": .3, "platform_small_rotates": .05,
    "lists_whole_platform": .75, "platform_moves": .12, "platform_two_versions": .15, "customer_trades_too": .1,
    "customer_other_key": .15, "grid_always": .6,
    # shared egress, households, neighbours
    "gateway_pinned": .5, "function_stock_runtime": .5, "function_pinned": .15, "household_phone": .35,
    "household_lockstep": .15, "household_server": .12, "renumber_ipv6": .15, "neighbours_in_step": .12,
    # rings
    "ring_own_stack": .45, "ring_in_cloud": .8, "ring_moves": .2, "ring_real_home": .15, "ring_pinned": .25,
    "ring_two_shifts": .12, "ring_weekly_slot": .3, "ring_changes_stacks": .15, "lender_one_key": .82,
    "lender_before": .35, "lender_server": .2, "lender_goes_on_anyway": .05, "lender_own_key": .2, "operator_own": .5,
    # shared and leaked keys
    "share_one_app": .25, "share_app_kept": .8, "share_from_start": .4, "share_in_turns": .15, "sharer_own_key": .3,
    "leak_own_stack": .3, "leak_one_stack": .6, "leak_from_home": .6, "leak_elsewhere": .75,
    "leak_accepted_listed": .03, "leak_sold_on": .12,
}
AMOUNTS = {
    "stack_popularity": (1.07, 1.07), "volatile_hours": (5, 11), "volatile_pull": (.05, .6),
    "sessions_scale": (.9, .9), "session_hours": (1.3, 3.5), "signal_share": (.06, .3), "roaming": (.1, .4),
    "mobile_hours": (3, 12), "company_size": (4, 59), "company_egress": (1, 3), "company_same": (.02, .3),
    "campus_size": (50, 219), "campus_egress": (1, 5), "campus_same": (.01, .15), "class_size": (8, 39),
    "class_same": (.5, .95), "class_attendance": (.4, .85), "class_at_home": (.3, .8), "class_campus": (20, 89),
    "team_size": (3, 12), "team_step": (.01, .15), "team_tight_step": (.05, .4),
    "platform_declared_large_customers": (120, 449), "platform_declared_large_addresses": (2, 8),
    "platform_declared_small_customers": (12, 59), "platform_declared_small_addresses": (1, 2),
    "platform_large_customers": (60, 259), "platform_large_addresses": (1, 4), "platform_small_customers": (15, 59),
    "platform_small_addresses": (1, 1.4), "platform_signals": (3, 9), "signal_grip": (.3, .7),
    "rotation_hours": (2, 8), "power_keys": (2, 5), "power_places": (1, 4), "power_stacks": (3, 7),
    "shared_hosting_size": (6, 69), "nat_gateway_size": (8, 119), "gateway_addresses": (1, 3),
    "function_size": (60, 199), "function_pool": (15, 79), "household_grip": (.75, .995), "renumber_size": (60, 159),
    "renumber_pool": (.8, 1.6), "neighbours": (5, 29), "ring_median": (8, 8), "ring_spread": (.75, .75),
    "ring_addresses": (3, 9), "ring_exits": (.4, 1.5), "ring_cohesion": (.55, .97), "ring_early": (.3, .99),
    "ring_stays": (.7, .99), "stagger_weekly": (2, 5), "stagger_hours": (1, 2), "lender_share": (.7, .99),
    "sharer_skew": (1.01, 1.01), "rare_daily": (.1, .5), "leak_server_keys": (10, 59), "leak_slow_keys": (10, 49),
    "leak_small_keys": (2, 7), "leak_addresses": (.25, .9), "leak_breadth": (1.2, 4), "leak_accepted": (.1, .4),
    "leak_hours": (2, 40),
}
MIXES = {
    "schedule": {"always": .17, "cron": .13, "day": .12, "session": .40, "signal": .18},
    "cron_hours": {"1": .1, "4": .25, "6": .1, "8": .15, "12": .15, "24": .25},
    "class_alone": {"session": .5, "office": .25, "cron": .15, "always": .1},
    "function": {"cron": .5, "always": .2, "signal": .3}, "platform": {"grid": .5, "own": .35, "signal": .15},
    "lender": {"session": .6, "signal": .3, "always": .1},
    "campaign": {"shifts": .45, "clock": .2, "bursts": .25, "day": .1},
    "accounts": {"2": .6, "3": .26, "4": .09, "5": .05}, "family": {"2": .65, "3": .25, "4": .1},
    "ring_pool_hours": {"1": .25, "6": .25, "24": .25, "72": .25},
    "ring_residential_hours": {"6": .25, "24": .25, "72": .25, "168": .25},
}
HOME_NETS = tuple(f"{first}.{second}" for first, seconds in {
    1: range(208, 256, 3), 14: range(32, 95, 5), 58: range(72, 78), 59: range(0, 31, 4), 112: range(144, 190, 4),
    121: range(128, 190, 4), 175: range(192, 222, 3), 211: range(104, 250, 9), 220: range(64, 126, 5),
}.items() for second in seconds)
CLOUD_NETS = (
    "3.34", "3.35", "3.36", "13.124", "13.125", "13.209", "15.164", "15.165", "43.200", "43.201", "52.78", "52.79",
    "54.180", "54.180", "34.64", "35.216", "20.194", "52.231", "18.176", "35.72", "140.238", "132.145", "152.67",
    "146.56", "43.155",
)
COMPACT_CLOUDS = (
    "158.247", "141.164", "139.162", "172.104", "110.165", "223.130", "101.101", "133.186", "45.32", "5.161", "95.216",
    "207.148",
)
# fmt: on
CARRIERS = {"223.38": 0.45, "39.7": 0.32, "106.101": 0.23}


class Rates:
    """The numbers of one world: each entry of the tables, moved by a factor of its own."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.chances = {name: self._moved(value)[0] for name, value in CHANCES.items()}
        self.amounts = {name: self._moved(*pair) for name, pair in AMOUNTS.items()}
        self.mixes = {name: self.shuffled(mix) for name, mix in MIXES.items()}

    def _moved(self, *values: float) -> tuple[float, ...]:
        """A share moves in its odds, and a rare one most, since rare habits are known least."""
        widest = 1.5 if values[-1] > 1 else 2.5 if values[0] <= 0.2 else 2
        factor = widest ** float(self.rng.uniform(-1, 1))
        return tuple(value * factor / (1 if values[-1] > 1 else 1 - value + value * factor) for value in values)

    def shuffled(self, mix: dict[str, float]) -> dict[str, float]:
        """The same names in proportions of this world, summing to one."""
        moved = {name: value * 1.5 ** float(self.rng.uniform(-1, 1)) for name, value in mix.items()}
        return {name: value / sum(moved.values()) for name, value in moved.items()}

    def chance(self, name: str) -> bool:
        """Whether it happens this time."""
        return bool(self.rng.random() < self.chances[name])

    def amount(self, name: str) -> float:
        """How much it is for this group."""
        return float(self.rng.uniform(self.amounts[name][0], self.amounts[name][1]))

    def number(self, name: str) -> int:
        """How many there are in this group, at least one."""
        low, high = (max(1, round(value)) for value in self.amounts[name])
        return int(self.rng.integers(low, high + 1))

    def pick(self, name: str) -> str:
        """One of the names of a mix."""
        mix = self.mixes[name]
        return str(self.rng.choice(list(mix), p=list(mix.values())))


class Clock:
    """The hours of the world, and who is active in which of them."""

    def __init__(self, rates: Rates, days: int) -> None:
        rng = rates.rng
        self.rng, self.rates, self.days, self.hours = rng, rates, days, days * 24
        self.hour = np.arange(self.hours)
        self.of_day = self.hour % 24
        self.workday: Mask = (self.hour // 24) % 7 < 5
        self.office: Mask = self.workday & (self.of_day >= 9) & (self.of_day < 18)
        self.rhythm: Floats = RHYTHM[self.of_day] * np.where(self.workday, 1, rng.uniform(0.7, 1.05))
        self.volatile = np.zeros(self.hours)
        for _ in range(rates.number("volatile_hours")):
            start = int(rng.integers(0, self.hours))
            self.volatile[start : start + int(rng.integers(1, 5))] = rng.uniform(0.3, 1)

    def some(self, share: float | Floats) -> Mask:
        """Each hour with that probability."""
        return self.rng.random(self.hours) < share

    def interrupted(self, mask: Mask, most: int = 3) -> Mask:
        """The mask less up to `most` breaks of a few hours or a day."""
        for _ in range(int(self.rng.integers(0, most + 1))):
            start = int(self.rng.integers(0, self.hours))
            mask[start : start + int(self.rng.integers(2, 30))] = False
        return mask

    def sessions(self, daily: float, length: float, weights: Floats | None = None) -> Mask:
        """Sessions of about `length` hours, so many a day, when people are awake."""
        mask = np.zeros(self.hours, bool)
        weights = self.rhythm if weights is None else weights
        starts = self.rng.choice(self.hours, int(self.rng.poisson(daily * self.days)), p=weights / weights.sum())
        for start, hours in zip(starts, self.rng.geometric(1 / max(1.0, length), len(starts)), strict=True):
            mask[start : start + hours] = True
        return mask

    def schedule(self, *kinds: str) -> Mask:
        """The hours of one person or bot, of one of these kinds or of the world's mix; volatile hours wake most."""
        rng, rates = self.rng, self.rates
        kind = str(rng.choice(kinds)) if kinds else rates.pick("schedule")
        if kind in ("always", "clock"):
            return self.interrupted(self.some(rng.uniform(0.9, 1)), 3 if kind == "always" else 5)
        if kind in ("shifts", "bursts"):  # an operator's
            daily, length = (rng.uniform(1, 4), rng.uniform(2, 5)) if kind == "shifts" else (rng.uniform(1, 5), 1.3)
            return self.sessions(daily, length, self.rhythm + rng.uniform(0.1, 1))
        if kind == "cron":
            every = int(rates.pick("cron_hours"))
            due: Mask = self.of_day % every == (9 if rates.chance("cron_at_nine") else rng.integers(0, 24)) % every
            return (due & self.some(0.97)) | self.some(0.01)
        if kind == "day":
            awake = (self.of_day - rng.integers(6, 12)) % 24 < rng.integers(8, 16)
            mask = self.interrupted(awake & self.some(rng.uniform(0.6, 1)))
        elif kind == "session":
            shifted = np.roll(self.rhythm, int(rng.normal(0, 1.5)))
            daily = rng.gamma(2, rates.amount("sessions_scale")) + 0.1
            mask = self.sessions(daily, rates.amount("session_hours"), shifted)
        elif kind == "office":
            mask = self.sessions(rng.uniform(0.4, 2), rng.uniform(1.2, 4), self.office + 0.01)
        else:
            mask = self.some(rates.amount("signal_share") * self.rhythm)
        return mask | self.some(self.volatile * rates.amount("volatile_pull"))


class Stacks:
    """Client stacks, `JA4|user agent`: stock ones by popularity, a long tail, and ones of somebody's own."""

    def __init__(self, rates: Rates, days: int) -> None:
        self.rng, self.rates, self.hours = rates.rng, rates, days * 24
        rng = rates.rng
        self.texts: list[str] = []
        for library in LIBRARIES:
            prints = [self._ja4() for _ in range(3)]
            agents = [f"{library}/{rng.integers(1, 4)}.{rng.integers(0, 60)}.{version}" for version in range(4)]
            self.texts += [f"{prints[version % 3]}|{agent}" for version, agent in enumerate(agents)]
        self.ja4s = [text.split("|")[0] for text in self.texts]
        self.stock: list[int] = [int(number) for number in rng.permutation(len(self.texts))]
        weights = 1 / np.arange(1, len(self.stock) + 1) ** rates.amount("stack_popularity")
        self.popularity: Floats = weights / weights.sum()
        self.successor: dict[int, int] = {}
        versions = [f"{rng.integers(0, 9)}.{rng.integers(0, 99)}.{rng.integers(0, 20)}" for _ in range(350)]
        agents = [f"{rng.choice(LIBRARIES)}/{version}" for version in versions]
        self.tail = [self._add(str(rng.choice(self.ja4s)), agent) for agent in agents]

    def _ja4(self) -> str:
        rng = self.rng
        head = f"t13{'i' if rng.random() < 0.1 else 'd'}{rng.integers(10, 60):02d}{rng.integers(8, 17):02d}"
        return f"{head}{rng.choice(['h1', 'h2', '00'])}_{rng.bytes(6).hex()}_{rng.bytes(6).hex()}"

    def _add(self, ja4: str, agent: str) -> int:
        self.texts.append(f"{ja4}|{agent}")
        return len(self.texts) - 1

    def own(self) -> int:
        """A stack that nobody else has."""
        rng = self.rng
        ja4 = self._ja4() if rng.random() < 0.4 else str(rng.choice(self.ja4s))
        name = rng.choice(["bot", "trader", "kimp", "grid", "quant", "my-app", "arb", "auto"])
        return self._add(ja4, f"{name}-{rng.bytes(3).hex()}/{rng.integers(0, 4)}.{rng.integers(0, 20)}")

    def popular(self) -> int:
        """A stock stack."""
        return int(self.rng.choice(self.stock, p=self.popularity))

    def any(self, own: float | None = None) -> int:
        """A stack as people have them; `own` is the share of those of their own, if not the world's."""
        own = self.rates.chances["own_stack"] if own is None else own
        where = self.rng.random()
        if where < own:
            return self.own()
        if where < own + self.rates.chances["rare_stack"]:
            return int(self.rng.choice(self.tail))
        return self.popular()

    def through_time(self, stack: int, upgrade: float | None = None) -> Series:
        """That stack hour by hour, perhaps upgraded on the way."""
        series = np.full(self.hours, stack, np.int32)
        if self.rng.random() < (self.rates.chances["upgrade"] if upgrade is None else upgrade):
            series[int(self.rng.integers(0, self.hours)) :] = self._upgraded(stack)
        return series

    def _upgraded(self, stack: int) -> int:
        stock = stack < len(self.stock)
        if stock and stack in self.successor and self.rng.random() < 0.7:
            return self.successor[stack]
        ja4, agent = self.texts[stack].split("|")
        agent = f"{agent[:-1]}{self.rng.integers(5, 9)}" if stock else f"{agent}.1"
        new = self._add(ja4 if self.rng.random() < 0.6 else self._ja4(), agent)
        if stock:
            self.successor[stack] = new
        return new


class Network:
    """Addresses: homes, mobile carriers, VPNs, clouds large and compact, and blocks of companies."""

    def __init__(self, rates: Rates, days: int) -> None:
        rng = rates.rng
        self.rng, self.rates, self.days, self.hours = rng, rates, days, days * 24
        self.texts: list[str] = []
        self.numbers: dict[str, int] = {}
        self.homes: list[int] = []
        self.compact = [f"{net}.{i}" for net in COMPACT_CLOUDS for i in rng.choice(250, 12, replace=False)]
        self.carriers: list[Series] = []
        for net in CARRIERS:
            blocks = [f"{net}.{i}" for i in rng.choice(250, int(rng.integers(3, 9)), replace=False)]
            self.carriers.append(self.addresses(blocks, int(rng.integers(15, 45))))
        vpns = [
            f"{rng.choice([103, 185, 146, 194, 89])}.{rng.integers(1, 250)}.{rng.integers(1, 250)}" for _ in range(6)
        ]
        self.vpns = [self.addresses([net], int(rng.integers(6, 25))) for net in vpns]

    def _number(self, text: str) -> int:
        if text not in self.numbers:
            self.numbers[text] = len(self.texts)
            self.texts.append(text)
        return self.numbers[text]

    def ipv4(self, nets: Sequence[str]) -> int:
        """An address in one of these networks that nobody has yet, or, where they are full, one that somebody has."""
        for _ in range(200):
            net = nets[int(self.rng.integers(len(nets)))]
            text = ".".join([net, *(str(part) for part in self.rng.integers(1, 255, 3 - net.count(".")))])
            if text not in self.numbers:
                break
        return self._number(text)

    def ipv6(self, net: str, groups: int) -> int:
        """An address in that network, whose last `groups` groups are drawn."""
        return self._number(":".join([net, *(f"{part:x}" for part in self.rng.integers(1, 65536, groups))]))

    def addresses(self, nets: Sequence[str], count: int) -> Series:
        """So many addresses in these networks."""
        return np.array([self.ipv4(nets) for _ in range(count)], np.int32)

    def block(self, count: int) -> Series:
        """So many addresses in one block of a company's or a campus's own."""
        net = f"{self.rng.choice([61, 210, 203, 118])}.{self.rng.integers(30, 110)}.{self.rng.integers(0, 255)}"
        return self.addresses([net], count)

    def cloud(self) -> int:
        """A rented address."""
        if self.rates.chance("server_ipv6"):
            return self.ipv6(f"2406:da12:{self.rng.integers(0x1000, 0xFFFF):x}", 5)
        return self.ipv4(CLOUD_NETS if self.rates.chance("big_cloud") else self.compact)

    def clouds(self, count: int) -> Series:
        """So many rented addresses."""
        return np.array([self.cloud() for _ in range(count)], np.int32)

    def fixed(self, address: int) -> Series:
        """That address at all hours."""
        return np.full(self.hours, address, np.int32)

    def server(self) -> Series:
        """A server of one's own, perhaps exchanged for another once."""
        series = self.fixed(self.cloud())
        if self.rates.chance("server_moves"):
            series[int(self.rng.integers(0, self.hours)) :] = self.cloud()
        return series

    def home(self) -> Series:
        """A line at home: IPv4, or IPv6 with a privacy address each day."""
        if self.rates.chance("home_ipv6"):
            net = f"2001:{self.rng.choice(['2d8', 'e60'])}:{self.rng.integers(0x1000, 0xE000):x}"
            return self._daily(f"{net}:{self.rng.integers(0x1000, 0xFFFF):x}", 4)
        self.homes.append(self.ipv4(HOME_NETS))
        series = self.fixed(self.homes[-1])
        if self.rates.chance("home_moves"):
            series[int(self.rng.integers(0, self.hours)) :] = self.ipv4(HOME_NETS)
        return series

    def _daily(self, net: str, groups: int) -> Series:
        return np.repeat(np.array([self.ipv6(net, groups) for _ in range(self.days)], np.int32), 24)

    def mobile(self) -> Series:
        """A phone: behind a carrier's translation, or in an IPv6 network anew each day."""
        if self.rates.chance("mobile_ipv6"):
            return self._daily(f"2001:2d8:{self.rng.integers(0xE000, 0xFFFF):x}", 5)
        pool = self.carriers[int(self.rng.choice(3, p=list(CARRIERS.values())))]
        return self.rotating(pool, self.rates.amount("mobile_hours"))

    def rotating(self, pool: Series, hours: float) -> Series:
        """An address of the pool, drawn anew every so many hours."""
        turns = np.cumsum(self.rng.random(self.hours) < 1 / max(1.0, hours))
        return pool[self.rng.integers(0, len(pool), int(turns[-1]) + 1)][turns]


@dataclass
class Key:
    """One issued key: whose it is, what is true of it, from which hour it is used, and its allow-list, if any."""

    exchange: int
    text: str
    account: str
    holder: str | None
    pattern: str
    guilty: bool
    role: str
    ring: str | None
    start: int
    has_list: bool
    listed: set[int] = field(default_factory=set)


class World:
    """The keys of one world and all that is seen of them."""

    def __init__(self, seed: int, days: int, holders: bool) -> None:
        self.rng = rng = np.random.default_rng([seed, 77])
        self.rates = rates = Rates(rng)
        self.chance, self.amount, self.number = rates.chance, rates.amount, rates.number
        self.clock, self.stacks, self.net = Clock(rates, days), Stacks(rates, days), Network(rates, days)
        shares = np.array(MARKET_SHARES) * np.exp(rng.normal(0, 0.2, len(EXCHANGES)))
        self.market_shares: Floats = shares / shares.sum()
        self.without_holder = rng.uniform(0.1, 0.6, len(EXCHANGES)) if holders else np.ones(len(EXCHANGES))
        self.lines_without_holder = float(rng.uniform(0, 0.06))
        self.lists_required = rng.uniform([0.99, 0.4, 0.2, 0.2, 0.1], [1, 1, 0.9, 0.9, 0.8])
        self.keys: list[Key] = []
        self.seen: list[tuple[int, int, int, float, Series, Series, Hours]] = []
        self.declared: list[dict[str, Any]] = []
        self.made: Counter[str] = Counter()
        self.people = 0
        self.room = 0

    def crowd(self, name: str) -> int:
        """The size of a crowd, no larger than what its pattern has room for."""
        return min(self.number(name), max(12, self.room))

    def person(self, accounts: int, pattern: str, ring: str | None = None, role: str = "", at: int = -1) -> list[int]:
        """A person with so many accounts, now and then a second key; guilty in a ring, unless with a role."""
        rng, first = self.rng, len(self.keys)
        self.people += 1
        holder = f"H{self.people:06d}{rng.bytes(4).hex()}"
        exchanges = rng.choice(len(EXCHANGES), min(accounts, 5), replace=False, p=self.market_shares).tolist()
        second = SECOND_KEYS.get(pattern.split("_")[0], self.rates.chances["second_key"])
        for exchange in exchanges if at < 0 else [at]:
            known = holder if rng.random() >= self.without_holder[exchange] else None
            account = f"{EXCHANGES[exchange][:2]}-{self.people}{rng.integers(1000, 9999)}"
            for _ in range(2 if rng.random() < second else 1):
                late = int(rng.uniform(0, 0.8) * self.clock.hours) if self.chance("starts_late") else 0
                listing = bool(rng.random() < self.lists_required[exchange])
                guilty = ring is not None and not role
                text = rng.bytes(16).hex()
                self.keys.append(Key(exchange, text, account, known, pattern, guilty, role, ring, late, listing))
                self.made["guilty" if guilty else "own" if role else pattern] += 1
        return list(range(first, len(self.keys)))

    def somebody(self, pattern: str) -> list[int]:
        """A person with an account or, less often, two."""
        return self.person(2 if self.chance("two_accounts") else 1, pattern)

    def emit(self, key: int, places: Any, stacks: Any, hours: Hours, kind: int, mean: float, at: int = -1) -> None:
        """Let an exchange (the issuer, if no other) see the key in those hours."""
        if len(hours):
            wide = [np.broadcast_to(np.asarray(values, np.int32), hours.shape) for values in (places, stacks)]
            self.seen.append((key, kind, self.keys[key].exchange if at < 0 else at, mean, wide[0], wide[1], hours))

    def use(self, key: int, places: Series, stacks: Series, mask: Mask, noise: bool = True, lists: bool = True) -> None:
        """Use the key in the hours of the mask, with the mishaps of everyday and with the allow-list kept by hand."""
        hours = np.flatnonzero(mask)
        hours = hours[hours >= self.keys[key].start]
        mean = float(np.exp(self.rng.normal(3, 1.2)))
        if noise and len(hours):
            hours = self._mishaps(key, places, stacks, hours, mean)
        if lists and self.keys[key].has_list and len(hours):
            hours = self._kept_list(key, places, stacks, hours, mean)
        self.emit(key, places[hours], stacks[hours], hours, USE, mean)

    def _mishaps(self, key: int, places: Series, stacks: Series, hours: Hours, mean: float) -> Hours:
        rng = self.rng
        if self.chance("expired"):
            end = rng.choice(hours)
            late = hours[(hours >= end) & (hours < end + rng.integers(2, 150))]
            self.emit(key, places[late], stacks[late], late, FAIL, mean)
            hours = hours[hours < end]
        if self.chance("clock_error"):
            off = hours[rng.random(len(hours)) < rng.uniform(0.005, 0.1)]
            self.emit(key, places[off], stacks[off], off, FAIL, 3)
        if len(hours) and self.chance("wrong_exchange"):
            other = int(rng.choice([i for i in range(len(EXCHANGES)) if i != self.keys[key].exchange]))
            when = rng.choice(hours, min(len(hours), int(rng.integers(1, 4))), replace=False)
            if self.chance("wrong_by_stranger"):
                places, stacks = self.net.home(), self.stacks.through_time(self.stacks.any())
            self.emit(key, places[when], stacks[when], when, FAIL, 2, at=other)
        return hours

    def _kept_list(self, key: int, places: Series, stacks: Series, hours: Hours, mean: float) -> Hours:
        used = places[hours]
        firsts = np.sort(np.unique(used, return_index=True)[1])
        if len(firsts) > 16:  # too many to name: a key without list
            return hours
        refused = np.zeros(len(hours), bool)
        for first in [int(first) for first in firsts if int(used[first]) not in self.keys[key].listed]:
            hour = int(hours[first])
            named = hour - 1 if first else max(self.keys[key].start, hour - int(self.rng.integers(0, 24)))
            if first and self.chance("lists_late"):
                named = min(self.clock.hours - 1, hour + int(self.rng.integers(1, 8)))
                late = (used == used[first]) & (hours >= hour) & (hours < named)
                self.emit(key, used[late], stacks[hours[late]], hours[late], FAIL, max(2.0, mean / 4))
                refused |= late
            self.list_addresses(key, [int(used[first])], named)
        return hours[~refused]

    def list_addresses(self, key: int, addresses: Sequence[int] | Series, hour: int = 0) -> None:
        """Name the addresses on the key's allow-list, if it has one, each once."""
        issued = self.keys[key]
        for address in {int(address): None for address in addresses if issued.has_list}:
            if address not in issued.listed:
                issued.listed.add(address)
                self.emit(key, address, -1, np.array([hour]), ALLOW, 1)

    def run(self, keys: list[int], places: Series, stack: int, mask: Mask, *, loose: bool = True) -> None:
        """One person's keys on one machine, by one bot; where `loose`, some by another or at other hours."""
        series = self.stacks.through_time(stack)
        for key in keys:
            mine = self.clock.schedule() if loose and self.chance("other_schedule") else mask
            other = loose and self.chance("other_stack")
            stacks = self.stacks.through_time(self.stacks.any()) if other else series
            self.use(key, places, stacks, mine & self.clock.some(self.rng.uniform(0.8, 1) if loose else 0.94))

    def run_at_home(self, keys: list[int]) -> None:
        """Use the keys in sessions at home, beside whatever else is done with them."""
        for key in keys:
            stacks = self.stacks.through_time(self.stacks.any())
            self.use(key, self.net.home(), stacks, self.clock.schedule("session"), noise=False)


def ordinary(w: World, name: str, accounts: int = 1, ring: str | None = None) -> list[int]:
    """A person with a bot at home or on a rented server; guilty of nothing unless the keys are in a ring."""
    keys = w.person(int(w.rates.pick("accounts")) if name == "multi_exchange" else accounts, name, ring)
    w.run(keys, w.net.server() if w.chance("rents_server") else w.net.home(), w.stacks.any(), w.clock.schedule())
    return keys


def phone(w: World, name: str) -> None:
    """Somebody who trades on a phone."""
    w.run(w.somebody(name), w.net.mobile(), w.stacks.any(0.1), w.clock.schedule("session"), loose=False)


def roamer(w: World, name: str) -> None:
    """Somebody between home, office, phone and VPN."""
    places, stacks = w.net.home(), w.stacks.through_time(w.stacks.any())
    if w.chance("goes_to_office"):
        places[w.clock.office] = w.net.ipv4(HOME_NETS)
    phone = w.clock.some(w.amount("roaming"))
    places[phone] = w.net.mobile()[phone]
    if w.chance("uses_vpn"):
        away = w.clock.some(0.7 * w.amount("roaming"))
        places[away] = w.net.rotating(w.net.vpns[int(w.rng.integers(6))], 6)[away]
    for chance, where in (("phone_stack", phone), ("office_stack", w.clock.office)):
        if w.chance(chance):
            stacks[where] = w.stacks.any()
    for key in w.somebody(name):
        w.use(key, places, stacks, w.clock.schedule("session", "signal", "day"))


def workplace(w: World, name: str, egress: Series | None = None, size: str = "") -> None:
    """People behind the egress of a company or campus, some with its image; most trade elsewhere after hours."""
    kinds = ("office", "office", "always", "session") if name == "company" else ("session", "session", "always")
    egress = w.net.block(w.number(f"{name}_egress")) if egress is None else egress
    same, image = w.amount(f"{name}_same"), w.stacks.any()
    for _ in range(w.crowd(size or f"{name}_size")):
        places, mask = w.net.rotating(egress, 24), w.clock.schedule(*kinds)
        if w.chance("trades_elsewhere"):
            places, mask = np.where(w.clock.office, places, w.net.home()), w.clock.schedule("session")
            mask |= w.clock.schedule("office") & (w.rng.random() < 0.5)
        stack = image if w.rng.random() < same else w.stacks.any()
        w.run(w.somebody(name), places, stack, mask, loose=False)


def course(w: World, name: str) -> None:
    """A class with one image and common hours, in one room or, seldom, each at home; or a course of one day."""
    clock, rng, image, egress = w.clock, w.rng, w.stacks.any(0.4), w.net.block(1)
    if w.chance("class_on_campus"):
        workplace(w, "campus", egress, "class_campus")
    begins, length = int(rng.choice([10, 13, 14, 19, 19, 20])), int(rng.integers(2, 4))
    days = rng.choice(7, int(rng.integers(1, 4)), replace=False)
    if w.chance("class_one_day"):
        begins, length, days = 9, 8, days[:1]
    lesson = np.isin(clock.hour // 24 % 7, days) & (clock.of_day >= begins) & (clock.of_day < begins + length)
    same, attendance, at_home = w.amount("class_same"), w.amount("class_attendance"), w.amount("class_at_home")
    exchange = int(rng.choice(len(EXCHANGES), p=w.market_shares)) if w.chance("class_one_exchange") else -1
    remote = w.chance("class_remote")
    for _ in range(w.crowd("class_size")):
        mask, home = lesson & clock.some(attendance), w.net.home()
        places = home if remote else w.net.fixed(int(egress[0]))
        if rng.random() < at_home:
            alone = clock.schedule("session") & ~lesson
            places, mask = np.where(alone, home, places), mask | alone
        elif rng.random() < 0.75:
            mask |= clock.schedule(w.rates.pick("class_alone"))
        stack = image if rng.random() < same else w.stacks.any()
        w.run(w.person(1, name, at=exchange), places, stack, mask, loose=False)


def team(w: World, name: str) -> None:
    """A desk with one image, at times in step, on one address or, seldom, on a server each."""
    clock, image, apart = w.clock, w.stacks.any(0.3), w.chance("team_servers_apart")
    shared = w.net.server() if w.chance("team_server") else w.net.fixed(int(w.net.block(1)[0]))
    common = clock.schedule("office") | clock.schedule("signal")
    step = w.amount("team_tight_step" if w.chance("team_tight") else "team_step")
    evening = (clock.of_day >= 19) | (clock.of_day < 1) | ~clock.workday
    for _ in range(w.crowd("team_size")):
        mask = np.where(clock.some(step), common, clock.schedule("always", "office", "session", "cron", "day"))
        places = w.net.server() if apart else shared
        if w.chance("team_trades_at_home"):
            places = np.where(evening, w.net.home(), places)
        stack = w.stacks.any() if w.chance("team_own_stack") else image
        w.run(w.somebody(name), places, stack, mask, loose=False)


def platform(w: World, name: str) -> None:
    """A bot service: its customers run on its servers with its stack, each at will or after its signals."""
    rng, clock, declared = w.rng, w.clock, "declared" in name
    own = w.chance("declared_own_stack" if declared else "undeclared_own_stack")
    stack = w.stacks.own() if own else w.stacks.any(0)
    versions = [w.stacks.through_time(stack, 0.35)]
    if w.chance("platform_two_versions"):
        versions.append(w.stacks.through_time(stack, 1))
    pool = w.net.clouds(w.number(f"{name}_addresses"))
    rotates, lists_pool = w.chance(f"{name}_rotates"), w.chance("lists_whole_platform")
    moved = int(rng.uniform(0.2, 0.8) * clock.hours) if w.chance("platform_moves") else clock.hours
    new_pool = pool if moved == clock.hours else w.net.clouds(len(pool))
    base, grip, style = rng.uniform(0.05, 0.25), w.amount("signal_grip"), w.rates.pick("platform")
    signals = [clock.some(base * clock.rhythm + clock.volatile * 0.5) for _ in range(w.number("platform_signals"))]
    up = clock.interrupted(np.ones(clock.hours, bool), 2)
    if declared:
        title = f"{rng.choice(['Coin', 'Bit', 'Auto', 'Quant'])}{rng.bytes(2).hex()}"
        addresses = [w.net.texts[address] for address in dict.fromkeys([*pool.tolist(), *new_pool.tolist()])]
        w.declared.append({"name": title, "ips": addresses, "device": w.stacks.texts[stack]})
    for _ in range(w.crowd(f"{name}_customers")):
        mask = clock.schedule(*["always"] * (style == "grid" and w.chance("grid_always")))
        if style == "signal":
            mine = np.any([signals[i] for i in rng.choice(len(signals), int(rng.integers(1, 4)))], axis=0)
            mask = (mine & clock.some(grip)) | (mask & clock.some(0.4))
        seat = int(rng.integers(len(pool)))
        places = w.net.rotating(pool, w.amount("rotation_hours")) if rotates else w.net.fixed(int(pool[seat]))
        places[moved:] = new_pool[seat]
        versioned = versions[int(rng.integers(len(versions)))]
        for key in w.person(2 if w.chance("two_accounts") else 1, name):
            if lists_pool or rotates:
                w.list_addresses(key, pool, w.keys[key].start)
                w.list_addresses(key, new_pool, max(moved - 1, w.keys[key].start))
            w.use(key, places, versioned, mask & up & clock.some(0.96), lists=not rotates)
            if w.chance("customer_trades_too"):
                w.run_at_home([key])
        if w.chance("customer_other_key"):
            w.run_at_home(w.person(1, name))


def power_user(w: World, name: str) -> None:
    """One person with several keys, machines and client stacks at once."""
    places = [*(w.net.server() for _ in range(w.number("power_places"))), w.net.home()]
    stacks = [w.stacks.through_time(w.stacks.any(0.4)) for _ in range(w.number("power_stacks"))]
    bots = [(places[int(w.rng.integers(len(places)))], stack) for stack in stacks]
    for key in w.person(w.number("power_keys"), name):
        taken = w.rng.choice(len(bots), min(len(bots), int(w.rng.integers(1, 6))), replace=False)
        for bot in taken:
            w.use(key, bots[bot][0], bots[bot][1], w.clock.schedule(), noise=bot == taken[0])


def shared_egress(w: World, name: str) -> None:
    """Strangers on one hosted address, or behind a gateway, each on one of its addresses or on all by turns."""
    pool = w.net.clouds(1 if name == "shared_hosting" else w.number("gateway_addresses"))
    for _ in range(w.crowd(f"{name}_size")):
        places = w.net.fixed(int(w.rng.choice(pool))) if w.chance("gateway_pinned") else w.net.rotating(pool, 5)
        w.run(w.somebody(name), places, w.stacks.any(), w.clock.schedule())


def functions(w: World, name: str) -> None:
    """Strangers' functions as a service: stock runtimes, an address of the provider's anew almost each time."""
    nets = [f"{net}.{w.rng.integers(250)}" for net in ("54.180", "3.38", "34.64")]
    pool, runtimes = w.net.addresses(nets, w.number("function_pool")), [w.stacks.popular() for _ in range(8)]
    for _ in range(w.crowd("function_size")):
        stack = int(w.rng.choice(runtimes)) if w.chance("function_stock_runtime") else w.stacks.any()
        places = w.net.rotating(pool, 200 if w.chance("function_pinned") else 2)
        w.run(w.somebody(name), places, stack, w.clock.schedule(w.rates.pick("function")), loose=False)


def household(w: World, name: str) -> None:
    """A family on one line: a computer each, or one together, seldom one bot for all or a rented server."""
    together = name == "household_together"
    line = w.net.server() if together and w.chance("household_server") else w.net.home()
    stack, bot, in_step = w.stacks.any(), w.clock.schedule(), w.chance("household_lockstep")
    for _ in range(int(w.rates.pick("family"))):
        away = w.clock.some(0.2 * w.chance("household_phone"))
        places = np.where(away, w.net.mobile(), line)
        mask = bot & w.clock.some(w.amount("household_grip")) if together and in_step else w.clock.schedule()
        w.run(w.somebody(name), places, stack if together else w.stacks.any(), mask, loose=not together)


def renumbered(w: World, name: str) -> None:
    """Lines of one provider whose addresses change hands each day or week; or IPv6 lines that get networks anew."""
    span = 24 if name == "renumber_daily" else 168
    people = w.crowd("renumber_size")
    nets = [f"{w.rng.choice(['14.52', '121.150', '59.12'])}.{w.rng.integers(250)}" for _ in range(w.rng.integers(1, 4))]
    size = min(int(people * w.amount("renumber_pool")), 200)
    pool = w.net.addresses(nets, size)
    if w.chance("renumber_ipv6"):
        net = f"2001:e60:{w.rng.integers(0xE000, 0xFFFF):x}"
        pool = np.array([w.net.ipv6(net, 5) for _ in range(size)], np.int32)
    for _ in range(people):
        turns = (w.clock.hour + int(w.rng.integers(0, span))) // span
        places = pool[w.rng.integers(0, len(pool), int(turns[-1]) + 1)][turns]
        w.run(w.somebody(name), places, w.stacks.any(), w.clock.schedule())


def popular_stack(w: World, name: str) -> None:
    """Neighbours in one network of a provider with the commonest stacks, often at nine o'clock; seldom all in step."""
    nets, stock = [str(w.rng.choice(w.net.compact))], w.stacks.stock[:4]
    nine, in_step = w.clock.of_day == 9, w.chance("neighbours_in_step")
    for _ in range(w.crowd("neighbours")):
        stack = int(w.rng.choice(stock, p=[0.5, 0.25, 0.15, 0.1]))
        mask = nine & w.clock.some(0.97) if in_step else w.clock.schedule("cron", "always", "session")
        w.run(w.somebody(name), w.net.fixed(w.net.ipv4(nets)), stack, mask)


@dataclass
class Ring:
    """One operator: the keys' group, its addresses and stack, when it drives them and how alike."""

    name: str
    pattern: str
    pool: Series
    place: Series
    stacks: Series
    campaign: Mask
    habits: dict[str, float]


def found_ring(w: World, pattern: str, size: int) -> Ring:
    """An operator with a server, a pool of servers or residential exits."""
    stacks = w.stacks.through_time(w.stacks.own() if w.chance("ring_own_stack") else w.stacks.any(0), 0.2)
    host = w.net.cloud() if w.chance("ring_in_cloud") else w.net.ipv4(HOME_NETS)
    pool, place = np.array([host], np.int32), w.net.fixed(host)
    if pattern == "ring_pool":
        pool = w.net.clouds(w.number("ring_addresses"))
    elif pattern == "ring_residential":
        pool = w.net.addresses(HOME_NETS, max(3, int(size * w.amount("ring_exits"))))
        real = w.rng.random(len(pool)) < w.rates.chances["ring_real_home"] * bool(w.net.homes)
        pool[real] = w.rng.choice(w.net.homes or [0], int(real.sum()))
    elif pattern in ("ring_plain", "ring_stacks") and w.chance("ring_moves"):
        pool = np.array([host, w.net.cloud()], np.int32)
        place[int(w.rng.uniform(0.2, 0.8) * w.clock.hours) :] = pool[1]
    habits: dict[str, float] = {name: w.chance(f"ring_{name}") for name in ("pinned", "two_shifts", "weekly_slot")}
    habits |= {name: w.amount(f"ring_{name}") for name in ("cohesion", "early", "stays")}
    campaign = w.clock.schedule(w.rates.pick("campaign"))
    return Ring(f"{pattern}-{w.people}", pattern, pool, place, stacks, campaign, habits)


def driven_hours(w: World, ring: Ring, join: int, leave: int) -> Mask:
    """When the operator drives one key: with the others, in its own shift, or a few hours a week."""
    rng, clock = w.rng, w.clock
    live = (clock.hour >= join) & (clock.hour < leave)
    if ring.pattern != "ring_staggered":
        part = min(0.99, ring.habits["cohesion"] * rng.uniform(0.85, 1.1))
        on_duty = (clock.of_day >= 12) == (rng.random() < 0.5) if ring.habits["two_shifts"] else live
        return live & ((ring.campaign & on_duty & clock.some(part)) | clock.some(0.01))
    mask = np.zeros(clock.hours, bool)
    weekly = w.amount("stagger_weekly")
    span = 168 if ring.habits["weekly_slot"] else clock.hours
    for start in rng.integers(0, span, int(rng.poisson(weekly * span / 168))):
        for first in range(int(start), clock.hours, span):
            mask[first : first + w.number("stagger_hours")] = True
    mask &= live
    if not mask.any():
        mask[min(clock.hours - 1, join + int(rng.integers(1, 40)))] = True
    return mask


def lend(w: World, ring: Ring) -> None:
    """One holder's keys handed to the operator, from the start or later, for good or for a while."""
    rng, clock, hours = w.rng, w.clock, w.clock.hours
    accounts = 1 if w.chance("lender_one_key") else int(rng.integers(2, 4))
    join = 0 if rng.random() < ring.habits["early"] else int(rng.uniform(0, 0.75) * hours)
    leave = hours if rng.random() < ring.habits["stays"] else int(rng.uniform(join + 48, hours + 48))
    stacks = ring.stacks
    if ring.pattern == "ring_stacks":
        stacks = w.stacks.through_time(w.stacks.any(0.2), float(w.chance("ring_changes_stacks")))
    home = w.net.server() if w.chance("lender_server") else w.net.home()
    own_stacks, own_hours = w.stacks.through_time(w.stacks.any()), clock.schedule(w.rates.pick("lender"))
    goes_on = ring.pattern == "ring_holder_uses" or w.chance("lender_goes_on_anyway")
    for key in w.person(accounts, ring.pattern, ring.name):
        before = join > 24 and w.chance("lender_before")
        w.keys[key].start = 0 if before or goes_on else join
        if ring.pattern != "ring_residential" or len(ring.pool) < 10:
            w.list_addresses(key, ring.pool, max(0, join - 1))
        place = ring.place
        if ring.pattern in ("ring_pool", "ring_residential"):
            turn = 1e9 if ring.habits["pinned"] else float(w.rates.pick(f"{ring.pattern}_hours"))
            place = w.net.rotating(ring.pool, turn)
        w.use(key, place, stacks, driven_hours(w, ring, join, leave), lists=False)
        if goes_on:
            w.use(key, home, own_stacks, own_hours & clock.some(w.amount("lender_share")), noise=False)
        elif before:
            w.use(key, home, own_stacks, own_hours & (clock.hour < join), noise=False)
    if w.chance("lender_own_key"):
        w.use(w.person(1, "ring_holder_own")[0], home, own_stacks, clock.schedule())


def ring(w: World, pattern: str, most: int) -> None:
    """One operator who drives the keys of three or more holders, now and then beside keys of its own."""
    median, spread = w.amount("ring_median"), w.amount("ring_spread")
    size = min(int(np.clip(round(median * np.exp(w.rng.normal(0, spread))), 3, 60)), max(3, most))
    ring, end = found_ring(w, pattern, size), w.made["guilty"] + size
    while w.made["guilty"] < end:
        lend(w, ring)
    if w.chance("operator_own"):
        for key in w.person(int(w.rng.integers(1, 4)), pattern, ring.name, "operator-own"):
            w.list_addresses(key, ring.pool)
            place = w.net.rotating(ring.pool, 24) if pattern == "ring_pool" else ring.place
            w.use(key, place, ring.stacks, ring.campaign | w.clock.schedule(), lists=False)


def share(w: World, pattern: str, most: int) -> None:
    """One key used by many, each with a stack of one's own or with a common app, at once or by turns."""
    rng, clock = w.rng, w.clock
    low, high = {"share_3_12": (3, 12), "share_8_60": (8, 60), "share_rare": (3, 6)}[pattern]
    parties = low + int((high - low + 0.99) * rng.random() ** w.amount("sharer_skew"))
    key = w.person(1, pattern, f"{pattern}-{w.people}")[0]
    w.keys[key].start = 0
    app, in_turns = w.stacks.any() if w.chance("share_one_app") else None, w.chance("share_in_turns")
    for party in range(parties):
        places = (w.net.server, w.net.home, w.net.mobile)[int(rng.choice(3, p=[0.5, 0.35, 0.15]))]()
        stacks = w.stacks.through_time(w.stacks.any() if app is None or not w.chance("share_app_kept") else app)
        rare = pattern == "share_rare" and party
        mask = clock.sessions(w.amount("rare_daily"), 1.7) if rare else clock.schedule()
        if in_turns:
            mask &= clock.hour * parties // clock.hours == party
        elif party and not w.chance("share_from_start"):
            mask &= clock.hour >= int(rng.uniform(0, 0.8) * clock.hours)
        w.use(key, places, stacks, mask, noise=not party)
        if party and w.chance("sharer_own_key"):
            w.use(w.person(1, "share_party_own")[0], places, stacks, clock.schedule())


def leak(w: World, pattern: str, most: int) -> None:
    """A leaked dump that a prober tries, mostly also at exchanges that never issued the keys; seldom sold on."""
    rng, hours, slow = w.rng, w.clock.hours, pattern == "leak_slow"
    size = min(most, w.number(f"{pattern}_keys"))
    begins = rng.uniform(0, 0.15) * hours if slow else rng.uniform(0.1, 0.85) * hours
    span = rng.uniform(0.4, 0.9) * hours if slow else w.amount("leak_hours")
    accepted, end, group = w.amount("leak_accepted"), w.made["guilty"] + size, f"{pattern}-{w.people}"
    probers = [prober(w, slow, size) for _ in range(1 + w.chance("leak_sold_on"))]
    while w.made["guilty"] < end:
        for key in ordinary(w, pattern, 1 if rng.random() < 0.7 else 2, group):
            for number, (addresses, stacks) in enumerate(probers):
                hour = min(hours - 1, int(begins + (number + rng.random()) * span))
                try_key(w, key, int(rng.choice(addresses)), int(rng.choice(stacks)), hour, accepted)


def prober(w: World, slow: bool, size: int) -> tuple[list[int], list[int]]:
    """The addresses and the stacks of a prober: one server, or for a slow one many addresses."""
    stacks = [w.stacks.own() if w.chance("leak_own_stack") else w.stacks.any(0)]
    if not slow:
        return [w.net.cloud()], stacks
    if not w.chance("leak_one_stack"):
        stacks = [w.stacks.any() for _ in range(6)]
    count = max(3, int(size * w.amount("leak_addresses")))
    return [w.net.ipv4(HOME_NETS) if w.chance("leak_from_home") else w.net.cloud() for _ in range(count)], stacks


def try_key(w: World, key: int, address: int, stack: int, hour: int, accepted: float) -> None:
    """Try the key elsewhere first, most times, and then where it was issued."""
    rng, issued = w.rng, w.keys[key]
    if w.chance("leak_elsewhere"):
        others = [i for i in range(len(EXCHANGES)) if i != issued.exchange]
        for other in rng.choice(others, min(4, w.number("leak_breadth")), replace=False):
            w.emit(key, address, stack, np.array([hour]), FAIL, 1.5, at=int(other))
    if rng.random() < (w.rates.chances["leak_accepted_listed"] if issued.has_list else accepted):
        held = np.arange(hour, min(w.clock.hours, hour + int(rng.integers(1, 30))))
        w.emit(key, address, stack, held[rng.random(len(held)) < 0.6], USE, 15)
    else:
        tries = np.minimum(w.clock.hours - 1, hour + rng.integers(0, 20, int(rng.integers(1, 4))))
        w.emit(key, address, stack, np.unique(tries), FAIL, 2)


# share of the innocent keys, by how much groups may miss it, and who makes one; single people fill what remains
# fmt: off
INNOCENT: dict[str, tuple[float, int, Pattern]] = {
    "multi_exchange": (.19, 2, ordinary), "roamer": (.075, 2, roamer), "carrier_nat": (.05, 2, phone),
    "company": (.04, 12, workplace), "class": (.0045, 8, course), "campus": (.025, 50, workplace),
    "team": (.003, 4, team), "platform_declared_large": (.055, 90, platform),
    "platform_declared_small": (.01, 16, platform), "platform_large": (.026, 60, platform),
    "platform_small": (.0105, 16, platform), "power_user": (.012, 3, power_user),
    "shared_hosting": (.022, 16, shared_egress), "nat_gateway": (.022, 24, shared_egress),
    "faas": (.02, 40, functions), "household_each": (.03, 2, household), "household_together": (.004, 2, household),
    "renumber_daily": (.02, 40, renumbered), "renumber_weekly": (.02, 40, renumbered),
    "popular_stack": (.03, 8, popular_stack),
}
# fmt: on


def populate(w: World, total: int, innocent: float) -> None:
    """Make the people of the world: the look-alikes, then the guilty, then single people up to the total."""
    guilty = round((1 - innocent) * total)
    shares = w.rates.shuffled({name: entry[0] for name, entry in INNOCENT.items()} | {"single": 0.335})
    for name, (_, slack, make) in INNOCENT.items():
        wanted = shares[name] * (total - 1.16 * guilty)
        while w.made[name] < wanted - slack:
            w.room = int(wanted - w.made[name]) + slack
            make(w, name)
    due = 0.0
    for name, part in w.rates.shuffled(GUILTY_SHARES).items():
        due += part * guilty
        make_guilty = {"ring": ring, "leak": leak, "shar": share}[name[:4]]
        while w.made["guilty"] < due - (0.5 if make_guilty is share else 3):
            make_guilty(w, name, int(due - w.made["guilty"]) + 4)
    while len(w.keys) < total:
        ordinary(w, "single")


def sightings(w: World) -> Iterator[dict[str, Any]]:
    """All that was seen but in outages, a line for each hour of a key, address and stack, in order of time."""
    rng, hours = w.rng, w.clock.hours
    lengths = [len(entry[6]) for entry in w.seen]
    keys, kinds, at = (np.repeat([entry[i] for entry in w.seen], lengths) for i in range(3))
    means = np.repeat([entry[3] for entry in w.seen], lengths)
    places, stacks, when = (np.concatenate([entry[i] for entry in w.seen]) for i in (4, 5, 6))
    order = np.lexsort((at, kinds, when, stacks, places, keys))
    rows = np.stack([keys, places, stacks, when, kinds, at])[:, order]
    kept = np.append(True, (rows[:, 1:] != rows[:, :-1]).any(axis=0))
    down = np.zeros((len(EXCHANGES), hours), bool)
    for outages in down:
        for start in rng.integers(0, hours, int(rng.integers(1, 4))):
            outages[start : start + int(rng.integers(1, 5))] = True
    kept &= ~(down[rows[5], rows[3]] & (rng.random(len(order)) < 0.9) & (rows[4] != ALLOW))
    rows, means = rows[:, kept], means[order][kept]
    seconds = MONDAY + rows[3] * 3600 + rng.integers(0, 3600, rows.shape[1])
    counts = np.maximum(1, np.round(means * np.exp(rng.normal(0, 0.6, len(means))))).astype(np.int64)
    counts[rows[4] == ALLOW] = 1
    rows[2, (rows[4] == ALLOW) | (rng.random(len(means)) < w.rates.chances["lacks_device"])] = -1
    anonymous = rng.random(len(means)) < w.lines_without_holder
    order = np.argsort(seconds, kind="stable")
    for first in range(0, len(order), 100_000):
        part = order[first : first + 100_000]
        columns = [column.tolist() for column in (seconds[part], counts[part], anonymous[part], *rows[:, part])]
        for second, count, nameless, number, place, stack, _, kind, exchange in zip(*columns, strict=True):
            key = w.keys[number]
            issuer = key.exchange == exchange
            named = (key.text, key.account if issuer else None, key.holder if issuer and not nameless else None)
            device = w.stacks.texts[stack] if stack >= 0 else None
            values = (second, EXCHANGES[exchange], *named, w.net.texts[place], device, count, KINDS[kind])
            yield dict(zip(SIGHTING, values, strict=True))


def market(
    seed: int, keys: int = 20_000, days: int = 14, *, innocent: float = 0.978, holders: bool = True
) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """One world: what the exchanges see, in order of time; what is true of each key; and the declared bot platforms."""
    world = World(seed, days, holders)
    populate(world, keys, innocent)
    truth: list[dict[str, Any]] = []
    for key in world.keys:
        facts = {"guilty": key.guilty, "pattern": key.pattern, "role": key.role, "ring": key.ring}
        truth.append({"exchange": EXCHANGES[key.exchange], "key": key.text, **facts})
    return sightings(world), truth, world.declared
