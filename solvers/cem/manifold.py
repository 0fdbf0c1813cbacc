"""Numbers on a manifold: the distribution lives in a tangent space, and a scheduled sigma shrinks it.

HERD embeds a tree in the Poincare ball and searches it so: half of a generation are elites; every elite is asked again,
disturbed by sigma z in the tangent space; sigma falls on a schedule, no covariance is learnt. Any object with `exp` and
`log` serves as a manifold; `PoincareBall` and `Sphere` are here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import Space
from optengine.solvers.cem.models import Columns, Floats, Mask

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM

EDGE = 1e-5  # points of the ball stay this far, relatively, inside its boundary


@runtime_checkable
class Manifold(Protocol):
    """A chart of the numbers of a space: `exp` after `log` is the identity on the manifold."""

    def exp(self, V: Floats) -> Floats:
        """Points (n, w) of tangent vectors (n, k) at the base point."""
        ...

    def log(self, X: Floats) -> Floats:
        """Tangent vectors (n, k) of points (n, w)."""
        ...


@dataclass(frozen=True)
class PoincareBall:
    """The ball |x|^2 < 1 / c of curvature -c, seen from its centre (Ganea et al., NeurIPS 2018, arXiv:1805.09112)."""

    c: float = 1.2  # HERD's

    def exp(self, V: Floats) -> Floats:
        lengths = np.maximum(np.sqrt(self.c) * np.linalg.norm(V, axis=1, keepdims=True), 1e-300)
        return np.asarray(np.minimum(np.tanh(lengths), 1 - EDGE) * V / lengths)

    def log(self, X: Floats) -> Floats:
        lengths = np.maximum(np.sqrt(self.c) * np.linalg.norm(X, axis=1, keepdims=True), 1e-300)
        return np.asarray(np.arctanh(np.minimum(lengths, 1 - EDGE)) * X / lengths)


@dataclass(frozen=True)
class Sphere:
    """The unit sphere in w dimensions, seen from its pole (0, ..., 0, 1); tangent vectors have w - 1 numbers."""

    def exp(self, V: Floats) -> Floats:
        angle = np.linalg.norm(V, axis=1, keepdims=True)
        return np.concatenate([np.sinc(angle / np.pi) * V, np.cos(angle)], axis=1)

    def log(self, X: Floats) -> Floats:
        side = np.linalg.norm(X[:, :-1], axis=1, keepdims=True)
        angle = np.arctan2(side, X[:, -1:])
        return np.asarray(np.where(side > 0, angle / np.maximum(side, 1e-300), 1.0) * X[:, :-1])


class ManifoldModel:
    """Isotropic normal vectors in the tangent space about the elites. Sampling costs O(rows d) and one `exp`."""

    def __init__(self, space: Space, columns: NDArray[np.int64], options: CEM) -> None:
        assert options.manifold is not None
        self.columns: Columns = columns
        self.dimension = d = len(columns)
        self.population = max(64, 4 * d)
        self._options, self._manifold = options, options.manifold
        self._lower, self._upper = space.lower[columns], space.upper[columns]
        middle = 0.5 * (self._lower + self._upper)
        self._start = self._manifold.log(middle[np.newaxis])  # (1, k)
        self.restart(None, 1.0)

    @property
    def sigma(self) -> float:
        """Standard deviation in the tangent space: linear from the first to the last value of `sigma_schedule`."""
        first, last, generations = self._options.sigma_schedule
        return float(self._spread * (first + (last - first) * min(1.0, self._generation / generations)))

    @property
    def converged(self) -> bool:
        return self._generation >= 2 * self._options.sigma_schedule[2]

    def restart(self, rng: Generator | None, spread: float) -> None:
        self._generation, self._spread = 0, spread
        self.mean = self._start[0]
        self._centres = self._start

    def seed(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        self._centres = self._manifold.log(elites)
        self.mean = weights @ self._centres

    def sample(self, n: int, rng: Generator) -> Floats:
        centres = np.resize(self._centres, (n, self._centres.shape[1]))  # every elite again, and again
        V = centres + self.sigma * rng.standard_normal(centres.shape)
        return np.clip(self._manifold.exp(V), self._lower, self._upper)  # the box holds the manifold

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        self._generation += 1
        self.seed(elites, weights, active)
