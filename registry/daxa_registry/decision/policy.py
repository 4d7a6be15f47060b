"""A policy: the numbers that turn evidence into a verdict, read from TOML, refused where they make no sense, digested.

Refused with ``ConfigurationError`` (code ``INVALID_POLICY``, the field names the key): a key that is missing or unknown, a
number that is not finite or absurd, levels out of order, knots that do not rise, a curve that runs against its feature's
direction. The digest is BLAKE3 over the canonical content, so layout and comments may change without it.

>>> default_policy().levels.warn > default_policy().levels.monitor
True
"""

from __future__ import annotations

import itertools
import json
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from blake3 import blake3

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import Level
from daxa_registry.decision.features import FEATURES, INDEX, Direction, Hypothesis

SCHEMA = 1
DIGEST_CONTEXT = "daxa 2026-06 policy v1"
MAX_NATS = 12.0
MAX_FALL_MARGIN = 2.0
"""With more, a verdict would outlast nearly all that it rests on."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A named term over one feature: straight lines between the knots, level beyond them. ``values`` are nats."""

    code: str
    feature: int
    knots: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, x: float) -> float:
        knots, values = self.knots, self.values
        i = bisect_right(knots, x)
        if i == 0:
            return values[0]
        if i == len(knots):
            return values[-1]
        low = knots[i - 1]
        return values[i - 1] + (values[i] - values[i - 1]) * (x - low) / (knots[i] - low)


@dataclass(frozen=True, slots=True)
class Surface:
    """A named term over two features together: what both say at once, more or less than each says alone. Bilinear between
    the knots, level beyond them; it may run either way, as it only corrects what the curves of its features add."""

    code: str
    features: tuple[int, int]
    rows: tuple[float, ...]
    columns: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]  # by row knot, then by column knot

    def __call__(self, x: float, y: float) -> float:
        i, t = _between(self.rows, x)
        j, u = _between(self.columns, y)
        upper, lower = self.values[i], self.values[i + 1]
        above = upper[j] + (upper[j + 1] - upper[j]) * u
        return above + (lower[j] + (lower[j + 1] - lower[j]) * u - above) * t


@dataclass(frozen=True, slots=True)
class Weights:
    """One hypothesis: its log-odds before any evidence, and its terms."""

    prior: float
    curves: tuple[Curve, ...]
    surfaces: tuple[Surface, ...]
    half_life_hours: float


def _between(knots: tuple[float, ...], x: float) -> tuple[int, float]:
    """The interval that x lies in, and how far into it, 0..1."""
    if x <= knots[0]:
        return 0, 0.0
    last = len(knots) - 2
    if x >= knots[-1]:
        return last, 1.0
    i = bisect_right(knots, x) - 1
    return i, (x - knots[i]) / (knots[i + 1] - knots[i])


@dataclass(frozen=True, slots=True)
class Levels:
    """The score, in nats, from which each level holds."""

    monitor: float
    warn: float
    reauthenticate: float
    revoke: float

    def of(self, score: float) -> Level:
        """The level that a score supports."""
        if score < self.warn:
            return Level.MONITOR if score >= self.monitor else Level.CLEAR
        if score < self.reauthenticate:
            return Level.WARN
        return Level.REVOKE if score >= self.revoke else Level.REAUTHENTICATE


@dataclass(frozen=True, slots=True)
class LadderPolicy:
    """The verdict's life.

    ``grace_hours`` are the hours that a verdict stays below a level before it may rise to it; ``wind_down_hours`` those at
    ``REVOKE`` in which cancelling and closing stay open; ``valid_hours`` how long a verdict holds unless it is renewed.
    ``clean_credit`` is what a clean proof of the holder takes off the score, in nats; ``judged_margin`` by how much evidence
    has to exceed that which was judged false; ``fall_margin`` by how much the score has to be under a level to lose it.
    """

    grace_hours: Mapping[Level, int]
    wind_down_hours: int
    valid_hours: int
    clean_credit: float
    clean_half_life_hours: float
    judged_margin: float
    fall_margin: float


