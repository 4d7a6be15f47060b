"""Past its capacity a registry says when to come back, stays small, and in the end has everything once.

The registry is a process of its own, or two on one PostgreSQL, over mutual TLS; its clients wait as ``daxa_client`` waits, or do
not. How quick it stays is measured (``scripts/bench overload``), not tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

import deployment
from daxa_core.model import MAX_SIGHTINGS
from overload import BATCH, Crowd, Flood, Running, registry

NODES = {"sqlite": 1, "postgres": 2}
WAVES, WAVE = 3, 200
MOST_GROWTH_BYTES = 150 << 20
"""It holds however slow the machine is: what is in memory is what has a place, and who has none is refused unread. All of a
wave, read into memory, is several times that."""


@pytest.fixture(params=["sqlite"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    folder = deployment.deploy(tmp_path / "deployment", threshold=1, evaluators=1)
    database = str(folder / "registry/data/registry.sqlite")
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_url")
    with registry(folder, database, NODES[request.param]) as made:
        yield made


@pytest.mark.parametrize("running", list(NODES), indirect=True)
def test_past_capacity_everybody_is_told_when_to_come_back_and_everything_gets_done_once(running: Running) -> None:
    """A crowd of four times the places: refusals name a delay, nobody comes back sooner or at another's moment, and what the
    crowd had to send is all taken in the end, each batch once."""
    crowd = Crowd(running)
    crowd.send(4 * running.places, seconds=0.5)
    told = {(refusal.status, refusal.code) for refusal in crowd.refusals}
    assert told == {(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")}
    assert all(refusal.retry_after for refusal in crowd.refusals)
    assert len(set(crowd.waits)) == len(crowd.waits)
    assert all(wait > (one.retry_after or 0) for wait, one in zip(crowd.waits, crowd.refusals, strict=True))
    assert running.counted() == (crowd.taken * BATCH,) * 3


def test_who_does_not_wait_is_refused_costs_little_memory_and_keeps_nobody_else_out(running: Running) -> None:
    """A flood is refused past its places, memory is bounded, and another member, who sends little, is answered each time. No
    store has a part in that."""
    with ExitStack() as stack:
        flood = Flood(running.stubs(stack, "bithumb", 3), running.batch("bithumb", MAX_SIGHTINGS))
        [quiet] = running.stubs(stack, "upbit", 1)
        flood.wave(1)
        before, answered = running.resident(), 0
        with ThreadPoolExecutor(1) as pool:
            flooding = pool.submit(lambda: [flood.wave(WAVE) for _ in range(WAVES)])
            while not flooding.done():
                assert quiet.SubmitSightings(running.batch("upbit"), timeout=60).accepted == BATCH
                answered += 1
            flooding.result()
        grown = running.resident() - before
    assert set(flood.answers) == {"OVERLOADED", "taken"}
    assert answered
    assert grown < MOST_GROWTH_BYTES
    edges = MAX_SIGHTINGS + answered * BATCH
    assert running.counted() == (edges, edges, flood.answers["taken"] * MAX_SIGHTINGS + answered * BATCH)
