"""Copying SQLite's write-ahead log back into the database, beside the writer.

Left alone, SQLite does it within whichever commit makes the log long enough, and whoever waits for that commit waits for
thousands of pages more. Here a thread copies while the writer goes on writing. But the log begins anew only when all of it is
copied, and a busy writer never leaves off for long enough: so once the thread has caught up, the writer copies the little that
came since, right after a commit. Nothing depends on it but time: what is committed is durable in the log.

    >>> checkpoints = Checkpoints("registry.sqlite")          # doctest: +SKIP
    >>> checkpoints.wrote(connection)                         # doctest: +SKIP
    >>> checkpoints.close()                                   # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading

from daxa_registry.priority import COPIER, be_nicer

PERIOD_SECONDS = 0.25
LITTLE_PAGES = 100
"""Caught up: no more than this came during the last round."""
LONG_PAGES = 1_000
"""From here on the log is to begin anew: 4 MB."""
ROUNDS = 6
"""After so many the writer copies the rest, however much: the disk is slower than what is written, and it has to wait."""
LONGEST_PAGES = 32_000
"""128 MB: SQLite's own copying begins. It comes to this only where a reader holds on to an old state."""
_COPY = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """One database's copying; its thread begins with the first commit."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._written = threading.Event()
        self._closing = threading.Event()
        self._caught_up = threading.Event()
        self._thread: threading.Thread | None = None

    def wrote(self, connection: sqlite3.Connection) -> None:
        """There is something to copy. For the writer, after a commit."""
        if self._caught_up.is_set():
            # Nothing is lost where it fails: the disk may be full, which the next commit tells.
            with contextlib.suppress(sqlite3.Error):
                connection.execute(_COPY)
            self._caught_up.clear()
        self._written.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stops; what is not copied yet stays in the log."""
        self._closing.set()
        self._written.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        be_nicer(COPIER)
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            while self._written.wait() and not self._closing.wait(PERIOD_SECONDS):
                self._written.clear()
                if self._closing.is_set():  # what was cleared may have been what wakes this thread to end
                    return
                # A disk that is full or a database that is locked is the writer's to tell; the next time may succeed.
                with contextlib.suppress(sqlite3.Error):
                    self._copy(connection)

    def _copy(self, connection: sqlite3.Connection) -> None:
        if self._caught_up.is_set():  # the writer, who is to copy, has not come since
            return
        before = 0
        for _ in range(ROUNDS):
            _, pages, _ = connection.execute(_COPY).fetchone()
            if pages - before <= LITTLE_PAGES:
                break
            before = pages
        if pages >= LONG_PAGES:
            self._caught_up.set()
