"""The asynchronous face: the same names as the other, and a loop that goes on turning meanwhile."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from pathlib import Path

import peers
import pytest

from daxa_client import AsyncRegistryClient, ClientConfig, InvalidInput, RawSighting, RegistryClient, Unavailable

Evaluators = tuple[dict[int, str], dict[int, peers.Evaluator]]


def public(kind: type) -> dict[str, inspect.Signature]:
    return {name: inspect.signature(getattr(kind, name)) for name in dir(kind) if not name.startswith("_")}


def test_both_faces_have_the_same_names_and_arguments() -> None:
    """Whatever one has, the other has, with the same parameters."""
    one, other = public(RegistryClient), public(AsyncRegistryClient)
    assert one.keys() == other.keys()
    assert {name: list(s.parameters) for name, s in one.items()} == {
        name: list(s.parameters) for name, s in other.items()
    }


def test_it_submits_and_watches_without_holding_the_loop(
    deployed: Path, configured: Callable[..., ClientConfig], evaluators: Evaluators, registry: peers.Registry
) -> None:
    """A slow evaluator is waited for on a thread: the loop ticks, or there would be no answer; and what was answered is as the
    other face answers it."""
    ticks = 0
    for evaluator in evaluators[1].values():
        evaluator.until = lambda: ticks >= 10
    registry.streams = [[[peers.verdict(b"k" * 32, 1)], [peers.verdict(b"k" * 32, 2)]]]

    async def work(config: ClientConfig) -> tuple[int, list[int]]:
        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        async with AsyncRegistryClient(config) as client:
            ticking = asyncio.create_task(tick())
            results = await asyncio.gather(
                *[client.submit([RawSighting(f"k{n}", "8.8.8.8", 495_000)]) for n in range(3)]
            )
            ticking.cancel()
            seen = []
            async for verdict in client.watch(0):
                seen.append(verdict.sequence)
                if verdict.sequence == 2:
                    break
            with pytest.raises(InvalidInput, match=r"keys\[0\]\.key"):
                await client.verdicts(["two words"])
        with pytest.raises(Unavailable, match="one that is not closed"):
            await client.submit([RawSighting("k", "8.8.8.8", 495_000)])
        return sum(result.accepted for result in results), seen

    with peers.registry(deployed, registry) as target:
        accepted, seen = asyncio.run(work(configured(targets=(target,), evaluators=evaluators[0])))
        registry.ended.set()
    assert (accepted, seen) == (3, [1, 2])


@pytest.mark.parametrize("how", ["left", "cancelled", "closed"])
def test_a_watch_that_nobody_waits_for_any_more_ends(
    deployed: Path, configured: Callable[..., ClientConfig], evaluators: Evaluators, registry: peers.Registry, how: str
) -> None:
    """Its stream at the registry and its thread here, while the client goes on: a loop that was left, a task that was cancelled
    while it waited, an iterator that was closed. What was not taken comes again."""
    registry.streams = [[[peers.verdict(b"k" * 32, 1)]]]

    def watching() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("daxa-async")]

    async def work(config: ClientConfig) -> None:
        async with AsyncRegistryClient(config) as client:
            if how == "left":
                async for _ in client.watch(0):
                    break
            else:
                verdicts = client.watch(0)
                assert (await anext(verdicts)).sequence == 1
                if how == "closed":
                    await verdicts.aclose()  # type: ignore[attr-defined]
                else:
                    waiting = asyncio.ensure_future(anext(verdicts))
                    await asyncio.sleep(0.2)
                    waiting.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await waiting
            assert await asyncio.to_thread(registry.over.wait, 60)
            end = time.monotonic() + 60
            while watching():
                assert time.monotonic() < end
                await asyncio.sleep(0.02)
            assert (await client.verdicts(["key-1"]))["key-1"].sequence == 0

    with peers.registry(deployed, registry) as target:
        asyncio.run(work(configured(targets=(target,), evaluators=evaluators[0])))
        registry.ended.set()
