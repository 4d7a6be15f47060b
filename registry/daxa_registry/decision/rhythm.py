"""Hours in which the whole market stirs: volatile hours that wake everybody, outages that silence everybody.

An hour is unusual at one member if more than ``BUSY`` times, or less than ``QUIET`` times, as much is in use there as in the
same hour of the days around it. It is unusual for the market if it is so, and the same way, at most of the members that can tell,
and at two or more: what one member makes up declares no hour unusual, and hides none. Such hours are left out when the hours of
two parties are compared.

>>> stirs = {hour: 100 + 200 * (hour == 60) for hour in range(120)}
>>> first, bits = unusual_hours({1: stirs, 2: stirs})
>>> first + bits.bit_length() - 1
60
>>> unusual_hours({1: stirs})
(0, 0)
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

DAY = 24
BUSY = 1.25
QUIET = 0.75
LEAST = 50
"""A member that usually has fewer in use in that hour cannot tell."""
ENOUGH = 2
"""So many members have to say so."""
DAYS_AROUND = (-3, -2, -1, 1, 2, 3)


Activity = Mapping[int, Mapping[int, int]]
"""By member and hour, the presences in use: one for each subject, address and device."""


def unusual_hours(activity: Activity) -> tuple[int, int]:
    """``(first, bits)``: bit i is set where the hour ``first + i`` is unusual."""
    found = [hour for hour in {hour for hours in activity.values() for hour in hours} if is_unusual(activity, hour)]
    first = min(found, default=0)
    return first, sum(1 << (hour - first) for hour in found)


def is_unusual(activity: Activity, hour: int) -> bool:
    """Whether one hour is unusual for the market."""
    said = [way for way in (_way(hours, hour) for hours in activity.values()) if way is not None]
    return any(said.count(way) >= ENOUGH and 2 * said.count(way) > len(said) for way in (1, -1))


def _way(hours: Mapping[int, int], hour: int) -> int | None:
    """1 where that member has unusually much, -1 unusually little, 0 neither; None where it has too few to tell.

    An hour that nothing was counted in is not told from one that is not kept.
    """
    now = hours.get(hour)
    if now is None:
        return None
    around = [hours[hour + DAY * day] for day in DAYS_AROUND if hour + DAY * day in hours]
    usual = median(around) if around else 0
    if usual < LEAST:
        return None
    return (now > BUSY * usual) - (now < QUIET * usual)
