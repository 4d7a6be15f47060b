"""Eleven more simulators of the same market, each written from the description alone by somebody who had not seen ``simulation``.

One simulator has habits, and a policy that is fitted on its worlds alone learns them: bot services whose customers list only the
address that they use, people who never change networks within an hour. The first fit that met other readings' worlds marked
customers of such services who list all. So weights are learnt on all of them, and how far they carry is told by fitting
without one reading and judging on it. All are about as hard as the traffic on which the model that was tried before is said to
have been tried: it does on them about what it did there.

>>> sightings, truth, declared = market(ReadingSpec("third", seed=1, keys=300, days=2))
>>> sorted(next(iter(sightings)))
['account', 'count', 'device', 'exchange', 'holder', 'ip', 'key', 'kind', 'ts']
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulation.poison import Inventions

from . import eighth, eleventh, fifth, first, fourth, ninth, second, seventh, sixth, tenth, third

READINGS = {
    "first": first.market,
    "second": second.market,
    "third": third.market,
    "fourth": fourth.market,
    "fifth": fifth.market,
    "sixth": sixth.market,
    "seventh": seventh.market,
    "eighth": eighth.market,
    "ninth": ninth.market,
    "tenth": tenth.market,
    "eleventh": eleventh.market,
}
# Their names for what ``simulation`` has a name for and figures are told by: the look-alikes.
NAMES = {
    "class": "class_image",
    "class_or_team": "class_image",
    "team": "team_image",
    "household_shared": "household_one",
    "household_together": "household_one",
    "platform_undeclared_small": "platform_small",
    "undeclared_platform_small": "platform_small",
}


@dataclass(frozen=True, slots=True)
class ReadingSpec:
    """One world of a reading, by its name in ``READINGS``; ``poison`` names a member that invents holders."""

    world: str
    seed: int = 0
    keys: int = 20_000
    days: int = 14
    innocent: float = 0.978
    holders: bool = True
    poison: str | None = None


def market(spec: ReadingSpec) -> tuple[Iterator[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Sightings in the format of ``backtest`` and in time order, the truth on each issued key, declared infrastructure."""
    sightings, truth, declared = READINGS[spec.world](
        spec.seed, spec.keys, spec.days, innocent=spec.innocent, holders=spec.holders
    )
    for entry in truth:
        entry["pattern"] = NAMES.get(entry["pattern"], entry["pattern"])
    if spec.poison is not None:
        inventions = Inventions(truth, spec.poison, spec.seed)
        return inventions.sightings(sightings), inventions.truth, declared
    return sightings, truth, declared
