"""What a finished run tells beyond its best point: what matters, how the value changes, what a model believes.

Everything comes from a Gaussian process fitted to the run's recorded evaluations, whatever solver made them, in the
user's names and direction. Points that failed are left out; infeasible ones count, as they have values. Fits and
samples are seeded: the same result gives the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptionError, ProblemError, did_you_mean, require
from optengine.core.result import Result
from optengine.surrogates.fitted import Fitted
from optengine.surrogates.sensitivity import sobol_indices

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]

SEED = 0
POINTS = 1024  # of each of the samples behind the importances


def model(result: Result, target: str | None = None) -> tuple[Fitted, str, float]:
    """Return the model of one recorded value, its name, and 1.0 if it is minimised, else -1.0.

    Args:
        result: a run with a history.
        target: an objective or a constraint by name; None: the only objective.

    Raises:
        OptionError: an unknown target, or none given where there are several objectives.
        ProblemError: fewer than five successful evaluations are recorded.
    """
    name = target_name(result, target)
    objectives = [n for n, _ in result.objectives]
    history = result.history
    if name in objectives:
        column = objectives.index(name)
        values, way = history.F[:, column], result.objectives[column][1]
    else:
        values, way = history.G[:, result.constraints.index(name)], "minimize"
    values = np.where(history.failed, np.nan, values)
    fitted = Fitted.of(result.space, history.X, values, np.random.default_rng(SEED))
    return fitted, name, 1.0 if way == "minimize" else -1.0


def target_name(result: Result, target: str | None) -> str:
    """Return the name of the value to look at."""
    known = [name for name, _ in result.objectives] + list(result.constraints)
    if target is None:
        if len(result.objectives) > 1:
            raise OptionError(f"target must be one of {known} for several objectives, got None")
        return known[0]
    if target not in known:
        raise OptionError(f"target must be one of {known}, got {target!r}{did_you_mean(str(target), known)}")
    return target


# -- importances ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Importances:
    """Sobol indices of the model's mean, most important first.

    Attributes:
        names: variables; elements of arrays as `w[3]`. first: (k,) share of the variance that a variable explains by
            itself; total: (k,) with all its interactions. target: the value explained.
    """

    names: tuple[str, ...]
    first: Floats
    total: Floats
    target: str

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with columns name, first, total."""
        pandas = require("pandas", extra="frame")
        frame: DataFrame = pandas.DataFrame(
            {"name": list(self.names), "first": self.first, "total": self.total}
        )
        return frame


