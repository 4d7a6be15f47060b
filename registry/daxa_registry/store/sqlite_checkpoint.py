"""Copying SQLite's write-ahead log back into the database, beside the writer.

Left alone, SQLite does it within whichever commit makes the log long enough, and whoever waits for that commit waits for
thousands of pages more. Here a thread copies while the writer goes on writing; once it has copied all, the next commit begins the
log anew. Where the writer never pauses for that, a commit copies the little that is left when the log is ``LONGEST_PAGES`` long.
Nothing depends on it but time: what is committed is durable in the log.

    >>> checkpoints = Checkpoints("registry.sqlite")          # doctest: +SKIP
    >>> checkpoints.wrote()                                   # doctest: +SKIP
    >>> checkpoints.close()                                   # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading

PERIOD_SECONDS = 0.25
LONGEST_PAGES = 1_000
"""4 MB. At 128 MB a commit that had to copy it all held everybody up for more than a second (`scripts/bench fairness`)."""


class Checkpoints:
    """One database's copying; its thread begins with the first commit."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._written = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def wrote(self) -> None:
        """There is something to copy."""
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
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
