"""The polish: one row of a generation is the minimiser of a quadratic fitted to the latest points.

Weighted least squares on the latest points in the principal axes of the sampling distribution, better points weighing
more; with all products of columns where there are few columns and points enough, else without (Hansen, A global
surrogate assisted CMA-ES, GECCO 2019, doi:10.1145/3321707.3321842). There the model replaces evaluations; here its
minimiser is one more sample, evaluated like every other, so that a wrong model costs one row a generation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FULL_UP_TO = 12  # columns: beyond it the products of columns take longer than most objectives
ENOUGH = 1.1  # points a coefficient
KEPT = 2  # points a coefficient, the latest


class Quadratic:
    """The latest points and values of d columns, and the minimiser of their quadratic."""

    def __init__(self, d: int) -> None:
        self._d = d
        self._n_separable = 1 + 2 * d
        self._n_full = self._n_separable + d * (d - 1) // 2
        self._capacity = KEPT * (self._n_full if d <= FULL_UP_TO else 2 * self._n_separable)
        self.clear()

    def clear(self) -> None:
        """Forget every point."""
        self._X = np.empty((0, self._d))
        self._F = np.empty(0)

    def add(self, X: Floats, F: Floats) -> None:
        """Take in points (n, d) with values (n,), minimising; those without a finite value are left out."""
        fine = np.isfinite(F)
        if not fine.all():
            X, F = X[fine], F[fine]
        self._X = np.concatenate([self._X, X])[-self._capacity :]
        self._F = np.concatenate([self._F, F])[-self._capacity :]

    def warm_up(self) -> None:
        """Compile the kernel."""
        from optengine.kernels.cem_quadratic import minimiser

        X = np.linspace(0.0, 1.0, 2 * self._d)[:, np.newaxis] * np.ones(self._d)
        minimiser(X, X[:, 0] ** 2, np.full(self._d, 0.5), np.eye(self._d), np.ones(self._d), False)

    def minimiser(self, centre: Floats, axes: Floats, deviations: Floats) -> Floats | None:
        """The minimiser (d,) in the unit cube and not far from the points, or None while too few points are known.

        O(d^6) up to 12 columns, else O(d^3).

        Args:
            centre: (d,) in the unit cube, about which the quadratic is stated.
            axes: (d, d) orthonormal columns, principal axes of the sampling distribution.
            deviations: (d,) standard deviation along each.
        """
        n, d = self._X.shape
        if n < ENOUGH * self._n_separable:
            return None
        best = float(self._F.min())
        span = float(self._F.max()) - best
        if not 0.0 < span < np.inf:
            return None
        if (self._X == centre).all():
            return None
        full = d <= FULL_UP_TO and n >= ENOUGH * self._n_full
        from optengine.kernels.cem_quadratic import minimiser

        try:
            found = minimiser(self._X, self._F, centre, np.ascontiguousarray(axes), deviations, full)
        except np.linalg.LinAlgError:
            return None
        return found if np.isfinite(found).all() else None
