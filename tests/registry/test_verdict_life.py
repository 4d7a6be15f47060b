"""A verdict's life over real gRPC: grace, scope and deadline, what exchanges report, appeals, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import life
from daxa_client import (
    Act,
    AppealStatus,
    Cause,
    DaxaError,
    ErrorCode,
    Ground,
    InvalidInput,
    Level,
    Refused,
    RegistryClient,
    Scope,
    Verdict,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[life.World]:
    with life.world(tmp_path) as made:
        made.client("upbit").submit(made.ring("upbit"))
        yield made


def refused(code: ErrorCode, call: object) -> DaxaError:
    with pytest.raises(DaxaError) as caught:
        call()  # type: ignore[operator]
    assert code is caught.value.code
    return caught.value


def test_levels_rise_step_by_step_and_every_step_says_what_to_do_and_by_when(world: life.World) -> None:
    """MONITOR at once, then one step each time its time is over; each step is one event with scope, deadline and cause."""
    told = world.changes("upbit", 0, 4)
    assert {(v.level, v.scope, v.deadline, v.cause) for v in told} == {(Level.MONITOR, Scope.WATCH, 0, Cause.SUPPORTED)}
    assert all(v.valid_until > v.decided_at for v in told)
    expected = [
        (24, Level.WARN, Scope.TELL_HOLDER, 72),
        (72, Level.REAUTHENTICATE, Scope.NEW_ORDERS_AND_WITHDRAWALS, 24),
    ]
    after = 4
    for hours, level, scope, time in expected:
        world.pass_hours(hours + 0.01)
        told = world.changes("upbit", after, 4)
        after += 4
        assert {(v.level, v.scope, v.cause) for v in told} == {(level, scope, Cause.SUPPORTED)}
        assert {v.deadline - v.decided_at for v in told} == {time * life.HOUR}
        assert len({v.key for v in told}) == 4


def test_what_an_exchange_reports_moves_the_verdict_once(world: life.World) -> None:
    """A warning starts the holder's time, proof lowers to MONITOR, a revocation ends it; telling twice is telling once."""
    upbit = world.client("upbit")
    world.pass_hours(25)
    first, second, third, fourth = world.changes("upbit", 4, 4)
    world.pass_hours(10)
    warned = upbit.report_enforcement(first, Act.WARNED)
    assert (warned.changed, warned.verdict.level, warned.verdict.cause) == (True, Level.WARN, Cause.TOLD)
    assert warned.verdict.deadline > first.deadline
    assert upbit.report_enforcement(first, Act.WARNED) == warned
    proved = upbit.report_enforcement(second, Act.REAUTHENTICATED)
    assert (proved.verdict.level, proved.verdict.cause) == (Level.MONITOR, Cause.PROVED)
    revoked = upbit.report_enforcement(third, Act.REVOKED)
    assert (revoked.verdict.level, revoked.verdict.scope) == (Level.REVOKE, Scope.EVERYTHING)
    judged = upbit.report_enforcement(fourth, Act.JUDGED_FALSE)
    assert (judged.verdict.level, judged.verdict.cause, judged.verdict.reasons) == (Level.CLEAR, Cause.CORRECTED, ())
    watched = upbit.report_enforcement(warned.verdict, Act.MONITORED)
    assert (watched.changed, watched.verdict) == (False, warned.verdict)
    assert [v.cause for v in world.changes("upbit", 8, 4)] == [
        Cause.TOLD,
        Cause.PROVED,
        Cause.ENFORCED,
        Cause.CORRECTED,
    ]


def test_a_superseded_verdict_is_refused_naming_the_current(world: life.World) -> None:
    """Neither a report nor an appeal speaks of what no longer is; the refusal says which verdict to look at."""
    upbit = world.client("upbit")
    first = world.changes("upbit", 0, 1)[0]
    world.pass_hours(25)
    [current] = [v for v in world.changes("upbit", 4, 4) if v.key == first.key]
    for call in (
        lambda: upbit.report_enforcement(first, Act.REVOKED),
        lambda: upbit.appeal(first, Ground.ONE_HOLDER),
        lambda: upbit.report_enforcement(replace(first, sequence=999), Act.REVOKED),
    ):
        error = refused(ErrorCode.SUPERSEDED, call)
        assert (error.field, error.expected) == ("sequence", f"{current.sequence}, the current one of this key")
    assert upbit.verdicts(["upbit-key-0"])["upbit-key-0"].sequence <= 8


