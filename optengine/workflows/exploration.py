"""Exploring instead of optimising: what a function does over its whole space, and how sure that is.

Bell et al., Modeling the machine learning multiverse: explore, not optimise, NeurIPS 2022, arXiv:2206.05985: evaluate
where the integrated variance of a Gaussian process falls most, then ask the process: which variables matter, what
each does on average, and over which share of the space a claim holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptionError, ProblemError, did_you_mean, require
from optengine.core.problem import Problem
from optengine.core.result import Result
from optengine.core.space import REAL, Batch, Space
from optengine.surrogates.fitted import Fitted
from optengine.surrogates.sensitivity import parts, sobol_indices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

POINTS, FUNCTIONS = 256, 400  # over which shares are counted; drawn from the posterior
GRID, AVERAGED = 9, 48  # values of a variable of which a main effect is shown; points it is averaged over
LEVEL = 0.9  # of intervals


@dataclass(frozen=True)
class Share:
    """Over which share of the space a claim holds: the mean over functions drawn, and their 90 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.0%} ({self.low:.0%} to {self.high:.0%})"


@dataclass(frozen=True)
class Effect:
    """What one variable does on average over all others.

    Attributes:
        name: of the variable. values: (k,) as the user sees them. mean, deviation: (k,) of the average, in the
            objective's unit and direction.
    """

    name: str
    values: list[Any]
    mean: Floats
    deviation: Floats


@dataclass(frozen=True, eq=False)
class Exploration:
    """What is known of a function after `explore`.

    Attributes:
        result: the run. fitted: the model of its values, in the user's direction. names, first, total: (k,) variables
            with their Sobol indices, by themselves and with interactions.
    """

    result: Result
    fitted: Fitted
    names: list[str]
    first: Floats
    total: Floats
    seed: int

    @property
    def space(self) -> Space:
        return self.result.space

    def share(
        self,
        *,
        below: float | None = None,
        above: float | None = None,
        less: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
    ) -> Share:
        """Return over which share of the space a claim holds.

        Args:
            below, above: the function is at most, at least this.
            less: (these settings, those settings): with these variables fixed the function is less than with those,
                everything else being equal; `({"optimizer": "adam"}, {"optimizer": "sgd"})`.

        Raises:
            OptionError: not one claim exactly, unknown variables.
        """
        given = [claim for claim in (below, above, less) if claim is not None]
        if len(given) != 1:
            raise OptionError(f"share takes one of below, above and less, got {len(given)} of them")
        rng = np.random.default_rng(self.seed)
        X = _sobol(self.space, POINTS, rng)
        if less is None:
            F = self._functions(X, rng)
            held = F <= below if below is not None else F >= float(above or 0.0)
        else:
            if not isinstance(less, (tuple, list)) or len(less) != 2:
                raise OptionError(f"less must be two dicts of settings, got {less!r}")
            F = self._functions(np.concatenate([self._fixed(X, settings) for settings in less]), rng)
            held = F[: len(X)] < F[len(X) :]
        shares = np.asarray(held, dtype=np.float64).mean(axis=0)
        low, high = np.quantile(shares, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
        return Share(float(shares.mean()), float(low), float(high))

    def effect(self, name: str) -> Effect:
        """Return the main effect of a variable.

        Raises:
            OptionError: no such variable, or one that is fixed.
        """
        columns = parts(self.space)
        if name not in columns or columns[name].stop - columns[name].start > 1:
            known = [n for n, c in columns.items() if c.stop - c.start == 1]
            raise OptionError(f"name must be one of {known}, got {name!r}{did_you_mean(str(name), known)}")
        column = columns[name].start
        space, rng = self.space, np.random.default_rng(self.seed)
        X = _sobol(space, AVERAGED, rng)
        U = np.full((GRID, space.width), 0.5)
        U[:, column] = np.linspace(0.0, 1.0, GRID)
        if space.kind[column] == REAL:
            grid = space.from_unit(U)[:, column]
        else:
            grid = np.unique(np.rint(np.linspace(space.lower[column], space.upper[column], GRID)))
        rows = np.repeat(X, len(grid), axis=0)
        rows[:, column] = np.tile(grid, len(X))
        mean, covariance = self._joint(space.canonical(rows))
        averaged = np.tile(np.eye(len(grid)), len(X)) / len(X)  # (grid, rows)
        variance = np.einsum("ij,jk,ik->i", averaged, covariance, averaged)
        shown = _shown(space, name, column, grid)
        return Effect(name, shown, averaged @ mean, np.sqrt(np.maximum(variance, 0.0)))

    def plot(self) -> Figure:
        """Draw the indices, and the main effects of the four variables that matter most, with two deviations."""
        figure_of = require("matplotlib.figure", extra="plot").Figure
        columns = parts(self.space)
        order = [self.names[i] for i in np.argsort(-self.total)]
        shown = [n for n in order if columns[n].stop - columns[n].start == 1][:4]
        figure: Figure = figure_of(figsize=(3.0 * (len(shown) + 1), 3.2), dpi=150, layout="constrained")
        axes = figure.subplots(1, len(shown) + 1)
        at = np.arange(len(self.names))
        axes[0].barh(at, self.total[np.argsort(self.total)], color="#c8c8c8", label="with interactions")
        axes[0].barh(at, self.first[np.argsort(self.total)], color="#0072b2", label="by itself")
        axes[0].set_yticks(at, [self.names[i] for i in np.argsort(self.total)])
        axes[0].set_xlabel("share of the variance")
        axes[0].legend(fontsize="x-small")
        for one, name in zip(axes[1:], shown, strict=True):
            effect = self.effect(name)
            numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in effect.values)
            x = effect.values if numbers else np.arange(len(effect.values))
            one.plot(x, effect.mean, "o-", color="#0072b2", ms=3)
            one.fill_between(
                x, effect.mean - 2 * effect.deviation, effect.mean + 2 * effect.deviation, alpha=0.2
            )
            if not numbers:
                one.set_xticks(x, [str(v) for v in effect.values])
            elif self.space.log[columns[name].start]:
                one.set_xscale("log")
            one.set_xlabel(name)
        axes[1 if len(shown) else 0].set_ylabel(self.result.objectives[0][0])
        return figure

    def _fixed(self, X: Batch, settings: Mapping[str, Any]) -> Batch:
        """The rows with some variables set."""
        space = self.space
        rows = []
        for x in space.decode(X):
            for name in settings:
                if name not in space.variables:
                    raise OptionError(
                        f"settings name {name!r}, which is no variable{did_you_mean(str(name), space.names)}"
                    )
            rows.append(dict(x) | dict(settings))
        return space.encode(rows)

    def _joint(self, X: Batch) -> tuple[Floats, Floats]:
        """Mean (m,) and covariance (m, m) of the function at X."""
        mean, covariance = self.fitted.gp.joint(self.fitted.features.of(X))
        return self.fitted.centre + self.fitted.spread * mean, self.fitted.spread**2 * covariance

    def _functions(self, X: Batch, rng: np.random.Generator) -> Floats:
        """Functions drawn from the posterior at X, (m, FUNCTIONS)."""
        mean, covariance = self._joint(X)
        values, axes = np.linalg.eigh(0.5 * (covariance + covariance.T))
        root = axes * np.sqrt(np.maximum(values, 0.0))
        return np.asarray(mean[:, None] + root @ rng.standard_normal((len(X), FUNCTIONS)))


