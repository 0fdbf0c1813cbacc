"""CMA-ES over integers, levels and categories, through the package `cmaes`.

Numbers and levels alone: CMA-ES with margin (Hamano et al., GECCO 2022, arXiv:2205.13482), which keeps the probability
of a neighbouring level above a floor, so that no level is lost for good. With categories or bits: CatCMA with margin
(Hamano et al., arXiv:2504.07884), a normal and a categorical distribution learning together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import require
from optengine.core.space import BINARY, CATEGORICAL, REAL, SIMPLEX
from optengine.solvers.evolution.cmaes import free_columns
from optengine.solvers.evolution.strategy import StrategyRun, default_population

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.evolution.strategy import Distribution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_LEVELS = 1000  # of a column; beyond, its steps are so fine that rounding a real number serves as well
PATIENCE = 50  # generations without a better value before a restart, and 30 d / population more
BREAKDOWNS = (
    np.linalg.LinAlgError,
    AssertionError,
    FloatingPointError,
    ValueError,
)  # of the package's arithmetic


class MarginRun(StrategyRun):
    """State of one run over mixed columns."""

    def __init__(
        self, problem: Problem, rng: Generator, sigma: float, population: int | None, restarts: str
    ) -> None:
        require("cmaes", extra="evolution")
        super().__init__(
            problem.space, rng, restarts, population or default_population(free_columns(problem))
        )
        self._sigma = sigma
        space, columns = problem.space, self._cube.columns
        kind, levels = space.kind[columns], space.n_levels[columns]
        self._categories = np.flatnonzero((kind == CATEGORICAL) | (kind == BINARY))
        smooth = np.isin(kind, (REAL, SIMPLEX)) | (levels > MOST_LEVELS)
        smooth[self._categories] = False
        self._reals = np.flatnonzero(smooth)
        self._steps = np.setdiff1d(np.arange(len(kind)), [*self._reals, *self._categories])
        self._n_levels = levels
        uneven = bool(space.log[columns][self._steps].any())
        self._mixed = uneven or len(self._categories) > 0
        self._centres = (
            [self._levels_in_cube(problem, int(columns[i])) for i in self._steps] if self._mixed else []
        )

    def _levels_in_cube(self, problem: Problem, column: int) -> Floats:
        """Where the levels of one column stand in the cube; a logarithmic one's are uneven."""
        space = problem.space
        n = int(space.n_levels[column])
        X = np.repeat(space.lower[np.newaxis], n, axis=0)
        X[:, column] = space.lower[column] + np.arange(n)
        return np.asarray(space.to_unit(X)[:, column])

    def _new(self, mean: Floats, step: float, population: int) -> Distribution:
        seed = int(self._rng.integers(2**31))
        if self._mixed:
            known = self._era == 0 and self._start is not None
            return CategoryPart(self, mean, self._sigma * step, population, seed, known=known)
        return StepPart(self, mean, self._sigma * step, population, seed)


