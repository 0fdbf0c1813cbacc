"""SCIP, GLOP and PDLP, reached through OR-Tools' MathOpt.

Models go in and solutions come back as protocol buffers, not as MathOpt's Python objects, which take milliseconds a
thousand columns at every incumbent. SCIP writes a spurious line to standard error when incumbents are asked for, takes
one thread only, and therefore runs in a process of its own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.backends.running import Events
from optengine.backends.terms import LinearResult, LinearStatus, Task, settled
from optengine.core.errors import OptEngineError
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]

PDLP_TOLERANCE = 1e-8  # relative, of rows and of the gap; its own 1e-6 leaves rows violated by more than 1e-6


def load() -> None:
    """Import the library, so that no clock runs meanwhile."""
    from ortools.math_opt.core.python import solver  # noqa: F401  (loaded, not used)
    from ortools.math_opt.python import mathopt  # noqa: F401  (loaded, not used)


def solve_scip(model: LinearModel, task: Task, events: Events) -> LinearResult:
    """Solve with SCIP; see `solve_linear`."""
    return _solve("GSCIP", model, task, events)


def solve_glop(model: LinearModel, task: Task, events: Events) -> LinearResult:
    """Solve a model of real variables with GLOP, a simplex method."""
    return _solve("GLOP", model, task, events)


def solve_pdlp(model: LinearModel, task: Task, events: Events) -> LinearResult:
    """Solve a model of real variables with PDLP, a first-order method: near the optimum, without proof."""
    return _solve("PDLP", model, task, events)


def _solve(kind: str, model: LinearModel, task: Task, events: Events) -> LinearResult:
    answer = _run(kind, model, model.c, task, events)
    reason = _reason(answer)
    if reason == "INFEASIBLE_OR_UNBOUNDED":  # without an objective it has to decide
        plain = (
            _reason(_run(kind, model, np.zeros_like(model.c), task, events))
            if model.c.any()
            else "INFEASIBLE"
        )
        decided = {"OPTIMAL": "UNBOUNDED", "FEASIBLE": "UNBOUNDED", "INFEASIBLE": "INFEASIBLE"}
        reason = decided.get(plain, "NO_SOLUTION_FOUND")
    return _read(kind, model, answer, reason)


def _run(kind: str, model: LinearModel, c: Floats, task: Task, events: Events) -> Any:
    from ortools.math_opt import callback_pb2, model_parameters_pb2
    from ortools.math_opt.core.python import solver
    from ortools.math_opt.python import mathopt
    from ortools.util.python import solve_interrupter

    interrupter = solve_interrupter.SolveInterrupter()
    events.on_stop(interrupter.interrupt)
    original = c is model.c
    registration, hear = callback_pb2.CallbackRegistrationProto(), None
    if kind == "GSCIP" and task.streams and original:
        registration.request_registration.append(callback_pb2.CALLBACK_EVENT_MIP_SOLUTION)
        hear = _listener(model, events)
    start = model_parameters_pb2.ModelSolveParametersProto()
    if task.hint is not None and original and kind == "GSCIP":
        known = np.flatnonzero(~np.isnan(task.hint))
        hint = start.solution_hints.add()
        hint.variable_values.ids.extend(known.tolist())
        hint.variable_values.values.extend(task.hint[known].tolist())
    return solver.solve(
        _model_proto(model, c),
        getattr(mathopt.SolverType, kind).value,
        mathopt.StreamableSolverInitArguments().to_proto(),
        _parameters(kind, task).to_proto(),
        start,
        None,
        registration,
        hear,
        interrupter.pybind_interrupter,
    )


def _parameters(kind: str, task: Task) -> Any:
    from ortools.math_opt.python import mathopt

    limits, given = task.limits, mathopt.SolveParameters()
    if np.isfinite(limits.time_limit):
        given.time_limit = timedelta(seconds=max(limits.time_limit, 1e-3))
    if kind == "GSCIP":
        given.relative_gap_tolerance = limits.gap
        given.threads = 1
        if limits.nodes is not None:
            given.node_limit = limits.nodes
    if kind == "PDLP":
        optimality = given.pdlp.termination_criteria.simple_optimality_criteria
        optimality.eps_optimal_relative = optimality.eps_optimal_absolute = PDLP_TOLERANCE
        if limits.threads is not None:
            given.threads = limits.threads
    if limits.seed is not None and kind != "PDLP":
        given.random_seed = limits.seed % 2**31
    return given


def _model_proto(model: LinearModel, c: Floats) -> Any:
    from ortools.math_opt import model_pb2
    from scipy.sparse import csr_array

    n, m = model.n_variables, model.n_rows
    proto = model_pb2.ModelProto()
    variables, rows, entries = proto.variables, proto.linear_constraints, proto.linear_constraint_matrix
    variables.ids.extend(range(n))
    variables.lower_bounds.extend(model.lb.tolist())
    variables.upper_bounds.extend(model.ub.tolist())
    variables.integers.extend(model.integrality.tolist())
    nonzero = np.flatnonzero(c)
    proto.objective.linear_coefficients.ids.extend(nonzero.tolist())
    proto.objective.linear_coefficients.values.extend(c[nonzero].tolist())
    rows.ids.extend(range(m))
    rows.lower_bounds.extend(model.lower.tolist())
    rows.upper_bounds.extend(model.upper.tolist())
    A = csr_array(model.A)
    if (
        not A.has_sorted_indices or not A.has_canonical_format
    ):  # MathOpt wants its entries in order, each once
        A = A.copy()
        A.sum_duplicates()
    kept = A.data != 0
    entries.row_ids.extend(np.repeat(np.arange(m), np.diff(A.indptr))[kept].tolist())
    entries.column_ids.extend(A.indices[kept].tolist())
    entries.coefficients.extend(A.data[kept].tolist())
    return proto


def _dense(vector: Any, n: int) -> Floats:
    x = np.zeros(n)
    columns, values = _arrays(vector)
    x[columns] = values
    return x


def _arrays(vector: Any) -> tuple[NDArray[np.int64], Floats]:
    """The columns and values of a sparse vector."""
    count = len(vector.ids)
    return np.fromiter(vector.ids, np.int64, count), np.fromiter(vector.values, np.float64, count)


def _listener(model: LinearModel, events: Events) -> Any:
    from ortools.math_opt import callback_pb2

    nothing, best = callback_pb2.CallbackResultProto(), np.inf

    def hear(data: Any) -> Any:
        nonlocal best
        if data.HasField("primal_solution_vector"):
            columns, values = _arrays(data.primal_solution_vector)
            value = float(model.c[columns] @ values)
            if value < best:  # SCIP tells of worse ones too, and of many
                best = value
                events.incumbent(_dense(data.primal_solution_vector, model.n_variables), value)
        events.bound(float(data.mip_stats.dual_bound))
        return nothing

    return hear


def _reason(answer: Any) -> str:
    from ortools.math_opt import result_pb2

    name = result_pb2.TerminationReasonProto.Name(answer.termination.reason)
    return str(name).removeprefix("TERMINATION_REASON_")


def _read(kind: str, model: LinearModel, answer: Any, reason: str) -> LinearResult:
    nodes = int(answer.solve_stats.node_count)
    message = f"{kind}: {reason.lower().replace('_', ' ')}"
    if reason in ("NUMERICAL_ERROR", "OTHER_ERROR", "UNSPECIFIED"):
        raise OptEngineError(
            f"{kind} broke down on a model of {model.n_rows} rows and {model.n_variables} variables: "
            f"{answer.termination.detail or reason.lower()}"
        )
    proves = kind != "PDLP"
    if reason in ("INFEASIBLE", "UNBOUNDED"):
        if not proves:
            return LinearResult(status=LinearStatus.UNKNOWN, message=f"{message}, which it does not prove")
        infeasible = reason == "INFEASIBLE"
        status = LinearStatus.INFEASIBLE if infeasible else LinearStatus.UNBOUNDED
        return LinearResult(
            status=status, bound=np.inf if infeasible else -np.inf, nodes=nodes, message=message
        )
    bound = float(answer.termination.objective_bounds.dual_bound) if proves else -np.inf
    primal = [s.primal_solution for s in answer.solutions if s.HasField("primal_solution")]
    found = [p for p in primal if p.feasibility_status == _feasible()]
    if not found:
        return LinearResult(
            status=LinearStatus.UNKNOWN,
            bound=bound if np.isfinite(bound) else -np.inf,
            nodes=nodes,
            message=message,
        )
    points = [settled(model, _dense(p.variable_values, model.n_variables)) for p in found]
    x = min(points, key=lambda point: float(model.value(point)))
    value = float(model.value(x))
    optimal = reason == "OPTIMAL" and proves
    if optimal and not model.integrality.any():
        bound = value
    return LinearResult(
        status=LinearStatus.OPTIMAL if optimal else LinearStatus.FEASIBLE,
        x=x,
        value=value,
        bound=min(bound, value) if np.isfinite(bound) else -np.inf,
        nodes=nodes,
        message=message,
    )


def _feasible() -> int:
    from ortools.math_opt import solution_pb2

    return int(solution_pb2.SOLUTION_STATUS_FEASIBLE)
