"""A registry that two members keep busy: every process is real, and so is the network; what they were answered is remembered.

busy = Busy(tmp_path / "deployment")
with busy.serve(), traffic(busy):
    busy.more(2)
assert busy.found(busy.file).fits()
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc

import crash_check
import deployment
from crash_load import Member, element
from daxa_api.v1 import sighting_pb2, sighting_pb2_grpc, types_pb2
from daxa_registry.keys.signing import read_verification_keys

MEMBERS = ("upbit", "bithumb")
WAIT_SECONDS = 120


def ask(database: str, query: str) -> list[Any]:
    with crash_check.as_of_now(database) as rows:
        return [tuple(row) for row in rows(query)]


class Busy:
    """A deployment, on a file or on the database of a URL, and its members' threads."""

    def __init__(self, folder: Path, url: str = "") -> None:
        deployment.deploy(folder, MEMBERS, threshold=1, evaluators=1)
        deployment.without_grace(folder)
        self.configuration = folder / "registry/registry.toml"
        if url:
            self.configuration.write_text(self.configuration.read_text().replace("data/registry.sqlite", url))
        self.file = str(folder / "registry/data/registry.sqlite")
        self.home = folder / "members/upbit"
        keys = read_verification_keys(folder / "registry/verification.json")
        target = deployment.target_of(self.configuration)
        self.members = [
            Member(folder / "members" / name, name, [target], keys, seed) for seed, name in enumerate(MEMBERS)
        ]

    def serve(self) -> deployment.Process:
        process = deployment.Process("serve", self.configuration)
        assert "listening" in process.ready
        return process

    def more(self, batches: int) -> None:
        """Waits until every member was answered as many batches more."""
        wanted = [member.batches + batches for member in self.members]
        deployment.wait_for(
            lambda: all(m.batches >= n or m.problems for m, n in zip(self.members, wanted, strict=True)),
            WAIT_SECONDS,
            told=lambda: [
                f"{m.name}: {m.batches} of {n}, {m.refused}" for m, n in zip(self.members, wanted, strict=True)
            ],
        )

    def submit(self) -> deployment.Told | None:
        """One sighting of upbit's: what it was refused with."""
        one = sighting_pb2.Sighting(
            key=element(), address=element(), network=element(), hour=int(time.time()) // 3_600, count=1,
            manner=types_pb2.MANNER_USED,
        )  # fmt: skip
        request = sighting_pb2.SubmitSightingsRequest(
            batch_id=element()[:16], member="upbit", key_version=1, canonical_version=1, sightings=[one]
        )
        with deployment.channel(self.home, self.configuration) as channel:
            try:
                sighting_pb2_grpc.SightingServiceStub(channel).SubmitSightings(request, timeout=WAIT_SECONDS)
            except grpc.RpcError as error:
                return deployment.told(error)
        self.members[0].acknowledged[one.key] += 1
        return None

    def found(self, database: str) -> crash_check.Found:
        """What is there of what was acknowledged and watched."""
        nobody: Any = SimpleNamespace(name="coinone", total=0, problems=[])
        return crash_check.check(database, self.members, nobody)


@contextlib.contextmanager
def traffic(busy: Busy) -> Iterator[None]:
    """Every member submits and watches while the block runs."""
    for member in busy.members:
        member.start()
    try:
        yield
    finally:
        for member in busy.members:
            member.stop()
