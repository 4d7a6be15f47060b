"""The store's contract for the log, run on every store."""

from __future__ import annotations

import pytest

from daxa_core import merkle
from daxa_core.model import Level
from daxa_registry.store.interface import EVERYBODY, StoredLeaf, StoredVerdict
from sightings import Open, fine, grow, seen


def test_the_log_grows_across_reopening_and_its_hashes_make_its_roots(reopen: Open) -> None:
    """A frontier that is read again goes on where the old one was; what is stored gives the root of every smaller tree."""
    hashes = grow(reopen(), 5) + grow(reopen(), 8)
    store = reopen()
    assert store.log_size() == 13
    frontier = merkle.Frontier()
    for size, leaf in enumerate(hashes, 1):
        frontier.append(leaf)
        assert frontier.root() == merkle.root_at(size, store.tree_hashes)
    assert [leaf.body for leaf in store.leaves(11, 10)] == [b"leaf 11", b"leaf 12"]
    assert store.last_event("test") == b"leaf 12"
    assert store.last_event("other") is None


def test_a_leaf_of_a_transaction_that_fails_was_never_there(reopen: Open) -> None:
    """Neither in the file nor in what the writer remembers of the tree's edge."""
    store = reopen()
    grow(store, 3)
    with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012
        store.append_leaf(StoredLeaf(3, EVERYBODY, event="test", body=b"gone"), merkle.leaf_hash(b"gone"))
        raise RuntimeError
    assert store.log_size() == 3
    [after] = grow(store, 1)
    assert store.tree_hashes([merkle.position(0, 3)]) == [after]
    with pytest.raises(AssertionError), store.transaction():
        store.append_leaf(StoredLeaf(3, EVERYBODY, event="test"), b"h" * 32)


def test_a_verdicts_leaf_has_the_verdicts_own_bytes(reopen: Open) -> None:
    """They are stored once: whoever changed the verdict has changed the leaf."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        [subject] = store.absorb(member, [seen("k", "a")], fine).moved
        store.append_leaf(StoredLeaf(0, member, sequence=1, salt=b"salt"), b"h" * 32)
        store.append_verdict(StoredVerdict(subject, member, 1, Level.WARN, 50, b"body", b"evidence"))
    assert store.leaves(0, 5) == [StoredLeaf(0, member, "", 1, b"salt", b"body")]


def test_the_largest_size_with_enough_cosignatures_is_found(reopen: Open) -> None:
    """One line a witness and size; a second one of that witness changes nothing."""
    store = reopen()
    with store.transaction():
        for size, witness, line in ((5, "a", "a5"), (5, "b", "b5"), (7, "a", "a7"), (7, "a", "again")):
            store.save_cosignature(size, witness, line)
    assert [store.cosigned_size(number) for number in (1, 2, 3)] == [7, 5, None]
    assert (store.cosignatures(5), store.cosignatures(7), store.cosignatures(6)) == (["a5", "b5"], ["a7"], [])
