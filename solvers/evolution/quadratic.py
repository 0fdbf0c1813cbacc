"""A linear or quadratic model of ranked data, and its minimum within a radius.

The model of lq-CMA-ES (Hansen, GECCO 2019, doi:10.1145/3321707.3321842): weighted least squares on the better part of
the latest data, linear, then with squares, then with products, as data allow. Here it lives in the coordinates in
which the search distribution is standard normal, so that it stays well-conditioned to the last digit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

from optengine.solvers.evolution.gaussian import Gaussian, fold

Floats = NDArray[np.float64]

LINEAR, SQUARES, PRODUCTS = range(3)
TRUNCATION = 0.75  # share of the data, the best by value, that the model is fitted to
LARGEST_WEIGHT = 20.0  # of the best datum; the worst has 1
ENOUGH = 1.1  # data for each coefficient before a model of the next kind is fitted
KEPT = 2.0  # data kept for each coefficient of the largest model
RIDGE = 1e-10  # relative to each coefficient's own column: noise in the last digits must not blow one up
LARGEST_PRODUCTS = 30  # columns beyond which products are left out: 496 coefficients, about 10 ms a fit
BISECTIONS = 60  # for the radius, to machine precision


class Quadratic:
    """The latest data and the model fitted to it.

    Attributes:
        X: (n, d) data, newest generation first, best first within the part sorted. F: (n,) their values.
    """

    def __init__(self, d: int, population: int) -> None:
        self.d = d
        self._largest = PRODUCTS if d <= LARGEST_PRODUCTS else SQUARES
        self._sizes = (d + 1, 2 * d + 1, d * (d + 3) // 2 + 1)
        self._kept = max(population, math.ceil(KEPT * self._sizes[self._largest]))
        self._patience = max(1, d // 10)  # data after which a full model is fitted anew: fits are dear then
        self._pairs = np.triu_indices(d, 1)
        self.X, self.F = np.empty((0, d)), np.empty(0)
        self._new = 0
        self._fitted = False

    def __len__(self) -> int:
        return len(self.F)

    def add(self, X: Floats, F: Floats) -> None:
        """Put data in front of what is there; the oldest fall out."""
        self.X = np.concatenate([X, self.X])[: self._kept]
        self.F = np.concatenate([F, self.F])[: self._kept]
        self._new += len(F)
        if self._new >= self._patience or self._kind() < self._largest:
            self._fitted = False

    def sort(self, n: int) -> None:
        """Sort the n newest data by value."""
        order = np.argsort(self.F[:n], kind="stable")
        self.X[:n], self.F[:n] = self.X[:n][order], self.F[:n][order]

    def _kind(self) -> int:
        for kind in range(self._largest, LINEAR, -1):
            if len(self) * TRUNCATION >= ENOUGH * self._sizes[kind]:
                return kind
        return LINEAR

    # -- the model ---------------------------------------------------------------------------------------------

    def fit(self, gaussian: Gaussian) -> None:
        """Fit the model in the coordinates of `gaussian`, unless little has come since the last time."""
        if self._fitted:
            return
        d, kind = self.d, self._kind()
        n = min(len(self), max(self._sizes[kind] + 2, math.floor(TRUNCATION * (len(self) + 1))))
        best = np.argsort(self.F, kind="stable")[:n]
        self._frame(gaussian)
        Z = self._coordinates(self.X[best])
        weight = np.linspace(LARGEST_WEIGHT, 1.0, n)
        A = np.empty((n, self._sizes[kind]))
        A[:, 0], A[:, 1 : d + 1] = 1.0, Z
        if kind >= SQUARES:
            np.multiply(Z, Z, out=A[:, d + 1 : 2 * d + 1])
        if kind == PRODUCTS:
            np.multiply(Z[:, self._pairs[0]], Z[:, self._pairs[1]], out=A[:, 2 * d + 1 :])
        A *= weight[:, np.newaxis]
        beta = _least_squares(A, weight * (self.F[best] - self.F[best[0]]))
        self._constant, self._slope = float(beta[0]), beta[1 : d + 1]
        self._hessian: Floats | None = None
        if kind >= SQUARES:
            self._hessian = np.diag(2.0 * beta[d + 1 : 2 * d + 1])
        if self._hessian is not None and kind == PRODUCTS:
            self._hessian[self._pairs] = beta[2 * d + 1 :]
            self._hessian[self._pairs[::-1]] = beta[2 * d + 1 :]
        self._fitted, self._new = True, 0

    def _frame(self, gaussian: Gaussian) -> None:
        """Note the coordinates of the fit: the distribution moves on before the next one."""
        self._origin, self._axes = fold(gaussian.mean), gaussian.axes
        self._scale = gaussian.sigma * gaussian.lengths

    def _coordinates(self, X: Floats) -> Floats:
        Y = X - self._origin
        return np.asarray((Y if self._axes is None else Y @ self._axes) / self._scale)

    def predict(self, X: Floats) -> Floats:
        """Return the model's values of X (n, d), up to a constant."""
        Z = self._coordinates(X)
        value = self._constant + Z @ self._slope
        return value if self._hessian is None else value + 0.5 * np.einsum("ij,ij->i", Z @ self._hessian, Z)

    def minimum(self, radius: float) -> Floats | None:
        """Return the model's minimum (d,) within `radius` standard deviations; None where it has none."""
        if self._hessian is None:
            length = float(np.linalg.norm(self._slope))
            z = -self._slope * (radius / length) if length > 0 else self._slope
        else:
            z = within_radius(self._slope, self._hessian, radius)
        if not np.isfinite(z).all():
            return None
        step = z * self._scale
        return np.asarray(self._origin + (step if self._axes is None else self._axes @ step))


def _least_squares(A: Floats, y: Floats) -> Floats:
    """Solve by normal equations of scaled columns, a third of the time of QR; by SVD where they are singular."""
    scale = np.sqrt(np.einsum("ij,ij->j", A, A))
    scale[scale == 0.0] = 1.0
    A = A / scale
    gram = A.T @ A
    gram.flat[:: len(gram) + 1] += RIDGE
    _, beta, failed = dposv(gram, A.T @ y)
    if failed:
        beta = np.linalg.lstsq(A, y, rcond=1e-12)[0]
    return np.asarray(beta / scale)


def within_radius(slope: Floats, hessian: Floats, radius: float) -> Floats:
    """Return the z (d,) with |z| <= radius that minimises slope' z + z' hessian z / 2, by its secular equation.

    Conn, Gould and Toint, Trust-region methods, 2000, section 7.3; the hard case is left to rounding errors.
    """
    values, axes = np.linalg.eigh(hessian)
    turned = axes.T @ slope
    size = max(float(np.abs(values).max()), 1e-300)
    if values[0] > 1e-12 * size:
        z = -turned / values
        if z @ z <= radius * radius:
            return np.asarray(axes @ z)
    low = max(0.0, -float(values[0])) + 1e-14 * size
    high = low + float(np.linalg.norm(turned)) / radius
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        z = -turned / (values + middle)
        if z @ z > radius * radius:
            low = middle
        else:
            high = middle
    return np.asarray(axes @ (-turned / (values + high)))


def kendall(a: Floats, b: Floats) -> float:
    """Return Kendall's rank correlation in [-1, 1]; pairs tied in both count half. O(n^2)."""
    n = len(a)
    if n < 2:
        return 0.0
    A, B = np.sign(a[:, np.newaxis] - a), np.sign(b[:, np.newaxis] - b)
    both = int(((A == 0) & (B == 0)).sum()) - n
    return float((A * B).sum() + 0.5 * both) / (n * (n - 1))
