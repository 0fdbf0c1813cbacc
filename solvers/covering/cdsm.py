"""Covering direct search: polls on random positive bases, and one random point nearby each round.

Bouchet and Vidal, 2025, arXiv:2510.01461, section on cDSM; Audet, Bouchet and Bourdin's covering step. The points drawn
in the ball of fixed radius around the incumbent make accumulation points local solutions, whatever the function's
smoothness; the polls make progress. Differs from the paper: points of a round (covering, search, polls) are asked a few
together, for evaluators that are cheaper by the batch, and those left are dropped after a success; infeasible points
are ordered by violation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation, best_first
from optengine.core.space import REAL, Batch, Space

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

GROW, SHRINK = 2.0, 0.5
TOGETHER = 8  # points of a round asked together: the rest is left out where one of them is better
FLOOR = 1e-9  # of the poll radius, in the unit cube


@dataclass(frozen=True, slots=True, kw_only=True)
class CDSM:
    """Covering direct search on real numbers. A round of 2 d + 2 points costs O(d^2) beside them.

    Attributes:
        radius: of the covering ball and the first polls, in units of the unit cube, in (0, 1].

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    radius: float = 0.2

    def __post_init__(self) -> None:
        number = isinstance(self.radius, (int, float)) and not isinstance(self.radius, bool)
        if not number or not 0 < self.radius <= 1:
            raise OptionError(f"radius must be in (0, 1], got {self.radius!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, other variables than real numbers, conditions."""
        return refuses_but_reals(problem)

    def start(self, problem: Problem, rng: Generator) -> CDSMRun:
        """Return a new run."""
        return CDSMRun(self, problem.space, rng)


def refuses_but_reals(problem: Problem) -> str | None:
    """The answer of `refuses` of both solvers of this folder."""
    if problem.n_objectives > 1:
        return f"it treats one objective, got {problem.n_objectives}"
    if (problem.space.kind != REAL).any() or problem.space.conditional:
        return "it treats real numbers without conditions"
    return None


class CDSMRun:
    """State of one run, in the unit cube: the incumbent, the poll radius, points not asked yet."""

    def __init__(self, options: CDSM, space: Space, rng: Generator) -> None:
        self._space, self._rng = space, rng
        self._free = np.flatnonzero(space.lower < space.upper)
        self.round_size = 2 * max(len(self._free), 1) + 2
        self.batch = min(self.round_size, TOGETHER)
        self._first, self.radius = options.radius, options.radius
        self._centre = np.full(space.width, 0.5)
        self.x: Batch = np.empty((0, space.width))
        self.value: Evaluation | None = None
        self._queue: list[Floats] = []
        self._failures = 0
        self._rounds = 0

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width) of this round and, where it is short, of further ones."""
        n = self.batch if n is None else n
        while len(self._queue) < n:
            self._queue += list(self.round())
        taken, self._queue = self._queue[:n], self._queue[n:]
        X = self._space.from_unit(np.array(taken))
        for column, target in self._space.fidelity.values():
            X[:, column] = target
        return X

    def round(self) -> Floats:
        """Covering point, search point, polls in random order, (2 d + 2, width); at first the centre of the cube."""
        d, rng = len(self._free), self._rng
        U = np.repeat(self._centre[None, :], self.round_size, axis=0)
        if self._rounds == 0 and not len(self.x):
            U[0] = 0.5
        elif d:
            U[0, self._free] += rng.uniform(-self._first, self._first, d)
        if d:
            way = rng.standard_normal(d)
            length = self._first / np.sqrt(self._rounds + 1.0)
            U[1, self._free] += length * way / max(float(np.linalg.norm(way)), 1e-300)
            basis = householder(d, rng)
            basis *= self.radius / np.maximum(np.abs(basis).max(axis=1, keepdims=True), 1e-300)
            polls = np.concatenate([basis, -basis])
            U[2:, self._free] += polls[rng.permutation(len(polls))]
        self._rounds += 1
        return np.asarray(reflected(U))

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Move to the best point if it is better and double the radius; halve it after a round without."""
        if not len(X):
            return
        candidates, values = X, evaluation
        if self.value is not None:
            candidates = np.concatenate([self.x, X])
            values = Evaluation.concatenate([self.value, evaluation])
        best = best_first(values)[:1]
        if values.failed[best[0]]:
            return
        if self.value is not None and best[0] == 0:
            self._failures += len(X)
            if self._failures >= self.round_size:
                self._failures, self.radius = 0, max(self.radius * SHRINK, FLOOR)
                self._queue.clear()
            return
        improved = self.value is not None
        self.x, self.value = candidates[best], values.take(best)
        self._centre = self._space.to_unit(self.x)[0]
        self._failures = 0
        self._queue.clear()
        if improved:
            self.radius = min(GROW * self.radius, 1.0)


def householder(d: int, rng: Generator) -> Floats:
    """Return a random orthogonal matrix I - 2 v v^T, (d, d)."""
    v = rng.standard_normal(d)
    v /= max(float(np.linalg.norm(v)), 1e-300)
    return np.asarray(np.eye(d) - 2.0 * np.outer(v, v))


def reflected(U: Floats) -> Floats:
    """Return U folded back at the walls of the unit cube."""
    return np.asarray(np.clip(1.0 - np.abs(1.0 - np.abs(U)), 0.0, 1.0))
