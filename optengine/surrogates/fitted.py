"""A Gaussian process fitted to evaluated points of a space, for looking at it: predictions and cross-validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.core.space import Batch, Space
from optengine.surrogates.features import Features
from optengine.surrogates.fit import Fit, Prior
from optengine.surrogates.gp import GP, Shape

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

FEWEST, MOST = 5, 800  # points of a model; of more a random part is taken
CHUNK = 4096  # points predicted at once
PRIOR = Prior(
    scale=(0.0, 2.0), noise=(-8.0, 3.0), least_noise=1e-8, most_noise=1.0
)  # exact and noisy values alike


@dataclass(frozen=True)
class Fitted:
    """A model of one value over a space.

    Attributes:
        rows: (m,) which of the given points it was fitted to. X, y: those points and their values.
        gp: the process, of (y - centre) / spread.
    """

    features: Features
    gp: GP
    rows: Indices
    X: Batch
    y: Floats
    centre: float
    spread: float

    @staticmethod
    def of(space: Space, X: Batch, y: Floats, rng: Generator) -> Fitted:
        """Fit a model to values y (n,) at X (n, width); rows whose value is not finite are left out.

        Raises:
            ProblemError: fewer than five finite values.
        """
        rows = np.flatnonzero(np.isfinite(y))
        if len(rows) < FEWEST:
            raise ProblemError(f"a model needs at least {FEWEST} successful evaluations, got {len(rows)}")
        if len(rows) > MOST:
            rows = np.sort(rng.choice(rows, MOST, replace=False))
        X, y = X[rows], y[rows]
        centre, spread = float(y.mean()), float(y.std())
        if not spread > 1e-12 * max(float(np.abs(y).max()), 1e-300):
            spread = 1.0
        features = Features(space)
        Z, t = features.of(X), (y - centre) / spread
        shape = Shape.of(features)
        fit = Fit(shape, PRIOR, Z, t)
        hyper, _ = fit.maximum([fit.usual(), fit.drawn(rng), fit.drawn(rng)], 60)
        return Fitted(features, GP(shape, hyper, Z, t), rows, X, y, centre, spread)

    def predict(self, X: Batch) -> tuple[Floats, Floats]:
        """Return mean and standard deviation (m,) of the function, without noise, at X (m, width)."""
        parts = [self._predict(X[i : i + CHUNK]) for i in range(0, len(X), CHUNK)]
        if not parts:
            return np.empty(0), np.empty(0)
        mean, deviation = (np.concatenate(part) for part in zip(*parts, strict=True))
        return mean, deviation

    def _predict(self, X: Batch) -> tuple[Floats, Floats]:
        mean, variance = self.gp.predict(self.features.of(X))
        return self.centre + self.spread * mean, self.spread * np.sqrt(variance)

    def mean(self, X: Batch) -> Floats:
        """Return the mean (m,) at X (m, width)."""
        return self.predict(X)[0]

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation (n,) of each value, its noise included, given all the others."""
        mean, variance = leave_one_out(self.gp)
        return self.centre + self.spread * mean, self.spread * np.sqrt(variance)


def leave_one_out(gp: GP) -> tuple[Floats, Floats]:
    """Return mean and variance (n,) of each target given all the others, in closed form; hyperparameters stay.

    With P = K^-1 - K^-1 1 1' K^-1 / (1' K^-1 1), which accounts for the mean being estimated: y_i - (P y)_i / P_ii and
    1 / P_ii (Dubrule, Cross validation of kriging in a unique neighborhood, 1983, doi:10.1007/BF01033232).
    """
    inverse = gp.inverse.T @ gp.inverse
    ones = inverse.sum(axis=1)
    P = inverse - np.outer(ones, ones) / ones.sum()
    y = gp.Y[:, 0]
    diagonal = np.maximum(np.diag(P), 1e-300)
    return y - (P @ y) / diagonal, 1.0 / diagonal
