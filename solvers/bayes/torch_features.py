"""Points of a space as BoTorch's models see them: our own engine's features, fidelities turned to their targets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.core.space import CATEGORICAL, INTEGER, ORDINAL, REAL, Batch, Space
from optengine.surrogates.features import LEVEL, Features as Plain

Floats = NDArray[np.float64]

RELAXED = 12  # levels from which an integer is moved as if it were real, and rounded


class Features:
    """The map from columns X (n, width) to features Z (n, d), all in [0, 1] but for signs of pairs.

    Attributes:
        d: number of features. groups: (d,) which length-scale each has. categorical: groups of categories.
        free: columns that a gradient can move: reals, and integers of many levels. free_at: their features.
        fidelity: features that are fidelities, in the order of `space.fidelity`; they run to 1 at their target.
        discrete: whether anything but reals varies.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._plain = Plain(space)
        self.groups: list[int] = self._plain.groups.tolist()
        self.d = self._plain.n
        self.categorical = sorted({int(g) for g in self._plain.groups[self._plain.kind == LEVEL]})
        targets = dict(space.fidelity.values())
        self.free, self.free_at = [], []  # type: list[int], list[int]
        self.fidelity: list[int] = []
        self._turned: list[int] = []  # fidelity features that fall towards their target
        self._spread: list[tuple[int, int]] = []  # features of few levels, and how many they have
        numbers = np.flatnonzero((space.lower < space.upper) & np.isin(space.kind, (REAL, INTEGER, ORDINAL)))
        for at, column in enumerate(numbers.tolist()):  # they come first among the features
            kind, levels = int(space.kind[column]), int(space.n_levels[column])
            if column in targets:
                self.fidelity.append(at)
                if targets[column] == space.lower[column]:
                    self._turned.append(at)
            elif kind == REAL or (kind == INTEGER and levels >= RELAXED):
                self.free.append(column)
                self.free_at.append(at)
            if kind in (INTEGER, ORDINAL) and column not in self.free and not space.log[column]:
                self._spread.append((at, levels))
        varies = (space.lower < space.upper) | np.isin(space.kind, (CATEGORICAL,))
        self.discrete = bool(space.blocks) or bool((varies & (space.kind != REAL)).any())

    def __call__(self, X: Batch) -> Floats:
        """Return the features (n, d) of a batch."""
        Z = self._plain.of(X)
        for at, levels in self._spread:  # levels own cells of the cube: their middles are stretched to [0, 1]
            Z[:, at] = np.clip((Z[:, at] * levels - 0.5) / (levels - 1), 0.0, 1.0)
        for at in self._turned:
            Z[:, at] = 1.0 - Z[:, at]
        return Z

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
