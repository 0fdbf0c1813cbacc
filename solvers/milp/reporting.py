"""Between a backend, which speaks of the minimised model, and the engine, which evaluates the problem."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.backends.polish import completed
from optengine.backends.terms import LinearResult, LinearStatus
from optengine.core.solver import Control
from optengine.problems.milp import MILP

Floats = NDArray[np.float64]

AHEAD = 0.05  # seconds
CLOSE = 1e-6  # relative: a bound this near to the incumbent meets it; backends keep rows to 1e-6


class Desk:
    """Hands a run's incumbents and bounds to the engine and answers when to stop.

    Attributes:
        best, value: the incumbent (n,) that the engine accepted, and its minimised value without the constant.
        bound: the best proved bound on the whole problem, in the same measure.
    """

    def __init__(self, problem: MILP, control: Control) -> None:
        self._problem, self._control = problem, control
        self.best: Floats | None = None
        self.value, self.bound = np.inf, -np.inf
        if control.x0 is not None and len(control.x0):
            evaluation = problem.evaluate(control.x0)
            good = np.flatnonzero(evaluation.feasible())
            if len(good):
                first = int(good[np.argmin(evaluation.F[good, 0])])
                self.best = np.array(control.x0[first])
                self.value = float(evaluation.F[first, 0]) - problem.shift

    @property
    def seconds_left(self) -> float:
        """Seconds left of the time limit, infinite without one."""
        left = getattr(self._control, "seconds_left", None)
        return np.inf if left is None else float(left)

    @property
    def nodes_left(self) -> int | None:
        left = getattr(self._control, "remaining", None)
        return None if left is None else int(left)

    def stop(self) -> bool:
        return self._control.stop()

    def close(self) -> None:
        """Wait for the clock of the run where a backend's own was a moment ahead, so that the run ends by its limit."""
        while not self.stop() and 0 < self.seconds_left < AHEAD:
            time.sleep(1e-3)

    def spend(self, nodes: int) -> None:
        """Count nodes as evaluations, at least one a call of a backend, at most what the budget has left."""
        left = self.nodes_left
        self._control.spend(max(1, nodes) if left is None else min(max(1, nodes), left))

    def incumbent(self, x: Floats, _: float = 0.0) -> None:
        """Offer a backend's point; where rounding broke it, its real variables are chosen anew."""
        if not self._problem.evaluate(x[None, :]).feasible()[0]:
            repaired = completed(self._problem.model, x, min(self.seconds_left, 1.0) or 1e-3)
            x = x if repaired is None else repaired
        found = self._control.incumbent(x)
        if found is None:
            return
        value = found - self._problem.shift
        if value < self.value and self._problem.evaluate(x[None, :]).feasible()[0]:
            self.best, self.value = np.array(x), value

    def prove(self, value: float) -> None:
        """Report a proved bound of the whole problem."""
        if value > self.bound and np.isfinite(value):
            self.bound = value
            self._control.bound(min(value, self.value) + self._problem.shift)

    def take(self, result: LinearResult) -> None:
        """Take in the answer of a backend that had the whole problem."""
        if result.x is not None:
            self.incumbent(result.x)
        self.prove(result.bound)

    def conclude(self, result: LinearResult, gap: float = 0.0, why: str = "") -> bool:
        """State how the run ended if the backend's answer for the whole problem decides it; `why` it is infeasible."""
        who = result.message or result.backend
        conclude: Any = getattr(self._control, "conclude", lambda *_: None)
        if result.status is LinearStatus.OPTIMAL and self.best is not None:
            within = CLOSE * max(1.0, abs(self.value)) + gap * abs(self.value)
            if self.value - result.bound <= within:
                conclude("optimal", f"proved by {who}")
                return True
        if result.status is LinearStatus.INFEASIBLE and self.best is None:
            conclude("infeasible", f"no point keeps all rows, bounds and whole numbers: proved by {who}{why}")
            return True
        if result.status is LinearStatus.UNBOUNDED:
            conclude("unbounded", f"the objective has no limit: proved by {who}")
            return True
        return False
