"""How variables become columns: their constants, their blocks, and the short forms in which a space may be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import SpaceError
from optengine.core.variables import (
    BINARY,
    CATEGORICAL,
    INTEGER,
    ORDINAL,
    PERMUTATION,
    REAL,
    SIMPLEX,
    SUBSET,
    Real,
    Variable,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """A run of columns that only means something together: a permutation, a subset or a simplex."""

    kind: int
    start: int
    stop: int
    size_low: int = 0  # subsets: how many are chosen
    size_high: int = 0


def bounds_variable(pairs: Any) -> Variable:
    """Return the array variable of a list of (low, high) pairs."""
    try:
        array = np.asarray(list(pairs), dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise SpaceError(
            f"space must be a Space, a dict of variables, a variable, or (low, high) pairs, got {pairs!r}"
        )
    return Real(array[:, 0], array[:, 1])


def collect(given: Mapping[str, Variable], named: Mapping[str, Variable]) -> dict[str, Variable]:
    """Return all variables by name, checked."""
    for name in named:
        if name in given:
            raise SpaceError(f"names of variables must be distinct, got {name!r} twice")
    variables = {**given, **named}
    if not variables:
        raise SpaceError("a space needs at least one variable, got none")
    for name, variable in variables.items():
        if not isinstance(name, str) or not name:
            raise SpaceError(f"names of variables must be non-empty strings, got {name!r}")
        if not isinstance(variable, Variable):
            raise SpaceError(f"{name} must be a variable such as Real(0, 1), got {variable!r}")
    return variables


def constants(variable: Variable) -> tuple[NDArray[Any], ...]:
    """kind, lower, upper, log, n_levels and canonical value of a variable's columns."""
    width, kind = variable.n_columns, variable.kind
    lower: NDArray[Any] = np.zeros(width)
    upper: NDArray[Any] = np.ones(width)
    levels = np.zeros(width, dtype=np.int64)
    log = np.full(width, bool(getattr(variable, "log", False)))
    if kind in (REAL, INTEGER):
        lower = np.ravel(variable.low).astype(np.float64)  # type: ignore[attr-defined]
        upper = np.ravel(variable.high).astype(np.float64)  # type: ignore[attr-defined]
        if kind == INTEGER:
            levels = (upper - lower).astype(np.int64) + 1
    elif kind in (CATEGORICAL, ORDINAL):
        levels = np.array([len(variable.levels(i)) for i in range(width)], dtype=np.int64)  # type: ignore[attr-defined]
        upper = levels - 1.0
    elif kind in (BINARY, SUBSET):
        levels[:] = 2
    elif kind == PERMUTATION:
        levels[:] = variable.columns_each
        upper = np.full(width, variable.columns_each - 1.0)
    canonical: NDArray[Any] = lower.copy()
    each = variable.columns_each
    if kind == PERMUTATION:
        canonical = np.tile(np.arange(each, dtype=np.float64), variable.size)
    elif kind == SIMPLEX:
        canonical = np.full(width, 1.0 / each)
    elif kind == SUBSET:
        canonical = np.tile((np.arange(each) < variable.size_[0]).astype(np.float64), variable.size)  # type: ignore[attr-defined]
    return np.full(width, kind, dtype=np.uint8), lower, upper, log, levels, canonical


def block_holds(block: Block, X: Floats, tol: float) -> NDArray[np.bool_]:
    """Return (n,) whether each row of a block's columns X is a permutation, a subset of its size, or shares."""
    if block.kind == PERMUTATION:
        return np.asarray((np.sort(X, axis=1) == np.arange(X.shape[1])).all(axis=1))
    total = X.sum(axis=1)
    if block.kind == SIMPLEX:
        return np.asarray(np.abs(total - 1.0) <= tol * X.shape[1])
    return np.asarray((total >= block.size_low) & (total <= block.size_high))
