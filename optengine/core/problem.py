"""The problem: what is to be minimised or maximised, over which space, under which observed constraints."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.calling import settle_call
from optengine.core.errors import DeviceError, EvaluationFailed, OptEngineError, ProblemError, require
from optengine.core.evaluation import Evaluation
from optengine.core.returned import Measurement, Reader
from optengine.core.space import Batch, Space, as_space
from optengine.core.steps import CURRENT, EvaluationStopped, exhaust

DIRECTIONS = ("minimize", "maximize")
ARRAYS = ("numpy", "numba", "cupy")


@dataclass(frozen=True)
class Objective:
    """A named value and its direction, "minimize" or "maximize"."""

    name: str
    direction: str = "minimize"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ProblemError(f"name of Objective must be a non-empty string, got {self.name!r}")
        if self.direction not in DIRECTIONS:
            raise ProblemError(
                f"direction of {self.name!r} must be 'minimize' or 'maximize', got {self.direction!r}"
            )

    @property
    def sign(self) -> float:
        """Factor that turns the user's value into one to be minimised."""
        return 1.0 if self.direction == "minimize" else -1.0


@dataclass(frozen=True)
class Constraint:
    """A named value that the evaluation returns, feasible when lower <= value <= upper (default: <= 0)."""

    name: str
    lower: float = -math.inf
    upper: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ProblemError(f"name of Constraint must be a non-empty string, got {self.name!r}")
        try:
            lower, upper = float(self.lower), float(self.upper)
        except (TypeError, ValueError):
            raise ProblemError(
                f"bounds of {self.name!r} must be numbers, got {self.lower!r}, {self.upper!r}"
            ) from None
        if not lower <= upper or (math.isinf(lower) and math.isinf(upper)):
            raise ProblemError(
                f"bounds of {self.name!r} must be lower <= upper, one finite, got {lower} and {upper}"
            )
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)


@dataclass(frozen=True)
class Failed:
    """Told, or returned by an objective, in place of values: the evaluation gave none; `note` is kept with it."""

    reason: str = ""
    note: dict[str, Any] | None = None


@dataclass(frozen=True)
class Partial:
    """Told, or returned by an objective, in place of values: the evaluation was stopped before its end.

    The solver learns the value; an incumbent it never becomes.

    Attributes:
        value: as the objective would return it, of the part that ran.
        step: the last one that ran, None where there are none.
    """

    value: Any
    step: float | None = None


