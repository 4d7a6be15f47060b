"""The log's rows in SQLite: leaves, the hashes of complete subtrees in the order of :mod:`daxa_core.merkle`, cosignatures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from daxa_core import merkle

from .database import Database
from .interface import StoredLeaf


class LogTables:
    """The part of :class:`~daxa_registry.store.sql_store.SqlStore` that keeps the log."""

    _writer: Database
    _frontier: merkle.Frontier | None = None

    def _reading(self) -> AbstractContextManager[Database]:
        raise NotImplementedError

    # writing

    def next_leaf(self) -> int:
        return self._edge().size

    def append_leaf(self, leaf: StoredLeaf, leaf_hash: bytes) -> None:
        edge = self._edge()
        if leaf.index != edge.size:
            raise AssertionError("a leaf's index must be the log's next")
        start = merkle.stored_count(edge.size)
        self._writer.insert("tree_hash (position, hash)", list(enumerate(edge.append(leaf_hash), start)))
        self._writer.execute(
            "INSERT INTO leaf VALUES (?,?,?,?,?,?)",
            (leaf.index, leaf.audience, leaf.event, leaf.sequence, leaf.salt, leaf.body),
        )

    def save_cosignature(self, size: int, witness: str, line: str) -> None:
        self._writer.execute("INSERT INTO cosignature VALUES (?,?,?) ON CONFLICT DO NOTHING", (size, witness, line))

    def _edge(self) -> merkle.Frontier:
        if self._frontier is None:
            size = int(self._writer.execute("SELECT coalesce(max(idx) + 1, 0) FROM leaf").fetchone()[0])
            self._frontier = merkle.Frontier.load(size, lambda places: _hashes(self._writer, places))
        return self._frontier

    # reading

    def log_size(self) -> int:
        with self._reading() as reader:
            return int(reader.execute("SELECT coalesce(max(idx) + 1, 0) FROM leaf").fetchone()[0])

    def tree_hashes(self, positions: Sequence[int]) -> list[bytes]:
        with self._reading() as reader:
            return _hashes(reader, positions)

    def leaves(self, start: int, limit: int) -> list[StoredLeaf]:
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT l.idx, l.audience, l.event, l.sequence, l.salt, coalesce(v.body, l.body) FROM leaf l"
                " LEFT JOIN verdict v ON l.sequence > 0 AND v.member=l.audience AND v.sequence=l.sequence"
                " WHERE l.idx >= ? ORDER BY l.idx LIMIT ?",
                (start, limit),
            ).fetchall()
        # SQLite lets a column hold a value of any type, also one that somebody wrote there as a text.
        return [StoredLeaf(*row, body=body if isinstance(body, bytes) else str(body).encode()) for *row, body in rows]  # type: ignore[misc]

    def last_event(self, kind: str) -> bytes | None:
        with self._reading() as reader:
            row = reader.execute(
                "SELECT body FROM leaf WHERE event=? AND event<>'' ORDER BY idx DESC LIMIT 1", (kind,)
            ).fetchone()
        return bytes(row[0]) if row else None

    def cosignatures(self, size: int) -> list[str]:
        with self._reading() as reader:
            rows = reader.execute("SELECT line FROM cosignature WHERE size=? ORDER BY witness", (size,)).fetchall()
        return [row[0] for row in rows]

    def cosigned_size(self, witnesses: int) -> int | None:
        with self._reading() as reader:
            row = reader.execute(
                "SELECT size FROM cosignature GROUP BY size HAVING count(*) >= ? ORDER BY size DESC LIMIT 1",
                (witnesses,),
            ).fetchone()
        return int(row[0]) if row else None


def _hashes(connection: Database, positions: Sequence[int]) -> list[bytes]:
    found = dict(connection.select("SELECT position, hash FROM tree_hash WHERE position IN ({})", positions))
    try:
        return [found[position] for position in positions]
    except KeyError:
        raise AssertionError("every hash of the log's tree is stored") from None
