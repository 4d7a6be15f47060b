"""Back-testing: raw sightings through the canonical form, the matching and the decision of the live path.

Fingerprints are made under a throw-away key that is never written down. Time is the sightings' own. A line that is wrong is
refused with its number and the field, and the rest goes on. One rule differs from the live path on purpose: private and
documentation addresses are taken (and counted), because data made up for a test should not name real hosts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from daxa_core import group, oprf
from daxa_core.canonical import (
    canonical_address,
    canonical_device,
    canonical_holder,
    canonical_key,
    canonical_network,
    device_from_text,
)
from daxa_core.errors import DaxaError, ErrorCode, InvalidInput
from daxa_core.model import MAX_COUNT, SECONDS_PER_HOUR, Kind, Level, Manner, Sighting
from daxa_core.pseudonym import SECRET_BYTES, account_pseudonym

from .decision.policy import Policy
from .service.matching import Matcher, reasons_of
from .store.interface import Store

MANNERS = {"use": Manner.USED, "auth_fail": Manner.REJECTED, "allowlist": Manner.DECLARED}
CHUNK = 20_000
MAX_TS = 2**32 * SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was refused: its number from 1, and why."""

    number: int
    error: DaxaError


@dataclass(frozen=True, slots=True)
class Line:
    """One verdict as it is written."""

    exchange: str
    key: str
    level: Level
    score: float
    reasons: list[dict[str, object]]

    def to_json(self) -> str:
        return json.dumps(
            {
                "exchange": self.exchange,
                "key": self.key,
                "level": int(self.level),
                "score": round(self.score, 6),
                "reasons": self.reasons,
            },
            ensure_ascii=False,
        )


class ThrowAwayKeys:
    """Evaluates every kind's function in one place, under keys of this run. The pseudonyms' secret is thrown away too."""

    def __init__(self) -> None:
        self._secrets = {kind: group.random_scalar() for kind in Kind}
        self._members: dict[str, bytes] = {}
        self.key = lru_cache(1_000_000)(self._key)
        self.address = lru_cache(1_000_000)(self._address)
        self.device = lru_cache(1_000_000)(self._device)
        self.holder = lru_cache(1_000_000)(self._holder)
        self.account = lru_cache(1_000_000)(self._account)

    def _of(self, kind: Kind, canonical: bytes) -> bytes:
        return group.multiply(self._secrets[kind], oprf.hash_input(canonical))

    def _key(self, key: str) -> bytes:
        return self._of(Kind.KEY, canonical_key(key))

    def _address(self, address: str) -> tuple[bytes, bytes]:
        return (
            self._of(Kind.ADDRESS, canonical_address(address, allow_non_global=True)),
            self._network(canonical_network(address, allow_non_global=True)),
        )

    @lru_cache(1_000_000)  # noqa: B019 - one object a run
    def _network(self, canonical: bytes) -> bytes:
        return self._of(Kind.NETWORK, canonical)

    def _device(self, device: str) -> bytes:
        return self._of(Kind.DEVICE, canonical_device(device_from_text(device)))

    def _holder(self, holder: str) -> bytes:
        return self._of(Kind.HOLDER, canonical_holder(holder))

    def _account(self, exchange: str, account: str) -> bytes:
        secret = self._members.setdefault(exchange, group.random_scalar()[:SECRET_BYTES])
        return account_pseudonym(secret, account)


