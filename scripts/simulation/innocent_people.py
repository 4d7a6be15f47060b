"""Innocent people on their own: one bot, several exchanges, phones, roaming, many stacks, households, lines that
renumber.

Each function makes exactly ``quota`` keys under its own name, with parameters drawn anew for each person.
"""

from __future__ import annotations

from .clock import OFFICE, Mask
from .places import Place
from .world import Client, Person, World


def own_place(world: World, person: Person, server: float | None = None) -> Place:
    """Where one person's bot runs: a rented server, or the line at home."""
    rng = world.rng
    if rng.random() < (world.rates.server_share if server is None else server):
        return world.places.restarted_server() if rng.random() < 0.08 else world.places.server()
    return world.home_of(person)


def single_bot(world: World, quota: int) -> None:
    """One person, one bot, one place; a few have a second key on it."""
    while quota > 0:
        person = world.person()
        keys = world.issue_some(person, "single_bot", quota, (0.97, 0.03))
        place = own_place(world, person)
        hours = world.schedule()
        for key in keys:
            world.run(key, hours if key == keys[0] else world.schedule(), place, world.client_of(person))
        if len(keys) < quota and world.rng.random() < 0.03:  # a key is replaced by a fresh one in the same program
            keys.append(_replace(world, keys[0], hours, place, world.client_of(person)))
        if world.rng.random() < 0.06:  # the bot moves to another server, at times rewritten
            rest = world.clock.span(int(world.rng.integers(world.clock.hours)), world.clock.hours)
            client = world.client_of(person) if world.rng.random() < 0.6 else world.client()
            world.run(keys[0], world.schedule() & rest, world.places.server(), client)
        quota -= len(keys)


def _replace(world: World, old: int, hours: Mask, place: Place, client: Client) -> int:
    """A new key of the same account takes over from some hour on; the old one expires there."""
    cut = int(world.rng.integers(1, world.clock.hours))
    entry = world.keys[old]
    person = world.people[entry.person]
    new = world.issue(person, entry.exchange, entry.pattern, settled=True)
    world.keys[new].life = world.clock.span(cut, world.clock.hours)
    world.run(new, hours, place, client)
    entry.expires = cut
    return new


def multi_exchange(world: World, quota: int) -> None:
    """One person's keys at several exchanges, driven from one server: the commonest innocent collision."""
    rng = world.rng
    while quota > 0:
        person = world.person()
        keys = (
            [
                key
                for exchange in world.exchanges(int(rng.choice([2, 3, 4, 5], p=[0.55, 0.25, 0.12, 0.08])))
                for key in [world.issue(person, exchange, "multi_exchange")]
            ]
            if quota > 4
            else world.issue_some(person, "multi_exchange", quota, (0.0, 0.7, 0.3))
        )
        place = own_place(world, person, 0.75)
        shared = world.schedule(0.4)
        together = float(rng.choice([1.0, 0.95, 0.7, 0.0], p=[0.3, 0.3, 0.2, 0.2]))
        one_client = rng.random() < 0.6
        for key in keys:
            mask = shared & world.clock.chance(together) if together > 0 else world.schedule()
            world.run(key, mask, place, world.client_of(person) if one_client else world.client())
        if rng.random() < 0.15:
            world.run(keys[0], world.clock.sessions(2, 2), world.home_of(person), world.client_of(person))
        quota -= len(keys)


def carrier_nat(world: World, quota: int) -> None:
    """Trading by phone, behind the carrier's translation: an address is shared by hundreds and changes with the hour.
    Trading by phone, behind the carrier's translation: an address is shared by hundreds and changes with the hour."""
    rng = world.rng
    while quota > 0:
        person = world.person()
        keys = world.issue_some(person, "carrier_nat", quota, (0.9, 0.1))
        client = world.client(world.stacks.top(6) if rng.random() < 0.5 else None)
        for key in keys:
            mask = world.clock.sessions(float(rng.gamma(2, 5)), float(rng.uniform(1, 3)))
            if rng.random() < world.rates.volatile_wake:
                mask |= world.clock.woken(0.4)
            world.run(key, mask, world.phone_of(person), client)
            if rng.random() < 0.2:
                world.run(key, world.clock.sessions(2, 2), world.home_of(person), client)
        quota -= len(keys)


def roamer(world: World, quota: int) -> None:
    """Home, phone, office and a tunnel, one after the other, on one key."""
    rng, clock = world.rng, world.clock
    while quota > 0:
        person = world.person()
        keys = world.issue_some(person, "roamer", quota, (0.85, 0.15))
        laptop = world.client_of(person)
        handset = world.client() if rng.random() < 0.6 else laptop
        active = clock.sessions(float(rng.uniform(6, 30)), float(rng.uniform(1, 4)))
        working = (OFFICE[clock.of_day] >= 5) & ~clock.weekend
        moving = clock.chance(float(rng.uniform(0.1, 0.4)))
        tunnelled = clock.chance(float(rng.choice([0.0, 0.1, 0.3])))
        office = world.places.office() if rng.random() < 0.7 else world.places.phone()
        if world.hubs and rng.random() < 0.5:
            offices = [h for h in world.hubs if h.kind in ("company", "campus")]
            if offices:
                office = world.places.fixed(offices[int(rng.integers(len(offices)))].addresses[0])
        tunnel = world.places.tunnel()
        for key in keys:
            world.run(key, active & working & ~moving, office, laptop)
            world.run(key, active & ~working & ~moving & ~tunnelled, world.home_of(person), laptop)
            world.run(key, active & moving, world.phone_of(person), handset)
            world.run(key, active & ~working & ~moving & tunnelled, tunnel, laptop)
        quota -= len(keys)


