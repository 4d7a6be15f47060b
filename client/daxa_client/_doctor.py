"""``daxa-client doctor``: looks at everything that would make a member silently match nobody, and says what to mend.

Each check is a line: what was looked at, whether it is well, and what to do where it is not. It changes nothing at the registry.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc

from daxa_api.v1 import evaluation_pb2, evaluation_pb2_grpc
from daxa_core import canonical
from daxa_core.canonical import CANONICAL_VERSION, canonical_address
from daxa_core.errors import CryptoError, DaxaError, ErrorCode
from daxa_core.model import Kind

from ._cache import FingerprintCache
from ._channel import open_channel
from ._client import RegistryClient
from ._config import ClientConfig
from ._errors import certificate_problem, from_rpc, make_error
from ._fingerprints import Fingerprinter
from ._spool import Spool
from ._standing import name_of

LOG = logging.getLogger("daxa_client")
DAYS_TO_RENEW = 30
CLOCK_SECONDS = 60
CANARY = ("192.0.0.9", "::ffff:192.0.0.9")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: ``problem`` is empty where it is well, ``mend`` what to do where it is not."""

    check: str
    told: str
    problem: str = ""
    mend: str = ""

    @property
    def well(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.problem


_MEND: dict[ErrorCode, str] = {
    ErrorCode.CERTIFICATE_EXPIRED: "have a new certificate issued (`daxa-client enroll`), or set this host's clock right",
    ErrorCode.CERTIFICATE_FOREIGN: "take the certificate and tls.ca from the same registry",
    ErrorCode.CERTIFICATE_MISSING: "name the certificate that the registry issued in tls.certificate",
    ErrorCode.CERTIFICATE_IDENTITY: "ask the registry for a certificate of this member",
    ErrorCode.PERMISSION_DENIED: "ask the registry's operator: this certificate's role may not do that",
    ErrorCode.STALE_KEY_VERSION: "take the parameters file that is in force",
    ErrorCode.STALE_CANONICAL_VERSION: "install the daxa-client whose canonical form is in force",
    ErrorCode.QUOTA_EXHAUSTED: "wait for the next UTC day, or ask the evaluator's operator for a larger quota",
    ErrorCode.UNAVAILABLE: "see that the host and port are right and that a firewall lets this host through",
    ErrorCode.DEADLINE_EXCEEDED: "see that the host and port are right and that a firewall lets this host through",
}


def _found(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, look())
    except DaxaError as error:
        return Finding(check, "", str(error), _MEND.get(error.code, "see the code in the documentation of errors"))


def examine(config: ClientConfig) -> Iterator[Finding]:
    """Every check, as it is made."""
    yield _found(
        "canonical form", lambda: f"version {CANONICAL_VERSION}, {canonical.self_test()} known answers and refusals"
    )
    yield _certificate(config)
    for index in sorted(config.evaluators):
        yield _found(name_of(index), partial(_evaluator, config, index))
    yield _found("canary collision", partial(_canary, config))
    yield from _registry(config)
    if config.state is not None:
        yield _found("spool", partial(_spool, config.state, config))


def _certificate(config: ClientConfig) -> Finding:
    problem = certificate_problem(config.ca, config.certificate)
    if problem is not None:
        return Finding("certificate", "", str(problem), _MEND[problem.code])
    from cryptography import x509

    until = x509.load_pem_x509_certificate(config.certificate).not_valid_after_utc
    days = (until - datetime.datetime.now(datetime.UTC)).days
    told = f"{days} days left, until {until.date().isoformat()}"
    if days < DAYS_TO_RENEW:
        return Finding(
            "certificate", told, f"fewer than {DAYS_TO_RENEW} days left", _MEND[ErrorCode.CERTIFICATE_EXPIRED]
        )
    return Finding("certificate", told)


def _evaluator(config: ClientConfig, index: int) -> str:
    """What it holds is what was agreed. Raises DaxaError."""
    name, parameters = name_of(index), config.parameters
    with open_channel(config, config.evaluators[index]) as channel:
        stub = evaluation_pb2_grpc.EvaluationServiceStub(channel)
        request, request_id = evaluation_pb2.GetParametersRequest(), secrets.token_hex(8)
        try:
            held = stub.GetParameters(
                request, timeout=config.deadline_seconds, metadata=(("x-request-id", request_id),)
            )
        except grpc.RpcError as error:
            typed = from_rpc(error, name, config.ca, config.certificate)
            LOG.info("a call failed: %s, request id %s", typed.code, request_id)
            raise typed from None
    for code, is_right, wanted in (
        (ErrorCode.INVALID_SHARE, held.index == index, f"evaluator {index} at this target, got {held.index}"),
        (ErrorCode.STALE_KEY_VERSION, held.key_version == parameters.key_version, f"version {parameters.key_version}"),
        (
            ErrorCode.STALE_CANONICAL_VERSION,
            held.canonical_version == CANONICAL_VERSION,
            f"version {CANONICAL_VERSION}",
        ),
        (
            ErrorCode.INVALID_PARAMETERS,
            held.parameters_digest == parameters.digest,
            "the parameters of this member's file",
        ),
    ):
        if not is_right:
            raise make_error(code, name, wanted)
    left = ", ".join(f"{Kind(kind.kind).name} {kind.quota_remaining:,}" for kind in held.kinds)
    return f"key version {held.key_version}, parameters as agreed; left today: {left}"


def _canary(config: ClientConfig) -> str:
    """One address, written in two ways, is one fingerprint whichever evaluators make it. Raises DaxaError."""
    canaries = {canonical_address(text, True) for text in CANARY}
    indexes, needed = sorted(config.evaluators), config.parameters.threshold
    groups = {tuple(sorted((indexes * 2)[turn : turn + needed])) for turn in range(len(indexes))}
    seen: set[bytes] = set()
    skipped = 0
    failure: DaxaError | None = None
    for group in groups:
        part = dataclasses.replace(config, evaluators={index: config.evaluators[index] for index in group})
        fingerprinter = Fingerprinter(part, FingerprintCache(None, config.account_secret, config.parameters.digest))
        try:
            seen.update(fingerprinter.fingerprints(Kind.ADDRESS, list(canaries)).values())
        except DaxaError as error:
            skipped, failure = skipped + 1, error
        finally:
            fingerprinter.close()
    if not seen and failure is not None:
        raise failure
    if len(seen) != 1:
        raise CryptoError(ErrorCode.INVALID_SHARE, "canary", "the same fingerprint from every group of evaluators")
    return f"the same fingerprint from {len(groups) - skipped} of {len(groups)} groups of {needed} evaluators"


def _registry(config: ClientConfig) -> Iterator[Finding]:
    clock: list[float] = []

    def reach() -> str:
        with RegistryClient(dataclasses.replace(config, cache=None, cursor=None)) as client:
            asked = time.time()
            answer = client.registry_clock()
            clock.append(answer - (asked + time.time()) / 2)
        return "reached"

    yield _found("registry", reach)
    if clock:
        told = f"{clock[0]:+.0f} s from the registry's"
        problem = f"more than {CLOCK_SECONDS} s apart" if abs(clock[0]) > CLOCK_SECONDS else ""
        yield Finding("clock", told, problem, "set this host's clock (NTP)" if problem else "")


def _spool(state: Path, config: ClientConfig) -> str:
    spool = Spool(state / "spool.sqlite", config.account_secret, config.spool_megabytes)
    try:
        found = spool.state()
    finally:
        spool.close()
    age = f", the oldest {max(int(time.time()) - found.oldest, 0)} s old" if found.oldest else ""
    lost = f"{found.dropped} dropped, {found.unreadable} unreadable, {found.lowered} with a count of one so far"
    return f"{found.waiting} sightings wait{age}; {lost}"
