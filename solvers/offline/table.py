"""The table of an Offline problem as models and searches see it: features, standardised targets, new points."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import Batch
from optengine.problems.offline import Offline
from optengine.surrogates.features import Features

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Table:
    """Data of one problem.

    Attributes:
        problem, space, features: as stated. X: (m, width) encoded. Z: (m, f) features.
        t: (m,) targets, maximised, mean 0 and variance 1.
        g: (m, constraints) observed excesses, divided by their root mean square.
    """

    def __init__(self, problem: Offline) -> None:
        self.problem, self.space = problem, problem.space
        self.features = Features(problem.space)
        self.X, self.Z = problem.X, self.features.of(problem.X)
        self._sign = -float(problem.signs[0])
        up = self._sign * problem.y
        self._centre, self._spread = float(up.mean()), float(up.std()) or 1.0
        self.t: Floats = (up - self._centre) / self._spread
        size = np.sqrt((problem.G**2).mean(axis=0)) if problem.G.shape[1] else np.ones(0)
        self.g: Floats = problem.G / np.where(size > 0, size, 1.0)
        self._known = {row.tobytes() for row in np.ascontiguousarray(self.X)}
        self._repair = None
        if self.space.constrained:
            from optengine.backends.repair import Repair

            self._repair = Repair(self.space).repair

    def value(self, t: Floats) -> Floats:
        """Return targets (any shape) in the user's units and direction."""
        return np.asarray(self._sign * (self._centre + self._spread * t))

    def size(self, t: Floats) -> Floats:
        """Return differences of targets in the user's units."""
        return self._spread * t

    def kept(self, X: Batch, rng: Generator) -> Batch:
        """Return X (n, width) moved to points that keep the known constraints."""
        return X if self._repair is None else self._repair(X, rng)

    def new(self, X: Batch) -> Mask:
        """Return (n,) whether each row is the first of its kind and no row of the table."""
        seen, fresh = set(self._known), np.zeros(len(X), dtype=bool)
        for i, row in enumerate(np.ascontiguousarray(X + 0.0)):  # + 0.0: no negative zeros
            key = row.tobytes()
            fresh[i] = key not in seen
            seen.add(key)
        return fresh

    def top(self, n: int) -> Batch:
        """Return the best n rows (n, width), best first; those predicted to violate nothing go first."""
        bad = (self.g > 0).any(axis=1)
        return self.X[np.lexsort((-self.t, bad))[:n]]
