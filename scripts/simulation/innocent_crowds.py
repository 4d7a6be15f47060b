"""Innocent crowds on a few addresses: offices, campuses, classes, bot services, hosting, translated and function
egress, tunnels.

Crowds that strangers go through are also noted as hubs, where rings may hide.
"""

from __future__ import annotations

import numpy as np

from .clock import OFFICE, WAKING, Mask
from .places import Place
from .spec import EXCHANGES
from .traffic import AUTH_FAIL
from .world import Client, Hub, Infrastructure, World


def crowd(world: World, low: int, middle: float, high: int) -> int:
    """A crowd's size: lognormal around ``middle`` times the world's scale."""
    size = middle * world.rates.crowd_size * np.exp(world.rng.normal(0, 0.7))
    return int(np.clip(size, low, high))


def shared_egress(world: World, addresses: list[int]) -> Place:
    """One member's way out through ``addresses``: pinned to one, or moving among them."""
    if len(addresses) == 1 or world.rng.random() < 0.5:
        return world.places.fixed(addresses[int(world.rng.integers(len(addresses)))])
    return world.places.rotating(addresses, float(world.rng.uniform(1, 24)))


def company_egress(world: World, quota: int) -> None:
    """Colleagues who trade from work, by day, each with a client of their own."""
    while quota > 0:
        size = crowd(world, 3, 18, 250)
        addresses = world.book.take_together("office", int(world.rng.choice([1, 1, 2, 4])))
        quota -= _desk_crowd(world, "company_egress", min(size, quota), addresses, "company", 0.5)


def campus_egress(world: World, quota: int) -> None:
    """Students and staff behind a university's few addresses."""
    while quota > 0:
        size = crowd(world, 10, 70, 600)
        addresses = world.book.take_together("campus", int(world.rng.choice([1, 2, 4, 8])))
        quota -= _desk_crowd(world, "campus_egress", min(size, quota), addresses, "campus", 0.35)


def _desk_crowd(world: World, pattern: str, room: int, addresses: list[int], kind: str, elsewhere: float) -> int:
    rng, clock = world.rng, world.clock
    hub = Hub(kind, addresses, [])
    failover = (int(rng.integers(clock.hours)), world.book.take("office")) if rng.random() < 0.1 else None
    made = 0
    while made < room:
        person = world.person()
        keys = world.issue_some(person, pattern, room - made)
        client = world.client_of(person)
        hub.devices.append(int(client[0]))
        place = shared_egress(world, addresses)
        if failover is not None:  # the line's other provider takes over for everybody
            place = world.places.moved(place, failover[0], failover[1])
        for key in keys:
            if rng.random() < 0.15:
                mask = world.schedule(0.6)
            else:
                mask = clock.sessions(float(rng.gamma(2, 4)), float(rng.uniform(1, 5)), OFFICE)
                if kind == "company":
                    mask &= ~clock.weekend | clock.chance(0.1)
            world.run(key, mask, place, client)
            if rng.random() < elsewhere:
                mask = clock.sessions(float(rng.gamma(2, 2)), 2, WAKING)
                world.run(key, mask, world.home_of(person), client)
        made += len(keys)
    world.hubs.append(hub)
    return made


