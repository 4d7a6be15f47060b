"""Back-testing: raw sightings through the canonical form, the matching and the decision of the live path.

Fingerprints are made under a throw-away key that is never written down. Time is the sightings' own. A line that is wrong is
refused with its number and the field, and the rest goes on. One rule differs from the live path on purpose: private and
documentation addresses are taken (and counted), because data made up for a test should not name real hosts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

from .decision.assess import all_heard
from .decision.policy import Policy
from .service.matching import Matcher, reasons_of
from .store.interface import Store

MANNERS = {"use": Manner.USED, "auth_fail": Manner.REJECTED, "allowlist": Manner.DECLARED}
CHUNK = 20_000
MAX_TS = 2**32 - 1
"""In the year 2106: milliseconds are told, and hours of one key that lie ages apart take no memory."""
TEXTS = ("exchange", "key", "device", "holder", "account", "ip")


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
    """Evaluates every kind's function in one place, under keys of this run. The pseudonyms' secret is thrown away too.

    Each raw value is checked, canonicalised and evaluated once. What is wrong is refused with the line's own name for the field.
    """

    def __init__(self) -> None:
        self._secrets = {kind: group.random_scalar() for kind in Kind}
        self._members: dict[str, bytes] = {}
        self.exchange = lru_cache(1_000)(self._exchange)
        self.key = lru_cache(1_000_000)(self._key)
        self.address = lru_cache(1_000_000)(self._address)
        self.device = lru_cache(1_000_000)(self._device)
        self.holder = lru_cache(1_000_000)(self._holder)
        self.account = lru_cache(1_000_000)(self._account)

    def _of(self, kind: Kind, canonical: bytes) -> bytes:
        return group.multiply(self._secrets[kind], oprf.hash_input(canonical))

    def _exchange(self, exchange: object) -> str:
        name = _text(exchange, "exchange", 64)
        if not name.isprintable():
            raise InvalidInput(ErrorCode.INVALID_VALUE, "exchange", "printable characters")
        return name

    def _key(self, key: object) -> bytes:
        return self._of(Kind.KEY, canonical_key(_text(key, "key", 1_000)))

    def _address(self, address: object) -> tuple[bytes, bytes]:
        """The address and its network."""
        text = _text(address, "ip", 128)
        try:
            canonical = canonical_address(text, allow_non_global=True), canonical_network(text, allow_non_global=True)
        except DaxaError as error:
            raise type(error)(error.code, "ip", error.expected) from None
        return self._of(Kind.ADDRESS, canonical[0]), self._network(canonical[1])

    @lru_cache(1_000_000)  # noqa: B019 - one object a run
    def _network(self, canonical: bytes) -> bytes:
        return self._of(Kind.NETWORK, canonical)

    def _device(self, device: object) -> bytes | None:
        if device in (None, ""):
            return None
        return self._of(Kind.DEVICE, canonical_device(device_from_text(_text(device, "device", 2_000))))

    def _holder(self, holder: object) -> bytes | None:
        if holder in (None, ""):
            return None
        return self._of(Kind.HOLDER, canonical_holder(_text(holder, "holder", 128)))

    def _account(self, exchange: str, account: object) -> bytes | None:
        if account in (None, ""):
            return None
        secret = self._members.setdefault(exchange, group.random_scalar()[:SECRET_BYTES])
        return account_pseudonym(secret, _text(account, "account", 256))


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
                        raise type(error)(error.code, f"{where}.ips", error.expected) from None
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
        get, keys = raw.get, self._keys
        try:
            ts = _number(get("ts"), "ts", 0, MAX_TS)
            exchange, key = keys.exchange(get("exchange")), keys.key(get("key"))
            kind = get("kind")
            manner = MANNERS.get(kind) if isinstance(kind, str) else None
            count = _number(get("count"), "count", int(manner is not Manner.DECLARED), MAX_COUNT)
            device, holder, account = (
                keys.device(get("device")), keys.holder(get("holder")), keys.account(exchange, get("account")),
            )  # fmt: skip
            address, network = keys.address(get("ip"))
        except TypeError:  # a list or an object has no hash, so no look-up takes it
            for name in TEXTS:
                if isinstance(get(name), list | dict):
                    raise InvalidInput(ErrorCode.INVALID_VALUE, name, "a text") from None
            raise
        if manner is None:
            raise InvalidInput(ErrorCode.UNKNOWN_MANNER, "kind", "use, auth_fail or allowlist")
        if manner is Manner.DECLARED:
            count = 1
        hour = int(ts) // SECONDS_PER_HOUR
        sighting = Sighting(key, address, network, hour, manner, int(count), device, holder, account)
        return exchange, sighting, raw["key"], int(ts)

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
        for _, evidence, exact, subject in self._assessed():
            assessment = all_heard(exact, evidence, self._matcher.policy, self.last_ts)
            reasons: list[dict[str, object]] = [
                {"code": r.code, "contribution": r.contribution, "count": r.count.name}
                for r in reasons_of(assessment, assessment.level)
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
        raw = json.loads(line.decode("utf-8").removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "line", "one JSON object in UTF-8") from None
    if not isinstance(raw, dict):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "line", "one JSON object")
    return raw


def _number(value: object, name: str, low: int, high: int) -> float:
    # The bounds refuse what is not a number or infinite too; a JSON number may be too large for any float.
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return value
    code = ErrorCode.MISSING_FIELD if value is None else ErrorCode.INVALID_VALUE
    raise InvalidInput(code, name, f"a number from {low} to {high}")


def _text(value: object, name: str, most: int) -> str:
    if isinstance(value, str) and 1 <= len(value) <= most:
        return value
    code = ErrorCode.MISSING_FIELD if value is None else ErrorCode.INVALID_VALUE
    raise InvalidInput(code, name, f"a text of 1 to {most} characters")
