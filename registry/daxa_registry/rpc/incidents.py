"""IncidentService, and an operator's calls of it: messages in and out, the same views on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daxa_api.v1 import incident_pb2, incident_pb2_grpc
from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import Act, Cause, Level
from daxa_core.public_text import check_text
from daxa_registry.keys.pki import check_person
from daxa_registry.service.incidents import MAX_OUTCOME, MAX_TITLE, Incident, IncidentClass, Incidents, IncidentVerdict
from daxa_registry.store.leak_interface import StoredLeak

from .identity import Context, peer_of
from .operator_leaks import LeakView, read_leak

MAX_LISTED = 10_000
LONG_SECONDS = 1_800.0


class IncidentService(incident_pb2_grpc.IncidentServiceServicer):
    """See proto/daxa_api/v1/incident.proto. Rights were checked before: whoever comes here is an operator."""

    def __init__(self, incidents: Incidents, write_leak: Callable[[StoredLeak], Any], trust_domain: str) -> None:
        self._incidents = incidents
        self._write_leak = write_leak
        self._trust_domain = trust_domain

    def _operator(self, context: Context, by: str, dry_run: bool) -> str:
        if not dry_run:
            check_person(by)
        return f"{peer_of(context, self._trust_domain).name}/{by}"

    async def OpenIncident(
        self, request: incident_pb2.OpenIncidentRequest, context: Context
    ) -> incident_pb2.OpenIncidentResponse:
        kind = getattr(request, "class")
        if not 1 <= kind <= len(IncidentClass):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "class", "one of those in IncidentClass")
        operator = self._operator(context, request.by, request.dry_run)
        made = await asyncio.to_thread(
            self._incidents.open, operator, request.title, IncidentClass(kind), request.dry_run
        )
        return incident_pb2.OpenIncidentResponse(incident=_write(made))

    async def LinkIncident(
        self, request: incident_pb2.LinkIncidentRequest, context: Context
    ) -> incident_pb2.LinkIncidentResponse:
        operator = self._operator(context, request.by, request.dry_run)
        linked = await asyncio.to_thread(
            self._incidents.link,
            operator,
            request.number,
            request.dry_run,
            leak=request.leak,
            case=request.case,
            verdict=(request.member, request.sequence) if request.member else None,
        )
        return incident_pb2.LinkIncidentResponse(incident=_write(linked))

    async def CloseIncident(
        self, request: incident_pb2.CloseIncidentRequest, context: Context
    ) -> incident_pb2.CloseIncidentResponse:
        operator = self._operator(context, request.by, request.dry_run)
        closed = await asyncio.to_thread(
            self._incidents.close, operator, request.number, request.outcome, request.dry_run
        )
        return incident_pb2.CloseIncidentResponse(incident=_write(closed))

    async def ListIncidents(
        self, request: incident_pb2.ListIncidentsRequest, context: Context
    ) -> incident_pb2.ListIncidentsResponse:
        found = await asyncio.to_thread(self._incidents.listed)
        return incident_pb2.ListIncidentsResponse(incidents=[_write(one) for one in found[:MAX_LISTED]])

    async def GetIncident(
        self, request: incident_pb2.GetIncidentRequest, context: Context
    ) -> incident_pb2.GetIncidentResponse:
        found, leaks, verdicts, more = await asyncio.to_thread(self._incidents.whole, request.number)
        return incident_pb2.GetIncidentResponse(
            incident=_write(found),
            leaks=[self._write_leak(leak) for leak in leaks],
            members=await asyncio.to_thread(self._incidents.members),
            more=more,
            verdicts=[
                incident_pb2.IncidentVerdict(
                    member=one.member,
                    sequence=one.sequence,
                    level=int(one.level) + 1,  # type: ignore[arg-type]
                    cause=int(one.cause),  # type: ignore[arg-type]
                    decided_at=one.decided_at,
                    reasons=one.reasons,
                    acts=[incident_pb2.IncidentAct(act=int(act), at=at) for act, at in one.acts],  # type: ignore[arg-type]
                    told_at=one.told_at,
                    told=int(one.told) + 1,  # type: ignore[arg-type]
                    corrected_at=one.corrected_at,
                    letter=one.letter,
                )
                for one in verdicts
            ],
        )


@dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident with its leaks and verdicts, the names of all members, and of how many keys ``more`` nothing is said."""

    incident: Incident
    leaks: tuple[LeakView, ...]
    verdicts: tuple[IncidentVerdict, ...]
    members: tuple[str, ...]
    more: int


