"""One right call of every operation of the store's contract, on a store that :func:`filled`: for tests that go through all.

filled(store)
for name, call in ANYWHERE.items():
    call(store)
with store.transaction():
    INSIDE["absorb"](store)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from daxa_core import merkle
from daxa_core.leaks import LeakState, Tlp
from daxa_core.model import Kind, Level
from daxa_registry.decision.ladder import START
from daxa_registry.store.interface import EVERYBODY, Store, StoredBatch, StoredLeaf, StoredVerdict
from daxa_registry.store.leak_interface import StoredLeak
from sightings import fine, fp, seen

KEPT = StoredLeak(
    1, b"i" * 16, 0, "one", "a paste", 1_000, Tlp.AMBER, 2_000, state=LeakState.IN_FORCE, digest=b"d" * 32
)
BATCH = StoredBatch(b"d" * 32, 1, (), (1,))
VERDICT = StoredVerdict(1, 1, 2, Level.CLEAR, 60, b"body 2", b"evidence")
SPAN = (0, 2**32 - 1)

INSIDE: dict[str, Callable[[Store], object]] = {
    "find_batch": lambda s: s.find_batch(1, b"i" * 16),
    "save_batch": lambda s: s.save_batch(1, b"j" * 16, BATCH, 100),
    "drop_batches": lambda s: s.drop_batches(1_000, 10),
    "absorb": lambda s: s.absorb(1, [seen("new", "a")], fine),
    "withdraw": lambda s: s.withdraw(1, fp("k"), *SPAN),
    "expire": lambda s: s.expire(5_000, 10),
    "append_verdict": lambda s: s.append_verdict(VERDICT),
    "save_ladder": lambda s: s.save_ladder(1, START, 9),
    "hasten": lambda s: s.hasten(2, 1),
    "infrastructure": lambda s: s.infrastructure(Kind.ADDRESS, fp("a"), "bots", 500),
    "write_document": lambda s: s.write_document("kind", "new", "body"),
    "next_leaf": lambda s: s.next_leaf(),
    "append_leaf": lambda s: s.append_leaf(StoredLeaf(1, EVERYBODY, event="test", body=b"b"), merkle.leaf_hash(b"b")),
    "save_cosignature": lambda s: s.save_cosignature(1, "somebody", "line"),
    "glances": lambda s: list(s.glances([1])),
    "subjects_on": lambda s: s.subjects_on([2]),
    "neighbourhoods": lambda s: list(s.neighbourhoods([1])),
    "population": lambda s: s.population(),
    "open_leak": lambda s: s.open_leak(dataclasses.replace(KEPT, leak_id=b"j" * 16)),
    "save_leak": lambda s: s.save_leak(dataclasses.replace(KEPT, state=LeakState.WITHDRAWN)),
    "add_leaked": lambda s: s.add_leaked(1, [fp("new")]),
    "drop_leaked": lambda s: s.drop_leaked(1, 10),
    "leaks_of": lambda s: s.leaks_of([1]),
    "taken_back": lambda s: s.taken_back([1]),
    "of_leaked_keys": lambda s: s.of_leaked_keys([1]),
}
ANYWHERE: dict[str, Callable[[Store], object]] = {
    "transaction": lambda s: s.transaction().__enter__(),
    "member_id": lambda s: s.member_id("new"),
    "members": lambda s: s.members(),
    "document": lambda s: s.document("kind", "name"),
    "documents": lambda s: s.documents("kind"),
    "declared": lambda s: s.declared(),
    "log_size": lambda s: s.log_size(),
    "tree_hashes": lambda s: s.tree_hashes([0]),
    "leaves": lambda s: s.leaves(0, 1),
    "last_event": lambda s: s.last_event("test"),
    "cosignatures": lambda s: s.cosignatures(1),
    "cosigned_size": lambda s: s.cosigned_size(1),
    "head": lambda s: s.head(1),
    "standings": lambda s: s.standings([1]),
    "sequences": lambda s: s.sequences([1]),
    "standing_of": lambda s: s.standing_of(1, fp("k")),
    "ladder": lambda s: s.ladder([1]),
    "due": lambda s: s.due(100, 1),
    "suspects": lambda s: s.suspects(),
    "node": lambda s: s.node(Kind.KEY, fp("k")),
    "verdict": lambda s: s.verdict(1, 1),
    "changes": lambda s: s.changes(1),
    "all_subjects": lambda s: s.all_subjects(),
    "current_verdicts": lambda s: s.current_verdicts(1, [fp("k")]),
    "verdicts_after": lambda s: s.verdicts_after(1, 0, 1),
    "newest_verdicts": lambda s: s.newest_verdicts(1, 0, 1, 1),
    "verdicts_at": lambda s: s.verdicts_at(1, [1]),
    "levels": lambda s: s.levels(),
    "claims": lambda s: s.claims(),
    "counts": lambda s: s.counts(),
    "rows": lambda s: s.rows(),
    "prepare_leak": lambda s: s.prepare_leak(1, b"d" * 32),
    "leak": lambda s: s.leak(KEPT.leak_id),
    "leaks": lambda s: s.leaks(),
    "leaked": lambda s: s.leaked(1, b"", 1),
    "leaked_subjects": lambda s: s.leaked_subjects(1, 0),
    "leaks_with": lambda s: s.leaks_with([fp("k")]),
    "leak_matches": lambda s: s.leak_matches(1),
    "leak_overlaps": lambda s: s.leak_overlaps(1),
    "only_refused": lambda s: s.only_refused("upbit", [fp("k")]),
    "testers": lambda s: s.testers(2, 1),
}


def filled(store: Store) -> None:
    """Puts something of everything into an empty store."""
    with store.transaction():
        member = store.member_id("upbit")
        [subject] = store.absorb(member, [seen("k", "a")], fine).moved
        store.append_verdict(StoredVerdict(subject, member, 1, Level.WARN, 50, b"body", b"evidence"))
        store.save_ladder(subject, dataclasses.replace(START, level=Level.WARN), 7)
        store.save_batch(member, b"i" * 16, BATCH, 100)
        store.write_document("kind", "name", "body")
        store.append_leaf(StoredLeaf(0, EVERYBODY, event="test", body=b"a"), merkle.leaf_hash(b"a"))
        store.open_leak(KEPT)
        store.add_leaked(1, [fp("k")])
