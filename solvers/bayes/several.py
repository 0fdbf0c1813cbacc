"""Several objectives in the fast engine: a process each, and the hypervolume that a point is expected to add.

Ours where BoTorch samples: with independent processes the expectation is exact (`volume`). Points on their way count
with what the models expect of them, and noisy values with the models' means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.solvers.bayes.model import Model, Part
from optengine.solvers.bayes.score import Score
from optengine.solvers.bayes.told import Told
from optengine.solvers.bayes.volume import Boxes, log_ehvi, non_dominated
from optengine.surrogates.features import Features
from optengine.surrogates.gp import GP
from optengine.surrogates.outcomes import standard_scaling

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.bayes.bo import BO

Floats = NDArray[np.float64]

FEW = 3  # points of a front whose nadir would shut out most of the front to come
BEHIND = 0.5  # of the front's range: how far behind its nadir the reference point is; the front will grow


class VolumeScore(Score):
    """The log of expected hypervolume improvement, and what `Score` adds for constraints and failures.

    Args:
        objectives: a process each. boxes: what can be gained; None: nothing feasible is known.
        limits, failing: as of `Score`.
    """

    def __init__(
        self, objectives: list[GP], limits: list[GP], boxes: Boxes | None, failing: bool = False
    ) -> None:
        super().__init__(objectives[0], limits, None, failing)
        self._objectives, self._boxes = objectives, boxes

    def __call__(self, Z: Floats) -> Floats:
        """Return the score (m,) of features Z (m, f)."""
        total = super().__call__(Z)
        if self._boxes is not None:
            looks = [each.look(Z) for each in self._objectives]
            means = np.stack([look.mean[:, 0] for look in looks], axis=1)
            total += log_ehvi(means, np.stack([look.variance for look in looks], axis=1), self._boxes)[0]
        return total

    def with_gradient(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the score (m,) and its gradient by features (m, f)."""
        total, gradient = super().with_gradient(Z)
        if self._boxes is not None:
            looks = [each.look(Z, slopes=True) for each in self._objectives]
            means = np.stack([look.mean[:, 0] for look in looks], axis=1)
            variances = np.stack([look.variance for look in looks], axis=1)
            value, by_means, by_variances = log_ehvi(means, variances, self._boxes)
            total += value
            for j, (each, look) in enumerate(zip(self._objectives, looks, strict=True)):
                gradient += each.backward(look, by_means[:, [j]], by_variances[:, j])
        return total, gradient


class SeveralModel(Model):
    """Everything a run of several objectives believes; arguments as of `Model`."""

    def __init__(self, options: BO, problem: Problem, features: Features, rng: Generator) -> None:
        super().__init__(options, problem, features, rng)
        first = self.objective
        self.objectives = [first, *(Part(first.shape, first.prior) for _ in problem.objectives[1:])]
        point = options.reference_point
        self._given = None if point is None else np.array(point, dtype=np.float64) * problem.signs

    def score(self, told: Told, confirming: bool = False) -> Score:
        """Fit what is due and return the score of points, given what is pending."""
        good = self._kept(told)
        Z, F = self.features.of(told.X[good]), told.F[good]
        feasible: NDArray[np.bool_] = np.asarray((told.G[good] <= 0).all(axis=1))
        reference = self._reference(F[feasible] if feasible.any() else F)
        scalings = [standard_scaling(F[:, j], float(reference[j])) for j in range(F.shape[1])]
        Y = np.stack([scaling(F[:, j]) for j, scaling in enumerate(scalings)], axis=1)
        parts = []
        for j, (part, scaling) in enumerate(zip(self.objectives, scalings, strict=True)):
            noise = self._noise(told.noise[good, j], F[:, j], scaling)
            parts.append(part.fit(Z, Y[:, j], noise, self._rng))
        limits, failing = self._limits(told, good, Z)
        if self.noisy:
            Y = np.stack([each.look(Z).mean[:, 0] for each in parts], axis=1)
        self.centres = self._best_rows(Y, told.G[good], good, feasible)
        points = Y[feasible]
        if len(told.pending):
            P = self.features.of(told.pending)
            means = np.stack([each.look(P).mean[:, 0] for each in parts], axis=1)
            parts = [each.extended(P, means[:, [j]]) for j, each in enumerate(parts)]
            likely = np.ones(len(P), dtype=bool)
            for each in limits:
                likely &= each.look(P).mean[:, 0] <= 0
            limits = [each.extended(P, each.look(P).mean) for each in limits]
            points = np.concatenate([points, means[likely]]) if feasible.any() else points
        corner = np.array([float(s(reference[[j]])[0]) for j, s in enumerate(scalings)])
        boxes = Boxes.of(points[non_dominated(points)], corner) if feasible.any() else None
        return VolumeScore(parts, limits, boxes, failing)

    def _reference(self, F: Floats) -> Floats:
        """Return the reference point (m,), minimised: the user's, or one a little behind the front so far."""
        if self._given is not None:
            return np.asarray(self._given)
        front = F[non_dominated(F)]
        if len(front) < FEW:
            return np.asarray(np.quantile(F, 0.9, axis=0) + BEHIND * F.std(axis=0))
        return np.asarray(front.max(axis=0) + BEHIND * np.ptp(front, axis=0))

    def _best_rows(
        self, Y: Floats, G: Floats, good: NDArray[np.int64], feasible: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Rows told around which to look: those of the front in any order; where none is feasible, the nearest."""
        if not feasible.any():
            return np.asarray(good[np.argsort(np.maximum(G, 0.0).sum(axis=1), kind="stable")])
        index = np.flatnonzero(feasible)
        front = index[non_dominated(Y[index])]
        return np.asarray(good[self._rng.permutation(front)])
