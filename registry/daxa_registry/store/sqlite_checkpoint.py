"""Copying SQLite's write-ahead log back into the database, beside the writer.

Left alone, SQLite does it within whichever commit makes the log long enough, and whoever waits for that commit waits for
thousands of pages more. Here a thread copies while the writer goes on writing, again and again until little is left; that
little the writer copies after its next commit, so that SQLite begins the log anew. Where the disk is too slow for that, the
writer's own limit stops the log from growing. Nothing depends on it but time: what is committed is durable in the log.

    >>> checkpoints = Checkpoints("registry.sqlite")          # doctest: +SKIP
    >>> checkpoints.wrote(connection)                         # doctest: +SKIP
    >>> checkpoints.close()                                   # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading

PERIOD_SECONDS = 0.25
LONG_PAGES = 8_000
"""From this many on, the log is begun anew."""
LONGEST_PAGES = 5 * LONG_PAGES
"""Where SQLite copies them within a commit."""
PASSES = 5
FEW_PAGES = 500
"""What the writer may be held up for."""
_COPY = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """One database's copying; its thread begins with the first commit."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._written = threading.Event()
        self._closing = threading.Event()
        self._little_left = False
        self._thread: threading.Thread | None = None

    def wrote(self, writer: sqlite3.Connection) -> None:
        """For whoever writes, after each commit and before anybody else may write. Never fails."""
        if self._little_left:
            self._little_left = False
            with contextlib.suppress(sqlite3.Error):
                writer.execute(_COPY)
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
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            while self._written.wait() and not self._closing.wait(PERIOD_SECONDS):
                self._written.clear()
                if self._closing.is_set():  # what was cleared may have been what wakes this thread to end
                    return
                # A disk that is full or a database that is locked is the writer's to tell; the next time may succeed.
                with contextlib.suppress(sqlite3.Error):
                    self._copy(connection)

    def _copy(self, connection: sqlite3.Connection) -> None:
        pages = 0
        for _ in range(PASSES):
            _, pages, copied = connection.execute(_COPY).fetchone()
            if pages - copied <= FEW_PAGES:
                break
        self._little_left = pages >= LONG_PAGES
