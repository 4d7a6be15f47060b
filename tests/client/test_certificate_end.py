"""The client says in its log that its certificate ends soon, whichever server told it: once an hour, and a number alone."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import deployment
from daxa_client import RegistryClient, _complaints
from daxa_registry.bootstrap import evaluator_server, registry_server
from daxa_registry.config import read_evaluator, read_registry
from daxa_registry.keys.authority_folder import AuthorityFolder

DAYS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A registry and an evaluator that run."""
    made = deployment.deploy(tmp_path_factory.mktemp("ends") / "deployment", ["upbit"], threshold=1, evaluators=1)
    registry = partial(registry_server, read_registry(made / "registry/registry.toml"))
    evaluator = partial(evaluator_server, read_evaluator(made / "evaluators/1/evaluator.toml"))
    with deployment.in_process(registry, evaluator):
        yield made


def client(folder: Path, home: Path, days: int) -> RegistryClient:
    """upbit's, with a certificate for so many days."""
    shutil.copytree(folder / "members/upbit", home)
    issued = AuthorityFolder.open(folder / "ca").authority.issue("member/upbit", [], days=days)
    (home / "cert.pem").write_bytes(issued.certificate)
    (home / "key.pem").write_bytes(issued.key)
    return RegistryClient.from_file(home / "client.toml")


def call(client: RegistryClient) -> None:
    """A call that the registry answers once."""
    client.registry_clock()


def evaluate(client: RegistryClient) -> None:
    """Calls to an evaluator alone."""
    client.fingerprints([secrets.token_hex(20)])


def watch(client: RegistryClient) -> None:
    """A stream that is quiet: it brings no verdict, and does not end by itself. What comes before any verdict has come."""
    heard, identity = threading.Event(), client._registry._identity
    warn = identity.warn
    identity.warn = lambda metadata: (warn(metadata), heard.set())[0]  # type: ignore[method-assign, func-returns-value]
    thread = threading.Thread(target=lambda: list(client.watch()))
    thread.start()
    assert heard.wait(60)
    client.close()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("ask", [call, evaluate, watch])
def test_each_kind_of_call_tells_of_the_end(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, ask: Callable[[RegistryClient], None]
) -> None:
    """A client that does nothing else hears of it too."""
    with caplog.at_level(logging.WARNING, "daxa_client"), client(folder, tmp_path / "upbit", DAYS) as soon:
        ask(soon)
    assert caplog.messages == [f"this client's certificate ends in {DAYS - 1} days: renew tls.certificate"]


def test_many_calls_to_many_servers_are_one_line_an_hour(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registry, evaluator and stream speak of one certificate. When the hour is over it is said again."""
    with caplog.at_level(logging.WARNING, "daxa_client"), client(folder, tmp_path / "upbit", DAYS) as soon:
        for ask in (call, evaluate, call, evaluate):
            ask(soon)
        assert len(caplog.messages) == 1
        monkeypatch.setattr(_complaints, "SECONDS_BETWEEN", 0.0)
        call(soon)
        assert len(caplog.messages) == 2
        monkeypatch.undo()
        watch(soon)
    assert len(caplog.messages) == 2


def test_a_certificate_for_a_year_is_not_spoken_of(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is said while nothing is to be done."""
    with caplog.at_level(logging.WARNING, "daxa_client"), client(folder, tmp_path / "upbit", 365) as fine:
        for ask in (call, evaluate, watch):
            ask(fine)
    assert caplog.messages == []


IMPORT = """
import importlib.abc, os, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "grpc":
            print(os.environ.get("GRPC_VERBOSITY"))
sys.meta_path.insert(0, Watch())
import daxa_client
"""


@pytest.mark.parametrize(("chosen", "in_force"), [({}, "ERROR"), ({"GRPC_VERBOSITY": "DEBUG"}, "DEBUG")])
def test_grpc_itself_says_nothing_of_each_handshake(chosen: dict[str, str], in_force: str) -> None:
    """A thousand lines an hour on standard error, which no handler of the gateway's log sees: decided before gRPC is imported."""
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"} | chosen
    done = subprocess.run([sys.executable, "-c", IMPORT], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [in_force]
