"""Models of other libraries as `MILP`: OR-Tools MathOpt, PuLP, linopy. None of them is imported here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optengine.core.errors import ProblemError
from optengine.problems.milp import MILP

KNOWN = "an OR-Tools MathOpt Model, a PuLP LpProblem or a linopy Model"


def from_model(model: Any) -> MILP:
    """The model of another library, told by where its class comes from.

    Raises:
        ProblemError: another object, or terms that are not linear.
    """
    readers: dict[str, Callable[[Any], MILP]] = {
        "ortools": from_mathopt,
        "pulp": from_pulp,
        "linopy": from_linopy,
    }
    for kind in type(model).__mro__:
        reader = readers.get(kind.__module__.partition(".")[0])
        if reader is not None:
            return reader(model)
    raise ProblemError(f"model must be {KNOWN}, got {type(model).__module__}.{type(model).__name__}")


def from_mathopt(model: Any) -> MILP:
    """A `mathopt.Model`; names are kept where all differ."""
    from scipy.sparse import csr_array

    if not hasattr(model, "export_model"):
        raise ProblemError(f"model must be {KNOWN}, got {type(model).__name__} of OR-Tools")
    proto = model.export_model()
    for part in ("quadratic_constraints", "second_order_cone_constraints", "sos1_constraints", "sos2_constraints",
                 "indicator_constraints"):  # fmt: skip
        if len(getattr(proto, part, ())):
            raise ProblemError(f"model must be linear, got {part.replace('_', ' ')}")
    if len(proto.objective.quadratic_coefficients.coefficients):
        raise ProblemError("model must be linear, got a quadratic objective")
    variables, rows, entries = proto.variables, proto.linear_constraints, proto.linear_constraint_matrix
    column = {key: j for j, key in enumerate(variables.ids)}
    row = {key: i for i, key in enumerate(rows.ids)}
    costs = np.zeros(len(column))
    for key, value in zip(
        proto.objective.linear_coefficients.ids, proto.objective.linear_coefficients.values, strict=True
    ):
        costs[column[key]] = value
    places = ([row[i] for i in entries.row_ids], [column[j] for j in entries.column_ids])
    A = csr_array((np.array(entries.coefficients, dtype=np.float64), places), shape=(len(row), len(column)))
    return MILP(
        costs,
        A,
        np.array(rows.lower_bounds),
        np.array(rows.upper_bounds),
        (np.array(variables.lower_bounds), np.array(variables.upper_bounds)),
        np.array(variables.integers, dtype=bool),
        "max" if proto.objective.maximize else "min",
        _distinct(list(variables.names), len(column)),
        _distinct(list(rows.names), len(row)),
        float(proto.objective.offset),
        name=proto.name or "mathopt",
    )


def from_pulp(model: Any) -> MILP:
    """A `pulp.LpProblem`."""
    from scipy.sparse import csr_array

    if not hasattr(model, "constraints") or not hasattr(model, "variables"):
        raise ProblemError(f"model must be {KNOWN}, got {type(model).__name__} of PuLP")
    variables = list(model.variables())
    if not variables:
        raise ProblemError("model must have variables, got a PuLP model without")
    place = {variable.name: j for j, variable in enumerate(variables)}
    stated = model.constraints
    rows = (
        list(stated.values()) if hasattr(stated, "values") else list(stated() if callable(stated) else stated)
    )
    indices: tuple[list[int], list[int]] = ([], [])
    data: list[float] = []
    ends = np.array([[-np.inf], [np.inf]]) * np.ones(len(rows))
    for i, row in enumerate(rows):
        for variable, value in row.items():
            indices[0].append(i)
            indices[1].append(place[variable.name])
            data.append(float(value))
        bound = -float(row.constant)
        ends[0, i] = bound if row.sense >= 0 else -np.inf
        ends[1, i] = bound if row.sense <= 0 else np.inf
    costs, constant = np.zeros(len(variables)), 0.0
    if model.objective is not None:
        constant = float(model.objective.constant)
        for variable, value in model.objective.items():
            costs[place[variable.name]] = float(value)
    low = [-np.inf if v.lowBound is None else float(v.lowBound) for v in variables]
    high = [np.inf if v.upBound is None else float(v.upBound) for v in variables]
    return MILP(
        costs,
        csr_array((data, indices), shape=(len(rows), len(variables))),
        ends[0],
        ends[1],
        (np.array(low), np.array(high)),
        [str(v.cat) in ("Integer", "Binary") for v in variables],
        "max" if model.sense < 0 else "min",
        [str(v.name) for v in variables],
        None,
        constant,
        name=str(model.name or "pulp"),
    )


def from_linopy(model: Any) -> MILP:
    """A `linopy.Model`; columns are in linopy's own order, without names."""
    matrices = getattr(model, "matrices", None)
    if matrices is None:
        raise ProblemError(f"model must be {KNOWN}, got {type(model).__name__} of linopy")
    if getattr(model.objective, "is_quadratic", False):
        raise ProblemError("model must be linear, got a quadratic objective")
    senses, sides = np.asarray(matrices.sense).astype(str), np.asarray(matrices.b, dtype=np.float64)
    types = np.asarray(matrices.vtypes).astype(str)
    if np.isin(types, ("C", "B", "I"), invert=True).any():
        raise ProblemError(f"variables of the model must be C, B or I, got {sorted(set(types))}")
    low, high = (np.array(end, dtype=np.float64) for end in (matrices.lb, matrices.ub))
    binary = types == "B"
    first = np.char.ljust(senses, 1).astype("U1")
    return MILP(
        np.asarray(matrices.c, dtype=np.float64),
        matrices.A,
        np.where(np.isin(first, (">", "=")), sides, -np.inf),
        np.where(np.isin(first, ("<", "=")), sides, np.inf),
        (np.where(binary, np.maximum(low, 0.0), low), np.where(binary, np.minimum(high, 1.0), high)),
        types != "C",
        "max" if str(getattr(model.objective, "sense", "min")).startswith("max") else "min",
        name=str(getattr(model, "name", None) or "linopy"),
    )


def _distinct(names: list[str], n: int) -> list[str] | None:
    """The names where there is one for each and all differ."""
    return names if len(names) == n and all(names) and len(set(names)) == n else None
