"""What a family of distributions offers the cross-entropy method, and which families a space needs.

A new family is a class with these methods in a file of its own and a line in `models_of`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.random import Generator
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
    Space,
)

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Columns: TypeAlias = slice | NDArray[np.int64]


class Model(Protocol):
    """A distribution over some columns of a batch, one factor of the product that is sampled and refitted.

    Elites come as their own columns (k, w), best first, with weights (k,) that sum to 1; `active` (k, w) marks the
    entries that count, None means all. A column whose active elites weigh a < 1 in all moves by the share a: elites
    without it vote for leaving it as it is.
    """

    columns: Columns  # columns of the batch it owns
    population: int  # rows of a generation it asks for
    dimension: int  # free coordinates

    @property
    def converged(self) -> bool:
        """Whether its samples no longer differ; False for families that cannot tell."""
        ...

    def restart(self, rng: Generator | None, spread: float) -> None:
        """Forget everything; with `rng` the new centre is drawn. `spread` in (0, 1] scales the initial width."""
        ...

    def seed(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        """Lean towards points that were known before the first generation."""
        ...

    def sample(self, n: int, rng: Generator) -> Floats:
        """Draw (n, w)."""
        ...

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        """Move towards the distribution nearest to the elites in Kullback-Leibler divergence."""
        ...


def models_of(space: Space, options: CEM) -> list[Model]:
    """Return the factors of the product distribution over `space`; columns that cannot vary belong to none."""
    from optengine.solvers.cem.discrete import BernoulliModel, CategoricalModel, SubsetModel
    from optengine.solvers.cem.gaussian import GaussianModel
    from optengine.solvers.cem.permutation import PermutationModel
    from optengine.solvers.cem.simplex import SimplexModel

    free = space.lower < space.upper
    free[[column for column, _ in space.fidelity.values()]] = False
    models: list[Model] = []
    numbers = np.flatnonzero(free & np.isin(space.kind, (REAL, INTEGER, ORDINAL)))
    if len(numbers):
        models.append(GaussianModel(space, numbers, options))
    bits = np.flatnonzero(free & (space.kind == BINARY))
    if len(bits):
        models.append(BernoulliModel(bits, options))
    choices = np.flatnonzero(free & (space.kind == CATEGORICAL))
    if len(choices):
        models.append(CategoricalModel(choices, space.n_levels[choices], options))
    alike: dict[tuple[int, int, int, int], list[int]] = {}
    for block in space.blocks:
        key = (block.kind, block.stop - block.start, block.size_low, block.size_high)
        alike.setdefault(key, []).append(block.start)
    for (kind, n, low, high), starts in alike.items():
        columns = (np.array(starts)[:, np.newaxis] + np.arange(n)).ravel()
        if kind == PERMUTATION:
            models.append(PermutationModel(columns, n, options))
        elif kind == SUBSET:
            models.append(SubsetModel(columns, n, low, high, options))
        elif kind == SIMPLEX:
            models.append(SimplexModel(columns, n, options))
    for model in models:
        model.columns = _as_slice(model.columns)
    return models


def _as_slice(columns: Columns) -> Columns:
    """Neighbouring columns as a slice, which copies nothing."""
    if isinstance(columns, slice) or (np.diff(columns) != 1).any():
        return columns
    return slice(int(columns[0]), int(columns[-1]) + 1)
