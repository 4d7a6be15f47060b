"""What an exchange installs is thin: the client's own code, and nothing that only a server needs."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import deployment

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


def of_the_server() -> dict[str, metadata.Distribution]:
    """What only the registry needs, by its own list: its extras, with whatever they need in turn, less what the client needs."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = whole["optional-dependencies"]
    needed = closure(whole["dependencies"], {})
    only = {
        name: distribution
        for name, distribution in closure([*extras["registry"], *extras["postgres"]], {}).items()
        if name not in needed
    }
    assert {"click", "numpy", "sqlite-utils", "grpcio-reflection"} <= set(only)
    return only


def test_importing_it_loads_nothing_of_a_server() -> None:
    """In a fresh interpreter: no server package, and no X.509 parser before something went wrong."""
    code = "import sys, daxa_client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    server = of_the_server()
    absent = {
        module
        for module, distributions in metadata.packages_distributions().items()
        if any(name.lower().replace("_", "-") in server for name in distributions)
    }
    absent -= {"grpc_health", "grpc_reflection"}  # grpc itself loads them where they are installed
    assert {"numpy", "sqlite_utils"} <= absent
    assert {"daxa_registry", "cryptography", *absent}.isdisjoint(loaded)


def closure(requirements: Iterable[str], found: dict[str, metadata.Distribution]) -> dict[str, metadata.Distribution]:
    """The installed distributions that those requirements need, whatever they need in turn included."""
    for requirement in requirements:
        name = re.split(r"[^A-Za-z0-9._-]", requirement.strip())[0].lower().replace("_", "-")
        if ";" in requirement and "extra" in requirement.partition(";")[2]:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another platform or Python
            continue
        if name not in found:
            found[name] = distribution
            closure(distribution.requires or (), found)
    return found


def install_alone(home: Path, wheel: Path, requirements: list[str]) -> Path:
    """A fresh environment with that wheel and what it requires, as resolved here; answers its Python."""
    venv.create(home, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for distribution in closure(requirements, {}).values():
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if ".." not in file.parts and source.is_file():
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(source)
    return home / "bin/python"


def test_installed_alone_it_runs_doctor_against_a_live_registry(tmp_path: Path) -> None:
    """In an environment of its own, with what it requires and nothing else, every check is well; nothing of a server is there."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "wheel"]
    subprocess.run(command, cwd=ROOT / "client", check=True, capture_output=True)
    (wheel,) = (tmp_path / "wheel").iterdir()
    requirements = tomllib.loads((ROOT / "client/pyproject.toml").read_text())["project"]["dependencies"]
    python = install_alone(tmp_path / "alone", wheel, requirements)
    listing = "from importlib import metadata; print(*sorted({d.name.lower() for d in metadata.distributions()}))"
    installed = subprocess.run([python, "-I", "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    assert "daxa-client" in installed
    assert {"daxa-registry", *of_the_server()}.isdisjoint(name.replace("_", "-") for name in installed)
    folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    with (
        deployment.Process("evaluator", folder / "evaluators/1/evaluator.toml"),
        deployment.Process("serve", folder / "registry/registry.toml"),
    ):
        run = "from daxa_client._cli import main; main()"
        ended = subprocess.run(
            [python, "-I", "-c", run, "--config", folder / "members/upbit/client.toml", "doctor"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(ended.stdout.splitlines()) == 7
