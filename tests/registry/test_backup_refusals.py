"""Backups and moves that must not be made, and restores that must put nothing anywhere: each told in one line."""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import deployment
from daxa_core.errors import ConfigurationError, DaxaError
from daxa_registry import backups
from daxa_registry.bootstrap import open_store
from daxa_registry.cli import cli
from daxa_registry.config import read_registry
from daxa_registry.service.log import append_event

NOW = 1_800_000_000
PASSPHRASE = b"a passphrase that is long enough"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A deployment whose registry's database stands beside its configuration, and is in use."""
    made = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    configuration = made / "registry/registry.toml"
    configuration.write_text(configuration.read_text().replace('"data/registry.sqlite"', '"registry.sqlite"'))
    with contextlib.closing(open_store(read_registry(configuration).database)) as store:
        for number in range(3):
            with store.transaction():
                append_event(store, "test", {"number": number}, NOW)
        yield made


def test_a_database_beside_the_configuration_is_saved_as_a_database_and_comes_back(
    folder: Path, tmp_path: Path
) -> None:
    """A copy of the file, taken while it is in use, would be torn, and would stand where the restored one belongs."""
    kept = backups.make_backup(folder / "registry/registry.toml", tmp_path / "b", True, PASSPHRASE, "kim")
    assert not any(name.startswith("registry.sqlite") for name in kept.files)
    assert backups.restore(tmp_path / "b", tmp_path / "again", PASSPHRASE, "kim") == kept
    with contextlib.closing(open_store(str(tmp_path / "again/registry.sqlite"))) as store:
        assert store.log_size() == kept.size + 1


def test_a_restore_with_files_that_ends_at_the_database_leaves_no_keys_behind(
    folder: Path, tmp_path: Path, postgres_url: str
) -> None:
    """The folder is there when all of it is there; else the next try would find it and refuse."""
    configuration = folder / "registry/registry.toml"
    configuration.write_text(configuration.read_text().replace('"registry.sqlite"', f'"{postgres_url}"'))
    with contextlib.closing(open_store(postgres_url)) as store:
        store.member_id("upbit")
        backups.make_backup(configuration, tmp_path / "b", True, PASSPHRASE, "kim")
    with pytest.raises(ConfigurationError, match="database: an empty database to put it in"):
        backups.restore(tmp_path / "b", tmp_path / "again", PASSPHRASE, "kim")
    assert {found.name for found in tmp_path.iterdir() if not found.name.startswith("post")} == {"b", "deployment"}


def test_a_backup_goes_to_what_it_is_of(folder: Path, tmp_path: Path) -> None:
    """An evaluator's into a registry's configuration, and the reverse."""
    registry, evaluator = folder / "registry/registry.toml", folder / "evaluators/1/evaluator.toml"
    backups.make_backup(registry, tmp_path / "r", False, None, "kim")
    backups.make_backup(evaluator, tmp_path / "e", False, None, "kim")
    for backup, target in (("r", evaluator), ("e", registry)):
        with pytest.raises(ConfigurationError, match=f"INVALID_FILE: {target.name}: the configuration of a registry"):
            backups.restore(tmp_path / backup, target, None, "kim")


def test_what_is_no_configuration_and_no_quota_file_is_told(folder: Path, tmp_path: Path) -> None:
    """Bytes that are no text, no TOML, a key that is not there, a quota file that is torn."""
    evaluator = folder / "evaluators/1/evaluator.toml"
    text = evaluator.read_text()
    for content, told in (
        (b"\xff\xfe", "evaluator.toml: TOML in UTF-8"),
        (b"= nonsense", "evaluator.toml: TOML in UTF-8"),
        (b'share = "x"', "evaluator.toml: "),
        (text.encode(), "quota.sqlite: a quota file that is whole"),
    ):
        evaluator.write_bytes(content)
        (evaluator.parent / "data").mkdir(exist_ok=True)
        (evaluator.parent / "data/quota.sqlite").write_bytes(b"garbage " * 500)
        with pytest.raises(ConfigurationError, match=told):
            backups.make_backup(evaluator, tmp_path / "e", False, None, "kim")
    assert not (tmp_path / "e").exists()


