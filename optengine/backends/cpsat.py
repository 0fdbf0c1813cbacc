"""CP-SAT (OR-Tools): models of whole variables, in whole numbers; see `whole` for how they become that.

CP-SAT takes real variables for whole ones: bounds and infeasibility of such models mean nothing. They are solved only
when asked for, on a grid, each point then completed by a linear programme over its real variables, without proofs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.backends.polish import completed
from optengine.backends.running import Events
from optengine.backends.terms import LinearResult, LinearStatus, Task, settled
from optengine.backends.whole import WholeModel, whole_model
from optengine.core.errors import OptEngineError
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]

FAR = 2**62  # beyond any sum: no bound


def load() -> None:
    """Import the library, so that no clock runs meanwhile."""
    from ortools.sat.python import cp_model  # noqa: F401  (loaded, not used)


def solve(model: LinearModel, task: Task, events: Events) -> LinearResult:
    """Solve `model` with CP-SAT; see `solve_linear`."""
    from ortools.sat.python import cp_model

    whole = whole_model(model)
    if (whole.low > whole.high).any():  # fractional bounds with nothing whole between them
        return LinearResult(status=LinearStatus.INFEASIBLE, bound=np.inf, message="no whole number in bounds")
    problem = cp_model.CpModel()
    _state(problem.proto, whole, task.hint)
    solver = _solver(cp_model, task)
    events.on_stop(solver.stop_search)
    heard = _listener(cp_model, model, whole, events) if task.streams else None
    if task.streams and whole.exact:
        solver.best_bound_callback = lambda value: events.bound(_bound(whole, value))
    if events.stopping:
        return LinearResult(status=LinearStatus.UNKNOWN, message="stopped from outside")
    status = solver.solve(problem, heard)
    return _read(cp_model, model, whole, solver, status)


def _state(proto: Any, whole: WholeModel, hint: Floats | None) -> None:
    """Write the model into CP-SAT's own form; far quicker than expressions."""
    for low, high in zip(whole.low.tolist(), whole.high.tolist(), strict=True):
        proto.variables.add().domain.extend([low, high])
    starts, indices, data = whole.indptr.tolist(), whole.indices.tolist(), whole.data.tolist()
    lower = [int(b) if np.isfinite(b) and b > -FAR else -FAR for b in whole.lower.tolist()]
    upper = [int(b) if np.isfinite(b) and b < FAR else FAR for b in whole.upper.tolist()]
    for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
        row = proto.constraints.add().linear
        row.vars.extend(indices[starts[i] : starts[i + 1]])
        row.coeffs.extend(data[starts[i] : starts[i + 1]])
        row.domain.extend([low, high])
    costs = np.flatnonzero(whole.c)
    if len(costs):
        proto.objective.vars.extend(costs.tolist())
        proto.objective.coeffs.extend(whole.c[costs].tolist())
    if hint is not None:
        known = np.flatnonzero(~np.isnan(hint))
        values = np.clip(np.rint(hint * whole.step)[known], whole.low[known], whole.high[known])
        proto.solution_hint.vars.extend(known.tolist())
        proto.solution_hint.values.extend(values.astype(np.int64).tolist())


def _solver(cp_model: Any, task: Task) -> Any:
    solver, limits = cp_model.CpSolver(), task.limits
    parameters = solver.parameters
    parameters.catch_sigint_signal = False  # its handler would take Ctrl-C away from Python, for good
    parameters.relative_gap_limit = float(limits.gap)
    if np.isfinite(limits.time_limit):
        parameters.max_time_in_seconds = float(limits.time_limit)
    if limits.threads is not None:
        parameters.num_workers = int(limits.threads)
    if limits.seed is not None:
        parameters.random_seed = int(limits.seed) % 2**31
    return solver


def _listener(cp_model: Any, model: LinearModel, whole: WholeModel, events: Events) -> Any:
    class Listener(cp_model.CpSolverSolutionCallback):  # type: ignore[misc]  # a class of a library without types
        def on_solution_callback(self) -> None:
            x = _point(model, whole, self.response_proto.solution)
            if x is not None:
                events.incumbent(x, float(model.value(x)))
            if whole.exact:
                events.bound(_bound(whole, self.best_objective_bound))

    return Listener()


def _point(model: LinearModel, whole: WholeModel, solution: Any) -> Floats | None:
    """The model's point; where real variables or rounded rows are involved, the best with these whole variables."""
    x = settled(model, np.array(solution, dtype=np.float64) / whole.step)
    return x if whole.exact else completed(model, x)


def _bound(whole: WholeModel, value: float) -> float:
    return float(value) / whole.scale - whole.error


def _read(cp_model: Any, model: LinearModel, whole: WholeModel, solver: Any, status: Any) -> LinearResult:
    name = str(solver.status_name(status))
    message = f"CP-SAT: {name.lower().replace('_', ' ')}"
    nodes = int(solver.num_branches)
    if name == "MODEL_INVALID":
        raise OptEngineError(
            f"CP-SAT did not take a model of {model.n_rows} rows and {model.n_variables} variables: "
            "its numbers are too large or too fine"
        )
    if name == "INFEASIBLE":
        if not whole.exact:
            return LinearResult(status=LinearStatus.UNKNOWN, nodes=nodes, message=f"{message}, not proved")
        return LinearResult(status=LinearStatus.INFEASIBLE, bound=np.inf, nodes=nodes, message=message)
    bound = _bound(whole, solver.best_objective_bound) if whole.exact and name != "UNKNOWN" else -np.inf
    x = _point(model, whole, solver.response_proto.solution) if name in ("OPTIMAL", "FEASIBLE") else None
    if x is None:
        return LinearResult(status=LinearStatus.UNKNOWN, bound=bound, nodes=nodes, message=message)
    value = float(model.value(x))
    proved = name == "OPTIMAL" and whole.exact
    if proved and not whole.error and not solver.parameters.relative_gap_limit:
        bound = value
    return LinearResult(
        status=LinearStatus.OPTIMAL if proved else LinearStatus.FEASIBLE,
        x=x,
        value=value,
        bound=min(bound, value),
        nodes=nodes,
        message=message,
    )
