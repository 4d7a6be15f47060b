"""Who is surely CLEAR at a glance: never somebody of whom a full decision would say anything else."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa_core.errors import DaxaError
from daxa_core.model import SECONDS_PER_HOUR, Level, Manner, Sighting
from daxa_registry.decision.assess import assess
from daxa_registry.decision.breadth import NOTHING as BREADTH_OF_NOBODY
from daxa_registry.decision.company import NOTHING as NO_COMPANY
from daxa_registry.decision.evidence import Evidence, View
from daxa_registry.decision.features import INDEX
from daxa_registry.decision.policy import Curve, Surface, Weights, default_policy
from daxa_registry.decision.quiet import Glance, Quiet, _highest
from daxa_registry.decision.refusals import NOTHING as NO_REFUSALS
from daxa_registry.service.matching import Matcher
from daxa_registry.store.sqlite import SqliteStore

HOUR = 1_000


def fp(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def sighting(key: int, address: int, hour: int, device: int, manner: Manner, who: tuple[int, int]) -> Sighting:
    account, holder = who
    return Sighting(
        fp(f"k{key}"), fp(f"a{address}"), fp(f"n{address // 2}"), HOUR + hour, manner, 1,
        fp(f"d{device}") if device else None, fp(f"h{holder}") if holder else None, b"%016d" % account if account else None,
    )  # fmt: skip


def fine(_: Sequence[bytes]) -> Mapping[bytes, DaxaError]:
    return {}


SIGHTINGS = st.builds(
    sighting, st.integers(1, 5), st.integers(1, 6), st.sampled_from((0, 1, 2, 13, 26, 27, 40, 60)), st.integers(0, 2),
    st.sampled_from((Manner.USED,) * 6 + (Manner.REJECTED, Manner.DECLARED)), st.tuples(st.integers(0, 3), st.integers(0, 2)),
)  # fmt: skip
Rows = tuple[tuple[float, ...], ...]
BATCHES = st.lists(st.tuples(st.sampled_from(("upbit", "bithumb")), st.lists(SIGHTINGS, min_size=1, max_size=12)))


def check(store: SqliteStore) -> None:
    policy = default_policy()
    quiet, matcher = Quiet(policy), Matcher(store, policy)
    everybody = sorted(store.all_subjects())
    glances = {glance.subject: glance for glance in store.glances(everybody)}
    for neighbourhood, _, assessment in matcher.assessments(everybody, (HOUR + 61) * SECONDS_PER_HOUR):
        glance = glances.get(neighbourhood.subject.id)
        if glance is not None:
            assert assessment.score <= quiet.highest(glance) + 1e-6
            assert not quiet.surely_clear(glance) or assessment.level is Level.CLEAR


@settings(max_examples=150, deadline=None)
@given(BATCHES)
def test_a_glance_never_promises_less_than_a_decision_says(batches: list[tuple[str, list[Sighting]]]) -> None:
    """Whatever was reported, in whatever order: the score is at most what the glance allows."""
    store = SqliteStore(":memory:")
    for name, sightings in batches:
        with store.transaction():
            store.absorb(store.member_id(name), sightings, fine)
            check(store)
    store.close()


@settings(max_examples=40, deadline=None)
@given(BATCHES, BATCHES)
def test_what_is_read_back_from_the_file_promises_no_less(
    tmp_path_factory: object, before: list[tuple[str, list[Sighting]]], after: list[tuple[str, list[Sighting]]]
) -> None:
    """After a restart the ledgers come from the file, and say the same."""
    path = Path(tmp_path_factory.mktemp("quiet") / "registry.sqlite")  # type: ignore[attr-defined]
    for batches in (before, after):
        store = SqliteStore(path)
        for name, sightings in batches:
            with store.transaction():
                store.absorb(store.member_id(name), sightings, fine)
                check(store)
        store.close()


def test_a_customer_alone_is_quiet_and_one_in_company_is_not() -> None:
    """The gate opens and shuts: without it everybody is decided each hour, with too much of it nobody is."""
    store = SqliteStore(":memory:")
    with store.transaction():
        member = store.member_id("upbit")
        alone = [sighting(1, 1, hour, 1, Manner.USED, (1, 0)) for hour in range(30)]
        together = [sighting(key, 3, hour, 1, Manner.USED, (key, 0)) for hour in range(30) for key in (2, 3)]
        tried = [sighting(4, 5, 0, 2, Manner.REJECTED, (0, 0)), sighting(4, 1, 9, 1, Manner.USED, (4, 0))]
        taken = store.absorb(member, [*alone, *together, *tried], fine)
        quiet = Quiet(default_policy())
        calm = {glance.subject for glance in store.glances(taken.moved) if quiet.surely_clear(glance)}
        assert calm == {taken.subjects[0]}
    assert not quiet.surely_clear(Glance(1, True, False, False, 1, 1, False, False, False))
    assert not quiet.surely_clear(Glance(1, False, False, False, 9, 40, True, True, True))
    store.close()


@given(
    st.integers(1, 3), st.integers(2, 5), st.booleans(), st.booleans(),
    st.fixed_dictionaries({name: st.floats(0, 1) for name in ("concurrency", "interleaving", "diversity", "parties")}),
)  # fmt: skip
def test_no_place_within_the_bounds_is_higher_than_the_highest_corner(
    stacks: int, networks: int, twice: bool, lasting: bool, at: dict[str, float]
) -> None:
    """Between the knots nothing sticks out: the largest is looked for where it must be."""
    policy = default_policy()
    values = [*NO_COMPANY, *BREADTH_OF_NOBODY, *NO_REFUSALS]
    bounds = {
        "concurrency": (0.0, float(twice)), "interleaving": (0.0, (networks * (networks - 1)) ** 0.5 * lasting),
        "diversity": (1.0, float(networks)), "parties": (1.0, float(min(stacks, networks))),
    }  # fmt: skip
    values[INDEX["stacks"]], values[INDEX["networks"]] = float(stacks), float(networks)
    for name, (low, high) in bounds.items():
        values[INDEX[name]] = low + (high - low) * at[name]
    view = View((), tuple(values))
    score = assess(Evidence(0, 0, 0, HOUR, 0, (view,)), policy, HOUR * SECONDS_PER_HOUR).score
    glance = Glance(1, False, False, False, stacks, networks, twice, False, lasting)
    assert score <= Quiet(policy).highest(glance) + 1e-6


_VALUE = st.integers(-8, 8).map(float)
_TABLE = st.tuples(*[st.tuples(*[_VALUE] * 3)] * 3)


@given(st.tuples(*[_VALUE] * 3), st.tuples(*[_VALUE] * 3), _TABLE, _TABLE, _TABLE)
def test_the_bound_is_what_the_terms_reach_together(
    on_networks: tuple[float, ...], on_people: tuple[float, ...], one: Rows, other: Rows, across: Rows
) -> None:
    """No less, and no more: with each term at a largest of its own, who is on three networks would be decided each hour."""
    networks, concurrency, people = INDEX["networks"], INDEX["concurrency"], INDEX["people"]
    curves = Curve("A", networks, (1, 3, 9), on_networks), Curve("B", people, (0, 1, 2), on_people)
    pairs = (
        Surface("AB", (networks, concurrency), (2, 3, 4), (0, 0.5, 2), one),
        Surface("BA", (concurrency, networks), (0, 0.25, 1), (2, 4, 6), other),
        Surface("BC", (people, concurrency), (0, 1, 2), (0, 0.5, 1), across),
    )
    reached = -100.0
    for x, y in itertools.product((2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0), (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)):
        at = {networks: x, concurrency: y, people: NO_COMPANY[people]}
        said = [curve(at[curve.feature]) for curve in curves]
        said += [pair(at[pair.features[0]], at[pair.features[1]]) for pair in pairs]
        reached = max(reached, -1.5 + sum(said))
    highest = _highest(Weights(-1.5, curves, pairs, 100.0), {"networks": 5.0, "concurrency": 1.0})
    assert highest == pytest.approx(reached, abs=1e-6)
