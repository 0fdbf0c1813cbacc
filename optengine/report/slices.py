"""The model of a run along one variable or over two, the others at a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptionError, did_you_mean
from optengine.core.result import Result
from optengine.core.space import Space
from optengine.report.diagnostics import SEED, model
from optengine.surrogates.fitted import Fitted
from optengine.surrogates.sensitivity import parts, sobol_indices

Floats = NDArray[np.float64]

GRID = 60  # points along a slice
CONTOUR_GRID = 40  # and a side of a contour


@dataclass(frozen=True, eq=False)
class Axis:
    """One column of a space, to be drawn along: its encoded grid (m,), and what the user calls those values."""

    name: str
    column: int
    grid: Floats
    values: tuple[Any, ...]
    numeric: bool
    log: bool


@dataclass(frozen=True, eq=False)
class Slice:
    """The model along one variable through a point.

    Attributes:
        name: of the variable. values: (m,) numbers, or the levels as the user stated them.
        mean, deviation: (m,) of the function, without noise. at: the point, as the user sees it. target: the value.
    """

    name: str
    values: tuple[Any, ...]
    mean: Floats
    deviation: Floats
    at: Any
    target: str
    numeric: bool
    log: bool


@dataclass(frozen=True, eq=False)
class Contour:
    """The model over two variables through a point.

    Attributes:
        names: of the two. values: (m,) and (k,) of each, see `Slice`. mean, deviation: (k, m), the second one down.
        points: (n, 2) encoded columns of the evaluated points. at, target: see `Slice`.
    """

    names: tuple[str, str]
    values: tuple[tuple[Any, ...], tuple[Any, ...]]
    mean: Floats
    deviation: Floats
    points: Floats
    at: Any
    target: str
    columns: tuple[Axis, Axis]


def slice_through(
    result: Result, name: str | None = None, *, at: Any = None, target: str | None = None, n: int = GRID
) -> Slice:
    """Return the model along one variable, the others at a point.

    Args:
        result: a run with a history.
        name: a variable, or an element of an array as `w[3]`; None: the one with the largest total index.
        at: the point, as the user states x; None: the best one evaluated in which the variable counts.
        target: objective or constraint; None: the only objective. n: points along a number.

    Raises:
        OptionError: an unknown name or target; a variable that cannot be drawn along, or does not count at the point.
        ProblemError: fewer than five successful evaluations are recorded.
    """
    fitted, target, _ = model(result, target)
    if name is None:
        name = _most_important(fitted, result.space, 1)[0]
    axis = axis_of(result.space, name, n)
    row = _anchor(result, at, [axis])
    X = np.tile(row, (len(axis.grid), 1))
    X[:, axis.column] = axis.grid
    mean, deviation = fitted.predict(result.space.canonical(X))
    place = result.space.decode_one(row)
    return Slice(name, axis.values, mean, deviation, place, target, axis.numeric, axis.log)


def contour_over(
    result: Result,
    names: tuple[str, str] | None = None,
    *,
    at: Any = None,
    target: str | None = None,
    n: int = CONTOUR_GRID,
) -> Contour:
    """Return the model over two variables, the others at a point; arguments as for `slice_through`."""
    fitted, target, _ = model(result, target)
    if names is None:
        names = tuple(_most_important(fitted, result.space, 2))  # type: ignore[assignment]
    if isinstance(names, str) or names is None or len(names) != 2 or names[0] == names[1]:
        raise OptionError(f"names must be two different variables, got {names!r}")
    first, second = (axis_of(result.space, each, n) for each in names)
    row = _anchor(result, at, [first, second])
    across, down = np.meshgrid(first.grid, second.grid)
    X = np.tile(row, (across.size, 1))
    X[:, first.column], X[:, second.column] = across.ravel(), down.ravel()
    mean, deviation = fitted.predict(result.space.canonical(X))
    return Contour(
        (first.name, second.name),
        (first.values, second.values),
        mean.reshape(across.shape),
        deviation.reshape(across.shape),
        fitted.X[:, [first.column, second.column]],
        result.space.decode_one(row),
        target,
        (first, second),
    )


def axis_of(space: Space, name: str, n: int) -> Axis:
    """Return the grid along one column: n values of a real, the levels of what has few, n of an integer's."""
    names = space.column_names()
    whole = {variable for block in space.blocks for variable in _owners(space, block.start)}
    if name in whole or any(name.startswith(f"{each}[") for each in whole):
        raise OptionError(
            f"name must be a number, a category or a bit, got {name!r}: {space.variables.get(name)!r}"
        )
    if name not in names:
        raise OptionError(f"name must be one of {_some(names)}, got {name!r}{did_you_mean(str(name), names)}")
    column = names.index(name)
    low, high, log = space.lower[column], space.upper[column], bool(space.log[column])
    levels = int(space.n_levels[column])
    if levels and levels <= max(n, 2):
        grid = np.arange(low, high + 1)
    else:
        grid = np.geomspace(low, high, n) if log else np.linspace(low, high, n)
        grid = np.unique(np.rint(grid)) if levels else np.clip(grid, low, high)
    values = tuple(_value(space, column, code) for code in grid)
    numeric = all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in values)
    return Axis(
        name,
        column,
        np.asarray(grid, dtype=np.float64),
        values,
        numeric and not _is_category(space, column),
        log,
    )


