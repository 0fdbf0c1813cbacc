"""CMA-ES that evaluates only what a quadratic model cannot rank: lq-CMA-ES.

Hansen, A global surrogate assisted CMA-ES, GECCO 2019, doi:10.1145/3321707.3321842. Each generation is evaluated in the
order of the model, first one point, then half as many again, until model and values agree in their ranks (Kendall's
tau >= 0.85); the model ranks the rest. The model's minimum joins the next generation.

What differs from the paper: the model lives in the coordinates of the distribution, its minimum is sought within a
radius (the paper takes the stationary point, which may be a saddle), and restarts are BIPOP's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation
from optengine.core.space import Batch
from optengine.solvers.evolution.cmaes import GaussianPart, free_columns
from optengine.solvers.evolution.gaussian import Gaussian, fold, unfold
from optengine.solvers.evolution.quadratic import TRUNCATION, Quadratic, kendall
from optengine.solvers.evolution.strategy import StrategyRun, default_population

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

AGREEMENT = 0.85  # Kendall's tau from which the model is believed
REDRAWS = 20  # of points beyond the bounds: mirrored ones tell a quadratic model little
FEWEST_COMPARED = 15  # newest data over which tau is taken, at least


class Generation:
    """Points of one generation: which are asked, which are known.

    Attributes:
        V: (n, d) the distribution's points. U: (n, d) the cube's, which the model sees. values: (n,) NaN where unknown.
        target: how many must be known before the model is judged.
    """

    def __init__(self, V: Floats, target: int) -> None:
        self.V, self.U, self.values = V, fold(V), np.full(len(V), np.nan)
        self.lost = np.zeros(len(V), dtype=bool)  # failed
        self.asked = np.zeros(len(V), dtype=bool)
        self.target = target

    @property
    def n_known(self) -> int:
        return int((~np.isnan(self.values)).sum() + self.lost.sum())

    def grow(self, V: Floats) -> None:
        """Add points, as yet neither asked nor known."""
        n = len(V)
        self.V, self.U = np.concatenate([self.V, V]), np.concatenate([self.U, fold(V)])
        self.values = np.concatenate([self.values, np.full(n, np.nan)])
        self.lost = np.concatenate([self.lost, np.zeros(n, dtype=bool)])
        self.asked = np.concatenate([self.asked, np.zeros(n, dtype=bool)])


class SurrogateRun(StrategyRun):
    """State of one run. Candidates come one by one, each chosen with what is known; more may be asked together."""

    def __init__(
        self, problem: Problem, rng: Generator, sigma: float, population: int | None, restarts: str
    ) -> None:
        d = free_columns(problem)
        super().__init__(problem.space, rng, restarts, population or default_population(d))
        self.batch = 1
        self._sigma = sigma
        self._generation: Generation | None = None
        self._minimum: Floats | None = None
        self._radius = math.sqrt(d) + 2.0 * d / (d + 2.0)
        self._model = Quadratic(d, self._regimes.population)

    def _new(self, mean: Floats, step: float, population: int) -> GaussianPart:
        self._generation, self._minimum = None, None
        self._model = Quadratic(self._cube.d, population)
        gaussian = Gaussian(unfold(mean), self._sigma * step, population, redraws=REDRAWS)
        return GaussianPart(gaussian, self._rng)

    # -- ask ---------------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Return the next n points (n, width) of the generation, the most promising first; None: one."""
        if self._finished or not self._cube.d:
            return super().ask(n)
        n = 1 if n is None else n
        gaussian = self._part().gaussian
        generation = self._open_generation(gaussian)
        free = np.flatnonzero(~generation.asked)
        if len(free) < n:  # more asked together than a generation has: it grows
            generation.grow(gaussian.sample(n - len(free), self._rng))
            free = np.flatnonzero(~generation.asked)
        if len(self._model) > 1 and len(free) > n:
            self._model.fit(gaussian)
            free = free[np.argsort(self._model.predict(generation.U[free]), kind="stable")]
        chosen = free[:n]
        generation.asked[chosen] = True
        X = self._cube.to_space(generation.U[chosen])
        self._pending.add(X, [(generation, int(i)) for i in chosen])
        return X

    def _part(self) -> GaussianPart:
        part = self._distribution()
        assert isinstance(part, GaussianPart)
        return part

    def _open_generation(self, gaussian: Gaussian) -> Generation:
        if self._generation is None:
            V = gaussian.sample(gaussian.population, self._rng)
            if self._minimum is not None:
                V[0] = self._minimum
            target = 1 + math.floor(max(0.02 * len(V), 3.0 / TRUNCATION - len(self._model)))
            self._generation = Generation(V, min(len(V), target))
        return self._generation

    # -- tell --------------------------------------------------------------------------------------------------

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width); late and foreign points go to the model only."""
        values = np.where(evaluation.failed | ~np.isfinite(evaluation.F[:, 0]), np.nan, evaluation.F[:, 0])
        fresh: list[tuple[Floats, float]] = []
        for i, note in enumerate(self._pending.take(X)):
            lost = bool(np.isnan(values[i]))
            if note is not None and note[0] is self._generation:
                generation, place = note
                generation.values[place], generation.lost[place] = values[i], lost
                self._spent += 1
                fresh += [] if lost else [(generation.U[place], float(values[i]))]
            if not lost:
                self.floor = min(self.floor, float(values[i]))
            if note is None and not lost:
                if self._current is None and self._era == 0:
                    self._meet(X[i], float(values[i]))
                else:
                    fresh.append((self._cube.from_space(X[i : i + 1])[0], float(values[i])))
        if fresh and self._current is not None:
            self._model.add(np.array([u for u, _ in fresh][::-1]), np.array([f for _, f in fresh][::-1]))
        if self._generation is not None and self._current is not None:
            self._judge(self._generation)

    def _judge(self, generation: Generation) -> None:
        """Close the generation if the model agrees with what is known of it; else ask for more of it."""
        gaussian, model, size = self._part().gaussian, self._model, len(generation.V)
        while generation.n_known >= generation.target:
            known = generation.n_known
            model.sort(min(known, len(model)))
            if known >= size or self._agrees(gaussian, known, size):
                self._finish(generation, gaussian)
                return
            generation.target = min(size, generation.target + math.ceil(generation.target / 2))

    def _agrees(self, gaussian: Gaussian, known: int, size: int) -> bool:
        model = self._model
        n = min(len(model), int(max(FEWEST_COMPARED, min(1.2 * known, 0.75 * size))))
        if n < 3:
            return False
        model.fit(gaussian)
        return kendall(model.F[:n], model.predict(model.X[:n])) >= AGREEMENT

    def _finish(self, generation: Generation, gaussian: Gaussian) -> None:
        """Let the distribution learn the generation, and the model propose a point for the next one."""
        values, known = generation.values, ~np.isnan(generation.values)
        self._generation = None
        if known.any():
            if not known.all():
                values = self._ranked(generation, known, gaussian)
            order = np.argsort(values, kind="stable")
            gaussian.update(generation.V[order], values[order])
        why = gaussian.stopped(self.floor)
        if why is None and self._spent >= self._regimes.allowance:
            why = "a small run had its share"
        if why is not None:
            self._restart(why)
            return
        self._minimum = None
        if len(self._model) > self._cube.d:
            self._model.fit(gaussian)
            minimum = self._model.minimum(self._radius)
            self._minimum = None if minimum is None else unfold(np.clip(minimum, 0.0, 1.0))

    def _ranked(self, generation: Generation, known: NDArray[np.bool_], gaussian: Gaussian) -> Floats:
        """The model's values, shifted so that the best equals the best known; failed points last."""
        if len(self._model) < 2:
            values = np.where(known, generation.values, generation.values[known].max())
        elif (known | generation.lost).all():
            values = generation.values.copy()
        else:
            self._model.fit(gaussian)
            predicted = self._model.predict(generation.U)
            values = predicted - predicted.min() + float(generation.values[known].min())
        values[generation.lost] = np.nanmax(values) + 1.0
        return values
