"""What a submission is made of, without any I/O: canonical bytes, batches of the wire, and what the answers say.

Both the blocking client and an asynchronous one stand on it: prepare, have ``wanted`` fingerprinted, send each batch, take each
answer. An item that cannot be canonicalised is refused by its place in the caller's list, and the others go on.

    >>> canonicaliser = Canonicaliser(account_secret=bytes(32), allow_non_global=False)
    >>> prepared = prepare([RawSighting("k" * 40, "10.0.0.1", 495_000)], canonicaliser)
    >>> [(refusal.index, str(refusal.code), refusal.field) for refusal in prepared.refusals]
    [(0, 'INVALID_ADDRESS', 'address')]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from daxa_api.v1 import sighting_pb2
from daxa_core import codec
from daxa_core.canonical import canonical_device, canonical_holder, canonical_key, canonical_place
from daxa_core.errors import CryptoError, DaxaError, ErrorCode, InvalidInput
from daxa_core.model import (
    MAX_COUNT,
    MAX_SIGHTINGS,
    Device,
    Kind,
    Manner,
    RawSighting,
    Refusal,
    Sighting,
    Verdict,
)
from daxa_core.parameters import Parameters
from daxa_core.pseudonym import account_pseudonym

from ._errors import ROLE, malformed
from ._verification import Verifier
from ._yielding import yielding

LAST_HOUR = 2**32 - 1
REMEMBERED = 10_000
_K = TypeVar("_K")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """What became of a submission. Refusals' indexes are places in the caller's list; ``verdicts`` is by raw key.

    Every key of an accepted sighting is in ``verdicts``; one that was never anything else is CLEAR with sequence 0. Where the
    answer held a verdict that was not to be believed, ``distrusted`` says why, and a key of that batch without another one is
    not in ``verdicts``: nothing is known of it. ``of_no_use`` are the keys that this member has refused and never seen used: of
    no use to whoever presents them here; whether another issued them is told to that one alone.
    """

    accepted: int
    refusals: tuple[Refusal, ...]
    verdicts: dict[str, Verdict] = field(repr=False)
    distrusted: tuple[CryptoError, ...] = ()
    of_no_use: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(slots=True)
class _Item:
    """One sighting's canonical bytes; ``index`` is its place in the caller's list."""

    index: int
    raw: RawSighting
    key: bytes
    address: bytes
    network: bytes
    device: bytes | None
    holder: bytes | None
    account: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """One call's worth of sightings, and the way back from its answer to the caller's own words."""

    request: sighting_pb2.SubmitSightingsRequest = field(repr=False)
    places: tuple[int, ...]
    raw_keys: tuple[str, ...] = field(repr=False)
    keys: tuple[bytes, ...]


def checked_key(key: object) -> bytes:
    """The canonical bytes of a raw key of any type. Raises InvalidInput INVALID_KEY."""
    if not isinstance(key, str):
        raise InvalidInput(ErrorCode.INVALID_KEY, "key", "a text")
    return canonical_key(key)


def _of_type(code: ErrorCode, name: str, make: Callable[[], _T]) -> _T:
    """What ``make`` gives; a caller's value of a wrong type is refused like any other wrong value, not raised as a bug."""
    try:
        return make()
    except (TypeError, ValueError, AttributeError):
        raise InvalidInput(code, name, "a value of the documented type") from None


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