def test_a_backup_with_any_byte_changed_or_cut_anywhere_in_its_head_is_told_as_torn(
    folder: Path, tmp_path: Path
) -> None:
    """Never another exception, and never another error: a sealed one that is cut short is not a wrong passphrase."""
    evaluator = folder / "evaluators/1/evaluator.toml"
    backups.make_backup(evaluator, tmp_path / "sealed", True, PASSPHRASE, "kim")
    sealed = (tmp_path / "sealed").read_bytes()
    for length in (0, 10, 21, 30, 52, 53, 60):
        (tmp_path / "cut").write_bytes(sealed[:length])
        with pytest.raises(ConfigurationError, match="this one is torn"):
            backups.restore(tmp_path / "cut", tmp_path / "again", PASSPHRASE, "kim")
    backups.make_backup(evaluator, tmp_path / "plain", False, None, "kim")
    plain = (tmp_path / "plain").read_bytes()
    for place in range(len(plain)):
        (tmp_path / "bit").write_bytes(plain[:place] + bytes([plain[place] ^ 0x41]) + plain[place + 1 :])
        with contextlib.suppress(DaxaError):
            backups.restore(tmp_path / "bit", tmp_path / "again", None, "kim")
    assert not (tmp_path / "again").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
PARTS = ("registry.sqlite", "files/x", "files", "files/..", "..", "files/", ".", "a/b", "x" * 300, "nowhere")
MANIFEST: dict[str, object] = {"configuration": "x", "size": 0, "root": "", "rows": {}}


@example(manifest=[], parts=[])
@example(manifest={**MANIFEST, "parts": []}, parts=[])
@example(manifest={**MANIFEST, "parts": {"files/x": 5}}, parts=["files/x"])
@example(manifest={**MANIFEST, "parts": {"..": ""}}, parts=[".."])
@example(manifest={**MANIFEST, "parts": {"x" * 300: ""}}, parts=["x" * 300])
@given(
    manifest=JSON
    | st.fixed_dictionaries(
        {"parts": JSON | st.dictionaries(st.sampled_from(PARTS), st.text(max_size=4) | st.integers(), max_size=4)},
        optional={name: JSON | st.just(value) for name, value in MANIFEST.items()},
    ),
    parts=st.lists(st.sampled_from(PARTS), unique=True, max_size=4),
)
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_a_backup_made_by_hand_whose_manifest_is_none_is_told_by_its_name(
    folder: Path, manifest: object, parts: list[str]
) -> None:
    """Whatever stands in it, and whatever its parts are called: never a bare TypeError, and nothing is put anywhere."""
    (folder / "by-hand").unlink(missing_ok=True)
    with zipfile.ZipFile(folder / "by-hand", "w") as packed:
        packed.writestr("manifest.json", json.dumps(manifest))
        for part in parts:
            packed.writestr(part, b"x")
    with pytest.raises(ConfigurationError, match=r"INVALID_FILE: by-hand|again: an existing registry\.toml"):
        backups.restore(folder / "by-hand", folder / "again", None, "kim")
    assert not (folder / "again").exists()


