"""The covariance matrix of a training set and the gradient of its likelihood in one pass over pairs each.

What `kernels.gp` says in NumPy, for n points against themselves: only pairs i < k are visited, and no temporary of n^2
entries is written besides the results. At n = 500 and ten features an eighth of NumPy's time.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RBF, MATERN52 = 0, 1


@numba.njit(cache=True, nogil=True, inline="always")
def _covariance(code: int, r2: float) -> tuple[float, float]:
    """Covariance and its derivative by the squared distance."""
    if code == RBF:
        k = np.exp(-0.5 * r2)
        return k, -0.5 * k
    r = np.sqrt(5.0 * r2)
    e = np.exp(-r)
    s = (1.0 + r) * e
    return s + (5.0 / 3.0) * r2 * e, (-5.0 / 6.0) * s


@numba.njit(cache=True, nogil=True)
def covariances(
    A: Floats, B: Floats, code: int, scale: float, mix: float, mixed: bool
) -> tuple[Floats, Floats, Floats, Floats]:
    """Covariance matrix (n, n) of points with scaled numbers A (n, a) and levels B (n, b), and what goes with it.

    Returns the covariance, its derivatives by the squared distances over A and over B, and its derivative by `mix`; the
    last two have shape (1, 1) where nothing is mixed. Only entries i >= k of the derivatives are set.
    """
    n = len(A)
    m = n if mixed else 1
    K, S = np.empty((n, n)), np.empty((n, n))
    T, M = np.empty((m, m)), np.empty((m, m))
    product, half = scale * (1.0 - mix), 0.5 * scale * mix
    for i in range(n):
        for k in range(i + 1):
            r2 = 0.0
            for j in range(A.shape[1]):
                step = A[i, j] - A[k, j]
                r2 += step * step
            a, slope_a = _covariance(code, r2)
            if mixed:
                r2 = 0.0
                for j in range(B.shape[1]):
                    step = B[i, j] - B[k, j]
                    r2 += step * step
                b, slope_b = _covariance(code, r2)
                K[i, k] = product * a * b + half * (a + b)
                S[i, k] = slope_a * (product * b + half)
                T[i, k] = slope_b * (product * a + half)
                M[i, k] = scale * (0.5 * (a + b) - a * b)
            else:
                K[i, k] = scale * a
                S[i, k] = scale * slope_a
            K[k, i] = K[i, k]
    return K, S, T, M


@numba.njit(cache=True, nogil=True)
def pulls(A: Floats, S: Floats, inverse: Floats, alpha: Floats) -> Floats:
    """Return (a,) sums over pairs of W_ik S_ik (a_i - a_k)^2, for columns of A (n, a), W = alpha alpha' - inverse.

    `inverse` (n, n) needs its entries i >= k only.
    """
    n, d = A.shape
    total = np.zeros(d)
    for i in range(n):
        for k in range(i):
            weight = (alpha[i] * alpha[k] - inverse[i, k]) * S[i, k]
            for j in range(d):
                step = A[i, j] - A[k, j]
                total[j] += weight * step * step
    return total


@numba.njit(cache=True, nogil=True)
def inner(S: Floats, inverse: Floats, alpha: Floats) -> float:
    """Return sum_ik W_ik S_ik of symmetric matrices of which entries i >= k are set, W = alpha alpha' - inverse."""
    total = 0.0
    for i in range(len(alpha)):
        for k in range(i):
            total += 2.0 * (alpha[i] * alpha[k] - inverse[i, k]) * S[i, k]
        total += (alpha[i] * alpha[i] - inverse[i, i]) * S[i, i]
    return total


@numba.njit(cache=True, nogil=True)
def point_pulls(A: Floats, S: Floats, inverse: Floats, alpha: Floats) -> Floats:
    """Return (n, a) sum_k W_ik S_ik (a_i - a_k) of each point i and column, W = alpha alpha' - inverse."""
    n, d = A.shape
    total = np.zeros((n, d))
    for i in range(n):
        for k in range(i):
            weight = (alpha[i] * alpha[k] - inverse[i, k]) * S[i, k]
            for j in range(d):
                pull = weight * (A[i, j] - A[k, j])
                total[i, j] += pull
                total[k, j] -= pull
    return total


def warm_up() -> None:
    """Compile all of them, for arrays as the fits have them."""
    A, alpha = np.zeros((2, 1)), np.zeros(2)
    K, S, _, _ = covariances(A, A, RBF, 1.0, 0.0, False)
    inner(K, K, alpha)
    pulls(A, S, K, alpha)
    point_pulls(A, S, K, alpha)
