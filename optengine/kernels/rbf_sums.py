"""Sums of Gaussian bumps and their slopes: the posterior mean of a Gaussian process, without its matrix in memory.

For points a_i, centres b_j and weights w_j, in units of the lengthscale,

    value_i = sum_j w_j exp(-|a_i - b_j|^2 / 2),    slope_i = sum_j w_j exp(-|a_i - b_j|^2 / 2) (b_j - a_i).

`rbf_sums` is the definition.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rbf_gram(A: Floats, B: Floats) -> Floats:
    """Return exp(-|a_i - b_j|^2 / 2), (m, n), of points A (m, f) and B (n, f)."""
    R = A @ B.T
    R -= 0.5 * (A * A).sum(axis=1)[:, None]
    R -= 0.5 * (B * B).sum(axis=1)
    np.minimum(R, 0.0, out=R)
    return np.exp(R, out=R)


def rbf_sums(A: Floats, B: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Return the values (m,) and slopes (m, f) at A (m, f) of the bumps at B (n, f) with weights w (n,)."""
    W = rbf_gram(A, B)
    W *= w
    value = W.sum(axis=1)
    return value, W @ B - A * value[:, None]
