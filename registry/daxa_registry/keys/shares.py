"""The dealer's ceremony and the share files that it leaves: each checked against the commitments before it is used.

The dealer knows the whole key while the ceremony runs, and forgets it: run it on a machine that is off the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daxa_core import group, threshold
from daxa_core.canonical import CANONICAL_VERSION
from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode
from daxa_core.model import Kind
from daxa_core.parameters import Parameters

from .files import make_private_folder, write_public, write_secret

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ShareFile:
    """One evaluator's share of every kind's key."""

    index: int
    key_version: int
    parameters_digest: bytes
    shares: Mapping[Kind, bytes] = field(repr=False)

    def to_json(self) -> str:
        """The secret file's text; :func:`read_share` reads it."""
        table = {
            "format": FORMAT,
            "key_version": self.key_version,
            "index": self.index,
            "parameters_digest": self.parameters_digest.hex(),
            "shares": {kind.name: share.hex() for kind, share in self.shares.items()},
        }
        return json.dumps(table, indent=1) + "\n"


def deal(needed: int, evaluators: int, key_version: int = 1) -> tuple[Parameters, list[ShareFile]]:
    """A fresh key for each kind, dealt to ``evaluators`` of whom ``needed`` are needed. Raises InvalidInput for odd numbers."""
    commitments: dict[Kind, tuple[bytes, ...]] = {}
    by_index: dict[int, dict[Kind, bytes]] = {}
    for kind in Kind:
        committed, shares = threshold.deal(group.random_scalar(), needed, evaluators)
        commitments[kind] = tuple(committed)
        for share in shares:
            by_index.setdefault(share.index, {})[kind] = share.scalar
    parameters = Parameters(key_version, CANONICAL_VERSION, needed, evaluators, commitments)
    return parameters, [ShareFile(i, key_version, parameters.digest, kinds) for i, kinds in sorted(by_index.items())]


def ceremony(folder: Path, needed: int, evaluators: int) -> tuple[Parameters, list[Path]]:
    """Deals and writes ``parameters.json`` and ``share-<i>.json`` (0600): the paths in that order.

    Raises InvalidInput for odd numbers, ConfigurationError naming the file that exists already: then none is written.
    """
    parameters, shares = deal(needed, evaluators)
    make_private_folder(folder)
    paths = [folder / "parameters.json", *(folder / f"share-{share.index}.json" for share in shares)]
    for path in paths:
        if path.exists():
            raise ConfigurationError(ErrorCode.INVALID_FILE, path.name, "a file that is not there yet")
    try:
        write_public(paths[0], parameters.to_json().encode())
        for path, share in zip(paths[1:], shares, strict=True):
            write_secret(path, share.to_json().encode())
    except BaseException:
        # Some shares of a key that nobody will use are still shares: none stays behind.
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    return parameters, paths


def _refuse(name: str, key: str, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_SHARE, f"{name}: {key}", expected)


def read_share(path: Path, parameters: Parameters) -> ShareFile:
    """Reads a share file and checks every share against the commitments.

    Raises ConfigurationError INVALID_SHARE naming file and key: a wrong share would give every member wrong fingerprints.
    """
    name = path.name
    try:
        raw = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise _refuse(name, "file", f"readable, got {type(error).__name__}") from None
    except (ValueError, RecursionError):
        raise _refuse(name, "file", "a JSON object") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise _refuse(name, "format", str(FORMAT))
    index, shares = raw.get("index"), raw.get("shares")
    if raw.get("key_version") != parameters.key_version:
        raise _refuse(name, "key_version", f"{parameters.key_version}, as in the parameters")
    if raw.get("parameters_digest") != parameters.digest.hex():
        raise _refuse(name, "parameters_digest", "that of the parameters file beside it")
    if isinstance(index, bool) or not isinstance(index, int) or not 1 <= index <= parameters.evaluators:
        raise _refuse(name, "index", f"1 to {parameters.evaluators}")
    if not isinstance(shares, dict) or set(shares) != {kind.name for kind in Kind}:
        raise _refuse(name, "shares", "one for each kind")
    checked: dict[Kind, bytes] = {}
    for kind in Kind:
        try:
            scalar = group.secret_scalar(bytes.fromhex(shares[kind.name]))
            threshold.check_share(index, scalar, parameters.kinds[kind])
        except (TypeError, ValueError):
            raise _refuse(name, f"shares.{kind.name}", "a scalar in hexadecimal") from None
        except DaxaError as error:
            raise _refuse(name, f"shares.{kind.name}", error.expected) from None
        checked[kind] = scalar
    return ShareFile(index, parameters.key_version, parameters.digest, checked)


def read_parameters(path: Path) -> Parameters:
    """Reads a parameters file. Raises ConfigurationError naming file and key."""
    try:
        return Parameters.from_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        wanted = f"a readable file, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_PARAMETERS, path.name, wanted) from None
    except ConfigurationError as error:
        raise ConfigurationError(error.code, f"{path.name}: {error.field}", error.expected) from None
