"""How common client stacks are, on every store."""

from __future__ import annotations

from sightings import Open, fine, seen


def test_how_common_client_stacks_are_is_told_of_the_market(reopen: Open) -> None:
    """The share of keys that use one, whatever each uses beside it; what one member alone sees is common nowhere."""
    store = reopen()
    with store.transaction():
        for name in ("upbit", "bithumb"):
            member = store.member_id(name)
            sightings = [seen(f"{name} {n}", f"a{n}", 1_000, device=f"{name} {n}") for n in range(250)]
            sightings += [seen(f"{name} {n}", f"b{n}", 1_000, device="stock") for n in range(0, 250, 2)]
            sightings += [seen(f"{name} {n}", f"a{n}", 1_000, device=f"of {name}") for n in range(100)]
            store.absorb(member, sightings, fine)
    for _ in range(2):
        with store.transaction():
            list(store.neighbourhoods([1]))
            stacks = store.population().stacks
            [stock] = {p.device for n in store.neighbourhoods([1]) for p in n.own} & stacks.keys()
            assert store.population().stacks is stacks
        assert stacks[stock] == 0.5
        assert list(stacks.values()) == [0.5]
        store = reopen()
