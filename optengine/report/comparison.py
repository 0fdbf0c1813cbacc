"""What runs of several solvers on several problems say about the solvers: gaps, runtimes, profiles, ranks.

Runtime distributions as in COCO (Hansen et al., Optim. Methods Softw. 36, 2021, doi:10.1080/10556788.2020.1808977);
performance profiles of Dolan and Moré (Math. Program. 91, 2002, doi:10.1007/s101070100263); data profiles of Moré and
Wild (SIAM J. Optim. 20, 2009, doi:10.1137/080724083); ranks of Friedman with the critical difference of Nemenyi
(Demšar, JMLR 7, 2006). Runtimes are counted in evaluations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TARGETS = 51  # of each problem, between the first values and the reference
FINEST = 1e-8  # last target, as a share of the first gap
ACCURACY = 0.01  # share of the first gap at which a profile calls a problem solved
NEARLY = 1e-3  # of the first gap: a reference below it is no scale
RESAMPLES = 2000
LEVEL = 0.9  # of intervals
ALPHA = 0.05  # of the critical difference


@dataclass(frozen=True, eq=False)
class Trace:
    """One run.

    Attributes:
        problem, solver, seed: which. status, message: of its result.
        evaluations: (n,) numbers of the evaluations that improved the incumbent, rising. best: (n,) their values, in
            the user's direction. seconds: (n,) when.
        value: at the end, or None. bound: proved, or None. n_evaluations, total: spent, evaluations and seconds.
        columns: of the problem's space.
    """

    problem: str
    solver: str
    seed: int
    status: str
    message: str
    evaluations: Floats
    best: Floats
    seconds: Floats
    value: float | None
    bound: float | None
    n_evaluations: int
    total: float
    columns: int = 1


@dataclass(frozen=True)
class Gap:
    """Final gaps of one solver on one problem.

    Attributes:
        best, median: values in the user's direction, NaN where no run has one.
        gap: median of |value - reference| over `Comparison.unit`: a share. low, high: its bootstrap interval.
        runs, valued: how many, and how many of them have a value.
    """

    problem: str
    solver: str
    best: float
    median: float
    gap: float
    low: float
    high: float
    runs: int
    valued: int


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over problems; two solvers differ where their ranks differ by more than `difference`.

    Attributes:
        solvers, mean: sorted by rank. difference: critical, at level ALPHA; NaN for fewer than two problems or solvers.
        p: of Friedman's test that all are equal, or NaN. problems: how many were ranked.
    """

    solvers: list[str]
    mean: Floats
    difference: float
    p: float
    problems: int


