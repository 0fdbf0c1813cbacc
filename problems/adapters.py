"""Problems of other libraries as optengine problems: pymoo, BoTorch test functions, IOHexperimenter.

Each adapter takes the library's own object. Values, directions and names are the library's; nothing is rescaled. The
problems pickle, so that workers can evaluate them: what the library cannot pickle is made anew from its identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError, require
from optengine.core.problem import Constraint, Problem
from optengine.core.space import Binary, Categorical, Integer, Ordinal, Real, Space, Variable, as_space
from optengine.problems.believe import set_best_known

Floats = NDArray[np.float64]

ROUNDED = 1e-3  # pymoo and BoTorch state optima with three digits and more
PYMOO_TOLERANCE = 1e-4  # pymoo's own tolerance on equality constraints

# BoTorch's multi-fidelity functions do not say which inputs are fidelities: column -> target.
BOTORCH_FIDELITIES: dict[str, dict[int, float]] = {
    "AugmentedBranin": {2: 1.0},
    "AugmentedHartmann": {6: 1.0},
    "AugmentedRosenbrock": {-2: 1.0, -1: 1.0},
    "WingWeightMultiFidelity": {10: 0.0},
    "BoreholeMultiFidelity": {8: 0.0},
    "MOMFBraninCurrin": {2: 1.0},
    "MOMFPark": {4: 1.0},
}


class Adapted(Problem):
    """A problem of another library; `origin` says which, and is part of its fingerprint."""

    def __init__(
        self, function: Callable[..., Any], space: Any, origin: Mapping[str, Any], **settings: Any
    ) -> None:
        super().__init__(function, space, call="encoded", vectorized=True, **settings)
        self.origin = dict(origin)

    def fingerprint(self) -> dict[str, Any]:
        return super().fingerprint() | {"origin": self.origin}


def _box(lower: ArrayLike, upper: ArrayLike, kind: type[Any] = float) -> Space:
    """An unnamed space of one kind: reals, integers, or 0/1."""
    lower, upper = np.atleast_1d(np.asarray(lower, np.float64)), np.atleast_1d(np.asarray(upper, np.float64))
    if kind is bool or (kind is int and not lower.any() and (upper == 1).all()):
        return Space(Binary(shape=(len(lower),)))
    return Space(Integer(lower, upper)) if kind is int else Space(list(zip(lower, upper, strict=True)))


def _what(thing: Any) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__


def _names(prefix: str, n: int) -> list[str]:
    return [prefix] if n == 1 else [f"{prefix}{i + 1}" for i in range(n)]  # none for n = 0


# -- pymoo -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _PymooFunction:
    problem: Any
    space: Space
    keys: tuple[Any, ...]  # names of mixed variables as pymoo knows them; empty for arrays
    columns: tuple[tuple[str, tuple[str, ...]], ...]  # pymoo's name of an output -> our names of its columns

    def __call__(self, X: Floats) -> dict[str, Floats]:
        values: Any = X.astype(self.problem.vtype) if self.problem.vtype in (int, bool) else X
        if self.keys:
            rows = [dict(zip(self.keys, row.values(), strict=True)) for row in self.space.decode(X)]
            values = np.array(rows, dtype=object)
        wanted = [key for key, _ in self.columns]
        out = self.problem.evaluate(values, return_values_of=wanted, return_as_dictionary=True)
        return {
            name: np.asarray(out[key], dtype=np.float64).reshape(len(X), -1)[:, i]
            for key, names in self.columns
            for i, name in enumerate(names)
        }


def from_pymoo(problem: Any, *, space: Any = None, tol: float = PYMOO_TOLERANCE, **arguments: Any) -> Problem:
    """A pymoo problem; all objectives are minimised, as pymoo does.

    Objectives are named f (or f1, f2, ...), inequality constraints g (feasible when <= 0), equality constraints h
    (feasible within +- tol). Real, integer and binary arrays and mixed `vars` are understood.

    Args:
        problem: an instance of `pymoo.core.problem.Problem`, or a name for `pymoo.problems.get_problem`.
        space: another space of as many columns; needed where pymoo does not say all, as for its permutation problems
            (`space=Permutation(n)`) and for problems without bounds.
        tol: tolerance on equality constraints, in their unit; 1e-4 is pymoo's.
        arguments: for `get_problem`.

    Raises:
        ProblemError: not a pymoo problem, an unknown name, no bounds, or a space of another width.
        MissingDependency: pymoo is not installed.
    """
    core = require("pymoo.core.problem", "moo")
    if isinstance(problem, str):
        name = problem
        try:
            problem = require("pymoo.problems", "moo").get_problem(name, **arguments)
        except Exception as error:  # pymoo raises bare Exceptions here
            raise ProblemError(f"pymoo cannot make a problem {name!r}: {error}") from error
    if not isinstance(problem, core.Problem):
        raise ProblemError(f"problem must be a pymoo problem or a name, got {_what(problem)}")
    variables = getattr(problem, "vars", None)
    made = as_space(space) if space is not None else _pymoo_space(problem, variables)
    if made.width != problem.n_var and not variables:
        raise ProblemError(
            f"space must have {problem.n_var} columns, as {problem.name()} has, got {made.width}"
        )
    counts = {"F": problem.n_obj, "G": problem.n_ieq_constr, "H": problem.n_eq_constr}
    columns = {key: _names(key.lower(), count) for key, count in counts.items()}
    constraints = [Constraint(name) for name in columns["G"]] + [
        Constraint(name, -tol, tol) for name in columns["H"]
    ]
    used = tuple((key, tuple(names)) for key, names in columns.items() if names)
    adapted = Adapted(
        _PymooFunction(problem, made, tuple(variables or ()), used),
        made,
        {"library": "pymoo", "name": problem.name(), "columns": made.width},
        objectives=columns["F"],
        constraints=constraints,
        name=problem.name(),
    )
    states_optimum = problem.n_obj == 1 and hasattr(problem, "_calc_pareto_front")
    optimum = problem.pareto_front() if states_optimum else None
    if optimum is not None:
        set_best_known(adapted, float(np.min(optimum)), "optimum stated by pymoo, rounded", ROUNDED)
    return adapted


def _pymoo_space(problem: Any, variables: Mapping[Any, Any] | None) -> Space:
    if variables:
        return Space(
            {str(name): _pymoo_variable(str(name), variable) for name, variable in variables.items()}
        )
    if not problem.has_bounds():
        raise ProblemError(f"{problem.name()} has no bounds; give space=")
    kind = problem.vtype if problem.vtype in (int, bool) else float
    return _box(problem.xl, problem.xu, kind)


def _pymoo_variable(name: str, variable: Any) -> Variable:
    kinds = require("pymoo.core.variable", "moo")
    if isinstance(variable, kinds.Binary):
        return Binary()
    if isinstance(variable, kinds.Choice):
        return Categorical(list(variable.options))
    if isinstance(variable, kinds.Integer):
        return Integer(*variable.bounds)
    if isinstance(variable, kinds.Real):
        return Real(*variable.bounds)
    raise ProblemError(
        f"variable {name!r} must be Real, Integer, Binary or Choice of pymoo, got {type(variable).__name__}"
    )


# -- BoTorch -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _BotorchFunction:
    problem: Any
    offsets: Floats  # (d,) value of index 0 of categorical inputs, 0 elsewhere
    levels: Mapping[int, Floats]  # column -> values of an ordinal fidelity
    objectives: tuple[str, ...]
    constraints: tuple[str, ...]

    def __call__(self, X: Floats) -> dict[str, Any]:
        torch = require("torch", "bayes")
        values = X + self.offsets
        for column, levels in self.levels.items():
            values[:, column] = levels[X[:, column].astype(np.int64)]
        inputs = torch.as_tensor(values, dtype=self.problem.bounds.dtype)
        with torch.no_grad():
            F = self.problem(inputs).reshape(len(X), -1)
            out = dict(zip(self.objectives, F.double().numpy().T, strict=True))
            if self.constraints:
                slack = self.problem.evaluate_slack(inputs).reshape(len(X), -1)
                out |= dict(zip(self.constraints, slack.double().numpy().T, strict=True))
            if self.problem.noise_std is not None:
                out["noise"] = np.broadcast_to(np.asarray(self.problem.noise_std, dtype=np.float64), F.shape)
            if hasattr(self.problem, "cost"):
                out["cost"] = self.problem.cost(inputs).double().numpy()
        return out


def from_botorch(problem: Any, *, fidelity: Mapping[int, float] | None = None, cost: Any = None) -> Problem:
    """A BoTorch test function, synthetic, constrained, multi-objective or multi-fidelity.

    The value is the function's own, so with `negate=True` the negated one, and the direction follows: a function that
    is minimised by default is maximised when negated. Objectives are named f (or f1, f2, ...), constraints c (or c1,
    ...): the slack, feasible when >= 0. A function with `noise_std` is noisy and draws from torch's global generator.

    Args:
        problem: an instance of a class of `botorch.test_functions`.
        fidelity: inputs that are fidelities, column -> target; known for BoTorch's own functions. They make the space
            named (x1, x2, ...).
        cost: cost of an evaluation, as for `Problem`, where the function has none itself.

    Raises:
        ProblemError: not a BoTorch test function.
        MissingDependency: BoTorch is not installed.
    """
    base = require("botorch.test_functions.base", "bayes")
    if not isinstance(problem, base.BaseTestProblem):
        raise ProblemError(f"problem must be a BoTorch test function, got {_what(problem)}")
    kind = type(problem).__name__
    lower, upper = problem.bounds.double().numpy()
    targets = BOTORCH_FIDELITIES.get(kind, {}) if fidelity is None else fidelity
    targets = {column % problem.dim: float(target) for column, target in targets.items()}
    space, levels = _botorch_space(problem, lower, upper, targets)
    categorical = np.isin(np.arange(problem.dim), list(problem.categorical_inds))
    objectives = _names("f", int(getattr(problem, "num_objectives", 1)))
    constrained = isinstance(problem, base.ConstrainedBaseTestProblem)
    constraints = _names("c", int(problem.num_constraints) if constrained else 0)
    minimized = (
        problem._is_minimization_by_default != problem.negate
    )  # the public property refuses several objectives
    origin = {"library": "botorch", "name": kind, "columns": problem.dim, "negate": problem.negate}
    adapted = Adapted(
        _BotorchFunction(
            problem, np.where(categorical, lower, 0.0), levels, tuple(objectives), tuple(constraints)
        ),
        space,
        origin,
        objectives=objectives,
        direction="minimize" if minimized else "maximize",
        constraints=[Constraint(name, lower=0.0, upper=np.inf) for name in constraints],
        noisy=problem.noise_std is not None,
        cost=cost,
        name=kind,
    )
    if (
        len(objectives) == 1
        and getattr(problem, "_optimal_value", None) is not None
        and problem.noise_std is None
    ):
        set_best_known(adapted, float(problem.optimal_value), "optimum stated by BoTorch, rounded", ROUNDED)
    return adapted


def _botorch_space(
    problem: Any, lower: Floats, upper: Floats, targets: Mapping[int, float]
) -> tuple[Space, dict[int, Floats]]:
    """The space, and the values of ordinal fidelities (models of falling accuracy, numbered)."""
    discrete, categorical = set(problem.discrete_inds), set(problem.categorical_inds)
    if not targets and not categorical and len(discrete) in (0, problem.dim):
        return _box(lower, upper, int if discrete else float), {}
    variables: dict[str, Variable] = {}
    levels: dict[int, Floats] = {}
    for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if i in targets and hasattr(problem, "fidelities"):
            values = sorted(
                problem.fidelities, key=lambda level: -abs(level - targets[i])
            )  # the target comes last
            levels[i] = np.array(values, dtype=np.float64)
            variable: Variable = Ordinal(values, fidelity=True, target=values[-1])
        elif i in categorical:
            variable = Categorical(list(range(int(low), int(high) + 1)))
        elif i in discrete:
            variable = Integer(low, high, fidelity=i in targets, target=targets.get(i))
        else:
            variable = Real(low, high, fidelity=i in targets, target=targets.get(i))
        variables[f"x{i + 1}"] = variable
    return Space(variables), levels


# -- IOHexperimenter ---------------------------------------------------------------------------------------------


@dataclass
class _IohFunction:
    problem: Any
    identity: (
        tuple[int, int, int, str] | None
    )  # function, instance, dimension, suite; None for a user's function
    integer: bool = field(default=False)

    def __call__(self, X: Floats) -> Floats:
        rows: Sequence[Any] = X.astype(np.int64).tolist() if self.integer else X.tolist()
        return np.asarray(self.problem(rows), dtype=np.float64)

    def anew(self) -> _IohFunction:
        """The same function as a fresh object, without the counters and loggers of this one."""
        assert self.identity is not None
        ioh = require("ioh", "test")
        function, instance, dimension, suite = self.identity
        made = ioh.get_problem(function, instance, dimension, ioh.ProblemClass[suite])
        return _IohFunction(made, self.identity, self.integer)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.identity is None:
            raise ProblemError(
                f"the ioh function {self.problem.meta_data.name!r} is in no suite of ioh and cannot be sent to a "
                "worker; state the wrapped Python function as a Problem"
            )
        return _rebuild_ioh, (self.identity, self.integer)


def _rebuild_ioh(identity: tuple[int, int, int, str], integer: bool) -> _IohFunction:
    return _IohFunction(None, identity, integer).anew()


def from_ioh(problem: Any, *, instance: int = 1, dimension: int = 5, suite: str = "BBOB") -> Problem:
    """A problem of IOHexperimenter: BBOB and SBOX (real, minimised), PBO (0/1, maximised), and its other suites.

    The problem counts and logs as ioh does, in this process. Where ioh states an optimum, `best_known` is its value if
    the point that ioh states with it attains it (for some functions ioh states a wrong one).

    Args:
        problem: an ioh problem, or a function's number or name for `ioh.get_problem`.
        instance, dimension: of the function named.
        suite: name of an `ioh.ProblemClass`: "BBOB", "SBOX", "PBO", ...

    Raises:
        ProblemError: not an ioh problem, or a function that ioh does not know.
        MissingDependency: ioh is not installed.
    """
    ioh = require("ioh", "test")
    if isinstance(problem, (str, int)):
        try:
            problem = ioh.get_problem(problem, instance, dimension, ioh.ProblemClass[suite])
        except (KeyError, ValueError) as error:
            raise ProblemError(
                f"ioh has no function {problem!r} with dimension {dimension} in {suite!r}: {error}"
            ) from error
    data = getattr(problem, "meta_data", None)
    if not isinstance(data, ioh.MetaData):
        raise ProblemError(f"problem must be an ioh problem, its number or its name, got {_what(problem)}")
    integer = isinstance(problem.bounds, ioh.IntegerBounds) or isinstance(
        problem.optimum, ioh.IntegerSolution
    )
    home = _ioh_suite(ioh, problem)
    identity = (
        None if home is None else (int(data.problem_id), int(data.instance), int(data.n_variables), home)
    )
    function = _IohFunction(problem, identity, integer)
    direction = "maximize" if data.optimization_type == ioh.OptimizationType.MAX else "minimize"
    origin = {
        "library": "ioh",
        "name": str(data.name),
        "identity": None if identity is None else list(identity),
    }
    space = _box(problem.bounds.lb, problem.bounds.ub, int if integer else float)
    adapted = Adapted(function, space, origin, objectives=["f"], direction=direction, name=str(data.name))
    _state_ioh_optimum(adapted, function)
    return adapted


def _ioh_suite(ioh: Any, problem: Any) -> str | None:
    """Name of the suite that knows this problem by its number; None for a user's own function."""
    bases = type(problem).__mro__
    for name, suite in ioh.ProblemClass.__members__.items():
        if name not in ("REAL", "INTEGER") and getattr(ioh.problem, suite.value, None) in bases:
            return name if problem.meta_data.problem_id in suite.problems else None
    return None


def _state_ioh_optimum(adapted: Problem, function: _IohFunction) -> None:
    optimum = function.problem.optimum
    if function.identity is None or not np.isfinite(optimum.y):
        return
    fresh = function.anew()  # the user's object is not to count our looks
    attained = float(fresh(np.asarray(optimum.x, dtype=np.float64)[np.newaxis])[0])
    if abs(attained - optimum.y) <= 1e-9 * max(1.0, abs(optimum.y)):
        adapted.function = fresh
        set_best_known(
            adapted, float(optimum.y), "optimum stated by ioh, attained by the point stated with it"
        )
        adapted.function = function
