"""probSAT for MAX-SAT (Balint, Schöning 2012, doi:10.1007/978-3-642-31612-8_3) with restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator

from optengine.core.solver import Control
from optengine.solvers.combinatorial.pieces import Patient, Pieces, Pool

if TYPE_CHECKING:
    from optengine.core.problem import Problem

FLIP_SECONDS = 0.3e-6
SEED = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbSAT(Patient):
    """probSAT on weighted clauses; hard ones weigh as much as all soft ones.

    Update: flip a literal of a random unsatisfied clause, with a probability proportional to (0.9 + b)^-2.3, b being
    the weight of the clauses that break, in units of the mean. A flip costs O(clauses of the clause's bits) and
    counts as one evaluation.

    Attributes:
        patience: flips without a better assignment before a restart, >= 1. None: 100 000 + 100 n.
        pool: distinct good assignments kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a MaxSAT."""
        from optengine.problems.max_sat import MaxSAT

        return None if isinstance(problem, MaxSAT) else "it reads the clauses of a MaxSAT"

    def start(self, problem: Problem, rng: Generator) -> ProbSATRun:
        """Return a new run."""
        return ProbSATRun(self, problem, rng)


class ProbSATRun:
    """State of one run: an assignment and the books of its clauses."""

    def __init__(self, options: ProbSAT, problem: Any, rng: Generator) -> None:
        self._problem, self._rng = problem, rng
        self._patience = options.patience or 100_000 + 100 * problem.n_bits
        self._pool = Pool(problem, options.pool)
        soft = problem.weights[~problem.hard]
        weights = np.where(problem.hard, 1.0 + soft.sum(), problem.weights)
        self._weights = weights / (soft.mean() if len(soft) else 1.0)
        m = len(weights)
        clause = np.repeat(np.arange(m), np.diff(problem.indptr))
        order = np.argsort(problem.bits, kind="stable")
        self._of = (2 * clause + problem.wanted)[order]
        self._of_ptr = np.r_[0, np.cumsum(np.bincount(problem.bits, minlength=problem.n_bits))]
        self._counts, self._open, self._place = (np.zeros(m, dtype=np.int64) for _ in range(3))
        self._chances = np.zeros(int(np.diff(problem.indptr).max()))
        self._n_starts = 0

    def warm_up(self) -> None:
        """Compile or load the kernels."""
        self._begin(np.zeros(self._problem.n_bits, dtype=np.int64), 0)
        self._advance(1)

    @property
    def details(self) -> dict[str, Any]:
        """The pool, and the number of starts."""
        return {"pool": self._pool.details(), "n_starts": self._n_starts}

    def _begin(self, x: Any, seed: int) -> None:
        from optengine.kernels import clauses as kernel

        problem = self._problem
        self._x, self._best = x.copy(), x.copy()
        self._state = np.zeros(kernel.STATE, dtype=np.int64)
        self._state[kernel.SEED] = seed
        self._state[kernel.N_OPEN] = kernel.begin_clauses(
            problem.indptr, problem.bits, problem.wanted, self._x, self._counts, self._open, self._place
        )
        self._value = np.full(2, float(self._weights[self._counts == 0].sum()))

    def _advance(self, steps: int) -> None:
        from optengine.kernels.clauses import search_clauses

        problem = self._problem
        search_clauses(
            problem.indptr, problem.bits, problem.wanted, self._weights, self._of_ptr, self._of, self._x, self._counts,
            self._open, self._place, self._chances, self._state, self._value, self._best, steps,
        )  # fmt: skip

    def search(self, control: Control) -> None:
        """Search until told to stop, or until every clause is satisfied."""
        n, pieces, told = self._problem.n_bits, Pieces(control, 1, FLIP_SECONDS), np.inf
        given = [] if control.x0 is None else list(np.rint(control.x0).astype(np.int64))
        control.bound(0.0)
        while True:
            self._begin(given.pop(0) if given else self._rng.integers(0, 2, n), int(self._rng.integers(SEED)))
            self._n_starts += 1
            barren, least = 0, np.inf
            while barren <= self._patience:
                steps = pieces.steps(1 << 60)
                if not steps:
                    return
                self._advance(steps)
                pieces.took(steps)
                barren = 0 if self._value[1] < least else barren + steps
                least = float(self._value[1])
                if least < told:
                    told = least
                    control.incumbent(self._best.astype(np.float64))
                if not self._problem.unsatisfied(self._best)[0][self._problem.hard].any():
                    self._pool.add(self._best, least)
                if told <= 1e-9:
                    return
