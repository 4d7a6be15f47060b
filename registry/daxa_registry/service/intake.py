"""The group-commit writer: whatever waits is taken together, written, matched and decided in one transaction.

A submission is answered after the commit, so what is answered is durable and a verdict never speaks of evidence that could
be lost. When the transaction fails, every submission in it is refused as a whole and nothing of it was taken.

Refused per item: a wrong shape, an hour outside the window, a fingerprint that is no element. Refused as a whole: a batch id
that was used with other content, and what comes while too much of the same member waits; members wait in turn (``fair_queue``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from daxa_core.errors import DaxaError, ErrorCode, InvalidInput, Unavailable
from daxa_core.model import SECONDS_PER_HOUR, Refusal, Sighting
from daxa_registry.priority import WRITER, be_nicer
from daxa_registry.store.interface import CheckElements, Store, StoredBatch

from .fair_queue import FairQueue
from .matching import Matcher

GROUP_SIGHTINGS = 8_000
QUEUED_BATCHES = 256
"""How many of one member may wait."""
AHEAD_HOURS = 2

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Submission:
    """One batch as it came: who, its id, the digest of its content, its items (an error where one could not be read)."""

    member: str
    batch_id: bytes
    digest: bytes
    items: Sequence[Sighting | DaxaError]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a member takes back of one of its keys; both hours 0 means everything."""

    member: str
    key: bytes
    first_hour: int
    last_hour: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a submission: how many were taken, which were not, the bodies of the verdicts that there are."""

    accepted: int
    refusals: tuple[Refusal, ...]
    verdicts: tuple[bytes, ...]


@dataclass(slots=True)
class _Waiting:
    work: Submission | Withdrawal
    future: Future[Receipt | int]
    answer: Receipt | int | DaxaError | None = field(default=None)


class Intake:
    """Owns the writer thread. ``submit`` and ``withdraw`` may be called from anywhere and answer with a future."""

    def __init__(
        self,
        store: Store,
        matcher: Matcher,
        *,
        check: CheckElements,
        on_verdicts: Callable[[dict[int, int]], None] = lambda heads: None,
        on_commit: Callable[[float], None] = lambda seconds: None,
        retention_hours: int = 720,
        clock: Clock = lambda: int(time.time()),
    ) -> None:
        """``on_verdicts`` is called after a commit, on the writer's thread, with the heads of the members that have news."""
        self._store = store
        self._matcher = matcher
        self._check = check
        self._on_verdicts = on_verdicts
        self._on_commit = on_commit
        self._retention_hours = retention_hours
        self._clock = clock
        self._queue: FairQueue[_Waiting] = FairQueue(QUEUED_BATCHES, GROUP_SIGHTINGS)
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def submit(self, submission: Submission) -> Future[Receipt]:
        """Queues a batch. The future holds the receipt, or the DaxaError that refused the batch as a whole."""
        return self._enqueue(submission)  # type: ignore[return-value]

    def withdraw(self, withdrawal: Withdrawal) -> Future[int]:
        """Queues a withdrawal. The future holds how many presences it shortened or deleted."""
        return self._enqueue(withdrawal)  # type: ignore[return-value]

    def has_time(self, member: str, enough: int) -> bool:
        """Whether what this member sends next can wait: ``enough`` of its batches do, and others are being served."""
        return self._queue.has_time(member, enough)

    def close(self) -> None:
        """Takes what is queued, then stops the writer."""
        self._queue.close()
        self._thread.join()

    def _enqueue(self, work: Submission | Withdrawal) -> Future[Receipt | int]:
        waiting = _Waiting(work, Future())
        self._queue.put(work.member, waiting, _size(waiting))
        return waiting.future

    def _run(self) -> None:
        be_nicer(WRITER)
        while group := self._queue.take():
            self._commit(group)

    def _commit(self, group: list[_Waiting]) -> None:
        began = time.perf_counter()
        heads: dict[int, int] = {}
        try:
            for waiting in group:  # before the transaction: one that fails takes no member's number back
                self._store.member_id(waiting.work.member)
            with self._store.transaction():
                heads = self._take(group)
        except DaxaError as error:
            for waiting in group:
                waiting.answer = error
        except Exception as error:  # noqa: BLE001 - one broken group must not stop the writer; the class alone is told
            name = type(error).__name__
            for waiting in group:
                waiting.answer = Unavailable(ErrorCode.INTERNAL, "store", f"a transaction that succeeds, got {name}")
        if heads:
            self._on_verdicts(heads)
        self._on_commit(time.perf_counter() - began)
        for waiting in group:
            if not waiting.future.set_running_or_notify_cancel():
                continue
            if isinstance(waiting.answer, DaxaError):
                waiting.future.set_exception(waiting.answer)
            else:
                waiting.future.set_result(waiting.answer)  # type: ignore[arg-type]

    def _take(self, group: list[_Waiting]) -> dict[int, int]:
        now = self._clock()
        undecided: set[int] = set()
        fresh: list[tuple[_Waiting, Submission, int, tuple[int | None, ...], list[Refusal]]] = []
        seen: dict[tuple[int, bytes], _Waiting] = {}
        twins: list[tuple[_Waiting, _Waiting, bytes]] = []
        for waiting in group:
            work = waiting.work
            member = self._store.member_id(work.member)
            if isinstance(work, Withdrawal):
                last = work.last_hour if (work.first_hour or work.last_hour) else 2**32 - 1
                waiting.answer, touched = self._store.withdraw(member, work.key, work.first_hour, last)
                undecided |= touched
                continue
            earlier = seen.get((member, work.batch_id))
            if earlier is not None:
                twins.append((waiting, earlier, work.digest))
                continue
            seen[member, work.batch_id] = waiting
            stored = self._store.find_batch(member, work.batch_id)
            if stored is not None:
                waiting.answer = self._again(member, work, stored)
                continue
            sightings, refusals, indexes = self._sort(work.items, now)
            absorbed = self._store.absorb(member, sightings, self._check)
            refusals += [Refusal(indexes[r.index], r.code, r.field, r.expected) for r in absorbed.refusals]
            refusals.sort(key=lambda refusal: refusal.index)
            undecided |= self._matcher.after(absorbed)
            fresh.append((waiting, work, member, absorbed.subjects, refusals))
        heads = self._matcher.decide(undecided, now) if undecided else {}
        self._answer(fresh, now)
        for waiting, earlier, digest in twins:
            same = isinstance(earlier.work, Submission) and earlier.work.digest == digest
            waiting.answer = earlier.answer if same else _reused()
        return heads

    def _sort(
        self, items: Sequence[Sighting | DaxaError], now: int
    ) -> tuple[list[Sighting], list[Refusal], Sequence[int]]:
        """The items that can be taken, the refusals of the others, and the place of each taken one in the batch."""
        newest = now // SECONDS_PER_HOUR + AHEAD_HOURS
        oldest = newest - AHEAD_HOURS - self._retention_hours
        hours = [item.hour for item in items if isinstance(item, Sighting)]
        if len(hours) == len(items) and oldest <= min(hours) and max(hours) <= newest:
            return list(items), [], range(len(items))  # type: ignore[arg-type]
        sightings: list[Sighting] = []
        refusals: list[Refusal] = []
        indexes: list[int] = []
        for index, item in enumerate(items):
            if isinstance(item, DaxaError):
                refusals.append(Refusal(index, item.code, item.field, item.expected))
            elif not oldest <= item.hour <= newest:
                refusals.append(Refusal(index, ErrorCode.HOUR_OUT_OF_WINDOW, "hour", f"{oldest} to {newest}"))
            else:
                sightings.append(item)
                indexes.append(index)
        return sightings, refusals, indexes

    def _answer(
        self,
        fresh: list[tuple[_Waiting, Submission, int, tuple[int | None, ...], list[Refusal]]],
        now: int,
    ) -> None:
        spoken = self._store.sequences({s for _, _, _, subjects, _ in fresh for s in subjects if s is not None})
        for waiting, work, member, subjects, refusals in fresh:
            # One that was withdrawn again within the group stands nowhere.
            told = sorted({spoken[s] for s in subjects if s is not None and s in spoken})
            accepted = len(work.items) - len(refusals)
            batch = StoredBatch(work.digest, accepted, tuple(refusals), tuple(told))
            self._store.save_batch(member, work.batch_id, batch, now)
            waiting.answer = Receipt(accepted, batch.refusals, tuple(self._store.verdicts_at(member, told)))

    def _again(self, member: int, work: Submission, stored: StoredBatch) -> Receipt | DaxaError:
        if stored.digest != work.digest:
            return _reused()
        return Receipt(stored.accepted, stored.refusals, tuple(self._store.verdicts_at(member, stored.sequences)))


def _size(waiting: _Waiting) -> int:
    return len(waiting.work.items) if isinstance(waiting.work, Submission) else 1


def _reused() -> DaxaError:
    return InvalidInput(ErrorCode.BATCH_ID_REUSED, "batch_id", "an id that was not used for other content")