def explore(
    problem: Problem | Callable[..., Any], space: Any = None, *, budget: int, seed: int = 0, **arguments: Any
) -> Exploration:
    """Evaluate a function where that tells most about all of it, and return what is known then.

    Args:
        problem: a Problem of one objective, or a function with its `space`.
        budget: evaluations. seed: of the run and of what is drawn afterwards.
        arguments: further arguments of `solve`: workers, storage, catch, ...

    Raises:
        ProblemError: several objectives, or no space for a function.
    """
    from optengine.engine import solve
    from optengine.solvers.bayes import BO

    if not isinstance(problem, Problem):
        if space is None:
            raise ProblemError("space must be given with a function, got None")
        problem = Problem(problem, space)
    elif space is not None:
        raise ProblemError("space must be None beside a Problem, which has its own, got another")
    if problem.n_objectives > 1:
        raise ProblemError(f"explore takes one objective, got {problem.n_objectives}")
    result = solve(problem, solver=BO(acquisition="variance"), budget=budget, seed=seed, **arguments)
    history = result.history
    values = np.where(history.failed, np.nan, history.F[:, 0])
    fitted = Fitted.of(problem.space, history.X, values, np.random.default_rng(seed))
    names, first, total = sobol_indices(fitted.mean, problem.space, 1024, seed)
    return Exploration(result, fitted, names, first, total, seed)


def _sobol(space: Space, n: int, rng: np.random.Generator) -> Batch:
    from scipy.stats.qmc import Sobol  # slow to import

    U = Sobol(space.width, scramble=True, rng=rng).random(1 << (n - 1).bit_length())[:n]
    X = space.from_unit(U)
    for column, target in space.fidelity.values():
        X[:, column] = target
    return X


def _shown(space: Space, name: str, column: int, grid: Floats) -> list[Any]:
    """The values of one column as the user sees them."""
    variable = space.variables.get(name)
    if variable is None or variable.shape:
        return [float(v) for v in grid]
    rows = np.repeat(space.lower[None, :], len(grid), axis=0)
    rows[:, column] = grid
    decoded = space.columns(rows)
    return list(decoded[name].tolist() if space.named else np.asarray(decoded).reshape(-1).tolist())


__all__ = ["Effect", "Exploration", "Share", "explore"]
