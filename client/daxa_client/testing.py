"""For an exchange's own test suite: a registry with its evaluators in this process, over real gRPC and mutual TLS.

    with TestRegistry(tmp_path) as registry, Gateway(registry.config()) as gateway:
        gateway.observe("key", "8.8.8.8")
        assert gateway.drain(10)
        registry.decide("key", Level.REVOKE)
        ...

The oblivious function, its proofs, the wire, the signatures and the certificates are the real ones, under keys made for the test.
What is *not* here is matching: this registry keeps what it is sent and decides nothing by itself. A verdict is what
:meth:`TestRegistry.decide` says, and nothing that happens here tells what the real registry would decide.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from daxa_api.v1 import (
    evaluation_pb2,
    evaluation_pb2_grpc,
    sighting_pb2,
    sighting_pb2_grpc,
    types_pb2,
    verdict_pb2,
    verdict_pb2_grpc,
)
from daxa_core import codec, oprf, suite, threshold
from daxa_core.canonical import CANONICAL_VERSION, canonical_key
from daxa_core.envelope import VERDICT_TYPE, SigningKey
from daxa_core.model import AppealStatus, Kind, Level, Manner, Reason, Scope, Sighting, Verdict
from daxa_core.note import ED25519, NoteVerifier
from daxa_core.parameters import Parameters
from daxa_core.pseudonym import verdict_digest
from daxa_core.verification import VerdictKey, VerificationKeys

from ._config import ClientConfig

MEMBER = "test"
_HOST = "localhost"


class TestRegistry:
    """One registry for one member, and one evaluator unless told otherwise, on loopback ports. Thread-safe."""

    __test__ = False  # pytest looks for test classes by name

    def __init__(self, folder: Path, evaluators: int = 1, needed: int = 1) -> None:
        """``folder`` is where :meth:`config` keeps the member's state; of so many evaluators so many are needed."""
        self._folder = folder
        self._lock = threading.Condition()
        self._batches: dict[bytes, list[Sighting]] = {}
        self._events: list[tuple[Verdict, types_pb2.Envelope]] = []
        self.reports: list[tuple[bytes, int]] = []
        """The key's fingerprint and the act of each ReportEnforcement; nothing follows from it here."""
        self.appeals: dict[int, tuple[bytes, int, str]] = {}
        """The key's fingerprint, the ground and the reference of each appeal, by its number; all stay open."""
        self._appeals: dict[bytes, int] = {}
        self._keys: dict[Kind, bytes] = {}
        self._shares: dict[tuple[Kind, int], bytes] = {}
        commitments: dict[Kind, tuple[bytes, ...]] = {}
        for kind in Kind:
            self._keys[kind], _ = suite.generate_key_pair()
            dealt, shares = threshold.deal(self._keys[kind], needed, evaluators)
            commitments[kind] = tuple(dealt)
            self._shares |= {(kind, share.index): share.scalar for share in shares}
        self.parameters = Parameters(1, CANONICAL_VERSION, needed, evaluators, commitments)
        self._signing, log = SigningKey.generate(), SigningKey.generate()
        self._verification = VerificationKeys(
            NoteVerifier("daxa.test/log", ED25519, log.public), (VerdictKey(self._signing.public, 0),)
        )
        self._ca, (server_cert, server_key), (self._cert, self._key) = _certificates()
        credentials = grpc.ssl_server_credentials([(server_key, server_cert)], self._ca, True)
        self._servers = [
            grpc.server(ThreadPoolExecutor(16, thread_name_prefix="daxa-test-registry")) for _ in range(evaluators)
        ]
        """Of each evaluator; the first is the registry's too."""
        sighting_pb2_grpc.add_SightingServiceServicer_to_server(_Sightings(self), self._servers[0])
        verdict_pb2_grpc.add_VerdictServiceServicer_to_server(_Verdicts(self), self._servers[0])
        self._targets: list[str] = []
        for index, server in enumerate(self._servers, 1):
            evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server(_Evaluator(self, index), server)
            self._targets.append(f"{_HOST}:{server.add_secure_port('127.0.0.1:0', credentials)}")
            server.start()
        self._over = False

    def __enter__(self) -> TestRegistry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends it."""
        with self._lock:
            self._over = True
            self._lock.notify_all()
        for stopped in [server.stop(0) for server in self._servers]:
            stopped.wait()

    def config(self, **changes: Any) -> ClientConfig:
        """The member's configuration, with changes by field; written to the disk nowhere."""
        made = ClientConfig(
            member=MEMBER,
            targets=(self._targets[0],),
            evaluators=dict(enumerate(self._targets, 1)),
            parameters=self.parameters,
            verification=self._verification,
            account_secret=bytes(range(32)),
            ca=self._ca,
            certificate=self._cert,
            key=self._key,
            state=self._folder,
            flush_seconds=0.05,
        )
        return dataclasses.replace(made, **changes)

    def fingerprint(self, key: str) -> bytes:
        """The fingerprint of a raw key, as a client of this registry gets it."""
        return oprf.evaluate(self._keys[Kind.KEY], suite.hash_to_group(canonical_key(key)))

    def sightings(self, key: str | None = None) -> list[Sighting]:
        """What was submitted so far, each batch once; of one raw key, or all."""
        wanted = None if key is None else self.fingerprint(key)
        with self._lock:
            return [one for batch in self._batches.values() for one in batch if wanted in (None, one.key)]

    def decide(
        self,
        key: str,
        level: Level,
        *,
        scope: Scope = Scope.NOTHING,
        reasons: tuple[Reason, ...] = (),
        deadline: int = 0,
    ) -> Verdict:
        """From now on this is the verdict on a raw key; it is streamed to whoever watches."""
        with self._lock:
            now = int(time.time())
            verdict = Verdict(
                self.fingerprint(key), level, 0.0, reasons, len(self._events) + 1, now, now + 86_400, bytes(32), bytes(32),
                scope, deadline, member=MEMBER,
            )  # fmt: skip
            envelope = codec.write_envelope(self._signing.sign(VERDICT_TYPE, codec.encode_verdict(verdict)))
            self._events.append((verdict, envelope))
            self._lock.notify_all()
        return verdict

    def _evaluate(self, kind: Kind, index: int, elements: list[bytes]) -> tuple[list[bytes], bytes]:
        public = self.parameters.public_share(kind, index)
        return oprf.blind_evaluate(self._shares[kind, index], public, elements)

    def _current(self, keys: list[bytes]) -> list[types_pb2.Envelope]:
        with self._lock:
            newest = {verdict.key: envelope for verdict, envelope in self._events}
        return [newest[key] for key in keys if key in newest]


