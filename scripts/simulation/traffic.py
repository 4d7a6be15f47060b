"""The table of sightings while a world is being made: columns of small integers, appended in chunks and merged at
the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

USE, AUTH_FAIL, ALLOWLIST = 0, 1, 2
KIND_NAMES = ("use", "auth_fail", "allowlist")
Ints = NDArray[np.int64]


@dataclass(slots=True)
class Table:
    """One row per (reporter, key, address, device, hour, kind); ``device`` is -1 where there is none."""

    key: Ints
    reporter: Ints
    ip: Ints
    device: Ints
    hour: Ints
    count: Ints
    kind: Ints

    def __len__(self) -> int:
        return len(self.key)

    def where(self, keep: NDArray[np.bool_] | Ints) -> Table:
        """The rows chosen by a mask or by index."""
        return Table(*(getattr(self, name)[keep] for name in self.__slots__))

    @staticmethod
    def join(parts: list[Table]) -> Table:
        """All rows of several tables."""
        return Table(*(np.concatenate([getattr(p, name) for p in parts]) for name in Table.__slots__))

    def merged(self) -> Table:
        """Rows that agree in all but their count become one."""
        order = np.lexsort((self.kind, self.device, self.ip, self.reporter, self.key, self.hour))
        rows = self.where(order)
        if len(rows) < 2:
            return rows
        same = np.ones(len(rows) - 1, dtype=np.bool_)
        for name in ("hour", "key", "reporter", "ip", "device", "kind"):
            column = getattr(rows, name)
            same &= column[1:] == column[:-1]
        first = np.concatenate(([0], np.flatnonzero(~same) + 1))
        count = np.add.reduceat(rows.count, first)
        out = rows.where(first)
        out.count = count
        return out


class Traffic:
    """Collects rows; nothing is checked against keys or accounts until the world is finished."""

    def __init__(self) -> None:
        self._chunks: list[list[Ints]] = []

    def add(
        self,
        key: int,
        hours: Ints,
        ip: int | NDArray[np.integer],
        device: int | NDArray[np.integer],
        count: int | NDArray[np.integer],
        *,
        reporter: int,
        kind: int = USE,
    ) -> None:
        """One row per entry of ``hours``; the other columns are one value or one per row."""
        size = len(hours)
        if not size:
            return
        columns = (key, reporter, ip, device, hours, count, kind)
        self._chunks.append([np.broadcast_to(np.asarray(c, dtype=np.int64), size) for c in columns])

    def table(self) -> Table:
        """Everything so far."""
        if not self._chunks:
            return Table(*(np.zeros(0, dtype=np.int64) for _ in Table.__slots__))
        return Table(*(np.concatenate([chunk[i] for chunk in self._chunks]) for i in range(7)))
