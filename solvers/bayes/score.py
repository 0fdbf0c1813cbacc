"""The score of points under the models: what the next point maximises."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.core.space import Batch
from optengine.solvers.bayes.acquisition import log_ei, log_feasible
from optengine.surrogates.features import Features
from optengine.surrogates.gp import GP

Floats = NDArray[np.float64]


class Score:
    """The acquisition function: larger is better.

    The log of expected improvement plus the log of the probability that each constraint holds and nothing fails; as
    long as nothing feasible is known, that probability alone.

    Args:
        main: the objective's process, one column of targets a sample. limits: processes of constraints and failures.
        best: (s,) value to improve upon in each sample; None: nothing feasible is known.
    """

    def __init__(self, main: GP, limits: list[GP], best: Floats | None) -> None:
        self.main, self.limits, self.best = main, limits, best
        self.n_looks = 0

    def __call__(self, Z: Floats) -> Floats:
        """Return the score (m,) of features Z (m, f)."""
        self.n_looks += len(Z)
        total = np.zeros(len(Z))
        if self.best is not None:
            look = self.main.look(Z)
            total += log_ei(look.mean, look.variance, self.best)[0]
        for limit in self.limits:
            look = limit.look(Z)
            total += log_feasible(look.mean[:, 0], look.variance)[0]
        return total

    def with_gradient(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the score (m,) and its gradient by features (m, f)."""
        self.n_looks += len(Z)
        total, gradient = np.zeros(len(Z)), np.zeros_like(Z)
        if self.best is not None:
            look = self.main.look(Z, slopes=True)
            value, by_mean, by_variance = log_ei(look.mean, look.variance, self.best)
            total += value
            gradient += self.main.backward(look, by_mean, by_variance)
        for limit in self.limits:
            look = limit.look(Z, slopes=True)
            value, slope, by_variance = log_feasible(look.mean[:, 0], look.variance)
            total += value
            gradient += limit.backward(look, slope[:, None], by_variance)
        return total, gradient

    def at(self, features: Features, X: Batch) -> Floats:
        """Return the score (m,) of a batch X (m, width)."""
        return self(features.of(X))
