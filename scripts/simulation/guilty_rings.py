"""One operator driving other people's keys: the ring, and its thirteen ways of not looking like one.

A ring has an operator's timetable, addresses, clients and lenders. The named patterns fix the trait that they are
named for and draw the rest, so that traits also meet in combination. The operator's own key is labelled ``operator-
own`` and is not guilty: its holder drives it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .addresses import CLOUD_POOLS, CLOUD_WEIGHTS
from .clock import Mask
from .places import Place
from .world import Client, Person, World


@dataclass(slots=True)
class Trait:
    """What a named pattern fixes about its rings. ``None`` and "any" leave it to chance."""

    low: int = 3
    high: int = 30
    where: str = "any"  # server, same24, scattered, residential, hub
    stacks: str = "any"  # one, few, each
    when: str = "any"  # sessions, window, always, woken, staggered, slow
    holder: float | None = None
    declared: float | None = None


TRAITS: dict[str, Trait] = {
    "ring_plain": Trait(3, 40, where="server", stacks="one"),
    "ring_pool_same24": Trait(4, 30, where="same24", stacks="one"),
    "ring_pool_scattered": Trait(4, 30, where="scattered", stacks="one"),
    "ring_stack_per_key": Trait(3, 30, stacks="each"),
    "ring_staggered": Trait(3, 25, where="server", when="staggered"),
    "ring_residential": Trait(3, 25, where="residential"),
    "ring_holder_active": Trait(3, 25, holder=0.9),
    "ring_small": Trait(3, 5),
    "ring_large": Trait(50, 90),
    "ring_slow": Trait(3, 20, when="slow"),
    "ring_allowlist": Trait(3, 30, declared=1.0),
    "ring_in_hub": Trait(3, 25, where="hub", stacks="one"),
    "ring_mixed": Trait(3, 45),
}


def ring(world: World, pattern: str, quota: int) -> None:
    """Rings of the named pattern, until ``quota`` keys are made; no ring is smaller than three holders."""
    if quota < 3:
        raise ValueError(f"keys: {quota} guilty keys are too few for {pattern}, which takes three holders")
    trait = TRAITS[pattern]
    while quota > 0:
        size = int(np.clip(np.exp(world.rng.uniform(np.log(trait.low), np.log(trait.high + 1))), trait.low, trait.high))
        size = quota if quota <= trait.high or quota < 2 * trait.low else min(size, quota - trait.low)
        _Ring(world, pattern, trait, size).make()
        quota -= size


class _Ring:
    def __init__(self, world: World, pattern: str, trait: Trait, size: int) -> None:
        self.world = world
        self.rng = world.rng
        self.pattern = pattern
        self.size = size
        self.name = world.ring_name()
        rates, rng = world.rates, world.rng
        self.where = (
            trait.where
            if trait.where != "any"
            else str(
                rng.choice(["server", "same24", "scattered", "residential", "hub"], p=[0.58, 0.13, 0.13, 0.08, 0.08])
            )
        )
        self.stacks = (
            trait.stacks if trait.stacks != "any" else str(rng.choice(["one", "few", "each"], p=[0.72, 0.16, 0.12]))
        )
        self.when = (
            trait.when
            if trait.when != "any"
            else str(
                rng.choice(
                    ["sessions", "window", "always", "woken", "staggered", "slow"],
                    p=[0.48, 0.14, 0.14, 0.08, 0.08, 0.08],
                )
            )
        )
        self.holder = rates.ring_holder if trait.holder is None else trait.holder
        self.declared = rates.ring_declared if trait.declared is None else trait.declared
        self.cohesion = float(np.clip(rng.normal(rates.ring_cohesion, 0.12), 0.3, 1.0))
        self.uneven = rng.random() < 0.2  # some keys are worked much harder than others
        self.shuffle = float(rng.uniform(0, 2 * rates.ring_shuffle))
        self.addresses, self.mode = self._addresses()
        self.hub_device: int | None = None
        self.timetable = self._timetable()

    # -- the operator's means

    def _addresses(self) -> tuple[list[int], str]:
        """The operator's addresses, and whether keys move over them together, each by itself, or stay on one each."""
        rng, world = self.rng, self.world
        mode = str(rng.choice(["together", "each", "pinned"], p=[0.4, 0.3, 0.3]))
        if self.where == "server":
            count = int(rng.choice([1, 2, 3], p=[0.8, 0.14, 0.06])) + (self.size > 40) * int(rng.integers(0, 4))
            return [world.places.server_address() for _ in range(count)], "pinned" if rng.random() < 0.6 else "each"
        if self.where == "same24":
            cloud = str(rng.choice(CLOUD_POOLS, p=CLOUD_WEIGHTS))
            return world.book.take_together(cloud, int(rng.integers(3, 17)), reuse=0.6), mode
        if self.where == "scattered":
            return [world.places.server_address() for _ in range(int(rng.integers(3, 17)))], mode
        if self.where == "residential":
            return self._exits(), str(rng.choice(["together", "each", "private"], p=[0.3, 0.5, 0.2]))
        if world.hubs:
            hub = world.hubs[int(rng.integers(len(world.hubs)))]
            take = min(len(hub.addresses), int(rng.integers(1, 9)))
            picked = [int(a) for a in rng.choice(hub.addresses, size=take, replace=False)]
            return picked, mode
        return sorted({int(a) for a in world.places.tunnel()}), mode

    def _exits(self) -> list[int]:
        """Addresses of other people's homes, rented by the hour, some of them homes of customers."""
        rng, world = self.rng, self.world
        count = int(rng.integers(8, 80))
        homes = [p.home for p in world.people if p.home is not None]
        exits: list[int] = []
        for _ in range(count):
            if homes and rng.random() < 0.4:
                home = homes[int(rng.integers(len(homes)))]
                exits.append(int(home[int(rng.integers(len(home)))]))
            else:
                exits.append(int(world.places.home("static")[0]))
        return exits

    def _timetable(self) -> Mask:
        """The hours in which the operator works; at least three in a fortnight, one in a day."""
        rng, clock, rates = self.rng, self.world.clock, self.world.rates
        if self.when == "window":
            mask = clock.window(int(rng.integers(24)), int(rng.integers(2, 11)), bool(rng.random() < 0.3), 0.15)
        elif self.when == "always":
            mask = clock.always(gap=float(rng.choice([0.02, 0.1, 0.3])))
        elif self.when == "woken":
            mask = clock.woken(0.9) | clock.sessions(3, 2)
        elif self.when == "slow":
            mask = clock.sessions(float(rng.uniform(1.5, 5)), float(rng.uniform(1, 2)), least=2)
        elif self.when == "staggered":
            mask = clock.chance(float(rng.uniform(0.3, 0.9)))
        else:
            mask = clock.sessions(float(rng.gamma(3, 3)), float(rng.uniform(1.5, 8)), least=2)
            if rng.random() < rates.volatile_wake:
                mask |= clock.woken(0.5)
        return mask if mask.any() else clock.sessions(7, 2, least=2)

    def _clients(self, count: int) -> list[Client]:
        """One client per key: all alike, of a few kinds, or each its own."""
        rng, world = self.rng, self.world
        if self.where == "hub" and rng.random() < 0.5:
            devices = [d for h in world.hubs if set(self.addresses) & set(h.addresses) for d in h.devices]
            if devices:
                return [world.client(devices[int(rng.integers(len(devices)))])] * count
        if self.stacks == "each":
            if rng.random() < 0.5:
                return [world.client(world.stacks.custom()) for _ in range(count)]
            return [
                world.client(world.stacks.rare() if rng.random() < 0.5 else world.stacks.stock()) for _ in range(count)
            ]

        def one() -> Client:
            return world.client(
                world.stacks.stock() if rng.random() < world.rates.ring_stock else world.stacks.custom()
            )

        kinds = [one() for _ in range(1 if self.stacks == "one" else int(rng.integers(2, 5)))]
        return [kinds[int(rng.integers(len(kinds)))] for _ in range(count)]

    def _place(self, together: Place) -> Place:
        """One key's way over the operator's addresses."""
        world, addresses = self.world, self.addresses
        if self.mode == "together" or len(addresses) == 1:
            return together
        if self.mode == "pinned":
            return world.places.fixed(addresses[int(self.rng.integers(len(addresses)))])
        if self.mode == "private":  # each key leaves through a few exits of its own
            few = [int(a) for a in self.rng.choice(addresses, size=min(3, len(addresses)), replace=False)]
            return world.places.rotating(few, float(self.rng.uniform(2, 48)))
        return world.places.rotating(addresses, float(self.rng.uniform(1, 24)))

    def _hours(self, joined: int) -> Mask:
        """One key's hours under the operator."""
        rng, clock = self.rng, self.world.clock
        left = int(rng.integers(joined, clock.hours)) + 1 if rng.random() < self.world.rates.leaver else clock.hours
        here = clock.span(joined, left)
        if self.when == "staggered":
            mask = clock.sessions(float(rng.uniform(1.5, 5)), float(rng.uniform(1, 2.5)), least=2) & self.timetable
        else:
            share = float(rng.beta(2, 2)) if self.uneven else float(np.clip(rng.normal(self.cohesion, 0.05), 0.1, 1.0))
            mask = self.timetable & clock.chance(share)
            density = float(self.timetable.mean())
            mask |= clock.chance(self.shuffle * density)
        mask &= here
        if mask.any():
            return mask
        rest = self.timetable & here
        return rest if rest.any() else here

    # -- the ring

    def make(self) -> None:
        """Makes the lenders, their keys and all that is done with them."""
        rng, world, rates, clock = self.rng, self.world, self.world.rates, self.world.clock
        joins = rng.random() < rates.ring_joins
        together = world.places.rotating(self.addresses, float(np.exp(rng.uniform(0, np.log(120)))))
        clients = self._clients(self.size)
        pace = float(np.exp(rng.normal(3.5, 1.3)))
        multi = rng.random() < 0.6
        lists = bool(rng.random() < self.declared)
        favourite = int(rng.choice(5, p=world.market))
        one_exchange = rng.random() < 0.25
        made = lenders = 0
        while made < self.size:
            person = world.person()
            lenders += 1
            spread = 1
            if (
                multi
                and not one_exchange
                and self.size - made > max(0, 3 - lenders)
                and rng.random() < rates.ring_multi
            ):
                spread = int(rng.integers(2, 5))
            spread = min(spread, self.size - made - max(0, 3 - lenders)) if self.size >= 3 else 1
            for exchange in [favourite] if one_exchange else world.exchanges(max(spread, 1)):
                joined = int(rng.integers(clock.hours * 3 // 4)) if joins and rng.random() < 0.8 else 0
                self._lend(person, exchange, joined, self._place(together), clients[made], pace, lists)
                made += 1
        if rng.random() < rates.ring_own:
            self._own_keys(together, clients[0], pace)

    def _lend(
        self, person: Person, exchange: int, joined: int, place: Place, client: Client, pace: float, lists: bool
    ) -> None:
        rng, world, clock = self.rng, self.world, self.world.clock
        key = world.issue(
            person, exchange, self.pattern, role="operator-driven", guilty=True, ring=self.name, settled=True
        )
        entry = world.keys[key]
        entry.lists = (lists or None) if exchange < 3 or rng.random() < 0.5 else None
        if joined and rng.random() < 0.5:  # issued for the operator
            entry.life = clock.span(joined, clock.hours)
        if lists or rng.random() < 0.3:
            entry.planned = self._listed(place)
        if not (entry.planned and lists and rng.random() < 0.04):  # registered for the operator, not yet used
            world.run(key, self._hours(joined), place, client, pace=pace * float(rng.gamma(4, 0.25)), own=False)
        if rng.random() < self.holder:  # the holder trades too, from home or by phone
            own = world.schedule() if rng.random() < 0.5 else clock.sessions(float(rng.gamma(2, 2)), 2)
            where = world.phone_of(person) if rng.random() < 0.25 else world.home_of(person)
            world.run(key, own, where, world.client_of(person))
        elif joined and entry.life is None and rng.random() < world.rates.ring_before:
            world.run(key, world.schedule() & clock.span(0, joined), world.home_of(person), world.client_of(person))
        elif rng.random() < 0.08:  # looks after the money once in a while
            world.run(key, clock.sessions(1, 1), world.home_of(person), world.client_of(person))
        if rng.random() < 0.06 and len(person.accounts) < 5:  # another key, elsewhere, that was never lent
            others = [e for e in range(5) if e not in person.accounts]
            spare = world.issue(person, others[int(rng.integers(len(others)))], "single_bot", role="lender-other")
            world.run(spare, world.schedule(), world.home_of(person), world.client_of(person))

    def _listed(self, place: Place) -> list[int]:
        """The operator's addresses that a lender was told to register."""
        if self.where in ("residential", "hub"):
            return []
        usual = list(dict.fromkeys(int(a) for a in place[:: max(1, len(place) // 6)]))
        return usual if self.rng.random() < 0.5 else list(dict.fromkeys([*usual, *self.addresses]))

    def _own_keys(self, together: Place, client: Client, pace: float) -> None:
        """The operator's own accounts on the same server; not lent, so not guilty, and not innocent traffic either."""
        world = self.world
        operator = world.person()
        for exchange in world.exchanges(int(self.rng.integers(1, 3))):
            key = world.issue(operator, exchange, self.pattern, role="operator-own", ring=self.name, settled=True)
            world.run(key, self._hours(0), self._place(together), client, pace=pace)