def importances(
    result: Result, *, target: str | None = None, n: int = POINTS, seed: int = SEED
) -> Importances:
    """Return how much each variable matters over the whole space: Sobol indices of the model's mean.

    Known constraints are not looked at; a variable that hangs on another counts where it is active.

    Args:
        result: a run with a history. target: objective or constraint; None: the only objective.
        n: sample size, a power of two; the error of an index is about 1 / sqrt(n). seed: of the sample.

    Raises:
        OptionError: an unknown target, an n that is not a power of two.
        ProblemError: fewer than five successful evaluations are recorded.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2 or n & (n - 1):
        raise OptionError(f"n must be a power of two >= 2, got {n!r}")
    fitted, name, _ = model(result, target)
    names, first, total = sobol_indices(fitted.mean, result.space, int(n), seed)
    order = np.argsort(-total, kind="stable")
    return Importances(tuple(names[i] for i in order), first[order], total[order], name)


# -- what the model is worth, and what it thinks is best -----------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Each value beside what the model says from all the others (leave-one-out, closed form).

    Attributes:
        number: (m,) evaluation numbers. observed, predicted, deviation: (m,); deviation includes the noise.
        r2: share of the variance explained, at most 1; below 0: worse than the mean.
        coverage: share of the values within two deviations; 0.95 is right.
    """

    number: NDArray[np.int64]
    observed: Floats
    predicted: Floats
    deviation: Floats
    r2: float
    coverage: float
    target: str

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with columns number, observed, predicted, deviation."""
        pandas = require("pandas", extra="frame")
        columns = ("number", "observed", "predicted", "deviation")
        frame: DataFrame = pandas.DataFrame({name: getattr(self, name) for name in columns})
        return frame


def cross_validation(result: Result, *, target: str | None = None) -> CrossValidation:
    """Return the leave-one-out cross-validation of the model; hyperparameters are those of the fit to all.

    Raises:
        OptionError: an unknown target. ProblemError: fewer than five successful evaluations are recorded.
    """
    fitted, name, _ = model(result, target)
    mean, deviation = fitted.leave_one_out()
    y = fitted.y
    squares = float(((y - y.mean()) ** 2).sum())
    r2 = 1.0 - float(((y - mean) ** 2).sum()) / squares if squares > 0 else 0.0
    coverage = float((np.abs(y - mean) <= 2.0 * deviation).mean())
    return CrossValidation(result.history.number[fitted.rows], y, mean, deviation, r2, coverage, name)


@dataclass(frozen=True, eq=False)
class Recommendation:
    """What the model thinks is best, beside the best observed.

    Attributes:
        x: the evaluated feasible point with the best posterior mean; mean, deviation: what the model says there;
            observed: what was observed there. best_x, best_observed: the best observed; best_mean, best_deviation:
            what the model says of it. Under noise x is the safer choice; without noise the two are usually one.
    """

    x: Any
    mean: float
    deviation: float
    observed: float
    best_x: Any
    best_observed: float
    best_mean: float
    best_deviation: float

    def __str__(self) -> str:
        return (
            f"model's best  {self.mean:.6g} +- {self.deviation:.2g} (observed {self.observed:.6g}) at {self.x!r}\n"
            f"best observed {self.best_observed:.6g} (model {self.best_mean:.6g} +- {self.best_deviation:.2g}) "
            f"at {self.best_x!r}"
        )


def recommendation(result: Result) -> Recommendation:
    """Return the evaluated point that the model thinks is best, beside the best observed one.

    Raises:
        OptionError: several objectives. ProblemError: fewer than five successful evaluations, or none feasible.
    """
    if len(result.objectives) > 1:
        raise OptionError(f"result must have one objective, got {len(result.objectives)}")
    fitted, _, sign = model(result)
    history, space = result.history, result.space
    rows = np.flatnonzero(~history.failed & (history.violation <= 0) & space.at_target(history.X))
    if not len(rows):
        raise ProblemError("result must hold a feasible evaluation, got none")
    mean, deviation = fitted.predict(history.X[rows])
    i, j = int(np.argmin(sign * mean)), int(np.argmin(sign * history.value[rows]))
    x, best = (space.decode_one(history.X[rows[k]]) for k in (i, j))
    values = history.value[rows]
    return Recommendation(
        x, float(mean[i]), float(deviation[i]), float(values[i]),
        best, float(values[j]), float(mean[j]), float(deviation[j]),
    )  # fmt: skip


def convergence(result: Result, optimum: float | None = None) -> tuple[NDArray[np.int64], Floats]:
    """Return evaluation numbers and the best feasible value so far, or its regret against a known `optimum`.

    NaN before anything feasible. Raises OptionError for several objectives, or an optimum that the run has beaten.
    """
    if len(result.objectives) > 1:
        raise OptionError(f"result must have one objective, got {len(result.objectives)}")
    best = result.history.best
    if optimum is None:
        return result.history.number, best
    sign = 1.0 if result.objectives[0][1] == "minimize" else -1.0
    regret = sign * (best - float(optimum))
    slack = 1e-9 * max(abs(float(optimum)), 1.0)
    if (regret[np.isfinite(regret)] < -slack).any():
        raise OptionError(
            f"optimum must be a value that the run has not beaten, got {optimum} and {best[-1]:.10g}"
        )
    return result.history.number, np.where(np.isfinite(regret), np.maximum(regret, 0.0), np.nan)
