"""What all evolution strategies here share: generations collected from tells, restarts, starting points, visitors."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.cube import Cube
from optengine.core.evaluation import Evaluation
from optengine.core.pending import Pending
from optengine.core.solver import StopAsking
from optengine.core.space import Batch, Space
from optengine.solvers.evolution.merit import merits
from optengine.solvers.evolution.regimes import Regimes

Floats = NDArray[np.float64]


class Distribution(Protocol):
    """What is sampled and learns: one run between two restarts."""

    population: int  # rows of a generation
    exact: bool  # a generation has exactly that many rows, not at least

    def sample(self, n: int) -> tuple[Floats, list[Any]]:
        """Return points (n, d) of the cube and for each what `learn` wants to have back."""
        ...

    def learn(self, notes: list[Any], values: Floats) -> None:
        """Learn a generation from the notes of its points and their finite values (n,)."""
        ...

    def visit(self, u: Floats) -> Any:
        """Return the note of a point (d,) that was not drawn here, None if it cannot be used."""
        ...

    def stopped(self, floor: float) -> str | None:
        """Return why the run leads nowhere any more, or None; `floor` is the best value known."""
        ...


class StrategyRun:
    """A run of restarted distributions over the free columns of a space.

    A generation closes as soon as enough rows drawn since the restart have come back, whichever ask they are of; with
    larger batches than the population it is all of them. Rows asked before a restart are forgotten when they come.
    Points that were never asked, as x0 and data, set the first mean; later ones, as those of other processes, join the
    next generation when they are better than all of it.
    """

    def __init__(self, space: Space, rng: Generator, restarts: str, population: int) -> None:
        self.batch = population
        self._space, self._rng = space, rng
        self._cube = Cube(space, rng)
        self._restarts = restarts
        self._regimes = Regimes("ipop" if restarts == "never" else restarts, population)
        self._pending = Pending()
        self._current: Distribution | None = None
        self._era = 0  # restarts so far: rows of earlier ones are not learnt
        self._spent = 0  # rows told in this era
        self._told: list[tuple[Any, float]] = []
        self._start: tuple[float, Floats] | None = None  # best value and point known before the first draw
        self._visitor: tuple[float, Floats] | None = None
        self._finished = False
        self._plain = True
        self.floor = math.inf  # best value known, also to others
        self._ends: dict[str, int] = {}

    @property
    def details(self) -> dict[str, Any]:
        """Restarts so far, and what ended the runs before them."""
        return {"restarts": self._era, "ended": dict(self._ends)}

    # -- to be filled in ---------------------------------------------------------------------------------------

    def _new(self, mean: Floats, step: float, population: int) -> Distribution:
        """Return the distribution of a run that starts at `mean` (d,)."""
        raise NotImplementedError

    # -- ask ---------------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Draw n points (n, width); None: a generation.

        Raises:
            StopAsking: the run has converged and `restarts` is "never".
        """
        if self._finished:
            raise StopAsking
        n = self.batch if n is None else n
        if not self._cube.d:
            return self._cube.to_space(np.empty((n, 0)))
        distribution = self._distribution()
        U, notes = distribution.sample(n)
        X = self._cube.to_space(U)
        self._pending.add(X, [(self._era, note) for note in notes])
        return X

    def _distribution(self) -> Distribution:
        if self._current is None:
            mean = self._rng.random(self._cube.d) if self._era else np.full(self._cube.d, 0.5)
            if self._era == 0 and self._start is not None:
                mean = self._start[1]
            self._current = self._new(mean, self._regimes.step, self._regimes.population)
        return self._current

    # -- tell --------------------------------------------------------------------------------------------------

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width); closes as many generations as have come together."""
        values = merits(evaluation)
        self._plain = not evaluation.G.shape[
            1
        ]  # under constraints merits of different batches do not compare
        self.floor = min(self.floor, float(values[~evaluation.failed].min(initial=math.inf)))
        for i, note in enumerate(self._pending.take(X)):
            if note is None:
                if not evaluation.failed[i]:
                    self._meet(X[i], float(values[i]))
            elif note[0] == self._era:
                self._told.append((note[1], float(values[i])))
                self._spent += 1
        while self._current is not None and len(self._told) >= self._current.population:
            if not self._close(self._current):
                return

    def _meet(self, x: Batch, value: float) -> None:
        """Take note of a point that was never asked."""
        if self._current is None and self._era == 0:
            if self._start is None or value < self._start[0]:
                self._start = value, self._cube.from_space(x[np.newaxis])[0]
        elif self._visitor is None or value < self._visitor[0]:
            self._visitor = value, self._cube.from_space(x[np.newaxis])[0]

    def _close(self, distribution: Distribution) -> bool:
        """Let the distribution learn one generation; False after a restart."""
        size = distribution.population if distribution.exact else len(self._told)
        generation, self._told = self._told[:size], self._told[size:]
        notes = [note for note, _ in generation]
        values = np.array([value for _, value in generation])
        if self._visitor is not None and self._visitor[0] < values.min():
            note = distribution.visit(self._visitor[1])
            if note is not None:
                worst = int(np.argmax(values))
                notes[worst], values[worst] = note, self._visitor[0]
        self._visitor = None
        distribution.learn(notes, values)
        why = distribution.stopped(self.floor if self._plain else -math.inf)
        if why is None and self._spent >= self._regimes.allowance:
            why = "a small run had its share"
        if why is None:
            return True
        self._restart(why)
        return False

    def _restart(self, why: str) -> None:
        self._ends[why] = self._ends.get(why, 0) + 1
        self._finished = self._restarts == "never"
        self._regimes.next(self._spent, self._rng)
        self._era += 1
        self._spent, self._told, self._current = 0, [], None


def default_population(d: int) -> int:
    """Return 4 + floor(3 ln d), the tutorial's equation (48)."""
    return 4 + math.floor(3 * math.log(max(1, d)))
