"""What a run that searches by itself sees of the engine."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import EvaluationFailed
from optengine.core.evaluation import Evaluation
from optengine.core.result import Status
from optengine.engine.evaluator import failure_of, refuse_missing
from optengine.engine.threads import available

if TYPE_CHECKING:
    from optengine.engine.session import Session

Floats = NDArray[np.float64]

WATCH_SECONDS = (
    0.5  # callbacks and progress bar see a search at least so often, as long as it asks whether to stop
)


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
        self.threads = session.setup.workers if session.setup.workers > 1 else available()
        self._ended: Status | None = None
        self._concluded: tuple[Status, str] | None = None
        self._stopped_by_watcher = False
        self._watched_at = time.perf_counter()
        self.x0 = self._starting_points()

    def _starting_points(self) -> Floats | None:
        """Evaluate the user's x0, so that the result is never worse; a journaled incumbent goes first."""
        session, points = self._session, []
        if session.setup.x0 is not None:
            points = list(session.repaired(session.setup.x0))
            for row in points:
                self.incumbent(row)
        if session.incumbent.x is not None:
            points.insert(0, session.incumbent.x)
        if not points:
            return None
        first = np.unique(points, axis=0, return_index=True)[1]  # each point once, in the order given
        return np.array(points)[np.sort(first)]

    def incumbent(self, x: Floats) -> float | None:
        """Evaluate one point; returns its value, minimising, if it is the new incumbent, else None."""
        session = self._session
        X = session.repaired(np.array(x, dtype=np.float64).reshape(1, -1))
        evaluation = self._evaluated(X)
        counts = session.space.at_target(X) if session.space.fidelity else None
        if evaluation is None or not copy.copy(session.incumbent).update(X, evaluation, counts):
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

    def _evaluated(self, X: Floats) -> Evaluation | None:
        """Evaluate one row; None where it failed and `catch` covers that."""
        problem, catch = self._session.problem, self._session.setup.catch
        try:
            evaluation = problem.evaluate(X)
        except EvaluationFailed as error:
            failure_of(problem, error, catch)
            return None
        if evaluation.failed[0] and not catch:
            raise refuse_missing(problem, "the objective gave no value", X[0])
        return None if evaluation.failed[0] else evaluation

    def propose(self, x: Floats, violation: float = 0.0, message: str = "") -> None:
        """Give the point (width,) that stands as x without a value: the end of a search that evaluates nothing."""
        self._session.proposal = np.array(x, dtype=np.float64), float(violation)
        self.conclude(Status.UNVERIFIED, message)

    def bound(self, value: float) -> None:
        """Report a proved bound, minimising; only improvements count."""
        session = self._session
        if value == value and (session.bound is None or value > session.bound):
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
        """Whether the run must end now; the watchers look too, at most every so often."""
        if self._watched_at + WATCH_SECONDS < time.perf_counter():
            self._watched()
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
        self._watched_at = time.perf_counter()
        if self._watch():
            self._stopped_by_watcher = True