class Problem:
    """An objective over a space.

    Args:
        function: the objective; returns a float, a sequence (several objectives), or a dict with the names of
            objectives and constraints, and optionally "noise" (standard error), "cost" and "note" (a JSON-able dict
            that the journal keeps); or a generator that yields (step, value), which `early_stopping` may leave.
        space: a Space, a dict of variables, one variable, or a list of (low, high) bounds.
        objectives: names or `Objective`s; default one objective.
        direction: "minimize" or "maximize"; one for all, or a list with one an objective.
        constraints: names (feasible when <= 0) or `Constraint`s that the function returns by name.
        call: how the function gets x: "kwargs", "dict", "array", "encoded" (the columns themselves) or "auto":
            keywords if all required parameters are variable names and every variable is accepted, else one dict if
            exactly one parameter is required; an array for a space made from bounds or of one variable.
        vectorized: the function gets a whole batch: an array (n, ...) or a dict of columns, and returns (n,),
            (n, objectives) or a dict of such arrays.
        noisy: the same x may give different values.
        array: "numba" declares a compiled row function, "cupy" a vectorised function of CuPy arrays.
        cost: known cost of an evaluation: a number, or a function of x.
        name: shown in results.

    Raises:
        ProblemError, SpaceError: in one sentence, what is wrong and what would be right.
    """

    moves: tuple[str, ...] = ()  # kinds of move that `delta` can evaluate
    evaluable: bool = True  # False: a table of values and no function; solvers propose, nothing is evaluated
    best_known: float | None = None  # best objective value known, in the user's direction
    best_known_source: str | None = None

    def __init__(
        self,
        function: Callable[..., Any],
        space: Any,
        *,
        objectives: Iterable[str | Objective] | str | Objective | None = None,
        direction: str | Sequence[str] = "minimize",
        constraints: Iterable[str | Constraint] | str | Constraint = (),
        call: str = "auto",
        vectorized: bool = False,
        noisy: bool = False,
        array: str = "numpy",
        cost: float | Callable[[Any], float] | None = None,
        name: str | None = None,
    ) -> None:
        if not callable(function):
            raise ProblemError(f"function must be callable, got {function!r}")
        if array not in ARRAYS:
            raise ProblemError(f"array must be one of {list(ARRAYS)}, got {array!r}")
        if cost is not None and not callable(cost) and not isinstance(cost, (int, float, np.number)):
            raise ProblemError(f"cost must be a number, a function of x or None, got {cost!r}")
        self.function = function
        self.space: Space = as_space(space)
        self.objectives = _objectives(objectives, direction)
        self.constraints = _constraints(constraints, self.objectives)
        self.vectorized = bool(vectorized) or array == "cupy"
        self.noisy = bool(noisy)
        self.array = array
        self.cost = cost
        self.name = str(name or getattr(function, "__name__", type(self).__name__))
        self.call = settle_call(
            function, self.space, "array" if array != "numpy" and call == "auto" else call, self.vectorized
        )
        self.signs = np.array([o.sign for o in self.objectives])
        unnamed = objectives is None
        self._reader = Reader(self.objectives, self.constraints, unnamed, Failed, Partial)

    @property
    def n_objectives(self) -> int:
        return len(self.objectives)

    @property
    def n_constraints(self) -> int:
        return len(self.constraints)

    # -- evaluation --------------------------------------------------------------------------------------------

    def evaluate(self, X: Batch) -> Evaluation:
        """Evaluate a batch (n, width); everything in the answer is minimised, NaN counts as failed.

        Raises:
            EvaluationFailed: the function raised; the first candidate that did so is named.
            ProblemError: the function returned what it must not.
        """
        X = np.ascontiguousarray(X, dtype=np.float64)
        if self.vectorized:
            return self.measure_batch(X)
        return self.collect([self.measure(row) for row in X])

    def measure(self, row: Batch) -> Measurement:
        """Evaluate one row (width,) point-wise: what workers do."""
        if self.vectorized:
            return self.measure_batch(row[None, :])
        x: Any = row if self.call == "encoded" else self.space.decode_one(row)
        try:
            returned = self.function(**self._keywords(x)) if self.call == "kwargs" else self.function(x)
            if isinstance(returned, Generator):
                returned = exhaust(returned)
            reporter = CURRENT.get()
            if reporter is not None and reporter.stopped and not isinstance(returned, (Partial, Failed)):
                returned = Partial(returned, reporter.step)  # it left its loop as it was told to
        except EvaluationStopped as stopped:
            returned = Partial(stopped.value, stopped.step)
        except OptEngineError:
            raise
        except Exception as error:
            raise EvaluationFailed(f"the objective raised {_said(error)} at {x!r}", x) from error
        measurement = self._reader.read(returned, x)
        if self.cost is not None:
            measurement.cost = self._known_cost(row)
        return measurement

    def _known_cost(self, row: Batch) -> float:
        if not callable(self.cost):
            return float(self.cost or 0.0)
        x = self.space.decode_one(row)
        try:
            return float(self.cost(x))
        except Exception as error:
            raise EvaluationFailed(f"the cost raised {_said(error)} at {x!r}", x) from error

    def measure_batch(self, X: Batch) -> Evaluation:
        """Evaluate a batch through a vectorised function, or row by row."""
        x: Any = X if self.call == "encoded" else self.space.columns(X)
        try:
            if self.array == "cupy":
                returned = self._on_device(x)
            else:
                returned = self.function(**x) if self.call == "kwargs" else self.function(x)
        except OptEngineError:
            raise
        except Exception as error:
            first = self.space.decode_one(X[0])
            raise EvaluationFailed(
                f"the vectorized objective raised {_said(error)} on {len(X)} candidates, the first of them {first!r}",
                first,
            ) from error
        evaluation = self._reader.read_batch(returned, len(X))
        if self.cost is not None:
            evaluation.cost = np.array([self._known_cost(row) for row in X])
        return evaluation

    def collect(self, measurements: Sequence[Measurement]) -> Evaluation:
        """Stack the measurements of single rows."""
        return self._reader.collect(measurements)

    def failure(self) -> Measurement:
        """The measurement of an evaluation that gave no value."""
        return self._reader.failure()

    def read(self, returned: Any, x: Any = None) -> Measurement:
        """Read one value as the function would have returned it: a number, a sequence, a dict or `Failed`."""
        return self._reader.read(returned, x)

    def _keywords(self, x: Any) -> dict[str, Any]:
        """Inactive variables are passed as None."""
        return x if len(x) == len(self.space) else {name: x.get(name) for name in self.space.names}

    def _on_device(self, x: Any) -> Any:
        cupy = require("cupy", extra="gpu")
        if not cupy.cuda.is_available():
            raise DeviceError("array='cupy' needs a CUDA device and driver, and cupy found none")
        if isinstance(x, dict):
            x = {name: cupy.asarray(column) for name, column in x.items()}
        else:
            x = cupy.asarray(x)
        returned = self.function(**x) if self.call == "kwargs" else self.function(x)
        if isinstance(returned, dict):
            return {name: cupy.asnumpy(column) for name, column in returned.items()}
        return cupy.asnumpy(returned)

    # -- structure ---------------------------------------------------------------------------------------------

    def delta(self, x: Batch, kind: str, moves: NDArray[np.int64]) -> tuple[Batch, Batch]:
        """Return the changes (dF (k, objectives), dG (k, constraints)) that moves (k, 2) make at one row x."""
        raise ProblemError(
            f"{type(self).__name__} offers no moves, got kind={kind!r}; solve it without delta"
        )

    def describe(self, x: Any) -> dict[str, Any]:
        """Return what else the user wants to see of a solution; recomputed from x alone."""
        return {}

    def fingerprint(self) -> dict[str, Any]:
        """A JSON-able description by which a journal recognises the problem."""
        return {
            "problem": type(self).__name__,
            "space": self.space.fingerprint(),
            "objectives": [[o.name, o.direction] for o in self.objectives],
            "constraints": [[c.name, repr(c.lower), repr(c.upper)] for c in self.constraints],
        }

    def __repr__(self) -> str:
        goal = ", ".join(f"{o.direction} {o.name}" for o in self.objectives)
        return f"{type(self).__name__}({self.name!r}, {goal}, {self.space.width} columns)"


