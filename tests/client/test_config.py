"""client.toml: what is wrong is refused naming file and key, and no secret is shown."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daxa_client import ClientConfig, ConfigurationError, Device, ErrorCode, RegistryClient
from daxa_client._config import is_auditors, read_auditor_config, read_config, read_verification_keys


@pytest.fixture
def member(deployed: Path, tmp_path: Path) -> Path:
    """A copy of the member's folder, to break."""
    return shutil.copytree(deployed / "members/upbit", tmp_path / "upbit")


def test_the_deployments_file_is_read(member: Path) -> None:
    """What init writes is what the client reads; paths are relative to the file."""
    config = read_config(member / "client.toml")
    assert config.member == "upbit"
    assert sorted(config.evaluators) == [1, 2, 3]
    assert config.parameters.threshold == 2
    assert config.cache == member / "data/fingerprints.sqlite"
    assert config.cursor is None
    assert not config.allow_non_global_addresses


EDITS: list[tuple[str, str, str]] = [
    ('member = "upbit"', "", "member"),
    ('member = "upbit"', "member = 7", "member"),
    ('member = "upbit"', 'member = "upbit"\ncolour = "red"', "colour"),
    ('member = "upbit"', 'member = "upbit"\ndeadline_seconds = 0', "deadline_seconds"),
    ('member = "upbit"', 'member = "upbit"\ndeadline_seconds = true', "deadline_seconds"),
    ('member = "upbit"', 'member = "upbit"\nallow_non_global_addresses = 1', "allow_non_global_addresses"),
    ('targets = ["127.0.0.1', 'targets = []\nold = ["127.0.0.1', "registry.targets"),
    ('targets = ["127.0.0.1', 'targets = ["no port", "127.0.0.1', "registry.targets"),
    ('targets = ["127.0.0.1', 'targets = ["127.0.0.1:99999", "127.0.0.1', "registry.targets"),
    ('targets = ["127.0.0.1', 'targets = ["127.0.0.1:0", "127.0.0.1', "registry.targets"),
    ("index = 2\n", 'index = 2\ntarget = "127.0.0.1:65536"\nold = 1\n#', "evaluator[1].target"),
    ("index = 2", "index = 1", "evaluator[1].index"),
    ("index = 2", "index = 300", "evaluator[1].index"),
    ("index = 2", "index = 9", "evaluator.index"),
    ("index = 3", "colour = 3", "evaluator[2].index"),
    ('ca = "ca.pem"', 'ca = "nowhere.pem"', "tls.ca"),
    ('ca = "ca.pem"', 'ca = "key.pem"', "tls.ca"),
    ('certificate = "cert.pem"', 'certificate = "ca.pem"', "tls.key"),
    ('key = "key.pem"', 'key = "cert.pem"', "tls.key"),
    ('key = "key.pem"', 'key = "key.pem"\npassword = "x"', "tls.password"),
    ('parameters = "parameters.json"', 'parameters = "client.toml"', "fingerprints.parameters"),
    ('account_secret = "account.secret"', 'account_secret = "ca.pem"', "fingerprints.account_secret"),
    ('account_secret = "account.secret"', "", "fingerprints.account_secret"),
    ('account_secret = "account.secret"', 'account_secret = "."', "fingerprints.account_secret"),
    *[
        (f'{name} = "{file}"', f'{name} = "a\\u0000b"', key)
        for name, file, key in (
            ("ca", "ca.pem", "tls.ca"),
            ("certificate", "cert.pem", "tls.certificate"),
            ("key", "key.pem", "tls.key"),
            ("parameters", "parameters.json", "fingerprints.parameters"),
            ("account_secret", "account.secret", "fingerprints.account_secret"),
            ("keys", "verification.json", "verification.keys"),
            ("cache", "data/fingerprints.sqlite", "fingerprints.cache"),
        )
    ],
    ('member = "upbit"', 'member = "upbit"\ncursor = "a\\u0000b"', "cursor"),
]


@pytest.mark.parametrize(("old", "new", "key"), EDITS)
def test_a_wrong_key_is_refused_naming_file_and_key(member: Path, old: str, new: str, key: str) -> None:
    """Unknown, missing, of another type, out of range, a file that is not what it should be."""
    path = member / "client.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        RegistryClient.from_file(path)
    assert (ErrorCode.INVALID_CONFIGURATION, f"client.toml: {key}") == (caught.value.code, caught.value.field)


@pytest.mark.parametrize(
    "data",
    [b"member = ", b"\xff\xfe", b"[registry]\n[registry]", b"member = " + b"9" * 5_000, b"member = " + b"[" * 5_000],
)
def test_what_is_no_toml_is_refused(member: Path, data: bytes) -> None:
    """The refusal names the file and shows none of it."""
    (member / "client.toml").write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"client\.toml: TOML in UTF-8"):
        read_config(member / "client.toml")


@pytest.mark.parametrize("read", [read_config, read_auditor_config, is_auditors, read_verification_keys])
def test_a_path_that_cannot_be_one_is_refused(read: Callable[[Path], object]) -> None:
    """As a file that cannot be read, not as a bare ValueError."""
    with pytest.raises(ConfigurationError, match="a readable file, got ValueError"):
        read(Path("client\0.toml"))


def test_arguments_are_checked_like_the_file(configured: Callable[..., ClientConfig]) -> None:
    """Whoever makes a ClientConfig by hand gets the same refusals, without a file's name."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"targets": ()}, "registry.targets"),
        ({"evaluators": {1: "127.0.0.1:1"}}, "evaluator"),
        ({"evaluators": {1: "127.0.0.1:1", 4: "127.0.0.1:2"}}, "evaluator.index"),
        ({"evaluators": {1: "127.0.0.1:1", 2: "/run/x.sock"}}, "evaluator.target"),
        ({"evaluators": {1: "127.0.0.1:1", 2: "127.0.0.1:99999"}}, "evaluator.target"),
        ({"targets": ("127.0.0.1:70000",)}, "registry.targets"),
        ({"state": Path("a\0b")}, "gateway.state"),
        ({"cache": Path("a\0b")}, "fingerprints.cache"),
        ({"cursor": Path("a\0b")}, "cursor"),
        ({"checkpoint": Path("a\0b")}, "verification.checkpoint"),
        ({"account_secret": b"short"}, "fingerprints.account_secret"),
        ({"key": b"no key"}, "tls.key"),
        ({"deadline_seconds": float("nan")}, "deadline_seconds"),
    ]
    for changes, field in wrong:
        with pytest.raises(ConfigurationError) as caught:
            configured(**changes)
        assert field == caught.value.field


def test_no_secret_is_in_the_repr(deployed: Path) -> None:
    """Neither the account secret nor the private key, as bytes or in hex, is in the configuration's repr."""
    config = read_config(deployed / "members/upbit/client.toml")
    shown = repr(config) + repr(dataclasses.replace(config))
    assert config.account_secret.hex() not in shown
    assert repr(config.account_secret)[2:-1] not in shown
    assert "PRIVATE KEY" not in shown
    assert "curl" not in repr(Device("curl/8.5", "t13d"))


def test_a_secret_that_others_can_read_is_told(member: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One warning for each file whose mode lets others in; none for the files that init made."""
    with caplog.at_level(logging.WARNING, "daxa_client"):
        read_config(member / "client.toml")
        assert caplog.messages == []
        (member / "account.secret").chmod(0o644)
        read_config(member / "client.toml")
    assert caplog.messages == ["account.secret can be read by others than its owner: make it 0600"]
