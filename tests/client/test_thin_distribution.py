"""What an exchange installs is thin: the client's own code, and nothing that only a server needs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def names(requirements: list[str]) -> set[str]:
    return {requirement.partition(">")[0].strip() for requirement in requirements}


def test_the_wheel_holds_the_three_packages_and_nothing_of_the_server(tmp_path: Path) -> None:
    """The wheel is built from client/ as it stands; generated code, kernel and client are in it, and the command."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT / "client", check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
        (entry,) = [name for name in inside if name.endswith("entry_points.txt")]
        assert "daxa-client = daxa_client._cli:main" in archive.read(entry).decode()
    tops = {name.partition("/")[0] for name in inside if ".dist-info" not in name}
    assert tops == {"daxa_api", "daxa_core", "daxa_client"}
    assert {"daxa_client/_cli.py", "daxa_core/oprf.py", "daxa_api/v1/verdict_pb2.py"} <= set(inside)


def test_it_needs_no_more_than_the_whole_does() -> None:
    """Its requirements are the whole's without the extra, with the same floors, in the same version."""
    thin = tomllib.loads((ROOT / "client/pyproject.toml").read_text())["project"]
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(thin["dependencies"]) == set(whole["dependencies"])
    assert names(thin["dependencies"]).isdisjoint(names(whole["optional-dependencies"]["registry"]))
    assert (thin["version"], thin["requires-python"]) == (whole["version"], whole["requires-python"])


def test_importing_it_loads_nothing_of_a_server() -> None:
    """In a fresh interpreter: no server package, and no X.509 parser before something went wrong."""
    code = "import sys, daxa_client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    absent = {"daxa_registry", "click", "numpy", "rich", "sqlite_utils", "cryptography"}
    assert absent.isdisjoint(loaded)
