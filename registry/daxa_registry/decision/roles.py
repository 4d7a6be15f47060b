"""Who drives and who lends: the direction of the star, who came first, and who has a life elsewhere.

An operator's own key lives on the shared address: it was there before the others came, and it is seen nowhere else. A lender's
key comes later, from a place of the holder's own, and often still visits it. So each subject of a case gets

    lead = was there first (0..1) + guests received − hosts visited (−1..1) − share of its hours elsewhere (0..1)

and is ranked by it. One whose leading hypothesis is a leak is a victim, whatever the star says.

>>> roles_of([], {}, {})
()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from daxa_core.model import Manner
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.graph import Neighbourhood
from daxa_registry.decision.places import PlaceFacts

HEAD_START_HOURS = 24
CONTROLLER_LEAD = 0.75
CLEARLY = 0.1


class Role(Enum):
    """A subject's part in a case."""

    CONTROLLER = "controller"
    LENDER = "lender"
    VICTIM = "victim"


@dataclass(frozen=True, slots=True)
class Part:
    """One subject's role with what it rests on; ``lead`` ranks, largest first."""

    subject: int
    role: Role
    lead: float
    first_hour: int
    came_first: float
    guests: int
    hosts: int
    elsewhere: float


def roles_of(
    case: Sequence[Neighbourhood], facts: Mapping[int, PlaceFacts], leading: Mapping[int, Hypothesis]
) -> tuple[Part, ...]:
    """The parts of a case's subjects, who leads first. ``leading`` is each subject's leading hypothesis.

    At most one person is called controller: the one who leads, if it leads clearly. All keys of that holder are theirs.
    """
    ids = {neighbourhood.subject.id for neighbourhood in case}
    parts = [_part(neighbourhood, ids, facts, leading) for neighbourhood in case]
    parts.sort(key=lambda part: (part.role is Role.VICTIM, -part.lead, part.first_hour, part.subject))
    if not parts or parts[0].role is Role.VICTIM or parts[0].lead < CONTROLLER_LEAD:
        return tuple(parts)
    holders = {n.subject.id: n.subject.holder for n in case}
    who = holders[parts[0].subject]
    others = [part.lead for part in parts[1:] if who is None or holders[part.subject] != who]
    if others and max(others) > parts[0].lead - CLEARLY:
        return tuple(parts)  # who came together leads nobody
    return tuple(
        _as_controller(part)
        if part.subject == parts[0].subject
        or (who is not None and holders[part.subject] == who and part.role is not Role.VICTIM)
        else part
        for part in parts
    )


def _as_controller(part: Part) -> Part:
    return Part(
        part.subject,
        Role.CONTROLLER,
        part.lead,
        part.first_hour,
        part.came_first,
        part.guests,
        part.hosts,
        part.elsewhere,
    )


def _part(
    neighbourhood: Neighbourhood, ids: set[int], facts: Mapping[int, PlaceFacts], leading: Mapping[int, Hypothesis]
) -> Part:
    subject = neighbourhood.subject
    shared = total = guests = hosts = 0
    rank = 0.0
    met = first = 0
    for address in dict.fromkeys(p.address for p in neighbourhood.own if p.manner is Manner.USED):
        place = facts.get(address)
        mine = place.tenants.get(subject.id) if place is not None else None
        if place is None or mine is None:
            continue
        total += mine.hours
        others = [tenancy for other, tenancy in place.tenants.items() if other in ids and tenancy.person != mine.person]
        if not others:
            continue
        shared += mine.hours
        first = min(first, mine.first) if first else mine.first
        for tenancy in others:
            met += 1
            rank += 1.0 if mine.first < tenancy.first else 0.5 * (mine.first == tenancy.first)
            guests += tenancy.first >= mine.first + HEAD_START_HOURS
            hosts += mine.first >= tenancy.first + HEAD_START_HOURS
    elsewhere = 1.0 - shared / total if total else 0.0
    came_first = rank / met if met else 0.0
    lead = came_first + (guests - hosts) / max(met, 1) - elsewhere
    role = Role.VICTIM if leading.get(subject.id) is Hypothesis.LEAK else Role.LENDER
    return Part(subject.id, role, round(lead, 6), first, round(came_first, 6), guests, hosts, round(elsewhere, 6))
