"""Local search for multi-dimensional knapsacks, led by the prices of the linear relaxation, which also bounds it."""

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

SEED = 2**31
PATIENCE = 3000  # rounds without a better home before the best of the stage is home again
STAGE = 20_000  # rounds before the search begins anew, every other time from the best point
HEATS = (1.0, 0.3, 3.0, 10.0)  # temperatures of the stages, in turn, in units of `temperature`


@dataclass(frozen=True, slots=True, kw_only=True)
class KnapsackSearch:
    """Drop, fill and exchange on a Knapsack, with the bound of its linear relaxation.

    Update: home <- a few items dropped, filled up in the order of profit per price, improved by exchanges one for one
    in the core; accepted if no worse, or by a loss below the temperature times a standard exponential. After 20 000
    rounds it begins anew, every other time from the best point, at 1, 0.3, 3 and 10 times `temperature` in turn.
    Puchinger, Raidl, Pferschy 2010, doi:10.1287/ijoc.1090.0344, on cores. A round costs some 5 microseconds at 100
    items and counts as n evaluations.

    Attributes:
        core: items of the core, those whose reduced costs are the smallest, >= 2. None: 20 + n / 5.
        temperature: mean loss accepted, in units of the mean profit, >= 0 and <= 10.
        relaxation: whether to solve the linear relaxation; without it items are ordered by profit per scaled weight,
            and there is no bound.
        pool: distinct good points kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    core: int | None = None
    temperature: float = 0.1
    relaxation: bool = True
    pool: int = 10

    def __post_init__(self) -> None:
        check_count("core", self.core, 2, optional=True)
        check_share("temperature", self.temperature, 10.0)
        check_count("pool", self.pool)

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a Knapsack."""
        from optengine.problems.knapsack import Knapsack

        return None if isinstance(problem, Knapsack) else "it reads the weights of a Knapsack"

    def start(self, problem: Problem, rng: Generator) -> KnapsackRun:
        """Return a new run."""
        return KnapsackRun(self, problem, rng)


class KnapsackRun:
    """State of one run: the order of the items, home and best."""

    def __init__(self, options: KnapsackSearch, problem: Any, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._pool = Pool(problem, options.pool)
        self._core, self._relaxed, self._n_stages = 0, np.nan, 0

    def warm_up(self) -> None:
        """Compile or load the kernel."""
        from optengine.kernels.knapsack import STATE, search_knapsack

        one = np.zeros(1, dtype=np.int64)
        search_knapsack(
            np.ones(1), np.ones((1, 1)), 0, 1, 0.0, 1, one.copy(), np.ones(2), np.zeros(STATE, dtype=np.int64),
            np.zeros(2), one.copy(), one.copy(), 1,
        )  # fmt: skip

    @property
    def details(self) -> dict[str, Any]:
        """The pool, the size of the core, and the value of the relaxation."""
        return {"pool": self._pool.details(), "core": self._core, "relaxation": self._relaxed}

    def search(self, control: Control) -> None:
        """Search until told to stop."""
        from optengine.kernels import knapsack as kernel

        problem, n = self._problem, self._problem.n_variables
        order, low, high = self._ordered(control)
        profits = np.ascontiguousarray(problem.profits[order])
        weights = np.ascontiguousarray(problem.weights[:, order].T)
        m = weights.shape[1]
        chosen = np.zeros(n, dtype=np.int64)
        home, best = chosen.copy(), chosen.copy()
        slack = np.r_[problem.capacities, problem.capacities].astype(np.float64)
        if (problem.capacities < 0).any():
            control.incumbent(np.zeros(n))
            control.conclude("infeasible", "a capacity is negative, and no weight is")  # type: ignore[attr-defined]
            return
        for x in [] if control.x0 is None else np.rint(control.x0).astype(np.int64):
            if float(problem.evaluate(x[None].astype(np.float64)).violation[0]) <= 0:
                home[:] = best[:] = x[order]
                break
        worth = profits > 0
        value = np.array([float(profits @ home)] * 2)
        state = np.zeros(kernel.STATE, dtype=np.int64)
        state[kernel.SEED] = int(self._rng.integers(SEED))
        temperature = self._options.temperature * float(np.abs(profits).mean())
        top, top_value, left = best.copy(), value[1], STAGE
        pieces = Pieces(control, n, 2e-6 + 1e-9 * (high - low) ** 2 + 4e-9 * n * m)
        told, back = -np.inf, np.argsort(order)
        while True:
            if value[1] > top_value:
                top, top_value = best.copy(), value[1]
            if top_value > told:
                told = top_value
                self._pool.add(top[back], -told)
                control.incumbent(top[back].astype(np.float64))
            if not left:
                left, self._n_stages = STAGE, self._n_stages + 1
                home[:] = top if self._n_stages % 2 else 0
                best[:] = home
                value[:] = profits @ home
            steps = pieces.steps(left)
            if not steps:
                return
            heat = temperature * HEATS[self._n_stages // 2 % len(HEATS)]
            kernel.search_knapsack(
                profits, weights, low, high, heat, PATIENCE, chosen, slack, state, value, home, best, steps
            )
            pieces.took(steps)
            left -= steps
            self._pool.add(home[back], -value[0])
            if not worth.any():
                control.conclude("converged", "no item has a profit")  # type: ignore[attr-defined]
                return

    def _ordered(self, control: Control) -> tuple[Integers, int, int]:
        """The items by profit per price, best first, and the core among them."""
        from optengine.solvers.combinatorial.relaxed import relax, rounded_up

        problem, n = self._problem, self._problem.n_variables
        prices = 1.0 / np.maximum(problem.capacities, 1e-9)
        if self._options.relaxation:
            left: float | None = getattr(control, "seconds_left", None)
            relaxed = relax(problem.model, np.inf if left is None else max(0.01, left / 2))
            whole = bool((problem.profits == np.rint(problem.profits)).all())
            if np.isfinite(relaxed.bound):
                control.bound(rounded_up(relaxed.bound, whole))
                self._relaxed = -relaxed.bound
            prices = relaxed.prices if relaxed.prices.any() else prices
        cost = problem.weights.T @ prices
        efficiency = problem.profits / np.maximum(cost, 1e-12)
        order = np.argsort(-efficiency, kind="stable")
        margin = np.abs(problem.profits - cost)[order]
        size = min(n, self._options.core or 20 + n // 5)
        middle = int(np.argmin(margin))
        low = max(0, min(middle - size // 2, n - size))
        self._core = size
        return order, low, low + size
