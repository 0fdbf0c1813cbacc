"""What a family of distributions offers the cross-entropy method, and which families a space needs.

A new family is a class with these methods in a file of its own and a line in `models_of` or `_number_model`.
Optional methods: `step(X, rng)` moves elites a little, `learn(X, F)` sees every told row, `centre()` returns one row
that joins each generation, `warm_up()` compiles kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

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
    from optengine.core.problem import Problem
    from optengine.solvers.cem.cem import CEM

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Columns: TypeAlias = slice | NDArray[np.int64]

LARGEST_FULL = 60  # columns of the full family that "auto" chooses


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


@runtime_checkable
class Stepping(Protocol):
    """A family that can also move a row a little."""

    columns: Columns
    dimension: int

    def step(self, X: Floats, rng: Generator) -> Floats:
        """Return X (n, w), each row with one move."""
        ...


def models_of(problem: Problem, options: CEM) -> list[Model]:
    """Return the factors of the product distribution over a space; columns that cannot vary belong to none."""
    from optengine.solvers.cem.discrete import BernoulliModel, CategoricalModel, SubsetModel
    from optengine.solvers.cem.permutation import FAMILIES
    from optengine.solvers.cem.simplex import SimplexModel

    space = problem.space
    free = space.lower < space.upper
    free[[column for column, _ in space.fidelity.values()]] = False
    models: list[Model] = []
    numbers = np.flatnonzero(free & np.isin(space.kind, (REAL, INTEGER, ORDINAL)))
    if len(numbers):
        models.append(_number_model(family_of(problem, options), space, numbers, options))
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
            models.append(FAMILIES[options.permutation](columns, n, options))
        elif kind == SUBSET:
            models.append(SubsetModel(columns, n, low, high, options))
        elif kind == SIMPLEX:
            models.append(SimplexModel(columns, n, options))
    for model in models:
        model.columns = _as_slice(model.columns)
    return models


def family_of(problem: Problem, options: CEM) -> str:
    """Return the family of the numbers; for "auto" the first of these rules that fits.

    1. a `manifold` is given -> "manifold".
    2. `noise_beta` > 0: plans over time, whose columns are coloured one by one -> "diagonal".
    3. 2 to 60 columns, all of them real and none conditional, in a problem without noise: there is time to learn d^2
       correlations, and small generations pay -> "full".
    4. otherwise -> "diagonal": single columns tell more of noisy, mixed and conditional rows; integers need the large
       generations; beyond 60 columns the covariance takes longer to learn than most budgets last.
    """
    if options.manifold is not None:
        return "manifold"
    if options.family != "auto":
        return options.family
    if options.noise_beta > 0 or problem.noisy or problem.space.conditional:
        return "diagonal"
    free = problem.space.lower < problem.space.upper
    real = bool((problem.space.kind[free] == REAL).all())
    return "full" if real and 2 <= free.sum() <= LARGEST_FULL else "diagonal"


def _number_model(family: str, space: Space, columns: NDArray[np.int64], options: CEM) -> Model:
    from optengine.solvers.cem.full import FullModel
    from optengine.solvers.cem.gaussian import GaussianModel
    from optengine.solvers.cem.lowrank import LowRankModel
    from optengine.solvers.cem.manifold import ManifoldModel
    from optengine.solvers.cem.mixture import MixtureModel

    families: dict[str, Callable[[Space, NDArray[np.int64], CEM], Model]] = {
        "diagonal": GaussianModel,
        "full": FullModel,
        "lowrank": LowRankModel,
        "mixture": MixtureModel,
        "manifold": ManifoldModel,
    }
    return families[family](space, columns, options)


def _as_slice(columns: Columns) -> Columns:
    """Neighbouring columns as a slice, which copies nothing."""
    if isinstance(columns, slice) or (np.diff(columns) != 1).any():
        return columns
    return slice(int(columns[0]), int(columns[-1]) + 1)
