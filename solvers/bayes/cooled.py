"""Expected improvement per cost, the cost counting less and less as the budget is spent.

Lee, Perrone, Archambeau and Seeger, Cost-aware Bayesian optimization, 2020, arXiv:2003.10870 (CArBO):
EI(x) / c(x)^alpha with alpha = (total - spent) / (total - cost of the first points), and a Gaussian process on log c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.solvers.bayes.design import n_initial
from optengine.solvers.bayes.model import NOISY, Model, Part
from optengine.solvers.bayes.score import Score
from optengine.solvers.bayes.told import Told
from optengine.surrogates.features import Features
from optengine.surrogates.gp import GP, Shape

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.bayes.bo import BO

Floats = NDArray[np.float64]

FEWEST = 3  # costs told before they are modelled


class CooledScore(Score):
    """A score less `alpha` times the expected logarithm of the cost.

    Args:
        score: what is to be had. cost: process of the logarithm of the cost, in units of `spread`.
    """

    def __init__(self, score: Score, cost: GP, spread: float, alpha: float) -> None:
        super().__init__(score.main, score.limits, score.best, score.failing)
        self._inner, self._cost, self._weight = score, cost, alpha * spread

    def __call__(self, Z: Floats) -> Floats:
        """Return the score (m,) of features Z (m, f)."""
        return np.asarray(self._inner(Z) - self._weight * self._cost.look(Z).mean[:, 0])

    def with_gradient(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the score (m,) and its gradient by features (m, f)."""
        value, gradient = self._inner.with_gradient(Z)
        look = self._cost.look(Z, slopes=True)
        by_mean = np.full((len(Z), 1), self._weight)
        slope = self._cost.backward(look, by_mean, np.zeros(len(Z)))
        return value - self._weight * look.mean[:, 0], gradient - slope


class CooledModel(Model):
    """Everything a run believes, costs among it; arguments as of `Model`."""

    def __init__(self, options: BO, problem: Problem, features: Features, rng: Generator) -> None:
        super().__init__(options, problem, features, rng)
        assert options.cooling is not None
        self._total = float(options.cooling)
        self._n_design = n_initial(problem.space, options.n_initial)
        self._cost = Part(Shape.of(features), NOISY)

    def alpha(self, cost: Floats) -> float:
        """Return the power of the cost after rows of these costs (n,), NaN where unknown."""
        first, spent = float(np.nansum(cost[: self._n_design])), float(np.nansum(cost))
        return float(np.clip((self._total - spent) / max(self._total - first, 1e-300), 0.0, 1.0))

    def score(self, told: Told, confirming: bool = False) -> Score:
        """Fit what is due and return the score of points, given what is pending."""
        score = super().score(told, confirming)
        known = np.flatnonzero(np.isfinite(told.cost) & (told.cost > 0))
        if len(known) < FEWEST:
            return score
        logs = np.log(told.cost[known])
        spread = float(logs.std())
        if not spread > 1e-9:
            return score
        cost = self._cost.fit(self.features.of(told.X[known]), (logs - logs.mean()) / spread, None, self._rng)
        return CooledScore(score, cost, spread, self.alpha(told.cost))
