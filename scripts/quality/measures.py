"""What a score is worth against the truth: average precision, precision and recall from a level up, marks by pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def average_precision(guilty: Flags, score: Array) -> float:
    """The area under the precision-recall curve as its step sum; equal scores are one step. 0 if nobody is guilty."""
    if not guilty.any():
        return 0.0
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(guilty[order])
    marked = np.arange(1, len(order) + 1)
    last = np.append(np.diff(score[order]) != 0, True)  # where a step of equal scores ends
    precision, recall = hits[last] / marked[last], hits[last] / hits[-1]
    return float((precision * np.diff(np.concatenate(([0.0], recall)))).sum())


@dataclass(frozen=True, slots=True)
class Marks:
    """How a threshold does: the share of marks that are right, and the share of the guilty that are marked."""

    precision: float
    recall: float
    marked: int


def marks(guilty: Flags, marked: Flags) -> Marks:
    """Precision is 1 where nobody is marked: no mark was wrong."""
    hits = int((guilty & marked).sum())
    count = int(marked.sum())
    return Marks(hits / count if count else 1.0, hits / max(int(guilty.sum()), 1), count)


def shares_by(group: Sequence[str], marked: Flags, chosen: Flags) -> dict[str, tuple[int, int]]:
    """By group: (marked, all) among the chosen."""
    out: dict[str, tuple[int, int]] = {}
    for name, mark, mine in zip(group, marked.tolist(), chosen.tolist(), strict=True):
        if mine:
            hit, count = out.get(name, (0, 0))
            out[name] = (hit + mark, count + 1)
    return out


def recall_at(guilty: Flags, scores: Array, precision: float) -> float:
    """The largest recall of any threshold whose precision is at least that; ties are marked together, 0 where there is none."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.diff(scores[order]) != 0, True)
    found = np.cumsum(guilty[order])[ends]
    good = found / (np.flatnonzero(ends) + 1) >= precision
    return float(found[good].max(initial=0) / max(int(guilty.sum()), 1))
