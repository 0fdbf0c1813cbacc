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
    index_of,
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
            tables = _tables(variable)
            return lambda c: _look_up(tables, c[None, :]).reshape(shape)
        levels = variable.levels()  # type: ignore[attr-defined]
        return lambda c: levels[int(c[0])]
    if shape:
        dtype: Any = np.float64 if kind == REAL else np.int64
        return lambda c: c.astype(dtype).reshape(shape)
    scalar: Callable[[float], Any] = float if kind == REAL else int if kind == INTEGER else bool
    return lambda c: scalar(c[0])


def column(variable: Variable, columns: Floats) -> Any:
    """Return the user's values of a batch, shape (n,) + shape; subsets as 0/1 membership (n, ..., items)."""
    n, kind, shape = len(columns), variable.kind, variable.dims
    if kind in (SUBSET, PERMUTATION):
        return columns.astype(np.int64).reshape(n, *shape, variable.columns_each)
    if kind == SIMPLEX:
        return columns.reshape(n, *shape, variable.columns_each)
    if kind in (CATEGORICAL, ORDINAL):
        return _look_up(_tables(variable), columns).reshape(n, *shape)
    dtype: Any = np.float64 if kind == REAL else np.bool_ if kind == BINARY and not shape else np.int64
    return columns.astype(dtype, copy=False).reshape(n, *shape)


def _tables(variable: Variable) -> list[NDArray[Any]]:
    """One array of levels an element; float64 where all levels are numbers, else object."""
    size = variable.size
    tables = []
    for element in range(size):
        levels = variable.levels(element)  # type: ignore[attr-defined]
        numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in levels)
        table = np.empty(len(levels), dtype=np.float64 if numeric and variable.kind == ORDINAL else object)
        table[:] = levels if table.dtype != object else [None] * len(levels)
        if table.dtype == object:
            for i, level in enumerate(levels):
                table[i] = level
        tables.append(table)
    return tables


def _look_up(tables: list[NDArray[Any]], columns: Floats) -> NDArray[Any]:
    """Replace indices (n, size) by levels."""
    indices = columns.astype(np.int64)
    same = all(table is tables[0] or np.array_equal(table, tables[0]) for table in tables)
    if same:
        return tables[0][indices]
    picked = [table[indices[:, element]] for element, table in enumerate(tables)]
    return np.stack(picked, axis=1)


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
    slack = SLACK * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
    if ((numbers < low - slack) | (numbers > high + slack)).any():
        raise SpaceError(f"{name} must lie in {variable!r}, got {value!r}")
    if kind != REAL:
        whole = np.rint(numbers)
        if (np.abs(numbers - whole) > slack).any():
            raise SpaceError(f"{name} must be a whole number in {variable!r}, got {value!r}")
        numbers = whole
    return np.clip(numbers, low, high)


def _as_numbers(value: Any, name: str, shape: tuple[int, ...], variable: Variable) -> Floats:
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpaceError(f"{name} must be a number or an array in {variable!r}, got {value!r}") from None
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise SpaceError(f"{name} must be finite and of shape {shape} for {variable!r}, got {value!r}")
    return numbers.ravel()


def _encode_levels(variable: Variable, value: Any, name: str, shape: tuple[int, ...]) -> Floats:
    if shape:
        values = np.empty(shape, dtype=object)
        try:
            values[...] = (
                value if isinstance(value, np.ndarray) else np.array(value, dtype=object).reshape(shape)
            )
        except ValueError:
            raise SpaceError(f"{name} must have shape {shape}, got {value!r}") from None
        items = list(values.ravel())
    else:
        items = [value]
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
        items = np.unique(np.asarray(list(value), dtype=np.float64))
        count = len(list(value))
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
