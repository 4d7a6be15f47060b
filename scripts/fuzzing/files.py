"""Files that somebody wrote or a disk tore: each is put down broken and read as the program reads it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from daxa_client._config import read_config
from daxa_client._follow import MAX_LINE_BYTES
from daxa_client._log import CheckpointFile
from daxa_client._spool import Spool
from daxa_core.model import RawSighting
from daxa_registry.config import read_evaluator, read_operator, read_registry
from daxa_registry.deployment import Plan, make_deployment
from daxa_registry.keys.shares import read_parameters, read_share
from daxa_registry.keys.signing import read_signing_keys
from daxa_registry.service.authority_acts import read_acts

from . import Decoder, Read

SECRET = bytes(32)
assert MAX_LINE_BYTES


def _file(path: Path, read: Callable[[Path], object]) -> Read:
    path.parent.mkdir(parents=True, exist_ok=True)

    def decode(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return decode


def _spool(path: Path) -> object:
    """Reads what a torn spool still has. What is set aside and made anew is removed, or the disk would fill."""
    spool = Spool(path, SECRET)
    try:
        return spool.seal(2**40, batches=2), spool.state()
    finally:
        spool.close()
        for beside in path.parent.glob(path.name + "*"):
            beside.unlink()


def _spooled(path: Path) -> bytes:
    spool = Spool(path, SECRET)
    spool.add([RawSighting("k" * 40, "8.8.8.8", 490_000 + hour) for hour in range(3)], due=1)
    spool.seal(2)
    spool.add([RawSighting("k" * 40, "8.8.4.4", 490_000)], due=1)
    spool.close()
    return path.read_bytes()


def decoders(folder: Path) -> dict[str, Decoder]:
    """By name. Files that name others are put beside them, in a deployment that ``init`` made."""
    logging.getLogger("daxa_client").setLevel(logging.CRITICAL)  # each broken spool is told in a line
    make_deployment(folder / "deployment", Plan(("upbit",)))
    home = folder / "deployment"
    found: dict[str, Decoder] = {}
    for name, path, read in (
        ("client.toml", home / "members/upbit/client.toml", read_config),
        ("registry.toml", home / "registry/registry.toml", read_registry),
        ("evaluator.toml", home / "evaluators/1/evaluator.toml", read_evaluator),
        ("operator.toml", next(home.rglob("operator.toml")), read_operator),
        ("signing.json", next(home.rglob("signing.json")), read_signing_keys),
        ("acts.jsonl", home / "registry/acts.jsonl", read_acts),
    ):
        seed = path.read_bytes()
        beside = path.with_name("broken-" + path.name)
        found[name] = Decoder(_file(beside, read), (seed,), 2)
    share = home / "evaluators/1"
    shares = [p for p in share.rglob("*.json") if "share" in p.name]
    parameters = read_parameters(next(share.rglob("parameters.json")))
    found["share"] = Decoder(
        _file(share / "broken-share.json", lambda path: read_share(path, parameters)), (shares[0].read_bytes(),), 2
    )
    found["checkpoint file"] = Decoder(
        _file(folder / "checkpoint", lambda path: CheckpointFile(path).read()),
        ("daxa.kr/log\n1\n\u2014 x".encode(),),
        5,
    )
    made = folder / "spool.made"
    os.makedirs(folder / "spools", exist_ok=True)
    found["spool file"] = Decoder(_file(folder / "spools/spool", _spool), (_spooled(made),), 1)
    return found
