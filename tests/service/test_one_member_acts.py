"""What one dishonest member can do with everything else that it may do: take back, report, appeal, and report leaks.

The registry decides as it does when it serves: everybody is looked at again and again while days pass, the ladder is climbed, and
the honest exchange acts on what it is told. The liar moves between the looks. Nothing of it raises another member's verdict past
MONITOR, or lowers it below where it stands without the liar.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings, target
from hypothesis import strategies as st
from test_one_member import HONEST, LIAR, NOW, OWN, POLICY, THIRD, WORLDS, fp, lies, victims

from daxa_core.errors import DaxaError
from daxa_core.leaks import Leak, LeakState, Tlp
from daxa_core.model import Act, Ground, Level, Sighting
from daxa_registry.bootstrap import open_store
from daxa_registry.decision.assess import assess
from daxa_registry.service import appeals
from daxa_registry.service.leaks import Leaks
from daxa_registry.service.matching import Matcher
from daxa_registry.service.reports import Report, report_enforcement
from sightings import fine

HOUR = 3_600
LOOKS = 6
HOURS_BETWEEN = 25
"""Longer than any step of the ladder has to wait."""
ACTED = 2
"""The look after which the rings' exchange does something about its verdicts."""
Key = tuple[str, bytes]


@dataclass(frozen=True)
class Stands:
    """The level of a verdict after a look, and what all the evidence supports, no member's part left out."""

    level: Level
    whole: Level


class Registry:
    """One registry over a store and a clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = open_store(":memory:")
        self.matcher = Matcher(self.store, POLICY)
        self.leaks = Leaks(self.store, self.matcher, lambda heads: None, lambda: self.now, check_elements=fine)
        self.members = {name: self.store.member_id(name) for name in (OWN, HONEST, THIRD, LIAR)}
        self._ids = 0

    def fresh_id(self) -> bytes:
        self._ids += 1
        return self._ids.to_bytes(16, "big")

    def submit(self, member: str, sightings: Sequence[Sighting]) -> None:
        for start in range(0, len(sightings), 500):
            with self.store.transaction():
                absorbed = self.store.absorb(self.members[member], sightings[start : start + 500], fine)
                assert not absorbed.refusals
                self.matcher.decide(self.matcher.after(absorbed), self.now)

    def withdraw(self, member: str, key: bytes, first: int = 0, last: int = 2**32 - 1) -> None:
        with self.store.transaction():
            _, subjects = self.store.withdraw(self.members[member], key, first, last)
            self.matcher.decide(subjects, self.now)

    def verdicts(self, member: str) -> list[tuple[bytes, int, Level]]:
        """The member's keys that have a verdict: key, sequence, level."""
        with self.store.transaction():
            standings = self.store.standings(list(self.store.all_subjects()))
        mine = [one for one in standings.values() if one.member == self.members[member] and one.sequence]
        return sorted((one.key, one.sequence, one.level) for one in mine)

    def report(self, member: str, key: bytes, sequence: int, act: Act) -> None:
        report = Report(self.members[member], self.fresh_id(), key, sequence, act)
        report_enforcement(self.store, self.matcher, report, self.now)

    def appeal(self, member: str, key: bytes, sequence: int) -> None:
        ground = Ground.SHARED_PREMISES
        appeals.appeal(self.store, self.members[member], self.fresh_id(), key, sequence, ground, "", self.now)

    def report_leak(self, member: str, keys: Sequence[bytes]) -> None:
        leak_id = self.fresh_id()
        self.leaks.open(self.members[member], leak_id, Leak("a paste", "found", 1_000, Tlp.AMBER))
        self.leaks.add(self.members[member], leak_id, keys)
        self.leaks.commit(self.members[member], leak_id)

    def take_leaks_back(self, member: str) -> None:
        for leak in self.leaks.listed(self.members[member]):
            if leak.state is not LeakState.WITHDRAWN:
                self.leaks.judge(leak.number, None, "", "", False, self.members[member])

    def look(self) -> dict[Key, Stands]:
        """Everybody is looked at; how the verdicts of all but the liar stand then."""
        names = {number: name for name, number in self.members.items()}
        with self.store.transaction():
            everybody = list(self.store.all_subjects())
            self.matcher.decide(everybody, self.now)
        stands = {}
        with self.store.transaction():
            standings = self.store.standings(everybody)
            for neighbourhood, evidence, _ in self.matcher.assessments(everybody, self.now):
                one = standings[neighbourhood.subject.id]
                whole = assess(replace(evidence, views=evidence.views[:1]), POLICY, self.now)
                stands[names[one.member], one.key] = Stands(one.level, whole.level)
        return {key: value for key, value in stands.items() if key[0] != LIAR}


def acts_of_the_exchange(registry: Registry) -> None:
    """What the rings' own exchange does about what it was told: each of the ring's keys another way."""
    ways = dict(zip((fp(f"{OWN} r{n}") for n in range(3)), (Act.WARNED, Act.REVOKED, Act.REAUTHENTICATED), strict=True))
    for key, sequence, _ in registry.verdicts(OWN):
        if key in ways:
            registry.report(OWN, key, sequence, ways[key])


