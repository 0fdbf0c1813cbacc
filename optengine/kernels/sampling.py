"""Random draws by the batch: pre-drawn random numbers in, samples out.

Every kernel is a function of its parameters and of uniform (or normal) numbers that the caller drew, so that its forms
can be compared on the same numbers and a run does not depend on how it is computed. Kernels named `*_reference` are
NumPy definitions of compiled loops; the others are NumPy throughout, for their time goes into the inverse normal
distribution, logarithms and sorting, which are compiled already, and spaces without permutations need no Numba.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

TINY = np.finfo(np.float64).tiny
BELOW_ONE = 1.0 - 2.0**-53  # the largest double below 1: the inverse normal distribution stays finite
DENSITY_AT_0 = 1.0 / math.sqrt(2.0 * math.pi)


def truncated_normal(mean: Floats, sigma: Floats, U: Floats) -> Floats:
    """Normal variates kept inside [0, 1], by the inverse distribution function; exact, no resampling, no clipping.

    Args:
        mean: (d,) locations in [0, 1].
        sigma: (d,) scales > 0.
        U: (n, d) uniform numbers in [0, 1).

    Returns:
        (n, d) in [0, 1]. O(n d).
    """
    low = ndtr(-mean / sigma)
    share = ndtr((1.0 - mean) / sigma) - low
    Z = U * share
    Z += low
    np.clip(Z, TINY, BELOW_ONE, out=Z)
    ndtri(Z, out=Z)
    Z *= sigma
    Z += mean
    return np.clip(Z, 0.0, 1.0, out=Z)  # rounding only: the mass outside was never drawn


def truncated_moments(mean: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """First and second moment about `mean` of the normal distribution truncated to [0, 1].

    Args:
        mean, sigma: (d,) as in `truncated_normal`.

    Returns:
        E[x - mean] and E[(x - mean)^2], (d,) each.
    """
    a, b = -mean / sigma, (1.0 - mean) / sigma
    density_a = DENSITY_AT_0 * np.exp(-0.5 * a * a)
    density_b = DENSITY_AT_0 * np.exp(-0.5 * b * b)
    mass = ndtr(b) - ndtr(a)
    first = sigma * (density_a - density_b) / mass
    second = sigma * sigma * (1.0 + (a * density_a - b * density_b) / mass)
    return first, second


def categories(cumulative: Floats, offsets: Indices, U: Floats) -> Floats:
    """Indices drawn from one distribution a column, of any number of levels each.

    Args:
        cumulative: (levels of all columns,) cumulative probabilities, column after column; those of column j are
            raised by j, so that the whole array rises from 0 to d.
        offsets: (d + 1,) where each column's levels start.
        U: (n, d) uniform numbers in [0, 1).

    Returns:
        (n, d) indices as float64. O(n d log(levels)).
    """
    columns = np.arange(U.shape[1])
    found = np.searchsorted(cumulative, U + columns, side="right") - offsets[:-1]
    return np.clip(found, 0, np.diff(offsets) - 1).astype(np.float64)  # U + j may round up to j + 1


def subsets(logits: Floats, low: int, high: int, U: Floats) -> Floats:
    """Memberships drawn with given inclusion probabilities p and between `low` and `high` members.

    An item is in when log(p / (1 - p)) exceeds a logistic variate; where that gives too few or too many members, the
    nearest allowed number with the largest differences is taken. For one fixed size this is Pareto sampling, whose
    inclusion probabilities are p up to O(1 / n) when they sum to the size (Rosen, J. Stat. Plann. Inference 62,
    1997, doi:10.1016/S0378-3758(96)00186-3).

    Args:
        logits: (m, n) log odds of m subsets of n items each.
        low, high: allowed sizes.
        U: (rows, m, n) uniform numbers in [0, 1).

    Returns:
        (rows, m, n) of 0.0 and 1.0. O(rows m n log n), without bounds on the size O(rows m n).
    """
    n = logits.shape[-1]
    U = np.clip(U, TINY, BELOW_ONE)
    keys = logits - np.log(U / (1.0 - U))
    if low == 0 and high == n:
        return (keys > 0).astype(np.float64)
    sizes = np.clip((keys > 0).sum(axis=-1, keepdims=True), low, high)
    order = np.argsort(-keys, axis=-1, kind="stable")
    members = np.empty(keys.shape)
    np.put_along_axis(members, order, (np.arange(n) < sizes).astype(np.float64), axis=-1)
    return members


def shares(Z: Floats) -> Floats:
    """The shares exp(z) / sum exp(z) along the last axis: points of the simplex from log ratios."""
    W = np.exp(Z - Z.max(axis=-1, keepdims=True))
    W /= W.sum(axis=-1, keepdims=True)
    return W


# -- permutations: compiled ------------------------------------------------------------------------------------------


@functools.cache
def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """The loop as machine code, cached on disk. Numba is imported here, for only permutations need it."""
    import numba

    return numba.njit(cache=True, nogil=True)(loop)


def permutations_reference(P: Floats, U: Floats) -> Floats:
    """Permutations drawn from a matrix of probabilities; the definition of `permutations`.

    Each row fills its positions in a random order of its own; a position draws one of the items not yet used, with
    the probabilities of its row of P renormalised over them. A fixed order would favour the positions that come first.

    Args:
        P: (n, n) weight of each item (column) at each position (row), >= 0.
        U: (rows, 2 n) uniform numbers in [0, 1): n for the order of positions, n for the items.

    Returns:
        (rows, n) the item at each position, as float64.
    """
    rows, n = len(U), len(P)
    every = np.arange(rows)
    order = np.tile(np.arange(n), (rows, 1))
    for i in range(n - 1, 0, -1):  # Fisher and Yates
        j = np.minimum((U[:, i] * (i + 1)).astype(np.int64), i)
        order[every, i], order[every, j] = order[every, j], order[every, i]
    free = np.ones((rows, n))
    X = np.empty((rows, n))
    for k in range(n):
        positions = order[:, k]
        sums = np.cumsum(P[positions] * free, axis=1)
        passed = sums > (U[:, n + k] * sums[:, -1])[:, np.newaxis]
        last = n - 1 - np.argmax(free[:, ::-1], axis=1)  # taken when no free item has any weight
        items = np.where(passed.any(axis=1), np.argmax(passed, axis=1), last)
        X[every, positions] = items
        free[every, items] = 0.0
    return X


def permutations(P: Floats, U: Floats) -> Floats:
    """`permutations_reference`, compiled. O(n^2) a row."""
    X = np.empty((len(U), len(P)))
    compiled(_permutations)(np.ascontiguousarray(P), U, X)
    return X


def _permutations(P: Floats, U: Floats, X: Floats) -> None:
    rows, n = X.shape
    order = np.empty(n, np.int64)
    free = np.empty(n, np.float64)
    for r in range(rows):
        for i in range(n):
            order[i] = i
            free[i] = 1.0
        for i in range(n - 1, 0, -1):
            j = min(int(U[r, i] * (i + 1)), i)
            order[i], order[j] = order[j], order[i]
        for k in range(n):
            position = order[k]
            total = 0.0
            for item in range(n):
                total += P[position, item] * free[item]
            goal = U[r, n + k] * total
            reached = 0.0
            chosen = -1
            for item in range(n):
                if free[item] > 0.0:
                    reached += P[position, item]
                    chosen = item
                    if reached > goal:
                        break
            X[r, position] = chosen
            free[chosen] = 0.0


def permutation_steps_reference(X: Floats, U: Floats) -> Floats:
    """One random move of each permutation; the definition of `permutation_steps`.

    With equal chances two positions i and j exchange their items (swap), the item at i is taken out and put back at j
    (insertion), or the run from i to j is turned round (reversal).

    Args:
        X: (rows, n) permutations.
        U: (rows, 3) uniform numbers in [0, 1): kind, i, and j among the other positions.

    Returns:
        (rows, n) the moved permutations.
    """
    n = X.shape[1]
    Y = X.copy()
    if n < 2:
        return Y
    kinds, firsts = np.minimum((U[:, :2] * (3, n)).astype(np.int64), (2, n - 1)).T
    seconds = np.minimum((U[:, 2] * (n - 1)).astype(np.int64), n - 2)
    seconds += seconds >= firsts
    for row, before, kind, i, j in zip(Y, X, kinds, firsts, seconds, strict=True):
        low, high = min(i, j), max(i, j)
        if kind == 0:
            row[i], row[j] = before[j], before[i]
        elif kind == 1:
            row[:] = np.insert(np.delete(before, i), j, before[i])
        else:
            row[low : high + 1] = before[low : high + 1][::-1]
    return Y


def permutation_steps(X: Floats, U: Floats) -> Floats:
    """`permutation_steps_reference`, compiled. O(n) a row."""
    Y = np.ascontiguousarray(X).copy()
    compiled(_permutation_steps)(U, Y)
    return Y


def _permutation_steps(U: Floats, Y: Floats) -> None:
    rows, n = Y.shape
    if n < 2:
        return
    for r in range(rows):
        kind = min(int(U[r, 0] * 3), 2)
        i = min(int(U[r, 1] * n), n - 1)
        j = min(int(U[r, 2] * (n - 1)), n - 2)
        if j >= i:
            j += 1
        if kind == 0:
            Y[r, i], Y[r, j] = Y[r, j], Y[r, i]
        elif kind == 1:
            item = Y[r, i]
            step = 1 if j > i else -1
            for c in range(i, j, step):
                Y[r, c] = Y[r, c + step]
            Y[r, j] = item
        else:
            low, high = min(i, j), max(i, j)
            while low < high:
                Y[r, low], Y[r, high] = Y[r, high], Y[r, low]
                low += 1
                high -= 1


def position_frequencies_reference(X: Floats, weights: Floats) -> Floats:
    """Weighted share of each item at each position; the definition of `position_frequencies`.

    Args:
        X: (rows, n) permutations.
        weights: (rows,), >= 0.

    Returns:
        (n, n) of which row k adds up the weights of the permutations with each item at position k.
    """
    n = X.shape[1]
    cells = (np.arange(n) * n + X).astype(np.int64).ravel()
    return np.asarray(np.bincount(cells, np.repeat(weights, n), n * n), dtype=np.float64).reshape(n, n)


def position_frequencies(X: Floats, weights: Floats) -> Floats:
    """`position_frequencies_reference`, compiled. O(rows n + n^2)."""
    n = X.shape[1]
    frequencies = np.zeros((n, n))
    compiled(_position_frequencies)(np.ascontiguousarray(X), weights, frequencies)
    return frequencies


def _position_frequencies(X: Floats, weights: Floats, frequencies: Floats) -> None:
    rows, n = X.shape
    for r in range(rows):
        for k in range(n):
            frequencies[k, int(X[r, k])] += weights[r]
