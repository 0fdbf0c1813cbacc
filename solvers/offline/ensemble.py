"""Several models of one table as one score: their mean, their minimum, or their mean less their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTY = 10.0  # standard deviations of y lost for each unit (root mean square) of predicted violation
TINY = 1e-9

AGGREGATES = ("mean", "min", "lcb")


class Model(Protocol):
    """Predicts standardised targets, maximised, from features."""

    def mean(self, Z: Floats) -> Floats:
        """Return predictions (m,) or, of several members, (k, m) at Z (m, f)."""
        ...

    def slope(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return predictions as `mean` does and their gradients (m, f) or (k, m, f)."""
        ...


@dataclass(frozen=True)
class Ensemble:
    """Models and how they make one score.

    Attributes:
        models: of the target. constraints: one model a constraint, feasible when <= 0.
        aggregate: "mean", "min", or "lcb": mean - caution * standard deviation.
    """

    models: Sequence[Model]
    constraints: Sequence[Model] = ()
    aggregate: str = "mean"
    caution: float = 1.0

    def members(self, Z: Floats) -> Floats:
        """Return the predictions (k, m) of every model."""
        return np.concatenate([np.atleast_2d(model.mean(Z)) for model in self.models])

    def violation(self, Z: Floats) -> Floats:
        """Return the sum (m,) of predicted violations."""
        total = np.zeros(len(Z))
        for model in self.constraints:
            total += np.maximum(model.mean(Z), 0.0)
        return total

    def score(self, Z: Floats) -> Floats:
        """Return the scores (m,): the aggregate, less a penalty for predicted violations."""
        scores = self._aggregate(self.members(Z))
        return scores - PENALTY * self.violation(Z) if self.constraints else scores

    def _aggregate(self, P: Floats) -> Floats:
        if self.aggregate == "min":
            return np.asarray(P.min(axis=0))
        middle = np.asarray(P.mean(axis=0))
        return middle - self.caution * P.std(axis=0) if self.aggregate == "lcb" else middle

    def slope(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the scores (m,) and their gradient (m, f)."""
        pairs = [model.slope(Z) for model in self.models]
        P = np.concatenate([np.atleast_2d(p) for p, _ in pairs])
        S = np.concatenate([s.reshape(-1, *Z.shape) for _, s in pairs])
        scores = self._aggregate(P)
        if self.aggregate == "min":
            gradient = S[P.argmin(axis=0), np.arange(len(Z))]
        else:
            gradient = S.mean(axis=0)
            if self.aggregate == "lcb":
                lean = (P - P.mean(axis=0)) / (len(P) * np.maximum(P.std(axis=0), TINY))
                gradient = gradient - self.caution * np.einsum("km,kmf->mf", lean, S)
        for model in self.constraints:
            value, slope = model.slope(Z)
            over = value > 0
            scores = scores - PENALTY * np.where(over, value, 0.0)
            gradient = gradient - PENALTY * np.where(over[:, None], slope, 0.0)
        return scores, gradient
