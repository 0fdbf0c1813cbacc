"""Cut weights of many partitions, and what moving single nodes changes: definitions and Numba forms."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Integers = NDArray[np.int64]

LANES = 64  # partitions side by side in vector registers


def cuts_numpy(W: Numbers, X: Numbers) -> Numbers:
    """What `cuts` computes, from the symmetric matrix of weights."""
    return np.array([W[x > 0.5][:, x < 0.5].sum() for x in X])


def flips_numpy(W: Numbers, x: Numbers, nodes: Integers) -> Numbers:
    """What `flips` computes."""
    same = np.where(x[nodes][:, None] == x, 1.0, -1.0)
    return np.asarray((W[nodes] * same).sum(axis=1) - np.diagonal(W)[nodes])


@njit(cache=True, nogil=True)
def cuts(first: Integers, second: Integers, weights: Numbers, X: Numbers) -> Numbers:
    """Weights (m,) of the cuts X (m, n) of 0 and 1. O(edges) a row, some 4 operations an edge for LANES rows at once.

    Args:
        first, second, weights: (e,) ends and weight of each edge.
        X: rows of sides.
    """
    F = np.empty(len(X))
    sides, totals = np.zeros((X.shape[1], LANES), np.int8), np.empty(LANES)
    for start in range(0, len(X), LANES):
        rows = min(LANES, len(X) - start)
        for r in range(rows):
            for i in range(X.shape[1]):
                sides[i, r] = np.int8(X[start + r, i] > 0.5)
        totals[:] = 0.0
        for e in range(len(weights)):
            a, b, w = sides[first[e]], sides[second[e]], weights[e]
            for r in range(LANES):
                totals[r] += w * np.float64(a[r] ^ b[r])
        F[start : start + rows] = totals[:rows]
    return F


@njit(cache=True, nogil=True)
def flips(indptr: Integers, indices: Integers, weights: Numbers, x: Numbers, nodes: Integers) -> Numbers:
    """How much the cut grows when each of `nodes` (k,) changes its side alone, (k,). O(degree) a node.

    Args:
        indptr, indices, weights: neighbours of each node in compressed rows, both directions, no loops.
        x: (n,) sides, 0 and 1.
    """
    gains = np.zeros(len(nodes))
    for i in range(len(nodes)):
        side = x[nodes[i]]
        for p in range(indptr[nodes[i]], indptr[nodes[i] + 1]):
            gains[i] += weights[p] if x[indices[p]] == side else -weights[p]
    return gains