@dataclass
class Comparison:
    """Runs beside each other.

    Attributes:
        traces: of all runs with one objective. directions: problem -> "minimize" or "maximize".
        best_known: problem -> value. left_out: problems of several objectives, which have no single value.
    """

    traces: list[Trace]
    directions: dict[str, str]
    best_known: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @cached_property
    def problems(self) -> list[str]:
        return list(dict.fromkeys(t.problem for t in self.traces))

    @cached_property
    def solvers(self) -> list[str]:
        return list(dict.fromkeys(t.solver for t in self.traces))

    def of(self, problem: str, solver: str) -> list[Trace]:
        """Return the runs of one solver on one problem."""
        return [t for t in self.traces if t.problem == problem and t.solver == solver]

    def sign(self, problem: str) -> float:
        """1 where smaller is better, else -1."""
        return -1.0 if self.directions.get(problem) == "maximize" else 1.0

    @cached_property
    def references(self) -> dict[str, float]:
        """Problem -> the best known value or the best of all runs, whichever is better; NaN where there is none."""
        found = {}
        for problem in self.problems:
            sign = self.sign(problem)
            seen = [sign * t.value for t in self.traces if t.problem == problem and t.value is not None]
            if problem in self.best_known:
                seen.append(sign * self.best_known[problem])
            found[problem] = sign * min(seen) if seen else np.nan
        return found

    def regret(self, trace: Trace, values: Floats | float) -> Floats:
        """Return how much worse `values` are than the reference, >= 0."""
        sign = self.sign(trace.problem)
        return np.maximum(sign * (np.asarray(values, dtype=float) - self.references[trace.problem]), 0.0)

    def unit(self, problem: str) -> float:
        """Return what gaps are shares of: |reference|, or the first gap where the reference is nearly 0 beside it."""
        size, first = abs(self.references[problem]), self._first_gaps[problem]
        if np.isfinite(size) and size > NEARLY * np.nan_to_num(first):
            return float(size)
        return float(first) if np.isfinite(first) and first > 0 else 1.0

    # -- gaps ----------------------------------------------------------------------------------------------------------

    def gaps(self, seed: int = 0) -> list[Gap]:
        """Return one line for each problem and solver that were run together."""
        rng, found = np.random.default_rng(seed), []
        for problem in self.problems:
            reference, sign, unit = self.references[problem], self.sign(problem), self.unit(problem)
            for solver in self.solvers:
                runs = self.of(problem, solver)
                if not runs:
                    continue
                values = np.array([t.value for t in runs if t.value is not None])
                gap = np.full(len(runs), np.inf)
                gap[: len(values)] = np.maximum(sign * (values - reference), 0.0) / unit
                low, high = bootstrap(gap, rng)
                best, median = (
                    (sign * (sign * values).min(), float(np.median(values))) if len(values) else (np.nan,) * 2
                )
                found.append(
                    Gap(
                        problem,
                        solver,
                        float(best),
                        median,
                        median_of(gap),
                        low,
                        high,
                        len(runs),
                        len(values),
                    )
                )
        return found

    # -- runtimes ------------------------------------------------------------------------------------------------------

    @cached_property
    def _first_gaps(self) -> dict[str, float]:
        """Problem -> median over its runs of the first incumbent's gap."""
        found = {}
        for problem in self.problems:
            first = [
                float(self.regret(t, t.best[0])) for t in self.traces if t.problem == problem and len(t.best)
            ]
            found[problem] = float(np.median(first)) if first else np.nan
        return found

    def runtimes(self, trace: Trace, shares: Floats) -> Floats:
        """Return evaluations (k,) after which the gap was at most each share of the first gap; infinite where never."""
        first = self._first_gaps[trace.problem]
        if not len(trace.best) or not np.isfinite(first):
            return np.full(len(shares), np.inf)
        gap = self.regret(trace, trace.best)
        place = [
            int(np.argmax(gap <= share * first)) if (gap <= share * first).any() else -1 for share in shares
        ]
        return np.array([trace.evaluations[i] if i >= 0 else np.inf for i in place], dtype=float)

    def runtime_distribution(self, solver: str) -> tuple[Floats, Floats]:
        """Return (evaluations, share): what share of all (problem, seed, target) was reached after so many."""
        shares = np.geomspace(1.0, FINEST, TARGETS)
        runs = [t for t in self.traces if t.solver == solver]
        times = np.concatenate([self.runtimes(t, shares) for t in runs]) if runs else np.empty(0)
        return _steps(times)

    @cached_property
    def _solved(self) -> Floats:
        """(problems, solvers) median evaluations to ACCURACY; NaN where a solver was not run on a problem."""
        share = np.array([ACCURACY])
        table = np.full((len(self.problems), len(self.solvers)), np.nan)
        for i, problem in enumerate(self.problems):
            for j, solver in enumerate(self.solvers):
                runs = self.of(problem, solver)
                if runs:
                    table[i, j] = median_of(np.array([self.runtimes(t, share)[0] for t in runs]))
        return table

    def performance_profile(self, solver: str) -> tuple[Floats, Floats]:
        """Return (ratio, share): the share of problems solved within `ratio` times the evaluations of the fastest."""
        fastest = np.nanmin(np.where(np.isnan(self._solved), np.inf, self._solved), axis=1)
        mine = self._solved[:, self.solvers.index(solver)]
        counted = ~np.isnan(mine)
        solved = counted & np.isfinite(mine)
        ratio = np.where(solved, mine, np.inf)
        ratio[solved] /= fastest[solved]
        return _steps(ratio[counted])

    def data_profile(self, solver: str) -> tuple[Floats, Floats]:
        """Return (budget, share): the share of problems solved within `budget` times (columns + 1) evaluations."""
        columns = {t.problem: t.columns for t in self.traces}
        size = np.array([columns[problem] + 1.0 for problem in self.problems])
        mine = self._solved[:, self.solvers.index(solver)]
        counted = ~np.isnan(mine)
        return _steps(mine[counted] / size[counted])

    # -- ranks ---------------------------------------------------------------------------------------------------------

    def ranks(self) -> Ranks:
        """Return mean ranks of median values over the problems on which every solver was run."""
        from scipy.stats import friedmanchisquare, rankdata, studentized_range

        rows = []
        for problem in self.problems:
            runs = [self.of(problem, solver) for solver in self.solvers]
            if all(runs):
                sign = self.sign(problem)
                cost = [[sign * t.value if t.value is not None else np.inf for t in each] for each in runs]
                rows.append([median_of(np.array(each)) for each in cost])
        n, k = len(rows), len(self.solvers)
        if not n:
            return Ranks(list(self.solvers), np.full(k, np.nan), np.nan, np.nan, 0)
        costs = np.array(rows)
        table = np.apply_along_axis(rankdata, 1, costs)
        mean = table.mean(axis=0)
        difference = p = np.nan
        if n > 1 and k > 1:
            q = float(studentized_range.ppf(1 - ALPHA, k, np.inf)) / np.sqrt(2.0)
            difference = float(q * np.sqrt(k * (k + 1) / (6.0 * n)))
            if k > 2 and (table != table[:, :1]).any():
                p = float(friedmanchisquare(*table.T).pvalue)
        order = np.argsort(mean, kind="stable")
        return Ranks([self.solvers[i] for i in order], mean[order], difference, p, n)


def median_of(values: Floats) -> float:
    """Median that takes infinite values: the lower middle one counts, so that half of the runs suffice."""
    return float(np.sort(values)[(len(values) - 1) // 2])


def bootstrap(values: Floats, rng: np.random.Generator, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of the median; of one value, that value twice."""
    n = len(values)
    drawn = np.sort(values[rng.integers(n, size=(RESAMPLES, n))], axis=1)[:, (n - 1) // 2]
    ordered, cut = np.sort(drawn), (1 - level) / 2
    return (
        float(ordered[int(cut * (RESAMPLES - 1))]),
        float(ordered[int(np.ceil((1 - cut) * (RESAMPLES - 1)))]),
    )


def improvements(numbers: Iterable[float], best: Floats, seconds: Floats) -> tuple[Floats, Floats, Floats]:
    """Keep of a history the rows at which the incumbent changed."""
    number = np.asarray(list(numbers), dtype=float)
    known = ~np.isnan(best)
    number, best, seconds = number[known], np.asarray(best)[known], np.asarray(seconds)[known]
    new = np.ones(len(best), dtype=bool)
    new[1:] = best[1:] != best[:-1]
    return number[new], best[new], seconds[new]


def _steps(times: Floats) -> tuple[Floats, Floats]:
    """The distribution of `times`, infinite ones counted but never reached."""
    reached = np.sort(times[np.isfinite(times)])
    x = np.unique(reached)
    return x, np.searchsorted(reached, x, "right") / max(len(times), 1)
