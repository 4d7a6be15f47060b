"""Holds a database against what was acknowledged: by SQL of its own and by hashing of its own, with none of the store's code.

>>> check("registry.sqlite", members, gateway)                                      # doctest: +SKIP
Found(lost=0, twice=0, missed=0, forks=0, problems=[])
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg

from crash_load import Gateway, Member

_COUNTS = (
    "SELECT n.fingerprint, sum(p.count), count(*) FROM presence p JOIN subject s ON s.id=p.subject"
    " JOIN node n ON n.id=s.key JOIN member m ON m.id=s.member WHERE m.name={} GROUP BY n.fingerprint"
)
_SEQUENCES = "SELECT v.sequence FROM verdict v JOIN member m ON m.id=v.member WHERE m.name={} ORDER BY v.sequence"
_HEADS = "SELECT name, head FROM member"
LEAVES = "SELECT position, hash FROM tree_hash ORDER BY position"


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


def ask(database: str, query: str, *values: object) -> list[Any]:
    """Rows, from either database."""
    if "://" in database:
        with psycopg.connect(database) as connection:
            return connection.execute(query.format("%s"), values).fetchall()  # type: ignore[arg-type]
    with closing(sqlite3.connect(database)) as file:
        return file.execute(query.format("?"), values).fetchall()


def head(database: str, member: str) -> int:
    """The newest sequence of a member."""
    return int(dict(ask(database, _HEADS)).get(member, 0))


def check(database: str, members: Sequence[Member], gateway: Gateway) -> Found:
    """Everything acknowledged is there once, every verdict there is was watched once, every checkpoint is of this log."""
    found = Found()
    for member in members:
        counted = {bytes(key): (int(total), rows) for key, total, rows in ask(database, _COUNTS, member.name)}
        found.edges += sum(rows for _, rows in counted.values())
        for key, wanted in member.acknowledged.items():
            has, rows = counted.pop(key, (0, 0))
            found.lost += max(wanted - has, 0)
            found.twice += max(has - wanted, 0) + max(rows - 1, 0)
        found.twice += sum(total for total, _ in counted.values())  # what nobody was answered about
        sequences = [row[0] for row in ask(database, _SEQUENCES, member.name)]
        if sequences != list(range(1, head(database, member.name) + 1)):
            found.problems.append(f"{member.name}: the sequences have a gap")
        found.missed += len(set(sequences) - set(member.sequences)) + len(set(member.sequences) - set(sequences))
        found.verdicts += len(sequences)
        found.problems += [f"{member.name}: {problem}" for problem in member.problems]
    total = sum(int(total) for _, total, _ in ask(database, _COUNTS, gateway.name))
    found.lost += max(gateway.total - total, 0)
    found.twice += max(total - gateway.total, 0)
    found.problems += gateway.problems
    leaves = _leaves(dict(ask(database, LEAVES)))
    heads = {pair for member in members for pair in member.heads}
    found.checkpoints = len(heads)
    found.forks = sum(size > len(leaves) or _root(leaves[:size]) != root for size, root in heads)
    return found


def _leaves(stored: dict[int, bytes]) -> list[bytes]:
    """The leaves' own hashes among those of all complete subtrees, which stand in the order in which they became complete."""
    leaves: list[bytes] = []
    position = 0
    while position in stored:
        leaves.append(bytes(stored[position]))
        position += ((len(leaves) & -len(leaves)).bit_length() - 1) + 1
    return leaves


def _root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _root(leaves[:half]) + _root(leaves[half:])).digest()
