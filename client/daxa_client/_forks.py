"""Forks of a process that uses SQLite: no thread of it may be inside SQLite at that moment.

SQLite has locks of its own for the whole process. One that is held when the process forks is held in the child for ever, and the
child waits for it the first time that it opens a file. So whoever uses SQLite here registers, and is asked to be quiet first.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """Somebody whose threads use SQLite."""

    def before_fork(self) -> None:
        """Waits until none of its threads is inside SQLite, and keeps them out."""

    def after_fork(self) -> None:
        """Lets them in again; called in the parent and in the child."""


_REGISTERED: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_quiet: list[ForkAware] = []
_gate = threading.Lock()


def register(owner: ForkAware) -> None:
    """From now on ``owner`` is asked, as long as it lives; before it first uses SQLite."""
    with _gate:  # nobody begins while a fork is under way
        _REGISTERED.add(owner)


def _before() -> None:
    _gate.acquire()
    for owner in list(_REGISTERED):
        owner.before_fork()
        _quiet.append(owner)


def _after() -> None:
    while _quiet:
        _quiet.pop().after_fork()
    _gate.release()


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
