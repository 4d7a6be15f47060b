"""Holds a database against what was acknowledged: by SQL of its own and by hashing of its own, with none of the store's code.

While nothing is under way; the registry may be running. What the database holds is read as of one moment, and watchers are given
time to have been told all of it.

>>> check("registry.sqlite", members, gateway)                                      # doctest: +SKIP
Found(lost=0, twice=0, missed=0, forks=0, problems=[])
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from crash_load import Gateway, Member
from daxa_api.v1 import types_pb2

WATCHED_SECONDS = 60.0
Ask = Callable[..., list[Any]]
_COUNTS = (
    "SELECT n.fingerprint, sum(p.count), count(*) FROM presence p JOIN subject s ON s.id=p.subject"
    " JOIN node n ON n.id=s.key JOIN member m ON m.id=s.member WHERE m.name={} GROUP BY n.fingerprint"
)
_VERDICTS = (
    "SELECT v.sequence, v.body FROM verdict v JOIN member m ON m.id=v.member WHERE m.name={} ORDER BY v.sequence"
)
_HEAD = "SELECT coalesce(max(head), 0) FROM member WHERE name={}"
# A verdict's leaf has the verdict's bytes, an event's has its own.
LEAVES = (
    "SELECT l.idx, v.body, l.body FROM leaf l"
    " LEFT JOIN verdict v ON l.sequence > 0 AND v.member=l.audience AND v.sequence=l.sequence ORDER BY l.idx"
)
_TREE = "SELECT position, hash FROM tree_hash ORDER BY position"
_EVENT_TYPE = "application/vnd.daxa.event.v1+json"


@dataclass
class Found:
    """What does not fit: sightings lost and counted twice, verdicts a watcher missed, checkpoints of another log."""

    lost: int = 0
    twice: int = 0
    missed: int = 0
    forks: int = 0
    edges: int = 0
    verdicts: int = 0
    checkpoints: int = 0
    problems: list[str] = field(default_factory=list)

    def fits(self) -> bool:
        """Whether nothing was found."""
        return not (self.lost or self.twice or self.missed or self.forks or self.problems)


@contextmanager
def as_of_now(database: str) -> Iterator[Ask]:
    """What asks either database for rows, all as of one moment."""
    if "://" in database:
        with psycopg.connect(database) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield lambda query, *values: connection.execute(query.format("%s"), values).fetchall()
    else:
        with closing(sqlite3.connect(database, isolation_level=None)) as file:
            file.execute("BEGIN")
            yield lambda query, *values: file.execute(query.format("?"), values).fetchall()


def check(
    database: str, members: Sequence[Member], gateway: Gateway, watched_seconds: float = WATCHED_SECONDS
) -> Found:
    """Everything acknowledged is there once, every verdict there is was watched as it is stored, the log's leaves hash to its
    tree, and every checkpoint is of this log."""
    found = Found()
    heads = {pair for member in members for pair in member.heads}
    stored: dict[str, dict[int, bytes]] = {}
    with as_of_now(database) as ask:
        for member in members:
            _check_counts(found, member, ask)
            stored[member.name] = {sequence: bytes(body) for sequence, body in ask(_VERDICTS, member.name)}
            if list(stored[member.name]) != list(range(1, ask(_HEAD, member.name)[0][0] + 1)):
                found.problems.append(f"{member.name}: the sequences have a gap")
        total = sum(int(total) for _, total, _ in ask(_COUNTS, gateway.name))
        found.lost += max(gateway.total - total, 0)
        found.twice += max(total - gateway.total, 0)
        found.problems += gateway.problems
        _check_log(found, ask(LEAVES), ask(_TREE), heads)
    for member in members:
        _check_watched(found, member, stored[member.name], watched_seconds)
        found.problems += [f"{member.name}: {problem}" for problem in member.problems]
    return found


def _check_counts(found: Found, member: Member, ask: Ask) -> None:
    counted = {bytes(key): (int(total), rows) for key, total, rows in ask(_COUNTS, member.name)}
    found.edges += sum(rows for _, rows in counted.values())
    for key, wanted in member.acknowledged.items():
        has, rows = counted.pop(key, (0, 0))
        found.lost += max(wanted - has, 0)
        found.twice += max(has - wanted, 0) + max(rows - 1, 0)
    found.twice += sum(total for total, _ in counted.values())  # what nobody was answered about


def _check_watched(found: Found, member: Member, stored: dict[int, bytes], seconds: float) -> None:
    last = max(stored, default=0)
    member.watch_until(last, seconds)
    watched = {sequence: envelope for sequence, envelope in dict(member.watched).items() if sequence <= last}
    found.verdicts += len(stored)
    found.missed += len(stored.keys() ^ watched.keys())
    altered = sum(watched[sequence] != stored[sequence] for sequence in stored.keys() & watched.keys())
    if altered:
        found.problems.append(f"{member.name}: {altered} verdicts are stored otherwise than they were watched")


def _check_log(found: Found, rows: list[Any], tree: list[Any], heads: set[tuple[int, bytes]]) -> None:
    complete, roots = _tree([_leaf_hash(verdict, event) for _, verdict, event in rows], {size for size, _ in heads})
    if [index for index, *_ in rows] != list(range(len(rows))):
        found.problems.append("the log: a leaf is not there")
    if [(position, bytes(stored)) for position, stored in tree] != list(enumerate(complete)):
        found.problems.append("the log: its leaves do not hash to its tree")
    found.checkpoints = len(heads)
    found.forks = sum(roots.get(size) != root for size, root in heads)


def _leaf_hash(verdict: bytes | None, event: bytes) -> bytes:
    """RFC 6962's, of DSSE's pre-authentication encoding."""
    kind, payload = _EVENT_TYPE, bytes(event)
    if verdict is not None:
        envelope = types_pb2.Envelope.FromString(bytes(verdict))
        kind, payload = envelope.payload_type, envelope.payload
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    return hashlib.sha256(b"\x00" + encoded).digest()


def _pair(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _tree(leaves: Sequence[bytes], sizes: set[int]) -> tuple[list[bytes], dict[int, bytes]]:
    """The roots of all complete subtrees, in the order in which they become complete; and the root of the first so many leaves,
    for each of those sizes that there are so many (RFC 6962, section 2.1)."""
    complete: list[bytes] = []
    waiting: list[tuple[int, bytes]] = []
    roots = {0: hashlib.sha256().digest()}
    for number, leaf in enumerate(leaves, 1):
        size, root = 1, leaf
        complete.append(root)
        while waiting and waiting[-1][0] == size:
            size, root = 2 * size, _pair(waiting.pop()[1], root)
            complete.append(root)
        waiting.append((size, root))
        if number in sizes:
            for _, left in reversed(waiting[:-1]):
                root = _pair(left, root)
            roots[number] = root
    return complete, roots
