"""Several nodes, real gRPC and mutual TLS: calls go to all of them, on without one that dies, and to it again when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import peers
import pytest

import deployment
from daxa_api.v1 import verdict_pb2
from daxa_client import AsyncRegistryClient, ClientConfig, RegistryClient, Unavailable, _channel, _registry, _turns
from daxa_core.errors import ErrorCode
from daxa_registry.keys.authority_folder import AuthorityFolder

CALLS = 12


class Node(peers.Registry):
    """Counts its look-ups; comes and goes at one port."""

    def __init__(self, folder: Any, port: int, stack: contextlib.ExitStack) -> None:
        super().__init__()
        self._folder, self.port, self._running = folder, port, stack.enter_context(contextlib.ExitStack())
        self.asked = 0
        self.start()

    def start(self) -> None:
        self._running.enter_context(peers.registry(self._folder, self, self.port))

    def die(self) -> None:
        self._running.close()

    def BatchGetVerdicts(self, request: Any, context: grpc.ServicerContext) -> verdict_pb2.BatchGetVerdictsResponse:
        self.asked += 1
        return super().BatchGetVerdicts(request, context)


@pytest.fixture
def nodes(deployed: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Node]]:
    monkeypatch.setattr("daxa_client._retry.FIRST_SECONDS", 0.01)
    monkeypatch.setattr(_turns, "FIRST_REST_SECONDS", 0.05)
    monkeypatch.setattr(_turns, "LONGEST_REST_SECONDS", 0.05)
    with contextlib.ExitStack() as stack:
        yield [Node(deployed, port, stack) for port in deployment.free_ports(2)]


def test_targets_are_called_in_turn_past_one_that_died_which_is_called_again(
    nodes: list[Node],
    configured: Callable[..., ClientConfig],
    evaluators: tuple[dict[int, str], dict[int, peers.Evaluator]],
) -> None:
    """Half of the calls each; all of them to the one that is left, none failing; then half again, without a restart."""
    targets = tuple(f"127.0.0.1:{node.port}" for node in nodes)
    with RegistryClient(configured(targets=targets, evaluators=evaluators[0])) as client:
        _spread_and_fail_over(nodes, lambda: client.verdicts(["key"]))


def test_the_asynchronous_client_does_the_same(
    nodes: list[Node],
    configured: Callable[..., ClientConfig],
    evaluators: tuple[dict[int, str], dict[int, peers.Evaluator]],
) -> None:
    """By the same core."""
    targets = tuple(f"127.0.0.1:{node.port}" for node in nodes)

    async def work() -> None:
        async with AsyncRegistryClient(configured(targets=targets, evaluators=evaluators[0])) as client:
            loop = asyncio.get_running_loop()

            def ask() -> None:
                asyncio.run_coroutine_threadsafe(client.verdicts(["key"]), loop).result(60)

            await asyncio.to_thread(_spread_and_fail_over, nodes, ask)

    asyncio.run(work())


def test_the_addresses_of_one_name_are_balanced_and_failed_over_by_grpc(
    nodes: list[Node], configured: Callable[..., ClientConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One target that stands for both, as a name in DNS does; TLS asks each for that one name. By the service config alone:
    nothing of ours makes a call again here."""
    both = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    monkeypatch.setattr(_channel, "_OPTIONS", (*_channel._OPTIONS, ("grpc.default_authority", "127.0.0.1:1")))
    opened = _channel.open_channel
    monkeypatch.setattr(_registry, "open_channel", lambda config, _, own: opened(config, f"ipv4:{both}", own))
    monkeypatch.setattr(_registry, "pause", lambda attempt, error: None)
    registry = _registry.Registry(configured())
    _spread_and_fail_over(nodes, lambda: registry.look_up(verdict_pb2.BatchGetVerdictsRequest()))
    registry.close()


def _spread_and_fail_over(nodes: list[Node], ask: Callable[[], object]) -> None:
    def asked(wanted: Callable[[list[int]], bool]) -> None:
        """Once calls go as wanted they all do; they may need a moment to connect, but none fails meanwhile."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            before = [node.asked for node in nodes]
            for _ in range(CALLS):
                ask()
            if wanted([node.asked - then for node, then in zip(nodes, before, strict=True)]):
                return
        raise AssertionError("the calls do not go as wanted")

    half = [CALLS // 2, CALLS // 2]
    asked(lambda counts: counts == half)
    for node, others in ((nodes[0], [0, CALLS]), (nodes[1], [CALLS, 0])):
        node.die()
        asked(lambda counts, others=others: counts == others)  # type: ignore[misc]
        node.start()
        asked(lambda counts: counts == half)


def test_a_call_that_was_lost_is_made_again_by_grpc_and_one_that_was_answered_is_not(
    nodes: list[Node], configured: Callable[..., ClientConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that says UNAVAILABLE also says when to come back, which is waited for."""
    monkeypatch.setattr(_registry, "pause", lambda attempt, error: None)
    node = nodes[0]
    registry = _registry.Registry(configured(targets=(f"127.0.0.1:{node.port}",)))
    node.errors = ["lost", "lost"]
    registry.look_up(verdict_pb2.BatchGetVerdictsRequest())
    assert node.asked == 3
    node.errors = [Unavailable(ErrorCode.UNAVAILABLE, "store", "a database; try again", retry_after=1.0)]
    with pytest.raises(Unavailable, match="UNAVAILABLE: store: a database"):
        registry.look_up(verdict_pb2.BatchGetVerdictsRequest())
    assert node.asked == 4
    registry.close()


def test_a_node_with_another_hosts_certificate_gets_nothing_and_the_others_serve(
    deployed: Any, nodes: list[Node], configured: Callable[..., ClientConfig]
) -> None:
    """Each target proves its own name."""
    issued = AuthorityFolder.open(deployed / "ca").authority.issue("registry", ["registry.example"])
    foreign = peers.Registry()
    with peers.registry(deployed, foreign, issued=issued) as target:
        registry = _registry.Registry(configured(targets=(target, f"127.0.0.1:{nodes[0].port}")))
        for _ in range(CALLS):
            registry.look_up(verdict_pb2.BatchGetVerdictsRequest())
            assert registry.stream(verdict_pb2.WatchVerdictsRequest(), _registry.Ending()) is not None
        registry.close()
    assert nodes[0].asked == CALLS
    assert foreign.cursors == []
