"""The store's contract for leaks, run on every store."""

from __future__ import annotations

import dataclasses

import pytest

from daxa_core.errors import Unavailable
from daxa_core.leaks import Confidence, LeakState, Tlp
from daxa_core.model import Kind, Manner
from daxa_registry.decision.graph import Leaks
from daxa_registry.store.interface import Store
from daxa_registry.store.leak_interface import StoredLeak
from daxa_registry.store.sqlite_leaks import LeakTables
from sightings import Open, fine, fp, seen


def opened(store: Store, name: str = "one", reporter: int = 0) -> StoredLeak:
    """A leak that is loading; its number is the store's."""
    leak = StoredLeak(0, name.encode().ljust(16, b"."), reporter, name, "a paste", 1_000, Tlp.AMBER, 2_000)
    return store.open_leak(leak)


def in_force(store: Store, leak: StoredLeak, **changes: object) -> StoredLeak:
    leak = dataclasses.replace(leak, **{"state": LeakState.IN_FORCE, **changes})  # type: ignore[arg-type]
    store.save_leak(leak)
    return leak


def test_a_leak_comes_back_as_it_was_kept(reopen: Open) -> None:
    """Every field, by its id and in the list, after reopening; an id is there once."""
    store = reopen()
    with store.transaction():
        first = opened(store)
        second = opened(store, "two", reporter=3)
        kept = in_force(
            store, first, confidence=Confidence.VERIFIED, keys=7, loaded_at=9, digest=b"d", applied=4, lowering=True
        )
    store = reopen()
    assert store.leaks() == [kept, second]
    assert (store.leak(kept.leak_id), store.leak(b"?" * 16)) == (kept, None)
    with pytest.raises(Unavailable), store.transaction():
        opened(store)
    assert len(store.leaks()) == 2


def test_keys_of_a_leak_are_a_set_in_order_and_can_be_forgotten(reopen: Open) -> None:
    """In pages, in ascending order, each once, whatever was sent twice."""
    store = reopen()
    with store.transaction():
        leak, other = opened(store), opened(store, "two")
        assert store.add_leaked(leak.number, [fp("b"), fp("a"), fp("b")]) == 2
        assert store.add_leaked(leak.number, [fp("a"), fp("c")]) == 1
        store.add_leaked(other.number, [fp("a")])
    store = reopen()
    assert store.leaked(leak.number, b"", 2) == [fp("a"), fp("b")]
    assert store.leaked(leak.number, fp("b"), 2) == [fp("c")]
    with store.transaction():
        assert store.drop_leaked(leak.number, 2) == 2
        assert store.drop_leaked(leak.number, 2) == 1
        assert store.drop_leaked(leak.number, 2) == 0
    assert store.leaked(other.number, b"", 9) == [fp("a")]


