"""Who belongs together, and who drives: on neighbourhoods built by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_core.model import Level, Manner
from daxa_registry.decision.assess import Assessment
from daxa_registry.decision.cases import cases_of, suspects_of
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.graph import Neighbourhood, Place, Population, Presence, Subject
from daxa_registry.decision.places import PlaceFacts, facts_of
from daxa_registry.decision.roles import Part, Role, roles_of

SHARED, DAYS = 500, 24
HOURS = sum(1 << h for h in range(200) if h * 7 % 5 < 2)
EVERYBODY = Population()
OPERATOR, PARTIES, LEAK = Hypothesis.OPERATOR, Hypothesis.PARTIES, Hypothesis.LEAK


def subject(number: int, hours: int = 0) -> Subject:
    return Subject(number, 1 + number % 2, 100 + number, b"%016d" % number, None, hours, 1)


def there(who: Subject, address: int, first: int = 1_000, bits: int = HOURS, manner: Manner = Manner.USED) -> Presence:
    return Presence(who, address, address + 1_000, 7, manner, first, bits, 1)


def market(presences: list[Presence]) -> tuple[dict[int, Neighbourhood], dict[int, PlaceFacts]]:
    """Neighbourhoods by subject and facts by address, as a store would give them."""
    places: dict[int, Place] = {}
    for address in {p.address for p in presences}:
        on = tuple(p for p in presences if p.address == address)
        places[address] = Place(address, on[0].network, len({p.subject.id for p in on}), False, False, on)
    facts = {address: facts_of(place, EVERYBODY) for address, place in places.items()}
    seen = {}
    for who in {p.subject for p in presences}:
        own = tuple(p for p in presences if p.subject == who)
        seen[who.id] = Neighbourhood(who, own, (), {p.address: places[p.address] for p in own})
    return seen, facts


def roles(seen: Mapping[int, Neighbourhood], facts: Mapping[int, PlaceFacts], leaked: int = 0) -> dict[int, Part]:
    leading = {number: LEAK if number == leaked else OPERATOR for number in seen}
    return {part.subject: part for part in roles_of(list(seen.values()), facts, leading)}


def test_who_was_there_first_and_is_seen_nowhere_else_drives() -> None:
    """The lenders came days later, and each has a life elsewhere."""
    presences = [there(subject(1), SHARED, 900)]
    for number in range(2, 6):
        presences += [there(subject(number), SHARED, 1_000), there(subject(number), 600 + number, 700)]
    parts = roles(*market(presences))
    assert parts[1].role is Role.CONTROLLER
    assert {parts[number].role for number in range(2, 6)} == {Role.LENDER}
    assert max(parts.values(), key=lambda part: part.lead).subject == 1
    assert parts[1].guests == 4
    assert parts[2].hosts == 1


def test_who_all_came_together_has_no_controller() -> None:
    """Nobody is accused of driving where nothing tells one from another."""
    parts = roles(*market([there(subject(number), SHARED) for number in range(1, 6)]))
    assert {part.role for part in parts.values()} == {Role.LENDER}


def test_two_who_were_first_together_drive_neither() -> None:
    """A lead has to be clear of the next person's."""
    presences = [there(subject(1), SHARED, 900), there(subject(2), SHARED, 900)]
    presences += [there(subject(number), SHARED, 1_000) for number in range(3, 8)]
    assert Role.CONTROLLER not in {part.role for part in roles(*market(presences)).values()}


def test_a_leaks_victim_is_a_victim_whatever_the_star_says() -> None:
    """Though it was there first and nowhere else."""
    presences = [there(subject(1), SHARED, 900)]
    presences += [there(subject(number), SHARED, 1_000) for number in range(2, 5)]
    parts = roles(*market(presences), leaked=1)
    assert parts[1].role is Role.VICTIM
    assert list(parts)[-1] == 1


@pytest.mark.parametrize(
    ("level", "hypothesis", "suspect"),
    [
        (Level.CLEAR, OPERATOR, False),
        (Level.MONITOR, OPERATOR, True),
        (Level.REVOKE, LEAK, True),
        (Level.REVOKE, PARTIES, False),
    ],
)
def test_suspects_are_those_whom_an_operator_or_a_thief_would_share(
    level: Level, hypothesis: Hypothesis, suspect: bool
) -> None:
    """One key of many parties is a matter of its own."""
    assert (suspects_of({1: Assessment(0.0, level, hypothesis, ())}) == {1}) is suspect


def test_cases_follow_shared_places_and_shared_thieves() -> None:
    """Two who meet, joined to a third by a second address; two that one thief tried; one who met nobody stays out."""
    presences = [there(subject(1), 500), there(subject(2), 500), there(subject(2), 501), there(subject(3), 501)]
    presences += [there(subject(4), 502), there(subject(5), 503), there(subject(6), 504)]
    _, facts = market(presences)
    tried = {4: frozenset({(900, 8)}), 5: frozenset({(900, 8), (901, 8)}), 6: frozenset({(900, 9)})}
    found = cases_of(range(1, 7), facts, tried)
    assert [(case.id, case.subjects) for case in found] == [(1, (1, 2, 3)), (4, (4, 5))]
    assert [case.addresses for case in found] == [(500, 501), (900,)]


@given(st.permutations(list(range(1, 7))))
def test_the_order_of_suspects_does_not_matter(order: list[int]) -> None:
    """The same groups under the same names."""
    presences = [there(subject(n), 500 + n // 2) for n in range(1, 7)] + [there(subject(3), 503)]
    _, facts = market(presences)
    assert cases_of(order, facts) == cases_of(range(1, 7), facts)
