"""HiGHS, reached through SciPy (`scipy.optimize.milp`): the exact backend that is always there.

SciPy passes neither starting points nor incumbents: a feasible hint is kept as the solution to beat, and the callback
sees the final solution only. `Limits.threads` is not passed on either: SciPy runs HiGHS on one.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.backends.linear import Callback, Limits, LinearResult, LinearStatus
from optengine.core.errors import OptEngineError
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]

TOLERANCE = 1e-6  # HiGHS's own feasibility tolerance; a hint within it counts as feasible
OPTIMAL, INFEASIBLE, EITHER, UNBOUNDED = 7, 8, 9, 10  # HiGHS's own numbers; SciPy tells fewer cases apart
STOPPED = (13, 14, 16)  # time, iterations, nodes


def solve(
    model: LinearModel, *, hint: Floats | None, callback: Callback | None, limits: Limits
) -> LinearResult:
    """Solve `model` with HiGHS; see `solve_linear`."""
    began = time.perf_counter()
    if not model.n_variables:
        result = _without_variables(model)
    else:
        answer = _milp(model, model.c, limits)
        status = _status(model, answer, limits)
        if status is None:  # presolve now and then ends in "solve error" on models that are fine without it
            answer = _milp(model, model.c, limits, presolve=False)
            status = _status(model, answer, limits)
        if status is None:
            raise OptEngineError(
                f"HiGHS broke down on a model of {model.n_rows} rows and {model.n_variables} variables: "
                f"{answer.message}"
            )
        result = _read(model, answer, status)
    if hint is not None and result.status in (LinearStatus.FEASIBLE, LinearStatus.UNKNOWN):
        result = _better_of(model, result, hint)
    if callback is not None and result.x is not None:
        callback(result.x, result.value)
    return replace(result, seconds=time.perf_counter() - began, backend="highs")


def _milp(model: LinearModel, c: Floats, limits: Limits, presolve: bool = True) -> Any:
    from scipy.optimize import Bounds, LinearConstraint, milp

    options: Any = {"mip_rel_gap": limits.gap, "presolve": presolve}
    if np.isfinite(limits.seconds):
        options["time_limit"] = limits.seconds
    if limits.nodes is not None:
        options["node_limit"] = limits.nodes
    rows = LinearConstraint(model.A, model.lower, model.upper) if model.n_rows else ()
    lb, ub = model.lb, model.ub
    if model.integrality.any():  # whole variables with fractional bounds trouble presolve
        lb = np.where(model.integrality, np.ceil(lb - 1e-9), lb)
        ub = np.where(model.integrality, np.floor(ub + 1e-9), ub)
        if (lb > ub).any():
            lb, ub = model.lb, model.ub
    return milp(
        c,
        integrality=model.integrality.astype(np.uint8),
        bounds=Bounds(lb, ub),
        constraints=rows,
        options=options,
    )


def _status(model: LinearModel, answer: Any, limits: Limits) -> LinearStatus | None:
    """Translate HiGHS's number, which SciPy keeps in the message only; None if HiGHS broke down."""
    found = re.search(r"HiGHS Status (\d+)", str(answer.message))
    number = (
        int(found.group(1))
        if found
        else {0: OPTIMAL, 1: 13, 2: INFEASIBLE, 3: UNBOUNDED}.get(answer.status, -1)
    )
    if number in STOPPED:
        return LinearStatus.UNKNOWN if answer.x is None else LinearStatus.FEASIBLE
    if number == EITHER and not model.c.any():
        return LinearStatus.INFEASIBLE
    if number == EITHER:  # without an objective presolve has to decide
        plain = _milp(model, np.zeros_like(model.c), limits)
        known = {0: LinearStatus.UNBOUNDED, 2: LinearStatus.INFEASIBLE, 1: LinearStatus.UNKNOWN}
        if plain.status in known:
            return known[plain.status]
    if number == OPTIMAL:
        return None if answer.x is None else LinearStatus.OPTIMAL
    return {INFEASIBLE: LinearStatus.INFEASIBLE, UNBOUNDED: LinearStatus.UNBOUNDED}.get(number)


def _read(model: LinearModel, answer: Any, status: LinearStatus) -> LinearResult:
    nodes, message = int(getattr(answer, "mip_node_count", None) or 0), str(answer.message)
    if status not in (LinearStatus.OPTIMAL, LinearStatus.FEASIBLE):
        bound = np.inf if status is LinearStatus.INFEASIBLE else _bound(answer)
        return LinearResult(status=status, bound=bound, nodes=nodes, message=message)
    x = np.clip(answer.x, model.lb, model.ub)
    x = np.where(model.integrality, np.rint(x), x)  # 735.9999999 stands for 736
    value = float(model.value(x))
    exact = status is LinearStatus.OPTIMAL and not model.integrality.any()
    bound = value if exact else min(_bound(answer), value)
    return LinearResult(status=status, x=x, value=value, bound=bound, nodes=nodes, message=message)


def _bound(answer: Any) -> float:
    bound = getattr(answer, "mip_dual_bound", None)
    return -np.inf if bound is None or not np.isfinite(bound) else float(bound)


def _better_of(model: LinearModel, result: LinearResult, hint: Floats) -> LinearResult:
    """Keep the hint where it is feasible and better than what a limit left."""
    value = float(model.value(hint))
    if float(model.violation(hint)) <= TOLERANCE and not result.value <= value:
        return replace(result, status=LinearStatus.FEASIBLE, x=hint.copy(), value=value)
    return result


def _without_variables(model: LinearModel) -> LinearResult:
    feasible = bool(((model.lower <= 0) & (model.upper >= 0)).all())
    if not feasible:
        return LinearResult(status=LinearStatus.INFEASIBLE, bound=np.inf)
    return LinearResult(status=LinearStatus.OPTIMAL, x=np.empty(0), value=0.0, bound=0.0)
