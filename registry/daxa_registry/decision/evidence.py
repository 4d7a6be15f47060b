"""Evidence: all that a verdict on one subject rests on, as plain numbers that can be stored and replayed.

The same features are computed several times, each time as if some foreign members had reported nothing: a *view*. The first
view leaves nobody out; then each foreign member that matters is left out, then each two of the first eight of them.
``assess`` bounds with them what one member can do (see ``bound``). Evidence does not age: it carries when each hypothesis was
last fed, and ``assess`` lets the old weigh less.

>>> Evidence.from_bytes(evidence.to_bytes()) == evidence  # doctest: +SKIP
True
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from blake3 import blake3

from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import Manner
from daxa_registry.decision.breadth import breadth_of
from daxa_registry.decision.company import NOTHING as NO_COMPANY
from daxa_registry.decision.company import company_of
from daxa_registry.decision.features import EVIDENCE_VERSION, FEATURES
from daxa_registry.decision.graph import Neighbourhood, Population
from daxa_registry.decision.places import PlaceFacts
from daxa_registry.decision.refusals import NOTHING as NO_REFUSALS
from daxa_registry.decision.refusals import refusals_of

DIGEST_CONTEXT = "daxa 2026-06 evidence v1"
MAX_PAIRED = 8
_HEAD = struct.Struct(">BIIqqqHH")
_WIDTH = struct.Struct(f">{len(FEATURES)}d")


Values = tuple[float, ...]


class View:
    """The features as if the members ``without`` had reported nothing.

    ``values`` has them, or says them when first asked: most views of most decisions decide nothing, and nobody asks.
    """

    __slots__ = ("_values", "without")

    def __init__(self, without: tuple[int, ...], values: Values | Callable[[], Values]) -> None:
        self.without = without
        self._values = values

    @property
    def values(self) -> Values:
        """In the order of ``FEATURES``."""
        if not isinstance(self._values, tuple):
            self._values = self._values()
        return self._values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, View) and (self.without, self.values) == (other.without, other.values)

    def __hash__(self) -> int:
        return hash((self.without, self.values))

    def __repr__(self) -> str:
        return f"View({self.without}, {self.values})"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one subject at one time. Hours are since the epoch; 0 where nothing was ever seen.

    ``hub_subjects`` counts the subjects on its largest suppressed place (0: none); ``operator_hour``, ``parties_hour`` and
    ``leak_hour`` say when the key was last on a shared address, last used, last refused from a stranger's.
    """

    hub_subjects: int
    infrastructure: int
    operator_hour: int
    parties_hour: int
    leak_hour: int
    views: tuple[View, ...]

    def to_bytes(self) -> bytes:
        """Canonical: equal evidence gives equal bytes."""
        out = [
            _HEAD.pack(
                EVIDENCE_VERSION,
                self.hub_subjects,
                self.infrastructure,
                self.operator_hour,
                self.parties_hour,
                self.leak_hour,
                len(FEATURES),
                len(self.views),
            )
        ]
        for view in self.views:
            out.append(struct.pack(f">B{len(view.without)}Q", len(view.without), *view.without))
            out.append(_WIDTH.pack(*view.values))
        return b"".join(out)

    @classmethod
    def from_bytes(cls, data: bytes) -> Evidence:
        """Reads ``to_bytes``. Raises ``InvalidInput`` (INVALID_LENGTH, INVALID_VALUE) for anything else."""
        try:
            version, hub, infrastructure, operator, parties, leak, width, count = _HEAD.unpack_from(data)
            if version != EVIDENCE_VERSION or width != len(FEATURES):
                raise InvalidInput(ErrorCode.INVALID_VALUE, "evidence.version", f"{EVIDENCE_VERSION}")
            at = _HEAD.size
            views = []
            for _ in range(count):
                left_out = data[at]
                without = struct.unpack_from(f">{left_out}Q", data, at + 1)
                at += 1 + 8 * left_out
                views.append(View(without, _WIDTH.unpack_from(data, at)))
                at += _WIDTH.size
        except (struct.error, IndexError):
            raise InvalidInput(ErrorCode.INVALID_LENGTH, "evidence", "as many bytes as its head says") from None
        if at != len(data):
            raise InvalidInput(ErrorCode.INVALID_LENGTH, "evidence", f"{at} bytes")
        return cls(hub, infrastructure, operator, parties, leak, tuple(views))

    def digest(self) -> bytes:
        """BLAKE3 over the canonical bytes, 32 bytes: what a verdict commits to."""
        return blake3(self.to_bytes(), derive_key_context=DIGEST_CONTEXT).digest()


NOT_LOOKED_AT = Evidence(0, 0, 0, 0, 0, (View((), (0.0,) * len(FEATURES)),))
"""What a verdict rests on that was given without a look at the graph: nothing."""


def evidence_of(
    neighbourhood: Neighbourhood, facts: Mapping[int, PlaceFacts], population: Population, now_hour: int
) -> Evidence:
    """The evidence on one subject. ``facts`` has one entry per address of ``neighbourhood.places`` that it needs.

    What was seen after ``now_hour`` is not known yet and must not be in the graph.
    """
    subject = neighbourhood.subject
    used = [presence for presence in neighbourhood.own if presence.manner is Manner.USED]
    breadth = breadth_of(used, subject.id, facts)
    refusals = refusals_of(neighbourhood, used, facts)
    company = company_of(used, subject, facts, population)
    withouts: list[tuple[int, ...]] = [()]
    if members := company.members | breadth.members | refusals.members:
        foreign = sorted(members - {subject.member})
        # Each of them is left out once, however many there are, or the last could say what it likes; pairs are many.
        withouts += [*((member,) for member in foreign), *combinations(foreign[:MAX_PAIRED], 2)]
    parts = (
        _Part(company.without, company.heard),
        _Part(breadth.without, breadth.members),
        _Part(refusals.without, refusals.members),
    )
    views = tuple([View(without, partial(_joined, parts, frozenset(without))) for without in withouts])
    last_used = max([presence.last for presence in used], default=0)
    return Evidence(
        company.hub_subjects, company.infrastructure, company.last_hour, last_used, refusals.last_hour, views
    )


class _Part:
    """Some of the features, worked out and rounded once for all views that leave out the same of those on whom they depend."""

    __slots__ = ("_heard", "_known", "_without")

    def __init__(self, without: Callable[[frozenset[int]], Values], heard: frozenset[int]) -> None:
        self._without, self._heard = without, heard
        self._known: dict[frozenset[int], Values] = {}

    def without(self, gone: frozenset[int]) -> Values:
        gone &= self._heard
        known = self._known.get(gone)
        if known is None:
            known = self._known[gone] = _rounded(self._without(gone))
        return known


def _joined(parts: tuple[_Part, ...], gone: frozenset[int]) -> Values:
    company, breadth, refusals = parts
    return company.without(gone) + breadth.without(gone) + refusals.without(gone)


def _rounded(values: Values) -> Values:
    if values is NO_COMPANY or values is NO_REFUSALS:
        return values
    return tuple([round(value, 6) if value % 1 else value for value in values])  # most are whole
