"""``daxa-client doctor``: looks at everything that would make a member silently match nobody, and says what to mend.

Each check is a line: what was looked at, whether it is well, and what to do where it is not. It changes nothing, neither at the
registry nor on this host.
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
from daxa_core.handshake import certificate_problem
from daxa_core.model import Kind

from . import texts
from ._cache import FingerprintCache
from ._channel import open_channel
from ._client import RegistryClient
from ._config import ClientConfig
from ._doctor_spool import look, losses
from ._errors import from_rpc, make_error
from ._fingerprints import Fingerprinter
from ._mending import mend, problem
from ._standing import name_of
from ._verdict_feed import CLOCK_SECONDS
from .texts import Language

LOG = logging.getLogger("daxa_client")
DAYS_TO_RENEW = 30
CANARY = ("192.0.0.9", "::ffff:192.0.0.9")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: ``problem`` is empty where it is well, ``mend`` what to do where it is not, in the language asked for."""

    check: str
    told: str
    problem: str = ""
    mend: str = ""

    @property
    def well(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.problem


class _Doctor:
    """Looks at one member's client; what it says to mend is in ``language``."""

    def __init__(self, config: ClientConfig, language: Language = "en") -> None:
        self._config, self._language = config, language

    def examine(self) -> Iterator[Finding]:
        """Every check, as it is made."""
        config = self._config
        yield self._found(
            "canonical form", lambda: f"version {CANONICAL_VERSION}, {canonical.self_test()} known answers and refusals"
        )
        yield self._certificate()
        for index in sorted(config.evaluators):
            yield self._found(name_of(index), partial(_evaluator, config, index))
        yield self._found("canary collision", partial(_canary, config))
        yield from self._registry()
        if config.state is not None:
            yield self._spool(config.state / "spool.sqlite")

    def _found(self, check: str, look: Callable[[], str]) -> Finding:
        try:
            return Finding(check, look())
        except DaxaError as error:
            return self._ill(check, error)

    def _ill(self, check: str, error: DaxaError, what: str = "") -> Finding:
        return Finding(check, "", texts.error(error, self._language), mend(what or error.code, self._language))

    def _certificate(self) -> Finding:
        config = self._config
        wrong = certificate_problem(config.ca, config.certificate)
        if wrong is not None:
            return self._ill("certificate", wrong)
        from cryptography import x509

        until = x509.load_pem_x509_certificate(config.certificate).not_valid_after_utc
        days = (until - datetime.datetime.now(datetime.UTC)).days
        told = f"{days} days left, until {until.date().isoformat()}"
        if days < DAYS_TO_RENEW:
            return Finding(
                "certificate", told, problem("EXPIRES_SOON", self._language), mend("EXPIRED", self._language)
            )
        return Finding("certificate", told)

    def _registry(self) -> Iterator[Finding]:
        """Each of its addresses: a client that finds one goes on with that, and nobody hears of the others."""
        targets = self._config.targets
        apart: list[float] = []
        for target in targets:
            name = "registry" if len(targets) == 1 else f"registry {target}"
            yield self._found(name, partial(self._reach, target, apart))
        if apart:
            worst = max(apart, key=abs)
            told = f"{worst:+.0f} s from the registry's"
            wrong = abs(worst) > CLOCK_SECONDS
            apart_by = problem("CLOCK_APART", self._language) if wrong else ""
            yield Finding("clock", told, apart_by, mend("CLOCK", self._language) if wrong else "")

    def _reach(self, target: str, apart: list[float]) -> str:
        with RegistryClient(dataclasses.replace(self._config, targets=(target,), cache=None, cursor=None)) as client:
            asked = time.time()
            answer = client.registry_clock()
            apart.append(answer - (asked + time.time()) / 2)
        return "reached"

    def _spool(self, path: Path) -> Finding:
        try:
            found = look(path)
        except DaxaError as error:
            unusable = error.code is ErrorCode.INVALID_CONFIGURATION
            return self._ill("spool", error, "STATE_FOLDER" if unusable else "SPOOL_FILE")
        told = "none yet: nothing was observed here"
        if found is not None:
            age = f", the oldest {max(int(time.time()) - found.oldest, 0)} s old" if found.oldest else ""
            told = f"{found.waiting} sightings wait{age}; {found.reports} reports wait"
            told += f"; {found.lowered} with a count of one so far" if found.lowered else ""
        lost = "; ".join(losses(path, found, self._language))
        return Finding("spool", told, lost, mend("SPOOL_LOSSES", self._language) if lost else "")


def examine(config: ClientConfig, language: Language = "en") -> Iterator[Finding]:
    """Every check, as it is made."""
    return _Doctor(config, language).examine()


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
