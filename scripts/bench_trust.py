"""What trust costs: signing and logging verdicts against intake without it, verifying one, and proofs at a million leaves.

Intake runs in this process, without the network, so that nothing hides the cost: the same submissions into a store whose matcher
signs and logs, and into one whose matcher does neither, in turns that change places, so that what else runs on the machine meets
both alike. What is compared is what intake takes in a second of the clock, the wait for the disk included; beside it, what it
takes in a second of processor time, which others' work hardly moves.
"""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_registry import BATCH, Traffic
from daxa_core import codec, merkle
from daxa_core.model import CountBucket, Level, Manner, Reason, Sighting, Verdict
from daxa_registry.decision.policy import default_policy
from daxa_registry.keys.signing import Signer, make
from daxa_registry.service.intake import Intake, Submission
from daxa_registry.service.log import Log
from daxa_registry.service.matching import Matcher
from daxa_registry.store.interface import EVERYBODY, StoredLeaf
from daxa_registry.store.sqlite import SqliteStore

Row = dict[str, Any]
ROUNDS = 7
EDGES = 20_000
RING_KEYS = 8
RINGS_IN = 10
"""One key in so many is driven by a ring: far more than a market has, so that there are many verdicts to sign and to log."""
MILLION = 1_000_000
PROOFS = 2_000
VERDICTS = 2_000


