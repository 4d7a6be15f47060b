"""Hours in which the whole market stirs: volatile hours that wake everybody, outages that silence everybody.

An hour is unusual if more than ``BUSY`` times, or less than ``QUIET`` times, as many subjects are active as in the same hour
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


def unusual_hours(activity: Mapping[int, int]) -> tuple[int, int]:
    """``(first, bits)``: bit i is set where the hour ``first + i`` is unusual. ``activity`` is subjects active by hour.

    Hours with fewer than ``LEAST`` usual subjects are never unusual: too few to tell.
    """
    if not activity:
        return 0, 0
    first = min(activity)
    bits = 0
    for hour, active in activity.items():
        around = [activity[hour + DAY * day] for day in (-3, -2, -1, 1, 2, 3) if hour + DAY * day in activity]
        if not around:
            continue
        usual = median(around)
        if usual >= LEAST and not QUIET * usual <= active <= BUSY * usual:
            bits |= 1 << (hour - first)
    return first, bits
