"""Between AdminService's messages and the words of the office; both ends of an operator's call use this one file."""

from __future__ import annotations

from daxa_api.v1 import admin_pb2
from daxa_core.codec import read_verdict, write_verdict
from daxa_core.model import Act, Kind, Level
from daxa_registry.service.appeals import Appeal, Correction
from daxa_registry.service.cases import CasePart, CaseView
from daxa_registry.service.policies import PolicyEntry, PolicyMove, PolicyTest
from daxa_registry.service.replay import Replay
from daxa_registry.store.interface import Declared


def subject_name(subject: int) -> str:
    """The pseudonym of a subject: S and its number."""
    return f"S{subject}"


def address_name(node: int) -> str:
    """The pseudonym of an address: A and its number."""
    return f"A{node}"


def device_name(node: int) -> str:
    """The pseudonym of a client stack: D and its number."""
    return f"D{node}"


def _number(pseudonym: str) -> int:
    return int(pseudonym[1:])


def _level(level: Level) -> int:
    return int(level) + 1


def _read_level(level: int) -> Level:
    return Level(level - 1)


def write_appeal(appeal: Appeal) -> admin_pb2.AppealEntry:
    return admin_pb2.AppealEntry(
        member=appeal.member,
        number=appeal.number,
        sequence=appeal.sequence,
        subject=subject_name(appeal.subject),
        ground=appeal.ground,  # type: ignore[arg-type]
        reference=appeal.reference,
        filed_at=appeal.filed_at,
        status=appeal.status,  # type: ignore[arg-type]
        answered_at=appeal.answered_at,
        answered_by=appeal.answered_by,
        reason=appeal.reason,
        corrected=appeal.corrected,
    )


def read_appeal(m: admin_pb2.AppealEntry) -> Appeal:
    return Appeal(
        m.member, m.number, _number(m.subject), m.sequence, m.ground, m.reference, m.filed_at, m.status,
        m.answered_at, m.answered_by, m.reason, m.corrected,
    )  # fmt: skip


def write_correction(correction: Correction) -> admin_pb2.Correction:
    return admin_pb2.Correction(
        member=correction.member,
        subject=subject_name(correction.subject),
        sequence=correction.sequence,
        before=_level(correction.before),  # type: ignore[arg-type]
        after=_level(correction.after),  # type: ignore[arg-type]
    )


def read_correction(m: admin_pb2.Correction) -> Correction:
    return Correction(
        _number(m.subject), m.member, m.sequence, _read_level(m.before), _read_level(m.after), None
    )  # fmt: skip


def write_declared(declared: Declared) -> admin_pb2.Infrastructure:
    return admin_pb2.Infrastructure(
        number=declared.node, name=declared.name, until=declared.until, subjects=declared.subjects
    )


def read_declared(m: admin_pb2.Infrastructure) -> Declared:
    return Declared(m.number, Kind.ADDRESS, b"", m.name, m.until, m.subjects)


def write_case(case: CaseView) -> admin_pb2.Case:
    return admin_pb2.Case(
        number=case.number,
        parts=[
            admin_pb2.CasePart(
                subject=subject_name(part.subject),
                member=part.member,
                level=_level(part.level),  # type: ignore[arg-type]
                score=part.score,
                role=part.role,
                lead=part.lead,
                first_hour=part.first_hour,
                sequence=part.sequence,
            )
            for part in case.parts
        ],
        addresses=[address_name(address) for address in case.addresses],
        edges=[
            admin_pb2.CaseEdge(subject=subject_name(subject), address=address_name(address), hours=hours)
            for subject, address, hours in case.edges
        ],
    )


def read_case(m: admin_pb2.Case) -> CaseView:
    return CaseView(
        m.number,
        tuple(
            CasePart(
                _number(p.subject), p.member, _read_level(p.level), p.score, p.role, p.lead, p.first_hour, p.sequence
            )
            for p in m.parts
        ),
        tuple(_number(address) for address in m.addresses),
        tuple((_number(e.subject), _number(e.address), e.hours) for e in m.edges),
    )


def write_replay(replay: Replay) -> admin_pb2.ReplayVerdictResponse:
    return admin_pb2.ReplayVerdictResponse(
        told=write_verdict(replay.told),
        replayed=write_verdict(replay.replayed),
        differences=[
            admin_pb2.Difference(field=field, told=told, replayed=replayed)
            for field, told, replayed in replay.differences
        ],
        act=int(replay.act or 0),  # type: ignore[arg-type]
    )


def read_replay(m: admin_pb2.ReplayVerdictResponse) -> Replay:
    differences = tuple((d.field, d.told, d.replayed) for d in m.differences)
    return Replay(read_verdict(m.told), read_verdict(m.replayed), differences, Act(m.act) if m.act else None)


def write_policy(entry: PolicyEntry) -> admin_pb2.PolicyEntry:
    return admin_pb2.PolicyEntry(
        digest=entry.digest,
        version=entry.version,
        active=entry.active,
        activated_at=entry.activated_at,
        activated_by=entry.activated_by,
        tested_at=entry.tested_at,
    )


def read_policy(m: admin_pb2.PolicyEntry) -> PolicyEntry:
    return PolicyEntry(m.digest, m.version, m.active, m.activated_at, m.activated_by, m.tested_at)


def write_test(test: PolicyTest) -> admin_pb2.PolicyTest:
    return admin_pb2.PolicyTest(
        digest=test.digest,
        version=test.version,
        tested_at=test.tested_at,
        subjects=test.subjects,
        shifts=[
            admin_pb2.PolicyShift(
                member=member,
                before=_level(Level(before)),  # type: ignore[arg-type]
                after=_level(Level(after)),  # type: ignore[arg-type]
                subjects=number,
            )
            for member, before, after, number in test.shifts
        ],
    )


def read_test(m: admin_pb2.PolicyTest) -> PolicyTest:
    shifts = tuple((s.member, int(_read_level(s.before)), int(_read_level(s.after)), s.subjects) for s in m.shifts)
    return PolicyTest(m.digest, m.version, m.tested_at, "", m.subjects, 0, shifts)


def write_move(move: PolicyMove) -> admin_pb2.PolicyMove:
    return admin_pb2.PolicyMove(
        member=move.member,
        subject=subject_name(move.subject),
        before=_level(move.before),  # type: ignore[arg-type]
        after=_level(move.after),  # type: ignore[arg-type]
        score_before=move.score_before,
        score_after=move.score_after,
    )


def read_move(m: admin_pb2.PolicyMove) -> PolicyMove:
    return PolicyMove(
        m.member, _number(m.subject), _read_level(m.before), _read_level(m.after), m.score_before, m.score_after
    )
