"""Every pattern by name: who makes it, how common it is, and the fewest keys that show it.

>>> PATTERNS["ring_small"].guilty
True
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import guilty_keys, guilty_rings, innocent_crowds, innocent_people
from .spec import Rates
from .world import World


@dataclass(frozen=True, slots=True)
class Pattern:
    """How one pattern is made. ``family`` says which of the world's weights scales it."""

    make: Callable[[World, int], None]
    weight: float
    floor: int
    guilty: bool = False
    family: str = ""

    def share(self, rates: Rates) -> float:
        """Its weight in a world of these rates."""
        return self.weight * (getattr(rates, self.family) if self.family else 1.0)


def _ring(name: str, weight: float, floor: int) -> Pattern:
    def make(world: World, quota: int) -> None:
        guilty_rings.ring(world, name, quota)

    return Pattern(make, weight, floor, True, "ring_weight")


def _shared(name: str, weight: float) -> Pattern:
    def make(world: World, quota: int) -> None:
        guilty_keys.shared(world, name, quota)

    return Pattern(make, weight, 1, True, "shared_weight")


def _leak(name: str, weight: float, floor: int) -> Pattern:
    return Pattern(partial(_tried, name), weight, floor, True, "leak_weight")


def _tried(name: str, world: World, quota: int) -> None:
    guilty_keys.leak(world, name, quota)


# Crowds come first: rings and roamers look for hubs, leaks for victims.
PATTERNS: dict[str, Pattern] = {
    "company_egress": Pattern(innocent_crowds.company_egress, 6, 3),
    "campus_egress": Pattern(innocent_crowds.campus_egress, 4, 10),
    "class_image": Pattern(innocent_crowds.class_image, 2.5, 5, family="lookalikes"),
    "team_image": Pattern(innocent_crowds.team_image, 2, 3, family="lookalikes"),
    "platform_large_declared": Pattern(innocent_crowds.platform_large_declared, 6, 60),
    "platform_large": Pattern(innocent_crowds.platform_large, 5, 60),
    "platform_small_declared": Pattern(innocent_crowds.platform_small_declared, 1, 15, family="platform_small"),
    "platform_small": Pattern(innocent_crowds.platform_small, 2.5, 15, family="platform_small"),
    "vendor_image": Pattern(innocent_crowds.vendor_image, 1.2, 6, family="lookalikes"),
    "shared_hosting": Pattern(innocent_crowds.shared_hosting, 3, 3),
    "nat_gateway": Pattern(innocent_crowds.nat_gateway, 3, 4),
    "faas_egress": Pattern(innocent_crowds.faas_egress, 2.5, 3),
    "vpn_egress": Pattern(innocent_crowds.vpn_egress, 2, 3),
    "single_bot": Pattern(innocent_people.single_bot, 21, 10),
    "multi_exchange": Pattern(innocent_people.multi_exchange, 11, 6),
    "carrier_nat": Pattern(innocent_people.carrier_nat, 7, 10),
    "roamer": Pattern(innocent_people.roamer, 4, 3),
    "power_user": Pattern(innocent_people.power_user, 2, 3, family="lookalikes"),
    "household_each": Pattern(innocent_people.household_each, 3, 3),
    "household_one": Pattern(innocent_people.household_one, 2, 3, family="lookalikes"),
    "renumbering_daily": Pattern(innocent_people.renumbering_daily, 4, 5),
    "renumbering_weekly": Pattern(innocent_people.renumbering_weekly, 4, 5),
    "popular_stack": Pattern(innocent_people.popular_stack, 6, 5),
    "trading_desk": Pattern(innocent_people.trading_desk, 0.8, 4),
    "ring_plain": _ring("ring_plain", 12, 5),
    "ring_pool_same24": _ring("ring_pool_same24", 5, 4),
    "ring_pool_scattered": _ring("ring_pool_scattered", 5, 4),
    "ring_stack_per_key": _ring("ring_stack_per_key", 6, 4),
    "ring_staggered": _ring("ring_staggered", 5, 4),
    "ring_residential": _ring("ring_residential", 4, 4),
    "ring_holder_active": _ring("ring_holder_active", 6, 4),
    "ring_small": _ring("ring_small", 7, 3),
    "ring_large": _ring("ring_large", 11, 50),
    "ring_slow": _ring("ring_slow", 4, 4),
    "ring_allowlist": _ring("ring_allowlist", 5, 4),
    "ring_in_hub": _ring("ring_in_hub", 4, 4),
    "ring_mixed": _ring("ring_mixed", 5, 3),
    "key_shared_3_12": _shared("key_shared_3_12", 5),
    "key_shared_8_60": _shared("key_shared_8_60", 3),
    "key_shared_rarely": _shared("key_shared_rarely", 3),
    "leak_one_server": _leak("leak_one_server", 10, 8),
    "leak_slow_scattered": _leak("leak_slow_scattered", 7, 6),
    "leak_small_set": _leak("leak_small_set", 4, 3),
}
GUILTY = tuple(name for name, pattern in PATTERNS.items() if pattern.guilty)
INNOCENT = tuple(name for name, pattern in PATTERNS.items() if not pattern.guilty)
# Innocents that the sternest figures are about: those that look most like the guilty.
LOOKALIKES = ("platform_small", "class_image", "team_image", "power_user", "household_one")
LEAKS = tuple(name for name in GUILTY if name.startswith("leak_"))
