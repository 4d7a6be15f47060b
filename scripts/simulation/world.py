"""A world being populated: people, accounts, keys and their labels, and the one way in which a key is used.

Patterns (``innocent_*``, ``guilty_*``) call ``World.person``, ``World.issue`` and ``World.run``; what befalls
everybody (outages, expiry, mistakes, allow-lists) is added afterwards by ``afterwards``.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .addresses import AddressBook
from .clock import Clock, Mask
from .places import Place, Places
from .spec import EXCHANGES, Rates, WorldSpec
from .stacks import Catalogue
from .traffic import USE, Traffic

Client = NDArray[np.int32]
LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", dtype=np.uint8)
URL_SAFE = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", dtype=np.uint8)


@dataclass(slots=True)
class Person:
    """One human being: a CI, at most one account per exchange, and the places and client that are theirs."""

    number: int
    holder: str
    accounts: dict[int, int] = field(default_factory=dict)
    home: Place | None = None
    phone: Place | None = None
    client: Client | None = None


@dataclass(slots=True)
class Key:
    """One issued key with its label. ``life`` is the hours in which its holder has it; ``expires`` the hour it stops
    working."""

    exchange: int
    text: str
    account: int
    person: int
    pattern: str
    role: str
    guilty: bool
    ring: str | None
    life: Mask | None
    expires: int | None = None
    lists: bool | None = None  # whether the exchange reports its allow-list; None: by the world's rate
    planned: list[int] = field(default_factory=list)  # addresses on the list whether or not they are ever used


@dataclass(slots=True)
class Account:
    """A customer of one exchange; ``known`` says whether the exchange has the holder's CI."""

    exchange: int
    number: str
    person: int
    known: bool


@dataclass(slots=True)
class Hub:
    """Addresses that a crowd of strangers goes through, and the stacks seen there."""

    kind: str
    addresses: list[int]
    devices: list[int]


@dataclass(slots=True)
class Infrastructure:
    """A licensed service that operators have declared: its addresses and its client."""

    name: str
    addresses: list[int]
    device: int


