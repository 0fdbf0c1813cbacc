"""The first points of a run: a scrambled Sobol sequence, moved inside the known constraints. Both engines share it.

The first one is the middle of the space, which users choose the bounds around, unless they gave a point of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from optengine.backends.repair import Repair
from optengine.core.space import Batch, Space
from optengine.solvers.bayes.told import Told

BLOCK = 64  # points drawn at once: a power of two keeps the sequence balanced
LARGEST_WIDTH = 1000  # columns of the sequence; wider spaces get independent points
TRIES = 8  # further points looked at in place of one that was evaluated before


def n_initial(space: Space, wanted: int | None) -> int:
    """Return how many points come before the model: those wanted, or 5 to 12, one more than the free columns."""
    free = int((space.lower < space.upper).sum()) - len(space.fidelity)
    return wanted if wanted is not None else max(5, min(free + 1, 12))


class Design:
    """The sequence, and whether its first point was given away."""

    def __init__(self, space: Space, rng: Generator, repair: Repair) -> None:
        self._space, self._rng, self._repair = space, rng, repair
        self._sequence = None
        if space.width <= LARGEST_WIDTH and not space.constrained:
            from scipy.stats.qmc import Sobol as Sequence  # slow to import

            self._sequence = Sequence(space.width, scramble=True, rng=rng)
        self._drawn = np.empty((0, space.width))
        self._middle = True

    def draw(self, n: int, told: Told) -> Batch:
        """Return the next n points (n, width), new ones where the space has any left."""
        rows: list[Batch] = []
        for _ in range(n):
            row = self._next(told)
            for _ in range(TRIES):
                if not told.seen(row[None, :])[0] and not any((row == other).all() for other in rows):
                    break
                row = self._next(told)
            rows.append(row)
        return np.array(rows)

    def _next(self, told: Told) -> Batch:
        space = self._space
        if self._middle:
            self._middle = False
            if not len(told) and not space.blocks:
                return self._kept(space.from_unit(np.full((1, space.width), 0.5)))
        if not len(self._drawn):
            if space.constrained:
                self._drawn = self._repair.feasible_sample(BLOCK, self._rng)
            elif self._sequence is None:
                self._drawn = space.sample(BLOCK, self._rng)
            else:
                self._drawn = space.from_unit(self._sequence.random(BLOCK))
        row, self._drawn = self._drawn[:1], self._drawn[1:]
        return self._kept(row)

    def _kept(self, X: Batch) -> Batch:
        X = np.array(X)
        for column, target in self._space.fidelity.values():
            X[:, column] = target
        return np.asarray(self._repair.repair(X, self._rng)[0])
