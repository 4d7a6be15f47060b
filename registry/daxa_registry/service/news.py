"""Wakes whoever watches a member's verdicts when a commit has brought news. Holds no verdicts: watchers read the store."""

from __future__ import annotations

import asyncio


class News:
    """Heads by member, and the watchers that wait for them to move. Lives on one event loop; told from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[int, set[asyncio.Event]] = {}

    def tell(self, heads: dict[int, int]) -> None:
        """A commit moved these members' heads. Called on any thread; does nothing once the loop is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, list(heads))

    def _wake(self, members: list[int]) -> None:
        for member in members:
            for event in self._waiting.get(member, ()):
                event.set()

    def watch(self, member: int) -> asyncio.Event:
        """An event that is set whenever the member has news, until :meth:`leave`."""
        event = asyncio.Event()
        self._waiting.setdefault(member, set()).add(event)
        return event

    def leave(self, member: int, event: asyncio.Event) -> None:
        """Forgets a watcher."""
        self._waiting.get(member, set()).discard(event)
