"""What a model sees of a space: real features whose Euclidean distances are the distances of its points.

Numbers are their coordinate in the unit cube; bits and memberships 0 or 1; a category is one feature a level, so that
two different ones are at distance 1 (Hamming); a permutation the signs of all pairs of ranks (Kendall), of more than
`LARGEST_PAIRS` items the ranks (Spearman); shares their square roots (Hellinger). A column that does not count in a row
stands at the middle of its range there: two rows where it does not count do not differ by it, and it is as far as
possible from neither end where it counts in one of them only; that it does not count is seen in the column it hangs on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optengine.core.space import BINARY, CATEGORICAL, PERMUTATION, REAL, SIMPLEX, SUBSET, Batch, Space
from optengine.kernels.gp import pair_signs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST_PAIRS = 45  # items: 990 pairs
NUMBER, LEVEL, OTHER = 0, 1, 2  # kinds of features: may be warped; of a category; the rest


class Features:
    """The features of one space.

    Attributes:
        n: number of features. groups: (n,) features of one group share a lengthscale; n_groups.
        kind: (n,) NUMBER, LEVEL or OTHER.
        columns, places: real columns of the space, and the feature that each of them is: where gradients go through.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        free = (space.lower < space.upper) & ~np.isin(space.kind, (PERMUTATION, SIMPLEX, SUBSET))
        self._numbers = np.flatnonzero(free & ~np.isin(space.kind, (CATEGORICAL, BINARY)))
        self._bits = np.flatnonzero(free & (space.kind == BINARY))
        self._categories = np.flatnonzero(free & (space.kind == CATEGORICAL))
        sizes = [1] * len(self._numbers) + [1] * len(self._bits)
        kinds = [NUMBER] * len(self._numbers) + [OTHER] * len(self._bits)
        for column in self._categories:
            sizes.append(int(space.n_levels[column]))
            kinds.append(LEVEL)
        for block in space.blocks:
            k = block.stop - block.start
            if block.kind == PERMUTATION:
                sizes.append(k * (k - 1) // 2 if k <= LARGEST_PAIRS else k)
                kinds.append(OTHER)
            else:
                sizes += [1] * k
                kinds += [OTHER] * k
        sizes, kinds = [s for s in sizes if s], [k for s, k in zip(sizes, kinds, strict=True) if s]
        self.n, self.n_groups = sum(sizes), len(sizes)
        self.groups: Ints = np.repeat(np.arange(len(sizes)), sizes)
        self.kind: Ints = np.repeat(np.array(kinds, dtype=np.int64), sizes)
        real = space.kind[self._numbers] == REAL
        self.columns: Ints = self._numbers[real]
        self.places: Ints = np.flatnonzero(real)

    def place_of(self, column: int) -> int:
        """Return the feature that a numeric column of the space is."""
        return int(np.flatnonzero(self._numbers == column)[0])

    def levels_of(self, column: int) -> Ints:
        """Return the features that a category's column is, or the one of a bit."""
        n = len(self._numbers)
        if column in self._bits:
            return n + np.flatnonzero(self._bits == column)
        index = int(np.flatnonzero(self._categories == column)[0])
        return np.flatnonzero(self.groups == n + len(self._bits) + index)

    def of(self, X: Batch) -> Floats:
        """Return the features (m, n) of a batch (m, width)."""
        space = self._space
        U = space.to_unit(X)
        active = space.active(X) if space.conditional else None
        parts = [U[:, self._numbers], (X[:, self._bits] - 0.0)]
        if active is not None:
            parts[0] = np.where(active[:, self._numbers], parts[0], 0.5)
            parts[1] = np.where(active[:, self._bits], parts[1], 0.5)
        for column in self._categories:
            k = int(space.n_levels[column])
            hot = (X[:, column : column + 1] == np.arange(k)) * math.sqrt(0.5)
            if active is not None:
                hot = np.where(active[:, column : column + 1], hot, math.sqrt(0.5) / k)
            parts.append(hot)
        for block in space.blocks:
            part = _block(block.kind, X[:, block.start : block.stop])
            if active is not None:
                part = np.where(active[:, block.start : block.start + 1], part, 0.0)
            parts.append(part)
        return np.ascontiguousarray(np.concatenate(parts, axis=1))


def _block(kind: int, X: Floats) -> Floats:
    if kind == SIMPLEX:
        return np.sqrt(np.maximum(X, 0.0))
    if kind == SUBSET:
        return X
    rank = np.argsort(X, axis=1).astype(np.float64)  # the position of each item
    k = X.shape[1]
    return pair_signs(rank) if k <= LARGEST_PAIRS else rank / (k * math.sqrt(k))