@pytest.mark.parametrize("content", [b"[]", b"7", b"null", b"{}", b"[" * 200_000, b"9" * 5_000, b"\xff", b""])
def test_what_a_manifest_has_to_be_is_said(folder: Path, content: bytes) -> None:
    """The file by its name, and what was looked for in it."""
    with zipfile.ZipFile(folder / "by-hand", "w") as packed:
        packed.writestr("manifest.json", content)
    wanted = "INVALID_FILE: by-hand: a manifest.json that is an object with configuration, size, root, rows, and"
    with pytest.raises(ConfigurationError, match=re.escape(wanted)):
        backups.restore(folder / "by-hand", folder / "registry/registry.toml", None, "kim")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_backup_that_this_program_did_not_pack_is_torn(folder: Path, packing: int) -> None:
    """Each way of packing has errors of its own for a torn part; there is no need to know them."""
    with zipfile.ZipFile(folder / "by-hand", "w", packing) as packed:
        packed.writestr("manifest.json", json.dumps({**MANIFEST, "parts": {}}))
    with pytest.raises(ConfigurationError, match="by-hand: a whole backup; this one is torn"):
        backups.restore(folder / "by-hand", folder / "registry/registry.toml", None, "kim")


@pytest.mark.parametrize("command", [("backup", "{}", "b"), ("audit", "verify", "{}"), ("status", "{}")])
def test_a_wrong_path_is_no_empty_registry(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: Sequence[str]
) -> None:
    """Whose backup would be made, whose log would fit, and which nobody could serve who is another user."""
    configuration = folder / "registry/registry.toml"
    configuration.write_text(configuration.read_text().replace('"registry.sqlite"', '"wrong/registry.sqlite"'))
    monkeypatch.chdir(folder)
    ran = CliRunner().invoke(cli, [word.format(configuration) for word in command])
    assert "database: a registry's database that is there" in str(ran.exception)
    assert not (folder / "registry/wrong").exists()
    assert not (folder / "b").exists()


def test_where_there_is_no_folder_the_path_is_told(folder: Path, tmp_path: Path) -> None:
    """Not the name of a file that this program would have made on its way."""
    configuration, evaluator = folder / "registry/registry.toml", folder / "evaluators/1/evaluator.toml"
    for with_files in (False, True):
        with pytest.raises(ConfigurationError, match="^INVALID_FILE: one: a path in a folder that is there$"):
            backups.make_backup(configuration, tmp_path / "nowhere/one", with_files, PASSPHRASE, "kim")
    backups.make_backup(evaluator, tmp_path / "one", True, PASSPHRASE, "kim")
    with pytest.raises(ConfigurationError, match="^INVALID_FILE: again: a path in a folder that is there$"):
        backups.restore(tmp_path / "one", tmp_path / "nowhere/again", PASSPHRASE, "kim")


def test_a_move_that_would_be_refused_is_refused_when_it_is_only_shown(folder: Path, postgres_url: str) -> None:
    """No file, none of a registry's, PostgreSQL as what is moved; a server that is not there, a database that is taken."""
    file = str(folder / "registry/registry.sqlite")
    with contextlib.closing(open_store(postgres_url)) as store:
        store.member_id("gopax")
    for source, target, told in (
        (f"{file}-wrong", postgres_url, "--from: the SQLite file of a registry"),
        (postgres_url, postgres_url, "--from: the SQLite file of a registry"),
        (str(folder / "registry/registry.toml"), postgres_url, "--from: a registry's SQLite file that is whole"),
        (file, "postgresql://postgres@/none?host=/nowhere", "database: a server that listens"),
        (file, postgres_url, "database: an empty database to put it in"),
    ):
        ran = CliRunner().invoke(cli, ["migrate-store", "--from", source, "--to", target])
        assert told in str(ran.exception)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("host=db", "--to: a URL that begins with postgresql://"),
        ("postgresql://registry:hush@db/registry", "--to: a URL without a password"),
        ("postgresql://db/registry?password=hush", "--to: a URL without a password"),
    ],
)
def test_a_move_is_to_postgresql_and_its_password_is_not_in_the_list_of_processes(target: str, told: str) -> None:
    """Refused before anything is said or done."""
    ran = CliRunner().invoke(cli, ["migrate-store", "--from", "registry.sqlite", "--to", target, "--yes"])
    assert told in str(ran.exception)
    assert "hush" not in str(ran.exception) + ran.output
