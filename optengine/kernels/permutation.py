"""Costs of permutations: quadratic assignment, and moves on an order.

A permutation `x` holds the item at each position. Every kernel has a NumPy form, named `*_reference`, that says what is
computed, and a Numba form with the same signature. Integer data (int64) give exact integer results; the caller sees to
it that they cannot overflow. float64 data give float64 results.

The Numba forms compile on first use (about a second a data type) and are cached beside this file.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptionError

Numbers: TypeAlias = NDArray[Any]  # int64 or float64
Integers: TypeAlias = NDArray[np.int64]


def apply_moves(x: Integers, kind: str, moves: Integers) -> Integers:
    """Return the permutations that `moves` make of one permutation.

    Args:
        x: (n,) items by position.
        kind: "swap" exchanges the items at positions i and j; "insertion" takes the item at i out and puts it back so
            that it stands at j; "reversal" reverses the run of positions from min(i, j) to max(i, j), both included.
        moves: (k, 2) positions (i, j).

    Returns:
        (k, n), one permutation a move.

    Raises:
        OptionError: an unknown kind.
    """
    result = np.repeat(x[np.newaxis, :], len(moves), axis=0)
    if kind == "swap":
        rows = np.arange(len(moves))
        result[rows, moves[:, 0]], result[rows, moves[:, 1]] = x[moves[:, 1]], x[moves[:, 0]]
    elif kind == "insertion":
        for row, (i, j) in zip(result, moves, strict=True):
            row[:] = np.insert(np.delete(x, i), j, x[i])
    elif kind == "reversal":
        for row, (i, j) in zip(result, np.sort(moves, axis=1), strict=True):
            row[i : j + 1] = x[i : j + 1][::-1]
    else:
        raise OptionError(f"kind must be 'swap', 'insertion' or 'reversal', got {kind!r}")
    return result


def assignment_costs_reference(flow: Numbers, distance: Numbers, X: Integers) -> Numbers:
    """Sum over k, l of flow[k, l] * distance[x[k], x[l]] for every row x of X; the definition.

    Args:
        flow, distance: (n, n), of one dtype, int64 or float64.
        X: (m, n) permutations.

    Returns:
        (m,) costs, in the dtype of `flow`.
    """
    return np.einsum("kl,mkl->m", flow, distance[X[:, :, np.newaxis], X[:, np.newaxis, :]])


@numba.njit(cache=True, nogil=True)
def assignment_costs(flow: Numbers, distance: Numbers, X: Integers) -> Numbers:
    """`assignment_costs_reference`, compiled; O(n^2) a row."""
    m, n = X.shape
    costs = np.empty(m, flow.dtype)
    for r in range(m):
        total = flow[0, 0] * 0  # a zero of the right dtype
        for k in range(n):
            row = X[r, k]
            for l in range(n):  # noqa: E741
                total += flow[k, l] * distance[row, X[r, l]]
        costs[r] = total
    return costs


def assignment_swaps_reference(flow: Numbers, distance: Numbers, x: Integers, moves: Integers) -> Numbers:
    """Change of the assignment cost of `x` under each swap of two positions; the definition.

    Args:
        flow, distance: (n, n), of one dtype; x: (n,); moves: (k, 2) positions.

    Returns:
        (k,) cost after minus cost before.
    """
    after = assignment_costs_reference(flow, distance, apply_moves(x, "swap", moves))
    return after - assignment_costs_reference(flow, distance, x[np.newaxis, :])


@numba.njit(cache=True, nogil=True)
def assignment_swaps(flow: Numbers, distance: Numbers, x: Integers, moves: Integers) -> Numbers:
    """`assignment_swaps_reference`, compiled; O(n) a move.

    The formula for asymmetric matrices with diagonals: Taillard, Robust taboo search for the quadratic assignment
    problem, Parallel Computing 17 (1991), doi:10.1016/S0167-8191(05)80147-4, eq. (1).
    """
    n = len(x)
    deltas = np.empty(len(moves), flow.dtype)
    for m in range(len(moves)):
        r, s = moves[m, 0], moves[m, 1]
        a, b = x[r], x[s]
        total = flow[0, 0] * 0
        if r != s:
            total += flow[r, r] * (distance[b, b] - distance[a, a]) + flow[s, s] * (
                distance[a, a] - distance[b, b]
            )
            total += flow[r, s] * (distance[b, a] - distance[a, b]) + flow[s, r] * (
                distance[a, b] - distance[b, a]
            )
            for k in range(n):
                if k != r and k != s:
                    c = x[k]
                    total += (flow[k, r] - flow[k, s]) * (distance[c, b] - distance[c, a])
                    total += (flow[r, k] - flow[s, k]) * (distance[b, c] - distance[a, c])
        deltas[m] = total
    return deltas
