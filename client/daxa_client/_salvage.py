"""What can still be read of a spool that was set aside, into the new one: torn, or written by a newer client.

A row is taken where its seal holds and its columns are as this client knows them; what is in it is looked at when it is sent.
What cannot be taken stays in the file that was set aside, and is counted. A count is added to what the new spool has of the same
combination meanwhile, and a batch keeps its id, so that one which was sent before counts once.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from . import _totals as totals
from ._sealed_file import FAILURES, Unreadable
from ._yielding import PAUSE_SECONDS, SLICE

Unseal = Callable[[object, bytes], bytes]
ADD = """
INSERT INTO sighting (tag, due, count, body) VALUES (?,?,?,?)
ON CONFLICT (tag) DO UPDATE SET count=count+excluded.count, due=min(due, excluded.due)
"""


def salvage(old: sqlite3.Connection, new: sqlite3.Connection, unseal: Unseal) -> int:
    """Copies what can be read; answers how many sightings could not. Raises what ``new`` raises, such as a disk that is full."""
    unread = 0
    for tag, due, count, body in _rows(old, "sighting", "tag, due, count, body"):
        if isinstance(due, int) and isinstance(count, int) and _opens(unseal, body, tag):
            new.execute(ADD, (tag, due, count, body))
        else:
            unread += 1
    for batch_id, place, rows, body in _rows(old, "batch", "batch_id, place, rows, body"):
        if isinstance(place, int) and isinstance(rows, int) and _opens(unseal, body, batch_id):
            new.execute("INSERT OR IGNORE INTO batch VALUES (?,?,?,?)", (batch_id, place, rows, body))
        else:
            unread += rows if isinstance(rows, int) and 0 < rows <= 1_000 else 1
    for tag, body in _rows(old, "report", "tag, body"):
        if _opens(unseal, body, tag):
            new.execute("INSERT OR IGNORE INTO report (tag, body) VALUES (?,?)", (tag, body))
    for _, process, body in _rows(old, "journal", "id, process, body"):
        if _opens(unseal, body, process):
            new.execute("INSERT INTO journal (process, body) VALUES (?,?)", (process, body))
    for name, value in _rows(old, "mark", "name, value"):
        if isinstance(name, str) and isinstance(value, str):
            new.execute("INSERT OR IGNORE INTO mark VALUES (?,?)", (name, value))
    for name, number in _rows(old, "total", "name, number"):
        if isinstance(name, str) and isinstance(number, int):
            totals.add_up(new, name, number)
    totals.add_up(new, "unreadable", unread)
    return unread


def _rows(old: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Each row once. A page that cannot be read ends that direction, so a table is then read from its other end too."""
    query, last, number = f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY rowid", None, 0  # noqa: S608 - names above
    try:
        for row in old.execute(query):
            last, number = row[0], number + 1
            yield row
            if number % SLICE == 0:
                time.sleep(PAUSE_SECONDS)
    except FAILURES:
        with suppress(*FAILURES):
            for row in old.execute(f"{query} DESC"):
                if row[0] == last:
                    return
                yield row


def _opens(unseal: Unseal, body: object, label: object) -> bool:
    try:
        unseal(body, label if isinstance(label, bytes) else b"")
    except Unreadable:
        return False
    return True