class _Evaluator(evaluation_pb2_grpc.EvaluationServiceServicer):
    def __init__(self, registry: TestRegistry, index: int) -> None:
        self._registry, self._index = registry, index

    def GetParameters(
        self, request: evaluation_pb2.GetParametersRequest, context: grpc.ServicerContext
    ) -> evaluation_pb2.GetParametersResponse:
        parameters = self._registry.parameters
        return evaluation_pb2.GetParametersResponse(
            suite=suite.IDENTIFIER, key_version=1, canonical_version=CANONICAL_VERSION, threshold=parameters.threshold,
            evaluators=parameters.evaluators, index=self._index, parameters_digest=parameters.digest,
        )  # fmt: skip

    def Evaluate(
        self, request: evaluation_pb2.EvaluateRequest, context: grpc.ServicerContext
    ) -> evaluation_pb2.EvaluateResponse:
        elements, proof = self._registry._evaluate(Kind(request.kind), self._index, list(request.blinded_elements))
        return evaluation_pb2.EvaluateResponse(evaluated_elements=elements, proof=proof, index=self._index)


class _Sightings(sighting_pb2_grpc.SightingServiceServicer):
    def __init__(self, registry: TestRegistry) -> None:
        self._registry = registry

    def SubmitSightings(
        self, request: sighting_pb2.SubmitSightingsRequest, context: grpc.ServicerContext
    ) -> sighting_pb2.SubmitSightingsResponse:
        taken = [codec.read_sighting(message) for message in request.sightings]
        with self._registry._lock:
            self._registry._batches.setdefault(request.batch_id, taken)
            known = {
                one.key
                for batch in self._registry._batches.values()
                for one in batch
                if one.account or one.manner is not Manner.REJECTED
            }
        keys = list(dict.fromkeys(one.key for one in taken))
        of_no_use = [key for key in keys if key not in known]
        verdicts = self._registry._current(keys)
        return sighting_pb2.SubmitSightingsResponse(accepted=len(taken), verdicts=verdicts, of_no_use=of_no_use)

    def WithdrawSightings(
        self, request: sighting_pb2.WithdrawSightingsRequest, context: grpc.ServicerContext
    ) -> sighting_pb2.WithdrawSightingsResponse:
        low, high = request.first_hour, request.last_hour or 2**32
        withdrawn = 0
        with self._registry._lock:
            for batch in self._registry._batches.values():
                kept = [one for one in batch if one.key != request.key or not low <= one.hour <= high]
                withdrawn += len(batch) - len(kept)
                batch[:] = kept
        return sighting_pb2.WithdrawSightingsResponse(withdrawn=withdrawn)