def class_image(world: World, quota: int) -> None:
    """A course: one image on every machine, the same hours, the same address; some also do their homework at home."""
    rng, clock = world.rng, world.clock
    while quota > 0:
        size = min(quota, int(rng.integers(8, 61)) if quota > 20 else int(rng.integers(5, 13)))
        campuses = [h for h in world.hubs if h.kind == "campus"]
        if campuses and rng.random() < 0.4:
            addresses = campuses[int(rng.integers(len(campuses)))].addresses[:2]
        else:
            addresses = world.book.take_together(str(rng.choice(["campus", "office"])), int(rng.choice([1, 1, 2])))
        image = world.client(world.stacks.custom() if rng.random() < 0.35 else None, upgrade=0.03)
        daily = rng.random() < world.rates.class_daily
        lessons = (
            clock.window(int(rng.choice([9, 10, 13, 14, 18, 19])), int(rng.integers(1, 5)))
            if daily
            else _lessons(world)
        )
        homework = float(np.clip(rng.normal(world.rates.class_homework, 0.2), 0, 1))
        attendance = float(rng.beta(6, 2))
        while size > 0:
            person = world.person()
            keys = world.issue_some(person, "class_image", size, (0.95, 0.05))
            place = shared_egress(world, addresses)
            present = clock.chance(float(rng.uniform(0.75, 1.0)))
            days = clock.days_kept(attendance) if clock.days > 2 else clock.chance(1.0)
            for key in keys:
                mask = lessons & present & days
                world.run(key, mask if mask.any() else lessons, place, image, pace=float(rng.uniform(3, 60)))
                if rng.random() < homework:
                    own = image if rng.random() < 0.6 else world.client_of(person)
                    mask = clock.sessions(float(rng.gamma(2, 2)), float(rng.uniform(1, 4)))
                    world.run(key, mask, world.home_of(person), own)
            quota -= len(keys)
            size -= len(keys)


def _lessons(world: World) -> Mask:
    """The hours of a course: one to five days a week (some are a camp of a few whole days)."""
    rng, clock = world.rng, world.clock
    first, length = int(rng.choice([9, 10, 13, 14, 15, 18, 19])), int(rng.integers(1, 5))
    if rng.random() < 0.15:
        length = int(rng.integers(6, 10))
        days = (clock.day - int(rng.integers(clock.days))) % max(clock.days, 1) < int(rng.integers(2, 6))
    else:
        picked = rng.choice(7, size=int(rng.integers(1, 6)), replace=False)
        days = np.isin(clock.of_week, picked)
    mask = days & ((clock.of_day - first) % 24 < length)
    if not mask.any():
        mask = (clock.of_day - first) % 24 < length
    return mask


def team_image(world: World, quota: int) -> None:
    """A team at one office with an image of its own; each runs their own account, in working hours or all day."""
    rng, clock = world.rng, world.clock
    while quota > 0:
        size = min(quota, int(rng.integers(3, 13)))
        place = world.places.office() if rng.random() < 0.7 else world.places.server()
        image = world.client(world.stacks.custom() if rng.random() < 0.5 else None)
        first, length = int(rng.integers(7, 11)), int(rng.integers(7, 12))
        hours = clock.window(first, length, weekdays_only=bool(rng.random() < 0.8), skip=0.05)
        if not hours.any():
            hours = clock.window(first, length)
        at_home = float(rng.uniform(0.1, 0.9))
        while size > 0:
            person = world.person()
            keys = world.issue_some(person, "team_image", size)
            days = clock.days_kept(0.9) if clock.days > 2 else clock.chance(1.0)
            for key in keys:
                mask = hours & clock.chance(float(rng.uniform(0.5, 1.0))) & days
                world.run(key, mask if mask.any() else hours, place, image)
                if rng.random() < at_home:
                    client = image if rng.random() < 0.4 else world.client_of(person)
                    world.run(key, world.schedule(0.1), world.home_of(person), client)
            quota -= len(keys)
            size -= len(keys)


def platform_large_declared(world: World, quota: int) -> None:
    """A licensed bot service with 60 to 500 and more customers, declared by the operators."""
    _platforms(world, quota, "platform_large_declared", 60, 560, declared=True)


def platform_large(world: World, quota: int) -> None:
    """The same, undeclared."""
    _platforms(world, quota, "platform_large", 60, 560, declared=False)


def platform_small_declared(world: World, quota: int) -> None:
    """A declared bot service with 15 to 59 customers."""
    _platforms(world, quota, "platform_small_declared", 15, 59, declared=True)


def platform_small(world: World, quota: int) -> None:
    """An undeclared bot service with 15 to 59 customers on one server with one client: the hardest innocent crowd."""
    _platforms(world, quota, "platform_small", 15, 59, declared=False)


def _platforms(world: World, quota: int, pattern: str, low: int, high: int, *, declared: bool) -> None:
    rng = world.rng
    while quota > 0:
        size = int(np.clip(np.exp(rng.uniform(np.log(low), np.log(high))), low, high))
        if quota - size < low:
            size = quota if quota <= high else quota - low
        quota -= _platform(world, pattern, size, high >= 60, declared)


