"""The nearest point of a part with whole numbers or cardinalities, by mixed-integer programming.

Variables are the part's columns (reals on [0, 1]), their distance up and down in units of their range, and a pair of
binaries for each entry that a cardinality counts (nonzero above, nonzero below 0). The objective is the sum of the
distances; binaries need none, their distance is linear in themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.backends.linear import solve_linear
from optengine.backends.terms import LinearResult, LinearStatus
from optengine.core.errors import OptEngineError
from optengine.core.linear import LinearModel

if TYPE_CHECKING:
    from optengine.backends.parts import Part

Floats = NDArray[np.float64]

# Near the nearest is near enough; nodes, not seconds, and one thread keep it repeatable.
LIMITS: dict[str, Any] = {"nodes": 2000, "gap": 0.02, "threads": 1, "watched": False}


class ExactRepair:
    """Mixed-integer models of one part; built once, then solved for each row with new right-hand sides."""

    def __init__(self, part: Part) -> None:
        self._part = part
        k = len(part.lb)
        self._unit = np.where(part.whole, 1.0, part.scale)  # x = offset + unit * column of the model
        self._offset = np.where(part.whole, 0.0, part.lb)
        self._binary = part.whole & (part.lb >= 0) & (part.ub <= 1)
        self._measured = np.flatnonzero(~self._binary & (part.ub > part.lb))
        self._range = np.where(part.whole, part.scale, 1.0)[self._measured]
        self._counted, counts = self._nonzero()
        self._build(k, counts)

    def _nonzero(self) -> tuple[dict[int, tuple[int, int]], list[tuple[list[int], int, int]]]:
        """Number the binaries (above 0, below 0) of each counted column, and say which ones each cardinality sums."""
        part = self._part
        counted: dict[int, tuple[int, int]] = {}
        counts = []
        for columns, least, most in part.cardinalities:
            members: list[int] = []
            constant = 0
            for j in columns.tolist():
                if part.lb[j] > 0 or part.ub[j] < 0:
                    constant += 1
                elif part.lb[j] < part.ub[j]:
                    counted.setdefault(j, (2 * len(counted), 2 * len(counted) + 1))
                    members += counted[j]
            counts.append((members, least - constant, most - constant))
        return counted, counts

    def _build(self, k: int, counts: list[tuple[list[int], int, int]]) -> None:
        from scipy import sparse

        part, r, nz = self._part, len(self._measured), 2 * len(self._counted)
        n = k + 2 * r + nz
        blocks: list[Any] = []
        low: list[Floats] = []
        high: list[Floats] = []

        rows = part.A * self._unit
        shift = part.A @ self._offset
        size = np.abs(rows).max(axis=1, initial=0.0)
        size = np.where(size > 0, size, 1.0)
        blocks.append(
            sparse.hstack([sparse.csr_matrix(rows / size[:, None]), sparse.csr_matrix((len(rows), n - k))])
        )
        low.append((part.lower - shift) / size)
        high.append((part.upper - shift) / size)

        select = sparse.csr_matrix((np.ones(r), (np.arange(r), self._measured)), shape=(r, k))
        ranges = sparse.diags_array(self._range) if r else sparse.csr_matrix((0, 0))
        blocks.append(sparse.hstack([select, -ranges, ranges, sparse.csr_matrix((r, nz))]))
        low.append(np.zeros(r))
        high.append(np.zeros(r))

        links, link_low, link_high = self._link_rows(n, k + 2 * r)
        if links is not None:
            blocks.append(links)
            low.append(link_low)
            high.append(link_high)
        for members, least, most in counts:
            row = sparse.lil_matrix((1, n))
            for member in members:
                row[0, k + 2 * r + member] = 1.0
            blocks.append(row.tocsr())
            low.append(np.array([float(least)]))
            high.append(np.array([float(most)]))
        self._A = sparse.vstack(blocks).tocsr()
        self._low, self._high = np.concatenate(low), np.concatenate(high)
        self._moving = slice(len(rows), len(rows) + r)
        self._lb = np.concatenate([np.where(part.whole, part.lb, 0.0), np.zeros(2 * r + nz)])
        top = np.where(part.whole, part.ub, np.where(part.ub > part.lb, 1.0, 0.0))
        signs = np.array([[part.ub[j] > 0, part.lb[j] < 0] for j in self._counted], dtype=np.float64).ravel()
        self._ub = np.concatenate([top, np.ones(2 * r), signs])
        self._whole = np.concatenate([part.whole, np.zeros(2 * r, dtype=bool), np.ones(nz, dtype=bool)])
        self._n, self._k, self._r = n, k, r

    def _link_rows(self, n: int, first: int) -> tuple[Any, Floats, Floats]:
        """For each counted entry: lb below + least above <= x <= ub above - least below, and above + below <= 1."""
        from scipy import sparse

        from optengine.backends.parts import NONZERO

        part = self._part
        if not self._counted:
            return None, np.empty(0), np.empty(0)
        rows = sparse.lil_matrix((3 * len(self._counted), n))
        low, high = np.full(3 * len(self._counted), -np.inf), np.full(3 * len(self._counted), np.inf)
        for i, (j, (above, below)) in enumerate(self._counted.items()):
            floor = 1.0 if part.whole[j] else NONZERO * part.scale[j]
            scale = 1.0 / part.scale[j]
            rows[3 * i, j] = self._unit[j] * scale
            rows[3 * i, first + above] = -part.ub[j] * scale
            rows[3 * i, first + below] = min(floor, -part.lb[j]) * scale
            high[3 * i] = -self._offset[j] * scale
            rows[3 * i + 1, j] = self._unit[j] * scale
            rows[3 * i + 1, first + below] = -part.lb[j] * scale
            rows[3 * i + 1, first + above] = -min(floor, part.ub[j]) * scale
            low[3 * i + 1] = -self._offset[j] * scale
            rows[3 * i + 2, first + above] = rows[3 * i + 2, first + below] = 1.0
            high[3 * i + 2] = 1.0
        return rows.tocsr(), low, high

    def _solve(self, c: Floats, x: Floats, **limits: Any) -> LinearResult:
        low, high = self._low.copy(), self._high.copy()
        start = ((x - self._offset) / self._unit)[self._measured]
        low[self._moving] = high[self._moving] = start
        return solve_linear(LinearModel(c, self._A, low, high, self._lb, self._ub, self._whole), **limits)

    def nearest(self, x: Floats) -> Floats | None:
        """Return the point (k,) nearest to x in the sum of scaled distances, exact to 1e-9; None if there is none."""
        c = np.zeros(self._n)
        c[: self._k] = np.where(self._binary, 1.0 - 2.0 * x, 0.0)
        c[self._k : self._k + 2 * self._r] = 1.0
        try:
            result = self._solve(c, x, **LIMITS)
        except OptEngineError:  # the backend broke down: the caller replaces the row by a sample
            return None
        return None if result.x is None else self._point(x, result.x)

    def feasible(self) -> bool:
        """Whether any point keeps rows, integrality and cardinalities (HiGHS's proof)."""
        result = self._solve(np.zeros(self._n), 0.5 * (self._part.lb + self._part.ub), threads=1)
        return result.status is not LinearStatus.INFEASIBLE

    def _point(self, x: Floats, solution: Floats) -> Floats | None:
        return self._part.settle(x, self._offset + self._unit * solution[: self._k])
