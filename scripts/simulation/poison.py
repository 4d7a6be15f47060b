"""One dishonest member that invents holders in lockstep on its victims' addresses, to make innocents look like a ring.

The invented keys are labelled ``invented`` and their victims ``framed``; neither is guilty, and no verdict may rise
by this alone.
"""

from __future__ import annotations

import numpy as np

from .spec import EXCHANGES
from .world import World


def poison(world: World, member: int, share: float = 0.01) -> None:
    """For ``share`` of the innocent keys of other members, 5 to 15 inventions do what the victim does, hour by hour."""
    rng = world.rng
    innocent = [
        n
        for n, k in enumerate(world.keys)
        if k.role == "innocent" and k.exchange not in (member, -1) and world.habits[n]
    ]
    count = min(len(innocent), max(3, round(share * len(innocent))))
    table = world.traffic.table()
    order = np.argsort(table.key, kind="stable")
    bounds = np.searchsorted(table.key[order], np.arange(len(world.keys) + 1))
    for victim in rng.choice(innocent, size=count, replace=False):
        rows = order[bounds[victim] : bounds[victim + 1]]
        rows = rows[table.kind[rows] == 0]
        if not len(rows):
            continue
        world.keys[victim].role = "framed"
        name = f"{world.ring_name('poison')}-{EXCHANGES[member]}"
        for _ in range(int(rng.integers(5, 16))):
            key = world.issue(world.person(), member, "invented", role="invented", ring=name, settled=True)
            world.accounts[world.keys[key].account].known = True
            kept = rows[rng.random(len(rows)) < 0.95]
            world.traffic.add(
                key, table.hour[kept], table.ip[kept], table.device[kept], table.count[kept], reporter=member
            )
