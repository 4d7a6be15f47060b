"""Operators' commands where the registry has several nodes and not all of them are there: over real gRPC."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from google.protobuf import message_factory

import deployment
import life
from daxa_api.v1 import admin_pb2, incident_pb2, leak_pb2
from daxa_core.errors import DaxaError, ErrorCode, Unavailable
from daxa_registry.cli import cli
from daxa_registry.rpc import operator_nodes
from daxa_registry.rpc.operator_nodes import AnyNode, once
from daxa_registry.service.office import Office

REMOVE = ("infrastructure", "remove", "A1", "--yes", "--by", "kim")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[life.World]:
    with life.world(tmp_path) as made:
        yield made


def point(world: life.World, *targets: str) -> None:
    """The operator knows the registry by these."""
    path = world.operator()
    quoted = ", ".join(f'"{target}"' for target in targets)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f"targets = [{quoted}]" if line.startswith("targets") else line for line in lines))


def run(world: life.World, *arguments: str) -> str:
    words = [*arguments, "--operator", str(world.operator())]
    return CliRunner().invoke(cli, words, standalone_mode=False, catch_exceptions=False).output


def test_commands_pass_over_nodes_that_are_not_there_and_one_that_hangs(
    world: life.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks and what acts; where none is there, that is told, and an act that was never sent is not said to be doubtful."""
    monkeypatch.setattr(operator_nodes, "REACHED_SECONDS", 1.0)
    there = deployment.target_of(world.folder / "registry/registry.toml")
    with socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen()
        point(world, "127.0.0.1:1", f"127.0.0.1:{hanging.getsockname()[1]}", there)
        assert "*" in run(world, "policy", "list")
        run(world, "infrastructure", "add", "211.234.10.7", "--name", "a platform", "--yes", "--by", "kim")
        assert "a platform" in run(world, "infrastructure", "list")
    point(world, "127.0.0.1:1", "127.0.0.1:2")
    for command in (("policy", "list"), REMOVE):
        with pytest.raises(DaxaError, match="^UNAVAILABLE: registry: to be reachable$"):
            run(world, *command)


@dataclass
class Nodes:
    """Two nodes, of which the first answers every call by that status; how many calls each was sent."""

    channel: AnyNode
    status: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    calls: list[int] = field(default_factory=lambda: [0, 0])

    def ask(self, request: Any) -> bytes:
        call = self.channel.unary_unary("/any/Call", type(request).SerializeToString, lambda data: data)
        return bytes(call(request, timeout=30))


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with contextlib.ExitStack() as stack:
        channels = []

        def node(place: int) -> Callable[[bytes, grpc.ServicerContext], bytes]:
            def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
                made.calls[place] += 1
                if place == 0:
                    context.abort(made.status, "")
                return b"done"

            return answer

        for place in range(2):
            server = grpc.server(ThreadPoolExecutor(1))
            handler = grpc.unary_unary_rpc_method_handler(node(place))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("any", {"Call": handler}),))
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            stack.callback(lambda server=server: server.stop(None).wait())
            channels.append(grpc.insecure_channel(f"127.0.0.1:{port}"))
        made = Nodes(AnyNode(channels))
        stack.callback(made.channel.close)
        yield made


@pytest.mark.parametrize(
    "request_",
    [
        admin_pb2.ListAppealsRequest(),
        admin_pb2.AnswerAppealRequest(by="kim", dry_run=True),
        admin_pb2.TestPolicyRequest(text="x"),
        leak_pb2.OpenLeakRequest(leak_id=b"i" * 16, by="kim"),
        leak_pb2.AddLeakedKeysRequest(leak_id=b"i" * 16),
        leak_pb2.CommitLeakRequest(leak_id=b"i" * 16, by="kim"),
    ],
    ids=lambda request: type(request).__name__,
)
def test_what_can_be_asked_again_is_asked_of_the_next_node(nodes: Nodes, request_: Any) -> None:
    """Where the first one is lost; not where it has an answer."""
    assert nodes.ask(request_) == b"done"
    assert nodes.calls == [1, 1]
    nodes.status = grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError):
        nodes.ask(request_)
    assert nodes.calls == [2, 1]


def test_an_act_is_sent_once(nodes: Nodes) -> None:
    """The node may have done it before it was lost: a second one would be a second line in the log."""
    with pytest.raises(grpc.RpcError):
        nodes.ask(admin_pb2.DeclareInfrastructureRequest(by="kim"))
    assert nodes.calls == [1, 0]


def test_every_act_of_the_wire_is_known_as_one() -> None:
    """By the name of who does it, which each of them has; but for a leak's, which are the same leak's as before."""
    found = set()
    for module in (admin_pb2, incident_pb2, leak_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                made = message_factory.GetMessageClass(method.input_type)()
                if "by" in method.input_type.fields_by_name:
                    made.by = "kim"
                if once(made):
                    found.add(method.name)
    assert found == {
        "AnswerAppeal", "DeclareInfrastructure", "RemoveInfrastructure", "ActivatePolicy", "OpenIncident", "LinkIncident",
        "CloseIncident", "JudgeLeak",
    }  # fmt: skip


def test_an_act_whose_node_is_lost_is_told_as_doubtful(world: life.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does it again without looking would do it twice; what only looks was certainly not done."""

    def lost(*_: object) -> None:
        raise Unavailable(ErrorCode.UNAVAILABLE, "store", "a database that can be written to; try again")

    monkeypatch.setattr(Office, "remove", lost)
    for more, told in ((("--yes", "--by", "kim"), "; whether it was done, its list tells"), ((), "")):
        with pytest.raises(
            DaxaError, match=f"^UNAVAILABLE: store: a database that can be written to; try again{told}$"
        ):
            run(world, *REMOVE[:3], *more)
