"""The hours of a world: Korean time, volatile hours, outages, and the schedules by which programs and people are
active.

A schedule is a boolean array over the world's hours. All schedules come from one clock, so that volatile hours wake
many at once.

>>> clock = Clock(np.random.default_rng(1), days=2, volatile_per_day=2.0)
>>> bool(clock.always(gap=0.0).all())
True
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Hours = NDArray[np.int64]

# Seoul, Monday 2026-09-28 00:00; a world starts on one of the 26 weeks before that.
EPOCH = 1_790_521_200
WAKING = np.array([2, 1, 1, 1, 1, 2, 4, 7, 11, 13, 12, 11, 10, 10, 11, 11, 10, 10, 11, 13, 15, 16, 14, 8], dtype=float)
OFFICE = np.array([0, 0, 0, 0, 0, 0, 0, 1, 5, 10, 11, 10, 6, 9, 11, 11, 10, 9, 5, 2, 1, 1, 0, 0], dtype=float)
NIGHT = np.array([9, 8, 6, 4, 2, 1, 1, 2, 2, 1, 1, 1, 2, 1, 1, 1, 1, 2, 4, 6, 8, 10, 12, 11], dtype=float)


class Clock:
    """``hours`` hours from ``start`` (unix seconds, a full hour), with Korean hour of day and day of week of each."""

    def __init__(self, rng: np.random.Generator, days: int, volatile_per_day: float) -> None:
        self.rng = rng
        self.days = days
        self.hours = days * 24
        self.start = EPOCH - 86_400 * int(rng.integers(0, 182))
        index = np.arange(self.hours)
        self.of_day = index % 24
        self.day = index // 24
        self.of_week = (
            ((self.start + 9 * 3600) // 86_400 + 3) + self.day
        ) % 7  # 0 is Monday: 1970-01-01 was a Thursday
        self.weekend = self.of_week >= 5
        self.volatile = self._volatile(volatile_per_day)

    def _volatile(self, per_day: float) -> NDArray[np.float64]:
        """How strongly the market moves in each hour, 0..1."""
        strength = np.zeros(self.hours)
        for _ in range(int(self.rng.poisson(per_day * self.days))):
            start, length = int(self.rng.integers(self.hours)), 1 + int(self.rng.geometric(0.6))
            strength[start : start + length] = np.maximum(strength[start : start + length], self.rng.beta(2, 2))
        return strength

    def none(self) -> Mask:
        """Never."""
        return np.zeros(self.hours, dtype=np.bool_)

    def chance(self, probability: float | NDArray[np.float64]) -> Mask:
        """Each hour by itself with this probability."""
        return self.rng.random(self.hours) < probability

    def always(self, gap: float = 0.02) -> Mask:
        """Around the clock, with ``gap`` of the time lost to restarts and crashes of some hours each."""
        mask = np.ones(self.hours, dtype=np.bool_)
        for _ in range(int(self.rng.poisson(gap * self.hours / 6.0))):
            start = int(self.rng.integers(self.hours))
            mask[start : start + int(self.rng.geometric(1 / 6))] = False
        return mask

    def window(self, first: int, length: int, weekdays_only: bool = False, skip: float = 0.05) -> Mask:
        """The same hours each day."""
        inside = (self.of_day - first) % 24 < length
        days = self.rng.random(self.days) >= skip
        mask = inside & days[self.day]
        return mask & ~self.weekend if weekdays_only else mask

    def every(self, step: int, phase: int) -> Mask:
        """One hour in ``step``."""
        mask: Mask = (np.arange(self.hours) + phase) % step == 0
        return mask

    def sessions(self, per_week: float, length: float, shape: NDArray[np.float64] = WAKING, least: int = 1) -> Mask:
        """Sittings of ``length`` hours on average, beginning by the time of day; at least ``least`` in the world."""
        mask = self.none()
        count = max(least, int(self.rng.poisson(per_week * self.days / 7)))
        chance = shape[self.of_day]
        starts = self.rng.choice(self.hours, size=count, p=chance / chance.sum())
        for start, hours in zip(starts, self.rng.geometric(1 / max(length, 1.0), size=count), strict=True):
            mask[start : start + hours] = True
        return mask

    def woken(self, share: float) -> Mask:
        """Volatile hours, each noticed with ``share`` times its strength, doubled."""
        return self.chance(np.minimum(self.volatile * share * 2, 1.0))

    def span(self, first: int, last: int) -> Mask:
        """From hour ``first`` up to, not including, ``last``."""
        mask = self.none()
        mask[max(first, 0) : max(last, 0)] = True
        return mask

    def personal(self, always_on: float, nine_am: float, wake: float, volume: float) -> Mask:
        """One person's or program's own schedule, drawn from everything that is about."""
        rng = self.rng
        u = rng.random()
        if u < always_on:
            mask = self.always(gap=float(rng.choice([0.0, 0.01, 0.05, 0.2])))
        elif u < always_on + nine_am:
            mask = self.window(8, int(rng.integers(1, 4)), skip=0.05)
        else:
            kind = rng.choice(7, p=[0.2, 0.12, 0.2, 0.14, 0.1, 0.14, 0.1])
            if kind == 0:
                mask = self.window(
                    int(rng.integers(24)), int(rng.integers(2, 16)), bool(rng.random() < 0.3), rng.beta(1, 6)
                )
            elif kind == 1:
                step = int(rng.choice([2, 3, 4, 6, 8, 12, 24]))
                mask = self.every(step, int(rng.integers(step)))
            elif kind == 2:
                mask = self.sessions(float(rng.gamma(2, 5)), float(rng.uniform(1, 6)))
            elif kind == 3:
                mask = self.sessions(float(rng.gamma(2, 1.5)), float(rng.uniform(6, 30)), NIGHT)
            elif kind == 4:
                mask = self.sessions(float(rng.gamma(1.5, 1.5)), float(rng.uniform(1, 3)))
            elif kind == 5:
                mask = self.chance(float(rng.beta(1.2, 5)))
            else:
                mask = self.chance(0.02) | self.woken(0.5)
        if rng.random() < wake:
            mask = mask | self.woken(float(rng.beta(2, 2)))
        if volume < 1.0:
            mask = mask & (self.days_kept(volume) if rng.random() < 0.5 else self.chance(volume))
        if not mask.any():
            mask[int(rng.integers(self.hours))] = True
        return mask

    def days_kept(self, share: float) -> Mask:
        """Whole days kept with probability ``share``."""
        return (self.rng.random(self.days) < share)[self.day]
