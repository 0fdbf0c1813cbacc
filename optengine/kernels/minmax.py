"""Min-max violation on dense rows: exact moves, and annealing on a power sum.

State of a search: errors e (m,) = A x - centre and half widths h (m,) >= 0 of weighted rows; row i is violated by
|e_i| - h_i where that is > 0, and the value is the largest violation. `At` (n, m) holds A by variable, so that a move
reads one contiguous row of it. Levels are flat: variable j has values[start_j : start_j + count_j], ascending.

Each exact kernel has a NumPy form `*_reference`, the definition. The Numba forms visit rows in `order` (worst first)
and leave a candidate at the first row that is worse than the best candidate so far: one row decides nearly always, so
a candidate costs a few rows instead of m.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw, exponential

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Move = tuple[
    float, int, int
]  # value after the move, variable, its new level index; -1 where nothing improves
Pair = tuple[float, int, int, int, int]  # value, variable and new level, twice

SLAB = 256  # rows kept in exact order; the rest follow in any order


def violation_reference(e: Floats, h: Floats) -> float:
    """Largest of |e| - h, at least 0; the definition."""
    return float(np.maximum(np.abs(e) - h, 0.0).max(initial=0.0))


@numba.njit(cache=True, nogil=True)
def violation(e: Floats, h: Floats) -> float:
    """`violation_reference`, compiled."""
    worst = 0.0
    for i in range(len(e)):
        worst = max(worst, abs(e[i]) - h[i])
    return worst


def worst_first(e: Floats, h: Floats) -> Integers:
    """An order of the rows (m,): the `SLAB` worst sorted, the others behind them."""
    v = h - np.abs(e)
    if len(v) <= SLAB:
        return np.argsort(v, kind="stable")
    order = np.argpartition(v, SLAB)
    order[:SLAB] = order[:SLAB][np.argsort(v[order[:SLAB]], kind="stable")]
    return order


@numba.njit(cache=True, nogil=True)
def moved_dense(
    A: Floats, products: Floats, low: Floats, high: Floats, w: Floats, columns: Integers, steps: Floats
) -> Floats:
    """Largest weighted violation of low <= A x <= high after x[columns_q] += steps_q, for each q alone, (q,).

    A (m, n) as the user gave it; products (m,) = A x.
    """
    m = len(products)
    result = np.zeros(len(columns))
    for q in range(len(columns)):
        worst = 0.0
        for i in range(m):
            t = products[i] + steps[q] * A[i, columns[q]]
            worst = max(worst, w[i] * max(low[i] - t, t - high[i]))
        result[q] = worst
    return result


@numba.njit(cache=True, nogil=True)
def moved_sparse(
    indptr: Integers,
    indices: Integers,
    data: Floats,
    products: Floats,
    low: Floats,
    high: Floats,
    w: Floats,
    columns: Integers,
    steps: Floats,
) -> Floats:
    """`moved_dense` for A in CSC form: O(nonzeros) a move, O(m log m) once."""
    m = len(products)
    v = np.empty(m)
    for i in range(m):
        v[i] = max(0.0, w[i] * max(low[i] - products[i], products[i] - high[i]))
    order = np.argsort(-v)
    mark = np.full(m, -1, dtype=np.int64)
    result = np.zeros(len(columns))
    for q in range(len(columns)):
        worst = 0.0
        for p in range(indptr[columns[q]], indptr[columns[q] + 1]):
            i = indices[p]
            mark[i] = q
            t = products[i] + steps[q] * data[p]
            worst = max(worst, w[i] * max(low[i] - t, t - high[i]))
        for t in range(m):  # the worst row that the column leaves alone
            if mark[order[t]] != q:
                worst = max(worst, v[order[t]])
                break
        result[q] = worst
    return result


# -- exact moves -----------------------------------------------------------------------------------------------------


def best_move_reference(
    At: Floats, e: Floats, h: Floats, idx: Integers, values: Floats, start: Integers, count: Integers
) -> Move:
    """The single move with the least value below the present one; ties to the first variable, then lowest level."""
    best = (violation_reference(e, h), -1, -1)
    for j in range(len(At)):
        for k in range(count[j]):
            d = values[start[j] + k] - values[start[j] + idx[j]]
            value = violation_reference(e + d * At[j], h)
            if value < best[0]:
                best = (value, j, k)
    return best


@numba.njit(cache=True, nogil=True)
def best_move(
    At: Floats,
    e: Floats,
    h: Floats,
    idx: Integers,
    values: Floats,
    start: Integers,
    count: Integers,
    order: Integers,
) -> Move:
    """`best_move_reference`, compiled.

    Along one variable the value is convex, so the search goes outward from the present level and gives a direction up
    at the first level that is no better than the present value. That beats solving for each column's own minimax
    point, which needs all m rows, because the first rows of `order` end nearly every direction at once.
    """
    n, m = At.shape
    now = violation(e, h)
    best, variable, level = now, -1, -1
    for j in range(n):
        here = values[start[j] + idx[j]]
        for way in (-1, 1):
            k = idx[j] + way
            while 0 <= k < count[j]:
                d = values[start[j] + k] - here
                worst = 0.0
                for p in range(m):
                    i = order[p]
                    worst = max(worst, abs(e[i] + d * At[j, i]) - h[i])
                    if worst > best:
                        break
                if worst >= now:
                    break
                if worst < best or (worst == best and variable == j and k < level):
                    best, variable, level = worst, j, k
                k += way
    return best, variable, level


def best_pair_reference(
    At: Floats,
    e: Floats,
    h: Floats,
    idx: Integers,
    values: Floats,
    start: Integers,
    count: Integers,
    first: Integers,
    exchange: bool,
) -> Pair:
    """The best improving pair of one-level steps, one of them of a variable in `first`; the first one in a tie.

    With `exchange` only pairs count whose variables trade neighbouring level indices (q, q + 1): they keep the
    histogram of levels.
    """
    best = (violation_reference(e, h), -1, -1, -1, -1)
    for i in first:
        for k in (idx[i] - 1, idx[i] + 1):
            if not 0 <= k < count[i]:
                continue
            moved = e + (values[start[i] + k] - values[start[i] + idx[i]]) * At[i]
            for j in range(len(At)):
                for l in (idx[j] - 1, idx[j] + 1):  # noqa: E741
                    if j == i or not 0 <= l < count[j] or (exchange and (k != idx[j] or l != idx[i])):
                        continue
                    d = values[start[j] + l] - values[start[j] + idx[j]]
                    value = violation_reference(moved + d * At[j], h)
                    if value < best[0]:
                        best = (value, int(i), int(k), j, int(l))
    return best


@numba.njit(cache=True, nogil=True)
def best_pair(
    At: Floats,
    e: Floats,
    h: Floats,
    idx: Integers,
    values: Floats,
    start: Integers,
    count: Integers,
    first: Integers,
    exchange: bool,
    order: Integers,
) -> Pair:
    """`best_pair_reference`, compiled. A move that improves relieves the worst row: `first` = its support will do."""
    n, m = At.shape
    best = violation(e, h)
    found = (-1, -1, -1, -1)
    moved = np.empty(m)
    for i in first:
        for k in (idx[i] - 1, idx[i] + 1):
            if k < 0 or k >= count[i]:
                continue
            d = values[start[i] + k] - values[start[i] + idx[i]]
            for p in range(m):
                moved[p] = e[order[p]] + d * At[i, order[p]]
            for j in range(n):
                for l in (idx[j] - 1, idx[j] + 1):  # noqa: E741
                    if j == i or l < 0 or l >= count[j] or (exchange and (k != idx[j] or l != idx[i])):
                        continue
                    d = values[start[j] + l] - values[start[j] + idx[j]]
                    worst = 0.0
                    for p in range(m):
                        worst = max(worst, abs(moved[p] + d * At[j, order[p]]) - h[order[p]])
                        if worst >= best:
                            break
                    if worst < best:
                        best, found = worst, (i, k, j, l)
    return best, found[0], found[1], found[2], found[3]


@numba.njit(cache=True, nogil=True)
def apply_move(At: Floats, e: Floats, j: int, d: float) -> None:
    """e += d * At[j], in place."""
    for i in range(len(e)):
        e[i] += d * At[j, i]


# -- annealing on a power sum ----------------------------------------------------------------------------------------


@numba.njit(cache=True, nogil=True, fastmath=True, inline="always")
def _powers(a: Floats, e: Floats, h: Floats, d: float, scale: float, squarings: int) -> float:
    """Sum over rows of (scale * violation)^(2^squarings) at e + d a; vectorised by the compiler."""
    total = scale * 0
    zero = scale * 0
    if squarings == 1:
        for i in range(len(a)):
            t = max(abs(e[i] + d * a[i]) - h[i], zero) * scale
            total += t * t
    elif squarings == 2:
        for i in range(len(a)):
            t = max(abs(e[i] + d * a[i]) - h[i], zero) * scale
            t *= t
            t *= t
            total += t
    elif squarings == 3:
        for i in range(len(a)):
            t = max(abs(e[i] + d * a[i]) - h[i], zero) * scale
            t *= t
            t *= t
            t *= t
            total += t
    else:
        for i in range(len(a)):
            t = max(abs(e[i] + d * a[i]) - h[i], zero) * scale
            t *= t
            t *= t
            t *= t
            t *= t
            total += t
    return total


@numba.njit(cache=True, nogil=True, fastmath=True)
def _shifted(a: Floats, e: Floats, out: Floats, d: float) -> None:
    """out = e + d a."""
    for i in range(len(a)):
        out[i] = e[i] + d * a[i]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _advance(a: Floats, base: Floats, e: Floats, h: Floats, d: float) -> float:
    """e = base + d a, in place; returns its largest violation."""
    worst = e[0] * 0
    for i in range(len(e)):
        e[i] = base[i] + d * a[i]
        worst = max(worst, abs(e[i]) - h[i])
    return worst


CHUNK = 256  # rows between two looks at the limit: long enough for vectors, short enough to leave early


@numba.njit(cache=True, nogil=True, fastmath=True)
def anneal(
    At: Floats,
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
    seed: int,
    first_move: int,
    n_moves: int,
    best: Integers,
    best_value: float,
) -> tuple[float, int]:
    """Metropolis steps at one temperature on S = sum_i (scale * violation_i)^p, p = 2, 4, 8 or 16.

    A move of one or two variables by one level (more, seldom) is accepted when S rises by less than tau times an
    exponential variate; the limit is drawn first, so that most moves are given up after some rows. (A temperature of
    log S would fall with S: the walk then freezes all at once.)

    Args:
        At, e, h: one dtype, float32 or float64; e and idx are changed. squarings: log2 p, 1 to 4.
        tau: temperature. pairs: share of moves with two variables. seed, first_move: number the random draws, so that
            the walk does not depend on how it is cut into calls. best (n,), best_value: best found, changed.

    Returns:
        Best value, and how many moves were accepted.
    """
    n, m = At.shape
    none = e[0] * 0
    scale = none + scale  # in the dtype of e
    sum_now = _powers(At[0], e, h, none, scale, squarings)
    other = np.empty_like(e)
    accepted = 0
    for move in range(first_move, first_move + n_moves):
        limit = sum_now + tau * exponential(seed, move, 0)
        bits = draw(seed, move, 1)
        j = (bits >> 33) % n
        step = 1 if (bits & 15) else 1 + ((bits >> 8) & 3)
        k = idx[j] + (step if (bits >> 4) & 1 else -step)
        if k < 0 or k >= count[j]:
            continue
        d = none + (values[start[j] + k] - values[start[j] + idx[j]])
        base, partner, partner_level, d2 = e, -1, 0, none
        if ((bits >> 10) & 1023) < pairs * 1024:
            more = draw(seed, move, 2)
            partner = (more >> 33) % n
            partner_level = idx[partner] + (1 if (more >> 4) & 1 else -1)
            if partner == j or partner_level < 0 or partner_level >= count[partner]:
                continue
            d2 = none + (values[start[partner] + partner_level] - values[start[partner] + idx[partner]])
            base = other
        total, row = none, 0
        while row < m and total <= limit:
            last = min(m, row + CHUNK)
            if partner >= 0:
                _shifted(At[partner, row:last], e[row:last], other[row:last], d2)
            total += _powers(At[j, row:last], base[row:last], h[row:last], d, scale, squarings)
            row = last
        if total > limit:
            continue
        accepted += 1
        worst = _advance(At[j], base, e, h, d)
        idx[j] = k
        if partner >= 0:
            idx[partner] = partner_level
        sum_now = total
        if worst < best_value:
            best_value = worst
            best[:] = idx
            if worst <= 0:
                break
    return best_value, accepted
