"""Points of a space as inputs of a Gaussian process.

Numbers lie in [0, 1] (logs on their logarithm), categories are one-hot with one length-scale each variable (which is
the Hamming kernel), permutations enter by the position of each item, subsets by membership, simplexes by their shares.
Inactive columns stand in the middle. Columns that cannot vary are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.core.space import (
    BINARY,
    CATEGORICAL,
    INTEGER,
    ORDINAL,
    PERMUTATION,
    REAL,
    SIMPLEX,
    SUBSET,
    Batch,
    Space,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

APART = np.sqrt(0.5)  # one-hot columns are scaled by it: two different levels lie at distance 1
RELAXED = 12  # levels from which an integer is moved as if it were real, and rounded


class Features:
    """The map from columns X (n, width) to features Z (n, d).

    Attributes:
        d: number of features. groups: (d,) which length-scale each feature has. n_groups: how many there are.
        free: columns that a gradient can move: reals, and integers of many levels. free_at: their features.
        fidelity: features that are fidelities, in the order of `space.fidelity`; they run to 1 at their target.
        discrete: whether anything but reals varies. categorical: groups of categorical variables.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._pieces: list[tuple[int, int, int]] = []  # kind, column, number of columns in X
        groups: list[int] = []
        categorical: list[int] = []
        blocks = {block.start: block for block in space.blocks}
        fidelity = {column: target for column, target in space.fidelity.values()}
        self.free, self.free_at, self.fidelity = [], [], []  # type: list[int], list[int], list[int]
        self._turned: list[int] = []  # fidelity features that fall towards their target
        column, group = 0, 0
        while column < space.width:
            block = blocks.get(column)
            width = block.stop - block.start if block is not None else 1
            kind, levels = int(space.kind[column]), int(space.n_levels[column])
            if block is None and space.lower[column] == space.upper[column]:
                column += 1
                continue
            at = len(groups)
            self._pieces.append((kind, column, width))
            if kind == CATEGORICAL and levels > 2:
                groups += [group] * levels
                categorical.append(group)
                group += 1
            elif kind == PERMUTATION:
                groups += [group] * width
                group += 1
            else:
                if kind == CATEGORICAL:
                    categorical.append(group)
                groups += range(group, group + width)
                group += width
            if column in fidelity:
                self.fidelity.append(at)
                if fidelity[column] == space.lower[column]:
                    self._turned.append(at)
            elif kind == REAL or (kind == INTEGER and levels >= RELAXED):
                self.free.append(column)
                self.free_at.append(at)
            column += width
        self.d, self.n_groups = len(groups), group
        self.groups: Ints = np.array(groups, dtype=np.int64)
        self.categorical = categorical
        self.discrete = any(kind != REAL for kind, _, _ in self._pieces)
        self.smooth = all(kind in (REAL, INTEGER, ORDINAL, BINARY) for kind, _, _ in self._pieces)

    def __call__(self, X: Batch) -> Floats:
        """Return the features (n, d) of a batch."""
        space = self.space
        U = space.to_unit(X)
        active = space.active(X) if space.conditional else None
        parts = []
        for kind, column, width in self._pieces:
            stop = column + width
            if kind == CATEGORICAL and space.n_levels[column] > 2:
                part = APART * (X[:, column, None] == np.arange(space.n_levels[column]))
            elif kind in (CATEGORICAL, BINARY, SUBSET, SIMPLEX):
                part = X[:, column:stop].copy()
            elif kind == PERMUTATION:
                part = np.argsort(X[:, column:stop], axis=1) / max(1, width - 1)
            elif kind in (INTEGER, ORDINAL) and column not in self.free:
                part = self._spread(U[:, column:stop], int(space.n_levels[column]))
            else:
                part = U[:, column:stop].copy()
            if active is not None:
                out = ~active[:, column]
                part[out] = 0.0 if kind in (CATEGORICAL, PERMUTATION) else 0.5
            parts.append(part)
        Z = np.concatenate(parts, axis=1) if parts else np.empty((len(X), 0))
        for at in self._turned:
            Z[:, at] = 1.0 - Z[:, at]
        return np.ascontiguousarray(Z, dtype=np.float64)

    @staticmethod
    def _spread(U: Floats, levels: int) -> Floats:
        """Stretch the cells' middles, which begin half a step inside, to [0, 1]."""
        half = 0.5 / max(levels, 1)
        return np.clip((U - half) / max(1.0 - 2.0 * half, 1e-12), 0.0, 1.0)

    def moved(self, X: Batch, V: Floats) -> Batch:
        """Return X with its free columns at the unit values V (n, free); integers are rounded."""
        if not self.free:
            return X
        U = self.space.to_unit(X)
        U[:, self.free] = np.clip(V, 0.0, 1.0)
        moved = self.space.from_unit(U)
        out = X.copy()
        out[:, self.free] = moved[:, self.free]
        return self.space.canonical(out)

    def movable(self, X: Batch) -> NDArray[np.bool_]:
        """Return (n, free) which of the free columns count in each row."""
        if not self.space.conditional:
            return np.ones((len(X), len(self.free)), dtype=bool)
        return np.asarray(self.space.active(X)[:, self.free])
