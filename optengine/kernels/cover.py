"""Weighting local search for set covering.

Gao, Weise, Li, An efficient local search heuristic with row weighting for the unicost set covering problem, European
Journal of Operational Research 246 (2015), doi:10.1016/j.ejor.2015.05.038, with scores per cost: a complete cover
gives up columns; rows that stay uncovered gain weight, so that the columns that cover them become worth more.
"""

from __future__ import annotations

from typing import TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

STEP, SEED, N_OPEN = 0, 1, 2
STATE = 3


@numba.njit(cache=True, nogil=True)
def begin_cover(
    rows_ptr: Integers, rows: Integers, chosen: Integers, counts: Integers, weights: Integers, scores: Integers,
    uncovered: Integers, place: Integers,
) -> int:  # fmt: skip
    """Fill the books for `chosen` (n,) with all weights as they are; returns the number of rows uncovered.

    Args:
        rows_ptr, rows: the rows of each column. counts, weights, place: (m,). scores: (n,) weight of the rows that a
            chosen column alone covers, that a free one would newly cover. uncovered: (m,) list of rows.
    """
    counts[:], scores[:], place[:] = 0, 0, -1
    for j in range(len(chosen)):
        if chosen[j]:
            for p in range(rows_ptr[j], rows_ptr[j + 1]):
                counts[rows[p]] += 1
    for j in range(len(chosen)):
        for p in range(rows_ptr[j], rows_ptr[j + 1]):
            if counts[rows[p]] == chosen[j]:
                scores[j] += weights[rows[p]]
    n_open = 0
    for i in range(len(counts)):
        if counts[i] == 0:
            uncovered[n_open], place[i] = i, n_open
            n_open += 1
    return n_open


@numba.njit(cache=True, nogil=True)
def search_cover(  # noqa: C901 - one compiled loop
    rows_ptr: Integers, rows: Integers, columns_ptr: Integers, columns: Integers, costs: Floats, chosen: Integers,
    counts: Integers, weights: Integers, scores: Integers, uncovered: Integers, place: Integers, since: Integers,
    held: Integers, state: Integers, value: Floats, best: Integers, steps: int,
) -> int:  # fmt: skip
    """`steps` steps: each drops columns until a row is bare, one more, and then covers rows; returns flips made.

    Args:
        columns_ptr, columns: the columns of each row. since: (n,) step of each column's last flip. held: (n,) step
            until which a column that was just added stays. value: (2,) cost now and of the best cover. best: (n,) it.
            All of these, and the books of `begin_cover`, are updated.
    """
    n = len(costs)
    seed, n_open, flips = state[SEED], state[N_OPEN], 0
    covers = (rows_ptr, rows, columns_ptr, columns)
    for step in range(state[STEP], state[STEP] + steps):
        dropping = 1 if n_open else 2
        while dropping:
            if n_open == 0 and value[0] < value[1]:
                value[1] = value[0]
                best[:] = chosen
            k, least = -1, np.inf
            start = draw(seed, step, 0) % n
            for o in range(n):  # the least loss per cost, the oldest of equals
                j = start + o if start + o < n else start + o - n
                if chosen[j] and (n_open == 0 or held[j] < step):
                    loss = scores[j] / costs[j]
                    if loss < least or (loss == least and k >= 0 and since[j] < since[k]):
                        k, least = j, loss
            if k < 0:
                break
            n_open = _flip(k, *covers, chosen, counts, weights, scores, uncovered, place, n_open)
            value[0] -= costs[k]
            since[k] = step
            flips += 1
            if n_open:
                dropping -= 1
        word = 1
        while n_open:
            i = uncovered[draw(seed, step, word) % n_open]
            word += 1
            k, most = -1, -1.0
            for p in range(columns_ptr[i], columns_ptr[i + 1]):
                j = columns[p]
                if since[j] == step and step > 0 and columns_ptr[i + 1] - columns_ptr[i] > 1:
                    continue  # just dropped
                gain = scores[j] / costs[j]
                if gain > most or (gain == most and since[j] < since[k]):
                    k, most = j, gain
            if k < 0 or value[0] + costs[k] >= value[1]:
                break
            n_open = _flip(k, *covers, chosen, counts, weights, scores, uncovered, place, n_open)
            value[0] += costs[k]
            since[k], held[k] = step, step + 1
            flips += 1
            _press(columns_ptr, columns, weights, scores, uncovered, n_open)
        if n_open:  # where the cover could not be closed within the best cost, the open rows gain weight
            _press(columns_ptr, columns, weights, scores, uncovered, n_open)
        elif value[0] < value[1]:
            value[1] = value[0]
            best[:] = chosen
    state[STEP] += steps
    state[N_OPEN] = n_open
    return flips


@numba.njit(cache=True, nogil=True)
def _press(
    columns_ptr: Integers, columns: Integers, weights: Integers, scores: Integers, uncovered: Integers, n_open: int
) -> None:  # fmt: skip
    """Every open row weighs one more, and so do its columns."""
    for q in range(n_open):
        i = uncovered[q]
        weights[i] += 1
        for p in range(columns_ptr[i], columns_ptr[i + 1]):
            scores[columns[p]] += 1


@numba.njit(cache=True, nogil=True)
def _flip(  # noqa: C901 - one compiled loop
    k: int, rows_ptr: Integers, rows: Integers, columns_ptr: Integers, columns: Integers, chosen: Integers,
    counts: Integers, weights: Integers, scores: Integers, uncovered: Integers, place: Integers, n_open: int,
) -> int:  # fmt: skip
    """Add or drop column k; returns the number of rows uncovered."""
    way = -1 if chosen[k] else 1
    chosen[k] += way
    for p in range(rows_ptr[k], rows_ptr[k + 1]):
        i = rows[p]
        before = counts[i]
        counts[i] = before + way
        w = weights[i]
        if way > 0:
            if before == 0:  # no gain for the others any more; k alone covers it
                for q in range(columns_ptr[i], columns_ptr[i + 1]):
                    if columns[q] != k:
                        scores[columns[q]] -= w
                n_open -= 1
                last = uncovered[n_open]
                uncovered[place[i]], place[last] = last, place[i]
                place[i] = -1
            else:
                if before == 1:  # the one that covered it alone loses less
                    for q in range(columns_ptr[i], columns_ptr[i + 1]):
                        j = columns[q]
                        if chosen[j] and j != k:
                            scores[j] -= w
                            break
        elif before == 1:
            for q in range(columns_ptr[i], columns_ptr[i + 1]):
                if columns[q] != k:
                    scores[columns[q]] += w
            uncovered[n_open], place[i] = i, n_open
            n_open += 1
        elif before == 2:
            for q in range(columns_ptr[i], columns_ptr[i + 1]):
                j = columns[q]
                if chosen[j]:
                    scores[j] += w
                    break
    return n_open
