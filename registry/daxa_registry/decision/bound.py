"""What one member alone can do to another's customer: nothing upwards, and downwards only what another member confirms.

Let F(T) be the score of the graph without the members T. With foreign members present,

    score = min over m of max(F({m}), max over n of F({m, n}))

The outer minimum is the bound upwards: the term of a lying member M does not depend on anything that M reported, so M cannot
lift a score above what stands without it. The inner maximum is the bound downwards: company that would excuse a key counts
only if it does not all come from one member, for without that member, F is what it was.
With no foreign member the score is F({}); with one it is F({m}), the own exchange's evidence alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

Without = tuple[int, ...]


def bounded(views: Collection[Without], score: Callable[[Without], float]) -> Without:
    """The view that decides. ``views`` are the sets left out: (), each (m,) and each (m, n), members ascending.

    ``score`` is F, and is asked only for what can still decide: again and again of the member with the lowest bound so far, and
    first of pairs with whoever is lowest after it, which raise both; until nothing is left to ask of the lowest. Of equals it is
    the first.
    """
    unasked = set(views)
    said: dict[Without, float] = {}
    bounds = {without[0]: -math.inf for without in views if len(without) == 1}
    if not bounds:
        return ()
    while True:
        lowest, *others = sorted(bounds, key=lambda member: (bounds[member], member))
        pairs = [(lowest, other) if lowest < other else (other, lowest) for other in others]
        asked: Without = next((pair for pair in pairs if pair in unasked), (lowest,))
        if asked not in unasked:
            return max([(lowest,), *sorted(pair for pair in pairs if pair in said)], key=said.__getitem__)
        unasked.remove(asked)
        said[asked] = top = score(asked)
        for member in asked:
            bounds[member] = max(bounds[member], top)