class _Verdicts(verdict_pb2_grpc.VerdictServiceServicer):
    def __init__(self, registry: TestRegistry) -> None:
        self._registry = registry

    def BatchGetVerdicts(
        self, request: verdict_pb2.BatchGetVerdictsRequest, context: grpc.ServicerContext
    ) -> verdict_pb2.BatchGetVerdictsResponse:
        return verdict_pb2.BatchGetVerdictsResponse(verdicts=self._registry._current(list(request.keys)))

    def ReportEnforcement(
        self, request: verdict_pb2.ReportEnforcementRequest, context: grpc.ServicerContext
    ) -> verdict_pb2.ReportEnforcementResponse:
        current = self._registry._current([request.key])
        if not current:
            context.abort(grpc.StatusCode.NOT_FOUND, "NOT_FOUND: key: one with a verdict")
        with self._registry._lock:
            self._registry.reports.append((request.key, int(request.act)))
        return verdict_pb2.ReportEnforcementResponse(reported_at=int(time.time()), verdict=current[0])

    def Appeal(self, request: verdict_pb2.AppealRequest, context: grpc.ServicerContext) -> verdict_pb2.AppealResponse:
        if not self._registry._current([request.key]):
            context.abort(grpc.StatusCode.NOT_FOUND, "NOT_FOUND: key: one with a verdict")
        with self._registry._lock:
            number = self._registry._appeals.setdefault(request.appeal_id, len(self._registry._appeals) + 1)
            self._registry.appeals[number] = (request.key, int(request.ground), request.reference)
        return verdict_pb2.AppealResponse(number=number, filed_at=int(time.time()), status=int(AppealStatus.OPEN))  # type: ignore[arg-type]

    def GetVerdictDigest(
        self, request: verdict_pb2.GetVerdictDigestRequest, context: grpc.ServicerContext
    ) -> verdict_pb2.GetVerdictDigestResponse:
        with self._registry._lock:
            head = len(self._registry._events)
            newest = {verdict.key: verdict for verdict, _ in self._registry._events[: request.at_sequence]}
        listed = sorted((verdict.sequence, verdict.level, verdict.key) for verdict in newest.values())
        return verdict_pb2.GetVerdictDigestResponse(
            digest=verdict_digest(listed), keys=len(listed), head_sequence=head, now=int(time.time())
        )

    def WatchVerdicts(
        self, request: verdict_pb2.WatchVerdictsRequest, context: grpc.ServicerContext
    ) -> Iterator[verdict_pb2.WatchVerdictsResponse]:
        registry, cursor = self._registry, request.after_sequence
        while context.is_active():
            with registry._lock:
                if len(registry._events) <= cursor and not registry._over:
                    registry._lock.wait(0.5)
                if registry._over:
                    return
                head = len(registry._events)
                page = [envelope for _, envelope in registry._events[cursor:]]
            cursor = max(cursor, head)
            yield verdict_pb2.WatchVerdictsResponse(verdicts=page, head_sequence=head)


def _certificates() -> tuple[bytes, tuple[bytes, bytes], tuple[bytes, bytes]]:
    """An authority, a server's certificate and key, a member's certificate and key; all in PEM, good for 90 days."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    root = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "daxa test authority")])

    def issue(key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName] | None) -> bytes:
        subject = issuer if names is None else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "daxa test")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def private(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    server, member = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    host: list[x509.GeneralName] = [x509.DNSName(_HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    identity: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"spiffe://daxa.test/member/{MEMBER}")]
    return (
        issue(root, None),
        (issue(server, host), private(server)),
        (issue(member, identity), private(member)),
    )
