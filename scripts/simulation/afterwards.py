"""What befalls everybody, whatever their pattern: outages, expiry, wrong clocks, keys pasted in the wrong place,
allow-lists.

Each step takes the world and its table of sightings and returns a new table; none of them looks at whether a key is
guilty.
"""

from __future__ import annotations

import numpy as np

from .places import Place
from .spec import ALLOWLIST_MANDATORY, ALLOWLIST_ROOM, EXCHANGES
from .traffic import ALLOWLIST, AUTH_FAIL, USE, Ints, Table, Traffic
from .world import Client, Key, World


def befall(world: World) -> Table:
    """The finished table: the traffic of all patterns, with every mishap, merged."""
    _mistakes(world)
    table = world.traffic.table().merged()
    table = _outages(world, table)
    table = _expiry(world, table)
    table = _allowlists(world, table)
    return _devices(world, table).merged()


def _mistakes(world: World) -> None:
    """Keys pasted at the wrong exchange or mistyped, first tries by hand, clocks that are off: all of them the holder's."""
    rng, rates, clock = world.rng, world.rates, world.clock
    for number in _some_keys(world, rates.wrong_exchange):
        entry = world.keys[number]
        first = int(np.argmax(entry.life)) if entry.life is not None else int(rng.integers(clock.hours))
        wrong = int(rng.choice([e for e in range(len(EXCHANGES)) if e != entry.exchange]))
        hours = np.arange(first, min(first + int(rng.geometric(0.5)), clock.hours))
        _fail(world, number, wrong, hours, _where_tried(world, number), 3)
    for number in _some_keys(world, rates.wrong_exchange / 3):
        _mistype(world, number)
    for number in _some_keys(world, rates.wrong_exchange / 2):  # from a machine that is not on the list
        hours = np.array([int(rng.integers(clock.hours))])
        _fail(world, number, world.keys[number].exchange, hours, _where_tried(world, number, strange=0.9), 2)
    for number in _some_keys(world, rates.clock_error):
        first = int(rng.integers(clock.hours))
        hours = np.arange(first, min(first + int(rng.geometric(0.1)), clock.hours))
        hours = hours[rng.random(len(hours)) < 0.5]
        _fail(world, number, world.keys[number].exchange, hours, world.habits[number][0], 20)


def _some_keys(world: World, share: float) -> list[int]:
    """A share of the keys that somebody runs; fewer in a shorter world."""
    scale = min(1.0, 0.3 + 0.7 * world.clock.days / 14)
    chosen: list[int] = np.flatnonzero(world.rng.random(len(world.keys)) < share * scale).tolist()
    return [number for number in chosen if world.habits[number]]


def _fail(world: World, number: int, reporter: int, hours: Ints, habit: tuple[Place, Client], tries: float) -> None:
    """The key is refused in these hours, ``tries`` times or so in each."""
    place, client = habit
    counts = 1 + world.rng.poisson(tries, len(hours))
    world.traffic.add(number, hours, place[hours], client[hours], counts, reporter=reporter, kind=AUTH_FAIL)


def _where_tried(world: World, number: int, strange: float = 0.35) -> tuple[Place, Client]:
    """Where somebody tries a key: usually where it runs; else by hand at home, or in a notebook on shared egress."""
    rng = world.rng
    if rng.random() >= strange:
        return world.habits[number][int(rng.integers(len(world.habits[number])))]
    shared = [h for h in world.hubs if h.kind in ("faas", "nat", "vpn") and h.devices]
    if shared and rng.random() < 0.25:
        hub = shared[int(rng.integers(len(shared)))]
        device = hub.devices[int(rng.integers(len(hub.devices)))]
        return world.places.rotating(hub.addresses, 2.0), world.client(device, upgrade=0.0)
    return world.home_of(world.people[world.keys[number].person]), world.client(world.stacks.stock(), upgrade=0.0)