class Backtest:
    """One run over an empty store.

    >>> run = Backtest(store, policy)                # doctest: +SKIP
    >>> for bad in run.read(open("in.jsonl", "rb")): print(bad.number, bad.error)   # doctest: +SKIP
    >>> for line in run.verdicts(): print(line.to_json())                            # doctest: +SKIP
    """

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self._matcher = Matcher(store, policy)
        self._keys = ThrowAwayKeys()
        self._named: dict[tuple[str, bytes], str] = {}
        self._subjects: dict[tuple[str, str], int] = {}
        self.sightings = 0
        self.last_ts = 0

    def declare(self, entries: object) -> None:
        """Takes the infrastructure that operators vouch for. Raises InvalidInput naming the entry and field that is wrong."""
        if not isinstance(entries, list):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "declared", "a list of {name, ips, device}")
        with self._store.transaction():
            for number, entry in enumerate(entries):
                where = f"declared[{number}]"
                if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                    raise InvalidInput(ErrorCode.MISSING_FIELD, f"{where}.name", "a text")
                addresses = entry.get("ips")
                if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
                    raise InvalidInput(ErrorCode.INVALID_VALUE, f"{where}.ips", "a list of addresses")
                for address in addresses:
                    try:
                        fingerprint, _ = self._keys.address(address)
                    except DaxaError as error:
                        raise error.within(where) from None
                    self._store.infrastructure(Kind.ADDRESS, fingerprint, entry["name"], 2**62)

    def read(self, lines: Iterable[bytes]) -> Iterator[BadLine]:
        """Takes the lines in, yielding those that are refused. Blank lines are passed over."""
        pending: list[tuple[int, str, Sighting, str]] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                exchange, sighting, key, ts = self._parse(line)
            except DaxaError as error:
                yield BadLine(number, error)
                continue
            self.last_ts = max(self.last_ts, ts)
            pending.append((number, exchange, sighting, key))
            if len(pending) >= CHUNK:
                self._take(pending)
                pending.clear()
        self._take(pending)

    def _parse(self, line: bytes) -> tuple[str, Sighting, str, int]:
        raw = _object(line)
        ts = _number(raw, "ts", 0, MAX_TS)
        exchange = _text(raw, "exchange", 64)
        key = _text(raw, "key", 1_000)
        manner = MANNERS.get(raw.get("kind"))  # type: ignore[arg-type]
        if manner is None:
            raise InvalidInput(ErrorCode.UNKNOWN_MANNER, "kind", "use, auth_fail or allowlist")
        count = int(_number(raw, "count", 1, MAX_COUNT))
        device, holder, account = (
            _optional(raw, name, bound) for name, bound in (("device", 2_000), ("holder", 128), ("account", 256))
        )
        keys = self._keys
        address, network = _field("ip", keys.address, _text(raw, "ip", 128))
        sighting = Sighting(
            _field("key", keys.key, key),
            address,
            network,
            int(ts) // SECONDS_PER_HOUR,
            manner,
            1 if manner is Manner.DECLARED else count,
            keys.device(device) if device else None,
            keys.holder(holder) if holder else None,
            keys.account(exchange, account) if account else None,
        )
        return exchange, sighting, key, int(ts)

    def _take(self, pending: list[tuple[int, str, Sighting, str]]) -> None:
        self.sightings += len(pending)
        by_exchange: dict[str, list[tuple[Sighting, str]]] = {}
        for _, exchange, sighting, key in pending:
            by_exchange.setdefault(exchange, []).append((sighting, key))
        with self._store.transaction():
            for exchange, group_ in by_exchange.items():
                member = self._store.member_id(exchange)
                absorbed = self._store.absorb(member, [sighting for sighting, _ in group_], _own)
                for (sighting, key), subject in zip(group_, absorbed.subjects, strict=True):
                    if subject is not None and sighting.manner is not Manner.REJECTED:
                        self._subjects.setdefault((exchange, key), subject)

    def verdicts(self) -> Iterator[Line]:
        """One line for each (exchange, key) that was used or declared, as of the last sighting's time."""
        found: dict[int, tuple[float, Level, list[dict[str, object]]]] = {}
        for _, _, assessment, subject in self._assessed():
            reasons: list[dict[str, object]] = [
                {"code": r.code, "contribution": r.contribution, "count": r.count.name}
                for r in (reasons_of(assessment) if assessment.level else ())
            ]
            found[subject] = (assessment.score, assessment.level, reasons)
        for (exchange, key), subject in self._subjects.items():
            score, level, reasons = found.get(subject, (0.0, Level.CLEAR, []))
            yield Line(exchange, key, level, score, reasons)

    def _assessed(self) -> Iterator[tuple[Any, Any, Any, int]]:
        with self._store.transaction():
            subjects = sorted(set(self._subjects.values()))
            for neighbourhood, evidence, assessment in self._matcher.assessments(subjects, self.last_ts):
                yield neighbourhood, evidence, assessment, neighbourhood.subject.id


def _own(fingerprints: Sequence[bytes]) -> Mapping[bytes, DaxaError]:
    """Fingerprints of this run come from this process: they are elements."""
    return {}


def _object(line: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "line", "one JSON object in UTF-8") from None
    if not isinstance(raw, dict):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "line", "one JSON object")
    return raw


def _number(raw: dict[str, Any], name: str, low: int, high: int) -> float:
    value = raw.get(name)
    if value is None:
        raise InvalidInput(ErrorCode.MISSING_FIELD, name, f"a number from {low} to {high}")
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise InvalidInput(ErrorCode.INVALID_VALUE, name, f"a number from {low} to {high}")
    return value


def _text(raw: dict[str, Any], name: str, most: int) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        code = ErrorCode.MISSING_FIELD if value is None else ErrorCode.INVALID_VALUE
        raise InvalidInput(code, name, f"a text of 1 to {most} characters")
    return value


def _optional(raw: dict[str, Any], name: str, most: int) -> str | None:
    return None if raw.get(name) in (None, "") else _text(raw, name, most)


def _field(name: str, of: Callable[[str], Any], value: str) -> Any:
    try:
        return of(value)
    except DaxaError as error:
        raise type(error)(error.code, name, error.expected) from None
