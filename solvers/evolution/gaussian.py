"""The search distributions of CMA-ES on the unit cube: full and diagonal covariance.

Hansen, The CMA evolution strategy: a tutorial, arXiv:1604.00772, equations by their numbers there; diagonal: Ros and
Hansen, PPSN 2008, doi:10.1007/978-3-540-87700-4_30. Written for whole populations at once: one candidate costs
O(d^2) without Python's overhead. The distribution is not bounded: what it draws is folded into the cube.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EDGE = 0.05  # distance from a bound within which points are bent, in edges of the cube
TOL_X = 1e-12  # of the first step size: smaller steps end a run
TOL_FUN = (
    1e-12  # range of values over the recent generations that ends a run, at most; less where values are small
)
FLAT, HOPELESS = 10, 10.0  # generations whose range of values, that many times, must reach the best known
TOL_UP = 1e4  # growth of the step size that ends a run
TOL_CONDITION = 1e7  # ratio of the longest to the shortest axis that ends a run (1e14 in the covariance)
LARGEST_STEP = 1.0  # of log sigma in one generation


@dataclass(frozen=True)
class Rates:
    """Weights and learning rates for one population size and dimension, equations (48) to (56)."""

    weights: Floats  # (population,), the positive ones sum to 1
    mu: int
    mu_eff: float
    c_1: float
    c_mu: float
    c_sigma: float
    d_sigma: float
    c_c: float


@functools.lru_cache(maxsize=256)
def rates(population: int, d: int, diagonal: bool) -> Rates:
    """Return the tutorial's defaults."""
    raw = math.log((population + 1) / 2) - np.log(np.arange(1, population + 1))
    mu = population // 2
    mu_eff = float(raw[:mu].sum() ** 2 / (raw[:mu] ** 2).sum())
    rest = raw[mu:]
    mu_eff_minus = float(rest.sum() ** 2 / (rest**2).sum())
    c_1 = 2.0 / ((d + 1.3) ** 2 + mu_eff)
    c_mu = min(1.0 - c_1 - 1e-8, 2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((d + 2) ** 2 + mu_eff))
    if diagonal:  # fewer numbers to learn: Ros and Hansen (2008), section 3
        c_1 = min(1.0, c_1 * (d + 2) / 3)
        c_mu = min(1.0 - c_1, c_mu * (d + 2) / 3)
    floor = 0.0 if c_mu <= 0 else (1.0 - c_1 - c_mu) / (d * c_mu)
    alpha = min(1.0 + c_1 / max(c_mu, 1e-300), 1.0 + 2.0 * mu_eff_minus / (mu_eff + 2.0), floor)
    positive, negative = raw[raw > 0].sum(), -raw[raw < 0].sum()
    weights = np.where(raw >= 0, raw / positive, alpha * raw / negative)
    weights.setflags(write=False)
    c_sigma = (mu_eff + 2.0) / (d + mu_eff + 5.0)
    d_sigma = 1.0 + 2.0 * max(0.0, math.sqrt((mu_eff - 1.0) / (d + 1.0)) - 1.0) + c_sigma
    c_c = (4.0 + mu_eff / d) / (d + 4.0 + 2.0 * mu_eff / d)
    return Rates(weights, mu, mu_eff, c_1, c_mu, c_sigma, d_sigma, c_c)


def fold(V: Floats) -> Floats:
    """Return the points of the cube (n, d) that the strategy's points V stand for.

    The identity inside, a parabola within `EDGE` of either bound, so that an optimum there is one of a smooth function,
    and a mirror beyond it: the boundary handling of pycma (Hansen), never a clip.
    """
    low = V.min(initial=1.0)
    if low >= EDGE and V.max(initial=0.0) <= 1.0 - EDGE:
        return V
    period = 2.0 * (1.0 + 2.0 * EDGE)
    U = np.abs((V + EDGE) % period)
    U = np.where(U > 0.5 * period, period - U, U) - EDGE  # in [-EDGE, 1 + EDGE]
    U = np.where(U < EDGE, (U + EDGE) ** 2 / (4.0 * EDGE), U)
    return np.where(U > 1.0 - EDGE, 1.0 - (1.0 + EDGE - U) ** 2 / (4.0 * EDGE), U)


