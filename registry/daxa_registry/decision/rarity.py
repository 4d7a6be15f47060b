"""How common client stacks are in the market: that two run the stock user agent says little, that two run a rare one much.

A stack's share at one member is the share of the member's keys in use that use it. Its share of the market is the second largest
of its shares at members that can tell: what one member makes up makes no stack common. Where fewer than ``ENOUGH`` can tell,
every stack is rare.

>>> common_stacks({1: (1000, {7: 300, 8: 1}), 2: (500, {7: 100})})
{7: 0.2}
"""

from __future__ import annotations

from collections.abc import Mapping

LEAST = 200
"""A member of which fewer keys were looked at cannot tell."""
ENOUGH = 2
RAREST = 0.001
"""Shares below are not told: a sample cannot."""

Stacks = Mapping[int, tuple[int, Mapping[int, int]]]
"""By member: how many keys were looked at, and how many of them use each stack."""


def common_stacks(stacks: Stacks) -> dict[int, float]:
    """The share of the market's keys that use each stack, where that is above ``RAREST``."""
    able = [(keys, users) for keys, users in stacks.values() if keys >= LEAST]
    if len(able) < ENOUGH:
        return {}
    found: dict[int, list[float]] = {}
    for keys, users in able:
        for device, count in users.items():
            found.setdefault(device, []).append(count / keys)
    shares = {device: sorted(said)[-ENOUGH] for device, said in found.items() if len(said) >= ENOUGH}
    return {device: share for device, share in shares.items() if share > RAREST}
