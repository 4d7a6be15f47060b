"""An operator's way to the registry: whichever of its nodes can be reached, one after the other, as members' clients go.

What only looks, and a dry run, goes to the next node where one is lost meanwhile; so does a leak, which has an id of its own. An
act is sent once, to a node that is there: where that is lost before it has answered, the act may stand in the log already.

>>> nodes = AnyNode([open_channel(target) for target in config.targets])             # doctest: +SKIP
>>> admin_pb2_grpc.AdminServiceStub(nodes).ListAppeals(request, timeout=60)          # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

REACHED_SECONDS = 5.0
"""A node that is there takes much less; one that hangs says nothing."""
_NOBODY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def once(request: Any) -> bool:
    """Whether it is an act that would be another one if it were sent again."""
    fields = request.DESCRIPTOR.fields_by_name
    return "by" in fields and bool(request.by) and not getattr(request, "dry_run", False) and "leak_id" not in fields


class AnyNode:
    """What a stub takes for its channel; its calls, which are all unary, are answered by one of the nodes."""

    def __init__(self, nodes: Sequence[grpc.Channel]) -> None:
        """``nodes``: one or more, in the order in which they are tried."""
        self._nodes = list(nodes)

    def unary_unary(self, *method: Any, **more: Any) -> Any:
        """As a channel's."""

        def call(request: Any, **named: Any) -> Any:
            for node in self._nodes[:-1]:
                if not _reached(node):
                    continue
                try:
                    return node.unary_unary(*method, **more)(request, **named)
                except grpc.RpcError as error:
                    lost = isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.UNAVAILABLE
                    if once(request) or not lost:
                        raise
            return self._nodes[-1].unary_unary(*method, **more)(request, **named)

        return call

    def close(self) -> None:
        """Ends every connection."""
        for node in self._nodes:
            node.close()


def _reached(node: grpc.Channel) -> bool:
    try:
        health_pb2_grpc.HealthStub(node).Check(health_pb2.HealthCheckRequest(), timeout=REACHED_SECONDS)
    except grpc.RpcError as error:
        return isinstance(error, grpc.Call) and error.code() not in _NOBODY
    return True
