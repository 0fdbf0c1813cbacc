"""Studies of Optuna as our data, and our runs as studies of Optuna, for its dashboard and its plots."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study, StudyDirection, create_study
from optuna.trial import FrozenTrial, TrialState

from optengine.core.errors import ProblemError
from optengine.core.result import Result
from optengine.core.space import Binary, Categorical, Integer, Ordinal, Real, Space, Variable
from optengine.integrations.optuna_history import observed, outcome
from optengine.integrations.optuna_space import Columns, distribution_of, stride
from optengine.integrations.optuna_structure import Structure

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StudyData:
    """What a study's trials say, in our words.

    Attributes:
        space: of the parameters that every trial has, and of those that hang on them.
        points: of each trial, a dict. F: (n, objectives) in the study's directions. G: (n, constraints), feasible
            where <= 0. directions: "minimize" or "maximize". constraints: their names.
    """

    space: Space
    points: list[dict[str, Any]]
    F: Floats
    G: Floats
    directions: tuple[str, ...]
    constraints: tuple[str, ...]

    @property
    def data(self) -> tuple[Any, ...]:
        """What `solve(data=)` takes: (points, F), with G where there are constraints."""
        return (self.points, self.F, self.G) if self.G.shape[1] else (self.points, self.F)

    @property
    def best(self) -> dict[str, Any]:
        """The best feasible point, for `solve(x0=)`, by the first objective."""
        sign = 1.0 if self.directions[0] == "minimize" else -1.0
        broken = np.maximum(self.G, 0.0).sum(axis=1)
        return self.points[int(np.lexsort((sign * self.F[:, 0], broken))[0])]


def from_study(study: Study, *, pruned: bool = False) -> StudyData:
    """Read a study as a warm start: `solve(problem_over(data.space), data=data.data, x0=data.best)`.

    The points and one column of F are also what `Offline(space, X, y, n_candidates)` takes.

    Args:
        study: with at least one trial that ran to its end.
        pruned: whether pruned trials count, by the last value that they reported.

    Raises:
        ProblemError: no trial has values, or none of its parameters can vary.
    """
    states = (TrialState.COMPLETE, TrialState.PRUNED) if pruned else (TrialState.COMPLETE,)
    directions = tuple(d.name.lower() for d in study.directions)
    structure, kept = Structure(), []
    for trial in study.get_trials(deepcopy=False, states=states):
        values = outcome(trial, len(directions))
        if values is not None:
            structure.note(trial.distributions, trial.params)
            kept.append((trial, values))
    distributions, _ = structure.spec()
    if not kept or not distributions:
        raise ProblemError(
            f"study must have a trial with values and parameters that vary, got {study.study_name!r} with {len(kept)}"
        )
    columns = structure.columns(distributions)
    space = Space({name: _stated(name, columns) for name in columns.distributions})
    rows = [(t, values) for t, values in kept if columns.row(t.params) is not None]
    names = tuple(sorted({name for t, _ in rows for name in observed(t)}))
    points = [{n: t.params[n] for n in columns.params(columns.row(t.params))} for t, _ in rows]  # type: ignore[arg-type]  # rows that have none were left out
    F = np.array([values for _, values in rows], dtype=np.float64).reshape(len(rows), len(directions))
    G = np.array([[observed(t).get(n, 1.0) for n in names] for t, _ in rows], dtype=np.float64)
    return StudyData(space, points, F, G.reshape(len(rows), len(names)), directions, names)


def _stated(name: str, columns: Columns) -> Variable:
    """Return the variable in the user's values, where the columns count steps and categories."""
    distribution, coded = columns.distributions[name], columns.space.variables[name]
    when = [(parent, [columns.value(parent, c) for c in codes]) for parent, codes in coded.conditions] or None
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(distribution.choices, when=when)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if stride(distribution) is not None:
        levels = range(int(np.asarray(columns.space.upper[columns.space.slices[name].start])) + 1)
        return Ordinal([columns.value(name, level) for level in levels], when=when)
    kind = Integer if isinstance(distribution, IntDistribution) else Real
    return kind(distribution.low, distribution.high, bool(distribution.log), when=when)


def to_study(
    result: Result,
    *,
    storage: Any = None,
    study_name: str | None = None,
    sampler: Any = None,
    load_if_exists: bool = False,
) -> Study:
    """Write a result's evaluations as a study, so that Optuna's dashboard and plots show the run.

    Args:
        result: of a run over numbers, levels, categories and bits.
        storage, study_name, sampler, load_if_exists: as for `optuna.create_study`.

    Raises:
        SpaceError: arrays, permutations, subsets and simplexes, which Optuna does not know.
    """
    space = result.space
    assert space is not None
    distributions = {name: distribution_of(name, v) for name, v in space.variables.items()}
    study = create_study(
        storage=storage,
        study_name=study_name,
        sampler=sampler,
        load_if_exists=load_if_exists,
        directions=[StudyDirection[direction.upper()] for _, direction in result.objectives],
    )
    for label, value in (("solver", result.solver), ("seed", result.seed), ("status", str(result.status))):
        study.set_user_attr(label, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # as it has been since Optuna 3.2
        study.set_metric_names([name for name, _ in result.objectives])
    study.add_trials(_trials(result, space, distributions))
    return study


def _trials(result: Result, space: Space, distributions: dict[str, BaseDistribution]) -> list[FrozenTrial]:
    history = result.history
    end = datetime.now()
    start = end - timedelta(seconds=float(result.seconds))
    trials, began = [], start
    for i, x in enumerate(space.decode(history.X)):
        failed = bool(history.failed[i])
        finished = start + timedelta(seconds=float(history.seconds[i]))
        attributes = {
            f"constraints:{name}": float(g)
            for name, g in zip(result.constraints, history.G[i], strict=True)
            if not failed
        }
        trials.append(
            FrozenTrial(
                number=i,
                trial_id=i,
                state=TrialState.FAIL if failed else TrialState.COMPLETE,
                value=None,
                values=None if failed else [float(v) for v in history.F[i]],
                datetime_start=began,
                datetime_complete=finished,
                params={name: _plain(space.variables[name], value) for name, value in x.items()},
                distributions={name: distributions[name] for name in x},
                user_attrs={"number": int(history.number[i])},
                system_attrs=attributes,
                intermediate_values={},
            )
        )
        began = max(began, finished)
    return trials


def _plain(stated: Variable, value: Any) -> Any:
    if isinstance(stated, Real):
        return float(value)
    if isinstance(stated, Integer):
        return int(value)
    return bool(value) if isinstance(stated, Binary) else value
