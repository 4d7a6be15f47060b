"""The asynchronous face of the client: the same names, the same core, nothing of it on the event loop.

    async with AsyncRegistryClient.from_file("client.toml") as client:
        result = await client.submit([RawSighting(key, address, hour)])
        async for verdict in client.watch():
            ...

Fingerprints are made by libsodium on threads in either case, so this is the same :class:`RegistryClient`, called on threads of
its own. A call whose task is cancelled goes on to its end: what it was submitting is either taken whole or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from daxa_core.model import Verdict

from ._client import RegistryClient
from ._config import ClientConfig, read_config
from ._errors import closed
from ._log import LogEntry
from ._registry import Ending

CALLS_AT_ONCE = 16
_P = ParamSpec("_P")
_T = TypeVar("_T")
_END = object()


def _awaited(
    method: Callable[Concatenate[RegistryClient, _P], _T],
) -> Callable[Concatenate[AsyncRegistryClient, _P], Coroutine[Any, Any, _T]]:
    """The method of the same name, on a thread."""

    async def call(self: AsyncRegistryClient, /, *arguments: _P.args, **named: _P.kwargs) -> _T:
        work = functools.partial(method, self._client, *arguments, **named)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._calls, work)
        except RuntimeError:  # the pool's word for being shut down
            raise closed() from None

    functools.update_wrapper(call, method)
    return call


async def _iterated(items: Generator[_T, None, None], end: Callable[[], None]) -> AsyncGenerator[_T, None]:
    """The items, a thread of its own waiting for the next. ``end`` wakes it where nobody waits for that any more."""
    waiting = ThreadPoolExecutor(1, thread_name_prefix="daxa-async")
    try:
        while True:
            item: Any = await asyncio.get_running_loop().run_in_executor(waiting, next, items, _END)
            if item is _END:
                return
            yield item
    finally:  # also where a task was cancelled, or a loop was left
        end()
        waiting.submit(items.close)
        waiting.shutdown(wait=False)


class AsyncRegistryClient:
    """:class:`RegistryClient` for asyncio: its methods by their names, awaited; its iterators with ``async for``."""

    def __init__(self, config: ClientConfig) -> None:
        """Connects to nobody yet."""
        self._client = RegistryClient(config)
        self._calls = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="daxa-async")

    @classmethod
    def from_file(cls, path: str | Path) -> AsyncRegistryClient:
        """A client as client.toml says. Raises ConfigurationError naming file and key."""
        return cls(read_config(path))

    async def __aenter__(self) -> AsyncRegistryClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """As :meth:`RegistryClient.close`."""
        await asyncio.to_thread(self._client.close)
        self._calls.shutdown(wait=False, cancel_futures=True)

    def health(self) -> dict[str, str]:
        """As :meth:`RegistryClient.health`: it asks nobody."""
        return self._client.health()

    def raw_key(self, fingerprint: bytes) -> str | None:
        """As :meth:`RegistryClient.raw_key`: it asks nobody."""
        return self._client.raw_key(fingerprint)

    submit = _awaited(RegistryClient.submit)
    withdraw = _awaited(RegistryClient.withdraw)
    verdicts = _awaited(RegistryClient.verdicts)
    report_enforcement = _awaited(RegistryClient.report_enforcement)
    appeal = _awaited(RegistryClient.appeal)
    verdict_digest = _awaited(RegistryClient.verdict_digest)
    registry_clock = _awaited(RegistryClient.registry_clock)
    fingerprints = _awaited(RegistryClient.fingerprints)
    audit = _awaited(RegistryClient.audit)
    prove = _awaited(RegistryClient.prove)

    async def watch(self, after_sequence: int | None = None) -> AsyncIterator[Verdict]:
        """As :meth:`RegistryClient.watch`; left or cancelled, its stream ends."""
        ending = Ending()
        async with contextlib.aclosing(_iterated(self._client._watch(after_sequence, ending), ending.end)) as items:
            async for item in items:
                yield item

    async def entries(self) -> AsyncIterator[LogEntry]:
        """As :meth:`RegistryClient.entries`."""
        async with contextlib.aclosing(_iterated(self._client.entries(), lambda: None)) as items:
            async for item in items:
                yield item
