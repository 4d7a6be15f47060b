"""The SQLite schema and its migrations: forward only, each committed together with its number.

``PRAGMA user_version`` counts the migrations that were applied. A database from a later program is refused, not guessed at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path

from sqlite_utils import Database

from daxa_core.errors import ConfigurationError, ErrorCode

from .database import Database as Connection

TABLES = (
    "member", "node", "subject", "presence", "batch", "verdict", "ladder", "document", "leaf", "tree_hash", "cosignature",
    "activity", "leak", "leaked", "doubtful",
)  # fmt: skip
"""All that a registry holds, on every store."""
MOVED = 1_000_000
"""The version of a database that another one took the place of."""

MIGRATIONS = (
    """
    CREATE TABLE member (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, head INTEGER NOT NULL DEFAULT 0);

    -- One row per fingerprint. Counters: distinct subjects, distinct addresses (of a device), distinct refused subjects
    -- (of a device). infrastructure: seconds until which an operator vouches for it.
    CREATE TABLE node (
      id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, fingerprint BLOB NOT NULL,
      subjects INTEGER NOT NULL DEFAULT 0, addresses INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0,
      infrastructure INTEGER NOT NULL DEFAULT 0, name TEXT
    );
    CREATE UNIQUE INDEX node_fingerprint ON node (fingerprint, kind);

    -- One key at one member.
    CREATE TABLE subject (
      id INTEGER PRIMARY KEY, key INTEGER NOT NULL, member INTEGER NOT NULL, account BLOB, holder INTEGER,
      seen INTEGER NOT NULL DEFAULT 0, hours INTEGER NOT NULL DEFAULT 0, addresses INTEGER NOT NULL DEFAULT 0,
      level INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0
    );
    CREATE UNIQUE INDEX subject_key ON subject (key, member);

    -- One row per edge: a subject on an address with a device (0: unknown), in one manner. hours is a little-endian bit
    -- set from the hour `first` on.
    CREATE TABLE presence (
      id INTEGER PRIMARY KEY, address INTEGER NOT NULL, device INTEGER NOT NULL, subject INTEGER NOT NULL,
      manner INTEGER NOT NULL, network INTEGER NOT NULL, first INTEGER NOT NULL, hours BLOB NOT NULL,
      count INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX presence_place ON presence (address, device, subject, manner);
    CREATE INDEX presence_subject ON presence (subject, address);

    CREATE TABLE batch (
      member INTEGER NOT NULL, batch_id BLOB NOT NULL, digest BLOB NOT NULL, accepted INTEGER NOT NULL,
      refusals TEXT NOT NULL, sequences TEXT NOT NULL, received_at INTEGER NOT NULL, PRIMARY KEY (member, batch_id)
    ) WITHOUT ROWID;
    CREATE INDEX batch_age ON batch (received_at);

    CREATE TABLE verdict (
      member INTEGER NOT NULL, sequence INTEGER NOT NULL, subject INTEGER NOT NULL, level INTEGER NOT NULL,
      decided_at INTEGER NOT NULL, body BLOB NOT NULL, evidence BLOB NOT NULL, PRIMARY KEY (member, sequence)
    ) WITHOUT ROWID;
    CREATE INDEX verdict_subject ON verdict (subject, sequence);
    """,
    """
    -- Where a verdict is that ever moved, and when time alone may move it (seconds, 0 for never).
    CREATE TABLE ladder (subject INTEGER PRIMARY KEY, state TEXT NOT NULL, due INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX ladder_due ON ladder (due) WHERE due > 0;

    -- What a change rested on beside its evidence: the state before, and what the exchange did.
    ALTER TABLE verdict ADD COLUMN before TEXT NOT NULL DEFAULT '';
    ALTER TABLE verdict ADD COLUMN act INTEGER NOT NULL DEFAULT 0;

    -- Policies by digest, reports, appeals, operators' acts: few, read by name, JSON or TOML inside.
    CREATE TABLE document (kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, name))
      WITHOUT ROWID;
    CREATE INDEX node_infrastructure ON node (id) WHERE infrastructure > 0;
    """,
    """
    -- The log. A verdict's leaf has its member as audience and its sequence, and its bytes are the verdict's; an event's has
    -- its kind and its bytes. audience: a member, 0 everybody, -1 auditors. salt: what blinds the verdict's evidence.
    CREATE TABLE leaf (
      idx INTEGER PRIMARY KEY, audience INTEGER NOT NULL, event TEXT NOT NULL, sequence INTEGER NOT NULL, salt BLOB NOT NULL,
      body BLOB NOT NULL
    );
    CREATE INDEX leaf_event ON leaf (event, idx) WHERE event <> '';

    -- Roots of complete subtrees in the order in which they became complete.
    CREATE TABLE tree_hash (position INTEGER PRIMARY KEY, hash BLOB NOT NULL);

    CREATE TABLE cosignature (size INTEGER NOT NULL, witness TEXT NOT NULL, line TEXT NOT NULL, PRIMARY KEY (size, witness))
      WITHOUT ROWID;
    """,
    """
    ALTER TABLE verdict ADD COLUMN judged REAL;
    """,
    """
    -- Presences in use by hour, for the hours in which the whole market stirs or falls silent. What is stored is counted:
    -- byte by byte, then bit by bit.
    CREATE TABLE activity (hour INTEGER PRIMARY KEY, active INTEGER NOT NULL);
    INSERT INTO activity
      WITH RECURSIVE digit(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM digit WHERE i < 255),
      byte(value, digits) AS (SELECT i, printf('%02X', i) FROM digit),
      octet(at, digits, hours) AS (
        SELECT first, substr(hex(hours), 1, 2), substr(hex(hours), 3) FROM presence WHERE manner=1
        UNION ALL SELECT at + 8, substr(hours, 1, 2), substr(hours, 3) FROM octet WHERE hours<>''
      )
      SELECT at + bit.i, count(*) FROM octet JOIN byte USING (digits) JOIN digit bit ON bit.i < 8
      WHERE byte.value >> bit.i & 1 GROUP BY 1;
    """,
    """
    -- An address is read by member, so that no member's crowd stands before another's rows. How common a device is, nobody asks.
    ALTER TABLE presence ADD COLUMN member INTEGER NOT NULL DEFAULT 0;
    UPDATE presence SET member=(SELECT s.member FROM subject s WHERE s.id=presence.subject);
    DROP INDEX presence_place;
    CREATE UNIQUE INDEX presence_place ON presence (address, member, device, subject, manner);
    ALTER TABLE node DROP COLUMN addresses;
    ALTER TABLE node DROP COLUMN rejected;
    UPDATE node SET subjects=0 WHERE kind<>2;
    """,
    """
    -- Leaks, and their keys as fingerprints. reporter: a member, 0 operators. applied: see store/leak_interface.py.
    CREATE TABLE leak (
      number INTEGER PRIMARY KEY, leak_id BLOB NOT NULL UNIQUE, reporter INTEGER NOT NULL, name TEXT NOT NULL,
      source TEXT NOT NULL, found_at INTEGER NOT NULL, tlp INTEGER NOT NULL, opened_at INTEGER NOT NULL,
      confidence INTEGER NOT NULL, state INTEGER NOT NULL, keys INTEGER NOT NULL, loaded_at INTEGER NOT NULL,
      digest BLOB NOT NULL, applied INTEGER, lowering INTEGER NOT NULL
    );
    CREATE TABLE leaked (fingerprint BLOB NOT NULL, leak INTEGER NOT NULL, PRIMARY KEY (fingerprint, leak)) WITHOUT ROWID;
    CREATE INDEX leaked_leak ON leaked (leak, fingerprint);
    """,
    """
    -- By member too: what one member makes up declares no hour unusual for the market.
    DROP TABLE activity;
    CREATE TABLE activity (
      hour INTEGER NOT NULL, member INTEGER NOT NULL, active INTEGER NOT NULL, PRIMARY KEY (hour, member)
    ) WITHOUT ROWID;
    INSERT INTO activity
      WITH RECURSIVE digit(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM digit WHERE i < 255),
      byte(value, digits) AS (SELECT i, printf('%02X', i) FROM digit),
      octet(at, member, digits, hours) AS (
        SELECT first, member, substr(hex(hours), 1, 2), substr(hex(hours), 3) FROM presence WHERE manner=1
        UNION ALL SELECT at + 8, member, substr(hours, 1, 2), substr(hours, 3) FROM octet WHERE hours<>''
      )
      SELECT at + bit.i, member, count(*) FROM octet JOIN byte USING (digits) JOIN digit bit ON bit.i < 8
      WHERE byte.value >> bit.i & 1 GROUP BY 1, 2;
    """,
    """
    -- A holder leaves with its last subject. A network or client stack of a presence that went is in doubt since that walk of
    -- retention (store/doubtful.py); at first all are.
    CREATE INDEX subject_holder ON subject (holder) WHERE holder IS NOT NULL;
    DELETE FROM node WHERE kind=5 AND infrastructure=0 AND NOT EXISTS (SELECT 1 FROM subject WHERE holder=node.id);
    CREATE TABLE doubtful (node INTEGER PRIMARY KEY, since INTEGER NOT NULL);
    INSERT INTO doubtful SELECT id, 0 FROM node WHERE kind IN (3, 4);
    DELETE FROM document WHERE kind='retention';
    """,
    """
    -- Refusals by client stack, to tell with which one somebody goes through a list.
    CREATE INDEX presence_refused ON presence (device, first) WHERE manner=2;
    """,
    """
    -- Most of the file were indexes. Eight bytes of a fingerprint find its row, which has all of it: two that begin alike are
    -- told apart there. That no node is there twice is the one writer's business.
    DROP INDEX node_fingerprint;
    CREATE INDEX node_head ON node (substr(fingerprint, 1, 8));
    DROP INDEX presence_subject;
    CREATE INDEX presence_subject ON presence (subject);
    """,
)


def migrate(database: Database, *, make: bool = True) -> None:
    """Brings the database to this program's version. Raises ConfigurationError for one from the future, and, where nothing is to
    be made, for any other than this program's."""
    version = database.conn.execute("PRAGMA user_version").fetchone()[0]
    if version == MOVED:
        wanted = "the one that this was moved to by migrate-store; nothing more is written here"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)
    if version > len(MIGRATIONS):
        raise ConfigurationError(
            ErrorCode.INVALID_CONFIGURATION,
            "database",
            f"schema version up to {len(MIGRATIONS)}, this one is {version}: use the program that made it, or a newer one",
        )
    if version == 0 and database.conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise incomplete()
    if not make and version < len(MIGRATIONS):
        raise not_served(version, len(MIGRATIONS))
    for number in range(version, len(MIGRATIONS)):
        script = f"BEGIN IMMEDIATE;{MIGRATIONS[number]};PRAGMA user_version={number + 1};COMMIT;"
        try:
            database.conn.executescript(script)
        except BaseException as error:
            if database.conn.in_transaction:
                database.conn.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                raise incomplete() from None
            raise


