"""One walk of the robust tabu search for quadratic assignment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.kernels import assignment
from optengine.problems.qap import QAP

Integers = NDArray[np.int64]

kernels: Any = assignment  # called with starred lists, which no checker of compiled functions counts


class AssignmentWalk:
    """`begin(p, patience)`, `advance(steps) -> steps taken`; the best assignment is `best`, its cost `value`.

    Where one matrix is symmetric the other is made so, which changes no cost and saves half of the work.

    Attributes:
        changes: (n, m) under all exchanges, and `fallen`, both in units of 1 / `scale`.

    Args:
        problem: the instance. seed: of all its walks. low, spread: of the tenure.
    """

    def __init__(self, problem: QAP, seed: int, low: int, spread: int) -> None:
        self._problem, self._seed, self._walk = problem, seed, -1
        self._settings = low, spread
        self._patience = 1
        n = self._n = problem.n_facilities
        flow, distance = problem.flow.astype(np.float64), problem.distance.astype(np.float64)
        alike = [bool((matrix == matrix.T).all()) for matrix in (flow, distance)]
        self._both = not any(alike)
        self.scale = 1.0
        if not self._both and not all(alike):  # sum of F o D = sum of (F + F') o D / 2 for symmetric D
            flow, distance = (m if a else m + m.T for m, a in zip((flow, distance), alike, strict=True))
            self.scale = 0.5
        whole = bool((flow == np.rint(flow)).all() and (distance == np.rint(distance)).all())
        largest = 16.0 * n * float(np.abs(flow).max(initial=0)) * float(np.abs(distance).max(initial=0))
        self._penalty = float(2.0 ** (np.ceil(np.log2(max(largest, 1.0))) + 1))
        self._dtype: Any = np.float32 if whole and largest < assignment.EXACT_32 else np.float64
        self._flow, self._distance = flow, distance
        self.settings = (low, spread, self._penalty)
        empty = not (np.diag(flow).any() or np.diag(distance).any())
        self.unfit: str | None = None  # why a device does not take the matrices
        if not (all(alike) and empty and self._dtype == np.float32):
            self.unfit = "its walks take symmetric whole matrices of moderate size with empty diagonals"
        m = assignment.padded(n)
        self._flows = [self._wide(flow, m), self._wide(flow.T, m)]
        self.changes = np.empty((n, m), dtype=self._dtype)
        self._until, self._ends = (np.zeros((n, m), dtype=np.int32) for _ in range(2))
        self._state = np.zeros(assignment.STATE, dtype=np.int64)
        self.fallen, self._start_value = np.zeros(2), 0.0
        self.best: Integers = np.arange(n)
        self.walk_seed, self.over = 0, True

    def _wide(self, matrix: NDArray[Any], m: int) -> NDArray[Any]:
        """A copy without its diagonal and with zeros up to m columns."""
        wide = np.zeros((len(matrix), m), dtype=self._dtype)
        wide[:, : len(matrix)] = matrix
        np.fill_diagonal(wide, 0)
        return wide

    def begin(self, p: Integers, patience: int) -> None:
        """Start at the assignment p (n,); the walk is over after `patience` steps without a new best."""
        self._patience = patience
        self._walk += 1
        self.walk_seed = (self._seed + 0x9E3779B1 * self._walk) % 2**31
        self._p = np.array(p, dtype=np.int64)
        near = self._distance[np.ix_(self._p, self._p)]
        m = self.changes.shape[1]
        self._nears = [self._wide(near, m), self._wide(near.T, m)]
        self._diagonals = np.array([np.diag(self._flow), np.diag(near)], dtype=self._dtype)
        self._until[:], self._ends[:], self._state[:], self.fallen[:] = 0, 0, 0, 0.0
        self._state[assignment.SEED] = self.walk_seed
        self._start_value = float(self._problem.evaluate(self._p[None].astype(np.float64)).F[0, 0])
        self.best = self._p.copy()
        kernels.begin(*self._flows, *self._nears, self._diagonals, self._both, self.changes)
        self.over = self._n < 2

    def advance(self, steps: int) -> int:
        """Walk on; returns the steps taken."""
        taken = kernels.robust_tabu(
            *self._flows, *self._nears, self._diagonals, self._both, self._p, self.changes, self._until, self._ends,
            *self._settings, self._penalty, self._state, self.fallen, self.best, steps, self._patience,
        )  # fmt: skip
        self.over = bool(self._state[assignment.IDLE] >= self._patience)
        return int(taken) or steps

    @property
    def present(self) -> tuple[Integers, float]:
        """Where the walk stands, and its cost."""
        return self._p, self._start_value - self.scale * float(self.fallen[0])

    @property
    def value(self) -> float:
        """Cost of `best`."""
        return self._start_value - self.scale * float(self.fallen[1])
