"""Probabilities of bits, categories and members: the discrete cross-entropy method.

The distribution nearest to the elites has their weighted frequencies; it is approached by the share `alpha` a
generation (de Boer et al., 2005, doi:10.1007/s10479-005-5724-z, eq. (19)), and no value's probability falls below a
floor of which `floor` coordinates a row are drawn on average.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import logit

from optengine.kernels.sampling import categories, subsets
from optengine.solvers.cem.models import Columns, Floats, Mask

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM

HEAVY_TAIL = 1.5  # exponent of the number of bits flipped together
LARGEST_POPULATION = 1000  # beyond it more generations pay better than larger ones


def population_for(n_probabilities: int, each: int) -> int:
    """Rows of a generation for so many free probabilities, `each` rows a probability."""
    return min(max(64, each * n_probabilities), LARGEST_POPULATION)


class BernoulliModel:
    """Independent bits. Sampling and refitting cost O(rows d)."""

    converged = False

    def __init__(self, columns: NDArray[np.int64], options: CEM) -> None:
        self.columns: Columns = columns
        self.dimension = d = len(columns)
        self.population = population_for(d, 2)
        self._alpha, self._floor = options.alpha, options.floor / (2 * d)
        self.restart(None, 1.0)

    def restart(self, rng: Generator | None, spread: float) -> None:
        self.p = np.full(self.dimension, 0.5)
        if rng is not None:
            self.p = 0.25 + 0.5 * rng.random(self.dimension)

    def sample(self, n: int, rng: Generator) -> Floats:
        return (rng.random((n, self.dimension)) < self.p).astype(np.float64)

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        self.p = smoothed(self.p, elites, weights, active, self._alpha)
        np.clip(self.p, self._floor, 1.0 - self._floor, out=self.p)

    seed = refit

    def step(self, X: Floats, rng: Generator) -> Floats:
        """Flip k bits of each row (n, w), k drawn with probability ~ k^-1.5: mostly one, sometimes many.

        Doerr, Le, Makhmara and Nguyen, Fast genetic algorithms, GECCO 2017, doi:10.1145/3071178.3071301.
        """
        n, d = X.shape
        powers = np.arange(1, max(2, d // 2 + 1)) ** -HEAVY_TAIL
        cumulative = np.cumsum(powers) / powers.sum()
        counts = np.minimum(np.searchsorted(cumulative, rng.random(n), side="right") + 1, d)
        rows = np.repeat(np.arange(n), counts)
        Y = np.array(X)
        sites = rng.integers(d, size=len(rows))  # a bit hit twice is flipped once
        Y[rows, sites] = 1.0 - X[rows, sites]
        return Y


class SubsetModel:
    """Members drawn with their own probabilities and within the bounds on the size; m subsets of n items each.

    Sampling costs O(rows m n log n), refitting O(rows m n).
    """

    converged = False

    def __init__(self, columns: NDArray[np.int64], n: int, low: int, high: int, options: CEM) -> None:
        self.columns: Columns = columns
        self._n, self._low, self._high = n, low, high
        self.dimension = len(columns)
        self.population = population_for(self.dimension, 2)
        self._alpha, self._floor = options.alpha, options.floor / (2 * self.dimension)
        self.restart(None, 1.0)

    def restart(self, rng: Generator | None, spread: float) -> None:
        share = (self._low + self._high) / (2 * self._n)
        self.p = np.clip(np.full(self.dimension, share), self._floor, 1.0 - self._floor)

    def sample(self, n: int, rng: Generator) -> Floats:
        logits = logit(self.p).reshape(-1, self._n)
        members = subsets(logits, self._low, self._high, rng.random((n, *logits.shape)))
        return members.reshape(n, self.dimension)

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        self.p = smoothed(self.p, elites, weights, active, self._alpha)
        np.clip(self.p, self._floor, 1.0 - self._floor, out=self.p)

    seed = refit


class CategoricalModel:
    """One distribution a column, of its own number of levels; kept in one flat array, column after column.

    Sampling costs O(rows d log(levels)), refitting O(rows d + levels of all columns).
    """

    converged = False

    def __init__(self, columns: NDArray[np.int64], n_levels: NDArray[np.int64], options: CEM) -> None:
        self.columns: Columns = columns
        self.dimension = d = len(columns)
        self._n_levels = n_levels
        self._offsets = np.concatenate([[0], np.cumsum(n_levels)])
        self.population = population_for(int((n_levels - 1).sum()), 2)
        self._alpha = options.alpha
        self._floor = np.repeat(options.floor / (d * n_levels), n_levels)
        self.restart(None, 1.0)

    def restart(self, rng: Generator | None, spread: float) -> None:
        self.p = np.repeat(1.0 / self._n_levels, self._n_levels)
        if rng is not None:
            lean = rng.standard_exponential(len(self.p))  # uniform on each column's simplex
            lean /= np.repeat(np.add.reduceat(lean, self._offsets[:-1]), self._n_levels)
            self.p = 0.5 * (self.p + lean)

    def sample(self, n: int, rng: Generator) -> Floats:
        cumulative = np.cumsum(self.p)  # each column sums to 1, so that column j lies between j and j + 1
        cumulative[self._offsets[1:] - 1] = np.arange(1, self.dimension + 1)
        return categories(cumulative, self._offsets, rng.random((n, self.dimension)))

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        W = np.broadcast_to(weights[:, np.newaxis], elites.shape)
        W = W if active is None else W * active
        cells = self._offsets[:-1] + elites.astype(np.int64)
        frequencies = np.bincount(cells.ravel(), W.ravel(), len(self.p))
        share = np.repeat(W.sum(axis=0), self._n_levels)
        self.p = self.p + self._alpha * (frequencies - share * self.p)
        np.maximum(self.p, self._floor, out=self.p)
        self.p /= np.repeat(np.add.reduceat(self.p, self._offsets[:-1]), self._n_levels)

    seed = refit


def smoothed(p: Floats, elites: Floats, weights: Floats, active: Mask | None, alpha: float) -> Floats:
    """Return p + alpha (elite frequency - p), (d,); inactive entries vote for p."""
    if active is None:
        return np.asarray(p + alpha * (weights @ elites - p))
    return np.asarray(p + alpha * (weights @ np.where(active, elites - p, 0.0)))