def power_user(world: World, quota: int) -> None:
    """Many programs at once on the same keys: several stacks, a server or three, the line at home, the office."""
    rng, clock = world.rng, world.clock
    while quota > 0:
        person = world.person()
        keys = world.issue_some(person, "power_user", quota, (0.4, 0.3, 0.2, 0.1))
        places = [world.home_of(person)]
        places += [world.places.server() for _ in range(int(rng.integers(0, 4)))]
        if rng.random() < 0.3:
            places.append(world.places.office())
        if rng.random() < 0.2:
            places.append(world.phone_of(person))
        clients = [world.client() for _ in range(int(rng.integers(3, 11)))]
        at = rng.integers(len(places), size=len(clients))
        for key in keys:
            for number, client in enumerate(clients):
                if number == 0 or rng.random() < 0.75:
                    mask = world.schedule() if rng.random() < 0.6 else clock.sessions(float(rng.gamma(2, 2)), 3)
                    world.run(key, mask, places[int(at[number])], client)
                    if rng.random() < 0.15:
                        world.run(key, clock.sessions(1.5, 2), places[int(rng.integers(len(places)))], client)
        quota -= len(keys)


def renumbering_daily(world: World, quota: int) -> None:
    """A line whose address changes each day and goes to another customer of the area."""
    _renumbering(world, quota, "renumbering_daily", "daily")


def renumbering_weekly(world: World, quota: int) -> None:
    """The same, each week."""
    _renumbering(world, quota, "renumbering_weekly", "weekly")


def _renumbering(world: World, quota: int, pattern: str, lease: str) -> None:
    while quota > 0:
        person = world.person()
        person.home = world.places.home(lease)
        keys = world.issue_some(person, pattern, quota, (0.85, 0.12, 0.03))
        for key in keys:
            world.run(key, world.schedule(0.3), person.home, world.client_of(person))
        quota -= len(keys)


def popular_stack(world: World, quota: int) -> None:
    """The best-known client on a cheap server next door to many like it."""
    rng = world.rng
    while quota > 0:
        person = world.person()
        keys = world.issue_some(person, "popular_stack", quota, (0.9, 0.1))
        person.client = world.client(world.stacks.top(int(rng.integers(1, 4))))
        place = world.places.server("vps" if rng.random() < 0.6 else "oracle")
        for key in keys:
            world.run(key, world.schedule(), place, person.client)
        quota -= len(keys)


def trading_desk(world: World, quota: int) -> None:
    """One company, one holder, many keys: several per account, on a few servers, around the clock."""
    rng = world.rng
    while quota > 0:
        desk = world.person()
        size = min(quota, int(rng.integers(4, 21)))
        exchanges = world.exchanges(int(rng.integers(1, 6)))
        places = [world.places.server() for _ in range(int(rng.integers(1, 5)))]
        if rng.random() < 0.4:
            places.append(world.places.office())
        clients = [world.client() for _ in range(int(rng.integers(1, 5)))]
        base = world.clock.always(0.03) if rng.random() < 0.6 else world.schedule(0.3)
        for number in range(size):
            key = world.issue(desk, exchanges[number % len(exchanges)], "trading_desk")
            mask = base & world.clock.chance(float(rng.uniform(0.4, 1.0)))
            world.run(key, mask, places[int(rng.integers(len(places)))], clients[int(rng.integers(len(clients)))])
        quota -= size


def household_each(world: World, quota: int) -> None:
    """Two to five people on one line, each with a computer of their own."""
    rng = world.rng
    while quota > 0:
        home = world.places.home()
        for _ in range(int(rng.choice([2, 3, 4, 5], p=[0.5, 0.28, 0.15, 0.07]))):
            if quota <= 0:
                break
            person = world.person()
            person.home = home
            keys = world.issue_some(person, "household_each", quota)
            for key in keys:
                world.run(key, world.schedule(), home, world.client_of(person))
                if rng.random() < 0.2:
                    world.run(key, world.clock.sessions(3, 1.5), world.phone_of(person), world.client_of(person))
            quota -= len(keys)


def household_one(world: World, quota: int) -> None:
    """Two to five people whose bots run on one computer at home: one client, and hours as like as the world's rate
    says."""
    rng = world.rng
    while quota > 0:
        home = world.places.home()
        client: Client = world.client()
        switched_on = world.schedule(0.45)
        alike = float(rng.beta(4 * world.rates.household_sync + 0.3, 4 * (1 - world.rates.household_sync) + 0.3))
        elsewhere = rng.random() < 0.5
        for _ in range(int(rng.choice([2, 3, 4, 5], p=[0.45, 0.3, 0.17, 0.08]))):
            if quota <= 0:
                break
            person = world.person()
            person.home = home
            keys = world.issue_some(person, "household_one", quota)
            for key in keys:
                own: Mask = world.schedule()
                mask = switched_on & (own | world.clock.chance(alike))
                if not mask.any():
                    mask = switched_on
                world.run(key, mask, home, client)
                if elsewhere and rng.random() < 0.4:
                    world.run(key, world.clock.sessions(3, 1.5), world.phone_of(person), world.client_of(person))
            quota -= len(keys)
