"""One Gaussian with a full covariance over reals, integers and ordered levels: rotated, ill-conditioned valleys.

Samples are reflected at the bounds of the unit cube. The refit is the rank-mu update about the old mean; with
`cumulation` also its rank-one update and a step size of its own, by the evolution paths of Hansen (The CMA evolution
strategy: a tutorial, arXiv:1604.00772, equations (24), (27) to (30), (43)). Without, sigma^2 follows the mean squared
length of the elites, and the covariance is smoothed alone: Sigma <- Sigma + c_mu (Sigma_hat - Sigma). Sigma_hat may be
shrunk towards its diagonal, (1 - b) Sigma_hat + b diag(Sigma_hat) (Ledoit and Wolf, J. Multivar. Anal. 88, 2004).

What differs from the CMA-ES: elites only, no negative weights; a share of them stays from one generation to the next;
reflection in place of penalties; and the run adds the minimiser of a quadratic to each generation (`quadratic`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import REAL, Space
from optengine.kernels.cem_gaussian import kl_full, reflected, step_share, student_scales, student_weights
from optengine.kernels.cem_paths import factors, follow, rates
from optengine.solvers.cem.gaussian import (
    NOISE,
    SEED_SPREAD,
    half_level,
    margin_quantile,
    unit_map,
    variance_noise,
)
from optengine.solvers.cem.models import Columns, Floats, Mask
from optengine.solvers.cem.quadratic import Quadratic

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM

FIRST_SIGMA = 0.3  # in units of the cube, for sigma_0 = None; measured on BBOB, d = 2 to 20
LARGEST_CONDITION = 1e14  # of the covariance; beyond it the eigenvectors are rounding errors


class FullModel:
    """Normal or Student-t distribution with covariance sigma^2 C, reflected into the unit cube.

    Sampling costs O(rows d^2), refitting O(elites d^2 + d^3).
    """

    def __init__(self, space: Space, columns: NDArray[np.int64], options: CEM) -> None:
        self.columns: Columns = columns
        self.dimension = d = len(columns)
        self.population = 4 + math.floor(3 * math.log(d))
        self._options = options
        self._discrete = space.kind[columns] != REAL
        self._unit = unit_map(space, columns)
        self._quantile = margin_quantile(self._discrete, options, self.population)
        self._quadratic = Quadratic(d) if options.polish and not self._discrete.any() else None
        self.restart(None, 1.0)

    def warm_up(self) -> None:
        """Compile the kernels of a refit and of the polish."""
        d = self.dimension
        if self._options.cumulation:
            follow(np.zeros(d), np.eye(d), np.eye(d), np.zeros((2, d)), np.eye(d), 1.0, 1)
        if self._quadratic is not None:
            self._quadratic.warm_up()

    @property
    def converged(self) -> bool:
        real = ~self._discrete
        return bool(real.any() and (self.deviations[real] <= self._options.sigma_min).all())

    @property
    def deviations(self) -> Floats:
        """Standard deviation of each column, (d,)."""
        return np.asarray(self.sigma * np.sqrt(np.diagonal(self.C)))

    def restart(self, rng: Generator | None, spread: float) -> None:
        d = self.dimension
        self.mean = np.full(d, 0.5) if rng is None else rng.random(d)
        self.sigma = (self._options.sigma_0 or FIRST_SIGMA) * spread
        self.C = np.eye(d)
        self._paths = np.zeros((2, d))  # of the step size and of the covariance
        self._generation = 0
        if self._quadratic is not None:
            self._quadratic.clear()
        self._keep_floor()
        self._decompose()

    def seed(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        U = self._unit.to_unit(elites)
        D = U - self.mean
        self.mean = self.mean + weights @ (D if active is None else D * active)
        if len(U) >= SEED_SPREAD:
            spread = float((weights @ (U - self.mean) ** 2).mean())
            self.sigma = math.sqrt(0.5 * (self.sigma**2 + spread))
            self._keep_floor()
            self._decompose()

    def learn(self, X: Floats, F: Floats) -> None:
        """Take in points (n, d) and values (n,) for the quadratic."""
        if self._quadratic is not None:
            self._quadratic.add(self._unit.to_unit(X), F)

    def centre(self) -> Floats | None:
        """The minimiser of the quadratic, once there are points enough for one."""
        if self._quadratic is None:
            return None
        guess = self._quadratic.minimiser(self.mean, self._vectors, self.sigma * self._roots)
        return None if guess is None else self._unit.from_unit(guess[np.newaxis])[0]

    def sample(self, n: int, rng: Generator) -> Floats:
        Z = rng.standard_normal((n, self.dimension)) @ self._root
        if self._options.nu is not None:
            Z *= student_scales(n, self._options.nu, rng)
        Z *= self.sigma
        Z += self.mean
        return self._unit.from_unit(reflected(Z))

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        o = self._options
        self._generation += 1
        Y = (self._unit.to_unit(elites) - self.mean) / self.sigma  # (k, d)
        if active is not None:
            Y *= active
        if o.nu is not None:
            squared = ((Y @ self._inverse_root) ** 2).sum(axis=1)
            weights = student_weights(weights, squared, self.dimension, o.nu)
        moment = (Y.T * weights) @ Y  # Sigma_hat / sigma^2, about the old mean
        if o.b > 0:
            moment = (1 - o.b) * moment + o.b * np.diag(np.diagonal(moment))
        if active is not None:  # elites without a column vote for its variance as it is
            moment[np.diag_indices_from(moment)] += (1.0 - weights @ active) * np.diagonal(self.C)
        mean = np.clip(self.mean + (o.alpha_mean or 1.0) * self.sigma * (weights @ Y), 0.0, 1.0)
        old_sigma, old_C, effective = self.sigma, self.C, 1.0 / float(weights @ weights)
        if o.cumulation:
            self.C = old_C.copy()
            self.sigma *= follow(
                weights @ Y, moment, self.C, self._paths, self._inverse_root, effective, self._generation
            )
        else:
            self._smooth(moment, effective)
        if o.delta is not None:
            mean = self._bounded_step(mean, old_sigma**2 * old_C, o.delta)
        self.mean = mean
        noise = variance_noise(o, self._generation)
        if noise > 0:
            self.C = self.C + np.eye(self.dimension) * (noise / self.sigma**2)
        self._keep_floor()
        self._decompose()

    def _smooth(self, moment: Floats, effective: float) -> None:
        """The plain update: shape at the rate of the rank-mu update, scale at that of the diagonal family."""
        _, c_mu = rates(self.dimension, effective)
        rate = self._options.alpha_sigma or effective / (effective + NOISE)
        W = self._inverse_root
        length = float(np.einsum("ij,jk,ik->", W, moment, W)) / self.dimension
        self.C = self.C + c_mu * (moment - self.C)
        self.sigma *= math.sqrt(1 + max(0.0, rate - c_mu) * (length - 1))

    def _bounded_step(self, mean: Floats, old: Floats, delta: float) -> Floats:
        """Shorten the step from covariance `old` to the new one so that the divergence is at most delta."""
        new, old_mean = self.sigma**2 * self.C, self.mean
        share = step_share(
            lambda t: kl_full(old_mean + t * (mean - old_mean), old + t * (new - old), old_mean, old), delta
        )
        self.C = (old + share * (new - old)) / self.sigma**2
        return old_mean + share * (mean - old_mean)

    def _decompose(self) -> None:
        self._vectors, self._roots, self._root, self._inverse_root = factors(self.C, LARGEST_CONDITION)

    def _keep_floor(self) -> None:
        widest = float(self.deviations.max())
        self.sigma = min(
            max(self.sigma, 1e-3 * self._options.sigma_min), self.sigma / widest if widest > 1 else math.inf
        )
        if self._discrete.any():
            floor = np.where(self._discrete, half_level(self._unit, self.mean) / self._quantile, 0.0)
            scale = np.maximum(1.0, floor / self.deviations)
            self.C = self.C * np.outer(scale, scale)
