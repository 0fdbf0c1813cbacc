"""The working form of one right-hand side: free variables only, rows weighted, every row two-sided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.problems.minmax import MinMaxViolation

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SINGLE_FROM = 2**14  # entries of A from which searches in float32 pay


def is_number(value: object) -> bool:
    """Whether an option's value is a number, and not True or False."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True, eq=False)
class Form:
    """Violation of row i is |(A x)_i - centre_i| - half_i, weighted; x over the free variables.

    Attributes:
        A: (m, n) dense, C order, or CSC. At: (n, m) dense by variable, None where A is CSC; At32: the same in float32
            where A is large, else At.
        centre, half: (m,). values, start, count: flat levels of the free variables.
        free: (n,) their numbers. full: (N,) level indices of all variables, to be completed by `row`.
        shared: what was computed from A, kept for all forms with the same A.
    """

    A: Any
    At: Any
    At32: Any
    centre: Floats
    half: Floats
    values: Floats
    start: Integers
    count: Integers
    free: Integers
    full: Integers
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.A.shape[0]), int(self.A.shape[1])

    @property
    def sparse(self) -> bool:
        return self.At is None

    def levels(self, idx: Integers) -> Floats:
        """Values (n,) of level indices (n,)."""
        picked: Floats = self.values[self.start + idx]
        return picked

    def errors(self, idx: Integers) -> Floats:
        """A x - centre, (m,), computed anew."""
        e: Floats = np.asarray(self.A @ self.levels(idx) - self.centre)
        return e

    def value(self, idx: Integers) -> float:
        """Largest violation at level indices (n,)."""
        return float(np.maximum(np.abs(self.errors(idx)) - self.half, 0.0).max(initial=0.0))

    def row(self, idx: Integers) -> Integers:
        """Level indices of all variables of this right-hand side, (N,)."""
        whole = self.full.copy()
        whole[self.free] = idx
        return whole

    def nearest(self, x: Floats) -> Integers:
        """Level indices nearest to the values x (n,)."""
        idx = np.empty(len(x), dtype=np.int64)
        for start in np.unique(self.start):
            for count in np.unique(self.count[self.start == start]):
                mine = (self.start == start) & (self.count == count)
                levels = self.values[start : start + count]
                above = np.clip(np.searchsorted(levels, x[mine]), 1, count - 1)
                idx[mine] = above - (x[mine] - levels[above - 1] <= levels[above] - x[mine])
        return idx

    @property
    def lowest(self) -> Floats:
        return self.values[self.start]

    @property
    def highest(self) -> Floats:
        return np.asarray(self.values[self.start + self.count - 1])

    def spacing(self) -> tuple[Floats, Floats]:
        """Origin and step (n,) of the free variables' levels; NaN steps where they are not equally spaced."""
        from optengine.problems.minmax_levels import LevelSets

        return LevelSets(self.values, self.start, self.count).spacing()


def forms(problem: MinMaxViolation) -> list[Form]:
    """The working form of every right-hand side; matrices are shared where the free variables are the same."""
    n = problem.n_variables
    shared: dict[bytes, tuple[Any, Any, Any, dict[str, Any]]] = {}
    result = []
    for side in range(problem.n_sides):
        part = slice(side * n, (side + 1) * n)
        start, count = problem.sets.start[part], problem.sets.count[part]
        free = np.flatnonzero(count > 1)
        held = np.flatnonzero(count == 1)
        low, high = problem.lower[side], problem.upper[side]
        key = free.tobytes() + np.isfinite(np.stack([low, high])).any(axis=0).tobytes()
        rows = np.flatnonzero(np.isfinite(low) | np.isfinite(high))
        if key not in shared:
            shared[key] = (*_matrix(problem, rows, free), {})
        A, At, At32, computed = shared[key]
        fixed = (
            problem.A[:, held] @ problem.sets.values[start[held]] if len(held) else np.zeros(problem.n_rows)
        )
        w = problem.weights[rows]
        low, high = w * (low - fixed)[rows], w * (high - fixed)[rows]
        low, high = _two_sided(A, low, high, problem.sets.values, start[free], count[free])
        equal = low == high
        centre, half = np.where(equal, low, (low + high) / 2), np.where(equal, 0.0, (high - low) / 2)
        levels = problem.sets.values, start[free], count[free]
        result.append(Form(A, At, At32, centre, half, *levels, free, np.zeros(n, dtype=np.int64), computed))
    return result


def _matrix(problem: MinMaxViolation, rows: Integers, free: Integers) -> tuple[Any, Floats | None, Any]:
    if problem.sparse:
        from scipy.sparse import diags_array

        A = problem.A if len(free) == problem.n_variables else problem.A[:, free]
        A = A if len(rows) == problem.n_rows else A.tocsr()[rows]
        if (problem.weights != 1).any():
            A = diags_array(problem.weights[rows]) @ A
        A = A.tocsc()
        return A, None, None
    A = np.ascontiguousarray(problem.A[np.ix_(rows, free)] * problem.weights[rows, None])
    At = np.ascontiguousarray(A.T)
    return A, At, At.astype(np.float32) if At.size >= SINGLE_FROM else At


def _two_sided(
    A: Any, low: Floats, high: Floats, values: Floats, start: Integers, count: Integers
) -> tuple[Floats, Floats]:
    """Replace infinite bounds by what the row can reach at most: a bound that never decides."""
    one = ~(np.isfinite(low) & np.isfinite(high))
    if not one.any():
        return low, high
    least, most = values[start], values[start + count - 1]
    positive = A.maximum(0) if hasattr(A, "tocsc") else np.maximum(A, 0.0)
    negative = A - positive
    reach_low, reach_high = positive @ least + negative @ most, positive @ most + negative @ least
    low = np.where(np.isfinite(low), low, np.minimum(reach_low, high))
    high = np.where(np.isfinite(high), high, np.maximum(reach_high, low))
    return low, high
