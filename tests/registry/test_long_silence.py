"""A batch whose answer is lost for longer than the registry knows it again: nothing that was seen is lost, nor there twice."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest

import deployment
import life
from daxa_client._spool import Spool
from daxa_core.errors import ConfigurationError
from daxa_core.model import BATCH_HOURS, RawSighting
from daxa_registry.config import read_registry


def test_what_a_spool_sends_again_after_two_days_adds_one_and_no_more(tmp_path: Path) -> None:
    """Sooner it adds nothing; when the registry has forgotten the batch, one to each count, and no place and no hour."""
    with life.world(tmp_path) as world, contextlib.closing(Spool(tmp_path / "spool.sqlite", bytes(32))) as spool:
        path = world.folder / "registry/data/registry.sqlite"

        def ask(query: str) -> list[int]:
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                return [row[0] for row in database.execute(query)]

        def send() -> list[int]:
            """Sends it, as if no answer came: the counts that the registry has."""
            [batch] = spool.seal(world.now())
            assert world.client("upbit").submit(batch.sightings, batch_id=batch.batch_id).accepted == 2
            return ask("SELECT count FROM presence ORDER BY 1")

        places, hour = ("8.8.8.8", "8.8.4.4"), world.hour()
        spool.add([RawSighting("key", places[0], hour, count=500), RawSighting("key", places[1], hour)], due=0)
        assert send() == [1, 500]
        world.pass_hours(BATCH_HOURS / 2)
        assert send() == [1, 500]
        world.pass_hours(BATCH_HOURS / 2 + 1)
        end = time.monotonic() + 60
        while ask("SELECT count(*) FROM batch") != [0]:
            assert time.monotonic() < end, "it was not forgotten"
            time.sleep(0.02)
        assert send() == [2, 501]
        assert send() == [2, 501]


def test_a_registry_does_not_forget_batches_sooner(tmp_path: Path) -> None:
    """Members' spools rely on it: the configuration is refused, naming the key."""
    configuration = deployment.deploy(tmp_path / "deployment") / "registry/registry.toml"
    assert read_registry(configuration).batch_hours == BATCH_HOURS
    configuration.write_text(configuration.read_text().replace("batch_hours = 48", "batch_hours = 47"))
    with pytest.raises(ConfigurationError, match=r"registry\.toml: retention\.batch_hours: a whole number from 48 "):
        read_registry(configuration)
