"""One line an hour for what goes on being wrong, not a thousand: the next line says how often it was meanwhile.

>>> complaints = Complaints()
>>> [complaints.say("clock", "the clock is wrong") for _ in range(3)]
[True, False, False]
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LOG = logging.getLogger("daxa_client")
SECONDS_BETWEEN = 3_600.0


class Complaints:
    """Lines by subject, each told at most once an hour. Any thread may call it; two at once may both log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self._since: dict[str, int] = {}

    def say(self, subject: str, text: str, level: int = logging.WARNING) -> bool:
        """Whether it was logged. ``text`` holds no identifier; ``subject`` is one of a few, such as an error's code."""
        now = self._clock()
        if now - self._told.get(subject, -SECONDS_BETWEEN) < SECONDS_BETWEEN:
            self._since[subject] = self._since.get(subject, 0) + 1
            return False
        self._told[subject] = now
        before = self._since.pop(subject, 0)
        LOG.log(level, "%s%s", text, f" ({before} more times since the last line)" if before else "")
        return True
