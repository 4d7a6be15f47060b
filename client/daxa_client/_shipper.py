"""From the spool to the registry: oldest first, a few batches at once, again and again until each was answered.

A batch that was answered is let go; one that cannot be taken now (the registry or the evaluators away, a quota spent, a
certificate or a key version that is wrong) stays and is sent again under the same id, after longer and longer pauses with some
chance in them. One that can never be taken is set aside with its reason. What the registry refuses of a batch is counted by code.
What goes on being wrong is one log line an hour.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from daxa_core.errors import CryptoError, DaxaError, ErrorCode, Refused, Unavailable
from daxa_core.model import RawSighting

from ._complaints import Complaints
from ._spool import Spool, SpooledBatch
from ._submission import SubmitResult

AT_ONCE = 6
SEALED_AT_ONCE = 4
"""Batches that are made of waiting sightings in one transaction, which keeps out whoever has an answer to note meanwhile."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
LONGEST_ASKED_SECONDS = 3_600.0
_LOOK_SECONDS = 1.0


class Submits(Protocol):
    """The part of RegistryClient that this needs."""

    def submit(self, sightings: tuple[RawSighting, ...], *, batch_id: bytes) -> SubmitResult:
        """See :meth:`RegistryClient.submit`."""


def pause_after(failures: int, error: DaxaError, jitter: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds until the next attempt after that many failures in a row; never sooner than the peer asked."""
    ceiling = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE_SECONDS)
    return min(error.retry_after or 0.0, LONGEST_ASKED_SECONDS) + jitter(ceiling / 2, ceiling)


class Shipper:
    """Drains one spool. :meth:`run` is one thread's work, until :meth:`stop`."""

    def __init__(
        self,
        spool: Spool,
        client: Submits,
        complaints: Complaints,
        answered: Callable[[SubmitResult], None] = lambda result: None,
        pause: Callable[[int, DaxaError], float] = pause_after,
    ) -> None:
        """``answered`` is told of every answer, in one of this shipper's threads."""
        self._spool, self._client, self._complaints = spool, client, complaints
        self._answered, self._pause = answered, pause
        self._stopped, self._wake = threading.Event(), threading.Event()
        self._more = threading.Condition()
        self._in_hand: set[bytes] = set()
        self._ready: deque[SpooledBatch] = deque()
        self._failures, self._not_before = 0, 0.0
        self.sent = self.of_no_use = 0
        self.refused: Counter[str] = Counter()
        self.problem = ""

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def stop(self) -> None:
        """Makes :meth:`run` end, after the batches that are under way."""
        self._stopped.set()
        self._wake.set()
        with self._more:
            self._more.notify_all()

    def run(self) -> None:
        """Sends what is there and what comes: seals batches, which threads of its own send."""
        others: list[threading.Thread] = []
        try:
            # No pool: the interpreter would wait for its threads at its end, and these may be waiting for a registry.
            for number in range(AT_ONCE):
                others.append(threading.Thread(target=self._work, args=(number,), name="daxa-ship", daemon=True))
                others[-1].start()
            while not self._stopped.is_set():
                if not self._seal():
                    self._wake.wait(_LOOK_SECONDS)
                    self._wake.clear()
        finally:  # where it fails, the next one's threads would send beside these
            self.stop()
            for other in others:
                if other.ident is not None:
                    other.join()

    def _seal(self) -> bool:
        """Makes batches before somebody waits for one; whether there were any to be made."""
        with self._more:
            enough = len(self._ready) >= (1 if self._failures else AT_ONCE)
            in_hand = set(self._in_hand)
        if enough or self._not_before > time.monotonic():
            return False
        try:
            made = self._spool.seal(time.time(), SEALED_AT_ONCE, in_hand)
        except DaxaError as error:
            self._failed(error)
            return False
        with self._more:
            self._in_hand.update(batch.batch_id for batch in made)
            self._ready.extend(made)
            if made:
                self._more.notify_all()
        return bool(made)

    def _work(self, number: int) -> None:
        while not self._stopped.is_set():
            resting = self._not_before - time.monotonic()
            # While the peers are away one batch at a time asks whether they are back.
            if resting > 0 or (self._failures and number):
                self._stopped.wait(min(max(resting, 0.05), _LOOK_SECONDS))
                continue
            batch = self._next()
            if batch is None:
                continue
            try:
                self._settle(batch)
            finally:
                with self._more:
                    self._in_hand.discard(batch.batch_id)
                self._wake.set()

    def _next(self) -> SpooledBatch | None:
        with self._more:
            if not self._ready:
                if not self._stopped.is_set():
                    # With no time: each thread that wakes up to look keeps the gateway's next request waiting.
                    self._more.wait()
                return None  # whose turn it is may have changed meanwhile
            batch = self._ready.popleft()
        self._wake.set()
        return batch

    def _send(self, batch: SpooledBatch) -> SubmitResult:
        result = self._client.submit(batch.sightings, batch_id=batch.batch_id)
        self._answered(result)
        return result

    def _settle(self, batch: SpooledBatch) -> None:
        refused = ""
        try:
            result = self._send(batch)
        except DaxaError as error:
            if error.code is ErrorCode.BATCH_ID_REUSED:
                # The registry has this batch, from when this member's settings made other bytes of it.
                self._complaints.say("batch", "a batch was at the registry already; it is not sent again")
            elif isinstance(error, Unavailable | Refused | CryptoError) or error.retry_after is not None:
                self._failed(error)
                return
            else:
                refused = str(error.code)
                self._complaints.say(f"batch {refused}", f"a batch can never be taken and is set aside: {error}")
        except Exception as error:  # noqa: BLE001 - a bug here must not end the thread that ships
            self._failed(Unavailable(ErrorCode.INTERNAL, "client", f"no {type(error).__name__}"))
            return
        else:
            self._count(result)
        try:
            self._spool.done(batch.batch_id, refused)
        except DaxaError as error:  # it will be sent again under the same id, which counts once
            self._failed(error)
            return
        self._failures, self.problem = 0, ""

    def _count(self, result: SubmitResult) -> None:
        self.sent += result.accepted
        self.of_no_use += len(result.of_no_use)
        for refusal in result.refusals:
            self.refused[refusal.code] += 1
        for refusal in {(refusal.code, refusal.field): refusal for refusal in result.refusals}.values():
            number = sum(1 for other in result.refusals if (other.code, other.field) == (refusal.code, refusal.field))
            hint = "; is this host's clock right?" if refusal.code == ErrorCode.HOUR_OUT_OF_WINDOW else ""
            text = f"{number} sightings were refused: {refusal.code}: {refusal.field}: {refusal.expected}{hint}"
            self._complaints.say(f"refused {refusal.code} {refusal.field}", text)

    def _failed(self, error: DaxaError) -> None:
        self._failures += 1
        self.problem = str(error)
        self._not_before = time.monotonic() + self._pause(self._failures, error)
        if not self._stopped.is_set():
            self._complaints.say(f"shipping {error.code} {error.field}", f"sightings wait in the spool: {error}")
