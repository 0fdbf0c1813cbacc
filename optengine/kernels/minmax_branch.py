"""Branch and bound over arbitrary level sets: the proof behind small min-max problems.

A node keeps an interval of level indices for every variable; `minmax_simplex` bounds it from the parent's basis. The
first dual step against x_j shows how far x_j can go before the bound passes the incumbent; levels beyond are dropped
(penalties: Driebeek 1966, doi:10.1287/mnsc.12.7.576). Branches fix one variable to its levels, nearest to the
relaxation first; the bound is convex in that level, so a side ends at its first failure.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_simplex import AGREE, CUT, OPTIMAL, STOPPED, TINY, constraint, resolve

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RUNNING, DONE = 0, 1
EMPTY = 3  # beside the simplex method's answers: a variable has lost all its levels
SAFE = 1e-6  # relative: only points better than (1 - SAFE) times the incumbent are looked for
MOST_TURNS = 4  # linear programmes of a node, levels being dropped between them


@numba.njit(cache=True, nogil=True)
def _reach(
    G: Floats,
    rhs: Floats,
    x_low: Floats,
    x_high: Floats,
    inverse: Floats,
    lam: Floats,
    j: int,
    sign: float,
    cut: float,
    reduced: Floats,
) -> tuple[float, float]:
    """Cost of a unit of x_j against `sign`, and the x_j at which the bound passes `cut`; (0, 0) where it never does.

    G (d, d), rhs (d,): gradients and right sides of the active rows, zero for active bounds.
    """
    d = len(lam)
    n = d - 1
    step = 1e12
    for k in range(d):
        a = sign * inverse[j, k]
        if a > 1e-13:
            step = min(step, lam[k] / a)
    reduced[:] = 0.0
    rest, share = 0.0, 0.0
    for k in range(d):
        y = lam[k] - step * sign * inverse[j, k]
        if G[k, n] != 0.0 and y > 0.0:
            rest -= y * rhs[k]
            share += y
            for i in range(n):
                reduced[i] += y * G[k, i]
    if share <= 0.0 or sign * reduced[j] >= 0.0:
        return 0.0, 0.0
    for i in range(n):
        if i != j:
            rest += reduced[i] * (x_low[i] if reduced[i] > 0 else x_high[i])
    return -sign * reduced[j] / share, (cut * share - rest) / reduced[j]  # rest + reduced_j x_j < cut share


@numba.njit(cache=True, nogil=True)
def tighten(
    A: Floats,
    c: Floats,
    h: Floats,
    x_low: Floats,
    x_high: Floats,
    basis: Integers,
    inverse: Floats,
    lam: Floats,
    z: Floats,
    cut: float,
    values: Floats,
    start: Integers,
    low: Integers,
    high: Integers,
    slopes: Floats,
) -> int:
    """Drop the levels that the first dual step against x_j puts beyond `cut`.

    That step only chooses multipliers; what they prove is computed from the rows, so that a bad inverse drops nothing.
    `slopes` (n, 2) takes the cost of a unit down and up, low and high (n,) the level indices left.

    Returns:
        -1 if a variable has no level left, 1 if a bound now cuts z off, else 0.
    """
    m, n = A.shape
    d = n + 1
    G, rhs = np.zeros((d, d)), np.zeros(d)
    for k in range(d):
        if basis[k] < 2 * m:
            rhs[k] = constraint(basis[k], A, c, h, x_low, x_high, G[k])
    reduced = np.empty(n)
    moved = 0
    for j in range(n):
        first = start[j]
        for side in range(2):
            sign = 1.0 if side == 0 else -1.0
            slope, limit = _reach(G, rhs, x_low, x_high, inverse, lam, j, sign, cut, reduced)
            slopes[j, side] = slope
            slack = 1e-10 * (abs(limit) + x_high[j] - x_low[j])
            while slope > 0 and side == 0 and low[j] <= high[j] and values[first + low[j]] < limit - slack:
                low[j] += 1
            while slope > 0 and side == 1 and low[j] <= high[j] and values[first + high[j]] > limit + slack:
                high[j] -= 1
        if low[j] > high[j]:
            return -1
        if values[first + low[j]] > z[j] + 1e-9 or values[first + high[j]] < z[j] - 1e-9:
            moved = 1
    return moved


@numba.njit(cache=True, nogil=True)
def _choose(
    z: Floats,
    room: float,
    values: Floats,
    start: Integers,
    low: Integers,
    high: Integers,
    slopes: Floats,
) -> int:
    """The variable to branch on: the fewest levels left, then the dearest neighbours; -1 if all are fixed."""
    chosen, least = -1, np.inf
    for j in range(len(low)):
        count = high[j] - low[j] + 1
        if count == 1:
            continue
        below = np.searchsorted(values[start[j] + low[j] : start[j] + high[j] + 1], z[j], side="right") - 1
        below = start[j] + low[j] + min(max(below, 0), count - 2)
        down = min(1.0, max(1e-3, (z[j] - values[below]) * slopes[j, 0] / room))
        up = min(1.0, max(1e-3, (values[below + 1] - z[j]) * slopes[j, 1] / room))
        if count - down * up < least:
            chosen, least = j, count - down * up
    return chosen


@numba.njit(cache=True, nogil=True)
def _relax(
    A: Floats,
    At: Floats,
    c: Floats,
    h: Floats,
    values: Floats,
    start: Integers,
    size: Floats,
    low: Integers,
    high: Integers,
    basis: Integers,
    inverse: Floats,
    lam: Floats,
    age: Integers,
    cut: float,
    turns: int,
    z: Floats,
    slopes: Floats,
) -> tuple[int, int, float]:
    """Bound a node and drop levels until its relaxation lies between those left, or `turns` are over.

    Returns:
        OPTIMAL, STOPPED (z is no optimum), CUT at the first programme or EMPTY later; programmes solved; bound.
    """
    n = len(low)
    x_low, x_high = np.empty(n), np.empty(n)
    bound = 0.0
    for turn in range(turns):
        for i in range(n):
            x_low[i], x_high[i] = values[start[i] + low[i]], values[start[i] + high[i]]
        status, bound = resolve(A, At, c, h, x_low, x_high, size, basis, inverse, lam, age, z, cut)
        if status == CUT:
            return (CUT if turn == 0 else EMPTY), turn + 1, bound
        if status == STOPPED:
            slopes[:] = 0.0
            for i in range(n):
                z[i] = min(max(z[i], x_low[i]), x_high[i])
            return STOPPED, turn + 1, bound
        moved = tighten(
            A, c, h, x_low, x_high, basis, inverse, lam, z, cut, values, start, low, high, slopes
        )  # fmt: skip
        if moved < 0:
            return EMPTY, turn + 1, bound
        if moved == 0:
            return OPTIMAL, turn + 1, bound
    return STOPPED, turns, bound


@numba.njit(cache=True, nogil=True)
def _next_child(
    k: int, values: Floats, start: Integers, low: Integers, high: Integers, where: Integers, x: float
) -> bool:
    """Fix the variable of node k to its next level, nearest to x first, in row k + 1; False when none is left."""
    j, down, up = where[k, 0], where[k, 1], where[k, 2]
    descend, climb = down >= low[k, j], up <= high[k, j]
    if not descend and not climb:
        return False
    if descend and climb:
        descend = x - values[start[j] + down] <= values[start[j] + up] - x
    where[k, 4] = descend
    where[k, 1] -= descend
    where[k, 2] += not descend
    low[k + 1], high[k + 1] = low[k], high[k]
    low[k + 1, j] = high[k + 1, j] = down if descend else up
    return True


@numba.njit(cache=True, nogil=True)
def _value(A: Floats, c: Floats, h: Floats, values: Floats, start: Integers, idx: Integers) -> float:
    """Largest violation at level indices (n,)."""
    worst = 0.0
    for i in range(len(c)):
        total = -c[i]
        for j in range(len(idx)):
            total += A[i, j] * values[start[j] + idx[j]]
        worst = max(worst, abs(total) - h[i])
    return worst


@numba.njit(cache=True, nogil=True)
def branch(
    A: Floats,
    At: Floats,
    c: Floats,
    h: Floats,
    values: Floats,
    start: Integers,
    size: Floats,
    low: Integers,
    high: Integers,
    basis: Integers,
    inverse: Floats,
    lam: Floats,
    age: Integers,
    where: Integers,
    middle: Floats,
    best: Integers,
    value: Floats,
    max_nodes: int,
) -> int:
    """Depth-first branch and bound, up to `max_nodes` linear programmes a call.

    Args:
        A (m, n), At (n, m), c, h (m,): rows. values, start: flat levels. size: (n,) largest |entry| of a column.
        low, high: (n + 2, n) level indices left at each depth; row 0 given. basis (n + 2, d), inverse (n + 2, d, d),
            lam (n + 2, d), age (n + 2, 1): the simplex bases; row 0 given, dual feasible.
        where: (n + 2, 5) int64: variable, next level down, next level up, whether the relaxation is solved, whether the
            last child went down; the last row holds depth + 1, 0 before the start. middle: (n + 2, 2) the relaxation's
            value of that variable, and its bound.
        best: (n,) level indices of the incumbent, changed. value: (2,) its value and the nodes of this call, changed.

    Returns:
        DONE when nothing is left, RUNNING when the nodes ran out.
    """
    n = A.shape[1]
    z, slopes = np.empty(n + 1), np.empty((n, 2))
    spent, k = 0, where[n + 1, 0] - 1
    if k < 0:
        k, where[0, 0] = 0, -1  # not yet bounded
    while k >= 0 and spent < max_nodes:
        cut = value[0] * (1.0 - SAFE)
        if where[k, 0] >= 0:
            if not _next_child(k, values, start, low, high, where, middle[k, 0]):
                k -= 1
                continue
            basis[k + 1], lam[k + 1], age[k + 1] = basis[k], lam[k], age[k]
            inverse[k + 1] = inverse[k]
            k += 1
        status, used, bound = _relax(
            A, At, c, h, values, start, size, low[k], high[k], basis[k], inverse[k], lam[k], age[k], cut,
            min(MOST_TURNS, max_nodes - spent), z, slopes,
        )  # fmt: skip
        spent += used
        clear = k > 0 and where[k - 1, 3] and middle[k - 1, 1] < cut * (1.0 - 4.0 * AGREE)
        if (
            status == CUT and clear
        ):  # above the parent's least, and convex in the level: those beyond fail as well
            if where[k - 1, 4]:
                where[k - 1, 1] = -1
            else:
                where[k - 1, 2] = high[k - 1, where[k - 1, 0]] + 1
        alive = status in (OPTIMAL, STOPPED)
        j = _choose(z, max(cut - bound, TINY * cut), values, start, low[k], high[k], slopes) if alive else -1
        if j >= 0:
            first = start[j] + low[k, j]
            up = low[k, j] + np.searchsorted(values[first : start[j] + high[k, j] + 1], z[j], side="right")
            where[k, 0], where[k, 1], where[k, 2], where[k, 3] = j, up - 1, up, status == OPTIMAL
            middle[k, 0], middle[k, 1] = z[j], bound
            continue
        if alive:
            found = _value(A, c, h, values, start, low[k])
            if found < cut:
                best[:] = low[k]
                value[0] = found
        k -= 1
    where[n + 1, 0] = k + 1
    value[1] = spent
    return DONE if k < 0 else RUNNING
