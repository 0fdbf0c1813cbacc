"""The run of the BoTorch engine: fit, build the acquisition function, search it, one point after another.

Everything is maximised and standardised inside. Rows that failed stay out of the model and teach a second one where
evaluations succeed; rows asked and not told yet are pending in every acquisition function.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.repair import Repair
from optengine.core.evaluation import Evaluation
from optengine.core.solver import StopAsking
from optengine.core.space import Batch
from optengine.solvers.bayes.design import Design, n_initial
from optengine.solvers.bayes.told import Told
from optengine.solvers.bayes.torch_plan import plan_for
from optengine.surrogates.botorch_support import calm, require_torch

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.bayes.bo import BO

Floats = NDArray[np.float64]


class TorchRun:
    """State of one run: what was told, the hyperparameters of the last fit, the stream of random numbers."""

    replayable = False  # torch's sums depend on threads, and repeated asks would cost what they cost at first

    def __init__(self, options: BO, problem: Problem, rng: Generator) -> None:
        require_torch()
        self.batch = options.batch
        self._plan = plan_for(options, problem)
        self._options, self._problem, self._space, self._rng = options, problem, problem.space, rng
        self._repair = Repair(problem.space)
        self._told = Told(problem.space, problem.n_objectives, problem.n_constraints)
        self._costs_told = np.empty(0)
        self._design = Design(problem.space, rng, self._repair)
        self._n_initial = n_initial(problem.space, options.n_initial)
        self._first: list[Batch] | None = None  # over all fidelities; None before they are drawn
        self._engine: Any = None

    # -- the contract ------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Return the next n points (n, width).

        Raises:
            StopAsking: every point of a discrete space has been asked.
        """
        n = self.batch if n is None else n
        deadline = time.monotonic() + (self._options.max_ask_seconds or np.inf)
        rows: list[Batch] = []
        with calm(self._plan.torch.threads, seed=int(self._rng.integers(2**31))):
            while len(rows) < n:
                row = self._one(deadline)
                if row is None:
                    break
                rows.append(row[0])
                self._told.asked(row)
        if not rows:
            raise StopAsking
        return np.array(rows)

    def pend(self, X: Batch) -> None:
        """Note rows (n, width) that somebody else is evaluating."""
        self._told.asked(X)

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width)."""
        first = not len(self._told) and not len(self._told.pending)
        self._told.tell(X, evaluation)
        self._note_task(first, evaluation)
        cost = np.full(len(X), np.nan) if evaluation.cost is None else evaluation.cost
        self._costs_told = np.concatenate([self._costs_told, cost])
        if self._space.fidelity:
            self.engine.costs.learn(self._told.X, self._costs_told)
        self.engine.told()

    def _note_task(self, first: bool, evaluation: Evaluation) -> None:
        """Under surrogate "multitask" values given as `data=` are another task; they come first, without seconds."""
        if self._plan.surrogate != "multitask":
            return
        given = (
            first and evaluation.ids is not None and (evaluation.ids < 0).all() and evaluation.seconds is None
        )
        tasks = np.full(len(evaluation), int(given), dtype=np.int64)
        known = self.engine.tasks
        self.engine.tasks = tasks if known is None else np.concatenate([known, tasks])

    @property
    def engine(self) -> Any:
        if self._engine is None:
            from optengine.solvers.bayes.torch_engine import Engine

            self._engine = Engine(self._plan, self._problem, self._told, self._repair, self._rng)
        return self._engine

    # -- one point ---------------------------------------------------------------------------------------------

    def _one(self, deadline: float) -> Batch | None:
        """Return the next point (1, width): of the design, or of the model; None where the space is used up."""
        engine = self.engine
        begun = len(self._told) + len(self._told.pending)
        if self._plan.lower:
            row = self._begun_below()
            if row is not None:
                return row
        if (not self._plan.lower and begun < self._n_initial) or not engine.ready:
            return self._designed()
        at_target = self._plan.lower and self._schedule.due(self._told.X[:1])
        row = engine.propose(deadline, at_target)
        if row is None:
            return None
        row = np.asarray(self._repair.repair(np.array(row), self._rng))
        if self._plan.lower:
            self._schedule.asked(row)
        return row

    def _designed(self) -> Batch | None:
        """A point of the design that was not asked before; None where a discrete space is used up."""
        row = self._design.draw(1, self._told)
        if self._told.seen(row)[0] and not self._problem.noisy:
            from optengine.solvers.bayes.torch_search import enumerate_space

            points = enumerate_space(self._space, self._repair, True)
            if points is not None:
                left = points[~self._told.seen(points)]
                return left[[int(self._rng.integers(len(left)))]] if len(left) else None
        return row

    def _begun_below(self) -> Batch | None:
        """The next of the first points, at the cheapest fidelity, or None after the last."""
        from optengine.solvers.bayes.fidelity import at

        if self._first is None:
            points = self._design.draw(2 * self._n_initial, self._told)
            levels = self._schedule.first(self._n_initial, points[:1])
            self._first = [at(row[None, :], level) for row, level in zip(points, levels, strict=False)]
            if len(self._told):
                self._first = []
        if not self._first:
            return None
        row = np.asarray(self._repair.repair(self._first.pop(0), self._rng))
        self._schedule.asked(row)
        return row

    @property
    def _schedule(self) -> Any:
        return self.engine.schedule

    # -- what the model thinks ---------------------------------------------------------------------------------

    @property
    def details(self) -> dict[str, Any]:
        """The names of model and acquisition, and the best point by the model's mean (or risk) among those told."""
        found: dict[str, Any] = {
            "engine": "botorch",
            "surrogate": self._plan.surrogate,
            "acquisition": self._plan.acquisition,
        }
        if self._engine is None or self._problem.n_objectives > 1 or not self._engine.ready:
            return found
        with calm(self._plan.torch.threads, seed=0):
            best = self._engine.recommended()
        if best is not None:
            row, value = best
            found["recommended"] = self._space.decode_one(row)
            found["recommended_value"] = value * float(self._problem.signs[0])
        return found
