"""Penalties of single coefficients, L1 and MCP, and coordinate descent on a quadratic with an L1 penalty."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLOSE = 1e-11  # change of a standardised coefficient that ends coordinate descent
PASSES = 20_000  # of coordinate descent, at most
LEAP = 3  # passes of coordinate descent before the next direct solution
SINGULAR = 1e-14  # share of its curvature left below which a coefficient counts as a combination of others


@njit(cache=True, nogil=True)
def charge(size: float, weight: float, gamma: float) -> float:
    """Penalty of a coefficient of absolute value `size`: L1, or MCP for gamma > 0."""
    if gamma == 0.0:
        return weight * size
    if size >= gamma * weight:
        return 0.5 * gamma * weight * weight
    return weight * size - 0.5 * size * size / gamma


@njit(cache=True, nogil=True)
def shrink_to(b: float, a: float, weight: float, gamma: float) -> float:
    """The w that minimises a w^2 / 2 - b w + charge(|w|)."""
    size = abs(b)
    if weight == 0.0:
        return b / a
    sign = 1.0 if b > 0.0 else -1.0
    if gamma == 0.0:
        return sign * (size - weight) / a if size > weight else 0.0
    flat = size / a  # beyond the bend of the penalty
    if a * gamma > 1.0:
        if flat >= gamma * weight:
            return sign * flat
        return sign * (size - weight) / (a - 1.0 / gamma) if size > weight else 0.0
    # concave up to the bend: 0 or beyond it
    gain = 0.5 * a * flat * flat - 0.5 * gamma * weight * weight
    return sign * flat if flat >= gamma * weight and gain > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _leap(H: Floats, b: Floats, charged: Floats, w: Floats) -> None:
    """Go to the minimum for the signs of w (k,), or as far as they hold: one Cholesky factor of the weights != 0."""
    index = np.flatnonzero(w)
    m = len(index)
    L, x = np.empty((m, m)), np.empty(m)
    for i in range(m):
        k = index[i]
        x[i] = b[k] - (charged[k] if w[k] > 0.0 else -charged[k])
        for j in range(i + 1):
            t = H[k, index[j]]
            for l in range(j):  # noqa: E741
                t -= L[i, l] * L[j, l]
            if i == j and t <= SINGULAR * H[k, k]:
                return
            L[i, j] = t / L[j, j] if j < i else np.sqrt(t)
        for l in range(i):  # noqa: E741
            x[i] -= L[i, l] * x[l]
        x[i] /= L[i, i]
    for i in range(m - 1, -1, -1):
        for l in range(i + 1, m):  # noqa: E741
            x[i] -= L[l, i] * x[l]
        x[i] /= L[i, i]
    share, first = 1.0, -1
    for i in range(m):
        own = w[index[i]]
        if charged[index[i]] > 0.0 and own * x[i] < 0.0 and own / (own - x[i]) < share:
            share, first = own / (own - x[i]), i
    for i in range(m):
        w[index[i]] += share * (x[i] - w[index[i]])
    if first >= 0:
        w[index[first]] = 0.0


@njit(cache=True, nogil=True)
def coordinate_descent(H: Floats, b: Floats, charged: Floats, w: Floats) -> Floats:
    """Minimise w' H w / 2 - b' w + sum of charged * |w| from w (k,), in place.

    Alike columns take coordinates thousands of passes; after every few of them a direct solution for the weights that
    are not 0 takes their place, O(k^3 / 6).
    """
    r = b - H @ w
    for n in range(PASSES):
        moved = 0.0
        for k in range(len(w)):
            step = shrink_to(r[k] + H[k, k] * w[k], H[k, k], charged[k], 0.0) - w[k]
            if step != 0.0:
                w[k] += step
                for j in range(len(w)):
                    r[j] -= step * H[j, k]
                moved = max(moved, abs(step) * np.sqrt(H[k, k]))
        if moved <= CLOSE:
            break
        if n % LEAP == LEAP - 1:
            _leap(H, b, charged, w)
            r[:] = b - H @ w
    return w
