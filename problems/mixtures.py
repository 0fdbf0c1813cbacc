"""Mixtures of data: costs of training runs, and pools of runs that exist already.

A mixture is a `Simplex` variable, its shares of data sources; the size of the model or of the data is a fidelity.
ADMIRE-BayesOpt (2025, arXiv:2508.11551) searches such a space with one model over shares and sizes, and pays for every
run what its size costs; its benchmark, like `RunPool`, proposes among runs that were made before.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.core.space import Batch, Space

Floats = NDArray[np.float64]

OTHER = 1e6  # squared distance to a run of another fidelity
SAME = 1e-9  # distance, each column in units of its range, below which two rows are one


@dataclass(frozen=True)
class LinearCost:
    """Cost of an evaluation as a linear function of x: fixed + sum of weight * value; of shares, weights of each.

    For `Problem(cost=LinearCost({"tokens": 2e-6, "mixture": [0, 0, 1.5]}, fixed=10))`: any unit, positive everywhere.
    """

    weights: Mapping[str, Any] = field(default_factory=dict)
    fixed: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in (*self.weights.items(), ("fixed", self.fixed)):
            if not np.all(np.isfinite(np.asarray(weight, dtype=np.float64))):
                raise ProblemError(f"weight of {name!r} must be finite numbers, got {weight!r}")

    def __call__(self, x: Mapping[str, Any]) -> float:
        """Return the cost of x."""
        total = float(self.fixed)
        for name, weight in self.weights.items():
            if name not in x:
                raise ProblemError(f"LinearCost weighs {name!r}, which is not in {list(x)}")
            total += float(np.sum(np.asarray(weight) * np.asarray(x[name], dtype=np.float64)))
        return total


@dataclass(frozen=True)
class TableCost:
    """Cost of an evaluation by the value of one variable: `TableCost("model", {"1M": 1, "60M": 20, "1B": 400})`."""

    variable: str
    costs: Mapping[Any, float]

    def __post_init__(self) -> None:
        if not self.costs or any(not (math.isfinite(c) and c > 0) for c in self.costs.values()):
            raise ProblemError(f"costs must be finite numbers > 0 by value, got {dict(self.costs)!r}")

    def __call__(self, x: Mapping[str, Any]) -> float:
        """Return the cost of x."""
        value = x.get(self.variable)
        if value not in self.costs:
            raise ProblemError(
                f"TableCost knows {list(self.costs)} of {self.variable!r}, got {value!r}: give every value a cost"
            )
        return float(self.costs[value])


class RunPool(Problem):
    """A finite pool of runs that were made before: what is proposed is one of them, and its value is looked up.

    `bo` chooses among the runs themselves, with fidelities the mixture first and then the size that tells most about
    the target per cost. Other solvers propose any point, which stands for the nearest run: `details["run"]`.

    Args:
        space: of the runs. x: the runs, as the space has them. y: (n,) their values.
        direction, cost, noisy, name: as of `Problem`.

    Attributes:
        pool: (n, width) the runs, encoded. values: (n,).

    Raises:
        ProblemError, SpaceError: values that do not fit the runs, the same run twice, runs outside the space.
    """

    def __init__(
        self,
        space: Space,
        x: Sequence[Any],
        y: Any,
        *,
        direction: str = "minimize",
        cost: Any = None,
        noisy: bool = False,
        name: str | None = None,
    ) -> None:
        self.pool: Batch = space.encode(x)
        self.values: Floats = np.asarray(y, dtype=np.float64).reshape(-1)
        if len(self.values) != len(self.pool) or not len(self.pool):
            raise ProblemError(
                f"y must hold one value for each of the {len(self.pool)} runs, got {len(self.values)}"
            )
        if not np.isfinite(self.values).all():
            raise ProblemError(
                f"y must hold finite values, got {int((~np.isfinite(self.values)).sum())} others"
            )
        self._range = np.maximum(space.upper - space.lower, 1e-300)
        scaled = np.rint(self.pool / self._range / SAME)
        if len(np.unique(scaled, axis=0)) < len(self.pool):
            raise ProblemError("x must hold each run once, got some twice: average their values")
        super().__init__(
            self._look_up,
            space,
            direction=direction,
            call="encoded",
            cost=cost,
            noisy=noisy,
            name=name or "pool",
        )
        best = self.values[self.space.at_target(self.pool)]
        if len(best):
            self.best_known = float(best.min() if direction == "minimize" else best.max())
            self.best_known_source = "the best run of the pool at the target"

    def _distances(self, row: Batch) -> Floats:
        return np.asarray(np.abs((self.pool - row) / self._range).max(axis=1))

    def holds(self, x: Any) -> bool:
        """Whether x is one of the runs."""
        row = self.space.encode(x)[0]
        return bool(np.abs((self.pool - row) / self._range).max(axis=1).min() <= SAME)

    def nearest(self, x: Any) -> Any:
        """Return the run nearest to x, at its fidelity if there is any there, by the sum of squares."""
        return self.space.decode_one(self.pool[self._index(self.space.encode(x)[0])])

    def _index(self, row: Batch) -> int:
        away = (((self.pool - row) / self._range) ** 2).sum(axis=1)
        for column, _ in self.space.fidelity.values():
            away += OTHER * (self.pool[:, column] != row[column])
        return int(np.argmin(away))

    def _look_up(self, row: Batch) -> float:
        return float(self.values[self._index(row)])

    def describe(self, x: Any) -> dict[str, Any]:
        """Return the run that x stands for."""
        return {"run": self.nearest(x)}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the pool by: a hash of its runs and values."""
        digest = hashlib.sha256(self.pool.tobytes() + self.values.tobytes()).hexdigest()
        return super().fingerprint() | {"runs": digest}
