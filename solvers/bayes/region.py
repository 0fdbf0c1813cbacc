"""A box around the incumbent that grows with successes and shrinks with failures.

TuRBO (Eriksson et al., NeurIPS 2019, arXiv:1910.01739), with most of its constants; the global model and log EI
in place of local models and Thompson samples. A box that has become too small is given up for one around new points.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation

Floats = NDArray[np.float64]

HUGE = 1e100  # merit of what is not feasible

LENGTH, LEAST, MOST = 0.8, 2.0**-7, 1.6  # of the box's sides, in units of the cube: first, least and most
PATIENCE = 8  # failures in a row after which it halves; the paper's d is for budgets of thousands
SUCCESSES = 3  # improvements in a row after which it doubles
BETTER = 1e-3  # improvement that counts, relative to the incumbent's size


def merits(evaluation: Evaluation) -> Floats:
    """Return (n,) numbers that fall as rows get better: feasible ones their value, others beyond all of those."""
    value = np.where(evaluation.failed, np.inf, evaluation.F[:, 0])
    violation = evaluation.violation
    return np.where(violation > 0, np.where(np.isfinite(violation), HUGE * (1.0 + violation), np.inf), value)


class Region:
    """The state of one box.

    Args:
        d: real columns. batch: points asked together.
    """

    def __init__(self, d: int, batch: int) -> None:
        self._patience = max(math.ceil(4.0 / batch), math.ceil(min(d, PATIENCE) / batch))
        self.n_restarts = 0
        self._begin(0)

    def _begin(self, first: int) -> None:
        self.first = first  # row from which on rows count for this box
        self.length = LENGTH
        self._successes = self._failures = 0
        self._best = math.inf

    def tell(self, merits: Floats, n_told: int) -> None:
        """Note the merits (m,) of rows told, smaller being better; `n_told` rows are known with them."""
        for merit in merits:
            better = merit < self._best - BETTER * abs(self._best) if math.isfinite(self._best) else True
            self._successes = self._successes + 1 if better else 0
            self._failures = 0 if better else self._failures + 1
            self._best = min(self._best, float(merit))
            if self._successes == SUCCESSES:
                self.length, self._successes = min(2.0 * self.length, MOST), 0
            elif self._failures == self._patience:
                self.length, self._failures = 0.5 * self.length, 0
        if self.length < LEAST:
            self._begin(n_told)
            self.n_restarts += 1

    def box(self, centre: Floats, lengthscales: Floats) -> tuple[Floats, Floats]:
        """Return lower and upper bounds (d,) around `centre` (d,), longer where the model varies less."""
        weight = np.minimum(lengthscales, 10.0 * np.median(lengthscales))
        weight = weight / np.exp(np.log(weight).mean())
        half = 0.5 * self.length * weight
        return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