def _mistype(world: World, number: int) -> None:
    """A key that nobody issued: one's own with a character wrong."""
    rng, entry = world.rng, world.keys[number]
    spot = int(rng.integers(len(entry.text)))
    letter = "0123456789abcdef"[int(rng.integers(16))]
    text = entry.text[:spot] + letter + entry.text[spot + 1 :]
    if text == entry.text:
        return
    world.keys.append(Key(-1, text, -1, entry.person, "mistyped", "nobody", False, None, None))
    world.habits.append([])
    hour = np.array([int(rng.integers(world.clock.hours))])
    _fail(world, len(world.keys) - 1, entry.exchange, hour, world.habits[number][0], 1)


def _outages(world: World, table: Table) -> Table:
    """Hours in which an exchange, or a whole provider, was down: what would have been seen was not."""
    rng, clock = world.rng, world.clock
    keep = np.ones(len(table), dtype=np.bool_)
    weeks = clock.days / 7
    for exchange in range(len(EXCHANGES)):
        for _ in range(int(rng.poisson(world.rates.outages_per_week * weeks / 3))):
            first = int(rng.integers(clock.hours))
            down = (table.hour >= first) & (table.hour < first + int(rng.geometric(0.5)))
            keep &= ~(down & (table.reporter == exchange) & (rng.random(len(table)) < 0.9))
    pools = np.asarray(world.book.pool_of)
    for _ in range(int(rng.poisson(world.rates.outages_per_week * weeks / 3))):
        pool = str(rng.choice(["aws", "gcp", "naver", "oracle", "vps", "isp_a", "isp_b", "mobile_b"]))
        first = int(rng.integers(clock.hours))
        down = (table.hour >= first) & (table.hour < first + int(rng.geometric(0.4)))
        keep &= ~(down & (pools[table.ip] == pool) & (rng.random(len(table)) < 0.8))
    survivors = np.zeros(len(world.keys), dtype=np.bool_)
    survivors[table.key[keep]] = True
    return table.where(keep | ~survivors[table.key])


def _expiry(world: World, table: Table) -> Table:
    """Keys that expire, in the window or before it, go on failing until somebody looks."""
    rng, clock = world.rng, world.clock
    chosen = rng.random(len(world.keys)) < world.rates.expired * min(1.0, 0.4 + 0.6 * clock.days / 14)
    expires = np.full(len(world.keys), clock.hours + 1)
    patience = np.full(len(world.keys), clock.hours)
    for number, entry in enumerate(world.keys):
        if entry.expires is not None:  # replaced: a straggler may fail for some hours more
            expires[number], patience[number] = entry.expires, int(rng.geometric(0.3)) - 1
    for number, entry in enumerate(world.keys):
        if not chosen[number] or entry.role in ("leaked", "nobody") or entry.expires is not None:
            continue
        before = entry.role == "innocent" and rng.random() < 0.25
        expires[number] = 0 if before else int(rng.integers(clock.hours))
        patience[number] = int(rng.geometric(0.02)) if rng.random() < 0.6 else clock.hours
        entry.expires = int(expires[number])
    over = (table.hour >= expires[table.key]) & (table.kind == USE)
    keep = ~over | (table.hour < expires[table.key] + patience[table.key])
    table.kind = np.where(over, AUTH_FAIL, table.kind)
    table.count = np.where(over, np.minimum(table.count, 60), table.count)
    return table.where(keep)


