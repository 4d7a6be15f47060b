"""Hours in which the whole market stirs: volatile hours that wake everybody, outages that silence everybody.

An hour is unusual if more than ``BUSY`` times, or less than ``QUIET`` times, as much is in use as in the same hour
of the days around it. Such hours are left out when the hours of two parties are compared.

>>> first, bits = unusual_hours({hour: 100 + 200 * (hour == 60) for hour in range(120)})
>>> first + bits.bit_length() - 1
60
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

DAY = 24
BUSY = 1.25
QUIET = 0.75
LEAST = 50
DAYS_AROUND = (-3, -2, -1, 1, 2, 3)


def unusual_hours(activity: Mapping[int, int]) -> tuple[int, int]:
    """``(first, bits)``: bit i is set where the hour ``first + i`` is unusual. ``activity`` counts by hour the presences in
    use: one for each subject, address and device.

    Hours that usually have fewer than ``LEAST`` are never unusual: too few to tell.
    """
    if not activity:
        return 0, 0
    first = min(activity)
    bits = 0
    for hour in activity:
        if is_unusual(activity, hour):
            bits |= 1 << (hour - first)
    return first, bits


def is_unusual(activity: Mapping[int, int], hour: int) -> bool:
    """One hour of it. An hour that nothing was counted in is not told from one that is not kept."""
    if hour not in activity:
        return False
    around = [activity[hour + DAY * day] for day in DAYS_AROUND if hour + DAY * day in activity]
    if not around:
        return False
    usual = median(around)
    return usual >= LEAST and not QUIET * usual <= activity[hour] <= BUSY * usual
