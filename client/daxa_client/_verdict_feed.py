"""Keeps the verdict table in step with the registry: the stream into the table, digests compared, callbacks told.

The stream is resumed from the table's cursor. Once it is idle, and then every hour, the registry's digest at that cursor is
compared with the table's: where they differ, or the cursor is one that the registry never reached, the table is built again
from the beginning, beside what it answers meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from daxa_core.errors import DaxaError, ErrorCode, Unavailable
from daxa_core.model import Verdict

from ._client import RegistryClient
from ._complaints import Complaints
from ._shipper import pause_after
from ._verdict_table import Change, VerdictTable

CHECK_SECONDS = 3_600.0
CLOCK_SECONDS = 60
"""So far a host's clock may be from the registry's: sightings are told by the hour, and those of a wrong hour match nobody's."""
_IDLE_SECONDS = 0.5
_AT_ONCE = 500
_LONGEST_PAUSE_SECONDS = 60.0
OnVerdict = Callable[[str | None, Verdict], object]


def tell(callbacks: Iterable[OnVerdict], changes: Iterable[Change], complaints: Complaints) -> None:
    """Calls each; one that raises is said once an hour and harms nobody else."""
    for key, verdict in changes:
        for callback in callbacks:
            try:
                callback(key, verdict)
            except Exception as error:  # noqa: BLE001 - it is the member's own code
                # No traceback: the locals of the member's own code may be anything, and a message may name the key.
                name = type(error).__name__
                complaints.say(f"on_verdict {name}", f"a callback of on_verdict raised {name}", logging.ERROR)


class VerdictFeed:
    """From one client's stream to one table. :meth:`run` is one thread's work, until :meth:`stop`."""

    def __init__(
        self, client: RegistryClient, table: VerdictTable, complaints: Complaints, callbacks: list[OnVerdict]
    ) -> None:
        self._client, self._table, self._complaints, self._callbacks = client, table, complaints, callbacks
        self._stopped = threading.Event()
        self._next_check = self._not_again = 0.0
        self.problem = ""

    def stop(self) -> None:
        """Makes :meth:`run` end, once the client is closed."""
        self._stopped.set()

    def run(self) -> None:
        """Follows until it is stopped; what goes wrong is one line an hour."""
        failures = 0
        while not self._stopped.is_set():
            try:
                for changes in self._changes():
                    failures, self.problem = 0, ""
                    tell(self._callbacks, changes, self._complaints)
            except DaxaError as error:
                if self._stopped.is_set():
                    return
                failures += 1
                self.problem = str(error)
                self._complaints.say(f"verdicts {error.code}", f"verdicts are as they were for now: {error}")
                if error.code is ErrorCode.CURSOR_OUT_OF_RANGE:
                    self._start_again()
                self._stopped.wait(min(pause_after(failures, error), _LONGEST_PAUSE_SECONDS))
            except Exception as error:  # noqa: BLE001 - a bug here must not end the thread
                self._complaints.say("feed", f"following the verdicts failed with a bug: {type(error).__name__}")
                self._stopped.wait(_LONGEST_PAUSE_SECONDS)

    def _changes(self) -> Iterator[list[Change]]:
        """What the table took, as it takes it; an empty list each time that there was nothing for a while."""
        arriving: queue.Queue[Verdict | DaxaError | None] = queue.Queue(_AT_ONCE)
        over = threading.Event()
        reader = threading.Thread(target=self._read, args=(arriving, over), name="daxa-watch", daemon=True)
        reader.start()
        try:
            ended, idle = False, _IDLE_SECONDS
            while not ended:
                verdicts: list[Verdict] = []
                failure: DaxaError | None = None
                with contextlib.suppress(queue.Empty):
                    item = arriving.get(timeout=idle)
                    while True:
                        if not isinstance(item, Verdict):
                            ended, failure = True, item
                            break
                        verdicts.append(item)
                        if len(verdicts) >= _AT_ONCE:
                            break
                        item = arriving.get_nowait()
                yield self._table.take(verdicts)
                if failure is not None:
                    raise failure
                if not verdicts and not ended and time.monotonic() >= self._next_check:
                    yield self._check()
                # Quiet until there is something to do: a thread that wakes up keeps the gateway's next request waiting.
                idle = max(_IDLE_SECONDS, self._next_check - time.monotonic())
        finally:
            over.set()

    def _read(self, arriving: queue.Queue[Verdict | DaxaError | None], over: threading.Event) -> None:
        end: DaxaError | None = None
        try:
            for verdict in self._client.watch(after_sequence=self._table.cursor):
                while not over.is_set():
                    with contextlib.suppress(queue.Full):
                        arriving.put(verdict, timeout=_IDLE_SECONDS)
                        break
                if over.is_set():
                    return
        except DaxaError as error:
            end = error
        except Exception as error:  # noqa: BLE001 - told to the thread that waits
            end = Unavailable(ErrorCode.INTERNAL, "client", f"no {type(error).__name__}")
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                arriving.put(end, timeout=_IDLE_SECONDS)
                return

    def _check(self) -> list[Change]:
        """Compares digests at the cursor. Raises Unavailable CURSOR_OUT_OF_RANGE where the table has to be built again."""
        table, client, now = self._table, self._client, time.monotonic()
        try:
            theirs, head = client.verdict_digest(table.cursor)
            same, whole = theirs == table.digest(), head == table.cursor
            self._check_clock()
            if same or now < self._not_again:
                self._next_check = now + (CHECK_SECONDS if whole else _IDLE_SECONDS)
                if not same:  # all that the registry streams is in it: there is nothing better to answer from
                    self._complaints.say(
                        "digest", "the verdicts differ from the registry's digest after they were built again"
                    )
                if not whole:
                    return []
                changes: list[Change] = []
                stale = table.stale_keys()
                if stale:  # under another fingerprinting key their fingerprints are others: learn them first
                    changes = table.learn((print_, key) for key, print_ in client.fingerprints(stale).items())
                return changes + table.confirm()
        except DaxaError as error:
            self._next_check = now + _LONGEST_PAUSE_SECONDS
            if not self._stopped.is_set():
                self._complaints.say(
                    f"digest {error.code}", f"the verdicts could not be compared with the registry's: {error}"
                )
            return []
        self._not_again = now + CHECK_SECONDS
        wanted = "the digest of what this member's table holds; it is built again"
        raise Unavailable(ErrorCode.CURSOR_OUT_OF_RANGE, "verdicts", wanted)

    def _check_clock(self) -> None:
        apart = int(time.time()) - self._client.registry_clock()
        if abs(apart) > CLOCK_SECONDS:
            self._complaints.say(
                "clock", f"this host's clock is {apart:+,} s from the registry's: what is seen counts in a wrong hour"
            )

    def _start_again(self) -> None:
        try:
            self._table.restart()
        except DaxaError as error:
            self._complaints.say("verdicts restart", f"verdicts are as they were for now: {error}")
