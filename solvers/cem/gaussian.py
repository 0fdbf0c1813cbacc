"""Truncated Gaussian over reals, integers and ordered levels, all seen in the unit cube.

Each column is an independent normal variate, truncated (not clipped) to [0, 1]: clipping piles mass on the bounds.
Integers and levels are intervals of the unit cube; their sigma keeps a floor that leaves the neighbouring levels a
probability, so that they do not freeze (Hamano et al., CMA-ES with margin, GECCO 2022, doi:10.1145/3512290.3528827).

Three things differ from the textbook (de Boer et al., A tutorial on the cross-entropy method, Ann. Oper. Res. 134,
2005, doi:10.1007/s10479-005-5724-z):

* the variance is measured about the old mean, not the new one: on a slope the textbook's shrinks at every refit however
  far the optimum is (Hansen, arXiv:1604.00772, section 3.1);
* the dynamic smoothing of sigma stops falling at `alpha_sigma`: falling to 0 it makes convergence polynomial;
* both moments are taken relative to those of the truncated distribution itself, so that elites drawn without
  selection leave it unchanged at the bounds too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtri

from optengine.core.space import REAL, Space
from optengine.core.unit import UnitMap
from optengine.kernels.elites import weighted_moments
from optengine.kernels.sampling import truncated_moments, truncated_normal
from optengine.solvers.cem.models import Columns, Floats, Mask

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM

SEED_SPREAD = 5  # seeds from this number on also say how wide to search
NOISE = 12.0  # elites at which smoothing halves; measured on sphere, ellipsoids, Rosenbrock, Rastrigin, d = 2 to 100


class GaussianModel:
    """Diagonal normal distribution truncated to the unit cube. Sampling and refitting cost O(rows d)."""

    def __init__(self, space: Space, columns: NDArray[np.int64], options: CEM) -> None:
        self.columns: Columns = columns
        self.dimension = d = len(columns)
        self.population = max(64, 4 + 8 * math.floor(3 * math.log(d)))
        self._options = options
        self._discrete = space.kind[columns] != REAL
        self._log = space.log[columns]
        self._unit = _unit_map(space, columns)
        n_discrete = int(self._discrete.sum())
        margin = (
            options.margin / (n_discrete * (options.population or self.population)) if n_discrete else 1.0
        )
        self._quantile = -float(ndtri(margin / 2))  # half a level must be at most this many sigmas
        self.restart(None, 1.0)

    @property
    def converged(self) -> bool:
        real = ~self._discrete
        return bool(real.any() and (self.sigma[real] <= self._options.sigma_min).all())

    def restart(self, rng: Generator | None, spread: float) -> None:
        d = self.dimension
        self.mean = np.full(d, 0.5) if rng is None else rng.random(d)
        self.sigma = np.full(d, self._options.sigma_0 * spread)
        self._generation = 0
        self._keep_floor()

    def seed(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        U = self._unit.to_unit(elites)
        mean, _, share = weighted_moments(U, weights, self.mean, active)
        self.mean = np.where(share > 0, mean, self.mean)
        if len(U) >= SEED_SPREAD:
            _, variance, _ = weighted_moments(U, weights, self.mean, active)
            self.sigma = np.where(share > 0, np.sqrt(0.5 * (self.sigma**2 + variance)), self.sigma)
            self._keep_floor()

    def sample(self, n: int, rng: Generator) -> Floats:
        return self._unit.from_unit(truncated_normal(self.mean, self.sigma, rng.random((n, self.dimension))))

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        o = self._options
        self._generation += 1
        mean, moment, share = weighted_moments(self._unit.to_unit(elites), weights, self.mean, active)
        drift, spread = truncated_moments(self.mean, self.sigma)
        beta = dynamic_smoothing(o, self._generation, weights) * share
        variance = self.sigma**2
        variance = variance + beta * (variance * moment / spread - variance)
        self.mean = np.clip(self.mean + o.alpha_mean * share * (mean - self.mean - drift), 0.0, 1.0)
        self.sigma = np.sqrt(variance)
        self._keep_floor()

    def _keep_floor(self) -> None:
        np.clip(self.sigma, self._options.sigma_min, 1.0, out=self.sigma)
        if self._discrete.any():
            half = 0.5 / self._unit.extent  # of a level, in units of the cube
            if self._log.any():  # levels are 1 apart: in the cube, by the slope of the logarithm at the mean
                value = np.exp(np.where(self._log, self._unit.origin + self.mean * self._unit.extent, 0.0))
                half = half / np.maximum(value, 1.0)
            self.sigma = np.where(self._discrete, np.maximum(self.sigma, half / self._quantile), self.sigma)


def dynamic_smoothing(options: CEM, t: int, weights: Floats) -> float:
    """Smoothing of the variance in generation t = 1, 2, ...: beta (1 - (1 - 1/t)^q), kept above alpha_sigma.

    The first term is the tutorial's (section 3.1). Left alone, alpha_sigma grows with the number of elites that really
    count, mu_eff = 1 / sum w^2: the more there are, the less noise there is to smooth away.
    """
    lowest = options.alpha_sigma
    if lowest is None:
        effective = 1.0 / float(weights @ weights)
        lowest = effective / (effective + NOISE)
    return float(max(lowest, options.beta * (1.0 - (1.0 - 1.0 / t) ** options.q)))


def _unit_map(space: Space, columns: NDArray[np.int64]) -> UnitMap:
    """The unit cube of some columns of `space`, which hold numbers or levels."""
    discrete, log = space.kind[columns] != REAL, space.log[columns]
    lower, upper = space.lower[columns], space.upper[columns]
    start, stop = lower - 0.5 * discrete, upper + 0.5 * discrete
    start, stop = (np.where(log, np.log(np.where(log, end, 1.0)), end) for end in (start, stop))
    return UnitMap(
        plain=not (discrete.any() or log.any()),
        lower=lower,
        upper=upper,
        origin=start,
        extent=stop - start,
        log=np.flatnonzero(log),
        discrete=np.flatnonzero(discrete),
        blocks=(),
    )
