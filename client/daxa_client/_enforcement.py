"""What an exchange says back about a verdict: what it did, and that it disagrees.

The id of a report is made from what it says, so that a gateway that died after telling may tell again without a thought.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from daxa_api.v1 import verdict_pb2
from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import BATCH_ID_BYTES, Act, AppealStatus, Ground, Verdict
from daxa_core.pseudonym import digest

from ._errors import ROLE, malformed
from ._registry import Registry
from ._verification import Verifier

_REFERENCE = re.compile(r"[A-Za-z0-9._-]{0,64}")
_REPORT_CONTEXT = "daxa 2026-11 report id v1"
_APPEAL_CONTEXT = "daxa 2026-11 appeal id v1"


@dataclass(frozen=True, slots=True)
class EnforcementReceipt:
    """When the registry took the report, whether that moved the verdict, and the key's verdict after it."""

    reported_at: int
    changed: bool
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class AppealReceipt:
    """The appeal's number, counted by member, and what became of it; ``answered_at`` is 0 while it is open."""

    number: int
    filed_at: int
    status: AppealStatus
    answered_at: int


def report(registry: Registry, verifier: Verifier, key_version: int, verdict: Verdict, act: Act) -> EnforcementReceipt:
    """As :meth:`daxa_client.RegistryClient.report_enforcement`."""
    if not isinstance(act, Act):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "act", "one of those in Act")
    key, sequence = _named(verdict)
    answer = registry.report(
        verdict_pb2.ReportEnforcementRequest(
            report_id=_id(_REPORT_CONTEXT, key, sequence, int(act)),
            key=key,
            sequence=sequence,
            act=int(act),  # type: ignore[arg-type]
            key_version=key_version,
        )
    )
    told = verifier.read(answer.verdict)
    if told.key != key:
        raise malformed(ROLE, "about the key that was reported")
    return EnforcementReceipt(answer.reported_at, answer.changed, told)


def appeal(registry: Registry, key_version: int, verdict: Verdict, ground: Ground, reference: str) -> AppealReceipt:
    """As :meth:`daxa_client.RegistryClient.appeal`."""
    if not isinstance(ground, Ground):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "ground", "one of those in Ground")
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "reference", "up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
    key, sequence = _named(verdict)
    answer = registry.appeal(
        verdict_pb2.AppealRequest(
            appeal_id=_id(_APPEAL_CONTEXT, key, sequence, int(ground), reference.encode()),
            key=key,
            sequence=sequence,
            ground=int(ground),  # type: ignore[arg-type]
            reference=reference,
            key_version=key_version,
        )
    )
    if not 1 <= answer.status <= len(AppealStatus):
        raise malformed(ROLE, "with a status that this client knows")
    return AppealReceipt(answer.number, answer.filed_at, AppealStatus(answer.status), answer.answered_at)


def _named(verdict: Verdict) -> tuple[bytes, int]:
    if not isinstance(verdict, Verdict):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "verdict", "a Verdict that this client was told")
    return verdict.key, verdict.sequence


def _id(context: str, key: bytes, sequence: int, what: int, more: bytes = b"") -> bytes:
    return digest(context, key + sequence.to_bytes(8, "big") + bytes([what]) + more)[:BATCH_ID_BYTES]
