"""What a run is made of: arguments checked and resolved once, before anything is evaluated."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine import registry, rules
from optengine.core.errors import OptionError, ProblemError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.result import Result, jsonable
from optengine.engine.evaluator import Catch, catch_types
from optengine.engine.keeping import kept
from optengine.engine.limits import Limits

Floats = NDArray[np.float64]
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Arguments of a run, resolved.

    Attributes:
        x0: (k, width) points to evaluate first, or None. data: known points and values, told but not counted.
        storage, name: where the run is journaled, and under which name; None is nowhere.
    """

    problem: Problem
    solver: Any
    solver_name: str
    options: dict[str, Any]
    reason: str
    limits: Limits
    seed: int | None
    x0: Floats | None
    data: tuple[Floats, Evaluation] | None
    batch_size: int | None
    workers: int
    catch: Catch
    device: str
    storage: Any
    name: str | None
    shared: bool
    ordered: bool

    def fingerprint(self, batch: int) -> dict[str, Any]:
        """What must not change while a journaled run lasts."""
        return {
            **self.problem.fingerprint(),
            "solver": self.solver_name,
            "options": jsonable(self.options),
            "batch_size": batch,
            "x0": None if self.x0 is None else digest(self.x0),
            "data": None if self.data is None else digest(self.data[0], self.data[1].F, self.data[1].G),
        }


def resolve(
    problem: Problem,
    solver: Any,
    *,
    limits: Limits,
    seed: Any,
    x0: Any,
    data: Any,
    batch_size: int | None,
    workers: int | None,
    catch: Any,
    device: str,
    options: Mapping[str, Any] | None,
    storage: Any,
    name: str | None,
    shared: bool,
    ordered: bool,
) -> Setup:
    """Check the arguments of `solve` and `Optimizer`.

    Raises:
        OptionError, ProblemError, SpaceError, SolverNotSuitable: one sentence each.
    """
    if not isinstance(problem, Problem):
        raise ProblemError(
            f"problem must be a Problem, got {problem!r}; wrap a function as Problem(function, space)"
        )
    for label, value in (("batch_size", batch_size), ("workers", workers)):
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1
        ):
            raise OptionError(f"{label} must be an integer >= 1 or None, got {value!r}")
    if device not in DEVICES:
        raise OptionError(f"device must be one of {list(DEVICES)}, got {device!r}")
    if limits.target is not None and problem.n_objectives > 1:
        raise OptionError(f"target must be None for {problem.n_objectives} objectives, got {limits.target}")
    if not problem.evaluable:
        for label, given in (("x0", x0), ("data", data), ("target", limits.target)):
            if given is not None:
                raise OptionError(
                    f"{label} must be None where nothing is evaluated, got {type(given).__name__}; known points belong "
                    "into the table"
                )
    if storage is None and (name is not None or shared):
        raise OptionError("name and shared need storage=, e.g. storage='sqlite:///runs.db', got none")
    if storage is not None and name is None:
        name = problem.name
    if isinstance(solver, str) and solver == "auto":
        made, solver_name, reason = _chosen(options, problem, limits, workers or 1, storage, name)
    else:
        made, solver_name, reason = _solver(solver, options)
    registry.check_suitable(made, problem)
    return Setup(
        problem=problem,
        solver=made,
        solver_name=solver_name,
        options={f.name: getattr(made, f.name) for f in dataclasses.fields(made)},
        reason=reason,
        limits=limits,
        seed=_seed(seed),
        x0=None if x0 is None else problem.space.encode(x0),
        data=None if data is None else _data(problem, data, storage),
        batch_size=None if batch_size is None else int(batch_size),
        workers=int(workers or 1),
        catch=catch_types(catch),
        device=device,
        storage=storage,
        name=name,
        shared=bool(shared),
        ordered=bool(ordered) and not shared,
    )


def _chosen(
    options: Any, problem: Problem, limits: Limits, workers: int, storage: Any, name: str | None
) -> tuple[Any, str, str]:
    """Return the solver that `auto` takes, its name and the reason for it."""
    _check_options(options)
    if storage is None:
        choice = rules.plan(problem, limits.budget, workers, time_limit=limits.time_limit)
    else:  # seconds are no option of a run that a longer limit may extend
        choice = kept(problem, limits.budget, workers, storage, name or "run")
    return registry.make(choice.solver, {**choice.options, **(options or {})}), choice.solver, choice.reason


