"""HiGHS as it comes with SciPy: the exact backend that is always there.

`scipy.optimize.milp` passes neither starting points nor incumbents and cannot be interrupted. The HiGHS inside SciPy
can do all that; it is driven directly, and where a SciPy has it in another form, `milp` is called instead: a feasible
hint is then kept as the solution to beat, and incumbents and bounds come at the end. It sits in SciPy's extension, so
that highspy and OR-Tools, which bring a HiGHS of their own and cannot share a process, do not matter.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.backends.quiet import quiet
from optengine.backends.running import Events
from optengine.backends.terms import LinearResult, LinearStatus, Task, settled
from optengine.core.errors import OptEngineError
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]

OPTIMAL, INFEASIBLE, EITHER, UNBOUNDED = 7, 8, 9, 10  # HiGHS's own numbers
STOPPED = (13, 14, 16, 17)  # time, iterations, nodes or solutions, interrupted
SOLVED_FEASIBLY = 2  # HiGHS's number of a feasible solution
NO_OFFSET = 0.0
FEASIBLE = 1e-6  # relative violation up to which a hint is a starting point as it is
# Share of the time, seconds and nodes, at most, for the rest of a hint that is given in part.
COMPLETING, MOST_COMPLETING, COMPLETING_NODES = 0.1, 20.0, 500


@dataclass(frozen=True)
class Answer:
    """What one run of HiGHS gave."""

    number: int  # model status
    x: Floats | None
    bound: float
    nodes: int
    message: str
    reduced_costs: Floats | None = None


def load() -> None:
    """Import the library, so that no clock runs meanwhile."""
    import scipy.optimize  # noqa: F401  (loaded, not used)

    _core()


def solve(model: LinearModel, task: Task, events: Events) -> LinearResult:
    """Solve `model` with HiGHS; see `solve_linear`."""
    if task.hint is not None and model.integrality.any():
        task = _with_whole_hint(model, task, events)
    answer = _run(model, model.c, task, events)
    status = _status(model, answer, task, events)
    if status is None:  # presolve now and then ends in "solve error" on models that are fine without it
        answer = _run(model, model.c, task, events, presolve=False)
        status = _status(model, answer, task, events)
    if status is None:
        raise OptEngineError(
            f"HiGHS broke down on a model of {model.n_rows} rows and {model.n_variables} variables: {answer.message}"
        )
    return _read(model, answer, status)


def _with_whole_hint(model: LinearModel, task: Task, events: Events) -> Task:
    """The task with a feasible point for a hint, or none.

    HiGHS completes what is given in part by a search of its own over the rest, and tells bounds of that search as if
    they were bounds of the model. So the rest is searched here, bounds unheard, for a share of the time.
    """
    assert task.hint is not None
    began, limits = time.perf_counter(), task.limits
    hint: Floats | None = task.hint
    known = model.integrality & ~np.isnan(task.hint)
    if np.isnan(task.hint).any() or float(model.violation(task.hint)) > FEASIBLE:
        hint = _completed(model, task, known, events) if known.any() else None
    left = max(limits.time_limit - (time.perf_counter() - began), 1e-3)
    return replace(task, hint=hint, limits=replace(limits, time_limit=left))


def _completed(model: LinearModel, task: Task, known: NDArray[np.bool_], events: Events) -> Floats | None:
    """A point with the known whole variables of the hint, None where none is found soon."""
    assert task.hint is not None
    if _core() is None:
        return None
    values = np.clip(np.rint(task.hint), model.lb, model.ub)
    rest = replace(model, lb=np.where(known, values, model.lb), ub=np.where(known, values, model.ub))
    own = Events(lambda kind, payload: events.incumbent(*payload) if kind == "incumbent" else None)
    events.on_stop(own.stop)
    limits = replace(
        task.limits,
        time_limit=min(COMPLETING * task.limits.time_limit, MOST_COMPLETING),
        nodes=COMPLETING_NODES,
    )
    answer = _run(rest, model.c, replace(task, hint=None, limits=limits), own)
    return None if answer.x is None else settled(model, answer.x)


def _run(model: LinearModel, c: Floats, task: Task, events: Events, presolve: bool = True) -> Answer:
    core = _core()
    if core is None:
        return _through_milp(model, c, task, presolve)
    return _Direct(core, model, c, task, events, presolve).run()


def _core() -> Any:
    """SciPy's own HiGHS, None where this SciPy does not have it as we know it."""
    try:
        from scipy.optimize._highspy import _core as core  # type: ignore[import-not-found]
    except ImportError:
        return None
    needed = ("passModel", "setCallback", "startCallback", "setSolution", "run", "getInfo")
    known = hasattr(core, "cb") and all(hasattr(getattr(core, "_Highs", None), name) for name in needed)
    return core if known else None