def _owners(space: Space, column: int) -> list[str]:
    return [n for n, columns in space.slices.items() if columns.start <= column < columns.stop]


def _is_category(space: Space, column: int) -> bool:
    return hasattr(space.variables[_owners(space, column)[0]], "choices")


def _some(names: list[str]) -> str:
    return str(names if len(names) <= 20 else [*names[:20], "..."])


def _value(space: Space, column: int, code: float) -> Any:
    """What the user calls an encoded value of a column."""
    variable = space.variables[_owners(space, column)[0]]
    levels = getattr(variable, "levels", None)
    if callable(levels):
        return levels()[int(code)]
    return int(code) if space.n_levels[column] else float(code)


def _anchor(result: Result, at: Any, axes: list[Axis]) -> Floats:
    """Return the row (width,) that the other variables keep."""
    space, columns = result.space, [axis.column for axis in axes]
    if at is not None:
        row: Floats = space.encode(at)[0]
        if not space.active(row[None, :])[0, columns].all():
            raise OptionError(f"at must be a point in which {[axis.name for axis in axes]} count, got {at!r}")
        return row
    order = _best_rows(result)
    X = result.history.X[order]
    counts = space.active(X)[:, columns].all(axis=1)
    if not counts.any():
        raise OptionError(
            f"no evaluated point has {[axis.name for axis in axes]} active together; give one as at="
        )
    return np.asarray(X[np.argmax(counts)])


def _best_rows(result: Result) -> NDArray[np.int64]:
    """Rows of the history that succeeded: feasible ones by the first objective, then the others by violation."""
    history = result.history
    sign = 1.0 if result.objectives[0][1] == "minimize" else -1.0
    violation = np.where(history.failed, np.inf, history.violation)
    value = np.where(violation <= 0, sign * np.where(history.failed, 0.0, history.value), 0.0)
    order = np.lexsort((value, violation))
    return np.asarray(order[: int((~history.failed).sum())])


def _most_important(fitted: Fitted, space: Space, k: int) -> list[str]:
    """The k names with the largest total indices among the variables that can be drawn along."""
    names, _, total = sobol_indices(fitted.mean, space, 256, SEED)
    blocks = {block.start for block in space.blocks}
    single = [i for i, part in enumerate(parts(space).values()) if part.start not in blocks]
    if len(single) < k:
        raise OptionError(
            f"kind must be another one: only {len(single)} variables can be drawn along, and it takes {k}"
        )
    return [names[i] for i in sorted(single, key=lambda i: -total[i])[:k]]
