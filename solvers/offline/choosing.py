"""The final batch: the best of the pool that are not all the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPACING = 0.05  # first distance asked between proposals, as a share of the table's median nearest distance
SHRINK = 0.5
POOL = 8  # candidates a proposal that are looked at


def pessimistic(P: Floats) -> Floats:
    """Return (m,) the worst standing of each point: predictions P (k, m), each model's in its own units, minimum."""
    spread = P.std(axis=1, keepdims=True)
    return np.asarray(((P - P.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)).min(axis=0))


def by_turns(member: Sequence[str]) -> Floats:
    """Return (m,) standings by which members take turns, each with its points in the order given: 0, -1, ..."""
    names, turn = np.array(member), np.empty(len(member))
    for name in set(member):
        places = np.flatnonzero(names == name)
        turn[places] = -np.arange(len(places), dtype=np.float64)
    return turn


def choose(Z: Floats, score: Floats, n: int, spacing: float) -> Ints:
    """Return n places, best first: greedy by score, each at least `spacing` from those before.

    Where the points run out, the distance is halved, so that always min(n, m) are chosen.

    Args:
        Z: (m, f) features. score: (m,). n: how many. spacing: distance of features.
    """
    order = np.argsort(-score, kind="stable")[: max(POOL * n, n)]
    chosen: list[int] = []
    left = order
    while len(chosen) < n and len(left):
        nearest = _distance(Z[left], Z[chosen]) if chosen else np.full(len(left), np.inf)
        later = []
        for place, i in enumerate(left):
            if len(chosen) == n:
                break
            if nearest[place] < spacing:
                later.append(i)
                continue
            chosen.append(int(i))
            rest = left[place + 1 :]
            nearest[place + 1 :] = np.minimum(nearest[place + 1 :], _distance(Z[rest], Z[[i]]))
        left = np.array(later, dtype=np.int64)
        spacing = spacing * SHRINK if spacing > 1e-6 else -1.0
    places = np.array(chosen, dtype=np.int64)
    return places[np.argsort(-score[places], kind="stable")]


def _distance(A: Floats, B: Floats) -> Floats:
    """Distance (m,) of each row of A to the nearest row of B."""
    if not len(A):
        return np.empty(0)
    R = (A * A).sum(axis=1)[:, None] + (B * B).sum(axis=1) - 2.0 * A @ B.T
    return np.asarray(np.sqrt(np.maximum(R.min(axis=1), 0.0)))


nearest_distance = _distance
