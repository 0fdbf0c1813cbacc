"""The minimiser of a quadratic fitted to points by weighted least squares, within a box: definition and Numba form."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST_WEIGHT = 20.0  # of the best point, the worst weighing 1
STIFF = 1e-10  # of the largest curvature; less counts as none
RIDGE = 1e-14  # of the trace of the normal equations
FARTHEST = 3.0  # standard deviations that the minimiser may lie beyond the points it was fitted to


def minimiser_numpy(
    X: Floats, F: Floats, centre: Floats, axes: Floats, deviations: Floats, full: bool
) -> Floats:
    """What `minimiser` computes."""
    n, d = X.shape
    Z = (X - centre) @ axes / deviations
    extent = np.abs(Z).max()
    Z /= extent
    b = (F - F.min()) / (F.max() - F.min())
    first, second = np.triu_indices(d, 1)
    A = np.column_stack([np.ones(n), Z, Z * Z] + [Z[:, first] * Z[:, second]] * full)
    weights = np.empty(n)
    weights[np.argsort(b, kind="stable")] = np.sqrt(np.linspace(LARGEST_WEIGHT, 1.0, n))
    A *= weights[:, np.newaxis]
    gram = A.T @ A
    gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram)
    c = np.linalg.solve(gram, A.T @ (b * weights))
    H = np.diag(2 * c[1 + d : 1 + 2 * d])
    if full:
        H[first, second] = H[second, first] = c[1 + 2 * d :]
    values, vectors = np.linalg.eigh(H)
    stiffness = np.abs(values)
    curvatures = np.maximum(stiffness, STIFF * max(stiffness.max(), 1e-300))
    scaled = axes / (deviations * extent)
    turned = scaled @ vectors
    reach = (extent + FARTHEST) * np.sqrt(axes**2 @ deviations**2)
    low, high = np.maximum(-centre, -reach), np.minimum(1.0 - centre, reach)
    gradient, H = scaled @ c[1 : 1 + d], (turned * curvatures) @ turned.T
    step, free = np.zeros(d), np.ones(d, dtype=bool)
    while free.any():
        rest = gradient[free] + H[np.ix_(free, ~free)] @ step[~free]
        wanted = -np.linalg.solve(H[np.ix_(free, free)], rest)
        step[free] = np.clip(wanted, low[free], high[free])
        kept = step[free] == wanted
        if kept.all():
            break
        free[free] = kept
    return np.asarray(centre + step)


@njit(cache=True, nogil=True)
def minimiser(X: Floats, F: Floats, centre: Floats, axes: Floats, deviations: Floats, full: bool) -> Floats:
    """Fit a quadratic to points by least squares, better ones weighing more, and return its minimiser in a box.

    Negative curvatures count as positive, so that a saddle is left downhill. The box is the unit cube, cut to
    FARTHEST standard deviations beyond the points; columns that would leave it stay on its side. Hansen, A global
    surrogate assisted CMA-ES, GECCO 2019, doi:10.1145/3321707.3321842. O(n c^2 + c^3) for c coefficients: 1 + 2 d, or
    1 + 2 d + d (d - 1) / 2 with the products of columns.

    Args:
        X, F: points (n, d) in the unit cube and values (n,), finite and not all alike.
        centre: (d,) about which the quadratic is stated; not all points lie there.
        axes, deviations: (d, d) orthonormal columns and (d,): principal axes of the sampling distribution.
        full: whether the products of columns are fitted.

    Returns:
        (d,) in the unit cube.

    Raises:
        numpy.linalg.LinAlgError: the points do not determine the quadratic.
    """
    n, d = X.shape
    Z = np.dot(X - centre, axes)
    extent = 0.0
    for i in range(n):
        for j in range(d):
            Z[i, j] /= deviations[j]
            extent = max(extent, abs(Z[i, j]))
    best, worst = F.min(), F.max()
    b = (F - best) / (worst - best)
    A = np.empty((n, 1 + 2 * d + (d * (d - 1) // 2 if full else 0)))
    order = np.argsort(b, kind="mergesort")
    for rank in range(n):
        i = order[rank]
        weight = np.sqrt(LARGEST_WEIGHT + rank * ((1.0 - LARGEST_WEIGHT) / (n - 1)))
        A[i, 0] = weight
        b[i] *= weight
        c = 1 + 2 * d
        for j in range(d):
            z = Z[i, j] / extent
            Z[i, j] = z
            A[i, 1 + j] = weight * z
            A[i, 1 + d + j] = weight * z * z
        if full:
            for j in range(d):
                wz = A[i, 1 + j]
                for k in range(j + 1, d):
                    A[i, c] = wz * Z[i, k]
                    c += 1
    gram = np.dot(A.T, A)
    ridge = RIDGE * np.trace(gram)
    for j in range(len(gram)):
        gram[j, j] += ridge
    x = np.dot(A.T, b)
    _solve(np.linalg.cholesky(gram), x)
    H = np.zeros((d, d))
    c = 1 + 2 * d
    for j in range(d):
        H[j, j] = 2 * x[1 + d + j]
        if full:
            for k in range(j + 1, d):
                H[j, k] = H[k, j] = x[c]
                c += 1
    values, vectors = np.linalg.eigh(H)
    curvatures = np.abs(values)
    curvatures = np.maximum(curvatures, STIFF * max(curvatures.max(), 1e-300))
    scaled = axes / (deviations * extent)
    turned = np.dot(scaled, vectors)
    H = np.dot(turned * curvatures, turned.T)
    reach = (extent + FARTHEST) * np.sqrt(np.dot(axes**2, deviations**2))
    return centre + _box_step(
        np.dot(scaled, x[1 : 1 + d]), H, np.maximum(-centre, -reach), np.minimum(1.0 - centre, reach)
    )


@njit(cache=True, nogil=True)
def _solve(L: Floats, x: Floats) -> None:
    """Solve L L' y = x in place."""
    n = len(x)
    for i in range(n):
        total = x[i]
        for j in range(i):
            total -= L[i, j] * x[j]
        x[i] = total / L[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= L[i, i]
        for j in range(i):
            x[j] -= L[i, j] * x[i]


@njit(cache=True, nogil=True)
def _box_step(gradient: Floats, H: Floats, low: Floats, high: Floats) -> Floats:
    """Step (d,) in [low, high] towards the minimum of the quadratic; columns that leave the box are set on its side."""
    d = len(gradient)
    step = np.zeros(d)
    free = np.arange(d)
    while len(free):
        m = len(free)
        part, rest = np.empty((m, m)), np.empty(m)
        for i in range(m):
            total = 0.0
            for k in range(d):
                total += H[free[i], k] * step[k]
            for k in range(m):
                part[i, k] = H[free[i], free[k]]
                total -= part[i, k] * step[free[k]]
            rest[i] = gradient[free[i]] + total
        wanted = np.linalg.solve(part, -rest)
        kept = np.empty(m, dtype=np.bool_)
        for i in range(m):
            j = free[i]
            step[j] = min(max(wanted[i], low[j]), high[j])
            kept[i] = step[j] == wanted[i]
        if kept.all():
            break
        free = free[kept]
    return step
