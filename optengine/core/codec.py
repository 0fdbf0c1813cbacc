"""From the user's x to columns and back, one variable at a time.

Each kind has a pair of functions: `encode` checks a value and returns its columns, `decode` returns the user's
value from them, `column` does so for a whole batch. They are chosen once, when a space is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import SpaceError
from optengine.core.levels import index_of
from optengine.core.variables import (
    BINARY,
    CATEGORICAL,
    INTEGER,
    ORDINAL,
    PERMUTATION,
    REAL,
    SIMPLEX,
    SUBSET,
    Variable,
)

Floats = NDArray[np.float64]
SLACK = 1e-9  # relative distance outside a bound that is taken for rounding, not for an error


def decoder(variable: Variable) -> Callable[[Floats], Any]:
    """Return the function from one row's columns (n_columns,) to the user's value."""
    kind, shape = variable.kind, variable.dims
    if kind == SUBSET:
        if shape:
            return lambda c: c.reshape(*shape, variable.columns_each).astype(np.int64)
        return lambda c: np.flatnonzero(c)
    if kind == PERMUTATION:
        return lambda c: c.astype(np.int64).reshape(*shape, variable.columns_each)
    if kind == SIMPLEX:
        return lambda c: c.reshape(*shape, variable.columns_each).copy()
    if kind in (CATEGORICAL, ORDINAL):
        if shape:
            table = _table(variable)
            return lambda c: _look_up(table, c).reshape(shape)
        levels = variable.levels()  # type: ignore[attr-defined]
        return lambda c: levels[int(c[0])]
    if shape:
        dtype: Any = np.float64 if kind == REAL else np.int64
        return lambda c: c.astype(dtype).reshape(shape)
    scalar: Callable[[float], Any] = float if kind == REAL else int if kind == INTEGER else bool
    return lambda c: scalar(c[0])


def batch_decoder(variable: Variable) -> Callable[[Floats], Any]:
    """Return the function from a batch's columns to the user's values, (n,) + shape; subsets as 0/1 (n, ..., items).

    It returns new arrays: an objective may write into them.
    """
    kind, shape = variable.kind, variable.dims
    if kind in (CATEGORICAL, ORDINAL):
        table = _table(variable)
        return lambda columns: _look_up(table, columns).reshape(len(columns), *shape)
    inner = (*shape, variable.columns_each) if kind in (SUBSET, PERMUTATION, SIMPLEX) else shape
    real, flag = kind in (REAL, SIMPLEX), kind == BINARY and not shape
    dtype: Any = np.float64 if real else np.bool_ if flag else np.int64
    return lambda columns: columns.astype(dtype).reshape(len(columns), *inner)


def _table(variable: Variable) -> NDArray[Any]:
    """Levels (k,) where all elements share them, else (size, k) with rows filled up; float64 for numeric ordinals."""
    shared = variable.levels(variable.size - 1) is variable.levels(0)  # type: ignore[attr-defined]
    sets = [variable.levels(i) for i in range(1 if shared else variable.size)]  # type: ignore[attr-defined]
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for levels in sets for v in levels)
    dtype = np.float64 if numeric and variable.kind == ORDINAL else object
    table = np.zeros((len(sets), max(len(levels) for levels in sets)), dtype=dtype)
    for element, levels in enumerate(sets):
        for i, level in enumerate(levels):  # one by one: a level may be a sequence
            table[element, i] = level
    return table[0] if shared else table


def _look_up(table: NDArray[Any], columns: Floats) -> NDArray[Any]:
    """Replace indices (..., size) by levels."""
    indices = columns.astype(np.int64)
    picked: NDArray[Any] = table[indices] if table.ndim == 1 else table[np.arange(len(table)), indices]
    return picked


def encode(variable: Variable, value: Any, name: str) -> Floats:
    """Return the columns (n_columns,) of `value`.

    Raises:
        SpaceError: the value has the wrong shape, kind or range.
    """
    kind, shape = variable.kind, variable.dims
    if kind in (CATEGORICAL, ORDINAL):
        return _encode_levels(variable, value, name, shape)
    if kind in (PERMUTATION, SUBSET, SIMPLEX):
        return _encode_blocks(variable, value, name, shape)
    numbers = _as_numbers(value, name, shape, variable)
    low = np.ravel(getattr(variable, "low", 0.0))
    high = np.ravel(getattr(variable, "high", 1.0))
    slack = (SLACK if kind == REAL else 0.0) * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
    if kind != REAL:
        whole = np.rint(numbers)
        if (np.abs(numbers - whole) > SLACK).any():
            raise SpaceError(f"{name} must be a whole number in {variable!r}, got {value!r}")
        numbers = whole
    if ((numbers < low - slack) | (numbers > high + slack)).any():
        raise SpaceError(f"{name} must lie in {variable!r}, got {value!r}")
    return np.clip(numbers, low, high)


def _as_numbers(value: Any, name: str, shape: tuple[int, ...], variable: Variable) -> Floats:
    try:
        if np.asarray(value).dtype.kind in "US":  # NumPy would read the text "1" as a number
            raise TypeError
        numbers = (
            np.asarray(value, dtype=np.float64) + 0.0
        )  # 0.0 in place of -0.0: one point, one row of bytes
    except (TypeError, ValueError):
        raise SpaceError(f"{name} must be a number or an array in {variable!r}, got {value!r}") from None
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise SpaceError(f"{name} must be finite and of shape {shape} for {variable!r}, got {value!r}")
    return numbers.ravel()


def depth(value: Any) -> int:
    """How deep lists and arrays are nested in `value`; tuples may be levels and do not count."""
    nested = 0
    while isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim):
        nested, value = nested + 1, value[0] if len(value) else None
    return nested


def _encode_levels(variable: Variable, value: Any, name: str, shape: tuple[int, ...]) -> Floats:
    items = [value]
    for size in shape:  # not np.array: a level may be a sequence
        if not all(isinstance(item, (list, tuple, np.ndarray)) and len(item) == size for item in items):
            raise SpaceError(f"{name} must have shape {shape}, got {value!r}")
        items = [part for item in items for part in item]
    indices = np.empty(len(items))
    for i, item in enumerate(items):
        levels = variable.levels(i)  # type: ignore[attr-defined]
        indices[i] = index_of(item.item() if isinstance(item, np.generic) else item, levels)
        if indices[i] < 0:
            raise SpaceError(f"{name} must be one of {list(levels)}, got {item!r}")
    return indices


def _encode_blocks(variable: Variable, value: Any, name: str, shape: tuple[int, ...]) -> Floats:
    n = variable.columns_each
    if variable.kind == SUBSET and not shape:
        return _encode_subset(variable, value, name, n)
    numbers = _as_numbers(value, name, (*shape, n), variable).reshape(-1, n)
    if variable.kind == PERMUTATION:
        if (np.sort(numbers, axis=1) != np.arange(n)).any():
            raise SpaceError(f"{name} must hold each of 0..{n - 1} once, got {value!r}")
    elif variable.kind == SIMPLEX:
        if (numbers < -SLACK).any() or (np.abs(numbers.sum(axis=1) - 1) > 1e-6).any():
            raise SpaceError(f"{name} must be {n} shares >= 0 that sum to 1, got {value!r}")
        total = numbers.sum(axis=1, keepdims=True)
        if (numbers < 0).any() or (np.abs(total - 1) > SLACK).any():  # typed in by hand, say with four digits
            numbers = np.maximum(numbers, 0.0)
            numbers = numbers / numbers.sum(axis=1, keepdims=True)
    else:
        low, high = variable.size_  # type: ignore[attr-defined]
        sizes = numbers.sum(axis=1)
        if not np.isin(numbers, (0, 1)).all() or (sizes < low).any() or (sizes > high).any():
            raise SpaceError(f"{name} must be 0/1 with {low} to {high} ones an element, got {value!r}")
    return numbers.ravel()


def _encode_subset(variable: Variable, value: Any, name: str, n: int) -> Floats:
    low, high = variable.size_  # type: ignore[attr-defined]
    try:
        chosen = list(value)
        items, count = np.unique(np.asarray(chosen, dtype=np.float64)), len(chosen)
    except (TypeError, ValueError):
        raise SpaceError(f"{name} must be the chosen items, integers in 0..{n - 1}, got {value!r}") from None
    whole = (items == np.floor(items)).all() and (items >= 0).all() and (items < n).all()
    if not whole or len(items) != count:
        raise SpaceError(f"{name} must be distinct items in 0..{n - 1}, got {value!r}")
    if not low <= count <= high:
        raise SpaceError(f"{name} must hold {low if low == high else f'{low} to {high}'} items, got {count}")
    row = np.zeros(n)
    row[items.astype(np.int64)] = 1.0
    return row
