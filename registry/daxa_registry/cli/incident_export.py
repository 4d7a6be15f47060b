"""An incident for others: STIX 2.1 and MISP, with no member's name, no fingerprint and no identifier in it.

What goes out is what happened: the class, the leaks' names, sources and licences, how many keys stood at which level, what
exchanges did and after how long. Members are ``exchange Q``, ``exchange C``, by letters drawn at random and in their order. With
five members an exact small count is nearly a name, so counts are bucketed. The marking is the strictest licence of its leaks, and
AMBER where there is none. Refused: an incident with a leak that is TLP:RED, which may not be passed on, and one of whose texts
names an exchange, a member, a key or an address.

>>> stix(view)                                                                # doctest: +SKIP
'{"type": "bundle", …'
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from daxa_core.errors import ConfigurationError, ErrorCode, InvalidInput, Refused
from daxa_core.leaks import Tlp
from daxa_core.model import Act, CountBucket, Level
from daxa_core.public_text import check_text
from daxa_registry.rpc.incidents import IncidentView
from daxa_registry.rpc.operator_leaks import LeakView
from daxa_registry.service.incidents import Incident, IncidentClass, IncidentVerdict

from .exchange_names import names_one

FORMATS = ("stix", "misp")
_NAMESPACE = uuid.UUID("3e2a0d5c-6f0b-5a3e-9d0b-1c6a7f8e4b21")  # ours alone: the same incident has the same ids again
_LABELS = {
    IncidentClass.CREDENTIAL_COMPROMISE: "credential-compromise",
    IncidentClass.LENT_CREDENTIALS: "lent-credentials",
    IncidentClass.MANIPULATION: "market-manipulation",
}
_WORDS = {
    IncidentClass.CREDENTIAL_COMPROMISE: "API keys became known to others than their holders",
    IncidentClass.LENT_CREDENTIALS: "holders gave their API keys to somebody",
    IncidentClass.MANIPULATION: "API keys of several holders traded as one",
}
_AMBER_STRICT = {  # as OASIS publishes it: cti-stix-common-objects, extension-definition-specifications/tlp-2.0
    "type": "marking-definition", "spec_version": "2.1", "name": "TLP:AMBER+STRICT", "created": "2022-10-01T00:00:00.000Z",
    "id": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "extensions": {
        "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {
            "extension_type": "property-extension", "tlp_2_0": "amber+strict",
        },
    },
}  # fmt: skip
_BUCKETS = {
    CountBucket.ONE: "1", CountBucket.FROM_2_TO_4: "2-4", CountBucket.FROM_5_TO_9: "5-9",
    CountBucket.FROM_10_TO_49: "10-49", CountBucket.FROM_50: "50 or more",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """What one exchange had and did, without its name."""

    letter: str
    first_told: int
    told: tuple[tuple[Level, str], ...]
    now: tuple[tuple[Level, str], ...]
    corrected: str
    acts: tuple[tuple[Act, str], ...]
    seconds_to_first_act: int | None
    seconds_median: int | None

    def text(self) -> str:
        """In a line."""
        told = ", ".join(f"{number} keys at {level.name}" for level, number in self.told)
        now = ", ".join(f"{number} at {level.name}" for level, number in self.now)
        now = "" if self.now == self.told else f", now {now}"
        corrected = f", corrected {self.corrected}" if self.corrected else ""
        acts = ", ".join(f"{act.name} {number}" for act, number in self.acts) or "nothing reported"
        taken = "" if self.seconds_to_first_act is None else f"; first after {_span(self.seconds_to_first_act)}"
        half = "" if self.seconds_median is None else f", half of them within {_span(self.seconds_median)}"
        return f"exchange {self.letter}: {told}{now}{corrected}. Done: {acts}{taken}{half}."


def parts(verdicts: Sequence[IncidentVerdict]) -> list[Part]:
    """By exchange, in the order of their letters, which says nothing."""
    by_letter: dict[str, list[IncidentVerdict]] = {}
    for one in verdicts:
        by_letter.setdefault(one.letter, []).append(one)
    out = []
    for letter, theirs in sorted(by_letter.items()):
        acts = Counter(act for one in theirs for act, _ in one.acts)
        waits = [max(min(at for _, at in one.acts) - one.told_at, 0) for one in theirs if one.acts]
        corrected = sum(one.corrected_at > 0 for one in theirs)
        out.append(
            Part(
                letter,
                min(one.told_at for one in theirs),
                _by_level(one.told for one in theirs),
                _by_level(one.level for one in theirs),
                _bucket(corrected) if corrected else "",
                tuple((act, _bucket(acts[act])) for act in sorted(acts)),
                min(waits) if waits else None,
                int(median(waits)) if waits else None,
            )
        )
    return out


def _by_level(levels: Iterable[Level]) -> tuple[tuple[Level, str], ...]:
    counted = Counter(levels)
    return tuple((level, _bucket(counted[level])) for level in sorted(counted, reverse=True))


def marking(leaks: Sequence[LeakView]) -> Tlp:
    """The strictest licence. Raises Refused for what may not be passed on."""
    strictest = max((leak.leak.tlp for leak in leaks), default=Tlp.AMBER)
    if strictest is Tlp.RED:
        raise Refused(ErrorCode.PERMISSION_DENIED, "tlp", "an incident without a leak that is TLP:RED")
    return strictest


def check_names_nobody(incident: Incident, leaks: Sequence[LeakView], members: Sequence[str]) -> None:
    """Raises InvalidInput where a text that operators or members wrote would name a key, an address, an exchange or a member."""
    texts = [("title", incident.title), ("outcome", incident.outcome)]
    for leak in leaks:
        texts += [(f"L{leak.number}.name", leak.leak.name), (f"L{leak.number}.source", leak.leak.source)]
    for field, text in texts:
        if not text:  # of an incident that is open
            continue
        check_text(field, text, len(text))
        if names_one(text, members):
            raise InvalidInput(ErrorCode.INVALID_VALUE, field, "a text that names no member")


def stix(view: IncidentView) -> str:
    """A STIX 2.1 bundle, read again by the library before it is given out.

    AMBER+STRICT, which STIX 2.1's own markings lack, is marked by the definition of OASIS's extension for TLP 2.0.
    """
    stix2 = _library("stix2")
    incident, tlp = view.incident, marking(view.leaks)
    mark = {
        Tlp.CLEAR: stix2.TLP_WHITE, Tlp.GREEN: stix2.TLP_GREEN, Tlp.AMBER: stix2.TLP_AMBER,
        Tlp.AMBER_STRICT: stix2.parse(_AMBER_STRICT),
    }[tlp]  # fmt: skip
    # TLP 2.0 has names that STIX 2.1's own markings do not: they are said in words beside.
    words = stix2.MarkingDefinition(
        id=_id("marking-definition", tlp.name),
        created=_when(incident.opened_at),
        definition_type="statement",
        definition=stix2.StatementMarking(statement=f"TLP:{tlp.name.replace('_', '+')} (Traffic Light Protocol 2.0)"),
    )
    author = stix2.Identity(
        id=_id("identity", "registry"),
        created=_when(incident.opened_at),
        modified=_when(incident.opened_at),
        name="Shared-key registry",
        identity_class="organization",
        sectors=["financial-services"],
        object_marking_refs=[mark, words],
    )
    changed = _when(max([incident.opened_at, incident.closed_at, *(one.decided_at for one in view.verdicts)]))
    common: dict[str, Any] = {
        "created_by_ref": author.id,
        "created": _when(incident.opened_at),
        "modified": changed,
        "labels": [_LABELS[incident.kind]],
        "object_marking_refs": [mark, words],
    }
    root = stix2.v21.Incident(
        id=_id("incident", incident.number, incident.opened_at),
        name=incident.title,
        description=_described(incident),
        **common,
    )
    notes = [
        stix2.v21.Note(
            id=_id("note", incident.number, incident.opened_at, kind, number),
            abstract=abstract,
            content=content,
            object_refs=[root.id],
            **common,
        )
        for number, (kind, abstract, content) in enumerate(_notes(view))
    ]
    bundle = stix2.v21.Bundle(
        mark, words, author, root, *notes, id=_id("bundle", incident.number, incident.opened_at, changed)
    )
    text: str = bundle.serialize(pretty=True)
    stix2.parse(text, allow_custom=False)
    return text


def misp(view: IncidentView) -> str:
    """A MISP event, read again by the library before it is given out; for the receiver's organisation only."""
    pymisp = _library("pymisp")
    incident, tlp = view.incident, marking(view.leaks)
    event = pymisp.MISPEvent()
    event.uuid = str(uuid.uuid5(_NAMESPACE, f"event/{incident.number}/{incident.opened_at}"))
    event.info = incident.title
    event.set_date(_when(incident.opened_at).date())
    event.distribution = 0
    event.threat_level_id = 2 if any(one.told is Level.REVOKE for one in view.verdicts) else 3
    event.analysis = 2 if incident.closed_at else 1
    for tag in (f"tlp:{tlp.name.lower().replace('_', '+')}", f"incident-class:{_LABELS[incident.kind]}"):
        event.add_tag(tag)
    texts = [("incident", "What it was", _described(incident)), *_notes(view)]
    for number, (kind, abstract, content) in enumerate(texts):
        event.add_attribute(
            "text",
            content,
            category="Other",
            comment=abstract,
            to_ids=False,
            distribution=5,
            uuid=str(uuid.uuid5(_NAMESPACE, f"attribute/{incident.number}/{incident.opened_at}/{kind}/{number}")),
        )
    text = json.dumps(json.loads(event.to_json()), indent=1, sort_keys=True, ensure_ascii=False)
    pymisp.MISPEvent().from_json(text)
    return text


