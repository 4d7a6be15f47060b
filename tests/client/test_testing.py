"""``daxa_client.testing``: what an exchange's own suite runs against behaves as the real peers do, and drags nothing in."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

from daxa_client import Device, Gateway, Level, RegistryClient
from daxa_client._doctor import examine
from daxa_client.testing import TestRegistry


def test_observed_decided_and_found(tmp_path: Path) -> None:
    """A gateway's whole circle: what was observed is there once, and what is decided arrives by raw key."""
    told: list[tuple[str | None, Level]] = []
    with TestRegistry(tmp_path) as registry, Gateway(registry.config()) as gateway:
        gateway.on_verdict(lambda key, verdict: told.append((key, verdict.level)))
        for _ in range(3):
            assert gateway.observe("key", "8.8.8.8", device=Device("curl"))
        assert gateway.drain(30)
        assert sum(sighting.count for sighting in registry.sightings("key")) == 3
        decided = registry.decide("key", Level.REVOKE)
        end = time.monotonic() + 30
        while gateway.verdict("key").level is not Level.REVOKE or not told:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert gateway.verdict("key") == decided
    assert told == [("key", Level.REVOKE)]


def test_it_is_healthy_in_the_eyes_of_doctor(tmp_path: Path) -> None:
    """Its certificates, parameters, proofs and clock are such as a real registry's are."""
    with TestRegistry(tmp_path) as registry:
        assert [finding for finding in examine(registry.config()) if not finding.well] == []
        with RegistryClient(dataclasses.replace(registry.config(), cache=None)) as client:
            assert client.fingerprints(["key"])["key"] == registry.fingerprint("key")


def test_it_needs_nothing_of_the_server() -> None:
    """Nor does the client load it unless it is asked for."""
    code = "import sys, daxa_client; a = set(sys.modules); import daxa_client.testing; print(*sorted(a)); print(*sys.modules)"
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    before, after = (set(line.split()) for line in lines)
    assert "daxa_client.testing" not in before
    assert not {name for name in after if name.partition(".")[0] in {"daxa_registry", "click", "numpy", "sqlite_utils"}}
