"""Where traffic comes from: homes that renumber, phones behind a carrier's NAT, servers, offices, tunnels.

A place is an array with the interned address of each hour of the world (or one number, where the address never
changes). Homes come from areas whose subscribers share a pool: an address that one gives up is handed to another, as
DHCP does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .addresses import CLOUD_POOLS, CLOUD_WEIGHTS, HOME_POOLS, MOBILE_POOLS, AddressBook
from .clock import Clock
from .spec import Rates

Place = NDArray[np.int32]


class Places:
    """Makes places of every kind; the same world draws them all, so that strangers meet on addresses as they do
    outside."""

    def __init__(self, rng: np.random.Generator, clock: Clock, book: AddressBook, rates: Rates) -> None:
        self._rng = rng
        self._clock = clock
        self._book = book
        self._rates = rates
        self._areas: dict[str, list[Place]] = {}
        self._nats: dict[str, list[int]] = {}
        self._tunnels: list[list[int]] = []
        self._released: list[tuple[int, int]] = []  # (hour, address) given back to a cloud

    def fixed(self, address: int) -> Place:
        """An address that never changes."""
        return np.full(self._clock.hours, address, dtype=np.int32)

    def home(self, lease: str | None = None) -> Place:
        """A home line: ``lease`` is static, monthly, weekly or daily; drawn when not given."""
        rng, rates = self._rng, self._rates
        if lease is None and rng.random() < rates.ipv6_home:
            return self.home6()
        if lease is None:
            u = rng.random()
            rest = 1 - rates.home_static
            static = rates.home_static
            lease = "static" if u < static else str(rng.choice(["monthly", "weekly", "daily"], p=[0.4, 0.35, 0.25]))
            if rest < 0.05:
                lease = "static"
        if lease == "static":
            return self.fixed(self._book.take(str(rng.choice(HOME_POOLS))))
        area = self._areas.setdefault(lease, [])
        if not area:
            area.extend(self._area(lease))
        return area.pop()

    def home6(self) -> Place:
        """A home line over IPv6: one /64, with privacy addresses that change each day."""
        rng = self._rng
        pool = str(rng.choice(HOME_POOLS))
        prefix = self._book.take6(pool)
        if rng.random() < 0.4:
            return self.fixed(self._book.host6(prefix, 0, pool))
        days = [self._book.host6(prefix, 0, pool) for _ in range(self._clock.days)]
        return np.asarray(days, dtype=np.int32)[self._clock.day]

    def _area(self, lease: str) -> list[Place]:
        """The homes of one area: at the end of a lease a subscriber takes a free address and leaves its own to the
        others."""
        rng, hours = self._rng, self._clock.hours
        period = {"daily": 24.0, "weekly": 168.0, "monthly": 720.0}[lease]
        subscribers = int(np.clip(rng.lognormal(4.0, 0.7), 12, 400))
        size = int(subscribers * self._rates.pool_slack) + 1
        pool = str(rng.choice(HOME_POOLS))
        addresses = self._book.take_together(pool, size)
        rows = np.empty((subscribers, hours), dtype=np.int32)
        free = list(addresses)
        rng.shuffle(free)
        held = [free.pop() for _ in range(subscribers)]
        rows[:] = np.asarray(held, dtype=np.int32)[:, None]
        at_once = bool(rng.random() < 0.3)  # the provider renumbers the whole area in one night
        phase = float(rng.uniform(0, period))
        events: list[tuple[int, int]] = []
        for who in range(subscribers):
            when = phase if at_once else float(rng.uniform(0, period))
            while when < hours:
                events.append((int(when), who))
                when += period if at_once else period * float(rng.uniform(0.8, 1.2))
        for when, who in sorted(events):
            spot = int(rng.integers(len(free)))
            free[spot], held[who] = held[who], free[spot]
            rows[who, when:] = held[who]
        return list(rows)

    def phone(self, carrier: str | None = None) -> Place:
        """A phone: an address of the carrier's NAT for some hours at a time, or a /64 of its own that changes when it
        reattaches."""
        rng, hours = self._rng, self._clock.hours
        carrier = carrier or str(rng.choice(MOBILE_POOLS, p=[0.45, 0.3, 0.25]))
        if rng.random() < self._rates.ipv6_mobile:
            block = int(rng.integers(12, 96))
            picks = [self._book.host6(self._book.take6(carrier), 0, carrier) for _ in range(hours // block + 1)]
            return np.asarray(picks, dtype=np.int32)[np.arange(hours) // block]
        nat = self._nats.get(carrier)
        if nat is None:
            count = max(2, round(self._rates.nat_addresses * float(rng.uniform(0.6, 1.6))))
            nat = self._nats[carrier] = self._book.take_together(carrier, count)
        region = nat if len(nat) < 6 or rng.random() < 0.3 else list(rng.choice(nat, size=len(nat) // 2, replace=False))
        return self.rotating(region, self._rates.nat_stickiness)

    def rotating(self, addresses: list[int], stay: float) -> Place:
        """One of ``addresses`` for about ``stay`` hours at a time."""
        rng, hours = self._rng, self._clock.hours
        change = rng.random(hours) < 1.0 / max(stay, 1.0)
        picks = rng.integers(len(addresses), size=hours)
        last = np.maximum.accumulate(np.where(change, np.arange(hours), 0))
        return np.asarray(addresses, dtype=np.int32)[picks[last]]

    def server(self, cloud: str | None = None) -> Place:
        """A rented server with a fixed address; now and then over IPv6."""
        return self.fixed(self.server_address(cloud))

    def server_address(self, cloud: str | None = None) -> int:
        """The address of a freshly rented server."""
        rng = self._rng
        cloud = cloud or str(rng.choice(CLOUD_POOLS, p=CLOUD_WEIGHTS))
        if self._book.has6(cloud) and rng.random() < self._rates.ipv6_cloud:
            return self._book.host6(self._book.take6(cloud), int(rng.choice([1, 0])), cloud)
        return self._book.take(cloud)

    def restarted_server(self) -> Place:
        """A server whose address changes whenever it is stopped and started, as without a reserved address."""
        rng, hours = self._rng, self._clock.hours
        cloud = str(rng.choice(CLOUD_POOLS, p=CLOUD_WEIGHTS))
        place = self.fixed(self._book.take(cloud))
        for start in (int(s) for s in np.sort(rng.integers(0, hours, size=1 + int(rng.poisson(1.0))))):
            before = int(place[start])
            place[start:] = self._reused(start) if rng.random() < 0.3 else self._book.take(cloud)
            self._released.append((start, before))
        return place

    def _reused(self, hour: int) -> int:
        """An address that somebody else gave back before ``hour``, or a fresh one."""
        earlier = [i for i, (when, _) in enumerate(self._released) if when <= hour]
        if not earlier:
            return self.server_address()
        return self._released.pop(earlier[int(self._rng.integers(len(earlier)))])[1]

    def moved(self, old: Place, hour: int, new: int) -> Place:
        """The same place until ``hour``, then a new address: somebody moved house or server."""
        place = old.copy()
        place[hour:] = new
        return place

    def office(self) -> Place:
        """A small office line of its own."""
        return self.fixed(self._book.take("office"))

    def tunnel(self) -> Place:
        """A commercial tunnel: exits shared with all its other customers."""
        rng = self._rng
        if not self._tunnels:
            for _ in range(int(rng.integers(2, 6))):
                count = int(rng.integers(2, 25))
                together = rng.random() < 0.5
                exits = [self._book.take("vpn") for _ in range(count)]
                self._tunnels.append(self._book.take_together("vpn", count) if together else exits)
        exits = self._tunnels[int(rng.integers(len(self._tunnels)))]
        if rng.random() < 0.4:
            return self.fixed(exits[int(rng.integers(len(exits)))])
        return self.rotating(exits, float(rng.uniform(2, 48)))
