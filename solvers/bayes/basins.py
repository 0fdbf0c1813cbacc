"""Leaving a place in which nothing is left to gain.

A model that has settled on one optimum expects nothing elsewhere: it takes the lengthscales of that place for those of
the whole space. Once the expected improvement is used up there, every second point therefore asks where to improve on
the best rows outside the places that are exhausted, under a model that no column is irrelevant to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optengine.solvers.bayes.score import Score
from optengine.surrogates.gp import GP

if TYPE_CHECKING:
    from optengine.solvers.bayes.model import Model
    from optengine.solvers.bayes.told import Told

Floats = NDArray[np.float64]

RADIUS = 0.35  # squared, of a place, relative to the mean squared distance of points spread over the space
WALL = 30.0  # fall of the score from the edge of a place to its middle


class Away:
    """Distance from the centres of places to leave, in the model's own metric.

    Args:
        centres: (c, f) features divided by lengthscales. per: (f,) lengthscales. radius: of the places, squared.
    """

    def __init__(self, centres: Floats, per: Floats, radius: float) -> None:
        self._centres, self._per, self._radius = centres, per, radius

    def outside(self, Z: Floats) -> NDArray[np.bool_]:
        """Return (m,) whether features Z (m, f) are outside all places."""
        return np.asarray((self._depth(Z)[1] <= 0).all(axis=1))

    def wall(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return what is taken off the score inside the places (m,), and its gradient by the features (m, f)."""
        step, depth = self._depth(Z)
        inside = np.maximum(depth, 0.0)
        slope = (-2.0 * WALL / self._radius) * ((depth > 0)[:, :, None] * step).sum(axis=1)
        return WALL * inside.sum(axis=1), slope / self._per

    def _depth(self, Z: Floats) -> tuple[Floats, Floats]:
        step = (Z / self._per)[:, None, :] - self._centres
        return step, 1.0 - (step**2).sum(axis=2) / self._radius


class Basins:
    """The places of one ask."""

    def __init__(self, model: Model, told: Told) -> None:
        assert model.data is not None
        assert model.objective.hyper is not None
        part, hyper = model.objective, model.objective.hyper
        Z, y, noise = model.data
        self._per = hyper.lengthscales[part.shape.groups]
        self._rows = np.flatnonzero(~told.failed & (told.G <= 0).all(axis=1))
        self._Z, self._f = model.features.of(told.X[self._rows]), told.F[self._rows, 0]
        lengths = np.minimum(hyper.lengthscales, np.median(hyper.lengthscales))
        self._tempered = GP(part.shape, replace(hyper, lengthscales=lengths), Z, y, noise)
        self._centres = [int(np.argmin(self._f))]

    def away(self, spread: Floats) -> Away:
        """Return the places to leave; `spread` (m, f): features of points spread over the space."""
        A = spread / self._per
        extent = 2.0 * float(A.var(axis=0).sum())
        return Away(self._Z[self._centres] / self._per, self._per, RADIUS * max(extent, 1e-12))

    def score(self, score: Score, away: Away) -> Score | None:
        """Return the score that wants to improve on the best row outside; None where there is none."""
        outside = np.flatnonzero(away.outside(self._Z))
        if not len(outside):
            return None
        mean = self._tempered.look(self._Z[outside]).mean
        self._next = int(outside[np.argmin(self._f[outside])])
        return Score(self._tempered, score.limits, mean.min(axis=0), score.failing)

    def exhaust(self) -> None:
        """Count the place of the best row outside as exhausted as well."""
        self._centres.append(self._next)