def opened(path: Path) -> sqlite3.Connection:
    """A new file with the tables, without a registry around it."""
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(Database(connection, execute_plugins=False))
    return connection


@cache
def columns() -> Mapping[str, tuple[str, ...]]:
    """The columns of each table, which are the same on every store."""
    with closing(opened(Path(":memory:"))) as made:
        return {table: tuple(row[1] for row in made.execute(f"PRAGMA table_info({table})")) for table in TABLES}


def check_tables(database: Connection) -> None:
    """Raises the database's own error where a table or a column is not there, whatever its version says."""
    for table, names in columns().items():
        database.execute(f"SELECT {', '.join(names)} FROM {table} LIMIT 0")  # noqa: S608 - our own schema


def incomplete() -> ConfigurationError:
    """What a database is told that has other tables than its version says: another program's, or half of a migration."""
    wanted = "an empty database, or a registry's with all its tables and no others; restore a backup into an empty one"
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)


def not_served(version: int, wanted: int) -> ConfigurationError:
    """What whoever makes nothing is told of a database that an older program serves, or (0) that is none of a registry's."""
    told = "a registry's database that is there: look at its path or URL; `serve` makes a new one"
    if version:
        told = f"schema version {wanted}, this one is {version}: use the program that serves it, or start this one's `serve`"
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", told)


def retire(connection: sqlite3.Connection) -> None:
    """Nobody writes to this database any more: no program opens it, and one that has it open is refused.

    Inside a transaction.
    """
    for table in TABLES:  # also an appeal or a part of a leak is acknowledged, and would be lost
        for verb in ("INSERT", "UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TRIGGER moved_{table}_{verb} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'moved'); END"
            )
    connection.execute(f"PRAGMA user_version={MOVED}")


def not_empty() -> ConfigurationError:
    """What a database is told that holds something where an empty one is needed."""
    wanted = "an empty database to put it in; this one holds a registry, which stays as it was"
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)
