"""Two methods in turn for smooth and rugged simulators of real numbers: SLSQP from the middle, then lq-CMA-ES.

One start of SLSQP with finite differences (Kraft 1988), left as soon as it stalls, finds the optimum of what is smooth
and has one valley in a few gradients. What it leaves is for a fresh CMA-ES with BIPOP restarts whose generations are
ranked by a quadratic model (Hansen, GECCO 2019, doi:10.1145/3321707.3321842). Nothing else is handed over: a CMA-ES
that starts where SLSQP ended stays in that basin.

This is a portfolio, not a new method: both are described where they live, and `details` says what each did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine import registry
from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.pending import Pending
from optengine.core.space import REAL, Batch
from optengine.solvers.evolution.cmaes import (
    CMAES,
    SepCMAES,
    check_options,
    free_columns,
    free_kinds,
    refuses_structure,
)

if TYPE_CHECKING:
    from optengine.core.problem import Problem

LARGEST_MODELLED = (
    200  # columns beyond which no matrix is kept: L-BFGS-B, no surrogate, a diagonal covariance
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hybrid:
    """SLSQP, then BIPOP lq-CMA-ES: for one objective of real numbers that costs a millisecond or more.

    Overhead some 0.2 ms an evaluation at d = 5, 1 ms at d = 20, 5 ms at d = 30; points come one by one, more of them
    together fill generations and further starts. Under noise (`noisy=True`) there is no SLSQP: differences of noisy
    values are no gradients. Observed constraints are SLSQP's own and ranked by CMA-ES, which then has no surrogate.

    Attributes:
        starts: of SLSQP, before CMA-ES: the first at the best point known (x0, data), else in the middle; 0 for none.
        sigma, population: of CMA-ES.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    starts: int = 1
    sigma: float = 0.2
    population: int | None = None

    def __post_init__(self) -> None:
        check_options(self.sigma, self.population, "bipop")
        if isinstance(self.starts, bool) or not isinstance(self.starts, (int, np.integer)) or self.starts < 0:
            raise OptionError(f"starts must be an integer >= 0, got {self.starts!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, and columns that are not real numbers."""
        reason = refuses_structure(problem)
        if reason is None and not free_kinds(problem) <= {REAL}:
            return "it moves real numbers only; cmaes takes integers and categories"
        return reason

    def start(self, problem: Problem, rng: Generator) -> HybridRun:
        """Return a new run."""
        return HybridRun(self, problem, rng)


class HybridRun:
    """State of one run: the local run while it lasts, and the global one.

    Attributes:
        batch: 1, so that every point is chosen with all that is known.
    """

    batch = 1

    def __init__(self, options: Hybrid, problem: Problem, rng: Generator) -> None:
        streams = rng.spawn(2)
        self._local: Any = None
        self._method = ""
        if options.starts and not problem.noisy:
            wide = free_columns(problem) > LARGEST_MODELLED and not problem.n_constraints
            self._method = "lbfgsb" if wide else "slsqp"
            self._local = registry.make(self._method, {"starts": options.starts}).start(problem, streams[0])
        self._first = self._local
        self._global = _strategy(options, problem).start(problem, streams[1])
        self._owners = Pending()

    @property
    def details(self) -> dict[str, Any]:
        """What each of the two did."""
        first = {} if self._first is None else {self._method: self._first.details}
        return {**first, "cmaes": self._global.details}

    def ask(self, n: int | None = None) -> Batch:
        """Return the next n points (n, width): those SLSQP waits for, then those of CMA-ES; None: one."""
        n = self.batch if n is None else n
        k = 0 if self._local is None else min(n, self._local.waiting)
        parts = [self._local.ask(k)] if k else []
        if k < n:
            parts.append(self._global.ask(n - k))
        X = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._owners.add(X, [i < k for i in range(n)])
        return X

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width): each method those of its own points, both those of nobody."""
        owners = self._owners.take(X)
        local = np.array([owner is not False for owner in owners], dtype=bool)
        foreign = np.array([owner is None for owner in owners], dtype=bool)
        if self._local is not None and local.any():
            told = evaluation.take(local)
            self._local.tell(X[local], told)
            self._global.floor = min(self._global.floor, float(told.F[~told.failed, 0].min(initial=np.inf)))
            if self._local.finished:
                self._local = None
        rest = ~local | foreign
        if rest.any():
            self._global.tell(X[rest], evaluation.take(rest))


def _strategy(options: Hybrid, problem: Problem) -> CMAES | SepCMAES:
    if free_columns(problem) > LARGEST_MODELLED:
        return SepCMAES(sigma=options.sigma, population=options.population)
    surrogate = problem.n_constraints == 0
    return CMAES(sigma=options.sigma, population=options.population, surrogate=surrogate)
