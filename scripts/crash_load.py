"""What members do while the registry is being killed: they submit until they are answered, and watch from where they were.

Everything that was acknowledged is remembered here, in a process that nobody kills, and held against the database afterwards.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc

import deployment
from daxa_api.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    sighting_pb2,
    sighting_pb2_grpc,
    types_pb2,
    verdict_pb2,
    verdict_pb2_grpc,
)
from daxa_client import RawSighting, RegistryClient
from daxa_core import codec, group
from daxa_core.errors import DaxaError, Unavailable
from daxa_core.note import read_checkpoint
from daxa_core.verification import VerificationKeys

DEADLINE = 10.0
SENT_AGAIN = 0.3
KEYS, HOURS = 4, [hour for hour in range(72) if hour * 7 % 5 < 2]
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
         grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)  # fmt: skip


def element() -> bytes:
    """A valid group element that nobody else has."""
    return group.base_multiply(group.random_scalar())


class Member:
    """One member's threads: one submits, one watches its verdicts, one keeps checkpoints.

    Whoever holds ``turn`` finds that every batch was answered to the end, and that none is sent.
    """

    def __init__(self, home: Path, name: str, targets: Sequence[str], keys: VerificationKeys, seed: int) -> None:
        self.name, self._home, self._targets, self._keys = name, home, list(targets), keys
        self._random = random.Random(seed)
        self.turn = threading.Lock()
        self.acknowledged: Counter[bytes] = Counter()
        self.batches = self.tries = self.unwritten = 0
        """``unwritten``: tries that were refused because the database could not be written to."""
        self.refused: Counter[str] = Counter()
        """Tries that were to be made again, by what was told."""
        self.watched: dict[int, bytes] = {}
        """By sequence: the envelope's bytes."""
        self.heads: set[tuple[int, bytes]] = set()
        self.problems: list[str] = []
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._submit, self._watch, self._keep)
        ]

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 60.0) -> None:
        """Ends, after the answer to what is under way."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(seconds)

    def watch_until(self, last: int, seconds: float) -> None:
        """Waits until that verdict was watched."""
        deadline = time.monotonic() + seconds
        while self.cursor() < last and time.monotonic() < deadline:
            time.sleep(0.05)

    def cursor(self) -> int:
        """The newest verdict that was watched."""
        return max(tuple(self.watched), default=0)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a thread that ends unseen would be a check that cannot fail
            self.problems.append(f"{work.__name__}: {type(error).__name__}: {error}")

    def _batch(self) -> tuple[sighting_pb2.SubmitSightingsRequest, Counter[bytes]]:
        """One operator's server behind a few keys: new edges, counted, and a verdict for most."""
        counted: Counter[bytes] = Counter()
        address, network, device = element(), element(), element()
        now = int(time.time()) // 3_600
        sightings = []
        for _ in range(KEYS):
            key, account, holder = element(), secrets.token_bytes(16), element()
            for hour in HOURS:
                count = self._random.randrange(1, 4)
                counted[key] += count
                sightings.append(
                    sighting_pb2.Sighting(
                        key=key, address=address, network=network, device=device, account=account, holder=holder,
                        hour=now - 2 - hour, count=count, manner=types_pb2.MANNER_USED,
                    )
                )  # fmt: skip
        request = sighting_pb2.SubmitSightingsRequest(
            batch_id=secrets.token_bytes(16), member=self.name, key_version=1, canonical_version=1, sightings=sightings
        )
        return request, counted

    def _submit(self) -> None:
        while not self._stopped.is_set():
            with self.turn:
                self._settle(*self._batch())
            time.sleep(self._random.random() * 0.2)

    def _settle(self, request: sighting_pb2.SubmitSightingsRequest, counted: Counter[bytes]) -> None:
        """Submits until it is answered, and now and then once more, as if the answer had been lost."""
        answer = self._until_answered(request)
        if answer is None:
            return
        if answer.accepted != len(request.sightings):
            self.problems.append(f"{len(request.sightings) - answer.accepted} sightings of a batch refused")
        self.acknowledged += counted
        self.batches += 1
        if self._random.random() < SENT_AGAIN and self._until_answered(request) != answer:
            self.problems.append("a batch that was sent again was answered otherwise")

    def _until_answered(
        self, request: sighting_pb2.SubmitSightingsRequest
    ) -> sighting_pb2.SubmitSightingsResponse | None:
        for attempt in range(10_000):
            target = self._targets[(self.batches + attempt) % len(self._targets)]
            self.tries += 1
            try:
                with deployment.channel(self._home, target) as channel:
                    stub = sighting_pb2_grpc.SightingServiceStub(channel)
                    answer: sighting_pb2.SubmitSightingsResponse = stub.SubmitSightings(request, timeout=DEADLINE)
                    return answer
            except grpc.RpcError as error:
                told = deployment.told(error)
                if error.code() not in AGAIN:
                    self.problems.append(f"submit: {error.code().name}: {error.details()}")
                    return None
                self.refused[f"{told.status.name} {told.code} {told.field}"] += 1
                self.unwritten += (told.status, told.field) == (grpc.StatusCode.UNAVAILABLE, "store")
                time.sleep(self._random.random() * 0.3)
        return None

    def _watch(self) -> None:
        turn = 0
        while not self._stopped.is_set():
            turn += 1
            try:
                with deployment.channel(self._home, self._targets[turn % len(self._targets)]) as channel:
                    request = verdict_pb2.WatchVerdictsRequest(after_sequence=self.cursor())
                    # Short streams: many cursors are resumed from, at every node.
                    for page in verdict_pb2_grpc.VerdictServiceStub(channel).WatchVerdicts(request, timeout=3.0):
                        for envelope in page.verdicts:
                            verdict = codec.decode_verdict(codec.read_envelope(envelope).payload)
                            if verdict.sequence != self.cursor() + 1:
                                self.problems.append(f"watch: {verdict.sequence} came after {self.cursor()}")
                            self.watched[verdict.sequence] = envelope.SerializeToString(deterministic=True)
                        if self._stopped.is_set():
                            break
            except grpc.RpcError as error:
                if error.code() not in AGAIN:
                    self.problems.append(f"watch: {error.code().name}: {error.details()}")
                    return
                time.sleep(0.05)

    def _keep(self) -> None:
        turn = 0
        while not self._stopped.wait(0.3):
            turn += 1
            try:
                with deployment.channel(self._home, self._targets[turn % len(self._targets)]) as channel:
                    answer = audit_pb2_grpc.AuditServiceStub(channel).GetCheckpoint(
                        audit_pb2.GetCheckpointRequest(), timeout=DEADLINE
                    )
            except grpc.RpcError:
                continue
            head = read_checkpoint(answer.checkpoint, self._keys.log)
            self.heads.add((head.size, head.root))


