"""Draws and fits of the transition and Plackett-Luce families of permutations; uniform numbers in, orders out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.kernels.sampling import BELOW_ONE, TINY, compiled

Floats = NDArray[np.float64]


def tours_reference(P: Floats, U: Floats) -> Floats:
    """Closed tours drawn from a matrix of transition probabilities; the definition of `tours`.

    A tour starts at a random item; from item i the next is drawn among those not yet visited with the probabilities of
    row i of P renormalised over them (de Boer et al., 2005, algorithm 4.2).

    Args:
        P: (n, n) weight of each item (column) after each item (row), >= 0.
        U: (rows, n) uniform numbers in [0, 1): one for the first item, the others for the next ones.

    Returns:
        (rows, n) the item at each position, as float64.
    """
    rows, n = U.shape
    every = np.arange(rows)
    free = np.ones((rows, n))
    X = np.empty((rows, n))
    items = np.minimum((U[:, 0] * n).astype(np.int64), n - 1)
    for k in range(n):
        if k:
            sums = np.cumsum(P[items] * free, axis=1)
            passed = sums > (U[:, k] * sums[:, -1])[:, np.newaxis]
            last = n - 1 - np.argmax(free[:, ::-1], axis=1)  # taken when no free item has any weight
            items = np.where(passed.any(axis=1), np.argmax(passed, axis=1), last)
        X[:, k] = items
        free[every, items] = 0.0
    return X


def tours(P: Floats, U: Floats) -> Floats:
    """`tours_reference`, compiled. O(n^2) a row."""
    X = np.empty(U.shape)
    compiled(_tours)(np.ascontiguousarray(P), U, X)
    return X


def _tours(P: Floats, U: Floats, X: Floats) -> None:
    rows, n = X.shape
    free = np.empty(n, np.float64)
    for r in range(rows):
        for i in range(n):
            free[i] = 1.0
        chosen = min(int(U[r, 0] * n), n - 1)
        X[r, 0] = chosen
        free[chosen] = 0.0
        for k in range(1, n):
            before = chosen
            total = 0.0
            for item in range(n):
                total += P[before, item] * free[item]
            goal = U[r, k] * total
            reached = 0.0
            for item in range(n):
                if free[item] > 0.0:
                    reached += P[before, item]
                    chosen = item
                    if reached > goal:
                        break
            X[r, k] = chosen
            free[chosen] = 0.0


def transition_frequencies(X: Floats, weights: Floats) -> Floats:
    """Weighted share of each step i -> j, both ways, in closed tours X (rows, n); (n, n), row sums of the weights.

    Both directions count alike: a tour and its reverse are the same where distances are symmetric, and where they are
    not the position of the optimum's other items still says which neighbours belong together. O(rows n + n^2).
    """
    n = X.shape[1]
    items = X.astype(np.int64)
    after = np.roll(items, -1, axis=1)
    cells = np.concatenate([(items * n + after).ravel(), (after * n + items).ravel()])
    halves = np.tile(np.repeat(0.5 * weights, n), 2)
    return np.asarray(np.bincount(cells, halves, n * n), dtype=np.float64).reshape(n, n)


def plackett_luce(logs: Floats, U: Floats) -> Floats:
    """Orders drawn item by item with probabilities proportional to exp(logs) of those left; the Gumbel trick.

    Args:
        logs: (n,) logarithms of the strengths. U: (rows, n) uniform numbers in [0, 1).

    Returns:
        (rows, n) the item at each position, as float64. O(n log n) a row.
    """
    keys = logs - np.log(-np.log(np.clip(U, TINY, BELOW_ONE)))
    return np.argsort(-keys, axis=1, kind="stable").astype(np.float64)


def plackett_luce_fit(X: Floats, weights: Floats, logs: Floats) -> Floats:
    """One step of Hunter's MM algorithm (Ann. Stat. 32, 2004, doi:10.1214/aos/1079120141) from `logs` (n,).

    Args:
        X: (rows, n) orders. weights: (rows,), not all 0.

    Returns:
        (n,) logarithms of strengths with mean 0; the weighted likelihood of X does not fall. O(rows n).
    """
    n = X.shape[1]
    items = X.astype(np.int64)
    strengths = np.exp(logs - logs.max())[items]
    left = np.cumsum(strengths[:, ::-1], axis=1)[:, ::-1]  # of the items not yet placed
    exposure = np.cumsum(1.0 / left[:, :-1], axis=1)
    exposure = np.concatenate([exposure, exposure[:, -1:]], axis=1)
    total = np.bincount(items.ravel(), (weights[:, np.newaxis] * exposure).ravel(), n)
    wins = np.full(n, weights.sum()) - np.bincount(items[:, -1], weights, n)
    fitted = np.log(np.maximum(wins, 1e-6 * weights.sum()) / total)
    return np.asarray(fitted - fitted.mean())
