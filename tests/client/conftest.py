"""One deployment for the folder's tests, and clients of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peers
import pytest

import deployment
from daxa_client import ClientConfig, RegistryClient
from daxa_client._config import read_config


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment whose servers nobody has started: two of three evaluators are needed."""
    folder = deployment.deploy(tmp_path_factory.mktemp("client") / "deployment", members=("upbit",))
    peers.trusted(folder / "members/upbit")
    return folder


@pytest.fixture
def configured(deployed: Path, tmp_path: Path) -> Callable[..., ClientConfig]:
    """upbit's configuration with changes, and a cache of the test's own; nobody is late who answers at all."""
    plain = read_config(deployed / "members/upbit/client.toml")

    def make(**changes: Any) -> ClientConfig:
        return dataclasses.replace(plain, **{"cache": tmp_path / "cache.sqlite", "deadline_seconds": 60.0, **changes})

    return make


@pytest.fixture
def evaluators(deployed: Path) -> Iterator[tuple[dict[int, str], dict[int, peers.Evaluator]]]:
    """Three evaluators that can be told to lie."""
    with peers.evaluators(deployed, 1, 2, 3) as running:
        yield running


@pytest.fixture
def registry() -> peers.Registry:
    """A registry that can be told what to say."""
    return peers.Registry()


@pytest.fixture
def client(
    deployed: Path,
    configured: Callable[..., ClientConfig],
    evaluators: tuple[dict[int, str], dict[int, peers.Evaluator]],
    registry: peers.Registry,
    tmp_path: Path,
) -> Iterator[RegistryClient]:
    """A client of all of them."""
    with peers.registry(deployed, registry) as target:
        config = configured(targets=(target,), evaluators=evaluators[0], cursor=tmp_path / "cursor")
        with RegistryClient(config) as running:
            yield running
        registry.ended.set()
