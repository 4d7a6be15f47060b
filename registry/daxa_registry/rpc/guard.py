"""What stands before and after every handler: who calls, whether they may and how much, and what a failure becomes.

One line is logged for each call that fails: method, role and name, code, request id, and nothing of what the call carried;
where a bug failed it, the exception's class and the line that raised it, but never its text. The request id is the caller's
(metadata ``x-request-id``, 1 to 64 of A-Z, a-z, 0-9, ``.``, ``_`` and ``-``) or one made here, and goes back in the trailing
metadata.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from daxa_core.errors import DaxaError, ErrorCode, InvalidInput, Refused
from daxa_registry.keys.credentials import Credentials
from daxa_registry.service.certificate_ends import SECONDS_PER_DAY, CertificateEnds
from daxa_registry.service.limits import Limits
from daxa_registry.service.metrics import Metrics

from .errors import abort
from .identity import Context, Peer, Role, certificate_times, check_member, check_right, check_trust, peer_of

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Read: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
LOG = logging.getLogger("daxa_registry.rpc")
MAX_REQUEST_BYTES = 1 << 20
REFUSED_SLOWLY_SECONDS = 1.0
"""How long a caller past its limits waits for being told so, on average: one that asks again at once costs little, and what was
refused together does not come again together, ahead of everybody else's calls."""
WAITING_TO_BE_REFUSED = 256
WARNED_DAYS = 30
DAYS_LEFT = "x-certificate-days-left"
"""With fewer days than that left, the metadata of each call tells the caller how many its certificate has: the trailing one, or
the initial one of a stream, which may not end for long."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CARRIES = {
    "SubmitSightings": "sightings", "BatchGetVerdicts": "keys", "Evaluate": "blinded_elements",
    "AddLeakedKeys": "fingerprints", "ConfirmLeakedKeys": "keys",
}  # fmt: skip
"""The field that a call is measured by; others are measured by the call."""
_TOO_MUCH = frozenset({ErrorCode.OVERLOADED, ErrorCode.TOO_MANY_CALLS, ErrorCode.QUOTA_EXHAUSTED})


class Guard(grpc.aio.ServerInterceptor):
    """Before each handler: the peer, its right, its limits; after it: typed errors as statuses."""

    def __init__(
        self,
        trust_domain: str,
        credentials: Credentials,
        limits: Limits,
        metrics: Metrics,
        clock: Callable[[], float],
        members: frozenset[str] | None = None,
        ends: CertificateEnds | None = None,
    ) -> None:
        """``members``: the names of those who take part; None takes every member whom an authority vouches for."""
        self._metrics = metrics
        self._trust_domain = trust_domain
        self._credentials = credentials
        self._limits = limits
        self._clock = clock
        self._members = members
        self._ends = ends or CertificateEnds()
        self._waiting_to_be_refused = 0
        self._guarded: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(details)
        if handler is None:  # no such call: UNIMPLEMENTED
            return None
        known = self._guarded.get(details.method)
        if known is None or known[0] is not handler:
            known = self._guarded[details.method] = (handler, self._guard(details.method, handler))
        return known[1]

    def _guard(self, method: str, handler: Handler) -> Handler:
        codec = (_reader(handler.request_deserializer), handler.response_serializer)
        # On the wire one request and a stream of requests are the same. As a stream it is read when we say so.
        match (bool(handler.request_streaming), bool(handler.response_streaming)):
            case (False, False):
                one = self._one(method, handler.unary_unary, _only)
                return grpc.stream_unary_rpc_method_handler(one, *codec)
            case (False, True):
                many = self._many(method, handler.unary_stream, _only)
                return grpc.stream_stream_rpc_method_handler(many, *codec)
            case (True, False):
                one = self._one(method, handler.stream_unary, _all)
                return grpc.stream_unary_rpc_method_handler(one, *codec)
            case _:
                many = self._many(method, handler.stream_stream, _all)
                return grpc.stream_stream_rpc_method_handler(many, *codec)

    def _check(self, method: str, context: Context) -> Peer:
        peer = peer_of(context, self._trust_domain, self._clock())
        check_trust(context, self._credentials.current().trust, peer)
        check_member(peer, self._members)
        check_right(method, peer)
        return peer

    def _days_left(self, peer: Peer, context: Context) -> int:
        """Whole days until the caller's certificate ends, which is remembered."""
        since, until = certificate_times(context, self._trust_domain)
        if peer.role is not Role.REGISTRY:  # asks itself whether it serves; its own end is told of from its files
            self._ends.saw(str(peer), since, until)
        return int((until - self._clock()) // SECONDS_PER_DAY)

    @asynccontextmanager
    async def _entered(
        self, method: str, requests: Any, read: Read, context: Context, streams: bool
    ) -> AsyncIterator[Any]:
        """A place for the call, then what it carries: what waits to be refused is not read, and lies in no memory.

        ``streams``: whether it is answered by a stream.
        """
        peer, call = self._check(method, context), method.rpartition("/")[2]
        with self._limits.enter(str(peer), call):
            request = await read(requests, context)
            if isinstance(request, DaxaError):
                raise request
            carried = getattr(request, _CARRIES.get(call, ""), None)
            self._limits.spend(str(peer), call, max(len(carried), 1) if carried is not None else 1)
            days = self._days_left(peer, context)
            if days < WARNED_DAYS:
                told = ((DAYS_LEFT, str(days)),)
                if streams:
                    await context.send_initial_metadata(told)
                else:
                    context.set_trailing_metadata(told)
            yield request

    def _one(self, method: str, inner: Any, read: Read) -> Any:
        async def call(requests: Any, context: Context) -> Any:
            began = time.perf_counter()
            try:
                async with self._entered(method, requests, read, context, False) as request:
                    result = inner(request, context)
                    answer = await result if hasattr(result, "__await__") else result
                self._count(method, context, "OK", began)
                return answer
            except Exception as error:  # noqa: BLE001 - the boundary: whatever is raised becomes a status
                await self._fail(method, context, error, began)

        return call

    def _many(self, method: str, inner: Any, read: Read) -> Any:
        async def call(requests: Any, context: Context) -> AsyncIterator[Any]:
            began = time.perf_counter()
            try:
                async with self._entered(method, requests, read, context, True) as request:
                    result = inner(request, context)
                    if hasattr(result, "__aiter__"):
                        async for item in result:
                            # A stream outlives the check at its beginning: who was revoked since is told nothing more.
                            self._check(method, context)
                            yield item
                    elif hasattr(result, "__await__"):
                        await result
                    else:
                        for item in result:
                            yield item
                self._count(method, context, "OK", began)
            except Exception as error:  # noqa: BLE001 - the boundary: whatever is raised becomes a status
                await self._fail(method, context, error, began)

        return call

    def _count(self, method: str, context: Context, code: str, began: float) -> None:
        try:
            role = str(peer_of(context, self._trust_domain).role)
        except DaxaError:
            role = "unknown"
        self._metrics.called(method.rpartition("/")[2], role, code, time.perf_counter() - began)

    async def _fail(self, method: str, context: Context, error: Exception, began: float) -> None:
        if isinstance(error, grpc.aio.AbortError):
            self._count(method, context, "ABORTED", began)
            raise error
        try:
            who = str(peer_of(context, self._trust_domain))
        except DaxaError:
            who = "unknown"
        request_id = _request_id(context)
        code = error.code if isinstance(error, DaxaError) else ErrorCode.INTERNAL
        self._count(method, context, str(code), began)
        about = {"call": method, "peer": who, "code": str(code), "request_id": request_id}
        if isinstance(error, DaxaError):
            # Of what this server lacks itself the caller is not the only one to be told.
            told = error if error.code is ErrorCode.UNAVAILABLE else error.code
            LOG.info("%s %s %s %s", method, who, told, request_id, extra=about)
        else:
            LOG.error("%s %s %s %s: %s", method, who, ErrorCode.INTERNAL, request_id, _where(error), extra=about)
        if (
            isinstance(error, Refused)
            and error.code in _TOO_MUCH
            and self._waiting_to_be_refused < WAITING_TO_BE_REFUSED
        ):
            self._waiting_to_be_refused += 1
            try:
                await asyncio.sleep(REFUSED_SLOWLY_SECONDS * (0.5 + random.random()))
            finally:
                self._waiting_to_be_refused -= 1
        await abort(context, error, request_id)


async def _only(requests: Any, context: Context) -> Any:
    """The one request of a call, or why there is none."""
    # Not by the iterator: one that is left before its end takes the event loop two turns more to put away.
    request = await context.read()
    return request if request is not grpc.aio.EOF else InvalidInput(ErrorCode.INVALID_VALUE, "message", "one request")


async def _all(requests: Any, context: Context) -> Any:
    """The requests of a stream, for its handler to read."""
    return requests


def _reader(read: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Reads a request, or answers why it is none: what a reader raises, the caller would be told without a code."""

    def checked(data: bytes) -> Any:
        if len(data) > MAX_REQUEST_BYTES:
            wanted = f"at most {MAX_REQUEST_BYTES} bytes, got {len(data)}"
            return InvalidInput(ErrorCode.MESSAGE_TOO_LARGE, "message", wanted)
        try:
            return read(data) if read is not None else data
        except DecodeError:
            return InvalidInput(ErrorCode.INVALID_VALUE, "message", "the encoding of the call's request")

    return checked


def _request_id(context: Context) -> str:
    """The caller's, if it is one that may stand in a log, or a fresh one."""
    given = dict(context.invocation_metadata() or ()).get("x-request-id")
    if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
        return given
    return secrets.token_hex(8)


def _where(error: Exception) -> str:
    """The class and the line of an exception that should not have been. Its text may hold what the call carried."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
