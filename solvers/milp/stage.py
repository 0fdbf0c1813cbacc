"""One call of a backend after the other, within the limits of the run."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.linear import solve_linear
from optengine.backends.terms import BACKENDS, LinearResult, LinearStatus
from optengine.core.linear import LinearModel
from optengine.solvers.milp.reporting import Desk

Floats = NDArray[np.float64]

LEAST = 1e-3  # seconds given to a call


class Stage:
    """Solves models of one run: restricted ones, whose points count and whose bounds do not, and the whole one.

    Attributes:
        desk: where points and bounds go.
    """

    def __init__(
        self, model: LinearModel, desk: Desk, backend: str, threads: int, gap: float, rng: Generator
    ) -> None:
        self.desk = desk
        self._n, self._backend, self._threads, self._gap, self._rng = (
            model.n_variables,
            backend,
            threads,
            gap,
            rng,
        )
        self._until = np.inf

    def reserve(self, share: float) -> None:
        """From now on use a share of the seconds that are left."""
        self._until = time.perf_counter() + share * self.desk.seconds_left

    @property
    def seconds(self) -> float:
        """Seconds left of what was reserved."""
        return max(0.0, self._until - time.perf_counter())

    @property
    def over(self) -> bool:
        """Whether the reserved time, or the run, is over."""
        return self.seconds <= 0 or self.desk.stop()

    def solve(
        self,
        model: LinearModel,
        *,
        whole: bool = False,
        seconds: float = np.inf,
        hint: Floats | None = None,
        nodes: int | None = None,
        patience: float = np.inf,
    ) -> LinearResult:
        """Solve a model; `whole` says that it is the run's own, so that its bound counts.

        Args:
            seconds, nodes: limits of this call. hint: where to start; default the incumbent.
            patience: seconds after which the call ends if the run has no incumbent.
        """
        desk, end = self.desk, time.perf_counter() + patience
        limits: dict[str, Any] = {
            "gap": self._gap,
            "threads": self._threads,
            "seed": int(self._rng.integers(2**31)),
        }
        seconds = min(seconds, self.seconds)
        if np.isfinite(seconds):
            limits["time_limit"] = max(seconds, LEAST)
        if BACKENDS[self._backend].nodes:
            given = [n for n in (nodes, desk.nodes_left) if n is not None]
            limits["nodes"] = min(given) if given else None
        if hint is None and desk.best is not None and self._fits(model, desk.best):
            hint = desk.best
        result = solve_linear(
            model,
            backend=self._backend,
            hint=hint,
            incumbent=desk.incumbent,
            bound=desk.prove if whole else None,
            stop=lambda: desk.stop() or (desk.best is None and time.perf_counter() > end),
            **limits,
        )
        desk.spend(self._spent(result, nodes))
        if result.x is not None:
            desk.incumbent(result.x)
        if whole:
            desk.prove(result.bound)
        return result

    def _spent(self, result: LinearResult, nodes: int | None) -> int:
        """Nodes that a call counts for: all that were left where the budget of the run ended it."""
        left = self.desk.nodes_left
        ended = result.status in (LinearStatus.FEASIBLE, LinearStatus.UNKNOWN) and self.seconds > LEAST
        own = nodes is not None and (left is None or nodes < left)
        return (
            left if ended and left is not None and not own and BACKENDS[self._backend].nodes else result.nodes
        )

    def _fits(self, model: LinearModel, x: Floats) -> bool:
        return float(model.violation(x)) <= 1e-9
