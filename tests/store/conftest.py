"""Every store that keeps the contract, empty, to be opened again and again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daxa_registry.store.interface import Store
from daxa_registry.store.postgres import PostgresStore
from daxa_registry.store.sqlite import SqliteStore
from sightings import Open


@pytest.fixture(params=["sqlite", "postgres"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same database, again and again."""
    opened: list[Store] = []
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""

    def open_again() -> Store:
        for store in opened:
            store.close()
        opened[:] = [PostgresStore(url, hub_size=8) if url else SqliteStore(tmp_path / "registry.sqlite", hub_size=8)]
        return opened[0]

    yield open_again
    for store in opened:
        store.close()