def _check_options(options: Any) -> None:
    if options is not None and not isinstance(options, Mapping):
        raise OptionError(f"options must be a dict of the solver's options, got {options!r}")


def _solver(solver: Any, options: Mapping[str, Any] | None) -> tuple[Any, str, str]:
    """Return the solver, its name and no reason."""
    _check_options(options)
    if isinstance(solver, str):
        return registry.make(solver, dict(options or {})), solver, ""
    if isinstance(solver, type) and dataclasses.is_dataclass(solver):
        raise OptionError(f"solver must be a name or an instance, got the class; write {solver.__name__}()")
    if not (dataclasses.is_dataclass(solver) and hasattr(solver, "start") and hasattr(solver, "refuses")):
        raise OptionError(
            f"solver must be 'auto', one of {registry.names()} or a solver instance, got {solver!r}"
        )
    if options:
        raise OptionError(f"options go with a solver's name, got {dict(options)!r} beside {solver!r}")
    return solver, registry.name_of(solver), ""


def _seed(seed: Any) -> int | None:
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise OptionError(f"seed must be an integer >= 0 or None, got {seed!r}")
    return int(seed)


def _data(problem: Problem, data: Any, storage: Any) -> tuple[Floats, Evaluation]:
    """Read warm-start data: (X, F), (X, F, G), a Result, or a run's name or `storage#name`."""
    if isinstance(data, str):
        data = _stored(data, storage)
        X, F, G, failed = data
        _fits(problem, X, F, G, "data")
        return X, Evaluation(F, G, failed)
    if isinstance(data, Result):
        history = data.history
        _fits(problem, history.X, history.F, history.G, "data")
        return history.X, Evaluation(history.F * problem.signs, history.G, history.failed.copy())
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise OptionError(
            f"data must be (X, F), (X, F, G), a Result or the name of a run, got {type(data).__name__}"
        )
    X = problem.space.encode(_points(data[0]))
    F = _table(data[1], len(X), problem.n_objectives, "F")
    G = _table(data[2], len(X), problem.n_constraints, "G") if len(data) == 3 else np.empty((len(X), 0))
    if G.shape[1] != problem.n_constraints:
        raise OptionError(
            f"data must be (X, F, G) for a problem with {problem.n_constraints} constraints, got (X, F)"
        )
    evaluation = Evaluation.of(F * problem.signs, G)
    return X, evaluation


def _points(X: Any) -> Any:
    return X.to_dict("records") if hasattr(X, "to_dict") and hasattr(X, "columns") else X  # of a DataFrame


def _table(values: Any, n: int, k: int, label: str) -> Floats:
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty((0, 0))
    if table.shape == (n,) and k == 1:
        table = table[:, None]
    if table.shape != (n, k):
        raise OptionError(f"{label} of data must have shape ({n}, {k}), got {np.shape(values)}")
    return table


def _stored(data: str, storage: Any) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Return what another run's journal holds."""
    from optengine.store import Journal

    place, _, name = data.rpartition("#")
    source = place or storage
    if source is None:
        raise OptionError(f"data={data!r} names a run but no storage; write data='sqlite:///runs.db#{name}'")
    with Journal(source, readonly=True) as journal:
        record = journal.read(name)
    rows = record.evaluations
    return record.points(), rows.F, rows.G, rows.failed


def _fits(problem: Problem, X: Floats, F: Floats, G: Floats, label: str) -> None:
    wanted = (problem.space.width, problem.n_objectives, problem.n_constraints)
    if (X.shape[1], F.shape[1], G.shape[1]) != wanted:
        raise OptionError(
            f"{label} must come from a run with {wanted[0]} columns, {wanted[1]} objectives and {wanted[2]} "
            f"constraints, got {X.shape[1]}, {F.shape[1]} and {G.shape[1]}"
        )


def digest(*arrays: Floats) -> str:
    """A short hash of arrays."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]