def _platform(world: World, pattern: str, size: int, large: bool, declared: bool) -> int:
    rng, clock = world.rng, world.clock
    cloud = str(rng.choice(["aws", "gcp", "naver", "vps", "oracle"], p=[0.5, 0.1, 0.15, 0.15, 0.1]))
    count = int(rng.integers(1, 7)) if large else int(rng.choice([1, 2], p=[0.85, 0.15]))
    addresses = (
        world.book.take_together(cloud, count) if rng.random() < 0.5 else [world.book.take(cloud) for _ in range(count)]
    )
    device = world.stacks.stock() if rng.random() < (0.3 if large else 0.5) else world.stacks.custom()
    client: Client = world.client(device)
    news = [world.book.take(cloud) for _ in range(count)]
    if declared:
        world.declared.append(Infrastructure(f"{pattern}-{len(world.declared) + 1}", [*addresses, *news], device))
    style = rng.choice(["mixed", "grid", "signals"], p=[0.6, 0.3, 0.1])
    move = rng.random() < 0.15  # a deployment moves all customers to other addresses at once
    when = int(rng.integers(clock.hours))
    guesses = float(rng.uniform(0.1, 0.6)) if rng.random() < 0.06 else 0.0  # tries a new key wherever it may belong
    up = clock.chance(1.0)
    if rng.random() < world.rates.platform_lull:
        up &= clock.always(gap=float(rng.uniform(0.02, 0.25)))
    signals = clock.sessions(float(rng.uniform(4, 20)), float(rng.uniform(1, 6))) | clock.woken(0.5)
    always_on = 0.75 if style == "grid" else min(0.95, 1.5 * world.rates.always_on)
    own_too = float(rng.uniform(0.05, 0.35))
    pace = float(np.exp(rng.normal(3.0, 1.2)))
    made = 0
    while made < size:
        person = world.person()
        keys = world.issue_some(person, pattern, size - made, (0.85, 0.11, 0.04))
        place = shared_egress(world, addresses)
        if move:
            place = world.places.moved(place, when, news[int(rng.integers(count))])
        for key in keys:
            mask = world.schedule(always_on)
            if style == "signals":
                mask = (signals & clock.chance(float(rng.beta(3, 2)))) | (mask & clock.chance(0.3))
            mask &= up
            world.run(key, mask if mask.any() else up, place, client, pace=pace * float(rng.gamma(2, 0.5)))
            if rng.random() < guesses:
                _guess(world, key, place, client)
            if rng.random() < own_too:
                world.run(key, world.schedule(), world.home_of(person), world.client_of(person))
        made += len(keys)
    if large:
        world.hubs.append(Hub("platform", addresses, [device]))
    return made


def _guess(world: World, key: int, place: Place, client: Client) -> None:
    """The service presents a new customer's key at exchanges that never issued it, to find out whose it is."""
    entry = world.keys[key]
    hour = np.array(
        [int(np.argmax(entry.life)) if entry.life is not None else int(world.rng.integers(world.clock.hours))]
    )
    for exchange in range(len(EXCHANGES)):
        if exchange != entry.exchange and world.rng.random() < 0.6:
            world.traffic.add(key, hour, place[hour], client[hour], 1, reporter=exchange, kind=AUTH_FAIL)


def vendor_image(world: World, quota: int) -> None:
    """Customers of one vendor, each on a rented server of their own next door to the others, all with the vendor's image."""
    rng = world.rng
    while quota > 0:
        size = min(quota, int(rng.integers(6, 61)))
        cloud = str(rng.choice(["vps", "naver", "oracle", "aws"]))
        addresses = world.book.take_together(cloud, size)
        device = world.stacks.stock() if rng.random() < 0.4 else world.stacks.custom()
        image = world.client(device)
        always_on = float(rng.uniform(0.1, 0.8))
        for address in addresses:
            if size <= 0:
                break
            person = world.person()
            keys = world.issue_some(person, "vendor_image", size)
            client = image if rng.random() < 0.8 else world.client(device)
            for key in keys:
                world.run(key, world.schedule(always_on), world.places.fixed(address), client)
                if rng.random() < 0.15:
                    world.run(key, world.clock.sessions(3, 2), world.home_of(person), world.client_of(person))
            size -= len(keys)
            quota -= len(keys)


