"""Job shops by CP-SAT's interval variables: incumbents, bounds, proofs (Perron, Didier, Gay, CP 2023)."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.core.errors import require
from optengine.core.solver import Control
from optengine.solvers.combinatorial.pieces import check_count

if TYPE_CHECKING:
    from optengine.core.problem import Problem

WORKERS = 8  # the mix of strategies that CP-SAT is made for, whatever the number of processors
LOOK = 0.02  # seconds between two looks at incumbents and limits
WHOLE = 1e6  # durations that are not whole are taken in units of the longest by this


@dataclass(frozen=True, slots=True, kw_only=True)
class JobShopExact:
    """CP-SAT on a JobShop. Incumbents count as evaluations; without limits it runs to the proof.

    Attributes:
        workers: subsolvers of CP-SAT, >= 1. None: 8, or the run's threads if there are more; one is far weaker.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = False
    needs_limit: ClassVar[bool] = False

    workers: int | None = None

    def __post_init__(self) -> None:
        check_count("workers", self.workers, optional=True)

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a JobShop."""
        from optengine.problems.job_shop import JobShop

        return None if isinstance(problem, JobShop) else "it reads the machines and durations of a JobShop"

    def start(self, problem: Problem, rng: Generator) -> JobShopRun:
        """Return a new run."""
        return JobShopRun(self, problem, rng)


class JobShopRun:
    """One model handed to CP-SAT in a thread."""

    def __init__(self, options: JobShopExact, problem: Any, rng: Generator) -> None:
        self._workers, self._problem = options.workers, problem
        self._seed = int(rng.integers(2**31))
        whole = bool((problem.durations == np.rint(problem.durations)).all())
        self._unit = 1.0 if whole else float(problem.durations.max()) / WHOLE
        self._whole = whole
        self.details: dict[str, Any] = {}

    def warm_up(self) -> None:
        """Load the library and compile the evaluation."""
        require("ortools.sat.python.cp_model", extra="exact")
        self._problem.evaluate(np.arange(self._problem.machines.size, dtype=np.float64)[None])

    def search(self, control: Control) -> None:
        """Search, and report what CP-SAT finds; see the class."""
        cp = require("ortools.sat.python.cp_model", extra="exact")
        problem = self._problem
        model, starts = self._model(cp)
        best = control.x0[0] if control.x0 is not None else np.arange(problem.machines.size, dtype=np.float64)
        control.incumbent(best)
        control.spend(1)
        for variable, time in zip(starts.ravel(), problem.starts(best).ravel(), strict=True):
            model.add_hint(variable, round(time / self._unit))
        found: queue.SimpleQueue[Any] = queue.SimpleQueue()

        class Listener(cp.CpSolverSolutionCallback):  # type: ignore[misc, name-defined]
            def on_solution_callback(self) -> None:
                found.put(np.array([[self.value(v) for v in row] for row in starts], dtype=np.float64))

        solver = cp.CpSolver()
        solver.parameters.num_workers = self._workers or max(WORKERS, control.threads)
        solver.parameters.random_seed = self._seed
        solver.parameters.catch_sigint_signal = False  # its handler would take Ctrl-C away from Python
        bounds: queue.SimpleQueue[float] = queue.SimpleQueue()
        solver.best_bound_callback = bounds.put
        status: list[Any] = []
        thread = threading.Thread(target=lambda: status.append(solver.solve(model, Listener())), daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(LOOK)
                self._report(control, found, bounds)
                if control.stop():
                    solver.stop_search()
                    thread.join()
        except BaseException:
            solver.stop_search()
            thread.join()
            raise
        self._report(control, found, bounds)
        self.details = {"branches": int(solver.num_branches)}
        if status and status[0] == cp.OPTIMAL and self._whole:
            control.bound(float(solver.best_objective_bound))

    def _report(self, control: Control, found: Any, bounds: Any) -> None:
        while not found.empty():
            begun = found.get() * self._unit
            if not control.stop():
                control.spend(1)
                control.incumbent(self._problem.order(begun).astype(np.float64))
        while not bounds.empty():
            bound = bounds.get()
            if self._whole:
                control.bound(float(np.ceil(bound - 1e-6)))

    def _model(self, cp: Any) -> tuple[Any, Any]:
        """The model, and the variables (n_jobs, m) of the starts."""
        problem, model = self._problem, cp.CpModel()
        durations = np.rint(problem.durations / self._unit).astype(np.int64)
        horizon = int(durations.sum())
        n, m = durations.shape
        starts = np.array(
            [[model.new_int_var(0, horizon, "") for _ in range(m)] for _ in range(n)], dtype=object
        )
        on: list[list[Any]] = [[] for _ in range(m)]
        end = model.new_int_var(0, horizon, "")
        for j in range(n):
            for k in range(m):
                length = int(durations[j, k])
                on[problem.machines[j, k]].append(model.new_fixed_size_interval_var(starts[j, k], length, ""))
                model.add((starts[j, k + 1] if k + 1 < m else end) >= starts[j, k] + length)
        for intervals in on:
            model.add_no_overlap(intervals)
        model.minimize(end)
        return model, starts
