"""Elites and their weighted statistics: what a distribution is refitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def log_weights(k: int) -> Floats:
    """Weights of k elites, best first: w_i proportional to log(k + 1/2) - log(i), (k,), summing to 1.

    Hansen, The CMA evolution strategy: a tutorial (2016), arXiv:1604.00772, eq. (49).
    """
    weights = np.log(k + 0.5) - np.log(np.arange(1, k + 1))
    return np.asarray(weights / weights.sum())


def first_distinct(X: Floats, order: Indices, k: int) -> Indices:
    """The first k rows of X in `order` that differ from one another, (<= k,) row numbers.

    In discrete spaces a converging distribution repeats itself; counted twice, a repeated row would drive out the
    others and freeze the distribution on it.
    """
    seen: set[bytes] = set()
    chosen: list[int] = []
    for row in order:
        key = X[row].tobytes()
        if key not in seen:
            seen.add(key)
            chosen.append(int(row))
            if len(chosen) == k:
                break
    return np.array(chosen, dtype=np.int64)


def weighted_moments(
    X: Floats, weights: Floats, centre: Floats, active: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Mean, second moment about `centre`, and share of the weight that counts, column by column.

    Args:
        X: (k, d) elites.
        weights: (k,) summing to 1.
        centre: (d,).
        active: (k, d) entries that count; None: all of them.

    Returns:
        mean, second moment and share, (d,) each. A column where nothing counts has mean `centre`, moment 0, share 0.
    """
    D = X - centre
    if active is None:
        return centre + weights @ D, weights @ (D * D), np.ones(X.shape[1])
    W = weights[:, np.newaxis] * active
    share = W.sum(axis=0)
    scale = np.divide(1.0, share, out=np.zeros_like(share), where=share > 0)
    return centre + scale * (W * D).sum(axis=0), scale * (W * D * D).sum(axis=0), share
