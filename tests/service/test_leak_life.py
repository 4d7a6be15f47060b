"""A leak's life at the registry, over a store and a clock that tests move: asked twice, abandoned, withdrawn, one too many."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator

import pytest

from daxa_core.codec import decode_verdict
from daxa_core.errors import DaxaError, ErrorCode
from daxa_core.leaks import Confidence, Leak, LeakState, Tlp
from daxa_core.model import Act, Cause, Level
from daxa_registry.bootstrap import open_store
from daxa_registry.decision.leaked import OPERATORS
from daxa_registry.decision.policy import default_policy
from daxa_registry.service import leak_sets, leaks
from daxa_registry.service.inventories import Inventory, unverified
from daxa_registry.service.leak_sets import LeakSets
from daxa_registry.service.leaks import Leaks
from daxa_registry.service.matching import Matcher
from daxa_registry.service.metrics import Metrics
from daxa_registry.service.sweep import Sweep
from daxa_registry.service.watched import watch_store
from daxa_registry.store.leak_interface import StoredLeak
from sightings import fine, fp, seen

HOUR = 3_600
DAY = 24 * HOUR
MEMBER = 1


class World:
    """One registry's leaks; ``now`` is its clock."""

    def __init__(self) -> None:
        self.now = 500_000 * HOUR
        self.notices: list[tuple[float, int]] = []
        self.store = open_store(":memory:")
        with self.store.transaction():
            assert self.store.member_id("upbit") == MEMBER
        self.leaks = self.again()

    def again(self) -> Leaks:
        """As after a restart."""
        return Leaks(
            self.store, Matcher(self.store, default_policy()), lambda heads: None, lambda: self.now, check_elements=fine,
            on_notice=lambda seconds, verdicts: self.notices.append((seconds, verdicts)),
        )  # fmt: skip

    def open(self, name: str, *keys: str, reporter: int = MEMBER) -> bytes:
        """A leak that is loading, with those keys."""
        leak_id = name.encode().ljust(16, b".")
        self.leaks.open(reporter, leak_id, Leak(name, "a paste", 1_000, Tlp.AMBER))
        if keys:
            self.leaks.add(reporter, leak_id, [fp(key) for key in keys])
        return leak_id

    def commit(self, name: str, *keys: str, reporter: int = MEMBER) -> StoredLeak:
        return self.leaks.commit(reporter, self.open(name, *keys, reporter=reporter))[0]

    def withdraw(self, number: int, member: int | None = MEMBER) -> StoredLeak:
        return self.leaks.judge(number, None, "daxa/kim", "none", False, member)[0]

    def kept(self, number: int) -> StoredLeak:
        return self.store.leaks()[number - 1]

    def keys(self, number: int) -> int:
        return len(self.store.leaked(number, b"", 1_000_000))

    def logged(self) -> int:
        return self.store.next_leaf()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.store.close()


def refused(call: Callable[[], object]) -> ErrorCode:
    with pytest.raises(DaxaError) as caught:
        call()
    return caught.value.code


def test_a_commit_that_is_asked_for_again_answers_as_it_did(world: World) -> None:
    """In force, known already or empty: whoever lost the answer gets the same, and the log has each once."""
    first, again, empty = world.open("one", "a", "b"), world.open("two", "b", "a"), world.open("none")
    told = world.leaks.commit(MEMBER, first)
    logged = world.logged()
    for _ in range(2):
        assert world.leaks.commit(MEMBER, first) == (dataclasses.replace(told[0], applied=None), told[1])
        assert refused(lambda: world.leaks.commit(MEMBER, again)) is ErrorCode.LEAK_KNOWN
        assert refused(lambda: world.leaks.commit(MEMBER, empty)) is ErrorCode.EMPTY_BATCH
    assert world.logged() == logged
    assert (world.keys(1), world.keys(2)) == (2, 0)


def test_a_commit_that_another_call_has_just_made_answers_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call's deadline passed while it was still at work."""
    leak_id = world.open("one", "a")
    digest = Leaks._digest

    def meanwhile(self: Leaks, number: int) -> bytes:
        monkeypatch.setattr(Leaks, "_digest", digest)
        world.again().commit(MEMBER, leak_id)
        return digest(self, number)

    monkeypatch.setattr(Leaks, "_digest", meanwhile)
    assert world.leaks.commit(MEMBER, leak_id)[0].state is LeakState.IN_FORCE


