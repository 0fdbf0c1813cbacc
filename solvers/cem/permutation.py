"""Permutations: three families.

`PositionModel`, "position": a probability of each item at each position, sampled without replacement position by
position in a random order (Rubinstein and Kroese, The cross-entropy method, Springer 2004, section 4.6).
`TransitionModel`, "transition": a probability of each item after each other one, for tours, where only neighbours
count (de Boer et al., 2005, doi:10.1007/s10479-005-5724-z, section 4.2). `PlackettLuceModel`, "plackett-luce": one
strength an item, for orders in which early or late is all that counts; n parameters in place of n^2, but it cannot
say that an item belongs in the middle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.kernels.cem_orders import plackett_luce, plackett_luce_fit, tours, transition_frequencies
from optengine.kernels.sampling import permutation_steps, permutations, position_frequencies
from optengine.solvers.cem.discrete import population_for
from optengine.solvers.cem.models import Columns, Floats, Mask

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM


class PermutationModel:
    """m permutations of n items each; the families say what of them is learnt."""

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
        permutation_steps(np.array([[0.0, 1.0]]), np.zeros((1, 3)))

    def restart(self, rng: Generator | None, spread: float) -> None:
        raise NotImplementedError

    def sample(self, n: int, rng: Generator) -> Floats:
        parts = [self._draw(i, n, rng) for i in range(self._m)]
        return parts[0] if self._m == 1 else np.concatenate(parts, axis=1)

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        for i in range(self._m):
            start = i * self.n_items
            w = weights if active is None else weights * active[:, start]
            if w.any():
                self._learn(i, elites[:, start : start + self.n_items], w)

    def seed(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        self.refit(elites, weights, active)

    def _draw(self, i: int, n: int, rng: Generator) -> Floats:
        raise NotImplementedError

    def _learn(self, i: int, elites: Floats, weights: Floats) -> None:
        raise NotImplementedError

    def step(self, X: Floats, rng: Generator) -> Floats:
        """Move each row (n, w) by one swap, insertion or reversal of one of its permutations."""
        which = rng.integers(self._m, size=len(X))
        U = rng.random((len(X), 3))
        rows = np.arange(len(X))
        blocks = np.array(X).reshape(len(X), self._m, self.n_items)
        blocks[rows, which] = permutation_steps(blocks[rows, which], U)
        return blocks.reshape(X.shape)


class PositionModel(PermutationModel):
    """A position matrix a permutation. Sampling costs O(rows m n^2), refitting O(m n^2 + rows m n)."""

    def _compile(self) -> None:
        super()._compile()
        position_frequencies(permutations(np.ones((2, 2)), np.zeros((1, 4))), np.ones(1))

    def restart(self, rng: Generator | None, spread: float) -> None:
        self.P = np.full((self._m, self.n_items, self.n_items), 1.0 / self.n_items)

    def sample(self, n: int, rng: Generator) -> Floats:
        U = rng.random((self._m, n, 2 * self.n_items))
        parts = [permutations(P, u) for P, u in zip(self.P, U, strict=True)]
        return parts[0] if self._m == 1 else np.concatenate(parts, axis=1)

    def _learn(self, i: int, elites: Floats, weights: Floats) -> None:
        frequencies = position_frequencies(elites, weights)
        P = self.P[i] + self._alpha * (frequencies - weights.sum() * self.P[i])
        np.maximum(P, self._floor, out=P)
        self.P[i] = P / P.sum(axis=1, keepdims=True)


class TransitionModel(PermutationModel):
    """A matrix of transitions a permutation. Sampling costs O(rows m n^2), refitting O(m n^2 + rows m n)."""

    def _compile(self) -> None:
        super()._compile()
        tours(np.ones((2, 2)), np.zeros((1, 2)))

    def restart(self, rng: Generator | None, spread: float) -> None:
        n = self.n_items
        self.P = np.full((self._m, n, n), 1.0 / max(1, n - 1))
        self.P[:, np.arange(n), np.arange(n)] = 0.0

    def _draw(self, i: int, n: int, rng: Generator) -> Floats:
        return tours(self.P[i], rng.random((n, self.n_items)))

    def _learn(self, i: int, elites: Floats, weights: Floats) -> None:
        P = self.P[i] + self._alpha * (transition_frequencies(elites, weights) - weights.sum() * self.P[i])
        np.maximum(P, self._floor, out=P)
        np.fill_diagonal(P, 0.0)
        self.P[i] = P / np.maximum(P.sum(axis=1, keepdims=True), 1e-300)


class PlackettLuceModel(PermutationModel):
    """One strength an item. Sampling costs O(rows m n log n), refitting O(rows m n)."""

    def restart(self, rng: Generator | None, spread: float) -> None:
        self.logs = np.zeros((self._m, self.n_items))

    def _draw(self, i: int, n: int, rng: Generator) -> Floats:
        return plackett_luce(self.logs[i], rng.random((n, self.n_items)))

    def _learn(self, i: int, elites: Floats, weights: Floats) -> None:
        if self.n_items > 1:
            share = self._alpha * float(weights.sum())
            self.logs[i] += share * (plackett_luce_fit(elites, weights, self.logs[i]) - self.logs[i])


FAMILIES: dict[str, type[PermutationModel]] = {
    "position": PositionModel,
    "transition": TransitionModel,
    "plackett-luce": PlackettLuceModel,
}
