"""One key used by many people, and leaked keys being tried.

A shared key has an owner and several parties, each with a place and a client of their own; some of them are
customers whose own keys run from the same place. A leaked key belongs to somebody innocent (any pattern) and is
guilty in the sense that its exchange must flag it.
"""

from __future__ import annotations

import numpy as np

from .addresses import CLOUD_POOLS, CLOUD_WEIGHTS
from .innocent_people import own_place
from .places import Place
from .spec import EXCHANGES
from .traffic import AUTH_FAIL, USE
from .world import Client, World

# Parties per shared key, and sessions a week of each party.
SHARED = {
    "key_shared_3_12": (3, 12, 8.0),
    "key_shared_8_60": (8, 60, 4.0),
    "key_shared_rarely": (3, 6, 1.2),
}
# Keys in one dump.
DUMPS = {"leak_one_server": (20, 150), "leak_slow_scattered": (10, 80), "leak_small_set": (3, 10)}


def shared(world: World, pattern: str, quota: int) -> None:
    """``quota`` keys, each in the hands of several people."""
    low, high, weekly = SHARED[pattern]
    rng = world.rng
    for _ in range(quota):
        owner = world.person()
        key = world.issue(
            owner, world.exchanges()[0], pattern, role="shared", guilty=True, ring=world.ring_name("key"), settled=True
        )
        parties = int(np.clip(np.exp(rng.uniform(np.log(low), np.log(high + 1))), low, high))
        pace = float(np.exp(rng.normal(2.5, 1.2)))
        packaged = world.client() if rng.random() < 0.25 else None  # the key is passed on inside a program
        joint = world.clock.sessions(weekly, 2.0, least=2) if rng.random() < world.rates.shared_together else None
        rarely = pattern == "key_shared_rarely"
        if rng.random() < 0.7:
            mask = world.clock.sessions(2.0, 2.0) if rarely else world.schedule()
            world.run(key, mask, own_place(world, owner), world.client_of(owner), pace=pace)
        for _ in range(parties - 1):
            place, client = _party(world)
            if joint is not None:
                mask = joint & world.clock.chance(0.6)
            elif rarely or rng.random() < 0.7:
                mask = world.clock.sessions(weekly * float(rng.gamma(2, 0.5)), float(rng.uniform(1, 4)))
            else:
                mask = world.schedule()
            if not mask.any():
                mask = world.clock.sessions(1, 1)
            world.run(key, mask, place, client if packaged is None else packaged, pace=pace, own=False)


def _party(world: World) -> tuple[Place, Client]:
    """Where and with what one of the parties works: that of a customer with an own key, or somebody new."""
    rng = world.rng
    if world.keys and rng.random() < world.rates.sharer_host:
        for _ in range(5):
            number = int(rng.integers(len(world.keys)))
            if world.habits[number] and world.keys[number].role == "innocent":
                return world.habits[number][0]
    stranger = world.person()
    place = world.phone_of(stranger) if rng.random() < 0.1 else own_place(world, stranger, 0.35)
    return place, world.client_of(stranger)


def leak(world: World, pattern: str, quota: int) -> None:
    """Turns ``quota`` innocent keys into victims of dumps, and tries them."""
    low, high = DUMPS[pattern]
    rng = world.rng
    free = [n for n, k in enumerate(world.keys) if k.role == "innocent" and k.ring is None and world.habits[n]]
    rng.shuffle(free)
    while quota > 0 and free:
        size = int(np.clip(np.exp(rng.uniform(np.log(low), np.log(high + 1))), low, high))
        if quota - size < low:
            size = quota
        dump, free = free[:size], free[size:]
        quota -= len(dump)
        _try_dump(world, pattern, dump)


def _try_dump(world: World, pattern: str, dump: list[int]) -> None:
    rng, clock, rates = world.rng, world.clock, world.rates
    name = world.ring_name("dump")
    device = int(world.stack()) if rng.random() < 0.8 else world.stacks.custom()
    start = int(rng.integers(max(1, clock.hours * 2 // 3)))
    if pattern == "leak_slow_scattered":
        count = int(np.clip(len(dump) * rng.uniform(0.3, 1.5), 3, 150))
        addresses = [_prober(world, float(rng.choice([0.0, 0.5, 1.0]))) for _ in range(count)]
        hours = start + np.sort(rng.integers(0, clock.hours - start, size=len(dump)))
    else:
        addresses = [_prober(world, 0.1) for _ in range(1 if pattern == "leak_one_server" else int(rng.integers(1, 4)))]
        length = int(min(clock.hours - start, 1 + rng.exponential(12)))
        hours = start + np.sort(rng.integers(0, max(length, 1), size=len(dump)))
    everywhere = float(np.clip(rng.normal(rates.leak_everywhere, 0.1), 0.3, 1.0))
    accepted = float(np.clip(rng.normal(rates.leak_accepted, 0.15), 0, 0.9))
    tries = float(rng.uniform(1, 3))
    again = rng.random() < 0.12  # somebody else bought the same dump
    second = (_prober(world, 0.3), int(world.stack()))
    for key, hour in zip(dump, hours, strict=True):
        entry = world.keys[key]
        entry.pattern, entry.role, entry.guilty, entry.ring = pattern, "leaked", True, name
        address = addresses[int(rng.integers(len(addresses)))]
        wrong = [e for e in range(len(EXCHANGES)) if e != entry.exchange]
        elsewhere = rng.random() < everywhere
        if elsewhere:
            for exchange in rng.permutation(wrong)[: int(rng.integers(1, 5))]:
                _attempt(world, key, int(hour), address, device, int(exchange), tries, AUTH_FAIL)
        if rng.random() < accepted:
            last = int(min(clock.hours, hour + 1 + rng.geometric(0.15)))
            later = np.unique(rng.integers(hour, last, size=int(rng.integers(1, 6))))
            for when in later:
                _attempt(world, key, int(when), address, device, entry.exchange, 4.0, USE)
        elif not elsewhere or rng.random() < 0.8:
            _attempt(world, key, int(hour), address, device, entry.exchange, tries, AUTH_FAIL)
        if again and rng.random() < 0.7:
            when = int(rng.integers(hour, clock.hours))
            _attempt(world, key, when, *second, entry.exchange, tries, AUTH_FAIL)
        if pattern == "leak_slow_scattered" and rng.random() < 0.4:
            when = int(rng.integers(hour, clock.hours))
            other = addresses[int(rng.integers(len(addresses)))]
            _attempt(world, key, when, other, device, entry.exchange, tries, AUTH_FAIL)


def _prober(world: World, residential: float) -> int:
    """An address to try keys from: a rented server, somebody's home, or an exit that strangers share."""
    rng = world.rng
    if world.hubs and rng.random() < 0.12:
        hub = world.hubs[int(rng.integers(len(world.hubs)))]
        if hub.kind in ("vpn", "faas", "nat"):
            return hub.addresses[int(rng.integers(len(hub.addresses)))]
    if rng.random() < residential:
        return int(world.places.home("static")[0])
    return world.book.take("abroad" if rng.random() < 0.5 else str(rng.choice(CLOUD_POOLS, p=CLOUD_WEIGHTS)))


def _attempt(
    world: World, key: int, hour: int, address: int, device: int, reporter: int, tries: float, kind: int
) -> None:
    count = 1 + int(world.rng.poisson(max(tries - 1, 0)))
    world.traffic.add(key, np.array([hour]), address, device, count, reporter=reporter, kind=kind)
