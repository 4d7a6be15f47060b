"""The part of ``observe()`` that runs on the trading path: count what was seen, in memory, within microseconds.

It never waits: its one lock is tried, not taken, and what comes while another thread has it goes to a bounded queue that the
next collection empties. It never raises: what cannot be a sighting is counted and answered with False. It drops only when its
bounds are reached, and counts that. Everything slower (canonical form, disk, network) is somebody else's.

    >>> observer = Observer(clock=lambda: 1_790_000_000.0)
    >>> observer.observe("a" * 40, "203.0.113.7"), observer.observe("a" * 40, "203.0.113.7"), observer.observe("b", 7)
    (True, True, False)
    >>> [(row.hour, row.count) for row in observer.collect()]
    [(497222, 2)]
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from daxa_core.canonical import MAX_ADDRESS_CHARACTERS, MAX_HOLDER_BYTES, MAX_KEY_CHARACTERS, canonical_device
from daxa_core.model import MAX_COUNT, SECONDS_PER_HOUR, Device, Manner, RawSighting
from daxa_core.pseudonym import MAX_ACCOUNT_BYTES

from ._yielding import yielding

COMBINATIONS = 250_000
QUEUE = 20_000
DEVICE_BYTES = 32 << 20
_SLICE = 2_000
_Seen = tuple[str, str, "Device | None", Manner, "str | None", "bytes | None", int]


@dataclass(frozen=True, slots=True)
class ObserverCounts:
    """What became of calls that were not simply counted.

    ``dropped`` at a bound; ``refused`` because it was no sighting; ``without_device``: counted, but for a device that has no
    canonical form or is one too many. Nobody goes unseen by sending a user agent that is too long.
    """

    combinations: int
    dropped: int
    refused: int
    without_device: int


class Change(NamedTuple):
    """That a combination was seen again so often; ``seen`` says which one where its number has not been told yet."""

    number: int
    times: int
    seen: RawSighting | None


class _Cell:
    """How often a combination was seen since the last collection, and how much of that :meth:`Observer.changed` has told, under
    which number."""

    __slots__ = ("count", "number", "told")  # a list of numbers takes twice the memory

    def __init__(self, count: int) -> None:
        self.count, self.told, self.number = count, 0, 0


class Observer:
    """Counts sightings by (key, address, device, manner, hour). Thread-safe, signal-safe; :meth:`after_fork` in a child."""

    def __init__(
        self, combinations: int = COMBINATIONS, queue: int = QUEUE, clock: Callable[[], float] = time.time
    ) -> None:
        """``combinations`` are kept at once and ``queue`` calls wait at most; past that a call is dropped and counted."""
        self._most, self._most_waiting = combinations, queue
        self._time = clock
        self._hour = 0
        self.after_fork()

    def after_fork(self) -> None:
        """Forgets what the parent process has seen: the parent tells it."""
        self._lock = threading.Lock()
        self._waiting: deque[_Seen] = deque()
        self._cells: dict[_Seen, _Cell] = {}
        self._fresh: list[_Seen] = []
        self._again: list[_Seen] = []
        """Those that were seen again since what was seen was last told."""
        self._devices: dict[Device, Device] = {}
        self._device_bytes = 0
        self._dropped = self._refused = self._without_device = 0
        self._numbers = itertools.count(1)
        self._losses, self._lost = itertools.count(1), 0
        self._wrongs, self._wrong = itertools.count(1), 0

    def observe(
        self,
        key: str,
        address: str,
        *,
        manner: Manner = Manner.USED,
        device: Device | None = None,
        account: str | None = None,
        holder: bytes | None = None,
        when: float | None = None,
    ) -> bool:
        """Whether it was counted. ``when`` is in seconds since the epoch, now if None. Never raises, never waits."""
        try:
            hour = int(self._time() if when is None else when) // SECONDS_PER_HOUR
            known = self._hour  # read once: another thread may set another between two looks
            if hour == known:
                hour = known  # one object for all
            else:
                self._hour = hour
            seen = (key, address, device, manner, account, holder, hour)
            if not self._lock.acquire(False):
                return self._wait(seen)
            try:
                cell = self._cells.get(seen)
                if cell is None:
                    return self._first(seen, 1)
                if cell.count == cell.told:
                    self._again.append(seen)
                cell.count += 1
                return True
            finally:
                self._lock.release()
        except Exception:  # noqa: BLE001 - whatever a caller gives, the trading path goes on
            self._wrong = next(self._wrongs)
            return False

    def counts(self) -> ObserverCounts:
        """What it holds, and what it had to let go since the process began."""
        dropped, refused = self._dropped + self._lost, self._refused + self._wrong
        return ObserverCounts(len(self._cells), dropped, refused, self._without_device)

    @property
    def half_full(self) -> bool:
        """Whether a collection should not be put off."""
        return len(self._fresh) > self._most // 4 or len(self._waiting) > self._most_waiting // 2

    @property
    def crowded(self) -> bool:
        """Whether a collection should be one of counts too, which makes room."""
        return len(self._cells) > self._most // 2

    # collecting: by one thread at a time, not on the trading path

    def collect(self, counts: bool = True) -> list[RawSighting]:
        """What was seen first since the last time; with ``counts`` also how often the rest was seen again."""
        with self._lock:
            waiting = len(self._waiting)
            for _ in range(waiting):
                self._count(self._waiting.popleft(), 1)
            fresh, self._fresh = self._fresh, []
            if counts:
                self._again = []
        taken = self._take(fresh)
        if counts:
            taken += self._take(list(self._cells))
            self._forget(int(self._time()) // SECONDS_PER_HOUR)
        return [_sighting(seen, count) for seen, count in taken]

    def changed(self, everything: bool = False) -> list[Change]:
        """What was seen again, and how often, since this was last called or it was collected; it stays to be collected.

        With ``everything`` since it was collected, whatever was told before.
        """
        with self._lock:
            listed, self._again = self._again, []
        if everything:
            listed = list(self._cells)
        out: list[tuple[int, int, _Seen | None]] = []
        for start in range(0, len(listed), _SLICE):
            with self._lock:
                for seen in listed[start : start + _SLICE]:
                    cell = self._cells.get(seen)
                    if cell is None:
                        continue
                    if everything:
                        cell.told = cell.number = 0
                    if cell.count > cell.told:
                        known = cell.number
                        cell.number = known or next(self._numbers)
                        out.append((cell.number, cell.count - cell.told, None if known else seen))
                        cell.told = cell.count
        return [
            Change(number, count, None if seen is None else _sighting(seen, count))
            for number, count, seen in yielding(out)
        ]

    def put_back(self, sightings: Iterable[RawSighting]) -> None:
        """Counts again what was collected and could not be kept elsewhere; what no longer fits is dropped and counted."""
        for raw in sightings:
            seen = (raw.key, raw.address, raw.device, raw.manner, raw.account, raw.holder, raw.hour)
            with self._lock:
                self._count(seen, raw.count)

    def _wait(self, seen: _Seen) -> bool:
        hash(seen)  # what cannot be a key of the table is refused here, not by the thread that collects
        if len(self._waiting) >= self._most_waiting:
            self._lost = next(self._losses)
            return False
        self._waiting.append(seen)
        return True

    def _count(self, seen: _Seen, number: int) -> None:
        cell = self._cells.get(seen)
        if cell is None:
            self._first(seen, number)
            return
        if cell.count == cell.told:
            self._again.append(seen)
        cell.count += number

    def _first(self, seen: _Seen, number: int) -> bool:
        """A combination that is not in the table; the lock is held."""
        key, address, device, manner, account, holder, hour = seen
        if not _possible(key, address, device, manner, account, holder, hour):
            self._refused += number
            return False
        if device is not None:
            known = self._device(device)
            if known is None:
                self._without_device += number
            seen = (key, address, known, manner, account, holder, hour)
            if seen in self._cells:
                self._count(seen, number)
                return True
        if len(self._cells) >= self._most:
            self._dropped += number
            return False
        self._cells[seen] = _Cell(number)
        self._fresh.append(seen)
        return True

    def _device(self, device: Device) -> Device | None:
        """The one object that stands for it: a few stacks stand behind many keys. None where it cannot be kept."""
        known = self._devices.get(device)
        if known is None and self._device_bytes < DEVICE_BYTES:
            try:
                self._device_bytes += 200 + len(canonical_device(device))
            except Exception:  # noqa: BLE001 - parts of another type: whoever collects must not lose the others for it
                return None
            known = self._devices[device] = device
        return known

    def _take(self, listed: list[_Seen]) -> list[tuple[_Seen, int]]:
        """Counts of those that have one, set back to 0; in slices, so that nobody is sent to the queue for long."""
        taken = []
        for start in range(0, len(listed), _SLICE):
            with self._lock:
                for seen in listed[start : start + _SLICE]:
                    cell = self._cells.get(seen)
                    if cell is not None and cell.count:
                        taken.append((seen, cell.count))
                        cell.count = cell.told = cell.number = 0
        return taken

    def _forget(self, hour: int) -> None:
        """Lets go of combinations of past hours, and of all where the table is half full; one with a count stays."""
        everything = len(self._cells) > self._most // 2
        listed = [seen for seen in list(self._cells) if everything or seen[6] < hour]
        for start in range(0, len(listed), _SLICE):
            with self._lock:
                for seen in listed[start : start + _SLICE]:
                    if not self._cells[seen].count:
                        del self._cells[seen]
        with self._lock:
            if self._device_bytes > DEVICE_BYTES // 2:
                self._devices, self._device_bytes = {}, 0


def _possible(
    key: object, address: object, device: object, manner: object, account: object, holder: object, hour: int
) -> bool:
    """Whether it has the types and bounds of a sighting; what is wrong in its parts is found when it is canonicalised."""
    return (
        isinstance(key, str)
        and 0 < len(key) <= MAX_KEY_CHARACTERS
        and isinstance(address, str)
        and 0 < len(address) <= MAX_ADDRESS_CHARACTERS
        and isinstance(manner, Manner)
        and (device is None or isinstance(device, Device))
        and (account is None or (isinstance(account, str) and 0 < len(account) <= MAX_ACCOUNT_BYTES))
        and (holder is None or (isinstance(holder, bytes) and 0 < len(holder) <= MAX_HOLDER_BYTES))
        and 0 <= hour < 2**32
    )


def _sighting(seen: _Seen, count: int) -> RawSighting:
    key, address, device, manner, account, holder, hour = seen
    count = 1 if manner is Manner.DECLARED else min(count, MAX_COUNT)
    return RawSighting(key, address, hour, manner, count, device, holder, account)
