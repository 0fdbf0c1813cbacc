"""Iterated local search of linear orders by insertions (Schiavinotto, Stuetzle 2004).

doi:10.1023/B:JMMA.0000049426.06305.d8. What differs from the paper: an order that is a little worse is accepted too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.core.solver import Control
from optengine.solvers.combinatorial.pieces import Pieces, Pool, check_count, check_share

if TYPE_CHECKING:
    from optengine.core.problem import Problem

SEED = 2**31
INSERTION_SECONDS = 1.5e-9  # of one evaluated insertion
EXACT = 2**31  # sums of whole numbers below it are exact in int32


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearOrderSearch:
    """Insertions on a LinearOrdering: every item is put where it wins most, until none moves; then a kick.

    Update: home <- local optimum of home with `strength` random insertions; accepted if no worse, or worse by less than
    the temperature times a standard exponential. A step evaluates the n - 1 insertions of one item in O(n), about a
    nanosecond each; they count as n - 1 evaluations.

    Attributes:
        strength: random insertions of a kick, >= 1.
        temperature: mean loss accepted, in units of the mean size of W - W.T, >= 0 and <= 100.
        pool: distinct good orders kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    strength: int = 5
    temperature: float = 2.0
    pool: int = 10

    def __post_init__(self) -> None:
        check_count("strength", self.strength)
        check_share("temperature", self.temperature, 100.0)
        check_count("pool", self.pool)

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a LinearOrdering of at least two items."""
        from optengine.problems.linear_ordering import LinearOrdering

        if not isinstance(problem, LinearOrdering):
            return "it reads the weights of a LinearOrdering"
        return None if problem.n_items > 1 else "it moves items, and there is one"

    def start(self, problem: Problem, rng: Generator) -> LinearOrderRun:
        """Return a new run."""
        return LinearOrderRun(self, problem, rng)


class LinearOrderRun:
    """State of one run: the order, home and best."""

    def __init__(self, options: LinearOrderSearch, problem: Any, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._pool = Pool(problem, options.pool)
        self._n_kicks = 0
        skew = problem.W - problem.W.T
        whole = bool((skew == np.rint(skew)).all() and np.abs(skew).sum(axis=1).max() < EXACT)
        self._skew = np.ascontiguousarray(skew, dtype=np.int32 if whole else np.float64)

    def warm_up(self) -> None:
        """Compile or load the kernel."""
        self._search(np.zeros((2, 2), dtype=self._skew.dtype), np.arange(2), 0.0).advance(1)

    @property
    def details(self) -> dict[str, Any]:
        """The pool, and the number of kicks."""
        return {"pool": self._pool.details(), "n_kicks": self._n_kicks}

    def search(self, control: Control) -> None:
        """Search until told to stop."""
        problem, n = self._problem, self._problem.n_items
        start = self._rng.permutation(n) if control.x0 is None else np.rint(control.x0[0]).astype(np.int64)
        value = -float(problem.evaluate(start[None].astype(np.float64)).F[0, 0])
        search = self._search(self._skew, start, value)
        pieces, told = Pieces(control, n - 1, (n - 1) * INSERTION_SECONDS), -np.inf
        while True:
            if search.value.max() > told:  # the order now may be better than the best local optimum
                told = float(search.value.max())
                x = search.best if search.value[2] == told else search.order
                self._pool.add(x, -told)
                control.incumbent(x.astype(np.float64))
            self._pool.add(search.home, -search.value[1])
            steps = pieces.steps(1 << 60)
            if not steps:
                return
            search.advance(steps)
            pieces.took(steps)
            self._n_kicks = search.n_kicks

    def _search(self, skew: Any, start: Any, value: float) -> _Orders:
        heat = self._options.temperature * float(np.abs(skew).mean())
        return _Orders(skew, start, value, self._options.strength, heat, int(self._rng.integers(SEED)))


class _Orders:
    """The arrays of the kernel."""

    def __init__(self, skew: Any, start: Any, value: float, strength: int, heat: float, seed: int) -> None:
        from optengine.kernels import linear_order as kernel

        self._kernel, self._skew, self._strength, self._heat = kernel, skew, strength, heat
        self.order = np.array(start, dtype=np.int32)
        self.home, self.best = self.order.copy(), self.order.copy()
        self._place = np.argsort(self.order).astype(np.int32)
        self.value = np.full(3, value)
        self._state = np.zeros(kernel.STATE, dtype=np.int64)
        self._state[kernel.SEED] = seed

    @property
    def n_kicks(self) -> int:
        return int(self._state[self._kernel.N_KICKS])

    def advance(self, steps: int) -> None:
        """Search on for so many steps."""
        self._kernel.search_linear_order(
            self._skew, self.order, self._place, self.home, self.best, self.value, self._state, self._strength,
            self._heat, steps,
        )  # fmt: skip
