"""Peers to try the client against: real gRPC and mutual TLS, evaluators that can lie, a registry told what to say."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

import deployment
from daxa_api.v1 import (
    evaluation_pb2,
    evaluation_pb2_grpc,
    sighting_pb2,
    sighting_pb2_grpc,
    types_pb2,
    verdict_pb2,
    verdict_pb2_grpc,
)
from daxa_core import codec, group, oprf, suite
from daxa_core.envelope import VERDICT_TYPE, SigningKey
from daxa_core.errors import DaxaError
from daxa_core.model import Kind
from daxa_core.pseudonym import verdict_digest
from daxa_registry.keys.pki import Issued
from daxa_registry.keys.shares import ShareFile, read_parameters, read_share
from daxa_registry.keys.signing import SigningKeys, VerdictSigner
from daxa_registry.rpc.errors import to_status


@contextlib.contextmanager
def serve(
    folder: Path, add: Callable[[grpc.Server], None], port: int = 0, issued: Issued | None = None
) -> Iterator[int]:
    """A server with the certificate in ``folder`` or another one; answers its port. It takes that authority's members alone."""
    server = grpc.server(
        ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 1 << 20)]
    )
    add(server)
    certificate = issued.certificate if issued else (folder / "cert.pem").read_bytes()
    key = issued.key if issued else (folder / "key.pem").read_bytes()
    ca = (folder / "ca.pem").read_bytes()
    bound = server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, certificate)], ca, True))
    server.start()
    try:
        yield bound
    finally:
        server.stop(0).wait()


def _refuse(context: grpc.ServicerContext, error: Exception) -> None:
    context.abort_with_status(to_status(error))


