"""A certificate that is renewed on the disk is taken up by a running client, and interrupts nothing."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from pathlib import Path
from typing import Any

import grpc
import peers
import pytest
from cryptography import x509

from daxa_api.v1 import verdict_pb2
from daxa_client import RegistryClient, _channel
from daxa_client._config import read_config
from daxa_registry.keys.authority_folder import AuthorityFolder
from daxa_registry.keys.files import replace_file


class Looking(peers.Registry):
    """Keeps the serial number of each caller's certificate."""

    def __init__(self) -> None:
        super().__init__()
        self.serials: list[int] = []

    def BatchGetVerdicts(self, request: Any, context: grpc.ServicerContext) -> verdict_pb2.BatchGetVerdictsResponse:
        [pem] = context.auth_context()["x509_pem_cert"]
        self.serials.append(serial(pem))
        return super().BatchGetVerdicts(request, context)


def serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


def test_a_renewed_certificate_is_taken_up_without_a_restart(
    deployed: Path,
    evaluators: tuple[dict[int, str], dict[int, peers.Evaluator]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the new key and the old certificate, as in the middle of it, the old pair goes on; then calls come with the new one,
    and the stream that was open before still brings what is new."""
    monkeypatch.setattr(_channel, "LOOK_SECONDS", 0.0)
    home = tmp_path / "upbit"
    shutil.copytree(deployed / "members/upbit", home)
    old = serial((home / "cert.pem").read_bytes())
    issued = AuthorityFolder.open(deployed / "ca").authority.issue("member/upbit", [])
    registry = Looking()
    with peers.registry(deployed, registry) as target:
        plain = read_config(home / "client.toml")
        config = dataclasses.replace(plain, targets=(target,), evaluators=evaluators[0], cursor=None)
        with RegistryClient(config) as client, caplog.at_level(logging.WARNING):
            registry.later.append([peers.verdict(b"k" * 32, 1)])
            watch = client.watch(0)
            assert next(watch).sequence == 1
            client.verdicts(["key"])
            replace_file(home / "key.pem", issued.key, 0o600)
            client.verdicts(["key"])
            assert "a changed certificate is not taken up: INVALID_CONFIGURATION: client.toml: tls.key" in caplog.text
            replace_file(home / "cert.pem", issued.certificate)
            client.verdicts(["key"])
            client.verdicts(["key"])
            registry.later.append([peers.verdict(b"k" * 32, 2)])
            assert next(watch).sequence == 2
        registry.ended.set()
    new = serial(issued.certificate)
    assert registry.serials == [old, old, new, new]
    assert len(registry.cursors) == 1


def test_channels_of_the_old_certificate_are_closed_after_a_while(
    deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renewed again and again, a process does not keep a connection for each."""
    monkeypatch.setattr(_channel, "LOOK_SECONDS", 0.0)
    home = tmp_path / "upbit"
    shutil.copytree(deployed / "members/upbit", home)
    authority = AuthorityFolder.open(deployed / "ca").authority
    with _channel.open_channel(read_config(home / "client.toml"), "127.0.0.1:9") as channel:
        assert isinstance(channel, _channel._Channel)
        for _ in range(3):
            issued = authority.issue("member/upbit", [])
            replace_file(home / "key.pem", issued.key, 0o600)
            replace_file(home / "cert.pem", issued.certificate)
            channel.now()
        assert len(channel._retired) == 3
        monkeypatch.setattr(_channel, "RETIRED_SECONDS", -1.0)
        channel.now()
        assert channel._retired == []
