"""The public parameters of one fingerprinting key version: commitments by kind, checked whole when they are read.

Every member and evaluator has a copy of the same file, and the digest tells whether they have.

    >>> Parameters.from_json("{}")
    Traceback (most recent call last):
        ...
    daxa_core.errors.ConfigurationError: INVALID_PARAMETERS: format: 1
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import suite, threshold
from .canonical import CANONICAL_VERSION
from .errors import ConfigurationError, DaxaError, ErrorCode
from .model import Kind
from .pseudonym import digest

FORMAT = 1
_CONTEXT = "daxa parameters v1"
_FIELDS = frozenset({"format", "suite", "key_version", "canonical_version", "threshold", "evaluators", "kinds"})


def _refuse(field: str, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_PARAMETERS, field, expected)


def _whole(table: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = table.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _refuse(name, f"a whole number from {low} to {high}")
    return value


@dataclass(frozen=True, slots=True)
class Parameters:
    """What everybody may know of the key: its version, how it is shared, and the commitments of each kind."""

    key_version: int
    canonical_version: int
    threshold: int
    evaluators: int
    kinds: Mapping[Kind, tuple[bytes, ...]]

    @classmethod
    def from_json(cls, text: str) -> Parameters:
        """Reads and checks the file's text. Raises ConfigurationError INVALID_PARAMETERS naming the field."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            raise _refuse("", "a JSON object") from None
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise _refuse("format", f"{FORMAT}")
        if raw.get("suite") != suite.IDENTIFIER:
            raise _refuse("suite", suite.IDENTIFIER)
        for name in raw:
            if name not in _FIELDS:
                raise _refuse(str(name)[:64], "no such field")
        key_version = _whole(raw, "key_version", 1, 2**31)
        canonical = _whole(raw, "canonical_version", CANONICAL_VERSION, CANONICAL_VERSION)
        evaluators = _whole(raw, "evaluators", 1, threshold.MAX_EVALUATORS)
        needed = _whole(raw, "threshold", 1, evaluators)
        table = raw.get("kinds")
        if not isinstance(table, dict) or set(table) != {kind.name for kind in Kind}:
            raise _refuse("kinds", "KEY, ADDRESS, NETWORK, DEVICE and HOLDER")
        return cls(
            key_version, canonical, needed, evaluators, {k: _commitments(k, table[k.name], needed) for k in Kind}
        )

    def to_json(self) -> str:
        """The file's text; :meth:`from_json` reads it."""
        return json.dumps(self._table(), indent=1, sort_keys=True) + "\n"

    def _table(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "suite": suite.IDENTIFIER,
            "key_version": self.key_version,
            "canonical_version": self.canonical_version,
            "threshold": self.threshold,
            "evaluators": self.evaluators,
            "kinds": {k.name: {"commitments": [c.hex() for c in values]} for k, values in self.kinds.items()},
        }

    @property
    def digest(self) -> bytes:
        """32 bytes over the canonical JSON: equal for equal parameters."""
        return digest(_CONTEXT, json.dumps(self._table(), sort_keys=True, separators=(",", ":")).encode())

    def commitments(self, kind: Kind) -> tuple[bytes, ...]:
        """The commitments to a kind's polynomial, ``threshold`` of them, 32 bytes each."""
        return self.kinds[kind]

    def public_key(self, kind: Kind) -> bytes:
        """The group's public key of a kind."""
        return self.kinds[kind][0]

    def public_share(self, kind: Kind, index: int) -> bytes:
        """The public share of the evaluator at ``index``, from 1."""
        return threshold.public_share(index, self.kinds[kind])


def _commitments(kind: Kind, entry: object, needed: int) -> tuple[bytes, ...]:
    field = f"kinds.{kind.name}.commitments"
    listed = entry.get("commitments") if isinstance(entry, dict) else None
    if not isinstance(listed, list) or len(listed) != needed or not all(isinstance(item, str) for item in listed):
        raise _refuse(field, f"{needed} elements in hexadecimal")
    out = []
    for index, item in enumerate(listed):
        try:
            out.append(suite.deserialize_element(bytes.fromhex(item)))
        except ValueError:
            raise _refuse(f"{field}[{index}]", "hexadecimal") from None
        except DaxaError as error:
            raise _refuse(f"{field}[{index}]", error.expected) from None
    return tuple(out)
