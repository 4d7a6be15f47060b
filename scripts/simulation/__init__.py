"""A seeded generator of a Korean market's API traffic at five exchanges, with the truth beside it.

It writes what ``daxa-registry backtest`` reads. Everything that evidence-model and issue name is a pattern of its
own here: rings and their evasions, shared and leaked keys, and the innocent crowds that look like them. One world's
numbers prove little; fit and judge over many ``random`` worlds.

>>> simulation = generate(WorldSpec(seed=7, keys=300, days=1))
>>> sum(entry["guilty"] for entry in simulation.truth())
7
"""

from __future__ import annotations

from .generate import Sighting, Simulation, generate
from .patterns import GUILTY, INNOCENT, PATTERNS
from .spec import EXCHANGES, WORLDS, Rates, WorldSpec, draw_rates

__all__ = [
    "EXCHANGES",
    "GUILTY",
    "INNOCENT",
    "PATTERNS",
    "WORLDS",
    "Rates",
    "Sighting",
    "Simulation",
    "WorldSpec",
    "draw_rates",
    "generate",
]