def test_a_withdrawal_that_is_asked_for_again_answers_as_it_did(world: World) -> None:
    """In force, loading, or without a key: once in the log; nothing of its keys stays."""
    world.commit("one", "a")
    world.open("two", "b")
    world.open("none")
    for number in (1, 2, 3):
        gone = world.withdraw(number)
        logged = world.logged()
        assert gone.state is LeakState.WITHDRAWN
        again = world.withdraw(number)
        assert (again.number, again.state, again.keys) == (gone.number, gone.state, gone.keys)
        assert (world.logged(), world.keys(number)) == (logged, 0)


@pytest.mark.parametrize("second", [None, MEMBER])
def test_two_who_withdraw_a_leak_at_once_both_have_it_withdrawn(
    world: World, monkeypatch: pytest.MonkeyPatch, second: int | None
) -> None:
    """The other acts between this one's first look and its own act: it is answered as if it had asked again."""
    world.commit("one", "a")
    check = leaks.check_text
    logged: list[int] = []

    def meanwhile(*words: object) -> None:
        monkeypatch.setattr(leaks, "check_text", check)
        world.again().judge(1, None, "daxa/lee", "no leak", False, second)
        logged.append(world.logged())

    monkeypatch.setattr(leaks, "check_text", meanwhile)
    gone = world.withdraw(1, member=None)
    assert (gone.state, gone.applied, world.keys(1)) == (LeakState.WITHDRAWN, None, 0)
    assert logged == [world.logged()], "once in the log"


def test_what_two_judge_at_once_is_judged_in_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second is told what the first made of it: nothing to verify any more, or verified already."""
    for number, (first, code) in enumerate(
        [(None, ErrorCode.LEAK_CLOSED), (Confidence.VERIFIED, ErrorCode.ALREADY_ANSWERED)], 1
    ):
        world.commit(f"leak {number}", f"k{number}")

        def meanwhile(*words: object, number: int = number, first: Confidence | None = first) -> None:
            monkeypatch.undo()
            world.again().judge(number, first, "daxa/lee", "looked", False)

        monkeypatch.setattr(leaks, "check_text", meanwhile)
        verify = lambda number=number: world.leaks.judge(number, Confidence.VERIFIED, "daxa/kim", "looked", False)  # noqa: E731
        assert refused(verify) is code
        assert leaks.check_text is not meanwhile, "it was called"


def test_a_member_withdraws_what_nobody_verified_and_nothing_else(world: World) -> None:
    """After an operator looked into it, it is no longer the member's word alone; when that is taken back, it is again."""
    world.commit("one", "a")
    for confidence in (Confidence.VERIFIED, Confidence.UNVERIFIED):
        world.leaks.judge(1, confidence, "daxa/kim", "looked", False)
        if confidence is Confidence.VERIFIED:
            assert refused(lambda: world.withdraw(1)) is ErrorCode.PERMISSION_DENIED
    assert world.withdraw(1).state is LeakState.WITHDRAWN
    world.commit("two", "b")
    world.leaks.judge(2, Confidence.VERIFIED, "daxa/kim", "looked", False)
    assert world.withdraw(2, member=None).state is LeakState.WITHDRAWN, "an operator may"


@pytest.mark.parametrize("verified", [False, True])
def test_what_a_leak_held_up_is_corrected_whoever_looks_first(
    world: World, monkeypatch: pytest.MonkeyPatch, verified: bool
) -> None:
    """A batch, or another node's sweep, finds the key without its leak before the withdrawal is decided: it says why it falls."""
    with world.store.transaction():
        world.store.absorb(MEMBER, [seen("a", "home of a")], fine)
    [subject] = world.store.all_subjects()
    world.commit("one", "a", reporter=OPERATORS)
    if verified:
        world.leaks.judge(1, Confidence.VERIFIED, "daxa/kim", "looked", False)
    told = world.store.changes(subject)
    with monkeypatch.context() as patch:
        patch.setattr(Leaks, "apply", lambda self: 0)
        world.withdraw(1, member=None)
    with world.store.transaction():
        Matcher(world.store, default_policy()).decide([subject], world.now)
    world.leaks.sweep()
    [last] = world.store.changes(subject)[len(told) :]
    assert (last.level, decode_verdict(last.body).cause, last.act) == (Level.CLEAR, Cause.CORRECTED, Act.JUDGED_FALSE)
    assert (world.kept(1).applied, world.keys(1)) == (None, 0)


