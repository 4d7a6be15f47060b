"""What a gateway blocks comes to the registry as a report, is receipted, and moves the verdict's life: all of it real.

A registry and an evaluator over mutual TLS, a gateway under uvicorn with both middlewares, requests over HTTP.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

import life
from daxa_client import Gateway, Level, Scope, Verdict
from daxa_client._config import read_config
from daxa_client.asgi import EnforcementMiddleware, SightingMiddleware
from daxa_core.model import Cause
from deployment import PLAIN
from formats import bearer
from gateways import Recorder, serving

WAIT_SECONDS = 60
KEYS = [f"{n:040}" for n in range(4)]


def awaited(verdict: Callable[[], Verdict], wanted: Callable[[Verdict], bool]) -> Verdict:
    """The gateway's own verdict once it is what is waited for."""
    until = time.monotonic() + WAIT_SECONDS
    while not wanted(verdict()):
        assert time.monotonic() < until, verdict()
        time.sleep(0.02)
    return verdict()


def receipted(gateway: Gateway, number: int) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while gateway.health().receipts < number:
        assert time.monotonic() < until, "no receipt comes"
        time.sleep(0.02)


def authenticated(app: Any) -> Any:
    """The exchange's own authentication: it knows every customer by the key."""

    async def at_once(scope: Any, receive: Any, send: Any) -> None:
        scope["customer"] = "17"
        await app(scope, receive, send)

    return at_once


def test_what_a_gateway_blocks_moves_the_verdicts_life(tmp_path: Path) -> None:
    """New orders are blocked, cancelling goes on; then everything is; the last is a revocation, which the registry takes for
    one: its verdict comes back to the gateway as enforced. Each is told once, however often the bot tries."""
    policy = re.sub(r"(?m)^revoke = .*", "revoke = 2.6", PLAIN)
    with life.world(tmp_path, policy=policy) as world:
        ring = [dataclasses.replace(one, key=KEYS[int(one.key[-1])]) for one in world.ring("upbit")]
        world.client("upbit").submit(ring)
        plain = read_config(world.folder / "members/upbit/client.toml")
        config = dataclasses.replace(plain, state=tmp_path / "state", flush_seconds=0.05)
        exchange = Recorder(answer={})
        with Gateway(config) as gateway:
            app = authenticated(EnforcementMiddleware(exchange, gateway, "upbit"))
            watched = SightingMiddleware(
                app, gateway, "upbit", trusted_proxies=["127.0.0.1"], account=lambda scope: scope["customer"]
            )

            def verdict() -> Verdict:
                return gateway.verdict(KEYS[0])

            def ask(method: str, path: str) -> int:
                headers = {"Authorization": bearer({"access_key": KEYS[0]}), "X-Forwarded-For": "211.234.10.7"}
                return requests.request(method, url + path, headers=headers, timeout=WAIT_SECONDS).status_code

            with serving(watched) as url:
                assert [ask("POST", "/v1/orders"), ask("DELETE", "/v1/order")] == [200, 200]
                assert gateway.drain(WAIT_SECONDS)  # this host has seen the key: its verdict is known by it
                for hours, level in ((24, Level.WARN), (72, Level.REAUTHENTICATE)):
                    world.pass_hours(hours + 0.01)
                    awaited(verdict, lambda one, level=level: one.level is level)  # type: ignore[misc]
                assert [ask("POST", "/v1/orders"), ask("DELETE", "/v1/order"), ask("GET", "/v1/accounts")] == [
                    401,
                    200,
                    200,
                ]
                assert [ask("POST", "/v1/orders") for _ in range(3)] == [401] * 3
                receipted(gateway, 1)
                assert (
                    verdict().cause is Cause.SUPPORTED
                )  # that new orders were blocked is written down, and moves nothing

                world.pass_hours(24.01)
                revoked = awaited(verdict, lambda one: one.level is Level.REVOKE)
                assert revoked.scope is Scope.NEW_ORDERS_AND_WITHDRAWALS
                world.pass_hours(24.01)
                awaited(verdict, lambda one: one.scope is Scope.EVERYTHING)
                assert [ask("GET", "/v1/accounts"), ask("DELETE", "/v1/order")] == [401, 401]
                enforced = awaited(verdict, lambda one: one.cause is Cause.ENFORCED)
                receipted(gateway, 2)
                assert (enforced.level, enforced.scope) == (Level.REVOKE, Scope.EVERYTHING)
                assert enforced.sequence > revoked.sequence
            told = [(one.changed, one.verdict.cause) for one in gateway.receipts()]
            assert told[0] == (False, Cause.SUPPORTED)
            assert (True, Cause.ENFORCED) in told
        current = world.client("upbit").verdicts(KEYS)
        assert current[KEYS[0]].cause is Cause.ENFORCED
        assert all(current[key].cause is not Cause.ENFORCED for key in KEYS[1:])
