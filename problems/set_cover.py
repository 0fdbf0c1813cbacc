"""The set covering problem.

    minimise   sum_j costs[j] x[j]   subject to   every row is in a chosen column: sum_{j covers i} x[j] >= 1.

Beasley, An algorithm for set covering problem, European Journal of Operational Research 31 (1987),
doi:10.1016/0377-2217(87)90141-X.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.problems.arrays import flip_moves
from optengine.problems.milp import MILP

Floats = NDArray[np.float64]


class SetCover(MILP):
    """Columns (sets) with costs, every row to be covered; minimised. A `MILP` of bits with a row for each row.

    Args:
        covers: (m, n) of 0 and 1, dense or SciPy sparse; see `from_lists` for lists of columns.
        costs: (n,), positive; None: all 1.
        name: name of the instance.

    Attributes:
        covers: CSR array (m, n). costs: (n,).

    Raises:
        ProblemError: a row that no column covers, entries that are not 0 or 1, costs that are not positive.
    """

    moves = ("flip",)

    def __init__(
        self,
        covers: Any,
        costs: ArrayLike | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.covers = _matrix(covers)
        n = self.covers.shape[1]
        self.costs = np.ones(n) if costs is None else np.asarray(costs, dtype=np.float64)
        if self.costs.shape != (n,):
            raise ProblemError(f"costs must be one for each of {n} columns, got shape {self.costs.shape}")
        if not (np.isfinite(self.costs).all() and (self.costs > 0).all()):
            raise ProblemError(
                "costs must be finite and positive; a column without cost is chosen beforehand"
            )
        bare = np.flatnonzero(np.diff(self.covers.indptr) == 0)
        if len(bare):
            raise ProblemError(f"row {int(bare[0])} must be covered by a column, got none")
        super().__init__(
            self.costs, self.covers, lower=1.0, bounds=(0.0, 1.0), integrality=True, name=name or "set cover"
        )

    @classmethod
    def from_lists(cls, rows: Sequence[ArrayLike], costs: ArrayLike, *, name: str | None = None) -> SetCover:
        """From the columns, numbered from 0, that cover each row."""
        lists = [np.asarray(row, dtype=np.int64).ravel() for row in rows]
        n, indices = len(np.atleast_1d(costs)), np.concatenate(lists)
        if len(indices) and not (0 <= indices.min() and indices.max() < n):
            raise ProblemError(f"rows must name columns 0..{n - 1}, got {indices.min()} to {indices.max()}")
        indptr = np.r_[0, np.cumsum([len(row) for row in lists])]
        matrix = sp.csr_array((np.ones(len(indices)), indices, indptr), shape=(len(lists), n))
        return cls(matrix, costs, name=name)

    @classmethod
    def random(
        cls, rng: Generator, n: int = 60, m: int = 20, density: float = 0.1, real: float = 0.0
    ) -> SetCover:
        """m rows, each in a share `density` of the n columns (two at least), costs uniform on 1..100."""
        size = max(2, round(density * n))
        rows = [np.sort(rng.choice(n, min(n, size), replace=False)) for _ in range(m)]
        return cls.from_lists(rows, rng.integers(1, 101, n), name=f"random{m}x{n}")

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of cost and of the number of rows uncovered under each flip.

        Returns:
            dF (k, 1), dG (k, 1), the change of the constraint `violation`.
        """
        bits, which = flip_moves(x, kind, moves, self.n_variables)
        counts = self.covers @ bits
        columns = self.covers.T.tocsr()
        change = np.empty(len(which))
        for k, j in enumerate(which.tolist()):
            rows = columns.indices[columns.indptr[j] : columns.indptr[j + 1]]
            change[k] = (counts[rows] == 1).sum() if bits[j] > 0.5 else -float((counts[rows] == 0).sum())
        return ((1.0 - 2.0 * bits[which]) * self.costs[which])[:, None], change[:, None]

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`columns` chosen, and the rows `uncovered`; beside what a MILP tells."""
        bits = np.asarray(x, dtype=np.float64)
        more = {"columns": np.flatnonzero(bits > 0.5), "uncovered": np.flatnonzero(self.covers @ bits < 0.5)}
        return super().describe(x) | more

    @classmethod
    def load(cls, path: str | PathLike[str]) -> SetCover:
        """Read a file (OR-Library). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem


def _matrix(covers: Any) -> sp.csr_array:
    try:
        given: Any = covers if sp.issparse(covers) else np.atleast_2d(np.asarray(covers, dtype=np.float64))
        matrix = sp.csr_array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"covers must be a matrix of 0 and 1, got {type(covers).__name__}") from None
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if (matrix.data != 1.0).any():
        raise ProblemError(f"covers must hold 0 and 1, got {matrix.data[matrix.data != 1.0][0]:g}")
    return matrix
