"""Min-max violation on sparse rows (CSC): the kernels of `kernels.minmax` at a cost of the column's nonzeros.

Top-K lemma: the largest violation among the rows that a move leaves alone is the first of the sorted worst rows that
it does not touch; with K above the largest number of nonzeros in a column (two columns for pairs) it is always found.
The definitions are those of `kernels.minmax` on the dense matrix.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax import SLAB, Move, violation
from optengine.kernels.minmax_random import draw, exponential

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def _untouched(e: Floats, h: Floats, order: Integers, mark: Integers, j: int) -> float:
    """Largest violation of the rows that are not marked with j; the first in `order`, within its sorted part."""
    m = len(order)
    for t in range(m):
        if mark[order[t]] == j:
            continue
        worst = max(0.0, abs(e[order[t]]) - h[order[t]])
        if t >= SLAB:  # beyond the slab the order says nothing
            for s in range(t, m):
                if mark[order[s]] != j:
                    worst = max(worst, abs(e[order[s]]) - h[order[s]])
        return worst
    return 0.0


@numba.njit(cache=True, nogil=True)
def best_move_sparse(
    indptr: Integers,
    indices: Integers,
    data: Floats,
    e: Floats,
    h: Floats,
    idx: Integers,
    values: Floats,
    start: Integers,
    count: Integers,
    order: Integers,
) -> Move:
    """`kernels.minmax.best_move_reference` for A in CSC form; `order` as of `worst_first`, O(nonzeros) a candidate."""
    n, m = len(indptr) - 1, len(e)
    now = violation(e, h)
    best, variable, level = now, -1, -1
    mark = np.full(m, -1, dtype=np.int64)
    for j in range(n):
        for p in range(indptr[j], indptr[j + 1]):
            mark[indices[p]] = j
        rest = _untouched(e, h, order, mark, j)
        if rest >= now:
            continue  # a worst row stays as it is
        here = values[start[j] + idx[j]]
        for way in (-1, 1):
            k = idx[j] + way
            while 0 <= k < count[j]:
                d = values[start[j] + k] - here
                worst = rest
                for p in range(indptr[j], indptr[j + 1]):
                    i = indices[p]
                    worst = max(worst, abs(e[i] + d * data[p]) - h[i])
                    if worst > best:
                        break
                if worst >= now:
                    break
                if worst < best or (worst == best and variable == j and k < level):
                    best, variable, level = worst, j, k
                k += way
    return best, variable, level


@numba.njit(cache=True, nogil=True)
def apply_move_sparse(indptr: Integers, indices: Integers, data: Floats, e: Floats, j: int, d: float) -> None:
    """e += d * A[:, j], in place."""
    for p in range(indptr[j], indptr[j + 1]):
        e[indices[p]] += d * data[p]


@numba.njit(cache=True, nogil=True, inline="always")
def _power(v: float, squarings: int) -> float:
    t = max(v, 0.0)
    for _ in range(squarings):
        t *= t
    return t


@numba.njit(cache=True, nogil=True)
def _change(
    indptr: Integers,
    indices: Integers,
    data: Floats,
    e: Floats,
    h: Floats,
    j: int,
    d: float,
    scale: float,
    sq: int,
) -> float:
    """Change of the power sum under x_j += d."""
    total = 0.0
    for p in range(indptr[j], indptr[j + 1]):
        i = indices[p]
        after, before = abs(e[i] + d * data[p]) - h[i], abs(e[i]) - h[i]
        total += _power(after * scale, sq) - _power(before * scale, sq)
    return total


@numba.njit(cache=True, nogil=True)
def _power_sum(e: Floats, h: Floats, scale: float, sq: int) -> float:
    total = 0.0
    for i in range(len(e)):
        total += _power((abs(e[i]) - h[i]) * scale, sq)
    return total


@numba.njit(cache=True, nogil=True)
def anneal_sparse(
    indptr: Integers,
    indices: Integers,
    data: Floats,
    e: Floats,
    h: Floats,
    idx: Integers,
    values: Floats,
    start: Integers,
    count: Integers,
    squarings: int,
    scale: float,
    tau: float,
    pairs: float,
    partners: Integers,
    seed: int,
    first_move: int,
    n_moves: int,
    best: Integers,
    best_value: float,
) -> tuple[float, int]:
    """`kernels.minmax.anneal` for A in CSC form: O(nonzeros) a move.

    The partner of a pair shares a row with the first variable (found by its number, half of the time), else is any.
    """
    n = len(indptr) - 1
    sum_now = _power_sum(e, h, scale, squarings)
    lowest, accepted = np.inf, 0
    for move in range(first_move, first_move + n_moves):
        limit = tau * exponential(seed, move, 0)
        bits = draw(seed, move, 1)
        j = (bits >> 33) % n
        step = 1 if (bits & 15) else 1 + ((bits >> 8) & 3)
        k = idx[j] + (step if (bits >> 4) & 1 else -step)
        if k < 0 or k >= count[j]:
            continue
        d = values[start[j] + k] - values[start[j] + idx[j]]
        change = _change(indptr, indices, data, e, h, j, d, scale, squarings)
        if ((bits >> 10) & 1023) < pairs * 1024:
            more = draw(seed, move, 2)
            i2, up = (more >> 33) % n, (more >> 4) & 1
            if more & 3:  # one that makes up for the first
                code = partners[j, (more >> 33) % partners.shape[1]]
                i2, up = code >> 1, (1 if k > idx[j] else 0) ^ (code & 1)
            k2 = idx[i2] + (1 if up else -1)
            if i2 == j or k2 < 0 or k2 >= count[i2]:
                continue
            d2 = values[start[i2] + k2] - values[start[i2] + idx[i2]]
            apply_move_sparse(indptr, indices, data, e, j, d)
            change += _change(indptr, indices, data, e, h, i2, d2, scale, squarings)
            if change > limit:
                apply_move_sparse(indptr, indices, data, e, j, -d)
                continue
            apply_move_sparse(indptr, indices, data, e, i2, d2)
            idx[i2] = k2
        elif change > limit:
            continue
        else:
            apply_move_sparse(indptr, indices, data, e, j, d)
        idx[j] = k
        accepted += 1
        sum_now += change
        if (
            sum_now < lowest
        ):  # looking for the maximum costs O(m): only where the power sum is the least so far
            lowest = sum_now
            worst = violation(e, h)
            if worst < best_value:
                best_value = worst
                best[:] = idx
                if worst <= 0.0:
                    break
                sum_now = _power_sum(e, h, scale, squarings)
    return best_value, accepted