class Gateway:
    """A member with the whole client in front of evaluators that come and go: what it was told is taken is counted.

    ``turn``: as a :class:`Member`'s.
    """

    def __init__(self, home: Path, name: str, targets: Sequence[str]) -> None:
        self.name, self.total, self.batches, self.turn = name, 0, 0, threading.Lock()
        self.problems: list[str] = []
        quoted = ", ".join(f'"{target}"' for target in targets)
        lines = (home / "client.toml").read_text().splitlines()
        configuration = home / "several.toml"
        configuration.write_text(
            "".join(f"targets = [{quoted}]\n" if line.startswith("targets") else f"{line}\n" for line in lines)
        )
        self._client = RegistryClient.from_file(configuration)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self, seconds: float = 120.0) -> None:
        """Ends, after the answer to what is under way."""
        self._stopping.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self.problems.append(f"{self.name}: a batch was not answered to the end")
        self._client.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self.turn:
                if not self._settle():
                    return
            time.sleep(0.1)

    def _settle(self) -> bool:
        """Submits until it is answered; whether it was taken."""
        self.batches += 1
        hour = int(time.time()) // 3_600 - 2
        raw = [RawSighting(f"key-{self.batches}-{i}", f"211.{self.batches % 200}.{i}.9", hour, 3) for i in range(5)]
        batch_id = secrets.token_bytes(16)
        while True:
            try:
                result = self._client.submit(raw, batch_id=batch_id)
            except Unavailable:
                time.sleep(0.1)
            except DaxaError as error:
                self.problems.append(f"{self.name}: {error}")
                return False
            else:
                self.total += 3 * result.accepted
                return True
