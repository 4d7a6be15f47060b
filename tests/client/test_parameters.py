"""The parameters file: read whole, checked whole, refused by field."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from daxa_core import group, threshold
from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import Kind
from daxa_core.parameters import Parameters


def table() -> dict[str, Any]:
    """A right file, as JSON."""
    kinds = {k.name: {"commitments": [c.hex() for c in threshold.deal(group.random_scalar(), 2, 3)[0]]} for k in Kind}
    return {
        "format": 1, "suite": "ristretto255-SHA512", "key_version": 7, "canonical_version": 1, "threshold": 2,
        "evaluators": 3, "kinds": kinds,
    }  # fmt: skip


def test_what_is_written_is_read_again_with_the_same_digest() -> None:
    """The digest is of the content: order of keys and spaces do not change it, and one bit does."""
    raw = table()
    read = Parameters.from_json(json.dumps(raw))
    again = Parameters.from_json(read.to_json())
    assert again == read
    assert again.digest == read.digest
    assert len(read.digest) == 32
    reordered = json.dumps(dict(reversed(raw.items())), indent=7)
    assert Parameters.from_json(reordered).digest == read.digest
    assert Parameters.from_json(json.dumps(raw | {"key_version": 8})).digest != read.digest


def test_public_shares_are_the_committed_polynomials_values() -> None:
    """Each evaluator's public share is its secret share times the generator; the first commitment is the public key."""
    commitments, shares = threshold.deal(group.random_scalar(), 2, 3)
    raw = table()
    raw["kinds"]["DEVICE"]["commitments"] = [c.hex() for c in commitments]
    parameters = Parameters.from_json(json.dumps(raw))
    assert parameters.commitments(Kind.DEVICE) == tuple(commitments)
    assert parameters.public_key(Kind.DEVICE) == commitments[0]
    for share in shares:
        assert parameters.public_share(Kind.DEVICE, share.index) == group.base_multiply(share.scalar)


def drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw.pop(name)


def put(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw.__setitem__(name, value)


def commit(index: int, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw["kinds"]["KEY"]["commitments"].__setitem__(index, value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (drop("format"), "format"),
        (put("format", 2), "format"),
        (put("suite", "P256-SHA256"), "suite"),
        (put("key_version", 0), "key_version"),
        (put("key_version", True), "key_version"),
        (put("key_version", "1"), "key_version"),
        (put("canonical_version", 2), "canonical_version"),
        (put("threshold", 4), "threshold"),
        (put("threshold", 0), "threshold"),
        (put("evaluators", 256), "evaluators"),
        (put("evaluators", 3.0), "evaluators"),
        (put("colour", "red"), "colour"),
        (put("kinds", []), "kinds"),
        (lambda raw: raw["kinds"].pop("HOLDER"), "kinds"),
        (lambda raw: raw["kinds"].update(COLOUR={}), "kinds"),
        (lambda raw: raw["kinds"].update(KEY=3), "kinds.KEY.commitments"),
        (lambda raw: raw["kinds"]["KEY"]["commitments"].pop(), "kinds.KEY.commitments"),
        (commit(0, 5), "kinds.KEY.commitments"),
        (commit(1, "zz" * 32), "kinds.KEY.commitments[1]"),
        (commit(1, "00" * 32), "kinds.KEY.commitments[1]"),
        (commit(0, "ff" * 32), "kinds.KEY.commitments[0]"),
        (commit(0, "ab"), "kinds.KEY.commitments[0]"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(change: Callable[[dict[str, Any]], object], field: str) -> None:
    """Missing, of another type, out of range, no element, the identity: INVALID_PARAMETERS and the field."""
    raw = table()
    change(raw)
    with pytest.raises(ConfigurationError) as caught:
        Parameters.from_json(json.dumps(raw))
    assert (ErrorCode.INVALID_PARAMETERS, field) == (caught.value.code, caught.value.field)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "\0", '{"format": NaN}', "[" * 100_000])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    """Whatever the file holds, the error is a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        Parameters.from_json(text)
