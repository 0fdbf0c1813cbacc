"""Proposals among the runs of a finite pool: the best point by the score, at the fidelity that tells most per cost."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import Batch, Space
from optengine.solvers.bayes.fidelity import Below
from optengine.solvers.bayes.score import Score
from optengine.solvers.bayes.told import Told
from optengine.surrogates.features import Features
from optengine.surrogates.fidelity import FidelityGP
from optengine.surrogates.gp import GP

Floats = NDArray[np.float64]


class Pool:
    """The runs of a pool, and which of them a point stands for.

    Args:
        X: (n, width) the runs. space, features: of the problem. below: cheap versions, if they are used.
        rng: draws the first runs.
    """

    def __init__(
        self, X: Batch, space: Space, features: Features, below: Below | None, rng: Generator
    ) -> None:
        self._X, self._features, self._below, self._rng = X, features, below, rng
        if below is None and space.fidelity:
            self._X = X[space.at_target(X)]
        self._target = self._X.copy()  # the same points at the target
        for column, target in space.fidelity.values():
            self._target[:, column] = target
        self._at_target = space.at_target(self._X)

    def __len__(self) -> int:
        return len(self._X)

    def left(self, told: Told) -> NDArray[np.int64]:
        """Return the runs that were neither asked nor told."""
        return np.flatnonzero(~told.seen(self._X))

    def opening(self, left: NDArray[np.int64], begun: int, n: int) -> Batch | None:
        """Return the next of the first runs (width,), of the cheapest that are left; None after the last.

        Args:
            left: runs to take it from. begun: runs asked or told. n: that a design at the target would have.
        """
        if self._below is None:
            return self._X[self._rng.choice(left)] if begun < n else None
        if begun >= self._below.n_opening(n):
            return None
        costs = self._below.costs(self._X[left])
        cheap = left[costs <= 1.001 * costs.min()]
        return np.asarray(self._X[self._rng.choice(cheap)])

    def best(self, score: Score, main: GP | None, left: NDArray[np.int64], confirming: bool) -> Batch:
        """Return the run (width,) to make next, of those left; `confirming`: at the target if there is one."""
        if confirming and self._at_target[left].any():
            left = left[self._at_target[left]]
        values = score.at(self._features, self._target[left])
        here = left[(self._target[left] == self._target[left[int(np.argmax(values))]]).all(axis=1)]
        if self._below is None or len(here) == 1:
            return np.asarray(self._X[here[0]])
        assert isinstance(main, FidelityGP)
        worth = self._below.worth(self._X[here], main)
        return np.asarray(self._X[here[int(np.argmax(worth))]])
