"""How often a process has seen again what the spool has already, since it last added that up there.

To add it up is to change a row for each combination, which is done once a minute. Between, each flush puts the same numbers down
in one row, so that a process that is killed loses the last flush interval and no more: another one takes them over. They go in
the transaction in which they are added up, so that they count once.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from ._sealed_file import SealedFile
from ._yielding import yielding

SCHEMA = "CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, process BLOB NOT NULL, body BLOB NOT NULL);"


class Journal:
    """The journals of all processes, in one spool. Thread-safe."""

    def __init__(self, file: SealedFile) -> None:
        self._file = file

    def write(self, process: bytes, texts: Iterable[bytes], anew: bool) -> None:
        """Number of a combination, how often it was seen since the last time, and its values where the number is new, as JSON;
        ``anew`` forgets what was written before. Raises Unavailable."""
        body = self._file.seal(zlib.compress(b"[%b]" % b",".join(texts), 1), process)
        with self._file.transaction() as database:
            if anew:
                self.forget(database, process)
            database.execute("INSERT INTO journal (process, body) VALUES (?,?)", (process, body))

    def processes(self) -> set[bytes]:
        """Those that have one. Raises Unavailable."""
        with self._file.transaction(writes=False) as database:
            return {name for (name,) in database.execute("SELECT DISTINCT process FROM journal")}

    # within a transaction

    def forget(self, database: sqlite3.Connection, process: bytes) -> None:
        """It was added up."""
        database.execute("DELETE FROM journal WHERE process IS ?", (process,))

    def read(self, database: sqlite3.Connection, process: bytes) -> Iterator[tuple[list[Any], int] | bytes]:
        """The values of combinations and how often each was seen, or a row that cannot be read."""
        named: dict[int, list[Any]] = {}
        rows = database.execute("SELECT body FROM journal WHERE process IS ? ORDER BY id", (process,)).fetchall()
        for (body,) in rows:
            try:
                listed = json.loads(zlib.decompress(self._file.unseal(body, process)))
                named |= {number: values[0] for number, _, *values in listed if values}
                found = [(named[number], count) for number, count, *_ in listed]
            except Exception:  # noqa: BLE001 - torn, or of another client: whatever it is, the next row is read
                yield body
                continue
            yield from yielding(found)
