"""An appeal of a verdict that rests on a list of keys, gone through over many addresses with one client stack."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

from daxa_core.errors import DaxaError
from daxa_core.model import Ground, Level, Manner, Sighting
from daxa_registry.bootstrap import open_store
from daxa_registry.decision.policy import default_policy
from daxa_registry.service.appeals import Appeal, corrections
from daxa_registry.service.matching import Matcher

START = 500_000
NOW = (START + 200) * 3_600
MANY = 40


def fp(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def seen(key: str, place: str, hour: int, device: str, manner: Manner = Manner.USED) -> Sighting:
    account = key.encode().ljust(16, b".")
    return Sighting(
        fp(key), fp(place), fp(f"net {place}"), START + hour, manner, 1, fp(device), fp(f"who {key}"), account
    )


def fine(elements: object) -> Mapping[bytes, DaxaError]:
    return {}


def test_whose_key_stood_on_the_same_list_is_corrected_too_though_tried_from_elsewhere() -> None:
    """The list said nothing: nobody's verdict rests on it any more; another list's keys stand as they did."""
    with closing(open_store(":memory:")) as store:
        policy = default_policy()
        matcher = Matcher(store, replace(policy, leak_confirmed=policy.levels.revoke))  # no days on the ladder
        with store.transaction():
            upbit = store.member_id("upbit")
            for name in ("script", "other"):
                for n in range(MANY):
                    key = f"{name} {n}"
                    at_home = [seen(key, f"home {key}", hour, "own") for hour in range(n, 190, 7)]
                    tried = seen(key, f"exit {key}", 100 + 4 * n % 90, name, Manner.REJECTED)
                    assert not store.absorb(upbit, [*at_home, tried], fine).refusals
        with store.transaction():
            matcher.decide(list(store.all_subjects()), NOW)
        with store.transaction():
            standing = store.standing_of(upbit, fp("script 0"))
            assert standing is not None
            assert standing.level is Level.REVOKE
            asked = Appeal("upbit", 1, standing.subject, standing.sequence, int(Ground.OTHER), "", NOW)
            found = {one.subject: one for one in corrections(store, matcher, asked, NOW)}
            listed = [store.standing_of(upbit, fp(f"script {n}")) for n in range(MANY)]
    assert set(found) == {one.subject for one in listed if one is not None}
    assert {one.before for one in found.values()} == {Level.REVOKE}
    assert max(one.after for one in found.values()) <= Level.MONITOR
