"""What the evidence says of one subject, as named numbers: the vocabulary between evidence, policy and words.

A feature is one number with a meaning, a unit and, where reason says so, a direction: ``UP`` if more of it can only speak
for its hypothesis, ``DOWN`` if only against. A policy whose curve for that hypothesis runs against the direction is refused;
another hypothesis may look at the feature, and read it either way. The order of ``FEATURES`` is the order in stored evidence; a
change of it is a new ``EVIDENCE_VERSION``.

>>> FEATURES[INDEX["people"]].direction
<Direction.FREE: 0>
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

EVIDENCE_VERSION = 4


class Hypothesis(Enum):
    """What may be true of a subject: three ways of sharing."""

    OPERATOR = "operator"  # one operator drives the keys of many people
    PARTIES = "parties"  # one key is used by many
    LEAK = "leak"  # the key leaked and is being tried


class Direction(IntEnum):
    """Which way a curve over a feature may run."""

    DOWN = -1
    FREE = 0
    UP = 1


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of the evidence. ``meaning`` is for the policy's reader; the words for a verdict are in ``explain``."""

    name: str
    hypothesis: Hypothesis
    direction: Direction
    meaning: str


_OP, _MP, _LK = Hypothesis.OPERATOR, Hypothesis.PARTIES, Hypothesis.LEAK
_UP, _FREE, _DOWN = Direction.UP, Direction.FREE, Direction.DOWN

FEATURES: tuple[Feature, ...] = (
    Feature("people", _OP, _FREE, "persons on the focal addresses at the same time, the holder included"),
    Feature("crowd", _OP, _DOWN, "persons ever on the focal addresses, at least `people`"),
    Feature(
        "lockstep", _OP, _UP, "log odds that two keys there are active in the same hour, less the same a day apart"
    ),
    Feature("nearness", _OP, _UP, "log ratio: hours within three of a co-tenant's, then and a day apart"),
    Feature(
        "concord",
        _OP,
        _UP,
        "share of two keys' hours that both are active in; where all use one client stack, half by all pairs there",
    ),
    Feature("partners", _OP, _UP, "persons who each keep this key's hours beyond the daily rhythm"),
    Feature("partner_share", _OP, _UP, "share of the co-tenants who do"),
    Feature(
        "surprise",
        _OP,
        _UP,
        "standard errors: hours kept together beyond those that a day apart would give, all co-tenants",
    ),
    Feature(
        "unevenness",
        _OP,
        _DOWN,
        "spread (standard deviation of the logarithm) of this key's and its co-tenants' hours there, of few drawn to 1",
    ),
    Feature("same_stack", _OP, _UP, "share of the co-tenants who use this key's client stack"),
    Feature("stack_people", _OP, _FREE, "persons who do"),
    Feature(
        "elsewhere", _OP, _DOWN, "share of the co-tenants' hours that they spend on addresses that this key is never on"
    ),
    Feature("declared", _OP, _FREE, "other persons whose allow-lists name the focal addresses"),
    Feature("alone", _OP, _DOWN, "share of the key's hours on addresses that its holder has alone"),
    Feature("share", _OP, _UP, "share of the key's hours on the focal addresses"),
    Feature("travel", _OP, _UP, "persons met on two of the key's addresses or more"),
    Feature("shadows", _OP, _UP, "persons on three or more of its addresses, that hold half of its hours in company"),
    Feature("regularity", _OP, _FREE, "hours of use per day of presence on the focal addresses"),
    Feature(
        "before", _OP, _FREE, "share of the co-tenants who were on the focal address a day or more before this key"
    ),
    Feature(
        "timetable",
        _OP,
        _DOWN,
        "log odds that two keys there are active in the same hour a week apart, less a day apart",
    ),
    Feature(
        "rarity", _OP, _UP, "log ratio: keys of the market to those that use this key's client stack, 0 if not known"
    ),
    Feature(
        "one_hand",
        _OP,
        _UP,
        "log odds that any two keys on the address that weighs most are active in the same hour, less a day apart",
    ),
    Feature("stacks", _MP, _UP, "client stacks seen on the key"),
    Feature("networks", _MP, _UP, "networks that it was used from"),
    Feature("parties", _MP, _UP, "stacks that can be paired with networks one to one, the longest used first"),
    Feature("concurrency", _MP, _UP, "share of the key's hours in which two networks use it"),
    Feature("crossfire", _MP, _UP, "share of the key's hours in which three do"),
    Feature("crosswise", _MP, _UP, "share of the key's hours in which two stacks use it from networks of their own"),
    Feature("interleaving", _MP, _UP, "networks that take turns: root of twice the pairs whose times overlap by a day"),
    Feature("diversity", _MP, _UP, "networks it is spread over: exponential of the entropy of its hours"),
    Feature("hosts", _MP, _UP, "its lesser addresses where other people's own keys run with the same stack"),
    Feature(
        "breadth",
        _LK,
        _UP,
        "keys refused at the prober's address with its client stack within two days, or those of a list that somebody goes"
        " through with it over any addresses, this one included",
    ),
    Feature("foreign_networks", _LK, _UP, "networks from which strangers failed with this key"),
    Feature("wrong_doors", _LK, _UP, "other exchanges where strangers presented this key"),
    Feature("accepted", _LK, _UP, "1 if the key was accepted from a prober's address afterwards"),
    Feature(
        "in_use",
        _LK,
        _DOWN,
        "share of persons let in among those, and the keys refused, at the widest prober's address",
    ),
)
INDEX = {feature.name: place for place, feature in enumerate(FEATURES)}