class Evaluator(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Honest unless told otherwise; counts what it was asked."""

    def __init__(self, folder: Path) -> None:
        parameters = read_parameters(folder / "parameters.json")
        self.share: ShareFile = read_share(folder / "share.json", parameters)
        self.public = {kind: parameters.public_share(kind, self.share.index) for kind in Kind}
        self.calls: list[tuple[Kind, int]] = []
        self.seen: list[bytes] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        self.seconds = 0.0
        self.until: Callable[[], object] = lambda: True
        """Asked, it answers once that is so, and after those seconds."""
        self.error: Exception | None = None
        self.later_error: Exception | None = None
        """From its first answer on."""
        self.unproved: list[int] = []
        self.lie = ""

    def Evaluate(
        self, request: evaluation_pb2.EvaluateRequest, context: grpc.ServicerContext
    ) -> evaluation_pb2.EvaluateResponse:
        kind, elements = Kind(request.kind), list(request.blinded_elements)
        with self._lock:
            self.calls.append((kind, len(elements)))
            self.seen += elements
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        deployment.wait_for(self.until)
        time.sleep(self.seconds)
        with self._lock:
            self._at_once -= 1
        if self.error is not None:
            _refuse(context, self.error)
        self.error = self.later_error
        key, public = self.share.shares[kind], self.public[kind]
        if self.lie == "another key, well proved":
            key, public = suite.generate_key_pair()
        evaluated, proof = oprf.blind_evaluate(key, public, elements)
        if request.unproved:
            self.unproved.append(len(elements))
            proof = b""
            if self.lie == "right where it is proved":
                evaluated[-1] = group.base_multiply(group.random_scalar())
        if self.lie == "one element swapped":
            evaluated[0] = group.base_multiply(group.random_scalar())
        elif self.lie == "one element too few":
            evaluated.pop()
        elif self.lie == "elements that are none":
            evaluated = [b"\xff" * 32 for _ in evaluated]
        elif self.lie == "the identity":
            evaluated = [group.IDENTITY for _ in evaluated]
        elif self.lie == "short elements":
            evaluated = [element[:31] for element in evaluated]
        elif self.lie == "no proof":
            proof = b""
        index = self.share.index + (1 if self.lie == "another's index" else 0)
        return evaluation_pb2.EvaluateResponse(evaluated_elements=evaluated, proof=proof, index=index)


LIES = (
    "another key, well proved", "one element swapped", "one element too few", "elements that are none", "the identity",
    "short elements", "no proof", "another's index", "right where it is proved",
)  # fmt: skip


@contextlib.contextmanager
def evaluators(folder: Path, *indexes: int) -> Iterator[tuple[dict[int, str], dict[int, Evaluator]]]:
    """Evaluators of a deployment: their targets and themselves, by index."""
    with contextlib.ExitStack() as stack:
        targets, servicers = {}, {}
        for index in indexes:
            home = folder / "evaluators" / str(index)
            servicer = servicers[index] = Evaluator(home)
            add = evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server
            port = stack.enter_context(serve(home, lambda server, s=servicer, add=add: add(s, server)))
            targets[index] = f"127.0.0.1:{port}"
        yield targets, servicers


class Registry(sighting_pb2_grpc.SightingServiceServicer, verdict_pb2_grpc.VerdictServiceServicer):
    """Takes everything and says what it is told to; keeps what it was sent."""

    def __init__(self) -> None:
        self.batches: list[sighting_pb2.SubmitSightingsRequest] = []
        self.cursors: list[int] = []
        self.request_ids: list[str] = []
        """Those of the streams."""
        self.errors: list[Exception | str | None] = []
        """One for each call to come: raised, "late" for no answer in time, "lost" for an answer that is lost, None for none."""
        self.submit_errors: list[Exception | str | None] = []
        """The same for submissions alone: a watch that is opened meanwhile takes none of them."""
        self.answer: Callable[[sighting_pb2.SubmitSightingsRequest], sighting_pb2.SubmitSightingsResponse] = _all_taken
        self.streams: list[list[list[types_pb2.Envelope]]] = []
        """One for each stream to come: its messages. A stream ends after them; the last one stays open."""
        self.ended = threading.Event()
        self.over = threading.Event()
        """Set when the last stream is over, whoever ended it."""
        self.look_up = _all_clear
        self.later: list[list[types_pb2.Envelope]] = []
        """Messages for the stream that stays open."""
        self.told: list[types_pb2.Envelope] = []
        self.ahead = 0  # seconds of its clock
        """What was streamed, in order; the digest is over it, and a stream that nobody wrote begins with it."""
        self.reports: list[tuple[bytes, int, int]] = []
        """The key, sequence and act of each."""

    def _stumble(self, context: grpc.ServicerContext, errors: list[Exception | str | None] | None = None) -> None:
        errors = errors or self.errors
        error = errors.pop(0) if errors else None
        if error == "late":
            deployment.wait_for(lambda: not context.is_active())
        elif error == "lost":
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        elif error == "odd":
            context.abort(grpc.StatusCode.UNKNOWN, "Exception calling application: secret-key-material")
        elif isinstance(error, Exception):
            _refuse(context, error)

    def SubmitSightings(
        self, request: sighting_pb2.SubmitSightingsRequest, context: grpc.ServicerContext
    ) -> sighting_pb2.SubmitSightingsResponse:
        self.batches.append(request)
        self._stumble(context, self.submit_errors)
        return self.answer(request)

    def BatchGetVerdicts(
        self, request: verdict_pb2.BatchGetVerdictsRequest, context: grpc.ServicerContext
    ) -> verdict_pb2.BatchGetVerdictsResponse:
        self._stumble(context)
        return self.look_up(request)

    def ReportEnforcement(
        self, request: verdict_pb2.ReportEnforcementRequest, context: grpc.ServicerContext
    ) -> verdict_pb2.ReportEnforcementResponse:
        self.reports.append((request.key, request.sequence, int(request.act)))
        return verdict_pb2.ReportEnforcementResponse(reported_at=1, verdict=verdict(request.key, request.sequence))

    def GetVerdictDigest(
        self, request: verdict_pb2.GetVerdictDigestRequest, context: grpc.ServicerContext
    ) -> verdict_pb2.GetVerdictDigestResponse:
        told = [codec.decode_verdict(envelope.payload) for envelope in self.told]
        newest = {verdict.key: verdict for verdict in told if verdict.sequence <= request.at_sequence}
        listed = sorted((verdict.sequence, verdict.level, verdict.key) for verdict in newest.values())
        return verdict_pb2.GetVerdictDigestResponse(
            digest=verdict_digest(listed), keys=len(listed), head_sequence=request.at_sequence,
            now=int(time.time()) + self.ahead,
        )  # fmt: skip

    def WatchVerdicts(
        self, request: verdict_pb2.WatchVerdictsRequest, context: grpc.ServicerContext
    ) -> Iterator[verdict_pb2.WatchVerdictsResponse]:
        self.cursors.append(request.after_sequence)
        self.request_ids.append(str(dict(context.invocation_metadata()).get("x-request-id", "")))
        over = self.over = threading.Event()
        if not context.add_callback(over.set):
            over.set()
        self._stumble(context)
        yield verdict_pb2.WatchVerdictsResponse(head_sequence=99)
        if not self.streams:
            cursor = request.after_sequence
            again = [e for e in self.told if codec.decode_verdict(e.payload).sequence > cursor]
            yield verdict_pb2.WatchVerdictsResponse(verdicts=again, head_sequence=99)
        for verdicts in self.streams.pop(0) if self.streams else []:
            self.told += verdicts
            yield verdict_pb2.WatchVerdictsResponse(verdicts=verdicts, head_sequence=99)
        if self.streams:
            context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        while context.is_active() and not self.ended.wait(0.02):
            while self.later:
                verdicts = self.later.pop(0)
                self.told += verdicts
                yield verdict_pb2.WatchVerdictsResponse(verdicts=verdicts, head_sequence=99)


def _all_taken(request: sighting_pb2.SubmitSightingsRequest) -> sighting_pb2.SubmitSightingsResponse:
    return sighting_pb2.SubmitSightingsResponse(accepted=len(request.sightings))


def _all_clear(request: verdict_pb2.BatchGetVerdictsRequest) -> verdict_pb2.BatchGetVerdictsResponse:
    return verdict_pb2.BatchGetVerdictsResponse()


@contextlib.contextmanager
def registry(folder: Path, servicer: Registry, port: int = 0, issued: Issued | None = None) -> Iterator[str]:
    """The registry of a deployment, answering its target."""

    def add(server: grpc.Server) -> None:
        sighting_pb2_grpc.add_SightingServiceServicer_to_server(servicer, server)
        verdict_pb2_grpc.add_VerdictServiceServicer_to_server(servicer, server)

    with serve(folder / "registry", add, port, issued) as bound:
        yield f"127.0.0.1:{bound}"


SIGNING_KEYS = SigningKeys("daxa.test/log", SigningKey(b"l" * 32), (VerdictSigner(SigningKey(b"v" * 32), 0),))
"""What these registries sign with; :func:`trusted` makes a deployment's members trust it."""


def trusted(member: Path) -> None:
    """Puts the keys of these registries into a member's folder."""
    (member / "verification.json").write_text(SIGNING_KEYS.public().to_json())


def signed(message: types_pb2.Verdict, key: SigningKey | None = None) -> types_pb2.Envelope:
    """A verdict's message in an envelope."""
    key = key or SIGNING_KEYS.at(0)
    return codec.write_envelope(key.sign(VERDICT_TYPE, message.SerializeToString()))


def verdict(
    key: bytes, sequence: int, level: types_pb2.Level = types_pb2.LEVEL_WARN, member: str = "upbit"
) -> types_pb2.Envelope:
    """A verdict as the wire has it."""
    return signed(
        types_pb2.Verdict(key=key, level=level, score=3.0, sequence=sequence, member=member, log_index=sequence)
    )


def point(folder: Path, registry: str, evaluators: dict[int, str]) -> str:
    """The member's file with the targets given; answers its path."""
    path = folder / "client.toml"
    kept = path.read_text().partition("[registry]")[0], "[tls]" + path.read_text().partition("[tls]")[2]
    tables = "".join(f'[[evaluator]]\nindex = {i}\ntarget = "{target}"\n' for i, target in evaluators.items())
    path.write_text(f'{kept[0]}[registry]\ntargets = ["{registry}"]\n{tables}{kept[1]}')
    return str(path)


__all__ = [
    "LIES",
    "SIGNING_KEYS",
    "DaxaError",
    "Evaluator",
    "Registry",
    "evaluators",
    "point",
    "registry",
    "serve",
    "signed",
    "trusted",
    "verdict",
]
