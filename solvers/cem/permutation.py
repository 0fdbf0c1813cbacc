"""Permutations: a matrix of probabilities of each item at each position.

The position matrix of Rubinstein and Kroese (The cross-entropy method, Springer 2004, section 4.6), sampled without
replacement position by position in a random order. A Plackett-Luce distribution (one strength an item) has n parameters
in place of n^2 and stalls on assignment and routing: it cannot say that an item belongs in the middle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.kernels.sampling import permutation_steps, permutations, position_frequencies
from optengine.solvers.cem.discrete import population_for
from optengine.solvers.cem.models import Columns, Floats, Mask

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM


class PermutationModel:
    """m position matrices of n items each. Sampling costs O(rows m n^2), refitting O(m n^2 + rows m n)."""

    converged = False

    def __init__(self, columns: NDArray[np.int64], n: int, options: CEM) -> None:
        self.columns: Columns = columns
        self.n_items, self._m = n, len(columns) // n
        self.dimension = len(columns)
        self.population = population_for(self.dimension, 5)
        self._alpha, self._floor = options.alpha, options.floor / (n * n)
        self.restart(None, 1.0)
        self._compile()

    def _compile(self) -> None:
        """Call each kernel once, so that compilation is over before the clock of a search starts."""
        one = permutations(np.ones((2, 2)), np.zeros((1, 4)))
        position_frequencies(permutation_steps(one, np.zeros((1, 3))), np.ones(1))

    def restart(self, rng: Generator | None, spread: float) -> None:
        self.P = np.full((self._m, self.n_items, self.n_items), 1.0 / self.n_items)

    def sample(self, n: int, rng: Generator) -> Floats:
        U = rng.random((self._m, n, 2 * self.n_items))
        parts = [permutations(P, u) for P, u in zip(self.P, U, strict=True)]
        return parts[0] if self._m == 1 else np.concatenate(parts, axis=1)

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        for i in range(self._m):
            start = i * self.n_items
            w = weights if active is None else weights * active[:, start]
            frequencies = position_frequencies(elites[:, start : start + self.n_items], w)
            P = self.P[i] + self._alpha * (frequencies - w.sum() * self.P[i])
            np.maximum(P, self._floor, out=P)
            self.P[i] = P / P.sum(axis=1, keepdims=True)

    seed = refit

    def step(self, X: Floats, rng: Generator) -> Floats:
        """Move each row (n, w) by one swap, insertion or reversal of one of its permutations."""
        which = rng.integers(self._m, size=len(X))
        U = rng.random((len(X), 3))
        rows = np.arange(len(X))
        blocks = np.array(X).reshape(len(X), self._m, self.n_items)
        blocks[rows, which] = permutation_steps(blocks[rows, which], U)
        return blocks.reshape(X.shape)
