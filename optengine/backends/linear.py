"""One door to every exact solver of linear models: `solve_linear`.

A backend runs in a thread or in a process of its own (`running`), so that callbacks come in the caller's thread and
Ctrl-C, `stop` and the time limit are obeyed within a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.backends.running import run, run_here
from optengine.backends.terms import Limits, LinearResult, LinearStatus, Task, check_backend, refusal
from optengine.core.errors import ProblemError
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]
Callback = Callable[[Floats, float], Any]  # (incumbent x, its value), as soon as the backend shows it

TOLERANCE = 1e-6  # feasibility tolerance of the backends; a hint within it counts as feasible


def solve_linear(
    model: LinearModel,
    *,
    backend: str = "highs",
    time_limit: float = np.inf,
    nodes: int | None = None,
    gap: float = 0.0,
    threads: int | None = None,
    seed: int | None = None,
    hint: ArrayLike | None = None,
    incumbent: Callback | None = None,
    bound: Callable[[float], Any] | None = None,
    stop: Callable[[], bool] | None = None,
    approximate: bool = False,
    watched: bool = True,
) -> LinearResult:
    """Solve a linear model with integers.

    | backend | comes with | whole | real | proves | incumbents, bounds | hint | threads | nodes | runs in |
    |---|---|---|---|---|---|---|---|---|---|
    | highs | SciPy   | yes | yes | yes | yes | yes | yes | yes | a thread; large models a process |
    | scip  | ortools | yes | yes | yes | yes | yes | no  | yes | a process |
    | cpsat | ortools | yes | no (`approximate`) | yes | yes | yes | yes | no | a thread |
    | glop  | ortools | no  | yes | yes | no | no | no  | no | a thread |
    | pdlp  | ortools | no  | yes | no: a first-order method | no | no | yes | no | a thread |

    Args:
        model: what to minimise.
        backend: one of `BACKENDS`; the table says what each takes, proves, and shows while it runs.
        time_limit: seconds; a backend that overruns is interrupted. Default: never before the proof.
        nodes: of branch and bound. gap: relative, at which a solution counts as optimal. threads, seed: None leaves
            them to the backend.
        hint: a point (n,) to start from, NaN where it says nothing; the result is never worse than a feasible one.
        incumbent: called with each better point that the backend shows while it runs, at least with the last.
        bound: called with each better proved lower bound.
        stop: looked at every 20 ms; True ends the run, which then returns its best point so far.
        approximate: let "cpsat" have real variables, on a grid; its bound and infeasibility are then not believed.
        watched: False runs the backend in the caller's thread, which saves a tenth of a millisecond, and more where the
            processors are busy; nothing can interrupt it then. For many small models.

    Raises:
        OptionError: no such backend, or a limit outside its range. ProblemError: a hint of the wrong shape, or a model
            that the backend does not take. MissingDependency: the backend's library is not installed.
        OptEngineError: the backend broke down.
    """
    check_backend(backend)
    limits = Limits(time_limit=time_limit, nodes=nodes, gap=gap, threads=threads, seed=seed)
    reason = refusal(model, backend, approximate)
    if reason is not None:
        raise ProblemError(reason)
    start = None if hint is None else np.asarray(hint, dtype=np.float64)
    if start is not None and start.shape != (model.n_variables,):
        raise ProblemError(f"hint must be of shape ({model.n_variables},), got {start.shape}")
    began = time.perf_counter()
    if not model.n_variables:
        result = _without_variables(model)
    else:
        streams = incumbent is not None or bound is not None or stop is not None
        task = Task(limits=limits, hint=start, approximate=approximate, streams=streams)
        result = (
            run(backend, model, task, incumbent, bound, stop) if watched else run_here(backend, model, task)
        )
    if start is not None and result.status in (LinearStatus.FEASIBLE, LinearStatus.UNKNOWN):
        result = _better_of(model, result, start)
    if incumbent is not None and result.x is not None:
        incumbent(result.x, result.value)
    return replace(result, seconds=time.perf_counter() - began, backend=backend)


def _better_of(model: LinearModel, result: LinearResult, hint: Floats) -> LinearResult:
    """Keep the hint where it is feasible and better than what a limit left."""
    if np.isnan(hint).any():
        return result
    value = float(model.value(hint))
    if float(model.violation(hint)) <= TOLERANCE and not result.value <= value:
        return replace(result, status=LinearStatus.FEASIBLE, x=hint.copy(), value=value)
    return result


def _without_variables(model: LinearModel) -> LinearResult:
    feasible = bool(((model.lower <= 0) & (model.upper >= 0)).all())
    if not feasible:
        return LinearResult(status=LinearStatus.INFEASIBLE, bound=np.inf)
    return LinearResult(status=LinearStatus.OPTIMAL, x=np.empty(0), value=0.0, bound=0.0)
