"""Gaussian processes chosen by extrapolation, searched at several depths.

Posterior means with a quadratic trend (`surrogates.posterior`) are fitted for the settings that rank rows left out
best, the best quarter of the table and random ones. Their mean is climbed from the best rows, and points from several
depths of the ascent are candidates, since how far a model may be trusted is not known; where rows left out tell that no
setting has learnt anything, points of few steps, of many, and random draws take turns, whatever is predicted. Discrete
spaces are searched in their own points: all of them where they are few, single substitutions otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.core.solver import Control
from optengine.problems.offline import Offline
from optengine.solvers.offline.ensemble import Ensemble
from optengine.solvers.offline.run import MOST_ROWS, OfflineRun, check_options, refuses_all_but_tables
from optengine.solvers.offline.table import Table
from optengine.surrogates.posterior import Posterior, Trial, diagonal, spread_rows, try_settings

if TYPE_CHECKING:
    from optengine.core.problem import Problem

LEAST_MERIT = 0.1  # rank correlation on many rows left out below which predictions choose nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class GPPortfolio:
    """Ascent of Gaussian-process means that extrapolate best; the default for Offline problems.

    One run costs `members` factorisations, O(rows^3) each, and some hundred passes over the rows for each candidate.

    Attributes:
        members: settings whose means are averaged, >= 1; they differ in lengthscale or trend.
        rows: of the table a model is fitted to, the best half and a random half of that number, >= 8.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True
    needs_limit: ClassVar[bool] = False
    offline: ClassVar[bool] = True

    members: int = 3
    rows: int = MOST_ROWS

    def __post_init__(self) -> None:
        check_options(self, whole=("members", "rows"))

    def refuses(self, problem: Problem) -> str | None:
        """Anything but an Offline problem."""
        return refuses_all_but_tables(problem)

    def start(self, problem: Problem, rng: Generator) -> GPPortfolioRun:
        """Return a new run."""
        assert isinstance(problem, Offline)
        return GPPortfolioRun(self, problem, rng)


class GPPortfolioRun(OfflineRun):
    """State of one run."""

    def __init__(self, options: GPPortfolio, problem: Offline, rng: Generator) -> None:
        super().__init__(problem, rng)
        self._options = options

    def fit(self, table: Table, control: Control) -> Ensemble:
        """Choose settings by extrapolation and fit each to the table."""
        trials = try_settings(table.Z, table.t, self._rng)
        chosen = distinct(trials, self._options.members)
        self._setting, self._spearman = chosen[0].setting, chosen[0].extrapolation
        # Two standard deviations of the mean of two rank correlations where nothing is to be learnt.
        chance = 2.0 * math.sqrt(0.5 / max(1, len(table.t) // 4))
        self._hedged = chosen[0].merit < max(LEAST_MERIT, chance)
        self.details["settings"] = [
            {"lengthscale": t.setting.lengthscale, "noise": t.setting.noise, "trend": t.setting.trend}
            | {"extrapolation": t.extrapolation, "holdout": t.holdout}
            for t in chosen
        ]
        rows = spread_rows(table.t, self._options.rows, self._rng)
        Z, t = np.ascontiguousarray(table.Z[rows]), table.t[rows]
        models = [Posterior(Z, t, trial.setting, diagonal(table.Z)) for trial in chosen]
        return Ensemble(models, self.constraint_models(table))


def distinct(trials: list[Trial], n: int) -> list[Trial]:
    """The best n trials of different lengthscale or presence of a trend."""
    seen: set[tuple[float, bool]] = set()
    chosen = []
    for trial in trials:
        key = (trial.setting.lengthscale, trial.setting.trend > 0)
        if key not in seen:
            seen.add(key)
            chosen.append(trial)
        if len(chosen) == n:
            break
    return chosen
