"""A dual simplex method for the relaxation of min-max violation over intervals, started from any basis met before.

    min t   subject to   |a_i x - c_i| <= h_i + t,   low <= x <= high,   t >= 0

Every basis met is dual feasible, so its value is a bound already (Lemke 1954, doi:10.1002/nav.3800010107); a parent's
basis stays so when intervals shrink. What is returned is computed from the rows and the multipliers: a bad inverse
makes a bound weaker, never wrong.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

AGREE = 1e-7  # relative: how far the bound of the basis and the safe one may differ
TINY = 1e-9  # violation, in units of the incumbent, at which a basis counts as optimal
SMALLEST, LOOSE = (
    1e-9,
    1e-12,
)  # pivots, relative; what a multiplier may fall below 0 for a larger pivot (Harris 1973)
SINGULAR = 1e-12  # pivot of an elimination
MOST_PIVOTS = 2000  # of one linear programme; a bound holds also where it stops early
REFACTOR = 50  # pivots after which the inverse is computed anew
OPTIMAL, CUT, STOPPED = 0, 1, 2


@numba.njit(cache=True, nogil=True)
def constraint(code: int, A: Floats, c: Floats, h: Floats, low: Floats, high: Floats, g: Floats) -> float:
    """Write the gradient of a constraint g (x, t) <= r, (n + 1,), and return r.

    Codes: 0..m-1 rows from above, m..2m-1 from below, 2m: t >= 0, then n lower and n upper bounds.
    """
    m, n = A.shape
    g[:] = 0.0
    if code < 2 * m:
        i = code % m
        sign = 1.0 if code < m else -1.0
        for j in range(n):
            g[j] = sign * A[i, j]
        g[n] = -1.0
        return float(h[i] + sign * c[i])
    if code == 2 * m:
        g[n] = -1.0
        return 0.0
    j = code - 2 * m - 1
    if j < n:
        g[j] = -1.0
        return float(-low[j])
    g[j - n] = 1.0
    return float(high[j - n])


@numba.njit(cache=True, nogil=True, fastmath=True)
def _most_violated(
    At: Floats, c: Floats, h: Floats, low: Floats, high: Floats, size: Floats, z: Floats, r: Floats
) -> tuple[int, float]:
    """Code and violation of the worst constraint at z; bounds count in units of their column's largest entry."""
    n, m = At.shape
    for i in range(m):
        r[i] = -c[i]
    for j in range(n):
        x = z[j]
        for i in range(m):
            r[i] += At[j, i] * x
    worst, code = -1e300, 0
    for i in range(m):
        v = abs(r[i]) - h[i]
        if v > worst:
            worst, code = v, i
    worst = float(worst - z[n])
    if r[code] < 0:
        code += m
    for j in range(n):
        below, above = (low[j] - z[j]) * size[j], (z[j] - high[j]) * size[j]
        if below > worst:
            worst, code = below, 2 * m + 1 + j
        if above > worst:
            worst, code = above, 2 * m + 1 + n + j
    return code, worst


@numba.njit(cache=True, nogil=True)
def restart(m: int, basis: Integers, inverse: Floats, lam: Floats) -> None:
    """The basis that is dual feasible in any case: t >= 0 and all lower bounds."""
    n = len(basis) - 1
    inverse[:, :] = 0.0
    for k in range(n + 1):
        basis[k] = 2 * m if k == n else 2 * m + 1 + k
        inverse[k, k] = -1.0
        lam[k] = 1.0 if k == n else 0.0


@numba.njit(cache=True, nogil=True)
def _refactor(A: Floats, c: Floats, h: Floats, basis: Integers, inverse: Floats, lam: Floats) -> bool:
    """Inverse and multipliers of a basis, computed anew by Gauss-Jordan elimination; False where it is singular."""
    d = len(basis)
    M, g, zero = np.zeros((d, 2 * d)), np.empty(d), np.zeros(d - 1)
    for k in range(d):
        constraint(basis[k], A, c, h, zero, zero, g)
        M[k, :d] = g
        M[k, d + k] = 1.0
    for k in range(d):
        p = k + int(np.argmax(np.abs(M[k:, k])))
        if abs(M[p, k]) < SINGULAR:
            return False
        for q in range(k, 2 * d):
            M[k, q], M[p, q] = M[p, q], M[k, q]
        M[k] = M[k] / M[k, k]
        for i in range(d):
            if i != k and M[i, k] != 0.0:
                M[i, k:] -= M[i, k] * M[k, k:]
    inverse[:, :] = M[:, d:]
    for k in range(d):
        lam[k] = max(0.0, -inverse[d - 1, k])  # e_t + lam B = 0
    return True


