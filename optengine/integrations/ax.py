"""A generation node for Ax: `GenerationStrategy(nodes=[OptEngineNode("bo")])`, given to a `Client` or an `AxClient`.

The node keeps nothing between two trials: before each one it reads the experiment anew, its pending, failed and
abandoned trials among it, so that an experiment that Ax restores goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from optengine.core.errors import OptionError, SpaceError, require
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.space import Categorical, Integer, Ordinal, Real, Row, Space, Variable
from optengine.engine.session import Session
from optengine.integrations.asking import session_of, unevaluated

require("ax", extra="ax")

from ax.core.parameter import ChoiceParameter, FixedParameter, ParameterType, RangeParameter
from ax.core.types import ComparisonOp
from ax.generation_strategy.external_generation_node import ExternalGenerationNode

Floats = NDArray[np.float64]


class OptEngineNode(ExternalGenerationNode):  # type: ignore[misc]  # Ax may be missing where types are checked
    """Generates Ax's candidates by one of our solvers that know nothing but data: "bo" or "tpe".

    Ax's linear parameter constraints become known constraints, which every candidate keeps; outcome constraints are
    observed ones; dependent parameters are there under the values that they depend on.

    Args:
        solver: name or instance; "auto" is "bo" for one objective and "tpe" for several.
        name: of the node. seed: settles the random numbers; None draws one.
        noisy: whether the metrics are noisy; what Ax knows of their standard errors is used either way.
        options: the solver's options, beside its name.

    Raises:
        OptionError, SpaceError, SolverNotSuitable: when a candidate is generated.
    """

    def __init__(
        self,
        solver: Any = "auto",
        *,
        name: str = "optengine",
        seed: int | None = None,
        noisy: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name=name)
        self._solver, self._options, self._noisy = solver, dict(options or {}), noisy
        self._base_seed = int(SeedSequence().entropy) if seed is None else int(seed)  # type: ignore[arg-type]  # an int when none was given
        self._session: Session | None = None
        self._fixed: dict[str, Any] = {}

    def update_generator_state(self, experiment: Any, data: Any) -> None:
        """Read the experiment's search space, goals and trials."""
        search = experiment.search_space
        space = space_of(search)
        self._fixed = {p.name: p.value for p in search.parameters.values() if isinstance(p, FixedParameter)}
        goals, limits = _goals(experiment.optimization_config)
        problem = Problem(
            unevaluated,
            space,
            objectives=[f"goal{i}" for i in range(len(goals))],
            constraints=[f"limit{i}" for i in range(len(limits))],
            call="dict",
            noisy=self._noisy,
            name="experiment",
        )
        solver = self._solver
        if solver == "auto":
            solver = "bo" if len(goals) == 1 else "tpe"
        arms = [(arm, trial) for trial in experiment.trials.values() for arm in trial.arms]
        self._session = session_of(problem, solver, self._options, self._base_seed + len(arms))
        if not hasattr(self._session.run, "pend"):
            raise OptionError(f"solver must know nothing but data, as 'bo' and 'tpe' do, got {solver!r}")
        self._tell(arms, _means(data), goals, limits)

    def _tell(
        self,
        arms: list[tuple[Any, Any]],
        means: dict[tuple[int, str], dict[str, tuple[float, float]]],
        goals: list[dict[str, float]],
        limits: list[tuple[dict[str, float], float]],
    ) -> None:
        assert self._session is not None
        space, run = self._session.space, self._session.run
        rows, F, G, noise, failed = [], [], [], [], []
        for arm, trial in arms:
            row = _row(space, arm.parameters)
            if row is None:
                continue
            seen = means.get((trial.index, arm.name), {})
            names = {m for weights in (*goals, *(w for w, _ in limits)) for m in weights}
            if not names <= seen.keys() and not trial.status.is_terminal:
                run.pend(row[None, :])
                continue
            lost = not names <= seen.keys()
            failed.append(lost)
            rows.append(row)
            F.append([np.nan if lost else _sum(goal, seen) for goal in goals])
            G.append([np.nan if lost else _sum(weights, seen) - bound for weights, bound in limits])
            noise.append([np.nan if lost else _error(goal, seen) for goal in goals])
        if rows:
            n = len(rows)
            evaluation = Evaluation(
                np.array(F, dtype=np.float64).reshape(n, -1),
                np.array(G, dtype=np.float64).reshape(n, len(limits)),
                np.array(failed, dtype=bool),
                noise=np.array(noise, dtype=np.float64).reshape(n, -1),
                ids=np.full(n, -1),
            )
            run.tell(np.array(rows), evaluation)

    def get_next_candidate(self, pending_parameters: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the next candidate; what is pending was read with the experiment."""
        assert self._session is not None
        x: dict[str, Any] = self._session.space.decode_one(self._session.propose(1)[0])
        return x | self._fixed


def space_of(search: Any) -> Space:
    """Return our space for Ax's search space.

    Raises:
        SpaceError: a parameter that is neither a range nor a choice nor fixed.
    """
    conditions: dict[str, tuple[str, list[Any]]] = {}
    for parameter in search.parameters.values():
        dependents = parameter.dependents if parameter.is_hierarchical else {}
        for value, names in dependents.items():
            for name in names:
                if isinstance(parameter, ChoiceParameter):
                    conditions.setdefault(name, (parameter.name, []))[1].append(value)
    variables = {
        name: variable(parameter, conditions.get(name))
        for name, parameter in search.parameters.items()
        if not isinstance(parameter, FixedParameter)
    }
    rows = [Row(dict(c.constraint_dict), upper=float(c.bound)) for c in search.parameter_constraints]
    return Space(variables, rows=rows)


def variable(parameter: Any, when: tuple[str, list[Any]] | None) -> Variable:
    """Return our variable for one of Ax's parameters."""
    if isinstance(parameter, RangeParameter):
        kind = Integer if parameter.parameter_type == ParameterType.INT else Real
        return kind(parameter.lower, parameter.upper, bool(parameter.log_scale), when=when)
    if isinstance(parameter, ChoiceParameter):
        values = list(parameter.values)
        return Ordinal(values, when=when) if parameter.is_ordered else Categorical(values, when=when)
    raise SpaceError(f"{parameter.name!r} must be a range, a choice or fixed, got {parameter!r}")


def _row(space: Space, parameters: Mapping[str, Any]) -> Floats | None:
    """Return the row of an arm; None for one of another search space."""
    try:
        row = space.encode({name: parameters[name] for name in space.names if name in parameters})[0]
    except (SpaceError, KeyError):
        return None
    return np.asarray(row)


def _goals(config: Any) -> tuple[list[dict[str, float]], list[tuple[dict[str, float], float]]]:
    """Return the goals to be minimised, and the limits "sum <= bound", as weights of metrics.

    Raises:
        OptionError: limits relative to a status quo, and no goal at all.
    """
    if config is None:
        raise OptionError(
            "the experiment must have an objective, got none; see Client.configure_optimization"
        )
    objective = config.objective
    weights = [(name, -float(weight)) for name, weight in objective.metric_weights]
    goals = [{name: w} for name, w in weights] if objective.is_multi_objective else [dict(weights)]
    limits = []
    for constraint in config.outcome_constraints:
        if constraint.relative:
            raise OptionError(f"outcome constraints must not be relative to a status quo, got {constraint!r}")
        sign = 1.0 if constraint.op == ComparisonOp.LEQ else -1.0
        parts = {name: sign * float(weight) for name, weight in constraint.metric_weights}
        limits.append((parts, sign * float(constraint.bound)))
    return goals, limits


def _means(data: Any) -> dict[tuple[int, str], dict[str, tuple[float, float]]]:
    """Return mean and standard error of each metric by trial and arm; the last one where there are steps."""
    found: dict[tuple[int, str], dict[str, tuple[float, float]]] = {}
    frame = data.df
    for trial, arm, metric, mean, sem in zip(
        *(frame[c] for c in ("trial_index", "arm_name", "metric_name", "mean", "sem")), strict=True
    ):
        if mean == mean:
            found.setdefault((int(trial), str(arm)), {})[str(metric)] = (float(mean), float(sem))
    return found


def _sum(weights: Mapping[str, float], seen: Mapping[str, tuple[float, float]]) -> float:
    return sum(weight * seen[name][0] for name, weight in weights.items())


def _error(weights: Mapping[str, float], seen: Mapping[str, tuple[float, float]]) -> float:
    return float(np.sqrt(sum((weight * seen[name][1]) ** 2 for name, weight in weights.items())))