def test_what_is_in_force_speaks_of_its_keys_and_nothing_else_does(reopen: Open) -> None:
    """Loading and withdrawn leaks are silent; reporters are told apart; a key that comes later is found."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        store.absorb(member, [seen("k", "a"), seen("l", "b")], fine)
    with store.transaction():
        k, others = list(store.all_subjects())
        leak, second = opened(store), opened(store, "two", reporter=member)
        store.add_leaked(leak.number, [fp("k"), fp("late")])
        store.add_leaked(second.number, [fp("k")])
        assert store.leaks_of([k, others]) == {}
        assert store.of_leaked_keys([k, others]) == frozenset()
        leak = in_force(store, leak)
        assert store.leaks_of([k, others]) == {k: Leaks(False, frozenset({0}))}
        assert store.of_leaked_keys([k, others]) == {k}
        in_force(store, second, confidence=Confidence.VERIFIED)
        assert store.leaks_of([k, others]) == {k: Leaks(True, frozenset({0, member}))}
        moved = store.absorb(store.member_id("bithumb"), [seen("late", "c")], fine).moved
        assert store.of_leaked_keys(moved) == moved
        assert set(store.leaks_of(sorted(moved))) == set(moved)
    assert store.leaks_with([fp("k"), fp("late"), fp("l")]) == {
        fp("k"): [leak.number, second.number],
        fp("late"): [leak.number],
    }
    with store.transaction():
        in_force(store, leak, state=LeakState.WITHDRAWN)
        assert store.leaks_of([k]) == {k: Leaks(True, frozenset({member}))}
        assert store.of_leaked_keys(moved) == frozenset()


def test_whose_leak_was_taken_back_is_known_until_it_is_decided(reopen: Open) -> None:
    """Withdrawn or doubted, from the subject on that comes next; where two were, whether one of them was verified."""
    store = reopen()
    with store.transaction():
        store.absorb(store.member_id("upbit"), [seen(key, "a") for key in "klm"], fine)
        first, second = opened(store), opened(store, "two")
        store.add_leaked(first.number, [fp("k"), fp("l")])
        store.add_leaked(second.number, [fp("l")])
    known = dict(zip((store.standings([s])[s].key for s in store.all_subjects()), store.all_subjects(), strict=True))
    k, l, m = (known[fp(key)] for key in "klm")  # noqa: E741
    everybody = [k, l, m]
    with store.transaction():
        in_force(store, second, applied=0)
        assert store.taken_back(everybody) == {}
        in_force(store, first, state=LeakState.WITHDRAWN, applied=0, lowering=True)
        assert store.taken_back(everybody) == {k: False, l: False}
        assert store.taken_back([m]) == {}
        in_force(store, second, applied=0, lowering=True)  # doubted
        assert store.taken_back(everybody) == {k: False, l: True}
        in_force(store, second, state=LeakState.WITHDRAWN, applied=0, lowering=True, confidence=Confidence.VERIFIED)
        assert store.taken_back(everybody) == {k: False, l: True}
        in_force(store, second, state=LeakState.WITHDRAWN, applied=max(k, l), lowering=True)
        assert store.taken_back(everybody) == {k: False, l: False}
        in_force(store, first, state=LeakState.WITHDRAWN, applied=None, lowering=False)
        assert store.taken_back(everybody) == {}


def test_a_transaction_that_fails_brings_no_leak_into_force(reopen: Open) -> None:
    """Not in the file, and not in what is remembered of it."""
    store = reopen()
    with store.transaction():
        store.absorb(store.member_id("upbit"), [seen("k", "a")], fine)
        leak = opened(store)
        store.add_leaked(leak.number, [fp("k")])
    [subject] = store.all_subjects()
    with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012
        in_force(store, leak)
        assert store.of_leaked_keys([subject]) == {subject}
        raise RuntimeError
    with store.transaction():
        assert store.leaks_of([subject]) == {}
        assert store.of_leaked_keys([subject]) == frozenset()


def test_a_leaks_keys_are_read_ahead_of_its_commit_and_once(reopen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many leaks come into force or leave: the writer's transaction reads none of them again."""
    read: list[int] = []
    look = LeakTables._prefixes_of
    monkeypatch.setattr(LeakTables, "_prefixes_of", lambda self, leak: read.append(leak) or look(self, leak))
    store = reopen()
    names = [f"k{n}" for n in range(4)]
    with store.transaction():
        store.absorb(store.member_id("upbit"), [seen(name, "a") for name in names], fine)
        leaks = [opened(store, name) for name in names]
        for leak, name in zip(leaks, names, strict=True):
            store.add_leaked(leak.number, [fp(name)])
    subjects = dict(zip(names, store.all_subjects(), strict=True))
    for leak, name in zip(leaks, names, strict=True):
        store.prepare_leak(leak.number, name.encode())
        with store.transaction():
            in_force(store, leak, digest=name.encode())
            assert subjects[name] in store.of_leaked_keys(subjects.values())
    with store.transaction():
        in_force(store, leaks[0], digest=b"k0", state=LeakState.WITHDRAWN)
        assert store.of_leaked_keys(subjects.values()) == {subjects[name] for name in names[1:]}
    assert read == [leak.number for leak in leaks]


