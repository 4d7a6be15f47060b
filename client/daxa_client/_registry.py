"""Calls to the registry: within a deadline, again where that can help, at each of its targets in turn.

What goes in and comes out are the wire's messages; what is raised is a :class:`~daxa_core.errors.DaxaError`, always.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import grpc

from daxa_api.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    leak_pb2_grpc,
    sighting_pb2,
    sighting_pb2_grpc,
    verdict_pb2,
    verdict_pb2_grpc,
)
from daxa_core.errors import DaxaError, ErrorCode

from ._channel import Identity, open_channel
from ._complaints import Complaints
from ._config import Connection
from ._errors import ROLE, closed, from_rpc
from ._retry import pause
from ._turns import Turns

LOG = logging.getLogger("daxa_client")
STREAM_SECONDS = 900.0
LEAK_SECONDS = 60.0
WHOLE_LEAK_SECONDS = 1_800.0
_ABOUT_WHOLE_LEAKS = frozenset({"CommitLeak", "JudgeLeak", "ListLeakSets", "GetLeakSetChunk"})
"""Answered when every key of a leak has been looked at."""


@dataclass(frozen=True, slots=True)
class _Line:
    channel: grpc.Channel
    sightings: sighting_pb2_grpc.SightingServiceStub
    verdicts: verdict_pb2_grpc.VerdictServiceStub
    audit: audit_pb2_grpc.AuditServiceStub
    leaks: leak_pb2_grpc.LeakServiceStub


class Ending:
    """Ends one stream from another thread than the one that waits for its next message."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._call: Any = None

    @property
    def over(self) -> bool:
        """Whether it was ended."""
        return self._over.is_set()

    def end(self) -> None:
        """Ends it, and what comes after it."""
        self._over.set()
        call = self._call
        if call is not None:
            call.cancel()

    def of(self, call: Any) -> None:
        """The call that is under way; cancelled at once where it was ended meanwhile."""
        self._call = call
        if self.over:
            call.cancel()


