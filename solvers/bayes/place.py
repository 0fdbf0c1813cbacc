"""The density of a believed place of the optimum, on a model's features, relative to the uniform distribution.

(1 - mix) times a product over variables, of truncated normals on the unit interval and of weights of levels times
their number, plus mix: outside the believed place the density is flat, so that a wrong belief is left by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from optengine.core.space import BINARY, Batch, Space
from optengine.solvers.bayes.beliefs import Beliefs, Near, encoded, weights_of
from optengine.surrogates.features import Features

Floats = NDArray[np.float64]


class Place:
    """Density and samples of the beliefs about the place."""

    def __init__(self, space: Space, features: Features, beliefs: Beliefs) -> None:
        self._space, self._mix = space, beliefs.mix
        self._near: list[tuple[int, int, float, float]] = []  # column, feature, centre and deviation
        self._levels: list[tuple[int, NDArray[np.int64], Floats]] = []  # column, features, probabilities
        for name, belief in beliefs.place.items():
            columns = np.arange(space.slices[name].start, space.slices[name].stop)
            columns = columns[space.lower[columns] < space.upper[columns]]
            if isinstance(belief, Near):
                row = space.lower.copy()
                row[space.slices[name]] = encoded(space, name, belief.value)
                unit = space.to_unit(row[None, :])[0]
                for c in columns:
                    self._near.append((int(c), features.place_of(c), float(unit[c]), float(belief.spread)))
            elif isinstance(belief, Mapping):
                p = weights_of(space, name, belief)
                self._levels += [(int(c), features.levels_of(int(c)), p) for c in columns]

    def __bool__(self) -> bool:
        return bool(self._near or self._levels)

    def log(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the log density (m,) at features Z (m, f), and its gradient (m, f)."""
        total, gradient, mix = np.zeros(len(Z)), np.zeros_like(Z), self._mix
        for _, place, centre, spread in self._near:
            away = (Z[:, place] - centre) / spread
            inside = ndtr((1.0 - centre) / spread) - ndtr(-centre / spread)
            total -= 0.5 * away * away + math.log(math.sqrt(2.0 * math.pi) * spread * inside)
            gradient[:, place] -= away / spread
        for column, places, p in self._levels:
            logs = np.log(len(p) * p)
            if self._space.kind[column] == BINARY:
                total += np.where(Z[:, places[0]] > 0.5, logs[1], logs[0])
            else:
                total += logs[Z[:, places].argmax(axis=1)]
        believed = math.log(1.0 - mix) + total
        log = np.logaddexp(believed, math.log(mix))
        with np.errstate(under="ignore"):
            return log, gradient * np.exp(believed - log)[:, None]

    def mode(self) -> Batch:
        """Return the point (1, width) believed in most; the middle in what nothing is believed about."""
        X = self._space.from_unit(np.full((1, self._space.width), 0.5))
        return self._set(X, [np.array([centre]) for _, _, centre, _ in self._near],
                         [np.array([float(p.argmax())]) for _, _, p in self._levels])  # fmt: skip

    def sample(self, n: int, rng: Generator) -> Batch:
        """Draw n points (n, width); uniform in what nothing is believed about."""
        X = self._space.sample(n, rng)
        numbers, codes, flat = [], [], rng.random(n) < self._mix
        for _, _, centre, spread in self._near:
            low, high = ndtr(-centre / spread), ndtr((1.0 - centre) / spread)
            drawn = np.clip(centre + spread * ndtri(low + (high - low) * rng.random(n)), 0.0, 1.0)
            numbers.append(np.where(flat, rng.random(n), drawn))
        for _, _, p in self._levels:
            code = rng.choice(len(p), n, p=p)
            codes.append(np.where(flat, rng.integers(len(p), size=n), code).astype(np.float64))
        return self._set(X, numbers, codes)

    def _set(self, X: Batch, numbers: list[Floats], codes: list[Floats]) -> Batch:
        U = self._space.to_unit(X)
        for (column, *_), values in zip(self._near, numbers, strict=True):
            U[:, column] = values
        X = self._space.from_unit(U)
        for (column, *_), values in zip(self._levels, codes, strict=True):
            X[:, column] = values
        return self._space.canonical(X)