def test_which_leaks_are_in_force_is_asked_once_and_again_when_one_changes(
    reopen: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for each batch, let alone twice."""
    asked: list[int] = []
    look = LeakTables._in_force
    monkeypatch.setattr(LeakTables, "_in_force", lambda self: asked.append(1) or look(self))
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        leak = opened(store)
        store.add_leaked(leak.number, [fp("k1"), fp("k2")])
        leak = in_force(store, leak)

    def batch(name: str, hour: int = 1_000) -> tuple[int, int]:
        with store.transaction():
            moved = store.absorb(member, [seen(name, "a", hour)], fine).moved
            assert len(moved) == 1
            return len(store.of_leaked_keys(moved)), len(store.leaks_of(sorted(moved)))

    assert [batch(name) for name in ("k0", "k1", "k2")] == [(0, 0), (1, 1), (1, 1)]
    assert len(asked) == 1
    with store.transaction():
        in_force(store, leak, state=LeakState.WITHDRAWN)
        assert store.leaks_of(list(store.all_subjects())) == {}
    assert batch("k1", 1_001) == (0, 0)
    assert len(asked) == 2


def test_matches_are_counted_by_issuer(reopen: Open) -> None:
    """A key that was only refused somewhere is not that member's, nor one that begins as a leaked one does."""
    store = reopen()
    with store.transaction():
        upbit, bithumb = store.member_id("upbit"), store.member_id("bithumb")
        store.absorb(upbit, [seen("k", "a"), seen("l", "a"), seen("a key of theirs", "a")], fine)
        store.absorb(bithumb, [seen("k", "a", manner=Manner.REJECTED), seen("n", "a")], fine)
        leak = opened(store)
        store.add_leaked(leak.number, [fp("k"), fp("l"), fp("a key of nobody's")])
    assert store.leak_matches(leak.number) == {upbit: (2, 3)}
    with store.transaction():
        subjects = store.leaked_subjects(leak.number, 0)
    assert len(subjects) == 2, "not the one at the wrong door"
    assert store.leaked_subjects(leak.number, subjects[0]) == subjects[1:]


def test_the_keys_that_leaks_share_are_counted(reopen: Open) -> None:
    """With those in force alone: a withdrawn one has nothing left to say, and one that is loading may never come."""
    store = reopen()
    with store.transaction():
        leaks = [opened(store, name) for name in ("one", "two", "gone", "loading")]
        for leak, names in zip(leaks, ("abcd", "cdef", "a", "a"), strict=True):
            store.add_leaked(leak.number, [fp(name) for name in names])
        for leak, state in zip(leaks, (LeakState.IN_FORCE, LeakState.IN_FORCE, LeakState.WITHDRAWN), strict=False):
            store.save_leak(dataclasses.replace(leak, state=state))
    assert [store.leak_overlaps(leak.number) for leak in leaks] == [{2: 2}, {1: 2}, {1: 1}, {1: 1}]


def test_what_a_member_only_refused_is_told_from_its_own_keys(reopen: Open) -> None:
    """By what it alone sent: used, declared or with an account is its own, whatever it refused of it; others do not count."""
    store = reopen()
    with store.transaction():
        upbit, bithumb = store.member_id("upbit"), store.member_id("bithumb")
        refused = [seen(name, "a", manner=Manner.REJECTED) for name in ("used", "declared", "foreign")]
        store.absorb(upbit, refused, fine)
        store.absorb(upbit, [seen("used", "a"), seen("declared", "a", manner=Manner.DECLARED)], fine)
        store.absorb(upbit, [seen("owned", "a", manner=Manner.REJECTED, account=b"a" * 16)], fine)
        store.absorb(bithumb, [seen("foreign", "a"), seen("theirs", "a", manner=Manner.REJECTED)], fine)
    store = reopen()
    keys = [fp(name) for name in ("used", "declared", "foreign", "owned", "theirs", "unknown")]
    assert store.only_refused("upbit", keys) == {fp("foreign")}
    assert store.only_refused("bithumb", keys) == {fp("theirs")}
    assert store.only_refused("nobody", keys) == frozenset()


def test_an_address_that_goes_through_a_list_is_told_from_a_holders_mistakes(reopen: Open) -> None:
    """Keys that are used there are not counted, though they fail there too."""
    store = reopen()
    with store.transaction():
        upbit, bithumb = store.member_id("upbit"), store.member_id("bithumb")
        tried = [seen(f"k{n}", "thief", 1_000 + n, manner=Manner.REJECTED) for n in range(6)]
        store.absorb(upbit, tried[:4], fine)
        store.absorb(bithumb, tried[3:], fine)
        platform = [
            seen(f"p{n}", "platform", manner=manner) for n in range(6) for manner in (Manner.USED, Manner.REJECTED)
        ]
        store.absorb(upbit, platform, fine)
        store.absorb(upbit, [seen("m", "home", manner=Manner.REJECTED)], fine)
    [found] = store.testers(2, 9)
    assert found == (Kind.ADDRESS, store.node(Kind.ADDRESS, fp("thief")), 6, 2, 1_005)
    assert store.testers(7, 9) == []


def test_a_stack_that_goes_through_a_list_over_many_addresses_is_told_from_a_stock_one(reopen: Open) -> None:
    """Counted are keys that are in use, with other stacks only: not whose holder upgraded, nor what expired."""
    store = reopen()
    with store.transaction():
        upbit, bithumb = store.member_id("upbit"), store.member_id("bithumb")
        store.absorb(upbit, [seen(f"k{n}", f"home {n}", device="own") for n in range(6)], fine)
        tried = [seen(f"k{n}", f"exit {n}", 1_000 + n, manner=Manner.REJECTED, device="script") for n in range(6)]
        store.absorb(upbit, tried[:4], fine)
        store.absorb(bithumb, tried[3:], fine)
        for n in range(6):
            own = [
                seen(f"u{n}", f"home {n}", manner=manner, device="stock") for manner in (Manner.USED, Manner.REJECTED)
            ]
            moved = seen(f"u{n}", f"away {n}", manner=Manner.REJECTED, device="stock")
            expired = seen(f"e{n}", f"home {n}", manner=Manner.REJECTED, device="stock")
            store.absorb(upbit, [*own, moved, expired], fine)
    [found] = store.testers(2, 9)
    assert found == (Kind.DEVICE, store.node(Kind.DEVICE, fp("script")), 6, 2, 1_005)
    assert store.testers(7, 9) == []


def test_of_a_stack_that_was_tried_it_is_told_who_saw_each_key_in_use_and_with_what(reopen: Open) -> None:
    """Of keys first refused within two weeks of the key's own try, either way; a stock stack fails for those who use it too."""
    store = reopen()
    with store.transaction():
        upbit, bithumb = store.member_id("upbit"), store.member_id("bithumb")
        store.absorb(upbit, [seen(f"k{n}", f"home {n}", device="own") for n in range(6)], fine)
        store.absorb(upbit, [seen("k5", "home 5", device="script")], fine)
        tried = [seen(f"k{n}", f"exit {n}", 1_000 + 60 * n, manner=Manner.REJECTED, device="script") for n in range(6)]
        store.absorb(bithumb, tried, fine)
        store.absorb(upbit, [seen("own refusal", "exit", 1_000, manner=Manner.REJECTED, device="script")], fine)
        store.absorb(upbit, [seen("own refusal", "home", device="own")], fine)
    script = store.node(Kind.DEVICE, fp("script"))
    with store.transaction():
        stacks = {key: stacks_of(store, key) for key in ("k0", "k3", "own refusal", "k5")}
    rows = [(1_000 + 60 * n, bithumb, {upbit} if n == 5 else set(), {upbit}) for n in reversed(range(6))]
    assert stacks["k0"] == {script: [*rows[:5], (1_000, bithumb, set(), {upbit}), (1_000, upbit, set(), {upbit})]}
    assert stacks["k3"] == stacks["own refusal"] == stacks["k5"] == stacks["k0"]


def stacks_of(store: Store, key: str) -> dict[int, list[tuple[int, int, frozenset[int], frozenset[int]]]]:
    """What upbit's decision of a key sees of the stacks with which it was tried: when each key was first, who said so, and who
    saw it in use with that stack and with others."""
    standing = store.standing_of(store.member_id("upbit"), fp(key))
    assert standing is not None
    [neighbourhood] = store.neighbourhoods([standing.subject])
    return {
        device: [(one.first, one.member, one.users, one.others) for one in tried]
        for device, tried in neighbourhood.stacks.items()
    }


def test_a_stack_with_too_few_keys_and_one_that_is_not_known_are_not_looked_into(reopen: Open) -> None:
    """Nor a key that is used nowhere: it expired."""
    store = reopen()
    with store.transaction():
        upbit, bithumb = store.member_id("upbit"), store.member_id("bithumb")
        store.absorb(upbit, [seen(f"k{n}", f"home {n}", device="own") for n in range(4)], fine)
        for device in ("script", None):
            tried = [seen(f"k{n}", f"exit {n}", manner=Manner.REJECTED, device=device) for n in range(9)]
            store.absorb(bithumb, tried, fine)
    with store.transaction():
        assert stacks_of(store, "k0") == {}
