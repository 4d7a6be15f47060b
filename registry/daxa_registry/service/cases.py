"""Cases as they stand now: who belongs together, who drives, who lends, who is a leak's victim; by pseudonyms alone.

Worked out anew from the stored graph each time; nothing is stored, and it refuses only a case that there is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daxa_core.errors import ErrorCode, Refused
from daxa_core.model import Level, Manner
from daxa_registry.decision.assess import Assessment
from daxa_registry.decision.cases import Case, cases_of, suspects_of
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.graph import Neighbourhood
from daxa_registry.decision.places import PlaceFacts
from daxa_registry.decision.roles import Part, roles_of
from daxa_registry.store.interface import Standing, Store

from .matching import Matcher

PART = 500


@dataclass(frozen=True, slots=True)
class CasePart:
    """One subject of a case, with its verdict and its role."""

    subject: int
    member: str
    level: Level
    score: float
    role: str
    lead: float
    first_hour: int
    sequence: int


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case: its parts, who leads first; its addresses; and (subject, address, hours of use) between them."""

    number: int
    parts: tuple[CasePart, ...]
    addresses: tuple[int, ...]
    edges: tuple[tuple[int, int, int], ...]


def cases(store: Store, matcher: Matcher, now: int, number: int = 0) -> list[CaseView]:
    """Every case, the largest first, or the one of that number. Raises Refused NOT_FOUND."""
    suspected = store.suspects()
    seen: dict[int, Neighbourhood] = {}
    said: dict[int, Assessment] = {}
    facts: dict[int, PlaceFacts] = {}
    for start in range(0, len(suspected), PART):
        with store.transaction():
            for neighbourhood, _, assessment in matcher.assessments(suspected[start : start + PART], now):
                seen[neighbourhood.subject.id] = neighbourhood
                said[neighbourhood.subject.id] = assessment
                facts.update(matcher.facts(neighbourhood))
    suspects = suspects_of(said)
    tried = {
        subject: _tried(seen[subject], facts) for subject in suspects if said[subject].hypothesis is Hypothesis.LEAK
    }
    found = cases_of(suspects, facts, tried)
    if number:
        found = tuple(case for case in found if case.id == number)
        if not found:
            raise Refused(ErrorCode.NOT_FOUND, "case", "the number of a case that stands now")
    names = store.members()
    with store.transaction():
        standings = store.standings({subject for case in found for subject in case.subjects})
    views = [_view(case, seen, said, facts, tried, names, standings) for case in found]
    return sorted(views, key=lambda view: (-len(view.parts), view.number))


def _tried(neighbourhood: Neighbourhood, facts: dict[int, PlaceFacts]) -> frozenset[tuple[int, int]]:
    """From where, and with what, strangers presented the key."""
    failed = [p for p in (*neighbourhood.own, *neighbourhood.elsewhere) if p.manner is Manner.REJECTED]
    return frozenset(
        (p.address, p.device)
        for p in failed
        if (refused := facts[p.address].refused.get(p.device)) is not None and refused.of_strangers
    )


def _view(
    case: Case,
    seen: Mapping[int, Neighbourhood],
    said: Mapping[int, Assessment],
    facts: Mapping[int, PlaceFacts],
    tried: Mapping[int, frozenset[tuple[int, int]]],
    names: Mapping[int, str],
    standings: Mapping[int, Standing],
) -> CaseView:
    leading = {subject: said[subject].hypothesis for subject in case.subjects}
    roles = roles_of([seen[subject] for subject in case.subjects], facts, leading)
    edges: list[tuple[int, int, int]] = []
    for subject in case.subjects:
        sources = {address for address, _ in tried.get(subject, ())}
        for address in case.addresses:
            tenancy = facts[address].tenants.get(subject) if address in facts else None
            if tenancy is not None or address in sources:
                edges.append((subject, address, tenancy.hours if tenancy is not None else 0))
    parts = tuple(_part(part, said[part.subject], names, standings[part.subject]) for part in roles)
    return CaseView(case.id, parts, case.addresses, tuple(edges))


def _part(part: Part, said: Assessment, names: Mapping[int, str], standing: Standing) -> CasePart:
    return CasePart(
        part.subject,
        names[standing.member],
        standing.level,
        said.score,
        part.role.value,
        part.lead,
        part.first_hour,
        standing.sequence,
    )
