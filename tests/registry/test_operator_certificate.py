"""An operator whose own certificate is no good is told what is wrong with it and what to do, not that nobody answers."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import life
from daxa_core.errors import DaxaError
from daxa_registry.cli import cli
from daxa_registry.config import read_operator
from daxa_registry.keys.authority_folder import AuthorityFolder
from daxa_registry.keys.pki import Authority, Issued
from daxa_registry.rpc.operator import Operator

PAST = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
TO_COME = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)
COMMANDS = (["appeal", "list"], ["infrastructure", "list"], ["policy", "list"], ["leak", "list"], ["case", "list"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[life.World]:
    with life.world(tmp_path_factory.mktemp("operator"), members=("upbit",)) as made:
        yield made


@pytest.fixture
def home(world: life.World, tmp_path: Path) -> Path:
    """The operator's folder, to put another certificate into."""
    return shutil.copytree(world.operator().parent, tmp_path / "daxa")


def put(home: Path, issued: Issued) -> None:
    (home / "cert.pem").write_bytes(issued.certificate)
    (home / "key.pem").write_bytes(issued.key)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_operator_whose_certificate_ended_is_told_when_and_what_to_do(
    world: life.World, home: Path, command: list[str]
) -> None:
    """Each command that calls the running registry says it, before it calls."""
    put(home, AuthorityFolder.open(world.folder / "ca").authority.issue("operator/daxa", [], days=1, not_before=PAST))
    ended = (PAST + datetime.timedelta(days=1)).date().isoformat()
    result = CliRunner().invoke(cli, [*command, "--operator", str(home / "operator.toml")])
    assert isinstance(result.exception, DaxaError)
    assert str(result.exception) == (
        "CERTIFICATE_EXPIRED: operator.toml: tls.certificate: one that holds today; "
        f"this one ended on {ended}: `daxa-registry pki renew` makes the next"
    )


@pytest.mark.parametrize(
    ("issue", "code", "told"),
    [
        (lambda own: own.issue("operator/daxa", [], days=1, not_before=PAST), "CERTIFICATE_EXPIRED", "pki renew"),
        (lambda own: own.issue("operator/daxa", [], not_before=TO_COME), "CERTIFICATE_EXPIRED", "holds from 2"),
        (lambda own: Authority.create("daxa.kr").issue("operator/daxa", []), "CERTIFICATE_FOREIGN", "authority in tls.ca"),
    ],
)  # fmt: skip
def test_a_handshake_that_fails_is_explained_by_the_operators_own_certificate(
    world: life.World, home: Path, issue: Callable[[Authority], Issued], code: str, told: str
) -> None:
    """Also where it was good when the command began: a call to the registry, and one to evaluators."""
    config = read_operator(home / "operator.toml")
    put(home, issue(AuthorityFolder.open(world.folder / "ca").authority))
    with Operator(config, "kim") as operator:
        for call in (operator.appeals, lambda: operator.fingerprints(["211.234.10.7"])):
            with pytest.raises(DaxaError, match=told) as caught:
                call()
            assert (caught.value.code, caught.value.field) == (code, "tls.certificate")


def test_a_registry_that_is_not_there_is_no_fault_of_the_certificate(home: Path) -> None:
    """The operator's certificate is good: that nobody answers is what is told."""
    plain = read_operator(home / "operator.toml")
    with Operator(dataclasses.replace(plain, targets=("127.0.0.1:1",))) as operator, pytest.raises(DaxaError) as caught:
        operator.appeals()
    assert str(caught.value) == "UNAVAILABLE: registry: to be reachable"