class Registry:
    """The registry, at any of its targets. Thread-safe."""

    def __init__(self, config: Connection) -> None:
        self._config = config
        self._identity = Identity(config)
        self._lines = []
        for target in config.targets:
            channel = open_channel(config, target, self._identity)
            sightings = sighting_pb2_grpc.SightingServiceStub(channel)
            verdicts, audit = verdict_pb2_grpc.VerdictServiceStub(channel), audit_pb2_grpc.AuditServiceStub(channel)
            leaks = leak_pb2_grpc.LeakServiceStub(channel)
            self._lines.append(_Line(channel, sightings, verdicts, audit, leaks))
        self._turns = Turns(len(self._lines), secrets.randbelow(len(self._lines)))
        self._closed = threading.Event()
        self.complaints = Complaints()

    def close(self) -> None:
        """Ends what is under way."""
        self._closed.set()
        for line in self._lines:
            line.channel.close()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed.is_set()

    def submit(self, request: sighting_pb2.SubmitSightingsRequest) -> sighting_pb2.SubmitSightingsResponse:
        """The same batch id every time: a batch whose answer was lost is not counted twice."""
        return self._call(lambda line: line.sightings.SubmitSightings, request)  # type: ignore[no-any-return]

    def withdraw(self, request: sighting_pb2.WithdrawSightingsRequest) -> sighting_pb2.WithdrawSightingsResponse:
        """Withdrawing twice is withdrawing once."""
        return self._call(lambda line: line.sightings.WithdrawSightings, request)  # type: ignore[no-any-return]

    def look_up(self, request: verdict_pb2.BatchGetVerdictsRequest) -> verdict_pb2.BatchGetVerdictsResponse:
        """Current verdicts."""
        return self._call(lambda line: line.verdicts.BatchGetVerdicts, request)  # type: ignore[no-any-return]

    def checkpoint(self, request: audit_pb2.GetCheckpointRequest) -> audit_pb2.GetCheckpointResponse:
        """A signed checkpoint of the log."""
        return self._call(lambda line: line.audit.GetCheckpoint, request)  # type: ignore[no-any-return]

    def inclusion(self, request: audit_pb2.GetInclusionProofRequest) -> audit_pb2.GetInclusionProofResponse:
        """That a leaf stands in the log."""
        return self._call(lambda line: line.audit.GetInclusionProof, request)  # type: ignore[no-any-return]

    def consistency(self, request: audit_pb2.GetConsistencyProofRequest) -> audit_pb2.GetConsistencyProofResponse:
        """That the log only grew."""
        return self._call(lambda line: line.audit.GetConsistencyProof, request)  # type: ignore[no-any-return]

    def entries(self, request: audit_pb2.ListEntriesRequest) -> audit_pb2.ListEntriesResponse:
        """A page of the log's leaves."""
        return self._call(lambda line: line.audit.ListEntries, request)  # type: ignore[no-any-return]

    def cosign(self, request: audit_pb2.AddCosignatureRequest) -> audit_pb2.AddCosignatureResponse:
        """Hands in a cosignature; twice is once."""
        return self._call(lambda line: line.audit.AddCosignature, request)  # type: ignore[no-any-return]

    def report(self, request: verdict_pb2.ReportEnforcementRequest) -> verdict_pb2.ReportEnforcementResponse:
        """Reporting twice under one id is reporting once."""
        return self._call(lambda line: line.verdicts.ReportEnforcement, request)  # type: ignore[no-any-return]

    def appeal(self, request: verdict_pb2.AppealRequest) -> verdict_pb2.AppealResponse:
        """Appealing twice is appealing once."""
        return self._call(lambda line: line.verdicts.Appeal, request)  # type: ignore[no-any-return]

    def verdict_digest(self, request: verdict_pb2.GetVerdictDigestRequest) -> verdict_pb2.GetVerdictDigestResponse:
        """What a table that was built by watching should hold."""
        return self._call(lambda line: line.verdicts.GetVerdictDigest, request)  # type: ignore[no-any-return]

    def about_leaks(self, call: str, request: Any) -> Any:
        """A call of LeakService by its name, with the time that it may take. Made twice, it does what it does once."""
        seconds = WHOLE_LEAK_SECONDS if call in _ABOUT_WHOLE_LEAKS else LEAK_SECONDS
        return self._call(lambda line: getattr(line.leaks, call), request, seconds)

    def stream(
        self, request: verdict_pb2.WatchVerdictsRequest, ending: Ending
    ) -> Generator[verdict_pb2.WatchVerdictsResponse, None, None]:
        """One stream of verdicts, until it breaks, is ended or its time is over; who wants more asks again from its cursor.

        Its time is bounded, so that a stream that something between the peers holds open without news ends too.
        """
        place, line = self._line()
        call: Any = None
        request_id = secrets.token_hex(8)
        try:
            call = line.verdicts.WatchVerdicts(
                request, timeout=STREAM_SECONDS, metadata=(("x-request-id", request_id),)
            )
            ending.of(call)
            self._identity.warn(call.initial_metadata())  # not what trails it: this side ends most streams
            for message in call:
                self._turns.served(place)
                yield message
        except grpc.RpcError as error:
            if self.closed:
                raise closed() from None
            if ending.over or _is_over(error):
                return
            typed = self._typed(place, error)
            LOG.info("a stream broke: %s, request id %s", typed.code, request_id)
            raise typed from None
        except ValueError:  # gRPC's word for a channel that was closed
            raise closed() from None
        finally:
            if call is not None:
                call.cancel()

    def wait(self, seconds: float) -> None:
        """Sleeps, but not past :meth:`close`."""
        self._closed.wait(seconds)

    def _line(self) -> tuple[int, _Line]:
        if self.closed:
            raise closed()
        place = self._turns.take()
        return place, self._lines[place]

    def _typed(self, place: int, error: grpc.RpcError) -> DaxaError:
        typed = from_rpc(error, ROLE, self._identity.ca, self._identity.certificate)
        if typed.code in (ErrorCode.UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED):
            self._turns.failed(place)
        return typed

    def _call(self, method: Callable[[_Line], Any], request: Any, seconds: float = 0.0) -> Any:
        """``seconds``: what it takes at least."""
        deadline = max(self._config.deadline_seconds, seconds)
        attempt = 0
        while True:
            place, line = self._line()
            request_id = secrets.token_hex(8)
            try:
                answer = method(line)(request, timeout=deadline, metadata=(("x-request-id", request_id),))
            except grpc.RpcError as error:
                typed = self._typed(place, error)
                # The registry's log has the same id beside its reason.
                LOG.info("a call failed: %s, request id %s", typed.code, request_id)
            except ValueError:  # gRPC's word for a channel that was closed
                raise closed() from None
            else:
                self._turns.served(place)
                return answer
            if self.closed:
                raise closed()
            again = pause(attempt, typed)
            if again is None:
                raise typed
            self.wait(again)
            attempt += 1


def _is_over(error: grpc.RpcError) -> bool:
    return isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