def test_a_member_has_so_many_leaks_in_force_and_operators_any_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted when one is opened and when it comes into force; a withdrawal makes room."""
    monkeypatch.setattr(leaks, "MAX_IN_FORCE", 2)
    opened = [world.open(f"leak {n}", f"k{n}") for n in range(3)]
    for leak_id in opened[:2]:
        world.leaks.commit(MEMBER, leak_id)
    assert refused(lambda: world.leaks.commit(MEMBER, opened[2])) is ErrorCode.QUOTA_EXHAUSTED
    assert refused(lambda: world.open("more")) is ErrorCode.QUOTA_EXHAUSTED
    assert world.kept(3).state is LeakState.LOADING, "nothing of it is lost"
    world.withdraw(1)
    assert world.leaks.commit(MEMBER, opened[2])[0].state is LeakState.IN_FORCE
    for n in range(4):
        world.commit(f"operators {n}", f"o{n}", reporter=OPERATORS)


def test_an_upload_is_abandoned_a_week_after_its_last_keys(world: World) -> None:
    """Not after it was opened: a large one takes days. Then its keys are forgotten."""
    leak_id = world.open("one", "a")
    world.now += 6 * DAY
    world.leaks.add(MEMBER, leak_id, [fp("b")])
    world.now += 6 * DAY
    world.leaks.sweep()
    assert (world.kept(1).state, world.keys(1)) == (LeakState.LOADING, 2)
    world.now += 2 * DAY
    world.leaks.sweep()
    assert (world.kept(1).state, world.keys(1)) == (LeakState.WITHDRAWN, 0)
    assert refused(lambda: world.leaks.commit(MEMBER, leak_id)) is ErrorCode.LEAK_CLOSED


def test_what_is_committed_while_the_sweep_looks_stays_in_force(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep looks again where it writes."""
    leak_id = world.open("one", "a")
    world.now += 8 * DAY
    listed = world.store.leaks
    calls: list[int] = []

    def meanwhile() -> list[StoredLeak]:
        found = listed()
        calls.append(1)
        if len(calls) == 2:  # the first is asked for what is left to decide
            monkeypatch.undo()
            world.again().commit(MEMBER, leak_id)
        return found

    monkeypatch.setattr(world.store, "leaks", meanwhile)
    world.leaks.sweep()
    assert (world.kept(1).state, world.keys(1)) == (LeakState.IN_FORCE, 1)


def test_the_sweep_forgets_what_a_restart_left_of_withdrawn_leaks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In small parts; of one that is in force, nothing; and of one about which something is left to decide, not yet."""
    for n in range(3):
        world.commit(f"leak {n}", *(f"{n} {k}" for k in range(5)))
    with world.store.transaction():
        for number, applied in ((1, None), (2, 0)):
            gone = dataclasses.replace(world.kept(number), state=LeakState.WITHDRAWN, applied=applied)
            world.store.save_leak(gone)
    monkeypatch.setattr(leaks, "_DROPPED", 2)
    dropped: list[int] = []
    drop = world.store.drop_leaked
    monkeypatch.setattr(world.store, "drop_leaked", lambda *asked: dropped.append(drop(*asked)) or dropped[-1])
    service = world.again()
    service._drop(2)
    assert not dropped
    service.sweep()
    assert [world.keys(n) for n in (1, 2, 3)] == [0, 0, 5]
    assert max(dropped) == 2
    dropped.clear()
    service.sweep()
    assert not dropped, "what is known to be forgotten is not looked for again"


def test_a_notice_is_measured_from_the_commit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time that it waits until others are decided, and over a restart; from the judgement where it is verified. Counted
    are verdicts: a key that is revoked already is told nothing new."""
    with world.store.transaction():
        world.store.absorb(MEMBER, [seen(name, f"home of {name}") for name in "abc"], fine)
    apply = Leaks.apply
    monkeypatch.setattr(Leaks, "apply", lambda self: 0)
    now = [1_000.0]
    monkeypatch.setattr(leaks.time, "monotonic", lambda: now[0])
    world.commit("one", "a")
    now[0] += 7.0
    apply(world.leaks)
    assert world.notices.pop() == (7.0, 1)
    world.leaks.judge(1, Confidence.VERIFIED, "daxa/kim", "looked", False)
    now[0] += 3.0
    apply(world.leaks)
    assert world.notices.pop() == (3.0, 1)
    other = world.again()
    world.commit("two", "a", "b", "nobody's")
    world.now += 60
    apply(world.again())
    assert world.notices.pop() == (60.0, 1)
    world.now += 600
    world.leaks.judge(2, Confidence.VERIFIED, "daxa/kim", "looked", False)
    world.now += 30
    apply(world.again())
    assert world.notices.pop() == (30.0, 1)
    world.commit("three", "a", "b")
    apply(world.leaks)
    world.commit("four", "c")
    world.now += 5
    other.judge(4, Confidence.VERIFIED, "daxa/lee", "looked", False)
    world.now += 20
    now[0] += 25.0
    apply(world.leaks)
    assert world.notices == [(20.0, 1)], "another node judged it"