def _whole_bounds(model: LinearModel) -> tuple[Floats, Floats]:
    """Bounds with those of whole variables rounded inwards: fractional ones trouble presolve."""
    if not model.integrality.any():
        return model.lb, model.ub
    lb = np.where(model.integrality, np.ceil(model.lb - 1e-9), model.lb)
    ub = np.where(model.integrality, np.floor(model.ub + 1e-9), model.ub)
    return (model.lb, model.ub) if (lb > ub).any() else (lb, ub)


class _Direct:
    """One run of SciPy's HiGHS with callbacks."""

    def __init__(
        self, core: Any, model: LinearModel, c: Floats, task: Task, events: Events, presolve: bool
    ) -> None:
        self._core, self._model, self._events = core, model, events
        self._whole = bool(model.integrality.any())
        self._highs = core._Highs()
        limits = task.limits
        options: dict[str, Any] = {
            "output_flag": False,
            "presolve": "choose" if presolve else "off",
            "mip_rel_gap": float(limits.gap),
        }
        if np.isfinite(limits.time_limit):
            options["time_limit"] = float(limits.time_limit)
        if limits.nodes is not None:
            options["mip_max_nodes"] = int(limits.nodes)
        if limits.threads is not None:
            options["threads"] = int(limits.threads)
        if limits.seed is not None:
            options["random_seed"] = int(limits.seed) % 2**31
        for name, value in options.items():
            self._highs.setOptionValue(name, value)
        self._pass(c)
        if task.hint is not None and self._whole and c is model.c:
            self._start(task.hint)
        if task.streams:
            self._listen(c is model.c)

    def _pass(self, c: Floats) -> None:
        from scipy.sparse import csr_array

        core, model = self._core, self._model
        A = model.A if model.sparse else csr_array(model.A)
        lb, ub = _whole_bounds(model)
        passed = self._highs.passModel(
            model.n_variables,
            model.n_rows,
            int(A.nnz),
            int(core.MatrixFormat.kRowwise),
            int(core.ObjSense.kMinimize),
            NO_OFFSET,
            c,
            lb,
            ub,
            model.lower,
            model.upper,
            A.indptr.astype(np.int32, copy=False),
            A.indices.astype(np.int32, copy=False),
            A.data,
            model.integrality.astype(np.int32),
        )
        if passed == core.HighsStatus.kError:
            raise OptEngineError(
                f"HiGHS did not take a model of {model.n_rows} rows and {model.n_variables} variables"
            )

    def _start(self, hint: Floats) -> None:
        """Give HiGHS a feasible starting point."""
        solution = self._core.HighsSolution()
        solution.col_value = hint.tolist()
        solution.value_valid = True
        self._highs.setSolution(solution)

    def _listen(self, streams: bool) -> None:
        kinds, events = self._core.cb.HighsCallbackType, self._events
        improving = int(kinds.kCallbackMipImprovingSolution)
        looks = int(kinds.kCallbackMipInterrupt)

        def hear(kind: int, _: str, out: Any, into: Any, __: Any) -> None:
            if kind == improving:
                if streams:
                    events.incumbent(np.array(out.mip_solution), float(out.objective_function_value))
                return
            if streams and kind == looks:
                events.bound(float(out.mip_dual_bound))
            if events.stopping:
                into.user_interrupt = True

        self._hear = hear  # HiGHS keeps no reference
        self._highs.setCallback(hear, None)
        wanted = (
            (kinds.kCallbackMipInterrupt, kinds.kCallbackMipImprovingSolution)
            if self._whole
            else (kinds.kCallbackSimplexInterrupt, kinds.kCallbackIpmInterrupt)
        )
        for kind in wanted:
            self._highs.startCallback(kind)

    def run(self) -> Answer:
        highs = self._highs
        with quiet():
            highs.run()
        info, status = highs.getInfo(), highs.getModelStatus()
        number = int(status)
        solved = int(info.primal_solution_status) == SOLVED_FEASIBLY
        stopped = number in STOPPED
        x = np.array(highs.getSolution().col_value) if solved and (number == OPTIMAL or stopped) else None
        message = f"HiGHS {self._core.HIGHS_VERSION_MAJOR}.{self._core.HIGHS_VERSION_MINOR}: "
        message += str(highs.modelStatusToString(status))
        if not self._whole:
            if number != OPTIMAL or x is None:
                return Answer(number, None, -np.inf, 0, message)
            return Answer(number, x, -np.inf, 0, message, np.array(highs.getSolution().col_dual))
        bound = float(info.mip_dual_bound)
        nodes = max(0, int(info.mip_node_count))
        return Answer(number, x, bound if np.isfinite(bound) else -np.inf, nodes, message)