class Canonicaliser:
    """Checks and canonicalises one sighting after another, for as long as a client lives: few addresses, devices and accounts
    stand behind many sightings, in a submission and from one to the next. Thread-safe; what it remembers is bounded."""

    def __init__(self, account_secret: bytes, allow_non_global: bool) -> None:
        self._secret = account_secret
        self._allow_non_global = allow_non_global
        self._addresses: dict[str, tuple[bytes, bytes]] = {}
        self._devices: dict[Device, bytes] = {}
        self._accounts: dict[str, bytes] = {}

    def item(self, index: int, raw: RawSighting) -> _Item:
        """Raises InvalidInput naming the field."""
        if not isinstance(raw, RawSighting):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "sighting", "a RawSighting")
        hour, count = raw.hour, raw.count
        if not (type(hour) is int and 0 <= hour <= LAST_HOUR) and not _whole(hour, 0, LAST_HOUR):
            raise InvalidInput(ErrorCode.HOUR_OUT_OF_WINDOW, "hour", "whole hours since 1970")
        if not isinstance(raw.manner, Manner):
            raise InvalidInput(ErrorCode.UNKNOWN_MANNER, "manner", "a Manner")
        most = 1 if raw.manner is Manner.DECLARED else MAX_COUNT
        if not (type(count) is int and 1 <= count <= most) and not _whole(count, 1, most):
            wanted = f"1 to {MAX_COUNT}, and 1 where the manner is DECLARED"
            raise InvalidInput(ErrorCode.COUNT_OUT_OF_RANGE, "count", wanted)
        address, network = self._address(raw.address)
        return _Item(
            index, raw, checked_key(raw.key), address, network,
            self._device(raw.device), self._holder(raw.holder), self._account(raw.account),
        )  # fmt: skip

    def _address(self, address: str) -> tuple[bytes, bytes]:
        if not isinstance(address, str):
            raise InvalidInput(ErrorCode.INVALID_ADDRESS, "address", "an IPv4 or IPv6 address as text")
        both = self._addresses.get(address)
        if both is None:
            both = canonical_place(address, self._allow_non_global)
            _remember(self._addresses, address, both)
        return both

    def _device(self, device: Device | None) -> bytes | None:
        if device is None:
            return None
        try:
            known = self._devices.get(device)
        except TypeError:  # a part cannot be hashed: it may be canonical all the same, but cannot be remembered
            return _of_type(ErrorCode.INVALID_DEVICE, "device", lambda: canonical_device(device))
        if known is None:
            known = _of_type(ErrorCode.INVALID_DEVICE, "device", lambda: canonical_device(device))
            _remember(self._devices, device, known)
        return known

    def _holder(self, holder: bytes | str | None) -> bytes | None:
        if holder is None:
            return None
        if not isinstance(holder, bytes | str):  # bytes(7) would be seven zeros
            raise InvalidInput(ErrorCode.INVALID_HOLDER, "holder", "bytes")
        return canonical_holder(holder)

    def _account(self, account: str | None) -> bytes | None:
        if account is None:
            return None
        if not isinstance(account, str):
            raise InvalidInput(ErrorCode.INVALID_ACCOUNT, "account", "a text")
        pseudonym = self._accounts.get(account)
        if pseudonym is None:
            pseudonym = account_pseudonym(self._secret, account)
            _remember(self._accounts, account, pseudonym)
        return pseudonym


def _remember(known: dict[_K, _T], name: _K, value: _T) -> None:
    if len(known) >= REMEMBERED:
        known.clear()
    known[name] = value


@dataclass(slots=True)
class Prepared:
    """A submission before fingerprinting: the items that may go, the refusals of those that may not."""

    items: list[_Item] = field(repr=False)
    refusals: list[Refusal]

    def wanted(self) -> dict[Kind, list[bytes]]:
        """The distinct canonical values of each kind that have to be fingerprinted."""
        sets: dict[Kind, dict[bytes, None]] = {kind: {} for kind in Kind}
        for item in self.items:
            sets[Kind.KEY][item.key] = None
            sets[Kind.ADDRESS][item.address] = None
            sets[Kind.NETWORK][item.network] = None
            if item.device is not None:
                sets[Kind.DEVICE][item.device] = None
            if item.holder is not None:
                sets[Kind.HOLDER][item.holder] = None
        return {kind: list(values) for kind, values in sets.items() if values}

    def batches(
        self, prints: Mapping[bytes, bytes], member: str, parameters: Parameters, new_id: Callable[[], bytes]
    ) -> Iterator[Batch]:
        """The calls to make, each with an id of its own. A full one is about a quarter of the wire's 1 MiB."""
        for start in range(0, len(self.items), MAX_SIGHTINGS):
            part = self.items[start : start + MAX_SIGHTINGS]
            request = sighting_pb2.SubmitSightingsRequest(
                batch_id=new_id(),
                member=member,
                key_version=parameters.key_version,
                canonical_version=parameters.canonical_version,
            )
            for item in yielding(part):
                codec.write_sighting(_sighting(item, prints), request.sightings.add())
            yield Batch(
                request,
                tuple([item.index for item in part]),
                tuple([item.raw.key for item in part]),
                tuple([prints[item.key] for item in part]),
            )