def test_a_leak_that_looks_like_an_inventory_is_told_until_it_is_judged(world: World) -> None:
    """Half of a member's keys, and not few: whose, and who says so; also what a restart interrupted. A number for each member."""
    keys = [f"k{n}" for n in range(12)]
    with world.store.transaction():
        world.store.absorb(world.store.member_id("bithumb"), [seen(f"b{n}", f"c{n}") for n in range(12)], fine)
        world.store.absorb(MEMBER, [seen(key, f"home of {key}") for key in keys], fine)
    world.commit("few", *keys[:5], reporter=OPERATORS)
    assert unverified(world.store) == []
    world.commit("many", *keys[:6], "nobody's", reporter=2)
    [told] = unverified(world.store)
    assert told == Inventory(2, "bithumb", "upbit", 6, 12)
    metrics = Metrics()
    watch_store(metrics, world.store)
    text = metrics.text()
    assert 'daxa_leak_inventories{member="upbit"} 1.0' in text
    assert 'daxa_leak_inventories{member="bithumb"} 0.0' in text
    world.leaks.judge(2, Confidence.VERIFIED, "daxa/kim", "looked", False)
    assert unverified(world.store) == []
    world.leaks.judge(2, Confidence.UNVERIFIED, "daxa/kim", "not sure", False)
    assert unverified(world.store) == [told]
    world.leaks.judge(2, None, "daxa/kim", "made up", False)
    assert unverified(world.store) == []


def test_the_sweep_gives_way_to_a_notice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole looks at a leak's keys take longer than telling their issuers; for no part it waits longer than it has patience."""
    with world.store.transaction():
        world.store.absorb(MEMBER, [seen("a", "home of a")], fine)
    world.commit("one", "a")
    sweep = Sweep(
        world.store, Matcher(world.store, default_policy()), clock=lambda: world.now, give_way=world.leaks.give_way
    )
    for patience, waits in ((60.0, True), (0.0, False)):
        monkeypatch.setattr(leaks, "PATIENCE_SECONDS", patience)
        world.now += DAY
        looking = threading.Thread(target=sweep.run)
        with world.leaks._applying:
            looking.start()
            looking.join(0.3 if waits else 30.0)
            assert looking.is_alive() is waits
        looking.join(30.0)
        assert world.store.due(world.now, 9) == []


def test_verified_and_operators_sets_are_listed_first_and_digests_are_made_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member's flood of reports pushes nobody else's out of the list; a set that was let go is not made again to name it."""
    for name, reporter in (("a", OPERATORS), ("b", MEMBER), ("c", MEMBER), ("d", OPERATORS)):
        world.commit(name, name, reporter=reporter)
    world.leaks.judge(2, Confidence.VERIFIED, "daxa/kim", "looked", False)
    sets = LeakSets(world.store, remembered_bytes=0)
    assert [leak.number for leak in sets.published()] == [2, 4, 1, 3]
    made: list[int] = []
    make = LeakSets._make
    monkeypatch.setattr(leak_sets.LeakSets, "_make", lambda self, leak: made.append(leak.number) or make(self, leak))
    first = [sets.digests(leak) for leak in sets.published()]
    assert [sets.digests(leak) for leak in sets.published()] == first
    assert sorted(made) == [1, 2, 3, 4]
