"""Where a value tells most about the whole function: the reduction of its integrated variance.

Bell et al., Modeling the machine learning multiverse, NeurIPS 2022, arXiv:2206.05985, explore spaces of choices this
way; the criterion is Cohn, Ghahramani and Jordan's (JAIR 1996, arXiv:cs/9603104). With c(q, z) the posterior
covariance, the value at z reduces the mean variance over points q by mean_q c(q, z)^2 / (c(z, z) + noise): in closed
form, and so is its gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import Space
from optengine.solvers.bayes.model import Model
from optengine.solvers.bayes.score import Score
from optengine.solvers.bayes.told import Told
from optengine.surrogates.features import Features
from optengine.surrogates.gp import GP, covariance, towards
from optengine.surrogates.outcomes import Scaling

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.bayes.bo import BO

Floats = NDArray[np.float64]

POINTS = 256  # over which the variance is integrated
LEAST = 1e-300


class VarianceScore(Score):
    """The log of the reduction of the integrated variance, and what `Score` adds for failures.

    Args:
        main: the process. Q: (q, f) features of the points over which is integrated. limits, failing: as of `Score`.
    """

    def __init__(self, main: GP, Q: Floats, limits: list[GP], failing: bool) -> None:
        super().__init__(main, limits, None, failing)
        look = main.look(Q)
        self._A = np.concatenate([look.A, main.A])  # (q + n, f)
        self._given = look.V @ main.inverse  # (q, n): c(q, z) = k(q, z) - sum_i given_qi k(x_i, z)
        self._q, self._noise = len(Q), main.hyper.noise

    def __call__(self, Z: Floats) -> Floats:
        """Return the score (m,) of features Z (m, f)."""
        return np.asarray(super().__call__(Z) + np.log(self._reduction(Z, False)[0]))

    def with_gradient(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the score (m,) and its gradient by features (m, f)."""
        total, gradient = super().with_gradient(Z)
        value, slope = self._reduction(Z, True)
        return total + np.log(value), gradient + slope / value[:, None]

    def _reduction(self, Z: Floats, slopes: bool) -> tuple[Floats, Floats]:
        """The reduction (m,), and its gradient (m, f) where asked for."""
        main = self.main
        look = main.look(Z, slopes)
        K, slope_a, slope_b, _ = covariance(main.shape, main.hyper, look.A, self._A, slopes)
        c = K[:, : self._q] - K[:, self._q :] @ self._given.T  # (m, q)
        total = look.variance + self._noise
        value = np.maximum((c * c).mean(axis=1) / total, LEAST)
        if not slopes:
            return value, np.empty(0)
        assert slope_a is not None
        C = (2.0 / self._q / total)[:, None] * np.concatenate([c, -c @ self._given], axis=1)
        if slope_b is None:
            gradient = towards(C * slope_a, look.A, self._A)
        else:
            gradient = np.empty_like(look.A)
            for slope, part in ((slope_a, ~main.shape.levels), (slope_b, main.shape.levels)):
                gradient[:, part] = towards(C * slope, look.A[:, part], self._A[:, part])
        gradient /= main.hyper.lengthscales[main.shape.groups]
        by_variance = -value / total
        return value, gradient + main.backward(look, np.zeros_like(look.mean), by_variance)


class VarianceModel(Model):
    """Everything a run believes that explores; arguments as of `Model`. Values count as they are, none is pressed."""

    def __init__(self, options: BO, problem: Problem, features: Features, rng: Generator) -> None:
        super().__init__(options, problem, features, rng)
        self._Q = features.of(spread(problem.space, POINTS, rng))

    def score(self, told: Told, confirming: bool = False) -> Score:
        """Fit what is due and return the score of points, given what is pending."""
        good = self._kept(told)
        Z, y = self.features.of(told.X[good]), told.F[good, 0]
        size = float(y.std())
        self.scaling = scaling = Scaling(float(y.mean()), size if size > 0 else 1.0)
        noise = self._noise(told.noise[good, 0], y, scaling)
        self.main = main = self.objective.fit(Z, scaling(y), noise, self._rng)
        self.data = (Z, scaling(y), noise)
        limits: list[GP] = []
        failing = bool(told.failed.any())
        if failing:
            limits = self._limits(told, good, Z)[0][-1:]
        if len(told.pending):
            P = self.features.of(told.pending)
            main = main.extended(P, main.look(P).mean)
        return VarianceScore(main, self._Q, limits, failing)


def spread(space: Space, n: int, rng: Generator) -> Floats:
    """Return n points (n, width), n a power of two, spread over box and structure, fidelities at their targets."""
    from scipy.stats.qmc import Sobol  # slow to import

    X = space.from_unit(Sobol(space.width, scramble=True, rng=rng).random(n))
    for column, target in space.fidelity.values():
        X[:, column] = target
    return X
