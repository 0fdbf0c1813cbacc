"""The free columns of a space as a unit cube; columns that cannot vary stand still."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import Batch, Space

Floats = NDArray[np.float64]


class Cube:
    """Maps points U (n, d) of the cube to batches X (n, width) that keep the known constraints, and back.

    Attributes:
        columns: (d,) the free columns. d: how many they are.
    """

    def __init__(self, space: Space, rng: Generator) -> None:
        free = space.lower < space.upper
        free[[column for column, _ in space.fidelity.values()]] = False
        self.columns = np.flatnonzero(free)
        self.d = len(self.columns)
        self._space, self._rng = space, rng
        self._whole = self.d == space.width
        self._base = space.to_unit(space.lower[np.newaxis])[0] if not self._whole else None
        self._repair: Callable[[Batch, Generator], Batch] | None = None
        if space.constrained:
            from optengine.backends.repair import Repair

            self._repair = Repair(space).repair

    def to_space(self, U: Floats) -> Batch:
        """Return the batch of U, repaired, fidelities at their targets."""
        space = self._space
        if self._base is None:
            X = space.from_unit(U)
        else:
            wide = np.empty((len(U), space.width))
            wide[:] = self._base
            wide[:, self.columns] = U
            X = space.from_unit(wide)
        for column, target in space.fidelity.values():
            X[:, column] = target
        return X if self._repair is None else np.ascontiguousarray(self._repair(X, self._rng))

    def from_space(self, X: Batch) -> Floats:
        """Return the points of the cube that `to_space` takes to X."""
        U = self._space.to_unit(X)
        return U if self._whole else U[:, self.columns]
