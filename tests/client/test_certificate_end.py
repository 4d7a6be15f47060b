"""The client says in its log when its certificate ends soon: once an hour, and with a number and nothing else."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from daxa_client import _registry
from daxa_client._complaints import SECONDS_BETWEEN, Complaints


def test_the_warning_comes_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand calls in an hour are one line; nothing is said while nothing is told."""
    now = [0.0]
    registry: Any = SimpleNamespace(complaints=Complaints(lambda: now[0]))
    soon: Any = SimpleNamespace(trailing_metadata=lambda: (("x-certificate-days-left", "10"),))
    silent: Any = SimpleNamespace(trailing_metadata=lambda: None)
    with caplog.at_level(logging.WARNING, "daxa_client"):
        for call in (silent, soon, soon, silent, soon):
            _registry.Registry._warn(registry, call)
        now[0] = SECONDS_BETWEEN
        _registry.Registry._warn(registry, soon)
    line = "this client's certificate ends in 10 days: renew tls.certificate"
    assert caplog.messages == [line, f"{line} (2 more times since the last line)"]
