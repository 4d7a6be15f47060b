"""What nodes tell each other through PostgreSQL: whose verdicts moved, as a part of the transaction of the change; and notices.

What was told may be lost when a connection breaks; so whoever listens again is told every head, and no notice is a thing that
must not be lost.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

import psycopg

from daxa_core.errors import DaxaError

from .database import Database
from .postgres_rows import PostgresConnection

LOG = logging.getLogger("daxa_registry.store")
HEADS, NOTICES = "daxa_heads", "daxa_notices"
AGAIN_SECONDS = 0.5

Heads = dict[int, int]


class Signals:
    """One node's ear; it speaks through the connection of the transaction."""

    def __init__(self, url: str, node: str) -> None:
        self._url, self._node = url, node
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def tell_heads(self, database: Database, heads: Heads) -> None:
        """Tells the other nodes, when the transaction commits."""
        database.execute("SELECT pg_notify(?, ?)", (HEADS, json.dumps([self._node, *heads.items()])))

    def tell_notice(self, database: Database, notice: str) -> None:
        """Tells the other nodes a short text."""
        database.execute("SELECT pg_notify(?, ?)", (NOTICES, json.dumps([self._node, notice])))

    def listen(
        self, on_heads: Callable[[Heads], None], on_notice: Callable[[str], None], all_heads: Callable[[], Heads]
    ) -> None:
        """Calls ``on_heads`` and ``on_notice`` from a thread of its own with what other nodes told, until :meth:`close`."""
        self._on_heads, self._on_notice, self._all_heads = on_heads, on_notice, all_heads
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        told = False
        while not self._stopped.is_set():
            try:
                connection = PostgresConnection(self._url)
                try:
                    connection.execute(f"LISTEN {HEADS}")
                    connection.execute(f"LISTEN {NOTICES}")
                    self._on_heads(self._all_heads())
                    told = False
                    self._hear(connection)
                finally:
                    connection.close()
            except (psycopg.Error, DaxaError) as error:
                if not told:
                    LOG.warning("not listening to the other nodes: %s; it is tried again", type(error).__name__)
                told = True
                self._stopped.wait(AGAIN_SECONDS)

    def _hear(self, connection: PostgresConnection) -> None:
        while not self._stopped.is_set():
            for notice in connection.raw.notifies(timeout=AGAIN_SECONDS):
                node, *said = json.loads(notice.payload)
                if node != self._node:
                    if notice.channel == HEADS:
                        self._on_heads({int(member): int(head) for member, head in said})
                    else:
                        self._on_notice(said[0])
                if self._stopped.is_set():
                    return
