"""The multi-dimensional knapsack problem.

    maximise   sum_j profits[j] x[j]   subject to   sum_j weights[i, j] x[j] <= capacities[i],   x[j] in {0, 1}.

Chu, Beasley, A genetic algorithm for the multidimensional knapsack problem, Journal of Heuristics 4 (1998),
doi:10.1023/A:1009642405419.
"""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.problems.arrays import flip_moves
from optengine.problems.milp import MILP, TOLERANCE

Floats = NDArray[np.float64]

HEAVIEST, SPREAD = 1000, 500.0  # weights and extra profits of random instances, as Chu and Beasley's


class Knapsack(MILP):
    """Items with profits, several capacities; maximised. A `MILP` of bits whose rows are the capacities.

    Args:
        profits: (n,). weights: (m, n), not negative. capacities: (m,).
        name: name of the instance.

    Attributes:
        profits, weights, capacities: as given, float64.

    Raises:
        ProblemError: shapes that disagree, numbers that are not finite, negative weights.
    """

    moves = ("flip",)

    def __init__(
        self, profits: ArrayLike, weights: ArrayLike, capacities: ArrayLike, *, name: str | None = None
    ) -> None:
        self.profits, self.weights = (
            np.asarray(profits, np.float64),
            np.atleast_2d(np.asarray(weights, np.float64)),
        )
        self.capacities = np.atleast_1d(np.asarray(capacities, np.float64))
        m, n = len(self.capacities), len(self.profits)
        if self.profits.ndim != 1 or self.weights.shape != (m, n):
            raise ProblemError(
                f"weights must have a row for each of {m} capacities and a column for each of {n} profits, "
                f"got shape {self.weights.shape}"
            )
        if not (np.isfinite(self.weights).all() and (self.weights >= 0).all()):
            raise ProblemError("weights must be finite and not negative")
        super().__init__(
            self.profits, self.weights, upper=self.capacities, bounds=(0.0, 1.0), integrality=True, sense="max",
            name=name or "knapsack",
        )  # fmt: skip

    @classmethod
    def random(
        cls, rng: Generator, n: int = 50, m: int = 5, density: float = 0.5, real: float = 0.0
    ) -> Knapsack:
        """Chu and Beasley's generator: weights uniform on 0..1000, capacities a share `density` of their sums, profits
        the mean weight and up to 500 more.
        """
        weights = rng.integers(0, HEAVIEST + 1, (m, n))
        profits = np.rint(weights.mean(axis=0) + SPREAD * rng.random(n))
        return cls(profits, weights, np.floor(density * weights.sum(axis=1)), name=f"random{m}x{n}")

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of value and of violation under each flip; O(m) a move.

        Returns:
            dF (k, 1), minimising, and dG (k, 1), the change of the constraint `violation`.
        """
        bits, which = flip_moves(x, kind, moves, self.n_variables)
        way = 1.0 - 2.0 * bits[which]
        loads = self.weights @ bits
        sizes = np.maximum(1.0, np.abs(self.capacities))
        now = _violation((loads - self.capacities) / sizes)
        after = loads[:, None] + self.weights[:, which] * way
        change = np.array(
            [_violation(column) - now for column in ((after - self.capacities[:, None]) / sizes[:, None]).T]
        )
        return (-way * self.profits[which])[:, None], change.reshape(-1, 1)

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`items` chosen, and the `slack` (m,) of every capacity; beside what a MILP tells."""
        bits = np.asarray(x, dtype=np.float64)
        more = {"items": np.flatnonzero(bits > 0.5), "slack": self.capacities - self.weights @ bits}
        return super().describe(x) | more

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Knapsack:
        """Read a file (OR-Library, the first problem). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read_all

        problem = read_all(path)[0]
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem


def _violation(excess: Floats) -> float:
    """As `MILP` sums it: nothing within the tolerance, else all."""
    over = np.maximum(excess, 0.0)
    return float(over.sum()) if over.max(initial=0.0) > TOLERANCE else 0.0
