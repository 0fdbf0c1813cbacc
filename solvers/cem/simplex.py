"""Shares that sum to 1: a Gaussian over their log ratios.

The shares are exp(z) / sum exp(z) of independent normal z (the logistic-normal distribution; Aitchison, The
statistical analysis of compositional data, 1986). Unlike a Dirichlet distribution it can be certain of one share and
not of another, and follows shares over many orders of magnitude on their way to 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.kernels.elites import weighted_moments
from optengine.kernels.sampling import shares
from optengine.solvers.cem.gaussian import dynamic_smoothing, mean_smoothing
from optengine.solvers.cem.models import Columns, Floats, Mask

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM

UNIFORM_SIGMA = math.pi / math.sqrt(
    6
)  # of log(-log(u)): with such z the shares would be uniform on the simplex
SMALLEST_SHARE = 1e-15  # stands for 0, whose logarithm no elite may have


class SimplexModel:
    """Logistic-normal shares, m simplexes of n shares each. Sampling and refitting cost O(rows m n)."""

    def __init__(self, columns: NDArray[np.int64], n: int, options: CEM) -> None:
        self.columns: Columns = columns
        self._n = n
        self.dimension = len(columns)
        self.population = max(64, 4 + 8 * math.floor(3 * math.log(self.dimension)))
        self._options = options
        self.restart(None, 1.0)

    @property
    def converged(self) -> bool:
        return bool((self.sigma <= self._options.sigma_min).all())

    def restart(self, rng: Generator | None, spread: float) -> None:
        self.mean = (
            np.zeros(self.dimension) if rng is None else np.log(rng.standard_exponential(self.dimension))
        )
        self.sigma = np.full(self.dimension, UNIFORM_SIGMA * spread)
        self._generation = 0
        self._keep_gauge()

    def seed(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        mean, _, share = weighted_moments(_logarithms(elites), weights, self.mean, active)
        self.mean = np.where(share > 0, mean, self.mean)
        self._keep_gauge()

    def sample(self, n: int, rng: Generator) -> Floats:
        Z = rng.standard_normal((n, self.dimension))
        Z *= self.sigma
        Z += self.mean
        return shares(Z.reshape(n, self.dimension // self._n, self._n)).reshape(n, self.dimension)

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        o = self._options
        self._generation += 1
        beta = dynamic_smoothing(o, self._generation, weights)
        mean, moment, share = weighted_moments(_logarithms(elites), weights, self.mean, active)
        variance = self.sigma**2
        self.sigma = np.sqrt(variance + beta * share * (moment - variance))
        np.clip(self.sigma, o.sigma_min, UNIFORM_SIGMA, out=self.sigma)
        self.mean = self.mean + mean_smoothing(o) * share * (mean - self.mean)
        self._keep_gauge()

    def _keep_gauge(self) -> None:
        """Shift each simplex's mean so that it is the logarithm of shares that sum to 1, as the elites' are.

        Any shift gives the same samples. This one ties a small share to the large ones alone: with the usual centred
        log ratios every large share would wait for the smallest one to settle.
        """
        Z = self.mean.reshape(-1, self._n)
        self.mean = _logarithms(shares(Z)).ravel()


def _logarithms(X: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(X, SMALLEST_SHARE)))
