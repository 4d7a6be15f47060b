"""One dishonest member that invents holders in lockstep on its victims' addresses, to make innocents look like a ring.

The invented keys are labelled ``invented`` and their victims ``framed``; neither is guilty, and no verdict may rise
by this alone. Any market can be poisoned, whoever simulated it: what is invented is made of sightings and truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

BESIDE_THE_GUILTY = ("operator-own", "lender-other")
"""Roles of keys that are not guilty, and no bystander's."""


class Inventions:
    """What ``member`` invents: for ``share`` of the innocent keys of others, 5 to 15 keys of as many people at its own exchange.

    >>> entry = {"exchange": "upbit", "key": "k", "guilty": False, "pattern": "bot_home", "role": "innocent", "ring": None}
    >>> made = Inventions([entry], "gopax", seed=1)
    >>> [one["role"] for one in made.truth][:2]
    ['framed', 'invented']
    """

    def __init__(self, truth: Iterable[Mapping[str, Any]], member: str, seed: int, share: float = 0.01) -> None:
        self._member, self._rng = member, np.random.default_rng([seed, 0xF4A3])
        self.truth = [dict(entry) for entry in truth]
        innocent = [
            entry
            for entry in self.truth
            if not entry["guilty"] and entry["role"] not in BESIDE_THE_GUILTY and entry["exchange"] != member
        ]
        count = min(len(innocent), max(3, round(share * len(innocent))))
        self._beside: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
        for number, place in enumerate(self._rng.choice(len(innocent), size=count, replace=False).tolist()):
            victim = innocent[place]
            victim["role"] = "framed"
            mine = [self._person() for _ in range(int(self._rng.integers(5, 16)))]
            self._beside[(victim["exchange"], victim["key"])] = mine
            facts = {"guilty": False, "pattern": "invented", "role": "invented", "ring": f"poison-{number}-{member}"}
            self.truth += [{"exchange": member, "key": key, **facts, "person": key, "seen": True} for key, _, _ in mine]

    def _person(self) -> tuple[str, str, str]:
        key, account, holder = (self._rng.bytes(16).hex() for _ in range(3))
        return key, f"invented-{account}", f"invented-{holder}"

    def sightings(self, sightings: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Those, in their order, and what the inventions do: what their victim does, at the same time, mostly."""
        for line in sightings:
            yield dict(line)
            if line["kind"] != "use":
                continue
            for key, account, holder in self._beside.get((line["exchange"], line["key"]), ()):
                if self._rng.random() < 0.95:
                    yield {**line, "exchange": self._member, "key": key, "account": account, "holder": holder}
