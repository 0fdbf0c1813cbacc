"""Cheap versions of the objective: which values fidelities may take, what they cost, when the target's turn has come.
Both engines share it.

A fidelity is a variable marked `fidelity=True`; the model's last word is about its target, and only values at the
target become incumbents. Costs are the problem's own (`Problem(cost=...)`) or learnt from those told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optengine.core.space import REAL, Batch, Space
from optengine.solvers.bayes.told import Told
from optengine.surrogates.features import Features
from optengine.surrogates.fidelity import FidelityGP, Layout
from optengine.surrogates.gp import Shape

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

GRID = 9  # values of a continuous fidelity that are looked at
MOST_LEVELS = 32  # of a discrete one
SHARE = 1.0  # cost of cheap evaluations, as a share of the target's, after which a target evaluation is due
START = 0.5  # cost of the first points, as a share of what a design at the target would cost


def levels_of(space: Space) -> dict[int, Floats]:
    """Return the values that each fidelity column may take, its target among them, cheapest end first."""
    found = {}
    for column, target in space.fidelity.values():
        low, high = space.lower[column], space.upper[column]
        if space.kind[column] == REAL:
            U = np.repeat(np.full((1, space.width), 0.5), GRID, axis=0)
            U[:, column] = np.linspace(0.0, 1.0, GRID)
            values = space.from_unit(U)[:, column]
        else:
            n = int(high - low) + 1
            values = np.unique(np.rint(np.linspace(low, high, min(n, MOST_LEVELS))))
        values = np.unique(np.append(values, target))
        found[column] = values[::-1] if target == low else values
    return found


class Costs:
    """What an evaluation costs: the problem's own model, or one learnt from costs told.

    The learnt one is log-linear in the fidelities and in their squares, by ridge regression; before any cost is told, a
    fidelity is taken to cost in proportion to its value.
    """

    def __init__(self, problem: Problem, space: Space) -> None:
        self._problem, self._space = problem, space
        self._known = callable(problem.cost)
        self._columns = [column for column, _ in space.fidelity.values()]
        self._weights: Floats | None = None

    def learn(self, X: Batch, cost: Floats | None) -> None:
        """Fit the model to costs told (n,), NaN where unknown."""
        if self._known or cost is None:
            return
        usable = np.isfinite(cost) & (cost > 0)
        if usable.sum() < 2:
            return
        A = self._terms(X[usable])
        ridge = 1e-6 * np.eye(A.shape[1])
        self._weights = np.asarray(
            np.linalg.solve(A.T @ A + ridge, A.T @ np.log(cost[usable])), dtype=np.float64
        )

    def __call__(self, X: Batch) -> Floats:
        """Return the cost (n,) of each row, > 0."""
        if self._known:
            assert callable(self._problem.cost)
            values = np.array([float(self._problem.cost(x)) for x in self._space.decode(X)])
            return np.asarray(np.maximum(values, 1e-12))
        if self._weights is not None:
            return np.asarray(np.exp(np.clip(self._terms(X) @ self._weights, -60.0, 60.0)))
        value = np.ones(len(X))
        for column, target in self._space.fidelity.values():
            share = 1.0 - np.abs(X[:, column] - target) / max(
                self._space.upper[column] - self._space.lower[column], 1e-12
            )
            value *= 0.1 + 0.9 * share
        return value

    def _terms(self, X: Batch) -> Floats:
        parts = [np.ones((len(X), 1))]
        for column in self._columns:
            x = X[:, [column]]
            parts += [x, np.log(x)] if self._space.lower[column] > 0 else [x, x**2]
        return np.concatenate(parts, axis=1)


class Schedule:
    """The first points, all cheap, and the turns of the target: half of the cost goes to either."""

    def __init__(self, space: Space, costs: Costs) -> None:
        self._space, self._costs = space, costs
        self._levels = levels_of(space)
        self.spent_below = 0.0  # cost of cheap rows since the last one at the target

    def first(self, n: int, middle: Batch) -> list[dict[int, float]]:
        """Return the fidelities of the first points, all the cheapest: START * n targets' worth, 2 n at most."""
        lowest = {column: float(values[0]) for column, values in self._levels.items()}
        target = {column: float(value) for column, value in self._space.fidelity.values()}
        low, top = (float(self._costs(at(middle, level))[0]) for level in (lowest, target))
        return [lowest] * int(np.clip(START * n * top / low, min(n, 2), 2 * n))

    def asked(self, X: Batch) -> None:
        """Note rows asked."""
        for row, cost in zip(X, self._costs(X), strict=True):
            self.spent_below = (
                0.0 if self._space.at_target(row[None, :])[0] else self.spent_below + float(cost)
            )

    def due(self, middle: Batch) -> bool:
        """Whether SHARE of what one row at the target costs went into cheap ones since the last."""
        target = {column: float(value) for column, value in self._space.fidelity.values()}
        return self.spent_below >= SHARE * float(self._costs(at(middle, target))[0])