@numba.njit(cache=True, nogil=True)
def _repair(
    A: Floats, c: Floats, h: Floats, basis: Integers, inverse: Floats, lam: Floats, age: Integers, anew: bool
) -> None:
    """Compute the inverse anew, or begin with the first basis if told to or if this one is singular."""
    if anew or not _refactor(A, c, h, basis, inverse, lam):
        restart(A.shape[0], basis, inverse, lam)
    age[0] = 0


@numba.njit(cache=True, nogil=True)
def safe_bound(
    A: Floats, c: Floats, h: Floats, low: Floats, high: Floats, basis: Integers, lam: Floats
) -> float:
    """Bound by weak duality from the rows' multipliers alone, whatever the inverse has become."""
    m, n = A.shape
    reduced, g = np.zeros(n), np.empty(n + 1)
    total, share = 0.0, 0.0
    for k in range(n + 1):
        if basis[k] < 2 * m and lam[k] > 0.0:
            total -= lam[k] * constraint(basis[k], A, c, h, low, high, g)
            share += lam[k]
            for j in range(n):
                reduced[j] += lam[k] * g[j]
    if share <= 0.0:
        return 0.0
    for j in range(n):
        total += reduced[j] * (low[j] if reduced[j] > 0 else high[j])
    return max(0.0, total / share)


@numba.njit(cache=True, nogil=True)
def _pivot(g: Floats, basis: Integers, code: int, inverse: Floats, lam: Floats, alpha: Floats) -> bool:
    """Let a constraint enter the basis, the largest pivot among the first multipliers to vanish leave."""
    d = len(basis)
    alpha[:] = 0.0
    for i in range(d):
        if g[i] != 0.0:
            for k in range(d):
                alpha[k] += g[i] * inverse[i, k]
    least = SMALLEST * np.abs(alpha).max()
    reach = np.inf
    for k in range(d):
        if alpha[k] > least:
            reach = min(reach, (lam[k] + LOOSE) / alpha[k])
    out, pivot = -1, 0.0
    for k in range(d):
        if alpha[k] > max(least, pivot) and lam[k] <= reach * alpha[k]:
            out, pivot = k, alpha[k]
    if out < 0:
        return False
    step = lam[out] / pivot
    for k in range(d):
        lam[k] = max(0.0, lam[k] - step * alpha[k])
    lam[out] = step
    for i in range(d):
        t = inverse[i, out] / pivot
        for k in range(d):
            inverse[i, k] -= t * alpha[k]
        inverse[i, out] = t
    basis[out] = code
    return True


@numba.njit(cache=True, nogil=True)
def resolve(
    A: Floats,
    At: Floats,
    c: Floats,
    h: Floats,
    low: Floats,
    high: Floats,
    size: Floats,
    basis: Integers,
    inverse: Floats,
    lam: Floats,
    age: Integers,
    z: Floats,
    cut: float,
) -> tuple[int, float]:
    """Dual simplex from a dual feasible basis until optimal or the bound passes `cut`.

    Args:
        A, At, c, h: rows. low, high: (n,) bounds of x. size: (n,) largest |entry| of each column.
        basis: (d,) codes of the active constraints, d = n + 1. inverse: (d, d). lam: (d,) multipliers >= 0.
        age: (1,) pivots since `inverse` was computed anew. All four are changed. z: (d,) x and t, written.

    Returns:
        OPTIMAL, CUT or STOPPED, and the bound, safe in any case.
    """
    m, n = A.shape
    d = n + 1
    g, alpha, r = np.empty(d), np.empty(d), np.empty(m)
    repairs = 0
    for _ in range(MOST_PIVOTS):
        if age[0] >= REFACTOR:
            _repair(A, c, h, basis, inverse, lam, age, False)
        z[:] = 0.0
        for k in range(d):
            right = constraint(basis[k], A, c, h, low, high, g)
            for i in range(d):
                z[i] += inverse[i, k] * right
        code, worst = 0, 0.0
        if z[n] < cut:
            code, worst = _most_violated(At, c, h, low, high, size, z, r)
        if z[n] >= cut or worst <= TINY * cut:
            bound = safe_bound(A, c, h, low, high, basis, lam)
            if bound >= cut * (1.0 - AGREE):
                return CUT, bound
            if abs(bound - z[n]) <= AGREE * cut:
                return OPTIMAL, bound
        else:
            constraint(code, A, c, h, low, high, g)
            if _pivot(g, basis, code, inverse, lam, alpha):
                age[0] += 1
                continue
        repairs += 1  # the inverse has gone wrong: compute it anew, then begin anew, then give up
        if repairs == 3:
            break
        _repair(A, c, h, basis, inverse, lam, age, repairs == 2)
    if repairs == 3:
        _repair(A, c, h, basis, inverse, lam, age, True)
    return STOPPED, safe_bound(A, c, h, low, high, basis, lam)
