"""What a run that searches by itself sees of the engine."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import EvaluationFailed
from optengine.core.result import Status

if TYPE_CHECKING:
    from optengine.engine.session import Session

Floats = NDArray[np.float64]


class SearchControl:
    """The `Control` of a session: budget, clock, incumbent and journal for a searching run.

    Attributes:
        rng: the run's random numbers. device: "auto", "cpu" or "cuda". threads: how many the run may use.
        x0: (k, width) starting points, best first, or None: the user's, and the journaled incumbent on resume.
    """

    def __init__(self, session: Session, watch: Callable[[], bool]) -> None:
        self._session, self._watch = session, watch
        self.rng = session.rng
        self.device = session.setup.device
        self.threads = session.setup.workers if session.setup.workers > 1 else (os.cpu_count() or 1)
        self._ended: Status | None = None
        self._concluded: tuple[Status, str] | None = None
        self._stopped_by_watcher = False
        self.x0 = self._starting_points()

    def _starting_points(self) -> Floats | None:
        """Evaluate the user's x0, so that the result is never worse; a journaled incumbent goes first."""
        session, points = self._session, []
        if session.incumbent.x is not None:
            points.append(session.incumbent.x[None, :])
        if session.setup.x0 is not None:
            for row in session.repaired(session.setup.x0):
                self.incumbent(row)
            points.append(session.repaired(session.setup.x0))
            if session.incumbent.x is not None:
                points.insert(0, session.incumbent.x[None, :])
        return np.unique(np.concatenate(points), axis=0) if len(points) > 1 else points[0] if points else None

    def incumbent(self, x: Floats) -> float | None:
        """Evaluate one point; returns its value, minimising, if it is the new incumbent, else None."""
        session = self._session
        X = session.repaired(np.array(x, dtype=np.float64).reshape(1, -1))
        evaluation = session.problem.evaluate(X)
        if evaluation.failed[0] and not session.setup.catch:
            seen = session.space.decode_one(X[0])
            raise EvaluationFailed(
                f"the objective gave no value at {seen!r}, which the solver holds good", seen
            )
        if not copy.copy(session.incumbent).update(X, evaluation):
            return None
        if session.journal is not None:
            ids = session._hand_out(X, "search", None, None).ids
            session.journal.finished(ids, evaluation, {})
        else:
            ids = np.array([session.next_id])
            session.next_id += 1
        session.enter(ids, X, evaluation, session.clock.seconds)
        self._watched()
        return float(evaluation.F[0, 0])

    def bound(self, value: float) -> None:
        """Report a proved bound, minimising; only improvements count."""
        session = self._session
        if session.bound is None or value > session.bound:
            session.bound = float(value)
            self._watched()

    def spend(self, n: int) -> None:
        """Count n evaluations of moves or nodes."""
        self._session.spent.evaluations += int(n)

    @property
    def remaining(self) -> int | None:
        """Evaluations left in the budget, None without one."""
        return self._session.remaining()

    @property
    def seconds_left(self) -> float | None:
        """Seconds left, None without a time limit."""
        limit = self._session.setup.limits.time_limit
        return None if limit is None else max(0.0, limit - self._session.clock.seconds)

    def stop(self) -> bool:
        """Whether the run must end now."""
        if self._ended is None:
            self._ended = Status.STOPPED if self._stopped_by_watcher else self._session.reached()
        return self._ended is not None

    def conclude(self, status: str, message: str = "") -> None:
        """State how the search ended by itself: "optimal", "infeasible", "unbounded" or "converged"."""
        self._concluded = (Status(status), message)

    def outcome(self) -> tuple[Status, str]:
        """Status and message of the finished search."""
        session = self._session
        if self._concluded is not None:
            return self._concluded
        best, bound = session.incumbent, session.bound
        if bound is not None and best.feasible and best.f - bound <= 1e-9 * max(1.0, abs(best.f)):
            return Status.OPTIMAL, "the bound meets the incumbent"
        self.stop()
        return self._ended or Status.CONVERGED, ""

    def _watched(self) -> None:
        if self._watch():
            self._stopped_by_watcher = True
