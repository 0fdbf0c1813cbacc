"""Independent Gaussians over reals, integers and ordered levels, all seen in the unit cube.

Each column is a normal variate, truncated (not clipped) to [0, 1]: clipping piles mass on the bounds.
Integers and levels are intervals of the unit cube; their sigma keeps a floor that leaves the neighbouring levels a
probability, so that they do not freeze (Hamano et al., CMA-ES with margin, GECCO 2022, doi:10.1145/3512290.3528827).

Three things differ from the textbook (de Boer et al., A tutorial on the cross-entropy method, Ann. Oper. Res. 134,
2005, doi:10.1007/s10479-005-5724-z):

* the variance is measured about the old mean, not the new one: on a slope the textbook's shrinks at every refit however
  far the optimum is (Hansen, arXiv:1604.00772, section 3.1);
* the dynamic smoothing of sigma stops falling at `alpha_sigma`: falling to 0 it makes convergence polynomial;
* both moments are taken relative to those of the truncated distribution itself, so that elites drawn without
  selection leave it unchanged at the bounds too.

`noise_beta` colours the samples of array variables along their first axis (Pinneri et al., iCEM, arXiv:2008.06389):
the copula is coloured, each column keeps its truncated normal distribution.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from optengine.core.space import REAL, Space
from optengine.core.unit import UnitMap
from optengine.kernels.cem_gaussian import (
    coloured_normals,
    kl_diagonal,
    reflected,
    step_share,
    student_scales,
    student_weights,
)
from optengine.kernels.elites import weighted_moments
from optengine.kernels.sampling import truncated_moments, truncated_normal
from optengine.solvers.cem.models import Columns, Floats, Mask

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM

SEED_SPREAD = 5  # seeds from this number on also say how wide to search
NOISE = 12.0  # elites at which smoothing halves; measured on sphere, ellipsoids, Rosenbrock, Rastrigin, d = 2 to 100
SHORTEST_SERIES = 4  # steps; a shorter array has no time to be coloured along


class GaussianModel:
    """Diagonal normal or Student-t distribution in the unit cube. Sampling and refitting cost O(rows d)."""

    def __init__(self, space: Space, columns: NDArray[np.int64], options: CEM) -> None:
        self.columns: Columns = columns
        self.dimension = d = len(columns)
        self.population = diagonal_population(d)
        self._options = options
        self._reflects = options.at_bounds == "reflected" or options.nu is not None
        self._discrete = space.kind[columns] != REAL
        self._unit = unit_map(space, columns)
        self._quantile = margin_quantile(self._discrete, options, self.population)
        self._series = series_of(space, columns) if options.noise_beta > 0 else []
        self.restart(None, 1.0)

    @property
    def converged(self) -> bool:
        real = ~self._discrete
        return bool(real.any() and (self.sigma[real] <= self._options.sigma_min).all())

    def restart(self, rng: Generator | None, spread: float) -> None:
        d = self.dimension
        self.mean = np.full(d, 0.5) if rng is None else rng.random(d)
        self.sigma = np.full(d, (self._options.sigma_0 or 0.5) * spread)
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

    def centre(self) -> Floats | None:
        """The mean itself, the last sample of a coloured generation (iCEM, section 3.3)."""
        return self._unit.from_unit(self.mean[np.newaxis])[0] if self._series else None

    def shift(self, steps: int) -> None:
        """Move every coloured series `steps` back in time; its last value stays, sigma starts anew."""
        for grid in self._series:
            self.mean[grid] = self.mean[_later(grid, steps)]
        self.sigma[:] = self._options.sigma_0 or 0.5
        self._generation = 0
        self._keep_floor()

    def sample(self, n: int, rng: Generator) -> Floats:
        if not (self._reflects or self._series):
            draws = truncated_normal(self.mean, self.sigma, rng.random((n, self.dimension)))
            return self._unit.from_unit(draws)
        Z = rng.standard_normal((n, self.dimension))
        for grid in self._series:
            steps, series = grid.shape
            Z[:, grid] = coloured_normals(n, steps, series, self._options.noise_beta, rng)
        if not self._reflects:
            return self._unit.from_unit(truncated_normal(self.mean, self.sigma, ndtr(Z)))
        if self._options.nu is not None:
            Z *= student_scales(n, self._options.nu, rng)
        Z *= self.sigma
        Z += self.mean
        return self._unit.from_unit(reflected(Z))

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        o = self._options
        self._generation += 1
        U = self._unit.to_unit(elites)
        if o.nu is not None:
            squared = (((U - self.mean) / self.sigma) ** 2).sum(axis=1)
            weights = student_weights(weights, squared, self.dimension, o.nu)
        mean, moment, share = weighted_moments(U, weights, self.mean, active)
        old = self.sigma**2
        drift, spread = (np.zeros(1), old) if self._reflects else truncated_moments(self.mean, self.sigma)
        beta = dynamic_smoothing(o, self._generation, weights) * share
        variance = old + beta * (old * moment / spread - old)
        goal = np.clip(self.mean + mean_smoothing(o) * share * (mean - self.mean - drift), 0.0, 1.0)
        if o.delta is not None:
            goal, variance = self._bounded_step(goal, variance, o.delta)
        self.mean = goal
        self.sigma = np.sqrt(variance + variance_noise(o, self._generation))
        self._keep_floor()

    def _bounded_step(self, mean: Floats, variance: Floats, delta: float) -> tuple[Floats, Floats]:
        """The longest share of the step whose divergence from the old distribution is at most delta."""
        old_mean, old = self.mean, self.sigma**2
        variance = np.maximum(variance, self._options.sigma_min**2)
        ratio = variance / old
        share = step_share(
            lambda t: kl_diagonal(old_mean + t * (mean - old_mean), old * ratio**t, old_mean, old), delta
        )
        return old_mean + share * (mean - old_mean), old * ratio**share

    def _keep_floor(self) -> None:
        np.clip(self.sigma, self._options.sigma_min, 1.0, out=self.sigma)
        if self._discrete.any():
            half = half_level(self._unit, self.mean)
            self.sigma = np.where(self._discrete, np.maximum(self.sigma, half / self._quantile), self.sigma)


def diagonal_population(d: int) -> int:
    """Rows of a generation for d independent columns."""
    return max(64, 4 + 8 * math.floor(3 * math.log(d)))


def half_level(unit: UnitMap, mean: Floats) -> Floats:
    """Half the distance of neighbouring levels in units of the cube, (d,); levels are 1 apart.

    On a logarithmic scale the slope of the logarithm at the mean counts.
    """
    half = 0.5 / unit.extent
    if len(unit.log):
        value = np.ones_like(mean)
        value[unit.log] = np.exp(unit.origin[unit.log] + mean[unit.log] * unit.extent[unit.log])
        half = half / np.maximum(value, 1.0)
    return np.asarray(half)


def margin_quantile(discrete: Mask, options: CEM, population: int) -> float:
    """How many sigmas half a level may be at most, so that `margin` rows a generation leave their level."""
    n_discrete = int(discrete.sum())
    share = options.margin / (n_discrete * (options.population or population)) if n_discrete else 1.0
    return -float(ndtri(share / 2))


def variance_noise(options: CEM, t: int) -> float:
    """What is added to each variance in generation t: max(z_0 - t z_0 / z_T, 0), in units of the cube squared.

    Szita and Lorincz, Learning Tetris using the noisy cross-entropy method, Neural Comput. 18, 2006,
    doi:10.1162/neco.2006.18.12.2936 (Z_t = max(5 - t / 10, 0) there).
    """
    return options.z_0 * max(1.0 - t / options.z_T, 0.0)


def mean_smoothing(options: CEM) -> float:
    """Smoothing of the means of independent columns."""
    return 0.9 if options.alpha_mean is None else options.alpha_mean


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


def series_of(space: Space, columns: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Time series among `columns`: one array (steps, series) of positions in `columns` for each array variable."""
    place = np.full(space.width, -1)
    place[columns] = np.arange(len(columns))
    found = []
    for name, variable in space.variables.items():
        steps = variable.dims[0] if variable.dims else 0
        grid = place[space.slices[name]]
        if steps >= SHORTEST_SERIES and len(grid) and (grid >= 0).all():
            found.append(grid.reshape(steps, -1))
    return found


def shifted(space: Space, X: Floats, steps: int = 1) -> Floats:
    """Move every array variable `steps` back along its first axis; the last value is repeated.

    What was planned for the next time step becomes the plan for this one (iCEM, arXiv:2008.06389, section 3.2).

    Args:
        space: of the plan. X: (n, width) encoded plans. steps: >= 0.

    Returns:
        (n, width) starting points for the next plan.
    """
    Y = np.array(X, dtype=np.float64)
    for grid in series_of(space, np.arange(space.width)):
        Y[:, grid] = Y[:, _later(grid, steps)]
    return Y


def _later(grid: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    return grid[np.minimum(np.arange(len(grid)) + steps, len(grid) - 1)]


def unit_map(space: Space, columns: NDArray[np.int64]) -> UnitMap:
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
