"""The smallest useful solver that is asked and told: a template for one's own, and what the engine's tests run on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation, best_first
from optengine.core.space import Batch, Space

if TYPE_CHECKING:
    from optengine.core.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Climber:
    """A (1 + n) evolution strategy on any space: random neighbours of the best point told so far.

    Rechenberg, Evolutionsstrategie, 1973, without its step-size rule. One batch costs O(population * width).

    Attributes:
        population: rows of a batch.
        scale: step of reals, in units of the unit cube, > 0.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    population: int = 8
    scale: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.population, bool) or not isinstance(self.population, int) or self.population < 1:
            raise OptionError(f"population must be an integer >= 1, got {self.population!r}")
        number = isinstance(self.scale, (int, float)) and not isinstance(self.scale, bool)
        if not number or not 0 < self.scale < np.inf:
            raise OptionError(f"scale must be > 0 and finite, got {self.scale!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Nothing."""
        return None

    def start(self, problem: Problem, rng: Generator) -> ClimberRun:
        """Return a new run."""
        return ClimberRun(self, problem.space, rng)


class ClimberRun:
    """State of one run: the parent and its evaluation."""

    def __init__(self, options: Climber, space: Space, rng: Generator) -> None:
        self.batch = options.population
        self._scale, self._space, self._rng = options.scale, space, rng
        self._parent: Batch = np.empty((0, space.width))  # (1, width) once something was told
        self._value: Evaluation | None = None

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width): random ones at first, then neighbours of the parent."""
        n = self.batch if n is None else n
        if not len(self._parent):
            X = self._space.sample(n, self._rng)
        else:
            X = self._space.neighbours(np.repeat(self._parent, n, axis=0), self._rng, self._scale)
        for column, target in self._space.fidelity.values():
            X[:, column] = target
        return X

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Keep the best of the parent and X; of equals the newest, so that plateaus are crossed."""
        candidates, values = X, evaluation
        if self._value is not None:
            candidates = np.concatenate([X, self._parent])
            values = Evaluation.concatenate([evaluation, self._value])
        best = best_first(values)[:1]
        if not values.failed[best[0]]:
            self._parent, self._value = candidates[best], values.take(best)
