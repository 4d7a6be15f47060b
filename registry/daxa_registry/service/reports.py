"""What exchanges report that they did about a verdict: taken once, moved by the ladder, answered with a receipt.

Refused: a key of the member's without a verdict, and another member's (NOT_FOUND); a verdict that is not the key's current one
(SUPERSEDED, naming the current); a report id that came with other content (ID_REUSED). The same act on the same verdict moves
nothing a second time, under whatever id it comes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from daxa_core.errors import ErrorCode, InvalidInput, Refused
from daxa_core.model import Act
from daxa_registry.store.interface import Standing, Store

from .log import append_event
from .matching import Matcher

RECEIPT = "enforcement"
"""What a report is kept and logged as: its member is told its own leaves."""
MAX_RECEIPTS = 100


@dataclass(frozen=True, slots=True)
class Report:
    """One report: the member's number, its id, the key's fingerprint and the sequence it speaks of, what was done."""

    member: int
    report_id: bytes
    key: bytes
    sequence: int
    act: Act


@dataclass(frozen=True, slots=True)
class ReportReceipt:
    """The answer: when it was taken, whether it changed the verdict, and the body of the verdict after it."""

    reported_at: int
    changed: bool
    verdict: bytes


def report_enforcement(
    store: Store, matcher: Matcher, report: Report, now: int
) -> tuple[ReportReceipt, dict[int, int]]:
    """Takes a report; the receipt, and the heads of the members that have news."""
    name = f"{report.member}/{report.report_id.hex()}"
    content = [report.key.hex(), report.sequence, int(report.act)]
    with store.transaction():
        text = store.document("report", name)
        if text is not None:
            kept = json.loads(text)
            if kept["content"] != content:
                raise InvalidInput(ErrorCode.ID_REUSED, "report_id", "an id that was not used for another report")
            return _receipt(store, report.member, kept["at"], kept["changed"], kept["sequence"]), {}
        standing = current(store, report.member, report.key, report.sequence)
        heads: dict[int, int] = {}
        once = f"{report.member}/{report.sequence}/{int(report.act)}"
        if store.document("acted", once) is None:
            store.write_document("acted", once, str(now))
            receipt = f"{standing.subject:012d}/{report.sequence:012d}/{int(report.act)}"
            store.write_document(RECEIPT, receipt, str(now))
            append_event(store, RECEIPT, {"sequence": report.sequence, "act": report.act.name}, now, report.member)
            heads = matcher.decide([standing.subject], now, report.act)
        sequence = store.standings([standing.subject])[standing.subject].sequence
        changed = sequence != report.sequence
        kept = {"content": content, "at": now, "changed": changed, "sequence": sequence}
        store.write_document("report", name, json.dumps(kept, separators=(",", ":")))
        return _receipt(store, report.member, now, changed, sequence), heads


def receipts(store: Store, subject: int) -> list[tuple[int, Act, int]]:
    """What its exchange reported about a subject's verdicts, in the order of the verdicts: (sequence, act, when)."""
    prefix = f"{subject:012d}/"
    found = []
    for name, text in store.documents(RECEIPT, prefix, MAX_RECEIPTS):
        if not name.startswith(prefix):
            break
        _, sequence, act = name.split("/")
        found.append((int(sequence), Act(int(act)), int(text)))
    return found


def current(store: Store, member: int, key: bytes, sequence: int) -> Standing:
    """Where the key stands, if ``sequence`` is its current verdict. Raises Refused NOT_FOUND or SUPERSEDED."""
    standing = store.standing_of(member, key)
    if standing is None or not standing.sequence:
        raise Refused(ErrorCode.NOT_FOUND, "key", "one of the member's own keys that has a verdict")
    if standing.sequence != sequence:
        raise Refused(ErrorCode.SUPERSEDED, "sequence", f"{standing.sequence}, the current one of this key")
    return standing


def _receipt(store: Store, member: int, at: int, changed: bool, sequence: int) -> ReportReceipt:
    [body] = store.verdicts_at(member, [sequence])
    return ReportReceipt(at, changed, body)
