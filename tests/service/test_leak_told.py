"""Which of a key's changes told of a leak, and whom a withdrawn leak had told."""

from __future__ import annotations

from itertools import count

import pytest

from daxa_core.model import Act, Level
from daxa_registry.bootstrap import open_store
from daxa_registry.decision.leaked import Beside, Claim, attach
from daxa_registry.service.leak_told import keep_told, subjects_of, told_by_leak
from daxa_registry.store.interface import StoredVerdict
from sightings import fine, seen

ALONE, ANYBODY, LOOKED = Claim.ONE_MEMBER, Claim.UNVERIFIED, Claim.VERIFIED


def change(number: int, at: int, claim: Claim | None, act: Act | None = None) -> StoredVerdict:
    return StoredVerdict(1, 1, number, Level.WARN, at, b"", attach(Beside(claim), b"evidence"), "", act)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([(100, LOOKED, None), (220, LOOKED, Act.REVOKED)], 0),
        ([(100, ANYBODY, None), (110, LOOKED, None), (220, LOOKED, Act.REVOKED)], 0),
        ([(50, None, None), (100, LOOKED, None), (220, LOOKED, Act.REVOKED), (300, None, Act.JUDGED_FALSE)], 1),
        ([(50, ALONE, None), (100, LOOKED, None)], 1),  # another leak, of which less was said
        ([(50, LOOKED, None), (60, LOOKED, Act.WARNED), (900, LOOKED, None)], 0),  # of which as much was said
        ([(50, None, None), (220, None, Act.REVOKED)], 0),  # the leak changed nothing
        ([(500, None, None)], 0),
    ],
)
def test_the_change_that_told_is_the_first_that_rested_on_the_leak(
    changes: list[tuple[int, Claim | None, Act | None]], told: int
) -> None:
    """Not the current one, which an act or a correction made; the leak came into force at 100."""
    numbers = count(1)
    assert told_by_leak([change(next(numbers), *one) for one in changes], 100) == told


def test_whom_a_leak_told_is_kept_by_leak() -> None:
    """Those with a verdict, each once, however often a part is kept again; not another leak's."""
    store = open_store(":memory:")
    with store.transaction():
        member = store.member_id("upbit")
        told, silent = sorted(store.absorb(member, [seen("k", "a"), seen("l", "b")], fine).moved)
        store.append_verdict(StoredVerdict(told, member, 1, Level.WARN, 50, b"", b""))
    for _ in range(2):
        with store.transaction():
            keep_told(store, 7, [told, silent])
            keep_told(store, 8, [silent])
    assert (subjects_of(store, 7), subjects_of(store, 8), subjects_of(store, 6)) == ({told}, set(), set())
    store.close()