def _notes(view: IncidentView) -> list[tuple[str, str, str]]:
    """What there is to say, each with its kind and its heading."""
    out = []
    for leak in view.leaks:
        found = _when(leak.leak.found_at).date().isoformat()
        said = f"{leak.leak.name}: {leak.confidence.name}, {leak.state.name}, found {found} at {leak.leak.source}"
        out.append(("leak", "A leak", said))
    out += [("exchange", "What one exchange had and did", part.text()) for part in parts(view.verdicts)]
    if view.more:
        out.append(("more", "What is not told here", f"And {_bucket(view.more)} more keys: nothing above counts them."))
    reasons = Counter(code for one in view.verdicts for code in one.reasons)
    if reasons:
        weightiest = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:12]
        listed = ", ".join(f"{code} ({_bucket(number)})" for code, number in weightiest)
        out.append(("reasons", "Why the keys stand or stood where they do", listed))
    return out


def _described(incident: Incident) -> str:
    closed = f" Closed {_when(incident.closed_at):%Y-%m-%d}: {incident.outcome}" if incident.closed_at else " Open."
    return f"{_WORDS[incident.kind]}. Opened {_when(incident.opened_at):%Y-%m-%d}.{closed}"


def _library(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        wanted = f"{name}, which comes with `pip install daxa-registry[incident]`"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "format", wanted) from None


def _bucket(number: int) -> str:
    return _BUCKETS[CountBucket.of(number)]


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3_600} h"


def _when(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _id(kind: str, *what: object) -> str:
    return f"{kind}--{uuid.uuid5(_NAMESPACE, '/'.join(map(str, (kind, *what))))}"
