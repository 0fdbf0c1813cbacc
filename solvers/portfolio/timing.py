"""A run of which only the length is known: the first points are timed, and the rest is chosen by how many fit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator

from optengine import registry, rules
from optengine.core.evaluation import Evaluation
from optengine.core.pending import Pending
from optengine.core.solver import StopAsking
from optengine.core.space import Batch
from optengine.solvers.portfolio.relaying import foreign

if TYPE_CHECKING:
    from optengine.core.problem import Problem

TIMED = 3  # evaluations that are timed; the first one of a process often loads something
OVERHEAD = 2e-5  # seconds a candidate spends outside the objective, at least


class TimedRun:
    """State of one run.

    Attributes:
        batch: 1, so that the clock is looked at as early as possible.
        replayable: False, as seconds decide.
    """

    batch = 1
    replayable = False

    def __init__(self, problem: Problem, rng: Generator, seconds: float, workers: int) -> None:
        self._problem, self._seconds, self._workers = problem, seconds, workers
        streams = rng.spawn(2)
        even = "random" if problem.space.constrained else "sobol"
        self._run: Any = registry.make(even).start(problem, streams[0])
        self._rng = streams[1]
        self._began: float | None = None
        self._each: list[float] = []  # seconds of evaluations
        self._asked, self._owners = 0, Pending()
        self._told: list[tuple[Batch, Evaluation]] = []
        self._chosen = ""
        self.reason = ""

    @property
    def details(self) -> dict[str, Any]:
        """The solver chosen, and its own details."""
        own = getattr(self._run, "details", None)
        return {"chosen": self._chosen or None} | (dict(own) if isinstance(own, dict) else {})

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width): the first ones spread evenly, the others of the solver chosen."""
        if self._began is None:
            self._began = time.perf_counter()
        n = self.batch if n is None else n
        if not self._chosen and len(self._each) >= TIMED:
            self._choose()
        try:
            X: Batch = np.array(self._run.ask(n))
        except StopAsking:
            if self._chosen or not self._each:
                raise
            self._choose()
            X = np.array(self._run.ask(n))
        self._owners.add(X, [bool(self._chosen)] * len(X))
        self._asked += len(X)
        return X

    def _choose(self) -> None:
        """Choose by how many evaluations fit into what is left, and hand over what is known."""
        assert self._began is not None
        left = max(0.0, self._seconds - (time.perf_counter() - self._began))
        each = float(np.median(self._each))
        fit = int(self._workers * left / max(each, OVERHEAD))
        choice = rules.plan(self._problem, self._asked + fit, self._workers, seconds=each)
        self._chosen = choice.solver
        self.reason = f"{each:.2g} s an evaluation, so that {self._asked + fit} fit: {choice.reason}"
        self._run = registry.make(choice.solver, choice.options).start(self._problem, self._rng)
        X = np.concatenate([rows for rows, _ in self._told])
        self._run.tell(X, foreign(Evaluation.concatenate([told for _, told in self._told])))
        self._told.clear()

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width)."""
        if not self._chosen:
            self._told.append((X.copy(), evaluation))
            self._note_seconds(evaluation)
        late = np.array([bool(self._chosen) and owner is False for owner in self._owners.take(X)], dtype=bool)
        if late.any():  # asked before the choice, told after it
            self._run.tell(X[late], foreign(evaluation.take(late)))
        if not late.all():
            self._run.tell(X[~late], evaluation.take(~late))

    def _note_seconds(self, evaluation: Evaluation) -> None:
        """Seconds as the engine measured them; where the user evaluates, the clock since the points were asked."""
        if evaluation.ids is not None and (evaluation.ids < 0).all():
            return  # known before: nobody was waited for
        if evaluation.seconds is not None and np.isfinite(evaluation.seconds).all():
            self._each += evaluation.seconds.tolist()
        elif self._began is not None:
            passed = time.perf_counter() - self._began
            self._each += [passed / max(1, self._asked)] * len(evaluation)