def _said(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _listed(given: Any, kind: type) -> list[Any]:
    """One or several as a list; what is neither is one, for the check of its kind to refuse."""
    return list(given) if isinstance(given, Iterable) and not isinstance(given, (str, kind)) else [given]


def _objectives(given: Any, direction: str | Sequence[str]) -> tuple[Objective, ...]:
    items = ["objective"] if given is None else _listed(given, Objective)
    if not items:
        raise ProblemError("objectives must name at least one objective, got none")
    directions = [direction] * len(items) if isinstance(direction, str) else _listed(direction, str)
    if len(directions) != len(items):
        raise ProblemError(f"direction must be one word or {len(items)} of them, got {direction!r}")
    result = []
    for item, way in zip(items, directions, strict=True):
        if not isinstance(item, (str, Objective)):
            raise ProblemError(f"objectives must be names or Objectives, got {item!r}")
        result.append(item if isinstance(item, Objective) else Objective(item, way))
    names = [o.name for o in result]
    if len(set(names)) < len(names):
        raise ProblemError(f"names of objectives must be distinct, got {names}")
    return tuple(result)


def _constraints(given: Any, objectives: tuple[Objective, ...]) -> tuple[Constraint, ...]:
    items = [] if given is None else _listed(given, Constraint)
    result = []
    for item in items:
        if not isinstance(item, (str, Constraint)):
            raise ProblemError(
                f"constraints must be names or Constraints of returned values, got {item!r}; "
                "conditions on x alone belong to the space, as rows or where"
            )
        result.append(item if isinstance(item, Constraint) else Constraint(item))
    names = [o.name for o in objectives] + [c.name for c in result]
    if len(set(names)) < len(names):
        raise ProblemError(f"names of objectives and constraints must be distinct, got {names}")
    return tuple(result)
