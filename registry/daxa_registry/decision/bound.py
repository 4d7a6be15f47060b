"""What one member alone can do to another's customer: nothing upwards, and downwards only what another member confirms.

Let F(T) be the score of the graph without the members T. With foreign members present,

    score = min over m of max(F({m}), max over n of F({m, n}))

The outer minimum is the bound upwards: the term of a lying member M does not depend on anything that M reported, so M cannot
lift a score above what stands without it. The inner maximum is the bound downwards: company that would excuse a key counts
only if it does not all come from one member, for without that member, F is what it was.
With no foreign member the score is F({}); with one it is F({m}), the own exchange's evidence alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

Without = tuple[int, ...]


def bounded(views: Collection[Without], score: Callable[[Without], float]) -> Without:
    """The view that decides. ``views`` are the sets left out: (), each (m,) and each (m, n), members ascending.

    ``score`` is F, and is asked only for what can still decide.
    """
    best: tuple[float, Without] | None = None
    pairs = [without for without in views if len(without) == 2]
    for single in sorted(without for without in views if len(without) == 1):
        top = score(single)
        chosen: Without = single
        for pair in pairs:
            if best is not None and top >= best[0]:
                break  # the least over all members is below this already
            if single[0] in pair and (said := score(pair)) > top:
                top, chosen = said, pair
        if best is None or top < best[0]:
            best = (top, chosen)
    return best[1] if best is not None else ()