class World:
    """Everything that one seed and one set of rates make."""

    def __init__(self, spec: WorldSpec, rates: Rates) -> None:
        self.spec = spec
        self.rates = rates
        self.rng = np.random.default_rng([spec.seed, 0x5EED])
        self.clock = Clock(self.rng, spec.days, rates.volatile_per_day)
        density = {"*": rates.home_density, "office": 2.0, "campus": 4.0, "vpn": 1.5}
        density |= dict.fromkeys(("vps", "naver", "oracle", "hosting"), rates.cloud_density)
        density |= dict.fromkeys(("aws", "gcp", "azure", "faas", "abroad"), max(rates.cloud_density / 4, 1.5))
        self.book = AddressBook(self.rng, density)
        self.stacks = Catalogue(self.rng, round(rates.stock_stacks), rates.stack_zipf)
        self.places = Places(self.rng, self.clock, self.book, rates)
        self.traffic = Traffic()
        self.people: list[Person] = []
        self.accounts: list[Account] = []
        self.keys: list[Key] = []
        self.declared: list[Infrastructure] = []
        self.hubs: list[Hub] = []
        self.habits: list[list[tuple[Place, Client]]] = []  # per key: where and with what it is run, its holder first
        self._texts: set[str] = set()
        self._rings = 0
        share = np.array([0.5, 0.27, 0.12, 0.07, 0.04]) ** rates.market_skew
        self.market = share / share.sum()
        spread = rates.holder_missing * np.exp(self.rng.normal(0, 0.45, size=len(EXCHANGES)))
        self.missing = np.clip(spread, 0.02, 0.75)
        if spec.holders is not None:
            self.missing = np.full(len(EXCHANGES), 1.0 - spec.holders)

    # -- people and keys

    def person(self) -> Person:
        """Somebody new."""
        holder = base64.b64encode(self.rng.bytes(64)).decode()
        person = Person(len(self.people), holder)
        self.people.append(person)
        return person

    def account(self, person: Person, exchange: int) -> int:
        """The person's account at an exchange, opened when there is none."""
        known = person.accounts.get(exchange)
        if known is None:
            known = person.accounts[exchange] = len(self.accounts)
            number = f"{EXCHANGES[exchange][0].upper()}{int(self.rng.integers(10**6, 10**9))}-{known}"
            self.accounts.append(
                Account(exchange, number, person.number, bool(self.rng.random() >= self.missing[exchange]))
            )
        return known

    def issue(
        self,
        person: Person,
        exchange: int,
        pattern: str,
        *,
        role: str = "innocent",
        guilty: bool = False,
        ring: str | None = None,
        settled: bool = False,
    ) -> int:
        """A fresh key; unless ``settled``, some are issued or given up inside the window."""
        rng, hours = self.rng, self.clock.hours
        life = None
        if not settled:
            first, last = 0, hours
            if rng.random() < self.rates.newborn:
                first = int(rng.integers(hours))
            if rng.random() < self.rates.leaver:
                last = int(rng.integers(first, hours)) + 1
            if (first, last) != (0, hours):
                life = self.clock.span(first, last)
        number = len(self.keys)
        account = self.account(person, exchange)
        text = self._key_text(exchange)
        self.keys.append(Key(exchange, text, account, person.number, pattern, role, guilty, ring, life))
        self.habits.append([])
        return number

    def _key_text(self, exchange: int) -> str:
        rng = self.rng
        while True:
            if exchange == 0 or (exchange == 1 and rng.random() < 0.45):
                text = rng.choice(LETTERS, size=40).tobytes().decode()
            elif exchange == 1:
                text = rng.bytes(24 if rng.random() < 0.6 else 16).hex()
            elif exchange == 3:
                text = rng.choice(URL_SAFE, size=int(rng.choice([32, 43, 43, 43, 64]))).tobytes().decode()
            else:
                raw = bytearray(rng.bytes(16))
                raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
                digits = raw.hex()
                text = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
            if text not in self._texts:
                self._texts.add(text)
                return text

    def exchanges(self, count: int = 1) -> list[int]:
        """``count`` different exchanges, by market share."""
        picks = self.rng.choice(len(EXCHANGES), size=min(count, len(EXCHANGES)), replace=False, p=self.market)
        return [int(e) for e in picks]

    def issue_some(
        self, person: Person, pattern: str, room: int, odds: tuple[float, ...] = (0.82, 0.13, 0.05)
    ) -> list[int]:
        """At most ``room`` keys of one person: at 1, 2, … exchanges by ``odds``, now and then two at one of them."""
        count = 1 + int(self.rng.choice(len(odds), p=odds))
        keys: list[int] = []
        for exchange in self.exchanges(min(count, room)):
            if len(keys) < room:
                keys.append(self.issue(person, exchange, pattern))
            if len(keys) < room and self.rng.random() < self.rates.second_key:
                keys.append(self.issue(person, exchange, pattern))
        return keys

    def ring_name(self, prefix: str = "ring") -> str:
        """A fresh name for a group of keys that belong together in truth."""
        self._rings += 1
        return f"{prefix}-{self._rings}"

    # -- clients and places of one's own

    def stack(self) -> int:
        """A person's stack: mostly stock, sometimes of their own making."""
        return self.stacks.custom() if self.rng.random() < self.rates.custom_stack else self.stacks.stock()

    def client(self, device: int | None = None, upgrade: float | None = None) -> Client:
        """A client over time: the given stack (or a drawn one), upgraded in the window at the world's rate."""
        hours = self.clock.hours
        device = self.stack() if device is None else device
        out = np.full(hours, device, dtype=np.int32)
        chance = self.rates.upgrade if upgrade is None else upgrade
        if self.rng.random() < 1 - (1 - chance) ** (self.clock.days / 14):
            out[int(self.rng.integers(hours)) :] = self.stacks.successor(device)
        return out

    def client_of(self, person: Person) -> Client:
        """The person's own client, the same wherever they are asked."""
        if person.client is None:
            person.client = self.client()
        return person.client

    def home_of(self, person: Person) -> Place:
        """The person's home line."""
        if person.home is None:
            person.home = self.places.home()
        return person.home

    def phone_of(self, person: Person) -> Place:
        """The person's phone."""
        if person.phone is None:
            person.phone = self.places.phone()
        return person.phone

    def schedule(self, always_on: float | None = None) -> Mask:
        """Somebody's own hours, drawn at the world's rates."""
        rates = self.rates
        share = rates.always_on if always_on is None else always_on
        return self.clock.personal(share, rates.nine_am, rates.volatile_wake, rates.volume)

    # -- use

    def run(
        self,
        key: int,
        mask: Mask,
        place: Place,
        client: Client,
        *,
        pace: float | None = None,
        own: bool = True,
        kind: int = USE,
    ) -> None:
        """The key is used in these hours at this place with this client; ``own`` when it is its holder's doing."""
        entry = self.keys[key]
        if entry.life is not None and own:
            mask = mask & entry.life
            if not self.habits[key] and not mask.any():
                mask[int(self.rng.choice(np.flatnonzero(entry.life)))] = True
        hours = np.flatnonzero(mask)
        self.habits[key].append((place, client))
        if pace is None:
            pace = math.exp(float(self.rng.normal(3.0, 1.6)))
        counts = 1 + self.rng.poisson(pace * self.rng.gamma(2.0, 0.5, size=len(hours)))
        self.traffic.add(key, hours, place[hours], client[hours], counts, reporter=entry.exchange, kind=kind)
