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

from daxa_core.errors import DaxaError, ErrorCode, InvalidInput

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
                self._heard(notice.channel, notice.payload)
                if self._stopped.is_set():
                    return

    def _heard(self, channel: str, payload: str) -> None:
        """What another node told. Whatever else somebody with the database's password says stops nobody's listening."""
        try:
            node, said = read_signal(channel, payload)
        except InvalidInput as error:
            LOG.warning("what was told on %s is passed over: %s", channel, error)
            return
        if node == self._node:
            return
        if isinstance(said, str):
            self._on_notice(said)
        else:
            self._on_heads(said)


def read_signal(channel: str, payload: str) -> tuple[str, Heads | str]:
    """Which node told, and heads or a notice, as :class:`Signals` tells them. Raises InvalidInput for what it never told."""
    try:
        node, *said = json.loads(payload)
        if channel == HEADS:
            heads = dict(said)
            if isinstance(node, str) and all(
                type(n) is int and 0 <= n < 1 << 63 for pair in heads.items() for n in pair
            ):
                return node, heads
        else:
            [notice] = said
            if isinstance(node, str) and isinstance(notice, str):
                return node, notice
    except (TypeError, ValueError, RecursionError):
        pass
    raise InvalidInput(ErrorCode.INVALID_VALUE, "signal", "what a node of this registry tells")