def lived(world: str, moves: Sequence[Move] = (), looks: int = LOOKS) -> list[dict[Key, Stands]]:
    """How verdicts stand after each look; the liar's moves come before the look of their number."""
    registry = Registry()
    try:
        for member, sightings in WORLDS[world].items():
            registry.submit(member, sightings)
        told = []
        for number in range(looks):
            for move in moves:
                if move.before == number:
                    with suppress(DaxaError):  # refused: the liar goes on
                        move.make(registry)
            told.append(registry.look())
            if number == ACTED:
                acts_of_the_exchange(registry)
            registry.now += HOURS_BETWEEN * HOUR
        return told
    finally:
        registry.store.close()


@cache
def without_liar(world: str) -> list[dict[Key, Stands]]:
    """Some looks more, so that it is known how far each verdict goes."""
    return lived(world, looks=LOOKS + 4)


@dataclass(frozen=True)
class Move:
    """What the liar does before one of the looks: a name, and what it does it with."""

    before: int
    kind: str
    keys: tuple[str, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    act: Act = Act.REVOKED

    def make(self, registry: Registry) -> None:
        mine = [one for one in registry.verdicts(LIAR) if not self.keys or one[0] in map(fp, self.keys)]
        match self.kind:
            case "submit":
                registry.submit(LIAR, self.sightings)
            case "withdraw":
                for key in self.keys:
                    registry.withdraw(LIAR, fp(key))
            case "report leak":
                registry.report_leak(LIAR, [fp(key) for key in self.keys])
            case "take leaks back":
                registry.take_leaks_back(LIAR)
            case "enforce":
                for key, sequence, _ in mine:
                    registry.report(LIAR, key, sequence, self.act)
            case "appeal":
                for key, sequence, _ in mine:
                    registry.appeal(LIAR, key, sequence)


@st.composite
def moves(draw: st.DrawFn, world: str) -> list[Move]:
    """What it submits, and up to half a dozen other acts, in any order and between any two looks."""
    told = draw(lies(world))
    sent = sorted({one.key.decode().rstrip(".") for one in told})
    some = st.lists(st.sampled_from([*victims(world), *sent]), min_size=1, max_size=6, unique=True).map(tuple)
    other = st.builds(
        Move,
        st.integers(0, LOOKS - 1),
        st.sampled_from(["withdraw", "report leak", "report leak", "take leaks back", "enforce", "appeal"]),
        some,
        act=st.sampled_from([Act.WARNED, Act.REAUTHENTICATED, Act.REVOKED]),
    )
    first = Move(draw(st.integers(0, LOOKS - 2)), "submit", sightings=tuple(told))
    return [first, *draw(st.lists(other, min_size=1, max_size=6))]


def check(world: str, made: Sequence[Move]) -> float:
    """Holds both halves of the promise at every look for every key of every other member; how much the liar moved."""
    before = without_liar(world)
    moved = 0
    for number, after in enumerate(lived(world, made)):
        for who, then in before[number].items():
            most = max(max(look[who].level, look[who].whole) for look in before)
            now = after[who].level
            assert now <= max(most, Level.MONITOR), f"raised {who} to {now.name} at look {number}, {most.name} at most"
            assert now >= then.level, f"lowered {who} from {then.level.name} to {now.name} at look {number}"
            moved += now - then.level
    return float(moved)


@pytest.mark.parametrize("world", list(WORLDS))
def test_whatever_else_one_member_does_raises_and_lowers_nobody_elses_verdict(world: str) -> None:
    """The adversary steers by how much it moved, and finds no way past MONITOR and no way down."""

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(moves(world))
    def search(made: list[Move]) -> None:
        target(check(world, made))

    search()


@pytest.mark.parametrize("world", list(WORLDS))
@pytest.mark.parametrize("back", range(1, LOOKS))
def test_a_leak_that_one_member_reports_and_takes_back_leaves_others_as_they_were(world: str, back: int) -> None:
    """Its own keys or another's, whatever has become of their verdicts meanwhile: what their exchange revoked stays revoked, and
    who went on after a warning is not let go."""
    keys = tuple(victims(world))
    check(world, [Move(back - 1, "report leak", keys), Move(back, "take leaks back")])
    check(world, [Move(0, "report leak", keys), Move(back, "take leaks back")])


def test_the_worlds_come_to_every_level_by_themselves() -> None:
    """There is something to lower: what rose by itself, what went on after a warning, what its exchange revoked."""
    of_world = {
        world: {stands.level for look in without_liar(world)[:LOOKS] for stands in look.values()} for world in WORLDS
    }
    assert set().union(*of_world.values()) == set(Level)
    assert all(levels >= {Level.MONITOR, Level.WARN} for world, levels in of_world.items() if "nobody" not in world)
