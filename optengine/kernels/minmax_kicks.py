"""Iterated descent in the maximum, compiled whole: for few variables, where thousands of descents fit into a second."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax import apply_move, best_move, best_pair, violation
from optengine.kernels.minmax_random import draw

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def _sort_worst(e: Floats, h: Floats, order: Integers, kept: int) -> None:
    """Bring the `kept` worst rows of `order` to its front, sorted: a partial selection, O(m kept) at most."""
    m = len(e)
    for p in range(min(kept, m)):
        worst, at = -np.inf, p
        for q in range(p, m):
            v = abs(e[order[q]]) - h[order[q]]
            if v > worst:
                worst, at = v, q
        order[p], order[at] = order[at], order[p]


@numba.njit(cache=True, nogil=True)
def kicked_descents(
    At: Floats,
    e: Floats,
    h: Floats,
    idx: Integers,
    values: Floats,
    start: Integers,
    count: Integers,
    order: Integers,
    widest: int,
    seed: int,
    first_round: int,
    n_rounds: int,
    best: Integers,
    best_value: float,
) -> tuple[float, int]:
    """Rounds of a kick and a descent by best single moves, then best pairs, from the present point.

    A kick moves 2..`widest` random variables by one or two levels, the first of them so that it relieves the worst
    row. The descent's end replaces the present point if it is not worse, and with a chance of 1 in 64 anyway.

    Args:
        At, e, h, idx, values, start, count, order: as in `best_pair`; e, idx and order are changed. seed, first_round:
            number the random draws. best (n,), best_value: best found, changed.

    Returns:
        Best value, and moves tried.
    """
    n = len(At)
    everyone = np.arange(n)
    now, tried = violation(e, h), 0
    kept_idx, kept_e = idx.copy(), e.copy()
    for turn in range(first_round, first_round + n_rounds):
        bits = draw(seed, turn, 0)
        width = 2 + (bits >> 40) % max(1, widest - 1)
        _sort_worst(e, h, order, 1)
        for t in range(width):
            more = draw(seed, turn * 64 + t, 1)
            j = (more >> 33) % n
            step = 1 + ((more >> 5) & 1)
            up = (more & 1) == 1
            if t == 0:
                up = e[order[0]] * At[j, order[0]] < 0
            k = min(max(idx[j] + (step if up else -step), 0), count[j] - 1)
            apply_move(At, e, j, values[start[j] + k] - values[start[j] + idx[j]])
            idx[j] = k
        while True:
            _sort_worst(e, h, order, 16)
            tried += 2 * n
            after, j, k = best_move(At, e, h, idx, values, start, count, order)
            if j >= 0:
                apply_move(At, e, j, values[start[j] + k] - values[start[j] + idx[j]])
                idx[j] = k
                continue
            tried += 4 * n * n
            after, j, k, i, l = best_pair(At, e, h, idx, values, start, count, everyone, False, order)  # noqa: E741
            if j < 0:
                break
            apply_move(At, e, j, values[start[j] + k] - values[start[j] + idx[j]])
            apply_move(At, e, i, values[start[i] + l] - values[start[i] + idx[i]])
            idx[j], idx[i] = k, l
        if after < best_value:
            best_value = after
            best[:] = idx
        if after <= now or (bits & 63) == 0:
            now = after
            kept_idx[:] = idx
            kept_e[:] = e
        else:
            idx[:] = kept_idx
            e[:] = kept_e
    return best_value, tried