@dataclass(frozen=True, slots=True)
class Policy:
    """All of it. Equal digests mean equal decisions."""

    version: str
    digest: bytes
    levels: Levels
    leak_confirmed: float
    weights: Mapping[Hypothesis, Weights]
    ladder: LadderPolicy


def load_policy(text: str) -> Policy:
    """Reads a policy from TOML text. Raises ``ConfigurationError`` with code ``INVALID_POLICY`` naming the key."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise _refuse("policy", f"TOML ({wrong})") from None
    except (ValueError, RecursionError):
        raise _refuse("policy", "TOML without numbers of thousands of digits and tables thousands deep") from None
    top = _Reader(table, "")
    schema = top.number("schema", 1, 10_000)
    if schema != SCHEMA:
        raise _refuse("schema", f"{SCHEMA}, the one that this registry reads")
    version = top.text("version")
    levels = _levels(top.table("levels"))
    bounds = top.table("bounds")
    leak_confirmed = bounds.number("leak_confirmed", -MAX_NATS, 2 * MAX_NATS)
    bounds.done()
    if leak_confirmed < levels.revoke:
        raise _refuse("bounds.leak_confirmed", "levels.revoke or more: it goes to REVOKE at once")
    ladder = _ladder(top.table("ladder"))
    weights = {hypothesis: _weights(top.table(hypothesis.value), hypothesis) for hypothesis in Hypothesis}
    top.done()
    canonical = json.dumps(_canonical(table), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    digest = blake3(canonical.encode(), derive_key_context=DIGEST_CONTEXT).digest()
    return Policy(version, digest, levels, leak_confirmed, weights, ladder)


def default_policy_text() -> str:
    """The policy that comes with the package, as TOML."""
    return resources.files(__package__).joinpath("default_policy.toml").read_text("utf-8")


@cache
def default_policy() -> Policy:
    """The policy that comes with the package."""
    return load_policy(default_policy_text())


def _refuse(key: str, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_POLICY, key, expected)


def _canonical(value: Any) -> Any:
    """Numbers as floats, so that 1 and 1.0 are the same policy."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return float(value) if isinstance(value, int | float) else value


