"""What one member alone can do to another's customer: nothing upwards, and downwards only what another member confirms.

Let F(T) be the score of the graph without the members T. With foreign members present,

    score = min over m of max(F({m}), max over n of F({m, n}))

The outer minimum is the bound upwards: the term of a lying member M does not depend on anything that M reported, so M cannot
lift a score above what stands without it. The inner maximum is the bound downwards: company that would excuse a key counts
only if it does not all come from one member, for without that member, F is what it was.
With no foreign member the score is F({}); with one it is F({m}), the own exchange's evidence alone.
"""

from __future__ import annotations

from collections.abc import Mapping


def bounded(scores: Mapping[tuple[int, ...], float]) -> tuple[int, ...]:
    """The view that decides. ``scores`` has F for (), for each (m,) and each (m, n), members ascending."""
    singles = sorted(without for without in scores if len(without) == 1)
    if not singles:
        return ()
    best: tuple[float, tuple[int, ...]] | None = None
    for single in singles:
        top: tuple[float, tuple[int, ...]] = (scores[single], single)
        for without, score in scores.items():
            if len(without) == 2 and single[0] in without and score > top[0]:
                top = (score, without)
        if best is None or top[0] < best[0]:
            best = top
    return best[1] if best is not None else ()