def unfold(U: Floats) -> Floats:
    """Return the points nearest to the cube that `fold` takes to U."""
    V = np.where(U < EDGE, 2.0 * np.sqrt(EDGE * np.maximum(U, 0.0)) - EDGE, U)
    return np.where(U > 1.0 - EDGE, 1.0 + EDGE - 2.0 * np.sqrt(EDGE * np.maximum(1.0 - U, 0.0)), V)


class Gaussian:
    """N(mean, sigma^2 C) with the update rule of CMA-ES.

    Args:
        redraws: how often points that the fold would mirror are drawn again.

    Attributes:
        mean: (d,). sigma: step size, in edges of the cube. axes: (d, d), None for the identity; lengths: (d,): C = axes
        diag(lengths^2) axes'.
    """

    def __init__(
        self, mean: Floats, sigma: float, population: int, *, diagonal: bool = False, redraws: int = 0
    ) -> None:
        self.mean, self.sigma, self.population = np.array(mean), float(sigma), population
        self.d, self._diagonal, self._redraws = len(mean), diagonal, redraws
        d = self.d
        self.axes: Floats | None = None
        self.lengths = np.ones(d)
        self._C = np.ones(d) if diagonal else np.eye(d)
        self._path_sigma, self._path_c = np.zeros(d), np.zeros(d)
        self._first_sigma, self._generation, self._stale = self.sigma, 0, 0
        self._chi = math.sqrt(d) * (1.0 - 1.0 / (4.0 * d) + 1.0 / (21.0 * d * d))
        self._best: list[float] = []
        self._worst: list[float] = []

    # -- sampling ----------------------------------------------------------------------------------------------

    def sample(self, n: int, rng: Generator) -> Floats:
        """Draw n points (n, d); `fold` brings them into the cube."""
        V = self._draw(n, rng)
        for _ in range(self._redraws):
            outside = ((V < -EDGE) | (V > 1.0 + EDGE)).any(axis=1)
            n_outside = int(outside.sum())
            if not n_outside:
                break
            V[outside] = self._draw(n_outside, rng)
        return V

    def _draw(self, n: int, rng: Generator) -> Floats:
        Y = rng.standard_normal((n, self.d)) * self.lengths
        if self.axes is not None:
            Y = Y @ self.axes.T
        Y *= self.sigma
        Y += self.mean
        return Y

    def whiten(self, U: Floats) -> Floats:
        """Return the coordinates (n, d) in which the distribution is standard normal."""
        Y = U - self.mean
        if self.axes is not None:
            Y = Y @ self.axes
        return np.asarray(Y / (self.sigma * self.lengths))

    def colour(self, Z: Floats) -> Floats:
        """Undo `whiten`."""
        Y = Z * (self.sigma * self.lengths)
        if self.axes is not None:
            Y = Y @ self.axes.T
        return np.asarray(self.mean + Y)

    # -- learning ----------------------------------------------------------------------------------------------

    def update(self, U: Floats, values: Floats) -> None:
        """Learn a generation U (n, d), best first, with its values (n,)."""
        r = rates(len(U), self.d, self._diagonal)
        d, first = self.d, r.weights[: r.mu]
        self._generation += 1
        self._best.append(float(values[0]))
        self._worst.append(float(values[-1]))
        Z = self.whiten(U)
        Y = (U - self.mean) / self.sigma
        step = first @ Y[: r.mu]  # eq. (41)
        self.mean = self.mean + self.sigma * step
        z = first @ Z[: r.mu]
        turned = z if self.axes is None else self.axes @ z  # C^(-1/2) times the step
        self._path_sigma *= 1.0 - r.c_sigma
        self._path_sigma += math.sqrt(r.c_sigma * (2.0 - r.c_sigma) * r.mu_eff) * turned
        length = float(np.linalg.norm(self._path_sigma))
        settled = math.sqrt(1.0 - (1.0 - r.c_sigma) ** (2 * (self._generation + 1)))
        moving = length / settled < (1.4 + 2.0 / (d + 1.0)) * self._chi
        self._path_c *= 1.0 - r.c_c  # eq. (45)
        if moving:
            self._path_c += math.sqrt(r.c_c * (2.0 - r.c_c) * r.mu_eff) * step
        # active update, eq. (46): a bad step counts as much as a typical one, however long it was
        weights = np.where(r.weights >= 0, r.weights, r.weights * d / (np.einsum("ij,ij->i", Z, Z) + 1e-8))
        lost = 0.0 if moving else r.c_c * (2.0 - r.c_c)
        keep = 1.0 + r.c_1 * lost - r.c_1 - r.c_mu * float(r.weights.sum())  # eq. (47)
        if self._diagonal:
            self._C = keep * self._C + r.c_1 * self._path_c**2 + r.c_mu * (weights @ Y**2)
        else:
            self._C *= keep
            self._C += r.c_1 * np.outer(self._path_c, self._path_c)
            self._C += r.c_mu * ((Y.T * weights) @ Y)
        self.sigma *= math.exp(min(LARGEST_STEP, r.c_sigma / r.d_sigma * (length / self._chi - 1.0)))
        self._decompose(r)

    def _decompose(self, r: Rates) -> None:
        """Take the axes from C, every few generations only: the tutorial's section B.2."""
        if self._diagonal:
            self.lengths = np.sqrt(np.maximum(self._C, 1e-300))
            return
        self._stale += 1
        if self._stale <= 1.0 / ((r.c_1 + r.c_mu) * self.d * 10.0):
            return
        self._stale = 0
        self._C = (self._C + self._C.T) / 2.0
        values, self.axes = np.linalg.eigh(self._C)
        self.lengths = np.sqrt(np.where(values < 0.0, 1e-16, values))

    # -- the end -----------------------------------------------------------------------------------------------

    def stopped(self, floor: float = -math.inf) -> str | None:
        """Return why the run leads nowhere any more, or None: the criteria of the tutorial, section B.3.

        Besides, a run ends once its values range over far less than what parts them from `floor`, the best known.
        """
        d, n = self.d, max(1, self.population)
        if len(self._best) > FLAT and math.isfinite(floor):
            best = min(self._best[-FLAT:])
            if (max(self._worst[-FLAT:]) - best) * HOPELESS < best - floor:
                return "the best known is out of reach"
        recent = 10 + math.ceil(30 * d / n)
        if len(self._best) > recent:
            spread = max(self._worst[-recent:]) - min(self._best[-recent:])
            if spread <= TOL_FUN * min(1.0, self._worst[0] - self._best[0]):
                return "values differ no more"
        deviations = self.lengths if self._diagonal else np.sqrt(np.maximum(np.diag(self._C), 0.0))
        smallest = TOL_X * self._first_sigma
        if (self.sigma * deviations < smallest).all() and (
            self.sigma * np.abs(self._path_c) < smallest
        ).all():
            return "steps are too small"
        longest, shortest = float(self.lengths.max()), float(self.lengths.min())
        if not longest <= TOL_CONDITION * shortest:
            return "the covariance is ill-conditioned"
        if self.sigma * longest > TOL_UP * self._first_sigma:
            return "the step size diverges"
        if (self.mean == self.mean + 0.2 * self.sigma * deviations).any():
            return "steps have no effect"
        return "the median stagnates" if self._stagnates(120 + math.ceil(30 * d / n)) else None

    def _stagnates(self, horizon: int) -> bool:
        if len(self._best) <= horizon or self._generation % 10:
            return False
        window = self._best[-horizon:]
        return float(np.median(window[-20:])) >= float(np.median(window[:20]))
