"""How a gateway goes, in numbers: what it holds, what it sent, and whatever it had to let go, each under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """Numbers of sightings since this process began, or since the spool did where they are the spool's.

    ``problem`` is what keeps sightings from being shipped, ``verdicts_problem`` what keeps verdicts from coming; they are empty
    where nothing does, or another process does that work.

    What was let go: ``dropped`` at a bound; ``refused`` because it was no sighting; ``without_device`` is counted, but for a
    device that cannot be used; ``without_address`` named a key, and nobody could know from where, as trusted proxies did not say.
    ``unreadable`` could not be read any more and ``set_aside`` are in batches that the registry can never take; both stay in the
    spool, and ``discarded`` are those of them that had to make room. ``lowered`` were sent with a count of one, as the registry
    may have had them longer ago than it knows a batch again.

    ``verdicts`` is how many keys have one. ``receipts`` is how many reports of what was done about them this process has had
    answered, ``reports_waiting`` how many wait, of all processes, and ``reports_lost`` how many had to make room. ``of_no_use``
    is how often an answer to this process said that a key that was refused is of no use here.
    """

    ships: bool
    combinations: int
    waiting: int
    oldest: int
    sent: int
    dropped: int
    refused: int
    without_device: int
    without_address: int
    unreadable: int
    lowered: int
    set_aside: int
    discarded: int
    refused_by_registry: Mapping[str, int]
    evaluators: Mapping[str, str]
    problem: str
    verdicts: int
    verdicts_problem: str
    receipts: int
    reports_waiting: int
    reports_lost: int
    of_no_use: int
