"""A key at the wrong door, end to end: told to its issuer alone, and who goes through a list is marked."""

from __future__ import annotations

import life
from daxa_client import Device, Level, RawSighting
from daxa_core.model import Manner
from leaking import Run, codes, customer, key


def test_the_issuer_alone_is_told_that_its_key_was_presented_elsewhere(world: life.World) -> None:
    """How often, bucketed, and when last; the other exchange's answer is the same for a key that nobody issued."""
    upbit, bithumb = world.client("upbit"), world.client("bithumb")
    hour = world.hour()
    strange = [
        RawSighting(key(name), "185.220.101.7", hour - n, Manner.REJECTED, count=2)
        for name in ("u1", "nobody's")
        for n in range(3)
    ]
    answer = bithumb.submit(strange)
    issued, foreign = answer.verdicts[key("u1")], answer.verdicts[key("nobody's")]
    assert (issued.level, issued.sequence, issued.reasons) == (foreign.level, foreign.sequence, foreign.reasons)
    assert (issued.level, issued.sequence) == (Level.CLEAR, 0)
    assert answer.of_no_use == {key("u1"), key("nobody's")}
    told = upbit.verdicts([key("u1")])[key("u1")]
    [reason] = [reason for reason in told.reasons if reason.code == "PRESENTED_ELSEWHERE"]
    assert (told.level, reason.count.name, reason.hour) == (Level.MONITOR, "FROM_5_TO_9", hour)
    # It is told for two weeks; by one exchange's word alone it never becomes more.
    for _ in range(3):
        world.pass_hours(100)
        upbit.submit([customer("u1", world.hour())])
        assert upbit.verdicts([key("u1")])[key("u1")].level is Level.MONITOR
    world.pass_hours(100)
    upbit.submit([customer("u1", world.hour())])
    assert upbit.verdicts([key("u1")])[key("u1")].level is Level.CLEAR


def test_ones_own_key_typed_at_the_wrong_exchange_is_no_attack(world: life.World) -> None:
    """From where the holder is otherwise, as often as may be, and from elsewhere once: no verdict, nothing told."""
    for address, count in (("211.234.10.7", 50), ("185.220.101.7", 1)):
        slip = RawSighting(key("u1"), address, world.hour(), Manner.REJECTED, count, device=life.STACK)
        world.client("bithumb").submit([slip])
    assert world.client("upbit").verdicts([key("u1")])[key("u1")].sequence == 0


def test_a_list_that_is_gone_through_once_is_told_of_every_key(world: life.World, run: Run) -> None:
    """Each key once, at one exchange, from one address: those tried first are told as well, with a reason of its own, and by one
    exchange's word none is more than watched."""
    names = [f"t{n}" for n in range(20)]
    upbit, bithumb = world.client("upbit"), world.client("bithumb")
    upbit.submit([customer(name, world.hour(), f"211.234.{40 + n}.1") for n, name in enumerate(names)])
    tried = [RawSighting(key(name), "185.220.101.9", world.hour(), Manner.REJECTED) for name in names]
    for one in tried[:6]:
        bithumb.submit([one])
    bithumb.submit(tried[6:])
    verdicts = upbit.verdicts([key(name) for name in names])
    assert {verdict.level for verdict in verdicts.values()} == {Level.MONITOR}
    assert all({"PRESENTED_ELSEWHERE", "TRIED_WITH_MANY"} <= codes(verdict) for verdict in verdicts.values())
    assert "20 keys tried at 1 exchanges" in run("testers")
    world.pass_hours(100)
    upbit.submit([customer("t0", world.hour(), "211.234.40.1")])
    assert upbit.verdicts([key("t0")])[key("t0")].level is Level.MONITOR