def test_another_members_verdict_is_not_found(world: life.World) -> None:
    """Whoever has a fingerprint of somebody else's key learns and moves nothing with it; nor with a key without a verdict."""
    verdict = world.changes("upbit", 0, 1)[0]
    bithumb = world.client("bithumb")
    for call in (
        lambda: bithumb.report_enforcement(verdict, Act.JUDGED_FALSE),
        lambda: bithumb.appeal(verdict, Ground.OTHER),
        lambda: bithumb.report_enforcement(Verdict(key=b"\x01" * 32, sequence=1), Act.REVOKED),
    ):
        assert refused(ErrorCode.NOT_FOUND, call).field == "key"
    assert world.client("upbit").verdicts(["upbit-key-0"])["upbit-key-0"].level is Level.MONITOR


def test_an_appeal_is_filed_once_and_tells_what_became_of_it(world: life.World) -> None:
    """One verdict, one appeal, counted by member; the same again answers the same; a CLEAR verdict has nothing to appeal."""
    upbit = world.client("upbit")
    one, two, three, _ = world.changes("upbit", 0, 4)
    receipt = upbit.appeal(one, Ground.SHARED_PREMISES, "case-17")
    assert (receipt.number, receipt.status, receipt.answered_at) == (1, AppealStatus.OPEN, 0)
    assert upbit.appeal(one, Ground.SHARED_PREMISES, "case-17") == receipt
    assert upbit.appeal(one, Ground.OTHER) == receipt
    assert upbit.appeal(two, Ground.ONE_HOLDER).number == 2
    cleared = upbit.report_enforcement(three, Act.JUDGED_FALSE).verdict
    assert refused(ErrorCode.INVALID_VALUE, lambda: upbit.appeal(cleared, Ground.OTHER)).field == "sequence"


def test_what_cannot_be_said_is_refused_before_it_leaves(world: life.World) -> None:
    """Free text, an act that is none, a thing that is no verdict: typed, naming the argument."""
    upbit: RegistryClient = world.client("upbit")
    verdict = world.changes("upbit", 0, 1)[0]
    bad = (
        ("act", lambda: upbit.report_enforcement(verdict, 9)),  # type: ignore[arg-type]
        ("ground", lambda: upbit.appeal(verdict, "because")),  # type: ignore[arg-type]
        ("reference", lambda: upbit.appeal(verdict, Ground.OTHER, "Kim Min-su, 010-1234")),
        ("reference", lambda: upbit.appeal(verdict, Ground.OTHER, "x" * 65)),
        ("verdict", lambda: upbit.appeal("key", Ground.OTHER)),  # type: ignore[arg-type]
    )
    for name, call in bad:
        error = refused(ErrorCode.INVALID_VALUE, call)
        assert isinstance(error, InvalidInput)
        assert name == error.field


def test_a_report_id_with_other_content_is_refused(world: life.World) -> None:
    """What was answered under an id is what that id means."""
    from daxa_api.v1 import verdict_pb2

    upbit = world.client("upbit")
    one, two, *_ = world.changes("upbit", 0, 4)
    ask = verdict_pb2.ReportEnforcementRequest(
        report_id=b"i" * 16, key=one.key, sequence=one.sequence, act=1, key_version=1
    )
    assert not upbit._registry.report(ask).changed
    again = verdict_pb2.ReportEnforcementRequest(
        report_id=b"i" * 16, key=two.key, sequence=two.sequence, act=1, key_version=1
    )
    assert refused(ErrorCode.ID_REUSED, lambda: upbit._registry.report(again)).field == "report_id"
    for field, value in (("act", 9), ("report_id", b"short"), ("key", b"short")):
        wrong = verdict_pb2.ReportEnforcementRequest()
        wrong.CopyFrom(ask)
        setattr(wrong, field, value)
        with pytest.raises((InvalidInput, Refused)) as caught:
            upbit._registry.report(wrong)
        assert field == caught.value.field