def _through_milp(model: LinearModel, c: Floats, task: Task, presolve: bool) -> Answer:
    from scipy.optimize import Bounds, LinearConstraint, milp

    limits = task.limits
    options: Any = {"mip_rel_gap": limits.gap, "presolve": presolve}
    if np.isfinite(limits.time_limit):
        options["time_limit"] = limits.time_limit
    if limits.nodes is not None:
        options["node_limit"] = limits.nodes
    lb, ub = _whole_bounds(model)
    with quiet():
        answer: Any = milp(
            c,
            integrality=model.integrality.astype(np.uint8),
            bounds=Bounds(lb, ub),
            constraints=LinearConstraint(model.A, model.lower, model.upper) if model.n_rows else (),
            options=options,
        )
    found = re.search(
        r"HiGHS Status (\d+)", str(answer.message)
    )  # SciPy keeps the number in the message only
    known = {0: OPTIMAL, 1: STOPPED[0], 2: INFEASIBLE, 3: UNBOUNDED}
    number = int(found.group(1)) if found else known.get(answer.status, -1)
    bound = getattr(answer, "mip_dual_bound", None)
    return Answer(
        number,
        None if answer.x is None else np.asarray(answer.x),
        -np.inf if bound is None or not np.isfinite(bound) else float(bound),
        int(getattr(answer, "mip_node_count", None) or 0),
        str(answer.message),
    )


def _status(model: LinearModel, answer: Answer, task: Task, events: Events) -> LinearStatus | None:
    """Translate HiGHS's number; None if HiGHS broke down."""
    number = answer.number
    if number in STOPPED:
        return LinearStatus.UNKNOWN if answer.x is None else LinearStatus.FEASIBLE
    if number == EITHER and not model.c.any():
        return LinearStatus.INFEASIBLE
    if number in (EITHER, UNBOUNDED):  # without an objective it has to decide
        plain = _run(model, np.zeros_like(model.c), task, events).number
        if plain in STOPPED:
            return LinearStatus.UNKNOWN
        if plain in (OPTIMAL, INFEASIBLE):
            return LinearStatus.UNBOUNDED if plain == OPTIMAL else LinearStatus.INFEASIBLE
    if number == OPTIMAL:
        return None if answer.x is None else LinearStatus.OPTIMAL
    return {INFEASIBLE: LinearStatus.INFEASIBLE, UNBOUNDED: LinearStatus.UNBOUNDED}.get(number)


def _read(model: LinearModel, answer: Answer, status: LinearStatus) -> LinearResult:
    nodes, message = answer.nodes, answer.message
    if status not in (LinearStatus.OPTIMAL, LinearStatus.FEASIBLE) or answer.x is None:
        bound = np.inf if status is LinearStatus.INFEASIBLE else answer.bound
        if status is LinearStatus.UNBOUNDED:
            bound = -np.inf
        return LinearResult(status=status, bound=bound, nodes=nodes, message=message)
    x = settled(model, answer.x)
    value = float(model.value(x))
    exact = status is LinearStatus.OPTIMAL and not model.integrality.any()
    bound = value if exact else min(answer.bound, value)
    return LinearResult(
        status=status,
        x=x,
        reduced_costs=answer.reduced_costs,
        value=value,
        bound=bound,
        nodes=nodes,
        message=message,
    )