def shared_hosting(world: World, quota: int) -> None:
    """Customers of one web host, whose scheduled scripts leave through the host's address."""
    rng = world.rng
    while quota > 0:
        size = min(quota, crowd(world, 3, 22, 150))
        addresses = world.book.take_together("hosting", int(rng.choice([1, 1, 2])))
        quota -= _tenants(world, "shared_hosting", size, addresses, "hosting", float(rng.uniform(0.2, 0.6)))


def nat_gateway(world: World, quota: int) -> None:
    """Tenants of a cloud who leave through one translated gateway."""
    rng = world.rng
    while quota > 0:
        size = min(quota, crowd(world, 4, 30, 300))
        cloud = str(rng.choice(["aws", "gcp", "naver", "oracle"]))
        addresses = world.book.take_together(cloud, int(rng.choice([1, 1, 2, 3])))
        quota -= _tenants(world, "nat_gateway", size, addresses, "nat", float(rng.uniform(0.1, 0.4)))


def _tenants(world: World, pattern: str, size: int, addresses: list[int], kind: str, alike: float) -> int:
    """Strangers behind the same addresses; ``alike`` is how many run the place's usual stack."""
    rng = world.rng
    usual = world.stacks.stock()
    hub = Hub(kind, addresses, [])
    made = 0
    while made < size:
        person = world.person()
        keys = world.issue_some(person, pattern, size - made)
        client = world.client(usual) if rng.random() < alike else world.client_of(person)
        hub.devices.append(int(client[0]))
        place = shared_egress(world, addresses)
        for key in keys:
            world.run(key, world.schedule(), place, client)
            if rng.random() < 0.2:
                world.run(key, world.clock.sessions(3, 2), world.home_of(person), world.client_of(person))
        made += len(keys)
    world.hubs.append(hub)
    return made


def faas_egress(world: World, quota: int) -> None:
    """Functions as a service: each call leaves through any address of a large pool, with one of a few runtimes."""
    rng, clock = world.rng, world.clock
    pools = []
    for _ in range(int(rng.integers(1, 4))):
        count = int(np.clip(np.exp(rng.normal(3.8, 0.8)), 10, 300))
        pools.append(world.book.take_together("faas", count))
    runtimes = [world.stacks.top(8) for _ in range(int(rng.integers(2, 6)))]
    world.hubs.extend(Hub("faas", pool, runtimes) for pool in pools)
    while quota > 0:
        person = world.person()
        keys = world.issue_some(person, "faas_egress", quota)
        pool = pools[int(rng.integers(len(pools)))]
        client = world.client(runtimes[int(rng.integers(len(runtimes)))], upgrade=0.05)
        for key in keys:
            step = int(rng.choice([1, 1, 2, 4, 6, 12, 24]))
            mask = clock.every(step, int(rng.integers(step))) & clock.days_kept(world.rates.volume)
            mask = mask if mask.any() else clock.every(step, 0)
            for _ in range(int(rng.choice([1, 1, 2, 3]))):
                world.run(key, mask, world.places.rotating(pool, 1.0), client, pace=float(rng.uniform(1, 20)))
        quota -= len(keys)


def vpn_egress(world: World, quota: int) -> None:
    """Customers of commercial tunnels, whose exits they share with whoever else is on them."""
    rng = world.rng
    while quota > 0:
        person = world.person()
        keys = world.issue_some(person, "vpn_egress", quota, (0.9, 0.1))
        tunnel = world.places.tunnel()
        world.hubs.append(Hub("vpn", sorted({int(a) for a in tunnel}), [int(world.client_of(person)[0])]))
        for key in keys:
            world.run(key, world.schedule(0.1), tunnel, world.client_of(person))
            if rng.random() < 0.5:
                world.run(key, world.clock.sessions(3, 2), world.home_of(person), world.client_of(person))
        quota -= len(keys)
