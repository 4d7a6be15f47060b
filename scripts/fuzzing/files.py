"""Files that somebody wrote or a disk tore: each is put down broken and read as the program reads it."""

from __future__ import annotations

import logging
import zipfile
from array import array
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from daxa_client._cache import FingerprintCache
from daxa_client._config import read_auditor_config, read_config
from daxa_client._follow import MAX_LINE_BYTES
from daxa_client._log import CheckpointFile
from daxa_client._screening import ScreeningCache
from daxa_client._spool import Spool
from daxa_client._verdict_table import VerdictTable
from daxa_client._watch import CursorFile
from daxa_core.leak_set import DIGEST_CONTEXT
from daxa_core.model import Level, RawSighting, Verdict
from daxa_core.pseudonym import digest
from daxa_registry import backups
from daxa_registry.config import read_evaluator, read_operator, read_registry
from daxa_registry.deployment import Plan, make_deployment
from daxa_registry.keys.shares import read_parameters, read_share
from daxa_registry.keys.signing import read_signing_keys
from daxa_registry.service import archive
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


def _removing(read: Callable[[Path], object]) -> Callable[[Path], object]:
    """What is set aside and made anew beside a torn file is removed, or the disk would fill."""

    def decode(path: Path) -> object:
        try:
            return read(path)
        finally:
            for beside in path.parent.glob(path.name + "*"):
                beside.unlink()

    return decode


def _spool(path: Path) -> object:
    """Reads what a torn spool still has."""
    with closing(Spool(path, SECRET)) as spool:
        return spool.seal(2**40, batches=2), spool.state()


def _cache(path: Path) -> object:
    """What a torn cache still has, and one thing more in it."""
    with closing(FingerprintCache(path, SECRET, bytes(32))) as cache:
        cache.put({b"another": b"g" * 32})
        return cache.get([b"canonical", b"other"])


def _verdicts(path: Path) -> object:
    """A gateway's table as it starts, goes on, and is built again."""
    with closing(VerdictTable(path, SECRET, bytes(32))) as table:
        table.load()
        table.take([Verdict(b"f" * 32, Level.WARN, sequence=table.cursor + 1)])
        table.restart()
        return table.refresh(), table.digest(), table.confirm()


def _screening(path: Path) -> object:
    """A screening that goes on where the last one ended."""
    with ScreeningCache(path, SECRET, bytes(32)) as cache:
        cache.keep(b"e" * 24, array("Q", [4]))
        return cache.values(b"d" * 24), cache.chunk(digest(DIGEST_CONTEXT, b"chunk"))


def _made(path: Path, make: Callable[[Path], object]) -> bytes:
    """The file that the program makes there."""
    make(path)
    return path.read_bytes()


def _cached(path: Path) -> None:
    with closing(FingerprintCache(path, SECRET, bytes(32))) as cache:
        cache.put({b"canonical": b"f" * 32, b"other": b"h" * 32})


def _tabled(path: Path) -> None:
    with closing(VerdictTable(path, SECRET, bytes(32))) as table:
        table.load()
        table.learn([(b"f" * 32, "k" * 40)])
        table.take([Verdict(b"f" * 32, Level.WARN, sequence=1), Verdict(b"h" * 32, Level.MONITOR, sequence=2)])


def _screened(path: Path) -> None:
    with ScreeningCache(path, SECRET, bytes(32)) as cache:
        cache.keep(b"d" * 24, array("Q", [1, 2, 3]))
        cache.keep_chunk(digest(DIGEST_CONTEXT, b"chunk"), b"chunk")


def _spooled(path: Path) -> None:
    with closing(Spool(path, SECRET)) as spool:
        spool.add([RawSighting("k" * 40, "8.8.8.8", 490_000 + hour) for hour in range(3)], due=1)
        spool.seal(2)
        spool.add([RawSighting("k" * 40, "8.8.4.4", 490_000)], due=1)


AUDITOR = """auditor = "fss"
[registry]
targets = ["registry.example:7400"]
[tls]
ca = "ca.pem"
certificate = "cert.pem"
key = "key.pem"
[verification]
keys = "verification.json"
checkpoint = "checkpoint"
"""
OUTSIDE = """
[[tls.outside]]
ca = "ca.pem"
ids = ["member/upbit"]
"""


def _backups(folder: Path, evaluator: Path) -> dict[str, Decoder]:
    """A backup as a restore looks through it: as it is, sealed, and with any manifest over good parts."""
    target, passphrase = folder / "again", b"a passphrase that is long enough"

    def look(path: Path) -> object:
        return backups.restore(path, target, passphrase, "kim", dry_run=True)

    def with_manifest(data: bytes) -> object:
        with zipfile.ZipFile(folder / "by-hand", "w") as packed:
            packed.writestr("manifest.json", data)
            packed.writestr("files/evaluator.toml", evaluator.read_bytes())
        return look(folder / "by-hand")

    archive.write(folder / "plain", {"files/evaluator.toml": evaluator}, MANIFEST, None)
    backups.make_backup(evaluator, folder / "sealed", True, passphrase, "kim")
    with zipfile.ZipFile(folder / "plain") as packed:
        manifest = packed.read("manifest.json")
    return {
        "backup": Decoder(_file(folder / "torn", look), ((folder / "plain").read_bytes(),), 5),
        "sealed backup": Decoder(_file(folder / "torn-sealed", look), ((folder / "sealed").read_bytes(),), 1),
        "backup's manifest": Decoder(with_manifest, (manifest,), 5),
    }


MANIFEST = {"made_at": 1_790_000_000, "configuration": "evaluator.toml", "size": 0, "root": "", "rows": {}}


def decoders(folder: Path) -> dict[str, Decoder]:
    """By name. Files that name others are put beside them, in a deployment that ``init`` made."""
    logging.getLogger("daxa_client").setLevel(logging.CRITICAL)  # each broken spool is told in a line
    make_deployment(folder / "deployment", Plan(("upbit",)))
    home = folder / "deployment"
    found: dict[str, Decoder] = {}
    (home / "members/upbit/auditor.toml").write_text(AUDITOR)
    with_outside = home / "registry/with-outside.toml"
    with_outside.write_text((home / "registry/registry.toml").read_text() + OUTSIDE)
    for name, path, read in (
        ("client.toml", home / "members/upbit/client.toml", read_config),
        ("auditor.toml", home / "members/upbit/auditor.toml", read_auditor_config),
        ("registry.toml", home / "registry/registry.toml", read_registry),
        ("registry.toml with an authority from outside", with_outside, read_registry),
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
    found["cursor file"] = Decoder(_file(folder / "cursor", lambda path: CursorFile(path).read()), (b"1234\n",), 5)
    (folder / "made").mkdir()
    for name, make, read in (
        ("spool file", _spooled, _spool),
        ("fingerprint cache file", _cached, _cache),
        ("verdict table file", _tabled, _verdicts),
        ("screening cache file", _screened, _screening),
    ):
        seed = _made(folder / "made" / name, make)
        found[name] = Decoder(_file(folder / name.replace(" ", "-") / "file", _removing(read)), (seed,), 1)
    return found | _backups(folder, share / "evaluator.toml")
