"""Operators' acts: every one goes through ``record_act``, in the transaction of what it changes, and is a leaf of the log.

An act says who did what and when, in the operator's own words where a reason is asked for; never a raw identifier. It refuses
nothing: whether an operator may do it was checked before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from daxa_registry.store.interface import Store

from .log import append_event, append_state

_KIND = "act"
LOGGED_AS = "operator-act"


class ActKind(StrEnum):
    """What an operator may do that changes what members are told, who gets in, or where the registry is.

    The names are stable: they stand in the log.
    """

    APPEAL_ANSWERED = "appeal_answered"
    BACKUP_RESTORED = "backup_restored"
    CERTIFICATE_ISSUED = "certificate_issued"
    CERTIFICATE_SIGNED = "certificate_signed"
    CERTIFICATE_RENEWED = "certificate_renewed"
    CERTIFICATE_REVOKED = "certificate_revoked"
    INFRASTRUCTURE_DECLARED = "infrastructure_declared"
    INFRASTRUCTURE_REMOVED = "infrastructure_removed"
    KEYS_BACKED_UP = "keys_backed_up"
    INCIDENT_CLOSED = "incident_closed"
    INCIDENT_LINKED = "incident_linked"
    INCIDENT_OPENED = "incident_opened"
    LEAK_LOADED = "leak_loaded"
    LEAK_VERIFIED = "leak_verified"
    LEAK_DOUBTED = "leak_doubted"
    LEAK_WITHDRAWN = "leak_withdrawn"
    POLICY_ACTIVATED = "policy_activated"
    REVOCATION_LIST_RENEWED = "revocation_list_renewed"
    STORE_MOVED = "store_moved"


@dataclass(frozen=True, slots=True)
class OperatorAct:
    """One act: its number from 1, when (seconds), who (certificate's name and person, ``daxa/kim``), what, and details."""

    number: int
    at: int
    operator: str
    kind: str
    detail: Mapping[str, object]

    def to_json(self) -> str:
        """Canonical: equal acts give equal text."""
        table = {"number": self.number, "at": self.at, "operator": self.operator, "kind": self.kind}
        return json.dumps(table | {"detail": dict(self.detail)}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> OperatorAct:
        """What ``to_json`` wrote."""
        return cls(**json.loads(text))


def record_act(store: Store, operator: str, kind: ActKind, detail: Mapping[str, object], now: int) -> OperatorAct:
    """Writes down one act and logs it, inside the transaction that it belongs to. The only way in which one comes to be."""
    number = int(store.document("counter", _KIND) or 0) + 1
    act = OperatorAct(number, now, operator, str(kind), detail)
    store.write_document("counter", _KIND, str(number), replace=True)
    store.write_document(_KIND, f"{number:012d}", act.to_json())
    append_event(store, LOGGED_AS, json.loads(act.to_json()), now)
    if kind is ActKind.POLICY_ACTIVATED and "digest" in detail:
        append_state(store, "policy", {"digest": detail["digest"]}, now)  # what all members may know of the act
    return act


def acts(store: Store, after: int = 0, limit: int = 1_000) -> list[OperatorAct]:
    """Up to ``limit`` acts after that number, in order."""
    return [OperatorAct.from_json(text) for _, text in store.documents(_KIND, f"{after:012d}", limit)]
