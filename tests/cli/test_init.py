"""``daxa-registry init``: one command makes a deployment that stands alone part by part, or makes nothing."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from daxa_core.errors import ConfigurationError
from daxa_registry.cli.init import init
from daxa_registry.config import read_evaluator, read_registry
from daxa_registry.deployment import MEMBERS
from daxa_registry.keys.shares import read_parameters, read_share

SECRET = {"ca.key", "key.pem", "share.json", "account.secret", "signing.json"}


def run(folder: Path, *arguments: str) -> None:
    result = CliRunner().invoke(init, [str(folder), *arguments], catch_exceptions=False)
    assert result.exit_code == 0


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_whatever_is_secret_is_its_owners_alone(tmp_path: Path) -> None:
    """Keys, shares and secrets are 0600 in folders that are 0700; every peer of the issue has its part."""
    root = tmp_path / "deployment"
    run(root)
    parts = {
        "ca",
        "registry",
        *(f"evaluators/{i}" for i in (1, 2, 3)),
        *(f"members/{m}" for m in MEMBERS),
        "operators/daxa",
    }
    assert all((root / part).is_dir() for part in parts)
    secrets = [path for path in files(root) if path.name in SECRET]
    assert {path.name for path in secrets} == SECRET
    for path in files(root):
        holds_key = b"PRIVATE KEY" in path.read_bytes()
        assert not holds_key or path in secrets
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    texts = [path.read_bytes() for path in secrets]
    assert len(set(texts)) == len(texts)


def test_every_part_stands_alone(tmp_path: Path) -> None:
    """A part that was moved to its host still reads: nothing in it points out of it."""
    root = tmp_path / "deployment"
    run(root, "--evaluator-host", "e1.example", "--evaluator-host", "e2.example", "--evaluator-host", "::1")
    for part in ("registry", "evaluators/1", "evaluators/3"):
        (root / part).rename(tmp_path / part.replace("/", "-"))
    config = read_registry(tmp_path / "registry/registry.toml")
    assert config.members == MEMBERS
    assert "password" not in repr(replace(config, database="postgresql://registry:password@db/registry"))
    config = read_evaluator(tmp_path / "evaluators-3/evaluator.toml")
    assert config.listen == "[::1]:7403"
    assert read_share(config.share, read_parameters(config.parameters)).index == 3


def test_the_readme_says_what_is_what(tmp_path: Path) -> None:
    """It names every folder, what is secret in it, and the commands that start it."""
    run(tmp_path / "deployment")
    text = (tmp_path / "deployment/README.md").read_text()
    for said in ("`ca/`", "`registry/`", "`evaluators/<i>/`", "`members/<name>/`", "`operators/daxa/`", *SECRET):
        assert said.strip("`") in text
    for command in (
        "daxa-registry serve registry/registry.toml",
        "daxa-registry evaluator evaluators/3/evaluator.toml",
    ):
        assert command in text


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--member", "Upbit!"], "member"),
        (["--member", "a", "--member", "a"], "member"),
        (["--threshold", "4"], "threshold"),
        (["--evaluators", "0"], "evaluators"),
        (["--host", "0.0.0.0"], "host"),
        (["--evaluator-host", "one.example"], "evaluator-host"),
        (["--base-port", "65535"], "base-port"),
        (["--trust-domain", "DAXA"], "trust-domain"),
    ],
)
def test_a_plan_that_cannot_be_leaves_nothing(tmp_path: Path, arguments: list[str], field: str) -> None:
    """The argument that is wrong is named, and not a file is made."""
    with pytest.raises(ConfigurationError, match=f"INVALID_CONFIGURATION: {field}: "):
        run(tmp_path / "deployment", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    """Another deployment's keys are never written over."""
    run(tmp_path / "deployment", "--evaluators", "1", "--threshold", "1", "--member", "upbit")
    before = {path: path.read_bytes() for path in files(tmp_path)}
    with pytest.raises(ConfigurationError, match="INVALID_FILE: .*a folder that is empty or not there yet"):
        run(tmp_path / "deployment")
    assert before == {path: path.read_bytes() for path in files(tmp_path)}
