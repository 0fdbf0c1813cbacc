"""A Gaussian whose covariance is a diagonal plus a matrix of low rank: correlations at O(d r).

Sigma = S (I - diag(L L^T) + L L^T) S with standard deviations S (d,) and loadings L (d, r), so that S alone says how
wide each column is. The refit takes S from the diagonal family's update and L from the leading principal components
of the smoothed correlations, computed from a factor (d, r + elites) and never from a matrix (d, d) (in the spirit of
Akimoto, Auger and Hansen, VD-CMA, GECCO 2014, doi:10.1145/2576768.2598258; factor analysis by principal components).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from optengine.kernels.cem_gaussian import reflected
from optengine.solvers.cem.gaussian import GaussianModel, dynamic_smoothing
from optengine.solvers.cem.models import Floats, Mask

LARGEST_SHARE = 0.9999  # of a column's variance that the low-rank part may hold


class LowRankModel(GaussianModel):
    """Diagonal plus rank r. Sampling costs O(rows d r), refitting O(d (r + elites)^2)."""

    def restart(self, rng: Generator | None, spread: float) -> None:
        self.loadings = np.zeros((self.dimension, min(self._options.r, self.dimension)))
        super().restart(rng, spread)

    def sample(self, n: int, rng: Generator) -> Floats:
        own = np.sqrt(1.0 - (self.loadings**2).sum(axis=1))
        Z = rng.standard_normal((n, self.dimension))
        Z *= own
        Z += rng.standard_normal((n, self.loadings.shape[1])) @ self.loadings.T
        Z *= self.sigma
        Z += self.mean
        return self._unit.from_unit(reflected(Z))

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        Y = (self._unit.to_unit(elites) - self.mean) / self.sigma
        if active is not None:
            Y *= active
        super().refit(elites, weights, active)
        beta = dynamic_smoothing(self._options, self._generation, weights)
        effective = 1.0 / float(weights @ weights)
        beta = min(beta, effective / (effective + self.dimension))
        scale = np.sqrt(np.maximum(weights @ (Y * Y), 1e-12))
        columns = (Y / scale).T * np.sqrt(weights)  # (d, k): correlations are columns @ columns.T
        factor = np.concatenate([math.sqrt(1 - beta) * self.loadings, math.sqrt(beta) * columns], axis=1)
        vectors, roots, _ = np.linalg.svd(factor, full_matrices=False)
        r = self.loadings.shape[1]
        left = float(roots[r] ** 2) if len(roots) > r else 0.0  # what noise alone gives the next axis
        kept = np.sqrt(np.maximum(roots[:r] ** 2 - left, 0.0))
        loadings = vectors[:, :r] * kept
        share = (loadings**2).sum(axis=1, keepdims=True)
        self.loadings = np.where(
            share > LARGEST_SHARE, loadings * np.sqrt(LARGEST_SHARE / np.maximum(share, 1e-300)), loadings
        )
