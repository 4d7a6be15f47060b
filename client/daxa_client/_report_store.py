"""What a gateway did about verdicts, in the spool until the registry has answered: of all processes, and across crashes.

Each report is there once, whoever of several processes did the same. It is bounded: past its bound the oldest goes, for a newer
verdict has probably taken the place of the one that it was about, and what goes is counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from blake3 import blake3

from daxa_core.model import FINGERPRINT_BYTES, Act, Verdict
from daxa_core.pseudonym import derive_key

from ._complaints import Complaints
from ._sealed_file import SealedFile, Unreadable
from ._totals import add_up

SCHEMA = "CREATE TABLE IF NOT EXISTS report (id INTEGER PRIMARY KEY, tag BLOB NOT NULL UNIQUE, body BLOB NOT NULL);"
KEPT = 5_000
_TAG_CONTEXT = "daxa 2026-11 report tag v1"


class ReportStore:
    """The reports in one spool. Thread-safe."""

    def __init__(self, file: SealedFile, secret: bytes, complaints: Complaints) -> None:
        self._file, self._complaints = file, complaints
        self._tag_key = derive_key(_TAG_CONTEXT, secret)

    def add(self, done: Iterable[tuple[Verdict, Act]]) -> None:
        """Keeps them, all or, where it raises, none. Raises Unavailable."""
        rows = []
        for verdict, act in done:
            body = verdict.key + verdict.sequence.to_bytes(8, "big") + bytes([act])
            tag = blake3(body, key=self._tag_key).digest(length=16)
            rows.append((tag, self._file.seal(body, tag)))
        with self._file.transaction() as database:
            database.executemany("INSERT OR IGNORE INTO report (tag, body) VALUES (?,?)", rows)
            number = int(database.execute("SELECT count(*) FROM report").fetchone()[0])
            if number > KEPT:
                oldest = "DELETE FROM report WHERE id IN (SELECT id FROM report ORDER BY id LIMIT ?)"
                self._lost(database, database.execute(oldest, (number - KEPT,)).rowcount)

    def next(self) -> tuple[bytes, Verdict, Act] | None:
        """The oldest, with what it is named by; of the verdict only its key and sequence. Raises Unavailable."""
        with self._file.transaction(writes=False) as database:
            row = database.execute("SELECT tag, body FROM report ORDER BY id LIMIT 1").fetchone()
        while row is not None:
            try:
                body = self._file.unseal(row[1], row[0])
                key, sequence, act = body[:FINGERPRINT_BYTES], body[FINGERPRINT_BYTES:-1], Act(body[-1])
                return row[0], Verdict(key, sequence=int.from_bytes(sequence, "big")), act
            except (Unreadable, ValueError, IndexError, TypeError):
                with self._file.transaction() as database:
                    self._lost(database, database.execute("DELETE FROM report WHERE tag IS ?", row[:1]).rowcount)
                    row = database.execute("SELECT tag, body FROM report ORDER BY id LIMIT 1").fetchone()
        return None

    def answered(self, tag: bytes) -> None:
        """Lets go of one that the registry has answered. Raises Unavailable."""
        with self._file.transaction() as database:
            database.execute("DELETE FROM report WHERE tag=?", (tag,))

    def _lost(self, database: sqlite3.Connection, number: int) -> None:
        add_up(database, "reports_lost", number)
        self._complaints.say(
            "reports", f"{number} reports of what was done about verdicts were lost: too many, or unreadable"
        )
