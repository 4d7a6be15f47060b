"""Numbers that outlive the process, in the spool's file: what was lost, set aside or changed since the file began."""

from __future__ import annotations

import sqlite3
from collections import Counter

SCHEMA = "CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, number INTEGER NOT NULL);"


def add_up(database: sqlite3.Connection, name: str, number: int) -> None:
    """Adds to one, within the transaction that is open."""
    database.execute(
        "INSERT INTO total VALUES (?,?) ON CONFLICT (name) DO UPDATE SET number=number+excluded.number", (name, number)
    )


def read(database: sqlite3.Connection) -> Counter[str]:
    """All of them; one that was never added to is 0."""
    return Counter(dict(database.execute("SELECT name, number FROM total").fetchall()))
