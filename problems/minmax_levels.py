"""Numeric level sets of many variables: stored once where variables share them, looked up without Python loops.

`Ordinal` keeps levels as Python objects and compares them pairwise, which two million levels do not allow. `Levels` is
an Ordinal to everybody who asks; it holds arrays, and `LevelSpace` decodes and encodes with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError, SpaceError
from optengine.core.space import Batch, Space
from optengine.core.variables import Ordinal

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_VALUES = 2**28  # levels over all variables, 2 GiB; more are refused before they fill the memory
UNIFORM = 1e-9  # deviation from equal steps, in steps, below which levels count as equally spaced
CLOSE = 1e-9  # relative distance within which a given value is taken for a level


@dataclass(frozen=True, eq=False)
class LevelSets:
    """The levels of n variables.

    Attributes:
        values: all levels, (total,), ascending within each set.
        start, count: first position and number of levels of each variable, (n,); sets may be shared.
    """

    values: Floats
    start: Integers
    count: Integers

    def __len__(self) -> int:
        return len(self.start)

    def of(self, j: int) -> Floats:
        """Levels of variable j, ascending."""
        return self.values[self.start[j] : self.start[j] + self.count[j]]

    @property
    def shared(self) -> bool:
        """Whether all variables have one set."""
        return bool((self.start == self.start[0]).all())

    def pick(self, indices: ArrayLike) -> Floats:
        """Values (..., n) of level indices (..., n)."""
        picked: Floats = self.values[self.start + np.asarray(indices).astype(np.int64)]
        return picked

    def nearest(self, x: ArrayLike) -> Integers:
        """Indices (..., n) of the levels nearest to the values (..., n), the lower one in a tie."""
        wanted = np.asarray(x, dtype=np.float64)
        result = np.empty(wanted.shape, dtype=np.int64)
        for start in np.unique(self.start):
            mine = self.start == start
            levels = self.of(int(np.flatnonzero(mine)[0]))
            part = wanted[..., mine]
            above = np.clip(np.searchsorted(levels, part), 1, max(1, len(levels) - 1))
            if len(levels) == 1:
                result[..., mine] = 0
                continue
            lower = part - levels[above - 1] <= levels[above] - part
            result[..., mine] = above - lower
        return result

    def spacing(self) -> tuple[Floats, Floats]:
        """Origin and step (n,) of equally spaced sets; the step is NaN where a set is not so, 0 for one level."""
        origin, step = self.values[self.start], np.zeros(len(self))
        for start in np.unique(self.start):
            mine = self.start == start
            levels = self.of(int(np.flatnonzero(mine)[0]))
            if len(levels) > 1:
                width = (levels[-1] - levels[0]) / (len(levels) - 1)
                off = np.abs(levels - (levels[0] + width * np.arange(len(levels)))).max()
                step[mine] = width if off <= UNIFORM * width else np.nan
        return origin, step

    def restricted(self, fixed: Floats) -> LevelSets:
        """The same sets with the variables of `fixed` (n,), NaN where free, held at one level.

        Raises:
            ProblemError: a value that is none of the levels of its variable.
        """
        held = np.flatnonzero(~np.isnan(fixed))
        if not len(held):
            return self
        index = self.nearest(np.where(np.isnan(fixed), 0.0, fixed))
        near = self.pick(index)
        off = np.abs(near[held] - fixed[held]) > CLOSE * np.maximum(1.0, np.abs(fixed[held]))
        if off.any():
            j = int(held[np.flatnonzero(off)[0]])
            raise ProblemError(
                f"fixed must hold levels, got {fixed[j]:.12g} for variable {j}, which no assignment can have "
                f"(nearest level {near[j]:.12g})"
            )
        start, count = self.start.copy(), self.count.copy()
        start[held] += index[held]
        count[held] = 1
        return LevelSets(self.values, start, count)


def read_levels(levels: Any, n: int) -> LevelSets:
    """Check level sets: one array (K,) for all variables, an array (n, K), or a list of n arrays.

    Raises:
        ProblemError: no level, NaN, unsorted or repeated levels, or not n sets.
    """
    if isinstance(levels, LevelSets):
        if len(levels) != n:
            raise ProblemError(f"levels must be one set for each of {n} variables, got {len(levels)} sets")
        return levels
    nested = (isinstance(levels, np.ndarray) and levels.ndim == 2) or (
        isinstance(levels, (list, tuple)) and len(levels) > 0 and np.ndim(levels[0]) == 1
    )
    if not nested:
        values = _one_set(levels, "")
        return LevelSets(values, np.zeros(n, dtype=np.int64), np.full(n, len(values), dtype=np.int64))
    if len(levels) != n:
        raise ProblemError(f"levels must be one set for each of {n} variables, got {len(levels)} sets")
    if sum(np.size(row) for row in levels) > MOST_VALUES:
        total = sum(np.size(row) for row in levels)
        raise ProblemError(f"levels must be at most {MOST_VALUES} numbers in all, got {total}")
    known: dict[bytes, tuple[int, int]] = {}
    parts: list[Floats] = []
    start, count, total = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), 0
    for j, row in enumerate(levels):
        values = _one_set(row, f" of variable {j}")
        key = values.tobytes()
        if key not in known:
            known[key] = (total, len(values))
            parts.append(values)
            total += len(values)
        start[j], count[j] = known[key]
    return LevelSets(np.concatenate(parts), start, count)


def _one_set(levels: Any, whose: str) -> Floats:
    if np.size(levels) > MOST_VALUES:
        raise ProblemError(f"levels{whose} must be at most {MOST_VALUES} numbers, got {np.size(levels)}")
    try:
        values = np.array(levels, dtype=np.float64) + 0.0  # 0.0 in place of -0.0
    except (TypeError, ValueError):
        raise ProblemError(f"levels{whose} must be numbers, got {type(levels).__name__}") from None
    if values.ndim != 1 or not len(values):
        raise ProblemError(f"levels{whose} must hold at least one number in a row, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ProblemError(f"levels{whose} must be finite, got {values[~np.isfinite(values)][0]}")
    step = np.diff(values)
    if (step <= 0).any():
        i = int(np.flatnonzero(step <= 0)[0])
        wrong = "distinct" if step[i] == 0 else "ascending"
        raise ProblemError(f"levels{whose} must be {wrong}, got {values[i]:.12g} before {values[i + 1]:.12g}")
    values.setflags(write=False)
    return values


class Levels(Ordinal):
    """An Ordinal of numeric levels, kept as arrays; columns hold level indices."""

    def __init__(self, sets: LevelSets, shape: tuple[int, ...]) -> None:
        self._set(levels_=(), shape=shape, when=(), fidelity=False, target=None, sets=sets)

    @property
    def level_sets(self) -> LevelSets:
        return self.sets  # type: ignore[attr-defined,no-any-return]

    @property
    def label(self) -> str:
        return "Ordinal"  # what a stored result is read back as

    def levels(self, element: int = 0) -> Any:
        return self.level_sets.of(element)

    def fingerprint(self) -> dict[str, Any]:
        sets = self.level_sets
        description: dict[str, Any] = {"kind": "Ordinal", "shape": list(self.dims)}
        shared = sets.shared and bool((sets.count == sets.count[0]).all())
        rows = [sets.of(j).tolist() for j in range(1 if shared else len(sets))]
        return description | {"levels": rows[0] if shared else rows}

    def __repr__(self) -> str:
        count = self.level_sets.count
        some = f"{count.min()}" if count.min() == count.max() else f"{count.min()} to {count.max()}"
        return f"Ordinal({some} numeric levels each, shape={self.dims})"


class LevelSpace(Space):
    """The space of one `Levels` variable."""

    def __init__(self, sets: LevelSets, shape: tuple[int, ...]) -> None:
        super().__init__(Levels(sets, shape))

    def _make_decoders(self) -> None:
        variable = self.variables["x"]
        assert isinstance(variable, Levels)
        sets, shape = variable.level_sets, variable.dims
        one: Callable[[Floats], Any] = lambda row: sets.pick(row).reshape(shape)  # noqa: E731
        many: Callable[[Floats], Any] = lambda X: sets.pick(X).reshape(len(X), *shape)  # noqa: E731
        self._decoders = [("x", one, slice(0, self.width))]
        self._batch_decoders = [("x", many, slice(0, self.width))]

    def encode(self, x: Any) -> Batch:
        """Return the level indices (k, width) of one x or of a list of them.

        Raises:
            SpaceError: a wrong shape, or values that are no levels.
        """
        variable = self.variables["x"]
        assert isinstance(variable, Levels)
        sets, shape = variable.level_sets, variable.dims
        try:
            given = np.asarray(x, dtype=np.float64)
        except (TypeError, ValueError):
            raise SpaceError(f"x must be numbers of shape {shape}, got {type(x).__name__}") from None
        if given.shape[-len(shape) :] != shape or given.ndim > len(shape) + 1:
            raise SpaceError(f"x must have shape {shape}, or be a list of such, got {given.shape}")
        rows = given.reshape(-1, self.width)
        if not np.isfinite(rows).all():
            raise SpaceError("x must be finite, got NaN or an infinite value")
        index = sets.nearest(rows)
        near = sets.pick(index)
        off = np.abs(near - rows) > CLOSE * np.maximum(1.0, np.abs(rows))
        if off.any():
            i, j = np.argwhere(off)[0]
            raise SpaceError(f"x must hold levels, got {rows[i, j]:.12g} at {j} (nearest {near[i, j]:.12g})")
        return index.astype(np.float64)
