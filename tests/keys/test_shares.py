"""The dealer's ceremony, and the share files that an evaluator checks before it starts."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import deployment
from daxa_core import group, threshold
from daxa_core.errors import ConfigurationError, DaxaError
from daxa_core.model import Kind
from daxa_registry.cli.ceremony import ceremony
from daxa_registry.keys.shares import deal, read_parameters, read_share


def hold(folder: Path, needed: int = 2, evaluators: int = 3) -> None:
    arguments = ["--threshold", str(needed), "--evaluators", str(evaluators), "--out", str(folder)]
    assert CliRunner().invoke(ceremony, arguments, catch_exceptions=False).exit_code == 0


def test_a_ceremony_leaves_shares_that_any_two_evaluators_can_use(tmp_path: Path) -> None:
    """Each file reads against the commitments, is 0600, and any two shares of a kind make the committed key."""
    hold(tmp_path)
    parameters = read_parameters(tmp_path / "parameters.json")
    shares = [read_share(tmp_path / f"share-{i}.json", parameters) for i in (1, 2, 3)]
    assert {stat.S_IMODE((tmp_path / f"share-{i}.json").stat().st_mode) for i in (1, 2, 3)} == {0o600}
    assert "scalar" not in repr(shares[0])
    assert all(value.hex() not in repr(share) for share in shares for value in share.shares.values())
    for kind in Kind:
        for pair in ((0, 1), (0, 2), (1, 2)):
            points = {shares[i].index: group.base_multiply(shares[i].shares[kind]) for i in pair}
            assert threshold.combine(points) == parameters.kinds[kind][0]


def test_keys_are_dealt_anew_each_time(tmp_path: Path) -> None:
    """Two ceremonies share nothing, nor do two kinds."""
    hold(tmp_path / "one")
    hold(tmp_path / "two")
    found = [
        read_parameters(tmp_path / name / "parameters.json").kinds[kind][0] for name in ("one", "two") for kind in Kind
    ]
    assert len(set(found)) == 2 * len(Kind)


def test_a_ceremony_writes_over_nothing_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    """Where one of its files is there already, none is written: some shares of a key nobody uses are still shares."""
    (tmp_path / "share-2.json").write_text("somebody's")
    with pytest.raises(ConfigurationError, match=r"INVALID_FILE: share-2\.json: a file that is not there yet"):
        hold(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["share-2.json"]


@pytest.mark.parametrize(("needed", "evaluators"), [(0, 3), (4, 3), (1, 0), (2, 256)])
def test_a_ceremony_of_odd_numbers_is_refused(tmp_path: Path, needed: int, evaluators: int) -> None:
    """No file is made."""
    with pytest.raises(DaxaError):
        hold(tmp_path / "out", needed, evaluators)
    assert not (tmp_path / "out").exists()


def _swapped(table: dict[str, Any]) -> None:
    table["shares"]["KEY"], table["shares"]["ADDRESS"] = table["shares"]["ADDRESS"], table["shares"]["KEY"]


WRONG: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda t: t.update(format=2), "format"),
    (lambda t: t.update(key_version=2), "key_version"),
    (lambda t: t.update(parameters_digest="00" * 32), "parameters_digest"),
    (lambda t: t.update(index=4), "index"),
    (lambda t: t.update(index=True), "index"),
    (lambda t: t.update(index=2), "shares.KEY"),
    (lambda t: t["shares"].pop("HOLDER"), "shares"),
    (lambda t: t["shares"].update(DEVICE="00" * 32), "shares.DEVICE"),
    (lambda t: t["shares"].update(DEVICE="ff" * 32), "shares.DEVICE"),
    (lambda t: t["shares"].update(DEVICE="xyz"), "shares.DEVICE"),
    (lambda t: t["shares"].update(DEVICE=7), "shares.DEVICE"),
    (_swapped, "shares.KEY"),
]


@pytest.mark.parametrize(("change", "key"), WRONG)
def test_a_share_that_does_not_fit_is_refused_by_its_key(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], key: str
) -> None:
    """Another's index, another kind's share, a changed scalar: each would give every member wrong fingerprints."""
    parameters, shares = deal(2, 3)
    table = json.loads(shares[0].to_json())
    change(table)
    (tmp_path / "share.json").write_text(json.dumps(table))
    with pytest.raises(ConfigurationError, match=rf"INVALID_SHARE: share\.json: {key}: ") as caught:
        read_share(tmp_path / "share.json", parameters)
    assert not any(scalar.hex() in str(caught.value) for scalar in shares[0].shares.values())


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"[" * 99_999, b"9" * 9_999])
def test_what_is_no_json_is_no_share(tmp_path: Path, data: bytes) -> None:
    """Refused by the file, and with none of it."""
    parameters, _ = deal(2, 3)
    (tmp_path / "share.json").write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"^INVALID_SHARE: share\.json: file: a JSON object$"):
        read_share(tmp_path / "share.json", parameters)


def test_an_evaluator_does_not_start_with_anothers_share(tmp_path: Path) -> None:
    """It says which file and key is wrong in one line, and ends."""
    folder = deployment.deploy(tmp_path / "deployment")
    share = (folder / "evaluators/2/share.json").read_text().replace('"index": 2', '"index": 1')
    (folder / "evaluators/1/share.json").write_text(share)
    process = deployment.Process("evaluator", folder / "evaluators/1/evaluator.toml")
    code, said = process.wait()
    assert (process.ready, code) == ("", 2)
    assert said.startswith("daxa-registry: INVALID_SHARE: share.json: shares.KEY: ")
    assert "Traceback" not in said
