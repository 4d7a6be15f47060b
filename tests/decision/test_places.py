"""Facts of an address: whoever is alone there needs no counting, and gets what counting would give."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from daxa_core.model import Manner
from daxa_registry.decision.graph import Place, Population, Presence, Subject
from daxa_registry.decision.places import facts_of

HOURS = st.integers(0, 2**200 - 1).map(lambda bits: bits | 1)


@given(st.integers(1, 5), st.none() | st.integers(1, 9), st.none() | st.binary(max_size=16), HOURS, st.booleans())
def test_one_key_alone_is_counted_as_among_others(
    member: int, holder: int | None, account: bytes | None, hours: int, infrastructure: bool
) -> None:
    """A refusal of somebody else's key changes nothing but the refusals, and has the whole address counted."""
    subject = Subject(7, member, 70, account, holder, hours=hours.bit_count() + 2, addresses=2)
    alone = Presence(subject, 1, 2, 3, Manner.USED, 490_000, hours, 5)
    refused = Presence(Subject(8, 1, 80, None, None), 1, 2, 4, Manner.REJECTED, 490_000, 1, 1)
    place = Place(1, 2, 1, False, infrastructure, (alone,), ((member, 1),))
    counted = facts_of(replace(place, presences=(alone, refused)), Population())
    assert counted.refused
    assert facts_of(place, Population()) == replace(counted, refused={})
