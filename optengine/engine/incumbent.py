"""The best so far: one point, or a front kept incrementally."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation

Floats = NDArray[np.float64]

FEWEST_WAITING = (
    200  # rows that wait before a front is brought up to date, and the share of the front that waits
)
SHARE_WAITING = 0.5


class Incumbent:
    """Best feasible point of a run, minimising; before there is one, the point of least violation.

    Attributes:
        x: (width,) encoded, or None. f: its first objective. violation: sum of its violations.
        front_X, front_F: the non-dominated feasible points (several objectives only), brought up to date when looked
            at, and while a run goes on each time half as many rows have come as it has points.
    """

    def __init__(self, width: int, n_objectives: int) -> None:
        self.x: Floats | None = None
        self.f = math.inf
        self.violation = math.inf
        self._several = n_objectives > 1
        self._front = np.empty((0, width)), np.empty((0, n_objectives))
        self._waiting: list[tuple[Floats, Floats]] = []
        self._n_waiting = 0

    @property
    def front_X(self) -> Floats:
        return self._up_to_date()[0]

    @property
    def front_F(self) -> Floats:
        return self._up_to_date()[1]

    @property
    def feasible(self) -> bool:
        return self.x is not None and self.violation <= 0.0

    def update(self, X: Floats, evaluation: Evaluation, counts: NDArray[np.bool_] | None = None) -> bool:
        """Take in a batch; `counts` marks the rows that may become incumbents.

        Returns whether anything improved; with several objectives, whether anything may have.
        """
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
        """Take in feasible rows for the front."""
        self._waiting.append((X, F))
        self._n_waiting += len(F)
        if not self.feasible:
            self.x, self.f, self.violation = X[0].copy(), float(F[0, 0]), 0.0
        if self._n_waiting >= max(FEWEST_WAITING, SHARE_WAITING * len(self._front[1])):
            self._up_to_date()
        return True

    def _up_to_date(self) -> tuple[Floats, Floats]:
        """Merge the rows that wait into the front; of equal values the first stays."""
        if self._waiting:
            import moocore

            X, F = (np.concatenate(parts) for parts in zip(self._front, *self._waiting, strict=True))
            kept = moocore.is_nondominated(F, keep_weakly=False)
            self._front, self._waiting, self._n_waiting = (X[kept], F[kept]), [], 0
            self.x, self.f = self._front[0][0], float(self._front[1][0, 0])
        return self._front
