"""What leaks told: whom, also after one was withdrawn, and by which change of a key's verdict.

The keys of a withdrawn leak are forgotten. Which subjects it had in it stays, of those that were ever told anything: it stands in
their verdicts' reasons anyway, and an incident goes on showing them. Nothing is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from daxa_registry.decision.leaked import detach
from daxa_registry.store.interface import Store, StoredVerdict

_KIND = "leak_told"
_PAGE = 100


def keep_told(store: Store, leak: int, subjects: Sequence[int]) -> None:
    """Keeps a part of a leak's subjects, in ascending order; inside the transaction that takes back what they were told."""
    told = sorted(store.sequences(subjects))
    if told:
        store.write_document(_KIND, f"{leak:012d}/{subjects[0]:012d}", json.dumps(told), replace=True)


def subjects_of(store: Store, leak: int) -> set[int]:
    """The subjects whose key stands in the leak, or stood in it when it was withdrawn."""
    prefix = after = f"{leak:012d}/"
    found = set(store.leaked_subjects(leak, 0))
    while page := [one for one in store.documents(_KIND, after, _PAGE) if one[0].startswith(prefix)]:
        found.update(subject for _, text in page for subject in json.loads(text))
        after = page[-1][0]
    return found


def told_by_leak(changes: Sequence[StoredVerdict], since: int) -> int:
    """The place among a key's changes of the one that told of a leak which came into force at ``since`` (seconds).

    The first since then that rested on a leak and that no act made. Where there is none, or what stood at that time had said as
    much of another leak, the one that stood.
    """
    claims = [detach(one.evidence)[0].claim or 0 for one in changes]
    known = sum(one.decided_at < since for one in changes)
    for place in range(known, len(changes)):
        if changes[place].act is None and claims[place]:
            if known and claims[known - 1] >= claims[place]:
                break
            return place
    return acted_upon(changes, max(known - 1, 0))


def acted_upon(changes: Sequence[StoredVerdict], place: int) -> int:
    """The place of that change, or of the one before it that was told when acts made it what it is."""
    while place and changes[place].act is not None:
        place -= 1
    return place