class OperatorIncidents:
    """An operator's calls. Raises DaxaError as :class:`daxa_registry.rpc.operator.Operator` does.

    An incident as it comes back has its leaks and verdicts counted: as many zeros and empty names as there are.
    """

    def __init__(self, stub: incident_pb2_grpc.IncidentServiceStub, call: Callable[..., Any], by: str) -> None:
        self._stub = stub
        self._call = call
        self._by = by

    def open(self, title: str, kind: IncidentClass, dry_run: bool) -> Incident:
        """A new one. Nothing is sent of a title that holds a key or an address; so with an outcome."""
        check_text("title", title, MAX_TITLE)
        request = incident_pb2.OpenIncidentRequest(
            title=title,
            dry_run=dry_run,
            by=self._by,
            **{"class": int(kind)},
        )
        return _read(self._call(self._stub.OpenIncident, request).incident)

    def link(
        self, number: int, dry_run: bool, *, leak: int = 0, case: int = 0, verdict: tuple[str, int] | None = None
    ) -> Incident:
        """With exactly one of the three."""
        member, sequence = verdict or ("", 0)
        request = incident_pb2.LinkIncidentRequest(
            number=number, leak=leak, case=case, member=member, sequence=sequence, dry_run=dry_run, by=self._by
        )
        return _read(self._call(self._stub.LinkIncident, request, LONG_SECONDS).incident)

    def close(self, number: int, outcome: str, dry_run: bool) -> Incident:
        """Says what came of it."""
        if outcome or not dry_run:
            check_text("outcome", outcome, MAX_OUTCOME)
        request = incident_pb2.CloseIncidentRequest(number=number, outcome=outcome, dry_run=dry_run, by=self._by)
        return _read(self._call(self._stub.CloseIncident, request).incident)

    def listed(self) -> list[Incident]:
        """Every incident, the newest first."""
        answer = self._call(self._stub.ListIncidents, incident_pb2.ListIncidentsRequest())
        return [_read(one) for one in answer.incidents]

    def whole(self, number: int) -> IncidentView:
        """One, with all that belongs to it."""
        answer = self._call(self._stub.GetIncident, incident_pb2.GetIncidentRequest(number=number), LONG_SECONDS)
        verdicts = [
            IncidentVerdict(
                one.member,
                one.sequence,
                Level(max(one.level - 1, 0)),
                Cause(one.cause),
                one.decided_at,
                tuple(one.reasons),
                tuple((Act(act.act), act.at) for act in one.acts),
                one.told_at,
                Level(max(one.told - 1, 0)),
                one.corrected_at,
                one.letter,
            )
            for one in answer.verdicts
        ]
        leaks = tuple(read_leak(one) for one in answer.leaks)
        return IncidentView(_read(answer.incident), leaks, tuple(verdicts), tuple(answer.members), answer.more)


def _write(one: Incident) -> incident_pb2.Incident:
    return incident_pb2.Incident(
        number=one.number,
        title=one.title,
        opened_at=one.opened_at,
        opened_by=one.opened_by,
        closed_at=one.closed_at,
        closed_by=one.closed_by,
        outcome=one.outcome,
        leaks=len(one.leaks),
        verdicts=len(one.verdicts),
        **{"class": int(one.kind)},
    )


def _read(message: incident_pb2.Incident) -> Incident:
    return Incident(
        message.number,
        message.title,
        IncidentClass(getattr(message, "class")),
        message.opened_at,
        message.opened_by,
        (0,) * message.leaks,
        (("", 0),) * message.verdicts,
        message.closed_at,
        message.closed_by,
        message.outcome,
    )
