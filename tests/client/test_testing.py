"""``daxa_client.testing``: what an exchange's own suite runs against behaves as the real peers do, and drags nothing in."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daxa_client import Device, Gateway, Level, Manner, RegistryClient
from daxa_client._doctor import examine
from daxa_client.testing import TestRegistry
from daxa_core.errors import DaxaError
from daxa_core.model import AppealStatus, Ground


def test_observed_decided_and_found(tmp_path: Path) -> None:
    """A gateway's whole circle: what was observed is there once, and what is decided arrives by raw key."""
    told: list[tuple[str | None, Level]] = []
    with TestRegistry(tmp_path) as registry, Gateway(registry.config()) as gateway:
        gateway.on_verdict(lambda key, verdict: told.append((key, verdict.level)))
        for _ in range(3):
            assert gateway.observe("key", "8.8.8.8", device=Device("curl"))
        assert gateway.drain(60)
        assert sum(sighting.count for sighting in registry.sightings("key")) == 3
        decided = registry.decide("key", Level.REVOKE)
        end = time.monotonic() + 60
        while gateway.verdict("key").level is not Level.REVOKE or not told:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert gateway.verdict("key") == decided
    assert told == [("key", Level.REVOKE)]


def test_a_gateway_learns_which_refused_keys_are_of_no_use_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By raw key, as often as an answer says so; not its own key that failed, nor one whose account it knows; a callback that
    raises harms nobody and puts no key into the log."""
    told: list[str] = []
    with TestRegistry(tmp_path) as registry, Gateway(registry.config()) as gateway:

        @gateway.on_of_no_use
        def fails(key: str) -> None:
            raise ValueError(key)

        gateway.on_of_no_use(told.append)
        gateway.observe("own-key-0001", "8.8.8.8")
        assert gateway.drain(60)
        for key in ("own-key-0001", "foreign-0001", "FOREIGN-0002"):
            gateway.observe(key, "8.8.4.4", manner=Manner.REJECTED)
        gateway.observe("own-key-0002", "8.8.4.4", manner=Manner.REJECTED, account="customer")
        assert gateway.drain(60)
        assert sorted(told) == ["FOREIGN-0002", "foreign-0001"]
        assert gateway.health().of_no_use == 2
    assert "a callback of on_of_no_use raised ValueError" in caplog.text
    assert "foreign-0001" not in caplog.text


def test_appeals_are_filed_and_stay_open(tmp_path: Path) -> None:
    """Once for each, by number; about a key that has no verdict there is none."""
    with TestRegistry(tmp_path) as registry, RegistryClient(registry.config()) as client:
        verdict = registry.decide("key", Level.WARN)
        for _ in range(2):
            receipt = client.appeal(verdict, Ground.SHARED_PREMISES, "case-7")
            assert (receipt.number, receipt.status) == (1, AppealStatus.OPEN)
        assert client.appeal(verdict, Ground.OTHER).number == 2
        assert registry.appeals == {
            1: (verdict.key, int(Ground.SHARED_PREMISES), "case-7"),
            2: (verdict.key, int(Ground.OTHER), ""),
        }
        with pytest.raises(DaxaError, match="NOT_FOUND"):
            client.appeal(dataclasses.replace(verdict, key=registry.fingerprint("another")), Ground.OTHER)


def test_it_is_healthy_in_the_eyes_of_doctor(tmp_path: Path) -> None:
    """Its certificates, parameters, proofs and clock are such as a real registry's are."""
    with TestRegistry(tmp_path) as registry:
        assert [finding for finding in examine(registry.config()) if not finding.well] == []
        with RegistryClient(dataclasses.replace(registry.config(), cache=None)) as client:
            assert client.fingerprints(["key"])["key"] == registry.fingerprint("key")


def test_several_evaluators_of_which_some_are_needed(tmp_path: Path) -> None:
    """Healthy in the eyes of doctor, and any of them make the same fingerprint: an exchange may try what it does without one."""
    with TestRegistry(tmp_path, evaluators=3, needed=2) as registry:
        config = registry.config(cache=None)
        found = {finding.check: finding for finding in examine(config)}
        assert all(finding.well for finding in found.values())
        assert "3 of 3 groups of 2 evaluators" in found["canary collision"].told
        for left_out in (1, 2, 3):
            some = {index: target for index, target in config.evaluators.items() if index != left_out}
            with RegistryClient(dataclasses.replace(config, evaluators=some)) as client:
                assert client.fingerprints(["key"])["key"] == registry.fingerprint("key")


def test_it_needs_nothing_of_the_server() -> None:
    """Nor does the client load it unless it is asked for."""
    code = "import sys, daxa_client; a = set(sys.modules); import daxa_client.testing; print(*sorted(a)); print(*sys.modules)"
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    before, after = (set(line.split()) for line in lines)
    assert "daxa_client.testing" not in before
    assert not {name for name in after if name.partition(".")[0] in {"daxa_registry", "click", "numpy", "sqlite_utils"}}