def at(X: Batch, level: dict[int, float]) -> Batch:
    """Return the rows at other fidelities."""
    out = np.array(X)
    for column, value in level.items():
        out[..., column] = value
    return out


class Below:
    """How the fast engine uses cheap values: the first points, whose turn it is, at which fidelity a point is asked.

    Args:
        problem, features: of the run. told: what is known, shared with the run.
    """

    def __init__(self, problem: Problem, features: Features, told: Told) -> None:
        space = problem.space
        self._space, self._features, self._told = space, features, told
        self._costs = Costs(problem, space)
        self._schedule = Schedule(space, self._costs)
        self._costs_told = np.empty(0)
        self._first: list[dict[int, float]] | None = (
            None  # levels of the first points; None before they are known
        )
        levels = {column: values for column, values in levels_of(space).items() if len(values) > 1}
        grids = np.meshgrid(*levels.values(), indexing="ij")
        self._columns, self._levels = list(levels), np.stack([g.ravel() for g in grids], axis=1)
        self._middle = space.from_unit(np.full((1, space.width), 0.5))
        for column, target in space.fidelity.values():
            self._middle[:, column] = target

    def layout(self, shape: Shape) -> Layout:
        """Return where the fidelities stand among the features."""
        places = np.array([self._features.place_of(c) for c in self._columns])
        return Layout(shape, places, self._features.of(self._middle)[0, places])

    @staticmethod
    def useful(space: Space) -> bool:
        """Whether a fidelity has more values than its target."""
        return any(len(values) > 1 for values in levels_of(space).values())

    @property
    def due(self) -> bool:
        """Whether the target's turn has come."""
        return self._schedule.due(self._middle)

    def opening(self, draw: Callable[[], Batch], n: int) -> Batch | None:
        """Return the next of the first points (width,), at its level; None after the last.

        Args:
            draw: a point of the design. n: points that a design at the target would have.
        """
        if self._first is None:
            self._first = self._schedule.first(n, self._middle)
        begun = len(self._told) + len(self._told.pending)
        if begun >= len(self._first):
            return None
        row = at(draw(), self._first[begun])
        if self._told.seen(row[None, :])[0]:  # few points are left to be new at the cheapest level
            self._first = self._first[:begun]
            return None
        return row

    def at_level(self, row: Batch, model: FidelityGP) -> list[Batch]:
        """Return a point (width,) at each fidelity, first the one that tells most about the target, per cost."""
        X = np.repeat(row[None, :], len(self._levels), axis=0)
        X[:, self._columns] = self._levels
        return list(X[np.argsort(-self.worth(X, model), kind="stable")])

    def worth(self, X: Batch, model: FidelityGP) -> Floats:
        """Return what each row (n, width) tells about the target at its point, per cost (n,)."""
        return np.asarray(model.told_by(self._features.of(X)) / self._costs(X))

    def costs(self, X: Batch) -> Floats:
        """Return what each row (n, width) costs."""
        return self._costs(X)

    def n_opening(self, n: int) -> int:
        """Return how many cheap points come first; n: that a design at the target would have."""
        return len(self._schedule.first(n, self._middle))

    def asked(self, row: Batch) -> None:
        """Note a row (width,) asked."""
        self._schedule.asked(row[None, :])

    def tell(self, X: Batch, cost: Floats | None) -> None:
        """Learn costs from what was told: X is all rows told, `cost` those of the last ones, NaN where unknown."""
        new = np.full(len(X) - len(self._costs_told), np.nan) if cost is None else cost
        self._costs_told = np.concatenate([self._costs_told, new])
        self._costs.learn(X, self._costs_told)
