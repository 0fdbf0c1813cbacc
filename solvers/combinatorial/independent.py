"""Edge-weighting local search for independent sets and cliques (NuMVC), with the bound of a cover by cliques."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.solver import Control
from optengine.solvers.combinatorial.pieces import Patient, Pieces, Pool

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Integers = NDArray[np.int64]

SEED = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class IndependentSetSearch(Patient):
    """NuMVC (Cai, Su, Luo, Sattar 2013, doi:10.1613/jair.3907) on the vertex cover that a set leaves.

    Update: of a cover one node too small, the node that opens the least weight leaves (above 400 nodes: the best of 50
    drawn), and an end of a random open edge enters; open edges gain weight, and all weights shrink now and then. An
    exchange costs O(size of the cover + degree) and counts as n evaluations. The bound is the number of cliques in a
    greedy partition of the nodes.

    Attributes:
        patience: exchanges without a larger set before the weights are forgotten and the search begins at another
            set, >= 1. None: 1 000 000 + 1000 n.
        pool: distinct good sets kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    def refuses(self, problem: Problem) -> str | None:
        """Anything but an IndependentSet or a Clique."""
        from optengine.problems.independent_set import IndependentSet

        return (
            None
            if isinstance(problem, IndependentSet)
            else "it reads the edges of an IndependentSet or a Clique"
        )

    def start(self, problem: Problem, rng: Generator) -> IndependentRun:
        """Return a new run."""
        return IndependentRun(self, problem, rng)


class IndependentRun:
    """State of one run: the cover, its books, the best cover."""

    def __init__(self, options: IndependentSetSearch, problem: Any, rng: Generator) -> None:
        self._problem, self._rng = problem, rng
        n = self._n = problem.n_nodes
        self._patience = options.patience or 1_000_000 + 1000 * n
        self._pool = Pool(problem, options.pool)
        self._ends: Integers = np.ascontiguousarray(problem.edges)
        m = len(self._ends)
        owner = np.r_[self._ends[:, 0], self._ends[:, 1]]
        order = np.argsort(owner, kind="stable")
        self._around = (order % max(1, m)).astype(np.int64)
        self._indptr = np.r_[0, np.cumsum(np.bincount(owner, minlength=n))].astype(np.int64)
        self._inside, self._scores, self._members, self._at, self._since = (
            np.zeros(n, np.int64) for _ in range(5)
        )
        self._open, self._place = np.zeros(m, np.int64), np.zeros(m, np.int64)
        self._n_starts = 0

    def warm_up(self) -> None:
        """Compile or load the kernels."""
        self._begin(np.ones(self._n, dtype=np.int64), 0)
        self._advance(1, np.ones(self._n, dtype=np.int64), self._n)

    @property
    def details(self) -> dict[str, Any]:
        """The pool, and the number of starts."""
        return {"pool": self._pool.details(), "n_starts": self._n_starts}

    def _begin(self, inside: Integers, seed: int) -> None:
        from optengine.kernels import vertex_cover as kernel

        self._inside[:] = inside
        self._weights = np.ones(len(self._ends), dtype=np.int64)
        self._since[:] = 0
        self._may = np.ones(self._n, dtype=np.int64)
        self._state = np.zeros(kernel.STATE, dtype=np.int64)
        self._state[kernel.SEED] = seed
        kernel.begin_vertex_cover(
            self._ends, self._indptr, self._around, self._inside, self._weights, self._scores, self._open, self._place,
            self._members, self._at, self._state,
        )  # fmt: skip

    def _advance(self, steps: int, best: Integers, n_best: int) -> int:
        from optengine.kernels.vertex_cover import search_vertex_cover

        size: int = search_vertex_cover(
            self._ends, self._indptr, self._around, self._inside, self._weights, self._scores, self._open, self._place,
            self._members, self._at, self._since, self._may, self._state, best, n_best, steps,
        )  # fmt: skip
        return size

    def search(self, control: Control) -> None:
        """Search until told to stop, or until the bound is met."""
        n = self._n
        best = 1 - self._greedy()
        for x in [] if control.x0 is None else np.rint(control.x0).astype(np.int64):
            if x.sum() > n - best.sum() and not (x @ (self._problem.adjacency @ x)):
                best = 1 - x
        bound = self._clique_partition()
        control.bound(-float(bound))
        n_best = int(best.sum())
        self._offer(control, best)
        degree = len(self._ends) * 2 / n
        pieces = Pieces(control, n, 0.1e-6 + 2e-9 * min(n, 450) + 5e-9 * degree)
        start, barren = best.copy(), 0
        self._begin(start, int(self._rng.integers(SEED)))
        self._n_starts = 1
        while n - n_best < bound:
            steps = pieces.steps(1 << 60)
            if not steps:
                return
            found = self._advance(steps, best, n_best)
            pieces.took(steps)
            barren = 0 if found < n_best else barren + steps
            if found < n_best:
                n_best = found
                self._offer(control, best)
            if barren > self._patience:
                barren = 0
                start = 1 - self._greedy()
                self._pool.add(1 - start, -float(n - start.sum()))
                self._n_starts += 1
                self._begin(start, int(self._rng.integers(SEED)))

    def _offer(self, control: Control, cover: Integers) -> None:
        x = 1 - cover
        self._pool.add(x, -float(x.sum()))
        control.incumbent(x.astype(np.float64))

    def _greedy(self) -> Integers:
        """A maximal independent set: nodes of the least degree first, ties at random."""
        adjacency, x = self._problem.adjacency, np.zeros(self._n, dtype=np.int64)
        free = np.ones(self._n, dtype=bool)
        degree = np.diff(adjacency.indptr) + self._rng.random(self._n)
        for k in np.argsort(degree).tolist():
            if free[k]:
                x[k] = 1
                free[adjacency.indices[adjacency.indptr[k] : adjacency.indptr[k + 1]]] = False
        return x

    def _clique_partition(self) -> int:
        """A number of cliques that hold all nodes: no independent set has more nodes."""
        adjacency = self._problem.adjacency
        cliques: list[set[int]] = []
        for k in np.argsort(-np.diff(adjacency.indptr), kind="stable").tolist():
            near = set(adjacency.indices[adjacency.indptr[k] : adjacency.indptr[k + 1]].tolist())
            home = next((clique for clique in cliques if clique <= near), None)
            if home is None:
                cliques.append({k})
            else:
                home.add(k)
        return len(cliques)
