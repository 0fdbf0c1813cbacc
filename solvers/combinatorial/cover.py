"""Row-weighting local search for set covering on the columns that the linear relaxation leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.solver import Control
from optengine.solvers.combinatorial.pieces import Pieces, Pool, check_count

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

SEED = 2**31
PATIENCE = 200_000  # steps without a better cover before the weights are forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverSearch:
    """Weighting local search for SetCover, with the bound of its linear relaxation.

    Update: a complete cover drops the columns of least loss per cost until rows are bare; then random bare rows are
    covered by the column of the largest gain per cost, as long as the cost stays below the best; rows that stay bare
    gain weight (Gao, Weise, Li 2015, doi:10.1016/j.ejor.2015.05.038). Columns whose reduced cost exceeds the gap are
    left out for good: they are in no better cover. A step costs O(columns) and counts as 2 n evaluations.

    Attributes:
        relaxation: whether to solve the linear relaxation; without it there is no bound and no column is left out.
        pool: distinct good covers kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    relaxation: bool = True
    pool: int = 10

    def __post_init__(self) -> None:
        check_count("pool", self.pool)
        if not isinstance(self.relaxation, bool):
            raise OptionError(f"relaxation must be True or False, got {self.relaxation!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a SetCover."""
        from optengine.problems.set_cover import SetCover

        return None if isinstance(problem, SetCover) else "it reads the columns of a SetCover"

    def start(self, problem: Problem, rng: Generator) -> CoverRun:
        """Return a new run."""
        return CoverRun(self, problem, rng)


class CoverRun:
    """State of one run: the columns still open, and the best cover."""

    def __init__(self, options: CoverSearch, problem: Any, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._pool = Pool(problem, options.pool)
        self._n_open, self._relaxed = problem.n_variables, np.nan

    def warm_up(self) -> None:
        """Compile or load the kernels."""
        from scipy.sparse import csr_array

        books = _Books(csr_array(np.ones((1, 1))), np.ones(1), 0)
        books.begin(np.ones(1, dtype=np.int64))
        books.advance(1)

    @property
    def details(self) -> dict[str, Any]:
        """The pool, the number of columns searched, and the value of the relaxation."""
        return {"pool": self._pool.details(), "n_open": self._n_open, "relaxation": self._relaxed}

    def search(self, control: Control) -> None:
        """Search until told to stop."""
        problem, n = self._problem, self._problem.n_variables
        best = self._greedy(problem.costs)
        for x in [] if control.x0 is None else np.rint(control.x0).astype(np.int64):
            if (problem.covers @ x >= 1).all() and problem.costs @ x < problem.costs @ best:
                best = x
        whole = bool((problem.costs == np.rint(problem.costs)).all())
        self._offer(control, best)
        reduced, bound = self._relax(control, whole)
        best = min(
            best,
            self._greedy(np.maximum(reduced, 1e-3 * problem.costs)),
            key=lambda x: float(problem.costs @ x),
        )
        self._offer(control, best)
        pieces = Pieces(control, 2 * n, 1e-6 + 2e-9 * n)
        open_columns = self._open(reduced, bound, best, whole)
        books, barren = self._books(open_columns, best), 0
        while True:
            steps = pieces.steps(1 << 60)
            if not steps:
                return
            books.advance(steps)
            pieces.took(steps)
            barren += steps
            if barren > PATIENCE:
                barren = 0
                books = self._books(open_columns, self._scattered(open_columns, best))
                books.value[1] = problem.costs @ best
            if books.value[1] < problem.costs @ best - 1e-9:
                best, barren = np.zeros(n, dtype=np.int64), 0
                best[open_columns[books.best > 0]] = 1
                self._offer(control, best)
                fewer = self._open(reduced, bound, best, whole)
                if len(fewer) < 0.9 * len(open_columns):
                    open_columns = fewer
                    books = self._books(open_columns, best)
            if bound >= problem.costs @ best - 1e-9:
                return

    def _offer(self, control: Control, x: Integers) -> None:
        self._pool.add(x, float(self._problem.costs @ x))
        control.incumbent(x.astype(np.float64))

    def _relax(self, control: Control, whole: bool) -> tuple[Floats, float]:
        """Reduced costs (n,) and a proved bound."""
        from optengine.solvers.combinatorial.relaxed import relax, rounded_up

        if not self._options.relaxation:
            return np.asarray(self._problem.costs), 0.0
        left: float | None = getattr(control, "seconds_left", None)
        relaxed = relax(self._problem.model, np.inf if left is None else max(0.01, left / 2))
        self._relaxed = relaxed.bound
        control.bound(rounded_up(relaxed.bound, whole))
        return relaxed.reduced, relaxed.bound

    def _open(self, reduced: Floats, bound: float, best: Integers, whole: bool) -> Integers:
        """Columns that a cover better than `best` may hold, and those of `best` itself."""
        limit = float(self._problem.costs @ best) - (1.0 - 1e-6 if whole else 0.0)
        useful = bound + np.maximum(reduced, 0.0) <= limit
        rows = self._problem.covers[:, useful | (best > 0)]
        assert (np.diff(rows.indptr) > 0).all()
        self._n_open = int((useful | (best > 0)).sum())
        return np.flatnonzero(useful | (best > 0))

    def _books(self, columns: Integers, best: Integers) -> _Books:
        covers = self._problem.covers[:, columns].tocsr()
        books = _Books(covers, self._problem.costs[columns], int(self._rng.integers(SEED)))
        books.begin(best[columns])
        return books

    def _scattered(self, columns: Integers, best: Integers) -> Integers:
        """A cover of the open columns by a greedy of costs that are randomly wrong."""
        costs = np.full(len(best), np.inf)
        costs[columns] = self._problem.costs[columns] * np.exp(self._rng.normal(0.0, 0.5, len(columns)))
        return self._greedy(costs)

    def _greedy(self, costs: Floats) -> Integers:
        """A cover by the column of the most new rows per cost, then without what is not needed."""
        covers, by_column = self._problem.covers, self._problem.covers.T.tocsr()
        gain = np.diff(by_column.indptr).astype(np.float64)
        covered = np.zeros(covers.shape[0], dtype=bool)
        x = np.zeros(len(costs), dtype=np.int64)
        while not covered.all():
            j = int(np.argmax(gain / costs))
            rows = by_column.indices[by_column.indptr[j] : by_column.indptr[j + 1]]
            new = rows[~covered[rows]]
            covered[new], x[j] = True, 1
            for i in new:
                gain[covers.indices[covers.indptr[i] : covers.indptr[i + 1]]] -= 1
        counts = covers @ x
        for j in sorted(np.flatnonzero(x).tolist(), key=lambda j: -self._problem.costs[j]):
            rows = by_column.indices[by_column.indptr[j] : by_column.indptr[j + 1]]
            if (counts[rows] > 1).all():
                counts[rows] -= 1
                x[j] = 0
        return x


class _Books:
    """The arrays of the kernel for some columns."""

    def __init__(self, covers: Any, costs: Floats, seed: int) -> None:
        from optengine.kernels import cover as kernel

        self._kernel: Any = kernel
        (m, n), by_column = covers.shape, covers.T.tocsr()
        self._columns = [a.astype(np.int64) for a in (covers.indptr, covers.indices)]
        self._rows = [a.astype(np.int64) for a in (by_column.indptr, by_column.indices)]
        self._costs = np.ascontiguousarray(costs)
        self._counts, self._uncovered, self._place = (np.zeros(m, dtype=np.int64) for _ in range(3))
        self._weights = np.ones(m, dtype=np.int64)
        self._scores, self._since, self._held = (np.zeros(n, dtype=np.int64) for _ in range(3))
        self._state = np.zeros(kernel.STATE, dtype=np.int64)
        self._state[kernel.SEED] = seed
        self.value = np.zeros(2)
        self.best = self._chosen = np.zeros(n, dtype=np.int64)

    def begin(self, x: Integers) -> None:
        """Start at the cover x."""
        self._chosen, self.best = x.copy(), x.copy()
        self.value[:] = self._costs @ x
        self._state[self._kernel.N_OPEN] = self._kernel.begin_cover(
            *self._rows, self._chosen, self._counts, self._weights, self._scores, self._uncovered, self._place
        )

    def advance(self, steps: int) -> None:
        """Search on."""
        self._kernel.search_cover(
            *self._rows, *self._columns, self._costs, self._chosen, self._counts, self._weights, self._scores,
            self._uncovered, self._place, self._since, self._held, self._state, self.value, self.best, steps,
        )  # fmt: skip
