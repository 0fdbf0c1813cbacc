"""Penalties of single coefficients, L1 and MCP, and coordinate descent on a quadratic with an L1 penalty."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLOSE = 1e-11  # change of a standardised coefficient that ends coordinate descent
PASSES = 20_000  # of coordinate descent, at most


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
def coordinate_descent(H: Floats, b: Floats, charged: Floats, w: Floats) -> Floats:
    """Minimise w' H w / 2 - b' w + sum of charged * |w| from w (k,), in place."""
    r = b - H @ w
    for _ in range(PASSES):
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
    return w