def test_a_list_that_is_gone_through_over_many_addresses_is_told_by_its_client_stack(
    world: life.World, run: Run
) -> None:
    """Each key once, from an address of its own; those tried first are told with their next hour of use. Of a stack with which
    twice as many keys fail that are used with it, nobody is told."""
    upbit, bithumb = world.client("upbit"), world.client("bithumb")
    exits = {"python-requests/2.31": ("stock", 60), "listgoer/1.0": ("list", 70)}
    for agent, (name, network) in exits.items():
        keys = [f"{name}{n}" for n in range(6)]
        upbit.submit([customer(one, world.hour(), f"211.234.{network}.{n}") for n, one in enumerate(keys)])
        device = Device(agent)
        if name == "stock":
            users = [(f"user{n}", f"211.234.{80 + n}.1") for n in range(12)]
            upbit.submit([RawSighting(key(one), at, world.hour(), device=device, account=one) for one, at in users])
            upbit.submit([RawSighting(key(one), at, world.hour(), Manner.REJECTED, device=device) for one, at in users])
        for n, one in enumerate(keys):
            bithumb.submit(
                [RawSighting(key(one), f"185.{network + n}.1.9", world.hour(), Manner.REJECTED, device=device)]
            )
    world.pass_hours(1)
    for name, network in exits.values():
        upbit.submit([customer(f"{name}{n}", world.hour(), f"211.234.{network}.{n}") for n in range(6)])
    told = {name: upbit.verdicts([key(f"{name}{n}") for n in range(6)]).values() for name in ("stock", "list")}
    assert {verdict.sequence for verdict in told["stock"]} == {0}
    assert {verdict.level for verdict in told["list"]} == {Level.MONITOR}
    assert all("TRIED_WITH_MANY" in codes(verdict) for verdict in told["list"])
    [line] = run("testers").splitlines()
    assert "6 keys tried at 1 exchanges" in line


def test_a_program_that_tries_ones_own_key_again_at_the_wrong_exchange_is_no_attack(world: life.World) -> None:
    """From a new network, within an hour; what it does again in another is told."""
    upbit, bithumb = world.client("upbit"), world.client("bithumb")
    for ago, sequence in ((0, 0), (1, 1)):
        again = RawSighting(key("u1"), "185.220.101.7", world.hour() - ago, Manner.REJECTED, 9, device=life.STACK)
        bithumb.submit([again])
        assert upbit.verdicts([key("u1")])[key("u1")].sequence == sequence


def test_an_exchange_is_told_which_keys_are_of_no_use_there_and_no_more(world: life.World) -> None:
    """It follows from its own sightings: its own key with a wrong signature is not one, nor is one that it uses later; and
    nothing of it changes when another exchange issues the key."""
    bithumb = world.client("bithumb")

    def refused_there(*names: str) -> frozenset[str]:
        tried = [RawSighting(key(name), "211.234.10.9", world.hour(), Manner.REJECTED) for name in names]
        return bithumb.submit(tried).of_no_use

    assert refused_there("b1", "x1", "x2") == {key("x1"), key("x2")}
    world.client("korbit").submit([customer("x1", world.hour())])
    assert refused_there("x1", "x2") == {key("x1"), key("x2")}
    assert bithumb.submit([customer("x1", world.hour())]).of_no_use == frozenset()
    assert refused_there("x1", "x2") == {key("x2")}


def test_who_goes_through_a_list_is_marked_and_so_are_the_keys(world: life.World, run: Run) -> None:
    """The address for operators, each key for its own exchange, with a reason of its own."""
    names = [f"t{n}" for n in range(8)]
    upbit = world.client("upbit")
    upbit.submit([customer(name, world.hour(), f"211.234.40.{n}") for n, name in enumerate(names)])
    tried = [RawSighting(key(name), "185.220.101.9", world.hour(), Manner.REJECTED) for name in names]
    world.client("bithumb").submit(tried)
    world.client("korbit").submit(tried)
    verdicts = upbit.verdicts([key(name) for name in names])
    assert all(verdict.level >= Level.MONITOR for verdict in verdicts.values())
    assert all({"PRESENTED_ELSEWHERE", "TRIED_WITH_MANY"} <= codes(verdict) for verdict in verdicts.values())
    # By two exchanges' word it goes on from there.
    world.pass_hours(25)
    upbit.submit([customer(name, world.hour(), f"211.234.40.{n}") for n, name in enumerate(names)])
    verdicts = upbit.verdicts([key(name) for name in names])
    assert all(verdict.level > Level.MONITOR for verdict in verdicts.values())
    assert all(codes(verdict) & {"BREADTH", "WRONG_DOORS"} for verdict in verdicts.values())
    [line] = run("testers").splitlines()
    assert "8 keys tried at 2 exchanges" in line
