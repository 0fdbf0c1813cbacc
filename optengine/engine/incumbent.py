"""The best so far: one point, or a front kept incrementally."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation

Floats = NDArray[np.float64]


class Incumbent:
    """Best feasible point of a run, minimising; before there is one, the point of least violation.

    Attributes:
        x: (width,) encoded, or None. f: its first objective. violation: sum of its violations.
        front_X, front_F: the non-dominated feasible points (several objectives only).
    """

    def __init__(self, width: int, n_objectives: int) -> None:
        self.x: Floats | None = None
        self.f = math.inf
        self.violation = math.inf
        self._several = n_objectives > 1
        self.front_X, self.front_F = np.empty((0, width)), np.empty((0, n_objectives))

    @property
    def feasible(self) -> bool:
        return self.x is not None and self.violation <= 0.0

    def update(self, X: Floats, evaluation: Evaluation, counts: NDArray[np.bool_] | None = None) -> bool:
        """Take in a batch; `counts` marks the rows that may become incumbents. Returns whether anything improved."""
        usable = ~evaluation.failed if counts is None else ~evaluation.failed & counts
        if not usable.any():
            return False
        violation = evaluation.violation
        feasible = usable & (violation <= 0.0)
        if not feasible.any():
            return self._least_violation(X, evaluation, np.where(usable, violation, np.inf))
        if self._several:
            return self._extend_front(X[feasible], evaluation.F[feasible])
        values = np.where(feasible, evaluation.F[:, 0], np.inf)
        best = int(np.argmin(values))
        if self.feasible and not values[best] < self.f:
            return False
        self.x, self.f, self.violation = X[best].copy(), float(values[best]), 0.0
        return True

    def _least_violation(self, X: Floats, evaluation: Evaluation, violation: Floats) -> bool:
        best = int(np.argmin(violation))
        if not violation[best] < self.violation:
            return False
        self.x, self.f, self.violation = X[best].copy(), float(evaluation.F[best, 0]), float(violation[best])
        return True

    def _extend_front(self, X: Floats, F: Floats) -> bool:
        """Merge feasible rows into the front; of equal values the first stays."""
        import moocore

        rows = np.concatenate([self.front_F, F])
        kept = moocore.is_nondominated(rows, keep_weakly=False)
        improved = bool(kept[len(self.front_F) :].any())
        if improved:
            self.front_X, self.front_F = np.concatenate([self.front_X, X])[kept], rows[kept]
            self.x, self.f, self.violation = self.front_X[0], float(self.front_F[0, 0]), 0.0
        return improved