def market(seed: int) -> list[Sighting]:
    """Edges as the registry's benchmark has them, and rings of eight keys on one address in the same hours among them."""
    traffic = Traffic(EDGES, seed)
    keys = traffic.keys()
    sightings = list(traffic.sightings)
    ringed = keys[: len(keys) // RINGS_IN // RING_KEYS * RING_KEYS]
    for start in range(0, len(ringed), RING_KEYS):
        place = traffic.sightings[start]
        for number, key in enumerate(ringed[start : start + RING_KEYS]):
            account = number.to_bytes(16, "big")
            sightings += [
                Sighting(
                    key, place.address, place.network, traffic.hour - hour, Manner.USED, 3, place.device, None, account
                )
                for hour in (0, 3, 5, 6, 11, 12, 17, 20, 21)
            ]
    return sightings


@dataclass(frozen=True, slots=True)
class Taken:
    """Sightings for each second of the clock and of processor time, and how many verdicts there were."""

    by_clock: float
    by_processor: float
    verdicts: int


def take(folder: Path, sightings: list[Sighting], signed: bool) -> Taken:
    """A fresh store takes all of them in, batch by batch."""
    folder.mkdir()
    make(folder, "bench.example", 0)
    store = SqliteStore(folder / "registry.sqlite")
    log = Log(store, Signer(folder / "signing.json")) if signed else None
    intake = Intake(store, Matcher(store, default_policy(), log), check=lambda _: {})
    batches = [
        Submission("upbit", secrets.token_bytes(16), secrets.token_bytes(32), sightings[start : start + BATCH])
        for start in range(0, len(sightings), BATCH)
    ]
    began, began_working = time.perf_counter(), time.process_time()
    for future in [intake.submit(batch) for batch in batches]:
        future.result()
    seconds, working = time.perf_counter() - began, time.process_time() - began_working
    verdicts = store.counts()["verdict"]
    intake.close()
    store.close()
    return Taken(len(sightings) / seconds, len(sightings) / working, verdicts)


def intake() -> list[Row]:
    """The same market with and without, in turns that change places."""
    with_log: list[Taken] = []
    without: list[Taken] = []
    for round_ in range(ROUNDS):
        sightings = market(round_)
        for signed in (True, False) if round_ % 2 else (False, True):
            with tempfile.TemporaryDirectory() as scratch:
                taken = take(Path(scratch) / "registry", sightings, signed)
            (with_log if signed else without).append(taken)
    about = f"{len(sightings):,} sightings, {with_log[-1].verdicts:,} verdicts, x {ROUNDS} rounds in turns, no network"

    def lost(name: str, of: str, rates: list[tuple[float, float]]) -> Row:
        cost = 100 * (1 - statistics.median(signed / bare for signed, bare in rates))
        signed, bare = (statistics.median(one) for one in zip(*rates, strict=True))
        return {"name": name, "value": cost, "unit": "%", "target": "<= 15", "ok": cost <= 15,
                "detail": f"{signed:,.0f} against {bare:,.0f} sightings {of}; {about}"}  # fmt: skip

    turns = list(zip(with_log, without, strict=True))
    return [
        lost(
            "intake's throughput lost to signing and logging", "a second", [(w.by_clock, o.by_clock) for w, o in turns]
        ),
        lost("the same, of processor time", "a processor second", [(w.by_processor, o.by_processor) for w, o in turns]),
    ]


def per_call(calls: list[Callable[[], object]]) -> float:
    """The median microseconds of one call, over calls made one by one."""
    times = []
    for call in calls:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def verdicts() -> list[Row]:
    """Signing and logging one, and verifying one as the client does: off the wire's bytes, to the checked verdict."""
    reasons = tuple(Reason(f"REASON_NUMBER_{n}", 1.234 * n, CountBucket.FROM_5_TO_9) for n in range(8))
    with tempfile.TemporaryDirectory() as scratch:
        keys = make(Path(scratch), "bench.example", 0)
        store = SqliteStore(Path(scratch) / "registry.sqlite")
        log = Log(store, Signer(Path(scratch) / "signing.json"))
        made: list[bytes] = []
        with store.transaction():
            member = store.member_id("upbit")
            todo = [
                Verdict(secrets.token_bytes(32), Level.WARN, 3.2, reasons, n, 1_800_000_000, 1_800_600_000, b"p" * 32)
                for n in range(1, VERDICTS + 1)
            ]
            signing = per_call([lambda v=v: made.append(log.append_verdict(v, member, b"e" * 400)) for v in todo])  # type: ignore[misc]
        store.close()
    verifying = per_call(
        [lambda b=b: keys.verdict(codec.read_envelope(codec.decode_envelope(b)), "upbit") for b in made]
    )  # type: ignore[misc]
    size = statistics.median(map(len, made))
    return [
        {"name": "verifying one verdict at the client", "value": verifying, "unit": "us", "target": "<= 150",
         "ok": verifying <= 150, "detail": f"median of {VERDICTS:,} different ones, {size:.0f} bytes each with 8 reasons"},
        {"name": "signing and logging one verdict", "value": signing, "unit": "us", "target": "(shown)", "ok": True,
         "detail": "within a transaction, rows included"},
    ]  # fmt: skip


def proofs() -> list[Row]:
    """Inclusion and consistency proofs out of a database file with a million leaves."""
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch), "bench.example", 0)
        store = SqliteStore(Path(scratch) / "registry.sqlite")
        with store.transaction():
            for index in range(MILLION):
                data = index.to_bytes(8, "big")
                store.append_leaf(StoredLeaf(index, EVERYBODY, event="bench", body=data), merkle.leaf_hash(data))
        store.close()
        store = SqliteStore(Path(scratch) / "registry.sqlite")  # nothing of it is in memory of ours
        log = Log(store, Signer(Path(scratch) / "signing.json"))
        root = log.head().root
        places = [secrets.randbelow(MILLION) for _ in range(PROOFS)]
        made: list[tuple[bytes, list[bytes]]] = []
        inclusion = per_call([lambda i=i: made.append(log.inclusion(i, MILLION)) for i in places]) / 1_000  # type: ignore[misc]
        for index, (leaf, proof) in zip(places, made, strict=True):
            merkle.verify_inclusion(leaf, index, MILLION, proof, root)
        longest = max(sum(map(len, proof)) for _, proof in made)
        consistency = per_call([lambda i=i: log.consistency(i + 1, MILLION) for i in places]) / 1_000  # type: ignore[misc]
        store.close()
    at = f"at {MILLION:,} leaves, median of {PROOFS:,}, from the database file; each is verified"
    return [
        {"name": "making an inclusion proof", "value": inclusion, "unit": "ms", "target": "<= 2", "ok": inclusion <= 2,
         "detail": at},
        {"name": "an inclusion proof's size", "value": longest, "unit": "B", "target": "<= 1024", "ok": longest <= 1_024,
         "detail": "the longest of them"},
        {"name": "making a consistency proof", "value": consistency, "unit": "ms", "target": "<= 2", "ok": consistency <= 2,
         "detail": "from any size to a million"},
    ]  # fmt: skip


def run() -> list[Row]:
    """Every row of this file."""
    return [*intake(), *verdicts(), *proofs()]