def _sighting(item: _Item, prints: Mapping[bytes, bytes]) -> Sighting:
    raw = item.raw
    return Sighting(
        prints[item.key],
        prints[item.address],
        prints[item.network],
        raw.hour,
        raw.manner,
        raw.count,
        None if item.device is None else prints[item.device],
        None if item.holder is None else prints[item.holder],
        item.account,
    )


def prepare(sightings: Iterable[RawSighting], canonicaliser: Canonicaliser) -> Prepared:
    """Checks and canonicalises each; what is wrong is refused by its place, and the rest goes on."""
    prepared = Prepared([], [])
    for index, raw in enumerate(yielding(list(sightings))):
        try:
            prepared.items.append(canonicaliser.item(index, raw))
        except DaxaError as error:
            prepared.refusals.append(Refusal(index, error.code, error.field, error.expected))
    return prepared


class Tally:
    """Sums up the answers of a submission's batches."""

    def __init__(self, refusals: Sequence[Refusal], verifier: Verifier) -> None:
        self._accepted = 0
        self._refusals = list(refusals)
        self._verdicts: dict[str, Verdict] = {}
        self._verifier = verifier
        self._distrusted: list[CryptoError] = []
        self._of_no_use: set[str] = set()

    def take(self, batch: Batch, response: sighting_pb2.SubmitSightingsResponse, known: Mapping[bytes, int]) -> None:
        """One batch's answer; ``known`` is what the verifier knew of the batch's keys before the batch was sent.

        Raises Unavailable INTERNAL where the answer does not fit the batch.
        """
        number = len(batch.places)
        refused = {refusal.index for refusal in response.refusals}
        if response.accepted + len(refused) != number or any(index >= number for index in refused):
            raise malformed(ROLE, "in which the accepted and the refused are the batch")
        # Two raw keys may have one canonical form (a UUID in capitals): each gets the verdict.
        pairs: Iterable[tuple[bytes, str]] = zip(batch.keys, batch.raw_keys, strict=True)
        if refused:
            pairs = ((key, raw) for index, (key, raw) in enumerate(pairs) if index not in refused)
        raw_keys: dict[bytes, list[str]] = {}
        for key, raw in dict.fromkeys(pairs):
            raw_keys.setdefault(key, []).append(raw)
        answer = self._verifier.answer(response.verdicts, list(raw_keys), known)
        self._accepted += response.accepted
        for refusal in map(codec.read_refusal, response.refusals):
            place = batch.places[refusal.index]
            self._refusals.append(Refusal(place, refusal.code, refusal.field, refusal.expected))
        self._distrusted += answer.distrusted
        for key in response.of_no_use:
            self._of_no_use.update(raw_keys.get(key, ()))
        for key, raws in raw_keys.items():
            verdict = answer.verdicts.get(key)
            if verdict is not None:
                self._verdicts.update(dict.fromkeys(raws, verdict))
            elif not answer.distrusted:
                for raw in raws:
                    self._verdicts.setdefault(raw, Verdict(key))

    def result(self) -> SubmitResult:
        """What became of it so far."""
        refusals = tuple(sorted(self._refusals, key=lambda refusal: refusal.index))
        return SubmitResult(
            self._accepted, refusals, dict(self._verdicts), tuple(self._distrusted), frozenset(self._of_no_use)
        )
