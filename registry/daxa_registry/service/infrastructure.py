"""Infrastructure that operators vouch for: licensed services' addresses, as fingerprints, for a time.

Declaring, taking back and expiring each change what evidence on that address is worth, so whoever was seen there is decided
again: those whose verdict is not clear at once by the sweep, the others here where the address is no hub, else with their next
sighting. Refused: a time that is over or more than two years away, a name that is no short printable text, a node that is not
declared.
"""

from __future__ import annotations

from daxa_core.errors import ErrorCode, InvalidInput, Refused
from daxa_core.model import Kind
from daxa_registry.store.interface import Declared, Store

from .acts import ActKind, record_act
from .matching import Matcher

MAX_SECONDS = 2 * 366 * 86_400
MAX_NAME = 64


def checked(name: str, until: int, now: int) -> None:
    """Raises InvalidInput naming the field that is wrong."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidInput(ErrorCode.INVALID_VALUE, "name", f"1 to {MAX_NAME} printable characters")
    if not now < until <= now + MAX_SECONDS:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "until", "a time to come, within two years")


def declare(
    store: Store, matcher: Matcher, operator: str, fingerprints: list[bytes], name: str, until: int, now: int
) -> dict[int, int]:
    """Vouches for addresses. Answers the heads of the members that have news."""
    checked(name, until, now)
    with store.transaction():
        nodes = [store.infrastructure(Kind.ADDRESS, fingerprint, name, until) for fingerprint in fingerprints]
        detail = {"name": name, "until": until, "fingerprints": [fingerprint.hex() for fingerprint in fingerprints]}
        record_act(store, operator, ActKind.INFRASTRUCTURE_DECLARED, detail, now)
        return _again(store, matcher, nodes, now)


def remove(store: Store, matcher: Matcher, operator: str, node: int, now: int) -> dict[int, int]:
    """Takes a declaration back. Raises Refused NOT_FOUND where there is none."""
    found = find(store, node)
    with store.transaction():
        store.infrastructure(found.kind, found.fingerprint, found.name, 0)
        detail = {"name": found.name, "until": found.until, "fingerprints": [found.fingerprint.hex()]}
        record_act(store, operator, ActKind.INFRASTRUCTURE_REMOVED, detail, now)
        return _again(store, matcher, [node], now)


def find(store: Store, node: int) -> Declared:
    """The declaration of a node. Raises Refused NOT_FOUND."""
    for declared in store.declared():
        if declared.node == node:
            return declared
    raise Refused(ErrorCode.NOT_FOUND, "number", "that of infrastructure which is declared")


def expire(store: Store, matcher: Matcher, now: int) -> dict[int, int]:
    """Ends the declarations whose time is over; nobody's act. Answers the heads of the members that have news."""
    over = [declared for declared in store.declared() if declared.until <= now]
    if not over:
        return {}
    with store.transaction():
        for declared in over:
            store.infrastructure(declared.kind, declared.fingerprint, declared.name, 0)
        return _again(store, matcher, [declared.node for declared in over], now)


def _again(store: Store, matcher: Matcher, nodes: list[int], now: int) -> dict[int, int]:
    for node in nodes:
        store.hasten(node, now)
    return matcher.decide(store.subjects_on(nodes), now)
