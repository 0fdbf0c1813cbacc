"""Random search: independent points, uniform on the space.

The yardstick for every other method (Bergstra and Bengio, Random search for hyper-parameter optimization, JMLR 13,
2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from numpy.random import Generator

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.space import Batch, Space

if TYPE_CHECKING:
    from optengine.core.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSearch:
    """Points drawn independently and uniformly on the space; fidelities stand at their targets.

    Known constraints: points come from the shared feasible sampler, so that they are drawn inside the constraints
    rather than moved there. One batch costs O(population * width).

    Attributes:
        population: rows of a batch.

    Raises:
        OptionError: a population that is not an integer >= 1.
    """

    replayable: ClassVar[bool] = True

    population: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.population, bool) or not isinstance(self.population, int) or self.population < 1:
            raise OptionError(f"population must be an integer >= 1, got {self.population!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Nothing."""
        return None

    def start(self, problem: Problem, rng: Generator) -> RandomSearchRun:
        """Return a new run."""
        return RandomSearchRun(self, problem.space, rng)


class RandomSearchRun:
    """State of one run: the stream of random numbers."""

    def __init__(self, options: RandomSearch, space: Space, rng: Generator) -> None:
        self.batch = options.population
        self._space, self._rng = space, rng
        self._repair = None
        if space.constrained:
            from optengine.backends.repair import Repair

            self._repair = Repair(space)

    def ask(self, n: int | None = None) -> Batch:
        """Draw n points (n, width); None: a batch."""
        n = self.batch if n is None else n
        X = (
            self._space.sample(n, self._rng)
            if self._repair is None
            else self._repair.feasible_sample(n, self._rng)
        )
        for column, target in self._space.fidelity.values():
            X[:, column] = target
        return X

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn nothing."""
