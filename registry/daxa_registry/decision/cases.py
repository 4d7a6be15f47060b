"""Cases: which subjects one operator seems to drive or one thief to try, by the places where the evidence puts them together.

Two suspects belong together if they meet on an address in the same hours beyond the daily rhythm, or with the same client
stack, and are different people there; or if strangers tried both from one address with one client stack. Suspects are who
stands at ``MONITOR`` or above as one operator's or as leaked. Hubs join nobody by company.

>>> cases_of([], {})
()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daxa_core.model import Level
from daxa_registry.decision.assess import Assessment
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.places import HUB_PERSONS, PlaceFacts

NOT_TRIED: Mapping[int, frozenset[tuple[int, int]]] = {}


@dataclass(frozen=True, slots=True)
class Case:
    """Subjects that belong together, ascending; ``id`` is the smallest, so that a case keeps its name as it grows."""

    id: int
    subjects: tuple[int, ...]
    addresses: tuple[int, ...]


def suspects_of(assessments: Mapping[int, Assessment]) -> frozenset[int]:
    """The subjects that are not clear and whom an operator or a thief would share with others."""
    return frozenset(
        subject
        for subject, assessment in assessments.items()
        if assessment.level >= Level.MONITOR and assessment.hypothesis is not Hypothesis.PARTIES
    )


def cases_of(
    suspects: Iterable[int],
    places: Mapping[int, PlaceFacts],
    tried: Mapping[int, frozenset[tuple[int, int]]] = NOT_TRIED,
) -> tuple[Case, ...]:
    """Groups the suspects over the places where they meet. Pure union-find: the order of arguments does not matter.

    ``tried`` has, for suspects whose key strangers presented, from which (address, device).
    """
    parent = {subject: subject for subject in suspects}

    def root(subject: int) -> int:
        while parent[subject] != subject:
            parent[subject] = parent[parent[subject]]
            subject = parent[subject]
        return subject

    joined_at: list[tuple[int, int]] = []
    for address in sorted(places):
        place = places[address]
        present = sorted(parent.keys() & place.tenants.keys())
        if len(present) < 2 or place.infrastructure or place.crowded or place.subjects > HUB_PERSONS:
            continue
        here: dict[tuple[int, int], list[int]] = {}
        for subject in present:
            tenancy = place.tenants[subject]
            here.setdefault((tenancy.member, tenancy.person), []).append(subject)
        for subject in present:
            for share in place.tenants[subject].shares:
                tied = share.partners | share.same
                for (member, person), others in here.items():
                    if member == share.member and person & tied:
                        for other in others:
                            low, high = sorted((root(subject), root(other)))
                            parent[high] = low
                            joined_at.append((subject, address))
    first_tried: dict[tuple[int, int], int] = {}
    for subject in sorted(parent.keys() & tried.keys()):
        for source in tried[subject]:
            other = first_tried.setdefault(source, subject)
            if other != subject:
                low, high = sorted((root(subject), root(other)))
                parent[high] = low
                joined_at.append((subject, source[0]))
    groups: dict[int, list[int]] = {}
    for subject in sorted(parent):
        groups.setdefault(root(subject), []).append(subject)
    addresses: dict[int, set[int]] = {}
    for subject, address in joined_at:
        addresses.setdefault(root(subject), set()).add(address)
    return tuple(
        Case(name, tuple(subjects), tuple(sorted(addresses.get(name, ()))))
        for name, subjects in sorted(groups.items())
        if len(subjects) > 1
    )