class _Reader:
    """One table of the file: hands out its keys with their checks, and refuses what nobody asked for."""

    def __init__(self, table: dict[str, Any], path: str) -> None:
        self._left = dict(table)
        self._path = path

    def name(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def take(self, key: str) -> Any:
        if key not in self._left:
            raise _refuse(self.name(key), "present")
        return self._left.pop(key)

    def number(self, key: str, low: float, high: float) -> float:
        return _number(self.take(key), self.name(key), low, high)

    def hours(self, key: str, low: int) -> int:
        value = self.number(key, low, 8_760)
        if value != int(value):
            raise _refuse(self.name(key), "whole hours")
        return int(value)

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not 1 <= len(value) <= 64 or not value.isprintable():
            raise _refuse(self.name(key), "1 to 64 printable characters")
        return value

    def numbers(self, key: str, low: float, high: float, least: int, most: int) -> tuple[float, ...]:
        return _numbers(self.take(key), self.name(key), low, high, least, most)

    def knots(self, key: str) -> tuple[float, ...]:
        knots = self.numbers(key, -1e6, 1e6, 2, 32)
        if any(not a < b for a, b in itertools.pairwise(knots)):
            raise _refuse(self.name(key), "rising")
        return knots

    def table(self, key: str) -> _Reader:
        value = self.take(key)
        if not isinstance(value, dict):
            raise _refuse(self.name(key), "a table")
        return _Reader(value, self.name(key))

    def tables(self, key: str, least: int = 1) -> list[_Reader]:
        """A list of tables; where none are needed, it may be missing."""
        value = self.take(key) if least else self._left.pop(key, [])
        if not isinstance(value, list) or len(value) < least or not all(isinstance(item, dict) for item in value):
            raise _refuse(self.name(key), "one table or more")
        return [_Reader(item, f"{self.name(key)}[{i}]") for i, item in enumerate(value)]

    def done(self) -> None:
        for key in self._left:
            raise _refuse(self.name(key), "no such key")


def _number(value: Any, key: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(key, "a number")
    if not low <= value <= high:  # nor where it is none or infinite, or has more digits than any float
        raise _refuse(key, f"{low:g} to {high:g}")
    return float(value)


def _numbers(value: Any, key: str, low: float, high: float, least: int, most: int | None = None) -> tuple[float, ...]:
    most = least if most is None else most
    if not isinstance(value, list) or not least <= len(value) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise _refuse(key, f"a list of {wanted} numbers")
    return tuple(_number(item, f"{key}[{i}]", low, high) for i, item in enumerate(value))


def _levels(reader: _Reader) -> Levels:
    names = ("monitor", "warn", "reauthenticate", "revoke")
    values = [reader.number(name, -2 * MAX_NATS, 2 * MAX_NATS) for name in names]
    reader.done()
    for lower, higher, name in zip(values, values[1:], names[1:], strict=False):
        if not lower < higher:
            raise _refuse(reader.name(name), "above the level before it")
    return Levels(*values)


def _ladder(reader: _Reader) -> LadderPolicy:
    graced = (Level.WARN, Level.REAUTHENTICATE, Level.REVOKE)
    policy = LadderPolicy(
        {level: reader.hours(f"{level.name.lower()}_hours", 0) for level in graced},
        reader.hours("wind_down_hours", 1),
        reader.hours("valid_hours", 1),
        reader.number("clean_credit", 0, 2 * MAX_NATS),
        24 * reader.number("clean_half_life_days", 0.1, 3_650),
        reader.number("judged_margin", 0, MAX_NATS),
        reader.number("fall_margin", 0, MAX_FALL_MARGIN),
    )
    reader.done()
    return policy


def _weights(reader: _Reader, hypothesis: Hypothesis) -> Weights:
    prior = reader.number("prior", -2 * MAX_NATS, 0)
    half_life = 24 * reader.number("half_life_days", 0.1, 3_650)
    curves = tuple(_curve(item, hypothesis) for item in reader.tables("term"))
    surfaces = tuple(_surface(item) for item in reader.tables("pair", least=0))
    reader.done()
    codes = [*(curve.code for curve in curves), *(surface.code for surface in surfaces)]
    for code in codes:
        if codes.count(code) > 1:
            raise _refuse(f"{hypothesis.value}.{code}", "one term of that code")
    return Weights(prior, curves, surfaces, half_life)


def _curve(reader: _Reader, hypothesis: Hypothesis) -> Curve:
    code = reader.text("code")
    feature = _feature(reader.text("feature"), reader.name("feature"))
    knots = reader.knots("knots")
    values = reader.numbers("values", -MAX_NATS, MAX_NATS, len(knots), len(knots))
    reader.done()
    if FEATURES[feature].hypothesis is hypothesis:
        _check_direction(values, feature, reader.name("values"))
    return Curve(code, feature, knots, values)


def _surface(reader: _Reader) -> Surface:
    code = reader.text("code")
    names = reader.take("features")
    if not isinstance(names, list) or len(names) != 2 or names[0] == names[1]:
        raise _refuse(reader.name("features"), "two different features")
    first, second = (_feature(name, reader.name("features")) for name in names)
    rows, columns = reader.knots("rows"), reader.knots("columns")
    lines = reader.take("values")
    if not isinstance(lines, list) or len(lines) != len(rows):
        raise _refuse(reader.name("values"), f"{len(rows)} lists, one for each of rows")
    where = reader.name("values")
    values = tuple(_numbers(line, f"{where}[{i}]", -MAX_NATS, MAX_NATS, len(columns)) for i, line in enumerate(lines))
    reader.done()
    return Surface(code, (first, second), rows, columns, values)


def _feature(name: object, key: str) -> int:
    if not isinstance(name, str) or name not in INDEX:
        raise _refuse(key, "a feature of the evidence")
    return INDEX[name]


def _check_direction(values: tuple[float, ...], feature: int, key: str) -> None:
    direction = FEATURES[feature].direction
    if direction is not Direction.FREE and any((b - a) * direction < 0 for a, b in itertools.pairwise(values)):
        way = "rising" if direction is Direction.UP else "falling"
        raise _refuse(key, f"{way}, as {FEATURES[feature].name} only can")
