"""auditor.toml: what an auditor needs and nothing of a member's; a wrong one is refused naming file and key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from daxa_client import Auditor, ConfigurationError
from daxa_client._config import is_auditors, read_auditor_config

TEXT = """auditor = "fss"
[registry]
targets = ["127.0.0.1:1"]
[tls]
ca = "ca.pem"
certificate = "cert.pem"
key = "key.pem"
[verification]
keys = "verification.json"
checkpoint = "checkpoint"
"""


@pytest.fixture
def folder(deployed: Path, tmp_path: Path) -> Path:
    """An auditor's folder; its certificate is a member's, which nobody looks at here."""
    for name in ("ca.pem", "cert.pem", "key.pem", "verification.json"):
        shutil.copy(deployed / "members/upbit" / name, tmp_path / name)
    (tmp_path / "auditor.toml").write_text(TEXT)
    return tmp_path


def test_it_is_read(folder: Path) -> None:
    """Paths are relative to the file; no evaluators, no secret of customers, no witness."""
    config = read_auditor_config(folder / "auditor.toml")
    assert (config.auditor, config.targets, config.checkpoint) == ("fss", ("127.0.0.1:1",), folder / "checkpoint")
    assert (config.witness, config.verdicts_of) == (None, None)
    assert "PRIVATE" not in repr(config)
    Auditor(config).close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"127.0.0.1:1"', '"nowhere"', "auditor.toml: registry.targets: one host:port or more"),
        ('auditor = "fss"', "", "auditor.toml: auditor: a text"),
        ('auditor = "fss"', 'auditor = "fss"\nmember = "upbit"', "auditor.toml: member: no such key"),
        ("verification.json", "nowhere.json", "auditor.toml: verification.keys: a readable file"),
        ("verification.json", "ca.pem", "auditor.toml: verification.keys: file: a JSON object"),
        ("checkpoint =", "check =", "auditor.toml: verification.check: no such key"),
        ('"key.pem"', '"ca.pem"', "auditor.toml: tls.key: the unencrypted private key"),
    ],
)
def test_a_wrong_one_is_refused_by_its_key(folder: Path, old: str, new: str, said: str) -> None:
    """One error, one line, file and key."""
    (folder / "auditor.toml").write_text(TEXT.replace(old, new))
    with pytest.raises(ConfigurationError) as caught:
        Auditor.from_file(folder / "auditor.toml")
    assert f"INVALID_CONFIGURATION: {said}" in str(caught.value)


def test_a_members_file_is_none(folder: Path, deployed: Path) -> None:
    """The command looks which of the two it was given."""
    assert is_auditors(folder / "auditor.toml")
    assert not is_auditors(deployed / "members/upbit/client.toml")
    with pytest.raises(ConfigurationError, match="a readable file"):
        is_auditors(folder / "missing.toml")
