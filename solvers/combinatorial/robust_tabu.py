"""Robust tabu search for quadratic assignment (Taillard 1991, doi:10.1016/S0167-8191(05)80147-4), with restarts.

What differs from the paper: where a walk brings nothing for long, the next one starts from a good assignment with some
facilities shuffled; the second aspiration is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.solver import Control
from optengine.solvers.combinatorial.pieces import Pieces, Pool, check_count, check_share

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Integers = NDArray[np.int64]

FRESH = 0.15  # share of walks that start at random
LOW, SPREAD = 0.9, 0.2  # tenure in units of n, from 0.9 n to 1.1 n


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustTabu:
    """Robust tabu search for QAP.

    Update: of all n (n - 1) / 2 exchanges take the best that is not tabu, or that gives a new best; both facilities
    must not return to where they stood for 0.9 n to 1.1 n steps. A step costs O(n^2), 1 microsecond at n = 30, and
    counts as n (n - 1) / 2 evaluations.

    Attributes:
        tenure: mean tenure in units of n, in (0, 10].
        patience: steps without a better assignment before the next start, >= 1. None: 50 n, and every fourth walk
            1500 n: some instances want many starts, others long walks.
        elites: assignments that starts are made of, >= 1.
        pool: distinct good assignments kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    tenure: float = 1.0
    patience: int | None = None
    elites: int = 5
    pool: int = 10

    def __post_init__(self) -> None:
        check_share("tenure", self.tenure, 10.0)
        check_count("patience", self.patience, optional=True)
        check_count("elites", self.elites)
        check_count("pool", self.pool)

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a QAP of two facilities or more."""
        from optengine.problems.qap import QAP

        if not isinstance(problem, QAP):
            return "it reads the matrices of a QAP"
        return None if problem.n_facilities > 1 else "there is nothing to exchange with one facility"

    def start(self, problem: Problem, rng: Generator) -> RobustTabuRun:
        """Return a new run."""
        return RobustTabuRun(self, problem, rng)


class RobustTabuRun:
    """State of one run: a walk, elite assignments, the pool."""

    def __init__(self, options: RobustTabu, problem: Any, rng: Generator) -> None:
        from optengine.solvers.combinatorial.assignment_walk import AssignmentWalk

        self._problem, self._rng, self._n = problem, rng, problem.n_facilities
        low = max(1, int(options.tenure * LOW * self._n))
        spread = 1 + int(options.tenure * SPREAD * self._n)
        self._walk = AssignmentWalk(problem, int(rng.integers(2**31)), low, spread)
        self._patience = options.patience
        self._pool, self._elites = Pool(problem, options.pool), Pool(problem, options.elites)
        self._n_walks = 0

    def warm_up(self) -> None:
        """Compile or load the kernels."""
        self._walk.begin(np.arange(self._n), 1)
        self._walk.advance(1)
        self._walk._walk = -1

    @property
    def details(self) -> dict[str, Any]:
        """The pool, and the number of walks."""
        return {"pool": self._pool.details(), "n_walks": self._n_walks}

    def search(self, control: Control) -> None:
        """Search until told to stop, on the device if there is one and it fits."""
        n, walk = self._n, self._walk
        if self._on_device(control):
            return
        pieces = Pieces(control, n * (n - 1) // 2, 0.2e-6 + 0.8e-9 * n * n)
        given = [] if control.x0 is None else list(np.rint(control.x0).astype(np.int64))
        best = np.inf
        while not control.stop():
            patience = (1500 if self._n_walks % 4 == 0 else 50) * n
            walk.begin(given.pop(0) if given else self._next_start(), self._patience or patience)
            self._n_walks += 1
            going = True
            while going and not walk.over:
                steps = pieces.steps(1 << 60)
                going = steps > 0
                if going:
                    pieces.took(walk.advance(steps))
                    self._pool.add(walk.best, walk.value)
                    self._pool.add(*walk.present)
                    if walk.value < best:
                        best = walk.value
                        control.incumbent(walk.best.astype(np.float64))
            self._elites.add(walk.best, walk.value)

    def _on_device(self, control: Control) -> bool:
        """Search on the device; False where the CPU is to do it."""
        from optengine.solvers.combinatorial import device

        problem, walk = self._problem, self._walk
        if not device.settle(control.device, self._n, walk.unfit):
            return False
        walks = self._make_walks(problem.flow, problem.distance, *walk.settings)

        def begin(P: Integers, seeds: Integers) -> Any:
            walks.begin(P, seeds)
            return walks

        self._n_walks = device.search(
            control, self._rng, begin, lambda P: problem.evaluate(P.astype(np.float64)).F[:, 0], self._next_start,
            (self._elites, self._pool), cost=self._n * (self._n - 1) // 2, steps=self._patience or 50 * self._n,
        )  # fmt: skip
        return True

    @staticmethod
    def _make_walks(*given: Any) -> Any:
        from optengine.kernels.walks_cuda import AssignmentWalks

        return AssignmentWalks(*given)

    def _next_start(self) -> Integers:
        """An elite assignment with some facilities shuffled, or a random one."""
        rng, elites = self._rng, self._elites.points
        if not elites or rng.random() < FRESH:
            return rng.permutation(self._n)
        p = elites[int(rng.integers(len(elites)))].copy()
        some = rng.choice(self._n, int(rng.integers(2, self._n // 2 + 2)), replace=False)
        p[some] = p[rng.permutation(some)]
        return p