def _allowlists(world: World, table: Table) -> Table:
    """Declares the addresses on each key's list, and refuses some of what comes from an address not yet on it."""
    rng, rates = world.rng, world.rates
    declared = Traffic()
    by_exchange = np.clip(rng.normal(rates.allowlist_report, 0.1, size=len(EXCHANGES)), 0, 1)
    used = np.flatnonzero(table.kind == USE)
    order = used[np.lexsort((table.hour[used], table.key[used]))]
    keys = table.key[order]
    bounds = np.searchsorted(keys, np.arange(len(world.keys) + 1))
    refuse: list[int] = []
    for number, entry in enumerate(world.keys):
        if entry.exchange < 0 or entry.role == "nobody":
            continue
        mandatory = ALLOWLIST_MANDATORY[entry.exchange]
        lists = entry.lists
        if lists is None:
            lists = bool(rng.random() < (by_exchange[entry.exchange] if mandatory else 0.35 * rates.allowlist_report))
        if not lists:
            continue
        rows = order[bounds[number] : bounds[number + 1]]
        refuse.extend(_one_list(world, number, entry, table, rows, declared))
    lists_table = declared.table()
    if refuse:
        picked = np.asarray(refuse, dtype=np.int64)
        refused = table.where(picked)
        refused.kind = np.full(len(refused), AUTH_FAIL)
        refused.count = 1 + rng.poisson(4, len(refused))
        replaced = picked[rng.random(len(picked)) < 0.4]
        keep = np.ones(len(table), dtype=np.bool_)
        keep[replaced] = False
        table = Table.join([table.where(keep), refused])
    return Table.join([table, lists_table])


def _one_list(world: World, number: int, entry: Key, table: Table, rows: np.ndarray, declared: Traffic) -> list[int]:
    """Declares one key's list; answers the rows that were refused because their address was new."""
    rng, rates, clock = world.rng, world.rates, world.clock
    room = ALLOWLIST_ROOM[entry.exchange]
    ips, first_at, counts = np.unique(table.ip[rows], return_index=True, return_counts=True)
    by_weight = np.argsort(-counts, kind="stable")
    birth = int(table.hour[rows[0]]) if len(rows) and entry.life is not None else 0
    at_birth = max(0, birth - 1)
    refused: list[int] = []
    listed = list(dict.fromkeys(entry.planned))[:room]
    for address in listed:
        declared.add(number, np.array([at_birth]), address, -1, 1, reporter=entry.exchange, kind=ALLOWLIST)
    left = room - len(listed)
    for place in by_weight:
        address, first = int(ips[place]), int(table.hour[rows[first_at[place]]])
        if address in listed or left <= 0:
            continue
        if entry.role == "leaked" and address not in _haunts(world, number):
            continue
        left -= 1
        known_before = first <= at_birth + 1 or rng.random() < 0.5
        if not known_before and rng.random() < rates.allowlist_fail:
            here = rows[table.ip[rows] == address]
            refused.extend(int(r) for r in here[: int(rng.geometric(0.6))])
        when = at_birth if known_before else max(first - int(rng.random() < 0.5), 0)
        declared.add(number, np.array([when]), address, -1, 1, reporter=entry.exchange, kind=ALLOWLIST)
    if left > 0 and rng.random() < rates.allowlist_spare:
        spare = int(world.places.home("static")[0]) if rng.random() < 0.7 else world.places.server_address()
        when = at_birth if rng.random() < 0.8 else int(rng.integers(clock.hours))
        declared.add(number, np.array([when]), spare, -1, 1, reporter=entry.exchange, kind=ALLOWLIST)
    return refused


def _haunts(world: World, number: int) -> set[int]:
    """The addresses at which a key's holder is at home."""
    return {int(a) for place, _ in world.habits[number] for a in np.unique(place)}


def _devices(world: World, table: Table) -> Table:
    """Sightings without a device: a share of each exchange's, and all declarations."""
    rng = world.rng
    share = np.clip(rng.gamma(1.0, world.rates.device_missing + 1e-9, size=len(EXCHANGES)), 0, 0.5)
    if rng.random() < 0.85:  # most worlds have no exchange that leaves out much
        share = np.minimum(share, 0.05)
    drop = (rng.random(len(table)) < share[table.reporter]) | (table.kind == ALLOWLIST)
    table.device = np.where(drop, -1, table.device)
    return table