class _Part:
    """What both wrappers share: patience, and breakdowns of the package's arithmetic as an end."""

    exact = True

    def __init__(self, strategy: Any, population: int, d: int) -> None:
        self._strategy, self.population = strategy, population
        self._patience = PATIENCE + math.ceil(30 * d / population)
        self._best, self._stale = math.inf, 0
        self._broken = False

    def __getstate__(self) -> dict[str, Any]:
        # The package leaves its random stream out when it is pickled; a copy would go another way.
        return self.__dict__ | {"stream": self._strategy._rng.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        stream = state.pop("stream")
        self.__dict__.update(state)
        self._strategy._rng.set_state(stream)

    def learn(self, notes: list[Any], values: Floats) -> None:
        best = float(values.min())
        self._stale = 0 if best < self._best else self._stale + 1
        self._best = min(self._best, best)
        try:
            with np.errstate(all="ignore"):
                self._strategy.tell(list(zip(notes, values.tolist(), strict=True)))
        except BREAKDOWNS:
            self._broken = True

    def visit(self, u: Floats) -> None:
        """Its raw samples cannot be made up from outside."""
        return

    def stopped(self, floor: float) -> str | None:
        if self._broken or not self._sound():
            return "the arithmetic broke down"
        if self._stale >= self._patience:
            return "no better value for long"
        with np.errstate(all="ignore"):
            return "converged" if self._converged() else None

    def _sound(self) -> bool:
        raise NotImplementedError

    def _converged(self) -> bool:
        return bool(self._strategy.should_stop())


class StepPart(_Part):
    """`cmaes.CMAwM` over reals and evenly spaced levels."""

    def __init__(self, run: MarginRun, mean: Floats, sigma: float, population: int, seed: int) -> None:
        from cmaes import CMAwM

        d = len(mean)
        bounds, steps = np.tile([0.0, 1.0], (d, 1)), np.zeros(d)
        width = 1.0 / run._n_levels[run._steps]
        bounds[run._steps] += np.column_stack([0.5 * width, -0.5 * width])
        steps[run._steps] = width
        mean = np.clip(mean, bounds[:, 0], bounds[:, 1])
        super().__init__(
            CMAwM(mean, sigma, bounds, steps, seed=seed, population_size=population), population, d
        )

    def sample(self, n: int) -> tuple[Floats, list[Any]]:
        with np.errstate(all="ignore"):
            pairs = [self._strategy.ask() for _ in range(n)]
        return np.clip(np.array([u for u, _ in pairs]), 0.0, 1.0), [raw for _, raw in pairs]

    def _sound(self) -> bool:
        return bool(np.isfinite(self._strategy.mean).all())


class CategoryPart(_Part):
    """`cmaes.CatCMAwM` over reals, levels and categories."""

    def __init__(
        self, run: MarginRun, mean: Floats, sigma: float, population: int, seed: int, *, known: bool
    ) -> None:
        from cmaes import CatCMAwM

        d = len(mean)
        self._reals, self._steps, self._categories = run._reals, run._steps, run._categories
        self._counts, self._d = run._n_levels[self._categories], d
        arguments: dict[str, Any] = {"population_size": population, "seed": seed}
        if len(self._reals):
            arguments["x_space"] = [[0.0, 1.0]] * len(self._reals)
        if len(self._steps):
            arguments["z_space"] = [centres.tolist() for centres in run._centres]
        numbers = np.concatenate([self._reals, self._steps])
        self._numeric = len(numbers) > 0
        if self._numeric:
            arguments |= {"mean": mean[numbers].copy(), "sigma": sigma, "cov": np.eye(len(numbers))}
        if len(self._categories):
            arguments["c_space"] = self._counts.tolist()
            if known:
                arguments["cat_param"] = self._lean(mean[self._categories])
        super().__init__(CatCMAwM(**arguments), population, d)

    def _lean(self, u: Floats) -> Floats:
        """Half of the probability on the categories of a known point."""
        q = np.zeros((len(self._counts), int(self._counts.max())))
        for row, n, place in zip(q, self._counts, u, strict=True):
            row[:n] = 0.5 / n
            row[min(int(place * n), n - 1)] += 0.5
        return q

    def sample(self, n: int) -> tuple[Floats, list[Any]]:
        U = np.empty((n, self._d))
        with np.errstate(all="ignore"):
            solutions = [self._strategy.ask() for _ in range(n)]
        for u, solution in zip(U, solutions, strict=True):
            if len(self._reals):
                u[self._reals] = solution.x
            if len(self._steps):
                u[self._steps] = solution.z
            if len(self._categories):
                u[self._categories] = (np.argmax(solution.c, axis=1) + 0.5) / self._counts
        return np.clip(U, 0.0, 1.0), solutions

    def _sound(self) -> bool:
        s = self._strategy
        numbers = not self._numeric or bool(np.isfinite(s._mean).all() and np.isfinite(s._sigma))
        return numbers and (not len(self._categories) or bool(np.isfinite(s._q).all()))

    def _converged(self) -> bool:
        return self._numeric and super()._converged()
