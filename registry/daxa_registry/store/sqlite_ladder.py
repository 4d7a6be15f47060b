"""The rows around a verdict's life in SQLite: where each is, when it is due, and the documents beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from daxa_core.model import Act, Kind, Level
from daxa_registry.decision.ladder import State

from .database import NODE, Database
from .interface import Declared, Standing, StoredVerdict

LAST_SEQUENCE = 2**63 - 1
"""What a column holds."""
_CHANGE = "SELECT subject, member, sequence, level, decided_at, body, evidence, before, act, judged FROM verdict"


def _read(row: tuple) -> StoredVerdict:  # type: ignore[type-arg]
    subject, member, sequence, level, decided_at, body, evidence, before, act, judged = row
    return StoredVerdict(
        subject, member, sequence, Level(level), decided_at, body, evidence, before, Act(act) if act else None, judged
    )


class LadderTables:
    """The part of :class:`~daxa_registry.store.sql_store.SqlStore` that keeps ladders and documents."""

    _writer: Database

    def _reading(self) -> AbstractContextManager[Database]:
        raise NotImplementedError

    # ladders

    def save_ladder(self, subject: int, state: State, due: int) -> None:
        self._writer.execute(
            "INSERT INTO ladder VALUES (?1,?2,?3) ON CONFLICT (subject) DO UPDATE SET state=?2, due=?3",
            (subject, state.to_json(), due),
        )

    def ladder(self, subjects: Iterable[int]) -> Mapping[int, tuple[State, int]]:
        query = "SELECT subject, state, due FROM ladder WHERE subject IN ({})"
        with self._reading() as reader:
            return {subject: (State.from_json(state), due) for subject, state, due in reader.select(query, subjects)}

    def due(self, now: int, limit: int) -> list[int]:
        with self._reading() as reader:
            query = (
                "SELECT l.subject FROM ladder l JOIN subject s ON s.id=l.subject"
                " WHERE l.due > 0 AND l.due <= ? ORDER BY l.due, l.subject LIMIT ?"
            )
            return [row[0] for row in reader.execute(query, (now, limit))]

    def hasten(self, subjects_on: int, due: int) -> None:
        self._writer.execute(
            "UPDATE ladder SET due=? WHERE subject IN (SELECT subject FROM presence WHERE address=?)",
            (due, subjects_on),
        )

    def suspects(self, address: int | None = None) -> list[int]:
        everywhere = "SELECT s.id FROM ladder l JOIN subject s ON s.id=l.subject WHERE s.level > 0"
        there = " AND EXISTS (SELECT 1 FROM presence p WHERE p.subject=s.id AND p.address=?)"
        with self._reading() as reader:
            if address is None:
                rows = reader.execute(everywhere + " ORDER BY s.id")
            else:
                rows = reader.execute(everywhere + there + " ORDER BY s.id", (address,))
            return [row[0] for row in rows]

    def node(self, kind: Kind, fingerprint: bytes) -> int | None:
        with self._reading() as reader:
            query = f"SELECT n.id FROM node n WHERE {NODE.format('?1')} AND n.kind=?2"  # noqa: S608 - fixed names
            row = reader.execute(query, (fingerprint, int(kind))).fetchone()
        return int(row[0]) if row else None

    def standing_of(self, member: int, key: bytes) -> Standing | None:
        with self._reading() as reader:
            row = reader.execute(
                "SELECT s.id, s.level, s.sequence FROM node n JOIN subject s ON s.key=n.id AND s.member=?1"  # noqa: S608
                f" WHERE {NODE.format('?2')} AND n.kind=1",
                (member, key),
            ).fetchone()
        return Standing(row[0], member, key, Level(row[1]), row[2]) if row else None

    def verdict(self, member: int, sequence: int) -> StoredVerdict | None:
        if sequence > LAST_SEQUENCE:  # as a message may say
            return None
        with self._reading() as reader:
            row = reader.execute(f"{_CHANGE} WHERE member=? AND sequence=?", (member, sequence)).fetchone()
        return _read(row) if row else None

    def changes(self, subject: int) -> list[StoredVerdict]:
        with self._reading() as reader:
            return [_read(row) for row in reader.execute(f"{_CHANGE} WHERE subject=? ORDER BY sequence", (subject,))]

    # beside them

    def members(self) -> Mapping[int, str]:
        with self._reading() as reader:
            return dict(reader.execute("SELECT id, name FROM member"))

    def write_document(self, kind: str, name: str, body: str, *, replace: bool = False) -> None:
        instead = " ON CONFLICT (kind, name) DO UPDATE SET body=excluded.body" if replace else ""
        self._writer.execute(f"INSERT INTO document VALUES (?,?,?){instead}", (kind, name, body))  # noqa: S608 - fixed

    def document(self, kind: str, name: str) -> str | None:
        with self._reading() as reader:
            row = reader.execute("SELECT body FROM document WHERE kind=? AND name=?", (kind, name)).fetchone()
        return row[0] if row else None

    def documents(self, kind: str, after: str = "", limit: int = 1_000) -> list[tuple[str, str]]:
        with self._reading() as reader:
            query = "SELECT name, body FROM document WHERE kind=? AND name>? ORDER BY name LIMIT ?"
            return reader.execute(query, (kind, after, limit)).fetchall()

    def declared(self) -> list[Declared]:
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT id, kind, fingerprint, name, infrastructure, subjects FROM node WHERE infrastructure > 0 ORDER BY id"
            ).fetchall()
        return [Declared(r[0], Kind(r[1]), r[2], r[3] or "", r[4], r[5]) for r in rows]
