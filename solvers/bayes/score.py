"""The score of points under the models: what the next point maximises."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.core.space import Batch
from optengine.solvers.bayes.acquisition import log_ei, log_feasible
from optengine.surrogates.features import Features
from optengine.surrogates.gp import GP

Floats = NDArray[np.float64]

CAUTION = 30.0  # weight of the log of the probability that an evaluation succeeds


class Score:
    """The acquisition function: larger is better.

    The log of expected improvement plus the log of the probability that each constraint holds and nothing fails; as
    long as nothing feasible is known, that probability alone.

    Args:
        main: the objective's process, one column of targets a sample.
        limits: processes of constraints and, as the last one, of failures, if `failing`: it counts `CAUTION` times, as
            an expected improvement of next to nothing must not outweigh a likely failure.
        best: (s,) value to improve upon in each sample; None: nothing feasible is known.
    """

    def __init__(self, main: GP, limits: list[GP], best: Floats | None, failing: bool = False) -> None:
        self.main, self.limits, self.best = main, limits, best
        self.failing = failing
        self._weights = [1.0] * (len(limits) - failing) + [CAUTION] * failing

    def __call__(self, Z: Floats) -> Floats:
        """Return the score (m,) of features Z (m, f)."""
        total = np.zeros(len(Z))
        if self.best is not None:
            look = self.main.look(Z)
            total += log_ei(look.mean, look.variance, self.best)[0]
        for limit, weight in zip(self.limits, self._weights, strict=True):
            look = limit.look(Z)
            total += weight * log_feasible(look.mean[:, 0], look.variance)[0]
        return total

    def with_gradient(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the score (m,) and its gradient by features (m, f)."""
        total, gradient = np.zeros(len(Z)), np.zeros_like(Z)
        if self.best is not None:
            look = self.main.look(Z, slopes=True)
            value, by_mean, by_variance = log_ei(look.mean, look.variance, self.best)
            total += value
            gradient += self.main.backward(look, by_mean, by_variance)
        for limit, weight in zip(self.limits, self._weights, strict=True):
            look = limit.look(Z, slopes=True)
            value, slope, by_variance = log_feasible(look.mean[:, 0], look.variance)
            total += weight * value
            gradient += weight * limit.backward(look, slope[:, None], by_variance)
        return total, gradient

    def at(self, features: Features, X: Batch) -> Floats:
        """Return the score (m,) of a batch X (m, width)."""
        return self(features.of(X))
